package twig

import (
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
		checkCase(t, item.(*value.Array))
	}
}

func checkCase(t *testing.T, c *value.Array) {
	t.Helper()
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
	var problem bool
	switch {
	case field("error") == true:
		problem = err == nil
	case err != nil:
		problem = field("warnings") == nil
	default:
		problem = got != field("expected")
	}
	if problem {
		t.Errorf("%s: %s is %q, %v, want %v %v", id, source, got, err, field("expected"), field("message"))
	}
}
