package delivery

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/internal/smtptest"
	"github.com/buglehq/bugle/value"
)

// A testProxy takes CONNECT, or SOCKS 5, and connects as it is asked.
type testProxy struct {
	address string
	to      string // where it connects to whatever it is asked for; empty: there

	mu    sync.Mutex
	asked []string // targets
	creds []string // of each
}

// targets are what it was asked for so far.
func (p *testProxy) targets() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.asked)
}

func (p *testProxy) ask(target, creds string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked, p.creds = append(p.asked, target), append(p.creds, creds)
}

// newTestProxy serves a proxy, over TLS if there is a configuration.
func newTestProxy(t testing.TB, over *tls.Config, handle func(*testProxy, net.Conn)) *testProxy {
	p := new(testProxy)
	p.address = receiveRaw(t, func(conn net.Conn) {
		if over != nil {
			conn = tls.Server(conn, over)
		}
		handle(p, conn)
	})
	return p
}

// join passes bytes both ways until both sides have ended, and what was read too early first. It answers before that.
func (p *testProxy) join(client net.Conn, early io.Reader, target string, answer func(ok bool)) {
	if p.to != "" {
		target = p.to
	}
	server, err := net.Dial("tcp", target)
	answer(err == nil)
	if err != nil {
		return
	}
	defer server.Close()
	go func() {
		io.Copy(server, early)
		server.(*net.TCPConn).CloseWrite()
	}()
	io.Copy(client, server)
}

// byConnect is a proxy by HTTP.
func byConnect(p *testProxy, conn net.Conn) {
	reader := bufio.NewReader(conn)
	r, err := http.ReadRequest(reader)
	if err != nil || r.Method != http.MethodConnect {
		fmt.Fprint(conn, "HTTP/1.1 405 Method Not Allowed\r\n\r\n")
		return
	}
	p.ask(r.RequestURI, r.Header.Get("Proxy-Authorization"))
	p.join(conn, reader, r.RequestURI, func(ok bool) {
		if ok {
			fmt.Fprint(conn, "HTTP/1.1 200 Connection established\r\nVia: test\r\n\r\n")
		} else {
			fmt.Fprint(conn, "HTTP/1.1 502 Bad Gateway\r\n\r\n")
		}
	})
}

// bySOCKS is a proxy by SOCKS 5, which wants a password if it is offered one.
func bySOCKS(p *testProxy, conn net.Conn) {
	read := func(n int) []byte {
		b := make([]byte, n)
		io.ReadFull(conn, b)
		return b
	}
	creds := ""
	methods := read(int(read(2)[1]))
	if slices.Contains(methods, 2) {
		conn.Write([]byte{5, 2})
		user := read(int(read(2)[1]))
		creds = string(user) + ":" + string(read(int(read(1)[0])))
		conn.Write([]byte{1, 0})
	} else {
		conn.Write([]byte{5, 0})
	}
	host := ""
	switch read(4)[3] {
	case 1:
		host = net.IP(read(4)).String()
	case 3:
		host = string(read(int(read(1)[0])))
	case 4:
		host = net.IP(read(16)).String()
	}
	port := read(2)
	target := net.JoinHostPort(host, fmt.Sprint(int(port[0])<<8|int(port[1])))
	p.ask(target, creds)
	p.join(conn, conn, target, func(ok bool) {
		reply := []byte{5, 0, 0, 3, 4, 'h', 'o', 's', 't', 0, 80}
		if !ok {
			reply[1] = 5
		}
		conn.Write(reply)
	})
}

// guardThrough is a guard that uses a proxy.
func guardThrough(t testing.TB, guard *Guard, address string, o ProxyOptions) *Guard {
	t.Helper()
	p, err := NewProxy(address, o)
	if err != nil {
		t.Fatal(err)
	}
	guard.UseProxy(p)
	return guard
}

