package twig

import (
	"fmt"
	"slices"
	"strings"

	"github.com/buglehq/bugle/internal/engine"
	"github.com/buglehq/bugle/value"
)

// A variable is read from its slot.
type variable struct {
	name string
	slot int
}

// Eval returns the variable, or null if it is not set.
func (n *variable) Eval(r *engine.Run) (any, error) {
	v := r.Slots[n.slot]
	if _, is := v.(missing); is {
		if hostOf(r).template.options.Strict {
			return nil, fmt.Errorf("there is no variable %q", n.name)
		}
		return nil, nil
	}
	return v, nil
}

// Probe reports whether the variable is set, too.
func (n *variable) Probe(r *engine.Run) (any, bool, error) {
	v := r.Slots[n.slot]
	if _, is := v.(missing); is {
		return nil, false, nil
	}
	return v, true, nil
}

// contextNode is _context: all variables that are set.
type contextNode struct{}

// Eval returns them as an array.
func (contextNode) Eval(r *engine.Run) (any, error) {
	return hostOf(r).variables(r.Slots)
}

// variables returns those that are set in the slots of the run's frame, and what else the caller gave.
func (r *run) variables(slots []any) (*value.Array, error) {
	n := len(slots) + r.context.Len()
	if err := r.Make(itemCost * n); err != nil {
		return nil, err
	}
	if err := r.Step(n / variablesPerStep); err != nil {
		return nil, err
	}
	all := value.NewArray(n)
	if r.frame == r.template.frame {
		for key, v := range r.context.All() {
			if _, hasSlot := r.frame.slots[key.String()]; !hasSlot {
				all.Put(key, v)
			}
		}
	}
	for i, v := range slots {
		name := r.frame.names[i]
		if _, is := v.(missing); !is && !strings.HasPrefix(name, hiddenSlot) {
			all.Set(name, v)
		}
	}
	return all, nil
}

// access is base.key, base[key] or base.method(args).
type access struct {
	base     engine.Node
	key      engine.Node
	args     []argument
	member   bool // written with a point
	called   bool // with arguments
	nullSafe bool
}

// Eval returns the item, or null if there is none.
func (n *access) Eval(r *engine.Run) (any, error) {
	v, there, err := n.Probe(r)
	if err != nil || there {
		return v, err
	}
	if hostOf(r).template.options.Strict && !n.nullSafe {
		key, _ := n.key.Eval(r)
		return nil, fmt.Errorf("there is no key %s", value.Describe(key))
	}
	return nil, nil
}

// Probe reports whether there is such an item, too.
func (n *access) Probe(r *engine.Run) (any, bool, error) {
	base, there, err := engine.Probe(n.base, r)
	if err != nil || !there {
		return nil, false, err
	}
	key, err := n.key.Eval(r)
	if err != nil {
		return nil, false, err
	}
	if s, ok := key.(string); ok {
		if err := r.Read(len(s)); err != nil {
			return nil, false, err
		}
	}
	switch base := base.(type) {
	case *value.Array:
		k, ok := value.AsKey(plain(key))
		if !ok {
			return nil, false, fmt.Errorf("%s cannot be a key", value.Describe(key))
		}
		v, there := base.At(k)
		return v, there, nil
	case value.Date:
		if n.member {
			return n.ofDate(r, base, key)
		}
	case *macros:
		return n.ofMacros(r, base, key)
	}
	return nil, false, nil
}

// ofDate returns what a date answers: format(layout) and timestamp.
func (n *access) ofDate(r *engine.Run, date value.Date, key any) (any, bool, error) {
	switch key {
	case "timestamp", "getTimestamp":
		return date.Unix(), true, nil
	case "format":
		if len(n.args) != 1 {
			return nil, false, fmt.Errorf("format takes 1 argument, not %d", len(n.args))
		}
		layout, err := n.args[0].node.Eval(r)
		if err != nil {
			return nil, false, err
		}
		text, err := toText(layout)
		if err == nil {
			err = r.Make(32 * len(text))
		}
		return value.FormatDate(date.Time, text), err == nil, err
	}
	return nil, false, nil
}

func (n *access) ofMacros(r *engine.Run, of *macros, key any) (any, bool, error) {
	m := of.template.macros[fmt.Sprint(key)]
	if m == nil {
		return nil, false, fmt.Errorf("there is no macro %q", key)
	}
	v, err := m.call(hostOf(r), n.args)
	return v, err == nil, err
}

