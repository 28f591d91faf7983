package admin

import (
	"cmp"
	"context"
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
)

// events adds the log of events.
func (s *server) events() {
	s.page("GET /event-log", "view_any_event_log", s.listEvents)
	s.page("GET /event-log/stream", "view_any_event_log", s.followEvents)
	s.page("GET /event-log/{id}", "view_event_log", s.showEvent)
}

type eventsPage struct {
	frame
	Filters  []filter
	Problems []string
	Filtered bool
	Rows     []loggedRow
	Pager    pager
	Stream   string // the address of what is new
	First    bool   // of the pages
	Home     string // the address of the first page
}

// A loggedRow is an event in a list.
type loggedRow struct {
	*store.LoggedEvent
	Page     *frame
	Resource link
	Causer   link // zero: nobody is known
}

// DOMID is the id of the row's element.
func (r loggedRow) DOMID() string { return fmt.Sprintf("event-%d", r.ID) }

// eventFilter reads the filters of the log. Nothing passes if nobody has the name of a causer.
func (v *visit) eventFilter() (f store.EventFilter, nobody bool, problems []string, err error) {
	query := v.URL.Query()
	f.Name, f.ResourceKind, f.RequestPrefix = query.Get("event"), query.Get("kind"), strings.TrimSpace(query.Get("request_id"))
	if text := strings.TrimSpace(query.Get("resource")); text != "" {
		if f.ResourceID, err = strconv.ParseInt(text, 10, 64); err != nil || f.ResourceID <= 0 {
			problems = append(problems, fmt.Sprintf("Number: %q is no number of a resource.", cut(40, text)))
		}
	}
	if text := strings.TrimSpace(query.Get("causer")); text != "" {
		if f.CauserID, err = strconv.ParseInt(text, 10, 64); err != nil || f.CauserID <= 0 {
			f.CauserID = 0
			users, err := v.usersBy(v.Context(), "name", "=", text, 1)
			if err != nil {
				return f, false, nil, err
			}
			if len(users) == 0 {
				nobody = true
			} else {
				f.CauserID = users[0].ID()
			}
		}
	}
	f.Since, f.Until, problems = v.period(problems)
	return f, nobody, problems, nil
}

func (v *visit) eventFilterInputs() []filter {
	var kinds []option
	for _, k := range personnel.Kinds() {
		if k.Emits {
			kinds = append(kinds, option{Value: k.Name, Label: k.Class})
		}
	}
	slices.SortFunc(kinds, func(a, b option) int { return cmp.Compare(a.Label, b.Label) })
	return []filter{
		v.filterBy("event", "Event", "All", eventOptions()),
		v.filterBy("kind", "About", "Anything", kinds),
		v.filterText("resource", "Number", "such as 12"),
		v.filterText("causer", "Caused by", "name or number of a user"),
		v.filterText("request_id", "Request ID", "or how it begins"),
		v.filterTime("since", "Since"),
		v.filterTime("until", "Until"),
	}
}

func (s *server) listEvents(v *visit) error {
	f, nobody, problems, err := v.eventFilter()
	if err != nil {
		return err
	}
	read := func(ctx context.Context, at store.PageRequest) (store.Page[*store.LoggedEvent], error) {
		if nobody {
			return store.Page[*store.LoggedEvent]{Number: 1, Limit: at.Limit}, nil
		}
		return s.store.Events(ctx, v.actor.OrganizationID, f, at)
	}
	if v.wantsCSV() && len(problems) == 0 {
		return s.exportEvents(v, read)
	}
	p := &eventsPage{frame: v.newFrame("Event Log", "event-log"), Filters: v.eventFilterInputs(), Problems: problems, Filtered: v.filtered()}
	p.Lead = "Everything that happened, whether it was sent anywhere or not."
	if len(problems) > 0 {
		return v.render(http.StatusUnprocessableEntity, "events.html", p)
	}
	if p.Stream, err = v.eventStream(""); err != nil {
		return err
	}
	at := v.logPaging()
	page, err := read(v.Context(), at)
	if err != nil {
		return err
	}
	if p.Rows, err = v.loggedRows(&p.frame, page.Items); err != nil {
		return err
	}
	p.Pager = logPagerOf(v, at, page, eventID)
	p.First, p.Home = at.Before == 0 && at.After == 0, v.with("before", "", "after", "")
	return v.render(http.StatusOK, "events.html", p)
}

