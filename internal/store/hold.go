package store

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/google/uuid"

	"github.com/buglehq/bugle"
)

// Hold lets everything that the organization sends be made and wait, until Release. It returns bugle.ErrConflict if that
// is so already.
func (tx *Tx) Hold(organizationID int64) (*bugle.Organization, error) {
	n, err := tx.count(`
		UPDATE organizations
		SET    held_us = $1, held_after_id = (SELECT COALESCE(MAX(d.id), 0) FROM deliveries d WHERE d.organization_id = organizations.id)
		WHERE  id = $2 AND held_us = 0`, tx.now.UnixMicro(), organizationID)
	if err == nil && n == 0 {
		err = fmt.Errorf("which is held already: %w", bugle.ErrConflict)
	}
	if err == nil {
		err = tx.touchLanes(organizationID)
	}
	if err != nil {
		return nil, fmt.Errorf("hold organization %d, %w", organizationID, err)
	}
	o, err := findOrganization(context.Background(), tx.view(), organizationID)
	if err != nil {
		return nil, err
	}
	return o, tx.audit(o.ID, "hold.began", organizationSubject(o))
}

// Release ends a hold. To digest or drop what was held takes steps, during which the organization stays held: see
// StepRelease. Without a hold, or if it is being released already, it returns bugle.ErrConflict.
func (tx *Tx) Release(organizationID int64, how bugle.Release) (*bugle.Organization, error) {
	o, err := findOrganization(context.Background(), tx.view(), organizationID)
	if err != nil {
		return nil, err
	}
	switch {
	case !slices.Contains(bugle.Releases, how):
		return nil, bugle.Invalid("do", "The do field must be deliver, digest or drop, not %q.", how)
	case o.HeldAt.IsZero():
		return nil, fmt.Errorf("release organization %d, which is not held: %w", organizationID, bugle.ErrConflict)
	case o.Releasing != "":
		return nil, fmt.Errorf("release organization %d, which is being released already: %w", organizationID, bugle.ErrConflict)
	case how == bugle.ReleaseDeliver:
		err = tx.endHold(organizationID)
	default:
		err = tx.exec(`
			UPDATE organizations
			SET    release = $1, held_until_id = (SELECT COALESCE(MAX(d.id), 0) FROM deliveries d WHERE d.organization_id = organizations.id)
			WHERE  id = $2`, string(how), organizationID)
		tx.committed.Holds = true
	}
	if err != nil {
		return nil, fmt.Errorf("release organization %d: %w", organizationID, err)
	}
	if err := tx.audit(o.ID, "hold.released", organizationSubject(o), attribute{name: "do", value: string(how)}); err != nil {
		return nil, err
	}
	return findOrganization(context.Background(), tx.view(), organizationID)
}

func (tx *Tx) endHold(organizationID int64) error {
	if err := tx.exec("UPDATE organizations SET held_us = 0, held_after_id = 0, held_until_id = 0, release = '' WHERE id = $1", organizationID); err != nil {
		return err
	}
	return tx.touchLanes(organizationID)
}

// touchLanes lets the delivery engine read all lanes of an organization anew.
func (tx *Tx) touchLanes(organizationID int64) error {
	ids, err := tx.view().ids(context.Background(), "SELECT id FROM webhooks WHERE organization_id = $1", organizationID)
	tx.committed.Webhooks = append(tx.committed.Webhooks, ids...)
	return err
}

// Releasing returns the ids of organizations whose hold is being ended, at most limit.
func (s *Store) Releasing(ctx context.Context, limit int) ([]int64, error) {
	ids, err := s.view().ids(ctx, "SELECT id FROM organizations WHERE release <> '' ORDER BY id LIMIT $1", limit)
	if err != nil {
		return nil, fmt.Errorf("find what is being released: %w", err)
	}
	return ids, nil
}

// releaseStep is how many deliveries are looked at in one transaction, and digestStep how many webhooks get their digest.
var releaseStep, digestStep = 500, 50 // less in tests

// StepRelease does a part of what a release takes, and reports whether the hold is over.
func (s *Store) StepRelease(ctx context.Context, organizationID int64) (over bool, err error) {
	err = s.Update(ctx, func(tx *Tx) (err error) {
		over, err = tx.stepRelease(organizationID)
		return err
	})
	if err != nil {
		return false, fmt.Errorf("release organization %d: %w", organizationID, err)
	}
	return over, nil
}

func (tx *Tx) stepRelease(organizationID int64) (over bool, err error) {
	o, err := findOrganization(context.Background(), tx.view(), organizationID)
	if err != nil || o.Releasing == "" {
		return err == nil, err
	}
	var after, until int64
	if err := tx.one([]any{&after, &until}, "SELECT held_after_id, held_until_id FROM organizations WHERE id = $1", organizationID); err != nil {
		return false, err
	}
	if after < until {
		return false, tx.cancelHeld(o, after, until)
	}
	if n, err := tx.sendDigests(o); err != nil || n == digestStep {
		return false, err
	}
	return true, tx.endHold(organizationID)
}

