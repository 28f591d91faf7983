package personnel

import (
	"slices"
	"strings"
	"testing"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/value"
)

// definition returns a custom field with the type and rules.
func definition(fieldType, rules string) *Resource {
	d := New(&CustomField)
	d.Set("key", "answer")
	d.Set("type", fieldType)
	d.Set("rules", rules)
	return d
}

func TestRules_bothWays(t *testing.T) {
	list := func(items ...any) any { return value.List(items...) }
	png := &Upload{Name: "a.png", Path: "1/a.png", Type: "image/png", Size: 3 << 10}
	svg := &Upload{Name: "a.svg", Path: "1/a.svg", Type: "image/svg+xml", Size: 1}
	jpeg := &Upload{Name: "a.jpeg", Path: "1/a.jpg", Type: "image/jpeg", Size: 5 << 10}
	none := &Upload{Name: "a.png", Path: "1/a.png", Type: "text/plain"}
	tests := []struct {
		rules          string
		accept, refuse []any
	}{
		{"required", []any{"a", false, int64(0), list("a")}, []any{nil, "", "  ", list()}},
		{"nullable", []any{nil, "", "a", int64(1)}, nil},
		{"string", []any{"a", "1", nil}, []any{int64(1), 1.5, true, list("a")}},
		{"integer", []any{int64(-3), "17", " 17 ", 4.0}, []any{"1.5", 1.5, "a", true, list()}},
		{"numeric", []any{int64(3), 1.5, "1.5", "-2e3"}, []any{"a", "NaN", "Inf", true, list()}},
		{"boolean", []any{true, false, int64(1), int64(0), "1", "0"}, []any{"true", "yes", int64(2), 1.0, list()}},
		{"email", []any{"jane@example.com", "jane+x@sub.example.com"}, []any{"jane", "jane@", "@example.com", "Jane <jane@example.com>", "a b@example.com", int64(5)}},
		{"url", []any{"https://example.com/a?b", "ftp://example.com"}, []any{"example.com", "/path", "https://", "http://a b/", int64(5)}},
		{"date", []any{"2026-01-31", "2026-01-31T18:00:00Z", "January 31, 2026"}, []any{"soon", "2026-02-30", int64(20260131), list()}},
		{"array", []any{list("a"), list(), value.Map("a", 1)}, []any{"a", int64(1), false}},
		{"min:3", []any{"abc", "äöü", int64(100), list("a", "b", "c")}, []any{"ab", "äö", int64(99), list("a", "b"), list()}},
		{"numeric|min:3", []any{int64(3), "3", 3.5}, []any{int64(2), "2.9", -10.0}},
		{"max:3", []any{"abc", "äöü", int64(999), list("a", "b", "c")}, []any{"abcd", int64(1000), list("a", "b", "c", "d")}},
		{"integer|max:3", []any{int64(3), "-5"}, []any{int64(4), "5"}},
		{"between:2,3", []any{"ab", "abc", list("a", "b")}, []any{"a", "abcd", list("a")}},
		{"numeric|between:-1,1.5", []any{int64(-1), 1.5, "0"}, []any{int64(-2), 1.6, "7"}},
		{"size:2", []any{"ab", list("a", "b")}, []any{"a", "abc", list("a")}},
		{"integer|size:2", []any{int64(2), "2"}, []any{int64(3), "22"}},
		{"in:a,b,3", []any{"a", "b", "3", int64(3)}, []any{"c", "a,b", int64(4), true, list("a")}},
		{"not_in:a,b,3", []any{"c", int64(4)}, []any{"a", "b", int64(3)}},
		{"alpha", []any{"abc", "Ünïcode", "日本"}, []any{"a1", "a b", "a-b", int64(5)}},
		{"alpha_num", []any{"abc1", "Ü2"}, []any{"a b", "a_b", "a-b"}},
		{"alpha_dash", []any{"a-b_c1"}, []any{"a b", "a.b"}},
		{"digits:4", []any{"1234", int64(1234), "0001"}, []any{"123", "12345", "12a4", "-123", int64(12), list()}},
		{"starts_with:ab,x", []any{"abc", "x"}, []any{"ba", "b", int64(5)}},
		{"ends_with:.pdf,.txt", []any{"a.pdf", ".txt"}, []any{"a.png", int64(5)}},
		{"file", []any{png, svg, jpeg}, []any{none, "1/a.png", int64(5), list(png)}},
		{"image", []any{png, jpeg}, []any{svg, none, "1/a.png", list(png)}},
		{"mimes:png,.JPEG", []any{png, jpeg}, []any{svg, "1/a.png", list(png)}},
		{"file|max:4", []any{png, svg}, []any{jpeg}},
		{"file|min:3", []any{png, jpeg}, []any{svg}},

		{" string | max:2 ", []any{"ab"}, []any{int64(1), "abc"}},
		{"", []any{nil, "a", true}, nil},
		{"||", []any{nil, "a"}, nil},
	}
	seen := map[string]bool{}
	for _, test := range tests {
		if problem := CheckRules(test.rules); problem != "" {
			t.Errorf("the rules %q are refused: %s", test.rules, problem)
		}
		for _, r := range parseRules(test.rules) {
			seen[r.name] = true
		}
		d := definition("select", test.rules) // which has no rule of its own
		if slices.ContainsFunc(test.accept, holdsUpload) {
			d = definition("file", test.rules) // no other takes uploads
		}
		for _, v := range test.accept {
			if problem := checkCustom(d, "answer", v); problem != "" {
				t.Errorf("%q refuses %s: %s", test.rules, value.Describe(v), problem)
			}
		}
		for _, v := range test.refuse {
			problem := checkCustom(d, "answer", v)
			if problem == "" {
				t.Errorf("%q accepts %s", test.rules, value.Describe(v))
			} else if !strings.HasPrefix(problem, "The answer field ") || !strings.HasSuffix(problem, ".") {
				t.Errorf("%q says %q", test.rules, problem)
			}
		}
	}
	for _, name := range Rules {
		if !seen[name] {
			t.Errorf("no test of the rule %s", name)
		}
	}
}

