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

func holdAll(t *testing.T, s *store.Store) *bugle.Organization {
	t.Helper()
	var o *bugle.Organization
	storetest.Change(t, s, func(tx *store.Tx) (err error) {
		o, err = tx.Hold(1)
		return err
	})
	return o
}

// releaseAll ends the hold, in small steps, and returns how many they were.
func releaseAll(t *testing.T, s *store.Store, how bugle.Release) (steps int) {
	t.Helper()
	step, digests := store.ReleaseSteps(2, 1)
	defer store.ReleaseSteps(step, digests)
	storetest.Change(t, s, func(tx *store.Tx) error {
		_, err := tx.Release(1, how)
		return err
	})
	for over := how == bugle.ReleaseDeliver; !over; steps++ {
		if steps == 100 {
			t.Fatal("the release does not end")
		}
		ids, err := s.Releasing(t.Context(), 10)
		if err == nil && fmt.Sprint(ids) != "[1]" {
			t.Fatalf("being released are %d", ids)
		}
		if err == nil {
			over, err = s.StepRelease(t.Context(), 1)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if o, err := s.Organization(t.Context(), 1); err != nil || !o.HeldAt.IsZero() || o.Releasing != "" {
		t.Errorf("after the release the organization is %+v, %v", o, err)
	}
	return steps
}

// states are the states of all deliveries, in their order: "pending cancelled".
func states(t *testing.T, s *store.Store) string {
	t.Helper()
	var list []string
	for _, id := range query[int64](t, s, "SELECT id FROM deliveries ORDER BY id") {
		list = append(list, string(delivery(t, s, id).State))
	}
	return strings.Join(list, " ")
}

// laneStatus is what the delivery engine sees.
func laneStatus(t *testing.T, s *store.Store, id int64) bugle.WebhookStatus {
	t.Helper()
	w, err := s.LaneWebhook(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return w.Status
}

func TestHold(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *clockwork.FakeClock) {
		w := storetest.AddWebhook(t, s, "https://example.com/hook", nil)
		off := storetest.AddWebhook(t, s, "https://example.com/off", func(w *bugle.Webhook) { w.Status = bugle.Disabled })
		owe(t, s, 1)
		var told []int64
		s.Notify(func(c store.Committed) { told = append(told, c.Webhooks...) })
		if o := holdAll(t, s); !o.HeldAt.Equal(clock.Now()) {
			t.Errorf("held since %v", o.HeldAt)
		}
		if laneStatus(t, s, w.ID) != bugle.Paused || laneStatus(t, s, off.ID) != bugle.Disabled || fmt.Sprint(told) != "[1 2]" {
			t.Errorf("the lane is %s, and %d are read anew", laneStatus(t, s, w.ID), told)
		}
		if got, err := s.Webhook(t.Context(), 1, w.ID); err != nil || got.Status != bugle.Active || !got.Held {
			t.Errorf("the webhook is %s, %t, %v", got.Status, got.Held, err)
		}
		if err := s.Update(t.Context(), func(tx *store.Tx) error { _, err := tx.Hold(1); return err }); !errors.Is(err, bugle.ErrConflict) {
			t.Errorf("hold it again: %v, want ErrConflict", err)
		}
		owe(t, s, 2)
		told = nil
		releaseAll(t, s, bugle.ReleaseDeliver)
		if got := states(t, s); got != "pending pending pending" || laneStatus(t, s, w.ID) != bugle.Active || fmt.Sprint(told) != "[1 2]" {
			t.Errorf("deliveries are %s, the lane %s, and %d are read anew", got, laneStatus(t, s, w.ID), told)
		}
		if err := s.Update(t.Context(), func(tx *store.Tx) error { _, err := tx.Release(1, bugle.ReleaseDrop); return err }); !errors.Is(err, bugle.ErrConflict) {
			t.Errorf("release what is not held: %v, want ErrConflict", err)
		}
		holdAll(t, s)
		var invalid *bugle.InvalidError
		if err := s.Update(t.Context(), func(tx *store.Tx) error { _, err := tx.Release(1, "burn"); return err }); !errors.As(err, &invalid) {
			t.Errorf("release it in no known way: %v, want an InvalidError", err)
		}
		if over, err := s.StepRelease(t.Context(), 1); !over || err != nil || laneStatus(t, s, w.ID) != bugle.Paused {
			t.Errorf("a step of a release that nobody asked for: %t, %v, and the lane is %s", over, err, laneStatus(t, s, w.ID))
		}
	})
}

func TestHold_drop(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *clockwork.FakeClock) {
		storetest.AddWebhook(t, s, "https://example.com/hook", nil)
		owe(t, s, 2)
		holdAll(t, s)
		owe(t, s, 5)
		end(t, s, bugle.Delivered, 4) // it was under way, say
		storetest.Change(t, s, func(tx *store.Tx) error {
			_, err := tx.Cancel(1, 5)
			return err
		})
		if steps := releaseAll(t, s, bugle.ReleaseDrop); steps < 3 {
			t.Errorf("it took %d steps", steps)
		}
		if got := states(t, s); got != "pending pending cancelled delivered cancelled cancelled cancelled" {
			t.Errorf("deliveries are %s", got)
		}
		if got := delivery(t, s, 3).CancelledFor; got != bugle.ReleaseDrop.Reason() {
			t.Errorf("delivery 3 was cancelled for %q", got)
		}
		if got := delivery(t, s, 5).CancelledFor; got != "" {
			t.Errorf("delivery 5, which a person cancelled, was cancelled for %q", got)
		}
		storetest.Change(t, s, func(tx *store.Tx) error {
			if _, err := tx.Redeliver(1, 3); err != nil {
				return err
			}
			_, err := tx.Cancel(1, 3)
			return err
		})
		if got := delivery(t, s, 3).CancelledFor; got != "" {
			t.Errorf("sent again and cancelled by a person, it was cancelled for %q", got)
		}
		owe(t, s, 1)
		if got := delivery(t, s, 8).State; got != bugle.Pending {
			t.Errorf("what came later is %s", got)
		}
	})
}

