package main

import (
	"database/sql"
	"encoding/json"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	_ "modernc.org/sqlite"
)

// change runs SQL on a database file beside everything else.
func change(t *testing.T, database, query string) {
	t.Helper()
	db, err := sql.Open("sqlite", strings.TrimPrefix(database, "sqlite:"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec(query); err != nil {
		t.Fatal(err)
	}
}

func TestMigrate(t *testing.T) {
	database := "sqlite:" + filepath.Join(t.TempDir(), "data", "bugle.db")
	check := func(want int, wantOut string) {
		t.Helper()
		if status, stdout, stderr := runBugle(t, "", "migrate", "--check", "--database", database); status != want || !strings.Contains(stdout, wantOut) {
			t.Errorf("--check: status %d, want %d\n%s%s", status, want, stdout, stderr)
		}
	}
	check(1, "missing: 0001_initial.sql\n")
	if status, _, stderr := runBugle(t, "", "serve", "--no-migrate", "--database", database, "--listen", "127.0.0.1:0"); status != 1 || !strings.Contains(stderr, "run bugle migrate") {
		t.Errorf("serve --no-migrate on a database without tables: status %d, %s", status, stderr)
	}
	status, stdout, stderr := runBugle(t, "", "migrate", "--json", "--database", database)
	var report struct {
		Version, Known, Lowest int64
		Missing, Applied       []string
	}
	if err := json.Unmarshal([]byte(stdout), &report); err != nil || status != 0 {
		t.Fatalf("status %d, %v\n%s%s", status, err, stdout, stderr)
	}
	if report.Version != report.Known || report.Lowest != 12 || report.Missing == nil || len(report.Missing) != 0 || !slices.Contains(report.Applied, "0001_initial.sql") {
		t.Errorf("it prints %s", stdout)
	}
	check(0, "the tables have version ")
	startServer(t, database, "--migrate=false").stop(t)

	change(t, database, "INSERT INTO goose_db_version (version_id, is_applied) VALUES (9990, 1)")
	check(0, "the tables have version 9990, of a newer Bugle")
	if server := startServer(t, database); !strings.Contains(server.log.String(), "level=WARN") {
		t.Errorf("the server does not say that the tables are newer:\n%s", server.log)
	} else {
		server.stop(t)
	}
	change(t, database, "UPDATE schema_compatibility SET lowest_version = 9990")
	check(2, "and they need one that knows 9990")
	for _, args := range [][]string{{"migrate"}, {"serve", "--listen", "127.0.0.1:0"}} {
		if status, _, stderr := runBugle(t, "", append(args, "--database", database)...); status != 1 || !strings.Contains(stderr, "install a newer one") {
			t.Errorf("%s with tables that need a newer program: status %d, %s", args[0], status, stderr)
		}
	}
}

func TestMigrate_checkFails(t *testing.T) {
	for _, database := range []string{"sqlite:" + t.TempDir(), "mysql:bugle", "postgres://127.0.0.1:1/bugle?connect_timeout=1"} {
		if status, stdout, stderr := runBugle(t, "", "migrate", "--check", "--database", database); status != 2 || stdout != "" || !strings.Contains(stderr, "database") {
			t.Errorf("%s: status %d, want 2\n%s%s", database, status, stdout, stderr)
		}
	}
}
