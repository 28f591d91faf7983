package twig

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/buglehq/bugle/internal/engine"
	"github.com/buglehq/bugle/internal/spelling"
	"github.com/buglehq/bugle/value"
)

// maxDepth is how deep a template may be nested.
const maxDepth = 150

type parser struct {
	template *Template
	source   *engine.Source
	tokens   []token
	at       int
	depth    int
	frame    *frame
	strategy string // that expressions are escaped by
}

func (p *parser) token() token { return p.tokens[p.at] }

func (p *parser) is(k kind, text string) bool { return p.token().kind == k && p.token().text == text }

func (p *parser) accept(k kind, text string) bool {
	if !p.is(k, text) {
		return false
	}
	p.at++
	return true
}

func (p *parser) expect(k kind, text string) error {
	if !p.accept(k, text) {
		return p.fail("%q is missing before %s", text, p.token().describe())
	}
	return nil
}

func (p *parser) fail(format string, args ...any) error {
	return p.source.Fail(p.token().offset, fmt.Sprintf(format, args...))
}

// placed gives a node's errors the position of a token.
func (p *parser) placed(t token, n engine.Node) engine.Node {
	return &engine.At{Node: n, Source: p.source, Offset: t.offset}
}

// deeper counts how deep the template is nested.
func (p *parser) deeper() error {
	if p.depth++; p.depth > maxDepth {
		return p.fail("it is nested more than %d levels deep", maxDepth)
	}
	return nil
}

// A binary operator binds the tighter the higher its precedence is.
type binary struct {
	precedence int
	right      bool
	apply      engine.Operator
	node       func(left, right engine.Node) engine.Node // in place of apply
}

var binaries = map[string]binary{
	"or":   {precedence: 10, node: func(l, r engine.Node) engine.Node { return &engine.Or{Left: l, Right: r} }},
	"xor":  {precedence: 12, apply: engine.Xor},
	"and":  {precedence: 15, node: func(l, r engine.Node) engine.Node { return &engine.And{Left: l, Right: r} }},
	"b-or": {precedence: 16, apply: engine.BitOr}, "b-xor": {precedence: 17, apply: engine.BitXor}, "b-and": {precedence: 18, apply: engine.BitAnd},
	"==": {precedence: 20, apply: loose(engine.Equal)}, "!=": {precedence: 20, apply: loose(engine.NotEqual)},
	"===": {precedence: 20, apply: loose(engine.Identical)}, "!==": {precedence: 20, apply: loose(engine.NotIdentical)},
	"<=>": {precedence: 20, apply: loose(engine.Spaceship)},
	"<":   {precedence: 20, apply: loose(engine.Less)}, ">": {precedence: 20, apply: loose(engine.Greater)},
	"<=": {precedence: 20, apply: loose(engine.LessOrEqual)}, ">=": {precedence: 20, apply: loose(engine.GreaterOrEqual)},
	"in": {precedence: 20, apply: loose(in)}, "not in": {precedence: 20, apply: loose(notIn)}, "matches": {precedence: 20, apply: loose(engine.Matches)},
	"starts with": {precedence: 20, apply: loose(startsWith)}, "ends with": {precedence: 20, apply: loose(endsWith)},
	"has some": {precedence: 20, apply: hasSome}, "has every": {precedence: 20, apply: hasEvery},
	"..": {precedence: 25, apply: loose(engine.Range)},
	"+":  {precedence: 30, apply: loose(engine.Add)}, "-": {precedence: 30, apply: loose(engine.Subtract)},
	"~": {precedence: 40, apply: loose(engine.Concatenate)},
	"*": {precedence: 60, apply: loose(engine.Multiply)}, "/": {precedence: 60, apply: loose(engine.Divide)},
	"//": {precedence: 60, apply: loose(floorDivide)}, "%": {precedence: 60, apply: loose(engine.Modulo)},
	"**": {precedence: 200, right: true, apply: loose(engine.Power)},
	"??": {precedence: 300, right: true, node: func(l, r engine.Node) engine.Node { return &engine.Coalesce{Left: l, Right: r} }},
}

