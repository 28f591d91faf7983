package dispatch

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/expression"
	"github.com/buglehq/bugle/internal/engine"
	"github.com/buglehq/bugle/internal/spelling"
	"github.com/buglehq/bugle/personnel"
	"github.com/buglehq/bugle/twig"
	"github.com/buglehq/bugle/value"
)

// A program is an automation that is ready to be evaluated.
type program struct {
	*bugle.Automation
	problems   *bugle.InvalidError // with what follows
	failures   []*fieldError       // the problems of compiling, with their places
	condition  *expression.Program // nil: it always holds
	payload    leaf                // nil: there is no template
	content    leaf                // of a message
	recipients *expression.Program // nil: nobody
	kind       *personnel.Kind     // of a model update
	lookup     *expression.Program
	conditions *object
	fields     *object
}

// Check reports what is wrong with an automation's condition, templates and names of fields, all of it, as
// an InvalidError whose reasons have line and column. Custom fields are those that isCustom knows.
func Check(a *bugle.Automation, isCustom func(key string) bool) error {
	p := compile(a, time.Now)
	if a.ActionType == bugle.UpdateModel && p.kind != nil && !a.PerscomCompatible {
		for _, name := range a.UpdateFields.Keys() {
			if reason := unwritable(p.kind, name, isCustom); reason != "" {
				p.problems.Add("model_update_fields."+name, "%s", reason)
			}
		}
	}
	return p.problems.Err()
}

// unwritable says why an automation cannot write a field of a kind, or nothing if it can.
func unwritable(k *personnel.Kind, name string, isCustom func(key string) bool) string {
	var known []string
	for _, f := range k.Updatable() {
		if f.Name == name {
			return ""
		}
		known = append(known, f.Name)
	}
	if k.Field(name) != nil {
		return fmt.Sprintf("The field %s of a %s cannot be changed by an automation.", name, strings.ToLower(k.Class))
	}
	if k.Custom && isCustom(name) {
		return ""
	}
	reason := fmt.Sprintf("A %s has no field %s", strings.ToLower(k.Class), value.Describe(name))
	if k.Custom {
		reason += ", and there is no custom field with that key"
	}
	if like := spelling.Closest(name, known); like != "" {
		reason += "; did you mean " + like + "?"
	} else {
		reason += "."
	}
	return reason
}

// compile returns the program of an automation, as far as it has one, with what is wrong with it. Now is
// the time for templates that ask for it.
func compile(a *bugle.Automation, now func() time.Time) *program {
	p := &program{Automation: a, problems: &bugle.InvalidError{}}
	c := compiler{program: p, problems: p.problems, compatible: a.PerscomCompatible, typed: a.TypedValues && !a.PerscomCompatible, now: now}
	p.condition = c.expression("condition", a.Condition)
	switch a.ActionType {
	case bugle.SendWebhook:
		if a.PayloadTemplate != nil {
			c.escape = c.compatible
			p.payload = c.leaf("webhook_payload_template", a.PayloadTemplate, 0)
		}
	case bugle.SendMessage:
		c.escape, c.typed = true, false // it is HTML
		p.content = c.leaf("message_content", a.MessageContent, 0)
		p.recipients = c.expression("message_recipients_expression", a.MessageRecipients)
	case bugle.UpdateModel:
		c.escape = c.compatible
		p.kind = personnel.ByName(a.UpdateTarget)
		if a.UpdateLookup == bugle.LookupExpression {
			p.lookup = c.expression("model_update_lookup_expression", a.UpdateLookupExpression)
		} else {
			p.conditions = c.object("model_update_lookup_conditions", a.UpdateLookupConditions, 0)
		}
		p.fields = c.object("model_update_fields", a.UpdateFields, 0)
	}
	return p
}

// A compiler collects what is wrong while it makes the parts of a program.
type compiler struct {
	compatible bool // templates are recognised by {{ alone, as PERSCOM does
	typed      bool
	escape     bool // as HTML
	now        func() time.Time
	program    *program
	problems   *bugle.InvalidError
}

func (c *compiler) fail(path string, err error) {
	field, _, _ := strings.Cut(path, ".")
	reason := err.Error()
	if !strings.HasSuffix(reason, "?") {
		reason += "."
	}
	c.problems.Add(path, "The %s field cannot be read: %s", field, reason)
	c.program.failures = append(c.program.failures, &fieldError{path, err})
}

func (c *compiler) expression(field, source string) *expression.Program {
	if expression.Blank(source) {
		return nil
	}
	p, err := expression.Compile(source, Variables, functions)
	if err != nil {
		c.fail(field, err)
		return nil
	}
	return p
}

