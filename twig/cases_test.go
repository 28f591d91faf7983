package twig

import (
	"fmt"
	"os"
	"testing"

	"github.com/buglehq/bugle/value"
)

// The cases' expectations come from Twig itself on PHP.
func TestRender_asTwig(t *testing.T) {
	text, err := os.ReadFile("testdata/cases.json")
	if err != nil {
		t.Fatal(err)
	}
	decoded, err := value.Decode(text)
	if err != nil {
		t.Fatal(err)
	}
	cases := decoded.(*value.Array)
	if cases.Len() < 300 {
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
	id, source := field("id").(string), field("template").(string)
	o := Options{Strict: field("strict") == true}
	if strategy, ok := field("autoescape").(string); ok {
		o.Autoescape = strategy
	}
	context, _ := field("context").(*value.Array)
	var got string
	template, err := Compile(source, o)
	if err == nil {
		got, err = template.Render(context)
	}
	var wrong bool
	switch {
	case field("error") == true:
		wrong = err == nil
	case err != nil:
		wrong = field("warnings") == nil
	default:
		wrong = got != field("expected")
	}
	if !wrong {
		return ""
	}
	return fmt.Sprintf("%s: %s is %q, %v, want %v %v", id, source, got, err, field("expected"), field("message"))
}
