package expression

import (
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/buglehq/bugle/internal/engine"
	"github.com/buglehq/bugle/internal/spelling"
	"github.com/buglehq/bugle/value"
)

// maxDepth is how deep a source may be nested.
const maxDepth = 1000

// A binary operator binds the tighter the higher its precedence is.
type binary struct {
	precedence int
	right      bool // a ** b ** c is a ** (b ** c)
	apply      engine.Operator
	node       func(left, right engine.Node) engine.Node // in place of apply
}

var binaries = map[string]binary{
	"or": {precedence: 10, node: either}, "||": {precedence: 10, node: either},
	"xor": {precedence: 12, apply: engine.Xor},
	"and": {precedence: 15, node: both}, "&&": {precedence: 15, node: both},
	"|": {precedence: 16, apply: engine.BitOr}, "^": {precedence: 17, apply: engine.BitXor}, "&": {precedence: 18, apply: engine.BitAnd},
	"==": {precedence: 20, apply: engine.Equal}, "!=": {precedence: 20, apply: engine.NotEqual},
	"===": {precedence: 20, apply: engine.Identical}, "!==": {precedence: 20, apply: engine.NotIdentical},
	"<": {precedence: 20, apply: engine.Less}, ">": {precedence: 20, apply: engine.Greater},
	"<=": {precedence: 20, apply: engine.LessOrEqual}, ">=": {precedence: 20, apply: engine.GreaterOrEqual},
	"in": {precedence: 20, apply: in}, "not in": {precedence: 20, apply: notIn},
	"contains": {precedence: 20, apply: engine.Contains}, "starts with": {precedence: 20, apply: engine.StartsWith},
	"ends with": {precedence: 20, apply: engine.EndsWith}, "matches": {precedence: 20, apply: engine.Matches},
	"..": {precedence: 25, apply: engine.Range}, "<<": {precedence: 25, apply: engine.ShiftLeft}, ">>": {precedence: 25, apply: engine.ShiftRight},
	"+": {precedence: 30, apply: engine.Add}, "-": {precedence: 30, apply: engine.Subtract},
	"~": {precedence: 40, apply: engine.Concatenate},
	"*": {precedence: 60, apply: engine.Multiply}, "/": {precedence: 60, apply: engine.Divide}, "%": {precedence: 60, apply: engine.Modulo},
	"**": {precedence: 200, right: true, apply: engine.Power},
}

func either(left, right engine.Node) engine.Node { return &engine.Or{Left: left, Right: right} }
func both(left, right engine.Node) engine.Node   { return &engine.And{Left: left, Right: right} }

// A unary operator takes what binds at least as tight as its precedence.
type unary struct {
	precedence int
	apply      func(r *engine.Run, v any) (any, error)
}

var unaries = map[string]unary{
	"not": {50, not}, "!": {50, not},
	"-": {500, engine.Negate}, "+": {500, same}, "~": {500, engine.BitNot},
}

// same is the unary +, which does nothing to a value.
func same(_ *engine.Run, v any) (any, error) { return v, nil }

func not(_ *engine.Run, v any) (any, error) { return !value.Truthy(v), nil }

// in is strict: 5 is not in ["5"].
func in(r *engine.Run, a, b any) (any, error) {
	list, ok := b.(*value.Array)
	if !ok {
		return nil, fmt.Errorf("what is right of in must be an array, not %s", value.Describe(b))
	}
	return engine.Find(r, a, list, value.IdenticalWithin)
}

func notIn(r *engine.Run, a, b any) (any, error) {
	found, err := in(r, a, b)
	return found == false, err
}

type parser struct {
	source    *engine.Source
	tokens    []token
	at        int
	depth     int
	names     []string
	functions map[string]Function
	uses      int    // of variables and functions so far: without one, an expression is constant
	trace     *trace // notes the values of the parts; nil: none are wanted
}

func (p *parser) token() token { return p.tokens[p.at] }

func (p *parser) is(k kind, text string) bool { return p.token().kind == k && p.token().text == text }

// accept passes over a punctuation if it is next.
func (p *parser) accept(text string) bool {
	if !p.is(punctuation, text) {
		return false
	}
	p.at++
	return true
}

func (p *parser) expect(text string) error {
	if !p.accept(text) {
		return p.fail("%q is missing before %s", text, p.token().describe())
	}
	return nil
}

func (p *parser) fail(format string, args ...any) error {
	return p.source.Fail(p.token().offset, fmt.Sprintf(format, args...))
}

// whole parses the source from beginning to end.
func (p *parser) whole() (engine.Node, error) {
	n, err := p.expression(0)
	if err == nil && p.token().kind != end {
		err = p.fail("unexpected %s", p.token().describe())
	}
	return n, err
}

