package admin

import (
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
	"github.com/buglehq/bugle/internal/store"
)

// deliveries adds the log of webhooks.
func (s *server) deliveries() {
	s.page("GET /webhook-logs", "view_any_webhook_log", s.listDeliveries)
	s.page("GET /webhook-logs/stream", "view_any_webhook_log", s.followDeliveries)
	s.page("POST /webhook-logs/selected", "update_webhook_log", s.changeSelected)
	s.page("GET /webhook-logs/{id}", "view_webhook_log", s.showDelivery)
	s.page("POST /webhook-logs/{id}/redeliver", "update_webhook_log", s.redeliver)
	s.page("POST /webhook-logs/{id}/cancel", "update_webhook_log", s.cancelDelivery)
	s.redeliveries()
}

type deliveriesPage struct {
	frame
	Filters  []filter
	Problems []string
	Filtered bool
	Rows     []deliveryRow
	Pager    pager
	Stream   string // the address of what changes
	First    bool   // of the pages
	Home     string // the address of the first page
	All      string // the address of what redelivers all that the filters let through
}

// A deliveryRow is a delivery in a list.
type deliveryRow struct {
	*bugle.Delivery
	Page     *frame
	Webhook  link // or the channel of a message
	Resource link
	Select   bool // it can be chosen, to be redelivered or cancelled
}

// DOMID is the id of the row's element.
func (r deliveryRow) DOMID() string { return fmt.Sprintf("delivery-%d", r.ID) }

// deliveryFilters reads the filters of the log, and returns what is wrong with them as sentences.
func (v *visit) deliveryFilters() (f store.DeliveryFilter, problems []string) {
	query := v.URL.Query()
	if of := query.Get("webhook"); of != "" {
		if id, err := strconv.ParseInt(of, 10, 64); err == nil && id > 0 {
			f.WebhookID = id
		} else if bugle.ChannelByName(of) != nil {
			f.Channel = of
		} else {
			problems = append(problems, "There is no such webhook to filter by.")
		}
	}
	if state := bugle.DeliveryState(query.Get("state")); slices.Contains(bugle.DeliveryStates, state) {
		f.State = state
	} else if state != "" {
		problems = append(problems, "There is no such state to filter by.")
	}
	f.Event, f.RequestPrefix = query.Get("event"), strings.TrimSpace(query.Get("request_id"))
	if class := query.Get("status"); class == "" || slices.Contains([]string{"2xx", "3xx", "4xx", "5xx", "none"}, class) {
		f.StatusClass = class
	} else {
		problems = append(problems, "There are no such answers to filter by.")
	}
	f.ErrorKind = bugle.ErrorKind(query.Get("error"))
	f.Since, f.Until, problems = v.period(problems)
	return f, problems
}

// filtered reports whether any of the logs' filters is set.
func (v *visit) filtered() bool {
	for _, name := range []string{"webhook", "state", "event", "status", "error", "request_id", "since", "until", "kind", "resource", "causer"} {
		if v.URL.Query().Get(name) != "" {
			return true
		}
	}
	return false
}

// period reads the filters since and until.
func (v *visit) period(problems []string) (since, until time.Time, _ []string) {
	for name, to := range map[string]*time.Time{"since": &since, "until": &until} {
		text := v.URL.Query().Get(name)
		if text == "" {
			continue
		}
		var err error
		if *to, err = v.readTime(text); err != nil {
			problems = append(problems, fmt.Sprintf("%s: %q is no date and time.", title(name), cut(40, text)))
		}
	}
	return since, until, problems
}

// readTime reads a moment as browsers send it, in the visitor's time zone, or with a time zone of its own.
func (v *visit) readTime(text string) (time.Time, error) {
	for _, layout := range []string{"2006-01-02T15:04", "2006-01-02T15:04:05", "2006-01-02"} {
		if at, err := time.ParseInLocation(layout, text, v.location); err == nil {
			return at.UTC(), nil
		}
	}
	return time.Parse(time.RFC3339, text)
}

