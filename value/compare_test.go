package value

import (
	"errors"
	"math"
	"strings"
	"testing"
)

// The rows of PHP 8's tables of loose comparison, and of <=>, for each pair of these values.
var compared = []any{true, false, int64(1), int64(0), int64(-1), "1", "0", "-1", nil, NewArray(0), "php", "", 1.5, "1.5", "1e0", " 1", "1 ", "abc", List(int64(1))}

// equalTo is which of them equal which, 1 for equal, in their order.
var equalTo = []string{
	/* true   */ "1010110100101111111",
	/* false  */ "0101001011010000000",
	/* 1      */ "1010010000000011100",
	/* 0      */ "0101001010000000000",
	/* -1     */ "1000100100000000000",
	/* "1"    */ "1010010000000011100",
	/* "0"    */ "0101001000000000000",
	/* "-1"   */ "1000100100000000000",
	/* null   */ "0101000011010000000",
	/* []     */ "0100000011000000000",
	/* "php"  */ "1000000000100000000",
	/* ""     */ "0100000010010000000",
	/* 1.5    */ "1000000000001100000",
	/* "1.5"  */ "1000000000001100000",
	/* "1e0"  */ "1010010000000011100",
	/* " 1"   */ "1010010000000011100",
	/* "1 "   */ "1010010000000011100",
	/* "abc"  */ "1000000000000000010",
	/* [1]    */ "1000000000000000001",
}

func TestEqual_everyPair(t *testing.T) {
	for i, a := range compared {
		for j, b := range compared {
			want := equalTo[i][j] == '1'
			if got := Equal(a, b); got != want {
				t.Errorf("%s == %s is %v, want %v", Describe(a), Describe(b), got, want)
			}
			if got := Compare(a, b) == 0; got != want {
				t.Errorf("%s <=> %s is %d, and == is %v", Describe(a), Describe(b), Compare(a, b), want)
			}
			if got, want := Identical(a, b), i == j; got != want {
				t.Errorf("%s === %s is %v, want %v", Describe(a), Describe(b), got, want)
			}
		}
	}
}

func TestCompare(t *testing.T) {
	for _, test := range []struct {
		a, b any
		want int
	}{
		{int64(1), int64(2), -1}, {int64(2), 1.5, 1}, {1.5, int64(2), -1}, {"10", "9", 1}, {"10", "9a", -1}, {"a", "b", -1}, {"abc", int64(0), 1}, {int64(0), "abc", -1},
		{"1e1000", "1e1001", 0}, {"9223372036854775807", "9223372036854775808", -1}, {"9223372036854775808", "9223372036854775809", -1}, {int64(5), "5.0", 0},
		{nil, "a", -1}, {"a", nil, 1}, {nil, int64(1), -1}, {nil, int64(-1), -1}, {true, int64(2), 0}, {false, int64(2), -1}, {true, nil, 1},
		{List(int64(1)), List(int64(1), int64(2)), -1}, {List(int64(1), int64(3)), List(int64(1), int64(2)), 1}, {List(int64(1)), "a", 1}, {"a", List(), -1}, {int64(9), List(), -1},
		{Map("a", int64(1)), Map("b", int64(1)), 1}, {Map("b", int64(1)), Map("a", int64(1)), 1},
		{math.NaN(), int64(1), 1}, {int64(1), math.NaN(), 1}, {math.Inf(1), int64(1), 1},
	} {
		if got := Compare(test.a, test.b); got != test.want {
			t.Errorf("%s <=> %s is %d, want %d", Describe(test.a), Describe(test.b), got, test.want)
		}
	}
}

func TestEqual_arrays(t *testing.T) {
	ab, ba := Map("a", int64(1), "b", "2"), Map("b", int64(2), "a", true)
	if !Equal(ab, ba) || Identical(ab, ba) || !Identical(ab, ab.Clone()) || Equal(ab, Map("a", int64(1))) || Equal(ab, Map("a", int64(1), "c", "2")) {
		t.Error("arrays are equal by keys and values, and identical in the same order too")
	}
	if Identical(List(int64(1)), List(1.0)) || Identical(List(int64(1)), int64(1)) || Identical(math.NaN(), math.NaN()) {
		t.Error("identical are values of the same type")
	}
}

