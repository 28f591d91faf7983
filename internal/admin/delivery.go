package admin

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf16"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/internal/delivery"
	"github.com/buglehq/bugle/internal/policy"
	"github.com/buglehq/bugle/internal/store"
)

type deliveryPage struct {
	frame
	Delivery *bugle.Delivery
	Webhook  link
	Hook     *bugle.Webhook // or the lane of a channel, as it is today; nil: it was deleted
	Resource link
	Event    link
	Because  link // the event that an automation answered to with this delivery
	Run      link // of the automation
	Last     *attemptView
	Attempts []attemptView // the newest first
	More     bool          // there were more attempts
	Request  *requestView  // nil: it is not known any more
	Payload  *body
	Filtered bool   // by the webhook's field policy
	Withheld bool   // a template wrote it before the field policy became what it is
	Every    string // how often the page asks for news; empty: it has ended
	Version  string // of what is shown
}

// An attemptView is an attempt with what is to be said of it.
type attemptView struct {
	*bugle.Attempt
	explanation
	Headers []bugle.Header
	Answer  *body
}

// A requestView is a request as people may see it.
type requestView struct {
	Method, URL string
	Query       string // that carried the payload; empty: it is in the body
	Headers     []bugle.Header
	Sent        bool // it was sent, rather than that it would be
}

// A body is a text that was sent or received: as it is, and for people to read.
type body struct {
	Raw    string
	Pretty string // JSON by lines
	JSON   bool
	Size   int
}

func newBody(data []byte) *body {
	b := &body{Raw: strings.ToValidUTF8(string(data), "\uFFFD"), Size: len(data)}
	b.Pretty, b.JSON = indentJSON(data)
	return b
}

// indentJSON writes JSON by lines and with its characters as they are, rather than as \u00e9 or \/.
func indentJSON(data []byte) (string, bool) {
	var out bytes.Buffer
	if len(bytes.TrimSpace(data)) == 0 || json.Indent(&out, data, "", "  ") != nil {
		return "", false
	}
	text := strings.ToValidUTF8(out.String(), "\uFFFD")
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		if text[i] != '\\' || i+1 == len(text) {
			b.WriteByte(text[i])
			continue
		}
		switch text[i+1] {
		case '/':
			b.WriteByte('/')
			i++
		case 'u':
			r, size := escapedRune(text[i:])
			if r >= 0 && unicode.IsPrint(r) && r != '"' && r != '\\' {
				b.WriteRune(r)
			} else {
				b.WriteString(text[i : i+size])
			}
			i += size - 1
		default:
			b.WriteString(text[i : i+2])
			i++
		}
	}
	return b.String(), true
}

// escapedRune reads \uXXXX, or the two of them that stand for one character.
func escapedRune(text string) (r rune, size int) {
	unit := func(at int) rune {
		if len(text) < at+6 || text[at:at+2] != `\u` {
			return -1
		}
		n, err := strconv.ParseUint(text[at+2:at+6], 16, 16)
		if err != nil {
			return -1
		}
		return rune(n)
	}
	r = unit(0)
	if !utf16.IsSurrogate(r) {
		return r, min(6, len(text))
	}
	if r = utf16.DecodeRune(r, unit(6)); r != unicode.ReplacementChar {
		return r, 12
	}
	return -1, 6
}

// headersOf are headers by their names.
func headersOf(h http.Header) []bugle.Header {
	var list []bugle.Header
	for name, values := range h {
		for _, value := range values {
			list = append(list, bugle.Header{Name: name, Value: value})
		}
	}
	slices.SortStableFunc(list, func(a, b bugle.Header) int { return strings.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name)) })
	return list
}

// showDelivery answers with a delivery; to htmx with what has changed of it, if anything has.
func (s *server) showDelivery(v *visit) error {
	id, err := v.id()
	if err != nil {
		return err
	}
	d, err := s.store.Delivery(v.Context(), v.actor.OrganizationID, id)
	if err != nil {
		return err
	}
	p := &deliveryPage{frame: v.newFrame(fmt.Sprintf("Delivery %d", id), "webhook-logs"), Delivery: d}
	if p.Hook, err = s.hookOf(v, d); err != nil {
		return err
	}
	p.follow(s.now())
	if v.isFragment() && v.URL.Query().Get("seen") == p.Version {
		v.w.WriteHeader(http.StatusNoContent)
		return nil
	}
	p.Back = &link{"/webhook-logs", "Webhook Logs"}
	if err := s.fillDelivery(v, p); err != nil {
		return err
	}
	if v.isFragment() {
		return v.fragment(http.StatusOK, "delivery.html", "delivery", p)
	}
	return v.render(http.StatusOK, "delivery.html", p)
}

// hookOf returns the webhook of a delivery, or the lane of its channel; nil if it was deleted.
func (s *server) hookOf(v *visit, d *bugle.Delivery) (*bugle.Webhook, error) {
	if c := bugle.ChannelByName(d.Channel); c != nil {
		return s.store.Lane(v.Context(), d.OrganizationID, c)
	}
	w, err := s.store.Webhook(v.Context(), d.OrganizationID, d.WebhookID)
	if errors.Is(err, bugle.ErrNotFound) {
		return nil, nil
	}
	return w, err
}

// follow says how often the page asks for news: each second when an attempt is near, and not at all once the
// delivery has ended.
func (p *deliveryPage) follow(now time.Time) {
	d := p.Delivery
	if d.State == bugle.Pending {
		p.Every = "1s"
		if d.NextAttemptAt.Sub(now) > time.Minute {
			p.Every = "10s"
		}
	}
	status := bugle.WebhookStatus("")
	if p.Hook != nil {
		status = p.Hook.Status
	}
	p.Version = fmt.Sprintf("%s-%d-%d-%s-%s", d.State, d.AttemptsCount, d.NextAttemptAt.UnixMilli(), status, p.Every)
}

