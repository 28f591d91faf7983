package store_test

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
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

var update = flag.Bool("update", false, "write testdata/envelopes.jsonl anew")

// head is an envelope up to its data.
func head(name string) string {
	a := storetest.Actor()
	return `{"event":"` + name + `","created":"2026-01-14T12:00:00.123456Z","request_id":"` + a.RequestID + `","trace_id":"` + a.TraceID + `","data":`
}

// An example is a resource of the example unit: how it is made, and changed afterwards.
type example struct {
	kind   *personnel.Kind
	id     int64
	create []any
	data   string // custom fields that no request can write
	update []any
}

// The examples are in an order in which they can be made. Their updates bring about the state that
// testdata/updated shows, which is that of PERSCOM's examples.
var examples = []example{
	{kind: &personnel.User, id: 12, create: []any{"name", "Jane Roe", "email", "jane@example.com", "created_at", "2025-11-02T09:14:10Z",
		"email_verified_at", "2025-11-02T09:15:00Z"}, data: `{"promotion_points":10}`, update: []any{"last_seen_at", "2026-01-14T11:58:02Z"}},
	{kind: &personnel.AssignmentRecord, id: 41, create: []any{"user_id", 12, "type", "primary", "status_id", 1, "unit_id", 4, "position_id", 3,
		"specialty_id", 2, "author_id", 1, "created_at", "2025-12-01T18:00:00Z"}, update: []any{"text", "<p>Transferred to 1st Squad.</p>"}},
	{kind: &personnel.AwardRecord, id: 17, create: []any{"user_id", 12, "award_id", 2, "author_id", 1, "document_id", 6, "created_at", "2026-01-10T20:00:00Z"},
		update: []any{"text", "<p>For meritorious service.</p>"}},
	{kind: &personnel.CombatRecord, id: 8, create: []any{"user_id", 12, "author_id", 1, "text", "?", "created_at", "2026-01-09T21:00:00Z"},
		update: []any{"text", "<p>Operation Iron Gate.</p>"}},
	{kind: &personnel.QualificationRecord, id: 22, create: []any{"user_id", 12, "qualification_id", 3, "author_id", 1, "text", "?", "created_at", "2026-01-08T19:30:00Z"},
		update: []any{"text", nil}},
	{kind: &personnel.ServiceRecord, id: 55, create: []any{"user_id", 12, "author_id", 1, "text", "?", "created_at", "2026-01-05T18:00:00Z"},
		data: `{"promotion_points":5}`, update: []any{"text", "<p>Completed basic training.</p>"}},
	{kind: &personnel.Calendar, id: 2, create: []any{"name", "?", "color", "#2563eb", "created_at", "2025-10-01"}, update: []any{"name", "Operations"}},
	{kind: &personnel.CalendarEvent, id: 7, create: []any{"name", "Weekly Operation", "calendar_id", 2, "description", "<p>Briefing at 19:00.</p>",
		"url", "https://unit.example.com/events/7", "author_id", 1, "all_day", false, "starts", "2026-02-01T19:00:00Z", "ends", "2026-02-01T21:00:00Z",
		"notifications_interval", value.List("pt1h", "p1d"), "created_at", "2026-01-03T10:00:00Z"},
		update: []any{"location", "Server 1", "notifications_channels", value.List("mail", "discord_public")}},
	{kind: &personnel.Message, id: 9, create: []any{"message", "<p>Welcome to the unit!</p>", "channels", value.List("database", "mail"),
		"recipients", value.List(int64(12)), "created_at", "2026-01-14T11:59:58Z"}, update: []any{"sent_at", "2026-01-14T12:00:00Z"}},
	{kind: &personnel.Submission, id: 14, create: []any{"form_id", 3, "user_id", 12, "reason", "Leave", "start_date", "2026-02-01", "created_at", "2026-01-13T08:00:00Z"},
		update: []any{"reason", "Leave of absence"}},
	{kind: &personnel.RankRecord, id: 31, create: []any{"user_id", 12, "rank_id", 5, "author_id", 1, "text", "<p>Promoted.</p>", "type", 1},
		update: []any{"type", 0}},
}

