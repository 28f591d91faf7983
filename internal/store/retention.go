package store

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/buglehq/bugle"
)

var retentionColumns = func() string {
	var columns []string
	for _, name := range bugle.RetentionNames {
		columns = append(columns, "r."+name+"_days", "r."+name+"_rows")
	}
	return strings.Join(columns, ", ")
}()

// scanChoice reads retentionColumns, behind other columns.
func scanChoice(scan func(to ...any) error, before ...any) (bugle.RetentionChoice, error) {
	choice := bugle.RetentionChoice{}
	keeps := make([]bugle.KeepChoice, len(bugle.RetentionNames))
	for i := range keeps {
		before = append(before, &keeps[i].Days, &keeps[i].Rows)
	}
	err := scan(before...)
	for i, name := range bugle.RetentionNames {
		if keeps[i] != (bugle.KeepChoice{}) {
			choice[name] = keeps[i]
		}
	}
	return choice, err
}

// Retention returns what an organization has decided about how long its log is kept.
func (s *Store) Retention(ctx context.Context, organizationID int64) (bugle.RetentionChoice, error) {
	return findRetention(ctx, s.view(), organizationID)
}

func findRetention(ctx context.Context, c conn, organizationID int64) (bugle.RetentionChoice, error) {
	choice := bugle.RetentionChoice{}
	err := c.each(ctx, func(scan func(to ...any) error) (err error) {
		choice, err = scanChoice(scan)
		return err
	}, "SELECT "+retentionColumns+" FROM retention r WHERE r.organization_id = $1", organizationID)
	if err != nil {
		return nil, fmt.Errorf("read retention of organization %d: %w", organizationID, err)
	}
	return choice, nil
}

// SetRetention writes what an organization has decided, or returns a *bugle.InvalidError.
func (tx *Tx) SetRetention(organizationID int64, choice bugle.RetentionChoice) error {
	if err := choice.Check(); err != nil {
		return err
	}
	before, err := findRetention(context.Background(), tx.view(), organizationID)
	if err != nil {
		return err
	}
	o, err := findOrganization(context.Background(), tx.view(), organizationID)
	if err != nil {
		return err
	}
	args := []any{organizationID}
	var set []string
	for _, name := range bugle.RetentionNames {
		args = append(args, choice[name].Days, choice[name].Rows)
		set = append(set, name+"_days = excluded."+name+"_days", name+"_rows = excluded."+name+"_rows")
	}
	err = tx.exec("INSERT INTO retention (organization_id, "+strings.ReplaceAll(retentionColumns, "r.", "")+") VALUES ("+parameters(1, len(args))+`)
		ON CONFLICT (organization_id) DO UPDATE SET `+strings.Join(set, ", "), args...)
	if err != nil {
		return fmt.Errorf("save retention of organization %d: %w", organizationID, err)
	}
	return tx.auditChange(organizationID, "retention.updated", organizationSubject(o), retentionAttributes(before), retentionAttributes(choice))
}

const (
	// removeAtOnce is how many rows one transaction deletes: it takes some milliseconds, for which others wait.
	removeAtOnce = 200
	// lookAtOnce is how many rows one step looks at.
	lookAtOnce = 1000
)

// Removed is how many rows were deleted.
type Removed struct {
	Attempts, Deliveries, Runs, Events, Sendings int
}

// A Sweep deletes what is older, or more, than organizations want to keep, in steps. What is owed is never deleted.
// It is for one goroutine.
type Sweep struct {
	store    *Store
	defaults bugle.Retention

	// KeepAnyway is how long what has ended is kept however many rows are to be kept: an hour, so that attempts that were
	// under way when their delivery was cancelled are recorded, and people see what has just happened.
	KeepAnyway time.Duration

	now          time.Time
	organization int64
	keep         bugle.Retention
	stage        int
	bounds       bounds
	after        int64   // rows up to this id were looked at
	found        []int64 // of them, those that are to be deleted
	looked       bool    // at all rows of the stage

	// positions are where earlier sweeps ended: what is older was deleted, or has to stay for now.
	positions map[position]int64

	Removed Removed // since Begin
}

type position struct {
	organization int64
	stage        int
}

// bounds say what is too old: what ended before a time, or has an id up to upTo; and ended before the floor.
type bounds struct{ before, upTo, floor int64 }

// NewSweep returns a Sweep. The defaults are for what organizations have not decided.
func (s *Store) NewSweep(defaults bugle.Retention) *Sweep {
	return &Sweep{store: s, defaults: defaults, KeepAnyway: time.Hour, positions: map[position]int64{}}
}

