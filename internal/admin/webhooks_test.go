package admin

import (
	"encoding/csv"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jonboulle/clockwork"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/internal/signin"
	"github.com/buglehq/bugle/internal/store"
	"github.com/buglehq/bugle/internal/storetest"
	"github.com/buglehq/bugle/personnel"
)

// A webhooksPanel is a panel whose visitor has signed in with some permissions.
type webhooksPanel struct {
	*testing.T
	store  *store.Store
	clock  *clockwork.FakeClock
	url    string
	client *http.Client
}

const webhooksPassword = "correct horse battery"

var webhooksHash = sync.OnceValues(func() (string, error) { return signin.Hash(webhooksPassword) })

// newWebhooksPanel signs somebody in; without permissions his role is Admin.
func newWebhooksPanel(t *testing.T, permissions ...string) *webhooksPanel {
	t.Helper()
	s, clock := storetest.New(t)
	panel := New(s, Options{Clock: clock, UserAgent: "Bugle/test"})
	server := httptest.NewServer(panel)
	t.Cleanup(func() { panel.Close(); server.Close() })
	hash, err := webhooksHash()
	if err != nil {
		t.Fatal(err)
	}
	user := storetest.Create(t, s, &personnel.User, "name", "Jane Roe", "email", "jane@example.com")
	storetest.Change(t, s, func(tx *store.Tx) error {
		role := &bugle.Role{OrganizationID: 1, Name: "Some", Permissions: permissions}
		if len(permissions) > 0 {
			err = tx.AddRole(role)
		} else {
			role, err = s.RoleByName(t.Context(), 1, bugle.AdminRole)
		}
		if err != nil {
			return err
		}
		return tx.AddAccount(&bugle.Account{UserID: user.ID(), OrganizationID: 1, Role: role, PasswordHash: hash})
	})
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	p := &webhooksPanel{t, s, clock, server.URL, &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
	p.post("/login", http.StatusSeeOther, "email", "jane@example.com", "password", webhooksPassword)
	return p
}

// add makes a webhook as change has it.
func (p *webhooksPanel) add(change func(w *bugle.Webhook)) *bugle.Webhook {
	p.Helper()
	w := bugle.NewWebhook()
	w.OrganizationID, w.Name, w.URL = 1, "Forum", "https://forum.example.com/hook"
	if change != nil {
		change(&w)
	}
	storetest.Change(p, p.store, func(tx *store.Tx) error { return tx.AddWebhook(&w) })
	return &w
}

func (p *webhooksPanel) do(r *http.Request, status int) (body string, header http.Header) {
	p.Helper()
	answer, err := p.client.Do(r)
	if err != nil {
		p.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		p.Fatal(err)
	}
	if answer.StatusCode != status {
		p.Fatalf("%s %s: %d, want %d\n%s", r.Method, r.URL, answer.StatusCode, status, text)
	}
	return string(text), answer.Header
}

func (p *webhooksPanel) get(path string, status int) string {
	p.Helper()
	r, err := http.NewRequestWithContext(p.Context(), http.MethodGet, p.url+path, nil)
	if err != nil {
		p.Fatal(err)
	}
	body, _ := p.do(r, status)
	return body
}

// post sends pairs of names and values, and returns the page, or where it leads.
func (p *webhooksPanel) post(path string, status int, pairs ...string) string {
	p.Helper()
	form := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		form.Add(pairs[i], pairs[i+1])
	}
	r, err := http.NewRequestWithContext(p.Context(), http.MethodPost, p.url+path, strings.NewReader(form.Encode()))
	if err != nil {
		p.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	body, header := p.do(r, status)
	if status == http.StatusSeeOther {
		return header.Get("Location")
	}
	return body
}

// reload returns a webhook as it is stored.
func (p *webhooksPanel) reload(id int64) *bugle.Webhook {
	p.Helper()
	w, err := p.store.Webhook(p.Context(), 1, id)
	if err != nil {
		p.Fatal(err)
	}
	return w
}

func (p *webhooksPanel) all() []*bugle.Webhook {
	p.Helper()
	page, err := p.store.Webhooks(p.Context(), 1, store.WebhookFilter{}, store.PageRequest{Number: 1, Limit: 100})
	if err != nil {
		p.Fatal(err)
	}
	return page.Items
}

// attempted records an attempt at a delivery, and moves on to the next minute, so that it is counted.
func (p *webhooksPanel) attempted(webhookID, deliveryID int64, a bugle.Attempt, o bugle.Outcome) {
	p.Helper()
	a.Number, a.StartedAt = 1, p.clock.Now().UTC()
	health := bugle.Health{}.After(a.OK(), a.StartedAt)
	err := p.store.Record(p.Context(), []store.Result{{DeliveryID: deliveryID, WebhookID: webhookID, Attempt: &a, Outcome: o}}, map[int64]bugle.Health{webhookID: health})
	if err != nil {
		p.Fatal(err)
	}
}

func has(t *testing.T, page string, parts ...string) {
	t.Helper()
	text := html.UnescapeString(page)
	for _, part := range parts {
		if !strings.Contains(page, part) && !strings.Contains(text, part) {
			t.Errorf("the page lacks %q:\n%s", part, page)
		}
	}
}

func hasNot(t *testing.T, page string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if strings.Contains(page, part) {
			t.Errorf("the page has %q:\n%s", part, page)
		}
	}
}

