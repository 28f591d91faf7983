package store_test

import (
	"database/sql"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jonboulle/clockwork"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/internal/erasure"
	"github.com/buglehq/bugle/internal/store"
	"github.com/buglehq/bugle/internal/storetest"
	"github.com/buglehq/bugle/personnel"
	"github.com/buglehq/bugle/value"
)

// erase works on the erasures that there are until they have ended.
func erase(t *testing.T, s *store.Store, clock *clockwork.FakeClock) (steps int) {
	t.Helper()
	for range 100 {
		e, err := s.ClaimErasure(t.Context(), "worker", time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		if e == nil {
			if steps == 0 || len(query[int64](t, s, "SELECT id FROM erasures WHERE state = 'running'")) == 0 {
				return steps
			}
			clock.Advance(time.Minute) // it waits for attempts that are under way
			continue
		}
		for ; e.WaitsUntil.IsZero() && !e.Ended(); steps++ {
			if err := s.StepErasure(t.Context(), e, "worker"); err != nil {
				t.Fatal(err)
			}
		}
	}
	t.Fatal("an erasure does not end")
	return 0
}

// everyText is all texts in a database, each with its table and column; bytes are taken for texts.
func everyText(t *testing.T, s *store.Store, postgres bool) []string {
	t.Helper()
	columns := "SELECT m.name || '.' || p.name FROM sqlite_master m, pragma_table_info(m.name) p WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite_%' AND UPPER(p.type) IN ('TEXT', 'BLOB')"
	if postgres {
		columns = "SELECT c.table_name || '.' || c.column_name FROM information_schema.columns c JOIN information_schema.tables t ON t.table_name = c.table_name AND t.table_schema = c.table_schema WHERE c.table_schema = current_schema() AND t.table_type = 'BASE TABLE' AND c.data_type IN ('text', 'bytea')"
	}
	var all []string
	found := query[string](t, s, columns)
	if len(found) < 150 {
		t.Fatalf("only %d columns: %q", len(found), found)
	}
	for _, name := range found {
		table, column, _ := strings.Cut(name, ".")
		for _, text := range query[[]byte](t, s, fmt.Sprintf(`SELECT "%s" FROM "%s" WHERE "%s" IS NOT NULL`, column, table, column)) {
			all = append(all, name+": "+string(text))
		}
	}
	return all
}

func TestErasure(t *testing.T) {
	defer store.SetErasureStep(store.SetErasureStep(3))
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *clockwork.FakeClock) {
		for _, deleted := range []bool{false, true} {
			testErasure(t, s, clock, deleted)
		}
	})
}

