package main

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/buglehq/bugle/value"
)

// An egressProxy takes CONNECT from who knows its password.
type egressProxy struct {
	*httptest.Server
	mu       sync.Mutex
	asked    []string
	password string
}

// targets are what it has connected to.
func (p *egressProxy) targets() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.asked)
}

func newEgressProxy(t *testing.T) *egressProxy {
	p := &egressProxy{password: "password-of-the-proxy"}
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Header.Set("Authorization", r.Header.Get("Proxy-Authorization"))
		p.mu.Lock()
		want := p.password
		p.mu.Unlock()
		if user, password, _ := r.BasicAuth(); r.Method != http.MethodConnect || user != "agent" || password != want {
			w.WriteHeader(http.StatusProxyAuthRequired)
			return
		}
		server, err := net.Dial("tcp", r.RequestURI)
		if err != nil {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		defer server.Close()
		p.mu.Lock()
		p.asked = append(p.asked, r.RequestURI)
		p.mu.Unlock()
		w.WriteHeader(http.StatusOK)
		client, rest, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer client.Close()
		go io.Copy(server, rest)
		io.Copy(client, server)
	}))
	t.Cleanup(p.CloseClientConnections)
	t.Cleanup(p.Close)
	return p
}

// The server and the import call through the operator's proxy, whose password nobody else sees.
func TestEgressProxy(t *testing.T) {
	proxy := newEgressProxy(t)
	host := proxy.Listener.Addr().String()
	got := make(chan struct{}, 10)
	receiver := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { got <- struct{}{} }))
	defer receiver.Close()
	t.Setenv("BUGLE_EGRESS_PROXY", "http://agent:password-of-the-proxy@"+host)
	database, key := newDatabase(t)
	server := startServer(t, database, "--log-level", "debug")
	server.mustCall(t, key, "POST", "/v2/webhooks", `{"name":"hook","url":"`+receiver.URL+`","events":["user.created"]}`, 201)
	server.mustCall(t, key, "POST", "/v2/users", `{"name":"Jane Roe","email":"jane@example.com"}`, 201)
	<-got
	if asked := proxy.targets(); !slices.Equal(asked, []string{receiver.Listener.Addr().String()}) {
		t.Errorf("the proxy was asked for %q", asked)
	}

	t.Setenv("BUGLE_IMPORT_KEY", key)
	into := "sqlite:" + filepath.Join(t.TempDir(), "bugle.db")
	if status, stdout, stderr := runBugle(t, "", "import", "--from", server.url+"/v2", "--database", into); status != 0 {
		t.Errorf("import: status %d, %s %s", status, stdout, stderr)
	}
	if asked := proxy.targets(); len(asked) < 2 || asked[1] != strings.TrimPrefix(server.url, "http://") {
		t.Errorf("the proxy was asked for %q", asked)
	}

	proxy.mu.Lock()
	proxy.password = "another-password"
	proxy.mu.Unlock()
	server.mustCall(t, key, "POST", "/v2/webhooks", `{"name":"other","url":"http://127.0.0.1:9/","events":["calendar.created"]}`, 201)
	server.mustCall(t, key, "POST", "/v2/calendars", `{"name":"Training","color":"#2563eb"}`, 201)
	waitFor(t, "an attempt that the proxy refuses", func() bool {
		status, list, err := server.call(key, "GET", "/v2/deliveries?webhook_id=2", "")
		if err != nil || status != 200 {
			t.Fatal(status, err)
		}
		text, err := value.JSON(list)
		if err != nil {
			t.Fatal(err)
		}
		return strings.Contains(string(text), `"kind":"proxy","message":"the egress proxy wants another user and password: it answered 407 Proxy Authentication Required"`)
	})
	server.stop(t)
	if log := server.log.String(); strings.Contains(log, "password-of-the-proxy") || strings.Contains(log, "agent") || !strings.Contains(log, "proxy=http://"+host) {
		t.Errorf("the log is %s", log)
	}
}

func TestEgressProxy_refuses(t *testing.T) {
	database, _ := newDatabase(t)
	for _, test := range []struct {
		args []string
		want string
	}{
		{[]string{"--egress-proxy", "proxy.example.com:3128"}, "such as http://proxy.example.com:3128"},
		{[]string{"--egress-proxy", "http://agent:secret@proxy.example.com"}, "give it by BUGLE_EGRESS_PROXY instead"},
		{[]string{"--egress-proxy", "http://proxy.example.com", "--egress-direct", "10.0.0.1/8"}, "want 10.0.0.0/8"},
		{[]string{"--egress-direct", "10.0.0.0/8"}, "need --egress-proxy"},
		{[]string{"--egress-proxy-resolves"}, "need --egress-proxy"},
	} {
		for _, command := range [][]string{{"serve"}, {"import", "--from", "http://127.0.0.1:1", "--key", "x"}} {
			status, _, stderr := runBugle(t, "", append(append(command, "--database", database), test.args...)...)
			if status != 2 || !strings.Contains(stderr, test.want) || strings.Contains(stderr, "secret") {
				t.Errorf("%q: status %d, %s", test.args, status, stderr)
			}
		}
	}
}
