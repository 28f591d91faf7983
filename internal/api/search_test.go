package api_test

import (
	"strconv"
	"strings"
	"testing"

	"github.com/buglehq/bugle/personnel"
	"github.com/buglehq/bugle/value"
)

// addPeople adds two ranks and three users.
func addPeople(s *server) {
	s.Helper()
	s.create("ranks", "name", "Private")
	s.create("ranks", "name", "Captain")
	s.create("users", "name", "Ann", "email", "ann@example.com", "rank_id", 1)
	s.create("users", "name", "Bob", "email", "bob@example.com", "rank_id", 2, "approved", false)
	s.create("users", "name", "Cid", "email", "cid@example.com", "rank_id", 1)
}

// A search for nothing in particular is the list, but for the address.
func TestSearch_emptyIsTheList(t *testing.T) {
	eachKind(t, func(t *testing.T, s *server, k *personnel.Kind, m *maker) {
		for range 3 {
			m.make(k)
		}
		list := s.want(200, "GET", k.Path+"?limit=2", nil)
		for _, body := range []any{`{}`, `[]`, nil, " ", `{"search":{"value":""},"filters":[],"sort":[],"scopes":[]}`, `{"filters":null,"search":[],"aggregates":[]}`} {
			found := s.want(200, "POST", k.Path+"/search?limit=2", body)
			wantEqual(t, "what is found", strings.ReplaceAll(found.text, `\/search`, ""), list.text)
		}
		for _, name := range []string{"Cache-Control", "Surrogate-Control", "Vary", "Content-Type"} {
			found := s.want(200, "POST", k.Path+"/search", nil)
			wantEqual(t, name, found.header.Get(name), list.header.Get(name))
			wantEqual(t, "Surrogate-Key", found.header.Get("Surrogate-Key"), "")
		}
	})
}

func TestSearch_scopeOfTheKey(t *testing.T) {
	eachKind(t, func(t *testing.T, s *server, k *personnel.Kind, m *maker) {
		m.make(k)
		s.scoped("view:"+k.Name).want(200, "POST", k.Path+"/search", `{}`)
		s.scoped("*").want(200, "POST", k.Path+"/search", `{}`)
		s.scoped("create:"+k.Name, "update:"+k.Name, "delete:"+k.Name, "view:other", "search:"+k.Name).do("POST", k.Path+"/search", `{}`).wantForbidden(t)
		s.with("wrong").do("POST", k.Path+"/search", `{}`).wantUnauthenticated(t)
	})
}

func TestSearch_methods(t *testing.T) {
	s := newServer(t)
	for _, method := range []string{"GET", "PUT", "PATCH", "DELETE"} {
		a := s.do(method, "users/search", nil)
		a.wantError(t, 405, "MethodNotAllowedHttpException", "")
		wantEqual(t, "Allow", a.header.Get("Allow"), "POST")
	}
	for _, path := range []string{"deliveries/search", "schedules/search", "unit-slots/search"} {
		if a := s.do("POST", path, `{}`); a.status != 404 && a.status != 405 {
			t.Errorf("POST %s: status %d, want 404 or 405", path, a.status)
		}
	}
}

// These are the bodies that PERSCOM's PHP SDK sends.
func TestSearch_asThePHPSDK(t *testing.T) {
	s := newServer(t)
	addPeople(s)
	s.create("units", "name", "Open")
	s.create("units", "name", "Secret", "hidden", true)
	for _, test := range []struct{ path, body, want string }{
		{"users", `[]`, "Ann Bob Cid"},
		{"users", `{"search":{"value":"bob"}}`, "Bob"},
		{"users", `{"sort":[{"field":"name","direction":"desc"}]}`, "Cid Bob Ann"},
		{"users", `{"sort":[{"field":"rank.name","direction":"asc"},{"field":"name","direction":"desc"}]}`, "Bob Cid Ann"},
		{"users", `{"filters":[{"field":"name","operator":"=","value":"Ann","type":"or"}]}`, "Ann"},
		{"users", `{"filters":[{"field":"name","operator":"=","value":"Ann","type":"or"},{"field":"name","operator":"like","value":"%i%","type":"or"}]}`, "Ann Cid"},
		{"users", `{"filters":[{"field":"rank_id","operator":"=","value":1,"type":"and"},{"field":"name","operator":"!=","value":"Ann","type":"and"}]}`, "Cid"},
		{"users", `{"search":{"value":"example"},"sort":[{"field":"id","direction":"desc"}],"filters":[{"field":"approved","operator":"=","value":true,"type":"or"}]}`, "Cid Ann"},
		{"units", `[]`, "Open"},
		{"units", `{"scopes":[{"name":"hidden"}]}`, "Secret"},
		{"units", `{"scopes":[{"name":"visible"}]}`, "Open"},
		{"units", `{"scopes":[{"name":"hidden","parameters":["x"]}]}`, "Secret"},
	} {
		a := s.want(200, "POST", test.path+"/search?limit=20&page=1", test.body)
		wantEqual(t, test.path+" "+test.body, names(a), test.want)
		wantEqual(t, "limit", a.at("meta", "per_page"), 20)
	}
	s.want(200, "POST", "users/search?limit=20&page=1&include=rank", `[]`)
}

