package api

import (
	"fmt"
	"net/http"
	"strconv"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/internal/store"
	"github.com/buglehq/bugle/value"
)

// A collection is what the verbs of the API do with one kind of thing. What is nil has no route.
type collection[T any] struct {
	path   string // "rank-records", or with a resource before it: "users/{parent}/rank-records"
	scope  string // "rankrecord"
	single bool   // holds one thing at most, which needs no id
	words  words

	parent func(q *request, tx *store.Tx) error // whether the resource before it is there; nil: there is none
	list   func(q *request, p store.PageRequest) (store.Page[T], error)
	show   func(q *request, id int64) (T, error)
	create func(q *request, tx *store.Tx, fields *value.Array) (T, error)
	update func(q *request, tx *store.Tx, id int64, fields *value.Array) (T, error)
	delete func(q *request, tx *store.Tx, id int64) (T, error)

	search func(q *request, p store.PageRequest, body *value.Array) (store.Page[T], error)

	// answer renders things for the answer and sets what headers belong to them. New says that they
	// have just been created.
	answer func(q *request, things []T, new bool) (*value.Array, error)
}

// serve adds the routes of a collection.
func serve[T any](s *server, c collection[T]) {
	view, create, update, remove := "view:"+c.scope, "create:"+c.scope, "update:"+c.scope, "delete:"+c.scope
	all, batch, one := methods{}, methods{}, methods{}
	if c.list != nil {
		all["GET"] = route{view, c.serveList, c.words.doc("list")}
	}
	if c.show != nil {
		one["GET"] = route{view, c.serveShow, c.words.doc("get")}
	}
	if c.create != nil {
		all["POST"] = route{create, c.serveCreate, c.words.doc("create")}
		batch["POST"] = route{create, c.serveBatchCreate, c.words.doc("batchCreate")}
	}
	if c.update != nil {
		one["PUT"] = route{update, c.serveUpdate, c.words.doc("update")}
		one["PATCH"] = route{update, c.serveUpdate, c.words.doc("patch")}
		batch["PATCH"] = route{update, c.serveBatchUpdate, c.words.doc("batchUpdate")}
	}
	if c.delete != nil {
		one["DELETE"] = route{remove, c.serveDelete, c.words.doc("delete")}
		batch["DELETE"] = route{remove, c.serveBatchDelete, c.words.doc("batchDelete")}
	}
	if c.single {
		for method, route := range one {
			all[method] = route
			route.doc.id += "ByID"
			one[method] = route
		}
		delete(batch, "POST")
	}
	s.handle(c.path, all)
	s.handle(c.path+"/batch", batch)
	s.handle(c.path+"/{id}", one)
	if c.search != nil {
		s.handle(c.path+"/search", methods{"POST": {view, c.serveSearch, c.words.doc("search")}})
	}
}

func (c collection[T]) serveList(q *request) error {
	page, err := c.list(q, q.page())
	if err != nil {
		return err
	}
	return c.page(q, page)
}

func (c collection[T]) serveSearch(q *request) error {
	body, err := q.body()
	if err != nil {
		return err
	}
	page, err := c.search(q, q.page(), body)
	if err != nil {
		return err
	}
	return c.page(q, page)
}

// page answers with a page.
func (c collection[T]) page(q *request, page store.Page[T]) error {
	items, err := c.answer(q, page.Items, false)
	if err != nil {
		return err
	}
	return q.list(items, page.Number, page.Limit, page.Total)
}

// one answers with a single thing.
func (c collection[T]) one(q *request, status int, thing T) error {
	items, err := c.answer(q, []T{thing}, status == http.StatusCreated)
	if err != nil {
		return err
	}
	data, _ := items.Get("0")
	return q.data(status, data)
}

// id returns the id in the path; 0 is the only thing of a collection that holds one at most.
func (c collection[T]) id(q *request) (int64, error) {
	if c.single && q.PathValue("id") == "" {
		return 0, nil
	}
	return q.id()
}

func (c collection[T]) serveShow(q *request) error {
	id, err := c.id(q)
	if err != nil {
		return err
	}
	thing, err := c.show(q, id)
	if err != nil {
		return err
	}
	return c.one(q, http.StatusOK, thing)
}

func (c collection[T]) serveCreate(q *request) error {
	fields, err := q.body()
	if err != nil {
		return err
	}
	var thing T
	err = q.server.store.Update(q.Context(), func(tx *store.Tx) (err error) {
		thing, err = c.create(q, tx, fields)
		return err
	})
	if err != nil {
		return err
	}
	return c.one(q, http.StatusCreated, thing)
}

