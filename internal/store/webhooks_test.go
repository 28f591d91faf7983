package store_test

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jonboulle/clockwork"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/internal/store"
	"github.com/buglehq/bugle/internal/storetest"
	"github.com/buglehq/bugle/personnel"
	"github.com/buglehq/bugle/value"
)

// fullWebhook has a value of its own in every field that can be written.
func fullWebhook() bugle.Webhook {
	return bugle.Webhook{
		OrganizationID: 1, Name: `Zoë's "hook"`, Description: "<p>\x01 🙂</p>", URL: "https://example.com/hook?a=1&b=%20", Method: "get",
		Events: []string{"rankrecord.created", "user.updated"}, Secret: "secret", OldSecret: "old secret", OldSecretUntil: storetest.Start.Add(time.Hour),
		Status: bugle.Paused, TimeoutSeconds: 7, MaxAttempts: 3, RetrySchedule: []int{1, 86400}, MaxConcurrency: 4, RatePerSecond: 0.25, Ordered: true,
		Headers:     []bugle.Header{{Name: "X-Token", Value: "ä\"/"}, {Name: "1", Value: "number"}, {Name: "x-a", Value: ""}, {Name: "0", Value: "last"}},
		FieldPolicy: []bugle.FieldRule{{Attribute: "user.e-mail, second", Action: bugle.HashField}, {Preset: "free_text", Action: bugle.DropField}},
		PolicyKey:   "a key", PolicyVersion: 1,
	}
}

func wantWebhook(t *testing.T, s *store.Store, want *bugle.Webhook) {
	t.Helper()
	got, err := s.Webhook(t.Context(), 1, want.ID)
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("the webhook reads back as\n     %+v, %v\nwant %+v", got, err, want)
	}
}

// The version counts changes of the policy, and what is known of it outlives the webhook, but for the key.
func TestWebhook_fieldPolicy(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *clockwork.FakeClock) {
		w := storetest.AddWebhook(t, s, "https://example.com/hook", nil)
		rules := []bugle.FieldRule{{Attribute: "email", Action: bugle.HashField}}
		for i, step := range []struct {
			rules []bugle.FieldRule
			want  int
		}{{nil, 1}, {rules, 2}, {rules, 2}, {nil, 3}, {nil, 3}, {rules, 4}} {
			w.FieldPolicy, w.Name = step.rules, fmt.Sprint(i)
			w.NeedPolicyKey()
			storetest.Change(t, s, func(tx *store.Tx) error { return tx.SaveWebhook(w) })
			got, err := s.Webhook(t.Context(), 1, w.ID)
			if err != nil || got.PolicyVersion != step.want || w.PolicyVersion != step.want || !slices.Equal(got.FieldPolicy, step.rules) || got.PolicyKey != w.PolicyKey {
				t.Errorf("step %d: %+v, %v", i, got, err)
			}
		}
		if found := query[string](t, s, "SELECT old_values || new_values FROM audit_entries WHERE old_values || new_values LIKE '%field_policy%' ORDER BY number"); len(found) != 3 ||
			!strings.Contains(found[0], `[{"attribute":"email","action":"hash"}]`) {
			t.Errorf("the audit log says %q", found)
		}
		for _, text := range query[string](t, s, "SELECT old_values || new_values FROM audit_entries") {
			if strings.Contains(text, w.PolicyKey) {
				t.Error("the key is in the audit log")
			}
		}
		for _, sealed := range query[[]byte](t, s, "SELECT sealed FROM webhooks") {
			if strings.Contains(string(sealed), w.PolicyKey) {
				t.Error("the key is in the table as it is")
			}
		}
		storetest.Change(t, s, func(tx *store.Tx) error { return tx.DeleteWebhook(1, w.ID) })
		former, err := s.FormerWebhook(t.Context(), 1, w.ID)
		if err != nil || !slices.Equal(former.FieldPolicy, rules) || former.PolicyVersion != 4 || former.PolicyKey != "" {
			t.Errorf("after it was deleted: %+v, %v", former, err)
		}
		for _, other := range [][2]int64{{2, w.ID}, {1, w.ID + 1}} {
			if former, err := s.FormerWebhook(t.Context(), other[0], other[1]); err != nil || len(former.FieldPolicy) != 0 || former.PolicyVersion != 1 {
				t.Errorf("webhook %d of organization %d: %+v, %v", other[1], other[0], former, err)
			}
		}
	})
}

