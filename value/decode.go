package value

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// A SyntaxError says where and why a text is not JSON.
type SyntaxError struct {
	Offset int    // in bytes, 0 for the first
	Line   int    // 1 for the first
	Column int    // in characters, 1 for the first
	Reason string // lower case, no full stop
}

func (e *SyntaxError) Error() string {
	return fmt.Sprintf("invalid JSON at line %d, column %d: %s", e.Line, e.Column, e.Reason)
}

// Decode returns the value of a JSON text, as PHP's json_decode does with objects as arrays: keys
// keep their order, and one that comes twice keeps its first place and gets its last value; numbers
// are floats if they have a fraction or an exponent, or do not fit an int64. There may be white
// space around the one value. Its strings share one copy of data.
//
// As in PHP, less than 512 arrays and objects may be nested, one level fewer than [AppendJSON]
// writes. Unlike PHP, a number beyond the largest float is an error rather than an infinity, which
// could not be encoded again. Errors are of type [*SyntaxError].
func Decode(data []byte) (any, error) {
	d := decoder{text: string(data)}
	d.space()
	v, err := d.value()
	if err != nil {
		return nil, err
	}
	d.space()
	if d.pos < len(d.text) {
		return nil, d.unexpected("the end after the value")
	}
	return v, nil
}

type decoder struct {
	text  string
	pos   int // of the next byte
	depth int // how many arrays and objects are open
}

// fail returns an error at the byte offset.
func (d *decoder) fail(offset int, format string, args ...any) error {
	before := d.text[:offset]
	line := before[strings.LastIndexByte(before, '\n')+1:]
	return &SyntaxError{
		Offset: offset,
		Line:   strings.Count(before, "\n") + 1,
		Column: utf8.RuneCountInString(line) + 1,
		Reason: fmt.Sprintf(format, args...),
	}
}

// unexpected returns an error that says what comes next, and what should.
func (d *decoder) unexpected(want string) error {
	if d.pos == len(d.text) {
		return d.fail(d.pos, "unexpected end, want %s", want)
	}
	r, size := utf8.DecodeRuneInString(d.text[d.pos:])
	if r == utf8.RuneError && size == 1 {
		return d.fail(d.pos, "malformed UTF-8")
	}
	return d.fail(d.pos, "unexpected %q, want %s", r, want)
}

// peek returns the next byte, or 0 at the end.
func (d *decoder) peek() byte {
	if d.pos < len(d.text) {
		return d.text[d.pos]
	}
	return 0
}

func (d *decoder) space() {
	for d.pos < len(d.text) {
		switch d.text[d.pos] {
		case ' ', '\t', '\n', '\r':
			d.pos++
		default:
			return
		}
	}
}

func (d *decoder) value() (any, error) {
	switch c := d.peek(); {
	case c == '"':
		s, err := d.string()
		if err != nil {
			return nil, err
		}
		return s, nil
	case c == '{':
		return d.object()
	case c == '[':
		return d.list()
	case c == '-' || isDigit(c):
		return d.number()
	case d.word("null"):
		return nil, nil
	case d.word("true"):
		return true, nil
	case d.word("false"):
		return false, nil
	default:
		return nil, d.unexpected("a value")
	}
}

func (d *decoder) word(w string) bool {
	if strings.HasPrefix(d.text[d.pos:], w) {
		d.pos += len(w)
		return true
	}
	return false
}

// open takes the bracket that begins an array or object.
func (d *decoder) open() error {
	if d.depth++; d.depth >= maxDepth {
		return d.fail(d.pos, "arrays and objects nested %d deep, want less than that", maxDepth)
	}
	d.pos++
	d.space()
	return nil
}

// more takes what follows an entry, and reports whether that is a comma rather than end.
func (d *decoder) more(end byte, want string) (bool, error) {
	d.space()
	switch d.peek() {
	case ',':
		d.pos++
		d.space()
		return true, nil
	case end:
		d.close()
		return false, nil
	default:
		return false, d.unexpected(want)
	}
}

func (d *decoder) close() {
	d.pos++
	d.depth--
}

func (d *decoder) list() (any, error) {
	if err := d.open(); err != nil {
		return nil, err
	}
	a := new(Array)
	if d.peek() == ']' {
		d.close()
		return a, nil
	}
	for {
		v, err := d.value()
		if err != nil {
			return nil, err
		}
		a.Append(v)
		if more, err := d.more(']', "',' or ']'"); err != nil || !more {
			return a, err
		}
	}
}

