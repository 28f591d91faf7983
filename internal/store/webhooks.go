package store

import (
	"context"
	"fmt"
	"time"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/value"
)

const webhookColumns = `w.id, w.organization_id, w.name, w.description, w.url, w.method, w.secret, w.old_secret, w.old_secret_us,
	w.status, w.timeout_seconds, w.max_attempts, w.retry_schedule, w.max_concurrency, w.rate_per_second, w.ordered, w.headers,
	w.created_us, w.updated_us, w.channel, w.settings, l.consecutive_failures, l.last_success_us, l.last_failure_us,
	l.failing_since_us, l.told_us, l.warned_us, l.gone_us, o.disable_after_days, o.held_us <> 0,
	COALESCE(p.rules, '[]'), COALESCE(p.version, 1), w.sealed`

const fromWebhooks = ` FROM webhooks w JOIN lanes l ON l.webhook_id = w.id JOIN organizations o ON o.id = w.organization_id
	LEFT JOIN field_policies p ON p.webhook_id = w.id `

// scanWebhook reads a webhook, and what is encrypted of it; nil: nothing is yet.
func scanWebhook(scan func(to ...any) error) (_ *bugle.Webhook, sealed []byte, _ error) {
	var w bugle.Webhook
	var oldSecret, created, updated, success, failure, failing, told, warned, gone int64
	var disableAfter int
	var schedule, headers, settings, rules string
	err := scan(&w.ID, &w.OrganizationID, &w.Name, &w.Description, &w.URL, &w.Method, &w.Secret, &w.OldSecret, &oldSecret,
		&w.Status, &w.TimeoutSeconds, &w.MaxAttempts, &schedule, &w.MaxConcurrency, &w.RatePerSecond, &w.Ordered, &headers,
		&created, &updated, &w.Channel, &settings, &w.Health.ConsecutiveFailures, &success, &failure,
		&failing, &told, &warned, &gone, &disableAfter, &w.Held, &rules, &w.PolicyVersion, &sealed)
	if err != nil {
		return nil, nil, err
	}
	w.OldSecretUntil, w.CreatedAt, w.UpdatedAt = fromMicroseconds(oldSecret), fromMicroseconds(created), fromMicroseconds(updated)
	w.Health.LastSuccessAt, w.Health.LastFailureAt, w.Health.FailingSince = fromMicroseconds(success), fromMicroseconds(failure), fromMicroseconds(failing)
	w.Incident = bugle.Incident{ToldAt: fromMicroseconds(told), WarnedAt: fromMicroseconds(warned), GoneAt: fromMicroseconds(gone)}
	w.DisablesAt = w.DisableAt(time.Duration(disableAfter) * 24 * time.Hour)
	if err := decodeList(schedule, func(v any) {
		seconds, _ := v.(int64)
		w.RetrySchedule = append(w.RetrySchedule, int(seconds))
	}); err != nil {
		return nil, nil, fmt.Errorf("retry schedule of webhook %d: %w", w.ID, err)
	}
	if w.FieldPolicy, err = decodeRules(rules); err != nil {
		return nil, nil, fmt.Errorf("field policy of webhook %d: %w", w.ID, err)
	}
	if sealed != nil {
		return &w, sealed, nil
	}
	pairs, err := value.Decode([]byte(headers))
	if err != nil {
		return nil, nil, fmt.Errorf("headers of webhook %d: %w", w.ID, err)
	}
	list, _ := pairs.(*value.Array)
	w.Headers = headersOf(list)
	if w.Channel != "" {
		decoded, err := value.Decode([]byte(settings))
		if err != nil {
			return nil, nil, fmt.Errorf("settings of the channel %s of organization %d: %w", w.Channel, w.OrganizationID, err)
		}
		w.Settings, _ = decoded.(*value.Array)
	}
	return &w, nil, nil
}

func decodeList(text string, item func(any)) error {
	decoded, err := value.Decode([]byte(text))
	if err != nil {
		return err
	}
	list, _ := decoded.(*value.Array)
	for _, v := range list.All() {
		item(v)
	}
	return nil
}

