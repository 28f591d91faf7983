package delivery

import (
	"bufio"
	"bytes"
	"compress/flate"
	"compress/gzip"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/buglehq/bugle"
)

const (
	shortTimeout = 200 * time.Millisecond // of attempts that are to run out of it
	maxAllocated = 8 << 20                // bytes, by one attempt, the receiver's included
	maxFlood     = 64 << 20               // bytes that a receiver sends at most, if nobody stops it
	okHead       = "HTTP/1.1 200 OK\r\n"
)

// A hostile receiver does what it wants with a connection.
type hostile struct {
	name   string
	serve  func(net.Conn)
	kinds  []bugle.ErrorKind // one of which the attempt has to have; none for a success
	status int
	body   []byte // of our request, if it is another one than usual
	tls    bool   // the URL begins with https
}

// says reads the request, answers with a text and closes.
func says(text string) func(net.Conn) {
	return func(conn net.Conn) {
		if readRequest(bufio.NewReader(conn)) {
			io.WriteString(conn, text)
		}
	}
}

// hangs reads the request, answers with a text and leaves the connection open.
func hangs(text string) func(net.Conn) {
	return func(conn net.Conn) {
		r := bufio.NewReader(conn)
		if readRequest(r) {
			io.WriteString(conn, text)
			io.Copy(io.Discard, r)
		}
	}
}

// drips answers with a text, and then with a few bytes now and then for as long as somebody listens.
func drips(text, bytes string) func(net.Conn) {
	return func(conn net.Conn) {
		if !readRequest(bufio.NewReader(conn)) {
			return
		}
		io.WriteString(conn, text)
		pace := time.NewTicker(2 * time.Millisecond)
		defer pace.Stop()
		for range 10000 {
			if _, err := io.WriteString(conn, bytes); err != nil {
				return
			}
			<-pace.C
		}
	}
}

// floods answers with a text, and then with another again and again for as long as somebody listens.
func floods(text, more string) func(net.Conn) {
	return func(conn net.Conn) {
		if readRequest(bufio.NewReader(conn)) {
			io.WriteString(conn, text)
			pour(conn, more)
		}
	}
}

func pour(conn net.Conn, text string) {
	block := []byte(strings.Repeat(text, 1+8192/len(text)))
	for sent := 0; sent < maxFlood; sent += len(block) {
		if _, err := conn.Write(block); err != nil {
			return
		}
	}
}

// resets reads so many bytes of the request, answers with a text and resets the connection.
func resets(read int, text string) func(net.Conn) {
	return func(conn net.Conn) {
		if read < 0 {
			readRequest(bufio.NewReader(conn))
		} else {
			io.CopyN(io.Discard, conn, int64(read))
		}
		io.WriteString(conn, text)
		conn.(*net.TCPConn).SetLinger(0)
	}
}

// raw writes without having read anything.
func raw(text string, more string) func(net.Conn) {
	return func(conn net.Conn) {
		io.WriteString(conn, text)
		if more != "" {
			pour(conn, more)
		}
		io.Copy(io.Discard, conn)
	}
}

func gzipped(text []byte) []byte {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	w.Write(text)
	w.Close()
	return out.Bytes()
}

func deflated(text []byte) []byte {
	var out bytes.Buffer
	w, _ := flate.NewWriter(&out, flate.BestCompression)
	w.Write(text)
	w.Close()
	return out.Bytes()
}

// encoded is an answer with a body that claims to be compressed.
func encoded(encoding string, body []byte) string {
	return okHead + "Content-Encoding: " + encoding + "\r\nConnection: close\r\n\r\n" + string(body)
}

