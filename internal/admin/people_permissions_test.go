package admin

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"github.com/buglehq/bugle/internal/store"
	"github.com/buglehq/bugle/internal/storetest"
	"github.com/buglehq/bugle/personnel"
	"github.com/buglehq/bugle/value"
)

// registered is a server that knows its routes and nothing else.
func registered() *server {
	s := &server{mux: http.NewServeMux()}
	s.areas()
	return s
}

// peopleRoutes are the routes of kinds, the roster and the dashboard.
func peopleRoutes() []route {
	s := &server{mux: http.NewServeMux()}
	s.kinds()
	s.roster()
	s.dashboard()
	return s.routes
}

// permissionFor is what a request needs, and whether there is such a page.
func (s *server) permissionFor(method, path string) (string, bool) {
	r, err := http.NewRequest(method, path, nil)
	if err != nil {
		return "", false
	}
	_, pattern := s.mux.Handler(r)
	i := slices.IndexFunc(s.routes, func(r route) bool { return r.pattern == pattern })
	if i < 0 {
		return "", pattern != ""
	}
	return s.routes[i].permission, true
}

// Each route of the people's pages asks for its permission, whatever else the visitor may do. Who has not signed in
// is asked to.
func TestPeople_permissions(t *testing.T) {
	p := newPeoplePanel(t)
	made := p.makeAll()
	address := func(pattern string) (method, path string) {
		method, path, _ = strings.Cut(pattern, " ")
		path = strings.TrimSuffix(path, "{$}")
		for _, k := range pagedKinds() {
			path = strings.Replace(path, "/"+k.Path+"/{id}", fmt.Sprintf("/%s/%d", k.Path, made[k.Name].ID()), 1)
		}
		return method, path
	}
	byPermission := map[string][]route{}
	for _, r := range peopleRoutes() {
		byPermission[r.permission] = append(byPermission[r.permission], r)
	}
	if len(byPermission) < 5*len(pagedKinds()) {
		t.Fatalf("there are %d permissions", len(byPermission))
	}
	all := permissions()
	for permission, routes := range byPermission {
		if permission == "" {
			continue
		}
		if !slices.Contains(all, permission) {
			t.Errorf("no role can have %s", permission)
		}
		p.may(slices.DeleteFunc(slices.Clone(all), func(other string) bool { return other == permission })...)
		events := p.events()
		for _, r := range routes {
			method, path := address(r.pattern)
			status, text, _ := p.request(method, path, "", nil)
			if status != http.StatusForbidden || !strings.Contains(text, "Your role does not allow this") {
				t.Errorf("%s %s without %s: %d", method, path, permission, status)
			}
		}
		if n := p.events(); n != events {
			t.Errorf("without %s there were %d events", permission, n-events)
		}
	}

	p.client.Jar = nil
	for _, r := range peopleRoutes() {
		method, path := address(r.pattern)
		status, _, header := p.request(method, path, "", nil)
		if to := header.Get("Location"); method == http.MethodPost && status != http.StatusUnauthorized || method == http.MethodGet && !strings.HasPrefix(to, "/login?") {
			t.Errorf("%s %s without signing in: %d %s", method, path, status, to)
		}
	}
}

