package personnel

import (
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/value"
)

// A Search is a request for those resources of a kind that meet conditions, in some order. It names
// nothing that the catalogue does not know.
type Search struct {
	Kind     *Kind
	Within   *Within // only what a relation of one resource leads to; nil: all
	Hidden   *bool   // of kinds that hide rows: only hidden ones, or only others; nil: as lists do
	Filters  []Filter
	Text     string // to be found in any of the kind's fields; empty: anything
	Sorts    []Sort // before the id
	Includes []string
}

// Within is what a relation of one resource leads to: the rank records of user 7.
type Within struct {
	Kind     *Kind // of that one
	ID       int64
	Relation *Relation
}

// pivot returns the pivot on the way, or nil.
func (w *Within) pivot() *Pivot {
	if w == nil {
		return nil
	}
	return w.Relation.Pivot
}

// A Filter is one condition, or several in brackets.
type Filter struct {
	Or       bool // joined to the one before by or, rather than and, which binds tighter
	Nested   []Filter
	Column   Column
	Operator Operator
	Value    any   // as stored; nil is null
	Values   []any // of operators that take a list
	Day      bool  // Value is the first moment of a day, and the whole day is meant
}

// A Sort is one criterion of the order.
type Sort struct {
	Column     Column
	Descending bool
}

// A Column is what can be compared: a field of the kind or of one that it belongs to, or a custom
// field, or a part of a field that holds JSON.
type Column struct {
	Relation *Relation // nil: of the kind itself
	Field    *Field    // nil: a custom field
	Custom   string    // the custom field's key
	Path     string    // into the JSON of Field, such as "$.a[0]"; empty: all of it
	Pivot    bool      // Field is one of the pivot through which the search goes
}

// An Operator compares a column with a value.
type Operator string

// The operators, by the words that requests use.
const (
	Less         Operator = "<"
	LessEqual    Operator = "<="
	Greater      Operator = ">"
	GreaterEqual Operator = ">="
	Equal        Operator = "="
	NotEqual     Operator = "!="
	Like         Operator = "like"
	NotLike      Operator = "not like"
	ILike        Operator = "ilike"
	NotILike     Operator = "not ilike"
	In           Operator = "in"
	NotIn        Operator = "not in"
	AllIn        Operator = "all in"
	AnyIn        Operator = "any in"
)

var operators = []Operator{Less, LessEqual, Greater, GreaterEqual, Equal, NotEqual, Like, NotLike, ILike, NotILike, In, NotIn, AllIn, AnyIn}

// What a search may hold at most, so that no request is too much work.
const (
	maxFilters    = 100
	maxSorts      = 10
	maxListValues = 1000 // of all filters together
	maxAllIn      = 100  // of one filter
	maxSearchText = 255
)

// ReadSearch reads the body of a search. Whatever it names that the kind does not have is a problem.
// Custom fields are those that isCustom knows.
func ReadSearch(k *Kind, within *Within, body *value.Array, isCustom func(key string) bool) (*Search, error) {
	r := searchReader{search: &Search{Kind: k, Within: within}, isCustom: isCustom}
	r.scopes(body)
	r.search.Filters = r.filters(body, "filters", "filters", true)
	r.text(body)
	for at, item := range r.list(body, "sort", "sort", maxSorts) {
		r.sort(item, at)
	}
	for _, item := range r.list(body, "includes", "includes", maxFilters) {
		if name, ok := itemText(item, "relation"); ok {
			r.search.Includes = append(r.search.Includes, name)
		}
	}
	return r.search, r.problems.Err()
}

// Searchable returns a kind that is not in the catalogue: something else that is searched in the same way.
func Searchable(path string, fields ...Field) *Kind {
	k := &Kind{Path: path, Fields: fields}
	k.number()
	return k
}

type searchReader struct {
	search   *Search
	isCustom func(key string) bool
	count    int // filters so far
	values   int // in their lists
	problems bugle.InvalidError
}

// list yields the objects in the list of that name with the place of each, such as "filters.0"; none
// if there is no list. The list's own place is at.
func (r *searchReader) list(from *value.Array, name, at string, limit int) iter.Seq2[string, *value.Array] {
	return func(yield func(string, *value.Array) bool) {
		v, _ := from.Get(name)
		if v == nil {
			return
		}
		list, ok := v.(*value.Array)
		if !ok || !list.IsList() || list.Len() > limit {
			r.problems.Add(at, "The %s field must be a list of at most %d objects, not %s.", name, limit, value.Describe(v))
			return
		}
		for key, item := range list.All() {
			at := at + "." + key.String()
			object, ok := item.(*value.Array)
			if !ok {
				r.problems.Add(at, "Each of %s must be an object, not %s.", name, value.Describe(item))
			} else if !yield(at, object) {
				return
			}
		}
	}
}

