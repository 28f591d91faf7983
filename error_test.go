package bugle

import (
	"reflect"
	"testing"
)

func TestInvalidError(t *testing.T) {
	var e InvalidError
	steps := []string{"The name field is required.", "The name field is required. (and 1 more error)", "The name field is required. (and 2 more errors)"}
	reasons := []string{"The name field is required.", "100% wrong.", "The url field must not be %q."}
	for i, want := range steps {
		if i < 2 {
			e.Add([]string{"name", "email"}[i], reasons[i])
		} else {
			e.Add("url", reasons[i], "?")
		}
		if got := e.Error(); got != want {
			t.Errorf("with %d problems the error is %q, want %q", i+1, got, want)
		}
	}
	want := []Problem{{"name", "The name field is required."}, {"email", "100% wrong."}, {"url", `The url field must not be "?".`}}
	if !reflect.DeepEqual(e.Problems, want) {
		t.Errorf("problems are %q, want %q", e.Problems, want)
	}
	under := e.Under("resources.0")
	if got := under.Problems[1]; got != (Problem{"resources.0.email", "100% wrong."}) {
		t.Errorf("below a path the problem is %q", got)
	}
	if e.Problems[1].Field != "email" {
		t.Error("Under changes what it is called on")
	}
}

// An InvalidError without problems must become no error at all, rather than an interface that holds
// a pointer.
func TestInvalidError_Err(t *testing.T) {
	var none *InvalidError
	for _, e := range []*InvalidError{none, {}} {
		if err := e.Err(); err != nil {
			t.Errorf("without a problem the error is %v", err)
		}
	}
	if err := Invalid("name", "The name field is %s.", "odd").Err(); err == nil || err.Error() != "The name field is odd." {
		t.Errorf("error is %v", err)
	}
	if got := none.Err(); got != nil {
		t.Errorf("got %v", got)
	}
}
