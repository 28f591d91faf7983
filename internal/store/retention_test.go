package store_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/jonboulle/clockwork"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/internal/store"
	"github.com/buglehq/bugle/internal/storetest"
	"github.com/buglehq/bugle/personnel"
	"github.com/buglehq/bugle/value"
)

const day = 24 * time.Hour

// sweep deletes everything that is old and returns what that was.
func sweep(t *testing.T, s *store.Store, r bugle.Retention) store.Removed {
	t.Helper()
	w := s.NewSweep(r)
	w.Begin(true)
	finish(t, w)
	return w.Removed
}

func finish(t *testing.T, w *store.Sweep) {
	t.Helper()
	for n := 0; ; n++ {
		_, more, err := w.Step(t.Context())
		if err != nil || n > 10000 {
			t.Fatalf("after %d steps: %v", n, err)
		}
		if !more {
			return
		}
	}
}

func wantRemoved(t *testing.T, got, want store.Removed) {
	t.Helper()
	if got != want {
		t.Errorf("deleted were %+v, want %+v", got, want)
	}
}

// delivers records an attempt that delivered.
func delivers(t *testing.T, s *store.Store, id int64) {
	t.Helper()
	record(t, s, result(delivery(t, s, id), 200, bugle.Outcome{State: bugle.Delivered}))
}

func TestSweep_deletesByAgeWhatHasEnded(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *clockwork.FakeClock) {
		storetest.AddWebhook(t, s, "https://example.com/hook", nil)
		owe(t, s, 4)
		delivers(t, s, 1)
		waits(t, s, clock, 2, 100*day) // a failure, and a long wait
		record(t, s, result(delivery(t, s, 3), 500, bugle.Outcome{State: bugle.Failed}))
		clock.Advance(31 * day)
		wantRemoved(t, sweep(t, s, bugle.DefaultRetention), store.Removed{Attempts: 2})
		if got := query[int64](t, s, "SELECT delivery_id FROM attempts"); !slices.Equal(got, []int64{2}) {
			t.Errorf("attempts are left of the deliveries %d, want that of 2, which is pending", got)
		}
		if d := delivery(t, s, 1); d.State != bugle.Delivered || d.AttemptsCount != 1 {
			t.Errorf("a delivery without its attempts is %+v", d)
		}
		owe(t, s, 1) // event and delivery 5
		clock.Advance(60 * day)
		wantRemoved(t, sweep(t, s, bugle.DefaultRetention), store.Removed{Deliveries: 2, Events: 2})
		if got := query[int64](t, s, "SELECT id FROM deliveries ORDER BY id"); !slices.Equal(got, []int64{2, 4, 5}) {
			t.Errorf("left are the deliveries %d, want those that are owed", got)
		}
		if got := query[int64](t, s, "SELECT id FROM events ORDER BY id"); !slices.Equal(got, []int64{2, 4, 5}) {
			t.Errorf("left are the events %d, want those that deliveries need", got)
		}
		// What was owed goes once it has ended, and was kept as long as all else.
		delivers(t, s, 4)
		wantRemoved(t, sweep(t, s, bugle.DefaultRetention), store.Removed{})
		clock.Advance(91 * day)
		wantRemoved(t, sweep(t, s, bugle.DefaultRetention), store.Removed{Attempts: 1, Deliveries: 1, Events: 1})
		if got := query[string](t, s, "SELECT CAST(removed AS TEXT) || ' ' || CAST(last_sequence AS TEXT) || ' ' || CAST(last_event_id AS TEXT) FROM removed_deliveries"); !slices.Equal(got, []string{"3 4 4"}) {
			t.Errorf("noted is %q", got)
		}
	})
}

