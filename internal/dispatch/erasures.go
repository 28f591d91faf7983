package dispatch

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/jonboulle/clockwork"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/internal/store"
)

// EraserOptions are how an Eraser works; zero fields take the values named.
type EraserOptions struct {
	Clock clockwork.Clock // the real one
	Log   *slog.Logger    // none
}

// An Eraser takes people out of what is stored while Run runs: those whose erasure was asked for here, and those that an earlier
// run, or another node that has died, has left.
type Eraser struct {
	store  *store.Store
	o      EraserOptions
	worker string
	wake   chan struct{}
	failed map[int64]int // steps that failed one after the other
}

const (
	eraseLease  = 30 * time.Second // how long an erasure stays with a node that has died
	eraseSteps  = 10               // of one erasure before others have their turn
	erasePause  = time.Millisecond // between two steps, so that other changes have theirs
	eraseAnyway = 5 * time.Second  // how long Run waits without looking
	eraseTries  = 5                // steps that fail one after the other before an erasure is given up
)

// NewEraser returns an eraser for the store's erasures. It is told of new ones at once, so that there must be no change to the
// store before.
func NewEraser(s *store.Store, o EraserOptions) *Eraser {
	if o.Clock == nil {
		o.Clock = clockwork.NewRealClock()
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	e := &Eraser{store: s, o: o, worker: bugle.RandomText(16), wake: make(chan struct{}, 1), failed: map[int64]int{}}
	s.Notify(func(c store.Committed) {
		if c.Erasures {
			select {
			case e.wake <- struct{}{}:
			default:
			}
		}
	})
	return e
}

// Run works on erasures until ctx is done; a step under way is finished, and what is not done is left to others.
func (e *Eraser) Run(ctx context.Context) {
	for ctx.Err() == nil {
		found, err := e.Round(ctx)
		switch {
		case ctx.Err() != nil || errors.Is(err, store.ErrClosed):
			continue
		case err != nil:
			e.o.Log.ErrorContext(ctx, "erasure step failed", "error", err)
		case found:
			continue
		}
		timer := e.o.Clock.NewTimer(eraseAnyway)
		select {
		case <-ctx.Done():
		case <-e.wake:
		case <-timer.Chan():
		}
		timer.Stop()
	}
	if err := e.store.ReleaseErasures(context.WithoutCancel(ctx), e.worker); err != nil {
		e.o.Log.ErrorContext(ctx, "erasures cannot be released; others wait for the lease", "error", err)
	}
}

// Round does some steps of the erasure that has waited longest, and reports whether there was one.
func (e *Eraser) Round(ctx context.Context) (found bool, err error) {
	one, err := e.store.ClaimErasure(ctx, e.worker, eraseLease)
	if err != nil || one == nil {
		return false, err
	}
	for range eraseSteps {
		phase := one.Phase
		if err := e.store.StepErasure(ctx, one, e.worker); err != nil {
			return true, e.stumble(ctx, one, err)
		}
		delete(e.failed, one.ID)
		if one.Ended() {
			e.o.Log.InfoContext(ctx, "erasure ended", "erasure", one.ID, "organization", one.OrganizationID, "user", one.UserID, "state", one.State,
				"looked", one.Looked, "changed", one.Changed)
			break
		}
		if one.Phase != phase { // which may have to wait
			break
		}
		timer := time.NewTimer(erasePause) // of the machine, not of the server's clock
		select {
		case <-ctx.Done():
			timer.Stop()
			return true, nil
		case <-timer.C:
		}
	}
	return true, nil
}

// stumble counts a step that failed, and gives the erasure up after some.
func (e *Eraser) stumble(ctx context.Context, one *store.Erasure, err error) error {
	if ctx.Err() != nil || errors.Is(err, store.ErrClosed) {
		return err
	}
	if e.failed[one.ID]++; e.failed[one.ID] < eraseTries {
		return err
	}
	delete(e.failed, one.ID)
	return errors.Join(err, e.store.FailErasure(ctx, one, "It failed several times; the server's log says how. Start it again to go on."))
}
