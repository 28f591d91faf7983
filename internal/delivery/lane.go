package delivery

import (
	"context"
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
	id           int64
	ctx          context.Context // of its attempts
	cut          context.CancelFunc
	away         bool           // another node's, or to be
	organization int64          // whose it is; 0: not read yet
	hook         *bugle.Webhook // as it was read last; not to be changed, since workers read it. nil: not read yet
	health       bugle.Health   // newer than the hook's

	queue    []store.NewDelivery // from head
	head     int
	order    int64 // the cursor: place and id of the last delivery that was taken into the queue
	lastID   int64
	more     bool            // the table holds deliveries behind the cursor
	busy     map[int64]int64 // being sent, or sent and not recorded: still due in the table, each at this place
	ended    []int64         // recorded while the lane was being read
	inFlight int

	readAt    time.Time // when it was last read
	readAfter time.Time // is not to be read before, because its secrets could not be; zero: they could
	stale     bool      // hook and queue are to be read anew
	loading   bool      // is being read by a loader
	arrived   bool      // something came while it was being read

	pace    bugle.Pace
	listed  bool      // is in the engine's ready list
	holdTo  time.Time // the receiver asked for silence until then
	nextAt  time.Time // the rate allows the next request then
	wakesAt time.Time // is among the engine's sleepers until then; zero: is not
}

// remade stands for the place of a busy delivery that has got another since: it was made due anew,
// and only the table knows how it stands in the end.
const remade = -1

func (l *lane) len() int { return len(l.queue) - l.head }

// offer takes a delivery that has just been committed, unless the table is to be read for it anyway.
func (l *lane) offer(d store.NewDelivery) {
	_, busy := l.busy[d.ID]
	switch {
	case busy:
		l.busy[d.ID] = remade
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

// behind notes that the table holds something behind the cursor.
func (l *lane) behind() {
	if l.loading {
		l.arrived = true
	} else {
		l.more = true
	}
}

// isQuiet reports whether nothing of the lane is under way.
func (l *lane) isQuiet() bool {
	return l.inFlight == 0 && len(l.busy) == 0 && !l.loading
}

func (l *lane) push(d store.NewDelivery) {
	l.queue = append(l.queue, d)
	l.order, l.lastID = d.Order, d.ID
}

// pop takes the next delivery, which is busy from now on.
func (l *lane) pop() store.NewDelivery {
	d := l.queue[l.head]
	l.busy[d.ID] = d.Order
	l.head++
	if l.head == len(l.queue) {
		l.queue, l.head = l.queue[:0], 0
	} else if l.head >= laneHigh {
		l.queue, l.head = append(l.queue[:0], l.queue[l.head:]...), 0
	}
	return d
}

// refill takes what was read from the table behind the cursor.
func (l *lane) refill(list []store.NewDelivery) {
	for _, d := range list {
		place, busy := l.busy[d.ID]
		if !busy {
			l.push(d)
			continue
		}
		l.order, l.lastID = d.Order, d.ID
		if place != d.Order {
			l.busy[d.ID] = remade
		}
	}
	l.more = len(list) == laneRefill || l.arrived
}

// recorded notes that the table says what became of a delivery. A read of the lane that is under way
// may still have found it due.
func (l *lane) recorded(id int64) {
	if l.loading {
		l.ended = append(l.ended, id)
	} else {
		l.release(id)
	}
}

// forget ends what recorded keeps for a read that is under way.
func (l *lane) forget() {
	for _, id := range l.ended {
		l.release(id)
	}
	l.ended = l.ended[:0]
}

func (l *lane) release(id int64) {
	if l.busy[id] == remade {
		l.stale = true
	}
	delete(l.busy, id)
}

// reset forgets the queue, so that it is read from the table again.
func (l *lane) reset() {
	l.queue, l.head, l.order, l.lastID, l.more = l.queue[:0], 0, 0, 0, true
}

// wants says whether the lane has to be read from the table.
func (l *lane) wants() bool {
	switch {
	case l.loading, l.away:
		return false
	case l.stale:
		return true
	}
	return l.more && l.hook != nil && l.hook.Status == bugle.Active && l.len() < laneLow
}

// ready reports whether the next delivery may be sent now. If only time stands in its way, it
// returns when that ends.
func (l *lane) ready(now time.Time) (ok bool, at time.Time) {
	if l.hook == nil || l.stale || l.away || l.hook.Status != bugle.Active || l.len() == 0 || l.inFlight >= l.pace.Slots(l.hook.Slots(l.health)) {
		return false, time.Time{}
	}
	at = l.holdTo
	for _, t := range []time.Time{l.nextAt, l.pace.NextAt} {
		if t.After(at) {
			at = t
		}
	}
	if d := &l.queue[l.head]; l.hook.Ordered && d.Attempts > d.AttemptsBefore {
		// A retry waits for its time. What was not tried yet is due at once, even if the clock has gone
		// back since.
		if due := time.UnixMicro(d.Due); due.After(at) {
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
