package engine

import (
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/buglehq/bugle/value"
)

// Add is PHP's +: the sum of numbers, or of two arrays the items of the left one and those of the
// right one under other keys.
func Add(r *Run, a, b any) (any, error) {
	x, isX := a.(*value.Array)
	y, isY := b.(*value.Array)
	if !isX || !isY {
		return arithmetic(r, "+", a, b, value.Add)
	}
	if err := r.Make(arrayCost * (x.Len() + y.Len())); err != nil {
		return nil, err
	}
	sum := value.NewArray(x.Len() + y.Len())
	for key, v := range x.All() {
		sum.Put(key, v)
	}
	for key, v := range y.All() {
		if !sum.HasKey(key) {
			sum.Put(key, v)
		}
	}
	return sum, nil
}

// Subtract, Multiply, Divide, Modulo and Power are PHP's - * / % and **.
func Subtract(r *Run, a, b any) (any, error) { return arithmetic(r, "-", a, b, value.Subtract) }

// Multiply is PHP's *.
func Multiply(r *Run, a, b any) (any, error) { return arithmetic(r, "*", a, b, value.Multiply) }

// Power is PHP's **.
func Power(r *Run, a, b any) (any, error) { return arithmetic(r, "**", a, b, value.Power) }

// Divide is PHP's /.
func Divide(r *Run, a, b any) (any, error) {
	return dividing(r, "/", a, b, value.Divide)
}

// Modulo is PHP's %.
func Modulo(r *Run, a, b any) (any, error) {
	return dividing(r, "%", a, b, value.Modulo)
}

func dividing(r *Run, sign string, a, b any, apply func(a, b any) (any, bool)) (any, error) {
	return arithmetic(r, sign, a, b, func(a, b any) any {
		v, ok := apply(a, b)
		if !ok {
			return errDivision
		}
		return v
	})
}

var errDivision = errors.New("division by zero")

func arithmetic(r *Run, sign string, a, b any, apply func(a, b any) any) (any, error) {
	if err := r.readBoth(a, b); err != nil {
		return nil, err
	}
	x, okX := value.Number(a)
	y, okY := value.Number(b)
	for _, side := range []struct {
		v  any
		ok bool
	}{{a, okX}, {b, okY}} {
		if !side.ok {
			return nil, fmt.Errorf("%s cannot be calculated with by %s: it is no number", value.Describe(side.v), sign)
		}
	}
	v := apply(x, y)
	if err, failed := v.(error); failed {
		return nil, err
	}
	return v, nil
}

// readBoth accounts for the texts among two values that are to be numbers.
func (r *Run) readBoth(a, b any) error {
	for _, v := range [2]any{a, b} {
		if s, ok := v.(string); ok {
			if err := r.ReadNumber(s); err != nil {
				return err
			}
		}
	}
	return nil
}

// Negate is the unary -.
func Negate(r *Run, v any) (any, error) { return arithmetic(r, "-", v, int64(-1), value.Multiply) }

// Plus is the unary +, which makes a number of a numeric text.
func Plus(r *Run, v any) (any, error) { return arithmetic(r, "+", v, int64(1), value.Multiply) }

// Text returns a value as PHP prints it, or an error for what it does not print.
func Text(v any) (string, error) {
	if s, ok := v.(string); ok {
		return s, nil
	}
	if s, ok := value.Text(v); ok {
		return s, nil
	}
	if s, ok := v.(fmt.Stringer); ok {
		return s.String(), nil
	}
	return "", fmt.Errorf("%s cannot be used as a text", value.Describe(v))
}

// Concatenate joins two texts.
func Concatenate(r *Run, a, b any) (any, error) {
	x, y, err := texts(a, b)
	if err != nil {
		return nil, err
	}
	if err := r.Make(len(x) + len(y)); err != nil {
		return nil, err
	}
	return x + y, nil
}

func texts(a, b any) (x, y string, err error) {
	if x, err = Text(a); err != nil {
		return "", "", err
	}
	y, err = Text(b)
	return x, y, err
}

// Equal, and those after it, compare as PHP 8 does.
func Equal(r *Run, a, b any) (any, error) { return value.EqualWithin(r, a, b) }

// NotEqual is !=.
func NotEqual(r *Run, a, b any) (any, error) {
	equal, err := value.EqualWithin(r, a, b)
	return !equal, err
}

