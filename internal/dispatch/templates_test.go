package dispatch_test

import (
	"strings"
	"testing"

	"github.com/jonboulle/clockwork"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/internal/dispatch"
	"github.com/buglehq/bugle/internal/store"
	"github.com/buglehq/bugle/internal/storetest"
	"github.com/buglehq/bugle/personnel"
	"github.com/buglehq/bugle/value"
)

func isCustom(key string) bool { return key == "promotion_points" }

// ofTemplate returns the automation of a template for a webhook.
func ofTemplate(t *testing.T, template dispatch.Template, webhookID int64) *bugle.Automation {
	t.Helper()
	a := bugle.NewAutomation()
	a.OrganizationID = 1
	fields := template.Values.Clone()
	if webhookID != 0 {
		fields.Set("webhook_id", webhookID)
	}
	channels := make([]string, len(personnel.Channels))
	for i, name := range personnel.Channels {
		channels[i] = name.(string)
	}
	if err := a.Set(fields, true, personnel.EventNames(), channels, []string{"user"}); err != nil {
		t.Fatal(err)
	}
	if err := dispatch.Check(&a, isCustom); err != nil {
		t.Fatal(err)
	}
	return &a
}

// nasty is what people may write into names and texts, and long enough for every limit.
const nasty = `"Dog" O'Neil <b>@everyone</b> & <@&1> \ ünï 🎖 {{ model }}` + "\nline two"

// Every template works on the catalogue's example and on real events, whatever people write and whatever
// is missing, and the service takes what it makes.
func TestTemplates(t *testing.T) {
	s, clock := storetest.New(t)
	hook := storetest.AddWebhook(t, s, "https://example.com/hook", func(w *bugle.Webhook) { w.Events = nil })
	long := strings.Repeat(nasty, 30)
	storetest.Create(t, s, &personnel.Rank, "name", long[:200], "order", 9)
	storetest.Create(t, s, &personnel.Award, "name", long[:200])
	storetest.Create(t, s, &personnel.Unit, "name", long[:200])
	storetest.Create(t, s, &personnel.Qualification, "name", long[:200])
	user := storetest.Create(t, s, &personnel.User, "name", long[:200], "email", "jane@example.com")
	storetest.Update(t, s, &personnel.User, user.ID(), "rank_id", 1, "unit_id", 1, "notes", long)
	gone := storetest.Create(t, s, &personnel.User, "name", "Gone", "email", "gone@example.com")
	storetest.Delete(t, s, &personnel.User, gone.ID())
	calendar := storetest.Create(t, s, &personnel.Calendar, "name", "Operations", "color", "#ffffff")
	storetest.Create(t, s, &personnel.CalendarEvent, "name", long[:200], "calendar_id", calendar.ID(), "all_day", true, "starts", "2026-02-01", "ends", "2026-02-02", "description", long)
	form := storetest.Create(t, s, &personnel.Form, "name", "Leave request", "slug", "leave", "is_public", true)
	storetest.Create(t, s, &personnel.Submission, "form_id", form.ID(), "user_id", user.ID())
	for _, text := range []string{"<p>" + long + "</p>", "x"} {
		storetest.Create(t, s, &personnel.AwardRecord, "user_id", user.ID(), "award_id", 1, "text", text)
		storetest.Create(t, s, &personnel.RankRecord, "user_id", user.ID(), "rank_id", 1, "type", 0, "text", text)
		storetest.Create(t, s, &personnel.AssignmentRecord, "user_id", user.ID(), "type", "primary", "text", text)
		storetest.Create(t, s, &personnel.QualificationRecord, "user_id", user.ID(), "qualification_id", 1, "text", text)
		storetest.Create(t, s, &personnel.CombatRecord, "user_id", user.ID(), "text", text)
		storetest.Create(t, s, &personnel.ServiceRecord, "user_id", user.ID(), "text", text)
	}
	storetest.Delete(t, s, &personnel.Rank, 1) // the last events have relations that are gone by now
	v := &dispatch.Previewer{Store: s, Clock: clock}
	keys := map[string]bool{}
	for _, template := range dispatch.Templates() {
		if keys[template.Key] || template.Description == "" {
			t.Errorf("%s: twice, or without a description", template.Key)
		}
		keys[template.Key] = true
		t.Run(template.Key, func(t *testing.T) {
			a := ofTemplate(t, template, hook.ID)
			samples := map[string]dispatch.Sample{"newest": {}, "nothing": {Given: value.Map("model", value.NewArray(0))}}
			events, err := s.EventsOf(t.Context(), 1, a.Trigger, 0, storetest.Start.AddDate(-1, 0, 0), clock.Now().AddDate(1, 0, 0), 10)
			if err != nil || len(events) == 0 {
				t.Fatalf("%d events, %v", len(events), err)
			}
			for _, e := range events {
				samples["event "+bugle.FormatTime(e.CreatedAt)+" "+e.Name+string(rune('a'+len(samples)))] = dispatch.Sample{EventID: e.ID}
			}
			for name, sample := range samples {
				p, err := v.Preview(t.Context(), a, sample)
				if err != nil {
					t.Fatal(err)
				}
				if name != "nothing" && p.Condition.Err != nil {
					t.Errorf("%s: condition: %v", name, p.Condition.Err)
				}
				for part, one := range map[string]*dispatch.Part{"payload": p.Payload, "message": p.Message} {
					if one == nil {
						continue
					}
					if one.Err != nil {
						t.Errorf("%s: %s: %v", name, part, one.Err)
					}
					for _, w := range one.Warnings {
						if w.Refused || strings.Contains(w.Message, "everyone") {
							t.Errorf("%s: %s: %s", name, w.Path, w.Message)
						}
					}
				}
			}
		})
	}
	if len(keys) < 13 {
		t.Errorf("%d templates, want at least 13", len(keys))
	}
}

// The template that PERSCOM ships adds the record's points to the member's, and passes over records
// without any.
func TestTemplates_promotionPoints(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *clockwork.FakeClock) {
		storetest.Create(t, s, &personnel.CustomField, "name", "Promotion points", "key", "promotion_points", "type", "number", "cast", "integer",
			"applies_to", value.List("users", "service-records"))
		user := storetest.Create(t, s, &personnel.User, "name", "Jane", "email", "jane@example.com", "promotion_points", 10)
		for _, template := range dispatch.Templates() {
			if template.Key == "increment_promotion_points_on_service_record" {
				a := ofTemplate(t, template, 0)
				storetest.Change(t, s, func(tx *store.Tx) error { return tx.AddAutomation(a) })
			}
		}
		storetest.Create(t, s, &personnel.ServiceRecord, "user_id", user.ID(), "text", "x", "promotion_points", 5)
		storetest.Create(t, s, &personnel.ServiceRecord, "user_id", user.ID(), "text", "x")
		storetest.Create(t, s, &personnel.ServiceRecord, "user_id", user.ID(), "text", "x", "promotion_points", 7)
		log := settle(t, s, clock)
		for i, want := range []bugle.RunStatus{bugle.RunExecuted, bugle.RunConditionFailed, bugle.RunExecuted} {
			if log[i].Status != want {
				t.Errorf("run %d is %s (%s), want %s", i, log[i].Status, log[i].Error, want)
			}
		}
		got, err := s.Get(t.Context(), 1, &personnel.User, user.ID())
		if err != nil {
			t.Fatal(err)
		}
		if points, _ := got.Custom.Get("promotion_points"); points != int64(22) {
			t.Errorf("points %v, want 22", points)
		}
	})
}
