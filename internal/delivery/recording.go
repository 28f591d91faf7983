package delivery

import (
	"context"
	"errors"
	"time"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/internal/store"
)

const (
	recordDelay   = 5 * time.Millisecond  // how long the first result waits for others
	recordRush    = 32                    // if more than this came meanwhile, they wait for more still:
	recordLonger  = 25 * time.Millisecond // every commit writes the same pages of the lanes anew
	recordBatch   = 512
	maxUnrecorded = 4096 // results in memory; beyond that workers wait
)

// record writes results until the engine has stopped and there are none left, or ctx is done.
func (e *Engine) record(ctx context.Context) {
	for {
		e.mu.Lock()
		n, stopping := len(e.results), e.stopping && len(e.workers) == 0
		e.mu.Unlock()
		if n == 0 {
			if stopping {
				return
			}
			<-e.wakeRecord
			continue
		}
		if n < recordBatch && !stopping {
			e.gather()
		}
		e.mu.Lock()
		batch := e.results
		e.results = nil
		e.recording, e.unrecorded = len(batch), e.arrived
		health := map[int64]bugle.Health{}
		for i := range batch {
			if l := e.lanes[batch[i].WebhookID]; l != nil {
				health[l.id] = l.health
			}
		}
		e.mu.Unlock()
		for {
			err := e.store.Record(context.WithoutCancel(ctx), batch, health)
			if err == nil {
				break
			}
			e.o.Log.ErrorContext(ctx, "results of attempts cannot be written", "attempts", len(batch), "error", err)
			if ctx.Err() != nil || errors.Is(err, store.ErrClosed) {
				e.abandon() // the deliveries are still due, and are sent again after the next start
				return
			}
			pause(ctx, retryPause)
		}
		e.recorded(batch)
	}
}

// gather lets more results arrive, for a moment.
func (e *Engine) gather() {
	delay := recordDelay
	timer := time.NewTimer(delay)
	defer timer.Stop()
	for {
		over := false
		select {
		case <-timer.C:
			over = true
		case <-e.wakeRecord:
		}
		e.mu.Lock()
		n, stopping := len(e.results), e.stopping
		e.mu.Unlock()
		switch {
		case n >= recordBatch || stopping || over && (n <= recordRush || delay == recordLonger):
			return
		case over:
			delay = recordLonger
			timer.Reset(recordLonger - recordDelay)
		}
	}
}

// abandon gives up the results that cannot be written. Nothing more is sent, since that could not be
// written either.
func (e *Engine) abandon() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.results, e.recording, e.stopping = nil, 0, true
	e.idle.Broadcast()
}

func (e *Engine) recorded(batch []store.Result) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.recording = 0
	defer func() {
		if len(e.leaving) > 0 {
			signal(e.wakeLease)
		}
	}()
	for i := range batch {
		r := &batch[i]
		l := e.lanes[r.WebhookID]
		if l != nil {
			if l.recorded(r.DeliveryID); l.stale {
				e.schedule(l)
			}
		}
		switch {
		case r.Outcome.State != bugle.Pending:
		case !r.Ordered:
			e.retryAt(r.Outcome.NextAt)
			signal(e.wakeLoop)
		case l != nil:
			l.inFlight--
			l.stale = true
			e.schedule(l)
		}
	}
	e.idle.Broadcast()
}