func encodeList(items ...any) (string, error) {
	text, err := value.JSON(value.List(items...))
	return string(text), err
}

// selectWebhooks returns the webhooks that a condition selects, with their events.
func selectWebhooks(ctx context.Context, c conn, where string, args ...any) ([]*bugle.Webhook, error) {
	var list []*bugle.Webhook
	byID := map[int64]*bugle.Webhook{}
	var ids []int64
	var seals [][]byte
	err := c.each(ctx, func(scan func(to ...any) error) error {
		w, sealed, err := scanWebhook(scan)
		if err != nil {
			return err
		}
		seals = append(seals, sealed)
		w.Events = []string{}
		list, byID[w.ID], ids = append(list, w), w, append(ids, w.ID)
		return nil
	}, "SELECT "+webhookColumns+fromWebhooks+where, args...)
	if err != nil || len(ids) == 0 {
		return list, err
	}
	for i, w := range list {
		if seals[i] == nil {
			continue
		}
		if err := c.seals.openWebhook(ctx, w, seals[i]); err != nil {
			return nil, err
		}
	}
	err = c.each(ctx, func(scan func(to ...any) error) error {
		var id int64
		var event string
		err := scan(&id, &event)
		byID[id].Events = append(byID[id].Events, event)
		return err
	}, "SELECT webhook_id, event FROM webhook_events WHERE "+inIDs("webhook_id", 1)+" ORDER BY event", idList(ids))
	return list, err
}

func findWebhook(ctx context.Context, c conn, where string, args ...any) (*bugle.Webhook, error) {
	list, err := selectWebhooks(ctx, c, where, args...)
	if err != nil {
		return nil, fmt.Errorf("read webhook: %w", err)
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("webhook: %w", bugle.ErrNotFound)
	}
	return list[0], nil
}

// Webhook returns a webhook of the organization, or bugle.ErrNotFound.
func (s *Store) Webhook(ctx context.Context, organizationID, id int64) (*bugle.Webhook, error) {
	return findWebhook(ctx, s.view(), "WHERE w.organization_id = $1 AND w.id = $2 AND w.channel = ''", organizationID, id)
}

// Webhook is that of Store, within the transaction.
func (tx *Tx) Webhook(organizationID, id int64) (*bugle.Webhook, error) {
	return findWebhook(context.Background(), tx.view(), "WHERE w.organization_id = $1 AND w.id = $2 AND w.channel = ''", organizationID, id)
}

// A WebhookFilter narrows a list of webhooks; what is zero does not.
type WebhookFilter struct {
	Status bugle.WebhookStatus
	Method string
	Event  string // that it subscribes to
	Text   string // a part of the name, the description or the URL, in either case

	Sort       string // name, status or created; empty: created
	Descending bool
}

// webhookOrders are the columns that lists can be sorted by.
var webhookOrders = map[string]string{"name": "LOWER(w.name)", "status": "w.status", "created": "w.id"}

// order returns the clause that sorts a list. What is the same in it stays oldest first.
func (f *WebhookFilter) order() string {
	column, known := webhookOrders[f.Sort]
	if !known {
		column = "w.id"
	}
	if f.Descending {
		column += " DESC"
	}
	return " ORDER BY " + column + ", w.id"
}

// Webhooks returns a page of the organization's webhooks, oldest first unless they are sorted.
func (s *Store) Webhooks(ctx context.Context, organizationID int64, f WebhookFilter, p PageRequest) (Page[*bugle.Webhook], error) {
	page := Page[*bugle.Webhook]{Number: p.Number, Limit: p.Limit}
	where := newWhere("w.organization_id", organizationID)
	where.addPlain("w.channel = ''")
	if f.Status != "" {
		where.add("w.status = $%d", string(f.Status))
	}
	if f.Method != "" {
		where.add("w.method = $%d", f.Method)
	}
	if f.Event != "" {
		where.add("w.id IN (SELECT webhook_id FROM webhook_events WHERE event = $%d)", f.Event)
	}
	if f.Text != "" {
		where.addText(f.Text, "w.name", "w.description", "w.url")
	}
	c := s.view()
	var err error
	page.Total, page.More, err = c.countTo(ctx, p.CountTo, " FROM webhooks w"+where.String(), where.args...)
	if err == nil {
		condition := where.String() + f.order() + where.limit(p)
		page.Items, err = selectWebhooks(ctx, c, condition, where.args...)
	}
	if err != nil {
		return page, fmt.Errorf("list webhooks: %w", err)
	}
	return page, nil
}

