package twig

import (
	"errors"
	"testing"
)

// Whatever is written, it is refused with a place in it, or rendered within its limits, and nothing
// panics.
func FuzzRender(f *testing.F) {
	for _, source := range []string{
		"", "{{ model.name|upper }} {{ x ?? 'y' }}", "{% for k, v in map %}{{ loop.index }}{% else %}{% endfor %}", "{%- set a = [1, ...list] -%}{{ a|join(',', ' and ') }}",
		"{% macro m(a, b = 2) %}{{ a }}{% endmacro %}{{ _self.m(1) }}", "{{ list|map(v => v ** 2)|filter((v, k) => k > 0)|reduce((a, b) => a + b) }}", "{# c #}{% verbatim %}{{{% endverbatim %}",
		`{{ "a#{five ~ "b"}" }}`, "{{ now|date('D, d M Y H:i:s')|date_modify('+1 day') }}", "{% apply upper|escape('js') %}x{% endapply %}", "{{ text[1:2] ~ list[-1:]|first }}",
		"{{ '%05.2f|%s'|format(1.5, text) }}", "{% if a is not defined and 6 is divisible by(3) %}{% elseif 1 %}{% endif %}", "{% block b %}{{ block('b') }}{% endblock %}", "{{ range(1, 1e9)|length }}",
	} {
		f.Add(source)
	}
	const short = 1000 // a long one is a short part many times, which takes the fuzzer's time and teaches it nothing
	for _, tt := range hostile {
		f.Add(tt.source[:min(len(tt.source), short)])
	}
	limits := Limits{Steps: 50000, Bytes: 1 << 20, Output: 10000}
	f.Fuzz(func(t *testing.T, source string) {
		for _, strategy := range []string{"", "html"} {
			text, err := render(source, Options{Autoescape: strategy, Limits: limits})
			var placed *Error
			if err != nil && (!errors.As(err, &placed) || placed.Line < 1 || placed.Column < 1 || placed.Message == "") {
				t.Errorf("%q fails with %v, which says no place", source, err)
			}
			if len(text) > limits.Output {
				t.Errorf("%q puts out %d bytes", source, len(text))
			}
		}
	})
}
