package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/buglehq/bugle"
)

// A ReplayState says how far a replay is.
type ReplayState string

const (
	ReplayRunning   ReplayState = "running"
	ReplayDone      ReplayState = "done"
	ReplayCancelled ReplayState = "cancelled"
	ReplayFailed    ReplayState = "failed" // for a reason of our own, which the log has
)

// ReplayStates are all of them.
var ReplayStates = []ReplayState{ReplayRunning, ReplayDone, ReplayCancelled, ReplayFailed}

// A Replay sends deliveries of the past again. It is worked on in steps, which go on after a restart.
type Replay struct {
	ID             int64
	OrganizationID int64
	Filter         DeliveryFilter // of what is sent again
	Query          string         // the filter as the panel has it in addresses; empty: it came from elsewhere

	// Missing makes deliveries of events that the filter's webhook subscribes to and got nothing of: it was not there
	// yet, was disabled, or subscribed later. The filter's times and events apply; its states do not.
	Missing bool

	State       ReplayState
	Total       int  // deliveries that the filter let through at the start
	More        bool // there were more: that was as far as was counted
	Redelivered int
	Skipped     int // they were owed already, or their webhook was deleted
	Added       int // deliveries that were made, because there was none
	Error       string
	CreatedAt   time.Time
	UpdatedAt   time.Time
	FinishedAt  time.Time // zero while it runs

	afterID, lastID           int64
	afterEventID, lastEventID int64
}

// Ended reports whether nothing more is done.
func (r *Replay) Ended() bool { return r.State != ReplayRunning }

// Done is how many deliveries were looked at.
func (r *Replay) Done() int { return r.Redelivered + r.Skipped }

const (
	maxReplays     = 3      // of an organization that run at a time
	maxReplaysKept = 100    // of an organization, the newest
	replayCount    = 10_000 // how far deliveries are counted at the start
)

// replayStep is how many deliveries are sent again in one transaction, for which other changes wait, and replayScan how many
// events are looked at for those that are missing.
var replayStep, replayScan = 100, 500 // less in tests

const replayColumns = `id, organization_id, filter, query, missing, state, total, total_more, redelivered, skipped, added,
	after_id, last_id, after_event_id, last_event_id, error, created_us, updated_us, finished_us`

func selectReplays(ctx context.Context, c conn, where string, args ...any) ([]*Replay, error) {
	var list []*Replay
	err := c.each(ctx, func(scan func(to ...any) error) error {
		var r Replay
		var filter string
		var created, updated, finished int64
		err := scan(&r.ID, &r.OrganizationID, &filter, &r.Query, &r.Missing, &r.State, &r.Total, &r.More, &r.Redelivered, &r.Skipped, &r.Added,
			&r.afterID, &r.lastID, &r.afterEventID, &r.lastEventID, &r.Error, &created, &updated, &finished)
		if err != nil {
			return err
		}
		r.CreatedAt, r.UpdatedAt, r.FinishedAt = fromMicroseconds(created), fromMicroseconds(updated), fromMicroseconds(finished)
		list = append(list, &r)
		if err := json.Unmarshal([]byte(filter), &r.Filter); err != nil {
			return fmt.Errorf("filter of replay %d: %w", r.ID, err)
		}
		return nil
	}, "SELECT "+replayColumns+" FROM replays "+where, args...)
	if err != nil {
		return nil, fmt.Errorf("read replays: %w", err)
	}
	return list, nil
}

// Replay returns a replay of the organization, or bugle.ErrNotFound.
func (s *Store) Replay(ctx context.Context, organizationID, id int64) (*Replay, error) {
	list, err := selectReplays(ctx, s.view(), "WHERE organization_id = $1 AND id = $2", organizationID, id)
	if err == nil && len(list) == 0 {
		err = fmt.Errorf("replay %d: %w", id, bugle.ErrNotFound)
	}
	if err != nil {
		return nil, err
	}
	return list[0], nil
}

// Replays returns a page of the organization's replays, newest first; with a webhookID those that were asked for of it.
func (s *Store) Replays(ctx context.Context, organizationID, webhookID int64, p PageRequest) (Page[*Replay], error) {
	page := Page[*Replay]{Number: p.Number, Limit: p.Limit}
	w := newWhere("organization_id", organizationID)
	if webhookID != 0 {
		w.add("webhook_id = $%d", webhookID)
	}
	c := s.view()
	err := c.one(ctx, []any{&page.Total}, "SELECT COUNT(*) FROM replays"+w.String(), w.args...)
	if err == nil {
		condition := w.String() + " ORDER BY id DESC" + w.limit(p)
		page.Items, err = selectReplays(ctx, c, condition, w.args...)
	}
	if err != nil {
		return page, fmt.Errorf("list replays: %w", err)
	}
	return page, nil
}

