package value

import (
	"cmp"
	"fmt"
	"strings"
)

// uncomparable is what Compare returns for two arrays neither of which is less, such as those with
// other keys. To PHP it is as good as "greater".
const uncomparable = 1

// A Budget bounds how long a comparison may take.
type Budget interface {
	// Step is told that n items of arrays, or kilobytes of text, are to be looked at next. An error
	// ends the comparison.
	Step(n int) error
}

// Equal is PHP 8's ==. Numbers equal texts that are that number ("1e1" == 10); null and booleans equal
// whatever is as true as they are; arrays are equal with equal values under the same keys.
//
// Few arrays can make a comparison long: one that is in another twice, which is in a third twice, and
// so on. EqualWithin is for arrays that somebody else has put together.
func Equal(a, b any) bool {
	if equal, ok := equalScalars(a, b); ok {
		return equal
	}
	c := comparison{}
	return c.equal(a, b)
}

// EqualWithin is Equal within a budget.
func EqualWithin(budget Budget, a, b any) (bool, error) {
	if equal, ok := equalScalars(a, b); ok {
		return equal, nil
	}
	c := comparison{budget: budget}
	equal := c.equal(a, b)
	return equal, c.err
}

// equalScalars is Equal for integers, and for short texts of which the first is the same or no number,
// which is what most comparisons are of.
func equalScalars(a, b any) (equal, ok bool) {
	switch x := a.(type) {
	case string:
		y, isText := b.(string)
		if isText && len(x) < kilobyte && (x == y || x != "" && x[len(x)-1] > '9') {
			return x == y, true
		}
	case int64:
		y, isInt := b.(int64)
		return x == y, isInt
	}
	return false, false
}

// Identical is PHP's ===: equal and of the same type, arrays with the same keys in the same order.
func Identical(a, b any) bool {
	c := comparison{}
	return c.identical(a, b)
}

// IdenticalWithin is Identical within a budget.
func IdenticalWithin(budget Budget, a, b any) (bool, error) {
	c := comparison{budget: budget}
	identical := c.identical(a, b)
	return identical, c.err
}

// Compare is PHP 8's <=>: -1 if a is less than b, 0 if they are equal, else 1. Where neither is less
// it is 1 both ways, as for not-a-number: so a > b is Compare(b, a) < 0.
func Compare(a, b any) int {
	if x, y, ok := integers(a, b); ok {
		return cmp.Compare(x, y)
	}
	c := comparison{}
	return c.compare(a, b)
}

// CompareWithin is Compare within a budget.
func CompareWithin(budget Budget, a, b any) (int, error) {
	if x, y, ok := integers(a, b); ok {
		return cmp.Compare(x, y), nil
	}
	c := comparison{budget: budget}
	order := c.compare(a, b)
	return order, c.err
}

// A comparison is one of two values and of what is in them.
type comparison struct {
	budget Budget // nil: unlimited
	depth  int    // of the arrays that are being compared
	err    error  // of the budget; what is returned then has no meaning
}

// maxCompared is how deep the arrays may be in one another that are compared within a budget.
const maxCompared = 10000

var errCompared = fmt.Errorf("arrays that are nested more than %d deep cannot be compared", maxCompared)

// step reports whether n more items may be looked at.
func (c *comparison) step(n int) bool {
	if c.err == nil && c.budget != nil {
		c.err = c.budget.Step(n)
	}
	return c.err == nil
}

// enter begins the comparison of two arrays, which leave ends.
func (c *comparison) enter() bool {
	if c.depth++; c.depth > maxCompared && c.budget != nil && c.err == nil {
		c.err = errCompared
	}
	return c.err == nil
}

func (c *comparison) leave() { c.depth-- }

// kilobyte is how long a text is at least that takes steps to look at.
const kilobyte = 1 << 10

// texts reports whether two texts may be looked at.
func (c *comparison) texts(a, b string) bool {
	n := max(len(a), len(b)) // a short one may be a number, so that the other has to be read
	if n < kilobyte {
		return true
	}
	const slower = 8 // to read a number than to compare a text
	if (a == "" || a[len(a)-1] <= '9') && (b == "" || b[len(b)-1] <= '9') {
		n *= slower
	}
	return c.step(n / kilobyte)
}

func (c *comparison) equal(a, b any) bool {
	switch x := a.(type) {
	case string:
		if y, ok := b.(string); ok {
			return c.texts(x, y) && (x == y || compareTexts(x, y) == 0)
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
			return c.equalArrays(x, y)
		}
	}
	return c.compare(a, b) == 0
}

func (c *comparison) equalArrays(a, b *Array) bool {
	if a == b {
		return true
	}
	if a.Len() != b.Len() || !c.enter() {
		return false
	}
	defer c.leave()
	for i := range a.Len() {
		y, ok := c.counterpart(a, i, b)
		if !ok || !c.equal(a.vals[i], y) {
			return false
		}
	}
	return true
}

// counterpart returns the item of b under the key of the one at place i of a.
func (c *comparison) counterpart(a *Array, i int, b *Array) (any, bool) {
	key := a.key(i)
	if i < b.Len() && b.key(i) == key {
		return b.vals[i], c.step(1)
	}
	if !c.step(b.search()) {
		return nil, false
	}
	return b.get(key)
}

func (c *comparison) identical(a, b any) bool {
	x, ok := a.(*Array)
	if !ok {
		_, isArray := b.(*Array)
		if isArray || !isScalar(a) || !isScalar(b) {
			return false
		}
		if s, isText := a.(string); isText {
			t, _ := b.(string)
			return c.texts(s, t) && a == b
		}
		return a == b
	}
	y, ok := b.(*Array)
	if !ok || x.Len() != y.Len() {
		return false
	}
	if x == y {
		return true
	}
	if !c.enter() {
		return false
	}
	defer c.leave()
	for i := range x.Len() {
		if !c.step(1) || x.key(i) != y.key(i) || !c.identical(x.vals[i], y.vals[i]) {
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

func (c *comparison) compare(a, b any) int {
	switch x := a.(type) {
	case int64:
		switch y := b.(type) {
		case int64:
			return cmp.Compare(x, y)
		case float64:
			return compareFloats(float64(x), y)
		case string:
			return c.compareWithText(x, y)
		}
	case float64:
		switch y := b.(type) {
		case int64:
			return compareFloats(x, float64(y))
		case float64:
			return compareFloats(x, y)
		case string:
			return c.compareWithText(x, y)
		}
	case string:
		switch y := b.(type) {
		case int64, float64:
			return -c.compareWithText(y, x)
		case string:
			if !c.texts(x, y) {
				return uncomparable
			}
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
			return c.compareArrays(x, y)
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
func (c *comparison) compareWithText(n any, s string) int {
	if !c.texts(s, "") {
		return uncomparable
	}
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
func (c *comparison) compareArrays(a, b *Array) int {
	if a == b {
		return 0
	}
	if a.Len() != b.Len() {
		return cmp.Compare(a.Len(), b.Len())
	}
	if !c.enter() {
		return uncomparable
	}
	defer c.leave()
	for i := range a.Len() {
		y, ok := c.counterpart(a, i, b)
		if !ok {
			return uncomparable
		}
		if order := c.compare(a.vals[i], y); order != 0 {
			return order
		}
	}
	return 0
}
