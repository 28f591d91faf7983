package api

import (
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/internal/delivery"
	"github.com/buglehq/bugle/internal/policy"
	"github.com/buglehq/bugle/internal/store"
	"github.com/buglehq/bugle/value"
)

// deliveries adds the routes of the log.
func (s *server) deliveries() {
	about := func(id, summary string, status int, answer string, more ...int) doc {
		return doc{id: id, summary: summary, tag: "Deliveries", status: status, answer: answer, fails: more}
	}
	list := about("listDeliveries", "List deliveries", http.StatusOK, "DeliveryPage")
	list.query = slices.Concat(paging, deliveryFilters)
	s.handle("deliveries", methods{"GET": {"view:delivery", s.listDeliveries, list}})
	s.handle("deliveries/{id}", methods{"GET": {"view:delivery", s.showDelivery, about("getDelivery", "Get a delivery with its attempts", http.StatusOK, "DeliveryDetailData")}})
	s.handle("deliveries/{id}/redeliver", methods{"POST": {"update:delivery", s.deliveryAction(http.StatusAccepted, (*store.Tx).Redeliver),
		about("redeliver", "Send a delivery again", http.StatusAccepted, "DeliveryData", http.StatusConflict)}})
	s.handle("deliveries/{id}/cancel", methods{"POST": {"update:delivery", s.deliveryAction(http.StatusOK, (*store.Tx).Cancel),
		about("cancelDelivery", "Cancel a pending delivery", http.StatusOK, "DeliveryData", http.StatusConflict)}})
}

// deliveryData renders a delivery as lists have it.
func deliveryData(d *bugle.Delivery) *value.Array {
	var status, took, failure, run, channel any
	var webhook any = d.WebhookID
	if d.Channel != "" {
		channel, webhook = d.Channel, nil
	}
	if d.RunID != 0 {
		run = d.RunID
	}
	if d.Status != 0 {
		status = int64(d.Status)
	}
	if d.AttemptsCount > 0 {
		took = d.Took.Milliseconds()
	}
	switch {
	case d.CancelledFor != "":
		failure = value.Map("kind", string(bugle.ErrorCancelled), "message", d.CancelledFor)
	case d.Error != nil:
		failure = value.Map("kind", string(d.Error.Kind), "message", d.Error.Message)
	}
	return value.Map(
		"id", d.ID, "webhook_id", webhook, "channel", channel, "event", d.Event, "event_id", d.EventID, "automation_log_id", run,
		"request_id", d.RequestID, "trace_id", d.TraceID, "state", string(d.State), "attempts_count", int64(d.AttemptsCount),
		"next_attempt_at", timeOrNull(d.NextAttemptAt), "status_code", status, "duration_ms", took, "error", failure,
		"created_at", bugle.FormatTime(d.CreatedAt), "finished_at", timeOrNull(d.FinishedAt), "sequence", d.Sequence)
}

func (s *server) listDeliveries(q *request) error {
	filter, err := deliveryFilter(q)
	if err != nil {
		return err
	}
	page, err := s.store.Deliveries(q.Context(), q.actor.OrganizationID, filter, q.page())
	if err != nil {
		return err
	}
	items := value.NewArray(len(page.Items))
	for _, d := range page.Items {
		items.Append(deliveryData(d))
	}
	return q.list(items, page.Number, page.Limit, page.Total)
}

// deliveryFilter reads the filters in the query.
func deliveryFilter(q *request) (f store.DeliveryFilter, err error) {
	in := q.filters()
	f.WebhookID, f.StatusCode = in.number("webhook_id"), int(in.number("status_code"))
	f.Since, f.Until = in.time("since"), in.time("until")
	f.Event, f.RequestID, f.Channel = in.query.Get("event"), in.query.Get("request_id"), in.query.Get("channel")
	if c := bugle.ChannelByName(f.Channel); f.Channel != "" && (c == nil || !c.Outside()) {
		in.invalid.Add("channel", "The channel filter must be a channel that messages leave the server by, not %q.", f.Channel)
	}
	f.State = bugle.DeliveryState(in.word("state", wordsOfType(bugle.DeliveryStates)...))
	return f, in.invalid.Err()
}

// showDelivery answers with a delivery, what is sent for it, and its attempts.
func (s *server) showDelivery(q *request) error {
	id, err := q.id()
	if err != nil {
		return err
	}
	d, err := s.store.Delivery(q.Context(), q.actor.OrganizationID, id)
	if err != nil {
		return err
	}
	attempts, err := s.store.Attempts(q.Context(), d.ID)
	if err != nil {
		return err
	}
	payload, sent, err := s.sent(q, d, attempts)
	if err != nil {
		return err
	}
	log := value.NewArray(len(attempts))
	for _, a := range attempts {
		log.Append(attemptData(a))
	}
	data := deliveryData(d)
	data.Set("payload", payload)
	data.Set("request", sent)
	data.Set("attempts", log)
	return q.data(http.StatusOK, data)
}

