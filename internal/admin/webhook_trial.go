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
	"unicode/utf8"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/internal/delivery"
	"github.com/buglehq/bugle/internal/policy"
	"github.com/buglehq/bugle/internal/store"
	"github.com/buglehq/bugle/value"
)

type trialFormPage struct {
	frame
	Webhook *bugle.Webhook
	Form    *form
	Inputs  []input
	Service *webhookPreset // whose URL it has; nil: none of those known
}

// newTest asks what to send.
func (s *server) newTest(v *visit) error {
	w, err := v.webhook()
	if err != nil {
		return err
	}
	return s.renderTest(v, http.StatusOK, w, newForm(url.Values{"payload": {"{\n    \"status\": \"ok\"\n}"}}))
}

func (s *server) renderTest(v *visit, status int, w *bugle.Webhook, f *form) error {
	p := &trialFormPage{frame: v.newFrame("Test webhook", "webhooks"), Webhook: w, Form: f, Service: serviceOf(w.URL)}
	p.Lead = "Send data of your own to " + w.Name + ", and see what it answers."
	p.Back, p.Narrow = &link{fmt.Sprintf("/webhooks/%d", w.ID), w.Name}, true
	p.Inputs = f.fill([]input{{Name: "payload", Label: "Payload", Kind: inputEditor, Language: "json", Rows: 10, Required: true,
		Help: "JSON. It is the data of an event called webhook.test, which is sent like any other: signed, tried again if it fails, and logged."}})
	return v.render(status, "webhook_trial.html", p)
}

// sendTest makes the delivery, and leads to its result.
func (s *server) sendTest(v *visit) error {
	w, err := v.webhook()
	if err != nil {
		return err
	}
	f, err := v.form()
	if err != nil {
		return err
	}
	payload, err := value.Decode([]byte(f.Get("payload")))
	if err != nil {
		f.add("payload", "This is not valid JSON: "+err.Error()+".")
		return s.renderTest(v, http.StatusUnprocessableEntity, w, f)
	}
	var id int64
	err = s.store.Update(v.Context(), func(tx *store.Tx) (err error) {
		id, err = tx.SendTest(v.actor, w.ID, payload)
		return err
	})
	if errors.Is(err, bugle.ErrConflict) {
		f.add("", "The webhook is disabled, so nothing is sent to it. Enable it first.")
	}
	if f.take(err) || f.Failed() {
		return s.renderTest(v, http.StatusUnprocessableEntity, w, f)
	}
	if err != nil {
		return err
	}
	return v.redirect(fmt.Sprintf("/webhooks/%d/test/%d", w.ID, id))
}

type trialPage struct {
	frame
	Webhook  *bugle.Webhook
	Service  *webhookPreset
	Delivery *bugle.Delivery
	Method   string
	URL      string
	Headers  []bugle.Header // as sent, credentials masked
	Body     string         // empty for GET
	Sent     bool           // there was an attempt; else what is shown is what will be sent
	Attempt  *bugle.Attempt // the newest; nil: there is none yet
	Answer   string         // its body
	Binary   bool           // which is no text
	JSON     bool           // which is JSON
	Names    []string       // of the answer's headers
	Poll     bool
}

// maxTrialWait is for how long the page asks for the answer by itself.
const maxTrialWait = time.Minute

// showTest shows what is sent and, as soon as it is there, what came back. The page asks for its result
// again and again; what it gets is the part of the page.
func (s *server) showTest(v *visit) error {
	w, err := v.webhook()
	if err != nil {
		return err
	}
	id, err := strconv.ParseInt(v.PathValue("delivery"), 10, 64)
	if err != nil {
		return bugle.ErrNotFound
	}
	d, err := s.store.Delivery(v.Context(), v.actor.OrganizationID, id)
	if err != nil {
		return err
	}
	// Other deliveries are the log's, which takes another permission.
	if d.WebhookID != w.ID || d.Event != bugle.TestEvent {
		return bugle.ErrNotFound
	}
	payload, err := s.store.Payload(v.Context(), d.EventID)
	if err != nil {
		return err
	}
	body, err := policy.Apply(w, payload)
	if err != nil {
		return err
	}
	attempts, err := s.store.Attempts(v.Context(), d.ID)
	if err != nil {
		return err
	}
	p := &trialPage{frame: v.newFrame("Test of "+w.Name, "webhooks"), Webhook: w, Service: serviceOf(w.URL), Delivery: d}
	p.Back = &link{fmt.Sprintf("/webhooks/%d", w.ID), w.Name}
	at, called := s.now(), *w
	if len(attempts) > 0 {
		p.Sent, p.Attempt = true, attempts[len(attempts)-1]
		at, called.URL, called.Method = p.Attempt.StartedAt, p.Attempt.URL, strings.ToLower(p.Attempt.Method)
	}
	if err := p.request(&called, body, at, s.o.UserAgent); err != nil {
		return err
	}
	if p.Attempt != nil {
		p.answer()
	}
	p.Poll = p.Attempt == nil && d.State == bugle.Pending && w.Status == bugle.Active && s.now().Sub(d.CreatedAt) < maxTrialWait
	if v.isFragment() {
		return v.fragment(http.StatusOK, "webhook_trial_result.html", "result", p)
	}
	return v.render(http.StatusOK, "webhook_trial_result.html", p)
}

// request is what goes, or went, over the wire.
func (p *trialPage) request(w *bugle.Webhook, body policy.Body, at time.Time, userAgent string) error {
	r, err := delivery.NewRequest(w, p.Delivery.ID, body, at, userAgent)
	if err != nil {
		return err
	}
	p.Method, p.URL, p.Body = r.Method, r.URL, string(r.Body)
	for name, values := range r.Header {
		h := bugle.MaskHeader(bugle.Header{Name: name, Value: values[0]})
		if name == "Signature" || name == "webhook-signature" {
			h.Value = bugle.Mask("")
		}
		p.Headers = append(p.Headers, h)
	}
	slices.SortFunc(p.Headers, func(a, b bugle.Header) int {
		return strings.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name))
	})
	return nil
}

// answer is what came back.
func (p *trialPage) answer() {
	for name := range p.Attempt.ResponseHeaders {
		p.Names = append(p.Names, name)
	}
	slices.Sort(p.Names)
	p.Binary = !utf8.Valid(p.Attempt.ResponseBody) && !p.Attempt.ResponseTruncated
	p.Answer = strings.ToValidUTF8(string(p.Attempt.ResponseBody), "\uFFFD")
	_, err := value.Decode(p.Attempt.ResponseBody)
	p.JSON = err == nil
}

// Value is a header of the answer.
func (p *trialPage) Value(name string) string {
	return strings.Join(p.Attempt.ResponseHeaders[name], ", ")
}

// Trying reports whether there will be another attempt.
func (p *trialPage) Trying() bool { return p.Delivery.State == bugle.Pending && p.Attempt != nil }
