package dispatch

import (
	"cmp"
	"context"
	"regexp"
	"slices"
	"strings"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/expression"
	"github.com/buglehq/bugle/internal/spelling"
	"github.com/buglehq/bugle/internal/store"
	"github.com/buglehq/bugle/personnel"
	"github.com/buglehq/bugle/twig"
	"github.com/buglehq/bugle/value"
)

// A Reference is what there is to write automations of a trigger with.
type Reference struct {
	Trigger   string
	Fields    []Field            // of the variables
	Functions []expression.Entry // of conditions, by name
	Operators []expression.Entry // of conditions
	Twig      []twig.Entry       // filters, functions, tests and tags of templates
	Updatable []Target           // what a model update can change
	Channels  []ChannelEntry     // of messages
}

// A Field is something that conditions and templates can name.
type Field struct {
	Path      []string // "model", "rank", "name"
	Condition string   // how a condition names it: model["rank"]["name"], or old_value("rank_id") of what may have changed
	Template  string   // how a template names it: model.rank.name
	Type      FieldType
	Null      bool  // can be null, or missing: conditions need ?? then
	Options   []any // that it can be; nil: any
	Example   any   // as package value has it; nil for lists and maps
	Custom    bool  // is a custom field, or within one
	About     string
}

// A FieldType says what values a field has.
type FieldType string

const (
	IntegerField FieldType = "integer"
	NumberField  FieldType = "number"
	BooleanField FieldType = "boolean"
	TextField    FieldType = "text"
	TimeField    FieldType = "time" // a text: ISO 8601, or in changes as it is stored
	DateField    FieldType = "date" // conditions can call format("Y-m-d") and getTimestamp() of it
	ListField    FieldType = "list"
	MapField     FieldType = "map" // what is in it follows
	AnyField     FieldType = "any"
)

// FieldTypes are all of them.
var FieldTypes = []FieldType{IntegerField, NumberField, BooleanField, TextField, TimeField, DateField, ListField, MapField, AnyField}

// A Target is a kind whose resources automations can update.
type Target struct {
	Kind   string
	Label  string
	Fields []TargetField
}

// A TargetField is a field that automations can write.
type TargetField struct {
	Name    string
	Type    FieldType
	Null    bool
	Options []any // that it can be; nil: any
	Custom  bool
	About   string
}

// A ChannelEntry describes a channel of messages.
type ChannelEntry struct {
	Name, Label, Description string
	Outside                  bool // messages leave the server
	Configured               bool // has the settings that it needs
}

// maxCustom is how many custom fields of an organization a reference has.
const maxCustom = 1000

// Reference returns what there is to write automations of a trigger with, in an organization. An error is
// a bugle.InvalidError about the trigger, or the database's trouble.
func (v *Previewer) Reference(ctx context.Context, organizationID int64, trigger string) (*Reference, error) {
	if err := checkTrigger(trigger); err != nil {
		return nil, err
	}
	custom, err := v.Store.List(ctx, organizationID, &personnel.CustomField, store.PageRequest{Number: 1, Limit: maxCustom})
	if err != nil {
		return nil, err
	}
	ref := NewReference(trigger, custom.Items)
	for i := range bugle.Channels {
		c := &bugle.Channels[i]
		entry := ChannelEntry{Name: c.Name, Label: c.Label, Description: c.About, Outside: c.Outside(), Configured: true}
		if entry.Outside {
			lane, err := v.Store.Lane(ctx, organizationID, c)
			if err != nil {
				return nil, err
			}
			entry.Configured = c.Missing(lane.Settings) == nil
		}
		ref.Channels = append(ref.Channels, entry)
	}
	return ref, nil
}

func checkTrigger(trigger string) error {
	triggers := personnel.EventNames()
	if slices.Contains(triggers, trigger) {
		return nil
	}
	if trigger == "" {
		return bugle.Invalid("trigger", "The trigger field is required: the name of an event, such as rankrecord.created.")
	}
	like := ""
	if closest := spelling.Closest(trigger, triggers); closest != "" {
		like = " Did you mean " + closest + "?"
	}
	return bugle.Invalid("trigger", "The trigger field must be the name of an event, not %s.%s", value.Describe(trigger), like)
}

