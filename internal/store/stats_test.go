package store_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/jonboulle/clockwork"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/internal/store"
	"github.com/buglehq/bugle/internal/storetest"
)

// webhookStats returns those of one webhook of organization 1.
func webhookStats(t *testing.T, s *store.Store, id int64, since, until time.Time, step time.Duration) *store.Stats {
	t.Helper()
	all, err := s.WebhookStats(t.Context(), 1, []int64{id}, since, until, step)
	if err != nil {
		t.Fatal(err)
	}
	return all[id]
}

func wantOutcomes(t *testing.T, what string, got store.Outcomes, attempts, delivered, failed, givenUp int) {
	t.Helper()
	if got.Attempts != attempts || got.Delivered != delivered || got.Failed != failed || got.GivenUp != givenUp {
		t.Errorf("%s: %+v, want %d attempts, %d delivered, %d failed, %d given up", what, got, attempts, delivered, failed, givenUp)
	}
}

var (
	arrives  = bugle.Outcome{State: bugle.Delivered}
	givesUp  = bugle.Outcome{State: bugle.Failed}
	isTried  = bugle.Outcome{State: bugle.Pending, NextAt: storetest.Start.Add(time.Hour)}
	dayStart = storetest.Start.Truncate(24 * time.Hour)
)

func TestStats_countByMinuteAndHour(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *clockwork.FakeClock) {
		one := storetest.AddWebhook(t, s, "https://example.com/1", nil).ID
		two := storetest.AddWebhook(t, s, "https://example.com/2", nil).ID
		owe(t, s, 5) // deliveries 1, 3, … of the first, and 2, 4, … of the second
		record(t, s, result(delivery(t, s, 1), 200, arrives), result(delivery(t, s, 2), 500, isTried))
		clock.Advance(20 * time.Second)
		record(t, s, result(delivery(t, s, 3), 500, givesUp)) // the same minute, in another transaction
		clock.Advance(time.Minute)
		record(t, s, result(delivery(t, s, 5), 200, arrives))
		clock.Advance(time.Hour)
		record(t, s, result(delivery(t, s, 7), 200, arrives), result(delivery(t, s, 4), 200, arrives))

		minute := storetest.Start.Truncate(time.Minute)
		minutes := webhookStats(t, s, one, minute, minute.Add(3*time.Minute), time.Minute)
		if len(minutes.Points) != 3 || !minutes.Points[1].At.Equal(minute.Add(time.Minute)) {
			t.Fatalf("points are %+v", minutes.Points)
		}
		wantOutcomes(t, "first minute", minutes.Points[0].Outcomes, 2, 1, 1, 1)
		wantOutcomes(t, "second minute", minutes.Points[1].Outcomes, 1, 1, 0, 0)
		wantOutcomes(t, "third minute", minutes.Points[2].Outcomes, 0, 0, 0, 0)
		wantOutcomes(t, "three minutes", minutes.Outcomes, 3, 2, 1, 1)
		if minutes.P50 < 17*time.Millisecond || minutes.P95 > 24*time.Millisecond || minutes.Mean != 20*time.Millisecond {
			t.Errorf("latencies are %s, %s, %s, want about 20 ms", minutes.Mean, minutes.P50, minutes.P95)
		}
		if rate := minutes.SuccessRate(); rate < 0.66 || rate > 0.67 {
			t.Errorf("success rate is %v, want 2 of 3", rate)
		}

		hours := webhookStats(t, s, one, dayStart, dayStart.Add(24*time.Hour), time.Hour)
		wantOutcomes(t, "13th hour", hours.Points[12].Outcomes, 3, 2, 1, 1)
		wantOutcomes(t, "14th hour", hours.Points[13].Outcomes, 1, 1, 0, 0)
		wantOutcomes(t, "day", hours.Outcomes, 4, 3, 1, 1)
		wantOutcomes(t, "other webhook", webhookStats(t, s, two, dayStart, dayStart.Add(24*time.Hour), 24*time.Hour).Points[0].Outcomes, 2, 1, 1, 0)

		all, err := s.OrganizationStats(t.Context(), 1, dayStart, dayStart.Add(24*time.Hour), 24*time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		wantOutcomes(t, "organization", all.Outcomes, 6, 4, 2, 1)
		other := storetest.Start.Add(-24 * time.Hour)
		wantOutcomes(t, "the day before", webhookStats(t, s, one, other, other.Add(time.Hour), time.Hour).Outcomes, 0, 0, 0, 0)
		theirs, err := s.WebhookStats(t.Context(), 2, []int64{one}, dayStart, dayStart.Add(24*time.Hour), time.Hour)
		if err != nil || theirs[one].Attempts != 0 {
			t.Errorf("another organization sees %+v, %v", theirs[one], err)
		}
	})
}

