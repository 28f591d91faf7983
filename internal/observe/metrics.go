// Package observe shows operators what a server does: metrics for Prometheus, and whether it is ready.
package observe

import (
	"context"
	"log/slog"
	"net/http"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/internal/delivery"
	"github.com/buglehq/bugle/internal/doctor"
	"github.com/buglehq/bugle/internal/store"
	"github.com/buglehq/bugle/internal/tracing"
)

// Metrics are what is counted and measured. No label has a value of a webhook's, an automation's or an organization's, so
// there are as many series with a thousand organizations as with one.
type Metrics struct {
	registry *prometheus.Registry
	log      *slog.Logger

	attempts     *prometheus.CounterVec
	delivered    prometheus.Counter // of attempts: looked up once, since most are that
	took         prometheus.Observer
	finished     map[bugle.DeliveryState]prometheus.Counter
	latencyFirst prometheus.Observer
	latencyLater prometheus.Observer

	commits       [2]commitMetrics // of changes and of results
	events        prometheus.Counter
	runs          *prometheus.CounterVec
	failures      *prometheus.CounterVec
	requests      *prometheus.CounterVec
	requestsTook  *prometheus.HistogramVec
	scrapes       chan struct{} // a place for each that may be under way
	scrapeTrouble prometheus.Counter
}

type commitMetrics struct {
	took, jobs prometheus.Observer
	failures   prometheus.Counter
}

// maxScrapes is how many scrapes are answered at the same time.
const maxScrapes = 3

// NewMetrics returns metrics of which all are there, at zero, from the start.
func NewMetrics(version, database string, log *slog.Logger) *Metrics {
	m := &Metrics{registry: prometheus.NewRegistry(), log: log, scrapes: make(chan struct{}, maxScrapes)}
	counters := func(name, help string, labels ...string) *prometheus.CounterVec {
		v := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
		m.registry.MustRegister(v)
		return v
	}
	histograms := func(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
		v := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets}, labels)
		m.registry.MustRegister(v)
		return v
	}
	m.attempts = counters("bugle_attempts_total", "Attempts to deliver, by how the delivery stands after them and by the kind of the error.", "state", "error_kind")
	m.delivered = m.attempts.WithLabelValues(string(bugle.Delivered), "none")
	m.took = histograms("bugle_attempt_duration_seconds", "How long attempts took, from dialling to the last byte of the answer.", attemptBuckets).WithLabelValues()
	finished := counters("bugle_deliveries_finished_total", "Deliveries that attempts have ended, by state.", "state")
	m.finished = map[bugle.DeliveryState]prometheus.Counter{}
	for _, state := range []bugle.DeliveryState{bugle.Delivered, bugle.Failed} {
		m.finished[state] = finished.WithLabelValues(string(state))
	}
	latency := histograms("bugle_delivery_latency_seconds",
		"From the event to the answer that delivered it, by whether it was the first attempt's. Without what somebody had sent again.", latencyBuckets, "attempt")
	m.latencyFirst, m.latencyLater = latency.WithLabelValues("first"), latency.WithLabelValues("later")

	commitTook := histograms("bugle_commit_duration_seconds", "How long transactions of the writer took, its commit to the disk included.", commitBuckets, "kind")
	commitJobs := histograms("bugle_commit_jobs", "How many changes, or batches of results, shared a commit.", jobBuckets, "kind")
	commitFailures := counters("bugle_commit_failures_total", "Commits that failed.", "kind")
	for i, kind := range []string{"changes", "results"} {
		m.commits[i] = commitMetrics{commitTook.WithLabelValues(kind), commitJobs.WithLabelValues(kind), commitFailures.WithLabelValues(kind)}
	}
	m.events = counters("bugle_events_total", "Events that were written.").WithLabelValues()

	m.runs = counters("bugle_automation_runs_total", "Automation runs that ended, by status.", "status")
	for _, status := range bugle.RunStatuses {
		if status != bugle.RunPending {
			m.runs.WithLabelValues(string(status))
		}
	}
	m.failures = counters("bugle_automation_failures_total", "Automation runs that failed, by the part of the automation: its templates, conditions, and what it refers to.", "part")
	for _, part := range append(automationParts, "other") {
		m.failures.WithLabelValues(part)
	}
	m.requests = counters("bugle_http_requests_total", "Requests that were answered, by the pattern of their path.", "method", "route", "code")
	m.requestsTook = histograms("bugle_http_request_duration_seconds", "How long requests took, by what answered them.", requestBuckets, "area")
	for _, area := range []string{"api", "panel", "files", "server", "other"} {
		m.requestsTook.WithLabelValues(area)
	}
	m.scrapeTrouble = counters("bugle_metrics_failures_total", "Times that a figure could not be read for the metrics.").WithLabelValues()
	build := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "bugle_build_info", Help: "Always 1: what runs, and on which database."}, []string{"version", "go_version", "database"})
	build.WithLabelValues(version, runtime.Version(), database).Set(1)
	m.registry.MustRegister(build, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

var (
	attemptBuckets = []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30}
	latencyBuckets = []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 5, 30, 120, 600, 3600, 14400, 86400}
	commitBuckets  = []float64{.00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 5}
	jobBuckets     = []float64{1, 2, 4, 8, 16, 32, 64, 128, 256}
	requestBuckets = []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 10, 60}
)