// use is a filter, function or test with its arguments.
type use struct {
	callable *callable
	args     []engine.Node // by parameter; nil for absent ones
	probes   bool          // the first argument may be missing: it is null then
	rest     *restOf       // nil unless some are spread
}

// Eval calls it.
func (n *use) Eval(r *engine.Run) (any, error) {
	c := call{run: hostOf(r), args: make([]any, len(n.args))}
	for i, arg := range n.args {
		if arg == nil {
			c.args[i] = absent{}
			continue
		}
		var err error
		if n.probes && i == 0 {
			c.args[i], _, err = engine.Probe(arg, r)
		} else {
			c.args[i], err = arg.Eval(r)
		}
		if err != nil {
			return nil, err
		}
	}
	if err := r.Step(1); err != nil {
		return nil, err
	}
	if n.rest != nil {
		if err := n.rest.add(r, n.callable, &c); err != nil {
			return nil, err
		}
	}
	return n.callable.call(&c)
}

// restOf are the arguments from the first one on that is spread: only the call shows where they go.
type restOf struct {
	args  []argument
	first int // place of the first
}

// add puts the arguments in their places.
func (n *restOf) add(r *engine.Run, of *callable, c *call) error {
	next := n.first
	err := eachArgument(r, n.args, func(name string, v any) error {
		at := next
		if name != "" {
			if at = slices.Index(of.params, snake(name)); at < 0 {
				return fmt.Errorf("there is no argument %q; there are %s", name, strings.Join(of.params, ", "))
			}
		} else {
			next++
		}
		switch {
		case at < len(of.params):
			c.args[at] = v
		case of.variadic:
			c.args = append(c.args, v)
		default:
			return fmt.Errorf("there are more than %d arguments", len(of.params))
		}
		return nil
	})
	if err != nil {
		return err
	}
	for i := range of.required {
		if _, is := c.args[i].(absent); is {
			return fmt.Errorf("the argument %q is needed", of.params[i])
		}
	}
	return nil
}

// eachArgument evaluates arguments and calls put with each of them, and its name if it has one. Those of
// a list that is spread have the keys that are texts as names.
func eachArgument(r *engine.Run, args []argument, put func(name string, v any) error) error {
	for _, arg := range args {
		v, err := arg.node.Eval(r)
		if err != nil {
			return err
		}
		if _, is := arg.node.(*spread); !is {
			if err := put(arg.name, v); err != nil {
				return err
			}
			continue
		}
		list := v.(*value.Array)
		if err := r.Make(itemCost * list.Len()); err != nil {
			return err
		}
		for key, item := range list.All() {
			name := ""
			if !key.IsInt() {
				name = key.String()
			}
			if err := put(name, item); err != nil {
				return err
			}
		}
	}
	return nil
}

// isDefined is the test defined.
type isDefined struct{ of engine.Node }

// Eval reports whether the variable or item is there.
func (n *isDefined) Eval(r *engine.Run) (any, error) {
	_, there, err := engine.Probe(n.of, r)
	return there, err
}

// concat is a text with expressions in it.
type concat struct{ parts []engine.Node }

// Eval returns the text.
func (n *concat) Eval(r *engine.Run) (any, error) {
	var b strings.Builder
	for _, part := range n.parts {
		v, err := part.Eval(r)
		if err != nil {
			return nil, err
		}
		text, err := toText(v)
		if err != nil {
			return nil, err
		}
		if err := r.Make(len(text)); err != nil {
			return nil, err
		}
		b.WriteString(text)
	}
	return b.String(), nil
}

// spread is ...list within an array or arguments.
type spread struct{ of engine.Node }

// Eval returns the list.
func (n *spread) Eval(r *engine.Run) (any, error) {
	v, err := n.of.Eval(r)
	if err != nil {
		return nil, err
	}
	if _, ok := v.(*value.Array); !ok {
		return nil, fmt.Errorf("only arrays can be spread, not %s", value.Describe(v))
	}
	return v, nil
}

// arrayOf is an array in which lists are spread.
type arrayOf struct {
	keys   []engine.Node
	values []engine.Node
}

