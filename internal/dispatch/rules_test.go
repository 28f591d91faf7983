package dispatch_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/jonboulle/clockwork"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/internal/dispatch"
	"github.com/buglehq/bugle/internal/store"
	"github.com/buglehq/bugle/internal/storetest"
	"github.com/buglehq/bugle/personnel"
	"github.com/buglehq/bugle/value"
)

// one runs a single automation for an update of a user's notes from "a" to "b", with the fields, and
// returns how its run ended.
func one(t *testing.T, s *store.Store, clock *clockwork.FakeClock, fields ...any) *store.LoggedRun {
	t.Helper()
	user := storetest.Create(t, s, &personnel.User, "name", `Jane "J" & <i>`, "email", "jane@example.com", "notes", "a")
	add(t, s, append([]any{"trigger", "user.updated"}, fields...)...)
	storetest.Update(t, s, &personnel.User, user.ID(), "notes", "b")
	log := settle(t, s, clock)
	if len(log) == 0 {
		t.Fatal("no run")
	}
	return log[0]
}

// sentBody is the body of the delivery that a run made.
func sentBody(t *testing.T, s *store.Store, r *store.LoggedRun) string {
	t.Helper()
	if r.DeliveryID == 0 {
		t.Fatalf("no delivery was made: %s %s %v", r.Status, r.Error, r.ActionPayload)
	}
	d, err := s.Delivery(t.Context(), 1, r.DeliveryID)
	if err != nil {
		t.Fatal(err)
	}
	body, err := s.Payload(t.Context(), d.EventID)
	if err != nil {
		t.Fatal(err)
	}
	return string(body.Text)
}

func TestCondition(t *testing.T) {
	for _, tc := range []struct {
		condition string
		want      bugle.RunStatus
		reason    string
	}{
		{"", "executed", ""}, {" \n", "executed", ""}, {"1", "executed", ""}, {`"a"`, "executed", ""}, {"[0]", "executed", ""},
		{"0", "condition_failed", ""}, {"0.0", "condition_failed", ""}, {`"0"`, "condition_failed", ""}, {`""`, "condition_failed", ""}, {"[]", "condition_failed", ""}, {"null", "condition_failed", ""},
		{`changed("notes")`, "executed", ""}, {`changed("name")`, "condition_failed", ""}, {`changed("updated_at")`, "executed", ""},
		{`old_value("notes") == "a" and new_value("notes") == "b"`, "executed", ""}, {`old_value("name") === null`, "executed", ""},
		{`changes["notes"]["old"] == "a"`, "executed", ""}, {`changes.notes.new == "b"`, "executed", ""},
		{`model_type == "App\\Models\\User" and model_id == 1`, "executed", ""}, {`causer === null and causer_id === null`, "executed", ""},
		{`now.format("Y-m-d") == "2026-01-14"`, "executed", ""}, {`blank(model.phone_number) and filled(model.name)`, "executed", ""},
		{`contains(model.name, "Jane")`, "executed", ""}, {`model["nope"] ?? true`, "executed", ""},
		{`model["nope"]`, "failed", `in: model["nope"]`}, {`model.name + 1`, "failed", "line 1, column"}, {`1 / 0`, "failed", "line 1"},
		{`"a" matches "/(/"`, "failed", "line 1"}, {`null["x"]`, "failed", ""},
	} {
		t.Run(tc.condition, func(t *testing.T) {
			s, clock := storetest.New(t)
			hook := storetest.AddWebhook(t, s, "https://example.com", func(w *bugle.Webhook) { w.Events = nil })
			r := one(t, s, clock, "webhook_id", hook.ID, "condition", tc.condition)
			if r.Status != tc.want || !strings.Contains(r.Error, tc.reason) || (r.Error != "") != (tc.want == "failed") {
				t.Errorf("%s: %s, want %s: …%s", r.Status, r.Error, tc.want, tc.reason)
			}
			if (r.ConditionResult == nil) != (tc.want == "failed") || r.ConditionResult != nil && *r.ConditionResult != (tc.want == "executed") {
				t.Errorf("result %v", r.ConditionResult)
			}
			if tc.want == "failed" && (r.ErrorField != "condition" || r.ErrorLine != 1) {
				t.Errorf("at %s, line %d", r.ErrorField, r.ErrorLine)
			}
		})
	}
}

