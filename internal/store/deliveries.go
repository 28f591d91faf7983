package store

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/value"
)

// A DeliveryFilter narrows a list of deliveries; what is zero does not.
type DeliveryFilter struct {
	WebhookID     int64
	State         bugle.DeliveryState
	States        []bugle.DeliveryState // any of them
	Channel       string                // of messages
	Event         string
	Events        []string // any of them
	RequestID     string
	RequestPrefix string          // how the request id begins
	Since         time.Time       // created at this time or later
	Until         time.Time       // created before this time
	StatusCode    int             // of the last attempt
	StatusClass   string          // of the last attempt: 2xx, 3xx, 4xx, 5xx, or none if it was not answered
	ErrorKind     bugle.ErrorKind // of the last attempt
}

const deliveryColumns = `d.id, d.organization_id, d.webhook_id, d.event_id, e.name, e.request_id, e.trace_id, CASE WHEN e.addressed THEN e.run_id ELSE 0 END, d.sequence, d.state, d.attempts,
	d.next_attempt_us, COALESCE(a.status_code, 0), COALESCE(a.duration_us, 0), COALESCE(a.error_kind, ''), COALESCE(a.error_message, ''),
	d.created_us, d.finished_us, COALESCE(w.channel, ''), COALESCE(a.reason, ''), e.resource_kind, e.resource_id, CASE d.state WHEN 4 THEN d.cancelled_for ELSE '' END`

// fromDeliveries joins the event, the webhook or lane if it is still there, and the last attempt.
const fromDeliveries = ` FROM deliveries d JOIN events e ON e.id = d.event_id
	LEFT JOIN webhooks w ON w.id = d.webhook_id
	LEFT JOIN attempts a ON a.delivery_id = d.id AND a.number = d.attempts `

func scanDelivery(scan func(to ...any) error) (*bugle.Delivery, error) {
	var d bugle.Delivery
	var e bugle.AttemptError
	var state int
	var next, took, created, finished int64
	err := scan(&d.ID, &d.OrganizationID, &d.WebhookID, &d.EventID, &d.Event, &d.RequestID, &d.TraceID, &d.RunID, &d.Sequence, &state, &d.AttemptsCount,
		&next, &d.Status, &took, &e.Kind, &e.Message, &created, &finished, &d.Channel, &d.Reason, &d.ResourceKind, &d.ResourceID, &d.CancelledFor)
	if err != nil {
		return nil, err
	}
	d.Took, d.CreatedAt, d.FinishedAt = time.Duration(took)*time.Microsecond, fromMicroseconds(created), fromMicroseconds(finished)
	if e.Kind != "" {
		d.Error = &e
	}
	if d.State = deliveryState(state); d.State == bugle.Pending {
		d.NextAttemptAt = fromMicroseconds(next)
	}
	return &d, nil
}

// deliveryState is the word for a state of the table.
func deliveryState(state int) bugle.DeliveryState {
	switch state {
	case stateDelivered:
		return bugle.Delivered
	case stateFailed:
		return bugle.Failed
	case stateCancelled:
		return bugle.Cancelled
	}
	return bugle.Pending
}

// Deliveries returns a page of the organization's deliveries, newest first.
func (s *Store) Deliveries(ctx context.Context, organizationID int64, f DeliveryFilter, p PageRequest) (Page[*bugle.Delivery], error) {
	c := s.view()
	var sources []source
	var err error
	if p.bounded() {
		sources, err = f.sources(ctx, c, organizationID)
	} else {
		all := deliverySource.with("d.organization_id = ?", organizationID)
		if f.WebhookID != 0 {
			all = all.with("d.webhook_id = ?", f.WebhookID)
		}
		if f.Channel != "" {
			all = all.with("d.webhook_id = (SELECT id FROM webhooks WHERE organization_id = d.organization_id AND channel = ?)", f.Channel)
		}
		sources = []source{all}
	}
	var filters *logFilter
	if err == nil {
		filters, err = f.conditions()
	}
	if err != nil {
		return Page[*bugle.Delivery]{}, fmt.Errorf("list deliveries: %w", err)
	}
	page, err := readLog(ctx, c, sources, filters, p, func(ids []int64) ([]*bugle.Delivery, error) {
		var list []*bugle.Delivery
		err := c.each(ctx, func(scan func(to ...any) error) error {
			d, err := scanDelivery(scan)
			list = append(list, d)
			return err
		}, "SELECT "+deliveryColumns+fromDeliveries+"WHERE "+inIDs("d.id", 1)+" ORDER BY d.id DESC", idList(ids))
		return list, err
	})
	if err != nil {
		return page, fmt.Errorf("list deliveries: %w", err)
	}
	return page, nil
}

