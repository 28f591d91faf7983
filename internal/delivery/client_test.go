package delivery

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/buglehq/bugle"
)

// longEnough is a timeout for requests that are not about timeouts.
const longEnough = 30 * time.Second

func loopbackClient(t testing.TB) *Client {
	t.Helper()
	client := NewClient(newGuard(t, []string{"127.0.0.0/8"}, nil), ClientOptions{Resolver: noNameServer})
	t.Cleanup(client.Close)
	return client
}

func post(url string) *Request {
	return &Request{
		Method:  "POST",
		URL:     url,
		Header:  http.Header{"User-Agent": {"test"}, "Content-Type": {"application/json"}},
		Body:    []byte(`{"event":"webhook.test"}`),
		Timeout: longEnough,
	}
}

func send(t testing.TB, client *Client, r *Request) *bugle.Attempt {
	t.Helper()
	a := new(bugle.Attempt)
	client.Send(t.Context(), r, a)
	if a.Took <= 0 {
		t.Errorf("%s took %v", r.URL, a.Took)
	}
	return a
}

func sendTo(t testing.TB, client *Client, url string) *bugle.Attempt {
	t.Helper()
	return send(t, client, post(url))
}

// answer returns a handler that reads the request and answers.
func answer(status int, body string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		w.WriteHeader(status)
		io.WriteString(w, body)
	})
}

// receiveRaw listens on a loopback address, which it returns, and closes each connection once
// handle is done with it.
func receiveRaw(t testing.TB, handle func(net.Conn)) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				handle(conn)
			}()
		}
	}()
	return listener.Addr().String()
}

// readRequest reads one request, and reports whether there was one.
func readRequest(r *bufio.Reader) bool {
	request, err := http.ReadRequest(r)
	if err != nil {
		return false
	}
	io.Copy(io.Discard, request.Body)
	return true
}

// answerRaw returns the URL of a receiver that answers with text, and then closes or, if it hangs,
// keeps the connection until the client closes it.
func answerRaw(t testing.TB, text string, hangs bool) string {
	return "http://" + receiveRaw(t, func(conn net.Conn) {
		r := bufio.NewReader(conn)
		if readRequest(r) {
			io.WriteString(conn, text)
			if hangs {
				io.Copy(io.Discard, r)
			}
		}
	})
}

// wantKind checks the kind of the error, empty for none.
func wantKind(t testing.TB, a *bugle.Attempt, want bugle.ErrorKind) {
	t.Helper()
	switch {
	case a.Error == nil:
		if want != "" {
			t.Errorf("no error, want %s", want)
		}
	case a.Error.Kind != want:
		t.Errorf("%s error %q, want %q", a.Error.Kind, a.Error.Message, want)
	}
}

func wantMessage(t testing.TB, a *bugle.Attempt, want string) {
	t.Helper()
	if a.Error == nil || a.Error.Message != want {
		t.Errorf("error %+v, want %q", a.Error, want)
	}
}

func TestClient_Send(t *testing.T) {
	var gotMethod, gotURL, gotBody string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		gotMethod, gotURL, gotBody = r.Method, r.URL.String(), string(body)
		w.Header().Set("X-Answer", "42")
		w.WriteHeader(http.StatusAccepted)
		io.WriteString(w, "thanks")
	}))
	defer server.Close()
	client := loopbackClient(t)

	r := post(server.URL + "/hook?a=b")
	a := send(t, client, r)
	wantKind(t, a, "")
	if !a.OK() || a.Status != 202 || a.Reason != "Accepted" || string(a.ResponseBody) != "thanks" || a.ResponseTruncated ||
		a.ResponseHeaders.Get("X-Answer") != "42" || a.RemoteAddress != server.Listener.Addr().String() {
		t.Errorf("got %+v", a)
	}
	if gotMethod != "POST" || gotURL != "/hook?a=b" || gotBody != string(r.Body) {
		t.Errorf("received %s %s %q", gotMethod, gotURL, gotBody)
	}

	r.Method, r.URL, r.Body = "GET", server.URL+"/hook?data%5Bname%5D=a%20b&c=", nil
	wantKind(t, send(t, client, r), "")
	if gotMethod != "GET" || gotURL != "/hook?data%5Bname%5D=a%20b&c=" || gotBody != "" {
		t.Errorf("received %s %s %q", gotMethod, gotURL, gotBody)
	}
}

