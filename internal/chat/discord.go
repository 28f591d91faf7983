package chat

import (
	"math"
	"regexp"
	"slices"
	"strings"

	"github.com/buglehq/bugle/value"
)

// Sources: "Execute Webhook" and "Create Webhook" in Discord's Webhook resource, "Embed Object",
// "Embed Limits" and "Allowed Mentions Object" in its Message resource.

var (
	// discordKeys are what a message may have. Files come beside it, as files[0], files[1], ….
	discordKeys = []string{"content", "username", "avatar_url", "tts", "embeds", "allowed_mentions", "components", "files",
		"payload_json", "attachments", "flags", "thread_name", "applied_tags", "poll"}
	discordEmbedKeys = []string{"title", "type", "description", "url", "timestamp", "color", "footer", "image", "thumbnail",
		"video", "provider", "author", "fields"}
	discordFieldKeys = []string{"name", "value", "inline"}
)

const (
	discordURL          = 2048    // characters of an address: BASE_TYPE_BAD_LENGTH above
	discordComponentsV2 = 1 << 15 // IS_COMPONENTS_V2 among the flags
)

// discordMassMention finds what notifies many people: everyone, those online, a role.
var discordMassMention = regexp.MustCompile(`@everyone|@here|<@&[0-9]+>`)

// discordTimestamp is what Discord's parser takes for ISO 8601: a date and a time, with or without
// seconds and a zone. A space may stand for the T, as in PHP's usual dates.
var discordTimestamp = regexp.MustCompile(
	`^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])[Tt ]([01]\d|2[0-3]):[0-5]\d(:[0-5]\d([.,]\d+)?)?( ?([Zz]|[+-]\d\d(:?\d\d)?))?$`)

func (c *checker) discord(body *value.Array) {
	if !discordHasContent(body) {
		c.refuse("", "The message is empty; Discord wants at least one of content, embeds, components, poll and files.")
	}
	for key, v := range body.All() {
		if c.full() {
			return
		}
		key := key.String()
		if v == nil && slices.Contains(discordKeys, key) {
			continue
		}
		switch key {
		case "content":
			if s, ok := c.text(key, "The content", v, 2000); ok {
				c.discordMentions(s, body)
			}
		case "username":
			c.discordUsername(key, v)
		case "avatar_url":
			c.url(key, "The avatar's address", v, discordURL, "https", "http")
		case "tts":
			c.discordBool(key, "tts", v)
		case "embeds":
			c.discordEmbeds(key, v)
		case "allowed_mentions":
			c.discordAllowed(key, v)
		case "components":
			c.items(key, "components", v, 40)
		case "attachments":
			c.items(key, "attachments", v, 10)
		case "applied_tags":
			c.items(key, "tags", v, 5)
		case "flags":
			c.discordFlags(key, v, body)
		case "thread_name":
			c.filled(key, "The thread's name", v, 100)
		case "poll":
			c.object(key, "The poll", v)
		case "files", "payload_json":
		default:
			if !strings.HasPrefix(key, "files[") {
				c.unknown("", key, discordKeys)
			}
		}
	}
}

// discordHasContent reports whether a message has any of what it must have one of.
func discordHasContent(body *value.Array) bool {
	for key, v := range body.All() {
		switch key := key.String(); {
		case key == "content":
			if s, ok := v.(string); v != nil && (!ok || strings.TrimSpace(s) != "") {
				return true
			}
		case key == "embeds", key == "components", key == "poll", key == "files":
			if a, ok := v.(*value.Array); v != nil && (!ok || a.Len() > 0) {
				return true
			}
		case strings.HasPrefix(key, "files["):
			return true
		}
	}
	return false
}

// discordMentions warns of mass mentions in the content, unless allowed_mentions says what is wanted.
// Embeds mention nobody.
func (c *checker) discordMentions(content string, body *value.Array) {
	mention := discordMassMention.FindString(content)
	if mention == "" {
		return
	}
	if allowed, ok := get(body, "allowed_mentions").(*value.Array); ok && allowed.Len() > 0 {
		return
	}
	c.warn("content", `The content has %s, which notifies many people; "allowed_mentions": {"parse": []} lets it notify nobody.`, mention)
}

