package admin_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/jonboulle/clockwork"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/internal/admin"
	"github.com/buglehq/bugle/internal/dispatch"
	"github.com/buglehq/bugle/internal/store"
	"github.com/buglehq/bugle/internal/storetest"
	"github.com/buglehq/bugle/personnel"
	"github.com/buglehq/bugle/value"
)

// A deliveriesPanel is a panel with somebody who has signed in.
type deliveriesPanel struct {
	*testing.T
	store  *store.Store
	clock  *clockwork.FakeClock
	panel  *admin.Panel
	server *httptest.Server
	client *http.Client
}

const deliveriesPassword = "correct horse battery"

func newDeliveriesPanel(t *testing.T) *deliveriesPanel {
	s, clock := storetest.New(t)
	panel := admin.New(s, admin.Options{Clock: clock, UserAgent: "Bugle/test"})
	server := httptest.NewServer(panel)
	t.Cleanup(server.Close)
	t.Cleanup(panel.Close)
	p := &deliveriesPanel{T: t, store: s, clock: clock, panel: panel, server: server}
	p.client = p.invite(bugle.AdminRole)
	return p
}

// invite makes an account with the role, and returns a client that has signed in.
func (p *deliveriesPanel) invite(role string) *http.Client {
	p.Helper()
	r, err := p.store.RoleByName(p.Context(), 1, role)
	if err != nil {
		p.Fatal(err)
	}
	var token string
	storetest.Change(p, p.store, func(tx *store.Tx) (err error) {
		token, err = tx.AddInvitation(&bugle.Invitation{OrganizationID: 1, Purpose: bugle.JoinInvitation, RoleID: r.ID, Name: "Sam " + role, Email: role + "@example.com"})
		return err
	})
	jar, _ := cookiejar.New(nil)
	client := &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	if status, text, _ := p.by(client, http.MethodPost, "/welcome/"+token, url.Values{"name": {"Sam " + role}, "email": {role + "@example.com"}, "password": {deliveriesPassword}}); status != http.StatusSeeOther {
		p.Fatalf("the invitation is answered %d: %s", status, text)
	}
	return client
}

// inviteWith is invite with a role of its own that has the permissions.
func (p *deliveriesPanel) inviteWith(name string, permissions ...string) *http.Client {
	p.Helper()
	storetest.Change(p, p.store, func(tx *store.Tx) error {
		return tx.AddRole(&bugle.Role{OrganizationID: 1, Name: name, Permissions: permissions})
	})
	return p.invite(name)
}

func (p *deliveriesPanel) by(client *http.Client, method, path string, fields url.Values) (status int, text, location string) {
	p.Helper()
	var body io.Reader
	if fields != nil {
		body = strings.NewReader(fields.Encode())
	}
	r, err := http.NewRequestWithContext(p.Context(), method, p.server.URL+path, body)
	if err != nil {
		p.Fatal(err)
	}
	if fields != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	return p.do(client, r)
}

func (p *deliveriesPanel) do(client *http.Client, r *http.Request) (status int, text, location string) {
	p.Helper()
	answer, err := client.Do(r)
	if err != nil {
		p.Fatal(err)
	}
	defer answer.Body.Close()
	all, err := io.ReadAll(answer.Body)
	if err != nil {
		p.Fatal(err)
	}
	return answer.StatusCode, string(all), answer.Header.Get("Location")
}

// page returns a page that is to be answered with 200.
func (p *deliveriesPanel) page(path string) string {
	p.Helper()
	status, text, _ := p.by(p.client, http.MethodGet, path, nil)
	if status != http.StatusOK {
		p.Fatalf("GET %s is answered %d:\n%s", path, status, text)
	}
	return text
}

// fragment is a part of a page, as htmx asks for it.
func (p *deliveriesPanel) fragment(path string) (status int, text string) {
	p.Helper()
	r, err := http.NewRequestWithContext(p.Context(), http.MethodGet, p.server.URL+path, nil)
	if err != nil {
		p.Fatal(err)
	}
	r.Header.Set("HX-Request", "true")
	status, text, _ = p.do(p.client, r)
	return status, text
}

