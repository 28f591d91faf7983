package admin

import (
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/internal/store"
)

// redeliveries adds what sends a part of the log again.
func (s *server) redeliveries() {
	s.page("GET /webhook-logs/redeliver", "update_webhook_log", s.askRedeliver)
	s.page("POST /webhook-logs/redeliver", "update_webhook_log", s.startRedeliver)
	s.page("POST /webhook-logs/redeliver/missing", "update_webhook_log", s.startMissing)
	s.page("GET /webhook-logs/redeliver/{id}", "update_webhook_log", s.showRedeliver)
	s.page("POST /webhook-logs/redeliver/{id}/cancel", "update_webhook_log", s.cancelRedeliver)
}

type redeliverPage struct {
	frame
	Problems []string
	Total    int
	More     bool
	Filters  []filter       // that are set
	Start    string         // the address that starts it
	List     string         // the address of the list
	Busy     int64          // another replay that is under way; 0: none is
	Hook     *bugle.Webhook // that is filtered by, and may have missed events; nil: none
	Missing  string         // the address that sends these
	From     input          // from when on
	Replay   *store.Replay
}

// Max is the end of the bar, 0 if it is not known.
func (p *redeliverPage) Max() int {
	if p.Replay.More || p.Replay.Missing && !p.Replay.Ended() {
		return 0
	}
	return max(p.Replay.Total, p.Replay.Done(), 1)
}

// askRedeliver says how much would be sent again, and asks whether it should be.
func (s *server) askRedeliver(v *visit) error { return s.showAsk(v, http.StatusOK, nil) }

// showAsk shows the page, with what is wrong with the moment from which on missed events are to be sent.
func (s *server) showAsk(v *visit, status int, wrong []string) error {
	f, problems := v.deliveryFilters()
	p := &redeliverPage{frame: v.newFrame("Redeliver", "webhook-logs"), Problems: problems,
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
	newest, err := s.store.Replays(v.Context(), v.actor.OrganizationID, 0, store.PageRequest{Number: 1, Limit: 1})
	if err != nil {
		return err
	}
	if len(newest.Items) > 0 && !newest.Items[0].Ended() {
		p.Busy = newest.Items[0].ID
	}
	if f.WebhookID != 0 {
		p.Hook, err = s.store.Webhook(v.Context(), v.actor.OrganizationID, f.WebhookID)
		if err != nil && !errors.Is(err, bugle.ErrNotFound) {
			return err
		}
		p.Missing = v.logQuery("/webhook-logs/redeliver/missing")
		p.From = input{Name: "from", Label: "Since", Kind: inputDateTime, Value: v.filterTime("since", "").Value, Required: true, Errors: wrong}
		if v.PostForm.Has("from") {
			p.From.Value = v.PostForm.Get("from")
		}
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
		return s.showAsk(v, http.StatusUnprocessableEntity, nil)
	}
	_, query, _ := strings.Cut(v.logQuery(""), "?")
	return s.startReplay(v, &store.Replay{Filter: f, Query: query})
}

// startMissing begins to make deliveries of events that the webhook that is filtered by has got nothing of. Of the filters those
// on events hold too.
func (s *server) startMissing(v *visit) error {
	form, err := v.form()
	if err != nil {
		return err
	}
	f, problems := v.deliveryFilters()
	from, err := v.readTime(form.Get("from"))
	switch {
	case len(problems) > 0:
		return s.showAsk(v, http.StatusUnprocessableEntity, nil)
	case f.WebhookID == 0:
		return bugle.Invalid("webhook", "Choose one webhook.")
	case err != nil:
		return s.showAsk(v, http.StatusUnprocessableEntity, []string{"Choose a date and a time."})
	case !f.Until.IsZero() && !from.Before(f.Until):
		return s.showAsk(v, http.StatusUnprocessableEntity, []string{"Choose a time before that of the filter until."})
	}
	shown := url.Values{"webhook": {strconv.FormatInt(f.WebhookID, 10)}} // what is sent may get any state
	r := &store.Replay{Missing: true, Filter: store.DeliveryFilter{WebhookID: f.WebhookID, Since: from, Until: f.Until}}
	if f.Event != "" {
		r.Filter.Events = []string{f.Event}
		shown.Set("event", f.Event)
	}
	r.Query = shown.Encode()
	return s.startReplay(v, r)
}

// startReplay begins a replay, and leads to its page.
func (s *server) startReplay(v *visit, r *store.Replay) error {
	r.OrganizationID = v.actor.OrganizationID
	err := s.store.StartReplay(v.Context(), r)
	if errors.Is(err, bugle.ErrConflict) {
		v.flash("warning", "Other redeliveries are under way. Wait until one has ended, or stop it.")
		return v.redirect(v.logQuery("/webhook-logs/redeliver"))
	}
	if err != nil {
		return err
	}
	return v.redirect("/webhook-logs/redeliver/" + strconv.FormatInt(r.ID, 10))
}

// showRedeliver says how far a replay is; to htmx the part of the page that changes.
func (s *server) showRedeliver(v *visit) error {
	id, err := v.id()
	if err != nil {
		return err
	}
	r, err := s.store.Replay(v.Context(), v.actor.OrganizationID, id)
	if err != nil {
		return err
	}
	query, err := url.ParseQuery(r.Query)
	if err != nil {
		return err
	}
	if r.Query == "" && r.Filter.WebhookID != 0 { // it came through the API
		query.Set("webhook", strconv.FormatInt(r.Filter.WebhookID, 10))
	}
	p := &redeliverPage{frame: v.newFrame("Redelivery", "webhook-logs"), Replay: r,
		Start: pathWith("/webhook-logs/redeliver", query), List: pathWith("/webhook-logs", query)}
	p.Back, p.Narrow = &link{p.List, "Webhook Logs"}, true
	if v.isFragment() {
		return v.fragment(http.StatusOK, "redeliver.html", "replay", p)
	}
	return v.render(http.StatusOK, "redeliver.html", p)
}

// cancelRedeliver stops a replay after the step under way.
func (s *server) cancelRedeliver(v *visit) error {
	id, err := v.id()
	if err != nil {
		return err
	}
	text := "The redelivery is stopped. What was sent again stays so."
	err = s.store.Update(v.Context(), func(tx *store.Tx) error {
		_, err := tx.CancelReplay(v.actor.OrganizationID, id)
		return err
	})
	if errors.Is(err, bugle.ErrConflict) {
		text, err = "The redelivery had ended already.", nil
	}
	if err != nil {
		return err
	}
	v.flash("info", text)
	return v.redirect("/webhook-logs/redeliver/" + strconv.FormatInt(id, 10))
}
