package admin

import (
	"context"
	"html"
	"sync"
	"time"

	"github.com/buglehq/bugle"
)

const (
	noticeSubject = "Your account at Bugle"
	maxNotices    = 10 // that an account gets a day: whoever has a password could fill a mailbox otherwise
)

// notices tells people by mail what was done with their accounts. The audit log has it in any case.
type notices struct {
	*mails
	mu   sync.Mutex
	day  time.Time
	sent map[noticeKey]int // of the day
}

type noticeKey struct{ organizationID, userID int64 }

func newNotices(s *server) *notices { return &notices{mails: newMails(s), sent: map[noticeKey]int{}} }

// mayTell counts a notice, and reports whether the account has had less than enough today.
func (n *notices) mayTell(account *bugle.Account) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if day := n.server.now().Truncate(24 * time.Hour); !day.Equal(n.day) {
		n.day, n.sent = day, map[noticeKey]int{}
	}
	key := noticeKey{account.OrganizationID, account.UserID}
	n.sent[key]++
	return n.sent[key] <= maxNotices
}

// tell tells the holder of an account what has happened, as a sentence. It does not wait.
func (v *visit) tell(account *bugle.Account, what string) {
	n := v.server.notices
	if account.Email == "" || !n.mayTell(account) {
		return
	}
	from := "From " + address(v.Request) + " with " + browserName(v.UserAgent()) + ", at " + v.server.now().Format("2006-01-02 15:04 UTC") + "."
	link := v.baseURL() + "/forgot-password"
	sent := n.later(func(ctx context.Context) {
		err := n.mail(ctx, account, noticeSubject, func(o *bugle.Organization) (string, error) {
			return "<p>" + html.EscapeString(o.Name+": "+what) + "</p><p>" + html.EscapeString(from) + "</p><p>If it was neither you nor an admin whom you have asked, choose a new password: " +
				html.EscapeString(link) + "</p>", nil
		})
		if err != nil {
			n.server.o.Log.Error("somebody cannot be told what was done with his account", "organization", account.OrganizationID, "user", account.UserID, "error", err)
		}
	})
	if !sent {
		n.server.o.Log.Warn("too many people are to be told about their accounts at once; one was not", "organization", account.OrganizationID, "user", account.UserID)
	}
}
