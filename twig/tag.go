package twig

import (
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/buglehq/bugle/internal/engine"
	"github.com/buglehq/bugle/internal/spelling"
)

// tags are what may follow {%, beside those that end another one.
var tags map[string]func(p *parser, t token) (statement, error)

// It is made here because tags hold templates that hold tags.
func init() {
	tags = map[string]func(p *parser, t token) (statement, error){
		"apply": (*parser).apply, "autoescape": (*parser).autoescape, "block": (*parser).block, "deprecated": (*parser).ignored, "do": (*parser).do,
		"flush": (*parser).ignored, "for": (*parser).loop, "from": (*parser).from, "guard": (*parser).guard, "if": (*parser).choice, "import": (*parser).imported,
		"macro": (*parser).macro, "sandbox": (*parser).sandbox, "set": (*parser).set, "stop": (*parser).stop, "types": (*parser).ignored, "with": (*parser).with,
	}
}

// files are tags that need other templates.
var files = []string{"embed", "extends", "include", "use"}

// body parses up to one of the tags that end it, whose name it returns with the tag's beginning passed
// over; without such tags up to the end of the template.
func (p *parser) body(ends []string) (list []statement, ending string, err error) {
	if err := p.deeper(); err != nil {
		return nil, "", err
	}
	defer func() { p.depth-- }()
	opened := p.token()
	for {
		t := p.token()
		switch t.kind {
		case text:
			p.at++
			list = append(list, words(t.text))
		case printOpen:
			p.at++
			node, err := p.expression(0)
			if err == nil {
				err = p.expect(printClose, "}}")
			}
			if err != nil {
				return nil, "", err
			}
			list = append(list, &printed{p.placed(t, escape(node, p.strategy))})
		case tagOpen:
			p.at++
			s, ending, err := p.tag(ends)
			if err != nil || ending != "" {
				return list, ending, err
			}
			if s != nil {
				list = append(list, s)
			}
		default:
			if ends != nil {
				return nil, "", p.source.Fail(opened.offset, fmt.Sprintf("{%% %s %%} is missing", ends[len(ends)-1]))
			}
			return list, "", nil
		}
	}
}

// tag parses a tag, or returns which of those it is that end the body.
func (p *parser) tag(ends []string) (s statement, ending string, err error) {
	t := p.token()
	if t.kind != name {
		return nil, "", p.fail("the name of a tag is missing before %s", t.describe())
	}
	p.at++
	if slices.Contains(ends, t.text) {
		return nil, t.text, nil
	}
	if slices.Contains(files, t.text) {
		return nil, "", p.source.Fail(t.offset, fmt.Sprintf("the tag %q needs other templates, and there are none here", t.text))
	}
	parse, ok := tags[t.text]
	if !ok {
		err := p.source.Fail(t.offset, fmt.Sprintf("there is no tag %q", t.text))
		if ends != nil {
			err.Message += fmt.Sprintf(" here; %s was expected", ends[len(ends)-1])
		}
		err.Suggestion = spelling.Closest(t.text, append(slices.Sorted(maps.Keys(tags)), ends...))
		return nil, "", err
	}
	s, err = parse(p, t)
	return s, "", err
}

func (p *parser) tagClose() error { return p.expect(tagClose, "%}") }

// inner parses the body of a tag up to its end tag, and the end of that.
func (p *parser) inner(ending string) ([]statement, error) {
	if err := p.tagClose(); err != nil {
		return nil, err
	}
	list, _, err := p.body([]string{ending})
	if err != nil {
		return nil, err
	}
	return list, p.tagClose()
}

func (p *parser) name(what string) (token, error) {
	t := p.token()
	if t.kind != name {
		return t, p.fail("%s is missing before %s", what, t.describe())
	}
	p.at++
	return t, nil
}

// variableName parses the name of a variable that may be set.
func (p *parser) variableName() (string, error) {
	t := p.token()
	if !isWord(t) {
		return "", p.fail("the name of a variable is missing before %s", t.describe())
	}
	p.at++
	if unassignable(t.text) {
		return "", p.source.Fail(t.offset, fmt.Sprintf("%q cannot be set", t.text))
	}
	return t.text, nil
}