// What arrives is what the header says, in its case, and nothing that net/http likes to add.
func TestClient_Send_headersOnTheWire(t *testing.T) {
	received := make(chan string, 1)
	url := "http://" + receiveRaw(t, func(conn net.Conn) {
		var text bytes.Buffer
		if readRequest(bufio.NewReader(io.TeeReader(conn, &text))) {
			received <- text.String()
			io.WriteString(conn, "HTTP/1.1 204 No Content\r\n\r\n")
		}
	})
	client := loopbackClient(t)
	host := strings.TrimPrefix(url, "http://")

	r := post(url + "/hook")
	r.Header = http.Header{"User-Agent": {"GuzzleHttp/7"}, "webhook-id": {"msg_1"}, "X-Own": {"a", "b"}}
	wantKind(t, send(t, client, r), "")
	want := "POST /hook HTTP/1.1\r\nHost: " + host + "\r\nUser-Agent: GuzzleHttp/7\r\nContent-Length: 24\r\n" +
		"X-Own: a\r\nX-Own: b\r\nwebhook-id: msg_1\r\n\r\n" + `{"event":"webhook.test"}`
	if got := <-received; got != want {
		t.Errorf("received\n%q, want\n%q", got, want)
	}

	r.Method, r.Body = "GET", nil
	wantKind(t, send(t, client, r), "")
	want = "GET /hook HTTP/1.1\r\nHost: " + host + "\r\nUser-Agent: GuzzleHttp/7\r\nX-Own: a\r\nX-Own: b\r\nwebhook-id: msg_1\r\n\r\n"
	if got := <-received; got != want {
		t.Errorf("received\n%q, want\n%q", got, want)
	}
}

func TestClient_Send_statuses(t *testing.T) {
	client := loopbackClient(t)
	for _, test := range []struct {
		head    string
		status  int
		reason  string
		kind    bugle.ErrorKind
		message string
	}{
		{"200 OK", 200, "OK", "", ""},
		{"204 No Content", 204, "No Content", "", ""},
		{"299 Own Words", 299, "Own Words", "", ""},
		{"500 Internal Server Error", 500, "Internal Server Error", "status", "the receiver answered 500 Internal Server Error"},
		{"404 Nobody Home", 404, "Nobody Home", "status", "the receiver answered 404 Nobody Home"},
		{"410", 410, "", "status", "the receiver answered 410 Gone"},
		{"599", 599, "", "status", "the receiver answered 599"},
		{"101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x", 101, "Switching Protocols", "status", "the receiver answered 101 Switching Protocols"},
		{"103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK", 200, "OK", "", ""},
		{"304 Not Modified", 304, "Not Modified", "redirect", "the receiver answered 304 Not Modified; redirects are not followed"},
		{"302 Found", 302, "Found", "redirect", "the receiver answered 302 Found; redirects are not followed"},
		{
			"301 Moved Permanently\r\nLocation: https://user:pass@example.com/a?token=geheim#b", 301, "Moved Permanently", "redirect",
			"the receiver answered 301 Moved Permanently, which points to https://example.com/a; redirects are not followed",
		},
		{
			"307 Temporary Redirect\r\nLocation: /login?next=geheim", 307, "Temporary Redirect", "redirect",
			"the receiver answered 307 Temporary Redirect, which points to /login; redirects are not followed",
		},
		{"308 Permanent Redirect\r\nLocation: :%zz?geheim", 308, "Permanent Redirect", "redirect", "the receiver answered 308 Permanent Redirect; redirects are not followed"},
		{"400 a\x00b\xffc", 400, "ab\ufffdc", "status", "the receiver answered 400 ab\ufffdc"},
	} {
		text, noBody := "HTTP/1.1 "+test.head+"\r\n", test.status == 101 || test.status == 204 || test.status == 304
		if noBody {
			text += "\r\n"
		} else {
			text += "Content-Length: 4\r\n\r\nbody"
		}
		a := sendTo(t, client, answerRaw(t, text, true))
		wantKind(t, a, test.kind)
		if test.message != "" {
			wantMessage(t, a, test.message)
		}
		if a.Status != test.status || a.Reason != test.reason || !noBody && string(a.ResponseBody) != "body" || noBody && a.ResponseBody != nil {
			t.Errorf("%q: %d %q %q", test.head, a.Status, a.Reason, a.ResponseBody)
		}
	}
}

