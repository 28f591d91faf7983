package twig

import (
	"fmt"
	"slices"

	"github.com/buglehq/bugle/internal/engine"
	"github.com/buglehq/bugle/value"
)

// A statement is a part of a template that puts out text or changes variables.
type statement interface {
	render(r *run) error
}

// words are text that is put out as it is.
type words string

func (s words) render(r *run) error { return r.put(string(s)) }

// printed is {{ an expression }}.
type printed struct{ node engine.Node }

func (s *printed) render(r *run) error {
	v, err := s.node.Eval(&r.Run)
	if err != nil {
		return err
	}
	if text, ok := v.(string); ok {
		return r.put(text)
	}
	text, err := toText(v)
	if err != nil {
		return err
	}
	return r.put(text)
}

// done is {% do %}: an expression whose value is of no interest.
type done struct{ node engine.Node }

func (s *done) render(r *run) error {
	_, err := s.node.Eval(&r.Run)
	return err
}

// choice is {% if %}: the first branch whose test is true.
type choice struct {
	tests    []engine.Node
	branches [][]statement
	other    []statement
}

func (s *choice) render(r *run) error {
	for i, test := range s.tests {
		v, err := test.Eval(&r.Run)
		if err != nil {
			return err
		}
		if value.Truthy(plain(v)) {
			return r.all(s.branches[i])
		}
	}
	return r.all(s.other)
}

// loop is {% for %}.
type loop struct {
	of    engine.Node
	key   int // slots; -1: none
	item  int
	state int // of the variable loop; -1: the body does not look at it
	body  []statement
	other []statement
}

func (s *loop) render(r *run) error {
	v, err := s.of.Eval(&r.Run)
	if err != nil {
		return err
	}
	list, _ := v.(*value.Array)
	if list.Len() == 0 {
		return r.all(s.other)
	}
	before, err := r.remember()
	if err != nil {
		return err
	}
	if err := r.turns(s, list, before); err != nil {
		return err
	}
	// What the body set anew is forgotten, what was there before keeps its new value.
	for i, old := range before {
		if _, is := old.(missing); is || i == s.key || i == s.item || i == s.state {
			r.Slots[i] = old
		}
	}
	return nil
}

// variablesPerStep is how many variables are copied in the time of a node.
const variablesPerStep = 16

// remember returns a copy of the variables.
func (r *run) remember() ([]any, error) {
	if err := r.Step(len(r.Slots) / variablesPerStep); err != nil {
		return nil, err
	}
	return append([]any(nil), r.Slots...), nil
}

func (r *run) turns(s *loop, list *value.Array, before []any) error {
	n, length := int64(0), int64(list.Len())
	var around *value.Array // loop.parent: the variables around the loop
	if s.state >= 0 {
		var err error
		if around, err = r.variables(before); err != nil {
			return err
		}
	}
	for key, item := range list.All() {
		if err := r.Step(1); err != nil {
			return err
		}
		if s.key >= 0 {
			r.Slots[s.key] = keyValue(key)
		}
		r.Slots[s.item] = item
		if s.state >= 0 {
			if err := r.Make(400); err != nil {
				return err
			}
			r.Slots[s.state] = value.Map("parent", around, "index", n+1, "index0", n, "first", n == 0, "revindex", length-n, "revindex0", length-n-1,
				"length", length, "last", n == length-1)
		}
		n++
		if err := r.all(s.body); err != nil {
			return err
		}
	}
	return nil
}

// setting is {% set a, b = 1, 2 %}.
type setting struct {
	slots  []int
	values []engine.Node
}

func (s *setting) render(r *run) error {
	values := make([]any, len(s.values))
	for i, node := range s.values {
		var err error
		if values[i], err = node.Eval(&r.Run); err != nil {
			return err
		}
	}
	for i, slot := range s.slots {
		r.Slots[slot] = values[i]
	}
	return nil
}

// captured is {% set a %}…{% endset %}.
type captured struct {
	slot   int
	markup bool // what it holds is escaped already
	body   []statement
}

func (s *captured) render(r *run) error {
	text, err := r.capture(s.body)
	if err != nil {
		return err
	}
	r.Slots[s.slot] = text
	if s.markup && text != "" {
		r.Slots[s.slot] = Markup(text)
	}
	return nil
}

// scope is {% with %}: variables that are there for its body only.
type scope struct {
	of   engine.Node // nil: none
	only bool
	body []statement
}

