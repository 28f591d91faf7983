package api

import (
	"fmt"
	"net/http"
	"strconv"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/internal/dispatch"
	"github.com/buglehq/bugle/internal/store"
	"github.com/buglehq/bugle/value"
)

// automations is the collection of automations.
func (s *server) automations() collection[*bugle.Automation] {
	return collection[*bugle.Automation]{
		path:  "automations",
		scope: "automation",
		words: words{one: "Automation", many: "Automations", tag: "Automations", schema: "Automation", filters: []string{"trigger", "action_type", "enabled"}},
		list: func(q *request, p store.PageRequest) (store.Page[*bugle.Automation], error) {
			f, err := automationFilter(q)
			if err != nil {
				return store.Page[*bugle.Automation]{}, err
			}
			return s.store.Automations(q.Context(), q.actor.OrganizationID, f, p)
		},
		search: func(q *request, p store.PageRequest, body *value.Array) (store.Page[*bugle.Automation], error) {
			f, err := automationSearch(body)
			if err != nil {
				return store.Page[*bugle.Automation]{}, err
			}
			return s.store.Automations(q.Context(), q.actor.OrganizationID, f, p)
		},
		show: func(q *request, id int64) (*bugle.Automation, error) {
			return s.store.Automation(q.Context(), q.actor.OrganizationID, id)
		},
		create: func(q *request, tx *store.Tx, fields *value.Array) (*bugle.Automation, error) {
			a := bugle.NewAutomation()
			a.OrganizationID = q.actor.OrganizationID
			if err := dispatch.SetAutomation(tx, &a, fields, true); err != nil {
				return nil, err
			}
			return &a, tx.AddAutomation(&a)
		},
		update: func(q *request, tx *store.Tx, id int64, fields *value.Array) (*bugle.Automation, error) {
			a, err := tx.Automation(q.actor.OrganizationID, id)
			if err != nil {
				return nil, err
			}
			if err := dispatch.SetAutomation(tx, a, fields, false); err != nil {
				return nil, err
			}
			return a, tx.SaveAutomation(a)
		},
		delete: func(q *request, tx *store.Tx, id int64) (*bugle.Automation, error) {
			a, err := tx.Automation(q.actor.OrganizationID, id)
			if err != nil {
				return nil, err
			}
			return a, tx.DeleteAutomation(q.actor.OrganizationID, id)
		},
		answer: func(q *request, list []*bugle.Automation, _ bool) (*value.Array, error) {
			ids := make([]int64, len(list))
			for i, a := range list {
				ids[i] = a.ID
			}
			counts, err := s.store.CountRuns(q.Context(), ids)
			if err != nil {
				return nil, err
			}
			items := value.NewArray(len(list))
			for _, a := range list {
				items.Append(automationData(a, counts[a.ID]))
			}
			return items, nil
		},
	}
}

// automationFilter reads the filters in the query.
func automationFilter(q *request) (f store.AutomationFilter, err error) {
	in := q.filters()
	f.Trigger = in.query.Get("trigger")
	f.ActionType = bugle.ActionType(in.word("action_type", wordsOfType(bugle.ActionTypes)...))
	if text := in.word("enabled", "true", "false"); text != "" {
		enabled := text == "true"
		f.Enabled = &enabled
	}
	return f, in.invalid.Err()
}

// automationSearch reads the body of a search: a text, and filters of trigger, action_type and enabled.
func automationSearch(body *value.Array) (f store.AutomationFilter, err error) {
	f.Text, err = searchedText(body)
	if err != nil {
		return f, err
	}
	err = equalities(body, map[string]func(v any) bool{
		"trigger":     func(v any) bool { text, ok := v.(string); f.Trigger = text; return ok },
		"action_type": func(v any) bool { text, ok := v.(string); f.ActionType = bugle.ActionType(text); return ok },
		"enabled":     func(v any) bool { enabled, ok := v.(bool); f.Enabled = &enabled; return ok },
	})
	return f, err
}