func TestPayload(t *testing.T) {
	const envelope = `{"event":"user.updated","created":"2026-01-14T12:00:00.123456Z","request_id":"9b1f6f0e-6f0a-4c8e-9d55-0c0f6a3f3b11","trace_id":"2c1d7a52-53a6-4f5c-8f43-7f6f7b0d9e21","data":%s,"changes":null}`
	data := func(text string) string { return fmt.Sprintf(envelope, text) }
	for _, tc := range []struct {
		name   string
		fields []any
		want   string // the body, or with the prefix ! a part of the error, or with - why it was skipped
	}{
		{"texts only", []any{"webhook_payload_template", value.Map("n", "{{ model.id }}", "b", true, "i", 5, "z", nil, "deep", value.Map("l", value.List("{{ changes.notes.old }}", 1.5)))},
			data(`{"n":"1","b":true,"i":5,"z":null,"deep":{"l":["a",1.5]}}`)},
		{"keys are no templates", []any{"webhook_payload_template", value.Map("{{ 1 }}", "x")}, data(`{"{{ 1 }}":"x"}`)},
		{"typed", []any{"typed_values", true, "webhook_payload_template", value.Map("a", "{{ model.id }}", "b", " {{ model.id }}", "c", "{{ null }}", "d", "{{ [1, {'k': now}] }}", "e", "{{ 1 == 1 }}")},
			data(`{"a":1,"b":" 1","c":null,"d":[1,{"k":"2026-01-14T12:00:00.123456Z"}],"e":true}`)},
		{"not escaped", []any{"webhook_payload_template", value.Map("a", "{{ model.name }}")}, data(`{"a":"Jane \"J\" & <i>"}`)},
		{"escaped as PERSCOM does", []any{"perscom_compatible", true, "webhook_payload_template", value.Map("a", "{{ model.name }}", "b", "{{ model.name|raw }}")},
			data(`{"a":"Jane &quot;J&quot; &amp; &lt;i&gt;","b":"Jane \"J\" & <i>"}`)},
		{"compatible is never typed", []any{"perscom_compatible", true, "typed_values", true, "webhook_payload_template", value.Map("a", "{{ 1 }}")}, data(`{"a":"1"}`)},
		{"tags are templates", []any{"webhook_payload_template", value.Map("a", "{% if true %}x{% endif %}", "b", "{# gone #}y")}, data(`{"a":"x","b":"y"}`)},
		{"but not to PERSCOM", []any{"perscom_compatible", true, "webhook_payload_template", value.Map("a", "{% if true %}x{% endif %}")}, data(`{"a":"{% if true %}x{% endif %}"}`)},
		{"missing is empty", []any{"webhook_payload_template", value.Map("a", "[{{ model.nope.deeper }}{{ gone }}]")}, data(`{"a":"[]"}`)},
		{"increment", []any{"webhook_payload_template", value.Map("a", "{{ null|increment }}{{ 'x'|decrement(2) }} {{ '5'|increment(2) }}")}, data(`{"a":"1-2 7"}`)},
		{"dates", []any{"webhook_payload_template", value.Map("a", "{{ now|date('Y-m-d H:i') }} {{ changes.updated_at.old|date('Y') }}")}, data(`{"a":"2026-01-14 12:00 2026"}`)},
		{"JSON", []any{"webhook_payload_format", "json", "webhook_payload_template", value.List(value.Map("a", "/"))}, `[{"a":"\/"}]`},
		{"text", []any{"webhook_payload_format", "text", "webhook_payload_template", " {\"a\":\n{{ model.name|json_encode }}}\n"}, "{\"a\":\n\"Jane \\\"J\\\" & <i>\"}"},
		{"text that is no JSON", []any{"webhook_payload_format", "text", "webhook_payload_template", "{\"a\":\n\"{{ model.name }}\"}"}, "!no JSON"},
		{"empty text", []any{"webhook_payload_format", "text", "webhook_payload_template", "{% if false %}{}{% endif %} "}, "-the template's text is empty"},
		{"stop", []any{"webhook_payload_template", value.Map("a", "x", "b", value.List("{% if model.id == 1 %}{% stop %}{% endif %}"))}, "-the template stopped by {% stop %}"},
		{"runtime error", []any{"webhook_payload_template", value.Map("a", value.List("x", "a\n{{ 1 // 0 }}"))}, "!webhook_payload_template.a.1: "},
		{"too large", []any{"webhook_payload_template", value.Map("a", "{{ (1..17)|reduce((c, i) => c ~ c, 'x') }}", "b", "{{ (1..17)|reduce((c, i) => c ~ c, 'xx') }}")}, "!bytes"},
		{"shared beyond any size", []any{"typed_values", true, "webhook_payload_template", value.Map("a", "{{ (1..40)|reduce((c, i) => [c, c], []) }}")}, "!webhook_payload_template.a"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s, clock := storetest.New(t)
			hook := storetest.AddWebhook(t, s, "https://example.com", func(w *bugle.Webhook) { w.Events = nil })
			r := one(t, s, clock, append([]any{"webhook_id", hook.ID}, tc.fields...)...)
			switch tc.want[0] {
			case '!':
				if r.Status != bugle.RunFailed || !strings.Contains(r.Error, tc.want[1:]) || r.ErrorField == "" || r.DeliveryID != 0 {
					t.Errorf("%s: %s at %s", r.Status, r.Error, r.ErrorField)
				}
			case '-':
				reason, _ := r.ActionPayload.Get("reason")
				if r.Status != bugle.RunExecuted || reason != tc.want[1:] || r.DeliveryID != 0 {
					t.Errorf("%s: %v", r.Status, r.ActionPayload)
				}
			default:
				if got := sentBody(t, s, r); got != tc.want {
					t.Errorf("sent %s\nwant %s", got, tc.want)
				}
			}
		})
	}
}