func testErasure(t *testing.T, s *store.Store, clock *clockwork.FakeClock, deleted bool) {
	t.Helper()
	mark := map[bool]string{false: "Living", true: "Gone"}[deleted]
	secrets := []string{mark + " Quaxley-Doe", mark + " Formerly", strings.ToLower(mark) + "@quaxley.example", strings.ToLower(mark) + "-former@quaxley.example", "+49 30 " + fmt.Sprint(len(mark)*1111111),
		mark + " is allergic to bees & wasps", mark + "-discord-1234567", mark + "O-neg", "Zoë of " + mark}
	other := storetest.Create(t, s, &personnel.User, "name", "Sam "+mark, "email", "sam-"+strings.ToLower(mark)+"@example.com", "notes", "A friend of "+secrets[0]+", who is well.")
	if !deleted {
		storetest.Create(t, s, &personnel.CustomField, "name", "Blood", "key", "blood", "type", "text", "applies_to", value.List("users", "submissions"))
	}
	w := storetest.AddWebhook(t, s, "https://example.com/hook", func(w *bugle.Webhook) {
		w.Events = []string{"user.created", "user.updated", "user.deleted", "rankrecord.created", "submission.created"}
	})
	user := storetest.Create(t, s, &personnel.User, "name", secrets[1], "email", secrets[3], "blood", secrets[7])
	if err := s.Update(t.Context(), func(tx *store.Tx) error {
		return store.Exec(tx, "UPDATE users SET phone_number = $1 WHERE id = $2", secrets[4], user.ID())
	}); err != nil {
		t.Fatal(err)
	}
	storetest.Update(t, s, &personnel.User, user.ID(), "name", secrets[0], "email", secrets[2], "notes", secrets[5])
	storetest.Update(t, s, &personnel.User, user.ID(), "notes", secrets[8])
	if !deleted {
		storetest.Create(t, s, &personnel.Rank, "name", "Sergeant")
		storetest.Create(t, s, &personnel.Form, "name", "Leave", "slug", "leave", "is_public", true)
	}
	storetest.Create(t, s, &personnel.RankRecord, "user_id", user.ID(), "author_id", other.ID(), "rank_id", 1, "type", 0, "text", secrets[0]+" has earned it.")
	storetest.Create(t, s, &personnel.Submission, "form_id", 1, "user_id", user.ID(), "blood", secrets[7])
	storetest.Create(t, s, &personnel.Comment, "comment", "Ask "+strings.ToUpper(secrets[0])+", by "+secrets[2]+".", "model_type", `App\Models\RankRecord`, "model_id", 1)
	due := query[int64](t, s, "SELECT id FROM deliveries WHERE state = 0 AND webhook_id = $1 ORDER BY id", w.ID)
	if len(due) < 5 {
		t.Fatalf("only %d deliveries", len(due))
	}
	// One was sent, and the receiver told everything back.
	echo := []byte("got " + string(query[[]byte](t, s, "SELECT e.envelope FROM events e JOIN deliveries d ON d.event_id = e.id WHERE d.id = $1", due[1])[0]) + secrets[0])
	if len(echo) < 100 {
		t.Fatalf("%q", echo)
	}
	a := &bugle.Attempt{Number: 1, StartedAt: clock.Now(), Method: "POST", URL: "https://example.com/hook", Status: 500, Reason: "No " + secrets[0],
		Error: &bugle.AttemptError{Kind: bugle.ErrorStatus, Message: "no " + secrets[2]}, ResponseHeaders: http.Header{"X-Echo": {secrets[8], secrets[7]}}, ResponseBody: echo}
	if err := s.Record(t.Context(), []store.Result{{DeliveryID: due[1], WebhookID: w.ID, Attempt: a, Outcome: bugle.Outcome{State: bugle.Failed}}}, nil); err != nil {
		t.Fatal(err)
	}
	// A template wrote his short values into a text about him, and an automation failed at them.
	storetest.Change(t, s, func(tx *store.Tx) error {
		_, err := tx.Address(&bugle.Event{OrganizationID: 1, Name: "user.updated", ResourceKind: "user", ResourceID: user.ID(), CreatedAt: tx.Now(), Rendered: 1, RequestID: "r", TraceID: "t",
			Envelope: []byte(`{"text":"` + strings.ReplaceAll(secrets[0], " ", `\u0020`) + ` has ` + secrets[7] + `","user":{"id":` + fmt.Sprint(user.ID()) + `}}`)}, w.ID)
		return err
	})
	facts := query[string](t, s, "SELECT CAST(id AS TEXT) || ' ' || CAST(webhook_id AS TEXT) || ' ' || CAST(sequence AS TEXT) || ' ' || CAST(state AS TEXT) || ' ' || CAST(created_us AS TEXT) || ' ' || CAST(attempts AS TEXT) FROM deliveries ORDER BY id")
	if deleted {
		storetest.Change(t, s, func(tx *store.Tx) error {
			_, err := tx.Delete(store.Actor{OrganizationID: 1}, &personnel.User, user.ID())
			return err
		})
	}
	isPostgres := strings.Contains(t.Name(), "postgres")
	holds := func() []string {
		var found []string
		for _, text := range everyText(t, s, isPostgres) {
			for _, secret := range secrets {
				form := strings.Trim(fmt.Sprintf("%+q", secret), `"`) // \u00eb as in JSON
				if strings.Contains(strings.ToLower(text), strings.ToLower(secret)) || strings.Contains(strings.ReplaceAll(text, `\u0020`, " "), secret) || form != secret && strings.Contains(text, form) {
					found = append(found, fmt.Sprintf("%q in %.300s", secret, text))
				}
			}
		}
		return found
	}
	if before := holds(); len(before) < 20 {
		t.Fatalf("he is in so little that the test shows nothing: %q", before)
	}

	var e *store.Erasure
	start := func() error {
		return s.Update(t.Context(), func(tx *store.Tx) error {
			begun, err := tx.EraseUser(store.Actor{OrganizationID: 1, UserID: other.ID()}, user.ID())
			if err == nil {
				e = begun
			}
			return err
		})
	}
	if err := start(); err != nil {
		t.Fatal(err)
	}
	// Before its turn has come, the event of the change itself says nothing of what was.
	for _, causes := range query[string](t, s, "SELECT causes FROM events WHERE id = (SELECT MAX(id) FROM events WHERE NOT addressed) AND causes IS NOT NULL") {
		if strings.Contains(causes, secrets[0]) {
			t.Errorf("the event of the erasure has %s", causes)
		}
	}
	if err := start(); !errors.Is(err, bugle.ErrConflict) {
		t.Errorf("a second erasure beside the first: %v", err)
	}
	if known := query[[]byte](t, s, "SELECT known FROM erasures WHERE id = $1", e.ID); strings.Contains(string(known[0]), "quaxley") {
		t.Error("what is looked for is in the table as it is")
	}
	if steps := erase(t, s, clock); steps < 40 {
		t.Errorf("it took %d steps", steps)
	}
	got, err := s.Erasure(t.Context(), 1, user.ID())
	if err != nil || got.State != store.ErasureDone || got.FinishedAt.IsZero() || got.Changed < 10 || got.Looked <= got.Changed {
		t.Errorf("it is %+v, %v", got, err)
	}
	if found := holds(); len(found) > 0 {
		t.Errorf("he is still there:\n%s", strings.Join(found, "\n"))
	}
	// What is not his stays: facts of deliveries, and others.
	now := query[string](t, s, "SELECT CAST(id AS TEXT) || ' ' || CAST(webhook_id AS TEXT) || ' ' || CAST(sequence AS TEXT) || ' ' || CAST(state AS TEXT) || ' ' || CAST(created_us AS TEXT) || ' ' || CAST(attempts AS TEXT) FROM deliveries ORDER BY id")
	for _, fact := range facts {
		if !slices.Contains(now, fact) {
			t.Errorf("the delivery %s is not as it was: %q", fact, now)
		}
	}
	if proof, err := s.Prove(t.Context(), func(time.Duration) {}); err != nil || proof.Broken > 0 {
		t.Errorf("doctor says %+v, %v", proof, err)
	}
	friend, err := s.Get(t.Context(), 1, &personnel.User, other.ID())
	if err != nil || friend.Text("name") != "Sam "+mark || friend.Text("notes") != "A friend of [erased], who is well." {
		t.Errorf("the other user is %v, %v", friend, err)
	}
	if erased, err := s.Get(t.Context(), 1, &personnel.User, user.ID()); deleted != errors.Is(err, bugle.ErrNotFound) || !deleted && (erased.Text("name") != "[erased]" || erased.Text("email") != erasure.Email(user.ID()) || erased.Text("notes") != "" || erased.Custom.Len() > 0) {
		t.Errorf("his row is %v, %v", erased, err)
	}
	for _, id := range due {
		d, err := s.Delivery(t.Context(), 1, id)
		if err != nil {
			t.Fatal(err)
		}
		p, err := s.Payload(t.Context(), d.EventID)
		if err != nil || !regexp.MustCompile(`^\{"event":"`+d.Event+`","created":"2026-`).Match(p.Text) {
			t.Errorf("the body of delivery %d is %s, %v", id, p.Text, err)
		}
		if _, err := value.Decode(p.Text); err != nil {
			t.Errorf("the body of delivery %d: %v", id, err)
		}
	}
	if audited := query[string](t, s, "SELECT action || new_values || subject_name FROM audit_entries WHERE action = 'user.erased' AND subject_id = $1", user.ID()); len(audited) != 1 || !strings.Contains(audited[0], fmt.Sprintf(`{"erasure_id":%d}`, e.ID)) {
		t.Errorf("the audit log says %q", audited)
	}
	if err := start(); err != nil { // again, which finds nothing
		t.Errorf("once more: %v", err)
	}
	erase(t, s, clock)
}

