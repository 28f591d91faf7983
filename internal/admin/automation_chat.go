package admin

import (
	"fmt"
	"regexp"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/buglehq/bugle/internal/chat"
	"github.com/buglehq/bugle/value"
)

// A chatCard is a message as a chat service would show it, or nearly.
type chatCard struct {
	Service string
	Name    string
	Initial string
	HTML    string // of Telegram, as it was sent
	Blocks  []chatBlock
	Embeds  []chatEmbed
}

// A chatBlock is a part of a message below the others.
type chatBlock struct {
	Kind   string // text, header, small, quote, item, divider, image, fields, code
	Nodes  []chatNode
	Text   string
	Fields []chatField
}

// A chatEmbed is a box with a coloured edge.
type chatEmbed struct {
	Color    string
	Author   string
	Title    []chatNode
	TitleURL string
	Blocks   []chatBlock
	Fields   []chatField
	Image    string
	Footer   string
	Time     string
}

type chatField struct {
	Name, Value []chatNode
	Inline      bool
}

// A chatNode is a piece of text with its looks.
type chatNode struct {
	Kind     string // text, bold, italic, underline, strike, code, spoiler, mention, link, break
	Text     string
	URL      string
	Children []chatNode
}

const (
	maxChatText = 4000 // characters of one text that are shown
	maxChatRows = 50   // blocks, embeds and fields
	maxChatNest = 6
)

// newChatCard returns the card of a body; nil if the service is not one of those that can be shown.
func newChatCard(service chat.Service, body *value.Array, location *time.Location) *chatCard {
	c := &chatCard{Service: chatNames[service]}
	switch service {
	case chat.Discord:
		c.discord(body, location)
	case chat.Slack:
		c.slack(body)
	case chat.Telegram:
		c.Name = "Your bot"
		c.HTML = cut(maxChatText, textOf(body, "text")+textOf(body, "caption"))
		if !strings.EqualFold(textOf(body, "parse_mode"), "HTML") {
			c.Blocks = []chatBlock{{Kind: "text", Nodes: breakLines(c.HTML)}}
			c.HTML = ""
		}
	case chat.Teams:
		c.Name = "Workflows"
		c.teams(body)
	default:
		return nil
	}
	first, _ := utf8.DecodeRuneInString(c.Name)
	c.Initial = strings.ToUpper(string(first))
	return c
}

func textOf(of *value.Array, key string) string {
	v, _ := of.Get(key)
	text, _ := v.(string)
	return text
}

func arrayOf(of *value.Array, key string) *value.Array {
	v, _ := of.Get(key)
	array, _ := v.(*value.Array)
	return array
}

// eachOf calls do for the objects of a list, as many as are shown.
func eachOf(of *value.Array, key string, do func(item *value.Array)) {
	n := 0
	for _, v := range arrayOf(of, key).All() {
		if n++; n > maxChatRows {
			return
		}
		if item, ok := v.(*value.Array); ok {
			do(item)
		}
	}
}

func (c *chatCard) discord(body *value.Array, location *time.Location) {
	if c.Name = textOf(body, "username"); strings.TrimSpace(c.Name) == "" {
		c.Name = "Discord webhook"
	}
	c.Blocks = discordBlocks(textOf(body, "content"))
	eachOf(body, "embeds", func(e *value.Array) {
		embed := chatEmbed{Color: "#4f545c", Author: textOf(arrayOf(e, "author"), "name"), TitleURL: textOf(e, "url"), Blocks: discordBlocks(textOf(e, "description")),
			Footer: textOf(arrayOf(e, "footer"), "text"), Title: discordInline(textOf(e, "title"), 0)}
		if v, _ := e.Get("color"); v != nil {
			if n, ok := v.(int64); ok && n >= 0 && n <= 0xffffff {
				embed.Color = fmt.Sprintf("#%06x", n)
			}
		}
		eachOf(e, "fields", func(f *value.Array) {
			inline, _ := f.Get("inline")
			embed.Fields = append(embed.Fields, chatField{discordInline(textOf(f, "name"), 0), discordInline(textOf(f, "value"), 0), inline == true})
		})
		embed.Image = textOf(arrayOf(e, "image"), "url")
		if at, err := time.Parse(time.RFC3339, textOf(e, "timestamp")); err == nil {
			embed.Time = at.In(location).Format("2006-01-02 15:04")
		}
		c.Embeds = append(c.Embeds, embed)
	})
}

