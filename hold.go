package bugle

import (
	"time"

	"github.com/buglehq/bugle/value"
)

// A Release says what becomes of what was held.
type Release string

const (
	ReleaseDeliver Release = "deliver" // all of it is sent
	ReleaseDigest  Release = "digest"  // each webhook gets one summary in its place
	ReleaseDrop    Release = "drop"    // none of it is sent
)

// Releases are all of them.
var Releases = []Release{ReleaseDeliver, ReleaseDigest, ReleaseDrop}

// Reason is why a delivery is cancelled by a release.
func (r Release) Reason() string {
	if r == ReleaseDigest {
		return "It was held, and a digest was sent in its place."
	}
	return "It was held, and dropped when the hold ended."
}

// DigestEvent is the name of the summary of what was held. Like TestEvent it reaches a webhook whatever the webhook
// subscribes to.
const DigestEvent = "webhook.digest"

// A Digest sums up what a webhook did not get because it was held.
type Digest struct {
	HeldAt, ReleasedAt time.Time
	Deliveries         int64
	First, Last        int64          // sequences, by which the feed has the bodies
	Events             []EventsOfName // by name
}

// EventsOfName are how many events of a name there were.
type EventsOfName struct {
	Name  string
	Count int64
}

// Envelope returns what is sent.
func (d Digest) Envelope(created time.Time, requestID, traceID string) Envelope {
	events := value.NewArray(len(d.Events))
	for _, e := range d.Events {
		events.Set(e.Name, e.Count)
	}
	return Envelope{Event: DigestEvent, Created: created, RequestID: requestID, TraceID: traceID, Data: value.Map(
		"held_at", FormatTime(d.HeldAt), "released_at", FormatTime(d.ReleasedAt), "deliveries", d.Deliveries,
		"first_sequence", d.First, "last_sequence", d.Last, "events", events)}
}
