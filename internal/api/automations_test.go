package api_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/internal/dispatch"
	"github.com/buglehq/bugle/value"
)

// settle evaluates the pending runs of the organization.
func (s *server) settle() {
	s.Helper()
	d := dispatch.NewDispatcher(s.store, dispatch.Options{Clock: s.clock})
	for {
		n, err := d.Step(context.Background(), s.org)
		if err != nil {
			s.Fatal(err)
		}
		if n == 0 {
			return
		}
	}
}

// automate makes a webhook and an automation for it.
func (s *server) automate(fields ...any) *value.Array {
	s.Helper()
	hook := s.create("webhooks", "name", "Discord", "url", receiver)
	return s.create("automations", append([]any{"name", "Test", "trigger", "user.created", "webhook_id", at(hook, "id")}, fields...)...)
}

const automationKeys = "id name description trigger condition action_type webhook_id webhook_payload_template webhook_payload_format message_channels" +
	" message_content message_recipients_expression message_rrule model_update_target model_update_lookup_type model_update_lookup_expression" +
	" model_update_lookup_conditions model_update_fields typed_values perscom_compatible enabled priority logs_count created_at updated_at"

func TestAutomations(t *testing.T) {
	s := newServer(t)
	a := s.automate()
	wantEqual(t, "keys", strings.Join(a.Keys(), " "), automationKeys)
	wantEqual(t, "defaults", value.List(at(a, "action_type"), at(a, "webhook_payload_format"), at(a, "enabled"), at(a, "priority"), at(a, "condition"),
		at(a, "typed_values"), at(a, "perscom_compatible"), at(a, "logs_count")), value.List("webhook", "envelope", true, 0, nil, false, false, 0))
	path := fmt.Sprint("automations/", id(a))
	for _, sent := range []*value.Array{
		value.Map("condition", `model.name != ""`, "webhook_payload_template", value.Map("a", value.List("{{ model.name }}", 1, nil, true)), "priority", -5, "typed_values", true),
		value.Map("webhook_payload_format", "text", "webhook_payload_template", "{\n{{ model.name|json_encode }}: 1}"),
		value.Map("action_type", "message", "message_channels", value.List("database", "mail"), "message_content", "<p>{{ model.name }}</p>",
			"message_recipients_expression", "model.id", "message_rrule", "FREQ=WEEKLY;BYDAY=WE"),
		value.Map("action_type", "model_update", "model_update_target", "user", "model_update_lookup_type", "query", "enabled", false, "description", "<b>x</b>",
			"model_update_lookup_conditions", value.Map("name", "{{ model.name }}"), "model_update_fields", value.Map("notes", "x", "rank_id", nil), "perscom_compatible", true),
	} {
		s.want(200, "PATCH", path, sent)
		shown := s.want(200, "GET", path, nil)
		for name, want := range sent.All() {
			wantEqual(t, name.String(), shown.at("data", name.String()), want)
		}
	}
	// The template may come as JSON text, as PERSCOM's panel sends it.
	s.want(200, "PATCH", path, value.Map("action_type", "webhook", "webhook_payload_format", "json", "webhook_payload_template", `{"b":"{{ 1 }}"}`))
	wantEqual(t, "template", s.want(200, "GET", path, nil).at("data", "webhook_payload_template"), value.Map("b", "{{ 1 }}"))

	other := s.automate("name", "Zebra", "enabled", false, "trigger", "awardrecord.created")
	for query, want := range map[string]int64{"": 2, "?enabled=false": 2, "?enabled=true": 0, "?trigger=user.created": 1, "?action_type=message": 0} {
		wantEqual(t, query, s.want(200, "GET", "automations"+query, nil).at("meta", "total"), want)
	}
	found := s.want(200, "POST", "automations/search", value.Map("search", value.Map("value", "zEb")))
	wantEqual(t, "found", found.at("data", "0", "id"), at(other, "id"))
	found = s.want(200, "POST", "automations/search", value.Map("filters", value.List(value.Map("field", "trigger", "operator", "=", "value", "user.created"))))
	wantEqual(t, "found", found.at("meta", "total"), 1)
	for _, bad := range []*value.Array{value.Map("search", value.Map("value", 5)), value.Map("filters", "x"), value.Map("filters", value.List(value.Map("field", "name", "value", "x"))),
		value.Map("filters", value.List(value.Map("field", "trigger", "operator", "like", "value", "x")))} {
		s.want(422, "POST", "automations/search", bad)
	}
	s.want(422, "GET", "automations?enabled=perhaps", nil)
	s.want(422, "GET", "automations?action_type=dance", nil)

	outsider := s.another()
	for _, method := range []string{"GET", "PATCH", "DELETE"} {
		outsider.want(404, method, path, value.NewArray(0))
	}
	outsider.want(404, "POST", path+"/backtest", value.NewArray(0))
	wantEqual(t, "of another", outsider.want(200, "GET", "automations", nil).at("meta", "total"), 0)
	outsider.want(422, "POST", "automations", value.Map("name", "x", "trigger", "user.created", "webhook_id", at(a, "webhook_id")))
	s.want(200, "DELETE", path, nil)
	s.want(404, "GET", path, nil)
}

