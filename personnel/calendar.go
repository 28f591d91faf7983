package personnel

import "strconv"

// Calendar groups calendar events.
var Calendar = Kind{
	Name: "calendar", Path: "calendars", Table: "calendars", Class: "Calendar", Emits: true,
	Fields: fields(name(), description(),
		Field{Name: "color", Type: String, Null: true, Required: true, Fallback: usualColor}),
	Relations: []Relation{hasMany("events", "event", "calendar_id"), tags("calendar")},
	Nested:    nest("tags"),
	Includes:  []string{"events", "events.author", "tags"},
}

var calendarEventFields = fields(name(),
	Field{Name: "calendar_id", Type: Reference, Null: true, Required: true, Refers: "calendar", Cascade: true},
	description(),
	Field{Name: "content", Type: Text, Null: true},
	Field{Name: "location", Type: Text, Null: true},
	Field{Name: "url", Type: Text, Null: true, Fallback: eventPage},
	Field{Name: "author_id", Type: Reference, Null: true, Refers: "user"},
	Field{Name: "all_day", Type: Boolean, Required: true, Default: false},
	Field{Name: "starts", Type: DateTime, Required: true},
	Field{Name: "ends", Type: DateTime, Null: true, Required: true},
	Field{Name: "repeats", Type: Boolean, Default: false},
	Field{Name: "registration_enabled", Type: Boolean, Default: true},
	Field{Name: "registration_deadline", Type: DateTime, Null: true},
	Field{Name: "notifications_enabled", Type: Boolean, Default: true},
	Field{Name: "notifications_interval", Type: Strings, Null: true, Options: []any{"pt0m", "pt15m", "pt1h", "p1d", "p1w"}},
	Field{Name: "notifications_channels", Type: Strings, Null: true, Options: Channels},
)

// CalendarEvent is an entry of a calendar. On the wire it is called event.
var CalendarEvent = Kind{
	Name: "event", Path: "events", Table: "calendar_events", Class: "Event", Emits: true, Grows: true,
	Fields: calendarEventFields,
	Relations: append(belongsTo(calendarEventFields), Relation{Name: "schedule", Kind: "schedule", Inverse: "event_id"},
		ofModel("Event", "attachments", "attachment", true), ofModel("Event", "comments", "comment", true),
		ofModel("Event", "image", "image", false), ofModel("Event", "images", "image", true), tags("event")),
	Nested:   append(nest("tags"), Nested{Relation: "images", Path: "image"}), // in PERSCOM too
	Includes: append(open("author", "calendar", "comments"), "attachments", "image", "schedule", "tags"),
	Created:  []string{"author"},
}

// eventPage is the address of a calendar event's page, rendered where it has no url of its own.
func eventPage(r *Resource, v *View) any {
	return v.BaseURL + "/events/" + strconv.FormatInt(r.ID(), 10)
}

// Schedule says when a repeating calendar event or message comes again; it has no collection of its
// own.
var Schedule = Kind{
	Name: "schedule", Table: "schedules", Class: "Schedule",
	Fields: fields(
		Field{Name: "event_id", Type: Reference, Null: true, Refers: "event", Cascade: true, Hidden: true},
		Field{Name: "message_id", Type: Reference, Null: true, Refers: "message", Cascade: true, Hidden: true},
		Field{Name: "start", Type: DateTime, Null: true},
		Field{Name: "duration", Type: Integer, Default: int64(0)},
		Field{Name: "frequency", Type: Choice, Null: true, Options: []any{"DAILY", "WEEKLY", "MONTHLY", "YEARLY"}},
		Field{Name: "interval", Type: Integer, Default: int64(1)},
		Field{Name: "end_type", Type: Choice, Null: true, Options: []any{"never", "on", "after"}},
		Field{Name: "count", Type: Integer, Null: true},
		Field{Name: "until", Type: DateTime, Null: true},
		Field{Name: "by_day", Type: JSON, Null: true},
		Field{Name: "by_month", Type: JSON, Null: true},
		Field{Name: "by_set_position", Type: Integer, Null: true},
		Field{Name: "by_month_day", Type: JSON, Null: true},
		Field{Name: "by_year_day", Type: JSON, Null: true},
		Field{Name: "rrule", Type: Text, Null: true},
		Field{Name: "next_occurrence", Type: DateTime, Null: true},
		Field{Name: "last_occurrence", Type: DateTime, Null: true},
	),
}
