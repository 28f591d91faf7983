package api

import (
	"net/http"
	"slices"
	"strings"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/expression"
	"github.com/buglehq/bugle/internal/dispatch"
	"github.com/buglehq/bugle/internal/store"
	"github.com/buglehq/bugle/personnel"
	"github.com/buglehq/bugle/value"
)

// events adds the kinds of events that there are, and the log of those that there were.
func (s *server) events() {
	about := func(id, summary, answer string, query ...string) doc {
		d := doc{id: id, summary: summary, tag: "Events Log", status: http.StatusOK, answer: answer, query: query}
		if len(query) > 0 {
			d.fails = []int{http.StatusUnprocessableEntity}
		}
		return d
	}
	s.handle("event-types", methods{"GET": {"view:event-type", s.listEventTypes, about("listEventTypes", "List the events that there are", "EventTypeList")}})
	s.handle("event-log", methods{"GET": {"view:event-log", s.listEvents, about("listEventLog", "List events", "EventLogPage", slices.Concat(paging, eventFilters)...)}})
	s.handle("event-log/{id}", methods{"GET": {"view:event-log", s.showEvent, about("getEventLog", "Get an event with what came of it, and why", "EventLogDetailData")}})
}

// eventFilters are the parameters that listEvents reads.
var eventFilters = []string{"event_name", "resource_kind", "resource_id", "request_id", "since", "until"}

// eventTypeData describes an event of the catalogue.
func eventTypeData(name string) *value.Array {
	stem, verb, _ := strings.Cut(name, ".")
	group, description, example := "Webhook", "An admin asked for a test of the webhook.", testExample()
	schema := value.Map("$ref", "/spec.json#/components/schemas/Envelope")
	if k := personnel.ByName(stem); k != nil {
		what := withArticle(typeName(k))
		group, description, example = k.Class, strings.ToUpper(what[:1])+what[1:]+" was "+verb+".", envelopeExample(k, verb)
		schema = value.Map("$ref", "/spec.json#/components/schemas/"+typeName(k)+"Resource")
	}
	return value.Map("name", name, "group", group, "description", description, "schema", schema, "example", example)
}

func (s *server) listEventTypes(q *request) error {
	items := value.NewArray(len(subscribable))
	for _, name := range subscribable {
		items.Append(eventTypeData(name))
	}
	return q.data(http.StatusOK, items)
}

func (s *server) listEvents(q *request) error {
	in := q.filters()
	f := store.EventFilter{Name: in.query.Get("name"), ResourceKind: in.query.Get("resource_kind"), ResourceID: in.number("resource_id"),
		RequestID: in.query.Get("request_id"), Since: in.time("since"), Until: in.time("until")}
	if err := in.invalid.Err(); err != nil {
		return err
	}
	page, err := s.store.Events(q.Context(), q.actor.OrganizationID, f, q.page())
	if err != nil {
		return err
	}
	items := value.NewArray(len(page.Items))
	for _, e := range page.Items {
		items.Append(eventData(e))
	}
	return q.list(items, page.Number, page.Limit, page.Total)
}

// eventData renders an event as lists have it.
func eventData(e *store.LoggedEvent) *value.Array {
	var kind, id any
	if e.ResourceKind != "" {
		kind, id = e.ResourceKind, e.ResourceID
	}
	return value.Map("id", e.ID, "name", e.Name, "resource_kind", kind, "resource_id", id, "request_id", e.RequestID, "trace_id", e.TraceID,
		"chain", chainData(e.Chain), "created_at", bugle.FormatTime(e.CreatedAt), "deliveries_count", int64(e.Deliveries), "runs_count", int64(e.Runs))
}

// chainData renders a chain, null for that of an event that nothing caused.
func chainData(c bugle.Chain) any {
	if c.Root == 0 {
		return nil
	}
	automations := value.NewArray(len(c.Automations))
	for _, id := range c.Automations {
		automations.Append(id)
	}
	return value.Map("root", c.Root, "depth", int64(c.Depth), "automations", automations)
}

// showEvent answers with an event, its envelope, what changed, and what each webhook and automation made
// of it.
func (s *server) showEvent(q *request) error {
	id, err := q.id()
	if err != nil {
		return err
	}
	e, err := s.store.EventWithCounts(q.Context(), q.actor.OrganizationID, id)
	if err != nil {
		return err
	}
	envelope, err := value.Decode(e.Envelope)
	if err != nil {
		return err
	}
	changes := value.NewArray(len(e.Causes))
	for _, c := range e.Causes {
		changes.Set(c.Attribute, value.Map("old", c.Old, "new", c.New))
	}
	reasons, err := s.previewer().Why(q.Context(), e)
	if err != nil {
		return err
	}
	why := value.NewArray(len(reasons))
	for _, reason := range reasons {
		why.Append(reasonData(reason))
	}
	data := eventData(e)
	data.Set("envelope", envelope)
	data.Set("changes", changes)
	data.Set("why", why)
	return q.data(http.StatusOK, data)
}

// reasonData renders what a webhook or automation made of an event.
func reasonData(r dispatch.Reason) *value.Array {
	orNull := func(n int64) any {
		if n == 0 {
			return nil
		}
		return n
	}
	var result, condition any
	if r.Result != nil {
		result = *r.Result
	}
	if r.Condition != "" {
		condition = r.Condition
	}
	parts := value.NewArray(len(r.Parts))
	for _, part := range r.Parts {
		parts.Append(conditionPartData(part))
	}
	return value.Map("type", r.Type, "id", r.ID, "name", r.Name, "outcome", string(r.Outcome), "delivery_id", orNull(r.DeliveryID),
		"automation_log_id", orNull(r.RunID), "condition", condition, "condition_result", result, "error", errorData(r.Error), "parts", parts, "text", r.Text)
}

// conditionPartData renders a part of a condition, with its value as JSON that may be cut.
func conditionPartData(p expression.Part) *value.Array {
	var shown any
	if p.Evaluated {
		shown = dispatch.Brief(p.Value)
	}
	return value.Map("source", p.Source, "line", int64(p.Line), "column", int64(p.Column), "value", shown, "evaluated", p.Evaluated, "failed", p.Failed)
}
