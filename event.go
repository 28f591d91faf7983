package bugle

import (
	"bytes"
	"time"

	"github.com/buglehq/bugle/value"
)

// TimeFormat is how times appear in envelopes and API answers: ISO 8601 in UTC with microseconds.
const TimeFormat = "2006-01-02T15:04:05.000000Z"

// FormatTime returns t in TimeFormat.
func FormatTime(t time.Time) string { return t.UTC().Format(TimeFormat) }

// TestEvent is the name of the event that an admin sends to one webhook to try it. It reaches a
// webhook whatever the webhook subscribes to.
const TestEvent = "webhook.test"

// An Event is the fact that a resource was created, updated or deleted, or that a test was asked
// for. It is written once, in the transaction of the change, and never edited.
type Event struct {
	ID             int64
	OrganizationID int64
	Name           string // such as "rankrecord.created"
	ResourceKind   string // such as "rankrecord"; empty if it is not about a resource
	ResourceID     int64
	RequestID      string // the request that caused it: not unique, a request may cause many events
	TraceID        string
	CreatedAt      time.Time // UTC, microseconds
	Envelope       []byte    // the JSON text that receivers get, exactly
	Causes         []Cause   // what changed, for events named *.updated
	CauserID       int64     // the user who caused it; 0 if nobody is known
	Chain          Chain     // zero: nothing that is known here caused it
	Rendered       int       // the version of the webhook's field policy under which a template wrote the envelope; 0: none did
	Addressed      bool      // made for one delivery, and no fact of its own: no webhook or automation is matched with it
}

// Payload is what a webhook's field policy is applied to.
func (e *Event) Payload() Payload { return Payload{e.Envelope, e.Rendered} }

// A Cause is one attribute that a change gave another value, as the database holds both.
type Cause struct {
	Attribute string
	Old, New  any // as package value has them
}

// An Envelope is what a receiver gets of an event, before it is put into bytes.
type Envelope struct {
	Event     string
	Created   time.Time
	RequestID string // UUID
	TraceID   string // UUID
	Data      any    // as package value has it
	Changes   any
	Bare      bool // without the keys data and changes: a test whose payload is a scalar
}

// JSON returns the text that is signed and sent. Its keys are always in the order of the fields.
func (e Envelope) JSON() ([]byte, error) {
	text := value.NewArray(6)
	text.Set("event", e.Event)
	text.Set("created", FormatTime(e.Created))
	text.Set("request_id", e.RequestID)
	text.Set("trace_id", e.TraceID)
	if !e.Bare {
		text.Set("data", e.Data)
		text.Set("changes", e.Changes)
	}
	return value.JSON(text)
}

// An Origin is what an envelope says of where its event comes from.
type Origin struct {
	Created            time.Time
	RequestID, TraceID string
}

// ReadOrigin reads the beginning of an envelope, without the rest. It reports false for what is none, such as what a
// channel sends.
func ReadOrigin(envelope []byte) (o Origin, ok bool) {
	rest, ok := bytes.CutPrefix(envelope, []byte(`{"event":"`))
	end := bytes.IndexByte(rest, '"')
	if !ok || end < 0 {
		return Origin{}, false
	}
	rest = rest[end:]
	part := func(before string, length int) string {
		if rest, ok = bytes.CutPrefix(rest, []byte(before)); !ok || len(rest) < length {
			rest, ok = nil, false
			return ""
		}
		text := string(rest[:length])
		rest = rest[length:]
		return text
	}
	created := part(`","created":"`, len(TimeFormat))
	o.RequestID = part(`","request_id":"`, 36)
	o.TraceID = part(`","trace_id":"`, 36)
	var err error
	o.Created, err = time.Parse(TimeFormat, created)
	if !ok || err != nil {
		return Origin{}, false
	}
	return o, true
}

// TestEnvelope returns the envelope of a webhook.test with the payload as its data. As in PERSCOM, a
// payload that is neither an object nor a list leaves both data and changes out.
func TestEnvelope(payload any, created time.Time, requestID, traceID string) Envelope {
	e := Envelope{Event: TestEvent, Created: created, RequestID: requestID, TraceID: traceID, Data: payload}
	if _, ok := payload.(*value.Array); !ok {
		e.Bare = true
	}
	return e
}