// StartReplay writes a replay, of which the organization, the filter, its query and Missing are given. It sends again what
// the filter lets through of the deliveries that there are now. It returns bugle.ErrConflict while the organization has
// too many others.
func (s *Store) StartReplay(ctx context.Context, r *Replay) error {
	if err := s.measureReplay(ctx, r); err != nil {
		return fmt.Errorf("start replay: %w", err)
	}
	filter, err := json.Marshal(r.Filter)
	if err != nil {
		return fmt.Errorf("start replay: %w", err)
	}
	return s.Update(ctx, func(tx *Tx) error {
		var running int
		if err := tx.one([]any{&running}, "SELECT COUNT(*) FROM replays WHERE organization_id = $1 AND state = 'running'", r.OrganizationID); err != nil {
			return fmt.Errorf("start replay: %w", err)
		}
		if running >= maxReplays {
			return fmt.Errorf("start a replay while %d others are under way: %w", running, bugle.ErrConflict)
		}
		r.State, r.CreatedAt, r.UpdatedAt = ReplayRunning, tx.now, tx.now
		var err error
		r.ID, err = tx.insert(`
			INSERT INTO replays (organization_id, webhook_id, filter, query, missing, total, total_more, after_id, last_id, after_event_id,
			    last_event_id, created_us, updated_us)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)`,
			r.OrganizationID, r.Filter.WebhookID, string(filter), r.Query, r.Missing, r.Total, r.More, r.afterID, r.lastID, r.afterEventID,
			r.lastEventID, tx.now.UnixMicro(), tx.now.UnixMicro())
		if err == nil {
			err = tx.exec(`
				DELETE FROM replays
				WHERE  organization_id = $1 AND state <> 'running' AND id <= (
				    SELECT id FROM replays WHERE organization_id = $1 ORDER BY id DESC LIMIT 1 OFFSET $2)`, r.OrganizationID, maxReplaysKept)
		}
		if err != nil {
			return fmt.Errorf("start replay: %w", err)
		}
		tx.committed.Replays = true
		return nil
	})
}

// measureReplay finds where a replay begins and ends.
func (s *Store) measureReplay(ctx context.Context, r *Replay) error {
	c := s.view()
	err := c.one(ctx, []any{&r.lastID}, "SELECT COALESCE(MAX(id), 0) FROM deliveries WHERE organization_id = $1", r.OrganizationID)
	if err != nil {
		return err
	}
	r.afterID = -1 // above it is everything
	if r.Missing && len(r.Filter.States) == 0 && r.Filter.State == "" {
		r.afterID = r.lastID // only what is missing
	} else {
		counted, err := s.Deliveries(ctx, r.OrganizationID, r.Filter, PageRequest{Number: 1, Limit: 1, CountTo: replayCount})
		if err != nil {
			return err
		}
		r.Total, r.More = counted.Total, counted.More
	}
	if !r.Missing {
		return nil
	}
	err = c.one(ctx, []any{&r.lastEventID}, "SELECT COALESCE(MAX(id), 0) FROM events WHERE organization_id = $1 AND NOT addressed", r.OrganizationID)
	if err != nil || r.Filter.Since.IsZero() {
		return err
	}
	events := source{tables: "events e", id: "e.id", key: "e.id", created: "e.created_us"}
	events = events.with("e.organization_id = ?", r.OrganizationID).with("NOT e.addressed")
	first, err := events.find(ctx, c, events.created, r.Filter.Since.UnixMicro()-clockSlack)
	r.afterEventID = min(first-1, r.lastEventID)
	return err
}

