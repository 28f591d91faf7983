package api_test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/personnel"
	"github.com/buglehq/bugle/value"
)

// nestedPaths are all relations that have routes below a resource, by how they lead there. The last
// are Bugle's own.
var nestedPaths = map[string]string{
	"has many": `users/assignment-records users/award-records users/combat-records users/qualification-records users/rank-records
		users/service-records users/training-records forms/submissions events/image`,
	"attached by its model": `users/attachments`,
	"has one":               `groups/image awards/image qualifications/image ranks/image units/image`,
	"belongs to":            `users/position users/rank users/specialty users/unit users/status`,
	"many to many": `users/fields users/status-records users/tasks forms/fields submissions/statuses categories/awards categories/documents
		categories/forms categories/qualifications categories/ranks groups/units training-records/competencies training-records/credentials
		calendars/tags events/tags forms/tags slots/units`,
	"links": `newsfeed/likes`,
}

// A nest is a relation with routes.
type nest struct {
	parent *personnel.Kind
	personnel.Nested
	rel  *personnel.Relation
	kind *personnel.Kind // of what it leads to
}

func (n nest) way() string {
	switch {
	case n.Links:
		return "links"
	case n.Attach:
		return "attached by its model"
	case n.rel.Pivot != nil:
		return "many to many"
	case n.rel.Via != "":
		return "belongs to"
	case n.rel.Many:
		return "has many"
	}
	return "has one"
}

// nests are the relations with routes that lead there in one of the ways, or all.
func nests(ways ...string) []nest {
	var all []nest
	for _, k := range personnel.Kinds() {
		for _, n := range k.Nested {
			rel := k.Relation(n.Relation)
			one := nest{k, n, rel, personnel.ByName(rel.Kind)}
			if len(ways) == 0 || slices.Contains(ways, one.way()) {
				all = append(all, one)
			}
		}
	}
	return all
}

func TestNested_isInTheCatalogue(t *testing.T) {
	got := map[string]string{}
	for _, n := range nests() {
		got[n.parent.Path+"/"+n.Path] = n.way()
	}
	for way, paths := range nestedPaths {
		for path := range strings.FieldsSeq(paths) {
			if got[path] != way {
				t.Errorf("%s is %q, want %q", path, got[path], way)
			}
			delete(got, path)
		}
	}
	for path, way := range got {
		t.Errorf("%s, %q, is not listed", path, way)
	}
}

// eachNest runs a test for relations that lead there in one of the ways, each in an organization of
// its own that has the parent.
func eachNest(t *testing.T, ways []string, test func(t *testing.T, m *maker, n nest, path string)) {
	shared := newServer(t)
	list := nests(ways...)
	if len(list) == 0 {
		t.Fatalf("nothing leads there as %q", ways)
	}
	for _, n := range list {
		t.Run(n.parent.Path+"/"+n.Path, func(t *testing.T) {
			t.Parallel()
			m := shared.in(t).another().maker()
			test(t, m, n, m.at(n))
		})
	}
}

func (s *server) maker() *maker { return &maker{server: s, made: map[string]int64{}} }

// fresh is a maker of the same organization who has made nothing yet.
func (m *maker) fresh() *maker {
	f := &maker{server: m.server, made: map[string]int64{}, n: m.n}
	m.n += 1000 // values have to differ
	return f
}

// parentOf returns the id of a resource that the relation starts from.
func (m *maker) parentOf(n nest) int64 {
	m.Helper()
	if !n.parent.Listed {
		return m.id(n.parent)
	}
	if m.made[n.parent.Name] == 0 {
		m.make(&personnel.ServiceRecord)
		m.made[n.parent.Name] = id(m.want(200, "GET", n.parent.Path, nil).at("data", "0"))
	}
	return m.made[n.parent.Name]
}

// at returns the path of the relation of that resource.
func (m *maker) at(n nest) string {
	m.Helper()
	return fmt.Sprintf("%s/%d/%s", n.parent.Path, m.parentOf(n), n.Path)
}

// inside are fields for a resource there: what the path decides is not among them.
func (m *maker) inside(n nest) *value.Array {
	m.Helper()
	fields := m.required(n.kind)
	if n.rel.Inverse != "" {
		fields.Delete(n.rel.Inverse)
	}
	return fields
}

// columns is a value for every column of a pivot that can be written.
func (m *maker) columns(p *personnel.Pivot) *value.Array {
	m.Helper()
	columns := value.NewArray(len(p.Fields))
	for i := range p.Fields {
		columns.Set(p.Fields[i].Name, m.value(&personnel.User, &p.Fields[i]))
	}
	return columns
}

// ids returns the ids of a list, in order: "3 1 2".
func (a *answer) ids(t testing.TB) string {
	t.Helper()
	var all []string
	for _, item := range a.items(t) {
		all = append(all, strconv.FormatInt(id(item), 10))
	}
	return strings.Join(all, " ")
}

// wantIn checks which resources are listed at a path, and found there, in any order.
func (s *server) wantIn(path string, ids ...int64) {
	s.Helper()
	s.wantListed(s.want(200, "GET", path+"?limit=100", nil), ids...)
	s.wantListed(s.want(200, "POST", path+"/search?limit=100", `{"sort":[{"field":"id","direction":"desc"}]}`), ids...)
}

// wantListed checks which resources a page has, in any order.
func (s *server) wantListed(a *answer, ids ...int64) {
	s.Helper()
	var got []int64
	for _, item := range a.items(s) {
		got = append(got, id(item))
	}
	slices.Sort(got)
	slices.Sort(ids)
	if !slices.Equal(got, ids) {
		s.Errorf("listed are %d, want %d: %.300s", got, ids, a.at("meta", "path"))
	}
	wantEqual(s, "total", a.at("meta", "total"), len(ids))
}