// discordBlocks reads the lines of Discord's Markdown.
func discordBlocks(text string) []chatBlock {
	if strings.TrimSpace(text) == "" {
		return nil
	}
	var blocks []chatBlock
	var plain []string
	flush := func() {
		if len(plain) > 0 {
			blocks = append(blocks, chatBlock{Kind: "text", Nodes: discordInline(strings.Join(plain, "\n"), 0)})
		}
		plain = nil
	}
	lines := strings.Split(cut(maxChatText, text), "\n")
	for i := 0; i < len(lines); i++ {
		line := lines[i]
		kind, rest := "", ""
		switch {
		case strings.HasPrefix(line, "```"):
			flush()
			code := []string{strings.TrimPrefix(line, "```")}
			for !strings.Contains(code[len(code)-1], "```") && i+1 < len(lines) {
				i++
				code = append(code, lines[i])
			}
			if len(code) > 1 && !strings.Contains(code[0], " ") {
				code = code[1:] // the name of the language
			}
			inside, _, _ := strings.Cut(strings.Join(code, "\n"), "```")
			blocks = append(blocks, chatBlock{Kind: "code", Text: strings.Trim(inside, "\n")})
			continue
		case strings.HasPrefix(line, "# "), strings.HasPrefix(line, "## "), strings.HasPrefix(line, "### "):
			kind, rest = "header", strings.TrimLeft(line, "# ")
		case strings.HasPrefix(line, "-# "):
			kind, rest = "small", line[3:]
		case strings.HasPrefix(line, "> "):
			kind, rest = "quote", line[2:]
		case strings.HasPrefix(line, "- "), strings.HasPrefix(line, "* "):
			kind, rest = "item", line[2:]
		default:
			plain = append(plain, line)
			continue
		}
		flush()
		blocks = append(blocks, chatBlock{Kind: kind, Nodes: discordInline(rest, 0)})
	}
	flush()
	return blocks
}

// A mark is a sign around text, and the looks that it gives.
type mark struct{ sign, kind string }

var discordMarks = []mark{{"**", "bold"}, {"__", "underline"}, {"~~", "strike"}, {"||", "spoiler"}, {"`", "code"}, {"*", "italic"}, {"_", "italic"}}
var slackMarks = []mark{{"*", "bold"}, {"_", "italic"}, {"~", "strike"}, {"`", "code"}}

var (
	webAddress     = regexp.MustCompile(`^https?://[^\s<>|)"]+`)
	markdownLink   = regexp.MustCompile(`^\[([^\]\n]{1,300})\]\((https?://[^\s)]+)\)`)
	discordMention = regexp.MustCompile(`^<(@&|@!?|#)(\d{1,20})>|^<(:|a:)(\w{1,40}):\d{1,20}>|^<t:(-?\d{1,12})(:[tTdDfFR])?>|^@(everyone|here)\b`)
	slackAngle     = regexp.MustCompile(`^<([^<>|\n]{1,1000})(?:\|([^<>\n]{0,300}))?>`)
)

func discordInline(text string, depth int) []chatNode {
	return inlineOf(cut(maxChatText, text), depth, discordMarks, true, func(rest string) (chatNode, int) {
		if m := markdownLink.FindStringSubmatch(rest); m != nil {
			return chatNode{Kind: "link", URL: m[2], Children: []chatNode{{Kind: "text", Text: m[1]}}}, len(m[0])
		}
		if m := discordMention.FindStringSubmatch(rest); m != nil {
			name := m[0]
			switch {
			case m[1] == "#":
				name = "#channel " + m[2]
			case m[1] == "@&":
				name = "@role " + m[2]
			case m[2] != "":
				name = "@user " + m[2]
			case m[4] != "":
				name = ":" + m[4] + ":"
			case m[5] != "":
				name = "a time"
			}
			return chatNode{Kind: "mention", Text: name}, len(m[0])
		}
		return chatNode{}, 0
	})
}

var slackEntities = strings.NewReplacer("&lt;", "<", "&gt;", ">", "&amp;", "&")

