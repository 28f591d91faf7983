package delivery

import (
	"context"
	"errors"
	"time"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/internal/store"
)

const (
	loaders       = 2
	envelopeBytes = 32 << 20 // of recent events in memory
	orphanBatch   = 1000
)

// load reads lanes from the table until ctx is done.
func (e *Engine) load(ctx context.Context) {
	for {
		e.mu.Lock()
		if e.toLoad.isEmpty() {
			e.mu.Unlock()
			select {
			case <-ctx.Done():
				return
			case <-e.wakeLoader:
				continue
			}
		}
		l := e.toLoad.take(0)
		if !e.toLoad.isEmpty() {
			signal(e.wakeLoader)
		}
		e.mu.Unlock()
		err := e.loadLane(ctx, l)
		if err != nil {
			if ctx.Err() != nil {
				return
			}
			e.o.Log.ErrorContext(ctx, "lane cannot be read", "webhook", l.id, "error", err)
			if errors.Is(err, store.ErrUnreadable) {
				e.putOff(l)
				continue
			}
			pause(ctx, retryPause)
			e.mu.Lock()
			e.toLoad.add(l)
			signal(e.wakeLoader)
			e.mu.Unlock()
		}
	}
}

// putOff lets a lane alone whose own secrets cannot be read, so that loaders go on with others.
func (e *Engine) putOff(l *lane) {
	e.mu.Lock()
	defer e.mu.Unlock()
	l.loading, l.readAfter = false, e.o.Clock.Now().Add(unreadablePause)
	l.forget()
	e.schedule(l)
}

// loadLane reads the webhook, if it is new or may have changed, and the next deliveries.
func (e *Engine) loadLane(ctx context.Context, l *lane) error {
	e.mu.Lock()
	l.forget() // what was recorded before the read is as the table says
	stale, hook := l.stale, l.hook
	l.stale = false
	if stale {
		l.reset()
	}
	l.arrived = false
	order, id := l.order, l.lastID
	e.mu.Unlock()

	var list []store.NewDelivery
	err := error(nil)
	if stale {
		hook, err = e.store.LaneWebhook(ctx, l.id)
		if errors.Is(err, bugle.ErrNotFound) {
			return e.endLane(ctx, l)
		}
	}
	if err == nil && hook.Status == bugle.Active {
		if list, err = e.store.Due(ctx, l.id, order, id, laneRefill); err == nil {
			err = e.prefetch(ctx, list)
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if err != nil {
		l.stale = l.stale || stale
		return err
	}
	if stale {
		if l.hook == nil {
			l.health = hook.Health
		} else if !hook.UpdatedAt.Equal(l.hook.UpdatedAt) {
			l.holdTo, l.pace.NextAt = time.Time{}, time.Time{} // it may call another receiver now
		}
		l.hook, l.organization = hook, hook.OrganizationID
	}
	l.loading = false
	l.readAt = e.o.Clock.Now()
	l.refill(list)
	l.more = l.more || hook.Status != bugle.Active
	l.forget()
	e.schedule(l)
	signal(e.wakeLoop)
	return nil
}

// prefetch reads the envelopes that a list of deliveries needs, a few at a time.
func (e *Engine) prefetch(ctx context.Context, list []store.NewDelivery) error {
	ids := make([]int64, len(list))
	for i, d := range list {
		ids[i] = d.EventID
	}
	ids = e.envelopes.missing(ids)
	for len(ids) > 0 {
		n := min(len(ids), 64)
		if err := e.store.Payloads(ctx, ids[:n], e.envelopes.reading()); err != nil {
			return err
		}
		ids = ids[n:]
	}
	return nil
}

// endLane cancels what a deleted webhook was owed.
func (e *Engine) endLane(ctx context.Context, l *lane) error {
	for {
		n, err := e.store.CancelOrphans(ctx, l.id, orphanBatch)
		if err != nil {
			e.mu.Lock()
			l.stale = true
			e.mu.Unlock()
			return err
		}
		if n < orphanBatch {
			break
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	l.hook = nil
	l.loading = false
	l.forget()
	if l.arrived { // a retry of it became due meanwhile
		l.stale = true
		e.schedule(l)
		return nil
	}
	e.drop(l)
	return nil
}

// drop forgets a lane. Attempts that are under way are finished.
func (e *Engine) drop(l *lane) {
	if l.inFlight == 0 {
		l.cut()
	}
	delete(e.lanes, l.id)
	delete(e.sleepers, l)
}
