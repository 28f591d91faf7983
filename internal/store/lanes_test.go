package store_test

import (
	"cmp"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/jonboulle/clockwork"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/internal/store"
	"github.com/buglehq/bugle/internal/storetest"
	"github.com/buglehq/bugle/personnel"
)

// owe makes n events, each with a delivery for every webhook.
func owe(t *testing.T, s *store.Store, n int) {
	t.Helper()
	for range n {
		storetest.Change(t, s, addCalendar("?"))
	}
}

// due returns the lane of a webhook, all of it.
func due(t *testing.T, s *store.Store, webhookID int64) []store.NewDelivery {
	t.Helper()
	list, err := s.Due(t.Context(), webhookID, 0, 0, 1000)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func ids(list []store.NewDelivery) []int64 {
	all := make([]int64, len(list))
	for i, d := range list {
		all[i] = d.ID
	}
	return all
}

func wantDue(t *testing.T, s *store.Store, webhookID int64, want ...int64) {
	t.Helper()
	if got := ids(due(t, s, webhookID)); !slices.Equal(got, want) {
		t.Errorf("due for webhook %d are %d, want %d", webhookID, got, want)
	}
}

// delivery returns a delivery of organization 1.
func delivery(t *testing.T, s *store.Store, id int64) *bugle.Delivery {
	t.Helper()
	d, err := s.Delivery(t.Context(), 1, id)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// result is one of an attempt at a delivery, which answered with the status.
func result(d *bugle.Delivery, status int, outcome bugle.Outcome) store.Result {
	a := &bugle.Attempt{Number: d.AttemptsCount + 1, StartedAt: storetest.Start, Took: 20 * time.Millisecond, Method: "POST", URL: "https://example.com/hook",
		Status: status, Reason: "Whatever"}
	if !a.OK() {
		a.Error = &bugle.AttemptError{Kind: bugle.ErrorStatus, Message: fmt.Sprintf("answered %d", status)}
	}
	return store.Result{DeliveryID: d.ID, WebhookID: d.WebhookID, Attempt: a, Outcome: outcome}
}

func record(t *testing.T, s *store.Store, list ...store.Result) {
	t.Helper()
	if err := s.Record(t.Context(), list, nil); err != nil {
		t.Fatal(err)
	}
}

// waits lets a delivery fail, to be tried again after the time.
func waits(t *testing.T, s *store.Store, clock *clockwork.FakeClock, id int64, after time.Duration) {
	t.Helper()
	record(t, s, result(delivery(t, s, id), 500, bugle.Outcome{State: bugle.Pending, NextAt: clock.Now().Add(after)}))
}

func promote(t *testing.T, s *store.Store, limit, want int) {
	t.Helper()
	if n, err := s.Promote(t.Context(), limit); err != nil || n != want {
		t.Errorf("promoted were %d, %v, want %d", n, err, want)
	}
}

func redeliver(t *testing.T, s *store.Store, id int64) *bugle.Delivery {
	t.Helper()
	var d *bugle.Delivery
	storetest.Change(t, s, func(tx *store.Tx) (err error) {
		d, err = tx.Redeliver(1, id)
		return err
	})
	return d
}

func cancel(t *testing.T, s *store.Store, id int64) *bugle.Delivery {
	t.Helper()
	var d *bugle.Delivery
	storetest.Change(t, s, func(tx *store.Tx) (err error) {
		d, err = tx.Cancel(1, id)
		return err
	})
	return d
}

func TestDue_readsALaneInParts(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *clockwork.FakeClock) {
		w := storetest.AddWebhook(t, s, "https://example.com/1", nil).ID
		other := storetest.AddWebhook(t, s, "https://example.com/2", nil).ID
		owe(t, s, 3)
		clock.Advance(time.Second)
		owe(t, s, 2)
		var got []int64
		order, id := int64(0), int64(0)
		for range 3 {
			part, err := s.Due(t.Context(), w, order, id, 2)
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range part {
				got, order, id = append(got, d.ID), d.Order, d.ID
				if d.WebhookID != w || d.Due > clock.Now().UnixMicro() || d.Attempts != 0 || d.AttemptsBefore != 0 || d.Payload.Text != nil {
					t.Errorf("due is %+v", d)
				}
			}
		}
		if want := []int64{1, 3, 5, 7, 9}; !slices.Equal(got, want) {
			t.Errorf("due are %d, want %d", got, want)
		}
		wantDue(t, s, other, 2, 4, 6, 8, 10)

		envelopes := map[int64]string{}
		if err := s.Payloads(t.Context(), []int64{2, 5, 77}, func(id int64, p bugle.Payload) { envelopes[id] = string(p.Text) }); err != nil {
			t.Fatal(err)
		}
		all := events(t, s)
		if len(envelopes) != 2 || envelopes[2] != all[1].Envelope || envelopes[5] != all[4].Envelope {
			t.Errorf("envelopes are %v", envelopes)
		}
	})
}

