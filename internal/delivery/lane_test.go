package delivery

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/internal/store"
)

// laneTime is now, for lanes without an engine.
var laneTime = time.Date(2026, 1, 14, 12, 0, 0, 0, time.UTC)

// newLane returns a lane that was read from a table without deliveries.
func newLane(set func(*bugle.Webhook)) *lane {
	w := bugle.NewWebhook()
	if set != nil {
		set(&w)
	}
	return &lane{hook: &w, busy: map[int64]int64{}}
}

// placed returns a delivery whose place is its id.
func placed(id int64) store.NewDelivery { return store.NewDelivery{ID: id, Order: id} }

func placedAll(from, to int64) []store.NewDelivery {
	var list []store.NewDelivery
	for id := from; id <= to; id++ {
		list = append(list, placed(id))
	}
	return list
}

func wantReady(t testing.TB, l *lane, now time.Time, want bool, wantAt time.Time) {
	t.Helper()
	if ok, at := l.ready(now); ok != want || !ok && !at.Equal(wantAt) {
		t.Errorf("ready at %v is %t and at %v, want %t and at %v", now, ok, at, want, wantAt)
	}
}

func TestLane_offer(t *testing.T) {
	t.Run("keeps the order", func(t *testing.T) {
		l := newLane(nil)
		for id := range int64(2000) {
			l.offer(placed(id + 1))
			if id%2 == 1 {
				if d := l.pop(); d.ID != (id+1)/2 {
					t.Fatalf("took %d, want %d", d.ID, (id+1)/2)
				}
			}
			if len(l.queue) > 2*laneHigh {
				t.Fatalf("%d deliveries are held for %d that wait", len(l.queue), l.len())
			}
		}
	})
	t.Run("is full", func(t *testing.T) {
		l := newLane(nil)
		for id := range int64(laneHigh) {
			l.offer(placed(id + 1))
		}
		if l.more || l.len() != laneHigh || l.wants() {
			t.Fatalf("holds %d and wants more: %t", l.len(), l.more)
		}
		l.offer(placed(laneHigh + 1))
		if !l.more || l.len() != laneHigh || l.wants() {
			t.Fatalf("one more than fits: holds %d, more in the table: %t, is to be read: %t", l.len(), l.more, l.wants())
		}
		for range laneHigh - laneLow {
			l.pop()
		}
		if l.wants() {
			t.Errorf("is to be read with %d left", l.len())
		}
		l.pop()
		l.offer(placed(laneHigh + 2)) // is behind one that is not here
		if !l.wants() || l.len() != laneLow-1 || l.lastID != laneHigh {
			t.Errorf("with %d left up to %d, is to be read: %t", l.len(), l.lastID, l.wants())
		}
	})
	t.Run("was read before it was offered", func(t *testing.T) {
		l := newLane(nil)
		l.refill(placedAll(1, 5))
		l.offer(placed(4))
		l.offer(placed(5))
		l.offer(store.NewDelivery{ID: 6, Order: 5})
		if l.len() != 4+2 || l.lastID != 6 {
			t.Errorf("holds %d up to %d", l.len(), l.lastID)
		}
	})
	t.Run("is being read", func(t *testing.T) {
		l := newLane(nil)
		l.loading = true
		l.offer(placed(1))
		if l.loading = false; l.len() != 0 || !l.arrived {
			t.Errorf("holds %d, notes that one arrived: %t", l.len(), l.arrived)
		}
		l.refill(nil) // the read was too early for it
		if !l.wants() {
			t.Error("is not read again")
		}
	})
}

func TestLane_refill(t *testing.T) {
	l := newLane(nil)
	l.refill(placedAll(1, laneRefill))
	if !l.more || l.lastID != laneRefill {
		t.Errorf("after a full read up to %d, more: %t", l.lastID, l.more)
	}
	for range 3 {
		l.pop()
	}
	l.recorded(2)
	l.reset()
	l.refill([]store.NewDelivery{placed(1), placed(3), placed(4)})
	if l.len() != 1 || l.pop().ID != 4 || l.more {
		t.Errorf("took again what is being sent")
	}
	l.reset()
	l.refill([]store.NewDelivery{placed(1), placed(3), placed(4)})
	if l.len() != 0 || l.lastID != 4 {
		t.Errorf("holds %d, the cursor is at %d, want it behind what is being sent", l.len(), l.lastID)
	}
}

