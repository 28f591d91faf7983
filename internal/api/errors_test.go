package api_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jonboulle/clockwork"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/internal/store"
	"github.com/buglehq/bugle/internal/storetest"
)

func TestPaths_unknown(t *testing.T) {
	s := newServer(t)
	bearer := []string{"Authorization", "Bearer " + s.key}
	for _, path := range []string{
		"/", "/v2", "/v2/", "/users", "/v", "/version", "/v2x/users", "/V2/users", "/v2/Users", "/v2/user", "/v2/users/", "/v2/users/1/", "/v2//users",
		"/v2/users/1/ranks", "/v2/users/1/fields/attach/1", "/v2/unit-slots", "/v2/schedules", "/v2/users/../ranks", "/v2/webhooks/1/explode", "/health/1",
		"/v2/users/batch/1", "/v2/users%2F1%2F2",
	} {
		for _, method := range []string{"GET", "POST", "DELETE"} {
			a := s.send(method, path, nil, bearer...)
			a.wantNotFound(t)
			s.send(method, path, nil).wantNotFound(t)
		}
	}
	for _, path := range []string{"/v3/users", "/v0/users", "/v10", "/v3/no/such/path"} {
		version, _, _ := strings.Cut(path[1:], "/")
		s.send("GET", path, nil, bearer...).wantError(t, 400, "HttpException", "The API version "+version+" is not valid. Valid versions are v1 and v2.")
	}
}

func TestPaths_idsThatAreNone(t *testing.T) {
	s := newServer(t)
	collections := []string{"webhooks"}
	for _, k := range served() {
		collections = append(collections, k.Path)
	}
	for _, path := range collections {
		for _, id := range []string{"1", "999999", "0", "-1", "abc", "1.5", "1e3", "9223372036854775808", "%20", "1%00", "null"} {
			for _, method := range []string{"GET", "PUT", "PATCH", "DELETE"} {
				s.do(method, path+"/"+id, nil).wantNotFound(t)
			}
		}
	}
	for _, action := range []string{
		"GET deliveries/%", "POST deliveries/%/redeliver", "POST deliveries/%/cancel", "GET webhooks/%/secret", "POST webhooks/%/rotate-secret",
		"POST webhooks/%/test", "POST webhooks/%/pause", "POST webhooks/%/resume", "POST webhooks/%/enable", "POST webhooks/%/disable",
	} {
		for _, id := range []string{"1", "0", "abc"} {
			method, path, _ := strings.Cut(action, " ")
			s.do(method, strings.Replace(path, "%", id, 1), nil).wantNotFound(t)
		}
	}
}

func TestMethods_wrong(t *testing.T) {
	s := newServer(t)
	for _, test := range []struct{ method, path, allow string }{
		{"PUT", "users", "GET, HEAD, POST"},
		{"DELETE", "ranks", "GET, HEAD, POST"},
		{"POST", "users/1", "GET, HEAD, PUT, PATCH, DELETE"},
		{"GET", "users/batch", "POST, PATCH, DELETE"},
		{"PUT", "users/batch", "POST, PATCH, DELETE"},
		{"GET", "users/1/fields/attach", "POST"},
		{"POST", "forms/1/fields/detach", "DELETE"},
		{"GET", "webhooks/1/test", "POST"},
		{"POST", "webhooks/1/secret", "GET, HEAD"},
		{"POST", "deliveries", "GET, HEAD"},
		{"DELETE", "deliveries/1", "GET, HEAD"},
		{"HEAD", "deliveries/1/cancel", "POST"},
		{"TRACE", "users", "GET, HEAD, POST"},
	} {
		a := s.do(test.method, test.path, nil)
		if got := a.header.Get("Allow"); got != test.allow {
			t.Errorf("%s %s: Allow is %q, want %q", test.method, test.path, got, test.allow)
		}
		if test.method == "HEAD" {
			a.wantStatus(t, 405)
			continue
		}
		a.wantError(t, 405, "MethodNotAllowedHttpException",
			"The "+test.method+" method is not supported for this route. Supported methods: "+test.allow+".")
	}
}

