package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/alecthomas/kong"

	"github.com/buglehq/bugle/internal/delivery"
)

// runCommand runs `bugle` with args as the program does, but for the process around it.
func runCommand(ctx context.Context, out *output, args ...string) error {
	var commands struct {
		Listen listenCommand `cmd:""`
		Verify verifyCommand `cmd:""`
	}
	parser, err := kong.New(&commands, kong.BindTo(ctx, (*context.Context)(nil)), kong.Bind(out))
	if err != nil {
		return err
	}
	command, err := parser.Parse(args)
	if err != nil {
		return err
	}
	return command.Run()
}

// A syncBuffer is a bytes.Buffer for several goroutines.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// A lineChannel is a writer that hands on what is written.
type lineChannel chan string

func (c lineChannel) Write(p []byte) (int, error) {
	c <- string(p)
	return len(p), nil
}

// listening is a `bugle listen` that runs beside a test.
type listening struct {
	t      *testing.T
	url    string
	stdout *syncBuffer
	cancel func() // ends it as the end of its context does
	ended  chan error
}

// listen starts `bugle listen` on a free port. At the end of the test it must end without an error.
func listen(t *testing.T, args ...string) *listening {
	t.Helper()
	l := &listening{t: t, stdout: &syncBuffer{}, ended: make(chan error, 1)}
	l.start(l.stdout, args...)
	t.Cleanup(func() {
		l.cancel()
		if err := l.wait(); err != nil {
			t.Errorf("listen ended with: %v", err)
		}
	})
	return l
}

func (l *listening) start(stdout io.Writer, args ...string) {
	l.t.Helper()
	ctx, cancel := context.WithCancel(l.t.Context())
	l.cancel = cancel
	stderr := make(lineChannel, 100)
	out := &output{Stdin: strings.NewReader(""), Stdout: stdout, Stderr: stderr}
	go func() {
		l.ended <- runCommand(ctx, out, append([]string{"listen", "--listen", "127.0.0.1:0"}, args...)...)
	}()
	select {
	case line := <-stderr:
		url, ok := strings.CutPrefix(line, "listening on ")
		if l.url = strings.TrimSuffix(url, "\n"); !ok || strings.HasSuffix(l.url, ":0") {
			l.t.Fatalf("the first line on stderr is %q", line)
		}
	case err := <-l.ended:
		l.t.Fatalf("listen ended at once: %v", err)
	}
}

// wait returns what the command returned once it has.
func (l *listening) wait() error {
	err := <-l.ended
	l.ended <- err
	return err
}

// send sends the request and returns status, header and body of the answer.
func (l *listening) send(r *http.Request) (int, http.Header, string) {
	l.t.Helper()
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		l.t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		l.t.Fatal(err)
	}
	return response.StatusCode, response.Header, string(body)
}

// post sends a plain request and returns the status of the answer.
func (l *listening) post(body string) int {
	l.t.Helper()
	status, _, _ := l.send(request(l.t, "POST", l.url+"/hook", body))
	return status
}

