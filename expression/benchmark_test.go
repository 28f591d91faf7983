package expression

import (
	"testing"

	"github.com/expr-lang/expr"

	"github.com/buglehq/bugle/value"
)

// A typical condition.
func BenchmarkTest(b *testing.B) {
	p, err := Compile(`changed("rank_id") and model.rank["order"] > 4 and model.status == "active" and not (model.notes ?? null)`, names, map[string]Function{
		"changed": {1, 1, func(c *Call) (any, error) {
			changes, _ := c.Variable("changes").(*value.Array)
			key, _ := value.AsKey(c.Args[0])
			return changes.HasKey(key), nil
		}},
	})
	if err != nil {
		b.Fatal(err)
	}
	v := values()
	b.ReportAllocs()
	for b.Loop() {
		if ok, err := p.Test(v...); !ok || err != nil {
			b.Fatal(ok, err)
		}
	}
}

// The same as expr-lang has it, with Go's maps.
func BenchmarkExprLang(b *testing.B) {
	env := map[string]any{
		"model":   map[string]any{"id": 7, "name": "Jane Roe", "status": "active", "notes": nil, "rank": map[string]any{"order": 5, "name": "Sergeant"}},
		"changes": map[string]any{"rank_id": 5},
	}
	p, err := expr.Compile(`"rank_id" in changes and model.rank["order"] > 4 and model.status == "active" and (model.notes ?? false) == false`, expr.AsBool())
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if ok, err := expr.Run(p, env); ok != true || err != nil {
			b.Fatal(ok, err)
		}
	}
}
