package delivery

import (
	"context"
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/value"
)

// A mission is one attempt to deliver a message by a channel.
type mission struct {
	client       *Client
	lane         *bugle.Webhook
	sent         bugle.Sent
	deliveryID   int64
	organization string // its name, for mails
	userAgent    string
	attempt      *bugle.Attempt // to be filled in
}

// An apiCall is a call of a service's API.
type apiCall struct {
	url    string
	shown  string // the URL without secrets
	header [][2]string
	body   []byte
}

// byChannel makes an attempt by the channel of a lane.
func (e *Engine) byChannel(ctx context.Context, lane *bugle.Webhook, deliveryID int64, envelope []byte, a *bugle.Attempt) {
	m := &mission{client: e.client, lane: lane, deliveryID: deliveryID, userAgent: e.o.UserAgent, attempt: a}
	a.URL = ""
	var err error
	if m.sent, err = bugle.ParseSent(envelope); err != nil {
		a.Error = &bugle.AttemptError{Kind: bugle.ErrorConfig, Message: "what is to be sent cannot be read: " + err.Error(), Permanent: true}
		return
	}
	if lane.Channel == "mail" {
		o, err := e.store.Organization(ctx, lane.OrganizationID)
		if err != nil {
			a.Error = &bugle.AttemptError{Kind: bugle.ErrorConfig, Message: "the organization cannot be read"}
			return
		}
		m.organization = o.Name
	}
	m.run(ctx)
}

// run makes the attempt within the lane's timeout.
func (m *mission) run(ctx context.Context) {
	a := m.attempt
	start := time.Now()
	a.Error = m.send(ctx, start.Add(m.lane.Timeout()))
	a.Took = time.Since(start)
	m.scrub()
}

// send returns what went wrong, nil for nothing.
func (m *mission) send(ctx context.Context, deadline time.Time) *bugle.AttemptError {
	channel := bugle.ChannelByName(m.lane.Channel)
	if channel == nil {
		return impossible("there is no channel %s", m.lane.Channel)
	}
	if missing := channel.Missing(m.lane.Settings); missing != nil {
		return channel.NotConfigured(missing)
	}
	if channel.Reach == bugle.ToEach && m.sent.Recipient == nil {
		return impossible("there is no recipient")
	}
	switch channel.Name {
	case "mail":
		return m.mail(ctx, deadline)
	case "discord_private":
		return m.discordPrivate(ctx, deadline)
	}
	p, failed := m.post()
	if failed != nil {
		return failed
	}
	return m.judge(m.make(ctx, p, deadline))
}

// post returns the call of a channel that takes one.
func (m *mission) post() (*apiCall, *bugle.AttemptError) {
	switch m.lane.Channel {
	case "discord_public":
		return m.discordPublic()
	case "slack":
		return m.slack()
	case "telegram":
		return m.telegram()
	case "sms":
		return m.sms()
	}
	return nil, impossible("the channel %s cannot be sent by", m.lane.Channel)
}

// make makes a call and judges its answer.
func (m *mission) make(ctx context.Context, p *apiCall, deadline time.Time) *bugle.AttemptError {
	a := m.attempt
	a.Method, a.URL = http.MethodPost, p.shown
	r := &Request{Method: http.MethodPost, URL: p.url, Header: make(http.Header, len(p.header)+1), Body: p.body, Timeout: max(time.Until(deadline), time.Millisecond)}
	r.Header.Set("User-Agent", m.userAgent)
	for _, h := range p.header {
		r.Header.Set(h[0], h[1])
	}
	m.client.Send(ctx, r, a)
	if a.Error != nil && a.Error.Kind == bugle.ErrorTimeout { // of what an earlier call left of it
		a.Error.Message = "the receiver did not answer within " + inSeconds(m.lane.Timeout())
	}
	return a.Error
}

// jsonBody is a call's body, and the header that says so.
func (p *apiCall) jsonBody(fields *value.Array) (*apiCall, *bugle.AttemptError) {
	body, err := value.JSON(fields)
	if err != nil {
		return nil, impossible("the message cannot be sent as JSON: %s", err)
	}
	p.body = body
	p.header = append(p.header, [2]string{"Content-Type", "application/json"})
	return p, nil
}

// impossible is a failure that no other attempt would mend.
func impossible(format string, args ...any) *bugle.AttemptError {
	failed := refuse(bugle.ErrorConfig, format, args...).AttemptError
	failed.Permanent = true
	return &failed
}

var noText = impossible("the message has no text")

// hiddenPath is a URL whose path is a secret, without it.
func hiddenPath(text string) string {
	u, err := url.Parse(text)
	if err != nil {
		return ""
	}
	return u.Scheme + "://" + u.Host + "/" + bugle.Mask("")
}

// api is where the service's API is.
func (m *mission) api() string { return strings.TrimRight(m.lane.Setting("api_url"), "/") }

// scrub takes secrets out of everything that is kept of the attempt: a service, or what stands before it, may
// answer with what it was sent.
func (m *mission) scrub() {
	a := m.attempt
	var secrets []string
	for _, secret := range m.lane.Secrets() {
		if len(secret) < 4 {
			continue // it would be found in any text
		}
		secrets = append(secrets, secret, url.QueryEscape(secret), url.PathEscape(secret), strings.ReplaceAll(secret, "/", `\/`),
			base64.StdEncoding.EncodeToString([]byte(secret)))
		if sid := m.lane.Setting("account_sid"); sid != "" {
			secrets = append(secrets, base64.StdEncoding.EncodeToString([]byte(sid+":"+secret)))
		}
	}
	scrub(a, secrets)
}

// ChannelTarget returns the method and the URL, without secrets, of what would be called for a delivery by
// the channel of a lane. They are empty if the channel is not configured, or there is nothing to call.
func ChannelTarget(lane *bugle.Webhook, envelope []byte) (method, shown string) {
	channel := bugle.ChannelByName(lane.Channel)
	sent, err := bugle.ParseSent(envelope)
	if channel == nil || err != nil || channel.Missing(lane.Settings) != nil || channel.Reach == bugle.ToEach && sent.Recipient == nil {
		return "", ""
	}
	m := &mission{lane: lane, sent: sent}
	switch channel.Name {
	case "mail":
		return mailMethod, m.mailURL()
	case "discord_private":
		if sent.Recipient.ChannelID != "" {
			return http.MethodPost, m.discordMessages(sent.Recipient.ChannelID)
		}
		return http.MethodPost, m.api() + "/users/@me/channels"
	}
	p, failed := m.post()
	if failed != nil {
		return "", ""
	}
	return http.MethodPost, p.shown
}
