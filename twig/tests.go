package twig

import (
	"fmt"

	"github.com/buglehq/bugle/value"
)

// tests are what can follow is. The test defined is not among them, as it looks at an expression
// rather than at its value.
var tests = map[string]callable{
	"divisible by": {params: []string{"value", "by"}, required: 2, call: testDivisible},
	"empty":        test(isEmpty),
	"even":         {params: []string{"value"}, required: 1, call: testEven},
	"iterable":     test(isArray),
	"mapping":      {params: []string{"value"}, required: 1, call: testMapping},
	"none":         test(isNull),
	"null":         test(isNull),
	"odd":          {params: []string{"value"}, required: 1, call: testOdd},
	"same as":      {params: []string{"value", "other"}, required: 2, call: testSame},
	"sequence":     {params: []string{"value"}, required: 1, call: testSequence},
	"true":         test(func(v any) bool { return value.Truthy(plain(v)) }),
}

// test returns the test of a value by itself.
func test(holds func(v any) bool) callable {
	return callable{params: []string{"value"}, required: 1, call: func(c *call) (any, error) { return holds(c.args[0]), nil }}
}

func isNull(v any) bool { return v == nil }

func isArray(v any) bool {
	_, ok := v.(*value.Array)
	return ok
}

func testSequence(c *call) (any, error) {
	a, ok := c.args[0].(*value.Array)
	return ok && a.IsList(), c.Step(a.Len() / 16)
}

// testMapping holds for arrays that are no list, and for dates and Markup, which are objects in PHP.
func testMapping(c *call) (any, error) {
	switch v := c.args[0].(type) {
	case *value.Array:
		return !v.IsList(), c.Step(v.Len() / 16)
	case value.Date, Markup:
		return true, nil
	}
	return false, nil
}

// remainder returns what is left of the first argument when divided.
func remainder(c *call, by any) (int64, error) {
	v, err := c.number(0, nil)
	if err != nil {
		return 0, err
	}
	left, ok := value.Modulo(v, by)
	if !ok {
		return 0, fmt.Errorf("division by zero")
	}
	return value.ToInt(left), nil
}

func testDivisible(c *call) (any, error) {
	by, err := c.number(1, nil)
	if err != nil {
		return nil, err
	}
	left, err := remainder(c, by)
	return left == 0, err
}

func testEven(c *call) (any, error) {
	left, err := remainder(c, int64(2))
	return left == 0, err
}

func testOdd(c *call) (any, error) {
	left, err := remainder(c, int64(2))
	return left != 0, err
}

// testSame is PHP's ===. Dates are the same if they are the same moment.
func testSame(c *call) (any, error) {
	a, b := plain(c.args[0]), plain(c.args[1])
	if x, ok := a.(value.Date); ok {
		y, ok := b.(value.Date)
		return ok && x.Equal(y.Time), nil
	}
	return value.IdenticalWithin(c, a, b)
}
