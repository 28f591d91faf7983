package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestTrustedProxies(t *testing.T) {
	proxies, err := parseTrustedProxies([]string{"10.0.0.0/8", "192.0.2.7", "2001:db8:1::/48"})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		from string
		told []string
		want string // the address that limits and logs have
	}{
		{"198.51.100.9:1234", nil, "198.51.100.9:1234"},
		{"198.51.100.9:1234", []string{"203.0.113.5"}, "198.51.100.9:1234"}, // anybody can send the header
		{"192.0.2.8:1234", []string{"203.0.113.5"}, "192.0.2.8:1234"},
		{"192.0.2.7:1234", []string{"203.0.113.5"}, "203.0.113.5:0"},
		{"10.1.2.3:1234", nil, "10.1.2.3:1234"},
		{"10.1.2.3:1234", []string{""}, "10.1.2.3:1234"},
		{"10.1.2.3:1234", []string{"203.0.113.5"}, "203.0.113.5:0"},
		{"[::ffff:10.1.2.3]:1234", []string{"203.0.113.5"}, "203.0.113.5:0"},
		{"10.1.2.3:1234", []string{"127.0.0.1, 203.0.113.5"}, "203.0.113.5:0"}, // the first one is what the client says
		{"10.1.2.3:1234", []string{"127.0.0.1", "203.0.113.5,10.9.9.9"}, "203.0.113.5:0"},
		{"10.1.2.3:1234", []string{"10.7.7.7, 10.9.9.9"}, "10.7.7.7:0"}, // a client within
		{"10.1.2.3:1234", []string{"203.0.113.5:4711"}, "203.0.113.5:0"},
		{"10.1.2.3:1234", []string{"[2001:db8::5]:4711"}, "[2001:db8::5]:0"},
		{"10.1.2.3:1234", []string{"2001:db8::5%eth0"}, "[2001:db8::5]:0"},
		{"10.1.2.3:1234", []string{"[2001:db8::5]"}, "[2001:db8::5]:0"},
		{"10.1.2.3:1234", []string{"::ffff:203.0.113.5"}, "203.0.113.5:0"},
		{"10.1.2.3:1234", []string{"unknown"}, "10.1.2.3:1234"},
		{"10.1.2.3:1234", []string{"203.0.113.5, unknown, 10.9.9.9"}, "10.9.9.9:0"},
		{"10.1.2.3:1234", []string{"<script>"}, "10.1.2.3:1234"},
		{"[2001:db8:1::9]:1234", []string{"2001:db8::5"}, "[2001:db8::5]:0"},
		{"@", []string{"203.0.113.5"}, "@"},
	} {
		var got string
		r := httptest.NewRequest("GET", "/", nil)
		r.RemoteAddr = c.from
		r.Header["X-Forwarded-For"] = c.told
		proxies.clients(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = r.RemoteAddr })).ServeHTTP(nil, r)
		if got != c.want {
			t.Errorf("from %s, forwarded for %q: %s, want %s", c.from, c.told, got, c.want)
		}
		if r.RemoteAddr != c.from {
			t.Errorf("the request itself was changed: its address is %s", r.RemoteAddr)
		}
	}
}

func TestParseTrustedProxies_refuses(t *testing.T) {
	for _, text := range []string{"", "proxy.example.com", "10.0.0.0/33", "10.0.0.1:80", "fe80::1%eth0", "0.0.0.0/0", "::/0"} {
		if p, err := parseTrustedProxies([]string{text}); err == nil || !strings.Contains(err.Error(), "--trusted-proxy is ") {
			t.Errorf("%q is %v, %v", text, p, err)
		}
	}
}

// Behind a proxy, what somebody does counts for him alone.
func TestServe_behindAProxy(t *testing.T) {
	database, _ := newDatabase(t)
	server := startServer(t, database, "--trusted-proxy", "127.0.0.1", "--public-url", "https://bugle.example.com", "--guest-rate-limit", "3")
	ask := func(client string) (status int, h http.Header) {
		t.Helper()
		r, err := http.NewRequest("GET", server.url+"/v2/users", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("X-Forwarded-For", client)
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, answer.Body)
		answer.Body.Close()
		return answer.StatusCode, answer.Header
	}
	for _, client := range []string{"2001:db8::5", "2001:db8::6", "2001:db8::ffff:ffff:ffff:ffff"} { // of one network, which one client may have
		ask(client)
	}
	if status, _ := ask("2001:db8::7"); status != http.StatusTooManyRequests {
		t.Errorf("the fourth request of one client gets %d, want 429", status)
	}
	status, h := ask("2001:db8:0:1::5")
	if status != http.StatusUnauthorized {
		t.Errorf("the first request of another gets %d, want 401", status)
	}
	if got := h.Get("Strict-Transport-Security"); got != "max-age=31536000" {
		t.Errorf("Strict-Transport-Security is %q", got)
	}
}
