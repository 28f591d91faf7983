package main

import (
	"strings"
	"testing"
)

// What the operator decides holds in a server that runs, over what its option says.
func TestQuota(t *testing.T) {
	database, key := newDatabase(t)
	server := startServer(t, database, "--quota", "webhooks=2,storage=2GiB")
	hook := `{"name": "Hook", "url": "https://example.com/"}`
	server.mustCall(t, key, "POST", "/v2/webhooks", hook, 201)
	server.mustCall(t, key, "POST", "/v2/webhooks", hook, 201)
	refused := server.mustCall(t, key, "POST", "/v2/webhooks", hook, 403)
	if text, _ := at(refused, "error", "message").(string); !strings.HasPrefix(text, "Your organization may have 2 webhooks") {
		t.Errorf("the refusal says %q", text)
	}

	status, stdout, stderr := runBugle(t, "", "quota", "set", "--database", database, "webhooks=3", "events=none")
	if want := "webhooks=3\nautomations=default\nevents=none\nbacklog=default\nstorage=default\n"; status != 0 || stdout != want || stderr != "" {
		t.Errorf("set: status %d, %q, %q", status, stdout, stderr)
	}
	_, list, _ := runBugle(t, "", "quota", "list", "--database", database)
	for _, part := range []string{"ORGANIZATION", "2/3", "0/default", "none"} {
		if !strings.Contains(list, part) {
			t.Errorf("the list does not show %q:\n%s", part, list)
		}
	}
	if status, stdout, _ := runBugle(t, "", "quota", "set", "--database", database, "webhooks=default"); status != 0 || !strings.HasPrefix(stdout, "webhooks=default\nautomations=default\nevents=none\n") {
		t.Errorf("set back: status %d, %q", status, stdout)
	}
	for want, args := range map[string][]string{
		"--organization is 99: there is none":    {"quota", "set", "--database", database, "--organization", "99", "webhooks=1"},
		`quota has "hooks=1", want webhooks`:     {"quota", "set", "--database", database, "hooks=1"},
		`"events=0", want a whole number from 1`: {"quota", "set", "--database", database, "events=0"},
		`--quota has "storage=1GB", want bytes`:  {"serve", "--database", database, "--quota", "storage=1GB"},
		`expected "<quota> ..."`:                 {"quota", "set", "--database", database},
	} {
		if status, _, stderr := runBugle(t, "", args...); status == 0 || !strings.Contains(stderr, want) {
			t.Errorf("%v: status %d, %q, want %q", args, status, stderr, want)
		}
	}
}
