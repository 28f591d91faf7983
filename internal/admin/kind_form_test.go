package admin

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/internal/store"
	"github.com/buglehq/bugle/internal/storetest"
	"github.com/buglehq/bugle/personnel"
	"github.com/buglehq/bugle/value"
)

// unchanged sends the edit form of a resource as it comes, later, and checks that nothing is written.
func (p *peoplePanel) unchanged(r *personnel.Resource) {
	p.Helper()
	before, events := p.stored(r.Kind, r.ID()), p.events()
	p.clock.Advance(time.Minute)
	p.form(fmt.Sprintf("/%s/%d/edit", r.Kind.Path, r.ID())).send(http.StatusSeeOther)
	after := p.stored(r.Kind, r.ID())
	for i, f := range r.Kind.Fields {
		if before.Values[i] != after.Values[i] {
			p.Errorf("%s %d: %s was %#v, and is %#v once the form is sent back", r.Kind.Name, r.ID(), f.Name, before.Values[i], after.Values[i])
		}
	}
	if before.CustomJSON() != after.CustomJSON() {
		p.Errorf("%s %d: the custom fields were %v, and are %v once the form is sent back", r.Kind.Name, r.ID(), before.CustomJSON(), after.CustomJSON())
	}
	if n := p.events(); n != events {
		p.Errorf("%s %d: the form sent back made %d events", r.Kind.Name, r.ID(), n-events)
	}
}

// A form that is sent back as it came changes nothing and is no event, whether everything is filled in or nothing
// that need not be.
func TestKindForm_unchanged(t *testing.T) {
	p := newPeoplePanel(t)
	for _, r := range p.makeAll() {
		p.unchanged(r)
	}
	for _, k := range pagedKinds() {
		if k == &personnel.Attachment || k == &personnel.Image {
			continue // nothing of them can be left out
		}
		fields := value.NewArray(8)
		for _, f := range k.Fields {
			switch v := f.Example(k, true); {
			case f.ReadOnly || f.Hidden || f.Name == "id":
			case f.Required && f.Name == "email":
				fields.Set(f.Name, "less@example.com")
			case f.Required && (f.Unique || f.Name == "slug"):
				fields.Set(f.Name, "less")
			case f.Required:
				fields.Set(f.Name, v)
			case f.Null && f.Name != "created_at" && f.Name != "updated_at":
				fields.Set(f.Name, nil)
			}
		}
		var r *personnel.Resource
		storetest.Change(t, p.store, func(tx *store.Tx) (err error) {
			r, err = tx.Create(storetest.Actor(), k, fields)
			return err
		})
		p.unchanged(r)
	}
}

// What the API stores need not be what a browser sends back of it.
func TestKindForm_unchangedAlthoughInputsCannotShowIt(t *testing.T) {
	p := newPeoplePanel(t)
	storetest.Change(t, p.store, func(tx *store.Tx) error { return tx.SetTimeZone(1, p.user, "America/New_York") })
	hidden := storetest.Create(t, p.store, &personnel.Unit, "name", "Reserve", "hidden", true)
	user := storetest.Create(t, p.store, &personnel.User, "name", " Two\nLines ", "email", "two@example.com", "unit_id", hidden.ID(),
		"notes", "\n\nfirst\r\nsecond\rthird\n\n", "last_seen_at", "2025-11-02T06:30:15Z") // the second 01:30 of that night
	p.unchanged(user)
	has(t, p.get(fmt.Sprintf("/users/%d/edit", user.ID()), http.StatusOK), `selected>Reserve</option>`)

	p.unchanged(storetest.Create(t, p.store, &personnel.Message, "message", "x", "channels", value.List("telegram", "mail", "mail"), "recipients", value.NewArray(0)))
	field := storetest.Create(t, p.store, &personnel.CustomField, "name", "Size", "key", "size", "type", "select", "options_type", nil,
		"options", value.List(value.Map("a", "https://example.com/é"), 1.5, nil, true))
	p.unchanged(field)
	has(t, p.get(fmt.Sprintf("/fields/%d", field.ID()), http.StatusOK), `"a": "https://example.com/é"`)
}