// filterTime returns a filter by a moment.
func (v *visit) filterTime(name, label string) filter {
	f := filter{Name: name, Label: label, Kind: inputDateTime, Value: v.URL.Query().Get(name)}
	if at, err := time.Parse(time.RFC3339, f.Value); err == nil {
		f.Value = at.In(v.location).Format("2006-01-02T15:04")
	}
	return f
}

// maxWebhookOptions is how many webhooks can be chosen from.
const maxWebhookOptions = 500

// webhookOptions are the webhooks and channels that a log can be filtered by.
func (v *visit) webhookOptions() ([]option, error) {
	hooks, err := v.server.store.Webhooks(v.Context(), v.actor.OrganizationID, store.WebhookFilter{}, store.PageRequest{Number: 1, Limit: maxWebhookOptions, CountTo: -1})
	if err != nil {
		return nil, err
	}
	var options []option
	chosen, listed := v.URL.Query().Get("webhook"), false
	for _, w := range hooks.Items {
		id := strconv.FormatInt(w.ID, 10)
		options = append(options, option{Value: id, Label: w.Name, Group: "Webhooks"})
		listed = listed || id == chosen
	}
	if _, err := strconv.Atoi(chosen); err == nil && !listed {
		options = append(options, option{Value: chosen, Label: "Webhook " + chosen, Group: "Webhooks"})
	}
	for _, c := range bugle.Channels {
		if c.Outside() {
			options = append(options, option{Value: c.Name, Label: c.Label, Group: "Messages"})
		}
	}
	return options, nil
}

// stateOptions and answerOptions are the states and answers of deliveries that a log can be filtered by.
var (
	stateOptions = []option{{Value: "pending", Label: "Waiting or retrying"}, {Value: "delivered", Label: "Delivered"},
		{Value: "failed", Label: "Failed"}, {Value: "cancelled", Label: "Cancelled"}}
	answerOptions = []option{{Value: "2xx", Label: "2xx: taken"}, {Value: "3xx", Label: "3xx: redirected"},
		{Value: "4xx", Label: "4xx: refused"}, {Value: "5xx", Label: "5xx: receiver in trouble"}, {Value: "none", Label: "No answer"}}
)

func (v *visit) deliveryFilterInputs() ([]filter, error) {
	hooks, err := v.webhookOptions()
	if err != nil {
		return nil, err
	}
	var kinds []option
	for _, w := range errorWords {
		kinds = append(kinds, option{Value: string(w.kind), Label: w.text})
	}
	return []filter{
		v.filterBy("webhook", "Webhook", "All", hooks),
		v.filterBy("state", "State", "All", stateOptions),
		v.filterBy("event", "Event", "All", append(eventOptions(), option{Value: bugle.SendEvent, Label: bugle.SendEvent, Group: "Other"})),
		v.filterBy("status", "Answer", "All", answerOptions),
		v.filterBy("error", "Problem", "All", kinds),
		v.filterText("request_id", "Request ID", "or how it begins"),
		v.filterTime("since", "Since"),
		v.filterTime("until", "Until"),
	}, nil
}

func (s *server) listDeliveries(v *visit) error {
	f, problems := v.deliveryFilters()
	if v.wantsCSV() && len(problems) == 0 {
		return s.exportDeliveries(v, f)
	}
	p := &deliveriesPage{frame: v.newFrame("Webhook Logs", "webhook-logs"), Problems: problems, Filtered: v.filtered()}
	p.Lead = "What was sent, and how it was answered."
	var err error
	if p.Filters, err = v.deliveryFilterInputs(); err != nil {
		return err
	}
	if len(problems) > 0 {
		return v.render(http.StatusUnprocessableEntity, "deliveries.html", p)
	}
	loaded, at := s.now(), v.logPaging()
	page, err := s.store.Deliveries(v.Context(), v.actor.OrganizationID, f, at)
	if err != nil {
		return err
	}
	if p.Rows, err = v.deliveryRows(&p.frame, page.Items); err != nil {
		return err
	}
	p.Pager = logPagerOf(v, at, page, func(d *bugle.Delivery) int64 { return d.ID })
	p.First = at.Before == 0 && at.After == 0
	p.Home, p.All = v.with("before", "", "after", ""), v.logQuery("/webhook-logs/redeliver")
	span := url.Values{"loaded": {strconv.FormatInt(loaded.UnixMicro(), 10)}}
	if n := len(page.Items); n > 0 {
		span.Set("from", strconv.FormatInt(page.Items[n-1].ID, 10))
		if !p.First {
			span.Set("to", strconv.FormatInt(page.Items[0].ID, 10))
		}
		if p.First && p.Pager.Next() == "" {
			span.Del("from") // the page has all there are
		}
	}
	p.Stream = v.logQuery("/webhook-logs/stream", span)
	return v.render(http.StatusOK, "deliveries.html", p)
}