// A delivery that is made again after its attempts were deleted counts on from there.
func TestSweep_redeliveryWithoutEarlierAttempts(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *clockwork.FakeClock) {
		storetest.AddWebhook(t, s, "https://example.com/hook", nil)
		owe(t, s, 1)
		delivers(t, s, 1)
		clock.Advance(31 * day)
		wantRemoved(t, sweep(t, s, bugle.DefaultRetention), store.Removed{Attempts: 1})
		redeliver(t, s, 1)
		clock.Advance(100 * day)
		wantRemoved(t, sweep(t, s, bugle.DefaultRetention), store.Removed{})
		delivers(t, s, 1)
		if d := delivery(t, s, 1); d.AttemptsCount != 2 || d.Status != 200 {
			t.Errorf("the delivery is %+v", d)
		}
	})
}

func TestSweep_deletesRunsThenTheirEvents(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *clockwork.FakeClock) {
		storetest.Change(t, s, func(tx *store.Tx) error {
			a := bugle.NewAutomation()
			a.OrganizationID, a.Name, a.Trigger, a.Enabled = 1, "Some", "calendar.created", true
			return tx.AddAutomation(&a)
		})
		owe(t, s, 3)
		storetest.Change(t, s, func(tx *store.Tx) error {
			for id := int64(1); id <= 2; id++ {
				if err := tx.FinishRun(&bugle.Run{ID: id, Status: bugle.RunExecuted, EvaluatedAt: clock.Now()}); err != nil {
					return err
				}
			}
			return nil
		})
		exec(t, s, "UPDATE automation_runs SET evaluated_us = evaluated_us + 1000000 WHERE id = 2")
		clock.Advance(90*day + time.Millisecond)
		wantRemoved(t, sweep(t, s, bugle.DefaultRetention), store.Removed{Runs: 1, Events: 1})
		if got := query[int64](t, s, "SELECT event_id FROM automation_runs ORDER BY id"); !slices.Equal(got, []int64{2, 3}) {
			t.Errorf("left are runs of the events %d", got)
		}
		clock.Advance(10 * day)
		wantRemoved(t, sweep(t, s, bugle.DefaultRetention), store.Removed{Runs: 1, Events: 1})
		wantRemoved(t, sweep(t, s, bugle.DefaultRetention), store.Removed{}) // the third is pending
	})
}

// An event that was made for one delivery goes with it, whatever is said of events.
func TestSweep_eventsOfOneDelivery(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *clockwork.FakeClock) {
		w := storetest.AddWebhook(t, s, "https://example.com/hook", func(w *bugle.Webhook) { w.Events = nil })
		storetest.Change(t, s, func(tx *store.Tx) error {
			_, err := tx.Address(&bugle.Event{OrganizationID: 1, Name: "message.sent", CreatedAt: clock.Now(), Envelope: []byte("{}")}, w.ID)
			return err
		})
		delivers(t, s, 1)
		clock.Advance(91 * day)
		keep := bugle.DefaultRetention
		keep.Events = bugle.Keep{}
		wantRemoved(t, sweep(t, s, keep), store.Removed{Attempts: 1, Deliveries: 1, Events: 1})
	})
}

func TestSweep_deletesSendingsThatAreDone(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *clockwork.FakeClock) {
		storetest.Create(t, s, &personnel.Message, "message", "Hello", "channels", value.List("database"))
		n := count(t, s, "sendings")
		exec(t, s, "UPDATE sendings SET state = 'done'")
		storetest.Create(t, s, &personnel.Message, "message", "Hello again", "channels", value.List("database"))
		clock.Advance(91 * day)
		got := sweep(t, s, bugle.DefaultRetention)
		if n == 0 || got.Sendings != n {
			t.Errorf("deleted were %d sendings, want %d", got.Sendings, n)
		}
		if left := query[string](t, s, "SELECT DISTINCT state FROM sendings"); !slices.Equal(left, []string{"pending"}) {
			t.Errorf("left are sendings that are %q", left)
		}
	})
}

