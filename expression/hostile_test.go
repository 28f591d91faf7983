package expression

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/buglehq/bugle/value"
)

const (
	tooManySteps = "it takes too many steps"
	inTime       = "a value, or on a slow machine too many steps: what a pattern takes is counted by the clock"
	tooMuch      = "it makes too much text"
	tooNested    = "it is nested more than"
	unclosed     = "is not closed"
)

var again = strings.Repeat

// wrapped is an array that holds an array that holds an array, and so on.
func wrapped(levels int, wrap func(v any) any) any {
	v := any(value.List(1))
	for range levels {
		v = wrap(v)
	}
	return v
}

func once(v any) any  { return value.List(v) }
func twice(v any) any { return value.List(v, v) }
func named(v any) any { return value.Map("x", v, "y", v) }

// hostileValues are what the hostile conditions can use. a and b are arrays of two that are the same, of two
// that are the same, and so on: 2^40 items in all. They share nothing with each other.
func hostileValues() (names []string, values []any) {
	large := value.Map("x", 1)
	reversed := value.NewArray(0)
	for i := range 50000 {
		large.Append(i)
		reversed.SetInt(int64(49999-i), 49999-i)
	}
	reversed.Set("x", 1)
	for _, v := range []struct {
		name  string
		value any
	}{
		{"a", wrapped(40, twice)}, {"b", wrapped(40, twice)}, {"m", wrapped(40, named)}, {"n", wrapped(40, named)}, {"c", wrapped(50000, once)}, {"d", wrapped(50000, once)},
		{"large", large}, {"reversed", reversed}, {"text", again("a", 1<<20)}, {"same", again("a", 1<<20)}, {"digits", again("1", 1<<20)}, {"now", value.Date{Time: time.Unix(0, 0)}},
	} {
		names, values = append(names, v.name), append(values, v.value)
	}
	return names, values
}