// post posts a form that is to lead somewhere, and returns where.
func (p *deliveriesPanel) post(path string, fields url.Values) string {
	p.Helper()
	if fields == nil {
		fields = url.Values{}
	}
	status, text, location := p.by(p.client, http.MethodPost, path, fields)
	if status != http.StatusSeeOther {
		p.Fatalf("POST %s is answered %d:\n%s", path, status, text)
	}
	return location
}

func (p *deliveriesPanel) has(page string, texts ...string) {
	p.Helper()
	for _, text := range texts {
		if !strings.Contains(page, text) {
			p.Errorf("the page lacks %q:\n%s", text, mainOf(page))
		}
	}
}

func (p *deliveriesPanel) lacks(page string, texts ...string) {
	p.Helper()
	for _, text := range texts {
		if strings.Contains(page, text) {
			p.Errorf("the page has %q:\n%s", text, mainOf(page))
		}
	}
}

// mainOf is what a page has beside the frame.
func mainOf(page string) string {
	if _, rest, ok := strings.Cut(page, "<main"); ok {
		return rest
	}
	return page
}

// users adds users, and with each a delivery for each webhook.
func (p *deliveriesPanel) users(names ...string) {
	p.Helper()
	for i, name := range names {
		storetest.Create(p, p.store, &personnel.User, "name", name, "email", fmt.Sprintf("u%d-%d@example.com", p.clock.Now().UnixNano(), i))
		p.clock.Advance(time.Second)
	}
}

// record notes the result of an attempt.
func (p *deliveriesPanel) record(id int64, state bugle.DeliveryState, a bugle.Attempt) {
	p.Helper()
	d := p.delivery(id)
	a.Number, a.StartedAt, a.Took, a.Method, a.URL = d.AttemptsCount+1, p.clock.Now().UTC(), 20*time.Millisecond, http.MethodPost, "https://example.com/hook"
	o := bugle.Outcome{State: state}
	if state == bugle.Pending {
		o.NextAt = p.clock.Now().Add(time.Hour)
	}
	if err := p.store.Record(p.Context(), []store.Result{{DeliveryID: id, WebhookID: d.WebhookID, Attempt: &a, Outcome: o}}, nil); err != nil {
		p.Fatal(err)
	}
}

func (p *deliveriesPanel) delivery(id int64) *bugle.Delivery {
	p.Helper()
	d, err := p.store.Delivery(p.Context(), 1, id)
	if err != nil {
		p.Fatal(err)
	}
	return d
}

func notFound() bugle.Attempt {
	return bugle.Attempt{Status: 404, Reason: "Not Found", Error: &bugle.AttemptError{Kind: bugle.ErrorStatus, Message: "the receiver answered 404 Not Found"},
		ResponseHeaders: http.Header{"X-Nasty": {"<script>h</script>"}}, ResponseBody: []byte(`{"message":"<script>alert(1)<\/script>"}`), RemoteAddress: "192.0.2.1:443"}
}