func under(path string, id int64) string { return path + "/" + strconv.FormatInt(id, 10) }

func key(id int64) string { return strconv.FormatInt(id, 10) }

// The verbs below a resource do what they do in the collection, to what belongs to it alone, and with
// the same events.
func TestNested_verbs(t *testing.T) {
	eachNest(t, []string{"has many", "attached by its model", "many to many"}, func(t *testing.T, m *maker, n nest, path string) {
		m.watch()
		outside := m.fresh().make(n.kind) // of other parents, if it has any
		m.wantIn(path)
		wantEqual(t, "path", m.want(200, "GET", path, nil).at("meta", "path"), m.url+"/v2/"+path)

		a := m.want(201, "POST", path, m.inside(n))
		wantEvent(t, m.server, n.kind, "created", a)
		one := id(a.data(t))
		m.wantIn(path, one)
		if n.rel.Inverse != "" {
			wantEqual(t, n.rel.Inverse, a.at("data", n.rel.Inverse), m.parentOf(n))
		}
		wantEqual(t, "what show answers", m.want(200, "GET", under(path, one), nil).data(t), a.data(t))
		flat := m.show(n.kind, one)
		for name, v := range flat.All() {
			wantEqual(t, name.String(), a.at("data", name.String()), v)
		}

		f := editable(n.kind)
		for _, method := range []string{"PUT", "PATCH"} {
			sent := m.value(n.kind, f)
			a = m.want(200, method, under(path, one), value.Map(f.Name, sent))
			wantEvent(t, m.server, n.kind, "updated", a)
			wantEqual(t, f.Name, at(m.show(n.kind, one), f.Name), rendered(f, sent))
			wantEqual(t, "what show answers after "+method, m.want(200, "GET", under(path, one), nil).data(t), a.data(t))
			m.do(method, under(path, one), value.Map(f.Name, wrongFor(f)[0])).wantInvalid(t, f.Name)
		}
		before := m.show(n.kind, outside)
		for _, method := range []string{"GET", "PUT", "PATCH", "DELETE"} {
			for _, none := range []string{key(outside), "0", "999999", "x"} {
				m.do(method, path+"/"+none, value.Map(f.Name, m.value(n.kind, f))).wantNotFound(t)
			}
		}
		m.do("POST", path, "{}").wantError(t, 422, "ValidationException", "")

		a = m.want(200, "POST", path+"/batch", value.Map("resources", value.List(m.inside(n), m.inside(n))))
		two, three := id(a.at("data", "0")), id(a.at("data", "1"))
		m.wantIn(path, one, two, three)
		sent := m.value(n.kind, f)
		a = m.want(200, "PATCH", path+"/batch", value.Map("resources", value.Map(key(outside), value.Map(f.Name, sent), "0", value.Map(f.Name, sent), key(two), value.Map(f.Name, sent))))
		wantEqual(t, "batch update of one inside", a.ids(t), key(two))
		wantEqual(t, f.Name, a.at("data", "0", f.Name), rendered(f, sent))
		a = m.want(200, "PATCH", path+"/batch", value.Map("resources", value.List(value.Map(f.Name, sent))))
		wantEqual(t, "batch update of id 0", a.at("data"), value.List())
		wantEqual(t, f.Name+" of another", at(m.show(n.kind, three), f.Name) == rendered(f, sent), false)
		a = m.want(200, "DELETE", path+"/batch", value.Map("resources", value.List(outside, 0, -1, two)))
		wantEqual(t, "batch delete of one inside", a.ids(t), key(two))
		m.wantIn(path, one, three)
		wantEqual(t, "what is outside", m.show(n.kind, outside), before)

		a = m.want(200, "DELETE", under(path, one), nil)
		wantEvent(t, m.server, n.kind, "deleted", a)
		m.do("GET", under(n.kind.Path, one), nil).wantNotFound(t)
		m.wantIn(path, three)
	})
}

func TestNested_associate(t *testing.T) {
	eachNest(t, []string{"has many", "attached by its model"}, func(t *testing.T, m *maker, n nest, path string) {
		m.watch()
		one, before := m.fresh().make(n.kind), m.want(201, "POST", path, m.inside(n)).at("data", "id").(int64)
		a := m.want(200, "POST", path+"/associate", value.Map("related_key", one))
		wantEvent(t, m.server, n.kind, "updated", a)
		wantEqual(t, "answer", a.data(t), m.show(n.kind, one))
		wantEqual(t, n.rel.Inverse, a.at("data", n.rel.Inverse), m.parentOf(n))
		m.wantIn(path, before, one)
		_, events := m.deliveries()
		m.want(200, "POST", path+"/associate", value.Map("related_key", key(one)))
		if _, after := m.deliveries(); after != events {
			t.Errorf("associating what is there emits %d events", after-events)
		}
		m.do("POST", path+"/associate", `{"related_key":999999}`).wantNotFound(t)
		for _, body := range []string{"", "{}", `{"related_key":null}`, `{"related_key":"x"}`, `{"related_key":[1]}`} {
			m.do("POST", path+"/associate", body).wantInvalid(t, "related_key")
		}

		for _, none := range []string{"0", "999999", "x", key(m.fresh().make(n.kind))} {
			m.do("DELETE", path+"/"+none+"/dissociate", nil).wantNotFound(t)
		}
		if !n.kind.Field(n.rel.Inverse).Null {
			m.do("DELETE", under(path, one)+"/dissociate", nil).wantInvalid(t, n.rel.Inverse)
			m.wantIn(path, before, one)
			return
		}
		a = m.want(200, "DELETE", under(path, one)+"/dissociate", nil)
		wantEvent(t, m.server, n.kind, "updated", a)
		wantEqual(t, n.rel.Inverse, a.at("data", n.rel.Inverse), nil)
		if n.rel.Where != "" {
			wantEqual(t, n.rel.Where, a.at("data", n.rel.Where), nil)
		}
		m.wantIn(path, before)
		wantEqual(t, "what is left", m.show(n.kind, one), a.data(t))
		m.do("DELETE", under(path, one)+"/dissociate", nil).wantNotFound(t)
	})
}

