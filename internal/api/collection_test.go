package api_test

import (
	"context"
	"strconv"
	"strings"
	"testing"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/personnel"
	"github.com/buglehq/bugle/value"
)

func TestCollections_verbs(t *testing.T) {
	for _, version := range []string{"v1", "v2"} {
		t.Run(version, func(t *testing.T) {
			eachKind(t, func(t *testing.T, s *server, k *personnel.Kind, m *maker) {
				s.version = version
				s.watch()
				wantEqual(t, "data of an empty list", s.want(200, "GET", k.Path, nil).at("data"), value.List())

				least := createAndShow(t, s, k, m.required(k))
				most := createAndShow(t, s, k, m.all(k))

				listed := map[int64]string{}
				for _, item := range s.want(200, "GET", k.Path, nil).items(t) {
					listed[id(item)] = text(item)
				}
				for _, data := range []*value.Array{least, most} {
					if listed[id(data)] != text(s.show(k, id(data))) {
						t.Errorf("list has %s\nwant what show answers: %s", listed[id(data)], text(data))
					}
				}
				for _, method := range []string{"PUT", "PATCH"} {
					updateAndShow(t, s, k, m, method, id(most))
				}
				deleteAndMiss(t, s, k, id(most))
			})
		})
	}
}

func path(k *personnel.Kind, id int64) string { return k.Path + "/" + strconv.FormatInt(id, 10) }

func (s *server) show(k *personnel.Kind, id int64) *value.Array {
	s.Helper()
	return s.want(200, "GET", path(k, id), nil).data(s)
}

// wantEvent checks that the newest delivery is of the kind's event, caused by the request that got
// the answer; kinds without events must have none.
func wantEvent(t *testing.T, s *server, k *personnel.Kind, verb string, a *answer) {
	t.Helper()
	newest, _ := s.deliveries()
	for _, d := range newest {
		if d.RequestID != a.header.Get("X-Perscom-Request-Id") {
			break
		}
		wantEqual(t, "trace id of the event", d.TraceID, a.header.Get("X-Perscom-Trace-Id"))
		if !k.Emits {
			t.Errorf("%s emitted %s", k.Name, d.Event)
		}
		if d.Event != k.Name+"."+verb {
			continue
		}
		payload, err := s.store.Payload(context.Background(), d.EventID)
		if err != nil {
			t.Fatal(err)
		}
		envelope := payload.Text
		decoded, err := value.Decode(envelope)
		if err != nil {
			t.Fatal(err)
		}
		wantEqual(t, "request id in the envelope", at(decoded, "request_id"), d.RequestID)
		wantEqual(t, "trace id in the envelope", at(decoded, "trace_id"), d.TraceID)
		wantEqual(t, "id in the envelope", at(decoded, "data", "id"), a.at("data", "id"))
		return
	}
	if k.Emits {
		t.Errorf("no %s.%s of this request", k.Name, verb)
	}
}

// createAndShow adds a resource, finds each of its fields in the answer, and shows it.
func createAndShow(t *testing.T, s *server, k *personnel.Kind, fields *value.Array) *value.Array {
	t.Helper()
	a := s.want(201, "POST", k.Path, fields)
	wantEvent(t, s, k, "created", a)
	data := a.data(t)
	for _, f := range writable(k) {
		sent, given := fields.Get(f.SentAs())
		if upload, isFile := sent.(*sentFile); isFile {
			if path, _ := at(data, f.Name).(string); path == "" {
				t.Errorf("%s is %s, want where the file is", f.Name, text(at(data, f.Name)))
			}
			wantEqual(t, "filename", at(data, "filename"), upload.name)
		} else if given {
			wantEqual(t, f.Name, at(data, f.Name), rendered(f, sent))
		}
	}
	for i := range k.Fields {
		if f := &k.Fields[i]; data.Has(f.Name) == f.Hidden {
			t.Errorf("field %s is shown: %v, want %v", f.Name, data.Has(f.Name), !f.Hidden)
		}
	}
	wantEqual(t, "label", at(data, "label"), k.Class+": "+strconv.FormatInt(id(data), 10))
	if at(data, "created_at") == nil || at(data, "updated_at") == nil {
		t.Errorf("timestamps are %v and %v", at(data, "created_at"), at(data, "updated_at"))
	}
	wantEqual(t, "what show answers", s.show(k, id(data)), data)
	return data
}