func TestNumeric(t *testing.T) {
	for s, want := range map[string]any{
		"1": int64(1), "-1": int64(-1), "+1": int64(1), "007": int64(7), " 1": int64(1), "1 ": int64(1), "\t1\n": int64(1), "1.": 1.0, ".5": 0.5, "-.5": -0.5, "1e3": 1000.0, "1E-3": 0.001,
		"1.5e+3": 1500.0, "9223372036854775808": 9223372036854775808.0, "1e400": math.Inf(1),
		"": nil, " ": nil, ".": nil, "-": nil, "+-1": nil, "1a": nil, "a1": nil, "0x1A": nil, "1_000": nil, "1e": nil, "1e+": nil, "1 2": nil, "1,5": nil, "e5": nil, ".e5": nil, "INF": nil, "1e5.5": nil, "--1": nil, "1.2.3": nil,
	} {
		got, ok := Numeric(s)
		if ok != (want != nil) || got != want {
			t.Errorf("%q is the number %v, %v, want %v", s, got, ok, want)
		}
	}
}

func TestTruthy(t *testing.T) {
	for _, v := range []any{nil, false, int64(0), 0.0, math.Copysign(0, -1), "", "0", NewArray(0)} {
		if Truthy(v) {
			t.Errorf("%s is true", Describe(v))
		}
	}
	for _, v := range []any{true, int64(-1), 0.1, math.NaN(), "0.0", " ", "00", "false", List(nil), Date{}} {
		if !Truthy(v) {
			t.Errorf("%s is false", Describe(v))
		}
	}
}

func TestText(t *testing.T) {
	for v, want := range map[any]string{
		nil: "", true: "1", false: "", int64(-5): "-5", "a": "a", 1.0: "1", 1.5: "1.5", 0.1 + 0.2: "0.3", 1e14: "1.0E+14", 1e15: "1.0E+15", 123456789012345678.0: "1.2345678901235E+17",
		0.0001: "0.0001", 0.00001: "1.0E-5", 1.0 / 3: "0.33333333333333", math.Inf(1): "INF", math.Inf(-1): "-INF", -1.5e-7: "-1.5E-7",
	} {
		if got, ok := Text(v); !ok || got != want {
			t.Errorf("%s prints %q, %v, want %q", Describe(v), got, ok, want)
		}
	}
	for _, v := range []any{NewArray(0), Date{}} {
		if got, ok := Text(v); ok {
			t.Errorf("%T prints %q", v, got)
		}
	}
}

func TestArithmetic(t *testing.T) {
	const least, most = int64(math.MinInt64), int64(math.MaxInt64)
	for _, test := range []struct {
		name      string
		got, want any
	}{
		{"1+2", Add(int64(1), int64(2)), int64(3)}, {"most+1", Add(most, int64(1)), 9223372036854775808.0}, {"least+-1", Add(least, int64(-1)), -9223372036854775809.0}, {"1+.5", Add(int64(1), 0.5), 1.5},
		{"1-2", Subtract(int64(1), int64(2)), int64(-1)}, {"least-1", Subtract(least, int64(1)), -9223372036854775809.0}, {"0-least", Subtract(int64(0), least), 9223372036854775808.0}, {"5-0", Subtract(int64(5), int64(0)), int64(5)},
		{"3*4", Multiply(int64(3), int64(4)), int64(12)}, {"most*2", Multiply(most, int64(2)), 18446744073709551614.0}, {"least*-1", Multiply(least, int64(-1)), 9223372036854775808.0}, {"-1*least", Multiply(int64(-1), least), 9223372036854775808.0}, {"0*most", Multiply(int64(0), most), int64(0)},
		{"2**10", Power(int64(2), int64(10)), int64(1024)}, {"2**63", Power(int64(2), int64(63)), 9223372036854775808.0}, {"2**-1", Power(int64(2), int64(-1)), 0.5}, {"0**0", Power(int64(0), int64(0)), int64(1)}, {"-3**3", Power(int64(-3), int64(3)), int64(-27)}, {"2.0**2", Power(2.0, int64(2)), 4.0},
		{"int of 1e30", ToInt(1e30), int64(5076964154930102272)}, {"int of -1.9", ToInt(-1.9), int64(-1)}, {"int of nan", ToInt(math.NaN()), int64(0)},
	} {
		if test.got != test.want {
			t.Errorf("%s is %v, want %v", test.name, test.got, test.want)
		}
	}
	for _, test := range []struct {
		a, b, quotient, remainder any
	}{
		{int64(6), int64(3), int64(2), int64(0)}, {int64(7), int64(2), 3.5, int64(1)}, {int64(-7), int64(2), -3.5, int64(-1)}, {least, int64(-1), 9223372036854775808.0, int64(0)}, {7.9, int64(2), 3.95, int64(1)},
		{int64(1), int64(0), nil, nil}, {1.5, 0.5, 3.0, nil},
	} {
		if got, ok := Divide(test.a, test.b); got != test.quotient || ok != (test.quotient != nil) {
			t.Errorf("%v / %v is %v, %v, want %v", test.a, test.b, got, ok, test.quotient)
		}
		if got, ok := Modulo(test.a, test.b); got != test.remainder || ok != (test.remainder != nil) {
			t.Errorf("%v %% %v is %v, %v, want %v", test.a, test.b, got, ok, test.remainder)
		}
	}
}