// What a person was is in no byte of the files, neither where rows were longer nor where there are none any more.
func TestErasure_files(t *testing.T) {
	s, clock := storetest.NewFile(t)
	mark := func(i int, parts int) string {
		return fmt.Sprintf("Quaxley%d %s", i, strings.Repeat("is allergic to wasps. ", parts))
	}
	var users []int64
	for i := range 60 { // so that pages are split
		u := storetest.Create(t, s, &personnel.User, "name", fmt.Sprintf("Quaxley%d Doe", i), "email", fmt.Sprintf("quaxley%d@example.com", i), "notes", mark(i, i%10))
		users = append(users, u.ID())
	}
	for i, id := range users {
		storetest.Update(t, s, &personnel.User, id, "notes", mark(i, (i*7)%500), "phone_number", fmt.Sprint("+49 30 Quaxley", i, "x"))
	}
	person := 30
	for n := range 40 {
		storetest.Update(t, s, &personnel.User, users[person], "notes", mark(person, n*n))
	}
	storetest.Delete(t, s, &personnel.User, users[person+1])
	found := func(i int) (places []string) {
		words := regexp.MustCompile(fmt.Sprintf(`(?i)quaxley%d[^0-9]`, i))
		for _, name := range []string{"bugle.db", "bugle.db-wal"} {
			data, err := os.ReadFile(filepath.Join(s.Folder(), name))
			if err != nil {
				t.Fatal(err)
			}
			for _, at := range words.FindAllIndex(data, -1) {
				places = append(places, fmt.Sprintf("%s, page %d: %q", name, at[0]/4096+1, data[max(at[0]-60, 0):min(at[1]+60, len(data))]))
			}
		}
		return places
	}
	for _, i := range []int{person, person + 1} {
		if places := found(i); len(places) < 10 {
			t.Fatalf("he is in so little of the files that the test shows nothing: %q", places)
		}
		storetest.Change(t, s, func(tx *store.Tx) error {
			_, err := tx.EraseUser(storetest.Actor(), users[i])
			return err
		})
		erase(t, s, clock)
		if e, err := s.Erasure(t.Context(), 1, users[i]); err != nil || e.State != store.ErasureDone {
			t.Fatalf("it is %+v, %v", e, err)
		}
		if places := found(i); len(places) > 0 {
			t.Errorf("%d times he is still in the files: %s", len(places), strings.Join(places[:min(len(places), 5)], "\n"))
		}
	}
	if places := found(person + 2); len(places) < 2 {
		t.Errorf("of somebody else only %q is left", places)
	}
}