// Begin goes back to the first organization. A full sweep looks again at those old rows that had to stay earlier,
// because they were owed then.
func (w *Sweep) Begin(full bool) {
	w.now, w.organization, w.Removed = w.store.now(), 0, Removed{}
	w.stage, w.found, w.looked = len(stages), nil, true
	if full {
		clear(w.positions)
	}
}

// A stage deletes one kind of rows.
type stage struct {
	keep func(*bugle.Retention) bugle.Keep
	rows string // of an organization, $1

	// look reads rows behind an id: the id, when it was created, and whether it is to be deleted.
	look string

	// remove deletes those of the rows that may still be deleted.
	remove func(tx *Tx, w *Sweep, ids []int64) error
}

// stages are in the order in which they have to be: events go when nothing refers to them any more.
var stages = []stage{
	{
		keep: func(r *bugle.Retention) bugle.Keep { return r.Attempts },
		rows: "FROM deliveries d WHERE d.organization_id = $1",
		look: `SELECT d.id, d.created_us, CASE WHEN d.state >= 2 AND (d.finished_us < $1 OR d.id <= $2) AND d.finished_us < $3
			AND EXISTS (SELECT 1 FROM attempts a WHERE a.delivery_id = d.id) THEN 1 ELSE 0 END
			FROM deliveries d WHERE d.organization_id = $4 AND d.id > $5 ORDER BY d.id LIMIT $6`,
		remove: (*Tx).removeAttempts,
	},
	{
		keep: func(r *bugle.Retention) bugle.Keep { return r.Deliveries },
		rows: "FROM deliveries d WHERE d.organization_id = $1",
		look: `SELECT d.id, d.created_us, CASE WHEN d.state >= 2 AND (d.finished_us < $1 OR d.id <= $2) AND d.finished_us < $3 THEN 1 ELSE 0 END
			FROM deliveries d WHERE d.organization_id = $4 AND d.id > $5 ORDER BY d.id LIMIT $6`,
		remove: (*Tx).removeDeliveries,
	},
	{
		keep: func(r *bugle.Retention) bugle.Keep { return r.Runs },
		rows: "FROM automation_runs d WHERE d.organization_id = $1",
		look: `SELECT r.id, r.created_us, CASE WHEN r.status <> 'pending' AND (MAX(r.created_us, r.evaluated_us) < $1 OR r.id <= $2)
			AND MAX(r.created_us, r.evaluated_us) < $3 THEN 1 ELSE 0 END
			FROM automation_runs r WHERE r.organization_id = $4 AND r.id > $5 ORDER BY r.id LIMIT $6`,
		remove: func(tx *Tx, w *Sweep, ids []int64) error {
			n, err := tx.count("DELETE FROM automation_runs WHERE "+inIDs("id", 1)+" AND status <> 'pending'", idList(ids))
			w.Removed.Runs += int(n)
			return err
		},
	},
	{
		// Those that were made for one delivery go with it.
		keep: func(r *bugle.Retention) bugle.Keep { return r.Events },
		rows: "FROM events d WHERE d.organization_id = $1 AND NOT d.addressed",
		look: `SELECT e.id, e.created_us, CASE WHEN (e.created_us < $1 OR e.id <= $2) AND e.created_us < $3 AND ` + unused + ` THEN 1 ELSE 0 END
			FROM events e WHERE e.organization_id = $4 AND NOT e.addressed AND e.id > $5 ORDER BY e.id LIMIT $6`,
		remove: func(tx *Tx, w *Sweep, ids []int64) error {
			n, err := tx.removeEvents(ids)
			w.Removed.Events += int(n)
			return err
		},
	},
	{
		keep: func(r *bugle.Retention) bugle.Keep { return r.Events },
		rows: "FROM sendings d WHERE d.organization_id = $1 AND d.state = 'done'",
		look: `SELECT s.id, s.created_us, CASE WHEN (MAX(s.created_us, s.due_us) < $1 OR s.id <= $2) AND MAX(s.created_us, s.due_us) < $3 THEN 1 ELSE 0 END
			FROM sendings s WHERE s.state = 'done' AND s.organization_id = $4 AND s.id > $5 ORDER BY s.id LIMIT $6`,
		remove: func(tx *Tx, w *Sweep, ids []int64) error {
			n, err := tx.count("DELETE FROM sendings WHERE "+inIDs("id", 1)+" AND state = 'done'", idList(ids))
			w.Removed.Sendings += int(n)
			return err
		},
	},
}

