package store

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/value"
)

// savePolicy writes the field policy of a webhook if it is another than before, when it gets another version; nil: there was no
// webhook.
func (tx *Tx) savePolicy(before, w *bugle.Webhook) error {
	w.PolicyVersion = 1
	if before != nil {
		w.PolicyVersion = before.PolicyVersion
		if slices.Equal(before.FieldPolicy, w.FieldPolicy) {
			return nil
		}
	}
	if len(w.FieldPolicy) == 0 && before == nil {
		return nil
	}
	w.PolicyVersion++
	list := value.NewArray(len(w.FieldPolicy))
	for _, r := range w.FieldPolicy {
		list.Append(value.List(r.Attribute, r.Preset, string(r.Action)))
	}
	rules, err := value.JSON(list)
	if err == nil {
		err = tx.exec(`
			INSERT INTO field_policies (webhook_id, organization_id, rules, version) VALUES ($1, $2, $3, $4)
			ON CONFLICT (webhook_id) DO UPDATE SET rules = excluded.rules, version = excluded.version`,
			w.ID, w.OrganizationID, string(rules), w.PolicyVersion)
	}
	if err != nil {
		return fmt.Errorf("save the field policy of webhook %d: %w", w.ID, err)
	}
	return nil
}

// decodeRules reads what savePolicy has written.
func decodeRules(text string) ([]bugle.FieldRule, error) {
	if text == "[]" {
		return nil, nil
	}
	var rules []bugle.FieldRule
	err := decodeList(text, func(v any) {
		parts, _ := v.(*value.Array)
		part := func(i int64) string {
			v, _ := parts.GetInt(i)
			text, _ := v.(string)
			return text
		}
		rules = append(rules, bugle.FieldRule{Attribute: part(0), Preset: part(1), Action: bugle.FieldAction(part(2))})
	})
	return rules, err
}

// FormerWebhook returns what is known of a webhook that was deleted: its id and its field policy, without the key to it.
func (s *Store) FormerWebhook(ctx context.Context, organizationID, id int64) (*bugle.Webhook, error) {
	w := &bugle.Webhook{ID: id, OrganizationID: organizationID, PolicyVersion: 1}
	var rules string
	err := s.view().one(ctx, []any{&rules, &w.PolicyVersion},
		"SELECT rules, version FROM field_policies WHERE organization_id = $1 AND webhook_id = $2", organizationID, id)
	if errors.Is(err, bugle.ErrNotFound) {
		return w, nil
	}
	if err == nil {
		w.FieldPolicy, err = decodeRules(rules)
	}
	if err != nil {
		return nil, fmt.Errorf("field policy of webhook %d, which was deleted: %w", id, err)
	}
	return w, nil
}
