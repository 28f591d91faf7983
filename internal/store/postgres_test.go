package store_test

import (
	"database/sql"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/internal/store"
	"github.com/buglehq/bugle/internal/storetest"
	"github.com/buglehq/bugle/personnel"
	"github.com/buglehq/bugle/value"
)

func onPostgres(t *testing.T) {
	t.Helper()
	if !storetest.OnPostgres() {
		t.Skip("BUGLE_TEST_POSTGRES names no server")
	}
}

// A server that was started again, or a connection that was cut, costs the changes under way at most.
func TestPostgres_connectsAgain(t *testing.T) {
	onPostgres(t)
	s, _ := storetest.New(t)
	before := user(t, s, "Jane Roe")
	cut := func() {
		t.Helper()
		err := s.Query(t.Context(), func(scan func(to ...any) error) error {
			var done bool
			return scan(&done)
		}, "SELECT PG_TERMINATE_BACKEND(pid) FROM pg_stat_activity WHERE datname = CURRENT_DATABASE() AND pid <> PG_BACKEND_PID()")
		if err != nil {
			t.Fatal(err)
		}
	}
	for range 3 {
		cut()
		storetest.Update(t, s, &personnel.User, before.ID(), "notes", "Back.")
	}
	failed := s.Update(t.Context(), func(tx *store.Tx) error {
		cut()
		_, err := tx.Create(storetest.Actor(), &personnel.Rank, value.Map("name", "Sergeant"))
		return err
	})
	if failed == nil {
		t.Error("a change whose connection was cut has no error")
	}
	if got := storetest.Create(t, s, &personnel.Rank, "name", "Corporal"); count(t, s, "ranks") != 1 || got.Get("name") != "Corporal" {
		t.Errorf("there are %d ranks, want the one that was written after the cut", count(t, s, "ranks"))
	}
}

// Without a connection changes and reads say that the database is away, and nothing needs a restart.
func TestPostgres_away(t *testing.T) {
	onPostgres(t)
	database := storetest.Database(t)
	s := storetest.Open(t, database, store.Options{})
	admin, err := sql.Open("pgx", os.Getenv("BUGLE_TEST_POSTGRES"))
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close()
	name := database[strings.LastIndex(database, "/")+1:]
	name, _, _ = strings.Cut(name, "?")
	for _, statement := range []string{"ALTER DATABASE " + name + " ALLOW_CONNECTIONS false", "SELECT PG_TERMINATE_BACKEND(pid) FROM pg_stat_activity WHERE datname = '" + name + "'"} {
		if _, err := admin.Exec(statement); err != nil {
			t.Fatal(err)
		}
	}
	change := func() error {
		return s.Update(t.Context(), func(tx *store.Tx) error {
			_, err := tx.Create(storetest.Actor(), &personnel.Rank, value.Map("name", "Sergeant"))
			return err
		})
	}
	for range 2 {
		if err := change(); !errors.Is(err, store.ErrAway) {
			t.Errorf("a change without a connection has the error %v, want %v", err, store.ErrAway)
		}
	}
	read := func() error {
		_, err := s.Organization(t.Context(), 1)
		return err
	}
	for range 20 { // those connections of the pool that were cut say so themselves
		err = read()
	}
	if !errors.Is(err, store.ErrAway) {
		t.Errorf("a read without a connection has the error %v, want %v", err, store.ErrAway)
	}
	if _, err := admin.Exec("ALTER DATABASE " + name + " ALLOW_CONNECTIONS true"); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(change(), read()); err != nil {
		t.Error(err)
	}
	if n := count(t, s, "ranks"); n != 1 {
		t.Errorf("there are %d ranks, want the one that was written afterwards", n)
	}
}

// Any number of servers share a database, but none with a command that has to be alone.
func TestPostgres_exclusive(t *testing.T) {
	onPostgres(t)
	database := storetest.Database(t)
	node := storetest.Open(t, database, store.Options{Node: "a"})
	second := storetest.Open(t, database, store.Options{Node: "b"})
	if _, err := store.Open(t.Context(), database, store.Options{Exclusive: true}); !errors.Is(err, store.ErrInUse) {
		t.Errorf("a command beside servers: %v, want ErrInUse", err)
	}
	beside := storetest.Open(t, database, store.Options{}) // a command that need not be alone
	storetest.Create(t, beside, &personnel.Rank, "name", "Sergeant")
	for _, s := range []*store.Store{node, second} {
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	alone := storetest.Open(t, database, store.Options{Exclusive: true})
	if _, err := store.Open(t.Context(), database, store.Options{Node: "c"}); !errors.Is(err, store.ErrInUse) {
		t.Errorf("a server beside a command that is alone: %v, want ErrInUse", err)
	}
	storetest.Create(t, alone, &personnel.Rank, "name", "Corporal")
}

// Two processes change the same rows: what has to be unique is, and nothing is lost.
func TestPostgres_changesOfTwoProcesses(t *testing.T) {
	onPostgres(t)
	database := storetest.Database(t)
	stores := []*store.Store{storetest.Open(t, database, store.Options{}), storetest.Open(t, database, store.Options{})}
	storetest.AddWebhook(t, stores[0], "https://example.com", nil)
	done := make(chan error)
	for process, s := range stores {
		go func() {
			for i := range 100 {
				if err := s.Update(t.Context(), func(tx *store.Tx) error {
					_, err := tx.Create(storetest.Actor(), &personnel.User, value.Map("name", "Jane Roe", "email", fmt.Sprintf("jane-%d-%d@example.com", process, i)))
					return err
				}); err != nil {
					done <- err
					return
				}
			}
			done <- nil
		}()
	}
	for range stores {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	sequences := query[int64](t, stores[0], "SELECT sequence FROM deliveries ORDER BY order_us, id")
	if len(sequences) != 200 || !slices.IsSorted(sequences) || sequences[0] != 1 || sequences[199] != 200 {
		t.Errorf("in the order of the lane the deliveries are numbered %d, want 1 to 200", sequences)
	}
}

// A password is in no error.
func TestPostgres_errorsHideThePassword(t *testing.T) {
	for _, name := range []string{"postgres://jane:hunter2@127.0.0.1:1/bugle?connect_timeout=1", "postgres://jane:hunter2@127.0.0.1:nowhere/bugle", "postgres://jane:hunter2@%zz/bugle"} {
		_, err := store.Open(t.Context(), name, store.Options{})
		if err == nil || strings.Contains(err.Error(), "hunter2") || !strings.HasPrefix(err.Error(), "open database postgres:") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if server := os.Getenv("BUGLE_TEST_POSTGRES"); server != "" {
		if _, err := store.Open(t.Context(), strings.Replace(server, "/postgres?", "/no_such_database?", 1), store.Options{}); err == nil || !strings.Contains(err.Error(), "no_such_database") {
			t.Errorf("a database that is not there: %v", err)
		}
	}
}

func TestPostgres_textsWithNULAreRefused(t *testing.T) {
	onPostgres(t)
	s, _ := storetest.New(t)
	var invalid *bugle.InvalidError
	err := s.Update(t.Context(), func(tx *store.Tx) error {
		w := bugle.NewWebhook()
		w.OrganizationID, w.Name, w.URL = 1, "a\x00b", "https://example.com"
		return tx.AddWebhook(&w)
	})
	if !errors.As(err, &invalid) || !strings.Contains(err.Error(), "U+0000") {
		t.Errorf("error %v, want one that says which character", err)
	}
	user(t, s, "Jane Roe")
}
