package admin

import (
	"bufio"
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/internal/store"
	"github.com/buglehq/bugle/internal/storetest"
	"github.com/buglehq/bugle/personnel"
	"github.com/buglehq/bugle/value"
)

// Marks of the organizations: no word of a page.
const (
	ours   = "quartz"
	theirs = "zircon"
)

// tenant makes an organization with at least one of everything, whose user can sign in.
func (p *peoplePanel) tenant(mark string) *storetest.Tenant {
	p.Helper()
	hash, err := webhooksHash()
	if err != nil {
		p.Fatal(err)
	}
	return storetest.AddTenant(p, p.store, mark, hash)
}

// as returns the panel as an organization's user sees it; nil is somebody who has not signed in.
func (p *peoplePanel) as(o *storetest.Tenant) *peoplePanel {
	p.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		p.Fatal(err)
	}
	other := *p
	other.client = &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	if o != nil {
		other.post("/login", url.Values{"email": {o.Mark + "@example.com"}, "password": {webhooksPassword}}, http.StatusSeeOther)
	}
	return &other
}

// kindAt is the kind whose pages a path belongs to, or nil.
func kindAt(path string) *personnel.Kind {
	for _, k := range pagedKinds() {
		if strings.HasPrefix(path+"/", "/"+k.Path+"/") {
			return k
		}
	}
	return nil
}

// named is what each part of a route stands for that begins so, the longest first.
func named(o *storetest.Tenant) []struct {
	prefix string
	id     int64
} {
	return []struct {
		prefix string
		id     int64
	}{
		{"/webhooks/{id}/test/{delivery}", o.Owed},
		{"/webhooks/{id}", o.Webhook},
		{"/webhook-logs/redeliver/{id}", o.Replay},
		{"/webhook-logs/{id}", o.Delivery},
		{"/event-log/{id}", o.Event},
		{"/automations/{id}", o.Automation},
		{"/automation-logs/{id}", o.Run},
		{"/api-keys/{id}", o.Key},
		{"/account/sessions/{id}", o.Session},
		{"/accounts/invitations/{id}", o.Invitation},
		{"/accounts/{id}", o.User()},
		{"/roles/{id}", o.Plain},
	}
}

// of returns the path of a route, filled in with an organization's ids, and whether it has any.
func (r route) of(t *testing.T, o *storetest.Tenant) (method, path string, hasID bool) {
	t.Helper()
	method, path, _ = strings.Cut(strings.TrimSuffix(r.pattern, "{$}"), " ")
	if k := kindAt(path); k != nil {
		hasID = strings.Contains(path, "{id}")
		path = strings.Replace(path, "{id}", fmt.Sprint(o.Resources[k.Name]), 1)
	}
	for _, n := range named(o) {
		if strings.HasPrefix(path, n.prefix) {
			i := strings.LastIndexByte(n.prefix, '{')
			path, hasID = path[:i]+fmt.Sprint(n.id)+path[len(n.prefix):], true
		}
	}
	path = strings.Replace(path, "/channels/{name}", "/channels/slack", 1) // of which each organization has its own
	if strings.ContainsAny(path, "{}") {
		t.Errorf("%s: nothing is known to fill it in with: storetest.Tenant and this test have to learn about it", r.pattern)
	}
	return method, path, hasID
}

// referring are the parameters and fields that name something, by their names, for the pages of a kind or, without one,
// of anything else.
func referring(k *personnel.Kind, o *storetest.Tenant) map[string]int64 {
	all := map[string]int64{}
	if k != nil {
		for i := range k.Fields {
			if f := &k.Fields[i]; f.Type == personnel.Reference {
				all[f.SentAs()] = o.Resources[f.Refers]
			}
		}
		return all
	}
	for _, name := range []string{"webhook", "webhook_id"} {
		all[name] = o.Webhook
	}
	for _, name := range []string{"event", "event_id", "sample"} {
		all[name] = o.Event
	}
	for _, name := range []string{"user", "user_id", "causer", "resource_id", "recipient"} {
		all[name] = o.User()
	}
	for _, name := range []string{"role", "role_id"} {
		all[name] = o.Plain
	}
	all["automation"], all["automation_id"], all["unit_id"], all["before"] = o.Automation, o.Automation, o.Resources["unit"], o.Delivery+1
	return all
}

