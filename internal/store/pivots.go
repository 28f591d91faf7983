package store

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/personnel"
)

// Link puts the resources with the ids into a many-to-many relation of a resource, and returns those
// that were not in it before. Pivot rows emit no events.
func (tx *Tx) Link(a Actor, k *personnel.Kind, id int64, rel *personnel.Relation, ids []int64) ([]int64, error) {
	c, other := change{tx, a}, personnel.ByName(rel.Kind)
	if _, err := c.Find(k, id); err != nil {
		return nil, err
	}
	linked := []int64{}
	for i, foreign := range ids {
		if _, err := c.Find(other, foreign); errors.Is(err, bugle.ErrNotFound) {
			return nil, bugle.Invalid(fmt.Sprintf("resources.%d", i), "There is no %s with the id %d.", strings.ToLower(other.Class), foreign)
		} else if err != nil {
			return nil, err
		}
		p := rel.Pivot
		n, err := tx.count(fmt.Sprintf(`
			INSERT INTO %[1]s (organization_id, %[2]s, %[3]s, "order", created_at, updated_at)
			SELECT $1, $2, $3, COALESCE(MAX("order"), 0) + 1, $4, $4 FROM %[1]s WHERE %[2]s = $2
			ON CONFLICT (%[2]s, %[3]s) DO NOTHING`, p.Table, p.Local, p.Foreign), a.OrganizationID, id, foreign, c.Now())
		if err != nil {
			return nil, fmt.Errorf("attach %s to %s %d: %w", rel.Name, k.Name, id, err)
		}
		if n > 0 {
			linked = append(linked, foreign)
		}
	}
	return linked, nil
}

// Place gives resources that are in a sorted many-to-many relation of a resource their places in it, by
// id. Ids that are not in it are passed over.
func (tx *Tx) Place(a Actor, k *personnel.Kind, id int64, rel *personnel.Relation, places map[int64]int64) error {
	for _, foreign := range slices.Sorted(maps.Keys(places)) {
		err := tx.exec(fmt.Sprintf(`UPDATE %s SET "order" = $1, updated_at = $2 WHERE %s = $3 AND %s = $4 AND organization_id = $5`,
			rel.Pivot.Table, rel.Pivot.Local, rel.Pivot.Foreign), places[foreign], change{tx, a}.Now(), id, foreign, a.OrganizationID)
		if err != nil {
			return fmt.Errorf("place %s of %s %d: %w", rel.Name, k.Name, id, err)
		}
	}
	return nil
}

// Unlink takes the resources with the ids out of a many-to-many relation of a resource, and returns
// those that were in it.
func (tx *Tx) Unlink(a Actor, k *personnel.Kind, id int64, rel *personnel.Relation, ids []int64) ([]int64, error) {
	if _, err := (change{tx, a}).Find(k, id); err != nil {
		return nil, err
	}
	unlinked := []int64{}
	for _, foreign := range ids {
		n, err := tx.count(fmt.Sprintf("DELETE FROM %s WHERE %s = $1 AND %s = $2 AND organization_id = $3", rel.Pivot.Table, rel.Pivot.Local, rel.Pivot.Foreign),
			id, foreign, a.OrganizationID)
		if err != nil {
			return nil, fmt.Errorf("detach %s from %s %d: %w", rel.Name, k.Name, id, err)
		}
		if n > 0 {
			unlinked = append(unlinked, foreign)
		}
	}
	return unlinked, nil
}
