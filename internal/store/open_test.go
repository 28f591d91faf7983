package store_test

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/buglehq/bugle/internal/store"
	"github.com/buglehq/bugle/internal/storetest"
	"github.com/buglehq/bugle/personnel"
)

func databasePath(t *testing.T) string {
	t.Helper()
	return filepath.Join(t.TempDir(), "bugle.db")
}

// openAt opens the database at the path for a test that closes it itself.
func openAt(t *testing.T, path string) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), "sqlite:"+path, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func closeStore(t *testing.T, s *store.Store) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestOpen_exclusive(t *testing.T) {
	path := databasePath(t)
	exclusive := store.Options{Exclusive: true}
	first, err := store.Open(t.Context(), "sqlite:"+path, exclusive)
	if err != nil {
		t.Fatal(err)
	}
	if second, err := store.Open(t.Context(), "sqlite:"+path, exclusive); !errors.Is(err, store.ErrInUse) {
		t.Errorf("a second server gets %v, %v, want ErrInUse", second, err)
	}
	shared := openAt(t, path) // as a command does while the server runs
	if _, err := shared.EnsureOrganization(t.Context(), "Test"); err != nil {
		t.Error(err)
	}
	closeStore(t, shared)
	closeStore(t, first)

	again, err := store.Open(t.Context(), "sqlite:"+path, exclusive)
	if err != nil {
		t.Fatalf("after the first server has gone: %v", err)
	}
	closeStore(t, again)
}

func TestOpen_errorsSayWhatToDo(t *testing.T) {
	folder := t.TempDir()
	file := filepath.Join(folder, "file")
	if err := os.WriteFile(file, []byte(strings.Repeat("This is a letter and no database. ", 200)), 0o600); err != nil {
		t.Fatal(err)
	}
	newer := filepath.Join(folder, "newer.db")
	s := openAt(t, newer)
	exec(t, s, "INSERT INTO goose_db_version (version_id, is_applied) VALUES (9999, 1)")
	exec(t, s, "UPDATE schema_compatibility SET lowest_version = 9999")
	closeStore(t, s)

	tests := []struct{ name, database, want string }{
		{"no scheme", "bugle.db", `database is "bugle.db", want sqlite: and a path`},
		{"unknown scheme", "mysql://admin:hunter2@db.example.com/bugle", `database is "mysql://db.example.com/bugle", want sqlite: and a path`},
		{"no path", "sqlite:", `want sqlite: and a path`},
		{"folder that cannot be made", "sqlite:" + filepath.Join(file, "below", "bugle.db"), "make its folder: mkdir " + file},
		{"a folder", "sqlite:" + folder, "open database " + folder},
		{"no database", "sqlite:" + file, "file is not a database"},
		{"newer than the program", "sqlite:" + newer, "the tables have version 9999, made by a newer Bugle"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s, err := store.Open(t.Context(), test.database, store.Options{})
			if err == nil {
				closeStore(t, s)
				t.Fatal("it opens")
			}
			if !strings.Contains(err.Error(), test.want) {
				t.Errorf("error is %q, want it to contain %q", err, test.want)
			}
			if strings.Contains(err.Error(), "hunter2") {
				t.Errorf("error shows the password: %q", err)
			}
		})
	}
}

// A failed Open must not keep the database from being opened later.
func TestOpen_exclusiveAfterFailure(t *testing.T) {
	path := databasePath(t)
	if err := os.WriteFile(path, []byte(strings.Repeat("no database", 500)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Open(t.Context(), "sqlite:"+path, store.Options{Exclusive: true}); err == nil {
		t.Fatal("it opens")
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(t.Context(), "sqlite:"+path, store.Options{Exclusive: true})
	if err != nil {
		t.Fatal(err)
	}
	closeStore(t, s)
}

func TestOpen_pathWithSpecialCharacters(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a folder?mode=memory", "50% #1.db")
	closeStore(t, openAt(t, path))
	if _, err := os.Stat(path); err != nil {
		t.Errorf("the database is somewhere else: %v", err)
	}
}

func TestOpen_again(t *testing.T) {
	path := databasePath(t)
	schema := func(s *store.Store) []string {
		return append(query[string](t, s, "SELECT type || ' ' || name || ' ' || COALESCE(sql, '') FROM sqlite_master ORDER BY 1"),
			query[string](t, s, "SELECT id || ' ' || version_id || ' ' || tstamp FROM goose_db_version ORDER BY id")...)
	}
	s := openAt(t, path)
	if _, err := s.EnsureOrganization(t.Context(), "First"); err != nil {
		t.Fatal(err)
	}
	hook := storetest.AddWebhook(t, s, "https://example.com/hook", nil)
	jane := user(t, s, "Jane Roe")
	before, ids := schema(s), query[int64](t, s, "SELECT id FROM deliveries")
	closeStore(t, s)

	s = openAt(t, path)
	defer closeStore(t, s)
	if after := schema(s); !slices.Equal(before, after) {
		t.Errorf("opening again changed the tables from\n%q\nto\n%q", before, after)
	}
	if o, err := s.EnsureOrganization(t.Context(), "Second"); err != nil || o.Name != "First" {
		t.Errorf("the organization is %+v, %v, want the one of before", o, err)
	}
	if r := get(t, s, &personnel.User, jane.ID()); r.Text("name") != "Jane Roe" {
		t.Errorf("the user is %q", r.Text("name"))
	}
	due, err := s.Due(t.Context(), hook.ID, 0, 0, 10)
	if err != nil || len(due) != 1 || due[0].ID != ids[0] {
		t.Errorf("due deliveries are %+v, %v, want those of before: %d", due, err, ids)
	}
}

// A server and commands may be started on a new database at the same moment.
func TestOpen_migratesOnce(t *testing.T) {
	path := databasePath(t)
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			s, err := store.Open(t.Context(), "sqlite:"+path, store.Options{})
			if err != nil {
				t.Error(err)
				return
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
}

// The database holds secrets: nobody else on the machine may read it.
func TestOpen_onlyTheOwnerMayRead(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("files have no such modes there")
	}
	path := databasePath(t)
	s := openAt(t, path)
	defer closeStore(t, s)
	if _, err := s.EnsureOrganization(t.Context(), "Test"); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{path, path + "-wal"} {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has the mode %s", name, info.Mode())
		}
	}
}
