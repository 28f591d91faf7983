package value

import "strconv"

// queryPrecision is PHP's default for floats as strings: the ini setting precision.
const queryPrecision = 14

// Query returns a as a query string: see [AppendQuery].
func Query(a *Array) string {
	return string(AppendQuery(nil, a))
}

// AppendQuery appends a to dst as a query string, as PHP's http_build_query does with
// PHP_QUERY_RFC3986:
//
//   - an entry of an inner array is named a[b][0], its brackets percent-encoded;
//   - all bytes but A-Z a-z 0-9 - _ . ~ are percent-encoded, in capitals;
//   - true is 1, false is 0, and a float has up to 14 significant digits;
//   - null and empty arrays are left out.
//
// Left out are as well, since a query string has no way to refuse them, what [AppendJSON] does
// refuse: a Go type that is no value, and arrays nested more than 512 deep. NaN and the infinities
// are NAN, INF and -INF. Strings may be any bytes.
func AppendQuery(dst []byte, a *Array) []byte {
	q := query{dst: dst, start: len(dst)}
	q.array(a, "", 1)
	return q.dst
}

type query struct {
	dst   []byte
	start int    // where the query begins in dst
	outer []byte // the name so far, up to and with the opening bracket
}

// array appends the entries of an array, which is inside depth-1 others. Their names end in suffix.
func (q *query) array(a *Array, suffix string, depth int) {
	if depth > maxDepth {
		return
	}
	for k, v := range a.All() {
		switch v := v.(type) {
		case *Array:
			if v.Len() == 0 {
				continue
			}
			outer := len(q.outer)
			q.outer = appendName(q.outer, k)
			q.outer = append(q.outer, suffix...)
			q.outer = append(q.outer, "%5B"...)
			q.array(v, "%5D", depth+1)
			q.outer = q.outer[:outer]
		case bool:
			q.name(k, suffix)
			if v {
				q.dst = append(q.dst, '1')
			} else {
				q.dst = append(q.dst, '0')
			}
		case int64:
			q.name(k, suffix)
			q.dst = strconv.AppendInt(q.dst, v, 10)
		case float64:
			q.name(k, suffix)
			var buf [32]byte
			q.dst = appendEscaped(q.dst, string(appendFloat(buf[:0], v, queryPrecision, 'E')))
		case string:
			q.name(k, suffix)
			q.dst = appendEscaped(q.dst, v)
		}
	}
}

// name appends what precedes a value: the full name and =, after & unless it is the first.
func (q *query) name(k Key, suffix string) {
	if len(q.dst) > q.start {
		q.dst = append(q.dst, '&')
	}
	q.dst = append(q.dst, q.outer...)
	q.dst = appendName(q.dst, k)
	q.dst = append(q.dst, suffix...)
	q.dst = append(q.dst, '=')
}

func appendName(dst []byte, k Key) []byte {
	if k.isInt {
		return strconv.AppendInt(dst, k.num, 10)
	}
	return appendEscaped(dst, k.str)
}

// unreserved tells which bytes RFC 3986 lets stand for themselves everywhere.
var unreserved = func() (t [256]bool) {
	const chars = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~"
	for i := range len(chars) {
		t[chars[i]] = true
	}
	return t
}()

func appendEscaped(dst []byte, s string) []byte {
	const hex = "0123456789ABCDEF"
	for i := range len(s) {
		if c := s[i]; unreserved[c] {
			dst = append(dst, c)
		} else {
			dst = append(dst, '%', hex[c>>4], hex[c&15])
		}
	}
	return dst
}
