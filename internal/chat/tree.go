package chat

import (
	"slices"
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

const (
	maxInput = 64 << 10 // bytes of HTML that are read; no message shows a tenth of it
	maxDepth = 64       // elements within elements; deeper ones are left out, their text is not
)

// parse returns the tree of an HTML text: elements that are known here, and texts. Every element has
// an end, wherever that is missing or misplaced. Scripts, styles and their like are left out with
// all that is in them, elements that are not known without it, comments altogether.
//
// The tree is made of tokens rather than with html.Parse, which opens unclosed elements again in each
// paragraph as the standard wants it, so that a tree may have nodes in the square of the text's
// length: a gigabyte of them for 64 KiB. A browser would show some misplaced markup differently.
func parse(text string) *html.Node {
	root := &html.Node{Type: html.DocumentNode}
	open := []*html.Node{root} // from the root to the element that is being filled
	skipped := 0               // how many elements like skip have been opened within it
	var skip atom.Atom
	tokens := html.NewTokenizer(strings.NewReader(valid(text)))
	for {
		kind := tokens.Next()
		if kind == html.ErrorToken {
			return root // there is no error but the end: a reader of a string has none
		}
		raw := string(tokens.Raw())
		token := tokens.Token()
		if skip != 0 {
			switch {
			case token.DataAtom != skip:
			case kind == html.StartTagToken:
				skipped++
			case kind == html.EndTagToken:
				if skipped--; skipped == 0 {
					skip = 0
				}
			}
			continue
		}
		top := open[len(open)-1]
		switch kind {
		case html.TextToken:
			appendText(top, token.Data)
		case html.StartTagToken, html.SelfClosingTagToken:
			switch {
			case leftOut(token.DataAtom):
				// Only in <svg/> and <math/> does the slash end the element.
				if kind == html.StartTagToken || token.DataAtom != atom.Svg && token.DataAtom != atom.Math {
					skip, skipped = token.DataAtom, 1
				}
			case token.DataAtom == atom.Plaintext, token.DataAtom == atom.Xmp: // what follows is a text
			case token.DataAtom == 0:
				if strings.ContainsAny(token.Data, "@:") {
					appendText(top, raw) // <joe@example.com> and <https://example.com> are no tags
				}
			default:
				open = implyEnd(open, token.DataAtom)
				if len(open) > maxDepth && !void(token.DataAtom) {
					continue
				}
				n := &html.Node{Type: html.ElementNode, DataAtom: token.DataAtom, Data: token.Data, Attr: wellFormed(token.Attr)}
				open[len(open)-1].AppendChild(n)
				if !void(token.DataAtom) {
					open = append(open, n)
				}
			}
		case html.EndTagToken:
			if token.DataAtom == 0 {
				continue
			}
			for i := len(open) - 1; i > 0; i-- {
				if open[i].DataAtom == token.DataAtom {
					open = open[:i]
					break
				}
			}
		}
	}
}

// lineEnds writes every end of a line as \n.
var lineEnds = strings.NewReplacer("\r\n", "\n", "\r", "\n")

// valid returns at most maxInput bytes of a text as UTF-8 without control characters.
func valid(text string) string {
	text = strings.ToValidUTF8(text[:min(len(text), maxInput)], "")
	return strings.Map(func(r rune) rune {
		if r < ' ' && r != '\n' && r != '\t' || r >= 0x7f && r < 0xa0 {
			return -1
		}
		return r
	}, lineEnds.Replace(text))
}

// appendText adds a text to a node. References such as &#7; may have brought new control characters.
func appendText(n *html.Node, text string) {
	n.AppendChild(&html.Node{Type: html.TextNode, Data: valid(text)})
}

// wellFormed returns the attributes whose names can be written again as they are.
func wellFormed(attributes []html.Attribute) []html.Attribute {
	return slices.DeleteFunc(attributes, func(a html.Attribute) bool {
		return strings.IndexFunc(a.Key, func(c rune) bool { return (c < 'a' || c > 'z') && c != '-' }) >= 0
	})
}

// leftOut reports whether an element's text is not for readers.
func leftOut(a atom.Atom) bool {
	switch a {
	case atom.Script, atom.Style, atom.Title, atom.Template, atom.Noscript, atom.Iframe, atom.Object,
		atom.Svg, atom.Math, atom.Noembed, atom.Noframes:
		return true
	}
	return false
}

// void reports whether an element has no end tag.
func void(a atom.Atom) bool {
	switch a {
	case atom.Area, atom.Base, atom.Br, atom.Col, atom.Embed, atom.Hr, atom.Img, atom.Input, atom.Link, atom.Meta,
		atom.Param, atom.Source, atom.Track, atom.Wbr:
		return true
	}
	return false
}

// block reports whether an element starts a new line and ends one.
func block(a atom.Atom) bool {
	switch a {
	case atom.Address, atom.Article, atom.Aside, atom.Blockquote, atom.Body, atom.Center, atom.Dd, atom.Details, atom.Dialog,
		atom.Div, atom.Dl, atom.Dt, atom.Fieldset, atom.Figcaption, atom.Figure, atom.Footer, atom.Form,
		atom.H1, atom.H2, atom.H3, atom.H4, atom.H5, atom.H6, atom.Header, atom.Hr, atom.Html, atom.Li, atom.Main, atom.Menu,
		atom.Nav, atom.Ol, atom.P, atom.Pre, atom.Section, atom.Summary, atom.Table, atom.Tbody, atom.Tfoot, atom.Thead,
		atom.Tr, atom.Ul, atom.Caption:
		return true
	}
	return false
}

// implyEnd closes the elements that end where one of kind a starts: a paragraph before any block, a
// list item before the next one, a link before another.
func implyEnd(open []*html.Node, a atom.Atom) []*html.Node {
	var closes, within []atom.Atom // what is closed, unless one of within is met first
	switch a {
	case atom.Li:
		closes, within = []atom.Atom{atom.Li}, []atom.Atom{atom.Ul, atom.Ol, atom.Menu}
	case atom.Dt, atom.Dd:
		closes, within = []atom.Atom{atom.Dt, atom.Dd}, []atom.Atom{atom.Dl}
	case atom.Tr:
		closes, within = []atom.Atom{atom.Tr}, []atom.Atom{atom.Table}
	case atom.Td, atom.Th:
		closes, within = []atom.Atom{atom.Td, atom.Th}, []atom.Atom{atom.Tr, atom.Table}
	case atom.A:
		closes, within = []atom.Atom{atom.A}, []atom.Atom{atom.Table}
	case atom.Option:
		closes, within = []atom.Atom{atom.Option}, []atom.Atom{atom.Select}
	default:
		if !block(a) {
			return open
		}
		closes = []atom.Atom{atom.P}
		within = []atom.Atom{atom.Li, atom.Blockquote, atom.Td, atom.Th, atom.Table, atom.Div, atom.Details}
	}
	for i := len(open) - 1; i > 0; i-- {
		switch {
		case slices.Contains(closes, open[i].DataAtom):
			return open[:i]
		case slices.Contains(within, open[i].DataAtom):
			return open
		}
	}
	return open
}

// hasBlocks reports whether anything in a tree makes line breaks. If not, those in the texts count.
func hasBlocks(root *html.Node) bool {
	for n := range root.Descendants() {
		if n.Type == html.ElementNode && (n.DataAtom == atom.Br || block(n.DataAtom)) {
			return true
		}
	}
	return false
}

// attribute returns the value of an element's attribute, without white space around it.
func attribute(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return strings.TrimSpace(valid(a.Val))
		}
	}
	return ""
}

// textOf returns the text in a node.
func textOf(n *html.Node) string {
	var b strings.Builder
	for child := range n.Descendants() {
		switch {
		case child.Type == html.TextNode:
			b.WriteString(child.Data)
		case child.DataAtom == atom.Br:
			b.WriteByte('\n')
		}
	}
	return b.String()
}

// withoutTags returns the text of an HTML text, as it is.
func withoutTags(text string) string {
	var b strings.Builder
	tokens := html.NewTokenizer(strings.NewReader(text))
	for {
		switch tokens.Next() {
		case html.ErrorToken:
			return b.String()
		case html.TextToken:
			b.Write(tokens.Text())
		}
	}
}
