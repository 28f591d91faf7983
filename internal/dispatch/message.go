package dispatch

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/internal/store"
	"github.com/buglehq/bugle/personnel"
	"github.com/buglehq/bugle/value"
)

// Everyone is what a recipients' expression says to mean all users.
const Everyone = "everyone"

// posted are the channels that take one post, whoever the recipients are.
var posted = []string{"discord_public", "slack", "telegram"}

// toWhom is to whom a message goes: ids, or everyone.
func (p *program) toWhom(c *Context) (ids *value.Array, everyone bool, err error) {
	ids = value.NewArray(1)
	if p.recipients != nil {
		v, err := evaluateExpression("message_recipients_expression", p.recipients, c)
		switch {
		case err != nil && !p.PerscomCompatible:
			return nil, false, err
		case err != nil:
		case v == Everyone:
			return ids, true, nil
		default:
			ids = userIDs(v)
		}
	}
	return ids, p.PerscomCompatible && ids.Len() == 0, nil
}

// userIDs are the ids that a value names: a number, or those in an array.
func userIDs(v any) *value.Array {
	ids := value.NewArray(1)
	add := func(v any) {
		switch n := v.(type) {
		case int64:
			ids.Append(n)
		case float64:
			ids.Append(value.ToInt(n))
		case string:
			if number, ok := value.Numeric(n); ok {
				ids.Append(value.ToInt(number))
			}
		}
	}
	if list, ok := v.(*value.Array); ok {
		for _, item := range list.All() {
			add(item)
		}
	} else {
		add(v)
	}
	return ids
}

// rendered is what a template for messages puts out.
func (p *program) rendered(c *Context) (string, error) {
	v, err := p.content.render(newEvaluation(), c.named)
	text, _ := v.(string)
	return text, err
}

// messageEffect is a message to be created.
type messageEffect struct{ fields *value.Array }

func (m *messageEffect) apply(tx *store.Tx, a store.Actor, r *bugle.Run) error {
	message, err := tx.Create(a, &personnel.Message, m.fields)
	if err != nil {
		return fmt.Errorf("create the message: %w", err)
	}
	r.MessageID = message.ID()
	r.ActionPayload.Set("created_message_id", r.MessageID)
	return nil
}

func (p *program) message(c *Context, now time.Time, r *bugle.Run) (effect, error) {
	text, err := p.rendered(c)
	if err != nil {
		return nil, err
	}
	ids, everyone, err := p.toWhom(c)
	if err != nil {
		return nil, err
	}
	channels := value.NewArray(len(p.MessageChannels))
	for _, name := range p.MessageChannels {
		channels.Append(name)
	}
	switch {
	case strings.TrimSpace(text) == "":
		skip(r, bugle.SendMessage, "the message's text is empty")
		return nil, nil
	case ids.Len() == 0 && !everyone && !slices.ContainsFunc(p.MessageChannels, func(name string) bool { return slices.Contains(posted, name) }):
		skip(r, bugle.SendMessage, "there is nobody to send it to")
		return nil, nil
	}
	var recipients any = ids
	if everyone {
		recipients = nil
	}
	fields := value.Map("message", text, "channels", channels, "recipients", recipients, "send_at", now.Format(time.RFC3339))
	if p.MessageRRule != "" {
		fields.Set("rrule", p.MessageRRule)
	}
	r.ActionPayload = value.Map("type", string(bugle.SendMessage), "created_message_id", nil, "message_content", text,
		"recipients", recipients, "channels", channels)
	return &messageEffect{fields}, nil
}

func (*messageEffect) whole() bool { return false }
