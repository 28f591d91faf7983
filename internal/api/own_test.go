package api_test

import (
	"database/sql"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jonboulle/clockwork"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/internal/store"
	"github.com/buglehq/bugle/internal/storetest"
	"github.com/buglehq/bugle/personnel"
	"github.com/buglehq/bugle/value"
)

// newFileServer is newServer, and what runs SQL on its database for what no request can write.
func newFileServer(t *testing.T) (*server, func(query string, args ...any)) {
	t.Helper()
	path, clock := filepath.Join(t.TempDir(), "bugle.db"), clockwork.NewFakeClockAt(storetest.Start)
	db := storetest.Open(t, "sqlite:"+path, store.Options{Clock: clock})
	if _, err := db.EnsureOrganization(t.Context(), "1st Test Battalion"); err != nil {
		t.Fatal(err)
	}
	file, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	return serve(t, db, clock), func(query string, args ...any) {
		t.Helper()
		if _, err := file.Exec(query, args...); err != nil {
			t.Fatal(err)
		}
	}
}

func TestMe(t *testing.T) {
	s := newServer(t)
	s.create("ranks", "name", "Sergeant")
	s.create("users", "name", "John", "email", "john@example.com")
	jane := id(s.create("users", "name", "Jane", "email", "jane@example.com", "rank_id", 1))
	s.create("combat-records", "user_id", jane, "text", "Held the bridge")
	hers := s.with(s.addKey(bugle.APIKey{UserID: jane}))
	a := hers.want(200, "GET", "me?include=combat_records", nil)
	wantEqual(t, "page", value.List(len(a.items(t)), a.at("meta", "total"), a.at("meta", "last_page"), a.at("meta", "path")), value.List(1, 1, 1, s.url+"/v2/me"))
	wantEqual(t, "caller", a.at("data", "0"), s.want(200, "GET", under("users", jane)+"?include=combat_records", nil).at("data"))
	wantEqual(t, "without an include", hers.want(200, "GET", "me", nil).at("data", "0"), s.want(200, "GET", under("users", jane), nil).at("data"))

	nobody := s.want(200, "GET", "me", nil)
	wantEqual(t, "caller of a key of nobody", value.List(nobody.at("data"), nobody.at("meta", "total")), value.List(value.List(), 0))
	s.want(200, "DELETE", under("users", jane), nil)
	wantEqual(t, "caller who was deleted", hers.want(200, "GET", "me", nil).at("data"), value.List())
	s.with("wrong").do("GET", "me", nil).wantUnauthenticated(t)
	for _, method := range []string{"POST", "PUT", "DELETE"} {
		hers.do(method, "me", nil).wantStatus(t, 405)
	}
}

func TestCache(t *testing.T) {
	s := newServer(t)
	for _, body := range []any{nil, "", "{}"} {
		if a := s.want(200, "POST", "cache", body); a.text != `{"status":"okay"}` {
			t.Errorf("POST cache answers %s", a.text)
		}
	}
	s.scoped("clear:cache").want(200, "POST", "cache", nil)
	s.scoped("view:cache", "view:settings", "create:cache").do("POST", "cache", nil).wantForbidden(t)
	s.do("GET", "cache", nil).wantStatus(t, 405)
}

func TestSettings(t *testing.T) {
	s := newServer(t)
	got := map[string]any{}
	for _, item := range s.want(200, "GET", "settings", nil).items(t) {
		group, _ := at(item, "group").(string)
		name, _ := at(item, "name").(string)
		got[group+"."+name] = at(item, "payload")
		wantEqual(t, "locked", at(item, "locked"), false)
	}
	if len(got) != 2 || got["organization.name"] != "1st Test Battalion" || got["user.display_name_format"] != "{name}" {
		t.Errorf("settings are %v", got)
	}
	page := s.want(200, "GET", "settings?limit=1&page=2", nil)
	wantEqual(t, "second page", value.List(page.at("data", "0", "id"), page.at("meta", "total"), page.at("data", "1")), value.List(2, 2, nil))
	wantEqual(t, "a page behind the last", s.want(200, "GET", "settings?page=2147483647&limit=1000", nil).at("data"), value.List())
	wantEqual(t, "of another organization", s.another().want(200, "GET", "settings", nil).at("data", "0", "payload"), "2nd Test Battalion")
	s.scoped("view:settings").want(200, "GET", "settings", nil)
	s.scoped("view:setting", "view:user").do("GET", "settings", nil).wantForbidden(t)
}

