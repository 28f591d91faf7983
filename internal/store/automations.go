package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/value"
)

const automationColumns = `a.id, a.organization_id, a.name, a.description, a."trigger", a.condition, a.action_type, COALESCE(a.webhook_id, 0),
	a.webhook_payload_template, a.webhook_payload_format, a.message_channels, a.message_content, a.message_recipients_expression, a.message_rrule,
	a.model_update_target, a.model_update_lookup_type, a.model_update_lookup_expression, a.model_update_lookup_conditions, a.model_update_fields,
	a.typed_values, a.perscom_compatible, a.enabled, a.priority, a.created_us, a.updated_us`

func scanAutomation(scan func(to ...any) error) (*bugle.Automation, error) {
	var a bugle.Automation
	var template, channels, conditions, fields string
	var created, updated int64
	err := scan(&a.ID, &a.OrganizationID, &a.Name, &a.Description, &a.Trigger, &a.Condition, &a.ActionType, &a.WebhookID,
		&template, &a.PayloadFormat, &channels, &a.MessageContent, &a.MessageRecipients, &a.MessageRRule,
		&a.UpdateTarget, &a.UpdateLookup, &a.UpdateLookupExpression, &conditions, &fields,
		&a.TypedValues, &a.PerscomCompatible, &a.Enabled, &a.Priority, &created, &updated)
	if err != nil {
		return nil, err
	}
	a.CreatedAt, a.UpdatedAt = fromMicroseconds(created), fromMicroseconds(updated)
	for _, part := range []struct {
		text string
		take func(v any)
	}{
		{template, func(v any) { a.PayloadTemplate = v }},
		{channels, func(v any) {
			list, _ := v.(*value.Array)
			for _, item := range list.All() {
				name, _ := item.(string)
				a.MessageChannels = append(a.MessageChannels, name)
			}
		}},
		{conditions, func(v any) { a.UpdateLookupConditions, _ = v.(*value.Array) }},
		{fields, func(v any) { a.UpdateFields, _ = v.(*value.Array) }},
	} {
		decoded, err := value.Decode([]byte(part.text))
		if err != nil {
			return nil, fmt.Errorf("automation %d: %w", a.ID, err)
		}
		part.take(decoded)
	}
	return &a, nil
}

func selectAutomations(ctx context.Context, c conn, where string, args ...any) ([]*bugle.Automation, error) {
	var list []*bugle.Automation
	err := c.each(ctx, func(scan func(to ...any) error) error {
		a, err := scanAutomation(scan)
		list = append(list, a)
		return err
	}, "SELECT "+automationColumns+" FROM automations a "+where, args...)
	if err != nil {
		return nil, fmt.Errorf("read automations: %w", err)
	}
	return list, nil
}

func findAutomation(ctx context.Context, c conn, organizationID, id int64) (*bugle.Automation, error) {
	list, err := selectAutomations(ctx, c, "WHERE a.organization_id = $1 AND a.id = $2", organizationID, id)
	if err == nil && len(list) == 0 {
		err = fmt.Errorf("automation %d: %w", id, bugle.ErrNotFound)
	}
	if err != nil {
		return nil, err
	}
	return list[0], nil
}

// Automation returns an automation of the organization, or bugle.ErrNotFound.
func (s *Store) Automation(ctx context.Context, organizationID, id int64) (*bugle.Automation, error) {
	return findAutomation(ctx, s.view(), organizationID, id)
}

// Automation is that of Store, within the transaction.
func (tx *Tx) Automation(organizationID, id int64) (*bugle.Automation, error) {
	return findAutomation(context.Background(), tx.view(), organizationID, id)
}

// AutomationsByID returns those of the automations that are there, of any organization.
func (s *Store) AutomationsByID(ctx context.Context, ids []int64) ([]*bugle.Automation, error) {
	return selectAutomations(ctx, s.view(), "WHERE "+inIDs("a.id", 1), idList(ids))
}

