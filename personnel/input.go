package personnel

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/value"
)

// maxText is how many bytes a Text may have.
const maxText = 65535

// Read takes the writable fields of a request over into r, and returns the positions of those that
// were sent. What is wrong goes to invalid, for every field; r is then of no use. Unknown fields
// are left alone. Whether a Reference exists, and a Unique value is free, only the store can say.
func (r *Resource) Read(sent *value.Array, creating bool, invalid *bugle.InvalidError) (read []int) {
	for i := range r.Kind.Fields {
		f := &r.Kind.Fields[i]
		timestamp := f.Name == "created_at" || f.Name == "updated_at"
		if f.ReadOnly || f.Hidden {
			continue
		}
		name := f.SentAs()
		v, present := sent.Get(name)
		if v == "" { // as an empty form field
			v = nil
		}
		switch {
		case !present && creating && f.Required, present && v == nil && f.Required:
			invalid.Add(name, "The %s field is required.", name)
			continue
		case !present, v == nil && timestamp:
			continue
		case v == nil && !f.Null:
			if f.Default == nil {
				invalid.Add(name, "The %s field must not be null.", name)
				continue
			}
			v = f.Default
		}
		if path, isText := v.(string); isText && f.IsFile() && path == r.Values[i] {
			continue // a client sends back what it got
		}
		stored, wanted := f.store(v)
		if wanted != "" {
			invalid.Add(name, "The %s field %s, not %s.", name, wanted, value.Describe(v))
			continue
		}
		if u, isFile := v.(*Upload); isFile {
			u.Taken = true
			if r.Kind.Field("filename") != nil {
				r.Set("filename", u.Name)
			}
		}
		r.Values[i] = stored
		read = append(read, i)
	}
	r.readExtras(sent, invalid)
	if rules := r.Kind.index["rules"]; r.Kind == &CustomField && slices.Contains(read, rules) {
		if problem := CheckRules(r.Text("rules")); problem != "" {
			invalid.Add("rules", "%s", problem)
		}
	}
	return read
}

// readExtras takes over what is sent beside the fields.
func (r *Resource) readExtras(sent *value.Array, invalid *bugle.InvalidError) {
	for i := range r.Kind.Extras {
		f := &r.Kind.Extras[i]
		v, present := sent.Get(f.Name)
		if !present {
			continue
		}
		if v == "" {
			v = nil
		}
		stored, wanted := f.store(v)
		if text, ok := stored.(string); ok && wanted == "" {
			if problem := f.Check(text); problem != "" {
				invalid.Add(f.Name, "The %s field %s.", f.Name, problem)
				continue
			}
		}
		if wanted != "" {
			invalid.Add(f.Name, "The %s field %s, not %s.", f.Name, wanted, value.Describe(v))
			continue
		}
		if r.Extras == nil {
			r.Extras = map[string]any{}
		}
		r.Extras[f.Name] = stored
	}
}

// store returns the value as it is stored, or what it should have been: "must be a string".
func (f *Field) store(v any) (stored any, wanted string) {
	if v == nil {
		return nil, ""
	}
	switch f.Type {
	case Integer:
		if n, ok := asInteger(v); ok && n >= math.MinInt32 && n <= math.MaxInt32 {
			return n, ""
		}
		return nil, "must be a whole number of at most 32 bits"
	case Reference:
		if n, ok := asInteger(v); ok && n > 0 {
			return n, ""
		}
		return nil, "must be the id of an existing " + strings.ToLower(ByName(f.Refers).Class)
	case Code:
		n, ok := asInteger(v)
		if ok && slices.Contains(f.Options, any(n)) {
			return n, ""
		}
		return nil, "must be one of " + optionList(f.Options)
	case Boolean:
		if b, ok := asBoolean(v); ok {
			return b, ""
		}
		return nil, "must be true or false"
	case DateTime, RawTime:
		if at, ok := asTime(v); ok {
			return at.Format(StoredTime), ""
		}
		return nil, "must be a date such as 2026-01-31 or 2026-01-31T18:00:00Z"
	case Strings:
		return f.storeStrings(v)
	case Integers:
		return storeIntegers(v)
	case JSON:
		text, err := value.JSON(v)
		if err != nil || len(text) > maxText {
			return nil, fmt.Sprintf("must be JSON of at most %d bytes", maxText)
		}
		return string(text), ""
	case Photo:
		if u, ok := v.(*Upload); ok && u.Size > 0 && u.isImage() {
			return u.Path, ""
		}
		return nil, "must be an uploaded image (PNG, JPEG, GIF, WebP, BMP or AVIF)"
	case File:
		if u, ok := v.(*Upload); ok && u.Size > 0 {
			return u.Path, ""
		}
		return nil, "must be an uploaded file"
	}
	text, ok := v.(string)
	if !ok {
		return nil, "must be a string"
	}
	return f.storeText(text)
}

func (f *Field) storeText(text string) (stored any, wanted string) {
	limit := f.Max
	if limit == 0 {
		limit = 255
	}
	switch {
	case strings.ContainsRune(text, 0):
		return nil, "must not contain a NUL character"
	case f.Type == Text:
		if len(text) > maxText {
			return nil, fmt.Sprintf("must not be longer than %d bytes", maxText)
		}
	case utf8.RuneCountInString(text) > limit:
		return nil, fmt.Sprintf("must not be longer than %d characters", limit)
	case f.Type == Email && !isEmail(text):
		return nil, "must be an e-mail address"
	case f.Type == Choice && !slices.Contains(f.Options, any(text)):
		return nil, "must be one of " + optionList(f.Options)
	case f.Pattern != nil && !f.Pattern.MatchString(text):
		return nil, f.Wanted
	}
	if f.Required && strings.TrimSpace(text) == "" {
		return nil, "must not be blank"
	}
	return text, ""
}

// storeStrings accepts a list of options or a single one, which PERSCOM's API asks for where its
// document says list.
func (f *Field) storeStrings(v any) (stored any, wanted string) {
	list, ok := v.(*value.Array)
	if text, single := v.(string); single {
		list, ok = value.List(text), true
	}
	if !ok || !list.IsList() || f.Required && list.Len() == 0 || list.Len() > len(f.Options) {
		return nil, "must be a list of " + optionList(f.Options)
	}
	for _, item := range list.All() {
		if text, ok := item.(string); !ok || !slices.Contains(f.Options, any(text)) {
			return nil, "must hold only " + optionList(f.Options)
		}
	}
	return mustJSON(list), ""
}

// maxIntegers is how many items a list of integers may have.
const maxIntegers = 10000

func storeIntegers(v any) (stored any, wanted string) {
	list, ok := v.(*value.Array)
	if !ok || !list.IsList() || list.Len() > maxIntegers {
		return nil, fmt.Sprintf("must be a list of at most %d ids", maxIntegers)
	}
	ids := value.NewArray(list.Len())
	for _, item := range list.All() {
		n, ok := asInteger(item)
		if !ok || n <= 0 {
			return nil, "must hold only ids"
		}
		ids.Append(n)
	}
	return mustJSON(ids), ""
}

// mustJSON is for values that are known to have a JSON form.
func mustJSON(v any) string {
	text, err := value.JSON(v)
	if err != nil {
		panic("personnel: " + err.Error())
	}
	return string(text)
}

func optionList(options []any) string {
	names := make([]string, len(options))
	for i, o := range options {
		names[i] = printed(o)
	}
	return strings.Join(names, ", ")
}