func request(t *testing.T, method, url, body string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

const secret = "0123456789abcdef0123456789abcdef"

// signed returns a request as it is delivered, now: the envelope in the body, or in the query.
func signed(t *testing.T, method, url, content string) *http.Request {
	t.Helper()
	body := content
	if method == "GET" {
		url, body = url+"?"+content, ""
	}
	now := time.Now().Unix()
	r := request(t, method, url, body)
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Signature", delivery.Signature(secret, []byte(content)))
	r.Header.Set("Webhook-Id", "msg_17")
	r.Header.Set("Webhook-Timestamp", strconv.FormatInt(now, 10))
	r.Header.Set("Webhook-Signature", delivery.StandardSignature(secret, "msg_17", now, []byte(content)))
	return r
}

const envelope = `{"event":"calendar.updated","data":{"id":2,"name":"\u00dcbungen \/ \"Ops\"","color":null},"changes":[]}`

// wantParts checks that text has all of the parts, in this order.
func wantParts(t *testing.T, text string, parts ...string) {
	t.Helper()
	rest := text
	for _, part := range parts {
		_, after, found := strings.Cut(rest, part)
		if !found {
			t.Errorf("no %q where it is expected in:\n%s", part, text)
			return
		}
		rest = after
	}
}

func TestListen_printsAPost(t *testing.T) {
	l := listen(t, "--secret", secret)
	r := signed(t, "POST", l.url+"/hook?token=1", envelope)
	r.Header.Set("X-Unit", "2nd Ranger Battalion")
	status, _, body := l.send(r)
	if status != 200 || body != "OK\n" {
		t.Errorf("answered %d %q", status, body)
	}
	wantParts(t, l.stdout.String(), "POST /hook?token=1  calendar.updated  msg_17\n",
		"  signature ok: Signature ok, webhook-signature ok\n",
		"  answered 200 OK, after ",
		"  Content-Type: application/json\n",
		"  Signature: ", "  Webhook-Id: msg_17\n", "  Webhook-Signature: v1,", "  Webhook-Timestamp: ",
		"  X-Unit: 2nd Ranger Battalion\n",
		"    {\n", `      "event": "calendar.updated",`, `        "name": "\u00dcbungen \/ \"Ops\"",`+"\n", "    }\n\n")
}

func TestListen_printsAGet(t *testing.T) {
	l := listen(t, "--secret", secret)
	query := "event=calendar.updated&data%5Bname%5D=%C3%9Cbungen%20%2F%20%22Ops%22&data%5Bnote%5D=a%0Ab&broken=%zz"
	if status, _, _ := l.send(signed(t, "GET", l.url+"/hook", query)); status != 200 {
		t.Errorf("answered %d", status)
	}
	wantParts(t, l.stdout.String(), "GET /hook  calendar.updated  msg_17\n",
		"  signature ok: Signature not checkable, webhook-signature ok\n",
		"    event = calendar.updated\n", `    data[name] = Übungen / "Ops"`+"\n", `    data[note] = a\nb`+"\n", "    broken = %zz\n\n")
}

func TestListen_saysWhetherSignaturesVerify(t *testing.T) {
	t.Setenv("BUGLE_SECRET", "")
	wrong := strings.Repeat("x", 32)
	for _, test := range []struct {
		name string
		env  string
		args []string
		want string
	}{
		{name: "no secret", want: "  no secret given: not verified\n"},
		{name: "flag", args: []string{"--secret", secret}, want: "  signature ok: "},
		{name: "environment", env: secret, want: "  signature ok: "},
		{name: "flag before environment", env: wrong, args: []string{"--secret", secret}, want: "  signature ok: "},
		{name: "a comma is part of the secret", env: secret + "," + wrong, want: "  signature WRONG: "},
		{name: "two secrets", args: []string{"--secret", wrong, "--secret", secret}, want: "  signature ok: "},
		{name: "another secret", args: []string{"--secret", wrong},
			want: "  signature WRONG: the Signature header is wrong: another secret, or the body was altered; webhook-signature is wrong: "},
	} {
		t.Run(test.name, func(t *testing.T) {
			if test.env != "" {
				t.Setenv("BUGLE_SECRET", test.env)
			}
			l := listen(t, test.args...)
			l.send(signed(t, "POST", l.url, envelope))
			wantParts(t, l.stdout.String(), "POST /", test.want)
		})
	}
}

func TestListen_status(t *testing.T) {
	for _, status := range []int{200, 204, 302, 410, 503} {
		l := listen(t, "--status", strconv.Itoa(status))
		if got := l.post(envelope); got != status {
			t.Errorf("answered %d, want %d", got, status)
		}
		wantParts(t, l.stdout.String(), fmt.Sprintf("  answered %d %s, after ", status, http.StatusText(status)))
	}
}

func TestListen_failsAndEndsAfterCount(t *testing.T) {
	l := listen(t, "--fail", "2", "--status", "202", "--count", "4")
	for i, want := range []int{500, 500, 202, 202} {
		if got := l.post(envelope); got != want {
			t.Errorf("request %d: answered %d, want %d", i+1, got, want)
		}
	}
	if err := l.wait(); err != nil {
		t.Errorf("ended with %v", err)
	}
	wantParts(t, l.stdout.String(), "answered 500 Internal Server Error, failing on demand", "answered 500", "answered 202", "answered 202")
	if c, err := net.Dial("tcp", strings.TrimPrefix(l.url, "http://")); err == nil {
		c.Close()
		t.Error("it still listens")
	}
}

// Requests that come while the command is ending must not be taken for received.
func TestLimit_refusesWhatComesLater(t *testing.T) {
	handled := 0
	h, enough := limit(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { handled++ }), 2)
	for i, want := range []int{200, 200, 503, 503} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("POST", "/", nil))
		if w.Code != want {
			t.Errorf("request %d: answered %d, want %d", i+1, w.Code, want)
		}
		select {
		case <-enough:
			if i == 0 {
				t.Error("one was enough")
			}
		default:
			if i > 0 {
				t.Errorf("%d were not enough", i+1)
			}
		}
	}
	if handled != 2 {
		t.Errorf("handled %d", handled)
	}
}

