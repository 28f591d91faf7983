package expression

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

// Whatever is written, it is refused with a place in it, or has a value, and nothing panics.
func FuzzEval(f *testing.F) {
	for _, source := range []string{
		"", "1 +", `model["name"] ~ 'a\x41' == "b"`, "not (a in [1, 2.5e3, .5])", "x ?? y ? 1 : 2", "{a: 1, (b): [2,],}.a?.b(3)", `text matches "/^(a|b)++[[:alpha:]]$/iu"`,
		"1..5", "2 ** -63 << 64", "/* c */ changed('x') and contains (a, b)", "now.format('Y-m-d')", "~-+!1", "causer?.a.b['c'] ?: 5 xor true",
	} {
		f.Add(source)
	}
	const short = 1000 // a long one is a short part many times, which takes the fuzzer's time and teaches it nothing
	for _, tt := range hostile {
		f.Add(tt.source[:min(len(tt.source), short)])
	}
	names := append([]string{"a", "b", "m", "n"}, names...)
	shared := []any{wrapped(40, twice), wrapped(40, twice), wrapped(40, named), wrapped(40, named)}
	f.Fuzz(func(t *testing.T, source string) {
		p, err := Compile(source, names, nil)
		if err == nil {
			_, err = p.Eval(append(slices.Clip(shared), values()...)...)
			parts, _, other := p.Explain(append(slices.Clip(shared), values()...)...)
			if (err == nil) != (other == nil) && !strings.Contains(source, "matches") { // which may take too long by the clock
				t.Errorf("%q: %v when evaluated, %v when explained", source, err, other)
			}
			for _, part := range parts {
				if part.Source == "" || part.Evaluated && part.Failed || len(parts) > MaxParts {
					t.Errorf("%q has the part %+v of %d", source, part, len(parts))
				}
			}
		}
		var placed *Error
		if err != nil && (!errors.As(err, &placed) || placed.Line < 1 || placed.Column < 1 || placed.Message == "") {
			t.Errorf("%q fails with %v, which says no place", source, err)
		}
	})
}
