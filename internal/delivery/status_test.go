package delivery

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/internal/store"
)

func TestEngine_Status(t *testing.T) {
	r := startRig(t)
	r.until("the beginning", func() bool { return r.engine.Check(t.Context()) == nil }) // before it, lanes without deliveries are nobody's concern
	blocked, open := r.gate()
	hanging := r.receiver(func(http.ResponseWriter, *http.Request) { <-blocked })
	broken := r.receiver(status(500))
	slow := r.hook(hanging.URL, func(w *bugle.Webhook) { w.MaxConcurrency, w.TimeoutSeconds = 2, 30 })
	dead := r.hook(broken.URL, func(w *bugle.Webhook) { w.MaxAttempts = 1 })
	r.edit(r.hook(broken.URL, nil), func(w *bugle.Webhook) { w.Status = bugle.Paused })
	r.until("the lane that is paused", func() bool { return r.engine.Status().Paused == 1 })
	r.send(dead, 1)
	r.until("the failure", func() bool { s := r.engine.Status(); return s.Failing == 1 && s.InFlight == 0 })
	r.send(slow, 5)
	r.until("two attempts that hang", func() bool { s := r.engine.Status(); return s.InFlight == 2 && s.Queued == 3 })
	r.locked(func() bool {
		for w := range r.engine.workers {
			if !w.since.IsZero() {
				w.since = w.since.Add(-2 * time.Second) // as if they had begun then
			}
		}
		return true
	})
	got := r.engine.Status()
	got.Results = 0 // the failure's may not be written yet
	if want := (Status{Lanes: 3, Failing: 1, Paused: 1, Hanging: 1, Queued: 3, InFlight: 2}); got != want {
		t.Errorf("status is %+v, want %+v", got, want)
	}
	for range bugle.TripAfter - 1 { // one more would wait for the next probe
		r.send(dead, 1)
	}
	r.until("the trip", func() bool { s := r.engine.Status(); return s.Tripped == 1 && s.Failing == 0 })
	open()
	r.until("the end", func() bool { s := r.engine.Status(); return s.InFlight+s.Queued+s.Results+s.Hanging == 0 })
}

func TestEngine_Check(t *testing.T) {
	r := newRig(t)
	check := func(patience time.Duration, want string) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		err := r.engine.Check(ctx)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("the check says %v, want %q", err, want)
		}
	}
	r.engine = NewEngine(r.store, r.client, r.options)
	check(time.Minute, "the engine is not running")
	r.start()
	r.until("the beginning", func() bool { return r.engine.Check(t.Context()) == nil })

	// The database takes nothing any more.
	asked, answer := r.gate()
	w := r.hook(r.receiver(func(http.ResponseWriter, *http.Request) { <-asked }).URL, nil)
	r.sendOne(w)
	r.until("the attempt", func() bool { return r.engine.Status().InFlight == 1 })
	blocked, open := r.gate()
	held := make(chan struct{})
	go r.store.Update(context.Background(), func(*store.Tx) error {
		close(held)
		<-blocked
		return nil
	})
	<-held
	answer()
	r.until("its result", func() bool { return r.engine.Status().Results == 1 })
	check(time.Minute, "")
	r.clock.Advance(11 * time.Second)
	check(time.Minute, "results of attempts are not written: they have waited for 11s")
	r.locked(func() bool { r.engine.retryAt(r.clock.Now()); return true })
	signal(r.engine.wakeLoop)
	r.locked(func() bool { r.engine.arrived, r.engine.unrecorded = r.clock.Now(), r.clock.Now(); return true })
	check(50*time.Millisecond, "the engine's loop is at a stand")
	open()
	r.until("the end of it", func() bool { return r.engine.Check(t.Context()) == nil })
	r.stop()
	check(time.Minute, "the engine is not running")
}
