package api

import (
	"net/http"
	"time"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/internal/store"
	"github.com/buglehq/bugle/personnel"
	"github.com/buglehq/bugle/value"
)

// subscribable are the events that a webhook may name.
var subscribable = personnel.Subscribable()

// webhooks is the collection of webhooks.
func (s *server) webhooks() collection[*bugle.Webhook] {
	return collection[*bugle.Webhook]{
		path:  "webhooks",
		scope: "webhook",
		words: words{one: "Webhook", many: "Webhooks", tag: "Webhooks", schema: "Webhook", filters: []string{"webhook_status", "event"}},
		list: func(q *request, p store.PageRequest) (store.Page[*bugle.Webhook], error) {
			in := q.filters()
			f := store.WebhookFilter{Status: bugle.WebhookStatus(in.word("status", wordsOfType(bugle.WebhookStatuses)...)), Event: in.query.Get("event")}
			if err := in.invalid.Err(); err != nil {
				return store.Page[*bugle.Webhook]{}, err
			}
			return s.store.Webhooks(q.Context(), q.actor.OrganizationID, f, p)
		},
		search: func(q *request, p store.PageRequest, body *value.Array) (store.Page[*bugle.Webhook], error) {
			f, err := webhookSearch(body)
			if err != nil {
				return store.Page[*bugle.Webhook]{}, err
			}
			return s.store.Webhooks(q.Context(), q.actor.OrganizationID, f, p)
		},
		show: func(q *request, id int64) (*bugle.Webhook, error) {
			return s.store.Webhook(q.Context(), q.actor.OrganizationID, id)
		},
		create: func(q *request, tx *store.Tx, fields *value.Array) (*bugle.Webhook, error) {
			w := bugle.NewWebhook()
			w.OrganizationID = q.actor.OrganizationID
			if err := w.Set(fields, true, subscribable); err != nil {
				return nil, err
			}
			if err := s.o.Guard.CheckTargets(&w); err != nil {
				return nil, err
			}
			return &w, tx.AddWebhook(&w)
		},
		update: func(q *request, tx *store.Tx, id int64, fields *value.Array) (*bugle.Webhook, error) {
			w, err := tx.Webhook(q.actor.OrganizationID, id)
			if err != nil {
				return nil, err
			}
			before := w.URL
			if err := w.Set(fields, false, subscribable); err != nil {
				return nil, err
			}
			if w.URL != before {
				if err := s.o.Guard.CheckTargets(w); err != nil {
					return nil, err
				}
			}
			return w, tx.SaveWebhook(w)
		},
		delete: func(q *request, tx *store.Tx, id int64) (*bugle.Webhook, error) {
			w, err := tx.Webhook(q.actor.OrganizationID, id)
			if err != nil {
				return nil, err
			}
			return w, tx.DeleteWebhook(q.actor.OrganizationID, id)
		},
		answer: func(q *request, list []*bugle.Webhook, new bool) (*value.Array, error) {
			items := value.NewArray(len(list))
			for _, w := range list {
				items.Append(webhookData(w, new))
			}
			return items, nil
		},
	}
}

// webhookSearch reads the body of a search: a text, and filters of status, method and event.
func webhookSearch(body *value.Array) (f store.WebhookFilter, err error) {
	f.Text, err = searchedText(body)
	if err != nil {
		return f, err
	}
	err = equalities(body, map[string]func(v any) bool{
		"status": func(v any) bool { text, ok := v.(string); f.Status = bugle.WebhookStatus(text); return ok },
		"method": func(v any) bool { text, ok := v.(string); f.Method = text; return ok },
		"event":  func(v any) bool { text, ok := v.(string); f.Event = text; return ok },
	})
	return f, err
}

// webhookData renders a webhook, its secret in full or masked.
func webhookData(w *bugle.Webhook, inFull bool) *value.Array {
	events := value.NewArray(len(w.Events))
	for _, name := range w.Events {
		events.Append(name)
	}
	schedule := value.NewArray(len(w.RetrySchedule))
	for _, seconds := range w.RetrySchedule {
		schedule.Append(int64(seconds))
	}
	var headers, description, rate any
	if len(w.Headers) > 0 {
		named := value.NewArray(len(w.Headers))
		for _, h := range w.Headers {
			if !inFull {
				h = bugle.MaskHeader(h)
			}
			named.Set(h.Name, h.Value)
		}
		headers = named
	}
	if w.Description != "" {
		description = w.Description
	}
	if w.RatePerSecond > 0 {
		rate = w.RatePerSecond
	}
	secret := w.Secret
	if !inFull {
		secret = bugle.Mask(secret)
	}
	return value.Map(
		"id", w.ID, "name", w.Name, "description", description, "url", w.URL, "method", w.Method, "events", events,
		"secret", secret, "status", string(w.Status), "timeout_seconds", int64(w.TimeoutSeconds), "max_attempts", int64(w.MaxAttempts),
		"retry_schedule", schedule, "max_concurrency", int64(w.MaxConcurrency), "rate_per_second", rate, "ordered", w.Ordered,
		"headers", headers, "field_policy", policyData(w), "created_at", bugle.FormatTime(w.CreatedAt), "updated_at", bugle.FormatTime(w.UpdatedAt),
		"health", healthData(w))
}

func policyData(w *bugle.Webhook) *value.Array {
	rules := value.NewArray(len(w.FieldPolicy))
	for _, r := range w.FieldPolicy {
		rules.Append(r.Value())
	}
	return rules
}

