package store

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

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
	return c.addEvent(event)
}

// addEvent adds an event that the actor has caused, within the quotas of his organization. A nil event is none.
func (c change) addEvent(e *bugle.Event) error {
	if e == nil {
		return nil
	}
	made := len(c.tx.committed.Deliveries)
	if err := c.tx.addEvent(e, 0); err != nil {
		return err
	}
	return c.tx.charge(c.a, len(c.tx.committed.Deliveries)-made)
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
		RequestID: c.a.RequestID, TraceID: c.a.TraceID, CreatedAt: c.tx.now, Causes: causes, CauserID: c.a.UserID, Chain: c.a.Chain,
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

// addEvent writes an event, a delivery for each webhook that subscribes to it or, with a webhookID, for
// that webhook alone, and a pending run for each automation that it triggers. A nil event is none.
func (tx *Tx) addEvent(e *bugle.Event, webhookID int64) error {
	if e == nil {
		return nil
	}
	if err := tx.insertEvent(e); err != nil {
		return err
	}
	if err := tx.addDeliveries(e, webhookID); err != nil {
		return fmt.Errorf("write deliveries of %s: %w", e.Name, err)
	}
	if e.Addressed || webhookID != 0 {
		return nil
	}
	if err := tx.addRuns(e); err != nil {
		return fmt.Errorf("write runs of %s: %w", e.Name, err)
	}
	return nil
}

func (tx *Tx) insertEvent(e *bugle.Event) error {
	causes, err := causesText(e.Causes)
	if err != nil {
		return err
	}
	e.ID, err = tx.insert(`
		INSERT INTO events (organization_id, name, resource_kind, resource_id, request_id, trace_id, causer_id, created_us, envelope, causes, chain, run_id, addressed, rendered)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)`,
		e.OrganizationID, e.Name, e.ResourceKind, e.ResourceID, e.RequestID, e.TraceID, e.CauserID, e.CreatedAt.UnixMicro(), e.Envelope, causes,
		e.Chain.JSON(), e.Chain.RunID, e.Addressed, e.Rendered)
	if err != nil {
		return fmt.Errorf("write event %s: %w", e.Name, err)
	}
	tx.events = append(tx.events, eventMark{e.ID, e.Name})
	return nil
}

// numberSubscribed and numberOne count up the sequence of those webhooks that get an event. Store.Prove looks whether
// they have: what decides here decides there too.
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
		VALUES ($1, $2, $3, $4, $5, $6, $7)`
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
	place, due := tx.place(), tx.now.UnixMicro() // differ if the clock has gone back: it is due all the same
	list, numbers := make([]NewDelivery, 0, len(sequences)), make([]int64, 0, len(sequences))
	for _, id := range slices.Sorted(maps.Keys(sequences)) {
		list = append(list, NewDelivery{WebhookID: id, EventID: e.ID, Order: place, Due: due, Payload: e.Payload()})
		numbers = append(numbers, sequences[id])
	}
	if err := tx.w.dialect.insertDeliveries(tx, e, list, numbers); err != nil {
		return err
	}
	tx.committed.Deliveries = append(tx.committed.Deliveries, list...)
	return nil
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// SendTest adds a webhook.test event with the payload as its data, for one webhook whatever it
// subscribes to, and returns the id of its delivery. It returns bugle.ErrConflict if the webhook is disabled,
// and a bugle.InvalidError if the payload cannot be sent.
func (tx *Tx) SendTest(a Actor, webhookID int64, payload any) (deliveryID int64, err error) {
	if err := bugle.CheckTestPayload(payload); err != nil {
		return 0, err
	}
	w, err := tx.Webhook(a.OrganizationID, webhookID)
	if err != nil {
		return 0, err
	}
	if w.Status == bugle.Disabled {
		return 0, fmt.Errorf("test webhook %d, which is disabled: %w", webhookID, bugle.ErrConflict)
	}
	e := &bugle.Event{OrganizationID: a.OrganizationID, Name: bugle.TestEvent, RequestID: a.RequestID, TraceID: a.TraceID, CreatedAt: tx.now, CauserID: a.UserID, Chain: a.Chain}
	if e.Envelope, err = bugle.TestEnvelope(payload, e.CreatedAt, e.RequestID, e.TraceID).JSON(); err != nil {
		return 0, fmt.Errorf("envelope of a test: %w", err)
	}
	if err := tx.addEvent(e, webhookID); err != nil {
		return 0, err
	}
	if err := tx.charge(a, 1); err != nil {
		return 0, err
	}
	return tx.committed.Deliveries[len(tx.committed.Deliveries)-1].ID, nil
}

const eventColumns = `e.id, e.organization_id, e.name, e.resource_kind, e.resource_id, e.request_id, e.trace_id, e.causer_id, e.created_us,
	e.envelope, COALESCE(e.causes, ''), COALESCE(e.chain, ''), e.run_id, e.addressed, e.rendered`

func scanEvent(scan func(to ...any) error) (*bugle.Event, error) {
	var e bugle.Event
	var created, run int64
	var causes, chain string
	err := scan(&e.ID, &e.OrganizationID, &e.Name, &e.ResourceKind, &e.ResourceID, &e.RequestID, &e.TraceID, &e.CauserID, &created,
		&e.Envelope, &causes, &chain, &run, &e.Addressed, &e.Rendered)
	if err != nil {
		return nil, err
	}
	e.CreatedAt = fromMicroseconds(created)
	if e.Chain, err = bugle.ParseChain(chain); err != nil {
		return nil, fmt.Errorf("chain of event %d: %w", e.ID, err)
	}
	e.Chain.RunID = run
	if causes == "" {
		return &e, nil
	}
	err = decodeList(causes, func(v any) {
		triple, _ := v.(*value.Array)
		name, _ := triple.GetInt(0)
		c := bugle.Cause{}
		c.Attribute, _ = name.(string)
		c.Old, _ = triple.GetInt(1)
		c.New, _ = triple.GetInt(2)
		e.Causes = append(e.Causes, c)
	})
	if err != nil {
		return nil, fmt.Errorf("causes of event %d: %w", e.ID, err)
	}
	return &e, nil
}

func selectEvents(ctx context.Context, c conn, where string, args ...any) ([]*bugle.Event, error) {
	var list []*bugle.Event
	err := c.each(ctx, func(scan func(to ...any) error) error {
		e, err := scanEvent(scan)
		list = append(list, e)
		return err
	}, "SELECT "+eventColumns+" FROM events e "+where, args...)
	if err != nil {
		return nil, fmt.Errorf("read events: %w", err)
	}
	return list, nil
}

func firstEvent(list []*bugle.Event, err error) (*bugle.Event, error) {
	if err == nil && len(list) == 0 {
		err = fmt.Errorf("event: %w", bugle.ErrNotFound)
	}
	if err != nil {
		return nil, err
	}
	return list[0], nil
}

// EventsByID returns those of the events that are there, of any organization.
func (s *Store) EventsByID(ctx context.Context, ids []int64) ([]*bugle.Event, error) {
	return selectEvents(ctx, s.view(), "WHERE "+inIDs("e.id", 1), idList(ids))
}

// Event returns an event of the organization, or bugle.ErrNotFound.
func (s *Store) Event(ctx context.Context, organizationID, id int64) (*bugle.Event, error) {
	return firstEvent(selectEvents(ctx, s.view(), "WHERE e.organization_id = $1 AND e.id = $2", organizationID, id))
}

// NewestEvent returns the last event of a name, or bugle.ErrNotFound.
func (s *Store) NewestEvent(ctx context.Context, organizationID int64, name string) (*bugle.Event, error) {
	return firstEvent(s.NewestEvents(ctx, organizationID, name, 1))
}

// NewestEvents returns the last events of a name, newest first, at most limit.
func (s *Store) NewestEvents(ctx context.Context, organizationID int64, name string, limit int) ([]*bugle.Event, error) {
	return selectEvents(ctx, s.view(),
		"WHERE e.organization_id = $1 AND e.name = $2 AND NOT e.addressed ORDER BY e.id DESC LIMIT $3", organizationID, name, limit)
}

// EventsOf returns events of a name from after the id on, oldest first, at most limit, that were
// created at since or later and before until; zero times are no limit.
func (s *Store) EventsOf(ctx context.Context, organizationID int64, name string, after int64, since, until time.Time, limit int) ([]*bugle.Event, error) {
	w := newWhere("e.organization_id", organizationID)
	w.add("e.name = $%d", name)
	w.addPlain("NOT e.addressed")
	w.add("e.id > $%d", after)
	if !since.IsZero() {
		w.add("e.created_us >= $%d", since.UnixMicro())
	}
	if !until.IsZero() {
		w.add("e.created_us < $%d", until.UnixMicro())
	}
	condition := w.String() + " ORDER BY e.id" + w.limit(PageRequest{Number: 1, Limit: limit})
	return selectEvents(ctx, s.view(), condition, w.args...)
}

// Address adds an event that is made for one webhook, with a delivery, and returns the delivery's id.
// Without the webhook it adds nothing, and returns bugle.ErrNotFound.
func (tx *Tx) Address(e *bugle.Event, webhookID int64) (deliveryID int64, err error) {
	n, err := tx.count("UPDATE lanes SET last_sequence = last_sequence + 1 WHERE webhook_id = $1", webhookID)
	if err == nil && n == 0 {
		err = bugle.ErrNotFound
	}
	if err != nil {
		return 0, fmt.Errorf("webhook %d: %w", webhookID, err)
	}
	e.Addressed = true
	if err := tx.insertEvent(e); err != nil {
		return 0, err
	}
	place, due := tx.place(), tx.now.UnixMicro()
	d := NewDelivery{WebhookID: webhookID, EventID: e.ID, Order: place, Due: due, Payload: e.Payload()}
	d.ID, err = tx.insert(`
		INSERT INTO deliveries (organization_id, event_id, order_us, next_attempt_us, created_us, webhook_id, sequence)
		SELECT $1, $2, $3, $4, $5, webhook_id, last_sequence FROM lanes WHERE webhook_id = $6`,
		e.OrganizationID, e.ID, place, due, e.CreatedAt.UnixMicro(), webhookID)
	if err != nil {
		return 0, fmt.Errorf("write delivery of %s: %w", e.Name, err)
	}
	tx.committed.Deliveries = append(tx.committed.Deliveries, d)
	return d.ID, nil
}