// updateAndShow gives a resource another value for one field, and then nothing.
func updateAndShow(t *testing.T, s *server, k *personnel.Kind, m *maker, method string, of int64) {
	t.Helper()
	before, f := s.show(k, of), editable(k)
	sent := m.value(k, f)
	a := s.want(200, method, path(k, of), value.Map(f.Name, sent, "id", 99, "no_such_field", "left alone"))
	wantEvent(t, s, k, "updated", a)
	wantEqual(t, "what show answers after "+method, s.show(k, of), a.data(t))
	wantEqual(t, f.Name, a.at("data", f.Name), rendered(f, sent))
	for name, v := range before.All() {
		switch key := name.String(); key {
		case f.Name, "updated_at", "document_parsed", "display_name", "profile_photo_url", "notes_updated_at":
		default:
			wantEqual(t, key+" after "+method+" of "+f.Name, at(a.body, "data", key), v)
		}
	}
	_, events := s.deliveries()
	for _, nothing := range []any{"{}", "[]", "", nil, value.Map(f.Name, sent)} {
		wantEqual(t, "data after "+method+" of nothing", s.want(200, method, path(k, of), nothing).data(t), a.data(t))
	}
	if _, after := s.deliveries(); after != events {
		t.Errorf("%s of nothing emitted %d events", method, after-events)
	}
}

// deleteAndMiss deletes a resource, which is answered as it was, and then is nowhere.
func deleteAndMiss(t *testing.T, s *server, k *personnel.Kind, gone int64) {
	t.Helper()
	before := s.show(k, gone)
	a := s.want(200, "DELETE", path(k, gone), nil)
	wantEvent(t, s, k, "deleted", a)
	wantEqual(t, "the deleted row", a.data(t), before)
	for _, method := range []string{"GET", "PUT", "PATCH", "DELETE"} {
		s.do(method, path(k, gone), nil).wantNotFound(t)
	}
	for _, item := range s.want(200, "GET", k.Path, nil).items(t) {
		if id(item) == gone {
			t.Errorf("%s %d is listed after it was deleted", k.Name, gone)
		}
	}
}

func TestCollections_batch(t *testing.T) {
	eachKind(t, func(t *testing.T, s *server, k *personnel.Kind, m *maker) {
		s.watch()
		batch := k.Path + "/batch"
		f := editable(k)

		created := s.want(200, "POST", batch, value.Map("resources", value.List(m.required(k), m.all(k)))).items(t)
		more := s.want(200, "POST", batch, value.Map("resources", value.Map("x", m.required(k), "y", m.required(k)))).items(t)
		if len(created) != 2 || len(more) != 2 {
			t.Fatalf("%d and %d were created, want 2 and 2", len(created), len(more))
		}
		for _, data := range append(created, more...) {
			wantEqual(t, "what show answers", s.show(k, id(data)), data)
		}

		one, two := m.value(k, f), m.value(k, f)
		first, second := strconv.FormatInt(id(created[0]), 10), strconv.FormatInt(id(created[1]), 10)
		a := s.want(200, "PATCH", batch, value.Map("resources", value.Map(
			second, value.Map(f.Name, two), "999999", value.Map(f.Name, one), "none", value.Map(), first, value.Map(f.Name, one))))
		wantEqual(t, "number of updated", len(a.items(t)), 2)
		wantEqual(t, "id of the first answer", a.at("data", "0", "id"), id(created[1]))
		wantEqual(t, f.Name+" of the first answer", a.at("data", "0", f.Name), rendered(f, two))
		wantEqual(t, f.Name+" of the second answer", a.at("data", "1", f.Name), rendered(f, one))

		before := s.show(k, id(created[0]))
		a = s.want(200, "DELETE", batch, value.Map("resources", value.List(first, 999999, id(created[1]), 0, -1)))
		wantEqual(t, "number of deleted", len(a.items(t)), 2)
		wantEqual(t, "the deleted row", a.at("data", "0"), before)
		s.do("GET", path(k, id(created[1])), nil).wantNotFound(t)
		wantEqual(t, "deleted again", s.want(200, "DELETE", batch, value.Map("resources", value.List(first))).at("data"), value.List())
		wantEqual(t, "nothing deleted", s.want(200, "DELETE", batch, `{"resources":[]}`).at("data"), value.List())
	})
}

