package personnel

import (
	"testing"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/value"
)

// stored returns what a field keeps of a value, or fails.
func stored(t *testing.T, f Field, v any) any {
	t.Helper()
	got, wanted := f.store(v)
	if wanted != "" {
		t.Errorf("%s is refused: it %s", value.Describe(v), wanted)
	}
	return got
}

func TestField_timesAreStoredInUTC(t *testing.T) {
	for sent, want := range map[string]string{
		"2026-01-14T12:00:00Z":            "2026-01-14 12:00:00",
		"2026-01-14T12:00:00.999999Z":     "2026-01-14 12:00:00",
		"2026-01-14T12:00:00+02:00":       "2026-01-14 10:00:00",
		"2026-01-14T12:00:00-0830":        "2026-01-14 20:30:00",
		"2026-01-14T12:00:00":             "2026-01-14 12:00:00",
		"2026-01-14T12:00":                "2026-01-14 12:00:00",
		"2026-01-14T12:00+01:00":          "2026-01-14 11:00:00",
		"2026-01-14 12:00:00":             "2026-01-14 12:00:00",
		"2026-01-14 12:00:00.5+01:00":     "2026-01-14 11:00:00",
		"2026-01-14 12:00":                "2026-01-14 12:00:00",
		"2026-01-14":                      "2026-01-14 00:00:00",
		" 2026-01-14 ":                    "2026-01-14 00:00:00",
		"2026/01/14":                      "2026-01-14 00:00:00",
		"01/14/2026":                      "2026-01-14 00:00:00",
		"01/14/2026 18:30":                "2026-01-14 18:30:00",
		"14 January 2026":                 "2026-01-14 00:00:00",
		"January 14, 2026":                "2026-01-14 00:00:00",
		"Wed, 14 Jan 2026 12:00:00 +0100": "2026-01-14 11:00:00",
		"Wed, 14 Jan 2026 12:00:00 GMT":   "2026-01-14 12:00:00",
		"0001-01-01":                      "0001-01-01 00:00:00",
		"9999-12-31T23:59:59Z":            "9999-12-31 23:59:59",
		"2024-02-29":                      "2024-02-29 00:00:00",
	} {
		if got := stored(t, Field{Type: DateTime}, sent); got != want {
			t.Errorf("%q is stored as %v, want %s", sent, got, want)
		}
	}
	for _, wrong := range []string{"", "now", "2026-13-01", "2025-02-29", "12:00", "1768392000", "9999-12-31T23:59:59-01:00", "10000-01-01", "0000-12-31", "2026-01-14T25:00:00Z"} {
		if got, wanted := (&Field{Type: DateTime}).store(wrong); wanted == "" {
			t.Errorf("%q is stored as %v", wrong, got)
		}
	}
}

func TestField_valuesAreStoredInOneForm(t *testing.T) {
	options := []any{"a", "b"}
	tests := []struct {
		field      Field
		sent, want any
	}{
		{Field{Type: Integer}, "12", int64(12)},
		{Field{Type: Integer}, 12.0, int64(12)},
		{Field{Type: Integer}, int64(-2147483648), int64(-2147483648)},
		{Field{Type: Reference, Refers: "user"}, "7", int64(7)},
		{Field{Type: Code, Options: []any{int64(0), int64(1)}}, "1", int64(1)},
		{Field{Type: Boolean}, "1", true},
		{Field{Type: Boolean}, int64(0), false},
		{Field{Type: Strings, Options: options}, "b", `["b"]`},
		{Field{Type: Strings, Options: options}, value.List("b", "a"), `["b","a"]`},
		{Field{Type: Strings, Options: options}, value.List(), `[]`},
		{Field{Type: Integers}, value.List("12", int64(7)), `[12,7]`},
		{Field{Type: JSON}, value.Map("ü", "/"), `{"\u00fc":"\/"}`},
		{Field{Type: JSON}, false, `false`},
		{Field{Type: String}, " spaces ", " spaces "},
	}
	for _, test := range tests {
		if got := stored(t, test.field, test.sent); got != test.want {
			t.Errorf("%s is stored as %v, want %v", value.Describe(test.sent), got, test.want)
		}
	}
}

func TestRead(t *testing.T) {
	tests := []struct {
		name     string
		kind     *Kind
		sent     *value.Array
		creating bool
		problems []string
	}{
		{"all that is required", &User, value.Map("name", "Jane", "email", "jane@example.com"), true, nil},
		{"nothing", &User, nil, true, []string{"name", "email"}},
		{"nothing on update", &User, nil, false, nil},
		{"required empty on update", &User, value.Map("name", "", "email", nil), false, []string{"name", "email"}},
		{"default by null", &Rank, value.Map("name", "?", "order", nil), true, nil},
		{"timestamps by null", &Rank, value.Map("name", "?", "created_at", nil, "updated_at", ""), true, nil},
		{"hidden and read only", &User, value.Map("id", "x", "password", 5, "phone_number", 5), false, nil},
		{"unknown rule", &CustomField, value.Map("rules", "string|shout"), false, []string{"rules"}},
		{"several", &CalendarEvent, value.Map("starts", "soon", "all_day", "?", "name", 5), false, []string{"name", "all_day", "starts"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			invalid := &bugle.InvalidError{}
			New(test.kind).Read(test.sent, test.creating, invalid)
			wantProblems(t, invalid, test.problems...)
		})
	}
}

// A field's key becomes a key of JSON objects and of queries.
func TestCustomField_keys(t *testing.T) {
	for _, key := range []string{"a", "promotion_points", "A1_b2", "7"} {
		stored(t, *CustomField.Field("key"), key)
	}
	for _, key := range []string{"_a", "a_", "a__b", "a-b", "a b", "ä", "a\n", "a.b", "\u212a"} { // the last is KELVIN SIGN, a k in another case
		if got, wanted := CustomField.Field("key").store(key); wanted == "" {
			t.Errorf("the key %q is stored as %v", key, got)
		}
	}
}
