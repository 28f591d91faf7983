package personnel

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/value"
)

// readSearch reads a body of JSON, in an organization with the custom field promotion_points.
func readSearch(t *testing.T, k *Kind, body string) (*Search, error) {
	t.Helper()
	decoded, err := value.Decode([]byte(body))
	if err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	return ReadSearch(k, nil, decoded.(*value.Array), func(key string) bool { return key == "promotion_points" })
}

// accepted is readSearch of what must not be refused.
func accepted(t *testing.T, k *Kind, body string) *Search {
	t.Helper()
	s, err := readSearch(t, k, body)
	if err != nil {
		t.Fatalf("%s for %s: %v", body, k.Path, err)
	}
	return s
}

// filter is accepted for one filter.
func filter(t *testing.T, k *Kind, body string) Filter {
	t.Helper()
	return accepted(t, k, `{"filters":[`+body+`]}`).Filters[0]
}

func TestReadSearch_saysEverythingThatIsWrong(t *testing.T) {
	for _, test := range []struct {
		kind *Kind
		body string
		want string
	}{
		{&User, `{"filters":[{"field":"nickname"}]}`, "filters.0.field"},
		{&User, `{"filters":[{"field":"name"},{"field":"nickname","operator":"~","type":"xor"}]}`, "filters.1.type filters.1.field filters.1.operator"},
		{&User, `{"filters":[5,{"field":"nickname"},"x",{"operator":"="},null,[]]}`, "filters.0 filters.1.field filters.2 filters.3.field filters.4 filters.5.field"},
		{&User, `{"filters":[{"nested":[7,{"field":"nickname"}]},{"field":"nickname"}]}`, "filters.0.nested.0 filters.0.nested.1.field filters.1.field"},
		{&User, `{"filters":[{"nested":[{"field":"name"},{"nested":[{"field":"name"}]}]}]}`, "filters.0.nested.1.nested"},
		{&User, `{"filters":[{"nested":5},{"nested":{"field":"name"}},{"nested":null}]}`, "filters.0.nested filters.1.nested filters.2.field"},
		{&User, `{"filters":[{"field":"name","operator":"LIKE"},{"field":"name","operator":null},{"field":"name","operator":[]},{"field":"name","operator":"= 1 or 1 ="}]}`,
			"filters.0.operator filters.1.operator filters.2.operator filters.3.operator"},
		{&User, `{"filters":[{"field":"name","type":"AND"},{"field":"name","type":null},{"field":"name","type":1}]}`, "filters.0.type filters.1.type filters.2.type"},
		{&User, `{"filters":[{"field":"name","value":[]},{"field":"id","value":"x"},{"field":"id","value":1.5},{"field":"approved","value":"x"},{"field":"created_at","value":"x"},{"field":"created_at","value":5}]}`,
			"filters.0.value filters.1.value filters.2.value filters.3.value filters.4.value filters.5.value"},
		{&User, `{"filters":[{"field":"id","operator":"in","value":5},{"field":"id","operator":"not in"},{"field":"id","operator":"in","value":[1,"x"]},{"field":"id","operator":"in","value":[[1]]}]}`,
			"filters.0.value filters.1.value filters.2.value filters.3.value"},
		{&User, `{"filters":[{"field":"name","operator":"any in","value":["x"]},{"field":"id","operator":"all in","value":[1]},{"field":"promotion_points","operator":"any in","value":1}]}`,
			"filters.0.value filters.1.value filters.2.value"},
		{&Message, `{"filters":[{"field":"channels","operator":"any in","value":[["mail"]]},{"field":"channels","operator":"all in","value":"mail"},{"field":"channels","value":["mail"]}]}`,
			"filters.0.value filters.1.value filters.2.value"},
		{&User, `{"filters":[{"field":"name","operator":"like"},{"field":"name","operator":"not like","value":5},{"field":"name","operator":"ilike","value":[]},{"field":"name","operator":"not ilike","value":"a\u0000"}]}`,
			"filters.0.value filters.1.value filters.2.value filters.3.value"},
		{&User, `{"filters":[{"field":"name","value":"\u0000"},{"field":"name","operator":"in","value":["\u0000"]}]}`, "filters.0.value filters.1.value"},
		{&User, `{"filters":"name","sort":"name","scopes":"hidden","search":"name","includes":"rank"}`, "scopes filters search sort includes"},
		{&User, `{"filters":{"field":"name"},"sort":{"field":"name"},"scopes":{"name":"hidden"},"search":[1],"includes":{"relation":"rank"}}`, "scopes filters sort includes"},
		{&User, `{"sort":[{"field":"nickname"},{},5,{"field":"name","direction":"up"},{"field":"name","direction":null},{"field":"password","direction":"ASC"}]}`,
			"sort.0.field sort.1.field sort.2 sort.3.direction sort.4.direction sort.5.field sort.5.direction"},
		{&User, `{"scopes":[{"name":"hidden"}]}`, "scopes.0.name"},
		{&Unit, `{"scopes":[{"name":"hidden"},5,{"name":"tags"},{},{"name":["hidden"]}]}`, "scopes.1 scopes.2.name scopes.3.name scopes.4.name"},
		{&User, `{"search":{"value":true}}`, "search.value"},
		{&User, `{"search":{"value":["x"]}}`, "search.value"},
		{&User, `{"search":{"value":"\u0000"}}`, "search.value"},
		{&Unit, `{"scopes":[{"name":"x"}],"filters":[{"field":"x"}],"search":{"value":[]},"sort":[{"field":"x"}]}`, "scopes.0.name filters.0.field search.value sort.0.field"},
	} {
		_, err := readSearch(t, test.kind, test.body)
		wantPlaces(t, test.kind.Path+" "+test.body, err, test.want)
	}
}