func (c *checker) discordUsername(path string, v any) {
	name, ok := c.filled(path, "The username", v, 80)
	if !ok {
		return
	}
	for _, reserved := range []string{"clyde", "discord"} {
		if strings.Contains(strings.ToLower(name), reserved) {
			c.refuse(path, `The username is %s; Discord refuses names that contain "%s".`, value.Describe(name), reserved)
		}
	}
}

func (c *checker) discordBool(path, subject string, v any) {
	if _, ok := v.(bool); !ok {
		c.warn(path, "%s is %s; Discord wants true or false.", subject, value.Describe(v))
	}
}

// discordAllowed checks which mentions are allowed.
func (c *checker) discordAllowed(path string, v any) {
	o, ok := c.object(path, "allowed_mentions", v)
	if !ok {
		return
	}
	if o.Len() == 0 {
		c.warn(path, `allowed_mentions is empty and arrives as a list, [], where Discord wants an object; write {"parse": []}.`)
		return
	}
	parsed, _ := list(get(o, "parse"))
	for key, v := range o.All() {
		key := key.String()
		here := at(path, key)
		switch key {
		case "parse":
			l, _ := c.items(here, "mentions to parse", v, 0)
			for i, kind := range values(l) {
				if kind != "roles" && kind != "users" && kind != "everyone" {
					c.refuse(item(here, i), `This is %s; Discord wants "roles", "users" or "everyone".`, value.Describe(kind))
				}
			}
		case "roles", "users":
			l, _ := c.items(here, key, v, 100)
			for _, kind := range parsed.All() {
				if kind == key && l.Len() > 0 {
					c.refuse(here, "%s are allowed in parse and one by one; Discord refuses both at once.", key)
					break
				}
			}
		case "replied_user":
			c.discordBool(here, key, v)
		default:
			c.unknown(path, key, []string{"parse", "roles", "users", "replied_user"})
		}
	}
}

// discordFlags checks that a message of components version 2 has nothing but components.
func (c *checker) discordFlags(path string, v any, body *value.Array) {
	flags, ok := integer(v)
	if !ok {
		c.refuse(path, "flags is %s; Discord wants an integer.", value.Describe(v))
		return
	}
	if flags&discordComponentsV2 == 0 {
		return
	}
	for _, key := range []string{"content", "embeds", "poll"} {
		if value.Truthy(get(body, key)) {
			c.refuse(key, "The message has the flag IS_COMPONENTS_V2 and %s; Discord takes nothing but components then.", key)
		}
	}
}

func (c *checker) discordEmbeds(path string, v any) {
	embeds, ok := c.items(path, "embeds", v, 10)
	if !ok {
		return
	}
	total := 0
	for i, v := range values(embeds) {
		if c.full() {
			return
		}
		if embed, ok := c.object(item(path, i), "The embed", v); ok {
			total += c.discordEmbed(item(path, i), embed)
		}
	}
	if total > 6000 {
		c.refuse(path, "The embeds have %d characters in titles, descriptions, fields, footers and authors; Discord refuses more than 6000.", total)
	}
}