func itemText(item *value.Array, name string) (string, bool) {
	v, _ := item.Get(name)
	text, ok := v.(string)
	return text, ok
}

func (r *searchReader) scopes(body *value.Array) {
	hiding := r.search.Kind.Hiding
	for at, item := range r.list(body, "scopes", "scopes", maxSorts) {
		name, _ := itemText(item, "name")
		switch {
		case hiding == nil:
			r.problems.Add(at+".name", "There are no scopes for %s.", r.search.Kind.Path)
		case name == hiding.Hidden || name == hiding.Visible:
			hidden := name == hiding.Hidden
			r.search.Hidden = &hidden
		case slices.Contains(hiding.Plain, name):
		default:
			names := append([]string{hiding.Hidden, hiding.Visible}, hiding.Plain...)
			r.problems.Add(at+".name", "The scope must be one of %s, not %q.", strings.Join(names, ", "), name)
		}
	}
}

func (r *searchReader) text(body *value.Array) {
	v, _ := body.Get("search")
	if v == nil {
		return
	}
	object, ok := v.(*value.Array)
	if !ok {
		r.problems.Add("search", "The search field must be an object with a value, not %s.", value.Describe(v))
		return
	}
	switch text, _ := object.Get("value"); text := text.(type) {
	case nil:
	case string:
		if len(text) > maxSearchText || hasNUL(text) {
			r.problems.Add("search.value", "The search value must be at most %d bytes without a NUL character.", maxSearchText)
			return
		}
		r.search.Text = text
	case int64, float64:
		r.search.Text = printed(text)
	default:
		r.problems.Add("search.value", "The search value must be a string, not %s.", value.Describe(text))
	}
}

func (r *searchReader) sort(item *value.Array, at string) {
	name, _ := itemText(item, "field")
	column, ok := r.column(name)
	if !ok {
		r.problems.Add(at+".field", "%s cannot be sorted by %q.", r.search.Kind.Path, name)
	}
	direction, given := item.Get("direction")
	if given && direction != "asc" && direction != "desc" {
		r.problems.Add(at+".direction", "The direction must be asc or desc, not %s.", value.Describe(direction))
	}
	r.search.Sorts = append(r.search.Sorts, Sort{column, direction == "desc"})
}

// filters reads conditions; nested ones only at the outermost level.
func (r *searchReader) filters(from *value.Array, name, at string, outermost bool) []Filter {
	var filters []Filter
	for at, item := range r.list(from, name, at, maxFilters) {
		if r.count++; r.count > maxFilters {
			r.problems.Add(at, "There must not be more than %d filters.", maxFilters)
			return nil
		}
		f := Filter{}
		kind, given := item.Get("type")
		if given && kind != "and" && kind != "or" {
			r.problems.Add(at+".type", "The type must be and or or, not %s.", value.Describe(kind))
		}
		f.Or = kind == "or"
		if nested, _ := item.Get("nested"); nested != nil {
			if !outermost {
				r.problems.Add(at+".nested", "Filters can be nested one level deep.")
				continue
			}
			f.Nested = r.filters(item, "nested", at+".nested", false)
			if len(f.Nested) > 0 {
				filters = append(filters, f)
			}
			continue
		}
		if r.condition(&f, item, at) {
			filters = append(filters, f)
		}
	}
	return filters
}

func (r *searchReader) condition(f *Filter, item *value.Array, at string) bool {
	name, _ := itemText(item, "field")
	column, known := r.column(name)
	if !known {
		r.problems.Add(at+".field", "%s cannot be filtered by %q.", r.search.Kind.Path, name)
	}
	f.Column, f.Operator = column, Equal
	if v, given := item.Get("operator"); given {
		text, _ := v.(string)
		f.Operator = Operator(text)
		if !slices.Contains(operators, f.Operator) {
			r.problems.Add(at+".operator", "The operator %s is unknown.", value.Describe(v))
			known = false
		}
	}
	if !known {
		return false
	}
	v, _ := item.Get("value")
	var reason string
	switch f.Operator {
	case In, NotIn, AllIn, AnyIn:
		list, _ := v.(*value.Array)
		if r.values += list.Len(); r.values > maxListValues {
			reason = fmt.Sprintf("must hold fewer values: all filters together can have %d", maxListValues)
		} else {
			reason = f.readValues(v)
		}
	case Like, NotLike, ILike, NotILike:
		text, ok := v.(string)
		if !ok || len(text) > maxSearchText || hasNUL(text) {
			reason = fmt.Sprintf("must be a pattern of at most %d bytes, such as %%text%%", maxSearchText)
		}
		f.Value = text
	default:
		f.Value, f.Day, reason = column.read(v)
	}
	if reason != "" {
		r.problems.Add(at+".value", "The value for %s %s, not %s.", name, reason, value.Describe(v))
		return false
	}
	return true
}

