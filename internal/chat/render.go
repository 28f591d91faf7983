package chat

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// A markup is how a service writes what HTML says with elements. What it has no mark for comes out
// as text.
type markup struct {
	bold, italic, underline, strike, code mark

	pre   mark // around lines of code
	quote mark // around a quotation, if it may span lines

	quoteLine string                // before each line of a quotation, if marks end with their line
	headings  []string              // before a heading's line, by level; further levels are bold
	bullet    string                // before an item of a list, where numbered ones have their number; empty for neither
	paragraph int                   // line breaks between paragraphs
	perLine   bool                  // marks end with their line
	inCode    func(s string) string // what code needs replaced; nil for nothing

	// link returns the marks around a link with an address and a text.
	link func(href, text string) mark

	// escape splits a text into pieces that mean nothing but themselves and must not be cut. Context
	// is what stands around the text.
	escape func(text string, in context) []string

	// count is how many characters a text counts to the service.
	count func(s string) int
}

// A mark is what stands before and after a text.
type mark struct{ open, close string }

// A context is what an escape depends on.
type context struct {
	lineStart bool // the text starts a line
	code      bool // within code, where services read no marks
}

// A piece is a part of the result, which is cut between pieces only.
type piece struct {
	kind pieceKind
	text string
	end  string // of an opening: its close
}

type pieceKind int

const (
	textPiece  pieceKind = iota
	spacePiece           // a space or line break, where a text may be cut
	prefixPiece
	openPiece
	closePiece
)

// A renderer writes a tree in a markup.
type renderer struct {
	*markup
	limit     int
	keepLines bool // line breaks in texts count: nothing else makes any

	out   []piece
	width int // characters of out

	run     strings.Builder // text that is not escaped yet: what must be broken up may be spread over texts
	context context         // of run

	breaks int    // line breaks before the next text
	blank  bool   // a space before the next text
	prefix string // before the next line's text: "- "
	marks  []mark // around the next text
	shown  int    // how many of marks are open in out

	quotes, links int
	lists         []counter
}

// A counter is a list that is being written.
type counter struct {
	numbered bool
	n        int // number of the next item
}

// render returns an HTML text in a markup, with at most limit characters.
func render(text string, m *markup, limit int) string {
	root := parse(text)
	r := &renderer{markup: m, limit: limit, keepLines: !hasBlocks(root)}
	r.children(root)
	r.flush()
	r.endMarks(0)
	return r.cut()
}

// full reports whether there is more text than will be shown, so that the rest need not be looked at.
func (r *renderer) full() bool { return r.width > r.limit }

func (r *renderer) children(n *html.Node) {
	for child := n.FirstChild; child != nil && !r.full(); child = child.NextSibling {
		if child.Type == html.TextNode {
			r.text(child.Data)
		} else {
			r.element(child)
		}
	}
}

func (r *renderer) element(n *html.Node) {
	switch n.DataAtom {
	case atom.B, atom.Strong:
		r.marked(n, r.bold)
	case atom.I, atom.Em, atom.Cite, atom.Dfn, atom.Var:
		r.marked(n, r.italic)
	case atom.U, atom.Ins:
		r.marked(n, r.underline)
	case atom.S, atom.Del, atom.Strike:
		r.marked(n, r.strike)
	case atom.Code, atom.Kbd, atom.Samp, atom.Tt:
		r.inlineCode(n)
	case atom.A:
		r.anchor(n)
	case atom.Br:
		r.lineBreak()
	case atom.Img:
		r.text(attribute(n, "alt"))
	case atom.Td, atom.Th:
		r.blank = true
		r.children(n)
	case atom.H1, atom.H2, atom.H3, atom.H4, atom.H5, atom.H6:
		r.heading(n, int(n.Data[1]-'0'))
	case atom.P:
		r.lines(r.gap())
		r.children(n)
		r.lines(r.gap())
	case atom.Pre:
		r.preformatted(n)
	case atom.Blockquote:
		r.quotation(n)
	case atom.Ul, atom.Ol, atom.Menu:
		r.list(n)
	case atom.Li:
		r.item(n)
	default:
		if !block(n.DataAtom) {
			r.children(n)
			return
		}
		r.lines(1)
		r.children(n)
		r.lines(1)
	}
}

// marked writes an element between marks, unless they would not be read there or are there already.
func (r *renderer) marked(n *html.Node, m mark) {
	for _, around := range r.marks {
		if around == m || around == r.code && r.code != (mark{}) {
			m = mark{}
		}
	}
	if m == (mark{}) {
		r.children(n)
		return
	}
	r.marks = append(r.marks, m)
	r.children(n)
	r.end()
}

// inlineCode writes code within a line. Its marks are innermost, no service reads others in them, and
// Telegram none around it either when those are a link's.
func (r *renderer) inlineCode(n *html.Node) {
	if r.links > 0 {
		r.children(n)
		return
	}
	r.marked(n, r.code)
}

// end takes back the innermost mark.
func (r *renderer) end() {
	last := len(r.marks) - 1
	if r.shown > last {
		r.flush()
		r.endMarks(last)
	}
	r.marks = r.marks[:last]
}