// What a receiver gets is the same through each kind of proxy as without one, and the proxy is asked for its address.
func TestProxy(t *testing.T) {
	over, trusts := certified(t)
	var mu sync.Mutex
	var got [][]byte
	plain := receiveRaw(t, func(conn net.Conn) {
		var text bytes.Buffer
		readRequest(bufio.NewReader(io.TeeReader(conn, &text)))
		mu.Lock()
		got = append(got, text.Bytes())
		mu.Unlock()
		io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\ntaken")
	})
	secured := httptest.NewTLSServer(answer(200, "secured"))
	defer secured.Close()
	receivers := x509.NewCertPool()
	receivers.AddCert(secured.Certificate())

	direct := NewClient(newGuard(t, []string{"127.0.0.1"}, nil), ClientOptions{})
	defer direct.Close()
	sendTo(t, direct, "http://"+plain+"/hook?a=b")
	for _, test := range []struct {
		scheme string
		over   *tls.Config
		handle func(*testProxy, net.Conn)
		creds  string
	}{
		{"http://", nil, byConnect, ""},
		{"http://user:pass%20word@", nil, byConnect, "Basic " + base64.StdEncoding.EncodeToString([]byte("user:pass word"))},
		{"https://user:pass%20word@", over, byConnect, "Basic " + base64.StdEncoding.EncodeToString([]byte("user:pass word"))},
		{"socks5://", nil, bySOCKS, ""},
		{"socks5://user:pass%20word@", nil, bySOCKS, "user:pass word"},
	} {
		t.Run(test.scheme, func(t *testing.T) {
			p := newTestProxy(t, test.over, test.handle)
			client := NewClient(guardThrough(t, newGuard(t, []string{"127.0.0.1"}, nil), test.scheme+p.address, ProxyOptions{RootCAs: trusts}), ClientOptions{RootCAs: receivers})
			defer client.Close()
			a := sendTo(t, client, "http://"+plain+"/hook?a=b")
			wantKind(t, a, "")
			if a.RemoteAddress != plain || string(a.ResponseBody) != "taken" {
				t.Errorf("the attempt is %+v", a)
			}
			a = sendTo(t, client, secured.URL)
			wantKind(t, a, "")
			if a.RemoteAddress != secured.Listener.Addr().String() || string(a.ResponseBody) != "secured" {
				t.Errorf("the attempt by TLS is %+v", a)
			}
			if asked := p.targets(); !slices.Equal(asked, []string{plain, secured.Listener.Addr().String()}) || p.creds[0] != test.creds || p.creds[1] != test.creds {
				t.Errorf("asked for %q with %q", asked, p.creds)
			}
		})
	}
	for i, text := range got[1:] {
		if !bytes.Equal(text, got[0]) {
			t.Errorf("request %d is\n%s\nwithout a proxy it is\n%s", i, text, got[0])
		}
	}
	if len(got) != 6 {
		t.Errorf("%d requests", len(got))
	}
}

// The proxy is asked for an address that was checked, whatever the name resolves to later, and TLS is with the receiver, by its name.
func TestProxy_namesAreCheckedHere(t *testing.T) {
	secured := httptest.NewTLSServer(answer(200, "secured"))
	defer secured.Close()
	known := x509.NewCertPool()
	known.AddCert(secured.Certificate()) // for example.com
	p := newTestProxy(t, nil, byConnect)
	p.to = secured.Listener.Addr().String()
	names := &zone{names: map[string][]string{
		"example.com":       {"93.184.215.14", "127.0.0.1"},
		"other.test":        {"93.184.215.14"},
		"private.test":      {"10.0.0.1"},
		"allowed.lan":       {"10.0.0.1"},
		"mixed.test":        {"93.184.215.14 127.0.0.1 10.0.0.1 fd00::1"},
		"denied.example":    {"93.184.215.14"},
		"many.test":         {"93.184.215.14 93.184.215.15 93.184.215.16 93.184.215.17 93.184.215.18 93.184.215.19"},
		"nowhere.test":      {},
		"metadata.internal": {"169.254.169.254"},
	}}
	guard := guardThrough(t, newGuard(t, []string{"allowed.lan"}, []string{"denied.example"}), "http://"+p.address, ProxyOptions{})
	client := NewClient(guard, ClientOptions{RootCAs: known, Resolver: names.resolver()})
	defer client.Close()
	for _, test := range []struct {
		url   string
		want  bugle.ErrorKind
		asked []string
	}{
		{"https://example.com/", "", []string{"93.184.215.14:443"}},
		{"https://example.com:8443/", "", []string{"93.184.215.14:8443"}},
		{"https://other.test/", bugle.ErrorTLS, []string{"93.184.215.14:443"}},
		{"https://private.test/", bugle.ErrorBlocked, nil},
		{"https://allowed.lan/", bugle.ErrorTLS, []string{"10.0.0.1:443"}},
		{"https://mixed.test/", bugle.ErrorTLS, []string{"93.184.215.14:443"}},
		{"https://denied.example/", bugle.ErrorBlocked, nil},
		{"https://nowhere.test/", bugle.ErrorDNS, nil},
		{"https://metadata.internal/", bugle.ErrorBlocked, nil},
		{"https://10.0.0.1/", bugle.ErrorBlocked, nil},
		{"https://[::1]/", bugle.ErrorBlocked, nil},
		{"https://2130706433/", bugle.ErrorDNS, nil},
	} {
		before := len(p.targets())
		wantKind(t, sendTo(t, client, test.url), test.want)
		if asked := p.targets()[before:]; !slices.Equal(asked, test.asked) {
			t.Errorf("%s: the proxy was asked for %q, want %q", test.url, asked, test.asked)
		}
	}

	names.next()
	before := len(p.targets())
	wantKind(t, sendTo(t, client, "https://example.com:9443/"), bugle.ErrorBlocked) // it is 127.0.0.1 now
	p.to = "127.0.0.1:1"
	wantKind(t, sendTo(t, client, "https://many.test/"), bugle.ErrorConnect)
	if asked := p.targets()[before:]; len(asked) != maxProxied {
		t.Errorf("asked for %q", asked)
	}
}

