package store

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/personnel"
	"github.com/buglehq/bugle/value"
)

// A Link is a resource to be put among those that a relation leads to.
type Link struct {
	ID      int64
	Columns *value.Array // of the pivot, as sent; nil: none
	At      string       // where the request names it, for problems: "resources.3"
}

// Linked is what came of several links.
type Linked struct {
	Attached []int64
	Detached []int64
	Updated  []int64
}

// Link puts resources among those that a relation of one resource leads to, and returns the ids of
// those that it added. Those that are there already are left as they are, unless the relation can
// lead to one more than once and duplicates are wanted. Rows of pivots emit no events.
func (tx *Tx) Link(a Actor, w *personnel.Within, links []Link, duplicates bool) ([]int64, error) {
	present, err := tx.linked(a, w)
	if err != nil {
		return nil, err
	}
	p, added := w.Relation.Pivot, []int64{}
	for _, l := range links {
		if slices.Contains(present, l.ID) && (p == nil || !p.Repeats || !duplicates) {
			continue
		}
		if err := tx.link(a, w, l); err != nil {
			return nil, err
		}
		added, present = append(added, l.ID), append(present, l.ID)
	}
	return added, nil
}

// Unlink takes resources out of those that a relation of one resource leads to, and returns the ids
// of those that were there.
func (tx *Tx) Unlink(a Actor, w *personnel.Within, ids []int64) ([]int64, error) {
	present, err := tx.linked(a, w)
	if err != nil {
		return nil, err
	}
	removed := []int64{}
	for _, id := range ids {
		if !slices.Contains(present, id) || slices.Contains(removed, id) {
			continue
		}
		if err := tx.unlink(a, w, id); err != nil {
			return nil, err
		}
		removed = append(removed, id)
	}
	return removed, nil
}

// Sync lets a relation of one resource lead to the given ones: those that are missing are added, those
// that are there get the columns that are given, and with detaching others are taken out.
func (tx *Tx) Sync(a Actor, w *personnel.Within, links []Link, detaching bool) (Linked, error) {
	done := Linked{}
	present, err := tx.linked(a, w)
	if err != nil {
		return done, err
	}
	wanted := make([]int64, len(links))
	for i, l := range links {
		wanted[i] = l.ID
	}
	if detaching {
		surplus := slices.DeleteFunc(slices.Clone(present), func(id int64) bool { return slices.Contains(wanted, id) })
		if done.Detached, err = tx.Unlink(a, w, surplus); err != nil {
			return done, err
		}
	}
	for _, l := range links {
		switch {
		case !slices.Contains(present, l.ID):
			err = tx.link(a, w, l)
			done.Attached, present = append(done.Attached, l.ID), append(present, l.ID)
		case l.Columns.Len() > 0:
			var changed bool
			if changed, err = tx.SetPivot(a, w, l); changed {
				done.Updated = append(done.Updated, l.ID)
			}
		}
		if err != nil {
			return done, err
		}
	}
	return done, nil
}

// Toggle takes those of the resources out of the relation that are in it, and puts the others in.
func (tx *Tx) Toggle(a Actor, w *personnel.Within, links []Link) (Linked, error) {
	done := Linked{}
	present, err := tx.linked(a, w)
	if err != nil {
		return done, err
	}
	for _, l := range links {
		switch {
		case slices.Contains(done.Detached, l.ID) || slices.Contains(done.Attached, l.ID):
			continue // named twice
		case slices.Contains(present, l.ID):
			err = tx.unlink(a, w, l.ID)
			done.Detached = append(done.Detached, l.ID)
		default:
			err = tx.link(a, w, l)
			done.Attached = append(done.Attached, l.ID)
		}
		if err != nil {
			return done, err
		}
	}
	return done, nil
}

// SetPivot gives the rows of the pivot that lead to a resource new values, and reports whether there
// were any.
func (tx *Tx) SetPivot(a Actor, w *personnel.Within, l Link) (bool, error) {
	if _, err := tx.GetWithin(a.OrganizationID, w, l.ID); err != nil {
		return false, err
	}
	p := w.Relation.Pivot
	if p == nil {
		return false, nil
	}
	c := change{tx, a}
	names, values, err := c.pivotValues(p, l)
	if err != nil || len(names) == 0 {
		return false, err
	}
	var set []string
	for i, name := range names {
		set = append(set, fmt.Sprintf("%s = $%d", quoted(name), i+1))
	}
	n := len(values)
	values = append(values, c.Now(), w.ID, l.ID, a.OrganizationID)
	err = tx.exec(fmt.Sprintf("UPDATE %s SET %s, updated_at = $%d WHERE %s = $%d AND %s = $%d AND organization_id = $%d",
		p.Table, strings.Join(set, ", "), n+1, p.Local, n+2, p.Foreign, n+3, n+4), values...)
	if err != nil {
		return false, fmt.Errorf("update %s of %s %d: %w", w.Relation.Name, w.Kind.Name, w.ID, err)
	}
	return true, nil
}

