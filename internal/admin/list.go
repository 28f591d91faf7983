package admin

import (
	"encoding/csv"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/buglehq/bugle/internal/store"
)

const (
	perPage = 25
	// countTo is how far lists count their rows. Beyond it they say "more than".
	countTo = 10_000
	// countFiltered is how far logs count what their filters let through, which takes longer.
	countFiltered = 1000
)

// paging returns the part of a list that the query asks for.
func (v *visit) paging() store.PageRequest {
	p := store.PageRequest{Number: 1, Limit: perPage, CountTo: countTo}
	query := v.URL.Query()
	if n, err := strconv.Atoi(query.Get("page")); err == nil && n > 0 {
		p.Number = min(n, 1<<20)
	}
	if n, err := strconv.Atoi(query.Get("per")); err == nil && n > 0 {
		p.Limit = min(n, store.MaxLimit)
	}
	return p
}

// logPaging returns the part of a log that the query asks for: logs go on from a row, however deep it is.
func (v *visit) logPaging() store.PageRequest {
	p := v.paging()
	p.Number = 1
	if v.filtered() {
		p.CountTo = countFiltered
	}
	query := v.URL.Query()
	p.Before, _ = strconv.ParseInt(query.Get("before"), 10, 64)
	p.After, _ = strconv.ParseInt(query.Get("after"), 10, 64)
	p.Before, p.After = max(p.Before, 0), max(p.After, 0)
	if p.Before > 0 {
		p.After = 0
	}
	return p
}

// A pager leads through the pages of a list by their numbers, and through a log by its rows.
type pager struct {
	Number, Limit, Total int
	More                 bool // Total is not all
	Shown                int
	Log                  bool // the pages of a log have no numbers
	Incomplete           bool // a search through a log has more to look at
	prev, next           string
	at                   func(page int) string
}

// logPagerOf returns that of a page of a log, whose rows have ids.
func logPagerOf[T any](v *visit, p store.PageRequest, page store.Page[T], id func(T) int64) pager {
	l := pager{Number: 1, Limit: page.Limit, Total: page.Total, More: page.More, Shown: len(page.Items), Log: true, Incomplete: page.Incomplete}
	at := func(name string, id int64) string {
		return v.with("before", "", "after", "", "page", "", name, strconv.FormatInt(id, 10))
	}
	full := len(page.Items) >= page.Limit
	switch n := len(page.Items); {
	case page.Incomplete && p.After > 0:
		l.prev = at("after", page.Reached)
	case page.Incomplete:
		l.next = at("before", page.Reached)
	case p.After > 0 && !full:
		l.prev = v.with("before", "", "after", "")
	case n > 0 && (p.Before > 0 || p.After > 0):
		l.prev = at("after", id(page.Items[0]))
	case p.Before > 0:
		l.prev = v.with("before", "", "after", "")
	}
	if n := len(page.Items); n > 0 && l.next == "" && (full || p.After > 0) {
		l.next = at("before", id(page.Items[n-1]))
	}
	return l
}

// pagerOf returns that of a page of a list.
func pagerOf[T any](v *visit, page store.Page[T]) pager {
	return pager{Number: page.Number, Limit: page.Limit, Total: page.Total, More: page.More, Shown: len(page.Items),
		at: func(n int) string { return v.with("page", strconv.Itoa(n)) }}
}

// From and To are the numbers of the rows on the page.
func (p pager) From() int { return (p.Number-1)*p.Limit + 1 }

// To is the last row's.
func (p pager) To() int { return (p.Number-1)*p.Limit + p.Shown }

// Last is the number of the last page.
func (p pager) Last() int { return max((p.Total+p.Limit-1)/p.Limit, 1) }

// Prev is the address of the page before, empty if there is none.
func (p pager) Prev() string {
	if p.Log {
		return p.prev
	}
	if p.Number <= 1 {
		return ""
	}
	return p.at(p.Number - 1)
}

// Next is the address of the page after, empty if there is none.
func (p pager) Next() string {
	if p.Log {
		return p.next
	}
	if p.Number >= p.Last() {
		return ""
	}
	return p.at(p.Number + 1)
}