func TestDueLanes(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *clockwork.FakeClock) {
		want := func(want ...int64) {
			t.Helper()
			if got, err := s.DueLanes(t.Context()); err != nil || !slices.Equal(got, want) {
				t.Errorf("due lanes are %d, %v, want %d", got, err, want)
			}
		}
		for i := range 4 {
			storetest.AddWebhook(t, s, fmt.Sprintf("https://example.com/%d", i), nil)
		}
		want()
		owe(t, s, 2) // deliveries 1 to 4, and 5 to 8
		want(1, 2, 3, 4)
		for _, id := range []int64{1, 5} {
			record(t, s, result(delivery(t, s, id), 200, bugle.Outcome{State: bugle.Delivered}))
			waits(t, s, clock, id+1, time.Minute)
			cancel(t, s, id+2)
		}
		want(4)
		storetest.Change(t, s, func(tx *store.Tx) error { return tx.DeleteWebhook(1, 4) })
		want(4)
	})
}

// Lanes are read in the order of place and id with a cursor that only goes forward: whatever becomes
// due has to come behind everything that was due before, even if the clock goes back.
func TestPlaces_increaseWhenTheClockGoesBack(t *testing.T) {
	path := databasePath(t)
	clock := clockwork.NewFakeClockAt(storetest.Start)
	s, err := store.Open(t.Context(), "sqlite:"+path, store.Options{Clock: clock})
	if err != nil {
		t.Fatal(err)
	}
	var places []store.NewDelivery
	collect := func(c store.Committed) { places = append(places, c.Deliveries...) }
	s.Notify(collect)
	if _, err := s.EnsureOrganization(t.Context(), "Test"); err != nil {
		t.Fatal(err)
	}
	w := storetest.AddWebhook(t, s, "https://example.com/hook", nil).ID
	owe(t, s, 4)
	waits(t, s, clock, 1, time.Minute)
	waits(t, s, clock, 2, 2*time.Minute)
	clock.Advance(3 * time.Minute)
	owe(t, s, 1)
	clock.Advance(-30 * time.Second)
	promote(t, s, 10, 2)
	clock.Advance(-time.Hour)
	owe(t, s, 2)
	record(t, s, result(delivery(t, s, 3), 200, bugle.Outcome{State: bugle.Delivered}), result(delivery(t, s, 4), 500, bugle.Outcome{State: bugle.Failed}))
	redeliver(t, s, 4)
	redeliver(t, s, 3)
	owe(t, s, 1)
	closeStore(t, s)

	clock.Advance(-time.Hour)
	if s, err = store.Open(t.Context(), "sqlite:"+path, store.Options{Clock: clock}); err != nil {
		t.Fatal(err)
	}
	defer closeStore(t, s)
	s.Notify(collect)
	owe(t, s, 1)
	clock.Advance(24 * time.Hour)
	owe(t, s, 1)

	byPlace := func(a, b store.NewDelivery) int {
		return cmp.Or(cmp.Compare(a.Order, b.Order), cmp.Compare(a.ID, b.ID))
	}
	for i := range len(places) - 1 {
		if byPlace(places[i], places[i+1]) >= 0 {
			t.Errorf("%+v was passed on before %+v", places[i], places[i+1])
		}
	}
	if got, want := ids(places), []int64{1, 2, 3, 4, 5, 1, 2, 6, 7, 4, 3, 8, 9, 10}; !slices.Equal(got, want) {
		t.Errorf("passed on were %d, want %d", got, want)
	}
	wantDue(t, s, w, 5, 1, 2, 6, 7, 4, 3, 8, 9, 10)
}

