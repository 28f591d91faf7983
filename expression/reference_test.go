package expression

import (
	"maps"
	"slices"
	"strings"
	"testing"
)

// Whatever can be written has a description, in order, and nothing else has.
func TestReference(t *testing.T) {
	functions := slices.Sorted(maps.Keys(Functions()))
	operators := []string{"? :", "?.", "?:", "??"} // those that are punctuation
	operators = slices.AppendSeq(operators, maps.Keys(binaries))
	operators = slices.AppendSeq(operators, maps.Keys(unaries))
	slices.Sort(operators)
	operators = slices.Compact(operators) // - is two of them

	described := map[string][]string{}
	for _, e := range Reference() {
		described[e.Kind] = append(described[e.Kind], e.Name)
		if !strings.HasSuffix(e.Description, ".") || !strings.Contains(e.Signature, strings.Fields(e.Name)[0]) {
			t.Errorf("%+v", e)
		}
	}
	for kind, want := range map[string][]string{"function": functions, "operator": operators} {
		if got := described[kind]; !slices.Equal(got, want) {
			t.Errorf("described is each %s of\n     %q\nwant %q", kind, got, want)
		}
	}
	if len(described) != 2 {
		t.Errorf("kinds: %v", described)
	}
}
