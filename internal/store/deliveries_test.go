package store_test

import (
	"errors"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jonboulle/clockwork"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/internal/store"
	"github.com/buglehq/bugle/internal/storetest"
	"github.com/buglehq/bugle/personnel"
)

func TestDelivery_readsBack(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *clockwork.FakeClock) {
		w := storetest.AddWebhook(t, s, "https://example.com/hook", nil)
		user(t, s, "Jane Roe")
		want := &bugle.Delivery{
			ID: 1, OrganizationID: 1, WebhookID: w.ID, EventID: 1, Event: "user.created", RequestID: storetest.Actor().RequestID,
			TraceID: storetest.Actor().TraceID, ResourceKind: "user", ResourceID: 1, Sequence: 1, State: bugle.Pending, NextAttemptAt: storetest.Start, CreatedAt: storetest.Start,
		}
		if got := delivery(t, s, 1); !reflect.DeepEqual(got, want) {
			t.Errorf("the delivery is\n     %+v\nwant %+v", got, want)
		}
		clock.Advance(time.Second)
		record(t, s, result(want, 503, bugle.Outcome{State: bugle.Failed}))
		want.State, want.AttemptsCount, want.Status, want.Took = bugle.Failed, 1, 503, 20*time.Millisecond
		want.Reason, want.Error = "Whatever", &bugle.AttemptError{Kind: bugle.ErrorStatus, Message: "answered 503"}
		want.NextAttemptAt, want.FinishedAt = time.Time{}, storetest.Start.Add(time.Second)
		if got := delivery(t, s, 1); !reflect.DeepEqual(got, want) {
			t.Errorf("the failed delivery is\n     %+v\nwant %+v", got, want)
		}
		payload, err := s.Payload(t.Context(), want.EventID)
		if err != nil || string(payload.Text) != events(t, s)[0].Envelope {
			t.Errorf("its envelope is %s, %v", payload.Text, err)
		}
		if _, err := s.Delivery(t.Context(), 1, 2); !errors.Is(err, bugle.ErrNotFound) {
			t.Errorf("a delivery that is not there: %v, want ErrNotFound", err)
		}
		if _, err := s.Payload(t.Context(), 2); !errors.Is(err, bugle.ErrNotFound) {
			t.Errorf("an envelope that is not there: %v, want ErrNotFound", err)
		}
	})
}