// precedences of what is no plain binary operator.
const (
	precedenceNot   = 50
	precedenceTests = 100
	precedenceSigns = 500
)

// in is loose, but not between numbers and texts that are none.
func in(r *engine.Run, a, b any) (any, error) {
	switch b := b.(type) {
	case *value.Array:
		return engine.Find(r, a, b, equalPlain)
	case string:
		if text, ok := value.Text(a); ok && a != nil && a != true && a != false {
			return strings.Contains(b, text), r.Read(len(b))
		}
	}
	return false, nil
}

func equalPlain(b value.Budget, v, item any) (bool, error) {
	return value.EqualWithin(b, v, plain(item))
}

func notIn(r *engine.Run, a, b any) (any, error) {
	found, err := in(r, a, b)
	return found == false, err
}

// startsWith and endsWith are false for what is no text.
func startsWith(r *engine.Run, a, b any) (any, error) {
	if !areTexts(a, b) {
		return false, nil
	}
	return engine.StartsWith(r, a, b)
}

func endsWith(r *engine.Run, a, b any) (any, error) {
	if !areTexts(a, b) {
		return false, nil
	}
	return engine.EndsWith(r, a, b)
}

func areTexts(a, b any) bool {
	_, x := a.(string)
	_, y := b.(string)
	return x && y
}

func floorDivide(r *engine.Run, a, b any) (any, error) {
	v, err := engine.Divide(r, a, b)
	if err != nil {
		return nil, err
	}
	return value.Floor(v), nil
}

func hasSome(r *engine.Run, a, b any) (any, error) { return quantified(r, a, b, true) }

func hasEvery(r *engine.Run, a, b any) (any, error) { return quantified(r, a, b, false) }

// quantified looks for an item for which the arrow function is as wanted: one makes some, none
// makes every.
func quantified(r *engine.Run, a, b any, some bool) (any, error) {
	list, ok := a.(*value.Array)
	if !ok {
		return nil, fmt.Errorf("what is left of has must be an array, not %s", value.Describe(a))
	}
	for key, item := range list.All() {
		v, err := hostOf(r).invoke(b, item, keyValue(key))
		if err != nil {
			return nil, err
		}
		if value.Truthy(plain(v)) == some {
			return some, nil
		}
	}
	return !some, nil
}

// expression parses an expression whose operators bind at least as tight as the precedence; 0 is all
// there is.
func (p *parser) expression(precedence int) (engine.Node, error) {
	if err := p.deeper(); err != nil {
		return nil, err
	}
	defer func() { p.depth-- }()
	if precedence == 0 {
		if a, err := p.arrow(); a != nil || err != nil {
			return a, err
		}
	}
	left, err := p.operand()
	if err != nil {
		return nil, err
	}
	for p.token().kind == operator {
		t := p.token()
		if t.text == "is" || t.text == "is not" {
			if precedenceTests < precedence {
				break
			}
			p.at++
			if left, err = p.test(t, left); err != nil {
				return nil, err
			}
			continue
		}
		op, ok := binaries[t.text]
		if !ok || op.precedence < precedence {
			break
		}
		p.at++
		next := op.precedence + 1
		if op.right {
			next = op.precedence
		}
		right, err := p.right(t, next)
		if err != nil {
			return nil, err
		}
		if op.node != nil {
			left = op.node(left, right)
		} else {
			left = p.placed(t, &engine.Binary{Left: left, Right: right, Apply: op.apply})
		}
	}
	if precedence > 0 {
		return left, nil
	}
	return p.conditional(left)
}

// right parses what is right of a binary operator.
func (p *parser) right(t token, precedence int) (engine.Node, error) {
	if t.text == "has some" || t.text == "has every" {
		return p.expression(0)
	}
	return p.expression(precedence)
}

