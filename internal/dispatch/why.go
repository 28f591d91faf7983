package dispatch

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/expression"
	"github.com/buglehq/bugle/internal/store"
	"github.com/buglehq/bugle/value"
)

// An Outcome is what a webhook or automation made of an event.
type Outcome string

const (
	Matched         Outcome = "matched"        // a delivery was made, or the automation acted
	NotSubscribed   Outcome = "not_subscribed" // it is for other events
	NotThen         Outcome = "not_then"       // it would match today
	WasPaused       Outcome = "paused"         // a delivery was made, and the webhook is paused today
	WasDisabled     Outcome = "disabled"
	StillPending    Outcome = "pending" // the automation is still to be evaluated
	ConditionFailed Outcome = "condition_failed"
	Failed          Outcome = "failed"
	LoopStopped     Outcome = "loop_stopped"
)

// Outcomes are all of them.
var Outcomes = []Outcome{Matched, NotSubscribed, NotThen, WasPaused, WasDisabled, StillPending, ConditionFailed, Failed, LoopStopped}

// What a Reason can be about.
const (
	OfWebhook    = "webhook"
	OfAutomation = "automation"
)

// A Reason says what one webhook or automation made of an event, and why.
type Reason struct {
	Type       string // OfWebhook or OfAutomation
	ID         int64
	Name       string
	Outcome    Outcome
	DeliveryID int64             // that was made; 0: none
	RunID      int64             // of the automation; 0: none
	Condition  string            // of the automation: as it was at the run, else as it is
	Result     *bool             // of the condition; nil: it was not evaluated, or failed
	Error      *RunError         // nil: none
	Parts      []expression.Part // of the condition, with what they were at the run; empty if it did not come to that
	Text       string            // what is to be said of the one with the name, such as "does not subscribe to user.created"
}

// A RunError is what went wrong with a run, and where.
type RunError struct {
	Message string
	Field   string // of the automation, with the path into it; empty: unknown
	Line    int    // from 1; 0: unknown
	Column  int
}

// ErrorOf returns what went wrong with a run, or nil.
func ErrorOf(r *bugle.Run) *RunError {
	if r.Error == "" {
		return nil
	}
	return &RunError{Message: r.Error, Field: r.ErrorField, Line: r.ErrorLine, Column: r.ErrorColumn}
}

const (
	maxReasons     = 1000                   // webhooks, and automations, of which an event's reasons are given
	maxExplained   = 2000                   // parts of conditions in all reasons together
	maxExplanation = 500 * time.Millisecond // after which no other condition is explained
)

// Why says of each webhook and automation of the organization what it made of an event, webhooks first. What
// they are like today explains those that made nothing. The conditions of runs are explained with the event
// as it was, and the causer as he is now.
func (v *Previewer) Why(ctx context.Context, e *store.LoggedEvent) ([]Reason, error) {
	all := store.PageRequest{Number: 1, Limit: maxReasons}
	hooks, err := v.Store.Webhooks(ctx, e.OrganizationID, store.WebhookFilter{}, all)
	if err != nil {
		return nil, err
	}
	deliveries, err := v.Store.EventDeliveries(ctx, e.ID, maxReasons)
	if err != nil {
		return nil, err
	}
	automations, err := v.Store.Automations(ctx, e.OrganizationID, store.AutomationFilter{}, all)
	if err != nil {
		return nil, err
	}
	runs, err := v.Store.EventRuns(ctx, e.OrganizationID, e.ID)
	if err != nil {
		return nil, err
	}
	reasons := make([]Reason, 0, len(hooks.Items)+len(automations.Items))
	for _, w := range hooks.Items {
		reasons = append(reasons, webhookReason(w, &e.Event, deliveries[w.ID]))
	}
	var seen *Context
	end, parts := time.Now().Add(maxExplanation), 0
	for _, a := range automations.Items {
		r := runs[a.ID]
		reason := automationReason(a, &e.Event, r)
		if r != nil && r.Status != bugle.RunPending && !expression.Blank(r.Condition) && parts < maxExplained && time.Now().Before(end) {
			if seen == nil {
				if seen, err = v.contextOf(ctx, &e.Event, r.EvaluatedAt); err != nil {
					return nil, err
				}
			}
			reason.Parts = explain(r.Condition, seen.at(r.EvaluatedAt))
			parts += len(reason.Parts)
		}
		reasons = append(reasons, reason)
	}
	return reasons, nil
}

// Explain returns the values that the parts of a run's condition had, with the event as it was, and the
// causer as he is now. It is empty if there was no condition, or the run is pending.
func (v *Previewer) Explain(ctx context.Context, r *bugle.Run) ([]expression.Part, error) {
	if r.Status == bugle.RunPending || expression.Blank(r.Condition) {
		return nil, nil
	}
	c, err := v.ContextOf(ctx, r.OrganizationID, r.EventID, r.EvaluatedAt)
	if err != nil {
		return nil, err
	}
	return explain(r.Condition, c), nil
}

// explain returns the values of a condition's parts; none if it cannot be compiled.
func explain(condition string, c *Context) []expression.Part {
	p, err := expression.Compile(condition, Variables, functions)
	if err != nil {
		return nil
	}
	parts, _, _ := p.Explain(c.values...) // the run has the error
	return parts
}

