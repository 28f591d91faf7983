package twig

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

const (
	tooManySteps = "it takes too many steps"
	tooLong      = "it takes too"        // many steps, or long: whichever comes first
	tooMuch      = "it makes too much"   // text
	tooDeep      = "it calls itself too" // deeply
	tooNested    = "it is nested more than"
	unclosed     = "is not closed"
)

var again = strings.Repeat

// shared is an array of two that are the same, of two that are the same, and so on: 2^40 items in all. other
// is one like it that shares nothing with it.
const (
	shared = "{% set a = [1] %}{% for i in 1..40 %}{% set a = [a, a] %}{% endfor %}"
	other  = "{% set b = [1] %}{% for i in 1..40 %}{% set b = [b, b] %}{% endfor %}"
	merged = "{% set a = {k: 1} %}{% for i in 1..40 %}{% set a = {x: a}|merge({y: a}) %}{% endfor %}"
	remade = "{% set b = {k: 1} %}{% for i in 1..40 %}{% set b = {x: b}|merge({y: b}) %}{% endfor %}"
	deep   = "{% set a = 1 %}{% set b = 1 %}{% for i in 1..50000 %}{% set a = [a] %}{% set b = [b] %}{% endfor %}"
	long   = "{% set s = 'x' %}{% for i in 1..20 %}{% set s = s ~ s %}{% endfor %}" // a megabyte
	digits = "{% set s = '1' %}{% for i in 1..20 %}{% set s = s ~ s %}{% endfor %}"
	many   = "{% set l = 1..100000 %}"
)

