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

// StepperOptions are how a Stepper works; zero fields take the values named.
type StepperOptions struct {
	Clock clockwork.Clock // the real one
	Log   *slog.Logger    // none
}

// A Stepper works on one sort of long jobs, a step after the other, while Run runs: on those that were asked for here, those that
// an earlier run left, and those of another node that has died.
type Stepper struct {
	jobs   jobs
	o      StepperOptions
	worker string
	wake   chan struct{}
	failed map[int64]int // steps of a job that failed one after the other
}

// jobs are those of one sort, in the store.
type jobs interface {
	name() string // of the sort, in the log

	// claim takes the job that has waited longest for the worker, until the lease is over; nil: there is none.
	claim(ctx context.Context, worker string, lease time.Duration) (job, error)
	// release leaves to others what the worker has taken.
	release(ctx context.Context, worker string) error
	// asked reports whether a commit has added a job.
	asked(c store.Committed) bool
}

// A job is one that a worker has taken.
type job interface {
	id() int64
	step(ctx context.Context, worker string) error
	progress() (waits, ended bool)  // waits: it is not to go on before it is claimed again
	fail(ctx context.Context) error // gives it up
	facts() []any                   // for the log, when it has ended
}

const (
	jobLease  = 30 * time.Second // how long a job stays with a node that has died
	jobSteps  = 10               // of one job before others have their turn
	jobPause  = time.Millisecond // between two steps, so that other changes have theirs
	jobAnyway = 5 * time.Second  // how long Run waits without looking
	jobTries  = 5                // steps that fail one after the other before a job is given up
)

func newStepper(s *store.Store, j jobs, o StepperOptions) *Stepper {
	if o.Clock == nil {
		o.Clock = clockwork.NewRealClock()
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	w := &Stepper{jobs: j, o: o, worker: bugle.RandomText(16), wake: make(chan struct{}, 1), failed: map[int64]int{}}
	s.Notify(func(c store.Committed) {
		if j.asked(c) {
			select {
			case w.wake <- struct{}{}:
			default:
			}
		}
	})
	return w
}

// Run works on jobs until ctx is done; a step under way is finished, and what is not done is left to others.
func (w *Stepper) Run(ctx context.Context) {
	for ctx.Err() == nil {
		found, err := w.Round(ctx)
		wait := jobAnyway
		switch {
		case ctx.Err() != nil || errors.Is(err, store.ErrClosed):
			continue
		case err != nil:
			w.o.Log.ErrorContext(ctx, w.jobs.name()+" step failed", "error", err)
			wait = sendPause
		case found:
			continue
		}
		timer := w.o.Clock.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-w.wake:
		case <-timer.Chan():
		}
		timer.Stop()
	}
	if err := w.jobs.release(context.WithoutCancel(ctx), w.worker); err != nil {
		w.o.Log.ErrorContext(ctx, w.jobs.name()+"s cannot be released; others wait for the lease", "error", err)
	}
}

// Round does some steps of the job that has waited longest, and reports whether there was one.
func (w *Stepper) Round(ctx context.Context) (found bool, err error) {
	one, err := w.jobs.claim(ctx, w.worker, jobLease)
	if err != nil || one == nil {
		return false, err
	}
	for range jobSteps {
		if err := one.step(ctx, w.worker); err != nil {
			return true, w.stumble(ctx, one, err)
		}
		delete(w.failed, one.id())
		waits, ended := one.progress()
		if ended {
			w.o.Log.InfoContext(ctx, w.jobs.name()+" ended", one.facts()...)
			break
		}
		if waits {
			break
		}
		timer := time.NewTimer(jobPause) // of the machine, not of the server's clock
		select {
		case <-ctx.Done():
			timer.Stop()
			return true, nil
		case <-timer.C:
		}
	}
	return true, nil
}

// stumble counts a step that failed, and gives the job up after some.
func (w *Stepper) stumble(ctx context.Context, one job, err error) error {
	if ctx.Err() != nil || errors.Is(err, store.ErrClosed) {
		return err
	}
	if w.failed[one.id()]++; w.failed[one.id()] < jobTries {
		return err
	}
	delete(w.failed, one.id())
	return errors.Join(err, one.fail(ctx))
}
