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

// ReplayerOptions are how a Replayer works; zero fields take the values named.
type ReplayerOptions struct {
	Clock clockwork.Clock // the real one
	Log   *slog.Logger    // none
}

// A Replayer works on replays while Run runs: those that were asked for here, those that an earlier run left, and those of
// another node that has died.
type Replayer struct {
	store  *store.Store
	o      ReplayerOptions
	worker string
	wake   chan struct{}
	failed map[int64]int // steps of a replay that failed one after the other
}

const (
	replayLease  = 30 * time.Second // how long a replay stays with a node that has died
	replaySteps  = 10               // of one replay before others have their turn
	replayPause  = time.Millisecond // between two steps, so that other changes have theirs
	replayAnyway = 5 * time.Second  // how long Run waits without looking
	replayTries  = 5                // steps that fail one after the other before a replay is given up
)

// NewReplayer returns a replayer for the store's replays. It is told of new ones at once, so that there must be no change
// to the store before.
func NewReplayer(s *store.Store, o ReplayerOptions) *Replayer {
	if o.Clock == nil {
		o.Clock = clockwork.NewRealClock()
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	r := &Replayer{store: s, o: o, worker: bugle.RandomText(16), wake: make(chan struct{}, 1), failed: map[int64]int{}}
	s.Notify(func(c store.Committed) {
		if c.Replays {
			select {
			case r.wake <- struct{}{}:
			default:
			}
		}
	})
	return r
}

// Run works on replays until ctx is done; a step under way is finished, and what is not done is left to others.
func (r *Replayer) Run(ctx context.Context) {
	for ctx.Err() == nil {
		found, err := r.Round(ctx)
		wait := replayAnyway
		switch {
		case ctx.Err() != nil || errors.Is(err, store.ErrClosed):
			continue
		case err != nil:
			r.o.Log.ErrorContext(ctx, "replay step failed", "error", err)
			wait = sendPause
		case found:
			continue
		}
		timer := r.o.Clock.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-r.wake:
		case <-timer.Chan():
		}
		timer.Stop()
	}
	if err := r.store.ReleaseReplays(context.WithoutCancel(ctx), r.worker); err != nil {
		r.o.Log.ErrorContext(ctx, "replays cannot be released; others wait for the lease", "error", err)
	}
}

// Round does some steps of the replay that has waited longest, and reports whether there was one.
func (r *Replayer) Round(ctx context.Context) (found bool, err error) {
	one, err := r.store.ClaimReplay(ctx, r.worker, replayLease)
	if err != nil || one == nil {
		return false, err
	}
	for range replaySteps {
		if err := r.store.StepReplay(ctx, one, r.worker); err != nil {
			return true, r.stumble(ctx, one, err)
		}
		delete(r.failed, one.ID)
		if one.Ended() {
			r.o.Log.InfoContext(ctx, "replay ended", "replay", one.ID, "organization", one.OrganizationID, "state", one.State,
				"redelivered", one.Redelivered, "added", one.Added, "skipped", one.Skipped)
			break
		}
		timer := time.NewTimer(replayPause) // of the machine, not of the server's clock
		select {
		case <-ctx.Done():
			timer.Stop()
			return true, nil
		case <-timer.C:
		}
	}
	return true, nil
}

// stumble counts a step that failed, and gives the replay up after some.
func (r *Replayer) stumble(ctx context.Context, one *store.Replay, err error) error {
	if ctx.Err() != nil || errors.Is(err, store.ErrClosed) {
		return err
	}
	if r.failed[one.ID]++; r.failed[one.ID] < replayTries {
		return err
	}
	delete(r.failed, one.ID)
	return errors.Join(err, r.store.FailReplay(ctx, one, "The database failed several times; the server's log says how. Start it again to go on."))
}
