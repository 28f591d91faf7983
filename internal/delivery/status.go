package delivery

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/buglehq/bugle"
)

// A Status is what an engine is at, as it stands at one moment.
type Status struct {
	Lanes    int // in memory
	Failing  int // of them: the last attempts failed
	Tripped  int // of them: so many failed that one request at a time is sent
	Paused   int // of them: the webhook is not active
	Hanging  int // of them: deliveries wait, and all slots are taken, by some attempt for more than a second
	Queued   int // deliveries in memory; lanes with many have more in the table
	InFlight int // attempts under way
	Results  int // of attempts, that are not written yet
}

// hangingAfter is how long an attempt takes before its lane counts as hanging.
const hangingAfter = time.Second

// Status counts what the engine is at.
func (e *Engine) Status() Status {
	e.mu.Lock()
	defer e.mu.Unlock()
	s := Status{Lanes: len(e.lanes), Results: len(e.results) + e.recording}
	long := map[*lane]bool{}
	now := time.Now()
	for w := range e.workers {
		if w.since.IsZero() {
			continue
		}
		s.InFlight++
		if now.Sub(w.since) > hangingAfter {
			long[w.lane] = true
		}
	}
	for _, l := range e.lanes {
		s.Queued += l.len()
		switch {
		case l.hook == nil:
		case l.hook.Status != bugle.Active:
			s.Paused++
		case l.health.State() == bugle.Tripped:
			s.Tripped++
		case l.health.State() == bugle.Failing:
			s.Failing++
		}
		if long[l] && l.len() > 0 && l.inFlight >= l.hook.Slots(l.health) {
			s.Hanging++
		}
	}
	return s
}

// unrecordedAfter is how long results may wait to be written while all is well.
const unrecordedAfter = 10 * time.Second

// Check returns why the engine does not do its work, in words for everybody: it is not running, its loop is at a stand, or
// results are not written. It waits for the loop until ctx is done.
func (e *Engine) Check(ctx context.Context) error {
	e.mu.Lock()
	running, begun, waited := !e.stopping, e.begun, time.Duration(0)
	now := e.o.Clock.Now()
	switch {
	case e.recording > 0:
		waited = now.Sub(e.unrecorded)
	case len(e.results) > 0:
		waited = now.Sub(e.arrived)
	}
	e.mu.Unlock()
	switch {
	case !running:
		return errors.New("deliveries are not sent: the engine is not running")
	case !begun:
		return errors.New("deliveries are not sent: what is due cannot be read")
	case waited > unrecordedAfter:
		return fmt.Errorf("results of attempts are not written: they have waited for %s", waited.Round(time.Second))
	}
	ping := make(chan struct{})
	select {
	case e.pings <- ping:
		return nil
	case <-ctx.Done():
		return errors.New("retries are not made due: the engine's loop is at a stand")
	}
}