func TestClient_Send_redirectIsNotFollowed(t *testing.T) {
	var requests atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
	}))
	defer server.Close()
	wantKind(t, sendTo(t, loopbackClient(t), server.URL), bugle.ErrorRedirect)
	if got := requests.Load(); got != 1 {
		t.Errorf("%d requests, want 1", got)
	}
}

func TestClient_Send_bodyLength(t *testing.T) {
	for _, test := range []struct {
		length    int
		kept      int
		truncated bool
		reused    bool // the connection
	}{
		{0, 0, false, true},
		{1, 1, false, true},
		{MaxResponseBody, MaxResponseBody, false, true},
		{MaxResponseBody + 1, MaxResponseBody, true, true},
		{MaxResponseBody + maxDrain - 1, MaxResponseBody, true, true},
		{MaxResponseBody + maxDrain + 1, MaxResponseBody, true, false},
	} {
		for _, chunked := range []bool{false, true} {
			body := strings.Repeat("0123456789abcdef", test.length/16+1)[:test.length]
			var connections atomic.Int32
			server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if !chunked {
					w.Header().Set("Content-Length", fmt.Sprint(len(body)))
				} else {
					w.(http.Flusher).Flush()
				}
				io.WriteString(w, body)
			}))
			server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
				if state == http.StateNew {
					connections.Add(1)
				}
			}
			server.Start()
			client := loopbackClient(t)
			for range 2 {
				a := sendTo(t, client, server.URL)
				wantKind(t, a, "")
				if string(a.ResponseBody) != body[:test.kept] || a.ResponseTruncated != test.truncated {
					t.Errorf("%d bytes (chunked: %t): kept %d, truncated %t", test.length, chunked, len(a.ResponseBody), a.ResponseTruncated)
				}
				if cap(a.ResponseBody) > 2*len(a.ResponseBody)+64 {
					t.Errorf("%d bytes are kept in a buffer of %d", len(a.ResponseBody), cap(a.ResponseBody))
				}
			}
			client.Close()
			server.Close()
			if got := connections.Load(); (got == 1) != test.reused {
				t.Errorf("%d bytes (chunked: %t): %d connections for 2 requests", test.length, chunked, got)
			}
		}
	}
}

// An endless body ends the attempt long before the timeout, with the status it came with.
func TestClient_Send_endlessBody(t *testing.T) {
	for status, kind := range map[string]bugle.ErrorKind{"200 OK": "", "500 Oh": bugle.ErrorStatus} {
		address := receiveRaw(t, func(conn net.Conn) {
			if readRequest(bufio.NewReader(conn)) {
				io.WriteString(conn, "HTTP/1.1 "+status+"\r\n\r\n")
				for chunk := make([]byte, 4096); ; {
					if _, err := conn.Write(chunk); err != nil {
						return
					}
				}
			}
		})
		a := sendTo(t, loopbackClient(t), "http://"+address)
		wantKind(t, a, kind)
		if len(a.ResponseBody) != MaxResponseBody || !a.ResponseTruncated {
			t.Errorf("%s: kept %d, truncated %t", status, len(a.ResponseBody), a.ResponseTruncated)
		}
	}
}

// A body that is packed stays packed: nobody asked for it, and it may be a bomb.
func TestClient_Send_compressedBody(t *testing.T) {
	a := sendTo(t, loopbackClient(t), answerRaw(t, "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\n\x1f\x8bxx", true))
	wantKind(t, a, "")
	if string(a.ResponseBody) != "\x1f\x8bxx" || a.ResponseHeaders.Get("Content-Encoding") != "gzip" {
		t.Errorf("kept %q", a.ResponseBody)
	}
}