// fields are a form for a route with everything in it that names something of the organization.
func (r route) fields(o *storetest.Tenant) url.Values {
	_, path, _ := strings.Cut(r.pattern, " ")
	k := kindAt(path)
	form := url.Values{"name": {"Other"}, "do": {"cancel"}, "action": {"delete"}, "email": {"other@example.com"}, "password": {webhooksPassword}, "keep": {"1"}, "code": {"000000"}}
	for name, id := range referring(k, o) {
		form.Set(name, fmt.Sprint(id))
	}
	if k != nil {
		for i := range k.Fields {
			f := &k.Fields[i]
			if f.Required && !form.Has(f.SentAs()) && !f.IsFile() {
				form.Set(f.SentAs(), fmt.Sprint(f.Example(k, true)))
			}
		}
		form["ids"] = []string{fmt.Sprint(o.Resources[k.Name])}
		if strings.HasSuffix(path, "link") {
			relation := relationOf(k)
			form.Set("relation", relation)
			if rel := k.Relation(relation); rel != nil {
				form.Set("id", fmt.Sprint(o.Resources[rel.Kind]))
			}
		}
		return form
	}
	switch {
	case strings.HasPrefix(path, "/webhook-logs"):
		form.Set("id", fmt.Sprint(o.Owed))
	case strings.HasPrefix(path, "/automations"):
		form["ids"] = []string{fmt.Sprint(o.Automation)}
		form.Set("trigger", "rankrecord.created")
		form.Set("action_type", "webhook")
	case strings.HasPrefix(path, "/webhooks"):
		form["ids"] = []string{fmt.Sprint(o.Webhook)}
	}
	return form
}

// ask sends what a route answers to: a form, if it takes one.
func (p *peoplePanel) ask(method, path string, form url.Values) (status int, text string, header http.Header) {
	p.Helper()
	if method == http.MethodGet {
		return p.request(method, path, "", nil)
	}
	return p.request(method, path, "application/x-www-form-urlencoded", strings.NewReader(form.Encode()))
}

// isStream reports whether the answer to a route has no end.
func (r route) isStream() bool { return strings.HasSuffix(r.pattern, "/stream") }

// leaves reports whether somebody is not signed in any more after a post to a route.
func (r route) leaves() bool { return r.pattern == "POST /logout" }

// linksNothing reports whether a route is for relations of a kind that has none which it could be for.
func (r route) linksNothing() bool {
	_, path, _ := strings.Cut(r.pattern, " ")
	k := kindAt(path)
	return k != nil && strings.HasSuffix(path, "link") && relationOf(k) == ""
}

// forAnybody are the pages that need no session; what they show needs a secret in the path.
var forAnybody = []string{"GET /login", "POST /login", "GET /login/code", "POST /login/code", "GET /login/sso", "GET /login/sso/callback", "GET /welcome/{token}", "POST /welcome/{token}",
	"GET /forgot-password", "POST /forgot-password"}