func TestBodies_thatAreNoObject(t *testing.T) {
	s := newServer(t)
	for _, test := range []struct {
		body, media, message string
		status               int
		kind                 string
	}{
		{body: `{"name":`, status: 400, kind: "HttpException", message: "The request body is invalid JSON at line 1, column 9: unexpected end, want a value."},
		{body: `{'name':1}`, status: 400, kind: "HttpException"},
		{body: "\xff", status: 400, kind: "HttpException"},
		{body: `{"name":"\xff"}`, status: 400, kind: "HttpException"},
		{body: `{} {}`, status: 400, kind: "HttpException"},
		{body: `5`, status: 400, kind: "HttpException", message: "The request body must be a JSON object, not 5."},
		{body: `null`, status: 400, kind: "HttpException", message: "The request body must be a JSON object, not null."},
		{body: `"text"`, status: 400, kind: "HttpException", message: `The request body must be a JSON object, not "text".`},
		{body: `[{}]`, status: 400, kind: "HttpException", message: "The request body must be a JSON object, not a list of 1 item."},
		{body: `{"name":` + strings.Repeat("[", 600) + strings.Repeat("]", 600) + `}`, status: 400, kind: "HttpException"},
		{body: `{"name":"` + strings.Repeat("x", 1<<20) + `"}`, status: 413, kind: "PostTooLargeException", message: "The request body is longer than 1048576 bytes."},
	} {
		if test.media == "" {
			test.media = "application/json"
		}
		for _, request := range []string{"POST users", "POST users/batch", "PUT users/1", "DELETE users/batch", "POST webhooks", "POST webhooks/1/test", "POST webhooks/1/rotate-secret"} {
			method, path, _ := strings.Cut(request, " ")
			a := s.send(method, "/v2/"+path, test.body, "Authorization", "Bearer "+s.key, "Content-Type", test.media)
			a.wantError(t, test.status, test.kind, test.message)
		}
	}
	// JSON is read whatever it is announced as.
	for i, media := range []string{"application/x-www-form-urlencoded", "text/plain", "", "application/json; charset=utf-8", "nonsense/;;"} {
		s.send("POST", "/v2/users", `{"name":"Jane","email":"jane`+strconv.Itoa(i)+`@example.com"}`,
			"Authorization", "Bearer "+s.key, "Content-Type", media).wantStatus(t, 201)
	}
}

// What is accepted can be shown, listed and sent, however deeply it is nested.
func TestBodies_deeplyNested(t *testing.T) {
	s := newServer(t)
	hook := s.watch()
	accepted := 0
	for levels := 470; levels < 512; levels++ {
		deep := strings.Repeat("[", levels) + strings.Repeat("]", levels)
		a := s.do("POST", "fields", `{"name":"Deep","key":"deep_`+strconv.Itoa(levels)+`","type":"select","options":`+deep+`}`)
		b := s.do("POST", "webhooks/"+strconv.FormatInt(hook.ID, 10)+"/test", `{"payload":`+deep+`}`)
		if (a.status != 201 || b.status != 202) && (a.status != 400 || b.status != 400) {
			t.Fatalf("%d levels: status %d and %d, want 201 and 202, or 400 for both\n%s\n%s", levels, a.status, b.status, a.text, b.text)
		}
		if a.status == 201 {
			accepted++
			s.want(200, "GET", "deliveries/"+strconv.FormatInt(id(b.at("data")), 10), nil)
		}
	}
	if accepted == 0 {
		t.Error("none was accepted")
	}
	s.want(200, "GET", "fields", nil)
	s.want(200, "GET", "deliveries", nil)
}

