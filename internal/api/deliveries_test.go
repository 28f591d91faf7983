package api_test

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/internal/delivery"
	"github.com/buglehq/bugle/internal/store"
	"github.com/buglehq/bugle/internal/storetest"
	"github.com/buglehq/bugle/value"
)

// record writes an attempt of a delivery that is due, and how the delivery stands then.
func (s *server) record(deliveryID int64, a bugle.Attempt, o bugle.Outcome) {
	s.Helper()
	if _, err := s.store.Promote(context.Background(), 10); err != nil {
		s.Fatal(err)
	}
	d, err := s.store.Delivery(context.Background(), 1, deliveryID)
	if err != nil {
		s.Fatal(err)
	}
	a.Number, a.StartedAt = d.AttemptsCount+1, s.clock.Now()
	if a.Method == "" {
		a.Method, a.URL = "POST", receiver
	}
	err = s.store.Record(context.Background(), []store.Result{{DeliveryID: deliveryID, WebhookID: d.WebhookID, Attempt: &a, Outcome: o}}, nil)
	if err != nil {
		s.Fatal(err)
	}
}

var (
	succeeded = bugle.Attempt{Status: 200, Reason: "OK", Took: 1234567 * time.Nanosecond, RemoteAddress: "192.0.2.1:443"}
	refused   = bugle.Attempt{Status: 500, Reason: "Internal Server Error", Took: 5 * time.Millisecond, Error: &bugle.AttemptError{Kind: bugle.ErrorStatus, Message: "answered 500"}}
	timedOut  = bugle.Attempt{Took: 10 * time.Second, Error: &bugle.AttemptError{Kind: bugle.ErrorTimeout, Message: "no answer within 10 s"}}
)

func TestDeliveries_filters(t *testing.T) {
	s := newServer(t)
	for _, event := range []string{"calendar.created", "calendar.updated"} {
		storetest.AddWebhook(t, s.store, receiver, func(w *bugle.Webhook) { w.Events = []string{event, "calendar.deleted"} })
	}
	first := s.want(201, "POST", "calendars", `{"name":"A","color":"#000"}`) // delivery 1
	s.clock.Advance(time.Hour)
	s.want(200, "PUT", "calendars/1", `{"name":"B"}`) // delivery 2
	s.clock.Advance(time.Hour)
	s.want(200, "DELETE", "calendars/1", nil) // deliveries 3 and 4
	s.record(1, succeeded, bugle.Outcome{State: bugle.Delivered})
	s.record(2, refused, bugle.Outcome{State: bugle.Failed})
	s.record(3, timedOut, bugle.Outcome{State: bugle.Pending, NextAt: s.clock.Now().Add(time.Minute)})
	s.want(200, "POST", "deliveries/4/cancel", nil)

	for query, want := range map[string]string{
		"":                        "4 3 2 1",
		"?webhook_id=1":           "3 1",
		"?webhook_id=2":           "4 2",
		"?webhook_id=99":          "",
		"?state=pending":          "3",
		"?state=delivered":        "1",
		"?state=failed":           "2",
		"?state=cancelled":        "4",
		"?event=calendar.deleted": "4 3",
		"?event=calendar.updated": "2",
		"?event=no.such":          "",
		"?request_id=" + first.header.Get("X-Perscom-Request-Id"): "1",
		"?request_id=nothing":                                "",
		"?status_code=200":                                   "1",
		"?status_code=500":                                   "2",
		"?status_code=404":                                   "",
		"?since=2026-01-14T13:00:00Z":                        "4 3 2",
		"?since=2026-01-14T14:00:00.123456Z":                 "4 3",
		"?since=2026-01-14T14:00:00.123457Z":                 "",
		"?until=2026-01-14T14:00:00.123456Z":                 "2 1",
		"?since=2026-01-14 13:00&until=2026-01-14T13:30:00Z": "2",
		"?since=2026-01-14":                                  "4 3 2 1",
		"?until=2026-01-14":                                  "",
		"?webhook_id=2&state=failed&event=calendar.updated&status_code=500&since=2026-01-14&until=2026-01-15": "2",
		"?webhook_id=1&state=failed":        "",
		"?webhook_id=&state=&event=&since=": "4 3 2 1",
		"?limit=2":                          "4 3",
		"?limit=2&page=2":                   "2 1",
		"?include=attempts&unknown=5":       "4 3 2 1",
	} {
		a := s.want(200, "GET", "deliveries"+strings.ReplaceAll(query, " ", "%20"), nil)
		var ids []string
		for _, item := range a.items(t) {
			ids = append(ids, strconv.FormatInt(id(item), 10))
		}
		if got := strings.Join(ids, " "); got != want {
			t.Errorf("%s: deliveries %s, want %s", query, got, want)
		}
		if !strings.Contains(query, "limit") {
			wantEqual(t, "total of "+query, a.at("meta", "total"), len(ids))
		}
	}
	for query, field := range map[string]string{
		"webhook_id=0": "webhook_id", "webhook_id=-1": "webhook_id", "webhook_id=abc": "webhook_id", "webhook_id=1.5": "webhook_id", "webhook_id=9223372036854775808": "webhook_id",
		"status_code=0": "status_code", "status_code=ok": "status_code", "status_code=-200": "status_code",
		"state=waiting": "state", "state=Pending": "state", "since=yesterday": "since", "until=2026-13-01": "until", "since=1736856000": "since",
	} {
		s.do("GET", "deliveries?"+query, nil).wantInvalid(t, field)
	}
	s.do("GET", "deliveries?webhook_id=x&status_code=x&since=x&until=x&state=x", nil).wantInvalid(t, "webhook_id", "status_code", "since", "until", "state")
}

