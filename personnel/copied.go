package personnel

import "github.com/buglehq/bugle/value"

// Keep returns what a field holds of a value that another installation has rendered. What a person
// may not write is kept all the same, such as a choice that is none of the options; only what the
// column cannot hold is not, and then wanted says what it should have been: "must be a string".
func (f *Field) Keep(v any) (stored any, wanted string) {
	if v == nil {
		switch {
		case f.Null:
			return nil, ""
		case f.Default != nil:
			return f.Default, ""
		case f.isText():
			return "", ""
		}
		return nil, "must not be null"
	}
	switch f.Type {
	case Code:
		if n, ok := asInteger(v); ok {
			return n, ""
		}
		return nil, "must be a whole number"
	case Strings:
		if text, single := v.(string); single {
			v = value.List(text)
		}
		if list, ok := v.(*value.Array); ok && list.IsList() {
			return mustJSON(list), ""
		}
		return nil, "must be a list"
	case JSON:
		text, err := value.JSON(v)
		if err != nil {
			return nil, "must be JSON"
		}
		return string(text), ""
	}
	if f.isText() {
		switch v.(type) {
		case string, int64, float64:
		default:
			return nil, "must be a string"
		}
		text := printed(v)
		if hasNUL(text) {
			return nil, "must not contain a NUL character"
		}
		return text, ""
	}
	return f.store(v)
}

func (f *Field) isText() bool {
	switch f.Type {
	case String, Text, Email, Choice:
		return true
	}
	return false
}

// LooksLikeFile reports whether a custom value is rendered with an address, as the path of an upload
// is: a key that ends in _url follows it then.
func LooksLikeFile(v any) bool {
	text, ok := v.(string)
	return ok && looksLikeFile(text)
}

// ByPath returns the kind with the collection, or nil.
func ByPath(path string) *Kind {
	for _, k := range kinds {
		if k.Path == path && path != "" {
			return k
		}
	}
	return nil
}