func TestKeys(t *testing.T) {
	s := newServer(t)
	expiring := s.addKey(bugle.APIKey{Scopes: []string{"*"}, ExpiresAt: storetest.Start.Add(time.Minute)})
	revoked := s.addKey(bugle.APIKey{Scopes: []string{"*"}})
	keys, err := s.store.Keys(context.Background(), 10)
	if err != nil {
		t.Fatal(err)
	}
	storetest.Change(t, s.store, func(tx *store.Tx) error { return tx.RevokeKey(keys[len(keys)-1].ID, tx.Now()) })
	s.clock.Advance(time.Minute)
	for _, test := range []struct {
		name, path string
		headers    []string
		ok         bool
	}{
		{name: "bearer", headers: []string{"Authorization", "Bearer " + s.key}, ok: true},
		{name: "the scheme in lower case", headers: []string{"Authorization", "bearer  " + s.key}, ok: true},
		{name: "apikey", path: "?apikey=" + s.key, ok: true},
		{name: "apikey and a wrong bearer", path: "?apikey=" + s.key, headers: []string{"Authorization", "Bearer wrong"}},
		{name: "a bearer and a wrong apikey", path: "?apikey=wrong", headers: []string{"Authorization", "Bearer " + s.key}, ok: true},
		{name: "apikey and another scheme", path: "?apikey=" + s.key, headers: []string{"Authorization", "Basic eDp5"}, ok: true},
		{name: "apikey and an empty bearer", path: "?apikey=" + s.key, headers: []string{"Authorization", "Bearer "}, ok: true},
		{name: "nothing"},
		{name: "no scheme", headers: []string{"Authorization", s.key}},
		{name: "another scheme", headers: []string{"Authorization", "Basic " + s.key}},
		{name: "a key that is none", headers: []string{"Authorization", "Bearer " + bugle.NewKeyText()}},
		{name: "part of a key", headers: []string{"Authorization", "Bearer " + s.key[:len(s.key)-1]}},
		{name: "another letter case", headers: []string{"Authorization", "Bearer " + strings.ToLower(s.key)}},
		{name: "expired", headers: []string{"Authorization", "Bearer " + expiring}},
		{name: "expired apikey", path: "?apikey=" + expiring},
		{name: "revoked", headers: []string{"Authorization", "Bearer " + revoked}},
	} {
		for _, path := range []string{"/v2/users", "/v1/users", "/v2/users/1", "/v2/webhooks", "/v2/deliveries"} {
			a := s.send("GET", path+test.path, nil, test.headers...)
			if ok := a.status == 200 || a.status == 404; ok != test.ok {
				t.Errorf("%s: status %d for %s", test.name, a.status, path)
			}
			if !test.ok {
				a.wantUnauthenticated(t)
			}
		}
	}
	s.send("DELETE", "/v2/users/batch", `{"resources":[1]}`).wantUnauthenticated(t)
}

func TestKeys_expireOnTime(t *testing.T) {
	s := newServer(t)
	s.key = s.addKey(bugle.APIKey{Scopes: []string{"*"}, ExpiresAt: storetest.Start.Add(time.Minute)})
	s.clock.Advance(time.Minute - time.Microsecond)
	s.want(200, "GET", "users", nil)
	s.clock.Advance(time.Microsecond)
	s.do("GET", "users", nil).wantUnauthenticated(t)
}

// With one organization X-Perscom-Id says nothing; with two it must be the key's.
func TestTenant(t *testing.T) {
	s := newServer(t)
	status := func(key, id string) int {
		return s.send("GET", "/v2/users", nil, "Authorization", "Bearer "+key, "X-Perscom-Id", id).status
	}
	for _, id := range []string{"1", "2", "99", "abc"} {
		if got := status(s.key, id); got != 200 {
			t.Errorf("one organization, X-Perscom-Id %s: status %d, want 200", id, got)
		}
	}
	second := s.another()
	for _, test := range []struct {
		key, id string
		want    int
	}{
		{s.key, "1", 200}, {s.key, "", 200}, {s.key, "2", 401}, {s.key, "99", 401}, {s.key, "abc", 401},
		{second.key, strconv.FormatInt(second.org, 10), 200}, {second.key, "", 200}, {second.key, "1", 401},
	} {
		if got := status(test.key, test.id); got != test.want {
			t.Errorf("two organizations, X-Perscom-Id %q: status %d, want %d", test.id, got, test.want)
		}
	}
	s.send("GET", "/v2/users", nil, "Authorization", "Bearer "+s.key, "X-Perscom-Id", "2").wantUnauthenticated(t)
}

