package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/internal/store"
	"github.com/buglehq/bugle/personnel"
	"github.com/buglehq/bugle/value"
)

// latency makes 50 changes a second and returns the times until they arrived, in milliseconds, the shortest first.
func (b *bench) latency(ctx context.Context) (took []float64, err error) {
	const pause = 20 * time.Millisecond
	n := int(b.Calm / pause)
	bar := newBar(b.stderr, n, "latency")
	defer bar.Finish()
	b.mu.Lock()
	b.latencies = nil
	b.mu.Unlock()
	ticker := time.NewTicker(pause)
	defer ticker.Stop()
	for range n {
		err := b.db.Update(ctx, func(tx *store.Tx) error {
			_, err := tx.Update(b.actor(), &personnel.Calendar, 1, value.Map("description", stamp+strconv.FormatInt(time.Now().UnixNano(), 10)))
			return err
		})
		if err != nil {
			return nil, err
		}
		bar.Add(1)
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
	give := time.Now().Add(10 * time.Second)
	for {
		b.mu.Lock()
		arrived := slices.Clone(b.latencies)
		b.mu.Unlock()
		if len(arrived) == 3*n {
			slices.Sort(arrived)
			return arrived, nil
		}
		if time.Now().After(give) {
			return nil, fmt.Errorf("only %d of %d deliveries arrived within 10 s", len(arrived), 3*n)
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// hang makes webhooks whose receiver never answers, with deliveries that wait, and lets them go.
func (b *bench) hang(ctx context.Context) error {
	var ids []int64
	err := b.db.Update(ctx, func(tx *store.Tx) error {
		for i := range b.Hang {
			id, err := b.addWebhook(tx, "hang", "/hang/"+strconv.Itoa(i), "message.created", bugle.Paused)
			if err != nil {
				return err
			}
			ids = append(ids, id)
		}
		return nil
	})
	if err != nil {
		return err
	}
	bar := newBar(b.stderr, b.Waiting, "hang")
	err = each(ctx, b.Waiting, 16, func(ctx context.Context, i int) error {
		defer bar.Add(1)
		return b.db.Update(ctx, func(tx *store.Tx) error {
			_, err := tx.Create(b.actor(), &personnel.Message, value.Map("message", "hello", "channels", "mail"))
			return err
		})
	})
	if err != nil {
		return err
	}
	return activate(ctx, b.db, ids)
}

// activate lets what waits for paused webhooks go.
func activate(ctx context.Context, db *store.Store, ids []int64) error {
	return db.Update(ctx, func(tx *store.Tx) error {
		for _, id := range ids {
			w, err := tx.Webhook(1, id)
			if err != nil {
				return err
			}
			w.Status = bugle.Active
			if err := tx.SaveWebhook(w); err != nil {
				return err
			}
		}
		return nil
	})
}