// A read that began before a result was written finds the delivery due still.
func TestLane_recorded_whileItIsRead(t *testing.T) {
	l := newLane(nil)
	l.offer(placed(1))
	l.pop()
	l.loading = true
	l.recorded(1)
	l.reset()
	l.refill([]store.NewDelivery{placed(1)})
	l.loading = false
	l.forget()
	if l.len() != 0 || len(l.busy) != 0 || l.stale {
		t.Errorf("holds %d, busy are %v, stale: %t", l.len(), l.busy, l.stale)
	}
}

// Somebody may ask for a delivery again before the lane has heard that the last attempt is over.
func TestLane_offer_whileItIsBusy(t *testing.T) {
	again := store.NewDelivery{ID: 1, Order: 7, Attempts: 1, AttemptsBefore: 1}
	for name, ask := range map[string]func(*lane){
		"then recorded":       func(l *lane) { l.offer(again); l.recorded(1) },
		"read, then recorded": func(l *lane) { l.refill([]store.NewDelivery{again}); l.recorded(1); l.offer(again) },
		"while it is read": func(l *lane) {
			l.loading = true
			l.recorded(1)
			l.refill([]store.NewDelivery{again})
			l.offer(again)
			l.loading = false
			l.forget()
		},
		"read, then offered": func(l *lane) {
			l.loading = true
			l.recorded(1)
			l.refill([]store.NewDelivery{again})
			l.loading = false
			l.forget()
			l.offer(again)
		},
	} {
		l := newLane(nil)
		l.offer(placed(1))
		l.pop()
		ask(l)
		if l.len() != 0 || len(l.busy) != 0 || !l.stale || !l.wants() {
			t.Errorf("%s: holds %d, busy are %v, is to be read anew: %t", name, l.len(), l.busy, l.wants())
		}
	}
}

func TestLane_ready(t *testing.T) {
	none, second := time.Time{}, laneTime.Add(time.Second)
	due := store.NewDelivery{ID: 1, Order: 1, Due: second.UnixMicro()}
	retry := store.NewDelivery{ID: 1, Order: 1, Due: second.UnixMicro(), Attempts: 3, AttemptsBefore: 2}
	for _, test := range []struct {
		name   string
		first  store.NewDelivery
		hook   func(*bugle.Webhook)
		set    func(*lane)
		want   bool
		wantAt time.Time
	}{
		{name: "ready", first: due, want: true},
		{name: "not read", first: due, set: func(l *lane) { l.hook = nil }},
		{name: "to be read anew", first: due, set: func(l *lane) { l.stale = true }},
		{name: "empty", first: due, set: func(l *lane) { l.pop() }},
		{name: "paused", first: due, hook: func(w *bugle.Webhook) { w.Status = bugle.Paused }},
		{name: "disabled", first: due, hook: func(w *bugle.Webhook) { w.Status = bugle.Disabled }},
		{name: "a slot is free", first: due, set: func(l *lane) { l.inFlight = 9 }, want: true},
		{name: "no slot is free", first: due, set: func(l *lane) { l.inFlight = 10 }},
		{name: "tripped", first: due, set: func(l *lane) { l.health.ConsecutiveFailures, l.inFlight = bugle.TripAfter, 1 }},
		{name: "tripped and idle", first: due, set: func(l *lane) { l.health.ConsecutiveFailures = bugle.TripAfter }, want: true},
		{name: "failing", first: due, set: func(l *lane) { l.health.ConsecutiveFailures, l.inFlight = bugle.TripAfter-1, 9 }, want: true},
		{name: "ordered", first: due, hook: func(w *bugle.Webhook) { w.Ordered = true }, want: true},
		{name: "ordered and busy", first: due, hook: func(w *bugle.Webhook) { w.Ordered = true }, set: func(l *lane) { l.inFlight = 1 }},
		{name: "ordered retry", first: retry, hook: func(w *bugle.Webhook) { w.Ordered = true }, wantAt: second},
		{name: "retry", first: retry, want: true},
		{name: "held", first: due, set: func(l *lane) { l.holdTo, l.nextAt = second, laneTime }, wantAt: second},
		{name: "held until now", first: due, set: func(l *lane) { l.holdTo = laneTime }, want: true},
		{name: "paced", first: due, set: func(l *lane) { l.holdTo, l.nextAt = laneTime, second }, wantAt: second},
	} {
		t.Run(test.name, func(t *testing.T) {
			l := newLane(test.hook)
			l.offer(test.first)
			if test.set != nil {
				test.set(l)
			}
			wantReady(t, l, laneTime, test.want, test.wantAt)
			if test.wantAt != none {
				wantReady(t, l, test.wantAt, true, none)
			}
		})
	}
}