func (d *decoder) object() (any, error) {
	if err := d.open(); err != nil {
		return nil, err
	}
	a := new(Array)
	if d.peek() == '}' {
		d.close()
		return a, nil
	}
	a = NewArray(8)
	for {
		if d.peek() != '"' {
			return nil, d.unexpected("a key in double quotes")
		}
		key, err := d.string()
		if err != nil {
			return nil, err
		}
		d.space()
		if d.peek() != ':' {
			return nil, d.unexpected("':'")
		}
		d.pos++
		d.space()
		v, err := d.value()
		if err != nil {
			return nil, err
		}
		a.Set(key, v)
		if more, err := d.more('}', "',' or '}'"); err != nil || !more {
			return a, err
		}
	}
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

// digits takes digits, of which there must be one.
func (d *decoder) digits() error {
	if !isDigit(d.peek()) {
		return d.unexpected("a digit")
	}
	for isDigit(d.peek()) {
		d.pos++
	}
	return nil
}

func (d *decoder) number() (any, error) {
	start := d.pos
	if d.peek() == '-' {
		d.pos++
	}
	if d.peek() == '0' && d.pos+1 < len(d.text) && isDigit(d.text[d.pos+1]) {
		return nil, d.fail(d.pos, "a number with a leading zero")
	}
	if err := d.digits(); err != nil {
		return nil, err
	}
	isInt := true
	if d.peek() == '.' {
		isInt = false
		d.pos++
		if err := d.digits(); err != nil {
			return nil, err
		}
	}
	if c := d.peek(); c == 'e' || c == 'E' {
		isInt = false
		d.pos++
		if c := d.peek(); c == '+' || c == '-' {
			d.pos++
		}
		if err := d.digits(); err != nil {
			return nil, err
		}
	}

	text := d.text[start:d.pos]
	if isInt {
		if n, err := strconv.ParseInt(text, 10, 64); err == nil {
			return n, nil
		}
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return nil, d.fail(start, "a number out of range")
	}
	return f, nil
}

// string takes a string, the next byte being its first quote.
func (d *decoder) string() (string, error) {
	d.pos++
	start := d.pos
	for d.pos < len(d.text) {
		switch c := d.text[d.pos]; {
		case plain[c] || c == '/':
			d.pos++
		case c == '"':
			s := d.text[start:d.pos]
			d.pos++
			return s, nil
		case c == '\\':
			return d.unescape(start)
		default:
			if err := d.char(); err != nil {
				return "", err
			}
		}
	}
	return "", d.unexpected("the quote that ends the string")
}

// char takes a character of a string that is neither a quote nor a backslash.
func (d *decoder) char() error {
	c := d.text[d.pos]
	size := 1
	switch {
	case c < ' ':
		return d.fail(d.pos, "control character %q in a string, want it escaped", c)
	case c >= utf8.RuneSelf:
		var r rune
		r, size = utf8.DecodeRuneInString(d.text[d.pos:])
		if r == utf8.RuneError && size == 1 {
			return d.fail(d.pos, "malformed UTF-8")
		}
	}
	d.pos += size
	return nil
}

// unescape takes the rest of a string that began at start and comes to its first backslash.
func (d *decoder) unescape(start int) (string, error) {
	var b []byte
	for d.pos < len(d.text) {
		switch c := d.text[d.pos]; {
		case plain[c] || c == '/':
			d.pos++
		case c == '"':
			b = append(b, d.text[start:d.pos]...)
			d.pos++
			return string(b), nil
		case c == '\\':
			b = append(b, d.text[start:d.pos]...)
			r, err := d.escape()
			if err != nil {
				return "", err
			}
			b = utf8.AppendRune(b, r)
			start = d.pos
		default:
			if err := d.char(); err != nil {
				return "", err
			}
		}
	}
	return "", d.unexpected("the quote that ends the string")
}

// escape takes an escape, and both halves of a surrogate pair.
func (d *decoder) escape() (rune, error) {
	start := d.pos
	d.pos++
	c := d.peek()
	switch c {
	case '"', '\\', '/':
	case 'b':
		c = '\b'
	case 'f':
		c = '\f'
	case 'n':
		c = '\n'
	case 'r':
		c = '\r'
	case 't':
		c = '\t'
	case 'u':
		r, err := d.unit()
		if err != nil || !utf16.IsSurrogate(r) {
			return r, err
		}
		if strings.HasPrefix(d.text[d.pos:], `\u`) {
			d.pos++
			low, err := d.unit()
			if err != nil {
				return 0, err
			}
			if pair := utf16.DecodeRune(r, low); pair != utf8.RuneError {
				return pair, nil
			}
		}
		return 0, d.fail(start, "half of a surrogate pair")
	default:
		return 0, d.unexpected(`one of "\/bfnrtu after the backslash`)
	}
	d.pos++
	return rune(c), nil
}

// unit takes the u of an escape and its four hexadecimal digits.
func (d *decoder) unit() (rune, error) {
	d.pos++
	var r rune
	for range 4 {
		c := d.peek()
		switch {
		case isDigit(c):
			c -= '0'
		case c >= 'a' && c <= 'f':
			c -= 'a' - 10
		case c >= 'A' && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, d.unexpected("a hexadecimal digit")
		}
		r = r<<4 | rune(c)
		d.pos++
	}
	return r, nil
}
