package api

import (
	"strings"
	"time"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/personnel"
	"github.com/buglehq/bugle/value"
)

const (
	exampleRequest = "550e8400-e29b-41d4-a716-446655440000"
	exampleTrace   = "6ba7b810-9dad-41d1-80b4-00c04fd430c8"
)

var (
	exampleMoment = time.Date(2026, 1, 14, 12, 0, 0, 0, time.UTC)
	linksExample  = value.Map("first", examplePage, "last", examplePage, "prev", nil, "next", nil)
	metaExample   = value.Map("current_page", 1, "from", 1, "last_page", 1,
		"links", value.List(value.Map("url", examplePage, "label", "1", "page", 1, "active", true)),
		"path", "https://bugle.example.com/v2/list", "per_page", 15, "to", 1, "total", 1)
)

const examplePage = "https://bugle.example.com/v2/list?page=1"

// sentExample is a resource of a kind as it may be sent: in a form with everything that a form can
// say, and else with what is worth saying.
func sentExample(k *personnel.Kind, form bool) *value.Array {
	example := value.NewArray(len(k.Fields))
	for i := range k.Fields {
		f := &k.Fields[i]
		wanted := f.Required || f.Type != personnel.Reference && !strings.HasSuffix(f.Name, "_at") && f.Name != "order"
		if !isWritable(f) || !wanted || f.IsFile() && !form {
			continue
		}
		v := f.Example(k, true)
		switch {
		case form && f.IsFile():
			v = "(the file)"
		case form && f.Type == personnel.Boolean:
			v = map[bool]string{true: "1", false: "0"}[v.(bool)]
		}
		if v != nil {
			example.Set(f.SentAs(), v)
		}
	}
	return example
}

// envelopeExample is an event of a kind as it is sent.
func envelopeExample(k *personnel.Kind, verb string) *value.Array {
	data, changes := k.Example(), value.NewArray(1)
	if verb == "updated" {
		changes.Set("updated_at", "2026-01-14 12:00:00")
	}
	return value.Map("event", k.Name+"."+verb, "created", personnel.ExampleTime, "request_id", exampleRequest, "trace_id", exampleTrace, "data", data, "changes", changes)
}

func testExample() *value.Array {
	return value.Map("event", bugle.TestEvent, "created", personnel.ExampleTime, "request_id", exampleRequest, "trace_id", exampleTrace,
		"data", value.Map("status", "ok"), "changes", nil)
}
