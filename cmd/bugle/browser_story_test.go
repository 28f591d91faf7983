package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

// A fickle receiver fails as often as it is told to, and then takes what comes.
type fickle struct {
	*httptest.Server
	mu     sync.Mutex
	fails  int
	bodies []string // that it took
}

func newFickle(t *testing.T) *fickle {
	f := &fickle{}
	f.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		f.mu.Lock()
		defer f.mu.Unlock()
		if err != nil || f.fails > 0 {
			f.fails--
			w.WriteHeader(http.StatusServiceUnavailable)
			io.WriteString(w, `<script>window.hacked = 1</script>come back later`)
			return
		}
		f.bodies = append(f.bodies, string(body))
		io.WriteString(w, "thanks, got it")
	}))
	t.Cleanup(f.Close)
	return f
}

// fail lets the next n requests fail.
func (f *fickle) fail(n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fails = n
}

// took reports whether something with the text was taken.
func (f *fickle) took(text string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return strings.Contains(strings.Join(f.bodies, "\n"), text)
}

// Somebody new sets up, makes a webhook by the documented steps, tests it, sees it fail and come back, makes an
// automation of a template, promotes somebody, and finds out why one thing was sent and another was not.
func TestStory(t *testing.T) {
	t.Parallel()
	p := startPanel(t)
	receiver := newFickle(t)
	b := newTab(t, p.url)
	p.setUp(b)

	b.followIn("nav", "Webhooks")
	b.follow("New webhook")
	b.fill("Name", "Unit's own program")
	b.fill("URL", receiver.URL+"/hook")
	b.choose("Method", "POST")
	b.click("Generate")
	b.clickOn("the event", `document.querySelector("input[value='rankrecord.created']")`)
	b.click("Delivery")
	b.fill("Wait between attempts", "1s, 1s")
	b.follow("Create")
	b.see("Unit's own program")

	b.follow("Test")
	b.follow("Send")
	b.see("thanks, got it")
	if !receiver.took(`"event":"webhook.test"`) {
		t.Error("the receiver has no test")
	}

	add := func(list, one string, fields ...string) {
		t.Helper()
		b.open("/" + list + "/create")
		for i := 0; i+1 < len(fields); i += 2 {
			b.fill(fields[i], fields[i+1])
		}
		b.follow("Save")
		b.see(one)
	}
	add("ranks", "Corporal", "Name", "Corporal")
	add("ranks", "Captain", "Name", "Captain")
	add("users", "Jane Roe", "Name", "Jane Roe", "Email", "jane@example.com")

	receiver.fail(1)
	promote := func(rank string) {
		t.Helper()
		b.open("/users/2")
		b.follow("Promote")
		b.choose("Rank", rank)
		b.fill("Text", `Well done <script>window.hacked = 1</script><img src=x onerror="window.hacked = 1">`)
		b.follow("Save")
		b.see("Saved.")
	}
	promote("Corporal")
	b.followIn("nav", "Logs")
	b.see("rankrecord.created")
	b.open("/webhook-logs/2")
	b.see("Delivered") // once it was tried again, which the page follows by itself
	b.see("503 Service Unavailable")
	b.see("thanks, got it")
	b.follow("Redeliver")
	waitFor(t, "the same delivery again", func() bool {
		receiver.mu.Lock()
		defer receiver.mu.Unlock()
		return strings.Count(strings.Join(receiver.bodies, "\n"), "rankrecord.created") == 2
	})

	b.open("/automations")
	b.next(func() { b.clickOn("the template", `document.querySelector("a[href$='template=discord_promotion']")`) })
	b.see("1. Trigger")
	b.click("2. Condition")
	b.wait("the editor", `!!document.querySelector("[role=tabpanel]:not([hidden]) .cm-content")`)
	eval[bool](b, `document.querySelector("textarea[name=condition]").dispatchEvent(new CustomEvent("bugle:set", { detail: %s }))`, `model.rank.name == "Captain"`)
	b.see("False: nothing would be done.")
	b.click("3. Action")
	b.choose("Webhook", "Unit's own program · "+strings.TrimPrefix(receiver.URL, "http://"))
	b.see("Discord takes it like this.")
	b.follow("Create")
	promote("Captain")
	waitFor(t, "the message for Discord", func() bool { return receiver.took(`"embeds"`) })

	b.followIn("nav", "Event Log")
	b.choose("Event", "rankrecord.created")
	b.follow("Filter")
	b.open(eval[string](b, `[...document.querySelectorAll("tbody a[href^='/event-log/']")].at(0).getAttribute("href")`))
	b.see("It ran, as its condition was true")
	promote("Corporal")
	b.open("/event-log?event=rankrecord.created")
	b.open(eval[string](b, `[...document.querySelectorAll("tbody a[href^='/event-log/']")].at(0).getAttribute("href")`))
	b.see("Nearly")
	b.see(`model.rank.name == "Captain"`)
	b.see(`"Corporal"`)
	if eval[bool](b, `"hacked" in window`) {
		t.Error("what somebody has written ran as a script")
	}
}

// Who may not do something sees neither the entry nor the action, and is refused at the address.
func TestStory_permissions(t *testing.T) {
	t.Parallel()
	p := startPanel(t)
	b := newTab(t, p.url)
	p.setUp(b)
	b.open("/roles/create")
	b.fill("Name", "Looker-on")
	b.tick("List Webhooks", true)
	b.follow("Save")
	b.open("/accounts/invite")
	b.fill("Email", "sam@example.com")
	b.fill("Name", "Sam Hill")
	b.choose("Role", "Looker-on")
	b.follow("Make a link")
	link := eval[string](b, `document.querySelector("#link").value`)
	b.open("/webhooks/create")
	b.fill("Name", "The only one")
	b.fill("URL", "https://hooks.example.com/1")
	b.follow("Create")

	other := newTab(t, p.url)
	other.endSessions()
	other.open(strings.TrimPrefix(link, p.url))
	other.fill("Password", "another tidy lorry")
	other.follow("Go")
	if other.has(`nav a[href="/automations"]`) || !other.has(`nav a[href="/webhooks"]`) {
		t.Error("the menu is not that of the role")
	}
	other.open("/webhooks")
	other.see("The only one")
	if other.sees("New webhook") {
		t.Error("there is a button for what the role may not do")
	}
	other.expect("status of 403")
	for _, path := range []string{"/webhooks/create", "/webhooks/1", "/webhook-logs", "/automations", "/users", "/roles", "/settings", "/api-keys/create"} {
		other.open(path)
		other.see("Your role does not allow this.")
	}
}