// With Resolves the proxy gets names, and only how a host is written decides.
func TestProxy_resolves(t *testing.T) {
	receiver := httptest.NewServer(answer(200, "taken"))
	defer receiver.Close()
	for name, handle := range map[string]func(*testProxy, net.Conn){"http": byConnect, "socks5": bySOCKS} {
		t.Run(name, func(t *testing.T) {
			p := newTestProxy(t, nil, handle)
			p.to = receiver.Listener.Addr().String()
			guard := guardThrough(t, newGuard(t, []string{"10.1.0.0/16"}, []string{"*.denied.example"}), name+"://"+p.address, ProxyOptions{Resolves: true})
			client := NewClient(guard, ClientOptions{Resolver: noNameServer})
			defer client.Close()
			for url, want := range map[string]bugle.ErrorKind{
				"http://Hooks.example.:8080/": "", "http://10.1.2.3/": "",
				"http://a.denied.example/": bugle.ErrorBlocked, "http://localhost/": bugle.ErrorBlocked, "http://127.0.0.1/": bugle.ErrorBlocked,
				"http://metadata.google.internal/": bugle.ErrorBlocked, "http://127.1/": bugle.ErrorDNS, "http://a%20b/": bugle.ErrorConnect, "http://a..b/": bugle.ErrorDNS,
			} {
				wantKind(t, sendTo(t, client, url), want)
			}
			asked := p.targets()
			slices.Sort(asked)
			if !slices.Equal(asked, []string{"10.1.2.3:80", "hooks.example:8080"}) {
				t.Errorf("asked for %q", asked)
			}
			if err := guard.Check(t.Context(), "hooks.example"); err != nil {
				t.Errorf("check: %v", err)
			}
			if err := guard.Check(t.Context(), "localhost"); err == nil {
				t.Error("localhost is not refused")
			}
		})
	}
}

// What the operator names is called without the proxy, if the guard permits it.
func TestProxy_direct(t *testing.T) {
	receiver := httptest.NewServer(answer(200, "taken"))
	defer receiver.Close()
	_, port, _ := net.SplitHostPort(receiver.Listener.Addr().String())
	names := &zone{names: map[string][]string{"hooks.lan": {"127.0.0.1"}, "hooks.test": {"127.0.0.1"}}}
	for _, test := range []struct {
		allow, direct []string
		host          string
		asked         int
		want          bugle.ErrorKind
	}{
		{[]string{"hooks.lan"}, []string{"*.lan"}, "hooks.lan", 0, ""},
		{[]string{"127.0.0.0/8"}, []string{"127.0.0.1"}, "hooks.test", 0, ""},
		{[]string{"127.0.0.0/8"}, []string{"127.0.0.1"}, "127.0.0.1", 0, ""},
		{[]string{"127.0.0.0/8"}, []string{"*.lan"}, "hooks.test", 1, ""},
		{nil, []string{"*.lan", "127.0.0.1"}, "hooks.lan", 0, bugle.ErrorBlocked},
		{nil, []string{"*.lan", "127.0.0.1"}, "hooks.test", 0, bugle.ErrorBlocked},
	} {
		p := newTestProxy(t, nil, byConnect)
		client := NewClient(guardThrough(t, newGuard(t, test.allow, nil), "http://"+p.address, ProxyOptions{Direct: test.direct}), ClientOptions{Resolver: names.resolver()})
		wantKind(t, sendTo(t, client, "http://"+test.host+":"+port+"/"), test.want)
		if asked := p.targets(); len(asked) != test.asked {
			t.Errorf("%+v: the proxy was asked for %q", test, asked)
		}
		client.Close()
	}
}