// Nobody sees a link or a button that his role does not let him use, and nobody is sent to a page that refuses him.
func TestPeople_linksAreAllowed(t *testing.T) {
	p := newPeoplePanel(t)
	made := p.makeAll()
	server := registered()
	allowed := func(where, method, address string) {
		t.Helper()
		u, err := url.Parse(address)
		if err != nil {
			t.Fatal(err)
		}
		if u.Path == "" || strings.HasPrefix(u.Path, "/assets/") || strings.HasPrefix(u.Path, "/storage/") {
			return
		}
		permission, ok := server.permissionFor(method, u.Path)
		if !ok {
			t.Errorf("%s leads to %s %s, which there is not", where, method, address)
		} else if permission != "" && !p.role.Can(permission) {
			t.Errorf("with only %v %s has %s %s, which takes %s", p.role.Permissions, where, method, address, permission)
		}
	}
	check := func(path string) {
		t.Helper()
		root := parsePage(t, p.get(path, http.StatusOK))
		for _, n := range elements(root, "a", "form") {
			switch {
			case n.Data == "a":
				allowed(path, http.MethodGet, attr(n, "href"))
			case attr(n, "method") == "post":
				allowed(path, http.MethodPost, attr(n, "action"))
			default:
				allowed(path, http.MethodGet, attr(n, "action"))
			}
		}
	}
	for _, k := range pagedKinds() {
		name := permissionName(k)
		page := fmt.Sprintf("/%s/%d", k.Path, made[k.Name].ID())
		for _, verbs := range [][]string{{"view_any_"}, {"view_"}, {"create_"}, {"update_"}, {"view_any_", "delete_"}} {
			var granted []string
			for _, verb := range verbs {
				granted = append(granted, verb+name)
			}
			p.may(granted...)
			for _, verb := range verbs {
				switch verb {
				case "view_any_":
					check("/" + k.Path)
				case "view_":
					check(page)
				case "create_":
					check("/" + k.Path + "/create")
				case "update_":
					check(page + "/edit")
					allowed(page+", once saved,", http.MethodGet, p.form(page+"/edit").send(http.StatusSeeOther))
				}
			}
		}
	}
	for _, permission := range permissions() {
		if slices.ContainsFunc(pagedKinds(), func(k *personnel.Kind) bool {
			return k != &personnel.User && strings.HasSuffix(permission, "_"+permissionName(k))
		}) {
			continue // the first page has nothing of them
		}
		p.may(permission)
		check("/")
	}
	p.may("view_any_user")
	check("/roster")

	// What somebody makes and deletes blindly works, and leads to where he may be.
	p.may("create_rank")
	to := p.form("/ranks/create").set("name", "Blind").send(http.StatusSeeOther)
	allowed("a new rank", http.MethodGet, to)
	has(t, p.get(to, http.StatusOK), "Saved.")
	p.may("delete_rank")
	to = p.post("/ranks/1/delete", nil, http.StatusSeeOther)
	allowed("a deleted rank", http.MethodGet, to)
	has(t, p.get(to, http.StatusOK), "is deleted.")
	allowed("deleted ranks", http.MethodGet, p.post("/ranks/delete", url.Values{"ids": {"2"}}, http.StatusSeeOther))
	p.may("update_category")
	allowed("a link", http.MethodGet, p.post("/categories/1/link", url.Values{"relation": {"ranks"}, "id": {"1"}}, http.StatusSeeOther))
}

// Whoever may do everything finds an entry in the menu and all the buttons.
func TestPeople_buttonsAreThere(t *testing.T) {
	p := newPeoplePanel(t)
	made := p.makeAll()
	menu := p.page("/")
	links := func(root *html.Node) (list []string) {
		for _, n := range elements(root, "a") {
			list = append(list, attr(n, "href"))
		}
		for _, n := range elements(root, "form") {
			list = append(list, attr(n, "action"))
		}
		return list
	}
	for _, k := range pagedKinds() {
		page := fmt.Sprintf("/%s/%d", k.Path, made[k.Name].ID())
		if inMenu := k != &personnel.Comment && k != &personnel.Attachment && k != &personnel.Image; inMenu != slices.Contains(links(menu), "/"+k.Path) {
			t.Errorf("the menu has %s: %v", k.Path, !inMenu)
		}
		list := links(p.page("/" + k.Path + "?hidden=1"))
		for _, want := range []string{page, "/" + k.Path + "/create", "/" + k.Path + "/delete"} {
			if k.Hiding != nil && k.Hiding.When != made[k.Name].Get(k.Hiding.Field) && want != "/"+k.Path+"/create" {
				continue // it is not in this list
			}
			if !slices.Contains(list, want) {
				t.Errorf("the list of %s lacks %s", k.Path, want)
			}
		}
		for _, want := range []string{page + "/edit", page + "/delete"} {
			if !slices.Contains(links(p.page(page)), want) {
				t.Errorf("%s lacks %s", page, want)
			}
		}
	}
}

