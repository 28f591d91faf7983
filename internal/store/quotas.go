package store

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/buglehq/bugle"
)

const (
	quotasKept  = 10 * time.Second // how long what is decided for organizations is remembered: another process may decide
	countAgain  = time.Minute      // after which pending deliveries are counted anew, for what was made without being counted
	backlogWait = time.Second      // how long an organization that has too many pending is refused more without counting again
	backlogTry  = 30 * time.Second // when somebody may try again who was refused for pending deliveries
)

// quotas are what each organization may use, remembered for a while.
type quotas struct {
	defaults bugle.Quotas

	mu      sync.Mutex
	choices map[int64]bugle.QuotaChoice
	readAt  time.Time           // zero: not yet, or they have changed
	full    map[int64]time.Time // organizations that have too many deliveries pending: until when that is not counted again
}

// of returns what an organization may use.
func (q *quotas) of(ctx context.Context, c conn, organizationID int64, now time.Time) (bugle.Quotas, error) {
	choices, age := q.remembered(now)
	if age < 0 || age > quotasKept {
		var err error
		if choices, err = selectQuotas(ctx, c); err != nil {
			return bugle.Quotas{}, err
		}
		q.mu.Lock()
		q.choices, q.readAt = choices, now
		q.mu.Unlock()
	}
	return choices[organizationID].Over(q.defaults), nil
}

// remembered returns the choices as they were read last, not to be changed, and how long ago; negative: they were not.
func (q *quotas) remembered(now time.Time) (map[int64]bugle.QuotaChoice, time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.readAt.IsZero() {
		return nil, -1
	}
	return q.choices, now.Sub(q.readAt)
}

func (q *quotas) forget() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.readAt, q.full = time.Time{}, nil
}

// isFull reports whether an organization was found to have too many pending a moment ago.
func (q *quotas) isFull(organizationID int64, now time.Time) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	until, found := q.full[organizationID]
	if found && (now.After(until) || until.Sub(now) > backlogWait) {
		delete(q.full, organizationID)
		return false
	}
	return found
}

func (q *quotas) fill(organizationID int64, now time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.full == nil {
		q.full = map[int64]time.Time{}
	}
	q.full[organizationID] = now.Add(backlogWait)
}

func selectQuotas(ctx context.Context, c conn) (map[int64]bugle.QuotaChoice, error) {
	all := map[int64]bugle.QuotaChoice{}
	err := c.each(ctx, func(scan func(to ...any) error) error {
		var id int64
		limits := make([]*int64, len(bugle.QuotaNames))
		to := []any{&id}
		for i := range limits {
			to = append(to, &limits[i])
		}
		err := scan(to...)
		all[id] = bugle.QuotaChoice{}
		for i, name := range bugle.QuotaNames {
			if limits[i] != nil {
				all[id][name] = *limits[i]
			}
		}
		return err
	}, "SELECT organization_id, "+strings.Join(bugle.QuotaNames, ", ")+" FROM quotas")
	if err != nil {
		return nil, fmt.Errorf("read quotas: %w", err)
	}
	return all, nil
}

// QuotaChoices returns what is decided for single organizations, by their id.
func (s *Store) QuotaChoices(ctx context.Context) (map[int64]bugle.QuotaChoice, error) {
	return selectQuotas(ctx, s.view())
}

// QuotaChoices is the store's, as the transaction sees it.
func (tx *Tx) QuotaChoices() (map[int64]bugle.QuotaChoice, error) {
	return selectQuotas(context.Background(), tx.view())
}

// Quotas returns what an organization may use. What another process decides holds here within ten seconds.
func (s *Store) Quotas(ctx context.Context, organizationID int64) (bugle.Quotas, error) {
	return s.quotas.of(ctx, s.view(), organizationID, s.now())
}

// SetQuotas decides about an organization in place of what was decided before. It returns bugle.ErrNotFound if there is none.
func (tx *Tx) SetQuotas(organizationID int64, choice bugle.QuotaChoice) error {
	o, err := findOrganization(context.Background(), tx.view(), organizationID)
	if err != nil {
		return err
	}
	before, err := selectQuotas(context.Background(), tx.view())
	if err != nil {
		return err
	}
	args := []any{organizationID}
	var set []string
	for _, name := range bugle.QuotaNames {
		var limit any
		if n, ok := choice[name]; ok {
			limit = n
		}
		args, set = append(args, limit), append(set, name+" = excluded."+name)
	}
	err = tx.exec("INSERT INTO quotas (organization_id, "+strings.Join(bugle.QuotaNames, ", ")+") VALUES ("+parameters(1, len(args))+
		") ON CONFLICT (organization_id) DO UPDATE SET "+strings.Join(set, ", "), args...)
	if err == nil {
		err = tx.exec("DELETE FROM quota_usage WHERE organization_id = $1", organizationID) // with another quota nothing may have been counted
	}
	if err != nil {
		return fmt.Errorf("set quotas of organization %d: %w", organizationID, err)
	}
	tx.w.store.quotas.forget()
	return tx.auditChange(organizationID, "quotas.updated", organizationSubject(o), quotaAttributes(before[organizationID]), quotaAttributes(choice))
}

