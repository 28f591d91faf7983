package api

import (
	"errors"
	"net/http"
	"strconv"
	"strings"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/internal/store"
	"github.com/buglehq/bugle/personnel"
	"github.com/buglehq/bugle/value"
)

// resources is the collection of a kind of the catalogue.
func (s *server) resources(k *personnel.Kind) collection[*personnel.Resource] {
	return collection[*personnel.Resource]{
		path:  k.Path,
		scope: k.Name,
		list: func(q *request, p store.PageRequest) (store.Page[*personnel.Resource], error) {
			return s.store.List(q.Context(), q.actor.OrganizationID, k, p)
		},
		search: func(q *request, p store.PageRequest, body *value.Array) (page store.Page[*personnel.Resource], err error) {
			var keys map[string]bool
			if k.Custom {
				if keys, err = s.store.CustomKeys(q.Context(), q.actor.OrganizationID); err != nil {
					return page, err
				}
			}
			search, err := personnel.ReadSearch(k, body, func(key string) bool { return keys[key] })
			if err != nil {
				return page, err
			}
			q.included = search.Includes
			return s.store.Search(q.Context(), q.actor.OrganizationID, search, p)
		},
		show: func(q *request, id int64) (*personnel.Resource, error) {
			return s.store.Get(q.Context(), q.actor.OrganizationID, k, id)
		},
		create: func(q *request, tx *store.Tx, fields *value.Array) (*personnel.Resource, error) {
			return tx.Create(q.actor, k, fields)
		},
		update: func(q *request, tx *store.Tx, id int64, fields *value.Array) (*personnel.Resource, error) {
			return tx.Update(q.actor, k, id, fields)
		},
		delete: func(q *request, tx *store.Tx, id int64) (*personnel.Resource, error) {
			return tx.Delete(q.actor, k, id)
		},
		answer: func(q *request, list []*personnel.Resource, _ bool) (*value.Array, error) {
			view, err := q.view()
			if err != nil {
				return nil, err
			}
			paths := append(strings.Split(q.URL.Query().Get("include"), ","), q.included...)
			if err := s.store.Include(q.Context(), q.actor.OrganizationID, list, personnel.ReadIncludes(k, paths)); err != nil {
				return nil, err
			}
			items := value.NewArray(len(list))
			for _, r := range list {
				items.Append(r.Data(view))
			}
			q.cacheHeaders(k, list)
			return items, nil
		},
	}
}

// maxSurrogates bounds the header: caches refuse long ones.
const maxSurrogates = 200

// cacheHeaders tells caches what PERSCOM tells them.
func (q *request) cacheHeaders(k *personnel.Kind, list []*personnel.Resource) {
	h := q.w.Header()
	h.Set("Cache-Control", "max-age=0, no-store, public")
	h.Set("Surrogate-Control", "max-age=2592000")
	h.Add("Vary", "Authorization, X-Perscom-Id")
	if q.Method != http.MethodGet && q.Method != http.MethodHead {
		return
	}
	tenant := strconv.FormatInt(q.actor.OrganizationID, 10)
	keys := []string{"tenant:" + tenant}
	seen := map[string]bool{}
	add := func(key string) {
		if key = tenant + ":" + key; !seen[key] && len(keys) < maxSurrogates {
			seen[key] = true
			keys = append(keys, key)
		}
	}
	var walk func(r *personnel.Resource)
	walk = func(r *personnel.Resource) {
		add(r.Kind.Name)
		add(r.Kind.Name + ":" + strconv.FormatInt(r.ID(), 10))
		for _, name := range r.Shown {
			if related := r.Related[name]; related != nil {
				walk(related)
			}
			for _, related := range r.Lists[name] {
				walk(related)
			}
		}
	}
	add(k.Name)
	for _, r := range list {
		walk(r)
	}
	h.Set("Surrogate-Key", strings.Join(keys, " "))
}

// pivots adds the routes that put resources into a kind's many-to-many relations, and take them out.
func (s *server) pivots(k *personnel.Kind) {
	for _, rel := range k.Relations {
		if rel.Pivot == nil || !rel.Pivot.PivotSorted {
			continue
		}
		path, scope := k.Path+"/{id}/"+strings.ReplaceAll(rel.Name, "_", "-"), "update:"+k.Name
		s.handle(path+"/attach", methods{"POST": {scope, func(q *request) error {
			return q.pivot("attached", func(tx *store.Tx, id int64, named pivotResources) ([]int64, error) {
				linked, err := tx.Link(q.actor, k, id, &rel, named.ids)
				if err != nil {
					return nil, err
				}
				return linked, tx.Place(q.actor, k, id, &rel, named.placesOf(linked))
			})
		}}})
		s.handle(path+"/detach", methods{"DELETE": {scope, func(q *request) error {
			return q.pivot("detached", func(tx *store.Tx, id int64, named pivotResources) ([]int64, error) {
				return tx.Unlink(q.actor, k, id, &rel, named.ids)
			})
		}}})
	}
}

// pivotResources are those that a request names, in a list of ids or as the keys of a map, whose
// values may give them a place.
type pivotResources struct {
	ids    []int64
	places map[int64]int64
}

// placesOf returns the places of some of the resources, those that were given one.
func (p pivotResources) placesOf(ids []int64) map[int64]int64 {
	places := map[int64]int64{}
	for _, id := range ids {
		if place, given := p.places[id]; given {
			places[id] = place
		}
	}
	return places
}

func (q *request) pivotResources() (named pivotResources, err error) {
	list, err := q.resources()
	if err != nil {
		return named, err
	}
	named.places = map[int64]int64{}
	for key, item := range list.All() {
		at := "resources." + key.String()
		var id any = key.String()
		if list.IsList() {
			id = item
		}
		one, ok := idOf(id)
		if !ok {
			return named, bugle.Invalid(at, "Each of the resources must be an id, not %s.", value.Describe(id))
		}
		named.ids = append(named.ids, one)
		if fields, isMap := item.(*value.Array); isMap && fields.Has("order") {
			order, _ := fields.Get("order")
			place, ok := order.(int64)
			if !ok || place != int64(int32(place)) {
				return named, bugle.Invalid(at+".order", "The order field must be a whole number of at most 32 bits, not %s.", value.Describe(order))
			}
			named.places[one] = place
		}
	}
	return named, nil
}

// pivot runs an operation with the resources that are named, and answers which it changed.
func (q *request) pivot(answer string, do func(tx *store.Tx, id int64, named pivotResources) ([]int64, error)) error {
	id, err := q.id()
	if err != nil {
		return err
	}
	named, err := q.pivotResources()
	if err != nil {
		return err
	}
	changed := value.NewArray(len(named.ids))
	err = q.server.store.Update(q.Context(), func(tx *store.Tx) error {
		done, err := do(tx, id, named)
		for _, one := range done {
			changed.Append(one)
		}
		return err
	})
	if err != nil {
		return err
	}
	return q.write(http.StatusOK, value.Map(answer, changed))
}

func isNotFound(err error) bool { return errors.Is(err, bugle.ErrNotFound) }

// asInvalid returns what is wrong with one of the resources, with its key before the fields.
func asInvalid(err error, key value.Key) *bugle.InvalidError {
	var invalid *bugle.InvalidError
	if !errors.As(err, &invalid) {
		return nil
	}
	prefix := "resources." + key.String()
	if len(invalid.Problems) > 0 && strings.HasPrefix(invalid.Problems[0].Field, "resources.") {
		return invalid
	}
	return invalid.Under(prefix)
}
