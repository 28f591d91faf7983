package store

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/buglehq/bugle"
)

// An EventFilter narrows a list of events; what is zero does not.
type EventFilter struct {
	Name          string
	ResourceKind  string
	ResourceID    int64
	CauserID      int64 // the user who caused it
	RequestID     string
	RequestPrefix string    // how the request id begins
	Since         time.Time // created at this time or later
	Until         time.Time // created before this time
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
	c := s.view()
	sources, filters, err := f.sources(ctx, c, organizationID)
	if err != nil {
		return Page[*LoggedEvent]{}, fmt.Errorf("list events: %w", err)
	}
	page, err := readLog(ctx, c, sources, filters, p, func(ids []int64) ([]*LoggedEvent, error) {
		list, err := selectEvents(ctx, c, "WHERE "+inIDs("e.id", 1)+" ORDER BY e.id DESC", idList(ids))
		if err != nil {
			return nil, err
		}
		return s.counted(ctx, organizationID, list)
	})
	if err != nil {
		return page, fmt.Errorf("list events: %w", err)
	}
	return page, nil
}

// EventsAbout returns the newest events about some resources, named by their kinds and ids, newest first and at
// most limit.
func (s *Store) EventsAbout(ctx context.Context, organizationID int64, resources map[string][]int64, limit int) ([]*LoggedEvent, error) {
	var list []*bugle.Event
	for kind, ids := range resources {
		of, err := selectEvents(ctx, s.view(), "WHERE e.organization_id = $1 AND e.resource_kind = $2 AND "+inIDs("e.resource_id", 3)+
			" AND NOT e.addressed ORDER BY e.id DESC LIMIT $4", organizationID, kind, idList(ids), limit)
		if err != nil {
			return nil, fmt.Errorf("events about %s: %w", kind, err)
		}
		list = append(list, of...)
	}
	slices.SortFunc(list, func(a, b *bugle.Event) int { return cmp.Compare(b.ID, a.ID) })
	return s.counted(ctx, organizationID, list[:min(len(list), limit)])
}

// sources finds what has the least rows to look at, and what is to be asked of them.
func (f *EventFilter) sources(ctx context.Context, c conn, organizationID int64) (list []source, filter *logFilter, err error) {
	all := source{tables: "events e", id: "e.id", key: "e.id", created: "e.created_us"}.with("e.organization_id = ?", organizationID)
	filter = &logFilter{since: f.Since, until: f.Until}
	found := false
	// narrow takes the first conditions for the index, and the others as filters. A plus keeps their indexes out.
	narrow := func(text string, args ...any) {
		if found {
			filter.add("+"+text, args...)
			filter.lookUps = true // of the row: the index does not hold it
			return
		}
		all = all.with(text, args...)
	}
	if f.RequestID != "" {
		narrow("e.request_id = ?", f.RequestID)
		found = true
	} else if f.RequestPrefix != "" {
		found = true
	}
	if f.ResourceKind != "" && f.ResourceID != 0 {
		narrow("e.resource_kind = ?", f.ResourceKind)
		narrow("e.resource_id = ?", f.ResourceID)
		found = true
	}
	if f.CauserID != 0 {
		narrow("e.causer_id = ?", f.CauserID)
		if !found {
			all = all.with("e.causer_id <> 0")
		}
		found = true
	}
	if f.Name != "" {
		narrow("e.name = ?", f.Name)
		found = true
	}
	if (f.ResourceKind == "") != (f.ResourceID == 0) {
		found = true
		if f.ResourceKind != "" {
			narrow("e.resource_kind = ?", f.ResourceKind)
		} else {
			narrow("e.resource_id = ?", f.ResourceID)
		}
	}
	if f.RequestID != "" {
		filter.add("NOT e.addressed")
		return []source{all}, filter, nil
	}
	if f.RequestPrefix == "" {
		return []source{all.with("NOT e.addressed")}, filter, nil
	}
	filter.add("NOT e.addressed")
	requests, err := findRequests(ctx, c, organizationID, "", f.RequestPrefix)
	for _, id := range requests {
		list = append(list, all.with("e.request_id = ?", id))
	}
	return list, filter, err
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

// EventDeliveries returns the ids of an event's deliveries by webhook, at most limit; those that a replay made later too.
func (s *Store) EventDeliveries(ctx context.Context, eventID int64, limit int) (map[int64]int64, error) {
	byWebhook := map[int64]int64{}
	err := s.view().each(ctx, func(scan func(to ...any) error) error {
		var id, webhook int64
		err := scan(&id, &webhook)
		byWebhook[webhook] = id
		return err
	}, `
		SELECT id, webhook_id FROM deliveries
		WHERE  event_id IN (SELECT CAST($1 AS BIGINT) UNION ALL SELECT id FROM events WHERE original_id = $1)
		ORDER  BY id
		LIMIT  $2`, eventID, limit)
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
