package api

import (
	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/internal/dispatch"
	"github.com/buglehq/bugle/internal/store"
	"github.com/buglehq/bugle/personnel"
	"github.com/buglehq/bugle/value"
)

// automations adds automations, their log, their templates and what tries them.
func (c *componentSet) automations() {
	a := bugle.NewAutomation()
	a.ID, a.Name, a.Trigger, a.WebhookID, a.CreatedAt, a.UpdatedAt = 1, "Promotions of officers", "rankrecord.created", 1, exampleMoment, exampleMoment
	a.Condition, a.PayloadFormat, a.PayloadTemplate = `model.rank["order"] > 4`, bugle.PayloadJSON, value.Map("content", "{{ model.user.name }} is now {{ model.rank.name }}")
	sent := value.Map("name", a.Name, "trigger", a.Trigger, "condition", a.Condition, "action_type", "webhook", "webhook_id", a.WebhookID,
		"webhook_payload_format", "json", "webhook_payload_template", a.PayloadTemplate)
	c.schema("AutomationUpdate", value.Map("type", "object", "properties", automationFields()), sent)
	c.schema("Automation", value.Map("type", "object", "required", value.List("name", "trigger"), "properties", automationFields()), sent)
	c.body("AutomationCreate", true, schemaRef("Automation"), sent)
	c.body("AutomationUpdate", true, schemaRef("AutomationUpdate"), sent)
	c.body("AutomationBatchCreate", true, resourcesOf(listOf(schemaRef("Automation"))), value.Map("resources", value.List(sent)))
	c.body("AutomationBatchUpdate", true, resourcesOf(byID(schemaRef("AutomationUpdate"))), value.Map("resources", value.Map("7", sent)))
	answered := value.Map("id", typed("integer"))
	for key, schema := range automationFields().All() {
		answered.Set(key.String(), schema)
	}
	answered.Set("logs_count", annotated(typed("integer"), "Runs that it has had."))
	answered.Set("created_at", moment())
	answered.Set("updated_at", moment())
	c.schema("AutomationResource", closed(answered), automationData(&a, 12))
	c.answerAll("Automation", "AutomationResource", automationData(&a, 12))

	c.runs()
	c.trying(sent)
	c.reference()
	template := closed(value.Map("key", typed("string"), "name", typed("string"), "description", typed("string"), "category", typed("string"),
		"prerequisites", listOf(typed("string")), "values", annotated(typed("object"), "What creating an automation takes; a webhook is still to be chosen.")))
	first := templateData(dispatch.Templates()[0])
	c.schema("AutomationTemplate", template, first)
	c.answer("AutomationTemplateList", "All templates.", closed(value.Map("data", listOf(schemaRef("AutomationTemplate")))), value.Map("data", value.List(first)))
}

// automationFields are what may be sent of an automation.
func automationFields() *value.Array {
	choice := func(options []string) *value.Array {
		list := value.NewArray(len(options))
		for _, option := range options {
			list.Append(option)
		}
		return value.Map("type", "string", "enum", list)
	}
	texts := func(description string) *value.Array {
		return value.Map("type", value.List("string", "null"), "maxLength", 65535, "description", description)
	}
	fields := func(description string) *value.Array {
		return annotated(value.Map("type", value.List("object", "null")), description)
	}
	return value.Map(
		"name", value.Map("type", "string", "minLength", 1, "maxLength", 255),
		"description", texts("HTML."),
		"trigger", choice(personnel.EventNames()),
		"condition", texts("In the condition language; blank is true."),
		"action_type", choice([]string{"webhook", "message", "model_update"}),
		"webhook_id", nullable(idSchema()),
		"webhook_payload_template", annotated(value.NewArray(0), "JSON whose texts are Twig templates, or with the format text one template."),
		"webhook_payload_format", annotated(choice([]string{"envelope", "json", "text"}), "Whether the result is the envelope's data or the whole body."),
		"message_channels", nullable(listOf(choice(personnel.ChannelNames()))),
		"message_content", texts("HTML, a Twig template."),
		"message_recipients_expression", texts("Gives an id, a list of ids, or \"everyone\"."),
		"message_rrule", value.Map("type", value.List("string", "null"), "maxLength", 255, "description", "RFC 5545: the message repeats."),
		"model_update_target", nullable(choice(personnel.UpdatableNames())),
		"model_update_lookup_type", nullable(choice([]string{"expression", "query"})),
		"model_update_lookup_expression", texts("Gives the id."),
		"model_update_lookup_conditions", fields("Field and value; texts are Twig templates."),
		"model_update_fields", fields("Field and new value; texts are Twig templates."),
		"typed_values", annotated(typed("boolean"), "A text that is exactly one {{ … }} gives its value rather than its text."),
		"perscom_compatible", annotated(typed("boolean"), "Escapes, recipients and values are as in PERSCOM."),
		"enabled", typed("boolean"),
		"priority", annotated(typed("integer"), "Higher ones first."))
}