// Where there can be only one, its id may be left out, and another takes its place.
func TestNested_hasOne(t *testing.T) {
	eachNest(t, []string{"has one"}, func(t *testing.T, m *maker, n nest, path string) {
		elsewhere := id(m.want(201, "POST", m.fresh().at(n), m.inside(n)).data(t))
		for _, method := range []string{"GET", "PUT", "PATCH", "DELETE"} {
			m.do(method, path, nil).wantNotFound(t)
		}
		m.do("POST", path, `{}`).wantError(t, 422, "ValidationException", "")
		one := id(m.want(201, "POST", path, m.inside(n)).data(t))
		for _, place := range []string{path, under(path, one), under(n.kind.Path, one)} {
			a := m.want(200, "GET", place, nil)
			wantEqual(t, "id", a.at("data", "id"), one)
			wantEqual(t, "model", a.at("data", "model_type"), n.parent.Model())
			wantEqual(t, "model id", a.at("data", "model_id"), m.parentOf(n))
		}
		wantEqual(t, "included", m.want(200, "GET", under(n.parent.Path, m.parentOf(n))+"?include="+n.rel.Name, nil).at("data", n.rel.Name, "id"), one)

		two := id(m.want(201, "POST", path, m.inside(n)).data(t))
		m.do("GET", under(n.kind.Path, one), nil).wantNotFound(t)
		f := editable(n.kind)
		for i, place := range []string{path, under(path, two)} {
			sent := m.value(n.kind, f)
			a := m.want(200, []string{"PUT", "PATCH"}[i], place, value.Map(f.Name, sent))
			wantEqual(t, "id", a.at("data", "id"), two)
			wantEqual(t, f.Name, at(m.show(n.kind, two), f.Name), sent)
		}
		for _, method := range []string{"GET", "PUT", "PATCH", "DELETE"} {
			for _, none := range []int64{one, elsewhere, 0, 999999} {
				m.do(method, under(path, none), nil).wantNotFound(t)
			}
		}
		wantEqual(t, "the deleted one", m.want(200, "DELETE", path, nil).at("data", "id"), two)
		m.do("GET", path, nil).wantNotFound(t)
		m.show(n.kind, elsewhere)
	})
}

// What a resource belongs to can be read and changed below it; that changes the thing itself.
func TestNested_belongsTo(t *testing.T) {
	eachNest(t, []string{"belongs to"}, func(t *testing.T, m *maker, n nest, path string) {
		other := m.fresh().make(n.kind)
		for _, method := range []string{"GET", "PUT", "PATCH", "DELETE"} {
			m.do(method, path, nil).wantNotFound(t)
			m.do(method, under(path, other), nil).wantNotFound(t)
		}
		one := m.id(n.kind)
		m.want(200, "PUT", under(n.parent.Path, m.parentOf(n)), value.Map(n.rel.Via, one))
		for _, place := range []string{path, under(path, one)} {
			wantEqual(t, place, m.want(200, "GET", place, nil).data(t), m.show(n.kind, one))
		}
		f := editable(n.kind)
		for i, place := range []string{path, under(path, one)} {
			sent := m.value(n.kind, f)
			a := m.want(200, []string{"PUT", "PATCH"}[i], place, value.Map(f.Name, sent))
			wantEqual(t, "answer", a.data(t), m.show(n.kind, one))
			wantEqual(t, f.Name, a.at("data", f.Name), sent)
		}
		before := m.show(n.kind, other)
		for _, method := range []string{"GET", "PUT", "PATCH", "DELETE"} {
			for _, none := range []int64{other, 0, 999999} {
				m.do(method, under(path, none), value.Map(f.Name, "Other")).wantNotFound(t)
			}
		}
		sent := m.value(n.kind, f)
		a := m.want(200, "PATCH", path+"/batch", value.Map("resources", value.Map(key(other), value.Map(f.Name, sent), "0", value.Map(f.Name, "Zero"), key(one), value.Map(f.Name, sent))))
		wantEqual(t, "batch update", a.ids(t), key(one))
		wantEqual(t, f.Name, at(m.show(n.kind, one), f.Name), sent)
		for _, method := range []string{"POST", "TRACE"} {
			m.do(method, path, m.required(n.kind)).wantStatus(t, 405)
		}
		wantEqual(t, "what is elsewhere", m.show(n.kind, other), before)
		wantEqual(t, "batch delete", m.want(200, "DELETE", path+"/batch", value.Map("resources", value.List(other, 0))).at("data"), value.List())
		wantEqual(t, "the deleted one", m.want(200, "DELETE", path, nil).at("data", "id"), one)
		wantEqual(t, n.rel.Via, at(m.show(n.parent, m.parentOf(n)), n.rel.Via), nil)
		m.do("GET", path, nil).wantNotFound(t)
	})
}