// A batch is one transaction: if anything is wrong with one of its resources, none is changed.
func TestCollections_batchIsOneTransaction(t *testing.T) {
	eachKind(t, func(t *testing.T, s *server, k *personnel.Kind, m *maker) {
		s.watch()
		batch, f := k.Path+"/batch", editable(k)
		there := m.make(k)
		key, before := strconv.FormatInt(there, 10), s.show(k, there)
		good := m.all(k)
		wrong := m.required(k)
		wrong.Set(f.Name, wrongFor(f)[0])
		total := s.total(k)
		_, events := s.deliveries()
		same := func(a *answer, fields ...string) {
			t.Helper()
			a.wantInvalid(t, fields...)
			wantEqual(t, "what is there after a wrong batch", s.show(k, there), before)
			wantEqual(t, "number of rows", s.total(k), total)
		}

		same(s.do("POST", batch, value.Map("resources", value.List(good, wrong))), "resources.1."+f.Name)
		same(s.do("POST", batch, value.Map("resources", value.Map("a", wrong, "b", good, "c", wrong))), "resources.a."+f.Name, "resources.c."+f.Name)
		same(s.do("POST", batch, value.Map("resources", value.List(good, "text", 5))), "resources.1", "resources.2")
		same(s.do("PATCH", batch, value.Map("resources", value.Map(
			key, value.Map(f.Name, m.value(k, f)), "x"+key, nil))), "resources.x"+key)
		same(s.do("PATCH", batch, value.Map("resources", value.Map(
			key, value.Map(f.Name, wrongFor(f)[0])))), "resources."+key+"."+f.Name)
		same(s.do("DELETE", batch, value.Map("resources", value.List(there, "text", nil, value.List()))), "resources.1", "resources.2", "resources.3")
		for _, method := range []string{"POST", "PATCH", "DELETE"} {
			for _, body := range []string{"", "{}", "[]", `{"resources":null}`, `{"resources":5}`, `{"resources":"1"}`, `{"resource":[]}`} {
				same(s.do(method, batch, body), "resources")
			}
			same(s.do(method, batch, `{"resources":[`+strings.TrimSuffix(strings.Repeat("1,", 1001), ",")+`]}`), "resources")
		}
		if _, after := s.deliveries(); after != events {
			t.Errorf("wrong batches emitted %d events", after-events)
		}
	})
}

// total is how many resources of a kind the list counts.
func (s *server) total(k *personnel.Kind) int64 {
	s.Helper()
	n, _ := s.want(200, "GET", k.Path, nil).at("meta", "total").(int64)
	return n
}