// Attempt counts an attempt that ended, at a time.
func (m *Metrics) Attempt(r delivery.AttemptReport, now time.Time) {
	state := r.Outcome.State
	if state == bugle.Delivered {
		m.delivered.Inc()
	} else {
		kind := "none"
		if r.Attempt.Error != nil {
			kind = string(r.Attempt.Error.Kind)
		}
		m.attempts.WithLabelValues(string(state), kind).Inc()
	}
	m.took.Observe(r.Attempt.Took.Seconds())
	if c := m.finished[state]; c != nil {
		c.Inc()
	}
	if state != bugle.Delivered || r.Redelivery {
		return
	}
	origin, ok := bugle.ReadOrigin(r.Envelope)
	switch {
	case !ok: // what a channel sends says no time
	case r.Attempt.Number == 1:
		m.latencyFirst.Observe(max(now.Sub(origin.Created), 0).Seconds())
	default:
		m.latencyLater.Observe(max(now.Sub(origin.Created), 0).Seconds())
	}
}

// Commit counts a transaction of the writer.
func (m *Metrics) Commit(c store.Commit) {
	kind := &m.commits[0]
	if c.Results {
		kind = &m.commits[1]
	}
	if c.Err != nil {
		kind.failures.Inc()
		return
	}
	kind.took.Observe(c.Took.Seconds())
	kind.jobs.Observe(float64(c.Jobs))
	m.events.Add(float64(c.Events))
}

// automationParts are the parts of an automation that can fail.
var automationParts = []string{"condition", "webhook_id", "webhook_payload_template", "message_content", "message_recipients_expression",
	"model_update_target", "model_update_lookup_expression", "model_update_lookup_conditions", "model_update_fields"}

// Run counts an automation run that ended.
func (m *Metrics) Run(r *bugle.Run) {
	m.runs.WithLabelValues(string(r.Status)).Inc()
	if r.Status != bugle.RunFailed {
		return
	}
	part, _, _ := strings.Cut(r.ErrorField, ".")
	if !slices.Contains(automationParts, part) {
		part = "other"
	}
	m.failures.WithLabelValues(part).Inc()
}

// Request counts a request that was answered.
func (m *Metrics) Request(a tracing.Answer) {
	route := a.Route
	if route == "" {
		route = "none"
	}
	m.requests.WithLabelValues(a.Method, route, strconv.Itoa(a.Status)).Inc()
	m.requestsTook.WithLabelValues(area(route)).Observe(a.Took.Seconds())
}