func TestDeliveries_data(t *testing.T) {
	s := newServer(t)
	s.watch()
	a := s.want(201, "POST", "calendars", `{"name":"A","color":"#000"}`)
	created := bugle.FormatTime(s.clock.Now())
	base := func(pairs ...any) *value.Array {
		d := value.Map("id", 1, "webhook_id", 1, "channel", nil, "event", "calendar.created", "event_id", 1, "automation_log_id", nil,
			"request_id", a.header.Get("X-Perscom-Request-Id"), "trace_id", a.header.Get("X-Perscom-Trace-Id"), "state", "pending",
			"attempts_count", 0, "next_attempt_at", created, "status_code", nil, "duration_ms", nil, "error", nil, "created_at", created, "finished_at", nil, "sequence", 1)
		for key, v := range value.Map(pairs...).All() {
			d.Set(key.String(), v)
		}
		return d
	}
	wantListed := func(want *value.Array) {
		t.Helper()
		wantEqual(t, "listed", s.want(200, "GET", "deliveries", nil).at("data", "0"), want)
		shown := s.want(200, "GET", "deliveries/1", nil).data(t)
		for _, key := range []string{"payload", "request", "attempts"} {
			if !shown.Has(key) {
				t.Errorf("shown without %s", key)
			}
			shown.Delete(key)
		}
		wantEqual(t, "shown", shown, want)
	}
	wantListed(base())

	s.clock.Advance(time.Second)
	next := s.clock.Now().Add(5 * time.Second)
	s.record(1, timedOut, bugle.Outcome{State: bugle.Pending, NextAt: next})
	wantListed(base("attempts_count", 1, "next_attempt_at", bugle.FormatTime(next), "duration_ms", 10000,
		"error", value.Map("kind", "timeout", "message", "no answer within 10 s")))

	s.clock.Advance(5 * time.Second)
	s.record(1, refused, bugle.Outcome{State: bugle.Failed})
	wantListed(base("attempts_count", 2, "state", "failed", "next_attempt_at", nil, "status_code", 500, "duration_ms", 5,
		"error", value.Map("kind", "status", "message", "answered 500"), "finished_at", bugle.FormatTime(next)))
}

