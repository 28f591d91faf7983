package personnel

import (
	"strconv"
	"strings"
	"time"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/value"
)

// A Resource is a row of a kind.
type Resource struct {
	Kind    *Kind
	Values  []any          // as stored, by the position of the kind's fields
	Custom  *value.Array   // custom fields; nil if there are none
	Extras  map[string]any // what was sent of the kind's Extras, by name
	Related map[string]*Resource
	Lists   map[string][]*Resource
	Shown   []string       // those of Related and Lists that are rendered, in order; one that is nil renders as null
	Through *Pivot         // the many-to-many relation that led here; nil if none did
	Row     *value.Array   // with Through: the row of it that led here, as stored
	Latest  map[string]any // stored time by the name of a Latest, or nil
}

// New returns a resource with the kind's defaults.
func New(k *Kind) *Resource {
	r := &Resource{Kind: k, Values: make([]any, len(k.Fields))}
	for i := range k.Fields {
		r.Values[i] = k.Fields[i].Default
	}
	return r
}

// ID returns the resource's id; 0 before it is stored.
func (r *Resource) ID() int64 {
	id, _ := r.Values[0].(int64)
	return id
}

// Get returns a field as stored. It panics if the kind has no such field.
func (r *Resource) Get(field string) any { return r.Values[r.position(field)] }

// Set gives a field a value, as stored. It panics if the kind has no such field.
func (r *Resource) Set(field string, v any) { r.Values[r.position(field)] = v }

func (r *Resource) position(field string) int {
	i, ok := r.Kind.index[field]
	if !ok {
		panic("personnel: " + r.Kind.Name + " has no field " + field)
	}
	return i
}

// Text returns a field's value as text, empty for null and for fields that the kind does not have.
func (r *Resource) Text(field string) string {
	i, ok := r.Kind.index[field]
	if !ok {
		return ""
	}
	return printed(r.Values[i])
}

// Clone returns a copy whose values can be changed apart; related resources are shared.
func (r *Resource) Clone() *Resource {
	c := *r
	c.Values = append([]any(nil), r.Values...)
	c.Custom = r.Custom.Clone()
	return &c
}

// A View is what a rendering depends on beside the resource.
type View struct {
	Now         time.Time
	BaseURL     string // of this server, without a slash at the end
	DisplayName string // the format of users' display_name
	V1          bool   // version 1 of the API: statuses have two more keys
}

// fileURL is the address of a stored file, or nil without one.
func (v *View) fileURL(path string) any {
	if path == "" {
		return nil
	}
	return v.BaseURL + "/storage/" + strings.TrimLeft(path, "/")
}

// Data renders a resource as it appears in answers and in envelopes: the fields, custom fields,
// computed attributes, the label, and the relations that are shown.
func (r *Resource) Data(v *View) *value.Array {
	k := r.Kind
	data := value.NewArray(len(k.Fields) + r.Custom.Len() + len(k.Appended) + len(r.Shown) + 1)
	for i := range k.Fields {
		if f := &k.Fields[i]; !f.Hidden {
			data.Set(f.Name, f.render(r, v))
		}
	}
	for key, custom := range r.Custom.All() {
		name := key.String()
		if _, isField := k.index[name]; isField || name == "data" {
			continue
		}
		data.Set(name, custom)
		if path, ok := custom.(string); ok && looksLikeFile(path) {
			data.Set(name+"_url", v.fileURL(path))
		}
	}
	for _, a := range k.Appended {
		data.Set(a.Name, a.Value(r, v))
	}
	if !k.NoLabel {
		data.Set("label", k.Class+": "+strconv.FormatInt(r.ID(), 10))
	}
	if v.V1 && k.Name == "status" {
		color, _ := data.Get("color")
		data.Set("text_color", color)
		data.Set("bg_color", color)
	}
	for _, name := range r.Shown {
		if list, many := r.Lists[name]; many {
			items := value.NewArray(len(list))
			for _, related := range list {
				items.Append(related.Data(v))
			}
			data.Set(name, items)
		} else if related := r.Related[name]; related != nil {
			data.Set(name, related.Data(v))
		} else {
			data.Set(name, nil)
		}
	}
	if r.Through != nil {
		data.Set(r.Through.Key, r.Through.render(r.Row, v))
	}
	return data
}