// Eval returns the array.
func (n *arrayOf) Eval(r *engine.Run) (any, error) {
	all := value.NewArray(len(n.values))
	for i, node := range n.values {
		if err := r.Make(itemCost); err != nil {
			return nil, err
		}
		v, err := node.Eval(r)
		if err != nil {
			return nil, err
		}
		if _, is := node.(*spread); is {
			list := v.(*value.Array)
			if err := r.Make(itemCost * list.Len()); err != nil {
				return nil, err
			}
			for key, item := range list.All() {
				if key.IsInt() {
					all.Append(item)
				} else {
					all.Put(key, item)
				}
			}
			continue
		}
		if n.keys[i] == nil {
			all.Append(v)
			continue
		}
		key, err := n.keys[i].Eval(r)
		if err != nil {
			return nil, err
		}
		k, ok := value.AsKey(plain(key))
		if !ok {
			return nil, fmt.Errorf("%s cannot be a key", value.Describe(key))
		}
		all.Put(k, v)
	}
	return all, nil
}

// assign is name = value within an expression.
type assign struct {
	slot  int
	value engine.Node
}

// Eval sets the variable and returns its value.
func (n *assign) Eval(r *engine.Run) (any, error) {
	v, err := n.value.Eval(r)
	if err == nil {
		r.Slots[n.slot] = v
	}
	return v, err
}

// emptyPlace is a place in [, b] = list that takes no value. The parser lets it stand nowhere else.
type emptyPlace struct{}

// Eval returns null.
func (emptyPlace) Eval(*engine.Run) (any, error) { return nil, nil }

// destructuring is [a, b] = list, or {a, key: b} = map.
type destructuring struct {
	slots  []int // -1: the value is not wanted
	keys   []any // nil: by place
	value  engine.Node
	strict bool // what is missing in a map is an error
}

// Eval sets the variables and returns the list or map.
func (n *destructuring) Eval(r *engine.Run) (any, error) {
	v, err := n.value.Eval(r)
	if err != nil {
		return nil, err
	}
	from, ok := v.(*value.Array)
	if !ok && (n.keys == nil || n.strict) {
		return nil, fmt.Errorf("only arrays can be taken apart, not %s", value.Describe(plain(v)))
	}
	for i, slot := range n.slots {
		if slot < 0 {
			continue
		}
		if n.keys == nil {
			r.Slots[slot], _ = from.GetInt(int64(i))
			continue
		}
		item, there := itemOf(from, n.keys[i])
		if !there && n.strict {
			return nil, fmt.Errorf("there is no key %s", value.Describe(n.keys[i]))
		}
		r.Slots[slot] = item
	}
	return v, nil
}

// escaped is an expression whose value is to be put out, as the strategy makes it safe.
type escaped struct {
	of       engine.Node
	strategy string
}

// Eval returns the value as Markup.
func (n *escaped) Eval(r *engine.Run) (any, error) {
	v, err := n.of.Eval(r)
	if err != nil {
		return nil, err
	}
	return n.escape(r, v)
}

// Probe reports whether the value is there, too.
func (n *escaped) Probe(r *engine.Run) (any, bool, error) {
	v, there, err := engine.Probe(n.of, r)
	if err != nil || !there || v == nil {
		return nil, there, err
	}
	v, err = n.escape(r, v)
	return v, err == nil, err
}

func (n *escaped) escape(r *engine.Run, v any) (any, error) {
	switch v := v.(type) {
	case Markup, nil, bool, int64, float64:
		return v, nil
	case string:
		return escapeText(hostOf(r), v, n.strategy)
	}
	text, err := toText(v)
	if err != nil {
		return nil, err
	}
	return escapeText(hostOf(r), text, n.strategy)
}

// elvis is a ?: b that is to be put out, each made safe on its own.
type elvis struct {
	test escaped
	no   engine.Node
}

// Eval returns the one or the other.
func (n *elvis) Eval(r *engine.Run) (any, error) {
	v, err := n.test.of.Eval(r)
	switch {
	case err != nil:
		return nil, err
	case value.Truthy(plain(v)):
		return n.test.escape(r, v)
	}
	return n.no.Eval(r)
}

// escapeText makes a text safe by a strategy.
func escapeText(r *run, text, strategy string) (any, error) {
	safe, err := escapeBy(&call{run: r}, text, strategy)
	return Markup(safe), err
}

// loose are comparisons of values that may be Markup.
func loose(apply engine.Operator) engine.Operator {
	return func(r *engine.Run, a, b any) (any, error) { return apply(r, plain(a), plain(b)) }
}
