package bugle

import (
	"testing"
	"time"

	"github.com/buglehq/bugle/value"
)

const (
	requestID = "9b1f6f0e-6f0a-4c8e-9d55-0c0f6a3f3b11"
	traceID   = "2c1d7a52-53a6-4f5c-8f43-7f6f7b0d9e21"
	ids       = `"request_id":"` + requestID + `","trace_id":"` + traceID + `"`
)

var created = time.Date(2026, 1, 14, 12, 0, 0, 123456789, time.UTC)

func TestEnvelope_JSON(t *testing.T) {
	calendar := value.Map("id", 2, "name", `Übungen / "Ops"`, "description", nil, "color", "#2563eb", "created_at", "2026-01-01T00:00:00.000000Z",
		"updated_at", "2026-01-14T12:00:00.000000Z", "label", "Calendar: 2")
	const data = `"data":{"id":2,"name":"\u00dcbungen \/ \"Ops\"","description":null,"color":"#2563eb","created_at":"2026-01-01T00:00:00.000000Z",` +
		`"updated_at":"2026-01-14T12:00:00.000000Z","label":"Calendar: 2"}`
	tests := []struct {
		name     string
		envelope Envelope
		want     string
	}{
		{"updated", Envelope{Event: "calendar.updated", Data: calendar, Changes: value.Map("name", `Übungen / "Ops"`, "updated_at", "2026-01-14 12:00:00")},
			`{"event":"calendar.updated","created":"2026-01-14T12:00:00.123456Z",` + ids + `,` + data +
				`,"changes":{"name":"\u00dcbungen \/ \"Ops\"","updated_at":"2026-01-14 12:00:00"}}`},
		{"without changes", Envelope{Event: "calendar.updated", Data: calendar, Changes: value.NewArray(0)},
			`{"event":"calendar.updated","created":"2026-01-14T12:00:00.123456Z",` + ids + `,` + data + `,"changes":[]}`},
		{"null", Envelope{Event: "a"}, `{"event":"a","created":"2026-01-14T12:00:00.123456Z",` + ids + `,"data":null,"changes":null}`},
		{"bare", Envelope{Event: "a", Bare: true, Data: "?"}, `{"event":"a","created":"2026-01-14T12:00:00.123456Z",` + ids + `}`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			test.envelope.RequestID, test.envelope.TraceID = requestID, traceID
			test.envelope.Created = created.In(time.FixedZone("elsewhere", 7200))
			got, err := test.envelope.JSON()
			if err != nil || string(got) != test.want {
				t.Errorf("got\n%s, %v, want\n%s", got, err, test.want)
			}
		})
	}
	if _, err := (Envelope{Data: struct{}{}}).JSON(); err == nil {
		t.Error("data that is no value is encoded")
	}
}

func TestReadOrigin(t *testing.T) {
	const text = `{"event":"a.b","created":"2026-01-14T12:00:00.123456Z",` + ids + `,"data":null,"changes":null}`
	want := Origin{Created: created.Truncate(time.Microsecond), RequestID: requestID, TraceID: traceID}
	if got, ok := ReadOrigin([]byte(text)); !ok || got != want {
		t.Errorf("got %+v, %v, want %+v", got, ok, want)
	}
	for end := range len(text) - len(`,"data":null,"changes":null}`) - 1 {
		if got, ok := ReadOrigin([]byte(text[:end])); ok {
			t.Errorf("the first %d bytes have the origin %+v", end, got)
		}
	}
	for _, none := range []string{"", "{}", `{"text":"Hello","recipient":null}`, `{"event":"a","created":"yesterday, about the time of tea",` + ids + `}`} {
		if got, ok := ReadOrigin([]byte(none)); ok {
			t.Errorf("%s has the origin %+v", none, got)
		}
	}
}

func TestTestEnvelope(t *testing.T) {
	const head = `{"event":"webhook.test","created":"2026-01-14T12:00:00.123456Z",` + ids
	tests := []struct {
		payload any
		want    string
	}{
		{value.Map("status", "ok"), head + `,"data":{"status":"ok"},"changes":null}`},
		{value.NewArray(0), head + `,"data":[],"changes":null}`},
		{value.List("a"), head + `,"data":["a"],"changes":null}`},
		{"text", head + `}`},
		{int64(0), head + `}`},
		{false, head + `}`},
		{nil, head + `}`},
	}
	for _, test := range tests {
		got, err := TestEnvelope(test.payload, created, requestID, traceID).JSON()
		if err != nil || string(got) != test.want {
			t.Errorf("%s: got\n%s, %v, want\n%s", value.Describe(test.payload), got, err, test.want)
		}
	}
}