// hostile are conditions that are nested too deeply, never end, or make too much, with what is to come of
// it: an error that says so, or a value within the limits.
var hostile = []struct{ name, source, want string }{
	// nesting
	{"brackets", again("(", 32000) + "1" + again(")", 32000), tooNested},
	{"lists", again("[", 32000) + again("]", 32000), tooNested},
	{"maps", again("{a:", 16000) + "1" + again("}", 16000), tooNested},
	{"keys in brackets", again("{(", 16000) + "1", unclosed},
	{"subscripts", "a" + again("[a", 20000) + again("]", 20000), tooNested},
	{"calls", again("min(", 13000) + "1" + again(")", 13000), tooNested},
	{"arguments of methods", "now" + again(".format(now", 5000) + again(")", 5000), tooNested},
	{"nots", again("not ", 16000) + "1", tooNested},
	{"exclamation marks", again("!", 65000) + "1", tooNested},
	{"minuses", again("-", 65000) + "1", tooNested},
	{"tildes", again("~", 65000) + "1", tooNested},
	{"powers", "1" + again(" ** 1", 13000), tooNested},
	{"ternaries", "1" + again(" ? 1 : 1", 8000), tooNested},
	{"ternaries within", again("1 ? ", 8000) + "1" + again(" : 1", 8000), tooNested},
	{"elvises", "0" + again(" ?: 0", 13000), tooNested},
	{"coalescing", "a" + again(" ?? a", 13000), tooNested},
	{"too long", again("(", 200000), "it is longer than 65535 bytes"},
	// chains, which are not nested
	{"sums", "1" + again("+1", 32000), ""},
	{"ands", "1" + again(" and 1", 10000), ""},
	{"concatenations", "1" + again("~1", 32000), tooMuch},
	{"members", "large?.y" + again("?.a", 20000), "there is no key"},
	{"members that may be missing", "large.y" + again(".a", 20000) + " ?? 1", ""},
	{"subscripts behind each other", "a" + again("[0]", 20000) + " ?? 1", "has no items"},
	{"comments", again("/**/", 16000) + "1", ""},
	// arrays that share their items
	{"shared ==", "a == b", tooManySteps},
	{"shared !=", "a != b", tooManySteps},
	{"shared ===", "a === b", tooManySteps},
	{"shared !==", "a !== b", tooManySteps},
	{"shared <", "a < b", tooManySteps},
	{"shared <=", "a <= b", tooManySteps},
	{"shared >", "a > b", tooManySteps},
	{"shared >=", "a >= b", tooManySteps},
	{"shared in", "a in [1, b]", tooManySteps},
	{"shared not in", "a not in [1, b]", tooManySteps},
	{"shared in_array", "in_array(a, [1, b])", tooManySteps},
	{"shared max", "max(a, b)", tooManySteps},
	{"shared min", "min([a, b])", tooManySteps},
	{"shared with itself", "a == a and a === a and a <= a", ""},
	{"shared +", "a + b == 1", ""},
	{"shared ~", "a ~ b", "cannot be used as a text"},
	{"shared as a key", "{(a): 1}", "cannot be a key"},
	{"shared contains", "a contains 1", "cannot be used as a text"},
	{"shared blank", "blank(a) or filled(a)", ""},
	{"shared and named ==", "m == n", tooManySteps},
	{"shared and named <", "m < n", tooManySteps},
	{"shared within", "[a, {x: b}] == [b, {x: a}]", tooManySteps},
	{"deep ==", "c == d", "nested more than 10000 deep"},
	{"deep ===", "c === d", "nested more than 10000 deep"},
	{"deep <", "c < d", "nested more than 10000 deep"},
	{"large maps in another order", "large == reversed" + again(" and large == reversed", 2000), tooManySteps},
	{"large maps added", "large + reversed == 1" + again(" or large + reversed == 1", 1000), tooMuch},
	{"large maps searched", "in_array('z', large)" + again(" or in_array('z', large)", 2000), tooManySteps},
	{"large maps for the greatest", "max(large) == 'z'" + again(" or max(large) == 'z'", 2000), tooManySteps},
	// texts
	{"~ grows", "text" + again(" ~ text", 5000), tooMuch},
	{"& and | and ^", "text & same" + again(" | text ^ same", 4000), tooMuch},
	{"~ of a text", again("~", 900) + "text", tooMuch},
	{"long ==", "text == same" + again(" and text == same", 3000), tooManySteps},
	{"long ===", "text === same" + again(" and text === same", 3000), tooManySteps},
	{"long <", "text < same" + again(" or text < same", 3000), tooManySteps},
	{"long contains", "text contains 'b'" + again(" or text contains 'b'", 3000), tooManySteps},
	{"long starts with", "text starts with same" + again(" and text starts with same", 2000), tooManySteps},
	{"long ends_with", "ends_with(text, same)" + again(" and ends_with(text, same)", 2000), tooManySteps},
	{"long number +", "digits + 1" + again(" + digits", 5000), tooManySteps},
	{"long number ==", "digits == 1" + again(" or digits == 1", 3000), tooManySteps},
	{"long numbers ==", "digits == digits ~ ''", ""},
	{"long key", "large[text]" + again(" ?? large[text]", 900) + " ?? 1", ""},
	{"long format", "now.format(text)", tooMuch},
	{"escapes", `"` + again(`\x41`, 16000) + `"`, ""},
	// ranges and numbers
	{"range", "1..9223372036854775807", "is too long"},
	{"range of everything", "-9223372036854775807..9223372036854775807", "is too long"},
	{"range that fits", "1..2000000000", tooMuch},
	{"ranges", "1..50000" + again(" == 1..50000", 1000), tooMuch},
	{"power", "9 ** 9 ** 9 ** 9", ""},
	{"shift", "1 << 9223372036854775807", ""},
	{"a long number", again("9", 60000), ""},
	{"a number with a large exponent", "1e" + again("9", 60000), ""},
	// regular expressions
	{"catastrophic matches", `"` + again("a", 40) + `!" matches "/^(a+)+$/"`, "takes longer than"},
	{"many matches that take long", `0` + again(` or "`+again("a", 16)+`!" matches "/^(a+)+$/"`, 1200), "takes"},
	{"matches of a long text", "0" + again(" or text matches '/b$/'", 2500), "takes"},
	{"a long pattern", "'a' matches '/' ~ text ~ '/'", "has more than 32768 bytes"},
	{"a pattern of quantifiers", "'a' matches '/" + again("a++", 10000) + "/'", inTime},
	{"a pattern of digits", "'a' matches '/" + again("1", 30000) + "/'", inTime},
	{"a pattern of groups", "'a' matches '/" + again("(", 10000) + again(")", 10000) + "/'", inTime},
	{"a pattern that repeats repetitions", `"` + again("a", 5000) + `" matches "/((a{1,1000}){1,1000}){1,1000}b/"`, "takes longer than"},
	// what is not closed
	{"open text", `"` + again(`\"`, 30000), "the text is not closed"},
	{"open comment", again("/* ", 20000), "the comment is not closed"},
	{"open brackets of all kinds", again("([{", 20000), unclosed},
	{"open call", "min(1", unclosed},
	{"open operator", "1" + again(" + 1 *", 10000), "unexpected"},
	{"a long name", again("a", 60000), "there is no variable"},
	{"a long function", again("a", 60000) + "()", "there is no function"},
}

func TestEval_hostile(t *testing.T) {
	if len(hostile) < 40 {
		t.Fatalf("there are %d conditions", len(hostile))
	}
	names, values := hostileValues()
	for _, tt := range hostile {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var err error
			done := make(chan struct{})
			go func() {
				defer close(done)
				var p *Program
				if p, err = Compile(tt.source, names, nil); err == nil {
					_, err = p.Eval(values...)
				}
			}()
			select {
			case <-done:
			case <-time.After(time.Minute):
				t.Fatal("it hangs, which no limit should allow")
			}
			var placed *Error
			switch {
			case tt.want == inTime && (err == nil || strings.Contains(err.Error(), tooManySteps)):
			case err == nil && tt.want != "":
				t.Errorf("it has a value, want %q", tt.want)
			case err != nil && (!errors.As(err, &placed) || placed.Line < 1 || placed.Column < 1):
				t.Errorf("it fails with %v, which says no place", err)
			case err != nil && (tt.want == "" || !strings.Contains(err.Error(), tt.want)):
				t.Errorf("it fails with %.200v, want %q", err, tt.want)
			}
		})
	}
}