func hostiles() []hostile {
	const (
		ok      = bugle.ErrorKind("")
		connect = bugle.ErrorConnect
		timeout = bugle.ErrorTimeout
		status  = bugle.ErrorStatus
		broken  = bugle.ErrorBody
		turned  = bugle.ErrorRedirect
		noTLS   = bugle.ErrorTLS
	)
	is := func(kinds ...bugle.ErrorKind) []bugle.ErrorKind { return kinds }
	zeros := bytes.Repeat([]byte{0}, 32<<20)
	bomb := gzipped(zeros)
	large := bytes.Repeat([]byte("x"), 1<<20)
	retryAfter := func(v string) string {
		return "HTTP/1.1 503 Busy\r\nRetry-After: " + v + "\r\nContent-Length: 0\r\n\r\n"
	}
	moved := func(to string) string {
		return "HTTP/1.1 302 Found\r\nLocation: " + to + "\r\nContent-Length: 0\r\n\r\n"
	}
	return []hostile{
		// Slow ones.
		{name: "never reads", serve: func(conn net.Conn) { <-time.After(2 * shortTimeout) }, kinds: is(timeout), body: large},
		{name: "never answers", serve: hangs(""), kinds: is(timeout)},
		{name: "slow status line", serve: drips("HTTP/1.1 200 ", "a"), kinds: is(timeout)},
		{name: "slow header", serve: drips(okHead+"X-A: ", "a"), kinds: is(timeout)},
		{name: "slow headers", serve: drips(okHead, "X-A: b\r\n"), kinds: is(timeout)},
		{name: "one byte of the body at a time", serve: drips(okHead+"Content-Length: 100000\r\n\r\n", "a"), kinds: is(timeout), status: 200},
		{name: "one chunk at a time", serve: drips(okHead+"Transfer-Encoding: chunked\r\n\r\n", "1\r\na\r\n"), kinds: is(timeout), status: 200},
		{name: "headers without an end", serve: hangs(okHead + "X-A: b\r\n"), kinds: is(timeout)},
		{name: "body without an end", serve: hangs(okHead + "Content-Length: 10\r\n\r\nhalf"), kinds: is(timeout), status: 200},
		{name: "slow error", serve: drips("HTTP/1.1 500 Down\r\nContent-Length: 100000\r\n\r\n", "a"), kinds: is(status), status: 500},

		// Endless ones.
		{name: "endless status line", serve: floods("HTTP/1.1 200 ", "a"), kinds: is(connect)},
		{name: "endless header", serve: floods(okHead+"X-A: ", "a"), kinds: is(connect)},
		{name: "endless header name", serve: floods(okHead, "a"), kinds: is(connect)},
		{name: "endless headers", serve: floods(okHead, "X-A: b\r\n"), kinds: is(connect)},
		{name: "endless folded header", serve: floods(okHead+"X-A: b\r\n", " c\r\n"), kinds: is(connect)},
		{name: "endless body", serve: floods(okHead+"\r\n", "a"), status: 200},
		{name: "endless body by length", serve: floods(okHead+"Content-Length: 9223372036854775807\r\n\r\n", "a"), status: 200},
		{name: "endless chunks", serve: floods(okHead+"Transfer-Encoding: chunked\r\n\r\n", "1\r\na\r\n"), kinds: is(ok, broken), status: 200},
		{name: "endless chunk", serve: floods(okHead+"Transfer-Encoding: chunked\r\n\r\n7fffffffffffffff\r\n", "a"), status: 200},
		{name: "endless chunk extension", serve: floods(okHead+"Transfer-Encoding: chunked\r\n\r\n1;", "a"), kinds: is(broken), status: 200},
		{name: "endless trailer", serve: floods(okHead+"Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n", "X-A: b\r\n"), kinds: is(broken), status: 200},
		{name: "endless body of an error", serve: floods("HTTP/1.1 500 Down\r\n\r\n", "a"), kinds: is(status), status: 500},

		// Compressed ones, which are kept as they come.
		{name: "gzip bomb", serve: says(encoded("gzip", bomb)), status: 200},
		{name: "nested gzip bomb", serve: says(encoded("gzip, gzip, gzip", gzipped(gzipped(bomb)))), status: 200},
		{name: "deflate bomb", serve: says(encoded("deflate", deflated(zeros))), status: 200},
		{name: "no brotli", serve: says(encoded("br", []byte("\xff\xfe\xfd"))), status: 200},
		{name: "chunked gzip", serve: says(okHead + "Transfer-Encoding: gzip, chunked\r\n\r\n1\r\na\r\n0\r\n\r\n"), kinds: is(connect)},

		// 1xx ones.
		{name: "100 and then the answer", serve: says("HTTP/1.1 100 Continue\r\n\r\n" + okHead + "Content-Length: 0\r\n\r\n"), status: 200},
		{name: "100 and nothing more", serve: hangs("HTTP/1.1 100 Continue\r\n\r\n"), kinds: is(timeout)},
		{name: "100 flood", serve: floods("", "HTTP/1.1 100 Continue\r\n\r\n"), kinds: is(connect)},
		{name: "103 flood", serve: floods("", "HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n"), kinds: is(connect)},
		{name: "slow 102 flood", serve: drips("", "HTTP/1.1 102 Processing\r\n\r\n"), kinds: is(timeout, connect)},
		{name: "199 before the answer", serve: says("HTTP/1.1 199 Own\r\n\r\n" + okHead + "Content-Length: 0\r\n\r\n"), status: 200},
		{name: "101", serve: hangs("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"), kinds: is(status), status: 101},
		{name: "101 flood", serve: floods("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n", "a"), kinds: is(status), status: 101},

		// Those that break off.
		{name: "reset after accepting", serve: resets(0, ""), kinds: is(connect)},
		{name: "reset in our headers", serve: resets(10, ""), kinds: is(connect), body: large},
		{name: "reset in our body", serve: resets(4000, ""), kinds: is(connect), body: large},
		{name: "reset after our request", serve: resets(-1, ""), kinds: is(connect)},
		{name: "closed in the status line", serve: says("HTTP/1.1 2"), kinds: is(connect)},
		{name: "closed in the headers", serve: says(okHead + "X-A: b"), kinds: is(connect)},
		{name: "closed in the body", serve: says(okHead + "Content-Length: 10\r\n\r\nhalf"), kinds: is(broken), status: 200},
		{name: "closed in a chunk", serve: says(okHead + "Transfer-Encoding: chunked\r\n\r\na\r\nhalf"), kinds: is(broken), status: 200},
		{name: "closed after the answer", serve: says(okHead + "Content-Length: 2\r\n\r\nok"), status: 200},
		{name: "answers before it has read", serve: raw("HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", ""), kinds: is(status, connect), body: large},
		{name: "answers before it is asked", serve: raw(okHead+"Content-Length: 0\r\n\r\n", ""), kinds: is(ok, connect)},

		// No HTTP.
		{name: "status 000", serve: says("HTTP/1.1 000 Nothing\r\nContent-Length: 0\r\n\r\n"), kinds: is(connect)},
		{name: "status 099", serve: says("HTTP/1.1 099 Low\r\nContent-Length: 0\r\n\r\n"), kinds: is(connect)},
		{name: "status 1000", serve: says("HTTP/1.1 1000 High\r\nContent-Length: 0\r\n\r\n"), kinds: is(connect)},
		{name: "status -20", serve: says("HTTP/1.1 -20 Minus\r\nContent-Length: 0\r\n\r\n"), kinds: is(connect)},
		{name: "status 2OO", serve: says("HTTP/1.1 2OO OK\r\nContent-Length: 0\r\n\r\n"), kinds: is(connect)},
		{name: "status 999", serve: says("HTTP/1.1 999 Own\r\nContent-Length: 0\r\n\r\n"), kinds: is(status), status: 999},
		{name: "status 600", serve: says("HTTP/1.1 600 Own\r\nContent-Length: 0\r\n\r\n"), kinds: is(status), status: 600},
		{name: "HTTP/0.9", serve: says("<html>hello</html>"), kinds: is(connect)},
		{name: "ICY", serve: says("ICY 200 OK\r\n\r\n"), kinds: is(connect)},
		{name: "HTTP/9.9", serve: says("HTTP/9.9.9 200 OK\r\n\r\n"), kinds: is(connect)},
		{name: "SMTP", serve: raw("220 mail ESMTP\r\n", ""), kinds: is(connect)},
		{name: "TLS alert", serve: raw("\x15\x03\x03\x00\x02\x02\x28", ""), kinds: is(connect, timeout)},
		{name: "NULs", serve: floods("", "\x00"), kinds: is(connect)},
		{name: "line ends", serve: floods("", "\r\n"), kinds: is(connect)},
		{name: "HTTP/2 SETTINGS", serve: says("\x00\x00\x00\x04\x00\x00\x00\x00\x00"), kinds: is(connect)},
		{name: "HTTP/2 SETTINGS flood", serve: floods("", "\x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x04\x00\x00\x00\x00"), kinds: is(connect)},
		{name: "HTTP/2 PING flood", serve: floods("", "\x00\x00\x08\x06\x00\x00\x00\x00\x0012345678"), kinds: is(connect)},
		{name: "HTTP/2 GOAWAY", serve: says("\x00\x00\x08\x07\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02"), kinds: is(connect)},
		{name: "HTTP/2 RST_STREAM", serve: says("\x00\x00\x04\x03\x00\x00\x00\x00\x01\x00\x00\x00\x08"), kinds: is(connect)},

		// Lengths that are none, or several.
		{name: "bad chunk size", serve: says(okHead + "Transfer-Encoding: chunked\r\n\r\nzz\r\na\r\n0\r\n\r\n"), kinds: is(broken), status: 200},
		{name: "huge chunk size", serve: says(okHead + "Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\na"), kinds: is(broken), status: 200},
		{name: "negative chunk size", serve: says(okHead + "Transfer-Encoding: chunked\r\n\r\n-1\r\na\r\n0\r\n\r\n"), kinds: is(broken), status: 200},
		{name: "two lengths", serve: says(okHead + "Content-Length: 1\r\nContent-Length: 2\r\n\r\nab"), kinds: is(connect)},
		{name: "negative length", serve: says(okHead + "Content-Length: -1\r\n\r\n"), kinds: is(connect)},
		{name: "length beyond numbers", serve: says(okHead + "Content-Length: 99999999999999999999\r\n\r\n"), kinds: is(connect)},
		{name: "length and chunks", serve: says(okHead + "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n"), status: 200},
		{name: "more than its length", serve: says(okHead + "Content-Length: 2\r\n\r\nok and more"), status: 200},
		{name: "two answers", serve: hangs(okHead + "Content-Length: 2\r\n\r\nok" + "HTTP/1.1 500 Down\r\nContent-Length: 0\r\n\r\n"), status: 200},
		{name: "204 with a body", serve: hangs("HTTP/1.1 204 No Content\r\nContent-Length: 4\r\n\r\nbody"), status: 204},
		{name: "304 with a body", serve: hangs("HTTP/1.1 304 Not Modified\r\nContent-Length: 4\r\n\r\nbody"), kinds: is(turned), status: 304},

		// Headers and words that are to do harm where they are shown.
		{name: "colon in front", serve: says(okHead + ": b\r\n\r\n"), kinds: is(connect)},
		{name: "space in a header's name", serve: says(okHead + "X A: b\r\nConnection: close\r\n\r\n"), kinds: is(ok, connect)},
		{name: "NUL in a header", serve: says(okHead + "X-A: b\x00c\r\nContent-Length: 0\r\n\r\n"), kinds: is(ok, connect)},
		{name: "carriage return in a header", serve: says(okHead + "X-A: b\rSet-Cookie: c\r\nContent-Length: 0\r\n\r\n"), kinds: is(ok, connect)},
		{name: "escapes in a header", serve: says(okHead + "X-A: \x1b[2J\x1b]0;owned\x07\r\nContent-Length: 0\r\n\r\n"), kinds: is(ok, connect)},
		{name: "a header that is no UTF-8", serve: says(okHead + "X-A: \xff\xc0\xaf\r\nContent-Length: 0\r\n\r\n"), kinds: is(ok, connect)},
		{name: "escapes in the reason", serve: says("HTTP/1.1 500 \x1b[31mred\x1b[0m \xc2\x9b31m \xe2\x80\xae\x00\xff\r\nContent-Length: 0\r\n\r\n"), kinds: is(status), status: 500},
		{name: "markup in the reason", serve: says("HTTP/1.1 500 <script>alert(1)</script>\r\nContent-Length: 0\r\n\r\n"), kinds: is(status), status: 500},
		{name: "long reason", serve: says("HTTP/1.1 500 " + strings.Repeat("ä", 20000) + "\r\nContent-Length: 0\r\n\r\n"), kinds: is(status), status: 500},
		{name: "markup in the body", serve: says(okHead + "Content-Type: text/html\r\nConnection: close\r\n\r\n<script>alert(1)</script>\x00\xff\x1b[2J"), status: 200},
		{name: "as many headers as may be", serve: says(okHead + strings.Repeat("A:\r\n", 12000) + "Content-Length: 0\r\n\r\n"), kinds: is(ok, connect)},

		// Times to come.
		{name: "Retry-After 99999999999999999999", serve: says(retryAfter("99999999999999999999")), kinds: is(status), status: 503},
		{name: "Retry-After -1", serve: says(retryAfter("-1")), kinds: is(status), status: 503},
		{name: "Retry-After 1e9", serve: says(retryAfter("1e9")), kinds: is(status), status: 503},
		{name: "Retry-After Infinity", serve: says(retryAfter("Infinity")), kinds: is(status), status: 503},
		{name: "Retry-After in 9999", serve: says(retryAfter("Fri, 31 Dec 9999 23:59:59 GMT")), kinds: is(status), status: 503},
		{name: "Retry-After in 1970", serve: says(retryAfter("Thu, 01 Jan 1970 00:00:00 GMT")), kinds: is(status), status: 503},
		{name: "Retry-After of garbage", serve: says(retryAfter("\xff\x00;DROP TABLE")), kinds: is(status, connect)},
		{name: "long Retry-After", serve: says(retryAfter(strings.Repeat("9", 50000))), kinds: is(status), status: 503},
		{name: "many Retry-After", serve: says("HTTP/1.1 429 Slow\r\n" + strings.Repeat("Retry-After: 99999\r\n", 2000) + "Content-Length: 0\r\n\r\n"), kinds: is(status), status: 429},

		// Elsewhere.
		{name: "redirect to itself", serve: says(moved("/")), kinds: is(turned), status: 302},
		{name: "redirect to a metadata service", serve: says(moved("http://169.254.169.254/latest/meta-data/")), kinds: is(turned), status: 302},
		{name: "redirect to a file", serve: says(moved("file:///etc/passwd")), kinds: is(turned), status: 302},
		{name: "redirect to a script", serve: says(moved("javascript:alert(1)")), kinds: is(turned), status: 302},
		{name: "redirect to escapes", serve: says(moved("http://a/\x1b[2J\x00")), kinds: is(turned, connect)},
		{name: "long redirect", serve: says(moved("http://a/" + strings.Repeat("b", 60000))), kinds: is(turned), status: 302},
		{name: "redirect without an aim", serve: says("HTTP/1.1 301 Moved\r\nContent-Length: 0\r\n\r\n"), kinds: is(turned), status: 301},

		// TLS.
		{name: "TLS never", serve: func(conn net.Conn) { io.Copy(io.Discard, conn) }, kinds: is(timeout), tls: true},
		{name: "TLS half a record", serve: raw("\x16\x03\x03\x40\x00\x02", ""), kinds: is(timeout), tls: true},
		{name: "TLS of NULs", serve: raw("", "\x00"), kinds: is(noTLS), tls: true},
		{name: "TLS of empty records", serve: raw("", "\x16\x03\x03\x00\x00"), kinds: is(noTLS), tls: true},
		{name: "TLS of warnings", serve: raw("", "\x15\x03\x03\x00\x02\x01\x5a"), kinds: is(noTLS), tls: true},
		{name: "TLS of a huge message", serve: raw("\x16\x03\x03\x40\x00\x02\xff\xff\xff", "\x00"), kinds: is(noTLS), tls: true},
		{name: "TLS closed", serve: func(conn net.Conn) { conn.Read(make([]byte, 1)) }, kinds: is(noTLS), tls: true},
		{name: "TLS reset", serve: resets(1, ""), kinds: is(noTLS), tls: true},
		{name: "HTTP instead of TLS", serve: raw("HTTP/1.1 400 Bad Request\r\n\r\n", ""), kinds: is(noTLS), tls: true},
	}
}

