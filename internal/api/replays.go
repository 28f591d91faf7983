package api

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/internal/store"
	"github.com/buglehq/bugle/personnel"
	"github.com/buglehq/bugle/value"
)

// replays adds what sends the past again. Those of one webhook are with the actions of webhooks.
func (s *server) replays() {
	about := func(id, summary, answer string, more ...int) doc {
		return doc{id: id, summary: summary, tag: "Replays", status: http.StatusOK, answer: answer, fails: more}
	}
	list := about("listReplays", "List replays", "ReplayPage")
	list.query = paging
	s.handle("replays", methods{"GET": {"view:delivery", func(q *request) error { return s.listReplays(q, 0) }, list}})
	s.handle("replays/{id}", methods{"GET": {"view:delivery", s.showReplay, about("getReplay", "Get a replay and how far it is", "ReplayData")}})
	s.handle("replays/{id}/cancel", methods{"POST": {"update:delivery", s.cancelReplay, about("cancelReplay", "Stop a replay", "ReplayData", http.StatusConflict)}})
}

func (s *server) listReplays(q *request, webhookID int64) error {
	page, err := s.store.Replays(q.Context(), q.actor.OrganizationID, webhookID, q.page())
	if err != nil {
		return err
	}
	items := value.NewArray(len(page.Items))
	for _, r := range page.Items {
		items.Append(replayData(r))
	}
	return q.list(items, page.Number, page.Limit, page.Total)
}

func (s *server) showReplay(q *request) error {
	id, err := q.id()
	if err != nil {
		return err
	}
	r, err := s.store.Replay(q.Context(), q.actor.OrganizationID, id)
	if err != nil {
		return err
	}
	return q.data(http.StatusOK, replayData(r))
}

func (s *server) cancelReplay(q *request) error {
	id, err := q.id()
	if err != nil {
		return err
	}
	var r *store.Replay
	err = s.store.Update(q.Context(), func(tx *store.Tx) (err error) {
		r, err = tx.CancelReplay(q.actor.OrganizationID, id)
		return err
	})
	if err != nil {
		return err
	}
	return q.data(http.StatusOK, replayData(r))
}

// webhookReplays answers with the replays that were asked for of one webhook.
func (s *server) webhookReplays(q *request, id int64) error {
	if _, err := s.store.Webhook(q.Context(), q.actor.OrganizationID, id); err != nil {
		return err
	}
	return s.listReplays(q, id)
}

// startReplay begins to send a part of a webhook's past again, and answers 202 with the replay.
func (s *server) startReplay(q *request, id int64) error {
	fields, err := q.body()
	if err != nil {
		return err
	}
	if _, err := s.store.Webhook(q.Context(), q.actor.OrganizationID, id); err != nil {
		return err
	}
	r := &store.Replay{OrganizationID: q.actor.OrganizationID}
	if err := readReplay(fields, r); err != nil {
		return err
	}
	r.Filter.WebhookID = id
	if err := s.store.StartReplay(q.Context(), r); err != nil {
		return err
	}
	return q.data(http.StatusAccepted, replayData(r))
}

// replayed are the states of deliveries that can be sent again.
var replayed = []bugle.DeliveryState{bugle.Failed, bugle.Cancelled, bugle.Delivered}

// readReplay reads since, until, states, events and missing.
func readReplay(fields *value.Array, r *store.Replay) error {
	var invalid bugle.InvalidError
	moment := func(name string, to *time.Time) {
		v, _ := fields.Get(name)
		if v == nil {
			return
		}
		text, _ := v.(string)
		at, ok := personnel.ParseTime(text)
		if !ok {
			invalid.Add(name, "The %s field must be a time such as 2026-01-31T18:00:00Z, not %s.", name, value.Describe(v))
		}
		*to = at
	}
	words := func(name, what string, allowed []string) (list []string, given bool) {
		v, given := fields.Get(name)
		if v == nil {
			return nil, false
		}
		items, ok := v.(*value.Array)
		if !ok || !items.IsList() {
			invalid.Add(name, "The %s field must be a list, not %s.", name, value.Describe(v))
			return nil, given
		}
		for i, item := range items.All() {
			word, _ := item.(string)
			switch {
			case !slices.Contains(allowed, word):
				invalid.Add(name+"."+i.String(), "The %s field must hold %s, not %s.", name, what, value.Describe(item))
			case !slices.Contains(list, word):
				list = append(list, word)
			}
		}
		return list, given
	}
	f := &r.Filter
	moment("since", &f.Since)
	moment("until", &f.Until)
	if !f.Since.IsZero() && !f.Until.IsZero() && !f.Since.Before(f.Until) {
		invalid.Add("until", "The until field must be later than since.")
	}
	if v, given := fields.Get("missing"); given {
		is, ok := v.(bool)
		if !ok {
			invalid.Add("missing", "The missing field must be true or false, not %s.", value.Describe(v))
		}
		r.Missing = is
	}
	if r.Missing && f.Since.IsZero() {
		invalid.Add("since", "The since field is required with missing: from when on events are to be made up for.")
	}
	states, given := words("states", strings.Join(wordsOfType(replayed), ", ")+" (what is pending is sent anyway)", wordsOfType(replayed))
	for _, state := range states {
		f.States = append(f.States, bugle.DeliveryState(state))
	}
	switch {
	case !given:
		f.States = []bugle.DeliveryState{bugle.Failed}
	case len(states) == 0 && !r.Missing && len(invalid.Problems) == 0:
		invalid.Add("states", "The states field must hold at least one of %s, unless missing is true.", strings.Join(wordsOfType(replayed), ", "))
	}
	f.Events, _ = words("events", "names of events such as rankrecord.created", append(slices.Clip(subscribable), bugle.TestEvent, bugle.DigestEvent))
	return invalid.Err()
}

