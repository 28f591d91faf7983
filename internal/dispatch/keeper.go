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

// A Keeper looks after webhooks while Run runs: it tells people of those that fail, and of those that are well again, and
// disables what has failed for too long.
type Keeper struct {
	store *store.Store
	o     KeeperOptions
}

const (
	keepEvery   = 10 * time.Second
	keepAtATime = 500 // webhooks that are read at a time
)

// NewKeeper returns a keeper of the store's webhooks.
func NewKeeper(s *store.Store, o KeeperOptions) *Keeper {
	if o.Clock == nil {
		o.Clock = clockwork.NewRealClock()
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Keeper{store: s, o: o}
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
		case <-timer.Chan():
		}
		timer.Stop()
	}
}

// Round looks at each webhook that fails, or failed a while ago.
func (k *Keeper) Round(ctx context.Context) error {
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
