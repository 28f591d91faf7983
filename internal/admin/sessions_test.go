package admin

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/buglehq/bugle/internal/store"
)

// sessions are those of the visitor as the store lists them.
func (p *peoplePanel) sessions() []store.Session {
	p.Helper()
	list, err := p.store.SessionsOf(p.Context(), 1, p.user, "")
	if err != nil {
		p.Fatal(err)
	}
	return list
}

var endButton = regexp.MustCompile(`/account/sessions/(\d+)/end"`)

func TestAccount_sessions(t *testing.T) {
	p := newPeoplePanel(t)
	began := p.clock.Now()
	p.clock.Advance(time.Hour)
	other, third := p.elsewhere(), p.elsewhere()
	other.signIn(http.StatusSeeOther)
	third.signIn(http.StatusSeeOther)
	page := p.get("/account", http.StatusOK)
	if found := endButton.FindAllString(page, -1); len(found) != 2 || strings.Count(page, "This one") != 1 || !strings.Contains(page, "Another program") || !strings.Contains(page, "127.0.0.1") {
		t.Errorf("the page offers to end %q:\n%s", found, mainText(page))
	}
	for _, one := range p.sessions() {
		if !one.SeenAt.Equal(p.clock.Now()) {
			t.Errorf("a session that was used now was seen at %s", one.SeenAt)
		}
	}
	if list := p.sessions(); !list[len(list)-1].BegunAt.Equal(began) {
		t.Errorf("the first began at %s, want %s", list[len(list)-1].BegunAt, began)
	}
	p.post("/account/sessions/"+endButton.FindStringSubmatch(page)[1]+"/end", nil, http.StatusSeeOther)
	p.post("/account/sessions/"+endButton.FindStringSubmatch(page)[1]+"/end", nil, http.StatusNotFound)
	p.post("/account/sessions/x/end", nil, http.StatusNotFound)
	in := func(who *peoplePanel) bool {
		status, _, _ := who.request(http.MethodGet, "/account", "", nil)
		return status == http.StatusOK
	}
	if in(other) == in(third) || !in(p) {
		t.Errorf("signed in are %t, %t and the one who ended a session %t", in(other), in(third), in(p))
	}
	p.post("/account/sessions/end-others", nil, http.StatusSeeOther)
	if in(other) || in(third) || !in(p) {
		t.Errorf("signed in are %t, %t and the one who ended the others %t", in(other), in(third), in(p))
	}
	if list := p.sessions(); len(list) != 1 {
		t.Errorf("there are %d sessions", len(list))
	}
}

// How long somebody was not seen is known to some minutes, so that not every page is a change.
func TestSessions_seen(t *testing.T) {
	p := newPeoplePanel(t)
	began := p.clock.Now()
	p.clock.Advance(seenEvery - time.Second)
	p.get("/account", http.StatusOK)
	if at := p.sessions()[0].SeenAt; !at.Equal(began) {
		t.Errorf("seen at %s, want %s", at, began)
	}
	p.clock.Advance(time.Second)
	p.get("/account", http.StatusOK)
	if at := p.sessions()[0].SeenAt; !at.Equal(p.clock.Now()) {
		t.Errorf("seen at %s, want %s", at, p.clock.Now())
	}
}

func TestAccounts_signOut(t *testing.T) {
	p := newPeoplePanel(t)
	p.post(fmt.Sprintf("/accounts/%d/sign-out", p.user), nil, http.StatusConflict)
	alex := p.addAccount("alex", p.role)
	p.clock.Advance(time.Second)
	other := p.elsewhere()
	other.post("/login", map[string][]string{"email": {"alex@example.com"}, "password": {webhooksPassword}}, http.StatusSeeOther)
	other.get("/account", http.StatusOK)
	p.clock.Advance(time.Second)
	p.post(fmt.Sprintf("/accounts/%d/sign-out", alex), nil, http.StatusSeeOther)
	other.get("/account", http.StatusSeeOther)
	p.may("view_any_account", "update_account")
	p.post(fmt.Sprintf("/accounts/%d/sign-out", alex), nil, http.StatusSeeOther)
}

func TestBrowserName(t *testing.T) {
	for agent, want := range map[string]string{
		"Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0":                                                                           "Firefox on Linux",
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36":                                  "Chrome on Windows",
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36 Edg/126.0.2592.81":                "Edge on Windows",
		"Mozilla/5.0 (Macintosh; Intel Mac OS X 14_5) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Safari/605.1.15":                               "Safari on macOS",
		"Mozilla/5.0 (iPhone; CPU iPhone OS 17_5_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/126.0.6478.54 Mobile/15E148 Safari/604.1": "Chrome on iPhone",
		"Mozilla/5.0 (Linux; Android 14; SM-S921B) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/25.0 Chrome/121.0.0.0 Mobile Safari/537.36":       "Samsung Internet on Android",
		"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36 OPR/112.0.0.0":                              "Opera on Linux",
		"Firefox/1": "Firefox", "curl/8.5.0": "Another program", "": "Another program", strings.Repeat("x", 5000): "Another program",
	} {
		if got := browserName(agent); got != want {
			t.Errorf("%.80q is %q, want %q", agent, got, want)
		}
	}
}