// admitOne refuses one more of what there are few of, in a table.
func (tx *Tx) admitOne(organizationID int64, name, query string) error {
	q, err := tx.w.store.quotas.of(context.Background(), tx.view(), organizationID, tx.now)
	if err != nil {
		return err
	}
	limit := *q.Of(name)
	if limit == 0 {
		return nil
	}
	var n int64
	if err := tx.one([]any{&n}, query, organizationID); err != nil {
		return fmt.Errorf("count %s: %w", name, err)
	}
	if n >= limit {
		return &bugle.QuotaError{Quota: name, Limit: limit}
	}
	return nil
}

const (
	countWebhooks    = "SELECT COUNT(*) FROM webhooks WHERE organization_id = $1 AND channel = ''"
	countAutomations = "SELECT COUNT(*) FROM automations WHERE organization_id = $1"

	// useQuota counts an event, $2 is the minute, and $3 the deliveries that were made of it.
	useQuota = `
		INSERT INTO quota_usage (organization_id, minute, events, pending, counted_us)
		VALUES ($1, $2, 1, $3, 0)
		ON CONFLICT (organization_id) DO UPDATE
		SET    events = CASE WHEN quota_usage.minute = excluded.minute THEN quota_usage.events + 1 ELSE 1 END,
		       minute = excluded.minute, pending = quota_usage.pending + excluded.pending
		RETURNING events, pending, counted_us`

	// countPending counts what webhooks of an organization are owed, each up to %[1]d due and as many retries, by the
	// indexes of what is owed.
	countPending = `
		SELECT COALESCE(SUM((SELECT COUNT(*) FROM (SELECT 1 FROM deliveries WHERE state = 0 AND webhook_id = w.id LIMIT %[1]d) AS due) +
		                    (SELECT COUNT(*) FROM (SELECT 1 FROM deliveries WHERE state = 1 AND webhook_id = w.id LIMIT %[1]d) AS retrying)), 0)
		FROM   webhooks w
		WHERE  w.organization_id = $1`
)

// charge counts an event that was just written, with the deliveries made of it, and returns a *bugle.QuotaError if the
// organization may not have it. Only who asks from outside is held to quotas: what follows from what was accepted must
// not be lost.
func (tx *Tx) charge(a Actor, deliveries int) error {
	if !a.Limited {
		return nil
	}
	all := &tx.w.store.quotas
	q, err := all.of(context.Background(), tx.view(), a.OrganizationID, tx.now)
	if err != nil || q.Events == 0 && q.Backlog == 0 {
		return err
	}
	minute := tx.now.Unix() / 60
	var events, pending, counted int64
	if err := tx.one([]any{&events, &pending, &counted}, useQuota, a.OrganizationID, minute, deliveries); err != nil {
		return fmt.Errorf("count for quotas: %w", err)
	}
	if q.Events > 0 && events > q.Events {
		return &bugle.QuotaError{Quota: "events", Limit: q.Events, Wait: time.Unix(60*(minute+1), 0).Sub(tx.now)}
	}
	if q.Backlog == 0 || deliveries == 0 {
		return nil
	}
	tooMany := &bugle.QuotaError{Quota: "backlog", Limit: q.Backlog, Wait: backlogTry}
	age := tx.now.Sub(fromMicroseconds(counted))
	if pending <= q.Backlog && counted > 0 && age >= 0 && age < countAgain {
		return nil
	}
	if all.isFull(a.OrganizationID, tx.now) {
		return tooMany
	}
	if pending, err = tx.view().pending(a.OrganizationID, q.Backlog); err != nil {
		return err
	}
	if pending > q.Backlog {
		all.fill(a.OrganizationID, tx.now)
		return tooMany
	}
	err = tx.exec("UPDATE quota_usage SET pending = $1, counted_us = $2 WHERE organization_id = $3", pending, tx.now.UnixMicro(), a.OrganizationID)
	if err != nil {
		return fmt.Errorf("count for quotas: %w", err)
	}
	return nil
}

// onCount is called for each count of pending deliveries; by tests.
var onCount = func() {}

// pending counts what an organization is owed, up to about a limit.
func (c conn) pending(organizationID, limit int64) (n int64, err error) {
	onCount()
	if err := c.one(context.Background(), []any{&n}, fmt.Sprintf(countPending, limit+1), organizationID); err != nil {
		return 0, fmt.Errorf("count pending deliveries of organization %d: %w", organizationID, err)
	}
	return n, nil
}

// Usage returns how much an organization uses of what quotas are of, uploaded files excepted. Of pending deliveries each
// webhook has up to about MaxBacklog counted, or the quota if that is more.
func (s *Store) Usage(ctx context.Context, organizationID int64) (bugle.Quotas, error) {
	var u bugle.Quotas
	q, err := s.Quotas(ctx, organizationID)
	if err != nil {
		return u, err
	}
	c := s.view()
	err = c.one(ctx, []any{&u.Webhooks, &u.Automations, &u.Events}, "SELECT ("+countWebhooks+"), ("+countAutomations+
		"), COALESCE((SELECT events FROM quota_usage WHERE organization_id = $1 AND minute = $2), 0)", organizationID, s.now().Unix()/60)
	if err != nil {
		return u, fmt.Errorf("read what organization %d uses: %w", organizationID, err)
	}
	u.Backlog, err = c.pending(organizationID, max(q.Backlog, MaxBacklog))
	return u, err
}
