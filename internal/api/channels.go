package api

import (
	"fmt"
	"net/http"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/internal/store"
	"github.com/buglehq/bugle/personnel"
	"github.com/buglehq/bugle/value"
)

// channels adds the routes of messages' channels.
func (s *server) channels() {
	about := func(id, summary string, status int, answer, body string, fails ...int) doc {
		return doc{id: id, summary: summary, tag: "Channels", status: status, answer: answer, body: body, fails: fails}
	}
	set := func(id string) route {
		return route{"update:channel", s.updateChannel, about(id, "Configure a channel", http.StatusOK, "ChannelData", "ChannelUpdate", http.StatusConflict)}
	}
	s.handle("channels", methods{"GET": {"view:channel", s.listChannels, about("listChannels", "List channels", http.StatusOK, "ChannelList", "")}})
	s.handle("channels/{name}", methods{
		"GET":    {"view:channel", s.showChannel, about("getChannel", "Get a channel", http.StatusOK, "ChannelData", "")},
		"PUT":    set("updateChannel"),
		"PATCH":  set("patchChannel"),
		"DELETE": {"update:channel", s.clearChannel, about("deleteChannel", "Forget a channel's settings", http.StatusOK, "ChannelData", "", http.StatusConflict)},
	})
	s.handle("channels/{name}/test", methods{"POST": {"update:channel", s.testChannel,
		about("testChannel", "Send a test", http.StatusAccepted, "DeliveryData", "ChannelTest", http.StatusConflict)}})
}

// channel returns the channel in the path.
func (q *request) channel() (*bugle.Channel, error) {
	if c := bugle.ChannelByName(q.PathValue("name")); c != nil {
		return c, nil
	}
	return nil, bugle.ErrNotFound
}

// outside returns the channel in the path, which must be one that messages leave the server by.
func (q *request) outside() (*bugle.Channel, error) {
	c, err := q.channel()
	if err == nil && !c.Outside() {
		err = fmt.Errorf("channel %s stays within the server, and there is nothing to set: %w", c.Name, bugle.ErrConflict)
	}
	return c, err
}

// channelData renders a channel with its lane, which is nil for one that stays within the server.
func channelData(c *bugle.Channel, lane *bugle.Webhook) *value.Array {
	data := value.Map("name", c.Name, "label", c.Label, "configured", true, "settings", value.NewArray(0), "status", string(bugle.Active),
		"timeout_seconds", nil, "max_attempts", nil, "retry_schedule", nil, "max_concurrency", nil, "rate_per_second", nil, "health", healthData(&bugle.Webhook{}))
	if lane == nil {
		return data
	}
	all := webhookData(lane, false)
	for _, name := range []string{"status", "timeout_seconds", "max_attempts", "retry_schedule", "max_concurrency", "rate_per_second", "health"} {
		v, _ := all.Get(name)
		data.Set(name, v)
	}
	data.Set("configured", c.Missing(lane.Settings) == nil)
	data.Set("settings", lane.MaskedSettings())
	return data
}

func (s *server) channelNow(q *request, c *bugle.Channel) (*value.Array, error) {
	if !c.Outside() {
		return channelData(c, nil), nil
	}
	lane, err := s.store.Lane(q.Context(), q.actor.OrganizationID, c)
	if err != nil {
		return nil, err
	}
	return channelData(c, lane), nil
}

func (s *server) listChannels(q *request) error {
	items := value.NewArray(len(bugle.Channels))
	for i := range bugle.Channels {
		data, err := s.channelNow(q, &bugle.Channels[i])
		if err != nil {
			return err
		}
		items.Append(data)
	}
	return q.data(http.StatusOK, items)
}

func (s *server) showChannel(q *request) error {
	c, err := q.channel()
	if err != nil {
		return err
	}
	data, err := s.channelNow(q, c)
	if err != nil {
		return err
	}
	return q.data(http.StatusOK, data)
}