// Window are the numbers around the page, with their addresses.
func (p pager) Window() []pageLink {
	var links []pageLink
	for n := max(1, p.Number-2); n <= min(p.Last(), p.Number+2); n++ {
		links = append(links, pageLink{n, p.at(n), n == p.Number})
	}
	return links
}

type pageLink struct {
	Number  int
	URL     string
	Current bool
}

// A column is the head of a list's column. Key is what it can be sorted by; empty: not at all.
type column struct {
	Key, Label string
	Class      string
}

// sorting is how the query asks a list to be sorted: "name", or "-name" for the other way round.
func (v *visit) sorting() (key string, descending bool) {
	text := v.URL.Query().Get("sort")
	return strings.TrimPrefix(text, "-"), strings.HasPrefix(text, "-")
}

// SortURL is the address of the list sorted by a column, the other way round if it is already.
func (f *frame) SortURL(key string) string {
	if current, descending := f.sorting(); current == key && !descending {
		key = "-" + key
	}
	return f.with("sort", key, "page", "")
}

// Sorted is how the list is sorted by a column, as aria-sort says it.
func (f *frame) Sorted(key string) string {
	switch current, descending := f.sorting(); {
	case key == "" || current != key:
		return "none"
	case descending:
		return "descending"
	}
	return "ascending"
}

// A filter is one that a list offers above its table.
type filter struct {
	Name, Label string
	Kind        string // inputSelect, inputText, inputDateTime
	Value       string
	Placeholder string
	Options     []option
	Blank       string
}

// filterBy returns a filter by one of some options.
func (v *visit) filterBy(name, label, blank string, options []option) filter {
	chosen, options := v.URL.Query().Get(name), slices.Clone(options)
	for i := range options {
		options[i].Selected = options[i].Value == chosen
	}
	return filter{Name: name, Label: label, Kind: inputSelect, Value: chosen, Options: options, Blank: blank}
}

// filterText returns a filter by a text.
func (v *visit) filterText(name, label, placeholder string) filter {
	return filter{Name: name, Label: label, Kind: inputText, Value: v.URL.Query().Get(name), Placeholder: placeholder}
}

// Groups are the options by their group.
func (f filter) Groups() []optionGroup { return input{Options: f.Options}.Groups() }

// Kept are the parameters of the page's address that a form of filters keeps: how it is sorted.
func (f *frame) Kept(names ...string) url.Values {
	kept := url.Values{}
	for _, name := range names {
		if values, ok := f.URL.Query()[name]; ok {
			kept[name] = values
		}
	}
	return kept
}

// maxExported is how many rows a CSV has at most.
const maxExported = 100_000

// wantsCSV reports whether a list is asked for as a file.
func (v *visit) wantsCSV() bool { return v.URL.Query().Get("format") == "csv" }

// csv answers with a file. Rows calls write for each row; once something has been written an error cuts
// the file off, so that nobody takes it for whole.
func (v *visit) csv(name string, head []string, rows func(write func(row []string) error) error) error {
	h := v.w.Header()
	h.Set("Content-Type", "text/csv; charset=utf-8")
	h.Set("Content-Disposition", `attachment; filename="`+name+`.csv"`)
	out := csv.NewWriter(v.w)
	if err := out.Write(head); err != nil {
		return nil // the browser went away
	}
	written := 0
	err := rows(func(row []string) error {
		if written++; written > maxExported {
			return errEnough
		}
		for i, cell := range row {
			row[i] = harmless(cell)
		}
		return out.Write(row)
	})
	out.Flush()
	if err != nil && err != errEnough {
		v.server.o.Log.ErrorContext(v.Context(), "export failed", "list", name, "error", err)
		panic(http.ErrAbortHandler)
	}
	return nil
}

type enough struct{}

func (enough) Error() string { return "enough" }

var errEnough = enough{}

// harmless keeps spreadsheets from taking a text for a formula.
func harmless(cell string) string {
	if cell != "" && strings.ContainsRune("=+-@\t\r\n", rune(cell[0])) {
		if _, err := strconv.ParseFloat(cell, 64); err != nil {
			return "'" + cell
		}
	}
	return cell
}