// Links put what exists into a relation and take it out, without events of their own.
func TestNested_links(t *testing.T) {
	eachNest(t, []string{"many to many", "attached by its model", "links"}, func(t *testing.T, m *maker, n nest, path string) {
		var ids []any
		for range 4 {
			ids = append(ids, m.fresh().make(n.kind))
		}
		a, b, c, d := ids[0].(int64), ids[1].(int64), ids[2].(int64), ids[3].(int64)
		m.watch()
		repeats := n.rel.Pivot != nil && n.rel.Pivot.Repeats
		want := func(method, name string, body *value.Array, want string) {
			t.Helper()
			if got := m.want(200, method, path+"/"+name, body).text; got != want {
				t.Errorf("%s of %s answers %s, want %s", name, text(body), got, want)
			}
		}
		holds := func(ids ...int64) {
			t.Helper()
			if n.Links {
				m.wantListed(m.want(200, "GET", path, nil), ids...)
				return
			}
			m.wantIn(path, ids...)
		}
		of := func(ids ...any) *value.Array { return value.Map("resources", value.List(ids...)) }
		list := func(ids ...int64) string { return strings.ReplaceAll(fmt.Sprint(ids), " ", ",") }

		want("POST", "attach", of(b, key(a), b), `{"attached":`+list(b, a)+`}`)
		holds(a, b)
		want("POST", "attach", of(a, c), `{"attached":`+list(c)+`}`)
		want("POST", "attach", value.Map("resources", value.Map(key(a), value.List(), key(d), value.NewArray(0)), "duplicates", false), `{"attached":`+list(d)+`}`)
		holds(a, b, c, d)
		if repeats {
			want("POST", "attach", value.Map("resources", value.List(a), "duplicates", true), `{"attached":`+list(a)+`}`)
			holds(a, a, b, c, d)
		} else {
			want("POST", "attach", value.Map("resources", value.List(a), "duplicates", true), `{"attached":[]}`)
		}
		want("DELETE", "detach", of(c, 999999, c), `{"detached":`+list(c)+`}`)
		want("DELETE", "detach", value.Map("resources", value.Map(key(a), value.NewArray(0), "0", value.NewArray(0))), `{"detached":`+list(a)+`}`)
		holds(b, d)
		want("DELETE", "detach", of(), `{"detached":[]}`)

		want("PATCH", "sync", value.Map("resources", value.List(a, b, a)), `{"attached":`+list(a)+`,"detached":`+list(d)+`,"updated":[]}`)
		holds(a, b)
		want("PATCH", "sync", value.Map("resources", value.List(c), "detaching", false), `{"attached":`+list(c)+`,"detached":[],"updated":[]}`)
		holds(a, b, c)
		want("PATCH", "sync", value.Map("resources", value.List(c), "detaching", true), `{"attached":[],"detached":`+list(a, b)+`,"updated":[]}`)
		holds(c)
		want("PATCH", "sync", of(), `{"attached":[],"detached":`+list(c)+`,"updated":[]}`)
		holds()

		if n.Links {
			m.do("PATCH", path+"/toggle", of(a)).wantNotFound(t)
			want("POST", "attach", of(a), `{"attached":`+list(a)+`}`)
		} else {
			want("PATCH", "toggle", of(a, b, a), `{"attached":`+list(a, b)+`,"detached":[]}`)
			holds(a, b)
			want("PATCH", "toggle", value.Map("resources", value.Map(key(b), value.NewArray(0), key(c), value.NewArray(0))), `{"attached":`+list(c)+`,"detached":`+list(b)+`}`)
			holds(a, c)
			m.want(200, "DELETE", path+"/detach", of(c))
		}
		if _, events := m.deliveries(); events != 0 {
			t.Errorf("links emitted %d events", events)
		}

		for _, request := range []string{"POST attach", "DELETE detach", "PATCH sync", "PATCH toggle"} {
			method, name, _ := strings.Cut(request, " ")
			if n.Links && name == "toggle" {
				continue
			}
			for _, body := range []string{"", "{}", `{"resources":null}`, `{"resources":5}`, `{"resources":"1"}`, `{"resource":[1]}`} {
				m.do(method, path+"/"+name, body).wantInvalid(t, "resources")
			}
			m.do(method, path+"/"+name, `{"resources":[1,"x"]}`).wantInvalid(t, "resources.1")
			m.do(method, path+"/"+name, `{"resources":{"x":[]}}`).wantInvalid(t, "resources.x")
			m.do(method, path+"/"+name, `{"resources":[`+strings.Repeat("1,", 1000)+`1]}`).wantInvalid(t, "resources")
			if name != "detach" {
				m.do(method, path+"/"+name, of(b, 999999)).wantInvalid(t, "resources.1")
				m.do(method, path+"/"+name, value.Map("resources", value.Map(key(b), value.NewArray(0), "999999", value.NewArray(0)))).wantInvalid(t, "resources.999999")
			}
		}
		holds(a) // as before what was wrong
	})
}