// changeChannel lets change edit the lane of the channel in the path, and answers with the channel.
func (s *server) changeChannel(q *request, change func(lane *bugle.Webhook) error) error {
	c, err := q.outside()
	if err != nil {
		return err
	}
	var lane *bugle.Webhook
	err = s.store.Update(q.Context(), func(tx *store.Tx) (err error) {
		if lane, err = tx.Lane(q.actor.OrganizationID, c); err != nil {
			return err
		}
		if err := change(lane); err != nil {
			return err
		}
		return tx.SaveLane(lane)
	})
	if err != nil {
		return err
	}
	return q.data(http.StatusOK, channelData(c, lane))
}

func (s *server) updateChannel(q *request) error {
	fields, err := q.body()
	if err != nil {
		return err
	}
	return s.changeChannel(q, func(lane *bugle.Webhook) error {
		if err := lane.SetChannel(fields); err != nil {
			return err
		}
		return s.o.Guard.CheckTargets(lane)
	})
}

// clearChannel makes a channel as it was before anybody set anything. What it owes stays, and waits for
// settings.
func (s *server) clearChannel(q *request) error {
	return s.changeChannel(q, func(lane *bugle.Webhook) error {
		lane.ClearChannel()
		return nil
	})
}

// testChannel sends a test by the channel, to the recipient or else to the user whose key it is, and answers
// 202 with its delivery.
func (s *server) testChannel(q *request) error {
	c, err := q.outside()
	if err != nil {
		return err
	}
	fields, err := q.body()
	if err != nil {
		return err
	}
	var d *bugle.Delivery
	err = s.store.Update(q.Context(), func(tx *store.Tx) error {
		var user *personnel.Resource
		if c.Reach == bugle.ToEach {
			id, given := q.actor.UserID, false
			if v, ok := fields.Get("recipient"); ok && v != nil {
				if id, given = idOf(v); !given {
					return bugle.Invalid("recipient", "The recipient field must be the id of a user, not %s.", value.Describe(v))
				}
			}
			if id == 0 && !given {
				return bugle.Invalid("recipient", "The recipient field is required with a key that is no user's.")
			}
			if user, err = tx.Get(q.actor.OrganizationID, &personnel.User, id); isNotFound(err) {
				return bugle.Invalid("recipient", "The recipient field must be the id of an existing user; there is none with the id %d.", id)
			} else if err != nil {
				return err
			}
		}
		id, err := tx.TestLane(q.actor, c, "<p>This is a test of the channel "+c.Label+".</p>", user)
		if err != nil {
			return err
		}
		d, err = tx.Delivery(q.actor.OrganizationID, id)
		return err
	})
	if err != nil {
		return err
	}
	return q.data(http.StatusAccepted, deliveryData(d))
}

// notifications adds the routes of what has come to users within the server.
func (s *server) notifications() {
	list := doc{id: "listNotifications", summary: "List a user's notifications", tag: "Notifications", status: http.StatusOK, answer: "NotificationPage",
		query: append(append([]string{}, paging...), "user_id")}
	s.handle("notifications", methods{"GET": {"view:notification", s.listNotifications, list}})
	s.handle("notifications/read-all", methods{"POST": {"update:notification", s.readNotifications,
		doc{id: "readNotifications", summary: "Mark all of a user's as read", tag: "Notifications", status: http.StatusOK, answer: "NotificationsRead", body: "NotificationsRead"}}})
	s.handle("notifications/{id}", methods{"PATCH": {"update:notification", s.readNotification,
		doc{id: "patchNotification", summary: "Mark one as read, or as not read", tag: "Notifications", status: http.StatusOK, answer: "NotificationData", body: "NotificationUpdate"}}})
}

// whose returns the user that v names, or else whose key it is.
func (q *request) whose(v any, given bool) (int64, error) {
	if given && v != nil && v != "" {
		id, ok := idOf(v)
		if !ok || id <= 0 {
			return 0, bugle.Invalid("user_id", "The user_id field must be the id of a user, not %s.", value.Describe(v))
		}
		return id, nil
	}
	if q.actor.UserID == 0 {
		return 0, bugle.Invalid("user_id", "The user_id field is required with a key that is no user's.")
	}
	return q.actor.UserID, nil
}

