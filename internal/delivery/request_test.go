package delivery

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/internal/storetest"
)

// signedGet is signedEnvelope as the query of a GET.
const signedGet = `event=calendar.updated&request_id=9b1f6f0e-6f0a-4c8e-9d55-0c0f6a3f3b11&trace_id=2c1d7a52-53a6-4f5c-8f43-7f6f7b0d9e21` +
	`&data%5Bid%5D=2&data%5Bname%5D=%C3%9Cbungen%20%2F%20%22Ops%22&data%5Bcolor%5D=%232563eb` +
	`&data%5Bcreated_at%5D=2026-01-01T00%3A00%3A00.000000Z&data%5Bupdated_at%5D=2026-01-14T12%3A00%3A00.000000Z&data%5Blabel%5D=Calendar%3A%202` +
	`&changes%5Bname%5D=%C3%9Cbungen%20%2F%20%22Ops%22&changes%5Bupdated_at%5D=2026-01-14%2012%3A00%3A00`

// requestTime is when the requests of these tests are made.
var requestTime = time.Date(2026, 1, 14, 12, 0, 5, 999999999, time.UTC)

// requestHook returns a webhook with signSecret, which set may change.
func requestHook(method, url string, set func(*bugle.Webhook)) *bugle.Webhook {
	w := bugle.NewWebhook()
	w.Method, w.URL, w.Secret = method, url, signSecret
	if set != nil {
		set(&w)
	}
	return &w
}

// newRequest is NewRequest for delivery 31 at requestTime.
func newRequest(t testing.TB, w *bugle.Webhook, envelope string) *Request {
	t.Helper()
	r, err := NewRequest(w, 31, storetest.Body(t, w, []byte(envelope)), requestTime, "Bugle/1")
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// canonical returns the header as a Go server sees it.
func canonical(h http.Header) http.Header {
	seen := http.Header{}
	for name, values := range h {
		seen[http.CanonicalHeaderKey(name)] = values
	}
	return seen
}

func TestNewRequest_post(t *testing.T) {
	for _, test := range []struct{ envelope, signature string }{
		{signedEnvelope, "916122b9ba899fbbc4f3da0e1ce574598cb7c3267e2668ab95707442987270fa"},
		{signedUnchanged, "dfad924445b84ad53ec5821d55f841233e754808e4b2b3c419e2e3420281027e"},
		{signedTest, "2d1757d9e8cc20a62524dd8a808e732938914611af1e21dbdf028df6feaa4c9a"},
	} {
		const target = "https://example.com/a%2Fb?own=query"
		r := newRequest(t, requestHook("post", target, func(w *bugle.Webhook) { w.TimeoutSeconds = 7 }), test.envelope)
		if r.Method != "POST" || r.URL != target || string(r.Body) != test.envelope || r.Timeout != 7*time.Second {
			t.Errorf("made %s %s with %s within %v", r.Method, r.URL, r.Body, r.Timeout)
		}
		want := http.Header{
			"User-Agent": {"Bugle/1"}, "Content-Type": {"application/json"}, "Signature": {test.signature}, "webhook-id": {"msg_31"},
			"webhook-timestamp": {strconv.FormatInt(requestTime.Unix(), 10)},
			"webhook-signature": {StandardSignature(signSecret, "msg_31", requestTime.Unix(), []byte(test.envelope))},
		}
		if !maps.EqualFunc(r.Header, want, slices.Equal) {
			t.Errorf("header is\n%q, want\n%q", r.Header, want)
		}
	}
}

func TestNewRequest_get(t *testing.T) {
	unchanged, _, _ := strings.Cut(signedGet, "&changes")
	for _, test := range []struct{ name, url, envelope, want, signature string }{
		{"vector", "https://example.com/hook", signedEnvelope, "https://example.com/hook?" + signedGet,
			"916122b9ba899fbbc4f3da0e1ce574598cb7c3267e2668ab95707442987270fa"},
		{"without changes", "https://example.com/hook", signedUnchanged, "https://example.com/hook?" + unchanged,
			"dfad924445b84ad53ec5821d55f841233e754808e4b2b3c419e2e3420281027e"},
		{"own query is replaced", "https://example.com/a%2Fb/%C3%BC?token=own&x[]=1", signedEnvelope, "https://example.com/a%2Fb/%C3%BC?" + signedGet,
			"916122b9ba899fbbc4f3da0e1ce574598cb7c3267e2668ab95707442987270fa"},
		{"no path", "http://example.com:8080?", signedEnvelope, "http://example.com:8080?" + signedGet,
			"916122b9ba899fbbc4f3da0e1ce574598cb7c3267e2668ab95707442987270fa"},
		{"test event", "https://example.com/", signedTest,
			"https://example.com/?event=webhook.test&request_id=9b1f6f0e-6f0a-4c8e-9d55-0c0f6a3f3b11&trace_id=2c1d7a52-53a6-4f5c-8f43-7f6f7b0d9e21&data%5Bstatus%5D=ok",
			"2d1757d9e8cc20a62524dd8a808e732938914611af1e21dbdf028df6feaa4c9a"},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newRequest(t, requestHook("get", test.url, nil), test.envelope)
			if r.Method != "GET" || r.Body != nil {
				t.Errorf("made %s with body %q", r.Method, r.Body)
			}
			if r.URL != test.want {
				t.Errorf("URL is\n%s, want\n%s", r.URL, test.want)
			}
			if got := r.Header.Get("Signature"); got != test.signature {
				t.Errorf("Signature is %s, want that of the envelope, %s", got, test.signature)
			}
			if got := r.Header.Get("Content-Type"); got != "application/json" {
				t.Errorf("Content-Type is %q", got)
			}
		})
	}
}

