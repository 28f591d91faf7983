package main

import (
	"context"
	"regexp"
	"strings"
	"testing"

	"github.com/buglehq/bugle/personnel"
)

var demoPanel = regexp.MustCompile(`panel +(http://\S+) +sign in as (\S+) with the password (\S+)`)

// startDemo starts the demo, which has something on every page, and returns a tab whose admin has signed in.
func startDemo(t *testing.T) *tab {
	t.Helper()
	browser(t)
	ctx, stop := context.WithCancel(context.Background())
	stdout, stderr := &lockedBuffer{}, &lockedBuffer{}
	ended := make(chan int, 1)
	go func() {
		ended <- run(ctx, []string{"demo", "--listen", "127.0.0.1:0", "--interval", "500ms"}, &output{Stdin: strings.NewReader(""), Stdout: stdout, Stderr: stderr})
	}()
	t.Cleanup(func() {
		stop()
		if status := <-ended; status != 0 {
			t.Errorf("the demo ended with status %d:\n%s", status, stderr)
		}
	})
	var found []string
	waitFor(t, "the demo's panel", func() bool { found = demoPanel.FindStringSubmatch(stdout.String()); return found != nil })
	b := newTab(t, found[1])
	b.open("/login")
	signIn(b, found[2], found[3])
	b.see("Latest events")
	waitFor(t, "a delivery that failed and one by an automation", func() bool {
		return strings.Contains(stdout.String(), "attempt 3") && strings.Contains(stdout.String(), "Discord (automation)")
	})
	return b
}

// pagePaths are all pages that the panel has for an admin, with what the demo has made.
func pagePaths(b *tab) []string {
	b.open("/event-log")
	paths := []string{"/", "/account", "/notifications", "/roster",
		"/webhooks", "/webhooks/create", "/webhooks/create?preset=discord", "/webhooks/1", "/webhooks/1?range=30d", "/webhooks/1/edit", "/webhooks/1/test",
		"/webhook-logs", "/webhook-logs?state=failed", "/webhook-logs/1", "/webhook-logs/redeliver", "/event-log", "/event-log/1",
		"/automations", "/automations/create", "/automations/create?template=discord_award", "/automations/1", "/automations/1/edit",
		"/automations/1/edit?tab=condition", "/automations/1/edit?tab=action", "/automations/1/backtest", "/automation-logs", "/automation-logs/1",
		"/api-keys", "/api-keys/create", "/settings", "/targets", "/targets?address=127.0.0.1", "/accounts", "/accounts/invite", "/roles", "/roles/create",
		"/channels", "/channels/mail/edit", "/channels/slack/edit"}
	for _, k := range personnel.Kinds() {
		if k.Path == "" {
			continue
		}
		if paths = append(paths, "/"+k.Path); !k.Listed {
			paths = append(paths, "/"+k.Path+"/create")
		}
	}
	return append(paths, eval[string](b, `document.querySelector("tbody a[href^='/event-log/']").getAttribute("href")`), "/users/2", "/users/2/edit", "/rank-records/1", "/units/2", "/ranks/1", "/calendars/1")
}

// Every page can be used by everybody, in both themes and on a phone, and says nothing in the console.
func TestPages_accessible(t *testing.T) {
	b := startDemo(t)
	for _, look := range []struct {
		theme         string
		width, height int64
	}{{"light", 1280, 900}, {"dark", 390, 844}} {
		b.theme(look.theme)
		b.size(look.width, look.height)
		for _, path := range pagePaths(b) {
			b.open(path)
			b.accessible(look.theme + " " + path)
		}
	}
}

// maxTransferred is how many bytes a page may load that nobody has been to before, without the editor.
const maxTransferred = 200 << 10

// Pages are light, also the first that somebody sees.
func TestPages_light(t *testing.T) {
	b := startDemo(t)
	for _, path := range pagePaths(b) {
		b.forget()
		b.open(path)
		total, sizes := 0.0, b.transferred()
		for url, size := range sizes {
			if !strings.Contains(url, "/assets/editor.") {
				total += size
			}
		}
		if total == 0 || total > maxTransferred {
			t.Errorf("%s transfers %.0f bytes, want at most %d: %v", path, total, maxTransferred, sizes)
		}
	}
}
