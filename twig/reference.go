package twig

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"sync"
)

// Kinds of entries.
const (
	Filter   = "filter"
	Function = "function"
	Test     = "test"
	Tag      = "tag"
)

// An Entry describes what templates can be written with.
type Entry struct {
	Kind        string // Filter, Function, Test or Tag
	Name        string
	Signature   string // how it is written: "|slice(start[, length])", "is divisible by(by)", "{% if a %}…{% endif %}"
	Description string // a sentence
}

// Reference describes the filters, functions, tests and tags, in this order and each by name. It is
// shared: not to be changed.
func Reference() []Entry { return slices.Clip(reference()) }

var reference = sync.OnceValue(func() []Entry {
	var list []Entry
	add := func(kind string, about map[string]string, signature func(name string) string) {
		for _, name := range slices.Sorted(maps.Keys(about)) {
			list = append(list, Entry{kind, name, signature(name), about[name]})
		}
	}
	add(Filter, aboutFilters, func(name string) string { return "|" + name + filters[name].signature(1) })
	add(Function, aboutFunctions, func(name string) string {
		return cmp.Or(map[string]string{"attribute": "attribute(variable, key)", "block": "block(name)"}[name], name+functions[name].signature(0))
	})
	add(Test, aboutTests, func(name string) string { return "is " + name + tests[name].signature(1) })
	add(Tag, aboutTags, func(name string) string { return tagForms[name] })
	return list
})

// signature lists the parameters from one on, those in square brackets that need not be given.
func (f callable) signature(from int) string {
	var b strings.Builder
	optional := 0
	for i := from; i < len(f.params); i++ {
		comma := ""
		if i > from {
			comma = ", "
		}
		if i >= f.required {
			b.WriteString("[")
			optional++
		}
		b.WriteString(comma + f.params[i])
	}
	b.WriteString(strings.Repeat("]", optional))
	if f.variadic {
		if b.Len() > 0 {
			b.WriteString(", ")
		}
		b.WriteString("…")
	}
	if b.Len() == 0 {
		if from == 0 {
			return "()"
		}
		return ""
	}
	return "(" + b.String() + ")"
}

var aboutFilters = map[string]string{
	"abs":              "The number without its sign.",
	"batch":            "The items in lists of a size, the last one filled up if fill is given.",
	"capitalize":       "The text with its first letter in upper case and the others in lower case.",
	"column":           "Of each item of a list, the value under a name.",
	"convert_encoding": "The text in another encoding.",
	"date":             "The date in a format of PHP, such as Y-m-d H:i.",
	"date_modify":      "The date changed as a text says, such as +1 day.",
	"decrement":        "The value minus an amount, 1 unless given; minus the amount if the value is no number.",
	"default":          "The value, or another if it is missing or empty.",
	"e":                "Short for escape.",
	"escape":           "The text made safe for HTML, or for js, css, url or html_attr.",
	"filter":           "The items of a list for which an arrow function is true.",
	"find":             "The first item of a list for which an arrow function is true.",
	"first":            "The first item of a list, or character of a text.",
	"format":           "A text with placeholders such as %s and %d, filled with values.",
	"format_currency":  "The number as an amount of money, of a currency such as EUR.",
	"format_date":      "The date without the time, in a style such as short, medium, long or full.",
	"format_datetime":  "The date and time, each in a style such as short, medium, long or full.",
	"format_number":    "The number with separators of thousands.",
	"format_time":      "The time of a date, in a style such as short or medium.",
	"increment":        "The value plus an amount, 1 unless given; the amount if the value is no number.",
	"join":             "The items of a list as one text, with glue between them.",
	"json_encode":      "The value as JSON.",
	"keys":             "The keys of a map, as a list.",
	"last":             "The last item of a list, or character of a text.",
	"length":           "How many items a list has, or characters a text.",
	"lower":            "The text in lower case.",
	"map":              "The list of what an arrow function makes of each item.",
	"merge":            "The items of a list or map with those of others.",
	"nl2br":            "The text with <br /> before each line break.",
	"number_format":    "The number with a fixed number of decimals and separators.",
	"plural":           "The plural of an English noun.",
	"raw":              "The text as it is, not made safe for HTML.",
	"reduce":           "What an arrow function makes of the items, one after the other.",
	"replace":          "The text with each key of a map replaced by its value.",
	"reverse":          "The items of a list, or characters of a text, from back to front.",
	"round":            "The number rounded to some decimals; the method is common, ceil or floor.",
	"shuffle":          "The items of a list, or characters of a text, in random order.",
	"singular":         "The singular of an English noun.",
	"slice":            "A part of a list or text.",
	"slug":             "The text for an address: ASCII letters and digits, joined by a separator.",
	"sort":             "The items of a list in order, by an arrow function (a, b) => a <=> b if given.",
	"spaceless":        "The HTML without white space between its tags.",
	"split":            "The list of the parts of a text between delimiters.",
	"striptags":        "The text without HTML tags.",
	"title":            "The text with each word capitalized.",
	"trim":             "The text without white space, or other characters, at its ends.",
	"upper":            "The text in upper case.",
	"url_encode":       "The text for the query of a URL; of a map, the whole query.",
}

