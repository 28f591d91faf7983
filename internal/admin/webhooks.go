package admin

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/internal/store"
	"github.com/buglehq/bugle/personnel"
)

// webhooks adds the pages of webhooks.
func (s *server) webhooks() {
	s.page("GET /webhooks", "view_any_webhook", s.listWebhooks)
	s.page("POST /webhooks", "create_webhook", s.createWebhook)
	s.page("GET /webhooks/create", "create_webhook", s.newWebhook)
	s.page("POST /webhooks/bulk", "view_any_webhook", s.changeWebhooks) // what is to be done needs a permission of its own
	s.page("GET /webhooks/{id}", "view_webhook", s.showWebhook)
	s.page("GET /webhooks/{id}/edit", "update_webhook", s.editWebhook)
	s.page("POST /webhooks/{id}/edit", "update_webhook", s.saveWebhook)
	s.page("POST /webhooks/{id}/delete", "delete_webhook", s.deleteWebhook)
	s.page("POST /webhooks/{id}/secret", "update_webhook", s.revealSecret)
	s.page("POST /webhooks/{id}/rotate", "update_webhook", s.rotateSecret)
	s.page("GET /webhooks/{id}/test", "view_webhook", s.newTest)
	s.page("POST /webhooks/{id}/test", "view_webhook", s.sendTest)
	s.page("GET /webhooks/{id}/test/{delivery}", "view_webhook", s.showTest)
	for verb, change := range statusChanges {
		s.page("POST /webhooks/{id}/"+verb, "update_webhook", func(v *visit) error { return s.changeStatus(v, change) })
	}
}

// A statusChange is what a button does with a webhook.
type statusChange struct {
	of   func(w *bugle.Webhook) error
	done string // of one webhook, after its name
}

// statusChanges by their verb in addresses and forms.
var statusChanges = map[string]statusChange{
	"pause":   {(*bugle.Webhook).Pause, "is paused. What happens meanwhile is kept and sent when you resume it."},
	"resume":  {(*bugle.Webhook).Resume, "is active again. What waited is being sent."},
	"disable": {(*bugle.Webhook).Disable, "is disabled. Nothing that happens from now on is sent to it."},
	"enable":  {(*bugle.Webhook).Enable, "is active. What happened while it was disabled can be sent from its log, by Redeliver."},
}

// subscribable are the events that a webhook may name.
var subscribable = personnel.Subscribable()

type webhooksPage struct {
	frame
	Rows     []webhookRow
	Columns  []column
	Filters  []filter
	Filtered bool
	Pager    pager
	Chart    outcomeChart
}

type webhookRow struct {
	*bugle.Webhook
	Shape   webhookShape
	Day     store.Outcomes // of the last 24 hours
	Rate    string
	Spark   sparkline
	Waiting store.Waiting
}

// shownEvents is how many events a row names; the others are folded.
const shownEvents = 3

// FirstEvents are those that the row names.
func (r webhookRow) FirstEvents() []string { return r.Events[:min(len(r.Events), shownEvents)] }

// OtherEvents are the folded ones.
func (r webhookRow) OtherEvents() []string { return r.Events[min(len(r.Events), shownEvents):] }

