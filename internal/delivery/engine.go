// Package delivery sends what is owed: it turns deliveries into attempts and writes their results.
//
// The deliveries of a webhook form its lane. The engine goes round the lanes that have something to
// send and a free slot, so that a lane that hangs costs its own slots only. The table is the truth;
// memory holds the next few deliveries of each lane. Organizations take turns, so that one with many
// lanes delays none with few, and none can have all that may be under way. Every request goes out
// through the guarded [Client].
package delivery

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/jonboulle/clockwork"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/internal/policy"
	"github.com/buglehq/bugle/internal/store"
	"github.com/buglehq/bugle/internal/tracing"
)

// Options are how an Engine works; zero fields take the values named.
type Options struct {
	UserAgent   string              // "Bugle"
	Clock       clockwork.Clock     // the real one; timeouts of attempts always run on the real one
	Log         *slog.Logger        // none
	Jitter      func() float64      // -1 to 1, random
	Fast        int                 // requests under way at once as long as receivers answer fast: 64
	MaxInFlight int                 // at once in any case: 4096
	Grace       time.Duration       // how long Run waits, once it is to stop, for attempts under way: 35 s, more than a timeout
	OnAttempt   func(AttemptReport) // is told of every attempt, must be quick
	Tracer      *tracing.Tracer     // of attempts; nil: none
}

// An AttemptReport tells an observer of an attempt that ended.
type AttemptReport struct {
	DeliveryID int64
	Webhook    *bugle.Webhook
	Attempt    *bugle.Attempt
	Outcome    bugle.Outcome
	Envelope   []byte // as the event has it: a field policy may have let less through
	Redelivery bool   // somebody asked for the delivery once more, after its event
}

const (
	slowAfter       = 50 * time.Millisecond // an attempt that takes longer makes room for a fast one
	slowCheck       = 20 * time.Millisecond
	promoteBatch    = 256
	retryPause      = time.Second      // after an error of the database
	unreadablePause = 10 * time.Second // before a lane is read again whose secrets cannot be
	lookAtClock     = time.Minute      // the longest wait for a retry without looking whether the clock was set
	backLeast       = time.Second      // a clock that goes back by less is being adjusted
)

// An Engine sends deliveries while Run runs.
type Engine struct {
	store     *store.Store
	client    *Client
	o         Options
	envelopes *envelopes

	mu        sync.Mutex
	lanes     map[int64]*lane
	ready     turns              // each lane that may send now, once
	sleepers  map[*lane]struct{} // those that wait for a time
	toLoad    turns              // each lane that is to be read, once
	inFlight  int                // attempts under way
	underWay  map[int64]int      // of them, by organization
	work      context.Context    // of attempts; ended when Run gives them up
	leaving   map[int]bool       // slices that are to go to another node, once nothing of them is under way
	workers   map[*worker]struct{}
	slow      int  // workers whose attempt takes long
	saturated bool // a lane waits for a worker
	stopping  bool
	nextRetry time.Time  // zero: no retry waits
	idle      *sync.Cond // workers changed, or results were recorded

	results    []store.Result
	recording  int       // taken from results and not written yet
	unrecorded time.Time // since when the oldest of those being recorded waits
	arrived    time.Time // since when the oldest of results waits
	begun      bool      // the work that an earlier run left was found

	pings chan chan struct{} // the loop closes what comes

	// The loop's alone: when it looked at the clock last, and how far back that was set without the waits for retries
	// following yet.
	seen time.Time
	back time.Duration

	wakeLoop   chan struct{}
	wakeLoader chan struct{}
	wakeRecord chan struct{}
	wakeLease  chan struct{}
	wakeLook   chan struct{}
}

// A worker is a goroutine that makes attempts, one after the other.
type worker struct {
	since time.Time // start of the attempt under way, on the real clock; zero: none
	lane  *lane     // of that attempt
	slow  bool
}

