package main

import (
	"encoding/json"
	"strings"
	"testing"
)

// What a command changes is told as its own, with who ran it and without what it was given.
func TestAudit_ofCommands(t *testing.T) {
	database, _ := newDatabase(t)
	status, key, stderr := runBugle(t, "", "key", "create", "--name", "ci", "--scope", "*", "--database", database)
	if status != 0 {
		t.Fatal(stderr)
	}
	if status, _, stderr = runBugle(t, "tell-nobody-of-this", "user", "create", "--email", "jane@example.com", "--name", "Jane Roe", "--password-stdin", "--database", database); status != 0 {
		t.Fatal(stderr)
	}
	if status, _, stderr = runBugle(t, "", "hold", "--database", database); status != 0 {
		t.Fatal(stderr)
	}
	status, out, stderr := runBugle(t, "", "audit", "--json", "--limit", "2", "--database", database)
	if status != 0 {
		t.Fatal(stderr)
	}
	if strings.Contains(out, "tell-nobody") || strings.Contains(out, strings.TrimSpace(key)) {
		t.Errorf("a secret is in\n%s", out)
	}
	lines := strings.Split(strings.TrimSpace(out), "\n")
	want := []struct{ action, author string }{{"account.created", "bugle user create"}, {"api_key.created", "bugle key create"}}
	if len(lines) != len(want) {
		t.Fatalf("there are\n%s", out)
	}
	for i, w := range want {
		var line auditLine
		if err := json.Unmarshal([]byte(lines[i]), &line); err != nil {
			t.Fatal(err)
		}
		if line.Action != w.action || line.Actor.Type != "command" || !strings.HasPrefix(line.Actor.Name, w.author) || len(line.Hash) != 64 {
			t.Errorf("the line is %s", lines[i])
		}
	}
	if _, out, _ = runBugle(t, "", "audit", "--organization", "0", "--database", database); !strings.Contains(out, "sending.held") || !strings.Contains(out, "bugle hold") {
		t.Errorf("of the server there is %s", out)
	}
	for _, wrong := range []string{"--limit=0", "--organization=-1"} {
		if status, _, stderr := runBugle(t, "", "audit", "--database", database, wrong); status != 2 || !strings.Contains(stderr, strings.Replace(wrong, "=", " is ", 1)) {
			t.Errorf("%v: status %d, %s", wrong, status, stderr)
		}
	}
}

func TestDoctor_auditLog(t *testing.T) {
	database, _ := newDatabase(t)
	status, out, stderr := runBugle(t, "", "doctor", "--database", database)
	if status != 0 {
		t.Fatalf("status %d: %s", status, stderr)
	}
	wantParts(t, out, "ok     audit          the audit log of organization 1 is as it was written: ", " entries, the newest with the hash ")
	write(t, database, "DROP TRIGGER audit_entries_unchanged", "UPDATE audit_entries SET author_name = 'nobody' WHERE number = 1")
	status, out, _ = runBugle(t, "", "doctor", "--prove", "--database", database)
	if status != 1 {
		t.Errorf("status %d", status)
	}
	wantParts(t, out, "wrong  audit          the audit log of organization 1 is broken: entry 1, organization.created of ", "       audit          1: entry 1, organization.created of ")
}
