package value

import (
	"fmt"
	"math"
	"strings"
	"testing"
)

func TestAppendJSON_writesAsPHP(t *testing.T) {
	tests := []struct {
		name string
		v    any
		want string
	}{
		{"null", nil, `null`},
		{"true", true, `true`},
		{"false", false, `false`},
		{"zero", int64(0), `0`},
		{"largest int", int64(math.MaxInt64), `9223372036854775807`},
		{"smallest int", int64(math.MinInt64), `-9223372036854775808`},

		{"empty string", "", `""`},
		{"slash, quote, backslash", `a/b"c\d`, `"a\/b\"c\\d"`},
		{"left as they are", "<a href='x'>&\x7f", "\"<a href='x'>&\x7f\""},
		{"two bytes", "Übungen", `"\u00dcbungen"`},
		{"three bytes", "→€", `"\u2192\u20ac"`},
		{"line separators", "\u2028\u2029", `"\u2028\u2029"`},
		{"last of the first plane", "\uffff", `"\uffff"`},
		{"replacement character", "\ufffd", `"\ufffd"`},
		{"surrogate pair", "😀!", `"\ud83d\ude00!"`},
		{"first and last pair", "\U00010000\U0010ffff", `"\ud800\udc00\udbff\udfff"`},

		{"empty array", &Array{}, `[]`},
		{"empty arrays inside", Map("a", &Array{}, "b", List(List())), `{"a":[],"b":[[]]}`},
		{"list", List(1, "a", nil), `[1,"a",null]`},
		{"not from 0", Map(1, "a", 2, "b"), `{"1":"a","2":"b"}`},
		{"mixed keys", Map("x", 1, 0, 2, -5, 3), `{"x":1,"0":2,"-5":3}`},
		{"keys are escaped", Map("é/", 1, "", 2), `{"\u00e9\/":1,"":2}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { wantJSON(t, tt.v, tt.want) })
	}
}

func TestAppendJSON_escapesControlCharacters(t *testing.T) {
	short := map[rune]string{'\b': `\b`, '\t': `\t`, '\n': `\n`, '\f': `\f`, '\r': `\r`}
	for c := range rune(' ') {
		want, ok := short[c]
		if !ok {
			want = fmt.Sprintf(`\u%04x`, c)
		}
		wantJSON(t, "a"+string(c)+"b", `"a`+want+`b"`)
	}
}

func TestAppendJSON_floats(t *testing.T) {
	tests := []struct {
		f    float64
		want string
	}{
		{0, `0`},
		{math.Copysign(0, -1), `-0`},
		{10, `10`},
		{-1.5, `-1.5`},
		{0.1, `0.1`},
		{0.30000000000000004, `0.30000000000000004`},
		{10.0 / 3, `3.3333333333333335`},
		{123456789.12345, `123456789.12345`},
		{0.001, `0.001`},
		{0.00012, `0.00012`},
		{0.0001, `0.0001`},
		{0.00001, `1.0e-5`},
		{1.5e-7, `1.5e-7`},
		{1e14, `100000000000000`},
		{1e15, `1000000000000000`},
		{9007199254740990, `9007199254740990`},
		{1e16, `10000000000000000`},
		{1e17, `1.0e+17`},
		{123456789012345678, `1.2345678901234568e+17`},
		{9223372036854775808, `9.223372036854776e+18`},
		{1e25, `1.0e+25`},
		{-1e100, `-1.0e+100`},
		{math.MaxFloat64, `1.7976931348623157e+308`},
		{math.SmallestNonzeroFloat64, `5.0e-324`},
	}
	for _, tt := range tests {
		wantJSON(t, tt.f, tt.want)
	}
}

func TestAppendJSON_refuses(t *testing.T) {
	tests := []struct {
		name string
		v    any
		want string
	}{
		{"NaN", math.NaN(), "encode JSON: a float is NaN, want a finite number"},
		{"infinity inside", Map("a", List(1, math.Inf(-1))),
			"encode JSON: a: 1: a float is -Inf, want a finite number"},
		{"bytes that are not UTF-8", Map("data", Map("name", "abc\xff")),
			"encode JSON: data: name: malformed UTF-8 at byte 3 of a string"},
		{"a character cut off", "€"[:2], "encode JSON: malformed UTF-8 at byte 0 of a string"},
		{"an overlong form", "\xc0\x80", "encode JSON: malformed UTF-8 at byte 0 of a string"},
		{"an encoded surrogate", "a\xed\xa0\x80", "encode JSON: malformed UTF-8 at byte 1 of a string"},
		{"a key that is not UTF-8", Map("data", Map("a\xff", 1)),
			`encode JSON: data: key "a\xff": malformed UTF-8 at byte 1 of a string`},
		{"a Go type that is no value", Map("a", int32(1)), "encode JSON: a: unsupported Go type int32"},
		{"an int on its own", 1, "encode JSON: unsupported Go type int"},
		{"513 arrays", nested(513), "encode JSON: arrays nested more than 512 deep"},
		{"an array that contains itself", endless(), "encode JSON: arrays nested more than 512 deep"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := AppendJSON([]byte("kept"), tt.v)
			if err == nil || err.Error() != tt.want {
				t.Errorf("got error %v, want %s", err, tt.want)
			}
			if string(got) != "kept" {
				t.Errorf("got %q, want what was there", got)
			}
		})
	}
}

func TestAppendJSON_takes512Levels(t *testing.T) {
	wantJSON(t, nested(512), strings.Repeat("[", 512)+strings.Repeat("]", 512))
}

func TestAppendJSON_appends(t *testing.T) {
	got, err := AppendJSON([]byte("x="), List(1))
	if err != nil || string(got) != "x=[1]" {
		t.Errorf("got %q, %v", got, err)
	}
}

func nested(levels int) *Array {
	a := &Array{}
	for range levels - 1 {
		a = List(a)
	}
	return a
}

func endless() *Array {
	a := &Array{}
	a.Set("self", a)
	return a
}

func BenchmarkAppendJSON(b *testing.B) {
	v, err := Decode([]byte(document))
	if err != nil {
		b.Fatal(err)
	}
	var buf []byte
	b.SetBytes(int64(len(document)))
	b.ReportAllocs()
	for b.Loop() {
		if buf, err = AppendJSON(buf[:0], v); err != nil {
			b.Fatal(err)
		}
	}
}

// A record is built, encoded and dropped for each event.
func BenchmarkBuild(b *testing.B) {
	for _, n := range []int{10, 20, 40, 100} {
		keys := make([]string, n)
		for i := range keys {
			keys[i] = fmt.Sprintf("field_%d_id", i*7919%100)
		}
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				a := NewArray(n)
				for _, k := range keys {
					a.Set(k, nil)
				}
			}
		})
	}
}
