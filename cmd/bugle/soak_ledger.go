package main

import (
	"math"
	"sync"
)

// A soakLedger says of each change what its receivers saw of it, two bits for each webhook. It is safe for use by several
// goroutines.
type soakLedger struct {
	subscribed func(hook, change int) bool

	mu        sync.Mutex
	acked     soakMarks   // 1: the server said that the change is made
	hooks     []soakMarks // by webhook and change: what was seen
	issued    int         // changes have numbers from 0 to issued-1
	owed      int         // acknowledged changes, for each webhook that is to get them
	settled   int         // answered well
	arrivals  int
	explained int // arrivals of what had failed before
	repeated  int // arrivals of what had been answered well before
	misplaced int // arrivals of what the webhook is not to get, or nobody has made
}

// What a webhook saw of a change.
const (
	soakNothing = iota
	soakFailed  // it arrived, and the answer was to make it come again
	soakSettled // it arrived, and the answer was good
)

// soakMarks are numbers from 0 to 3, 0 unless set, by an index.
type soakMarks struct{ packed []byte }

func (m *soakMarks) get(i int) byte {
	if i/4 >= len(m.packed) {
		return 0
	}
	return m.packed[i/4] >> (i % 4 * 2) & 3
}

func (m *soakMarks) set(i int, v byte) {
	for i/4 >= len(m.packed) {
		m.packed = append(m.packed, 0)
	}
	shift := i % 4 * 2
	m.packed[i/4] = m.packed[i/4]&^(3<<shift) | v<<shift
}

// newSoakLedger returns a ledger for some webhooks, which get the changes that subscribed says.
func newSoakLedger(hooks int, subscribed func(hook, change int) bool) *soakLedger {
	return &soakLedger{subscribed: subscribed, hooks: make([]soakMarks, hooks)}
}

// next returns the number of a change that is about to be made.
func (l *soakLedger) next() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.issued++
	return l.issued - 1
}

// acknowledge notes that the server said that a change is made.
func (l *soakLedger) acknowledge(change int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.acked.set(change, 1)
	for hook := range l.hooks {
		if l.subscribed(hook, change) {
			l.owed++
		}
	}
}

// arrive notes that a change has arrived at a webhook, which will answer well if fails says so, and reports whether it was
// the first time. fails is asked the first time only: what was answered badly once is answered well when it comes again.
func (l *soakLedger) arrive(hook, change int, known bool, fails func() bool) (first bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.arrivals++
	if !known || hook < 0 || hook >= len(l.hooks) || change < 0 || change >= l.issued || !l.subscribed(hook, change) {
		l.misplaced++
		return false
	}
	switch l.hooks[hook].get(change) {
	case soakNothing:
		first = true
		if fails() {
			l.hooks[hook].set(change, soakFailed)
			return true
		}
	case soakFailed:
		l.explained++
	case soakSettled:
		l.repeated++
		l.settled--
	}
	l.settled++
	l.hooks[hook].set(change, soakSettled)
	return first
}

// broken notes that an answer that was to be good did not reach the server, so that the change may come again.
func (l *soakLedger) broken(hook, change int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.hooks[hook].get(change) != soakSettled {
		return
	}
	l.settled--
	l.hooks[hook].set(change, soakFailed)
}

// waiting is about how many deliveries the server still has to make.
func (l *soakLedger) waiting() (deliveries, settled int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.owed - l.settled, l.settled
}

// soakCounts are what a ledger says.
type soakCounts struct {
	Acknowledged int `json:"acknowledged"` // changes
	Owed         int `json:"owed"`         // acknowledged changes, for each webhook that is to get them
	Lost         int `json:"lost"`         // of them, those that never arrived
	Unsettled    int `json:"unsettled"`    // of them, those that arrived and were never answered well
	Arrivals     int `json:"arrivals"`
	Explained    int `json:"repeated_after_a_fault"`
	Repeated     int `json:"repeated_without_a_fault"`
	Misplaced    int `json:"misplaced"`
}

// open is how many deliveries the server still has to make.
func (c soakCounts) open() int { return c.Lost + c.Unsettled }

// count goes through the whole ledger.
func (l *soakLedger) count() soakCounts {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := soakCounts{Arrivals: l.arrivals, Explained: l.explained, Repeated: l.repeated, Misplaced: l.misplaced}
	for change := range l.issued {
		if l.acked.get(change) == 0 {
			continue
		}
		c.Acknowledged++
		for hook := range l.hooks {
			if !l.subscribed(hook, change) {
				continue
			}
			c.Owed++
			switch l.hooks[hook].get(change) {
			case soakNothing:
				c.Lost++
			case soakFailed:
				c.Unsettled++
			}
		}
	}
	return c
}

// soakTimes count how long things took, in steps of a twentieth. The zero value is empty. It is for one goroutine at a time.
type soakTimes struct {
	n     int
	steps [400]int
}

const (
	soakShortest = 0.05 // milliseconds: the first step
	soakStep     = 1.05
)

func (t *soakTimes) add(ms float64) {
	step := 0
	if ms > soakShortest {
		step = min(int(math.Ceil(math.Log(ms/soakShortest)/math.Log(soakStep))), len(t.steps)-1)
	}
	t.steps[step]++
	t.n++
}

// quantile returns what a share of the times did not exceed, in milliseconds; 0 if there is none.
func (t *soakTimes) quantile(share float64) float64 {
	want := int(math.Ceil(share * float64(t.n)))
	for step, n := range t.steps {
		if want -= n; want <= 0 && t.n > 0 {
			return soakShortest * math.Pow(soakStep, float64(step))
		}
	}
	return 0
}
