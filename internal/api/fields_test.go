package api_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/buglehq/bugle/value"
)

// addField defines a custom field of a form or user with the rules, and returns its id.
func (s *server) addField(of, key, fieldType, rules string, required bool) int64 {
	s.Helper()
	field := id(s.create("fields", "name", key, "key", key, "type", fieldType, "rules", rules, "required", required))
	s.want(200, "POST", of+"/fields/attach", value.Map("resources", value.List(field)))
	return field
}

func TestFields_attachAndDetach(t *testing.T) {
	for _, of := range []string{"forms/1", "users/1"} {
		t.Run(of, func(t *testing.T) {
			s := newServer(t)
			s.watch()
			s.create("forms", "name", "Leave", "slug", "leave", "is_public", false)
			s.create("users", "name", "Jane", "email", "jane@example.com")
			for _, key := range []string{"a", "b", "c"} {
				s.create("fields", "name", key, "key", key, "type", "text")
			}
			_, events := s.deliveries()
			attach, detach := of+"/fields/attach", of+"/fields/detach"
			for _, test := range []struct{ method, path, body, want string }{
				{"POST", attach, `{"resources":[1,2]}`, `{"attached":[1,2]}`},
				{"POST", attach, `{"resources":[2,3,3],"duplicates":false}`, `{"attached":[3]}`},
				{"POST", attach, `{"resources":[]}`, `{"attached":[]}`},
				{"DELETE", detach, `{"resources":["2",99]}`, `{"detached":[2]}`},
				{"DELETE", detach, `{"resources":{"1":[],"2":{}}}`, `{"detached":[1]}`},
				{"POST", attach, `{"resources":{"1":{"order":5},"2":[]}}`, `{"attached":[1,2]}`},
				{"DELETE", detach, `{"resources":[1,2,3]}`, `{"detached":[1,2,3]}`},
				{"DELETE", detach, `{"resources":[1]}`, `{"detached":[]}`},
			} {
				if a := s.want(200, test.method, test.path, test.body); a.text != test.want {
					t.Errorf("%s %s: %s, want %s", test.method, test.body, a.text, test.want)
				}
			}
			s.do("POST", attach, `{"resources":{"1":{"order":"first"}}}`).wantInvalid(t, "resources.1.order")
			s.do("POST", attach, `{"resources":[1,99]}`).wantInvalid(t, "resources.1")
			s.do("POST", attach, `{"resources":[1,"x"]}`).wantInvalid(t, "resources.1")
			s.do("POST", attach, `{"resources":{"x":[]}}`).wantInvalid(t, "resources.x")
			s.do("DELETE", detach, `{"resources":[null]}`).wantInvalid(t, "resources.0")
			for _, body := range []string{"", "{}", `{"resources":null}`, `{"resources":5}`} {
				s.do("POST", attach, body).wantInvalid(t, "resources")
				s.do("DELETE", detach, body).wantInvalid(t, "resources")
			}
			if a := s.want(200, "DELETE", detach, `{"resources":[1,2,3]}`); a.text != `{"detached":[]}` {
				t.Errorf("wrong requests attached what %s shows", a.text)
			}
			if _, after := s.deliveries(); after != events {
				t.Errorf("%d events, want none", after-events)
			}

			kind, _, _ := strings.Cut(of, "/")
			for _, id := range []string{"99", "0", "x"} {
				s.do("POST", kind+"/"+id+"/fields/attach", `{"resources":[1]}`).wantNotFound(t)
				s.do("DELETE", kind+"/"+id+"/fields/detach", `{"resources":[1]}`).wantNotFound(t)
			}
			other := s.another()
			other.do("POST", attach, `{"resources":[1]}`).wantNotFound(t)
			other.do("DELETE", detach, `{"resources":[1]}`).wantNotFound(t)
			theirs := id(other.create("fields", "name", "a", "key", "a", "type", "text"))
			s.do("POST", attach, value.Map("resources", value.List(theirs))).wantInvalid(t, "resources.0")
		})
	}
}

