// Package value holds PHP's values, decodes them from JSON text, and encodes them as JSON text and as
// query strings, byte for byte as PHP 8 does.
//
// A value is a Go any that is one of
//
//	nil      null
//	bool     bool
//	int64    int
//	float64  float
//	string   string, of any bytes
//	*Array   array: PHP's list and map in one; a nil *Array is an empty one
//
// and nothing else: a value of another Go type, int included, is refused when it is encoded. The
// methods that put a value into an [Array] take an int as well, and store it as an int64, so that
// constants can be written as they are.
package value

import (
	"fmt"
	"iter"
	"maps"
	"math"
	"slices"
	"strconv"
)

// maxDepth is PHP's default limit for json_encode and json_decode.
const maxDepth = 512

// scanLimit is how many keys an Array has before it gets an index. Comparing this many keys takes
// about as long as a few map operations, and most arrays are records that are built, encoded and
// dropped, for which an index would never pay.
const scanLimit = 48

// An Array is PHP's array: values in the order in which their keys were first set, each key an
// integer or a string. A string that is an integer as PHP would print it ("0", "12", "-3", but not
// "01", "-0" or "+1", nor what does not fit an int64) is that integer as a key: Set("7", v) and
// SetInt(7, v) set the same.
//
// The zero Array is empty and ready to use, and a nil *Array reads as an empty one. An Array may be
// read by several goroutines at once, as long as none writes. It must not contain itself.
type Array struct {
	vals  []any
	keys  []Key       // of vals; nil while they are 0, 1, 2, …
	index map[Key]int // where each key is; nil if there are few keys, or one was deleted

	next   int64 // the key that Append gives; 0 if hasInt is false
	hasInt bool  // there is, or was, an integer key
}

// A Key is the key of an array's entry: an integer or a string.
type Key struct {
	str   string
	num   int64
	isInt bool
}

// IsInt reports whether the key is an integer.
func (k Key) IsInt() bool { return k.isInt }

// Int returns an integer key, and 0 for a string.
func (k Key) Int() int64 { return k.num }

// String returns the key, an integer in decimal. Setting it gives the same key again.
func (k Key) String() string {
	if k.isInt {
		return strconv.FormatInt(k.num, 10)
	}
	return k.str
}

func keyOf(s string) Key {
	if n, ok := parseKey(s); ok {
		return Key{num: n, isInt: true}
	}
	return Key{str: s}
}

// parseKey returns the integer that string key s stands for, if it does.
func parseKey(s string) (int64, bool) {
	const maxDigits = len("9223372036854775807")
	digits := s
	if len(s) > 0 && s[0] == '-' {
		digits = s[1:]
	}
	if len(digits) == 0 || len(digits) > maxDigits || digits[0] > '9' {
		return 0, false
	}
	if digits[0] == '0' {
		return 0, s == "0"
	}
	var n uint64
	for i := range len(digits) {
		c := digits[i] - '0'
		if c > 9 {
			return 0, false
		}
		n = n*10 + uint64(c)
	}
	if len(digits) < len(s) {
		return -int64(n), n <= 1<<63
	}
	return int64(n), n <= math.MaxInt64
}

// NewArray returns an empty array with room for capacity entries.
func NewArray(capacity int) *Array {
	return &Array{vals: make([]any, 0, capacity)}
}

// List returns an array of items under the keys 0, 1, 2, …
func List(items ...any) *Array {
	a := NewArray(len(items))
	for _, v := range items {
		a.Append(v)
	}
	return a
}

// Map returns an array of pairs: key, value, key, value, … It panics if a key is neither a string
// nor an int nor an int64, or the last value is missing.
func Map(pairs ...any) *Array {
	if len(pairs)%2 != 0 {
		panic("value.Map: the last key has no value")
	}
	a := NewArray(len(pairs) / 2)
	for i := 0; i < len(pairs); i += 2 {
		switch key := pairs[i].(type) {
		case string:
			a.Set(key, pairs[i+1])
		case int:
			a.SetInt(int64(key), pairs[i+1])
		case int64:
			a.SetInt(key, pairs[i+1])
		default:
			panic(fmt.Sprintf("value.Map: a key is a %T, want a string or an integer", key))
		}
	}
	return a
}

// Set sets the value of key. A key that is there keeps its place, a new one goes to the end.
func (a *Array) Set(key string, v any) { a.set(keyOf(key), v) }

// SetInt is Set for an integer key.
func (a *Array) SetInt(key int64, v any) { a.set(Key{num: key, isInt: true}, v) }

// Append adds v at the end, under the integer that follows the largest one ever used as a key, or
// 0 if there was none. It panics if that leaves no integer, which is an Error in PHP, too.
func (a *Array) Append(v any) {
	if a.next == math.MaxInt64 {
		if _, ok := a.GetInt(a.next); ok {
			panic("value: append to an array that uses the largest integer as a key")
		}
	}
	a.add(Key{num: a.next, isInt: true}, v)
}

func (a *Array) set(key Key, v any) {
	a.needIndex()
	if i := a.find(key); i >= 0 {
		a.vals[i] = settable(v)
		return
	}
	a.add(key, v)
}

// needIndex makes the index of an array that has many keys and no index.
func (a *Array) needIndex() {
	if a.index != nil || len(a.keys) <= scanLimit {
		return
	}
	a.index = make(map[Key]int, 2*len(a.keys))
	for i, k := range a.keys {
		a.index[k] = i
	}
}

