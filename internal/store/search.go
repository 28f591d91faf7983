package store

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/buglehq/bugle/personnel"
)

// Search returns a page of the resources that a search asks for.
func (s *Store) Search(ctx context.Context, organizationID int64, search *personnel.Search, p PageRequest) (Page[*personnel.Resource], error) {
	page := Page[*personnel.Resource]{Number: p.Number, Limit: p.Limit}
	k, w := search.Kind, search.Within
	c := s.view()
	b := &conditions{dialect: c.dialect, kind: k, args: []any{organizationID}}
	if w != nil {
		if _, err := findResource(ctx, c, organizationID, w.Kind, w.ID); err != nil {
			return page, err
		}
	}
	where := "organization_id = $1" + b.hidden(search)
	from, within := b.within(w)
	where += within
	if len(search.Filters) > 0 {
		where += " AND (" + b.filters(search.Filters) + ")"
	}
	if search.Text != "" {
		where += " AND (" + b.text(search.Text) + ")"
	}
	var err error
	if k.Grows && w == nil && len(search.Filters) == 0 && search.Text == "" {
		err = c.one(ctx, []any{&page.Total}, "SELECT COALESCE((SELECT n FROM row_counts WHERE organization_id = $1 AND table_name = $2), 0)", organizationID, k.Table)
	} else {
		page.Total, page.More, err = c.countTo(ctx, p.CountTo, " FROM "+from+" WHERE "+where, b.args...)
	}
	if err != nil {
		return page, fmt.Errorf("count %s: %w", k.Table, err)
	}
	order := b.order(search)
	limit, offset := b.arg(p.Limit), b.arg(p.offset())
	list, err := selectWithin(ctx, c, k, w, from, where+" ORDER BY "+order+" LIMIT "+limit+" OFFSET "+offset, b.args...)
	if err != nil {
		return page, err
	}
	page.Items = list
	return page, complete(ctx, c, organizationID, list)
}

// CustomKeys returns the keys of the organization's custom fields.
func (s *Store) CustomKeys(ctx context.Context, organizationID int64) (map[string]bool, error) {
	return customKeys(ctx, s.view(), organizationID)
}

// CustomKeys is that of Store, within the transaction.
func (tx *Tx) CustomKeys(organizationID int64) (map[string]bool, error) {
	return customKeys(context.Background(), tx.view(), organizationID)
}

func customKeys(ctx context.Context, c conn, organizationID int64) (map[string]bool, error) {
	keys := map[string]bool{}
	err := c.each(ctx, func(scan func(to ...any) error) error {
		var key string
		err := scan(&key)
		keys[key] = true
		return err
	}, `SELECT "key" FROM fields WHERE organization_id = $1`, organizationID)
	if err != nil {
		return nil, fmt.Errorf("read custom fields: %w", err)
	}
	return keys, nil
}

// conditions writes the SQL of a search. Names come from the catalogue, and everything that a
// request brings is a parameter.
type conditions struct {
	dialect dialect
	kind    *personnel.Kind
	columns map[string]string // what fields are in SQL; nil: as they are called, in the table of the kind
	args    []any
}

// arg adds a parameter and returns its place.
func (b *conditions) arg(v any) string {
	b.args = append(b.args, v)
	return fmt.Sprintf("$%d", len(b.args))
}

func (b *conditions) hidden(s *personnel.Search) string {
	if b.kind.Hiding == nil {
		return ""
	}
	return " AND " + hiddenRows(b.kind, s.Hidden != nil && *s.Hidden)
}

// filters joins conditions as they stand: and binds tighter than or.
func (b *conditions) filters(list []personnel.Filter) string {
	var sql strings.Builder
	for i, f := range list {
		switch {
		case i > 0 && f.Or:
			sql.WriteString(" OR ")
		case i > 0:
			sql.WriteString(" AND ")
		}
		if f.Nested != nil {
			sql.WriteString("(" + b.filters(f.Nested) + ")")
		} else {
			sql.WriteString(b.condition(f))
		}
	}
	return sql.String()
}

// condition writes a condition within the table that its column is in.
func (b *conditions) condition(f personnel.Filter) string {
	rel := f.Column.Relation
	if rel == nil {
		return b.compare(f, b.kind.Table)
	}
	return "EXISTS (SELECT 1 " + b.related(rel) + " AND " + b.compare(f, "related") + ")"
}