func TestWebhookLogs_list(t *testing.T) {
	p := newDeliveriesPanel(t)
	p.has(p.page("/webhook-logs"), "Nothing was sent yet", `data-live-list="/webhook-logs/stream?`)
	hook := storetest.AddWebhook(t, p.store, "https://example.com/hook", func(w *bugle.Webhook) { w.Name = "<b>Nasty</b> hook" })
	p.users("Jane Roe", "John Doe", "Jim Poe")
	p.record(1, bugle.Delivered, bugle.Attempt{Status: 200, Reason: "OK"})
	p.record(2, bugle.Failed, notFound())
	p.record(3, bugle.Pending, bugle.Attempt{Error: &bugle.AttemptError{Kind: bugle.ErrorTimeout, Message: "the receiver did not answer within 10 s"}})
	page := p.page("/webhook-logs")
	p.has(page, `id="delivery-1"`, `id="delivery-2"`, `id="delivery-3"`, "Delivered", "Failed", "Retrying", "data-countdown", "200 OK", "404 Not Found", "No answer in time",
		"&lt;b&gt;Nasty&lt;/b&gt; hook", fmt.Sprintf(`href="/webhooks/%d"`, hook.ID), "user.created", ">User 2: Jane Roe</a>", `href="/users/2"`,
		`data-copy="`+storetest.Actor().RequestID+`"`, "Redeliver selected", "Export CSV")
	p.lacks(page, "<b>Nasty")

	for query, want := range map[string]string{
		"state=failed": "2", "state=delivered": "1", "state=pending": "3", "status=4xx": "2", "status=none": "3", "error=timeout": "3",
		fmt.Sprintf("webhook=%d", hook.ID): "1 2 3", "webhook=99": "", "webhook=mail": "", "event=user.created": "1 2 3", "event=calendar.created": "",
		"request_id=" + storetest.Actor().RequestID[:5]: "1 2 3", "request_id=zzz": "",
		"since=2026-01-14T12:01": "", "until=2026-01-14T12:01": "1 2 3", "since=2026-01-14T12:00:01.5Z&until=2026-01-14T12:00:02.5Z": "3",
	} {
		page := p.page("/webhook-logs?" + query)
		for _, id := range []string{"1", "2", "3"} {
			if got := strings.Contains(page, `id="delivery-`+id+`"`); got != strings.Contains(want, id) {
				t.Errorf("with %s the list has delivery %s: %v; want only %q", query, id, got, want)
			}
		}
		if want == "" {
			p.has(page, "Nothing found")
		}
	}
	status, text, _ := p.by(p.client, http.MethodGet, "/webhook-logs?since=tomorrow", nil)
	if status != http.StatusUnprocessableEntity {
		t.Errorf("a time that is none is answered %d", status)
	}
	p.has(text, "Since: &#34;tomorrow&#34; is no date and time.", `value="tomorrow"`)
}

func TestWebhookLogs_timesAreTheVisitors(t *testing.T) {
	p := newDeliveriesPanel(t)
	storetest.AddWebhook(t, p.store, "https://example.com/hook", nil)
	p.users("Jane Roe") // at 12:00 UTC, 07:00 in New York
	p.post("/account", url.Values{"time_zone": {"America/New_York"}})
	p.has(p.page("/webhook-logs?until=2026-01-14T07:01"), `id="delivery-1"`)
	p.lacks(p.page("/webhook-logs?until=2026-01-14T06:59"), `id="delivery-1"`)
}

func TestWebhookLogs_pagesAndExport(t *testing.T) {
	p := newDeliveriesPanel(t)
	storetest.AddWebhook(t, p.store, "https://example.com/hook", func(w *bugle.Webhook) { w.Name = "=SUM(A1)" })
	for i := range 30 {
		p.users(fmt.Sprintf("User %d", i))
	}
	page := p.page("/webhook-logs")
	p.has(page, `id="delivery-30"`, `id="delivery-6"`, "before=6", `data-page="1"`)
	p.lacks(page, `id="delivery-5"`)
	page = p.page("/webhook-logs?before=6")
	p.has(page, `id="delivery-5"`, `id="delivery-1"`, `data-page="2"`, `data-live-home="/webhook-logs"`)
	p.lacks(page, `id="delivery-6"`)
	text := p.page("/webhook-logs?format=csv&state=pending")
	lines := strings.Split(strings.TrimSpace(text), "\n")
	if len(lines) != 31 || !strings.HasPrefix(lines[0], "id,created_at,webhook,event,") {
		t.Errorf("the file has %d lines, and begins with %s", len(lines), lines[0])
	}
	p.has(text, "'=SUM(A1)", "user.created", "User 30")
}