// Without a template the envelope holds the resource as it was, with no changes.
func TestPayload_none(t *testing.T) {
	s, clock := storetest.New(t)
	hook := storetest.AddWebhook(t, s, "https://example.com", func(w *bugle.Webhook) { w.Events = nil })
	body := sentBody(t, s, one(t, s, clock, "webhook_id", hook.ID))
	if !strings.Contains(body, `"notes":"b"`) || !strings.HasSuffix(body, `"changes":[]}`) {
		t.Errorf("sent %s", body)
	}
}

func TestWebhook_notUsable(t *testing.T) {
	for name, tc := range map[string]struct {
		do   func(tx *store.Tx, w *bugle.Webhook) error
		want string
	}{
		"deleted":  {func(tx *store.Tx, w *bugle.Webhook) error { return tx.DeleteWebhook(1, w.ID) }, "was deleted"},
		"disabled": {func(tx *store.Tx, w *bugle.Webhook) error { w.Status = bugle.Disabled; return tx.SaveWebhook(w) }, "is disabled"},
		"paused":   {func(tx *store.Tx, w *bugle.Webhook) error { w.Status = bugle.Paused; return tx.SaveWebhook(w) }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			s, clock := storetest.New(t)
			hook := storetest.AddWebhook(t, s, "https://example.com", func(w *bugle.Webhook) { w.Events = nil })
			user := storetest.Create(t, s, &personnel.User, "name", "Jane", "email", "jane@example.com")
			add(t, s, "trigger", "user.updated", "webhook_id", hook.ID)
			storetest.Update(t, s, &personnel.User, user.ID(), "notes", "x")
			storetest.Change(t, s, func(tx *store.Tx) error { return tc.do(tx, hook) })
			r := settle(t, s, clock)[0]
			if (r.Status == bugle.RunFailed) != (tc.want != "") || !strings.Contains(r.Error, tc.want) || tc.want != "" && r.ErrorField != "webhook_id" {
				t.Errorf("%s: %s", r.Status, r.Error)
			}
		})
	}
}

