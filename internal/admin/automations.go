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
	"github.com/buglehq/bugle/internal/dispatch"
	"github.com/buglehq/bugle/internal/store"
	"github.com/buglehq/bugle/personnel"
	"github.com/buglehq/bugle/value"
)

// automations adds the pages of automations.
func (s *server) automations() {
	s.page("GET /automations", "view_any_automation", s.listAutomations)
	s.page("POST /automations/bulk", "view_any_automation", s.changeAutomations)
	s.page("GET /automations/create", "create_automation", s.newAutomation)
	s.page("POST /automations", "create_automation", s.createAutomation)
	s.page("POST /automations/preview", "", s.previewAutomation)
	s.page("GET /automations/complete", "", s.completeAutomation)
	s.page("GET /automations/reference", "", s.showReference)
	s.page("GET /automations/{id}", "view_automation", s.showAutomation)
	s.page("GET /automations/{id}/edit", "update_automation", s.editAutomation)
	s.page("POST /automations/{id}/edit", "update_automation", s.updateAutomation)
	s.page("POST /automations/{id}/enabled", "update_automation", s.enableAutomation)
	s.page("POST /automations/{id}/delete", "delete_automation", s.deleteAutomation)
	s.page("GET /automations/{id}/backtest", "view_automation", s.backtestAutomation)
}

// A badge is a word with a colour.
type badge struct{ Label, Color string }

// actionLabels are what action types are called.
var actionLabels = map[bugle.ActionType]string{
	bugle.SendWebhook: "Send Webhook", bugle.SendMessage: "Send Message", bugle.UpdateModel: "Update Resource",
}

// lookupLabels are what the ways to find a resource are called.
var lookupLabels = map[bugle.LookupType]string{
	bugle.LookupExpression: "By Expression (ID)", bugle.LookupQuery: "By Query Conditions",
}

// formatLabels are what the formats of payloads are called.
var formatLabels = map[bugle.PayloadFormat]string{
	bugle.PayloadEnvelope: "Event envelope, as webhooks get it",
	bugle.PayloadJSON:     "The JSON alone: Discord, Slack, Telegram, Teams",
	bugle.PayloadText:     "Free text that makes up JSON",
}

// triggerLabel is what an event is called: "Rank Record Created".
func triggerLabel(name string) string {
	stem, verb, _ := strings.Cut(name, ".")
	if k := personnel.ByName(stem); k != nil {
		return k.Class + " " + title(verb)
	}
	return name
}

// triggerOptions are the events that automations can have as triggers, by the kind of resource.
func triggerOptions() []option {
	var options []option
	for _, name := range personnel.EventNames() {
		stem, _, _ := strings.Cut(name, ".")
		group := ""
		if k := personnel.ByName(stem); k != nil {
			group = k.Class
		}
		options = append(options, option{Value: name, Label: triggerLabel(name), Group: group})
	}
	return options
}

// optionsOf are options with the labels of their values.
func optionsOf[T ~string](values []T, labels map[T]string) []option {
	options := make([]option, len(values))
	for i, v := range values {
		options[i] = option{Value: string(v), Label: labels[v]}
	}
	return options
}

// countRunsTo is how far the runs of an automation are counted.
const countRunsTo = 10_000

type automationsPage struct {
	frame
	Rows      []automationRow
	Pager     pager
	Filters   []filter
	Columns   []column
	Templates []dispatch.Template
	Narrowed  bool // by filters or a search
}

type automationRow struct {
	*bugle.Automation
	Trigger string
	Action  string
	Runs    string
}