// Columns of a pivot are taken with links, shown under its key, and searched and sorted by.
func TestNested_pivots(t *testing.T) {
	eachNest(t, []string{"many to many"}, func(t *testing.T, m *maker, n nest, path string) {
		p := n.rel.Pivot
		a, b, c := m.fresh().make(n.kind), m.fresh().make(n.kind), m.fresh().make(n.kind)
		wantColumns := func(id int64, columns *value.Array) {
			t.Helper()
			row := m.want(200, "GET", under(path, id), nil).at("data", p.Key)
			for i := range p.Fields {
				f := &p.Fields[i]
				if sent, given := columns.Get(f.Name); given {
					wantEqual(t, f.Name, at(row, f.Name), rendered(f, sent))
				}
			}
			wantEqual(t, p.Local, at(row, p.Local), m.parentOf(n))
			wantEqual(t, p.Foreign, at(row, p.Foreign), id)
			for _, name := range p.Shown {
				if !row.(*value.Array).Has(name) {
					t.Errorf("%s is not shown: %s", name, text(row))
				}
			}
		}
		first, second, third := m.columns(p), m.columns(p), m.columns(p)
		with := func(id int64, columns *value.Array) *value.Array {
			columns = columns.Clone()
			columns.Set("created_at", "2001-01-01")
			columns.Set("nothing", "dropped")
			columns.Set(p.Local, 999999)
			return value.Map("resources", value.Map(key(id), columns))
		}
		m.want(200, "POST", path+"/attach", with(a, first))
		wantColumns(a, first)
		m.want(200, "PATCH", path+"/sync", with(b, second))
		wantColumns(b, second)
		m.want(200, "PATCH", path+"/toggle", with(a, third))
		wantColumns(a, third)
		created := m.want(201, "POST", path, func() *value.Array { f := m.inside(n); f.Set("pivot", first); return f }())
		wantColumns(id(created.data(t)), first)
		wantEqual(t, "a pivot's row in the answer", created.at("data", p.Key), m.want(200, "GET", under(path, id(created.data(t))), nil).at("data", p.Key))
		batch := m.want(200, "POST", path+"/batch", value.Map("resources", value.List(m.inside(n), func() *value.Array { f := m.inside(n); f.Set("pivot", second); return f }())))
		wantColumns(id(batch.at("data", "1")), second)
		m.want(200, "DELETE", path+"/batch", value.Map("resources", value.List(id(created.data(t)), id(batch.at("data", "0")), id(batch.at("data", "1")))))

		// What is there keeps its columns when it is attached again, and gets those of a sync or pivot.
		if !p.Repeats {
			m.want(200, "POST", path+"/attach", with(a, first))
			wantColumns(a, third)
		}
		wanted := "[" + key(a) + "]"
		if len(p.Fields) == 0 {
			wanted = "[]"
		}
		answer := m.want(200, "PATCH", path+"/sync", value.Map("resources", value.Map(key(a), first), "detaching", false))
		wantEqual(t, "answer", answer.text, `{"attached":[],"detached":[],"updated":`+wanted+`}`)
		wantColumns(a, first)
		answer = m.want(200, "PATCH", under(path, a)+"/pivot", value.Map("pivot", second))
		wantEqual(t, "answer", answer.text, `{"updated":`+wanted+`}`)
		wantColumns(a, second)
		for _, nothing := range []string{"", "{}", `{"pivot":null}`, `{"pivot":[]}`, `{"pivot":{"nothing":5}}`} {
			wantEqual(t, "pivot of nothing", m.want(200, "PATCH", under(path, a)+"/pivot", nothing).text, `{"updated":[]}`)
		}
		wantColumns(a, second)
		for _, none := range []int64{c, 0, 999999} {
			m.do("PATCH", under(path, none)+"/pivot", value.Map("pivot", first)).wantNotFound(t)
		}
		m.do("PATCH", under(path, a)+"/pivot", `{"pivot":5}`).wantInvalid(t, "pivot")

		for i := range p.Fields {
			f := &p.Fields[i]
			for _, wrong := range wrongFor(f) {
				body := value.Map("resources", value.List(m.inside(n), func() *value.Array { g := m.inside(n); g.Set("pivot", value.Map(f.Name, wrong)); return g }()))
				m.do("POST", path+"/batch", body).wantInvalid(t, "resources.1.pivot."+f.Name)
				body = value.Map("resources", value.Map(key(c), value.Map(f.Name, wrong)))
				m.do("POST", path+"/attach", body).wantInvalid(t, "resources."+key(c)+"."+f.Name)
				m.do("PATCH", path+"/sync", body).wantInvalid(t, "resources."+key(c)+"."+f.Name)
				m.do("PATCH", path+"/toggle", body).wantInvalid(t, "resources."+key(c)+"."+f.Name)
				m.do("PATCH", under(path, a)+"/pivot", value.Map("pivot", value.Map(f.Name, wrong))).wantInvalid(t, "pivot."+f.Name)
				if t.Failed() {
					t.Fatalf("%s = %.80s", f.Name, text(wrong))
				}
			}
			sent, _ := second.Get(f.Name)
			filter := value.Map("filters", value.List(value.Map("field", "pivot."+f.Name, "value", sent), value.Map("field", "id", "value", a)), "sort", value.List(value.Map("field", "pivot."+f.Name)))
			wantEqual(t, "found by pivot."+f.Name, m.want(200, "POST", path+"/search", filter).ids(t), key(a))
			differs := value.Map("filters", value.List(value.Map("field", "pivot."+f.Name, "operator", "!=", "value", sent), value.Map("field", "id", "value", a)))
			wantEqual(t, "found by another pivot."+f.Name, m.want(200, "POST", path+"/search", differs).ids(t), "")
			m.do("POST", n.kind.Path+"/search", filter).wantInvalid(t, "filters.0.field", "sort.0.field")
		}
		wantColumns(a, second)
		m.wantIn(path, a, b)
		m.do("POST", path+"/search", `{"filters":[{"field":"pivot.nothing"},{"field":"pivot.id"},{"field":"pivot.`+p.Local+`"}]}`).wantInvalid(t, "filters.0.field", "filters.1.field", "filters.2.field")
	})
}