func TestWebhooks_list(t *testing.T) {
	p := newWebhooksPanel(t)
	has(t, p.get("/webhooks", 200), "No webhooks", `href="/webhooks/create"`)

	p.add(func(w *bugle.Webhook) {
		w.Name, w.Events = "Roster <b>sync</b>", []string{"user.created", "user.deleted", "user.updated", "rankrecord.created"}
	})
	p.add(func(w *bugle.Webhook) { w.Name, w.Status, w.Method = "Night shift", bugle.Paused, "get" })
	p.add(func(w *bugle.Webhook) { w.Name, w.Status, w.URL = "Old", bugle.Disabled, "https://old.example.com/x" })
	page := p.get("/webhooks", 200)
	has(t, page, "Roster <b>sync</b>", "Paused", "Disabled", "Healthy", "No events", "1 more", `name="ids" value="1"`, "View logs", "Export CSV", "Delivered")
	hasNot(t, page, "Roster <b>sync</b>")
	if i, j := strings.Index(page, "Night shift"), strings.Index(page, "/old.example.com"); i < j {
		t.Error("the newest webhook is not the first")
	}
	hasNot(t, p.get("/webhooks?status=paused", 200), "old.example.com", "1 more")
	hasNot(t, p.get("/webhooks?event=user.deleted", 200), "Night shift")
	hasNot(t, p.get("/webhooks?search=OLD", 200), "Night shift")
	has(t, p.get("/webhooks?search=nowhere", 200), "No webhook fits")
	page = p.get("/webhooks?sort=name", 200)
	if strings.Index(page, "Night shift") > strings.Index(page, "old.example.com") {
		t.Error("the list is not sorted by name")
	}
	has(t, page, `aria-sort="ascending"`)
}

func TestWebhooks_csv(t *testing.T) {
	p := newWebhooksPanel(t)
	p.add(func(w *bugle.Webhook) { w.Name, w.Events = `=HYPERLINK("x")`, []string{"user.created", "user.updated"} })
	rows, err := csv.NewReader(strings.NewReader(p.get("/webhooks?format=csv", 200))).ReadAll()
	if err != nil || len(rows) != 2 {
		t.Fatalf("%v, %v", rows, err)
	}
	if got := strings.Join(rows[1][:7], "|"); got != `1|'=HYPERLINK("x")|https://forum.example.com/hook|post|user.created user.updated|active|healthy` {
		t.Error(got)
	}
}