// Whatever a receiver does, an attempt ends, costs little memory, says rightly what went wrong, and keeps no more than
// docs/security.md says.
func TestMaliciousReceivers(t *testing.T) {
	list := hostiles()
	if len(list) < 40 {
		t.Errorf("%d receivers", len(list))
	}
	for _, h := range list {
		t.Run(h.name, func(t *testing.T) {
			r := post("http://" + receiveRaw(t, h.serve))
			if h.tls {
				r.URL = strings.Replace(r.URL, "http:", "https:", 1)
			}
			if h.body != nil {
				r.Body = h.body
			}
			if slices.Contains(h.kinds, bugle.ErrorTimeout) || strings.HasPrefix(h.name, "slow") {
				r.Timeout = shortTimeout
			}
			wantContained(t, loopbackClient(t), r, h.kinds, h.status)
		})
	}
	t.Logf("%d receivers", len(list))
}

// wantContained makes an attempt and checks what is common to all of them.
func wantContained(t *testing.T, client *Client, r *Request, kinds []bugle.ErrorKind, status int) {
	t.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	a := send(t, client, r)
	runtime.ReadMemStats(&after)
	if used := after.TotalAlloc - before.TotalAlloc; used > maxAllocated {
		t.Errorf("%d bytes were allocated", used)
	}
	kind, message := bugle.ErrorKind(""), ""
	if a.Error != nil {
		kind, message = a.Error.Kind, a.Error.Message
	}
	if len(kinds) == 0 {
		kinds = []bugle.ErrorKind{""}
	}
	if !slices.Contains(kinds, kind) {
		t.Errorf("%s error %q, want one of %q", kind, message, kinds)
	}
	if status != 0 && a.Status != status {
		t.Errorf("status %d, want %d", a.Status, status)
	}
	if len(a.ResponseBody) > MaxResponseBody || len(a.Reason) > 110 || len(message) > 600 {
		t.Errorf("kept %d bytes of the body, %d of the reason, %d of the message", len(a.ResponseBody), len(a.Reason), len(message))
	}
	wantShowable(t, a.Reason)
	wantShowable(t, message)
	headers := 0
	for name, values := range a.ResponseHeaders {
		for _, v := range values {
			headers += len(name) + len(v)
			wantShowable(t, name)
			wantShowable(t, v)
		}
	}
	if headers > maxResponseHeaders {
		t.Errorf("kept %d bytes of headers", headers)
	}
	if wait := a.RetryAfter(time.Now()); wait < 0 || wait > bugle.MaxRetryAfter {
		t.Errorf("to be left alone for %v", wait)
	}
}

