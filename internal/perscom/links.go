package perscom

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"

	"github.com/buglehq/bugle/internal/store"
	"github.com/buglehq/bugle/personnel"
	"github.com/buglehq/bugle/value"
)

// links are what a relation of one resource leads to.
type links struct {
	of   int64
	list []store.ImportLink
}

// linksOf reads the rows of a pivot from the resources that it led to.
func linksOf(p *personnel.Pivot, items []*value.Array) []store.ImportLink {
	list := make([]store.ImportLink, 0, len(items))
	for n, item := range items {
		row, _ := get(item, p.Key).(*value.Array)
		if row == nil {
			row, _ = get(item, "pivot").(*value.Array)
		}
		l := store.ImportLink{Foreign: idOf(item, "id"), Columns: map[string]any{}}
		if p.Sorted() {
			l.Columns["order"] = int64(n + 1)
		}
		for i := range p.Fields {
			f := &p.Fields[i]
			if v, ok := row.Get(f.Name); ok {
				if stored, wanted := f.Keep(v); wanted == "" {
					l.Columns[f.Name] = stored
				}
			}
		}
		for _, stamp := range []string{"created_at", "updated_at"} {
			if !slices.Contains(p.Shown, stamp) {
				continue
			}
			if stored, wanted := personnel.User.Field(stamp).Keep(get(row, stamp)); wanted == "" {
				l.Columns[stamp] = stored
			}
		}
		list = append(list, l)
	}
	return list
}

// tableOf returns the kind whose table a pivot is, or nil.
func tableOf(p *personnel.Pivot) *personnel.Kind {
	for _, k := range personnel.Kinds() {
		if k.Table == p.Table {
			return k
		}
	}
	return nil
}