// wantPlaces checks that err is about these places, in order.
func wantPlaces(t *testing.T, what string, err error, want string) {
	t.Helper()
	var invalid *bugle.InvalidError
	if !errors.As(err, &invalid) {
		t.Errorf("%.300s: %v, want problems with %s", what, err, want)
		return
	}
	var got []string
	for _, p := range invalid.Problems {
		got = append(got, p.Field)
		if !strings.HasSuffix(p.Reason, ".") || strings.Contains(p.Reason, "%!") {
			t.Errorf("%.300s: the reason for %s is no sentence: %q", what, p.Field, p.Reason)
		}
	}
	if strings.Join(got, " ") != want {
		t.Errorf("%.300s: problems with\n     %s\nwant %s", what, strings.Join(got, " "), want)
	}
}

// What is shown can be filtered and sorted by, in the kind itself and where its Reference fields lead
// to if that has a collection; nothing else can.
func TestReadSearch_columnsAreThoseThatAreShown(t *testing.T) {
	check := func(k *Kind, name string, want bool) {
		t.Helper()
		_, byFilter := readSearch(t, k, `{"filters":[{"field":"`+name+`","value":null}]}`)
		_, bySort := readSearch(t, k, `{"sort":[{"field":"`+name+`"}]}`)
		if (byFilter == nil) != want || (bySort == nil) != want {
			t.Errorf("%s by %s: filter says %v, sort %v; want it to be possible: %v", k.Path, name, byFilter, bySort, want)
		}
	}
	for _, k := range Kinds() {
		for _, name := range []string{"", "organization_id", "data", "1", "ID", " id", "id ", "*", k.Table + ".id", `\"id\"`, "related.id", ".id", "id.", "label", "rank.rank.name"} {
			check(k, name, false)
		}
		check(k, "promotion_points", k.Custom)
		for _, f := range k.Fields {
			check(k, f.Name, !f.Hidden)
			check(k, f.Name+"->x", !f.Hidden && (f.Type == Strings || f.Type == Integers || f.Type == JSON))
		}
		for _, rel := range k.Relations {
			if rel.Model { // of no one kind
				check(k, rel.Name+".id", false)
				continue
			}
			other := ByName(rel.Kind)
			single := rel.Via != "" && other.Path != ""
			for _, f := range other.Fields {
				check(k, rel.Name+"."+f.Name, single && !f.Hidden)
			}
			for _, name := range []string{"", "data", "organization_id", "promotion_points", "nickname"} {
				check(k, rel.Name+"."+name, false)
			}
		}
	}
	for _, name := range []string{"rank_records.text", "unit_slot.id", "nobody.id", "fields.key"} {
		check(&User, name, false)
	}
}

func TestReadSearch_jsonPaths(t *testing.T) {
	for path, want := range map[string]string{
		"0": "$[0]", "a": `$."a"`, "a->0->b": `$."a"[0]."b"`, "a.b": `$."a.b"`, "a[0]": `$."a[0]"`, "-1": `$."-1"`, "#-1": `$."#-1"`,
		"999999999": "$[999999999]", "ä ö": `$."ä ö"`, "'": `$."'"`, "$": `$."$"`,
		"": "", "a->": "", "->a": "", "a->->b": "", `a"b`: "", `a\b`: "", "a\x00": "", "1234567890": "",
	} {
		if got := jsonPath(path); got != want {
			t.Errorf("path %q is %q, want %q", path, got, want)
		}
	}
}

