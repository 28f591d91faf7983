package engine

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/dlclark/regexp2"

	"github.com/buglehq/bugle/value"
)

const (
	matchTime  = 50 * time.Millisecond // that one match may take
	stepTime   = 250 * time.Nanosecond // of matching, or of reading a pattern, that counts as a step
	maxSubject = 1 << 20               // bytes of a text to match
	maxPattern = 32 << 10              // bytes of a pattern
)

// A pattern is a compiled regular expression.
type pattern struct {
	re    *regexp2.Regexp
	bytes bool // of bytes rather than of characters: without the flag u
}

// maxPatterns bounds the patterns that are kept, and maxKept how long each is. When there are as many,
// they are forgotten.
const (
	maxPatterns = 1000
	maxKept     = 1 << 10
)

var patterns = struct {
	sync.Mutex
	compiled map[string]pattern
}{compiled: map[string]pattern{}}

// Matches is 1 if a text matches a pattern of PCRE with its delimiters and flags, such as "/^j/i", and
// else 0.
func Matches(r *Run, subject, expr any) (any, error) {
	s, text, err := texts(subject, expr)
	if err != nil {
		return nil, err
	}
	if len(s) > maxSubject {
		return nil, fmt.Errorf("a text of more than %d bytes is not matched", maxSubject)
	}
	if err := r.Step(1 + len(s)/64 + len(text)/64); err != nil {
		return nil, err
	}
	began := time.Now()
	p, err := compiled(text)
	if err != nil {
		return nil, err
	}
	found, err := p.re.MatchString(p.characters(s))
	if err != nil {
		return nil, fmt.Errorf("the pattern %s takes longer than %v to match", value.Describe(text), matchTime)
	}
	if err := r.Step(int(time.Since(began) / stepTime)); err != nil {
		return nil, err
	}
	if found {
		return int64(1), nil
	}
	return int64(0), nil
}

