package expression

import (
	"fmt"
	"strings"
	"testing"

	"github.com/buglehq/bugle/value"
)

// explained writes the parts of a condition, each as its text = its value: ? if it was not evaluated, ! if it failed.
func explained(t *testing.T, source string) (parts []string, result any, err error) {
	t.Helper()
	p, err := Compile(source, names, map[string]Function{
		"changed": {1, 1, func(c *Call) (any, error) {
			changes, _ := c.Variable("changes").(*value.Array)
			key, _ := value.AsKey(c.Args[0])
			return changes.HasKey(key), nil
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	list, result, err := p.Explain(values()...)
	for _, part := range list {
		text := "?"
		switch {
		case part.Failed:
			text = "!"
		case part.Evaluated:
			shown, err := value.JSON(part.Value)
			if err != nil {
				t.Fatal(err)
			}
			text = string(shown)
		}
		parts = append(parts, part.Source+" = "+text)
	}
	return parts, result, err
}

func TestProgram_Explain(t *testing.T) {
	for _, tt := range []struct {
		source string
		result any // an error for any error
		parts  string
	}{
		{"true", true, ""},
		{"1 + 2 == 3 and [1, -2]", true, ""},
		{"five", int64(5), "five = 5"},
		{`model["status"] == "active"`, true, `model["status"] == "active" = true; model["status"] = "active"`},
		{`model.rank["order"] > five`, false, `model.rank["order"] > five = false; model.rank["order"] = 5; five = 5`},
		{`changed("rank_id")`, true, `changed("rank_id") = true`},
		{`five > 9 and text == "x"`, false, `five > 9 = false; five = 5; text == "x" = ?; text = ?`},
		{`five > 1 and text and list`, true, `five > 1 = true; five = 5; text = "Jane"; list = [1,"2",true]`},
		{`five or text or list`, true, `five = 5; text = ?; list = ?`},
		{`five || (text or list)`, true, `five = 5; text = ?; list = ?`},
		{`(five < 1 or text) and list`, true, `five < 1 or text = true; five < 1 = false; five = 5; text = "Jane"; list = [1,"2",true]`},
		{`not five`, false, `five = 5`},
		{`not five or !text`, false, `not five = false; five = 5; !text = false; text = "Jane"`},
		{`five xor five`, false, `five = 5; five = 5`},
		{`model.nope ?? "x"`, "x", `model.nope = null`},
		{`causer["id"] ?? five`, int64(5), `causer["id"] = null; five = 5`},
		{`text ?? five`, "Jane", `text = "Jane"; five = ?`},
		{`nope ?? five`, int64(5), `five = 5`},
		{`(nope ?? five) == 5`, true, `(nope ?? five) == 5 = true; nope ?? five = 5; five = 5`},
		{`five ? text : list`, "Jane", `five = 5; text = "Jane"; list = ?`},
		{`causer ? text : five`, int64(5), `causer = null; text = ?; five = 5`},
		{`text ?: five`, "Jane", `text = "Jane"; five = ?`},
		{`causer?.rank.name == null`, true, `causer?.rank.name == null = true; causer?.rank.name = null`},
		{`(causer?.rank).name == null`, true, `(causer?.rank).name == null = true; (causer?.rank).name = null; causer?.rank = null`},
		{`now.format("Y") == 2026`, true, `now.format("Y") == 2026 = true; now.format("Y") = "2026"`},
		{`model["na" ~ "me"] in [text, "Jane Roe"]`, true, `model["na" ~ "me"] in [text, "Jane Roe"] = true; model["na" ~ "me"] = "Jane Roe"; [text, "Jane Roe"] = ["Jane","Jane Roe"]; text = "Jane"`},
		{`-five + 1 < 0`, true, `-five + 1 < 0 = true; -five + 1 = -4; -five = -5; five = 5`},
		{`five == 5 and model.nope == 1 and text`, failed, `five == 5 = true; five = 5; model.nope == 1 = !; model.nope = !; text = ?`},
		{`text + 1 > five`, failed, `text + 1 > five = !; text + 1 = !; text = "Jane"; five = ?`},
		{`min(five, text.nope)`, failed, `min(five, text.nope) = !; five = 5; text.nope = !`},
	} {
		parts, result, err := explained(t, tt.source)
		if got := strings.Join(parts, "; "); got != tt.parts {
			t.Errorf("%s has the parts\n     %s\nwant %s", tt.source, got, tt.parts)
		}
		if (tt.result == failed) != (err != nil) || err == nil && !value.Identical(result, tt.result) {
			t.Errorf("%s is %v, %v, want %v", tt.source, result, err, tt.result)
		}
	}
}

const failed = "an error"

// Parts have the place where their text begins.
func TestProgram_Explain_places(t *testing.T) {
	p, err := Compile("five ==\n 5 and\n  'ü' ~ text", names, nil)
	if err != nil {
		t.Fatal(err)
	}
	parts, _, err := p.Explain(values()...)
	if err != nil {
		t.Fatal(err)
	}
	var places []string
	for _, part := range parts {
		places = append(places, fmt.Sprintf("%d:%d %s", part.Line, part.Column, part.Source))
	}
	if got, want := strings.Join(places, ", "), "1:1 five ==\n 5, 1:1 five, 3:3 'ü' ~ text, 3:9 text"; got != want {
		t.Errorf("the places are %s, want %s", got, want)
	}
}

// The parts that are returned are the first ones, however many there are.
func TestProgram_Explain_many(t *testing.T) {
	p, err := Compile("five"+strings.Repeat(" and five", 5000), names, nil)
	if err != nil {
		t.Fatal(err)
	}
	parts, result, err := p.Explain(values()...)
	if len(parts) != MaxParts || result != true || err != nil {
		t.Errorf("%d parts, %v, %v", len(parts), result, err)
	}
	for i, part := range parts {
		if want := 1 + 9*i; part.Column != want || part.Value != int64(5) {
			t.Fatalf("part %d is %+v, want column %d", i, part, want)
		}
	}
	if _, _, err := p.Explain(1); err == nil {
		t.Error("too few values are no error")
	}
}

// An explanation costs what the limits allow, and no more.
func TestProgram_Explain_limits(t *testing.T) {
	p, err := Compile(`1..1000000 == 1..1000000 or five`, names, nil)
	if err != nil {
		t.Fatal(err)
	}
	_, wanted := p.Eval(values()...)
	_, _, err = p.Explain(values()...)
	if err == nil || fmt.Sprint(err) != fmt.Sprint(wanted) {
		t.Errorf("it fails with %v, want %v", err, wanted)
	}
}
