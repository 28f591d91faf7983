package store_test

import (
	"errors"
	"testing"
	"time"

	"github.com/jonboulle/clockwork"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/internal/store"
	"github.com/buglehq/bugle/internal/storetest"
	"github.com/buglehq/bugle/personnel"
	"github.com/buglehq/bugle/value"
)

// limited is an actor who is held to quotas.
func limited() store.Actor {
	a := storetest.Actor()
	a.Limited = true
	return a
}

func setQuotas(t testing.TB, s *store.Store, organizationID int64, choice bugle.QuotaChoice) {
	t.Helper()
	storetest.Change(t, s, func(tx *store.Tx) error { return tx.SetQuotas(organizationID, choice) })
}

// wantQuota checks that a change was refused for a quota.
func wantQuota(t testing.TB, err error, quota string, limit int64) *bugle.QuotaError {
	t.Helper()
	var refused *bugle.QuotaError
	if !errors.As(err, &refused) || refused.Quota != quota || refused.Limit != limit {
		t.Fatalf("%v, want a refusal for %d %s", err, limit, quota)
	}
	return refused
}

func calendar(s *store.Store, t testing.TB, a store.Actor, n int) error {
	return s.Update(t.Context(), func(tx *store.Tx) error {
		for range n {
			if _, err := tx.Create(a, &personnel.Calendar, value.Map("name", "Ops", "color", "#2563eb")); err != nil {
				return err
			}
		}
		return nil
	})
}

func TestQuotas_webhooksAndAutomations(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *clockwork.FakeClock) {
		setQuotas(t, s, 1, bugle.QuotaChoice{"webhooks": 2, "automations": 1})
		hook := func(organizationID int64) error {
			w := bugle.NewWebhook()
			w.OrganizationID, w.Name, w.URL = organizationID, "Hook", "https://example.com/"
			return s.Update(t.Context(), func(tx *store.Tx) error { return tx.AddWebhook(&w) })
		}
		automation := func() error {
			a := bugle.NewAutomation()
			a.OrganizationID, a.Name, a.Trigger, a.WebhookID = 1, "Rule", "user.created", 1
			return s.Update(t.Context(), func(tx *store.Tx) error { return tx.AddAutomation(&a) })
		}
		if err := errors.Join(hook(1), hook(1), automation()); err != nil {
			t.Fatal(err)
		}
		if wait := wantQuota(t, hook(1), "webhooks", 2).Wait; wait != 0 {
			t.Errorf("it is to be tried again in %s", wait)
		}
		wantQuota(t, automation(), "automations", 1)
		if n := count(t, s, "webhooks") + count(t, s, "automations"); n != 3 {
			t.Errorf("there are %d of both, want 3", n)
		}

		// Channels of messages are none of the webhooks, and other organizations have their own.
		storetest.Change(t, s, func(tx *store.Tx) error {
			_, err := tx.Lane(1, bugle.ChannelByName("slack"))
			return err
		})
		if err := hook(addOrganization(t, s).OrganizationID); err != nil {
			t.Error(err)
		}

		// Whoever deletes one may have another.
		storetest.Change(t, s, func(tx *store.Tx) error { return tx.DeleteWebhook(1, 1) })
		if err := hook(1); err != nil {
			t.Error(err)
		}
	})
}

func TestQuotas_events(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *clockwork.FakeClock) {
		setQuotas(t, s, 1, bugle.QuotaChoice{"events": 3})
		if err := calendar(s, t, limited(), 2); err != nil {
			t.Fatal(err)
		}
		refused := wantQuota(t, calendar(s, t, limited(), 2), "events", 3)
		if want := 60*time.Second - time.Duration(storetest.Start.Second())*time.Second - time.Duration(storetest.Start.Nanosecond()); refused.Wait != want {
			t.Errorf("wait %s, want %s", refused.Wait, want)
		}
		if n := count(t, s, "calendars"); n != 2 || count(t, s, "events") != 2 {
			t.Errorf("%d calendars are there, want the 2 from before", n)
		}
		if err := calendar(s, t, limited(), 1); err != nil {
			t.Errorf("what was refused has been counted: %v", err)
		}
		wantQuota(t, calendar(s, t, limited(), 1), "events", 3)

		// What follows from what was accepted is not refused, nor is anybody else.
		if err := calendar(s, t, storetest.Actor(), 5); err != nil {
			t.Errorf("an automation is refused: %v", err)
		}
		other := addOrganization(t, s)
		other.Limited = true
		if err := calendar(s, t, other, 5); err != nil {
			t.Errorf("another organization is refused: %v", err)
		}
		clock.Advance(refused.Wait)
		if err := calendar(s, t, limited(), 3); err != nil {
			t.Errorf("a minute later: %v", err)
		}
		u, err := s.Usage(t.Context(), 1)
		if err != nil || u.Events != 3 {
			t.Errorf("the usage is %+v, %v, want 3 events", u, err)
		}
		clock.Advance(time.Minute)
		if u, err := s.Usage(t.Context(), 1); err != nil || u.Events != 0 {
			t.Errorf("a minute later the usage is %+v, %v", u, err)
		}
	})
}

