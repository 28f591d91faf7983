package admin

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/buglehq/bugle/internal/smtptest"
)

// wantMail waits for the next mail, number n, which says something to jane.
func wantMail(t *testing.T, mails *smtptest.Server, n int, parts ...string) {
	t.Helper()
	until(t, fmt.Sprint("mail ", n), func() bool { return len(mails.Mails()) >= n })
	mail := mails.Mails()[n-1]
	text := strings.NewReplacer("=\r\n", "", "=\n", "").Replace(mail.Data)
	for _, part := range append(parts, "Subject: "+noticeSubject, "/forgot-password", "127.0.0.1") {
		if !strings.Contains(text, part) || mail.To != "jane@example.com" {
			t.Errorf("mail %d to %s does not say %q:\n%s", n, mail.To, part, text)
		}
	}
}

// People are told of what was done with their accounts, but not of the first time that they sign in, nor of the usual.
func TestNotices(t *testing.T) {
	p, mails, _ := resetPanel(t, "127.0.0.1")
	p.clock.Advance(time.Minute)
	p.elsewhere().signIn(http.StatusSeeOther) // as the first time
	p.post("/account/password", url.Values{"current": {webhooksPassword}, "password": {"another long password"}}, http.StatusSeeOther)
	wantMail(t, mails, 1, "Your password was changed.", "Another program")

	firefox := p.elsewhere()
	firefox.client.Transport = agent("Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0")
	in := func(want int) {
		t.Helper()
		firefox.post("/login", url.Values{"email": {"jane@example.com"}, "password": {"another long password"}}, want)
	}
	in(http.StatusSeeOther)
	wantMail(t, mails, 2, "has signed in", "Firefox on Linux")
	in(http.StatusSeeOther)

	p.post("/account/second-factor/begin", nil, http.StatusCreated)
	page := p.post("/account/second-factor/confirm", url.Values{"password": {"another long password"}, "code": {p.code()}}, http.StatusCreated)
	wantMail(t, mails, 3, "turned on")
	in(http.StatusOK)
	firefox.post("/login/code", url.Values{"code": {recoveryCodes(page)[0]}}, http.StatusSeeOther)
	wantMail(t, mails, 4, "A recovery code was used", "9 are left")
	p.clock.Advance(time.Minute)
	p.post("/account/second-factor/codes", url.Values{"password": {"another long password"}, "code": {p.code()}}, http.StatusCreated)
	wantMail(t, mails, 5, "New recovery codes")
	p.clock.Advance(time.Minute)
	p.post("/account/second-factor/off", url.Values{"password": {"another long password"}, "code": {p.code()}}, http.StatusSeeOther)
	wantMail(t, mails, 6, "turned off")
	if n := len(mails.Mails()); n != 6 {
		t.Errorf("there are %d mails", n)
	}
	for _, mail := range mails.Mails() {
		if strings.Contains(mail.Data, recoveryCodes(page)[0]) {
			t.Error("a mail has a recovery code")
		}
	}
}

// An account gets so many mails a day, and the next day others.
func TestNotices_areBounded(t *testing.T) {
	p, mails, log := resetPanel(t, "127.0.0.1")
	change := func() {
		p.post("/account/password", url.Values{"current": {webhooksPassword}, "password": {webhooksPassword}}, http.StatusSeeOther)
	}
	for range maxNotices + 3 {
		change()
	}
	wantMail(t, mails, maxNotices, "password was changed")
	p.clock.Advance(24 * time.Hour)
	change()
	wantMail(t, mails, maxNotices+1, "password was changed")
	if n := len(mails.Mails()); n != maxNotices+1 || strings.Contains(log.String(), "cannot be told") {
		t.Errorf("there are %d mails, and the log says %s", n, log)
	}
}

// A mail that cannot be sent is in the log, and nothing else suffers.
func TestNotices_mailThatCannotBeSent(t *testing.T) {
	p, mails, log := resetPanel(t)
	p.post("/account/password", url.Values{"current": {webhooksPassword}, "password": {"another long password"}}, http.StatusSeeOther)
	until(t, "a line in the log", func() bool { return strings.Contains(log.String(), "cannot be told") })
	if len(mails.Mails()) != 0 || strings.Contains(log.String(), "another long password") {
		t.Errorf("%d mails, the log: %s", len(mails.Mails()), log)
	}
}

// An agent is a browser that calls itself so.
type agent string

func (a agent) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("User-Agent", string(a))
	return http.DefaultTransport.RoundTrip(r)
}
