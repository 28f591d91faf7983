package admin

import (
	"net/http"
	"testing"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/internal/store"
	"github.com/buglehq/bugle/internal/storetest"
)

var keptFields = []string{"name", "2nd Battalion", "display_name_format", "{name}", "time_zone", "UTC"}

func TestSettings_retention(t *testing.T) {
	p := newWebhooksPanel(t, "update_organization")
	page := p.get("/settings", http.StatusOK)
	has(t, page, "How long the log is kept", `name="events_days" value=""`, `name="runs_rows" value=""`, `placeholder="for ever"`, `placeholder="any number"`)
	p.post("/settings", http.StatusSeeOther, append(keptFields, "events_days", "400", "attempts_days", "0", "deliveries_rows", " 5000 ", "runs_days", "")...)
	choice, err := p.store.Retention(t.Context(), 1)
	if err != nil || len(choice) != 3 {
		t.Fatalf("the choice is %+v, %v", choice, err)
	}
	want := bugle.DefaultRetention
	want.Events.Days, want.Attempts.Days, want.Deliveries.Rows = 400, 0, 5000
	if got := choice.Over(bugle.DefaultRetention); got != want {
		t.Errorf("the log is kept for %+v, want %+v", got, want)
	}
	has(t, p.get("/settings", http.StatusOK), `name="events_days" value="400"`, `name="attempts_days" value="0"`, `name="deliveries_rows" value="5000"`)
	// An empty field leaves it to the server again.
	p.post("/settings", http.StatusSeeOther, append(keptFields, "events_days", "")...)
	if choice, err := p.store.Retention(t.Context(), 1); err != nil || len(choice) != 0 {
		t.Errorf("the choice is %+v, %v", choice, err)
	}
}

func TestSettings_retentionWrong(t *testing.T) {
	p := newWebhooksPanel(t, "update_organization")
	page := p.post("/settings", http.StatusUnprocessableEntity, append(keptFields, "events_days", "40000", "runs_days", "ten", "deliveries_rows", "5")...)
	has(t, page, "This must be 1 to 36500 days, or 0 for ever.", "This must be a whole number.", "This must be 100 to 1000000000, or 0 for any number.", `value="40000"`)
	if choice, err := p.store.Retention(t.Context(), 1); err != nil || len(choice) != 0 {
		t.Errorf("the choice is %+v, %v", choice, err)
	}
}

func TestRelease(t *testing.T) {
	p := newWebhooksPanel(t)
	hasNot(t, p.get("/", http.StatusOK), "Nothing is sent")
	storetest.Change(t, p.store, func(tx *store.Tx) error { return tx.HoldSending("a <drill>") })
	has(t, p.get("/webhooks", http.StatusOK), "Nothing is sent: a &lt;drill&gt;.", `action="/release"`)
	if to := p.post("/release", http.StatusSeeOther); to != "/" {
		t.Errorf("it leads to %s", to)
	}
	if h, err := p.store.SendingHold(t.Context()); h != nil || err != nil {
		t.Errorf("it is held: %+v, %v", h, err)
	}
	page := p.get("/", http.StatusOK)
	has(t, page, "Sending is released")
	hasNot(t, page, "Nothing is sent")
}

// What is held is that of all organizations, so an admin of one of several cannot release it.
func TestRelease_ofSeveralOrganizations(t *testing.T) {
	p := newWebhooksPanel(t)
	storetest.Change(t, p.store, func(tx *store.Tx) error {
		if _, err := tx.AddOrganization("2nd Test Battalion"); err != nil {
			return err
		}
		return tx.HoldSending("a drill")
	})
	page := p.get("/webhooks", http.StatusOK)
	has(t, page, "Nothing is sent: a drill.")
	hasNot(t, page, `action="/release"`)
	has(t, p.post("/release", http.StatusForbidden), "only who runs the server can release it")
	if h, err := p.store.SendingHold(t.Context()); h == nil || err != nil {
		t.Errorf("it is not held any more: %v", err)
	}
}

// Who is no admin sees why nothing arrives, but cannot change it.
func TestRelease_permission(t *testing.T) {
	p := newWebhooksPanel(t, "view_any_webhook", "update_organization")
	storetest.Change(t, p.store, func(tx *store.Tx) error { return tx.HoldSending("a drill") })
	page := p.get("/webhooks", http.StatusOK)
	has(t, page, "Nothing is sent: a drill.")
	hasNot(t, page, `action="/release"`)
	p.post("/release", http.StatusForbidden)
	if h, err := p.store.SendingHold(t.Context()); h == nil || err != nil {
		t.Errorf("it is not held any more: %v", err)
	}
}