func TestMessage(t *testing.T) {
	for _, tc := range []struct {
		name   string
		fields []any
		to     any    // recipients of the message
		want   string // with ! a part of the error, with - why it was skipped, else the text
	}{
		{"one", []any{"message_recipients_expression", "model.id"}, value.List(1), "x"},
		{"numeric text", []any{"message_recipients_expression", `"1e1"`}, value.List(10), "x"},
		{"list", []any{"message_recipients_expression", `[1, "2", 3.7, "no", null, [4]]`}, value.List(1, 2, 3), "x"},
		{"everyone", []any{"message_recipients_expression", `"everyone"`}, nil, "x"},
		{"nobody", nil, nil, "-there is nobody to send it to"},
		{"null", []any{"message_recipients_expression", "null"}, nil, "-there is nobody to send it to"},
		{"nobody, but a channel for all", []any{"message_channels", value.List("database", "slack")}, value.NewArray(0), "x"},
		{"compatible: nobody is everyone", []any{"perscom_compatible", true}, nil, "x"},
		{"compatible: an error is everyone", []any{"perscom_compatible", true, "message_recipients_expression", `model["nope"]`}, nil, "x"},
		{"error", []any{"message_recipients_expression", `model["nope"]`}, nil, "!message_recipients_expression: "},
		{"escaped, for it is HTML", []any{"message_recipients_expression", "1", "message_content", "{{ model.name }}"}, value.List(1), "Jane &quot;J&quot; &amp; &lt;i&gt;"},
		{"blank", []any{"message_recipients_expression", "1", "message_content", "{{ '' }} "}, nil, "-the message's text is empty"},
		{"stopped", []any{"message_recipients_expression", "1", "message_content", "x{% stop %}"}, nil, "-the template stopped by {% stop %}"},
		{"template error", []any{"message_recipients_expression", "1", "message_content", "{{ 1 // 0 }}"}, nil, "!message_content: "},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s, clock := storetest.New(t)
			r := one(t, s, clock, append([]any{"action_type", "message", "message_channels", value.List("database"), "message_content", "x"}, tc.fields...)...)
			reason, _ := r.ActionPayload.Get("reason")
			switch {
			case tc.want[0] == '!':
				if r.Status != bugle.RunFailed || !strings.HasPrefix(r.Error, tc.want[1:]) {
					t.Errorf("%s: %s", r.Status, r.Error)
				}
				return
			case tc.want[0] == '-':
				if r.Status != bugle.RunExecuted || reason != tc.want[1:] || r.MessageID != 0 {
					t.Errorf("%s: %v", r.Status, r.ActionPayload)
				}
				return
			case r.MessageID == 0:
				t.Fatalf("no message: %s %s", r.Status, r.Error)
			}
			m, err := s.Get(t.Context(), 1, &personnel.Message, r.MessageID)
			if err != nil {
				t.Fatal(err)
			}
			var to any
			if text := m.Text("recipients"); text != "" {
				if to, err = value.Decode([]byte(text)); err != nil {
					t.Fatal(err)
				}
			}
			if m.Text("message") != tc.want || !value.Identical(to, tc.to) {
				t.Errorf("message %q to %v, want %q to %v", m.Text("message"), to, tc.want, tc.to)
			}
			if made, _ := r.ActionPayload.Get("created_message_id"); made != r.MessageID {
				t.Errorf("logged %v", r.ActionPayload)
			}
		})
	}
}

