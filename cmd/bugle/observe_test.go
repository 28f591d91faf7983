package main

import (
	"bytes"
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"
)

// get returns the status and the text of an answer.
func get(t *testing.T, url string) (int, string) {
	t.Helper()
	answer, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(text)
}

// What the server did is in its metrics, without a key and without the names of anybody's things.
func TestServe_metrics(t *testing.T) {
	target := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer target.Close()
	database, key := newDatabase(t)
	server := startServer(t, database)
	server.mustCall(t, key, "POST", "/v2/webhooks", `{"name":"hook","url":"`+target.URL+`","events":["user.created"]}`, 201)
	server.mustCall(t, key, "POST", "/v2/users", `{"name":"Jane Roe","email":"jane@example.com"}`, 201)
	server.mustCall(t, key, "GET", "/v2/users/1", "", 200)
	server.mustCall(t, key, "GET", "/v2/nothing/of/the/sort", "", 404)
	get(t, server.url+"/login")
	for _, line := range []string{
		`bugle_attempts_total{error_kind="none",state="delivered"} 1`,
		`bugle_delivery_latency_seconds_count{attempt="first"} 1`,
		`bugle_events_total 1`,
		`bugle_http_requests_total{code="201",method="POST",route="/v2/users"} 1`,
		`bugle_http_requests_total{code="200",method="GET",route="/v2/users/{id}"} 1`,
		`bugle_http_requests_total{code="404",method="GET",route="none"} 1`,
		`bugle_http_requests_total{code="200",method="GET",route="/login"} 1`,
		`bugle_ready{check="engine"} 1`,
		`bugle_ready{check="disk"} 1`,
		`bugle_ready{check="secrets"} 1`,
		`bugle_lanes 1`,
	} {
		text := ""
		waitFor(t, line, func() bool {
			_, text = get(t, server.url+"/metrics")
			return strings.Contains(text, "\n"+line+"\n")
		})
		for _, private := range []string{"hook\"", "Jane", target.URL} {
			if strings.Contains(text, private) {
				t.Errorf("the metrics show %s", private)
			}
		}
	}
	if status, text := get(t, server.url+"/readyz"); status != 200 || strings.TrimSpace(text) != `{"status":"ok"}` {
		t.Errorf("/readyz answers %d %s", status, text)
	}
}

// The collector learns of the request and of the attempt, as parts of one trace, and the receiver can add to it: the trace
// has the id that the event has, and the body is as it always is.
func TestServe_traces(t *testing.T) {
	var mu sync.Mutex
	var collected []byte
	collector := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		mu.Lock()
		defer mu.Unlock()
		collected = append(collected, body...)
	}))
	defer collector.Close()
	type request struct {
		header http.Header
		body   string
	}
	got := make(chan request, 10)
	target := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got <- request{r.Header.Clone(), string(body)}
	}))
	defer target.Close()
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.URL)
	t.Setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
	database, key := newDatabase(t)
	server := startServer(t, database, "--node", "node-7")
	server.mustCall(t, key, "POST", "/v2/webhooks", `{"name":"hook","url":"`+target.URL+`","events":["user.created"]}`, 201)
	server.mustCall(t, key, "POST", "/v2/users", `{"name":"Jane Roe","email":"jane@example.com"}`, 201)
	r := <-got
	id := regexp.MustCompile(`"trace_id":"([0-9a-f-]{36})"`).FindStringSubmatch(r.body)
	if id == nil {
		t.Fatalf("the body is %s", r.body)
	}
	trace := strings.ReplaceAll(id[1], "-", "")
	parent := r.header.Get("traceparent")
	if !regexp.MustCompile(`^00-` + trace + `-[0-9a-f]{16}-01$`).MatchString(parent) {
		t.Fatalf("traceparent is %q, want the trace %s", parent, trace)
	}
	raw := func(text string) []byte {
		b, err := hex.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	for _, part := range [][]byte{[]byte("POST /v2/users"), []byte("change"), []byte("user.created"), []byte("deliver"), raw(trace), raw(strings.Split(parent, "-")[2]), []byte("node-7")} {
		waitFor(t, "the collector gets "+string(part), func() bool {
			mu.Lock()
			defer mu.Unlock()
			return bytes.Contains(collected, part)
		})
	}
	// What a channel sends is a part of the trace too, but the service is not told.
	server.mustCall(t, key, "PUT", "/v2/channels/slack", `{"settings":{"url":"`+target.URL+`/slack"}}`, 200)
	message, err := http.NewRequest("POST", server.url+"/v2/messages", strings.NewReader(`{"message":"Hello","channels":["slack"]}`))
	if err != nil {
		t.Fatal(err)
	}
	callers := "4bf92f3577b34da6a3ce929d0e0e4736"
	message.Header.Set("Authorization", "Bearer "+key)
	message.Header.Set("traceparent", "00-"+callers+"-00f067aa0ba902b7-01")
	answer, err := http.DefaultClient.Do(message)
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if id := answer.Header.Get("X-Perscom-Trace-Id"); answer.StatusCode != 201 || strings.ReplaceAll(id, "-", "") != callers {
		t.Errorf("status %d, the trace is %s", answer.StatusCode, id)
	}
	if r := <-got; r.header.Get("traceparent") != "" || strings.Contains(r.body, "trace_id") {
		t.Errorf("the service got %v %s", r.header, r.body)
	}
	for _, part := range [][]byte{raw(callers), []byte("bugle.channel"), []byte("slack")} {
		waitFor(t, "the collector gets "+string(part), func() bool {
			mu.Lock()
			defer mu.Unlock()
			return bytes.Contains(collected, part)
		})
	}
	// A webhook that sets the header itself keeps it.
	server.mustCall(t, key, "PATCH", "/v2/webhooks/1", `{"headers":{"traceparent":"mine"}}`, 200)
	server.mustCall(t, key, "POST", "/v2/webhooks/1/test", `{"payload":{}}`, 202)
	if r := <-got; len(r.header.Values("traceparent")) != 1 || r.header.Get("traceparent") != "mine" {
		t.Errorf("traceparent is %q", r.header.Values("traceparent"))
	}
	server.stop(t)
	if !strings.Contains(server.log.String(), "node=node-7") {
		t.Errorf("the log does not name the node:\n%s", server.log)
	}
}