// A record is news, told by the names of those whom it concerns.
func TestNewsfeed(t *testing.T) {
	s := newServer(t)
	s.create("ranks", "name", "Sergeant")
	s.create("users", "name", "Jane Roe", "email", "jane@example.com")
	s.create("users", "name", "John Doe", "email", "john@example.com")
	s.create("rank-records", "user_id", 1, "author_id", 2, "rank_id", 1, "type", 0, "text", "<p>Promoted.</p>")
	s.clock.Advance(time.Minute)
	s.create("combat-records", "user_id", 2, "text", "Held the bridge")
	a := s.want(200, "GET", "newsfeed", nil)
	wantEqual(t, "total", a.at("meta", "total"), 2)
	wantEqual(t, "item", a.at("data", "1"), value.Map(
		"id", 1, "author", "John Doe", "author_profile_photo", "https://ui-avatars.com/api/?name=J+D&color=2563eb&background=eff6ff",
		"recipient", "Jane Roe", "recipient_profile_photo", "https://ui-avatars.com/api/?name=J+R&color=2563eb&background=eff6ff",
		"description", "A rank record has been added", "event", "created", "type", "rankrecord", "headline", "A rank record has been added for Jane Roe",
		"text", "<p>Promoted.</p>", "item", "Sergeant", "color", "#ca8a04", "created_at", "2026-01-14T12:00:00.000000Z", "likes", value.List()))
	newest := a.at("data", "0")
	wantEqual(t, "newest", value.List(at(newest, "author"), at(newest, "author_profile_photo"), at(newest, "recipient"), at(newest, "item"), at(newest, "color"), at(newest, "created_at")),
		value.List(nil, nil, "John Doe", nil, "#dc2626", "2026-01-14T12:01:00.000000Z"))
	s.want(200, "POST", "newsfeed/1/likes/attach", `{"resources":[2]}`)
	wantEqual(t, "likes", s.want(200, "GET", "newsfeed", nil).at("data", "1", "likes", "0", "name"), "John Doe")
	wantEqual(t, "likes of another", s.want(200, "GET", "newsfeed", nil).at("data", "0", "likes"), value.List())

	for _, request := range []string{"POST newsfeed", "PUT newsfeed", "DELETE newsfeed"} {
		method, path, _ := strings.Cut(request, " ")
		s.do(method, path, `{"type":"rankrecord"}`).wantStatus(t, 405)
	}
	for _, request := range []string{"GET newsfeed/1", "PUT newsfeed/1", "DELETE newsfeed/1", "POST newsfeed/search", "POST newsfeed/batch", "DELETE newsfeed/batch",
		"GET newsfeed/1/likes/2", "PUT newsfeed/1/likes/2", "DELETE newsfeed/1/likes/2", "POST newsfeed/1/likes/search", "POST newsfeed/1/likes/batch", "PATCH newsfeed/1/likes/toggle", "PATCH newsfeed/1/likes/2/pivot"} {
		method, path, _ := strings.Cut(request, " ")
		s.do(method, path, `{"resources":[1]}`).wantNotFound(t)
	}
	s.do("POST", "newsfeed/1/likes", `{"name":"x","email":"x@example.com"}`).wantStatus(t, 405)
	wantEqual(t, "of another organization", s.another().want(200, "GET", "newsfeed", nil).at("meta", "total"), 0)

	// It follows its people: their names as they are now, and nothing of who is gone.
	s.want(200, "PUT", "users/1", `{"name":"Jane Doe"}`)
	wantEqual(t, "new name", s.want(200, "GET", "newsfeed", nil).at("data", "1", "recipient"), "Jane Doe")
	s.want(200, "DELETE", "users/2", nil)
	a = s.want(200, "GET", "newsfeed", nil)
	wantEqual(t, "without John", value.List(a.at("meta", "total"), a.at("data", "0", "author"), a.at("data", "0", "likes")), value.List(1, nil, value.List()))
	s.want(200, "DELETE", "rank-records/1", nil)
	wantEqual(t, "news of a record that is gone", s.want(200, "GET", "newsfeed", nil).at("meta", "total"), 1)
}

