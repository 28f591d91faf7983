package store_test

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jonboulle/clockwork"

	"github.com/buglehq/bugle/internal/store"
	"github.com/buglehq/bugle/internal/storetest"
)

func wantHeld(t *testing.T, s *store.Store, reason string, since time.Time) {
	t.Helper()
	h, err := s.SendingHold(t.Context())
	if err != nil || h == nil || h.Reason != reason || !h.Since.Equal(since) {
		t.Errorf("held is %+v, %v, want %q since %s", h, err, reason, since)
	}
}

func TestSendingHold(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *clockwork.FakeClock) {
		if h, err := s.SendingHold(t.Context()); h != nil || err != nil {
			t.Errorf("a new database is held: %+v, %v", h, err)
		}
		storetest.Change(t, s, func(tx *store.Tx) error { return tx.HoldSending("a drill") })
		wantHeld(t, s, "a drill", clock.Now())
		clock.Advance(time.Hour)
		storetest.Change(t, s, func(tx *store.Tx) error { return tx.HoldSending("another drill") })
		wantHeld(t, s, "another drill", clock.Now())
		for _, want := range []bool{true, false} {
			storetest.Change(t, s, func(tx *store.Tx) error {
				if held, err := tx.ReleaseSending(); held != want || err != nil {
					t.Errorf("released: %v, %v, want %v", held, err, want)
				}
				return nil
			})
		}
		if h, err := s.SendingHold(t.Context()); h != nil || err != nil {
			t.Errorf("it is held after it was released: %+v, %v", h, err)
		}
	})
}

// The copy has all that was committed, and nothing of what comes later.
func TestBackup(t *testing.T) {
	t.Setenv("BUGLE_TEST_POSTGRES", "")
	database := storetest.Database(t)
	s := storetest.Open(t, database, store.Options{})
	storetest.AddWebhook(t, s, "https://example.com/hook", nil)
	owe(t, s, 3)
	to := filepath.Join(t.TempDir(), "copy.db")
	if err := store.Backup(t.Context(), database, to, storetest.Start, func(int64, int64) {}); err != nil {
		t.Fatal(err)
	}
	owe(t, s, 1)
	info, err := os.Stat(to)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the copy's mode is %v, %v", info.Mode(), err)
	}
	if all, err := filepath.Glob(filepath.Dir(to) + "/*"); err != nil || !slices.Equal(all, []string{to}) {
		t.Errorf("there are %q, %v", all, err)
	}
	c := storetest.Open(t, "sqlite:"+to, store.Options{Secrets: store.SecretsSource(database)}) // the key is not in the copy
	wantHeld(t, c, "this is a copy of 2026-01-14 12:00:00 UTC", storetest.Start)
	wantFaults(t, prove(t, c))
	wantDue(t, c, 1, 1, 2, 3)
	if mode := query[int](t, c, "PRAGMA auto_vacuum")[0]; mode != 2 {
		t.Errorf("the copy's auto_vacuum is %d", mode)
	}
	if h, err := s.SendingHold(t.Context()); h != nil || err != nil {
		t.Errorf("the original is held: %+v, %v", h, err)
	}
}

func TestBackup_refuses(t *testing.T) {
	t.Setenv("BUGLE_TEST_POSTGRES", "")
	database, folder := storetest.Database(t), t.TempDir()
	there := filepath.Join(folder, "there.db")
	if err := os.WriteFile(there, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	stopped, stop := context.WithCancel(t.Context())
	stop()
	for _, test := range []struct {
		ctx            context.Context
		name, to, want string
	}{
		{t.Context(), database, there, "file exists"},
		{t.Context(), "sqlite:" + folder + "/none.db", folder + "/copy.db", "no such file"},
		{t.Context(), database, folder + "/none/copy.db", "no such file"},
		{t.Context(), "postgres://user:secret@host/bugle", folder + "/copy.db", "back up postgres://host/bugle: only files of SQLite"},
		{stopped, database, folder + "/copy.db", "context canceled"},
	} {
		err := store.Backup(test.ctx, test.name, test.to, storetest.Start, func(int64, int64) {})
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s to %s: %v, want %s", test.name, test.to, err, test.want)
		}
	}
	if text, err := os.ReadFile(there); err != nil || string(text) != "mine" {
		t.Errorf("the file that was there is %q, %v", text, err)
	}
}

// A damaged original is noticed.
func TestBackup_damaged(t *testing.T) {
	t.Setenv("BUGLE_TEST_POSTGRES", "")
	database := storetest.Database(t)
	damage(t, database, "INSERT INTO deliveries (organization_id, webhook_id, event_id, sequence, order_us, next_attempt_us, created_us) VALUES (1, 1, 99, 1, 1, 1, 1)")
	err := store.Backup(t.Context(), database, filepath.Join(t.TempDir(), "copy.db"), storetest.Start, func(int64, int64) {})
	if err == nil || !strings.Contains(err.Error(), "the copy is damaged, and so may be the original: deliveries") {
		t.Errorf("a delivery without its event: %v", err)
	}
}