// eventStream is the address of what happens from now on, with the page's filters. Rows says which list it is
// for; the log unless set. It is to be asked for before the list is read, so that nothing is left out.
func (v *visit) eventStream(rows string) (string, error) {
	newest, err := v.server.store.Events(v.Context(), v.actor.OrganizationID, store.EventFilter{}, store.PageRequest{Number: 1, Limit: 1, CountTo: -1})
	if err != nil {
		return "", err
	}
	from := url.Values{}
	if rows != "" {
		from.Set("rows", rows)
	}
	for _, e := range newest.Items {
		from.Set("last", strconv.FormatInt(e.ID, 10))
	}
	return v.logQuery("/event-log/stream", from), nil
}

// eventLook is how often a list of events looks for new ones: not every event makes a delivery or a run, which
// are what pages are told of.
const eventLook = time.Second

// followEvents streams the rows of events that are new since the one with the id last.
func (s *server) followEvents(v *visit) error {
	f, nobody, problems, err := v.eventFilter()
	if err != nil {
		return err
	}
	if len(problems) > 0 {
		return bugle.Invalid("", "%s", strings.Join(problems, " "))
	}
	file, template := "events.html", "event-row"
	if v.URL.Query().Get("rows") == "dashboard" {
		file, template = "dashboard.html", "latest-event"
	}
	last, _ := strconv.ParseInt(v.URL.Query().Get("last"), 10, 64)
	last = max(last, 0)
	page := v.newFrame("", "")
	return v.streamAndLook("view_any_event_log", eventLook, func(_, _ []int64) ([]newsItem, error) {
		if nobody {
			return nil, nil
		}
		found, err := s.store.Events(v.Context(), v.actor.OrganizationID, f, store.PageRequest{Number: 1, Limit: maxNews, After: last, CountTo: -1})
		if err != nil {
			return nil, err
		}
		rows, err := v.loggedRows(&page, found.Items)
		if err != nil {
			return nil, err
		}
		var news []newsItem
		for _, row := range slices.Backward(rows) { // each goes on top of those before
			text, err := htmlOf(file, template, row)
			if err != nil {
				return nil, err
			}
			news = append(news, newsItem{row.DOMID(), text})
			last = max(last, row.ID)
		}
		if found.Incomplete {
			last = max(last, found.Reached)
		}
		return news, nil
	})
}

func eventID(e *store.LoggedEvent) int64 { return e.ID }

// loggedRows adds to events what a list shows of them.
func (v *visit) loggedRows(page *frame, list []*store.LoggedEvent) ([]loggedRow, error) {
	causers := make([]int64, len(list))
	for i, e := range list {
		causers[i] = e.CauserID
	}
	users, err := v.userLinks(v.Context(), causers)
	if err != nil {
		return nil, err
	}
	rows := make([]loggedRow, len(list))
	for i, e := range list {
		rows[i] = loggedRow{e, page, v.about(&e.Event), users[e.CauserID]}
	}
	return rows, nil
}

// exportEvents answers with the list as a file.
func (s *server) exportEvents(v *visit, read func(context.Context, store.PageRequest) (store.Page[*store.LoggedEvent], error)) error {
	head := []string{"id", "created_at", "event", "resource", "caused_by", "deliveries", "runs", "request_id", "trace_id"}
	return v.csv("event-log", head, func(write func(row []string) error) error {
		return walkLog(v.Context(), read, func(list []*store.LoggedEvent) error {
			rows, err := v.loggedRows(nil, list)
			if err != nil {
				return err
			}
			for _, e := range rows {
				err := write([]string{strconv.FormatInt(e.ID, 10), bugle.FormatTime(e.CreatedAt), e.Name, resourceLink(e.ResourceKind, e.ResourceID).Text, e.Causer.Text,
					strconv.Itoa(e.Deliveries), strconv.Itoa(e.Runs), e.RequestID, e.TraceID})
				if err != nil {
					return err
				}
			}
			return nil
		}, eventID)
	})
}