func TestReadSearch_defaults(t *testing.T) {
	f := filter(t, &User, `{"field":"name","value":"Jane"}`)
	if f.Or || f.Operator != Equal || f.Value != "Jane" || f.Column.Field != User.Field("name") || f.Nested != nil {
		t.Errorf("filter is %+v", f)
	}
	s := accepted(t, &User, `{"sort":[{"field":"name"},{"field":"rank.name","direction":"desc"},{"field":"id","direction":"asc"}]}`)
	for i, descending := range []bool{false, true, false} {
		if s.Sorts[i].Descending != descending {
			t.Errorf("sort %d is descending: %v", i, s.Sorts[i].Descending)
		}
	}
	if rel := s.Sorts[1].Column.Relation; rel == nil || rel.Name != "rank" {
		t.Errorf("the relation is %v", rel)
	}
	for _, body := range []string{`{}`, `[]`, `{"filters":[],"sort":[],"scopes":[],"search":[],"includes":[],"aggregates":[],"more":5}`,
		`{"filters":null,"sort":null,"scopes":null,"search":null,"includes":null}`, `{"filters":{},"search":{"value":null,"case_sensitive":true}}`,
		`{"search":{"value":""}}`, `{"filters":[{"nested":[]}]}`} {
		s := accepted(t, &Unit, body)
		if want := (&Search{Kind: &Unit}); !reflect.DeepEqual(s, want) {
			t.Errorf("%s reads as %+v", body, s)
		}
	}
}

func TestReadSearch_parts(t *testing.T) {
	if s := accepted(t, &Unit, `{"scopes":[{"name":"hidden","parameters":[1]}]}`); s.Hidden == nil || !*s.Hidden {
		t.Error("the scope hidden is lost")
	}
	if s := accepted(t, &Slot, `{"scopes":[{"name":"visible"}]}`); s.Hidden == nil || *s.Hidden {
		t.Error("the scope visible is lost")
	}
	for body, want := range map[string]string{`"Ü 100%"`: "Ü 100%", `5`: "5", `1.5`: "1.5"} {
		if s := accepted(t, &User, `{"search":{"value":`+body+`}}`); s.Text != want {
			t.Errorf("search value %s reads as %q", body, s.Text)
		}
	}
	s := accepted(t, &User, `{"filters":[{"type":"or","nested":[{"field":"name"},{"type":"or","field":"id"}]},{"type":"or","field":"id"}]}`)
	if len(s.Filters) != 2 || !s.Filters[0].Or || !s.Filters[1].Or || len(s.Filters[0].Nested) != 2 || s.Filters[0].Nested[0].Or || !s.Filters[0].Nested[1].Or {
		t.Errorf("filters are %+v", s.Filters)
	}
}

// Values are compared as they are stored, and refused if they cannot be.
func TestReadSearch_values(t *testing.T) {
	for _, test := range []struct {
		kind        *Kind
		field, sent string
		want        any
	}{
		{&User, "name", `"Jane"`, "Jane"},
		{&User, "name", `5`, "5"},
		{&User, "name", `null`, nil},
		{&User, "id", `5`, int64(5)},
		{&User, "id", `"5"`, int64(5)},
		{&User, "id", `5.0`, int64(5)},
		{&User, "rank_id", `null`, nil},
		{&RankRecord, "type", `"1"`, int64(1)},
		{&User, "approved", `true`, true},
		{&User, "approved", `0`, false},
		{&User, "approved", `"1"`, true},
		{&User, "created_at", `"2026-01-14"`, "2026-01-14 00:00:00"},
		{&User, "created_at", `"2026-01-14T01:00:00+01:00"`, "2026-01-14 00:00:00"},
		{&Submission, "read_at", `"2026-01-14T18:30:00.000000Z"`, "2026-01-14 18:30:00"},
		{&User, "promotion_points", `5`, int64(5)},
		{&User, "promotion_points", `"5"`, "5"},
		{&Message, "channels->0", `"mail"`, "mail"},
		{&Message, "recipients->0", `7`, int64(7)},
	} {
		if got := filter(t, test.kind, `{"field":"`+test.field+`","value":`+test.sent+`}`).Value; got != test.want {
			t.Errorf("%s %s reads as %#v, want %#v", test.field, test.sent, got, test.want)
		}
	}
	if got, want := filter(t, &User, `{"field":"rank_id","operator":"in","value":[1,"2",null]}`).Values, []any{int64(1), int64(2), nil}; !slices.Equal(got, want) {
		t.Errorf("the list reads as %v, want %v", got, want)
	}
}

