package store

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/value"
)

// A DeliveryFilter narrows a list of deliveries; what is zero does not.
type DeliveryFilter struct {
	WebhookID  int64
	State      bugle.DeliveryState
	Channel    string // of messages
	Event      string
	RequestID  string
	Since      time.Time // created at this time or later
	Until      time.Time // created before this time
	StatusCode int       // of the last attempt
}

const deliveryColumns = `d.id, d.organization_id, d.webhook_id, d.event_id, e.name, e.request_id, e.trace_id, CASE WHEN e.addressed THEN e.run_id ELSE 0 END, d.sequence, d.state, d.attempts,
	d.next_attempt_us, COALESCE(a.status_code, 0), COALESCE(a.duration_us, 0), COALESCE(a.error_kind, ''), COALESCE(a.error_message, ''),
	d.created_us, d.finished_us, COALESCE(w.channel, '')`

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
		&next, &d.Status, &took, &e.Kind, &e.Message, &created, &finished, &d.Channel)
	if err != nil {
		return nil, err
	}
	d.Took, d.CreatedAt, d.FinishedAt = time.Duration(took)*time.Microsecond, fromMicroseconds(created), fromMicroseconds(finished)
	if e.Kind != "" {
		d.Error = &e
	}
	switch state {
	case stateDelivered:
		d.State = bugle.Delivered
	case stateFailed:
		d.State = bugle.Failed
	case stateCancelled:
		d.State = bugle.Cancelled
	default:
		d.State, d.NextAttemptAt = bugle.Pending, fromMicroseconds(next)
	}
	return &d, nil
}

// Deliveries returns a page of the organization's deliveries, newest first.
func (s *Store) Deliveries(ctx context.Context, organizationID int64, f DeliveryFilter, p PageRequest) (Page[*bugle.Delivery], error) {
	page := Page[*bugle.Delivery]{Number: p.Number, Limit: p.Limit}
	w := newWhere("d.organization_id", organizationID)
	from := " FROM deliveries d "
	if f.Event != "" || f.RequestID != "" || f.StatusCode != 0 {
		from = fromDeliveries
	}
	if f.WebhookID != 0 {
		w.add("d.webhook_id = $%d", f.WebhookID)
	}
	if f.Channel != "" {
		w.add("d.webhook_id = (SELECT id FROM webhooks WHERE organization_id = d.organization_id AND channel = $%d)", f.Channel)
	}
	switch f.State {
	case bugle.Pending:
		w.addPlain("d.state IN (0, 1)")
	case bugle.Delivered:
		w.addPlain("d.state = 2")
	case bugle.Failed:
		w.addPlain("d.state = 3")
	case bugle.Cancelled:
		w.addPlain("d.state = 4")
	}
	if f.Event != "" {
		w.add("e.name = $%d", f.Event)
	}
	if f.RequestID != "" {
		w.add("e.request_id = $%d", f.RequestID)
	}
	if f.StatusCode != 0 {
		w.add("a.status_code = $%d", f.StatusCode)
	}
	if !f.Since.IsZero() {
		w.add("d.created_us >= $%d", f.Since.UnixMicro())
	}
	if !f.Until.IsZero() {
		w.add("d.created_us < $%d", f.Until.UnixMicro())
	}
	condition := w.String()
	c := s.view()
	if err := c.one(ctx, []any{&page.Total}, "SELECT COUNT(*)"+from+condition, w.args...); err != nil {
		return page, fmt.Errorf("count deliveries: %w", err)
	}
	condition += " ORDER BY d.id DESC" + w.limit(p)
	err := c.each(ctx, func(scan func(to ...any) error) error {
		d, err := scanDelivery(scan)
		page.Items = append(page.Items, d)
		return err
	}, "SELECT "+deliveryColumns+fromDeliveries+condition, w.args...)
	if err != nil {
		return page, fmt.Errorf("list deliveries: %w", err)
	}
	return page, nil
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

// Envelope returns the bytes of an event.
func (s *Store) Envelope(ctx context.Context, eventID int64) ([]byte, error) {
	var envelope []byte
	if err := s.view().one(ctx, []any{&envelope}, "SELECT envelope FROM events WHERE id = $1", eventID); err != nil {
		return nil, fmt.Errorf("envelope of event %d: %w", eventID, err)
	}
	return envelope, nil
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
		SET    state = 0, order_us = $1, next_attempt_us = $2, attempts_before = attempts, finished_us = 0
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
