package twig

import (
	"fmt"
	"sort"
	"strconv"
	"strings"

	"github.com/buglehq/bugle/internal/engine"
)

type kind int

const (
	end        kind = iota
	text            // outside of tags
	printOpen       // {{
	printClose      // }}
	tagOpen         // {%
	tagClose        // %}
	name
	number
	str
	interpolated // a text with expressions in it
	operator
	punctuation
)

type token struct {
	kind   kind
	text   string
	value  any // of a number or str
	parts  []part
	offset int
}

// A part of an interpolated text is a text, or the tokens of an expression with the end last.
type part struct {
	text   string
	tokens []token
}

// describe names the token in messages.
func (t token) describe() string {
	switch t.kind {
	case end:
		return "the end"
	case text:
		return "text"
	case str, interpolated:
		return "a text"
	}
	return strconv.Quote(t.text)
}

// operators are those that the lexer knows, the longest first.
var operators = func() []string {
	list := []string{"not", "and", "or", "xor", "b-and", "b-or", "b-xor", "is", "is not", "in", "not in", "matches", "starts with", "ends with", "has some", "has every",
		"===", "!==", "<=>", "==", "!=", "<=", ">=", "<", ">", "??", "?.", "?:", "?", "..", "...", "=>", "=", "+", "-", "~", "**", "*", "//", "/", "%", "|"}
	sort.SliceStable(list, func(i, j int) bool { return len(list[i]) > len(list[j]) })
	return list
}()

// A lexer cuts a template into tokens.
type lexer struct {
	source *engine.Source
	text   string
	at     int
	tokens []token
	trim   string // characters to take off the beginning of the next text
	depth  int    // of expressions within texts
}

// maxTokens bounds the memory of a template.
const maxTokens = 200000

func lex(source *engine.Source) ([]token, error) {
	l := &lexer{source: source, text: source.Text}
	for l.at < len(l.text) {
		if err := l.next(); err != nil {
			return nil, err
		}
		if len(l.tokens) > maxTokens {
			return nil, source.Fail(l.at, "the template is too long")
		}
	}
	return append(l.tokens, token{kind: end, offset: len(l.text)}), nil
}

const (
	allSpace  = " \t\n\r\x00\v"
	lineSpace = " \t\x00\v"
)

// next reads text up to the next tag, and the tag.
func (l *lexer) next() error {
	opening, found := -1, ""
	for i := l.at; i+1 < len(l.text) && opening < 0; i++ {
		if l.text[i] == '{' {
			switch l.text[i+1] {
			case '{', '%', '#':
				opening, found = i, l.text[i:i+2]
			}
		}
	}
	if opening < 0 {
		l.put(l.at, l.text[l.at:], "")
		l.at = len(l.text)
		return nil
	}
	before, start := l.text[l.at:opening], l.at
	after := opening + 2
	cut := ""
	if after < len(l.text) {
		switch l.text[after] {
		case '-':
			cut = allSpace
			after++
		case '~':
			cut = lineSpace
			after++
		}
	}
	l.put(start, before, cut)
	l.at = after
	switch found {
	case "{#":
		return l.comment(opening)
	case "{{":
		l.tokens = append(l.tokens, token{kind: printOpen, text: "{{", offset: opening})
		return l.expression(opening, "}}", printClose)
	}
	if done, err := l.verbatim(opening); done || err != nil {
		return err
	}
	l.tokens = append(l.tokens, token{kind: tagOpen, text: "{%", offset: opening})
	return l.expression(opening, "%}", tagClose)
}

// put adds a text, without what tags around it cut off.
func (l *lexer) put(offset int, content, cut string) {
	if l.trim != "" {
		trimmed := strings.TrimLeft(content, l.trim)
		offset += len(content) - len(trimmed)
		content, l.trim = trimmed, ""
	}
	if cut != "" {
		content = strings.TrimRight(content, cut)
	}
	if content != "" {
		l.tokens = append(l.tokens, token{kind: text, text: content, offset: offset})
	}
}

