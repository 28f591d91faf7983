package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// withFiles says how many files a process that a test starts may have open.
const withFiles = "BUGLE_TEST_FILES"

func init() {
	if n, err := strconv.ParseUint(os.Getenv(withFiles), 10, 64); err == nil && os.Getenv(asBugle) != "" {
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: n, Max: n}); err != nil {
			panic(err)
		}
	}
}

// dial connects to a server, with a deadline for all that follows.
func (p *process) dial(t *testing.T) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(p.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(patience))
	return conn
}

// More clients are connected than the server may have files, and say nothing or too little. Who was connected before is
// served, deliveries go on, and soon others are served too.
func TestServe_clientsThatSayNothing(t *testing.T) {
	t.Setenv(withFiles, "400")
	database, key := newDatabase(t)
	server := startServer(t, database)
	var arrived atomic.Int64
	receiver := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { arrived.Add(1) }))
	defer receiver.Close()
	server.mustCall(t, key, "POST", "/v2/webhooks", fmt.Sprintf(`{"name":"Hook","url":"%s","events":["calendar.created"]}`, receiver.URL), 201)
	before := server.dial(t)
	change := func(conn net.Conn) int {
		t.Helper()
		body := `{"name":"Training","color":"#2563eb"}`
		fmt.Fprintf(conn, "POST /v2/calendars HTTP/1.1\r\nHost: bugle\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", key, len(body), body)
		answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		io.Copy(io.Discard, answer.Body)
		return answer.StatusCode
	}
	if status := change(before); status != 201 {
		t.Fatalf("status %d", status)
	}
	for i := range 600 {
		conn := server.dial(t)
		switch i % 3 {
		case 1:
			io.WriteString(conn, "GET /v2/users HTTP/1.1\r\nHost: bugle\r\nX-Slow: ")
		case 2:
			io.WriteString(conn, "P")
		}
	}
	waitFor(t, "all places are taken", func() bool { return strings.Contains(server.log.String(), "as many clients are connected as may be") })
	if status := change(before); status != 201 {
		t.Errorf("who was connected before gets status %d", status)
	}
	waitFor(t, "the deliveries of both changes have arrived", func() bool { return arrived.Load() == 2 })
	if status := change(server.dial(t)); status != 201 { // once the silent ones are cut
		t.Errorf("who comes afterwards gets status %d", status)
	}
	waitFor(t, "the delivery of the third change has arrived", func() bool { return arrived.Load() == 3 })
	if log := server.log.String(); strings.Contains(log, "too many open files") || strings.Contains(log, "level=ERROR") {
		t.Errorf("the log says\n%s", log)
	}
}

// What no browser and no library sends is refused, and the server goes on.
func TestServe_requestsThatAreNone(t *testing.T) {
	database, key := newDatabase(t)
	server := startServer(t, database)
	long := strings.Repeat("x", 1<<20)
	for _, test := range []struct{ name, request, want string }{
		{"a header of 1 MiB", "GET /v2/users HTTP/1.1\r\nHost: a\r\nX-Long: " + long + "\r\n\r\n", "431"},
		{"100,000 headers", "GET /v2/users HTTP/1.1\r\nHost: a\r\n" + strings.Repeat("A: b\r\n", 100_000) + "\r\n", "431"},
		{"a path of 1 MiB", "GET /" + long + " HTTP/1.1\r\nHost: a\r\n\r\n", "431"},
		{"a path that climbs", "GET /storage/../../../../etc/passwd HTTP/1.1\r\nHost: a\r\n\r\n", "307 404"},
		{"one that climbs in disguise", "GET /storage/%2e%2e%2f%2e%2e%2fetc%2fpasswd HTTP/1.1\r\nHost: a\r\n\r\n", "404"},
		{"one with NUL", "GET /storage/a%00b HTTP/1.1\r\nHost: a\r\n\r\n", "404"},
		{"one with backslashes", `GET /storage/..\..\etc\passwd` + " HTTP/1.1\r\nHost: a\r\n\r\n", "404"},
		{"an escape that is none", "GET /%zz HTTP/1.1\r\nHost: a\r\n\r\n", "400"},
		{"no host", "GET /v2/users HTTP/1.1\r\n\r\n", "400"},
		{"two hosts", "GET /v2/users HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "400"},
		{"two lengths", "POST /v2/users HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", "400"},
		{"a length and chunks", "POST /v2/users HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n", "400 401"},
		{"an unknown coding", "POST /v2/users HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", "501 400"},
		{"a header with a line break", "GET /v2/users HTTP/1.1\r\nHost: a\r\nX-A: b\rc\r\n\r\n", "400"},
		{"a proxy's request", "GET http://169.254.169.254/latest/ HTTP/1.1\r\nHost: 169.254.169.254\r\n\r\n", "404"},
		{"a tunnel", "CONNECT 169.254.169.254:80 HTTP/1.1\r\nHost: 169.254.169.254:80\r\n\r\n", "404 405"},
		{"TLS", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", "400"},
		{"HTTP/2 without asking", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "307 400 505"},
	} {
		conn := server.dial(t)
		go io.WriteString(conn, test.request)
		answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
			continue
		}
		body, _ := io.ReadAll(io.LimitReader(answer.Body, 1<<16))
		if status := fmt.Sprint(answer.StatusCode); !strings.Contains(test.want, status) {
			t.Errorf("%s: status %s, want %s", test.name, status, test.want)
		}
		if strings.Contains(string(body), "root:") {
			t.Errorf("%s: %s", test.name, body)
		}
		conn.Close()
	}
	server.mustCall(t, key, "GET", "/v2/users", "", 200)
	if strings.Contains(server.log.String(), "panic") {
		t.Errorf("the log says\n%s", server.log)
	}
}