// WebhooksByID returns those of the organization's webhooks that are there.
func (s *Store) WebhooksByID(ctx context.Context, organizationID int64, ids []int64) ([]*bugle.Webhook, error) {
	list, err := selectWebhooks(ctx, s.view(), "WHERE w.organization_id = $1 AND w.channel = '' AND "+inIDs("w.id", 2), organizationID, idList(ids))
	if err != nil {
		return nil, fmt.Errorf("read webhooks: %w", err)
	}
	return list, nil
}

// LaneWebhook returns a webhook, or the lane of a channel, by its id alone, for the delivery engine. While its organization
// is held it is paused, whatever its own status is.
func (s *Store) LaneWebhook(ctx context.Context, id int64) (*bugle.Webhook, error) {
	w, err := findWebhook(ctx, s.view(), "WHERE w.id = $1", id)
	if err == nil && w.Held && w.Status == bugle.Active {
		w.Status = bugle.Paused
	}
	return w, err
}

// lastEvent is the newest event: those after it are matched with the webhook as it is then.
const lastEvent = "(SELECT COALESCE(MAX(id), 0) FROM events)"

// AddWebhook writes a new webhook and gives it its id and times. It returns a *bugle.QuotaError if the organization has as
// many as it may.
func (tx *Tx) AddWebhook(w *bugle.Webhook) error {
	if w.Channel == "" {
		if err := tx.admitOne(w.OrganizationID, "webhooks", countWebhooks); err != nil {
			return err
		}
	}
	w.CreatedAt, w.UpdatedAt = tx.now, tx.now
	schedule, err := encodeSchedule(w)
	if err != nil {
		return fmt.Errorf("add webhook: %w", err)
	}
	err = tx.one([]any{&w.ID}, `
		INSERT INTO webhooks (organization_id, name, description, url, method, secret, old_secret, old_secret_us, status,
		    timeout_seconds, max_attempts, retry_schedule, max_concurrency, rate_per_second, ordered, headers, created_us, updated_us,
		    channel, changed_event_id)
		VALUES ($1, $2, $3, $4, $5, '', '', $6, $7, $8, $9, $10, $11, $12, $13, '[]', $14, $15, $16, `+lastEvent+`)
		RETURNING id`,
		w.OrganizationID, w.Name, w.Description, w.URL, w.Method, microseconds(w.OldSecretUntil), w.Status,
		w.TimeoutSeconds, w.MaxAttempts, schedule, w.MaxConcurrency, w.RatePerSecond, w.Ordered, w.CreatedAt.UnixMicro(), w.UpdatedAt.UnixMicro(),
		w.Channel)
	if err == nil {
		err = tx.sealWebhook(w)
	}
	if err != nil {
		return fmt.Errorf("add webhook: %w", err)
	}
	if err := tx.exec("INSERT INTO lanes (webhook_id) VALUES ($1)", w.ID); err != nil {
		return fmt.Errorf("add lane: %w", err)
	}
	if err := tx.savePolicy(nil, w); err != nil {
		return err
	}
	if err := tx.subscribe(w); err != nil || w.Channel != "" { // nobody has set anything of a channel yet
		return err
	}
	return tx.auditChange(w.OrganizationID, "webhook.created", webhookSubject(w), nil, webhookAttributes(w))
}

