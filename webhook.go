package bugle

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/net/http/httpguts"

	"github.com/buglehq/bugle/internal/spelling"
	"github.com/buglehq/bugle/value"
)

// A WebhookStatus says whether a webhook gets deliveries, and whether they are sent.
type WebhookStatus string

const (
	Active   WebhookStatus = "active"
	Paused   WebhookStatus = "paused"   // deliveries are made, kept, and wait
	Disabled WebhookStatus = "disabled" // none are made; those that were made before wait
)

// WebhookStatuses are all of them.
var WebhookStatuses = []WebhookStatus{Active, Paused, Disabled}

// A Webhook is where to call, with which secret, for which events.
type Webhook struct {
	ID             int64
	OrganizationID int64
	Name           string
	Description    string
	URL            string
	Method         string   // "get" or "post"
	Events         []string // names of the catalogue; may be empty
	Secret         string
	OldSecret      string    // signs beside Secret until OldSecretUntil
	OldSecretUntil time.Time // zero: there is no old secret
	Status         WebhookStatus
	TimeoutSeconds int     // 1 to 30, from dialling to the last byte of the answer
	MaxAttempts    int     // 1 to 100
	RetrySchedule  []int   // seconds to wait after each failed attempt; the last one repeats
	MaxConcurrency int     // 1 to 100
	RatePerSecond  float64 // 0: no limit
	Ordered        bool    // strictly one after the other, in event order
	Headers        []Header
	FieldPolicy    []FieldRule // what is left out of what it gets, or hashed; empty: nothing
	PolicyKey      string      // of the hashes; empty: it never had a policy
	PolicyVersion  int         // counts the changes of FieldPolicy, from 1
	CreatedAt      time.Time
	UpdatedAt      time.Time
	Health         Health
	Incident       Incident
	DisablesAt     time.Time    // DisableAt, by what its organization has set
	Held           bool         // its organization is: what it is owed waits
	Channel        string       // of messages, if this is the lane of one; empty: it is a webhook
	Settings       *value.Array // of the channel
}

// A Header is one that the admin wants in every request of a webhook.
type Header struct{ Name, Value string }

// A HealthState sums up how a webhook's receiver has been doing.
type HealthState string

const (
	Healthy HealthState = "healthy" // the last attempt delivered, or there was none
	Failing HealthState = "failing" // at least one attempt failed since the last success
	Tripped HealthState = "tripped" // TripAfter in a row failed: one attempt at a time until one delivers
)

// TripAfter is how many attempts in a row must fail before a lane shrinks to one slot.
const TripAfter = 10

// Health is a webhook's recent history in numbers.
type Health struct {
	ConsecutiveFailures int
	LastSuccessAt       time.Time // zero: never
	LastFailureAt       time.Time // zero: never
	FailingSince        time.Time // the first failure after the last success; zero: there was none, or it is not known
}

// State returns the word for h.
func (h Health) State() HealthState {
	switch {
	case h.ConsecutiveFailures >= TripAfter:
		return Tripped
	case h.ConsecutiveFailures > 0:
		return Failing
	}
	return Healthy
}

// After returns h once one more attempt ended.
func (h Health) After(ok bool, ended time.Time) Health {
	if ok {
		h.ConsecutiveFailures, h.LastSuccessAt, h.FailingSince = 0, ended, time.Time{}
	} else {
		if h.FailingSince.IsZero() {
			h.FailingSince = ended
		}
		h.ConsecutiveFailures++
		h.LastFailureAt = ended
	}
	return h
}

// Pauses between the probes of a lane that has tripped.
const (
	firstProbe = time.Second
	lastProbe  = time.Minute
)

// A Pace keeps a lane from burning the attempts of everything that waits while its receiver is down, and from falling upon
// the receiver when it is back. The zero Pace holds nothing back.
type Pace struct {
	Limit   int       // requests under way at once; 0: what the webhook allows
	NextAt  time.Time // none goes out before
	probing int       // probes that failed one after the other
}