// customCases are values that a custom field takes or refuses, by its type and rules.
var customCases = []struct {
	fieldType, rules string
	good, wrong      []any
}{
	{"text", "", []any{"text", nil, ""}, []any{int64(5), true, value.List("a")}},
	{"text", "string|min:2|max:4", []any{"ab", "Ünïé", nil}, []any{"a", "abcde"}},
	{"text", "size:3|alpha", []any{"abc"}, []any{"ab", "ab1"}},
	{"text", "starts_with:A,B|ends_with:z", []any{"Abcz", "Bz"}, []any{"Cz", "Ab"}},
	{"text", "digits:4", []any{"0123"}, []any{"123", "12a4"}},
	{"text", "url", []any{"https://example.com/a"}, []any{"example"}},
	{"email", "", []any{"jane@example.com"}, []any{"jane"}},
	{"date", "", []any{"2026-02-01"}, []any{"soon", int64(5)}},
	{"number", "integer|between:1,10", []any{int64(1), int64(10), "7"}, []any{int64(0), int64(11), 1.5, "x"}},
	{"number", "max:2.5", []any{2.5, int64(-1)}, []any{2.6, int64(3)}},
	{"boolean", "", []any{true, false, int64(0), "1"}, []any{"yes", int64(2)}},
	{"select", "in:a,b", []any{"a", "b", nil}, []any{"c", int64(1)}},
	{"select", "array|max:2", []any{value.List("a", "b"), value.List()}, []any{"a", value.List(1, 2, 3)}},
	{"select", "not_in:a,b", []any{"c"}, []any{"a"}},
}

func TestSubmissions_customFields(t *testing.T) {
	s := newServer(t)
	s.watch()
	user := id(s.create("users", "name", "Jane", "email", "jane@example.com"))
	for i, test := range customCases {
		t.Run(fmt.Sprintf("%s %s", test.fieldType, test.rules), func(t *testing.T) {
			s := s.in(t)
			form := id(s.create("forms", "name", "Form", "slug", fmt.Sprint("form-", i), "is_public", true))
			key := fmt.Sprint("answer_", i)
			s.addField(fmt.Sprint("forms/", form), key, test.fieldType, test.rules, false)
			for _, v := range test.good {
				a := s.want(201, "POST", "submissions", value.Map("form_id", form, "user_id", user, key, v, "not_asked", "left out"))
				wantEqual(t, "the answer", a.at("data", key), v)
				if a.data(t).Has("not_asked") {
					t.Error("an answer that the form does not ask for was kept")
				}
				wantEqual(t, "what show answers", s.want(200, "GET", fmt.Sprint("submissions/", id(a.at("data"))), nil).text, a.text)
				s.want(200, "PUT", fmt.Sprint("submissions/", id(a.at("data"))), value.Map(key, v))
			}
			there := id(s.create("submissions", "form_id", form, "user_id", user))
			total := s.want(200, "GET", "submissions", nil).at("meta", "total")
			for _, v := range test.wrong {
				s.do("POST", "submissions", value.Map("form_id", form, "user_id", user, key, v)).wantInvalid(t, key)
				s.do("PUT", fmt.Sprint("submissions/", there), value.Map(key, v)).wantInvalid(t, key)
				s.do("POST", "submissions/batch", value.Map("resources", value.List(value.Map("form_id", form, "user_id", user, key, v)))).wantInvalid(t, "resources.0."+key)
			}
			wantEqual(t, "submissions", s.want(200, "GET", "submissions", nil).at("meta", "total"), total)
		})
	}
}

