package dispatch

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/expression"
	"github.com/buglehq/bugle/internal/policy"
	"github.com/buglehq/bugle/personnel"
	"github.com/buglehq/bugle/value"
)

// Variables are the names that conditions and templates can use, in the order of a Context's values.
// Templates of a model update have target beside them.
var Variables = []string{"model", "model_type", "model_id", "changes", "causer", "causer_id", "now"}

// A Context is what the conditions and templates of an automation see of an event: the resource as it
// was then, what changed, and who caused it.
type Context struct {
	values []any        // in the order of Variables
	named  *value.Array // the same by name, for templates
}

// NewContext returns the context of an event. The causer is a user as it is rendered, or nil.
func NewContext(e *bugle.Event, causer *value.Array, now time.Time) (*Context, error) {
	decoded, err := value.Decode(e.Envelope)
	if err != nil {
		return nil, fmt.Errorf("envelope of event %d: %w", e.ID, err)
	}
	envelope, _ := decoded.(*value.Array)
	model, _ := envelope.Get("data")
	var modelType, modelID, changes, causerID, by any
	k := personnel.ByName(e.ResourceKind)
	if k != nil {
		modelType, modelID = k.Model(), e.ResourceID
	}
	if strings.HasSuffix(e.Name, ".updated") {
		changes = changesOf(k, e.Causes)
	}
	if e.CauserID != 0 {
		causerID = e.CauserID
	}
	if causer != nil {
		by = causer
	}
	return contextOf(model, modelType, modelID, changes, by, causerID, value.Date{Time: now.UTC()}), nil
}

// contextOf takes values in the order of Variables.
func contextOf(values ...any) *Context {
	c := &Context{values: values, named: value.NewArray(len(values) + 1)}
	for i, name := range Variables {
		c.named.Set(name, values[i])
	}
	return c
}

// filtered is the context as a field policy lets a webhook's templates see it.
func (c *Context) filtered(f *policy.Filter, e *bugle.Event) *Context {
	if f == nil {
		return c
	}
	kind := policy.KindOf(e.Name)
	values := slices.Clone(c.values)
	for i, name := range Variables {
		switch name {
		case "model":
			values[i] = f.Data(kind, values[i])
		case "changes":
			values[i] = f.Changes(kind, values[i])
		case "causer":
			values[i] = f.Data(&personnel.User, values[i])
		}
	}
	return contextOf(values...)
}

// at is the context at another time of evaluation.
func (c *Context) at(now time.Time) *Context {
	values := slices.Clone(c.values)
	values[slices.Index(Variables, "now")] = value.Date{Time: now.UTC()}
	return contextOf(values...)
}

// GivenContext returns a context of variables that somebody wrote down: those that are missing are
// null, and now is a date unless it is given.
func GivenContext(given *value.Array, now time.Time) *Context {
	values := make([]any, len(Variables))
	for i, name := range Variables {
		values[i], _ = given.Get(name)
		if name == "now" && values[i] == nil {
			values[i] = value.Date{Time: now.UTC()}
		}
	}
	return contextOf(values...)
}

// Data renders the context for the log: dates as ISO 8601. It is null if it is too large to be shown.
func (c *Context) Data() any {
	data, err := settled(c.named)
	if err != nil {
		return nil
	}
	return data
}

// withTarget returns the variables for the templates of a model update.
func (c *Context) withTarget(target *value.Array) *value.Array {
	variables := value.NewArray(len(Variables) + 1)
	for i, name := range Variables {
		variables.Set(name, c.values[i])
	}
	variables.Set("target", target)
	return variables
}

// changesOf is the variable changes: by attribute, what it was, as the model shows it except that times
// are dates, and what it is, as it is stored. The custom fields come together as data, as PERSCOM has
// them, and each by its key as well.
func changesOf(k *personnel.Kind, causes []bugle.Cause) *value.Array {
	changes := value.NewArray(len(causes))
	for _, c := range causes {
		changes.Set(c.Attribute, value.Map("old", oldValue(k, c), "new", c.New))
		if c.Attribute != "data" || k == nil || k.Field("data") != nil {
			continue
		}
		before, after := customValues(c.Old), customValues(c.New)
		for _, fields := range []*value.Array{before, after} {
			for key := range fields.All() {
				old, _ := before.At(key)
				now, _ := after.At(key)
				if !value.Identical(old, now) && k.Field(key.String()) == nil {
					changes.Put(key, value.Map("old", old, "new", now))
				}
			}
		}
	}
	return changes
}

// oldValue is the value that an attribute had, as the words of its field say: a time is a date, and
// JSON what it holds.
func oldValue(k *personnel.Kind, c bugle.Cause) any {
	text, isText := c.Old.(string)
	if !isText {
		return c.Old
	}
	if c.Attribute == "data" {
		return customValues(c.Old)
	}
	var f *personnel.Field
	if k != nil {
		f = k.Field(c.Attribute)
	}
	if f == nil {
		return c.Old
	}
	switch f.Type {
	case personnel.DateTime, personnel.RawTime:
		if at, err := time.Parse(personnel.StoredTime, text); err == nil {
			return value.Date{Time: at.UTC()}
		}
	case personnel.JSON, personnel.Strings, personnel.Integers:
		if decoded, err := value.Decode([]byte(text)); err == nil {
			return decoded
		}
	}
	return c.Old
}

func customValues(stored any) *value.Array {
	text, _ := stored.(string)
	decoded, err := value.Decode([]byte(text))
	if err != nil {
		return value.NewArray(0)
	}
	fields, ok := decoded.(*value.Array)
	if !ok {
		return value.NewArray(0)
	}
	return fields
}

// maxNodes is how many values a result may hold, one that appears in several places counted in each:
// templates can share arrays so often that no text could hold them.
const maxNodes = 100_000

// settled returns a copy of a value with dates as texts, as JSON needs it, or an error if it is too large.
func settled(v any) (any, error) {
	nodes := 0
	var settle func(v any, depth int) (any, error)
	settle = func(v any, depth int) (any, error) {
		if nodes++; nodes > maxNodes || depth > maxDepth {
			return nil, fmt.Errorf("it makes a value of more than %d parts, or of more than %d levels", maxNodes, maxDepth)
		}
		switch v := v.(type) {
		case value.Date:
			return bugle.FormatTime(v.Time), nil
		case *value.Array:
			made := value.NewArray(v.Len())
			for key, item := range v.All() {
				other, err := settle(item, depth+1)
				if err != nil {
					return nil, err
				}
				made.Put(key, other)
			}
			return made, nil
		}
		return v, nil
	}
	return settle(v, 0)
}

// functions are what conditions can call beside those of their language.
var functions = map[string]expression.Function{
	"changed":   {Min: 1, Max: 1, Call: func(c *expression.Call) (any, error) { _, ok := change(c); return ok, nil }},
	"old_value": {Min: 1, Max: 1, Call: part("old")},
	"new_value": {Min: 1, Max: 1, Call: part("new")},
}

func part(name string) func(c *expression.Call) (any, error) {
	return func(c *expression.Call) (any, error) {
		both, _ := change(c)
		v, _ := both.Get(name)
		return v, nil
	}
}

// change returns the entry of the variable changes that a call names.
func change(c *expression.Call) (*value.Array, bool) {
	changes, _ := c.Variable("changes").(*value.Array)
	key, ok := value.AsKey(c.Args[0])
	if !ok || !changes.HasKey(key) {
		return nil, false
	}
	entry, _ := changes.At(key)
	both, _ := entry.(*value.Array)
	return both, true
}
