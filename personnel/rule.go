package personnel

import (
	"fmt"
	"math"
	"net/mail"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/buglehq/bugle/value"
)

// A rule is one part of a custom field's rules.
type rule struct {
	name string
	args []string
}

var (
	alpha     = regexp.MustCompile(`^[\pL\pM]+$`)
	alphaNum  = regexp.MustCompile(`^[\pL\pM\pN]+$`)
	alphaDash = regexp.MustCompile(`^[\pL\pM\pN_-]+$`)
)

// check returns what the value must be but is not, such as "must be a string", or the empty string.
// With numeric, min, max and the like compare numbers rather than lengths.
func (r rule) check(v any, numeric bool) string {
	text, isText := v.(string)
	switch r.name {
	case "string":
		if !isText {
			return "must be a string"
		}
	case "integer":
		if _, ok := asInteger(v); !ok {
			return "must be a whole number"
		}
	case "numeric":
		if _, ok := asNumber(v); !ok {
			return "must be a number"
		}
	case "boolean":
		if _, ok := asBoolean(v); !ok {
			return "must be true or false"
		}
	case "email":
		if !isText || !isEmail(text) {
			return "must be an e-mail address"
		}
	case "url":
		if u, err := url.Parse(text); !isText || err != nil || u.Host == "" {
			return "must be a URL"
		}
	case "date":
		if _, ok := asTime(v); !ok {
			return "must be a date such as 2026-01-31 or 2026-01-31T18:00:00Z"
		}
	case "array":
		if _, ok := v.(*value.Array); !ok {
			return "must be a list"
		}
	case "file":
		if u, ok := v.(*Upload); !ok || u.Size == 0 {
			return "must be an uploaded file"
		}
	case "image":
		if u, ok := v.(*Upload); !ok || !u.isImage() {
			return "must be an uploaded image (PNG, JPEG, GIF, WebP, BMP or AVIF)"
		}
	case "mimes":
		if u, ok := v.(*Upload); !ok || !u.hasExtension(r.args) {
			return "must be a file of one of the types " + strings.Join(r.args, ", ")
		}
	case "min", "max", "size", "between":
		return r.checkSize(v, numeric)
	case "digits":
		n, _ := strconv.Atoi(r.arg(0))
		if digits := printed(v); strings.Trim(digits, "0123456789") != "" || len(digits) != n {
			return fmt.Sprintf("must be %d digits", n)
		}
	case "in":
		if !slices.Contains(r.args, printed(v)) {
			return "must be one of " + strings.Join(r.args, ", ")
		}
	case "not_in":
		if slices.Contains(r.args, printed(v)) {
			return "must not be one of " + strings.Join(r.args, ", ")
		}
	case "alpha":
		if !alpha.MatchString(text) {
			return "must be letters only"
		}
	case "alpha_num":
		if !alphaNum.MatchString(text) {
			return "must be letters and digits only"
		}
	case "alpha_dash":
		if !alphaDash.MatchString(text) {
			return "must be letters, digits, dashes and underscores only"
		}
	case "starts_with":
		if !slices.ContainsFunc(r.args, func(a string) bool { return strings.HasPrefix(text, a) }) {
			return "must start with one of " + strings.Join(r.args, ", ")
		}
	case "ends_with":
		if !slices.ContainsFunc(r.args, func(a string) bool { return strings.HasSuffix(text, a) }) {
			return "must end with one of " + strings.Join(r.args, ", ")
		}
	}
	return ""
}

func (r rule) arg(i int) string {
	if i < len(r.args) {
		return strings.TrimSpace(r.args[i])
	}
	return ""
}

// checkSize compares a number, the characters of a string, the items of a list or the KiB of a file.
func (r rule) checkSize(v any, numeric bool) string {
	size, unit := 0.0, ""
	switch v := v.(type) {
	case *value.Array:
		size, unit = float64(v.Len()), " items"
	case *Upload:
		size, unit = float64(v.Size)/1024, " KiB"
	default:
		if n, ok := asNumber(v); ok && numeric {
			size = n
		} else {
			size, unit = float64(utf8.RuneCountInString(printed(v))), " characters"
		}
	}
	low, high := math.Inf(-1), math.Inf(1)
	first, err := strconv.ParseFloat(r.arg(0), 64)
	if err != nil {
		return ""
	}
	switch r.name {
	case "min":
		low = first
	case "max":
		high = first
	case "size":
		low, high = first, first
	case "between":
		low = first
		if high, err = strconv.ParseFloat(r.arg(1), 64); err != nil {
			return ""
		}
	}
	switch {
	case size >= low && size <= high:
		return ""
	case r.name == "min":
		return "must be at least " + r.arg(0) + unit
	case r.name == "max":
		return "must be at most " + r.arg(0) + unit
	case r.name == "size":
		return "must be exactly " + r.arg(0) + unit
	}
	return "must be from " + r.arg(0) + " to " + r.arg(1) + unit
}

