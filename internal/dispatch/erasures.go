package dispatch

import (
	"context"
	"time"

	"github.com/buglehq/bugle/internal/store"
)

// NewEraser returns what takes people out of what is stored. It is told of new erasures at once, so that there must be no change
// to the store before.
func NewEraser(s *store.Store, o StepperOptions) *Stepper { return newStepper(s, erasures{s}, o) }

type erasures struct{ store *store.Store }

func (erasures) name() string { return "erasure" }

func (erasures) asked(c store.Committed) bool { return c.Erasures }

func (e erasures) claim(ctx context.Context, worker string, lease time.Duration) (job, error) {
	one, err := e.store.ClaimErasure(ctx, worker, lease)
	if err != nil || one == nil {
		return nil, err
	}
	return &erasure{one, e.store}, nil
}

func (e erasures) release(ctx context.Context, worker string) error {
	return e.store.ReleaseErasures(ctx, worker)
}

type erasure struct {
	*store.Erasure
	store *store.Store
}

func (e *erasure) id() int64 { return e.ID }

func (e *erasure) step(ctx context.Context, worker string) error {
	return e.store.StepErasure(ctx, e.Erasure, worker)
}

func (e *erasure) progress() (waits, ended bool) { return !e.WaitsUntil.IsZero(), e.Ended() }

func (e *erasure) fail(ctx context.Context) error {
	return e.store.FailErasure(ctx, e.Erasure, "It failed several times; the server's log says how. Start it again to go on.")
}

func (e *erasure) facts() []any {
	return []any{"erasure", e.ID, "organization", e.OrganizationID, "user", e.UserID, "state", e.State, "looked", e.Looked, "changed", e.Changed}
}