func TestUpdate(t *testing.T) {
	byID := func(expression string, fields ...any) []any {
		return []any{"model_update_lookup_type", "expression", "model_update_lookup_expression", expression, "model_update_fields", value.Map(fields...)}
	}
	by := func(conditions *value.Array, fields ...any) []any {
		return []any{"model_update_lookup_type", "query", "model_update_lookup_conditions", conditions, "model_update_fields", value.Map(fields...)}
	}
	for _, tc := range []struct {
		name   string
		fields []any
		want   string // the notes afterwards, or with ! a part of the error
	}{
		{"by id", byID("model.id", "notes", "{{ target.notes }}+{{ model.id }}"), "b+1"},
		{"by numeric text", byID(`"1"`, "notes", "n"), "n"},
		{"by float", byID(`1.9`, "notes", "n"), "n"},
		{"by query", by(value.Map("email", "{{ 'JANE'|lower }}@example.com", "name", "{{ model.name }}"), "notes", "n"), "n"},
		{"null", append(byID("1", "notes", "{{ null }}"), "typed_values", true), ""},
		{"null as it is", byID("1", "notes", nil), ""},
		{"number as text", byID("1", "notes", "007"), "007"},
		{"number in PERSCOM", append(byID("1", "rank_id", "{{ '1' }}"), "perscom_compatible", true), "!rank_id"},
		{"not found", byID("99", "notes", "n"), "!there is no user with the id 99"},
		{"no id", byID(`"x"`, "notes", "n"), "!must give the id"},
		{"expression fails", byID(`model["nope"]`, "notes", "n"), "!model_update_lookup_expression"},
		{"none found", by(value.Map("name", "nobody"), "notes", "n"), "!no user was found"},
		{"unknown column", by(value.Map("nmae", "x"), "notes", "n"), "!model_update_lookup_conditions"},
		{"guarded", byID("1", "email", "evil@example.com"), "!cannot be changed"},
		{"hidden", byID("1", "password", "x"), "!cannot be changed"},
		{"key", byID("1", "id", "5"), "!cannot be changed"},
		{"guarded is dropped in PERSCOM", append(byID("1", "email", "x", "notes", "n"), "perscom_compatible", true), "n"},
		{"nothing left", append(byID("1", "email", "x"), "perscom_compatible", true), "!no field is left"},
		{"no such rank", byID("1", "rank_id", "77"), "!rank_id"},
		{"no such field", byID("1", "nope", "x"), "!there is no custom field"},
		{"template error", byID("1", "notes", "{{ 1 // 0 }}"), "!model_update_fields.notes"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s, clock := storetest.New(t)
			r := one(t, s, clock, append([]any{"action_type", "model_update", "model_update_target", "user"}, tc.fields...)...)
			u, err := s.Get(t.Context(), 1, &personnel.User, 1)
			if err != nil {
				t.Fatal(err)
			}
			if strings.HasPrefix(tc.want, "!") {
				if r.Status != bugle.RunFailed || !strings.Contains(r.Error+r.ErrorField, tc.want[1:]) || u.Text("notes") != "b" {
					t.Errorf("%s: %s at %s", r.Status, r.Error, r.ErrorField)
				}
				return
			}
			if r.Status != bugle.RunExecuted || u.Text("notes") != tc.want || r.ResourceKind != "user" || r.ResourceID != 1 {
				t.Errorf("%s %s: notes %q, want %q", r.Status, r.Error, u.Text("notes"), tc.want)
			}
			if was, _ := r.ActionPayload.Get("original_values"); was == nil {
				t.Errorf("logged %v", r.ActionPayload)
			}
		})
	}
}

