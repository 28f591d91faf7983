// Package dispatch turns events into what automations do: it evaluates pending runs, and makes
// deliveries, messages and updates of them. What a run does and that it has ended is one transaction, so
// that a crash in between loses nothing and repeats nothing.
package dispatch

import (
	"context"
	"errors"
	"log/slog"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/jonboulle/clockwork"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/internal/store"
	"github.com/buglehq/bugle/internal/tracing"
	"github.com/buglehq/bugle/personnel"
	"github.com/buglehq/bugle/value"
)

// Options are how a Dispatcher works; zero fields take the values named.
type Options struct {
	Clock   clockwork.Clock  // the real one
	Log     *slog.Logger     // none
	Workers int              // organizations that are worked on at the same time: one for each processor
	OnRun   func(*bugle.Run) // is told of every run that has ended, must be quick
	Tracer  *tracing.Tracer  // of runs; nil: none
}

const (
	batchSize  = 256                    // runs that end in one transaction
	maxCostly  = 32                     // of them that change resources: other changes wait for the transaction
	batchTime  = 100 * time.Millisecond // a batch that has taken longer is ended early
	turns      = 4                      // batches of an organization before others get their turn
	retryPause = time.Second            // after an error of the database
	lookEvery  = 5 * time.Second        // for runs that no other node told of
	maxTrouble = 3                      // times that the database may refuse the end of a run
	maxCached  = 4096                   // programs
)

// A Dispatcher evaluates pending runs while Run runs. The runs of an organization are evaluated one after
// the other, in the order of their events and, for one event, of their priority.
type Dispatcher struct {
	store *store.Store
	o     Options
	wake  chan struct{}

	mu       sync.Mutex
	programs map[int64]*program // by automation
	busy     map[int64]bool     // organizations that a worker is at
	trouble  map[int64]int      // by run: how often the database refused its end
}

// NewDispatcher returns a dispatcher of the store's runs. It is told of new ones at once, so that there
// must be no change to the store before.
func NewDispatcher(s *store.Store, o Options) *Dispatcher {
	if o.Clock == nil {
		o.Clock = clockwork.NewRealClock()
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Workers == 0 {
		o.Workers = runtime.GOMAXPROCS(0)
	}
	d := &Dispatcher{store: s, o: o, wake: make(chan struct{}, 1), programs: map[int64]*program{}, busy: map[int64]bool{}, trouble: map[int64]int{}}
	s.Notify(func(c store.Committed) {
		if c.Runs {
			d.signal()
		}
	})
	return d
}

func (d *Dispatcher) signal() {
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

// Run evaluates runs until ctx is done. The batches under way are finished then.
func (d *Dispatcher) Run(ctx context.Context) {
	var workers sync.WaitGroup
	defer workers.Wait()
	slots := make(chan struct{}, d.o.Workers)
	for {
		ids, err := d.store.PendingOrganizations(ctx)
		if err != nil {
			if ctx.Err() != nil {
				return
			}
			d.o.Log.ErrorContext(ctx, "pending runs cannot be found", "error", err)
			d.pause(ctx)
			continue
		}
		for _, id := range ids {
			if !d.take(id) {
				continue
			}
			select {
			case slots <- struct{}{}:
			case <-ctx.Done():
				d.leave(id)
				return
			}
			workers.Go(func() {
				d.work(ctx, id)
				d.leave(id)
				<-slots
				d.signal() // there may be more of it
			})
		}
		var look <-chan time.Time
		if d.store.Shared() { // what other nodes announce can be lost
			look = d.o.Clock.After(lookEvery)
		}
		select {
		case <-d.wake:
		case <-look:
		case <-ctx.Done():
			return
		}
	}
}

func (d *Dispatcher) take(organizationID int64) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.busy[organizationID] {
		return false
	}
	d.busy[organizationID] = true
	return true
}

func (d *Dispatcher) leave(organizationID int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.busy, organizationID)
}

// work ends some batches of an organization. While one is being written, the next is evaluated.
func (d *Dispatcher) work(ctx context.Context, organizationID int64) {
	finishing := context.WithoutCancel(ctx)
	written := make(chan error, 1)
	written <- nil
	after := int64(0)
	var err error
	for range turns {
		var batch []decided
		if ctx.Err() == nil {
			batch, err = d.next(finishing, organizationID, after)
		}
		if writeErr := <-written; writeErr != nil {
			err = writeErr
		}
		if err != nil || len(batch) == 0 {
			written <- nil
			break
		}
		after = batch[len(batch)-1].run.ID
		go func() { written <- d.end(finishing, batch) }()
	}
	if writeErr := <-written; writeErr != nil {
		err = writeErr
	}
	if err != nil {
		d.o.Log.ErrorContext(ctx, "runs cannot be ended", "organization", organizationID, "error", err)
		d.pause(ctx)
	}
}

