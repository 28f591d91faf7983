package dispatch_test

import (
	"context"
	"testing"

	"github.com/jonboulle/clockwork"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/internal/dispatch"
	"github.com/buglehq/bugle/internal/store"
	"github.com/buglehq/bugle/internal/storetest"
	"github.com/buglehq/bugle/personnel"
	"github.com/buglehq/bugle/value"
)

// add adds an automation of organization 1: enabled, with these fields.
func add(t testing.TB, s *store.Store, fields ...any) *bugle.Automation {
	t.Helper()
	a := bugle.NewAutomation()
	a.OrganizationID, a.Name = 1, "Test"
	if err := a.Set(value.Map(fields...), true, personnel.EventNames(), personnel.ChannelNames(), personnel.UpdatableNames()); err != nil {
		t.Fatal(err)
	}
	storetest.Change(t, s, func(tx *store.Tx) error { return tx.AddAutomation(&a) })
	return &a
}

// settle evaluates what is pending until nothing is, and returns the log, oldest first.
func settle(t testing.TB, s *store.Store, clock *clockwork.FakeClock) []*store.LoggedRun {
	t.Helper()
	d := dispatch.NewDispatcher(s, dispatch.Options{Clock: clock})
	for range 100 {
		n, err := d.Step(context.Background(), 1)
		if err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			page, err := s.Runs(t.Context(), 1, store.RunFilter{}, store.PageRequest{Number: 1, Limit: 1000})
			if err != nil {
				t.Fatal(err)
			}
			log := page.Items
			for i, j := 0, len(log)-1; i < j; i, j = i+1, j-1 {
				log[i], log[j] = log[j], log[i]
			}
			return log
		}
	}
	t.Fatal("runs keep coming")
	return nil
}

// A promotion whose condition holds becomes a delivery of the body that the template makes.
func TestDispatcher_webhook(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *clockwork.FakeClock) {
		hook := storetest.AddWebhook(t, s, "https://discord.example.com/hook", func(w *bugle.Webhook) { w.Events = nil })
		a := add(t, s, "trigger", "rankrecord.created", "webhook_id", hook.ID, "condition", `model.rank["order"] > 4`,
			"webhook_payload_format", "json", "typed_values", true,
			"webhook_payload_template", value.Map("content", "{{ model.user.name }} is now {{ model.rank.name }} & glad",
				"embeds", value.List(value.Map("color", "{{ 255 }}", "title", "#{{ model.id }}"))))
		storetest.Create(t, s, &personnel.Rank, "name", "Private", "order", 1)
		storetest.Create(t, s, &personnel.Rank, "name", "Captain", "order", 5)
		user := storetest.Create(t, s, &personnel.User, "name", "Jane Roe", "email", "jane@example.com")
		storetest.Create(t, s, &personnel.RankRecord, "user_id", user.ID(), "rank_id", 1, "type", 0)
		storetest.Create(t, s, &personnel.RankRecord, "user_id", user.ID(), "rank_id", 2, "type", 0)
		log := settle(t, s, clock)
		if len(log) != 2 || log[0].Status != bugle.RunConditionFailed || log[1].Status != bugle.RunExecuted || log[1].DeliveryID == 0 {
			t.Fatalf("log %+v %+v", log[0], log[1])
		}
		d, err := s.Delivery(t.Context(), 1, log[1].DeliveryID)
		if err != nil || d.WebhookID != hook.ID || d.RunID != log[1].ID || d.State != bugle.Pending {
			t.Fatalf("delivery %+v, %v", d, err)
		}
		body, err := s.Payload(t.Context(), d.EventID)
		want := `{"content":"Jane Roe is now Captain & glad","embeds":[{"color":255,"title":"#2"}]}`
		if err != nil || string(body.Text) != want {
			t.Errorf("body %s, %v, want %s", body.Text, err, want)
		}
		if log[0].AutomationID != a.ID || log[0].Trigger != "rankrecord.created" || log[0].SubjectID != 1 {
			t.Errorf("log %+v", log[0])
		}
	})
}

// An update by an automation is a change like any other: with its event, and runs for it.
func TestDispatcher_update_loop(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *clockwork.FakeClock) {
		add(t, s, "trigger", "user.updated", "action_type", "model_update", "model_update_target", "user", "condition", `changed("notes")`,
			"model_update_lookup_type", "expression", "model_update_lookup_expression", "model.id",
			"model_update_fields", value.Map("notes", "{{ target.notes }}!"))
		user := storetest.Create(t, s, &personnel.User, "name", "Jane Roe", "email", "jane@example.com")
		storetest.Update(t, s, &personnel.User, user.ID(), "notes", "x")
		log := settle(t, s, clock)
		if len(log) != 2 || log[0].Status != bugle.RunExecuted || log[0].ResourceID != user.ID() || log[1].Status != bugle.RunLoopStopped || log[1].Error == "" {
			t.Fatalf("%d runs: %+v", len(log), log[len(log)-1])
		}
		got, err := s.Get(t.Context(), 1, &personnel.User, user.ID())
		if err != nil || got.Text("notes") != "x!" {
			t.Errorf("notes %q, %v", got.Text("notes"), err)
		}
	})
}
