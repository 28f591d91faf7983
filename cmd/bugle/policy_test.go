package main

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/buglehq/bugle/value"
)

// hostile are templates that try each way to what a policy keeps back: whole variables, loops, computed names, old values, people
// in other people's records, what is made of them, and conditions.
var hostile = []string{
	`{{ model|json_encode }}`, `{{ changes|json_encode }}`, `{{ causer|json_encode }}`, `{{ [model, changes, causer]|json_encode }}`,
	`{% for k, v in model %}{{ k }}={{ v is iterable ? v|json_encode : v }};{% endfor %}`,
	`{% for k, v in changes %}{{ k }}:{{ v.old is iterable ? v.old|json_encode : v.old }}>{{ v.new is iterable ? v.new|json_encode : v.new }};{% endfor %}`,
	`{% for k, v in causer %}{{ k }}={{ v is iterable ? v|json_encode : v }};{% endfor %}`,
	`{{ model.email }}{{ model['email'] }}{{ model['em' ~ 'ail'] }}`, `{{ attribute(model, 'em' ~ 'ail') }}`, `{% set x = model %}{% set k = 'email' %}{{ x[k] }}`,
	`{{ model.user.email }}{{ model.user.name }}{{ model.author.email }}{{ model.author.name }}`, `{{ attribute(attribute(model, 'user'), 'email') }}`,
	`{{ causer.email }}{{ causer.name }}{{ causer.display_name }}{{ causer.notes }}`,
	`{{ changes.email.old }}{{ changes.email.new }}{{ changes.name.old }}{{ changes.notes.old }}{{ changes.notes.new }}`,
	`{{ changes.data.old|json_encode }}{{ changes.data.new }}{{ changes.blood.old }}{{ changes.blood.new }}`,
	`{{ [model]|column('email')|join }}{{ [model.user]|column('name')|join }}`, `{{ [model, causer]|map(m => m.email)|join(',') }}`,
	`{{ model|filter((v, k) => k == 'email')|json_encode }}`, `{{ model|reduce((all, v) => all ~ (v is iterable ? v|json_encode : v), '') }}`,
	`{{ model|find(v => v is same as(model.email)) }}`, `{{ model|keys|map(k => model[k] is iterable ? '' : model[k])|join('|') }}`,
	`{{ model|merge(changes ?? {})|json_encode }}`, `{{ model|slice(0, 60)|json_encode }}`, `{{ model|first|json_encode }}{{ model|last|json_encode }}{{ model|reverse|json_encode }}`,
	`{{ model.email|upper }}{{ model.email|reverse }}{{ model.email|url_encode }}{{ model.email|split('')|join('-') }}`, `{{ model.email|default('none') }}`,
	`{{ '%s %s'|format(model.email, model.name) }}`, `{{ model.name|replace({'a': 'a'}) }}`, `{{ max([model.email, model.name]) }}{{ min([model.email, '~']) }}`,
	`{{ model.display_name }}{{ model.profile_photo_url }}{{ model.document_parsed }}{{ model.user.display_name }}{{ model.user.profile_photo_url }}`,
	`{{ model.text }}{{ model.notes }}{{ model.blood }}{{ model.user.blood }}{{ model.user.notes }}`,
	`{% if 'quaxley' in model.email|lower or 'quaxley' in model.user.email|lower or 'quaxley' in causer.email|lower %}LEAKED-BY-A-CONDITION{% endif %}`,
	`{% if model.email starts with 'z' or model.user.name starts with 'Z' %}LEAKED-BY-A-CONDITION{% endif %}`,
	`{% macro all(v) %}{{ v|json_encode }}{% endmacro %}{% import _self as m %}{{ m.all(model) }}{{ m.all(changes) }}`,
	`{% apply upper %}{{ model|json_encode }}{% endapply %}`, `{% set text %}{{ model|json_encode }}{% endset %}{{ text|slice(0, 4000) }}`,
	`{% with model %}{{ email }}{{ name }}{{ user.email }}{% endwith %}`, `{{ (model|json_encode)|replace({'@': ' at '}) }}`,
	`{{ model.user|json_encode|url_encode }}`, `{{ model|sort|json_encode }}`, `{{ model|batch(3)|json_encode }}`,
}