func TestSweep_keepsTheNewest(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *clockwork.FakeClock) {
		storetest.AddWebhook(t, s, "https://example.com/hook", nil)
		owe(t, s, 7)
		for id := int64(1); id <= 6; id++ {
			if id != 2 {
				delivers(t, s, id)
			}
		}
		keep := bugle.Retention{Attempts: bugle.Keep{Rows: 3}, Deliveries: bugle.Keep{Rows: 4}, Events: bugle.Keep{Rows: 5}}
		clock.Advance(59 * time.Minute)
		wantRemoved(t, sweep(t, s, keep), store.Removed{}) // what has just happened stays
		clock.Advance(2 * time.Minute)
		// Of 1 to 7: the attempts of 5 to 7 are kept, the deliveries 4 to 7, the events 3 to 7 and what 2 needs.
		wantRemoved(t, sweep(t, s, keep), store.Removed{Attempts: 3, Deliveries: 2, Events: 1})
		if got := query[int64](t, s, "SELECT id FROM events ORDER BY id"); !slices.Equal(got, []int64{2, 3, 4, 5, 6, 7}) {
			t.Errorf("left are the events %d", got)
		}
	})
}

func TestSweep_organizationsDecideForThemselves(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *clockwork.FakeClock) {
		other := addOrganization(t, s)
		owe(t, s, 2)
		storetest.Change(t, s, func(tx *store.Tx) error {
			_, err := tx.Create(other, &personnel.Calendar, value.Map("name", "Theirs", "color", "#123456"))
			return err
		})
		never, week := 0, 7
		storetest.Change(t, s, func(tx *store.Tx) error {
			return tx.SetRetention(1, bugle.RetentionChoice{"events": {Days: &week}, "runs": {Rows: &never}})
		})
		choice, err := s.Retention(t.Context(), 1)
		if err != nil || len(choice) != 2 || *choice["events"].Days != 7 || choice["events"].Rows != nil || *choice["runs"].Rows != 0 {
			t.Errorf("the choice is %+v, %v", choice, err)
		}
		if choice, err := s.Retention(t.Context(), other.OrganizationID); err != nil || len(choice) != 0 {
			t.Errorf("the other organization's choice is %+v, %v", choice, err)
		}
		clock.Advance(8 * day)
		wantRemoved(t, sweep(t, s, bugle.DefaultRetention), store.Removed{Events: 2})
		storetest.Change(t, s, func(tx *store.Tx) error {
			return tx.SetRetention(other.OrganizationID, bugle.RetentionChoice{"events": {Days: &never}})
		})
		clock.Advance(100 * day)
		wantRemoved(t, sweep(t, s, bugle.DefaultRetention), store.Removed{})
		storetest.Change(t, s, func(tx *store.Tx) error { return tx.SetRetention(other.OrganizationID, nil) })
		wantRemoved(t, sweep(t, s, bugle.DefaultRetention), store.Removed{Events: 1})
		var invalid *bugle.InvalidError
		tooMuch := bugle.MaxKeepDays + 1
		err = s.Update(t.Context(), func(tx *store.Tx) error {
			return tx.SetRetention(1, bugle.RetentionChoice{"events": {Days: &tooMuch}})
		})
		if !errors.As(err, &invalid) {
			t.Errorf("too many days: %v", err)
		}
	})
}

// Each step is small: it deletes 200 rows at most, however many there are; and a later sweep goes on where the last
// one ended, but for one that is full.
func TestSweep_smallSteps(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *clockwork.FakeClock) {
		exec(t, s, fmt.Sprintf(`WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2500)
			INSERT INTO events (organization_id, name, resource_kind, resource_id, request_id, trace_id, causer_id, created_us, envelope)
			SELECT 1, 'custom.event', '', 0, '', '', 0, %d, '' FROM n`, clock.Now().UnixMicro()))
		clock.Advance(91 * day)
		w := s.NewSweep(bugle.DefaultRetention)
		w.Begin(false)
		total := 0
		for {
			n, more, err := w.Step(t.Context())
			if err != nil || n > 200 {
				t.Fatalf("a step deletes %d rows, %v", n, err)
			}
			total += n
			if !more {
				break
			}
		}
		if total != 2500 || w.Removed != (store.Removed{Events: 2500}) || count(t, s, "events") != 0 {
			t.Errorf("deleted were %d, %+v", total, w.Removed)
		}
		// One that was owed then is found by a full sweep.
		exec(t, s, fmt.Sprintf(`INSERT INTO events (id, organization_id, name, resource_kind, resource_id, request_id, trace_id, causer_id, created_us, envelope)
			VALUES (7, 1, 'custom.event', '', 0, '', '', 0, %d, '')`, storetest.Start.UnixMicro()))
		w.Begin(false)
		finish(t, w)
		wantRemoved(t, w.Removed, store.Removed{})
		w.Begin(true)
		finish(t, w)
		wantRemoved(t, w.Removed, store.Removed{Events: 1})
	})
}

