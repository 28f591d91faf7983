package tracing

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// An Answer is a request that was answered.
type Answer struct {
	Route  string // the pattern of its path, such as "/v2/users/{id}"; empty: there is none
	Method string // one of HTTP's; "other" for what is none
	Status int
	Took   time.Duration
}

// An exchange is what a request's context knows of it.
type exchange struct {
	requestID, traceID string
	route              string
}

type exchangeKey struct{}

// IDs returns the request id and the trace id of the request that a context belongs to, two UUIDs; new ones for a context
// without a request.
func IDs(ctx context.Context) (requestID, traceID string) {
	if e, ok := ctx.Value(exchangeKey{}).(*exchange); ok {
		return e.requestID, e.traceID
	}
	return marked(uuid.New(), false).String(), uuid.NewString()
}

// SetRoute says which pattern the path of the request matches that a context belongs to.
func SetRoute(ctx context.Context, route string) {
	if e, ok := ctx.Value(exchangeKey{}).(*exchange); ok {
		e.route = route
	}
}

// unrecorded are paths, and beginnings of paths, whose requests say nothing about what the server is for.
var unrecorded = []string{"/health", "/readyz", "/metrics", "/assets/"}

// Requests gives requests their ids and, if there is a Tracer, their spans, and tells answered of each that was answered.
// A request that brings a traceparent becomes a part of that trace, if there is a Tracer.
func (t *Tracer) Requests(next http.Handler, answered func(Answer)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began := time.Now()
		request, of := uuid.New(), uuid.New()
		ctx := r.Context()
		var span trace.Span
		if t != nil && !slices.ContainsFunc(unrecorded, func(path string) bool { return strings.HasPrefix(r.URL.Path, path) }) {
			from := propagation.TraceContext{}.Extract(ctx, propagation.HeaderCarrier(r.Header))
			if caller := trace.SpanContextFromContext(from); caller.IsValid() {
				of = uuid.UUID(caller.TraceID())
			}
			is := trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID(of), SpanID: spanID(request)})
			_, span = t.tracer.Start(context.WithValue(from, wanted{}, is), method(r), trace.WithSpanKind(trace.SpanKindServer))
			defer span.End() // also if there is a panic
			request = marked(request, span.SpanContext().IsSampled())
			ctx = trace.ContextWithSpan(ctx, span)
		} else {
			request = marked(request, false)
		}
		e := &exchange{requestID: request.String(), traceID: of.String()}
		a := &answer{ResponseWriter: w, status: http.StatusOK}
		next.ServeHTTP(a, r.WithContext(context.WithValue(ctx, exchangeKey{}, e)))
		done := Answer{Route: e.route, Method: method(r), Status: a.status, Took: time.Since(began)}
		if span != nil && span.IsRecording() {
			span.SetName(strings.TrimSpace(done.Method + " " + e.route))
			span.SetAttributes(attribute.String("http.request.method", done.Method), attribute.String("http.route", e.route),
				attribute.Int("http.response.status_code", a.status), attribute.String("bugle.request_id", e.requestID))
			if a.status >= 500 {
				span.SetStatus(codes.Error, "")
			}
		}
		if answered != nil {
			answered(done)
		}
	})
}

// method is the method of a request, if it is one of HTTP's.
func method(r *http.Request) string {
	switch r.Method {
	case "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS":
		return r.Method
	}
	return "other"
}

// An answer notes the status of what is written.
type answer struct {
	http.ResponseWriter
	status int
	wrote  bool
}

func (a *answer) WriteHeader(status int) {
	if !a.wrote && status >= 200 {
		a.status, a.wrote = status, true
	}
	a.ResponseWriter.WriteHeader(status)
}

func (a *answer) Write(b []byte) (int, error) {
	a.wrote = true
	return a.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController find what it controls.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }
