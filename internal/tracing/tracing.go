// Package tracing gives requests their ids. If the operator has a collector of OpenTelemetry, it tells the collector
// what came of them: of the request, of the change that it made, and of the attempts to deliver the events of the
// change, however much later those are made.
//
// An event keeps the two ids of the request that caused it, and they are all that a trace needs: see ids.go.
package tracing

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/buglehq/bugle"
)

// A Collector is where traces go.
type Collector struct {
	Host        string // of its address, for the guard
	Certificate string // file of the authority that signs its certificate; empty: the system's

	sampler sdk.Sampler
}

// Configured reads the variables of OpenTelemetry in the environment: OTEL_EXPORTER_OTLP_ENDPOINT and others. It
// returns nil if traces are not asked for, which they are by an endpoint or by OTEL_TRACES_EXPORTER. The error names
// everything that is wrong.
func Configured() (*Collector, error) {
	exporter, endpoint := os.Getenv("OTEL_TRACES_EXPORTER"), either("ENDPOINT")
	if strings.EqualFold(os.Getenv("OTEL_SDK_DISABLED"), "true") || exporter == "none" || exporter == "" && endpoint == "" {
		return nil, nil
	}
	c := &Collector{Certificate: either("CERTIFICATE")}
	var errs []error
	if exporter != "" && exporter != "otlp" {
		errs = append(errs, fmt.Errorf("OTEL_TRACES_EXPORTER is %q, want otlp or none", exporter))
	}
	if protocol := either("PROTOCOL"); protocol != "" && protocol != "http/protobuf" {
		errs = append(errs, fmt.Errorf("OTEL_EXPORTER_OTLP_PROTOCOL is %q, want http/protobuf", protocol))
	}
	if endpoint == "" {
		endpoint = "http://localhost:4318"
	}
	u, err := url.Parse(endpoint)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
		errs = append(errs, fmt.Errorf("OTEL_EXPORTER_OTLP_ENDPOINT is no address, want one such as http://collector.internal:4318")) // not shown: it may hold a password
	} else {
		c.Host = u.Hostname()
	}
	if c.sampler, err = configuredSampler(os.Getenv("OTEL_TRACES_SAMPLER"), os.Getenv("OTEL_TRACES_SAMPLER_ARG")); err != nil {
		errs = append(errs, err)
	}
	return c, errors.Join(errs...)
}

// either is the variable for traces, or else that for all that is exported.
func either(name string) string {
	if v := os.Getenv("OTEL_EXPORTER_OTLP_TRACES_" + name); v != "" {
		return v
	}
	return os.Getenv("OTEL_EXPORTER_OTLP_" + name)
}

// exportTimeout is how long sending a batch of spans may take, trying again included.
const exportTimeout = 30 * time.Second

// A Tracer records spans. A nil Tracer records none.
type Tracer struct {
	provider *sdk.TracerProvider
	tracer   trace.Tracer
}

