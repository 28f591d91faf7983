package personnel

import (
	"slices"
	"time"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/value"
)

// Channels are the ways a message or notification can take.
var Channels = []any{"broadcast", "database", "mail", "sms", "discord_private", "discord_public", "slack", "telegram"}

// ChannelNames returns Channels as texts.
func ChannelNames() []string {
	names := make([]string, len(Channels))
	for i, name := range Channels {
		names[i], _ = name.(string)
	}
	return names
}

// Message is a text for members of the organization. Whatever creates one sends it.
var Message = Kind{
	Name: "message", Path: "messages", Table: "messages", Class: "Message", Emits: true, Grows: true,
	Fields: fields(
		Field{Name: "message", Type: Text, Required: true},
		Field{Name: "channels", Type: Strings, Null: true, Required: true, Options: Channels},
		Field{Name: "recipients", Type: Integers, Null: true},
		Field{Name: "repeats", Type: Boolean, Default: false, ReadOnly: true},
		Field{Name: "send_at", Type: DateTime, Null: true},
		Field{Name: "sent_at", Type: DateTime, Null: true},
	),
	Extras:       []Field{{Name: "rrule", Type: String, Null: true, Check: checkRecurrence}},
	Relations:    []Relation{{Name: "schedule", Kind: "schedule", Inverse: "message_id"}},
	Includes:     []string{"schedule"},
	Created:      []string{"schedule"},
	BeforeCreate: markRepeating,
	Beside:       planMessage,
}

// EarlyChannel is the one that does not wait for the time of a message, as in PERSCOM.
const EarlyChannel = "discord_public"

// A Sending is when a message is to be sent, or a part of it.
type Sending struct {
	Part SendingPart
	Due  time.Time
}

// A SendingPart says by which of a message's channels it is sent.
type SendingPart string

const (
	SendAll   SendingPart = "all"
	SendEarly SendingPart = "early" // by EarlyChannel
	SendRest  SendingPart = "rest"  // by the others
)

// ChannelsOf returns the names of a message's channels.
func ChannelsOf(message *Resource) []string {
	decoded, err := value.Decode([]byte(message.Text("channels")))
	if err != nil { // null
		return nil
	}
	list, _ := decoded.(*value.Array)
	var names []string
	for _, item := range list.All() {
		if name, ok := item.(string); ok && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

func checkRecurrence(text string) string {
	if _, err := NewRecurrence(text, time.Unix(0, 0)); err != nil {
		return "must be a rule of RFC 5545 such as FREQ=WEEKLY;BYDAY=WE: " + err.Error()
	}
	return ""
}

// markRepeating is for a new message: one that has a rule repeats.
func markRepeating(_ Changes, r *Resource) error {
	if r.Extras["rrule"] != nil {
		r.Set("repeats", true)
	}
	return nil
}

// planMessage plans when a message is sent: once, or by its rule.
func planMessage(c Changes, old, r *Resource) (changed bool, err error) {
	rule, ruled := r.Extras["rrule"]
	switch {
	case old == nil && rule == nil:
		return false, c.Plan(r.ID(), sendings(r, storedTime(c.Now()))...)
	case old == nil:
		return true, repeat(c, r, rule.(string), storedTime(c.Now()))
	case !ruled && old.Get("send_at") == r.Get("send_at"):
		return false, nil
	}
	schedule, err := c.ScheduleOf(r.ID())
	if err != nil {
		return false, err
	}
	switch {
	case ruled && rule == nil:
		if schedule == nil {
			return false, nil
		}
		r.Set("repeats", false)
		if err := c.SetSchedule(r.ID(), nil); err != nil {
			return false, err
		}
		return true, c.Plan(r.ID())
	case !ruled && schedule == nil:
		return false, c.Postpone(r.ID(), sendAt(r, storedTime(c.Now())))
	case !ruled && schedule.Text("rrule") == "":
		return false, nil // of an import: this server does not repeat it
	case !ruled:
		rule = schedule.Text("rrule")
	}
	start := storedTime(c.Now())
	if schedule != nil && r.Get("send_at") == nil && old.Get("send_at") == nil && schedule.Text("start") != "" {
		start = storedTime(schedule.Text("start"))
	}
	wanted, err := NewRecurrence(rule.(string), sendAt(r, start))
	if err != nil {
		return false, bugle.Invalid("rrule", "The rrule field must be a rule of RFC 5545: %s.", err.Error())
	}
	if schedule != nil && schedule.Text("rrule") == wanted.Rule && schedule.Text("start") == wanted.Start.Format(StoredTime) {
		return false, nil
	}
	r.Set("repeats", true)
	return true, repeat(c, r, rule.(string), start)
}

// sendings are those of a message that does not repeat.
func sendings(r *Resource, now time.Time) []Sending {
	at, channels := sendAt(r, now), ChannelsOf(r)
	switch {
	case !at.After(now) || len(channels) == 1 && channels[0] == EarlyChannel:
		return []Sending{{SendAll, now}}
	case slices.Contains(channels, EarlyChannel):
		return []Sending{{SendEarly, now}, {SendRest, at}}
	}
	return []Sending{{SendAll, at}}
}

// repeat writes the schedule of a message, and plans the first of its times that is still to come.
func repeat(c Changes, r *Resource, rule string, start time.Time) error {
	recurrence, err := NewRecurrence(rule, sendAt(r, start))
	if err != nil {
		return bugle.Invalid("rrule", "The rrule field must be a rule of RFC 5545: %s.", err.Error())
	}
	next := recurrence.From(storedTime(c.Now()))
	if next.IsZero() {
		return bugle.Invalid("rrule", "The rrule field must lead to a time that is still to come; %s, starting at %s, does not.",
			value.Describe(recurrence.Rule), bugle.FormatTime(recurrence.Start))
	}
	if err := c.SetSchedule(r.ID(), recurrence.schedule(next)); err != nil {
		return err
	}
	return c.Plan(r.ID(), Sending{SendAll, next})
}

// sendAt is when a message is to be sent, or begins to repeat.
func sendAt(r *Resource, otherwise time.Time) time.Time {
	if r.Get("send_at") == nil {
		return otherwise
	}
	return storedTime(r.Text("send_at"))
}

// storedTime reads a time of the database; zero if it is none.
func storedTime(text string) time.Time {
	at, _ := time.Parse(StoredTime, text)
	return at
}
