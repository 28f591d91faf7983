// Package retention deletes what organizations do not want to keep any longer, beside the server's other work.
package retention

import (
	"context"
	"log/slog"
	"time"

	"github.com/jonboulle/clockwork"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/internal/store"
)

// Options are how a Cleaner works; zero fields take the values named.
type Options struct {
	Clock    clockwork.Clock  // the real one
	Log      *slog.Logger     // none
	Defaults *bugle.Retention // bugle.DefaultRetention: what holds where an organization has not decided
	Every    time.Duration    // an hour: how long from one time to the next, and how long what has ended is kept in any case
}

// A Cleaner deletes old rows while Run runs.
type Cleaner struct {
	store *store.Store
	o     Options
	sweep *store.Sweep
	full  time.Time // when a sweep last looked at everything
}

const (
	fullEvery = 24 * time.Hour
	failPause = time.Minute // after an error of the database

	// Between steps that change something others get the database for at least shortPause, and for restShare times as
	// long as the step took.
	shortPause = 10 * time.Millisecond
	restShare  = 4
)

// New returns a Cleaner of the store.
func New(s *store.Store, o Options) *Cleaner {
	if o.Clock == nil {
		o.Clock = clockwork.NewRealClock()
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Defaults == nil {
		o.Defaults = &bugle.DefaultRetention
	}
	if o.Every == 0 {
		o.Every = time.Hour
	}
	sweep := s.NewSweep(*o.Defaults)
	sweep.KeepAnyway = o.Every
	return &Cleaner{store: s, o: o, sweep: sweep}
}

// Run deletes what is old at once and then as often as Options say, until ctx is done; a step under way is finished. Of several
// servers on one database one does it at a time.
func (c *Cleaner) Run(ctx context.Context) {
	for ctx.Err() == nil {
		wait := c.o.Every
		if _, err := c.store.Alone(ctx, "retention", c.Clean); err != nil && ctx.Err() == nil {
			c.o.Log.ErrorContext(ctx, "deleting old rows failed", "error", err)
			wait = failPause
		}
		c.pause(ctx, wait)
	}
}

func (c *Cleaner) pause(ctx context.Context, d time.Duration) {
	timer := c.o.Clock.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.Chan():
	}
}

// Clean deletes everything that is old now, in small steps with pauses between them, and then gives back the space.
func (c *Cleaner) Clean(ctx context.Context) error {
	began := c.o.Clock.Now()
	full := began.Sub(c.full) >= fullEvery
	c.sweep.Begin(full)
	err := c.steps(ctx, func() (changed, more bool, err error) {
		n, more, err := c.sweep.Step(ctx)
		return n > 0, more, err
	})
	if r := c.sweep.Removed; r.Total() > 0 {
		c.o.Log.InfoContext(ctx, "old rows deleted", "attempts", r.Attempts, "deliveries", r.Deliveries, "events", r.Events, "runs", r.Runs,
			"sendings", r.Sendings, "took", c.o.Clock.Now().Sub(began))
	}
	if err != nil {
		return err
	}
	if full && ctx.Err() == nil {
		c.full = began
	}
	return c.steps(ctx, func() (changed, more bool, err error) {
		more, err = c.store.GiveBack(ctx)
		return more, more, err
	})
}

// steps makes steps until there are no more, or ctx is done.
func (c *Cleaner) steps(ctx context.Context, step func() (changed, more bool, err error)) error {
	for more := true; more && ctx.Err() == nil; {
		began := c.o.Clock.Now()
		var changed bool
		var err error
		if changed, more, err = step(); err != nil {
			return err
		}
		if changed {
			c.pause(ctx, max(shortPause, restShare*c.o.Clock.Now().Sub(began)))
		}
	}
	return nil
}
