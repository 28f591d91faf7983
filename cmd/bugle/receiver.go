package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net/http"
	"net/http/httputil"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/buglehq/bugle/internal/delivery"
)

// A receiver answers webhook requests and reports each, as a handler that any server can use. It
// verifies them, and can misbehave on demand. Only the first field that applies of fail, failRate,
// forward and status makes the answer. The zero receiver answers 200 to everything, silently.
type receiver struct {
	secrets []string // none: requests are not verified

	fail     int             // so many requests get 500, then the rest of the fields applies
	failRate float64         // the share of requests that get 500, from 0 to 1
	hang     time.Duration   // how long to wait before the answer, unless the client gives up earlier
	stop     <-chan struct{} // closed: nothing waits any more; nil: never
	forward  *forwarder      // answers instead; nil: status is the answer
	status   int             // 200 to 599; 0 means 200

	// report is called for each request when the answer is known, before it is written, so who has
	// the answer can rely on the report. It is called by several goroutines at once. It may be nil.
	report func(received)

	now    func() time.Time // nil means time.Now
	random func() float64   // from 0 to below 1; nil means rand.Float64

	arrived atomic.Int64
}

// maxBody is how many bytes of a request's body are read: four times the largest envelope.
const maxBody = 1 << 20

// received is one request as a receiver got it, and what it answered.
type received struct {
	Number   int64 // 1 for the receiver's first
	At       time.Time
	Method   string
	Path     string
	RawQuery string
	Header   http.Header
	Body     []byte
	Event    string // the envelope's; empty if there is none to find

	Verified bool // whether there was a secret to verify with; otherwise the next two say nothing
	Verdict  delivery.Verdict
	Invalid  error // what is wrong with the signatures; nil if nothing is

	Status int    // of the answer; 0 if there is none, as the client has gone
	Note   string // why Status is not simply what was asked for; may be empty
	Took   time.Duration
}

func (rc *receiver) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	got := received{
		Number:   rc.arrived.Add(1),
		At:       rc.time(),
		Method:   r.Method,
		Path:     r.URL.Path,
		RawQuery: r.URL.RawQuery,
		Header:   r.Header,
	}
	answer := func(status int, note string) {
		got.Status, got.Note = status, note
		got.Took = rc.time().Sub(got.At)
		if rc.report != nil {
			rc.report(got)
		}
	}

	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	got.Body = body
	if err != nil {
		// Half a body has no event, and a signature that is wrong for sure: neither is said.
		if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
			answer(http.StatusRequestEntityTooLarge, fmt.Sprintf("the body is longer than %d bytes", maxBody))
			http.Error(w, "body too large", http.StatusRequestEntityTooLarge)
			return
		}
		answer(0, "the request broke off")
		panic(http.ErrAbortHandler)
	}
	got.Event = eventName(got)
	if len(rc.secrets) > 0 {
		verifier := delivery.Verifier{Secrets: rc.secrets, Now: rc.now}
		got.Verified = true
		got.Verdict, got.Invalid = verifier.Verify(r.Header, r.Method, body, r.URL.RawQuery)
	}

	if !rc.wait(r.Context()) {
		answer(0, "the client gave up")
		panic(http.ErrAbortHandler)
	}
	switch {
	case rc.fails(got.Number):
		answer(http.StatusInternalServerError, "failing on demand")
		http.Error(w, "failing on demand", http.StatusInternalServerError)
	case rc.forward != nil:
		rc.forward.pass(w, r, body, answer)
	default:
		status := rc.status
		if status == 0 {
			status = http.StatusOK
		}
		answer(status, "")
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.WriteHeader(status)
		fmt.Fprintln(w, http.StatusText(status)) // refused, rightly, for a status without a body
	}
}

func (rc *receiver) time() time.Time {
	if rc.now != nil {
		return rc.now()
	}
	return time.Now()
}

// fails reports whether request n is one of those that get a 500.
func (rc *receiver) fails(n int64) bool {
	if n <= int64(rc.fail) {
		return true
	}
	random := rc.random
	if random == nil {
		random = rand.Float64
	}
	return random() < rc.failRate
}

// wait hangs as long as asked for, and reports whether the client is still there.
func (rc *receiver) wait(ctx context.Context) bool {
	if rc.hang <= 0 {
		return true
	}
	timer := time.NewTimer(rc.hang)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-rc.stop:
		return true
	case <-ctx.Done():
		return false
	}
}

// eventName finds the name in the body, or in the query of a request without one.
func eventName(got received) string {
	if len(got.Body) == 0 {
		query, _ := url.ParseQuery(got.RawQuery) // what is no query has no event
		return query.Get("event")
	}
	var envelope struct{ Event string }
	_ = json.Unmarshal(got.Body, &envelope) // what is no JSON has no event
	return envelope.Event
}

// A forwarder passes requests on to one URL.
//
// It dials directly instead of through the guarded client that deliveries use: the URL comes from the
// person who starts the command, not from whoever may edit a webhook, and it is most often on the
// loopback, which the guard refuses.
type forwarder struct {
	target    *url.URL
	transport *http.Transport
}

// forwardTimeout is how long the other side may take, to the last byte of its answer: as long as the
// longest timeout of a webhook.
const forwardTimeout = 30 * time.Second

func newForwarder(target *url.URL) *forwarder {
	return &forwarder{target: target, transport: &http.Transport{
		DisableCompression: true, // the answer is passed on as it is
		IdleConnTimeout:    time.Minute,
	}}
}

// pass sends the request, with the body that was read of it, and writes the other side's answer to
// w, or 502 if there is none. It calls answer first. The query is that of the request, as it is
// what is signed and read for GET; without one it is the URL's own.
func (f *forwarder) pass(w http.ResponseWriter, r *http.Request, body []byte, answer func(status int, note string)) {
	ctx, cancel := context.WithTimeout(r.Context(), forwardTimeout)
	defer cancel()
	to := f.target.Redacted()
	proxy := httputil.ReverseProxy{
		Transport: f.transport,
		ErrorLog:  log.New(io.Discard, "", 0), // an answer that breaks off breaks off for the client, too
		Rewrite: func(p *httputil.ProxyRequest) {
			target := *f.target
			if p.In.URL.RawQuery != "" {
				target.RawQuery = p.In.URL.RawQuery
			}
			p.Out.URL = &target
			p.Out.Host = ""
			p.Out.Header.Del("Connection") // no other protocol than the one that was verified
			p.Out.Header.Del("Upgrade")
		},
		ModifyResponse: func(response *http.Response) error {
			answer(response.StatusCode, "by "+to)
			return nil
		},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
			if r.Context().Err() != nil {
				answer(0, "the client gave up")
				panic(http.ErrAbortHandler)
			}
			if errors.Is(err, context.DeadlineExceeded) {
				err = fmt.Errorf("no answer within %v", forwardTimeout)
			}
			answer(http.StatusBadGateway, fmt.Sprintf("forward to %s: %v", to, err))
			http.Error(w, "no answer from "+to, http.StatusBadGateway)
		},
	}
	out := r.WithContext(ctx)
	out.Body = io.NopCloser(bytes.NewReader(body))
	out.ContentLength = int64(len(body)) // it may have come in chunks
	out.TransferEncoding = nil
	proxy.ServeHTTP(w, out)
}