// logQuery is a path with the filters of the page, and more parameters.
func (v *visit) logQuery(path string, more ...url.Values) string {
	query := v.URL.Query()
	for name, values := range query {
		if slices.Contains([]string{"before", "after", "page", "format"}, name) || strings.Join(values, "") == "" {
			query.Del(name)
		}
	}
	for _, values := range more {
		for name, list := range values {
			query[name] = list
		}
	}
	return pathWith(path, query)
}

// deliveryRows adds to deliveries what a list shows of them.
func (v *visit) deliveryRows(page *frame, list []*bugle.Delivery) ([]deliveryRow, error) {
	var ids []int64
	for _, d := range list {
		if d.Channel == "" {
			ids = append(ids, d.WebhookID)
		}
	}
	hooks, err := v.webhooksOf(ids)
	if err != nil {
		return nil, err
	}
	names := map[int64]string{}
	open := make([]*bugle.Delivery, 0, len(list)) // without a field policy, beside which the label of an event would say too much
	for _, w := range hooks {
		names[w.ID] = w.Name
	}
	for _, d := range list {
		if w := hooks[d.WebhookID]; d.Channel != "" || w != nil && len(w.FieldPolicy) == 0 {
			open = append(open, d)
		}
	}
	about := map[int64]link{}
	if page != nil { // else it is a file, for programs
		if about, err = v.aboutEvents(open); err != nil {
			return nil, err
		}
	}
	rows := make([]deliveryRow, len(list))
	for i, d := range list {
		resource, ok := about[d.ID]
		if !ok {
			resource = v.resource(d.ResourceKind, d.ResourceID)
		}
		rows[i] = deliveryRow{Delivery: d, Page: page, Webhook: v.webhookLink(d, names), Resource: resource, Select: v.Can("update_webhook_log")}
	}
	return rows, nil
}

// aboutEvents are the links to what deliveries are about, by their ids, for those who may see events.
func (v *visit) aboutEvents(list []*bugle.Delivery) (map[int64]link, error) {
	about := map[int64]link{}
	if !v.Can("view_event_log") || len(list) == 0 {
		return about, nil
	}
	ids := make([]int64, len(list))
	for i, d := range list {
		ids[i] = d.EventID
	}
	slices.Sort(ids)
	events, err := v.server.store.EventsByID(v.Context(), slices.Compact(ids))
	links := make(map[int64]link, len(events))
	for _, e := range events {
		links[e.ID] = v.about(e)
	}
	for _, d := range list {
		if l, ok := links[d.EventID]; ok {
			about[d.ID] = l
		}
	}
	return about, err
}

// webhooksOf are those of the webhooks that are still there, by their ids.
func (v *visit) webhooksOf(ids []int64) (map[int64]*bugle.Webhook, error) {
	found := map[int64]*bugle.Webhook{}
	if len(ids) == 0 {
		return found, nil
	}
	slices.Sort(ids)
	hooks, err := v.server.store.WebhooksByID(v.Context(), v.actor.OrganizationID, slices.Compact(ids))
	for _, w := range hooks {
		found[w.ID] = w
	}
	return found, err
}