// A message that repeats still does once it is edited.
func TestKindForm_repeatingMessage(t *testing.T) {
	p := newPeoplePanel(t)
	r := storetest.Create(t, p.store, &personnel.Message, "message", "Formation", "channels", value.List("database"), "rrule", "FREQ=WEEKLY;BYDAY=WE")
	p.unchanged(r)
	path := fmt.Sprintf("/messages/%d/edit", r.ID())
	if got := attr(p.form(path).inputs["rrule"], "value"); !strings.Contains(got, "FREQ=WEEKLY;BYDAY=WE") {
		t.Errorf("the form has the rule %q", got)
	}
	p.form(path).set("message", "Formation at 18:00").saved()
	if after := p.stored(&personnel.Message, r.ID()); after.Get("repeats") != true || after.Get("message") != "Formation at 18:00" {
		t.Errorf("afterwards repeats is %v and the message %v", after.Get("repeats"), after.Get("message"))
	}
	if got := attr(p.form(path).inputs["rrule"], "value"); !strings.Contains(got, "FREQ=WEEKLY;BYDAY=WE") {
		t.Errorf("once the text is changed, the form has the rule %q", got)
	}
	p.form(path).set("rrule", "").saved()
	if after := p.stored(&personnel.Message, r.ID()); after.Get("repeats") != false {
		t.Error("a message without a rule repeats")
	}
}

// Custom fields come back from a form as they are, also those that are not set, and new people begin with defaults.
func TestKindForm_customFields(t *testing.T) {
	p := newPeoplePanel(t)
	stored := value.NewArray(16)
	for _, c := range []struct{ kind, value any }{
		{"boolean", "1"}, {"boolean", false}, {"code", "a\r\nb"}, {"color", "#fff"}, {"country", "DE"}, {"date", "2026-01-31T12:00:00Z"},
		{"datetime-local", "2026-01-31T12:00:00Z"}, {"datetime-local", "2026-01-31 12:00"}, {"email", "a@example.com"}, {"number", "007"}, {"number", "1.50"},
		{"number", 1.5}, {"password", " s3cret"}, {"select", value.List("b", "a")}, {"select", "elsewhere"}, {"select", "b"}, {"text", " x "},
		{"textarea", "\na\rb"}, {"timezone", "UTC"},
	} {
		n := stored.Len()
		for _, suffix := range []string{"set", "unset"} {
			key := fmt.Sprintf("f%d%s", n, suffix)
			storetest.Create(t, p.store, &personnel.CustomField, "name", "Field "+key, "key", key, "type", c.kind, "applies_to", value.List("users"),
				"options", value.List("a", "b"), "default", map[bool]any{true: "1", false: nil}[c.kind == "number"])
			if suffix == "set" {
				stored.Set(key, c.value)
			}
		}
	}
	fields := value.Map("name", "John Doe", "email", "john@example.com")
	for key, v := range stored.All() {
		fields.Set(key.String(), v)
	}
	user := storetest.Create(t, p.store, &personnel.User, "name", "John Doe", "email", "john@example.com")
	storetest.Change(t, p.store, func(tx *store.Tx) (err error) {
		user, err = tx.Update(storetest.Actor(), &personnel.User, user.ID(), fields)
		return err
	})
	p.unchanged(user)

	path := fmt.Sprintf("/users/%d/edit", user.ID())
	p.form(path).set("f0unset", "1").set("f16set", "y").set("f9set", "8").saved()
	custom := p.stored(&personnel.User, user.ID()).Custom
	for key, want := range map[string]any{"f0unset": true, "f16set": "y", "f9set": int64(8), "f10set": "1.50"} {
		if got, _ := custom.Get(key); got != want {
			t.Errorf("%s is %#v, want %#v", key, got, want)
		}
	}
	if got, _ := p.stored(&personnel.User, p.form("/users/create").set("name", "New").set("email", "new@example.com").saved()).Custom.Get("f10unset"); got != int64(1) {
		t.Errorf("a new user has %#v, want the default", got)
	}
	page := p.form(path).set("f5set", "someday").send(http.StatusUnprocessableEntity)
	if got := p.formOf(parsePage(t, page)).problem("f5set"); !strings.Contains(got, "must be a date") {
		t.Errorf("beside a wrong date is %q:\n%s", got, page)
	}
}