// A proxy that fails is told apart from a receiver that does, and its user and password are in no message.
func TestProxy_failures(t *testing.T) {
	over, trusts := certified(t)
	says := func(text string) func(*testProxy, net.Conn) {
		return func(_ *testProxy, conn net.Conn) {
			http.ReadRequest(bufio.NewReader(conn))
			io.WriteString(conn, text)
		}
	}
	socksSays := func(parts ...[]byte) func(*testProxy, net.Conn) {
		return func(_ *testProxy, conn net.Conn) {
			for _, part := range parts {
				conn.Read(make([]byte, 1024))
				conn.Write(part)
			}
		}
	}
	hangs := func(_ *testProxy, conn net.Conn) { io.Copy(io.Discard, conn) }
	for _, test := range []struct {
		name    string
		scheme  string
		over    *tls.Config
		handle  func(*testProxy, net.Conn)
		trusts  *x509.CertPool
		timeout time.Duration
		want    bugle.ErrorKind
		message string
	}{
		{name: "away", scheme: "http", want: bugle.ErrorProxy, message: "the egress proxy cannot be reached: connection refused"},
		{name: "407", scheme: "http", handle: says("HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\n\r\n"), want: bugle.ErrorProxy,
			message: "the egress proxy wants another user and password: it answered 407 Proxy Authentication Required"},
		{name: "403", scheme: "http", handle: says("HTTP/1.1 403 For\x1bbidden\r\nContent-Length: 3\r\n\r\nno!"), want: bugle.ErrorProxy,
			message: "the egress proxy refuses to connect to the receiver: it answered 403 Forbidden"},
		{name: "302", scheme: "http", handle: says("HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1/\r\n\r\n"), want: bugle.ErrorProxy,
			message: "the egress proxy refuses to connect to the receiver: it answered 302 Found"},
		{name: "502", scheme: "http", handle: says("HTTP/1.0 502\r\n\r\n"), want: bugle.ErrorConnect, message: "the egress proxy cannot reach the receiver: it answered 502 Bad Gateway"},
		{name: "503", scheme: "http", handle: says("HTTP/1.1 503 Service Unavailable\r\n\r\n"), want: bugle.ErrorConnect,
			message: "the egress proxy cannot reach the receiver: it answered 503 Service Unavailable"},
		{name: "1xx", scheme: "http", handle: says("HTTP/1.1 100 Continue\r\n\r\n"), want: bugle.ErrorProxy, message: "the egress proxy did not answer with HTTP"},
		{name: "no HTTP", scheme: "http", handle: says("SSH-2.0-OpenSSH_9.2\r\n\r\n"), want: bugle.ErrorProxy, message: "the egress proxy did not answer with HTTP"},
		{name: "endless headers", scheme: "http", handle: says("HTTP/1.1 200 OK\r\n" + strings.Repeat("X-Filler: "+strings.Repeat("x", 1000)+"\r\n", 100)), want: bugle.ErrorProxy,
			message: "the egress proxy did not answer with HTTP"},
		{name: "closes", scheme: "http", handle: func(*testProxy, net.Conn) {}, want: bugle.ErrorProxy, message: "the egress proxy closed the connection before it answered"},
		{name: "hangs", scheme: "http", handle: hangs, timeout: 100 * time.Millisecond, want: bugle.ErrorTimeout, message: "the egress proxy was not connected to the receiver within 0.1 s"},
		{name: "hangs before it can be asked", scheme: "https", handle: hangs, timeout: 100 * time.Millisecond, want: bugle.ErrorProxy,
			message: "the egress proxy did not answer within 0.1 s"},
		{name: "unknown certificate", scheme: "https", over: over, handle: byConnect, want: bugle.ErrorProxy,
			message: "the TLS handshake with the egress proxy failed: the proxy's certificate is signed by an unknown authority"},
		{name: "no TLS", scheme: "https", handle: says("HTTP/1.1 400 Bad Request\r\n\r\n"), trusts: trusts, want: bugle.ErrorProxy,
			message: "the TLS handshake with the egress proxy failed: the proxy does not speak TLS on this port: is the URL meant to start with http://?"},
		{name: "SOCKS wants a password", scheme: "socks5", handle: socksSays([]byte{5, 0xff}), want: bugle.ErrorProxy, message: "the egress proxy wants a user and a password"},
		{name: "SOCKS wants another password", scheme: "socks5", handle: socksSays([]byte{5, 2}, []byte{1, 1}), want: bugle.ErrorProxy, message: "the egress proxy wants another user and password"},
		{name: "SOCKS refuses", scheme: "socks5", handle: socksSays([]byte{5, 0}, []byte{5, 2, 0, 1, 0, 0, 0, 0, 0, 0}), want: bugle.ErrorProxy,
			message: "the egress proxy refuses to connect to the receiver: it answered 2"},
		{name: "SOCKS cannot reach it", scheme: "socks5", handle: socksSays([]byte{5, 0}, []byte{5, 4, 0, 1, 0, 0, 0, 0, 0, 0}), want: bugle.ErrorConnect,
			message: "the egress proxy cannot reach the receiver: host unreachable"},
		{name: "SOCKS fails", scheme: "socks5", handle: socksSays([]byte{5, 0}, []byte{5, 1, 0, 1, 0, 0, 0, 0, 0, 0}), want: bugle.ErrorConnect, message: "the egress proxy cannot reach the receiver"},
		{name: "no SOCKS", scheme: "socks5", handle: socksSays([]byte("HTTP/1.1 400 Bad Request\r\n\r\n")), want: bugle.ErrorProxy, message: "the egress proxy did not answer with SOCKS 5"},
		{name: "SOCKS answers of no kind", scheme: "socks5", handle: socksSays([]byte{5, 0}, []byte{5, 0, 0, 9, 0}), want: bugle.ErrorProxy, message: "the egress proxy did not answer with SOCKS 5"},
		{name: "SOCKS closes", scheme: "socks5", handle: socksSays([]byte{5, 0}, []byte{5}), want: bugle.ErrorProxy, message: "the egress proxy closed the connection before it answered"},
	} {
		t.Run(test.name, func(t *testing.T) {
			address := "127.0.0.1:1"
			if test.handle != nil {
				address = newTestProxy(t, test.over, test.handle).address
			}
			guard := guardThrough(t, newGuard(t, []string{"127.0.0.1"}, nil), test.scheme+"://agent:secret-of-the-proxy@"+address, ProxyOptions{RootCAs: test.trusts})
			client := NewClient(guard, ClientOptions{})
			defer client.Close()
			r := post("http://127.0.0.1:9/")
			if test.timeout > 0 {
				r.Timeout = test.timeout
			}
			a := send(t, client, r)
			wantKind(t, a, test.want)
			wantMessage(t, a, test.message)
			if a.IsOfReceiver() != (test.want != bugle.ErrorProxy) || a.RemoteAddress != "" || a.Status != 0 {
				t.Errorf("the attempt is %+v", a)
			}
			if text := fmt.Sprintf("%+v %v", a, guard.Proxy()); strings.Contains(text, "secret") || strings.Contains(text, "agent") {
				t.Errorf("shown: %s", text)
			}
		})
	}
}

