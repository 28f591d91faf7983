package store_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jonboulle/clockwork"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/internal/store"
	"github.com/buglehq/bugle/internal/storetest"
	"github.com/buglehq/bugle/value"
)

// setHealth writes the health of a webhook as an engine does.
func setHealth(t *testing.T, s *store.Store, webhookID int64, h bugle.Health) {
	t.Helper()
	if err := s.Record(t.Context(), nil, map[int64]bugle.Health{webhookID: h}); err != nil {
		t.Fatal(err)
	}
}

// tell looks at all webhooks in trouble, and returns the notices that were given, as "1 failing".
func tell(t *testing.T, s *store.Store) string {
	t.Helper()
	ids, err := s.Troubled(t.Context(), 0, 100)
	if err != nil {
		t.Fatal(err)
	}
	var given []string
	for _, id := range ids {
		notice, err := s.Tell(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		if notice != bugle.NoNotice {
			given = append(given, fmt.Sprint(id, " ", notice))
		}
	}
	return strings.Join(given, ", ")
}

func wantTold(t *testing.T, s *store.Store, what, want string) {
	t.Helper()
	for _, want := range []string{want, ""} { // each once
		if got := tell(t, s); got != want {
			t.Errorf("%s people are told %q, want %q", what, got, want)
		}
	}
}

// person gives a new user an account with a role that has the permissions.
func person(t *testing.T, s *store.Store, name string, permissions ...string) {
	t.Helper()
	u := user(t, s, name)
	storetest.Change(t, s, func(tx *store.Tx) error {
		role := &bugle.Role{OrganizationID: 1, Name: name, Permissions: permissions}
		if err := tx.AddRole(role); err != nil {
			return err
		}
		return tx.AddAccount(&bugle.Account{OrganizationID: 1, UserID: u.ID(), Role: role})
	})
}

func setAlerts(t *testing.T, s *store.Store, mail bool, channel string, days int) {
	t.Helper()
	storetest.Change(t, s, func(tx *store.Tx) error { return tx.SetAlerts(1, mail, channel, days) })
}

// configure gives a channel its settings.
func configure(t *testing.T, s *store.Store, channel string, settings ...any) {
	t.Helper()
	storetest.Change(t, s, func(tx *store.Tx) error {
		lane, err := tx.Lane(1, bugle.ChannelByName(channel))
		if err != nil {
			return err
		}
		lane.Settings = value.Map(settings...)
		return tx.SaveLane(lane)
	})
}

func TestTell_incident(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *clockwork.FakeClock) {
		person(t, s, "Watcher", "view_webhook")
		person(t, s, "Outsider", "view_user")
		w := storetest.AddWebhook(t, s, "https://example.com/hook", func(w *bugle.Webhook) { w.Name = `<Relay>`; w.Events = nil })
		storetest.AddWebhook(t, s, "https://example.com/well", func(w *bugle.Webhook) { w.Events = nil })
		wantTold(t, s, "at first", "")
		failing := bugle.Health{ConsecutiveFailures: bugle.TripAfter, FailingSince: clock.Now(), LastFailureAt: clock.Now()}
		setHealth(t, s, w.ID, failing)
		wantTold(t, s, "once it fails", "1 failing")
		texts := query[string](t, s, "SELECT user_id || ': ' || channel || ' ' || text FROM notifications")
		if len(texts) != 1 || !strings.HasPrefix(texts[0], "1: database <p>The webhook &#34;&lt;Relay&gt;&#34; fails") || !strings.Contains(texts[0], `<a href="`+storetest.BaseURL+`/webhooks/1">`) {
			t.Errorf("the notifications are %q", texts)
		}
		if n := count(t, s, "deliveries"); n != 0 {
			t.Errorf("without channels that are set up there are %d deliveries", n)
		}
		got, err := s.Webhook(t.Context(), 1, w.ID)
		if err != nil || !got.Incident.ToldAt.Equal(clock.Now()) || !got.DisablesAt.IsZero() || got.Health != failing {
			t.Errorf("the webhook has %+v %+v and is disabled at %v, %v", got.Incident, got.Health, got.DisablesAt, err)
		}
		clock.Advance(100 * 24 * time.Hour)
		wantTold(t, s, "later", "")
		setHealth(t, s, w.ID, failing.After(true, clock.Now()))
		wantTold(t, s, "at the first success", "1 recovered") // nothing has failed for long
		if ids, err := s.Troubled(t.Context(), 0, 10); err != nil || len(ids) != 0 {
			t.Errorf("in trouble are %d, %v", ids, err)
		}
		setHealth(t, s, w.ID, failing)
		wantTold(t, s, "when it fails again", "1 failing")
		storetest.Change(t, s, func(tx *store.Tx) error { return tx.DeleteWebhook(1, w.ID) })
		if notice, err := s.Tell(t.Context(), w.ID); notice != bugle.NoNotice || err != nil {
			t.Errorf("of a deleted webhook people are told %q, %v", notice, err)
		}
	})
}