// sent renders what is sent for a delivery, as far as the webhook's field policy lets it through, and the request of the last
// attempt, or of the next if there was none, as the webhook is now. What is not known is null, as the request is if the webhook
// was deleted before it was ever called.
func (s *server) sent(q *request, d *bugle.Delivery, attempts []*bugle.Attempt) (payload, call any, err error) {
	var last *bugle.Attempt
	if len(attempts) > 0 {
		last = attempts[len(attempts)-1]
	}
	stored, err := s.store.Payload(q.Context(), d.EventID)
	if err != nil {
		return nil, nil, err
	}
	if d.Channel != "" {
		if payload, err = value.Decode(stored.Text); err == nil {
			call, err = s.callData(q, d, stored.Text, last)
		}
		return payload, call, err
	}
	w, err := s.store.Webhook(q.Context(), q.actor.OrganizationID, d.WebhookID)
	deleted := isNotFound(err)
	if deleted {
		w, err = s.store.FormerWebhook(q.Context(), q.actor.OrganizationID, d.WebhookID)
	}
	if err != nil {
		return nil, nil, err
	}
	body, err := policy.Apply(w, stored)
	withheld := errors.Is(err, policy.ErrWithheld)
	if !withheld && err == nil {
		payload, err = value.Decode(body.Bytes())
	}
	switch {
	case err != nil && !withheld:
		return nil, nil, err
	case !deleted && !withheld:
		call, err = s.requestData(w, d, body, last)
	case last != nil:
		call = value.Map("method", last.Method, "url", last.URL, "headers", nil)
	}
	return payload, call, err
}

func (s *server) requestData(w *bugle.Webhook, d *bugle.Delivery, body policy.Body, last *bugle.Attempt) (any, error) {
	r, err := delivery.ShownRequest(w, d.ID, body, last, s.o.Clock.Now(), s.o.UserAgent)
	if err != nil {
		return nil, err
	}
	headers := value.NewArray(len(r.Header))
	for _, name := range sortedNames(r.Header) {
		headers.Set(name, r.Header[name][0])
	}
	return value.Map("method", r.Method, "url", r.URL, "headers", headers), nil
}

// callData renders what was called last for a delivery by a channel, or will be; null if the channel is not
// configured.
func (s *server) callData(q *request, d *bugle.Delivery, envelope []byte, last *bugle.Attempt) (any, error) {
	method, url := "", ""
	if last != nil {
		method, url = last.Method, last.URL
	}
	if url == "" {
		lane, err := s.store.Lane(q.Context(), q.actor.OrganizationID, bugle.ChannelByName(d.Channel))
		if err != nil {
			return nil, err
		}
		method, url = delivery.ChannelTarget(lane, envelope)
	}
	if url == "" {
		return nil, nil
	}
	return value.Map("method", method, "url", url, "headers", nil), nil
}

func sortedNames(h http.Header) []string {
	names := make([]string, 0, len(h))
	for name, values := range h {
		if len(values) > 0 {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

func attemptData(a *bugle.Attempt) *value.Array {
	var status, failure, remote, headers any
	if a.Status != 0 {
		status = int64(a.Status)
		named := value.NewArray(len(a.ResponseHeaders))
		for _, name := range sortedNames(a.ResponseHeaders) {
			named.Set(name, strings.Join(a.ResponseHeaders[name], ", "))
		}
		headers = named
	}
	if a.Error != nil {
		failure = value.Map("kind", string(a.Error.Kind), "message", a.Error.Message)
	}
	if a.RemoteAddress != "" {
		remote = a.RemoteAddress
	}
	return value.Map(
		"number", int64(a.Number), "started_at", bugle.FormatTime(a.StartedAt), "duration_ms", a.Took.Milliseconds(),
		"status_code", status, "reason", a.Reason, "error", failure, "response_headers", headers,
		"response_body", strings.ToValidUTF8(string(a.ResponseBody), "\uFFFD"), "response_truncated", a.ResponseTruncated, "remote_address", remote)
}

// deliveryAction runs a method of the transaction on the delivery in the path, and answers with it.
func (s *server) deliveryAction(status int, do func(tx *store.Tx, organizationID, id int64) (*bugle.Delivery, error)) func(q *request) error {
	return func(q *request) error {
		id, err := q.id()
		if err != nil {
			return err
		}
		var d *bugle.Delivery
		err = s.store.Update(q.Context(), func(tx *store.Tx) (err error) {
			d, err = do(tx, q.actor.OrganizationID, id)
			return err
		})
		if err != nil {
			return err
		}
		return q.data(status, deliveryData(d))
	}
}
