package bugle

import (
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/buglehq/bugle/internal/spelling"
	"github.com/buglehq/bugle/value"
)

// An ActionType says what an automation does.
type ActionType string

const (
	SendWebhook ActionType = "webhook"
	SendMessage ActionType = "message"
	UpdateModel ActionType = "model_update"
)

// ActionTypes are all of them.
var ActionTypes = []ActionType{SendWebhook, SendMessage, UpdateModel}

// A PayloadFormat says how the template of a webhook's payload is read, and what becomes of it.
type PayloadFormat string

const (
	PayloadEnvelope PayloadFormat = "envelope" // each text in the JSON is a template; the result is the envelope's data
	PayloadJSON     PayloadFormat = "json"     // the same, but the result is the whole body, as chat services want it
	PayloadText     PayloadFormat = "text"     // the template is one text, whose output is the whole body and must be JSON
)

// PayloadFormats are all of them.
var PayloadFormats = []PayloadFormat{PayloadEnvelope, PayloadJSON, PayloadText}

// A LookupType says how a model update finds the resource to change.
type LookupType string

const (
	LookupExpression LookupType = "expression" // whose value is the id
	LookupQuery      LookupType = "query"      // the first one whose fields have these values
)

// LookupTypes are all of them.
var LookupTypes = []LookupType{LookupExpression, LookupQuery}

// An Automation is a rule: when its trigger happens and its condition holds, its action is taken.
type Automation struct {
	ID             int64
	OrganizationID int64
	Name           string
	Description    string // HTML
	Trigger        string // the name of an event
	Condition      string // in the language of package expression; blank: always
	ActionType     ActionType

	WebhookID       int64 // 0: none
	PayloadTemplate any   // as package value has it: a *value.Array, or for PayloadText a string; nil: none
	PayloadFormat   PayloadFormat

	MessageChannels   []string
	MessageContent    string // HTML, a template
	MessageRecipients string // an expression: ids of users, or "everyone"
	MessageRRule      string // RFC 5545; empty: the message is sent once

	UpdateTarget           string // the name of a kind
	UpdateLookup           LookupType
	UpdateLookupExpression string
	UpdateLookupConditions *value.Array // field → value; texts are templates
	UpdateFields           *value.Array // field → value; texts are templates

	TypedValues       bool // a text that is exactly one {{ … }} gives the value itself, not its text
	PerscomCompatible bool // what templates and recipients do is PERSCOM's: see docs/automations.md
	Enabled           bool
	Priority          int // higher ones first
	CreatedAt         time.Time
	UpdatedAt         time.Time
}

// NewAutomation returns an automation with the defaults.
func NewAutomation() Automation {
	return Automation{ActionType: SendWebhook, PayloadFormat: PayloadEnvelope, Enabled: true}
}

const (
	maxPayloadTemplate = 256 << 10 // bytes, as JSON
	maxUpdateFields    = 100
)

// Set takes over the fields that are present, and reports everything that is wrong with them as an
// InvalidError; a is then half changed and of no use. Unknown fields are left alone. What the action
// needs is required, be it sent now or before. The triggers are the names that there are, channels
// those of messages, and targets the kinds that may be updated. Whether templates and conditions can be
// compiled, and the webhook exists, is for others to say.
func (a *Automation) Set(fields *value.Array, creating bool, triggers, channels, targets []string) error {
	f := a.read(fields, creating, triggers, channels, targets)
	f.text("name", &a.Name, true, maxName)
	a.require(&f.problems)
	return f.problems.Err()
}

// SetDraft is Set for an automation that need not be complete: it has a trigger, and whatever else is
// sent.
func (a *Automation) SetDraft(fields *value.Array, triggers, channels, targets []string) error {
	f := a.read(fields, true, triggers, channels, targets)
	return f.problems.Err()
}

// read takes over the fields that are present.
func (a *Automation) read(fields *value.Array, creating bool, triggers, channels, targets []string) fieldReader {
	f := fieldReader{fields: fields, creating: creating}
	f.text("description", &a.Description, false, maxDescription)
	f.oneOf("trigger", &a.Trigger, true, triggers)
	f.text("condition", &a.Condition, false, maxDescription)
	f.oneOf("action_type", (*string)(&a.ActionType), true, names(ActionTypes))
	f.reference("webhook_id", &a.WebhookID)
	f.oneOf("webhook_payload_format", (*string)(&a.PayloadFormat), true, names(PayloadFormats))
	f.payload(a)
	f.names("message_channels", &a.MessageChannels, channels)
	f.text("message_content", &a.MessageContent, false, maxDescription)
	f.text("message_recipients_expression", &a.MessageRecipients, false, maxDescription)
	f.text("message_rrule", &a.MessageRRule, false, maxName)
	f.oneOf("model_update_target", &a.UpdateTarget, false, targets)
	f.oneOf("model_update_lookup_type", (*string)(&a.UpdateLookup), false, names(LookupTypes))
	f.text("model_update_lookup_expression", &a.UpdateLookupExpression, false, maxDescription)
	f.object("model_update_lookup_conditions", &a.UpdateLookupConditions)
	f.object("model_update_fields", &a.UpdateFields)
	f.boolean("typed_values", &a.TypedValues)
	f.boolean("perscom_compatible", &a.PerscomCompatible)
	f.boolean("enabled", &a.Enabled)
	if priority := int64(a.Priority); f.whole("priority", &priority, -1<<31, 1<<31-1) {
		a.Priority = int(priority)
	}
	return f
}

