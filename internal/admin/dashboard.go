package admin

import (
	"cmp"
	"net/http"
	"slices"
	"time"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/internal/store"
	"github.com/buglehq/bugle/personnel"
)

// dashboard adds the first page.
func (s *server) dashboard() {
	s.page("GET /{$}", "", s.showDashboard)
	s.page("GET /dashboard/tiles", "view_any_webhook", s.showTiles)
}

type dashboardPage struct {
	frame
	Steps   []firstStep // to begin with; none: all are done, or may not be
	Tiles   *tiles      // nil: not to be seen
	Hour    outcomeChart
	Month   outcomeChart
	Slowest []webhookRow
	Failing []webhookRow
	Events  []loggedRow
	Stream  string // the address of events that are new
	Log     bool   // events may be seen
}

// A firstStep is one of those that make a new organization useful.
type firstStep struct {
	link
	Why  string
	Done bool
}

// tiles are the numbers at the top.
type tiles struct {
	*frame
	Attempts, Delivered int
	Rate                string
	Waiting, Retrying   int
	More                bool // more are waiting than were counted
	Oldest              time.Time
	Failing, Paused     int
}

const (
	maxOverseen   = 200 // webhooks that the dashboard looks at
	shownWebhooks = 5
	latestEvents  = 10
)

func (s *server) showDashboard(v *visit) error {
	p := &dashboardPage{frame: v.newFrame("Dashboard", "dashboard")}
	p.Lead = "Hello, " + v.account.Name + "."
	var err error
	if p.Steps, err = s.firstSteps(v); err != nil {
		return err
	}
	if v.Can("view_any_webhook") {
		if err := s.oversee(v, p); err != nil {
			return err
		}
	}
	if p.Log = v.Can("view_any_event_log"); p.Log {
		if p.Stream, err = v.eventStream("dashboard"); err != nil {
			return err
		}
		page, err := s.store.Events(v.Context(), v.actor.OrganizationID, store.EventFilter{}, store.PageRequest{Number: 1, Limit: latestEvents, CountTo: -1})
		if err != nil {
			return err
		}
		if p.Events, err = v.loggedRows(&p.frame, page.Items); err != nil {
			return err
		}
	}
	return v.render(http.StatusOK, "dashboard.html", p)
}

// firstSteps are what is still to be done of what makes an organization useful; none once all is.
func (s *server) firstSteps(v *visit) ([]firstStep, error) {
	one := store.PageRequest{Number: 1, Limit: 2, CountTo: -1}
	organization := v.actor.OrganizationID
	var steps []firstStep
	add := func(permission, url, text, why string, done bool) {
		if v.Can(permission) {
			steps = append(steps, firstStep{link{url, text}, why, done})
		}
	}
	people, err := s.store.List(v.Context(), organization, &personnel.User, one)
	if err != nil {
		return nil, err
	}
	hooks, err := s.store.Webhooks(v.Context(), organization, store.WebhookFilter{}, one)
	if err != nil {
		return nil, err
	}
	automations, err := s.store.Automations(v.Context(), organization, store.AutomationFilter{}, one)
	if err != nil {
		return nil, err
	}
	add("create_user", "/users/create", "Add your people", "Ranks, awards and records are about them.", len(people.Items) > 1)
	add("create_webhook", "/webhooks/create", "Create a webhook", "Discord, a spreadsheet or a program of your own is told when something changes.", len(hooks.Items) > 0)
	making := "/automations" // where the templates are too
	if !v.Can("view_any_automation") {
		making = "/automations/create"
	}
	add("create_automation", making, "Make an automation", "Say when something is sent, and in which words. There are templates.", len(automations.Items) > 0)
	if !slices.ContainsFunc(steps, func(step firstStep) bool { return !step.Done }) {
		return nil, nil
	}
	return steps, nil
}

