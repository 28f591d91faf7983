package twig

import (
	"maps"
	"slices"
	"strings"
	"testing"
)

// Whatever can be written has a description, in order, and nothing else has.
func TestReference(t *testing.T) {
	named := func(names ...string) []string { slices.Sort(names); return names }
	want := map[string][]string{
		Filter:   named(slices.Collect(maps.Keys(filters))...),
		Function: named(append(slices.Collect(maps.Keys(functions)), "attribute", "block")...), // which the parser knows itself
		Test:     named(append(slices.Collect(maps.Keys(tests)), "defined")...),
		Tag:      named(slices.Collect(maps.Keys(tags))...),
	}
	got := map[string][]string{}
	for _, e := range Reference() {
		got[e.Kind] = append(got[e.Kind], e.Name)
		if !strings.HasSuffix(e.Description, ".") || !strings.Contains(e.Signature, e.Name) {
			t.Errorf("%+v", e)
		}
	}
	for kind, names := range want {
		if !slices.Equal(got[kind], names) {
			t.Errorf("described is each %s of\n     %q\nwant %q", kind, got[kind], names)
		}
	}
	if len(got) != len(want) {
		t.Errorf("kinds: %v", got)
	}
}

// Each tag is written as the reference says.
func TestReference_tags(t *testing.T) {
	for name, form := range tagForms {
		source := strings.NewReplacer("…", "x", "apply filter", "apply upper", "filter name", "filter upper").Replace(form)
		if strings.HasPrefix(source, "{% from") {
			source = "{% macro name() %}{% endmacro %}" + source
		}
		if _, err := Compile(source, Options{}); err != nil {
			t.Errorf("%s: %s: %v", name, source, err)
		}
	}
}

func TestReference_signatures(t *testing.T) {
	want := map[string]string{
		"filter slice": "|slice(start[, length[, preserve_keys]])", "filter upper": "|upper", "filter format": "|format(…)", "filter join": "|join([glue[, and]])",
		"function max": "max(value, …)", "function random": "random([values[, max]])", "function block": "block(name)", "test divisible by": "is divisible by(by)",
		"test empty": "is empty", "test defined": "is defined", "tag stop": "{% stop %}",
	}
	for _, e := range Reference() {
		if signature, ok := want[e.Kind+" "+e.Name]; ok && signature != e.Signature {
			t.Errorf("%s %s is written %s, want %s", e.Kind, e.Name, e.Signature, signature)
		}
	}
}
