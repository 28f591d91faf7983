package admin

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/expression"
	"github.com/buglehq/bugle/internal/dispatch"
	"github.com/buglehq/bugle/internal/store"
	"github.com/buglehq/bugle/personnel"
)

// automationLogs adds the log of automations.
func (s *server) automationLogs() {
	s.page("GET /automation-logs", "view_any_automation_log", s.listRuns)
	s.page("GET /automation-logs/stream", "view_any_automation_log", s.streamRuns)
	s.page("GET /automation-logs/{id}", "view_automation_log", s.showRun)
}

// runBadges are what the states of runs are called.
var runBadges = map[bugle.RunStatus]badge{
	bugle.RunPending:         {"Pending", "azure"},
	bugle.RunExecuted:        {"Executed", "green"},
	bugle.RunConditionFailed: {"Condition Failed", "yellow"},
	bugle.RunFailed:          {"Failed", "red"},
	bugle.RunLoopStopped:     {"Loop Stopped", "orange"},
}

// automationsSubject is a link to a resource: its kind and id, with the address of its page if it has one.
func automationsSubject(kind string, id int64) *link {
	k := personnel.ByName(kind)
	if k == nil || id == 0 {
		return nil
	}
	l := &link{Text: k.Class + " " + strconv.FormatInt(id, 10)}
	if k.Path != "" {
		l.URL = "/" + k.Path + "/" + strconv.FormatInt(id, 10)
	}
	return l
}

// A runRow is a run as lists show it.
type runRow struct {
	*store.LoggedRun
	v            *visit
	Trigger      string
	Badge        badge
	Subject      *link
	CanOpen      bool // its page
	CanSeeParent bool // the automation's
}

func runRows(v *visit, runs []*store.LoggedRun) []runRow {
	rows := make([]runRow, len(runs))
	for i, r := range runs {
		rows[i] = runRow{r, v, triggerLabel(r.Trigger), runBadges[r.Status], automationsSubject(r.SubjectKind, r.SubjectID),
			v.Can("view_automation_log"), v.Can("view_automation")}
	}
	return rows
}

// Time shows a moment.
func (r runRow) Time(at time.Time) any { return (&frame{visit: r.v}).Time(at) }

// ElementID is that of the row.
func (r runRow) ElementID() string { return "run-" + strconv.FormatInt(r.ID, 10) }

// Brief is what went wrong, in a line.
func (r runRow) Brief() string {
	e := dispatch.ErrorOf(&r.Run)
	if e == nil {
		return ""
	}
	return cut(90, briefError(e))
}

// briefError is the message of a run's error without its place, which pages show beside it.
func briefError(e *dispatch.RunError) string {
	text := strings.TrimPrefix(e.Message, e.Field+": ")
	if e.Line > 0 {
		text, _, _ = strings.Cut(text, ", in: ") // the condition follows
		text = withoutPlace(text)
	}
	return text
}

type runsPage struct {
	frame
	Rows    []runRow
	Pager   pager
	Filters []filter
	Live    string // the stream's address; empty: the page does not follow
}

// runFilter reads the filters of the log.
func (v *visit) runFilter() store.RunFilter {
	query := v.URL.Query()
	f := store.RunFilter{Trigger: query.Get("trigger"), Since: v.localTime(query.Get("since")), Until: v.localTime(query.Get("until"))}
	f.AutomationID, _ = strconv.ParseInt(query.Get("automation"), 10, 64)
	f.EventID, _ = strconv.ParseInt(query.Get("event"), 10, 64)
	f.AutomationID, f.EventID = max(f.AutomationID, 0), max(f.EventID, 0)
	if status := bugle.RunStatus(query.Get("status")); slices.Contains(bugle.RunStatuses, status) {
		f.Status = status
	}
	return f
}

// localTime reads what a field for a moment holds, in the visitor's time zone. What is none is no time.
func (v *visit) localTime(text string) time.Time {
	for _, layout := range []string{"2006-01-02T15:04", "2006-01-02T15:04:05", "2006-01-02"} {
		if at, err := time.ParseInLocation(layout, text, v.location); err == nil {
			return at.UTC()
		}
	}
	return time.Time{}
}

func (s *server) listRuns(v *visit) error {
	f := v.runFilter()
	if v.wantsCSV() {
		return s.exportRuns(v, f)
	}
	request := v.logPaging()
	page, err := s.store.Runs(v.Context(), v.actor.OrganizationID, f, request)
	if err != nil {
		return err
	}
	p := &runsPage{frame: v.newFrame("Automation Logs", "automation-logs"), Rows: runRows(v, page.Items)}
	p.Pager = logPagerOf(v, request, page, func(r *store.LoggedRun) int64 { return r.ID })
	p.Lead = "What automations made of what happened, newest first."
	automations, err := s.automationOptions(v, f.AutomationID)
	if err != nil {
		return err
	}
	statuses := make([]option, len(bugle.RunStatuses))
	for i, status := range bugle.RunStatuses {
		statuses[i] = option{Value: string(status), Label: runBadges[status].Label}
	}
	query := v.URL.Query()
	p.Filters = []filter{
		v.filterBy("automation", "Automation", "All automations", automations),
		v.filterBy("status", "Status", "All", statuses),
		v.filterBy("trigger", "Trigger", "All triggers", triggerOptions()),
		{Name: "since", Label: "From", Kind: inputDateTime, Value: query.Get("since")},
		{Name: "until", Label: "Until", Kind: inputDateTime, Value: query.Get("until")},
	}
	if request.Before == 0 && request.After == 0 && f.Until.IsZero() {
		p.Live = pathWith("/automation-logs/stream", query)
	}
	return v.render(http.StatusOK, "automation_logs.html", p)
}

