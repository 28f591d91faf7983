package store_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jonboulle/clockwork"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/internal/store"
	"github.com/buglehq/bugle/internal/storetest"
)

// damage runs SQL past the foreign keys.
func damage(t *testing.T, database string, statements ...string) {
	t.Helper()
	driver, name := "sqlite", strings.TrimPrefix(database, "sqlite:")
	if storetest.OnPostgres() {
		driver, name = "pgx", database
		statements = append([]string{"SET session_replication_role = replica"}, statements...)
	}
	db, err := sql.Open(driver, name)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	for _, s := range statements {
		if _, err := db.Exec(s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
}

func prove(t *testing.T, s *store.Store) *store.Proof {
	t.Helper()
	p, err := s.Prove(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// wantFaults checks what is broken: each is the check, the id and the text.
func wantFaults(t *testing.T, p *store.Proof, want ...string) {
	t.Helper()
	var got []string
	for _, f := range p.Faults {
		got = append(got, fmt.Sprintf("%s %d: %s", f.Check, f.ID, f.Text))
	}
	if !slices.Equal(got, want) || p.Broken != len(want) {
		t.Errorf("%d faults\n     %q\nwant %q", p.Broken, got, want)
	}
}

// history is a store with a bit of everything: deliveries 1 delivered at the second attempt, 2 failed, 3 cancelled,
// 4 waiting, 5 due, all of the webhook 1 and the events 1 to 5; and runs of them.
func history(t *testing.T) (*store.Store, *clockwork.FakeClock, string) {
	t.Helper()
	database := storetest.Database(t)
	clock := clockwork.NewFakeClockAt(storetest.Start)
	s := storetest.Open(t, database, store.Options{Clock: clock})
	storetest.AddWebhook(t, s, "https://example.com/hook", nil)
	storetest.Change(t, s, func(tx *store.Tx) error {
		a := bugle.NewAutomation()
		a.OrganizationID, a.Name, a.Trigger, a.Enabled = 1, "Some", "calendar.created", true
		return tx.AddAutomation(&a)
	})
	clock.Advance(time.Hour)
	owe(t, s, 5)
	user(t, s, "Jane Roe")
	exec(t, s, "DELETE FROM deliveries WHERE id > 5")
	exec(t, s, "UPDATE lanes SET last_sequence = 5")
	exec(t, s, "DELETE FROM events WHERE id > 5")
	waits(t, s, clock, 1, time.Second)
	clock.Advance(time.Minute)
	promote(t, s, 10, 1)
	delivers(t, s, 1)
	record(t, s, result(delivery(t, s, 2), 500, bugle.Outcome{State: bugle.Failed}))
	storetest.Change(t, s, func(tx *store.Tx) error { _, err := tx.Cancel(1, 3); return err })
	waits(t, s, clock, 4, time.Hour)
	return s, clock, database
}

func TestProve_nothingIsBroken(t *testing.T) {
	s, _, _ := history(t)
	p := prove(t, s)
	wantFaults(t, p)
	if p.Events != 5 || p.Deliveries != 5 || p.Webhooks != 1 || p.Runs != 5 || p.Orphans != 0 || p.Began.IsZero() {
		t.Errorf("the proof is %+v", p)
	}
}

func TestProve_findsWhatIsBroken(t *testing.T) {
	const attempt = "INSERT INTO attempts SELECT %s, %d, started_us, duration_us, method, url, status_code, reason, error_kind, error_message, response_headers, response_body, response_truncated, remote_address FROM attempts WHERE delivery_id = 2"
	for _, test := range []struct {
		name   string
		damage string
		want   []string
	}{
		{"a delivery is lost", "DELETE FROM deliveries WHERE id = 5",
			[]string{"events 5: calendar.created has no delivery for webhook 1, which subscribes to it", "lanes 1: its delivery number 5 is not there"}},
		{"a delivery is lost with its event", "DELETE FROM deliveries WHERE id = 3; DELETE FROM automation_runs WHERE event_id = 3; DELETE FROM events WHERE id = 3",
			[]string{"lanes 1: its delivery number 3 is not there"}},
		{"a delivery that the lane did not count", "UPDATE lanes SET last_sequence = 4", []string{"lanes 1: its newest delivery has number 5, but its lane has counted to 4"}},
		{"an event is lost", "DELETE FROM events WHERE id = 4", []string{"deliveries 4: its event 4 is not there", "runs 4: its event 4 is not there"}},
		{"a lane is lost", "DELETE FROM lanes", []string{"deliveries 1: its webhook has no lane", "deliveries 2: its webhook has no lane", "deliveries 3: its webhook has no lane",
			"deliveries 4: its webhook has no lane", "deliveries 5: its webhook has no lane", "lanes 1: it has no lane"}},
		{"due but finished", "UPDATE deliveries SET finished_us = 1 WHERE id = 5", []string{"deliveries 5: pending, but finished"}},
		{"due without a place", "UPDATE deliveries SET order_us = 0 WHERE id = 5", []string{"deliveries 5: due without a place in its lane"}},
		{"waits for no time", "UPDATE deliveries SET next_attempt_us = 0 WHERE id = 4", []string{"deliveries 4: waits for an attempt at no time"}},
		{"ended at no time", "UPDATE deliveries SET finished_us = 0 WHERE id = 3", []string{"deliveries 3: ended at no time"}},
		{"delivered without an attempt", "UPDATE deliveries SET state = 2, finished_us = 1 WHERE id = 5", []string{"deliveries 5: ended without an attempt"}},
		{"no state", "UPDATE deliveries SET state = 5 WHERE id = 5", []string{"deliveries 5: its state is 5, which is none"}},
		{"more attempts before than in all", "UPDATE deliveries SET attempts_before = 3 WHERE id = 2", []string{"deliveries 2: 1 attempts, 3 of them in earlier series"}},
		{"an attempt is lost", "DELETE FROM attempts WHERE delivery_id = 2", []string{"deliveries 2: 1 attempts, but none is there"}},
		{"the first attempt is lost", "DELETE FROM attempts WHERE delivery_id = 1 AND number = 1", []string{"deliveries 1: the attempts before number 2 are not there"}},
		{"the last attempt is lost", "DELETE FROM attempts WHERE delivery_id = 1 AND number = 2", []string{"deliveries 1: 2 attempts, but the last one that is there is number 1"}},
		{"an attempt between is lost", fmt.Sprintf(attempt, "2", 3) + "; UPDATE deliveries SET attempts = 3 WHERE id = 2", []string{"deliveries 2: of the attempts 1 to 3 only 2 are there"}},
		{"an attempt of no delivery", fmt.Sprintf(attempt, "99", 1), []string{"deliveries 99: there are attempts of it, but no delivery"}},
		{"more was deleted than is noted", "INSERT INTO removed_deliveries (webhook_id, removed, last_sequence, last_event_id) VALUES (1, 1, 3, 3); DELETE FROM deliveries WHERE id < 3; DELETE FROM attempts WHERE delivery_id < 3",
			[]string{"lanes 1: of its deliveries up to number 3 there are 1, and 1 were deleted"}},
		{"a counter is wrong", "UPDATE row_counts SET n = 7 WHERE table_name = 'users'", []string{"counters 1: users are counted as 7, but there are 1"}},
		// What is in order, although it looks strange.
		{"the webhook was deleted", "DELETE FROM lanes; DELETE FROM webhook_events; DELETE FROM webhooks", nil},
		{"earlier attempts were deleted", "DELETE FROM attempts WHERE delivery_id = 1 AND number = 1; UPDATE deliveries SET attempts_before = 1 WHERE id = 1; INSERT INTO removed_attempts VALUES (1, 5)", nil},
		{"the webhook did not subscribe then", "DELETE FROM deliveries WHERE id = 5; UPDATE lanes SET last_sequence = 4; UPDATE webhooks SET changed_event_id = 5", nil},
		{"the webhook is disabled", "DELETE FROM deliveries WHERE id = 5; UPDATE lanes SET last_sequence = 4; UPDATE webhooks SET status = 'disabled'", nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			s, _, database := history(t)
			damage(t, database, strings.Split(test.damage, "; ")...)
			wantFaults(t, prove(t, s), test.want...)
		})
	}
}

func TestProve_deletedWebhookLosesADelivery(t *testing.T) {
	s, _, database := history(t)
	storetest.Change(t, s, func(tx *store.Tx) error { return tx.DeleteWebhook(1, 1) })
	p := prove(t, s)
	wantFaults(t, p)
	if p.Orphans != 2 {
		t.Errorf("%d deliveries wait to be cancelled, want 2", p.Orphans)
	}
	damage(t, database, "DELETE FROM deliveries WHERE id = 3")
	wantFaults(t, prove(t, s), "lanes 1: its delivery number 3 is not there")
}

// What retention deletes is not lost, step for step.
func TestProve_duringRetention(t *testing.T) {
	s, clock, _ := history(t)
	for _, after := range []time.Duration{31 * day, 60 * day} {
		clock.Advance(after)
		w := s.NewSweep(bugle.DefaultRetention)
		w.Begin(true)
		for more := true; more; {
			var err error
			if _, more, err = w.Step(t.Context()); err != nil {
				t.Fatal(err)
			}
			wantFaults(t, prove(t, s))
		}
	}
	if p := prove(t, s); p.Deliveries != 2 {
		t.Errorf("%d deliveries are left", p.Deliveries)
	}
	redeliver(t, s, 4)
	wantFaults(t, prove(t, s))
}

// What changes during the walk is not taken for broken.
func TestProve_besideChanges(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *clockwork.FakeClock) {
		storetest.AddWebhook(t, s, "https://example.com/hook", nil)
		clock.Advance(time.Hour)
		done := make(chan struct{})
		go func() {
			defer close(done)
			w := s.NewSweep(bugle.Retention{Attempts: bugle.Keep{Days: 1}, Deliveries: bugle.Keep{Days: 2}, Events: bugle.Keep{Days: 2}})
			for id := int64(1); id <= 60; id++ {
				owe(t, s, 1)
				outcome := bugle.Outcome{State: []bugle.DeliveryState{bugle.Delivered, bugle.Failed, bugle.Pending}[id%3], NextAt: clock.Now().Add(time.Minute)}
				record(t, s, result(delivery(t, s, id), 500, outcome))
				if id%4 == 0 {
					redeliver(t, s, id)
				}
				clock.Advance(2 * time.Hour)
				w.Begin(true)
				finish(t, w)
			}
		}()
		for running := true; running; {
			select {
			case <-done:
				running = false
			default:
			}
			wantFaults(t, prove(t, s))
			if t.Failed() {
				break
			}
		}
		<-done
	})
}

// More rows than a page, and more faults than are listed.
func TestProve_isBounded(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *clockwork.FakeClock) {
		storetest.AddWebhook(t, s, "https://example.com/hook", nil)
		exec(t, s, `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2500)
			INSERT INTO events (organization_id, name, resource_kind, resource_id, request_id, trace_id, causer_id, created_us, envelope)
			SELECT 1, 'custom.event', '', 0, '', '', 0, 1, '' FROM n`)
		exec(t, s, `INSERT INTO deliveries (organization_id, webhook_id, event_id, sequence, order_us, next_attempt_us, created_us)
			SELECT 1, 1, id, id, 1, 1, 1 FROM events`)
		exec(t, s, "UPDATE lanes SET last_sequence = 2500")
		wantFaults(t, prove(t, s))
		exec(t, s, "DELETE FROM deliveries WHERE id > 1500 AND id <= 2200")
		p := prove(t, s)
		if p.Broken != 700 || len(p.Faults) != store.MaxFaults || p.Faults[0].Text != "its delivery number 1501 is not there" || p.Events != 2500 || p.Deliveries != 1800 {
			t.Errorf("%d faults, %d listed, first %+v, %d events, %d deliveries", p.Broken, len(p.Faults), p.Faults[0], p.Events, p.Deliveries)
		}
		ctx, stop := context.WithCancel(t.Context())
		steps := 0
		_, err := s.Prove(ctx, func(time.Duration) {
			if steps++; steps == 3 {
				stop()
			}
		})
		if err == nil || steps != 3 {
			t.Errorf("stopped after %d steps: %v", steps, err)
		}
	})
}

// A store that is open for reading only can be proven, and refuses changes, also to tables of another version.
func TestOpen_readOnly(t *testing.T) {
	_, _, database := history(t)
	s := storetest.Open(t, database, store.Options{ReadOnly: true})
	wantFaults(t, prove(t, s))
	if err := s.Update(t.Context(), addCalendar("no")); !errors.Is(err, store.ErrReadOnly) {
		t.Errorf("a change: %v, want ErrReadOnly", err)
	}
	damage(t, database, "UPDATE goose_db_version SET version_id = 99 WHERE version_id = 2")
	other, err := store.Open(t.Context(), database, store.Options{ReadOnly: true})
	if err == nil {
		other.Close()
	}
	if err == nil || !strings.Contains(err.Error(), "the tables have version 99, made by a newer Bugle") {
		t.Errorf("tables of a newer version: %v", err)
	}
}