func slackInline(text string, depth int) []chatNode {
	nodes := inlineOf(cut(maxChatText, text), depth, slackMarks, false, func(rest string) (chatNode, int) {
		m := slackAngle.FindStringSubmatch(rest)
		if m == nil {
			return chatNode{}, 0
		}
		label := m[2]
		switch target := m[1]; {
		case strings.HasPrefix(target, "@"), strings.HasPrefix(target, "#"):
			return chatNode{Kind: "mention", Text: target[:1] + orElse(label, target[1:])}, len(m[0])
		case strings.HasPrefix(target, "!"):
			return chatNode{Kind: "mention", Text: "@" + orElse(label, target[1:])}, len(m[0])
		default:
			return chatNode{Kind: "link", URL: target, Children: []chatNode{{Kind: "text", Text: orElse(label, target)}}}, len(m[0])
		}
	})
	unescape(nodes)
	return nodes
}

func unescape(nodes []chatNode) {
	for i := range nodes {
		nodes[i].Text = slackEntities.Replace(nodes[i].Text)
		unescape(nodes[i].Children)
	}
}

// inlineOf reads marks within a text. Special reads what begins in another way, and returns how long it is.
// Where inWords is false, marks count only around whole words.
func inlineOf(text string, depth int, marks []mark, inWords bool, special func(rest string) (chatNode, int)) []chatNode {
	var nodes []chatNode
	var plain strings.Builder
	flush := func() {
		if plain.Len() > 0 {
			nodes = append(nodes, breakLines(plain.String())...)
			plain.Reset()
		}
	}
	var before rune
	for at := 0; at < len(text); {
		rest := text[at:]
		if inWords && rest[0] == '\\' && len(rest) > 1 && rest[1] < utf8.RuneSelf && unicode.IsPunct(rune(rest[1])) {
			plain.WriteByte(rest[1])
			before, at = rune(rest[1]), at+2
			continue
		}
		node, n := special(rest)
		if n == 0 {
			if url := webAddress.FindString(rest); url != "" {
				node, n = chatNode{Kind: "link", URL: url, Children: []chatNode{{Kind: "text", Text: url}}}, len(url)
			}
		}
		if n == 0 && depth < maxChatNest {
			var inside string
			node, inside, n = markedBy(rest, before, marks, inWords)
			if n > 0 && node.Kind == "code" {
				node.Text = inside
			} else if n > 0 {
				node.Children = inlineOf(inside, depth+1, marks, inWords, special)
			}
		}
		if n > 0 {
			flush()
			nodes = append(nodes, node)
			before, at = rune(rest[n-1]), at+n
			continue
		}
		r, size := utf8.DecodeRuneInString(rest)
		plain.WriteRune(r)
		before, at = r, at+size
	}
	flush()
	return nodes
}

// markedBy reads a mark at the beginning of a text, and what is inside it.
func markedBy(text string, before rune, marks []mark, inWords bool) (node chatNode, inside string, length int) {
	isWord := func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }
	for _, m := range marks {
		if !strings.HasPrefix(text, m.sign) || (!inWords || m.sign == "_") && isWord(before) {
			continue
		}
		end := strings.Index(text[len(m.sign):], m.sign)
		if end <= 0 {
			continue
		}
		inside = text[len(m.sign) : len(m.sign)+end]
		after, _ := utf8.DecodeRuneInString(text[2*len(m.sign)+end:])
		if m.kind != "code" && (strings.TrimSpace(inside) != inside || !inWords && (strings.Contains(inside, "\n") || isWord(after))) {
			continue
		}
		return chatNode{Kind: m.kind}, inside, 2*len(m.sign) + end
	}
	return node, "", 0
}

// breakLines is a text with breaks where its lines end.
func breakLines(text string) []chatNode {
	var nodes []chatNode
	for i, line := range strings.Split(text, "\n") {
		if i > 0 {
			nodes = append(nodes, chatNode{Kind: "break"})
		}
		if line != "" {
			nodes = append(nodes, chatNode{Kind: "text", Text: line})
		}
	}
	return nodes
}

func (c *chatCard) slack(body *value.Array) {
	if c.Name = textOf(body, "username"); c.Name == "" {
		c.Name = "Slack app"
	}
	c.Blocks = slackBlocks(body)
	if len(c.Blocks) == 0 && textOf(body, "text") != "" {
		c.Blocks = []chatBlock{{Kind: "text", Nodes: slackInline(textOf(body, "text"), 0)}}
	}
	eachOf(body, "attachments", func(a *value.Array) {
		e := chatEmbed{Color: slackColor(textOf(a, "color")), Author: textOf(a, "author_name"), Title: slackInline(textOf(a, "title"), 0), TitleURL: textOf(a, "title_link"),
			Footer: textOf(a, "footer"), Image: textOf(a, "image_url"), Blocks: slackBlocks(a)}
		if text := textOf(a, "text"); text != "" {
			e.Blocks = append([]chatBlock{{Kind: "text", Nodes: slackInline(text, 0)}}, e.Blocks...)
		}
		eachOf(a, "fields", func(f *value.Array) {
			short, _ := f.Get("short")
			e.Fields = append(e.Fields, chatField{slackInline(textOf(f, "title"), 0), slackInline(textOf(f, "value"), 0), short == true})
		})
		c.Embeds = append(c.Embeds, e)
	})
}

