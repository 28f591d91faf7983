package observe

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jonboulle/clockwork"

	"github.com/buglehq/bugle/internal/delivery"
	"github.com/buglehq/bugle/internal/secrets"
	"github.com/buglehq/bugle/internal/store"
	"github.com/buglehq/bugle/internal/storetest"
)

// asked returns the status and the text of an answer to /readyz.
func asked(r *Readiness) (int, string) {
	w := httptest.NewRecorder()
	r.ServeHTTP(w, httptest.NewRequest("GET", "/readyz", nil))
	return w.Code, strings.TrimSpace(w.Body.String())
}

func wantReady(t *testing.T, r *Readiness, status int, text string) {
	t.Helper()
	if got, said := asked(r); got != status || said != text {
		t.Errorf("the answer is %d %s, want %d %s", got, said, status, text)
	}
}

const isReady = `{"status":"ok"}`

func notReady(pairs ...string) string {
	var reasons []string
	for i := 0; i < len(pairs); i += 2 {
		reasons = append(reasons, fmt.Sprintf(`{"check":%q,"reason":%q}`, pairs[i], pairs[i+1]))
	}
	return `{"status":"not ready","reasons":[` + strings.Join(reasons, ",") + `]}`
}

// An answer stands for a second, what everybody may read is not the error, and the log has one line for a change.
func TestReadiness(t *testing.T) {
	clock := clockwork.NewFakeClock()
	var log bytes.Buffer
	var err, other error
	n := 0
	r := NewReadiness(clock, slog.New(slog.NewTextHandler(&log, nil)), Check{"first", "it is broken", func(context.Context) error {
		n++
		return err
	}}, Check{"second", "this too", func(context.Context) error { return other }})
	wantReady(t, r, 200, isReady)
	err = errors.New("no answer from postgres://user:secret@db/x")
	clock.Advance(time.Second - 1)
	wantReady(t, r, 200, isReady)
	clock.Advance(1)
	for range 3 {
		wantReady(t, r, 503, notReady("first", "it is broken"))
		clock.Advance(time.Second)
	}
	err = &Reason{"", "it has 3 left, want 4"}
	wantReady(t, r, 503, notReady("first", "it has 3 left, want 4"))
	clock.Advance(time.Second)
	err, other = nil, errors.New("gone")
	wantReady(t, r, 503, notReady("second", "this too"))
	clock.Advance(time.Second)
	other = nil
	wantReady(t, r, 200, isReady)
	if n != 7 {
		t.Errorf("the check ran %d times, want 7", n)
	}
	if lines := strings.Split(strings.TrimSpace(log.String()), "\n"); len(lines) != 3 || !strings.Contains(lines[0], `msg="not ready" check=first error="no answer`) ||
		!strings.Contains(lines[1], `msg="not ready" check=second error=gone`) || !strings.Contains(lines[2], "ready again") {
		t.Errorf("the log is\n%s", log.String())
	}
}

// A check that has come back is begun anew, however soon the next asks.
func TestReadiness_askedAtOnce(t *testing.T) {
	r := NewReadiness(clockwork.NewRealClock(), slog.New(slog.DiscardHandler), Check{"quick", "it hangs", func(context.Context) error { return nil }})
	for range 5000 {
		r.asked = time.Time{}
		if reasons := r.Reasons(t.Context()); reasons != nil {
			t.Fatalf("the reasons are %v, want none", reasons)
		}
	}
}

// A check that does not come back counts as failed, and is not begun again until it has.
func TestReadiness_checkHangs(t *testing.T) {
	clock := clockwork.NewFakeClock()
	begun, end := 0, make(chan struct{})
	r := NewReadiness(clock, slog.New(slog.DiscardHandler), Check{"stuck", "it hangs", func(context.Context) error {
		begun++
		<-end
		return nil
	}})
	r.within = 10 * time.Millisecond
	for range 3 {
		wantReady(t, r, 503, notReady("stuck", "it hangs"))
		clock.Advance(time.Second)
	}
	close(end)
	<-r.busy[0]
	r.within = time.Minute
	wantReady(t, r, 200, isReady)
	if begun != 2 {
		t.Errorf("the check began %d times, want 2", begun)
	}
}

// ready is a Readiness of the real checks, which asks them each time.
func ready(t *testing.T, checks ...Check) *Readiness {
	t.Helper()
	r := NewReadiness(clockwork.NewRealClock(), slog.New(slog.DiscardHandler), checks...)
	wantReady(t, r, 200, isReady)
	r.asked = time.Time{}
	return r
}