// expression parses operators that bind at least as tight as the precedence; 0 is all there is.
func (p *parser) expression(precedence int) (engine.Node, error) {
	if p.depth++; p.depth > maxDepth {
		return nil, p.fail("it is nested more than %d levels deep", maxDepth)
	}
	defer func() { p.depth-- }()
	m := p.mark()
	left, err := p.operand()
	if err != nil {
		return nil, err
	}
	for {
		t := p.token()
		op, ok := binaries[t.text]
		if t.kind != operator || !ok || op.precedence < precedence {
			break
		}
		p.at++
		next := op.precedence + 1
		if op.right {
			next = op.precedence
		}
		right, err := p.expression(next)
		if err != nil {
			return nil, err
		}
		left = p.joined(t.text, p.binary(t, op, left, right), m, left, right)
	}
	if precedence > 0 {
		return left, nil
	}
	return p.conditional(left, m)
}

func (p *parser) binary(t token, op binary, left, right engine.Node) engine.Node {
	if op.node != nil {
		return op.node(left, right)
	}
	return &engine.At{Node: &engine.Binary{Left: left, Right: right, Apply: op.apply}, Source: p.source, Offset: t.offset}
}

// conditional parses ?? and ? : behind an expression that began at the mark.
func (p *parser) conditional(left engine.Node, m mark) (engine.Node, error) {
	for p.accept("??") {
		right, err := p.expression(0)
		if err != nil {
			return nil, err
		}
		left = p.joined("??", &engine.Coalesce{Left: left, Right: right}, m)
	}
	for {
		n := &engine.Conditional{Test: left, No: &engine.Literal{}}
		var err error
		switch {
		case p.accept("?:"):
			n.No, err = p.expression(0)
		case p.accept("?"):
			if p.accept(":") {
				n.No, err = p.expression(0)
				break
			}
			if n.Yes, err = p.expression(0); err == nil && p.accept(":") {
				n.No, err = p.expression(0)
			}
		default:
			return left, nil
		}
		if err != nil {
			return nil, err
		}
		left = p.joined("?", n, m)
	}
}

func (p *parser) operand() (engine.Node, error) {
	m := p.mark()
	n, err := p.untraced(m)
	if err != nil {
		return nil, err
	}
	return p.traced(n, m), nil
}

// untraced is operand before it notes its value.
func (p *parser) untraced(m mark) (engine.Node, error) {
	t := p.token()
	if op, ok := unaries[t.text]; ok && t.kind == operator {
		p.at++
		inner, err := p.expression(op.precedence)
		if err != nil {
			return nil, err
		}
		return p.postfix(p.joined(t.text, &engine.At{Node: &engine.Unary{Operand: inner, Apply: op.apply}, Source: p.source, Offset: t.offset}, m))
	}
	if p.accept("(") {
		inner, err := p.expression(0)
		if err == nil {
			err = p.expect(")")
		}
		if err != nil {
			return nil, err
		}
		return p.postfix(inner)
	}
	return p.primary()
}

var constants = map[string]any{"true": true, "TRUE": true, "false": false, "FALSE": false, "null": nil, "NULL": nil}

func (p *parser) primary() (engine.Node, error) {
	t := p.token()
	switch {
	case t.kind == literal:
		p.at++
		return &engine.Literal{Value: t.value}, nil
	case p.is(punctuation, "["):
		return p.then(p.array())
	case p.is(punctuation, "{"):
		return p.then(p.hash())
	case t.kind == operator && t.text == "contains" && p.tokens[p.at+1].text == "(": // the function, not the operator
	case t.kind != name:
		return nil, p.fail("unexpected %s", t.describe())
	}
	p.at++
	if v, ok := constants[t.text]; ok {
		return &engine.Literal{Value: v}, nil
	}
	if p.is(punctuation, "(") {
		return p.then(p.call(t))
	}
	return p.then(p.variable(t))
}

// then parses what may follow a node directly.
func (p *parser) then(n engine.Node, err error) (engine.Node, error) {
	if err != nil {
		return nil, err
	}
	return p.postfix(n)
}

func (p *parser) variable(t token) (engine.Node, error) {
	slot := slices.Index(p.names, t.text)
	if slot >= 0 {
		p.uses++
		return variable(slot), nil
	}
	err := p.source.Fail(t.offset, fmt.Sprintf("there is no variable %q", t.text))
	err.Suggestion = spelling.Closest(t.text, p.names)
	if p.is(punctuation, "??") {
		return &engine.Literal{}, nil
	}
	return nil, err
}