// What cannot be compiled is refused with the place where it goes wrong.
func TestAutomations_refused(t *testing.T) {
	s := newServer(t)
	hook := s.create("webhooks", "name", "Discord", "url", receiver)
	for _, tc := range []struct {
		field, reason string
		sent          []any
	}{
		{"condition", "line 2, column 5", []any{"condition", "true\n  &&& false"}},
		{"condition", "modle", []any{"condition", `modle["x"]`}},
		{"webhook_payload_template.embeds.0.title", "line 1, column", []any{"webhook_payload_template", value.Map("embeds", value.List(value.Map("title", "{{ model.name|uper }}")))}},
		{"webhook_payload_template", "object or list", []any{"webhook_payload_template", 5}},
		{"webhook_payload_template", "valid JSON", []any{"webhook_payload_template", "{nope"}},
		{"webhook_payload_template", "must be a text", []any{"webhook_payload_format", "text", "webhook_payload_template", value.Map("a", 1)}},
		{"webhook_payload_template", "required when", []any{"webhook_payload_format", "json"}},
		{"webhook_id", "required when", []any{"webhook_id", nil}},
		{"webhook_id", "none with the id 999", []any{"webhook_id", 999}},
		{"trigger", "Did you mean rankrecord.created?", []any{"trigger", "rankrecord.create"}},
		{"trigger", "required", []any{"trigger", nil}},
		{"name", "required", []any{"name", ""}},
		{"action_type", "one of webhook", []any{"action_type", "dance"}},
		{"priority", "whole number", []any{"priority", "high"}},
		{"enabled", "true or false", []any{"enabled", "yes"}},
		{"message_channels", "required when", []any{"action_type", "message", "message_content", "x"}},
		{"message_content", "required when", []any{"action_type", "message", "message_channels", value.List("mail")}},
		{"message_channels.0", "must hold only", []any{"message_channels", value.List("pigeon")}},
		{"message_content", "line 1, column", []any{"action_type", "message", "message_channels", value.List("mail"), "message_content", "{{ 1 +"}},
		{"message_rrule", "", []any{"action_type", "message", "message_channels", value.List("mail"), "message_content", "x", "message_rrule", "FREQ=NEVER"}},
		{"model_update_target", "required when", []any{"action_type", "model_update", "model_update_lookup_type", "expression", "model_update_lookup_expression", "1", "model_update_fields", value.Map("notes", "x")}},
		{"model_update_lookup_expression", "required when", []any{"action_type", "model_update", "model_update_target", "user", "model_update_lookup_type", "expression", "model_update_fields", value.Map("notes", "x")}},
		{"model_update_lookup_conditions", "required when", []any{"action_type", "model_update", "model_update_target", "user", "model_update_lookup_type", "query", "model_update_fields", value.Map("notes", "x")}},
		{"model_update_fields.email", "cannot be changed", []any{"action_type", "model_update", "model_update_target", "user", "model_update_lookup_type", "expression", "model_update_lookup_expression", "1", "model_update_fields", value.Map("email", "x")}},
		{"model_update_fields.rnak_id", "did you mean rank_id?", []any{"action_type", "model_update", "model_update_target", "user", "model_update_lookup_type", "expression", "model_update_lookup_expression", "1", "model_update_fields", value.Map("rnak_id", 1)}},
	} {
		fields := value.Map("name", "Test", "trigger", "user.created", "webhook_id", at(hook, "id"))
		for i := 0; i < len(tc.sent); i += 2 {
			fields.Set(tc.sent[i].(string), tc.sent[i+1])
		}
		a := s.want(422, "POST", "automations", fields)
		reason, _ := at(a.body, "error", "errors", tc.field, "0").(string)
		if errors, _ := at(a.body, "error", "errors").(*value.Array); reason == "" {
			if list, ok := errors.Get(tc.field); ok {
				reason = fmt.Sprint(at(list, "0"))
			}
		}
		if reason == "" || !strings.Contains(reason, tc.reason) {
			t.Errorf("%v: %s, want the field %s with %q", tc.sent, a.text, tc.field, tc.reason)
		}
	}
	wantEqual(t, "automations", s.want(200, "GET", "automations", nil).at("meta", "total"), 0)
}