// NewReference is the reference of a trigger that there is, without channels. The custom fields are the
// organization's.
func NewReference(trigger string, custom []*personnel.Resource) *Reference {
	ref := &Reference{Trigger: trigger, Fields: variableFields(trigger, custom), Twig: twig.Reference()}
	ref.Functions = slices.Clone(ownFunctions)
	for _, e := range expression.Reference() {
		if e.Kind == "function" {
			ref.Functions = append(ref.Functions, e)
		} else {
			ref.Operators = append(ref.Operators, e)
		}
	}
	slices.SortFunc(ref.Functions, func(a, b expression.Entry) int { return cmp.Compare(a.Name, b.Name) })
	for _, k := range personnel.UpdatableKinds() {
		t := Target{Kind: k.Name, Label: k.Class}
		for _, f := range k.Updatable() {
			t.Fields = append(t.Fields, TargetField{Name: f.Name, Type: typeOf(f), Null: f.Null, Options: f.Options})
		}
		for _, c := range customOf(k, custom) {
			t.Fields = append(t.Fields, TargetField{Name: c.Text("key"), Type: customType(c), Null: true, Custom: true, About: c.Text("name")})
		}
		ref.Updatable = append(ref.Updatable, t)
	}
	return ref
}

// ownFunctions describes those of functions.
var ownFunctions = []expression.Entry{
	{Kind: "function", Name: "changed", Signature: "changed(field)", Description: "Whether the update changed the field. False unless the trigger is an update."},
	{Kind: "function", Name: "new_value", Signature: "new_value(field)", Description: "What the update changed the field to, as it is stored; null if it did not change."},
	{Kind: "function", Name: "old_value", Signature: "old_value(field)", Description: "What the field was before the update; null if it did not change."},
}

// A fieldLister collects fields.
type fieldLister struct {
	custom []*personnel.Resource
	list   []Field
}

// variableFields lists what is in the variables of a trigger, in the order of Variables.
func variableFields(trigger string, custom []*personnel.Resource) []Field {
	stem, verb, _ := strings.Cut(trigger, ".")
	k := personnel.ByName(stem)
	l := &fieldLister{custom: custom}
	l.add(Field{Path: []string{"model"}, Type: MapField, About: "The " + strings.ToLower(k.Class) + " as it was at the event."})
	l.resource([]string{"model"}, k, k.ExampleData(verb), false)
	l.add(Field{Path: []string{"model_type"}, Type: TextField, Example: k.Model(), About: "The kind of the model, as PERSCOM calls it."})
	l.add(Field{Path: []string{"model_id"}, Type: IntegerField, Example: int64(1)})
	if verb == "updated" {
		l.changes(k)
	}
	l.add(Field{Path: []string{"causer"}, Type: MapField, Null: true, About: "The user who caused the event."})
	l.resource([]string{"causer"}, &personnel.User, personnel.User.Example(), true)
	l.add(Field{Path: []string{"causer_id"}, Type: IntegerField, Null: true, Example: int64(1)})
	l.add(Field{Path: []string{"now"}, Type: DateField, Example: personnel.ExampleTime, About: "The time of the evaluation, UTC."})
	return l.list
}

func (l *fieldLister) add(f Field) {
	f.Path = slices.Clip(f.Path)
	if f.Condition == "" {
		f.Condition = conditionSpelling(f.Path)
	}
	f.Template = templateSpelling(f.Path)
	l.list = append(l.list, f)
}

func conditionSpelling(path []string) string {
	var b strings.Builder
	b.WriteString(path[0])
	for _, key := range path[1:] {
		b.WriteString("[" + quoted(key) + "]")
	}
	return b.String()
}

// quoted writes a key as a text of both languages. Keys of fields are letters, digits and underscores.
func quoted(key string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(key) + `"`
}

var plainName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

func templateSpelling(path []string) string {
	var b strings.Builder
	b.WriteString(path[0])
	for _, key := range path[1:] {
		if plainName.MatchString(key) {
			b.WriteString("." + key)
		} else {
			b.WriteString("[" + quoted(key) + "]")
		}
	}
	return b.String()
}

// alwaysThere are computed attributes that are never null.
var alwaysThere = []string{"display_name", "label", "online", "expired", "past_due"}

// resource lists what is in a resource of a kind, as its example has it, with the custom fields where they
// appear.
func (l *fieldLister) resource(path []string, k *personnel.Kind, example *value.Array, null bool) {
	under := func(name string) []string { return append(slices.Clone(path), name) }
	customDone := !k.Custom
	for key, v := range example.All() {
		name := key.String()
		f := k.Field(name)
		if f == nil && !customDone {
			customDone = true
			l.customFields(path, k)
		}
		rel := k.Relation(name)
		switch {
		case f != nil:
			l.add(Field{Path: under(name), Type: typeOf(f), Null: null || f.Null && f.Fallback == nil, Options: f.Options, Example: shownExample(v)})
		case rel != nil && rel.IsMany():
			l.add(Field{Path: under(name), Type: ListField, Null: null})
		case rel != nil:
			l.relation(under(name), k, rel, v, null)
		default:
			l.add(Field{Path: under(name), Type: typeOfValue(v), Null: null || !slices.Contains(alwaysThere, name), Example: shownExample(v)})
		}
	}
}

