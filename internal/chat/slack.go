package chat

import (
	"regexp"
	"slices"
	"strings"

	"github.com/buglehq/bugle/internal/spelling"
	"github.com/buglehq/bugle/value"
)

// Sources: "Block Kit" in Slack's reference, a page a block, element and object; chat.postMessage for
// what surrounds the blocks.

// slackBlocks are the types of blocks, those that messages refuse among them.
var slackBlocks = []string{"actions", "alert", "card", "carousel", "container", "context", "context_actions", "data_table",
	"data_visualization", "divider", "file", "header", "image", "input", "markdown", "plan", "rich_text", "section", "table",
	"task_card", "video"}

const (
	slackURL = 3000 // characters of an address
	slackID  = 255  // characters of a block_id or action_id
)

// slackMassMention finds what notifies a whole channel or workspace.
var slackMassMention = regexp.MustCompile(`<!(channel|here|everyone)(\|[^>]*)?>`)

func (c *checker) slack(body *value.Array) {
	text := get(body, "text")
	var hasText, hasBlocks, hasAttachments bool
	if s, ok := text.(string); text != nil && (!ok || strings.TrimSpace(s) != "") {
		hasText = true
	}
	if s, ok := get(body, "markdown_text").(string); ok && s != "" {
		hasText = true
	}
	hasBlocks = isSet(get(body, "blocks"))
	hasAttachments = isSet(get(body, "attachments"))
	switch {
	case !hasText && !hasBlocks && !hasAttachments:
		c.refuse("", "The message is empty; Slack wants at least one of text, blocks and attachments.")
	case !hasText && hasBlocks:
		c.warn("text", "There is no text beside the blocks; notifications and screen readers, which do not show blocks, have nothing to say.")
	}

	for key, v := range body.All() {
		if c.full() {
			return
		}
		if v == nil {
			continue
		}
		switch key := key.String(); key {
		case "text":
			c.slackMessage(key, v)
		case "blocks":
			c.slackBlocks(key, v)
		case "attachments":
			c.slackAttachments(key, v)
		}
	}
}

// isSet reports whether a value is neither null nor an empty list.
func isSet(v any) bool {
	a, ok := v.(*value.Array)
	return v != nil && (!ok || a.Len() > 0)
}

// slackMessage checks the text of a message, which Slack rather shortens than refuses.
func (c *checker) slackMessage(path string, v any) {
	s, ok := c.string(path, "The text", v)
	if !ok {
		return
	}
	switch n := characters(s); {
	case n > 40_000:
		c.warn(path, "The text has %d characters; Slack cuts it off after 40000.", n)
	case n > 4000:
		c.warn(path, "The text has %d characters; Slack recommends no more than 4000, and may split it.", n)
	}
	c.slackMentions(path, s)
}

func (c *checker) slackMentions(path, text string) {
	if mention := slackMassMention.FindString(text); mention != "" {
		c.warn(path, "The text has %s, which notifies many people.", mention)
	}
}

func (c *checker) slackAttachments(path string, v any) {
	attachments, _ := c.items(path, "attachments", v, 100)
	if n := attachments.Len(); n > 20 && n <= 100 {
		c.warn(path, "There are %d attachments; Slack recommends no more than 20.", n)
	}
	for i, v := range values(attachments) {
		if c.full() {
			return
		}
		if o, ok := c.object(item(path, i), "The attachment", v); ok {
			if blocks := get(o, "blocks"); blocks != nil {
				c.slackBlocks(at(item(path, i), "blocks"), blocks)
			}
		}
	}
}

func (c *checker) slackBlocks(path string, v any) {
	blocks, ok := c.items(path, "blocks", v, 50)
	if !ok {
		return
	}
	first := make(map[string]string) // where a block_id came first
	for i, v := range values(blocks) {
		if c.full() {
			return
		}
		path := item(path, i)
		block, ok := c.object(path, "The block", v)
		if !ok {
			continue
		}
		if v := get(block, "block_id"); v != nil {
			id, ok := c.text(at(path, "block_id"), "The block_id", v, slackID)
			if where, twice := first[id]; ok && twice {
				c.refuse(at(path, "block_id"), "The block_id %s is that of %s, too; Slack wants each once.", value.Describe(id), where)
			} else if ok {
				first[id] = path
			}
		}
		c.slackBlock(path, block)
	}
}

func (c *checker) slackBlock(path string, block *value.Array) {
	kind, ok := c.slackType(path, "The block", block)
	if !ok {
		return
	}
	switch kind {
	case "section":
		c.slackSection(path, block)
	case "header":
		c.missing(path, "The header", block, "text")
		c.slackText(at(path, "text"), "The header", get(block, "text"), 150, "plain_text")
	case "context", "actions":
		most := 10
		if kind == "actions" {
			most = 25
		}
		c.missing(path, "The block", block, "elements")
		c.slackElements(at(path, "elements"), get(block, "elements"), kind, most)
	case "image":
		c.slackImage(path, block)
		c.slackText(at(path, "title"), "The title", get(block, "title"), 2000, "plain_text")
	case "markdown":
		c.missing(path, "The block", block, "text")
		if v := get(block, "text"); v != nil {
			c.filled(at(path, "text"), "The text", v, 12_000)
		}
	default:
		if slices.Contains(slackBlocks, kind) {
			return
		}
		if meant := spelling.Closest(kind, slackBlocks); meant != "" {
			c.refuse(at(path, "type"), "The type is %s, which Slack does not know; perhaps %q was meant.", value.Describe(kind), meant)
			return
		}
		// Slack gets new blocks every few months, so what is far from all names may be one of them.
		c.warn(at(path, "type"), "The type %s is not known here; Slack refuses blocks that it does not know.", value.Describe(kind))
	}
}