// maxOptions is how many rows of a list a form offers to choose from.
const maxOptions = 500

// automationOptions are the automations to choose from, and the chosen one in any case.
func (s *server) automationOptions(v *visit, chosen int64) ([]option, error) {
	page, err := s.store.Automations(v.Context(), v.actor.OrganizationID, store.AutomationFilter{Sort: "name"}, store.PageRequest{Number: 1, Limit: maxOptions, CountTo: -1})
	if err != nil {
		return nil, err
	}
	options := make([]option, 0, len(page.Items)+1)
	for _, a := range page.Items {
		options = append(options, option{Value: strconv.FormatInt(a.ID, 10), Label: a.Name})
	}
	text := strconv.FormatInt(chosen, 10)
	if chosen != 0 && !slices.ContainsFunc(options, func(o option) bool { return o.Value == text }) {
		options = append(options, option{Value: text, Label: "Automation " + text})
	}
	return options, nil
}

func (s *server) exportRuns(v *visit, f store.RunFilter) error {
	head := []string{"id", "automation_id", "automation", "trigger", "status", "subject", "subject_id", "event_id", "delivery_id", "message_id", "time_ms", "error", "created_at"}
	number := func(n int64) string {
		if n == 0 {
			return ""
		}
		return strconv.FormatInt(n, 10)
	}
	return v.csv("automation-logs", head, func(write func([]string) error) error {
		p := store.PageRequest{Number: 1, Limit: store.MaxLimit, CountTo: -1}
		for {
			page, err := s.store.Runs(v.Context(), v.actor.OrganizationID, f, p)
			if err != nil {
				return err
			}
			for _, r := range page.Items {
				err := write([]string{number(r.ID), number(r.AutomationID), r.Automation, r.Trigger, string(r.Status), r.SubjectKind, number(r.SubjectID),
					number(r.EventID), number(r.DeliveryID), number(r.MessageID), strconv.FormatInt(r.Took.Milliseconds(), 10), r.Error, bugle.FormatTime(r.CreatedAt)})
				if err != nil {
					return err
				}
			}
			switch {
			case page.Incomplete:
				p.Before = page.Reached
			case len(page.Items) < p.Limit:
				return nil
			default:
				p.Before = page.Items[len(page.Items)-1].ID
			}
		}
	})
}

// streamRuns sends the rows of runs that end while the log is open.
func (s *server) streamRuns(v *visit) error {
	f := v.runFilter()
	file, template := "automation_logs.html", "run-row"
	if v.URL.Query().Get("rows") == "automation" {
		file, template = "automation.html", "run-of-one"
	}
	return v.stream("view_any_automation_log", func(_, ids []int64) ([]newsItem, error) {
		var items []newsItem
		runs, err := s.store.RunsByID(v.Context(), v.actor.OrganizationID, ids)
		if err != nil {
			return nil, err
		}
		for _, row := range runRows(v, runs) {
			if !runMatches(f, row.LoggedRun) {
				continue
			}
			html, err := htmlOf(file, template, row)
			if err != nil {
				return nil, err
			}
			items = append(items, newsItem{row.ElementID(), html})
		}
		return items, nil
	})
}

// runMatches reports whether a list with the filter has the run.
func runMatches(f store.RunFilter, r *store.LoggedRun) bool {
	return (f.AutomationID == 0 || f.AutomationID == r.AutomationID) && (f.EventID == 0 || f.EventID == r.EventID) &&
		(f.Status == "" || f.Status == r.Status) && (f.Trigger == "" || f.Trigger == r.Trigger) && (f.Since.IsZero() || !r.CreatedAt.Before(f.Since))
}

type runPage struct {
	frame
	Run        *store.LoggedRun
	Row        runRow
	Tabs       []automationTab
	Causer     *link
	Error      *dispatch.RunError
	ErrorField string // what the field is called
	Place      []sourceLine
	Parts      []partRow
	Held       string // the condition's result: "true", "false", or empty if there was none
	Context    string
	Result     string
	Skipped    string // why nothing was to be done
	Made       []link // what the action made
	Chain      []link // the automations that acted before
}

// A partRow is a part of a condition with its value.
type partRow struct {
	Source, Value string
	State         string // evaluated, failed, skipped
	Line, Column  int
}

