package main

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/buglehq/bugle/personnel"
)

var demoPanel = regexp.MustCompile(`panel +(http://\S+) +sign in as (\S+) with the password (\S+)`)

// A running demo has something on every page.
type runningDemo struct{ url, email, password string }

// startDemo starts the demo, and waits until it has made what the pages are to show.
func startDemo(t *testing.T) *runningDemo {
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
	waitFor(t, "a delivery that failed and one by an automation", func() bool {
		return strings.Contains(stdout.String(), "attempt 3") && strings.Contains(stdout.String(), "Discord (automation)")
	})
	return &runningDemo{url: found[1], email: found[2], password: found[3]}
}

// signIn returns a tab whose admin has signed in.
func (d *runningDemo) signIn(t *testing.T) *tab {
	t.Helper()
	b := newTab(t, d.url)
	b.open("/login")
	signIn(b, d.email, d.password)
	b.see("Latest events")
	return b
}

// pagePaths are all pages that the panel has for an admin, with what the demo has made.
func pagePaths(b *tab) []string {
	b.open("/event-log")
	paths := []string{"/", "/account", "/notifications", "/roster",
		"/webhooks", "/webhooks/create", "/webhooks/create?preset=discord", "/webhooks/1", "/webhooks/1?range=30d", "/webhooks/1/edit", "/webhooks/1/test",
		"/webhook-logs", "/webhook-logs?state=failed", "/webhook-logs/1", "/webhook-logs/redeliver", "/webhook-logs/redeliver?webhook=1", "/event-log", "/event-log/1",
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

// maxTransferred is how many bytes a page may load that nobody has been to before, without the editor.
const maxTransferred = 200 << 10

// Every page can be used by everybody, light on a desk and dark on a phone, loads little when it is the first that
// somebody sees, and says nothing in the console. Each is loaded once, by one of two tabs.
func TestPages(t *testing.T) {
	t.Parallel()
	demo := startDemo(t)
	paths := pagePaths(demo.signIn(t))
	for half := range 2 {
		t.Run(fmt.Sprintf("half %d", half+1), func(t *testing.T) {
			t.Parallel()
			b := demo.signIn(t)
			for i, path := range paths {
				if i%2 != half {
					continue
				}
				b.theme("light")
				b.size(1280, 900)
				b.weights()
				b.open(path)
				b.light(path)
				b.accessible("light " + path)
				b.theme("dark")
				b.size(390, 844)
				b.accessible("dark, on a phone, " + path)
			}
		})
	}
}

// light fails the test if the page that was opened is heavy.
func (b *tab) light(path string) {
	b.t.Helper()
	weights, total := b.weights(), 0.0
	for url, size := range weights {
		if !strings.Contains(url, "/assets/editor.") {
			total += size
		}
	}
	if total == 0 || total > maxTransferred {
		b.t.Errorf("%s transfers %.0f bytes, want at most %d: %v", path, total, maxTransferred, weights)
	}
}