func TestClient_Send_timeout(t *testing.T) {
	const before, after = "the receiver did not answer within 0.15 s", "the receiver did not answer completely within 0.15 s"
	for _, test := range []struct {
		name, text string
		status     int
		body       string
		kind       bugle.ErrorKind
		message    string
	}{
		{"no answer", "", 0, "", bugle.ErrorTimeout, before},
		{"half a status line", "HTTP/1.1 20", 0, "", bugle.ErrorTimeout, before},
		{"half a header", "HTTP/1.1 200 OK\r\nX-A: b", 0, "", bugle.ErrorTimeout, before},
		{"only 1xx", "HTTP/1.1 103 Early Hints\r\n\r\n", 0, "", bugle.ErrorTimeout, before},
		{"half a body", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", 200, "half", bugle.ErrorTimeout, after},
		{"half of the chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n", 200, "half", bugle.ErrorTimeout, after},
		{"body until close", "HTTP/1.1 201 Created\r\n\r\nhalf", 201, "half", bugle.ErrorTimeout, after},
		{"half the body of an error", "HTTP/1.1 503 Busy\r\nContent-Length: 10\r\n\r\nhalf", 503, "half", bugle.ErrorStatus, "the receiver answered 503 Busy"},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := post(answerRaw(t, test.text, true))
			r.Timeout = 150 * time.Millisecond
			a := send(t, loopbackClient(t), r)
			wantKind(t, a, test.kind)
			wantMessage(t, a, test.message)
			if a.Status != test.status || string(a.ResponseBody) != test.body || a.RemoteAddress == "" {
				t.Errorf("got %+v", a)
			}
			if a.Took < r.Timeout {
				t.Errorf("took %v", a.Took)
			}
		})
	}
}

func TestClient_Send_timeoutOfHandshake(t *testing.T) {
	address := receiveRaw(t, func(conn net.Conn) { io.Copy(io.Discard, conn) })
	r := post("https://" + address)
	r.Timeout = 150 * time.Millisecond
	a := send(t, loopbackClient(t), r)
	wantKind(t, a, bugle.ErrorTimeout)
	wantMessage(t, a, "the receiver did not answer within 0.15 s")
}

func TestClient_Send_timeoutOfLookup(t *testing.T) {
	resolver := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}}
	r := post("http://nothing.invalid/")
	r.Timeout = 150 * time.Millisecond
	a := send(t, NewClient(newGuard(t, nil, nil), ClientOptions{Resolver: resolver}), r)
	wantKind(t, a, bugle.ErrorTimeout)
}