// Each method needs its own scope of its own collection, and no other will do.
func TestScopes(t *testing.T) {
	type need struct{ method, path, scope string }
	verbs := func(path, name string) []need {
		return []need{
			{"GET", path, "view:" + name}, {"GET", path + "/1", "view:" + name}, {"HEAD", path, "view:" + name}, {"POST", path, "create:" + name},
			{"PUT", path + "/1", "update:" + name}, {"PATCH", path + "/1", "update:" + name}, {"DELETE", path + "/1", "delete:" + name},
			{"POST", path + "/batch", "create:" + name}, {"PATCH", path + "/batch", "update:" + name}, {"DELETE", path + "/batch", "delete:" + name},
		}
	}
	needs := verbs("webhooks", "webhook")
	for _, k := range served() {
		if k.Listed {
			needs = append(needs, need{"GET", k.Path, "view:" + k.Name})
			continue
		}
		needs = append(needs, verbs(k.Path, k.Name)...)
		for _, rel := range k.Relations {
			if rel.Pivot != nil && rel.Name == "fields" {
				needs = append(needs, need{"POST", k.Path + "/1/" + rel.Name + "/attach", "update:" + k.Name},
					need{"DELETE", k.Path + "/1/" + rel.Name + "/detach", "update:" + k.Name})
			}
		}
	}
	for _, action := range []string{"test", "rotate-secret", "pause", "resume", "enable", "disable"} {
		needs = append(needs, need{"POST", "webhooks/1/" + action, "update:webhook"})
	}
	needs = append(needs, need{"GET", "webhooks/1/secret", "update:webhook"},
		need{"GET", "deliveries", "view:delivery"}, need{"GET", "deliveries/1", "view:delivery"},
		need{"POST", "deliveries/1/redeliver", "update:delivery"}, need{"POST", "deliveries/1/cancel", "update:delivery"})

	s := newServer(t)
	all := map[string]bool{}
	for _, n := range needs {
		all[n.scope] = true
	}
	only, without := map[string]*server{}, map[string]*server{}
	for scope := range all {
		var others []string
		for other := range all {
			if other != scope {
				others = append(others, other)
			}
		}
		only[scope], without[scope] = s.scoped(scope), s.scoped(others...)
	}
	none, partial := s.scoped(), s.scoped("view", "view:*", "*:user", "View:user", "view:users", "view:rank-record")
	for _, n := range needs {
		if a := only[n.scope].do(n.method, n.path, nil); a.status == 401 || a.status == 403 || a.status >= 500 {
			t.Errorf("%s %s with %s: status %d", n.method, n.path, n.scope, a.status)
		}
		for _, lacking := range []*server{without[n.scope], none, partial} {
			a := lacking.do(n.method, n.path, nil)
			if n.method == "HEAD" {
				a.wantStatus(t, 403)
				continue
			}
			a.wantForbidden(t)
		}
		if t.Failed() {
			t.Fatalf("%s %s needs %s", n.method, n.path, n.scope)
		}
	}
}

func TestHealth(t *testing.T) {
	s := newServer(t)
	a := s.send("GET", "/health", nil)
	if a.status != 204 || a.text != "" {
		t.Errorf("GET /health: status %d and %q, want 204 and nothing", a.status, a.text)
	}
	a.wantIDs(t)
	a = s.send("GET", "/readyz", nil)
	a.wantStatus(t, 200)
	wantEqual(t, "status", a.at("status"), "ok")
	storetest.Change(t, s.store, func(tx *store.Tx) error { return tx.HoldSending("a drill") })
	a = s.send("GET", "/readyz", nil)
	a.wantStatus(t, 200)
	wantEqual(t, "status", a.at("status"), "ok, but sending is held")
	s.send("HEAD", "/health", nil).wantStatus(t, 204)
}