// While somebody reads the log of writes it cannot end, and the erasure waits for him, but not for ever.
func TestErasure_reader(t *testing.T) {
	defer store.SetSpaceTries(store.SetSpaceTries(3))
	s, clock := storetest.NewFile(t)
	db, err := sql.Open("sqlite", "file:"+filepath.Join(s.Folder(), "bugle.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, leaves := range []bool{true, false} {
		t.Run(fmt.Sprintf("leaves=%t", leaves), func(t *testing.T) {
			user := storetest.Create(t, s, &personnel.User, "name", "Jane Doe", "email", "jane@example.com")
			reader, err := db.BeginTx(t.Context(), nil)
			if err != nil {
				t.Fatal(err)
			}
			defer reader.Rollback()
			var n int
			if err := reader.QueryRow("SELECT COUNT(*) FROM users").Scan(&n); err != nil {
				t.Fatal(err)
			}
			storetest.Change(t, s, func(tx *store.Tx) error {
				_, err := tx.EraseUser(storetest.Actor(), user.ID())
				return err
			})
			now := func() *store.Erasure {
				e, err := s.Erasure(t.Context(), 1, user.ID())
				if err != nil {
					t.Fatal(err)
				}
				return e
			}
			var tries, failed int
			for range 200 {
				e, err := s.ClaimErasure(t.Context(), "worker", time.Minute)
				if err != nil {
					t.Fatal(err)
				}
				if e == nil {
					if now().Ended() {
						break
					}
					clock.Advance(time.Minute)
					continue
				}
				if e.Phase == "space" {
					if tries++; tries == 3 && leaves {
						if err := reader.Rollback(); err != nil {
							t.Fatal(err)
						}
					}
				}
				err = s.StepErasure(t.Context(), e, "worker")
				if waits := e.Phase == "space" && err == nil && tries > 0 && !e.Ended(); waits != e.WaitsUntil.After(clock.Now()) && e.Phase != "attempts" {
					t.Errorf("after try %d it waits until %s", tries, e.WaitsUntil)
				}
				if err != nil {
					if failed++; leaves || tries < 4 || !strings.Contains(err.Error(), "the log of writes is being read") {
						t.Fatalf("at try %d: %v", tries, err)
					}
					break
				}
			}
			if e := now(); leaves && (tries != 3 || e.State != store.ErasureDone) || !leaves && (failed != 1 || e.State != store.ErasureRunning) {
				t.Errorf("after %d tries, %d of which failed, it is %+v", tries, failed, e)
			}
		})
	}
}

// Who has written more than can be looked for is erased all the same, and the erasure says so.
func TestErasure_tooMuch(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *clockwork.FakeClock) {
		user := storetest.Create(t, s, &personnel.User, "name", "Jane Quaxley", "email", "jane@quaxley.example")
		for i := range 38 {
			storetest.Update(t, s, &personnel.User, user.ID(), "notes", fmt.Sprintf("%d %s", i, strings.Repeat("quaxley ", 7000)))
		}
		storetest.Change(t, s, func(tx *store.Tx) error {
			_, err := tx.EraseUser(storetest.Actor(), user.ID())
			return err
		})
		erase(t, s, clock)
		if e, err := s.Erasure(t.Context(), 1, user.ID()); err != nil || e.State != store.ErasureDone || !strings.Contains(e.Error, "some were not looked for") {
			t.Errorf("it is %+v, %v", e, err)
		}
		for _, text := range everyText(t, s, strings.Contains(t.Name(), "postgres")) {
			if strings.Contains(strings.ToLower(text), "quaxley") {
				t.Errorf("she is in %.300s", text)
			}
		}
	})
}