// runs adds the log.
func (c *componentSet) runs() {
	whole, text := nullable(typed("integer")), nullable(typed("string"))
	statuses := value.NewArray(len(bugle.RunStatuses))
	for _, status := range bugle.RunStatuses {
		statuses.Append(string(status))
	}
	properties := func() *value.Array {
		return value.Map("id", typed("integer"), "automation_id", typed("integer"), "automation", typed("string"), "trigger", typed("string"),
			"subject_type", text, "subject_id", whole, "causer_type", text, "causer_id", whole, "status", value.Map("type", "string", "enum", statuses),
			"condition_expression", text, "condition_result", nullable(typed("boolean")), "action_payload", nullable(typed("object")),
			"error_message", text, "error_field", text, "error_line", whole, "error_column", whole, "execution_time_ms", typed("integer"),
			"event_id", typed("integer"), "delivery_id", whole, "message_id", whole, "resource_kind", text, "resource_id", whole,
			"chain", chainSchema(),
			"created_at", moment(), "updated_at", moment())
	}
	holds := true
	r := &store.LoggedRun{Automation: "Promotions of officers", Trigger: "rankrecord.created", SubjectKind: "rankrecord", SubjectID: 1}
	r.ID, r.AutomationID, r.EventID, r.Status, r.ConditionResult, r.DeliveryID = 1, 1, 1, bugle.RunExecuted, &holds, 1
	r.ActionPayload = value.Map("type", "webhook", "webhook_id", 1, "webhook_url", "https://relay.example.com/hook", "custom_payload", true)
	r.CreatedAt, r.EvaluatedAt = exampleMoment, exampleMoment
	c.schema("AutomationLogResource", closed(properties()), runData(r))
	c.page("AutomationLog", "AutomationLogResource", runData(r))
	detail := properties()
	detail.Set("context", annotated(nullable(typed("object")), "What its condition and templates saw; the causer is as he is now."))
	detail.Set("condition_parts", annotated(listOf(schemaRef("ConditionPart")), "With their values at the run; the causer is as he is now."))
	example := runData(r)
	example.Set("condition_parts", value.NewArray(0))
	example.Set("context", dispatch.GivenContext(value.Map("model", personnel.RankRecord.ExampleData("created"), "now", personnel.ExampleTime), exampleMoment).Data())
	c.schema("AutomationLogDetail", closed(detail), example)
	c.answer("AutomationLogDetailData", "The run with its context.", closed(value.Map("data", schemaRef("AutomationLogDetail"))), value.Map("data", example))
}