// What is wrong on our side is logged with what finds the request, and the client learns no more
// than that.
func TestServerError(t *testing.T) {
	path, clock := filepath.Join(t.TempDir(), "bugle.db"), clockwork.NewFakeClockAt(storetest.Start)
	db := storetest.Open(t, "sqlite:"+path, store.Options{Clock: clock})
	if _, err := db.EnsureOrganization(t.Context(), "1st Test Battalion"); err != nil {
		t.Fatal(err)
	}
	s := serve(t, db, clock)
	file, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	_, err = file.Exec("DROP TABLE ranks")
	if err := errors.Join(err, file.Close()); err != nil {
		t.Fatal(err)
	}
	for _, request := range []string{"GET ranks", "GET ranks/1", "POST ranks", "DELETE ranks/batch"} {
		method, path, _ := strings.Cut(request, " ")
		a := s.do(method, path, `{"name":"Private","resources":[1]}`)
		a.wantError(t, 500, "Exception", "The server encountered an error while processing the request. Please try again.")
		for _, want := range []string{"request failed", "method=" + method, "path=/" + path, "request_id=" + a.header.Get("X-Perscom-Request-Id"), "no such table: ranks"} {
			if !strings.Contains(s.log.String(), want) {
				t.Errorf("%s: %q is not in the log:\n%s", request, want, s.log)
			}
		}
	}
	s.want(200, "GET", "awards", nil)
}

// A disk that is full is an answer of its own, and nothing is changed.
func TestNoRoom(t *testing.T) {
	if storetest.OnPostgres() {
		t.Skip("a file of SQLite can be kept from growing")
	}
	s := newServer(t)
	grow := func(pages int) {
		storetest.Change(t, s.store, func(tx *store.Tx) error {
			rows, err := tx.QueryContext(t.Context(), fmt.Sprintf("PRAGMA max_page_count=%d", pages))
			if err == nil {
				err = rows.Close()
			}
			return err
		})
	}
	grow(1) // is as many as there are
	body := `{"name":"Private","description":"` + strings.Repeat("x", 60_000) + `"}`
	for range 2 {
		s.do("POST", "ranks", body).wantError(t, 507, "HttpException", noRoom)
	}
	s.want(200, "GET", "ranks", nil)
	if !strings.Contains(s.log.String(), "request failed") {
		t.Errorf("the disk that is full is not in the log:\n%s", s.log)
	}
	grow(1 << 20)
	if a := s.do("POST", "ranks", body); a.status != 201 || strings.Count(s.do("GET", "ranks", nil).text, `"Private"`) != 1 {
		t.Errorf("with room again the answer is %d, want 201 and one rank:\n%s", a.status, a.text)
	}
}

// A server whose database is closed says so, and that this passes, rather than that it broke.
func TestClosedStore(t *testing.T) {
	s := newServer(t)
	s.watch()
	if err := s.store.Close(); err != nil {
		t.Fatal(err)
	}
	a := s.send("GET", "/readyz", nil)
	a.wantStatus(t, http.StatusServiceUnavailable)
	wantEqual(t, "status", a.at("status"), "not ready")
	if want := `{"check":"database","reason":"the database cannot be read"}`; !strings.Contains(a.text, want) {
		t.Errorf("the answer is %s, want %s in it", a.text, want)
	}
	s.send("GET", "/health", nil).wantStatus(t, 204)
	for _, request := range []string{"GET users", "GET users/1", "POST users", "DELETE ranks/1", "GET webhooks", "POST webhooks/1/pause", "GET deliveries/1"} {
		method, path, _ := strings.Cut(request, " ")
		s.do(method, path, nil).wantError(t, 503, "HttpException", maintenance)
	}
}
