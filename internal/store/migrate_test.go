package store_test

import (
	"bytes"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/buglehq/bugle/internal/store"
	"github.com/buglehq/bugle/internal/storetest"
	"github.com/buglehq/bugle/personnel"
)

const addsTable = "CREATE TABLE later (id BIGINT PRIMARY KEY);"

// schema is store.ReadSchema of a database that can be read.
func schema(t *testing.T, database string) store.Schema {
	t.Helper()
	s, err := store.ReadSchema(t.Context(), database)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestReadSchema_changesNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "data", "bugle.db")
	got := schema(t, "sqlite:"+path)
	if got.Version != 0 || got.Known < 8 || got.Missing[0] != "0001_initial.sql" || !slices.Contains(got.Missing, "0007_deploy.sql") {
		t.Errorf("of no file: %+v", got)
	}
	if _, err := os.Stat(filepath.Dir(path)); !errors.Is(err, fs.ErrNotExist) {
		t.Error("it made the folder")
	}
	database := storetest.Database(t)
	if got := schema(t, database); got.Version != got.Known || got.Lowest != 12 || len(got.Missing) != 0 {
		t.Errorf("of a new database: %+v", got)
	}
	store.AddMigrations(t, map[string]string{"9990_later.sql": addsTable})
	for range 2 {
		if got := schema(t, database); got.Known != 9990 || !slices.Equal(got.Missing, []string{"9990_later.sql"}) {
			t.Errorf("with a migration that is missing: %+v", got)
		}
	}
}

func TestMigrate(t *testing.T) {
	database := storetest.Database(t)
	store.AddMigrations(t, map[string]string{"9990_later.sql": addsTable, "9991_more.sql": "INSERT INTO later (id) VALUES (1);"})
	var log bytes.Buffer
	before, err := store.Migrate(t.Context(), database, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil || !slices.Equal(before.Missing, []string{"9990_later.sql", "9991_more.sql"}) {
		t.Errorf("it returns %+v, %v", before, err)
	}
	if strings.Count(log.String(), "tables migrated") != 2 {
		t.Errorf("the log says\n%s", &log)
	}
	if got := schema(t, database); got.Version != 9991 || len(got.Missing) != 0 {
		t.Errorf("afterwards: %+v", got)
	}
	if before, err := store.Migrate(t.Context(), database, nil); err != nil || len(before.Missing) != 0 {
		t.Errorf("again: %+v, %v", before, err)
	}
	s := storetest.Open(t, database, store.Options{Keep: true})
	if n := count(t, s, "later"); n != 1 {
		t.Errorf("there are %d rows, want the one of the migration", n)
	}
}

func TestMigrate_aFailureSaysWhatAndUndoesIt(t *testing.T) {
	database := storetest.Database(t)
	store.AddMigrations(t, map[string]string{"9990_later.sql": addsTable + "\nINSERT INTO nowhere (id) VALUES (1);"})
	if _, err := store.Migrate(t.Context(), database, nil); err == nil || !strings.Contains(err.Error(), "version:9990") || !strings.Contains(err.Error(), "nowhere") {
		t.Errorf("error %v, want one that names the migration and its fault", err)
	}
	store.AddMigrations(t, map[string]string{"9990_later.sql": addsTable})
	if _, err := store.Migrate(t.Context(), database, nil); err != nil {
		t.Errorf("once it is right: %v", err)
	}
}

func TestMigrate_errorsSayWhatToDo(t *testing.T) {
	for _, name := range []string{"bugle.db", "sqlite:", "postgres://jane:hunter2@127.0.0.1:1/bugle?connect_timeout=1", "postgres://jane:hunter2@%zz/bugle"} {
		_, err := store.Migrate(t.Context(), name, nil)
		_, readErr := store.ReadSchema(t.Context(), name)
		for _, err := range []error{err, readErr} {
			if err == nil || strings.Contains(err.Error(), "hunter2") || !strings.Contains(err.Error(), "database") {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

// A program that is not to migrate does not start before somebody has.
func TestOpen_keep(t *testing.T) {
	database := storetest.Database(t)
	forget := store.AddMigrations(t, map[string]string{"9990_later.sql": addsTable})
	if _, err := store.Open(t.Context(), database, store.Options{Keep: true}); !errors.Is(err, store.ErrOutdated) || !strings.Contains(err.Error(), "9990_later.sql; run bugle migrate") {
		t.Errorf("error %v, want one that says what is missing", err)
	}
	if got := schema(t, database); len(got.Missing) != 1 {
		t.Errorf("afterwards the tables lack %q", got.Missing)
	}
	forget()
	storetest.Open(t, database, store.Options{Keep: true})
}

// A newer program adds to the tables while an older one works on them. Both go on, and the older one may start again.
func TestOpen_olderBesideNewer(t *testing.T) {
	database := storetest.Database(t)
	older := storetest.Open(t, database, store.Options{})
	forget := store.AddMigrations(t, map[string]string{"9990_later.sql": addsTable + "\nALTER TABLE ranks ADD COLUMN later TEXT;"})
	newer := storetest.Open(t, database, store.Options{})
	forget()
	storetest.Create(t, older, &personnel.Rank, "name", "Sergeant")
	storetest.Create(t, newer, &personnel.Rank, "name", "Corporal")

	var log bytes.Buffer
	again := storetest.Open(t, database, store.Options{Log: slog.New(slog.NewTextHandler(&log, nil))})
	storetest.Create(t, again, &personnel.Rank, "name", "Private")
	if n := count(t, newer, "ranks"); n != 3 {
		t.Errorf("the newer program sees %d ranks, want 3", n)
	}
	if !strings.Contains(log.String(), "level=WARN") || !strings.Contains(log.String(), "tables=9990") {
		t.Errorf("the older program's log says\n%s", &log)
	}
	if got := schema(t, database); !got.Newer() {
		t.Errorf("the tables are %+v, want them newer than the program", got)
	}
}

// A migration that older programs cannot live with keeps them from starting.
func TestOpen_refusesTablesThatNeedANewerProgram(t *testing.T) {
	database := storetest.Database(t)
	forget := store.AddMigrations(t, map[string]string{
		"9990_later.sql": "UPDATE schema_compatibility SET lowest_version = 9990;",
		"9991_more.sql":  addsTable,
	})
	storetest.Open(t, database, store.Options{})
	forget()
	const want = "the tables have version 9991, made by a newer Bugle, and need one that knows version 9990"
	for _, keep := range []bool{false, true} {
		if _, err := store.Open(t.Context(), database, store.Options{Keep: keep}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
	if _, err := store.Migrate(t.Context(), database, nil); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("migrate: error %v, want %q", err, want)
	}
	store.AddMigrations(t, map[string]string{"9990_later.sql": "SELECT 1;"}) // the one that it needs, but not the last
	storetest.Open(t, database, store.Options{})
}

// Tables of two lines of programs are nobody's.
func TestOpen_refusesNewerTablesThatLackSomething(t *testing.T) {
	database := storetest.Database(t)
	forget := store.AddMigrations(t, map[string]string{"9991_more.sql": addsTable})
	storetest.Open(t, database, store.Options{})
	forget()
	store.AddMigrations(t, map[string]string{"9990_later.sql": "SELECT 1;"})
	if _, err := store.Open(t.Context(), database, store.Options{}); err == nil || !strings.Contains(err.Error(), "but lack 9990_later.sql") {
		t.Errorf("error %v, want one that names the migration", err)
	}
}