// Identical is ===.
func Identical(r *Run, a, b any) (any, error) { return value.IdenticalWithin(r, a, b) }

// NotIdentical is !==.
func NotIdentical(r *Run, a, b any) (any, error) {
	identical, err := value.IdenticalWithin(r, a, b)
	return !identical, err
}

// Spaceship is <=>.
func Spaceship(r *Run, a, b any) (any, error) {
	order, err := value.CompareWithin(r, a, b)
	return int64(order), err
}

// Less is <.
func Less(r *Run, a, b any) (any, error) {
	order, err := value.CompareWithin(r, a, b)
	return order < 0, err
}

// Greater is >.
func Greater(r *Run, a, b any) (any, error) { return Less(r, b, a) }

// LessOrEqual is <=.
func LessOrEqual(r *Run, a, b any) (any, error) {
	order, err := value.CompareWithin(r, a, b)
	return order <= 0, err
}

// GreaterOrEqual is >=.
func GreaterOrEqual(r *Run, a, b any) (any, error) { return LessOrEqual(r, b, a) }

// Find reports whether a list has an item that equal says is equal to a value.
func Find(r *Run, v any, list *value.Array, equal func(b value.Budget, v, item any) (bool, error)) (bool, error) {
	if err := r.Step(list.Len()); err != nil {
		return false, err
	}
	for _, item := range list.All() {
		if found, err := equal(r, v, item); found || err != nil {
			return found, err
		}
	}
	return false, nil
}

// Contains reports whether a text has another one in it.
func Contains(r *Run, a, b any) (any, error) { return textTest(r, a, b, strings.Contains) }

// StartsWith reports whether a text begins with another one.
func StartsWith(r *Run, a, b any) (any, error) { return textTest(r, a, b, strings.HasPrefix) }

// EndsWith reports whether a text ends with another one.
func EndsWith(r *Run, a, b any) (any, error) { return textTest(r, a, b, strings.HasSuffix) }

func textTest(r *Run, a, b any, test func(s, part string) bool) (any, error) {
	x, y, err := texts(a, b)
	if err == nil {
		err = r.Read(len(x))
	}
	if err != nil {
		return nil, err
	}
	return test(x, y), nil
}

// Xor reports whether one of two values is true, and only one.
func Xor(_ *Run, a, b any) (any, error) { return value.Truthy(a) != value.Truthy(b), nil }

// BitAnd is PHP's &, on numbers or, byte for byte, on two texts.
func BitAnd(r *Run, a, b any) (any, error) {
	return bits(r, "&", a, b, func(x, y int64) int64 { return x & y }, func(x, y string) string {
		return bytewise(x[:min(len(x), len(y))], y, func(c, d byte) byte { return c & d })
	})
}

// BitOr is PHP's |.
func BitOr(r *Run, a, b any) (any, error) {
	return bits(r, "|", a, b, func(x, y int64) int64 { return x | y }, func(x, y string) string {
		if len(x) < len(y) {
			x, y = y, x
		}
		return bytewise(x, y, func(c, d byte) byte { return c | d })
	})
}

// BitXor is PHP's ^.
func BitXor(r *Run, a, b any) (any, error) {
	return bits(r, "^", a, b, func(x, y int64) int64 { return x ^ y }, func(x, y string) string {
		return bytewise(x[:min(len(x), len(y))], y, func(c, d byte) byte { return c ^ d })
	})
}

// BitNot is PHP's unary ~, on a number or on each byte of a text.
func BitNot(r *Run, v any) (any, error) {
	switch v := v.(type) {
	case int64, float64:
		return ^value.ToInt(v), nil
	case string:
		if err := r.Make(len(v)); err != nil {
			return nil, err
		}
		return bytewise(v, v, func(c, _ byte) byte { return ^c }), nil
	}
	return nil, fmt.Errorf("%s has no bits to turn around", value.Describe(v))
}

// bytewise combines the bytes of a text with those of another that it has.
func bytewise(x, y string, combine func(c, d byte) byte) string {
	b := []byte(x)
	for i := range min(len(x), len(y)) {
		b[i] = combine(b[i], y[i])
	}
	return string(b)
}