// hostile are templates that are nested too deeply, never end, or make too much, with what is to come of
// it: an error that begins so, or a text within the limits.
var hostile = []struct{ name, source, want string }{
	// nesting
	{"ifs", again("{%if 1%}", 130000), "the template is too long"},
	{"ifs that end", again("{% if 1 %}", 20000) + again("{% endif %}", 20000), tooNested},
	{"fors", again("{% for i in [1] %}", 10000), tooNested},
	{"withs", again("{% with %}", 10000), tooNested},
	{"sets", again("{% set a %}", 10000), tooNested},
	{"applies", again("{% apply upper %}", 10000), tooNested},
	{"autoescapes", again("{% autoescape %}", 10000), tooNested},
	{"sandboxes", again("{% sandbox %}", 10000), tooNested},
	{"macros", again("{% macro m() %}", 10000), tooNested},
	{"guards", again("{% guard filter upper %}", 10000), tooNested},
	{"guards of nothing", again("{% guard filter x %}", 10000), "{% endguard %} is missing"},
	{"brackets", "{{ " + again("(", 200000), "the template is too long"},
	{"brackets that close", "{{ " + again("(", 50000) + "1" + again(")", 50000) + " }}", tooNested},
	{"lists", "{{ " + again("[", 50000) + again("]", 50000) + " }}", tooNested},
	{"maps", "{{ " + again("{a:", 30000) + "1" + again("}", 30000) + " }}", tooNested},
	{"subscripts", "{{ a" + again("[a", 30000) + again("]", 30000) + " }}", tooNested},
	{"calls", "{{ " + again("max(", 30000) + "1" + again(")", 30000) + " }}", tooNested},
	{"members in brackets", "{{ a" + again(".(a", 30000) + again(")", 30000) + " }}", tooNested},
	{"nots", "{{ " + again("not ", 100000) + "1 }}", tooNested},
	{"minuses", "{{ " + again("- ", 100000) + "1 }}", tooNested},
	{"powers", "{{ 1" + again(" ** 1", 50000) + " }}", tooNested},
	{"ternaries", "{{ 1" + again(" ? 1 : 1", 40000) + " }}", tooNested},
	{"ternaries within", "{{ " + again("1 ? ", 40000) + "1" + again(" : 1", 40000) + " }}", tooNested},
	{"elvises", "{{ 0" + again(" ?: 0", 40000) + " }}", tooNested},
	{"coalescing", "{{ a" + again(" ?? a", 40000) + " }}", tooNested},
	{"assignments", "{% do " + again("a = ", 40000) + "1 %}", tooNested},
	{"arrows", "{{ [1]|map(" + again("v => ", 40000) + "1) }}", tooNested},
	{"texts in texts", "{{ " + again(`"#{`, 100000) + "1" + again(`}"`, 100000) + " }}", tooNested},
	{"tests", "{{ 1" + again(" is same as(1", 20000) + again(")", 20000) + " }}", tooNested},
	// chains, which are not nested
	{"sums", "{{ 1" + again(" + 1", 30000) + " }}", ""},
	{"concatenations", "{{ 1" + again(" ~ 1", 30000) + " }}", tooMuch},
	{"filters", "{{ 'a'" + again("|upper", 30000) + " }}", ""},
	{"filters of arrays", "{{ [1]" + again("|reverse", 30000) + "|length }}", ""},
	{"members", "{{ a" + again(".a", 30000) + " }}", ""},
	{"subscripts behind each other", "{{ a" + again("[0]", 30000) + " }}", ""},
	{"tests behind each other", "{{ 1" + again(" is odd", 30000) + " }}", ""},
	{"elseifs", "{% if 0 %}" + again("{% elseif 0 %}", 20000) + "{% endif %}", ""},
	{"blocks", func() string {
		var b strings.Builder
		for i := range 10000 {
			fmt.Fprintf(&b, "{%% block b%d i %%}", i)
		}
		return b.String()
	}(), ""},
	{"loops over variables", func() string {
		var b strings.Builder
		for i := range 10000 {
			fmt.Fprintf(&b, "{%% set v%d = 1 %%}", i)
		}
		return b.String() + "{% for i in 1..30000 %}{% for j in [1] %}{{ loop.parent.v1 }}{% endfor %}{% endfor %}"
	}(), "it "},
	// arrays that share their items
	{"shared ==", shared + other + "{{ a == b }}", tooLong},
	{"shared !=", shared + other + "{{ a != b }}", tooLong},
	{"shared ===", shared + other + "{{ a === b }}", tooLong},
	{"shared !==", shared + other + "{{ a !== b }}", tooLong},
	{"shared <=>", shared + other + "{{ a <=> b }}", tooLong},
	{"shared <", shared + other + "{{ a < b }}", tooLong},
	{"shared >=", shared + other + "{{ a >= b }}", tooLong},
	{"shared in", shared + other + "{{ a in [1, b] }}", tooLong},
	{"shared not in", shared + other + "{{ a not in [1, b] }}", tooLong},
	{"shared same as", shared + other + "{{ a is same as(b) }}", tooLong},
	{"shared with itself", shared + "{{ a == a ? 'same' }}{{ a === a ? 'same' }}{{ a <=> a }}", ""},
	{"shared sort", shared + other + "{{ [a, b, a]|sort|length }}", tooLong},
	{"shared sort by arrow", shared + other + "{{ [a, b]|sort((x, y) => x <=> y)|length }}", tooLong},
	{"shared max", shared + other + "{{ max(a, b)|length }}", tooLong},
	{"shared min", shared + other + "{{ min([a, b])|length }}", tooLong},
	{"shared +", shared + other + "{{ (a + b)|length }}", ""},
	{"shared merge", shared + other + "{{ a|merge(b)|length }}", ""},
	{"shared json_encode", shared + "{{ a|json_encode }}", "it "},
	{"shared url_encode", shared + "{{ a|url_encode }}", "it "},
	{"shared join", shared + "{{ a|join }}", "a list of 2 items cannot be used as a text"},
	{"shared ~", shared + "{{ a ~ 'x' }}", "a list of 2 items cannot be used as a text"},
	{"shared {{ }}", shared + "{{ a }}", "a list of 2 items cannot be used as a text"},
	{"shared interpolated", shared + `{{ "#{a}" }}`, "a list of 2 items cannot be used as a text"},
	{"shared in has some", shared + other + "{{ [b] has some v => v == a }}", tooLong},
	{"shared in filter", shared + other + "{{ [b]|filter(v => v == a)|length }}", tooLong},
	{"shared in reduce", "{{ (1..60)|reduce((c, v) => [c, c], 1)|json_encode }}", "it "},
	{"shared first, last, slice, keys, batch, column, reverse", shared + "{{ [a|first, a|last, a|slice(0, 1), a|keys, a|batch(1), a|column(0), a|reverse]|length }}{{ a is iterable }}{{ a is empty }}", ""},
	{"shared and compared with another kind", shared + "{{ a == 1 }}{{ a < 'x' }}{{ a == null }}", ""},
	{"shared as a key", shared + "{{ {(a): 1} }}", "a list of 2 items cannot be a key"},
	{"shared and merged ==", merged + remade + "{{ a == b }}", tooLong},
	{"shared and merged <", merged + remade + "{{ a < b }}", tooLong},
	{"shared and merged json_encode", merged + "{{ a|json_encode(128) }}", "it "},
	{"shared by a macro", "{% macro m(a, n) %}{{ n > 0 ? _self.m([a, a], n - 1) : a|json_encode|length }}{% endmacro %}{{ _self.m(1, 40) }}", "it "},
	{"deep ==", deep + "{{ a == b }}", "arrays that are nested more than 10000 deep"},
	{"deep ===", deep + "{{ a === b }}", "arrays that are nested more than 10000 deep"},
	{"deep <=>", deep + "{{ a <=> b }}", "arrays that are nested more than 10000 deep"},
	{"deep json_encode", deep + "{{ a|json_encode }}", "arrays are nested more than 512 deep"},
	{"deep url_encode", deep + "{{ a|url_encode }}", "arrays are nested more than 512 deep"},
	{"large maps ==", "{% set a = {x: 1, ...(1..50000)} %}{% set b = {...(1..50000), x: 1} %}{% for i in 1..10000 %}{{ a == b }}{% endfor %}", tooLong},
	{"large maps read", "{% set a = {x: 1, ...(1..50000)} %}{% for i in 1..200000 %}{{ a.y }}{% endfor %}", ""},
	{"context in context", "{% set c = 1 %}{% for i in 1..60 %}{% set c = [_context, _context] %}{% endfor %}{{ c|json_encode }}", "it "},
	{"loop of loops", "{% for i in [1] %}{% for j in [1] %}{{ loop|json_encode|length > 100 }}{{ _context|json_encode|length > 100 }}{% endfor %}{% endfor %}", ""},
	// texts
	{"~ doubles", "{% set s = 'x' %}{% for i in 1..60 %}{% set s = s ~ s %}{% endfor %}", tooMuch},
	{"interpolation doubles", `{% set s = 'x' %}{% for i in 1..60 %}{% set s = "#{s}#{s}" %}{% endfor %}`, tooMuch},
	{"set doubles", "{% set s = 'x' %}{% for i in 1..60 %}{% set s %}{{ s }}{{ s }}{% endset %}{% endfor %}", tooMuch},
	{"join doubles", "{% set s = 'x' %}{% for i in 1..60 %}{% set s = [s, s]|join %}{% endfor %}", tooMuch},
	{"replace doubles", "{% set s = 'x' %}{% for i in 1..60 %}{% set s = s|replace({x: 'xx'}) %}{% endfor %}", "it "},
	{"format doubles", "{% set s = 'x' %}{% for i in 1..60 %}{% set s = '%s%s'|format(s, s) %}{% endfor %}", tooMuch},
	{"reduce doubles", "{{ (1..60)|reduce((c, v) => c ~ c, 'x') }}", tooMuch},
	{"macro doubles", "{% macro m(s, n) %}{{ n > 0 ? _self.m(s ~ s, n - 1) : s }}{% endmacro %}{{ _self.m('xxxxxxxx', 45) }}", "it "},
	{"apply doubles", "{% set s = 'x' %}{% for i in 1..60 %}{% set s %}{% apply upper %}{{ s }}{{ s }}{% endapply %}{% endset %}{% endfor %}", "it "},
	{"json doubles", `{% set s = '"' %}{% for i in 1..60 %}{% set s = s|json_encode %}{% endfor %}`, "it "},
	{"url doubles", "{% set s = '%' %}{% for i in 1..60 %}{% set s = s|url_encode|url_encode %}{% endfor %}{% for i in 1..30 %}{% set s = s ~ s|url_encode %}{% endfor %}", "it "},
	{"escape grows", "{% set s = '&' %}{% for i in 1..100000 %}{% set s = s|e|e('js')|e('css')|e('html_attr') %}{% endfor %}", "it "},
	{"long glue", long + "{{ (1..1000)|join(s) }}", tooMuch},
	{"long split", long + "{{ s|split('')|length }}", tooMuch},
	{"long split by itself", long + "{% for i in 1..100000 %}{% set x = s|split('xy') %}{% endfor %}", tooLong},
	{"long ==", long + "{% set t = s ~ '' %}{% for i in 1..100000 %}{% set x = s == t %}{% endfor %}", tooLong},
	{"long === in arrays", long + "{% set t = s ~ '' %}{% for i in 1..100000 %}{% set x = [s] === [t] %}{% endfor %}", tooLong},
	{"long <", long + "{% set t = s ~ 'y' %}{% for i in 1..100000 %}{% set x = s < t %}{% endfor %}", tooLong},
	{"long in", long + "{% for i in 1..100000 %}{% set x = 'y' in s %}{% endfor %}", tooLong},
	{"long starts with", long + "{% for i in 1..100000 %}{% set x = s starts with s %}{% endfor %}", tooLong},
	{"long length", long + "{% for i in 1..100000 %}{% set x = s|length %}{% endfor %}", tooLong},
	{"long trim", long + "{% for i in 1..100000 %}{% set x = s|trim('x') %}{% endfor %}", tooLong},
	{"long key", long + "{% for i in 1..100000 %}{% set x = {a: 1}[s] %}{% endfor %}", tooLong},
	{"long number +", digits + "{% for i in 1..100000 %}{% set x = s + 1 %}{% endfor %}", tooLong},
	{"long number round", digits + "{% for i in 1..100000 %}{% set x = s|round %}{% endfor %}", tooLong},
	{"long number abs", digits + "{% for i in 1..100000 %}{% set x = s|abs %}{% endfor %}", tooLong},
	{"long number is odd", digits + "{% for i in 1..100000 %}{% set x = s is odd %}{% endfor %}", tooLong},
	{"long number ==", digits + "{% for i in 1..100000 %}{% set x = s == 1 %}{% endfor %}", tooLong},
	{"long number == text", digits + "{% for i in 1..100000 %}{% set x = s == '1' %}{% endfor %}", tooLong},
	{"long number increment", digits + "{% for i in 1..100000 %}{% set x = s|increment %}{% endfor %}", tooLong},
	{"long number in a range", digits + "{% for i in 1..100000 %}{% set x = range(s, s) %}{% endfor %}", "a range from"},
	{"long upper", long + "{% for i in 1..1000 %}{% set x = s|upper|lower|title|capitalize %}{% endfor %}", "it "},
	{"long plural", long + "{{ s|plural }}{{ s|singular|length }}", "it puts out more than"},
	{"long reverse", long + "{% for i in 1..1000 %}{% set x = s|reverse %}{% endfor %}", "it "},
	{"long slug", long + "{% for i in 1..1000 %}{% set x = s|slug %}{% endfor %}", "it "},
	{"long striptags", "{% set s = '<' %}{% for i in 1..20 %}{% set s = s ~ s %}{% endfor %}{% for i in 1..1000 %}{% set x = s|striptags %}{% endfor %}", "it "},
	{"long spaceless", "{% set s = '> ' %}{% for i in 1..19 %}{% set s = s ~ s %}{% endfor %}{% for i in 1..1000 %}{% set x = s|spaceless %}{% endfor %}", "it "},
	{"long nl2br", `{% set s = "\n" %}{% for i in 1..20 %}{% set s = s ~ s %}{% endfor %}{{ s|nl2br }}`, "it "},
	{"long convert_encoding", long + "{% for i in 1..100000 %}{% set x = s|convert_encoding('UTF-8', 'UTF-8') %}{% endfor %}", tooLong},
	{"replace with long keys", long + "{{ s|replace({(s|slice(0, 5000) ~ 'y'): '', (s|slice(0, 4000) ~ 'z'): ''})|length }}", tooLong},
	{"escapes", `{{ "` + again(`\x41`, 200000) + `" }}`, ""},
	{"a text with a long comment", "{#" + again("x{#", 300000) + "#}", ""},
	// ranges, loops and numbers
	{"range", "{{ range(1, 1e15)|length }}", "a range from"},
	{"range ..", "{{ (1..9223372036854775807)|length }}", "a range from"},
	{"range down", "{{ (9223372036854775807..-9223372036854775807)|length }}", "a range from"},
	{"range that fits", "{{ (1..100000000)|length }}", tooMuch},
	{"range with a small step", "{{ range(0, 1, 1e-300)|length }}", "a range from"},
	{"loops in loops", many + "{% for i in l %}{% for j in l %}{% for k in l %}{% endfor %}{% endfor %}{% endfor %}", tooLong},
	{"a long output", many + "{% for i in l %}{{ i }}{% endfor %}", "it puts out more than"},
	{"maps in maps", "{{ (1..1000)|map(a => (1..1000)|map(b => (1..1000)|map(c => 1)))|length }}", "it "},
	{"filters in filters", many + "{{ l|filter(a => l|filter(b => l has every c => 1))|length }}", tooLong},
	{"sort of sorts", many + "{{ l|sort((a, b) => l|sort|length)|length }}", "it "},
	{"sort without order", "{{ (1..10000)|sort((a, b) => 1)|length }}", ""},
	{"batch", "{{ [1]|batch(9223372036854775807, 'x')|length }}", tooMuch},
	{"batches", many + "{% for i in 1..100 %}{% set x = l|batch(1) %}{% endfor %}", tooMuch},
	{"slices", many + "{% for i in 1..100000 %}{% set x = l|slice(0, 1) %}{% endfor %}", tooLong},
	{"lasts", many + "{% for i in 1..100000 %}{% set x = l|last %}{% endfor %}", tooLong},
	{"ins", many + "{% for i in 1..100000 %}{% set x = 0 in l %}{% endfor %}", tooLong},
	{"sequences", "{% set l = {x: 1, ...(1..90000)} %}{% for i in 1..100000 %}{% set x = l is sequence %}{% endfor %}", tooLong},
	{"spreads", many + "{% for i in 1..100000 %}{% set x = max(...l) %}{% endfor %}", "it "},
	{"spread doubles", "{% set l = [1] %}{% for i in 1..60 %}{% set l = [...l, ...l] %}{% endfor %}", tooMuch},
	{"merge doubles", "{% set l = [1] %}{% for i in 1..60 %}{% set l = l|merge(l) %}{% endfor %}", "it "},
	{"contexts", many + "{% for i in l %}{% set x = _context %}{% endfor %}", "it "},
	{"power", "{{ 9 ** 9 ** 9 ** 9 }}", ""},
	{"round to many places", "{{ 1.5|round(9223372036854775807) }}{{ 1.5|round(-9223372036854775807) }}{{ 1.5|round(1e300, 'ceil') }}", ""},
	{"number_format with many places", "{{ 1|number_format(9223372036854775807) }}", tooMuch},
	{"number_format of a large number", "{{ 1e308|number_format(500, '.', ',') }}", ""},
	{"number_format with a long separator", long + "{{ 1e300|number_format(0, '.', s)|length }}", tooMuch},
	{"format with a width", "{{ '%2147483647d'|format(1) }}", tooMuch},
	{"format with a precision", "{{ '%.2147483647f'|format(1.5) }}", ""},
	{"format with a width that overflows", "{{ '%99999999999999999999d'|format(1) }}", "the number 99999999999999999999"},
	{"format with many directives", "{{ ('%s'|split('')|join ~ '" + again("%1$s", 100000) + "')|format('xxxxxxxxxx') }}", "it puts out more than"},
	{"format_number with many places", "{{ 1.5|format_number({fraction_digit: 2147483647}) }}", ""},
	// dates
	{"date of a large number", "{{ 1e300|date }}", "the timestamp"},
	{"date of digits", "{{ '" + again("9", 100000) + "'|date }}", "the timestamp"},
	{"date of a long text", "{{ '" + again("+1 day ", 100000) + "'|date }}", "date text"},
	{"date beyond all years", "{{ 'now'|date_modify('+999999999 years') }}", "the date is not between"},
	{"date with many parts", "{{ 'now'|date_modify('" + again("+9999999 years ", 13) + "') }}", "the date is not between"},
	{"date of many weekdays", "{{ 'now'|date_modify('+99999999 weekdays') }}", "the date is not between"},
	{"date with a long format", long + "{{ now|date(s) }}", tooMuch},
	{"dates", "{% for i in 1..100000 %}{% set x = 'last monday of next month'|date_modify('+1 day')|date %}{% endfor %}", tooLong},
	{"time zone", "{{ now|date('Y', '../../../etc/passwd') }}", "there is no time zone"},
	// regular expressions
	{"catastrophic matches", "{{ '" + again("a", 40) + "!' matches '/^(a+)+$/' }}", "the pattern"},
	{"matches in a loop", "{% for i in 1..100000 %}{% set x = '" + again("a", 16) + "!' matches '/^(a+)+$/' %}{% endfor %}", "takes"},
	{"matches of other patterns each", "{% for i in 1..100000 %}{% set x = 'a' matches '/" + again("(a|b)*", 100) + "' ~ i ~ '/' %}{% endfor %}", "takes"},
	{"matches of a long text", long + "{% for i in 1..1000 %}{% set x = s matches '/y$/' %}{% endfor %}", "it "},
	{"matches of too long a text", long + "{{ (s ~ 'x') matches '/y$/' }}", "a text of more than 1048576 bytes is not matched"},
	{"a long pattern", long + "{{ 'a' matches '/' ~ s ~ '/' }}", "the pattern"},
	{"a pattern of quantifiers", "{{ 'a' matches '/" + again("a++", 2000) + "/' }}", ""},
	{"a pattern of numbers", "{{ 'a' matches '/" + again("1", 10000) + "/' }}", ""},
	{"a pattern of groups", "{{ 'a' matches '/" + again("(", 1000) + again(")", 1000) + "/' }}", ""},
	{"a pattern that repeats repetitions", "{{ '" + again("a", 5000) + "' matches '/((a{1,1000}){1,1000}){1,1000}b/' }}", "the pattern"},
	// calls
	{"macro of itself", "{% macro m() %}{{ _self.m() }}{% endmacro %}{{ _self.m() }}", tooDeep},
	{"macro of itself, twice", "{% macro m(n) %}{% if n > 0 %}{{ _self.m(n - 1) }}{{ _self.m(n - 1) }}{% endif %}{% endmacro %}{{ _self.m(45) }}", tooLong},
	{"macros of each other", "{% macro a() %}{{ _self.b() }}{% endmacro %}{% macro b() %}{{ _self.a() }}{% endmacro %}{{ _self.a() }}", tooDeep},
	{"macro by its imported name", "{% from _self import m %}{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", tooDeep},
	{"macro in its default", "{% macro m(a = _self.m()) %}{% endmacro %}{{ _self.m() }}", tooDeep},
	{"macro in an arrow", "{% macro m() %}{{ [1]|map(v => _self.m())|join }}{% endmacro %}{{ _self.m() }}", tooDeep},
	{"macro in a loop", many + "{% macro m(l) %}{% for i in l %}{{ _self.m(l) }}{% endfor %}{% endmacro %}{{ _self.m(l) }}", tooDeep},
	{"block of itself", "{% block b %}{{ block('b') }}{% endblock %}", tooDeep},
	{"block of itself, twice", "{% set n = 45 %}{% block b %}{% set n = n - 1 %}{% if n > 0 %}{{ block('b') }}{{ block('b') }}{% endif %}{% endblock %}", tooLong},
	{"arrow of itself", "{% set f = g => [g]|map(g) %}{{ [f]|map(f) }}", tooDeep},
	{"arrow of itself, twice", "{% set f = g => [g, g]|map(g) %}{{ [f]|map(f) }}", tooDeep},
	{"sort by an arrow of itself", "{% set f = (g, h) => [g, h]|sort(g) %}{{ [f, f]|sort(f) }}", tooDeep},
	{"has some by an arrow of itself", "{% set f = g => [g] has some g %}{{ [f] has some f }}", tooDeep},
	{"macro with many arguments", many + "{% macro m() %}{{ varargs|length }}{% endmacro %}{% for i in l %}{% set x = _self.m(...l) %}{% endfor %}", "it "},
	// what is not closed
	{"open {{", again("{{", 100000), unclosed},
	{"open {%", again("{% ", 100000), unclosed},
	{"open {#", again("{#", 100000), "the comment is not closed"},
	{"open verbatim", again("{% verbatim %}", 50000), "{% verbatim %} is not closed"},
	{"open text", "{{ '" + again(`\'`, 100000), "the text is not closed"},
	{"open interpolation", `{{ "#{` + again("(", 1000), unclosed},
	{"open brackets of all kinds", "{{ " + again("([{", 30000), unclosed},
	{"open call", "{{ max(1", unclosed},
	{"open arrow", "{{ [1]|map((a, b", unclosed},
	{"open if", "{% if 1 %}{% else %}", "{% endif %} is missing"},
	{"open for", "{% for a in b %}{% else %}", "{% endfor %} is missing"},
	{"open macro", "{% macro m(a", unclosed},
	{"only a sign", "{{ -", "the tag is not closed"},
	{"spaces in operators", "{{ 1 is" + again(" ", 500000) + "not odd }}", ""},
	{"a long name", "{{ " + again("a", 500000) + "() }}", "there is no function"},
	{"a long number", "{{ 1" + again("_1", 200000) + " }}", ""},
}

func TestRender_hostile(t *testing.T) {
	if len(hostile) < 80 {
		t.Fatalf("there are %d templates", len(hostile))
	}
	for _, tt := range hostile {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			text, err := renderOrFail(t, tt.source)
			var placed *Error
			switch {
			case err == nil && tt.want != "":
				t.Errorf("it is rendered as %.100q, want %q", text, tt.want)
			case err != nil && (!errors.As(err, &placed) || placed.Line < 1 || placed.Column < 1):
				t.Errorf("it fails with %v, which says no place", err)
			case err != nil && (tt.want == "" || !strings.HasPrefix(err.Error(), tt.want) && !strings.Contains(err.Error(), " "+tt.want)):
				t.Errorf("it fails with %.200v, want %q", err, tt.want)
			}
		})
	}
}

// renderOrFail renders a template, with so few steps and so much time that it is the steps that end it on a
// slow machine, too. One that hangs, which no limit should allow, fails the test.
func renderOrFail(t *testing.T, source string) (text string, err error) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		text, err = render(source, Options{Limits: Limits{Steps: 250000, Time: time.Second}})
	}()
	select {
	case <-done:
	case <-time.After(time.Minute):
		t.Fatal("it hangs")
	}
	return text, err
}