func TestDeliveries_filters(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *clockwork.FakeClock) {
		first := storetest.AddWebhook(t, s, "https://example.com/1", nil).ID
		second := storetest.AddWebhook(t, s, "https://example.com/2", func(w *bugle.Webhook) { w.Events = []string{"user.created"} }).ID
		user(t, s, "Jane Roe") // 1, 2
		clock.Advance(time.Hour)
		owe(t, s, 2) // 3, 4
		clock.Advance(time.Hour)
		other := storetest.Actor()
		other.RequestID = "another-request"
		createIn(t, s, other, &personnel.User, "name", "John Doe", "email", "john@example.com") // 5, 6
		record(t, s,
			result(delivery(t, s, 1), 200, bugle.Outcome{State: bugle.Delivered}),
			result(delivery(t, s, 3), 404, bugle.Outcome{State: bugle.Failed}),
			result(delivery(t, s, 5), 404, bugle.Outcome{State: bugle.Pending, NextAt: clock.Now().Add(time.Hour)}))
		cancel(t, s, 6)

		hour := func(n int) time.Time { return storetest.Start.Add(time.Duration(n) * time.Hour) }
		tests := []struct {
			name   string
			filter store.DeliveryFilter
			want   []int64
		}{
			{"none", store.DeliveryFilter{}, []int64{6, 5, 4, 3, 2, 1}},
			{"webhook", store.DeliveryFilter{WebhookID: first}, []int64{5, 4, 3, 1}},
			{"another webhook", store.DeliveryFilter{WebhookID: second}, []int64{6, 2}},
			{"unknown webhook", store.DeliveryFilter{WebhookID: 99}, nil},
			{"pending", store.DeliveryFilter{State: bugle.Pending}, []int64{5, 4, 2}},
			{"delivered", store.DeliveryFilter{State: bugle.Delivered}, []int64{1}},
			{"failed", store.DeliveryFilter{State: bugle.Failed}, []int64{3}},
			{"cancelled", store.DeliveryFilter{State: bugle.Cancelled}, []int64{6}},
			{"event", store.DeliveryFilter{Event: "calendar.created"}, []int64{4, 3}},
			{"part of an event's name", store.DeliveryFilter{Event: "calendar"}, nil},
			{"request", store.DeliveryFilter{RequestID: "another-request"}, []int64{6, 5}},
			{"status", store.DeliveryFilter{StatusCode: 404}, []int64{5, 3}},
			{"since", store.DeliveryFilter{Since: hour(1)}, []int64{6, 5, 4, 3}},
			{"until", store.DeliveryFilter{Until: hour(1)}, []int64{2, 1}},
			{"between", store.DeliveryFilter{Since: hour(1), Until: hour(2)}, []int64{4, 3}},
			{"all together", store.DeliveryFilter{WebhookID: first, State: bugle.Pending, Event: "user.created", RequestID: "another-request",
				Since: hour(1), Until: hour(3), StatusCode: 404}, []int64{5}},
		}
		for _, test := range tests {
			t.Run(test.name, func(t *testing.T) {
				var got []int64
				for number := 1; ; number++ {
					page, err := s.Deliveries(t.Context(), 1, test.filter, store.PageRequest{Number: number, Limit: 2})
					if err != nil || page.Total != len(test.want) {
						t.Fatalf("page %d is %+v, %v, want a total of %d", number, page, err, len(test.want))
					}
					if len(page.Items) == 0 {
						break
					}
					for _, d := range page.Items {
						got = append(got, d.ID)
						if !reflect.DeepEqual(d, delivery(t, s, d.ID)) {
							t.Errorf("delivery %d is listed as %+v", d.ID, d)
						}
					}
				}
				if !slices.Equal(got, test.want) {
					t.Errorf("deliveries are %d, want %d", got, test.want)
				}
			})
		}
	})
}

func TestAttempts_readBack(t *testing.T) {
	attempts := []*bugle.Attempt{
		{Number: 1, StartedAt: storetest.Start, Took: 12345 * time.Microsecond, Method: "GET", URL: "https://example.com/ü?a=b",
			Error: &bugle.AttemptError{Kind: bugle.ErrorDNS, Message: "no such host"}, ResponseHeaders: http.Header{}},
		{Number: 2, StartedAt: storetest.Start.Add(time.Microsecond), Took: time.Second, Method: "POST", URL: "https://example.com/", Status: 500,
			Reason: "Internal Server Error", Error: &bugle.AttemptError{Kind: bugle.ErrorStatus, Message: "500 \"oops\""},
			ResponseHeaders: http.Header{"Set-Cookie": {"a=1", "b=2"}, "X-Empty": {""}, "7": {"number"}, "Content-Type": {"text/html"}},
			ResponseBody:    []byte("\x00\xff<html>\n"), ResponseTruncated: true, RemoteAddress: "[2001:db8::1]:443"},
	}
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *clockwork.FakeClock) {
		storetest.AddWebhook(t, s, "https://example.com/hook", nil)
		owe(t, s, 1)
		for _, a := range attempts {
			record(t, s, store.Result{DeliveryID: 1, WebhookID: 1, Attempt: a, Outcome: bugle.Outcome{State: bugle.Pending, NextAt: clock.Now()}})
			promote(t, s, 1, 1)
		}
		got, err := s.Attempts(t.Context(), 1)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, attempts) {
			t.Errorf("attempts read back as\n     %+v %+v\nwant %+v %+v", got[0], got[1], attempts[0], attempts[1])
		}
	})
}