// add puts v at the end under a key that is not there yet.
func (a *Array) add(key Key, v any) {
	a.needIndex()
	if a.keys == nil && (!key.isInt || key.num != int64(len(a.vals))) {
		a.nameKeys()
	}
	if a.keys != nil {
		a.keys = append(a.keys, key)
		if a.index != nil {
			a.index[key] = len(a.vals)
		}
	}
	a.vals = append(a.vals, settable(v))
	if key.isInt && (!a.hasInt || key.num >= a.next) {
		a.hasInt = true
		a.next = key.num
		if key.num < math.MaxInt64 {
			a.next++
		}
	}
}

func settable(v any) any {
	if n, ok := v.(int); ok {
		return int64(n)
	}
	return v
}

// nameKeys writes down the keys that so far went without saying.
func (a *Array) nameKeys() {
	a.keys = make([]Key, len(a.vals), max(cap(a.vals), 4))
	for i := range a.keys {
		a.keys[i] = Key{num: int64(i), isInt: true}
	}
}

// find returns where key is, or -1.
func (a *Array) find(key Key) int {
	switch {
	case a == nil:
		return -1
	case a.keys == nil:
		if key.isInt && key.num >= 0 && key.num < int64(len(a.vals)) {
			return int(key.num)
		}
		return -1
	case a.index != nil:
		if i, ok := a.index[key]; ok {
			return i
		}
		return -1
	case key.isInt:
		for i := range a.keys {
			if k := &a.keys[i]; k.isInt && k.num == key.num {
				return i
			}
		}
		return -1
	default:
		for i := range a.keys {
			if k := &a.keys[i]; k.str == key.str && !k.isInt {
				return i
			}
		}
		return -1
	}
}

// search returns how many keys find looks at, at most.
func (a *Array) search() int {
	if a == nil || a.index != nil {
		return 1
	}
	return 1 + len(a.keys)
}

// Get returns the value of key, and whether there is that key.
func (a *Array) Get(key string) (any, bool) { return a.get(keyOf(key)) }

// GetInt is Get for an integer key.
func (a *Array) GetInt(key int64) (any, bool) { return a.get(Key{num: key, isInt: true}) }

func (a *Array) get(key Key) (any, bool) {
	if i := a.find(key); i >= 0 {
		return a.vals[i], true
	}
	return nil, false
}

// Has reports whether there is key, be its value null.
func (a *Array) Has(key string) bool { return a.find(keyOf(key)) >= 0 }

// Delete removes key, if there is one. The other keys stay as they are: the second entry of a list
// keeps the key 1 when the first is deleted.
func (a *Array) Delete(key string) {
	i := a.find(keyOf(key))
	if i < 0 {
		return
	}
	if a.keys == nil && i < len(a.vals)-1 {
		a.nameKeys()
	}
	if a.keys != nil {
		a.keys = slices.Delete(a.keys, i, i+1)
		a.index = nil // positions after i are off by one
	}
	a.vals = slices.Delete(a.vals, i, i+1)
}

// Len returns the number of entries.
func (a *Array) Len() int {
	if a == nil {
		return 0
	}
	return len(a.vals)
}

// IsList reports whether the keys are 0, 1, 2, … in this order, as those of an empty array are.
func (a *Array) IsList() bool {
	if a == nil {
		return true
	}
	for i, k := range a.keys {
		if !k.isInt || k.num != int64(i) {
			return false
		}
	}
	return true
}

// key returns the key of the entry at place i.
func (a *Array) key(i int) Key {
	if a.keys == nil {
		return Key{num: int64(i), isInt: true}
	}
	return a.keys[i]
}

// All returns the entries in order. The array may get other values for its keys meanwhile, but keys
// must be neither added nor deleted.
func (a *Array) All() iter.Seq2[Key, any] {
	return func(yield func(Key, any) bool) {
		for i := range a.Len() {
			if !yield(a.key(i), a.vals[i]) {
				return
			}
		}
	}
}

// Keys returns the keys in order, integers in decimal.
func (a *Array) Keys() []string {
	keys := make([]string, a.Len())
	for i := range keys {
		keys[i] = a.key(i).String()
	}
	return keys
}

// Clone returns a copy that shares no array with a, at any depth. It is never nil.
func (a *Array) Clone() *Array {
	if a == nil {
		return &Array{}
	}
	c := &Array{
		vals:   slices.Clone(a.vals),
		keys:   slices.Clone(a.keys),
		index:  maps.Clone(a.index),
		next:   a.next,
		hasInt: a.hasInt,
	}
	for i, v := range c.vals {
		if inner, ok := v.(*Array); ok {
			c.vals[i] = inner.Clone()
		}
	}
	return c
}

// HasKey reports whether the array has a key of another array.
func (a *Array) HasKey(key Key) bool { return a.find(key) >= 0 }

// Put is Set for a key of another array.
func (a *Array) Put(key Key, v any) { a.set(key, v) }

// At returns the item under a key of another array.
func (a *Array) At(key Key) (any, bool) { return a.get(key) }

// AsKey returns the key that PHP takes v for: texts that are decimal integers are integers, floats
// lose their fraction, true is 1, false 0, null the empty text. Others are no keys.
func AsKey(v any) (key Key, ok bool) {
	switch v := v.(type) {
	case string:
		return keyOf(v), true
	case int64:
		return Key{num: v, isInt: true}, true
	case float64:
		return Key{num: ToInt(v), isInt: true}, true
	case bool:
		if v {
			return Key{num: 1, isInt: true}, true
		}
		return Key{isInt: true}, true
	case nil:
		return keyOf(""), true
	}
	return Key{}, false
}
