package api

import (
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/personnel"
	"github.com/buglehq/bugle/value"
)

// filters reads the filters of a list out of the query, and collects what is wrong with them.
type filters struct {
	query   url.Values
	invalid bugle.InvalidError
}

func (q *request) filters() *filters { return &filters{query: q.URL.Query()} }

// number is a positive whole number, 0 if it is not given.
func (f *filters) number(name string) int64 {
	text := f.query.Get(name)
	if text == "" {
		return 0
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n <= 0 {
		f.invalid.Add(name, "The %s filter must be a positive whole number, not %q.", name, text)
	}
	return n
}

// time is a moment, zero if it is not given.
func (f *filters) time(name string) time.Time {
	text := f.query.Get(name)
	if text == "" {
		return time.Time{}
	}
	at, ok := personnel.ParseTime(text)
	if !ok {
		f.invalid.Add(name, "The %s filter must be a time such as 2026-01-31T18:00:00Z, not %q.", name, text)
	}
	return at
}

// word is one of the options, empty if it is not given.
func (f *filters) word(name string, options ...string) string {
	text := f.query.Get(name)
	if text != "" && !slices.Contains(options, text) {
		last := len(options) - 1
		f.invalid.Add(name, "The %s filter must be %s or %s, not %q.", name, strings.Join(options[:last], ", "), options[last], text)
	}
	return text
}

// wordsOfType are constants of a type as the texts that they are.
func wordsOfType[T ~string](list []T) []string {
	words := make([]string, len(list))
	for i, item := range list {
		words[i] = string(item)
	}
	return words
}

// searchedText is the text that the body of a search asks for, empty if it does not.
func searchedText(body *value.Array) (string, error) {
	v, _ := body.Get("search")
	if v == nil {
		return "", nil
	}
	object, _ := v.(*value.Array)
	wanted, _ := object.Get("value")
	text, ok := wanted.(string)
	if !ok {
		return "", bugle.Invalid("search.value", "The search.value field must be a string, not %s.", value.Describe(wanted))
	}
	return text, nil
}

// equalities reads the filters of a search for what is no kind of the catalogue: each compares one of the
// fields with a value, which its function takes or refuses.
func equalities(body *value.Array, fields map[string]func(v any) bool) error {
	v, _ := body.Get("filters")
	list, isList := v.(*value.Array)
	if v != nil && (!isList || !list.IsList()) {
		return bugle.Invalid("filters", "The filters field must be a list, not %s.", value.Describe(v))
	}
	for key, item := range list.All() {
		path := "filters." + key.String()
		filter, _ := item.(*value.Array)
		field, _ := filter.Get("field")
		wanted, _ := filter.Get("value")
		name, _ := field.(string)
		take, known := fields[name]
		if !known {
			return bugle.Invalid(path+".field", "The field must be one of %s, not %s.", strings.Join(slices.Sorted(maps.Keys(fields)), ", "), value.Describe(field))
		}
		if operator, given := filter.Get("operator"); given && operator != "=" {
			return bugle.Invalid(path+".operator", "The operator must be =, not %s.", value.Describe(operator))
		}
		if !take(wanted) {
			return bugle.Invalid(path+".value", "The field %s cannot be %s.", name, value.Describe(wanted))
		}
	}
	return nil
}
