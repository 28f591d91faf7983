package twig

import (
	"errors"
	"strings"
	"testing"

	"github.com/buglehq/bugle/value"
)

func TestTemplate_Value(t *testing.T) {
	variables := value.Map("n", 5, "list", value.List(1, 2), "text", "a&b", "none", nil)
	for _, tc := range []struct {
		source string
		want   any
	}{
		{"{{ n }}", int64(5)},
		{"{{ n / 2 }}", 2.5},
		{"{{ n > 4 }}", true},
		{"{{ text }}", "a&b"},
		{"{{ none }}", nil},
		{"{{ gone }}", nil},
		{"{{ gone.deeper }}", nil},
		{"{{ list }}", value.List(1, 2)},
		{"{{ 'x'|raw }}", "x"},
	} {
		compiled, err := Compile(tc.source, Options{})
		if err != nil {
			t.Fatal(err)
		}
		got, err := compiled.Value(variables)
		if err != nil || !compiled.IsSingle() || !value.Identical(got, tc.want) {
			t.Errorf("%s: %#v, %v, want %#v", tc.source, got, err, tc.want)
		}
	}
	for _, source := range []string{"", "x", " {{ n }}", "{{ n }}{{ n }}", "{% if n %}{{ n }}{% endif %}"} {
		compiled, err := Compile(source, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if got, err := compiled.Value(variables); compiled.IsSingle() || got != nil || err != nil {
			t.Errorf("%q: %#v, %v, want no value", source, got, err)
		}
	}
	compiled, err := Compile("{{ 1 % 0 }}", Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := compiled.Value(variables); err == nil || !strings.Contains(err.Error(), "line 1") {
		t.Errorf("error %v, want one with its line", err)
	}
}

func TestTemplate_Render_stopped(t *testing.T) {
	for source, stops := range map[string]bool{
		"a{% stop %}b":                         true,
		"{% if n > 4 %}{% stop %}{% endif %}x": true,
		"{% if n > 5 %}{% stop %}{% endif %}x": false,
		"{% for i in 1..3 %}{% if i == 2 %}{% stop %}{% endif %}{% endfor %}": true,
		"{% macro m() %}{% stop %}{% endmacro %}{{ _self.m() }}":              true,
		"{% set t %}{% stop %}{% endset %}":                                   true,
	} {
		compiled, err := Compile(source, Options{Autoescape: "html"})
		if err != nil {
			t.Fatal(err)
		}
		text, err := compiled.Render(value.Map("n", 5))
		if errors.Is(err, ErrStopped) != stops || !stops && text != "x" {
			t.Errorf("%s: %q, %v, want stopped: %v", source, text, err, stops)
		}
	}
	if _, err := Compile("{% stop now %}", Options{}); err == nil {
		t.Error("a stop tag with more in it was accepted")
	}
}