func TestRoster_automatic(t *testing.T) {
	s := newServer(t)
	s.create("ranks", "name", "Sergeant")
	s.create("statuses", "name", "Active", "color", "#16a34a")
	for _, name := range []string{"Companies", "Staff"} {
		s.create("groups", "name", name, "order", 9-len(name)) // Staff comes last
	}
	s.create("groups", "name", "Secret", "hidden", true)
	s.create("units", "name", "Alpha")
	s.create("units", "name", "Bravo")
	s.create("units", "name", "Ghosts", "hidden", true)
	s.create("users", "name", "Jane", "email", "jane@example.com", "unit_id", 1, "rank_id", 1, "status_id", 1)
	s.create("users", "name", "John", "email", "john@example.com", "unit_id", 1)
	s.create("users", "name", "Ghost", "email", "ghost@example.com", "unit_id", 3)
	s.create("users", "name", "Free", "email", "free@example.com")
	s.want(201, "POST", "ranks/1/image", value.Map("name", "Chevrons", "image", pixel))
	s.want(201, "POST", "units/1/image", value.Map("name", "Patch", "image", pixel))
	s.want(200, "POST", "groups/1/units/attach", `{"resources":{"1":{"order":2},"2":{"order":1},"3":{"order":3}}}`)
	s.want(200, "POST", "groups/2/units/attach", `{"resources":[1]}`)

	for _, path := range []string{"roster", "roster?type=automatic", "roster?type="} {
		a := s.want(200, "GET", path, nil)
		wantEqual(t, "groups", value.List(len(a.items(t)), a.at("meta", "total"), a.at("data", "0", "name"), a.at("data", "1", "name")), value.List(2, 2, "Companies", "Staff"))
		group := a.at("data", "0")
		wantEqual(t, "image of a group", value.List(group.(*value.Array).Has("image"), at(group, "image")), value.List(true, nil))
		wantEqual(t, "units", value.List(at(group, "units", "0", "name"), at(group, "units", "1", "name"), at(group, "units", "2")), value.List("Bravo", "Alpha", nil))
		wantEqual(t, "people of an empty unit", at(group, "units", "0", "users"), value.List())
		alpha := at(group, "units", "1")
		wantEqual(t, "image of a unit", at(alpha, "image", "name"), "Patch")
		wantEqual(t, "slots", alpha.(*value.Array).Has("slots"), false)
		jane, john := at(alpha, "users", "0"), at(alpha, "users", "1")
		wantEqual(t, "people", value.List(at(jane, "name"), at(john, "name"), at(alpha, "users", "2")), value.List("Jane", "John", nil))
		wantEqual(t, "what they have", value.List(at(jane, "rank", "name"), at(jane, "rank", "image", "name"), at(jane, "status", "name"), at(john, "rank")), value.List("Sergeant", "Chevrons", "Active", nil))
		for _, name := range []string{"position", "specialty"} {
			wantEqual(t, name+" is shown", john.(*value.Array).Has(name), true)
		}
		wantEqual(t, "the same unit in another group", at(a.at("data", "1"), "units", "0", "users", "1", "name"), "John")
		wantEqual(t, "the group alone", s.want(200, "GET", strings.Replace(path, "roster", "roster/1", 1), nil).at("data"), group)
	}
	second := s.want(200, "GET", "roster?limit=1&page=2", nil)
	wantEqual(t, "second page", value.List(second.at("data", "0", "name"), second.at("meta", "total"), second.at("meta", "path")), value.List("Staff", 2, s.url+"/v2/roster"))

	for _, path := range []string{"roster", "roster/1"} {
		s.do("GET", path+"?type=secret", nil).wantInvalid(t, "type")
		s.scoped("view:group").want(200, "GET", path, nil)
		s.scoped("view:unit", "view:user", "view:roster").do("GET", path, nil).wantForbidden(t)
		s.do("POST", path, nil).wantStatus(t, 405)
	}
	for _, none := range []string{"99", "0", "x"} {
		s.do("GET", "roster/"+none, nil).wantNotFound(t)
	}
	other := s.another()
	wantEqual(t, "of another organization", other.want(200, "GET", "roster", nil).at("data"), value.List())
	other.do("GET", "roster/1", nil).wantNotFound(t)
}

