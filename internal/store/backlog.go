package store

import (
	"context"
	"fmt"
	"time"
)

// Waiting is what a webhook is owed.
type Waiting struct {
	Due       int       // to be sent at once; those that a paused webhook holds are among them
	Retrying  int       // that wait for another attempt
	OldestDue time.Time // since when the first in the lane waits; zero if none does
	NextRetry time.Time // zero if none waits for one
	Capped    bool      // there are more than MaxBacklog of one or of both
}

// MaxBacklog is how far what waits is counted.
const MaxBacklog = 10000

// Backlog returns what those of the webhooks that are the organization's are owed, zero if nothing.
func (s *Store) Backlog(ctx context.Context, organizationID int64, webhookIDs []int64) (map[int64]Waiting, error) {
	all := make(map[int64]Waiting, len(webhookIDs))
	err := s.view().each(ctx, func(scan func(to ...any) error) error {
		var id, oldest, next int64
		var w Waiting
		err := scan(&id, &w.Due, &w.Retrying, &oldest, &next)
		w.OldestDue, w.NextRetry = fromMicroseconds(oldest), fromMicroseconds(next)
		w.Capped = w.Due > MaxBacklog || w.Retrying > MaxBacklog
		w.Due, w.Retrying = min(w.Due, MaxBacklog), min(w.Retrying, MaxBacklog)
		all[id] = w
		return err
	}, fmt.Sprintf(`
		SELECT w.id,
		       (SELECT COUNT(*) FROM (SELECT 1 FROM deliveries WHERE state = 0 AND webhook_id = w.id LIMIT %[1]d) AS due),
		       (SELECT COUNT(*) FROM (SELECT 1 FROM deliveries WHERE state = 1 AND webhook_id = w.id LIMIT %[1]d) AS retrying),
		       COALESCE((SELECT next_attempt_us FROM deliveries WHERE state = 0 AND webhook_id = w.id ORDER BY order_us, id LIMIT 1), 0),
		       COALESCE((SELECT next_attempt_us FROM deliveries WHERE state = 1 AND webhook_id = w.id ORDER BY next_attempt_us LIMIT 1), 0)
		FROM   webhooks w
		WHERE  w.organization_id = $1 AND %[2]s`, MaxBacklog+1, inIDs("w.id", 2)), organizationID, idList(webhookIDs))
	if err != nil {
		return nil, fmt.Errorf("count what waits: %w", err)
	}
	return all, nil
}
