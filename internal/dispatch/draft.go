package dispatch

import (
	"context"
	"slices"
	"strconv"
	"time"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/expression"
	"github.com/buglehq/bugle/internal/store"
	"github.com/buglehq/bugle/personnel"
	"github.com/buglehq/bugle/value"
)

// SetAutomation takes over the fields of an automation that is to be saved, and checks it as a whole. An
// error is a bugle.InvalidError with everything that is wrong, or the database's trouble.
func SetAutomation(tx *store.Tx, a *bugle.Automation, fields *value.Array, creating bool) error {
	if err := a.Set(fields, creating, personnel.EventNames(), personnel.ChannelNames(), personnel.UpdatableNames()); err != nil {
		return err
	}
	keys, err := tx.CustomKeys(a.OrganizationID)
	if err != nil {
		return err
	}
	return check(a, keys, tx.Now())
}

// Check reports what is wrong with an automation beyond what its fields say by themselves: a condition or
// template that cannot be compiled, fields that there are not, a rule by which nothing repeats. An error is a
// bugle.InvalidError whose reasons have line and column, or the database's trouble.
func (v *Previewer) Check(ctx context.Context, a *bugle.Automation) error {
	keys, err := v.Store.CustomKeys(ctx, a.OrganizationID)
	if err != nil {
		return err
	}
	return check(a, keys, v.Clock.Now())
}

func check(a *bugle.Automation, customKeys map[string]bool, now time.Time) error {
	if a.ActionType == bugle.SendMessage && a.MessageRRule != "" {
		if _, err := personnel.NewRecurrence(a.MessageRRule, now); err != nil {
			return bugle.Invalid("message_rrule", "The message_rrule field %s.", err.Error())
		}
	}
	return Check(a, func(key string) bool { return customKeys[key] })
}

// A Draft is an automation that need not be complete, and what of it is to be tried on what.
type Draft struct {
	Automation bugle.Automation
	Sample     Sample
	asked      map[string]bool // the fields that were sent
}

// ReadDraft reads the fields of an automation, of which only the trigger is required, and beside them
// event_id or context, on which it is to be tried. An error is a bugle.InvalidError.
func ReadDraft(organizationID int64, fields *value.Array) (*Draft, error) {
	d := &Draft{Automation: bugle.NewAutomation(), asked: map[string]bool{}}
	d.Automation.OrganizationID = organizationID
	if err := d.Automation.SetDraft(fields, personnel.EventNames(), personnel.ChannelNames(), personnel.UpdatableNames()); err != nil {
		return nil, err
	}
	for key, v := range fields.All() {
		d.asked[key.String()] = v != nil
	}
	if v, _ := fields.Get("event_id"); v != nil {
		id, ok := v.(int64)
		if text, isText := v.(string); isText {
			var err error
			id, err = strconv.ParseInt(text, 10, 64)
			ok = err == nil
		}
		if !ok {
			return nil, bugle.Invalid("event_id", "The event_id field must be the id of an event, not %s.", value.Describe(v))
		}
		d.Sample.EventID = id
	}
	if v, _ := fields.Get("context"); v != nil {
		object, ok := v.(*value.Array)
		if !ok || object.Len() > 0 && object.IsList() {
			return nil, bugle.Invalid("context", "The context field must be an object, not %s.", value.Describe(v))
		}
		d.Sample.Given = object
	}
	return d, nil
}

func (d *Draft) has(fields ...string) bool {
	return slices.ContainsFunc(fields, func(name string) bool { return d.asked[name] })
}

// PreviewDraft tries all parts that were sent, whatever the action is, and those of the action if it was
// sent. Parts that were not are nil. Errors are those of Preview.
func (v *Previewer) PreviewDraft(ctx context.Context, d *Draft) (*Preview, error) {
	var made *Preview
	a, hasAction := d.Automation, d.has("action_type")
	try := func(action bugle.ActionType, fields ...string) (*Preview, error) {
		if !d.has(fields...) && !(hasAction && d.Automation.ActionType == action) {
			return &Preview{}, nil
		}
		a.ActionType = action
		p, err := v.Preview(ctx, &a, d.Sample)
		if err == nil && made == nil {
			made = p
		}
		return p, err
	}
	webhook, err := try(bugle.SendWebhook, "webhook_payload_template")
	if err != nil {
		return nil, err
	}
	message, err := try(bugle.SendMessage, "message_content", "message_recipients_expression")
	if err != nil {
		return nil, err
	}
	update, err := try(bugle.UpdateModel, "model_update_fields")
	if err != nil {
		return nil, err
	}
	if made == nil { // nothing but the condition, or the context
		if made, err = v.Preview(ctx, &d.Automation, d.Sample); err != nil {
			return nil, err
		}
	}
	all := &Preview{Context: made.Context, EventID: made.EventID, Payload: webhook.Payload, Fields: update.Fields, Target: update.Target}
	if d.has("condition") {
		all.Condition, all.Parts = made.Condition, made.Parts
	}
	if d.has("message_content") {
		all.Message = message.Message
	}
	if d.has("message_recipients_expression") {
		all.Recipient = message.Recipient
	}
	return all, nil
}

// conditionParts returns the values of the parts of an automation's condition.
func conditionParts(a *bugle.Automation, c *Context) []expression.Part {
	if expression.Blank(a.Condition) {
		return nil
	}
	return explain(a.Condition, c)
}

// A Summary is how an automation would have gone on past events.
type Summary struct {
	Complete bool // all events of the time were tried
	Events   int  // that were tried
	Counts   map[bugle.RunStatus]int
	Trials   []Trial // the first ones
}

const (
	backtestDays = 7
	maxShown     = 100 // trials in a Summary
)

// ReadPeriod reads the fields since and until of a back-test; both may be missing. An error is a
// bugle.InvalidError.
func ReadPeriod(fields *value.Array) (since, until time.Time, err error) {
	invalid := &bugle.InvalidError{}
	moment := func(name string) (at time.Time) {
		v, _ := fields.Get(name)
		if v == nil {
			return at
		}
		text, _ := v.(string)
		at, ok := personnel.ParseTime(text)
		if !ok {
			invalid.Add(name, "The %s field must be a time such as 2026-01-31T18:00:00Z, not %s.", name, value.Describe(v))
		}
		return at
	}
	since, until = moment("since"), moment("until")
	return since, until, invalid.Err()
}

// Summarize tries an automation as Backtest does, since seven days ago if that is zero, and counts how it
// would have gone.
func (v *Previewer) Summarize(ctx context.Context, a *bugle.Automation, since, until time.Time) (*Summary, error) {
	if since.IsZero() {
		since = v.Clock.Now().AddDate(0, 0, -backtestDays)
	}
	s := &Summary{Counts: map[bugle.RunStatus]int{}}
	var err error
	s.Complete, err = v.Backtest(ctx, a, since, until, func(t Trial) {
		s.Counts[t.Run.Status]++
		s.Events++
		if len(s.Trials) < maxShown {
			s.Trials = append(s.Trials, t)
		}
	})
	if err != nil {
		return nil, err
	}
	return s, nil
}
