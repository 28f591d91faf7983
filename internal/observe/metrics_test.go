package observe

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/jonboulle/clockwork"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/internal/delivery"
	"github.com/buglehq/bugle/internal/doctor"
	"github.com/buglehq/bugle/internal/store"
	"github.com/buglehq/bugle/internal/storetest"
	"github.com/buglehq/bugle/internal/tracing"
	"github.com/buglehq/bugle/personnel"
)

// newMetrics returns metrics that watch a server on an empty store.
func newMetrics(t *testing.T) (*Metrics, *store.Store, *doctor.Doctor) {
	t.Helper()
	var m *Metrics
	s, _ := storetest.NewWith(t, store.Options{OnCommit: func(c store.Commit) { m.Commit(c) }})
	guard, err := delivery.NewGuard(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	m = NewMetrics("v1.2.3", "sqlite", slog.New(slog.DiscardHandler))
	engine := delivery.NewEngine(s, delivery.NewClient(guard, delivery.ClientOptions{}), delivery.Options{})
	ready := NewReadiness(clockwork.NewRealClock(), slog.New(slog.DiscardHandler), append(DatabaseChecks(s), EngineCheck(engine, s))...)
	examiner := doctor.New(s, doctor.Options{})
	m.Watch(Watched{Store: s, Engine: engine, Ready: ready, Doctor: examiner, Folders: map[string]string{"storage": t.TempDir()}})
	return m, s, examiner
}

// scrape returns the text of the metrics.
func scrape(t *testing.T, m *Metrics) string {
	t.Helper()
	w := httptest.NewRecorder()
	m.ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	if w.Code != 200 {
		t.Fatalf("status %d: %s", w.Code, w.Body)
	}
	return w.Body.String()
}

func wantLines(t *testing.T, text string, want ...string) {
	t.Helper()
	for _, line := range want {
		if !strings.Contains("\n"+text, "\n"+line+"\n") {
			name, _, _ := strings.Cut(line, "{")
			var near []string
			for _, l := range strings.Split(text, "\n") {
				if strings.HasPrefix(l, name) {
					near = append(near, l)
				}
			}
			t.Errorf("there is no line %s; there are\n%s", line, strings.Join(near, "\n"))
		}
	}
}

func envelope(t *testing.T, created time.Time) []byte {
	t.Helper()
	text, err := bugle.Envelope{Event: "user.created", Created: created, RequestID: storetest.Actor().RequestID, TraceID: storetest.Actor().TraceID}.JSON()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestMetrics_attempts(t *testing.T) {
	m, _, _ := newMetrics(t)
	now := storetest.Start
	ended := func(number, status int, kind bugle.ErrorKind, state bugle.DeliveryState, after time.Duration, again bool) {
		a := &bugle.Attempt{Number: number, Status: status, Took: 3 * time.Millisecond}
		if kind != "" {
			a.Error = &bugle.AttemptError{Kind: kind}
		}
		m.Attempt(delivery.AttemptReport{Webhook: &bugle.Webhook{ID: 7}, Attempt: a, Outcome: bugle.Outcome{State: state}, Envelope: envelope(t, now.Add(-after)), Redelivery: again}, now)
	}
	ended(1, 200, "", bugle.Delivered, 4*time.Millisecond, false)
	ended(1, 500, bugle.ErrorStatus, bugle.Pending, 0, false)
	ended(2, 200, "", bugle.Delivered, 20*time.Second, false)
	ended(9, 0, bugle.ErrorDNS, bugle.Failed, 0, false)
	ended(3, 200, "", bugle.Delivered, 1000*time.Hour, true)
	m.Attempt(delivery.AttemptReport{Attempt: &bugle.Attempt{Number: 1}, Outcome: bugle.Outcome{State: bugle.Delivered}, Envelope: []byte(`{"text":"Hello"}`)}, now) // by a channel
	wantLines(t, scrape(t, m),
		`bugle_attempts_total{error_kind="none",state="delivered"} 4`,
		`bugle_attempts_total{error_kind="status",state="pending"} 1`,
		`bugle_attempts_total{error_kind="dns",state="failed"} 1`,
		`bugle_deliveries_finished_total{state="delivered"} 4`,
		`bugle_deliveries_finished_total{state="failed"} 1`,
		`bugle_attempt_duration_seconds_bucket{le="0.0025"} 1`,
		`bugle_attempt_duration_seconds_bucket{le="0.005"} 6`,
		`bugle_delivery_latency_seconds_bucket{attempt="first",le="0.0025"} 0`,
		`bugle_delivery_latency_seconds_bucket{attempt="first",le="0.005"} 1`,
		`bugle_delivery_latency_seconds_count{attempt="first"} 1`,
		`bugle_delivery_latency_seconds_bucket{attempt="later",le="30"} 1`,
		`bugle_delivery_latency_seconds_count{attempt="later"} 1`,
	)
}

func TestMetrics_ofTheServer(t *testing.T) {
	m, s, _ := newMetrics(t)
	w := storetest.AddWebhook(t, s, "https://example.com", nil)
	storetest.Change(t, s, func(tx *store.Tx) error {
		_, err := tx.SendTest(storetest.Actor(), w.ID, nil)
		return err
	})
	m.Run(&bugle.Run{Status: bugle.RunExecuted})
	m.Run(&bugle.Run{Status: bugle.RunFailed, ErrorField: "webhook_payload_template.embeds.0.title"})
	m.Run(&bugle.Run{Status: bugle.RunFailed, ErrorField: "somebody's words"})
	m.Run(&bugle.Run{Status: bugle.RunFailed})
	for _, route := range []string{"/v2/users/{id}", "/webhooks/{id}", "/storage/{path...}", "/readyz", ""} {
		m.Request(tracing.Answer{Route: route, Method: "GET", Status: 200, Took: time.Millisecond})
	}
	text := scrape(t, m)
	wantLines(t, text,
		`bugle_automation_runs_total{status="executed"} 1`,
		`bugle_automation_runs_total{status="failed"} 3`,
		`bugle_automation_runs_total{status="loop_stopped"} 0`,
		`bugle_automation_failures_total{part="webhook_payload_template"} 1`,
		`bugle_automation_failures_total{part="other"} 2`,
		`bugle_http_requests_total{code="200",method="GET",route="/v2/users/{id}"} 1`,
		`bugle_http_requests_total{code="200",method="GET",route="none"} 1`,
		`bugle_http_request_duration_seconds_count{area="api"} 1`,
		`bugle_http_request_duration_seconds_count{area="panel"} 1`,
		`bugle_http_request_duration_seconds_count{area="files"} 1`,
		`bugle_http_request_duration_seconds_count{area="server"} 1`,
		`bugle_http_request_duration_seconds_count{area="other"} 1`,
		`bugle_events_total 1`,
		`bugle_commit_jobs_count{kind="changes"} 2`,
		`bugle_deliveries_pending{state="due"} 1`,
		`bugle_deliveries_pending{state="retrying"} 0`,
		`bugle_oldest_due_age_seconds{receiver="failing"} 0`,
		`bugle_ready{check="database"} 1`,
		`bugle_ready{check="writes"} 1`,
		`bugle_ready{check="engine"} 0`, // it was not started
		`bugle_lanes 0`,
		`bugle_metrics_failures_total 0`,
	)
	for _, name := range []string{"bugle_database_bytes", "bugle_database_wal_bytes", `bugle_disk_free_bytes{folder="storage"}`, "go_goroutines", "process_resident_memory_bytes",
		`bugle_build_info{database="sqlite",go_version="go`} {
		if !strings.Contains(text, "\n"+name) {
			t.Errorf("there is no %s", name)
		}
	}
}

// What the last proof has found is there once there was one.
func TestMetrics_proof(t *testing.T) {
	m, s, examiner := newMetrics(t)
	if text := scrape(t, m); strings.Contains(text, "bugle_proof_faults ") {
		t.Error("before the first proof there are figures of one")
	}
	prove := func() {
		t.Helper()
		if err := examiner.Examine(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	prove()
	text := scrape(t, m)
	wantLines(t, text, "bugle_proof_faults 0")
	if ended := fmt.Sprintf("\nbugle_proof_timestamp_seconds %v", float64(storetest.Start.Unix())/1e9); !strings.Contains(text, ended) {
		t.Errorf("there is no line %s", ended)
	}
	storetest.AddWebhook(t, s, "https://example.com", nil)
	storetest.Create(t, s, &personnel.Calendar, "name", "Training", "color", "#123456")
	storetest.Change(t, s, func(tx *store.Tx) error {
		rows, err := tx.QueryContext(t.Context(), "UPDATE deliveries SET attempts = 3 RETURNING id")
		if err != nil {
			return err
		}
		rows.Next()
		return errors.Join(rows.Err(), rows.Close())
	})
	prove()
	wantLines(t, scrape(t, m), "bugle_proof_faults 1")
}

// The database is asked now and then, however often the metrics are.
func TestMetrics_databaseIsAskedSeldom(t *testing.T) {
	m, s, _ := newMetrics(t)
	wantLines(t, scrape(t, m), `bugle_deliveries_pending{state="due"} 0`)
	w := storetest.AddWebhook(t, s, "https://example.com", nil)
	storetest.Change(t, s, func(tx *store.Tx) error {
		_, err := tx.SendTest(storetest.Actor(), w.ID, nil)
		return err
	})
	wantLines(t, scrape(t, m), `bugle_deliveries_pending{state="due"} 0`)
}

// A database that is gone leaves its figures out, and all others in.
func TestMetrics_databaseIsGone(t *testing.T) {
	m, s, _ := newMetrics(t)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	text := scrape(t, m)
	if strings.Contains(text, "\nbugle_deliveries_pending") {
		t.Error("a closed database knows what is owed")
	}
	wantLines(t, text, `bugle_ready{check="database"} 0`, `bugle_results_waiting 0`)
	if text := scrape(t, m); strings.Contains(text, "\nbugle_metrics_failures_total 0\n") {
		t.Error("nobody counts that figures could not be read")
	}
}

func TestMetrics_tooManyScrapes(t *testing.T) {
	m, _, _ := newMetrics(t)
	for range maxScrapes {
		m.scrapes <- struct{}{}
	}
	w := httptest.NewRecorder()
	m.ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	if w.Code != 503 {
		t.Errorf("status %d, want 503", w.Code)
	}
}

// Names and texts follow Prometheus's conventions.
func TestMetrics_lint(t *testing.T) {
	m, _, _ := newMetrics(t)
	problems, err := testutil.GatherAndLint(m.registry)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		if strings.HasPrefix(p.Metric, "bugle_") {
			t.Errorf("%s: %s", p.Metric, p.Text)
		}
	}
	if bad, err := promlint.New(strings.NewReader("# TYPE camelCase counter\ncamelCase 1\n")).Lint(); err != nil || len(bad) == 0 {
		t.Errorf("the linter finds nothing: %v", err)
	}
}

// What an attempt adds to the cost of a delivery, which is some 40 µs.
func BenchmarkMetrics_Attempt(b *testing.B) {
	m := NewMetrics("", "", slog.New(slog.DiscardHandler))
	text, err := bugle.Envelope{Event: "user.created", Created: storetest.Start, RequestID: storetest.Actor().RequestID, TraceID: storetest.Actor().TraceID}.JSON()
	if err != nil {
		b.Fatal(err)
	}
	r := delivery.AttemptReport{Attempt: &bugle.Attempt{Number: 1, Took: time.Millisecond}, Outcome: bugle.Outcome{State: bugle.Delivered}, Envelope: text}
	for b.Loop() {
		m.Attempt(r, storetest.Start)
	}
}