func TestClient_Send_brokenAnswer(t *testing.T) {
	const closed, noHTTP = "the receiver closed the connection before it answered", "the receiver did not answer with HTTP"
	flood := strings.Repeat("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n", 4096)
	for _, test := range []struct {
		name, text string
		status     int
		body       string
		kind       bugle.ErrorKind
		message    string
	}{
		{"nothing", "", 0, "", bugle.ErrorConnect, closed},
		{"half a status line", "HTTP/1.1 2", 0, "", bugle.ErrorConnect, noHTTP},
		{"half a header", "HTTP/1.1 200 OK\r\nX-A: b", 0, "", bugle.ErrorConnect, closed},
		{"another protocol", "SSH-2.0-OpenSSH_9.6\r\n", 0, "", bugle.ErrorConnect, noHTTP},
		{"no status", "HTTP/1.1 OK\r\n\r\n", 0, "", bugle.ErrorConnect, noHTTP},
		{"no header", "HTTP/1.1 200 OK\r\nnonsense\r\n\r\n", 0, "", bugle.ErrorConnect, noHTTP},
		{"two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", 0, "", bugle.ErrorConnect, noHTTP},
		{"endless header", "HTTP/1.1 200 OK\r\nX-A: " + strings.Repeat("a", 128<<10), 0, "", bugle.ErrorConnect, "the receiver answered with more than 64 KiB of headers"},
		{"endless headers", "HTTP/1.1 200 OK\r\n" + strings.Repeat("X-A: b\r\n", 16<<10), 0, "", bugle.ErrorConnect, "the receiver answered with more than 64 KiB of headers"},
		{"1xx flood", flood + "HTTP/1.1 200 OK\r\n\r\n", 0, "", bugle.ErrorConnect, "the receiver answered with more than 64 KiB of headers"},
		{"half a body", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", 200, "half", bugle.ErrorBody, "the receiver's answer broke off after 4 bytes of its body"},
		{"half of the chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n", 200, "half", bugle.ErrorBody, "the receiver's answer broke off after 4 bytes of its body"},
		{"no chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nhalf", 200, "", bugle.ErrorBody, "the receiver's answer broke off after 0 bytes of its body"},
		{"half the body of an error", "HTTP/1.1 503 Busy\r\nContent-Length: 10\r\n\r\nhalf", 503, "half", bugle.ErrorStatus, "the receiver answered 503 Busy"},
	} {
		t.Run(test.name, func(t *testing.T) {
			a := sendTo(t, loopbackClient(t), answerRaw(t, test.text, false))
			wantKind(t, a, test.kind)
			wantMessage(t, a, test.message)
			if a.Status != test.status || string(a.ResponseBody) != test.body || a.RemoteAddress == "" {
				t.Errorf("got %+v", a)
			}
		})
	}
}

func TestClient_Send_reset(t *testing.T) {
	address := receiveRaw(t, func(conn net.Conn) {
		readRequest(bufio.NewReader(conn))
		conn.(*net.TCPConn).SetLinger(0)
	})
	a := sendTo(t, loopbackClient(t), "http://"+address)
	wantKind(t, a, bugle.ErrorConnect)
	wantMessage(t, a, "the receiver closed the connection before it answered")
}

func TestClient_Send_refused(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	listener.Close()
	a := sendTo(t, loopbackClient(t), "http://"+address+"/?token=geheim")
	wantKind(t, a, bugle.ErrorConnect)
	wantMessage(t, a, "the receiver at "+address+" cannot be reached: connection refused")
}

func TestClient_Send_unknownHost(t *testing.T) {
	client := loopbackClient(t)
	a := sendTo(t, client, "http://nothing.invalid/?token=geheim")
	wantKind(t, a, bugle.ErrorDNS)
	wantMessage(t, a, "the host name nothing.invalid cannot be looked up at the moment")
}

func TestClient_Send_noSuchHost(t *testing.T) {
	client := NewClient(newGuard(t, nil, nil), ClientOptions{Resolver: nameServer("nothing.invalid", "")})
	a := sendTo(t, client, "http://nothing.invalid/")
	wantKind(t, a, bugle.ErrorDNS)
	wantMessage(t, a, "the host name nothing.invalid has no address")
}

func TestClient_Send_invalidRequest(t *testing.T) {
	client := loopbackClient(t)
	for _, url := range []string{"", "/hook", "ftp://example.com/", "http:///hook", "http://:80/", "http://[::1/", "http://127.0.0.1:99999/", "http://a b/", "http://%31%32%37.1/"} {
		a := sendTo(t, client, url)
		wantKind(t, a, bugle.ErrorConnect)
	}
	r := post("http://127.0.0.1:1/")
	r.Header["X-Two"] = []string{"a\r\nb"}
	a := send(t, client, r)
	wantKind(t, a, bugle.ErrorConnect)
	wantMessage(t, a, "the request cannot be made as it is: its URL or one of its headers is not valid")
}

func TestClient_Send_cancelled(t *testing.T) {
	for name, text := range map[string]string{
		"before the answer": "",
		"in the body":       "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf",
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			address := receiveRaw(t, func(conn net.Conn) {
				r := bufio.NewReader(conn)
				readRequest(r)
				io.WriteString(conn, text)
				cancel()
				io.Copy(io.Discard, r)
			})
			a := new(bugle.Attempt)
			loopbackClient(t).Send(ctx, post("http://"+address), a)
			wantKind(t, a, bugle.ErrorCancelled)
		})
	}
	t.Run("before the start", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		a := new(bugle.Attempt)
		loopbackClient(t).Send(ctx, post("http://127.0.0.1:1/"), a)
		wantKind(t, a, bugle.ErrorCancelled)
	})
}

// A receiver that closes a connection which was idle has not refused anything.
func TestClient_Send_closedWhileIdle(t *testing.T) {
	for _, method := range []string{"POST", "GET"} {
		// Each connection answers one request, and ends when the next one has arrived.
		var connections, received atomic.Int32
		address := receiveRaw(t, func(conn net.Conn) {
			connections.Add(1)
			r := bufio.NewReader(conn)
			if readRequest(r) {
				received.Add(1)
				io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
				readRequest(r)
			}
		})
		client := loopbackClient(t)
		const n = 5
		for range n {
			r := post("http://" + address)
			r.Method = method
			a := send(t, client, r)
			wantKind(t, a, "")
			if string(a.ResponseBody) != "ok" {
				t.Errorf("%s: got %+v", method, a)
			}
		}
		if connections.Load() != n || received.Load() != n {
			t.Errorf("%s: %d connections and %d answers for %d requests", method, connections.Load(), received.Load(), n)
		}
	}
}

