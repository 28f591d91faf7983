package retention_test

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jonboulle/clockwork"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/internal/retention"
	"github.com/buglehq/bugle/internal/store"
	"github.com/buglehq/bugle/internal/storetest"
	"github.com/buglehq/bugle/personnel"
)

// A log is written by one goroutine and read by another.
type log struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// start runs a Cleaner until the test ends.
func start(t *testing.T, s *store.Store, clock *clockwork.FakeClock, r *bugle.Retention) *log {
	t.Helper()
	text := &log{}
	c := retention.New(s, retention.Options{Clock: clock, Log: slog.New(slog.NewTextHandler(text, nil)), Defaults: r})
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); c.Run(ctx) }()
	t.Cleanup(func() { stop(); <-done })
	return text
}

// rest waits until the Cleaner has nothing to do, through the pauses between its steps.
func rest(t *testing.T, clock *clockwork.FakeClock, until func() bool) {
	t.Helper()
	for range 1000 {
		if err := clock.BlockUntilContext(t.Context(), 1); err != nil {
			t.Fatal(err)
		}
		if until() {
			return
		}
		clock.Advance(10 * time.Millisecond)
	}
	t.Fatal("the Cleaner does not come to rest")
}

func TestCleaner_deletesWhatIsOldEveryHour(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *clockwork.FakeClock) {
		events := func() int {
			page, err := s.Events(t.Context(), 1, store.EventFilter{}, store.PageRequest{Number: 1, Limit: 10})
			if err != nil {
				t.Fatal(err)
			}
			return page.Total
		}
		storetest.Create(t, s, &personnel.Calendar, "name", "Old", "color", "#123456")
		clock.Advance(31 * time.Minute)
		storetest.Create(t, s, &personnel.Calendar, "name", "Newer", "color", "#123456")
		clock.Advance(7*24*time.Hour - time.Minute)
		text := start(t, s, clock, &bugle.Retention{Events: bugle.Keep{Days: 7}})
		rest(t, clock, func() bool { return strings.Contains(text.String(), "old rows deleted") })
		if n := events(); n != 1 || !strings.Contains(text.String(), "attempts=0 deliveries=0 events=1 runs=0 sendings=0") {
			t.Errorf("%d events are left, and the log says\n%s", n, text)
		}
		clock.Advance(time.Hour)
		rest(t, clock, func() bool { return events() == 0 })
	})
}

// Whoever wants the log cleaned more often wants it to be short, too.
func TestCleaner_moreOften(t *testing.T) {
	s, clock := storetest.NewFile(t)
	events := func() int {
		page, err := s.Events(t.Context(), 1, store.EventFilter{}, store.PageRequest{Number: 1, Limit: 10})
		if err != nil {
			t.Fatal(err)
		}
		return page.Total
	}
	for _, name := range []string{"Oldest", "Old", "New"} {
		storetest.Create(t, s, &personnel.Calendar, "name", name, "color", "#123456")
	}
	c := retention.New(s, retention.Options{Clock: clock, Defaults: &bugle.Retention{Events: bugle.Keep{Rows: 1}}, Every: time.Minute})
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); c.Run(ctx) }()
	defer func() { stop(); <-done }()
	if err := clock.BlockUntilContext(ctx, 1); err != nil {
		t.Fatal(err)
	}
	if n := events(); n != 3 {
		t.Errorf("%d events are left within the minute, want 3", n)
	}
	clock.Advance(time.Minute + time.Millisecond)
	rest(t, clock, func() bool { return events() == 1 })
}

func TestCleaner_goesOnAfterAnError(t *testing.T) {
	s, clock := storetest.NewFile(t)
	storetest.Create(t, s, &personnel.Calendar, "name", "Old", "color", "#123456")
	clock.Advance(100 * 24 * time.Hour)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	text := start(t, s, clock, nil)
	rest(t, clock, func() bool { return strings.Contains(text.String(), "deleting old rows failed") })
	before := strings.Count(text.String(), "deleting old rows failed")
	clock.Advance(time.Minute)
	rest(t, clock, func() bool { return strings.Count(text.String(), "deleting old rows failed") > before })
}