// require adds what the action lacks, unless something else is wrong with the field already.
func (a *Automation) require(problems *InvalidError) {
	missing := func(field string, isMissing bool, why string) {
		if isMissing && !slices.ContainsFunc(problems.Problems, func(p Problem) bool { return p.Field == field }) {
			problems.Add(field, "The %s field is required%s.", field, why)
		}
	}
	switch a.ActionType {
	case SendWebhook:
		missing("webhook_id", a.WebhookID == 0, " when action_type is webhook")
		if a.PayloadFormat != PayloadEnvelope {
			missing("webhook_payload_template", a.PayloadTemplate == nil, " when webhook_payload_format is "+string(a.PayloadFormat))
		}
	case SendMessage:
		missing("message_channels", len(a.MessageChannels) == 0, " when action_type is message")
		missing("message_content", strings.TrimSpace(a.MessageContent) == "", " when action_type is message")
	case UpdateModel:
		missing("model_update_target", a.UpdateTarget == "", " when action_type is model_update")
		missing("model_update_lookup_type", a.UpdateLookup == "", " when action_type is model_update")
		missing("model_update_lookup_expression", a.UpdateLookup == LookupExpression && strings.TrimSpace(a.UpdateLookupExpression) == "",
			" when model_update_lookup_type is expression")
		missing("model_update_lookup_conditions", a.UpdateLookup == LookupQuery && a.UpdateLookupConditions.Len() == 0,
			" when model_update_lookup_type is query")
		missing("model_update_fields", a.UpdateFields.Len() == 0, " when action_type is model_update")
	}
}

func names[T ~string](list []T) []string {
	texts := make([]string, len(list))
	for i, item := range list {
		texts[i] = string(item)
	}
	return texts
}

// oneOf reads one of some words.
func (f *fieldReader) oneOf(name string, to *string, required bool, options []string) {
	word := *to
	if !f.text(name, &word, required, maxName) {
		return
	}
	if word != "" && !slices.Contains(options, word) {
		wanted := "one of " + strings.Join(options, ", ")
		if len(options) > 12 {
			wanted = "a known one"
		}
		reason := ""
		if like := spelling.Closest(word, options); like != "" {
			reason = " Did you mean " + like + "?"
		}
		f.problems.Add(name, "The %s field must be %s, not %s.%s", name, wanted, value.Describe(word), reason)
		return
	}
	*to = word
}

// names reads a list of words, each of which is taken once.
func (f *fieldReader) names(name string, to *[]string, options []string) {
	if v, present := f.fields.Get(name); present && v == nil {
		*to = nil
		return
	}
	items, ok := f.list(name)
	if !ok {
		return
	}
	list := make([]string, 0, len(items))
	for i, item := range items {
		word, _ := item.(string)
		if !slices.Contains(options, word) {
			f.problems.Add(name+"."+value.Describe(int64(i)), "The %s field must hold only %s, not %s.", name, strings.Join(options, ", "), value.Describe(item))
			return
		}
		if !slices.Contains(list, word) {
			list = append(list, word)
		}
	}
	*to = list
}

// reference reads the id of something; null is 0.
func (f *fieldReader) reference(name string, to *int64) {
	if v, present := f.fields.Get(name); present && v == nil {
		*to = 0
		return
	}
	f.whole(name, to, 1, 1<<62)
}

// object reads an object of texts and other scalars; null is nil. One that comes as JSON text is decoded.
func (f *fieldReader) object(name string, to **value.Array) {
	v, present := f.fields.Get(name)
	if !present {
		return
	}
	if text, isText := v.(string); isText && strings.TrimSpace(text) != "" {
		if decoded, err := value.Decode([]byte(text)); err == nil {
			v = decoded
		}
	}
	fields, ok := v.(*value.Array)
	switch {
	case v == nil || v == "" || ok && fields.Len() == 0:
		*to = nil
	case !ok || fields.IsList():
		f.problems.Add(name, "The %s field must be an object of field names and values, not %s.", name, value.Describe(v))
	case fields.Len() > maxUpdateFields:
		f.problems.Add(name, "The %s field must not hold more than %d fields; it holds %d.", name, maxUpdateFields, fields.Len())
	default:
		*to = fields
	}
}

