package admin

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/buglehq/bugle/internal/dispatch"
	"github.com/buglehq/bugle/internal/store"
	"github.com/buglehq/bugle/internal/storetest"
	"github.com/buglehq/bugle/personnel"
	"github.com/buglehq/bugle/value"
)

// details are what a page says of a resource, by name.
func (p *peoplePanel) details(path string) map[string]string {
	p.Helper()
	found := map[string]string{}
	name := ""
	for _, n := range elements(mainPart(p.page(path)), "dt", "dd") {
		if n.Data == "dt" {
			name = readText(n)
		} else {
			found[name] = readText(n)
		}
	}
	return found
}

// A resource's page has every field that is set, under the name that people know.
func TestKindView_details(t *testing.T) {
	p := newPeoplePanel(t)
	for _, r := range p.makeAll() {
		found := p.details(fmt.Sprintf("/%s/%d", r.Kind.Path, r.ID()))
		for i := range r.Kind.Fields {
			f := &r.Kind.Fields[i]
			if got := found[fieldLabel(f)]; (got != "") != (r.Values[i] != nil && r.Values[i] != "" && !f.Hidden) && !f.IsFile() {
				t.Errorf("%s %d has the %s %#v, and its page says %q", r.Kind.Name, r.ID(), f.Name, r.Values[i], got)
			}
		}
	}
	found := p.details("/rank-records/1")
	for name, want := range map[string]string{"User": "Jane Roe & 0", "Rank": "Sergeant & 0", "Type": "Transfer", "Text": "For leadership under fire. & 0 and a line"} {
		if found[name] != want {
			t.Errorf("%s is %q, want %q", name, found[name], want)
		}
	}
}

// A user's page begins with who he is, and leads to what is done most.
func TestKindView_user(t *testing.T) {
	p := newPeoplePanel(t)
	p.makeAll()
	page := p.get("/users/2", http.StatusOK)
	has(t, page, "Promote", "/rank-records/create?user_id=2", "Give award", "Move", "Qualify", "/event-log?causer=2", "/event-log?kind=user&resource=2", "Rank Records", "Sergeant & 0")
	p.form("/rank-records/create?user_id=2").set("rank_id", "1").saved()
	if got := p.stored(&personnel.RankRecord, 2); got.Get("user_id") != int64(2) || got.Get("author_id") != p.user {
		t.Errorf("the record is for %v by %v", got.Get("user_id"), got.Get("author_id"))
	}
	hasNot(t, page, "password")
	p.may("view_user")
	hasNot(t, p.get("/users/2", http.StatusOK), "Promote", "Give award", "event-log", "Rank Records", "Sergeant & 0</a>")
}

