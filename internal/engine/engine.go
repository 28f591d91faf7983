// Package engine is what the condition language and the template language share: texts with
// positions, nodes that can be evaluated, PHP's operators on values, and the budget of a run.
package engine

import (
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/buglehq/bugle/value"
)

// An Error says what is wrong in a source text, and where.
type Error struct {
	Message    string
	Line       int    // from 1
	Column     int    // in characters, from 1
	Suggestion string // a name that may have been meant; empty: none
}

func (e *Error) Error() string {
	text := fmt.Sprintf("%s at line %d, column %d", e.Message, e.Line, e.Column)
	if e.Suggestion != "" {
		text += fmt.Sprintf("; did you mean %q?", e.Suggestion)
	}
	return text
}

// A Node is a part of a program that has a value.
type Node interface {
	Eval(r *Run) (any, error)
}

// A Prober is a node whose value may be missing: a variable, or an item of an array.
type Prober interface {
	Node
	// Probe is Eval, but what is missing is no error: it is not there.
	Probe(r *Run) (v any, there bool, err error)
}

// Probe evaluates a node that may be missing. What is no Prober is always there.
func Probe(n Node, r *Run) (v any, there bool, err error) {
	if p, ok := n.(Prober); ok {
		return p.Probe(r)
	}
	v, err = n.Eval(r)
	return v, err == nil, err
}

// Limits bound what one run may cost. Zero means no limit.
type Limits struct {
	Steps int // nodes that take more than a moment, and turns of loops
	Bytes int // of texts and arrays that are made, whether they are put out or not
	Depth int // of calls within calls
}

// A Run is one evaluation of a program.
type Run struct {
	Slots []any     // variables, at the places that the compiler gave them
	Host  any       // what the language's own nodes need
	End   time.Time // when it must have ended; zero: it may take any time
	steps int
	bytes int
	depth int
	until int // steps at which the time is looked at next
}

// NewRun returns a run with that budget.
func NewRun(slots []any, l Limits) *Run {
	r := &Run{Slots: slots}
	r.Reset(l)
	return r
}

// Reset gives the run its budget anew.
func (r *Run) Reset(l Limits) {
	unlimited := func(n int) int {
		if n == 0 {
			return math.MaxInt
		}
		return n
	}
	r.steps, r.bytes, r.depth = unlimited(l.Steps), unlimited(l.Bytes), unlimited(l.Depth)
	r.until = r.steps - stepsBetween
}

// stepsBetween is how many steps are taken between two looks at the time.
const stepsBetween = 1000

// Step takes n steps, or fails if they are used up.
func (r *Run) Step(n int) error {
	if r.steps -= n; r.steps < 0 || n < 0 {
		return errors.New("it takes too many steps")
	}
	if r.steps < r.until {
		r.until = r.steps - stepsBetween
		if !r.End.IsZero() && time.Now().After(r.End) {
			return errors.New("it takes too long")
		}
	}
	return nil
}

// Read accounts for n bytes of a text that are to be looked at: for a short one that is nothing.
func (r *Run) Read(n int) error {
	const kilobyte = 1 << 10 // is looked at in no more time than a node takes
	if n < kilobyte {
		return nil
	}
	return r.Step(n / kilobyte)
}

// ReadNumber is Read for a text that may be a number, which takes longer to read.
func (r *Run) ReadNumber(s string) error {
	const slower = 8
	if s == "" || s[len(s)-1] > '9' {
		return nil
	}
	return r.Read(slower * len(s))
}

// Make accounts for n bytes to be made, or fails if they are used up. It is to be called before.
func (r *Run) Make(n int) error {
	if r.bytes -= n; r.bytes < 0 || n < 0 {
		return errors.New("it makes too much text")
	}
	return nil
}

// Enter begins a call within a call, which Leave ends.
func (r *Run) Enter() error {
	if r.depth--; r.depth < 0 {
		return errors.New("it calls itself too deeply")
	}
	return nil
}

// Leave ends what Enter began.
func (r *Run) Leave() { r.depth++ }

// Literal is a value that stands in the source.
type Literal struct{ Value any }

// Eval returns the value.
func (n *Literal) Eval(*Run) (any, error) { return n.Value, nil }

// At is a node whose errors get its position in the source, unless they have one.
type At struct {
	Node   Node
	Source *Source
	Offset int
}