func notificationData(n *bugle.Notification) *value.Array {
	var message any
	if n.MessageID != 0 {
		message = n.MessageID
	}
	return value.Map("id", n.ID, "user_id", n.UserID, "message_id", message, "channel", n.Channel, "text", n.Text, "read", !n.ReadAt.IsZero(),
		"read_at", timeOrNull(n.ReadAt), "created_at", bugle.FormatTime(n.CreatedAt))
}

func (s *server) listNotifications(q *request) error {
	query := q.URL.Query()
	userID, err := q.whose(query.Get("user_id"), query.Has("user_id"))
	if err != nil {
		return err
	}
	page, err := s.store.Notifications(q.Context(), q.actor.OrganizationID, userID, q.page())
	if err != nil {
		return err
	}
	items := value.NewArray(len(page.Items))
	for _, n := range page.Items {
		items.Append(notificationData(n))
	}
	return q.list(items, page.Number, page.Limit, page.Total)
}

func (s *server) readNotification(q *request) error {
	id, err := q.id()
	if err != nil {
		return err
	}
	fields, err := q.body()
	if err != nil {
		return err
	}
	v, _ := fields.Get("read")
	isRead, ok := v.(bool)
	if !ok {
		return bugle.Invalid("read", "The read field must be true or false, not %s.", value.Describe(v))
	}
	var n *bugle.Notification
	err = s.store.Update(q.Context(), func(tx *store.Tx) (err error) {
		n, err = tx.ReadNotification(q.actor.OrganizationID, id, isRead)
		return err
	})
	if err != nil {
		return err
	}
	return q.data(http.StatusOK, notificationData(n))
}

func (s *server) readNotifications(q *request) error {
	fields, err := q.body()
	if err != nil {
		return err
	}
	v, given := fields.Get("user_id")
	userID, err := q.whose(v, given)
	if err != nil {
		return err
	}
	var n int64
	err = s.store.Update(q.Context(), func(tx *store.Tx) (err error) {
		n, err = tx.ReadNotifications(q.actor.OrganizationID, userID)
		return err
	})
	if err != nil {
		return err
	}
	return q.data(http.StatusOK, value.Map("read", n))
}

