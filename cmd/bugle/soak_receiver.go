package main

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// A soakFault is how a receiver behaves badly at one request.
type soakFault int

const (
	faultNone soakFault = iota
	faultSlow           // answers well, late
	faultStatus
	faultBusy // 429: leave me alone for a second
	faultReset
	faultHang // no answer until the server gives up
	faultTruncated
	faultDown // resets every connection, for a while; of those nothing arrives
)

var soakFaultNames = []string{"none", "slow", "500", "429", "reset", "hang", "truncated", "down"}

// soakFaultShares are how many of a million requests to a receiver with faults meet which.
var soakFaultShares = []struct {
	fault soakFault
	share int
}{
	{faultSlow, 4000}, {faultStatus, 3000}, {faultBusy, 200}, {faultReset, 1500}, {faultHang, 400}, {faultTruncated, 1500},
}

// soakTimeout is that of the webhooks, in seconds.
const soakTimeout = 5

// A soakReceiver is where all webhooks go, each by a path of its own. The first quarter of them is healthy all the time.
type soakReceiver struct {
	seed   uint64
	ledger *soakLedger
	hooks  int
	outage time.Duration // how long a receiver is down, each time
	faulty atomic.Bool   // whether faults happen at the moment
	began  time.Time     // of the time with faults
	downs  [][]time.Duration
	served string // address
	counts [faultDown + 1]atomic.Int64

	mu    sync.Mutex
	times soakTimes // from change to arrival at healthy receivers, since takeTimes
}

// start listens on loopback until stop is called.
func (r *soakReceiver) start() (stop func(), err error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	r.served = listener.Addr().String()
	server := &http.Server{ReadHeaderTimeout: 10 * time.Second, ReadTimeout: time.Minute, Handler: r}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		server.Serve(listener)
	}()
	return func() {
		server.Close()
		<-ended
	}, nil
}

// healthy says which receivers have no faults.
func (r *soakReceiver) healthy(hook int) bool { return hook < (r.hooks+3)/4 }

// plan draws from the seed when each receiver with faults is down, within a load of that length: for half a minute, or a
// tenth of a short load, at gaps of four to ten times as long.
func (r *soakReceiver) plan(length time.Duration) {
	r.outage = min(30*time.Second, length/10)
	r.downs = make([][]time.Duration, r.hooks)
	for hook := range r.downs {
		random := rand.New(rand.NewPCG(r.seed, uint64(hook)))
		gap := func() time.Duration { return time.Duration((4 + 6*random.Float64()) * float64(r.outage)) }
		for at := gap() / 2; !r.healthy(hook) && at < length && r.outage > 0; at += r.outage + gap() {
			r.downs[hook] = append(r.downs[hook], at)
		}
	}
}

// misbehave lets faults happen from now on.
func (r *soakReceiver) misbehave() {
	r.began = time.Now()
	r.faulty.Store(true)
}

func (r *soakReceiver) down(hook int) bool {
	if !r.faulty.Load() || hook >= len(r.downs) {
		return false
	}
	since := time.Since(r.began)
	for _, at := range r.downs[hook] {
		if since >= at && since < at+r.outage {
			return true
		}
	}
	return false
}

// draw returns what happens to a change at a webhook. It depends on nothing but them and the seed.
func (r *soakReceiver) draw(hook, change int) (fault soakFault, slow time.Duration) {
	if !r.faulty.Load() || r.healthy(hook) {
		return faultNone, 0
	}
	source := rand.NewPCG(r.seed, uint64(hook)<<40|uint64(change))
	random := rand.New(source)
	n := random.IntN(1_000_000)
	for _, f := range soakFaultShares {
		if n -= f.share; n < 0 {
			return f.fault, time.Duration(50+random.IntN(950)) * time.Millisecond
		}
	}
	return faultNone, 0
}

// ServeHTTP keeps the ledger, and answers well or badly.
func (r *soakReceiver) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	now := time.Now()
	hook, err := strconv.Atoi(strings.TrimPrefix(request.URL.Path, "/"))
	if err != nil {
		hook = -1
	}
	if hook >= 0 && r.down(hook) {
		r.counts[faultDown].Add(1)
		cut(w)
	}
	body, err := io.ReadAll(io.LimitReader(request.Body, 1<<20))
	if err != nil {
		return // it has not arrived
	}
	change, known := numberAfter(body, "soak change ")
	begun, stamped := numberAfter(body, stamp)
	fault, slow := faultNone, time.Duration(0)
	first := r.ledger.arrive(hook, int(change), known && stamped, func() bool {
		fault, slow = r.draw(hook, int(change))
		return fault > faultSlow
	})
	if first && r.healthy(hook) {
		r.mu.Lock()
		r.times.add(float64(now.UnixNano()-begun) / 1e6)
		r.mu.Unlock()
	}
	r.counts[fault].Add(1)
	switch fault {
	case faultSlow:
		timer := time.NewTimer(slow)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-request.Context().Done():
		}
	case faultStatus:
		w.WriteHeader(http.StatusInternalServerError)
		return
	case faultBusy:
		w.Header().Set("Retry-After", "1")
		w.WriteHeader(http.StatusTooManyRequests)
		return
	case faultReset:
		cut(w)
	case faultHang:
		<-request.Context().Done()
		return
	case faultTruncated:
		w.Header().Set("Content-Length", "100")
		fmt.Fprint(w, "and no more")
		http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}
	w.WriteHeader(http.StatusOK)
	if request.Context().Err() != nil {
		r.ledger.broken(hook, int(change))
	}
}

// cut resets the connection, and ends the handler.
func cut(w http.ResponseWriter) {
	connection, _, err := http.NewResponseController(w).Hijack()
	if err == nil {
		if tcp, ok := connection.(*net.TCPConn); ok {
			tcp.SetLinger(0)
		}
		connection.Close()
	}
	panic(http.ErrAbortHandler)
}

// takeTimes returns the times since it was last called.
func (r *soakReceiver) takeTimes() soakTimes {
	r.mu.Lock()
	defer r.mu.Unlock()
	times := r.times
	r.times = soakTimes{}
	return times
}

// met is how often each fault happened.
func (r *soakReceiver) met() map[string]int64 {
	met := map[string]int64{}
	for fault := faultSlow; fault <= faultDown; fault++ {
		met[soakFaultNames[fault]] = r.counts[fault].Load()
	}
	return met
}