// What a policy keeps back is nowhere: not in what the receiver gets by events, automations, tests, redeliveries or replays, not in
// what is kept of that, nor in what the API, the panel, previews and the log show of it. The receiver echoes what it gets.
func TestPolicy_nobodyGetsAroundIt(t *testing.T) {
	secrets := map[string]string{
		"the name": "Zebulon Quaxley", "the former name": "Zebulon Formerly", "the address": "zebulon@quaxley.example", "the former address": "formerly@quaxley.example",
		"the notes": "Allergic to bees, quite", "the former notes": "Allergic to wasps, once", "the custom field": "Blood group zero negative", "the former custom field": "Blood group AB positive",
		"the text of the record": "For finding the lost goat", "the causer's name": "Cornelia Causer-Roe", "the causer's address": "cornelia@quaxley.example",
		"what a test sends": "zebulon@test.quaxley.example",
	}
	m := &masking{t: t, secrets: secrets, emitted: map[string][]byte{}}
	var mu sync.Mutex
	broken := true
	open := map[string]int{} // how often what is secret came to the webhook without a policy
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		query, _ := url.QueryUnescape(r.URL.RawQuery)
		all := append([]byte(query+"\n"), body...)
		if r.URL.Path == "/open" {
			mu.Lock()
			defer mu.Unlock()
			for what, text := range secrets {
				if bytes.Contains(all, []byte(text)) || bytes.Contains(all, []byte(strings.ReplaceAll(text, "/", `\/`))) {
					open[what]++
				}
			}
			return
		}
		m.emit("what "+r.URL.Path+" gets", all)
		mu.Lock()
		defer mu.Unlock()
		if broken && r.URL.Path == "/late" {
			w.WriteHeader(http.StatusInternalServerError)
		}
		w.Write(all)
	}))
	defer receiver.Close()

	folder := t.TempDir()
	database := "sqlite:" + filepath.Join(folder, "bugle.db")
	mustKey := func(args ...string) string {
		t.Helper()
		status, stdout, stderr := runBugle(t, "", append([]string{"key", "create", "--database", database, "--name", "test", "--scope", "*"}, args...)...)
		if status != 0 {
			t.Fatalf("key create: %s", stderr)
		}
		return strings.TrimSpace(stdout)
	}
	admin := mustKey()
	p := startServer(t, database, "--log-level", "debug")
	call := func(key, method, path string, body any, want int) *value.Array {
		t.Helper()
		text, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		return p.mustCall(t, key, method, "/v2/"+path, string(text), want)
	}
	type fields = map[string]any

	// The panel is set up first: whoever does that is the first user, and causes what the key of his does.
	link := regexp.MustCompile(`/welcome/\w{43}`)
	waitFor(t, "the link", func() bool { return link.MatchString(p.out.String()) })
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	browser := &http.Client{Jar: jar}
	answer, err := browser.PostForm(p.url+link.FindString(p.out.String()), url.Values{"organization": {"2nd Battalion"}, "name": {secrets["the causer's name"]},
		"email": {secrets["the causer's address"]}, "password": {"correct-horse-battery-staple"}})
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	causer := mustKey("--user", "1")

	preset := func(name, action string) fields { return fields{"preset": name, "action": action} }
	attribute := func(name, action string) fields { return fields{"attribute": name, "action": action} }
	all := []any{preset("contact", "drop"), preset("name", "drop"), preset("free_text", "drop"), preset("custom_fields", "drop"), preset("photos", "drop")}
	hashed := []any{preset("contact", "hash"), attribute("user.name", "hash"), preset("free_text", "hash"), attribute("blood", "hash"), preset("photos", "hash")}
	events := []string{"user.created", "user.updated", "user.deleted", "rankrecord.created", "rankrecord.updated", "rankrecord.deleted", "submission.created"}
	names := []string{"drop", "hash", "query", "late", "open"}
	for _, name := range names {
		hook := fields{"name": name, "url": receiver.URL + "/" + name, "events": events, "field_policy": all}
		switch name {
		case "hash":
			hook["field_policy"] = hashed
		case "query":
			hook["method"], hook["field_policy"] = "get", hashed
		case "late":
			hook["retry_schedule"], hook["max_attempts"] = []int{1}, 1
			delete(hook, "field_policy")
			hook["status"] = "paused" // until it has a policy
		case "open":
			delete(hook, "field_policy")
		}
		call(admin, "POST", "webhooks", hook, 201)
	}
	n := 0
	for _, trigger := range []string{"user.created", "user.updated", "rankrecord.created"} {
		for i, template := range hostile {
			n++
			format := []string{"envelope", "json"}[i%2]
			call(admin, "POST", "automations", fields{"name": fmt.Sprint(n), "trigger": trigger, "action_type": "webhook", "webhook_id": i%2 + 1, "typed_values": i%3 == 0,
				"webhook_payload_format": format, "webhook_payload_template": fields{"a": template, "b": []any{fields{"c": template}}}}, 201)
		}
		call(admin, "POST", "automations", fields{"name": "plain", "trigger": trigger, "action_type": "webhook", "webhook_id": 1}, 201)
		call(admin, "POST", "automations", fields{"name": "text", "trigger": trigger, "action_type": "webhook", "webhook_id": 2, "webhook_payload_format": "text",
			"webhook_payload_template": `{"all":{{ [model, changes, causer]|json_encode|raw }}}`, "condition": `model.email matches "/quaxley/" or model.user.email matches "/quaxley/" or 1`}, 201)
		call(admin, "POST", "automations", fields{"name": "late", "trigger": trigger, "action_type": "webhook", "webhook_id": 4, "webhook_payload_template": fields{"a": `{{ model|json_encode }}{{ causer.email }}`}}, 201)
	}

	// What is secret, and how it gets around.
	call(admin, "POST", "fields", fields{"name": "Blood", "key": "blood", "type": "text", "applies_to": []string{"users", "rank-records"}}, 201)
	call(admin, "POST", "ranks", fields{"name": "Sergeant"}, 201)
	call(admin, "POST", "documents", fields{"name": "Orders", "content": "To {user_name}, {user_email}: {rank_record_text}, by {author_resource_name}."}, 201)
	user := call(causer, "POST", "users", fields{"name": secrets["the former name"], "email": secrets["the former address"], "notes": secrets["the former notes"], "blood": secrets["the former custom field"]}, 201)
	id := at(user, "data", "id")
	call(causer, "PUT", fmt.Sprint("users/", id), fields{"name": secrets["the name"], "email": secrets["the address"], "notes": secrets["the notes"], "blood": secrets["the custom field"]}, 200)
	call(causer, "POST", "rank-records", fields{"user_id": id, "author_id": 1, "rank_id": 1, "type": 0, "document_id": 1, "text": secrets["the text of the record"], "blood": secrets["the custom field"]}, 201)
	call(causer, "PUT", "rank-records/1", fields{"text": secrets["the text of the record"] + "!"}, 200)
	for _, hook := range []int{1, 2, 3} {
		call(admin, "POST", fmt.Sprintf("webhooks/%d/test", hook), fields{"payload": fields{"email": secrets["what a test sends"], "user": fields{"name": secrets["the name"]}}}, 202)
	}
	settled := func(states string) {
		t.Helper()
		waitFor(t, "everything to be sent", func() bool {
			return count(t, database, "SELECT COUNT(*) FROM automation_runs WHERE status = 'pending'") == 0 && count(t, database, "SELECT COUNT(*) FROM deliveries WHERE webhook_id <> "+states+" AND state < 2") == 0
		})
	}
	call(admin, "DELETE", "rank-records/1", nil, 200)
	settled("4")

	// A policy holds for what was made before it, sent late or again.
	call(admin, "PUT", "webhooks/4", fields{"field_policy": all, "status": "active"}, 200)
	settled("0")
	mu.Lock()
	broken = false
	mu.Unlock()
	for _, hook := range []int{1, 2, 3, 4} {
		call(admin, "POST", fmt.Sprintf("webhooks/%d/replay", hook), fields{"since": "2020-01-01T00:00:00Z", "states": []string{"failed", "delivered"}, "missing": true}, 202)
		waitFor(t, "the replay", func() bool { return count(t, database, "SELECT COUNT(*) FROM replays WHERE state = 'done'") == hook })
	}
	settled("0")
	withheld := count(t, database, "SELECT COUNT(*) FROM deliveries d JOIN attempts a ON a.delivery_id = d.id AND a.number = d.attempts WHERE d.webhook_id = 4 AND d.state = 3 AND a.error_kind = 'config'")
	if withheld != 4 {
		t.Errorf("of what templates wrote before there was a policy, %d are withheld, want 4", withheld)
	}
	if made := count(t, database, "SELECT COUNT(*) FROM deliveries WHERE webhook_id < 3 AND state = 2"); made < 3*len(hostile) {
		t.Errorf("only %d deliveries were made: %d", made, count(t, database, "SELECT COUNT(*) FROM automation_runs WHERE status = 'failed'"))
	}
	call(admin, "DELETE", "webhooks/3", nil, 200) // what is known of it stays filtered

	// Everything that shows what was sent.
	for _, hook := range []int{1, 2, 3, 4} {
		for page := 1; ; page++ {
			path := fmt.Sprintf("/v2/deliveries?webhook_id=%d&limit=500&page=%d", hook, page)
			list := p.mustCall(t, admin, "GET", path, "", 200)
			items, _ := at(list, "data").(*value.Array)
			for _, item := range items.All() {
				m.api(p, admin, "GET", fmt.Sprintf("/v2/deliveries/%d", at(item, "id")), "")
			}
			if items.Len() < 500 {
				break
			}
		}
		m.api(p, admin, "GET", fmt.Sprintf("/v2/webhooks/%d/feed?limit=1000", hook), "")
		m.api(p, admin, "GET", fmt.Sprintf("/v2/webhooks/%d", hook), "")
	}
	for i, template := range hostile {
		for _, trigger := range []string{"user.updated", "rankrecord.created"} {
			data := call(causer, "POST", "automations/preview", fields{"trigger": trigger, "action_type": "webhook", "webhook_id": i%2 + 1, "webhook_payload_template": fields{"a": template}}, 200)
			if at(data, "data", "payload", "valid") != true {
				t.Errorf("%s of %s is not valid: %v", template, trigger, at(data, "data", "payload", "error", "message"))
			}
			text, _ := value.JSON(at(data, "data", "payload"))
			m.emit("a preview", text)
		}
	}
	for id := range n {
		text, _ := value.JSON(call(admin, "POST", fmt.Sprintf("automations/%d/backtest", id+1), fields{"since": "2020-01-01T00:00:00Z"}, 200))
		m.emit("a back-test", text)
	}
	pages := 0
	see := func(path string) {
		t.Helper()
		r, err := http.NewRequest("GET", p.url+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		status, text := m.do(browser, r)
		if status != 200 {
			t.Errorf("GET %s: status %d", path, status)
		}
		if text == nil {
			t.Errorf("GET %s is empty", path)
		}
		signedIn := []byte(secrets["the causer's name"]) // as every page says of who has signed in
		m.mu.Lock()
		for where := range m.emitted {
			if strings.Contains(where, path) {
				m.emitted[where] = bytes.ReplaceAll(bytes.ReplaceAll(m.emitted[where], signedIn, nil), []byte(secrets["the causer's address"]), nil)
			}
		}
		m.mu.Unlock()
		pages++
	}
	for _, hook := range []int{1, 2, 4} {
		see(fmt.Sprintf("/webhooks/%d", hook))
		see(fmt.Sprintf("/webhooks/%d/edit", hook))
	}
	rows := p.mustCall(t, admin, "GET", "/v2/deliveries?limit=1000", "", 200)
	items, _ := at(rows, "data").(*value.Array)
	for _, item := range items.All() {
		if hook := at(item, "webhook_id"); hook != int64(5) && at(item, "id").(int64)%7 == 0 {
			see(fmt.Sprintf("/webhook-logs/%d", at(item, "id")))
		}
		if at(item, "event") == "webhook.test" && at(item, "webhook_id") != int64(3) {
			see(fmt.Sprintf("/webhooks/%d/test/%d", at(item, "webhook_id"), at(item, "id")))
		}
	}
	m.api(p, admin, "GET", "/metrics", "")
	p.stop(t)
	m.emit("the log", []byte(p.log.String()))
	m.emit("the attempts", []byte(dump(t, database, `SELECT a.url || ' ' || a.reason || ' ' || a.error_message || ' ' || a.response_headers || ' ' || CAST(a.response_body AS TEXT)
		FROM attempts a JOIN deliveries d ON d.id = a.delivery_id WHERE d.webhook_id <> 5`)))
	m.emit("what templates wrote", []byte(dump(t, database, `SELECT CAST(e.envelope AS TEXT) FROM events e JOIN deliveries d ON d.event_id = e.id WHERE e.addressed AND e.rendered = (SELECT version FROM field_policies WHERE webhook_id = d.webhook_id)`)))

	for what, text := range secrets {
		forms := slices.Concat(forms(text), []string{strings.ToUpper(text), strings.ToLower(text), backwards(text), strings.Join(strings.Split(text, ""), "-"),
			strings.ReplaceAll(text, "@", " at "), hex.EncodeToString([]byte(text)), base64.StdEncoding.EncodeToString([]byte(text))})
		for where, found := range m.emitted {
			for _, form := range forms {
				if i := bytes.Index(found, []byte(form)); i >= 0 {
					t.Errorf("%s is in %s as %q: …%q…", what, where, form, found[max(0, i-150):min(len(found), i+len(form)+20)])
					break
				}
			}
		}
	}
	for where, found := range m.emitted {
		if bytes.Contains(found, []byte("LEAKED-BY-A-CONDITION")) && !strings.Contains(where, "automation") {
			t.Errorf("a condition says something in %s", where)
		}
	}
	// The same things are not secret to the webhook without a policy, or the test would show nothing.
	for what := range secrets {
		if open[what] == 0 && !strings.HasPrefix(what, "what a test") {
			t.Errorf("%s did not even reach the webhook without a policy", what)
		}
	}
	for _, where := range []string{"what /drop gets", "what /hash gets", "what /query gets", "what /late gets", "the attempts", "the log", "what templates wrote", "a preview", "a back-test"} {
		if len(m.emitted[where]) < 200 {
			t.Errorf("of %s there is nothing: %q", where, m.emitted[where])
		}
	}
	if got := m.emitted["what /hash gets"]; bytes.Count(got, []byte("hmac-sha256:")) < 50 {
		t.Errorf("there are few hashes in %.2000s", got)
	}
	if pages < 30 {
		t.Errorf("only %d pages were seen", pages)
	}
}

func backwards(text string) string {
	runes := []rune(text)
	slices.Reverse(runes)
	return string(runes)
}
