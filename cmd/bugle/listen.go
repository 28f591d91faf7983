package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/buglehq/bugle"
)

// listenCommand is `bugle listen`: a receiver for development.
type listenCommand struct {
	Listen   string        `help:"Address to listen on; port 0 takes a free one." default:"127.0.0.1:9000" env:"BUGLE_RECEIVER_LISTEN"`
	Secret   []string      `help:"Secret of the webhook, to verify requests with. Repeat it while a secret is being replaced." sep:"none" env:"BUGLE_SECRET"`
	Status   int           `help:"HTTP status to answer with, from 200 to 599." default:"200" env:"BUGLE_RECEIVER_STATUS"`
	Fail     int           `help:"Answer 500 to the first N requests." placeholder:"N" env:"BUGLE_RECEIVER_FAIL"`
	FailRate float64       `help:"Answer 500 to this share of requests, at random, from 0 to 1." placeholder:"SHARE" env:"BUGLE_RECEIVER_FAIL_RATE"`
	Hang     time.Duration `help:"Wait this long before each answer, or until the client gives up; at most 24h." placeholder:"TIME" env:"BUGLE_RECEIVER_HANG"`
	Forward  *url.URL      `help:"Pass requests on to this URL and answer with its answer, instead of with the status." placeholder:"URL" env:"BUGLE_RECEIVER_FORWARD"`
	Count    int           `help:"Exit after N requests; 0 goes on until interrupted." placeholder:"N" env:"BUGLE_RECEIVER_COUNT"`
	JSON     bool          `help:"Print one JSON object per request, a line each." name:"json" env:"BUGLE_RECEIVER_JSON"`
	ShowBody bool          `help:"Print bodies, and for GET queries." default:"true" negatable:"" env:"BUGLE_RECEIVER_SHOW_BODY"`
}

// Help follows the one line that describes the command.
func (*listenCommand) Help() string {
	return `The block printed for a request ends with its body, as JSON on several lines, or for GET with the decoded
query. Nothing else is written to standard output.

  bugle listen --secret "$SECRET"                       print and verify
  bugle listen --fail 3 --count 4                       see three retries, then exit
  bugle listen --hang 1h                                see what a timeout looks like
  bugle listen --forward http://127.0.0.1:3000/webhook  watch what your program gets and answers
  bugle listen --json | jq -r .event                    use it in a script`
}

// maxHang bounds how long a request can hold on to a connection.
const maxHang = 24 * time.Hour

// Validate reports every flag that is out of its range. Kong calls it before Run.
func (c *listenCommand) Validate() error {
	var problems []error
	wrong := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	if c.Status < 200 || c.Status > 599 {
		wrong("--status is %d, want an HTTP status from 200 to 599", c.Status)
	}
	if c.Fail < 0 {
		wrong("--fail is %d, want a number of requests, such as 3", c.Fail)
	}
	if !(c.FailRate >= 0 && c.FailRate <= 1) { // so that NaN is wrong, too
		wrong("--fail-rate is %v, want a share from 0 to 1, such as 0.3", c.FailRate)
	}
	if c.Hang < 0 || c.Hang > maxHang {
		wrong("--hang is %v, want a time up to %v, such as 20s", c.Hang, maxHang)
	}
	if c.Count < 0 {
		wrong("--count is %d, want a number of requests, or 0 for no end", c.Count)
	}
	if f := c.Forward; f != nil && (f.Scheme != "http" && f.Scheme != "https" || f.Hostname() == "") {
		wrong("--forward is %q, want a URL such as http://127.0.0.1:3000/webhook", f.Redacted())
	}
	return errors.Join(problems...)
}

// shutdownGrace is how long requests under way may take once the command is to end.
const shutdownGrace = 5 * time.Second

