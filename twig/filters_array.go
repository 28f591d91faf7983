package twig

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/buglehq/bugle/value"
)

// itemCost is about how many bytes an item of an array takes.
const itemCost = 48

// array returns the argument that a filter is applied to, which must be an array.
func (c *call) array() (*value.Array, error) {
	a, ok := c.args[0].(*value.Array)
	if !ok {
		return nil, fmt.Errorf("a list or an object is needed, not %s", value.Describe(plain(c.args[0])))
	}
	return a, nil
}

// room accounts for an array of n items and the steps that filling it takes.
func (c *call) room(n int) error {
	if n > math.MaxInt/itemCost {
		n = math.MaxInt / itemCost
	}
	if err := c.Make(itemCost * n); err != nil {
		return err
	}
	return c.Step(n)
}

// flag returns an argument as a boolean.
func (c *call) flag(i int, otherwise bool) bool {
	return value.Truthy(plain(c.arg(i, otherwise)))
}

// keep puts an item into an array as array_slice and array_reverse do: under its key if that is a text
// or keys are to be preserved, else at the end.
func keep(into *value.Array, key value.Key, v any, preserve bool) {
	if preserve || !key.IsInt() {
		into.Put(key, v)
		return
	}
	into.Append(v)
}

// An entry is an item of an array with its key.
type entry struct {
	key value.Key
	v   any
}

func entries(a *value.Array) []entry {
	list := make([]entry, 0, a.Len())
	for key, v := range a.All() {
		list = append(list, entry{key, v})
	}
	return list
}

// compare is PHP's <=>.
func (c *call) compare(a, b any) (int, error) {
	return value.CompareWithin(c, plain(a), plain(b))
}

func filterBatch(c *call) (any, error) {
	a, err := c.array()
	if err != nil {
		return nil, err
	}
	n, err := c.number(1, nil)
	if err != nil {
		return nil, err
	}
	if f, isFloat := n.(float64); isFloat {
		n = math.Ceil(f)
	}
	size := value.ToInt(n)
	if size < 1 {
		return nil, fmt.Errorf("a batch cannot have %d items", size)
	}
	preserve := c.flag(3, true)
	if err := c.room(2 * a.Len()); err != nil {
		return nil, err
	}
	result := &value.Array{}
	var chunk *value.Array
	for key, v := range a.All() {
		if chunk == nil || int64(chunk.Len()) == size {
			chunk = &value.Array{}
			result.Append(chunk)
		}
		if preserve {
			chunk.Put(key, v)
		} else {
			chunk.Append(v)
		}
	}
	if fill := c.arg(2, nil); fill != nil && chunk != nil {
		missing := size - int64(chunk.Len())
		if err := c.room(int(missing)); err != nil {
			return nil, err
		}
		for range missing {
			if err := appendTo(chunk, fill); err != nil {
				return nil, err
			}
		}
	}
	return result, nil
}

// appendTo is Append, or an error if the array has used the largest key.
func appendTo(a *value.Array, v any) error {
	if _, full := a.GetInt(math.MaxInt64); full {
		return fmt.Errorf("nothing can be appended to a list that has the largest key")
	}
	a.Append(v)
	return nil
}

func filterColumn(c *call) (any, error) {
	a, err := c.array()
	if err != nil {
		return nil, err
	}
	if err := c.room(a.Len()); err != nil {
		return nil, err
	}
	name, index := plain(c.args[1]), plain(c.arg(2, nil))
	result := &value.Array{}
	for _, v := range a.All() {
		row, ok := v.(*value.Array)
		if !ok {
			continue
		}
		item := any(row)
		if name != nil {
			if item, ok = itemOf(row, name); !ok {
				continue
			}
		}
		if index != nil {
			if at, ok := itemOf(row, index); ok {
				if key, ok := value.AsKey(plain(at)); ok {
					result.Put(key, item)
					continue
				}
			}
		}
		if err := appendTo(result, item); err != nil {
			return nil, err
		}
	}
	return result, nil
}

func itemOf(a *value.Array, name any) (any, bool) {
	key, ok := value.AsKey(name)
	if !ok {
		return nil, false
	}
	return a.At(key)
}

func filterFilter(c *call) (any, error) {
	a, err := c.array()
	if err != nil {
		return nil, err
	}
	result := &value.Array{}
	for key, v := range a.All() {
		yes, err := c.invoke(c.args[1], v, keyValue(key))
		if err != nil {
			return nil, err
		}
		if value.Truthy(plain(yes)) {
			if err := c.Make(itemCost); err != nil {
				return nil, err
			}
			result.Put(key, v)
		}
	}
	return result, nil
}

