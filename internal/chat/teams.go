package chat

import (
	"strings"

	"github.com/buglehq/bugle/value"
)

// Sources: "Create Incoming Webhooks" and "Create and send messages" in Microsoft's documentation of
// Teams; "Summary or Text is required." is what the webhook of a MessageCard answers.

// cardTypePrefix starts the content types of cards, such as application/vnd.microsoft.card.adaptive.
const cardTypePrefix = "application/vnd.microsoft.card."

// teamsSize is how many bytes of JSON text a message may have.
const teamsSize = 28 << 10

func (c *checker) teams(body *value.Array) {
	if text, err := value.JSON(body); err == nil && len(text) > teamsSize {
		c.refuse("", "The message has %d bytes; Teams refuses more than %d.", len(text), teamsSize)
	}
	switch {
	case get(body, "@type") != nil || get(body, "type") == "MessageCard":
		c.teamsCard(body)
	case get(body, "type") == nil && !body.Has("attachments") && isFilled(get(body, "text")):
		// The old webhooks take a bare text as a card.
	default:
		c.teamsMessage(body)
	}
}

func (c *checker) teamsCard(body *value.Array) {
	if kind := get(body, "@type"); kind != "MessageCard" {
		c.refuse("@type", `The @type is %s; Teams wants "MessageCard".`, value.Describe(kind))
	}
	if !isFilled(get(body, "text")) && !isFilled(get(body, "summary")) {
		c.refuse("", "The card has neither text nor summary; Teams wants at least one of them.")
	}
}

func (c *checker) teamsMessage(body *value.Array) {
	if kind := get(body, "type"); kind != "message" {
		c.refuse("type", `The type is %s; Teams wants "message".`, value.Describe(kind))
	}
	c.missing("", "The message", body, "attachments")
	v := get(body, "attachments")
	if v == nil {
		return
	}
	attachments, ok := c.items("attachments", "attachments", v, 0)
	if ok && attachments.Len() == 0 {
		c.refuse("attachments", "There are no attachments; Teams wants a card.")
	}
	for i, v := range values(attachments) {
		path := item("attachments", i)
		o, ok := c.object(path, "The attachment", v)
		if !ok {
			continue
		}
		c.missing(path, "The attachment", o, "contentType", "content")
		if v := get(o, "contentType"); v != nil {
			kind, ok := c.string(at(path, "contentType"), "The contentType", v)
			if ok && !strings.HasPrefix(kind, cardTypePrefix) {
				c.refuse(at(path, "contentType"), `The contentType is %s; Teams wants "%sadaptive".`, value.Describe(kind), cardTypePrefix)
			}
		}
		if v := get(o, "content"); v != nil {
			c.object(at(path, "content"), "The content", v)
		}
	}
}

// isFilled reports whether a value is a text that is not empty.
func isFilled(v any) bool {
	s, ok := v.(string)
	return ok && strings.TrimSpace(s) != ""
}
