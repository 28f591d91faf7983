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

// KeeperOptions are how a Keeper works; zero fields take the values named.
type KeeperOptions struct {
	Clock clockwork.Clock // the real one
	Log   *slog.Logger    // none
}

// A Keeper looks after webhooks while Run runs: it tells people of those that fail, and of those that are well again,
// disables what has failed for too long, and does away with what was held.
type Keeper struct {
	store *store.Store
	o     KeeperOptions
	wake  chan struct{}
}

const (
	keepEvery   = 10 * time.Second
	keepAtATime = 500 // webhooks that are read at a time
)

// NewKeeper returns a keeper of the store's webhooks. It is told of holds that end, so that there must be no change to the
// store before.
func NewKeeper(s *store.Store, o KeeperOptions) *Keeper {
	if o.Clock == nil {
		o.Clock = clockwork.NewRealClock()
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	k := &Keeper{store: s, o: o, wake: make(chan struct{}, 1)}
	s.Notify(func(c store.Committed) {
		if c.Holds {
			select {
			case k.wake <- struct{}{}:
			default:
			}
		}
	})
	return k
}

// Run looks after webhooks until ctx is done.
func (k *Keeper) Run(ctx context.Context) {
	for ctx.Err() == nil {
		if err := k.Round(ctx); err != nil && ctx.Err() == nil && !errors.Is(err, store.ErrClosed) {
			k.o.Log.ErrorContext(ctx, "looking after webhooks failed", "error", err)
		}
		timer := k.o.Clock.NewTimer(keepEvery)
		select {
		case <-ctx.Done():
		case <-k.wake:
		case <-timer.Chan():
		}
		timer.Stop()
	}
}

// Round ends the holds that are to be ended, and looks at each webhook that fails, or failed a while ago.
func (k *Keeper) Round(ctx context.Context) error {
	return errors.Join(k.release(ctx), k.watch(ctx))
}

// release works on each organization that is being released until its hold is over.
func (k *Keeper) release(ctx context.Context) error {
	ids, err := k.store.Releasing(ctx, keepAtATime)
	for _, id := range ids {
		for over := false; !over && err == nil && ctx.Err() == nil; {
			over, err = k.store.StepRelease(ctx, id)
		}
		if err == nil && ctx.Err() == nil {
			k.o.Log.InfoContext(ctx, "hold ended", "organization", id)
		}
	}
	return err
}

func (k *Keeper) watch(ctx context.Context) error {
	var failed error
	for above := int64(0); ; {
		ids, err := k.store.Troubled(ctx, above, keepAtATime)
		if err != nil {
			return err
		}
		for _, id := range ids {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			notice, err := k.store.Tell(ctx, id)
			if err != nil {
				failed = err // of one webhook: the others are looked at
			} else if notice != bugle.NoNotice {
				k.o.Log.WarnContext(ctx, "people told of a webhook", "webhook", id, "notice", notice)
			}
		}
		if len(ids) < keepAtATime {
			return failed
		}
		above = ids[len(ids)-1]
	}
}
