package store

import (
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

// scanResource reads a row that was selected by columns.
func scanResource(k *personnel.Kind, scan func(to ...any) error) (*personnel.Resource, error) {
	r := &personnel.Resource{Kind: k, Values: make([]any, len(k.Fields))}
	to := make([]any, len(k.Fields), len(k.Fields)+1)
	for i := range r.Values {
		to[i] = &r.Values[i]
	}
	var data *string
	if k.Custom {
		to = append(to, &data)
	}
	if err := scan(to...); err != nil {
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
// shown and those in shown, and what computed attributes need. It makes a query for each relation,
// however many resources there are.
func complete(ctx context.Context, c conn, organizationID int64, list []*personnel.Resource, shown ...string) error {
	if len(list) == 0 {
		return nil
	}
	k := list[0].Kind
	for _, name := range k.Always {
		if !slices.Contains(shown, name) {
			shown = append(shown, name)
		}
	}
	for _, r := range list {
		r.Shown = shown
	}
	if err := loadRelations(ctx, c, organizationID, list, shown); err != nil {
		return err
	}
	if err := loadForDocuments(ctx, c, organizationID, list); err != nil {
		return err
	}
	return loadLatest(ctx, c, list)
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
	var missing []string
	for _, rel := range k.Relations {
		if _, loaded := with[0].Related[rel.Name]; !loaded {
			missing = append(missing, rel.Name)
		}
	}
	return loadRelations(ctx, c, organizationID, with, missing)
}

// loadRelations fills Related of each resource for the relations named, with the related resources
// complete in turn. The catalogue has no circle of relations that are always shown.
func loadRelations(ctx context.Context, c conn, organizationID int64, list []*personnel.Resource, names []string) error {
	k := list[0].Kind
	for _, name := range names {
		rel := k.Relation(name)
		if rel == nil || rel.Pivot != nil {
			return fmt.Errorf("load %s of %s: no such single relation", name, k.Name)
		}
		related := personnel.ByName(rel.Kind)
		var ids []int64
		local := "id"
		if rel.Via != "" {
			local = rel.Via
		}
		for _, r := range list {
			if r.Related == nil {
				r.Related = make(map[string]*personnel.Resource, len(names))
			}
			r.Related[name] = nil
			if id, ok := r.Get(local).(int64); ok && !slices.Contains(ids, id) {
				ids = append(ids, id)
			}
		}
		if len(ids) == 0 {
			continue
		}
		foreign := "id"
		if rel.Inverse != "" {
			foreign = rel.Inverse
		}
		found, err := selectResources(ctx, c, related, "organization_id = $1 AND "+inIDs(foreign, 2), organizationID, idList(ids))
		if err != nil {
			return err
		}
		if err := complete(ctx, c, organizationID, found); err != nil {
			return err
		}
		byID := make(map[any]*personnel.Resource, len(found))
		for _, f := range found {
			byID[f.Get(foreign)] = f
		}
		for _, r := range list {
			if id := r.Get(local); id != nil {
				r.Related[name] = byID[id]
			}
		}
	}
	return nil
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
