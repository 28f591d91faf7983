package storetest

import (
	"testing"
	"time"

	"github.com/jonboulle/clockwork"
)

// What a clock shows jumps when it is set, and what passes between two looks at it does not.
func TestSetClock(t *testing.T) {
	fake := clockwork.NewFakeClockAt(time.Now())
	clock := &SetClock{Clock: fake}
	before := clock.Now()
	fake.Advance(time.Second)
	for _, by := range []time.Duration{time.Hour, -2 * time.Hour, 0} {
		clock.Set(by)
		now := clock.Now()
		if passed := now.Sub(before); passed != time.Second {
			t.Errorf("set by %s, the clock says that %s have passed, want 1s", by, passed)
		}
		if shown := now.Round(0).Sub(before.Round(0)); shown != by+time.Second {
			t.Errorf("set by %s, what the clock shows has moved by %s", by, shown)
		}
	}
}