// A counter is a budget of so many steps.
type counter int

var errSteps = errors.New("no steps left")

func (c *counter) Step(n int) error {
	if *c -= counter(n); *c < 0 {
		return errSteps
	}
	return nil
}

// Arrays that share their items have few of them and take long to compare: 2^40 steps here.
func TestWithin_sharedArrays(t *testing.T) {
	shared := func(levels int) any {
		v := any("x")
		for range levels {
			v = Map("a", v, "b", v)
		}
		return v
	}
	compare := map[string]func(b Budget, x, y any) (any, error){
		"EqualWithin":     func(b Budget, x, y any) (any, error) { return EqualWithin(b, x, y) },
		"IdenticalWithin": func(b Budget, x, y any) (any, error) { return IdenticalWithin(b, x, y) },
		"CompareWithin":   func(b Budget, x, y any) (any, error) { return CompareWithin(b, x, y) },
	}
	for name, within := range compare {
		budget := counter(10000)
		if got, err := within(&budget, shared(40), shared(40)); !errors.Is(err, errSteps) {
			t.Errorf("%s of large arrays is %v, %v", name, got, err)
		}
		budget = 10000
		want := any(true)
		if name == "CompareWithin" {
			want = 0
		}
		if got, err := within(&budget, shared(10), shared(10)); err != nil || got != want {
			t.Errorf("%s of small arrays is %v, %v", name, got, err)
		}
		if spent := 10000 - budget; spent < 2046 {
			t.Errorf("%s of 2,046 items takes %d steps", name, spent)
		}
		whole := shared(40)
		budget = 10
		if got, err := within(&budget, whole, whole); err != nil || got != want {
			t.Errorf("%s of an array with itself is %v, %v", name, got, err)
		}
	}
}

func TestWithin_longTexts(t *testing.T) {
	text := strings.Repeat("a", 100<<10)
	digits := strings.Repeat("1", 100<<10)
	for _, pair := range [][2]any{{text, text + "a"}, {digits, int64(1)}, {1.5, digits}, {digits, "1"}, {List(text), List(text + "a")}} {
		budget := counter(99)
		if _, err := CompareWithin(&budget, pair[0], pair[1]); !errors.Is(err, errSteps) {
			t.Errorf("%s <=> %s takes %d steps", Describe(pair[0]), Describe(pair[1]), 99-budget)
		}
		budget = 99
		if _, err := EqualWithin(&budget, pair[0], pair[1]); !errors.Is(err, errSteps) {
			t.Errorf("%s == %s takes %d steps", Describe(pair[0]), Describe(pair[1]), 99-budget)
		}
	}
}

func TestWithin_deepArrays(t *testing.T) {
	deep := func() any {
		v := any(int64(1))
		for range 100000 {
			v = List(v)
		}
		return v
	}
	budget := counter(1 << 30)
	if _, err := EqualWithin(&budget, deep(), deep()); !errors.Is(err, errCompared) {
		t.Errorf("it fails with %v", err)
	}
	if !Equal(deep(), deep()) || !Identical(deep(), deep()) || Compare(deep(), deep()) != 0 {
		t.Error("without a budget they are not equal")
	}
}