func TestWebhook_everyFieldReadsBack(t *testing.T) {
	for i, v := 0, reflect.ValueOf(fullWebhook()); i < v.NumField(); i++ {
		name := v.Type().Field(i).Name
		if v.Field(i).IsZero() && !slices.Contains([]string{"ID", "CreatedAt", "UpdatedAt", "Health", "Incident", "DisablesAt", "Held", "Channel", "Settings"}, name) {
			t.Fatalf("the webhook of this test is without %s", name)
		}
	}
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *clockwork.FakeClock) {
		full := fullWebhook()
		storetest.Change(t, s, func(tx *store.Tx) error { return tx.AddWebhook(&full) })
		if !full.CreatedAt.Equal(storetest.Start) || !full.UpdatedAt.Equal(storetest.Start) || full.ID == 0 {
			t.Errorf("the new webhook is %+v", full)
		}
		wantWebhook(t, s, &full)

		// Every field back to the least there is, and then to the former again.
		clock.Advance(time.Minute)
		least := bugle.NewWebhook()
		least.ID, least.OrganizationID, least.CreatedAt = full.ID, 1, full.CreatedAt
		for _, w := range []*bugle.Webhook{&least, &full} {
			storetest.Change(t, s, func(tx *store.Tx) error { return tx.SaveWebhook(w) })
			if !w.UpdatedAt.Equal(storetest.Start.Add(time.Minute)) {
				t.Errorf("updated at %s", w.UpdatedAt)
			}
			wantWebhook(t, s, w)
		}
		health := bugle.Health{ConsecutiveFailures: 3, LastSuccessAt: storetest.Start, LastFailureAt: storetest.Start.Add(time.Second), FailingSince: storetest.Start.Add(time.Millisecond)}
		if err := s.Record(t.Context(), nil, map[int64]bugle.Health{full.ID: health}); err != nil {
			t.Fatal(err)
		}
		full.Health = health
		wantWebhook(t, s, &full)
		if got, err := s.LaneWebhook(t.Context(), full.ID); err != nil || !reflect.DeepEqual(got, &full) {
			t.Errorf("the lane's webhook is %+v, %v", got, err)
		}
	})
}

func TestWebhook_changesArePassedOn(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *clockwork.FakeClock) {
		var changed []int64
		s.Notify(func(c store.Committed) { changed = append(changed, c.Webhooks...) })
		w := storetest.AddWebhook(t, s, "https://example.com/hook", nil)
		storetest.Change(t, s, func(tx *store.Tx) error { return tx.SaveWebhook(w) })
		storetest.Change(t, s, func(tx *store.Tx) error { return tx.DeleteWebhook(1, w.ID) })
		if !slices.Equal(changed, []int64{w.ID, w.ID}) {
			t.Errorf("passed on were the webhooks %d, want %d twice", changed, w.ID)
		}
		err := s.Update(t.Context(), func(tx *store.Tx) error { return tx.DeleteWebhook(1, w.ID) })
		if !errors.Is(err, bugle.ErrNotFound) {
			t.Errorf("deleting it again: %v, want ErrNotFound", err)
		}
		if _, err := s.Webhook(t.Context(), 1, w.ID); !errors.Is(err, bugle.ErrNotFound) {
			t.Errorf("reading it: %v, want ErrNotFound", err)
		}
	})
}

// One that was deleted meanwhile, or is another organization's, keeps what it subscribes to.
func TestWebhook_saveOfOneThatIsNotThere(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *clockwork.FakeClock) {
		other := addOrganization(t, s)
		w := *storetest.AddWebhook(t, s, "https://example.com/hook", nil)
		save := func(change func(w *bugle.Webhook)) {
			t.Helper()
			changed := w
			change(&changed)
			err := s.Update(t.Context(), func(tx *store.Tx) error { return tx.SaveWebhook(&changed) })
			if !errors.Is(err, bugle.ErrNotFound) {
				t.Errorf("error is %v, want ErrNotFound", err)
			}
		}
		save(func(w *bugle.Webhook) { w.ID = 99 })
		save(func(w *bugle.Webhook) { w.OrganizationID, w.Events = other.OrganizationID, nil })
		w.Events = personnel.EventNames()
		wantWebhook(t, s, &w)
	})
}

func TestWebhooks_areSorted(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *clockwork.FakeClock) {
		for i, name := range []string{"beta", "Alpha", "gamma", "alpha"} {
			w := bugle.NewWebhook()
			w.OrganizationID, w.Name, w.URL, w.Status = 1, name, "https://example.com", bugle.WebhookStatuses[i%2]
			storetest.Change(t, s, func(tx *store.Tx) error { return tx.AddWebhook(&w) })
		}
		for _, test := range []struct {
			sort       string
			descending bool
			want       string
		}{
			{"", false, "[1 2 3 4]"}, {"", true, "[4 3 2 1]"}, {"created", true, "[4 3 2 1]"}, {"name", false, "[2 4 1 3]"}, {"name", true, "[3 1 2 4]"},
			{"status", false, "[1 3 2 4]"}, {"nonsense; --", true, "[4 3 2 1]"},
		} {
			page, err := s.Webhooks(t.Context(), 1, store.WebhookFilter{Sort: test.sort, Descending: test.descending}, firstPage)
			var ids []int64
			for _, w := range page.Items {
				ids = append(ids, w.ID)
			}
			if err != nil || fmt.Sprint(ids) != test.want {
				t.Errorf("by %q, descending %v: %v (%v), want %s", test.sort, test.descending, ids, err, test.want)
			}
		}
	})
}

