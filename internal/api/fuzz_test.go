package api_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/personnel"
	"github.com/buglehq/bugle/value"
)

// Whatever is sent to make a user is taken or refused, and nothing breaks.
func FuzzCreateUser(f *testing.F) {
	s := newServer(f)
	s.watch()
	for _, body := range []string{
		"", "{}", "[]", "null", `{"name":"Jane","email":"jane@example.com"}`, `{"name":"Jane","email":"jane2@example.com","rank_id":1,"approved":"1"}`,
		`{"name":5,"email":[],"notes":{},"profile_photo":"x","data":{},"id":7}`, `{"name":"\u0000","email":"a@b","created_at":"2026-01-01"}`,
		`{"name":"\ud800","email":"x"}`, `{"name":1e999}`, `{"name":"a","name":"b"}`, "\xef\xbb\xbf{}", `[[[[]]]]`, `{"":"","0":0}`,
	} {
		f.Add([]byte(body), false)
		f.Add([]byte(body), true)
	}
	f.Fuzz(func(t *testing.T, body []byte, form bool) {
		s := s.in(t)
		media := "application/json"
		if form {
			media = "multipart/form-data; boundary=x"
		}
		a := s.send("POST", "/v2/users", string(body), "Authorization", "Bearer "+s.key, "Content-Type", media)
		switch a.status {
		case 201:
			wantEqual(t, "what show answers", s.want(200, "GET", path(&personnel.User, id(a.at("data"))), nil).text, a.text)
			s.want(200, "GET", "users", nil)
			s.want(200, "DELETE", path(&personnel.User, id(a.at("data"))), nil)
		case 422:
			if wrong, _ := a.at("error", "errors").(*value.Array); wrong.Len() == 0 {
				t.Errorf("422 without errors: %s", a.text)
			}
		case 400, 413, 415:
			a.wantIDs(t)
		default:
			t.Errorf("status %d\n%s", a.status, a.text)
		}
	})
}

// nestedActions are what can be done below a resource without taking it away. The id is of something
// there.
var nestedActions = []string{"GET ", "POST /search", "POST /attach", "DELETE /detach", "PATCH /sync", "PATCH /toggle", "PATCH /{id}/pivot",
	"POST /associate", "DELETE /{id}/dissociate", "POST ", "POST /batch", "PATCH /batch", "PATCH /{id}", "GET /{id}"}

// Whatever is asked below whatever resource is done or refused, and leaves a list that can be read.
func FuzzNested(f *testing.F) {
	s := newServer(f)
	s.watch()
	m := s.maker()
	list := nests()
	paths, ids := make([]string, len(list)), make([]string, len(list))
	for i, n := range list {
		paths[i] = m.at(n)
		ids[i] = key(m.there(n, paths[i]))
		for action := range nestedActions {
			f.Add(uint(i), uint(action), `{"resources":[1],"related_key":1,"pivot":{"order":1},"name":"x"}`, "include=image,user.*,users,fields&limit=2")
		}
	}
	for i, body := range []string{
		``, `{}`, `[]`, `null`, `5`, `{"resources":5}`, `{"resources":{"1":{"order":"1","text":null,"due_at":"2026-01-01"},"0":[],"-1":{},"x":{}}}`, `{"resources":[[],{}]}`,
		`{"resources":[1,1,"1",2,1.5,null,true]}`, `{"resources":[1,1],"duplicates":true,"detaching":false}`, `{"resources":{"9223372036854775807":[]}}`, `{"resources":[9223372036854775808]}`,
		`{"pivot":{"order":1e99,"text":"\u0000","assigned_by_id":-1,"completed_at":"9999-12-31T23:59:59-14:00"}}`, `{"pivot":[1,2]}`, `{"related_key":"1e0"}`,
		`{"filters":[{"field":"pivot.order","operator":"in","value":[1,null]},{"type":"or","field":"pivot.text","operator":"not like","value":"%"}],"sort":[{"field":"pivot.due_at"}],"search":{"value":"e"}}`,
		`{"filters":[{"nested":[{"field":"pivot.text->a","operator":"any in","value":["x"]}]}],"includes":[{"relation":"image"},{"relation":"users.rank_records.user"}]}`,
	} {
		for action := range nestedActions {
			f.Add(uint(i+action), uint(action), body, "page=2&include=*&limit=-1&type=manual&apikey=x")
		}
	}
	f.Fuzz(func(t *testing.T, at, action uint, body, query string) {
		s := s.in(t)
		i := at % uint(len(paths))
		method, place, _ := strings.Cut(nestedActions[action%uint(len(nestedActions))], " ")
		a := s.do(method, paths[i]+strings.Replace(place, "{id}", ids[i], 1)+"?"+sendable(query), body)
		switch a.status {
		case 200, 201, 400, 404, 405, 413, 422:
			a.wantIDs(t)
		default:
			t.Errorf("%s %s with %q: status %d\n%s\n%s", method, paths[i]+place, body, a.status, a.text, s.log)
		}
		if a := s.do("GET", paths[i]+"?limit=1", nil); a.status != 200 && (list[i].rel.IsMany() || a.status != 404) {
			t.Errorf("the list after %s %s with %q: status %d\n%s", method, paths[i]+place, body, a.status, a.text)
		}
	})
}

// sendable is a query with what a client would have to escape left out.
func sendable(query string) string {
	return strings.Map(func(r rune) rune {
		if r <= ' ' || r == '#' || r == '%' || r == 0x7f {
			return '_'
		}
		return r
	}, query)
}

// Whatever part of a list is wanted, with whatever relations, it is answered.
func FuzzParameters(f *testing.F) {
	s := newServer(f)
	m := s.maker()
	user := m.id(&personnel.User)
	m.id(&personnel.RankRecord)
	s.want(200, "POST", under("groups", m.id(&personnel.Group))+"/units/attach", value.Map("resources", value.List(m.id(&personnel.Unit))))
	s = s.with(s.addKey(bugle.APIKey{UserID: user, Scopes: []string{"*"}}))
	paths := []string{"roster", under("roster", m.id(&personnel.Group)), "me", "settings", "newsfeed", "users", under("users", user), under("users", user) + "/rank-records", "groups", "comments"}
	for i := range paths {
		f.Add(i, "rank.image,users", "2", "15", "automatic")
		f.Add(i, "units.*,units.users.rank_records.user", "-1", "0", "manual")
		f.Add(i, ",.,..,*,a.b.c.d.e,%", "99999999999999999999", "1e9", "\x00\xff")
		f.Add(i, strings.Repeat("rank_records.user.", 50), "2147483647", "1000", "")
	}
	f.Fuzz(func(t *testing.T, at int, include, page, limit, kind string) {
		s := s.in(t)
		path := paths[uint(at)%uint(len(paths))]
		a := s.do("GET", path+"?"+url.Values{"include": {include}, "page": {page}, "limit": {limit}, "type": {kind}}.Encode(), nil)
		isRoster := strings.HasPrefix(path, "roster")
		want := 200
		if isRoster && kind != "" && kind != "automatic" && kind != "manual" {
			want = 422
		}
		if a.status != want {
			t.Errorf("%s with include %q, page %q, limit %q, type %q: status %d, want %d\n%s", path, include, page, limit, kind, a.status, want, a.text)
		}
		if data, _ := a.at("data").(*value.Array); a.status == 200 && data == nil {
			t.Errorf("%s has no data: %.300s", path, a.text)
		}
	})
}
