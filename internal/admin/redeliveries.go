package admin

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/internal/store"
)

// redeliveries adds what sends a part of the log again.
func (s *server) redeliveries() {
	s.page("GET /webhook-logs/redeliver", "update_webhook_log", s.askRedeliver)
	s.page("POST /webhook-logs/redeliver", "update_webhook_log", s.startRedeliver)
	s.page("GET /webhook-logs/redeliver/{job}", "update_webhook_log", s.showRedeliver)
	s.page("POST /webhook-logs/redeliver/{job}/cancel", "update_webhook_log", s.cancelRedeliver)
}

const (
	maxJobs      = 100              // that are kept, of all organizations together: one each
	maxRedeliver = 10 * countTo     // deliveries that a job redelivers
	jobPause     = time.Millisecond // between two steps, so that other changes have their turn
)

// errBusy is for a second job of an organization, or one too many of all.
var errBusy = errors.New("another redelivery is under way")

// jobs are the redeliveries that were asked for since the server started: the last one of each organization.
type jobs struct {
	mu     sync.Mutex
	of     map[int64]*job
	closed bool
	stop   context.CancelFunc
	ctx    context.Context
	work   sync.WaitGroup
}

func newJobs() *jobs {
	j := &jobs{of: map[int64]*job{}}
	j.ctx, j.stop = context.WithCancel(context.Background())
	return j
}

// close stops all jobs and waits for the steps under way.
func (j *jobs) close() {
	j.mu.Lock()
	j.closed = true
	j.mu.Unlock()
	j.stop()
	j.work.Wait()
}

// A job redelivers what a filter lets through.
type job struct {
	ID    string
	Query url.Values // the filters, to begin again
	stop  context.CancelFunc

	mu    sync.Mutex
	state jobState
}

// A jobState is how far a job is.
type jobState struct {
	Total, Redelivered, Skipped int
	More                        bool // there are more than Total
	Ended                       bool
	Cancelled                   bool // by a person, or because the server stops
	Full                        bool // it has done as many as a job does
	Failed                      bool
}

// Done is how many the job has looked at.
func (s jobState) Done() int { return s.Redelivered + s.Skipped }

// Max is the end of the bar, 0 if it is not known.
func (s jobState) Max() int {
	if s.More {
		return 0
	}
	return max(s.Total, s.Done(), 1)
}

func (j *job) State() jobState {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.state
}

func (j *job) update(change func(s *jobState)) {
	j.mu.Lock()
	defer j.mu.Unlock()
	change(&j.state)
}

// start begins a job that calls run, unless the organization has one.
func (j *jobs) start(organizationID int64, one *job, run func(ctx context.Context, one *job)) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.closed {
		return store.ErrClosed
	}
	if old := j.of[organizationID]; old != nil && !old.State().Ended {
		return errBusy
	}
	if len(j.of) >= maxJobs && j.of[organizationID] == nil {
		forgot := false
		for id, old := range j.of {
			if old.State().Ended {
				delete(j.of, id)
				forgot = true
				break
			}
		}
		if !forgot {
			return errBusy
		}
	}
	ctx, stop := context.WithCancel(j.ctx)
	one.stop = stop
	j.of[organizationID] = one
	j.work.Go(func() {
		defer stop()
		run(ctx, one)
	})
	return nil
}

// find returns an organization's job.
func (j *jobs) find(organizationID int64, id string) (*job, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if one := j.of[organizationID]; one != nil && (id == "" || one.ID == id) {
		return one, nil
	}
	return nil, bugle.ErrNotFound
}

type redeliverPage struct {
	frame
	Problems []string
	Total    int
	More     bool
	Limit    int
	Filters  []filter // that are set
	Start    string   // the address that starts it
	List     string   // the address of the list
	Busy     *job     // another one, under way
	Job      *job
	State    jobState
}

// askRedeliver says how much would be sent again, and asks whether it should be.
func (s *server) askRedeliver(v *visit) error { return s.showAsk(v, http.StatusOK) }

func (s *server) showAsk(v *visit, status int) error {
	f, problems := v.deliveryFilters()
	p := &redeliverPage{frame: v.newFrame("Redeliver", "webhook-logs"), Problems: problems, Limit: maxRedeliver,
		Start: v.logQuery("/webhook-logs/redeliver"), List: v.logQuery("/webhook-logs")}
	p.Back, p.Narrow = &link{p.List, "Webhook Logs"}, true
	inputs, err := v.deliveryFilterInputs()
	if err != nil {
		return err
	}
	p.Filters = chosen(inputs)
	if len(problems) > 0 {
		return v.render(http.StatusUnprocessableEntity, "redeliver.html", p)
	}
	page, err := s.store.Deliveries(v.Context(), v.actor.OrganizationID, f, store.PageRequest{Number: 1, Limit: 1, CountTo: countTo})
	if err != nil {
		return err
	}
	p.Total, p.More = page.Total, page.More
	if one, err := s.jobs.find(v.actor.OrganizationID, ""); err == nil && !one.State().Ended {
		p.Busy = one
	}
	return v.render(status, "redeliver.html", p)
}

// chosen are the filters that are set, with their values as the page shows them.
func chosen(all []filter) []filter {
	var set []filter
	for _, f := range all {
		if f.Value == "" {
			continue
		}
		for _, o := range f.Options {
			if o.Selected {
				f.Value = o.Label
			}
		}
		set = append(set, f)
	}
	return set
}