// related writes where the row is that a relation leads to, which is one of the same organization.
func (b *conditions) related(rel *personnel.Relation) string {
	return fmt.Sprintf("FROM %[1]s AS related WHERE related.id = %[2]s.%[3]s AND related.organization_id = %[2]s.organization_id",
		personnel.ByName(rel.Kind).Table, b.kind.Table, quoted(rel.Via))
}

// column writes what is compared.
func (b *conditions) column(c personnel.Column, table string) string {
	if c.Pivot {
		return quoted("pivot_" + c.Field.Name)
	}
	if column, path := b.document(c, table); path != "" {
		return b.dialect.jsonPart(column, b.arg(path))
	}
	return b.field(c.Field, table)
}

// field writes a field.
func (b *conditions) field(f *personnel.Field, table string) string {
	if b.columns != nil {
		return b.columns[f.Name]
	}
	return table + "." + quoted(f.Name)
}

// document returns a column that holds JSON and the path to the part of it that is meant, empty for
// all of it.
func (b *conditions) document(c personnel.Column, table string) (column, path string) {
	if c.Field == nil {
		return table + ".data", `$."` + c.Custom + `"`
	}
	return b.field(c.Field, table), c.Path
}

// compare writes one condition. As in any SQL, null compares with nothing, not even as different.
func (b *conditions) compare(f personnel.Filter, table string) string {
	if f.Operator == personnel.AnyIn || f.Operator == personnel.AllIn {
		return b.contains(f, table)
	}
	if b.isLike(f.Operator) {
		return b.like(f, table)
	}
	if document, path := b.document(f.Column, table); path != "" && !f.Column.Pivot && document != "" {
		f.Value = b.jsonValue(f.Value)
		f.Values = slices.Clone(f.Values)
		for i, v := range f.Values {
			f.Values[i] = b.jsonValue(v)
		}
	}
	column := b.column(f.Column, table)
	if isEmail := f.Column.Field != nil && f.Column.Field.Type == personnel.Email; isEmail {
		column, f = "LOWER("+column+")", lower(f)
	}
	switch f.Operator {
	case personnel.In:
		return b.in(f.Values, column, "IN", "OR", "IS NULL", "FALSE")
	case personnel.NotIn:
		return b.in(f.Values, column, "NOT IN", "AND", "IS NOT NULL", "TRUE")
	}
	switch {
	case f.Value == nil && f.Operator == personnel.Equal:
		return column + " IS NULL"
	case f.Value == nil && f.Operator == personnel.NotEqual:
		return column + " IS NOT NULL"
	case f.Day:
		return b.day(f, column)
	case f.Operator == personnel.NotEqual:
		return column + " <> " + b.arg(f.Value)
	}
	return column + " " + string(f.Operator) + " " + b.arg(f.Value)
}

// lower is a filter with its texts in lower case: e-mail addresses are the same in either, and so they
// are in the index.
func lower(f personnel.Filter) personnel.Filter {
	small := func(v any) any {
		if text, ok := v.(string); ok {
			return strings.ToLower(text)
		}
		return v
	}
	f.Value = small(f.Value)
	f.Values = slices.Clone(f.Values)
	for i := range f.Values {
		f.Values[i] = small(f.Values[i])
	}
	return f
}

func (b *conditions) isLike(o personnel.Operator) bool {
	return o == personnel.Like || o == personnel.ILike || o == personnel.NotLike || o == personnel.NotILike
}

// like writes a comparison with a pattern.
func (b *conditions) like(f personnel.Filter, table string) string {
	var column string
	switch document, path := b.document(f.Column, table); {
	case !f.Column.Pivot && path != "":
		column = b.dialect.jsonText(document, b.arg(path))
	case f.Column.Field != nil && f.Column.Field.Type == personnel.Boolean:
		column = "CAST(" + b.column(f.Column, table) + " AS INTEGER)" // which is 1 or 0
	default:
		column = b.column(f.Column, table)
	}
	not := ""
	if f.Operator == personnel.NotLike || f.Operator == personnel.NotILike {
		not = "NOT "
	}
	if pattern, ok := f.Value.(string); ok && endsEscaping(pattern) {
		return not + "(" + column + " IS NULL AND NULL)" // matches nothing; PostgreSQL refuses it
	}
	return not + likeText(column, b.arg(f.Value))
}

