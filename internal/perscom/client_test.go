package perscom_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jonboulle/clockwork"

	"github.com/buglehq/bugle/internal/perscom"
	"github.com/buglehq/bugle/internal/storetest"
)

func TestNew_addresses(t *testing.T) {
	for from, want := range map[string]string{
		"https://api.perscom.io":           "https://api.perscom.io",
		"https://api.perscom.io/v2/":       "https://api.perscom.io",
		"https://API.perscom.io/v1":        "https://api.perscom.io",
		"http://127.0.0.1:8080/v2":         "http://127.0.0.1:8080",
		"https://example.com/perscom/v2":   "https://example.com/perscom",
		"http://[::1]:8080":                "http://[::1]:8080",
		"":                                 "",
		"api.perscom.io":                   "",
		"ftp://api.perscom.io":             "",
		"https://jane:secret@example.com/": "",
		"https://example.com/?page=2":      "",
	} {
		c, err := perscom.New(from, perscom.Options{Key: "key"})
		if err != nil {
			if want != "" || strings.Contains(err.Error(), "secret") {
				t.Errorf("%q: %v, want %q", from, err, want)
			}
			continue
		}
		if got := c.Source(); got != want {
			t.Errorf("%q is the source %q, want %q", from, got, want)
		}
		c.Close()
	}
	for _, key := range []string{"", " ", "a\r\nb"} {
		if _, err := perscom.New("https://api.perscom.io", perscom.Options{Key: key}); err == nil {
			t.Errorf("%q passes for a key", key)
		}
	}
}

// source is a server that answers as the test says, and counts.
func source(t *testing.T, answer func(w http.ResponseWriter, r *http.Request, n int64)) (url string, asked *atomic.Int64) {
	t.Helper()
	asked = &atomic.Int64{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { answer(w, r, asked.Add(1)) }))
	t.Cleanup(server.Close)
	return server.URL, asked
}

