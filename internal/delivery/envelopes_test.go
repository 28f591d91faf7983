package delivery

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/buglehq/bugle"
)

func TestEnvelopes_forgetsWhatCameFirst(t *testing.T) {
	e := newEnvelopes(10)
	e.add(1, bugle.Payload{Text: []byte("1234")})
	e.add(2, bugle.Payload{Text: []byte("5678")})
	e.add(1, bugle.Payload{Text: []byte("other")}) // an event's bytes never change
	if got, ok := e.get(1); !ok || string(got.Text) != "1234" {
		t.Errorf("got %q, %t", got.Text, ok)
	}
	e.add(3, bugle.Payload{Text: []byte("abc")})
	if _, ok := e.get(1); ok {
		t.Error("the first is still there, beyond the limit")
	}
	if got, want := e.missing([]int64{3, 1, 2, 4, 1}), []int64{1, 4}; !slices.Equal(got, want) {
		t.Errorf("missing are %d, want %d", got, want)
	}
	e.add(5, bugle.Payload{Text: make([]byte, 11)})
	if got := e.missing([]int64{2, 3, 5}); len(got) != 3 || e.size != 0 {
		t.Errorf("%d bytes are held, without %d, after one that is too large by itself", e.size, got)
	}
	e.add(1, bugle.Payload{Text: []byte("1234")})
	if got, ok := e.get(1); !ok || string(got.Text) != "1234" {
		t.Errorf("what was forgotten and added again is %q, %t", got.Text, ok)
	}
}

// However many events there are, bytes and list stay bounded, and nothing is mixed up.
func TestEnvelopes_bound(t *testing.T) {
	const limit, largest = 20000, 300
	e := newEnvelopes(limit)
	random := rand.New(rand.NewPCG(1, 2))
	envelope := func(id int64) []byte { return bytes.Repeat([]byte{byte(id)}, int(id*7%largest)+1) }
	for range 50000 {
		id := random.Int64N(5000)
		e.add(id, bugle.Payload{Text: envelope(id)})
		if got, ok := e.get(id); !ok || !bytes.Equal(got.Text, envelope(id)) {
			t.Fatalf("event %d has %q", id, got.Text)
		}
		if e.size > limit || e.size < 0 || len(e.byID) != len(e.order)-e.head || len(e.order) > 2*len(e.byID)+2048 {
			t.Fatalf("%d bytes in %d envelopes, %d in order from %d", e.size, len(e.byID), len(e.order), e.head)
		}
	}
	size := 0
	for _, b := range e.byID {
		size += len(b.Text)
	}
	if size != e.size || size < limit-largest {
		t.Errorf("%d bytes are held, counted as %d, of %d that may be", size, e.size, limit)
	}
}

func TestEnvelopes_concurrently(t *testing.T) {
	e := newEnvelopes(100)
	var work sync.WaitGroup
	for range 8 {
		work.Go(func() {
			for id := range int64(1000) {
				e.add(id, bugle.Payload{Text: []byte{byte(id)}})
				if got, ok := e.get(id); ok && got.Text[0] != byte(id) {
					t.Errorf("event %d has %v", id, got)
				}
				e.missing([]int64{id, id + 1})
			}
		})
	}
	work.Wait()
}

// What was read before somebody was erased must not be kept afterwards.
func TestEnvelopes_forget(t *testing.T) {
	e := newEnvelopes(100)
	e.add(1, bugle.Payload{Text: []byte("Jane")})
	add := e.reading()
	e.forget()
	add(2, bugle.Payload{Text: []byte("Jane")})
	if got := e.missing([]int64{1, 2}); len(got) != 2 || e.size != 0 {
		t.Errorf("%d bytes are held, without %d", e.size, got)
	}
	e.reading()(2, bugle.Payload{Text: []byte("[erased]"), Rendered: 3})
	if got, ok := e.get(2); !ok || string(got.Text) != "[erased]" || got.Rendered != 3 {
		t.Errorf("got %+v, %t", got, ok)
	}
}
