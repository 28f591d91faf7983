package api

import (
	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/expression"
	"github.com/buglehq/bugle/internal/dispatch"
	"github.com/buglehq/bugle/internal/store"
	"github.com/buglehq/bugle/personnel"
	"github.com/buglehq/bugle/value"
)

// eventLog adds the events that there are, and the log of those that there were.
func (c *componentSet) eventLog() {
	kind := closed(value.Map("name", typed("string"), "group", typed("string"), "description", typed("string"), "schema", typed("object"), "example", schemaRef("Envelope")))
	c.schema("EventType", kind, eventTypeData("rankrecord.created"))
	c.answer("EventTypeList", "All of them.", closed(value.Map("data", listOf(schemaRef("EventType")))), value.Map("data", value.List(eventTypeData("rankrecord.created"))))

	whole, text := nullable(typed("integer")), nullable(typed("string"))
	properties := func() *value.Array {
		return value.Map("id", typed("integer"), "name", typed("string"), "resource_kind", text, "resource_id", whole, "request_id", uuidSchema(), "trace_id", uuidSchema(),
			"chain", chainSchema(), "created_at", moment(), "deliveries_count", typed("integer"), "runs_count", typed("integer"))
	}
	e := &store.LoggedEvent{Deliveries: 2, Runs: 1, Event: bugle.Event{ID: 1, Name: "rankrecord.created", ResourceKind: "rankrecord", ResourceID: 1,
		RequestID: exampleRequest, TraceID: exampleTrace, CreatedAt: exampleMoment}}
	c.schema("EventLogResource", closed(properties()), eventData(e))
	c.page("EventLog", "EventLogResource", eventData(e))

	outcomes := value.NewArray(len(dispatch.Outcomes))
	for _, outcome := range dispatch.Outcomes {
		outcomes.Append(string(outcome))
	}
	part := closed(value.Map("source", annotated(typed("string"), "Its text."), "line", typed("integer"), "column", typed("integer"),
		"value", annotated(text, "As JSON, of which at most 200 characters are shown; null unless evaluated."),
		"evaluated", annotated(typed("boolean"), "False: it was not needed, or there was an error first."), "failed", typed("boolean")))
	c.schema("ConditionPart", part, conditionPartData(expression.Part{Source: `model.rank["order"]`, Line: 1, Column: 1, Value: int64(5), Evaluated: true}))
	reason := closed(value.Map("type", value.Map("type", "string", "enum", value.List(dispatch.OfWebhook, dispatch.OfAutomation)), "id", typed("integer"), "name", typed("string"),
		"outcome", value.Map("type", "string", "enum", outcomes, "description", "not_then: it would match today."), "delivery_id", whole, "automation_log_id", whole,
		"condition", text, "condition_result", nullable(typed("boolean")), "error", schemaRef("TemplateError"),
		"parts", annotated(listOf(schemaRef("ConditionPart")), "Of the condition, with their values at the run."),
		"text", annotated(typed("string"), "What is to be said of the one with the name.")))
	detail := properties()
	detail.Set("envelope", schemaRef("Envelope"))
	detail.Set("changes", orEmpty(value.Map("type", "object", "additionalProperties", closed(value.Map("old", value.Map("description", "As it was stored."), "new", value.Map("description", "As it is stored."))))))
	detail.Set("why", annotated(listOf(reason), "What each webhook and automation made of it."))
	example := eventData(e)
	example.Set("envelope", envelopeExample(&personnel.RankRecord, "created"))
	example.Set("changes", value.NewArray(0))
	example.Set("why", value.List(reasonData(dispatch.Reason{Type: dispatch.OfWebhook, ID: 1, Name: "Discord relay", Outcome: dispatch.Matched, DeliveryID: 1,
		Text: "was to get the event: delivery 1 was made"})))
	c.schema("EventLogDetail", closed(detail), example)
	c.answer("EventLogDetailData", "The event with what came of it.", closed(value.Map("data", schemaRef("EventLogDetail"))), value.Map("data", example))
}

func chainSchema() *value.Array {
	return value.Map("type", value.List("object", "null"), "required", value.List("root", "depth", "automations"), "additionalProperties", false,
		"properties", value.Map("root", typed("integer"), "depth", typed("integer"), "automations", listOf(typed("integer"))))
}

func eventParameters() *value.Array {
	return value.Map(
		"webhook_status", queried("status", "Those of the status.", typed("string")),
		"event_name", queried("name", "Those of the name.", typed("string")),
		"resource_kind", queried("resource_kind", "Those about resources of the kind.", typed("string")),
		"resource_id", queried("resource_id", "Those about one resource.", idSchema()))
}