// Run answers requests until there were enough of them, ctx is done, or the process is told to end.
func (c *listenCommand) Run(ctx context.Context, out *output) error {
	ctx, release := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer release()
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", c.Listen)
	if err != nil {
		return fmt.Errorf("--listen is %q, want a free address such as 127.0.0.1:9000: %w", c.Listen, err)
	}
	stop := make(chan struct{})
	printed := &requestPrinter{to: out.Stdout, json: c.JSON, showBody: c.ShowBody, broken: make(chan struct{})}
	rc := &receiver{
		secrets:  slices.DeleteFunc(slices.Clone(c.Secret), func(s string) bool { return s == "" }),
		status:   c.Status,
		fail:     c.Fail,
		failRate: c.FailRate,
		hang:     c.Hang,
		stop:     stop,
		report:   printed.print,
	}
	if c.Forward != nil {
		rc.forward = newForwarder(c.Forward)
		defer rc.forward.transport.CloseIdleConnections()
	}
	handler, enough := limit(rc, int64(c.Count))
	var unused unusedConns
	server := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       30 * time.Second,
		WriteTimeout:      c.Hang + forwardTimeout + 30*time.Second, // counts from the request's header
		IdleTimeout:       2 * time.Minute,
		ConnState:         unused.track,
		ErrorLog:          log.New(out.Stderr, "", 0),
	}
	server.RegisterOnShutdown(unused.close)
	fmt.Fprintf(out.Stderr, "listening on http://%s\n", listener.Addr())
	serving := make(chan error, 1)
	go func() { serving <- server.Serve(listener) }()

	select {
	case err = <-serving:
		return fmt.Errorf("serve %s: %w", listener.Addr(), err)
	case <-printed.broken: // nobody reads any more
	case <-enough:
	case <-ctx.Done():
	}
	release()   // another signal ends the process at once
	close(stop) // what hangs gets its answer now
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownGrace)
	defer cancel()
	if server.Shutdown(grace) != nil {
		server.Close()
	}
	return printed.err()
}

// unusedConns are the connections that have sent nothing yet. Clients open some in advance, and
// http.Server.Shutdown would wait 5 seconds for a request on each.
type unusedConns struct {
	mu     sync.Mutex
	conns  map[net.Conn]bool
	closed bool
}

func (u *unusedConns) track(conn net.Conn, state http.ConnState) {
	u.mu.Lock()
	defer u.mu.Unlock()
	switch {
	case state != http.StateNew:
		delete(u.conns, conn)
	case u.closed:
		conn.Close()
	default:
		if u.conns == nil {
			u.conns = map[net.Conn]bool{}
		}
		u.conns[conn] = true
	}
}

// close closes them, and all that come later.
func (u *unusedConns) close() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.closed = true
	for conn := range u.conns {
		conn.Close()
	}
}

// limit returns a handler that lets only the first count requests through to h, and a channel that
// is closed when those were handled. A count of 0 is no limit.
func limit(h http.Handler, count int64) (http.Handler, <-chan struct{}) {
	enough := make(chan struct{})
	if count == 0 {
		return h, enough
	}
	var arrived, handled atomic.Int64
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if arrived.Add(1) > count {
			http.Error(w, "no longer listening", http.StatusServiceUnavailable)
			return
		}
		defer func() {
			if handled.Add(1) == count {
				close(enough)
			}
		}()
		h.ServeHTTP(w, r)
	}), enough
}

// A requestPrinter prints requests, each in one piece although they come at the same time, until it
// cannot any more.
type requestPrinter struct {
	json, showBody bool
	broken         chan struct{} // closed after an error

	mu     sync.Mutex
	to     io.Writer
	failed error
}

func (p *requestPrinter) print(got received) {
	text := got.text
	if p.json {
		text = got.json
	}
	block := text(p.showBody)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.failed != nil {
		return
	}
	if _, err := p.to.Write(block); err != nil {
		p.failed = fmt.Errorf("print request %d: %w", got.Number, err)
		close(p.broken)
	}
}

func (p *requestPrinter) err() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.failed
}

// text returns the request as a block for people. Every text of the request is made printable, so that
// a sender cannot steer the terminal.
func (got received) text(showBody bool) []byte {
	var b bytes.Buffer
	target := got.Path
	if got.RawQuery != "" && got.Method != http.MethodGet { // a GET's is shown decoded
		target += "?" + got.RawQuery
	}
	event, id := got.Event, got.Header.Get("Webhook-Id")
	if event == "" {
		event = "(no event)"
	}
	if id == "" {
		id = "(no webhook-id)"
	}
	fmt.Fprintf(&b, "%s  %s %s  %s  %s\n", got.At.Format("2006-01-02 15:04:05.000"),
		printable(got.Method), printable(target), printable(event), printable(id))
	fmt.Fprintf(&b, "  %s\n", printable(got.signatureLine()))
	fmt.Fprintf(&b, "  %s\n", printable(got.answerLine()))
	for _, name := range slices.Sorted(maps.Keys(got.Header)) {
		if slices.Contains(dullHeaders, name) {
			continue
		}
		for _, value := range got.Header[name] {
			fmt.Fprintf(&b, "  %s: %s\n", printable(name), printable(value))
		}
	}
	if showBody {
		for line := range strings.Lines(got.bodyText()) {
			fmt.Fprintf(&b, "    %s\n", printable(strings.TrimSuffix(line, "\n")))
		}
	}
	b.WriteByte('\n')
	return b.Bytes()
}

