package admin

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/jonboulle/clockwork"

	"github.com/buglehq/bugle/internal/store"
)

const (
	maxFollowers = 1000                   // pages that follow, of all people together
	maxNews      = 100                    // deliveries or runs that a page is told of at once; of more it hears later
	newsDelay    = 250 * time.Millisecond // between two looks at what is new
	heartbeat    = 20 * time.Second       // between signs of life, for proxies
	recheck      = time.Minute            // how long somebody may follow who has signed out elsewhere
)

// live tells pages that follow what happens of commits.
type live struct {
	clock     clockwork.Clock
	mu        sync.Mutex
	followers map[*follower]struct{}
	closed    bool
	done      chan struct{}
}

func newLive(clock clockwork.Clock) *live {
	return &live{clock: clock, followers: map[*follower]struct{}{}, done: make(chan struct{})}
}

// close ends all streams.
func (l *live) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.closed {
		l.closed = true
		close(l.done)
	}
}

// A follower is one page that is open.
type follower struct {
	wake       chan struct{}
	deliveries []int64 // new ones, or with a new result, since it looked; of any organization
	runs       []int64
}

// errFollowers is for one page too many.
var errFollowers = errors.New("too many pages follow at once")

func (l *live) follow() (*follower, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || len(l.followers) >= maxFollowers {
		return nil, errFollowers
	}
	f := &follower{wake: make(chan struct{}, 1)}
	l.followers[f] = struct{}{}
	return f, nil
}

func (l *live) leave(f *follower) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.followers, f)
}

// maxRemembered is how many changes a page may fall behind by. Beyond it the oldest are forgotten: the page
// shows them when it is loaded again.
const maxRemembered = 2000

// committed is told of each commit.
func (l *live) committed(c store.Committed) {
	if len(c.Deliveries)+len(c.Recorded)+len(c.Finished) == 0 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for f := range l.followers {
		for _, d := range c.Deliveries {
			f.deliveries = append(f.deliveries, d.ID)
		}
		f.deliveries = newest(append(f.deliveries, c.Recorded...))
		f.runs = newest(append(f.runs, c.Finished...))
		select {
		case f.wake <- struct{}{}:
		default:
		}
	}
}

func newest(ids []int64) []int64 {
	if len(ids) > maxRemembered {
		return append(ids[:0], ids[len(ids)-maxRemembered:]...)
	}
	return ids
}

// news returns what has changed since the last call, each id once and at most maxNews of each, and whether
// there is more.
func (l *live) news(f *follower) (deliveries, runs []int64, more bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var moreRuns bool
	deliveries, f.deliveries, more = someOf(f.deliveries)
	runs, f.runs, moreRuns = someOf(f.runs)
	return deliveries, runs, more || moreRuns
}

func someOf(ids []int64) (some, rest []int64, more bool) {
	seen := map[int64]bool{}
	for i, id := range ids {
		if seen[id] {
			continue
		}
		if len(some) == maxNews {
			return some, append([]int64(nil), ids[i:]...), true
		}
		seen[id] = true
		some = append(some, id)
	}
	return some, nil, false
}

// A news item is a row of a list, new or in place of the one with that id.
type newsItem struct {
	ID   string `json:"id"`
	HTML string `json:"html"`
}

// stream answers with server-sent events until the page is closed, the visitor signs out or the server
// stops. Rows renders what of the changed deliveries and runs belongs to the page.
func (v *visit) stream(permission string, rows func(deliveries, runs []int64) ([]newsItem, error)) error {
	return v.streamAndLook(permission, 0, rows)
}

// streamAndLook is stream for what is not told of with commits: rows is also called that often. Zero: it is not.
func (v *visit) streamAndLook(permission string, often time.Duration, rows func(deliveries, runs []int64) ([]newsItem, error)) error {
	l := v.server.live
	f, err := l.follow()
	if err != nil {
		v.w.Header().Set("Retry-After", "30")
		return statusError(http.StatusServiceUnavailable)
	}
	defer l.leave(f)
	h := v.w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("X-Accel-Buffering", "no") // proxies are to pass on each event at once
	out := http.NewResponseController(v.w)
	send := func(text string) error {
		if err := out.SetWriteDeadline(time.Now().Add(2 * heartbeat)); err != nil && !errors.Is(err, http.ErrNotSupported) {
			return err
		}
		if _, err := v.w.Write([]byte(text)); err != nil {
			return err
		}
		return out.Flush()
	}
	if send("retry: 2000\n\n") != nil {
		return nil
	}
	beat := l.clock.NewTicker(heartbeat)
	defer beat.Stop()
	var look <-chan time.Time
	if often > 0 {
		ticker := l.clock.NewTicker(often)
		defer ticker.Stop()
		look = ticker.Chan()
	}
	checked := l.clock.Now()
	for {
		select {
		case <-v.Context().Done():
			return nil
		case <-l.done:
			return nil
		case <-beat.Chan():
			if send(": \n\n") != nil {
				return nil
			}
			if l.clock.Since(checked) > recheck {
				checked = l.clock.Now()
				if v.identify() != nil || !v.Can(permission) {
					return nil
				}
			}
			continue
		case <-f.wake:
		case <-look:
		}
		for more := true; more; {
			var deliveries, runs []int64
			deliveries, runs, more = l.news(f)
			items, err := rows(deliveries, runs)
			if err != nil {
				if v.Context().Err() == nil {
					v.server.o.Log.ErrorContext(v.Context(), "following failed", "path", v.URL.Path, "error", err)
				}
				return nil // the browser asks again
			}
			for _, item := range items {
				text, err := json.Marshal(item)
				if err != nil || send(fmt.Sprintf("event: row\ndata: %s\n\n", text)) != nil {
					return nil
				}
			}
			select { // what happens meanwhile comes together
			case <-l.clock.After(newsDelay):
			case <-v.Context().Done():
				return nil
			case <-l.done:
				return nil
			}
		}
	}
}