// A relation with places lists by them; what is attached without one comes last.
func TestNested_places(t *testing.T) {
	eachNest(t, []string{"many to many"}, func(t *testing.T, m *maker, n nest, path string) {
		if !n.rel.Pivot.Sorted() {
			return
		}
		a, b, c, d := m.fresh().make(n.kind), m.fresh().make(n.kind), m.fresh().make(n.kind), m.fresh().make(n.kind)
		m.want(200, "POST", path+"/attach", value.Map("resources", value.List(a, b)))
		m.want(200, "POST", path+"/attach", value.Map("resources", value.Map(key(c), value.Map("order", -1))))
		m.want(200, "POST", path+"/attach", value.Map("resources", value.Map(key(d), value.NewArray(0))))
		ids := func(ids ...int64) string { return strings.Trim(fmt.Sprint(ids), "[]") }
		wantEqual(t, "list", m.want(200, "GET", path, nil).ids(t), ids(c, a, b, d))
		m.want(200, "PATCH", under(path, d)+"/pivot", `{"pivot":{"order":0}}`)
		wantEqual(t, "list", m.want(200, "GET", path, nil).ids(t), ids(c, d, a, b))
		wantEqual(t, "search", m.want(200, "POST", path+"/search", `{}`).ids(t), ids(c, d, a, b))
		wantEqual(t, "sorted", m.want(200, "POST", path+"/search", `{"sort":[{"field":"pivot.order","direction":"desc"}]}`).ids(t), ids(b, a, d, c))
		wantEqual(t, "second page", m.want(200, "GET", path+"?limit=3&page=2", nil).ids(t), ids(b))
	})
}

// A nestedNeed is a request below a resource, and the scopes that it needs.
type nestedNeed struct {
	method, path string
	scopes       []string
}

// needs are all requests below a resource. The id is of something there.
func (n nest) needs(path string, id int64) []nestedNeed {
	var list []nestedNeed
	add := func(method, at string, scopes ...string) {
		list = append(list, nestedNeed{method, strings.Replace(path+at, "{id}", key(id), 1), scopes})
	}
	name, way := n.kind.Name, n.way()
	add("GET", "", "view:"+name)
	add("HEAD", "", "view:"+name)
	if !n.Links {
		add("GET", "/{id}", "view:"+name)
		add("PUT", "/{id}", "update:"+name)
		add("PATCH", "/{id}", "update:"+name)
		add("DELETE", "/{id}", "delete:"+name)
		add("PATCH", "/batch", "update:"+name)
		add("DELETE", "/batch", "delete:"+name)
	}
	switch way {
	case "has one", "belongs to":
		add("PUT", "", "update:"+name)
		add("PATCH", "", "update:"+name)
		add("DELETE", "", "delete:"+name)
	case "has many", "attached by its model", "many to many":
		add("POST", "/batch", "create:"+name)
		add("POST", "/search", "view:"+name)
	}
	if way != "belongs to" && !n.Links {
		add("POST", "", "create:"+name)
	}
	if way == "has many" || n.Attach {
		add("POST", "/associate", "update:"+n.parent.Name, "update:"+name)
		add("DELETE", "/{id}/dissociate", "update:"+n.parent.Name, "update:"+name)
	}
	if way == "many to many" || n.Attach || n.Links {
		add("POST", "/attach", "update:"+n.parent.Name)
		add("DELETE", "/detach", "update:"+n.parent.Name)
		add("PATCH", "/sync", "update:"+n.parent.Name)
	}
	if way == "many to many" || n.Attach {
		add("PATCH", "/toggle", "update:"+n.parent.Name)
		add("PATCH", "/{id}/pivot", "update:"+n.parent.Name)
	}
	return list
}

// there puts something into the relation and returns its id.
func (m *maker) there(n nest, path string) int64 {
	m.Helper()
	switch n.way() {
	case "belongs to":
		m.want(200, "PUT", under(n.parent.Path, m.parentOf(n)), value.Map(n.rel.Via, m.id(n.kind)))
		return m.id(n.kind)
	case "links":
		m.want(200, "POST", path+"/attach", value.Map("resources", value.List(m.id(n.kind))))
		return m.id(n.kind)
	}
	return id(m.want(201, "POST", path, m.inside(n)).data(m))
}

// Each request needs the scopes of what it changes, and no others will do.
func TestNested_scopes(t *testing.T) {
	eachNest(t, nil, func(t *testing.T, m *maker, n nest, path string) {
		one := m.there(n, path)
		every := []string{}
		for _, k := range []string{n.kind.Name, n.parent.Name, "other"} {
			for _, verb := range []string{"view", "create", "update", "delete"} {
				if scope := verb + ":" + k; !slices.Contains(every, scope) {
					every = append(every, scope)
				}
			}
		}
		keys := map[string]*server{}
		keyed := func(scopes []string) *server {
			name := strings.Join(scopes, " ")
			if keys[name] == nil {
				keys[name] = m.scoped(scopes...)
			}
			return keys[name]
		}
		for _, need := range n.needs(path, one) {
			if a := keyed(need.scopes).do(need.method, need.path, `{"related_key":0}`); need.method != "DELETE" && (a.status == 401 || a.status == 403 || a.status == 405 || a.status >= 500) {
				t.Errorf("%s %s with %q: status %d", need.method, need.path, need.scopes, a.status)
			}
			for _, scope := range need.scopes {
				lacking := keyed(slices.DeleteFunc(slices.Clone(every), func(s string) bool { return s == scope }))
				a := lacking.do(need.method, need.path, `{"related_key":0}`)
				if a.status != 403 {
					t.Errorf("%s %s without %s: status %d, want 403", need.method, need.path, scope, a.status)
				}
			}
		}
	})
}