// withinOthers copies the rows of a kind without a collection, which are the links of other kinds.
// Schedules come with what they belong to.
func (c *Copy) withinOthers(ctx context.Context, k *personnel.Kind) error {
	for _, other := range personnel.Kinds() {
		for i := range other.Relations {
			if rel := &other.Relations[i]; rel.Pivot != nil && rel.Pivot.Table == k.Table && isCopied(other, rel) {
				if other == &personnel.Slot {
					c.links[other.Name+"."+rel.Name] = slotLinks(c.slots)
				}
				if err := c.relation(ctx, other, rel); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// relation copies what a relation of all resources of a kind leads to.
func (c *Copy) relation(ctx context.Context, k *personnel.Kind, rel *personnel.Relation) error {
	name := k.Name + "." + rel.Name
	done, err := c.Store.Imported(ctx, c.importing, name)
	if err != nil {
		return err
	}
	all := c.links[name]
	delete(c.links, name)
	if all, err = c.readLinks(ctx, k, rel, all, done); err != nil {
		return err
	}
	count := Count{Name: title(k) + "/" + rel.Name}
	progress := Progress{Name: count.Name, Total: len(all)}
	for batch := range slices.Chunk(all, batchSize) {
		if ctx.Err() != nil {
			c.count(count)
			return context.Cause(ctx)
		}
		copied := make([]int, len(batch))
		var problems []Problem
		err := c.Store.Update(context.WithoutCancel(ctx), func(tx *store.Tx) error {
			problems = problems[:0]
			for n, l := range batch {
				if done[l.of] {
					continue
				}
				number, found, err := tx.ImportLinks(c.importing, k, rel, l.of, l.list)
				if err != nil {
					return err
				}
				copied[n] = number
				for _, p := range found {
					problems = append(problems, Problem{Kind: title(k), ID: l.of, Field: p.Field, Reason: p.Reason})
				}
			}
			return nil
		})
		if err != nil {
			c.count(count)
			return err
		}
		for n, l := range batch {
			count.Read += len(l.list)
			if done[l.of] {
				count.Skipped += len(l.list)
			} else {
				count.Imported += copied[n]
				count.NotCopied += len(l.list) - copied[n]
			}
		}
		for _, p := range problems {
			c.problem(p)
		}
		progress.Done += len(batch)
		c.report(progress)
	}
	if count.Read > 0 {
		progress.Over, progress.Count = true, count
		c.report(progress)
	}
	c.count(count)
	return nil
}

// readLinks adds those links that the list of the kind does not bring: of relations that can be read
// for one resource at a time only, and those that lead to what lists leave out.
func (c *Copy) readLinks(ctx context.Context, k *personnel.Kind, rel *personnel.Relation, all []links, done map[int64]bool) ([]links, error) {
	at := slices.IndexFunc(k.Nested, func(n personnel.Nested) bool { return n.Relation == rel.Name })
	other := personnel.ByName(rel.Kind)
	if at < 0 {
		return all, nil
	}
	read := func(id int64, scope string) ([]store.ImportLink, error) {
		q := question{path: k.Path + "/" + strconv.FormatInt(id, 10) + "/" + k.Nested[at].Path, scope: scope, repeats: true}
		items, _, err := c.readPages(ctx, q, nil)
		return linksOf(rel.Pivot, items), err
	}
	report := func(err error) {
		c.problem(Problem{Kind: title(k) + "/" + k.Nested[at].Path, Reason: "they cannot be read: " + err.Error()})
	}
	if !slices.Contains(k.Includes, rel.Name) && !slices.Contains(k.Always, rel.Name) {
		progress := Progress{Name: title(k) + "/" + rel.Name, Total: 2 * len(c.ids[k])}
		for _, id := range c.ids[k] {
			if progress.Done++; progress.Done%10 == 0 {
				c.report(progress)
			}
			if done[id] {
				continue
			}
			list, err := read(id, "")
			if isAbsent(err) && progress.Done > 1 {
				continue // it was deleted meanwhile
			}
			if isRefused(err) {
				report(err)
				return all, nil
			}
			if err != nil {
				return nil, err
			}
			slices.SortStableFunc(list, func(a, b store.ImportLink) int {
				return cmp.Compare(fmt.Sprint(a.Columns["created_at"]), fmt.Sprint(b.Columns["created_at"]))
			})
			all = append(all, links{id, list})
		}
		return all, nil
	}
	if !c.hidden[other] {
		return all, nil
	}
	byID := map[int64]int{}
	for n, l := range all {
		byID[l.of] = n
	}
	for _, id := range c.ids[k] {
		if done[id] {
			continue
		}
		list, err := read(id, other.Hiding.Hidden)
		if isRefused(err) {
			report(err)
			return all, nil
		}
		if err != nil {
			return nil, err
		}
		n, there := byID[id]
		if !there {
			n = len(all)
			all = append(all, links{of: id})
		}
		for _, l := range list {
			if !slices.ContainsFunc(all[n].list, func(known store.ImportLink) bool { return known.Foreign == l.Foreign }) {
				all[n].list = append(all[n].list, l)
			}
		}
	}
	return all, nil
}

// A slot is a slot with the units that have it.
type slot struct {
	id    int64
	units []int64
	known []unitSlot
}

// A unitSlot is a slot of a unit whose id is known, because somebody is in it.
type unitSlot struct{ id, unit int64 }

func slotOf(data *value.Array) slot {
	s := slot{id: idOf(data, "id")}
	for _, unit := range objects(get(data, "units")) {
		s.units = append(s.units, idOf(unit, "id"))
	}
	for _, name := range []string{"users", "assignment_records"} {
		for _, item := range objects(get(data, name)) {
			u := unitSlot{idOf(item, "unit_slot_id"), idOf(item, "unit_id")}
			if row, ok := get(item, "pivot").(*value.Array); ok && idOf(row, "unit_slot_id") != 0 {
				u = unitSlot{idOf(row, "unit_slot_id"), idOf(row, "unit_id")}
			}
			if u.id > 0 && u.unit > 0 && !slices.Contains(s.known, u) {
				s.known = append(s.known, u)
			}
		}
	}
	return s
}

// slotLinks are the links from slots to units. The API shows the id of such a link only where somebody
// is in the slot; the others are guessed so that the order stays.
func slotLinks(slots []slot) []links {
	used := map[int64]bool{}
	for _, s := range slots {
		for _, u := range s.known {
			used[u.id] = true
		}
	}
	var all []links
	for _, s := range slots {
		l := links{of: s.id}
		known := slices.Clone(s.known)
		for _, unit := range s.units {
			link := store.ImportLink{Foreign: unit}
			if n := slices.IndexFunc(known, func(u unitSlot) bool { return u.unit == unit }); n >= 0 {
				link.ID = known[n].id
				known = slices.Delete(known, n, n+1)
			}
			l.list = append(l.list, link)
		}
		for _, u := range known {
			l.list = append(l.list, store.ImportLink{ID: u.id, Foreign: u.unit})
		}
		last := int64(0)
		for n := range l.list {
			if l.list[n].ID == 0 {
				for last++; used[last]; last++ {
				}
				l.list[n].ID, l.list[n].Guessed, used[last] = last, true, true
			}
			last = l.list[n].ID
		}
		all = append(all, l)
	}
	return all
}
