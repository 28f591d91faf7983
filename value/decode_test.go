package value

import (
	"errors"
	"math"
	"strings"
	"testing"
)

func TestDecode_reads(t *testing.T) {
	tests := []struct {
		text string
		want any
	}{
		{`null`, nil},
		{` true `, true},
		{"\t\r\nfalse\n", false},
		{`0`, int64(0)},
		{`-0`, int64(0)},
		{`-12`, int64(-12)},
		{`9223372036854775807`, int64(math.MaxInt64)},
		{`-9223372036854775808`, int64(math.MinInt64)},
		{`9223372036854775808`, 9223372036854775808.0},
		{`-9223372036854775809`, -9223372036854775808.0},
		{`12345678901234567890123`, 1.2345678901234567890123e22},
		{`1.0`, 1.0},
		{`-0.5`, -0.5},
		{`1e2`, 100.0},
		{`1E+2`, 100.0},
		{`25e-1`, 2.5},
		{`1e-999`, 0.0},
		{`""`, ""},
		{`"a\"\\\/\b\f\n\r\t"`, "a\"\\/\b\f\n\r\t"},
		{`"\u00dc\u00DC x"`, "ÜÜ x"},
		{`"Ü→😀"`, "Ü→😀"},
		{`"\ud83d\ude00"`, "😀"},
		{`"\uD83D\uDE00!"`, "😀!"},
		{`"\u0000"`, "\x00"},
		{`"\ufffd"`, "\ufffd"},
		{"\"\x7f\"", "\x7f"},
	}
	for _, tt := range tests {
		got, err := Decode([]byte(tt.text))
		if err != nil || got != tt.want {
			t.Errorf("%s: got %#v, %v, want %#v", tt.text, got, err, tt.want)
		}
	}
}

func TestDecode_arrays(t *testing.T) {
	tests := []struct {
		name, text, want string
	}{
		{"empty ones are the same", `{"a":{},"b":[]}`, `{"a":[],"b":[]}`},
		{"spaces go", " [ 1 , { \"a\" :\n2 , \"b\" : [ ] } ] ", `[1,{"a":2,"b":[]}]`},
		{"order stays", `{"b":1,"a":2,"10":3,"9":4}`, `{"b":1,"a":2,"10":3,"9":4}`},
		{"last of two values at the first's place", `{"a":1,"b":2,"a":3}`, `{"a":3,"b":2}`},
		{"keys equal once read", `{"a":1,"\u0061":2}`, `{"a":2}`},
		{"keys 0, 1 make a list", `{"0":"a","1":"b"}`, `["a","b"]`},
		{"keys 1, 2 do not", `{"1":"a","2":"b"}`, `{"1":"a","2":"b"}`},
		{"keys that are no integers", `{"00":1,"-0":2,"":3}`, `{"00":1,"-0":2,"":3}`},
		{"floats", `[1.0,1.50,1e3,0.1,100000000000000000000]`, `[1,1.5,1000,0.1,1.0e+20]`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			v, err := Decode([]byte(tt.text))
			if err != nil {
				t.Fatal(err)
			}
			wantJSON(t, v, tt.want)
		})
	}
}

