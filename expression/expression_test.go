package expression

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/buglehq/bugle/value"
)

// names and values are what the tests' conditions can use.
var names = []string{"model", "changes", "causer", "now", "five", "list", "text"}

func values() []any {
	model := value.Map("id", int64(7), "name", "Jane Roe", "status", "active", "points", "10", "rank", value.Map("order", int64(5), "name", "Sergeant"), "notes", nil)
	return []any{model, value.Map("rank_id", value.Map("old", int64(4), "new", int64(5))), nil, value.Date{Time: time.Date(2026, 1, 14, 12, 0, 0, 0, time.UTC)},
		int64(5), value.List(int64(1), "2", true), "Jane"}
}

func eval(source string) (any, error) {
	p, err := Compile(source, names, map[string]Function{
		"changed": {1, 1, func(c *Call) (any, error) {
			changes, _ := c.Variable("changes").(*value.Array)
			key, ok := value.AsKey(c.Args[0])
			return ok && changes.HasKey(key), nil
		}},
	})
	if err != nil {
		return nil, err
	}
	return p.Eval(values()...)
}

func TestEval(t *testing.T) {
	for source, want := range map[string]any{
		// literals
		"12": int64(12), "1_000": int64(1000), ".5": 0.5, "1.": 1.0, "1.5": 1.5, "1e3": 1000.0, "2E-3": 0.002, "9223372036854775808": 9223372036854775808.0,
		`"a\n\x41\101\q"`: "a\nAAq", `'it\'s'`: "it's", "true": true, "FALSE": false, "NULL": nil, "/* c */ 1 /* d */": int64(1), "\t1\n": int64(1), "\"a\tb\"": "a b",
		// precedence
		"-2 ** 2": int64(4), "2 ** 3 ** 2": int64(512), "not five == false": true, "not (five == 5)": false, "2 + 3 ~ 4": int64(36), "1 | 2 == 2": int64(1),
		"1 + 2 * 3": int64(7), "(1 + 2) * 3": int64(9), "10 - 4 - 3": int64(3), "true or false and false": true, "true xor true": false, "1..3 == [1, 2, 3]": true,
		"null ?? false ? 1 : 2": int64(2), "true ? 1 : false ? 2 : 3": int64(1), "false ? 1 : true ? 2 : 3": int64(2), "false ? 1": nil, "5 ?: 6": int64(5), "0 ?: 6": int64(6),
		"!true || true": true, "6 & 3": int64(2), "6 ^ 3": int64(5), "~5": int64(-6), "1 << 3": int64(8), "-8 >> 1": int64(-4), "1 << 64": int64(0), `"a" | "b"`: "c",
		// arithmetic
		"7 / 2": 3.5, "6 / 2": int64(3), "7 % 3": int64(1), "-7 % 3": int64(-1), "7.9 % 3": int64(1), `"10" + 5`: int64(15), `"1.5" + 1`: 2.5, "9223372036854775807 + 1": 9223372036854775808.0,
		"2 ** -1": 0.5, "2 ** 63": 9223372036854775808.0, "null + 1": int64(1), "true + 1": int64(2), "([1] + [2, 3])[1]": int64(3), "0.1 + 0.2 == 0.3": false, `(0.1 + 0.2) ~ ""`: "0.3",
		// comparisons
		`"abc" == 0`: false, `"10" == "1e1"`: true, `null == ""`: true, `null == "0"`: false, `null == false`: true, `5 === 5.0`: false, `5 !== "5"`: true, `"a" < "b"`: true, `"10" < "9"`: false,
		`[1, 2] == ["1", "2"]`: true, `{a: 1, b: 2} === {b: 2, a: 1}`: false, `{a: 1, b: 2} == {b: 2, a: 1}`: true, "[] == null": true, "[] == false": true,
		// words
		`5 in [5]`: true, `5 in ["5"]`: false, `5 not in ["5"]`: true, `text contains "an"`: true, `text starts with "Ja"`: true, `text ends with "ne"`: true, `five contains 5`: true, `text contains ""`: true,
		`text matches "/^j/i"`: int64(1), `text matches "/^j/"`: int64(0), `null matches "/^$/"`: int64(1), `"x" matches "#^[[:alpha:]]++$#"`: int64(1), `"é" matches "/^.$/u"`: int64(1), `"é" matches "/^.$/"`: int64(0),
		// access
		`model["name"]`: "Jane Roe", `model.name`: "Jane Roe", `model.rank["order"]`: int64(5), `model.rank.order > 4`: true, `causer?.name`: nil, `causer?.rank.name`: nil, `causer?.rank["name"]`: nil, `causer["id"] ?? null`: nil, `causer.id ?? 3`: int64(3),
		`model["missing"]["x"] ?? "none"`: "none", `model.notes ?? "none"`: "none", `unknown ?? 1`: int64(1), `now.format("Y-m-d")`: "2026-01-14", `now.getTimestamp()`: int64(1768392000), `list[0]`: int64(1), `list["1"]`: "2", `{a: {b: 2}}.a.b`: int64(2), `[1, 2,][1]`: int64(2), `{3: 4, (five): 6,}[5]`: int64(6), `model.in ?? 1`: int64(1),
		// functions
		`in_array("1", list)`: true, `in_array("x", list)`: true, `in_array(3, [1, 2])`: false, `in_array(1, "no")`: false, `contains("abc", "b")`: true, `contains(5, "5")`: false, `not contains("abc", "b")`: false, `true and contains("abc", "b")`: true,
		`starts_with("abc", "ab")`: true, `ends_with("abc", "bc")`: true, `changed("rank_id")`: true, `changed("name")`: false, `blank(null)`: true, `blank("  ")`: true, `blank([])`: true, `blank(0)`: false, `blank(false)`: false, `filled("a")`: true,
		`min(3, 1, 2)`: int64(1), `max([1, 5, 3])`: int64(5), `max("a", 1)`: "a",
	} {
		got, err := eval(source)
		if err != nil || !equal(got, want) {
			t.Errorf("%s is %v (%T), %v, want %v (%T)", source, got, got, err, want, want)
		}
	}
}

