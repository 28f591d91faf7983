package api_test

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/internal/api"
	"github.com/buglehq/bugle/internal/storetest"
	"github.com/buglehq/bugle/personnel"
)

func limited(o *api.Options) { o.KeyLimit, o.GuestLimit = 5, 3 }

func (a *answer) wantLimit(t *testing.T, limit, remaining int) {
	t.Helper()
	if got, want := a.header.Get("X-RateLimit-Limit")+" "+a.header.Get("X-RateLimit-Remaining"), strconv.Itoa(limit)+" "+strconv.Itoa(remaining); got != want {
		t.Errorf("limit and remaining are %q, want %q", got, want)
	}
}

func (a *answer) wantThrottled(t *testing.T, seconds int) {
	t.Helper()
	a.wantError(t, 429, "ThrottleRequestsException", rateExceeded)
	if got := a.header.Get("Retry-After"); got != strconv.Itoa(seconds) {
		t.Errorf("Retry-After is %q, want %d", got, seconds)
	}
	reset := storetest.Start.Truncate(time.Minute).Add(time.Minute)
	if got := a.header.Get("X-RateLimit-Reset"); got != strconv.FormatInt(reset.Unix(), 10) {
		t.Errorf("X-RateLimit-Reset is %q, want %d", got, reset.Unix())
	}
}

// Every answer counts and says so, whether it is a success or an error.
func TestRateLimit_ofAKey(t *testing.T) {
	s := newServer(t, limited)
	for i, request := range []struct {
		method, path string
		status       int
	}{{"GET", "users", 200}, {"GET", "users/1", 404}, {"POST", "users", 422}, {"PUT", "users", 405}, {"GET", "no/such/path", 404}} {
		a := s.want(request.status, request.method, request.path, nil)
		a.wantLimit(t, 5, 4-i)
		if a.header.Get("Retry-After") != "" || a.header.Get("X-RateLimit-Reset") != "" {
			t.Errorf("%s %s has Retry-After or X-RateLimit-Reset", request.method, request.path)
		}
	}
	a := s.do("POST", "ranks", `{"name":"Private"}`)
	a.wantThrottled(t, 60)
	a.wantLimit(t, 5, 0)

	another := s.scoped("view:rank")
	a = another.want(200, "GET", "ranks", nil)
	a.wantLimit(t, 5, 4)
	wantEqual(t, "ranks written beyond the limit", a.at("meta", "total"), 0)
	another.want(403, "POST", "ranks", nil).wantLimit(t, 5, 3)

	s.send("GET", "/v2/users", nil).wantLimit(t, 3, 2) // an address without a key counts apart
	s.clock.Advance(59 * time.Second)
	s.do("GET", "users", nil).wantThrottled(t, 1)
	s.clock.Advance(time.Second)
	s.want(200, "GET", "users", nil).wantLimit(t, 5, 4)
}

func TestRateLimit_ofAnAddress(t *testing.T) {
	s := newServer(t, limited)
	expired := s.addKey(bugle.APIKey{Scopes: []string{"*"}, ExpiresAt: storetest.Start})
	for i, headers := range [][]string{nil, {"Authorization", "Bearer wrong"}, {"Authorization", "Bearer " + expired}} {
		a := s.send("GET", "/v2/users", nil, headers...)
		a.wantUnauthenticated(t)
		a.wantLimit(t, 3, 2-i)
	}
	s.send("GET", "/v2/users", nil).wantThrottled(t, 60)
	s.send("GET", "/v2/no/such/path", nil).wantThrottled(t, 60)
	s.send("GET", "/v3/users", nil).wantThrottled(t, 60)
	s.want(200, "GET", "users", nil).wantLimit(t, 5, 4)
	s.send("GET", "/health", nil).wantStatus(t, 204)
	s.clock.Advance(time.Minute)
	s.send("GET", "/v3/users", nil).wantLimit(t, 3, 2)
}

func TestRateLimit_none(t *testing.T) {
	s := newServer(t)
	for range 20 {
		if a := s.want(200, "GET", "users", nil); a.header.Get("X-RateLimit-Limit") != "" {
			t.Fatalf("X-RateLimit-Limit is %q without a limit", a.header.Get("X-RateLimit-Limit"))
		}
	}
}

