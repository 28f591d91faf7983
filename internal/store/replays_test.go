package store_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/jonboulle/clockwork"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/internal/store"
	"github.com/buglehq/bugle/internal/storetest"
)

const worker, lease = "a worker", 30 * time.Second

// replay starts a replay of organization 1.
func replay(t *testing.T, s *store.Store, r store.Replay) *store.Replay {
	t.Helper()
	r.OrganizationID = 1
	if err := s.StartReplay(t.Context(), &r); err != nil {
		t.Fatal(err)
	}
	return &r
}

// step claims a replay and does one step of it; nil: there was none.
func step(t *testing.T, s *store.Store, worker string) *store.Replay {
	t.Helper()
	r, err := s.ClaimReplay(t.Context(), worker, lease)
	if err == nil && r != nil {
		err = s.StepReplay(t.Context(), r, worker)
	}
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// finish steps until there is no replay left.
func finishReplays(t *testing.T, s *store.Store) {
	t.Helper()
	for range 1000 {
		if step(t, s, worker) == nil {
			return
		}
	}
	t.Fatal("the replays do not end")
}

func wantReplay(t *testing.T, s *store.Store, id int64, want string) {
	t.Helper()
	r, err := s.Replay(t.Context(), 1, id)
	if err != nil {
		t.Fatal(err)
	}
	got := fmt.Sprintf("%s total %d redelivered %d skipped %d added %d", r.State, r.Total, r.Redelivered, r.Skipped, r.Added)
	if got != want {
		t.Errorf("replay %d is\n     %s\nwant %s", id, got, want)
	}
	if r.Ended() == r.FinishedAt.IsZero() {
		t.Errorf("replay %d is %s and finished at %v", id, r.State, r.FinishedAt)
	}
}

// end gives deliveries a state, after one attempt.
func end(t *testing.T, s *store.Store, state bugle.DeliveryState, ids ...int64) {
	t.Helper()
	for _, id := range ids {
		status := 500
		if state == bugle.Delivered {
			status = 200
		}
		record(t, s, result(delivery(t, s, id), status, bugle.Outcome{State: state}))
	}
}

// small makes the steps of replays small.
func small(t *testing.T, step, scan int) {
	step, scan = store.ReplaySteps(step, scan)
	t.Cleanup(func() { store.ReplaySteps(step, scan) })
}

func TestReplay_redeliversWhatMatches(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *clockwork.FakeClock) {
		small(t, 2, 2)
		first := storetest.AddWebhook(t, s, "https://example.com/1", nil).ID
		owe(t, s, 3) // 1 to 3
		clock.Advance(time.Hour)
		other := storetest.AddWebhook(t, s, "https://example.com/2", nil).ID
		user(t, s, "Jane Roe") // 4 and 5
		owe(t, s, 4)           // 6 to 13, odd ones are the other's
		if d := delivery(t, s, 13); d.WebhookID != other {
			t.Fatalf("delivery 13 is of webhook %d", d.WebhookID)
		}
		end(t, s, bugle.Failed, 1, 4, 5, 6, 8, 10)
		end(t, s, bugle.Delivered, 2, 12)
		since := store.DeliveryFilter{WebhookID: first, States: []bugle.DeliveryState{bugle.Failed}, Since: clock.Now()}
		r := replay(t, s, store.Replay{Filter: since})
		wantReplay(t, s, r.ID, "running total 4 redelivered 0 skipped 0 added 0")
		step(t, s, worker)
		wantReplay(t, s, r.ID, "running total 4 redelivered 2 skipped 0 added 0")
		user(t, s, "John Doe") // 14 and 15: later than the replay
		end(t, s, bugle.Failed, 14)
		finishReplays(t, s)
		wantReplay(t, s, r.ID, "done total 4 redelivered 4 skipped 0 added 0")
		for id, want := range map[int64]bugle.DeliveryState{1: bugle.Failed, 2: bugle.Delivered, 4: bugle.Pending, 5: bugle.Failed, 6: bugle.Pending,
			8: bugle.Pending, 10: bugle.Pending, 12: bugle.Delivered, 14: bugle.Failed} {
			if got := delivery(t, s, id).State; got != want {
				t.Errorf("delivery %d is %s, want %s", id, got, want)
			}
		}
		if d := delivery(t, s, 4); d.AttemptsCount != 1 || !d.NextAttemptAt.Equal(clock.Now()) {
			t.Errorf("what is sent again has %d attempts and is due at %v", d.AttemptsCount, d.NextAttemptAt)
		}

		named := replay(t, s, store.Replay{Filter: store.DeliveryFilter{Events: []string{"user.created", "user.deleted"}, States: []bugle.DeliveryState{bugle.Failed}}})
		all := replay(t, s, store.Replay{Filter: store.DeliveryFilter{WebhookID: other}})
		finishReplays(t, s)
		wantReplay(t, s, named.ID, "done total 2 redelivered 2 skipped 0 added 0")
		wantReplay(t, s, all.ID, "done total 6 redelivered 0 skipped 6 added 0")
	})
}