// endMarks closes the marks that are open in out down to the first n. They open again before the
// next text, unless they have been taken back.
func (r *renderer) endMarks(n int) {
	for r.shown > n {
		r.shown--
		r.put(piece{kind: closePiece, text: r.marks[r.shown].close})
	}
}

func (r *renderer) anchor(n *html.Node) {
	address, ok := webAddress(attribute(n, "href"))
	if !ok || r.link == nil || r.links > 0 || r.inCodeMark() {
		r.children(n)
		return
	}
	m := r.link(address, strings.TrimSpace(textOf(n)))
	r.links++
	r.marked(n, m)
	r.links--
}

// webAddress returns an address for the use in links. It is not ok if it leads elsewhere than to the
// web: runs a script, say, or writes a mail.
func webAddress(href string) (address string, ok bool) {
	scheme, rest, _ := strings.Cut(href, "://")
	scheme = strings.ToLower(scheme)
	if rest == "" || scheme != "http" && scheme != "https" {
		return "", false
	}
	return scheme + "://" + percentEncode(withoutBreaks.Replace(rest)), true
}

// withoutBreaks removes what browsers remove from addresses.
var withoutBreaks = strings.NewReplacer("\n", "", "\t", "")

// percentEncode returns an address, or a part of one, without the characters that end it in some
// markup, or have a meaning.
func percentEncode(s string) string {
	var b strings.Builder
	for i, c := range s {
		switch {
		case c <= ' ', unicode.IsSpace(c), strings.ContainsRune("\"'()*<>[\\]`{|}", c), c == '@' && mentions(s[i+1:]):
			for _, octet := range []byte(string(c)) {
				fmt.Fprintf(&b, "%%%02X", octet)
			}
		default:
			b.WriteRune(c)
		}
	}
	return b.String()
}

func (r *renderer) inCodeMark() bool {
	for _, m := range r.marks {
		if m == r.code && r.code != (mark{}) {
			return true
		}
	}
	return false
}

func (r *renderer) heading(n *html.Node, level int) {
	r.lines(r.gap())
	switch {
	case level <= len(r.headings) && r.links == 0:
		r.prefix += r.headings[level-1]
		r.children(n)
		r.prefix = "" // of a heading without a text
	default:
		r.marked(n, r.bold)
	}
	r.lines(1)
}

// gap is how many line breaks are between paragraphs: lists and quotations have no empty lines.
func (r *renderer) gap() int {
	if len(r.lists) > 0 || r.quotes > 0 {
		return 1
	}
	return r.paragraph
}

func (r *renderer) quotation(n *html.Node) {
	r.lines(1)
	r.quotes++
	if r.quotes == 1 {
		r.marked(n, r.quote)
	} else {
		r.children(n)
	}
	r.quotes--
	r.lines(1)
}

func (r *renderer) list(n *html.Node) {
	r.lines(1)
	c := counter{numbered: n.DataAtom == atom.Ol, n: 1}
	if start, err := strconv.ParseInt(attribute(n, "start"), 10, 16); err == nil && start > 0 {
		c.n = int(start)
	}
	r.lists = append(r.lists, c)
	r.children(n)
	r.lists = r.lists[:len(r.lists)-1]
	r.lines(1)
}

func (r *renderer) item(n *html.Node) {
	r.lines(1)
	if r.bullet != "" && r.links == 0 {
		bullet, depth := r.bullet, len(r.lists)
		if depth > 0 && r.lists[depth-1].numbered {
			bullet = strconv.Itoa(r.lists[depth-1].n) + ". "
			r.lists[depth-1].n++
		}
		// A list in a list that stands in the first item's place has its bullet only.
		r.prefix = strings.Repeat("  ", max(0, min(depth, 5)-1)) + bullet
	}
	r.children(n)
	r.prefix = ""
	r.lines(1)
}

// preformatted writes lines as they are, without white space around them.
func (r *renderer) preformatted(n *html.Node) {
	if r.links > 0 || r.inCodeMark() {
		r.children(n)
		return
	}
	lines := strings.Split(textOf(n), "\n")
	first, last := -1, -1
	for i, line := range lines {
		lines[i] = strings.TrimRightFunc(line, unicode.IsSpace)
		if lines[i] != "" {
			if first < 0 {
				first = i
			}
			last = i
		}
	}
	if first < 0 {
		return
	}
	r.lines(1)
	quotes, marks := r.quotes, r.marks
	if r.perLine {
		// No line of a quotation, and no mark around: the block's own marks take lines for themselves.
		r.flush()
		r.endMarks(0)
		r.quotes, r.marks = 0, nil
	}
	r.marks = append(r.marks, r.pre)
	for i, line := range lines[first : last+1] {
		if r.full() {
			break
		}
		if i == 0 {
			r.startText()
		} else {
			r.flush()
			r.put(piece{kind: spacePiece, text: "\n"})
		}
		r.context = context{lineStart: true, code: r.pre != (mark{})}
		r.run.WriteString(line)
	}
	r.flush()
	r.end()
	r.quotes, r.marks = quotes, marks
	r.lines(1)
}

