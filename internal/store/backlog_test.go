package store_test

import (
	"testing"
	"time"

	"github.com/jonboulle/clockwork"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/internal/store"
	"github.com/buglehq/bugle/internal/storetest"
)

func TestBacklog(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *clockwork.FakeClock) {
		one := storetest.AddWebhook(t, s, "https://example.com/1", nil).ID
		two := storetest.AddWebhook(t, s, "https://example.com/2", nil).ID
		idle := storetest.AddWebhook(t, s, "https://example.com/3", func(w *bugle.Webhook) { w.Events = nil }).ID
		owe(t, s, 3) // deliveries 1, 3 and 5 of the first webhook
		clock.Advance(time.Minute)
		owe(t, s, 1)
		waits(t, s, clock, 3, time.Hour)
		waits(t, s, clock, 5, 2*time.Hour)
		record(t, s, result(delivery(t, s, 1), 200, bugle.Outcome{State: bugle.Delivered}))
		all, err := s.Backlog(t.Context(), 1, []int64{one, two, idle, 999})
		if err != nil {
			t.Fatal(err)
		}
		for id, want := range map[int64]store.Waiting{
			one:  {Due: 1, Retrying: 2, OldestDue: clock.Now(), NextRetry: clock.Now().Add(time.Hour)},
			two:  {Due: 4, OldestDue: storetest.Start},
			idle: {},
		} {
			if got := all[id]; got != want {
				t.Errorf("webhook %d is owed %+v, want %+v", id, got, want)
			}
		}
		if len(all) != 3 {
			t.Errorf("backlog of %d webhooks, want 3", len(all))
		}
		if all, err := s.Backlog(t.Context(), 2, []int64{one}); err != nil || len(all) != 0 {
			t.Errorf("another organization sees %+v, %v", all, err)
		}
	})
}

// A backlog is counted to its bound by the indexes of what is owed alone.
func TestBacklog_isCapped(t *testing.T) {
	s, _ := storetest.New(t)
	w := storetest.AddWebhook(t, s, "https://example.com", nil).ID
	owe(t, s, 1)
	exec(t, s, `
		WITH RECURSIVE n (i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < 11000)
		INSERT INTO deliveries (organization_id, webhook_id, event_id, sequence, state, order_us, next_attempt_us, created_us)
		SELECT 1, 1, 1, i, 0, i, i, i FROM n`)
	all, err := s.Backlog(t.Context(), 1, []int64{w})
	if got := all[w]; err != nil || got.Due != store.MaxBacklog || !got.Capped {
		t.Errorf("backlog is %+v, %v, want %d and more", got, err, store.MaxBacklog)
	}
}