func TestWebhooks_create(t *testing.T) {
	p := newWebhooksPanel(t)
	page := p.get("/webhooks/create", 200)
	last := 0
	for _, field := range []string{`name="name"`, `name="url"`, `name="method"`, `name="secret"`, `name="events"`, `name="timeout_seconds"`} {
		at := strings.Index(page, field)
		if at < last {
			t.Errorf("%s is not in its place", field)
		}
		last = at
	}
	if n := strings.Count(page, `name="events"`); n != 34 {
		t.Errorf("%d events can be chosen, want 34", n)
	}
	if !regexp.MustCompile(`id="field-secret" name="secret" value="[A-Za-z0-9]{32}"`).MatchString(page) {
		t.Error("there is no random secret")
	}
	has(t, page, "/automations/create", "Calendars & Events", `data-select-all="events-records"`)

	fields := []string{"name", "Forum", "url", "https://forum.example.com", "method", "post", "secret", "s3cret", "events", "user.created", "events", "rankrecord.created",
		"description", "<p>x</p>", "status", "active", "timeout_seconds", "7", "max_attempts", "4", "retry_schedule", "5, 2m 1h", "max_concurrency", "3",
		"rate_per_second", "0.5", "ordered", "1", "headers", "X-Unit: 1st\r\n\r\nAuthorization: Bearer a:b"}
	if to := p.post("/webhooks", http.StatusSeeOther, fields...); to != "/webhooks/1" {
		t.Fatal(to)
	}
	w := p.reload(1)
	got := fmt.Sprint(w.Name, w.Method, w.Secret, w.Events, w.TimeoutSeconds, w.MaxAttempts, w.RetrySchedule, w.MaxConcurrency, w.RatePerSecond, w.Ordered, w.Headers)
	if want := "Forumposts3cret[rankrecord.created user.created] 7 4 [5 120 3600] 3 0.5 true [{X-Unit 1st} {Authorization Bearer a:b}]"; got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
	has(t, p.get("/webhooks/1", 200), "The webhook Forum is there.", "5s, 2m, 1h", "********")

	// The form of an edit has all of it, but for what is secret, which stays if it comes back as it is shown.
	page = p.get("/webhooks/1/edit", 200)
	has(t, page, `name="secret" value="********"`, `value="5s, 2m, 1h"`, "Authorization: ********", `value="user.created" data-group="events-users" checked`, `value="0.5"`)
	hasNot(t, page, "s3cret", "Bearer a:b")
	p.post("/webhooks/1/edit", http.StatusSeeOther, "name", "Forum", "url", "https://forum.example.com", "method", "post", "secret", "********", "headers", "X-Unit: 2nd\r\nAuthorization: ********")
	if w := p.reload(1); w.Secret != "s3cret" || fmt.Sprint(w.Headers) != "[{X-Unit 2nd} {Authorization Bearer a:b}]" {
		t.Errorf("saved as it was shown: %q %v", w.Secret, w.Headers)
	}
	has(t, p.post("/webhooks/1/edit", http.StatusUnprocessableEntity, "name", "Forum", "url", "https://forum.example.com", "method", "post", "secret", "********", "headers", "X-Key: ********"),
		"The value of the header X-Key is the mask of one that it has not")
}

func TestWebhooks_fieldPolicy(t *testing.T) {
	p := newWebhooksPanel(t)
	w := p.add(nil)
	base := []string{"name", "Forum", "url", w.URL, "method", "post", "secret", w.Secret}
	hasNot(t, p.get("/webhooks/1/edit", 200), `open id="personal-data"`)
	for text, reason := range map[string]string{"email": "Line 1 has no “name: drop”", "\nemail: remove": "must be drop or hash", "a: drop\nA: drop": "is in the policy twice", "a..b: drop": "must be a name such as email"} {
		page := p.post("/webhooks/1/edit", http.StatusUnprocessableEntity, append(base, "field_policy", text)...)
		has(t, page, reason, `open id="personal-data"`)
	}
	p.post("/webhooks/1/edit", http.StatusUnprocessableEntity, append(base, "field_policy", "", "policy_contact", "shred")...)
	p.post("/webhooks/1/edit", http.StatusSeeOther, append(base, "field_policy", "service_number: Hash\r\n\r\nuser.x : drop", "policy_contact", "drop", "policy_name", "hash", "policy_photos", "")...)
	want := []bugle.FieldRule{{Preset: "contact", Action: bugle.DropField}, {Preset: "name", Action: bugle.HashField},
		{Attribute: "service_number", Action: bugle.HashField}, {Attribute: "user.x", Action: bugle.DropField}}
	if got := p.reload(1).FieldPolicy; !slices.Equal(got, want) {
		t.Errorf("the policy is %+v", got)
	}
	has(t, p.get("/webhooks/1/edit", 200), `open id="personal-data"`, "service_number: hash\nuser.x: drop", `<option value="drop" selected>Leave out</option>`)
	has(t, p.get("/webhooks/1", 200), "Contact data: left out", "Names of people: replaced by a hash", "service_number: replaced by a hash")
	p.post("/webhooks/1/edit", http.StatusSeeOther, append(base, "timeout_seconds", "7")...) // a form without it changes nothing of it
	if got := p.reload(1).FieldPolicy; !slices.Equal(got, want) {
		t.Errorf("the policy is %+v", got)
	}
	p.post("/webhooks/1/edit", http.StatusSeeOther, append(base, "field_policy", "")...)
	if got := p.reload(1); len(got.FieldPolicy) != 0 {
		t.Errorf("the policy is %+v", got.FieldPolicy)
	}
}

