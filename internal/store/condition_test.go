package store_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jonboulle/clockwork"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/internal/store"
	"github.com/buglehq/bugle/internal/storetest"
)

func TestOwed(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *clockwork.FakeClock) {
		want := func(want store.Owed) {
			t.Helper()
			if got, err := s.Owed(t.Context()); err != nil || got != want {
				t.Errorf("owed are %+v, %v, want %+v", got, err, want)
			}
		}
		want(store.Owed{})
		paused := storetest.AddWebhook(t, s, "https://example.com/0", nil)
		owe(t, s, 1)
		storetest.Change(t, s, func(tx *store.Tx) error {
			return errors.Join(paused.Pause(), tx.SaveWebhook(paused))
		})
		clock.Advance(time.Minute)
		want(store.Owed{Due: 1})
		healthy := storetest.AddWebhook(t, s, "https://example.com/1", nil).ID
		failing := storetest.AddWebhook(t, s, "https://example.com/2", nil).ID
		owe(t, s, 1) // 2, 3 and 4
		since := clock.Now()
		clock.Advance(time.Minute)
		owe(t, s, 1)
		want(store.Owed{Due: 7, OldestHealthy: since})
		for _, d := range due(t, s, failing)[:1] {
			r := result(delivery(t, s, d.ID), 500, bugle.Outcome{State: bugle.Pending, NextAt: clock.Now().Add(time.Hour)})
			if err := s.Record(t.Context(), []store.Result{r}, map[int64]bugle.Health{failing: {ConsecutiveFailures: 1, LastFailureAt: clock.Now()}}); err != nil {
				t.Fatal(err)
			}
		}
		want(store.Owed{Due: 6, Retrying: 1, OldestHealthy: since, OldestFailing: clock.Now()})
		record(t, s, result(delivery(t, s, due(t, s, healthy)[0].ID), 200, bugle.Outcome{State: bugle.Delivered}))
		want(store.Owed{Due: 5, Retrying: 1, OldestHealthy: clock.Now(), OldestFailing: clock.Now()})
	})
}

// However much is owed, counting it stays cheap: by the indexes of what is owed, and to a bound.
func TestOwed_isCapped(t *testing.T) {
	s, _ := storetest.New(t)
	storetest.AddWebhook(t, s, "https://example.com", nil)
	owe(t, s, 1)
	exec(t, s, `
		WITH RECURSIVE n (i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < 101000)
		INSERT INTO deliveries (organization_id, webhook_id, event_id, sequence, state, order_us, next_attempt_us, created_us)
		SELECT 1, 1, 1, i, 0, i, i, i FROM n`)
	o, err := s.Owed(t.Context())
	if err != nil || o.Due != store.MaxOwed || o.Retrying != 0 || o.OldestHealthy.UnixMicro() != 2 {
		t.Errorf("owed are %+v, %v, want %d", o, err, store.MaxOwed)
	}
}

func TestProbe(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *clockwork.FakeClock) {
		if err := s.Probe(t.Context()); err != nil {
			t.Error(err)
		}
		exec(t, s, "ALTER TABLE stats_summed RENAME TO elsewhere")
		if err := s.Probe(t.Context()); err == nil || !strings.Contains(err.Error(), "write to the database: ") {
			t.Errorf("a database that takes no change: %v", err)
		}
		exec(t, s, "ALTER TABLE elsewhere RENAME TO stats_summed")
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if err := s.Probe(t.Context()); !errors.Is(err, store.ErrClosed) {
			t.Errorf("a closed database: %v", err)
		}
	})
}

func TestSchema_ofAStore(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *clockwork.FakeClock) {
		now, err := s.Schema(t.Context())
		if err != nil || now.Version != now.Known || now.Known < 1 || len(now.Missing) > 0 {
			t.Errorf("a new database has %+v, %v", now, err)
		}
		exec(t, s, "INSERT INTO goose_db_version (version_id, is_applied) VALUES (9999, 1 = 1)")
		if newer, err := s.Schema(t.Context()); err != nil || newer.Version != 9999 || newer.Known != now.Known {
			t.Errorf("tables of a newer program: %+v, %v", newer, err)
		}
		exec(t, s, "DELETE FROM goose_db_version WHERE version_id > 0")
		if lost, err := s.Schema(t.Context()); err != nil || lost.Version != 0 || len(lost.Missing) == 0 {
			t.Errorf("a database that lost its migrations: %+v, %v", lost, err)
		}
	})
}

func TestSize(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *clockwork.FakeClock) {
		owe(t, s, 1)
		size, wal, err := s.Size(t.Context())
		if err != nil || size < 100000 {
			t.Errorf("the database has %d bytes, %v", size, err)
		}
		if (wal > 0) == storetest.OnPostgres() || (s.Folder() == "") != storetest.OnPostgres() {
			t.Errorf("the log of writes has %d bytes, the folder is %q", wal, s.Folder())
		}
	})
}

func TestSize_fileIsGone(t *testing.T) {
	s, _ := storetest.NewFile(t)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(s.Folder(), "*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("files are %q, %v", files, err)
	}
	for _, f := range files {
		if err := os.Remove(f); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, err := s.Size(t.Context()); err == nil {
		t.Error("a database without a file has a size")
	}
}

// Commits are told of, with what shared them; one that failed, too.
func TestOnCommit(t *testing.T) {
	var mu sync.Mutex
	var told []store.Commit
	s, _ := storetest.NewWith(t, store.Options{OnCommit: func(c store.Commit) {
		mu.Lock()
		defer mu.Unlock()
		told = append(told, c)
	}})
	last := func() store.Commit {
		t.Helper()
		mu.Lock()
		defer mu.Unlock()
		if len(told) == 0 {
			t.Fatal("no commit was told of")
		}
		c := told[len(told)-1]
		if c.Took <= 0 {
			t.Errorf("a commit took %s", c.Took)
		}
		c.Took = 0
		return c
	}
	storetest.AddWebhook(t, s, "https://example.com", nil)
	owe(t, s, 1)
	if got, want := last(), (store.Commit{Jobs: 1, Events: 1}); got != want {
		t.Errorf("a change is told as %+v, want %+v", got, want)
	}
	record(t, s, result(delivery(t, s, 1), 200, bugle.Outcome{State: bugle.Delivered}))
	if got, want := last(), (store.Commit{Results: true, Jobs: 1}); got != want {
		t.Errorf("results are told as %+v, want %+v", got, want)
	}
	wrong := errors.New("no")
	if err := s.Update(t.Context(), func(tx *store.Tx) error { return errors.Join(addCalendar("?")(tx), wrong) }); !errors.Is(err, wrong) {
		t.Fatal(err)
	}
	if got, want := last(), (store.Commit{Jobs: 1}); got != want {
		t.Errorf("a change that is undone is told as %+v, want %+v", got, want)
	}
}