var aboutFunctions = map[string]string{
	"attribute": "The item of a variable under a key that is calculated.",
	"block":     "What a block of the template puts out, once more.",
	"cycle":     "The item of a list at a position, counting around.",
	"date":      "A date, of a text or of now, to compare it with others.",
	"max":       "The greatest of several values, or of the items of one list.",
	"min":       "The least of several values, or of the items of one list.",
	"random":    "A random number, item of a list, or character of a text.",
	"range":     "The list of the numbers, or letters, from one to another.",
}

var aboutTests = map[string]string{
	"defined":      "Whether the variable or item is there.",
	"divisible by": "Whether the number can be divided without rest.",
	"empty":        "Whether it is null, false, an empty text or an empty list.",
	"even":         "Whether the number is even.",
	"iterable":     "Whether it is a list or map, which a loop can go through.",
	"mapping":      "Whether it is a map: its keys do not count up from 0.",
	"none":         "Whether it is null.",
	"null":         "Whether it is null.",
	"odd":          "Whether the number is odd.",
	"same as":      "Whether it is equal and of the same type.",
	"sequence":     "Whether it is a list: its keys count up from 0.",
	"true":         "Whether it counts as true.",
}

var aboutTags = map[string]string{
	"apply":      "Puts out what is inside after filters.",
	"autoescape": "Says how what is inside is made safe: html, js, css, url, html_attr or false.",
	"block":      "Names a part of the template, which the function block puts out once more.",
	"deprecated": "Does nothing: a note for those who read the template.",
	"do":         "Evaluates an expression and puts nothing out.",
	"flush":      "Does nothing here.",
	"for":        "Puts out what is inside for each item of a list; loop.index counts.",
	"from":       "Makes macros of the template functions.",
	"guard":      "Uses what is inside only if there is such a filter, function or test.",
	"if":         "Puts out what is inside if a condition holds.",
	"import":     "Makes the macros of the template a variable.",
	"macro":      "Defines a function of the template's own.",
	"sandbox":    "Does nothing here: every template is in a sandbox.",
	"set":        "Gives a variable a value.",
	"stop":       "Ends the template and says not to send: the automation takes no action.",
	"types":      "Does nothing: a note of which variables there are.",
	"with":       "Puts out what is inside with other variables.",
}

// tagForms are how tags are written.
var tagForms = map[string]string{
	"apply":      "{% apply filter %}…{% endapply %}",
	"autoescape": "{% autoescape 'html' %}…{% endautoescape %}",
	"block":      "{% block name %}…{% endblock %}",
	"deprecated": "{% deprecated 'text' %}",
	"do":         "{% do expression %}",
	"flush":      "{% flush %}",
	"for":        "{% for item in list %}…{% else %}…{% endfor %}",
	"from":       "{% from _self import name %}",
	"guard":      "{% guard filter name %}…{% else %}…{% endguard %}",
	"if":         "{% if condition %}…{% elseif condition %}…{% else %}…{% endif %}",
	"import":     "{% import _self as name %}",
	"macro":      "{% macro name(a, b = 1) %}…{% endmacro %}",
	"sandbox":    "{% sandbox %}…{% endsandbox %}",
	"set":        "{% set name = value %}",
	"stop":       "{% stop %}",
	"types":      "{% types { name: 'string' } %}",
	"with":       "{% with { name: value } %}…{% endwith %}",
}
