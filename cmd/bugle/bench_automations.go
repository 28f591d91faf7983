package main

import (
	"context"
	"fmt"
	"time"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/internal/dispatch"
	"github.com/buglehq/bugle/internal/store"
	"github.com/buglehq/bugle/personnel"
	"github.com/buglehq/bugle/value"
)

const (
	fanOut     = 10 // webhooks, or automations, for each change
	fanChanges = 3000

	// fanCondition and the payload are of the usual size.
	fanCondition = `changed("notes") and model.name != "" and not blank(model.email)`
)

func fanPayload() *value.Array {
	return value.Map(
		"username", "Bugle",
		"content", "{{ model.name|upper }} has a new note of {{ now|date('Y-m-d') }}",
		"embeds", value.List(value.Map("title", "{{ model.display_name }}", "description", "{{ model.notes|striptags }}", "color", "{{ 2500000 }}",
			"fields", value.List(value.Map("name", "Rank", "value", "{{ model.rank.name ?? 'none' }}"), value.Map("name", "Id", "value", "{{ model.id }}")))))
}

// automations measures deliveries from the first change to the last arrival, while the engine runs: plain
// ones first, then as many that automations make for the same changes and webhooks.
func (b *bench) automations(ctx context.Context, dispatcher *dispatch.Dispatcher, f *figures) error {
	var hooks []int64
	err := b.db.Update(ctx, func(tx *store.Tx) error {
		for _, id := range b.drains {
			if err := tx.DeleteWebhook(1, id); err != nil { // they would get these changes too
				return err
			}
		}
		for range fanOut {
			id, err := b.addWebhook(tx, "fan", "/calm/fan", "user.updated", bugle.Active)
			if err != nil {
				return err
			}
			hooks = append(hooks, id)
		}
		return nil
	})
	if err != nil {
		return err
	}
	plain, err := b.fan(ctx, "plain")
	if err != nil {
		return err
	}
	err = b.db.Update(ctx, func(tx *store.Tx) error {
		for _, id := range hooks {
			w, err := tx.Webhook(1, id)
			if err != nil {
				return err
			}
			w.Events = nil
			if err := tx.SaveWebhook(w); err != nil {
				return err
			}
			a := bugle.NewAutomation()
			a.OrganizationID, a.Name, a.Trigger, a.Condition, a.WebhookID = 1, "fan", "user.updated", fanCondition, id
			a.PayloadTemplate, a.PayloadFormat, a.TypedValues = fanPayload(), bugle.PayloadJSON, true
			if err := dispatch.Check(&a, func(string) bool { return false }); err != nil {
				return err
			}
			if err := tx.AddAutomation(&a); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	defer running(ctx, dispatcher.Run)()
	automated, err := b.fan(ctx, "automate")
	if err != nil {
		return err
	}
	ratio := automated / plain
	f.Plain, f.Automated, f.AutomatedRatio = &plain, &automated, &ratio
	return nil
}

// fan makes changes and waits until the deliveries of all of them have arrived. It returns how many came
// in a second.
func (b *bench) fan(ctx context.Context, what string) (float64, error) {
	b.arrived.Store(0)
	bar := newBar(b.stderr, fanChanges, what)
	defer bar.Finish()
	began := time.Now()
	err := each(ctx, fanChanges, 16, func(ctx context.Context, i int) error {
		defer bar.Add(1)
		return b.db.Update(ctx, func(tx *store.Tx) error {
			_, err := tx.Update(b.actor(), &personnel.User, 1, value.Map("notes", fmt.Sprintf("<p>Note %d, %s.</p>", i, what)))
			return err
		})
	})
	if err != nil {
		return 0, err
	}
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	give := time.Now().Add(time.Minute)
	for b.arrived.Load() < fanChanges*fanOut {
		if time.Now().After(give) {
			return 0, fmt.Errorf("only %d of %d deliveries arrived within a minute", b.arrived.Load(), fanChanges*fanOut)
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return 0, context.Cause(ctx)
		}
	}
	return fanChanges * fanOut / time.Since(began).Seconds(), nil
}