// This is what PERSCOM's Zapier app asks, with the only scope for reading that it has.
func TestSearch_asZapier(t *testing.T) {
	s := newServer(t)
	addPeople(s)
	zapier := s.scoped("view:user", "create:user", "update:user", "delete:user")
	a := zapier.send("POST", "/v1/users/search", `{"search":{"value":"bob@example.com"}}`,
		"Authorization", "Bearer "+zapier.key, "Accept", "application/json", "X-Perscom-Id", "1", "X-Perscom-Zapier", "true")
	a.wantStatus(t, 200)
	wantEqual(t, "names", names(a), "Bob")
	wantEqual(t, "the rank of the first", at(a.at("data", "0"), "rank", "name"), "Captain")
	wantEqual(t, "path", a.at("meta", "path"), s.url+"/v1/users/search")
}

func TestSearch_pages(t *testing.T) {
	s := newServer(t)
	addRanks(s, 12)
	s.create("ranks", "name", "Other")
	const body = `{"filters":[{"field":"name","operator":"like","value":"R%"}],"sort":[{"field":"created_at"},{"field":"updated_at","direction":"desc"}]}`
	base := s.url + "/v2/ranks/search"
	for _, test := range []struct {
		query                   string
		number, limit, from, to int
		want                    string
	}{
		{"", 1, 15, 1, 12, "R1 R2 R3 R4 R5 R6 R7 R8 R9 R10 R11 R12"},
		{"?limit=5", 1, 5, 1, 5, "R1 R2 R3 R4 R5"},
		{"?limit=5&page=2", 2, 5, 6, 10, "R6 R7 R8 R9 R10"},
		{"?limit=5&page=3", 3, 5, 11, 12, "R11 R12"},
		{"?limit=5&page=4", 4, 5, 0, 0, ""},
		{"?limit=0&page=-1", 1, 15, 1, 12, "R1 R2 R3 R4 R5 R6 R7 R8 R9 R10 R11 R12"},
	} {
		a := s.want(200, "POST", "ranks/search"+test.query, body)
		wantPage(t, a, base, test.number, test.limit, 12, test.from, test.to)
		wantEqual(t, "page "+test.query, names(a), test.want)
	}
	a := s.want(200, "POST", "ranks/search", `{"search":{"value":"nothing of the kind"}}`)
	wantPage(t, a, base, 1, 15, 0, 0, 0)
	wantEqual(t, "what is found", a.at("data"), value.List())
}