// oversee fills in what is about webhooks.
func (s *server) oversee(v *visit, p *dashboardPage) error {
	ctx, organization, now := v.Context(), v.actor.OrganizationID, s.now()
	until := now.Truncate(time.Minute).Add(time.Minute)
	hour, err := s.store.OrganizationStats(ctx, organization, until.Add(-time.Hour), until, time.Minute)
	if err != nil {
		return err
	}
	p.Hour = outcomeChart{Stats: hour, Label: "Requests in the last hour by outcome, a minute each", Of: "all webhooks and message channels"}
	month := webhookRanges[2]
	since, end := month.bounds(now)
	days, err := s.store.OrganizationStats(ctx, organization, since, end, month.step)
	if err != nil {
		return err
	}
	p.Month = outcomeChart{Stats: days, Label: "Requests in the last 30 days by outcome, a day each", Of: "all webhooks and message channels"}
	hooks, ids, err := s.overseen(v)
	if err != nil {
		return err
	}
	if p.Tiles, err = s.tiles(v, hooks, ids); err != nil {
		return err
	}
	p.Tiles.frame = &p.frame
	day := webhookRanges[0]
	since, end = day.bounds(now)
	stats, err := s.store.WebhookStats(ctx, organization, ids, since, end, end.Sub(since))
	if err != nil {
		return err
	}
	var rows []webhookRow
	for _, w := range hooks {
		row := webhookRow{Webhook: w, Day: stats[w.ID].Outcomes, Rate: rateText(stats[w.ID].Outcomes)}
		rows = append(rows, row)
		if w.Health.State() != bugle.Healthy {
			p.Failing = append(p.Failing, row)
		}
	}
	p.Failing = p.Failing[:min(len(p.Failing), shownWebhooks)]
	slices.SortStableFunc(rows, func(a, b webhookRow) int { return cmp.Compare(b.Day.P95, a.Day.P95) })
	for _, row := range rows[:min(len(rows), shownWebhooks)] {
		if row.Day.P95 > 0 {
			p.Slowest = append(p.Slowest, row)
		}
	}
	return nil
}

// overseen are the webhooks that the dashboard looks at.
func (s *server) overseen(v *visit) (hooks []*bugle.Webhook, ids []int64, err error) {
	page, err := s.store.Webhooks(v.Context(), v.actor.OrganizationID, store.WebhookFilter{}, store.PageRequest{Number: 1, Limit: maxOverseen, CountTo: -1})
	for _, w := range page.Items {
		ids = append(ids, w.ID)
	}
	return page.Items, ids, err
}

func (s *server) tiles(v *visit, hooks []*bugle.Webhook, ids []int64) (*tiles, error) {
	day := webhookRanges[0]
	since, until := day.bounds(s.now())
	stats, err := s.store.OrganizationStats(v.Context(), v.actor.OrganizationID, since, until, day.step)
	if err != nil {
		return nil, err
	}
	backlog, err := s.store.Backlog(v.Context(), v.actor.OrganizationID, ids)
	if err != nil {
		return nil, err
	}
	t := &tiles{Attempts: stats.Attempts, Delivered: stats.Delivered, Rate: rateText(stats.Outcomes)}
	for _, w := range backlog {
		t.Waiting, t.Retrying, t.More = t.Waiting+w.Due, t.Retrying+w.Retrying, t.More || w.Capped
		if !w.OldestDue.IsZero() && (t.Oldest.IsZero() || w.OldestDue.Before(t.Oldest)) {
			t.Oldest = w.OldestDue
		}
	}
	for _, w := range hooks {
		if w.Status == bugle.Paused {
			t.Paused++
		}
		if w.Health.State() != bugle.Healthy {
			t.Failing++
		}
	}
	return t, nil
}

// showTiles answers with the numbers alone: the page asks for them again and again.
func (s *server) showTiles(v *visit) error {
	hooks, ids, err := s.overseen(v)
	if err != nil {
		return err
	}
	t, err := s.tiles(v, hooks, ids)
	if err != nil {
		return err
	}
	f := v.newFrame("", "")
	t.frame = &f
	return v.fragment(http.StatusOK, "dashboard.html", "tiles", t)
}