// A slot can be in several units. Who fills it is in the unit in which he does, and nowhere else.
func TestRoster_manual(t *testing.T) {
	s, exec := newFileServer(t)
	s.create("groups", "name", "Companies")
	s.create("groups", "name", "Staff")
	s.create("units", "name", "Alpha")
	s.create("units", "name", "Bravo")
	s.create("slots", "name", "Leader", "order", 2)
	s.create("slots", "name", "Medic", "order", 1)
	s.create("slots", "name", "Spy", "hidden", true)
	for slot, units := range map[string]string{"1": "[1,2]", "2": "[2]", "3": "[1]"} {
		s.want(200, "POST", "slots/"+slot+"/units/attach", `{"resources":`+units+`}`)
	}
	s.want(200, "POST", "groups/1/units/attach", `{"resources":[1,2]}`)
	s.want(200, "POST", "groups/2/units/attach", `{"resources":[2]}`)
	for _, name := range []string{"Ann", "Bob", "Cid", "Dee"} {
		s.create("users", "name", name, "email", strings.ToLower(name)+"@example.com", "unit_id", 1)
	}
	fill := func(user string, slot, unit int) {
		exec("UPDATE users SET unit_slot_id = (SELECT id FROM unit_slots WHERE slot_id = $1 AND unit_id = $2) WHERE name = $3", slot, unit, user)
	}
	fill("Ann", 1, 1)
	fill("Bob", 1, 2)
	fill("Cid", 3, 1)

	a := s.want(200, "GET", "roster?type=manual", nil)
	shown := func(group any) string {
		var lines []string
		units, _ := at(group, "units").(*value.Array)
		for _, unit := range units.All() {
			if unit.(*value.Array).Has("users") {
				t.Error("a unit of the manual roster has users of its own")
			}
			slots, _ := at(unit, "slots").(*value.Array)
			for _, slot := range slots.All() {
				line := at(unit, "name").(string) + " " + at(slot, "name").(string) + ":"
				users, _ := at(slot, "users").(*value.Array)
				for _, user := range users.All() {
					line += " " + at(user, "name").(string)
				}
				lines = append(lines, line)
			}
		}
		return strings.Join(lines, ", ")
	}
	wantEqual(t, "Companies", shown(a.at("data", "0")), "Alpha Leader: Ann, Bravo Medic:, Bravo Leader: Bob")
	wantEqual(t, "Staff", shown(a.at("data", "1")), "Bravo Medic:, Bravo Leader: Bob")
	wantEqual(t, "the group alone", s.want(200, "GET", "roster/1?type=manual", nil).at("data"), a.at("data", "0"))
	wantEqual(t, "a person's relations", at(a.at("data", "0"), "units", "0", "slots", "0", "users", "0").(*value.Array).Has("rank"), true)
	wantEqual(t, "the slot's people", s.want(200, "GET", "slots/1?include=users,units,assignment_records", nil).at("data", "users", "1", "name"), "Bob")
}