func TestListen_failRate(t *testing.T) {
	always, never := listen(t, "--fail-rate", "1"), listen(t, "--fail-rate", "0")
	for range 5 {
		if a, n := always.post(""), never.post(""); a != 500 || n != 200 {
			t.Errorf("answered %d and %d, want 500 and 200", a, n)
		}
	}
}

func TestReceiver_failRateComesAfterFail(t *testing.T) {
	draws := []float64{0.29, 0.3, 0.99, 0}
	rc := &receiver{fail: 2, failRate: 0.3, random: func() float64 {
		draw := draws[0]
		draws = draws[1:]
		return draw
	}}
	for i, want := range []int{500, 500, 500, 200, 200, 500} {
		w := httptest.NewRecorder()
		rc.ServeHTTP(w, httptest.NewRequest("POST", "/", nil))
		if w.Code != want {
			t.Errorf("request %d: answered %d, want %d", i+1, w.Code, want)
		}
	}
}

func TestListen_hangs(t *testing.T) {
	t.Run("until the time is over", func(t *testing.T) {
		l := listen(t, "--hang", "1ms", "--status", "201")
		if got := l.post(envelope); got != 201 {
			t.Errorf("answered %d", got)
		}
	})
	t.Run("until the client gives up", func(t *testing.T) {
		l := listen(t, "--hang", "24h", "--count", "1")
		l.sendAndLeave("POST /hook HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}")
		if err := l.wait(); err != nil {
			t.Errorf("ended with %v", err)
		}
		wantParts(t, l.stdout.String(), "POST /hook", "  no answer, the client gave up, after ")
	})
	t.Run("until the command ends", func(t *testing.T) {
		stop := make(chan struct{})
		close(stop)
		w := httptest.NewRecorder()
		(&receiver{hang: maxHang, stop: stop, status: 202}).ServeHTTP(w, httptest.NewRequest("POST", "/", nil))
		if w.Code != 202 {
			t.Errorf("answered %d", w.Code)
		}
	})
}

// sendAndLeave sends the bytes and hangs up.
func (l *listening) sendAndLeave(request string) {
	l.t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(l.url, "http://"))
	if err != nil {
		l.t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, request); err != nil {
		l.t.Fatal(err)
	}
}

func TestListen_forwards(t *testing.T) {
	type seen struct {
		method, uri, body, signature, host string
		length                             int64
	}
	var got seen
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got = seen{r.Method, r.RequestURI, string(body), r.Header.Get("Signature"), r.Host, r.ContentLength}
		w.Header().Set("X-Other", "yes")
		w.WriteHeader(http.StatusTeapot)
		fmt.Fprint(w, "short and stout")
	}))
	defer other.Close()
	host := strings.TrimPrefix(other.URL, "http://")
	l := listen(t, "--forward", other.URL+"/in?own=1", "--fail", "1")

	if status := l.post(envelope); status != 500 || got != (seen{}) {
		t.Errorf("the one to fail was answered %d, and the other side saw %+v", status, got)
	}

	r := signed(t, "POST", l.url+"/hook", envelope)
	r.ContentLength = -1 // so that it comes in chunks
	status, header, body := l.send(r)
	if status != 418 || header.Get("X-Other") != "yes" || body != "short and stout" {
		t.Errorf("answered %d %v %q", status, header, body)
	}
	want := seen{"POST", "/in?own=1", envelope, r.Header.Get("Signature"), host, int64(len(envelope))}
	if got != want {
		t.Errorf("the other side saw\n%+v, want\n%+v", got, want)
	}

	// A query is signed as it is: not even one that Go would call broken may change.
	query := "event=a.b&data%5Bx%5D=%20;%zz"
	l.send(signed(t, "GET", l.url+"/hook", query))
	if got.method != "GET" || got.uri != "/in?"+query || got.body != "" {
		t.Errorf("the other side saw %+v", got)
	}
	wantParts(t, l.stdout.String(), "answered 500", "answered 418 I'm a teapot, by "+other.URL+"/in?own=1, after ", "answered 418")
}

func TestListen_forwardWithoutAnAnswer(t *testing.T) {
	other := httptest.NewServer(http.NotFoundHandler())
	other.Close()
	l := listen(t, "--forward", other.URL)
	if got := l.post(envelope); got != 502 {
		t.Errorf("answered %d, want 502", got)
	}
	wantParts(t, l.stdout.String(), "  answered 502 Bad Gateway, forward to "+other.URL+": ", ", after ")
}