// AutomationTimes returns when each of the automations was saved last, those that are there.
func (s *Store) AutomationTimes(ctx context.Context, ids []int64) (map[int64]time.Time, error) {
	times := make(map[int64]time.Time, len(ids))
	err := s.view().each(ctx, func(scan func(to ...any) error) error {
		var id, updated int64
		err := scan(&id, &updated)
		times[id] = fromMicroseconds(updated)
		return err
	}, "SELECT id, updated_us FROM automations WHERE "+inIDs("id", 1), idList(ids))
	if err != nil {
		return nil, fmt.Errorf("read automations: %w", err)
	}
	return times, nil
}

// An AutomationFilter narrows a list of automations; what is zero does not.
type AutomationFilter struct {
	Trigger    string
	ActionType bugle.ActionType
	Enabled    *bool
	WebhookID  int64  // that it sends
	Text       string // a part of the name or the description, in either case
	Sort       string // one of AutomationSorts; empty: by id
	Descending bool
}

// AutomationSorts are what lists of automations can be sorted by; the name and the like in either case.
var AutomationSorts = []string{"name", "trigger", "action_type", "enabled", "priority", "created_at"}

// order is the clause that sorts a list.
func (f *AutomationFilter) order() string {
	direction := ""
	if f.Descending {
		direction = " DESC"
	}
	column := map[string]string{"name": "LOWER(a.name)", "trigger": `a."trigger"`, "action_type": "a.action_type", "enabled": "a.enabled",
		"priority": "a.priority", "created_at": "a.created_us"}[f.Sort]
	if column != "" {
		column += direction + ", "
	}
	return " ORDER BY " + column + "a.id" + direction
}

// Automations returns a page of the organization's automations, oldest first unless the filter says otherwise.
func (s *Store) Automations(ctx context.Context, organizationID int64, f AutomationFilter, p PageRequest) (Page[*bugle.Automation], error) {
	page := Page[*bugle.Automation]{Number: p.Number, Limit: p.Limit}
	w := newWhere("a.organization_id", organizationID)
	if f.Trigger != "" {
		w.add(`a."trigger" = $%d`, f.Trigger)
	}
	if f.ActionType != "" {
		w.add("a.action_type = $%d", string(f.ActionType))
	}
	if f.Enabled != nil {
		w.add("a.enabled = $%d", *f.Enabled)
	}
	if f.WebhookID != 0 {
		w.add("a.webhook_id = $%d", f.WebhookID)
	}
	if f.Text != "" {
		w.addText(f.Text, "a.name", "a.description")
	}
	c := s.view()
	var err error
	if page.Total, page.More, err = c.countTo(ctx, p.CountTo, " FROM automations a"+w.String(), w.args...); err != nil {
		return page, fmt.Errorf("count automations: %w", err)
	}
	condition := w.String() + f.order() + w.limit(p)
	page.Items, err = selectAutomations(ctx, c, condition, w.args...)
	return page, err
}

// AddAutomation writes a new automation and gives it its id and times.
func (tx *Tx) AddAutomation(a *bugle.Automation) error {
	if err := tx.admitOne(a.OrganizationID, "automations", countAutomations); err != nil {
		return err
	}
	a.CreatedAt, a.UpdatedAt = tx.now, tx.now
	values, err := tx.automationValues(a)
	if err != nil {
		return fmt.Errorf("add automation: %w", err)
	}
	err = tx.one([]any{&a.ID}, `
		INSERT INTO automations (name, description, "trigger", condition, action_type, webhook_id, webhook_payload_template, webhook_payload_format,
		    message_channels, message_content, message_recipients_expression, message_rrule, model_update_target, model_update_lookup_type,
		    model_update_lookup_expression, model_update_lookup_conditions, model_update_fields, typed_values, perscom_compatible, enabled,
		    priority, updated_us, organization_id, created_us)
		VALUES (`+parameters(1, len(values)+2)+`)
		RETURNING id`, append(values, a.OrganizationID, a.CreatedAt.UnixMicro())...)
	if err != nil {
		return fmt.Errorf("add automation: %w", err)
	}
	return tx.auditChange(a.OrganizationID, "automation.created", automationSubject(a), nil, automationAttributes(a))
}