// wantShowable checks that a text can be written to a terminal, a page or a log without doing anything there.
func wantShowable(t *testing.T, text string) {
	t.Helper()
	if !utf8.ValidString(text) || strings.ContainsFunc(text, func(r rune) bool { return unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) }) {
		t.Errorf("%q is not to be shown", text)
	}
}

// A receiver that sends more answers than it got requests decides about no later attempt but its own, and the connection
// is not used for anybody else.
func TestMaliciousReceivers_secondAnswer(t *testing.T) {
	poisoning := receiveRaw(t, func(conn net.Conn) {
		for in := bufio.NewReader(conn); readRequest(in); { // its next request may come by the same connection, or by another
			io.WriteString(conn, okHead+"Content-Length: 2\r\n\r\nok"+okHead+"Content-Length: 8\r\n\r\npoisoned")
		}
	})
	honest := httptest.NewServer(answer(500, "down"))
	defer honest.Close()
	client := loopbackClient(t)
	for range 5 {
		wantKind(t, sendTo(t, client, "http://"+poisoning), "")
		a := sendTo(t, client, honest.URL)
		wantKind(t, a, bugle.ErrorStatus)
		if string(a.ResponseBody) != "down" {
			t.Errorf("got %q", a.ResponseBody)
		}
	}
}

