package expression

import (
	"fmt"

	"github.com/buglehq/bugle/internal/engine"
	"github.com/buglehq/bugle/value"
)

// variable is the place of a variable's value.
type variable int

// Eval returns the variable's value.
func (n variable) Eval(r *engine.Run) (any, error) { return r.Slots[n], nil }

// access is base[key], base.key or base.key(args).
type access struct {
	base     engine.Node
	key      engine.Node
	member   bool // written with a point
	nullSafe bool // with ?.
	method   bool
	args     []engine.Node
}

// skipped is what a chain of accesses has for a value once ?. met null: null, whatever follows.
type skipped struct{}

// Eval returns the item, or an error if there is none.
func (n *access) Eval(r *engine.Run) (any, error) {
	v, err := n.chain(r)
	if _, skip := v.(skipped); skip {
		return nil, err
	}
	return v, err
}

// chain is Eval for the access before another one.
func (n *access) chain(r *engine.Run) (any, error) {
	base, err := evalBase(n.base, r)
	if err != nil {
		return nil, err
	}
	if _, skip := base.(skipped); skip || base == nil && n.nullSafe {
		return skipped{}, nil
	}
	v, there, err := n.item(r, base)
	if err == nil && !there {
		key, _ := n.key.Eval(r)
		err = fmt.Errorf("there is no key %s", value.Describe(key))
	}
	return v, err
}

// evalBase evaluates what an access is behind, so that a chain which is skipped stays so.
func evalBase(base engine.Node, r *engine.Run) (any, error) {
	switch base := base.(type) {
	case *engine.At:
		if inner, ok := base.Node.(*access); ok {
			v, err := inner.chain(r)
			if err != nil {
				return nil, base.Source.Wrap(base.Offset, err)
			}
			return v, nil
		}
	case *traced:
		v, err := evalBase(base.node, r)
		base.note(v, err)
		return v, err
	}
	return base.Eval(r)
}

// Probe returns the item if it and everything before it is there.
func (n *access) Probe(r *engine.Run) (any, bool, error) {
	base, there, err := engine.Probe(n.base, r)
	if err != nil || !there || base == nil {
		return nil, false, err
	}
	return n.item(r, base)
}

// item returns what is in a base that is there.
func (n *access) item(r *engine.Run, base any) (v any, there bool, err error) {
	key, err := n.key.Eval(r)
	if err != nil {
		return nil, false, err
	}
	if array, ok := base.(*value.Array); ok && !n.method {
		k, ok := value.AsKey(key)
		if !ok {
			return nil, false, fmt.Errorf("%s cannot be a key", value.Describe(key))
		}
		v, there = array.At(k)
		return v, there, nil
	}
	if date, ok := base.(value.Date); ok && n.method {
		v, err = n.dateMethod(r, date, fmt.Sprint(key))
		return v, true, err
	}
	switch {
	case n.method:
		return nil, false, fmt.Errorf("%s has no methods to call", value.Describe(base))
	case n.member:
		return nil, false, fmt.Errorf("%s has no %q in it", value.Describe(base), key)
	}
	return nil, false, fmt.Errorf("%s has no items: it is no array", value.Describe(base))
}

func (n *access) dateMethod(r *engine.Run, date value.Date, method string) (any, error) {
	args := make([]any, len(n.args))
	for i, arg := range n.args {
		var err error
		if args[i], err = arg.Eval(r); err != nil {
			return nil, err
		}
	}
	switch {
	case method == "format" && len(args) == 1:
		layout, err := engine.Text(args[0])
		if err != nil {
			return nil, err
		}
		if err := r.Make(32 * len(layout)); err != nil {
			return nil, err
		}
		return value.FormatDate(date.Time, layout), nil
	case method == "getTimestamp" && len(args) == 0:
		return date.Unix(), nil
	}
	return nil, fmt.Errorf(`dates have the methods format("Y-m-d") and getTimestamp(), not %s with %s`, method, plural(len(args)))
}
