package dispatch

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jonboulle/clockwork"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/expression"
	"github.com/buglehq/bugle/internal/chat"
	"github.com/buglehq/bugle/internal/engine"
	"github.com/buglehq/bugle/internal/policy"
	"github.com/buglehq/bugle/internal/store"
	"github.com/buglehq/bugle/personnel"
	"github.com/buglehq/bugle/twig"
	"github.com/buglehq/bugle/value"
)

// A Part is what became of a part of an automation that was tried.
type Part struct {
	Result   any // as package value has it; null if there is an error or it was skipped
	Err      error
	Skipped  bool // the template says not to send, or its text is empty
	Warnings []chat.Warning
}

// Valid reports whether there is a result.
func (p *Part) Valid() bool { return p.Err == nil }

// Problem returns the error's words and place: the field with the path into it, line and column, which
// are empty and 0 if they are unknown.
func (p *Part) Problem() (message, field string, line, column int) {
	message = p.Err.Error()
	var in *fieldError
	if errors.As(p.Err, &in) {
		field, message = in.field, in.err.Error()
	}
	var invalid *bugle.InvalidError
	if errors.As(p.Err, &invalid) && len(invalid.Problems) > 0 {
		field, message = invalid.Problems[0].Field, invalid.Problems[0].Reason
	}
	var placed *engine.Error
	if errors.As(p.Err, &placed) {
		line, column = placed.Line, placed.Column
	}
	return message, field, line, column
}

// A Preview is what an automation would do for one event, each part on its own. Parts that the
// automation does not have are nil.
type Preview struct {
	Context   *Context
	EventID   int64             // of the event that the context is of; 0: it is an example, or was given
	Condition *Part             // its result is a boolean
	Parts     []expression.Part // of the condition, with their values
	Payload   *Part             // the body
	Message   *Part             // its HTML
	Recipient *Part             // a list of ids, or "everyone"
	Fields    *Part             // new values by name
	Target    int64             // the id of what would be updated; 0: nothing
}

// A Previewer tries automations without doing anything.
type Previewer struct {
	Store *store.Store
	Clock clockwork.Clock
}

// Sample is what a preview is tried on: the event with the id if it is not 0; else the variables if they
// are given; else the newest event of the trigger, or an example if there was none yet.
type Sample struct {
	EventID int64
	Given   *value.Array
}

// Preview tries an automation, which need not be complete, on a sample. An error is a
// bugle.InvalidError about the sample, or the database's trouble.
func (v *Previewer) Preview(ctx context.Context, a *bugle.Automation, sample Sample) (*Preview, error) {
	e, c, err := v.sample(ctx, a, sample)
	if err != nil {
		return nil, err
	}
	now := v.Clock.Now()
	made := &Preview{Context: c, EventID: e.ID}
	made.Condition, made.Parts = v.condition(a, c), conditionParts(a, c)
	switch a.ActionType {
	case bugle.SendWebhook:
		made.Payload, err = v.payload(ctx, a, e, c, now)
	case bugle.SendMessage:
		made.Message, made.Recipient = v.message(a, c)
	case bugle.UpdateModel:
		made.Fields, made.Target, err = v.fields(ctx, a, c)
	}
	return made, err
}

func (v *Previewer) sample(ctx context.Context, a *bugle.Automation, s Sample) (*bugle.Event, *Context, error) {
	now := v.Clock.Now()
	example := ExampleEvent(a.Trigger, now)
	example.OrganizationID = a.OrganizationID
	if s.Given != nil && s.EventID == 0 {
		return example, GivenContext(s.Given, now), nil
	}
	e, err := example, error(nil)
	if s.EventID != 0 {
		e, err = v.Store.Event(ctx, a.OrganizationID, s.EventID)
		if errors.Is(err, bugle.ErrNotFound) {
			return nil, nil, bugle.Invalid("event_id", "The event_id field must be the id of an event; there is none with the id %d.", s.EventID)
		}
		if err == nil && e.Name != a.Trigger {
			return nil, nil, bugle.Invalid("event_id", "The event %d is of %s, not of the trigger %s.", s.EventID, e.Name, a.Trigger)
		}
	} else if newest, newestErr := v.Store.NewestEvent(ctx, a.OrganizationID, a.Trigger); newestErr == nil {
		e = newest
	} else if !errors.Is(newestErr, bugle.ErrNotFound) {
		err = newestErr
	}
	if err != nil {
		return nil, nil, err
	}
	causer := exampleCauser(e)
	if e.ID != 0 {
		known := causers{store: v.Store, organizationID: a.OrganizationID}
		if causer, err = known.get(ctx, e.CauserID); err != nil {
			return nil, nil, err
		}
	}
	c, err := NewContext(e, causer, now)
	return e, c, err
}