// relation lists what is in the one resource that a relation leads to.
func (l *fieldLister) relation(path []string, k *personnel.Kind, rel *personnel.Relation, v any, null bool) {
	if f := k.Field(rel.Via); f == nil || f.Null {
		null = true
	}
	about := ""
	if rel.Kind != "" {
		about = "The " + strings.ToLower(personnel.ByName(rel.Kind).Class) + "."
	}
	l.add(Field{Path: path, Type: MapField, Null: null, About: about})
	if example, ok := v.(*value.Array); ok && rel.Kind != "" {
		l.resource(path, personnel.ByName(rel.Kind), example, null)
	} else if rel.Kind == personnel.Schedule.Name {
		l.resource(path, &personnel.Schedule, personnel.Schedule.Example(), null)
	}
}

func (l *fieldLister) customFields(path []string, k *personnel.Kind) {
	for _, c := range customOf(k, l.custom) {
		key := c.Text("key")
		l.add(Field{Path: append(slices.Clone(path), key), Type: customType(c), Null: true, Custom: true, About: c.Text("name")})
		if c.Text("type") == "file" {
			l.add(Field{Path: append(slices.Clone(path), key+"_url"), Type: TextField, Null: true, Custom: true, About: c.Text("name") + ": where the file is."})
		}
	}
}

// changes lists what an update of a kind can change: the variable has only what it did change.
func (l *fieldLister) changes(k *personnel.Kind) {
	l.add(Field{Path: []string{"changes"}, Type: MapField, About: "What the update changed: of each field what it was, and what it is."})
	add := func(name string, before, after FieldType, options []any, old, now any, custom bool, about string) {
		l.add(Field{Path: []string{"changes", name, "old"}, Condition: "old_value(" + quoted(name) + ")", Type: before, Null: true, Options: options, Example: old, Custom: custom, About: about})
		l.add(Field{Path: []string{"changes", name, "new"}, Condition: "new_value(" + quoted(name) + ")", Type: after, Null: true, Options: options, Example: now, Custom: custom, About: about})
	}
	for i := range k.Fields {
		f := &k.Fields[i]
		if f.Hidden || f.Name == "id" {
			continue
		}
		before, example := typeOf(f), shownExample(f.Example(k, false))
		after, now := before, example
		switch f.Type {
		case personnel.DateTime, personnel.RawTime:
			before, example, now = DateField, personnel.ExampleTime, "2026-01-14 12:00:00"
		case personnel.JSON, personnel.Strings, personnel.Integers:
			after = TextField // as JSON
		}
		add(f.Name, before, after, f.Options, example, now, false, "")
	}
	if k.Custom {
		for _, c := range customOf(k, l.custom) {
			add(c.Text("key"), customType(c), customType(c), nil, nil, nil, true, c.Text("name"))
		}
	}
}

// customOf returns the custom fields that resources of a kind can have. Which of those that do not apply
// to a whole kind are a certain user's or form's is not looked at.
func customOf(k *personnel.Kind, custom []*personnel.Resource) []*personnel.Resource {
	if !k.Custom {
		return nil
	}
	pivot, _ := k.CustomFieldsFrom()
	var list []*personnel.Resource
	for _, c := range custom {
		if key := c.Text("key"); k.Field(key) != nil || c.Text("type") == "component_text" {
			continue
		}
		decoded, err := value.Decode([]byte(c.Text("applies_to")))
		kinds, _ := decoded.(*value.Array)
		applies := false
		for _, path := range kinds.All() {
			applies = applies || path == k.Path
		}
		if pivot != nil && (err != nil || kinds.Len() == 0) || applies {
			list = append(list, c)
		}
	}
	return list
}

func customType(c *personnel.Resource) FieldType {
	switch c.Text("type") {
	case "boolean":
		return BooleanField
	case "number":
		return NumberField
	case "select":
		return AnyField
	}
	return TextField
}

// typeOf is what a field has where it is shown.
func typeOf(f *personnel.Field) FieldType {
	switch f.Type {
	case personnel.Integer, personnel.Reference, personnel.Code:
		return IntegerField
	case personnel.Boolean:
		return BooleanField
	case personnel.DateTime, personnel.RawTime:
		return TimeField
	case personnel.Strings, personnel.Integers:
		return ListField
	case personnel.JSON:
		return AnyField
	}
	return TextField
}

// typeOfValue is for computed attributes, of which there are only examples.
func typeOfValue(v any) FieldType {
	switch v := v.(type) {
	case bool:
		return BooleanField
	case int64:
		return IntegerField
	case float64:
		return NumberField
	case string:
		if v == personnel.ExampleTime {
			return TimeField
		}
		return TextField
	case *value.Array:
		return AnyField
	}
	return TextField
}

// shownExample is an example if it is one value.
func shownExample(v any) any {
	if _, isArray := v.(*value.Array); isArray {
		return nil
	}
	return v
}