func TestListen_forwardAndTheClientGivesUp(t *testing.T) {
	other := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	}))
	defer other.Close()
	l := listen(t, "--forward", other.URL, "--count", "1")
	l.sendAndLeave("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}")
	if err := l.wait(); err != nil {
		t.Errorf("ended with %v", err)
	}
	wantParts(t, l.stdout.String(), "  no answer, the client gave up, after ")
}

// A request under way when the command is told to end gets its answer.
func TestListen_endsGracefully(t *testing.T) {
	arrived, release := make(chan struct{}), make(chan struct{})
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(arrived)
		<-release
		w.WriteHeader(http.StatusAccepted)
	}))
	defer other.Close()
	l := listen(t, "--forward", other.URL)
	answered := make(chan int, 1)
	go func() {
		response, err := http.Post(l.url, "application/json", strings.NewReader(envelope))
		if err != nil {
			t.Error(err)
			answered <- 0
			return
		}
		response.Body.Close()
		answered <- response.StatusCode
	}()
	<-arrived
	l.cancel()
	close(release)
	if got := <-answered; got != http.StatusAccepted {
		t.Errorf("answered %d", got)
	}
}

// A connection without a request is closed, not waited for: the client finds it closed.
func TestListen_endsDespiteUnusedConnections(t *testing.T) {
	l := listen(t)
	c, err := net.Dial("tcp", strings.TrimPrefix(l.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	l.post(envelope) // on a connection that was accepted later
	l.cancel()
	if err := l.wait(); err != nil {
		t.Errorf("ended with %v", err)
	}
	if n, err := c.Read(make([]byte, 1)); err == nil {
		t.Errorf("read %d bytes", n)
	}
}

func TestUnusedConns(t *testing.T) {
	var unused unusedConns
	closed := func(c net.Conn) bool {
		return errors.Is(c.SetDeadline(time.Time{}), io.ErrClosedPipe)
	}
	waiting, busy := newConn(t), newConn(t)
	unused.track(waiting, http.StateNew)
	unused.track(busy, http.StateNew)
	unused.track(busy, http.StateActive)
	unused.close()
	late := newConn(t)
	unused.track(late, http.StateNew)
	if !closed(waiting) || closed(busy) || !closed(late) {
		t.Errorf("closed: waiting %t, busy %t, late %t; want true, false, true", closed(waiting), closed(busy), closed(late))
	}
}

func newConn(t *testing.T) net.Conn {
	c, other := net.Pipe()
	t.Cleanup(func() { c.Close(); other.Close() })
	return c
}

func TestListen_endsOnSignals(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("a process cannot signal itself there")
	}
	self, err := os.FindProcess(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []os.Signal{os.Interrupt, syscall.SIGTERM} {
		l := listen(t, "--hang", "24h")
		if err := self.Signal(s); err != nil {
			t.Fatal(err)
		}
		if err := l.wait(); err != nil {
			t.Errorf("%v: ended with %v", s, err)
		}
	}
}

func TestListen_json(t *testing.T) {
	l := listen(t, "--json", "--secret", secret, "--status", "202")
	l.send(signed(t, "POST", l.url+"/hook", envelope))
	l.send(request(t, "GET", l.url+"/a%20b?event=x.y", ""))
	l.send(request(t, "POST", l.url, "\xff"))

	lines := strings.Split(strings.TrimSuffix(l.stdout.String(), "\n"), "\n")
	if len(lines) != 3 {
		t.Fatalf("%d lines, want 3: %q", len(lines), lines)
	}
	got := make([]map[string]any, 3)
	for i, line := range lines {
		if err := json.Unmarshal([]byte(line), &got[i]); err != nil {
			t.Fatalf("line %d: %v: %s", i+1, err, line)
		}
	}
	want := func(i int, field string, value any) {
		t.Helper()
		if got[i][field] != value {
			t.Errorf("request %d: %s is %#v, want %#v", i+1, field, got[i][field], value)
		}
	}
	want(0, "number", 1.0)
	want(0, "method", "POST")
	want(0, "path", "/hook")
	want(0, "query", "")
	want(0, "event", "calendar.updated")
	want(0, "webhook_id", "msg_17")
	want(0, "verified", true)
	want(0, "signature", "ok")
	want(0, "webhook_signature", "ok")
	want(0, "verify_error", nil)
	want(0, "body", envelope)
	want(0, "status", 202.0)
	if headers, _ := got[0]["headers"].(map[string]any); fmt.Sprint(headers["Webhook-Id"]) != "[msg_17]" {
		t.Errorf("headers are %v", headers)
	}
	if at, err := time.Parse(time.RFC3339, fmt.Sprint(got[0]["time"])); err != nil || at.Location() != time.UTC {
		t.Errorf("time is %v", got[0]["time"])
	}
	if _, ok := got[0]["duration_ms"].(float64); !ok {
		t.Errorf("duration_ms is %v", got[0]["duration_ms"])
	}

	want(1, "number", 2.0)
	want(1, "path", "/a b")
	want(1, "query", "event=x.y")
	want(1, "event", "x.y")
	want(1, "webhook_id", "")
	want(1, "verified", false)
	want(1, "signature", "missing")
	want(1, "verify_error", "not signed: both Signature and webhook-signature are missing")
	want(1, "body", "")

	want(2, "body", nil)
	want(2, "body_base64", "/w==")
}

func TestListen_jsonWithoutSecret(t *testing.T) {
	t.Setenv("BUGLE_SECRET", "")
	l := listen(t, "--json")
	l.post("no JSON")
	wantParts(t, l.stdout.String(), `"event":""`, `"verified":null,"headers"`, `"body":"no JSON"`)
}

func TestListen_hidesBodies(t *testing.T) {
	for _, args := range [][]string{{"--show-body=false"}, {"--no-show-body"}, {"--no-show-body", "--json"}} {
		l := listen(t, args...)
		l.send(request(t, "POST", l.url+"/hook", `{"event":"a.b","data":"hidden text"}`))
		l.send(request(t, "GET", l.url+"/hook?event=c.d&data=hidden+text", ""))
		wantParts(t, l.stdout.String(), "/hook", "a.b", "/hook", "c.d")
		if strings.Contains(l.stdout.String(), "hidden") {
			t.Errorf("%v: printed %s", args, l.stdout)
		}
	}
}

func TestListen_bodiesAreBounded(t *testing.T) {
	l := listen(t)
	if got := l.post(strings.Repeat("x", maxBody+1)); got != http.StatusRequestEntityTooLarge {
		t.Errorf("a byte too many: answered %d", got)
	}
	if got := l.post(strings.Repeat("x", maxBody)); got != http.StatusOK {
		t.Errorf("the longest body: answered %d", got)
	}
	wantParts(t, l.stdout.String(), "answered 413 Request Entity Too Large, the body is longer than 1048576 bytes", "answered 200")
}

func TestListen_requestBreaksOff(t *testing.T) {
	l := listen(t, "--count", "1", "--secret", secret)
	l.sendAndLeave("POST /hook HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
	if err := l.wait(); err != nil {
		t.Errorf("ended with %v", err)
	}
	wantParts(t, l.stdout.String(), "POST /hook", "  no answer, the request broke off, after ")
}

// What a sender writes must not reach the terminal as a command to it.
func TestListen_printsNoControlCharacters(t *testing.T) {
	l := listen(t)
	r := request(t, "POST", l.url+"/%1b%5B2J", "{\"event\":\"a\\u001b[2J\",\"x\":\"\u009b\x7f\u202e\xff é\"}")
	r.Header["X-Unit"] = []string{"\u009b2J"}
	l.send(r)
	l.send(request(t, "POST", l.url, "no JSON\x1b[2J\r\nsecond line"))
	got := l.stdout.String()
	if at := strings.IndexAny(got, "\x1b\u009b\x7f\u202e\r"); at >= 0 {
		t.Errorf("a control character at %d of %q", at, got)
	}
	wantParts(t, got, `POST /\x1b[2J  a\x1b[2J  `, `X-Unit: \u009b2J`, `"event": "a\u001b[2J"`, `"x": "\u009b\x7f\u202e`, ` é"`,
		`no JSON\x1b[2J\r`+"\n", "    second line\n")
}

func TestListen_blocksAndLinesStayWhole(t *testing.T) {
	const requests = 50
	l := listen(t, "--json", "--count", strconv.Itoa(requests))
	var group sync.WaitGroup
	for i := range requests {
		group.Go(func() { l.post(fmt.Sprintf(`{"event":"e.%d"}`, i)) })
	}
	group.Wait()
	if err := l.wait(); err != nil {
		t.Errorf("ended with %v", err)
	}
	numbers, events := map[int64]bool{}, map[string]bool{}
	for line := range strings.Lines(l.stdout.String()) {
		var got receivedJSON
		if err := json.Unmarshal([]byte(line), &got); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		numbers[got.Number], events[got.Event] = true, true
	}
	if len(numbers) != requests || len(events) != requests {
		t.Errorf("%d numbers and %d events for %d requests", len(numbers), len(events), requests)
	}
}

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, errors.New("disk full") }

func TestListen_endsWhenItCannotPrint(t *testing.T) {
	for _, args := range [][]string{nil, {"--count", "1"}} {
		l := &listening{t: t, ended: make(chan error, 1)}
		l.start(brokenWriter{}, args...)
		defer l.cancel()
		l.post(envelope)
		if err := l.wait(); err == nil || err.Error() != "print request 1: disk full" {
			t.Errorf("%v: ended with %v", args, err)
		}
	}
}

func TestListen_refusesFlags(t *testing.T) {
	for _, test := range []struct {
		args []string
		want string
	}{
		{[]string{"--status", "199"}, "--status is 199"},
		{[]string{"--status", "600"}, "--status is 600"},
		{[]string{"--fail=-1"}, "--fail is -1"},
		{[]string{"--fail-rate", "1.1"}, "--fail-rate is 1.1"},
		{[]string{"--fail-rate", "NaN"}, "--fail-rate is NaN"},
		{[]string{"--hang", "25h"}, "--hang is 25h"},
		{[]string{"--hang=-1s"}, "--hang is -1s"},
		{[]string{"--count=-1"}, "--count is -1"},
		{[]string{"--forward", "localhost:3000"}, `--forward is "localhost:3000"`},
		{[]string{"--forward", "ftp://u:p@x/"}, `--forward is "ftp://u:xxxxx@x/"`},
		{[]string{"--status", "1", "--count=-1"}, "--status is 1, want an HTTP status from 200 to 599\n--count is -1"},
		{[]string{"--listen", "127.0.0.1:no"}, "127.0.0.1"},
	} {
		err := runCommand(t.Context(), &output{Stdout: io.Discard, Stderr: io.Discard}, append([]string{"listen"}, test.args...)...)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%q: got error %v, want %s", test.args, err, test.want)
		}
	}
}

func TestListen_addressInUse(t *testing.T) {
	l := listen(t)
	address := strings.TrimPrefix(l.url, "http://")
	err := runCommand(t.Context(), &output{Stdout: io.Discard, Stderr: io.Discard}, "listen", "--listen", address)
	if err == nil || !strings.Contains(err.Error(), address) {
		t.Errorf("got error %v, want one that names %s", err, address)
	}
}

// The zero receiver is of use to whoever only wants a webhook answered.
func TestReceiver_zero(t *testing.T) {
	server := httptest.NewServer(&receiver{})
	defer server.Close()
	response, err := http.Post(server.URL, "application/json", strings.NewReader(envelope))
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != 200 {
		t.Errorf("answered %d", response.StatusCode)
	}
}

func TestReceiver_reportsBeforeItAnswers(t *testing.T) {
	var got []received
	clock := time.Date(2026, 1, 14, 12, 0, 0, 0, time.UTC)
	rc := &receiver{
		secrets: []string{secret},
		report:  func(r received) { got = append(got, r) },
		now: func() time.Time {
			clock = clock.Add(time.Second)
			return clock
		},
	}
	h := httptest.NewRecorder()
	r := httptest.NewRequest("POST", "/hook?a=1", strings.NewReader(envelope))
	r.Header.Set("Signature", delivery.Signature(secret, []byte(envelope)))
	rc.ServeHTTP(h, r)
	if len(got) != 1 {
		t.Fatalf("%d reports", len(got))
	}
	one := got[0]
	if one.Number != 1 || one.Event != "calendar.updated" || one.Status != 200 || one.Took != time.Second ||
		!one.Verified || one.Invalid != nil || one.Verdict != (delivery.Verdict{Signature: delivery.CheckOK, Standard: delivery.CheckMissing}) {
		t.Errorf("got %+v", one)
	}
	const want = `^2026-01-14 12:00:01\.000  POST /hook\?a=1  calendar\.updated  \(no webhook-id\)
  signature ok: Signature ok, webhook-signature missing
  answered 200 OK, after 1s
  Signature: [0-9a-f]{64}

$`
	if text := one.text(false); !regexp.MustCompile(want).Match(text) {
		t.Errorf("printed\n%s", text)
	}
}