// lines asks for at least n line breaks before the next text.
func (r *renderer) lines(n int) {
	r.blank = true
	if r.links == 0 || !r.perLine {
		r.breaks = max(r.breaks, n)
	}
}

// lineBreak asks for one more line break, of which two in a row show.
func (r *renderer) lineBreak() { r.lines(min(r.breaks+1, 2)) }

// text writes a text, its white space as one space.
func (r *renderer) text(s string) {
	for _, c := range s {
		switch {
		case c == '\n' && r.keepLines:
			r.lineBreak()
		case unicode.IsSpace(c):
			r.blank = true
		default:
			r.startText()
			r.run.WriteRune(c)
		}
	}
}

// startText writes what stands between the last text and the next: white space, prefixes and marks.
func (r *renderer) startText() {
	start := len(r.out) == 0 && r.run.Len() == 0
	switch {
	case start || r.breaks > 0:
		r.flush()
		if r.perLine {
			r.endMarks(0)
		}
		if r.perLine && r.quotes > 0 {
			r.breaks = min(r.breaks, 1) // an empty line would end the quotation
		}
		if !start {
			for range r.breaks {
				r.put(piece{kind: spacePiece, text: "\n"})
			}
		}
		if r.quotes > 0 && r.quoteLine != "" {
			r.put(piece{kind: prefixPiece, text: r.quoteLine})
		}
	case r.blank:
		if r.shown < len(r.marks) {
			r.flush()
		}
		if r.run.Len() > 0 {
			r.run.WriteByte(' ')
		} else {
			r.put(piece{kind: spacePiece, text: " "})
		}
	}
	r.breaks, r.blank = 0, false
	if r.prefix != "" {
		r.flush()
		if start {
			r.prefix = strings.TrimLeft(r.prefix, " ") // a list in a list that has nothing else
		}
		r.put(piece{kind: prefixPiece, text: r.prefix})
		r.prefix = ""
	}
	if r.shown < len(r.marks) {
		r.flush()
		if r.perLine && len(r.out) > 0 && r.out[len(r.out)-1].kind == closePiece {
			r.put(piece{kind: textPiece, text: zeroWidth}) // **a****b** would be read as one
		}
		for ; r.shown < len(r.marks); r.shown++ {
			r.put(piece{kind: openPiece, text: r.marks[r.shown].open, end: r.marks[r.shown].close})
		}
	}
	if r.run.Len() == 0 {
		r.context = context{lineStart: r.atLineStart(), code: r.inCodeMark()}
	}
}

func (r *renderer) atLineStart() bool {
	if len(r.out) == 0 {
		return true
	}
	last := r.out[len(r.out)-1]
	return last.kind == prefixPiece || last.text == "\n"
}

// flush escapes the text that has been collected.
func (r *renderer) flush() {
	if r.run.Len() == 0 {
		return
	}
	s := r.run.String()
	r.run.Reset()
	if r.context.code && r.inCode != nil {
		s = r.inCode(s)
	}
	for _, text := range r.escape(s, r.context) {
		kind := textPiece
		if text == " " {
			kind = spacePiece
		}
		r.put(piece{kind: kind, text: text})
		if r.full() {
			return
		}
	}
}

func (r *renderer) put(p piece) {
	r.out = append(r.out, p)
	r.width += r.count(p.text)
}

// cut returns what has been written, cut at a word and with an ellipsis if it is too long. The marks
// that are open there are closed.
func (r *renderer) cut() string {
	if r.width <= r.limit {
		return join(r.out, "")
	}
	fits, width, ends := 0, r.count(ellipsis), 0
	for _, p := range r.out {
		switch p.kind {
		case openPiece:
			ends += r.count(p.end)
		case closePiece:
			ends -= r.count(p.text)
		}
		width += r.count(p.text)
		if width+ends > r.limit {
			break
		}
		fits++
	}
	if r.limit < r.count(ellipsis) {
		return ""
	}
	out := r.out[:fits]
	if r.out[fits].kind != spacePiece {
		const longest = 60 // a word that is longer is cut itself
		for i := fits - 1; i >= max(1, fits-longest); i-- {
			if out[i].kind == spacePiece {
				out = out[:i]
				break
			}
		}
	}
	for len(out) > 0 && out[len(out)-1].kind != textPiece && out[len(out)-1].kind != closePiece {
		out = out[:len(out)-1]
	}
	var open []string
	for _, p := range out {
		switch p.kind {
		case openPiece:
			open = append(open, p.end)
		case closePiece:
			open = open[:len(open)-1]
		}
	}
	tail := ellipsis
	for i := len(open) - 1; i >= 0; i-- {
		tail += open[i]
	}
	return join(out, tail)
}

const (
	ellipsis  = "…"
	zeroWidth = "\u200b" // a space of no width, which no service takes for part of a mention or mark
)

func join(out []piece, tail string) string {
	var b strings.Builder
	for _, p := range out {
		b.WriteString(p.text)
	}
	b.WriteString(tail)
	return b.String()
}