func (d *Dispatcher) pause(ctx context.Context) {
	select {
	case <-d.o.Clock.After(retryPause):
	case <-ctx.Done():
	}
}

// A decided run is one that has been evaluated, with what it is still to do.
type decided struct {
	run    *bugle.Run
	event  *bugle.Event
	effect effect // nil: nothing
	after  bugle.Chain
}

// Step evaluates the next pending runs of an organization and ends them, and returns how many they were.
func (d *Dispatcher) Step(ctx context.Context, organizationID int64) (int, error) {
	batch, err := d.next(ctx, organizationID, 0)
	if err == nil {
		err = d.end(ctx, batch)
	}
	return len(batch), err
}

// next evaluates the pending runs that follow the id.
func (d *Dispatcher) next(ctx context.Context, organizationID, after int64) ([]decided, error) {
	d.mu.Lock()
	limit := batchSize
	if len(d.trouble) > 0 { // to find the one that cannot be ended
		limit = 1
	}
	d.mu.Unlock()
	pending, err := d.store.PendingRuns(ctx, organizationID, after, limit)
	if err != nil || len(pending) == 0 {
		return nil, err
	}
	return d.decide(ctx, organizationID, pending)
}

// decide evaluates runs, or as many of them as there is time for.
func (d *Dispatcher) decide(ctx context.Context, organizationID int64, pending []store.PendingRun) ([]decided, error) {
	programs, err := d.compiled(ctx, pending)
	if err != nil {
		return nil, err
	}
	events, err := d.events(ctx, pending)
	if err != nil {
		return nil, err
	}
	contexts := map[int64]*Context{}
	causers := causers{store: d.store, organizationID: organizationID}
	costly := 0
	began, now := time.Now(), d.o.Clock.Now().UTC().Truncate(time.Microsecond)
	from := &cachedReader{Store: d.store}
	if err := from.prefetch(ctx, organizationID, programs); err != nil {
		return nil, err
	}
	batch := make([]decided, 0, len(pending))
	for _, next := range pending {
		e, p := events[next.EventID], programs[next.AutomationID]
		if e == nil || p == nil { // deleted since they were read, with the run
			continue
		}
		c := contexts[e.ID]
		if c == nil {
			causer, err := causers.get(ctx, e.CauserID)
			if err != nil {
				return nil, err
			}
			if c, err = NewContext(e, causer, now); err != nil {
				return nil, err
			}
			contexts[e.ID] = c
		}
		r := &bugle.Run{ID: next.ID, OrganizationID: organizationID, AutomationID: p.ID, EventID: e.ID}
		one := decided{run: r, event: e, after: e.Next(p.ID, r.ID)}
		d.mu.Lock()
		troubled := d.trouble[r.ID] >= maxTrouble
		d.mu.Unlock()
		switch {
		case troubled:
			r.Status, r.EvaluatedAt, r.Error = bugle.RunFailed, now, "the database refuses what the action does; the server's log has more"
		case !p.Enabled:
			r.Status, r.EvaluatedAt, r.Error = bugle.RunFailed, now, "the automation was disabled before it came to this run"
		default:
			if one.effect, err = p.decide(ctx, from, e, c, now, r); err != nil {
				return nil, err
			}
		}
		batch = append(batch, one)
		if one.effect != nil && !one.effect.whole() {
			costly++
		}
		if costly == maxCostly || time.Since(began) > batchTime {
			break
		}
	}
	return batch, nil
}

// end does what runs are to do, and writes that they have ended, in one transaction.
func (d *Dispatcher) end(ctx context.Context, batch []decided) error {
	if len(batch) == 0 {
		return nil
	}
	ids := make([]int64, len(batch))
	for i := range batch {
		ids[i] = batch[i].run.ID
	}
	var pending map[int64]bool
	err := d.store.Update(ctx, func(tx *store.Tx) error {
		var err error
		if pending, err = tx.StillPending(ids); err != nil {
			return err
		}
		for i := range batch {
			if !pending[batch[i].run.ID] { // it was deleted with its automation
				continue
			}
			if err := endOne(tx, &batch[i]); err != nil {
				return err
			}
		}
		return nil
	})
	d.mu.Lock()
	if err != nil {
		d.trouble[batch[0].run.ID]++
	} else {
		for _, id := range ids {
			delete(d.trouble, id)
		}
	}
	d.mu.Unlock()
	if err != nil {
		return err
	}
	for i := range batch {
		if r := batch[i].run; pending[r.ID] {
			d.o.Tracer.Run(ctx, r, batch[i].event)
			if d.o.OnRun != nil {
				d.o.OnRun(r)
			}
		}
		if r := batch[i].run; r.Error != "" && d.o.Log.Enabled(ctx, slog.LevelInfo) {
			d.o.Log.InfoContext(ctx, "automation run ended", "run", r.ID, "automation", r.AutomationID, "event", r.EventID,
				"status", r.Status, "field", r.ErrorField, "took", r.Took)
		}
	}
	return nil
}

