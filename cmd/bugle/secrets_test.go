package main

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/buglehq/bugle/internal/delivery"
)

// mustRun runs a command that has to end with the status.
func mustRun(t *testing.T, want int, args ...string) (stdout, stderr string) {
	t.Helper()
	status, stdout, stderr := runBugle(t, "", args...)
	if status != want {
		t.Fatalf("bugle %s: status %d, want %d: %s%s", strings.Join(args, " "), status, want, stdout, stderr)
	}
	return stdout, stderr
}

// A key is replaced while the server runs, and what it sends is signed with the same secrets all along.
func TestSecrets_rotateBesideTheServer(t *testing.T) {
	t.Setenv("BUGLE_SECRETS_KEY", "")
	database, key := newDatabase(t)
	file := filepath.Join(filepath.Dir(strings.TrimPrefix(database, "sqlite:")), "secrets.key")
	if _, err := os.Stat(file); err == nil {
		t.Fatal("a command that encrypts nothing has made a key")
	}
	signatures := make(chan bool, 10)
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body := make([]byte, r.ContentLength)
		r.Body.Read(body)
		signatures <- r.Header.Get("Signature") == delivery.Signature("the-secret-of-the-test", body)
	}))
	defer receiver.Close()
	p := startServer(t, database)
	before, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	p.mustCall(t, key, "POST", "/v2/webhooks", `{"name":"x","url":"`+receiver.URL+`","secret":"the-secret-of-the-test","events":["user.created"]}`, 201)
	users := 0
	wantSigned := func() {
		t.Helper()
		users++
		if _, status := createUser(http.DefaultClient, p.url, key, fmt.Sprintf("jane%d@example.com", users)); status != http.StatusCreated {
			t.Fatalf("creating a user: status %d", status)
		}
		if !<-signatures {
			t.Error("the signature is another secret's")
		}
	}
	wantSigned()
	mustRun(t, 0, "secrets", "rotate", "--database", database)
	stdout, _ := mustRun(t, 0, "secrets", "prune", "--database", database)
	if !strings.Contains(stdout, "Nothing is encrypted any more with ") {
		t.Errorf("prune says %s", stdout)
	}
	wantSigned()
	p.mustCall(t, key, "PUT", "/v2/webhooks/1", `{"name":"y"}`, 200)
	wantSigned()
	if secret := at(p.mustCall(t, key, "GET", "/v2/webhooks/1/secret", "", 200), "data", "secret"); secret != "the-secret-of-the-test" {
		t.Errorf("the secret is %v", secret)
	}
	stdout, _ = mustRun(t, 0, "secrets", "status", "--database", database, "--json")
	var report secretsReport
	if err := json.Unmarshal([]byte(stdout), &report); err != nil || len(report.Keys) != 1 || report.Keys[0].Secrets != 1 || !report.Keys[0].Main || report.Unreadable+report.Plain != 0 {
		t.Errorf("the status is %s, %v", stdout, err)
	}
	after, err := os.ReadFile(file)
	if err != nil || string(after) == string(before) {
		t.Errorf("the file is as before, %v", err)
	}
	stdout, _ = mustRun(t, 0, "doctor", "--database", database, "--prove")
	if !strings.Contains(stdout, "the secrets of 1 webhooks, channels and second factors open with 1 keys") {
		t.Errorf("doctor says %s", stdout)
	}
	p.stop(t)

	// The key that was, and none.
	if err := os.WriteFile(file, before, 0o600); err != nil {
		t.Fatal(err)
	}
	stdout, _ = mustRun(t, 1, "doctor", "--database", database)
	if !strings.Contains(stdout, "has other keys") || !strings.Contains(stdout, `the secrets of 1 webhooks, channels and second factors cannot be read: webhook 1 "y" of organization 1`) {
		t.Errorf("doctor says %s", stdout)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	_, stderr := mustRun(t, 1, "serve", "--database", database, "--listen", "127.0.0.1:0")
	if !strings.Contains(stderr, "put the file with the key back") {
		t.Errorf("serve says %s", stderr)
	}
	if _, err := os.Stat(file); err == nil {
		t.Error("another key was made")
	}
	mustRun(t, 1, "secrets", "status", "--database", database)
	_, stderr = mustRun(t, 1, "secrets", "reset", "--database", database)
	if !strings.Contains(stderr, "say --yes") {
		t.Errorf("reset says %s", stderr)
	}
	stdout, _ = mustRun(t, 0, "secrets", "reset", "--database", database, "--yes")
	if !strings.Contains(stdout, "1 webhooks, channels and second factors were reset") {
		t.Errorf("reset says %s", stdout)
	}
	p = startServer(t, database)
	if status := at(p.mustCall(t, key, "GET", "/v2/webhooks/1", "", 200), "data", "status"); status != "paused" {
		t.Errorf("the webhook is %v", status)
	}
}

