package tracing

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"strconv"

	"github.com/google/uuid"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// The trace id of a request, a UUID, is the id of its trace. The second half of its request id is the id of its span,
// but for the last bit, which says whether the trace is recorded. So whoever has the two ids, as every event does, can
// add to the trace.

// spanOf returns the span of the request with these ids.
func spanOf(requestID, traceID string) (trace.SpanContext, bool) {
	request, err := uuid.Parse(requestID)
	if err != nil {
		return trace.SpanContext{}, false
	}
	of, err := uuid.Parse(traceID)
	if err != nil {
		return trace.SpanContext{}, false
	}
	span := trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID(of), SpanID: spanID(request),
		TraceFlags: trace.TraceFlags(request[15] & 1), Remote: true})
	return span, span.IsValid()
}

func spanID(request uuid.UUID) trace.SpanID {
	id := trace.SpanID(request[8:])
	id[7] &^= 1
	return id
}

// marked is the request id with its last bit.
func marked(request uuid.UUID, recorded bool) uuid.UUID {
	request[15] &^= 1
	if recorded {
		request[15] |= 1
	}
	return request
}

// wanted is the key of the ids that a span is to get.
type wanted struct{}

// A generator makes ids at random, unless the context says which are wanted.
type generator struct{}

func (g generator) NewIDs(ctx context.Context) (trace.TraceID, trace.SpanID) {
	if w, ok := ctx.Value(wanted{}).(trace.SpanContext); ok {
		return w.TraceID(), w.SpanID()
	}
	return trace.TraceID(uuid.New()), g.NewSpanID(ctx, trace.TraceID{})
}

func (generator) NewSpanID(ctx context.Context, _ trace.TraceID) (id trace.SpanID) {
	if w, ok := ctx.Value(wanted{}).(trace.SpanContext); ok {
		return w.SpanID()
	}
	for !id.IsValid() {
		binary.BigEndian.PutUint64(id[:], rand.Uint64())
	}
	return id
}

// configuredSampler is the sampler of a name and an argument, as OTEL_TRACES_SAMPLER has them. The SDK's own would take
// the ratio of the bits that all UUIDs have in common.
func configuredSampler(name, argument string) (sdk.Sampler, error) {
	share := 1.0
	if argument != "" {
		var err error
		if share, err = strconv.ParseFloat(argument, 64); err != nil || !(share >= 0 && share <= 1) {
			return nil, fmt.Errorf("OTEL_TRACES_SAMPLER_ARG is %q, want a number from 0 to 1", argument)
		}
	}
	switch name {
	case "", "parentbased_always_on":
		return sdk.ParentBased(sdk.AlwaysSample()), nil
	case "parentbased_always_off":
		return sdk.ParentBased(sdk.NeverSample()), nil
	case "parentbased_traceidratio":
		return sdk.ParentBased(ratio(share)), nil
	case "always_on":
		return sdk.AlwaysSample(), nil
	case "always_off":
		return sdk.NeverSample(), nil
	case "traceidratio":
		return ratio(share), nil
	}
	return nil, fmt.Errorf("OTEL_TRACES_SAMPLER is %q, want always_on, always_off, traceidratio, or one of these after parentbased_", name)
}

// A ratio records that share of all traces. It looks at the last seven bytes of the id, which are random in UUIDs as well
// as in ids that follow W3C's Trace Context, level 2.
type ratio float64

func (r ratio) ShouldSample(p sdk.SamplingParameters) sdk.SamplingResult {
	const bits = 56
	result := sdk.SamplingResult{Decision: sdk.Drop, Tracestate: trace.SpanContextFromContext(p.ParentContext).TraceState()}
	if float64(binary.BigEndian.Uint64(p.TraceID[8:])&(1<<bits-1)) < float64(r)*(1<<bits) {
		result.Decision = sdk.RecordAndSample
	}
	return result
}

func (r ratio) Description() string { return fmt.Sprintf("TraceIDRatio{%g}", float64(r)) }