// Receivers may send headers in any encoding; the log must take them.
func TestAttempts_headersThatAreNoUTF8(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *clockwork.FakeClock) {
		storetest.AddWebhook(t, s, "https://example.com/hook", nil)
		owe(t, s, 1)
		r := result(delivery(t, s, 1), 200, bugle.Outcome{State: bugle.Delivered})
		r.Attempt.ResponseHeaders = http.Header{"X-Latin": {"Stra\xdfe", "ok"}, "X-\xff": {"?"}}
		record(t, s, r)
		got, err := s.Attempts(t.Context(), 1)
		want := http.Header{"X-Latin": {"Stra\uFFFDe", "ok"}, "X-\uFFFD": {"?"}}
		if err != nil || !reflect.DeepEqual(got[0].ResponseHeaders, want) {
			t.Errorf("headers are %q, %v, want %q", got[0].ResponseHeaders, err, want)
		}
	})
}

func TestAttempts_theNewest(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *clockwork.FakeClock) {
		storetest.AddWebhook(t, s, "https://example.com/hook", nil)
		owe(t, s, 1)
		var list []store.Result
		for i := range store.MaxAttemptsShown + 5 {
			list = append(list, result(&bugle.Delivery{ID: 1, WebhookID: 1, AttemptsCount: i}, 500, bugle.Outcome{State: bugle.Pending, NextAt: clock.Now()}))
		}
		record(t, s, list...)
		got, err := s.Attempts(t.Context(), 1)
		if err != nil || len(got) != store.MaxAttemptsShown || got[0].Number != 6 || got[len(got)-1].Number != store.MaxAttemptsShown+5 {
			t.Errorf("%d attempts are shown, %v", len(got), err)
		}
	})
}

func TestRedeliver(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *clockwork.FakeClock) {
		w := storetest.AddWebhook(t, s, "https://example.com/hook", nil).ID
		owe(t, s, 5)
		record(t, s,
			result(delivery(t, s, 1), 200, bugle.Outcome{State: bugle.Delivered}),
			result(delivery(t, s, 2), 500, bugle.Outcome{State: bugle.Failed}),
			result(delivery(t, s, 3), 500, bugle.Outcome{State: bugle.Pending, NextAt: clock.Now().Add(time.Hour)}))
		cancel(t, s, 4)
		var told []store.NewDelivery
		s.Notify(func(c store.Committed) { told = append(told, c.Deliveries...) })
		clock.Advance(time.Minute)
		for id := int64(1); id <= 4; id++ {
			before := delivery(t, s, id)
			d := redeliver(t, s, id)
			if d.State != bugle.Pending || !d.NextAttemptAt.Equal(clock.Now()) || !d.FinishedAt.IsZero() ||
				d.AttemptsCount != before.AttemptsCount || d.Sequence != before.Sequence || d.EventID != before.EventID {
				t.Errorf("redelivered is %+v, before it was %+v", d, before)
			}
			last := told[len(told)-1]
			if last.ID != id || last.WebhookID != w || last.EventID != d.EventID || last.Attempts != d.AttemptsCount || last.AttemptsBefore != d.AttemptsCount {
				t.Errorf("passed on was %+v", last)
			}
		}
		wantDue(t, s, w, 5, 1, 2, 3, 4)
		if lane := due(t, s, w); lane[1].AttemptsBefore != 1 || lane[4].AttemptsBefore != 0 {
			t.Errorf("the lane is %+v", lane)
		}
		n := len(told)
		redeliver(t, s, 5) // is due already
		redeliver(t, s, 1)
		if len(told) != n {
			t.Errorf("passed on once more were %+v", told[n:])
		}
		wantDue(t, s, w, 5, 1, 2, 3, 4)

		storetest.Change(t, s, func(tx *store.Tx) error { return tx.DeleteWebhook(1, w) })
		err := s.Update(t.Context(), func(tx *store.Tx) error { _, err := tx.Redeliver(1, 2); return err })
		if !errors.Is(err, bugle.ErrConflict) || !strings.Contains(err.Error(), "its webhook was deleted") {
			t.Errorf("redelivering to a deleted webhook: %v, want ErrConflict", err)
		}
	})
}