// NewEngine returns an engine for the store's deliveries. It is told of new ones at once, so that
// there must be no change to the store before.
func NewEngine(s *store.Store, c *Client, o Options) *Engine {
	if o.UserAgent == "" {
		o.UserAgent = "Bugle"
	}
	if o.Clock == nil {
		o.Clock = clockwork.NewRealClock()
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Jitter == nil {
		o.Jitter = func() float64 { return 2*rand.Float64() - 1 }
	}
	if o.Fast == 0 {
		o.Fast = 64
	}
	if o.MaxInFlight == 0 {
		o.MaxInFlight = 4096
	}
	if o.Grace == 0 {
		o.Grace = 35 * time.Second
	}
	e := &Engine{
		store: s, client: c, o: o, envelopes: newEnvelopes(envelopeBytes),
		lanes: map[int64]*lane{}, underWay: map[int64]int{}, sleepers: map[*lane]struct{}{}, workers: map[*worker]struct{}{},
		wakeLoop: make(chan struct{}, 1), wakeLoader: make(chan struct{}, loaders), wakeRecord: make(chan struct{}, 1),
		wakeLease: make(chan struct{}, 1), wakeLook: make(chan struct{}, 1), leaving: map[int]bool{}, work: context.Background(),
		pings:    make(chan chan struct{}),
		stopping: true, // until Run
	}
	e.idle = sync.NewCond(&e.mu)
	s.Notify(e.committed)
	return e
}

// Run sends deliveries until ctx is done. Then it finishes the attempts under way, for at most
// Options.Grace, and writes their results.
func (e *Engine) Run(ctx context.Context) {
	work, abort := context.WithCancel(context.WithoutCancel(ctx))
	defer abort()
	var background sync.WaitGroup
	e.mu.Lock()
	e.stopping = false
	e.work = work
	e.mu.Unlock()
	leased := make(chan struct{})
	ended := make(chan struct{})
	if e.store.Shared() {
		go func() {
			defer close(leased)
			e.keepLeases(ctx, ended)
		}()
	} else {
		close(leased)
	}
	for range loaders {
		background.Go(func() { e.load(ctx) })
	}
	recorded := make(chan struct{})
	go func() {
		defer close(recorded)
		e.record(work)
	}()
	for e.begin(ctx) != nil && ctx.Err() == nil {
		pause(ctx, retryPause)
	}
	e.loop(ctx)

	e.mu.Lock()
	e.stopping = true
	e.ready = turns{}
	e.idle.Broadcast()
	overdue := time.AfterFunc(e.o.Grace, abort)
	defer overdue.Stop()
	for len(e.workers) > 0 {
		e.idle.Wait()
	}
	e.mu.Unlock()
	background.Wait()
	signal(e.wakeRecord)
	<-recorded
	close(ended)
	<-leased
}

// begin finds the work that an earlier run left.
func (e *Engine) begin(ctx context.Context) error {
	ids, err := e.store.DueLanes(ctx)
	if err == nil {
		err = e.planRetry(ctx)
	}
	if err != nil {
		if ctx.Err() == nil {
			e.o.Log.ErrorContext(ctx, "delivery engine cannot read what is due", "error", err)
		}
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, id := range ids {
		e.lane(id)
	}
	e.begun = true
	e.spawn()
	return nil
}

// loop wakes sleeping lanes, makes retries due, and starts workers, until ctx is done.
func (e *Engine) loop(ctx context.Context) {
	look := e.lookAround()
	for ctx.Err() == nil {
		if err := e.followClock(ctx); err != nil {
			if ctx.Err() == nil {
				e.o.Log.ErrorContext(ctx, "retries cannot follow the clock, which was set back", "by", e.back, "error", err)
			}
			pause(ctx, retryPause)
			continue
		}
		next, saturated, retry := e.turn()
		if retry {
			if err := e.promote(ctx); err != nil && ctx.Err() == nil {
				e.o.Log.ErrorContext(ctx, "retries cannot be made due", "error", err)
				pause(ctx, retryPause)
			}
			continue
		}
		var slowTimer <-chan time.Time
		if saturated {
			slowTimer = time.After(slowCheck)
		}
		var timer clockwork.Timer
		var due <-chan time.Time
		if !next.IsZero() {
			timer = e.o.Clock.NewTimer(min(next.Sub(e.o.Clock.Now()), lookAtClock))
			due = timer.Chan()
		}
		select {
		case <-ctx.Done():
		case <-e.wakeLoop:
		case <-due:
		case <-slowTimer:
		case <-e.wakeLook:
			e.findMissed(ctx)
		case <-look:
			e.findMissed(ctx)
			look = e.lookAround()
		case ping := <-e.pings:
			close(ping)
		}
		if timer != nil {
			timer.Stop()
		}
	}
}

// followClock looks whether the clock was set back, and if so lets what waits for a retry wait no longer than it was to.
func (e *Engine) followClock(ctx context.Context) error {
	now := e.o.Clock.Now()
	if !e.seen.IsZero() {
		if back := now.Sub(e.seen) - now.Round(0).Sub(e.seen.Round(0)); back >= backLeast {
			e.back += back
		}
	}
	e.seen = now
	if e.back == 0 {
		return nil
	}
	n, err := e.store.Hasten(ctx, e.back)
	if err != nil {
		return err
	}
	e.o.Log.WarnContext(ctx, "the clock was set back", "by", e.back, "retries", n)
	e.back = 0
	return e.planRetry(ctx)
}

// turn does what is to be done now, and returns when there will be more: at a time, if not zero;
// soon, if lanes wait for slow attempts to be told from fast ones; at once, if retries are due.
func (e *Engine) turn() (next time.Time, saturated, retry bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	now := e.o.Clock.Now()
	for l := range e.sleepers {
		if !l.wakesAt.After(now) {
			delete(e.sleepers, l)
			l.wakesAt = time.Time{}
			e.schedule(l)
		} else if next.IsZero() || l.wakesAt.Before(next) {
			next = l.wakesAt
		}
	}
	if e.saturated {
		e.countSlow()
		e.saturated = !e.ready.isEmpty() && len(e.workers)-e.slow >= e.o.Fast
	}
	e.spawn()
	if !e.nextRetry.IsZero() {
		if !e.nextRetry.After(now) {
			return next, e.saturated, true
		}
		if next.IsZero() || e.nextRetry.Before(next) {
			next = e.nextRetry
		}
	}
	return next, e.saturated, false
}

func (e *Engine) countSlow() {
	now := time.Now()
	for w := range e.workers {
		if !w.slow && !w.since.IsZero() && now.Sub(w.since) > slowAfter {
			w.slow = true
			e.slow++
		}
	}
}

// promote makes retries due whose time has come, and notes when the next one's comes. They arrive
// through committed.
func (e *Engine) promote(ctx context.Context) error {
	if n, err := e.store.Promote(ctx, promoteBatch); err != nil || n == promoteBatch {
		return err
	}
	return e.planRetry(ctx)
}

func (e *Engine) planRetry(ctx context.Context) error {
	e.mu.Lock()
	e.nextRetry = time.Time{} // results that come meanwhile bring their own
	e.mu.Unlock()
	at, err := e.store.NextRetry(ctx)
	if err != nil {
		at = e.o.Clock.Now() // not to be forgotten
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.retryAt(at)
	return err
}

// retryAt notes that a retry waits until the time.
func (e *Engine) retryAt(at time.Time) {
	if !at.IsZero() && (e.nextRetry.IsZero() || at.Before(e.nextRetry)) {
		e.nextRetry = at
	}
}

// committed is called by the store after every commit that has something to send.
func (e *Engine) committed(c store.Committed) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.stopping {
		return // the next run finds it in the table
	}
	if c.Erased {
		e.envelopes.forget()
	}
	if c.Retries {
		e.retryAt(e.o.Clock.Now())
	}
	for _, id := range c.Webhooks {
		if l := e.lanes[id]; l != nil {
			l.stale = true
			e.schedule(l)
		} else if e.owns(id) {
			e.lane(id)
		}
	}
	alone := e.store.IsAlone()
	for _, d := range c.Deliveries {
		if !e.owns(d.WebhookID) {
			e.missed(d.WebhookID)
			continue // the other node is told
		}
		if d.Payload.Text != nil {
			e.envelopes.add(d.EventID, d.Payload)
			d.Payload.Text = nil
		}
		l := e.lane(d.WebhookID)
		if alone {
			l.offer(d)
		} else {
			l.behind() // others may have added some before it
		}
		e.schedule(l)
	}
	e.heard(c, alone)
	signal(e.wakeLoop)
}

// lane returns the lane of a webhook. A new one is read from the table first.
func (e *Engine) lane(id int64) *lane {
	l := e.lanes[id]
	if l == nil {
		l = &lane{id: id, stale: true, more: true, busy: map[int64]int64{}}
		l.ctx, l.cut = context.WithCancel(e.work)
		e.lanes[id] = l
		e.schedule(l)
	}
	return l
}

// schedule puts a lane where it belongs: among those to be read, ready, or asleep.
func (e *Engine) schedule(l *lane) {
	now := e.o.Clock.Now()
	if l.wants() && l.readAfter.After(now) {
		e.sleep(l, l.readAfter)
		return
	}
	if l.wants() {
		l.loading = true
		e.toLoad.add(l)
		signal(e.wakeLoader)
	}
	if l.listed {
		return
	}
	ok, at := l.ready(now)
	switch {
	case ok:
		l.listed = true
		e.ready.add(l)
	case !at.IsZero():
		e.sleep(l, at)
	}
}

// sleep lets a lane be scheduled at a time.
func (e *Engine) sleep(l *lane, at time.Time) {
	l.wakesAt = at
	e.sleepers[l] = struct{}{}
	signal(e.wakeLoop)
}

// spawn starts a worker if there is something to send and room for one. Each worker that finds more
// to do starts another, until there are enough.
func (e *Engine) spawn() {
	switch {
	case e.ready.find(e.mayTake) < 0 || e.stopping || !e.store.Holds():
	case len(e.workers)-e.slow >= e.o.Fast:
		if !e.saturated {
			e.saturated = true
			signal(e.wakeLoop)
		}
	case len(e.workers) < e.o.MaxInFlight:
		w := &worker{}
		e.workers[w] = struct{}{}
		go e.send(w)
	}
}

// send makes attempts until there is nothing to send.
func (e *Engine) send(w *worker) {
	var done *finished
	for {
		next := e.next(w, done)
		if next.lane == nil {
			return
		}
		done = e.attempt(next)
	}
}

// A task is a delivery that a worker is to send.
type task struct {
	ctx      context.Context // ends when the lane is not this node's any more
	lane     *lane           // nil: there is nothing to send
	hook     *bugle.Webhook
	delivery store.NewDelivery
}

// finished is an attempt that ended.
type finished struct {
	lane     *lane
	hook     *bugle.Webhook
	delivery store.NewDelivery
	attempt  *bugle.Attempt // nil if it could not be made, and the delivery stays due
	outcome  bugle.Outcome
}

// next books the attempt that the worker has ended, if any, and gives it another delivery, or nil
// if there is none; the worker is then at its end.
func (e *Engine) next(w *worker, done *finished) task {
	e.mu.Lock()
	defer e.mu.Unlock()
	if w.slow {
		w.slow = false
		e.slow--
	}
	w.since, w.lane = time.Time{}, nil
	if done != nil {
		e.finish(done)
		for len(e.results)+e.recording > maxUnrecorded && !e.stopping {
			e.idle.Wait()
		}
	}
	now := e.o.Clock.Now()
	for !e.stopping && len(e.workers)-e.slow <= e.o.Fast && e.store.Holds() {
		place := e.ready.find(e.mayTake)
		if place < 0 {
			break
		}
		l := e.ready.take(place)
		l.listed = false
		if ok, _ := l.ready(now); !ok {
			e.schedule(l)
			continue
		}
		d := l.pop()
		e.take(l)
		l.paced(now)
		e.schedule(l)
		w.since, w.lane = time.Now(), l
		e.spawn()
		return task{ctx: l.ctx, lane: l, hook: l.hook, delivery: d}
	}
	delete(e.workers, w)
	e.spawn()
	e.idle.Broadcast()
	return task{}
}

// attempt sends a delivery once.
func (e *Engine) attempt(t task) *finished {
	ctx, hook, d := t.ctx, t.hook, t.delivery
	done := &finished{lane: t.lane, hook: hook, delivery: d}
	payload, err := e.payload(ctx, d.EventID)
	if err != nil {
		e.o.Log.ErrorContext(ctx, "envelope cannot be read", "delivery", d.ID, "event", d.EventID, "error", err)
		pause(ctx, retryPause)
		return done
	}
	a := &bugle.Attempt{Number: d.Attempts + 1, StartedAt: e.o.Clock.Now().UTC(), URL: hook.URL}
	span := e.trace(ctx, d.EventID, payload.Text)
	defer func() { span.End(hook, d.ID, d.EventID, a, done.outcome.State) }()
	if hook.Channel != "" {
		e.byChannel(ctx, hook, d.ID, payload.Text, a)
	} else if body, err := policy.Apply(hook, payload); err != nil {
		a.Error = &bugle.AttemptError{Kind: bugle.ErrorConfig, Message: err.Error(), Permanent: true}
	} else if r, err := NewRequest(hook, d.ID, body, a.StartedAt, e.o.UserAgent); err != nil {
		a.Error = &bugle.AttemptError{Kind: bugle.ErrorConnect, Message: "the request cannot be built: " + err.Error()}
	} else {
		a.Method = r.Method
		if parent := span.Parent(); parent != "" && r.Header["Traceparent"] == nil { // which the webhook may have set itself
			r.Header["traceparent"] = []string{parent}
		}
		e.client.Send(ctx, r, a)
	}
	if a.Error != nil && a.Error.Kind == bugle.ErrorCancelled {
		return done // the server stops, or has lost the lane: the delivery stays due
	}
	done.attempt = a
	done.outcome = hook.After(a, d.Attempts-d.AttemptsBefore+1, e.o.Clock.Now(), e.o.Jitter())
	if a.Error != nil {
		e.o.Log.InfoContext(ctx, "delivery attempted", "delivery", d.ID, "webhook", hook.ID, "event", d.EventID, "attempt", a.Number,
			"status", a.Status, "took", a.Took, "state", done.outcome.State, "error_kind", a.Error.Kind, "error", a.Error.Message)
	} else if e.o.Log.Enabled(ctx, slog.LevelDebug) {
		e.o.Log.DebugContext(ctx, "delivery attempted", "delivery", d.ID, "webhook", hook.ID, "event", d.EventID, "attempt", a.Number,
			"status", a.Status, "took", a.Took, "state", done.outcome.State)
	}
	if e.o.OnAttempt != nil {
		e.o.OnAttempt(AttemptReport{d.ID, hook, a, done.outcome, payload.Text, d.AttemptsBefore > 0})
	}
	return done
}

// trace begins the span of an attempt; nil if there is none.
func (e *Engine) trace(ctx context.Context, eventID int64, envelope []byte) *tracing.Attempt {
	if e.o.Tracer == nil {
		return nil
	}
	if origin, ok := bugle.ReadOrigin(envelope); ok {
		return e.o.Tracer.Attempt(ctx, origin.RequestID, origin.TraceID)
	}
	events, err := e.store.EventsByID(ctx, []int64{eventID}) // what a channel sends does not have them
	if err != nil || len(events) == 0 {
		return nil // an attempt is worth more than its trace
	}
	return e.o.Tracer.Attempt(ctx, events[0].RequestID, events[0].TraceID)
}

func (e *Engine) payload(ctx context.Context, eventID int64) (bugle.Payload, error) {
	if payload, ok := e.envelopes.get(eventID); ok {
		return payload, nil
	}
	add := e.envelopes.reading()
	payload, err := e.store.Payload(ctx, eventID)
	if err == nil {
		add(eventID, payload)
	}
	return payload, err
}

// finish books an attempt that ended: on its lane at once, in the table soon.
func (e *Engine) finish(f *finished) {
	l := f.lane
	e.giveBack(l)
	if e.lanes[l.id] != l && l.inFlight == 0 {
		l.cut() // it was dropped meanwhile
	}
	if f.attempt == nil {
		delete(l.busy, f.delivery.ID)
		l.stale = true // to be read from the table again
		e.schedule(l)
		return
	}
	now := e.o.Clock.Now().UTC()
	if f.attempt.IsOfReceiver() {
		l.health = l.health.After(f.attempt.OK(), now)
		l.pace = l.pace.After(f.attempt.OK(), l.health, f.hook, now)
	} else if f.attempt.Error.Kind == bugle.ErrorProxy { // which is likely to fail for all that waits
		l.pace = l.pace.After(false, bugle.Health{ConsecutiveFailures: bugle.TripAfter}, f.hook, now)
	}
	if f.outcome.HoldUntil.After(l.holdTo) {
		l.holdTo = f.outcome.HoldUntil
	}
	if f.outcome.Gone && l.hook != nil {
		disabled := *l.hook
		disabled.Status = bugle.Disabled
		l.hook = &disabled
	}
	if f.hook.Ordered && f.outcome.State == bugle.Pending {
		l.inFlight++ // it holds the lane; once it is recorded the lane is read anew, with it at the head
	}
	if len(e.results) == 0 {
		e.arrived = e.o.Clock.Now()
	}
	e.results = append(e.results, store.Result{DeliveryID: f.delivery.ID, WebhookID: l.id, Attempt: f.attempt, Outcome: f.outcome, Ordered: f.hook.Ordered})
	if len(e.results) == 1 || len(e.results) == recordBatch {
		signal(e.wakeRecord)
	}
	e.schedule(l)
}

// signal wakes whoever waits for the channel, once.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// pause waits, for less if ctx ends.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