func TestWebhooks_arePages(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *clockwork.FakeClock) {
		for i := range 5 {
			storetest.AddWebhook(t, s, fmt.Sprintf("https://example.com/%d", i), nil)
		}
		for _, test := range []struct {
			number int
			want   []int64
		}{{1, []int64{1, 2}}, {2, []int64{3, 4}}, {3, []int64{5}}, {4, nil}} {
			page, err := s.Webhooks(t.Context(), 1, store.WebhookFilter{}, store.PageRequest{Number: test.number, Limit: 2})
			if err != nil || page.Total != 5 || page.Number != test.number || page.Limit != 2 {
				t.Errorf("page %d is %+v, %v", test.number, page, err)
			}
			var got []int64
			for _, w := range page.Items {
				got = append(got, w.ID)
				if len(w.Events) != 33 {
					t.Errorf("webhook %d has %d events", w.ID, len(w.Events))
				}
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("page %d has %d, want %d", test.number, got, test.want)
			}
		}
	})
}

func TestSubscription(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *clockwork.FakeClock) {
		subscribe := func(status bugle.WebhookStatus, events ...string) int64 {
			return storetest.AddWebhook(t, s, "https://example.com/hook", func(w *bugle.Webhook) { w.Status, w.Events = status, events }).ID
		}
		wanted := map[int64][]string{ // what becomes of a calendar that is created, updated and deleted
			subscribe(bugle.Active, "calendar.created", "calendar.updated", "calendar.deleted"): {"calendar.created", "calendar.updated", "calendar.deleted"},
			subscribe(bugle.Active, "calendar.updated", "user.created"):                         {"calendar.updated"},
			subscribe(bugle.Active):                            nil,
			subscribe(bugle.Active, "user.created"):            nil,
			subscribe(bugle.Paused, "calendar.deleted"):        {"calendar.deleted"},
			subscribe(bugle.Disabled, "calendar.created"):      nil,
			subscribe(bugle.Active, "webhook.test"):            nil,
			subscribe(bugle.Paused, personnel.EventNames()...): {"calendar.created", "calendar.updated", "calendar.deleted"},
		}
		c := storetest.Create(t, s, &personnel.Calendar, "name", "Drills", "color", "#2563eb").ID()
		storetest.Update(t, s, &personnel.Calendar, c, "name", "Exercises")
		storetest.Delete(t, s, &personnel.Calendar, c)
		for id, want := range wanted {
			got := query[string](t, s, "SELECT e.name FROM deliveries d JOIN events e ON e.id = d.event_id WHERE d.webhook_id = $1 ORDER BY d.id", id)
			if !slices.Equal(got, want) {
				t.Errorf("webhook %d got %q, want %q", id, got, want)
			}
			sequences := query[int](t, s, "SELECT sequence FROM deliveries WHERE webhook_id = $1 ORDER BY id", id)
			for i, sequence := range sequences {
				if sequence != i+1 {
					t.Errorf("webhook %d has the sequence %d", id, sequences)
				}
			}
		}
		if n := count(t, s, "events"); n != 3 {
			t.Errorf("there are %d events, want 3, whoever subscribes", n)
		}
	})
}

func TestSubscription_changes(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *clockwork.FakeClock) {
		w := storetest.AddWebhook(t, s, "https://example.com/hook", func(w *bugle.Webhook) { w.Events = []string{"calendar.created"} })
		add := func(want int) {
			t.Helper()
			storetest.Change(t, s, addCalendar("?"))
			if n := count(t, s, "deliveries"); n != want {
				t.Errorf("there are %d deliveries, want %d", n, want)
			}
		}
		save := func(set func(w *bugle.Webhook)) {
			t.Helper()
			set(w)
			storetest.Change(t, s, func(tx *store.Tx) error { return tx.SaveWebhook(w) })
		}
		add(1)
		save(func(w *bugle.Webhook) { w.Events = nil })
		add(1)
		save(func(w *bugle.Webhook) { w.Events = []string{"calendar.created"} })
		add(2)
		save(func(w *bugle.Webhook) { w.Status = bugle.Disabled })
		add(2)
		save(func(w *bugle.Webhook) { w.Status = bugle.Active })
		add(3)
		wantSequences(t, s, 1, 2, 3)
	})
}

// A sequence has no gap even where changes fail once their deliveries are made.
func TestSequence_withoutGapsWhenChangesFail(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *clockwork.FakeClock) {
		storetest.AddWebhook(t, s, "https://example.com/hook", nil)
		failure := errors.New("changed my mind")
		for i := range 10 {
			err := s.Update(t.Context(), func(tx *store.Tx) error {
				for range 2 {
					if _, err := tx.Create(storetest.Actor(), &personnel.Calendar, value.Map("name", "?", "color", "#2563eb")); err != nil {
						return err
					}
				}
				if i%3 == 1 {
					return failure
				}
				return nil
			})
			if (err == failure) != (i%3 == 1) {
				t.Fatal(err)
			}
		}
		wantSequences(t, s, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14)
	})
}