var hexColor = regexp.MustCompile(`^#?[0-9a-fA-F]{6}$`)

func slackColor(text string) string {
	switch known := map[string]string{"good": "#2eb67d", "warning": "#ecb22e", "danger": "#e01e5a"}[text]; {
	case known != "":
		return known
	case hexColor.MatchString(text):
		return "#" + strings.TrimPrefix(text, "#")
	}
	return "#9aa0a6"
}

// slackText reads a text object, whose type says whether it has marks.
func slackText(of *value.Array) []chatNode {
	if of == nil {
		return nil
	}
	if textOf(of, "type") == "plain_text" {
		return breakLines(cut(maxChatText, textOf(of, "text")))
	}
	return slackInline(textOf(of, "text"), 0)
}

func slackBlocks(body *value.Array) []chatBlock {
	var blocks []chatBlock
	eachOf(body, "blocks", func(b *value.Array) {
		switch kind := textOf(b, "type"); kind {
		case "header":
			blocks = append(blocks, chatBlock{Kind: "header", Nodes: slackText(arrayOf(b, "text"))})
		case "section":
			if text := slackText(arrayOf(b, "text")); len(text) > 0 {
				blocks = append(blocks, chatBlock{Kind: "text", Nodes: text})
			}
			var fields []chatField
			eachOf(b, "fields", func(f *value.Array) { fields = append(fields, chatField{Value: slackText(f), Inline: true}) })
			if len(fields) > 0 {
				blocks = append(blocks, chatBlock{Kind: "fields", Fields: fields})
			}
		case "context":
			eachOf(b, "elements", func(e *value.Array) {
				if textOf(e, "type") == "image" {
					blocks = append(blocks, chatBlock{Kind: "image", Text: textOf(e, "alt_text")})
				} else {
					blocks = append(blocks, chatBlock{Kind: "small", Nodes: slackText(e)})
				}
			})
		case "divider":
			blocks = append(blocks, chatBlock{Kind: "divider"})
		case "image":
			blocks = append(blocks, chatBlock{Kind: "image", Text: textOf(b, "alt_text")})
		case "":
		default:
			blocks = append(blocks, chatBlock{Kind: "small", Nodes: breakLines("A block of type " + cut(40, kind) + ", not shown here.")})
		}
	})
	return blocks
}

// teams reads adaptive cards and the older message cards.
func (c *chatCard) teams(body *value.Array) {
	add := func(kind, text string) {
		if strings.TrimSpace(text) != "" {
			c.Blocks = append(c.Blocks, chatBlock{Kind: kind, Nodes: discordInline(text, 0)})
		}
	}
	facts := func(of *value.Array, name string) {
		var fields []chatField
		eachOf(of, "facts", func(f *value.Array) {
			fields = append(fields, chatField{Name: breakLines(textOf(f, name)), Value: discordInline(textOf(f, "value"), 0)})
		})
		if len(fields) > 0 {
			c.Blocks = append(c.Blocks, chatBlock{Kind: "fields", Fields: fields})
		}
	}
	card := func(of *value.Array) {
		eachOf(of, "body", func(e *value.Array) {
			switch textOf(e, "type") {
			case "TextBlock":
				kind := "text"
				if size := strings.ToLower(textOf(e, "size")); size == "large" || size == "extralarge" || size == "medium" {
					kind = "header"
				}
				add(kind, textOf(e, "text"))
			case "FactSet":
				facts(e, "title")
			}
		})
	}
	add("header", textOf(body, "title"))
	add("text", textOf(body, "text"))
	card(body)
	eachOf(body, "attachments", func(a *value.Array) { card(arrayOf(a, "content")) })
	eachOf(body, "sections", func(s *value.Array) {
		add("header", textOf(s, "activityTitle"))
		add("text", textOf(s, "text"))
		facts(s, "name")
	})
}
