package personnel

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/value"
)

// A Search is a request for those resources of a kind that meet conditions, in some order. It names
// nothing that the catalogue does not know.
type Search struct {
	Kind     *Kind
	Hidden   *bool // of kinds that hide rows: only hidden ones, or only others; nil: as lists do
	Filters  []Filter
	Text     string // to be found in any of the kind's fields; empty: anything
	Sorts    []Sort // before the id
	Includes []string
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
	maxListValues = 1000
	maxSearchText = 255
)

// ReadSearch reads the body of a search. Whatever it names that the kind does not have is a problem.
// Custom fields are those that isCustom knows.
func ReadSearch(k *Kind, body *value.Array, isCustom func(key string) bool) (*Search, error) {
	r := searchReader{search: &Search{Kind: k}, isCustom: isCustom}
	r.scopes(body)
	filters := r.list(body, "filters", maxFilters)
	r.search.Filters = r.filters(filters, "filters", true)
	r.text(body)
	for i, item := range r.list(body, "sort", maxSorts) {
		r.sort(item, "sort."+strconv.Itoa(i))
	}
	for _, item := range r.list(body, "includes", maxFilters) {
		if name, ok := itemText(item, "relation"); ok {
			r.search.Includes = append(r.search.Includes, name)
		}
	}
	return r.search, r.problems.Err()
}

type searchReader struct {
	search   *Search
	isCustom func(key string) bool
	count    int // filters so far
	problems bugle.InvalidError
}

// list returns the objects in the list of that name; none if there is no list.
func (r *searchReader) list(from *value.Array, name string, limit int) []*value.Array {
	v, present := from.Get(name)
	if !present || v == nil {
		return nil
	}
	list, ok := v.(*value.Array)
	if !ok || !list.IsList() || list.Len() > limit {
		r.problems.Add(name, "The %s field must be a list of at most %d objects, not %s.", name, limit, value.Describe(v))
		return nil
	}
	var items []*value.Array
	for key, item := range list.All() {
		object, ok := item.(*value.Array)
		if !ok {
			r.problems.Add(name+"."+key.String(), "Each of %s must be an object, not %s.", name, value.Describe(item))
			continue
		}
		items = append(items, object)
	}
	return items
}

func itemText(item *value.Array, name string) (string, bool) {
	v, _ := item.Get(name)
	text, ok := v.(string)
	return text, ok
}

func (r *searchReader) scopes(body *value.Array) {
	for i, item := range r.list(body, "scopes", maxSorts) {
		name, _ := itemText(item, "name")
		switch {
		case r.search.Kind.Hides == "":
			r.problems.Add(fmt.Sprintf("scopes.%d.name", i), "There are no scopes for %s.", r.search.Kind.Path)
		case name == "hidden" || name == "visible":
			hidden := name == "hidden"
			r.search.Hidden = &hidden
		default:
			r.problems.Add(fmt.Sprintf("scopes.%d.name", i), "The scope must be hidden or visible, not %q.", name)
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
		if len(text) > maxSearchText {
			r.problems.Add("search.value", "The search value must not be longer than %d bytes.", maxSearchText)
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
func (r *searchReader) filters(items []*value.Array, at string, outermost bool) []Filter {
	var filters []Filter
	for i, item := range items {
		at := at + "." + strconv.Itoa(i)
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
		if item.Has("nested") {
			if !outermost {
				r.problems.Add(at+".nested", "Filters can be nested one level deep.")
				continue
			}
			f.Nested = r.filters(r.list(item, "nested", maxFilters), at+".nested", false)
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
	column, ok := r.column(name)
	if !ok {
		r.problems.Add(at+".field", "%s cannot be filtered by %q.", r.search.Kind.Path, name)
		return false
	}
	f.Column, f.Operator = column, Equal
	if v, given := item.Get("operator"); given {
		text, _ := v.(string)
		f.Operator = Operator(text)
		if !slices.Contains(operators, f.Operator) {
			r.problems.Add(at+".operator", "The operator %s is unknown.", value.Describe(v))
			return false
		}
	}
	v, _ := item.Get("value")
	var reason string
	switch f.Operator {
	case In, NotIn, AllIn, AnyIn:
		reason = f.readValues(v)
	case Like, NotLike, ILike, NotILike:
		text, ok := v.(string)
		if !ok || len(text) > maxSearchText {
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
	if !ok || list.Len() > maxListValues {
		return fmt.Sprintf("must be a list of at most %d values", maxListValues)
	}
	contained := f.Operator == AllIn || f.Operator == AnyIn
	if contained && (f.Column.Field == nil || !f.Column.Field.holdsJSON()) {
		return "cannot be given: the column does not hold a list"
	}
	for _, item := range list.All() {
		one := item
		if !contained {
			if one, _, reason = f.Column.read(item); reason != "" {
				return reason
			}
		} else if _, nested := item.(*value.Array); nested {
			return "must be a list of texts and numbers"
		}
		f.Values = append(f.Values, one)
	}
	return ""
}

func (f *Field) holdsJSON() bool { return f.Type == Strings || f.Type == Integers || f.Type == JSON }

// read returns a value as the column stores it, and whether it stands for a whole day.
func (c Column) read(v any) (stored any, day bool, reason string) {
	if v == nil {
		return nil, false, ""
	}
	if _, isArray := v.(*value.Array); isArray {
		return nil, false, "must be a text or a number"
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
		stamp := c.Field.Name == "created_at" || c.Field.Name == "updated_at"
		return at.Format(StoredTime), stamp && at.Equal(at.Truncate(24*time.Hour)), ""
	}
	return printed(v), false, ""
}

// column finds what a request calls a column: "name", "rank.name", "promotion_points" or
// "channels->0".
func (r *searchReader) column(name string) (Column, bool) {
	k := r.search.Kind
	name, path, hasPath := strings.Cut(name, "->")
	relation, field, isRelated := strings.Cut(name, ".")
	c := Column{}
	if isRelated {
		c.Relation = k.Relation(relation)
		if c.Relation == nil || c.Relation.Via == "" || ByName(c.Relation.Kind).Path == "" {
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

// jsonPath is "a->0" as the database writes it: $."a"[0]. It is empty for what is no path.
func jsonPath(path string) string {
	var b strings.Builder
	b.WriteByte('$')
	for part := range strings.SplitSeq(path, "->") {
		switch {
		case part == "" || strings.ContainsAny(part, `"\`):
			return ""
		case strings.Trim(part, "0123456789") == "":
			b.WriteString("[" + part + "]")
		default:
			b.WriteString(`."` + part + `"`)
		}
	}
	return b.String()
}
