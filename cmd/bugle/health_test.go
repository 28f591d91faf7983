package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestHealth(t *testing.T) {
	database, _ := newDatabase(t)
	server := startServer(t, database)
	for _, path := range []string{"", "/", "/health"} {
		if status, stdout, stderr := runBugle(t, "", "health", "--url", server.url+path); status != 0 || stdout != "healthy\n" {
			t.Errorf("of a server that is ready, at %q: status %d, %s%s", path, status, stdout, stderr)
		}
	}
	server.stop(t)
	if status, stdout, stderr := runBugle(t, "", "health", "--url", server.url); status != 1 || stdout != "" || !strings.Contains(stderr, "connection refused") {
		t.Errorf("of a server that is gone: status %d, %s%s", status, stdout, stderr)
	}
}

func TestHealth_fails(t *testing.T) {
	hold := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/readyz":
			http.Error(w, "the database is gone", http.StatusServiceUnavailable)
		case "/moved":
			http.Redirect(w, r, "/fine", http.StatusFound)
		case "/hang":
			<-hold
		}
	}))
	defer server.Close()
	defer close(hold)
	for _, test := range []struct {
		args   []string
		status int
		want   string
	}{
		{[]string{"--url", server.URL}, 1, "/readyz answers 503 Service Unavailable: the database is gone"},
		{[]string{"--url", server.URL + "/moved"}, 1, "/moved answers 302 Found"},
		{[]string{"--url", server.URL + "/hang", "--timeout", "10ms"}, 1, "deadline exceeded"},
		{[]string{"--url", "localhost:8080"}, 2, "want an address such as"},
		{[]string{"--timeout", "0s"}, 2, "want more than 0"},
	} {
		if status, stdout, stderr := runBugle(t, "", append([]string{"health"}, test.args...)...); status != test.status || stdout != "" && test.status == 1 || !strings.Contains(stderr, test.want) {
			t.Errorf("%q: status %d, want %d\n%s%s", test.args, status, test.status, stdout, stderr)
		}
	}
}
