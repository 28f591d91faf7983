package admin

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/internal/store"
	"github.com/buglehq/bugle/internal/storetest"
)

func TestQuotas(t *testing.T) {
	p := newPeoplePanel(t)
	has(t, p.get("/settings", http.StatusOK), "What the organization uses", "no limit", "not counted")
	storetest.Change(t, p.store, func(tx *store.Tx) error {
		return tx.SetQuotas(1, bugle.QuotaChoice{"webhooks": 1, "events": 2, "storage": 2 << 20})
	})
	p.post("/webhooks", url.Values{"name": {"Hook"}, "url": {"https://example.com/"}, "method": {"post"}}, http.StatusSeeOther)
	page := p.get("/settings", http.StatusOK)
	has(t, page, "Webhooks", "2 MiB", "0 bytes", "Webhooks: 100 % of the limit")

	has(t, p.post("/webhooks", url.Values{"name": {"Hook"}, "url": {"https://example.com/"}, "method": {"post"}}, http.StatusForbidden),
		"Your organization may have 1 webhooks, and has as many. Nothing was changed.")
	for range 2 {
		p.post("/calendars", url.Values{"name": {"Ops"}, "color": {"#16a34a"}}, http.StatusSeeOther)
	}
	status, text, header := p.request(http.MethodPost, "/calendars", "application/x-www-form-urlencoded", strings.NewReader("name=Ops&color=%2316a34a"))
	if status != http.StatusTooManyRequests || header.Get("Retry-After") == "" {
		t.Errorf("status %d, Retry-After %q", status, header.Get("Retry-After"))
	}
	has(t, text, "Your organization may cause 2 events a minute")
}