// newFile returns a store in a file, and what runs SQL on it as another process could.
func newFile(t *testing.T) (s *store.Store, exec func(query string)) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "bugle.db")
	s = storetest.Open(t, "sqlite:"+path, store.Options{})
	return s, func(query string) {
		t.Helper()
		file, err := sql.Open("sqlite", path)
		if err != nil {
			t.Fatal(err)
		}
		_, err = file.Exec(query)
		if err := errors.Join(err, file.Close()); err != nil {
			t.Fatal(err)
		}
	}
}

func TestDatabaseChecks_tablesAreOld(t *testing.T) {
	s, exec := newFile(t)
	r := ready(t, DatabaseChecks(s)...)
	schema, err := s.Schema(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	exec("DELETE FROM goose_db_version WHERE version_id > 0")
	wantReady(t, r, 503, notReady("database", fmt.Sprintf("the tables have version 0, want %d: start the server again, which migrates them", schema.Known)))
}

func TestDatabaseChecks_takesNoChanges(t *testing.T) {
	s, exec := newFile(t)
	r := ready(t, DatabaseChecks(s)...)
	exec("ALTER TABLE stats_summed RENAME TO elsewhere")
	wantReady(t, r, 503, notReady("writes", "the database does not take changes"))
}

func TestDatabaseChecks_closed(t *testing.T) {
	s, _ := storetest.New(t)
	r := ready(t, DatabaseChecks(s)...)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	wantReady(t, r, 503, notReady("database", "the database cannot be read", "writes", "the database does not take changes"))
}

// A server that another one has left behind, which encrypts with a key that this one does not have, is not ready.
func TestSecretsCheck(t *testing.T) {
	database, clock := storetest.Database(t), clockwork.NewFakeClock()
	mine, err := secrets.NewMemory()
	if err != nil {
		t.Fatal(err)
	}
	s := storetest.Open(t, database, store.Options{Node: "one", Secrets: mine, Clock: clock})
	r := NewReadiness(clock, slog.New(slog.DiscardHandler), SecretsCheck(s))
	wantReady(t, r, 200, `{"status":"ok"}`)
	more, id, err := mine.Keys.Add()
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := storetest.Open(t, database, store.Options{Secrets: &secrets.Memory{Keys: more}}).UseSecretKey(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	clock.Advance(answerFor)
	wantReady(t, r, 503, notReady("secrets", "the key that secrets are encrypted with is not there"))
	mine.Keys = more
	clock.Advance(answerFor)
	wantReady(t, r, 200, `{"status":"ok"}`)
}

func TestEngineCheck(t *testing.T) {
	s, _ := storetest.New(t)
	guard, err := delivery.NewGuard(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	engine := delivery.NewEngine(s, delivery.NewClient(guard, delivery.ClientOptions{}), delivery.Options{})
	r := NewReadiness(clockwork.NewRealClock(), slog.New(slog.DiscardHandler), EngineCheck(engine, s))
	wantReady(t, r, 503, notReady("engine", "deliveries are not sent: the engine is not running"))
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		engine.Run(ctx)
	}()
	for status := 0; status != 200; status, _ = asked(r) {
		r.asked = time.Time{}
	}
	stop()
	<-ended
	r.asked = time.Time{}
	wantReady(t, r, 503, notReady("engine", "deliveries are not sent: the engine is not running"))

	storetest.Change(t, s, func(tx *store.Tx) error { return tx.HoldSending("a drill") }) // and then it is not to run
	r.asked = time.Time{}
	if status, text := asked(r); status != 200 {
		t.Errorf("while sending is held it answers %d: %s", status, text)
	}
}

func TestRoomCheck(t *testing.T) {
	free, err := uint64(MinFree), error(nil)
	check := roomCheck(map[string]string{"database": "/data"}, func(folder string) (uint64, error) {
		if folder != "/data" {
			t.Errorf("asked for the room of %s", folder)
		}
		return free, err
	})
	r := ready(t, check)
	free--
	wantReady(t, r, 503, notReady("disk", "the disk of the database has 63 MiB left, want 64"))
	r.asked, err = time.Time{}, errors.New("stale file handle")
	wantReady(t, r, 503, notReady("disk", "the room on the disk cannot be read"))
	r = NewReadiness(clockwork.NewRealClock(), slog.New(slog.DiscardHandler), RoomCheck(map[string]string{"storage": t.TempDir() + "/gone"}))
	wantReady(t, r, 503, notReady("disk", "the room on the disk cannot be read"))
}
