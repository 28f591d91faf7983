package admin

import (
	"strings"
	"testing"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/internal/store"
	"github.com/buglehq/bugle/internal/storetest"
)

// The list of keys says which was used, when and from where.
func TestKeys_lastUse(t *testing.T) {
	p := newPeoplePanel(t)
	key := &bugle.APIKey{OrganizationID: 1, Name: "used", Scopes: []string{"*"}}
	storetest.Change(t, p.store, func(tx *store.Tx) error {
		_, err := tx.AddKey(key)
		return err
	})
	if text := p.get("/api-keys", 200); strings.Count(text, ">Never<") != 2 { // expires, and used
		t.Errorf("a new key is used or expires: %s", text)
	}
	if err := p.store.UsedKeys(t.Context(), map[int64]store.KeyUse{key.ID: {At: storetest.Start, Address: "203.0.113.7"}}); err != nil {
		t.Fatal(err)
	}
	if text := p.get("/api-keys", 200); strings.Count(text, ">Never<") != 1 || !strings.Contains(text, "from 203.0.113.7") || !strings.Contains(text, `datetime="2026-01-14T12:00:00`) {
		t.Errorf("a used key is not shown as one: %s", text)
	}
}