func TestWebhooks_createWrong(t *testing.T) {
	p := newWebhooksPanel(t)
	page := p.post("/webhooks", http.StatusUnprocessableEntity, "name", "", "url", "ftp://<x>", "method", "post", "secret", "typed secret", "events", "user.created", "events", "user.exploded",
		"retry_schedule", "5, soon", "headers", "no colon", "max_attempts", "1000")
	has(t, page, "The name field", "http:// or https://", "“soon” is no time", "Line 1 has no “Name: value”.", "max_attempts", "user.exploded", `value="typed secret"`, `value="user.created" data-group="events-users" checked`, "5, soon",
		`<details class="webhook-more" open>`, `data-dirty="changed"`)
	hasNot(t, page, "ftp://<x>")
	if len(p.all()) != 0 {
		t.Error("a webhook was made")
	}
}

func TestWebhooks_presets(t *testing.T) {
	for _, preset := range webhookPresets {
		p := newWebhooksPanel(t)
		page := p.get("/webhooks/create?preset="+preset.Key, 200)
		has(t, page, preset.Steps[0], `action="/webhooks?preset=`+preset.Key+`"`)
		if !preset.IsChat() {
			hasNot(t, page, `name="templates"`)
			continue
		}
		choices := preset.choices()
		if len(choices) == 0 {
			t.Fatalf("%s has no templates", preset.Key)
		}
		fields := []string{"name", preset.Name, "url", "https://elsewhere.example.com/", "method", "post", "secret", "s", "telegram_token", "", "telegram_chat", "-1001", "templates", "leave_request_to_staff"}
		for _, c := range choices {
			has(t, page, c.Name, c.About)
			fields = append(fields, "templates", c.Key)
		}
		to := p.post("/webhooks?preset="+preset.Key, http.StatusSeeOther, fields...)
		has(t, p.get(to, 200), "does not look like one of "+preset.Name, "automation")
		list, err := p.store.Automations(t.Context(), 1, store.AutomationFilter{WebhookID: 1}, store.PageRequest{Number: 1, Limit: 50})
		if err != nil || len(list.Items) != len(choices) {
			t.Errorf("%s: %d automations, want %d (%v)", preset.Key, len(list.Items), len(choices), err)
		}
		if preset.Key == "telegram" && !strings.Contains(fmt.Sprint(payloadText(t, list.Items[0])), `"-1001"`) {
			t.Errorf("the chat is not in %v", payloadText(t, list.Items[0]))
		}
	}
}

