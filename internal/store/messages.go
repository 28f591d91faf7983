package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/personnel"
)

// ScheduleOf and the three below are what the kind of messages plans with.
func (c change) ScheduleOf(messageID int64) (*personnel.Resource, error) {
	list, err := selectResources(context.Background(), c.tx.view(), &personnel.Schedule,
		"organization_id = $1 AND message_id = $2 ORDER BY id LIMIT 1", c.a.OrganizationID, messageID)
	if err != nil || len(list) == 0 {
		return nil, err
	}
	return list[0], nil
}

func (c change) SetSchedule(messageID int64, values map[string]any) error {
	old, err := c.ScheduleOf(messageID)
	switch {
	case err != nil:
		return err
	case values == nil:
		return c.tx.exec("DELETE FROM schedules WHERE organization_id = $1 AND message_id = $2", c.a.OrganizationID, messageID)
	case old == nil:
		row := map[string]any{"message_id": messageID}
		for name, v := range values {
			row[name] = v
		}
		return c.Attach(personnel.Schedule.Table, row)
	}
	return c.updateSchedule(old.ID(), values)
}

func (c change) updateSchedule(id int64, values map[string]any) error {
	set, args := []string{"updated_at = $1"}, []any{c.Now()}
	for _, name := range sortedKeys(values) {
		args = append(args, values[name])
		set = append(set, fmt.Sprintf("%s = $%d", quoted(name), len(args)))
	}
	args = append(args, id)
	return c.tx.exec(fmt.Sprintf("UPDATE schedules SET %s WHERE id = $%d", strings.Join(set, ", "), len(args)), args...)
}