// What belongs to another organization is not there, and cannot be put anywhere.
func TestNested_ofAnotherOrganization(t *testing.T) {
	eachNest(t, nil, func(t *testing.T, m *maker, n nest, path string) {
		one := m.there(n, path)
		other := m.another().maker()
		before := m.want(200, "GET", path, nil).text
		total := m.total(n.kind)
		body := value.Map("resources", value.List(one), "related_key", one, "pivot", value.NewArray(0), editable(n.kind).Name, "Mallory")
		for _, need := range n.needs(path, one) {
			a := other.do(need.method, need.path, body)
			if need.method == "HEAD" {
				a.wantStatus(t, 404)
				continue
			}
			if a.status != 404 {
				t.Errorf("%s %s from another organization: status %d, want 404\n%s", need.method, need.path, a.status, a.text)
			}
		}
		for _, need := range n.needs(path, one) {
			if need.method == "POST" && need.path == path {
				other.do("POST", path, other.inside(n)).wantNotFound(t)
			} else if need.method == "POST" && need.path == path+"/batch" {
				other.do("POST", need.path, value.Map("resources", value.List(other.inside(n)))).wantNotFound(t)
			}
		}

		theirs := other.at(n)
		if n.way() == "has many" || n.Attach {
			other.do("POST", theirs+"/associate", value.Map("related_key", one)).wantNotFound(t)
		}
		if n.way() == "many to many" || n.Attach || n.Links {
			for _, request := range []string{"POST attach", "PATCH sync", "PATCH toggle"} {
				method, name, _ := strings.Cut(request, " ")
				if !n.Links || name != "toggle" {
					other.do(method, theirs+"/"+name, value.Map("resources", value.List(one))).wantInvalid(t, "resources.0")
				}
			}
			wantEqual(t, "detached", other.want(200, "DELETE", theirs+"/detach", value.Map("resources", value.List(one))).at("detached"), value.List())
		}
		wantEqual(t, "what is there", m.want(200, "GET", path, nil).text, before)
		wantEqual(t, "number of rows", m.total(n.kind), total)
	})
}

// Below what does not exist is nothing, whatever is sent there.
func TestNested_noParent(t *testing.T) {
	eachNest(t, nil, func(t *testing.T, m *maker, n nest, path string) {
		one := m.there(n, path)
		before := m.want(200, "GET", path, nil).text
		body := value.Map("resources", value.Map(key(one), value.NewArray(0)), "related_key", one)
		deleting := value.Map("resources", value.List(one))
		for _, none := range []string{"0", "999999", "-1", "x", "1.5"} {
			for _, need := range n.needs(n.parent.Path+"/"+none+"/"+n.Path, one) {
				sent := body
				if need.method == "DELETE" {
					sent = deleting
				}
				m.do(need.method, need.path, sent).wantStatus(t, 404)
			}
			if way := n.way(); way != "belongs to" && way != "links" {
				m.do("POST", n.parent.Path+"/"+none+"/"+n.Path, m.inside(n)).wantNotFound(t)
			}
		}
		wantEqual(t, "what is there", m.want(200, "GET", path, nil).text, before)
	})
}

// Includes and versions are as everywhere.
func TestNested_answers(t *testing.T) {
	s := newServer(t)
	m := s.maker()
	status, user := m.id(&personnel.Status), m.id(&personnel.User)
	users := under("users", user)
	m.want(200, "PUT", users, value.Map("status_id", status))
	record := id(m.want(201, "POST", users+"/assignment-records", value.Map("type", "secondary", "status_id", status, "author_id", user)).data(t))
	form := m.id(&personnel.Form)
	submission := id(m.want(201, "POST", under("forms", form)+"/submissions", value.Map("user_id", user)).data(t))
	m.want(200, "POST", under("submissions", submission)+"/statuses/attach", value.Map("resources", value.List(status)))
	m.want(200, "POST", users+"/status-records/attach", value.Map("resources", value.Map(key(status), value.Map("text", "Back"))))
	for _, version := range []string{"v1", "v2"} {
		s := s.in(t)
		s.version = version
		for path, keys := range map[string]string{
			users + "/status":                                              "data",
			users + "/status-records":                                      "data 0",
			users + "/assignment-records?include=status":                   "data 0 status",
			under(users+"/assignment-records", record) + "?include=status": "data status",
			under("submissions", submission) + "/statuses":                 "data 0",
			under("forms", form) + "/submissions?include=statuses":         "data 0 statuses 0",
			under("forms", form) + "/submissions?include=user":             "data 0 user status",
		} {
			shown := s.want(200, "GET", path, nil).at(strings.Fields(keys)...)
			for _, color := range []string{"text_color", "bg_color"} {
				if has := shown.(*value.Array).Has(color); has != (version == "v1") {
					t.Errorf("%s %s: the status has %s: %v", version, path, color, has)
				}
			}
		}
		for method, body := range map[string]any{"GET": nil, "PATCH": `{"text":"Moved"}`} {
			data := s.want(200, method, under(users+"/assignment-records", record)+"?include=author,status", body).data(t)
			wantEqual(t, "author", at(data, "author", "id"), user)
			wantEqual(t, "status", at(data, "status", "id"), status)
		}
		found := s.want(200, "POST", users+"/assignment-records/search?include=author", `{"includes":[{"relation":"status"}],"filters":[{"field":"status.id","value":`+key(status)+`}]}`)
		wantEqual(t, "author", found.at("data", "0", "author", "id"), user)
		wantEqual(t, "status", found.at("data", "0", "status", "id"), status)
	}
	a := s.want(200, "GET", users+"/status-records", nil)
	wantEqual(t, "record", a.at("data", "0", "record", "text"), "Back")
	wantEqual(t, "created_at of the record", a.at("data", "0", "record", "created_at"), "2026-01-14T12:00:00.000000Z")
	wantEqual(t, "status of the user", s.want(200, "GET", users, nil).at("data", "status_id"), status)
}

