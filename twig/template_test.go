package twig

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/buglehq/bugle/value"
)

var rendered = time.Date(2026, 1, 14, 12, 0, 0, 0, time.UTC)

// variables are what the tests' templates can use.
func variables() *value.Array {
	return value.Map(
		"model", value.Map("id", int64(7), "name", "Jane <Roe>", "rank", value.Map("name", "Sergeant", "order", int64(5)), "notes", nil, "tags", value.List("a", "b", "c")),
		"list", value.List(int64(1), int64(2), int64(3)), "map", value.Map("x", "1", "y", "2"), "five", int64(5), "html", "<b>", "empty", value.NewArray(0), "yes", true, "no", false,
		"now", value.Date{Time: rendered}, "text", "Jane")
}

func render(source string, o Options) (string, error) {
	o.Now = func() time.Time { return rendered }
	t, err := Compile(source, o)
	if err != nil {
		return "", err
	}
	return t.Render(variables())
}

func TestRender(t *testing.T) {
	for source, want := range map[string]string{
		"":                        "",
		"plain { text } % #":      "plain { text } % #",
		"a {{ five }} b":          "a 5 b",
		"{{ 'a' ~ five ~ 1.50 }}": "a51.5",
		"{{ true }}{{ false }}{{ null }}{{ none }}":                                                                     "1",
		"{{ missing }}{{ missing.x.y }}{{ model.missing }}{{ five.x }}":                                                 "",
		"{{ model.name }} {{ model['name'] }} {{ model.rank.name }}":                                                    "Jane <Roe> Jane <Roe> Sergeant",
		"{{ model.rank.name ?? 'none' }} {{ model.x.y ?? 'none' }} {{ missing ?? 'none' }} {{ model.notes ?? 'none' }}": "Sergeant none none none",
		"{{ list.0 }}{{ list[1] }}{{ model.tags[2] }}":                                                                  "12c",
		"{{ model.('na' ~ 'me') }}":                                                                                     "Jane <Roe>",
		"{{ model?.name }}{{ missing?.name }}":                                                                          "Jane <Roe>",
		"{{ attribute(model, 'id') }}":                                                                                  "7",
		"{{ now }} {{ now.timestamp }} {{ now.format('Y') }}":                                                           "2026-01-14 12:00:00 1768392000 2026",
		// operators
		"{{ 1 + 2 * 3 }} {{ (1 + 2) * 3 }} {{ 7 // 2 }} {{ -7 // 2 }} {{ 7 % 3 }} {{ 2 ** 3 ** 2 }} {{ 7 / 2 }}": "7 9 3 -4 1 512 3.5",
		"{{ 1 == '1' ? 'a' : 'b' }}{{ five ? 'c' }}{{ no ?: 'd' }}{{ no ? 'e' }}":                                "acd",
		"{{ not no and yes ? 1 : 0 }}{{ (yes xor yes) ? 1 : 0 }}{{ (no or five) ? 1 : 0 }}":                      "101",
		"{{ 1 in list ? 1 : 0 }}{{ '1' in list ? 1 : 0 }}{{ 'an' in text ? 1 : 0 }}{{ 9 not in list ? 1 : 0 }}":  "1111",
		"{{ text starts with 'J' ? 1 : 0 }}{{ text ends with 'x' ? 1 : 0 }}{{ text matches '/^j/i' ? 1 : 0 }}":   "101",
		"{{ 1 <=> 2 }} {{ 5 b-and 3 }} {{ 5 b-or 3 }} {{ 5 b-xor 3 }}":                                           "-1 1 7 6",
		"{{ list has some v => v > 2 ? 1 : 0 }}":                                                                 "1",
		"{{ (list has every v => v > 2) ? 1 : 0 }}":                                                              "0",
		"{{ five === 5 ? 1 : 0 }}{{ five !== '5' ? 1 : 0 }}":                                                     "11",
		"{{ (1..3)|join(',') }} {{ ('a'..'c')|join }}":                                                           "1,2,3 abc",
		"{{ -five|upper }}{{ - -five }}":                                                                         "-55",
		`{{ "a#{five}b#{"c#{1}"}" }} {{ 'a#{five}' }} {{ "\x41\n" }}`:                                            "a5bc1 a#{five} A\n",
		// arrays
		"{{ [1, 2, 3,]|join('-') }} {{ {a: 1, 'b': 2, (text): 3, five}|join('-') }} {{ [0, ...list]|join }}": "1-2-3 1-2-3-5 0123",
		"{{ {a: {b: {c: 1}}}.a.b.c }}": "1",
		// filters and tests
		"{{ text|upper }} {{ missing|default('x') }} {{ model.x.y|default('y') }}":                                                                "JANE x y",
		"{{ list|map(v => v * five)|join(',') }} {{ map|map((v, k) => k ~ v)|join(',') }}":                                                        "5,10,15 x1,y2",
		"{{ 4 is even ? 1 : 0 }}{{ 4 is not even ? 1 : 0 }}{{ 6 is divisible by(3) ? 1 : 0 }}{{ 6 is divisible by 4 ? 1 : 0 }}":                   "1010",
		"{{ missing is defined ? 1 : 0 }}{{ model.name is defined ? 1 : 0 }}{{ model.x is defined ? 1 : 0 }}{{ model.x is not defined ? 1 : 0 }}": "0101",
		"{{ now|date('Y-m-d') }} {{ now|date(format='Y') }} {{ now|date(format: 'm') }}":                                                          "2026-01-14 2026 01",
		// white space
		"a {%- if yes -%} b {%- endif -%} c":               "abc",
		"a\n{% if yes %}\nb\n{% endif %}\nc":               "a\nb\nc",
		"a  {{- five -}}  b {{~ five ~}} \n c":             "a5b5\n c",
		"a {# c #}\nb {#- c -#} d":                         "a bd",
		"{% verbatim %}{{ x }}{% if %}{% endverbatim %}!":  "{{ x }}{% if %}!",
		"a {%- verbatim -%} {{ x }} {%- endverbatim -%} b": "a{{ x }}b",
		"a\r\n{% if yes %}\r\nb{% endif %}":                "a\nb",
		// tags
		"{% if no %}a{% elseif five == 5 %}b{% else %}c{% endif %}":                                                                        "b",
		"{% if no %}a{% elseif no %}b{% else %}c{% endif %}":                                                                               "c",
		"{% for v in list %}{{ loop.index }}/{{ loop.length }}:{{ v }}{{ loop.last ? '' : ',' }}{% endfor %}":                              "1/3:1,2/3:2,3/3:3",
		"{% for k, v in map %}{{ k }}={{ v }};{% endfor %}":                                                                                "x=1;y=2;",
		"{% for v in empty %}a{% else %}none{% endfor %}{% for v in missing %}a{% else %}none{% endfor %}":                                 "nonenone",
		"{% for a in list %}{% for b in list %}{{ loop.parent.loop.index }}{{ loop.index }} {% endfor %}{% endfor %}":                      "11 12 13 21 22 23 31 32 33 ",
		"{% set n = 0 %}{% for v in list %}{% set n = n + v %}{% set fresh = 1 %}{% endfor %}{{ n }}{{ fresh }}{{ v }}":                    "6",
		"{% set a, b = 1, 2 %}{{ a }}{{ b }}{% set c %}x{{ five }}{% endset %}{{ c }}":                                                     "12x5",
		"{% do n = 5 %}{{ n }}{{ (m = 2) + m }}":                                                                                           "54",
		"{% with {a: 1} %}{{ a }}{{ five }}{% set b = 2 %}{% endwith %}{{ a }}{{ b }}{% with {a: 1} only %}{{ a }}{{ five }}{% endwith %}": "151",
		"{% apply upper %}a{{ text }}{% endapply %}":                                                                                       "AJANE",
		"{% block b %}x{{ five }}{% endblock %}{{ block('b') }}{% block c five %}{% block d %}{% endblock d %}":                            "x5x55",
		"{{ block('nope') is defined ? 1 : 0 }}":                                                                                           "0",
		"{% macro m(a, b = 2) %}[{{ a }}{{ b }}{{ five }}{{ varargs|join }}]{% endmacro %}{{ _self.m(1) }}{{ _self.m(1, 3, 4, 5) }}{% import _self as f %}{{ f.m() }}{% from _self import m as g %}{{ g(9) }}": "[12][1345][2][92]",
		"{% guard filter upper %}a{% else %}{{ x|nope }}{% endguard %}{% guard function nope %}{{ nope() }}{% else %}b{% endguard %}":                                                                          "ab",
		"{% types {a: 'string'} %}{% deprecated 'x' %}{% flush %}{% sandbox %}a{% endsandbox %}":                                                                                                               "a",
		"{{ _context.text }}{{ _context['five'] }}":                                                "Jane5",
		"{% apply upper %}{{ _context|keys|filter(k => k starts with ' ')|length }}{% endapply %}": "0",
		// arguments and lists that are spread
		"{{ '%s-%s-%s'|format(...list) }} {{ '%s-%s-%s'|format(1, ...[2], ...[3]) }} {{ max(...list) }}":                                                     "1-2-3 1-2-3 3",
		"{{ list|join(...[';', '&']) }} {{ list|join(...{glue: ';', and: '&'}) }} {{ list|join(...[';'], and: '&') }}":                                       "1;2&3 1;2&3 1;2&3",
		"{% macro m(a, b) %}{{ a }}{{ b }}{{ varargs|join }}{% endmacro %}{{ _self.m(...[1, 2, 3, 4]) }} {{ _self.m(b: 1, a: 2) }} {{ _self.m(...{b: 3}) }}": "1234 21 3",
		"{{ [...list, ...[4]]|join }} {{ {a: 1, ...{b: 2}}|keys|join }}":                                                                                     "1234 ab",
		// lists and maps that are taken apart
		"{% do [a, b] = list %}{{ a }}{{ b }} {% do [, c, , d] = list %}{{ c }}{{ d is null ? 'null' }}": "12 2null",
		"{% set [a, b] = [1, 2] %}{% do [a, b] = [b, a] %}{{ a }}{{ b }}":                                "21",
		"{% do {x, y: z} = map %}{{ x }}{{ z }} {% set {five} = {five: 6} %}{{ five }}":                  "12 6",
		"{% do {x} = missing %}{{ x is null ? 'null' }}":                                                 "null",
		"{% do a = b = 3 %}{{ a }}{{ b }}":                                                               "33",
		// words that are operators elsewhere
		"{% for matches in list %}{{ matches }}{% endfor %}{% set in = 4 %}{{ in }}{{ is }}": "1234",
		// arrow functions keep the variables of where they stand
		"{% set n = 2 %}{% set f = v => v * n %}{% set n = 3 %}{{ list|map(f)|join(',') }}":                                      "2,4,6",
		"{% macro m(f) %}{{ [1, 2]|map(f)|join(',') }}{% endmacro %}{% set x, y, z = 1, 2, 3 %}{{ _self.m(v => v + z) }}{{ z }}": "4,53",
		"{% macro m(n) %}{{ n }}{{ n > 0 ? [n - 1]|map(v => _self.m(v))|join }}{% endmacro %}{{ _self.m(3) }}":                   "3210",
		"{{ list|map(v => (n = v)) |join }}{{ n }}":                                                                              "123",
		// what is around a loop, a block or a macro
		"{% for a in list %}{% for b in [1] %}{{ loop.parent.a }}{{ loop.parent.text }}{{ loop.parent.loop.length }} {% endfor %}{% endfor %}":                        "1Jane3 2Jane3 3Jane3 ",
		"{% for a in [1] %}{% for b in [2] %}{% for c in [3] %}{{ loop.parent.loop.parent.loop.parent.five }}{{ loop.parent.b }}{% endfor %}{% endfor %}{% endfor %}": "52",
		"{% block b %}{{ five }}{{ a }}{% endblock %}{% macro m(a) %}{{ block('b') }}{% endmacro %}{{ _self.m(7) }}":                                                  "57",
		"{% from _self import a as b %}{% import _self as t %}{% macro m() %}{{ b() }}{{ t.a() }}{% endmacro %}{% macro a() %}x{% endmacro %}{{ t.m() }}":             "xx",
		"{% macro m(a, b,) %}{{ a }}{{ b }}{% endmacro %}{{ _self.m(1, 2,) }}":                                                                                        "12",
		"{{ [1] is defined ? 1 }}{{ 'a' is defined ? 1 }}":                                                                                                            "11",
	} {
		got, err := render(source, Options{})
		if err != nil || got != want {
			t.Errorf("%s\n is   %q, %v\n want %q", source, got, err, want)
		}
	}
}