// After returns the pace once an attempt has ended, after which the receiver has health h. A lane that has tripped sends one
// request at a time, at 1 s, 2 s, 4 s … up to a minute after the one before. Once one delivers, each that does lets one
// more be under way beside the others, so that they double with every round, until the webhook's own limit is reached; one
// that fails meanwhile halves them.
func (p Pace) After(ok bool, h Health, w *Webhook, ended time.Time) Pace {
	switch {
	case w.Ordered: // one after the other anyway, by its schedule
		return Pace{}
	case !ok && ended.Before(p.NextAt): // it was under way beside the one that failed before
		return p
	case !ok && h.State() == Tripped:
		pause := min(firstProbe<<min(p.probing, 16), lastProbe)
		return Pace{Limit: 1, NextAt: ended.Add(pause), probing: p.probing + 1}
	case p.Limit == 0:
		return p
	case !ok:
		return Pace{Limit: max(p.Limit/2, 1)}
	case p.Limit+1 >= w.MaxConcurrency:
		return Pace{}
	}
	return Pace{Limit: p.Limit + 1}
}

// Slots returns how many of a webhook's slots may be used.
func (p Pace) Slots(all int) int {
	if p.Limit > 0 {
		return min(p.Limit, all)
	}
	return all
}

// DefaultRetrySchedule covers an outage of a day and a half, with nine attempts.
var DefaultRetrySchedule = []int{5, 30, 120, 600, 3600, 14400, 36000, 86400}

// NewWebhook returns a webhook with the defaults and a new secret.
func NewWebhook() Webhook {
	return Webhook{
		Method:         "post",
		Events:         []string{},
		Secret:         RandomText(32),
		Status:         Active,
		TimeoutSeconds: 10,
		MaxAttempts:    len(DefaultRetrySchedule) + 1,
		RetrySchedule:  slices.Clone(DefaultRetrySchedule),
		MaxConcurrency: 10,
		PolicyVersion:  1,
	}
}

// Timeout is TimeoutSeconds as a duration.
func (w *Webhook) Timeout() time.Duration { return time.Duration(w.TimeoutSeconds) * time.Second }

// RetryDelay returns how long to wait after failed attempt n, the first being 1: what the schedule
// says, give or take a tenth as jitter goes from -1 to 1.
func (w *Webhook) RetryDelay(n int, jitter float64) time.Duration {
	if len(w.RetrySchedule) == 0 {
		return 0
	}
	delay := time.Duration(w.RetrySchedule[min(n, len(w.RetrySchedule))-1]) * time.Second
	return delay + time.Duration(jitter*float64(delay)/10)
}

// Slots is how many requests may be under way at once, with a receiver of that health.
func (w *Webhook) Slots(h Health) int {
	if w.Ordered || h.State() == Tripped {
		return 1
	}
	return w.MaxConcurrency
}

const stars = "********"

// Mask returns a text that stands for a secret where it must not be shown: its last four characters
// if those are a small part of it.
func Mask(secret string) string {
	if len(secret) < 16 || !utf8.ValidString(secret[len(secret)-4:]) {
		return stars
	}
	return stars + secret[len(secret)-4:]
}

// isMask reports whether a text is what Mask returns.
func isMask(text string) bool {
	rest, found := strings.CutPrefix(text, stars)
	return found && (rest == "" || len(rest) == 4)
}

// sensitive are words in a header's name that say its value is a credential.
var sensitive = []string{"auth", "token", "secret", "key", "cookie", "password", "signature", "credential"}

// MaskHeader returns the header with its value masked if the name says that it is a credential.
func MaskHeader(h Header) Header {
	name := strings.ToLower(h.Name)
	if slices.ContainsFunc(sensitive, func(word string) bool { return strings.Contains(name, word) }) {
		h.Value = Mask(h.Value)
	}
	return h
}