func TestDecode_refuses(t *testing.T) {
	tests := []struct {
		text   string
		offset int
		line   int
		column int
		reason string
	}{
		{``, 0, 1, 1, "unexpected end, want a value"},
		{"\n ", 2, 2, 2, "unexpected end, want a value"},
		{`nul`, 0, 1, 1, "unexpected 'n', want a value"},
		{`True`, 0, 1, 1, "unexpected 'T', want a value"},
		{`'a'`, 0, 1, 1, `unexpected '\'', want a value`},
		{`1 2`, 2, 1, 3, "unexpected '2', want the end after the value"},
		{"1\x00", 1, 1, 2, `unexpected '\x00', want the end after the value`},
		{"\ufeff1", 0, 1, 1, `unexpected '\ufeff', want a value`},
		{`[1,]`, 3, 1, 4, "unexpected ']', want a value"},
		{`[1 2]`, 3, 1, 4, "unexpected '2', want ',' or ']'"},
		{`[1}`, 2, 1, 3, "unexpected '}', want ',' or ']'"},
		{`[`, 1, 1, 2, "unexpected end, want a value"},
		{`{`, 1, 1, 2, "unexpected end, want a key in double quotes"},
		{`{a:1}`, 1, 1, 2, "unexpected 'a', want a key in double quotes"},
		{`{"a"}`, 4, 1, 5, "unexpected '}', want ':'"},
		{`{"a":1,}`, 7, 1, 8, "unexpected '}', want a key in double quotes"},
		{`{"a":1]`, 6, 1, 7, "unexpected ']', want ',' or '}'"},
		{"{\n  \"é\": 1,\n  \"ü\": x\n}", 21, 3, 8, "unexpected 'x', want a value"},

		{`-`, 1, 1, 2, "unexpected end, want a digit"},
		{`+1`, 0, 1, 1, "unexpected '+', want a value"},
		{`.5`, 0, 1, 1, "unexpected '.', want a value"},
		{`5.`, 2, 1, 3, "unexpected end, want a digit"},
		{`1e`, 2, 1, 3, "unexpected end, want a digit"},
		{`1e+x`, 3, 1, 4, "unexpected 'x', want a digit"},
		{`01`, 0, 1, 1, "a number with a leading zero"},
		{`[-01]`, 2, 1, 3, "a number with a leading zero"},
		{`[1e999]`, 1, 1, 2, "a number out of range"},
		{"1" + strings.Repeat("0", 400), 0, 1, 1, "a number out of range"},

		{`"a`, 2, 1, 3, "unexpected end, want the quote that ends the string"},
		{`"a\n`, 4, 1, 5, "unexpected end, want the quote that ends the string"},
		{`"a\`, 3, 1, 4, `unexpected end, want one of "\/bfnrtu after the backslash`},
		{`"\x41"`, 2, 1, 3, `unexpected 'x', want one of "\/bfnrtu after the backslash`},
		{`"\u12g4"`, 5, 1, 6, "unexpected 'g', want a hexadecimal digit"},
		{`"\u12`, 5, 1, 6, "unexpected end, want a hexadecimal digit"},
		{`"\ud83d"`, 1, 1, 2, "half of a surrogate pair"},
		{`"x\ude00\ud83d"`, 2, 1, 3, "half of a surrogate pair"},
		{`"\ud83d\u0041"`, 1, 1, 2, "half of a surrogate pair"},
		{`"\ud83d\n"`, 1, 1, 2, "half of a surrogate pair"},
		{"\"a\nb\"", 2, 1, 3, `control character '\n' in a string, want it escaped`},
		{"\"\\n\x00\"", 3, 1, 4, `control character '\x00' in a string, want it escaped`},
		{"\"é\xff\"", 3, 1, 3, "malformed UTF-8"},
		{"\"\\n\xed\xa0\x80\"", 3, 1, 4, "malformed UTF-8"},
		{"\"\xc0\x80\"", 1, 1, 2, "malformed UTF-8"},
		{"\xff", 0, 1, 1, "malformed UTF-8"},
	}
	for _, tt := range tests {
		v, err := Decode([]byte(tt.text))
		var got *SyntaxError
		if !errors.As(err, &got) {
			t.Errorf("%.40q: got %v, %v, want a *SyntaxError", tt.text, v, err)
			continue
		}
		if want := (SyntaxError{tt.offset, tt.line, tt.column, tt.reason}); *got != want {
			t.Errorf("%.40q:\ngot  %+v\nwant %+v", tt.text, *got, want)
		}
	}
}

func TestSyntaxError_saysWhere(t *testing.T) {
	_, err := Decode([]byte("[\n  1,\n  x]"))
	want := "invalid JSON at line 3, column 3: unexpected 'x', want a value"
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

// PHP counts the value inside the innermost array as a level.
func TestDecode_takesLessThan512Levels(t *testing.T) {
	text := strings.Repeat("[", 511) + strings.Repeat("]", 511)
	v, err := Decode([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	wantJSON(t, v, text)

	for _, text := range []string{
		"[" + text + "]",
		strings.Repeat(`{"a":`, 512) + `[]`,
		strings.Repeat("[", 1_000_000),
	} {
		_, err = Decode([]byte(text))
		if err == nil || !strings.HasSuffix(err.Error(), "nested 512 deep, want less than that") {
			t.Errorf("%.20q…: got %v", text, err)
		}
	}

	// Arrays beside one another do not count.
	if _, err := Decode([]byte("[" + strings.Repeat("[],{},[1],", 600) + "1]")); err != nil {
		t.Error(err)
	}
}

func TestDecode_doesNotKeepTheInput(t *testing.T) {
	text := []byte(`["abc"]`)
	v, err := Decode(text)
	if err != nil {
		t.Fatal(err)
	}
	clear(text)
	wantJSON(t, v, `["abc"]`)
}

// What was read is written so that it reads as the same, apart from floats without a fraction, of
// which PHP's JSON makes integers: the text is the same then, but for -0.
func FuzzDecode(f *testing.F) {
	for _, seed := range []string{
		document,
		`{"a":[1,-0.0,1.0,1e17,1e400,"\ud83d\ude00\u0000é"],"0":null,"a":{}}`,
		`[1,,]`, `{"0":1,"1":{}}`, `[[[[`, `"\u12`, "\"\xff\"", ` -01.e5`, `{"a" 1}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		v, err := Decode(data)
		if err != nil {
			var syntax *SyntaxError
			if !errors.As(err, &syntax) || syntax.Offset > len(data) || syntax.Line < 1 || syntax.Column < 1 {
				t.Fatalf("error %#v", err)
			}
			return
		}
		text, err := JSON(v)
		if err != nil {
			t.Fatalf("decoded, but: %v", err)
		}
		again, err := Decode(text)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if !same(v, again) {
			t.Fatalf("%s reads as another value", text)
		}
		if a, ok := v.(*Array); ok {
			Query(a)
			if !same(a, a.Clone()) {
				t.Fatal("the clone differs")
			}
		}
	})
}

// same reports whether two values are equal, a float and an integer as numbers.
func same(v, w any) bool {
	switch v := v.(type) {
	case float64:
		switch w := w.(type) {
		case float64:
			return v == w
		case int64:
			return v == float64(w)
		}
		return false
	case *Array:
		w, ok := w.(*Array)
		if !ok || v.Len() != w.Len() {
			return false
		}
		for i := range v.vals {
			if v.key(i) != w.key(i) || !same(v.vals[i], w.vals[i]) {
				return false
			}
		}
		return true
	default:
		return v == w
	}
}

func BenchmarkDecode(b *testing.B) {
	data := []byte(document)
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Decode(data); err != nil {
			b.Fatal(err)
		}
	}
}
