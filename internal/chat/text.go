package chat

import (
	"html"
	"strings"
	"sync"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/microcosm-cc/bluemonday"
	nethtml "golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// DiscordText writes HTML, which may come from anybody, in Discord's Markdown, with at most 2000
// characters, as Discord counts them. It notifies nobody, and what looks like Markdown in the text is
// shown as it is. Line breaks in a text without block elements and <br> count in all these functions.
func DiscordText(html string) string { return render(html, &discordMarkup, 2000) }

// SlackText writes HTML, which may come from anybody, in Slack's mrkdwn, with at most 4000 characters.
// It notifies nobody. Slack has no way to write its marks, such as *, as themselves: those of the text
// may be read as marks.
func SlackText(html string) string { return render(html, &slackMarkup, 4000) }

// TelegramText writes HTML, which may come from anybody, in what Telegram takes with the parse_mode
// HTML, with at most 4096 characters, tags included.
func TelegramText(html string) string { return render(html, &telegramMarkup, 4096) }

// PlainText returns the text of HTML in at most limit characters, for which block elements and <br>
// make line breaks.
func PlainText(html string, limit int) string { return render(html, &plainMarkup, limit) }

// MailHTML returns what is harmless of HTML that may come from anybody, for the body of a mail: texts,
// tables, pictures and links, but no scripts, styles and forms. Every element that needs it has its
// end, and no end is without its element, so that the mail around it stays as it is.
func MailHTML(html string) string {
	root := parse(html)
	if !hasBlocks(root) {
		breakLines(root)
	}
	var b strings.Builder
	if err := nethtml.Render(&b, root); err != nil {
		return "" // of a tree that parse does not make: a void element with something in it
	}
	return mailPolicy().Sanitize(b.String())
}

// mailPolicy says what of HTML is harmless. It may be used by several goroutines at once.
var mailPolicy = sync.OnceValue(bluemonday.UGCPolicy)

// breakLines writes the line breaks of texts as elements.
func breakLines(root *nethtml.Node) {
	var texts []*nethtml.Node
	for n := range root.Descendants() {
		if n.Type == nethtml.TextNode && strings.Contains(n.Data, "\n") {
			texts = append(texts, n)
		}
	}
	for _, n := range texts {
		for i, line := range strings.Split(n.Data, "\n") {
			if i > 0 {
				n.Parent.InsertBefore(&nethtml.Node{Type: nethtml.ElementNode, Data: "br", DataAtom: atom.Br}, n)
			}
			n.Parent.InsertBefore(&nethtml.Node{Type: nethtml.TextNode, Data: line}, n)
		}
		n.Parent.RemoveChild(n)
	}
}

// discordMarkup is from "Markdown Text 101" in Discord's help.
var discordMarkup = markup{
	bold: mark{"**", "**"}, italic: mark{"*", "*"}, underline: mark{"__", "__"}, strike: mark{"~~", "~~"},
	code: mark{"`", "`"}, pre: mark{"```\n", "\n```"}, quoteLine: "> ",
	headings: []string{"# ", "## ", "### "}, bullet: "- ", paragraph: 2, perLine: true,
	inCode: replaceBackticks, link: discordLink, escape: discordEscape, count: utf8.RuneCountInString,
}

// slackMarkup is from "Formatting message text" in Slack's documentation.
var slackMarkup = markup{
	bold: mark{"*", "*"}, italic: mark{"_", "_"}, strike: mark{"~", "~"},
	code: mark{"`", "`"}, pre: mark{"```\n", "\n```"}, quoteLine: "> ",
	bullet: "• ", paragraph: 2, perLine: true,
	inCode: replaceBackticks, link: slackLink, escape: slackEscape, count: utf16Len,
}

// telegramMarkup is from "HTML style" in Telegram's Bot API.
var telegramMarkup = markup{
	bold: mark{"<b>", "</b>"}, italic: mark{"<i>", "</i>"}, underline: mark{"<u>", "</u>"}, strike: mark{"<s>", "</s>"},
	code: mark{"<code>", "</code>"}, pre: mark{"<pre>", "</pre>"}, quote: mark{"<blockquote>", "</blockquote>"},
	bullet: "• ", paragraph: 2,
	link: telegramLink, escape: telegramEscape, count: utf16Len,
}

var plainMarkup = markup{paragraph: 1, escape: plainEscape, count: utf8.RuneCountInString}

// utf16Len is how many UTF-16 code units a text has. It is the most that a service which does not say
// how it counts may count, but for bytes.
func utf16Len(s string) int {
	n := 0
	for _, c := range s {
		n += utf16.RuneLen(c)
	}
	return n
}

// replaceBackticks writes backticks, which end code, as a letter that looks the same.
func replaceBackticks(s string) string { return strings.ReplaceAll(s, "`", "ˋ") }

// mentions reports whether what follows an @ is a name for many people, or starts with one.
func mentions(s string) bool {
	for _, name := range []string{"everyone", "here", "channel"} {
		if len(s) >= len(name) && strings.EqualFold(s[:len(name)], name) {
			return true
		}
	}
	return false
}

// discordLink returns the marks of a link. Discord does not read them if the link's text is itself an
// address, lest it lead elsewhere: then both are written out.
func discordLink(href, text string) mark {
	switch {
	case !strings.Contains(text, "://"):
		return mark{"[", "](" + href + ")"}
	case text == href:
		return mark{"<", ">"}
	}
	// The opening is not nothing, which would put the text next to what is before it: an @, for one.
	return mark{zeroWidth, " (<" + href + ">)"}
}

func discordEscape(text string, in context) []string {
	pieces := make([]string, 0, len(text))
	lineStart := in.lineStart
	address := false // within https://…, where Discord reads neither marks nor backslashes
	for i, c := range text {
		s, rest := text[i:i+utf8.RuneLen(c)], text[i+utf8.RuneLen(c):]
		if unicode.IsSpace(c) || c == '<' {
			address = false
		} else if !in.code && (strings.HasPrefix(text[i:], "https://") || strings.HasPrefix(text[i:], "http://")) {
			address = true
		}
		switch {
		case c == '<' && discordTag(rest):
			s = `\<` + zeroWidth
			if in.code {
				s = "<" + zeroWidth
			}
		case c == '@' && mentions(rest) && address:
			s = "%40"
		case c == '@' && mentions(rest):
			s = "@" + zeroWidth
		case in.code:
		case address:
			if strings.ContainsRune("\\*`|", c) {
				s = percentEncode(s)
			}
		case strings.ContainsRune("\\*_~`|[]<", c),
			lineStart && strings.ContainsRune("#->+", c),
			c == '.' && in.lineStart && isNumber(text[:i]):
			s = `\` + s
		}
		pieces = append(pieces, s)
		lineStart = false
	}
	return pieces
}

// discordTag reports whether what follows a < makes it a mention of somebody or something, a command, an
// emoji or a time.
func discordTag(s string) bool {
	for _, start := range []string{"@", "#", "/", ":", "a:", "t:", "id:"} {
		if strings.HasPrefix(s, start) {
			return true
		}
	}
	return false
}

// isNumber reports whether a text is a few digits.
func isNumber(s string) bool {
	return s != "" && len(s) < 10 && strings.Trim(s, "0123456789") == ""
}

func slackLink(href, _ string) mark { return mark{"<" + html.EscapeString(href) + "|", ">"} }

func slackEscape(text string, in context) []string {
	pieces := make([]string, 0, len(text))
	for i, c := range text {
		s, rest := text[i:i+utf8.RuneLen(c)], text[i+utf8.RuneLen(c):]
		switch {
		case c == '&':
			s = "&amp;"
		case c == '<':
			s = "&lt;"
		case c == '>' && in.lineStart && !in.code && i == 0:
			s = zeroWidth + "&gt;" // Slack takes it for a quotation, escaped or not
		case c == '>':
			s = "&gt;"
		case c == '@' && mentions(rest):
			s = "@" + zeroWidth // which link_names would make a mention
		}
		pieces = append(pieces, s)
	}
	return pieces
}

func telegramLink(href, _ string) mark {
	return mark{`<a href="` + html.EscapeString(href) + `">`, "</a>"}
}

func telegramEscape(text string, _ context) []string {
	pieces := make([]string, 0, len(text))
	for i, c := range text {
		s := text[i : i+utf8.RuneLen(c)]
		switch c {
		case '&':
			s = "&amp;"
		case '<':
			s = "&lt;"
		case '>':
			s = "&gt;"
		}
		pieces = append(pieces, s)
	}
	return pieces
}

func plainEscape(text string, _ context) []string {
	pieces := make([]string, 0, len(text))
	for i, c := range text {
		pieces = append(pieces, text[i:i+utf8.RuneLen(c)])
	}
	return pieces
}