// comment passes over a comment.
func (l *lexer) comment(opening int) error {
	n := strings.Index(l.text[l.at:], "#}")
	if n < 0 {
		return l.source.Fail(opening, "the comment is not closed by #}")
	}
	inside := l.text[l.at : l.at+n]
	l.at += n + 2
	l.cutAfter(strings.HasSuffix(inside, "-"), strings.HasSuffix(inside, "~"), true)
	return nil
}

// cutAfter notes what the end of a tag cuts off the text behind it: with neither sign, perhaps a line break.
func (l *lexer) cutAfter(all, line, newline bool) {
	switch {
	case all:
		l.trim = allSpace
		return
	case line:
		rest := strings.TrimLeft(l.text[l.at:], lineSpace)
		l.at = len(l.text) - len(rest)
		return
	}
	if newline && strings.HasPrefix(l.text[l.at:], "\n") {
		l.at++
	}
}

// verbatim takes the text up to {% endverbatim %} as it is, if the tag is {% verbatim %}.
func (l *lexer) verbatim(opening int) (bool, error) {
	after, ok := tagOf(l.text[l.at:], "verbatim")
	if !ok {
		return false, nil
	}
	l.at += after
	l.cutAfter(l.text[l.at-3] == '-', l.text[l.at-3] == '~', false)
	start := l.at
	for i := start; i+1 < len(l.text); i++ {
		if l.text[i] != '{' || l.text[i+1] != '%' {
			continue
		}
		inside := i + 2
		cut := ""
		if inside < len(l.text) && (l.text[inside] == '-' || l.text[inside] == '~') {
			cut = map[byte]string{'-': allSpace, '~': lineSpace}[l.text[inside]]
			inside++
		}
		if n, ok := tagOf(l.text[inside:], "endverbatim"); ok {
			l.put(start, l.text[start:i], cut)
			l.at = inside + n
			l.cutAfter(l.text[l.at-3] == '-', l.text[l.at-3] == '~', false)
			return true, nil
		}
	}
	return false, l.source.Fail(opening, "{% verbatim %} is not closed by {% endverbatim %}")
}

// tagOf returns how long the rest of a tag is that has only this name in it.
func tagOf(rest, tag string) (int, bool) {
	inside := strings.TrimLeft(rest, allSpace)
	inside, ok := strings.CutPrefix(inside, tag)
	if !ok {
		return 0, false
	}
	inside = strings.TrimLeft(inside, allSpace)
	if inside != "" && (inside[0] == '-' || inside[0] == '~') {
		inside = inside[1:]
	}
	inside, ok = strings.CutPrefix(inside, "%}")
	return len(rest) - len(inside), ok
}

// expression reads the tokens of a tag up to its end.
func (l *lexer) expression(opening int, closing string, k kind) error {
	var open engine.Brackets
	for {
		for l.at < len(l.text) && strings.IndexByte(allSpace, l.text[l.at]) >= 0 {
			l.at++
		}
		rest := l.text[l.at:]
		if !open.Open() {
			cut := byte(0)
			if rest != "" && (rest[0] == '-' || rest[0] == '~') && strings.HasPrefix(rest[1:], closing) {
				cut, rest = rest[0], rest[1:]
			}
			if strings.HasPrefix(rest, closing) {
				l.tokens = append(l.tokens, token{kind: k, text: closing, offset: l.at})
				l.at = len(l.text) - len(rest) + len(closing)
				l.cutAfter(cut == '-', cut == '~', k == tagClose)
				return nil
			}
		}
		if rest == "" {
			if err := open.Err(l.source); err != nil {
				return err
			}
			return l.source.Fail(opening, "the tag is not closed by "+closing)
		}
		t, err := l.token(rest)
		if err != nil {
			return err
		}
		if t.kind == punctuation {
			if err := open.Note(l.source, t.offset, t.text); err != nil {
				return err
			}
		}
		l.tokens = append(l.tokens, t)
		if len(l.tokens) > maxTokens {
			return l.source.Fail(l.at, "the template is too long")
		}
	}
}