// addReferences makes what the examples refer to, and their author.
func addReferences(t *testing.T, s *store.Store) {
	t.Helper()
	for _, one := range []example{
		{kind: &personnel.Status, id: 1, create: []any{"name", "Active", "color", "#16a34a", "order", 1}},
		{kind: &personnel.Status, id: 4, create: []any{"name", "Open", "color", "#2563eb"}},
		{kind: &personnel.Unit, id: 4, create: []any{"name", "1st Squad", "order", 1}},
		{kind: &personnel.Position, id: 3, create: []any{"name", "Team Leader", "order", 1}},
		{kind: &personnel.Specialty, id: 2, create: []any{"name", "Infantryman", "abbreviation", "11B", "order", 2}},
		{kind: &personnel.Rank, id: 5, create: []any{"name", "Sergeant", "abbreviation", "SGT", "paygrade", "E-5", "order", 5}},
		{kind: &personnel.Award, id: 2, create: []any{"name", "Medal", "order", 1}},
		{kind: &personnel.Qualification, id: 3, create: []any{"name", "Marksman", "order", 1}},
		{kind: &personnel.User, id: 1, create: []any{"name", "John Doe", "email", "john@example.com"}},
		{kind: &personnel.Document, id: 6, create: []any{"name", "Award Citation", "content", "<p>Awarded to {user_name}.</p>", "author_id", 1}},
		{kind: &personnel.Form, id: 3, create: []any{"name", "Leave Request", "slug", "leave-request", "is_public", false, "submission_status_id", 4}},
		{kind: &personnel.CustomField, id: 1, create: []any{"name", "Reason", "key", "reason", "type", "text"}},
		{kind: &personnel.CustomField, id: 2, create: []any{"name", "Start", "key", "start_date", "type", "date"}},
	} {
		createAt(t, s, one.kind, one.id, append(one.create, "created_at", "2025-10-01", "updated_at", "2025-10-01")...)
	}
	link(t, s, &personnel.Form, 3, 1, 2)
}

// link gives a form or a user custom fields.
func link(t testing.TB, s *store.Store, k *personnel.Kind, id int64, fields ...int64) {
	t.Helper()
	storetest.Change(t, s, func(tx *store.Tx) error {
		_, err := tx.Link(storetest.Actor(), fieldsOf(k, id), links(fields...), false)
		return err
	})
}

// fieldsOf is what the relation fields of a form or user leads to.
func fieldsOf(k *personnel.Kind, id int64) *personnel.Within {
	return &personnel.Within{Kind: k, ID: id, Relation: k.Relation("fields")}
}

// links names resources by their ids, as a list in a request does.
func links(ids ...int64) []store.Link {
	list := make([]store.Link, len(ids))
	for i, id := range ids {
		list[i] = store.Link{ID: id, At: fmt.Sprint("resources.", i)}
	}
	return list
}

// exampleUnit makes the examples, changes each once it is made, and deletes them in the end. It
// returns the events of that.
func exampleUnit(t *testing.T, s *store.Store, clock *clockwork.FakeClock) []event {
	t.Helper()
	addReferences(t, s)
	return eventsOf(t, s, func() {
		for _, e := range examples {
			createAt(t, s, e.kind, e.id, e.create...)
			if e.data != "" {
				exec(t, s, "UPDATE "+e.kind.Table+" SET data = $1 WHERE id = $2", e.data, e.id)
			}
			switch e.kind {
			case &personnel.Submission:
				exec(t, s, "UPDATE submissions SET read_at = '2026-01-14 12:00:00' WHERE id = $1", e.id)
			case &personnel.RankRecord:
				clock.Advance(5 * time.Minute)
			}
			storetest.Update(t, s, e.kind, e.id, e.update...)
		}
		for _, e := range slices.Backward(examples) {
			storetest.Delete(t, s, e.kind, e.id)
		}
	})
}

// last returns the last of the events with the name.
func last(t *testing.T, list []event, name string) event {
	t.Helper()
	for _, e := range slices.Backward(list) {
		if e.Name == name {
			return e
		}
	}
	t.Fatalf("there is no event %s among %q", name, names(list))
	return event{}
}

