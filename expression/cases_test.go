package expression

import (
	"fmt"
	"os"
	"slices"
	"testing"

	"github.com/buglehq/bugle/value"
)

// The cases' expectations come from Symfony's own engine on PHP.
func TestEval_asSymfony(t *testing.T) {
	text, err := os.ReadFile("testdata/cases.json")
	if err != nil {
		t.Fatal(err)
	}
	decoded, err := value.Decode(text)
	if err != nil {
		t.Fatal(err)
	}
	cases := decoded.(*value.Array)
	if cases.Len() < 500 {
		t.Fatalf("there are %d cases", cases.Len())
	}
	for _, item := range cases.All() {
		if problem := caseProblem(item.(*value.Array)); problem != "" {
			t.Error(problem)
		}
	}
}

// caseProblem says what is wrong with the result of a case; nothing if it is as expected.
func caseProblem(c *value.Array) string {
	field := func(name string) any {
		v, _ := c.Get(name)
		return v
	}
	id, source := field("id").(string), field("expression").(string)
	context, _ := field("context").(*value.Array)
	var names []string
	var values []any
	for key, v := range context.All() {
		names, values = append(names, key.String()), append(values, v)
	}
	changes, _ := context.Get("changes")
	part := func(of string) Function {
		return Function{1, 1, func(c *Call) (any, error) {
			key, ok := value.AsKey(c.Args[0])
			list, _ := changes.(*value.Array)
			change, _ := list.At(key)
			if of == "" {
				return ok && list.HasKey(key), nil
			}
			both, _ := change.(*value.Array)
			v, _ := both.Get(of)
			return v, nil
		}}
	}
	var got any
	p, err := Compile(source, names, map[string]Function{"changed": part(""), "old_value": part("old"), "new_value": part("new")})
	if err == nil {
		got, err = p.Eval(values...)
		if _, explained, other := p.Explain(values...); !value.Identical(explained, got) || fmt.Sprint(other) != fmt.Sprint(err) {
			return fmt.Sprintf("%s: %s is explained as %v, %v, and is %v, %v", id, source, explained, other, got, err)
		}
	}
	want, failed := c.Get("expected")
	switch {
	case field("error") == true && err == nil && !slices.Contains(allowed, id):
		return fmt.Sprintf("%s: %s is %v, want an error (%v)", id, source, got, field("message"))
	case field("error") != true && err != nil && field("warnings") == nil:
		return fmt.Sprintf("%s: %s fails: %v, want %v", id, source, err, want)
	case field("error") != true && err == nil && failed && !value.Identical(got, want):
		shown, _ := value.JSON(got)
		wanted, _ := value.JSON(want)
		return fmt.Sprintf("%s: %s is %s, want %s", id, source, shown, wanted)
	}
	return ""
}

// allowed are cases that are errors in PHP and work here.
var allowed = []string{"access/24"}