// slackType returns the type that blocks, elements and texts must have.
func (c *checker) slackType(path, subject string, o *value.Array) (kind string, ok bool) {
	v := get(o, "type")
	if v == nil {
		c.missing(path, subject, o, "type")
		return "", false
	}
	return c.string(at(path, "type"), "The type", v)
}

func (c *checker) slackSection(path string, block *value.Array) {
	text, fields := get(block, "text"), get(block, "fields")
	if text == nil && !isSet(fields) {
		c.refuse(path, "The section has neither text nor fields; Slack wants at least one of them.")
	}
	for key, v := range block.All() {
		key := key.String()
		here := at(path, key)
		if v == nil {
			continue
		}
		switch key {
		case "text":
			c.slackText(here, "The section's text", v, 3000, "mrkdwn", "plain_text")
		case "fields":
			l, _ := c.items(here, "fields", v, 10)
			for i, v := range values(l) {
				if v == nil {
					c.refuse(item(here, i), "The field is null; Slack wants a text object.")
				}
				c.slackText(item(here, i), "The field", v, 2000, "mrkdwn", "plain_text")
			}
		case "accessory":
			if o, ok := c.object(here, "The accessory", v); ok {
				c.slackElement(here, o)
			}
		}
	}
}

// slackText checks a text object of one of the types. Null has been dealt with.
func (c *checker) slackText(path, subject string, v any, most int, types ...string) {
	if v == nil {
		return
	}
	if _, ok := v.(string); ok {
		c.refuse(path, `%s is a plain text; Slack wants an object, {"type": %q, "text": "…"}.`, subject, types[0])
		return
	}
	o, ok := c.object(path, subject, v)
	if !ok {
		return
	}
	kind, ok := c.slackType(path, subject, o)
	if ok && !slices.Contains(types, kind) {
		c.refuse(at(path, "type"), "The type is %s; Slack wants %s.", value.Describe(kind), strings.Join(types, " or "))
	}
	c.missing(path, subject, o, "text")
	if text := get(o, "text"); text != nil {
		s, ok := c.filled(at(path, "text"), subject, text, most)
		if ok && kind == "mrkdwn" {
			c.slackMentions(at(path, "text"), s)
		}
	}
}

// slackElements checks what a context shows or an actions block offers.
func (c *checker) slackElements(path string, v any, kind string, most int) {
	if v == nil {
		return
	}
	elements, ok := c.items(path, "elements", v, most)
	if ok && elements.Len() == 0 {
		c.refuse(path, "There are no elements; Slack wants 1 to %d.", most)
	}
	for i, v := range values(elements) {
		if c.full() {
			return
		}
		path := item(path, i)
		o, ok := c.object(path, "The element", v)
		if !ok {
			continue
		}
		if t := get(o, "type"); kind == "context" && t != "image" {
			c.slackText(path, "The text", o, 3000, "mrkdwn", "plain_text")
			continue
		}
		c.slackElement(path, o)
	}
}

// slackElement checks a button or an image; other elements need an app that answers them.
func (c *checker) slackElement(path string, o *value.Array) {
	kind, ok := c.slackType(path, "The element", o)
	if !ok {
		return
	}
	if id := get(o, "action_id"); id != nil {
		c.text(at(path, "action_id"), "The action_id", id, slackID)
	}
	switch kind {
	case "image":
		c.slackImage(path, o)
	case "button":
		c.missing(path, "The button", o, "text")
		c.slackText(at(path, "text"), "The button's text", get(o, "text"), 75, "plain_text")
		if url := get(o, "url"); url != nil {
			c.text(at(path, "url"), "The button's address", url, slackURL)
		}
		if v := get(o, "value"); v != nil {
			c.text(at(path, "value"), "The button's value", v, 2000)
		}
	}
}

// slackImage checks an image, block or element.
func (c *checker) slackImage(path string, o *value.Array) {
	if url := get(o, "image_url"); url != nil {
		c.url(at(path, "image_url"), "The image's address", url, slackURL, "https", "http")
		if url == "" {
			c.refuse(at(path, "image_url"), "The image's address is empty; Slack wants one.")
		}
	} else if get(o, "slack_file") == nil {
		c.refuse(path, "The image has neither image_url nor slack_file; Slack wants one of them.")
	}
	c.missing(path, "The image", o, "alt_text")
	if alt := get(o, "alt_text"); alt != nil {
		c.text(at(path, "alt_text"), "The image's alt_text", alt, 2000)
	}
}
