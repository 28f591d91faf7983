package bugle

import (
	"fmt"
	"time"
)

// An incident begins when a webhook has failed for a while, and ends when it has been well for a while.
const (
	IncidentAttempts = 3                // in a row that must have failed, at least
	IncidentAfter    = 15 * time.Minute // how long they must have failed, unless TripAfter in a row did
	RecoveredAfter   = time.Minute      // how long nothing may have failed for it to be over
	WarnBefore       = 24 * time.Hour   // how long before a webhook is disabled its people are told that it will be
)

// An Incident is what the people of a webhook were told while it failed.
type Incident struct {
	ToldAt   time.Time // that it fails; zero: they were not
	WarnedAt time.Time // that it will be disabled; zero: they were not
	GoneAt   time.Time // when it was disabled because its receiver answered 410, of which nobody was told; zero: it was not
}

// A Notice is what the people of a webhook are to be told about it.
type Notice string

const (
	NoNotice        Notice = ""
	NoticeFailing   Notice = "failing"   // it has begun to fail
	NoticeDisabling Notice = "disabling" // it will be disabled, at DisableAt
	NoticeDisabled  Notice = "disabled"  // it is to be disabled now
	NoticeGone      Notice = "gone"      // it was disabled, because the receiver answered 410
	NoticeRecovered Notice = "recovered" // it is well again
)

// isSustained reports whether the failures are more than a stumble.
func (h Health) isSustained(now time.Time) bool {
	return h.ConsecutiveFailures >= TripAfter ||
		h.ConsecutiveFailures >= IncidentAttempts && !h.FailingSince.IsZero() && now.Sub(h.FailingSince) >= IncidentAfter
}

// DisableAt returns when a webhook that nothing but fails is disabled if that is after so long; zero: it is not. It is never
// sooner than WarnBefore after its people were told. Few attempts say too little: only a lane that has tripped is disabled.
func (w *Webhook) DisableAt(after time.Duration) time.Time {
	if after <= 0 || w.Status != Active || w.Health.FailingSince.IsZero() || w.Health.State() != Tripped {
		return time.Time{}
	}
	at := w.Health.FailingSince.Add(after)
	if told := w.Incident.WarnedAt; !told.IsZero() && told.Add(WarnBefore).After(at) {
		return told.Add(WarnBefore)
	}
	return at
}

// Notice returns what the people of the webhook are to be told now, if it is disabled after failing for so long, 0 being
// never. Each is told once in an incident.
func (w *Webhook) Notice(after time.Duration, now time.Time) Notice {
	i, h := w.Incident, w.Health
	disableAt := w.DisableAt(after)
	switch {
	case !i.GoneAt.IsZero():
		return NoticeGone
	case h.ConsecutiveFailures == 0:
		if !i.ToldAt.IsZero() && now.Sub(h.LastFailureAt) >= RecoveredAfter {
			return NoticeRecovered
		}
	case w.Status != Active:
	case i.ToldAt.IsZero():
		if h.isSustained(now) {
			return NoticeFailing
		}
	case disableAt.IsZero():
	case i.WarnedAt.IsZero():
		if !now.Before(disableAt.Add(-WarnBefore)) {
			return NoticeDisabling
		}
	case !now.Before(disableAt):
		return NoticeDisabled
	}
	return NoNotice
}

// After returns what was told once a notice has been.
func (i Incident) After(n Notice, now time.Time) Incident {
	switch n {
	case NoticeFailing:
		i.ToldAt = now
	case NoticeDisabling:
		i.WarnedAt = now
	case NoticeDisabled, NoticeGone, NoticeRecovered:
		return Incident{}
	}
	return i
}

// Text says a notice about the webhook in sentences. Of a NoticeDisabling, w has been told.
func (n Notice) Text(w *Webhook, after time.Duration) string {
	const minute = "2006-01-02 15:04 UTC"
	since := ""
	if !w.Health.FailingSince.IsZero() {
		since = " since " + w.Health.FailingSince.UTC().Format(minute)
	}
	switch n {
	case NoticeFailing:
		return fmt.Sprintf("The webhook %q fails: all of its last %d attempts did%s. What it is owed is kept and tried again.", w.Name, w.Health.ConsecutiveFailures, since)
	case NoticeDisabling:
		return fmt.Sprintf("The webhook %q has not delivered anything%s. Unless it does, it will be disabled on %s, and what happens from then on is not sent to it.", w.Name, since, w.DisableAt(after).UTC().Format(minute))
	case NoticeDisabled:
		return fmt.Sprintf("The webhook %q is disabled now: it has not delivered anything%s. What it was owed until now is kept, and sent once it is enabled.", w.Name, since)
	case NoticeGone:
		return fmt.Sprintf("The webhook %q is disabled now: its receiver answered 410 Gone, which asks never to be called again. What else it was owed is kept, and sent once it is enabled.", w.Name)
	case NoticeRecovered:
		return fmt.Sprintf("The webhook %q delivers again. What it was owed is being sent.", w.Name)
	}
	return ""
}