// fillDelivery reads what the page shows.
func (s *server) fillDelivery(v *visit, p *deliveryPage) error {
	d, ctx := p.Delivery, v.Context()
	names := map[int64]string{}
	if p.Hook != nil {
		names[d.WebhookID] = p.Hook.Name
	}
	p.Webhook, p.Resource = v.webhookLink(d, names), v.resource(d.ResourceKind, d.ResourceID)
	e, err := s.store.Event(ctx, d.OrganizationID, d.EventID)
	if err != nil {
		return err
	}
	p.Event = v.guarded("view_event_log", fmt.Sprintf("/event-log/%d", e.ID), e.Name)
	if e.Addressed { // it was made for this delivery, and is not in the log
		p.Event.URL = ""
	}
	if d.RunID != 0 {
		run, err := s.store.Run(ctx, d.OrganizationID, d.RunID)
		if err != nil && !errors.Is(err, bugle.ErrNotFound) {
			return err
		}
		if err == nil {
			p.Run = v.guarded("view_automation_log", fmt.Sprintf("/automation-logs/%d", run.ID), run.Automation)
			p.Because = v.guarded("view_event_log", fmt.Sprintf("/event-log/%d", run.EventID), run.Trigger)
		}
	}
	attempts, err := s.store.Attempts(ctx, d.ID)
	if err != nil {
		return err
	}
	for _, a := range slices.Backward(attempts) {
		view := attemptView{Attempt: a, explanation: explain(a, p.Hook), Headers: headersOf(a.ResponseHeaders)}
		if len(a.ResponseBody) > 0 {
			view.Answer = newBody(a.ResponseBody)
		}
		p.Attempts = append(p.Attempts, view)
	}
	p.More = d.AttemptsCount > len(attempts)
	var last *bugle.Attempt
	if len(p.Attempts) > 0 {
		p.Last = &p.Attempts[0]
		last = p.Last.Attempt
	}
	return s.fillSent(v, p, e, last)
}

// fillSent shows what is sent, as far as the webhook's field policy lets it through.
func (s *server) fillSent(v *visit, p *deliveryPage, e *bugle.Event, last *bugle.Attempt) error {
	d, hook := p.Delivery, p.Hook
	if d.Channel != "" {
		p.Payload = newBody(e.Envelope)
		p.Request = s.callOf(hook, e.Envelope, last)
		return nil
	}
	if hook == nil {
		var err error
		if hook, err = s.store.FormerWebhook(v.Context(), d.OrganizationID, d.WebhookID); err != nil {
			return err
		}
	}
	body, err := policy.Apply(hook, e.Payload())
	if errors.Is(err, policy.ErrWithheld) {
		p.Withheld = true
		p.Request = s.callOf(nil, nil, last)
		return nil
	}
	if err != nil {
		return err
	}
	p.Payload, p.Filtered = newBody(body.Bytes()), len(hook.FieldPolicy) > 0
	if p.Hook == nil {
		p.Request = s.callOf(nil, nil, last)
		return nil
	}
	p.Request, err = s.requestOf(hook, d, body, last)
	return err
}

// requestOf returns the request of the last attempt to call a webhook, or of the first that is to come.
func (s *server) requestOf(w *bugle.Webhook, d *bugle.Delivery, body policy.Body, last *bugle.Attempt) (*requestView, error) {
	shown, err := delivery.ShownRequest(w, d.ID, body, last, s.now(), s.o.UserAgent)
	if err != nil {
		return nil, err
	}
	r := &requestView{Sent: last != nil, Method: shown.Method, URL: shown.URL, Headers: headersOf(shown.Header)}
	if shown.Method == http.MethodGet {
		r.URL, r.Query, _ = strings.Cut(shown.URL, "?")
	}
	return r, nil
}

// callOf returns what was called last, or what a channel will call; nil if that is not known.
func (s *server) callOf(lane *bugle.Webhook, envelope []byte, last *bugle.Attempt) *requestView {
	r := &requestView{Sent: last != nil}
	switch {
	case last != nil:
		r.Method, r.URL = last.Method, last.URL
	case lane != nil:
		r.Method, r.URL = delivery.ChannelTarget(lane, envelope)
	}
	if r.URL == "" {
		return nil
	}
	return r
}

// redeliver sends a delivery again.
func (s *server) redeliver(v *visit) error {
	return s.changeDelivery(v, (*store.Tx).Redeliver, "It is sent again.", "It cannot be sent again: its webhook was deleted.")
}

// cancelDelivery ends a delivery that is pending.
func (s *server) cancelDelivery(v *visit) error {
	return s.changeDelivery(v, (*store.Tx).Cancel, "The delivery is cancelled.", "It had ended already: there was nothing to cancel.")
}

func (s *server) changeDelivery(v *visit, change func(tx *store.Tx, organizationID, id int64) (*bugle.Delivery, error), done, refused string) error {
	id, err := v.id()
	if err != nil {
		return err
	}
	err = s.store.Update(v.Context(), func(tx *store.Tx) error {
		_, err := change(tx, v.actor.OrganizationID, id)
		return err
	})
	switch {
	case errors.Is(err, bugle.ErrConflict):
		v.flash("warning", refused)
	case err != nil:
		return err
	default:
		v.flash("success", done)
	}
	return v.redirect(fmt.Sprintf("/webhook-logs/%d", id))
}