// discordEmbed checks one embed and returns how many characters of it count towards the sum over all
// embeds.
func (c *checker) discordEmbed(path string, embed *value.Array) (count int) {
	// counted adds a text's characters, whether it is too long itself or not.
	counted := func(s string, ok bool) {
		if ok {
			count += characters(s)
		}
	}
	visible := false
	for key, v := range embed.All() {
		key := key.String()
		here := at(path, key)
		if v == nil && slices.Contains(discordEmbedKeys, key) {
			continue
		}
		visible = visible || key != "type" && key != "url" && key != "color"
		switch key {
		case "title":
			counted(c.text(here, "The title", v, 256))
		case "description":
			counted(c.text(here, "The description", v, 4096))
		case "url":
			c.url(here, "The embed's address", v, discordURL, "https", "http")
		case "timestamp":
			c.discordTime(here, v)
		case "color":
			c.discordColor(here, v)
		case "footer":
			if o, ok := c.object(here, "The footer", v); ok {
				if text := get(o, "text"); text == nil {
					c.warn(at(here, "text"), "The footer has no text; Discord's documentation wants one.")
				} else {
					counted(c.text(at(here, "text"), "The footer's text", text, 2048))
				}
				c.discordImage(here, "The footer's icon", o, "icon_url")
			}
		case "author":
			if o, ok := c.object(here, "The author", v); ok {
				c.missing(here, "The author", o, "name")
				if name := get(o, "name"); name != nil {
					counted(c.filled(at(here, "name"), "The author's name", name, 256))
				}
				if url := get(o, "url"); url != nil {
					c.url(at(here, "url"), "The author's address", url, discordURL, "https", "http")
				}
				c.discordImage(here, "The author's icon", o, "icon_url")
			}
		case "image", "thumbnail":
			if o, ok := c.object(here, "The "+key, v); ok {
				c.missing(here, "The "+key, o, "url")
				c.discordImage(here, "The "+key+"'s address", o, "url")
			}
		case "fields":
			fields, _ := c.items(here, "fields", v, 25)
			for i, v := range values(fields) {
				if field, ok := c.object(item(here, i), "The field", v); ok {
					count += c.discordField(item(here, i), field)
				}
			}
		case "type", "video", "provider":
		default:
			c.unknown(path, key, discordEmbedKeys)
		}
	}
	if !visible {
		c.warn(path, "The embed shows nothing; give it a title, a description, fields or an image.")
	}
	return count
}

// discordField checks a field and returns how many characters count.
func (c *checker) discordField(path string, field *value.Array) (count int) {
	for key, v := range field.All() {
		key := key.String()
		here := at(path, key)
		if v == nil {
			continue
		}
		switch key {
		case "name", "value":
			most := 256
			if key == "value" {
				most = 1024
			}
			if s, ok := c.filled(here, "The field's "+key, v, most); ok {
				count += characters(s)
			}
		case "inline":
			c.discordBool(here, "inline", v)
		default:
			c.unknown(path, key, discordFieldKeys)
		}
	}
	c.missing(path, "The field", field, "name", "value")
	return count
}

// discordImage checks the address of an image, which may also be a file that comes with the message.
func (c *checker) discordImage(path, subject string, o *value.Array, key string) {
	if v := get(o, key); v != nil {
		c.url(at(path, key), subject, v, discordURL, "https", "http", "attachment")
	}
}

// discordColor checks a colour. Discord makes a number of a text of digits, although its documentation
// wants an integer; it refuses any other text.
func (c *checker) discordColor(path string, v any) {
	const most = 0xFFFFFF
	n, ok := integer(v)
	if s, isText := v.(string); isText {
		n, ok = 0, false
		if number, numeric := value.Numeric(s); numeric {
			n, ok = integer(number)
		}
		if ok && n >= 0 && n <= most {
			c.warn(path, "The color is the text %s; Discord's documentation wants an integer. Typed values would keep it a number.", value.Describe(s))
			return
		}
		c.refuse(path, "The color is the text %s; Discord wants an integer from 0 to %d, such as 5793266 for #5865F2. Typed values would keep it a number.",
			value.Describe(s), most)
		return
	}
	if !ok || n < 0 || n > most {
		c.refuse(path, "The color is %s; Discord wants an integer from 0 to %d.", value.Describe(v), most)
	}
}

func (c *checker) discordTime(path string, v any) {
	s, ok := c.string(path, "The timestamp", v)
	if ok && !discordTimestamp.MatchString(strings.TrimSpace(s)) {
		c.refuse(path, "The timestamp is %s; Discord wants ISO 8601, such as 2026-01-14T12:00:00Z.", value.Describe(s))
	}
}

// integer returns a number that is written without a fraction: 10.0 is sent as 10.
func integer(v any) (n int64, ok bool) {
	switch v := v.(type) {
	case int64:
		return v, true
	case float64:
		if v == math.Trunc(v) && math.Abs(v) < 1<<53 {
			return int64(v), true
		}
	}
	return 0, false
}

// values are the items of a list with their places. A nil list has none.
func values(l *value.Array) func(yield func(int, any) bool) {
	return func(yield func(int, any) bool) {
		i := 0
		for _, v := range l.All() {
			if !yield(i, v) {
				return
			}
			i++
		}
	}
}