func (s *server) listAutomations(v *visit) error {
	query := v.URL.Query()
	f := store.AutomationFilter{Trigger: query.Get("trigger"), ActionType: bugle.ActionType(query.Get("action_type")), Text: strings.TrimSpace(query.Get("search"))}
	if text := query.Get("enabled"); text == "1" || text == "0" {
		enabled := text == "1"
		f.Enabled = &enabled
	}
	f.Sort, f.Descending = v.sorting()
	if !slices.Contains(store.AutomationSorts, f.Sort) {
		f.Sort, f.Descending = "created_at", true
	}
	if v.wantsCSV() {
		return s.exportAutomations(v, f)
	}
	page, err := s.store.Automations(v.Context(), v.actor.OrganizationID, f, v.paging())
	if err != nil {
		return err
	}
	rows, err := s.automationRows(v, page.Items)
	if err != nil {
		return err
	}
	p := &automationsPage{frame: v.newFrame("Automations", "automations"), Rows: rows, Pager: pagerOf(v, page)}
	p.Lead = "Actions that are taken by themselves when something happens."
	p.Narrowed = f.Trigger != "" || f.ActionType != "" || f.Enabled != nil || f.Text != ""
	p.Filters = []filter{
		v.filterText("search", "Search", "Name or description"),
		v.filterBy("trigger", "Trigger", "All triggers", triggerOptions()),
		v.filterBy("action_type", "Action", "All actions", optionsOf(bugle.ActionTypes, actionLabels)),
		v.filterBy("enabled", "Enabled", "All", []option{{Value: "1", Label: "Enabled"}, {Value: "0", Label: "Disabled"}}),
	}
	p.Columns = []column{{Key: "name", Label: "Name and description"}, {Key: "trigger", Label: "Trigger"}, {Key: "action_type", Label: "Action"},
		{Key: "enabled", Label: "Enabled"}, {Key: "priority", Label: "Priority", Class: "num"}, {Label: "Executions", Class: "num"}, {Key: "created_at", Label: "Created"}}
	if v.Can("create_automation") {
		p.Templates = dispatch.Templates()
	}
	return v.render(http.StatusOK, "automations.html", p)
}

// automationRows are the rows of automations, with how many runs each has had.
func (s *server) automationRows(v *visit, list []*bugle.Automation) ([]automationRow, error) {
	ids := make([]int64, len(list))
	for i, a := range list {
		ids[i] = a.ID
	}
	counts, err := s.store.CountRunsTo(v.Context(), ids, countRunsTo+1)
	if err != nil {
		return nil, err
	}
	rows := make([]automationRow, len(list))
	for i, a := range list {
		runs := thousands(min(counts[a.ID], countRunsTo))
		if counts[a.ID] > countRunsTo {
			runs += "+"
		}
		rows[i] = automationRow{a, triggerLabel(a.Trigger), actionLabels[a.ActionType], runs}
	}
	return rows, nil
}

func (s *server) exportAutomations(v *visit, f store.AutomationFilter) error {
	head := []string{"id", "name", "description", "trigger", "condition", "action_type", "enabled", "priority", "executions", "created_at"}
	return v.csv("automations", head, func(write func([]string) error) error {
		for p := (store.PageRequest{Number: 1, Limit: store.MaxLimit, CountTo: -1}); ; p.Number++ {
			page, err := s.store.Automations(v.Context(), v.actor.OrganizationID, f, p)
			if err != nil {
				return err
			}
			rows, err := s.automationRows(v, page.Items)
			if err != nil {
				return err
			}
			for _, a := range rows {
				err := write([]string{strconv.FormatInt(a.ID, 10), a.Name, a.Description, a.Automation.Trigger, a.Condition, string(a.ActionType),
					strconv.FormatBool(a.Enabled), strconv.Itoa(a.Priority), a.Runs, bugle.FormatTime(a.CreatedAt)})
				if err != nil {
					return err
				}
			}
			if len(rows) < p.Limit {
				return nil
			}
		}
	})
}

// maxBulk is how many rows a form of a list may name.
const maxBulk = store.MaxLimit