// arrow parses v => …, or (k, v) => …, if that is next.
func (p *parser) arrow() (engine.Node, error) {
	start := p.at
	var params []string
	switch {
	case p.token().kind == name && p.tokens[p.at+1].kind == operator && p.tokens[p.at+1].text == "=>":
		params = append(params, p.token().text)
		p.at++
	case p.is(punctuation, "("):
		p.at++
		for p.token().kind == name {
			params = append(params, p.token().text)
			p.at++
			if !p.accept(punctuation, ",") {
				break
			}
		}
		if !p.accept(punctuation, ")") {
			p.at = start
			return nil, nil
		}
	}
	if !p.accept(operator, "=>") {
		p.at = start
		return nil, nil
	}
	a := &arrow{}
	for _, param := range params {
		if unassignable(param) {
			p.at = start
			return nil, p.fail("%q cannot be set", param)
		}
		a.slots = append(a.slots, p.frame.slot(param))
	}
	var err error
	a.body, err = p.expression(0)
	return a, err
}

// conditional parses ? : and = behind an expression.
func (p *parser) conditional(left engine.Node) (engine.Node, error) {
	for {
		n := &engine.Conditional{Test: left, No: &engine.Literal{Value: ""}}
		var err error
		switch {
		case p.accept(operator, "?:"):
			n.No, err = p.expression(0)
		case p.accept(operator, "?"):
			if p.accept(punctuation, ":") {
				n.No, err = p.expression(0)
				break
			}
			if n.Yes, err = p.expression(0); err == nil && p.accept(punctuation, ":") {
				n.No, err = p.expression(0)
			}
		case p.is(operator, "="):
			return p.assignment(left)
		default:
			return left, nil
		}
		if err != nil {
			return nil, err
		}
		left = n
	}
}

// assignment parses = and what follows it.
func (p *parser) assignment(left engine.Node) (engine.Node, error) {
	if at, ok := left.(*engine.At); ok {
		left = at.Node
	}
	switch to := left.(type) {
	case *variable:
		p.at++
		v, err := p.expression(0)
		return &assign{to.slot, v}, err
	case *arrayOf:
		n := &destructuring{strict: p.template.options.Strict}
		byKey := slices.ContainsFunc(to.keys, func(key engine.Node) bool { return key != nil })
		for i, target := range to.values {
			if at, ok := target.(*engine.At); ok {
				target = at.Node
			}
			slot := -1
			switch target := target.(type) {
			case *variable:
				slot = target.slot
			case emptyPlace:
			default:
				return nil, p.fail("only variables can be given values by =")
			}
			n.slots = append(n.slots, slot)
			if byKey {
				key, ok := to.keys[i].(*engine.Literal)
				if !ok {
					return nil, p.fail("what is taken from a map by = needs a key that is a name, a text or a number")
				}
				n.keys = append(n.keys, key.Value)
			}
		}
		equals := p.token()
		p.at++
		var err error
		n.value, err = p.expression(0)
		return p.placed(equals, n), err
	}
	return nil, p.fail("only a variable can be given a value by =")
}

// isWord reports whether a token is a name, or an operator that looks like one.
func isWord(t token) bool {
	return t.kind == name || t.kind == operator && engine.Name(t.text) == len(t.text)
}

// unassignable reports whether a name means the same always.
func unassignable(word string) bool {
	_, isConstant := constants[word]
	return isConstant || word == "_self" || word == "_context"
}