// area is what answers requests of a route.
func area(route string) string {
	switch {
	case route == "none":
		return "other"
	case strings.HasPrefix(route, "/v1/"), strings.HasPrefix(route, "/v2/"):
		return "api"
	case strings.HasPrefix(route, "/storage/"), strings.HasPrefix(route, "/assets/"):
		return "files"
	case route == "/health", route == "/readyz", route == "/metrics", route == "/spec.json", strings.HasPrefix(route, "/docs"):
		return "server"
	}
	return "panel"
}

// ServeHTTP answers GET /metrics.
func (m *Metrics) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	select {
	case m.scrapes <- struct{}{}:
		defer func() { <-m.scrapes }()
	default:
		http.Error(w, "metrics are being read too often", http.StatusServiceUnavailable)
		return
	}
	promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{ErrorLog: slog.NewLogLogger(m.log.Handler(), slog.LevelError)}).ServeHTTP(w, r)
}

// Watched are the parts of a server that figures are read from when somebody asks for the metrics.
type Watched struct {
	Store   *store.Store
	Engine  *delivery.Engine
	Ready   *Readiness
	Doctor  *doctor.Doctor    // nil: the server proves nothing
	Folders map[string]string // to write to, by what they are for
}

// Watch adds the figures that are read when somebody asks. Those of the database are read at most every ten seconds.
func (m *Metrics) Watch(w Watched) {
	m.registry.MustRegister(&watcher{Watched: w, metrics: m})
}

const (
	readEvery = 10 * time.Second // figures of the database
	readFor   = 5 * time.Second  // at most, before they are left out
)

// A watcher reads figures when it is asked for them.
type watcher struct {
	Watched
	metrics *Metrics

	mu   sync.Mutex
	read time.Time // when the figures of the database were read; zero: they were not
	owed store.Owed
	size *databaseSize // nil: could not be read
}

type databaseSize struct{ database, wal int64 }

var (
	lanesDesc      = prometheus.NewDesc("bugle_lanes", "Lanes in memory: webhooks and channels that were sent something since the start, or are owed something.", nil, nil)
	failingDesc    = prometheus.NewDesc("bugle_lanes_failing", "Lanes whose last attempts failed, but for those that have tripped.", nil, nil)
	trippedDesc    = prometheus.NewDesc("bugle_lanes_tripped", "Lanes of which so many attempts failed that one request at a time is sent.", nil, nil)
	pausedDesc     = prometheus.NewDesc("bugle_lanes_paused", "Lanes whose webhook is paused or disabled.", nil, nil)
	hangingDesc    = prometheus.NewDesc("bugle_lanes_hanging", "Lanes with deliveries that wait because receivers hold all slots, for more than a second.", nil, nil)
	queuedDesc     = prometheus.NewDesc("bugle_lane_deliveries", "Deliveries in memory that wait in their lanes; at most some hundreds of each.", nil, nil)
	inFlightDesc   = prometheus.NewDesc("bugle_attempts_in_flight", "Attempts under way.", nil, nil)
	resultsDesc    = prometheus.NewDesc("bugle_results_waiting", "Results of attempts that are not in the database yet.", nil, nil)
	pendingDesc    = prometheus.NewDesc("bugle_deliveries_pending", "Deliveries that are owed, in the whole database, counted up to 100000 each: due (those of paused webhooks too), or waiting for a retry.", []string{"state"}, nil)
	oldestDesc     = prometheus.NewDesc("bugle_oldest_due_age_seconds", "How long the oldest delivery has been due, in the whole database, by whether its receiver answers; without paused webhooks.", []string{"receiver"}, nil)
	databaseDesc   = prometheus.NewDesc("bugle_database_bytes", "Size of the database.", nil, nil)
	walDesc        = prometheus.NewDesc("bugle_database_wal_bytes", "Size of SQLite's log of writes (WAL); 0 with PostgreSQL.", nil, nil)
	freeDesc       = prometheus.NewDesc("bugle_disk_free_bytes", "Room on the disk of a folder.", []string{"folder"}, nil)
	readyDesc      = prometheus.NewDesc("bugle_ready", "Whether a check of /readyz passes.", []string{"check"}, nil)
	faultsDesc     = prometheus.NewDesc("bugle_proof_faults", "What is broken in the database, as this server's last proof that nothing is lost has found it.", nil, nil)
	provedDesc     = prometheus.NewDesc("bugle_proof_timestamp_seconds", "When this server's last proof ended, in seconds since 1970.", nil, nil)
	proofDesc      = prometheus.NewDesc("bugle_proof_duration_seconds", "How long this server's last proof took, with the time it left to others.", nil, nil)
	watchedMetrics = []*prometheus.Desc{lanesDesc, failingDesc, trippedDesc, pausedDesc, hangingDesc, queuedDesc, inFlightDesc, resultsDesc, pendingDesc,
		oldestDesc, databaseDesc, walDesc, freeDesc, readyDesc, faultsDesc, provedDesc, proofDesc}
)