// What fails on a new connection is not tried again within the attempt.
func TestClient_Send_failsOnce(t *testing.T) {
	var requests atomic.Int32
	address := receiveRaw(t, func(conn net.Conn) {
		if readRequest(bufio.NewReader(conn)) {
			requests.Add(1)
		}
	})
	wantKind(t, sendTo(t, loopbackClient(t), "http://"+address), bugle.ErrorConnect)
	if got := requests.Load(); got != 1 {
		t.Errorf("%d requests, want 1", got)
	}
}

func TestClient_Send_noProxy(t *testing.T) {
	proxy := httptest.NewServer(answer(502, ""))
	defer proxy.Close()
	for _, name := range []string{"HTTP_PROXY", "http_proxy", "ALL_PROXY"} {
		t.Setenv(name, proxy.URL)
	}
	a := sendTo(t, loopbackClient(t), "http://nothing.invalid/")
	wantKind(t, a, bugle.ErrorDNS)
}

func TestClient_Send_tls(t *testing.T) {
	server := httptest.NewUnstartedServer(answer(200, "ok"))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.EnableHTTP2 = true
	server.StartTLS()
	defer server.Close()
	address := server.Listener.Addr().String()
	_, port, _ := net.SplitHostPort(address)
	plain := httptest.NewServer(answer(200, "ok"))
	defer plain.Close()
	closing := receiveRaw(t, func(conn net.Conn) { conn.Read(make([]byte, 1)) })
	alerting := receiveRaw(t, func(conn net.Conn) { conn.Write([]byte{21, 3, 3, 0, 2, 2, 40}); io.Copy(io.Discard, conn) })

	known := x509.NewCertPool()
	known.AddCert(server.Certificate())
	guard := newGuard(t, []string{"127.0.0.0/8", "localhost"}, nil)
	for _, test := range []struct {
		name, url string
		roots     *x509.CertPool
		kind      bugle.ErrorKind
		message   string
	}{
		{"trusted", "https://" + address, known, "", ""},
		{"unknown authority", "https://" + address, x509.NewCertPool(), bugle.ErrorTLS, "the receiver's certificate is signed by an unknown authority"},
		{"system authorities", "https://" + address, nil, bugle.ErrorTLS, "the receiver's certificate is signed by an unknown authority"},
		{"other host", "https://localhost:" + port, known, bugle.ErrorTLS, "the receiver's certificate is not for the host name localhost"},
		{"no TLS there", "https://" + plain.Listener.Addr().String(), known, bugle.ErrorTLS, "the receiver does not speak TLS on this port: is the URL meant to start with http://?"},
		{"closed", "https://" + closing, known, bugle.ErrorTLS, "the receiver closed the connection during the TLS handshake"},
		{"alert", "https://" + alerting, known, bugle.ErrorTLS, "the receiver refused the TLS handshake: handshake failure"},
	} {
		t.Run(test.name, func(t *testing.T) {
			client := NewClient(guard, ClientOptions{RootCAs: test.roots, Resolver: noNameServer})
			defer client.Close()
			a := sendTo(t, client, test.url)
			wantKind(t, a, test.kind)
			if test.message != "" {
				wantMessage(t, a, test.message)
			} else if string(a.ResponseBody) != "ok" {
				t.Errorf("got %+v", a)
			}
			if a.RemoteAddress == "" {
				t.Error("no remote address")
			}
		})
	}
}

func TestClient_Send_expiredCertificate(t *testing.T) {
	server := httptest.NewUnstartedServer(answer(200, "ok"))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	defer server.Close()
	known := x509.NewCertPool()
	known.AddCert(server.Certificate())
	client := NewClient(newGuard(t, []string{"127.0.0.1"}, nil), ClientOptions{RootCAs: known})
	client.tls.Time = func() time.Time { return server.Certificate().NotAfter.Add(time.Hour) }
	a := sendTo(t, client, server.URL)
	wantKind(t, a, bugle.ErrorTLS)
	wantMessage(t, a, "the receiver's certificate has expired or is not valid yet")
}