// At the head of an ordered lane a failed delivery waits in its place: redelivering ends the wait.
func TestRedeliver_inAnOrderedLane(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *clockwork.FakeClock) {
		w := storetest.AddWebhook(t, s, "https://example.com/hook", func(w *bugle.Webhook) { w.Ordered = true }).ID
		owe(t, s, 2)
		r := result(delivery(t, s, 1), 500, bugle.Outcome{State: bugle.Pending, NextAt: clock.Now().Add(time.Hour)})
		r.Ordered = true
		record(t, s, r)
		var changed []int64
		s.Notify(func(c store.Committed) { changed = append(changed, c.Webhooks...) })
		if d := redeliver(t, s, 1); !d.NextAttemptAt.Equal(clock.Now()) || d.State != bugle.Pending {
			t.Errorf("redelivered is %+v", d)
		}
		wantDue(t, s, w, 1, 2)
		if !slices.Equal(changed, []int64{w}) {
			t.Errorf("to be read anew are %d, want the lane", changed)
		}
	})
}

func TestCancel(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *clockwork.FakeClock) {
		w := storetest.AddWebhook(t, s, "https://example.com/hook", nil).ID
		owe(t, s, 4)
		waits(t, s, clock, 2, 0)
		record(t, s, result(delivery(t, s, 3), 200, bugle.Outcome{State: bugle.Delivered}), result(delivery(t, s, 4), 500, bugle.Outcome{State: bugle.Failed}))
		var changed []int64
		s.Notify(func(c store.Committed) { changed = append(changed, c.Webhooks...) })
		clock.Advance(time.Minute)
		for _, id := range []int64{1, 2} {
			if d := cancel(t, s, id); d.State != bugle.Cancelled || !d.FinishedAt.Equal(clock.Now()) || !d.NextAttemptAt.IsZero() {
				t.Errorf("cancelled is %+v", d)
			}
		}
		wantDue(t, s, w)
		promote(t, s, 10, 0)
		if !slices.Equal(changed, []int64{w, w}) {
			t.Errorf("to be read anew are %d, want the lane, twice", changed)
		}
		for id, want := range map[int64]string{1: "cancelled already", 3: "delivered already", 4: "failed already"} {
			err := s.Update(t.Context(), func(tx *store.Tx) error { _, err := tx.Cancel(1, id); return err })
			if !errors.Is(err, bugle.ErrConflict) || !strings.Contains(err.Error(), want) {
				t.Errorf("cancelling delivery %d: %v, want ErrConflict, %s", id, err, want)
			}
		}
	})
}

// Only those are read that are the organization's and meet the filter.
func TestStore_DeliveriesByID(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *clockwork.FakeClock) {
		w := storetest.AddWebhook(t, s, "https://example.com/hook", nil)
		user(t, s, "Jane Roe")
		user(t, s, "John Doe")
		record(t, s, result(delivery(t, s, 1), 503, bugle.Outcome{State: bugle.Failed}))
		for _, c := range []struct {
			organization int64
			filter       store.DeliveryFilter
			want         []int64
		}{
			{1, store.DeliveryFilter{}, []int64{2, 1}},
			{2, store.DeliveryFilter{}, nil},
			{1, store.DeliveryFilter{State: bugle.Failed}, []int64{1}},
			{1, store.DeliveryFilter{StatusClass: "5xx", Event: "user.created", WebhookID: w.ID}, []int64{1}},
			{1, store.DeliveryFilter{WebhookID: w.ID + 1}, nil},
			{1, store.DeliveryFilter{Channel: "mail"}, nil},
			{1, store.DeliveryFilter{Since: clock.Now().Add(time.Second)}, nil},
			{1, store.DeliveryFilter{RequestPrefix: storetest.Actor().RequestID[:4]}, []int64{2, 1}},
		} {
			list, err := s.DeliveriesByID(t.Context(), c.organization, []int64{1, 2, 3}, c.filter)
			var got []int64
			for _, d := range list {
				got = append(got, d.ID)
			}
			if err != nil || !reflect.DeepEqual(got, c.want) {
				t.Errorf("organization %d, %+v: %v, %v; want %v", c.organization, c.filter, got, err, c.want)
			}
		}
	})
}