// A record below a user does to the user what one of the collection does, with the same events.
func TestNested_recordsMoveTheirUser(t *testing.T) {
	s := newServer(t)
	s.create("ranks", "name", "Sergeant")
	s.create("units", "name", "1st Squad")
	s.create("users", "name", "Jane", "email", "jane@example.com")
	s.create("users", "name", "John", "email", "john@example.com")
	s.watch()
	events := func(path, body string) string {
		t.Helper()
		a := s.want(201, "POST", path, body)
		wantEqual(t, "user_id", a.at("data", "user_id"), 1)
		var names []string
		newest, _ := s.deliveries()
		for _, d := range newest {
			if d.RequestID == a.header.Get("X-Perscom-Request-Id") {
				names = append([]string{d.Event}, names...)
			}
		}
		return strings.Join(names, " ")
	}
	wantEqual(t, "events", events("users/1/rank-records", `{"rank_id":1,"type":0,"user_id":2}`), "user.updated rankrecord.created")
	wantEqual(t, "events", events("users/1/assignment-records", `{"type":"primary","unit_id":1}`), "user.updated assignmentrecord.created")
	wantEqual(t, "events", events("users/1/combat-records", `{"text":"Held the bridge"}`), "combatrecord.created")
	wantEqual(t, "events", events("users/1/training-records", `{"instructor_id":2}`), "")
	jane, john := s.want(200, "GET", "users/1", nil), s.want(200, "GET", "users/2", nil)
	wantEqual(t, "rank and unit", value.List(jane.at("data", "rank_id"), jane.at("data", "unit_id")), value.List(1, 1))
	wantEqual(t, "rank of another", john.at("data", "rank_id"), nil)
	if a := s.do("POST", "users/1/rank-records", `{"type":0}`); a.status != 422 {
		t.Errorf("without a rank: status %d", a.status)
	}
	s.do("POST", "users/1/rank-records/batch", `{"resources":[{"rank_id":1,"type":0},{"rank_id":9,"type":0}]}`).wantInvalid(t, "resources.1.rank_id")
	wantEqual(t, "records", s.want(200, "GET", "users/1/rank-records", nil).at("meta", "total"), 1)
}

// An assignment of a task says who gave it, when, and how it stands.
func TestNested_tasks(t *testing.T) {
	s := newServer(t)
	m := s.maker()
	user, giver := m.make(&personnel.User), m.make(&personnel.User)
	task := id(s.create("tasks", "title", "Clean the armory"))
	path := under("users", user) + "/tasks"
	keyed := s.with(s.addKey(bugle.APIKey{UserID: giver, Scopes: []string{"*"}}))
	keyed.want(200, "POST", path+"/attach", value.Map("resources", value.Map(key(task), value.Map("due_at", "2026-01-14T12:00:01Z"))))
	row := func() any { return s.want(200, "GET", path, nil).at("data", "0", "assignment") }
	wantEqual(t, "assigned by", at(row(), "assigned_by_id"), giver)
	wantEqual(t, "assigned at", at(row(), "assigned_at"), "2026-01-14T12:00:00.000000Z")
	wantEqual(t, "due at", at(row(), "due_at"), "2026-01-14T12:00:01.000000Z")
	wantEqual(t, "status", at(row(), "status"), "assigned")
	s.clock.Advance(time.Second)
	wantEqual(t, "status", value.List(at(row(), "status"), at(row(), "past_due"), at(row(), "expired")), value.List("past_due", true, false))
	s.want(200, "PATCH", under(path, task)+"/pivot", `{"pivot":{"completed_at":"2026-01-14T12:00:01Z","expires_at":"2026-01-14"}}`)
	wantEqual(t, "status", value.List(at(row(), "status"), at(row(), "past_due"), at(row(), "expired")), value.List("complete_expired", true, true))
	s.want(200, "PATCH", under(path, task)+"/pivot", `{"pivot":{"expires_at":null,"due_at":null}}`)
	wantEqual(t, "status", at(row(), "status"), "complete")
	wantEqual(t, "the task's users", s.want(200, "GET", under("tasks", task)+"?include=users", nil).at("data", "users", "0", "assignment", "status"), "complete")
	for filter, want := range map[string]int64{
		`{"field":"pivot.completed_at","operator":">=","value":"2026-01-14"}`: 1, `{"field":"pivot.due_at","value":null}`: 1,
		`{"field":"pivot.assigned_by_id","operator":"in","value":[1]}`: 0, `{"field":"pivot.assigned_at","operator":"<","value":"2026-01-14"}`: 0,
	} {
		wantEqual(t, filter, s.want(200, "POST", path+"/search", `{"filters":[`+filter+`]}`).at("meta", "total"), want)
	}
	s.want(200, "POST", path+"/attach", value.Map("resources", value.Map(key(task), value.Map("assigned_by_id", nil, "assigned_at", "2026-01-01")), "duplicates", true))
	last := s.want(200, "GET", path, nil).at("data", "1", "assignment")
	wantEqual(t, "assigned again", value.List(at(last, "assigned_by_id"), at(last, "assigned_at")), value.List(nil, "2026-01-01T00:00:00.000000Z"))
}