func (s *server) listWebhooks(v *visit) error {
	query := v.URL.Query()
	filter := store.WebhookFilter{Text: strings.TrimSpace(query.Get("search")), Event: query.Get("event"), Status: bugle.WebhookStatus(query.Get("status"))}
	filter.Sort, filter.Descending = v.sorting()
	if filter.Sort == "" {
		filter.Descending = true // newest first
	}
	if v.wantsCSV() {
		return s.exportWebhooks(v, filter)
	}
	ctx, organization := v.Context(), v.actor.OrganizationID
	page, err := s.store.Webhooks(ctx, organization, filter, v.paging())
	if err != nil {
		return err
	}
	ids := make([]int64, len(page.Items))
	for i, w := range page.Items {
		ids[i] = w.ID
	}
	day := webhookRanges[0]
	since, until := day.bounds(s.now())
	stats, err := s.store.WebhookStats(ctx, organization, ids, since, until, day.step)
	if err != nil {
		return err
	}
	all, err := s.store.OrganizationStats(ctx, organization, since, until, day.step)
	if err != nil {
		return err
	}
	waiting, err := s.store.Backlog(ctx, organization, ids)
	if err != nil {
		return err
	}
	p := &webhooksPage{frame: v.newFrame("Webhooks", "webhooks"), Pager: pagerOf(v, page), Filtered: filter.Text != "" || filter.Event != "" || filter.Status != ""}
	p.Lead = "Tell other services in real time when your data changes."
	p.Chart = outcomeChart{Stats: all, Label: "Requests in the last 24 hours by outcome, an hour each", Of: "all webhooks and message channels"}
	p.Columns = []column{{Key: "name", Label: "Name"}, {Label: "Events"}, {Key: "status", Label: "Health"},
		{Label: "Success", Class: "num"}, {Label: "Response"}, {Label: "Waiting", Class: "num"}, {Key: "created", Label: "Created"}}
	p.Filters = v.webhookFilters()
	for _, w := range page.Items {
		p.Rows = append(p.Rows, webhookRow{Webhook: w, Shape: shapeOf(w), Day: stats[w.ID].Outcomes, Rate: rateText(stats[w.ID].Outcomes),
			Spark: sparkOf(stats[w.ID]), Waiting: waiting[w.ID]})
	}
	return v.render(http.StatusOK, "webhooks.html", p)
}

func (v *visit) webhookFilters() []filter {
	statuses := make([]option, 0, len(bugle.WebhookStatuses))
	for _, status := range bugle.WebhookStatuses {
		statuses = append(statuses, option{Value: string(status), Label: title(string(status))})
	}
	return []filter{
		v.filterText("search", "Search", "Name, description or URL"),
		v.filterBy("status", "Status", "Any status", statuses),
		v.filterBy("event", "Event", "Any event", eventOptions()),
	}
}

// eventOptions are the events to choose one, by group.
func eventOptions() []option {
	var options []option
	for _, g := range eventGroups() {
		for _, row := range g.Rows {
			for _, e := range row.Events {
				options = append(options, option{Value: e.Name, Label: e.Name, Group: g.Label})
			}
		}
	}
	return options
}

func (s *server) exportWebhooks(v *visit, filter store.WebhookFilter) error {
	head := []string{"id", "name", "url", "method", "events", "status", "health", "failures_in_a_row", "last_success_at", "last_failure_at", "created_at"}
	return v.csv("webhooks", head, func(write func(row []string) error) error {
		for number := 1; ; number++ {
			page, err := s.store.Webhooks(v.Context(), v.actor.OrganizationID, filter, store.PageRequest{Number: number, Limit: store.MaxLimit, CountTo: -1})
			if err != nil {
				return err
			}
			for _, w := range page.Items {
				err := write([]string{strconv.FormatInt(w.ID, 10), w.Name, w.URL, w.Method, strings.Join(w.Events, " "), string(w.Status), string(w.Health.State()),
					strconv.Itoa(w.Health.ConsecutiveFailures), timeCell(w.Health.LastSuccessAt), timeCell(w.Health.LastFailureAt), timeCell(w.CreatedAt)})
				if err != nil {
					return err
				}
			}
			if len(page.Items) < store.MaxLimit {
				return nil
			}
		}
	})
}

func timeCell(at time.Time) string {
	if at.IsZero() {
		return ""
	}
	return bugle.FormatTime(at)
}

// A webhookShape says in words how a webhook is doing.
type webhookShape struct{ Dot, Word, Text string }

func shapeOf(w *bugle.Webhook) webhookShape {
	switch {
	case w.Status == bugle.Disabled:
		return webhookShape{"", "Disabled", "Nothing is sent to it, and what happens now will not be sent later."}
	case w.Status == bugle.Paused:
		return webhookShape{"dot-blue", "Paused", "What happens is kept and waits until you resume it."}
	}
	failures := w.Health.ConsecutiveFailures
	switch w.Health.State() {
	case bugle.Failing:
		if failures == 1 {
			return webhookShape{"dot-orange", "Failing", "The last attempt failed. It is tried again."}
		}
		return webhookShape{"dot-orange", "Failing", fmt.Sprintf("The last %d attempts failed. They are tried again.", failures)}
	case bugle.Tripped:
		return webhookShape{"dot-red", "Tripped", fmt.Sprintf("The last %s attempts failed. To spare the receiver only one request is sent at a time until one succeeds.", thousands(failures))}
	}
	if w.Health.LastSuccessAt.IsZero() {
		return webhookShape{"dot-green", "Healthy", "Nothing has been sent yet."}
	}
	return webhookShape{"dot-green", "Healthy", "The last attempt was delivered."}
}