// CheckRules returns what is wrong with the text of a custom field's rules, or the empty string.
func CheckRules(text string) string {
	for _, r := range parseRules(text) {
		if !slices.Contains(Rules, r.name) {
			return fmt.Sprintf("The rules field holds the unknown rule %q; known are %s.", r.name, strings.Join(Rules, ", "))
		}
		_, first := asNumber(r.arg(0))
		_, second := asNumber(r.arg(1))
		_, whole := asInteger(r.arg(0))
		switch {
		case slices.Contains([]string{"min", "max", "size"}, r.name) && !first, r.name == "digits" && !whole:
			return fmt.Sprintf("The rule %s in the rules field needs a number, such as %s:20.", r.name, r.name)
		case r.name == "between" && (!first || !second):
			return "The rule between in the rules field needs two numbers, such as between:1,20."
		case r.name == "mimes" && r.arg(0) == "":
			return "The rule mimes in the rules field needs extensions, such as mimes:png,pdf."
		}
	}
	return ""
}

// printed is the text of a scalar, as rules compare it.
func printed(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case int64:
		return strconv.FormatInt(v, 10)
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	case bool:
		if v {
			return "1"
		}
		return "0"
	}
	return ""
}

// asInteger, asNumber, asBoolean and asTime accept what PERSCOM's clients send for such a value:
// numbers also as text, booleans also as 0, 1, "0" and "1".
func asInteger(v any) (int64, bool) {
	switch v := v.(type) {
	case int64:
		return v, true
	case float64:
		if v == math.Trunc(v) && math.Abs(v) < 1<<53 {
			return int64(v), true
		}
	case string:
		n, err := strconv.ParseInt(strings.TrimSpace(v), 10, 64)
		return n, err == nil
	}
	return 0, false
}

func asNumber(v any) (float64, bool) {
	switch v := v.(type) {
	case int64:
		return float64(v), true
	case float64:
		return v, true
	case string:
		n, err := strconv.ParseFloat(strings.TrimSpace(v), 64)
		return n, err == nil && !math.IsInf(n, 0) && !math.IsNaN(n)
	}
	return 0, false
}

func asBoolean(v any) (bool, bool) {
	switch v {
	case true, int64(1), "1":
		return true, true
	case false, int64(0), "0":
		return false, true
	}
	return false, false
}

// StoredTime is how times are stored: in UTC, to the second.
const StoredTime = "2006-01-02 15:04:05"

// timeForms are the ways to write a time that are understood; without a zone it is UTC.
var timeForms = []string{
	time.RFC3339Nano, "2006-01-02T15:04:05.999999999", "2006-01-02T15:04:05.999999999-0700", "2006-01-02T15:04Z07:00", "2006-01-02T15:04",
	"2006-01-02 15:04:05.999999999", "2006-01-02 15:04:05.999999999Z07:00", "2006-01-02 15:04", "2006-01-02",
	time.RFC1123Z, time.RFC1123, time.RFC850, time.ANSIC, "2006/01/02", "01/02/2006", "01/02/2006 15:04", "2 January 2006", "January 2, 2006",
}

func asTime(v any) (time.Time, bool) {
	text, ok := v.(string)
	if !ok {
		return time.Time{}, false
	}
	for _, form := range timeForms {
		if at, err := time.Parse(form, strings.TrimSpace(text)); err == nil {
			at = at.UTC()
			return at, at.Year() >= 1 && at.Year() <= 9999
		}
	}
	return time.Time{}, false
}

func isEmail(text string) bool {
	address, err := mail.ParseAddress(text)
	if err != nil || address.Address != text {
		return false
	}
	_, host, _ := strings.Cut(text, "@")
	return host != "" && !strings.ContainsAny(text, " \t\r\n<>")
}

// ParseTime reads a time in any of the ways in which PERSCOM's clients write it; without a zone it
// is UTC.
func ParseTime(text string) (time.Time, bool) { return asTime(text) }