// Without a database nothing is deleted, and a step can be made again.
func TestSweep_fails(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *clockwork.FakeClock) {
		owe(t, s, 1)
		clock.Advance(91 * day)
		addTrigger(t, s, "refuse", "BEFORE DELETE ON events", map[bool]string{false: "SELECT RAISE(FAIL, 'refused');", true: "RAISE EXCEPTION 'refused';"}[storetest.OnPostgres()])
		w := s.NewSweep(bugle.DefaultRetention)
		w.Begin(true)
		var failed error
		for n := 0; n < 100 && failed == nil; n++ {
			_, _, failed = w.Step(t.Context())
		}
		if failed == nil || w.Removed.Total() != 0 {
			t.Fatalf("refused deletions are %+v, %v", w.Removed, failed)
		}
		dropTrigger(t, s, "refuse", "events")
		finish(t, w)
		wantRemoved(t, w.Removed, store.Removed{Events: 1})
	})
}

// A new file gets smaller once rows are deleted.
func TestGiveBack(t *testing.T) {
	s, clock := storetest.NewFile(t)
	exec(t, s, fmt.Sprintf(`WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
		INSERT INTO events (organization_id, name, resource_kind, resource_id, request_id, trace_id, causer_id, created_us, envelope)
		SELECT 1, 'custom.event', '', 0, '', '', 0, %d, randomblob(1000) FROM n`, clock.Now().UnixMicro()))
	clock.Advance(91 * day)
	before := query[int64](t, s, "PRAGMA page_count")[0]
	sweep(t, s, bugle.DefaultRetention)
	steps := 0
	for more := true; more; steps++ {
		pages := query[int64](t, s, "PRAGMA page_count")[0]
		var err error
		if more, err = s.GiveBack(t.Context()); err != nil {
			t.Fatal(err)
		}
		if now := query[int64](t, s, "PRAGMA page_count")[0]; pages-now > 300 || steps > 100 {
			t.Fatalf("step %d gives back %d pages", steps, pages-now)
		}
	}
	after := query[int64](t, s, "PRAGMA page_count")[0]
	if before < 5000 || after > 1500 || after < 1024 || steps < 10 {
		t.Errorf("of %d pages %d are left after %d steps, want the tables and some spare ones", before, after, steps)
	}
	if more, err := s.GiveBack(t.Context()); more || err != nil {
		t.Errorf("there is more to give back: %v, %v", more, err)
	}
}

func TestAlone(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *clockwork.FakeClock) {
		failure := errors.New("failure")
		ran, err := s.Alone(t.Context(), "work", func(ctx context.Context) error {
			if storetest.OnPostgres() {
				if ran, err := s.Alone(ctx, "work", func(context.Context) error { return nil }); ran || err != nil {
					t.Errorf("the same work is done twice: %v, %v", ran, err)
				}
			}
			if ran, err := s.Alone(ctx, "other work", func(context.Context) error { return nil }); !ran || err != nil {
				t.Errorf("other work is not done: %v, %v", ran, err)
			}
			return failure
		})
		if !ran || !errors.Is(err, failure) {
			t.Errorf("the work is done: %v, %v", ran, err)
		}
		if ran, err := s.Alone(t.Context(), "work", func(context.Context) error { return nil }); !ran || err != nil {
			t.Errorf("the work is done again: %v, %v", ran, err)
		}
	})
}
