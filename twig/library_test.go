package twig

import (
	"testing"
	"time"

	"github.com/buglehq/bugle/internal/engine"
	"github.com/buglehq/bugle/value"
)

// wednesday is when the tests of the library take place.
var wednesday = time.Date(2026, 1, 14, 12, 30, 15, 0, time.UTC)

func newCall(l engine.Limits, args ...any) *call {
	for i, arg := range args {
		if n, ok := arg.(int); ok {
			args[i] = int64(n)
		}
	}
	return &call{run: &run{Run: *engine.NewRun(make([]any, 4), l), at: wednesday}, args: args}
}

// A useCase is one use of a filter, function or test, with PHP's answer.
type useCase struct {
	name string
	args []any
	want any // an error for any error
}

type failure struct{}

func with(args ...any) []any { return args }

func runCases(t *testing.T, of map[string]callable, cases []useCase) {
	t.Helper()
	for _, tt := range cases {
		f, ok := of[tt.name]
		if !ok {
			t.Errorf("there is no %s", tt.name)
			continue
		}
		for len(tt.args) < len(f.params) {
			tt.args = append(tt.args, absent{})
		}
		got, err := f.call(newCall(engine.Limits{Bytes: 1 << 20, Steps: 1 << 20}, tt.args...))
		if _, fails := tt.want.(failure); fails {
			if err == nil {
				t.Errorf("%s %v = %v, want an error", tt.name, tt.args, got)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s %v: %v", tt.name, tt.args, err)
			continue
		}
		want := tt.want
		if n, isInt := want.(int); isInt {
			want = int64(n)
		}
		_, markup := want.(Markup)
		_, gotMarkup := got.(Markup)
		if markup != gotMarkup || !value.Identical(plain(got), plain(want)) {
			t.Errorf("%s %v = %#v, want %#v", tt.name, tt.args, got, want)
		}
	}
}

// nodeFunc is a body that calculates with the slots.
type nodeFunc func(slots []any) any

func (f nodeFunc) Eval(r *engine.Run) (any, error) { return f(r.Slots), nil }

func arrowOf(f func(slots []any) any) *closure {
	return &closure{arrow: &arrow{slots: []int{0, 1, 2}, body: nodeFunc(f)}, variables: make([]any, 3)}
}

// Whatever would explode ends with the error of the budget instead.
func TestLibrary_limits(t *testing.T) {
	long := value.NewArray(0)
	for range 2000 {
		long.Append("0123456789")
	}
	nested := any("x")
	for range 60 { // 2^60 items in all
		nested = value.List(nested, nested)
	}
	for _, tt := range []struct {
		of   map[string]callable
		name string
		args []any
	}{
		{functions, "range", with(1, 1000000000)},
		{functions, "range", with(0.0, 1.0, 1e-9)},
		{filters, "format", with("%1000000000d", 1)},
		{filters, "format", with("%-1000000000s", "a")},
		{filters, "number_format", with(1, 2000000000)},
		{filters, "batch", with(value.List(1), 1000000000, "x")},
		{filters, "batch", with(value.List(1), 1<<62, "x")},
		{filters, "join", with(long, string(make([]byte, 1000)))},
		{filters, "replace", with(string(make([]byte, 5000)), value.Map("\x00", string(make([]byte, 5000))))},
		{filters, "split", with(string(make([]byte, 50000)), "")},
		{filters, "split", with(string(make([]byte, 50000)), "\x00")},
		{filters, "merge", with(long, long, long, long, long, long, long, long, long, long, long)},
		{filters, "json_encode", with(nested)},
		{filters, "url_encode", with(value.Map("a", nested))},
		{filters, "slug", with("a b c d e f g h i j", string(make([]byte, 50000)))},
		{filters, "escape", with(string(make([]byte, 50000)), "js")},
		{filters, "upper", with(string(make([]byte, 200000)))},
		{filters, "nl2br", with(string(make([]byte, 200000)))},
		{filters, "date", with(0, string(make([]byte, 50000)))},
	} {
		f := tt.of[tt.name]
		for len(tt.args) < len(f.params) {
			tt.args = append(tt.args, absent{})
		}
		if _, err := f.call(newCall(engine.Limits{Bytes: 100000, Steps: 10000}, tt.args...)); err == nil {
			t.Errorf("%s has no limit", tt.name)
		}
	}
}

// A sandbox has none of these.
func TestLibrary_sandboxed(t *testing.T) {
	for _, name := range []string{"constant", "enum", "enum_cases", "include", "source", "template_from_string", "ssoJwt", "widgetUrl"} {
		if _, ok := functions[name]; ok {
			t.Errorf("there is a function %s", name)
		}
	}
	if _, ok := tests["constant"]; ok {
		t.Error("there is a test constant")
	}
	for _, f := range []map[string]callable{filters, functions, tests} {
		for name, c := range f {
			if c.call == nil || c.required > len(c.params) {
				t.Errorf("%s is not callable", name)
			}
		}
	}
}