// What a receiver checks with the library of Standard Webhooks: the body, or for GET the raw query.
func TestNewRequest_officialLibrary(t *testing.T) {
	for _, secret := range []string{signSecret, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "geheim äöü"} {
		for _, method := range []string{"post", "get"} {
			for _, envelope := range []string{signedEnvelope, signedUnchanged, signedTest} {
				r := newRequest(t, requestHook(method, "https://example.com/hook?own=1", func(w *bugle.Webhook) { w.Secret = secret }), envelope)
				content := string(r.Body)
				if method == "get" {
					u, err := url.Parse(r.URL)
					if err != nil {
						t.Fatal(err)
					}
					content = u.RawQuery
				}
				webhook := oracle(t, secret)
				if err := webhook.VerifyIgnoringTimestamp([]byte(content), canonical(r.Header)); err != nil {
					t.Errorf("%s with %q of %s: %v", method, secret, content, err)
				}
				if err := webhook.VerifyIgnoringTimestamp([]byte(content+" "), canonical(r.Header)); err == nil {
					t.Errorf("%s with %q: other content verifies", method, secret)
				}
			}
		}
	}
}

// While a secret is being replaced both sign, so that receivers may change over when they like.
func TestNewRequest_whileTheSecretIsReplaced(t *testing.T) {
	const oldSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	for _, method := range []string{"post", "get"} {
		for _, test := range []struct {
			name   string
			until  time.Time
			values int
		}{
			{"before the end", requestTime.Add(time.Nanosecond), 2},
			{"at the end", requestTime, 1},
			{"never replaced", time.Time{}, 1},
		} {
			r := newRequest(t, requestHook(method, "https://example.com/", func(w *bugle.Webhook) {
				w.OldSecret, w.OldSecretUntil = oldSecret, test.until
			}), signedEnvelope)
			content := []byte(signedEnvelope)
			if method == "get" {
				content = []byte(signedGet)
			}
			if got := len(strings.Split(canonical(r.Header).Get("webhook-signature"), " ")); got != test.values {
				t.Errorf("%s %s: webhook-signature has %d values, want %d", method, test.name, got, test.values)
			}
			if err := oracle(t, signSecret).VerifyIgnoringTimestamp(content, canonical(r.Header)); err != nil {
				t.Errorf("%s %s: with the new secret: %v", method, test.name, err)
			}
			if err := oracle(t, oldSecret).VerifyIgnoringTimestamp(content, canonical(r.Header)); (err == nil) != (test.values == 2) {
				t.Errorf("%s %s: with the old secret: %v", method, test.name, err)
			}
			if got, want := r.Header.Get("Signature"), Signature(signSecret, []byte(signedEnvelope)); got != want {
				t.Errorf("%s %s: Signature is %s, want that of the new secret, %s", method, test.name, got, want)
			}
		}
	}
}

func TestNewRequest_ownHeaders(t *testing.T) {
	r := newRequest(t, requestHook("post", "https://example.com/", func(w *bugle.Webhook) {
		w.Headers = []bugle.Header{{Name: "x-api-KEY", Value: "geheim"}, {Name: "user-agent", Value: "Own/2"}, {Name: "Accept", Value: "*/*"}}
	}), signedTest)
	for name, want := range map[string]string{"X-Api-Key": "geheim", "User-Agent": "Own/2", "Accept": "*/*", "Content-Type": "application/json"} {
		if got := r.Header[name]; !slices.Equal(got, []string{want}) {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if len(r.Header) != 8 {
		t.Errorf("header is %q", r.Header)
	}
}

func TestNewRequest_unreadable(t *testing.T) {
	for _, test := range []struct{ url, envelope string }{{"https://example.com/", `{"event":`}, {"https://exa mple.com/%zz", signedTest}} {
		w := requestHook("get", test.url, nil)
		if r, err := NewRequest(w, 1, storetest.Body(t, w, []byte(test.envelope)), requestTime, "Bugle"); err == nil {
			t.Errorf("GET %s with %s becomes %+v", test.url, test.envelope, r)
		}
	}
}