// HTTP/1.1 is spoken to receivers that could do better, as receivers of PERSCOM's webhooks see it.
func TestClient_Send_http1(t *testing.T) {
	proto := make(chan string, 1)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { proto <- r.Proto }))
	server.EnableHTTP2 = true
	server.TLS = &tls.Config{}
	server.StartTLS()
	defer server.Close()
	known := x509.NewCertPool()
	known.AddCert(server.Certificate())
	client := NewClient(newGuard(t, []string{"127.0.0.1"}, nil), ClientOptions{RootCAs: known})
	defer client.Close()
	wantKind(t, sendTo(t, client, server.URL), "")
	if got := <-proto; got != "HTTP/1.1" {
		t.Errorf("received %s", got)
	}
}

func TestClient_Send_concurrently(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.Copy(w, r.Body) }))
	defer server.Close()
	client := loopbackClient(t)
	t.Run("group", func(t *testing.T) {
		for worker := range 16 {
			t.Run("", func(t *testing.T) {
				t.Parallel()
				for i := range 20 {
					r := post(server.URL)
					r.Body = fmt.Appendf(nil, "%d %d", worker, i)
					if a := send(t, client, r); !a.OK() || !slices.Equal(a.ResponseBody, r.Body) {
						t.Errorf("sent %q, got %+v", r.Body, a)
					}
				}
			})
		}
	})
}

func FuzzPrintable(f *testing.F) {
	f.Add("Not Found", 100)
	f.Add("ä\x00\xff…", 3)
	f.Fuzz(func(t *testing.T, text string, limit int) {
		limit = min(max(limit, 0), 1000)
		got := printable(text, limit)
		if len(got) > 3*limit+len("…") || strings.ToValidUTF8(got, "") != got || strings.ContainsAny(got, "\x00\r\n\x7f") {
			t.Errorf("printable(%q, %d) = %q", text, limit, got)
		}
	})
}

// benchmarkReceiver answers as small receivers do, and returns what is sent to it: a kilobyte.
func benchmarkReceiver(b *testing.B) (string, []byte) {
	server := httptest.NewServer(answer(200, "ok"))
	b.Cleanup(server.Close)
	return server.URL + "/hooks/bugle", bytes.Repeat([]byte("x"), 1024)
}

func benchmarkHeader() http.Header {
	return http.Header{
		"User-Agent": {"GuzzleHttp/7"}, "Content-Type": {"application/json"}, "Signature": {strings.Repeat("0", 64)},
		"webhook-id": {"msg_1"}, "webhook-timestamp": {"1768392000"}, "webhook-signature": {"v1," + strings.Repeat("0", 44)},
	}
}

// inParallel runs step in 64 goroutines on a machine of two cores.
func inParallel(b *testing.B, step func() error) {
	b.ReportAllocs()
	b.SetParallelism(32)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if err := step(); err != nil {
				b.Error(err)
				return
			}
		}
	})
}

func BenchmarkSend(b *testing.B) {
	url, body := benchmarkReceiver(b)
	client := loopbackClient(b)
	inParallel(b, func() error {
		a := new(bugle.Attempt)
		client.Send(b.Context(), &Request{Method: "POST", URL: url, Header: benchmarkHeader(), Body: body, Timeout: longEnough}, a)
		if !a.OK() {
			return fmt.Errorf("%+v", a.Error)
		}
		return nil
	})
}

// BenchmarkRoundTrip is the limit for BenchmarkSend: net/http with nothing around it.
func BenchmarkRoundTrip(b *testing.B) {
	url, body := benchmarkReceiver(b)
	transport := &http.Transport{MaxIdleConnsPerHost: 64, DisableCompression: true}
	defer transport.CloseIdleConnections()
	inParallel(b, func() error {
		request, err := http.NewRequest("POST", url, bytes.NewReader(body))
		if err != nil {
			return err
		}
		request.Header = benchmarkHeader()
		response, err := transport.RoundTrip(request)
		if err != nil {
			return err
		}
		defer response.Body.Close()
		_, err = io.Copy(io.Discard, response.Body)
		return err
	})
}