// unused is that nothing refers to the event e.
const unused = `NOT EXISTS (SELECT 1 FROM deliveries d WHERE d.event_id = e.id) AND NOT EXISTS (
	SELECT 1 FROM automation_runs r WHERE r.automation_id IN (SELECT a.id FROM automations a WHERE a.organization_id = e.organization_id) AND r.event_id = e.id)`

func (tx *Tx) removeEvents(ids []int64) (int64, error) {
	return tx.count("DELETE FROM events WHERE id IN (SELECT e.id FROM events e WHERE "+inIDs("e.id", 1)+" AND "+unused+")", idList(ids))
}

// Step looks at the next rows, or deletes some of those that were found, and reports how many it deleted, and whether
// there is more to do.
func (w *Sweep) Step(ctx context.Context) (removed int, more bool, err error) {
	switch {
	case len(w.found) > 0:
		before := w.Removed
		err = w.store.writer.do(ctx, func(tx *Tx) error {
			return stages[w.stage].remove(tx, w, w.found[:min(len(w.found), removeAtOnce)])
		}, results)
		if err != nil {
			w.Removed = before
			return 0, true, fmt.Errorf("delete old rows: %w", err)
		}
		w.found = w.found[min(len(w.found), removeAtOnce):]
		return w.Removed.since(before), true, nil
	case !w.looked:
		err = w.look(ctx)
	default:
		more, err = w.next(ctx)
		return 0, more, err
	}
	if err != nil {
		err = fmt.Errorf("look for old rows: %w", err)
	}
	return 0, true, err
}

func (r Removed) since(before Removed) int {
	return r.Total() - before.Total()
}

// Total is how many rows were deleted in all.
func (r Removed) Total() int { return r.Attempts + r.Deliveries + r.Runs + r.Events + r.Sendings }

// next goes on with the next stage, or the next organization.
func (w *Sweep) next(ctx context.Context) (more bool, err error) {
	for w.stage++; ; w.stage++ {
		if w.stage >= len(stages) {
			if found, err := w.nextOrganization(ctx); !found || err != nil {
				return err != nil, err
			}
			w.stage = 0
		}
		keep := stages[w.stage].keep(&w.keep)
		if keep == (bugle.Keep{}) {
			continue
		}
		w.bounds = bounds{floor: w.now.Add(-w.KeepAnyway).UnixMicro()}
		if keep.Days > 0 {
			w.bounds.before = w.now.AddDate(0, 0, -keep.Days).UnixMicro()
		}
		if keep.Rows > 0 {
			err := w.store.view().one(ctx, []any{&w.bounds.upTo}, "SELECT d.id "+stages[w.stage].rows+" ORDER BY d.id DESC LIMIT 1 OFFSET $2", w.organization, keep.Rows)
			if err != nil && !errors.Is(err, bugle.ErrNotFound) {
				w.stage--
				return true, fmt.Errorf("count rows to keep: %w", err)
			}
		}
		w.after, w.looked = w.positions[position{w.organization, w.stage}], false
		return true, nil
	}
}

func (w *Sweep) nextOrganization(ctx context.Context) (found bool, err error) {
	err = w.store.view().each(ctx, func(scan func(to ...any) error) error {
		choice, err := scanChoice(scan, &w.organization)
		w.keep, found = choice.Over(w.defaults), true
		return err
	}, "SELECT o.id, "+retentionColumns+" FROM organizations o LEFT JOIN retention r ON r.organization_id = o.id WHERE o.id > $1 ORDER BY o.id LIMIT 1", w.organization)
	if err != nil {
		return false, fmt.Errorf("read retention: %w", err)
	}
	return found, nil
}

// look reads the next rows of the stage.
func (w *Sweep) look(ctx context.Context) error {
	n, old := 0, false
	after, done := w.after, w.after
	var found []int64
	err := w.store.view().each(ctx, func(scan func(to ...any) error) error {
		var id, created int64
		var remove bool
		if err := scan(&id, &created, &remove); err != nil {
			return err
		}
		n++
		if remove {
			found = append(found, id)
		}
		// Ids are given out in the order of time, but the clock may have been set back.
		if created < w.bounds.before || id <= w.bounds.upTo && created < w.bounds.floor {
			old, done = true, id
		}
		after = id
		return nil
	}, stages[w.stage].look, w.bounds.before, w.bounds.upTo, w.bounds.floor, w.organization, w.after, lookAtOnce)
	if err != nil {
		return err
	}
	if old {
		w.after, w.found = after, found
		w.positions[position{w.organization, w.stage}] = done
	}
	w.looked = !old || n < lookAtOnce
	return nil
}

