package engine

import (
	"errors"
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