// The walk: each page that the router has, filled in with another organization's ids, is answered as if there were
// nothing, shows nothing of the other, and changes nothing there. A page that cannot be filled in fails the test.
func TestTenants(t *testing.T) {
	p := newPeoplePanel(t)
	a, b := p.tenant(ours), p.tenant(theirs)
	before := b.Rows(t, p.store)
	visitor, guest := p.as(a), p.as(nil)
	all := registered()
	if len(all.routes) < 250 {
		t.Fatalf("the router has only %d pages", len(all.routes))
	}
	if !slices.Equal(all.forAll, forAnybody) {
		t.Errorf("pages for anybody are %q, known are %q", all.forAll, forAnybody)
	}
	shows := func(what, text string, header http.Header) {
		t.Helper()
		whole := strings.ToLower(text + fmt.Sprint(header))
		if at := strings.Index(whole, theirs); at >= 0 {
			t.Errorf("%s shows something of the other organization: … %s", what, whole[max(0, at-200):min(len(whole), at+200)])
		}
	}
	for _, r := range all.routes {
		_, pattern, _ := strings.Cut(r.pattern, " ")
		method, path, hasID := r.of(t, b)
		form := r.fields(b)
		if status, text, header := guest.ask(method, path, form); status != http.StatusUnauthorized && !strings.HasPrefix(header.Get("Location"), "/login") {
			t.Errorf("%s without signing in: %d", r.pattern, status)
		} else {
			shows(r.pattern+" without signing in", text, header)
		}
		if r.isStream() || r.leaves() {
			continue
		}
		status, text, header := visitor.ask(method, path, form)
		shows(r.pattern+" of theirs", text, header)
		switch {
		case status >= 500:
			t.Errorf("%s of theirs: %d", r.pattern, status)
		case hasID && status != http.StatusNotFound && status != http.StatusForbidden:
			t.Errorf("%s of theirs: %d, want 404 or 403\n%.500s", r.pattern, status, mainText(text))
		}
		if method == http.MethodGet {
			for name, id := range referring(kindAt(pattern), b) {
				_, path, _ := r.of(t, a)
				question := path + "?" + url.Values{name: {fmt.Sprint(id)}, "trigger": {"rankrecord.created"}}.Encode()
				status, text, header := visitor.ask(method, question, nil)
				shows("GET "+question, text, header)
				if status >= 500 {
					t.Errorf("GET %s: %d", question, status)
				}
			}
			continue
		}
		if strings.HasSuffix(pattern, "/delete") && hasID || pattern == "/account/password" {
			continue // nothing of theirs is in it, and others need what is ours
		}
		_, path, _ = r.of(t, a)
		status, text, header = visitor.ask(method, path, form)
		shows(r.pattern+" of ours with theirs in it", text, header)
		if status >= 500 {
			t.Errorf("%s of ours with theirs in it: %d", r.pattern, status)
		}
		if to := header.Get("Location"); strings.HasPrefix(to, "/") {
			_, text, header := visitor.ask(http.MethodGet, to, nil)
			shows(r.pattern+" of ours with theirs in it, and then "+to, text, header)
		}
	}
	if status, _, _ := visitor.ask(http.MethodGet, "/account", nil); status != http.StatusOK {
		t.Errorf("the visitor is not signed in any more: %d", status)
	}
	storetest.WantApart(t, p.store)
	after := b.Rows(t, p.store)
	for _, table := range slices.Sorted(maps.Keys(before)) {
		if was, is := strings.Join(before[table], "\n"), strings.Join(after[table], "\n"); was != is {
			t.Errorf("%s of the other organization has changed:\n%.2000s\n%.2000s", table, was, is)
		}
	}
}

// roles of the walk: who may only look, and who may do everything but decide about others.
var roles = map[string]func(permission string) bool{
	"nobody": func(string) bool { return false },
	"reader": func(permission string) bool { return strings.HasPrefix(permission, "view_") },
	"editor": func(permission string) bool {
		for _, kept := range []string{"account", "role", "api_key", "organization", "channel"} {
			if strings.HasSuffix(permission, "_"+kept) {
				return false
			}
		}
		return true
	},
}