// Events that a webhook got nothing of, because it was not there or disabled, are made up for once.
func TestReplay_missing(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *clockwork.FakeClock) {
		small(t, 2, 3)
		owe(t, s, 1) // before the time
		clock.Advance(time.Hour)
		since := clock.Now()
		user(t, s, "Jane Roe") // event 2
		owe(t, s, 5)           // events 3 to 7
		clock.Advance(time.Minute)
		until := clock.Now()
		owe(t, s, 1) // event 8, after the time
		w := storetest.AddWebhook(t, s, "https://example.com/1", func(w *bugle.Webhook) { w.Events = []string{"calendar.created", "user.deleted"} })
		owe(t, s, 1) // event 9, delivery 1
		clock.Advance(time.Minute)
		filter := store.DeliveryFilter{WebhookID: w.ID, Since: since, Until: until}
		r := replay(t, s, store.Replay{Filter: filter, Missing: true})
		finishReplays(t, s)
		wantReplay(t, s, r.ID, "done total 0 redelivered 0 skipped 0 added 5")
		f := feed(t, s, w.ID, 0, 10)
		wantFeed(t, "the feed", f, "[1 2 3 4 5 6] next 6 more false first 1 last 6 removed 0")
		sent := events(t, s)
		for i, item := range f.Items[1:] {
			if want := sent[2+i].Envelope; string(item.Payload.Text) != want {
				t.Errorf("made up for with %s, want %s", item.Payload.Text, want)
			}
		}
		if d := delivery(t, s, 2); d.Event != "calendar.created" || d.State != bugle.Pending || !d.CreatedAt.Equal(clock.Now()) || d.RunID != 0 {
			t.Errorf("what was made up for is %+v", d)
		}
		if made, err := s.EventDeliveries(t.Context(), 3, 10); err != nil || made[w.ID] != 2 {
			t.Errorf("deliveries of the event are %v, %v", made, err)
		}

		// Again nothing is missing; but with the time before it something is.
		filter.Since = storetest.Start
		again := replay(t, s, store.Replay{Filter: filter, Missing: true})
		finishReplays(t, s)
		wantReplay(t, s, again.ID, "done total 0 redelivered 0 skipped 0 added 1")

		filter.Until = time.Time{}
		filter.Events = []string{"user.deleted"}
		none := replay(t, s, store.Replay{Filter: filter, Missing: true})
		finishReplays(t, s)
		wantReplay(t, s, none.ID, "done total 0 redelivered 0 skipped 0 added 0")

		filter.Events = nil
		storetest.Change(t, s, func(tx *store.Tx) error { w.Status = bugle.Disabled; return tx.SaveWebhook(w) })
		disabled := replay(t, s, store.Replay{Filter: filter, Missing: true})
		finishReplays(t, s)
		wantReplay(t, s, disabled.ID, "done total 0 redelivered 0 skipped 0 added 0")
		storetest.Change(t, s, func(tx *store.Tx) error { return tx.DeleteWebhook(1, w.ID) })
		deleted := replay(t, s, store.Replay{Filter: filter, Missing: true})
		finishReplays(t, s)
		wantReplay(t, s, deleted.ID, "done total 0 redelivered 0 skipped 0 added 0")
	})
}

// What is owed to a deleted webhook is looked at, and left.
func TestReplay_deletedWebhook(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *clockwork.FakeClock) {
		w := storetest.AddWebhook(t, s, "https://example.com/1", nil)
		owe(t, s, 2)
		end(t, s, bugle.Failed, 1, 2)
		storetest.Change(t, s, func(tx *store.Tx) error { return tx.DeleteWebhook(1, w.ID) })
		r := replay(t, s, store.Replay{Filter: store.DeliveryFilter{WebhookID: w.ID}})
		finishReplays(t, s)
		wantReplay(t, s, r.ID, "done total 2 redelivered 0 skipped 2 added 0")
	})
}