// characters is what the pattern sees of a text. Bytes are the characters of their number.
func (p pattern) characters(s string) string {
	if !p.bytes || isASCII(s) {
		return s
	}
	runes := make([]rune, len(s))
	for i := range len(s) {
		runes[i] = rune(s[i])
	}
	return string(runes)
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

func compiled(text string) (pattern, error) {
	patterns.Lock()
	p, ok := patterns.compiled[text]
	patterns.Unlock()
	if ok {
		return p, nil
	}
	p, err := compile(text)
	if err != nil || len(text) > maxKept {
		return p, err
	}
	patterns.Lock()
	defer patterns.Unlock()
	if len(patterns.compiled) >= maxPatterns {
		clear(patterns.compiled)
	}
	patterns.compiled[text] = p
	return p, nil
}

var flags = map[byte]regexp2.RegexOptions{
	'i': regexp2.IgnoreCase, 'm': regexp2.Multiline, 's': regexp2.Singleline, 'x': regexp2.IgnorePatternWhitespace, 'n': regexp2.ExplicitCapture,
	'u': regexp2.None, 'A': regexp2.None, 'D': regexp2.None, 'S': regexp2.None,
}

// compile reads a pattern with its delimiters and flags.
func compile(text string) (pattern, error) {
	fail := func(format string, args ...any) (pattern, error) {
		return pattern{}, fmt.Errorf("the pattern %s %s", value.Describe(text), fmt.Sprintf(format, args...))
	}
	if len(text) > maxPattern {
		return fail("has more than %d bytes", maxPattern)
	}
	trimmed := strings.TrimLeft(text, " \t\n\r\v\f\x00")
	if trimmed == "" {
		return fail("is empty; it should be such as /^a/")
	}
	opening := trimmed[0]
	if IsNamePart(opening) && opening != '_' || opening == '\\' {
		return fail("needs delimiters, such as /^a/")
	}
	closing := opening
	if i := strings.IndexByte("([{<", opening); i >= 0 {
		closing = ")]}>"[i]
	}
	last := strings.LastIndexByte(trimmed, closing)
	if last <= 0 {
		return fail("does not end with %q", string(closing))
	}
	body, given := trimmed[1:last], strings.TrimRight(trimmed[last+1:], "\r\n ")
	options := regexp2.RegexOptions(regexp2.None)
	for i := range len(given) {
		option, known := flags[given[i]]
		if !known {
			return fail("has the flag %q, which is not supported", given[i:i+1])
		}
		options |= option
	}
	p := pattern{bytes: !strings.Contains(given, "u")}
	if strings.Contains(given, "A") {
		body = `\G(?:` + body + `)`
	}
	translated, problem := translate(p.characters(body), strings.Contains(given, "D"))
	if problem != "" {
		return fail("%s", problem)
	}
	var err error
	if p.re, err = regexp2.Compile(translated, options); err != nil {
		return fail("is not valid: %s", strings.TrimPrefix(err.Error(), "error parsing regexp: "))
	}
	p.re.MatchTimeout = matchTime
	return p, nil
}

// posix are the classes of characters that have names.
var posix = map[string]string{
	"alpha": "a-zA-Z", "digit": "0-9", "alnum": "a-zA-Z0-9", "upper": "A-Z", "lower": "a-z", "space": `\s`, "blank": ` \t`,
	"punct": `!-/:-@\[-` + "`" + `{-~`, "xdigit": "0-9A-Fa-f", "word": `\w`, "cntrl": `\x00-\x1f\x7f`, "print": ` -~`, "graph": `!-~`,
}

// translate writes a pattern of PCRE as regexp2 reads it: classes with names, \h and \R, and possessive
// quantifiers, which become atomic groups where they follow a single character or class.
func translate(body string, dollarAtEnd bool) (translated, problem string) {
	var b bytes.Buffer
	inClass := false
	inBraces := false // of a quantifier {n,m}
	atom := -1        // where the last single item began in b; -1: it is none
	for i := 0; i < len(body); i++ {
		c := body[i]
		switch {
		case c == '\\' && i+1 < len(body):
			i++
			if !inClass {
				atom = b.Len()
			}
			switch body[i] {
			case 'h':
				if inClass {
					b.WriteString(` \t`)
				} else {
					b.WriteString(`[ \t]`)
				}
			case 'R':
				b.WriteString(`(?:\r\n|\n|\r|\f|\v)`)
			case 'K':
				return "", `uses \K, which is not supported`
			default:
				b.WriteString(body[i-1 : i+1])
			}
		case inClass && strings.HasPrefix(body[i:], "[:"):
			named, _, closed := strings.Cut(body[i+2:], ":]")
			if !closed {
				b.WriteString(`\[`)
				continue
			}
			class, known := posix[named]
			if !known {
				return "", "uses the class [:" + named + ":], which is not known"
			}
			b.WriteString(class)
			i += len(named) + 3
		case inClass:
			if c == '[' {
				b.WriteByte('\\') // a class within a class is nothing in PCRE
			}
			b.WriteByte(c)
			inClass = c != ']'
		case c == '[':
			inClass, atom = true, b.Len()
			b.WriteByte(c)
			if strings.HasPrefix(body[i+1:], "^") {
				i++
				b.WriteByte('^')
			}
			if strings.HasPrefix(body[i+1:], "]") { // first, it is one of the characters
				i++
				b.WriteString(`\]`)
			}
		case c == '$' && dollarAtEnd:
			b.WriteString(`\z`)
			atom = -1
		case strings.IndexByte("*+?}", c) >= 0:
			b.WriteByte(c)
			if i+1 < len(body) && body[i+1] == '+' {
				if atom < 0 {
					return "", "has a possessive quantifier behind a group, which is not supported"
				}
				item := string(b.Bytes()[atom:])
				b.Truncate(atom)
				b.WriteString("(?>" + item + ")")
				i++
				atom = -1
			}
			inBraces = false
		case strings.IndexByte("(|)^", c) >= 0:
			b.WriteByte(c)
			atom = -1
		case c == '{' || inBraces && (c == ',' || IsDigit(c)):
			b.WriteByte(c)
			inBraces = true
		default:
			inBraces = false
			if c&0xc0 != 0x80 { // not within a character
				atom = b.Len()
			}
			b.WriteByte(c)
		}
	}
	return b.String(), ""
}
