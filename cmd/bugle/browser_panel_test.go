package main

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp/kb"
)

// A panel is `bugle serve` within this process, and a new database.
type panel struct {
	url      string
	setup    string // the path of the link that is printed
	database string
}

var setupLink = regexp.MustCompile(`http://[^/\s]+(/welcome/\S+)`)

// startPanel starts a server as somebody does who is new, with receivers on this machine allowed.
func startPanel(t *testing.T) *panel {
	t.Helper()
	browser(t) // before anything else is done, there may be none
	p := &panel{database: "sqlite:" + filepath.Join(t.TempDir(), "bugle.db")}
	ctx, stop := context.WithCancel(context.Background())
	stdout, stderr := &lockedBuffer{}, &lockedBuffer{}
	ended := make(chan int, 1)
	go func() {
		ended <- run(ctx, []string{"serve", "--database", p.database, "--listen", "127.0.0.1:0", "--allow-target", "127.0.0.0/8",
			"--rate-limit", "0", "--guest-rate-limit", "0"}, &output{Stdin: strings.NewReader(""), Stdout: stdout, Stderr: stderr})
	}()
	t.Cleanup(func() {
		stop()
		if status := <-ended; status != 0 {
			t.Errorf("serve ended with status %d:\n%s", status, stderr)
		}
	})
	waitFor(t, "the link to the first account", func() bool {
		found := setupLink.FindStringSubmatch(stdout.String())
		if found != nil {
			p.setup = found[1]
			p.url = strings.TrimSuffix(found[0], found[1])
		}
		return found != nil
	})
	return p
}

const (
	panelEmail    = "alex@example.com"
	panelPassword = "seven tidy lorries"
)

// setUp makes the first account in the tab, and leaves it signed in.
func (p *panel) setUp(b *tab) {
	b.t.Helper()
	b.open(p.setup)
	b.fill("Name of your organization", "12th Rifles")
	b.fill("Your name", "Alex Carter")
	b.fill("Email", panelEmail)
	b.fill("Password", panelPassword)
	b.follow("Go")
	b.see("Dashboard")
}

func signIn(b *tab, email, password string) {
	b.t.Helper()
	b.fill("Email", email)
	b.fill("Password", password)
	b.follow("Sign in")
}

// What is said about a tab relies on it noticing.
func TestTab_noticesProblems(t *testing.T) {
	t.Parallel()
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", "script-src 'nonce-a'")
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		if r.URL.Path == "/missing.png" {
			w.WriteHeader(404)
		}
		w.Write([]byte(`<!doctype html><title>x</title><input><img src="/missing.png"><script>window.ran = 1</script>
			<script nonce="a">console.error("told"); setTimeout(() => { document.title = "done"; throw new Error("thrown") })</script>`))
	}))
	defer site.Close()
	b := newTab(t, site.URL)
	for _, problem := range []string{"missing.png", "Content Security Policy", "told", "thrown"} {
		b.open("/")
		b.wait("the script", `document.title === "done"`)
		waitFor(t, "problem "+problem, func() bool { return strings.Contains(strings.Join(b.found(), "\n"), problem) })
		b.expect(problem)
	}
	if faults := strings.Join(b.faults(), "\n"); !strings.Contains(faults, "image-alt") || !strings.Contains(faults, "label") {
		t.Errorf("axe finds only: %s", faults)
	}
}

// Somebody new follows the printed link, makes the first account, and comes back later.
func TestPanel_firstAccount(t *testing.T) {
	t.Parallel()
	p := startPanel(t)
	b := newTab(t, p.url)
	p.setUp(b)
	if b.path() != "/" {
		t.Errorf("the first page is %s", b.path())
	}
	b.click("Account: Alex Carter")
	b.follow("Sign out")
	b.see("Forgot your password?")

	b.expect("status of 422")
	signIn(b, panelEmail, "wrong password")
	b.see("Email and password do not match.")
	b.open("/api-keys") // and then there
	signIn(b, panelEmail, panelPassword)
	b.see("No API keys")
	b.expect("status of 404")
	b.open(p.setup)
	b.see("This link is over")
}

// Whoever has no mouse can sign in and use the menus.
func TestPanel_keyboard(t *testing.T) {
	t.Parallel()
	p := startPanel(t)
	b := newTab(t, p.url)
	p.setUp(b)
	b.clickIn("header", "Account: Alex Carter")
	b.follow("Sign out")

	b.open("/login")
	b.tabTo("input[name=email]")
	b.insert(panelEmail)
	b.tabTo("input[name=password]")
	b.insert(panelPassword)
	b.next(func() { b.press(kb.Enter) })
	b.see("Dashboard")

	b.press(kb.Tab)
	if got := eval[string](b, `words(document.activeElement.innerText)`); got != "Skip to the content" {
		t.Errorf("the first stop is %q", got)
	}
	b.press(kb.Enter)
	b.wait("the content to have the focus", `document.activeElement.id === "content"`)
	b.open("/")
	b.tabTo("header summary")
	b.press(kb.Enter)
	b.wait("the menu", `document.querySelector("details.menu").open`)
	b.press(kb.Escape)
	b.wait("the menu to close", `!document.querySelector("details.menu").open`)
	if !eval[bool](b, `document.activeElement.matches("header summary")`) {
		t.Error("the focus is not back where it was")
	}
	b.press(kb.Enter)
	b.tabTo(`header a[href="/account"]`)
	b.next(func() { b.press(kb.Enter) })
	if b.path() != "/account" {
		t.Errorf("the menu leads to %s", b.path())
	}
}

