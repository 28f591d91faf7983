package store

import (
	"cmp"
	"slices"

	"github.com/buglehq/bugle"
)

// Where nodes share the database, a result may come late: its node was stopped or cut off, its lease ended, and another
// node has had the lane since. What the attempt was is logged, and a delivery that arrived has arrived; when it is to be
// sent again, its present node says.

// number gives results the numbers of their attempts, and takes out those that are recorded already, because a commit
// was done although the connection was cut, and those whose delivery was deleted. Late are the results that are not this
// node's any more, and those of deliveries that are not as the node knew them.
func (tx *Tx) number(list []Result) (own, late []Result, err error) {
	type row struct {
		attempts, state int64
		lastStarted     int64 // of the last attempt; 0: there was none
	}
	ids := make([]int64, len(list))
	for i := range list {
		ids[i] = list[i].DeliveryID
	}
	rows := make(map[int64]row, len(list))
	err = tx.each(func(scan func(to ...any) error) error {
		var id int64
		var r row
		err := scan(&id, &r.attempts, &r.state, &r.lastStarted)
		rows[id] = r
		return err
	}, `
		SELECT d.id, d.attempts, d.state, COALESCE((SELECT a.started_us FROM attempts a WHERE a.delivery_id = d.id AND a.number = d.attempts), 0)
		FROM   deliveries d
		WHERE  `+inIDs("d.id", 1), idList(ids))
	if err != nil {
		return nil, nil, err
	}
	own = make([]Result, 0, len(list))
	for _, r := range list {
		d, found := rows[r.DeliveryID]
		isRecorded := int64(r.Attempt.Number) <= d.attempts && d.lastStarted == r.Attempt.StartedAt.UnixMicro()
		if !found || isRecorded {
			continue
		}
		number := int(d.attempts) + 1
		isExpected := r.Attempt.Number == number && (d.state == stateDue || d.state == stateCancelled)
		if r.Attempt.Number != number {
			a := *r.Attempt
			a.Number, r.Attempt = number, &a
		}
		d.attempts, d.lastStarted = d.attempts+1, r.Attempt.StartedAt.UnixMicro()
		rows[r.DeliveryID] = d
		if isExpected && tx.w.store.Owns(r.WebhookID) {
			own = append(own, r)
		} else {
			late = append(late, r)
		}
	}
	return own, late, nil
}

// recordLate logs late attempts.
func (tx *Tx) recordLate(list []Result) error {
	if len(list) == 0 {
		return nil
	}
	if err := tx.insertAttempts(list); err != nil {
		return err
	}
	slices.SortFunc(list, func(a, b Result) int { return cmp.Compare(a.DeliveryID, b.DeliveryID) })
	for i := range list {
		r := &list[i]
		if err := tx.exec("UPDATE deliveries SET attempts = attempts + 1 WHERE id = $1", r.DeliveryID); err != nil {
			return err
		}
		if r.Outcome.State == bugle.Delivered {
			err := tx.exec("UPDATE deliveries SET state = 2, finished_us = $1 WHERE id = $2 AND state <> 2", tx.now.UnixMicro(), r.DeliveryID)
			if err != nil {
				return err
			}
		}
		tx.committed.Recorded = append(tx.committed.Recorded, r.DeliveryID)
		tx.committed.Webhooks = append(tx.committed.Webhooks, r.WebhookID) // whoever has the lane reads it anew
	}
	return nil
}