// ExampleEvent is an event of a name as the catalogue's examples have it. It has no id.
func ExampleEvent(name string, now time.Time) *bugle.Event {
	stem, verb, _ := strings.Cut(name, ".")
	e := &bugle.Event{Name: name, RequestID: uuid.NewString(), TraceID: uuid.NewString(), CreatedAt: now.UTC(), CauserID: 1}
	var data any = value.NewArray(0)
	if k := personnel.ByName(stem); k != nil {
		e.ResourceKind, e.ResourceID, data = k.Name, 1, k.ExampleData(verb)
		if verb == "updated" {
			e.Causes = []bugle.Cause{{Attribute: "updated_at", Old: "2026-01-13 12:00:00", New: "2026-01-14 12:00:00"}}
		}
	}
	var err error
	e.Envelope, err = bugle.Envelope{Event: name, Created: e.CreatedAt, RequestID: e.RequestID, TraceID: e.TraceID, Data: data,
		Changes: personnel.ChangesValue(e.Causes)}.JSON()
	if err != nil { // examples are constants
		panic("dispatch: example of " + name + ": " + err.Error())
	}
	return e
}

func exampleCauser(e *bugle.Event) *value.Array {
	if e.ID != 0 {
		return nil
	}
	return personnel.User.Example()
}

// failureUnder returns the first thing that is wrong with one of the fields, or nil.
func (p *program) failureUnder(fields ...string) error {
	isUnder := func(path string) bool {
		return slices.ContainsFunc(fields, func(field string) bool { return path == field || strings.HasPrefix(path, field+".") })
	}
	for _, failure := range p.failures {
		if isUnder(failure.field) {
			return failure
		}
	}
	for _, problem := range p.problems.Problems {
		if isUnder(problem.Field) {
			return &bugle.InvalidError{Problems: []bugle.Problem{problem}}
		}
	}
	return nil
}

// partly is an automation of which only some parts count.
func (v *Previewer) partly(a *bugle.Automation, fields ...string) (*program, error) {
	p := compile(a, v.Clock.Now)
	err := p.failureUnder(fields...)
	p.problems = &bugle.InvalidError{}
	return p, err
}

func (v *Previewer) condition(a *bugle.Automation, c *Context) *Part {
	p, err := v.partly(a, "condition")
	if err != nil {
		return &Part{Err: err}
	}
	holds, err := p.holds(c)
	if err != nil {
		return &Part{Err: err}
	}
	return &Part{Result: holds}
}

func (v *Previewer) payload(ctx context.Context, a *bugle.Automation, e *bugle.Event, c *Context, now time.Time) (*Part, error) {
	p, err := v.partly(a, "webhook_payload_template")
	if err != nil {
		return &Part{Err: err}, nil
	}
	w := &bugle.Webhook{}
	if a.WebhookID != 0 {
		found, err := v.Store.Webhook(ctx, a.OrganizationID, a.WebhookID)
		if err == nil {
			w = found
		} else if !errors.Is(err, bugle.ErrNotFound) {
			return nil, err
		}
	}
	made, err := p.payloadFor(w, e, c, now)
	switch {
	case errors.Is(err, twig.ErrStopped), err == nil && made.Text == nil:
		return &Part{Skipped: true}, nil
	case err != nil:
		return &Part{Err: err}, nil
	}
	result, err := sentOf(w, made)
	if err != nil {
		return &Part{Err: err}, nil
	}
	part := &Part{Result: result}
	part.Warnings = chat.Check(chat.ServiceOf(w.URL, result), result)
	return part, nil
}

// sentOf is what a webhook would get of a payload.
func sentOf(w *bugle.Webhook, p bugle.Payload) (any, error) {
	body, err := policy.Apply(w, p)
	if err != nil {
		return nil, err
	}
	return value.Decode(body.Bytes())
}

