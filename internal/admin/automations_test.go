package admin_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/internal/admin"
	"github.com/buglehq/bugle/internal/dispatch"
	"github.com/buglehq/bugle/internal/signin"
	"github.com/buglehq/bugle/internal/store"
	"github.com/buglehq/bugle/internal/storetest"
	"github.com/buglehq/bugle/personnel"
	"github.com/buglehq/bugle/value"
)

// An automationsPanel is a panel with somebody who has signed in.
type automationsPanel struct {
	t      *testing.T
	store  *store.Store
	client *http.Client
	url    string
	runs   func() // evaluates what is pending
}

// newAutomationsPanel returns a panel that an Admin uses, or somebody with the permissions.
func newAutomationsPanel(t *testing.T, permissions ...string) *automationsPanel {
	t.Helper()
	s, clock := storetest.New(t)
	p := &automationsPanel{t: t, store: s}
	dispatcher := dispatch.NewDispatcher(s, dispatch.Options{Clock: clock})
	p.runs = func() {
		for n := 1; n > 0; {
			var err error
			if n, err = dispatcher.Step(t.Context(), 1); err != nil {
				t.Fatal(err)
			}
		}
	}
	panel := admin.New(s, admin.Options{Clock: clock, PublicURL: storetest.BaseURL})
	server := httptest.NewServer(panel)
	t.Cleanup(server.Close)
	t.Cleanup(panel.Close)
	p.url = server.URL
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	p.client = &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	user := storetest.Create(t, s, &personnel.User, "name", "Ada", "email", "ada@example.com").ID()
	hash, err := signin.Hash("correct horse battery")
	if err != nil {
		t.Fatal(err)
	}
	role, err := s.RoleByName(t.Context(), 1, bugle.AdminRole)
	if err != nil {
		t.Fatal(err)
	}
	storetest.Change(t, s, func(tx *store.Tx) error {
		if permissions != nil {
			role = &bugle.Role{OrganizationID: 1, Name: "Some", Permissions: permissions}
			if err := tx.AddRole(role); err != nil {
				return err
			}
		}
		return tx.AddAccount(&bugle.Account{UserID: user, OrganizationID: 1, Role: role, PasswordHash: hash})
	})
	if status, body := p.post("/login", url.Values{"email": {"ada@example.com"}, "password": {"correct horse battery"}}); status != http.StatusSeeOther {
		t.Fatalf("signing in: %d\n%s", status, body)
	}
	return p
}