func webhookReason(w *bugle.Webhook, e *bugle.Event, delivery int64) Reason {
	r := Reason{Type: OfWebhook, ID: w.ID, Name: w.Name, DeliveryID: delivery}
	subscribes := slices.Contains(w.Events, e.Name)
	switch {
	case delivery != 0 && w.Status == bugle.Paused:
		r.Outcome, r.Text = WasPaused, fmt.Sprintf("is paused: delivery %d was made, and waits if it was not sent before", delivery)
	case delivery != 0:
		r.Outcome, r.Text = Matched, fmt.Sprintf("was to get the event: delivery %d was made", delivery)
	case w.Status == bugle.Disabled && subscribes:
		r.Outcome, r.Text = WasDisabled, "is disabled: no deliveries are made for it"
	case w.Status == bugle.Disabled:
		r.Outcome, r.Text = WasDisabled, "is disabled, and does not subscribe to "+e.Name
	case subscribes:
		r.Outcome, r.Text = NotThen, notThen(e, w.CreatedAt, w.UpdatedAt)
	default:
		r.Outcome, r.Text = NotSubscribed, "does not subscribe to "+e.Name
	}
	return r
}

func automationReason(a *bugle.Automation, e *bugle.Event, run *bugle.Run) Reason {
	r := Reason{Type: OfAutomation, ID: a.ID, Name: a.Name, Condition: a.Condition}
	switch {
	case run != nil:
		r.DeliveryID, r.RunID, r.Condition, r.Result, r.Error = run.DeliveryID, run.ID, run.Condition, run.ConditionResult, ErrorOf(run)
		r.Outcome, r.Text = ran(run)
	case a.Trigger != e.Name:
		r.Outcome, r.Text = NotSubscribed, "has the trigger "+a.Trigger+", not "+e.Name
	case !a.Enabled:
		r.Outcome, r.Text = WasDisabled, "is disabled"
	default:
		r.Outcome, r.Text = NotThen, notThen(e, a.CreatedAt, a.UpdatedAt)
	}
	return r
}

// ran says how a run ended.
func ran(r *bugle.Run) (Outcome, string) {
	switch r.Status {
	case bugle.RunPending:
		return StillPending, "is still to be evaluated"
	case bugle.RunConditionFailed:
		return ConditionFailed, "did nothing: its condition was false"
	case bugle.RunFailed:
		return Failed, "failed: " + r.Error
	case bugle.RunLoopStopped:
		return LoopStopped, "was stopped, so that there is no loop: " + r.Error
	}
	why := "its condition was true"
	if expression.Blank(r.Condition) {
		why = "it has no condition"
	}
	did := "it acted"
	skipped, _ := r.ActionPayload.Get("reason")
	switch {
	case r.DeliveryID != 0:
		did = fmt.Sprintf("delivery %d was made", r.DeliveryID)
	case r.MessageID != 0:
		did = fmt.Sprintf("message %d was made", r.MessageID)
	case r.ResourceID != 0:
		did = fmt.Sprintf("%s %d was updated", r.ResourceKind, r.ResourceID)
	case skipped != nil:
		did = fmt.Sprintf("but nothing was to be done: %v", skipped)
	}
	return Matched, "ran, as " + why + ": " + did
}

// notThen says why something made nothing of an event that it would match today.
func notThen(e *bugle.Event, created, updated time.Time) string {
	const minute = "2006-01-02 15:04 UTC"
	switch {
	case created.After(e.CreatedAt):
		return "did not exist yet when the event happened: it was created on " + created.UTC().Format(minute)
	case updated.After(e.CreatedAt):
		return "would match today, but was different when the event happened: it was changed on " + updated.UTC().Format(minute)
	}
	return "would match today, but did not when the event happened"
}

// maxBrief is how many characters of a value are shown.
const maxBrief = 200

// Brief returns a value as JSON for people to read, cut to 200 characters: what is missing at the end is an ….
func Brief(v any) string {
	var b strings.Builder
	writeBrief(&b, v, 0)
	text := b.String()
	if utf8.RuneCountInString(text) <= maxBrief {
		return text
	}
	return string([]rune(text)[:maxBrief-1]) + "…"
}

// writeBrief writes a value as JSON, or at least as much of it as is shown.
func writeBrief(b *strings.Builder, v any, depth int) {
	switch v := v.(type) {
	case *value.Array:
		if depth > maxBrief {
			return
		}
		isList := v.IsList()
		signs := "{}"
		if isList {
			signs = "[]"
		}
		b.WriteByte(signs[0])
		first := true
		for key, item := range v.All() {
			if b.Len() > 4*maxBrief { // bytes of a character at most
				return
			}
			if !first {
				b.WriteString(", ")
			}
			first = false
			if !isList {
				writeText(b, key.String())
				b.WriteString(": ")
			}
			writeBrief(b, item, depth+1)
		}
		b.WriteByte(signs[1])
	case value.Date:
		writeText(b, bugle.FormatTime(v.Time))
	case string:
		writeText(b, v)
	default:
		text, err := value.JSON(v)
		if err != nil { // infinite numbers have no JSON
			text = []byte(value.Describe(v))
		}
		b.Write(text)
	}
}

func writeText(b *strings.Builder, s string) {
	const end = 4 * maxBrief
	if len(s) > end {
		s = strings.ToValidUTF8(s[:end], "") + "…"
	}
	var quoted bytes.Buffer
	e := json.NewEncoder(&quoted)
	e.SetEscapeHTML(false)
	if err := e.Encode(s); err != nil { // texts always have JSON
		panic("dispatch: text: " + err.Error())
	}
	b.Write(bytes.TrimSuffix(quoted.Bytes(), []byte("\n")))
}