// The log says what a run did, what it saw, and where it failed.
func TestAutomationLogs(t *testing.T) {
	s := newServer(t)
	a := s.automate("condition", `model.name == "Jane"`, "webhook_payload_format", "json", "webhook_payload_template", value.Map("content", "{{ model.name }}"))
	s.automate("name", "Broken", "webhook_payload_format", "json", "webhook_payload_template", value.Map("list", value.List("ok", "x\n{{ 1 % 0 }}")))
	user := s.create("users", "name", "Jane", "email", "jane@example.com")
	s.create("users", "name", "Sam", "email", "sam@example.com")
	wantEqual(t, "pending", s.want(200, "GET", "automation-logs?status=pending", nil).at("meta", "total"), 4)
	s.settle()
	log := s.want(200, "GET", fmt.Sprintf("automation-logs?automation_id=%d", id(a)), nil)
	wantEqual(t, "statuses", value.List(log.at("data", "0", "status"), log.at("data", "1", "status")), value.List("condition_failed", "executed"))
	shown := s.want(200, "GET", fmt.Sprint("automation-logs/", log.at("data", "1", "id")), nil)
	wantEqual(t, "part", shown.at("data", "condition_parts", "1", "value"), `"Jane"`)
	wantEqual(t, "seen", shown.at("data", "context", "model", "name"), "Jane")
	wantEqual(t, "subject", value.List(shown.at("data", "subject_type"), shown.at("data", "subject_id")), value.List(`App\Models\User`, at(user, "id")))
	delivery := s.want(200, "GET", fmt.Sprint("deliveries/", shown.at("data", "delivery_id")), nil)
	wantEqual(t, "delivery's run", delivery.at("data", "automation_log_id"), shown.at("data", "id"))
	wantEqual(t, "payload", delivery.at("data", "payload"), value.Map("content", "Jane"))
	failed := s.want(200, "GET", "automation-logs?status=failed&trigger=user.created", nil)
	wantEqual(t, "place", value.List(failed.at("data", "0", "error_field"), failed.at("data", "0", "error_line"), failed.at("data", "0", "condition_result")),
		value.List("webhook_payload_template.list.1", 2, nil))
	wantEqual(t, "counted", s.want(200, "GET", fmt.Sprint("automations/", id(a)), nil).at("data", "logs_count"), 2)
	for _, bad := range []string{"?status=lost", "?automation_id=x", "?event_id=-1", "?since=soon"} {
		s.want(422, "GET", "automation-logs"+bad, nil)
	}
	outsider := s.another()
	outsider.want(404, "GET", fmt.Sprint("automation-logs/", log.at("data", "1", "id")), nil)
	wantEqual(t, "of another", outsider.want(200, "GET", "automation-logs", nil).at("meta", "total"), 0)
	s.want(404, "GET", "automation-logs/9999", nil)
}