// Receivers whose TLS is not as it should be get no request.
func TestMaliciousReceivers_tls(t *testing.T) {
	serve := func(config *tls.Config) (*httptest.Server, *x509.CertPool) {
		server := httptest.NewUnstartedServer(answer(200, "ok"))
		server.Config.ErrorLog = log.New(io.Discard, "", 0)
		server.TLS = config
		server.StartTLS()
		t.Cleanup(server.Close)
		known := x509.NewCertPool()
		known.AddCert(server.Certificate())
		return server, known
	}
	for _, test := range []struct {
		name   string
		config *tls.Config
		known  bool
		kinds  []bugle.ErrorKind
	}{
		{"as it should be", &tls.Config{}, true, nil},
		{"self-signed", &tls.Config{}, false, []bugle.ErrorKind{bugle.ErrorTLS}},
		{"TLS 1.0", &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS10}, true, []bugle.ErrorKind{bugle.ErrorTLS}},
		{"TLS 1.1", &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}, true, []bugle.ErrorKind{bugle.ErrorTLS}},
		{"wants a certificate", &tls.Config{ClientAuth: tls.RequireAnyClientCert, MaxVersion: tls.VersionTLS12}, true, []bugle.ErrorKind{bugle.ErrorTLS}},
		{"wants a certificate after the handshake", &tls.Config{ClientAuth: tls.RequireAnyClientCert}, true, []bugle.ErrorKind{bugle.ErrorTLS, bugle.ErrorConnect}},
		{"speaks HTTP/2 alone", &tls.Config{NextProtos: []string{"h2"}}, true, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			server, known := serve(test.config)
			if !test.known {
				known = x509.NewCertPool()
			}
			client := NewClient(newGuard(t, []string{"127.0.0.1"}, nil), ClientOptions{RootCAs: known, Resolver: noNameServer})
			defer client.Close()
			r := post(server.URL)
			r.Header = http.Header{"User-Agent": {"test"}}
			wantContained(t, client, r, test.kinds, 0)
		})
	}
}