func TestLane_paced(t *testing.T) {
	l := newLane(func(w *bugle.Webhook) { w.RatePerSecond = 4 })
	l.paced(laneTime)
	l.paced(laneTime.Add(250 * time.Millisecond))
	if want := laneTime.Add(500 * time.Millisecond); !l.nextAt.Equal(want) {
		t.Errorf("next at %v, want %v", l.nextAt, want)
	}
	l.paced(laneTime.Add(time.Hour)) // what was not used in an hour is lost
	if want := laneTime.Add(time.Hour + 250*time.Millisecond); !l.nextAt.Equal(want) {
		t.Errorf("next at %v, want %v", l.nextAt, want)
	}
	l = newLane(nil)
	l.paced(laneTime)
	if !l.nextAt.IsZero() {
		t.Errorf("without a rate next at %v", l.nextAt)
	}
}

// A laneModel is a table, a lane that shows its beginning, and what is under way between them. Each
// step is one that the engine takes under its lock, or the database in one transaction; those of
// different goroutines come in any order.
type laneModel struct {
	t      *testing.T
	random *rand.Rand
	lane   *lane
	rows   []*laneRow
	due    []*laneRow // in the order of the lane

	told     []func() // by the writer about its commits, in their order
	flying   []*laneRow
	results  []*laneRow // of attempts that are over
	written  []int64    // results in the table, of which the lane has not heard
	reading  int        // steps of the read under way that are done
	anew     bool
	snapshot []store.NewDelivery
	place    int64
	upset    int // how often a delivery is cancelled, or an attempt given up: from 0
}

type laneRow struct {
	id, order int64
	due       bool
	cancelled bool // and the lane has not heard
	sending   bool // until its result is written
}

func (m *laneModel) makeDue(row *laneRow) {
	row.order, row.due = m.place, true
	m.due = append(m.due, row)
	d := store.NewDelivery{ID: row.id, Order: row.order}
	m.told = append(m.told, func() { m.lane.offer(d) })
}

func (m *laneModel) settle(row *laneRow) {
	row.due = false
	m.due = slices.DeleteFunc(m.due, func(other *laneRow) bool { return other == row })
}

// take removes a random element.
func take[T any](random *rand.Rand, list *[]T) (one T, ok bool) {
	if len(*list) == 0 {
		return one, false
	}
	i := random.IntN(len(*list))
	one = (*list)[i]
	*list = slices.Delete(*list, i, i+1)
	return one, true
}

func (m *laneModel) add() {
	n := 1 + m.random.IntN(5)
	if m.random.IntN(150) == 0 {
		n = laneHigh + m.random.IntN(laneHigh)
	}
	m.place += m.random.Int64N(2) // several commits may share a place
	for range n {
		row := &laneRow{id: int64(len(m.rows) + 1)}
		m.rows = append(m.rows, row)
		m.makeDue(row)
	}
}

// again makes a finished delivery due, as a redelivery or the end of a wait does.
func (m *laneModel) again() {
	if len(m.rows) == 0 {
		return
	}
	if row := m.rows[m.random.IntN(len(m.rows))]; !row.due && !row.cancelled { // who cancels hears of it after the lane
		m.place++
		m.makeDue(row)
	}
}

func (m *laneModel) cancel() {
	if len(m.due) == 0 || m.random.IntN(20) >= m.upset {
		return
	}
	row := m.due[m.random.IntN(min(len(m.due), 20))]
	m.settle(row)
	row.cancelled = true
	m.told = append(m.told, func() { m.lane.stale, row.cancelled = true, false })
}

func (m *laneModel) tell() {
	if len(m.told) > 0 {
		m.told[0]()
		m.told = m.told[1:]
	}
}