// The doctor says whose secrets were damaged, and why they do not open.
func TestDoctor_secretsThatDoNotOpen(t *testing.T) {
	t.Setenv("BUGLE_SECRETS_KEY", "")
	database, key := newDatabase(t)
	p := startServer(t, database)
	for range 22 {
		p.mustCall(t, key, "POST", "/v2/webhooks", `{"name":"x","url":"https://example.com"}`, 201)
	}
	p.stop(t)
	db, err := sql.Open("sqlite", strings.TrimPrefix(database, "sqlite:"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec("UPDATE webhooks SET sealed = (SELECT sealed FROM webhooks WHERE id = 1) WHERE id > 1"); err != nil {
		t.Fatal(err)
	}
	wrong := func(name string, args ...string) string {
		t.Helper()
		stdout, stderr := mustRun(t, 1, append(args, "--database", database)...)
		for _, want := range []string{`webhook 2 "x" of organization 1: it does not open with key `, "it was changed, or belongs to something else", `webhook 21 "x"`, "and 1 more"} {
			if !strings.Contains(stdout+stderr, want) {
				t.Errorf("%s says %s%s, want %s", name, stdout, stderr, want)
			}
		}
		return stdout + stderr
	}
	said := wrong("doctor", "doctor") + wrong("status", "secrets", "status")
	if strings.Contains(said, "webhook 1 ") || strings.Contains(said, "webhook 22 ") {
		t.Errorf("they say %s", said)
	}
	// The others still work, and these do again once they are given up.
	p = startServer(t, database)
	p.mustCall(t, key, "GET", "/v2/webhooks/1/secret", "", 200)
	p.mustCall(t, key, "GET", "/v2/webhooks/2", "", 500)
	p.stop(t)
	if !strings.Contains(p.log.String(), "the secrets of webhook 2 cannot be read: it does not open with key ") {
		t.Errorf("the log is %s", p.log)
	}
	stdout, _ := mustRun(t, 0, "secrets", "reset", "--database", database, "--yes")
	if !strings.Contains(stdout, "21 webhooks, channels and second factors were reset") {
		t.Errorf("reset says %s", stdout)
	}
	mustRun(t, 0, "doctor", "--database", database, "--prove")
}

// Where commands cannot write the keys, they print them for whoever can.
func TestSecrets_elsewhere(t *testing.T) {
	database, key := newDatabase(t)
	text, _ := mustRun(t, 0, "secrets", "new")
	t.Setenv("BUGLE_KEYS", text)
	t.Setenv("BUGLE_SECRETS_KEY", "env:BUGLE_KEYS")
	p := startServer(t, database)
	p.mustCall(t, key, "POST", "/v2/webhooks", `{"name":"x","url":"https://example.com","secret":"the-secret-of-the-test"}`, 201)
	_, stderr := mustRun(t, 1, "secrets", "rotate", "--database", database)
	if !strings.Contains(stderr, "bugle secrets add") {
		t.Errorf("rotate says %s", stderr)
	}
	_, stderr = mustRun(t, 1, "secrets", "use", "--database", database)
	if !strings.Contains(stderr, "want one") {
		t.Errorf("use says %s", stderr)
	}
	more, _ := mustRun(t, 0, "secrets", "add", "--database", database)
	p.stop(t)
	t.Setenv("BUGLE_KEYS", more)
	p = startServer(t, database)
	mustRun(t, 0, "secrets", "use", "--database", database)
	p.mustCall(t, key, "PUT", "/v2/webhooks/1", `{"name":"y"}`, 200)
	left, _ := mustRun(t, 0, "secrets", "prune", "--database", database)
	if stdout, _ := mustRun(t, 0, "doctor", "--database", database); strings.Contains(stdout, "no option has the name") {
		t.Errorf("doctor says %s", stdout)
	}
	p.stop(t)

	// The same keys from a program.
	file := filepath.Join(t.TempDir(), "keys")
	if err := os.WriteFile(file, []byte(left), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("BUGLE_SECRETS_KEY", "command:cat "+file)
	p = startServer(t, database)
	if secret := at(p.mustCall(t, key, "GET", "/v2/webhooks/1/secret", "", 200), "data", "secret"); secret != "the-secret-of-the-test" {
		t.Errorf("the secret is %v", secret)
	}
	p.stop(t)
	for option, want := range map[string]string{
		"nonsense": "want file: and a path, env: and", "env:A=B": "want file:", left: `is "…"`, "command: ": "want file:", "file:": "want file:",
	} {
		_, stderr := mustRun(t, 2, "secrets", "status", "--secrets-key", option)
		if !strings.Contains(stderr, want) || strings.Contains(stderr, "AesGcmKey") {
			t.Errorf("--secrets-key %q: %s", option, stderr)
		}
	}
}