func payloadText(t *testing.T, a *bugle.Automation) string {
	t.Helper()
	text, err := jsonOf(a.PayloadTemplate)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestWebhooks_telegramURL(t *testing.T) {
	p := newWebhooksPanel(t)
	page := p.post("/webhooks?preset=telegram", http.StatusUnprocessableEntity, "name", "T", "url", "", "method", "post", "secret", "s", "telegram_token", "1:a/../b", "telegram_chat", "", "templates", "telegram_promotion")
	has(t, page, "A bot token looks like", "Name the chat")
	p.post("/webhooks?preset=telegram", http.StatusSeeOther, "name", "T", "url", "", "method", "post", "secret", "s", "telegram_token", "123:AAbb_-", "telegram_chat", "@unit", "templates", "telegram_promotion")
	if w := p.reload(1); w.URL != "https://api.telegram.org/bot123:AAbb_-/sendMessage" {
		t.Error(w.URL)
	}
}

// Templates are chosen by those who may make automations, and only they.
func TestWebhooks_presetWithoutAutomations(t *testing.T) {
	p := newWebhooksPanel(t, "view_any_webhook", "view_webhook", "create_webhook")
	page := p.get("/webhooks/create?preset=discord", 200)
	hasNot(t, page, `name="templates"`)
	has(t, page, "Your role may not make any")
	p.post("/webhooks?preset=discord", http.StatusSeeOther, "name", "D", "url", "https://discord.com/api/webhooks/1/x", "method", "post", "secret", "s", "templates", "discord_promotion")
	if list, err := p.store.Automations(t.Context(), 1, store.AutomationFilter{}, store.PageRequest{Number: 1, Limit: 5}); err != nil || len(list.Items) != 0 {
		t.Errorf("%d automations, %v", len(list.Items), err)
	}
}

func TestServiceOf(t *testing.T) {
	for address, want := range map[string]string{
		"https://discord.com/api/webhooks/1/x":                           "discord",
		"https://ptb.discord.com/api/v10/webhooks/1/x":                   "discord",
		"https://notdiscord.com/api/webhooks/1/x":                        "",
		"https://discord.com.example.com/api/webhooks/1/x":               "",
		"https://hooks.slack.com/services/T/B/x":                         "slack",
		"https://api.telegram.org/bot1:a/sendMessage":                    "telegram",
		"https://api.telegram.org/bot1:a/getUpdates":                     "",
		"https://prod-1.westus.logic.azure.com:443/workflows/x/triggers": "teams",
		"https://example.com/":                                           "",
		"://":                                                            "",
	} {
		got := ""
		if p := serviceOf(address); p != nil {
			got = p.Key
		}
		if got != want {
			t.Errorf("%s is of %q, want %q", address, got, want)
		}
	}
}

func TestWebhooks_show(t *testing.T) {
	p := newWebhooksPanel(t)
	w := p.add(func(w *bugle.Webhook) {
		w.Description = `<p>For the <b>forum</b></p><script>alert(1)</script><img src=x onerror=alert(2)>`
		w.Headers = []bugle.Header{{Name: "Authorization", Value: "Bearer verysecretvalue"}}
	})
	delivery := p.test(w)
	p.attempted(w.ID, delivery, bugle.Attempt{Method: "POST", URL: w.URL, Status: 500, Reason: "Internal Server Error", Took: 20 * time.Millisecond,
		Error: &bugle.AttemptError{Kind: bugle.ErrorStatus, Message: "the receiver answered 500"}}, bugle.Outcome{State: bugle.Pending, NextAt: p.clock.Now().Add(time.Minute)})
	for _, rng := range []string{"", "?range=7d", "?range=30d", "?range=nonsense"} {
		page := p.get("/webhooks/1"+rng, 200)
		has(t, page, "Failing", "The last attempt failed.", "<b>forum</b>", "0.00 %", "1 waits for another attempt", "To be tried again", "webhook.test", `href="/webhook-logs/1"`, `href="/webhook-logs?webhook=1"`)
		hasNot(t, page, "<script>alert", "onerror", "verysecretvalue", w.Secret)
	}
	has(t, p.get("/webhooks/1?state=delivered", 200), "No delivery fits.", `href="/webhook-logs?state=delivered&amp;webhook=1"`)
	for query, fits := range map[string]bool{"status=5xx": true, "status=2xx": false, "event=webhook.test": true, "request_id=zz": false,
		"request_id=" + storetest.Actor().RequestID[:6]: true, "since=2099-01-01": false} {
		if page := p.get("/webhooks/1?"+query, 200); strings.Contains(page, `id="delivery-1"`) != fits {
			t.Errorf("with %s the delivery is in the list: %t", query, !fits)
		}
	}
	has(t, p.get("/webhooks/1?state=nonsense", 200), "There is no such state to filter by.")
	p.get("/webhooks/2", 404)
	p.get("/webhooks/x", 404)

	// Automations that use it are named, others are not.
	other := p.add(nil)
	for id, name := range map[int64]string{w.ID: "Tell the <forum>", other.ID: "Something else"} {
		a := bugle.NewAutomation()
		a.OrganizationID, a.Name, a.Trigger, a.WebhookID = 1, name, "user.created", id
		storetest.Change(t, p.store, func(tx *store.Tx) error { return tx.AddAutomation(&a) })
	}
	uses := p.get("/webhooks/1", 200)
	has(t, uses, "Tell the <forum>", `href="/automations/`)
	hasNot(t, uses, "Tell the <forum>", "Something else")

	// The secret is shown by a post, once.
	page := p.post("/webhooks/1/secret", 200)
	has(t, page, `value="`+w.Secret+`"`, `href="/webhooks/1?range=7d#chart"`, `href="/webhooks/1?code=go#verify"`)
	hasNot(t, p.get("/webhooks/1", 200), w.Secret)
}

// test sends a test and returns its delivery.
func (p *webhooksPanel) test(w *bugle.Webhook) (id int64) {
	p.Helper()
	storetest.Change(p, p.store, func(tx *store.Tx) (err error) {
		id, err = tx.SendTest(storetest.Actor(), w.ID, "x")
		return err
	})
	return id
}

func TestWebhooks_status(t *testing.T) {
	p := newWebhooksPanel(t)
	w := p.add(nil)
	for _, step := range []struct {
		verb string
		want bugle.WebhookStatus
		text string
	}{
		{"pause", bugle.Paused, "Resume"}, {"resume", bugle.Active, "Pause"}, {"disable", bugle.Disabled, "Enable"}, {"enable", bugle.Active, "Disable"},
	} {
		to := p.post("/webhooks/1/"+step.verb, http.StatusSeeOther)
		if got := p.reload(w.ID).Status; got != step.want {
			t.Errorf("after %s it is %s", step.verb, got)
		}
		has(t, p.get(to, 200), step.text, "Forum "+statusChanges[step.verb].done)
	}
	p.post("/webhooks/1/disable", http.StatusSeeOther)
	p.post("/webhooks/1/resume", http.StatusConflict)
	hasNot(t, p.get("/webhooks/1", 200), `href="/webhooks/1/test"`)
}

func TestWebhooks_edit(t *testing.T) {
	p := newWebhooksPanel(t)
	w := p.add(func(w *bugle.Webhook) { w.Events = []string{"user.created"} })
	page := p.post("/webhooks/1/edit", http.StatusUnprocessableEntity, "name", "New <name>", "url", "nonsense", "method", "post", "secret", w.Secret)
	has(t, page, "The url field", "New <name>")
	hasNot(t, page, "New <name>")
	if p.reload(1).Name != "Forum" {
		t.Error("something of it was saved")
	}
	p.post("/webhooks/1/edit", http.StatusSeeOther, "name", "New name", "url", w.URL, "method", "get", "secret", "another", "retry_schedule", "90")
	got := p.reload(1)
	if got.Name != "New name" || got.Method != "get" || got.Secret != "another" || len(got.Events) != 0 || fmt.Sprint(got.RetrySchedule) != "[90]" {
		t.Errorf("%+v", got)
	}
	has(t, p.get("/webhooks/1", 200), "webhook-signature</code> covers the query string")
}

func TestWebhooks_rotate(t *testing.T) {
	p := newWebhooksPanel(t)
	old := p.add(nil).Secret
	to := p.post("/webhooks/1/rotate", http.StatusSeeOther, "keep", "3600")
	w := p.reload(1)
	if w.Secret == old || len(w.Secret) != 32 || w.OldSecret != old || w.OldSecretUntil.Sub(storetest.Start) != time.Hour {
		t.Errorf("%+v", w)
	}
	page := p.get(strings.TrimSuffix(to, "#secret"), 200)
	has(t, page, "There is a new secret.", "The old secret signs too until")
	hasNot(t, page, w.Secret, old)
	has(t, p.post("/webhooks/1/secret", 200), w.Secret, old)
	p.clock.Advance(2 * time.Hour)
	hasNot(t, p.post("/webhooks/1/secret", 200), old, "The old secret signs too until")
	p.post("/webhooks/1/rotate", http.StatusSeeOther, "keep", "0")
	if w := p.reload(1); w.OldSecret != "" {
		t.Error("the old secret was kept")
	}
	for _, keep := range []string{"", "x", "-1", "99999999"} {
		p.post("/webhooks/1/rotate", http.StatusUnprocessableEntity, "keep", keep)
	}
}

func TestWebhooks_deleteAndBulk(t *testing.T) {
	p := newWebhooksPanel(t)
	for _, status := range []bugle.WebhookStatus{bugle.Active, bugle.Active, bugle.Disabled, bugle.Active} {
		p.add(func(w *bugle.Webhook) { w.Status = status })
	}
	p.post("/webhooks/1/delete", http.StatusSeeOther)
	p.post("/webhooks/1/delete", http.StatusNotFound)
	has(t, p.get(p.post("/webhooks/bulk", http.StatusSeeOther, "action", "pause"), 200), "Nothing was chosen")
	page := p.get(p.post("/webhooks/bulk", http.StatusSeeOther, "action", "pause", "ids", "1", "ids", "2", "ids", "3"), 200)
	has(t, page, "1 webhook was paused. 2 were left as they were")
	if p.reload(2).Status != bugle.Paused || p.reload(3).Status != bugle.Disabled || p.reload(4).Status != bugle.Active {
		t.Error("others were changed")
	}
	has(t, p.get(p.post("/webhooks/bulk", http.StatusSeeOther, "action", "resume", "ids", "2", "ids", "4"), 200), "2 webhooks were resumed.")
	has(t, p.get(p.post("/webhooks/bulk", http.StatusSeeOther, "action", "delete", "ids", "2", "ids", "3"), 200), "2 webhooks were deleted.")
	if len(p.all()) != 1 {
		t.Error("they are still there")
	}
	p.post("/webhooks/bulk", http.StatusUnprocessableEntity, "action", "explode", "ids", "4")
	p.post("/webhooks/bulk", http.StatusUnprocessableEntity, "action", "pause", "ids", "four")
}

func TestWebhooks_permissions(t *testing.T) {
	routes := []struct{ method, path, permission string }{
		{"GET", "/webhooks", "view_any_webhook"}, {"GET", "/webhooks/create", "create_webhook"}, {"POST", "/webhooks", "create_webhook"},
		{"GET", "/webhooks/1", "view_webhook"}, {"GET", "/webhooks/1/edit", "update_webhook"}, {"POST", "/webhooks/1/edit", "update_webhook"},
		{"POST", "/webhooks/1/delete", "delete_webhook"}, {"POST", "/webhooks/1/secret", "update_webhook"}, {"POST", "/webhooks/1/rotate", "update_webhook"},
		{"POST", "/webhooks/1/pause", "update_webhook"}, {"POST", "/webhooks/1/disable", "update_webhook"},
		{"GET", "/webhooks/1/test", "view_webhook"}, {"POST", "/webhooks/1/test", "view_webhook"}, {"GET", "/webhooks/1/test/1", "view_webhook"},
	}
	for _, granted := range []string{"view_any_award", "view_any_webhook", "view_webhook", "create_webhook", "update_webhook", "delete_webhook"} {
		p := newWebhooksPanel(t, granted)
		p.add(nil)
		for _, r := range routes {
			if r.permission == granted {
				continue
			}
			if r.method == "GET" {
				p.get(r.path, http.StatusForbidden)
			} else {
				p.post(r.path, http.StatusForbidden)
			}
		}
	}
}

// What a role may not do, its pages do not offer.
func TestWebhooks_hidden(t *testing.T) {
	p := newWebhooksPanel(t, "view_any_webhook", "view_webhook")
	w := p.add(nil)
	page := p.get("/webhooks", 200)
	hasNot(t, page, "/webhooks/create", `name="ids"`, "/webhooks/1/edit", "View logs", "/webhooks/bulk")
	page = p.get("/webhooks/1", 200)
	hasNot(t, page, "/webhooks/1/edit", "/webhooks/1/delete", "/webhooks/1/pause", "/webhooks/1/rotate", "/webhooks/1/secret", `id="logs"`, "Automations that use it", w.Secret)
	has(t, page, `href="/webhooks/1/test"`)
	p.post("/webhooks/bulk", http.StatusForbidden, "action", "delete", "ids", "1")
	p.post("/webhooks/bulk", http.StatusForbidden, "action", "pause", "ids", "1")
	hasNot(t, newWebhooksPanel(t, "view_any_award").get("/account", 200), `href="/webhooks"`)
}

func TestWebhooks_test(t *testing.T) {
	p := newWebhooksPanel(t)
	w := p.add(func(w *bugle.Webhook) {
		w.Headers = []bugle.Header{{Name: "X-Api-Key", Value: "sensitive value of a key"}}
	})
	has(t, p.get("/webhooks/1/test", 200), `"status": "ok"`, `data-editor="json"`)
	has(t, p.post("/webhooks/1/test", http.StatusUnprocessableEntity, "payload", `{"a": <b>`), "This is not valid JSON", `{"a": <b>`)
	to := p.post("/webhooks/1/test", http.StatusSeeOther, "payload", `{"a": "<b>1</b>"}`)
	if to != "/webhooks/1/test/1" {
		t.Fatal(to)
	}
	page := p.get(to, 200)
	has(t, page, "on its way", `hx-trigger="every 500ms"`, "as it will be sent", `"event":"webhook.test"`, "webhook-signature", "msg_1")
	hasNot(t, page, "sensitive value", "<b>1<")

	p.attempted(w.ID, 1, bugle.Attempt{Method: "POST", URL: w.URL, Status: 200, Reason: "OK", Took: 12 * time.Millisecond, RemoteAddress: "192.0.2.1:443",
		ResponseHeaders: http.Header{"X-Answer": {"<i>"}}, ResponseBody: []byte(`{"ok":"<script>"}`)}, bugle.Outcome{State: bugle.Delivered})
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, p.url+to, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("HX-Request", "true")
	part, _ := p.do(r, 200)
	has(t, part, `id="trial"`, "Delivered: the receiver answered 200 OK after 12 ms.", "X-Answer", `{"ok":"<script>"}`, "192.0.2.1:443")
	hasNot(t, part, "<html", "hx-trigger", "<script>", "<i>")

	// Deliveries that are no tests, or of other webhooks, are not shown here.
	p.add(nil)
	p.get("/webhooks/2/test/1", 404)
	p.get("/webhooks/1/test/99", 404)
	p.get("/webhooks/1/test/x", 404)
}

func TestWebhooks_testFails(t *testing.T) {
	p := newWebhooksPanel(t)
	w := p.add(func(w *bugle.Webhook) { w.URL = "https://discord.com/api/webhooks/1/x" })
	has(t, p.get("/webhooks/1/test", 200), "Discord takes messages in a form of its own")
	p.post("/webhooks/1/test", http.StatusSeeOther, "payload", "1")
	p.attempted(w.ID, 1, bugle.Attempt{Method: "POST", URL: w.URL, Took: time.Second, Error: &bugle.AttemptError{Kind: bugle.ErrorTimeout, Message: "no answer within 10 s"}},
		bugle.Outcome{State: bugle.Pending, NextAt: p.clock.Now().Add(5 * time.Second)})
	page := p.get("/webhooks/1/test/1", 200)
	has(t, page, "there was no answer. No answer within 10 s.", "It is tried again", "Discord takes messages in a form of its own")
	hasNot(t, page, "hx-trigger")

	// It asks for a minute; afterwards the visitor has to.
	p.post("/webhooks/1/test", http.StatusSeeOther, "payload", "1")
	p.clock.Advance(61 * time.Second)
	page = p.get("/webhooks/1/test/2", 200)
	has(t, page, "has not been sent yet", "Look again")
	hasNot(t, page, "hx-trigger")

	p.post("/webhooks/1/pause", http.StatusSeeOther)
	has(t, p.get("/webhooks/1/test/2", 200), "the webhook is paused")
	p.post("/webhooks/1/disable", http.StatusSeeOther)
	has(t, p.post("/webhooks/1/test", http.StatusUnprocessableEntity, "payload", "1"), "The webhook is disabled")
}

func TestParseSchedule(t *testing.T) {
	for text, want := range map[string]string{
		"5, 30, 120":           "[5,30,120]",
		"5s 30sec;2 min, 1h":   "[5,30,120,3600]",
		" 2 Minutes,1 day, 7d": "[120,86400,604800]",
		"":                     "Write at least one time, such as 30s.",
		"5, soon":              "“soon” is no time. Write seconds, or for example 2m, 1h or 1d.",
		"1.5h":                 "“1.5h” is no time. Write seconds, or for example 2m, 1h or 1d.",
		"0":                    "Each time must be at least a second.",
		"8d":                   "“8d” is too long: a week at most.",
		"-5":                   "“-5” is no time. Write seconds, or for example 2m, 1h or 1d.",
	} {
		schedule, got := parseSchedule(text)
		if got == "" {
			got, _ = jsonOf(schedule)
		}
		if got != want {
			t.Errorf("%q gives %s, want %s", text, got, want)
		}
	}
	if got := scheduleText(bugle.DefaultRetrySchedule); got != "5s, 30s, 2m, 10m, 1h, 4h, 10h, 1d" {
		t.Error(got)
	}
}

func TestParseHeaders(t *testing.T) {
	for text, want := range map[string]string{
		"":                      "[]",
		"A: b\r\n\r\nC:d:e \n":  `{"A":"b","C":"d:e"}`,
		"no colon":              "Line 1 has no “Name: value”.",
		"A: b\n: c":             "Line 2 has no “Name: value”.",
		"A: b\nA: c":            "Line 2 has A again.",
		"X-Unit: 1st Battalion": `{"X-Unit":"1st Battalion"}`,
	} {
		headers, got := parseHeaders(text)
		if got == "" {
			got, _ = jsonOf(headers)
		}
		if got != want {
			t.Errorf("%q gives %s, want %s", text, got, want)
		}
	}
}