// Higher priorities go first, equal ones by age; one that fails does not stop the others.
func TestDispatcher_order(t *testing.T) {
	s, clock := storetest.New(t)
	user := storetest.Create(t, s, &personnel.User, "name", "Jane", "email", "jane@example.com")
	var want []int64
	for _, priority := range []int{0, 5, -5, 5} {
		a := add(t, s, "trigger", "user.updated", "priority", priority, "action_type", "message", "message_channels", value.List("database"),
			"message_content", "x", "message_recipients_expression", map[bool]string{true: "1", false: `model["nope"]`}[priority != 5])
		want = append(want, a.ID)
	}
	storetest.Update(t, s, &personnel.User, user.ID(), "notes", "x")
	log := settle(t, s, clock)
	for i, at := range []int{1, 3, 0, 2} {
		if log[i].AutomationID != want[at] {
			t.Errorf("run %d is of automation %d, want %d", i, log[i].AutomationID, want[at])
		}
	}
	if log[0].Status != bugle.RunFailed || log[3].Status != bugle.RunExecuted {
		t.Errorf("first %s, last %s", log[0].Status, log[3].Status)
	}
}

// What conditions and templates see is the resource at the time of the event, although it has changed
// since, or is gone.
func TestContext_snapshot(t *testing.T) {
	s, clock := storetest.New(t)
	hook := storetest.AddWebhook(t, s, "https://example.com", func(w *bugle.Webhook) { w.Events = nil })
	storetest.Create(t, s, &personnel.CustomField, "name", "Points", "key", "points", "type", "number", "cast", "integer", "applies_to", value.List("users"))
	template := value.Map("name", "{{ model.name }}", "points", "{{ changes.points.old ?? '-' }}>{{ changes.points.new ?? '-' }}")
	add(t, s, "trigger", "user.updated", "webhook_id", hook.ID, "webhook_payload_format", "json", "webhook_payload_template", template)
	add(t, s, "trigger", "user.deleted", "webhook_id", hook.ID, "webhook_payload_format", "json", "webhook_payload_template", template, "condition", `model.name == "C"`)
	user := storetest.Create(t, s, &personnel.User, "name", "A", "email", "jane@example.com", "points", 1)
	storetest.Update(t, s, &personnel.User, user.ID(), "name", "B", "points", 2)
	storetest.Update(t, s, &personnel.User, user.ID(), "name", "C")
	storetest.Delete(t, s, &personnel.User, user.ID())
	log := settle(t, s, clock)
	for i, want := range []string{`{"name":"B","points":"1>2"}`, `{"name":"C","points":"->-"}`, `{"name":"C","points":"->-"}`} {
		if got := sentBody(t, s, log[i]); got != want {
			t.Errorf("sent %s, want %s", got, want)
		}
	}
}

// Ten automations, each on what the one before did, end when more than eight have acted.
func TestLoop_depth(t *testing.T) {
	s, clock := storetest.New(t)
	user := storetest.Create(t, s, &personnel.User, "name", "Jane", "email", "jane@example.com", "notes", "0")
	for i := range 12 {
		add(t, s, "trigger", "user.updated", "condition", fmt.Sprintf(`new_value("notes") == "%d"`, i), "action_type", "model_update", "model_update_target", "user",
			"model_update_lookup_type", "expression", "model_update_lookup_expression", "model.id", "model_update_fields", value.Map("notes", fmt.Sprint(i+1)))
	}
	add(t, s, "trigger", "user.updated", "condition", "false", "action_type", "message", "message_channels", value.List("database"), "message_content", "x")
	storetest.Update(t, s, &personnel.User, user.ID(), "notes", "")
	storetest.Update(t, s, &personnel.User, user.ID(), "notes", "0")
	counts := map[bugle.RunStatus]int{}
	var stopped *store.LoggedRun
	for _, r := range settle(t, s, clock) {
		counts[r.Status]++
		if r.Status == bugle.RunLoopStopped {
			stopped = r
		}
	}
	if counts[bugle.RunExecuted] != bugle.MaxDepth+1 || counts[bugle.RunLoopStopped] != 1 || !strings.Contains(stopped.Error, "[1 2 3 4 5 6 7 8 9]") {
		t.Errorf("runs %v, stopped: %+v", counts, stopped)
	}
}

