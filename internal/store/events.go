package store

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/personnel"
	"github.com/buglehq/bugle/value"
)

// emit adds the event that a resource was created or updated, if its kind emits events.
func (c change) emit(r *personnel.Resource, verb string, causes []bugle.Cause) error {
	event, err := c.prepare(r, verb, causes)
	if err != nil {
		return err
	}
	return c.tx.addEvent(event, 0)
}

// prepare builds the event with its envelope, or returns nil for a kind without events.
func (c change) prepare(r *personnel.Resource, verb string, causes []bugle.Cause) (*bugle.Event, error) {
	k := r.Kind
	if !k.Emits {
		return nil, nil
	}
	var shown []string
	switch verb {
	case "created":
		shown = k.Created
	case "updated":
		shown = k.Updated
	}
	rendered := r.Clone()
	rendered.Related, rendered.Lists = nil, nil
	ctx := context.Background()
	if err := complete(ctx, c.tx.view(), c.a.OrganizationID, []*personnel.Resource{rendered}, personnel.Shown(shown...)...); err != nil {
		return nil, err
	}
	view, err := c.tx.w.store.viewOf(ctx, c.tx.view(), c.a.OrganizationID)
	if err != nil {
		return nil, err
	}
	event := &bugle.Event{
		OrganizationID: c.a.OrganizationID, Name: k.Name + "." + verb, ResourceKind: k.Name, ResourceID: r.ID(),
		RequestID: c.a.RequestID, TraceID: c.a.TraceID, CreatedAt: c.tx.now, Causes: causes, CauserID: c.a.UserID,
	}
	event.Envelope, err = bugle.Envelope{
		Event: event.Name, Created: event.CreatedAt, RequestID: event.RequestID, TraceID: event.TraceID,
		Data: rendered.Data(view), Changes: personnel.ChangesValue(causes),
	}.JSON()
	if err != nil {
		return nil, fmt.Errorf("envelope of %s: %w", event.Name, err)
	}
	return event, nil
}

// addEvent writes an event and a delivery for each webhook that subscribes to it, or, with a
// webhookID, for that webhook alone. A nil event is none.
func (tx *Tx) addEvent(e *bugle.Event, webhookID int64) error {
	if e == nil {
		return nil
	}
	var causes any
	if e.Causes != nil {
		list := value.NewArray(len(e.Causes))
		for _, c := range e.Causes {
			list.Append(value.List(c.Attribute, c.Old, c.New))
		}
		text, err := value.JSON(list)
		if err != nil {
			return err
		}
		causes = string(text)
	}
	err := tx.one([]any{&e.ID}, `
		INSERT INTO events (organization_id, name, resource_kind, resource_id, request_id, trace_id, causer_id, created_us, envelope, causes)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
		RETURNING id`,
		e.OrganizationID, e.Name, e.ResourceKind, e.ResourceID, e.RequestID, e.TraceID, e.CauserID, e.CreatedAt.UnixMicro(), e.Envelope, causes)
	if err != nil {
		return fmt.Errorf("write event %s: %w", e.Name, err)
	}
	if err := tx.addDeliveries(e, webhookID); err != nil {
		return fmt.Errorf("write deliveries of %s: %w", e.Name, err)
	}
	return nil
}

// numberSubscribed and numberOne count up the sequence of those webhooks that get an event.
const (
	numberSubscribed = `
		UPDATE lanes SET last_sequence = last_sequence + 1
		WHERE  webhook_id IN (
		    SELECT e.webhook_id FROM webhook_events e JOIN webhooks w ON w.id = e.webhook_id
		    WHERE  e.organization_id = $1 AND e.event = $2 AND w.status <> 'disabled')
		RETURNING webhook_id, last_sequence`
	numberOne = `
		UPDATE lanes SET last_sequence = last_sequence + 1
		WHERE  webhook_id = $1
		RETURNING webhook_id, last_sequence`
	insertDelivery = `
		INSERT INTO deliveries (organization_id, webhook_id, event_id, sequence, order_us, next_attempt_us, created_us)
		VALUES ($1, $2, $3, $4, $5, $6, $7)
		RETURNING id`
)

func (tx *Tx) addDeliveries(e *bugle.Event, webhookID int64) error {
	sequences := map[int64]int64{} // by webhook
	row := func(scan func(to ...any) error) error {
		var id, sequence int64
		err := scan(&id, &sequence)
		sequences[id] = sequence
		return err
	}
	var err error
	if webhookID != 0 {
		err = tx.each(row, numberOne, webhookID)
	} else {
		err = tx.each(row, numberSubscribed, e.OrganizationID, e.Name)
	}
	if err != nil || len(sequences) == 0 {
		return err
	}
	place, due := tx.place(), tx.now.UnixMicro() // differ if the clock has gone back: they are due all the same
	for _, id := range slices.Sorted(maps.Keys(sequences)) {
		d := NewDelivery{WebhookID: id, EventID: e.ID, Order: place, Due: due, Envelope: e.Envelope}
		err := tx.one([]any{&d.ID}, insertDelivery, e.OrganizationID, id, e.ID, sequences[id], place, due, e.CreatedAt.UnixMicro())
		if err != nil {
			return err
		}
		tx.committed.Deliveries = append(tx.committed.Deliveries, d)
	}
	return nil
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// SendTest adds a webhook.test event with the payload as its data, for one webhook whatever it
// subscribes to, and returns the id of its delivery.
func (tx *Tx) SendTest(a Actor, webhookID int64, payload any) (deliveryID int64, err error) {
	if _, err := tx.Webhook(a.OrganizationID, webhookID); err != nil {
		return 0, err
	}
	e := &bugle.Event{OrganizationID: a.OrganizationID, Name: bugle.TestEvent, RequestID: a.RequestID, TraceID: a.TraceID, CreatedAt: tx.now, CauserID: a.UserID}
	if e.Envelope, err = bugle.TestEnvelope(payload, e.CreatedAt, e.RequestID, e.TraceID).JSON(); err != nil {
		return 0, fmt.Errorf("envelope of a test: %w", err)
	}
	if err := tx.addEvent(e, webhookID); err != nil {
		return 0, err
	}
	return tx.committed.Deliveries[len(tx.committed.Deliveries)-1].ID, nil
}
