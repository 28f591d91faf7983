package chat

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/buglehq/bugle/internal/spelling"
	"github.com/buglehq/bugle/value"
)

// A Warning is one thing that the service would refuse, or that its people would not want.
type Warning struct {
	Path    string // such as "embeds.0.fields.2.value"; empty for the whole body
	Message string // a sentence with what was found and what would do: "The title has 300 characters; Discord refuses more than 256."
	Refused bool   // the service answers with an error; otherwise it is sent, but perhaps not meant
}

// maxWarnings is how many warnings Check returns at most: a list of a thousand embeds is wrong in
// the same way a thousand times.
const maxWarnings = 50

// Check returns what is wrong with a body (a value of package value) that is sent to a service, at
// most 50 warnings, in the order of the body. What is wrong with the body as a whole comes first. A
// service that is not known has no rules.
func Check(s Service, body any) []Warning {
	names := map[Service]string{Discord: "Discord", Slack: "Slack", Telegram: "Telegram", Teams: "Teams"}
	name, known := names[s]
	if !known {
		return nil
	}
	c := &checker{name: name}
	o, ok := object(body)
	if !ok {
		c.refuse("", "The body is %s; %s takes a JSON object.", value.Describe(body), name)
		return c.found
	}
	switch s {
	case Discord:
		c.discord(o)
	case Slack:
		c.slack(o)
	case Telegram:
		c.telegram(o)
	case Teams:
		c.teams(o)
	}
	return c.found
}

// A checker collects warnings.
type checker struct {
	name  string // of the service, as people write it
	found []Warning
}

// refuse adds a warning of what the service answers with an error.
func (c *checker) refuse(path, format string, args ...any) { c.add(path, true, format, args...) }

// warn adds a warning of what is sent, but perhaps not meant.
func (c *checker) warn(path, format string, args ...any) { c.add(path, false, format, args...) }

func (c *checker) add(path string, refused bool, format string, args ...any) {
	if c.full() {
		return
	}
	c.found = append(c.found, Warning{Path: path, Message: fmt.Sprintf(format, args...), Refused: refused})
}

// full reports whether there is no room for more warnings, so that the rest need not be looked at.
func (c *checker) full() bool { return len(c.found) >= maxWarnings }

// text checks that a value is a text of at most so many characters, and returns it. The subject starts
// the warning's sentence: "The title".
func (c *checker) text(path, subject string, v any, most int) (s string, ok bool) {
	s, ok = c.string(path, subject, v)
	if !ok {
		return "", false
	}
	if n := characters(s); n > most {
		c.refuse(path, "%s has %d characters; %s refuses more than %d.", subject, n, c.name, most)
	}
	return s, true
}

// filled is text for what must not be empty.
func (c *checker) filled(path, subject string, v any, most int) (s string, ok bool) {
	s, ok = c.text(path, subject, v, most)
	if ok && strings.TrimSpace(s) == "" {
		c.refuse(path, "%s is empty; %s wants 1 to %d characters.", subject, c.name, most)
	}
	return s, ok
}

// string checks that a value is a text of any length.
func (c *checker) string(path, subject string, v any) (s string, ok bool) {
	s, ok = v.(string)
	if !ok {
		c.refuse(path, "%s is %s; %s wants a text.", subject, value.Describe(v), c.name)
	}
	return s, ok
}

// items checks that a value is a list of at most so many items, which are named in the plural: "embeds".
// Most 0 is without limit.
func (c *checker) items(path, noun string, v any, most int) (l *value.Array, ok bool) {
	l, ok = list(v)
	switch {
	case !ok:
		c.refuse(path, "The %s are %s; %s wants a list.", noun, value.Describe(v), c.name)
	case most > 0 && l.Len() > most:
		c.refuse(path, "There are %d %s; %s refuses more than %d.", l.Len(), noun, c.name, most)
	}
	return l, ok
}

// object checks that a value is a JSON object.
func (c *checker) object(path, subject string, v any) (o *value.Array, ok bool) {
	o, ok = object(v)
	if !ok {
		c.refuse(path, "%s is %s; %s wants an object.", subject, value.Describe(v), c.name)
	}
	return o, ok
}

// missing adds a warning for each of the keys that an object must have and has not, or has as null.
func (c *checker) missing(path, subject string, o *value.Array, keys ...string) {
	for _, key := range keys {
		if get(o, key) == nil {
			c.refuse(at(path, key), "%s has no %s; %s wants one.", subject, key, c.name)
		}
	}
}

// unknown warns of a key that the service does not know and so ignores.
func (c *checker) unknown(path, key string, known []string) {
	message := fmt.Sprintf("%s does not know %s and ignores it", c.name, value.Describe(key))
	if meant := spelling.Closest(key, known); meant != "" {
		message += fmt.Sprintf("; perhaps %q was meant", meant)
	}
	c.warn(at(path, key), "%s.", message)
}

// url checks that a text is an address with one of the schemes, such as https. An empty one counts
// as none.
func (c *checker) url(path, subject string, v any, most int, schemes ...string) {
	s, ok := c.text(path, subject, v, most)
	s = strings.TrimSpace(s)
	if !ok || s == "" {
		return
	}
	scheme, rest, _ := strings.Cut(s, "://")
	if !slices.Contains(schemes, strings.ToLower(scheme)) || rest == "" || strings.HasPrefix(rest, "/") ||
		strings.ContainsAny(s, " \t\n") {
		c.refuse(path, "%s is %s; %s wants an address that starts with %s.",
			subject, value.Describe(s), c.name, strings.Join(schemes, ":// or ")+"://")
	}
}

// characters counts a text's Unicode code points, without the white space around it.
//
// Discord counts so: its API is written in Python 3 and takes the length of the string ("the API
// calculates length based on the number of codepoints", staff in discord/discord-api-docs, issue
// "Message/Embed limitations - how is the length determined?"), once it has stripped white space
// ("Embed Limits"). How Slack and Telegram count is not documented; a text that has too many code
// points has too many of any other unit, too.
func characters(s string) int { return utf8.RuneCountInString(strings.TrimSpace(s)) }

// at returns the path of a key within a path.
func at(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// item returns the path of an item of the list at a path.
func item(path string, i int) string { return at(path, strconv.Itoa(i)) }