func equal(a, b any) bool {
	if x, ok := a.(float64); ok {
		y, ok := b.(float64)
		return ok && (x == y || math.IsNaN(x) && math.IsNaN(y))
	}
	return value.Identical(a, b)
}

func TestEval_refuses(t *testing.T) {
	for source, want := range map[string]string{
		"":                              `unexpected the end at line 1, column 1`,
		"1 +":                           `unexpected the end at line 1, column 4`,
		"(1":                            `"(" is not closed at line 1, column 1`,
		"1)":                            `")" closes nothing at line 1, column 2`,
		"(1]":                           `"(" is closed by "]" at line 1, column 3`,
		"1 2":                           `unexpected 2 at line 1, column 3`,
		"'a":                            `the text is not closed by ' at line 1, column 1`,
		"/* a":                          `the comment is not closed at line 1, column 1`,
		"a @ b":                         `unexpected character '@' at line 1, column 3`,
		"modl.name":                     `there is no variable "modl" at line 1, column 1; did you mean "model"?`,
		"true or\nmodl":                 `there is no variable "modl" at line 2, column 1; did you mean "model"?`,
		"chnged('x')":                   `there is no function "chnged" at line 1, column 1; did you mean "changed"?`,
		"blank()":                       `the function blank takes 1 argument, not 0 at line 1, column 1`,
		"min()":                         `the function min takes at least 1 argument, not 0 at line 1, column 1`,
		"(true)and(false)":              `unexpected "and" at line 1, column 7`,
		"model.":                        `a name is missing after ".", before the end at line 1, column 7`,
		"f(1,)":                         `there is no function "f" at line 1, column 1`,
		"min(1,)":                       `unexpected ")" at line 1, column 7`,
		"{a 1}":                         `":" is missing before 1 at line 1, column 4`,
		"{-1: 2}":                       `a key must be a name, a text, a number or an expression in brackets, not "-" at line 1, column 2`,
		`"a".b`:                         `unexpected "." at line 1, column 4`,
		`model["missing"]`:              `there is no key "missing" at line 1, column 6`,
		`causer["id"]`:                  `null has no items: it is no array at line 1, column 7`,
		`five.x`:                        `5 has no "x" in it at line 1, column 6`,
		`model.name()`:                  `methods to call`,
		`now.modify("+1 day")`:          `dates have the methods`,
		`1 / 0`:                         `division by zero at line 1, column 3`,
		`1 % 0`:                         `division by zero`,
		`"a" + 1`:                       `"a" cannot be calculated with by +: it is no number at line 1, column 5`,
		`[] ~ "a"`:                      `cannot be used as a text`,
		`1 in "abc"`:                    `what is right of in must be an array, not "abc"`,
		`text matches "abc"`:            `needs delimiters, such as /^a/`,
		`text matches "/("`:             `does not end with "/"`,
		`text matches "/(/"`:            `is not valid`,
		`text matches "/a/U"`:           `has the flag "U", which is not supported`,
		`1 << -1`:                       `negative number`,
		`1..99999999`:                   `it makes too much text`,
		strings.Repeat("(", 300):        `is not closed`,
		strings.Repeat("-", 1500) + "1": `it is nested more than 1000 levels deep`,
		strings.Repeat("(", 1500) + "1" + strings.Repeat(")", 1500): `it is nested more than 1000 levels deep`,
		strings.Repeat(" ", 70000):                                  `it is longer than 65535 bytes`,
		`{(list): 1}`:                                               `cannot be a key`,
		`min("a")`:                                                  `one argument must be an array with items`,
		`"` + strings.Repeat("a", 40) + `!" matches "/^(a+)+$/"`: `takes longer than`,
	} {
		_, err := eval(source)
		var placed *Error
		if err == nil || !strings.Contains(err.Error(), want) || !errors.As(err, &placed) {
			t.Errorf("%.60s: %v, want %s", source, err, want)
		}
	}
}