func (p *parser) operand() (engine.Node, error) {
	t := p.token()
	if t.kind == operator {
		switch t.text {
		case "not":
			p.at++
			inner, err := p.expression(precedenceNot)
			return &engine.Not{Operand: inner}, err
		case "-", "+":
			p.at++
			inner, err := p.expression(precedenceSigns)
			if power := p.token(); err == nil && p.accept(operator, "**") { // binds tighter, as it does in PHP
				var exponent engine.Node
				exponent, err = p.expression(binaries["**"].precedence)
				inner = p.placed(power, &engine.Binary{Left: inner, Right: exponent, Apply: loose(engine.Power)})
			}
			if err != nil {
				return nil, err
			}
			apply := engine.Negate
			if t.text == "+" {
				apply = engine.Plus
			}
			return p.postfix(p.placed(t, &engine.Unary{Operand: inner, Apply: func(r *engine.Run, v any) (any, error) { return apply(r, plain(v)) }}))
		}
	}
	if p.accept(punctuation, "(") {
		inner, err := p.expression(0)
		if err == nil {
			err = p.expect(punctuation, ")")
		}
		if err != nil {
			return nil, err
		}
		return p.postfix(inner)
	}
	n, err := p.primary()
	if err != nil {
		return nil, err
	}
	return p.postfix(n)
}

var constants = map[string]any{"true": true, "TRUE": true, "false": false, "FALSE": false, "none": nil, "NONE": nil, "null": nil, "NULL": nil}

func (p *parser) primary() (engine.Node, error) {
	t := p.token()
	switch {
	case t.kind == number || t.kind == str:
		p.at++
		return &engine.Literal{Value: t.value}, nil
	case t.kind == interpolated:
		p.at++
		return p.interpolated(t)
	case p.is(punctuation, "["):
		return p.array("]", false)
	case p.is(punctuation, "{"):
		return p.array("}", true)
	case !isWord(t): // an operator of letters is a name where no operator can be
		return nil, p.fail("unexpected %s", t.describe())
	}
	p.at++
	if v, ok := constants[t.text]; ok {
		return &engine.Literal{Value: v}, nil
	}
	if p.is(punctuation, "(") {
		return p.function(t)
	}
	return p.variable(t), nil
}

func (p *parser) variable(t token) engine.Node {
	switch t.text {
	case "_context":
		return contextNode{}
	case "_self":
		return &engine.Literal{Value: &macros{p.template}}
	}
	if p.is(punctuation, ".") && (p.frame.imported[t.text] || p.template.frame.imported[t.text]) {
		return &engine.Literal{Value: &macros{p.template}}
	}
	n := &variable{name: t.text, slot: p.frame.slot(t.text)}
	if p.template.options.Strict {
		return p.placed(t, n)
	}
	return n
}

func (p *parser) interpolated(t token) (engine.Node, error) {
	n := &concat{}
	for _, part := range t.parts {
		if part.tokens == nil {
			if part.text != "" {
				n.parts = append(n.parts, &engine.Literal{Value: part.text})
			}
			continue
		}
		inner := *p
		inner.tokens, inner.at = part.tokens, 0
		node, err := inner.expression(0)
		if err == nil && inner.token().kind != end {
			err = inner.fail("unexpected %s", inner.token().describe())
		}
		if err != nil {
			return nil, err
		}
		n.parts = append(n.parts, node)
	}
	return p.placed(t, n), nil
}

// array parses [a, b] or {k: v}.
func (p *parser) array(closing string, isMap bool) (engine.Node, error) {
	opening := p.token()
	p.at++
	n := &arrayOf{}
	empty := false // there is an empty place
	for first := true; !p.accept(punctuation, closing); first = false {
		if !first {
			if err := p.expect(punctuation, ","); err != nil {
				return nil, err
			}
			if p.accept(punctuation, closing) {
				break
			}
		}
		var key, item engine.Node
		var err error
		switch {
		case p.accept(operator, "..."):
			item, err = p.expression(0)
			item = &spread{item}
		case isMap:
			key, item, err = p.pair()
		case p.is(punctuation, ","):
			item, empty = emptyPlace{}, true
		default:
			item, err = p.expression(0)
		}
		if err != nil {
			return nil, err
		}
		n.keys, n.values = append(n.keys, key), append(n.values, item)
	}
	if empty && !p.is(operator, "=") {
		return nil, p.source.Fail(opening.offset, "an item is missing between commas")
	}
	return p.placed(opening, n), nil
}