// What a form requires is required when answering it, and cannot be taken back later.
func TestSubmissions_requiredFields(t *testing.T) {
	s := newServer(t)
	user := id(s.create("users", "name", "Jane", "email", "jane@example.com"))
	form := id(s.create("forms", "name", "Leave", "slug", "leave", "is_public", true))
	s.addField("forms/1", "reason", "text", "", true)
	s.addField("forms/1", "days", "number", "required|integer", false)
	s.addField("forms/1", "remark", "text", "", false)
	s.do("POST", "submissions", value.Map("form_id", form, "user_id", user)).wantInvalid(t, "reason", "days")
	s.do("POST", "submissions", value.Map("form_id", form, "user_id", user, "reason", "", "days", nil)).wantInvalid(t, "reason", "days")
	s.do("POST", "submissions", value.Map("user_id", user, "reason", 5)).wantInvalid(t, "form_id")
	s.do("POST", "submissions", value.Map("form_id", 99, "user_id", 99)).wantInvalid(t, "form_id", "user_id")
	one := id(s.create("submissions", "form_id", form, "user_id", user, "days", 3, "reason", "Holiday"))
	s.do("PUT", fmt.Sprint("submissions/", one), `{"reason":null}`).wantInvalid(t, "reason")
	a := s.want(200, "PATCH", fmt.Sprint("submissions/", one), `{"remark":"By train"}`)
	wantEqual(t, "submission", value.List(a.at("data", "reason"), a.at("data", "days"), a.at("data", "remark")), value.List("Holiday", 3, "By train"))

	// Without the definition its answers stay, and are no longer taken.
	s.want(200, "DELETE", "forms/1/fields/detach", `{"resources":[1]}`)
	a = s.want(200, "PUT", fmt.Sprint("submissions/", one), `{"reason":"Changed","days":4}`)
	wantEqual(t, "submission", value.List(a.at("data", "reason"), a.at("data", "days")), value.List("Holiday", 4))
}

func TestUsers_customFields(t *testing.T) {
	s := newServer(t)
	s.watch()
	s.create("users", "name", "Jane", "email", "jane@example.com")
	s.create("users", "name", "Joe", "email", "joe@example.com")
	s.addField("users/1", "promotion_points", "number", "integer|min:0", false)
	s.addField("users/1", "name", "text", "", false) // a field that users have anyway
	s.addField("users/1", "photo", "file", "", false)

	photo, _ := s.want(200, "PUT", "users/1", value.Map("photo", pixel)).at("data", "photo").(string)
	a := s.want(200, "PUT", "users/1", value.Map("promotion_points", 10, "photo", photo))
	wantEqual(t, "points", a.at("data", "promotion_points"), 10)
	wantEqual(t, "URL of the photo", a.at("data", "photo_url"), "https://bugle.example.com/storage/"+photo)
	wantEqual(t, "what show answers", s.want(200, "GET", "users/1", nil).text, a.text)
	newest, _ := s.deliveries()
	stored, err := s.store.Payload(t.Context(), newest[0].EventID)
	if err != nil {
		t.Fatal(err)
	}
	payload, err := value.Decode(stored.Text)
	if err != nil {
		t.Fatal(err)
	}
	wantEqual(t, "points in the event", at(payload, "data", "promotion_points"), 10)

	s.do("PUT", "users/1", `{"promotion_points":-1,"email":"nobody"}`).wantInvalid(t, "email", "promotion_points")
	s.do("PATCH", "users/batch", `{"resources":{"1":{"promotion_points":"many"}}}`).wantInvalid(t, "resources.1.promotion_points")
	wantEqual(t, "points", s.want(200, "GET", "users/1", nil).at("data", "promotion_points"), 10)
	wantEqual(t, "name", s.want(200, "PUT", "users/1", `{"name":"Jane Roe"}`).at("data", "name"), "Jane Roe")

	if a := s.want(200, "PUT", "users/2", `{"promotion_points":10}`); a.data(t).Has("promotion_points") {
		t.Error("a user has a custom field that is not his")
	}
}

// Fields that belong to no form and no user can be deleted, and those that do as well.
func TestFields_deleteWhileAttached(t *testing.T) {
	s := newServer(t)
	s.create("users", "name", "Jane", "email", "jane@example.com")
	field := s.addField("users/1", "callsign", "text", "", false)
	s.want(200, "PUT", "users/1", `{"callsign":"Falcon"}`)
	s.want(200, "DELETE", fmt.Sprint("fields/", field), nil)
	wantEqual(t, "callsign", s.want(200, "PUT", "users/1", `{"callsign":"Eagle"}`).at("data", "callsign"), "Falcon")
}