// deliver ends all that is pending.
func deliver(t testing.TB, s *store.Store) {
	t.Helper()
	storetest.Change(t, s, func(tx *store.Tx) error {
		return tx.Exec("UPDATE deliveries SET state = 2, finished_us = $1 WHERE state < 2", tx.Now().UnixMicro())
	})
}

func TestQuotas_backlog(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *clockwork.FakeClock) {
		setQuotas(t, s, 1, bugle.QuotaChoice{"backlog": 4})
		for range 2 { // two deliveries for each change
			storetest.AddWebhook(t, s, "https://example.com/", nil)
		}
		if err := calendar(s, t, limited(), 2); err != nil {
			t.Fatal(err)
		}
		if wait := wantQuota(t, calendar(s, t, limited(), 1), "backlog", 4).Wait; wait <= 0 {
			t.Error("nothing is said of when to try again")
		}
		if n := count(t, s, "calendars"); n != 2 || count(t, s, "deliveries") != 4 {
			t.Errorf("%d calendars are there, want the 2 from before", n)
		}
		wantQuota(t, s.Update(t.Context(), func(tx *store.Tx) error { _, err := tx.SendTest(limited(), 1, value.Map()); return err }), "backlog", 4)
		if err := calendar(s, t, storetest.Actor(), 1); err != nil {
			t.Errorf("an automation is refused: %v", err)
		}
		// What nobody is sent needs no room.
		err := s.Update(t.Context(), func(tx *store.Tx) error {
			_, err := tx.Create(limited(), &personnel.Rank, value.Map("name", "Sergeant"))
			return err
		})
		if err != nil {
			t.Errorf("a change without deliveries is refused: %v", err)
		}

		deliver(t, s)
		clock.Advance(2 * time.Second) // it is counted again
		if err := calendar(s, t, limited(), 2); err != nil {
			t.Errorf("after all was delivered: %v", err)
		}
		u, err := s.Usage(t.Context(), 1)
		if err != nil || u.Backlog != 4 || u.Webhooks != 2 {
			t.Errorf("the usage is %+v, %v", u, err)
		}
	})
}

// While there is room, and again while there is none, changes do not count what is pending.
func TestQuotas_backlogIsRarelyCounted(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *clockwork.FakeClock) {
		setQuotas(t, s, 1, bugle.QuotaChoice{"backlog": 50})
		storetest.AddWebhook(t, s, "https://example.com/", nil)
		counts := 0
		store.CountingPending(t, func() { counts++ })
		for range 60 {
			_ = calendar(s, t, limited(), 1)
		}
		if n := count(t, s, "calendars"); n != 50 {
			t.Errorf("%d changes were accepted, want 50", n)
		}
		if counts != 2 {
			t.Errorf("60 changes have counted %d times, want at the first and at the first that was refused", counts)
		}
		deliver(t, s)
		clock.Advance(time.Hour)
		counts = 0
		for range 50 {
			if err := calendar(s, t, limited(), 1); err != nil {
				t.Fatal(err)
			}
		}
		if counts != 1 {
			t.Errorf("50 changes have counted %d times, want once", counts)
		}
	})
}

// What is decided for one organization goes over what the server's option says, and can be taken back.
func TestQuotas_choice(t *testing.T) {
	s, clock := storetest.NewWith(t, store.Options{Quotas: bugle.Quotas{Webhooks: 9, Storage: 5}})
	quotas := func(id int64) bugle.Quotas {
		t.Helper()
		q, err := s.Quotas(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		return q
	}
	if got := quotas(1); got != (bugle.Quotas{Webhooks: 9, Storage: 5}) {
		t.Errorf("%+v", got)
	}
	setQuotas(t, s, 1, bugle.QuotaChoice{"webhooks": 0, "events": 7})
	if got := quotas(1); got != (bugle.Quotas{Events: 7, Storage: 5}) {
		t.Errorf("%+v", got)
	}
	if got := quotas(2); got != (bugle.Quotas{Webhooks: 9, Storage: 5}) {
		t.Errorf("another organization has %+v", got)
	}
	if all, err := s.QuotaChoices(t.Context()); err != nil || len(all) != 1 || len(all[1]) != 2 || all[1]["events"] != 7 {
		t.Errorf("%v, %v", all, err)
	}
	// Another process decides.
	storetest.Change(t, s, func(tx *store.Tx) error { return tx.Exec("UPDATE quotas SET events = 8") })
	if got := quotas(1).Events; got != 7 {
		t.Errorf("it is read again at once: %d", got)
	}
	clock.Advance(11 * time.Second)
	if got := quotas(1).Events; got != 8 {
		t.Errorf("it holds %d events after ten seconds", got)
	}
	setQuotas(t, s, 1, nil)
	if got := quotas(1); got != (bugle.Quotas{Webhooks: 9, Storage: 5}) {
		t.Errorf("%+v", got)
	}
	err := s.Update(t.Context(), func(tx *store.Tx) error { return tx.SetQuotas(99, nil) })
	if !errors.Is(err, bugle.ErrNotFound) {
		t.Errorf("an organization that there is not: %v", err)
	}
}
