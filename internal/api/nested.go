package api

import (
	"fmt"
	"net/http"
	"strconv"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/internal/store"
	"github.com/buglehq/bugle/personnel"
	"github.com/buglehq/bugle/value"
)

// nested adds the routes of a kind's relation: users/{parent}/rank-records.
func (s *server) nested(k *personnel.Kind, n personnel.Nested) {
	rel := k.Relation(n.Relation)
	other := personnel.ByName(rel.Kind)
	within := func(q *request) (*personnel.Within, error) {
		id, err := strconv.ParseInt(q.PathValue("parent"), 10, 64)
		if err != nil || id <= 0 {
			return nil, bugle.ErrNotFound
		}
		return &personnel.Within{Kind: k, ID: id, Relation: rel}, nil
	}
	c := collection[*personnel.Resource]{
		path:   k.Path + "/{parent}/" + n.Path,
		scope:  other.Name,
		single: !rel.IsMany(),
		words:  nestedWords(k, n),
		parent: func(q *request, tx *store.Tx) error {
			w, err := within(q)
			if err != nil {
				return err
			}
			_, err = tx.Find(q.actor.OrganizationID, k, w.ID)
			return err
		},
		answer: func(q *request, list []*personnel.Resource, _ bool) (*value.Array, error) {
			return q.answer(other, list)
		},
	}
	if rel.IsMany() {
		c.list = func(q *request, p store.PageRequest) (store.Page[*personnel.Resource], error) {
			w, err := within(q)
			if err != nil {
				return store.Page[*personnel.Resource]{}, err
			}
			return s.store.Search(q.Context(), q.actor.OrganizationID, &personnel.Search{Kind: other, Within: w}, p)
		}
		s.links(k, n, within)
	}
	if n.Links {
		serve(s, c)
		return
	}
	if rel.IsMany() {
		c.search = func(q *request, p store.PageRequest, body *value.Array) (store.Page[*personnel.Resource], error) {
			w, err := within(q)
			if err != nil {
				return store.Page[*personnel.Resource]{}, err
			}
			return q.search(other, w, p, body)
		}
	}
	c.show = func(q *request, id int64) (*personnel.Resource, error) {
		w, err := within(q)
		if err != nil {
			return nil, err
		}
		return s.store.GetWithin(q.Context(), q.actor.OrganizationID, w, id)
	}
	if rel.Via == "" {
		c.create = func(q *request, tx *store.Tx, fields *value.Array) (*personnel.Resource, error) {
			w, err := within(q)
			if err != nil {
				return nil, err
			}
			return tx.CreateWithin(q.actor, w, fields)
		}
	}
	c.update = func(q *request, tx *store.Tx, id int64, fields *value.Array) (*personnel.Resource, error) {
		w, err := within(q)
		if err != nil {
			return nil, err
		}
		before, err := tx.GetWithin(q.actor.OrganizationID, w, id)
		if err != nil {
			return nil, err
		}
		after, err := tx.Update(q.actor, other, before.ID(), fields)
		if err != nil {
			return nil, err
		}
		after.Through, after.Row = before.Through, before.Row
		return after, nil
	}
	c.delete = func(q *request, tx *store.Tx, id int64) (*personnel.Resource, error) {
		w, err := within(q)
		if err != nil {
			return nil, err
		}
		before, err := tx.GetWithin(q.actor.OrganizationID, w, id)
		if err != nil {
			return nil, err
		}
		return tx.Delete(q.actor, other, before.ID())
	}
	serve(s, c)
}