// startRedeliver begins to send again what the filters let through at this moment.
func (s *server) startRedeliver(v *visit) error {
	f, problems := v.deliveryFilters()
	if len(problems) > 0 {
		return s.showAsk(v, http.StatusUnprocessableEntity)
	}
	organizationID := v.actor.OrganizationID
	newest, err := s.store.Deliveries(v.Context(), organizationID, store.DeliveryFilter{}, store.PageRequest{Number: 1, Limit: 1, CountTo: -1})
	if err != nil {
		return err
	}
	counted, err := s.store.Deliveries(v.Context(), organizationID, f, store.PageRequest{Number: 1, Limit: 1, CountTo: countTo})
	if err != nil {
		return err
	}
	one := &job{ID: bugle.RandomText(16), Query: v.URL.Query()}
	one.state.Total, one.state.More = counted.Total, counted.More
	last := int64(0)
	if len(newest.Items) > 0 {
		last = newest.Items[0].ID
	}
	err = s.jobs.start(organizationID, one, func(ctx context.Context, one *job) { s.runJob(ctx, one, organizationID, f, last) })
	if errors.Is(err, errBusy) {
		v.flash("warning", "Another redelivery is under way. Wait until it has ended, or cancel it.")
		if busy, err := s.jobs.find(organizationID, ""); err == nil {
			return v.redirect("/webhook-logs/redeliver/" + busy.ID)
		}
		return v.redirect(v.logQuery("/webhook-logs"))
	}
	if err != nil {
		return err
	}
	return v.redirect("/webhook-logs/redeliver/" + one.ID)
}

// runJob redelivers what the filter lets through, from the oldest up to the last that there was at the start. It
// goes by ascending ids, so that nothing is looked at twice and it ends.
func (s *server) runJob(ctx context.Context, one *job, organizationID int64, f store.DeliveryFilter, last int64) {
	err := s.redeliverAll(ctx, one, organizationID, f, last)
	one.update(func(state *jobState) {
		state.Ended = true
		state.Cancelled = ctx.Err() != nil || errors.Is(err, store.ErrClosed)
		state.Failed = err != nil && !state.Cancelled
		if err == nil && !state.Full {
			state.Total, state.More = state.Done(), false
		}
	})
	state := one.State()
	if state.Failed {
		s.o.Log.ErrorContext(ctx, "redelivery failed", "organization", organizationID, "error", err)
		return
	}
	s.o.Log.InfoContext(ctx, "redelivery ended", "organization", organizationID, "redelivered", state.Redelivered, "skipped", state.Skipped, "cancelled", state.Cancelled)
}

func (s *server) redeliverAll(ctx context.Context, one *job, organizationID int64, f store.DeliveryFilter, last int64) error {
	at := store.PageRequest{Number: 1, Limit: redeliverStep, CountTo: -1, After: -1} // above -1 is everything
	for at.After < last {
		page, err := s.store.Deliveries(ctx, organizationID, f, at)
		if err != nil {
			return err
		}
		var ids []int64
		for _, d := range page.Items {
			if d.ID <= last {
				ids = append(ids, d.ID)
			}
		}
		if len(ids) > 0 {
			changed, skipped, err := s.changeDeliveries(ctx, organizationID, ids, redeliverEnded)
			if err != nil {
				return err
			}
			one.update(func(state *jobState) {
				state.Redelivered, state.Skipped = state.Redelivered+changed, state.Skipped+skipped
			})
		}
		switch {
		case one.State().Done() >= maxRedeliver:
			one.update(func(state *jobState) { state.Full = true })
			return nil
		case page.Incomplete:
			at.After = page.Reached
		case len(page.Items) < at.Limit:
			return nil
		default:
			at.After = page.Items[0].ID // the newest
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(jobPause):
		}
	}
	return nil
}

// showRedeliver says how far a job is; to htmx the part of the page that changes.
func (s *server) showRedeliver(v *visit) error {
	one, err := s.jobs.find(v.actor.OrganizationID, v.PathValue("job"))
	if errors.Is(err, bugle.ErrNotFound) && !v.isFragment() {
		v.flash("info", "That redelivery is over: the server was started again since, or there was another one.")
		return v.redirect("/webhook-logs")
	}
	if err != nil {
		return err
	}
	p := &redeliverPage{frame: v.newFrame("Redelivery", "webhook-logs"), Job: one, State: one.State(), Limit: maxRedeliver,
		Start: pathWith("/webhook-logs/redeliver", one.Query), List: pathWith("/webhook-logs", one.Query)}
	p.Back, p.Narrow = &link{p.List, "Webhook Logs"}, true
	if v.isFragment() {
		return v.fragment(http.StatusOK, "redeliver.html", "job", p)
	}
	return v.render(http.StatusOK, "redeliver.html", p)
}

// cancelRedeliver stops a job after the step under way.
func (s *server) cancelRedeliver(v *visit) error {
	one, err := s.jobs.find(v.actor.OrganizationID, v.PathValue("job"))
	if err != nil {
		return err
	}
	one.stop()
	v.flash("info", "The redelivery is stopped. What was sent again stays so.")
	return v.redirect("/webhook-logs/redeliver/" + one.ID)
}