// webhookLink leads to the webhook of a delivery, or says which channel it went by.
func (v *visit) webhookLink(d *bugle.Delivery, names map[int64]string) link {
	if c := bugle.ChannelByName(d.Channel); d.Channel != "" {
		if c == nil {
			return link{Text: d.Channel}
		}
		return v.guarded("view_any_channel", "/channels", c.Label)
	}
	if name, ok := names[d.WebhookID]; ok {
		return v.guarded("view_webhook", fmt.Sprintf("/webhooks/%d", d.WebhookID), name)
	}
	return link{Text: fmt.Sprintf("Webhook %d (deleted)", d.WebhookID)}
}

// followDeliveries streams the rows of a list that change, and those that are new. The list has the rows from
// one id to another, and was loaded at a moment; without an upper end it goes on.
func (s *server) followDeliveries(v *visit) error {
	f, problems := v.deliveryFilters()
	if len(problems) > 0 {
		return bugle.Invalid("", "%s", strings.Join(problems, " "))
	}
	number := func(name string) int64 {
		n, _ := strconv.ParseInt(v.URL.Query().Get(name), 10, 64)
		return n
	}
	from, to, loaded := number("from"), number("to"), time.UnixMicro(number("loaded"))
	inList := func(d *bugle.Delivery) bool {
		return !d.CreatedAt.Before(loaded) || d.ID >= from && (to == 0 || d.ID <= to)
	}
	file, template := "deliveries.html", "delivery-row"
	if v.URL.Query().Get("rows") == "webhook" {
		file, template = "webhook.html", "webhook-log-row"
	}
	page := v.newFrame("", "")
	return v.stream("view_any_webhook_log", func(ids, _ []int64) ([]newsItem, error) {
		if len(ids) == 0 {
			return nil, nil
		}
		all, err := s.store.DeliveriesByID(v.Context(), v.actor.OrganizationID, ids, store.DeliveryFilter{})
		if err != nil {
			return nil, err
		}
		shown := all
		if v.filtered() {
			if shown, err = s.store.DeliveriesByID(v.Context(), v.actor.OrganizationID, ids, f); err != nil {
				return nil, err
			}
		}
		shown = slices.DeleteFunc(slices.Clone(shown), func(d *bugle.Delivery) bool { return !inList(d) })
		rows, err := v.deliveryRows(&page, shown)
		if err != nil {
			return nil, err
		}
		var news []newsItem
		passes := map[int64]bool{}
		for _, row := range slices.Backward(rows) { // each goes on top of those before
			text, err := htmlOf(file, template, row)
			if err != nil {
				return nil, err
			}
			news = append(news, newsItem{row.DOMID(), text})
			passes[row.ID] = true
		}
		for _, d := range all {
			if inList(d) && !passes[d.ID] {
				news = append(news, newsItem{ID: deliveryRow{Delivery: d}.DOMID()}) // it belongs to the list no more
			}
		}
		return news, nil
	})
}

// exportDeliveries answers with the list as a file.
func (s *server) exportDeliveries(v *visit, f store.DeliveryFilter) error {
	head := []string{"id", "created_at", "webhook", "event", "resource", "state", "attempts", "status", "reason", "duration_ms", "error", "message",
		"next_attempt_at", "finished_at", "request_id", "event_id"}
	return v.csv("webhook-logs", head, func(write func(row []string) error) error {
		return walkLog(v.Context(), func(ctx context.Context, at store.PageRequest) (store.Page[*bugle.Delivery], error) {
			return s.store.Deliveries(ctx, v.actor.OrganizationID, f, at)
		}, func(list []*bugle.Delivery) error {
			rows, err := v.deliveryRows(nil, list)
			if err != nil {
				return err
			}
			for _, d := range rows {
				status, kind, message := "", "", ""
				if d.Status != 0 {
					status = strconv.Itoa(d.Status)
				}
				if d.Error != nil {
					kind, message = string(d.Error.Kind), d.Error.Message
				}
				err := write([]string{strconv.FormatInt(d.ID, 10), bugle.FormatTime(d.CreatedAt), d.Webhook.Text, d.Event, d.Resource.Text, string(d.State),
					strconv.Itoa(d.AttemptsCount), status, d.Reason, strconv.FormatInt(d.Took.Milliseconds(), 10), kind, message,
					timeCell(d.NextAttemptAt), timeCell(d.FinishedAt), d.RequestID, strconv.FormatInt(d.EventID, 10)})
				if err != nil {
					return err
				}
			}
			return nil
		}, func(d *bugle.Delivery) int64 { return d.ID })
	})
}