// trying adds previews and back-tests.
func (c *componentSet) trying(sent *value.Array) {
	failure := value.Map("type", value.List("object", "null"), "required", value.List("message", "field", "line", "column"), "additionalProperties", false,
		"properties", value.Map("message", typed("string"), "field", typed("string"), "line", annotated(typed("integer"), "0 if it is not known."), "column", typed("integer")))
	c.schema("TemplateError", failure, value.Map("message", "unknown filter \"uper\", did you mean \"upper\"?", "field", "webhook_payload_template.content", "line", 1, "column", 16))
	anything := value.Map("description", "Any JSON.")
	part := func(more ...any) *value.Array {
		properties := value.Map("valid", typed("boolean"), "result", anything, "skipped", annotated(typed("boolean"), "The template says not to send."),
			"error", schemaRef("TemplateError"), "warnings", listOf(closed(value.Map("path", typed("string"), "message", typed("string"), "refused", typed("boolean")))))
		for i := 0; i < len(more); i += 2 {
			properties.Set(more[i].(string), more[i+1])
		}
		return nullable(closed(properties))
	}
	c.body("AutomationPreview", true, value.Map("type", "object", "required", value.List("trigger"), "properties", func() *value.Array {
		fields := automationFields()
		fields.Set("event_id", annotated(nullable(idSchema()), "The event to try it on; else the newest of the trigger, or an example."))
		fields.Set("context", annotated(nullable(typed("object")), "The variables to try it on."))
		return fields
	}()), sent)
	c.answer("AutomationPreview", "What each part of the automation gives; null if it was not asked for.", closed(value.Map("data", closed(value.Map(
		"condition", part("parts", annotated(listOf(schemaRef("ConditionPart")), "With their values.")), "payload", part(), "message", part(), "recipients", part(), "fields", part("target_id", nullable(typed("integer"))),
		"context", nullable(typed("object")), "event_id", annotated(nullable(typed("integer")), "Null if the context is an example or was given."))))),
		value.Map("data", previewData(&dispatch.Preview{EventID: 1, Context: dispatch.GivenContext(value.Map("model_id", 1, "now", personnel.ExampleTime), exampleMoment),
			Condition: &dispatch.Part{Result: true}, Payload: &dispatch.Part{Result: value.Map("content", "Jane Roe is now Sergeant")}})))
	c.body("AutomationBacktest", false, value.Map("type", "object", "properties", value.Map(
		"since", annotated(nullable(typed("string")), "A time; seven days ago unless given."), "until", nullable(typed("string")))), value.Map("since", personnel.ExampleTime))
	counts := closed(value.Map("executed", typed("integer"), "condition_failed", typed("integer"), "failed", typed("integer"), "loop_stopped", typed("integer")))
	item := closed(value.Map("event_id", typed("integer"), "created_at", moment(), "status", typed("string"), "condition_result", nullable(typed("boolean")),
		"result", anything, "error", schemaRef("TemplateError")))
	c.answer("AutomationBacktest", "How the automation would have gone.", closed(value.Map("data", closed(value.Map(
		"complete", annotated(typed("boolean"), "Whether all events were tried."), "events", typed("integer"), "counts", counts, "items", listOf(item))))),
		value.Map("data", value.Map("complete", true, "events", 1, "counts", value.Map("executed", 1, "condition_failed", 0, "failed", 0, "loop_stopped", 0),
			"items", value.List(value.Map("event_id", 1, "created_at", personnel.ExampleTime, "status", "executed", "condition_result", true,
				"result", value.Map("content", "Jane Roe is now Sergeant"), "error", nil)))))
}

func automationParameters() *value.Array {
	return value.Map(
		"automation_id", queried("automation_id", "Those of one automation.", idSchema()),
		"event_id", queried("event_id", "Those for one event.", idSchema()),
		"run_status", queried("status", "Those that ended so.", typed("string")),
		"trigger_wanted", func() *value.Array {
			p := queried("trigger", "The name of an event.", value.Map("type", "string", "examples", value.List("rankrecord.created")))
			p.Set("required", true)
			return p
		}(),
		"trigger", queried("trigger", "Those of events with the name.", typed("string")),
		"action_type", queried("action_type", "Those with the action.", typed("string")),
		"enabled", queried("enabled", "Those that are enabled, or the others.", typed("boolean")))
}