// dullHeaders say nothing about a webhook.
var dullHeaders = []string{"Accept", "Accept-Encoding", "Connection", "Content-Length"}

func (got received) signatureLine() string {
	switch {
	case !got.Verified:
		return "no secret given: not verified"
	case got.Invalid != nil:
		return "signature WRONG: " + strings.ReplaceAll(got.Invalid.Error(), "\n", "; ")
	}
	return fmt.Sprintf("signature ok: Signature %s, webhook-signature %s", got.Verdict.Signature, got.Verdict.Standard)
}

func (got received) answerLine() string {
	line := "no answer"
	if got.Status != 0 {
		line = strings.TrimSpace("answered " + strconv.Itoa(got.Status) + " " + http.StatusText(got.Status))
	}
	if got.Note != "" {
		line += ", " + got.Note
	}
	return line + ", after " + got.Took.Round(time.Millisecond).String()
}

// bodyText returns the body for people: JSON indented but otherwise as it came, with its order and
// escapes. Without a body it is the query, a decoded pair a line.
func (got received) bodyText() string {
	if len(got.Body) > 0 {
		var indented bytes.Buffer
		if json.Indent(&indented, got.Body, "", "  ") == nil {
			return indented.String()
		}
		return string(got.Body)
	}
	if got.RawQuery == "" {
		return ""
	}
	var b strings.Builder
	for pair := range strings.SplitSeq(got.RawQuery, "&") {
		name, value, _ := strings.Cut(pair, "=")
		// A line break in a value must not look like the next pair.
		fmt.Fprintf(&b, "%s = %s\n", printable(unescape(name)), printable(unescape(value)))
	}
	return b.String()
}

// unescape decodes a part of a query, or returns it as it is if that is impossible.
func unescape(text string) string {
	if decoded, err := url.QueryUnescape(text); err == nil {
		return decoded
	}
	return text
}

// printable returns text with everything that a terminal might not show as a character escaped as in a
// Go string.
func printable(text string) string {
	if strings.IndexFunc(text, func(r rune) bool { return !unicode.IsPrint(r) || r == utf8.RuneError }) < 0 {
		return text
	}
	var b strings.Builder
	for len(text) > 0 {
		r, size := utf8.DecodeRuneInString(text)
		if unicode.IsPrint(r) && (r != utf8.RuneError || size > 1) {
			b.WriteString(text[:size])
		} else {
			quoted := strconv.Quote(text[:size])
			b.WriteString(quoted[1 : len(quoted)-1])
		}
		text = text[size:]
	}
	return b.String()
}

// receivedJSON is what --json prints of a request: its fields are a promise.
type receivedJSON struct {
	Number           int64       `json:"number"`
	Time             string      `json:"time"`
	Method           string      `json:"method"`
	Path             string      `json:"path"`
	Query            string      `json:"query"`      // raw
	Event            string      `json:"event"`      // may be empty
	WebhookID        string      `json:"webhook_id"` // may be empty
	Verified         *bool       `json:"verified"`   // null: there was no secret to verify with
	Signature        string      `json:"signature,omitempty"`
	WebhookSignature string      `json:"webhook_signature,omitempty"`
	VerifyError      string      `json:"verify_error,omitempty"`
	Headers          http.Header `json:"headers"`
	Body             *string     `json:"body,omitempty"`        // as it came
	BodyBase64       []byte      `json:"body_base64,omitempty"` // instead, if it is not UTF-8
	Status           int         `json:"status"`                // of the answer; 0: none
	Note             string      `json:"note,omitempty"`
	DurationMS       int64       `json:"duration_ms"`
}

func (got received) json(showBody bool) []byte {
	line := receivedJSON{
		Number:     got.Number,
		Time:       bugle.FormatTime(got.At),
		Method:     got.Method,
		Path:       got.Path,
		Event:      got.Event,
		WebhookID:  got.Header.Get("Webhook-Id"),
		Headers:    got.Header,
		Status:     got.Status,
		Note:       got.Note,
		DurationMS: got.Took.Milliseconds(),
	}
	if got.Verified {
		valid := got.Invalid == nil
		line.Verified = &valid
		line.Signature, line.WebhookSignature = string(got.Verdict.Signature), string(got.Verdict.Standard)
		if !valid {
			line.VerifyError = got.Invalid.Error()
		}
	}
	if showBody {
		line.Query = got.RawQuery
		if body := string(got.Body); utf8.ValidString(body) {
			line.Body = &body
		} else {
			line.BodyBase64 = got.Body
		}
	}
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(line); err != nil {
		panic(err) // strings and numbers always encode
	}
	return b.Bytes()
}