// channels adds channels and notifications to the document.
func (c *componentSet) channels() {
	names := value.NewArray(len(bugle.Channels))
	properties := value.NewArray(16)
	for _, channel := range bugle.Channels {
		names.Append(channel.Name)
		for _, s := range channel.Settings {
			if !properties.Has(s.Name) {
				properties.Set(s.Name, value.Map("type", value.List("string", "integer", "null")))
			}
		}
	}
	described := value.Map("type", "object", "description", settingsText(), "properties", properties)
	lane := func() *value.Array {
		w := webhookFields()
		fields := value.NewArray(8)
		for _, name := range []string{"timeout_seconds", "max_attempts", "retry_schedule", "max_concurrency", "rate_per_second"} {
			v, _ := w.Get(name)
			fields.Set(name, v)
		}
		return fields
	}
	status := value.Map("type", "string", "enum", value.List(string(bugle.Active), string(bugle.Paused)))
	sent := value.Map("settings", described, "status", status)
	for key, v := range lane().All() {
		sent.Set(key.String(), v)
	}
	c.body("ChannelUpdate", true, value.Map("type", "object", "properties", sent),
		value.Map("settings", value.Map("url", "https://hooks.slack.com/services/T000/B000/XXXX")))
	c.body("ChannelTest", false, value.Map("type", "object", "properties", value.Map("recipient",
		value.Map("type", value.List("integer", "null"), "minimum", 1, "description", "Id of a user, for channels that get to users; whose key it is unless given."))),
		value.Map("recipient", 1))

	answered := value.Map("name", value.Map("type", "string", "enum", names), "label", typed("string"),
		"configured", value.Map("type", "boolean", "description", "Whether everything is set that it takes."),
		"settings", orEmpty(value.Map("type", "object", "description", "With defaults; secrets are masked.", "properties", properties)), "status", status)
	for key, v := range lane().All() {
		schema := v.(*value.Array)
		if key.String() != "rate_per_second" { // which can be null of itself
			schema = nullable(schema)
		}
		answered.Set(key.String(), schema)
	}
	answered.Set("health", healthSchema())
	slack := bugle.ChannelByName("slack")
	w := slack.Lane(1)
	w.Settings = value.Map("url", "https://hooks.slack.com/services/T000/B000/XXXX")
	example := channelData(slack, &w)
	c.schema("ChannelResource", closed(answered), example)
	c.answer("ChannelData", "The channel.", closed(value.Map("data", schemaRef("ChannelResource"))), value.Map("data", example))
	c.answer("ChannelList", "All channels.", closed(value.Map("data", listOf(schemaRef("ChannelResource")))), value.Map("data", value.List(example)))

	id := nullable(typed("integer"))
	recipient := value.Map("type", value.List("object", "null"), "required", value.List("id", "name", "address"), "additionalProperties", false,
		"properties", value.Map("id", typed("integer"), "name", typed("string"), "address", typed("string"), "channel_id", typed("string")))
	c.schema("ChannelPayload", closed(value.Map("message_id", id, "text", value.Map("type", "string", "description", "HTML."), "recipient", recipient)),
		value.Map("message_id", 1, "text", "<p>Formation at 18:00.</p>", "recipient", nil))

	notification := notificationData(&bugle.Notification{ID: 1, UserID: 1, MessageID: 1, Channel: "database", Text: "<p>Formation at 18:00.</p>", CreatedAt: exampleMoment})
	c.schema("NotificationResource", closed(value.Map("id", typed("integer"), "user_id", typed("integer"), "message_id", id,
		"channel", value.Map("type", "string", "enum", value.List("database", "broadcast")), "text", value.Map("type", "string", "description", "HTML."),
		"read", typed("boolean"), "read_at", nullable(moment()), "created_at", moment())), notification)
	c.answer("NotificationData", "The notification.", closed(value.Map("data", schemaRef("NotificationResource"))), value.Map("data", notification))
	c.page("Notification", "NotificationResource", notification)
	c.body("NotificationUpdate", true, value.Map("type", "object", "required", value.List("read"), "properties", value.Map("read", typed("boolean"))), value.Map("read", true))
	c.body("NotificationsRead", false, value.Map("type", "object", "properties", value.Map("user_id",
		value.Map("type", value.List("integer", "null"), "minimum", 1, "description", "Whose; whose key it is unless given."))), value.Map("user_id", 1))
	c.answer("NotificationsRead", "How many there were.", closed(value.Map("data", closed(value.Map("read", typed("integer"))))), value.Map("data", value.Map("read", 3)))
}

// settingsText says in words which settings the channels have.
func settingsText() string {
	text := "Those that are not sent stay, null takes one away.\n"
	for _, c := range bugle.Channels {
		for i, s := range c.Settings {
			if i == 0 {
				text += "\n`" + c.Name + "` has:\n\n"
			}
			text += "- `" + s.Name + "`"
			if s.Required {
				text += ", required"
			}
			if s.Secret {
				text += ", secret"
			}
			if s.Default != nil {
				text += ", " + value.Describe(s.Default) + " unless set"
			}
			if s.About != "" {
				text += ". " + s.About
			}
			text += "\n"
		}
	}
	return text
}

func channelParameters() *value.Array {
	names := value.NewArray(len(bugle.Channels))
	outside := value.NewArray(len(bugle.Channels))
	for _, c := range bugle.Channels {
		names.Append(c.Name)
		if c.Outside() {
			outside.Append(c.Name)
		}
	}
	return value.Map(
		"name", value.Map("name", "name", "in", "path", "required", true, "description", "Name of the channel.",
			"schema", value.Map("type", "string", "enum", names), "example", "slack"),
		"channel", queried("channel", "Those of one channel of messages.", value.Map("type", "string", "enum", outside)),
		"user_id", queried("user_id", "Whose; whose key it is unless given.", idSchema()))
}