type webhookPage struct {
	frame
	Webhook     *bugle.Webhook
	Shape       webhookShape
	Waiting     store.Waiting
	Chart       outcomeChart
	Ranges      []rangeLink
	Rate        string
	Headers     []bugle.Header // masked
	Kept        []string       // what its field policy does
	Schedule    string
	Automations []*bugle.Automation
	MoreUse     bool   // there are more automations
	Secret      string // to be shown; empty: it is not
	OldSecret   string
	OldUntil    time.Time // zero: there is no old secret
	Keep        []option
	Service     *webhookPreset // whose URL it has; nil: none of those known
	Logs        *webhookLogs   // nil: they may not be seen
	Snippets    []snippetTab
}

// FirstEvents are those that the page names at once.
func (p *webhookPage) FirstEvents() []string {
	return p.Webhook.Events[:min(len(p.Webhook.Events), shownEvents)]
}

// OtherEvents are the folded ones.
func (p *webhookPage) OtherEvents() []string {
	return p.Webhook.Events[min(len(p.Webhook.Events), shownEvents):]
}

// A webhookLogs are the newest deliveries of a webhook.
type webhookLogs struct {
	Rows       []deliveryRow
	Filters    []filter
	Problems   []string
	Filtered   bool
	Incomplete bool
	All        string // the address of the whole log, with the same filters
	Stream     string // the address of what changes
}

// A rangeLink leads to the chart of another time.
type rangeLink struct {
	URL, Label string
	Current    bool
}

// webhook returns the webhook in the path.
func (v *visit) webhook() (*bugle.Webhook, error) {
	id, err := v.id()
	if err != nil {
		return nil, err
	}
	return v.server.store.Webhook(v.Context(), v.actor.OrganizationID, id)
}

// webhookURL is the address of a webhook's page, with a parameter of the query changed. The page may be the
// answer to a post to another address.
func (v *visit) webhookURL(w *bugle.Webhook, name, text string) string {
	query := v.URL.Query()
	query.Set(name, text)
	return pathWith(fmt.Sprintf("/webhooks/%d", w.ID), query)
}

func (s *server) showWebhook(v *visit) error {
	w, err := v.webhook()
	if err != nil {
		return err
	}
	return s.renderWebhook(v, w, false)
}

// revealSecret shows the webhook with its secret, on this one answer.
func (s *server) revealSecret(v *visit) error {
	w, err := v.webhook()
	if err != nil {
		return err
	}
	return s.renderWebhook(v, w, true)
}

const (
	maxAutomationsShown = 20
	maxLogsShown        = 10
)

// ruleText says what a rule of a field policy does.
func ruleText(r bugle.FieldRule) string {
	what := r.Attribute
	if p := bugle.FieldPresetByName(r.Preset); p != nil {
		what = p.Label
	}
	if r.Action == bugle.HashField {
		return what + ": replaced by a hash"
	}
	return what + ": left out"
}

