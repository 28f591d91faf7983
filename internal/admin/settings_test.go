package admin_test

import (
	"net/http"
	"net/url"
	"testing"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/internal/dispatch"
	"github.com/buglehq/bugle/internal/store"
	"github.com/buglehq/bugle/internal/storetest"
)

func TestSettings_alerts(t *testing.T) {
	p := newDeliveriesPanel(t)
	p.has(p.page("/settings"), "When a webhook fails", `name="alert_mail" value="1" checked`)
	fields := url.Values{"name": {"Bravo"}, "display_name_format": {"{name}"}, "time_zone": {"UTC"}, "alert_channel": {"slack"}, "disable_after_days": {"5"}}
	p.post("/settings", fields)
	o, err := p.store.Organization(t.Context(), 1)
	if err != nil || o.Name != "Bravo" || o.AlertMail || o.AlertChannel != "slack" || o.DisableAfterDays != 5 {
		t.Errorf("saved is %+v, %v", o, err)
	}
	for name, wrong := range map[string]string{"disable_after_days": "366", "alert_channel": "mail"} {
		fields := url.Values{"name": {"Charlie"}, "display_name_format": {"{name}"}, "time_zone": {"UTC"}, "disable_after_days": {"5"}}
		fields.Set(name, wrong)
		if status, text, _ := p.by(p.client, http.MethodPost, "/settings", fields); status != http.StatusUnprocessableEntity {
			t.Errorf("%s %q is answered %d: %s", name, wrong, status, text)
		}
	}
	fields.Set("disable_after_days", "soon")
	if status, _, _ := p.by(p.client, http.MethodPost, "/settings", fields); status != http.StatusUnprocessableEntity {
		t.Errorf("no number is answered %d", status)
	}
	if o, err = p.store.Organization(t.Context(), 1); err != nil || o.Name != "Bravo" || o.DisableAfterDays != 5 {
		t.Errorf("after what was refused it is %+v, %v", o, err)
	}
}

// Those who may see webhooks find out under the bell, and on the webhook's page.
func TestWebhook_failingIsShown(t *testing.T) {
	p := newDeliveriesPanel(t)
	w := storetest.AddWebhook(t, p.store, "https://example.com/hook", func(w *bugle.Webhook) { w.Name = "Relay <1>" })
	storetest.Change(t, p.store, func(tx *store.Tx) error { return tx.SetAlerts(1, true, "", 5) })
	p.lacks(p.page("/webhooks/1"), "times in a row. Those who may see webhooks")
	health := bugle.Health{ConsecutiveFailures: 12, FailingSince: p.clock.Now(), LastFailureAt: p.clock.Now()}
	if err := p.store.Record(t.Context(), nil, map[int64]bugle.Health{w.ID: health}); err != nil {
		t.Fatal(err)
	}
	if err := dispatch.NewKeeper(p.store, dispatch.KeeperOptions{Clock: p.clock}).Round(t.Context()); err != nil {
		t.Fatal(err)
	}
	p.has(p.page("/webhooks/1"), "It has failed since", "12 times in a row", "Unless it delivers, it is disabled")
	p.has(p.page("/notifications"), "Relay &lt;1&gt;", "/webhooks/1")
}

func TestSettings_hold(t *testing.T) {
	p := newDeliveriesPanel(t)
	storetest.AddWebhook(t, p.store, "https://example.com/hook", nil)
	p.lacks(p.page("/webhooks"), "is held since")
	p.has(p.page("/settings"), `action="/settings/hold"`)
	p.post("/settings/hold", nil)
	p.has(p.page("/settings"), "Everything that is sent is held from now on.", `action="/settings/release"`)
	p.has(p.page("/webhooks"), "Everything that is sent is held since", `href="/settings#hold"`)
	p.post("/settings/hold", nil)
	p.has(p.page("/settings"), "It is held already.")
	p.users("Jane Roe")
	p.has(p.page("/webhook-logs/1"), "It is held.")
	if status, _, _ := p.by(p.client, http.MethodPost, "/settings/release", url.Values{"do": {"burn"}}); status != http.StatusUnprocessableEntity {
		t.Errorf("an unknown way is answered %d", status)
	}
	p.post("/settings/release", url.Values{"do": {"drop"}})
	p.has(p.page("/settings"), "The hold is about to end.", "What was held is being cancelled.")
	p.post("/settings/release", url.Values{"do": {"deliver"}})
	p.has(p.page("/settings"), "being released already")
	if err := dispatch.NewKeeper(p.store, dispatch.KeeperOptions{Clock: p.clock}).Round(t.Context()); err != nil {
		t.Fatal(err)
	}
	p.lacks(p.page("/webhooks"), "is held since")
	p.has(p.page("/webhook-logs/1"), "It was never sent. It was held, and dropped")
	reader := p.inviteWith("reader", "view_any_webhook")
	for _, path := range []string{"/settings/hold", "/settings/release"} {
		if status, _, _ := p.by(reader, http.MethodPost, path, url.Values{}); status != http.StatusForbidden {
			t.Errorf("%s without the permission is answered %d", path, status)
		}
	}
}