// A delivery is due at once by the clock that there is, though its place be in the future: ordered
// lanes wait until then.
func TestPlaces_areNotWaitedFor(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *clockwork.FakeClock) {
		w := storetest.AddWebhook(t, s, "https://example.com/hook", nil).ID
		owe(t, s, 3)
		record(t, s, result(delivery(t, s, 1), 500, bugle.Outcome{State: bugle.Failed}))
		clock.Advance(-time.Hour)
		waits(t, s, clock, 2, 0)
		var told []store.NewDelivery
		s.Notify(func(c store.Committed) { told = append(told, c.Deliveries...) })
		owe(t, s, 1)
		redeliver(t, s, 1)
		promote(t, s, 10, 1)
		now := clock.Now().UnixMicro()
		for _, d := range slices.Concat(told, due(t, s, w)) {
			if d.Due > now && d.ID != 3 { // it was due before the clock went back
				t.Errorf("delivery %d is due %d µs from now", d.ID, d.Due-now)
			}
		}
		if next := delivery(t, s, 4).NextAttemptAt; !next.Equal(clock.Now()) {
			t.Errorf("the next attempt is at %s, want it now, at %s", next, clock.Now())
		}
	})
}

func TestPromote(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *clockwork.FakeClock) {
		wantNext := func(want time.Time) {
			t.Helper()
			if got, err := s.NextRetry(t.Context()); err != nil || !got.Equal(want) {
				t.Errorf("the next retry is at %s, %v, want %s", got, err, want)
			}
		}
		var told []store.NewDelivery
		w := storetest.AddWebhook(t, s, "https://example.com/hook", nil).ID
		owe(t, s, 5)
		wantNext(time.Time{})
		promote(t, s, 10, 0)
		s.Notify(func(c store.Committed) { told = append(told, c.Deliveries...) })
		for id := int64(1); id <= 4; id++ { // the first waits longest
			waits(t, s, clock, id, time.Duration(5-id)*time.Minute)
		}
		wantDue(t, s, w, 5)
		wantNext(storetest.Start.Add(time.Minute))

		clock.Advance(time.Minute - time.Microsecond)
		promote(t, s, 10, 0)
		clock.Advance(time.Microsecond)
		promote(t, s, 10, 1)
		wantDue(t, s, w, 5, 4)
		wantNext(storetest.Start.Add(2 * time.Minute))
		if d := delivery(t, s, 4); d.State != bugle.Pending || d.AttemptsCount != 1 {
			t.Errorf("the promoted delivery is %+v", d)
		}

		clock.Advance(time.Hour)
		promote(t, s, 2, 2) // those that have waited longest for their time
		wantDue(t, s, w, 5, 4, 2, 3)
		promote(t, s, 2, 1)
		wantDue(t, s, w, 5, 4, 2, 3, 1)
		wantNext(time.Time{})
		if got := ids(told); !slices.Equal(got, []int64{4, 2, 3, 1}) {
			t.Errorf("passed on were %d", got)
		}
		for _, d := range told {
			if d.WebhookID != w || d.EventID != d.ID || d.Attempts != 1 || d.AttemptsBefore != 0 || d.Payload.Text != nil {
				t.Errorf("passed on was %+v", d)
			}
		}
	})
}

