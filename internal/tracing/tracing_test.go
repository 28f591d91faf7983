package tracing

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"go.opentelemetry.io/otel/codes"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/buglehq/bugle"
)

// newRecorder returns a Tracer, and what returns the spans that have ended.
func newRecorder(t *testing.T, sampler, argument string) (*Tracer, func() tracetest.SpanStubs) {
	t.Helper()
	s, err := configuredSampler(sampler, argument)
	if err != nil {
		t.Fatal(err)
	}
	memory := tracetest.NewInMemoryExporter()
	tracer, err := newTracer(t.Context(), memory, s, "v1.2.3", "node-1")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tracer.Close(context.Background()) })
	return tracer, func() tracetest.SpanStubs {
		if err := tracer.provider.ForceFlush(context.Background()); err != nil {
			t.Fatal(err)
		}
		spans := memory.GetSpans()
		memory.Reset()
		return spans
	}
}

// ask makes a request of a server that notes the request's ids, and returns them.
func ask(t *testing.T, tracer *Tracer, path string, do http.HandlerFunc, header ...string) (requestID, traceID string, told Answer) {
	t.Helper()
	r := httptest.NewRequest("POST", path, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	tracer.Requests(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requestID, traceID = IDs(r.Context())
		if again, of := IDs(r.Context()); again != requestID || of != traceID {
			t.Errorf("a request has ids %s, %s, and then %s, %s", requestID, traceID, again, of)
		}
		if do != nil {
			do(w, r)
		}
	}), func(a Answer) { told = a }).ServeHTTP(httptest.NewRecorder(), r)
	for _, id := range []string{requestID, traceID} {
		if _, err := uuid.Parse(id); err != nil {
			t.Errorf("the id %q: %v", id, err)
		}
	}
	return requestID, traceID, told
}

func hexOf(id string) string { return strings.ReplaceAll(id, "-", "") }

const (
	callersTrace = "0af7651916cd43dd8448eb211c80319c"
	callersSpan  = "b7ad6b7169203331"
)

func made(status int, kind bugle.ErrorKind) *bugle.Attempt {
	a := &bugle.Attempt{Number: 2, Method: "POST", URL: "https://user:secret@hooks.example.com:8443/secret?token=secret", Status: status}
	if kind != "" {
		a.Error = &bugle.AttemptError{Kind: kind, Message: "answered 500"}
	}
	return a
}

