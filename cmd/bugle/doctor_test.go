package main

import (
	"database/sql"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// write changes a database of SQLite past everything that looks after it.
func write(t *testing.T, database string, statements ...string) {
	t.Helper()
	db, err := sql.Open("sqlite", strings.TrimPrefix(database, "sqlite:"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	for _, s := range append([]string{"PRAGMA busy_timeout = 10000"}, statements...) {
		if _, err := db.Exec(s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
}

func TestDoctor_besideAServer(t *testing.T) {
	database, key := newDatabase(t)
	server := startServer(t, database)
	server.mustCall(t, key, "POST", "/v2/webhooks", `{"name":"hook","url":"http://127.0.0.1:9/","events":["user.created"],"status":"paused"}`, 201)
	server.mustCall(t, key, "POST", "/v2/users", `{"name":"Jane Roe","email":"jane@example.com"}`, 201)
	status, out, stderr := runBugle(t, "", "doctor", "--prove", "--database", database)
	if status != 0 || stderr != "" {
		t.Errorf("status %d: %s", status, stderr)
	}
	wantParts(t, out, "ok     configuration", "ok     storage", "ok     database       sqlite:", "tables of version",
		"ok     proof          nothing is lost: 1 events, 1 deliveries of 1 webhooks and 0 runs are as they should be")

	write(t, database, "DELETE FROM deliveries")
	status, out, stderr = runBugle(t, "", "doctor", "--prove", "--json", "--database", database)
	if status != 1 || !strings.Contains(stderr, "something is wrong") {
		t.Errorf("status %d: %s", status, stderr)
	}
	var result examination
	if err := json.Unmarshal([]byte(out), &result); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if result.OK || result.Proof.Broken != 1 || result.Proof.Faults[0] != (fault{"lanes", 1, 1, "its delivery number 1 is not there"}) {
		t.Errorf("the result is %+v\n%s", result, out)
	}
	status, out, _ = runBugle(t, "", "doctor", "--prove", "--database", database)
	if status != 1 {
		t.Errorf("status %d", status)
	}
	wantParts(t, out, "wrong  proof          1 faults", "       lanes          1: its delivery number 1 is not there")
	if status, _, _ := runBugle(t, "", "doctor", "--database", database); status != 0 {
		t.Errorf("without --prove the status is %d", status)
	}
}

func TestDoctor_saysWhatIsWrong(t *testing.T) {
	folder := t.TempDir()
	garbage := filepath.Join(folder, "garbage.db")
	if err := os.WriteFile(garbage, []byte(strings.Repeat("no database ", 1000)), 0o644); err != nil {
		t.Fatal(err)
	}
	older, _ := newDatabase(t)
	write(t, older, "DELETE FROM goose_db_version WHERE version_id > 1")
	for _, test := range []struct{ name, database, want string }{
		{"no file", "sqlite:" + folder + "/none.db", "wrong  database       there is no file " + folder + "/none.db: start bugle serve"},
		{"no database", "sqlite:" + garbage, "wrong  database       open database " + garbage},
		{"older tables", older, "the tables are not up to date: they lack 0002"},
		{"no address", "mysql:x", "want sqlite: and a path"},
	} {
		t.Run(test.name, func(t *testing.T) {
			status, out, _ := runBugle(t, "", "doctor", "--database", test.database)
			if status != 1 || !strings.Contains(out, test.want) {
				t.Errorf("status %d, want %q in\n%s", status, test.want, out)
			}
		})
	}
	if _, err := os.Stat(folder + "/none.db"); err == nil {
		t.Error("the doctor makes a database")
	}
}

func TestDoctor_environment(t *testing.T) {
	database, _ := newDatabase(t)
	t.Setenv("BUGLE_RETENTOIN", "events=4")
	t.Setenv("BUGLE_OTHER", "1")
	t.Setenv("BUGLE_RATE_LIMIT", "-1")
	path := strings.TrimPrefix(database, "sqlite:")
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	status, out, _ := runBugle(t, "", "doctor", "--database", database, "--storage", path)
	if status != 1 {
		t.Errorf("status %d", status)
	}
	wantParts(t, out, "wrong  environment    no option has the name BUGLE_RETENTOIN; did you mean BUGLE_RETENTION?", "note   environment    no option has the name BUGLE_OTHER",
		"wrong  configuration  bugle serve would not start:", "must not be negative", "wrong  storage        "+path+" is no folder", "note   file           others on this machine may read")
}
