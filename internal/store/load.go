package store

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/personnel"
	"github.com/buglehq/bugle/value"
)

// columns lists a kind's columns for SELECT, in the order of its fields, the custom fields last.
func columns(k *personnel.Kind) string {
	var b strings.Builder
	for i := range k.Fields {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(quoted(k.Fields[i].Name))
	}
	if k.Custom {
		b.WriteString(", data")
	}
	return b.String()
}

func quoted(column string) string { return `"` + column + `"` }

// scanResource reads a row that was selected by columns, and what was selected after them.
func scanResource(k *personnel.Kind, scan func(to ...any) error, after ...any) (*personnel.Resource, error) {
	r := &personnel.Resource{Kind: k, Values: make([]any, len(k.Fields))}
	to := make([]any, len(k.Fields), len(k.Fields)+1)
	for i := range r.Values {
		to[i] = &r.Values[i]
	}
	var data *string
	if k.Custom {
		to = append(to, &data)
	}
	if err := scan(append(to, after...)...); err != nil {
		return nil, err
	}
	for i := range k.Fields {
		switch v := r.Values[i].(type) {
		case []byte:
			r.Values[i] = string(v)
		case int64:
			if k.Fields[i].Type == personnel.Boolean {
				r.Values[i] = v != 0
			}
		}
	}
	if data != nil {
		custom, err := value.Decode([]byte(*data))
		if err != nil {
			return nil, fmt.Errorf("custom fields of %s %d: %w", k.Name, r.ID(), err)
		}
		r.Custom, _ = custom.(*value.Array)
	}
	return r, nil
}

// findResource returns a resource of the organization without relations, or bugle.ErrNotFound.
func findResource(ctx context.Context, c conn, organizationID int64, k *personnel.Kind, id int64) (*personnel.Resource, error) {
	list, err := selectResources(ctx, c, k, "organization_id = $1 AND id = $2", organizationID, id)
	if err != nil {
		return nil, err
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("%s %d: %w", k.Name, id, bugle.ErrNotFound)
	}
	return list[0], nil
}

// selectResources returns the rows that a condition, and what may follow it, selects.
func selectResources(ctx context.Context, c conn, k *personnel.Kind, where string, args ...any) ([]*personnel.Resource, error) {
	var list []*personnel.Resource
	err := c.each(ctx, func(scan func(to ...any) error) error {
		r, err := scanResource(k, scan)
		list = append(list, r)
		return err
	}, "SELECT "+columns(k)+" FROM "+k.Table+" WHERE "+where, args...)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", k.Table, err)
	}
	return list, nil
}

// complete loads what rendering the resources takes, all of one kind: the relations that are always
// shown and those included, and what computed attributes need. It makes a query for each relation,
// however many resources there are.
func complete(ctx context.Context, c conn, organizationID int64, list []*personnel.Resource, included ...personnel.Include) error {
	if len(list) == 0 {
		return nil
	}
	k := list[0].Kind
	show(list, included)
	for _, name := range slices.Concat(k.Always, k.Needs) {
		if !slices.ContainsFunc(included, func(i personnel.Include) bool { return i.Name == name }) {
			included = append(slices.Clip(included), personnel.Include{Name: name})
		}
	}
	if err := loadRelations(ctx, c, organizationID, list, included); err != nil {
		return err
	}
	if err := loadForDocuments(ctx, c, organizationID, list); err != nil {
		return err
	}
	return loadLatest(ctx, c, list)
}