// A preview tries every part that it is given, on a real event, an example or given variables, and does nothing.
func TestAutomations_preview(t *testing.T) {
	s := newServer(t)
	sent := value.Map("trigger", "user.created", "condition", `model.name == "Jane"`,
		"webhook_payload_format", "json", "webhook_payload_template", value.Map("content", "Hi @everyone {{ model.name }}", "embeds", value.List(value.Map("title", "x"))),
		"message_content", "<p>{{ model.name }}</p>", "message_recipients_expression", "[1, 2]")
	example := s.want(200, "POST", "automations/preview", sent)
	wantEqual(t, "example", value.List(example.at("data", "event_id"), example.at("data", "condition", "result"), example.at("data", "message", "result")),
		value.List(nil, false, "<p>Jane Roe</p>"))
	wantEqual(t, "parts", example.at("data", "condition", "parts", "1"), value.Map("source", "model.name", "line", 1, "column", 1, "value", `"Jane Roe"`, "evaluated", true, "failed", false))
	wantEqual(t, "warned", example.at("data", "payload", "warnings", "0", "refused"), false)
	s.create("users", "name", "Jane", "email", "jane@example.com")
	real := s.want(200, "POST", "automations/preview", sent)
	wantEqual(t, "real", value.List(real.at("data", "condition", "result"), real.at("data", "payload", "result", "content"), real.at("data", "recipients", "result"), real.at("data", "fields")),
		value.List(true, "Hi @everyone Jane", value.List(1, 2), nil))
	given := s.want(200, "POST", "automations/preview", value.Map("trigger", "user.created", "condition", "model.x > 1", "context", value.Map("model", value.Map("x", 2))))
	wantEqual(t, "given", value.List(given.at("data", "condition", "result"), given.at("data", "payload")), value.List(true, nil))
	wrong := s.want(200, "POST", "automations/preview", value.Map("trigger", "user.created", "condition", "model.nope.x", "message_content", "a\n{{ nope( }}",
		"webhook_payload_template", value.Map("a", "{% stop %}")))
	wantEqual(t, "wrong", value.List(wrong.at("data", "condition", "valid"), wrong.at("data", "message", "valid"), wrong.at("data", "message", "error", "line"), wrong.at("data", "payload", "skipped")),
		value.List(false, false, 2, true))
	update := s.want(200, "POST", "automations/preview", value.Map("trigger", "user.created", "model_update_target", "user", "model_update_lookup_type", "expression",
		"model_update_lookup_expression", "model.id", "model_update_fields", value.Map("notes", "{{ target.name }}!")))
	wantEqual(t, "update", value.List(update.at("data", "fields", "result", "notes"), update.at("data", "fields", "target_id")), value.List("Jane!", 1))
	for _, bad := range []*value.Array{value.NewArray(0), value.Map("trigger", "nope"), value.Map("trigger", "user.created", "event_id", 999), value.Map("trigger", "user.updated", "event_id", 1),
		value.Map("trigger", "user.created", "event_id", "x"), value.Map("trigger", "user.created", "context", "x")} {
		s.want(422, "POST", "automations/preview", bad)
	}
	s.another().want(422, "POST", "automations/preview", value.Map("trigger", "user.created", "event_id", 1))
	wantEqual(t, "made", s.want(200, "GET", "deliveries", nil).at("meta", "total"), 0)
}

func TestAutomations_backtest(t *testing.T) {
	s := newServer(t)
	s.create("users", "name", "Jane", "email", "jane@example.com")
	s.create("users", "name", "Sam", "email", "sam@example.com")
	a := s.automate("condition", `model.name == "Jane"`, "webhook_payload_format", "json", "webhook_payload_template", value.Map("content", "{{ model.name }}"))
	tried := s.want(200, "POST", fmt.Sprintf("automations/%d/backtest", id(a)), nil)
	wantEqual(t, "counts", value.List(tried.at("data", "complete"), tried.at("data", "events"), tried.at("data", "counts", "executed"), tried.at("data", "counts", "condition_failed")),
		value.List(true, 2, 1, 1))
	wantEqual(t, "result", tried.at("data", "items", "0", "result", "content"), "Jane")
	before := s.want(200, "POST", fmt.Sprintf("automations/%d/backtest", id(a)), value.Map("until", "2020-01-01"))
	wantEqual(t, "before", before.at("data", "events"), 0)
	s.want(422, "POST", fmt.Sprintf("automations/%d/backtest", id(a)), value.Map("since", "soon"))
	wantEqual(t, "runs", s.want(200, "GET", "automation-logs", nil).at("meta", "total"), 0)
}

func TestAutomationTemplates(t *testing.T) {
	s := newServer(t)
	list := s.want(200, "GET", "automation-templates", nil)
	hook := s.create("webhooks", "name", "Discord", "url", receiver)
	all, _ := list.at("data").(*value.Array)
	for _, template := range all.All() {
		values := at(template, "values").(*value.Array).Clone()
		if at(values, "action_type") == "webhook" {
			values.Set("webhook_id", at(hook, "id"))
		}
		if at(template, "key") == "increment_promotion_points_on_service_record" {
			s.create("fields", "name", "Promotion points", "key", "promotion_points", "type", "number")
		}
		s.want(201, "POST", "automations", values)
	}
}