// wrongFor returns values that the field must refuse.
func wrongFor(f *personnel.Field) []any {
	long := strings.Repeat("x", 70000)
	var wrong []any
	switch f.Type {
	case personnel.Integer:
		wrong = []any{"many", 1.5, true, value.List(), int64(1) << 31}
	case personnel.Reference:
		wrong = []any{"x", 999999, 0, -1, 1.5, true, value.List(1)}
	case personnel.Boolean:
		wrong = []any{"maybe", 2, value.List()}
	case personnel.DateTime, personnel.RawTime:
		wrong = []any{"yesterday", "2026-13-01", 5, true, value.List()}
	case personnel.Strings:
		wrong = []any{5, "no such option", value.List("no such option"), value.List(5), value.Map("a", f.Options[0])}
	case personnel.Integers:
		wrong = []any{5, "x", value.List("x"), value.List(0), value.Map("a", 1)}
	case personnel.JSON:
		wrong = []any{long}
	case personnel.Photo, personnel.File:
		wrong = []any{"photo.png", 5, value.List()}
	case personnel.Code:
		wrong = []any{99, "x", true, value.List()}
	case personnel.Text:
		wrong = []any{long, 5, true, value.List("x"), "a\x00b"}
	default:
		wrong = []any{strings.Repeat("x", 256), 5, true, value.Map("a", "b"), "a\x00b"}
	}
	if f.Type == personnel.Email {
		wrong = append(wrong, "nobody", "a b@example.com", "Jane <jane@example.com>")
	}
	if f.Pattern != nil || f.Type == personnel.Choice {
		wrong = append(wrong, "no such thing!")
	}
	if f.Name == "rules" {
		wrong = append(wrong, "no_such_rule", "max:many")
	}
	if f.Required {
		wrong = append(wrong, nil, "")
		if f.Type == personnel.String || f.Type == personnel.Text {
			wrong = append(wrong, "  ")
		}
	}
	for i, v := range wrong {
		if n, ok := v.(int); ok {
			wrong[i] = int64(n)
		}
	}
	return wrong
}

func TestCollections_refuseWrongValues(t *testing.T) {
	eachKind(t, func(t *testing.T, s *server, k *personnel.Kind, m *maker) {
		s.watch()
		there := m.make(k)
		valid := m.all(k)
		for _, f := range writable(k) {
			if f.IsFile() { // so that this is JSON, in which a number is no text
				valid.Delete(f.SentAs())
			}
		}
		before, total := s.show(k, there), s.total(k)
		_, events := s.deliveries()
		for _, f := range writable(k) {
			var wrong []string // f, and the file that is missing
			for _, other := range writable(k) {
				if other == f || other.IsFile() && other.Required {
					wrong = append(wrong, other.SentAs())
				}
			}
			for i, v := range wrongFor(f) {
				fields := valid.Clone()
				fields.Set(f.SentAs(), v)
				s.do("POST", k.Path, fields).wantInvalid(t, wrong...)
				s.do([]string{"PUT", "PATCH"}[i%2], path(k, there), value.Map(f.SentAs(), v)).wantInvalid(t, f.SentAs())
				if t.Failed() {
					t.Fatalf("%s = %.80s", f.SentAs(), text(v))
				}
			}
		}

		var names, required []string
		everything := value.NewArray(8)
		for _, f := range writable(k) {
			names = append(names, f.SentAs())
			everything.Set(f.SentAs(), wrongFor(f)[0])
			if f.Required {
				required = append(required, f.SentAs())
			}
		}
		s.do("POST", k.Path, everything).wantInvalid(t, names...)
		s.do("PUT", path(k, there), everything).wantInvalid(t, names...)
		s.do("POST", k.Path, "{}").wantInvalid(t, required...)

		wantEqual(t, "what is there", s.show(k, there), before)
		wantEqual(t, "number of rows", s.total(k), total)
		if _, after := s.deliveries(); after != events {
			t.Errorf("wrong values emitted %d events", after-events)
		}
	})
}

// A value that must be unique is so within its organization, and is not in its own way.
func TestCollections_uniqueFields(t *testing.T) {
	eachKind(t, func(t *testing.T, s *server, k *personnel.Kind, m *maker) {
		other := &maker{server: s.another(), made: map[string]int64{}}
		for _, f := range writable(k) {
			if !f.Unique {
				continue
			}
			taken := m.required(k)
			first := s.want(201, "POST", k.Path, taken).data(t)
			second := m.required(k)
			one := s.want(201, "POST", k.Path, second).data(t)
			v, _ := taken.Get(f.Name)
			second.Set(f.Name, v)
			s.do("POST", k.Path, second).wantInvalid(t, f.Name)
			s.do("PUT", path(k, id(one)), value.Map(f.Name, v)).wantInvalid(t, f.Name)
			fresh := m.required(k)
			s.do("POST", k.Path+"/batch", value.Map("resources", value.List(fresh, fresh))).wantInvalid(t, "resources.1."+f.Name)
			s.want(200, "PUT", path(k, id(first)), value.Map(f.Name, v))
			theirs := other.required(k)
			theirs.Set(f.Name, v)
			other.want(201, "POST", k.Path, theirs)
		}
	})
}

