package expression

import (
	"strconv"
	"strings"

	"github.com/buglehq/bugle/internal/engine"
)

type kind int

const (
	end kind = iota
	name
	literal     // a number or text
	operator    // of letters or signs
	punctuation // . ?. , : ? ?? ?: and brackets
)

type token struct {
	kind   kind
	text   string // of a name, operator or punctuation; as written of a literal
	value  any    // of a literal
	offset int
}

// describe names the token in messages.
func (t token) describe() string {
	switch t.kind {
	case end:
		return "the end"
	case literal:
		return t.text
	}
	return strconv.Quote(t.text)
}

// words are the operators of letters, the longest first.
var words = []string{"starts with", "ends with", "contains", "matches", "not in", "and", "not", "xor", "in", "or"}

// signs are the other operators, the longest first.
var signs = []string{"===", "!==", "**", "..", "<<", ">>", "==", "!=", "<=", ">=", "&&", "||", "*", "/", "%", "!", "~", "+", "-", "<", ">", "&", "^", "|"}

// A lexer cuts a source into tokens.
type lexer struct {
	source *engine.Source
	text   string // with other white space turned into spaces
	at     int
	open   engine.Brackets
}

var spaces = strings.NewReplacer("\r", " ", "\n", " ", "\t", " ", "\v", " ", "\f", " ")

// lex returns the tokens of a source, the end last.
func lex(source *engine.Source) ([]token, error) {
	l := &lexer{source: source, text: spaces.Replace(source.Text)}
	var tokens []token
	for {
		t, err := l.next()
		if err != nil {
			return nil, err
		}
		tokens = append(tokens, t)
		if t.kind == end {
			break
		}
	}
	return tokens, l.open.Err(source)
}

func (l *lexer) next() (token, error) {
	for l.at < len(l.text) && l.text[l.at] == ' ' {
		l.at++
	}
	rest := l.text[l.at:]
	switch {
	case rest == "":
		return token{kind: end, offset: l.at}, nil
	case strings.HasPrefix(rest, "/*"):
		closing := strings.Index(rest[2:], "*/")
		if closing < 0 {
			return token{}, l.source.Fail(l.at, "the comment is not closed")
		}
		l.at += 2 + closing + 2
		return l.next()
	case engine.IsDigit(rest[0]), rest[0] == '.' && len(rest) > 1 && engine.IsDigit(rest[1]):
		return l.number(rest), nil
	case rest[0] == '"' || rest[0] == '\'':
		return l.string(rest)
	case strings.IndexByte("([{}])", rest[0]) >= 0:
		t := l.take(punctuation, 1)
		return t, l.open.Note(l.source, t.offset, t.text)
	}
	if word := l.word(rest); word != "" {
		return l.take(operator, len(word)), nil
	}
	if n := engine.Name(rest); n > 0 {
		return l.take(name, n), nil
	}
	for _, sign := range []string{"?.", "?:", "??"} {
		if strings.HasPrefix(rest, sign) {
			return l.take(punctuation, 2), nil
		}
	}
	for _, sign := range signs {
		if strings.HasPrefix(rest, sign) {
			return l.take(operator, len(sign)), nil
		}
	}
	if strings.IndexByte(".,?:", rest[0]) >= 0 {
		return l.take(punctuation, 1), nil
	}
	return token{}, l.source.Fail(l.at, "unexpected character "+strconv.QuoteRune([]rune(rest)[0]))
}

func (l *lexer) take(k kind, n int) token {
	t := token{kind: k, text: l.text[l.at : l.at+n], offset: l.at}
	l.at += n
	return t
}

// word returns the operator of letters at the beginning, if it stands free: after the start, a space
// or an opening bracket, and before a space or an opening bracket.
func (l *lexer) word(rest string) string {
	if l.at > 0 && strings.IndexByte(" (", l.text[l.at-1]) < 0 {
		return ""
	}
	for _, word := range words {
		if strings.HasPrefix(rest, word) && len(rest) > len(word) && strings.IndexByte(" (", rest[len(word)]) >= 0 {
			return word
		}
	}
	return ""
}

func (l *lexer) number(rest string) token {
	v, n := engine.Number(rest, true)
	t := l.take(literal, n)
	t.value = v
	return t
}

func (l *lexer) string(rest string) (token, error) {
	for i := 1; i < len(rest); i++ {
		switch rest[i] {
		case '\\':
			i++
		case rest[0]:
			t := l.take(literal, i+1)
			t.value = engine.Unescape(t.text[1:i])
			return t, nil
		}
	}
	return token{}, l.source.Fail(l.at, "the text is not closed by "+rest[:1])
}
