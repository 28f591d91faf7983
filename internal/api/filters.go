package api

import (
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/personnel"
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