// When the clock was set back, what waits for a retry is due that much earlier, and nothing else is.
func TestHasten(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *clockwork.FakeClock) {
		const many = 1200 // more than one transaction moves
		plain := storetest.AddWebhook(t, s, "https://example.com/hook", nil).ID
		ordered := storetest.AddWebhook(t, s, "https://example.com/hook", func(w *bugle.Webhook) { w.Ordered = true }).ID
		storetest.Change(t, s, func(tx *store.Tx) error {
			for range many {
				if err := addCalendar("?")(tx); err != nil {
					return err
				}
			}
			return nil
		})
		start := clock.Now()
		var failed []store.Result
		for i, d := range due(t, s, plain) {
			failed = append(failed, result(delivery(t, s, d.ID), 500, bugle.Outcome{State: bugle.Pending, NextAt: start.Add(time.Hour + time.Duration(i/3)*time.Second)}))
		}
		last := failed[len(failed)-1].Outcome.NextAt
		passed := failed[0].DeliveryID
		failed[0].Outcome.NextAt = start.Add(-time.Second)
		head := due(t, s, ordered)[0].ID
		inOrder := result(delivery(t, s, head), 500, bugle.Outcome{State: bugle.Pending, NextAt: start.Add(time.Hour)})
		inOrder.Ordered = true
		record(t, s, append(failed, inOrder)...)
		var told []int64
		s.Notify(func(c store.Committed) { told = append(told, c.Webhooks...) })

		n, err := s.Hasten(t.Context(), 50*time.Minute)
		if want := len(failed); err != nil || n != want {
			t.Errorf("moved were %d, %v, want %d", n, err, want)
		}
		for _, r := range failed[1:] {
			if d := delivery(t, s, r.DeliveryID); !d.NextAttemptAt.Equal(r.Outcome.NextAt.Add(-50 * time.Minute).Truncate(time.Microsecond)) {
				t.Fatalf("delivery %d, which waited until %s, waits until %s", d.ID, r.Outcome.NextAt, d.NextAttemptAt)
			}
		}
		if d := delivery(t, s, passed); !d.NextAttemptAt.Equal(start.Add(-time.Second)) {
			t.Errorf("what was due already is due at %s", d.NextAttemptAt)
		}
		if d := delivery(t, s, head); !d.NextAttemptAt.Equal(start.Add(10 * time.Minute)) {
			t.Errorf("the head of the ordered lane is due at %s", d.NextAttemptAt)
		}
		if !slices.Equal(told, []int64{ordered}) {
			t.Errorf("told of were the lanes %d, want %d, whose head is in memory", told, ordered)
		}
		clock.Advance(last.Sub(start))
		if n, err := s.Hasten(t.Context(), time.Hour); err != nil || n != 0 {
			t.Errorf("once everything is due, moved were %d, %v", n, err)
		}
	})
}

// The clock may be set between the end of an attempt and its writing.
func TestRecord_clockWasSet(t *testing.T) {
	clock := &storetest.SetClock{Clock: clockwork.NewFakeClockAt(time.Now())}
	s := storetest.Open(t, storetest.Database(t), store.Options{Clock: clock})
	hook := storetest.AddWebhook(t, s, "https://example.com/hook", nil).ID
	storetest.Create(t, s, &personnel.Calendar, "name", "?", "color", "#123456")
	d := due(t, s, hook)[0]
	next := clock.Now().Add(10 * time.Second)
	clock.Set(-time.Hour)
	record(t, s, result(delivery(t, s, d.ID), 500, bugle.Outcome{State: bugle.Pending, NextAt: next}))
	if at, want := delivery(t, s, d.ID).NextAttemptAt, clock.Now().Round(0).Add(10*time.Second).Truncate(time.Microsecond); !at.Equal(want) {
		t.Errorf("the retry waits until %s, want %s", at, want)
	}
}

