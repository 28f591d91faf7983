package value

import (
	"math"
	"strconv"
	"strings"
)

// Numeric returns the number that a text is to PHP: an int64, or a float64 if it has a point, an
// exponent or more digits than an integer takes. White space may come before and after it. Source:
// _is_numeric_string_ex in PHP 8.
func Numeric(s string) (n any, ok bool) {
	n, ok, _ = numeric(s)
	return n, ok
}

const numberSpace = " \t\n\r\v\f"

// numeric is Numeric, and whether it is an integer too large for an int64.
func numeric(s string) (n any, ok, overflow bool) {
	if s == "" || s[len(s)-1] > '9' { // most texts
		return nil, false, false
	}
	s = strings.Trim(s, numberSpace)
	digits := strings.TrimLeft(s, "+-")
	if len(s)-len(digits) > 1 || digits == "" {
		return nil, false, false
	}
	whole := 0
	for whole < len(digits) && isDigit(digits[whole]) {
		whole++
	}
	if whole == len(digits) {
		if i, err := strconv.ParseInt(s, 10, 64); err == nil {
			return i, true, false
		}
		f, _ := strconv.ParseFloat(s, 64) // beyond all floats it is infinite, as in PHP
		return f, true, true
	}
	rest := digits[whole:]
	fraction := 0
	if rest[0] == '.' {
		rest = rest[1:]
		for fraction < len(rest) && isDigit(rest[fraction]) {
			fraction++
		}
		rest = rest[fraction:]
	}
	if whole+fraction == 0 {
		return nil, false, false
	}
	if rest != "" {
		exponent := strings.TrimPrefix(rest, rest[:1])
		if len(exponent) > 0 && (exponent[0] == '+' || exponent[0] == '-') {
			exponent = exponent[1:]
		}
		if rest[0] != 'e' && rest[0] != 'E' || exponent == "" || strings.Trim(exponent, "0123456789") != "" {
			return nil, false, false
		}
	}
	f, _ := strconv.ParseFloat(s, 64)
	return f, true, false
}

// Truthy is what PHP takes v for where it wants a boolean: false for null, false, 0, 0.0, "", "0" and
// an empty array. Values of other types are true.
func Truthy(v any) bool {
	switch v := v.(type) {
	case nil:
		return false
	case bool:
		return v
	case int64:
		return v != 0
	case float64:
		return v != 0
	case string:
		return v != "" && v != "0"
	case *Array:
		return v.Len() > 0
	}
	return true
}

// Text is how PHP prints a scalar: floats with 14 significant digits, true as 1, false and null as
// nothing. Arrays and values of other types have no text.
func Text(v any) (text string, ok bool) {
	switch v := v.(type) {
	case nil:
		return "", true
	case string:
		return v, true
	case bool:
		if v {
			return "1", true
		}
		return "", true
	case int64:
		return strconv.FormatInt(v, 10), true
	case float64:
		return string(appendFloat(nil, v, 14, 'E')), true
	}
	return "", false
}

// ToInt is what PHP's (int) makes of a number: floats lose their fraction, and those that no integer
// holds wrap around; not-a-number and the infinities are 0.
func ToInt(n any) int64 {
	switch n := n.(type) {
	case int64:
		return n
	case float64:
		if n >= -1<<63 && n < 1<<63 {
			return int64(n)
		}
		if math.IsNaN(n) || math.IsInf(n, 0) {
			return 0
		}
		wrapped := math.Mod(math.Trunc(n), 1<<64)
		if wrapped < 0 {
			wrapped += 1 << 64
		}
		return int64(uint64(wrapped))
	}
	return 0
}

// Number is the number that arithmetic takes v for: null is 0, true 1, a numeric text its number.
// Others have none.
func Number(v any) (n any, ok bool) {
	switch v := v.(type) {
	case int64, float64:
		return v, true
	case nil:
		return int64(0), true
	case bool:
		if v {
			return int64(1), true
		}
		return int64(0), true
	case string:
		return Numeric(v)
	}
	return nil, false
}

func toFloat(n any) float64 {
	if i, ok := n.(int64); ok {
		return float64(i)
	}
	f, _ := n.(float64)
	return f
}

// Add returns the sum of two numbers: an int64, unless either is a float64 or it would overflow.
func Add(a, b any) any {
	x, y, ok := integers(a, b)
	if sum := x + y; ok && (sum > x) == (y > 0) {
		return sum
	}
	return toFloat(a) + toFloat(b)
}

// Subtract returns the difference of two numbers, as Add the sum.
func Subtract(a, b any) any {
	x, y, ok := integers(a, b)
	if difference := x - y; ok && (difference < x) == (y > 0) {
		return difference
	}
	return toFloat(a) - toFloat(b)
}

// Multiply returns the product of two numbers, as Add the sum.
func Multiply(a, b any) any {
	x, y, ok := integers(a, b)
	if !ok {
		return toFloat(a) * toFloat(b)
	}
	if x == 0 || y == 0 {
		return int64(0)
	}
	product := x * y
	if product/y == x && (x != -1 || y != math.MinInt64) && (y != -1 || x != math.MinInt64) {
		return product
	}
	return toFloat(a) * toFloat(b)
}

// Divide returns the quotient of two numbers: an int64 if both are and it is exact. It is not ok to
// divide by zero.
func Divide(a, b any) (quotient any, ok bool) {
	if toFloat(b) == 0 {
		return nil, false
	}
	if x, y, ok := integers(a, b); ok && x%y == 0 && (y != -1 || x != math.MinInt64) {
		return x / y, true
	}
	return toFloat(a) / toFloat(b), true
}

// Modulo returns the remainder of two numbers, whose fractions it ignores. It has the sign of a. It is
// not ok to divide by zero.
func Modulo(a, b any) (remainder any, ok bool) {
	x, y := ToInt(a), ToInt(b)
	switch y {
	case 0:
		return nil, false
	case -1: // the smallest integer has no opposite
		return int64(0), true
	}
	return x % y, true
}

// Power returns a to the power of b: an int64 if both are, b is not negative and nothing overflows.
func Power(a, b any) any {
	x, y, ok := integers(a, b)
	if !ok || y < 0 {
		return math.Pow(toFloat(a), toFloat(b))
	}
	power, factor := any(int64(1)), any(x)
	for ; y > 0; y >>= 1 {
		if y&1 == 1 {
			power = Multiply(power, factor)
		}
		if y > 1 {
			factor = Multiply(factor, factor)
		}
	}
	if _, isFloat := power.(float64); isFloat {
		return math.Pow(toFloat(a), toFloat(b))
	}
	return power
}

func integers(a, b any) (x, y int64, ok bool) {
	x, okX := a.(int64)
	y, okY := b.(int64)
	return x, y, okX && okY
}

// Floor returns the greatest integer that is not above a number, as PHP's (int) of floor().
func Floor(n any) int64 {
	if f, ok := n.(float64); ok {
		return ToInt(math.Floor(f))
	}
	return ToInt(n)
}