// render returns a row as it appears to the outside.
func (p *Pivot) render(row *value.Array, v *View) *value.Array {
	data := value.NewArray(len(p.Shown) + len(p.Appended))
	for _, name := range p.Shown {
		stored, _ := row.Get(name)
		if text, ok := stored.(string); ok && strings.HasSuffix(name, "_at") {
			stored = isoTime(text)
		}
		data.Set(name, stored)
	}
	for _, a := range p.Appended {
		data.Set(a.Name, a.Value(row, v))
	}
	return data
}

// render returns a field as it appears to the outside.
func (f *Field) render(r *Resource, v *View) any {
	stored := r.Values[r.Kind.index[f.Name]]
	if stored == nil {
		if f.Fallback != nil {
			return f.Fallback(r, v)
		}
		return nil
	}
	if f.As != nil {
		return f.As(stored)
	}
	switch f.Type {
	case DateTime:
		text, _ := stored.(string)
		if r.Kind == &CalendarEvent && (f.Name == "starts" || f.Name == "ends") && r.Get("all_day") == true && len(text) > 10 {
			text = text[:10] + " 00:00:00"
		}
		return isoTime(text)
	case Strings, Integers, JSON:
		text, _ := stored.(string)
		decoded, err := value.Decode([]byte(text))
		if err != nil {
			return nil
		}
		return decoded
	}
	return stored
}

// isoTime turns a stored time into ISO 8601; what is no such time stays as it is.
func isoTime(stored string) string {
	if len(stored) != len(StoredTime) {
		return stored
	}
	return stored[:10] + "T" + stored[11:] + ".000000Z"
}

// looksLikeFile reports whether PERSCOM would take a custom value for the path of an upload: it ends
// in a dot and 1 to 10 alphanumerics, and is no web address. E-mail addresses do too.
func looksLikeFile(text string) bool {
	if strings.HasPrefix(text, "http://") || strings.HasPrefix(text, "https://") {
		return false
	}
	dot := strings.LastIndexByte(text, '.')
	if dot < 0 || len(text)-dot-1 < 1 || len(text)-dot-1 > 10 {
		return false
	}
	for _, c := range []byte(text[dot+1:]) {
		if (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') {
			return false
		}
	}
	return true
}

// Difference returns the attributes in which two states of a resource differ, in the order of the
// fields, updated_at last; hidden ones are left out. Values are as stored; the custom fields
// appear together under the name data, as JSON text. It also reports whether anything at all is
// different, hidden or not, timestamps aside.
func Difference(old, new *Resource) (causes []bugle.Cause, changed bool) {
	for i := range new.Kind.Fields {
		f := &new.Kind.Fields[i]
		if f.Name == "updated_at" || old.Values[i] == new.Values[i] {
			continue
		}
		changed = true
		if !f.Hidden {
			causes = append(causes, bugle.Cause{Attribute: f.Name, Old: old.Values[i], New: new.Values[i]})
		}
	}
	if new.Kind.Custom {
		before, after := old.CustomJSON(), new.CustomJSON()
		if before != after {
			changed = true
			causes = append(causes, bugle.Cause{Attribute: "data", Old: before, New: after})
		}
	}
	if changed {
		causes = append(causes, bugle.Cause{Attribute: "updated_at", Old: old.Get("updated_at"), New: new.Get("updated_at")})
	}
	return causes, changed
}

// CustomJSON returns the custom fields as they are stored, or nil if there are none.
func (r *Resource) CustomJSON() any {
	if r.Custom.Len() == 0 {
		return nil
	}
	text, err := value.JSON(r.Custom)
	if err != nil { // they were decoded from JSON
		panic("personnel: custom fields: " + err.Error())
	}
	return string(text)
}

// ChangesValue is the value of an envelope's key changes: the new values by attribute, or an empty
// array.
func ChangesValue(causes []bugle.Cause) *value.Array {
	changes := value.NewArray(len(causes))
	for _, c := range causes {
		changes.Set(c.Attribute, c.New)
	}
	return changes
}
