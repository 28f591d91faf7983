package store

import (
	"context"
	"errors"
	"fmt"
	"html"
	"strconv"

	"github.com/google/uuid"

	"github.com/buglehq/bugle"
)

// SetAlerts says how an organization's people are told of webhooks that fail, and after how many days of nothing but
// failures those are disabled; 0 is never. The channel must be one that is posted to, or empty.
func (tx *Tx) SetAlerts(organizationID int64, mail bool, channel string, disableAfterDays int) error {
	if c := bugle.ChannelByName(channel); channel != "" && (c == nil || c.Reach != bugle.Posted) {
		return bugle.Invalid("alert_channel", "The alert_channel field must be a channel that is posted to, not %q.", channel)
	}
	if disableAfterDays < 0 || disableAfterDays > bugle.MaxDisableAfterDays {
		return bugle.Invalid("disable_after_days", "The disable_after_days field must be a whole number from 0 to %d, not %d.", bugle.MaxDisableAfterDays, disableAfterDays)
	}
	before, err := findOrganization(context.Background(), tx.view(), organizationID)
	if err != nil {
		return err
	}
	err = tx.exec("UPDATE organizations SET alert_mail = $1, alert_channel = $2, disable_after_days = $3 WHERE id = $4", mail, channel, disableAfterDays, organizationID)
	if err != nil {
		return fmt.Errorf("set alerts of organization %d: %w", organizationID, err)
	}
	return tx.auditOrganization(before)
}

// auditOrganization tells the audit log of what has changed of an organization.
func (tx *Tx) auditOrganization(before *bugle.Organization) error {
	o, err := findOrganization(context.Background(), tx.view(), before.ID)
	if err != nil {
		return err
	}
	return tx.auditChange(o.ID, "organization.updated", organizationSubject(o), organizationAttributes(before), organizationAttributes(o))
}

// maxTold is how many people of an organization are told of its webhooks.
const maxTold = 100

// Troubled returns the ids of webhooks that fail, or of whose failure people were told, above an id.
func (s *Store) Troubled(ctx context.Context, above int64, limit int) ([]int64, error) {
	ids, err := s.view().ids(ctx, `
		SELECT l.webhook_id FROM lanes l JOIN webhooks w ON w.id = l.webhook_id
		WHERE  (l.failing_since_us <> 0 OR l.told_us <> 0 OR l.gone_us <> 0) AND w.channel = '' AND l.webhook_id > $1
		ORDER  BY l.webhook_id LIMIT $2`, above, limit)
	if err != nil {
		return nil, fmt.Errorf("find webhooks that fail: %w", err)
	}
	return ids, nil
}

// Tell tells the people of a webhook what they are to be told of it now, if anything, and returns that. Notices, what they
// leave with, and that they were given are one transaction, so that each is given once.
func (s *Store) Tell(ctx context.Context, webhookID int64) (bugle.Notice, error) {
	var notice bugle.Notice
	// Mostly there is nothing to be said, for which the writer need not be asked.
	w, o, err := webhookAndOrganization(ctx, s.view(), webhookID)
	if err == nil && w.Notice(o.DisableAfter(), s.now()) != bugle.NoNotice {
		err = s.Update(ctx, func(tx *Tx) (err error) {
			notice, err = tx.tell(webhookID)
			return err
		})
	}
	if errors.Is(err, bugle.ErrNotFound) { // it was deleted
		return bugle.NoNotice, nil
	}
	if err != nil {
		return bugle.NoNotice, fmt.Errorf("tell people of webhook %d: %w", webhookID, err)
	}
	return notice, nil
}

func webhookAndOrganization(ctx context.Context, c conn, webhookID int64) (*bugle.Webhook, *bugle.Organization, error) {
	w, err := findWebhook(ctx, c, "WHERE w.id = $1 AND w.channel = ''", webhookID)
	if err != nil {
		return nil, nil, err
	}
	o, err := findOrganization(ctx, c, w.OrganizationID)
	return w, o, err
}

func (tx *Tx) tell(webhookID int64) (bugle.Notice, error) {
	w, o, err := webhookAndOrganization(context.Background(), tx.view(), webhookID)
	if err != nil {
		return bugle.NoNotice, err
	}
	notice := w.Notice(o.DisableAfter(), tx.now)
	if notice == bugle.NoNotice {
		return notice, nil
	}
	w.Incident = w.Incident.After(notice, tx.now)
	err = tx.exec("UPDATE lanes SET told_us = $1, warned_us = $2, gone_us = $3 WHERE webhook_id = $4",
		microseconds(w.Incident.ToldAt), microseconds(w.Incident.WarnedAt), microseconds(w.Incident.GoneAt), w.ID)
	if err == nil && notice == bugle.NoticeDisabled {
		err = tx.exec("UPDATE webhooks SET status = 'disabled', updated_us = $1 WHERE id = $2", tx.now.UnixMicro(), w.ID)
		tx.committed.Webhooks = append(tx.committed.Webhooks, w.ID)
		if after := *w; err == nil {
			after.Status = bugle.Disabled
			err = tx.auditUpdate(w, &after)
		}
	}
	if err != nil {
		return notice, err
	}
	text := "<p>" + html.EscapeString(notice.Text(w, o.DisableAfter())) + "</p>"
	if tx.w.store.baseURL != "" {
		address := html.EscapeString(tx.w.store.baseURL + "/webhooks/" + strconv.FormatInt(w.ID, 10))
		text += `<p><a href="` + address + `">` + address + "</a></p>"
	}
	return notice, tx.alert(o, text)
}

// alert gives a text to those of an organization's people who may see webhooks, and to its channel.
func (tx *Tx) alert(o *bugle.Organization, text string) error {
	people, err := selectAccounts(context.Background(), tx.view(), "WHERE a.organization_id = $1 AND NOT a.disabled ORDER BY a.user_id", o.ID)
	if err != nil {
		return err
	}
	a := Actor{OrganizationID: o.ID, RequestID: uuid.NewString(), TraceID: uuid.NewString()}
	mail, err := tx.readyLane(o.ID, "mail", o.AlertMail)
	if err != nil {
		return err
	}
	told := 0
	for _, one := range people {
		if !one.Role.Can("view_webhook") || told == maxTold {
			continue
		}
		told++
		err := tx.exec("INSERT INTO notifications (organization_id, user_id, channel, text, created_us) VALUES ($1, $2, 'database', $3, $4)", o.ID, one.UserID, text, tx.now.UnixMicro())
		if err == nil && mail != nil {
			_, err = tx.owe(a, mail.ID, bugle.Sent{Text: text, Recipient: &bugle.Recipient{ID: one.UserID, Name: one.Name, Address: one.Email}})
		}
		if err != nil {
			return err
		}
	}
	lane, err := tx.readyLane(o.ID, o.AlertChannel, o.AlertChannel != "")
	if err == nil && lane != nil {
		_, err = tx.owe(a, lane.ID, bugle.Sent{Text: text})
	}
	return err
}

// readyLane is the lane of a channel that is wanted and has its settings; else nil.
func (tx *Tx) readyLane(organizationID int64, name string, wanted bool) (*bugle.Webhook, error) {
	channel := bugle.ChannelByName(name)
	if !wanted || channel == nil {
		return nil, nil
	}
	lane, err := findWebhook(context.Background(), tx.view(), whereChannel, organizationID, name)
	if errors.Is(err, bugle.ErrNotFound) || err == nil && len(channel.Missing(lane.Settings)) > 0 {
		return nil, nil
	}
	return lane, err
}