func (p *automationsPanel) do(r *http.Request) (int, string, http.Header) {
	p.t.Helper()
	answer, err := p.client.Do(r)
	if err != nil {
		p.t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return answer.StatusCode, string(body), answer.Header
}

func (p *automationsPanel) request(method, path string, fields url.Values) *http.Request {
	p.t.Helper()
	r, err := http.NewRequestWithContext(p.t.Context(), method, p.url+path, strings.NewReader(fields.Encode()))
	if err != nil {
		p.t.Fatal(err)
	}
	if fields != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	return r
}

func (p *automationsPanel) get(path string) (int, string) {
	p.t.Helper()
	status, body, _ := p.do(p.request("GET", path, nil))
	return status, body
}

func (p *automationsPanel) post(path string, fields url.Values) (int, string) {
	p.t.Helper()
	status, body, _ := p.do(p.request("POST", path, fields))
	return status, body
}

// preview asks for the preview as the form's script does.
func (p *automationsPanel) preview(fields url.Values) string {
	p.t.Helper()
	r := p.request("POST", "/automations/preview", fields)
	r.Header.Set("HX-Request", "true")
	status, body, _ := p.do(r)
	if status != http.StatusOK {
		p.t.Fatalf("preview: %d\n%s", status, body)
	}
	return body
}

// shows gets a page and reports what of it is missing.
func (p *automationsPanel) shows(path string, wanted ...string) string {
	p.t.Helper()
	status, body := p.get(path)
	if status != http.StatusOK {
		p.t.Fatalf("GET %s: %d\n%s", path, status, body)
	}
	wantTexts(p.t, path, body, wanted...)
	return body
}

func wantTexts(t *testing.T, what, body string, wanted ...string) {
	t.Helper()
	for _, text := range wanted {
		if !strings.Contains(body, text) {
			t.Errorf("%s does not show %s", what, text)
		}
	}
}

// add writes an automation with the fields, which are pairs as of value.Map.
func (p *automationsPanel) add(fields ...any) *bugle.Automation {
	p.t.Helper()
	a := bugle.NewAutomation()
	a.OrganizationID = 1
	storetest.Change(p.t, p.store, func(tx *store.Tx) error {
		if err := dispatch.SetAutomation(tx, &a, value.Map(fields...), true); err != nil {
			return err
		}
		return tx.AddAutomation(&a)
	})
	return &a
}

// promote records that somebody has a new rank.
func (p *automationsPanel) promote() {
	p.t.Helper()
	user := storetest.Create(p.t, p.store, &personnel.User, "name", "Jane Roe", "email", "jane@example.com").ID()
	rank := storetest.Create(p.t, p.store, &personnel.Rank, "name", "Sergeant").ID()
	storetest.Create(p.t, p.store, &personnel.RankRecord, "user_id", user, "rank_id", rank, "type", int64(0), "author_id", user, "text", "Well done")
}

const nasty = `<script>alert("x")</script><img src=x onerror=alert(1)>`

func TestAutomations_list(t *testing.T) {
	p := newAutomationsPanel(t)
	p.shows("/automations", "No automations", "Quick Start Templates", "/automations/create?template=discord_promotion", "View logs", "New automation")
	hook := storetest.AddWebhook(t, p.store, "https://example.com/hook", nil)
	p.add("name", nasty, "description", nasty, "trigger", "rankrecord.created", "webhook_id", hook.ID, "priority", int64(3))
	p.add("name", "=Second", "trigger", "user.updated", "webhook_id", hook.ID, "enabled", false)
	p.promote()
	p.runs()
	body := p.shows("/automations", "Rank Record Created", "User Updated", "Send Webhook", "&lt;script&gt;", "/automation-logs?automation=1")
	if strings.Contains(body, "<script>alert") || strings.Contains(body, "<img src=x") {
		t.Error("what somebody wrote is in the page as HTML")
	}
	if body := p.shows("/automations?search=second", "=Second"); strings.Contains(body, "&lt;script&gt;alert") {
		t.Error("a search shows what it should not find")
	}
	p.shows("/automations?trigger=user.created", "No automations found")
	if body := p.shows("/automations?enabled=1"); strings.Contains(body, "=Second") {
		t.Error("a disabled automation is among the enabled ones")
	}
	first := p.shows("/automations?sort=-priority")
	if strings.Index(first, "&lt;script&gt;") > strings.Index(first, "=Second") {
		t.Error("the list is not sorted by priority")
	}
	csv := p.shows("/automations?format=csv&sort=name", "id,name,description,trigger", "rankrecord.created", "'=Second")
	if lines := strings.Count(csv, "\n"); lines != 3 {
		t.Errorf("the file has %d lines, want 3:\n%s", lines, csv)
	}
}

func TestAutomations_bulk(t *testing.T) {
	p := newAutomationsPanel(t)
	hook := storetest.AddWebhook(t, p.store, "https://example.com/hook", nil)
	for i := range 3 {
		p.add("name", fmt.Sprint("Number ", i), "trigger", "user.created", "webhook_id", hook.ID)
	}
	p.post("/automations/bulk", url.Values{"action": {"disable"}, "id": {"1", "2", "99"}})
	p.shows("/automations", "2 automations are disabled.")
	if a, err := p.store.Automation(t.Context(), 1, 1); err != nil || a.Enabled {
		t.Errorf("the automation is %+v, %v", a, err)
	}
	p.post("/automations/bulk", url.Values{"action": {"delete"}, "id": {"2"}})
	if body := p.shows("/automations", "1 automation is deleted."); strings.Contains(body, "Number 1") {
		t.Error("what was deleted is still there")
	}
	p.post("/automations/bulk", url.Values{"action": {"delete"}})
	p.shows("/automations", "Tick at least one automation first.")
}

func TestAutomations_createFromTemplate(t *testing.T) {
	p := newAutomationsPanel(t)
	hook := storetest.AddWebhook(t, p.store, "https://discord.com/api/webhooks/1/secret-token", nil)
	body := p.shows(fmt.Sprintf("/automations/create?template=discord_promotion&webhook=%d", hook.ID),
		`value="Promotion in Discord"`, `<option value="rankrecord.created" selected>`, "&#34;embeds&#34;: [", `data-editor="twig-json"`, "/automations/complete?in=template",
		fmt.Sprintf(`<option value="%d" selected>`, hook.ID), "the one with the higher number runs first", "An example with made-up values")
	if strings.Contains(body, "secret-token") {
		t.Error("the webhook's address, which is a secret, is in the page")
	}
	if status, _ := p.get("/automations/create?template=nosuch"); status != http.StatusNotFound {
		t.Errorf("a template that there is not: %d", status)
	}
	fields := url.Values{"name": {"Promotions"}, "priority": {"2"}, "enabled": {"1"}, "trigger": {"rankrecord.created"}, "condition": {`model["type"] == 0`},
		"action_type": {"webhook"}, "webhook_id": {fmt.Sprint(hook.ID)}, "webhook_payload_format": {"json"}, "webhook_payload_template": {"{\r\n\"content\": \"{{ model.user.name }}\"}"}, "typed_values": {"1"},
		"message_content": {"{{ not shown, and not read"}}
	status, body := p.post("/automations", fields)
	if status != http.StatusSeeOther {
		t.Fatalf("%d\n%s", status, body)
	}
	a, err := p.store.Automation(t.Context(), 1, 1)
	if err != nil {
		t.Fatal(err)
	}
	if a.Name != "Promotions" || a.Priority != 2 || !a.Enabled || a.PayloadFormat != bugle.PayloadJSON || a.WebhookID != hook.ID || !a.TypedValues || a.MessageContent != "" {
		t.Errorf("the automation is %+v", a)
	}
	p.shows("/automations/1?tab=action", "The automation Promotions is saved.", "{{ model.user.name }}", fmt.Sprintf("/webhooks/%d", hook.ID), "Duplicate", "Newest runs", "It has not run yet")
	p.shows("/automations/create?copy=1", "Copy of Promotions", "{{ model.user.name }}")
	p.shows("/automations/1/edit", "Edit Promotions", `name="id" value="1"`)
	p.post("/automations/1/enabled", url.Values{"enabled": {"0"}})
	p.shows("/automations/1", "The automation is disabled.", "No: nothing starts it")
	if status, _ := p.post("/automations/1/delete", url.Values{}); status != http.StatusSeeOther {
		t.Errorf("deleting: %d", status)
	}
	if status, _ := p.get("/automations/1"); status != http.StatusNotFound {
		t.Errorf("the deleted one: %d", status)
	}
}

// What is wrong is said beside its field, with line and column, and nothing that was typed is lost.
func TestAutomations_errors(t *testing.T) {
	p := newAutomationsPanel(t)
	hook := storetest.AddWebhook(t, p.store, "https://example.com/hook", nil)
	fields := url.Values{"name": {""}, "trigger": {"rankrecord.created"}, "action_type": {"webhook"}, "description": {"kept " + nasty}, "webhook_payload_template": {`{"a":`}}
	status, body := p.post("/automations", fields)
	if status != http.StatusUnprocessableEntity {
		t.Fatalf("%d\n%s", status, body)
	}
	wantTexts(t, "the form", body, "The Name field is required.", "The Webhook field is required.", "invalid JSON at line 1, column 6", "kept &lt;script&gt;", `data-dirty="changed"`,
		`{&#34;a&#34;:`)
	fields = url.Values{"name": {"X"}, "priority": {"0"}, "trigger": {"rankrecord.created"}, "condition": {"model[\"a\"] ==\n  )"}, "action_type": {"webhook"}, "webhook_id": {fmt.Sprint(hook.ID)},
		"webhook_payload_format": {"json"}, "webhook_payload_template": {`{"content": "{{ model.id|nosuch }}"}`}}
	status, body = p.post("/automations", fields)
	if status != http.StatusUnprocessableEntity {
		t.Fatalf("%d\n%s", status, body)
	}
	wantTexts(t, "the form", body, "The Condition Expression field cannot be read", "line 2, column 3", "The Payload Template field cannot be read", "nosuch",
		`id="panel-condition" aria-labelledby="tab-condition">`) // the first tab where something is wrong is shown
	fields = url.Values{"name": {"X"}, "priority": {"0"}, "trigger": {"rankrecord.created"}, "action_type": {"model_update"}, "model_update_target": {"user"}, "model_update_lookup_type": {"expression"},
		"model_update_lookup_expression": {`model["user_id"]`}, "model_update_fields": {"notes: x\nwithout a colon"}}
	status, body = p.post("/automations", fields)
	if status != http.StatusUnprocessableEntity {
		t.Fatalf("%d\n%s", status, body)
	}
	wantTexts(t, "the form", body, "Line 2 must be a field, a colon and a value", "without a colon")
	if status, _ := p.post("/automations/7/edit", fields); status != http.StatusNotFound {
		t.Errorf("saving one that there is not: %d", status)
	}
}

// Fields of an update keep their types, whatever they look like.
func TestAutomations_fieldLines(t *testing.T) {
	p := newAutomationsPanel(t)
	p.add("name", "Update", "trigger", "rankrecord.created", "action_type", "model_update", "model_update_target", "user", "model_update_lookup_type", "query",
		"model_update_lookup_conditions", value.Map("name", "12"), "model_update_fields", value.Map("notes", "a: {{ model.id }}\nb", "rank_id", nil, "unit_id", int64(5), "name", "007"))
	_, form := p.get("/automations/1/edit?tab=action")
	wantTexts(t, "the form", form, "notes: &#34;a: {{ model.id }}\\nb&#34;", "rank_id: null", "unit_id: 5", "name: 007", "name: &#34;12&#34;")
	status, body := p.post("/automations/1/edit", url.Values{"name": {"Update"}, "priority": {"0"}, "enabled": {"1"}, "trigger": {"rankrecord.created"}, "action_type": {"model_update"}, "model_update_target": {"user"},
		"model_update_lookup_type": {"query"}, "model_update_lookup_conditions": {`name: "12"`}, "model_update_fields": {"notes: \"a: {{ model.id }}\\nb\"\r\nrank_id: null\r\nunit_id: 5\r\nname: 007"}})
	if status != http.StatusSeeOther {
		t.Fatalf("%d\n%s", status, body)
	}
	a, err := p.store.Automation(t.Context(), 1, 1)
	if err != nil {
		t.Fatal(err)
	}
	got, err := value.JSON(value.List(a.UpdateLookupConditions, a.UpdateFields))
	if want := `[{"name":"12"},{"notes":"a: {{ model.id }}\nb","rank_id":null,"unit_id":5,"name":"007"}]`; err != nil || string(got) != want {
		t.Errorf("got %s, %v; want %s", got, err, want)
	}
}

func TestAutomations_preview(t *testing.T) {
	p := newAutomationsPanel(t)
	hook := storetest.AddWebhook(t, p.store, "https://discord.com/api/webhooks/1/x", nil)
	if body := p.preview(url.Values{}); !strings.Contains(body, "Choose a trigger") {
		t.Errorf("without a trigger:\n%s", body)
	}
	discord := url.Values{"trigger": {"rankrecord.created"}, "condition": {`model["rank"]["name"] == "Sergeant" and model["type"] == 0`}, "action_type": {"webhook"}, "webhook_id": {fmt.Sprint(hook.ID)},
		"webhook_payload_format": {"json"}, "typed_values": {"1"}, "sample": {""},
		"webhook_payload_template": {`{"username": "<b>Bot", "content": "**{{ model.user.name }}** <@123> [site](https://example.com) <script>", "embeds": [{"title": "Now", "color": "{{ 255 }}", "fields": [{"name": "Rank", "value": "{{ model.rank.name }}", "inline": true}], "footer": {"text": "By us"}}]}`}}
	wantTexts(t, "the preview of an example", p.preview(discord), "An example with made-up values", "Tried on an example")
	p.promote()
	body := p.preview(discord)
	wantTexts(t, "the preview", body, "The newest event", "Rank Record 1: Jane Roe", "True: the action would be taken.", "In Discord", "&lt;b&gt;Bot", "<strong>Jane Roe</strong>", `<span class="chat-mention">@user 123</span>`,
		`<a href="https://example.com" rel="noreferrer nofollow">site</a>`, "&lt;script&gt;", `fill="#0000ff"`, "Sergeant", "By us", "Discord takes it like this.", "Tried on event")
	discord.Set("webhook_payload_template", `{"content": "{{ '' }}", "embeds": []}`)
	wantTexts(t, "what Discord refuses", p.preview(discord), "preview-warnings")
	discord.Set("webhook_payload_template", "{\n  \"content\": \"Hi\",\n  \"embeds\": [{\"title\": \"ä \\\"{{ model.id|nosuch }}\"}]}")
	discord.Set("condition", "model[")
	body = p.preview(discord)
	wantTexts(t, "the preview with errors", body, "Payload Template · embeds.0.title, line 3, column 41", `&#34;line&#34;:3,&#34;column&#34;:41`, "Condition Expression, line 1, column 6")
	discord.Set("webhook_payload_template", "{")
	wantTexts(t, "the preview of no JSON", p.preview(discord), "invalid JSON", "line 1, column 2")

	message := url.Values{"trigger": {"rankrecord.created"}, "action_type": {"message"}, "message_channels": {"database"}, "message_content": {"<p>Hello <b>{{ model.user.name }}</b></p>" + nasty}, "message_recipients_expression": {`"everyone"`}}
	body = p.preview(message)
	wantTexts(t, "the preview of a message", body, "Hello <b>Jane Roe</b>", "Everyone.")
	if strings.Contains(body, "<script>alert") || strings.Contains(body, "onerror") {
		t.Error("a message's script is in the page")
	}
	message.Set("message_recipients_expression", "")
	wantTexts(t, "the preview without recipients", p.preview(message), "Nobody personally")

	update := url.Values{"trigger": {"rankrecord.created"}, "action_type": {"model_update"}, "model_update_target": {"user"}, "model_update_lookup_type": {"expression"}, "model_update_lookup_expression": {`model["user_id"]`},
		"model_update_fields": {"notes: Now {{ model.rank.name }}"}}
	wantTexts(t, "the preview of an update", p.preview(update), "Changes", "User 2", "Now Sergeant")
	update.Set("model_update_fields", "rank_id: 1\nnotes: x {{ model.id|nosuch }}")
	wantTexts(t, "an error in a line", p.preview(update), "Field Updates · notes, line 2, column")

	// Without JavaScript the whole form comes back with the preview.
	status, body := p.post("/automations/preview", update)
	if status != http.StatusOK {
		t.Fatalf("%d\n%s", status, body)
	}
	wantTexts(t, "the form", body, "New automation", "Field Updates · notes", "<html")
}

func TestAutomations_slack(t *testing.T) {
	p := newAutomationsPanel(t)
	hook := storetest.AddWebhook(t, p.store, "https://hooks.slack.com/services/T0/B0/X", nil)
	p.promote()
	body := p.preview(url.Values{"trigger": {"rankrecord.created"}, "action_type": {"webhook"}, "webhook_id": {fmt.Sprint(hook.ID)}, "webhook_payload_format": {"json"}, "webhook_payload_template": {
		`{"text": "x", "blocks": [{"type": "header", "text": {"type": "plain_text", "text": "{{ model.user.name }}"}}, {"type": "divider"}, {"type": "section", "text": {"type": "mrkdwn", "text": "*bold* <https://example.com|a site> <!here> a &lt; b <javascript:alert(1)|no>"}, "fields": [{"type": "mrkdwn", "text": "_one_"}]}, {"type": "context", "elements": [{"type": "image", "alt_text": "a picture", "image_url": "https://example.com/a.png"}]}]}`}})
	wantTexts(t, "the preview", body, "In Slack", `<p class="chat-header">Jane Roe</p>`, "<hr>", "<strong>bold</strong>", `<a href="https://example.com" rel="noreferrer nofollow">a site</a>`,
		"@here", "a &lt; b", "<em>one</em>", "a picture")
	if strings.Contains(body, `href="javascript`) {
		t.Error("a script's address is a link")
	}
}

func TestAutomations_completion(t *testing.T) {
	p := newAutomationsPanel(t)
	type entry struct{ Label, Detail, Info string }
	var got struct{ Fields, Functions, Filters, Tags []entry }
	body := p.shows("/automations/complete?trigger=rankrecord.created&in=template")
	if err := json.Unmarshal([]byte(body), &got); err != nil {
		t.Fatal(err)
	}
	has := func(list []entry, label string) bool {
		for _, e := range list {
			if e.Label == label {
				return true
			}
		}
		return false
	}
	if !has(got.Fields, "model.rank.name") || !has(got.Filters, "increment") || !has(got.Tags, "for") {
		t.Errorf("completions of templates lack something: %d fields, %d filters, %d tags", len(got.Fields), len(got.Filters), len(got.Tags))
	}
	body = p.shows("/automations/complete?trigger=rankrecord.created&in=condition")
	if err := json.Unmarshal([]byte(body), &got); err != nil {
		t.Fatal(err)
	}
	if !has(got.Fields, `model["rank"]["name"]`) || !has(got.Functions, "changed") {
		t.Error("completions of conditions lack something")
	}
	p.shows("/automations/complete?trigger=&in=condition", `"fields":[]`)
	if status, _ := p.get("/automations/complete?trigger=nosuch"); status != http.StatusUnprocessableEntity {
		t.Errorf("a trigger that there is not: %d", status)
	}
	p.shows("/automations/reference?trigger=rankrecord.created&in=condition", "Functions", "Operators", `data-insert-into="#field-condition"`)
	p.shows("/automations/reference?trigger=rankrecord.created&in=template&action_type=model_update&model_update_target=user", "Fields of a user that can be changed", `data-insert="notes: "`)
}

func TestAutomations_backtest(t *testing.T) {
	p := newAutomationsPanel(t)
	p.promote()
	hook := storetest.AddWebhook(t, p.store, "https://example.com/hook", nil)
	p.add("name", "Promotions", "trigger", "rankrecord.created", "condition", `model["rank"]["name"] == "General"`, "webhook_id", hook.ID)
	p.add("name", "Broken", "trigger", "rankrecord.created", "condition", `model["nosuch"]`, "webhook_id", hook.ID)
	p.shows("/automations/1/backtest?days=30", "Condition false", "Rank Record 1: Jane Roe", "/event-log/", "Last 30 days", "Nothing is sent")
	p.shows("/automations/2/backtest", "Would have failed", "nosuch")
	p.shows("/automations/2/backtest?format=csv", "event_id,event", "failed")
}

func TestAutomationLogs(t *testing.T) {
	p := newAutomationsPanel(t)
	hook := storetest.AddWebhook(t, p.store, "https://example.com/hook", nil)
	p.add("name", nasty, "trigger", "rankrecord.created", "condition", `model["rank"]["name"] == "Sergeant"`, "webhook_id", hook.ID)
	p.add("name", "Never", "trigger", "rankrecord.created", "condition", `model["type"] == 9`, "webhook_id", hook.ID)
	p.add("name", "Broken", "trigger", "rankrecord.created", "webhook_id", hook.ID, "webhook_payload_format", "text", "webhook_payload_template", "{\n  \"at\": \"{{ model.user.name|date('Y') }}\"\n}")
	p.shows("/automation-logs", "No automation logs", `data-live-list="/automation-logs/stream"`)
	p.promote()
	p.runs()
	body := p.shows("/automation-logs", "Executed", "Condition Failed", "Failed", "&lt;script&gt;", "/rank-records/1", "3 in all")
	if strings.Contains(body, "<script>alert") {
		t.Error("the name of an automation is in the page as HTML")
	}
	if body := p.shows("/automation-logs?automation=2"); strings.Contains(body, "/automation-logs/1\"") || !strings.Contains(body, "/automation-logs/2\"") {
		t.Error("the log is not narrowed to the automation")
	}
	if body := p.shows("/automation-logs?status=failed"); strings.Contains(body, `bg-green-lt">Executed`) {
		t.Error("the log is not narrowed to the status")
	}
	if body := p.shows("/automation-logs?since=2030-01-01T00:00"); strings.Contains(body, "/automation-logs/1\"") {
		t.Error("the log is not narrowed to the time")
	}
	p.shows("/automation-logs?per=1", "Older")
	csv := p.shows("/automation-logs?format=csv", "id,automation_id", "condition_failed")
	if lines := strings.Count(csv, "\n"); lines != 4 {
		t.Errorf("the file has %d lines, want 4:\n%s", lines, csv)
	}
	p.shows("/automation-logs/1", "The condition was true.", "Sergeant", "/webhook-logs/", "custom_payload", "Rank Record 1", "model[&#34;rank&#34;][&#34;name&#34;]")
	p.shows("/automation-logs/2", "The condition was false", "No Result Logged")
	p.shows("/automation-logs/3", "In Payload Template, line 2, column 29", "source-caret", "Date text &#34;Jane Roe&#34; is not understood.")
	if status, _ := p.get("/automation-logs/99"); status != http.StatusNotFound {
		t.Errorf("a run that there is not: %d", status)
	}
}

func TestAutomations_permissions(t *testing.T) {
	p := newAutomationsPanel(t, "view_any_automation")
	hook := storetest.AddWebhook(t, p.store, "https://example.com/hook", nil)
	p.add("name", "Promotions", "trigger", "rankrecord.created", "webhook_id", hook.ID)
	body := p.shows("/automations", "Promotions")
	for _, hidden := range []string{"New automation", "View logs", "Quick Start", "/automations/1", "bulk", `href="/automation-logs"`} {
		if strings.Contains(body, hidden) {
			t.Errorf("the list shows %s to somebody who may only see it", hidden)
		}
	}
	for _, path := range []string{"/automations/create", "/automations/1", "/automations/1/edit", "/automations/1/backtest", "/automations/complete?trigger=user.created", "/automations/reference?trigger=user.created",
		"/automation-logs", "/automation-logs/stream", "/automation-logs/1"} {
		if status, _ := p.get(path); status != http.StatusForbidden {
			t.Errorf("GET %s: %d, want 403", path, status)
		}
	}
	for _, path := range []string{"/automations", "/automations/preview", "/automations/1/edit", "/automations/1/delete", "/automations/1/enabled"} {
		if status, _ := p.post(path, url.Values{"action": {"delete"}}); status != http.StatusForbidden {
			t.Errorf("POST %s: %d, want 403", path, status)
		}
	}
	for _, action := range []string{"delete", "enable"} {
		if status, _ := p.post("/automations/bulk", url.Values{"action": {action}, "id": {"1"}}); status != http.StatusForbidden {
			t.Errorf("bulk %s: %d, want 403", action, status)
		}
	}
	if _, err := p.store.Automation(t.Context(), 1, 1); err != nil {
		t.Error(err)
	}
}

// A run that ends while the log is open comes into it, if it is one that the page lists.
func TestAutomationLogs_live(t *testing.T) {
	p := newAutomationsPanel(t)
	hook := storetest.AddWebhook(t, p.store, "https://example.com/hook", func(w *bugle.Webhook) { w.Events = nil })
	p.add("name", "First "+nasty, "trigger", "rankrecord.created", "webhook_id", hook.ID)
	p.add("name", "Second", "trigger", "rankrecord.created", "webhook_id", hook.ID)
	answer, err := p.client.Do(p.request("GET", "/automation-logs/stream?automation=1", nil))
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	lines := bufio.NewScanner(answer.Body)
	lines.Scan() // the page follows from here on
	p.promote()
	p.runs()
	for lines.Scan() {
		text, ok := strings.CutPrefix(lines.Text(), "data: ")
		if !ok {
			continue
		}
		var item struct{ ID, HTML string }
		if err := json.Unmarshal([]byte(text), &item); err != nil {
			t.Fatal(err)
		}
		if item.ID != "run-1" {
			t.Errorf("got the row %s", item.ID)
		}
		wantTexts(t, "the row", item.HTML, `<tr id="run-1">`, "First &lt;script&gt;", "Executed", "/automation-logs/1")
		return
	}
	t.Fatal("the stream ended: ", lines.Err())
}

// The runs on an automation's page follow too, without what the page says already.
func TestAutomation_followsItsRuns(t *testing.T) {
	p := newAutomationsPanel(t)
	hook := storetest.AddWebhook(t, p.store, "https://example.com/hook", func(w *bugle.Webhook) { w.Events = nil })
	p.add("name", "First", "trigger", "rankrecord.created", "webhook_id", hook.ID)
	p.shows("/automations/1", "It has not run yet", `data-live-list="/automation-logs/stream?automation=1&amp;rows=automation"`)
	answer, err := p.client.Do(p.request("GET", "/automation-logs/stream?automation=1&rows=automation", nil))
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	lines := bufio.NewScanner(answer.Body)
	lines.Scan() // the page follows from here on
	p.promote()
	p.runs()
	for lines.Scan() {
		text, ok := strings.CutPrefix(lines.Text(), "data: ")
		if !ok {
			continue
		}
		var item struct{ ID, HTML string }
		if err := json.Unmarshal([]byte(text), &item); err != nil {
			t.Fatal(err)
		}
		wantTexts(t, "the row", item.HTML, `<tr id="run-1">`, "Executed", "/automation-logs/1")
		if strings.Contains(item.HTML, "First") {
			t.Errorf("the row names the automation: %s", item.HTML)
		}
		return
	}
	t.Fatal("the stream ended: ", lines.Err())
}