// reserved are the headers that make the request what it is: a webhook cannot set them itself.
var reserved = []string{"Host", "Content-Length", "Content-Type", "Transfer-Encoding", "Connection", "Expect",
	"Upgrade", "Trailer", "Te", "Keep-Alive", "Proxy-Connection", "Signature", "Webhook-Id", "Webhook-Timestamp", "Webhook-Signature"}

// maxSecret, maxURL and the like are in bytes; maxEvents and maxHeaders are how many there may be.
const (
	maxName        = 255
	maxDescription = 65535
	maxURL         = 2048
	maxSecret      = 255
	maxEvents      = 1000
	maxHeaders     = 32
	maxHeaderValue = 4096

	policyKeyLength = 43 // alphanumerics: 256 bits
)

// Set takes over the fields that are present, and reports everything that is wrong with them as an
// InvalidError; w is then half changed and of no use. Unknown fields are left alone, as the API does
// everywhere. Name and url are required when creating. A secret or header value that equals its
// mask is one that a client read and sends back: it stays as it is.
func (w *Webhook) Set(fields *value.Array, creating bool, events []string) error {
	f := fieldReader{fields: fields, creating: creating}
	f.text("name", &w.Name, true, maxName)
	f.text("description", &w.Description, false, maxDescription)
	if f.text("url", &w.URL, true, maxURL) {
		if reason := checkURL(w.URL); reason != "" {
			f.problems.Add("url", "%s", reason)
		}
	}
	if method := w.Method; f.text("method", &method, true, maxName) {
		w.Method = strings.ToLower(method)
		if w.Method != "get" && w.Method != "post" {
			f.problems.Add("method", "The method field must be get or post, not %q.", method)
		}
	}
	f.events(&w.Events, events)
	if secret := w.Secret; f.text("secret", &secret, true, maxSecret) && secret != Mask(w.Secret) {
		if w.Secret = secret; isMask(secret) {
			f.problems.Add("secret", "The secret field holds the mask of a secret that it is not any more: write the secret, or leave it out to keep the one that there is.")
		}
	}
	if status := string(w.Status); f.text("status", &status, true, maxName) {
		w.Status = WebhookStatus(status)
		if !slices.Contains(WebhookStatuses, w.Status) {
			f.problems.Add("status", "The status field must be active, paused or disabled, not %q.", status)
		}
	}
	f.integer("timeout_seconds", &w.TimeoutSeconds, 1, 30)
	f.integer("max_attempts", &w.MaxAttempts, 1, 100)
	f.schedule(&w.RetrySchedule)
	f.integer("max_concurrency", &w.MaxConcurrency, 1, 100)
	f.rate(&w.RatePerSecond)
	f.boolean("ordered", &w.Ordered)
	f.headers(&w.Headers)
	f.fieldPolicy(&w.FieldPolicy)
	w.NeedPolicyKey()
	return f.problems.Err()
}

// NeedPolicyKey gives a webhook that has a field policy a key for it, unless it has one.
func (w *Webhook) NeedPolicyKey() {
	if len(w.FieldPolicy) > 0 && w.PolicyKey == "" {
		w.PolicyKey = RandomText(policyKeyLength)
	}
}

// How long an old secret signs beside a new one.
const (
	DefaultKeepSecret = 24 * time.Hour
	MaxKeepSecret     = 30 * 24 * time.Hour
)

// RotateSecret gives the webhook a new secret, a random one if it is empty. The old one signs beside it
// for as long as it is kept, 0 being not at all; a new one that is the same replaces none. An error is an
// InvalidError; w is then half changed and of no use.
func (w *Webhook) RotateSecret(secret string, keep time.Duration, now time.Time) error {
	if keep < 0 || keep > MaxKeepSecret {
		return Invalid("keep_old_seconds", "The keep_old_seconds field must be a whole number from 0 to %d, not %d.", seconds(MaxKeepSecret), seconds(keep))
	}
	if secret == "" {
		secret = RandomText(32)
	}
	old := w.Secret
	if err := w.Set(value.Map("secret", secret), false, nil); err != nil {
		return err
	}
	w.OldSecret, w.OldSecretUntil = "", time.Time{}
	if keep > 0 && w.Secret != old {
		w.OldSecret, w.OldSecretUntil = old, now.Add(keep)
	}
	return nil
}

