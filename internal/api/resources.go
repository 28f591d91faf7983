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
	c := collection[*personnel.Resource]{
		path:  k.Path,
		scope: k.Name,
		words: wordsOf(k),
		list: func(q *request, p store.PageRequest) (store.Page[*personnel.Resource], error) {
			return s.store.List(q.Context(), q.actor.OrganizationID, k, p)
		},
		answer: func(q *request, list []*personnel.Resource, _ bool) (*value.Array, error) { return q.answer(k, list) },
	}
	if k.Listed {
		return c
	}
	c.search = func(q *request, p store.PageRequest, body *value.Array) (store.Page[*personnel.Resource], error) {
		return q.search(k, nil, p, body)
	}
	c.show = func(q *request, id int64) (*personnel.Resource, error) {
		return s.store.Get(q.Context(), q.actor.OrganizationID, k, id)
	}
	c.create = func(q *request, tx *store.Tx, fields *value.Array) (*personnel.Resource, error) {
		return tx.Create(q.actor, k, fields)
	}
	c.update = func(q *request, tx *store.Tx, id int64, fields *value.Array) (*personnel.Resource, error) {
		return tx.Update(q.actor, k, id, fields)
	}
	c.delete = func(q *request, tx *store.Tx, id int64) (*personnel.Resource, error) {
		return tx.Delete(q.actor, k, id)
	}
	return c
}

// search returns a page of what the body asks for.
func (q *request) search(k *personnel.Kind, w *personnel.Within, p store.PageRequest, body *value.Array) (page store.Page[*personnel.Resource], err error) {
	var keys map[string]bool
	if k.Custom {
		if keys, err = q.server.store.CustomKeys(q.Context(), q.actor.OrganizationID); err != nil {
			return page, err
		}
	}
	search, err := personnel.ReadSearch(k, w, body, func(key string) bool { return keys[key] })
	if err != nil {
		return page, err
	}
	q.included = search.Includes
	return q.server.store.Search(q.Context(), q.actor.OrganizationID, search, p)
}

// answer renders resources of a kind with the relations that the request asks for.
func (q *request) answer(k *personnel.Kind, list []*personnel.Resource) (*value.Array, error) {
	paths := append(strings.Split(q.URL.Query().Get("include"), ","), q.included...)
	return q.answerWith(k, list, personnel.ReadIncludes(k, paths))
}

// answerWith renders resources of a kind with relations.
func (q *request) answerWith(k *personnel.Kind, list []*personnel.Resource, included []personnel.Include) (*value.Array, error) {
	view, err := q.view()
	if err != nil {
		return nil, err
	}
	if err := q.server.store.Include(q.Context(), q.actor.OrganizationID, list, included); err != nil {
		return nil, err
	}
	items := value.NewArray(len(list))
	for _, r := range list {
		items.Append(r.Data(view))
	}
	q.cacheHeaders(k, list)
	return items, nil
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