// A server that starts anew goes on counting where the one before ended.
func TestStats_goOnAfterAStart(t *testing.T) {
	path := t.TempDir() + "/bugle.db"
	clock := clockwork.NewFakeClockAt(storetest.Start)
	for i := range 3 {
		s, err := store.Open(t.Context(), "sqlite:"+path, store.Options{Clock: clock})
		if err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			if _, err := s.EnsureOrganization(t.Context(), "1st Test Battalion"); err != nil {
				t.Fatal(err)
			}
			storetest.AddWebhook(t, s, "https://example.com", nil)
			owe(t, s, 3)
		}
		record(t, s, result(delivery(t, s, int64(i+1)), 200, arrives))
		minute := storetest.Start.Truncate(time.Minute)
		wantOutcomes(t, "the minute", webhookStats(t, s, 1, minute, minute.Add(time.Minute), time.Minute).Outcomes, i+1, i+1, 0, 0)
		wantOutcomes(t, "the day", webhookStats(t, s, 1, dayStart, dayStart.Add(time.Hour), 24*time.Hour).Outcomes, i+1, i+1, 0, 0)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// Results that could not be written are given again, and count once.
func TestStats_failedTransactionsDoNotCount(t *testing.T) {
	s, _ := storetest.New(t)
	storetest.AddWebhook(t, s, "https://example.com", nil)
	owe(t, s, 2)
	record(t, s, result(delivery(t, s, 1), 200, arrives))
	broken := "SELECT RAISE(ABORT, 'broken');"
	if storetest.OnPostgres() {
		broken = "RAISE EXCEPTION 'broken';"
	}
	addTrigger(t, s, "broken", "BEFORE UPDATE ON deliveries", broken)
	two := result(delivery(t, s, 2), 200, arrives)
	if err := s.Record(t.Context(), []store.Result{two}, nil); err == nil {
		t.Fatal("no error")
	}
	dropTrigger(t, s, "broken", "deliveries")
	record(t, s, two)
	wantOutcomes(t, "the day", webhookStats(t, s, 1, dayStart, dayStart.Add(time.Hour), 24*time.Hour).Outcomes, 2, 2, 0, 0)
}

func TestStats_trimmed(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *clockwork.FakeClock) {
		storetest.AddWebhook(t, s, "https://example.com", nil)
		owe(t, s, 6)
		for i := range 5 {
			record(t, s, result(delivery(t, s, int64(i+1)), 200, arrives))
			clock.Advance(time.Minute)
		}
		rows := func(step int) int {
			t.Helper()
			return query[int](t, s, "SELECT COUNT(*) FROM delivery_stats WHERE step_s = $1", step)[0]
		}
		if m, h := rows(60), rows(3600); m != 10 || h != 2 {
			t.Fatalf("%d rows of minutes and %d of hours, want 10 and 2", m, h)
		}
		// Only what has become part of hours goes; the fifth minute has not.
		late := clock.Now().Add(72 * time.Hour)
		for _, want := range []int{3, 3, 2, 0} {
			if n, err := s.TrimStats(t.Context(), late, 3); err != nil || n != want {
				t.Errorf("deleted %d, %v, want %d", n, err, want)
			}
		}
		wantOutcomes(t, "the day", webhookStats(t, s, 1, dayStart, dayStart.Add(time.Hour), 24*time.Hour).Outcomes, 5, 5, 0, 0)
		clock.Advance(500 * 24 * time.Hour)
		record(t, s, result(delivery(t, s, 6), 200, arrives)) // which trims too
		if m, h := rows(60), rows(3600); m != 2 || h != 0 {
			t.Errorf("%d rows of minutes and %d of hours are left, want 2 and 0", m, h)
		}
	})
}

func TestStats_refusesStepsThatAreNone(t *testing.T) {
	s, _ := storetest.New(t)
	for _, step := range []time.Duration{0, -time.Minute, time.Second, 90 * time.Second} {
		if _, err := s.OrganizationStats(t.Context(), 1, dayStart, dayStart.Add(time.Hour), step); err == nil {
			t.Errorf("steps of %s are taken", step)
		}
	}
	if _, err := s.OrganizationStats(t.Context(), 1, dayStart, dayStart.Add(48*time.Hour), time.Minute); err == nil {
		t.Error("2880 steps are taken")
	}
	if got, err := s.OrganizationStats(t.Context(), 1, dayStart, dayStart, time.Minute); err != nil || len(got.Points) != 0 || got.SuccessRate() != 1 {
		t.Errorf("of no time: %+v, %v", got, err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.OrganizationStats(ended, 1, dayStart, dayStart.Add(time.Hour), time.Minute); !errors.Is(err, context.Canceled) {
		t.Errorf("error is %v, want that of the context", err)
	}
}