// Attempts are parts of the request that caused them, by its ids alone.
func TestTracer_oneTrace(t *testing.T) {
	tracer, ended := newRecorder(t, "", "")
	requestID, traceID, _ := ask(t, tracer, "/v2/users", func(w http.ResponseWriter, r *http.Request) {
		SetRoute(r.Context(), "/v2/users")
		ctx, end := Part(r.Context(), "change")
		Event(ctx, 3, "user.created")
		end(nil)
		w.WriteHeader(201)
	})
	attempt := tracer.Attempt(context.Background(), requestID, traceID)
	header := attempt.Parent()
	attempt.End(&bugle.Webhook{ID: 5}, 4, 3, made(500, bugle.ErrorStatus), bugle.Pending)
	tracer.Run(context.Background(), &bugle.Run{ID: 6, AutomationID: 7, Status: bugle.RunFailed, Took: time.Second}, &bugle.Event{ID: 3, RequestID: requestID, TraceID: traceID})
	spans := map[string]tracetest.SpanStub{}
	for _, s := range ended() {
		spans[s.Name] = s
		if got := s.SpanContext.TraceID().String(); got != hexOf(traceID) {
			t.Errorf("%s is of the trace %s, want %s", s.Name, got, hexOf(traceID))
		}
	}
	request := spans["POST /v2/users"]
	if request.Parent.IsValid() || request.SpanKind != trace.SpanKindServer {
		t.Errorf("the request is %+v", request)
	}
	for _, name := range []string{"change", "deliver", "automation"} {
		if got, want := spans[name].Parent.SpanID(), request.SpanContext.SpanID(); got != want || !want.IsValid() {
			t.Errorf("%s is a part of %s, want %s, among %d spans", name, got, want, len(spans))
		}
	}
	deliver := spans["deliver"]
	if want := "00-" + hexOf(traceID) + "-" + deliver.SpanContext.SpanID().String() + "-01"; header != want {
		t.Errorf("traceparent is %q, want %q", header, want)
	}
	if deliver.Status.Code != codes.Error || spans["automation"].Status.Code != codes.Error || request.Status.Code == codes.Error {
		t.Error("failures are not those that failed")
	}
	attributes := map[string]string{}
	for _, a := range deliver.Attributes {
		attributes[string(a.Key)] = a.Value.String()
		if strings.Contains(a.Value.String(), "secret") {
			t.Errorf("%s shows a secret: %s", a.Key, a.Value.String())
		}
	}
	for key, want := range map[string]string{"bugle.delivery.id": "4", "bugle.webhook.id": "5", "bugle.event.id": "3", "bugle.attempt": "2", "bugle.delivery.state": "pending",
		"server.address": "hooks.example.com", "server.port": "8443", "http.response.status_code": "500", "error.type": "status"} {
		if attributes[key] != want {
			t.Errorf("%s is %q, want %q", key, attributes[key], want)
		}
	}
	if events := spans["change"].Events; len(events) != 1 || events[0].Name != "event" {
		t.Errorf("the change wrote %+v", events)
	}
	about := request.Resource.String()
	for _, want := range []string{"service.name=bugle", "service.version=v1.2.3", "service.instance.id=node-1"} {
		if !strings.Contains(about, want) {
			t.Errorf("the resource is %s, want %s in it", about, want)
		}
	}
}

// A caller's trace goes on here, with the caller's choice whether to record it, however late the attempt is.
func TestTracer_callersTrace(t *testing.T) {
	for flags, recorded := range map[string]int{"00": 0, "01": 2} {
		tracer, ended := newRecorder(t, "parentbased_always_on", "")
		requestID, traceID, _ := ask(t, tracer, "/v2/users", nil, "traceparent", "00-"+callersTrace+"-"+callersSpan+"-"+flags)
		if hexOf(traceID) != callersTrace {
			t.Errorf("the trace id is %s, want the caller's", traceID)
		}
		attempt := tracer.Attempt(context.Background(), requestID, traceID)
		if got := attempt.Parent(); !strings.HasPrefix(got, "00-"+callersTrace+"-") || !strings.HasSuffix(got, "-"+flags) {
			t.Errorf("traceparent is %s", got)
		}
		attempt.End(&bugle.Webhook{}, 1, 1, made(200, ""), bugle.Delivered)
		spans := ended()
		if len(spans) != recorded {
			t.Fatalf("%d spans with the flags %s, want %d", len(spans), flags, recorded)
		}
		for _, s := range spans {
			if s.Name == "POST" && s.Parent.SpanID().String() != callersSpan {
				t.Errorf("the request is a part of %s, want %s", s.Parent.SpanID(), callersSpan)
			}
		}
	}
	for _, wrong := range []string{"00-" + callersTrace, "00-" + strings.Repeat("0", 32) + "-" + callersSpan + "-01", "?"} {
		tracer, _ := newRecorder(t, "", "")
		if _, traceID, _ := ask(t, tracer, "/", nil, "traceparent", wrong); hexOf(traceID) == callersTrace {
			t.Errorf("the header %q was taken", wrong)
		}
	}
}