// changeAutomations enables, disables or deletes the automations that were ticked.
func (s *server) changeAutomations(v *visit) error {
	f, err := v.form()
	if err != nil {
		return err
	}
	action, permission := f.Get("action"), "update_automation"
	if action == "delete" {
		permission = "delete_automation"
	}
	if !v.Can(permission) {
		return bugle.ErrForbidden
	}
	ids := f.All("id")
	if len(ids) == 0 {
		v.flash("warning", "Tick at least one automation first.")
		return v.redirect("/automations")
	}
	if len(ids) > maxBulk {
		return bugle.Invalid("", "Choose no more than %d automations at once.", maxBulk)
	}
	if action != "enable" && action != "disable" && action != "delete" {
		return bugle.Invalid("", "There is no action %q.", action)
	}
	changed := 0
	err = s.store.Update(v.Context(), func(tx *store.Tx) error {
		changed = 0
		for _, text := range ids {
			id, _ := strconv.ParseInt(text, 10, 64)
			err := changeAutomation(tx, v.actor.OrganizationID, id, action)
			if err == nil {
				changed++
			} else if !errors.Is(err, bugle.ErrNotFound) { // somebody has deleted it
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	noun := "automations are"
	if changed == 1 {
		noun = "automation is"
	}
	v.flash("success", fmt.Sprintf("%d %s %sd.", changed, noun, action))
	return v.redirect("/automations")
}

func changeAutomation(tx *store.Tx, organizationID, id int64, action string) error {
	if action == "delete" {
		return tx.DeleteAutomation(organizationID, id)
	}
	a, err := tx.Automation(organizationID, id)
	if err != nil {
		return err
	}
	a.Enabled = action == "enable"
	return tx.SaveAutomation(a)
}

func (s *server) enableAutomation(v *visit) error {
	id, err := v.id()
	if err != nil {
		return err
	}
	f, err := v.form()
	if err != nil {
		return err
	}
	action, text := "disable", "The automation is disabled. What happens from now on does not start it."
	if f.Get("enabled") == "1" {
		action, text = "enable", "The automation is enabled."
	}
	err = s.store.Update(v.Context(), func(tx *store.Tx) error { return changeAutomation(tx, v.actor.OrganizationID, id, action) })
	if err != nil {
		return err
	}
	v.flash("success", text)
	return v.redirect("/automations/" + strconv.FormatInt(id, 10))
}

func (s *server) deleteAutomation(v *visit) error {
	id, err := v.id()
	if err != nil {
		return err
	}
	var name string
	err = s.store.Update(v.Context(), func(tx *store.Tx) error {
		a, err := tx.Automation(v.actor.OrganizationID, id)
		if err != nil {
			return err
		}
		name = a.Name
		return tx.DeleteAutomation(v.actor.OrganizationID, id)
	})
	if err != nil {
		return err
	}
	v.flash("success", "The automation "+name+" is deleted, with its log. What it has done stays.")
	return v.redirect("/automations")
}

// A tab is one of a page's.
type automationTab struct {
	Key, Label string
	Current    bool
	Problems   int
	URL        string
}

// automationTabs are those of forms and pages of automations.
func automationTabs(v *visit, path string) []automationTab {
	tabs := []automationTab{{Key: "automation", Label: "Automation"}, {Key: "trigger", Label: "1. Trigger"}, {Key: "condition", Label: "2. Condition"}, {Key: "action", Label: "3. Action"}}
	chooseTab(v, path, tabs)
	return tabs
}

// chooseTab marks the tab that the query asks for, else the first, and gives all their addresses.
func chooseTab(v *visit, path string, tabs []automationTab) {
	current := slices.IndexFunc(tabs, func(t automationTab) bool { return t.Key == v.URL.Query().Get("tab") })
	tabs[max(current, 0)].Current = true
	for i := range tabs {
		query := url.Values{}
		if path == v.URL.Path {
			query = v.URL.Query()
		}
		query.Set("tab", tabs[i].Key)
		tabs[i].URL = pathWith(path, query)
	}
}

type automationPage struct {
	frame
	Automation *bugle.Automation
	Trigger    string
	Action     string
	Tabs       []automationTab
	Webhook    *bugle.Webhook // nil: none
	Format     string
	Payload    string // the template
	Channels   []string
	Target     string
	Lookup     string
	Conditions string
	Fields     string
	Runs       []runRow
}

func (s *server) showAutomation(v *visit) error {
	id, err := v.id()
	if err != nil {
		return err
	}
	a, err := s.store.Automation(v.Context(), v.actor.OrganizationID, id)
	if err != nil {
		return err
	}
	p := &automationPage{frame: v.newFrame(a.Name, "automations"), Automation: a, Trigger: triggerLabel(a.Trigger), Action: actionLabels[a.ActionType]}
	p.Back = &link{"/automations", "Automations"}
	p.Tabs = automationTabs(v, v.URL.Path)
	if a.WebhookID != 0 {
		if p.Webhook, err = s.store.Webhook(v.Context(), v.actor.OrganizationID, a.WebhookID); err != nil && !errors.Is(err, bugle.ErrNotFound) {
			return err
		}
	}
	p.Format, p.Payload = formatLabels[a.PayloadFormat], templateText(a.PayloadTemplate)
	for _, name := range a.MessageChannels {
		label := name
		if c := bugle.ChannelByName(name); c != nil {
			label = c.Label
		}
		p.Channels = append(p.Channels, label)
	}
	if k := personnel.ByName(a.UpdateTarget); k != nil {
		p.Target = k.Class
	}
	p.Lookup = lookupLabels[a.UpdateLookup]
	p.Conditions, p.Fields = linesOf(a.UpdateLookupConditions), linesOf(a.UpdateFields)
	if v.Can("view_any_automation_log") {
		page, err := s.store.Runs(v.Context(), v.actor.OrganizationID, store.RunFilter{AutomationID: id}, store.PageRequest{Number: 1, Limit: 10, CountTo: -1})
		if err != nil {
			return err
		}
		p.Runs = runRows(v, page.Items)
	}
	return v.render(http.StatusOK, "automation.html", p)
}

// backtestPeriods are how many days a back-test may go back.
var backtestPeriods = []int{1, 7, 30, 90}

// shownTrials is how many events the page of a back-test shows, each with what would have been sent: the page is to stay
// light. The file has them all.
const shownTrials = 50

type backtestPage struct {
	frame
	Automation *bugle.Automation
	Trigger    string
	Days       int
	Periods    []int
	Summary    *dispatch.Summary
	Tiles      []backtestTile
	Trials     []trialRow
}

type backtestTile struct {
	badge
	Count int
	Hint  string
}

type trialRow struct {
	Event  *bugle.Event
	Label  string
	Status badge
	Error  *dispatch.RunError
	Result string
}

// backtestStatuses are the ways in which a try can end, in the order of the page.
var backtestStatuses = []struct {
	status bugle.RunStatus
	badge
	hint string
}{
	{bugle.RunExecuted, badge{"Would have acted", "green"}, "The condition was true."},
	{bugle.RunConditionFailed, badge{"Condition false", "yellow"}, "Nothing would have been done."},
	{bugle.RunFailed, badge{"Would have failed", "red"}, "The condition or a template has an error."},
	{bugle.RunLoopStopped, badge{"Loop stopped", "orange"}, "The automation had acted already."},
}

func (s *server) backtestAutomation(v *visit) error {
	id, err := v.id()
	if err != nil {
		return err
	}
	a, err := s.store.Automation(v.Context(), v.actor.OrganizationID, id)
	if err != nil {
		return err
	}
	days, _ := strconv.Atoi(v.URL.Query().Get("days"))
	if !slices.Contains(backtestPeriods, days) {
		days = 7
	}
	since := s.now().AddDate(0, 0, -days)
	if v.wantsCSV() {
		return s.exportBacktest(v, a, days)
	}
	p := &backtestPage{frame: v.newFrame("Try on past events", "automations"), Automation: a, Trigger: triggerLabel(a.Trigger), Days: days, Periods: backtestPeriods}
	p.Lead = "How " + a.Name + " would have gone as it is now. Nothing is sent and nothing is changed."
	p.Back = &link{"/automations/" + strconv.FormatInt(id, 10), a.Name}
	if p.Summary, err = s.preview.Summarize(v.Context(), a, since, time.Time{}); err != nil {
		return err
	}
	for _, known := range backtestStatuses {
		if n := p.Summary.Counts[known.status]; n > 0 || known.status == bugle.RunExecuted || known.status == bugle.RunConditionFailed {
			p.Tiles = append(p.Tiles, backtestTile{known.badge, n, known.hint})
		}
	}
	shown := p.Summary.Trials[:min(len(p.Summary.Trials), shownTrials)]
	for _, t := range slices.Backward(shown) { // newest first
		row := trialRow{Event: t.Event, Label: dispatch.EventLabel(t.Event), Status: trialBadge(t.Run.Status), Error: dispatch.ErrorOf(t.Run)}
		if t.Result != nil {
			row.Result = prettyJSON(t.Result)
		}
		p.Trials = append(p.Trials, row)
	}
	return v.render(http.StatusOK, "automation_backtest.html", p)
}

func trialBadge(status bugle.RunStatus) badge {
	for _, known := range backtestStatuses {
		if known.status == status {
			return known.badge
		}
	}
	return badge{string(status), "secondary"}
}

func (s *server) exportBacktest(v *visit, a *bugle.Automation, days int) error {
	head := []string{"event_id", "event", "created_at", "outcome", "error", "result"}
	return v.csv(fmt.Sprintf("automation-%d-backtest", a.ID), head, func(write func([]string) error) error {
		var failed error
		_, err := s.preview.Backtest(v.Context(), a, s.now().AddDate(0, 0, -days), time.Time{}, func(t dispatch.Trial) {
			result := ""
			if t.Result != nil {
				text, err := value.JSON(t.Result)
				failed = errors.Join(failed, err)
				result = string(text)
			}
			failed = errors.Join(failed, write([]string{strconv.FormatInt(t.Event.ID, 10), dispatch.EventLabel(t.Event), bugle.FormatTime(t.Event.CreatedAt),
				string(t.Run.Status), t.Run.Error, result}))
		})
		return errors.Join(err, failed)
	})
}