// SaveAutomation writes an automation that is there already, or returns bugle.ErrNotFound. Its pending
// runs are evaluated as it is then.
func (tx *Tx) SaveAutomation(a *bugle.Automation) error {
	a.UpdatedAt = tx.now
	before, err := tx.Automation(a.OrganizationID, a.ID)
	if err != nil {
		return fmt.Errorf("save automation %d: %w", a.ID, err)
	}
	values, err := tx.automationValues(a)
	if err != nil {
		return fmt.Errorf("save automation %d: %w", a.ID, err)
	}
	n, err := tx.count(`
		UPDATE automations
		SET    name = $1, description = $2, "trigger" = $3, condition = $4, action_type = $5, webhook_id = $6, webhook_payload_template = $7,
		       webhook_payload_format = $8, message_channels = $9, message_content = $10, message_recipients_expression = $11,
		       message_rrule = $12, model_update_target = $13, model_update_lookup_type = $14, model_update_lookup_expression = $15,
		       model_update_lookup_conditions = $16, model_update_fields = $17, typed_values = $18, perscom_compatible = $19, enabled = $20,
		       priority = $21, updated_us = $22
		WHERE  id = $23 AND organization_id = $24`, append(values, a.ID, a.OrganizationID)...)
	if err != nil {
		return fmt.Errorf("save automation %d: %w", a.ID, err)
	}
	if n == 0 {
		return fmt.Errorf("save automation %d: %w", a.ID, bugle.ErrNotFound)
	}
	return tx.auditChange(a.OrganizationID, "automation.updated", automationSubject(a), automationAttributes(before), automationAttributes(a))
}

// automationValues are the columns that both writing methods set, in their order. A webhook that does
// not exist is an InvalidError.
func (tx *Tx) automationValues(a *bugle.Automation) ([]any, error) {
	var webhook any
	if a.WebhookID != 0 {
		if _, err := tx.Webhook(a.OrganizationID, a.WebhookID); err != nil {
			if errors.Is(err, bugle.ErrNotFound) {
				return nil, bugle.Invalid("webhook_id", "The webhook_id field must be the id of an existing webhook; there is none with the id %d.", a.WebhookID)
			}
			return nil, err
		}
		webhook = a.WebhookID
	}
	channels := make([]any, len(a.MessageChannels))
	for i, name := range a.MessageChannels {
		channels[i] = name
	}
	var texts [4]string
	for i, v := range []any{a.PayloadTemplate, value.List(channels...), a.UpdateLookupConditions, a.UpdateFields} {
		text, err := value.JSON(v)
		if err != nil {
			return nil, err
		}
		texts[i] = string(text)
	}
	return []any{a.Name, a.Description, a.Trigger, a.Condition, string(a.ActionType), webhook, texts[0], string(a.PayloadFormat),
		texts[1], a.MessageContent, a.MessageRecipients, a.MessageRRule, a.UpdateTarget, string(a.UpdateLookup),
		a.UpdateLookupExpression, texts[2], texts[3], a.TypedValues, a.PerscomCompatible, a.Enabled, int64(a.Priority), a.UpdatedAt.UnixMicro()}, nil
}

// DeleteAutomation removes an automation with its log. What it has done stays.
func (tx *Tx) DeleteAutomation(organizationID, id int64) error {
	a, err := tx.Automation(organizationID, id)
	if err != nil {
		return fmt.Errorf("delete automation %d: %w", id, err)
	}
	n, err := tx.count("DELETE FROM automations WHERE id = $1 AND organization_id = $2", id, organizationID)
	if err != nil {
		return fmt.Errorf("delete automation %d: %w", id, err)
	}
	if n == 0 {
		return fmt.Errorf("automation %d: %w", id, bugle.ErrNotFound)
	}
	return tx.auditChange(organizationID, "automation.deleted", automationSubject(a), automationAttributes(a), nil)
}
