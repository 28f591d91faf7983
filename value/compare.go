package value

import (
	"cmp"
	"strings"
)

// uncomparable is what Compare returns for two arrays neither of which is less, such as those with
// other keys. To PHP it is as good as "greater".
const uncomparable = 1

// Equal is PHP 8's ==. Numbers equal texts that are that number ("1e1" == 10); null and booleans equal
// whatever is as true as they are; arrays are equal with equal values under the same keys.
func Equal(a, b any) bool {
	switch x := a.(type) {
	case string:
		if y, ok := b.(string); ok {
			return x == y || compareTexts(x, y) == 0
		}
	case int64:
		if y, ok := b.(int64); ok {
			return x == y
		}
	case float64:
		if y, ok := b.(float64); ok {
			return x == y // not so if it is not-a-number
		}
	case *Array:
		if y, ok := b.(*Array); ok {
			return equalArrays(x, y)
		}
	}
	return Compare(a, b) == 0
}

func equalArrays(a, b *Array) bool {
	if a == b {
		return true
	}
	if a.Len() != b.Len() {
		return false
	}
	for key, x := range a.All() {
		y, ok := b.get(key)
		if !ok || !Equal(x, y) {
			return false
		}
	}
	return true
}

// Identical is PHP's ===: equal and of the same type, arrays with the same keys in the same order.
func Identical(a, b any) bool {
	x, ok := a.(*Array)
	if !ok {
		_, isArray := b.(*Array)
		return !isArray && isScalar(a) && isScalar(b) && a == b
	}
	y, ok := b.(*Array)
	if !ok || x.Len() != y.Len() {
		return false
	}
	for i := range x.Len() {
		if x.key(i) != y.key(i) {
			return false
		}
	}
	for key, v := range x.All() {
		if other, _ := y.get(key); !Identical(v, other) {
			return false
		}
	}
	return true
}

// isScalar reports whether v is of a type that Go can compare.
func isScalar(v any) bool {
	switch v.(type) {
	case nil, bool, int64, float64, string:
		return true
	}
	return false
}

// Compare is PHP 8's <=>: -1 if a is less than b, 0 if they are equal, else 1. Where neither is less
// it is 1 both ways, as for not-a-number: so a > b is Compare(b, a) < 0.
func Compare(a, b any) int {
	switch x := a.(type) {
	case int64:
		switch y := b.(type) {
		case int64:
			return cmp.Compare(x, y)
		case float64:
			return compareFloats(float64(x), y)
		case string:
			return compareWithText(x, y)
		}
	case float64:
		switch y := b.(type) {
		case int64:
			return compareFloats(x, float64(y))
		case float64:
			return compareFloats(x, y)
		case string:
			return compareWithText(x, y)
		}
	case string:
		switch y := b.(type) {
		case int64, float64:
			return -compareWithText(y, x)
		case string:
			return compareTexts(x, y)
		case nil:
			return strings.Compare(x, "")
		}
	case nil:
		if y, ok := b.(string); ok {
			return strings.Compare("", y)
		}
	case *Array:
		if y, ok := b.(*Array); ok {
			return compareArrays(x, y)
		}
	case Date:
		if y, ok := b.(Date); ok {
			return x.Time.Compare(y.Time)
		}
	}
	if isBoolean(a) || isBoolean(b) {
		return compareBooleans(Truthy(a), Truthy(b))
	}
	if _, ok := a.(*Array); ok { // an array is greater than what is none
		return 1
	}
	if _, ok := b.(*Array); ok {
		return -1
	}
	return uncomparable
}

// isBoolean reports whether v lets its comparisons be those of booleans.
func isBoolean(v any) bool {
	if v == nil {
		return true
	}
	_, ok := v.(bool)
	return ok
}

func compareBooleans(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

func compareFloats(a, b float64) int {
	switch {
	case a == b:
		return 0
	case a < b:
		return -1
	}
	return 1
}

// compareWithText compares a number with a text: as numbers if the text is one, else as texts.
func compareWithText(n any, s string) int {
	if other, ok := Numeric(s); ok {
		return Compare(n, other)
	}
	text, _ := Text(n)
	return strings.Compare(text, s)
}

// compareTexts compares as numbers if both texts are.
func compareTexts(a, b string) int {
	x, okX, overX := numeric(a)
	if !okX {
		return strings.Compare(a, b)
	}
	y, okY, overY := numeric(b)
	if !okY || overX && overY && toFloat(x) == toFloat(y) { // as floats, such numbers have lost digits
		return strings.Compare(a, b)
	}
	if _, isInt := x.(int64); isInt && overY { // as floats, they might be equal
		return compareFloats(0, toFloat(y))
	}
	if _, isInt := y.(int64); isInt && overX {
		return compareFloats(toFloat(x), 0)
	}
	return Compare(x, y)
}

// compareArrays: fewer items are less; then the first item that differs decides.
func compareArrays(a, b *Array) int {
	if a.Len() != b.Len() {
		return cmp.Compare(a.Len(), b.Len())
	}
	for key, x := range a.All() {
		y, ok := b.get(key)
		if !ok {
			return uncomparable
		}
		if c := Compare(x, y); c != 0 {
			return c
		}
	}
	return 0
}
