package twig

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// escapeBy makes a text safe for a place in a document. The strategies are those of Twig's
// EscaperRuntime: html, js, css, url and html_attr.
func escapeBy(c *call, s, strategy string) (string, error) {
	var write func(b *strings.Builder, r rune)
	switch strategy {
	case "html":
		return escapeHTML(c, s)
	case "url":
		if err := c.Make(3 * len(s)); err != nil {
			return "", err
		}
		return rawURLEncode(s), nil
	case "js":
		write = escapeJS
	case "css":
		write = escapeCSS
	case "html_attr":
		write = escapeAttribute
	default:
		return "", fmt.Errorf("there is no strategy %q to escape by; there are html, js, css, url and html_attr", strategy)
	}
	if !utf8.ValidString(s) {
		return "", fmt.Errorf("a text that is not UTF-8 cannot be escaped by %s", strategy)
	}
	const longest = 12 // of what a character becomes: a pair of \uXXXX
	if err := c.Make(longest * len(s)); err != nil {
		return "", err
	}
	var b strings.Builder
	for _, r := range s {
		write(&b, r)
	}
	return b.String(), nil
}

var htmlEntities = strings.NewReplacer(`&`, "&amp;", `"`, "&quot;", `'`, "&#039;", `<`, "&lt;", `>`, "&gt;")

// escapeHTML is PHP's htmlspecialchars with ENT_QUOTES and ENT_SUBSTITUTE.
func escapeHTML(c *call, s string) (string, error) {
	size := len(s)
	for i := range len(s) {
		switch s[i] {
		case '&', '"', '\'', '<', '>':
			size += 5
		}
	}
	if err := c.Make(size); err != nil {
		return "", err
	}
	if size > len(s) {
		s = htmlEntities.Replace(s)
	}
	return strings.ToValidUTF8(s, "\uFFFD"), nil
}

func isAlphanumeric(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
}

func escapeJS(b *strings.Builder, r rune) {
	if isAlphanumeric(r) || r == ',' || r == '.' || r == '_' {
		b.WriteRune(r)
		return
	}
	switch r {
	case '\\', '/':
		b.WriteByte('\\')
		b.WriteRune(r)
	case '\b':
		b.WriteString(`\b`)
	case '\f':
		b.WriteString(`\f`)
	case '\n':
		b.WriteString(`\n`)
	case '\r':
		b.WriteString(`\r`)
	case '\t':
		b.WriteString(`\t`)
	default:
		if r < 0x10000 {
			fmt.Fprintf(b, `\u%04X`, r)
			return
		}
		r -= 0x10000
		fmt.Fprintf(b, `\u%04X\u%04X`, 0xd800|r>>10, 0xdc00|r&0x3ff)
	}
}

func escapeCSS(b *strings.Builder, r rune) {
	if isAlphanumeric(r) {
		b.WriteRune(r)
		return
	}
	fmt.Fprintf(b, `\%X `, r)
}

func escapeAttribute(b *strings.Builder, r rune) {
	switch {
	case isAlphanumeric(r) || r == ',' || r == '.' || r == '-' || r == '_':
		b.WriteRune(r)
	case r <= 0x1f && r != '\t' && r != '\n' && r != '\r' || r == 0x7f: // HTML has no such characters
		b.WriteString("&#xFFFD;")
	case r == '"':
		b.WriteString("&quot;")
	case r == '&':
		b.WriteString("&amp;")
	case r == '<':
		b.WriteString("&lt;")
	case r == '>':
		b.WriteString("&gt;")
	case r < 0x80:
		fmt.Fprintf(b, "&#x%02X;", r)
	default:
		fmt.Fprintf(b, "&#x%04X;", r)
	}
}

// rawURLEncode is PHP's rawurlencode: RFC 3986.
func rawURLEncode(s string) string {
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(s) {
		ch := s[i]
		if isAlphanumeric(rune(ch)) || ch == '-' || ch == '_' || ch == '.' || ch == '~' {
			b.WriteByte(ch)
			continue
		}
		b.WriteByte('%')
		b.WriteByte(hex[ch>>4])
		b.WriteByte(hex[ch&15])
	}
	return b.String()
}

// filterEscape escapes a text also if it is Markup, as only the automatic escaping passes over that. What
// is no text is returned as it is.
func filterEscape(c *call) (any, error) {
	strategy, err := c.text(1, "html")
	if err != nil {
		return nil, err
	}
	v := plain(c.args[0])
	s, ok := v.(string)
	if !ok {
		if d, isDate := v.(fmt.Stringer); isDate {
			s, ok = d.String(), true
		}
	}
	if !ok {
		_, err := escapeBy(c, "", strategy) // an unknown strategy is an error all the same
		return v, err
	}
	escaped, err := escapeBy(c, s, strategy)
	return Markup(escaped), err
}

// filterRaw says that a text is safe. What is no text is returned as it is.
func filterRaw(c *call) (any, error) {
	if s, ok := c.args[0].(string); ok {
		return Markup(s), nil
	}
	return c.args[0], nil
}

// escapedInput returns the argument that a filter is applied to as HTML: Markup as it is, a text escaped.
// It is for filters whose results are HTML.
func escapedInput(c *call) (string, error) {
	if m, ok := c.args[0].(Markup); ok {
		return string(m), nil
	}
	s, err := c.text(0, "")
	if err != nil {
		return "", err
	}
	return escapeHTML(c, s)
}