// maxLinked is how many resources a relation of one may lead to before links are refused.
const maxLinked = 10000

// linked returns the ids of what a relation leads to. It is ErrNotFound if there is no such resource.
func (tx *Tx) linked(a Actor, w *personnel.Within) ([]int64, error) {
	if _, err := tx.Find(a.OrganizationID, w.Kind, w.ID); err != nil {
		return nil, err
	}
	ids := []int64{}
	b := &conditions{dialect: tx.w.dialect, kind: personnel.ByName(w.Relation.Kind), args: []any{a.OrganizationID}}
	from, where := b.within(w)
	err := tx.each(func(scan func(to ...any) error) error {
		var id int64
		err := scan(&id)
		ids = append(ids, id)
		return err
	}, fmt.Sprintf("SELECT DISTINCT %s.id FROM %s WHERE organization_id = $1%s ORDER BY 1 LIMIT %d", b.kind.Table, from, where, maxLinked+1), b.args...)
	if err != nil {
		return nil, fmt.Errorf("read %s of %s %d: %w", w.Relation.Name, w.Kind.Name, w.ID, err)
	}
	if len(ids) > maxLinked {
		return nil, bugle.Invalid("resources", "There are more than %d %s already.", maxLinked, strings.ReplaceAll(w.Relation.Name, "_", " "))
	}
	return ids, nil
}

// link adds one resource that is not there yet.
func (tx *Tx) link(a Actor, w *personnel.Within, l Link) error {
	c, other, p := change{tx, a}, personnel.ByName(w.Relation.Kind), w.Relation.Pivot
	if _, err := c.Find(other, l.ID); errors.Is(err, bugle.ErrNotFound) {
		return bugle.Invalid(l.At, "There is no %s with the id %d.", strings.ToLower(other.Class), l.ID)
	} else if err != nil {
		return err
	}
	if p == nil {
		_, err := tx.Associate(a, w, l.ID)
		return err
	}
	names, values, err := c.pivotValues(p, l)
	if err != nil {
		return err
	}
	row := map[string]any{p.Local: w.ID, p.Foreign: l.ID}
	for i, name := range names {
		row[name] = values[i]
	}
	if p.Field("assigned_by_id") != nil {
		if _, given := row["assigned_by_id"]; !given && a.UserID != 0 {
			row["assigned_by_id"] = a.UserID
		}
		if row["assigned_at"] == nil {
			row["assigned_at"] = c.Now()
		}
	}
	if _, given := row["order"]; p.Sorted() && !given {
		var last int64
		err := tx.one([]any{&last}, fmt.Sprintf(`SELECT COALESCE(MAX("order"), 0) FROM %s WHERE %s = $1`, p.Table, p.Local), w.ID)
		if err != nil {
			return err
		}
		row["order"] = last + 1
	}
	if err := c.Attach(p.Table, row); err != nil {
		return fmt.Errorf("attach %s to %s %d: %w", w.Relation.Name, w.Kind.Name, w.ID, err)
	}
	return nil
}

// unlink takes one resource out that is there.
func (tx *Tx) unlink(a Actor, w *personnel.Within, id int64) error {
	p := w.Relation.Pivot
	if p == nil {
		_, err := tx.Dissociate(a, w, id)
		return err
	}
	err := tx.exec(fmt.Sprintf("DELETE FROM %s WHERE %s = $1 AND %s = $2 AND organization_id = $3", p.Table, p.Local, p.Foreign), w.ID, id, a.OrganizationID)
	if err != nil {
		return fmt.Errorf("detach %s from %s %d: %w", w.Relation.Name, w.Kind.Name, w.ID, err)
	}
	return nil
}

// pivotValues reads the columns of a pivot that a request gives.
func (c change) pivotValues(p *personnel.Pivot, l Link) (names []string, values []any, err error) {
	invalid := &bugle.InvalidError{}
	read := p.Read(l.Columns, l.At, invalid)
	for i := range p.Fields {
		f := &p.Fields[i]
		v, given := read[f.Name]
		if !given {
			continue
		}
		if f.Type == personnel.Reference && v != nil {
			referred := personnel.ByName(f.Refers)
			if _, err := c.Find(referred, v.(int64)); errors.Is(err, bugle.ErrNotFound) {
				invalid.Add(l.At+"."+f.Name, "The %s field must be the id of an existing %s; there is none with the id %d.", f.Name, strings.ToLower(referred.Class), v)
			} else if err != nil {
				return nil, nil, err
			}
		}
		names, values = append(names, f.Name), append(values, v)
	}
	return names, values, invalid.Err()
}