func TestHeaders_forCaches(t *testing.T) {
	eachKind(t, func(t *testing.T, s *server, k *personnel.Kind, m *maker) {
		one := m.make(k)
		for _, a := range []*answer{
			s.want(200, "GET", k.Path, nil), s.want(200, "GET", path(k, one), nil), s.want(201, "POST", k.Path, m.required(k)),
			s.want(200, "PUT", path(k, one), nil), s.want(200, "PATCH", k.Path+"/batch", `{"resources":{}}`), s.want(200, "DELETE", path(k, one), nil),
		} {
			for name, want := range map[string]string{
				"Cache-Control": "max-age=0, no-store, public", "Surrogate-Control": "max-age=2592000",
				"Vary": "Authorization, X-Perscom-Id", "Content-Type": "application/json", "X-Content-Type-Options": "nosniff",
			} {
				if got := strings.Join(a.header.Values(name), ", "); got != want {
					t.Errorf("%s is %q, want %q", name, got, want)
				}
			}
			a.wantIDs(t)
		}
		for _, request := range []string{"GET " + path(k, one), "POST " + k.Path, "DELETE " + k.Path} {
			method, path, _ := strings.Cut(request, " ")
			if a := s.do(method, path, nil); a.header.Get("Surrogate-Control") != "" || a.header.Get("Surrogate-Key") != "" {
				t.Errorf("the error of %s has headers for caches: %v", request, a.header)
			}
		}
	})
}

// Webhooks and deliveries are nothing for caches.
func TestHeaders_ofTheEngine(t *testing.T) {
	s := newServer(t)
	hook := "webhooks/" + strconv.FormatInt(s.watch().ID, 10)
	s.want(202, "POST", hook+"/test", nil)
	for _, request := range []string{"GET webhooks", "GET " + hook, "PUT " + hook, "GET " + hook + "/secret", "POST " + hook + "/rotate-secret", "POST " + hook + "/pause",
		"POST " + hook + "/test", "GET deliveries", "GET deliveries/1", "POST deliveries/1/redeliver", "POST deliveries/1/cancel"} {
		method, path, _ := strings.Cut(request, " ")
		a := s.do(method, path, nil)
		if a.status >= 300 {
			t.Errorf("%s: status %d", request, a.status)
		}
		if got := a.header.Get("Cache-Control"); got != "no-store" {
			t.Errorf("%s: Cache-Control is %q, want no-store", request, got)
		}
		if a.header.Get("Surrogate-Control") != "" || a.header.Get("Surrogate-Key") != "" {
			t.Errorf("%s has headers for caches", request)
		}
	}
}

// Surrogate-Key names everything that an answer shows.
func TestHeaders_surrogateKeys(t *testing.T) {
	s := newServer(t)
	rank := strconv.FormatInt(id(s.create("ranks", "name", "Sergeant")), 10)
	s.create("ranks", "name", "Private")
	user := strconv.FormatInt(id(s.create("users", "name", "Jane", "email", "jane@example.com", "rank_id", 1)), 10)
	document := strconv.FormatInt(id(s.create("documents", "name", "Citation", "content", "For {user_name}")), 10)
	s.create("combat-records", "user_id", 1, "text", "Operation", "document_id", 1)
	for _, test := range []struct{ method, path, want string }{
		{"GET", "awards", "tenant:1 1:award"},
		{"GET", "ranks", "tenant:1 1:rank 1:rank:1 1:rank:2"},
		{"HEAD", "ranks", "tenant:1 1:rank 1:rank:1 1:rank:2"},
		{"GET", "ranks/" + rank, "tenant:1 1:rank 1:rank:1"},
		{"GET", "users/" + user, "tenant:1 1:user 1:user:1 1:rank 1:rank:1"},
		{"GET", "documents/" + document, "tenant:1 1:document 1:document:1"},
		{"GET", "combat-records", "tenant:1 1:combatrecord 1:combatrecord:1 1:document 1:document:1"},
		{"PUT", "ranks/" + rank, ""},
	} {
		if got := s.want(200, test.method, test.path, nil).header.Get("Surrogate-Key"); got != test.want {
			t.Errorf("%s %s: Surrogate-Key is %q, want %q", test.method, test.path, got, test.want)
		}
	}
	if got := s.another().want(200, "GET", "ranks", nil).header.Get("Surrogate-Key"); got != "tenant:2 2:rank" {
		t.Errorf("Surrogate-Key of another organization is %q", got)
	}
	addRanks(s, 500)
	if n := len(strings.Fields(s.want(200, "GET", "ranks?limit=1000", nil).header.Get("Surrogate-Key"))); n != 200 {
		t.Errorf("Surrogate-Key of a long list has %d keys, want 200", n)
	}
}