// A request that says what it answers to joins that chain, and automations stop there.
func TestCause(t *testing.T) {
	s := newServer(t)
	s.automate("trigger", "user.updated", "webhook_payload_template", value.Map("a", "b"))
	user := s.create("users", "name", "Jane", "email", "jane@example.com")
	path := fmt.Sprint("users/", id(user))
	s.want(200, "PATCH", path, value.Map("notes", "1"))
	s.settle()
	first := s.want(200, "GET", "automation-logs", nil)
	cause := fmt.Sprint("msg_", first.at("data", "0", "delivery_id"))
	wantEqual(t, "status", s.send("PATCH", "/v2/"+path, value.Map("notes", "2"), "X-Bugle-Cause", cause, "Authorization", "Bearer "+s.key).status, 200)
	s.settle()
	last := s.want(200, "GET", "automation-logs", nil)
	wantEqual(t, "stopped", value.List(last.at("data", "0", "status"), last.at("data", "0", "chain", "depth"), last.at("data", "0", "chain", "automations", "0")),
		value.List(string(bugle.RunLoopStopped), 1, first.at("data", "0", "automation_id")))
	wantEqual(t, "status", s.send("PATCH", "/v2/"+path, value.Map("notes", "3"), "X-Bugle-Cause", "evt_1", "Authorization", "Bearer "+s.key).status, 200)
	s.settle()
	wantEqual(t, "went on", s.want(200, "GET", "automation-logs", nil).at("data", "0", "status"), "executed")
	for _, bad := range []string{"x", "msg_", "msg_x", "evt_999", "msg_999", "abc_1", "evt_-1"} {
		wantEqual(t, bad, s.send("PATCH", "/v2/"+path, value.Map("notes", "4"), "X-Bugle-Cause", bad, "Authorization", "Bearer "+s.key).status, 400)
		wantEqual(t, bad+" when reading", s.send("GET", "/v2/"+path, nil, "X-Bugle-Cause", bad, "Authorization", "Bearer "+s.key).status, 200)
	}
	outsider := s.another()
	mine := outsider.create("users", "name", "Max", "email", "max@example.com")
	wantEqual(t, "of another", outsider.send("PATCH", fmt.Sprint("/v2/users/", id(mine)), value.Map("notes", "1"), "X-Bugle-Cause", cause, "Authorization", "Bearer "+outsider.key).status, 400)
}

// The reference says what conditions and templates of a trigger can name, with the organization's own fields.
func TestAutomations_reference(t *testing.T) {
	s := newServer(t)
	s.create("fields", "name", "Promotion points", "key", "promotion_points", "type", "number", "applies_to", value.List("users"))
	ref := s.want(200, "GET", "automations/reference?trigger=rankrecord.created", nil)
	lists := map[string]string{"fields": "template", "functions": "name", "operators": "name", "filters": "name", "twig_functions": "name", "tests": "name", "tags": "name", "updatable": "kind", "channels": "name"}
	for list, wanted := range map[string]string{"fields": "model.rank.name", "functions": "changed", "operators": "starts with", "filters": "increment", "twig_functions": "range",
		"tests": "divisible by", "tags": "stop", "updatable": "user", "channels": "slack"} {
		items, _ := ref.at("data", list).(*value.Array)
		found := false
		for _, item := range items.All() {
			found = found || at(item, lists[list]) == wanted
			if at(item, "template") == "model.user.promotion_points" {
				wantEqual(t, "custom field", item, value.Map("path", value.List("model", "user", "promotion_points"), "condition", `model["user"]["promotion_points"]`,
					"template", "model.user.promotion_points", "type", "number", "null", true, "options", nil, "example", nil, "custom", true, "description", "Promotion points"))
			}
		}
		if !found {
			t.Errorf("%s does not have %s", list, wanted)
		}
	}
	for _, query := range []string{"", "?trigger=", "?trigger=webhook.test", "?trigger=nope"} {
		s.want(422, "GET", "automations/reference"+query, nil)
	}
	s.with(s.addKey(bugle.APIKey{Scopes: []string{"view:webhook"}})).do("GET", "automations/reference?trigger=user.created", nil).wantStatus(t, 403)
}