func TestWebhookLogs_permissions(t *testing.T) {
	p := newDeliveriesPanel(t)
	storetest.AddWebhook(t, p.store, "https://example.com/hook", nil)
	p.users("Jane Roe")
	p.record(1, bugle.Failed, notFound())
	nobody := p.inviteWith("nobody")
	for _, path := range []string{"GET /webhook-logs", "GET /webhook-logs/stream", "GET /webhook-logs/1", "POST /webhook-logs/1/redeliver", "POST /webhook-logs/1/cancel",
		"POST /webhook-logs/selected", "GET /webhook-logs/redeliver", "POST /webhook-logs/redeliver", "GET /event-log", "GET /event-log/1"} {
		method, path, _ := strings.Cut(path, " ")
		if status, _, _ := p.by(nobody, method, path, nil); status != http.StatusForbidden {
			t.Errorf("%s %s without permission is answered %d", method, path, status)
		}
	}
	_, home, _ := p.by(nobody, http.MethodGet, "/account", nil)
	p.lacks(home, `href="/webhook-logs"`, `href="/event-log"`)

	reader := p.inviteWith("reader", "view_any_webhook_log", "view_webhook_log")
	status, list, _ := p.by(reader, http.MethodGet, "/webhook-logs", nil)
	_, detail, _ := p.by(reader, http.MethodGet, "/webhook-logs/1", nil)
	if status != http.StatusOK {
		t.Errorf("the list is answered %d to a reader", status)
	}
	p.has(detail, "is the address right?")
	for _, page := range []string{list, detail} {
		p.lacks(page, "Redeliver", "Cancel selected", `href="/webhooks/`, `href="/users/`, `href="/event-log/`, `name="id"`)
	}
	if status, _, _ := p.by(p.client, http.MethodGet, "/webhook-logs/99", nil); status != http.StatusNotFound {
		t.Errorf("a delivery that is not there is answered %d", status)
	}
}

func TestWebhookLogs_detail(t *testing.T) {
	p := newDeliveriesPanel(t)
	storetest.AddWebhook(t, p.store, "https://example.com/hook", func(w *bugle.Webhook) {
		w.Secret = "do-not-show-this-secret"
		w.Headers = []bugle.Header{{Name: "X-Api-Key", Value: "nor-this"}, {Name: "X-Unit", Value: "1st"}}
	})
	p.users("Zoë <script>alert(2)</script>")
	page := p.page("/webhook-logs/1")
	p.has(page, "Waiting", "Request that will be sent", "https://example.com/hook", "There was none yet", "Send now", "/webhook-logs/1/cancel", `hx-trigger="every 1s"`)

	version := regexp.MustCompile(`seen=([^"]*)"`).FindStringSubmatch(page)[1]
	if status, text := p.fragment("/webhook-logs/1?seen=" + version); status != http.StatusNoContent || text != "" {
		t.Errorf("nothing has changed, but the answer is %d with %s", status, text)
	}
	p.record(1, bugle.Pending, notFound())
	status, text := p.fragment("/webhook-logs/1?seen=" + version)
	if status != http.StatusOK {
		t.Fatalf("the change is answered %d", status)
	}
	p.has(text, "Retrying", "is the address right?", `hx-trigger="every 10s"`)
	p.lacks(text, "<main")

	p.clock.Advance(2 * time.Hour) // it is due again
	if _, err := p.store.Promote(t.Context(), 10); err != nil {
		t.Fatal(err)
	}
	p.record(1, bugle.Failed, notFound())
	page = p.page("/webhook-logs/1")
	p.has(page, "Failed", "The receiver answered 404 Not Found: is the address right?", "#1", "#2", "20 ms", "192.0.2.1:443", "X-Nasty", "&lt;script&gt;h&lt;/script&gt;",
		"&lt;script&gt;alert(1)&lt;/script&gt;", "Zoë &lt;script&gt;", "Zo\\u00eb", `data-highlight="json"`, "User-Agent", "Bugle/test", "X-Unit", "1st",
		"webhook-signature", "********", `href="/event-log/2"`, `href="/users/2"`, "/webhook-logs/1/redeliver")
	p.lacks(page, "<script>alert", "<script>h<", "do-not-show-this-secret", "nor-this", "hx-trigger", "/webhook-logs/1/cancel", "v1,")

	if to := p.post("/webhook-logs/1/redeliver", nil); to != "/webhook-logs/1" {
		t.Errorf("redelivering leads to %s", to)
	}
	p.has(p.page("/webhook-logs/1"), "It is sent again.", "Retrying")
	p.post("/webhook-logs/1/cancel", nil)
	p.has(p.page("/webhook-logs/1"), "The delivery is cancelled.", "Cancelled")
	p.post("/webhook-logs/1/cancel", nil)
	p.has(p.page("/webhook-logs/1"), "there was nothing to cancel")

	storetest.Change(t, p.store, func(tx *store.Tx) error { return tx.DeleteWebhook(1, 1) })
	page = p.page("/webhook-logs/1")
	p.has(page, "Webhook 1 (deleted)", "The webhook was deleted, so this cannot be sent again.")
	p.lacks(page, `action="/webhook-logs/1/redeliver"`)
	p.post("/webhook-logs/1/redeliver", nil)
	p.has(p.page("/webhook-logs/1"), "its webhook was deleted")
}