// walkLog goes through all pages of a log, the newest first.
func walkLog[T any](ctx context.Context, read func(context.Context, store.PageRequest) (store.Page[T], error), each func([]T) error, id func(T) int64) error {
	at := store.PageRequest{Number: 1, Limit: 500, CountTo: -1}
	for {
		page, err := read(ctx, at)
		if err != nil {
			return err
		}
		if err := each(page.Items); err != nil {
			return err
		}
		switch {
		case page.Incomplete:
			at.Before = page.Reached
		case len(page.Items) < at.Limit:
			return nil
		default:
			at.Before = id(page.Items[len(page.Items)-1])
		}
	}
}

// changeSelected redelivers or cancels the rows that were chosen.
func (s *server) changeSelected(v *visit) error {
	f, err := v.form()
	if err != nil {
		return err
	}
	back := local(f.Get("back"))
	var ids []int64
	for _, text := range f.All("id") {
		if id, err := strconv.ParseInt(text, 10, 64); err == nil && len(ids) < store.MaxLimit {
			ids = append(ids, id)
		}
	}
	if len(ids) == 0 {
		v.flash("info", "Choose rows first.")
		return v.redirect(back)
	}
	change, done := deliveryChange((*store.Tx).RedeliverEnded), "redelivered"
	switch f.Get("do") {
	case "redeliver":
	case "cancel":
		change, done = cancelPending, "cancelled"
	default:
		return bugle.Invalid("do", "It is not said what to do with the rows.")
	}
	changed, skipped, err := s.changeDeliveries(v.Context(), v.actor.OrganizationID, ids, change)
	if err != nil {
		return err
	}
	text := fmt.Sprintf("%s %s.", thousands(changed), done)
	if skipped > 0 {
		why := "waiting already, or their webhook was deleted"
		if done == "cancelled" {
			why = "they had ended already"
		}
		text = fmt.Sprintf("%s %s, %s skipped (%s).", thousands(changed), done, thousands(skipped), why)
	}
	v.flash("success", text)
	return v.redirect(back)
}

// changeStep is how many deliveries are changed in one transaction, for which other changes wait.
const changeStep = 100

// A deliveryChange does something to a delivery, or reports that there was nothing to be done.
type deliveryChange func(tx *store.Tx, organizationID, id int64) (done bool, err error)

// cancelPending cancels what has not ended.
func cancelPending(tx *store.Tx, organizationID, id int64) (bool, error) {
	_, err := tx.Cancel(organizationID, id)
	if errors.Is(err, bugle.ErrConflict) || errors.Is(err, bugle.ErrNotFound) { // it is not as it was
		return false, nil
	}
	return err == nil, err
}

// changeDeliveries changes deliveries by steps, and returns how many were and how many had nothing to be done.
func (s *server) changeDeliveries(ctx context.Context, organizationID int64, ids []int64, change deliveryChange) (changed, skipped int, err error) {
	for step := range slices.Chunk(ids, changeStep) {
		done := 0
		err := s.store.Update(ctx, func(tx *store.Tx) error {
			done = 0
			for _, id := range step {
				ok, err := change(tx, organizationID, id)
				if err != nil {
					return err
				}
				if ok {
					done++
				}
			}
			return nil
		})
		if err != nil {
			return changed, skipped, err
		}
		changed, skipped = changed+done, skipped+len(step)-done
	}
	return changed, skipped, nil
}