// What is shown of a delivery is what is sent, apart from what would let somebody else send it.
func TestDeliveries_request(t *testing.T) {
	const secret = "0123456789abcdef0123456789abcdef"
	for _, method := range []string{"post", "get"} {
		t.Run(method, func(t *testing.T) {
			s := newServer(t)
			hook := s.create("webhooks", "name", "x", "url", receiver+"?token=1", "method", method, "secret", secret, "events", value.List("calendar.created"),
				"headers", value.Map("authorization", "Bearer 0123456789abcdef", "X-Team", "Alpha"))
			s.want(200, "POST", hookPath(hook, "rotate-secret"), `{"secret":"fedcba9876543210fedcba9876543210"}`)
			s.want(201, "POST", "calendars", `{"name":"Übungen / \"Ops\"","color":"#000"}`)
			stored, err := s.store.Delivery(t.Context(), 1, 1)
			if err != nil {
				t.Fatal(err)
			}
			payload, err := s.store.Payload(t.Context(), stored.EventID)
			if err != nil {
				t.Fatal(err)
			}
			envelope := payload.Text
			w, err := s.store.Webhook(t.Context(), 1, 1)
			if err != nil {
				t.Fatal(err)
			}
			check := func(at time.Time) {
				t.Helper()
				a := s.want(200, "GET", "deliveries/1", nil)
				if got := text(a.at("data", "payload")); got != string(envelope) {
					t.Errorf("payload is %s\nwant the envelope %s", got, envelope)
				}
				sent, err := delivery.NewRequest(w, 1, storetest.Body(t, w, envelope), at, "Bugle/test")
				if err != nil {
					t.Fatal(err)
				}
				wantEqual(t, "request", a.at("data", "request"), value.Map("method", strings.ToUpper(method), "url", sent.URL, "headers", value.Map(
					"Authorization", "********cdef", "Content-Type", "application/json", "Signature", "********", "User-Agent", "Bugle/test", "X-Team", "Alpha",
					"webhook-id", "msg_1", "webhook-signature", "********", "webhook-timestamp", strconv.FormatInt(at.Unix(), 10))))
				if method == "get" && !strings.Contains(sent.URL, "?event=calendar.created&request_id=") {
					t.Errorf("url is %s, want the envelope in its query", sent.URL)
				}
			}
			check(s.clock.Now())
			s.clock.Advance(time.Minute)
			check(s.clock.Now()) // not attempted yet: as it would be sent now

			sentAt := s.clock.Now()
			refused := refused
			refused.Method, refused.URL = strings.ToUpper(method), w.URL
			if method == "get" {
				refused.URL = receiver
			}
			s.record(1, refused, bugle.Outcome{State: bugle.Failed})
			s.clock.Advance(time.Minute)
			s.want(200, "PUT", hookPath(hook), `{"url":"https://elsewhere.example.com","method":"`+map[string]string{"get": "post", "post": "get"}[method]+`"}`)
			check(sentAt) // as it was sent

			s.want(200, "DELETE", hookPath(hook), nil)
			wantEqual(t, "request for a deleted webhook", s.want(200, "GET", "deliveries/1", nil).at("data", "request"),
				value.Map("method", strings.ToUpper(method), "url", refused.URL, "headers", nil))
		})
	}
	s := newServer(t)
	hook := s.create("webhooks", "name", "x", "url", receiver)
	s.want(202, "POST", hookPath(hook, "test"), nil)
	s.want(200, "DELETE", hookPath(hook), nil)
	a := s.want(200, "GET", "deliveries/1", nil)
	if request, there := a.at("data").(*value.Array).Get("request"); !there || request != nil {
		t.Errorf("request of a delivery that was never sent is %v, want null", request)
	}
}