func TestEvents_updatedIsAsInTheExamples(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *clockwork.FakeClock) {
		list := exampleUnit(t, s, clock)
		changes := map[string]string{
			"user":                `{"rank_id":5,"updated_at":"2026-01-14 12:00:00"}`,
			"assignmentrecord":    `{"text":"<p>Transferred to 1st Squad.<\/p>","updated_at":"2026-01-14 12:00:00"}`,
			"awardrecord":         `{"text":"<p>For meritorious service.<\/p>","updated_at":"2026-01-14 12:00:00"}`,
			"combatrecord":        `{"text":"<p>Operation Iron Gate.<\/p>","updated_at":"2026-01-14 12:00:00"}`,
			"qualificationrecord": `{"text":null,"updated_at":"2026-01-14 12:00:00"}`,
			"rankrecord":          `{"type":0,"updated_at":"2026-01-14 12:05:00"}`,
			"servicerecord":       `{"text":"<p>Completed basic training.<\/p>","updated_at":"2026-01-14 12:00:00"}`,
			"calendar":            `{"name":"Operations","updated_at":"2026-01-14 12:00:00"}`,
			"event":               `{"location":"Server 1","notifications_channels":"[\"mail\",\"discord_public\"]","updated_at":"2026-01-14 12:00:00"}`,
			"message":             `{"sent_at":"2026-01-14 12:00:00","updated_at":"2026-01-14 12:00:00"}`,
			"submission":          `{"data":"{\"reason\":\"Leave of absence\",\"start_date\":\"2026-02-01\"}","updated_at":"2026-01-14 12:00:00"}`,
		}
		for _, e := range examples {
			t.Run(e.kind.Name, func(t *testing.T) {
				name := e.kind.Name + ".updated"
				data, err := os.ReadFile(filepath.Join("testdata", "updated", e.kind.Name+".json"))
				if err != nil {
					t.Fatal(err)
				}
				want := head(name) + strings.ReplaceAll(strings.TrimSpace(string(data)), "/", `\/`) + `,"changes":` + changes[e.kind.Name] + `}`
				if e.kind == &personnel.RankRecord {
					want = strings.Replace(want, `"created":"2026-01-14T12:00`, `"created":"2026-01-14T12:05`, 1)
				}
				wantText(t, last(t, list, name).Envelope, want)
			})
		}
	})
}

// All 33 events of resources, with what comes before and after: testdata/envelopes.jsonl is what
// receivers get, a line each.
func TestEvents_envelopes(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *clockwork.FakeClock) {
		list := exampleUnit(t, s, clock)
		missing := personnel.EventNames()
		var got strings.Builder
		for _, e := range list {
			missing = slices.DeleteFunc(missing, func(name string) bool { return name == e.Name })
			got.WriteString(e.Envelope + "\n")
		}
		if len(missing) > 0 {
			t.Errorf("no event of %q", missing)
		}
		golden := filepath.Join("testdata", "envelopes.jsonl")
		if *update {
			if err := os.WriteFile(golden, []byte(got.String()), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		text, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		gotLines, wantLines := strings.Split(got.String(), "\n"), strings.Split(string(text), "\n")
		for i := range max(len(gotLines), len(wantLines)) {
			gotLine, wantLine := "", ""
			if i < len(gotLines) {
				gotLine = gotLines[i]
			}
			if i < len(wantLines) {
				wantLine = wantLines[i]
			}
			wantText(t, gotLine, wantLine)
		}
	})
}

// relations are those that receivers find in an event's data, beside what every user has.
var relations = map[string][]string{
	"user.created": {"rank", "position", "specialty", "unit", "status"}, "user.updated": {"rank", "position", "specialty", "unit", "status"},
	"user.deleted":             {"rank", "position", "specialty", "unit", "status"},
	"assignmentrecord.created": {"author", "user", "status", "unit", "position", "specialty", "unit_slot", "document"},
	"assignmentrecord.updated": {"document"}, "assignmentrecord.deleted": {"document"},
	"awardrecord.created": {"author", "user", "award", "document"},
	"awardrecord.updated": {"document"}, "awardrecord.deleted": {"document"},
	"combatrecord.created": {"author", "user", "document"},
	"combatrecord.updated": {"document"}, "combatrecord.deleted": {"document"},
	"qualificationrecord.created": {"author", "user", "qualification", "document"},
	"qualificationrecord.updated": {"document"}, "qualificationrecord.deleted": {"document"},
	"rankrecord.created": {"author", "user", "rank", "document"},
	"rankrecord.updated": {"document"}, "rankrecord.deleted": {"document"},
	"servicerecord.created": {"author", "user", "document"},
	"servicerecord.updated": {"document"}, "servicerecord.deleted": {"document"},
	"submission.created": {"form"}, "submission.updated": {"form"},
	"event.created":   {"author"},
	"message.created": {"schedule"},
}

func TestEvents_keysAreInOrder(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *clockwork.FakeClock) {
		for _, e := range exampleUnit(t, s, clock) {
			if got := e.decoded(t).Keys(); !slices.Equal(got, []string{"event", "created", "request_id", "trace_id", "data", "changes"}) {
				t.Errorf("%s: keys of the envelope are %q", e.Name, got)
			}
			stem, verb, _ := strings.Cut(e.Name, ".")
			k := personnel.ByName(stem)
			var want []string
			for _, f := range k.Fields {
				if !f.Hidden {
					want = append(want, f.Name)
				}
			}
			data := e.data(t)
			for _, custom := range []string{"promotion_points", "reason", "start_date"} {
				if data.Has(custom) {
					want = append(want, custom)
				}
			}
			for _, a := range k.Appended {
				want = append(want, a.Name)
			}
			want = append(append(want, "label"), relations[e.Name]...)
			if got := data.Keys(); !slices.Equal(got, want) {
				t.Errorf("%s: keys of data are\n     %q\nwant %q", e.Name, got, want)
			}
			if changes := e.changes(t); (changes == "[]") != (verb != "updated") {
				t.Errorf("%s: changes are %s", e.Name, changes)
			}
		}
	})
}