type eventPage struct {
	frame
	Event       loggedRow
	Envelope    *body
	Changes     []changeRow
	Root        link // the event that began the chain; zero: this is the first
	RootName    string
	Automations []link // that have acted in the chain
	Run         link   // that made the event
	Deliveries  []deliveryRow
	More        bool           // there are more deliveries
	Acted       []reasonRow    // of the webhooks and automations: those that did something, or tried to
	Nearly      []reasonRow    // that would have, but for a condition or a setting
	Others      []reasonRow    // that are for other events
	Gone        int64          // the user that it is about, who is deleted and whom the visitor may erase; 0: no such
	Erasure     *store.Erasure // of that user; nil: there was none
}

// A changeRow is an attribute that got another value.
type changeRow struct{ Attribute, Old, New string }

// A reasonRow says what a webhook or automation made of the event.
type reasonRow struct {
	dispatch.Reason
	Of       link
	Delivery link
	Run      link
	Badge    string // the colour
	Word     string
	Values   []partRow
}

// maxEventDeliveries is how many deliveries an event's page shows.
const maxEventDeliveries = 100

func (s *server) showEvent(v *visit) error {
	id, err := v.id()
	if err != nil {
		return err
	}
	ctx := v.Context()
	e, err := s.store.EventWithCounts(ctx, v.actor.OrganizationID, id)
	if err != nil {
		return err
	}
	p := &eventPage{frame: v.newFrame(e.Name, "event-log"), Envelope: newBody(e.Envelope)}
	rows, err := v.loggedRows(&p.frame, []*store.LoggedEvent{e})
	if err != nil {
		return err
	}
	p.Event = rows[0]
	p.Back = &link{"/event-log", "Event Log"}
	for _, c := range e.Causes {
		p.Changes = append(p.Changes, changeRow{c.Attribute, dispatch.Brief(c.Old), dispatch.Brief(c.New)})
	}
	if err := s.fillChain(v, p); err != nil {
		return err
	}
	reasons, err := s.preview.Why(ctx, e)
	if err != nil {
		return err
	}
	p.explain(reasons)
	byWebhook, err := s.store.EventDeliveries(ctx, e.ID, maxEventDeliveries+1)
	if err != nil {
		return err
	}
	var ids []int64
	for _, id := range byWebhook {
		ids = append(ids, id)
	}
	for _, r := range reasons {
		if r.DeliveryID != 0 {
			ids = append(ids, r.DeliveryID)
		}
	}
	slices.Sort(ids)
	if ids = slices.Compact(ids); len(ids) > maxEventDeliveries {
		ids, p.More = ids[:maxEventDeliveries], true
	}
	list, err := s.store.DeliveriesByID(ctx, e.OrganizationID, ids, store.DeliveryFilter{})
	if err != nil {
		return err
	}
	slices.Reverse(list)
	if p.Deliveries, err = v.deliveryRows(&p.frame, list); err != nil {
		return err
	}
	if err := s.fillErasure(v, p); err != nil {
		return err
	}
	return v.render(http.StatusOK, "event.html", p)
}

// fillErasure lets somebody be erased who has no page any more.
func (s *server) fillErasure(v *visit, p *eventPage) error {
	id := p.Event.ResourceID
	if p.Event.ResourceKind != personnel.User.Name || !v.Can("delete_user") {
		return nil
	}
	_, err := s.store.Get(v.Context(), v.actor.OrganizationID, &personnel.User, id)
	if !errors.Is(err, bugle.ErrNotFound) {
		return err
	}
	p.Gone = id
	p.Erasure, err = s.store.Erasure(v.Context(), v.actor.OrganizationID, id)
	if errors.Is(err, bugle.ErrNotFound) {
		return nil
	}
	return err
}