func TestWebhookLogs_selected(t *testing.T) {
	p := newDeliveriesPanel(t)
	storetest.AddWebhook(t, p.store, "https://example.com/hook", nil)
	p.users("Jane Roe", "John Doe", "Jim Poe")
	p.record(1, bugle.Failed, notFound())
	p.record(2, bugle.Failed, notFound())
	fields := url.Values{"id": {"1", "3", "99"}, "do": {"redeliver"}, "back": {"/webhook-logs?state=failed"}}
	if to := p.post("/webhook-logs/selected", fields); to != "/webhook-logs?state=failed" {
		t.Errorf("it leads to %s", to)
	}
	p.has(p.page("/webhook-logs"), "1 redelivered, 2 skipped")
	for id, want := range map[int64]bugle.DeliveryState{1: bugle.Pending, 2: bugle.Failed, 3: bugle.Pending} {
		if got := p.delivery(id).State; got != want {
			t.Errorf("delivery %d is %s, want %s", id, got, want)
		}
	}
	p.post("/webhook-logs/selected", url.Values{"id": {"1", "2", "3"}, "do": {"cancel"}})
	p.has(p.page("/webhook-logs"), "2 cancelled, 1 skipped")
	p.post("/webhook-logs/selected", url.Values{"do": {"cancel"}, "back": {"//elsewhere.example"}})
	p.has(p.page("/webhook-logs"), "Choose rows first.")
	if status, _, _ := p.by(p.client, http.MethodPost, "/webhook-logs/selected", url.Values{"id": {"1"}, "do": {"explode"}}); status != http.StatusUnprocessableEntity {
		t.Errorf("an unknown action is answered %d", status)
	}
}

