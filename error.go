package bugle

import (
	"errors"
	"fmt"
	"strings"
)

// Errors that callers branch on. They arrive wrapped in what was being done: test with errors.Is.
var (
	ErrNotFound     = errors.New("not found")
	ErrConflict     = errors.New("conflict")
	ErrUnauthorized = errors.New("unauthorized")
	ErrForbidden    = errors.New("forbidden")
)

// A Problem is one thing that is wrong with one field of a request.
type Problem struct {
	Field  string // its JSON name with the path to it, such as "url" or "resources.0.name"
	Reason string // a sentence for the person who filled it in
}

// An InvalidError says what is wrong with a request, everything at once, in the order of the fields.
type InvalidError struct {
	Problems []Problem
}

// Invalid returns an InvalidError with one problem. The reason is formatted as by fmt.Sprintf.
func Invalid(field, reason string, args ...any) *InvalidError {
	e := &InvalidError{}
	e.Add(field, reason, args...)
	return e
}

// Add notes one more problem. The reason is formatted as by fmt.Sprintf.
func (e *InvalidError) Add(field, reason string, args ...any) {
	if len(args) > 0 {
		reason = fmt.Sprintf(reason, args...)
	}
	e.Problems = append(e.Problems, Problem{Field: field, Reason: reason})
}

// Err returns e if it holds a problem, else nil.
func (e *InvalidError) Err() error {
	if e == nil || len(e.Problems) == 0 {
		return nil
	}
	return e
}

// Under returns the same problems with the fields named below prefix: "name" becomes
// "resources.0.name" under "resources.0".
func (e *InvalidError) Under(prefix string) *InvalidError {
	under := &InvalidError{Problems: make([]Problem, len(e.Problems))}
	for i, p := range e.Problems {
		under.Problems[i] = Problem{Field: prefix + "." + p.Field, Reason: p.Reason}
	}
	return under
}

// Error returns the first problem and how many more there are: "The name field is required. (and 2
// more errors)", the form that PERSCOM's clients show.
func (e *InvalidError) Error() string {
	if len(e.Problems) == 0 {
		return "invalid"
	}
	var b strings.Builder
	b.WriteString(e.Problems[0].Reason)
	switch more := len(e.Problems) - 1; {
	case more == 1:
		b.WriteString(" (and 1 more error)")
	case more > 1:
		fmt.Fprintf(&b, " (and %d more errors)", more)
	}
	return b.String()
}
