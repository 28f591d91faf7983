package store

import (
	"context"
	"fmt"
	"strings"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/personnel"
	"github.com/buglehq/bugle/value"
)

// within writes where the rows are that a relation of one resource leads to: the tables, and a
// condition after others. The columns of a pivot are called pivot_ and their name there, so that no
// name means two columns.
func (b *conditions) within(w *personnel.Within) (from, where string) {
	if w == nil {
		return b.kind.Table, ""
	}
	rel := w.Relation
	if p := rel.Pivot; p != nil {
		columns := make([]string, len(p.Shown))
		for i, name := range p.Shown {
			columns[i] = quoted(name) + " AS " + quoted("pivot_"+name)
		}
		return fmt.Sprintf(`%[1]s JOIN (SELECT id AS pivot_row, %[2]s AS pivot_to, %[3]s FROM %[4]s WHERE organization_id = $1 AND %[5]s = %[6]s) AS pivot ON pivot_to = %[1]s.id`,
			b.kind.Table, p.Foreign, strings.Join(columns, ", "), p.Table, p.Local, b.arg(w.ID)), ""
	}
	if rel.Via != "" {
		return b.kind.Table, " AND id = (SELECT " + quoted(rel.Via) + " FROM " + w.Kind.Table + " WHERE id = " + b.arg(w.ID) + ")"
	}
	where = " AND " + quoted(rel.Inverse) + " = " + b.arg(w.ID)
	if rel.Where != "" {
		where += " AND " + quoted(rel.Where) + " = " + b.arg(rel.Is)
	}
	return b.kind.Table, where
}

// selectWithin is selectResources for rows of the tables that within has written, each with the row
// of the pivot that leads to it if there is one.
func selectWithin(ctx context.Context, c conn, k *personnel.Kind, w *personnel.Within, from, where string, args ...any) ([]*personnel.Resource, error) {
	var list []*personnel.Resource
	all := columns(k)
	var p *personnel.Pivot
	if w != nil && w.Relation.Pivot != nil {
		p = w.Relation.Pivot
		all += ", " + pivotColumns(p, "pivot_")
	}
	err := c.each(ctx, func(scan func(to ...any) error) error {
		if p == nil {
			r, err := scanResource(k, scan)
			list = append(list, r)
			return err
		}
		to, row := scanPivot(p)
		r, err := scanResource(k, scan, to...)
		if err != nil {
			return err
		}
		r.Through, r.Row = p, row()
		list = append(list, r)
		return nil
	}, "SELECT "+all+" FROM "+from+" WHERE "+where, args...)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", k.Table, err)
	}
	return list, nil
}

// GetWithin returns one of the resources that a relation of another leads to, complete for
// rendering, or bugle.ErrNotFound. Id 0 is the only one of a relation that leads to at most one.
func (s *Store) GetWithin(ctx context.Context, organizationID int64, w *personnel.Within, id int64) (*personnel.Resource, error) {
	return getWithin(ctx, s.view(), organizationID, w, id)
}

// GetWithin returns one of the resources that a relation leads to, as it stands within the
// transaction.
func (tx *Tx) GetWithin(organizationID int64, w *personnel.Within, id int64) (*personnel.Resource, error) {
	return getWithin(context.Background(), tx.view(), organizationID, w, id)
}

func getWithin(ctx context.Context, c conn, organizationID int64, w *personnel.Within, id int64) (*personnel.Resource, error) {
	if _, err := findResource(ctx, c, organizationID, w.Kind, w.ID); err != nil {
		return nil, err
	}
	k := personnel.ByName(w.Relation.Kind)
	b := &conditions{dialect: c.dialect, kind: k, args: []any{organizationID}}
	from, where := b.within(w)
	if id != 0 {
		where += " AND " + k.Table + ".id = " + b.arg(id)
	}
	order := "id DESC" // the latest, should there be several
	if w.Relation.Pivot != nil {
		order = "pivot_row DESC"
	}
	list, err := selectWithin(ctx, c, k, w, from, "organization_id = $1"+where+" ORDER BY "+order+" LIMIT 1", b.args...)
	if err != nil {
		return nil, err
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("%s %d of %s %d: %w", k.Name, id, w.Kind.Name, w.ID, bugle.ErrNotFound)
	}
	return list[0], complete(ctx, c, organizationID, list)
}

