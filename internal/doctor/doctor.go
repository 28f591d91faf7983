// Package doctor proves again and again, beside the server's other work, that nothing is lost.
package doctor

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/jonboulle/clockwork"

	"github.com/buglehq/bugle/internal/store"
)

// Options are how a Doctor works; zero fields take the values named.
type Options struct {
	Clock clockwork.Clock // the real one
	Log   *slog.Logger    // none
	Every time.Duration   // an hour: from the end of one proof to the start of the next
}

// A Doctor walks through the store while Run runs, and keeps what it has found.
type Doctor struct {
	store *store.Store
	o     Options

	mu   sync.Mutex
	last *store.Proof
	err  error
}

// restShare is for how many times as long as a statement took the database is left alone after it.
const restShare = 9

// New returns a Doctor of the store.
func New(s *store.Store, o Options) *Doctor {
	if o.Clock == nil {
		o.Clock = clockwork.NewRealClock()
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Every == 0 {
		o.Every = time.Hour
	}
	return &Doctor{store: s, o: o}
}

// Last returns what the last proof has shown, nil before the first; and the error if the last try ended with one, such
// as that the database could not be read. Of several servers on one database each knows only of its own.
func (d *Doctor) Last() (*store.Proof, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.last, d.err
}

// Run proves once, and again after each Options.Every, until ctx is done. Of several servers on one database one does it
// at a time.
func (d *Doctor) Run(ctx context.Context) {
	for ctx.Err() == nil {
		if _, err := d.store.Alone(ctx, "doctor", d.Examine); err != nil && ctx.Err() == nil {
			d.o.Log.ErrorContext(ctx, "proving that nothing is lost failed", "error", err)
		}
		d.pause(ctx, d.o.Every)
	}
}

func (d *Doctor) pause(ctx context.Context, length time.Duration) {
	timer := d.o.Clock.NewTimer(length)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.Chan():
	}
}

// Examine walks through the store once, slowly, and logs what is broken as an error.
func (d *Doctor) Examine(ctx context.Context) error {
	proof, err := d.store.Prove(ctx, func(took time.Duration) {
		select {
		case <-ctx.Done():
		case <-time.After(restShare * took): // what took real time leaves real time to others
		}
	})
	if ctx.Err() != nil {
		return ctx.Err()
	}
	d.mu.Lock()
	d.err = err
	if err == nil {
		d.last = proof
	}
	d.mu.Unlock()
	if err != nil {
		return err
	}
	if proof.Broken > 0 {
		first := proof.Faults[0]
		d.o.Log.ErrorContext(ctx, "the database is broken: see bugle doctor --prove", "faults", proof.Broken, "check", first.Check, "id", first.ID, "fault", first.Text)
		return nil
	}
	d.o.Log.DebugContext(ctx, "nothing is lost", "events", proof.Events, "deliveries", proof.Deliveries, "runs", proof.Runs, "took", proof.Took)
	return nil
}