func TestHold_digest(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *clockwork.FakeClock) {
		first := storetest.AddWebhook(t, s, "https://example.com/1", nil)
		second := storetest.AddWebhook(t, s, "https://example.com/2", func(w *bugle.Webhook) { w.Events = []string{"user.created"} })
		gone := storetest.AddWebhook(t, s, "https://example.com/3", func(w *bugle.Webhook) { w.Events = []string{"user.created"} })
		owe(t, s, 1)
		held := holdAll(t, s).HeldAt
		owe(t, s, 4)
		user(t, s, "Jane Roe")
		user(t, s, "John Doe")
		storetest.Change(t, s, func(tx *store.Tx) error { // a message, which goes out as it is
			_, err := tx.TestLane(storetest.Actor(), bugle.ChannelByName("slack"), "Hello", nil)
			return err
		})
		storetest.Change(t, s, func(tx *store.Tx) error { gone.Status = bugle.Disabled; return tx.SaveWebhook(gone) })
		clock.Advance(time.Hour)
		before := count(t, s, "deliveries")
		releaseAll(t, s, bugle.ReleaseDigest)
		if n := count(t, s, "deliveries"); n != before+2 {
			t.Fatalf("the release has made %d deliveries, want 2", n-before)
		}
		digest := func(w *bugle.Webhook, after int64) *value.Array {
			t.Helper()
			f := feed(t, s, w.ID, after, 10)
			if len(f.Items) != 1 || f.Items[0].Event != bugle.DigestEvent || f.Items[0].State != bugle.Pending {
				t.Fatalf("behind %d the feed of webhook %d has %+v", after, w.ID, f.Items)
			}
			v, err := value.Decode(f.Items[0].Payload.Text)
			if err != nil {
				t.Fatal(err)
			}
			data, _ := v.(*value.Array).Get("data")
			return data.(*value.Array)
		}
		at := func(t time.Time) string { return bugle.FormatTime(t) }
		for _, test := range []struct {
			hook  *bugle.Webhook
			after int64
			want  string
		}{
			{first, 7, `{"held_at":"` + at(held) + `","released_at":"` + at(clock.Now()) + `","deliveries":6,"first_sequence":2,"last_sequence":7,"events":{"calendar.created":4,"user.created":2}}`},
			{second, 2, `{"held_at":"` + at(held) + `","released_at":"` + at(clock.Now()) + `","deliveries":2,"first_sequence":1,"last_sequence":2,"events":{"user.created":2}}`},
		} {
			text, err := value.JSON(digest(test.hook, test.after))
			if err != nil || string(text) != test.want {
				t.Errorf("the digest is\n     %s, %v\nwant %s", text, err, test.want)
			}
		}
		if d := delivery(t, s, 2); d.State != bugle.Cancelled || d.CancelledFor != bugle.ReleaseDigest.Reason() {
			t.Errorf("delivery 2 is %s for %q", d.State, d.CancelledFor)
		}
		if n := query[int64](t, s, "SELECT COUNT(*) FROM deliveries d JOIN webhooks w ON w.id = d.webhook_id WHERE w.channel <> '' AND d.state = 0")[0]; n != 1 {
			t.Errorf("of the message %d deliveries are due", n)
		}
		if n := count(t, s, "hold_digests"); n != 0 {
			t.Errorf("%d counts are left", n)
		}
	})
}
