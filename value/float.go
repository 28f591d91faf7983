package value

import (
	"math"
	"strconv"
)

// shortest, as a precision, asks for the fewest digits that read back as the same float: PHP's
// serialize_precision = -1.
const shortest = -1

// appendFloat appends f with at most precision significant digits, or the shortest form, as PHP's
// zend_gcvt does. With 0.d1d2d3… × 10^point as the number, that is the exponent form when point is
// below -3 or above precision, for which the shortest form counts as 17 digits; so 0.0001 and
// 1.0e-5, 10000000000000000 and 1.0e+17. exp is the letter of the exponent. Only a mantissa of one
// digit gets a .0, a whole number does not.
//
// Source: zend_gcvt, called by php_json_encode_double with 'e' and by smart_str_append_double with
// 'E', in PHP 8.
func appendFloat(dst []byte, f float64, precision int, exp byte) []byte {
	switch {
	case math.IsNaN(f):
		return append(dst, "NAN"...)
	case math.IsInf(f, 1):
		return append(dst, "INF"...)
	case math.IsInf(f, -1):
		return append(dst, "-INF"...)
	}
	if math.Signbit(f) {
		dst = append(dst, '-')
		f = -f
	}

	decimals := precision - 1
	if precision == shortest {
		precision, decimals = 17, -1
	}
	var buf [32]byte
	digits, point := splitFloat(strconv.AppendFloat(buf[:0], f, 'e', decimals, 64))
	switch {
	case point < -3 || point > precision:
		dst = append(dst, digits[0], '.')
		if len(digits) == 1 {
			dst = append(dst, '0')
		}
		dst = append(dst, digits[1:]...)
		dst = append(dst, exp)
		if point > 0 {
			dst = append(dst, '+')
		}
		return strconv.AppendInt(dst, int64(point-1), 10)
	case point <= 0:
		dst = append(dst, '0', '.')
		for range -point {
			dst = append(dst, '0')
		}
		return append(dst, digits...)
	case point >= len(digits):
		dst = append(dst, digits...)
		for range point - len(digits) {
			dst = append(dst, '0')
		}
		return dst
	default:
		dst = append(dst, digits[:point]...)
		dst = append(dst, '.')
		return append(dst, digits[point:]...)
	}
}

// splitFloat takes a number as strconv's format 'e' writes it, d.ddde±dd, apart: into its digits
// without trailing zeros, and the place of the point before or after the first of them. It
// overwrites e.
func splitFloat(e []byte) (digits []byte, point int) {
	mantissa := len(e) - 1
	for e[mantissa] != 'e' {
		mantissa--
	}
	for _, c := range e[mantissa+2:] {
		point = point*10 + int(c-'0')
	}
	if e[mantissa+1] == '-' {
		point = -point
	}
	point++
	digits = e[:1]
	if mantissa > 1 {
		digits = append(digits, e[2:mantissa]...)
	}
	for len(digits) > 1 && digits[len(digits)-1] == '0' {
		digits = digits[:len(digits)-1]
	}
	return digits, point
}