// removeAttempts deletes all attempts of deliveries that have ended.
func (tx *Tx) removeAttempts(w *Sweep, ids []int64) error {
	var ended []int64
	var last int64
	err := tx.each(func(scan func(to ...any) error) error {
		var id, finished int64
		err := scan(&id, &finished)
		ended, last = append(ended, id), max(last, finished)
		return err
	}, "SELECT id, finished_us FROM deliveries WHERE state >= 2 AND finished_us < $1 AND "+inIDs("id", 2), w.bounds.floor, idList(ids))
	if err != nil || len(ended) == 0 {
		return err
	}
	n, err := tx.count("DELETE FROM attempts WHERE "+inIDs("delivery_id", 1), idList(ended))
	if err != nil {
		return err
	}
	w.Removed.Attempts += int(n)
	return tx.exec(`
		INSERT INTO removed_attempts (organization_id, attempts_us) VALUES ($1, $2)
		ON CONFLICT (organization_id) DO UPDATE SET attempts_us = MAX(removed_attempts.attempts_us, excluded.attempts_us)`, w.organization, last+1)
}

// removeDeliveries deletes deliveries that have ended, with their attempts and the events that were made for them.
func (tx *Tx) removeDeliveries(w *Sweep, ids []int64) error {
	type removed struct{ n, lastSequence, lastEvent int64 }
	var gone, events []int64
	byWebhook := map[int64]removed{}
	err := tx.each(func(scan func(to ...any) error) error {
		var id, webhook, event, sequence int64
		err := scan(&id, &webhook, &event, &sequence)
		gone, events = append(gone, id), append(events, event)
		r := byWebhook[webhook]
		byWebhook[webhook] = removed{r.n + 1, max(r.lastSequence, sequence), max(r.lastEvent, event)}
		return err
	}, "DELETE FROM deliveries WHERE state >= 2 AND finished_us < $1 AND "+inIDs("id", 2)+" RETURNING id, webhook_id, event_id, sequence", w.bounds.floor, idList(ids))
	if err != nil || len(gone) == 0 {
		return err
	}
	w.Removed.Deliveries += len(gone)
	n, err := tx.count("DELETE FROM attempts WHERE "+inIDs("delivery_id", 1), idList(gone))
	if err != nil {
		return err
	}
	w.Removed.Attempts += int(n)
	for _, webhook := range slices.Sorted(maps.Keys(byWebhook)) {
		r := byWebhook[webhook]
		err := tx.exec(`
			INSERT INTO removed_deliveries (webhook_id, removed, last_sequence, last_event_id) VALUES ($1, $2, $3, $4)
			ON CONFLICT (webhook_id) DO UPDATE SET
			    removed = removed_deliveries.removed + excluded.removed,
			    last_sequence = MAX(removed_deliveries.last_sequence, excluded.last_sequence),
			    last_event_id = MAX(removed_deliveries.last_event_id, excluded.last_event_id)`, webhook, r.n, r.lastSequence, r.lastEvent)
		if err != nil {
			return err
		}
	}
	var addressed []int64
	err = tx.each(func(scan func(to ...any) error) error {
		var id int64
		err := scan(&id)
		addressed = append(addressed, id)
		return err
	}, "SELECT id FROM events WHERE addressed AND "+inIDs("id", 1), idList(events))
	if err != nil || len(addressed) == 0 {
		return err
	}
	n, err = tx.removeEvents(addressed)
	w.Removed.Events += int(n)
	return err
}

// GiveBack returns some of the space that deleted rows have left to the file system, and reports whether there is
// more. A part stays for new rows. PostgreSQL sees to it by itself, and a file of SQLite that was made without
// auto_vacuum keeps its size.
func (s *Store) GiveBack(ctx context.Context) (more bool, err error) {
	more, err = s.dialect.giveBack(ctx, s, false)
	if err != nil {
		return false, fmt.Errorf("give back space: %w", err)
	}
	return more, nil
}

// Alone runs fn unless another process does the same at the moment: work of that name. It reports whether it did.
func (s *Store) Alone(ctx context.Context, name string, fn func(ctx context.Context) error) (bool, error) {
	return s.dialect.alone(ctx, s, name, fn)
}