// A collector that is denied gets nothing, and the log says so; deliveries go on.
func TestServe_tracesToADeniedHost(t *testing.T) {
	collector := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the collector was called") }))
	defer collector.Close()
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", strings.Replace(collector.URL, "127.0.0.1", "localhost", 1))
	t.Setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
	database, key := newDatabase(t)
	server := startServer(t, database, "--deny-target", "localhost")
	server.mustCall(t, key, "POST", "/v2/users", `{"name":"Jane Roe","email":"jane@example.com"}`, 201)
	waitFor(t, "the log says so", func() bool {
		return strings.Contains(server.log.String(), "traces cannot be sent") && strings.Contains(server.log.String(), "denied by --deny-target")
	})
}

func TestServe_profiles(t *testing.T) {
	database, _ := newDatabase(t)
	server := startServer(t, database, "--pprof", "127.0.0.1:0")
	link := regexp.MustCompile(`profiles are served" url=(\S+)`).FindStringSubmatch(server.log.String())
	if link == nil {
		t.Fatalf("the log does not say where:\n%s", server.log)
	}
	for path, want := range map[string]string{"": "Types of profiles", "goroutine?debug=1": "goroutine profile", "cmdline": "bugle\n"} {
		if status, text := get(t, link[1]+path); status != 200 || !strings.Contains(text, want) || strings.Contains(text, database) {
			t.Errorf("%s: status %d\n%.300s", path, status, text)
		}
	}
	if status, _ := get(t, server.url+"/debug/pprof/"); status != 404 {
		t.Errorf("the server itself answers %d for profiles", status)
	}
	server.stop(t)
}

func TestServe_refusesObservation(t *testing.T) {
	for _, test := range []struct{ args, environment, want string }{
		{"--pprof=6060", "", `--pprof is "6060", want an address and port`},
		{"--pprof=0.0.0.0:6060", "", `--pprof is "0.0.0.0:6060", which others can reach`},
		{"--pprof=:6060", "", "which others can reach"},
		{"--pprof=bugle.example.com:6060", "", "which others can reach"},
		{"--pprof=192.0.2.1:6060 --pprof-remote", "", "listen for profiles on 192.0.2.1:6060"}, // which is taken, but is not this machine's
		{"--node=a\tb", "", "--node must be a name without spaces"},
		{"", "OTEL_TRACES_EXPORTER=zipkin", `OTEL_TRACES_EXPORTER is "zipkin"`},
		{"", "OTEL_TRACES_EXPORTER=otlp OTEL_EXPORTER_OTLP_CERTIFICATE=/no/such/file", "OTEL_EXPORTER_OTLP_CERTIFICATE: open /no/such/file"},
		{"", "OTEL_TRACES_EXPORTER=otlp OTEL_EXPORTER_OTLP_CERTIFICATE=/dev/null", "OTEL_EXPORTER_OTLP_CERTIFICATE is /dev/null, which has no certificate"},
		{"", "OTEL_TRACES_EXPORTER=otlp OTEL_RESOURCE_ATTRIBUTES=x", "OTEL_RESOURCE_ATTRIBUTES"},
	} {
		t.Run(test.args+test.environment, func(t *testing.T) {
			for pair := range strings.FieldsSeq(test.environment) {
				name, v, _ := strings.Cut(pair, "=")
				t.Setenv(name, v)
			}
			args := []string{"serve", "--listen", "127.0.0.1:0", "--database", "sqlite:" + t.TempDir() + "/b.db"}
			for arg := range strings.SplitSeq(test.args, " ") {
				if arg != "" {
					args = append(args, arg)
				}
			}
			if status, _, stderr := runBugle(t, "", args...); status == 0 || !strings.Contains(stderr, test.want) {
				t.Errorf("status %d, stderr %q, want %q", status, stderr, test.want)
			}
		})
	}
}