func TestSearch_wrong(t *testing.T) {
	s := newServer(t)
	for _, test := range []struct{ path, body, want string }{
		{"users", `{"filters":[{"field":"nickname","operator":"=","value":1}]}`, "filters.0.field"},
		{"users", `{"filters":[{"field":"name","operator":"~","value":1}]}`, "filters.0.operator"},
		{"users", `{"filters":[{"field":"name","type":"nor"}]}`, "filters.0.type"},
		{"users", `{"filters":[{"field":"password","value":"x"},{"field":"remember_token"},{"field":"data"},{"field":"organization_id"},{"field":"discord_private_channel_id"}]}`,
			"filters.0.field filters.1.field filters.2.field filters.3.field filters.4.field"},
		{"rank-records", `{"filters":[{"field":"user.password","operator":"like","value":"%"},{"field":"user.rank.name"},{"field":"nobody.name"},{"field":"user.organization_id"}],"sort":[{"field":"user.password"}]}`,
			"filters.0.field filters.1.field filters.2.field filters.3.field sort.0.field"},
		{"users", `{"filters":[{"nested":[{"nested":[]}]}]}`, "filters.0.nested.0.nested"},
		{"users", `{"scopes":[{"name":"hidden"}]}`, "scopes.0.name"},
		{"units", `{"scopes":[{"name":"tags"}]}`, "scopes.0.name"},
		{"users", `{"sort":[{"field":"name","direction":"sideways"}]}`, "sort.0.direction"},
		{"users", `{"search":"bob"}`, "search"},
		{"users", `{"search":{"value":{}}}`, "search.value"},
		{"users", `{"filters":{"field":"name"},"sort":5,"scopes":"hidden"}`, "scopes filters sort"},
		{"units", `{"scopes":[{"name":"x"}],"filters":[{"field":"x","operator":"x","type":"x"},{"nested":[{"field":"x"}]}],"search":{"value":false},"sort":[{"field":"x","direction":"x"}]}`,
			"scopes.0.name filters.0.type filters.0.field filters.0.operator filters.1.nested.0.field search.value sort.0.field sort.0.direction"},
	} {
		s.do("POST", test.path+"/search", test.body).wantInvalid(t, strings.Fields(test.want)...)
	}
	for _, body := range []string{`[1]`, `[{}]`, `5`, `null`, `"x"`, `{"filters":`, `{"filters":[}`} {
		s.do("POST", "users/search", body).wantError(t, 400, "HttpException", "")
	}
}

// Custom fields are searched by their keys, those of the organization only.
func TestSearch_customFields(t *testing.T) {
	s := newServer(t)
	other := s.another()
	s.create("fields", "name", "Points", "key", "points", "type", "number")
	s.create("forms", "name", "Leave", "slug", "leave", "is_public", false)
	s.want(200, "POST", "forms/1/fields/attach", `{"resources":[1]}`)
	s.create("users", "name", "Ann", "email", "ann@example.com")
	for _, points := range []int{5, 20, 10} {
		s.create("submissions", "form_id", 1, "user_id", 1, "points", points)
	}
	for body, want := range map[string]string{
		`{"filters":[{"field":"points","operator":">","value":5}],"sort":[{"field":"points"}]}`:                                               "3 2",
		`{"filters":[{"field":"points","value":5}]}`:                                                                                          "1",
		`{"sort":[{"field":"points","direction":"desc"}]}`:                                                                                    "2 3 1",
		`{"filters":[{"field":"form.slug","value":"leave"},{"field":"user.name","value":"Ann"},{"field":"points","operator":"<","value":7}]}`: "1",
	} {
		var found []string
		for _, item := range s.want(200, "POST", "submissions/search", body).items(t) {
			found = append(found, strconv.FormatInt(id(item), 10))
		}
		wantEqual(t, body, strings.Join(found, " "), want)
	}
	s.do("POST", "ranks/search", `{"sort":[{"field":"points"}]}`).wantInvalid(t, "sort.0.field")
	other.do("POST", "submissions/search", `{"sort":[{"field":"points"}]}`).wantInvalid(t, "sort.0.field")
}

// Whatever a search says, it finds nothing of another organization.
func TestSearch_findsNothingOfOtherOrganizations(t *testing.T) {
	eachKind(t, func(t *testing.T, s *server, k *personnel.Kind, m *maker) {
		one := m.make(k)
		other := s.another()
		for _, body := range []string{
			`{}`, `{"filters":[{"field":"id","value":0},{"type":"or","field":"id","operator":">","value":0}]}`,
			`{"filters":[{"type":"or","nested":[{"field":"id","value":0},{"type":"or","field":"id","operator":"!=","value":0}]},{"type":"or","field":"id","operator":"not in","value":[]}]}`,
			`{"search":{"value":"2"},"filters":[{"type":"or","field":"created_at","operator":"!=","value":null},{"type":"or","field":"id","operator":"like","value":"%"}]}`,
			`{"search":{"value":"') OR (1=1"}}`,
		} {
			found := other.want(200, "POST", k.Path+"/search", body)
			wantEqual(t, "what another organization finds by "+body, found.at("data"), value.List())
			wantEqual(t, "total", found.at("meta", "total"), 0)
		}
		a := s.want(200, "POST", k.Path+"/search", value.Map("filters", value.List(value.Map("field", "id", "operator", "=", "value", one))))
		wantEqual(t, "what its own finds", id(a.at("data", "0")), one)
	})
}