// DeliveriesByID returns those of the deliveries that are the organization's and meet the filter, newest first.
func (s *Store) DeliveriesByID(ctx context.Context, organizationID int64, ids []int64, f DeliveryFilter) ([]*bugle.Delivery, error) {
	filter, err := f.conditions()
	if err != nil {
		return nil, fmt.Errorf("read deliveries: %w", err)
	}
	filter.add("d.organization_id = ?", organizationID)
	filter.add("d.id IN (SELECT value FROM json_each(?))", idList(ids))
	if f.WebhookID != 0 {
		filter.add("d.webhook_id = ?", f.WebhookID)
	}
	if f.Channel != "" {
		filter.add("w.channel = ?", f.Channel)
	}
	var list []*bugle.Delivery
	text, args := deliverySource.query(deliveryColumns, strings.TrimPrefix(fromDeliveries, " FROM "), filter.on(&deliverySource), " ORDER BY d.id DESC")
	err = s.view().each(ctx, func(scan func(to ...any) error) error {
		d, err := scanDelivery(scan)
		list = append(list, d)
		return err
	}, text, args...)
	if err != nil {
		return nil, fmt.Errorf("read deliveries: %w", err)
	}
	return list, nil
}

// deliverySource is all deliveries.
var deliverySource = source{tables: "deliveries d", id: "d.id", key: "d.id", created: "d.created_us"}

// states returns the states that a delivery may have, those of attempts that failed among them; nil: any.
func (f *DeliveryFilter) states() map[bugle.DeliveryState]bool {
	wanted := map[bugle.DeliveryState]bool{}
	for _, state := range bugle.DeliveryStates {
		named := (f.State == "" || f.State == state) && (len(f.States) == 0 || slices.Contains(f.States, state))
		// What is delivered was answered with 2xx, and without an error.
		arrived := (f.StatusClass == "" || f.StatusClass == "2xx") && f.ErrorKind == "" && (f.StatusCode == 0 || f.StatusCode/100 == 2)
		if named && (state != bugle.Delivered || arrived) {
			wanted[state] = true
		}
	}
	if len(wanted) == len(bugle.DeliveryStates) {
		return nil
	}
	return wanted
}

// conditions are what a source does not say: about rows that are found by their keys, so that no plan
// begins with them.
func (f *DeliveryFilter) conditions() (*logFilter, error) {
	const (
		event   = "(SELECT e.%s FROM events e WHERE e.id = d.event_id)"
		attempt = "(SELECT a.%s FROM attempts a WHERE a.delivery_id = d.id AND a.number = d.attempts)"
	)
	filter := &logFilter{since: f.Since, until: f.Until}
	add := filter.add
	if wanted := f.states(); wanted != nil {
		states := []string{"-1"}
		for state, numbers := range map[bugle.DeliveryState]string{bugle.Pending: "0, 1", bugle.Delivered: "2", bugle.Failed: "3", bugle.Cancelled: "4"} {
			if wanted[state] {
				states = append(states, numbers)
			}
		}
		slices.Sort(states)
		add("+d.state IN (" + strings.Join(states, ", ") + ")")
	}
	if f.Event != "" {
		add(fmt.Sprintf(event, "name")+" = ?", f.Event)
	}
	if len(f.Events) > 0 {
		names := make([]any, len(f.Events))
		for i, name := range f.Events {
			names[i] = name
		}
		add(fmt.Sprintf(event, "name")+" IN (?"+strings.Repeat(", ?", len(names)-1)+")", names...)
	}
	if f.RequestID != "" {
		add(fmt.Sprintf(event, "request_id")+" = ?", f.RequestID)
	}
	if f.RequestPrefix != "" {
		add(fmt.Sprintf(event, "request_id")+" >= ?", f.RequestPrefix)
		add(fmt.Sprintf(event, "request_id")+" < ?", f.RequestPrefix+"\U0010FFFF")
	}
	if f.StatusCode != 0 {
		add(fmt.Sprintf(attempt, "status_code")+" = ?", f.StatusCode)
	}
	switch f.StatusClass {
	case "":
	case "none":
		add(fmt.Sprintf(attempt, "status_code") + " = 0")
	case "1xx", "2xx", "3xx", "4xx", "5xx":
		first := int(f.StatusClass[0]-'0') * 100
		add(fmt.Sprintf(attempt, "status_code")+" BETWEEN ? AND ?", first, first+99)
	default:
		return nil, bugle.Invalid("status_class", "The status class must be 2xx, 3xx, 4xx, 5xx or none.")
	}
	if f.ErrorKind != "" {
		add(fmt.Sprintf(attempt, "error_kind")+" = ?", string(f.ErrorKind))
	}
	filter.lookUps = slices.ContainsFunc(filter.conditions, func(c condition) bool { return strings.Contains(c.text, "SELECT") })
	return filter, nil
}

