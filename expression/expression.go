package expression

import (
	"fmt"
	"strings"

	"github.com/buglehq/bugle/internal/engine"
	"github.com/buglehq/bugle/value"
)

// An Error says what is wrong in a condition, and where.
type Error = engine.Error

// A Function can be called by conditions.
type Function struct {
	Min, Max int // number of arguments; a Max of -1 is no limit
	Call     func(c *Call) (any, error)
}

// A Call is one call of a function.
type Call struct {
	Args []any
	run  *engine.Run
	of   []string
}

// Variable returns the value of one of the program's variables, nil if it has none of that name.
func (c *Call) Variable(name string) any {
	for i, known := range c.of {
		if known == name {
			return c.run.Slots[i]
		}
	}
	return nil
}

// call is a function with its arguments.
type call struct {
	function func(c *Call) (any, error)
	args     []engine.Node
	names    []string
}

// Eval calls the function.
func (n *call) Eval(r *engine.Run) (any, error) {
	c := Call{run: r, of: n.names, Args: make([]any, len(n.args))}
	for i, arg := range n.args {
		var err error
		if c.Args[i], err = arg.Eval(r); err != nil {
			return nil, err
		}
	}
	return n.function(&c)
}

// A Program is a compiled condition.
type Program struct {
	source    string
	node      engine.Node
	names     []string
	functions map[string]Function // beside those of the language
}

// maxSource is how many bytes a condition may have.
const maxSource = 65535

// Compile parses a condition that may use variables of these names, and the functions, beside those of
// Functions. An error is an *Error.
func Compile(source string, names []string, functions map[string]Function) (*Program, error) {
	node, err := parse(source, names, functions, nil)
	if err != nil {
		return nil, err
	}
	return &Program{source: source, node: node, names: names, functions: functions}, nil
}

// parse returns the node of a source, whose parts note their values if there is a trace.
func parse(source string, names []string, functions map[string]Function, into *trace) (engine.Node, error) {
	s := &engine.Source{Text: source}
	if len(source) > maxSource {
		return nil, s.Fail(maxSource, fmt.Sprintf("it is longer than %d bytes", maxSource))
	}
	tokens, err := lex(s)
	if err != nil {
		return nil, err
	}
	all := Functions()
	for name, f := range functions {
		all[name] = f
	}
	p := &parser{source: s, tokens: tokens, names: names, functions: all, trace: into}
	return p.whole()
}

// String returns the source.
func (p *Program) String() string { return p.source }

// limits are those of a run. A condition has no loops, so that only what goes through arrays takes
// steps.
var limits = engine.Limits{Steps: 1 << 20, Bytes: 4 << 20}

// Eval returns the value of the condition, with values for the variables in the order of their names.
// An error is an *Error.
func (p *Program) Eval(values ...any) (any, error) {
	if err := p.check(values); err != nil {
		return nil, err
	}
	return p.node.Eval(engine.NewRun(values, limits))
}

func (p *Program) check(values []any) error {
	if len(values) != len(p.names) {
		return fmt.Errorf("evaluate %q: %d values for %d variables", p.source, len(values), len(p.names))
	}
	return nil
}

// Test evaluates the condition and returns whether it holds, as PHP takes values for true.
func (p *Program) Test(values ...any) (bool, error) {
	v, err := p.Eval(values...)
	return value.Truthy(v), err
}

// Blank reports whether a source has nothing in it, which holds always.
func Blank(source string) bool { return strings.TrimSpace(source) == "" }

// Functions are those that every condition can call:
//
//	in_array(needle, haystack)  whether an array has an item that is == the needle
//	contains(text, part), starts_with(text, part), ends_with(text, part)
//	blank(v), filled(v)         whether v is null, an empty text or an empty array, or not
//	min(a, b, …), max(a, b, …)  of several values, or of the items of one array
func Functions() map[string]Function {
	return map[string]Function{
		"in_array":    {2, 2, inArray},
		"contains":    {2, 2, texts(strings.Contains)},
		"starts_with": {2, 2, texts(strings.HasPrefix)},
		"ends_with":   {2, 2, texts(strings.HasSuffix)},
		"blank":       {1, 1, func(c *Call) (any, error) { return isBlank(c.Args[0]), nil }},
		"filled":      {1, 1, func(c *Call) (any, error) { return !isBlank(c.Args[0]), nil }},
		"min":         {1, -1, extreme(engine.Less)},
		"max":         {1, -1, extreme(engine.Greater)},
	}
}

// inArray is loose, as PHP's in_array: "1" finds 1 and true.
func inArray(c *Call) (any, error) {
	list, ok := c.Args[1].(*value.Array)
	if !ok {
		return false, nil
	}
	return engine.Find(c.run, c.Args[0], list, value.EqualWithin)
}

// texts tests two texts; it is false for what is none.
func texts(test func(s, part string) bool) func(c *Call) (any, error) {
	return func(c *Call) (any, error) {
		s, okText := c.Args[0].(string)
		part, okPart := c.Args[1].(string)
		return okText && okPart && test(s, part), c.run.Read(len(s))
	}
}

func isBlank(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case string:
		return strings.Trim(v, " \t\n\r\x00\v") == ""
	case *value.Array:
		return v.Len() == 0
	}
	return false
}

// extreme returns the first value than which none is better.
func extreme(better engine.Operator) func(c *Call) (any, error) {
	return func(c *Call) (any, error) {
		values := c.Args
		if len(values) == 1 {
			list, ok := values[0].(*value.Array)
			if !ok || list.Len() == 0 {
				return nil, fmt.Errorf("one argument must be an array with items, not %s", value.Describe(values[0]))
			}
			if err := c.run.Step(list.Len()); err != nil {
				return nil, err
			}
			values = make([]any, 0, list.Len())
			for _, item := range list.All() {
				values = append(values, item)
			}
		}
		best := values[0]
		for _, v := range values[1:] {
			is, err := better(c.run, v, best)
			if err != nil {
				return nil, err
			}
			if is == true {
				best = v
			}
		}
		return best, nil
	}
}