// cancelHeld cancels some of the deliveries that were held and, for a digest, counts them. A digest is for webhooks: what
// goes to people by channels cannot be summed up, and is sent.
func (tx *Tx) cancelHeld(o *bugle.Organization, after, until int64) error {
	var cancelled []int64
	last, n := until, 0
	counts := map[[2]any][3]int64{} // by webhook and event: how many, the first and the last sequence
	err := tx.each(func(scan func(to ...any) error) error {
		var id, webhook, sequence, state int64
		var event string
		var isHook bool
		if err := scan(&id, &webhook, &sequence, &state, &event, &isHook); err != nil {
			return err
		}
		if n++; n == releaseStep {
			last = id
		}
		if state > stateWaiting || o.Releasing == bugle.ReleaseDigest && !isHook {
			return nil
		}
		cancelled = append(cancelled, id)
		key := [2]any{webhook, event}
		c, counted := counts[key]
		if !counted {
			c[1] = sequence
		}
		counts[key] = [3]int64{c[0] + 1, c[1], sequence}
		return nil
	}, `
		SELECT d.id, d.webhook_id, d.sequence, d.state, e.name, w.id IS NOT NULL AND w.channel = ''
		FROM   deliveries d JOIN events e ON e.id = d.event_id LEFT JOIN webhooks w ON w.id = d.webhook_id
		WHERE  d.organization_id = $1 AND d.id > $2 AND d.id <= $3
		ORDER  BY d.id
		LIMIT  $4`, o.ID, after, until, releaseStep)
	if err != nil {
		return err
	}
	err = tx.exec("UPDATE deliveries SET state = 4, finished_us = $1, cancelled_for = $2 WHERE "+inIDs("id", 3), tx.now.UnixMicro(), o.Releasing.Reason(), idList(cancelled))
	if err != nil {
		return err
	}
	tx.committed.Recorded = append(tx.committed.Recorded, cancelled...)
	if o.Releasing == bugle.ReleaseDigest {
		for key, c := range counts {
			err := tx.exec(`
				INSERT INTO hold_digests (organization_id, webhook_id, event, deliveries, first_sequence, last_sequence)
				VALUES ($1, $2, $3, $4, $5, $6)
				ON CONFLICT (organization_id, webhook_id, event) DO UPDATE
				SET deliveries = hold_digests.deliveries + excluded.deliveries, last_sequence = excluded.last_sequence`,
				o.ID, key[0], key[1], c[0], c[1], c[2])
			if err != nil {
				return err
			}
		}
	}
	moved, err := tx.count("UPDATE organizations SET held_after_id = $1 WHERE id = $2 AND held_after_id = $3", last, o.ID, after)
	if err == nil && moved == 0 {
		err = errors.New("another node does it")
	}
	return err
}

// sendDigests owes some webhooks the summary of what was held, and returns how many. Those that were deleted or disabled
// meanwhile get none.
func (tx *Tx) sendDigests(o *bugle.Organization) (int, error) {
	hooks, err := tx.view().ids(context.Background(),
		"SELECT DISTINCT webhook_id FROM hold_digests WHERE organization_id = $1 ORDER BY webhook_id LIMIT $2", o.ID, digestStep)
	if err != nil {
		return 0, err
	}
	for _, id := range hooks {
		d := bugle.Digest{HeldAt: o.HeldAt, ReleasedAt: tx.now}
		err := tx.each(func(scan func(to ...any) error) error {
			var e bugle.EventsOfName
			var first, last int64
			if err := scan(&e.Name, &e.Count, &first, &last); err != nil {
				return err
			}
			if d.First == 0 || first < d.First {
				d.First = first
			}
			d.Last = max(d.Last, last)
			d.Deliveries += e.Count
			d.Events = append(d.Events, e)
			return nil
		}, "SELECT event, deliveries, first_sequence, last_sequence FROM hold_digests WHERE organization_id = $1 AND webhook_id = $2 ORDER BY event", o.ID, id)
		if err == nil {
			err = tx.exec("DELETE FROM hold_digests WHERE organization_id = $1 AND webhook_id = $2", o.ID, id)
		}
		var there int
		if err == nil {
			err = tx.one([]any{&there}, "SELECT COUNT(*) FROM webhooks WHERE id = $1 AND status <> 'disabled'", id)
		}
		if err != nil {
			return 0, err
		}
		if there == 0 {
			continue
		}
		e := &bugle.Event{OrganizationID: o.ID, Name: bugle.DigestEvent, RequestID: uuid.NewString(), TraceID: uuid.NewString(), CreatedAt: tx.now}
		if e.Envelope, err = d.Envelope(e.CreatedAt, e.RequestID, e.TraceID).JSON(); err == nil {
			_, err = tx.Address(e, id)
		}
		if err != nil {
			return 0, fmt.Errorf("digest for webhook %d: %w", id, err)
		}
	}
	return len(hooks), nil
}
