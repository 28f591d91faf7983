package dispatch

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/buglehq/bugle/internal/store"
	"github.com/buglehq/bugle/internal/storetest"
)

// scripted is a job that answers what it is given to say after each step.
type scripted struct {
	says  []string // "", "waits", "ended"
	steps int
}

func (s *scripted) name() string                                              { return "job" }
func (s *scripted) claim(context.Context, string, time.Duration) (job, error) { return s, nil }
func (s *scripted) release(context.Context, string) error                     { return nil }
func (s *scripted) asked(store.Committed) bool                                { return false }
func (s *scripted) id() int64                                                 { return 1 }
func (s *scripted) step(context.Context, string) error                        { s.steps++; return nil }
func (s *scripted) fail(context.Context) error                                { return nil }
func (s *scripted) facts() []any                                              { return nil }
func (s *scripted) progress() (waits, ended bool) {
	said := ""
	if s.steps <= len(s.says) {
		said = s.says[s.steps-1]
	}
	return said == "waits", said == "ended"
}

// A round ends where a job ends or has to wait, and after some steps in any case.
func TestStepper_Round(t *testing.T) {
	s, _ := storetest.New(t)
	for _, tc := range []struct {
		says []string
		want []int // steps after each round
	}{
		{[]string{"", "waits", "waits", "", "ended"}, []int{2, 3, 5}},
		{nil, []int{jobSteps, 2 * jobSteps}},
	} {
		j := &scripted{says: tc.says}
		w := newStepper(s, j, StepperOptions{})
		var got []int
		for range tc.want {
			if found, err := w.Round(t.Context()); !found || err != nil {
				t.Fatalf("%t, %v", found, err)
			}
			got = append(got, j.steps)
		}
		if !slices.Equal(got, tc.want) {
			t.Errorf("%q: after each round %v steps, want %v", tc.says, got, tc.want)
		}
	}
}
