package store

import (
	"cmp"
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

// This file is the delivery engine's side of the queue. Its states are those of the table's column.
const (
	stateDue = iota
	stateWaiting
	stateDelivered
	stateFailed
	stateCancelled
)

// A NewDelivery is a delivery that has its place in a lane.
type NewDelivery struct {
	ID             int64
	WebhookID      int64
	EventID        int64
	Order          int64         // place in the lane, with the ID
	Due            int64         // microseconds: not to be sent before
	Attempts       int           // made so far
	AttemptsBefore int           // those of earlier series
	Payload        bugle.Payload // without a text: to be read from the event
}

// lastOrder is the highest place that a lane may have handed out: that of the newest delivery, and
// of the last one in each lane.
const lastOrder = `
WITH RECURSIVE lane (id) AS (
    SELECT MIN(webhook_id) FROM deliveries WHERE state = 0
    UNION ALL
    SELECT (SELECT MIN(webhook_id) FROM deliveries WHERE state = 0 AND webhook_id > lane.id) FROM lane WHERE lane.id IS NOT NULL
)
SELECT COALESCE(MAX(place), 0) FROM (
    SELECT (SELECT MAX(order_us) FROM deliveries WHERE state = 0 AND webhook_id = lane.id) AS place FROM lane WHERE lane.id IS NOT NULL
    UNION ALL
    SELECT (SELECT order_us FROM deliveries ORDER BY id DESC LIMIT 1)
) AS places`

// dueLanes finds the lanes with due deliveries by one index look-up each, however many there are in
// them.
const dueLanes = `
WITH RECURSIVE lane (id) AS (
    SELECT MIN(webhook_id) FROM deliveries WHERE state = 0
    UNION ALL
    SELECT (SELECT MIN(webhook_id) FROM deliveries WHERE state = 0 AND webhook_id > lane.id) FROM lane WHERE lane.id IS NOT NULL
)
SELECT id FROM lane WHERE id IS NOT NULL`

// DueLanes returns the ids of webhooks of this node that have due deliveries. The webhook may be deleted.
func (s *Store) DueLanes(ctx context.Context) ([]int64, error) {
	own, args := s.ownSlices("id", 1)
	ids, err := s.view().ids(ctx, dueLanes+own, args...)
	if err != nil {
		return nil, fmt.Errorf("find due lanes: %w", err)
	}
	return ids, nil
}

// Due returns the next deliveries of a lane behind the place (order, id), at most limit, without
// envelopes.
func (s *Store) Due(ctx context.Context, webhookID, order, id int64, limit int) ([]NewDelivery, error) {
	list := make([]NewDelivery, 0, limit)
	err := s.view().each(ctx, func(scan func(to ...any) error) error {
		d := NewDelivery{WebhookID: webhookID}
		err := scan(&d.ID, &d.EventID, &d.Order, &d.Due, &d.Attempts, &d.AttemptsBefore)
		list = append(list, d)
		return err
	}, `
		SELECT id, event_id, order_us, next_attempt_us, attempts, attempts_before
		FROM   deliveries
		WHERE  state = 0 AND webhook_id = $1 AND (order_us, id) > ($2, $3)
		ORDER  BY order_us, id
		LIMIT  $4`, webhookID, order, id, limit)
	if err != nil {
		return nil, fmt.Errorf("read lane of webhook %d: %w", webhookID, err)
	}
	return list, nil
}

// Payloads calls with for each of the events, with what is to be sent.
func (s *Store) Payloads(ctx context.Context, eventIDs []int64, with func(eventID int64, payload bugle.Payload)) error {
	err := s.view().each(ctx, func(scan func(to ...any) error) error {
		var id int64
		var p bugle.Payload
		if err := scan(&id, &p.Text, &p.Rendered); err != nil {
			return err
		}
		with(id, p)
		return nil
	}, "SELECT id, envelope, rendered FROM events WHERE "+inIDs("id", 1), idList(eventIDs))
	if err != nil {
		return fmt.Errorf("read payloads: %w", err)
	}
	return nil
}

// Promote makes those deliveries of this node due whose wait for a retry has ended, at most limit, and returns
// how many they were. They go to the end of their lanes.
func (s *Store) Promote(ctx context.Context, limit int) (int, error) {
	var promoted []NewDelivery
	own, args := s.ownSlices("webhook_id", 4)
	err := s.writer.do(ctx, func(tx *Tx) error {
		place := tx.placeAfter()
		err := tx.each(func(scan func(to ...any) error) error {
			d := NewDelivery{Order: place, Due: tx.now.UnixMicro()}
			err := scan(&d.ID, &d.WebhookID, &d.EventID, &d.Attempts, &d.AttemptsBefore)
			promoted = append(promoted, d)
			return err
		}, `
			UPDATE deliveries
			SET    state = 0, order_us = $1
			WHERE  id IN (SELECT id FROM deliveries WHERE state = 1 AND next_attempt_us <= $2`+own+` ORDER BY next_attempt_us, id LIMIT $3)
			RETURNING id, webhook_id, event_id, attempts, attempts_before`, append([]any{place, tx.now.UnixMicro(), limit}, args...)...)
		// RETURNING keeps no order, but lanes have one: that of the place, which is one for all, and the id.
		slices.SortFunc(promoted, func(a, b NewDelivery) int { return cmp.Compare(a.ID, b.ID) })
		tx.committed.Deliveries = append(tx.committed.Deliveries, promoted...)
		return err
	}, results)
	if err != nil {
		return 0, fmt.Errorf("promote retries: %w", err)
	}
	return len(promoted), nil
}

// NextRetry returns when the next wait for a retry ends, of this node's deliveries; zero if nothing waits.
func (s *Store) NextRetry(ctx context.Context) (time.Time, error) {
	var at *int64
	own, args := s.ownSlices("webhook_id", 1)
	if err := s.view().one(ctx, []any{&at}, "SELECT MIN(next_attempt_us) FROM deliveries WHERE state = 1"+own, args...); err != nil {
		return time.Time{}, fmt.Errorf("read next retry: %w", err)
	}
	if at == nil {
		return time.Time{}, nil
	}
	return fromMicroseconds(*at), nil
}

// hastenBatch is about how many deliveries one transaction of Hasten moves.
const hastenBatch = 1000

// Hasten ends the waits for retries, of this node's deliveries, earlier by so much, because the clock was set back. It
// returns how many waits those are.
func (s *Store) Hasten(ctx context.Context, by time.Duration) (int, error) {
	n, err := s.hastenOrdered(ctx, by)
	// From the earliest on: what was moved is earlier than those that are left, and not found again.
	for after := s.now().UnixMicro(); err == nil; {
		var to *int64
		err = s.view().one(ctx, []any{&to}, `
			SELECT MAX(next_attempt_us)
			FROM   (SELECT next_attempt_us FROM deliveries WHERE state = 1 AND next_attempt_us > $1 ORDER BY next_attempt_us LIMIT $2) AS next`, after, hastenBatch)
		if err != nil || to == nil {
			break
		}
		err = s.writer.do(ctx, func(tx *Tx) error {
			own, args := s.ownSlices("webhook_id", 4)
			moved, err := tx.count("UPDATE deliveries SET next_attempt_us = next_attempt_us - $1 WHERE state = 1 AND next_attempt_us > $2 AND next_attempt_us <= $3"+own,
				append([]any{by.Microseconds(), after, *to}, args...)...)
			n += int(moved)
			return err
		}, results)
		after = *to
	}
	if err != nil {
		return n, fmt.Errorf("move retries: %w", err)
	}
	return n, nil
}

// hastenOrdered is Hasten for ordered lanes, where what waits for its retry is due and at the head.
func (s *Store) hastenOrdered(ctx context.Context, by time.Duration) (n int, err error) {
	err = s.writer.do(ctx, func(tx *Tx) error {
		own, args := s.ownSlices("webhook_id", 3)
		return tx.each(func(scan func(to ...any) error) error {
			var id int64
			err := scan(&id)
			n++
			tx.committed.Webhooks = append(tx.committed.Webhooks, id)
			return err
		}, `
			UPDATE deliveries
			SET    next_attempt_us = next_attempt_us - $1
			WHERE  state = 0 AND attempts > attempts_before AND next_attempt_us > $2 AND id IN (
				SELECT (SELECT d.id FROM deliveries d WHERE d.state = 0 AND d.webhook_id = w.id ORDER BY d.order_us, d.id LIMIT 1)
				FROM   webhooks w
				WHERE  w.ordered)`+own+`
			RETURNING webhook_id`, append([]any{by.Microseconds(), tx.now.UnixMicro()}, args...)...)
	}, results)
	return n, err
}

// A Result is an attempt that ended, and how its delivery stands.
type Result struct {
	DeliveryID int64
	WebhookID  int64
	Attempt    *bugle.Attempt
	Outcome    bugle.Outcome
	Ordered    bool // a retry keeps its place in the lane
}

// Record writes results, and the health of their webhooks as the engine knows it, in one
// transaction. It may return before they are on the disk: what is lost is sent again. Where nodes share the database,
// attempts get their numbers here, because two nodes may have sent the same delivery.
func (s *Store) Record(ctx context.Context, list []Result, health map[int64]bugle.Health) error {
	err := s.writer.do(ctx, func(tx *Tx) error { return tx.record(list, health) }, results)
	if err != nil {
		return fmt.Errorf("record %d attempts: %w", len(list), err)
	}
	return nil
}

func (tx *Tx) record(list []Result, health map[int64]bugle.Health) error {
	var late []Result
	if tx.w.dialect.isShared() {
		var err error
		if list, late, err = tx.number(list); err != nil {
			return err
		}
		if err := tx.recordLate(late); err != nil {
			return err
		}
	}
	if err := tx.insertAttempts(list); err != nil {
		return err
	}
	if err := tx.countResults(slices.Concat(list, late)); err != nil {
		return fmt.Errorf("count attempts: %w", err)
	}
	var delivered []int64
	for i := range list {
		r := &list[i]
		tx.committed.Recorded = append(tx.committed.Recorded, r.DeliveryID)
		if r.Outcome.State == bugle.Delivered {
			delivered = append(delivered, r.DeliveryID)
			continue
		}
		if err := tx.recordFailure(r); err != nil {
			return err
		}
	}
	// One that was cancelled meanwhile was delivered all the same.
	if len(delivered) > 0 {
		err := tx.exec("UPDATE deliveries SET state = 2, attempts = attempts + 1, finished_us = $1 WHERE state IN (0, 4) AND "+inIDs("id", 2),
			tx.now.UnixMicro(), idList(delivered))
		if err != nil {
			return err
		}
	}
	own := make(map[int64]bugle.Health, len(health))
	for id, h := range health {
		if tx.w.store.Owns(id) {
			own[id] = h
		}
	}
	return tx.w.dialect.saveHealth(tx, own)
}

func (tx *Tx) insertAttempts(list []Result) error {
	// In the order of the table, each row has its place right behind the one before.
	list = slices.Clone(list)
	slices.SortFunc(list, func(a, b Result) int { return cmp.Compare(a.DeliveryID, b.DeliveryID) })
	rows := make([][]any, len(list))
	for i := range list {
		a := list[i].Attempt
		kind, message := "", ""
		if a.Error != nil {
			kind, message = string(a.Error.Kind), a.Error.Message
		}
		headers, err := encodeHeaders(a.ResponseHeaders)
		if err != nil {
			return err
		}
		body := a.ResponseBody
		if body == nil {
			body = []byte{}
		}
		rows[i] = []any{list[i].DeliveryID, a.Number, a.StartedAt.UnixMicro(), a.Took.Microseconds(), a.Method, a.URL, a.Status, a.Reason,
			kind, message, headers, body, a.ResponseTruncated, a.RemoteAddress}
	}
	if err := tx.w.dialect.insertAttempts(tx, rows); err != nil {
		return fmt.Errorf("write attempts: %w", err)
	}
	return nil
}

// encodeHeaders is the JSON of response headers: an object of lists. Receivers may send bytes that
// are no UTF-8, which become the replacement character.
func encodeHeaders(h http.Header) (string, error) {
	text := make([]byte, 0, 256)
	var err error
	appendText := func(s string) {
		if err == nil {
			text, err = value.AppendJSON(text, strings.ToValidUTF8(s, "\uFFFD"))
		}
	}
	open := byte('{')
	for _, name := range sortedKeys(h) {
		text = append(text, open)
		open = ','
		appendText(name)
		text = append(text, ':', '[')
		for i, v := range h[name] {
			if i > 0 {
				text = append(text, ',')
			}
			appendText(v)
		}
		text = append(text, ']')
	}
	if open == '{' {
		return "[]", err
	}
	return string(append(text, '}')), err
}

// recordFailure writes an outcome other than delivered. A delivery that is not due any more, because
// somebody cancelled it, keeps its state.
func (tx *Tx) recordFailure(r *Result) error {
	state, finished, next := stateFailed, tx.now.UnixMicro(), int64(0)
	switch r.Outcome.State {
	case bugle.Pending:
		// The wait is counted from now: the clock may have been set since the attempt ended.
		now := tx.w.store.clock.Now()
		state, finished, next = stateWaiting, 0, now.Round(0).Add(r.Outcome.NextAt.Sub(now)).UnixMicro()
		if r.Ordered {
			state = stateDue
		}
	case bugle.Cancelled:
		state = stateCancelled
	}
	err := tx.exec("UPDATE deliveries SET attempts = attempts + 1 WHERE id = $1", r.DeliveryID)
	if err != nil {
		return err
	}
	err = tx.exec("UPDATE deliveries SET state = $1, next_attempt_us = $2, finished_us = $3 WHERE id = $4 AND state = 0",
		state, next, finished, r.DeliveryID)
	if err != nil || !r.Outcome.Gone {
		return err
	}
	w, err := findWebhook(context.Background(), tx.view(), "WHERE w.id = $1", r.WebhookID)
	if err != nil {
		if errors.Is(err, bugle.ErrNotFound) { // it was deleted
			return nil
		}
		return err
	}
	n, err := tx.count("UPDATE webhooks SET status = 'disabled', updated_us = $1, changed_event_id = "+lastEvent+" WHERE id = $2 AND status <> 'disabled'", tx.now.UnixMicro(), r.WebhookID)
	if n > 0 {
		tx.committed.Webhooks = append(tx.committed.Webhooks, r.WebhookID)
		err = tx.exec("UPDATE lanes SET gone_us = $1 WHERE webhook_id = $2", tx.now.UnixMicro(), r.WebhookID) // of which people are told
		if after := *w; err == nil {
			after.Status = bugle.Disabled
			err = tx.auditUpdate(w, &after)
		}
	}
	return err
}

// CancelOrphans cancels pending deliveries of a webhook that was deleted, due or waiting for a retry,
// at most limit, and returns how many they were.
func (s *Store) CancelOrphans(ctx context.Context, webhookID int64, limit int) (int, error) {
	var n int64
	err := s.writer.do(ctx, func(tx *Tx) (err error) {
		n, err = tx.count(`
			UPDATE deliveries
			SET    state = 4, finished_us = $1
			WHERE  id IN (
			    SELECT id FROM deliveries WHERE state = 0 AND webhook_id = $2
			    UNION ALL
			    SELECT id FROM deliveries WHERE state = 1 AND next_attempt_us > 0 AND +webhook_id = $2 -- by the index of those that wait
			    LIMIT $3)
			AND    NOT EXISTS (SELECT 1 FROM webhooks WHERE id = $2)`, tx.now.UnixMicro(), webhookID, limit)
		return err
	}, results)
	if err != nil {
		return 0, fmt.Errorf("cancel deliveries of webhook %d: %w", webhookID, err)
	}
	return int(n), nil
}