func (f *Filter) readValues(v any) (reason string) {
	list, ok := v.(*value.Array)
	if !ok {
		return "must be a list"
	}
	contained := f.Operator == AllIn || f.Operator == AnyIn
	switch {
	case contained && f.Column.Field != nil && !f.Column.Field.holdsJSON():
		return "cannot be given: the column does not hold a list"
	case f.Operator == AllIn && list.Len() > maxAllIn:
		return fmt.Sprintf("must be a list of at most %d values", maxAllIn)
	}
	for _, item := range list.All() {
		column := f.Column
		if contained {
			column = Column{} // what the list holds has no type of its own
		}
		one, _, reason := column.read(item)
		if reason != "" {
			return reason
		}
		f.Values = append(f.Values, one)
	}
	return ""
}

// hasNUL reports whether a text holds the character at which databases end texts, or which they refuse.
func hasNUL(text string) bool { return strings.ContainsRune(text, 0) }

func (f *Field) holdsJSON() bool { return f.Type == Strings || f.Type == Integers || f.Type == JSON }

// read returns a value as the column stores it, and whether it stands for a whole day.
func (c Column) read(v any) (stored any, day bool, reason string) {
	if v == nil {
		return nil, false, ""
	}
	if _, isArray := v.(*value.Array); isArray {
		return nil, false, "must be a text or a number"
	}
	if text, isText := v.(string); isText && hasNUL(text) {
		return nil, false, "must not contain a NUL character"
	}
	if c.Field == nil || c.Path != "" || c.Field.holdsJSON() {
		return v, false, ""
	}
	switch c.Field.Type {
	case Integer, Reference, Code:
		if n, ok := asInteger(v); ok {
			return n, false, ""
		}
		return nil, false, "must be a whole number"
	case Boolean:
		if b, ok := asBoolean(v); ok {
			return b, false, ""
		}
		return nil, false, "must be true or false"
	case DateTime, RawTime:
		at, ok := asTime(v)
		if !ok {
			return nil, false, "must be a date such as 2026-01-31 or 2026-01-31T18:00:00Z"
		}
		return at.Format(StoredTime), c.isDay(at), ""
	case Moment:
		at, ok := asTime(v)
		if !ok {
			return nil, false, "must be a time such as 2026-01-31 or 2026-01-31T18:00:00Z"
		}
		return at.UnixMicro(), c.isDay(at), ""
	}
	return printed(v), false, ""
}

// isDay reports whether a time that the column is compared with stands for its whole day.
func (c Column) isDay(at time.Time) bool {
	stamp := c.Field.Name == "created_at" || c.Field.Name == "updated_at"
	return stamp && at.Equal(at.Truncate(24*time.Hour))
}

// column finds what a request calls a column: "name", "rank.name", "promotion_points" or
// "channels->0".
func (r *searchReader) column(name string) (Column, bool) {
	k := r.search.Kind
	name, path, hasPath := strings.Cut(name, "->")
	relation, field, isRelated := strings.Cut(name, ".")
	c := Column{}
	if p := r.search.Within.pivot(); p != nil && isRelated && relation == "pivot" && !hasPath {
		c.Pivot, c.Field = true, p.Field(field)
		return c, c.Field != nil
	}
	if isRelated {
		c.Relation = k.Relation(relation)
		if c.Relation == nil || c.Relation.Via == "" || c.Relation.Model || ByName(c.Relation.Kind).Path == "" {
			return c, false
		}
		k, name = ByName(c.Relation.Kind), field
	}
	c.Field = k.Field(name)
	switch {
	case c.Field != nil && c.Field.Hidden:
		return c, false
	case c.Field != nil && hasPath:
		c.Path = jsonPath(path)
		return c, c.Field.holdsJSON() && c.Path != ""
	case c.Field != nil:
		return c, true
	case !hasPath && !isRelated && k.Custom && r.isCustom(name):
		c.Custom = name
		return c, true
	}
	return c, false
}

// maxIndex is how many digits an index into a list may have: databases count no further.
const maxIndex = 9

// jsonPath is "a->0" as the database writes it: $."a"[0]. It is empty for what is no path.
func jsonPath(path string) string {
	var b strings.Builder
	b.WriteByte('$')
	for part := range strings.SplitSeq(path, "->") {
		isIndex := strings.Trim(part, "0123456789") == ""
		switch {
		case part == "" || strings.ContainsAny(part, `"\`) || hasNUL(part) || isIndex && len(part) > maxIndex:
			return ""
		case isIndex:
			b.WriteString("[" + part + "]")
		default:
			b.WriteString(`."` + part + `"`)
		}
	}
	return b.String()
}