// One worker has a replay at a time. Once his lease is over another goes on where he was, and what he does then is undone.
func TestReplay_oneWorkerAtATime(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *clockwork.FakeClock) {
		small(t, 2, 2)
		storetest.AddWebhook(t, s, "https://example.com/1", nil)
		owe(t, s, 6)
		end(t, s, bugle.Failed, 1, 2, 3, 4, 5, 6)
		r := replay(t, s, store.Replay{})
		mine := step(t, s, "me")
		if other := step(t, s, "other"); other != nil {
			t.Errorf("another worker has claimed replay %d too", other.ID)
		}
		clock.Advance(lease)
		step(t, s, "other")
		wantReplay(t, s, r.ID, "running total 6 redelivered 4 skipped 0 added 0")
		if err := s.StepReplay(t.Context(), mine, "me"); err != nil || mine.Redelivered != 4 || mine.Ended() {
			t.Errorf("the worker whose lease is over has %+v, %v", mine, err)
		}
		wantReplay(t, s, r.ID, "running total 6 redelivered 4 skipped 0 added 0")
		if step(t, s, "me") != nil {
			t.Error("he has claimed it again")
		}
		if err := s.ReleaseReplays(t.Context(), "other"); err != nil {
			t.Fatal(err)
		}
		for step(t, s, "me") != nil {
		}
		wantReplay(t, s, r.ID, "done total 6 redelivered 6 skipped 0 added 0")
	})
}

func TestReplay_cancel(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *clockwork.FakeClock) {
		small(t, 2, 2)
		storetest.AddWebhook(t, s, "https://example.com/1", nil)
		owe(t, s, 6)
		end(t, s, bugle.Failed, 1, 2, 3, 4, 5, 6)
		r := replay(t, s, store.Replay{})
		held := step(t, s, worker)
		cancel := func(organizationID, id int64) error {
			return s.Update(t.Context(), func(tx *store.Tx) error { _, err := tx.CancelReplay(organizationID, id); return err })
		}
		if err := cancel(2, r.ID); !errors.Is(err, bugle.ErrNotFound) {
			t.Errorf("cancel that of another organization: %v", err)
		}
		if err := cancel(1, r.ID); err != nil {
			t.Fatal(err)
		}
		if err := cancel(1, r.ID); !errors.Is(err, bugle.ErrConflict) {
			t.Errorf("cancel it again: %v", err)
		}
		if err := s.StepReplay(t.Context(), held, worker); err != nil || held.State != store.ReplayCancelled {
			t.Errorf("its step has %s, %v", held.State, err)
		}
		if step(t, s, worker) != nil {
			t.Error("it is claimed once more")
		}
		wantReplay(t, s, r.ID, "cancelled total 6 redelivered 2 skipped 0 added 0")
		if got := delivery(t, s, 3).State; got != bugle.Failed {
			t.Errorf("delivery 3 is %s", got)
		}
	})
}

func TestReplay_fewAtATimeAndTheNewestKept(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *clockwork.FakeClock) {
		for range 3 {
			replay(t, s, store.Replay{})
		}
		if err := s.StartReplay(t.Context(), &store.Replay{OrganizationID: 1}); !errors.Is(err, bugle.ErrConflict) {
			t.Errorf("a fourth replay: %v, want ErrConflict", err)
		}
		finishReplays(t, s)
		for range 100 {
			replay(t, s, store.Replay{})
			finishReplays(t, s)
		}
		page, err := s.Replays(t.Context(), 1, 0, store.PageRequest{Number: 1, Limit: 1})
		if err != nil || page.Total != 100 || page.Items[0].ID != 103 {
			t.Errorf("there are %d replays, %v", page.Total, err)
		}
		if _, err := s.Replay(t.Context(), 1, 3); !errors.Is(err, bugle.ErrNotFound) {
			t.Errorf("an old one: %v, want ErrNotFound", err)
		}
	})
}

func TestReplay_failed(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *clockwork.FakeClock) {
		r := replay(t, s, store.Replay{})
		if err := s.FailReplay(t.Context(), r, "The disk is full."); err != nil {
			t.Fatal(err)
		}
		wantReplay(t, s, r.ID, "failed total 0 redelivered 0 skipped 0 added 0")
		if step(t, s, worker) != nil {
			t.Error("it is claimed once more")
		}
	})
}
