package main

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/buglehq/bugle/value"
)

// smallUnit gives a server a user with a record, and what these refer to.
func smallUnit(t *testing.T, p *process, key string) {
	t.Helper()
	p.mustCall(t, key, "POST", "/v2/ranks", `{"name":"Sergeant","abbreviation":"SGT"}`, 201)
	p.mustCall(t, key, "POST", "/v2/units", `{"name":"Reserve","hidden":true}`, 201)
	p.mustCall(t, key, "POST", "/v2/fields", `{"name":"Points","key":"points","type":"number","applies_to":["users"]}`, 201)
	p.mustCall(t, key, "POST", "/v2/users", `{"name":"Jane Roe","email":"jane@example.com","points":7}`, 201)
	p.mustCall(t, key, "POST", "/v2/users/1/rank-records", `{"rank_id":1,"type":0,"text":"<p>Promoted.</p>"}`, 201)
}

func TestImport_fromAnotherBugle(t *testing.T) {
	fromDatabase, fromKey := newDatabase(t)
	toDatabase, toKey := newDatabase(t)
	from, to := startServer(t, fromDatabase), startServer(t, toDatabase)
	smallUnit(t, from, fromKey)
	t.Setenv("BUGLE_IMPORT_KEY", fromKey)

	args := []string{"import", "--from", from.url, "--database", toDatabase}
	status, stdout, stderr := runBugle(t, "", args...) // beside the running server
	if status != 0 || !strings.Contains(stderr, "users: 1 read, 1 imported, 0 skipped, 0 not copied") {
		t.Fatalf("status %d\n%s\n%s", status, stdout, stderr)
	}
	for _, part := range []string{"KIND", "rank-records", "Rows have the ids that they had", "Webhooks, automations, API keys"} {
		if !strings.Contains(stdout, part) {
			t.Errorf("the summary does not say %q:\n%s", part, stdout)
		}
	}
	if strings.Contains(stdout+stderr, fromKey) {
		t.Errorf("the key is shown:\n%s\n%s", stdout, stderr)
	}
	for _, path := range []string{"ranks", "units", "fields", "rank-records", "users", "newsfeed"} {
		want := at(from.mustCall(t, fromKey, "GET", "/v2/"+path, "", 200), "data")
		got := at(to.mustCall(t, toKey, "GET", "/v2/"+path, "", 200), "data")
		if got, want := jsonOf(t, got), jsonOf(t, want); got != want {
			t.Errorf("%s: %s\nwant %s", path, got, want)
		}
	}

	status, stdout, _ = runBugle(t, "", args...)
	if status != 0 || !strings.Contains(stdout, "\nall  ") {
		t.Errorf("another time: status %d\n%s", status, stdout)
	}
	if n := at(to.mustCall(t, toKey, "GET", "/v2/users", "", 200), "meta", "total"); n != int64(1) {
		t.Errorf("there are %v users, want 1", n)
	}
}

func jsonOf(t *testing.T, v any) string {
	t.Helper()
	text, err := value.JSON(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// With --notify the server is not to run: it is told of the deliveries when it starts.
func TestImport_notify(t *testing.T) {
	received := make(chan string, 10)
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { received <- r.URL.Path }))
	defer receiver.Close()
	fromDatabase, fromKey := newDatabase(t)
	toDatabase, toKey := newDatabase(t)
	from, to := startServer(t, fromDatabase), startServer(t, toDatabase)
	smallUnit(t, from, fromKey)
	to.mustCall(t, toKey, "POST", "/v2/webhooks", fmt.Sprintf(`{"name":"Hook","url":"%s/hook","events":["user.created","rankrecord.created"]}`, receiver.URL), 201)

	args := []string{"import", "--from", from.url + "/v2", "--key", fromKey, "--database", toDatabase, "--notify"}
	status, _, stderr := runBugle(t, "", args...)
	if status != 1 || !strings.Contains(stderr, "in use by another server: stop it first") {
		t.Errorf("beside a server: status %d, %s", status, stderr)
	}
	to.stop(t)
	if status, stdout, stderr := runBugle(t, "", args...); status != 0 {
		t.Fatalf("status %d\n%s\n%s", status, stdout, stderr)
	}
	startServer(t, toDatabase)
	for range 2 {
		if path := <-received; path != "/hook" {
			t.Errorf("the receiver is called at %s", path)
		}
	}
}

// An interruption ends the command between two batches, and it says how to go on.
func TestImport_interrupted(t *testing.T) {
	database, _ := newDatabase(t)
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	source := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/v2/ranks":
			fmt.Fprint(w, `{"data":[{"id":1,"name":"Sergeant"}],"meta":{"total":1}}`)
		case "/v2/awards":
			interrupt()
		default:
			fmt.Fprint(w, `{"data":[],"meta":{"total":0}}`)
		}
	}))
	defer source.Close()
	var stdout, stderr lockedBuffer
	status := run(ctx, []string{"import", "--from", source.URL, "--key", "x", "--database", database}, &output{Stdin: strings.NewReader(""), Stdout: &stdout, Stderr: &stderr})
	if status != 1 || !strings.Contains(stderr.String(), "interrupted: what is listed above is copied; run the same command again to go on") ||
		!strings.Contains(stdout.String(), "ranks  1     1         0        0") {
		t.Errorf("status %d\n%s\n%s", status, stdout.String(), stderr.String())
	}
}

func TestImport_tellsWhatIsWrong(t *testing.T) {
	database, key := newDatabase(t)
	server := startServer(t, database)
	smallUnit(t, server, key)
	into, _ := newDatabase(t)
	status, stdout, _ := runBugle(t, "", "key", "create", "--database", database, "--name", "few", "--scope", "view:user")
	few := strings.TrimSpace(stdout)
	if status != 0 {
		t.Fatal(stdout)
	}
	for _, test := range []struct {
		args   []string
		status int
		want   string
	}{
		{[]string{"--from", server.url, "--key", "wrong"}, 1, "the source does not accept the key"},
		{[]string{"--from", server.url}, 2, "--key"},
		{[]string{"--from", "example.com", "--key", "x"}, 2, "want one such as https://api.perscom.io/v2"},
		{[]string{"--from", server.url, "--key", key, "--organization", "9"}, 1, "--organization is 9"},
		{[]string{"--from", server.url, "--key", few}, 3, "not everything could be copied"},
	} {
		status, stdout, stderr := runBugle(t, "", append([]string{"import", "--database", into}, test.args...)...)
		if status != test.status || !strings.Contains(stderr, test.want) {
			t.Errorf("%v: status %d, want %d\n%s\n%s", test.args, status, test.status, stdout, stderr)
		}
		if strings.Contains(stdout+stderr, key) {
			t.Errorf("%v: the key is shown", test.args)
		}
		if test.status == 3 && !strings.Contains(stdout, "ranks: the key may not read them") {
			t.Errorf("the summary does not say what is not copied:\n%s", stdout)
		}
	}
}