// Eval evaluates the node.
func (n *At) Eval(r *Run) (any, error) {
	v, err := n.Node.Eval(r)
	if err != nil {
		return nil, n.Source.Wrap(n.Offset, err)
	}
	return v, nil
}

// Probe probes the node.
func (n *At) Probe(r *Run) (any, bool, error) {
	v, there, err := Probe(n.Node, r)
	if err != nil {
		return nil, false, n.Source.Wrap(n.Offset, err)
	}
	return v, there, nil
}

// Conditional is test ? yes : no, or test ?: no without a Yes.
type Conditional struct{ Test, Yes, No Node }

// Eval evaluates the test and one of the two others.
func (n *Conditional) Eval(r *Run) (any, error) {
	v, err := n.Test.Eval(r)
	switch {
	case err != nil:
		return nil, err
	case !value.Truthy(v):
		return n.No.Eval(r)
	case n.Yes == nil:
		return v, nil
	}
	return n.Yes.Eval(r)
}

// Coalesce is Left ?? Right.
type Coalesce struct{ Left, Right Node }

// Eval returns the left value, or the right one if that is missing or null.
func (n *Coalesce) Eval(r *Run) (any, error) {
	v, there, err := Probe(n.Left, r)
	if err != nil || there && v != nil {
		return v, err
	}
	return n.Right.Eval(r)
}

// Not is the logical opposite.
type Not struct{ Operand Node }

// Eval returns a bool.
func (n *Not) Eval(r *Run) (any, error) {
	v, err := n.Operand.Eval(r)
	if err != nil {
		return nil, err
	}
	return !value.Truthy(v), nil
}

// And is the logical and, which evaluates its right side only if it has to.
type And struct{ Left, Right Node }

// Eval returns a bool.
func (n *And) Eval(r *Run) (any, error) {
	v, err := n.Left.Eval(r)
	if err != nil || !value.Truthy(v) {
		return false, err
	}
	if v, err = n.Right.Eval(r); err != nil {
		return nil, err
	}
	return value.Truthy(v), nil
}

// Or is the logical or, which evaluates its right side only if it has to.
type Or struct{ Left, Right Node }

// Eval returns a bool.
func (n *Or) Eval(r *Run) (any, error) {
	v, err := n.Left.Eval(r)
	if err != nil {
		return nil, err
	}
	if value.Truthy(v) {
		return true, nil
	}
	if v, err = n.Right.Eval(r); err != nil {
		return nil, err
	}
	return value.Truthy(v), nil
}

// A Unary applies an operator to one value.
type Unary struct {
	Operand Node
	Apply   func(r *Run, v any) (any, error)
}

// Eval returns what the operator makes of the value.
func (n *Unary) Eval(r *Run) (any, error) {
	v, err := n.Operand.Eval(r)
	if err != nil {
		return nil, err
	}
	return n.Apply(r, v)
}

// A Binary applies an operator to two values.
type Binary struct {
	Left, Right Node
	Apply       Operator
}

// An Operator makes a value of two.
type Operator func(r *Run, a, b any) (any, error)

// Eval returns what the operator makes of the values.
func (n *Binary) Eval(r *Run) (any, error) {
	a, err := n.Left.Eval(r)
	if err != nil {
		return nil, err
	}
	b, err := n.Right.Eval(r)
	if err != nil {
		return nil, err
	}
	return n.Apply(r, a, b)
}

// ArrayOf makes an array. A key that is nil counts up.
type ArrayOf struct {
	Keys   []Node
	Values []Node
}

// arrayCost is about how many bytes an item of an array takes.
const arrayCost = 48

// Eval returns the array.
func (n *ArrayOf) Eval(r *Run) (any, error) {
	if err := r.Make(arrayCost * len(n.Values)); err != nil {
		return nil, err
	}
	a := value.NewArray(len(n.Values))
	for i, node := range n.Values {
		var key any
		if n.Keys[i] != nil {
			var err error
			if key, err = n.Keys[i].Eval(r); err != nil {
				return nil, err
			}
		}
		v, err := node.Eval(r)
		if err != nil {
			return nil, err
		}
		if n.Keys[i] == nil {
			a.Append(v)
			continue
		}
		k, ok := value.AsKey(key)
		if !ok {
			return nil, fmt.Errorf("%s cannot be a key", value.Describe(key))
		}
		a.Put(k, v)
	}
	return a, nil
}
