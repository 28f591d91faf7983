package store

import (
	"context"
	"fmt"
	"time"

	"github.com/buglehq/bugle"
)

// An EventFilter narrows a list of events; what is zero does not.
type EventFilter struct {
	Name         string
	ResourceKind string
	ResourceID   int64
	RequestID    string
	Since        time.Time // created at this time or later
	Until        time.Time // created before this time
}

// A LoggedEvent is an event with how much came of it.
type LoggedEvent struct {
	bugle.Event
	Deliveries int // to webhooks that subscribe to it
	Runs       int // of automations
}

// Events returns a page of the organization's events, newest first, without those that were made for one
// delivery.
func (s *Store) Events(ctx context.Context, organizationID int64, f EventFilter, p PageRequest) (Page[*LoggedEvent], error) {
	page := Page[*LoggedEvent]{Number: p.Number, Limit: p.Limit}
	w := newWhere("e.organization_id", organizationID)
	w.addPlain("NOT e.addressed")
	if f.Name != "" {
		w.add("e.name = $%d", f.Name)
	}
	if f.ResourceKind != "" {
		w.add("e.resource_kind = $%d", f.ResourceKind)
	}
	if f.ResourceID != 0 {
		w.add("e.resource_id = $%d", f.ResourceID)
	}
	if f.RequestID != "" {
		w.add("e.request_id = $%d", f.RequestID)
	}
	if !f.Since.IsZero() {
		w.add("e.created_us >= $%d", f.Since.UnixMicro())
	}
	if !f.Until.IsZero() {
		w.add("e.created_us < $%d", f.Until.UnixMicro())
	}
	c := s.view()
	if err := c.one(ctx, []any{&page.Total}, "SELECT COUNT(*) FROM events e"+w.String(), w.args...); err != nil {
		return page, fmt.Errorf("count events: %w", err)
	}
	condition := w.String() + " ORDER BY e.id DESC" + w.limit(p)
	list, err := selectEvents(ctx, c, condition, w.args...)
	if err != nil {
		return page, err
	}
	page.Items, err = s.counted(ctx, organizationID, list)
	return page, err
}

// EventWithCounts returns an event of the organization, or bugle.ErrNotFound.
func (s *Store) EventWithCounts(ctx context.Context, organizationID, id int64) (*LoggedEvent, error) {
	e, err := s.Event(ctx, organizationID, id)
	if err == nil && e.Addressed {
		err = fmt.Errorf("event %d: %w", id, bugle.ErrNotFound)
	}
	if err != nil {
		return nil, err
	}
	list, err := s.counted(ctx, organizationID, []*bugle.Event{e})
	if err != nil {
		return nil, err
	}
	return list[0], nil
}

// counted adds how much came of events.
func (s *Store) counted(ctx context.Context, organizationID int64, events []*bugle.Event) ([]*LoggedEvent, error) {
	list := make([]*LoggedEvent, len(events))
	byID := make(map[int64]*LoggedEvent, len(events))
	ids := make([]int64, len(events))
	for i, e := range events {
		list[i] = &LoggedEvent{Event: *e}
		byID[e.ID], ids[i] = list[i], e.ID
	}
	count := func(to func(*LoggedEvent) *int) func(scan func(to ...any) error) error {
		return func(scan func(to ...any) error) error {
			var id int64
			var n int
			err := scan(&id, &n)
			if err == nil {
				*to(byID[id]) = n
			}
			return err
		}
	}
	c := s.view()
	err := c.each(ctx, count(func(e *LoggedEvent) *int { return &e.Deliveries }),
		"SELECT event_id, COUNT(*) FROM deliveries WHERE "+inIDs("event_id", 1)+" GROUP BY event_id", idList(ids))
	if err == nil {
		// By the index of automations, of which an organization has few.
		err = c.each(ctx, count(func(e *LoggedEvent) *int { return &e.Runs }), `
			SELECT event_id, COUNT(*) FROM automation_runs
			WHERE  automation_id IN (SELECT id FROM automations WHERE organization_id = $1) AND `+inIDs("event_id", 2)+` GROUP BY event_id`,
			organizationID, idList(ids))
	}
	if err != nil {
		return nil, fmt.Errorf("count what came of events: %w", err)
	}
	return list, nil
}

// EventDeliveries returns the ids of an event's deliveries by webhook, at most limit.
func (s *Store) EventDeliveries(ctx context.Context, eventID int64, limit int) (map[int64]int64, error) {
	byWebhook := map[int64]int64{}
	err := s.view().each(ctx, func(scan func(to ...any) error) error {
		var id, webhook int64
		err := scan(&id, &webhook)
		byWebhook[webhook] = id
		return err
	}, "SELECT id, webhook_id FROM deliveries WHERE event_id = $1 ORDER BY id LIMIT $2", eventID, limit)
	if err != nil {
		return nil, fmt.Errorf("deliveries of event %d: %w", eventID, err)
	}
	return byWebhook, nil
}

// EventRuns returns an event's runs by automation.
func (s *Store) EventRuns(ctx context.Context, organizationID, eventID int64) (map[int64]*bugle.Run, error) {
	byAutomation := map[int64]*bugle.Run{}
	err := s.view().each(ctx, func(scan func(to ...any) error) error {
		r, err := scanRun(scan)
		if err == nil {
			byAutomation[r.AutomationID] = r
		}
		return err
	}, "SELECT "+runColumns+` FROM automation_runs r
		WHERE r.automation_id IN (SELECT id FROM automations WHERE organization_id = $1) AND r.event_id = $2`, organizationID, eventID)
	if err != nil {
		return nil, fmt.Errorf("runs of event %d: %w", eventID, err)
	}
	return byAutomation, nil
}