func (p *parser) call(t token) (engine.Node, error) {
	f, ok := p.functions[t.text]
	if !ok {
		err := p.source.Fail(t.offset, fmt.Sprintf("there is no function %q", t.text))
		err.Suggestion = spelling.Closest(t.text, slices.Sorted(maps.Keys(p.functions)))
		return nil, err
	}
	p.uses++
	args, err := p.arguments()
	if err != nil {
		return nil, err
	}
	if len(args) < f.Min || f.Max >= 0 && len(args) > f.Max {
		return nil, p.source.Fail(t.offset, fmt.Sprintf("the function %s takes %s, not %d", t.text, f.arity(), len(args)))
	}
	return &engine.At{Node: &call{function: f.Call, args: args, names: p.names}, Source: p.source, Offset: t.offset}, nil
}

// arguments parses (a, b).
func (p *parser) arguments() ([]engine.Node, error) {
	if err := p.expect("("); err != nil {
		return nil, err
	}
	var args []engine.Node
	for !p.is(punctuation, ")") {
		if len(args) > 0 {
			if err := p.expect(","); err != nil {
				return nil, err
			}
		}
		arg, err := p.expression(0)
		if err != nil {
			return nil, err
		}
		args = append(args, arg)
	}
	p.at++
	return args, nil
}

func (p *parser) array() (engine.Node, error) {
	p.at++
	n := &engine.ArrayOf{}
	for !p.accept("]") {
		if len(n.Values) > 0 {
			if err := p.expect(","); err != nil {
				return nil, err
			}
			if p.accept("]") {
				break
			}
		}
		item, err := p.expression(0)
		if err != nil {
			return nil, err
		}
		n.Keys, n.Values = append(n.Keys, nil), append(n.Values, item)
	}
	return n, nil
}

func (p *parser) hash() (engine.Node, error) {
	opening := p.token()
	p.at++
	n := &engine.ArrayOf{}
	for !p.accept("}") {
		if len(n.Values) > 0 {
			if err := p.expect(","); err != nil {
				return nil, err
			}
			if p.accept("}") {
				break
			}
		}
		key, err := p.key()
		if err == nil {
			err = p.expect(":")
		}
		if err != nil {
			return nil, err
		}
		item, err := p.expression(0)
		if err != nil {
			return nil, err
		}
		n.Keys, n.Values = append(n.Keys, key), append(n.Values, item)
	}
	return &engine.At{Node: n, Source: p.source, Offset: opening.offset}, nil
}

func (p *parser) key() (engine.Node, error) {
	t := p.token()
	switch {
	case t.kind == literal:
		p.at++
		return &engine.Literal{Value: t.value}, nil
	case t.kind == name:
		p.at++
		return &engine.Literal{Value: t.text}, nil
	case p.accept("("):
		key, err := p.expression(0)
		if err == nil {
			err = p.expect(")")
		}
		return key, err
	}
	return nil, p.fail("a key must be a name, a text, a number or an expression in brackets, not %s", t.describe())
}

// postfix parses .name, ?.name, .name(…) and [key] behind a node.
func (p *parser) postfix(n engine.Node) (engine.Node, error) {
	for p.token().kind == punctuation {
		t := p.token()
		switch t.text {
		case ".", "?.":
			p.at++
			member := p.token()
			if member.kind != name && (member.kind != operator || engine.Name(member.text) != len(member.text)) {
				return nil, p.fail("a name is missing after %q, before %s", t.text, member.describe())
			}
			p.at++
			a := &access{base: n, key: &engine.Literal{Value: member.text}, member: true, nullSafe: t.text == "?."}
			if p.is(punctuation, "(") {
				var err error
				if a.args, err = p.arguments(); err != nil {
					return nil, err
				}
				a.method = true
			}
			n = &engine.At{Node: a, Source: p.source, Offset: member.offset}
		case "[":
			p.at++
			key, err := p.expression(0)
			if err == nil {
				err = p.expect("]")
			}
			if err != nil {
				return nil, err
			}
			n = &engine.At{Node: &access{base: n, key: key}, Source: p.source, Offset: t.offset}
		default:
			return n, nil
		}
	}
	return n, nil
}

// arity says how many arguments a function takes.
func (f Function) arity() string {
	switch {
	case f.Max < 0:
		return "at least " + plural(f.Min)
	case f.Min == f.Max:
		return plural(f.Min)
	}
	return strconv.Itoa(f.Min) + " to " + plural(f.Max)
}

func plural(n int) string {
	if n == 1 {
		return "1 argument"
	}
	return strconv.Itoa(n) + " arguments"
}
