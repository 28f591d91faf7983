package dispatch

import (
	"context"
	"time"

	"github.com/buglehq/bugle/internal/store"
)

// NewReplayer returns what works on the store's replays. It is told of new ones at once, so that there must be no change
// to the store before.
func NewReplayer(s *store.Store, o StepperOptions) *Stepper { return newStepper(s, replays{s}, o) }

type replays struct{ store *store.Store }

func (replays) name() string { return "replay" }

func (replays) asked(c store.Committed) bool { return c.Replays }

func (r replays) claim(ctx context.Context, worker string, lease time.Duration) (job, error) {
	one, err := r.store.ClaimReplay(ctx, worker, lease)
	if err != nil || one == nil {
		return nil, err
	}
	return &replay{one, r.store}, nil
}

func (r replays) release(ctx context.Context, worker string) error {
	return r.store.ReleaseReplays(ctx, worker)
}

type replay struct {
	*store.Replay
	store *store.Store
}

func (r *replay) id() int64 { return r.ID }

func (r *replay) step(ctx context.Context, worker string) error {
	return r.store.StepReplay(ctx, r.Replay, worker)
}

func (r *replay) progress() (waits, ended bool) { return false, r.Ended() }

func (r *replay) fail(ctx context.Context) error {
	return r.store.FailReplay(ctx, r.Replay, "The database failed several times; the server's log says how. Start it again to go on.")
}

func (r *replay) facts() []any {
	return []any{"replay", r.ID, "organization", r.OrganizationID, "state", r.State, "redelivered", r.Redelivered, "added", r.Added, "skipped", r.Skipped}
}