func (p *parser) choice(token) (statement, error) {
	s := &choice{}
	for ending := "elseif"; ; {
		switch ending {
		case "elseif":
			test, err := p.expression(0)
			if err == nil {
				err = p.tagClose()
			}
			if err != nil {
				return nil, err
			}
			var body []statement
			if body, ending, err = p.body([]string{"else", "elseif", "endif"}); err != nil {
				return nil, err
			}
			s.tests, s.branches = append(s.tests, test), append(s.branches, body)
		case "else":
			err := p.tagClose()
			if err != nil {
				return nil, err
			}
			if s.other, ending, err = p.body([]string{"endif"}); err != nil {
				return nil, err
			}
		default:
			return s, p.tagClose()
		}
	}
}

func (p *parser) loop(token) (statement, error) {
	s := &loop{key: -1, state: -1}
	first, err := p.variableName()
	if err != nil {
		return nil, err
	}
	s.item = p.frame.slot(first)
	if p.accept(punctuation, ",") {
		second, err := p.variableName()
		if err != nil {
			return nil, err
		}
		s.key, s.item = s.item, p.frame.slot(second)
	}
	if err := p.expect(operator, "in"); err != nil {
		return nil, err
	}
	if s.of, err = p.expression(0); err != nil {
		return nil, err
	}
	s.of = p.placed(p.token(), s.of)
	if err := p.tagClose(); err != nil {
		return nil, err
	}
	start := p.at
	body, ending, err := p.body([]string{"else", "endfor"})
	if err != nil {
		return nil, err
	}
	s.body = body
	for _, t := range p.tokens[start:p.at] {
		if mentions(t, "loop") || mentions(t, "_context") {
			s.state = p.frame.slot("loop")
		}
	}
	if ending == "else" {
		s.other, err = p.inner("endfor")
		return s, err
	}
	return s, p.tagClose()
}

// mentions reports whether a token is a name, or has it in an expression within a text.
func mentions(t token, wanted string) bool {
	if t.kind == name && t.text == wanted {
		return true
	}
	for _, part := range t.parts {
		for _, inner := range part.tokens {
			if mentions(inner, wanted) {
				return true
			}
		}
	}
	return false
}

func (p *parser) set(t token) (statement, error) {
	if p.is(punctuation, "[") || p.is(punctuation, "{") {
		return p.do(t)
	}
	var names []string
	for {
		name, err := p.variableName()
		if err != nil {
			return nil, err
		}
		names = append(names, name)
		if !p.accept(punctuation, ",") {
			break
		}
	}
	if !p.accept(operator, "=") {
		if len(names) > 1 {
			return nil, p.fail("several variables are set by =, as in {%% set a, b = 1, 2 %%}")
		}
		body, err := p.inner("endset")
		return &captured{slot: p.frame.slot(names[0]), markup: p.strategy != "", body: body}, err
	}
	s := &setting{}
	for {
		v, err := p.expression(0)
		if err != nil {
			return nil, err
		}
		s.values = append(s.values, v)
		if !p.accept(punctuation, ",") {
			break
		}
	}
	if len(s.values) != len(names) {
		return nil, p.source.Fail(t.offset, fmt.Sprintf("%d variables are set to %d values", len(names), len(s.values)))
	}
	for _, name := range names {
		s.slots = append(s.slots, p.frame.slot(name))
	}
	return s, p.tagClose()
}

func (p *parser) do(token) (statement, error) {
	node, err := p.expression(0)
	if err != nil {
		return nil, err
	}
	return &done{node}, p.tagClose()
}

// ignored passes over a tag that says something to tools, or nothing to a text.
func (p *parser) ignored(token) (statement, error) {
	for p.token().kind != tagClose {
		if p.token().kind == end {
			return nil, p.tagClose()
		}
		p.at++
	}
	return nil, p.tagClose()
}