// ReadRotation reads the fields secret and keep_old_seconds for RotateSecret: a random secret and
// DefaultKeepSecret unless given.
func ReadRotation(fields *value.Array) (secret string, keep time.Duration, err error) {
	f, kept := fieldReader{fields: fields}, int64(seconds(DefaultKeepSecret))
	f.whole("keep_old_seconds", &kept, 0, int64(seconds(MaxKeepSecret)))
	if v, _ := fields.Get("secret"); v != nil {
		f.text("secret", &secret, true, maxSecret)
	}
	return secret, time.Duration(kept) * time.Second, f.problems.Err()
}

func seconds(d time.Duration) int { return int(d / time.Second) }

// Pause lets deliveries of the webhook wait. It fails with ErrConflict if none are made.
func (w *Webhook) Pause() error { return w.change("pause", Paused, Active) }

// Resume ends a pause. It fails with ErrConflict if the webhook is disabled.
func (w *Webhook) Resume() error { return w.change("resume", Active, Paused) }

// Disable lets no more deliveries be made for the webhook, and those that there are wait.
func (w *Webhook) Disable() error { return w.change("disable", Disabled, WebhookStatuses...) }

// Enable lets deliveries be made and sent, whatever the webhook was.
func (w *Webhook) Enable() error { return w.change("enable", Active, WebhookStatuses...) }

// change sets the status, which must have been one of some others before, or the same.
func (w *Webhook) change(verb string, to WebhookStatus, from ...WebhookStatus) error {
	if w.Status != to && !slices.Contains(from, w.Status) {
		return fmt.Errorf("%s webhook %d, which is %s: %w", verb, w.ID, w.Status, ErrConflict)
	}
	w.Status = to
	return nil
}

// MaxTestPayload is how many bytes the payload of a test may have as JSON.
const MaxTestPayload = 256 << 10

// CheckTestPayload reports what keeps a payload from being sent as a test, as an InvalidError.
func CheckTestPayload(payload any) error {
	text, err := value.JSON(payload)
	switch {
	case err != nil:
		return Invalid("payload", "The payload field cannot be sent: %s.", err.Error())
	case len(text) > MaxTestPayload:
		return Invalid("payload", "The payload field must not be longer than %d bytes as JSON; it has %d.", MaxTestPayload, len(text))
	}
	return nil
}

// checkURL returns what is wrong with a webhook's URL, or the empty string.
func checkURL(text string) string {
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return "The url field must be a valid URL."
	case u.Scheme != "http" && u.Scheme != "https":
		return "The url field must start with http:// or https://."
	case u.Hostname() == "":
		return "The url field must name a host, such as https://example.com/hook."
	case u.User != nil:
		return "The url field must not contain a user name or password; use the headers field for credentials."
	case strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r == 0x7f }):
		return "The url field must not contain spaces or control characters."
	case u.Fragment != "":
		return "The url field must not contain a fragment: what follows # is never sent."
	case !validPort(u.Port()):
		return "The url field must have a port from 1 to 65535, or none."
	}
	if _, ok := WireHost(u.Hostname()); !ok {
		return fmt.Sprintf("The url field must name its host by a name, or by an IP address as usual, such as 203.0.113.5, not %q.", u.Hostname())
	}
	return ""
}

// validPort reports whether a port can be called; empty is the scheme's.
func validPort(text string) bool {
	port, err := strconv.ParseUint(text, 10, 16)
	return text == "" || err == nil && port > 0
}

func (f *fieldReader) rate(to *float64) {
	v, present := f.fields.Get("rate_per_second")
	if !present {
		return
	}
	var rate float64
	switch v := v.(type) {
	case nil:
		*to = 0
		return
	case int64:
		rate = float64(v)
	case float64:
		rate = v
	}
	if rate < 0.01 || rate > 10000 {
		f.problems.Add("rate_per_second", "The rate_per_second field must be null or a number from 0.01 to 10000, not %s.", value.Describe(v))
		return
	}
	*to = rate
}