// payload reads the template of the payload. What is blank is none.
func (f *fieldReader) payload(a *Automation) {
	const name = "webhook_payload_template"
	v, present := f.fields.Get(name)
	if !present {
		v = a.PayloadTemplate // which may not suit another format
	}
	text, isText := v.(string)
	if isText && strings.TrimSpace(text) == "" {
		v, isText = nil, false
	}
	if array, isArray := v.(*value.Array); isArray && array.Len() == 0 {
		v = nil
	}
	if v == nil {
		a.PayloadTemplate = nil
		return
	}
	if a.PayloadFormat == PayloadText {
		if !isText {
			f.problems.Add(name, "The %s field must be a text when webhook_payload_format is text, not %s.", name, value.Describe(v))
			return
		}
	} else if isText {
		decoded, err := value.Decode([]byte(text))
		if err != nil {
			f.problems.Add(name, "The %s field must be valid JSON: it is %s.", name, err.Error())
			return
		}
		v = decoded
	}
	if _, ok := v.(*value.Array); !ok && a.PayloadFormat != PayloadText {
		f.problems.Add(name, "The %s field must be a JSON object or list, not %s.", name, value.Describe(v))
		return
	}
	if encoded, err := value.JSON(v); err != nil {
		f.problems.Add(name, "The %s field cannot be sent: %s.", name, err.Error())
		return
	} else if len(encoded) > maxPayloadTemplate {
		f.problems.Add(name, "The %s field must not be longer than %d bytes; it has %d.", name, maxPayloadTemplate, len(encoded))
		return
	}
	a.PayloadTemplate = v
}

// A RunStatus says how a run stands.
type RunStatus string

const (
	RunPending         RunStatus = "pending"
	RunExecuted        RunStatus = "executed"         // the action was taken, or the template said not to
	RunConditionFailed RunStatus = "condition_failed" // the condition did not hold
	RunFailed          RunStatus = "failed"
	RunLoopStopped     RunStatus = "loop_stopped" // the action would have been a loop
)

// RunStatuses are all of them.
var RunStatuses = []RunStatus{RunPending, RunExecuted, RunConditionFailed, RunFailed, RunLoopStopped}

// A Run is one evaluation of an automation for one event: a row of its log.
type Run struct {
	ID              int64
	OrganizationID  int64
	AutomationID    int64
	EventID         int64
	Status          RunStatus
	Condition       string // as it was
	ConditionResult *bool  // nil: it was not evaluated, or failed
	ActionPayload   *value.Array
	Error           string // for an admin; empty: none
	ErrorField      string // of the automation, with the path into it, such as "webhook_payload_template.embeds.0.title"
	ErrorLine       int    // in that field, 1 for the first; 0: unknown
	ErrorColumn     int
	Took            time.Duration
	CreatedAt       time.Time
	EvaluatedAt     time.Time // what now was; zero while pending
	DeliveryID      int64     // that it made; 0: none
	MessageID       int64     // that it made; 0: none
	ResourceKind    string    // of the resource that it updated; empty: none
	ResourceID      int64
}

// MaxDepth is how many automations may act in a row, each on what the one before did.
const MaxDepth = 8

// A Chain is how an event came about: what began it, and the automations that have acted since.
type Chain struct {
	Root        int64   `json:"root"`        // the id of the event that began it; 0: this event is the first
	Depth       int     `json:"depth"`       // how many times an automation, or a client that says what it answers to, has acted
	Automations []int64 `json:"automations"` // in the order in which they acted
	RunID       int64   `json:"-"`           // the run that made the event; 0: none did
}

// Next is the chain of what happens because of the event, by a run of an automation if these are not 0.
func (e *Event) Next(automationID, runID int64) Chain {
	next := Chain{Root: e.Chain.Root, Depth: e.Chain.Depth + 1, Automations: e.Chain.Automations, RunID: runID}
	if next.Root == 0 {
		next.Root = e.ID
	}
	if e.Addressed { // the delivery of an action: the action was counted
		next.Depth = e.Chain.Depth
	}
	if automationID != 0 {
		next.Automations = append(slices.Clone(e.Chain.Automations), automationID)
	}
	return next
}

// Stops reports whether an automation must not act on an event of the chain: it has acted in it
// already, or too many have.
func (c Chain) Stops(automationID int64) bool {
	return c.Depth > MaxDepth || slices.Contains(c.Automations, automationID)
}

// JSON returns the chain as it is stored, nil for that of an event that nothing caused.
func (c Chain) JSON() any {
	if c.Root == 0 {
		return nil
	}
	text, err := json.Marshal(c)
	if err != nil { // numbers always have a text
		panic("bugle: chain: " + err.Error())
	}
	return string(text)
}

// ParseChain reads what JSON returns; an empty text is the zero Chain.
func ParseChain(text string) (c Chain, err error) {
	if text != "" {
		err = json.Unmarshal([]byte(text), &c)
	}
	return c, err
}
