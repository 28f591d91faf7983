package admin

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/buglehq/bugle/internal/storetest"
	"github.com/buglehq/bugle/personnel"
)

// Addresses that are none are answered with 404, in a page like any other.
func TestPeople_unknownAddresses(t *testing.T) {
	p := newPeoplePanel(t)
	p.makeAll()
	paths := []string{"/nothing", "/unit-slots", "/unit-slots/1", "/schedules", "/newsfeed/1", "/newsfeed/create", "/roster/1", "/dashboard", "/dashboard/nothing", "/users.csv", "/Users"}
	for _, id := range []string{"0", "-1", "x", "1x", "1.0", "99999999999999999999", "%00", "create/1", "1/", "1/nothing", "1/edit/", "1/edit/2", "", "delete"} {
		paths = append(paths, "/users/"+id, "/tags/"+id)
	}
	for _, k := range pagedKinds() {
		paths = append(paths, "/"+k.Path+"/99", "/"+k.Path+"/99/edit", "/"+k.Path+"/x")
	}
	for _, path := range paths {
		status, text, _ := p.request(http.MethodGet, path, "", nil)
		if status != http.StatusNotFound || !strings.Contains(text, "There is nothing under this address") || !strings.Contains(text, `id="sidebar"`) {
			t.Errorf("GET %s: %d\n%s", path, status, mainText(text))
		}
	}
	for _, k := range pagedKinds() {
		for _, path := range []string{"/99", "/99/delete", "/99/link", "/99/unlink", "/create"} {
			if status, text, _ := p.request(http.MethodPost, "/"+k.Path+path, "", nil); status != http.StatusNotFound {
				t.Errorf("POST /%s%s: %d\n%s", k.Path, path, status, mainText(text))
			}
		}
	}
}

// A page that takes other methods says so, and which.
func TestPeople_wrongMethods(t *testing.T) {
	p := newPeoplePanel(t)
	p.makeAll()
	server := registered()
	events := p.events()
	seen := map[string]bool{}
	for _, r := range peopleRoutes() {
		_, path, _ := strings.Cut(r.pattern, " ")
		path = strings.NewReplacer("{id}", "1", "{$}", "").Replace(path)
		methods := []string{"GET", "POST", "PUT"}
		if strings.HasPrefix(path, "/users") {
			methods = []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "BREW"}
		}
		if seen[path] {
			continue
		}
		seen[path] = true
		for _, method := range methods {
			if _, ok := server.permissionFor(method, path); ok {
				continue
			}
			status, text, header := p.request(method, path, "", nil)
			if status != http.StatusMethodNotAllowed || method != http.MethodHead && !strings.Contains(text, "This address does not take "+method+" requests.") {
				t.Errorf("%s %s: %d\n%s", method, path, status, mainText(text))
			}
			allowed := strings.Split(header.Get("Allow"), ", ")
			if first, _, _ := strings.Cut(r.pattern, " "); !slices.Contains(allowed, first) || slices.Contains(allowed, method) {
				t.Errorf("%s %s allows %v", method, path, allowed)
			}
		}
	}
	if n := p.events(); n != events {
		t.Errorf("wrong methods made %d events", n-events)
	}
	if status, text, header := p.request(http.MethodHead, "/users", "", nil); status != http.StatusOK || text != "" || !strings.HasPrefix(header.Get("Content-Type"), "text/html") {
		t.Errorf("HEAD /users: %d %q %v", status, text, header)
	}
}

// The first page shows those their work who may do it, and the others that there is nothing for them.
func TestDashboard(t *testing.T) {
	p := newPeoplePanel(t)
	page := p.get("/", http.StatusOK)
	has(t, page, "Hello, Jane Roe.", "First steps", "Add your people", "Latest events", "user.created", fmt.Sprintf(`href="/users/%d"`, p.user), "Nothing was sent in the last 24 hours", "None. What is sent arrives.")
	has(t, p.get("/dashboard/tiles", http.StatusOK), "Requests, 24 hours", `hx-get="/dashboard/tiles"`)

	p.may("view_any_event_log")
	page = p.get("/", http.StatusOK)
	has(t, page, "Latest events", "User 1")
	hasNot(t, page, "First steps", `href="/users`, `href="/event-log/1"`, "Waiting")
	p.may("create_user")
	page = p.get("/", http.StatusOK)
	has(t, page, "Add your people")
	hasNot(t, page, "Create a webhook", "Make an automation", "Latest events")
	storetest.Create(t, p.store, &personnel.User, "name", "John Doe", "email", "john@example.com")
	page = p.get("/", http.StatusOK)
	hasNot(t, page, "First steps")
	has(t, page, "Welcome", "What you may see is in the menu.")
	p.may("view_any_tag")
	has(t, p.get("/", http.StatusOK), "Welcome")
}
