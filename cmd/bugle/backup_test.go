package main

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
)

// A copy has everything, and a server that is started on it sends nothing until it is released.
func TestBackup_restoredCopyIsHeld(t *testing.T) {
	t.Setenv("BUGLE_SECRETS_KEY", "") // beside the database
	var arrived atomic.Int64
	target := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { arrived.Add(1) }))
	defer target.Close()
	database, key := newDatabase(t)
	storage := filepath.Join(filepath.Dir(strings.TrimPrefix(database, "sqlite:")), "storage")
	for name, text := range map[string]string{"1/abc.png": "a picture", "1/half-": "half of one"} {
		if err := os.MkdirAll(filepath.Join(storage, "1"), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(storage, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	server := startServer(t, database)
	server.mustCall(t, key, "POST", "/v2/webhooks", `{"name":"hook","url":"`+target.URL+`","events":["user.created"],"status":"paused"}`, 201)
	server.mustCall(t, key, "POST", "/v2/users", `{"name":"Jane Roe","email":"jane@example.com"}`, 201)

	copied := filepath.Join(t.TempDir(), "copy")
	status, out, stderr := runBugle(t, "", "backup", "--database", database, copied)
	if status != 0 {
		t.Fatalf("status %d: %s", status, stderr)
	}
	wantParts(t, out, copied+" holds the database", "and 1 uploaded files", "bugle release")
	if text, err := os.ReadFile(filepath.Join(copied, "storage", "1", "abc.png")); err != nil || string(text) != "a picture" {
		t.Errorf("the uploaded file is %q, %v", text, err)
	}
	if all, err := filepath.Glob(copied + "*"); err != nil || len(all) != 1 {
		t.Errorf("beside the copy there are %q, %v", all, err)
	}
	server.stop(t)

	if _, err := os.Stat(filepath.Join(copied, "secrets.key")); err == nil {
		t.Error("the key is in the copy")
	}
	t.Setenv("BUGLE_SECRETS_KEY", "file:"+filepath.Join(filepath.Dir(strings.TrimPrefix(database, "sqlite:")), "secrets.key"))
	database = "sqlite:" + filepath.Join(copied, "bugle.db")
	status, out, _ = runBugle(t, "", "doctor", "--prove", "--database", database)
	if status != 0 {
		t.Errorf("the doctor says\n%s", out)
	}
	wantParts(t, out, "note   sending        nothing is sent until bugle release: this is a copy of")

	server = startServer(t, database)
	waitFor(t, "the log says that sending is held", func() bool { return strings.Contains(server.log.String(), "nothing is sent until bugle release") })
	server.mustCall(t, key, "POST", "/v2/webhooks/1/resume", "", 200)
	server.mustCall(t, key, "POST", "/v2/users", `{"name":"John Doe","email":"john@example.com"}`, 201)
	answer := server.mustCall(t, "", "GET", "/readyz", "", 200)
	if text := at(answer, "status"); text != "ok, but sending is held" {
		t.Errorf("it is ready: %v", text)
	}
	for _, id := range []string{"1", "2"} {
		if state := at(server.mustCall(t, key, "GET", "/v2/deliveries/"+id, "", 200), "data", "state"); state != "pending" || arrived.Load() != 0 {
			t.Errorf("delivery %s is %v, and %d arrived", id, state, arrived.Load())
		}
	}
	// It can be stopped and started again meanwhile.
	server.stop(t)
	server = startServer(t, database)
	waitFor(t, "the log says again that sending is held", func() bool { return strings.Contains(server.log.String(), "nothing is sent until bugle release") })

	if status, out, stderr := runBugle(t, "", "release", "--database", database); status != 0 || out != "Sending is released.\n" {
		t.Errorf("status %d: %s%s", status, out, stderr)
	}
	waitFor(t, "both deliveries arrive", func() bool { return arrived.Load() == 2 })
	wantParts(t, server.log.String(), "sending is released")
	if status, out, _ := runBugle(t, "", "release", "--database", database); status != 0 || out != "Sending was not held.\n" {
		t.Errorf("released again: status %d: %s", status, out)
	}
	server.stop(t)

	if status, _, stderr := runBugle(t, "", "hold", "--database", database, "--reason", "a drill"); status != 0 {
		t.Errorf("hold: status %d: %s", status, stderr)
	}
	server = startServer(t, database)
	waitFor(t, "the log says why sending is held", func() bool { return strings.Contains(server.log.String(), `reason="a drill"`) })
	status, _, stderr = runBugle(t, "", "hold", "--database", database)
	if status != 1 || !strings.Contains(stderr, "in use by another server, which would go on sending: stop it first") {
		t.Errorf("hold beside a server: status %d: %s", status, stderr)
	}
}

func TestBackup_refuses(t *testing.T) {
	database, _ := newDatabase(t)
	folder := t.TempDir()
	for _, test := range []struct {
		args []string
		want string
	}{
		{[]string{"--database", database, folder}, folder + " is there already"},
		{[]string{"--database", database, folder + "/no/where"}, "make the copy's folder"},
		{[]string{"--database", "sqlite:" + folder + "/none.db", folder + "/copy"}, "no such file"},
		{[]string{"--database", "postgres://user:secret@127.0.0.1:1/bugle", folder + "/copy"}, "pg_dump"},
		{[]string{"--database", database}, "expected \"<destination>\""},
	} {
		status, _, stderr := runBugle(t, "", append([]string{"backup"}, test.args...)...)
		if status == 0 || !strings.Contains(stderr, test.want) || strings.Contains(stderr, "secret") {
			t.Errorf("%q: status %d: %s, want %s", test.args, status, stderr, test.want)
		}
	}
	if left, err := os.ReadDir(folder); err != nil || len(left) != 0 {
		t.Errorf("left is %v, %v", left, err)
	}
	if status, _, stderr := runBugle(t, "", "hold", "--database", database, "--reason", " "); status != 2 || !strings.Contains(stderr, "--reason must have 1 to 500 characters") {
		t.Errorf("hold without a reason: status %d: %s", status, stderr)
	}
}