// What the walk fills in is right: to somebody of the organization the same pages are there. To who may not do what a
// page does, it is refused, whatever else he may do.
func TestTenants_findTheirOwn(t *testing.T) {
	p := newPeoplePanel(t)
	n := 0
	add := func() (*storetest.Tenant, *peoplePanel) {
		n++
		o := p.tenant(ours + fmt.Sprint(n))
		return o, p.as(o)
	}
	a, visitor := add()
	routes := registered().routes
	for name, may := range roles {
		role, err := p.store.Role(t.Context(), a.ID, a.Role)
		if err != nil {
			t.Fatal(err)
		}
		role.Permissions = slices.DeleteFunc(permissions(), func(permission string) bool { return !may(permission) })
		storetest.Change(t, p.store, func(tx *store.Tx) error { return tx.SaveRole(role) })
		before := a.Rows(t, p.store)
		for _, r := range routes {
			if r.permission == "" || may(r.permission) && r.permission != bugle.AllPermissions {
				continue
			}
			method, path, _ := r.of(t, a)
			if status, text, _ := visitor.ask(method, path, r.fields(a)); status != http.StatusForbidden {
				t.Errorf("%s to a %s: %d, want 403\n%.300s", r.pattern, name, status, mainText(text))
			}
		}
		for table, rows := range a.Rows(t, p.store) {
			if strings.Join(rows, "\n") != strings.Join(before[table], "\n") {
				t.Errorf("a %s has changed %s", name, table)
			}
		}
	}
	a, visitor = add()
	slices.SortStableFunc(routes, func(a, b route) int {
		return strings.Compare(a.pattern[:3], b.pattern[:3]) // GET before POST
	})
	for _, r := range routes {
		if r.isStream() || r.leaves() || r.linksNothing() || r.pattern == "POST /release" { // which no organization may of several
			continue
		}
		method, path, hasID := r.of(t, a)
		status, text, _ := visitor.ask(method, path, r.fields(a))
		if hasID && status == http.StatusNotFound || status == http.StatusForbidden || status == http.StatusUnauthorized || visitorGone(visitor) {
			a, visitor = add() // what it names, or the visitor, has been removed before
			method, path, _ = r.of(t, a)
			status, text, _ = visitor.ask(method, path, r.fields(a))
		}
		if status >= 400 && status != http.StatusUnprocessableEntity && status != http.StatusConflict {
			t.Errorf("%s of one's own: %d\n%.500s", r.pattern, status, mainText(text))
		}
	}
}

func visitorGone(p *peoplePanel) bool {
	status, _, _ := p.ask(http.MethodGet, "/account", nil)
	return status != http.StatusOK
}

// Lists that follow what happens follow nothing of another organization, in which it happens first here.
func TestTenants_streams(t *testing.T) {
	p := newPeoplePanel(t)
	a, b := p.tenant(ours), p.tenant(theirs)
	visitor := p.as(a)
	streams := 0
	for _, r := range registered().routes {
		if !r.isStream() {
			continue
		}
		streams++
		_, path, _ := r.of(t, a)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := visitor.client.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(answer.Body)
		lines.Buffer(nil, 1<<20)
		lines.Scan() // it follows now
		storetest.Change(t, p.store, func(tx *store.Tx) error {
			for _, o := range []*storetest.Tenant{b, a} {
				if _, err := tx.SendTest(o.Actor, o.Webhook, value.Map("text", o.Mark)); err != nil {
					return err
				}
				if err := tx.FinishRun(&bugle.Run{ID: o.Run, Status: bugle.RunExecuted, EvaluatedAt: tx.Now()}); err != nil {
					return err
				}
			}
			return nil
		})
		if r.pattern == "GET /event-log/stream" {
			p.clock.BlockUntilContext(ctx, 2)
			p.clock.Advance(time.Minute)
		}
		found := false
		for !found && lines.Scan() {
			if strings.Contains(strings.ToLower(lines.Text()), theirs) {
				t.Errorf("%s shows something of the other organization: %s", r.pattern, lines.Text())
			}
			found = strings.HasPrefix(lines.Text(), "data: ")
		}
		if !found {
			t.Errorf("%s shows nothing of one's own: %v", r.pattern, lines.Err())
		}
		cancel()
		answer.Body.Close()
	}
	if streams != 3 {
		t.Errorf("there are %d lists that follow what happens; has this test to learn about another?", streams)
	}
}