func partRows(parts []expression.Part) []partRow {
	rows := make([]partRow, len(parts))
	for i, p := range parts {
		rows[i] = partRow{Source: p.Source, State: "skipped", Line: p.Line, Column: p.Column}
		switch {
		case p.Failed:
			rows[i].State = "failed"
		case p.Evaluated:
			rows[i].State, rows[i].Value = "evaluated", dispatch.Brief(p.Value)
		}
	}
	return rows
}

func (s *server) showRun(v *visit) error {
	id, err := v.id()
	if err != nil {
		return err
	}
	r, err := s.store.Run(v.Context(), v.actor.OrganizationID, id)
	if err != nil {
		return err
	}
	p := &runPage{frame: v.newFrame("Run "+strconv.FormatInt(id, 10)+" of "+r.Automation, "automation-logs"), Run: r, Row: runRows(v, []*store.LoggedRun{r})[0]}
	p.Back = &link{"/automation-logs", "Automation Logs"}
	p.Tabs = []automationTab{{Key: "overview", Label: "Overview"}, {Key: "subject", Label: "Subject"}, {Key: "condition", Label: "Condition"},
		{Key: "context", Label: "Context"}, {Key: "result", Label: "Action Result"}}
	chooseTab(v, v.URL.Path, p.Tabs)
	p.Causer = automationsSubject("user", r.CauserID)
	parts, err := s.preview.Explain(v.Context(), &r.Run)
	if err != nil {
		return err
	}
	p.Parts = partRows(parts)
	if r.ConditionResult != nil {
		p.Held = strconv.FormatBool(*r.ConditionResult)
	}
	seen, err := s.preview.ContextOf(v.Context(), v.actor.OrganizationID, r.EventID, r.EvaluatedAt)
	if err != nil {
		return err
	}
	p.Context = prettyJSON(seen.Data())
	if r.ActionPayload != nil {
		p.Result = prettyJSON(r.ActionPayload)
		if reason, _ := r.ActionPayload.Get("reason"); reason != nil && r.DeliveryID == 0 && r.MessageID == 0 && r.ResourceID == 0 {
			p.Skipped, _ = reason.(string)
		}
	}
	p.made()
	if p.Error = dispatch.ErrorOf(&r.Run); p.Error != nil {
		if err := s.placeOf(v, p); err != nil {
			return err
		}
	}
	for _, before := range r.Chain.Automations {
		text := strconv.FormatInt(before, 10)
		p.Chain = append(p.Chain, link{"/automations/" + text, "Automation " + text})
	}
	return v.render(http.StatusOK, "automation_log.html", p)
}

// made lists what the action made.
func (p *runPage) made() {
	r := p.Run
	if r.DeliveryID != 0 {
		text := strconv.FormatInt(r.DeliveryID, 10)
		p.Made = append(p.Made, link{"/webhook-logs/" + text, "Delivery " + text})
	}
	if r.MessageID != 0 {
		text := strconv.FormatInt(r.MessageID, 10)
		p.Made = append(p.Made, link{"/messages/" + text, "Message " + text})
	}
	if l := automationsSubject(r.ResourceKind, r.ResourceID); l != nil {
		p.Made = append(p.Made, *l)
	}
}

// placeOf finds the lines around an error in what the automation says today, and in the condition as it was.
func (s *server) placeOf(v *visit, p *runPage) error {
	root, path, _ := strings.Cut(p.Error.Field, ".")
	p.ErrorField = fieldLabels[root]
	p.Error.Message = briefError(p.Error)
	if path != "" {
		p.ErrorField += " · " + path
	}
	if p.Error.Line == 0 {
		return nil
	}
	text := p.Run.Condition
	if root != "condition" {
		a, err := s.store.Automation(v.Context(), v.actor.OrganizationID, p.Run.AutomationID)
		if err != nil {
			return err
		}
		if a.UpdatedAt.After(p.Run.EvaluatedAt) {
			return nil // it reads otherwise by now
		}
		text = automationText(a, root, path)
	}
	p.Place = linesAround(text, p.Error.Line, p.Error.Column)
	return nil
}

// A sourceLine is a line of a condition or template. Caret is the white space up to where an error is.
type sourceLine struct {
	Number int
	Text   string
	Wrong  bool
	Caret  string
	Cut    bool // something before it is left out
}

// linesAround are the lines around a place, which are from 1.
func linesAround(text string, line, column int) []sourceLine {
	const around, longest = 2, 120
	if text == "" {
		return nil
	}
	all := strings.Split(strings.ReplaceAll(text, "\r\n", "\n"), "\n")
	var lines []sourceLine
	for n := max(line-around, 1); n <= min(line+around, len(all)); n++ {
		runes := []rune(all[n-1])
		l := sourceLine{Number: n, Wrong: n == line}
		from := 0
		if l.Wrong && column > longest/2 { // of a long line the part with the error
			from = min(column-longest/2, len(runes))
		}
		l.Cut = from > 0
		l.Text = strings.ReplaceAll(string(runes[from:min(from+longest, len(runes))]), "\t", " ")
		if l.Wrong {
			l.Caret = strings.Repeat(" ", max(min(column-1-from, longest), 0))
		}
		lines = append(lines, l)
	}
	return lines
}