// Without a Tracer requests have ids all the same, callers have no say in them, and nothing is passed on.
func TestTracer_off(t *testing.T) {
	var off *Tracer
	requestID, traceID, told := ask(t, off, "/v2/users", func(w http.ResponseWriter, r *http.Request) {
		SetRoute(r.Context(), "/v2/users")
		_, end := Part(r.Context(), "change")
		Event(r.Context(), 1, "user.created")
		end(errors.New("no"))
		w.WriteHeader(418)
		if err := http.NewResponseController(w).Flush(); err != nil {
			t.Error(err)
		}
	}, "traceparent", "00-"+callersTrace+"-"+callersSpan+"-01")
	if hexOf(traceID) == callersTrace {
		t.Error("the caller chose the trace id")
	}
	told.Took = 0
	if want := (Answer{Route: "/v2/users", Method: "POST", Status: 418}); told != want {
		t.Errorf("told of %+v, want %+v", told, want)
	}
	attempt := off.Attempt(context.Background(), requestID, traceID)
	if attempt.Parent() != "" {
		t.Errorf("traceparent is %q", attempt.Parent())
	}
	attempt.End(&bugle.Webhook{}, 1, 1, made(200, ""), bugle.Delivered)
	off.Run(context.Background(), &bugle.Run{}, &bugle.Event{})
	off.Close(context.Background())

	// Should traces be recorded one day, those of that time are not.
	tracer, ended := newRecorder(t, "", "")
	tracer.Attempt(context.Background(), requestID, traceID).End(&bugle.Webhook{}, 1, 1, made(200, ""), bugle.Delivered)
	if spans := ended(); len(spans) != 0 {
		t.Errorf("%d spans of a request that was not recorded", len(spans))
	}
	if tracer.Attempt(context.Background(), "x", traceID) != nil || tracer.Attempt(context.Background(), requestID, "") != nil {
		t.Error("there is a span without ids")
	}
}

func TestIDs_withoutARequest(t *testing.T) {
	a, of := IDs(t.Context())
	if b, other := IDs(t.Context()); a == b || of == other {
		t.Error("two have the same ids")
	}
	SetRoute(t.Context(), "/nowhere")
}

// What is asked all the time is not recorded.
func TestTracer_unrecorded(t *testing.T) {
	tracer, ended := newRecorder(t, "", "")
	for _, path := range []string{"/health", "/readyz", "/metrics", "/assets/admin.js"} {
		ask(t, tracer, path, nil)
	}
	if spans := ended(); len(spans) != 0 {
		t.Errorf("%d spans", len(spans))
	}
}

// A request that ends in a panic has a span, and one with an unknown method a name all the same.
func TestTracer_oddRequests(t *testing.T) {
	tracer, ended := newRecorder(t, "", "")
	func() {
		defer func() { recover() }()
		ask(t, tracer, "/", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	}()
	var told Answer
	r := httptest.NewRequest("BREW", "/", nil)
	tracer.Requests(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusEarlyHints)
		w.WriteHeader(503)
		w.WriteHeader(200)
	}), func(a Answer) { told = a }).ServeHTTP(httptest.NewRecorder(), r)
	if told.Method != "other" || told.Status != 503 {
		t.Errorf("told of %+v", told)
	}
	spans := ended()
	if len(spans) != 2 || spans[1].Status.Code != codes.Error {
		t.Errorf("spans are %+v", spans)
	}
}

// The share of traces is right with UUIDs, which have some bits in common.
func TestSampler_ratio(t *testing.T) {
	for _, share := range []string{"0", "0.1", "0.5", "0.9", "1"} {
		s, err := configuredSampler("traceidratio", share)
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		const of = 10000
		for range of {
			if s.ShouldSample(sdk.SamplingParameters{ParentContext: t.Context(), TraceID: trace.TraceID(uuid.New())}).Decision == sdk.RecordAndSample {
				n++
			}
		}
		want := map[string]int{"0": 0, "0.1": of / 10, "0.5": of / 2, "0.9": of * 9 / 10, "1": of}[share]
		if n < want-300 || n > want+300 || want == 0 && n > 0 || want == of && n < of {
			t.Errorf("%d of %d traces with a share of %s", n, of, share)
		}
	}
}

