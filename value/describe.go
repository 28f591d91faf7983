package value

import (
	"fmt"
	"strconv"
	"unicode/utf8"
)

// Describe returns a value in a few words for a message to a person: null, true, 12, "text", a list
// of 3 items, an object with 2 keys. A long text is cut short. What is no value, such as a file that
// came with a form, describes itself if it is a [fmt.Stringer].
func Describe(v any) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case bool:
		return strconv.FormatBool(v)
	case int64:
		return strconv.FormatInt(v, 10)
	case float64:
		return strconv.FormatFloat(v, 'g', -1, 64)
	case string:
		const limit = 60
		if len(v) > limit {
			cut := limit
			for cut > 0 && !utf8.RuneStart(v[cut]) {
				cut--
			}
			return strconv.Quote(v[:cut]) + "…"
		}
		return strconv.Quote(v)
	case *Array:
		switch {
		case v.IsList() && v.Len() == 1:
			return "a list of 1 item"
		case v.IsList():
			return "a list of " + strconv.Itoa(v.Len()) + " items"
		case v.Len() == 1:
			return "an object with 1 key"
		}
		return "an object with " + strconv.Itoa(v.Len()) + " keys"
	case fmt.Stringer:
		return v.String()
	}
	return "something that is no value"
}