func TestDeliveries_attempts(t *testing.T) {
	s := newServer(t)
	hook := s.watch()
	s.want(202, "POST", fmt.Sprintf("webhooks/%d/test", hook.ID), nil)
	wantEqual(t, "attempts", s.want(200, "GET", "deliveries/1", nil).at("data", "attempts"), value.List())

	first := bugle.FormatTime(s.clock.Now())
	s.record(1, timedOut, bugle.Outcome{State: bugle.Pending, NextAt: s.clock.Now()})
	s.clock.Advance(time.Minute)
	second := refused
	second.ResponseHeaders = http.Header{"Set-Cookie": {"a=1", "b=2"}, "Content-Type": {"text/html"}, "X-Bytes": {"\xff"}}
	second.ResponseBody, second.ResponseTruncated, second.RemoteAddress = []byte("<p>\xff\x00 Ü</p>"), true, "[2001:db8::1]:443"
	s.record(1, second, bugle.Outcome{State: bugle.Pending, NextAt: s.clock.Now()})
	s.clock.Advance(time.Minute)
	s.record(1, succeeded, bugle.Outcome{State: bugle.Delivered})

	a := s.want(200, "GET", "deliveries/1", nil)
	wantEqual(t, "attempts", a.at("data", "attempts"), value.List(
		value.Map("number", 1, "started_at", first, "duration_ms", 10000, "status_code", nil, "reason", "", "error",
			value.Map("kind", "timeout", "message", "no answer within 10 s"), "response_headers", nil, "response_body", "", "response_truncated", false, "remote_address", nil),
		value.Map("number", 2, "started_at", bugle.FormatTime(storetest.Start.Add(time.Minute)), "duration_ms", 5, "status_code", 500, "reason", "Internal Server Error", "error",
			value.Map("kind", "status", "message", "answered 500"), "response_headers",
			value.Map("Content-Type", "text/html", "Set-Cookie", "a=1, b=2", "X-Bytes", "\uFFFD"), "response_body", "<p>\uFFFD\x00 Ü</p>",
			"response_truncated", true, "remote_address", "[2001:db8::1]:443"),
		value.Map("number", 3, "started_at", bugle.FormatTime(storetest.Start.Add(2*time.Minute)), "duration_ms", 1, "status_code", 200, "reason", "OK", "error", nil,
			"response_headers", value.List(), "response_body", "", "response_truncated", false, "remote_address", "192.0.2.1:443")))
	for key, want := range map[string]any{"state": "delivered", "attempts_count": int64(3), "status_code": int64(200), "error": nil, "next_attempt_at": nil,
		"finished_at": bugle.FormatTime(s.clock.Now())} {
		wantEqual(t, key, a.at("data", key), want)
	}
}

func TestDeliveries_redeliverAndCancel(t *testing.T) {
	s := newServer(t)
	hook := s.watch()
	for range 5 {
		s.want(202, "POST", fmt.Sprintf("webhooks/%d/test", hook.ID), nil)
	}
	s.record(1, succeeded, bugle.Outcome{State: bugle.Delivered})
	s.record(2, refused, bugle.Outcome{State: bugle.Failed})
	s.record(3, timedOut, bugle.Outcome{State: bugle.Pending, NextAt: s.clock.Now().Add(time.Hour)})
	s.clock.Advance(time.Second)
	now := bugle.FormatTime(s.clock.Now())

	a := s.want(200, "POST", "deliveries/4/cancel", nil)
	wantEqual(t, "state", a.at("data", "state"), "cancelled")
	wantEqual(t, "finished_at", a.at("data", "finished_at"), now)
	wantEqual(t, "next_attempt_at", a.at("data", "next_attempt_at"), nil)
	wantEqual(t, "what show answers", s.want(200, "GET", "deliveries/4", nil).at("data", "state"), "cancelled")
	for n, state := range map[int]string{1: "delivered", 2: "failed", 4: "cancelled"} {
		s.do("POST", fmt.Sprintf("deliveries/%d/cancel", n), nil).wantError(t, 409, "ConflictHttpException",
			fmt.Sprintf("The request conflicts with the current state: cancel delivery %d, which is %s already.", n, state))
	}

	for n, attempts := range map[int]int{1: 1, 2: 1, 3: 1, 4: 0, 5: 0} {
		before := s.want(200, "GET", fmt.Sprintf("deliveries/%d", n), nil)
		a := s.want(202, "POST", fmt.Sprintf("deliveries/%d/redeliver", n), nil)
		wantEqual(t, "state", a.at("data", "state"), "pending")
		wantEqual(t, "finished_at", a.at("data", "finished_at"), nil)
		wantEqual(t, "attempts so far", a.at("data", "attempts_count"), attempts)
		for _, key := range []string{"id", "event_id", "sequence", "request_id", "created_at"} {
			wantEqual(t, key, a.at("data", key), before.at("data", key))
		}
		if next, _ := a.at("data", "next_attempt_at").(string); next[:19] > now[:19] {
			t.Errorf("delivery %d: next attempt at %s, want at once, %s", n, next, now)
		}
	}
	s.want(200, "POST", "deliveries/1/cancel", nil) // pending again

	s.want(200, "DELETE", fmt.Sprintf("webhooks/%d", hook.ID), nil)
	s.do("POST", "deliveries/2/redeliver", nil).wantError(t, 409, "ConflictHttpException",
		"The request conflicts with the current state: redeliver delivery 2: its webhook was deleted.")
	s.want(200, "POST", "deliveries/2/cancel", nil)
}