func TestAnnouncements(t *testing.T) {
	s := newServer(t)
	for _, test := range []struct{ sent, want string }{
		{"#abc", "#abc"}, {"#12345678", "#12345678"}, {"success", "#16a34a"}, {"danger", "#dc2626"}, {"warning", "#ca8a04"}, {"info", "#2563eb"}, {"Danger", "#2563eb"},
	} {
		a := s.create("announcements", "title", "Drill", "content", "Tonight", "color", test.sent)
		wantEqual(t, "color "+test.sent, at(a, "color"), test.want)
		wantEqual(t, "defaults", value.List(at(a, "global"), at(a, "enabled"), at(a, "expires_at")), value.List(false, true, nil))
		s.want(200, "DELETE", under("announcements", id(a)), nil)
	}
	on := id(s.create("announcements", "title", "On", "content", "?", "color", "info"))
	off := id(s.create("announcements", "title", "Off", "content", "?", "color", "info", "enabled", false))
	wantEqual(t, "list", s.want(200, "GET", "announcements", nil).ids(t), key(on))
	wantEqual(t, "a disabled one", s.want(200, "GET", under("announcements", off), nil).at("data", "enabled"), false)
	for scope, want := range map[string]string{"enabled": key(on), "disabled": key(off)} {
		wantEqual(t, scope, s.want(200, "POST", "announcements/search", `{"scopes":[{"name":"`+scope+`"}]}`).ids(t), want)
	}
	wantEqual(t, "without a scope", s.want(200, "POST", "announcements/search", `{}`).ids(t), key(on))
	s.do("POST", "announcements/search", `{"scopes":[{"name":"hidden"}]}`).wantInvalid(t, "scopes.0.name")
}

// The scopes of the two rosters are known for groups, and leave the list as it is.
func TestGroups_scopes(t *testing.T) {
	s := newServer(t)
	seen := id(s.create("groups", "name", "Seen"))
	hidden := id(s.create("groups", "name", "Hidden", "hidden", true))
	for scope, want := range map[string]int64{"forAutomaticRoster": seen, "forManualRoster": seen, "visible": seen, "hidden": hidden} {
		wantEqual(t, scope, s.want(200, "POST", "groups/search", `{"scopes":[{"name":"`+scope+`"}]}`).ids(t), key(want))
	}
	s.do("POST", "units/search", `{"scopes":[{"name":"forManualRoster"}]}`).wantInvalid(t, "scopes.0.name")
}

// A comment belongs to a resource of any of the kinds that can have some, or to none.
func TestComments_models(t *testing.T) {
	s := newServer(t)
	m := s.maker()
	var all []int64
	for _, option := range personnel.Comment.Field("model_type").Options {
		k := personnel.ByModel(option.(string))
		of := m.id(k)
		a := s.want(201, "POST", "comments", value.Map("comment", "Well done", "model_type", option, "model_id", of))
		all = append(all, id(a.at("data")))
		wantEqual(t, "model", value.List(a.at("data", "model_type"), a.at("data", "model_id")), value.List(option, of))
		shown := s.want(200, "GET", under("comments", id(a.at("data")))+"?include=commentable", nil).data(t)
		wantEqual(t, "commentable", at(shown, "commentable"), s.show(k, of))
		wantEqual(t, "comments of a "+k.Name, s.want(200, "GET", path(k, of)+"?include=comments", nil).at("data", "comments", "0", "comment"), "Well done")
	}
	if len(all) != 9 {
		t.Errorf("%d kinds have comments, want 9: events, submissions and 7 records", len(all))
	}
	none := id(s.create("comments", "comment", "Of nothing"))
	list := s.want(200, "GET", "comments?include=commentable,author", nil).items(t)
	for _, item := range list { // of many kinds on one page
		label, _ := at(item, "commentable", "label").(string)
		if id(item) != none && !strings.HasSuffix(label, ": "+key(at(item, "model_id").(int64))) || id(item) == none && at(item, "commentable") != nil {
			t.Errorf("comment %s has the commentable %q", text(item), label)
		}
	}

	record := m.id(&personnel.RankRecord)
	const model = `App\Models\RankRecord`
	for _, test := range []struct {
		fields *value.Array
		wrong  string
	}{
		{value.Map("model_type", `App\Models\Nothing`, "model_id", record), "model_type"},
		{value.Map("model_type", `App\Models\Rank`, "model_id", m.id(&personnel.Rank)), "model_type"}, // which has no comments
		{value.Map("model_type", "rankrecord", "model_id", record), "model_type"},
		{value.Map("model_id", record), "model_type"},
		{value.Map("model_type", model), "model_id"},
		{value.Map("model_type", model, "model_id", nil), "model_id"},
		{value.Map("model_type", model, "model_id", 999999), "model_id"},
		{value.Map("model_type", model, "model_id", 0), "model_id"},
		{value.Map("model_type", model, "model_id", "x"), "model_id"},
	} {
		test.fields.Set("comment", "?")
		a := s.do("POST", "comments", test.fields)
		a.wantInvalid(t, test.wrong)
		if strings.Contains(a.text, "more error") {
			t.Errorf("one mistake is reported twice: %s", a.text)
		}
		s.do("PUT", under("comments", none), test.fields).wantInvalid(t, test.wrong)
	}
	other := s.another()
	theirs := other.maker().id(&personnel.RankRecord)
	s.do("POST", "comments", value.Map("comment", "?", "model_type", model, "model_id", theirs)).wantInvalid(t, "model_id")

	// It moves with both fields, and goes with what it belongs to.
	a := s.want(200, "PUT", under("comments", none), value.Map("model_type", model, "model_id", record))
	wantEqual(t, "moved", a.at("data", "model_id"), record)
	wantEqual(t, "of nothing again", s.want(200, "PUT", under("comments", none), value.Map("model_type", nil, "model_id", nil)).at("data", "model_type"), nil)
	s.want(200, "PUT", under("comments", none), value.Map("model_type", model, "model_id", record))
	s.want(200, "DELETE", under("rank-records", record), nil)
	s.do("GET", under("comments", none), nil).wantNotFound(t)
	s.want(200, "DELETE", under("users", m.id(&personnel.User)), nil) // and with him all his records
	s.want(200, "DELETE", under("events", m.id(&personnel.CalendarEvent)), nil)
	s.want(200, "DELETE", under("submissions", m.id(&personnel.Submission)), nil)
	wantEqual(t, "comments left", s.want(200, "GET", "comments", nil).at("data"), value.List())
}