// SaveWebhook writes a webhook that is there already, or returns bugle.ErrNotFound.
func (tx *Tx) SaveWebhook(w *bugle.Webhook) error {
	w.UpdatedAt = tx.now
	before, err := findWebhook(context.Background(), tx.view(), "WHERE w.id = $1 AND w.organization_id = $2", w.ID, w.OrganizationID)
	if err != nil {
		return fmt.Errorf("save webhook %d: %w", w.ID, err)
	}
	schedule, err := encodeSchedule(w)
	if err != nil {
		return fmt.Errorf("save webhook %d: %w", w.ID, err)
	}
	n, err := tx.count(`
		UPDATE webhooks
		SET    name = $1, description = $2, url = $3, method = $4, old_secret_us = $5, status = $6,
		       timeout_seconds = $7, max_attempts = $8, retry_schedule = $9, max_concurrency = $10, rate_per_second = $11,
		       ordered = $12, updated_us = $13, changed_event_id = `+lastEvent+`
		WHERE  id = $14 AND organization_id = $15`,
		w.Name, w.Description, w.URL, w.Method, microseconds(w.OldSecretUntil), w.Status,
		w.TimeoutSeconds, w.MaxAttempts, schedule, w.MaxConcurrency, w.RatePerSecond, w.Ordered, w.UpdatedAt.UnixMicro(),
		w.ID, w.OrganizationID)
	if err != nil {
		return fmt.Errorf("save webhook %d: %w", w.ID, err)
	}
	if n == 0 {
		return fmt.Errorf("save webhook %d: %w", w.ID, bugle.ErrNotFound)
	}
	if err := tx.sealWebhook(w); err != nil {
		return fmt.Errorf("save webhook %d: %w", w.ID, err)
	}
	if err := tx.savePolicy(before, w); err != nil {
		return err
	}
	if err := tx.exec("DELETE FROM webhook_events WHERE webhook_id = $1", w.ID); err != nil {
		return fmt.Errorf("save webhook %d: %w", w.ID, err)
	}
	tx.committed.Webhooks = append(tx.committed.Webhooks, w.ID)
	if err := tx.subscribe(w); err != nil {
		return err
	}
	return tx.auditUpdate(before, w)
}

// auditUpdate tells the audit log of what has changed of a webhook or channel.
func (tx *Tx) auditUpdate(before, after *bugle.Webhook) error {
	subject := webhookSubject(after)
	return tx.auditChange(after.OrganizationID, auditAction(subject, "updated"), subject, webhookAttributes(before), webhookAttributes(after))
}

func encodeSchedule(w *bugle.Webhook) (string, error) {
	seconds := make([]any, len(w.RetrySchedule))
	for i, s := range w.RetrySchedule {
		seconds[i] = int64(s)
	}
	return encodeList(seconds...)
}

func (tx *Tx) subscribe(w *bugle.Webhook) error {
	for _, event := range w.Events {
		err := tx.exec("INSERT INTO webhook_events (organization_id, event, webhook_id) VALUES ($1, $2, $3)", w.OrganizationID, event, w.ID)
		if err != nil {
			return fmt.Errorf("subscribe webhook %d: %w", w.ID, err)
		}
	}
	return nil
}

// DeleteWebhook removes a webhook. Its deliveries stay as its log; those that are pending are
// cancelled by the delivery engine.
func (tx *Tx) DeleteWebhook(organizationID, id int64) error {
	w, err := tx.Webhook(organizationID, id)
	if err != nil {
		return fmt.Errorf("delete webhook %d: %w", id, err)
	}
	n, err := tx.count("DELETE FROM webhooks WHERE id = $1 AND organization_id = $2 AND channel = ''", id, organizationID)
	if err != nil {
		return fmt.Errorf("delete webhook %d: %w", id, err)
	}
	if n == 0 {
		return fmt.Errorf("webhook %d: %w", id, bugle.ErrNotFound)
	}
	tx.committed.Webhooks = append(tx.committed.Webhooks, id)
	return tx.auditChange(organizationID, "webhook.deleted", webhookSubject(w), webhookAttributes(w), nil)
}

// Now is the time of the transaction, in UTC to the microsecond.
func (tx *Tx) Now() time.Time { return tx.now }