// What is secret on a user must not be in any event: neither his own nor one that he is nested in,
// neither as data nor among the changes, not even when it is a secret that changed.
func TestEvents_holdNoSecrets(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *clockwork.FakeClock) {
		addTrigger(t, s, "secrets", "AFTER INSERT ON users",
			"UPDATE users SET password = 'hunter2-password', remember_token = 'hunter2-token', discord_private_channel_id = 'hunter2-channel' WHERE id = NEW.id;")
		list := exampleUnit(t, s, clock)
		jane := user(t, s, "Jane Roe")
		list = append(list, eventsOf(t, s, func() {
			storetest.Change(t, s, func(tx *store.Tx) error {
				return tx.Save(storetest.Actor(), &personnel.User, jane.ID(), map[string]any{"password": "hunter2-again", "remember_token": "hunter2-again"})
			})
		})...)
		wantText(t, list[len(list)-1].changes(t), `{"updated_at":"2026-01-14 12:05:00"}`)
		for _, e := range list {
			if strings.Contains(e.Envelope, "hunter2") {
				t.Errorf("a secret is in %s", e.Envelope)
			}
			for _, key := range []string{"password", "remember_token", "discord_private_channel_id", "organization_id"} {
				if strings.Contains(e.Envelope, `"`+key+`"`) {
					t.Errorf("the key %s is in %s", key, e.Envelope)
				}
			}
			wantNoKey(t, e.Name, e.data(t), "data")
		}
		for _, causes := range query[*string](t, s, "SELECT causes FROM events") {
			if causes != nil && strings.Contains(*causes, "hunter2") {
				t.Errorf("a secret is in the causes %s", *causes)
			}
		}
	})
}

// wantNoKey looks for a key at any depth.
func wantNoKey(t *testing.T, where string, a *value.Array, unwanted string) {
	t.Helper()
	for key, v := range a.All() {
		if key.String() == unwanted {
			t.Errorf("%s has the key %s", where, unwanted)
		}
		if inner, ok := v.(*value.Array); ok {
			wantNoKey(t, where+"."+key.String(), inner, unwanted)
		}
	}
}

// The test vector by which others check signatures.
func TestEvents_vector(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *clockwork.FakeClock) {
		createAt(t, s, &personnel.Calendar, 2, "name", "Drills", "color", "#2563eb", "created_at", "2026-01-01")
		list := eventsOf(t, s, func() { storetest.Update(t, s, &personnel.Calendar, 2, "name", `Übungen / "Ops"`) })
		wantNames(t, list, "calendar.updated")
		wantText(t, list[0].Envelope, head("calendar.updated")+
			`{"id":2,"name":"\u00dcbungen \/ \"Ops\"","description":null,"color":"#2563eb","created_at":"2026-01-01T00:00:00.000000Z",`+
			`"updated_at":"2026-01-14T12:00:00.000000Z","label":"Calendar: 2"},"changes":{"name":"\u00dcbungen \/ \"Ops\"","updated_at":"2026-01-14 12:00:00"}}`)
		if n := len(list[0].Envelope); n != 444 {
			t.Errorf("the vector has %d bytes, want 444", n)
		}
	})
}