// automationData renders an automation and how many runs it has had.
func automationData(a *bugle.Automation, runs int) *value.Array {
	orNull := func(text string) any {
		if text == "" {
			return nil
		}
		return text
	}
	object := func(fields *value.Array) any {
		if fields.Len() == 0 {
			return nil
		}
		return fields
	}
	var webhook, channels any
	if a.WebhookID != 0 {
		webhook = a.WebhookID
	}
	if len(a.MessageChannels) > 0 {
		list := value.NewArray(len(a.MessageChannels))
		for _, name := range a.MessageChannels {
			list.Append(name)
		}
		channels = list
	}
	return value.Map(
		"id", a.ID, "name", a.Name, "description", orNull(a.Description), "trigger", a.Trigger, "condition", orNull(a.Condition),
		"action_type", string(a.ActionType), "webhook_id", webhook, "webhook_payload_template", a.PayloadTemplate,
		"webhook_payload_format", string(a.PayloadFormat), "message_channels", channels, "message_content", orNull(a.MessageContent),
		"message_recipients_expression", orNull(a.MessageRecipients), "message_rrule", orNull(a.MessageRRule),
		"model_update_target", orNull(a.UpdateTarget), "model_update_lookup_type", orNull(string(a.UpdateLookup)),
		"model_update_lookup_expression", orNull(a.UpdateLookupExpression), "model_update_lookup_conditions", object(a.UpdateLookupConditions),
		"model_update_fields", object(a.UpdateFields), "typed_values", a.TypedValues, "perscom_compatible", a.PerscomCompatible,
		"enabled", a.Enabled, "priority", int64(a.Priority), "logs_count", int64(runs),
		"created_at", bugle.FormatTime(a.CreatedAt), "updated_at", bugle.FormatTime(a.UpdatedAt))
}

// automationActions adds what can be done with automations beside the usual verbs, and their templates.
func (s *server) automationActions() {
	about := func(id, summary, answer, body string) doc {
		return doc{id: id, summary: summary, tag: "Automations", status: http.StatusOK, answer: answer, body: body}
	}
	s.handle("automations/preview", methods{"POST": {"view:automation", s.previewAutomation, about("previewAutomation", "Try an automation without acting", "AutomationPreview", "AutomationPreview")}})
	reference := about("getAutomationReference", "Get what automations can be written with", "AutomationReferenceData", "")
	reference.query, reference.fails = []string{"trigger_wanted"}, []int{http.StatusUnprocessableEntity}
	s.handle("automations/reference", methods{"GET": {"view:automation", s.showReference, reference}})
	s.handle("automations/{id}/backtest", methods{"POST": {"view:automation", s.backtestAutomation, about("backtestAutomation", "Try an automation on past events", "AutomationBacktest", "AutomationBacktest")}})
	s.handle("automation-templates", methods{"GET": {"view:automation", s.listTemplates, about("listAutomationTemplates", "List templates of automations", "AutomationTemplateList", "")}})
}

func (s *server) previewer() *dispatch.Previewer {
	return &dispatch.Previewer{Store: s.store, Clock: s.o.Clock}
}

// partData renders what became of a part, null if it was not asked for.
func partData(p *dispatch.Part) any {
	if p == nil {
		return nil
	}
	warnings := value.NewArray(len(p.Warnings))
	for _, w := range p.Warnings {
		warnings.Append(value.Map("path", w.Path, "message", w.Message, "refused", w.Refused))
	}
	var failure any
	if p.Err != nil {
		message, field, line, column := p.Problem()
		failure = value.Map("message", message, "field", field, "line", int64(line), "column", int64(column))
	}
	return value.Map("valid", p.Valid(), "result", p.Result, "skipped", p.Skipped, "error", failure, "warnings", warnings)
}

// previewAutomation tries the parts of an automation that the body has, whatever its action is.
func (s *server) previewAutomation(q *request) error {
	fields, err := q.body()
	if err != nil {
		return err
	}
	draft, err := dispatch.ReadDraft(q.actor.OrganizationID, fields)
	if err != nil {
		return err
	}
	made, err := s.previewer().PreviewDraft(q.Context(), draft)
	if err != nil {
		return err
	}
	return q.data(http.StatusOK, previewData(made))
}

