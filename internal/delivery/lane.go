package delivery

import (
	"time"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/internal/store"
)

const (
	laneRefill = 256 // deliveries read from the table at a time
	laneLow    = 128 // fewer than this in memory: read more
	laneHigh   = 512 // at most this many in memory
)

// A lane is the part of one webhook's deliveries that is in memory: the next ones, in order, and a
// cursor behind which the table holds the rest. The engine's lock guards it.
type lane struct {
	id     int64
	hook   *bugle.Webhook // as it was read last; not to be changed, since workers read it. nil: not read yet
	health bugle.Health   // newer than the hook's

	queue    []store.NewDelivery // from head
	head     int
	order    int64 // the cursor: place and id of the last delivery that was taken into the queue
	lastID   int64
	more     bool               // the table holds deliveries behind the cursor
	busy     map[int64]struct{} // being sent, or sent and not recorded: still due in the table
	ended    []int64            // recorded while the lane was being read
	inFlight int

	stale   bool // hook and queue are to be read anew
	loading bool // is being read by a loader
	arrived bool // something came while it was being read

	listed  bool      // is in the engine's ready list
	holdTo  time.Time // the receiver asked for silence until then
	nextAt  time.Time // the rate allows the next request then
	wakesAt time.Time // is among the engine's sleepers until then; zero: is not
}

func (l *lane) len() int { return len(l.queue) - l.head }

// offer takes a delivery that has just been committed, unless the table is to be read for it anyway.
func (l *lane) offer(d store.NewDelivery) {
	switch {
	case l.loading || l.stale:
		l.arrived = true
	case l.more:
	case d.Order < l.order || d.Order == l.order && d.ID <= l.lastID: // was read from the table
	case l.len() >= laneHigh:
		l.more = true
	default:
		l.push(d)
	}
}

func (l *lane) push(d store.NewDelivery) {
	l.queue = append(l.queue, d)
	l.order, l.lastID = d.Order, d.ID
}

func (l *lane) pop() store.NewDelivery {
	d := l.queue[l.head]
	l.head++
	if l.head == len(l.queue) {
		l.queue, l.head = l.queue[:0], 0
	} else if l.head >= laneHigh {
		l.queue, l.head = append(l.queue[:0], l.queue[l.head:]...), 0
	}
	return d
}

// recorded notes that the table says what became of a delivery. A read of the lane that is under way
// may still have found it due.
func (l *lane) recorded(id int64) {
	if l.loading {
		l.ended = append(l.ended, id)
	} else {
		delete(l.busy, id)
	}
}

// forget ends what recorded keeps for a read that is under way.
func (l *lane) forget() {
	for _, id := range l.ended {
		delete(l.busy, id)
	}
	l.ended = l.ended[:0]
}

// reset forgets the queue, so that it is read from the table again.
func (l *lane) reset() {
	l.queue, l.head, l.order, l.lastID, l.more = l.queue[:0], 0, 0, 0, true
	l.holdTo = time.Time{}
}

// slots is how many requests may be under way at once.
func (l *lane) slots() int {
	hook := *l.hook
	hook.Health = l.health
	return hook.Slots()
}

// wants says whether the lane has to be read from the table.
func (l *lane) wants() bool {
	switch {
	case l.loading:
		return false
	case l.stale:
		return true
	}
	return l.more && l.hook != nil && l.hook.Status == bugle.Active && l.len() < laneLow
}

// ready reports whether the next delivery may be sent now. If only time stands in its way, it
// returns when that ends.
func (l *lane) ready(now time.Time) (ok bool, at time.Time) {
	if l.hook == nil || l.stale || l.hook.Status != bugle.Active || l.len() == 0 || l.inFlight >= l.slots() {
		return false, time.Time{}
	}
	at = l.holdTo
	if l.nextAt.After(at) {
		at = l.nextAt
	}
	if l.hook.Ordered {
		if due := time.UnixMicro(l.queue[l.head].Due); due.After(at) {
			at = due
		}
	}
	return !at.After(now), at
}

// paced notes that a request goes out now, for the rate.
func (l *lane) paced(now time.Time) {
	if rate := l.hook.RatePerSecond; rate > 0 {
		if now.After(l.nextAt) {
			l.nextAt = now
		}
		l.nextAt = l.nextAt.Add(time.Duration(float64(time.Second) / rate))
	}
}