// fillChain says what caused the event.
func (s *server) fillChain(v *visit, p *eventPage) error {
	c := p.Event.Chain
	if c.Root == 0 {
		return nil
	}
	p.Root = v.guarded("view_event_log", fmt.Sprintf("/event-log/%d", c.Root), fmt.Sprintf("event %d", c.Root))
	switch root, err := s.store.Event(v.Context(), p.Event.OrganizationID, c.Root); {
	case err == nil:
		p.Root.Text = root.Name
		if root.Addressed {
			p.Root.URL = ""
		}
	case errors.Is(err, bugle.ErrNotFound):
		p.Root.URL = ""
	default:
		return err
	}
	if c.RunID != 0 {
		p.Run = v.guarded("view_automation_log", fmt.Sprintf("/automation-logs/%d", c.RunID), fmt.Sprintf("run %d", c.RunID))
	}
	known, err := s.store.AutomationsByID(v.Context(), c.Automations)
	if err != nil {
		return err
	}
	names := map[int64]string{}
	for _, a := range known {
		if a.OrganizationID == p.Event.OrganizationID {
			names[a.ID] = a.Name
		}
	}
	for _, id := range c.Automations {
		if name, ok := names[id]; ok {
			p.Automations = append(p.Automations, v.guarded("view_automation", fmt.Sprintf("/automations/%d", id), name))
		} else {
			p.Automations = append(p.Automations, link{Text: fmt.Sprintf("Automation %d (deleted)", id)})
		}
	}
	return nil
}

// outcomes are what reasons say in a word, and its colour.
var outcomes = map[dispatch.Outcome]struct{ word, colour string }{
	dispatch.Matched: {"Matched", "green"}, dispatch.NotSubscribed: {"Other events", "secondary"}, dispatch.NotThen: {"Not then", "yellow"},
	dispatch.WasPaused: {"Paused", "yellow"}, dispatch.WasDisabled: {"Disabled", "yellow"}, dispatch.StillPending: {"Waiting", "blue"},
	dispatch.ConditionFailed: {"Condition false", "yellow"}, dispatch.Failed: {"Failed", "red"}, dispatch.LoopStopped: {"Loop stopped", "red"},
}

// explain sorts reasons by how near they came.
func (p *eventPage) explain(reasons []dispatch.Reason) {
	for _, r := range reasons {
		row := p.reasonRow(r)
		switch r.Outcome {
		case dispatch.NotSubscribed:
			p.Others = append(p.Others, row)
		case dispatch.NotThen, dispatch.WasDisabled, dispatch.ConditionFailed:
			p.Nearly = append(p.Nearly, row)
		default:
			p.Acted = append(p.Acted, row)
		}
	}
	first := func(r reasonRow) bool { return r.Outcome == dispatch.ConditionFailed }
	slices.SortStableFunc(p.Nearly, func(a, b reasonRow) int {
		switch {
		case first(a) == first(b):
			return 0
		case first(a):
			return -1
		}
		return 1
	})
}

func (p *eventPage) reasonRow(r dispatch.Reason) reasonRow {
	row := reasonRow{Reason: r, Word: outcomes[r.Outcome].word, Badge: outcomes[r.Outcome].colour}
	if r.Type == dispatch.OfWebhook {
		row.Of = p.guarded("view_webhook", fmt.Sprintf("/webhooks/%d", r.ID), r.Name)
	} else {
		row.Of = p.guarded("view_automation", fmt.Sprintf("/automations/%d", r.ID), r.Name)
	}
	if r.DeliveryID != 0 {
		row.Delivery = p.guarded("view_webhook_log", fmt.Sprintf("/webhook-logs/%d", r.DeliveryID), fmt.Sprintf("Delivery %d", r.DeliveryID))
	}
	if r.RunID != 0 {
		row.Run = p.guarded("view_automation_log", fmt.Sprintf("/automation-logs/%d", r.RunID), fmt.Sprintf("Run %d", r.RunID))
	}
	row.Values = partRows(r.Parts)
	return row
}