func (c collection[T]) serveUpdate(q *request) error {
	id, err := c.id(q)
	if err != nil {
		return err
	}
	fields, err := q.body()
	if err != nil {
		return err
	}
	var thing T
	err = q.server.store.Update(q.Context(), func(tx *store.Tx) (err error) {
		thing, err = c.update(q, tx, id, fields)
		return err
	})
	if err != nil {
		return err
	}
	return c.one(q, http.StatusOK, thing)
}

func (c collection[T]) serveDelete(q *request) error {
	id, err := c.id(q)
	if err != nil {
		return err
	}
	var thing T
	err = q.server.store.Update(q.Context(), func(tx *store.Tx) (err error) {
		thing, err = c.delete(q, tx, id)
		return err
	})
	if err != nil {
		return err
	}
	return c.one(q, http.StatusOK, thing)
}

// maxBatch is how many resources one request may change.
const maxBatch = 1000

// resources returns the list or map of that name in the body, which must be there, and the body.
func (q *request) resources() (list, body *value.Array, err error) {
	body, err = q.body()
	if err != nil {
		return nil, nil, err
	}
	v, present := body.Get("resources")
	list, ok := v.(*value.Array)
	switch {
	case !present || v == nil:
		return nil, nil, bugle.Invalid("resources", "The resources field is required.")
	case !ok:
		return nil, nil, bugle.Invalid("resources", "The resources field must be a list or an object, not %s.", value.Describe(v))
	case list.Len() > maxBatch:
		return nil, nil, bugle.Invalid("resources", "The resources field must not hold more than %d resources; it holds %d.", maxBatch, list.Len())
	}
	return list, body, nil
}

func (c collection[T]) serveBatchCreate(q *request) error {
	return c.batch(q, func(tx *store.Tx, key value.Key, item any) (T, error) {
		var none T
		fields, err := itemFields(key, item)
		if err != nil {
			return none, err
		}
		return c.create(q, tx, fields)
	})
}

func (c collection[T]) serveBatchUpdate(q *request) error {
	return c.batch(q, func(tx *store.Tx, key value.Key, item any) (T, error) {
		var none T
		fields, err := itemFields(key, item)
		if err != nil {
			return none, err
		}
		id, err := strconv.ParseInt(key.String(), 10, 64)
		if err != nil || id <= 0 {
			return none, fmt.Errorf("resource %q: %w", key.String(), bugle.ErrNotFound)
		}
		return c.update(q, tx, id, fields)
	})
}

func (c collection[T]) serveBatchDelete(q *request) error {
	return c.batch(q, func(tx *store.Tx, key value.Key, item any) (T, error) {
		var none T
		id, ok := idOf(item)
		if !ok {
			return none, bugle.Invalid("resources."+key.String(), "Each of the resources must be an id, not %s.", value.Describe(item))
		}
		if id <= 0 {
			return none, fmt.Errorf("resource %d: %w", id, bugle.ErrNotFound)
		}
		return c.delete(q, tx, id)
	})
}

func idOf(v any) (int64, bool) {
	switch v := v.(type) {
	case int64:
		return v, true
	case string:
		id, err := strconv.ParseInt(v, 10, 64)
		return id, err == nil
	}
	return 0, false
}

func itemFields(key value.Key, item any) (*value.Array, error) {
	fields, ok := item.(*value.Array)
	if !ok || fields.Len() > 0 && fields.IsList() {
		return nil, bugle.Invalid("resources."+key.String(), "Each of the resources must be an object, not %s.", value.Describe(item))
	}
	return fields, nil
}

// batch does something with each of the resources in one transaction, and answers with what came of
// it. Ids that name nothing are passed over; if anything is wrong with any, all of it is reported
// and nothing is written.
func (c collection[T]) batch(q *request, each func(tx *store.Tx, key value.Key, item any) (T, error)) error {
	list, _, err := q.resources()
	if err != nil {
		return err
	}
	var things []T
	err = q.server.store.Update(q.Context(), func(tx *store.Tx) error {
		things = nil
		if c.parent != nil {
			if err := c.parent(q, tx); err != nil {
				return err
			}
		}
		all := &bugle.InvalidError{}
		for key, item := range list.All() {
			thing, err := each(tx, key, item)
			if problems := asInvalid(err, key); problems != nil {
				all.Problems = append(all.Problems, problems.Problems...)
			} else if isNotFound(err) {
				continue
			} else if err != nil {
				return err
			}
			things = append(things, thing)
		}
		return all.Err()
	})
	if err != nil {
		return err
	}
	items, err := c.answer(q, things, false)
	if err != nil {
		return err
	}
	return q.data(http.StatusOK, items)
}