// maxDepth is how deep the JSON of a template may be nested: with the envelope around it, it has to be
// within what JSON may have.
const maxDepth = 256

// leaf compiles a part of a JSON template, at the path.
func (c *compiler) leaf(path string, v any, depth int) leaf {
	switch v := v.(type) {
	case *value.Array:
		return c.object(path, v, depth)
	case string:
		if !c.isTemplate(v) {
			return constant{v}
		}
		o := twig.Options{Now: c.now}
		if c.escape {
			o.Autoescape = "html"
		}
		t, err := twig.Compile(v, o)
		if err != nil {
			c.fail(path, err)
			return constant{v}
		}
		return &text{path: path, template: t, typed: c.typed && t.IsSingle()}
	}
	return constant{v}
}

func (c *compiler) object(path string, fields *value.Array, depth int) *object {
	o := &object{list: fields.Len() > 0 && fields.IsList()}
	if depth > maxDepth {
		c.problems.Add(path, "The template is nested more than %d levels deep.", maxDepth)
		return o
	}
	for key, v := range fields.All() {
		o.keys = append(o.keys, key)
		o.leaves = append(o.leaves, c.leaf(path+"."+key.String(), v, depth+1))
	}
	return o
}

func (c *compiler) isTemplate(text string) bool {
	return strings.Contains(text, "{{") || !c.compatible && (strings.Contains(text, "{%") || strings.Contains(text, "{#"))
}

// A leaf is a part of a template for JSON.
type leaf interface {
	render(e *evaluation, variables *value.Array) (any, error)
}

// constant is what stays as it is.
type constant struct{ v any }

func (l constant) render(*evaluation, *value.Array) (any, error) { return l.v, nil }

// text is a text that is a template.
type text struct {
	path     string // to it, from the automation's field on
	template *twig.Template
	typed    bool // its value counts, not its text
}

func (l *text) render(e *evaluation, variables *value.Array) (any, error) {
	if err := e.inTime(); err != nil {
		return nil, &fieldError{l.path, err}
	}
	var v any
	var err error
	if l.typed {
		if v, err = l.template.Value(variables); err == nil {
			v, err = settled(v)
		}
	} else {
		v, err = l.template.Render(variables)
	}
	if err != nil && !errors.Is(err, twig.ErrStopped) {
		return nil, &fieldError{l.path, err}
	}
	return v, err
}

// object is an array of leaves.
type object struct {
	keys   []value.Key
	leaves []leaf
	list   bool
}

func (l *object) render(e *evaluation, variables *value.Array) (any, error) {
	if l == nil {
		return value.NewArray(0), nil
	}
	made := value.NewArray(len(l.keys))
	for i, key := range l.keys {
		v, err := l.leaves[i].render(e, variables)
		if err != nil {
			return nil, err
		}
		made.Put(key, v)
	}
	return made, nil
}

// An evaluation is the time that one run may take, however many templates it has.
type evaluation struct{ end time.Time }

// maxEvaluation is how long a run may take beside what its last template takes.
const maxEvaluation = 500 * time.Millisecond

func newEvaluation() *evaluation { return &evaluation{end: time.Now().Add(maxEvaluation)} }

func (e *evaluation) inTime() error {
	if time.Now().After(e.end) {
		return fmt.Errorf("the templates of the automation take longer than %s", maxEvaluation)
	}
	return nil
}

// A fieldError is what went wrong with a part of an automation.
type fieldError struct {
	field string // with the path into it
	err   error
}

func (e *fieldError) Error() string { return e.field + ": " + e.err.Error() }
func (e *fieldError) Unwrap() error { return e.err }

// describe fills in of a run what an error says.
func describe(r *bugle.Run, err error) {
	r.Error = err.Error()
	var field *fieldError
	if errors.As(err, &field) {
		r.ErrorField = field.field
	}
	var placed *engine.Error
	if errors.As(err, &placed) {
		r.ErrorLine, r.ErrorColumn = placed.Line, placed.Column
	}
	var invalid *bugle.InvalidError
	if errors.As(err, &invalid) && len(invalid.Problems) > 0 && r.ErrorField == "" {
		r.ErrorField = invalid.Problems[0].Field
	}
}

// evaluateExpression returns the value of an expression of the automation.
func evaluateExpression(field string, p *expression.Program, c *Context) (any, error) {
	v, err := p.Eval(c.values...)
	if err != nil {
		return nil, &fieldError{field, fmt.Errorf("%w, in: %s", err, strings.TrimSpace(p.String()))}
	}
	return v, nil
}