// In a list that is sorted by hand, what is new comes last unless somebody says where.
func TestKindForm_orderOfNew(t *testing.T) {
	p := newPeoplePanel(t)
	for i, order := range []string{"", "", "7", ""} {
		f := p.form("/ranks/create").set("name", fmt.Sprint("Rank ", i))
		if order != "" {
			f.set("order", order)
		}
		want := []int64{1, 2, 7, 8}[i]
		if got := p.stored(&personnel.Rank, f.saved()).Get("order"); got != want {
			t.Errorf("rank %d is at %v, want %d", i, got, want)
		}
	}
}

// Everything that is wrong is said beside its field, and what was typed is still there.
func TestKindForm_wrong(t *testing.T) {
	p := newPeoplePanel(t)
	p.makeAll()
	for _, k := range pagedKinds() {
		t.Run(k.Name, func(t *testing.T) {
			p := *p
			p.T = t
			// Nothing at all: what is asked for is what is marked.
			f := p.form("/" + k.Path + "/create")
			for name := range f.values {
				isEmpty := func(o *html.Node) bool { return attr(o, "value") == "" }
				switch in := f.inputs[name]; {
				case attr(in, "type") == "checkbox":
					f.set(name)
				case in.Data != "select" || slices.ContainsFunc(elements(in, "option"), isEmpty):
					f.set(name, "")
				}
			}
			again := p.formOf(parsePage(t, f.send(http.StatusUnprocessableEntity)))
			for name, in := range again.inputs {
				if attr(in, "type") == "checkbox" || again.values.Get(name) != "" {
					continue
				}
				if asked := again.problem(name) != ""; asked != hasAttr(in, "required") {
					t.Errorf("%s: marked as required: %v, but the server says %q", name, hasAttr(in, "required"), again.problem(name))
				}
			}
			// Everything wrong that can be.
			f = p.form("/" + k.Path + "/create")
			f.fill(k, 1)
			wrong := map[string]string{}
			for i := range k.Fields {
				field := &k.Fields[i]
				if name := field.SentAs(); f.inputs[name] != nil {
					switch field.Type {
					case personnel.Integer:
						wrong[name] = "many"
					case personnel.Reference:
						wrong[name] = "987654321"
					case personnel.Choice, personnel.Email:
						wrong[name] = `no "such" <b>`
					case personnel.Code:
						wrong[name] = "99"
					case personnel.String:
						wrong[name] = strings.Repeat("é<", 200)
					case personnel.Integers:
						wrong[name] = "1, x"
					}
				}
			}
			for name, v := range wrong {
				f.set(name, v)
			}
			if len(wrong) == 0 {
				return
			}
			events := p.events()
			again = p.formOf(parsePage(t, f.send(http.StatusUnprocessableEntity)))
			for name, v := range wrong {
				if again.problem(name) == "" {
					t.Errorf("nothing is said beside %s, which is %q", name, v)
				}
				in := again.inputs[name]
				if !hasAttr(in, "aria-invalid") && attr(in, "type") != "checkbox" {
					t.Errorf("%s is not marked as invalid", name)
				}
			}
			for name, values := range f.values {
				in := again.inputs[name]
				if in.Data == "select" && wrong[name] != "" {
					continue // a browser cannot have sent it
				}
				if attr(in, "type") == "number" && wrong[name] != "" {
					if attr(in, "value") != wrong[name] {
						t.Errorf("%s held %q and is %q again", name, wrong[name], attr(in, "value"))
					}
					continue
				}
				if got := again.values[name]; !slices.Equal(got, values) {
					t.Errorf("%s held %q and holds %q again", name, values, got)
				}
			}
			if got := p.events(); got != events {
				t.Errorf("a refused form made %d events", got-events)
			}
		})
	}
}

