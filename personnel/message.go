package personnel

// Channels are the ways a message or notification can take.
var Channels = []any{"broadcast", "database", "mail", "sms", "discord_private", "discord_public", "slack", "telegram"}

// Message is a text for members of the organization.
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
	Relations: []Relation{{Name: "schedule", Kind: "schedule", Inverse: "message_id"}},
	Includes:  []string{"schedule"},
	Created:   []string{"schedule"},
}