func TestEvents_webhookTest(t *testing.T) {
	before := strings.TrimSuffix(head("webhook.test"), `,"data":`)
	tests := []struct{ payload, want string }{
		{`{"status": "ok"}`, before + `,"data":{"status":"ok"},"changes":null}`},
		{`{}`, before + `,"data":[],"changes":null}`},
		{`[1,"ü/"]`, before + `,"data":[1,"\u00fc\/"],"changes":null}`},
		{`"text"`, before + `}`},
		{`null`, before + `}`},
		{`7`, before + `}`},
	}
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *clockwork.FakeClock) {
		// Neither subscribed nor active: a test is sent all the same, unless the webhook is disabled.
		w := storetest.AddWebhook(t, s, "https://example.com/hook", func(w *bugle.Webhook) { w.Events, w.Status = nil, bugle.Paused })
		storetest.AddWebhook(t, s, "https://example.com/other", nil)
		for _, test := range tests {
			payload, err := value.Decode([]byte(test.payload))
			if err != nil {
				t.Fatal(err)
			}
			var id int64
			list := eventsOf(t, s, func() {
				storetest.Change(t, s, func(tx *store.Tx) (err error) {
					id, err = tx.SendTest(storetest.Actor(), w.ID, payload)
					return err
				})
			})
			wantNames(t, list, "webhook.test")
			wantText(t, list[0].Envelope, test.want)
			d, err := s.Delivery(t.Context(), 1, id)
			if err != nil || d.WebhookID != w.ID || d.EventID != list[0].ID || d.Event != "webhook.test" {
				t.Errorf("the delivery is %+v, %v", d, err)
			}
		}
		off := storetest.AddWebhook(t, s, "https://example.com/off", func(w *bugle.Webhook) { w.Status = bugle.Disabled })
		var invalid *bugle.InvalidError
		err := s.Update(t.Context(), func(tx *store.Tx) error {
			if _, err := tx.SendTest(storetest.Actor(), off.ID, nil); !errors.Is(err, bugle.ErrConflict) {
				t.Errorf("a test of a disabled webhook: %v", err)
			}
			_, err := tx.SendTest(storetest.Actor(), w.ID, strings.Repeat("x", bugle.MaxTestPayload-1))
			return err
		})
		if !errors.As(err, &invalid) {
			t.Errorf("a test that is too large: %v", err)
		}
		if n := count(t, s, "deliveries"); n != len(tests) {
			t.Errorf("%d deliveries were made of %d tests", n, len(tests))
		}
	})
}

func TestEvents_ofBelongingsComeBeforeTheirOwner(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *clockwork.FakeClock) {
		addReferences(t, s)
		for _, e := range examples {
			createAt(t, s, e.kind, e.id, e.create...)
		}
		deleted := func(k *personnel.Kind, id int64) []event {
			return eventsOf(t, s, func() { storetest.Delete(t, s, k, id) })
		}
		wantNames(t, deleted(&personnel.User, 12), "assignmentrecord.deleted", "awardrecord.deleted", "combatrecord.deleted",
			"qualificationrecord.deleted", "rankrecord.deleted", "servicerecord.deleted", "user.deleted")
		wantNames(t, deleted(&personnel.Calendar, 2), "event.deleted", "calendar.deleted")
		wantNames(t, deleted(&personnel.Form, 3), "submission.deleted")
		for _, e := range examples {
			if n := count(t, s, e.kind.Table); n != 0 && e.kind != &personnel.User && e.kind != &personnel.Message {
				t.Errorf("%d rows are left of %s", n, e.kind.Table)
			}
		}
	})
}

func TestEvents_ofManyBelongings(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *clockwork.FakeClock) {
		jane := user(t, s, "Jane Roe")
		const n = 401 // more than are read at a time, twice
		storetest.Change(t, s, func(tx *store.Tx) error {
			for range n {
				if _, err := tx.Create(storetest.Actor(), &personnel.CombatRecord, value.Map("user_id", jane.ID(), "text", "?")); err != nil {
					return err
				}
			}
			return nil
		})
		list := eventsOf(t, s, func() { storetest.Delete(t, s, &personnel.User, jane.ID()) })
		if len(list) != n+1 {
			t.Errorf("there are %d events, want %d", len(list), n+1)
		}
	})
}

func TestEvents_rememberWhatCausedThem(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *clockwork.FakeClock) {
		john := user(t, s, "John Doe")
		actor := storetest.Actor()
		actor.UserID = john.ID()
		calendar := createIn(t, s, actor, &personnel.Calendar, "name", "Old", "color", "#2563eb", "updated_at", "2026-01-01")
		storetest.Change(t, s, func(tx *store.Tx) error {
			_, err := tx.Update(actor, &personnel.Calendar, calendar.ID(), value.Map("name", "New", "description", "?"))
			return err
		})
		got := query[string](t, s, "SELECT name || ' ' || resource_kind || ' ' || resource_id || ' ' || causer_id || ' ' || COALESCE(causes, 'none') FROM events WHERE id > 1 ORDER BY id")
		want := []string{"calendar.created calendar 1 1 none",
			`calendar.updated calendar 1 1 [["name","Old","New"],["description",null,"?"],["updated_at","2026-01-01 00:00:00","2026-01-14 12:00:00"]]`}
		if !slices.Equal(got, want) {
			t.Errorf("events are\n     %q\nwant %q", got, want)
		}
	})
}