// pair parses a key and its value.
func (p *parser) pair() (key, item engine.Node, err error) {
	t := p.token()
	switch {
	case t.kind == str || t.kind == number:
		p.at++
		key = &engine.Literal{Value: t.value}
	case isWord(t):
		p.at++
		key = &engine.Literal{Value: t.text}
		if p.is(punctuation, ",") || p.is(punctuation, "}") {
			return key, p.variable(t), nil
		}
	case p.is(punctuation, "("):
		p.at++
		if key, err = p.expression(0); err == nil {
			err = p.expect(punctuation, ")")
		}
	case t.kind == interpolated:
		p.at++
		key, err = p.interpolated(t)
	default:
		err = p.fail("a key must be a name, a text, a number or an expression in brackets, not %s", t.describe())
	}
	if err == nil {
		err = p.expect(punctuation, ":")
	}
	if err != nil {
		return nil, nil, err
	}
	item, err = p.expression(0)
	return key, item, err
}

// postfix parses .name, [key] and |filter behind a node.
func (p *parser) postfix(n engine.Node) (engine.Node, error) {
	for {
		t := p.token()
		var err error
		switch {
		case p.accept(punctuation, "."), p.accept(operator, "?."):
			n, err = p.member(t, n)
		case p.accept(punctuation, "["):
			n, err = p.item(t, n)
		case p.accept(operator, "|"):
			n, err = p.filter(n)
		default:
			return n, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

func (p *parser) member(t token, base engine.Node) (engine.Node, error) {
	m := p.token()
	a := &access{base: base, member: true, nullSafe: t.text == "?."}
	switch {
	case isWord(m):
		p.at++
		a.key = &engine.Literal{Value: m.text}
	case m.kind == number:
		p.at++
		a.key = &engine.Literal{Value: m.value}
	case p.accept(punctuation, "("):
		var err error
		if a.key, err = p.expression(0); err == nil {
			err = p.expect(punctuation, ")")
		}
		if err != nil {
			return nil, err
		}
	default:
		return nil, p.fail("a name is missing after %q, before %s", t.text, m.describe())
	}
	if p.is(punctuation, "(") {
		var err error
		a.called = true
		a.args, err = p.arguments()
		return p.placed(m, a), err
	}
	return a, nil
}

// item parses [key] and [from:length].
func (p *parser) item(t token, base engine.Node) (engine.Node, error) {
	var from, length engine.Node
	var err error
	if !p.is(punctuation, ":") {
		if from, err = p.expression(0); err != nil {
			return nil, err
		}
	}
	if !p.accept(punctuation, ":") {
		return p.placed(t, &access{base: base, key: from}), p.expect(punctuation, "]")
	}
	if from == nil {
		from = &engine.Literal{Value: int64(0)}
	}
	if !p.is(punctuation, "]") {
		if length, err = p.expression(0); err != nil {
			return nil, err
		}
	}
	slice := filters["slice"]
	n := &use{callable: &slice, args: []engine.Node{base, from, length, nil}}
	return p.placed(t, n), p.expect(punctuation, "]")
}

// filter parses a filter behind |.
func (p *parser) filter(base engine.Node) (engine.Node, error) {
	t := p.token()
	if t.kind != name {
		return nil, p.fail("the name of a filter is missing before %s", t.describe())
	}
	p.at++
	f, ok := filters[t.text]
	if !ok {
		err := p.source.Fail(t.offset, fmt.Sprintf("there is no filter %q", t.text))
		err.Suggestion = spelling.Closest(t.text, slices.Sorted(maps.Keys(filters)))
		return nil, err
	}
	if written, is := base.(*engine.Literal); is && t.text == "nl2br" { // it would escape what the template says
		if s, isText := written.Value.(string); isText {
			base = &engine.Literal{Value: Markup(s)}
		}
	}
	args := []argument{{node: base}}
	if p.is(punctuation, "(") {
		more, err := p.arguments()
		if err != nil {
			return nil, err
		}
		args = append(args, more...)
	}
	n, err := p.use(t, "filter", &f, args)
	if err != nil {
		return nil, err
	}
	n.probes = t.text == "default"
	return p.placed(t, n), nil
}

// test parses a test behind is or is not.
func (p *parser) test(is token, of engine.Node) (engine.Node, error) {
	t := p.token()
	if !isWord(t) {
		return nil, p.fail("the name of a test is missing before %s", t.describe())
	}
	p.at++
	called := t.text
	if next := p.token(); next.kind == name {
		if _, two := tests[called+" "+next.text]; two {
			called += " " + next.text
			p.at++
		}
	}
	var n engine.Node
	if called == "defined" {
		if !canBeMissing(of) {
			return nil, p.source.Fail(t.offset, "only variables, their items and blocks can be defined or not")
		}
		n = &isDefined{of}
	} else {
		f, ok := tests[called]
		if !ok {
			err := p.source.Fail(t.offset, fmt.Sprintf("there is no test %q", called))
			err.Suggestion = spelling.Closest(called, append(slices.Sorted(maps.Keys(tests)), "defined"))
			return nil, err
		}
		args := []argument{{node: of}}
		switch {
		case p.is(punctuation, "("):
			more, err := p.arguments()
			if err != nil {
				return nil, err
			}
			args = append(args, more...)
		case f.required > 1: // its argument may stand without brackets
			arg, err := p.operand()
			if err != nil {
				return nil, err
			}
			args = append(args, argument{node: arg})
		}
		u, err := p.use(t, "test", &f, args)
		if err != nil {
			return nil, err
		}
		n = p.placed(t, u)
	}
	if is.text == "is not" {
		return &engine.Not{Operand: n}, nil
	}
	return n, nil
}

// canBeMissing reports whether the test defined can look at a node. Literals are always defined.
func canBeMissing(n engine.Node) bool {
	switch n := n.(type) {
	case *engine.At:
		return canBeMissing(n.Node)
	case *variable, *access, *blockCall, *macroCall, *engine.Literal, *arrayOf, contextNode:
		return true
	}
	return false
}

// An argument is one that a call gives, perhaps by name.
type argument struct {
	name string
	node engine.Node
}

// arguments parses (a, b, ...list, name: c).
func (p *parser) arguments() ([]argument, error) {
	if err := p.expect(punctuation, "("); err != nil {
		return nil, err
	}
	var args []argument
	for !p.accept(punctuation, ")") {
		if len(args) > 0 {
			if err := p.expect(punctuation, ","); err != nil {
				return nil, err
			}
			if p.accept(punctuation, ")") {
				break
			}
		}
		var a argument
		next := p.tokens[p.at+1]
		if p.token().kind == name && (next.kind == operator && next.text == "=" || next.kind == punctuation && next.text == ":") {
			a.name = p.token().text
			p.at += 2
		}
		isSpread := a.name == "" && p.accept(operator, "...")
		if !isSpread && a.name == "" && len(args) > 0 && isSpreadNode(args[len(args)-1].node) {
			return nil, p.fail("only named arguments can follow those that are spread")
		}
		var err error
		if a.node, err = p.expression(0); err != nil {
			return nil, err
		}
		if isSpread {
			a.node = &spread{a.node}
		}
		args = append(args, a)
	}
	return args, nil
}

// use puts arguments in the order of the parameters.
func (p *parser) use(t token, what string, c *callable, args []argument) (*use, error) {
	fail := func(format string, args ...any) (*use, error) {
		return nil, p.source.Fail(t.offset, fmt.Sprintf("the %s %q %s", what, t.text, fmt.Sprintf(format, args...)))
	}
	n := &use{callable: c, args: make([]engine.Node, len(c.params))}
	for i, a := range args {
		if isSpreadNode(a.node) {
			n.rest = &restOf{args: args[i:], first: i}
			return n, nil
		}
		if a.name != "" {
			i = slices.Index(c.params, snake(a.name))
			if i < 0 {
				return fail("has no argument %q; it has %s", a.name, strings.Join(c.params, ", "))
			}
			if n.args[i] != nil {
				return fail("is given the argument %q twice", a.name)
			}
		}
		switch {
		case i < len(c.params):
			n.args[i] = a.node
		case c.variadic:
			n.args = append(n.args, a.node)
		default:
			return fail("takes at most %d arguments", len(c.params))
		}
	}
	for i := range c.required {
		if n.args[i] == nil {
			return fail("needs the argument %q", c.params[i])
		}
	}
	return n, nil
}

func isSpreadNode(n engine.Node) bool {
	_, is := n.(*spread)
	return is
}

// snake is a name as parameters are called: preserveKeys is preserve_keys.
func snake(name string) string {
	var b strings.Builder
	for _, c := range name {
		if c >= 'A' && c <= 'Z' {
			b.WriteByte('_')
			c += 'a' - 'A'
		}
		b.WriteRune(c)
	}
	return b.String()
}

// function parses the call of a function or macro.
func (p *parser) function(t token) (engine.Node, error) {
	args, err := p.arguments()
	if err != nil {
		return nil, err
	}
	switch t.text {
	case "parent":
		return nil, p.source.Fail(t.offset, "there is no parent: templates extend no other templates here")
	case "block":
		return p.blockCall(t, args)
	case "attribute":
		if len(args) < 2 {
			return nil, p.source.Fail(t.offset, `the function "attribute" needs a variable and a key`)
		}
		return p.placed(t, &access{base: args[0].node, key: args[1].node, member: true}), nil
	}
	for _, frame := range []*frame{p.frame, p.template.frame} {
		if of, isMacro := frame.macros[t.text]; isMacro {
			return p.placed(t, &macroCall{p.template, of, args}), nil
		}
	}
	f, ok := functions[t.text]
	if !ok {
		err := p.source.Fail(t.offset, fmt.Sprintf("there is no function %q", t.text))
		err.Suggestion = spelling.Closest(t.text, slices.Sorted(maps.Keys(functions)))
		return nil, err
	}
	n, err := p.use(t, "function", &f, args)
	if err != nil {
		return nil, err
	}
	return p.placed(t, n), nil
}

// safeFor reports whether the value of an expression needs no escaping by the strategy.
func safeFor(n engine.Node, strategy string) bool {
	switch n := n.(type) {
	case *engine.At:
		return safeFor(n.Node, strategy)
	case *engine.Literal:
		return true
	case *use:
		return n.callable.safe == "all" || n.callable.safe != "" && n.callable.safe == strategy || n.callable.keeps && len(n.args) > 0 && n.args[0] != nil && safeFor(n.args[0], strategy) && !isLiteral(n.args[0])
	}
	return false
}

func isLiteral(n engine.Node) bool {
	_, is := n.(*engine.Literal)
	return is
}

// escape makes an expression safe to put out.
func escape(n engine.Node, strategy string) engine.Node {
	if strategy == "" || safeFor(n, strategy) {
		return n
	}
	switch n := n.(type) {
	case *engine.Conditional:
		if n.Yes != nil {
			return &engine.Conditional{Test: n.Test, Yes: escape(n.Yes, strategy), No: escape(n.No, strategy)}
		}
		if safeFor(n.Test, strategy) {
			return &engine.Conditional{Test: n.Test, No: escape(n.No, strategy)}
		}
		return &elvis{escaped{n.Test, strategy}, escape(n.No, strategy)}
	case *engine.Coalesce:
		if safeFor(n.Left, strategy) {
			return &engine.Coalesce{Left: n.Left, Right: escape(n.Right, strategy)}
		}
		return &engine.Coalesce{Left: &escaped{n.Left, strategy}, Right: escape(n.Right, strategy)}
	}
	return &escaped{n, strategy}
}