func TestHEAD_isGETWithoutTheBody(t *testing.T) {
	s := newServer(t)
	addRanks(s, 3)
	hook := "webhooks/" + strconv.FormatInt(s.watch().ID, 10)
	for _, path := range []string{"ranks", "ranks/1", "ranks/99", "no/such/path", "webhooks", hook, "deliveries", hook + "/secret"} {
		get, head := s.do("GET", path, nil), s.do("HEAD", path, nil)
		if head.status != get.status || head.text != "" {
			t.Errorf("HEAD %s: status %d and %q, want %d and nothing", path, head.status, head.text, get.status)
		}
		for _, name := range []string{"Content-Type", "Content-Length", "Cache-Control", "Surrogate-Key", "Vary"} {
			if got, want := head.header.Get(name), get.header.Get(name); got != want {
				t.Errorf("HEAD %s: %s is %q, want %q", path, name, got, want)
			}
		}
	}
}

func TestCORS(t *testing.T) {
	s := newServer(t)
	const origin = "https://unit.example.com"
	for _, request := range []string{"GET /v2/users", "GET /v2/users/99", "GET /v9/users", "GET /nowhere", "GET /health", "GET /readyz"} {
		method, path, _ := strings.Cut(request, " ")
		a := s.send(method, path, nil, "Origin", origin)
		for name, want := range map[string]string{"Access-Control-Allow-Origin": origin, "Access-Control-Allow-Credentials": "true"} {
			if got := a.header.Get(name); got != want {
				t.Errorf("%s: %s is %q, want %q", request, name, got, want)
			}
		}
		if vary := strings.Join(a.header.Values("Vary"), ", "); !strings.Contains(vary, "Origin") {
			t.Errorf("%s: Vary is %q, want Origin in it", request, vary)
		}
		for _, name := range []string{"X-Perscom-Request-Id", "X-RateLimit-Remaining", "Retry-After"} {
			if exposed := a.header.Get("Access-Control-Expose-Headers"); !strings.Contains(exposed, name) {
				t.Errorf("%s: exposed headers are %q, want %s among them", request, exposed, name)
			}
		}
	}
	vary := strings.Join(s.send("GET", "/v2/users", nil, "Authorization", "Bearer "+s.key, "Origin", origin).header.Values("Vary"), ", ")
	wantEqual(t, "Vary", vary, "Origin, Authorization, X-Perscom-Id")
	if a := s.want(200, "GET", "users", nil); a.header.Get("Access-Control-Allow-Origin") != "" {
		t.Error("an answer to no other origin has Access-Control-Allow-Origin")
	}
}

func TestCORS_preflight(t *testing.T) {
	s := newServer(t, limited)
	for range 10 { // more often than requests are allowed
		a := s.send("OPTIONS", "/v2/users/1", nil, "Origin", "https://unit.example.com",
			"Access-Control-Request-Method", "PUT", "Access-Control-Request-Headers", "authorization, x-perscom-id, content-type")
		if a.status != 204 || a.text != "" {
			t.Fatalf("status %d and %q, want 204 and nothing", a.status, a.text)
		}
		for name, want := range map[string]string{
			"Access-Control-Allow-Origin": "https://unit.example.com", "Access-Control-Allow-Credentials": "true",
			"Access-Control-Allow-Methods": "PUT", "Access-Control-Allow-Headers": "authorization, x-perscom-id, content-type",
		} {
			if got := a.header.Get(name); got != want {
				t.Errorf("%s is %q, want %q", name, got, want)
			}
		}
	}
}

// Without a preflight's headers OPTIONS says what a path can do, to anybody.
func TestOPTIONS(t *testing.T) {
	s := newServer(t)
	for path, allow := range map[string]string{
		"/v2/users": "GET, HEAD, POST", "/v2/users/1": "GET, HEAD, PUT, PATCH, DELETE", "/v2/users/batch": "POST, PATCH, DELETE", "/v1/webhooks/1/test": "POST",
	} {
		a := s.send("OPTIONS", path, nil)
		if a.status != 204 || a.header.Get("Allow") != allow {
			t.Errorf("OPTIONS %s: status %d, Allow %q, want 204 and %q", path, a.status, a.header.Get("Allow"), allow)
		}
	}
	s.send("OPTIONS", "/v2/nothing", nil).wantNotFound(t)
}
