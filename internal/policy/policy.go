// Package policy applies the field policies of webhooks: it takes attributes out of what a webhook gets, or hashes them, before
// anything is made of the data. What is sent can be had from here only, so nothing gets around a policy.
package policy

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/personnel"
	"github.com/buglehq/bugle/value"
)

// A Body is the text that a webhook gets of an event. Only this package makes one that is not empty.
type Body struct{ text []byte }

// Bytes is the text, not to be changed.
func (b Body) Bytes() []byte { return b.text }

// ErrWithheld says that a template wrote the text when another policy held, or none: what it wrote may hold anything, anywhere.
var ErrWithheld = errors.New("a template wrote the payload before the field policy of the webhook became what it is: nobody can tell what is in it, so it is not sent")

// Apply returns what a webhook gets of a payload. Without a policy those are the bytes of the payload itself. An error is
// ErrWithheld, or says that the payload cannot be read; nothing may be sent then.
func Apply(w *bugle.Webhook, p bugle.Payload) (Body, error) {
	switch {
	case len(w.FieldPolicy) == 0, p.Rendered != 0 && p.Rendered == w.PolicyVersion:
		return Body{p.Text}, nil
	case p.Rendered != 0:
		return Body{}, ErrWithheld
	}
	text, err := New(w).envelope(p.Text)
	if err != nil {
		return Body{}, fmt.Errorf("apply the field policy: %w", err)
	}
	return Body{text}, nil
}

// A Filter is a policy, ready to be applied. A nil Filter changes nothing.
type Filter struct {
	key    string // of hashes; empty: it is lost with the webhook, and what would be hashed is dropped
	rules  map[string][]rule
	custom bugle.FieldAction // of custom fields that no rule names; empty: none
}

// A rule is one name of a policy.
type rule struct {
	parents []string // that the path must end with, before the name
	preset  bool     // it comes from one
	action  bugle.FieldAction
}

// New returns the filter of a webhook, nil if it has no policy.
func New(w *bugle.Webhook) *Filter {
	if len(w.FieldPolicy) == 0 {
		return nil
	}
	f := &Filter{key: w.PolicyKey, rules: map[string][]rule{}}
	for _, r := range w.FieldPolicy {
		if r.Attribute != "" {
			f.add(r.Attribute, false, r.Action)
			continue
		}
		preset := bugle.FieldPresetByName(r.Preset)
		if preset == nil { // of a newer program: better nothing than too much
			f.custom = bugle.DropField
			continue
		}
		for _, name := range preset.Attributes {
			f.add(name, true, r.Action)
		}
		if preset.Custom {
			f.custom = r.Action
		}
	}
	return f
}

func (f *Filter) add(attribute string, preset bool, action bugle.FieldAction) {
	names := strings.Split(strings.ToLower(attribute), ".")
	last := names[len(names)-1]
	f.rules[last] = append(f.rules[last], rule{names[:len(names)-1], preset, action})
}

// A step of a path is a key and, if it is known, the kind that it leads to.
type step struct{ key, kind string }

// A place is where in the data an array is.
type place struct {
	kind *personnel.Kind // of the resource that it is; nil: of none, or it is not known
	path []step
}

func root(kind *personnel.Kind) place {
	if kind == nil {
		return place{}
	}
	return place{kind, []step{{kind.Name, kind.Name}}}
}

// below is the place that a key leads to.
func (at place) below(key string) place {
	next := step{key: strings.ToLower(key)}
	kind := personnel.ByName(next.key)
	if at.kind != nil {
		kind = nil
		if r := at.kind.Relation(key); r != nil {
			kind = personnel.ByName(r.Kind)
		}
	}
	switch {
	case kind != nil:
		next.kind = kind.Name
	case personnel.LeadsToUsers(next.key):
		kind, next.kind = &personnel.User, personnel.User.Name
	}
	return place{kind, append(slices.Clip(at.path), next)}
}

// action returns what becomes of an attribute of the array at a place; empty: it stays.
func (f *Filter) action(at place, key string) bugle.FieldAction {
	best, bestRank := bugle.FieldAction(""), -1
	consider := func(name string, itself bool) {
		for _, r := range f.rules[name] {
			if !at.endsWith(r.parents) {
				continue
			}
			rank := 2 * len(r.parents)
			if r.action == bugle.DropField {
				rank++
			}
			if !r.preset {
				rank += 100
			}
			if itself {
				rank += 200
			}
			if rank > bestRank {
				best, bestRank = r.action, rank
			}
		}
	}
	name := strings.ToLower(key)
	consider(name, true)
	if bestRank < 0 {
		if file, ok := strings.CutSuffix(name, "_url"); ok { // of a custom field that looks like a file, as e-mail addresses do
			consider(file, false)
		}
		for _, source := range personnel.MadeOf(at.kind, name) {
			consider(source, false)
		}
	}
	if bestRank < 0 && f.custom != "" && at.kind != nil && at.kind.Custom && !at.kind.Knows(key) {
		return f.custom
	}
	return best
}

// endsWith reports whether the path of a place ends with names.
func (at place) endsWith(names []string) bool {
	if len(names) > len(at.path) {
		return false
	}
	for i, s := range at.path[len(at.path)-len(names):] {
		if s.key != names[i] && s.kind != names[i] {
			return false
		}
	}
	return true
}

