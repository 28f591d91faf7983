package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/google/uuid"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/internal/dispatch"
	"github.com/buglehq/bugle/internal/store"
	"github.com/buglehq/bugle/personnel"
	"github.com/buglehq/bugle/value"
)

// Whenever the process is killed, each run has its effect exactly once: a delivery, a message, and an
// increment that depends on the one before.
func TestServe_killedDuringRuns(t *testing.T) {
	const records, perRecord = 1000, 10
	database, key := newDatabase(t)
	prepareRuns(t, database, records)
	pending := func() int {
		return count(t, database, "SELECT COUNT(*) FROM automation_runs WHERE status = 'pending'")
	}
	kills := 0
	for left := pending(); left > 0; left = pending() {
		if kills > 200 {
			t.Fatalf("%d runs are still pending after %d rounds", left, kills)
		}
		server := startServer(t, database)
		enough := int64(max(left-1-rand.IntN(2000), 0)) // at random, in the middle of whatever comes next
		waitFor(t, "more runs have ended", func() bool {
			n, _ := at(server.mustCall(t, key, "GET", "/v2/automation-logs?status=pending&limit=1", "", 200), "meta", "total").(int64)
			return n <= enough
		})
		server.kill()
		kills++
		t.Logf("killed with %d of %d runs pending", pending(), records*perRecord)
	}
	for what, query := range map[string]string{
		"executed runs":                "SELECT COUNT(*) FROM automation_runs WHERE status = 'executed'",
		"deliveries and messages":      "SELECT (SELECT COUNT(*) FROM deliveries) + (SELECT COUNT(*) FROM messages) + (SELECT CAST(notes AS INTEGER) FROM users WHERE id = 1)",
		"runs that know what they did": "SELECT COUNT(*) FROM automation_runs WHERE (delivery_id > 0) + (message_id > 0) + (resource_id > 0) = 1",
	} {
		if n := count(t, database, query); n != records*perRecord {
			t.Errorf("%d %s, want %d", n, what, records*perRecord)
		}
	}
	for what, query := range map[string]string{
		"deliveries of one run":  "SELECT COUNT(*) - COUNT(DISTINCT e.run_id) FROM deliveries d JOIN events e ON e.id = d.event_id",
		"messages without a run": "SELECT COUNT(*) FROM messages m WHERE NOT EXISTS (SELECT 1 FROM automation_runs r WHERE r.message_id = m.id)",
	} {
		if n := count(t, database, query); n != 0 {
			t.Errorf("%d too many: %s", n, what)
		}
	}
}

// prepareRuns makes records of a user, each with ten pending runs: eight deliveries, a message and an update.
func prepareRuns(t *testing.T, database string, records int) {
	t.Helper()
	ctx := context.Background()
	s, err := store.Open(ctx, database, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := s.EnsureOrganization(ctx, "Unit"); err != nil {
		t.Fatal(err)
	}
	actor := store.Actor{OrganizationID: 1, RequestID: uuid.NewString(), TraceID: uuid.NewString()}
	err = s.Update(ctx, func(tx *store.Tx) error {
		if _, err := tx.Create(actor, &personnel.User, value.Map("name", "Jane Roe", "email", "jane@example.com", "notes", "0")); err != nil {
			return err
		}
		hook := bugle.NewWebhook()
		hook.OrganizationID, hook.Name, hook.URL, hook.Status = 1, "Paused", "https://example.com/hook", bugle.Paused
		if err := tx.AddWebhook(&hook); err != nil {
			return err
		}
		automations := []*value.Array{
			value.Map("webhook_id", hook.ID, "webhook_payload_template", value.Map("text", "{{ model.text }}")),
			value.Map("action_type", "message", "message_channels", value.List("database"), "message_content", "{{ model.text }}", "message_recipients_expression", "7777"),
			value.Map("action_type", "model_update", "model_update_target", "user", "model_update_lookup_type", "expression",
				"model_update_lookup_expression", "model.user_id", "model_update_fields", value.Map("notes", "{{ target.notes|increment }}")),
		}
		for len(automations) < 10 {
			automations = append(automations, automations[0].Clone())
		}
		for _, fields := range automations {
			a := bugle.NewAutomation()
			a.OrganizationID = 1
			fields.Set("name", "Test")
			fields.Set("trigger", "servicerecord.created")
			if err := a.Set(fields, true, personnel.EventNames(), []string{"database"}, []string{"user"}); err != nil {
				return err
			}
			if err := dispatch.Check(&a, func(string) bool { return false }); err != nil {
				return err
			}
			if err := tx.AddAutomation(&a); err != nil {
				return err
			}
		}
		return nil
	})
	for i := 0; err == nil && i < records; i += 100 {
		err = s.Update(ctx, func(tx *store.Tx) error {
			for n := i; n < min(i+100, records); n++ {
				if _, err := tx.Create(actor, &personnel.ServiceRecord, value.Map("user_id", 1, "text", fmt.Sprintf("<p>Record %d.</p>", n))); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err != nil {
		t.Fatal(err)
	}
}