// endsEscaping reports whether a pattern ends with a backslash that has nothing to escape.
func endsEscaping(pattern string) bool {
	return (len(pattern)-len(strings.TrimRight(pattern, `\`)))%2 == 1
}

// jsonValue is a value to compare with a part of JSON. Nothing is not compared with.
func (b *conditions) jsonValue(v any) any {
	if v == nil {
		return nil
	}
	return b.dialect.jsonValue(v)
}

func (b *conditions) in(values []any, column, in, join, null, empty string) string {
	var places []string
	hasNull := false
	for _, v := range values {
		if v == nil {
			hasNull = true
		} else {
			places = append(places, b.arg(v))
		}
	}
	var parts []string
	if len(places) > 0 {
		parts = append(parts, column+" "+in+" ("+strings.Join(places, ", ")+")")
	}
	if hasNull {
		parts = append(parts, column+" "+null)
	}
	if len(parts) == 0 {
		return empty
	}
	return "(" + strings.Join(parts, " "+join+" ") + ")"
}

// contains asks whether a JSON list holds any, or all, of the values.
func (b *conditions) contains(f personnel.Filter, table string) string {
	column, path := b.document(f.Column, table)
	if path == "" {
		path = "$"
	}
	holds := func(values ...any) string {
		values = slices.Clone(values)
		for i, v := range values {
			values[i] = b.jsonValue(v)
		}
		return b.dialect.jsonHolds(column, b.arg(path), b.in(values, "item.value", "IN", "OR", "IS NULL", "FALSE"))
	}
	if f.Operator == personnel.AnyIn {
		return holds(f.Values...)
	}
	parts := []string{"TRUE"}
	for _, v := range f.Values {
		parts = append(parts, holds(v))
	}
	return "(" + strings.Join(parts, " AND ") + ")"
}

// day compares with a whole day, as ranges so that an index serves.
func (b *conditions) day(f personnel.Filter, column string) string {
	var first, end any = f.Value, nil
	switch day := f.Value.(type) {
	case string:
		end = day[:len(time.DateOnly)] + " 24" // after all times of the day, before any of the next
	case int64:
		end = day + (24 * time.Hour).Microseconds() - 1 // which is its last moment
	}
	switch f.Operator {
	case personnel.Less:
		return column + " < " + b.arg(first)
	case personnel.LessEqual:
		return column + " <= " + b.arg(end)
	case personnel.Greater:
		return column + " > " + b.arg(end)
	case personnel.GreaterEqual:
		return column + " >= " + b.arg(first)
	case personnel.NotEqual:
		return "(" + column + " < " + b.arg(first) + " OR " + column + " > " + b.arg(end) + ")"
	}
	return "(" + column + " >= " + b.arg(first) + " AND " + column + " <= " + b.arg(end) + ")"
}

// text asks for a text anywhere in any field that is shown.
func (b *conditions) text(text string) string {
	pattern := b.arg("%" + strings.NewReplacer(`\`, `\\`, "%", `\%`, "_", `\_`).Replace(text) + "%")
	var parts []string
	for i := range b.kind.Fields {
		switch f := &b.kind.Fields[i]; {
		case f.Hidden:
		case b.columns == nil && f.Type == personnel.Boolean:
			parts = append(parts, likeText("CAST("+quoted(f.Name)+" AS INTEGER)", pattern))
		case b.columns == nil:
			parts = append(parts, likeText(quoted(f.Name), pattern))
		case f.Type == personnel.Text: // the others hold words and numbers of the engine, which everything has
			parts = append(parts, likeText(b.columns[f.Name], pattern))
		}
	}
	return strings.Join(parts, " OR ")
}

// order writes what a search sorts by, and last the id, so that pages do not overlap.
func (b *conditions) order(s *personnel.Search) string {
	switch {
	case len(s.Sorts) > 0:
	case s.Within != nil && s.Within.Relation.Pivot != nil && s.Within.Relation.Pivot.Sorted():
		return "pivot_order, pivot_row"
	default:
		return listOrder(b.kind)
	}
	var parts []string
	for _, sort := range s.Sorts {
		var by string
		if rel := sort.Column.Relation; rel != nil {
			by = "(SELECT " + b.column(sort.Column, "related") + " " + b.related(rel) + ")"
		} else {
			by = b.column(sort.Column, b.kind.Table)
		}
		if sort.Descending {
			by += " DESC NULLS LAST"
		} else {
			by += " NULLS FIRST"
		}
		parts = append(parts, by)
	}
	return strings.Join(append(parts, b.column(personnel.Column{Field: b.kind.Field("id")}, b.kind.Table)), ", ")
}