func TestConfigured(t *testing.T) {
	for _, name := range []string{"OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_TRACES_EXPORTER", "OTEL_SDK_DISABLED", "OTEL_TRACES_SAMPLER",
		"OTEL_TRACES_SAMPLER_ARG", "OTEL_EXPORTER_OTLP_PROTOCOL", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_CERTIFICATE", "OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE"} {
		t.Setenv(name, "")
	}
	for _, test := range []struct{ environment, host, wrong string }{
		{"", "", ""},
		{"OTEL_EXPORTER_OTLP_ENDPOINT=http://collector.internal:4318", "collector.internal", ""},
		{"OTEL_EXPORTER_OTLP_ENDPOINT=http://one OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=https://[::1]:4318/v1/traces", "::1", ""},
		{"OTEL_TRACES_EXPORTER=otlp", "localhost", ""},
		{"OTEL_TRACES_EXPORTER=none OTEL_EXPORTER_OTLP_ENDPOINT=http://one", "", ""},
		{"OTEL_SDK_DISABLED=true OTEL_EXPORTER_OTLP_ENDPOINT=http://one", "", ""},
		{"OTEL_TRACES_EXPORTER=zipkin", "", `OTEL_TRACES_EXPORTER is "zipkin", want otlp or none`},
		{"OTEL_EXPORTER_OTLP_ENDPOINT=collector:4318", "", "OTEL_EXPORTER_OTLP_ENDPOINT is no address, want one such as"},
		{"OTEL_TRACES_EXPORTER=otlp OTEL_EXPORTER_OTLP_PROTOCOL=grpc", "", `OTEL_EXPORTER_OTLP_PROTOCOL is "grpc", want http/protobuf`},
		{"OTEL_TRACES_EXPORTER=otlp OTEL_TRACES_SAMPLER=some", "", `OTEL_TRACES_SAMPLER is "some", want`},
		{"OTEL_TRACES_EXPORTER=otlp OTEL_TRACES_SAMPLER=traceidratio OTEL_TRACES_SAMPLER_ARG=2", "", `OTEL_TRACES_SAMPLER_ARG is "2", want a number from 0 to 1`},
		{"OTEL_TRACES_EXPORTER=otlp OTEL_TRACES_SAMPLER_ARG=NaN", "", `OTEL_TRACES_SAMPLER_ARG is "NaN"`},
	} {
		t.Run(test.environment, func(t *testing.T) {
			for pair := range strings.FieldsSeq(test.environment) {
				name, v, _ := strings.Cut(pair, "=")
				t.Setenv(name, v)
			}
			c, err := Configured()
			switch {
			case test.wrong != "":
				if err == nil || !strings.Contains(err.Error(), test.wrong) {
					t.Errorf("the error is %v, want %q", err, test.wrong)
				}
			case err != nil, (c == nil) != (test.host == ""), c != nil && c.Host != test.host:
				t.Errorf("the collector is %+v, %v, want %q", c, err, test.host)
			}
		})
	}
	for _, name := range []string{"always_on", "always_off", "traceidratio", "parentbased_always_on", "parentbased_always_off", "parentbased_traceidratio"} {
		if s, err := configuredSampler(name, "0.5"); err != nil || s.Description() == "" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// failing is an exporter whose collector is away.
type failing struct{ sdk.SpanExporter }

func (failing) ExportSpans(context.Context, []sdk.ReadOnlySpan) error {
	return errors.New("connection refused")
}

// A collector that is away is a line in the log, not one for each batch, and nothing more.
func TestTracer_collectorIsAway(t *testing.T) {
	var log bytes.Buffer
	l := &logged{SpanExporter: failing{}, log: slog.New(slog.NewTextHandler(&log, nil))}
	for range 3 {
		if err := l.ExportSpans(t.Context(), make([]sdk.ReadOnlySpan, 2)); err != nil {
			t.Error(err)
		}
	}
	if got := log.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, `msg="traces cannot be sent" spans=2 error="connection refused"`) {
		t.Errorf("the log is %s", got)
	}
}