// While the proxy is away, what waits is tried now and then, and no webhook fails because of it.
func TestProxy_isNoFailureOfTheReceiver(t *testing.T) {
	r := newRig(t)
	p := newTestProxy(t, nil, byConnect)
	guard := guardThrough(t, newGuard(t, []string{"127.0.0.0/8"}, nil), "http://127.0.0.1:1", ProxyOptions{})
	r.client = NewClient(guard, ClientOptions{})
	t.Cleanup(r.client.Close)
	r.start()
	to := r.receiver(func(http.ResponseWriter, *http.Request) {})
	w := r.hook(to.URL, func(w *bugle.Webhook) { w.MaxConcurrency, w.RetrySchedule = 1, []int{3600} })
	ids := r.send(w, 3)
	r.await(ids[0], bugle.Pending, 1)
	if ready, at := r.engine.readyOf(w.ID); ready || !at.Equal(r.clock.Now().Add(time.Second)) {
		t.Errorf("after the proxy has failed the lane is ready: %t, or at %v", ready, at)
	}
	r.want(ids[1], bugle.Pending, 0)
	if state := r.webhook(w).Health.State(); state != bugle.Healthy {
		t.Errorf("the webhook is %s", state)
	}
	guard.proxy.address = p.address // it is back
	r.advance(time.Second)
	r.await(ids[1], bugle.Delivered, 1)
	r.await(ids[2], bugle.Delivered, 1)
	if len(p.targets()) == 0 {
		t.Error("nothing went through the proxy")
	}
}