func TestReadSearch_aMomentThatIsADay(t *testing.T) {
	for _, test := range []struct {
		field, sent string
		want        bool
	}{
		{"created_at", "2026-01-14", true},
		{"updated_at", "2026-01-14 00:00:00", true},
		{"created_at", "2026-01-14T00:00:00Z", true},
		{"rank.created_at", "2026-01-14", true},
		{"created_at", "2026-01-14 00:00:01", false},
		{"created_at", "2026-01-14T00:00:00+01:00", false},
		{"last_seen_at", "2026-01-14", false},
	} {
		if got := filter(t, &User, `{"field":"`+test.field+`","value":"`+test.sent+`"}`).Day; got != test.want {
			t.Errorf("%s at %s is a day: %v", test.field, test.sent, got)
		}
	}
}

func TestReadSearch_limits(t *testing.T) {
	list := func(n int, item string) string {
		return "[" + strings.TrimSuffix(strings.Repeat(item+",", n), ",") + "]"
	}
	text := func(n int) string { return `"` + strings.Repeat("x", n) + `"` }
	const name, sort, scope = `{"field":"name"}`, `{"field":"name"}`, `{"name":"hidden"}`
	in := func(n int) string { return `{"field":"name","operator":"in","value":` + list(n, `"x"`) + `}` }
	allIn := func(n int) string { return `{"field":"channels","operator":"all in","value":` + list(n, `"x"`) + `}` }
	for _, test := range []struct {
		kind       *Kind
		fits, more string
		place      string
	}{
		{&Unit, `{"filters":` + list(100, name) + `}`, `{"filters":` + list(101, name) + `}`, "filters"},
		{&Unit, `{"filters":[{"nested":` + list(99, name) + `}]}`, `{"filters":[{"nested":` + list(101, name) + `}]}`, "filters.0.nested"},
		{&Unit, `{"filters":` + list(10, `{"nested":`+list(9, name)+`}`) + `}`, `{"filters":` + list(10, `{"nested":`+list(10, name)+`}`) + `}`, "filters.9.nested.0"},
		{&Unit, `{"sort":` + list(10, sort) + `}`, `{"sort":` + list(11, sort) + `}`, "sort"},
		{&Unit, `{"scopes":` + list(10, scope) + `}`, `{"scopes":` + list(11, scope) + `}`, "scopes"},
		{&Unit, `{"includes":` + list(100, `{}`) + `}`, `{"includes":` + list(101, `{}`) + `}`, "includes"},
		{&Unit, `{"search":{"value":` + text(255) + `}}`, `{"search":{"value":` + text(256) + `}}`, "search.value"},
		{&Unit, `{"filters":[{"field":"name","operator":"like","value":` + text(255) + `}]}`, `{"filters":[{"field":"name","operator":"like","value":` + text(256) + `}]}`, "filters.0.value"},
		{&Unit, `{"filters":[` + in(1000) + `]}`, `{"filters":[` + in(1001) + `]}`, "filters.0.value"},
		{&Unit, `{"filters":[` + in(999) + `,` + in(1) + `]}`, `{"filters":[` + in(999) + `,` + in(2) + `]}`, "filters.1.value"},
		{&Message, `{"filters":[` + allIn(100) + `]}`, `{"filters":[` + allIn(101) + `]}`, "filters.0.value"},
	} {
		accepted(t, test.kind, test.fits)
		_, err := readSearch(t, test.kind, test.more)
		wantPlaces(t, test.more, err, test.place)
	}
}

// A search names its columns by what the catalogue has, never by what was sent.
func TestReadSearch_columnsComeFromTheCatalogue(t *testing.T) {
	for _, name := range []string{"name; DROP TABLE users", `name" --`, "name'--", "1=1) OR (1=1", "rank.name OR 1=1", `channels->a" OR 1=1 --`, "promotion_points' OR '1'='1", "na\x00me"} {
		for _, k := range []*Kind{&User, &Message} {
			quoted, err := value.JSON(name)
			if err != nil {
				t.Fatal(err)
			}
			_, err = readSearch(t, k, fmt.Sprintf(`{"filters":[{"field":%[1]s}],"sort":[{"field":%[1]s}]}`, quoted))
			wantPlaces(t, name, err, "filters.0.field sort.0.field")
		}
	}
}
