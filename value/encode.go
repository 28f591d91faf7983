package value

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"unicode/utf8"
)

var errDepth = fmt.Errorf("arrays nested more than %d deep", maxDepth)

// JSON returns v as JSON text: see [AppendJSON].
func JSON(v any) ([]byte, error) {
	text, err := AppendJSON(make([]byte, 0, 512), v)
	if err != nil {
		return nil, err
	}
	return text, nil
}

// AppendJSON appends v to dst as JSON text, as PHP's json_encode does without flags:
//
//   - a list (see [Array.IsList]), and so every empty array, is written as [...], any other array as
//     {...} with its integer keys as strings;
//   - / is escaped as \/, and a character beyond ASCII as \uxxxx, or two of them;
//   - floats get the fewest digits that read back as the same float, and no .0: 10.0 is 10;
//   - there are no spaces.
//
// An error names the keys that lead to the value, not the value: NaN or an infinity, a string or
// key that is not UTF-8, arrays nested more than 512 deep, or a Go type that is no value. On an
// error dst is returned as it was.
func AppendJSON(dst []byte, v any) ([]byte, error) {
	out, err := appendJSON(dst, v, 0)
	if err != nil {
		return dst, fmt.Errorf("encode JSON: %w", err)
	}
	return out, nil
}

// appendJSON appends v, which is inside depth arrays.
func appendJSON(dst []byte, v any, depth int) ([]byte, error) {
	switch v := v.(type) {
	case nil:
		return append(dst, "null"...), nil
	case bool:
		return strconv.AppendBool(dst, v), nil
	case int64:
		return strconv.AppendInt(dst, v, 10), nil
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return dst, fmt.Errorf("a float is %v, want a finite number", v)
		}
		return appendFloat(dst, v, shortest, 'e'), nil
	case string:
		return appendString(dst, v)
	case *Array:
		return appendArray(dst, v, depth+1)
	default:
		return dst, fmt.Errorf("unsupported Go type %T", v)
	}
}

func appendArray(dst []byte, a *Array, depth int) ([]byte, error) {
	if depth > maxDepth {
		return dst, errDepth
	}
	if a.Len() == 0 {
		return append(dst, "[]"...), nil
	}
	isList := a.IsList()
	open, end := byte('{'), byte('}')
	if isList {
		open, end = '[', ']'
	}
	dst = append(dst, open)
	var err error
	for i, v := range a.vals {
		if i > 0 {
			dst = append(dst, ',')
		}
		if !isList {
			if dst, err = appendKey(dst, &a.keys[i]); err != nil {
				return dst, err
			}
		}
		if dst, err = appendJSON(dst, v, depth); err != nil {
			if errors.Is(err, errDepth) {
				return dst, err // 512 keys would help nobody
			}
			return dst, fmt.Errorf("%s: %w", a.key(i), err)
		}
	}
	return append(dst, end), nil
}

// appendKey appends an object's key and its colon.
func appendKey(dst []byte, k *Key) ([]byte, error) {
	if k.isInt {
		dst = append(dst, '"')
		dst = strconv.AppendInt(dst, k.num, 10)
		return append(dst, '"', ':'), nil
	}
	dst, err := appendString(dst, k.str)
	if err != nil {
		return dst, fmt.Errorf("key %q: %w", k.str, err)
	}
	return append(dst, ':'), nil
}

// plain tells which bytes a JSON string holds as they are.
var plain = func() (t [256]bool) {
	for c := ' '; c < utf8.RuneSelf; c++ {
		t[c] = c != '"' && c != '\\' && c != '/'
	}
	return t
}()

func appendString(dst []byte, s string) ([]byte, error) {
	dst = append(dst, '"')
	done := 0
	for i := 0; i < len(s); {
		c := s[i]
		if plain[c] {
			i++
			continue
		}
		dst = append(dst, s[done:i]...)
		size := 1
		switch c {
		case '"', '\\', '/':
			dst = append(dst, '\\', c)
		case '\b':
			dst = append(dst, '\\', 'b')
		case '\f':
			dst = append(dst, '\\', 'f')
		case '\n':
			dst = append(dst, '\\', 'n')
		case '\r':
			dst = append(dst, '\\', 'r')
		case '\t':
			dst = append(dst, '\\', 't')
		default:
			var r rune
			r, size = utf8.DecodeRuneInString(s[i:])
			switch {
			case r == utf8.RuneError && size == 1:
				return dst, fmt.Errorf("malformed UTF-8 at byte %d of a string", i)
			case r < 0x10000:
				dst = appendUnit(dst, r)
			default:
				r -= 0x10000
				dst = appendUnit(dst, 0xd800|r>>10)
				dst = appendUnit(dst, 0xdc00|r&0x3ff)
			}
		}
		i += size
		done = i
	}
	dst = append(dst, s[done:]...)
	return append(dst, '"'), nil
}

// appendUnit appends the escape of a UTF-16 code unit.
func appendUnit(dst []byte, u rune) []byte {
	const hex = "0123456789abcdef"
	return append(dst, '\\', 'u', hex[u>>12&15], hex[u>>8&15], hex[u>>4&15], hex[u&15])
}
