package store

import (
	"context"
	"fmt"
	"time"

	"github.com/buglehq/bugle"
)

// A Feed is a part of what a webhook was to get, in the order of its sequence.
type Feed struct {
	Webhook *bugle.Webhook // whose feed it is
	Items   []FeedItem
	Next    int64 // the sequence that the next part comes after
	More    bool  // there is a next part already

	First   int64 // the lowest sequence that is still there; 0: none is
	Last    int64 // the highest that was given out
	Removed int64 // of the sequences that the part covers, how many are not there any more
}

// A FeedItem is one delivery of a webhook with what its field policy is applied to.
type FeedItem struct {
	DeliveryID int64
	Sequence   int64
	Event      string
	State      bugle.DeliveryState
	CreatedAt  time.Time
	Payload    bugle.Payload
}

// maxFeedBytes is how large the envelopes of a part may be together; one of any size is always let through.
var maxFeedBytes = 4 << 20 // less in tests

// Feed returns what a webhook of the organization was to get after a sequence, whatever became of it, at most limit
// deliveries. Without the webhook it returns bugle.ErrNotFound.
func (s *Store) Feed(ctx context.Context, organizationID, webhookID, after int64, limit int) (*Feed, error) {
	c := s.view()
	f := &Feed{Next: after}
	var err error
	if f.Webhook, err = s.Webhook(ctx, organizationID, webhookID); err != nil {
		return nil, fmt.Errorf("feed of webhook %d: %w", webhookID, err)
	}
	// First what was given out, and then what is there: what comes between belongs to the next part.
	err = c.one(ctx, []any{&f.Last}, `
		SELECT l.last_sequence FROM lanes l JOIN webhooks w ON w.id = l.webhook_id
		WHERE  w.id = $1 AND w.organization_id = $2 AND w.channel = ''`, webhookID, organizationID)
	if err == nil {
		err = c.one(ctx, []any{&f.First}, "SELECT COALESCE(MIN(sequence), 0) FROM deliveries WHERE webhook_id = $1", webhookID)
	}
	if err != nil {
		return nil, fmt.Errorf("feed of webhook %d: %w", webhookID, err)
	}
	keys := make([]FeedItem, 0, min(limit, 100))
	size := 0
	err = c.each(ctx, func(scan func(to ...any) error) error {
		var item FeedItem
		var length int
		if err := scan(&item.Sequence, &length); err != nil {
			return err
		}
		if size += length; size <= maxFeedBytes || len(keys) == 0 {
			keys = append(keys, item)
		} else {
			f.More = true
		}
		return nil
	}, `
		SELECT d.sequence, LENGTH(e.envelope)
		FROM   deliveries d JOIN events e ON e.id = d.event_id
		WHERE  d.webhook_id = $1 AND d.sequence > $2 AND d.sequence <= $3
		ORDER  BY d.sequence
		LIMIT  $4`, webhookID, after, f.Last, limit)
	if err == nil && len(keys) > 0 {
		err = f.read(ctx, c, webhookID, after, keys[len(keys)-1].Sequence)
	}
	if err != nil {
		return nil, fmt.Errorf("feed of webhook %d: %w", webhookID, err)
	}
	switch {
	case len(f.Items) > 0:
		f.Next = f.Items[len(f.Items)-1].Sequence
		f.More = f.More || len(f.Items) == limit && f.Next < f.Last
	default:
		f.Next = max(after, f.Last) // what there was is gone
	}
	f.Removed = f.Next - after - int64(len(f.Items))
	return f, nil
}

// read reads the deliveries above a sequence up to another.
func (f *Feed) read(ctx context.Context, c conn, webhookID, after, to int64) error {
	return c.each(ctx, func(scan func(to ...any) error) error {
		var item FeedItem
		var state int
		var created int64
		if err := scan(&item.DeliveryID, &item.Sequence, &item.Event, &state, &created, &item.Payload.Text, &item.Payload.Rendered); err != nil {
			return err
		}
		item.State, item.CreatedAt = deliveryState(state), fromMicroseconds(created)
		f.Items = append(f.Items, item)
		return nil
	}, `
		SELECT d.id, d.sequence, e.name, d.state, d.created_us, e.envelope, e.rendered
		FROM   deliveries d JOIN events e ON e.id = d.event_id
		WHERE  d.webhook_id = $1 AND d.sequence > $2 AND d.sequence <= $3
		ORDER  BY d.sequence`, webhookID, after, to)
}
