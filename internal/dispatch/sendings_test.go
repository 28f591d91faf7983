package dispatch_test

import (
	"context"
	"database/sql"
	"fmt"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jonboulle/clockwork"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/internal/dispatch"
	"github.com/buglehq/bugle/internal/store"
	"github.com/buglehq/bugle/internal/storetest"
	"github.com/buglehq/bugle/personnel"
	"github.com/buglehq/bugle/value"
)

// send does what is due, round by round, and returns how many rounds that took.
func send(t testing.TB, s *store.Store, clock *clockwork.FakeClock) int {
	t.Helper()
	sender := dispatch.NewSender(s, dispatch.SenderOptions{Clock: clock})
	for n := range 1000 {
		sent, err := sender.Round(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		if !sent {
			return n
		}
	}
	t.Fatal("there is no end of messages")
	return 0
}

// sentBy returns what organization 1 owes by a channel: the names of the recipients, or - for a post, oldest
// first.
func sentBy(t testing.TB, s *store.Store, channel string) string {
	t.Helper()
	page, err := s.Deliveries(t.Context(), 1, store.DeliveryFilter{Channel: channel}, store.PageRequest{Number: 1, Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, d := range slices.Backward(page.Items) {
		payload, err := s.Payload(t.Context(), d.EventID)
		if err != nil {
			t.Fatal(err)
		}
		sent, err := bugle.ParseSent(payload.Text)
		switch {
		case err != nil:
			t.Fatal(err)
		case sent.Recipient == nil:
			names = append(names, "-")
		default:
			names = append(names, sent.Recipient.Name)
		}
	}
	return strings.Join(names, " ")
}

func want(t testing.TB, s *store.Store, channel, names string) {
	t.Helper()
	if got := sentBy(t, s, channel); got != names {
		t.Errorf("by %s it goes to %q, want %q", channel, got, names)
	}
}

func people(t testing.TB, s *store.Store, names ...string) (ids []int64) {
	t.Helper()
	for _, name := range names {
		ids = append(ids, storetest.Create(t, s, &personnel.User, "name", name, "email", name+"@example.com").ID())
	}
	return ids
}

func message(t testing.TB, s *store.Store, channels string, fields ...any) *personnel.Resource {
	t.Helper()
	list := value.NewArray(2)
	for name := range strings.FieldsSeq(channels) {
		list.Append(name)
	}
	return storetest.Create(t, s, &personnel.Message, append([]any{"message", "<p>Formation at 18:00.</p>", "channels", list}, fields...)...)
}

func stored(t testing.TB, s *store.Store, id int64) *personnel.Resource {
	t.Helper()
	r, err := s.Get(t.Context(), 1, &personnel.Message, id)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func notified(t testing.TB, s *store.Store, userID int64) (texts []string) {
	t.Helper()
	page, err := s.Notifications(t.Context(), 1, userID, store.PageRequest{Number: 1, Limit: 100})
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range page.Items {
		texts = append(texts, n.Channel+": "+n.Text)
	}
	return texts
}

func TestSender_recipients(t *testing.T) {
	s, clock := storetest.New(t)
	ids := people(t, s, "A", "B", "C")
	other := message(t, s, "mail sms slack database broadcast", "recipients", value.List(ids[2], ids[0], 999, ids[0]))
	send(t, s, clock)
	want(t, s, "mail", "A C")
	want(t, s, "sms", "A C")
	want(t, s, "slack", "-")
	want(t, s, "telegram", "")
	if got := notified(t, s, ids[0]); !slices.Equal(got, []string{"broadcast: <p>Formation at 18:00.</p>", "database: <p>Formation at 18:00.</p>"}) {
		t.Errorf("A was notified by %q", got)
	}
	if got := notified(t, s, ids[1]); got != nil {
		t.Errorf("B was notified by %q", got)
	}
	if got := stored(t, s, other.ID()).Text("sent_at"); got != "2026-01-14 12:00:00" {
		t.Errorf("it was sent at %q", got)
	}

	message(t, s, "mail") // to everyone
	send(t, s, clock)
	want(t, s, "mail", "A C A B C")

	message(t, s, "mail telegram", "recipients", value.List()) // to nobody, and to the group
	send(t, s, clock)
	want(t, s, "mail", "A C A B C")
	want(t, s, "telegram", "-")
	if send(t, s, clock) != 0 {
		t.Error("there was something to do")
	}
}

// A message says that it was sent by an event of its own, which has the ids of the request.
func TestSender_saysSo(t *testing.T) {
	s, clock := storetest.New(t)
	message(t, s, "slack")
	clock.Advance(time.Minute)
	send(t, s, clock)
	e, err := s.NewestEvent(t.Context(), 1, "message.updated")
	if err != nil || e.RequestID != storetest.Actor().RequestID || !strings.Contains(string(e.Envelope), `"changes":{"sent_at":"2026-01-14 12:01:00","updated_at":"2026-01-14 12:01:00"}`) {
		t.Errorf("%v\n%s", err, e.Envelope)
	}
	if _, err := s.NewestEvent(t.Context(), 1, bugle.SendEvent); err == nil {
		t.Error("a delivery's bytes are taken for an event")
	}
}

// rawSQL runs what no store would.
func rawSQL(t testing.TB, path, query string, args ...any) {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+(&url.URL{Path: path}).EscapedPath()+"?_pragma=busy_timeout(10000)")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(context.Background(), query, args...); err != nil {
		t.Fatal(err)
	}
}

// Whether the server stops between two steps or a step fails in its midst: every recipient gets one.
func TestSender_exactlyOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "bugle.db")
	clock := clockwork.NewFakeClockAt(storetest.Start)
	open := func() *store.Store {
		s, err := store.Open(t.Context(), "sqlite:"+path, store.Options{Clock: clock})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	s := open()
	if _, err := s.EnsureOrganization(t.Context(), "1st Test Battalion"); err != nil {
		t.Fatal(err)
	}
	const n = 5000
	rawSQL(t, path, `WITH RECURSIVE more (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM more WHERE n < ?)
		INSERT INTO users (organization_id, name, email) SELECT 1, 'User ' || n, n || '@example.com' FROM more`, n)
	rawSQL(t, path, `CREATE TRIGGER trouble BEFORE INSERT ON notifications WHEN NEW.user_id = 2345 BEGIN SELECT RAISE(ABORT, 'trouble'); END`)
	m := message(t, s, "mail database slack")
	began := time.Now()
	failed := 0
	for range 200 {
		sent, err := dispatch.NewSender(s, dispatch.SenderOptions{Clock: clock}).Round(t.Context())
		if err != nil {
			if failed++; failed == 3 {
				rawSQL(t, path, "DROP TRIGGER trouble")
			}
		} else if !sent {
			break
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		s = open()
	}
	t.Logf("%d recipients by two channels took %s, restarts included", n, time.Since(began))
	defer s.Close()
	if failed != 3 {
		t.Errorf("%d steps failed, want 3", failed)
	}
	count := func(f store.DeliveryFilter) int {
		page, err := s.Deliveries(t.Context(), 1, f, store.PageRequest{Number: 1, Limit: 1})
		if err != nil {
			t.Fatal(err)
		}
		return page.Total
	}
	if mails, posts := count(store.DeliveryFilter{Channel: "mail"}), count(store.DeliveryFilter{Channel: "slack"}); mails != n || posts != 1 {
		t.Errorf("there are %d mails and %d posts, want %d and 1", mails, posts, n)
	}
	db, err := sql.Open("sqlite", "file:"+path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for query, want := range map[string]int{
		"SELECT COUNT(DISTINCT user_id) FROM notifications":                                                                   n,
		"SELECT COUNT(*) FROM notifications":                                                                                  n,
		"SELECT COUNT(DISTINCT envelope ->> '$.recipient.id') FROM events WHERE name = 'message.send'":                        n,
		"SELECT MAX(sequence) - COUNT(*) FROM deliveries WHERE webhook_id = (SELECT id FROM webhooks WHERE channel = 'mail')": 0,
		"SELECT COUNT(*) FROM events WHERE name = 'message.updated'":                                                          1,
	} {
		var got int
		if err := db.QueryRowContext(t.Context(), query).Scan(&got); err != nil || got != want {
			t.Errorf("%s: %d, %v, want %d", query, got, err, want)
		}
	}
	if stored(t, s, m.ID()).Get("sent_at") == nil {
		t.Error("the message was not marked as sent")
	}
}

// A message that is deleted goes to nobody else, and what was owed before stays.
func TestSender_deleted(t *testing.T) {
	s, clock := storetest.New(t)
	names := make([]string, store.StepRecipients+10)
	for i := range names {
		names[i] = fmt.Sprint("user", i)
	}
	people(t, s, names...)
	m := message(t, s, "mail")
	if _, err := s.StepSending(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	storetest.Delete(t, s, &personnel.Message, m.ID())
	if n := send(t, s, clock); n != 0 {
		t.Errorf("%d more rounds", n)
	}
	if got := len(strings.Fields(sentBy(t, s, "mail"))); got != store.StepRecipients {
		t.Errorf("it went to %d, want the %d of the first step", got, store.StepRecipients)
	}
}

// A big organization does not hold up another, and neither gets what is the other's.
func TestSender_tenantsApart(t *testing.T) {
	s, clock := storetest.New(t)
	names := make([]string, 3*store.StepRecipients)
	for i := range names {
		names[i] = fmt.Sprint("user", i)
	}
	first := people(t, s, names...)
	other := storetest.Actor()
	storetest.Change(t, s, func(tx *store.Tx) error {
		o, err := tx.AddOrganization("2nd Test Battalion")
		other.OrganizationID = o.ID
		return err
	})
	message(t, s, "mail")
	var user *personnel.Resource
	storetest.Change(t, s, func(tx *store.Tx) (err error) {
		if user, err = tx.Create(other, &personnel.User, value.Map("name", "Z", "email", "z@example.com")); err != nil {
			return err
		}
		_, err = tx.Create(other, &personnel.Message, value.Map("message", "<p>2nd</p>", "channels", value.List("mail", "database"), "recipients", value.List(first[0], user.ID())))
		return err
	})
	if _, err := dispatch.NewSender(s, dispatch.SenderOptions{Clock: clock}).Round(t.Context()); err != nil {
		t.Fatal(err)
	}
	page, err := s.Deliveries(t.Context(), other.OrganizationID, store.DeliveryFilter{}, store.PageRequest{Number: 1, Limit: 10})
	if err != nil || len(page.Items) != 1 {
		t.Errorf("the other organization has %d deliveries after the first round, %v", len(page.Items), err)
	}
	send(t, s, clock)
	if got := notified(t, s, first[0]); got != nil {
		t.Errorf("a user of the first organization got %q", got)
	}
	if got := len(strings.Fields(sentBy(t, s, "mail"))); got != len(names) {
		t.Errorf("the first organization's message goes to %d", got)
	}
}

// run runs a sender until the test ends.
func run(t *testing.T, s *store.Store, clock *clockwork.FakeClock) {
	t.Helper()
	sender := dispatch.NewSender(s, dispatch.SenderOptions{Clock: clock})
	ctx, cancel := context.WithCancel(context.Background())
	var work sync.WaitGroup
	work.Go(func() { sender.Run(ctx) })
	t.Cleanup(func() {
		cancel()
		work.Wait()
	})
}

// until waits for what is sure to come.
func until(t testing.TB, what string, holds func() bool) {
	t.Helper()
	ticker := time.NewTicker(time.Millisecond)
	defer ticker.Stop()
	give := time.After(time.Minute)
	for !holds() {
		select {
		case <-ticker.C:
		case <-give:
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

func TestSender_Run_sendAt(t *testing.T) {
	s, clock := storetest.New(t)
	people(t, s, "A")
	run(t, s, clock)
	message(t, s, "mail slack discord_public", "send_at", "2026-01-14 12:00:40")
	early := message(t, s, "discord_public", "send_at", "2026-01-15 12:00:00")
	until(t, "Discord", func() bool { return sentBy(t, s, "discord_public") == "- -" })
	until(t, "the post that does not wait", func() bool { return stored(t, s, early.ID()).Get("sent_at") != nil })
	want(t, s, "mail", "")
	if got := stored(t, s, 1); got.Get("sent_at") != nil {
		t.Error("a message that waits says that it was sent")
	}
	for range 40 {
		if err := clock.BlockUntilContext(t.Context(), 1); err != nil {
			t.Fatal(err)
		}
		want(t, s, "slack", "")
		clock.Advance(time.Second)
	}
	until(t, "the mail", func() bool { return sentBy(t, s, "mail") == "A" && sentBy(t, s, "slack") == "-" })
	until(t, "the time", func() bool { return stored(t, s, 1).Text("sent_at") == "2026-01-14 12:00:40" })
	want(t, s, "discord_public", "- -")
	message(t, s, "telegram") // while it sleeps
	until(t, "the next message", func() bool { return sentBy(t, s, "telegram") == "-" })
}

// Until a message is sent its time, text and channels can change, and once it is they change nothing.
func TestSender_sendAt_moved(t *testing.T) {
	s, clock := storetest.New(t)
	people(t, s, "A")
	m := message(t, s, "mail", "send_at", "2026-01-14 13:00:00")
	storetest.Update(t, s, &personnel.Message, m.ID(), "send_at", "2026-01-14 15:00:00", "channels", value.List("slack"))
	clock.Advance(2 * time.Hour)
	send(t, s, clock)
	want(t, s, "slack", "")
	clock.Advance(time.Hour)
	send(t, s, clock)
	want(t, s, "slack", "-")
	want(t, s, "mail", "")
	storetest.Update(t, s, &personnel.Message, m.ID(), "send_at", "2026-01-14 16:00:00")
	clock.Advance(24 * time.Hour)
	send(t, s, clock)
	want(t, s, "slack", "-")

	m = message(t, s, "telegram", "send_at", "2026-01-20 12:00:00")
	storetest.Update(t, s, &personnel.Message, m.ID(), "send_at", nil)
	send(t, s, clock)
	want(t, s, "telegram", "-")
}

func schedule(t testing.TB, s *store.Store, id int64) *personnel.Resource {
	t.Helper()
	m := stored(t, s, id)
	if err := s.Include(t.Context(), 1, []*personnel.Resource{m}, personnel.Shown("schedule")); err != nil {
		t.Fatal(err)
	}
	return m.Related["schedule"]
}

func wantNext(t testing.TB, s *store.Store, id int64, next string) {
	t.Helper()
	if got := schedule(t, s, id).Text("next_occurrence"); got != next {
		t.Errorf("it comes again at %q, want %q", got, next)
	}
}

func TestSender_recurring(t *testing.T) {
	s, clock := storetest.New(t) // a Wednesday
	m := message(t, s, "slack discord_public", "rrule", "FREQ=WEEKLY;BYDAY=TH", "send_at", "2026-01-14 18:00:00")
	if m.Get("repeats") != true {
		t.Error("it does not repeat")
	}
	e, err := s.NewestEvent(t.Context(), 1, "message.created")
	if err != nil || !strings.Contains(string(e.Envelope), `"rrule":"FREQ=WEEKLY;BYDAY=TH"`) || !strings.Contains(string(e.Envelope), `"repeats":true`) {
		t.Errorf("%v, %s", err, e.Envelope)
	}
	send(t, s, clock)
	want(t, s, "slack", "")
	want(t, s, "discord_public", "")
	wantNext(t, s, m.ID(), "2026-01-15 18:00:00")

	at := func(day, hour int) {
		clock.Advance(time.Date(2026, 1, day, hour, 0, 0, 0, time.UTC).Sub(clock.Now()))
		send(t, s, clock)
	}
	at(15, 17)
	want(t, s, "slack", "")
	at(15, 18)
	want(t, s, "slack", "-")
	want(t, s, "discord_public", "-")
	wantNext(t, s, m.ID(), "2026-01-22 18:00:00")
	at(22, 19)
	want(t, s, "slack", "- -")
	if got := stored(t, s, m.ID()).Text("sent_at"); got != "2026-01-22 19:00:00" {
		t.Errorf("it was sent at %s", got)
	}

	// The server was down for weeks: it is sent once.
	at(60, 12)
	want(t, s, "slack", "- - -")
	wantNext(t, s, m.ID(), "2026-03-05 18:00:00")
	if send(t, s, clock) != 0 {
		t.Error("there is more to send")
	}

	storetest.Update(t, s, &personnel.Message, m.ID(), "rrule", nil)
	if schedule(t, s, m.ID()) != nil || stored(t, s, m.ID()).Get("repeats") != false {
		t.Error("it repeats still")
	}
	at(90, 12)
	want(t, s, "slack", "- - -")
}

func TestSender_recurring_ends(t *testing.T) {
	s, clock := storetest.New(t)
	m := message(t, s, "slack", "rrule", "FREQ=DAILY;COUNT=3") // from now on
	for range 5 {
		send(t, s, clock)
		clock.Advance(24 * time.Hour)
	}
	want(t, s, "slack", "- - -")
	wantNext(t, s, m.ID(), "")
	if got := schedule(t, s, m.ID()).Text("last_occurrence"); got != "2026-01-16 12:00:00" {
		t.Errorf("the last time is %q", got)
	}
}

// A message that was to be sent once, and one whose rule or time changes, go by the new rule alone.
func TestSender_recurring_changed(t *testing.T) {
	s, clock := storetest.New(t)
	m := message(t, s, "slack", "send_at", "2026-01-14 13:00:00")
	updated := func() int {
		list, err := s.EventsOf(t.Context(), 1, "message.updated", 0, time.Time{}, time.Time{}, 100)
		if err != nil {
			t.Fatal(err)
		}
		return len(list)
	}
	storetest.Update(t, s, &personnel.Message, m.ID(), "rrule", "FREQ=DAILY")
	wantNext(t, s, m.ID(), "2026-01-14 13:00:00")
	storetest.Update(t, s, &personnel.Message, m.ID(), "rrule", "FREQ=DAILY") // nothing new
	if got := updated(); got != 1 {
		t.Errorf("there were %d updates, want 1", got)
	}
	storetest.Update(t, s, &personnel.Message, m.ID(), "rrule", "FREQ=DAILY;INTERVAL=2")
	storetest.Update(t, s, &personnel.Message, m.ID(), "send_at", "2026-01-14 20:00:00")
	wantNext(t, s, m.ID(), "2026-01-14 20:00:00")
	if got := updated(); got != 3 {
		t.Errorf("there were %d updates, want 3", got)
	}
	clock.Advance(3 * time.Hour)
	send(t, s, clock)
	want(t, s, "slack", "")
	clock.Advance(24 * time.Hour)
	send(t, s, clock)
	want(t, s, "slack", "-")
	wantNext(t, s, m.ID(), "2026-01-16 20:00:00")
	storetest.Delete(t, s, &personnel.Message, m.ID())
	clock.Advance(24 * 10 * time.Hour)
	send(t, s, clock)
	want(t, s, "slack", "-")
}

func TestMessage_rrule_refused(t *testing.T) {
	s, _ := storetest.New(t)
	for rule, reason := range map[string]string{
		"FREQ=HOURLY":                        "must be a rule of RFC 5545",
		"every Wednesday":                    "must be a rule of RFC 5545",
		"FREQ=DAILY;UNTIL=20250101":          "still to come",
		"FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30": "still to come",
	} {
		err := s.Update(t.Context(), func(tx *store.Tx) error {
			_, err := tx.Create(storetest.Actor(), &personnel.Message, value.Map("message", "x", "channels", value.List("slack"), "rrule", rule))
			return err
		})
		if err == nil || !strings.Contains(err.Error(), reason) {
			t.Errorf("%s: %v, want %q", rule, err, reason)
		}
	}
}

// An automation that answers to a message by a message answers once: the sending is in the chain.
func TestSender_chain(t *testing.T) {
	s, clock := storetest.New(t)
	add(t, s, "trigger", "message.updated", "action_type", "message", "message_channels", value.List("slack"), "message_content", "again")
	message(t, s, "slack")
	for range 5 {
		send(t, s, clock)
		clock.Advance(time.Minute)
		settle(t, s, clock)
	}
	want(t, s, "slack", "- -")
	log := settle(t, s, clock)
	if len(log) != 2 || log[0].Status != bugle.RunExecuted || log[1].Status != bugle.RunLoopStopped {
		for _, r := range log {
			t.Errorf("%+v", r)
		}
	}
	// The delivery knows the run whose message it is of.
	page, err := s.Deliveries(t.Context(), 1, store.DeliveryFilter{Channel: "slack"}, store.PageRequest{Number: 1, Limit: 10})
	if err != nil || page.Items[0].RunID != log[0].ID || page.Items[1].RunID != 0 {
		t.Errorf("the deliveries are of the runs %d and %d, %v", page.Items[0].RunID, page.Items[1].RunID, err)
	}
}