// links adds the routes that put existing resources into a relation and take them out.
func (s *server) links(k *personnel.Kind, n personnel.Nested, within func(q *request) (*personnel.Within, error)) {
	rel := k.Relation(n.Relation)
	other := personnel.ByName(rel.Kind)
	path, scope, w := k.Path+"/{parent}/"+n.Path, "update:"+k.Name, nestedWords(k, n)
	change := func(q *request, fn func(tx *store.Tx, w *personnel.Within) error) error {
		w, err := within(q)
		if err != nil {
			return err
		}
		return s.store.Update(q.Context(), func(tx *store.Tx) error { return fn(tx, w) })
	}
	if rel.Pivot == nil {
		both := func(q *request, id int64, do func(tx *store.Tx, a store.Actor, w *personnel.Within, id int64) (*personnel.Resource, error)) error {
			if !q.key.Allows("update:" + other.Name) {
				return bugle.ErrForbidden
			}
			var r *personnel.Resource
			err := change(q, func(tx *store.Tx, w *personnel.Within) (err error) {
				r, err = do(tx, q.actor, w, id)
				return err
			})
			if err != nil {
				return err
			}
			items, err := q.answer(other, []*personnel.Resource{r})
			if err != nil {
				return err
			}
			data, _ := items.Get("0")
			return q.data(http.StatusOK, data)
		}
		s.handle(path+"/associate", methods{"POST": {scope, func(q *request) error {
			body, err := q.body()
			if err != nil {
				return err
			}
			key, _ := body.Get("related_key")
			id, ok := idOf(key)
			if !ok {
				return bugle.Invalid("related_key", "The related_key field must be the id of an existing %s, not %s.", other.Name, value.Describe(key))
			}
			return both(q, id, (*store.Tx).Associate)
		}, w.link("associate", "Let "+plain(w.many)+" have one more", "RelatedKey", w.schema+"Data")}})
		s.handle(path+"/{id}/dissociate", methods{"DELETE": {scope, func(q *request) error {
			id, err := q.id()
			if err != nil {
				return err
			}
			return both(q, id, (*store.Tx).Dissociate)
		}, w.link("dissociate", "Take one out of "+plain(w.many), "", w.schema+"Data", http.StatusUnprocessableEntity)}})
		if !n.Attach {
			return
		}
	}
	s.handle(path+"/attach", methods{"POST": {scope, func(q *request) error {
		links, body, err := q.links()
		if err != nil {
			return err
		}
		duplicates, _ := body.Get("duplicates")
		var attached []int64
		err = change(q, func(tx *store.Tx, w *personnel.Within) (err error) {
			attached, err = tx.Link(q.actor, w, links, isTrue(duplicates))
			return err
		})
		return q.linked(err, "attached", attached)
	}, w.link("attach", "Attach "+plain(w.many), w.many+"Attach", "Attached")}})
	s.handle(path+"/detach", methods{"DELETE": {scope, func(q *request) error {
		links, _, err := q.links()
		if err != nil {
			return err
		}
		ids := make([]int64, len(links))
		for i, l := range links {
			ids[i] = l.ID
		}
		var detached []int64
		err = change(q, func(tx *store.Tx, w *personnel.Within) (err error) {
			detached, err = tx.Unlink(q.actor, w, ids)
			return err
		})
		return q.linked(err, "detached", detached)
	}, w.link("detach", "Detach "+plain(w.many), "IDs", "Detached")}})
	s.handle(path+"/sync", methods{"PATCH": {scope, func(q *request) error {
		links, body, err := q.links()
		if err != nil {
			return err
		}
		detaching, given := body.Get("detaching")
		var done store.Linked
		err = change(q, func(tx *store.Tx, w *personnel.Within) (err error) {
			done, err = tx.Sync(q.actor, w, links, !given || isTrue(detaching))
			return err
		})
		return q.linked(err, "attached", done.Attached, "detached", done.Detached, "updated", done.Updated)
	}, w.link("sync", "Attach "+plain(w.many)+" and detach others", w.many+"Sync", "Synced")}})
	if n.Links {
		return
	}
	s.handle(path+"/toggle", methods{"PATCH": {scope, func(q *request) error {
		links, _, err := q.links()
		if err != nil {
			return err
		}
		var done store.Linked
		err = change(q, func(tx *store.Tx, w *personnel.Within) (err error) {
			done, err = tx.Toggle(q.actor, w, links)
			return err
		})
		return q.linked(err, "attached", done.Attached, "detached", done.Detached)
	}, w.link("toggle", "Attach "+plain(w.many)+", or detach those that are", w.many+"Toggle", "Toggled")}})
	s.handle(path+"/{id}/pivot", methods{"PATCH": {scope, func(q *request) error {
		id, err := q.id()
		if err != nil {
			return err
		}
		body, err := q.body()
		if err != nil {
			return err
		}
		given, _ := body.Get("pivot")
		columns, ok := given.(*value.Array)
		if !ok && given != nil {
			return bugle.Invalid("pivot", "The pivot field must be an object, not %s.", value.Describe(given))
		}
		updated := []int64{}
		err = change(q, func(tx *store.Tx, w *personnel.Within) error {
			changed, err := tx.SetPivot(q.actor, w, store.Link{ID: id, Columns: columns, At: "pivot"})
			updated = updated[:0]
			if changed {
				updated = append(updated, id)
			}
			return err
		})
		return q.linked(err, "updated", updated)
	}, w.link("pivot", "Change the pivot of "+plain(w.many), w.many+"Pivot", "PivotUpdated")}})
}

// links reads the resources that a request names: a list of ids, or a map by id of what the pivot is
// to hold. It returns the body for what else is in it.
func (q *request) links() ([]store.Link, *value.Array, error) {
	list, body, err := q.resources()
	if err != nil {
		return nil, nil, err
	}
	links := make([]store.Link, 0, list.Len())
	ofIDs := list.IsList() && !holdsArrays(list)
	for key, item := range list.All() {
		l := store.Link{At: "resources." + key.String()}
		var id any = key.String()
		if ofIDs {
			id = item
		}
		var ok bool
		if l.ID, ok = idOf(id); !ok {
			return nil, nil, bugle.Invalid(l.At, "Each of the resources must be an id, not %s.", value.Describe(id))
		}
		if !ofIDs {
			l.Columns, _ = item.(*value.Array)
		}
		links = append(links, l)
	}
	return links, body, nil
}

// holdsArrays reports whether a list is a map by id, of ids that happen to be 0, 1, 2 and so on.
func holdsArrays(list *value.Array) bool {
	for _, item := range list.All() {
		if _, isArray := item.(*value.Array); isArray {
			return true
		}
	}
	return false
}

// linked answers with ids under names, or with the error.
func (q *request) linked(err error, namesAndIDs ...any) error {
	if err != nil {
		return err
	}
	answer := value.NewArray(len(namesAndIDs) / 2)
	for i := 0; i < len(namesAndIDs); i += 2 {
		ids := value.NewArray(0)
		for _, id := range namesAndIDs[i+1].([]int64) {
			ids.Append(id)
		}
		answer.Set(fmt.Sprint(namesAndIDs[i]), ids)
	}
	return q.write(http.StatusOK, answer)
}

// isTrue reports whether a switch is on, as JSON or a form says it.
func isTrue(v any) bool {
	return v == true || v == int64(1) || v == "1" || v == "true"
}