func (p *parser) with(token) (statement, error) {
	s := &scope{}
	if !p.is(tagClose, "%}") && !p.is(name, "only") {
		var err error
		if s.of, err = p.expression(0); err != nil {
			return nil, err
		}
		s.of = p.placed(p.token(), s.of)
	}
	s.only = p.accept(name, "only")
	var err error
	s.body, err = p.inner("endwith")
	return s, err
}

func (p *parser) autoescape(t token) (statement, error) {
	before, strategy := p.strategy, "html"
	switch {
	case p.token().kind == str:
		strategy, _ = p.token().value.(string)
		p.at++
	case p.accept(name, "false"):
		strategy = ""
	case p.accept(name, "true"):
	}
	if !strategies[strategy] {
		return nil, p.source.Fail(t.offset, fmt.Sprintf("there is no strategy %q to escape by", strategy))
	}
	p.strategy = strategy
	body, err := p.inner("endautoescape")
	p.strategy = before
	return sequence(body), err
}

// sequence is several statements.
type sequence []statement

func (s sequence) render(r *run) error { return r.all(s) }

func (p *parser) apply(t token) (statement, error) {
	s := &applied{text: &held{p.frame.slot(hiddenSlot + strconv.Itoa(p.at))}}
	node, err := p.filter(s.text)
	for err == nil && p.accept(operator, "|") {
		node, err = p.filter(node)
	}
	if err != nil {
		return nil, err
	}
	s.filters = p.placed(t, escape(node, p.strategy))
	s.body, err = p.inner("endapply")
	return s, err
}

func (p *parser) block(t token) (statement, error) {
	named, err := p.name("the name of a block")
	if err != nil {
		return nil, err
	}
	if p.template.blocks[named.text] != nil {
		return nil, p.source.Fail(named.offset, fmt.Sprintf("there is a block %q already", named.text))
	}
	b := &block{frame: p.frame}
	p.template.blocks[named.text] = b
	if !p.is(tagClose, "%}") {
		node, err := p.expression(0)
		if err != nil {
			return nil, err
		}
		b.body = []statement{&printed{p.placed(t, escape(node, p.strategy))}}
		return b, p.tagClose()
	}
	if err := p.tagClose(); err != nil {
		return nil, err
	}
	if b.body, _, err = p.body([]string{"endblock"}); err != nil {
		return nil, err
	}
	if p.token().kind == name && p.token().text == named.text {
		p.at++
	}
	return b, p.tagClose()
}

func (p *parser) blockCall(t token, args []argument) (engine.Node, error) {
	if len(args) != 1 {
		return nil, p.source.Fail(t.offset, fmt.Sprintf(`the function "block" takes 1 argument, not %d`, len(args)))
	}
	return p.placed(t, &blockCall{args[0].node}), nil
}

func (p *parser) macro(token) (statement, error) {
	named, err := p.name("the name of a macro")
	if err != nil {
		return nil, err
	}
	m := &macro{frame: newFrame()}
	p.template.macros[named.text] = m
	inner := *p
	inner.frame = m.frame
	err = inner.macroParts(m)
	p.at = inner.at
	return nil, err
}

// macroParts parses the parameters and the body of a macro.
func (p *parser) macroParts(m *macro) error {
	if err := p.expect(punctuation, "("); err != nil {
		return err
	}
	for !p.accept(punctuation, ")") {
		if len(m.params) > 0 {
			if err := p.expect(punctuation, ","); err != nil {
				return err
			}
			if p.accept(punctuation, ")") {
				break
			}
		}
		if p.is(name, "varargs") {
			return p.fail(`the parameter "varargs" is there anyway: it has the arguments beyond the others`)
		}
		param, err := p.variableName()
		if err != nil {
			return err
		}
		var otherwise engine.Node
		if p.accept(operator, "=") {
			if otherwise, err = p.expression(0); err != nil {
				return err
			}
		}
		m.params, m.names, m.defaults = append(m.params, p.frame.slot(param)), append(m.names, param), append(m.defaults, otherwise)
	}
	m.varargs = p.frame.slot("varargs")
	if err := p.tagClose(); err != nil {
		return err
	}
	var err error
	if m.body, _, err = p.body([]string{"endmacro"}); err != nil {
		return err
	}
	if p.token().kind == name {
		p.at++
	}
	return p.tagClose()
}

