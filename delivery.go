package bugle

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// A DeliveryState says where a delivery stands.
type DeliveryState string

const (
	Pending   DeliveryState = "pending"   // due, at NextAttemptAt
	Delivered DeliveryState = "delivered" // answered with 2xx
	Failed    DeliveryState = "failed"    // gave up
	Cancelled DeliveryState = "cancelled" // by a person, or because its webhook was deleted
)

// DeliveryStates are all of them.
var DeliveryStates = []DeliveryState{Pending, Delivered, Failed, Cancelled}

// A Delivery is one event owed to one webhook, or to the lane of a channel.
type Delivery struct {
	ID             int64
	OrganizationID int64
	WebhookID      int64
	Channel        string // of messages, whose lane the webhook is; empty: it is a webhook
	EventID        int64
	Event          string // the event's name
	RequestID      string // the event's
	TraceID        string // the event's
	RunID          int64  // the automation run whose action it is; 0: it is none
	ResourceKind   string // the event's; empty: it is about none
	ResourceID     int64
	Sequence       int64 // counts the deliveries of the webhook from 1, without gaps, in event order
	State          DeliveryState
	AttemptsCount  int
	NextAttemptAt  time.Time // zero unless pending
	Status         int       // HTTP status of the last attempt; 0 if there was none
	Reason         string    // the words of its status line
	Took           time.Duration
	Error          *AttemptError // of the last attempt; nil if there was none
	CreatedAt      time.Time
	FinishedAt     time.Time // zero while pending
	CancelledFor   string    // why it was cancelled, in a sentence; empty: it was not, a person did it, or its webhook was deleted
}

// MessageID is the webhook-id header: the same on every attempt, so that a receiver can drop
// repeats.
func MessageID(deliveryID int64) string { return "msg_" + strconv.FormatInt(deliveryID, 10) }

// An ErrorKind groups the ways an attempt can fail by what an admin would do about it.
type ErrorKind string

const (
	ErrorDNS       ErrorKind = "dns"       // the host name has no address
	ErrorConnect   ErrorKind = "connect"   // refused, unreachable, or reset before an answer
	ErrorTLS       ErrorKind = "tls"       // certificate or handshake
	ErrorTimeout   ErrorKind = "timeout"   // no complete answer within the webhook's timeout
	ErrorBlocked   ErrorKind = "blocked"   // an address that may not be called
	ErrorRedirect  ErrorKind = "redirect"  // 3xx: redirects are not followed
	ErrorStatus    ErrorKind = "status"    // any other status that is not 2xx
	ErrorBody      ErrorKind = "body"      // the answer's body broke off
	ErrorCancelled ErrorKind = "cancelled" // cancelled while under way
	ErrorProxy     ErrorKind = "proxy"     // the operator's egress proxy is away, or refuses
	ErrorConfig    ErrorKind = "config"    // what it takes to send is not known: a channel's settings, or a recipient's address
)

// An AttemptError says why an attempt failed.
type AttemptError struct {
	Kind      ErrorKind
	Message   string // for an admin, without secrets
	Permanent bool   // no later attempt could fare better; known while the attempt is judged, not kept
}

// An Attempt is one HTTP exchange of a delivery, and its result.
type Attempt struct {
	Number            int       // 1 for the delivery's first
	StartedAt         time.Time // UTC
	Took              time.Duration
	Method, URL       string // what was called; for GET without the query that carries the envelope
	Status            int    // HTTP status; 0 if there was no answer
	Reason            string // the status line's words, such as "Not Found"
	Error             *AttemptError
	ResponseHeaders   http.Header
	ResponseBody      []byte // at most 64 KiB
	ResponseTruncated bool   // the body was longer
	RemoteAddress     string // IP address and port; empty if no connection was made
}

// OK reports whether the attempt delivered: any 2xx.
func (a *Attempt) OK() bool { return a.Error == nil && a.Status >= 200 && a.Status <= 299 }

// IsOfReceiver reports whether the attempt says anything of the receiver: what fails for good, or at the egress proxy, says nothing.
func (a *Attempt) IsOfReceiver() bool {
	return a.Error == nil || !a.Error.Permanent && a.Error.Kind != ErrorProxy
}

// MaxRetryAfter is as far as a receiver may push the next attempt away.
const MaxRetryAfter = 24 * time.Hour

// RetryAfter returns how long the receiver asks to be left alone, from 0 to MaxRetryAfter. It
// reads the Retry-After header in both forms, seconds and date; what is neither counts as absent.
// Source: RFC 9110, 10.2.3.
func (a *Attempt) RetryAfter(now time.Time) time.Duration {
	text := strings.TrimSpace(a.ResponseHeaders.Get("Retry-After"))
	if text == "" {
		return 0
	}
	wait := time.Duration(0)
	if strings.Trim(text, "0123456789") == "" {
		seconds, err := strconv.Atoi(text)
		if err != nil || seconds > int(MaxRetryAfter/time.Second) { // err: more than an int holds
			return MaxRetryAfter
		}
		wait = time.Duration(seconds) * time.Second
	} else if date, err := http.ParseTime(text); err == nil {
		wait = date.Sub(now)
	}
	return min(max(wait, 0), MaxRetryAfter)
}

// An Outcome is how a delivery stands once an attempt is over, and what that means for its webhook.
type Outcome struct {
	State     DeliveryState
	NextAt    time.Time // when pending: the time of the next attempt
	HoldUntil time.Time // not zero: the receiver asked for silence, so the whole lane waits
	Gone      bool      // the receiver answered 410: the webhook is to be disabled
}

// After returns the outcome of an attempt that is number n of its series, the first being 1. A
// series is what a delivery gets at first, and again on each redelivery. The jitter is from -1 to 1:
// random, so that deliveries that failed together do not come back together.
func (w *Webhook) After(a *Attempt, n int, ended time.Time, jitter float64) Outcome {
	switch {
	case a.OK():
		return Outcome{State: Delivered}
	case a.Error != nil && a.Error.Kind == ErrorCancelled:
		return Outcome{State: Cancelled}
	case a.Error != nil && a.Error.Permanent:
		return Outcome{State: Failed}
	case a.Status == http.StatusGone && w.Channel == "":
		return Outcome{State: Failed, Gone: true}
	}
	outcome := Outcome{State: Failed}
	asked := a.RetryAfter(ended)
	if asked > 0 && (a.Status == http.StatusTooManyRequests || a.Status == http.StatusServiceUnavailable) {
		outcome.HoldUntil = ended.Add(asked)
	}
	if n < w.MaxAttempts {
		outcome.State = Pending
		outcome.NextAt = ended.Add(max(w.RetryDelay(n, jitter), asked))
	}
	return outcome
}