// Mails go through the proxy too, though a mail server speaks first.
func TestProxy_mail(t *testing.T) {
	for _, encryption := range []string{"starttls", "tls", "none"} {
		t.Run(encryption, func(t *testing.T) {
			r := newRig(t)
			server, trusts := certified(t)
			p := newTestProxy(t, nil, func(p *testProxy, conn net.Conn) {
				reader := bufio.NewReader(conn)
				request, err := http.ReadRequest(reader)
				if err != nil {
					return
				}
				p.ask(request.RequestURI, "")
				upstream, err := net.Dial("tcp", request.RequestURI)
				if err != nil {
					return
				}
				defer upstream.Close()
				first := []byte{}
				if encryption != "tls" {
					first = make([]byte, 1024)
					n, _ := upstream.Read(first)
					first = first[:n]
				}
				conn.Write(append([]byte("HTTP/1.1 200 OK\r\n\r\n"), first...)) // all at once
				go io.Copy(upstream, reader)
				io.Copy(conn, upstream)
			})
			r.client = NewClient(guardThrough(t, newGuard(t, []string{"127.0.0.0/8"}, nil), "http://"+p.address, ProxyOptions{}), ClientOptions{RootCAs: trusts})
			t.Cleanup(r.client.Close)
			r.start()
			s := &smtptest.Server{}
			if encryption != "none" {
				s.TLS, s.Implicit = server, encryption == "tls"
			}
			host, port := s.Start(t)
			r.configure("mail", "from", "unit@example.org", "encryption", encryption, "host", host, "port", port)
			id := r.owe("mail", "Hello", r.person("Roe", "", "", ""))
			a := r.last(id, bugle.Delivered)
			if len(s.Mails()) != 1 || len(p.targets()) != 1 || a.RemoteAddress != fmt.Sprintf("127.0.0.1:%d", port) {
				t.Errorf("%d mails, %q, %+v", len(s.Mails()), p.targets(), a)
			}
		})
	}
}

// A mail that the proxy does not let out says so.
func TestProxy_mailFails(t *testing.T) {
	client := NewClient(guardThrough(t, newGuard(t, []string{"127.0.0.0/8"}, nil), "http://127.0.0.1:1", ProxyOptions{}), ClientOptions{})
	defer client.Close()
	lane := &bugle.Webhook{Channel: "mail", TimeoutSeconds: 10, Settings: value.Map("host", "127.0.0.1", "port", int64(2525), "from", "unit@example.org", "encryption", "none")}
	err := client.Mail(t.Context(), lane, "Unit", "Subject", bugle.Recipient{ID: 1, Name: "Jane", Address: "jane@example.com"}, "Hello")
	if err == nil || !strings.Contains(err.Error(), "proxy: the egress proxy cannot be reached: connection refused") {
		t.Errorf("error %v", err)
	}
}

func TestNewProxy_refuses(t *testing.T) {
	for _, address := range []string{"", "proxy", "proxy.example.com:3128", "ftp://proxy.example.com", "http://", "http://user:secret@", "http://proxy.example.com/path", "http://proxy.example.com?x=secret",
		"http://proxy.example.com:0", "http://proxy.example.com:70000", "http://user:sec%zzret@proxy.example.com", "http://127.1:3128", "http://user:secret@a b:3128", "socks5://u:" + strings.Repeat("secret", 50) + "@proxy.example.com"} {
		p, err := NewProxy(address, ProxyOptions{})
		if err == nil {
			t.Errorf("%s is %s", address, p)
		} else if strings.Contains(err.Error(), "secret") {
			t.Errorf("shown: %v", err)
		}
	}
	if _, err := NewProxy("http://proxy.example.com", ProxyOptions{Direct: []string{"10.0.0.1/8", "a b"}}); err == nil || strings.Count(err.Error(), "direct target") != 2 {
		t.Errorf("direct targets: %v", err)
	}
	for address, want := range map[string]string{"http://user:secret@Proxy.example.com": "http://proxy.example.com:80", "https://proxy": "https://proxy:443", "socks5://[::1]": "socks5://[::1]:1080"} {
		if p, err := NewProxy(address, ProxyOptions{}); err != nil || p.String() != want || p.HasCredentials() != strings.Contains(address, "@") {
			t.Errorf("%s is %v, %v", address, p, err)
		}
	}
}
