package main

import (
	"strings"
	"testing"
)

func TestKey_createListRevoke(t *testing.T) {
	database, key := newDatabase(t)
	server := startServer(t, database) // keys are made beside a running server
	status, stdout, stderr := runBugle(t, "", "key", "create", "--database", database, "--name", "reader", "--scope", "view:user", "--scope", "view:rank", "--expires", "720h")
	if status != 0 || stderr != "" || strings.Count(stdout, "\n") != 1 || !strings.HasPrefix(stdout, "bugle_") {
		t.Fatalf("create: status %d, stdout %q, stderr %q", status, stdout, stderr)
	}
	reader := strings.TrimSpace(stdout)
	server.mustCall(t, reader, "GET", "/v2/users", "", 200)
	server.mustCall(t, reader, "GET", "/v2/awards", "", 403)

	_, list, _ := runBugle(t, "", "key", "list", "--database", database)
	for _, part := range []string{"ID", "reader", "view:user,view:rank", "valid until"} {
		if !strings.Contains(list, part) {
			t.Errorf("the list does not show %q:\n%s", part, list)
		}
	}
	if strings.Contains(list, reader) || strings.Contains(list, key) {
		t.Errorf("the list shows a key:\n%s", list)
	}
	waitFor(t, "the last use of the key", func() bool {
		_, list, _ := runBugle(t, "", "key", "list", "--database", database)
		return strings.Contains(list, "from 127.0.0.1") && strings.Contains(list, "never")
	})
	if status, stdout, stderr := runBugle(t, "", "key", "revoke", "2", "--database", database); status != 0 || stdout != "key 2 is revoked\n" {
		t.Errorf("revoke: status %d, %q, %q", status, stdout, stderr)
	}
	server.mustCall(t, reader, "GET", "/v2/users", "", 401)
	if _, list, _ := runBugle(t, "", "key", "list", "--database", database); !strings.Contains(list, "revoked") {
		t.Errorf("the list does not say that the key is revoked:\n%s", list)
	}
	if status, _, stderr := runBugle(t, "", "key", "revoke", "2", "--database", database); status != 1 || !strings.Contains(stderr, "not found") {
		t.Errorf("revoke again: status %d, %q", status, stderr)
	}
}

func TestKey_createRefuses(t *testing.T) {
	database, _ := newDatabase(t)
	for _, test := range []struct {
		args []string
		want string
	}{
		{[]string{"--scope", "*"}, "--name"},
		{[]string{"--name", "x"}, "--scope"},
		{[]string{"--name", " ", "--scope", "*"}, "--name is empty"},
		{[]string{"--name", "x", "--scope", "view:users"}, "did you mean view:user?"},
		{[]string{"--name", "x", "--scope", "all"}, `--scope is "all", want *`},
		{[]string{"--name", "x", "--scope", "*", "--expires=-1h"}, "--expires must not be negative"},
		{[]string{"--name", "x", "--scope", "*", "--user", "99"}, "--user is 99: user 99: not found"},
		{[]string{"--name", "x", "--scope", "*", "--organization", "99"}, "--organization is 99"},
	} {
		status, stdout, stderr := runBugle(t, "", append([]string{"key", "create", "--database", database}, test.args...)...)
		if status == 0 || stdout != "" && !strings.HasPrefix(stdout, "Usage") || !strings.Contains(stderr, test.want) {
			t.Errorf("%v: status %d, stdout %q, stderr %q, want %q", test.args, status, stdout, stderr, test.want)
		}
	}
}

// A key of a user makes him the author of what it writes.
func TestKey_ofAUser(t *testing.T) {
	database, key := newDatabase(t)
	server := startServer(t, database)
	server.mustCall(t, key, "POST", "/v2/users", `{"name":"Alex Carter","email":"carter@example.com"}`, 201)
	_, stdout, stderr := runBugle(t, "", "key", "create", "--database", database, "--name", "carter", "--scope", "*", "--user", "1")
	if stderr != "" {
		t.Fatal(stderr)
	}
	record := server.mustCall(t, strings.TrimSpace(stdout), "POST", "/v2/service-records", `{"user_id":1,"text":"<p>Joined.</p>"}`, 201)
	if author := at(record, "data", "author_id"); author != int64(1) {
		t.Errorf("the author is %v, want 1", author)
	}
}
