package twig

import (
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/buglehq/bugle/internal/engine"
	"github.com/buglehq/bugle/value"
)

// functions are those of Twig's core that reach nothing outside of the template.
var functions = map[string]callable{
	"cycle":  {params: []string{"values", "position"}, required: 2, call: functionCycle},
	"date":   {params: []string{"date", "timezone"}, call: functionDate},
	"max":    {params: []string{"value"}, required: 1, variadic: true, call: functionMax},
	"min":    {params: []string{"value"}, required: 1, variadic: true, call: functionMin},
	"random": {params: []string{"values", "max"}, call: functionRandom},
	"range":  {params: []string{"low", "high", "step"}, required: 2, call: functionRange},
}

func functionCycle(c *call) (any, error) {
	a, err := c.array()
	if err != nil {
		return nil, err
	}
	if a.Len() == 0 {
		return nil, fmt.Errorf("an empty list has nothing to cycle through")
	}
	position, err := c.integer(1, 0)
	if err != nil {
		return nil, err
	}
	v, _ := a.GetInt(position % int64(a.Len()))
	return v, nil
}

func functionMax(c *call) (any, error) {
	return extreme(c, engine.Greater)
}

func functionMin(c *call) (any, error) {
	return extreme(c, engine.Less)
}

// extreme returns the first of the arguments, or of the items of the only one, than which none is better.
func extreme(c *call, better engine.Operator) (any, error) {
	list := c.args
	if len(list) == 1 {
		a, err := c.array()
		if err != nil {
			return nil, err
		}
		if a.Len() == 0 {
			return nil, fmt.Errorf("an empty list has no greatest or least item")
		}
		if err := c.room(a.Len()); err != nil {
			return nil, err
		}
		list = make([]any, 0, a.Len())
		for _, v := range a.All() {
			list = append(list, v)
		}
	}
	best := list[0]
	for _, v := range list[1:] {
		is, err := better(&c.Run, plain(v), plain(best))
		if err != nil {
			return nil, err
		}
		if is == true {
			best = v
		}
	}
	return best, nil
}

// functionRandom returns a random integer, or a random item or character of what it is given.
func functionRandom(c *call) (any, error) {
	switch v := plain(c.arg(0, nil)).(type) {
	case nil:
		if c.arg(1, nil) == nil {
			return between(0, math.MaxInt32)
		}
		highest, err := c.integer(1, 0)
		if err != nil {
			return nil, err
		}
		return between(0, highest)
	case int64, float64:
		n := value.ToInt(v)
		if c.arg(1, nil) == nil {
			return between(min(n, 0), max(n, 0))
		}
		highest, err := c.integer(1, 0)
		if err != nil {
			return nil, err
		}
		return between(n, highest)
	case string:
		if v == "" {
			return "", nil
		}
		runes, err := c.characters()
		if err != nil {
			return nil, err
		}
		return string(runes[rand.IntN(len(runes))]), nil
	case *value.Array:
		if v.Len() == 0 {
			return nil, fmt.Errorf("an empty list has no random item")
		}
		if err := c.room(v.Len()); err != nil {
			return nil, err
		}
		return entries(v)[rand.IntN(v.Len())].v, nil
	default:
		return v, nil
	}
}

func between(lowest, highest int64) (any, error) {
	if highest < lowest {
		return nil, fmt.Errorf("there is no random number from %d to %d", lowest, highest)
	}
	span := uint64(highest) - uint64(lowest)
	if span == math.MaxUint64 {
		return int64(rand.Uint64()), nil
	}
	return int64(uint64(lowest) + rand.Uint64N(span+1)), nil
}

func functionRange(c *call) (any, error) {
	return engine.Steps(&c.Run, plain(c.args[0]), plain(c.args[1]), plain(c.arg(2, int64(1))))
}
