package admin_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/buglehq/bugle/internal/store"
	"github.com/buglehq/bugle/internal/storetest"
)

// Who does something in the panel is told by name, with his address, and finds it in the list.
func TestAuditLog(t *testing.T) {
	p := newDeliveriesPanel(t)
	p.post("/settings/hold", url.Values{})
	page := p.page("/audit-log")
	p.has(page, "hold.began", "account.signed_in", "Account Sam Admin", "127.0.0.1", `href="/audit-log"`)
	for query, want := range map[string]int{"action=hold.began": 1, "author=api_key": 0, "author=account&subject=organization": 1, "subject=organization&resource=9": 0,
		"since=2040-01-01T00:00": 0} {
		if got := strings.Count(mainOf(p.page("/audit-log?"+query)), `id="entry-`); got != want {
			t.Errorf("with %s the list has %d entries, want %d", query, got, want)
		}
	}
	if status, _, _ := p.by(p.client, http.MethodGet, "/audit-log?resource=x", nil); status != http.StatusUnprocessableEntity {
		t.Errorf("a number that is none is answered %d", status)
	}
}

// What is told shows no secret, and nothing that somebody wrote is taken for HTML.
func TestAuditLog_showsChanges(t *testing.T) {
	p := newDeliveriesPanel(t)
	w := storetest.AddWebhook(t, p.store, "https://example.com/hook", nil)
	w.Name, w.Secret = "<b>Relay</b>", "tell-nobody-of-this"
	storetest.Change(t, p.store, func(tx *store.Tx) error { return tx.SaveWebhook(w) })
	page := mainOf(p.page("/audit-log?action=webhook.updated"))
	p.has(page, "The server", "&lt;b&gt;Relay&lt;/b&gt;", "********", "secret")
	p.lacks(page, "<b>Relay", "tell-nobody")
}