// document is what becomes of the text that is made of the document of a record: what becomes of the attributes that are in it.
func (f *Filter) document(at place, record *value.Array) bugle.FieldAction {
	document, _ := record.Get("document")
	fields, _ := document.(*value.Array)
	content, isText := "", false
	if fields != nil {
		v, _ := fields.Get("content")
		content, isText = v.(string)
	}
	if !isText {
		content = everyTag
	}
	worst := bugle.FieldAction("")
	for _, path := range append(personnel.DocumentSources(at.kind, content), []string{"document", "content"}) {
		here := at
		for _, key := range path {
			switch action := f.action(here, key); {
			case action == bugle.DropField:
				return action
			case action != "":
				worst = action
			}
			here = here.below(key)
		}
	}
	return worst
}

// everyTag stands for a document whose content is not known.
const everyTag = "{user_name}{user_email}{user_phone_number}{user_email_verified_at}{user_online}{user_discord_tag}{author_resource_name}{record_text}{record_date}"

// hash is what stands for a value.
func (f *Filter) hash(v any) any {
	if v == nil {
		return nil
	}
	text, isText := v.(string)
	if date, isDate := v.(value.Date); isDate {
		text, isText = bugle.FormatTime(date.Time), true
	}
	if !isText {
		encoded, err := value.JSON(v)
		if err != nil { // a date inside: nothing that is stored has one
			return nil
		}
		text = string(encoded)
	}
	mac := hmac.New(sha256.New, []byte(f.key))
	mac.Write([]byte(text))
	return bugle.HashPrefix + hex.EncodeToString(mac.Sum(nil))
}

// Data returns data as the webhook gets it: a resource of the kind, or anything if that is nil. The argument stays as it is.
func (f *Filter) Data(kind *personnel.Kind, v any) any {
	if f == nil {
		return v
	}
	v, _ = f.value(root(kind), v)
	return v
}

// value filters whatever is at a place, and reports whether that changed it.
func (f *Filter) value(at place, v any) (any, bool) {
	switch v := v.(type) {
	case *value.Array:
		return f.array(at, v)
	case string:
		return f.text(at, v)
	}
	return v, false
}

// array filters the items of a list, or the attributes of anything else.
func (f *Filter) array(at place, a *value.Array) (*value.Array, bool) {
	made := value.NewArray(a.Len())
	changed, list := false, a.Len() > 0 && a.IsList()
	for key, v := range a.All() {
		if list {
			next, c := f.value(at, v)
			made.Append(next)
			changed = changed || c
			continue
		}
		name := key.String()
		action := f.action(at, name)
		if name == "document_parsed" && action != bugle.DropField && v != nil {
			if made := f.document(at, a); made != "" {
				action = made
			}
		}
		switch {
		case action == bugle.DropField, action != "" && f.key == "":
			changed = true
		case action == bugle.HashField:
			made.Put(key, f.hash(v))
			changed = changed || v != nil
		default:
			inside := at
			if !key.IsInt() {
				inside = at.below(name)
			}
			next, c := f.value(inside, v)
			made.Put(key, next)
			changed = changed || c
		}
	}
	if !changed {
		return a, false
	}
	return made, true
}

// text filters what is in a text that is itself JSON, as the database holds some attributes.
func (f *Filter) text(at place, text string) (string, bool) {
	begin := strings.TrimLeft(text, " \t\r\n")
	if begin == "" || begin[0] != '{' && begin[0] != '[' {
		return text, false
	}
	decoded, err := value.Decode([]byte(text))
	if err != nil {
		return text, false
	}
	next, changed := f.value(at, decoded)
	if !changed {
		return text, false
	}
	encoded, err := value.JSON(next)
	if err != nil { // what was decoded can be encoded
		return "", true
	}
	return string(encoded), true
}

// Changes returns what an event says has changed of a resource of the kind, as the webhook gets it: by attribute its new value or,
// for templates, its old and new one.
func (f *Filter) Changes(kind *personnel.Kind, v any) any {
	changes, isArray := v.(*value.Array)
	if f == nil || !isArray {
		return v
	}
	at, made := root(kind), value.NewArray(changes.Len())
	for key, change := range changes.All() {
		name := key.String()
		action := f.action(at, name)
		inside := at.below(name)
		if name == "data" && (kind == nil || kind.Field("data") == nil) {
			inside = at // custom fields, which are attributes like others in the data
		}
		each := func(v any) any {
			if action == bugle.HashField {
				return f.hash(v)
			}
			v, _ = f.value(inside, v)
			return v
		}
		pair, isPair := change.(*value.Array)
		switch {
		case action == bugle.DropField, action != "" && f.key == "":
		case isPair && pair.Len() == 2 && pair.Has("old") && pair.Has("new"):
			before, _ := pair.Get("old")
			after, _ := pair.Get("new")
			made.Put(key, value.Map("old", each(before), "new", each(after)))
		default:
			made.Put(key, each(change))
		}
	}
	return made
}

// envelope filters the data and changes of an envelope.
func (f *Filter) envelope(text []byte) ([]byte, error) {
	decoded, err := value.Decode(text)
	if err != nil {
		return nil, err
	}
	envelope, ok := decoded.(*value.Array)
	if !ok || envelope.IsList() {
		return nil, errors.New("it is no envelope")
	}
	event, _ := envelope.Get("event")
	name, _ := event.(string)
	kind := KindOf(name)
	for key, v := range envelope.Clone().All() {
		switch key.String() {
		case "event", "created", "request_id", "trace_id":
		case "changes":
			envelope.Put(key, f.Changes(kind, v))
		default:
			envelope.Put(key, f.Data(kind, v))
		}
	}
	return value.JSON(envelope)
}

// KindOf returns the kind of resource that an event of the name is about, or nil.
func KindOf(event string) *personnel.Kind {
	stem, _, _ := strings.Cut(event, ".")
	return personnel.ByName(stem)
}