func bits(r *Run, sign string, a, b any, numbers func(x, y int64) int64, both func(x, y string) string) (any, error) {
	x, isX := a.(string)
	y, isY := b.(string)
	if isX && isY {
		if err := r.Make(max(len(x), len(y))); err != nil {
			return nil, err
		}
		return both(x, y), nil
	}
	return arithmetic(r, sign, a, b, func(a, b any) any { return numbers(value.ToInt(a), value.ToInt(b)) })
}

// ShiftLeft is PHP's <<.
func ShiftLeft(r *Run, a, b any) (any, error) {
	return shift(r, "<<", a, b, func(x int64, n uint64) int64 { return x << n })
}

// ShiftRight is PHP's >>.
func ShiftRight(r *Run, a, b any) (any, error) {
	return shift(r, ">>", a, b, func(x int64, n uint64) int64 { return x >> n })
}

func shift(r *Run, sign string, a, b any, apply func(x int64, n uint64) int64) (any, error) {
	return arithmetic(r, sign, a, b, func(a, b any) any {
		n := value.ToInt(b)
		if n < 0 {
			return fmt.Errorf("it cannot be shifted by the negative number %d", n)
		}
		return apply(value.ToInt(a), uint64(n))
	})
}

// Range is the array of the numbers, or of the letters, from a to b.
func Range(r *Run, a, b any) (any, error) { return Steps(r, a, b, int64(1)) }

// Steps is PHP's range(a, b, step): the values from a to b, up or down.
func Steps(r *Run, a, b, step any) (any, error) {
	if err := r.readBoth(a, b); err != nil {
		return nil, err
	}
	first, okFirst := letter(a)
	last, okLast := letter(b)
	n, okStep := value.Number(step)
	if !okStep {
		return nil, fmt.Errorf("a range cannot have the step %s", value.Describe(step))
	}
	if okFirst && okLast {
		return steps(r, int64(first), int64(last), value.ToInt(n), func(i int64) any { return string([]byte{byte(i)}) })
	}
	x, okX := rangeEnd(a)
	y, okY := rangeEnd(b)
	if !okX || !okY {
		return nil, fmt.Errorf("a range cannot go from %s to %s", value.Describe(a), value.Describe(b))
	}
	from, isFrom := x.(int64)
	to, isTo := y.(int64)
	by, isBy := n.(int64)
	if isFrom && isTo && isBy {
		return steps(r, from, to, by, func(i int64) any { return i })
	}
	return floatSteps(r, float(x), float(y), float(n))
}

// letter returns the one byte of a text that is no number.
func letter(v any) (byte, bool) {
	s, ok := v.(string)
	if !ok || s == "" {
		return 0, false
	}
	if _, numeric := value.Numeric(s); numeric {
		return 0, false
	}
	return s[0], true
}

// rangeEnd is a number, and 0 for a text that is none.
func rangeEnd(v any) (any, bool) {
	if n, ok := value.Number(v); ok {
		return n, true
	}
	_, isText := v.(string)
	return int64(0), isText
}

func float(n any) float64 {
	if i, ok := n.(int64); ok {
		return float64(i)
	}
	f, _ := n.(float64)
	return f
}

func steps(r *Run, from, to, by int64, item func(i int64) any) (any, error) {
	if by < 0 {
		by = -by
	}
	if by <= 0 {
		return nil, errors.New("a range needs a step that is not 0")
	}
	distance := uint64(to) - uint64(from)
	if to < from {
		distance = uint64(from) - uint64(to)
		by = -by
	}
	count := distance / uint64(max(by, -by))
	if count > math.MaxInt32 {
		return nil, fmt.Errorf("a range from %d to %d is too long", from, to)
	}
	n := int(count) + 1
	if err := r.Make(arrayCost * n); err != nil {
		return nil, err
	}
	list := value.NewArray(n)
	for i := range n {
		list.Append(item(from + int64(i)*by))
	}
	return list, nil
}

func floatSteps(r *Run, from, to, by float64) (any, error) {
	by = math.Abs(by)
	count := math.Floor(math.Abs(to-from)/by + 1e-9)
	if by == 0 || math.IsNaN(count) || count > math.MaxInt32 {
		return nil, fmt.Errorf("a range from %v to %v with the step %v cannot be made", from, to, by)
	}
	n := int(count) + 1
	if err := r.Make(arrayCost * n); err != nil {
		return nil, err
	}
	if to < from {
		by = -by
	}
	list := value.NewArray(n)
	for i := range n {
		list.Append(from + float64(i)*by)
	}
	return list, nil
}
