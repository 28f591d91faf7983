package twig

import (
	"github.com/buglehq/bugle/value"
)

// IsSingle reports whether the template is one {{ expression }} and nothing else, so that it has a
// value beside its text.
func (t *Template) IsSingle() bool {
	if len(t.body) != 1 {
		return false
	}
	_, ok := t.body[0].(*printed)
	return ok
}

// Value returns the value of the expression that the template is, as IsSingle says, rather than its
// text; null if it is no single expression. It is a value of package value, or a value.Date. Errors are
// those of Render.
func (t *Template) Value(variables *value.Array) (any, error) {
	if !t.IsSingle() {
		return nil, nil
	}
	v, err := t.body[0].(*printed).node.Eval(&t.begin(variables).Run)
	if err != nil {
		return nil, t.source.Wrap(0, err)
	}
	switch v := plain(v).(type) {
	case missing:
		return nil, nil
	default:
		return v, nil
	}
}