func (c change) Plan(messageID int64, sendings ...personnel.Sending) error {
	if err := c.tx.exec("DELETE FROM sendings WHERE message_id = $1 AND state = 'pending' AND NOT begun", messageID); err != nil {
		return err
	}
	for _, s := range sendings {
		err := c.tx.exec(`
			INSERT INTO sendings (organization_id, message_id, part, due_us, chain, run_id, request_id, trace_id, created_us)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
			c.a.OrganizationID, messageID, string(s.Part), s.Due.UnixMicro(), c.a.Chain.JSON(), c.a.Chain.RunID, c.a.RequestID, c.a.TraceID, c.tx.now.UnixMicro())
		if err != nil {
			return fmt.Errorf("plan message %d: %w", messageID, err)
		}
	}
	c.tx.committed.Sendings = true
	return nil
}

func (c change) Postpone(messageID int64, due time.Time) error {
	err := c.tx.exec("UPDATE sendings SET due_us = $1 WHERE message_id = $2 AND state = 'pending' AND NOT begun AND part <> 'early'",
		due.UnixMicro(), messageID)
	c.tx.committed.Sendings = true
	return err
}

// NextSending returns when the next sending of this node is due; zero if there is none.
func (s *Store) NextSending(ctx context.Context) (time.Time, error) {
	var at *int64
	own, args := s.ownSlices("organization_id", 1)
	if err := s.view().one(ctx, []any{&at}, "SELECT MIN(due_us) FROM sendings WHERE state = 'pending'"+own, args...); err != nil {
		return time.Time{}, fmt.Errorf("read next sending: %w", err)
	}
	if at == nil {
		return time.Time{}, nil
	}
	return fromMicroseconds(*at), nil
}

// SendingOrganizations returns the ids of those of this node that have a due sending, by two index look-ups each.
func (s *Store) SendingOrganizations(ctx context.Context) ([]int64, error) {
	var ids []int64
	own, args := s.ownSlices("id", 2)
	err := s.view().each(ctx, func(scan func(to ...any) error) error {
		var id int64
		err := scan(&id)
		ids = append(ids, id)
		return err
	}, `
		WITH RECURSIVE organization (id) AS (
		    SELECT MIN(organization_id) FROM sendings WHERE state = 'pending'
		    UNION ALL
		    SELECT (SELECT MIN(organization_id) FROM sendings WHERE state = 'pending' AND organization_id > organization.id)
		    FROM   organization WHERE organization.id IS NOT NULL
		)
		SELECT id FROM organization
		WHERE  id IS NOT NULL AND (SELECT MIN(due_us) FROM sendings WHERE state = 'pending' AND organization_id = organization.id) <= $1`+own,
		append([]any{s.now().UnixMicro()}, args...)...)
	if err != nil {
		return nil, fmt.Errorf("find due sendings: %w", err)
	}
	return ids, nil
}

// StepRecipients is how many recipients one step of a sending reaches.
const StepRecipients = 200

// StepSending does a part of the organization's earliest due sending: what some recipients, or a place that
// is posted to, are owed, and the cursor behind them, in one transaction. It reports whether there was one.
func (s *Store) StepSending(ctx context.Context, organizationID int64) (found bool, err error) {
	err = s.Update(ctx, func(tx *Tx) error {
		step, err := tx.dueSending(organizationID)
		if err != nil || step == nil {
			return err
		}
		found = true
		return step.run()
	})
	if err != nil {
		return false, fmt.Errorf("send messages of organization %d: %w", organizationID, err)
	}
	return found, nil
}

// A sendingStep is a step of a sending, while it is made.
type sendingStep struct {
	change
	id       int64
	part     personnel.SendingPart
	due      time.Time
	begun    bool
	after    int64 // the cursor
	message  *personnel.Resource
	channels []*bugle.Channel
	lanes    map[string]int64
}

func (tx *Tx) dueSending(organizationID int64) (*sendingStep, error) {
	step := &sendingStep{change: change{tx, Actor{OrganizationID: organizationID}}, lanes: map[string]int64{}}
	var messageID, due, run int64
	var chain string
	err := tx.one([]any{&step.id, &messageID, &step.part, &due, &step.begun, &step.after, &chain, &run, &step.a.RequestID, &step.a.TraceID}, `
		SELECT id, message_id, part, due_us, begun, after_user_id, COALESCE(chain, ''), run_id, request_id, trace_id
		FROM   sendings
		WHERE  state = 'pending' AND organization_id = $1 AND due_us <= $2
		ORDER  BY due_us, id
		LIMIT  1`, organizationID, tx.now.UnixMicro())
	if errors.Is(err, bugle.ErrNotFound) {
		return nil, nil
	}
	if err == nil {
		step.due = fromMicroseconds(due)
		step.a.Chain, err = bugle.ParseChain(chain)
		step.a.Chain.RunID = run
	}
	if err == nil {
		step.message, err = step.Find(&personnel.Message, messageID)
	}
	if err != nil {
		return nil, fmt.Errorf("read sending: %w", err)
	}
	for _, name := range personnel.ChannelsOf(step.message) {
		isEarly := name == personnel.EarlyChannel
		if channel := bugle.ChannelByName(name); channel != nil && (step.part == personnel.SendAll || isEarly == (step.part == personnel.SendEarly)) {
			step.channels = append(step.channels, channel)
		}
	}
	return step, nil
}

func (s *sendingStep) run() error {
	if !s.begun {
		if err := s.begin(); err != nil {
			return err
		}
	}
	users, err := s.recipients()
	if err != nil {
		return err
	}
	for _, user := range users {
		for _, channel := range s.channels {
			if err := s.sendTo(channel, user); err != nil {
				return err
			}
		}
		s.after = user.ID()
	}
	if len(users) == StepRecipients {
		return s.tx.exec("UPDATE sendings SET begun = TRUE, after_user_id = $1 WHERE id = $2", s.after, s.id)
	}
	if err := s.tx.exec("UPDATE sendings SET begun = TRUE, after_user_id = $1, state = 'done' WHERE id = $2", s.after, s.id); err != nil {
		return err
	}
	if s.part == personnel.SendEarly || s.part == personnel.SendAll && len(s.channels) == 0 {
		return nil
	}
	return s.Save(&personnel.Message, s.message.ID(), map[string]any{"sent_at": s.Now()})
}

// begin plans the next time of a message that repeats, and makes the posts.
func (s *sendingStep) begin() error {
	if s.message.Get("repeats") == true && s.part == personnel.SendAll {
		if err := s.planNext(); err != nil {
			return err
		}
	}
	for _, channel := range s.channels {
		if channel.Reach != bugle.Posted {
			continue
		}
		if _, err := s.deliver(channel, bugle.Sent{MessageID: s.message.ID(), Text: s.message.Text("message")}); err != nil {
			return err
		}
	}
	return nil
}

// planNext plans the first time that is still to come: those that were missed while the server was down are
// made up for by this one.
func (s *sendingStep) planNext() error {
	schedule, err := s.ScheduleOf(s.message.ID())
	if err != nil || schedule == nil {
		return err
	}
	recurrence := personnel.RecurrenceOf(schedule)
	if recurrence == nil {
		return nil
	}
	next := recurrence.After(s.tx.now)
	if s.due.After(s.tx.now) {
		next = recurrence.After(s.due)
	}
	if next.IsZero() {
		return s.updateSchedule(schedule.ID(), map[string]any{"next_occurrence": nil})
	}
	if err := s.updateSchedule(schedule.ID(), map[string]any{"next_occurrence": next.Format(personnel.StoredTime)}); err != nil {
		return err
	}
	// Marked first, or it would be replaced by what follows it.
	if err := s.tx.exec("UPDATE sendings SET begun = TRUE WHERE id = $1", s.id); err != nil {
		return err
	}
	return s.Plan(s.message.ID(), personnel.Sending{Part: personnel.SendAll, Due: next})
}

// recipients returns the next users whom the message is for; none if no channel of the sending gets to users.
func (s *sendingStep) recipients() ([]*personnel.Resource, error) {
	if !slices.ContainsFunc(s.channels, func(c *bugle.Channel) bool { return c.Reach != bugle.Posted }) {
		return nil, nil
	}
	where, args := "organization_id = $1 AND id > $2", []any{s.a.OrganizationID, s.after}
	if text := s.message.Text("recipients"); text != "" { // else it is for everyone
		var ids []int64
		if err := decodeList(text, func(v any) {
			if id, ok := v.(int64); ok && id > s.after {
				ids = append(ids, id)
			}
		}); err != nil {
			return nil, fmt.Errorf("recipients of message %d: %w", s.message.ID(), err)
		}
		where, args = where+" AND "+inIDs("id", 3), append(args, idList(ids))
	}
	return selectResources(context.Background(), s.tx.view(), &personnel.User, fmt.Sprintf("%s ORDER BY id LIMIT %d", where, StepRecipients), args...)
}

// sendTo gives one user the message by one channel.
func (s *sendingStep) sendTo(channel *bugle.Channel, user *personnel.Resource) error {
	switch channel.Reach {
	case bugle.Within:
		return s.tx.exec("INSERT INTO notifications (organization_id, user_id, message_id, channel, text, created_us) VALUES ($1, $2, $3, $4, $5, $6)",
			s.a.OrganizationID, user.ID(), s.message.ID(), channel.Name, s.message.Text("message"), s.tx.now.UnixMicro())
	case bugle.ToEach:
		_, err := s.deliver(channel, bugle.Sent{MessageID: s.message.ID(), Text: s.message.Text("message"), Recipient: recipientBy(channel, user)})
		return err
	}
	return nil
}

// recipientBy is a user as the channel knows him.
func recipientBy(channel *bugle.Channel, user *personnel.Resource) *bugle.Recipient {
	r := &bugle.Recipient{ID: user.ID(), Name: user.Text("name")}
	switch channel.Name {
	case "mail":
		r.Address = user.Text("email")
	case "sms":
		r.Address = user.Text("phone_number")
	case "discord_private":
		r.Address, r.ChannelID = user.Text("discord_user_id"), user.Text("discord_private_channel_id")
	}
	return r
}

// deliver owes a channel something, and returns the delivery's id.
func (s *sendingStep) deliver(channel *bugle.Channel, sent bugle.Sent) (int64, error) {
	lane, ok := s.lanes[channel.Name]
	if !ok {
		w, err := s.tx.Lane(s.a.OrganizationID, channel)
		if err != nil {
			return 0, err
		}
		lane = w.ID
		s.lanes[channel.Name] = lane
	}
	return s.tx.owe(s.a, lane, sent)
}

func (tx *Tx) owe(a Actor, laneID int64, sent bugle.Sent) (deliveryID int64, err error) {
	e := &bugle.Event{OrganizationID: a.OrganizationID, Name: bugle.SendEvent, RequestID: a.RequestID, TraceID: a.TraceID, CreatedAt: tx.now,
		CauserID: a.UserID, Chain: a.Chain}
	if sent.MessageID != 0 {
		e.ResourceKind, e.ResourceID = personnel.Message.Name, sent.MessageID
	}
	if e.Envelope, err = sent.JSON(); err != nil {
		return 0, fmt.Errorf("envelope of message %d: %w", sent.MessageID, err)
	}
	return tx.Address(e, laneID)
}

// Lane returns the lane of an organization's channel, and makes it if it is not there yet.
func (tx *Tx) Lane(organizationID int64, channel *bugle.Channel) (*bugle.Webhook, error) {
	w, err := findWebhook(context.Background(), tx.view(), whereChannel, organizationID, channel.Name)
	if errors.Is(err, bugle.ErrNotFound) {
		lane := channel.Lane(organizationID)
		return &lane, tx.AddWebhook(&lane)
	}
	return w, err
}

const whereChannel = "WHERE w.organization_id = $1 AND w.channel = $2"

// Lane returns the lane of an organization's channel; one that nobody has used yet has no id.
func (s *Store) Lane(ctx context.Context, organizationID int64, channel *bugle.Channel) (*bugle.Webhook, error) {
	w, err := findWebhook(ctx, s.view(), whereChannel, organizationID, channel.Name)
	if errors.Is(err, bugle.ErrNotFound) {
		lane := channel.Lane(organizationID)
		return &lane, nil
	}
	return w, err
}

// SaveLane writes the lane of a channel. Deliveries that wait for another attempt are made due, since it may
// fare better now.
func (tx *Tx) SaveLane(w *bugle.Webhook) error {
	if err := tx.SaveWebhook(w); err != nil {
		return err
	}
	n, err := tx.count("UPDATE deliveries SET next_attempt_us = $1 WHERE state = 1 AND next_attempt_us > $1 AND +webhook_id = $2",
		tx.now.UnixMicro(), w.ID)
	if err != nil {
		return fmt.Errorf("retry deliveries of channel %s: %w", w.Channel, err)
	}
	tx.committed.Retries = tx.committed.Retries || n > 0
	return nil
}

// TestLane owes a channel a text, to a user if it gets to users, and returns the delivery's id.
func (tx *Tx) TestLane(a Actor, channel *bugle.Channel, text string, user *personnel.Resource) (deliveryID int64, err error) {
	w, err := tx.Lane(a.OrganizationID, channel)
	if err != nil {
		return 0, err
	}
	sent := bugle.Sent{Text: text}
	if channel.Reach == bugle.ToEach {
		sent.Recipient = recipientBy(channel, user)
	}
	return tx.owe(a, w.ID, sent)
}

const notificationColumns = "id, user_id, COALESCE(message_id, 0), channel, text, created_us, read_us"

func scanNotification(scan func(to ...any) error) (*bugle.Notification, error) {
	var n bugle.Notification
	var created, read int64
	err := scan(&n.ID, &n.UserID, &n.MessageID, &n.Channel, &n.Text, &created, &read)
	n.CreatedAt, n.ReadAt = fromMicroseconds(created), fromMicroseconds(read)
	return &n, err
}

// Notifications returns a page of a user's notifications, newest first.
func (s *Store) Notifications(ctx context.Context, organizationID, userID int64, p PageRequest) (Page[*bugle.Notification], error) {
	page := Page[*bugle.Notification]{Number: p.Number, Limit: p.Limit}
	c := s.view()
	err := c.one(ctx, []any{&page.Total}, "SELECT COUNT(*) FROM notifications WHERE user_id = $1 AND organization_id = $2", userID, organizationID)
	if err == nil {
		err = c.each(ctx, func(scan func(to ...any) error) error {
			n, err := scanNotification(scan)
			page.Items = append(page.Items, n)
			return err
		}, "SELECT "+notificationColumns+" FROM notifications WHERE user_id = $1 AND organization_id = $2 ORDER BY id DESC LIMIT $3 OFFSET $4",
			userID, organizationID, p.Limit, p.offset())
	}
	if err != nil {
		return page, fmt.Errorf("list notifications: %w", err)
	}
	return page, nil
}

// maxUnread is how far unread notifications are counted.
const maxUnread = 99

// Unread returns how many notifications of a user are not read, counted up to 99.
func (s *Store) Unread(ctx context.Context, organizationID, userID int64) (n int, err error) {
	err = s.view().one(ctx, []any{&n}, `
		SELECT COUNT(*) FROM (SELECT 1 FROM notifications WHERE user_id = $1 AND organization_id = $2 AND read_us = 0 LIMIT $3) AS chosen`,
		userID, organizationID, maxUnread)
	if err != nil {
		return 0, fmt.Errorf("count notifications of user %d: %w", userID, err)
	}
	return n, nil
}

// ReadNotification notes that a notification was read, or that it was not, and returns it.
func (tx *Tx) ReadNotification(organizationID, id int64, isRead bool) (*bugle.Notification, error) {
	read := int64(0)
	if isRead {
		read = tx.now.UnixMicro()
	}
	// Reading what was read leaves the time when it was.
	if err := tx.exec("UPDATE notifications SET read_us = $1 WHERE id = $2 AND organization_id = $3 AND (read_us > 0) <> (CAST($1 AS BIGINT) > 0)", read, id, organizationID); err != nil {
		return nil, fmt.Errorf("read notification %d: %w", id, err)
	}
	var n *bugle.Notification
	err := tx.each(func(scan func(to ...any) error) (err error) {
		n, err = scanNotification(scan)
		return err
	}, "SELECT "+notificationColumns+" FROM notifications WHERE id = $1 AND organization_id = $2", id, organizationID)
	if err == nil && n == nil {
		err = bugle.ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("notification %d: %w", id, err)
	}
	return n, nil
}

// ReadNotifications notes that a user has read everything, and returns how many notifications that were.
func (tx *Tx) ReadNotifications(organizationID, userID int64) (int64, error) {
	n, err := tx.count("UPDATE notifications SET read_us = $1 WHERE user_id = $2 AND organization_id = $3 AND read_us = 0",
		tx.now.UnixMicro(), userID, organizationID)
	if err != nil {
		return 0, fmt.Errorf("read notifications of user %d: %w", userID, err)
	}
	return n, nil
}