// Everything else that can trigger itself stops after the first time.
func TestLoop_message(t *testing.T) {
	s, clock := storetest.New(t)
	add(t, s, "trigger", "message.created", "action_type", "message", "message_channels", value.List("slack"), "message_content", "again: {{ model.message }}")
	storetest.Create(t, s, &personnel.Message, "message", "x", "channels", value.List("slack"))
	log := settle(t, s, clock)
	if len(log) != 2 || log[0].Status != bugle.RunExecuted || log[1].Status != bugle.RunLoopStopped || log[1].Chain.Depth != 1 {
		t.Errorf("%d runs, last %+v", len(log), log[len(log)-1])
	}
}

// A run is of its automation as it is when the run's turn comes; one that was disabled meanwhile does
// nothing, and says so.
func TestDispatcher_changedMeanwhile(t *testing.T) {
	s, clock := storetest.New(t)
	edited := add(t, s, "trigger", "user.created", "action_type", "message", "message_channels", value.List("slack"), "message_content", "old")
	disabled := add(t, s, "trigger", "user.created", "action_type", "message", "message_channels", value.List("slack"), "message_content", "x")
	deleted := add(t, s, "trigger", "user.created", "action_type", "message", "message_channels", value.List("slack"), "message_content", "x")
	storetest.Create(t, s, &personnel.User, "name", "Jane", "email", "jane@example.com")
	storetest.Change(t, s, func(tx *store.Tx) error {
		edited.MessageContent, disabled.Enabled = "new", false
		if err := tx.SaveAutomation(edited); err != nil {
			return err
		}
		if err := tx.SaveAutomation(disabled); err != nil {
			return err
		}
		return tx.DeleteAutomation(1, deleted.ID)
	})
	log := settle(t, s, clock)
	if text, _ := log[0].ActionPayload.Get("message_content"); len(log) != 2 || text != "new" || log[1].Status != bugle.RunFailed || !strings.Contains(log[1].Error, "disabled") {
		t.Errorf("%d runs: %+v, %+v", len(log), log[0], log[1])
	}
}

// A change that is refused leaves no run.
func TestDispatcher_rolledBack(t *testing.T) {
	s, clock := storetest.New(t)
	add(t, s, "trigger", "user.created", "action_type", "message", "message_channels", value.List("slack"), "message_content", "x")
	err := s.Update(t.Context(), func(tx *store.Tx) error {
		if _, err := tx.Create(storetest.Actor(), &personnel.User, value.Map("name", "Jane", "email", "jane@example.com")); err != nil {
			return err
		}
		return fmt.Errorf("no")
	})
	if err == nil || len(settle(t, s, clock)) != 0 {
		t.Errorf("%v, but there are runs", err)
	}
}

// Run wakes up for what is committed, and ends what it has begun before it returns.
func TestDispatcher_Run(t *testing.T) {
	s, clock := storetest.New(t)
	d := dispatch.NewDispatcher(s, dispatch.Options{Clock: clock})
	ended := make(chan struct{}, 100)
	add(t, s, "trigger", "user.created", "action_type", "message", "message_channels", value.List("slack"), "message_content", "x")
	s.Notify(func(c store.Committed) {
		if c.Sendings {
			ended <- struct{}{}
		}
	})
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		d.Run(ctx)
	}()
	for i := range 10 {
		storetest.Create(t, s, &personnel.User, "name", "Jane", "email", fmt.Sprintf("jane%d@example.com", i))
		<-ended
	}
	stop()
	<-done
	if log := settle(t, s, clock); len(log) != 10 {
		t.Errorf("%d runs, want 10", len(log))
	}
}