func TestRender_escapes(t *testing.T) {
	for source, want := range map[string]string{
		"{{ html }}":         "&lt;b&gt;",
		"{{ html|raw }}":     "<b>",
		"{{ html|escape }}":  "&lt;b&gt;",
		"{{ '<i>' }}":        "<i>",
		"{{ '<i>' ~ html }}": "&lt;i&gt;&lt;b&gt;",
		"{{ yes ? '<i>' : html }}{{ no ? '<i>' : html }}{{ yes ? html|raw : 1 }}": "<i>&lt;b&gt;<b>",
		"{{ html ?? '<i>' }}{{ missing ?? '<i>' }}":                               "&lt;b&gt;<i>",
		"{{ no ?: '<i>' }}":                                             "<i>",
		"{% set a %}<i>{{ html }}{% endset %}{{ a }}":                   "<i>&lt;b&gt;",
		"{% set a = '<i>' %}{{ a }}":                                    "&lt;i&gt;",
		"{% autoescape false %}{{ html }}{% endautoescape %}{{ html }}": "<b>&lt;b&gt;",
		"{% macro m(a) %}<i>{{ a }}{% endmacro %}{{ _self.m(html) }}":   "<i>&lt;b&gt;",
		"{% block b %}<i>{{ html }}{% endblock %}{{ block('b') }}":      "<i>&lt;b&gt;<i>&lt;b&gt;",
		"{% apply upper %}<i>{{ html }}{% endapply %}":                  "&lt;I&gt;&amp;LT;B&amp;GT;",
		`{{ "#{html}" }}`:                                               "&lt;b&gt;",
		"{{ 'a & b'|upper }}":                                           "A &amp; B",
	} {
		got, err := render(source, Options{Autoescape: "html"})
		if err != nil || got != want {
			t.Errorf("%s\n is   %q, %v\n want %q", source, got, err, want)
		}
	}
}

