package twig_test

import (
	"fmt"

	"github.com/buglehq/bugle/twig"
	"github.com/buglehq/bugle/value"
)

func Example() {
	t, err := twig.Compile("{{ model.name|upper }} was promoted to {{ model.rank.name ?? 'none' }}.", twig.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	text, err := t.Render(value.Map("model", value.Map("name", "Jane Roe", "rank", value.Map("name", "Sergeant"))))
	fmt.Println(text, err)
	// Output: JANE ROE was promoted to Sergeant. <nil>
}

func ExampleOptions_autoescape() {
	t, err := twig.Compile("<b>{{ name }}</b>", twig.Options{Autoescape: "html"})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(t.Render(value.Map("name", "Roe & Doe")))
	// Output: <b>Roe &amp; Doe</b> <nil>
}

func ExampleError() {
	_, err := twig.Compile("Hello\n{{ name|uper }}", twig.Options{})
	fmt.Println(err)
	// Output: there is no filter "uper" at line 2, column 9; did you mean "upper"?
}

func ExampleLimits() {
	t, err := twig.Compile("{% set a = 'x' %}{% for i in 1..100 %}{% set a = a ~ a %}{% endfor %}", twig.Options{Limits: twig.Limits{Bytes: 1 << 20}})
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = t.Render(value.NewArray(0))
	fmt.Println(err)
	// Output: it makes too much text at line 1, column 52
}