// CreateWithin adds a resource to those that a relation leads to, as Create does. The key pivot of
// the request holds columns of the pivot, if there is one. Where there can be only one, it takes the
// place of the one before.
func (tx *Tx) CreateWithin(a Actor, w *personnel.Within, sent *value.Array) (*personnel.Resource, error) {
	if _, err := tx.Find(a.OrganizationID, w.Kind, w.ID); err != nil {
		return nil, err
	}
	rel, k := w.Relation, personnel.ByName(w.Relation.Kind)
	if rel.Pivot != nil {
		r, err := tx.Create(a, k, sent)
		if err != nil {
			return nil, err
		}
		fields, _ := sent.Get("pivot")
		columns, _ := fields.(*value.Array)
		if _, err := tx.Link(a, w, []Link{{r.ID(), columns, "pivot"}}, false); err != nil {
			return nil, err
		}
		return tx.GetWithin(a.OrganizationID, w, r.ID())
	}
	decided := map[string]any{rel.Inverse: w.ID}
	if rel.Where != "" {
		decided[rel.Where] = rel.Is
	}
	r, err := tx.create(a, k, sent, decided)
	if err != nil || rel.Many {
		return r, err
	}
	before := []any{a.OrganizationID, w.ID, r.ID()}
	where := "organization_id = $1 AND " + quoted(rel.Inverse) + " = $2 AND id <> $3"
	if rel.Where != "" {
		where, before = where+" AND "+quoted(rel.Where)+" = $4", append(before, rel.Is)
	}
	replaced, err := selectResources(context.Background(), tx.view(), k, where+fmt.Sprintf(" ORDER BY id LIMIT %d", maxCascade), before...)
	if err != nil {
		return nil, err
	}
	for _, one := range replaced {
		if err := (change{tx, a}).delete(one); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// Find returns a resource without its relations, as it stands within the transaction.
func (tx *Tx) Find(organizationID int64, k *personnel.Kind, id int64) (*personnel.Resource, error) {
	return findResource(context.Background(), tx.view(), organizationID, k, id)
}

// Associate puts a resource among those that a has-many relation leads to, with its event, and
// returns it complete for rendering.
func (tx *Tx) Associate(a Actor, w *personnel.Within, id int64) (*personnel.Resource, error) {
	values := map[string]any{w.Relation.Inverse: w.ID}
	if w.Relation.Where != "" {
		values[w.Relation.Where] = w.Relation.Is
	}
	if _, err := tx.Find(a.OrganizationID, w.Kind, w.ID); err != nil {
		return nil, err
	}
	return tx.assign(a, w, id, values)
}

// Dissociate takes a resource out of those that a has-many relation leads to, with its event. It is
// an InvalidError if the resource cannot be without one.
func (tx *Tx) Dissociate(a Actor, w *personnel.Within, id int64) (*personnel.Resource, error) {
	if _, err := tx.GetWithin(a.OrganizationID, w, id); err != nil {
		return nil, err
	}
	k, values := personnel.ByName(w.Relation.Kind), map[string]any{w.Relation.Inverse: nil}
	if !k.Field(w.Relation.Inverse).Null {
		return nil, bugle.Invalid(w.Relation.Inverse, "The %s field must not be null.", w.Relation.Inverse)
	}
	if w.Relation.Where != "" {
		values[w.Relation.Where] = nil
	}
	return tx.assign(a, w, id, values)
}

func (tx *Tx) assign(a Actor, w *personnel.Within, id int64, values map[string]any) (*personnel.Resource, error) {
	k := personnel.ByName(w.Relation.Kind)
	if err := (change{tx, a}).Save(k, id, values); err != nil {
		return nil, err
	}
	return tx.Get(a.OrganizationID, k, id)
}