// An organization sees nothing of another, nor can refer to it.
func TestCollections_ofAnotherOrganization(t *testing.T) {
	eachKind(t, func(t *testing.T, s *server, k *personnel.Kind, m *maker) {
		other := s.another()
		there := m.make(k)
		before := s.show(k, there)
		key := strconv.FormatInt(there, 10)
		for _, method := range []string{"GET", "PUT", "PATCH", "DELETE"} {
			other.do(method, path(k, there), m.required(k)).wantNotFound(t)
		}
		wantEqual(t, "another's list", other.want(200, "GET", k.Path, nil).at("meta", "total"), 0)
		wantEqual(t, "another's batch update", other.want(200, "PATCH", k.Path+"/batch", value.Map("resources", value.Map(key, value.Map()))).at("data"), value.List())
		wantEqual(t, "another's batch delete", other.want(200, "DELETE", k.Path+"/batch", value.Map("resources", value.List(there))).at("data"), value.List())
		var references []string
		for _, f := range writable(k) {
			if f.Type == personnel.Reference || f.Name == "model_id" {
				references = append(references, f.Name)
			}
		}
		if len(references) > 0 {
			other.do("POST", k.Path, m.all(k)).wantInvalid(t, references...)
		}
		wantEqual(t, "what is there", s.show(k, there), before)
	})
}

// Version 1 gives statuses two more keys, wherever they appear in an answer, and version 2 does not.
func TestStatus_colorsInVersion1(t *testing.T) {
	s := newServer(t)
	status := id(s.create("statuses", "name", "Active", "color", "#16a34a"))
	user := id(s.create("users", "name", "Jane Roe", "email", "jane@example.com", "status_id", status))
	for _, version := range []string{"v1", "v2"} {
		s.version = version
		var want any
		if version == "v1" {
			want = "#16a34a"
		}
		for _, shown := range []any{
			s.want(200, "GET", "statuses", nil).at("data", "0"),
			s.want(200, "GET", "statuses/"+strconv.FormatInt(status, 10), nil).at("data"),
			s.want(200, "PUT", "statuses/"+strconv.FormatInt(status, 10), nil).at("data"),
			s.want(200, "GET", "users", nil).at("data", "0", "status"),
			s.want(200, "GET", "users/"+strconv.FormatInt(user, 10), nil).at("data", "status"),
		} {
			wantEqual(t, "color", at(shown, "color"), "#16a34a")
			for _, key := range []string{"text_color", "bg_color"} {
				wantEqual(t, version+" "+key, at(shown, key), want)
				if has := shown.(*value.Array).Has(key); has != (version == "v1") {
					t.Errorf("%s: status has %s: %v", version, key, has)
				}
			}
		}
	}
}

// Whose key it is becomes the author, unless the request names one.
func TestCollections_authorIsTheKeysUser(t *testing.T) {
	s := newServer(t)
	m := &maker{server: s, made: map[string]int64{}}
	user, other := m.make(&personnel.User), m.make(&personnel.User)
	keyed := s.with(s.addKey(bugle.APIKey{UserID: user, Scopes: []string{"*"}}))
	for _, test := range []struct {
		s    *server
		sent []any
		want any
	}{
		{keyed, nil, user},
		{keyed, []any{"author_id", other}, other},
		{keyed, []any{"author_id", nil}, nil},
		{s, nil, nil},
		{s, []any{"author_id", other}, other},
	} {
		data := test.s.create("combat-records", append([]any{"user_id", user, "text", "Operation"}, test.sent...)...)
		wantEqual(t, "author_id", at(data, "author_id"), test.want)
	}
}
