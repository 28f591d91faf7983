package chat

import (
	"slices"
	"strconv"
	"strings"

	"github.com/buglehq/bugle/value"
)

// Sources: sendMessage, sendPhoto and "Formatting options" in the Telegram Bot API.

// telegramFiles are what the methods send that have a caption in place of a text.
var telegramFiles = []string{"photo", "document", "video", "audio", "animation", "voice", "video_note", "sticker", "media"}

func (c *checker) telegram(body *value.Array) {
	c.missing("", "The message", body, "chat_id")
	isFile := slices.ContainsFunc(telegramFiles, body.Has)
	if !isFile {
		c.missing("", "The message", body, "text")
	}
	mode, _ := get(body, "parse_mode").(string)
	for key, v := range body.All() {
		if v == nil {
			continue
		}
		switch key := key.String(); key {
		case "chat_id":
			c.telegramChat(key, v)
		case "text":
			c.telegramText(key, "The text", v, 4096, mode)
			if s, ok := v.(string); ok && strings.TrimSpace(s) == "" && !isFile {
				c.refuse(key, "The text is empty; Telegram wants 1 to 4096 characters.")
			}
		case "caption":
			c.telegramText(key, "The caption", v, 1024, mode)
		case "parse_mode":
			if s, ok := c.string(key, "The parse_mode", v); ok && s != "" &&
				!slices.ContainsFunc([]string{"MarkdownV2", "HTML", "Markdown"}, func(m string) bool { return strings.EqualFold(m, s) }) {
				c.refuse(key, "The parse_mode is %s; Telegram wants MarkdownV2, HTML or Markdown.", value.Describe(s))
			}
		}
	}
}

func (c *checker) telegramChat(path string, v any) {
	switch v := v.(type) {
	case int64:
		return
	case string:
		if _, err := strconv.ParseInt(v, 10, 64); err == nil || len(v) > 1 && v[0] == '@' {
			return
		}
	}
	c.refuse(path, "The chat_id is %s; Telegram wants the number of a chat or the @name of a channel.", value.Describe(v))
}

// telegramText checks a text's length, for which Telegram does not count its markup.
func (c *checker) telegramText(path, subject string, v any, most int, mode string) {
	s, ok := c.string(path, subject, v)
	if !ok {
		return
	}
	if strings.EqualFold(mode, "HTML") {
		s = withoutTags(s)
	}
	n := characters(s)
	switch {
	case n <= most:
	case strings.EqualFold(mode, "MarkdownV2"), strings.EqualFold(mode, "Markdown"):
		c.warn(path, "%s has %d characters with its Markdown; Telegram refuses more than %d without it.", subject, n, most)
	default:
		c.refuse(path, "%s has %d characters; Telegram refuses more than %d.", subject, n, most)
	}
}