// maxQueue is how many pending deliveries are sorted for a page of them. Where there are more, they
// are looked for in the log.
const maxQueue = 5000

// sources finds what has the least rows to look at. What all of its rows meet is taken out of the filter.
func (f *DeliveryFilter) sources(ctx context.Context, c conn, organizationID int64) ([]source, error) {
	webhook := f.WebhookID
	if f.Channel != "" {
		var lane int64
		err := c.one(ctx, []any{&lane}, "SELECT id FROM webhooks WHERE organization_id = $1 AND channel = $2", organizationID, f.Channel)
		if errors.Is(err, bugle.ErrNotFound) || err == nil && webhook != 0 && webhook != lane {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		webhook = lane
	}
	all, unsuccessful, queued := deliverySource.with("d.organization_id = ?", organizationID), "d.organization_id = ?", organizationID
	if webhook != 0 {
		// The webhook may be deleted; its deliveries know whose it was.
		var owner int64
		err := c.one(ctx, []any{&owner}, "SELECT organization_id FROM deliveries WHERE webhook_id = $1 LIMIT 1", webhook)
		if errors.Is(err, bugle.ErrNotFound) || err == nil && owner != organizationID {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		// Within a webhook the sequence is in the order of the ids.
		all = deliverySource.with("d.webhook_id = ?", webhook)
		all.key = "d.sequence"
		unsuccessful, queued = "d.webhook_id = ?", webhook
	}
	if f.RequestID != "" || f.RequestPrefix != "" {
		return f.byRequest(ctx, c, organizationID, webhook)
	}
	if wanted := f.states(); wanted != nil && !wanted[bugle.Delivered] {
		var list []source
		for state, number := range map[bugle.DeliveryState]string{bugle.Failed: "3", bugle.Cancelled: "4"} {
			if wanted[state] {
				list = append(list, deliverySource.with(unsuccessful, queued).with("d.state = "+number).with("d.state >= 3"))
			}
		}
		if !wanted[bugle.Pending] {
			return list, nil
		}
		pending, few, err := pendingSource(ctx, c, organizationID, webhook)
		if err != nil || few {
			return append(list, pending), err
		}
	}
	if f.Event != "" && webhook == 0 {
		return f.byEvent(organizationID), nil
	}
	return []source{all}, nil
}

// pendingSource is those that are owed, if they are few.
func pendingSource(ctx context.Context, c conn, organizationID, webhookID int64) (pending source, few bool, err error) {
	of, arg := "webhook_id IN (SELECT id FROM webhooks WHERE organization_id = ?)", organizationID
	if webhookID != 0 {
		of, arg = "webhook_id = ?", webhookID
	}
	ids := "SELECT id FROM deliveries WHERE state = 0 AND " + of + " UNION ALL SELECT id FROM deliveries WHERE state = 1 AND " + of
	pending = deliverySource.with("d.id IN ("+ids+")", arg, arg)
	pending.small = true
	text, args := numbered("SELECT 1 FROM ("+ids+") AS owed", []any{arg, arg})
	n, more, err := c.countTo(ctx, maxQueue, strings.TrimPrefix(text, "SELECT 1"), args...)
	return pending, err == nil && !more && n <= maxQueue, err
}

// eventSource is deliveries by their events: both are written in one transaction, so their ids are in
// the same order.
var eventSource = source{tables: "events e JOIN deliveries d ON d.event_id = e.id", id: "d.id", key: "e.id", created: "e.created_us", keys: "events e"}

func (f *DeliveryFilter) byEvent(organizationID int64) []source {
	of := eventSource.with("e.organization_id = ?", organizationID).with("e.name = ?", f.Event)
	f.Event = ""
	return []source{of.with("NOT e.addressed"), of.with("e.addressed")}
}

func (f *DeliveryFilter) byRequest(ctx context.Context, c conn, organizationID, webhookID int64) ([]source, error) {
	requests, err := findRequests(ctx, c, organizationID, f.RequestID, f.RequestPrefix)
	var list []source
	for _, id := range requests {
		of := eventSource.with("e.organization_id = ?", organizationID).with("e.request_id = ?", id)
		if webhookID != 0 {
			of = of.with("+d.webhook_id = ?", webhookID)
		}
		list = append(list, of)
	}
	f.RequestID, f.RequestPrefix = "", ""
	return list, err
}

// maxRequests is how many requests whose ids begin alike are looked at.
const maxRequests = 10

// findRequests returns the id of a request, or the first of those that begin so.
func findRequests(ctx context.Context, c conn, organizationID int64, id, prefix string) ([]string, error) {
	if id != "" {
		return []string{id}, nil
	}
	var list []string
	for last := ""; len(list) < maxRequests; {
		err := c.one(ctx, []any{&last}, `
			SELECT request_id FROM events
			WHERE  organization_id = $1 AND request_id >= $2 AND request_id < $3 AND request_id > $4
			ORDER  BY request_id LIMIT 1`, organizationID, prefix, prefix+"\U0010FFFF", last)
		if errors.Is(err, bugle.ErrNotFound) {
			break
		}
		if err != nil {
			return nil, err
		}
		list = append(list, last)
	}
	return list, nil
}

func findDelivery(ctx context.Context, c conn, organizationID, id int64) (*bugle.Delivery, error) {
	var d *bugle.Delivery
	err := c.each(ctx, func(scan func(to ...any) error) (err error) {
		d, err = scanDelivery(scan)
		return err
	}, "SELECT "+deliveryColumns+fromDeliveries+"WHERE d.organization_id = $1 AND d.id = $2", organizationID, id)
	if err != nil {
		return nil, fmt.Errorf("read delivery %d: %w", id, err)
	}
	if d == nil {
		return nil, fmt.Errorf("delivery %d: %w", id, bugle.ErrNotFound)
	}
	return d, nil
}

// Delivery returns a delivery of the organization, or bugle.ErrNotFound.
func (s *Store) Delivery(ctx context.Context, organizationID, id int64) (*bugle.Delivery, error) {
	return findDelivery(ctx, s.view(), organizationID, id)
}

// Delivery is that of Store, within the transaction.
func (tx *Tx) Delivery(organizationID, id int64) (*bugle.Delivery, error) {
	return findDelivery(context.Background(), tx.view(), organizationID, id)
}

// MaxAttemptsShown is how many attempts of a delivery are read back, the newest.
const MaxAttemptsShown = 200

// Attempts returns the newest attempts of a delivery, oldest first.
func (s *Store) Attempts(ctx context.Context, deliveryID int64) ([]*bugle.Attempt, error) {
	var list []*bugle.Attempt
	err := s.view().each(ctx, func(scan func(to ...any) error) error {
		var a bugle.Attempt
		var e bugle.AttemptError
		var started, took int64
		var headers string
		err := scan(&a.Number, &started, &took, &a.Method, &a.URL, &a.Status, &a.Reason, &e.Kind, &e.Message,
			&headers, &a.ResponseBody, &a.ResponseTruncated, &a.RemoteAddress)
		if err != nil {
			return err
		}
		if len(a.ResponseBody) == 0 {
			a.ResponseBody = nil // as from every database
		}
		a.StartedAt, a.Took = fromMicroseconds(started), time.Duration(took)*time.Microsecond
		if e.Kind != "" {
			a.Error = &e
		}
		list = append(list, &a)
		a.ResponseHeaders, err = decodeHeaders(headers)
		return err
	}, `
		SELECT number, started_us, duration_us, method, url, status_code, reason, error_kind, error_message,
		       response_headers, response_body, response_truncated, remote_address
		FROM   (SELECT * FROM attempts WHERE delivery_id = $1 ORDER BY number DESC LIMIT $2) AS newest
		ORDER  BY number`, deliveryID, MaxAttemptsShown)
	if err != nil {
		return nil, fmt.Errorf("read attempts of delivery %d: %w", deliveryID, err)
	}
	return list, nil
}

func decodeHeaders(text string) (http.Header, error) {
	decoded, err := value.Decode([]byte(text))
	if err != nil {
		return nil, err
	}
	headers := http.Header{}
	all, _ := decoded.(*value.Array)
	for name, list := range all.All() {
		values, _ := list.(*value.Array)
		for _, v := range values.All() {
			one, _ := v.(string)
			headers[name.String()] = append(headers[name.String()], one)
		}
	}
	return headers, nil
}

// Payload returns what is stored of an event to be sent.
func (s *Store) Payload(ctx context.Context, eventID int64) (bugle.Payload, error) {
	var p bugle.Payload
	if err := s.view().one(ctx, []any{&p.Text, &p.Rendered}, "SELECT envelope, rendered FROM events WHERE id = $1", eventID); err != nil {
		return bugle.Payload{}, fmt.Errorf("payload of event %d: %w", eventID, err)
	}
	return p, nil
}

// Redeliver starts a new series of attempts at once, whatever the delivery's state. One that is due
// already, or being sent, is left to it.
func (tx *Tx) Redeliver(organizationID, id int64) (*bugle.Delivery, error) {
	d, err := tx.Delivery(organizationID, id)
	if err != nil {
		return nil, err
	}
	if _, err := findWebhook(context.Background(), tx.view(), "WHERE w.organization_id = $1 AND w.id = $2", organizationID, d.WebhookID); err != nil {
		return nil, fmt.Errorf("redeliver delivery %d: its webhook was deleted: %w", id, bugle.ErrConflict)
	}
	place, due := tx.placeAfter(), tx.now.UnixMicro()
	n, err := tx.count(`
		UPDATE deliveries
		SET    state = 0, order_us = $1, next_attempt_us = $2, attempts_before = attempts, finished_us = 0, cancelled_for = ''
		WHERE  id = $3 AND state <> 0`, place, due, id)
	if err != nil {
		return nil, fmt.Errorf("redeliver delivery %d: %w", id, err)
	}
	if n == 0 {
		// In an ordered lane this may be one that waits for its retry at the head of the lane.
		if err := tx.exec("UPDATE deliveries SET next_attempt_us = $1, attempts_before = attempts WHERE id = $2 AND next_attempt_us > $1", due, id); err != nil {
			return nil, fmt.Errorf("redeliver delivery %d: %w", id, err)
		}
		tx.committed.Webhooks = append(tx.committed.Webhooks, d.WebhookID)
	} else {
		tx.committed.Deliveries = append(tx.committed.Deliveries, NewDelivery{ID: id, WebhookID: d.WebhookID, EventID: d.EventID,
			Order: place, Due: due, Attempts: d.AttemptsCount, AttemptsBefore: d.AttemptsCount})
	}
	return tx.Delivery(organizationID, id)
}

// Cancel ends a pending delivery. An attempt that is under way is finished, and if it delivers, the
// delivery is delivered. One that has ended already is a bugle.ErrConflict.
func (tx *Tx) Cancel(organizationID, id int64) (*bugle.Delivery, error) {
	d, err := tx.Delivery(organizationID, id)
	if err != nil {
		return nil, err
	}
	if d.State != bugle.Pending {
		return nil, fmt.Errorf("cancel delivery %d, which is %s already: %w", id, d.State, bugle.ErrConflict)
	}
	if err := tx.exec("UPDATE deliveries SET state = 4, finished_us = $1 WHERE id = $2", tx.now.UnixMicro(), id); err != nil {
		return nil, fmt.Errorf("cancel delivery %d: %w", id, err)
	}
	tx.committed.Recorded = append(tx.committed.Recorded, id)
	tx.committed.Webhooks = append(tx.committed.Webhooks, d.WebhookID)
	return tx.Delivery(organizationID, id)
}