func TestRules_ofAFieldsType(t *testing.T) {
	texts := []string{"color", "code", "country", "password", "text", "textarea", "timezone"}
	for _, fieldType := range texts {
		d := definition(fieldType, "")
		if problem := checkCustom(d, "answer", "any"); problem != "" {
			t.Errorf("%s: %s", fieldType, problem)
		}
		if checkCustom(d, "answer", int64(5)) == "" {
			t.Errorf("%s accepts a number", fieldType)
		}
	}
	tests := []struct {
		fieldType      string
		accept, refuse any
	}{
		{"boolean", true, "maybe"},
		{"date", "2026-01-31", "soon"},
		{"datetime-local", "2026-01-31T18:00", "soon"},
		{"email", "jane@example.com", "jane"},
		{"number", "1.5", "one"},
		{"file", &Upload{Path: "1/a.png", Size: 1}, "1/a.png"},
		{"select", value.List("a"), nil},
		{"component_text", int64(1), nil},
	}
	for _, test := range tests {
		d := definition(test.fieldType, "")
		if problem := checkCustom(d, "answer", test.accept); problem != "" {
			t.Errorf("%s: %s", test.fieldType, problem)
		}
		if test.refuse != nil && checkCustom(d, "answer", test.refuse) == "" {
			t.Errorf("%s accepts %v", test.fieldType, test.refuse)
		}
	}
	for _, fieldType := range fieldTypes {
		known := slices.Contains(texts, fieldType.(string))
		for _, test := range tests {
			known = known || test.fieldType == fieldType
		}
		if !known {
			t.Errorf("no test of the type %s", fieldType)
		}
	}
}

func TestCheckRules_refuses(t *testing.T) {
	tests := []struct{ rules, want string }{
		{"shouting", `the unknown rule "shouting"`},
		{"string|Max:3", `the unknown rule "Max"`},
		{"min", "such as min:20"},
		{"max:", "such as max:20"},
		{"size:a", "such as size:20"},
		{"digits:a", "such as digits:20"},
		{"digits:1.5", "such as digits:20"},
		{"min:NaN", "such as min:20"},
		{"between:1", "such as between:1,20"},
		{"between:a,20", "such as between:1,20"},
	}
	for _, test := range tests {
		if got := CheckRules(test.rules); !strings.Contains(got, test.want) {
			t.Errorf("%q: got %q, want it to contain %q", test.rules, got, test.want)
		}
	}
}

func TestReadCustom(t *testing.T) {
	required := definition("text", "")
	required.Set("required", true)
	optional := definition("number", "integer")
	optional.Set("key", "7") // which is an integer as a key of an array
	definitions := []*Resource{required, optional}
	tests := []struct {
		name      string
		old, sent *value.Array
		creating  bool
		want      string
		problems  []string
	}{
		{"all", nil, value.Map("answer", "yes", "7", 1), true, `{"answer":"yes","7":1}`, nil},
		{"required missing", nil, value.Map("7", 1), true, "", []string{"answer"}},
		{"required missing on update", value.Map("answer", "old"), value.Map("7", 1), false, `{"answer":"old","7":1}`, nil},
		{"required null", value.Map("answer", "old"), value.Map("answer", nil), false, "", []string{"answer"}},
		{"optional null", value.Map("7", 1), value.Map("7", nil), false, `{"7":null}`, nil},
		{"unknown", nil, value.Map("answer", "yes", "other", 1), true, `{"answer":"yes"}`, nil},
		{"without definition", value.Map("legacy", 1), value.Map("legacy", 2), false, `{"legacy":1}`, nil},
		{"several wrong", nil, value.Map("answer", 5, "7", "x"), true, "", []string{"answer", "7"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			invalid := &bugle.InvalidError{}
			got := ReadCustom(definitions, test.old, test.sent, test.creating, invalid)
			wantProblems(t, invalid, test.problems...)
			if text := mustJSON(got); test.problems == nil && text != test.want {
				t.Errorf("got %s, want %s", text, test.want)
			}
		})
	}
}

func wantProblems(t *testing.T, invalid *bugle.InvalidError, fields ...string) {
	t.Helper()
	var got []string
	for _, p := range invalid.Problems {
		got = append(got, p.Field)
	}
	if !slices.Equal(got, fields) {
		t.Errorf("problems are with %q, want %q: %v", got, fields, invalid.Problems)
	}
}

// Whatever an organization puts into rules, and whatever is sent, is judged.
func FuzzRules(f *testing.F) {
	f.Add("required|string|max:20", `"text"`)
	f.Add("numeric|between:1,", `1e300`)
	f.Add("size:-1|in:|digits:99999999999999999999", `[{"a":[]}]`)
	f.Fuzz(func(t *testing.T, rules, sent string) {
		v, err := value.Decode([]byte(sent))
		if err != nil {
			t.Skip("the fuzzer made what is no JSON")
		}
		CheckRules(rules)
		for _, fieldType := range fieldTypes {
			checkCustom(definition(fieldType.(string), rules), "answer", v)
		}
	})
}