// replayData renders a replay.
func replayData(r *store.Replay) *value.Array {
	texts := func(list []string) any {
		if len(list) == 0 {
			return nil
		}
		items := value.NewArray(len(list))
		for _, text := range list {
			items.Append(text)
		}
		return items
	}
	states := slices.Clone(r.Filter.States)
	if r.Filter.State != "" {
		states = append(states, r.Filter.State)
	}
	events := slices.Clone(r.Filter.Events)
	if r.Filter.Event != "" {
		events = append(events, r.Filter.Event)
	}
	var webhook, total, failure any
	if r.Filter.WebhookID != 0 {
		webhook = r.Filter.WebhookID
	}
	if !r.More {
		total = int64(r.Total)
	}
	if r.Error != "" {
		failure = r.Error
	}
	return value.Map("id", r.ID, "webhook_id", webhook, "state", string(r.State), "since", timeOrNull(r.Filter.Since), "until", timeOrNull(r.Filter.Until),
		"states", texts(wordsOfType(states)), "events", texts(events), "missing", r.Missing, "total", total, "done", int64(r.Done()),
		"redelivered", int64(r.Redelivered), "skipped", int64(r.Skipped), "added", int64(r.Added), "error", failure,
		"created_at", bugle.FormatTime(r.CreatedAt), "updated_at", bugle.FormatTime(r.UpdatedAt), "finished_at", timeOrNull(r.FinishedAt))
}

// replays adds what is asked for and answered about replays.
func (c *componentSet) replays() {
	whole := func(description string) *value.Array { return annotated(typed("integer"), description) }
	states := value.Map("type", "array", "items", value.Map("type", "string", "enum", value.List("failed", "cancelled", "delivered")))
	anyOf := func(list *value.Array, description string) *value.Array {
		return annotated(nullable(list), description)
	}
	running := value.NewArray(len(store.ReplayStates))
	for _, state := range store.ReplayStates {
		running.Append(string(state))
	}
	properties := value.Map("id", typed("integer"), "webhook_id", annotated(nullable(typed("integer")), "Null: deliveries of all webhooks."),
		"state", value.Map("type", "string", "enum", running), "since", nullable(moment()), "until", nullable(moment()),
		"states", anyOf(listOf(value.Map("type", "string", "enum", deliveryStates())), "Null: any."), "events", anyOf(listOf(typed("string")), "Null: any."), "missing", typed("boolean"),
		"total", annotated(nullable(typed("integer")), "How many deliveries there were at the start; null: too many to count."), "done", whole("How many of them were looked at."),
		"redelivered", typed("integer"), "skipped", whole("They were owed already, or their webhook was deleted."), "added", whole("Deliveries of events that the webhook had got nothing of."),
		"error", nullable(typed("string")), "created_at", moment(), "updated_at", moment(), "finished_at", nullable(moment()))
	r := &store.Replay{ID: 1, State: store.ReplayRunning, Total: 1200, Redelivered: 300, CreatedAt: exampleMoment, UpdatedAt: exampleMoment,
		Filter: store.DeliveryFilter{WebhookID: 1, Since: exampleMoment, States: []bugle.DeliveryState{bugle.Failed}}}
	c.schema("ReplayResource", closed(properties), replayData(r))
	c.page("Replay", "ReplayResource", replayData(r))
	c.answer("ReplayData", "The replay.", closed(value.Map("data", schemaRef("ReplayResource"))), value.Map("data", replayData(r)))
	c.body("Replay", false, value.Map("type", "object", "properties", value.Map(
		"since", annotated(nullable(moment()), "Deliveries made then or later."), "until", annotated(nullable(moment()), "Deliveries made before; now unless given."),
		"states", annotated(nullable(states), "As they stand now; `failed` unless given."),
		"events", annotated(nullable(listOf(typed("string"))), "Names; any unless given."),
		"missing", value.Map("type", "boolean", "default", false, "description", "Make deliveries too of events that the webhook subscribes to and got nothing of, because it was not there yet or disabled."))),
		value.Map("since", personnel.ExampleTime, "states", value.List("failed")))
}