func TestRender_refuses(t *testing.T) {
	for source, want := range map[string]string{
		"{{ x ":                                "the tag is not closed by }} at line 1, column 1",
		"{{ (x }}":                             `"(" is closed by "}" at line 1, column 7`,
		"{{ x) }}":                             `")" closes nothing at line 1, column 5`,
		"{{ 'x }}":                             "the text is not closed by ' at line 1, column 4",
		"{# x":                                 "the comment is not closed by #} at line 1, column 1",
		"{% verbatim %}x":                      "{% verbatim %} is not closed by {% endverbatim %} at line 1, column 1",
		"{{ }}":                                `unexpected "}}" at line 1, column 4`,
		"{{ 1 2 }}":                            `"}}" is missing before "2" at line 1, column 6`,
		"{{ @ }}":                              "unexpected character '@' at line 1, column 4",
		"a\n b {{ x|uper }}":                   `there is no filter "uper" at line 2, column 9; did you mean "upper"?`,
		"{{ rnge(1) }}":                        `there is no function "rnge" at line 1, column 4; did you mean "range"?`,
		"{{ 1 is evn }}":                       `there is no test "evn" at line 1, column 9; did you mean "even"?`,
		"{% fi x %}":                           `there is no tag "fi" at line 1, column 4`,
		"{% if x %}":                           "{% endif %} is missing",
		"{% endif %}":                          `there is no tag "endif" at line 1, column 4`,
		"{% if x %}{% endfor %}":               `there is no tag "endfor" here; endif was expected at line 1, column 14`,
		"{% for 1 in x %}{% endfor %}":         "the name of a variable is missing",
		"{% for in x %}{% endfor %}":           `"in" is missing before "x"`,
		"{{ [1, , 2] }}":                       "an item is missing between commas",
		"{% do [a, 1] = list %}":               "only variables can be given values by =",
		"{% do {(five): a} = map %}":           "needs a key that is a name",
		"{% do [a] = five %}":                  "only arrays can be taken apart, not 5",
		"{{ list|join(...five) }}":             "only arrays can be spread, not 5",
		"{{ list|join(...[1], 2) }}":           "only named arguments can follow those that are spread",
		"{{ list|join(...[1, 2, 3]) }}":        "there are more than 3 arguments",
		"{{ list|join(...{glu: 1}) }}":         `there is no argument "glu"`,
		"{{ text|replace(...[]) }}":            `the argument "from" is needed`,
		"{{ list|map(true => 1) }}":            `"true" cannot be set`,
		"{{ (five + 1) is defined }}":          "only variables, their items and blocks can be defined or not",
		"{% macro m(varargs) %}{% endmacro %}": `the parameter "varargs" is there anyway`,
		"{% macro m(a: 1) %}{% endmacro %}":    `"," is missing before ":"`,
		"{% set f = v => [1]|map(f) %}{{ f is iterable }}{{ [1]|map(f)|join }}": "an arrow function such as",
		"{% do f = v => [1]|map(v) %}{{ [f]|map(f)|join }}":                     "an arrow function such as",
		"{% set true = 1 %}":         `"true" cannot be set`,
		"{% set a, b = 1 %}":         "2 variables are set to 1 values",
		"{% set a, b %}{% endset %}": "several variables are set by =",
		"{% extends 'x' %}":          `the tag "extends" needs other templates, and there are none here`,
		"{% import 'x' as y %}":      "macros can be imported from _self only",
		"{% block a %}{% endblock %}{% block a %}{% endblock %}": `there is a block "a" already`,
		"{{ parent() }}":                            "there is no parent",
		"{{ block('x') }}":                          `there is no block "x" at line 1, column 4`,
		"{{ _self.x() }}":                           `there is no macro "x"`,
		"{{ x|upper(1, 2) }}":                       `the filter "upper" takes at most 1 arguments`,
		"{{ x|date(fromat: 1) }}":                   `the filter "date" has no argument "fromat"; it has date, format, timezone`,
		"{{ range(1) }}":                            `the function "range" needs the argument "high"`,
		"{{ 1 / 0 }}":                               "division by zero at line 1, column 6",
		"{{ list }}":                                "cannot be used as a text at line 1, column 1",
		"{{ 'a' + 1 }}":                             `"a" cannot be calculated with by +`,
		"{{ list|map('strtoupper') }}":              "an arrow function such as v => v.name is needed",
		"{{ list has some 1 }}":                     "an arrow function",
		"{{ five = }}":                              "unexpected",
		"{{ five.x = 1 }}":                          "only a variable can be given a value by =",
		"{% autoescape 'pdf' %}{% endautoescape %}": `there is no strategy "pdf" to escape by`,
		"{% with five %}{% endwith %}":              "with needs a map of variables, not 5",
		"{% for i in 1..100000000 %}{% endfor %}":   "it makes too much text",
		"{% set l = 1..1100 %}{% for i in l %}{% for j in l %}{% endfor %}{% endfor %}": "too many steps",
		"{% set a = 'x' %}{% for i in 1..60 %}{% set a = a ~ a %}{% endfor %}":          "it makes too much text",
		"{% for i in 1..30000 %}aaaaaaaaaaaaaaaaaaaaaaaaa{% endfor %}":                  "it puts out more than 262144 bytes",
		"{% macro m() %}{{ _self.m() }}{% endmacro %}{{ _self.m() }}":                   "it calls itself too deeply",
		"{% block b %}{{ block('b') }}{% endblock %}":                                   "it calls itself too deeply",
		strings.Repeat("{% if 1 %}", 1000):                                              "it is nested more than 150 levels deep",
		"{{ " + strings.Repeat("(", 5000) + "1":                                         "is not closed",
		"{{ " + strings.Repeat("[", 5000) + strings.Repeat("]", 5000) + " }}":           "nested more than 150 levels deep",
		strings.Repeat("{% if 1 %}", 100000):                                            "the template is too long",
		strings.Repeat(" ", 2<<20):                                                      "it is longer than 1048576 bytes",
	} {
		_, err := render(source, Options{})
		var placed *Error
		if err == nil || !strings.Contains(err.Error(), want) || !errors.As(err, &placed) {
			t.Errorf("%.80s\n fails %v\n want  %s", source, err, want)
		}
	}
}

func TestRender_strict(t *testing.T) {
	for source, want := range map[string]string{
		"{{ missing }}": `there is no variable "missing" at line 1, column 4`, "{{ model.x }}": `there is no key "x"`,
	} {
		if _, err := render(source, Options{Strict: true}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", source, err, want)
		}
	}
	for _, source := range []string{"{{ missing ?? 1 }}", "{{ model.x|default(1) }}", "{{ missing is defined ? 0 : 1 }}"} {
		if got, err := render(source, Options{Strict: true}); got != "1" || err != nil {
			t.Errorf("%s is %q, %v", source, got, err)
		}
	}
}
