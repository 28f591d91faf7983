package engine

import (
	"errors"
	"strconv"
	"strings"
	"unicode/utf8"
)

// A Source is a text with a program in it.
type Source struct {
	Text string
	Line int // of the text's first line, in what the text is a part of; 0 is 1
}

// Fail returns an error at an offset into the text.
func (s *Source) Fail(offset int, message string) *Error {
	before := s.Text[:min(offset, len(s.Text))]
	lineStart := strings.LastIndexByte(before, '\n') + 1
	return &Error{
		Message: message,
		Line:    max(s.Line, 1) + strings.Count(before, "\n"),
		Column:  1 + utf8.RuneCountInString(before[lineStart:]),
	}
}

// Wrap gives an error a position, unless it has one.
func (s *Source) Wrap(offset int, err error) error {
	var placed *Error
	if errors.As(err, &placed) {
		return err
	}
	return s.Fail(offset, err.Error())
}

// IsNameStart reports whether a byte can begin a name: a letter, an underscore, or a part of a
// character beyond ASCII.
func IsNameStart(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' || c >= 0x7f
}

// IsNamePart reports whether a byte can be in a name.
func IsNamePart(c byte) bool { return IsNameStart(c) || IsDigit(c) }

// IsDigit reports whether a byte is a decimal digit.
func IsDigit(c byte) bool { return c >= '0' && c <= '9' }

// Name returns how long the name at the beginning of a text is, 0 if there is none.
func Name(text string) int {
	if text == "" || !IsNameStart(text[0]) {
		return 0
	}
	n := 1
	for n < len(text) && IsNamePart(text[n]) {
		n++
	}
	return n
}

// Unescape is PHP's stripcslashes: \n \t \r \a \v \b \f, \xHH, octal \OOO, and otherwise the character
// after the backslash.
func Unescape(text string) string {
	if !strings.Contains(text, `\`) {
		return text
	}
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		if text[i] != '\\' || i+1 == len(text) {
			b.WriteByte(text[i])
			continue
		}
		i++
		c := text[i]
		switch {
		case strings.IndexByte("ntravbf", c) >= 0:
			b.WriteByte("\n\t\r\a\v\b\f"[strings.IndexByte("ntravbf", c)])
		case c == 'x' && i+1 < len(text) && hex(text[i+1]) >= 0:
			n := hex(text[i+1])
			i++
			if i+1 < len(text) && hex(text[i+1]) >= 0 {
				n = n<<4 | hex(text[i+1])
				i++
			}
			b.WriteByte(byte(n))
		case c >= '0' && c <= '7':
			n := int(c - '0')
			for digits := 1; digits < 3 && i+1 < len(text) && text[i+1] >= '0' && text[i+1] <= '7'; digits++ {
				n = n<<3 | int(text[i+1]-'0')
				i++
			}
			b.WriteByte(byte(n))
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

func hex(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}

// Number returns the number at the beginning of a text, an int64 or float64, and how long it is as
// written: digits, with single underscores between them, perhaps a fraction and an exponent. Unless
// open, digits must follow the point; an open one must not be followed by another point.
func Number(text string, open bool) (v any, n int) {
	n = digits(text, 0)
	isFloat := false
	if n < len(text) && text[n] == '.' {
		followed := n+1 < len(text) && IsDigit(text[n+1])
		if followed || open && !strings.HasPrefix(text[n:], "..") {
			isFloat, n = true, digits(text, n+1)
		}
	}
	if n < len(text) && (text[n] == 'e' || text[n] == 'E') {
		exponent := n + 1
		if exponent < len(text) && (text[exponent] == '+' || text[exponent] == '-') {
			exponent++
		}
		if last := digits(text, exponent); last > exponent {
			isFloat, n = true, last
		}
	}
	written := strings.ReplaceAll(text[:n], "_", "")
	if i, err := strconv.ParseInt(written, 10, 64); err == nil && !isFloat {
		return i, n
	}
	f, _ := strconv.ParseFloat(written, 64) // beyond all floats it is infinite, as in PHP
	return f, n
}

// digits returns where the digits end that begin at i.
func digits(s string, i int) int {
	start := i
	for i < len(s) && (IsDigit(s[i]) || s[i] == '_' && i > start && s[i-1] != '_' && i+1 < len(s) && IsDigit(s[i+1])) {
		i++
	}
	return i
}

// Brackets are those that are open at a place in a source.
type Brackets struct {
	signs   []byte
	offsets []int
}

// Note notes a punctuation. It is an error if it closes what it did not open.
func (b *Brackets) Note(s *Source, offset int, sign string) error {
	switch sign {
	case "(", "[", "{":
		b.signs, b.offsets = append(b.signs, sign[0]), append(b.offsets, offset)
	case ")", "]", "}":
		last := len(b.signs) - 1
		if last < 0 {
			return s.Fail(offset, strconv.Quote(sign)+" closes nothing")
		}
		if opening := string(b.signs[last]); map[string]string{"(": ")", "[": "]", "{": "}"}[opening] != sign {
			return s.Fail(offset, strconv.Quote(opening)+" is closed by "+strconv.Quote(sign))
		}
		b.signs, b.offsets = b.signs[:last], b.offsets[:last]
	}
	return nil
}

// Open reports whether there are any.
func (b *Brackets) Open() bool { return len(b.signs) > 0 }

// Err is the error that the last one is not closed, nil if none is open.
func (b *Brackets) Err(s *Source) error {
	if !b.Open() {
		return nil
	}
	last := len(b.signs) - 1
	return s.Fail(b.offsets[last], strconv.Quote(string(b.signs[last]))+" is not closed")
}
