package api

import (
	"net/http"
	"slices"
	"strings"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/internal/store"
	"github.com/buglehq/bugle/personnel"
	"github.com/buglehq/bugle/value"
)

// automationLogs adds the routes of the runs' log.
func (s *server) automationLogs() {
	list := doc{id: "listAutomationLogs", summary: "List runs of automations", tag: "Automations", status: http.StatusOK, answer: "AutomationLogPage",
		query: slices.Concat(paging, runFilters)}
	s.handle("automation-logs", methods{"GET": {"view:automation", s.listRuns, list}})
	s.handle("automation-logs/{id}", methods{"GET": {"view:automation", s.showRun,
		doc{id: "getAutomationLog", summary: "Get a run with its context", tag: "Automations", status: http.StatusOK, answer: "AutomationLogDetailData"}}})
}

// runFilters are the parameters that listRuns reads.
var runFilters = []string{"automation_id", "event_id", "run_status", "trigger", "since", "until"}

func (s *server) listRuns(q *request) error {
	in := q.filters()
	f := store.RunFilter{AutomationID: in.number("automation_id"), EventID: in.number("event_id"), Trigger: in.query.Get("trigger"),
		Since: in.time("since"), Until: in.time("until"), Status: bugle.RunStatus(in.word("status", wordsOfType(bugle.RunStatuses)...))}
	if err := in.invalid.Err(); err != nil {
		return err
	}
	page, err := s.store.Runs(q.Context(), q.actor.OrganizationID, f, q.page())
	if err != nil {
		return err
	}
	items := value.NewArray(len(page.Items))
	for _, r := range page.Items {
		items.Append(runData(r))
	}
	return q.list(items, page.Number, page.Limit, page.Total)
}

// showRun answers with a run, what its condition and templates saw, and what the condition's parts were.
func (s *server) showRun(q *request) error {
	id, err := q.id()
	if err != nil {
		return err
	}
	r, err := s.store.Run(q.Context(), q.actor.OrganizationID, id)
	if err != nil {
		return err
	}
	data := runData(r)
	seen, err := s.previewer().ContextOf(q.Context(), q.actor.OrganizationID, r.EventID, r.EvaluatedAt)
	if err != nil {
		return err
	}
	parts, err := s.previewer().Explain(q.Context(), &r.Run)
	if err != nil {
		return err
	}
	data.Set("context", seen.Data())
	data.Set("condition_parts", listData(parts, conditionPartData))
	return q.data(http.StatusOK, data)
}

// runData renders a run as lists have it.
func runData(r *store.LoggedRun) *value.Array {
	id := func(n int64) any {
		if n == 0 {
			return nil
		}
		return n
	}
	text := func(t string) any {
		if t == "" {
			return nil
		}
		return t
	}
	var subject, causer, holds, payload any
	if k := personnel.ByName(r.SubjectKind); k != nil {
		subject = k.Model()
	}
	if r.CauserID != 0 {
		causer = personnel.User.Model()
	}
	if r.ConditionResult != nil {
		holds = *r.ConditionResult
	}
	if r.ActionPayload != nil {
		payload = r.ActionPayload
	}
	ended := r.EvaluatedAt
	if ended.IsZero() {
		ended = r.CreatedAt
	}
	return value.Map(
		"id", r.ID, "automation_id", r.AutomationID, "automation", r.Automation, "trigger", r.Trigger, "subject_type", subject,
		"subject_id", id(r.SubjectID), "causer_type", causer, "causer_id", id(r.CauserID), "status", string(r.Status),
		"condition_expression", text(strings.TrimSpace(r.Condition)), "condition_result", holds, "action_payload", payload,
		"error_message", text(r.Error), "error_field", text(r.ErrorField), "error_line", id(int64(r.ErrorLine)), "error_column", id(int64(r.ErrorColumn)),
		"execution_time_ms", r.Took.Milliseconds(), "event_id", r.EventID, "delivery_id", id(r.DeliveryID), "message_id", id(r.MessageID),
		"resource_kind", text(r.ResourceKind), "resource_id", id(r.ResourceID), "chain", chainData(r.Chain),
		"created_at", bugle.FormatTime(r.CreatedAt), "updated_at", bugle.FormatTime(ended))
}
