package delivery

import (
	"sync"

	"github.com/buglehq/bugle"
)

// envelopes remembers the payloads of recent events, because one event goes to many webhooks at about
// the same time. It holds a limited number of bytes and forgets what came first.
type envelopes struct {
	mu    sync.Mutex
	limit int
	size  int
	byID  map[int64]bugle.Payload
	order []int64 // from head, by arrival
	head  int
	age   int // counts how often all was forgotten
}

func newEnvelopes(limit int) *envelopes {
	return &envelopes{limit: limit, byID: map[int64]bugle.Payload{}}
}

func (e *envelopes) get(eventID int64) (bugle.Payload, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	envelope, ok := e.byID[eventID]
	return envelope, ok
}

func (e *envelopes) add(eventID int64, envelope bugle.Payload) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.keep(eventID, envelope)
}

// keep is add for who holds the lock.
func (e *envelopes) keep(eventID int64, envelope bugle.Payload) {
	if _, ok := e.byID[eventID]; ok {
		return
	}
	e.byID[eventID] = envelope
	e.order = append(e.order, eventID)
	e.size += len(envelope.Text)
	for e.size > e.limit && e.head < len(e.order) {
		oldest := e.order[e.head]
		e.size -= len(e.byID[oldest].Text)
		delete(e.byID, oldest)
		e.head++
	}
	if e.head > 1024 && e.head > len(e.order)/2 {
		e.order = append(e.order[:0], e.order[e.head:]...)
		e.head = 0
	}
}

// forget forgets everything, because somebody was erased from what is to be sent.
func (e *envelopes) forget() {
	e.mu.Lock()
	defer e.mu.Unlock()
	clear(e.byID)
	e.order, e.head, e.size = nil, 0, 0
	e.age++
}

// reading returns what adds the payloads that are about to be read, unless everything is forgotten in between: they are older then.
func (e *envelopes) reading() (add func(eventID int64, envelope bugle.Payload)) {
	e.mu.Lock()
	defer e.mu.Unlock()
	begun := e.age
	return func(eventID int64, envelope bugle.Payload) {
		e.mu.Lock()
		defer e.mu.Unlock()
		if e.age == begun {
			e.keep(eventID, envelope)
		}
	}
}

// missing returns those of the events that are not remembered, each once.
func (e *envelopes) missing(eventIDs []int64) []int64 {
	e.mu.Lock()
	defer e.mu.Unlock()
	var ids []int64
	seen := make(map[int64]bool, len(eventIDs))
	for _, id := range eventIDs {
		if _, ok := e.byID[id]; !ok && !seen[id] {
			seen[id] = true
			ids = append(ids, id)
		}
	}
	return ids
}