// tabTo presses the tabulator until the element has the focus.
func (b *tab) tabTo(selector string) {
	b.t.Helper()
	for range 100 {
		b.press(kb.Tab)
		if eval[bool](b, `document.activeElement.matches(%s)`, selector) {
			return
		}
	}
	b.t.Fatalf("the tabulator does not lead to %s\n%s", selector, b.state())
}

// Without scripts the panel does what it does.
func TestPanel_withoutScripts(t *testing.T) {
	t.Parallel()
	p := startPanel(t)
	b := newTab(t, p.url)
	b.scripts(false)
	p.setUp(b)
	b.followIn("nav", "API Keys")
	b.follow("New API key")
	b.fill("Name", "Roster bot")
	b.tick("Everything", true)
	b.follow("Create")
	b.see("Copy the key now")
	b.follow("Done")
	b.see("Roster bot")
	b.click("Account: Alex Carter")
	b.follow("Sign out")
	signIn(b, panelEmail, panelPassword)
	b.see("Dashboard")
}

// What somebody was typing when his session ended is sent once he has signed in again.
func TestPanel_endOfSession(t *testing.T) {
	t.Parallel()
	p := startPanel(t)
	b := newTab(t, p.url)
	p.setUp(b)
	b.open("/api-keys/create")
	b.fill("Name", "Kept over the night")
	b.tick("Everything", true)
	b.endSessions()
	b.expect("status of 401")
	b.follow("Create")
	b.see("Your session has ended")
	b.see("what you typed is kept")
	b.expect("status of 422")
	signIn(b, panelEmail, "wrong password")
	signIn(b, panelEmail, panelPassword)
	b.follow("Go on")
	b.see("Copy the key now")
	b.open("/api-keys")
	b.see("Kept over the night")
}

// What happens comes into a list that is open, also far down, without moving what is being read; and a lost
// connection is said, and found again.
func TestPanel_live(t *testing.T) {
	t.Parallel()
	p := startPanel(t)
	line := newLine(t, strings.TrimPrefix(p.url, "http://"))
	b := newTab(t, line.url)
	p.setUp(b)
	b.still()
	b.size(1280, 300)
	b.open("/event-log")
	b.see("Alex Carter")
	eval[bool](b, `(scrollTo({ top: 150, behavior: "instant" }), true)`)

	other := newTab(t, p.url)
	other.open("/login")
	signIn(other, panelEmail, panelPassword)
	add := func(name string) {
		t.Helper()
		other.open("/users/create")
		other.fill("Name", name)
		other.fill("Email", strings.ReplaceAll(name, " ", ".")+"@example.com")
		other.follow("Save")
		other.see("Saved.")
	}
	add("Jane Roe")
	b.see("1 new: show")
	if b.sees("Jane Roe") || eval[float64](b, "scrollY") != 150 {
		t.Errorf("the list has moved: %s", b.state())
	}
	b.click("1 new: show")
	b.see("User 2: Jane Roe")
	eval[bool](b, `(scrollTo({ top: 0, behavior: "instant" }), true)`)
	add("Jim Poe")
	b.see("User 3: Jim Poe") // at the top it comes by itself

	b.expect("net::ERR_")
	line.cut(true)
	b.see("Connection lost. Trying again…")
	add("Joan Doe")
	line.cut(false)
	b.wait("the connection to be there again", `document.querySelector(".banner").hidden`)
	b.see("User 4: Joan Doe") // which happened meanwhile
}

// A line leads to a server, and can be cut.
type line struct {
	url  string
	mu   sync.Mutex
	off  bool
	open map[net.Conn]bool
}

func newLine(t *testing.T, address string) *line {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &line{url: "http://" + listener.Addr().String(), open: map[net.Conn]bool{}}
	var work sync.WaitGroup
	work.Go(func() {
		for {
			near, err := listener.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", address)
			if err != nil || !l.add(near, far) {
				near.Close()
				continue
			}
			for _, way := range [][2]net.Conn{{near, far}, {far, near}} {
				work.Go(func() {
					io.Copy(way[0], way[1]) // until one of them is closed
					near.Close()
					far.Close()
				})
			}
		}
	})
	t.Cleanup(func() {
		listener.Close()
		l.cut(true)
		work.Wait()
	})
	return l
}

// add notes connections, unless the line is cut.
func (l *line) add(connections ...net.Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range connections {
		if l.off {
			c.Close()
		} else {
			l.open[c] = true
		}
	}
	return !l.off
}

// cut ends what is open and refuses what comes, or mends the line.
func (l *line) cut(off bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.off = off
	for c := range l.open {
		c.Close()
	}
	clear(l.open)
}

// endSessions makes the server forget who has signed in, as far as the tab goes.
func (b *tab) endSessions() {
	b.t.Helper()
	call(b, network.ClearBrowserCookies, cdp.Empty{})
}
