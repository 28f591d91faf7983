package admin

import (
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/buglehq/bugle/internal/storetest"
)

// No script reads the cookie of a session, no form of another site sends it, and nothing but TLS carries it if people come by that.
func TestSessions_cookie(t *testing.T) {
	s, _ := storetest.New(t)
	for address, name := range map[string]string{"https://bugle.example.com": "__Host-bugle_session", "http://127.0.0.1:8080": "bugle_session"} {
		secure := strings.HasPrefix(address, "https://")
		m := newSessions(s, Options{PublicURL: address})
		w, r := httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil)
		m.LoadAndSave(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			m.Put(r.Context(), "account", int64(1))
		})).ServeHTTP(w, r.WithContext(withVisit(r.Context(), &visit{Request: r})))
		cookies := w.Result().Cookies()
		if len(cookies) != 1 {
			t.Fatalf("%s: %d cookies", address, len(cookies))
		}
		if c := cookies[0]; c.Name != name || c.Path != "/" || c.Domain != "" || !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Secure != secure || len(c.Value) < 32 {
			t.Errorf("%s: %s", address, c)
		}
	}
}

// placeholder is a part of a pattern that stands for anything.
var placeholder = regexp.MustCompile(`\{(\w+)\}`)

// address is a request that a route answers: names stand for themselves, everything else is number 1.
func (r route) address() (method, path string) {
	method, path, _ = strings.Cut(strings.TrimSuffix(r.pattern, "{$}"), " ")
	return method, placeholder.ReplaceAllString(path, "1")
}

// ownPages are the routes that ask for no permission: what is one's own, and what asks by itself.
var ownPages = []string{"GET /{$}", "POST /logout", "GET /account", "POST /account", "POST /account/password", "POST /account/unlink", "GET /notifications", "POST /notifications/read",
	"GET /account/second-factor", "POST /account/second-factor/begin", "POST /account/second-factor/confirm", "POST /account/second-factor/codes",
	"POST /account/second-factor/off", "POST /account/sessions/{id}/end", "POST /account/sessions/end-others",
	"POST /automations/preview", "GET /automations/complete", "GET /automations/reference"}

// Each page of the panel is refused to those whose role allows nothing, and leads those to the sign-in who have not
// signed in. A page for everybody is one of those that are known to be.
func TestPanel_permissions(t *testing.T) {
	p := newPeoplePanel(t)
	p.may()
	routes := registered().routes
	for _, r := range routes {
		method, path := r.address()
		if r.permission == "" && !slices.Contains(ownPages, r.pattern) {
			t.Errorf("%s asks for no permission", r.pattern)
		}
		if r.permission == "" && !strings.HasPrefix(path, "/automations") {
			continue
		}
		status, text, _ := p.request(method, path, "", nil)
		if status != http.StatusForbidden {
			t.Errorf("%s to somebody who may do nothing: %d, want 403\n%.300s", r.pattern, status, mainText(text))
		}
	}
	p.client.Jar = nil
	for _, r := range routes {
		method, path := r.address()
		switch status, _, header := p.request(method, path, "", nil); {
		case method == http.MethodGet && status == http.StatusUnauthorized: // what scripts ask for
		case method == http.MethodGet && status == http.StatusSeeOther && strings.HasPrefix(header.Get("Location"), "/login"):
		case method == http.MethodPost && status == http.StatusUnauthorized:
		default:
			t.Errorf("%s without signing in: %d %s", r.pattern, status, header.Get("Location"))
		}
	}
}

// What another site makes a browser send is refused, whatever it is, and nothing comes of it.
func TestPanel_crossSite(t *testing.T) {
	p := newPeoplePanel(t)
	p.may(permissions()...)
	routes := append(registered().routes, route{pattern: "POST /login"}, route{pattern: "POST /welcome/{token}"}, route{pattern: "POST /forgot-password"})
	send := func(path string, header http.Header) int {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, p.url+path, strings.NewReader("name=Mallory&email=mallory%40example.com&do=redeliver"))
		if err != nil {
			t.Fatal(err)
		}
		r.Header = header
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		answer, err := p.client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		return answer.StatusCode
	}
	posts, events := 0, p.events()
	for _, r := range routes {
		method, path := r.address()
		if method != http.MethodPost {
			continue
		}
		posts++
		for name, header := range map[string]http.Header{
			"Sec-Fetch-Site: cross-site": {"Sec-Fetch-Site": {"cross-site"}},
			"Sec-Fetch-Site: same-site":  {"Sec-Fetch-Site": {"same-site"}},
			"Origin of another site":     {"Origin": {"https://evil.example"}},
			"Origin null":                {"Origin": {"null"}},
		} {
			if status := send(path, header); status != http.StatusForbidden {
				t.Errorf("%s with %s: %d, want 403", r.pattern, name, status)
			}
		}
	}
	if n := p.events(); n != events {
		t.Errorf("%d events came of it", n-events)
	}
	if posts < 100 {
		t.Errorf("there are only %d posts", posts)
	}
	if status := send("/users", http.Header{"Sec-Fetch-Site": {"same-origin"}, "Origin": {p.url}}); status != http.StatusSeeOther {
		t.Errorf("the panel's own form: %d, want 303", status)
	}
}