// Describe and Collect make a watcher a prometheus.Collector.
func (w *watcher) Describe(to chan<- *prometheus.Desc) {
	for _, d := range watchedMetrics {
		to <- d
	}
}

func (w *watcher) Collect(to chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	s := w.Engine.Status()
	for d, n := range map[*prometheus.Desc]int{lanesDesc: s.Lanes, failingDesc: s.Failing, trippedDesc: s.Tripped, pausedDesc: s.Paused, hangingDesc: s.Hanging,
		queuedDesc: s.Queued, inFlightDesc: s.InFlight, resultsDesc: s.Results} {
		gauge(d, float64(n))
	}
	for name, folder := range w.Folders {
		if free, err := freeBytes(folder); err == nil {
			gauge(freeDesc, float64(free), name)
		} else {
			w.trouble("free room cannot be read", err)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), readFor)
	defer cancel()
	failed := map[string]bool{}
	for _, r := range w.Ready.Reasons(ctx) {
		failed[r.Check] = true
	}
	for _, c := range w.Ready.checks {
		v := 1.0
		if failed[c.Name] {
			v = 0
		}
		gauge(readyDesc, v, c.Name)
	}
	if w.Doctor != nil {
		if proof, _ := w.Doctor.Last(); proof != nil {
			gauge(faultsDesc, float64(proof.Broken))
			gauge(provedDesc, float64(proof.Began.Add(proof.Took).UnixMilli())/1000)
			gauge(proofDesc, proof.Took.Seconds())
		}
	}
	owed, size, ok := w.database(ctx)
	if ok {
		gauge(pendingDesc, float64(owed.Due), "due")
		gauge(pendingDesc, float64(owed.Retrying), "retrying")
		gauge(oldestDesc, w.age(owed.OldestHealthy), "healthy")
		gauge(oldestDesc, w.age(owed.OldestFailing), "failing")
	}
	if size != nil {
		gauge(databaseDesc, float64(size.database))
		gauge(walDesc, float64(size.wal))
	}
}

// age is how long something has been due; nothing is what is due later, such as a retry at the head of a lane in order.
func (w *watcher) age(since time.Time) float64 {
	if since.IsZero() {
		return 0
	}
	return max(time.Since(since), 0).Seconds()
}

// database reads the figures of the database, unless that was done just now.
func (w *watcher) database(ctx context.Context) (owed store.Owed, size *databaseSize, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if time.Since(w.read) < readEvery {
		return w.owed, w.size, true
	}
	w.size = nil
	if database, wal, err := w.Store.Size(ctx); err == nil {
		w.size = &databaseSize{database, wal}
	} else {
		w.trouble("size of the database cannot be read", err)
	}
	owed, err := w.Store.Owed(ctx)
	if err != nil {
		w.trouble("what is owed cannot be counted", err)
		return store.Owed{}, w.size, false
	}
	w.owed, w.read = owed, time.Now()
	return w.owed, w.size, true
}

func (w *watcher) trouble(message string, err error) {
	w.metrics.scrapeTrouble.Inc()
	w.metrics.log.Warn(message, "error", err)
}