// endOne does what a run is to do, and writes that it has ended. If its action fails, the run has
// failed; an error is one of the database.
func endOne(tx *store.Tx, one *decided) error {
	r := one.run
	if one.effect == nil {
		return tx.FinishRun(r)
	}
	a := store.Actor{OrganizationID: r.OrganizationID, RequestID: one.event.RequestID, TraceID: one.event.TraceID, Chain: one.after}
	var err error
	if one.effect.whole() {
		err = one.effect.apply(tx, a, r)
	} else {
		err = tx.Try(func() error { return one.effect.apply(tx, a, r) })
	}
	if err != nil {
		if !isOwn(err) {
			return err
		}
		*r = bugle.Run{ID: r.ID, OrganizationID: r.OrganizationID, AutomationID: r.AutomationID, EventID: r.EventID, Status: bugle.RunFailed,
			Condition: r.Condition, Took: r.Took, EvaluatedAt: r.EvaluatedAt}
		describe(r, err)
	}
	return tx.FinishRun(r)
}

// compiled returns the programs of the automations of runs, as they are now.
func (d *Dispatcher) compiled(ctx context.Context, pending []store.PendingRun) (map[int64]*program, error) {
	var ids []int64
	for _, next := range pending {
		if !slices.Contains(ids, next.AutomationID) {
			ids = append(ids, next.AutomationID)
		}
	}
	times, err := d.store.AutomationTimes(ctx, ids)
	if err != nil {
		return nil, err
	}
	found := make(map[int64]*program, len(ids))
	var missing []int64
	d.mu.Lock()
	for id, saved := range times {
		if p := d.programs[id]; p != nil && p.UpdatedAt.Equal(saved) {
			found[id] = p
		} else {
			missing = append(missing, id)
		}
	}
	d.mu.Unlock()
	if len(missing) == 0 {
		return found, nil
	}
	list, err := d.store.AutomationsByID(ctx, missing)
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.programs)+len(list) > maxCached {
		clear(d.programs)
	}
	for _, a := range list {
		p := compile(a, d.o.Clock.Now)
		d.programs[a.ID], found[a.ID] = p, p
	}
	return found, nil
}

// events returns the events of runs by id.
func (d *Dispatcher) events(ctx context.Context, pending []store.PendingRun) (map[int64]*bugle.Event, error) {
	var ids []int64
	for i, next := range pending {
		if i == 0 || pending[i-1].EventID != next.EventID {
			ids = append(ids, next.EventID)
		}
	}
	list, err := d.store.EventsByID(ctx, ids)
	if err != nil {
		return nil, err
	}
	events := make(map[int64]*bugle.Event, len(list))
	for _, e := range list {
		events[e.ID] = e
	}
	return events, nil
}

// causers remembers the users who caused events, as they are rendered.
type causers struct {
	store          *store.Store
	organizationID int64
	view           *personnel.View
	byID           map[int64]*value.Array
}

// get returns a user, or nil if there is none with the id.
func (c *causers) get(ctx context.Context, id int64) (*value.Array, error) {
	if id == 0 {
		return nil, nil
	}
	if user, ok := c.byID[id]; ok {
		return user, nil
	}
	if c.view == nil {
		view, err := c.store.View(ctx, c.organizationID)
		if err != nil {
			return nil, err
		}
		c.view, c.byID = view, map[int64]*value.Array{}
	}
	user, err := c.store.Get(ctx, c.organizationID, &personnel.User, id)
	switch {
	case errors.Is(err, bugle.ErrNotFound):
		c.byID[id] = nil
	case err != nil:
		return nil, err
	default:
		c.byID[id] = user.Data(c.view)
	}
	return c.byID[id], nil
}

// cachedReader reads each webhook once.
type cachedReader struct {
	*store.Store
	webhooks map[int64]*bugle.Webhook
}

// prefetch reads the webhooks of programs.
func (c *cachedReader) prefetch(ctx context.Context, organizationID int64, programs map[int64]*program) error {
	c.webhooks = map[int64]*bugle.Webhook{}
	var ids []int64
	for _, p := range programs {
		if p.ActionType == bugle.SendWebhook && p.WebhookID != 0 {
			ids = append(ids, p.WebhookID)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	list, err := c.WebhooksByID(ctx, organizationID, ids)
	for _, w := range list {
		c.webhooks[w.ID] = w
	}
	return err
}

func (c *cachedReader) Webhook(ctx context.Context, organizationID, id int64) (*bugle.Webhook, error) {
	if w := c.webhooks[id]; w != nil {
		return w, nil
	}
	w, err := c.Store.Webhook(ctx, organizationID, id)
	if err == nil {
		if c.webhooks == nil {
			c.webhooks = map[int64]*bugle.Webhook{}
		}
		c.webhooks[id] = w
	}
	return w, err
}