// What hangs on a resource goes with it, however the resource goes: nobody could reach it any more.
func TestDelete_takesWhatHangsOnIt(t *testing.T) {
	s := newServer(t)
	m := s.maker()
	calendar := m.id(&personnel.Calendar)
	event := under("events", m.id(&personnel.CalendarEvent))
	s.want(201, "POST", event+"/image", value.Map("name", "Poster", "image", pixel))
	user := under("users", m.id(&personnel.User))
	s.want(201, "POST", user+"/attachments", value.Map("name", "Orders", "file", pixel))
	unit := under("units", m.id(&personnel.Unit))
	s.want(201, "POST", unit+"/image", value.Map("name", "Patch", "image", pixel))
	image := s.want(200, "GET", "images?include=model", nil)
	wantEqual(t, "images", value.List(image.at("data", "0", "model", "label"), image.at("data", "1", "model", "label")), value.List("Event: 1", "Unit: 1"))
	wantEqual(t, "attachment", s.want(200, "GET", "attachments?include=model", nil).at("data", "0", "model", "label"), "User: 1")
	wantEqual(t, "image of the unit", s.want(200, "GET", unit+"/image", nil).at("data", "name"), "Patch")
	wantEqual(t, "images of the event", s.want(200, "GET", event+"/image", nil).ids(t), "1")
	wantEqual(t, "attachments of the user", s.want(200, "GET", user+"/attachments", nil).ids(t), "1")
	s.want(200, "DELETE", under("calendars", calendar), nil)
	wantEqual(t, "images without the event's", s.want(200, "GET", "images", nil).ids(t), "2")
	s.want(200, "DELETE", "units/batch", value.Map("resources", value.List(m.id(&personnel.Unit))))
	s.want(200, "DELETE", user, nil)
	for _, path := range []string{"images", "attachments"} {
		wantEqual(t, path, s.want(200, "GET", path, nil).at("data"), value.List())
	}
}