func (s *server) renderWebhook(v *visit, w *bugle.Webhook, reveal bool) error {
	ctx, organization := v.Context(), v.actor.OrganizationID
	p := &webhookPage{frame: v.newFrame(w.Name, "webhooks"), Webhook: w, Shape: shapeOf(w), Schedule: scheduleText(w.RetrySchedule), Service: serviceOf(w.URL), Keep: keepOptions}
	p.Back = &link{"/webhooks", "Webhooks"}
	chosen := webhookRanges[0]
	for _, r := range webhookRanges {
		if r.key == v.URL.Query().Get("range") {
			chosen = r
		}
	}
	for _, r := range webhookRanges {
		p.Ranges = append(p.Ranges, rangeLink{v.webhookURL(w, "range", r.key) + "#chart", r.label, r.key == chosen.key})
	}
	since, until := chosen.bounds(s.now())
	stats, err := s.store.WebhookStats(ctx, organization, []int64{w.ID}, since, until, chosen.step)
	if err != nil {
		return err
	}
	p.Chart = outcomeChart{Stats: stats[w.ID], Label: "Requests in the last " + chosen.label + " by outcome, " + chosen.each + " each", Of: "this webhook"}
	p.Rate = rateText(stats[w.ID].Outcomes)
	waiting, err := s.store.Backlog(ctx, organization, []int64{w.ID})
	if err != nil {
		return err
	}
	p.Waiting = waiting[w.ID]
	for _, h := range w.Headers {
		p.Headers = append(p.Headers, bugle.MaskHeader(h))
	}
	for _, r := range w.FieldPolicy {
		p.Kept = append(p.Kept, ruleText(r))
	}
	if v.Can("view_any_automation") {
		page, err := s.store.Automations(ctx, organization, store.AutomationFilter{WebhookID: w.ID}, store.PageRequest{Number: 1, Limit: maxAutomationsShown + 1, CountTo: -1})
		if err != nil {
			return err
		}
		p.MoreUse = len(page.Items) > maxAutomationsShown
		p.Automations = page.Items[:min(len(page.Items), maxAutomationsShown)]
	}
	if w.OldSecret != "" && s.now().Before(w.OldSecretUntil) {
		p.OldUntil = w.OldSecretUntil
	}
	if reveal {
		p.Secret = w.Secret
		if !p.OldUntil.IsZero() {
			p.OldSecret = w.OldSecret
		}
	}
	if v.Can("view_any_webhook_log") {
		if p.Logs, err = s.logsOf(v, &p.frame, w); err != nil {
			return err
		}
	}
	if p.Snippets, err = v.snippetTabs(w); err != nil {
		return err
	}
	return v.render(http.StatusOK, "webhook.html", p)
}

