package api

import (
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/jonboulle/clockwork"
)

// limits counts requests by who makes them, in each minute anew.
type limits struct {
	clock  clockwork.Clock
	mu     sync.Mutex
	minute time.Time
	counts map[string]int
}

// maxCounted bounds the memory of a minute: beyond it newcomers share one count.
const maxCounted = 100000

func newLimits(c clockwork.Clock) *limits { return &limits{clock: c, counts: map[string]int{}} }

// count counts a request and says in the headers how many are left. Beyond the limit it returns the
// answer for that. A limit of 0 is none.
func (l *limits) count(h http.Header, who string, limit int) error {
	if limit <= 0 {
		return nil
	}
	now := l.clock.Now()
	l.mu.Lock()
	if minute := now.Truncate(time.Minute); !minute.Equal(l.minute) {
		l.minute = minute
		clear(l.counts)
	}
	if _, known := l.counts[who]; !known && len(l.counts) >= maxCounted {
		who = "others"
	}
	l.counts[who]++
	n, reset := l.counts[who], l.minute.Add(time.Minute)
	l.mu.Unlock()
	h["X-RateLimit-Limit"] = []string{strconv.Itoa(limit)}
	h["X-RateLimit-Remaining"] = []string{strconv.Itoa(max(limit-n, 0))}
	if n <= limit {
		return nil
	}
	h.Set("Retry-After", strconv.Itoa(int((reset.Sub(now)+time.Second-1)/time.Second)))
	h["X-RateLimit-Reset"] = []string{strconv.FormatInt(reset.Unix(), 10)}
	return &statusError{http.StatusTooManyRequests, "ThrottleRequestsException", rateExceeded}
}