// Times are in the visitor's zone, and what is none is said beside the field.
func TestKindForm_times(t *testing.T) {
	p := newPeoplePanel(t)
	storetest.Change(t, p.store, func(tx *store.Tx) error { return tx.SetTimeZone(1, p.user, "Europe/Berlin") })
	f := p.form("/announcements/create").set("title", "A").set("content", "B").set("color", "danger").set("expires_at", "2026-07-01T10:00")
	id := f.saved()
	if got := p.stored(&personnel.Announcement, id).Get("expires_at"); got != "2026-07-01 08:00:00" {
		t.Errorf("it expires at %v", got)
	}
	path := fmt.Sprintf("/announcements/%d/edit", id)
	if got := p.form(path).values.Get("expires_at"); got != "2026-07-01T10:00" {
		t.Errorf("the form says %s", got)
	}
	p.form(path).set("expires_at", "").saved()
	if got := p.stored(&personnel.Announcement, id).Get("expires_at"); got != nil {
		t.Errorf("without a time it expires at %v", got)
	}
	again := p.formOf(parsePage(t, p.form(path).set("expires_at", "soon").set("title", "").send(http.StatusUnprocessableEntity)))
	if got := again.problem("expires_at"); got != `"soon" is no time.` {
		t.Errorf("beside the time is %q", got)
	}
	if got := again.problem("title"); got != "The title field is required." {
		t.Errorf("beside the title is %q", got)
	}
	again = p.formOf(parsePage(t, p.form(path).set("expires_at", "soon").set("title", "New").send(http.StatusUnprocessableEntity)))
	if got := p.stored(&personnel.Announcement, id).Get("title"); got != "A" || again.values.Get("title") != "New" {
		t.Errorf("the title is %v, and %s in the form", got, again.values.Get("title"))
	}
}

// What cannot be read as a form is refused in words.
func TestKindForm_unreadable(t *testing.T) {
	p := newPeoplePanel(t)
	for contentType, body := range map[string]string{"application/x-www-form-urlencoded": "name=%zz", "multipart/form-data; boundary=x": "--x\r\nbroken", "multipart/form-data": ""} {
		status, text, _ := p.request(http.MethodPost, "/ranks", contentType, strings.NewReader(body))
		if status != http.StatusUnprocessableEntity || !strings.Contains(text, "The form cannot be read") {
			t.Errorf("%s: %d\n%s", contentType, status, mainText(text))
		}
	}
	large := url.Values{"name": {strings.Repeat("x", maxBody)}}
	has(t, p.post("/ranks", large, http.StatusRequestEntityTooLarge), "too large")
}

// Whoever may edit users but not accounts cannot give somebody's account his own address, to which a new password
// would be sent.
func TestKindForm_addressOfAccount(t *testing.T) {
	p := newPeoplePanel(t)
	admin := storetest.Create(t, p.store, &personnel.User, "name", "Alex Carter", "email", "alex@example.com")
	other := storetest.Create(t, p.store, &personnel.User, "name", "John Doe", "email", "john@example.com")
	storetest.Change(t, p.store, func(tx *store.Tx) error {
		role, err := p.store.RoleByName(t.Context(), 1, bugle.AdminRole)
		if err != nil {
			return err
		}
		return tx.AddAccount(&bugle.Account{UserID: admin.ID(), OrganizationID: 1, Role: role, PasswordHash: "x"})
	})
	edit := func(id int64) string { return fmt.Sprintf("/users/%d/edit", id) }
	address := func(id int64) any { return p.stored(&personnel.User, id).Get("email") }

	p.may("view_user", "update_user")
	has(t, p.get(edit(admin.ID()), http.StatusOK), "They sign in with it")
	f := p.form(edit(admin.ID())).set("name", "Alexa Carter")
	f.values.Set("email", "mine@example.com") // no browser would send it
	f.saved()
	if got := p.stored(&personnel.User, admin.ID()); got.Get("email") != "alex@example.com" || got.Get("name") != "Alexa Carter" {
		t.Errorf("the admin is %v at %v", got.Get("name"), got.Get("email"))
	}
	p.form(edit(other.ID())).set("email", "doe@example.com").saved()
	p.form(edit(p.user)).set("email", "roe@example.com").saved()
	if address(other.ID()) != "doe@example.com" || address(p.user) != "roe@example.com" {
		t.Errorf("the addresses are %v and %v", address(other.ID()), address(p.user))
	}
	p.may("view_user", "update_user", "update_account")
	p.form(edit(admin.ID())).set("email", "carter@example.com").saved()
	if got := address(admin.ID()); got != "carter@example.com" {
		t.Errorf("the admin is at %v", got)
	}
}