func TestRecord_outcomes(t *testing.T) {
	later := storetest.Start.Add(time.Hour)
	tests := []struct {
		name     string
		status   int
		outcome  bugle.Outcome
		ordered  bool
		want     bugle.DeliveryState
		due      bool
		disabled bool
	}{
		{name: "delivered", status: 204, outcome: bugle.Outcome{State: bugle.Delivered}, want: bugle.Delivered},
		{name: "tried again", status: 500, outcome: bugle.Outcome{State: bugle.Pending, NextAt: later}, want: bugle.Pending},
		{name: "tried again in its place", status: 500, outcome: bugle.Outcome{State: bugle.Pending, NextAt: later}, ordered: true, want: bugle.Pending, due: true},
		{name: "given up", status: 404, outcome: bugle.Outcome{State: bugle.Failed}, want: bugle.Failed},
		{name: "gone", status: 410, outcome: bugle.Outcome{State: bugle.Failed, Gone: true}, want: bugle.Failed, disabled: true},
		{name: "cancelled", outcome: bugle.Outcome{State: bugle.Cancelled}, want: bugle.Cancelled},
	}
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *clockwork.FakeClock) {
		for _, test := range tests {
			t.Run(test.name, func(t *testing.T) {
				w := storetest.AddWebhook(t, s, "https://example.com/hook", nil)
				owe(t, s, 2)
				lane := due(t, s, w.ID)
				var changed []int64
				s.Notify(func(c store.Committed) { changed = append(changed, c.Webhooks...) })
				r := result(delivery(t, s, lane[0].ID), test.status, test.outcome)
				r.Ordered = test.ordered
				record(t, s, r)

				d := delivery(t, s, lane[0].ID)
				if d.State != test.want || d.AttemptsCount != 1 || d.Status != test.status || d.Took != 20*time.Millisecond {
					t.Errorf("the delivery is %+v", d)
				}
				if (d.Error == nil) != (test.want == bugle.Delivered) {
					t.Errorf("its error is %+v", d.Error)
				}
				if pending := test.want == bugle.Pending; pending != d.FinishedAt.IsZero() || pending != d.NextAttemptAt.Equal(later) {
					t.Errorf("finished at %s, next attempt at %s", d.FinishedAt, d.NextAttemptAt)
				}
				want := ids(lane[1:])
				if test.due {
					want = ids(lane)
				}
				wantDue(t, s, w.ID, want...)
				hook, err := s.Webhook(t.Context(), 1, w.ID)
				if err != nil || (hook.Status == bugle.Disabled) != test.disabled || slices.Contains(changed, w.ID) != test.disabled {
					t.Errorf("the webhook is %s, %v; changed were %d", hook.Status, err, changed)
				}
				storetest.Change(t, s, func(tx *store.Tx) error { return tx.DeleteWebhook(1, w.ID) })
			})
		}
	})
}

func TestRecord_manyAtOnce(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *clockwork.FakeClock) {
		w := storetest.AddWebhook(t, s, "https://example.com/hook", nil).ID
		const n = 150 // more than a statement's worth of rows, twice, and some
		owe(t, s, n)
		var list []store.Result
		for i, d := range due(t, s, w) {
			r := result(&bugle.Delivery{ID: d.ID, WebhookID: w}, 200, bugle.Outcome{State: bugle.Delivered})
			if i%3 == 0 {
				r = result(&bugle.Delivery{ID: d.ID, WebhookID: w}, 500, bugle.Outcome{State: bugle.Pending, NextAt: clock.Now()})
			}
			list = append(list, r)
		}
		record(t, s, list...)
		if got := query[int](t, s, "SELECT COUNT(*) FROM deliveries GROUP BY state ORDER BY state"); !slices.Equal(got, []int{50, 100}) {
			t.Errorf("waiting and delivered are %d", got)
		}
		if count(t, s, "attempts") != n {
			t.Errorf("there are %d attempts, want %d", count(t, s, "attempts"), n)
		}
		record(t, s, list[:70]...) // sent again, as after a crash
		if count(t, s, "attempts") != n {
			t.Errorf("there are %d attempts once some came twice, want %d", count(t, s, "attempts"), n)
		}
		record(t, s)
	})
}