func (v *Previewer) message(a *bugle.Automation, c *Context) (text, to *Part) {
	p, err := v.partly(a, "message_content")
	text = &Part{Err: err}
	if err == nil {
		rendered, err := p.rendered(c)
		switch {
		case errors.Is(err, twig.ErrStopped), err == nil && strings.TrimSpace(rendered) == "":
			text = &Part{Skipped: true}
		case err != nil:
			text = &Part{Err: err}
		default:
			text = &Part{Result: rendered}
		}
	}
	p, err = v.partly(a, "message_recipients_expression")
	if err != nil {
		return text, &Part{Err: err}
	}
	ids, everyone, err := p.toWhom(c)
	switch {
	case err != nil:
		return text, &Part{Err: err}
	case everyone:
		return text, &Part{Result: Everyone}
	}
	return text, &Part{Result: ids}
}

func (v *Previewer) fields(ctx context.Context, a *bugle.Automation, c *Context) (fields *Part, target int64, err error) {
	p, err := v.partly(a, "model_update_lookup_expression", "model_update_lookup_conditions", "model_update_fields")
	if err != nil {
		return &Part{Err: err}, 0, nil
	}
	if p.kind == nil {
		return &Part{Err: bugle.Invalid("model_update_target", "The model_update_target field is required.")}, 0, nil
	}
	var r bugle.Run
	e, err := p.update(ctx, v.Store, c, &r)
	switch {
	case errors.Is(err, twig.ErrStopped):
		return &Part{Skipped: true}, 0, nil
	case err != nil && !isOwn(err):
		return nil, 0, err
	case err != nil:
		return &Part{Err: err}, 0, nil
	}
	return &Part{Result: e.(*updateEffect).values}, r.ResourceID, nil
}

// A Trial is how an automation would have gone on one event.
type Trial struct {
	Event  *bugle.Event
	Run    *bugle.Run // without ids; its status is what the run would have ended with
	Result any        // the body that would have been sent, the fields of a message, or the values of an update; null if there is none
}

// MaxTrials is on how many events a back-test is made at most.
const MaxTrials = 1000

const maxBacktest = 10 * time.Second // a back-test that takes longer ends with what it has

// Backtest tries an automation on the events of its trigger from since until until, oldest first, without
// doing anything. It calls each for every one, and reports whether it came to the end.
func (v *Previewer) Backtest(ctx context.Context, a *bugle.Automation, since, until time.Time, each func(Trial)) (complete bool, err error) {
	p := compile(a, v.Clock.Now)
	known := causers{store: v.Store, organizationID: a.OrganizationID}
	from := &cachedReader{Store: v.Store}
	began, after := time.Now(), int64(0)
	for n := 0; ; {
		list, err := v.Store.EventsOf(ctx, a.OrganizationID, a.Trigger, after, since, until, 100)
		if err != nil {
			return false, err
		}
		for _, e := range list {
			if n == MaxTrials || time.Since(began) > maxBacktest {
				return false, nil
			}
			n++
			after = e.ID
			causer, err := known.get(ctx, e.CauserID)
			if err != nil {
				return false, err
			}
			c, err := NewContext(e, causer, e.CreatedAt)
			if err != nil {
				return false, err
			}
			r := &bugle.Run{OrganizationID: a.OrganizationID, AutomationID: a.ID, EventID: e.ID}
			act, err := p.decide(ctx, from, e, c, e.CreatedAt, r)
			if err != nil {
				return false, fmt.Errorf("try automation %d on event %d: %w", a.ID, e.ID, err)
			}
			trial := Trial{Event: e, Run: r}
			switch act := act.(type) {
			case *sendEffect:
				if trial.Result, err = sentOf(act.webhook, act.event.Payload()); err != nil {
					return false, err
				}
			case *messageEffect:
				trial.Result = act.fields
			case *updateEffect:
				trial.Result = act.values
			}
			each(trial)
		}
		if len(list) < 100 {
			return true, nil
		}
	}
}

// ContextOf returns what the condition and templates of a run saw: the event as it was, the time of the
// evaluation, and the causer as he is now.
func (v *Previewer) ContextOf(ctx context.Context, organizationID, eventID int64, at time.Time) (*Context, error) {
	e, err := v.Store.Event(ctx, organizationID, eventID)
	if err != nil {
		return nil, err
	}
	return v.contextOf(ctx, e, at)
}

// contextOf is ContextOf for an event that is known.
func (v *Previewer) contextOf(ctx context.Context, e *bugle.Event, at time.Time) (*Context, error) {
	known := causers{store: v.Store, organizationID: e.OrganizationID}
	causer, err := known.get(ctx, e.CauserID)
	if err != nil {
		return nil, err
	}
	if at.IsZero() {
		at = v.Clock.Now()
	}
	return NewContext(e, causer, at)
}