// own parses the name of the template that macros are imported from: only _self.
func (p *parser) own() error {
	if !p.accept(name, "_self") {
		return p.fail("macros can be imported from _self only: there are no other templates here")
	}
	return nil
}

func (p *parser) imported(token) (statement, error) {
	if err := p.own(); err != nil {
		return nil, err
	}
	if err := p.expect(name, "as"); err != nil {
		return nil, err
	}
	under, err := p.variableName()
	if err != nil {
		return nil, err
	}
	if p.frame.imported == nil {
		p.frame.imported = map[string]bool{}
	}
	p.frame.imported[under] = true
	s := &setting{slots: []int{p.frame.slot(under)}, values: []engine.Node{&engine.Literal{Value: &macros{p.template}}}}
	return s, p.tagClose()
}

func (p *parser) from(token) (statement, error) {
	if err := p.own(); err != nil {
		return nil, err
	}
	if err := p.expect(name, "import"); err != nil {
		return nil, err
	}
	for {
		of, err := p.name("the name of a macro")
		if err != nil {
			return nil, err
		}
		under := of.text
		if p.accept(name, "as") {
			t, err := p.name("a name for the macro")
			if err != nil {
				return nil, err
			}
			under = t.text
		}
		if p.frame.macros == nil {
			p.frame.macros = map[string]string{}
		}
		p.frame.macros[under] = of.text
		if !p.accept(punctuation, ",") {
			return nil, p.tagClose()
		}
	}
}

func (p *parser) sandbox(token) (statement, error) { // everything is
	body, err := p.inner("endsandbox")
	return sequence(body), err
}

// guard parses what depends on whether there is a filter, function or test.
func (p *parser) guard(token) (statement, error) {
	what, err := p.name("filter, function or test")
	if err != nil {
		return nil, err
	}
	named, err := p.name("the name of a " + what.text)
	if err != nil {
		return nil, err
	}
	called := named.text
	there := false
	switch what.text {
	case "filter":
		_, there = filters[called]
	case "function":
		_, there = functions[called]
		there = there || called == "block" || called == "attribute"
	case "test":
		if p.token().kind == name {
			called += " " + p.token().text
			p.at++
		}
		_, there = tests[called]
		there = there || called == "defined"
	default:
		return nil, p.source.Fail(what.offset, fmt.Sprintf("a guard asks for a filter, function or test, not for a %s", what.text))
	}
	if err := p.tagClose(); err != nil {
		return nil, err
	}
	parse := func(wanted bool, ends []string) (list []statement, ending string, err error) {
		if wanted {
			return p.body(ends)
		}
		ending, err = p.skip(ends)
		return nil, ending, err
	}
	yes, ending, err := parse(there, []string{"else", "endguard"})
	if err != nil {
		return nil, err
	}
	if ending == "endguard" {
		return sequence(yes), p.tagClose()
	}
	if err := p.tagClose(); err != nil {
		return nil, err
	}
	no, _, err := parse(!there, []string{"endguard"})
	if err != nil {
		return nil, err
	}
	return sequence(append(yes, no...)), p.tagClose()
}

// skip passes over a body without reading it: it may use what there is not.
func (p *parser) skip(ends []string) (ending string, err error) {
	opened := p.token()
	for nested := 0; p.token().kind != end; p.at++ {
		if p.token().kind != tagOpen {
			continue
		}
		tag := p.tokens[p.at+1].text
		switch {
		case nested == 0 && slices.Contains(ends, tag):
			p.at += 2
			return tag, nil
		case tag == "guard" || tag == "if" || tag == "for":
			nested++
		case tag == "endguard" || tag == "endif" || tag == "endfor":
			nested--
		}
	}
	return "", p.source.Fail(opened.offset, fmt.Sprintf("{%% %s %%} is missing", ends[len(ends)-1]))
}
