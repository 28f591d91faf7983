package store

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/buglehq/bugle/personnel"
)

// Search returns a page of the resources that a search asks for.
func (s *Store) Search(ctx context.Context, organizationID int64, search *personnel.Search, p PageRequest, shown ...string) (Page[*personnel.Resource], error) {
	page := Page[*personnel.Resource]{Number: p.Number, Limit: p.Limit}
	k := search.Kind
	b := &conditions{kind: k, args: []any{organizationID}}
	where := "organization_id = $1" + b.hidden(search)
	if len(search.Filters) > 0 {
		where += " AND (" + b.filters(search.Filters) + ")"
	}
	if search.Text != "" {
		where += " AND (" + b.text(search.Text) + ")"
	}
	c := s.view()
	if err := c.one(ctx, []any{&page.Total}, "SELECT COUNT(*) FROM "+k.Table+" WHERE "+where, b.args...); err != nil {
		return page, fmt.Errorf("count %s: %w", k.Table, err)
	}
	order := b.order(search)
	limit, offset := b.arg(p.Limit), b.arg(p.offset())
	list, err := selectResources(ctx, c, k, where+" ORDER BY "+order+" LIMIT "+limit+" OFFSET "+offset, b.args...)
	if err != nil {
		return page, err
	}
	page.Items = list
	return page, complete(ctx, c, organizationID, list, shown...)
}

// CustomKeys returns the keys of the organization's custom fields.
func (s *Store) CustomKeys(ctx context.Context, organizationID int64) (map[string]bool, error) {
	keys := map[string]bool{}
	err := s.view().each(ctx, func(scan func(to ...any) error) error {
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
	kind *personnel.Kind
	args []any
}

// arg adds a parameter and returns its place.
func (b *conditions) arg(v any) string {
	b.args = append(b.args, v)
	return fmt.Sprintf("$%d", len(b.args))
}

func (b *conditions) hidden(s *personnel.Search) string {
	switch {
	case b.kind.Hides == "":
		return ""
	case s.Hidden != nil && *s.Hidden:
		return " AND " + quoted(b.kind.Hides)
	}
	return " AND NOT " + quoted(b.kind.Hides)
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
			sql.WriteString(b.related(f.Column, func(column string) string { return b.compare(f, column) }))
		}
	}
	return sql.String()
}

// related writes a condition on a column, within the table that the column is in.
func (b *conditions) related(c personnel.Column, condition func(column string) string) string {
	if c.Relation == nil {
		return condition(b.column(c, b.kind.Table))
	}
	table := personnel.ByName(c.Relation.Kind).Table
	return fmt.Sprintf("EXISTS (SELECT 1 FROM %s AS related WHERE related.id = %s.%s AND %s)", table, b.kind.Table, quoted(c.Relation.Via), condition(b.column(c, "related")))
}

// column writes what is compared.
func (b *conditions) column(c personnel.Column, table string) string {
	switch {
	case c.Field == nil:
		return jsonPart(table+".data", b.arg(`$."`+c.Custom+`"`))
	case c.Path != "":
		return jsonPart(table+"."+quoted(c.Field.Name), b.arg(c.Path))
	}
	return table + "." + quoted(c.Field.Name)
}

// compare writes one condition. As in any SQL, null compares with nothing, not even as different.
func (b *conditions) compare(f personnel.Filter, column string) string {
	switch f.Operator {
	case personnel.Like, personnel.ILike:
		return likeText(column, b.arg(f.Value))
	case personnel.NotLike, personnel.NotILike:
		return "NOT " + likeText(column, b.arg(f.Value))
	case personnel.In:
		return b.in(f.Values, column, "IN", "OR", "IS NULL", "FALSE")
	case personnel.NotIn:
		return b.in(f.Values, column, "NOT IN", "AND", "IS NOT NULL", "TRUE")
	case personnel.AnyIn, personnel.AllIn:
		return b.contains(f, column)
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
func (b *conditions) contains(f personnel.Filter, column string) string {
	parts := make([]string, len(f.Values))
	for i, v := range f.Values {
		parts[i] = jsonHolds(column, b.arg(v))
	}
	switch {
	case len(parts) == 0 && f.Operator == personnel.AnyIn:
		return "FALSE"
	case len(parts) == 0:
		return "TRUE"
	case f.Operator == personnel.AnyIn:
		return "(" + strings.Join(parts, " OR ") + ")"
	}
	return "(" + strings.Join(parts, " AND ") + ")"
}

// day compares with a whole day, as ranges so that an index serves.
func (b *conditions) day(f personnel.Filter, column string) string {
	first, _ := f.Value.(string)
	begin, err := time.Parse(personnel.StoredTime, first)
	if err != nil {
		return "FALSE" // it was read as a time
	}
	next := begin.AddDate(0, 0, 1).Format(personnel.StoredTime)
	switch f.Operator {
	case personnel.Less:
		return column + " < " + b.arg(first)
	case personnel.LessEqual:
		return column + " < " + b.arg(next)
	case personnel.Greater:
		return column + " >= " + b.arg(next)
	case personnel.GreaterEqual:
		return column + " >= " + b.arg(first)
	case personnel.NotEqual:
		return "(" + column + " < " + b.arg(first) + " OR " + column + " >= " + b.arg(next) + ")"
	}
	return "(" + column + " >= " + b.arg(first) + " AND " + column + " < " + b.arg(next) + ")"
}

// text asks for a text anywhere in any field that is shown.
func (b *conditions) text(text string) string {
	pattern := b.arg("%" + strings.NewReplacer(`\`, `\\`, "%", `\%`, "_", `\_`).Replace(text) + "%")
	var parts []string
	for i := range b.kind.Fields {
		if f := &b.kind.Fields[i]; !f.Hidden {
			parts = append(parts, likeText(quoted(f.Name), pattern))
		}
	}
	return strings.Join(parts, " OR ")
}

// order writes what a search sorts by, and last the id, so that pages do not overlap.
func (b *conditions) order(s *personnel.Search) string {
	if len(s.Sorts) == 0 {
		return listOrder(b.kind)
	}
	var parts []string
	for _, sort := range s.Sorts {
		by := b.column(sort.Column, b.kind.Table)
		if rel := sort.Column.Relation; rel != nil {
			by = fmt.Sprintf("(SELECT %s FROM %s AS related WHERE related.id = %s.%s)",
				b.column(sort.Column, "related"), personnel.ByName(rel.Kind).Table, b.kind.Table, quoted(rel.Via))
		}
		if sort.Descending {
			by += " DESC"
		}
		parts = append(parts, by)
	}
	return strings.Join(append(parts, "id"), ", ")
}