// New returns a Tracer that sends spans to the collector by the transport. They have the version of the program and, if it
// has a name, the node.
func New(ctx context.Context, c *Collector, by http.RoundTripper, version, node string, log *slog.Logger) (*Tracer, error) {
	client := &http.Client{Transport: by, Timeout: 10 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	exporter, err := otlptracehttp.New(ctx, otlptracehttp.WithHTTPClient(client))
	if err != nil {
		return nil, fmt.Errorf("start sending traces: %w", err)
	}
	return newTracer(ctx, &logged{SpanExporter: exporter, log: log}, c.sampler, version, node)
}

func newTracer(ctx context.Context, exporter sdk.SpanExporter, sampler sdk.Sampler, version, node string) (*Tracer, error) {
	attributes := []attribute.KeyValue{attribute.String("service.name", "bugle"), attribute.String("service.version", version)}
	if node != "" {
		attributes = append(attributes, attribute.String("service.instance.id", node))
	}
	about, err := resource.New(ctx, resource.WithTelemetrySDK(), resource.WithHost(), resource.WithAttributes(attributes...), resource.WithFromEnv())
	if err != nil {
		return nil, fmt.Errorf("OTEL_RESOURCE_ATTRIBUTES: %w", err)
	}
	provider := sdk.NewTracerProvider(sdk.WithBatcher(exporter, sdk.WithExportTimeout(exportTimeout)), sdk.WithResource(about),
		sdk.WithSampler(sampler), sdk.WithIDGenerator(generator{}))
	return &Tracer{provider: provider, tracer: provider.Tracer(scope)}, nil
}

const scope = "github.com/buglehq/bugle"

// Close sends what is left to send, until ctx is done.
func (t *Tracer) Close(ctx context.Context) {
	if t != nil {
		t.provider.Shutdown(ctx) // what the exporter has to say is logged already
	}
}

// logged logs what goes wrong with an exporter, at most once a minute: by itself the SDK would tell a global handler.
type logged struct {
	sdk.SpanExporter
	log *slog.Logger

	mu   sync.Mutex
	last time.Time
}

// ExportSpans never fails: there is nobody to be told but the log.
func (l *logged) ExportSpans(ctx context.Context, spans []sdk.ReadOnlySpan) error {
	err := l.SpanExporter.ExportSpans(ctx, spans)
	l.mu.Lock()
	defer l.mu.Unlock()
	if now := time.Now(); err != nil && now.Sub(l.last) > time.Minute {
		l.last = now
		l.log.WarnContext(ctx, "traces cannot be sent", "spans", len(spans), "error", err)
	}
	return nil
}

// Part begins a span of what is done for the request of a context, and returns what ends it. Without a request that is
// recorded it does nothing.
func Part(ctx context.Context, name string) (context.Context, func(error)) {
	parent := trace.SpanFromContext(ctx)
	if !parent.IsRecording() {
		return ctx, func(error) {}
	}
	ctx, span := parent.TracerProvider().Tracer(scope).Start(ctx, name)
	return ctx, func(err error) {
		if err != nil {
			span.SetStatus(codes.Error, "") // without the words, which may hold what somebody wrote
		}
		span.End()
	}
}

// Event notes in the span of a context that an event was written.
func Event(ctx context.Context, id int64, name string) {
	span := trace.SpanFromContext(ctx)
	if !span.IsRecording() {
		return
	}
	span.AddEvent("event", trace.WithAttributes(attribute.Int64("bugle.event.id", id), attribute.String("bugle.event.name", name)))
}

// Run records the span of an automation run that has ended, as a part of the request that caused its event.
func (t *Tracer) Run(ctx context.Context, r *bugle.Run, e *bugle.Event) {
	if t == nil {
		return
	}
	caused, ok := spanOf(e.RequestID, e.TraceID)
	if !ok {
		return
	}
	began := time.Now().Add(-r.Took)
	_, span := t.tracer.Start(trace.ContextWithRemoteSpanContext(ctx, caused), "automation", trace.WithTimestamp(began), trace.WithAttributes(
		attribute.Int64("bugle.run.id", r.ID), attribute.Int64("bugle.automation.id", r.AutomationID), attribute.Int64("bugle.event.id", e.ID),
		attribute.String("bugle.run.status", string(r.Status))))
	if r.Status == bugle.RunFailed {
		span.SetStatus(codes.Error, "")
	}
	span.End(trace.WithTimestamp(began.Add(r.Took)))
}

// An Attempt is the span of an attempt to deliver. A nil Attempt records nothing.
type Attempt struct {
	span   trace.Span
	header string
}

// Attempt begins the span of an attempt, as a part of the request with the ids that the event has. It returns nil if the
// ids are none.
func (t *Tracer) Attempt(ctx context.Context, requestID, traceID string) *Attempt {
	if t == nil {
		return nil
	}
	caused, ok := spanOf(requestID, traceID)
	if !ok {
		return nil
	}
	_, span := t.tracer.Start(trace.ContextWithRemoteSpanContext(ctx, caused), "deliver", trace.WithSpanKind(trace.SpanKindClient))
	carrier := propagation.MapCarrier{}
	propagation.TraceContext{}.Inject(trace.ContextWithSpan(ctx, span), carrier)
	return &Attempt{span: span, header: carrier["traceparent"]}
}

// Parent is the value of the header traceparent that passes the trace on to the receiver.
func (a *Attempt) Parent() string {
	if a == nil {
		return ""
	}
	return a.header
}

// End ends the span with what came of the attempt. The URL is left out but for its host, because those of chat services
// hold secrets.
func (a *Attempt) End(w *bugle.Webhook, deliveryID, eventID int64, made *bugle.Attempt, state bugle.DeliveryState) {
	if a == nil {
		return
	}
	defer a.span.End()
	if !a.span.IsRecording() {
		return
	}
	a.span.SetAttributes(attribute.Int64("bugle.delivery.id", deliveryID), attribute.Int64("bugle.webhook.id", w.ID), attribute.Int64("bugle.event.id", eventID),
		attribute.Int("bugle.attempt", made.Number), attribute.String("bugle.delivery.state", string(state)))
	if w.Channel != "" {
		a.span.SetAttributes(attribute.String("bugle.channel", w.Channel))
	}
	if u, err := url.Parse(made.URL); err == nil && u.Host != "" {
		a.span.SetAttributes(attribute.String("server.address", u.Hostname()))
		if port, err := strconv.Atoi(u.Port()); err == nil {
			a.span.SetAttributes(attribute.Int("server.port", port))
		}
	}
	if made.Method != "" {
		a.span.SetAttributes(attribute.String("http.request.method", made.Method))
	}
	if made.Status != 0 {
		a.span.SetAttributes(attribute.Int("http.response.status_code", made.Status))
	}
	if made.Error != nil {
		a.span.SetAttributes(attribute.String("error.type", string(made.Error.Kind)))
		a.span.SetStatus(codes.Error, made.Error.Message)
	}
}