func filterFind(c *call) (any, error) {
	a, err := c.array()
	if err != nil {
		return nil, err
	}
	for key, v := range a.All() {
		yes, err := c.invoke(c.args[1], v, keyValue(key))
		if err != nil {
			return nil, err
		}
		if value.Truthy(plain(yes)) {
			return v, nil
		}
	}
	return nil, nil
}

func filterMap(c *call) (any, error) {
	a, err := c.array()
	if err != nil {
		return nil, err
	}
	result := &value.Array{}
	for key, v := range a.All() {
		mapped, err := c.invoke(c.args[1], v, keyValue(key))
		if err != nil {
			return nil, err
		}
		if err := c.Make(itemCost); err != nil {
			return nil, err
		}
		result.Put(key, mapped)
	}
	return result, nil
}

func filterReduce(c *call) (any, error) {
	a, err := c.array()
	if err != nil {
		return nil, err
	}
	carry := c.arg(2, nil)
	for key, v := range a.All() {
		if carry, err = c.invoke(c.args[1], carry, v, keyValue(key)); err != nil {
			return nil, err
		}
	}
	return carry, nil
}

// keyValue is a key as a value.
func keyValue(k value.Key) any {
	if k.IsInt() {
		return k.Int()
	}
	return k.String()
}

func filterJoin(c *call) (any, error) {
	glue, err := c.text(1, "")
	if err != nil {
		return nil, err
	}
	var list []any
	switch v := c.args[0].(type) {
	case nil:
	case *value.Array:
		if err := c.room(v.Len()); err != nil {
			return nil, err
		}
		for _, item := range v.All() {
			list = append(list, item)
		}
	default:
		list = []any{v}
	}
	last := glue
	if c.arg(2, nil) != nil {
		if last, err = c.text(2, glue); err != nil {
			return nil, err
		}
	}
	var b strings.Builder
	for i, item := range list {
		between := glue
		switch i {
		case 0:
			between = ""
		case len(list) - 1:
			between = last
		}
		s, err := toText(item)
		if err != nil {
			return nil, err
		}
		if err := c.Make(len(between) + len(s)); err != nil {
			return nil, err
		}
		b.WriteString(between)
		b.WriteString(s)
	}
	return b.String(), nil
}

func filterKeys(c *call) (any, error) {
	a, ok := c.args[0].(*value.Array)
	if !ok {
		return &value.Array{}, nil
	}
	if err := c.room(a.Len()); err != nil {
		return nil, err
	}
	keys := value.NewArray(a.Len())
	for key := range a.All() {
		keys.Append(keyValue(key))
	}
	return keys, nil
}

// filterMerge is array_merge: integer keys are numbered anew, others replace their like.
func filterMerge(c *call) (any, error) {
	result := &value.Array{}
	for _, arg := range c.args {
		a, ok := arg.(*value.Array)
		if !ok {
			return nil, fmt.Errorf("lists and objects can be merged, not %s", value.Describe(plain(arg)))
		}
		if err := c.room(a.Len()); err != nil {
			return nil, err
		}
		for key, v := range a.All() {
			keep(result, key, v, false)
		}
	}
	return result, nil
}

// filterSort is asort, or uasort with an arrow function: stable, and keys are kept.
func filterSort(c *call) (any, error) {
	a, err := c.array()
	if err != nil {
		return nil, err
	}
	if err := c.room(a.Len()); err != nil {
		return nil, err
	}
	list := entries(a)
	arrow := c.arg(1, nil)
	slices.SortStableFunc(list, func(x, y entry) int {
		if err == nil {
			err = c.Step(1)
		}
		if err != nil {
			return 0
		}
		var order int
		if arrow == nil {
			order, err = c.compare(x.v, y.v)
		} else {
			order, err = c.order(arrow, x.v, y.v)
		}
		return order
	})
	if err != nil {
		return nil, err
	}
	result := value.NewArray(len(list))
	for _, e := range list {
		result.Put(e.key, e.v)
	}
	return result, nil
}

// order asks an arrow function which of two values comes first. One that answers with a boolean says
// whether the first is the greater one, and false leaves open whether it is less.
func (c *call) order(arrow, x, y any) (int, error) {
	answer, err := c.invoke(arrow, x, y)
	if err != nil {
		return 0, err
	}
	if greater, isBool := answer.(bool); isBool {
		if greater {
			return 1, nil
		}
		if answer, err = c.invoke(arrow, y, x); err != nil {
			return 0, err
		}
		if answer == true {
			return -1, nil
		}
		return 0, nil
	}
	n, ok := value.Number(plain(answer))
	if !ok {
		return 0, fmt.Errorf("the arrow function of a sort must return a number, not %s", value.Describe(plain(answer)))
	}
	return cmp.Compare(value.ToInt(n), 0), nil
}