// show lets resources of one kind show what is included, and what their kind always shows.
func show(list []*personnel.Resource, included []personnel.Include) {
	k := list[0].Kind
	names := make([]string, 0, len(included)+len(k.Always))
	for _, i := range included {
		names = append(names, i.Name)
	}
	for _, name := range k.Always {
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	for _, r := range list {
		r.Shown = names
	}
}

// Include loads relations into resources that are complete otherwise, all of one kind.
func (s *Store) Include(ctx context.Context, organizationID int64, list []*personnel.Resource, included []personnel.Include) error {
	if len(included) == 0 || len(list) == 0 {
		return nil
	}
	show(list, included)
	return loadRelations(ctx, s.view(), organizationID, list, included)
}

// loadForDocuments loads every relation of those records that have a document: its tags may name
// any of them.
func loadForDocuments(ctx context.Context, c conn, organizationID int64, list []*personnel.Resource) error {
	k := list[0].Kind
	if k.Relation("document") == nil {
		return nil
	}
	var with []*personnel.Resource
	for _, r := range list {
		if r.Related["document"] != nil {
			with = append(with, r)
		}
	}
	if len(with) == 0 {
		return nil
	}
	var missing []personnel.Include
	for _, rel := range k.Relations {
		if _, loaded := with[0].Related[rel.Name]; !loaded && rel.Via != "" && !rel.Model {
			missing = append(missing, personnel.Include{Name: rel.Name})
		}
	}
	return loadRelations(ctx, c, organizationID, with, missing)
}

// maxIncluded bounds the resources that one included relation brings to a page.
const maxIncluded = 10000

// loadRelations fills Related and Lists of each resource for the relations named, with the related
// resources complete in turn. The catalogue has no circle of relations that are always shown.
func loadRelations(ctx context.Context, c conn, organizationID int64, list []*personnel.Resource, included []personnel.Include) error {
	k := list[0].Kind
	for _, include := range included {
		rel := k.Relation(include.Name)
		if rel == nil {
			return fmt.Errorf("load %s of %s: no such relation", include.Name, k.Name)
		}
		var err error
		switch {
		case rel.Pivot != nil:
			err = loadThroughPivot(ctx, c, organizationID, list, rel, include.Below)
		case rel.Model:
			err = loadModels(ctx, c, organizationID, list, rel)
		default:
			err = loadRelation(ctx, c, organizationID, list, rel, include.Below)
		}
		if err != nil {
			return fmt.Errorf("load %s of %s: %w", rel.Name, k.Name, err)
		}
	}
	return nil
}

// loadModels loads what model_type and model_id name, a query for each kind that they name.
func loadModels(ctx context.Context, c conn, organizationID int64, list []*personnel.Resource, rel *personnel.Relation) error {
	byModel := map[string][]*personnel.Resource{}
	for _, r := range list {
		setRelated(r, rel, nil)
		byModel[r.Text("model_type")] = append(byModel[r.Text("model_type")], r)
	}
	for model, of := range byModel {
		k := personnel.ByModel(model)
		if k == nil {
			continue
		}
		one := personnel.Relation{Name: rel.Name, Kind: k.Name, Via: rel.Via}
		if err := loadRelation(ctx, c, organizationID, of, &one, nil); err != nil {
			return err
		}
	}
	return nil
}

// loadRelation loads one that a Reference field makes, from either side.
func loadRelation(ctx context.Context, c conn, organizationID int64, list []*personnel.Resource, rel *personnel.Relation, below []personnel.Include) error {
	local, foreign := "id", rel.Inverse
	if rel.Via != "" {
		local, foreign = rel.Via, "id"
	}
	var ids []int64
	seen := make(map[int64]bool, len(list))
	for _, r := range list {
		setRelated(r, rel, nil)
		if id, ok := r.Get(local).(int64); ok && !seen[id] {
			seen[id] = true
			ids = append(ids, id)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	related := personnel.ByName(rel.Kind)
	where, args := "organization_id = $1 AND "+inIDs(foreign, 2), []any{organizationID, idList(ids)}
	if rel.Where != "" {
		where, args = where+" AND "+quoted(rel.Where)+" = $3", append(args, rel.Is)
	}
	if rel.Many {
		where += shownRows(related)
		where += fmt.Sprintf(" ORDER BY %s LIMIT %d", listOrder(related), maxIncluded+1)
	}
	found, err := selectResources(ctx, c, related, where, args...)
	if err != nil {
		return err
	}
	if len(found) > maxIncluded {
		return tooManyIncluded(rel)
	}
	if err := complete(ctx, c, organizationID, found, below...); err != nil {
		return err
	}
	byID := make(map[any][]*personnel.Resource, len(found))
	for _, f := range found {
		byID[f.Get(foreign)] = append(byID[f.Get(foreign)], f)
	}
	for _, r := range list {
		if id := r.Get(local); id != nil {
			setRelated(r, rel, byID[id])
		}
	}
	return nil
}

// loadThroughPivot loads a many-to-many relation, each resource with the row that led to it.
func loadThroughPivot(ctx context.Context, c conn, organizationID int64, list []*personnel.Resource, rel *personnel.Relation, below []personnel.Include) error {
	p := rel.Pivot
	ids := make([]int64, len(list))
	for i, r := range list {
		setRelated(r, rel, nil)
		ids[i] = r.ID()
	}
	order := "id"
	if p.Sorted() {
		order = `"order", id`
	}
	type row struct {
		local, foreign int64
		columns        *value.Array
	}
	var rows []row
	var foreign []int64
	err := c.each(ctx, func(scan func(to ...any) error) error {
		var one row
		to, read := scanPivot(p)
		if err := scan(append([]any{&one.local, &one.foreign}, to...)...); err != nil {
			return err
		}
		one.columns = read()
		rows, foreign = append(rows, one), append(foreign, one.foreign)
		return nil
	}, fmt.Sprintf("SELECT %s, %s, %s FROM %s WHERE organization_id = $1 AND %s AND %s IS NOT NULL ORDER BY %s LIMIT %d",
		p.Local, p.Foreign, pivotColumns(p, ""), p.Table, inIDs(p.Local, 2), p.Foreign, order, maxIncluded+1), organizationID, idList(ids))
	if err != nil || len(rows) == 0 {
		return err
	}
	if len(rows) > maxIncluded {
		return tooManyIncluded(rel)
	}
	related := personnel.ByName(rel.Kind)
	found, err := selectResources(ctx, c, related, "organization_id = $1 AND "+inIDs("id", 2)+shownRows(related)+" ORDER BY "+listOrder(related),
		organizationID, idList(foreign))
	if err != nil {
		return err
	}
	if err := complete(ctx, c, organizationID, found, below...); err != nil {
		return err
	}
	byID, place := make(map[int64]*personnel.Resource, len(found)), make(map[int64]int, len(found))
	for i, f := range found {
		byID[f.ID()], place[f.ID()] = f, i
	}
	if !p.Sorted() && !p.Repeats { // as in lists; what repeats is a history
		slices.SortStableFunc(rows, func(a, b row) int { return cmp.Compare(place[a.foreign], place[b.foreign]) })
	}
	led := map[int64][]*personnel.Resource{}
	for _, one := range rows {
		if f := byID[one.foreign]; f != nil {
			copied := *f
			copied.Through, copied.Row = p, one.columns
			led[one.local] = append(led[one.local], &copied)
		}
	}
	for _, r := range list {
		setRelated(r, rel, led[r.ID()])
	}
	return nil
}

// pivotColumns lists the columns of a pivot that are shown, each with the prefix.
func pivotColumns(p *personnel.Pivot, prefix string) string {
	names := make([]string, len(p.Shown))
	for i, name := range p.Shown {
		names[i] = quoted(prefix + name)
	}
	return strings.Join(names, ", ")
}

// scanPivot returns where to scan the pivotColumns of a row, and what gives them afterwards.
func scanPivot(p *personnel.Pivot) (to []any, read func() *value.Array) {
	values := make([]any, len(p.Shown))
	to = make([]any, len(values))
	for i := range values {
		to[i] = &values[i]
	}
	return to, func() *value.Array {
		row := value.NewArray(len(values))
		for i, name := range p.Shown {
			if b, ok := values[i].([]byte); ok {
				values[i] = string(b)
			}
			row.Set(name, values[i])
		}
		return row
	}
}

// shownRows is a condition, after others, that leaves out what lists of the kind leave out.
func shownRows(k *personnel.Kind) string {
	if k.Hiding == nil {
		return ""
	}
	return " AND " + hiddenRows(k, false)
}

// hiddenRows is a condition for the rows that are hidden, or for the others.
func hiddenRows(k *personnel.Kind, hidden bool) string {
	if k.Hiding.When == hidden {
		return quoted(k.Hiding.Field)
	}
	return "NOT " + quoted(k.Hiding.Field)
}

// setRelated notes what a relation of a resource led to.
func setRelated(r *personnel.Resource, rel *personnel.Relation, found []*personnel.Resource) {
	switch {
	case rel.IsMany():
		if r.Lists == nil {
			r.Lists = map[string][]*personnel.Resource{}
		}
		r.Lists[rel.Name] = found
		return
	case r.Related == nil:
		r.Related = map[string]*personnel.Resource{}
	}
	r.Related[rel.Name] = nil
	if len(found) > 0 {
		r.Related[rel.Name] = found[0]
	}
}

func tooManyIncluded(rel *personnel.Relation) error {
	return bugle.Invalid("include", "The relation %s leads to more than %d resources for this page. Ask for fewer with limit, or search them.", rel.Name, maxIncluded)
}

// loadLatest fills Latest of each resource.
func loadLatest(ctx context.Context, c conn, list []*personnel.Resource) error {
	k := list[0].Kind
	if len(k.Latest) == 0 {
		return nil
	}
	byID := make(map[int64][]*personnel.Resource, len(list))
	ids := make([]int64, 0, len(list))
	for _, r := range list {
		r.Latest = make(map[string]any, len(k.Latest))
		if byID[r.ID()] == nil {
			ids = append(ids, r.ID())
		}
		byID[r.ID()] = append(byID[r.ID()], r)
	}
	for _, l := range k.Latest {
		where, args := inIDs(l.Via, 1), []any{idList(ids)}
		if l.Where != "" {
			where, args = where+" AND "+quoted(l.Where)+" = $2", append(args, l.Is)
		}
		query := "SELECT " + l.Via + ", MAX(created_at) FROM " + personnel.ByName(l.Kind).Table + " WHERE " + where + " GROUP BY " + l.Via
		err := c.each(ctx, func(scan func(to ...any) error) error {
			var id int64
			var at *string
			if err := scan(&id, &at); err != nil || at == nil {
				return err
			}
			for _, r := range byID[id] {
				r.Latest[l.Name] = *at
			}
			return nil
		}, query, args...)
		if err != nil {
			return fmt.Errorf("read %s: %w", l.Name, err)
		}
	}
	return nil
}

// parameters is "$from, $from+1, …", n of them.
func parameters(from, n int) string {
	var b strings.Builder
	for i := range n {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteByte('$')
		b.WriteString(strconv.Itoa(from + i))
	}
	return b.String()
}
