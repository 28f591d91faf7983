package storetest

import (
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/jonboulle/clockwork"
)

// A SetClock is a clock that somebody sets: what it shows jumps, and what it measures does not, as with the clock of a
// machine. The clock below it has to give times of the machine, which know both.
type SetClock struct {
	clockwork.Clock
	by atomic.Int64 // seconds
}

// Set makes the clock show the time and so much, in whole seconds.
func (c *SetClock) Set(by time.Duration) { c.by.Store(int64(by / time.Second)) }

// Now is the time as the clock shows it.
func (c *SetClock) Now() time.Time { return set(c.Clock.Now(), c.by.Load()) }

// Since is how long ago t was, by a clock that nobody sets.
func (c *SetClock) Since(t time.Time) time.Duration { return c.Now().Sub(t) }

// Until is how long it is until t.
func (c *SetClock) Until(t time.Time) time.Duration { return t.Sub(c.Now()) }

// set changes what a time shows and leaves the monotonic part as it is, which nothing in package time does. It knows how a
// time.Time is made: the highest bit says that there is a monotonic part, the next 33 are seconds.
func set(t time.Time, seconds int64) time.Time {
	inside := (*struct {
		wall uint64
		ext  int64
		loc  *time.Location
	})(unsafe.Pointer(&t))
	if inside.wall>>63 == 0 {
		panic("storetest: a SetClock needs times with a monotonic part")
	}
	inside.wall += uint64(seconds << 30)
	return t
}
