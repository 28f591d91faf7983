package expression_test

import (
	"fmt"

	"github.com/buglehq/bugle/expression"
	"github.com/buglehq/bugle/value"
)

func Example() {
	condition, err := expression.Compile(`model.rank["order"] > 4 and starts_with(model.name, "J")`, []string{"model"}, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	holds, err := condition.Test(value.Map("name", "Jane Roe", "rank", value.Map("order", int64(5))))
	fmt.Println(holds, err)
	// Output: true <nil>
}

func ExampleCompile_refused() {
	_, err := expression.Compile(`modl.name == "Jane"`, []string{"model"}, nil)
	fmt.Println(err)
	// Output: there is no variable "modl" at line 1, column 1; did you mean "model"?
}

func ExampleFunction() {
	changed := expression.Function{Min: 1, Max: 1, Call: func(c *expression.Call) (any, error) {
		changes, _ := c.Variable("changes").(*value.Array)
		name, _ := c.Args[0].(string)
		return changes.Has(name), nil
	}}
	condition, err := expression.Compile(`changed("rank_id")`, []string{"changes"}, map[string]expression.Function{"changed": changed})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(condition.Test(value.Map("rank_id", int64(5))))
	// Output: true <nil>
}

func ExampleProgram_Explain() {
	condition, err := expression.Compile(`model["status"] == "active" and model["points"] > 4 and blank(model["notes"])`, []string{"model"}, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	parts, result, err := condition.Explain(value.Map("status", "active", "points", int64(3), "notes", nil))
	for _, part := range parts {
		if part.Evaluated {
			fmt.Printf("%s is %v\n", part.Source, part.Value)
		}
	}
	fmt.Println(result, err)
	// Output:
	// model["status"] == "active" is true
	// model["status"] is active
	// model["points"] > 4 is false
	// model["points"] is 3
	// false <nil>
}
