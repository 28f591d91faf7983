package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/buglehq/bugle/internal/files"
	"github.com/buglehq/bugle/internal/storetest"
)

// An installation that was copied to another database is served from there: keys are valid, ids go on, and what was owed is sent.
func TestCopy(t *testing.T) {
	database, key := newDatabase(t)
	target := "sqlite:" + filepath.Join(t.TempDir(), "target.db")
	if storetest.OnPostgres() {
		target = storetest.EmptyDatabase(t)
	}
	var broken atomic.Bool
	var arrived atomic.Int64
	broken.Store(true)
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if broken.Load() {
			w.WriteHeader(503)
			return
		}
		arrived.Add(1)
	}))
	defer receiver.Close()
	server := startServer(t, database)
	server.mustCall(t, key, "POST", "/v2/webhooks", fmt.Sprintf(`{"name": "Test", "url": %q, "events": ["user.created"], "retry_schedule": [1], "max_attempts": 50}`, receiver.URL), 201)
	server.mustCall(t, key, "POST", "/v2/users", `{"name": "Jane Roe", "email": "jane@example.com"}`, 201)
	copying := []string{"copy", "--from", database, "--to", target}
	if status, _, stderr := runBugle(t, "", copying...); status != 1 || !strings.Contains(stderr, "source: ") || !strings.Contains(stderr, "in use by another server") {
		t.Errorf("while a server runs: status %d, %s", status, stderr)
	}
	server.stop(t)
	broken.Store(false)

	storage := filepath.Join(t.TempDir(), "storage")
	folder, err := files.Open(storage)
	if err != nil {
		t.Fatal(err)
	}
	upload, err := folder.Put(1, "a.txt", strings.NewReader("some text"), 100)
	if err != nil || folder.Close() != nil {
		t.Fatal(err)
	}
	copiedStorage := filepath.Join(t.TempDir(), "copied")
	status, stdout, stderr := runBugle(t, "", append(copying, "--from-storage", storage, "--to-storage", copiedStorage)...)
	if status != 0 || !strings.Contains(stdout, "are copied, and were compared. So are 1 files of 9 bytes.") || !strings.Contains(stderr, "verify: ") {
		t.Fatalf("status %d\n%s%s", status, stdout, stderr)
	}
	if text, err := os.ReadFile(filepath.Join(copiedStorage, upload.Path)); err != nil || string(text) != "some text" {
		t.Errorf("the file is %q, %v", text, err)
	}
	if status, _, stderr := runBugle(t, "", copying...); status != 1 || !strings.Contains(stderr, "it is not empty") {
		t.Errorf("again: status %d, %s", status, stderr)
	}

	if !storetest.OnPostgres() { // where all tests have the same key
		t.Setenv("BUGLE_SECRETS_KEY", "file:"+filepath.Join(filepath.Dir(strings.TrimPrefix(database, "sqlite:")), "secrets.key"))
	}
	server = startServer(t, target, "--storage", copiedStorage)
	waitFor(t, "what was owed arrives", func() bool { return arrived.Load() == 1 })
	if got := server.mustCall(t, key, "POST", "/v2/users", `{"name": "John Doe", "email": "john@example.com"}`, 201); at(got, "data", "id") != int64(2) {
		t.Errorf("the next user has the id %v, want 2", at(got, "data", "id"))
	}
	waitFor(t, "what is new arrives", func() bool { return arrived.Load() == 2 })
	server.stop(t)
}

func TestCopy_json(t *testing.T) {
	database, _ := newDatabase(t)
	status, stdout, stderr := runBugle(t, "", "copy", "--json", "--from", database, "--to", "sqlite:"+filepath.Join(t.TempDir(), "target.db"))
	var report struct {
		Tables []struct {
			Name, Checksum string
			Rows           int
		}
		Files *struct{}
	}
	if err := json.Unmarshal([]byte(stdout), &report); err != nil || status != 0 || report.Files != nil || len(report.Tables) < 50 {
		t.Fatalf("status %d, %v\n%.500s%s", status, err, stdout, stderr)
	}
	for _, table := range report.Tables {
		if table.Name == "api_keys" && (table.Rows != 1 || len(table.Checksum) != 32) {
			t.Errorf("of the key it says %+v", table)
		}
	}
}

func TestCopy_badOptions(t *testing.T) {
	database, _ := newDatabase(t)
	target := "sqlite:" + filepath.Join(t.TempDir(), "target.db")
	for _, test := range []struct {
		args   []string
		status int
		want   string
	}{
		{[]string{"--from", database}, 2, "--to"},
		{[]string{"--from", database, "--to", target, "--to-storage", "x"}, 2, "--from-storage and --to-storage go together"},
		{[]string{"--from", database, "--to", target, "--from-storage", "nowhere", "--to-storage", "x"}, 1, "--from-storage: stat nowhere"},
		{[]string{"--from", database, "--to", database}, 1, "source and target are the same database"},
	} {
		if status, _, stderr := runBugle(t, "", append([]string{"copy"}, test.args...)...); status != test.status || !strings.Contains(stderr, test.want) {
			t.Errorf("%q: status %d, want %d\n%s", test.args, status, test.status, stderr)
		}
	}
}
