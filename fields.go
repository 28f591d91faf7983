package bugle

import (
	"strings"

	"github.com/buglehq/bugle/value"
)

// A fieldReader takes fields of a request over into variables and collects what is wrong.
type fieldReader struct {
	fields   *value.Array
	creating bool
	problems InvalidError
}

// text reads a string of at most limit bytes and reports whether it did. A required one may not be
// empty, nor null; an optional one becomes empty by null.
func (f *fieldReader) text(name string, to *string, required bool, limit int) bool {
	v, present := f.fields.Get(name)
	switch v := v.(type) {
	case nil:
		if !present && (!f.creating || !required || *to != "") {
			return false
		}
		if required {
			f.problems.Add(name, "The %s field is required.", name)
			return false
		}
		*to = ""
		return true
	case string:
		switch {
		case required && strings.TrimSpace(v) == "":
			f.problems.Add(name, "The %s field is required.", name)
			return false
		case len(v) > limit:
			f.problems.Add(name, "The %s field must not be longer than %d bytes; it has %d.", name, limit, len(v))
			return false
		case strings.ContainsRune(v, 0):
			f.problems.Add(name, "The %s field must not contain a NUL character.", name)
			return false
		}
		*to = v
		return true
	}
	f.problems.Add(name, "The %s field must be a string, not %s.", name, value.Describe(v))
	return false
}

func (f *fieldReader) integer(name string, to *int, low, high int64) {
	n := int64(*to)
	f.whole(name, &n, low, high)
	*to = int(n)
}

// whole reads a whole number and reports whether it did.
func (f *fieldReader) whole(name string, to *int64, low, high int64) bool {
	v, present := f.fields.Get(name)
	if !present {
		return false
	}
	n, ok := v.(int64)
	if !ok || n < low || n > high {
		f.problems.Add(name, "The %s field must be a whole number from %d to %d, not %s.", name, low, high, value.Describe(v))
		return false
	}
	*to = n
	return true
}

func (f *fieldReader) boolean(name string, to *bool) {
	if v, present := f.fields.Get(name); present {
		b, ok := v.(bool)
		if !ok {
			f.problems.Add(name, "The %s field must be true or false, not %s.", name, value.Describe(v))
			return
		}
		*to = b
	}
}

func (f *fieldReader) list(name string) ([]any, bool) {
	v, present := f.fields.Get(name)
	if !present {
		return nil, false
	}
	list, ok := v.(*value.Array)
	if !ok || !list.IsList() {
		f.problems.Add(name, "The %s field must be a list, not %s.", name, value.Describe(v))
		return nil, false
	}
	items := make([]any, 0, list.Len())
	for _, item := range list.All() {
		items = append(items, item)
	}
	return items, true
}