func TestTell_byChannels(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *clockwork.FakeClock) {
		person(t, s, "Watcher", bugle.AllPermissions)
		configure(t, s, "mail", "host", "smtp.example.com", "from", "bugle@example.com")
		configure(t, s, "slack", "url", "https://hooks.slack.example.com/1")
		w := storetest.AddWebhook(t, s, "https://example.com/hook", func(w *bugle.Webhook) { w.Events = nil })
		failing := bugle.Health{ConsecutiveFailures: bugle.TripAfter, FailingSince: clock.Now(), LastFailureAt: clock.Now()}
		sent := func() string {
			t.Helper()
			return strings.Join(query[string](t, s, "SELECT w.channel FROM deliveries d JOIN webhooks w ON w.id = d.webhook_id ORDER BY d.id"), " ")
		}
		setHealth(t, s, w.ID, failing)
		wantTold(t, s, "at first", "3 failing")
		if got := sent(); got != "mail" {
			t.Errorf("it is sent by %q, want mail", got)
		}
		setAlerts(t, s, false, "slack", 0)
		clock.Advance(time.Hour)
		setHealth(t, s, w.ID, bugle.Health{LastFailureAt: failing.LastFailureAt, LastSuccessAt: clock.Now()})
		wantTold(t, s, "at the end", "3 recovered")
		if got := sent(); got != "mail slack" {
			t.Errorf("it is sent by %q, want mail slack", got)
		}
		d := delivery(t, s, 2)
		if payload, err := s.Payload(t.Context(), d.EventID); err != nil || !strings.Contains(string(payload.Text), "delivers again") {
			t.Errorf("posted is %s, %v", payload.Text, err)
		}
	})
}

func TestTell_disables(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *clockwork.FakeClock) {
		setAlerts(t, s, true, "", 5)
		w := storetest.AddWebhook(t, s, "https://example.com/hook", nil)
		setHealth(t, s, w.ID, bugle.Health{ConsecutiveFailures: bugle.TripAfter, FailingSince: clock.Now(), LastFailureAt: clock.Now()})
		at := clock.Now().Add(5 * 24 * time.Hour)
		wantTold(t, s, "at first", "1 failing")
		if got, err := s.Webhook(t.Context(), 1, w.ID); err != nil || !got.DisablesAt.Equal(at) {
			t.Errorf("it is disabled at %v, %v, want %v", got.DisablesAt, err, at)
		}
		clock.Advance(4*24*time.Hour - time.Second)
		wantTold(t, s, "before the last day", "")
		clock.Advance(time.Second)
		wantTold(t, s, "a day before", "1 disabling")
		clock.Advance(24*time.Hour - time.Second)
		wantTold(t, s, "on the last day", "")
		var told []int64
		s.Notify(func(c store.Committed) { told = append(told, c.Webhooks...) })
		clock.Advance(time.Second)
		wantTold(t, s, "at the end", "1 disabled")
		got, err := s.Webhook(t.Context(), 1, w.ID)
		if err != nil || got.Status != bugle.Disabled || !got.UpdatedAt.Equal(clock.Now()) || got.Incident != (bugle.Incident{}) || fmt.Sprint(told) != "[1]" {
			t.Errorf("the webhook is %s since %v with %+v, and the engine is told of %d, %v", got.Status, got.UpdatedAt, got.Incident, told, err)
		}
	})
}

func TestTell_gone(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *clockwork.FakeClock) {
		person(t, s, "Watcher", "view_webhook")
		w := storetest.AddWebhook(t, s, "https://example.com/hook", nil)
		owe(t, s, 1)
		record(t, s, result(delivery(t, s, 1), 410, bugle.Outcome{State: bugle.Failed, Gone: true}))
		wantTold(t, s, "after a 410", fmt.Sprint(w.ID, " gone"))
		if n := count(t, s, "notifications"); n != 1 {
			t.Errorf("there are %d notifications", n)
		}
	})
}

func TestSetAlerts_refuses(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *clockwork.FakeClock) {
		for field, set := range map[string]func(tx *store.Tx) error{
			"alert_channel":      func(tx *store.Tx) error { return tx.SetAlerts(1, true, "mail", 0) },
			"disable_after_days": func(tx *store.Tx) error { return tx.SetAlerts(1, true, "", 366) },
		} {
			var invalid *bugle.InvalidError
			if err := s.Update(t.Context(), set); !errors.As(err, &invalid) || invalid.Problems[0].Field != field {
				t.Errorf("a wrong %s: %v", field, err)
			}
		}
		o, err := s.Organization(t.Context(), 1)
		if err != nil || !o.AlertMail || o.AlertChannel != "" || o.DisableAfterDays != 0 {
			t.Errorf("the organization has %+v, %v", o, err)
		}
		setAlerts(t, s, false, "telegram", 7)
		if o, err = s.Organization(t.Context(), 1); err != nil || o.AlertMail || o.AlertChannel != "telegram" || o.DisableAfterDays != 7 {
			t.Errorf("the organization has %+v, %v", o, err)
		}
	})
}