func (s *scope) render(r *run) error {
	var given *value.Array
	if s.of != nil {
		v, err := s.of.Eval(&r.Run)
		if err != nil {
			return err
		}
		var ok bool
		if given, ok = v.(*value.Array); !ok {
			return fmt.Errorf("with needs a map of variables, not %s", value.Describe(v))
		}
	}
	before, err := r.remember()
	if err == nil {
		err = r.Step(given.Len() / variablesPerStep)
	}
	if err != nil {
		return err
	}
	if s.only {
		for i := range r.Slots {
			r.Slots[i] = missing{}
		}
	}
	for key, v := range given.All() {
		if slot, ok := r.frame.slots[key.String()]; ok {
			r.Slots[slot] = v
		}
	}
	err = r.all(s.body)
	copy(r.Slots, before)
	return err
}

// applied is {% apply filter %}.
type applied struct {
	filters engine.Node // of text
	text    *held
	body    []statement
}

// held is a text that a filter is applied to.
type held struct{ slot int }

// Eval returns the text.
func (h *held) Eval(r *engine.Run) (any, error) { return r.Slots[h.slot], nil }

func (s *applied) render(r *run) error {
	text, err := r.capture(s.body)
	if err != nil {
		return err
	}
	before := r.Slots[s.text.slot]
	r.Slots[s.text.slot] = Markup(text)
	v, err := s.filters.Eval(&r.Run)
	r.Slots[s.text.slot] = before
	if err != nil {
		return err
	}
	result, err := toText(v)
	if err != nil {
		return err
	}
	return r.put(result)
}

// A block is {% block name %}. It can be rendered anew with block('name').
type block struct {
	frame *frame // that its variables are in
	body  []statement
}

func (b *block) render(r *run) error {
	if err := r.Enter(); err != nil {
		return err
	}
	defer r.Leave()
	if err := r.Step(1); err != nil {
		return err
	}
	variables, err := r.remember()
	if err != nil {
		return err
	}
	if r.frame != b.frame { // called from a macro, or from outside of the one that it is in
		here := variables
		variables = b.frame.empty()
		for i, name := range b.frame.names {
			if at, ok := r.frame.slots[name]; ok {
				variables[i] = here[at]
			}
		}
	}
	defer r.in(b.frame, variables)()
	return r.all(b.body)
}

// blockCall is block('name').
type blockCall struct{ name engine.Node }

// Eval renders the block.
func (n *blockCall) Eval(r *engine.Run) (any, error) {
	v, there, err := n.Probe(r)
	if err == nil && !there {
		name, _ := n.name.Eval(r)
		err = fmt.Errorf("there is no block %s", value.Describe(name))
	}
	return v, err
}

// Probe reports whether there is such a block, too.
func (n *blockCall) Probe(r *engine.Run) (any, bool, error) {
	name, err := n.name.Eval(r)
	if err != nil {
		return nil, false, err
	}
	text, err := toText(name)
	if err != nil {
		return nil, false, err
	}
	h := hostOf(r)
	b := h.template.blocks[text]
	if b == nil {
		return nil, false, nil
	}
	rendered, err := h.capture([]statement{b})
	return Markup(rendered), err == nil, err
}

// A macro is a part of a template that can be called with arguments.
type macro struct {
	frame    *frame
	params   []int // slots
	names    []string
	defaults []engine.Node // nil: null
	varargs  int           // slot of the arguments beyond those
	body     []statement
}

// macros are what _self and imported names hold.
type macros struct{ template *Template }

// call renders the macro with arguments of the caller's.
func (m *macro) call(r *run, args []argument) (any, error) {
	if err := r.Enter(); err != nil {
		return nil, err
	}
	defer r.Leave()
	if err := r.Step(1 + len(m.frame.names)); err != nil {
		return nil, err
	}
	slots := m.frame.empty()
	more := value.NewArray(0)
	next := 0
	err := eachArgument(&r.Run, args, func(name string, v any) error {
		at := next
		if name != "" {
			at = slices.Index(m.names, name)
		} else {
			next++
		}
		switch {
		case at >= 0 && at < len(m.params):
			slots[m.params[at]] = v
		case name != "":
			more.Set(name, v)
		default:
			more.Append(v)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	slots[m.varargs] = more
	defer r.in(m.frame, slots)()
	for i, slot := range m.params {
		if _, is := slots[slot].(missing); !is {
			continue
		}
		slots[slot] = nil
		if m.defaults[i] != nil {
			v, err := m.defaults[i].Eval(&r.Run)
			if err != nil {
				return nil, err
			}
			slots[slot] = v
		}
	}
	text, err := r.capture(m.body)
	return Markup(text), err
}

// macroCall is the call of a macro by a name that it was imported under.
type macroCall struct {
	template *Template
	name     string
	args     []argument
}

// Eval calls the macro.
func (n *macroCall) Eval(r *engine.Run) (any, error) {
	m := n.template.macros[n.name]
	if m == nil {
		return nil, fmt.Errorf("there is no macro %q", n.name)
	}
	return m.call(hostOf(r), n.args)
}