// isEmpty is Twig's test empty: unlike PHP's it does not hold for 0 and "0".
func isEmpty(v any) bool {
	switch v := plain(v).(type) {
	case nil:
		return true
	case bool:
		return !v
	case string:
		return v == ""
	case *value.Array:
		return v.Len() == 0
	}
	return false
}

func filterDefault(c *call) (any, error) {
	if isEmpty(c.args[0]) {
		return c.arg(1, ""), nil
	}
	return c.args[0], nil
}

func filterFirst(c *call) (any, error) {
	if a, ok := c.args[0].(*value.Array); ok {
		for _, v := range a.All() {
			return v, nil
		}
		return false, nil // as current() of an empty array
	}
	s, err := c.text(0, "")
	if err != nil || s == "" {
		return "", err
	}
	_, size := utf8.DecodeRuneInString(s)
	return s[:size], nil
}

func filterLast(c *call) (any, error) {
	if a, ok := c.args[0].(*value.Array); ok {
		last := any(false)
		if err := c.Step(a.Len()); err != nil {
			return nil, err
		}
		for _, v := range a.All() {
			last = v
		}
		return last, nil
	}
	s, err := c.text(0, "")
	if err != nil || s == "" {
		return "", err
	}
	_, size := utf8.DecodeLastRuneInString(s)
	return s[len(s)-size:], nil
}

func filterLength(c *call) (any, error) {
	switch v := c.args[0].(type) {
	case *value.Array:
		return int64(v.Len()), nil
	case value.Date:
		return int64(1), nil
	}
	s, err := c.text(0, "")
	if err == nil {
		err = c.Read(len(s))
	}
	return int64(utf8.RuneCountInString(s)), err
}

func filterReverse(c *call) (any, error) {
	if a, ok := c.args[0].(*value.Array); ok {
		if err := c.room(a.Len()); err != nil {
			return nil, err
		}
		list := entries(a)
		result := value.NewArray(len(list))
		for _, e := range slices.Backward(list) {
			keep(result, e.key, e.v, c.flag(1, false))
		}
		return result, nil
	}
	runes, err := c.characters()
	if err != nil {
		return nil, err
	}
	slices.Reverse(runes)
	return string(runes), nil
}

// characters returns the text that a filter is applied to in characters.
func (c *call) characters() ([]rune, error) {
	s, err := c.input(5)
	if err != nil {
		return nil, err
	}
	if !utf8.ValidString(s) {
		return nil, fmt.Errorf("a text that is not UTF-8 has no characters")
	}
	return []rune(s), nil
}

func filterShuffle(c *call) (any, error) {
	switch v := plain(c.args[0]).(type) {
	case *value.Array:
		if err := c.room(v.Len()); err != nil {
			return nil, err
		}
		list := entries(v)
		rand.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
		result := value.NewArray(len(list))
		for _, e := range list {
			result.Append(e.v)
		}
		return result, nil
	case string:
		runes, err := c.characters()
		if err != nil {
			return nil, err
		}
		rand.Shuffle(len(runes), func(i, j int) { runes[i], runes[j] = runes[j], runes[i] })
		return string(runes), nil
	}
	return c.args[0], nil
}

// filterSlice is array_slice, or mb_substr for what is no array.
func filterSlice(c *call) (any, error) {
	start, err := c.integer(1, 0)
	if err != nil {
		return nil, err
	}
	length := int64(math.MaxInt64)
	if c.arg(2, nil) != nil {
		if length, err = c.integer(2, 0); err != nil {
			return nil, err
		}
	}
	a, isArray := c.args[0].(*value.Array)
	if !isArray {
		s, err := c.input(1)
		if err != nil {
			return nil, err
		}
		from, to := bounds(start, length, utf8.RuneCountInString(s))
		return substring(s, from, to), nil
	}
	from, to := bounds(start, length, a.Len())
	if err := c.Step(a.Len()); err != nil {
		return nil, err
	}
	if err := c.room(to - from); err != nil {
		return nil, err
	}
	result := value.NewArray(to - from)
	i := 0
	for key, v := range a.All() {
		if i >= from && i < to {
			keep(result, key, v, c.flag(3, false))
		}
		i++
	}
	return result, nil
}

// bounds returns where a slice of n items begins and ends. A negative start counts from the end, and a
// negative length leaves as many items out there.
func bounds(start, length int64, n int) (from, to int) {
	size := int64(n)
	if start < 0 {
		start = max(size+start, 0)
	}
	start = min(start, size)
	end := size
	switch {
	case length < 0:
		end = max(size+length, start)
	case length < size-start:
		end = start + length
	}
	return int(start), int(end)
}

// substring returns the characters of a text from one place to another.
func substring(s string, from, to int) string {
	begin, n := len(s), 0
	for i := range s {
		if n == from {
			begin = i
		}
		if n == to {
			return s[min(begin, i):i]
		}
		n++
	}
	return s[begin:]
}
