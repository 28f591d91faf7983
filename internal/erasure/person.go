// Package erasure takes a person out of what is stored: out of resources, where his attributes are, and out of texts in which they
// were written.
package erasure

import (
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/buglehq/bugle/personnel"
	"github.com/buglehq/bugle/value"
)

// Erased stands where something of a person was.
const Erased = "[erased]"

// Email is what a user's address becomes: no two may have the same.
func Email(userID int64) string { return "erased-" + value.Describe(userID) + "@erased.invalid" }

// personal are the attributes of a user that are erased, custom fields aside, and those that are computed of them.
var personal = []string{"name", "email", "email_verified_at", "phone_number", "notes", "notes_updated_at", "profile_photo", "cover_photo", "last_seen_at",
	"facebook_user_id", "github_user_id", "google_user_id", "discord_user_id", "discord_private_channel_id", "display_name", "profile_photo_url", "cover_photo_url"}

// IsPersonal reports whether an attribute of a user is erased.
func IsPersonal(name string) bool {
	return slices.Contains(personal, name) || name == "password" || name == "remember_token"
}

// telling are those whose values are looked for in texts too: nobody else has them, or seldom.
var telling = []string{"name", "email", "phone_number", "notes", "profile_photo", "cover_photo", "facebook_user_id", "github_user_id", "google_user_id",
	"discord_user_id", "discord_private_channel_id", "display_name"}

// A Person is whom to erase, with what is known of him. Values are added, and looked for afterwards.
type Person struct {
	ID     int64    `json:"id"`
	Names  []string `json:"names"`  // what is looked for in all texts
	Values []string `json:"values"` // what is looked for in texts about him alone: others may have the same
	Cut    bool     `json:"cut"`    // more was learnt than is kept

	bytes             int // of names and values; 0: not counted yet
	everywhere, about *searcher
}

const (
	maxValues   = 2000
	maxBytes    = 2 << 20 // of all that is looked for
	shortest    = 4       // characters of what is looked for in all texts
	shortestOwn = 2       // of what is looked for in texts about him
	longEnough  = 24      // characters of a custom field that nobody else is taken to have written
)

// add notes a value of an attribute, in the order of their coming.
func (p *Person) add(name string, v any) {
	text, ok := v.(string)
	if text = strings.TrimSpace(text); !ok || text == Erased || text == Email(p.ID) {
		return
	}
	n := utf8.RuneCountInString(text)
	all := slices.Contains(telling, name) && n >= shortest || strings.Contains(text, "@") && n >= shortest && n < 255 || n >= longEnough && !dated.MatchString(text)
	list := &p.Names
	if !all {
		list = &p.Values
	}
	if n < shortestOwn || !all && !hasLetter(text) || slices.Contains(*list, text) {
		return
	}
	if p.bytes == 0 {
		for _, known := range slices.Concat(p.Names, p.Values) {
			p.bytes += len(known)
		}
	}
	if len(*list) >= maxValues || p.bytes+len(text) > maxBytes {
		p.Cut = true
		return
	}
	*list = append(*list, text)
	p.bytes += len(text)
	p.everywhere, p.about = nil, nil
}

var dated = regexp.MustCompile(`^\d{4}-\d\d-\d\d[T ]\d\d:\d\d`)

func hasLetter(text string) bool { return strings.ContainsFunc(text, unicode.IsLetter) }

// walk goes through a value. It calls attribute for each attribute of the person, to be replaced by what that returns, and text
// for every other text. Nothing of the argument is changed. It reports whether what it returns is another value.
type walk struct {
	person    *Person
	attribute func(name string, v any) any
	text      func(text string) string
	met       bool // the person was there
}

func (w *walk) value(kind *personnel.Kind, v any) (any, bool) {
	switch v := v.(type) {
	case string:
		return w.string(kind, v)
	case *value.Array:
		return w.array(kind, v)
	}
	return v, false
}

// string goes into texts that are JSON.
func (w *walk) string(kind *personnel.Kind, text string) (any, bool) {
	if strings.HasPrefix(text, "{") || strings.HasPrefix(text, "[") {
		if decoded, err := value.Decode([]byte(text)); err == nil {
			next, changed := w.value(kind, decoded)
			if !changed {
				return text, false
			}
			if encoded, err := value.JSON(next); err == nil {
				return string(encoded), true
			}
			return Erased, true
		}
	}
	if w.text == nil {
		return text, false
	}
	next := w.text(text)
	return next, next != text
}

func (w *walk) array(kind *personnel.Kind, a *value.Array) (any, bool) {
	isList := a.Len() > 0 && a.IsList()
	id, _ := a.Get("id")
	userID, _ := a.Get("user_id")
	himself := !isList && kind != nil && kind.Name == "user" && id == w.person.ID
	answers := !isList && kind != nil && kind.Name == "submission" && userID == w.person.ID
	other := !isList && kind != nil && kind.Name == "user" && !himself // who may have the same name
	w.met = w.met || himself || !isList && userID == w.person.ID
	made, changed := value.NewArray(a.Len()), false
	for key, v := range a.All() {
		name, next, c := key.String(), v, false
		switch {
		case isList || key.IsInt():
			next, c = w.value(kind, v)
		case v != nil && (himself && (slices.Contains(personal, name) || !kind.Knows(name)) || answers && !kind.Knows(name)):
			next = w.attribute(name, v)
			c = !value.Identical(next, v)
		case other && (name == "name" || name == "display_name" || name == "email"):
		default:
			next, c = w.value(below(kind, name), v)
		}
		made.Put(key, next)
		changed = changed || c
	}
	if !changed {
		return a, false
	}
	return made, true
}