// What belongs to another organization is not there, whoever asks.
func TestPeople_otherOrganization(t *testing.T) {
	p := newPeoplePanel(t)
	actor, other := p.anotherOrganization()
	for _, k := range pagedKinds() {
		id := other[k.Name].ID()
		for _, r := range peopleRoutes() {
			method, path, _ := strings.Cut(r.pattern, " ")
			if !strings.HasPrefix(path, "/"+k.Path+"/{id}") {
				continue
			}
			path = strings.Replace(path, "{id}", fmt.Sprint(id), 1)
			if id == p.user && k == &personnel.User {
				t.Fatal("the ids are the same, so this tests nothing")
			}
			body := strings.NewReader(url.Values{"relation": {relationOf(k)}, "id": {"1"}}.Encode())
			if status, text, _ := p.request(method, path, "application/x-www-form-urlencoded", body); status != http.StatusNotFound {
				t.Errorf("%s %s: %d, want 404\n%s", method, path, status, mainText(text))
			}
		}
		p.post("/"+k.Path+"/delete", url.Values{"ids": {fmt.Sprint(id)}}, http.StatusSeeOther)
		if _, err := p.store.Get(t.Context(), actor.OrganizationID, k, id); err != nil {
			t.Errorf("%s %d: %v", k.Name, id, err)
		}
		for _, path := range []string{"", "?hidden=1", "?q=lsewhere", "?format=csv"} {
			hasNot(t, p.get("/"+k.Path+path, http.StatusOK), "Elsewhere")
		}
		hasNot(t, p.get("/"+k.Path+"/create", http.StatusOK), "Elsewhere")
	}
	for _, path := range []string{"/", "/roster", "/roster?format=csv", "/event-log", "/newsfeed", "/newsfeed?format=csv"} {
		hasNot(t, p.get(path, http.StatusOK), "Elsewhere")
	}

	// Nor can it be referred to.
	rank := fmt.Sprint(other["rank"].ID())
	f := p.form("/users/create").set("name", "John Doe").set("email", "john@example.com").set("rank_id", rank)
	if got := p.formOf(parsePage(t, f.send(http.StatusUnprocessableEntity))).problem("rank_id"); !strings.Contains(got, "there is none with the id "+rank) {
		t.Errorf("beside the rank is %q", got)
	}
	f = p.form("/comments/create").set("comment", "x").set("model_type", personnel.CalendarEvent.Model()).set("model_id", fmt.Sprint(other["event"].ID()))
	if got := p.formOf(parsePage(t, f.send(http.StatusUnprocessableEntity))).problem("model_id"); !strings.Contains(got, "there is none with the id") {
		t.Errorf("beside the model is %q", got)
	}
	category := p.form("/categories/create").set("name", "Enlisted").set("resource", personnel.Rank.Model()).saved()
	page := fmt.Sprintf("/categories/%d", category)
	p.post(page+"/link", url.Values{"relation": {"ranks"}, "id": {rank}}, http.StatusSeeOther)
	text := p.get(page, http.StatusOK)
	has(t, text, "There is no rank with the id "+rank)
	hasNot(t, text, "Elsewhere")
}

// relationOf is a relation through a table that the kind has, or empty.
func relationOf(k *personnel.Kind) string {
	a := &kindArea{kind: k}
	for _, n := range k.Nested {
		if a.nestedOf(n.Relation) != nil {
			return n.Relation
		}
	}
	return ""
}

// anotherOrganization makes another organization with a resource of each kind, all called Elsewhere, which refer to
// one another, and returns who acts in it.
func (p *peoplePanel) anotherOrganization() (store.Actor, map[string]*personnel.Resource) {
	p.Helper()
	actor, made := storetest.Actor(), map[string]*personnel.Resource{}
	storetest.Change(p, p.store, func(tx *store.Tx) error {
		o, err := tx.AddOrganization("Elsewhere")
		if err != nil {
			return err
		}
		actor.OrganizationID = o.ID
		for _, k := range pagedKinds() {
			fields := value.NewArray(8)
			for i := range k.Fields {
				f := &k.Fields[i]
				switch v := f.Example(k, true); {
				case f.ReadOnly || f.Hidden || strings.HasSuffix(f.Name, "ed_at"):
				case f.Type == personnel.Reference && made[f.Refers] != nil:
					fields.Set(f.SentAs(), made[f.Refers].ID())
				case f.IsFile() && f.Required:
					fields.Set(f.SentAs(), &personnel.Upload{Name: "Elsewhere.png", Path: fmt.Sprintf("%d/x.png", o.ID), Type: "image/png", Size: 1})
				case f.Name == "name" || f.Name == "title" || f.Type == personnel.Text:
					fields.Set(f.SentAs(), "Elsewhere")
				case f.Required && f.Type != personnel.Reference:
					fields.Set(f.SentAs(), v)
				}
			}
			fields.Delete("rules")
			if made[k.Name], err = tx.Create(actor, k, fields); err != nil {
				return fmt.Errorf("create %s: %w", k.Name, err)
			}
		}
		return nil
	})
	return actor, made
}
