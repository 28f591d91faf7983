package expression

import (
	"cmp"
	"slices"

	"github.com/buglehq/bugle/internal/engine"
)

// A Part is a part of a condition that depends on something: a variable with what is read of it, a call
// of a function, or what operators make of such. Constants are none.
type Part struct {
	Source    string // its text
	Line      int    // where that begins, from 1
	Column    int    // in characters, from 1
	Value     any    // shared with the variables: not to be changed; nil unless Evaluated
	Evaluated bool   // false: what stands before it made it superfluous, or there was an error first
	Failed    bool   // the error is of this part, or of one within it
}

// MaxParts is how many parts Explain returns at most.
const MaxParts = 100

// Explain evaluates the condition as Eval does, within the same limits, and returns the values of its
// parts as well, in the order of the source and the outer before the inner ones. If there are more than
// MaxParts, the first ones are returned. The condition as a whole is a part only if it is a comparison,
// a call or the like: of one that joins others by and, or, not, ?? or ?:, they are the parts. An error
// comes with the parts as they were then. Explain takes longer than Eval, because it compiles the
// condition anew.
func (p *Program) Explain(values ...any) (parts []Part, result any, err error) {
	if err := p.check(values); err != nil {
		return nil, nil, err
	}
	var t trace
	node, err := parse(p.source, p.names, p.functions, &t)
	if err != nil {
		return nil, nil, err
	}
	result, err = node.Eval(engine.NewRun(values, limits))
	if whole, ok := node.(*traced); ok && whole.joins != "" {
		whole.left = true
	}
	return t.parts(&engine.Source{Text: p.source}), result, err
}

// A trace is where the nodes of a program are that note their values.
type trace struct{ nodes []*traced }

// parts returns those that are not left out.
func (t *trace) parts(s *engine.Source) []Part {
	slices.SortStableFunc(t.nodes, func(a, b *traced) int {
		return cmp.Or(cmp.Compare(a.start, b.start), cmp.Compare(b.end, a.end))
	})
	var parts []Part
	for _, n := range t.nodes {
		if n.left {
			continue
		}
		if len(parts) == MaxParts {
			break
		}
		part := n.part
		place := s.Fail(n.start, "")
		part.Source, part.Line, part.Column = s.Text[n.start:n.end], place.Line, place.Column
		parts = append(parts, part)
	}
	return parts
}

// traced is a node that notes its value.
type traced struct {
	node       engine.Node
	part       Part
	start, end int    // of its text in the source
	joins      string // the operator, if it is one that joins conditions
	left       bool   // out of the parts
}

func (n *traced) note(v any, err error) {
	if _, skip := v.(skipped); skip {
		v = nil
	}
	n.part.Value, n.part.Evaluated, n.part.Failed = v, err == nil, err != nil
	if err != nil {
		n.part.Value = nil
	}
}

// Eval evaluates the node.
func (n *traced) Eval(r *engine.Run) (any, error) {
	v, err := n.node.Eval(r)
	n.note(v, err)
	return v, err
}

// Probe probes the node. What is not there is null.
func (n *traced) Probe(r *engine.Run) (any, bool, error) {
	v, there, err := engine.Probe(n.node, r)
	n.note(v, err)
	return v, there, err
}

// A mark is a place in the source, from which on an expression is parsed.
type mark struct{ offset, uses int }

func (p *parser) mark() mark { return mark{p.token().offset, p.uses} }

// traced lets the node note its value that was parsed since the mark, if values are wanted and it has any
// but a constant one.
func (p *parser) traced(n engine.Node, since mark) engine.Node {
	if p.trace == nil || p.uses == since.uses {
		return n
	}
	if _, ok := n.(*traced); ok { // it is in brackets
		return n
	}
	last := p.tokens[p.at-1]
	made := &traced{node: n, start: since.offset, end: last.offset + len(last.text)}
	p.trace.nodes = append(p.trace.nodes, made)
	return made
}

// joining are the operators of conditions that are made of conditions, under one name each.
var joining = map[string]string{"and": "and", "&&": "and", "or": "or", "||": "or", "xor": "xor", "not": "not", "!": "not", "??": "??", "?": "?"}

// joined is traced for what an operator makes of some nodes. Of those that the same one has joined, the
// parts do for all: a and b and c has three.
func (p *parser) joined(operator string, n engine.Node, since mark, of ...engine.Node) engine.Node {
	made, ok := p.traced(n, since).(*traced)
	if !ok {
		return n
	}
	made.joins = joining[operator]
	for _, side := range of {
		if inner, ok := side.(*traced); ok && (made.joins == "and" || made.joins == "or") && inner.joins == made.joins {
			inner.left = true
		}
	}
	return made
}