// below is the kind that a key leads to.
func below(kind *personnel.Kind, key string) *personnel.Kind {
	if kind != nil {
		if r := kind.Relation(key); r != nil {
			return personnel.ByName(r.Kind)
		}
	}
	if personnel.LeadsToUsers(key) {
		return &personnel.User
	}
	return nil
}

// erased is what an attribute becomes.
func erased(_ string, v any) any {
	if _, isText := v.(string); isText {
		return Erased
	}
	return nil
}

// envelope goes through an envelope of an event about a resource, or whatever else an event has as its text.
func (w *walk) envelope(kind *personnel.Kind, id int64, text []byte) ([]byte, bool, error) {
	decoded, err := value.Decode(text)
	if err != nil {
		return nil, false, err
	}
	all, isArray := decoded.(*value.Array)
	if !isArray || !all.Has("data") || !all.Has("event") {
		return w.encoded(w.value(nil, decoded))
	}
	changed := false
	made := value.NewArray(all.Len())
	for key, v := range all.All() {
		next, c := v, false
		switch key.String() {
		case "event", "created", "request_id", "trace_id":
		case "changes":
			next, c = w.changes(kind, id, v)
		default:
			next, c = w.value(kind, v)
		}
		made.Put(key, next)
		changed = changed || c
	}
	if !changed {
		return text, false, nil
	}
	return w.encoded(made, true)
}

func (w *walk) encoded(v any, changed bool) ([]byte, bool, error) {
	text, err := value.JSON(v)
	return text, changed, err
}

// changes goes through the new values of a resource's attributes.
func (w *walk) changes(kind *personnel.Kind, id int64, v any) (any, bool) {
	changes, ok := v.(*value.Array)
	if !ok || changes.Len() == 0 {
		return v, false
	}
	made, changed := value.NewArray(changes.Len()), false
	for key, v := range changes.All() {
		next, c := w.Change(kind, id, key.String(), v)
		made.Put(key, next)
		changed = changed || c
	}
	return made, changed
}

// Change goes through a value that a change has given to an attribute of a resource, as it is stored.
func (w *walk) Change(kind *personnel.Kind, id int64, name string, v any) (any, bool) {
	if kind == nil || kind.Name != "user" || id != w.person.ID || v == nil {
		return w.value(nil, v)
	}
	w.met = true
	if name == "data" { // custom fields
		text, _ := v.(string)
		fields, err := value.Decode([]byte(text))
		if custom, ok := fields.(*value.Array); err == nil && ok {
			for key, one := range custom.All() {
				w.attribute(key.String(), one)
			}
		}
		return w.attribute(name, "[]"), true
	}
	if slices.Contains(personal, name) {
		next := w.attribute(name, v)
		return next, !value.Identical(next, v)
	}
	return v, false
}

// Learn adds what an event says of the person, and reports whether it is about him.
func (p *Person) Learn(kind *personnel.Kind, id int64, envelope []byte, changes func(each func(name string, v any))) (bool, error) {
	w := &walk{person: p, attribute: func(name string, v any) any { p.add(name, v); return v }}
	if _, _, err := w.envelope(kind, id, envelope); err != nil {
		return false, err
	}
	changes(func(name string, v any) { w.Change(kind, id, name, v) })
	return w.met, nil
}

// LearnValue adds the value of an attribute.
func (p *Person) LearnValue(name string, v any) { p.add(name, v) }

// Envelope returns the envelope of an event without the person, and whether it is another. With about, short values of his are
// looked for as well.
func (p *Person) Envelope(kind *personnel.Kind, id int64, envelope []byte, about bool) ([]byte, bool, error) {
	return p.eraser(about).envelope(kind, id, envelope)
}

// Change returns a value that a change has given to an attribute without the person, and whether it is another.
func (p *Person) Change(kind *personnel.Kind, id int64, name string, v any) (any, bool) {
	return p.eraser(false).Change(kind, id, name, v)
}

func (p *Person) eraser(about bool) *walk {
	return &walk{person: p, attribute: erased, text: func(text string) string { return p.Text(text, about) }}
}

// JSON returns JSON without the person. What is no JSON is taken for a text.
func (p *Person) JSON(text string, about bool) string {
	if next, changed := p.eraser(about).string(nil, text); changed {
		return next.(string)
	}
	return text
}

// Text returns a text without the person.
func (p *Person) Text(text string, about bool) string {
	if about && len(p.Values) > 0 {
		if p.about == nil {
			p.about = newSearcher(slices.Concat(p.Names, p.Values))
		}
		return p.about.replace(text)
	}
	if p.everywhere == nil {
		p.everywhere = newSearcher(p.Names)
	}
	return p.everywhere.replace(text)
}