func (l *lexer) take(k kind, n int) token {
	t := token{kind: k, text: l.text[l.at : l.at+n], offset: l.at}
	l.at += n
	return t
}

// token reads one token of an expression.
func (l *lexer) token(rest string) (token, error) {
	if op, n := l.operator(rest); n > 0 {
		t := l.take(operator, n)
		t.text = op
		return t, nil
	}
	if n := engine.Name(rest); n > 0 {
		return l.take(name, n), nil
	}
	switch c := rest[0]; {
	case engine.IsDigit(c):
		return l.number(rest), nil
	case strings.IndexByte("()[]{}?:.,", c) >= 0:
		return l.take(punctuation, 1), nil
	case c == '\'' || c == '"':
		return l.string(rest)
	}
	return token{}, l.source.Fail(l.at, "unexpected character "+strconv.QuoteRune([]rune(rest)[0]))
}

// operator returns the operator at the beginning and how long it is as written. One of letters must
// stand free, and not behind a point or a |.
func (l *lexer) operator(rest string) (string, int) {
	isWord := engine.IsNameStart(rest[0])
	if isWord && l.at > 0 && (l.text[l.at-1] == '.' || l.text[l.at-1] == '|' || engine.IsNamePart(l.text[l.at-1])) {
		return "", 0
	}
	for _, op := range operators {
		if op[0] != rest[0] {
			continue
		}
		n := matchWords(rest, op)
		if n == 0 || isWord && (n == len(rest) || strings.IndexByte(allSpace+"()[{", rest[n]) < 0) {
			continue
		}
		return op, n
	}
	return "", 0
}

// matchWords returns how long the operator is at the beginning of a text, with any white space for the
// one between its words.
func matchWords(rest, op string) int {
	first, second, two := strings.Cut(op, " ")
	if !strings.HasPrefix(rest, first) {
		return 0
	}
	if !two {
		return len(first)
	}
	after := strings.TrimLeft(rest[len(first):], allSpace)
	if len(after) == len(rest)-len(first) || !strings.HasPrefix(after, second) {
		return 0
	}
	return len(rest) - len(after) + len(second)
}

func (l *lexer) number(rest string) token {
	v, n := engine.Number(rest, false)
	t := l.take(number, n)
	t.value = v
	return t
}

// string reads a text. In one with double quotes, #{…} is an expression.
func (l *lexer) string(rest string) (token, error) {
	start, quote := l.at, rest[0]
	t := token{kind: str, offset: start}
	from := l.at + 1
	for i := from; i < len(l.text); i++ {
		switch {
		case l.text[i] == '\\':
			i++
		case l.text[i] == quote:
			last := engine.Unescape(l.text[from:i])
			l.at = i + 1
			if t.parts == nil {
				t.value, t.text = last, l.text[start:l.at]
				return t, nil
			}
			t.kind = interpolated
			t.parts = append(t.parts, part{text: last})
			return t, nil
		case quote == '"' && strings.HasPrefix(l.text[i:], "#{"):
			t.parts = append(t.parts, part{text: engine.Unescape(l.text[from:i])})
			if l.depth == maxDepth {
				return t, l.source.Fail(i, fmt.Sprintf("it is nested more than %d levels deep", maxDepth))
			}
			inner := &lexer{source: l.source, text: l.text, at: i + 2, depth: l.depth + 1}
			if err := inner.expression(i, "}", end); err != nil {
				return t, err
			}
			t.parts = append(t.parts, part{tokens: inner.tokens})
			from = inner.at
			i = from - 1
		}
	}
	return t, l.source.Fail(start, "the text is not closed by "+string(quote))
}