func (f *fieldReader) events(to *[]string, known []string) {
	items, ok := f.list("events")
	if !ok {
		return
	}
	if len(items) > maxEvents {
		f.problems.Add("events", "The events field must not hold more than %d events; it holds %d.", maxEvents, len(items))
		return
	}
	events := make([]string, 0, len(items))
	for i, item := range items {
		name, _ := item.(string)
		switch {
		case slices.Contains(events, name):
			continue
		case !slices.Contains(known, name):
			reason := "The events field holds an unknown event: " + value.Describe(item) + "."
			if like := spelling.Closest(name, known); like != "" {
				reason += " Did you mean " + like + "?"
			}
			f.problems.Add("events."+value.Describe(int64(i)), "%s", reason)
			continue
		}
		events = append(events, name)
	}
	*to = events
}

func (f *fieldReader) schedule(to *[]int) {
	items, ok := f.list("retry_schedule")
	if !ok {
		return
	}
	const maxSteps, maxSeconds = 100, 7 * 86400
	if len(items) == 0 || len(items) > maxSteps {
		f.problems.Add("retry_schedule", "The retry_schedule field must hold 1 to %d delays in seconds; it holds %d.", maxSteps, len(items))
		return
	}
	schedule := make([]int, len(items))
	for i, item := range items {
		seconds, ok := item.(int64)
		if !ok || seconds < 1 || seconds > maxSeconds {
			f.problems.Add("retry_schedule."+value.Describe(int64(i)), "Each delay must be a whole number of seconds from 1 to %d, not %s.", maxSeconds, value.Describe(item))
			continue
		}
		schedule[i] = int(seconds)
	}
	*to = schedule
}

func (f *fieldReader) headers(to *[]Header) {
	v, present := f.fields.Get("headers")
	if !present {
		return
	}
	fields, ok := v.(*value.Array)
	if v != nil && (!ok || fields.Len() > 0 && fields.IsList()) {
		f.problems.Add("headers", "The headers field must be an object of names and values, not %s.", value.Describe(v))
		return
	}
	if fields.Len() > maxHeaders {
		f.problems.Add("headers", "The headers field must not hold more than %d headers; it holds %d.", maxHeaders, fields.Len())
		return
	}
	headers := make([]Header, 0, fields.Len())
	for key, item := range fields.All() {
		h := Header{Name: key.String()}
		text, isText := item.(string)
		isTwice := slices.ContainsFunc(headers, func(other Header) bool { return strings.EqualFold(other.Name, h.Name) })
		isReserved := slices.ContainsFunc(reserved, func(r string) bool { return strings.EqualFold(r, h.Name) })
		switch {
		case !httpguts.ValidHeaderFieldName(h.Name):
			f.problems.Add("headers."+h.Name, "%q is not a valid header name.", h.Name)
			continue
		case isTwice:
			f.problems.Add("headers."+h.Name, "The header %s is given twice, in different letter case.", h.Name)
			continue
		case isReserved:
			f.problems.Add("headers."+h.Name, "The header %s is set by the server and cannot be replaced.", h.Name)
			continue
		case !isText || len(text) > maxHeaderValue || !httpguts.ValidHeaderFieldValue(text):
			f.problems.Add("headers."+h.Name, "The value of the header %s must be a single line of text of at most %d bytes.", h.Name, maxHeaderValue)
			continue
		}
		h.Value = text
		for _, old := range *to {
			if strings.EqualFold(old.Name, h.Name) && old.Value != text && MaskHeader(old).Value == text {
				h.Value = old.Value
			}
		}
		if isMask(h.Value) {
			f.problems.Add("headers."+h.Name, "The value of the header %s is the mask of one that it has not: write all of it.", h.Name)
			continue
		}
		headers = append(headers, h)
	}
	*to = headers
}