func healthData(w *bugle.Webhook) *value.Array {
	h := w.Health
	return value.Map(
		"state", string(h.State()), "consecutive_failures", int64(h.ConsecutiveFailures),
		"last_success_at", timeOrNull(h.LastSuccessAt), "last_failure_at", timeOrNull(h.LastFailureAt),
		"disable_at", timeOrNull(w.DisablesAt))
}

func timeOrNull(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return bugle.FormatTime(t)
}

// webhookActions adds what can be done with a webhook beside the usual verbs.
func (s *server) webhookActions() {
	action := func(name, method, scope string, d doc, handle func(q *request, id int64) error) {
		d.tag = "Webhooks"
		s.handle("webhooks/{id}/"+name, methods{method: {scope, func(q *request) error {
			id, err := q.id()
			if err != nil {
				return err
			}
			return handle(q, id)
		}, d}})
	}
	action("test", "POST", "update:webhook", doc{id: "testWebhook", summary: "Send a test", status: http.StatusAccepted, answer: "DeliveryData", body: "WebhookTest",
		fails: []int{http.StatusConflict}}, s.testWebhook)
	action("secret", "GET", "update:webhook", doc{id: "getWebhookSecret", summary: "Get the secret", status: http.StatusOK, answer: "SecretData"}, s.showSecret)
	action("rotate-secret", "POST", "update:webhook", doc{id: "rotateWebhookSecret", summary: "Replace the secret", status: http.StatusOK, answer: "WebhookData", body: "SecretRotation"}, s.rotateSecret)
	action("feed", "GET", "view:webhook", doc{id: "getWebhookFeed", summary: "Pull what the webhook was to get", status: http.StatusOK, answer: "Feed",
		about: "It needs the scope `view:delivery` too.", query: []string{"after", "feed_limit"}, fails: []int{http.StatusUnprocessableEntity}}, s.feed)
	action("replay", "POST", "update:delivery", doc{id: "replayWebhook", summary: "Send a part of the past again", status: http.StatusAccepted, answer: "ReplayData", body: "Replay",
		fails: []int{http.StatusConflict}}, s.startReplay)
	action("replays", "GET", "view:delivery", doc{id: "listWebhookReplays", summary: "List the replays of a webhook", status: http.StatusOK, answer: "ReplayPage", query: paging}, s.webhookReplays)
	for _, change := range []struct {
		name string
		of   func(w *bugle.Webhook) error
	}{
		{"pause", (*bugle.Webhook).Pause}, {"resume", (*bugle.Webhook).Resume},
		{"disable", (*bugle.Webhook).Disable}, {"enable", (*bugle.Webhook).Enable},
	} {
		does := doc{id: change.name + "Webhook", summary: title(change.name) + " a webhook", status: http.StatusOK, answer: "WebhookData",
			fails: []int{http.StatusConflict}}
		action(change.name, "POST", "update:webhook", does, func(q *request, id int64) error {
			return s.changeWebhook(q, id, false, func(w *bugle.Webhook, _ time.Time) error { return change.of(w) })
		})
	}
}

// changeWebhook lets change edit a webhook, and answers with it.
func (s *server) changeWebhook(q *request, id int64, inFull bool, change func(w *bugle.Webhook, now time.Time) error) error {
	var w *bugle.Webhook
	err := s.store.Update(q.Context(), func(tx *store.Tx) (err error) {
		if w, err = tx.Webhook(q.actor.OrganizationID, id); err != nil {
			return err
		}
		if err := change(w, tx.Now()); err != nil {
			return err
		}
		return tx.SaveWebhook(w)
	})
	if err != nil {
		return err
	}
	return q.data(http.StatusOK, webhookData(w, inFull))
}

// testWebhook sends a webhook.test with the payload, {"status":"ok"} unless given, and answers 202
// with its delivery.
func (s *server) testWebhook(q *request, id int64) error {
	fields, err := q.body()
	if err != nil {
		return err
	}
	payload, given := fields.Get("payload")
	if !given {
		payload = value.Map("status", "ok")
	}
	var d *bugle.Delivery
	err = s.store.Update(q.Context(), func(tx *store.Tx) error {
		deliveryID, err := tx.SendTest(q.actor, id, payload)
		if err != nil {
			return err
		}
		d, err = tx.Delivery(q.actor.OrganizationID, deliveryID)
		return err
	})
	if err != nil {
		return err
	}
	return q.data(http.StatusAccepted, deliveryData(d))
}

func (s *server) showSecret(q *request, id int64) error {
	w, err := s.store.Webhook(q.Context(), q.actor.OrganizationID, id)
	if err != nil {
		return err
	}
	var old, until any
	if w.OldSecret != "" && s.o.Clock.Now().Before(w.OldSecretUntil) {
		old, until = w.OldSecret, bugle.FormatTime(w.OldSecretUntil)
	}
	return q.data(http.StatusOK, value.Map("secret", w.Secret, "old_secret", old, "old_secret_until", until))
}

// rotateSecret gives a webhook a new secret, random unless given. The old one signs beside it for
// keep_old_seconds, a day unless given.
func (s *server) rotateSecret(q *request, id int64) error {
	fields, err := q.body()
	if err != nil {
		return err
	}
	secret, keep, err := bugle.ReadRotation(fields)
	if err != nil {
		return err
	}
	return s.changeWebhook(q, id, true, func(w *bugle.Webhook, now time.Time) error { return w.RotateSecret(secret, keep, now) })
}