// check asks a source for one thing, in the background.
func check(t *testing.T, url string, o perscom.Options) <-chan error {
	t.Helper()
	o.Key, o.UserAgent = "the-key", "Bugle/test"
	client, err := perscom.New(url, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	done := make(chan error, 1)
	go func() { done <- (&perscom.Copy{Source: client}).Check(t.Context()) }()
	return done
}

func TestClient_waitsAsItIsTold(t *testing.T) {
	for _, header := range []struct{ name, value string }{
		{"Retry-After", "7"},
		{"Retry-After", storetest.Start.Add(7 * time.Second).Truncate(time.Second).Add(time.Second).Format(http.TimeFormat)},
		{"X-RateLimit-Reset", fmt.Sprint(storetest.Start.Unix() + 8)},
	} {
		clock := clockwork.NewFakeClockAt(storetest.Start)
		url, asked := source(t, func(w http.ResponseWriter, _ *http.Request, n int64) {
			if n == 1 {
				w.Header().Set(header.name, header.value)
				w.WriteHeader(http.StatusTooManyRequests)
				return
			}
			fmt.Fprint(w, `{"data":[]}`)
		})
		waits := make(chan time.Duration, 10)
		done := check(t, url, perscom.Options{Clock: clock, Waiting: func(d time.Duration, _ string) { waits <- d }})
		if err := clock.BlockUntilContext(t.Context(), 1); err != nil {
			t.Fatal(err)
		}
		if d := <-waits; d < 7*time.Second || d > 8*time.Second {
			t.Errorf("%v: it waits %v", header, d)
		}
		clock.Advance(6 * time.Second)
		if n := asked.Load(); n != 1 {
			t.Errorf("%v: it asked %d times before it should", header, n)
		}
		clock.Advance(2 * time.Second)
		if err := <-done; err != nil || asked.Load() != 2 {
			t.Errorf("%v: %v, after %d requests", header, err, asked.Load())
		}
	}
}

// run moves the clock whenever somebody waits.
func run(t *testing.T, clock *clockwork.FakeClock) {
	ctx, stop := context.WithCancel(t.Context())
	t.Cleanup(stop)
	go func() {
		for clock.BlockUntilContext(ctx, 1) == nil {
			clock.Advance(perscomWait)
		}
	}()
}

func TestClient_triesAgain(t *testing.T) {
	broken := func(w http.ResponseWriter) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err == nil {
			conn.Close()
		}
	}
	for _, test := range []struct {
		name   string
		answer func(w http.ResponseWriter, n int64)
		asked  int64
		want   string // in the error; empty: none
	}{
		{"503 twice", func(w http.ResponseWriter, n int64) {
			if n < 3 {
				w.WriteHeader(http.StatusServiceUnavailable)
			} else {
				fmt.Fprint(w, `{"data":[]}`)
			}
		}, 3, ""},
		{"always 500", func(w http.ResponseWriter, _ int64) {
			w.WriteHeader(http.StatusInternalServerError)
			fmt.Fprint(w, `{"error":{"message":"Something went\nwrong."}}`)
		}, 5, "GET /v2/me: answered 500 Internal Server Error: Something went wrong."},
		{"a connection that breaks", func(w http.ResponseWriter, n int64) {
			if n < 5 {
				broken(w)
			} else {
				fmt.Fprint(w, `{"data":[]}`)
			}
		}, 5, ""},
		{"401", func(w http.ResponseWriter, _ int64) {
			w.WriteHeader(http.StatusUnauthorized)
			fmt.Fprint(w, `{"error":{"message":"Unauthenticated."}}`)
		}, 1, "the source does not accept the key, or not for this organization: GET /v2/me: answered 401 Unauthorized: Unauthenticated."},
		{"a redirect", func(w http.ResponseWriter, _ int64) {
			w.Header().Set("Location", "https://elsewhere.example.com/")
			w.WriteHeader(http.StatusMovedPermanently)
		}, 1, "it points to https://elsewhere.example.com/"},
		{"a page", func(w http.ResponseWriter, _ int64) { fmt.Fprint(w, "<html>") }, 1, "no JSON object: is this the address of the API?"},
		{"no list", func(w http.ResponseWriter, _ int64) { fmt.Fprint(w, `{"data":{"id":1}}`) }, 1, "holds no list"},
	} {
		t.Run(test.name, func(t *testing.T) {
			url, asked := source(t, func(w http.ResponseWriter, r *http.Request, n int64) {
				if r.Header.Get("Authorization") != "Bearer the-key" || r.Header.Get("X-Perscom-Id") != "42" || r.Header.Get("Accept") != "application/json" {
					t.Errorf("the headers are %v", r.Header)
				}
				test.answer(w, n)
			})
			clock := clockwork.NewFakeClock()
			run(t, clock)
			err := <-check(t, url, perscom.Options{Clock: clock, PerscomID: "42"})
			switch {
			case test.want == "" && err != nil, test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)):
				t.Errorf("the error is %v, want %q", err, test.want)
			case err != nil && strings.Contains(err.Error(), "the-key"):
				t.Errorf("the error shows the key: %v", err)
			}
			if n := asked.Load(); n < test.asked {
				t.Errorf("it asked %d times, want %d", n, test.asked)
			}
		})
	}
}

// Files of other hosts are fetched only if those are public, or allowed, and never with the key.
func TestFile_ofAnotherHost(t *testing.T) {
	other, asked := source(t, func(w http.ResponseWriter, r *http.Request, _ int64) {
		if r.Header.Get("Authorization") != "" {
			t.Error("another host got the key")
		}
		w.Write(picture)
	})
	for _, allow := range []bool{false, true} {
		from, to := install(t), install(t)
		from.exec("INSERT INTO images (id, organization_id, name, filename, path) VALUES (1, 1, 'x', 'x.png', 'x.png')")
		from.before = func(w http.ResponseWriter, r *http.Request) bool {
			if r.URL.Path == "/v2/images" {
				fmt.Fprintf(w, `{"data":[{"id":1,"name":"x","filename":"x.png","path":"a/x.png","image_url":"%s/x.png"}],"meta":{"total":1}}`, other)
				return true
			}
			return false
		}
		o := perscom.Options{Key: from.key}
		if allow {
			o.Allow = []string{"127.0.0.1"}
		}
		client, err := perscom.New(from.url, o)
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		copying := &perscom.Copy{Source: client, Store: to.store, Files: to.files, OrganizationID: 1}
		result, err := copying.Run(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if text := fmt.Sprint(result.Problems); allow != result.Complete() || !allow && !strings.Contains(text, "is not public; the operator may allow it with --allow-target") {
			t.Errorf("allowed %v: the problems are %s", allow, text)
		}
		if n := asked.Load(); allow != (n == 1) || allow != (to.count("images") == 1) {
			t.Errorf("allowed %v: the other host was asked %d times, and there are %d images", allow, n, to.count("images"))
		}
	}
}