// logsOf returns the newest deliveries of a webhook that the filters in the query ask for, which are those of the log.
func (s *server) logsOf(v *visit, p *frame, w *bugle.Webhook) (*webhookLogs, error) {
	f, problems := v.deliveryFilters()
	f.WebhookID, f.Channel = w.ID, ""
	of := url.Values{"webhook": {strconv.FormatInt(w.ID, 10)}, "range": nil, "code": nil}
	logs := &webhookLogs{Problems: problems, Filtered: v.filtered(), All: v.logQuery("/webhook-logs", of)}
	names := slices.Clone(w.Events)
	for _, name := range []string{bugle.TestEvent, f.Event} {
		if name != "" && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	var events []option
	for _, name := range names {
		events = append(events, option{Value: name, Label: name})
	}
	logs.Filters = []filter{v.filterBy("state", "State", "Any state", stateOptions), v.filterBy("event", "Event", "Any event", events),
		v.filterBy("status", "Answer", "Any answer", answerOptions), v.filterText("request_id", "Request ID", "or how it begins")}
	if len(problems) > 0 {
		return logs, nil
	}
	loaded := s.now()
	page, err := s.store.Deliveries(v.Context(), v.actor.OrganizationID, f, store.PageRequest{Number: 1, Limit: maxLogsShown, CountTo: -1})
	if err != nil {
		return nil, err
	}
	logs.Incomplete = page.Incomplete
	if logs.Rows, err = v.deliveryRows(p, page.Items); err != nil {
		return nil, err
	}
	of.Set("rows", "webhook")
	of.Set("loaded", strconv.FormatInt(loaded.UnixMicro(), 10))
	if n := len(page.Items); n > 0 {
		of.Set("from", strconv.FormatInt(page.Items[n-1].ID, 10))
	}
	logs.Stream = v.logQuery("/webhook-logs/stream", of)
	return logs, nil
}

// keepOptions are for how long an old secret may sign beside a new one, in seconds.
var keepOptions = []option{
	{Value: "0", Label: "Not at all: only the new one counts from now on"},
	{Value: "3600", Label: "For an hour"},
	{Value: "86400", Label: "For 24 hours", Selected: true},
	{Value: "604800", Label: "For 7 days"},
}

func (s *server) rotateSecret(v *visit) error {
	id, err := v.id()
	if err != nil {
		return err
	}
	f, err := v.form()
	if err != nil {
		return err
	}
	seconds, err := strconv.Atoi(f.Get("keep"))
	if err != nil {
		return bugle.Invalid("keep", "Choose for how long the old secret is to be kept.")
	}
	keep := time.Duration(seconds) * time.Second
	err = s.store.Update(v.Context(), func(tx *store.Tx) error {
		w, err := tx.Webhook(v.actor.OrganizationID, id)
		if err != nil {
			return err
		}
		if err := w.RotateSecret("", keep, tx.Now()); err != nil {
			return err
		}
		return tx.SaveWebhook(w)
	})
	if err != nil {
		return err
	}
	text := "There is a new secret. Show it below, and give it to the receiver."
	if keep > 0 {
		text += " Until the time is over requests are signed with both."
	}
	v.flash("success", text)
	return v.redirect(fmt.Sprintf("/webhooks/%d#secret", id))
}

func (s *server) changeStatus(v *visit, change statusChange) error {
	id, err := v.id()
	if err != nil {
		return err
	}
	var w *bugle.Webhook
	err = s.store.Update(v.Context(), func(tx *store.Tx) (err error) {
		if w, err = tx.Webhook(v.actor.OrganizationID, id); err != nil {
			return err
		}
		if err := change.of(w); err != nil {
			return err
		}
		return tx.SaveWebhook(w)
	})
	if err != nil {
		return err
	}
	v.flash("success", w.Name+" "+change.done)
	return v.redirect(fmt.Sprintf("/webhooks/%d", id))
}

func (s *server) deleteWebhook(v *visit) error {
	id, err := v.id()
	if err != nil {
		return err
	}
	var w *bugle.Webhook
	err = s.store.Update(v.Context(), func(tx *store.Tx) (err error) {
		if w, err = tx.Webhook(v.actor.OrganizationID, id); err != nil {
			return err
		}
		return tx.DeleteWebhook(v.actor.OrganizationID, id)
	})
	if err != nil {
		return err
	}
	v.flash("success", "The webhook "+w.Name+" is deleted. Its log stays.")
	return v.redirect("/webhooks")
}

// changeWebhooks does the same with several webhooks, in one transaction. Those that are gone, or that
// it cannot be done with, are left as they are.
func (s *server) changeWebhooks(v *visit) error {
	f, err := v.form()
	if err != nil {
		return err
	}
	action := f.Get("action")
	permission, done := "update_webhook", "changed"
	switch action {
	case "delete":
		permission, done = "delete_webhook", "deleted"
	case "pause":
		done = "paused"
	case "resume":
		done = "resumed"
	default:
		return bugle.Invalid("action", "Choose what is to be done.")
	}
	if !v.Can(permission) {
		return bugle.ErrForbidden
	}
	chosen := f.All("ids")
	if len(chosen) == 0 {
		v.flash("warning", "Nothing was chosen: tick the webhooks first.")
		return v.redirect("/webhooks")
	}
	if len(chosen) > store.MaxLimit {
		return bugle.Invalid("ids", "Choose at most %d webhooks at once.", store.MaxLimit)
	}
	var changed, left int
	err = s.store.Update(v.Context(), func(tx *store.Tx) error {
		changed, left = 0, 0
		for _, text := range chosen {
			id, err := strconv.ParseInt(text, 10, 64)
			if err != nil {
				return bugle.Invalid("ids", "There is no webhook %q.", text)
			}
			switch err := changeOne(tx, v.actor.OrganizationID, id, action); {
			case err == nil:
				changed++
			case errors.Is(err, bugle.ErrNotFound) || errors.Is(err, bugle.ErrConflict):
				left++
			default:
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	kind, text := "success", fmt.Sprintf("%s %s.", plural(changed, "webhook was", "webhooks were"), done)
	if left > 0 {
		kind = "warning"
		text += fmt.Sprintf(" %s left as they were: disabled, or deleted by somebody else.", plural(left, "was", "were"))
	}
	v.flash(kind, text)
	return v.redirect("/webhooks")
}

func changeOne(tx *store.Tx, organizationID, id int64, action string) error {
	if action == "delete" {
		return tx.DeleteWebhook(organizationID, id)
	}
	w, err := tx.Webhook(organizationID, id)
	if err != nil {
		return err
	}
	if err := statusChanges[action].of(w); err != nil {
		return err
	}
	return tx.SaveWebhook(w)
}

// plural is a number with the word for it.
func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return thousands(n) + " " + many
}
