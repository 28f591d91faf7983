package twig

import (
	"fmt"
	"time"

	"github.com/buglehq/bugle/internal/engine"
	"github.com/buglehq/bugle/value"
)

// A callable is a filter, function or test. The first parameter of a filter or test is the value that it
// is applied to.
type callable struct {
	params   []string // names, for named arguments
	required int      // how many of them must be given
	variadic bool     // takes any number of arguments after them
	safe     string   // the strategy for which its result is escaped already: "html", or "all"; empty: none
	keeps    bool     // its result is as safe as the value that it is applied to
	call     func(c *call) (any, error)
}

// A call is one use of a callable.
type call struct {
	*run
	args []any // by parameter; absent where an optional one was not given
}

// absent is an argument that was not given.
type absent struct{}

// has reports whether the argument was given.
func (c *call) has(i int) bool {
	if i >= len(c.args) {
		return false
	}
	_, is := c.args[i].(absent)
	return !is
}

// arg returns an argument, or what stands for it if it was not given.
func (c *call) arg(i int, otherwise any) any {
	if c.has(i) {
		return c.args[i]
	}
	return otherwise
}

// text returns an argument as PHP prints it.
func (c *call) text(i int, otherwise string) (string, error) {
	if !c.has(i) {
		return otherwise, nil
	}
	return toText(c.args[i])
}

// number returns an argument as a number: int64 or float64.
func (c *call) number(i int, otherwise any) (any, error) {
	v := c.arg(i, otherwise)
	if err := c.read(v); err != nil {
		return nil, err
	}
	n, ok := value.Number(plain(v))
	if !ok {
		return nil, fmt.Errorf("%s is no number", value.Describe(v))
	}
	return n, nil
}

// read accounts for a value that is to be a number: one that is a text may be long.
func (c *call) read(v any) error {
	if s, ok := plain(v).(string); ok {
		return c.ReadNumber(s)
	}
	return nil
}

// integer returns an argument as an integer.
func (c *call) integer(i int, otherwise int64) (int64, error) {
	n, err := c.number(i, otherwise)
	return value.ToInt(n), err
}

// Markup is a text that is safe to put out as it is.
type Markup string

func (m Markup) String() string { return string(m) }

// plain turns Markup into the text that it is.
func plain(v any) any {
	if m, ok := v.(Markup); ok {
		return string(m)
	}
	return v
}

// toText returns a value as PHP prints it.
func toText(v any) (string, error) { return engine.Text(plain(v)) }

// An arrow is a function that a template writes: (a, b) => a + b.
type arrow struct {
	slots []int // of the parameters
	body  engine.Node
}

// Eval makes the function a value.
func (a *arrow) Eval(r *engine.Run) (any, error) {
	h := hostOf(r)
	slots, err := h.remember()
	return &closure{a, h.frame, slots}, err
}

// A closure is an arrow function with the variables that there were where it stands.
type closure struct {
	*arrow
	frame     *frame
	variables []any
}

// invoke calls an arrow function. It is an error if fn is none.
func (r *run) invoke(fn any, args ...any) (any, error) {
	a, ok := fn.(*closure)
	if !ok {
		return nil, fmt.Errorf("an arrow function such as v => v.name is needed, not %s", value.Describe(fn))
	}
	if err := r.Step(1); err != nil {
		return nil, err
	}
	if err := r.Enter(); err != nil {
		return nil, err
	}
	defer r.Leave()
	defer r.in(a.frame, a.variables)()
	kept := make([]any, len(a.slots))
	for i, slot := range a.slots {
		kept[i] = r.Slots[slot]
		r.Slots[slot] = nil
		if i < len(args) {
			r.Slots[slot] = args[i]
		}
	}
	v, err := a.body.Eval(&r.Run)
	for i, slot := range a.slots {
		r.Slots[slot] = kept[i]
	}
	return v, err
}

// in makes the variables of a frame those of the run, until the function is called that it returns.
func (r *run) in(f *frame, variables []any) (out func()) {
	outer, frame := r.Slots, r.frame
	r.Slots, r.frame = variables, f
	return func() { r.Slots, r.frame = outer, frame }
}

// now is the time of the rendering.
func (r *run) now() time.Time { return r.at }
