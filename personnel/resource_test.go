package personnel

import (
	"strings"
	"testing"

	"github.com/buglehq/bugle/value"
)

func TestLooksLikeFile(t *testing.T) {
	for text, want := range map[string]bool{
		"a.pdf": true, "folder/a.PDF": true, ".x": true, "jane@example.com": true, "a.0123456789": true, "version 1.5": true,
		"": false, "a": false, "a.": false, "a.01234567890": false, "a.p-f": false, "a.pdf ": false, "a.äöü": false,
		"http://example.com/a.pdf": false, "https://example.com/a.pdf": false, "ftp://example.com/a.pdf": true,
	} {
		if got := looksLikeFile(text); got != want {
			t.Errorf("looksLikeFile(%q) is %v", text, got)
		}
	}
}

// Version 1 of the API repeats a status's color, wherever the status appears.
func TestData_statusInVersion1(t *testing.T) {
	status := resource(&Status, map[string]any{"id": int64(1), "color": "#16a34a"})
	jane := resource(&User, map[string]any{"id": int64(2), "name": "Jane Roe", "email": "jane@example.com"})
	jane.Related, jane.Shown = map[string]*Resource{"status": status}, []string{"status"}
	for _, r := range []*Resource{status, jane} {
		data := r.Data(&View{V1: true})
		if nested, found := data.Get("status"); found {
			data = nested.(*value.Array)
		}
		if got := mustJSON(data); !strings.HasSuffix(got, `"label":"Status: 1","text_color":"#16a34a","bg_color":"#16a34a"}`) {
			t.Errorf("in version 1 a status is %s", got)
		}
		if got := mustJSON(r.Data(&View{})); strings.Contains(got, "text_color") {
			t.Errorf("in version 2 it is %s", got)
		}
	}
}

func TestDifference(t *testing.T) {
	old := resource(&User, map[string]any{"id": int64(1), "name": "Jane", "notes": "?", "updated_at": "2026-01-01 00:00:00"})
	tests := []struct {
		name    string
		set     map[string]any
		custom  *value.Array
		want    string
		changed bool
	}{
		{"nothing", nil, nil, `[]`, false},
		{"updated_at alone", map[string]any{"updated_at": "2026-01-14 12:00:00"}, nil, `[]`, false},
		{"in the order of the fields", map[string]any{"updated_at": "2026-01-14 12:00:00", "notes": nil, "name": "Joan"}, nil,
			`{"name":"Joan","notes":null,"updated_at":"2026-01-14 12:00:00"}`, true},
		{"hidden", map[string]any{"password": "secret"}, nil, `{"updated_at":"2026-01-01 00:00:00"}`, true},
		{"custom", nil, value.Map("a", "ü"), `{"data":"{\"a\":\"\\u00fc\"}","updated_at":"2026-01-01 00:00:00"}`, true},
		{"approved", map[string]any{"approved": false}, nil, `{"approved":false,"updated_at":"2026-01-01 00:00:00"}`, true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r := old.Clone()
			for name, v := range test.set {
				r.Set(name, v)
			}
			if test.custom != nil {
				r.Custom = test.custom
			}
			causes, changed := Difference(old, r)
			if got := mustJSON(ChangesValue(causes)); got != test.want || changed != test.changed {
				t.Errorf("got %s, %v, want %s, %v", got, changed, test.want, test.changed)
			}
		})
	}
}