// Somebody cancels a delivery while it is being sent.
func TestRecord_ofWhatWasCancelledMeanwhile(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *clockwork.FakeClock) {
		w := storetest.AddWebhook(t, s, "https://example.com/hook", nil).ID
		owe(t, s, 3)
		var list []store.Result
		for i, outcome := range []bugle.Outcome{{State: bugle.Delivered}, {State: bugle.Pending, NextAt: clock.Now()}, {State: bugle.Failed}} {
			d := delivery(t, s, int64(i+1))
			status := 500
			if outcome.State == bugle.Delivered {
				status = 200
			}
			list = append(list, result(d, status, outcome))
			cancel(t, s, d.ID)
		}
		record(t, s, list...)
		for i, want := range []bugle.DeliveryState{bugle.Delivered, bugle.Cancelled, bugle.Cancelled} {
			if d := delivery(t, s, int64(i+1)); d.State != want || d.AttemptsCount != 1 || d.FinishedAt.IsZero() {
				t.Errorf("the delivery is %+v, want it %s", d, want)
			}
		}
		wantDue(t, s, w)
		promote(t, s, 10, 0)
	})
}

func TestCancelOrphans(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *clockwork.FakeClock) {
		w := storetest.AddWebhook(t, s, "https://example.com/hook", nil).ID
		other := storetest.AddWebhook(t, s, "https://example.com/other", nil).ID
		owe(t, s, 5)
		orphans := func(webhook int64, limit, want int) {
			t.Helper()
			if n, err := s.CancelOrphans(t.Context(), webhook, limit); err != nil || n != want {
				t.Errorf("cancelled were %d, %v, want %d", n, err, want)
			}
		}
		orphans(w, 10, 0) // it has its webhook still
		waits(t, s, clock, 1, 0)
		record(t, s, result(delivery(t, s, 3), 200, bugle.Outcome{State: bugle.Delivered}))
		storetest.Change(t, s, func(tx *store.Tx) error { return tx.DeleteWebhook(1, w) })
		orphans(w, 3, 3)
		orphans(w, 3, 1)
		orphans(w, 3, 0)
		wantDue(t, s, w)
		promote(t, s, 10, 0)
		for id, want := range map[int64]bugle.DeliveryState{1: bugle.Cancelled, 3: bugle.Delivered, 5: bugle.Cancelled, 9: bugle.Cancelled, 2: bugle.Pending} {
			if d := delivery(t, s, id); d.State != want {
				t.Errorf("delivery %d is %s, want %s", id, d.State, want)
			}
		}
		wantDue(t, s, other, 2, 4, 6, 8, 10)
	})
}

func TestDelete_ofAWebhookKeepsItsLog(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *clockwork.FakeClock) {
		w := storetest.AddWebhook(t, s, "https://example.com/hook", nil).ID
		jane := user(t, s, "Jane Roe").ID()
		record(t, s, result(delivery(t, s, 1), 200, bugle.Outcome{State: bugle.Delivered}))
		storetest.Change(t, s, func(tx *store.Tx) error { return tx.DeleteWebhook(1, w) })
		storetest.Delete(t, s, &personnel.User, jane)
		if d := delivery(t, s, 1); d.WebhookID != w || d.Event != "user.created" {
			t.Errorf("the delivery is %+v", d)
		}
		if attempts, err := s.Attempts(t.Context(), 1); err != nil || len(attempts) != 1 {
			t.Errorf("its attempts are %v, %v", attempts, err)
		}
		if n := count(t, s, "deliveries"); n != 1 {
			t.Errorf("there are %d deliveries", n)
		}
		if again := storetest.AddWebhook(t, s, "https://example.com/again", nil); again.ID == w {
			t.Error("a new webhook has the id of the deleted one, and its log")
		}
	})
}