// CancelReplay ends a replay after the step under way. What was sent again stays so. One that has ended is a
// bugle.ErrConflict.
func (tx *Tx) CancelReplay(organizationID, id int64) (*Replay, error) {
	n, err := tx.count("UPDATE replays SET state = 'cancelled', updated_us = $1, finished_us = $1 WHERE organization_id = $2 AND id = $3 AND state = 'running'",
		tx.now.UnixMicro(), organizationID, id)
	var list []*Replay
	if err == nil {
		list, err = selectReplays(context.Background(), tx.view(), "WHERE organization_id = $1 AND id = $2", organizationID, id)
	}
	switch {
	case err != nil:
		return nil, fmt.Errorf("cancel replay %d: %w", id, err)
	case len(list) == 0:
		return nil, fmt.Errorf("cancel replay %d: %w", id, bugle.ErrNotFound)
	case n == 0:
		return nil, fmt.Errorf("cancel replay %d, which is %s already: %w", id, list[0].State, bugle.ErrConflict)
	}
	return list[0], nil
}

// ClaimReplay gives the replay that has waited longest to a worker, for the length of the lease; nil if there is none for
// him. Nobody else works on it meanwhile.
func (s *Store) ClaimReplay(ctx context.Context, worker string, lease time.Duration) (*Replay, error) {
	id, err := s.claimJob(ctx, replayJobs, worker, lease)
	var list []*Replay
	if err == nil && id != 0 {
		list, err = selectReplays(ctx, s.view(), "WHERE id = $1", id)
	}
	if err != nil {
		return nil, fmt.Errorf("claim a replay: %w", err)
	}
	if len(list) == 0 {
		return nil, nil
	}
	return list[0], nil
}

// StepReplay does the next part of a replay that the worker has claimed, and changes r accordingly. Whether it has ended
// then, r tells. What was cancelled, or taken over by another worker after the lease, is left as it is.
func (s *Store) StepReplay(ctx context.Context, r *Replay, worker string) error {
	var err error
	if r.afterID < r.lastID {
		err = s.stepDeliveries(ctx, r, worker)
	} else {
		err = s.stepMissing(ctx, r, worker)
	}
	if errors.Is(err, errMoved) {
		var now *Replay
		if now, err = s.Replay(ctx, r.OrganizationID, r.ID); err == nil {
			*r = *now
		}
	}
	if err != nil {
		return fmt.Errorf("replay %d: %w", r.ID, err)
	}
	return nil
}

// stepDeliveries sends some deliveries again. It goes by ascending ids up to the last that there was at the start, so that
// nothing is looked at twice and it ends.
func (s *Store) stepDeliveries(ctx context.Context, r *Replay, worker string) error {
	at := PageRequest{Number: 1, Limit: replayStep, CountTo: -1, After: r.afterID}
	page, err := s.Deliveries(ctx, r.OrganizationID, r.Filter, at)
	if err != nil {
		return err
	}
	after := r.lastID
	switch {
	case page.Incomplete:
		after = page.Reached
	case len(page.Items) == at.Limit:
		after = page.Items[0].ID // the newest
	}
	slices.Reverse(page.Items)
	return s.advance(ctx, r, worker, func(tx *Tx, next *Replay) error {
		next.afterID = min(after, r.lastID)
		for _, d := range page.Items {
			if d.ID > r.lastID {
				continue
			}
			done, err := tx.RedeliverEnded(r.OrganizationID, d.ID)
			if err != nil {
				return err
			}
			if done {
				next.Redelivered++
			} else {
				next.Skipped++
			}
		}
		return nil
	})
}

// stepMissing makes deliveries of some events that the webhook got nothing of.
func (s *Store) stepMissing(ctx context.Context, r *Replay, worker string) error {
	type candidate struct {
		id, created int64
		name        string
	}
	var list []candidate
	err := s.view().each(ctx, func(scan func(to ...any) error) error {
		var e candidate
		err := scan(&e.id, &e.created, &e.name)
		list = append(list, e)
		return err
	}, `
		SELECT id, created_us, name FROM events
		WHERE  organization_id = $1 AND NOT addressed AND id > $2 AND id <= $3
		ORDER  BY id
		LIMIT  $4`, r.OrganizationID, r.afterEventID, r.lastEventID, replayScan)
	if err != nil {
		return err
	}
	return s.advance(ctx, r, worker, func(tx *Tx, next *Replay) error {
		next.afterEventID = r.lastEventID
		if len(list) == replayScan {
			next.afterEventID = list[len(list)-1].id
		}
		if len(list) == 0 {
			return nil
		}
		hook, err := tx.Webhook(r.OrganizationID, r.Filter.WebhookID)
		if errors.Is(err, bugle.ErrNotFound) || err == nil && hook.Status == bugle.Disabled {
			next.afterEventID = r.lastEventID // nothing is made for it
			return nil
		}
		if err != nil {
			return err
		}
		for _, e := range list {
			created := fromMicroseconds(e.created)
			within := (r.Filter.Since.IsZero() || !created.Before(r.Filter.Since)) && (r.Filter.Until.IsZero() || created.Before(r.Filter.Until))
			named := len(r.Filter.Events) == 0 || slices.Contains(r.Filter.Events, e.name)
			if !within || !named || !slices.Contains(hook.Events, e.name) {
				continue
			}
			if next.Added-r.Added >= replayStep {
				next.afterEventID = e.id - 1
				return nil
			}
			added, err := tx.makeUp(r.OrganizationID, hook.ID, e.id)
			if err != nil {
				return err
			}
			if added {
				next.Added++
			}
		}
		return nil
	})
}