// read takes the next step of a read: it is wanted, it begins, the database answers, it ends.
func (m *laneModel) read() {
	l := m.lane
	switch m.reading {
	case 0:
		if !l.wants() {
			return
		}
		l.loading = true
	case 1:
		if m.anew = l.stale; m.anew {
			l.reset()
		}
		l.stale, l.arrived = false, false
	case 2:
		m.snapshot = nil
		for _, row := range m.due {
			if len(m.snapshot) < laneRefill && (row.order > l.order || row.order == l.order && row.id > l.lastID) {
				m.snapshot = append(m.snapshot, store.NewDelivery{ID: row.id, Order: row.order})
			}
		}
	case 3:
		l.loading = false
		l.refill(m.snapshot)
		l.forget()
		m.reading = 0
		return
	}
	m.reading++
}

func (m *laneModel) send() {
	if ok, _ := m.lane.ready(laneTime); !ok {
		return
	}
	var first *laneRow
	for _, row := range m.due {
		if _, busy := m.lane.busy[row.id]; !busy {
			first = row
			break
		}
	}
	d := m.lane.pop()
	m.lane.inFlight++
	row := m.rows[d.ID-1]
	if row.sending {
		m.t.Fatalf("%d is sent while it is being sent", d.ID)
	}
	if !row.cancelled && (!row.due || row.order != d.Order) {
		m.t.Fatalf("%d is sent at place %d; in the table it is %+v", d.ID, d.Order, row)
	}
	if !row.cancelled && first != row {
		m.t.Fatalf("%d at place %d is sent before %+v", d.ID, d.Order, first)
	}
	row.sending = true
	m.flying = append(m.flying, row)
}

// land ends an attempt, or now and then gives it up, so that the delivery stays due.
func (m *laneModel) land() {
	row, ok := take(m.random, &m.flying)
	if !ok {
		return
	}
	m.lane.inFlight--
	if m.random.IntN(50) < m.upset {
		row.sending = false
		delete(m.lane.busy, row.id)
		m.lane.stale = true
		return
	}
	m.results = append(m.results, row)
}

func (m *laneModel) write() {
	if row, ok := take(m.random, &m.results); ok {
		m.settle(row)
		row.sending = false
		m.written = append(m.written, row.id)
	}
}

func (m *laneModel) record() {
	if len(m.written) > 0 {
		m.lane.recorded(m.written[0])
		m.written = m.written[1:]
	}
}

// Whatever the order of steps, what is due is sent once, in order, and in the end all of it.
func TestLane_model(t *testing.T) {
	for seed := range uint64(60) {
		m := &laneModel{t: t, random: rand.New(rand.NewPCG(seed, 1)), lane: newLane(nil), place: 1}
		// Some runs see much of what makes the lane begin anew, others nothing.
		m.upset = int(seed % 3)
		var steps []func()
		for _, step := range []func(){m.add, m.again, m.cancel, m.tell, m.tell, m.read, m.read, m.send, m.send, m.land, m.land, m.write, m.record} {
			for range 1 + m.random.IntN(4) {
				steps = append(steps, step)
			}
		}
		for range 2000 {
			steps[m.random.IntN(len(steps))]()
			if t.Failed() {
				t.Fatalf("with seed %d", seed)
			}
			if m.lane.len() > laneHigh+laneRefill || m.lane.inFlight > m.lane.hook.MaxConcurrency {
				t.Fatalf("seed %d: the lane holds %d, %d are under way", seed, m.lane.len(), m.lane.inFlight)
			}
		}
		finish := []func(){m.tell, m.read, m.send, m.land, m.write, m.record}
		for n := 0; len(m.due)+len(m.told)+len(m.flying)+len(m.results)+len(m.written)+m.reading > 0; n++ {
			finish[m.random.IntN(len(finish))]()
			if n > 1e6 {
				t.Fatalf("seed %d: %d deliveries are due and never sent; the lane is %+v", seed, len(m.due), m.lane)
			}
		}
		if l := m.lane; l.len()+l.inFlight+len(l.busy)+len(l.ended) > 0 {
			t.Fatalf("seed %d: nothing is due, and the lane has %d, %d under way, busy %v, ended %v", seed, l.len(), l.inFlight, l.busy, l.ended)
		}
	}
}