// A custom field that applies to a kind is asked for in all of its resources, as a form asks for its.
func TestCustomFields_ofAKind(t *testing.T) {
	s := newServer(t)
	m := s.maker()
	options := personnel.CustomField.Field("applies_to").Options
	if len(options) != 9 {
		t.Errorf("fields apply to %d kinds, want users, submissions and 7 records", len(options))
	}
	for _, option := range options {
		t.Run(option.(string), func(t *testing.T) {
			s := s.in(t)
			m := &maker{server: s, made: m.made, n: m.n + 1000*len(option.(string))}
			var k *personnel.Kind
			for _, one := range served() {
				if one.Path == option {
					k = one
				}
			}
			if k == nil || !k.Custom {
				t.Fatalf("%v is no kind with custom fields", option)
			}
			before := m.make(k)
			name := strings.ReplaceAll(k.Name, "-", "")
			points, callsign := "points_"+name, "callsign_"+name
			number := id(s.create("fields", "name", "Points", "key", points, "type", "number", "rules", "integer|min:0", "applies_to", value.List(k.Path)))
			required := id(s.create("fields", "name", "Callsign", "key", callsign, "type", "text", "required", true, "applies_to", value.List(k.Path)))
			fields := func(pairs ...any) *value.Array {
				f := m.required(k)
				for key, v := range value.Map(pairs...).All() {
					f.Set(key.String(), v)
				}
				return f
			}
			s.do("POST", k.Path, fields(points, -1)).wantInvalid(t, points, callsign)
			s.do("POST", k.Path, fields(points, "many", callsign, 5)).wantInvalid(t, points, callsign)
			s.do("POST", k.Path+"/batch", value.Map("resources", value.List(fields(callsign, "Fox"), fields()))).wantInvalid(t, "resources.1."+callsign)
			one := s.want(201, "POST", k.Path, fields(points, 10, callsign, "Eagle")).data(t)
			two := s.want(201, "POST", k.Path, fields(callsign, "Falcon")).data(t)
			wantEqual(t, "answers", value.List(at(one, points), at(one, callsign), at(two, callsign)), value.List(10, "Eagle", "Falcon"))
			wantEqual(t, "what show answers", s.show(k, id(one)), one)
			s.do("PUT", path(k, id(one)), value.Map(points, 1.5)).wantInvalid(t, points)
			s.do("PUT", path(k, id(one)), value.Map(callsign, nil)).wantInvalid(t, callsign)
			wantEqual(t, "changed", s.want(200, "PATCH", path(k, id(one)), value.Map(points, 20)).at("data", points), 20)
			wantEqual(t, "one from before", s.want(200, "PUT", path(k, before), value.Map(points, 5)).at("data", points), 5)

			search := func(filter string) string {
				return s.want(200, "POST", k.Path+"/search?limit=100", `{"filters":[`+filter+`],"sort":[{"field":"`+points+`","direction":"desc"}]}`).ids(t)
			}
			wantEqual(t, "points above 3", search(`{"field":"`+points+`","operator":">","value":3}`), key(id(one))+" "+key(before))
			wantEqual(t, "callsigns like a bird", search(`{"field":"`+callsign+`","operator":"like","value":"F%"}`), key(id(two)))

			// Elsewhere it means nothing.
			award := s.create("awards", "name", "Medal", points, 5)
			wantEqual(t, "points of an award", award.Has(points), false)
			s.do("POST", "awards/search", `{"sort":[{"field":"`+points+`"}]}`).wantInvalid(t, "sort.0.field")
			s.want(200, "PUT", under("fields", required), `{"applies_to":null}`)
			s.want(201, "POST", k.Path, fields())
			s.want(200, "DELETE", under("fields", number), nil)
			wantEqual(t, "answers that are kept", s.want(200, "PUT", path(k, id(one)), value.Map(points, 99)).at("data", points), 20)
		})
	}
	s.do("POST", "fields", `{"name":"x","key":"x","type":"text","applies_to":["ranks"]}`).wantInvalid(t, "applies_to")
	wantEqual(t, "one kind", text(s.want(201, "POST", "fields", `{"name":"x","key":"x","type":"text","applies_to":"users"}`).at("data", "applies_to")), `["users"]`)
	other := s.another()
	other.create("users", "name", "Theirs", "email", "theirs@example.com", "x", "y")
	wantEqual(t, "another organization's user", other.want(200, "GET", "users", nil).at("data", "0", "x"), nil)
}