// makeUp owes a webhook an event that it got nothing of, and reports whether it did. The event is written once more, for
// this delivery: ids of deliveries, and of their events, are in the order of time, which the log is read by.
func (tx *Tx) makeUp(organizationID, webhookID, eventID int64) (bool, error) {
	var there int64
	err := tx.one([]any{&there}, `
		SELECT COUNT(*) FROM deliveries
		WHERE  webhook_id = $1 AND event_id IN (SELECT CAST($2 AS BIGINT) UNION ALL SELECT id FROM events WHERE original_id = $2)`, webhookID, eventID)
	if err != nil || there > 0 {
		return false, err
	}
	e, err := firstEvent(selectEvents(context.Background(), tx.view(), "WHERE e.organization_id = $1 AND e.id = $2", organizationID, eventID))
	if errors.Is(err, bugle.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	e.CreatedAt, e.Chain.RunID = tx.now, 0
	if _, err := tx.Address(e, webhookID); err != nil {
		return false, err
	}
	return true, tx.exec("UPDATE events SET original_id = $1 WHERE id = $2", eventID, e.ID)
}

// advance does a step of a replay in a transaction, with the place where the next one begins.
func (s *Store) advance(ctx context.Context, r *Replay, worker string, step func(tx *Tx, next *Replay) error) error {
	var next Replay
	err := s.Update(ctx, func(tx *Tx) error {
		next = *r
		if err := step(tx, &next); err != nil {
			return err
		}
		next.UpdatedAt = tx.now
		if next.afterID >= next.lastID && next.afterEventID >= next.lastEventID {
			next.State, next.FinishedAt = ReplayDone, tx.now
			if next.afterID > 0 && !next.Missing {
				next.Total, next.More = next.Done(), false
			}
		}
		n, err := tx.count(`
			UPDATE replays
			SET    state = $1, total = $2, total_more = $3, redelivered = $4, skipped = $5, added = $6, after_id = $7, after_event_id = $8,
			       updated_us = $9, finished_us = $10
			WHERE  id = $11 AND state = 'running' AND worker = $12 AND after_id = $13 AND after_event_id = $14`,
			next.State, next.Total, next.More, next.Redelivered, next.Skipped, next.Added, next.afterID, next.afterEventID,
			next.UpdatedAt.UnixMicro(), microseconds(next.FinishedAt), r.ID, worker, r.afterID, r.afterEventID)
		if err == nil && n == 0 {
			err = errMoved
		}
		return err
	})
	if err == nil {
		*r = next
	}
	return err
}

// ReleaseReplays lets others take over what a worker has claimed.
func (s *Store) ReleaseReplays(ctx context.Context, worker string) error {
	return s.releaseJobs(ctx, replayJobs, worker)
}

// FailReplay ends a replay that cannot go on, and keeps why.
func (s *Store) FailReplay(ctx context.Context, r *Replay, reason string) error {
	return s.Update(ctx, func(tx *Tx) error {
		return tx.exec("UPDATE replays SET state = 'failed', error = $1, updated_us = $2, finished_us = $2 WHERE id = $3 AND state = 'running'",
			reason, tx.now.UnixMicro(), r.ID)
	})
}

// RedeliverEnded is Redeliver for what is not owed already and whose webhook is there, and reports whether it was.
func (tx *Tx) RedeliverEnded(organizationID, id int64) (bool, error) {
	d, err := tx.Delivery(organizationID, id)
	if err == nil {
		if d.State == bugle.Pending {
			return false, nil
		}
		_, err = tx.Redeliver(organizationID, id)
	}
	if errors.Is(err, bugle.ErrConflict) || errors.Is(err, bugle.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}