// previewData renders a preview, with null for parts that were not asked for.
func previewData(p *dispatch.Preview) *value.Array {
	with := func(part *dispatch.Part, name string, v any) any {
		data := partData(part)
		if fields, ok := data.(*value.Array); ok {
			fields.Set(name, v)
		}
		return data
	}
	var eventID, target any
	if p.EventID != 0 {
		eventID = p.EventID
	}
	if p.Target != 0 {
		target = p.Target
	}
	return value.Map("condition", with(p.Condition, "parts", listData(p.Parts, conditionPartData)), "payload", partData(p.Payload), "message", partData(p.Message),
		"recipients", partData(p.Recipient), "fields", with(p.Fields, "target_id", target), "context", p.Context.Data(), "event_id", eventID)
}

// backtestAutomation tries an automation on the events of its trigger from since until until.
func (s *server) backtestAutomation(q *request) error {
	id, err := q.id()
	if err != nil {
		return err
	}
	fields, err := q.body()
	if err != nil {
		return err
	}
	a, err := s.store.Automation(q.Context(), q.actor.OrganizationID, id)
	if err != nil {
		return err
	}
	since, until, err := dispatch.ReadPeriod(fields)
	if err != nil {
		return err
	}
	made, err := s.previewer().Summarize(q.Context(), a, since, until)
	if err != nil {
		return err
	}
	counts := value.NewArray(4)
	for _, status := range []bugle.RunStatus{bugle.RunExecuted, bugle.RunConditionFailed, bugle.RunFailed, bugle.RunLoopStopped} {
		counts.Set(string(status), int64(made.Counts[status]))
	}
	return q.data(http.StatusOK, value.Map("complete", made.Complete, "events", int64(made.Events), "counts", counts, "items", listData(made.Trials, trialData)))
}

func trialData(t dispatch.Trial) *value.Array {
	var holds any
	if t.Run.ConditionResult != nil {
		holds = *t.Run.ConditionResult
	}
	return value.Map("event_id", t.Event.ID, "created_at", bugle.FormatTime(t.Event.CreatedAt), "status", string(t.Run.Status),
		"condition_result", holds, "result", t.Result, "error", errorData(dispatch.ErrorOf(t.Run)))
}

// errorData renders what went wrong with a run, or null.
func errorData(e *dispatch.RunError) any {
	if e == nil {
		return nil
	}
	return value.Map("message", e.Message, "field", e.Field, "line", int64(e.Line), "column", int64(e.Column))
}

func (s *server) listTemplates(q *request) error {
	all := dispatch.Templates()
	items := value.NewArray(len(all))
	for _, t := range all {
		items.Append(templateData(t))
	}
	return q.data(http.StatusOK, items)
}

func templateData(t dispatch.Template) *value.Array {
	needs := value.NewArray(len(t.Prerequisites))
	for _, need := range t.Prerequisites {
		needs.Append(need)
	}
	return value.Map("key", t.Key, "name", t.Name, "description", t.Description, "category", t.Category, "prerequisites", needs, "values", t.Values)
}

// causeHeader lets a client say what its request answers to, so that automations notice loops through it.
const causeHeader = "X-Bugle-Cause"

// cause reads the header: the webhook-id of a delivery, or evt_ and the id of an event.
func (q *request) cause() error {
	text := q.Request.Header.Get(causeHeader)
	if text == "" || q.key == nil || q.Method == http.MethodGet || q.Method == http.MethodHead {
		return nil
	}
	wrong := badRequest(fmt.Sprintf("The header %s must be the webhook-id of a delivery, such as msg_12, or an event such as evt_7, not %.40q.", causeHeader, text))
	if len(text) < 5 {
		return wrong
	}
	id, err := strconv.ParseInt(text[4:], 10, 64)
	if err != nil || id <= 0 {
		return wrong
	}
	switch text[:4] {
	case "msg_":
		d, err := q.server.store.Delivery(q.Context(), q.actor.OrganizationID, id)
		if isNotFound(err) {
			return wrong
		} else if err != nil {
			return err
		}
		id = d.EventID
	case "evt_":
	default:
		return wrong
	}
	e, err := q.server.store.Event(q.Context(), q.actor.OrganizationID, id)
	if isNotFound(err) {
		return wrong
	} else if err != nil {
		return err
	}
	q.actor.Chain = e.Next(0, 0)
	return nil
}