// A replay redelivers what the filter lets through, and the page follows it to its end.
func TestWebhookLogs_redeliverAll(t *testing.T) {
	p := newDeliveriesPanel(t)
	storetest.AddWebhook(t, p.store, "https://example.com/hook", nil)
	const n = 250
	for range n {
		p.users("Jane Roe")
	}
	var results []store.Result
	for id := int64(1); id <= n; id++ {
		a := notFound()
		a.Number, a.StartedAt = 1, p.clock.Now()
		results = append(results, store.Result{DeliveryID: id, WebhookID: 1, Attempt: &a, Outcome: bugle.Outcome{State: bugle.Failed}})
	}
	results[6].Outcome.State = bugle.Delivered
	if err := p.store.Record(t.Context(), results, nil); err != nil {
		t.Fatal(err)
	}
	page := p.page("/webhook-logs/redeliver?state=failed")
	p.has(page, "249 deliveries would be sent again", "Failed", `action="/webhook-logs/redeliver?state=failed"`)
	p.has(p.page("/webhook-logs/redeliver"), "No filter is set")
	p.has(p.page("/webhook-logs/redeliver?error=dns"), "0 deliveries")

	replayer := dispatch.NewReplayer(p.store, dispatch.StepperOptions{Clock: p.clock})
	to := p.post("/webhook-logs/redeliver?state=failed", nil)
	status, text := p.fragment(to)
	if status != http.StatusOK {
		t.Fatalf("the replay is answered %d", status)
	}
	p.has(text, "Sending again", "0 of 249", "<progress", "hx-trigger")
	p.has(p.page("/webhook-logs/redeliver?state=failed"), "Another redelivery is under way", to)
	for found := true; found; {
		var err error
		if found, err = replayer.Round(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	page = p.page(to)
	p.has(page, "Done", "<dd>249</dd>", "Show the log", `href="/webhook-logs?state=failed"`)
	p.lacks(page, "hx-trigger")
	for id := int64(1); id <= n; id++ {
		want := bugle.Pending
		if id == 7 {
			want = bugle.Delivered
		}
		if got := p.delivery(id).State; got != want {
			t.Errorf("delivery %d is %s, want %s", id, got, want)
		}
	}
	for i := range 4 {
		to = p.post("/webhook-logs/redeliver?state=failed", nil)
		if isPage := strings.HasPrefix(to, "/webhook-logs/redeliver/"); isPage != (i < 3) {
			t.Errorf("replay %d leads to %s", i+2, to)
		}
	}
	p.has(p.page("/webhook-logs"), "Other redeliveries are under way.")
	if to := p.post("/webhook-logs/redeliver/3/cancel", nil); to != "/webhook-logs/redeliver/3" {
		t.Errorf("cancelling leads to %s", to)
	}
	p.has(p.page("/webhook-logs/redeliver/3"), "The redelivery is stopped.", "Start again")
	p.post("/webhook-logs/redeliver/3/cancel", nil)
	p.has(p.page("/webhook-logs/redeliver/3"), "The redelivery had ended already.")
	for _, path := range []string{"nosuch", "99"} {
		if status, _, _ := p.by(p.client, http.MethodGet, "/webhook-logs/redeliver/"+path, nil); status != http.StatusNotFound {
			t.Errorf("replay %s is answered %d", path, status)
		}
	}
}

// What happened while a webhook was disabled is sent to it, from a moment on.
func TestWebhookLogs_missed(t *testing.T) {
	p := newDeliveriesPanel(t)
	storetest.AddWebhook(t, p.store, "https://example.com/hook", nil)
	p.post("/webhooks/1/disable", nil)
	p.has(p.page("/webhook-logs/redeliver?webhook=1"), "is disabled, and misses what happens", `<a href="/webhooks/1">Enable it`)
	p.lacks(p.page("/webhook-logs/redeliver?webhook=1"), "Send missed events")
	p.lacks(p.page("/webhook-logs/redeliver"), "Missed events")
	p.lacks(p.page("/webhook-logs/redeliver?webhook=99"), "Missed events")
	p.users("Jane Roe")
	p.clock.Advance(time.Hour)
	from := p.clock.Now().Add(-time.Minute).UTC().Format("2006-01-02T15:04")
	p.users("Jane Doe", "John Doe")
	p.post("/webhooks/1/enable", nil)
	p.has(p.page("/webhooks/1"), "can be sent from its log")

	const list = "/webhook-logs/redeliver?state=failed&webhook=1"
	p.has(p.page(list), "0 deliveries would be sent again", "Missed events", `action="/webhook-logs/redeliver/missing?state=failed&amp;webhook=1"`, `name="from"`)
	p.has(p.page("/webhook-logs/redeliver?since="+from+"&webhook=1"), `name="from" value="`+from+`"`)
	for _, tc := range []struct{ query, from, want string }{
		{"webhook=1", "", "Choose a date and a time."},
		{"webhook=1", "yesterday", `value="yesterday"`},
		{"webhook=1&until=" + from, from, "before that of the filter until"},
		{"webhook=1&state=nosuch", from, "no such state"},
		{"", from, "Choose one webhook."},
	} {
		status, text, _ := p.by(p.client, http.MethodPost, "/webhook-logs/redeliver/missing?"+tc.query, url.Values{"from": {tc.from}})
		if status != http.StatusUnprocessableEntity || !strings.Contains(text, tc.want) {
			t.Errorf("from %q of %q is answered %d without %q: %s", tc.from, tc.query, status, tc.want, text)
		}
	}
	to := p.post("/webhook-logs/redeliver/missing?state=failed&webhook=1&event=user.created", url.Values{"from": {from}})
	replayer := dispatch.NewReplayer(p.store, dispatch.StepperOptions{Clock: p.clock})
	for found := true; found; {
		var err error
		if found, err = replayer.Round(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	p.has(p.page(to), "Done", "<dt>Missed events</dt><dd>2 <span", `href="/webhook-logs?event=user.created&amp;webhook=1"`)
	for id := int64(1); id <= 2; id++ {
		if d := p.delivery(id); d.WebhookID != 1 || d.State != bugle.Pending || d.Event != "user.created" {
			t.Errorf("delivery %d is %+v", id, d)
		}
	}
	if _, err := p.store.Delivery(t.Context(), 1, 3); !errors.Is(err, bugle.ErrNotFound) {
		t.Errorf("what happened before is made up for as well: %v", err)
	}
}

// follow opens the stream that a page names, and returns what waits for its next message.
func (p *deliveriesPanel) follow(page string) (next func() string) {
	p.Helper()
	found := regexp.MustCompile(`data-live-list="([^"]*)"`).FindStringSubmatch(page)
	if found == nil {
		p.Fatal("the page follows nothing")
	}
	r, err := http.NewRequestWithContext(p.Context(), http.MethodGet, p.server.URL+strings.ReplaceAll(found[1], "&amp;", "&"), nil)
	if err != nil {
		p.Fatal(err)
	}
	answer, err := p.client.Do(r)
	if err != nil {
		p.Fatal(err)
	}
	p.Cleanup(func() { answer.Body.Close() })
	lines := bufio.NewScanner(answer.Body)
	if !lines.Scan() { // it has begun
		p.Fatal(lines.Err())
	}
	return func() string {
		for lines.Scan() {
			if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
				return data
			}
		}
		p.Fatalf("the stream ended: %v", lines.Err())
		return ""
	}
}

// What changes is streamed: only rows of the list, and an empty one for a row that the filter lets through no more.
func TestWebhookLogs_stream(t *testing.T) {
	p := newDeliveriesPanel(t)
	storetest.AddWebhook(t, p.store, "https://example.com/hook", nil)
	p.users("Jane Roe", "John Doe")
	next := p.follow(p.page("/webhook-logs?state=pending"))
	p.record(2, bugle.Delivered, bugle.Attempt{Status: 200, Reason: "OK"})
	if got := next(); got != `{"id":"delivery-2","html":""}` {
		t.Errorf("a row that does not pass any more is %s", got)
	}
	if err := p.clock.BlockUntilContext(t.Context(), 2); err != nil {
		t.Fatal(err)
	}
	p.users("Jim Poe")
	if got := next(); !strings.Contains(got, `"id":"delivery-3"`) || !strings.Contains(got, "Waiting") || !strings.Contains(got, "Jim Poe") {
		t.Errorf("the new row is %s", got)
	}
}

// The newest deliveries on a webhook's page follow too, in rows of their own and only that webhook's.
func TestWebhook_followsItsLog(t *testing.T) {
	p := newDeliveriesPanel(t)
	storetest.AddWebhook(t, p.store, "https://example.com/other", nil)
	storetest.AddWebhook(t, p.store, "https://example.com/hook", nil)
	next := p.follow(p.page("/webhooks/2"))
	p.users("Jane <b>Roe</b>")
	if got := next(); !strings.Contains(got, `"id":"delivery-2"`) || !strings.Contains(got, "Details of delivery 2") || !strings.Contains(got, "Jane") || strings.Contains(got, `\u003cb\u003eRoe`) {
		t.Errorf("the new row is %s", got)
	}
}

// Events come into the log that is open also if nothing is made of them, and only those that its filters let through.
func TestEventLog_stream(t *testing.T) {
	p := newDeliveriesPanel(t)
	p.users("Jane Roe")
	next := p.follow(p.page("/event-log?event=user.created"))
	if err := p.clock.BlockUntilContext(t.Context(), 2); err != nil { // signs of life, and looks
		t.Fatal(err)
	}
	storetest.Update(t, p.store, &personnel.User, 2, "name", "Joan Roe")
	p.users("John <i>Doe</i>")
	p.clock.Advance(time.Second)
	if got := next(); !strings.Contains(got, "John") || strings.Contains(got, "Joan") || strings.Contains(got, `\u003ci\u003e`) || !strings.Contains(got, "user.created") {
		t.Errorf("the new row is %s", got)
	}
}

// The dashboard's latest events follow in rows of their own.
func TestDashboard_followsEvents(t *testing.T) {
	p := newDeliveriesPanel(t)
	next := p.follow(p.page("/"))
	if err := p.clock.BlockUntilContext(t.Context(), 2); err != nil {
		t.Fatal(err)
	}
	p.users("Jane Roe")
	p.clock.Advance(time.Second)
	if got := next(); !strings.Contains(got, `\u003cli id=`) || !strings.Contains(got, "User 2: Jane Roe") {
		t.Errorf("the new row is %s", got)
	}
}

func TestEventLog(t *testing.T) {
	p := newDeliveriesPanel(t)
	storetest.AddWebhook(t, p.store, "https://example.com/hook", func(w *bugle.Webhook) { w.Name = "Users <i>hook</i>" })
	storetest.AddWebhook(t, p.store, "https://example.com/other", func(w *bugle.Webhook) { w.Name, w.Events = "Calendars", []string{"calendar.created"} })
	automation := bugle.NewAutomation()
	automation.OrganizationID, automation.Name, automation.Trigger, automation.Condition = 1, "Captains only", "user.updated", `model["name"] == "Captain"`
	automation.WebhookID = 2
	storetest.Change(t, p.store, func(tx *store.Tx) error { return tx.AddAutomation(&automation) })
	p.users("<u>Jane</u> Roe")
	var id int64
	storetest.Change(t, p.store, func(tx *store.Tx) error {
		actor := storetest.Actor()
		r, err := tx.UserByEmail(1, bugle.AdminRole+"@example.com")
		if actor.UserID = r; err != nil {
			return err
		}
		user, err := tx.Create(actor, &personnel.Calendar, value.Map("name", "Drills", "color", "#2563eb"))
		if err == nil {
			id = user.ID()
		}
		return err
	})
	p.has(p.page("/event-log"), "user.created", "calendar.created", fmt.Sprintf(`href="/calendars/%d"`, id), ">Sam Admin</a>", "Export CSV")
	for query, want := range map[string]int{"event=calendar.created": 1, "kind=calendar": 1, "kind=calendar&resource=99": 0, "causer=Sam+Admin": 1, "causer=Nobody": 0,
		"request_id=zzz": 0, "since=2027-01-01T00:00": 0, "request_id=" + storetest.Actor().RequestID[:6] + "&event=user.created": 1} {
		if got := strings.Count(mainOf(p.page("/event-log?"+query)), `href="/event-log/`); got != want {
			t.Errorf("with %s the list has %d events, want %d", query, got, want)
		}
	}
	if status, _, _ := p.by(p.client, http.MethodGet, "/event-log?resource=x", nil); status != http.StatusUnprocessableEntity {
		t.Errorf("a number that is none is answered %d", status)
	}
	if lines := strings.Split(strings.TrimSpace(p.page("/event-log?format=csv&event=calendar.created")), "\n"); len(lines) != 2 || !strings.Contains(lines[1], "Sam Admin") {
		t.Errorf("the file is %q", lines)
	}

	created := regexp.MustCompile(`/event-log/(\d+)`).FindStringSubmatch(mainOf(p.page("/event-log?event=user.created&kind=user")))[1]
	page := p.page("/event-log/" + created)
	p.has(page, "What webhooks get", `data-highlight="json"`, "&lt;u&gt;Jane&lt;/u&gt;", "Users &lt;i&gt;hook&lt;/i&gt;", "Matched", "for other events",
		"does not subscribe to user.created", "has the trigger user.updated", `href="/webhook-logs/`)
	p.lacks(page, "<u>Jane", "<i>hook")

	storetest.Update(t, p.store, &personnel.User, 2, "name", "<em>Joan</em>")
	updated := regexp.MustCompile(`/event-log/(\d+)`).FindStringSubmatch(mainOf(p.page("/event-log?event=user.updated")))[1]
	page = p.page("/event-log/" + updated)
	p.has(page, "What changed", "&lt;em&gt;Joan&lt;/em&gt;", "Captains only", "is still to be evaluated", "Waiting")
	p.lacks(page, "<em>Joan")
	if status, _, _ := p.by(p.client, http.MethodGet, "/event-log/9999", nil); status != http.StatusNotFound {
		t.Errorf("an event that is not there is answered %d", status)
	}
}