// Custom fields are shown by the names of their definitions, and secrets are not shown.
func TestKindView_customFields(t *testing.T) {
	p := newPeoplePanel(t)
	for _, c := range []struct{ key, kind string }{{"yes", "boolean"}, {"no", "boolean"}, {"points", "number"}, {"pass", "password"}, {"orders", "file"}, {"picks", "select"}, {"nothing", "text"}, {"gone", "text"}} {
		storetest.Create(t, p.store, &personnel.CustomField, "name", "The "+c.key, "key", c.key, "type", c.kind, "applies_to", value.List("users"))
	}
	id := p.form("/users/create").set("name", "A").set("email", "a@example.com").set("yes", "1").set("points", "1.5").set("pass", "s3cret").set("gone", "still here").
		attach("orders", "orders.pdf", []byte("%PDF-1.4\n")).saved()
	storetest.Update(t, p.store, &personnel.User, id, "picks", value.List("a", "b"))
	storetest.Delete(t, p.store, &personnel.CustomField, 8)
	path := fmt.Sprintf("/users/%d", id)
	found := p.details(path)
	for name, want := range map[string]string{"The yes": "Yes", "The no": "No", "The points": "1.5", "The pass": "••••••••", "The orders": "Open the file", "The picks": `[ "a", "b" ]`, "The nothing": "", "gone": "still here"} {
		if got := found[name]; got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	page := p.get(path, http.StatusOK)
	hasNot(t, page, "s3cret")
	has(t, page, `href="/storage/1/`)
	p.unchanged(p.stored(&personnel.User, id))
}

// What a relation links is added by id or name and taken out again, and what is wrong is said.
func TestKindView_links(t *testing.T) {
	p := newPeoplePanel(t)
	for _, name := range []string{"Private", "Sergeant", "Sergeant", "Staff Sergeant", "100%", "1000"} {
		storetest.Create(t, p.store, &personnel.Rank, "name", name)
	}
	category := p.form("/categories/create").set("name", "Enlisted").set("resource", personnel.Rank.Model()).saved()
	page := fmt.Sprintf("/categories/%d", category)
	linked := func() (names []string) {
		for _, n := range elements(mainPart(p.page(page)), "ul") {
			if attr(n, "class") == "linked" {
				for _, a := range elements(n, "a") {
					names = append(names, readText(a))
				}
			}
		}
		return names
	}
	for _, c := range []struct{ path, relation, id, says, now string }{
		{"/link", "ranks", "2", "Saved.", "[Sergeant]"},
		{"/link", "ranks", "priv", "Saved.", "[Sergeant Private]"},
		{"/link", "ranks", "Sergeant", "More than one rank is called", "[Sergeant Private]"},
		{"/link", "ranks", "Nobody", `There is no rank called "Nobody"`, "[Sergeant Private]"},
		{"/link", "ranks", "0%", "Saved.", "[Sergeant Private 100%]"},
		{"/link", "ranks", "", "Give the id.", "[Sergeant Private 100%]"},
		{"/link", "ranks", "99", "no rank with the id 99", "[Sergeant Private 100%]"},
		{"/unlink", "ranks", "2", "Saved.", "[Private 100%]"},
		{"/unlink", "ranks", "99", "", "[Private 100%]"},
	} {
		if to := p.post(page+c.path, url.Values{"relation": {c.relation}, "id": {c.id}}, http.StatusSeeOther); to != page {
			t.Errorf("%v leads to %s", c, to)
		}
		has(t, p.get(page, http.StatusOK), c.says)
		if got := fmt.Sprint(linked()); got != c.now {
			t.Errorf("%v: %s is linked, want %s", c, got, c.now)
		}
	}
	for _, relation := range []string{"", "nothing", "image", "users"} {
		p.post(page+"/link", url.Values{"relation": {relation}, "id": {"1"}}, http.StatusNotFound)
	}
	p.post(fmt.Sprintf("/users/%d/link", p.user), url.Values{"relation": {"awards"}, "id": {"1"}}, http.StatusNotFound) // records say that

	// Where there are many to choose from, somebody types.
	storetest.Change(t, p.store, func(tx *store.Tx) error {
		for i := range maxChoices {
			if _, err := tx.Create(storetest.Actor(), &personnel.Rank, value.Map("name", fmt.Sprint("Rank ", i))); err != nil {
				return err
			}
		}
		return nil
	})
	text := p.get(page, http.StatusOK)
	has(t, text, "Add to Ranks: name or id")
	hasNot(t, text, "There are more than these")
	storetest.Change(t, p.store, func(tx *store.Tx) error {
		var links []store.Link
		for i := range maxChoices {
			links = append(links, store.Link{ID: int64(i + 7), At: "id"})
		}
		_, err := tx.Link(storetest.Actor(), &personnel.Within{Kind: &personnel.Category, ID: category, Relation: personnel.Category.Relation("ranks")}, links, false)
		return err
	})
	has(t, p.get(page, http.StatusOK), "There are more than these 200.")
	if got := len(linked()); got != maxChoices {
		t.Errorf("%d are shown", got)
	}
	f := p.form("/rank-records/create").set("user_id", fmt.Sprint(p.user)).set("rank_id", "Staff")
	if got := p.stored(&personnel.RankRecord, f.saved()).Get("rank_id"); got != int64(4) {
		t.Errorf("the typed rank is %v", got)
	}
	f = p.form("/rank-records/1/edit")
	has(t, p.get("/rank-records/1/edit", http.StatusOK), "type the name, or the id. Now: Staff Sergeant.")
	again := p.formOf(parsePage(t, f.set("rank_id", "Rank").send(http.StatusUnprocessableEntity)))
	if got := again.problem("rank_id"); !strings.Contains(got, "More than one rank is called") || again.values.Get("rank_id") != "Rank" {
		t.Errorf("beside %q is %q", again.values.Get("rank_id"), got)
	}
	p.unchanged(p.stored(&personnel.RankRecord, 1))
}

// A user's page has what happened to him and to his records, and nobody else's.
func TestKindView_userEvents(t *testing.T) {
	p := newPeoplePanel(t)
	jane := storetest.Create(t, p.store, &personnel.User, "name", "Jane Roe", "email", "jane.roe@example.com")
	john := storetest.Create(t, p.store, &personnel.User, "name", "John Doe", "email", "john.doe@example.com")
	rank := storetest.Create(t, p.store, &personnel.Rank, "name", "Major")
	storetest.Create(t, p.store, &personnel.RankRecord, "user_id", jane.ID(), "rank_id", rank.ID(), "type", 0)
	path := fmt.Sprintf("/users/%d", jane.ID())
	has(t, p.get(path, http.StatusOK), "Latest events", "rankrecord.created", "Jane Roe → Major", "user.created")
	hasNot(t, p.get(path, http.StatusOK), "John Doe")
	hasNot(t, p.get(fmt.Sprintf("/users/%d", john.ID()), http.StatusOK), "rankrecord.created")
	p.may("view_any_user", "view_user", "view_any_rank_record")
	hasNot(t, p.get(path, http.StatusOK), "Latest events", "rankrecord.created")
}

// eraseAll works on erasures until they have ended.
func (p *peoplePanel) eraseAll() {
	p.Helper()
	eraser := dispatch.NewEraser(p.store, dispatch.StepperOptions{Clock: p.clock})
	for range 100 {
		found, err := eraser.Round(p.Context())
		if err != nil {
			p.Fatal(err)
		}
		if !found {
			p.clock.Advance(time.Minute) // for attempts that are under way
		}
	}
}

func TestUser_erase(t *testing.T) {
	p := newPeoplePanel(t)
	r := storetest.Create(t, p.store, &personnel.User, "name", "Zebulon Quaxley", "email", "zebulon@quaxley.example", "notes", "Allergic to bees, quite")
	path := fmt.Sprintf("/users/%d", r.ID())
	has(t, p.get(path, http.StatusOK), `action="`+path+`/erase"`, "It cannot be undone.")
	hasNot(t, p.get("/ranks", http.StatusOK), "/erase")
	if to := p.post(path+"/erase", nil, http.StatusSeeOther); to != path {
		t.Errorf("it leads to %s", to)
	}
	page := p.get(path, http.StatusOK)
	has(t, page, "[erased]", "This person is being erased from what is stored")
	hasNot(t, page, "quaxley.example", "bees")
	p.post(path+"/erase", nil, http.StatusSeeOther)
	has(t, p.get(path, http.StatusOK), "is being erased already")
	p.eraseAll()
	page = p.get(path, http.StatusOK)
	has(t, page, "This person was erased from what is stored")
	hasNot(t, page, "Zebulon", "quaxley.example", "bees")
	p.post("/users/999/erase", nil, http.StatusNotFound)
}

// Who is deleted has no page, but events that tell of him.
func TestUser_eraseDeleted(t *testing.T) {
	p := newPeoplePanel(t)
	r := storetest.Create(t, p.store, &personnel.User, "name", "Zebulon Quaxley", "email", "zebulon@quaxley.example")
	events, err := p.store.Events(t.Context(), 1, store.EventFilter{}, store.PageRequest{Number: 1, Limit: 1})
	if err != nil || len(events.Items) != 1 {
		t.Fatalf("%d events, %v", len(events.Items), err)
	}
	page, erase := fmt.Sprintf("/event-log/%d", events.Items[0].ID), fmt.Sprintf("/users/%d/erase", r.ID())
	hasNot(t, p.get(page, http.StatusOK), "/erase", "Erase this person")
	storetest.Delete(t, p.store, &personnel.User, r.ID())
	has(t, p.get(page, http.StatusOK), "Zebulon", `action="`+erase+`"`, `name="back" value="`+page+`"`, "Erase this person")
	p.may("view_any_event_log", "view_event_log", "view_any_user", "view_user")
	hasNot(t, p.get(page, http.StatusOK), "/erase", "Erase this person")
	p.may("view_any_event_log", "view_event_log", "view_any_user", "view_user", "delete_user")
	if to := p.post(erase, url.Values{"back": {page}}, http.StatusSeeOther); to != page {
		t.Errorf("it leads to %s", to)
	}
	has(t, p.get(page, http.StatusOK), "The user is erased.", "This person is being erased from what is stored")
	p.eraseAll()
	text := p.get(page, http.StatusOK)
	has(t, text, "This person was erased from what is stored")
	hasNot(t, text, "Zebulon", "quaxley.example")
}
