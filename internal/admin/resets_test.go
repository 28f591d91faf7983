package admin

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/internal/delivery"
	"github.com/buglehq/bugle/internal/smtptest"
	"github.com/buglehq/bugle/internal/store"
	"github.com/buglehq/bugle/internal/storetest"
	"github.com/buglehq/bugle/value"
)

// A lockedLog can be written and read at the same time.
type lockedLog struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// resetPanel is a panel that can send mails by a server on this machine.
func resetPanel(t *testing.T, allowed ...string) (*peoplePanel, *smtptest.Server, *lockedLog) {
	t.Helper()
	s, clock := storetest.New(t)
	guard, err := delivery.NewGuard(allowed, nil)
	if err != nil {
		t.Fatal(err)
	}
	client := delivery.NewClient(guard, delivery.ClientOptions{})
	t.Cleanup(client.Close)
	log := &lockedLog{}
	p := peoplePanelWith(t, s, "", Options{Clock: clock, Log: slog.New(slog.NewTextHandler(log, nil)), Mailer: client})
	mails := &smtptest.Server{}
	host, port := mails.Start(t)
	settings := value.Map("host", host, "port", fmt.Sprint(port), "encryption", "none", "from", "bugle@example.com")
	storetest.Change(t, s, func(tx *store.Tx) error {
		lane, err := tx.Lane(1, bugle.ChannelByName("mail"))
		if err != nil {
			return err
		}
		lane.Settings = settings
		return tx.SaveLane(lane)
	})
	return p, mails, log
}

// until waits for what the panel does in the background.
func until(t *testing.T, what string, yes func() bool) {
	t.Helper()
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	end := time.After(30 * time.Second)
	for !yes() {
		select {
		case <-ticker.C:
		case <-end:
			t.Fatalf("%s: not within half a minute", what)
		}
	}
}

func TestForgot_mailsALinkThatWorksOnce(t *testing.T) {
	p, mails, log := resetPanel(t, "127.0.0.1")
	known := p.post("/forgot-password", url.Values{"email": {"jane@example.com"}}, http.StatusOK)
	until(t, "a mail", func() bool { return len(mails.Mails()) == 1 })
	unknown := p.post("/forgot-password", url.Values{"email": {"nobody@example.com"}}, http.StatusOK)
	hidden := regexp.MustCompile(`nonce="[^"]*"|content="[0-9a-f-]{36}"|value="[^"]*"`)
	if a, b := hidden.ReplaceAllString(known, ""), hidden.ReplaceAllString(unknown, ""); a != b {
		t.Errorf("the answers differ:\n%s\n%s", a, b)
	}
	mail := mails.Mails()[0]
	link := regexp.MustCompile(`/welcome/\w{43}`).FindString(strings.ReplaceAll(mail.Data, "=\n", ""))
	if mail.To != "jane@example.com" || link == "" || !strings.Contains(mail.Data, "Subject: "+resetSubject) {
		t.Fatalf("to %s: %s", mail.To, mail.Data)
	}
	deliveries, err := p.store.Deliveries(t.Context(), 1, store.DeliveryFilter{}, store.PageRequest{Number: 1, Limit: 10})
	if err != nil || len(deliveries.Items) != 0 {
		t.Errorf("%d deliveries (%v), want none: the link is a secret", len(deliveries.Items), err)
	}
	password := url.Values{"password": {"another good one"}}
	p.post(link, password, http.StatusSeeOther)
	p.post(link, password, http.StatusNotFound)
	p.post("/login", url.Values{"email": {"jane@example.com"}, "password": {"another good one"}}, http.StatusSeeOther)
	if strings.Contains(log.String(), strings.TrimPrefix(link, "/welcome/")) {
		t.Errorf("the link is in the log:\n%s", log)
	}
	wantMail(t, mails, 2, "Your password was changed, by a link.") // and nothing to the one who has no account
}

// The mail server is not allowed: nothing goes out, the page says the same, and the log says why.
func TestForgot_mailThatCannotBeSent(t *testing.T) {
	p, mails, log := resetPanel(t)
	p.post("/forgot-password", url.Values{"email": {"jane@example.com"}}, http.StatusOK)
	until(t, "a line in the log", func() bool { return strings.Contains(log.String(), "cannot be sent") })
	if text := log.String(); !strings.Contains(text, "blocked") || strings.Contains(text, "/welcome/") {
		t.Errorf("the log: %s", text)
	}
	if len(mails.Mails()) != 0 {
		t.Error("a mail went out around the guard")
	}
}
