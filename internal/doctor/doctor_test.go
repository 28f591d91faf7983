package doctor_test

import (
	"bytes"
	"context"
	"database/sql"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jonboulle/clockwork"

	"github.com/buglehq/bugle/internal/doctor"
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

func start(t *testing.T, s *store.Store, clock *clockwork.FakeClock) (*doctor.Doctor, *log) {
	t.Helper()
	text := &log{}
	d := doctor.New(s, doctor.Options{Clock: clock, Log: slog.New(slog.NewTextHandler(text, nil))})
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); d.Run(ctx) }()
	t.Cleanup(func() { stop(); <-done })
	rest(t, clock)
	return d, text
}

// rest waits until the Doctor waits.
func rest(t *testing.T, clock *clockwork.FakeClock) {
	t.Helper()
	if err := clock.BlockUntilContext(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
}

func TestDoctor_provesEveryHour(t *testing.T) {
	clock := clockwork.NewFakeClockAt(storetest.Start)
	database := storetest.Database(t)
	s := storetest.Open(t, database, store.Options{Clock: clock})
	storetest.AddWebhook(t, s, "https://example.com/hook", nil)
	clock.Advance(time.Hour)
	storetest.Create(t, s, &personnel.Calendar, "name", "Training", "color", "#123456")
	d, text := start(t, s, clock)
	if p, err := d.Last(); err != nil || p == nil || p.Broken != 0 || p.Deliveries != 1 || text.String() != "" {
		t.Fatalf("the first proof is %+v, %v; the log says\n%s", p, err, text)
	}
	damage(t, database)
	clock.Advance(time.Hour)
	rest(t, clock)
	if p, err := d.Last(); err != nil || p.Broken != 1 {
		t.Errorf("the second proof is %+v, %v", p, err)
	}
	if !strings.Contains(text.String(), `level=ERROR msg="the database is broken: see bugle doctor --prove" faults=1 check=deliveries id=1`) {
		t.Errorf("the log says\n%s", text)
	}
}

// damage says of a delivery that there were attempts at it, of which there is none.
func damage(t *testing.T, database string) {
	t.Helper()
	driver, name := "pgx", database
	if path, isFile := strings.CutPrefix(database, "sqlite:"); isFile {
		driver, name = "sqlite", path
	}
	db, err := sql.Open(driver, name)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec("UPDATE deliveries SET state = 3, attempts = 5, finished_us = 1 WHERE id = 1"); err != nil {
		t.Fatal(err)
	}
}

func TestDoctor_cannotRead(t *testing.T) {
	s, clock := storetest.NewFile(t)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	d, text := start(t, s, clock)
	if p, err := d.Last(); err == nil || p != nil {
		t.Errorf("the proof of a closed database is %+v, %v", p, err)
	}
	if !strings.Contains(text.String(), "proving that nothing is lost failed") {
		t.Errorf("the log says\n%s", text)
	}
}
