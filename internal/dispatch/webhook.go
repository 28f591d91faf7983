package dispatch

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/internal/policy"
	"github.com/buglehq/bugle/internal/store"
	"github.com/buglehq/bugle/value"
)

// maxPayload is how many bytes the body of a delivery may have.
const maxPayload = 256 << 10

// skip notes in a run that its action was not taken, and why.
func skip(r *bugle.Run, action bugle.ActionType, reason string) {
	r.ActionPayload = value.Map("type", string(action), "skipped", true, "reason", reason)
}

// payloadFor returns what is to be sent to a webhook for an event, without a text if the template's is empty. Templates see only what
// the webhook's field policy lets through; where there is none, it holds when the payload is sent.
func (p *program) payloadFor(w *bugle.Webhook, e *bugle.Event, c *Context, now time.Time) (bugle.Payload, error) {
	rendered := 0
	if p.payload != nil || p.PayloadFormat != bugle.PayloadEnvelope {
		c, rendered = c.filtered(policy.New(w), e), w.PolicyVersion
	}
	body, err := p.body(e, c, now)
	return bugle.Payload{Text: body, Rendered: rendered}, err
}

// body returns the bytes to send for an event, nil if the template's text is empty.
func (p *program) body(e *bugle.Event, c *Context, now time.Time) ([]byte, error) {
	data, changes := c.values[0], any(value.NewArray(0))
	if p.payload != nil {
		rendered, err := p.payload.render(newEvaluation(), c.named)
		if err != nil {
			return nil, err
		}
		data, changes = rendered, nil
	}
	var body []byte
	var err error
	switch p.PayloadFormat {
	case bugle.PayloadText:
		text, _ := data.(string)
		if body = []byte(strings.TrimSpace(text)); len(body) == 0 {
			return nil, nil
		}
		_, err = value.Decode(body)
		var syntax *value.SyntaxError
		if errors.As(err, &syntax) {
			err = fmt.Errorf("what the template puts out is no JSON: %w", err)
		}
	case bugle.PayloadJSON:
		body, err = value.JSON(data)
	default:
		body, err = bugle.Envelope{Event: e.Name, Created: now, RequestID: e.RequestID, TraceID: e.TraceID, Data: data, Changes: changes}.JSON()
	}
	if err == nil && len(body) > maxPayload {
		err = fmt.Errorf("the payload has %d bytes; at most %d may be sent", len(body), maxPayload)
	}
	if err != nil {
		return nil, &fieldError{"webhook_payload_template", err}
	}
	return body, nil
}

// sendEffect is a delivery to be made.
type sendEffect struct {
	event   *bugle.Event
	webhook *bugle.Webhook
}

func (s *sendEffect) apply(tx *store.Tx, _ store.Actor, r *bugle.Run) (err error) {
	r.DeliveryID, err = tx.Address(s.event, s.webhook.ID)
	return err
}

func (p *program) send(ctx context.Context, from reader, e *bugle.Event, c *Context, now time.Time, r *bugle.Run) (effect, error) {
	if p.WebhookID == 0 {
		return nil, &fieldError{"webhook_id", fail("the automation has no webhook: the one that it had was deleted")}
	}
	w, err := from.Webhook(ctx, p.OrganizationID, p.WebhookID)
	if errors.Is(err, bugle.ErrNotFound) {
		return nil, &fieldError{"webhook_id", fail("there is no webhook with the id %d", p.WebhookID)}
	}
	if err != nil {
		return nil, err
	}
	if w.Status == bugle.Disabled {
		return nil, &fieldError{"webhook_id", fail("the webhook %d is disabled", w.ID)}
	}
	made, err := p.payloadFor(w, e, c, now)
	if err != nil {
		return nil, err
	}
	if made.Text == nil {
		skip(r, bugle.SendWebhook, "the template's text is empty")
		return nil, nil
	}
	r.ActionPayload = value.Map("type", string(bugle.SendWebhook), "webhook_id", w.ID, "webhook_url", w.URL, "custom_payload", p.payload != nil)
	return &sendEffect{webhook: w, event: &bugle.Event{
		OrganizationID: e.OrganizationID, Name: e.Name, ResourceKind: e.ResourceKind, ResourceID: e.ResourceID, RequestID: e.RequestID,
		TraceID: e.TraceID, CreatedAt: now, Envelope: made.Text, Rendered: made.Rendered, CauserID: e.CauserID, Chain: e.Next(p.ID, r.ID),
	}}, nil
}

func (*sendEffect) whole() bool { return true }
