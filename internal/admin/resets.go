package admin

import (
	"context"
	"sync"
	"time"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/internal/store"
)

// A Mailer sends a mail by the settings of an organization's channel and keeps no copy of it: what it sends is a
// secret. The delivery client is one.
type Mailer interface {
	Mail(ctx context.Context, lane *bugle.Webhook, organization, subject string, to bugle.Recipient, html string) error
}

const (
	maxMails     = 100         // that wait; others are forgotten
	mailTimeout  = time.Minute // for one
	resetSubject = "Your password of Bugle"
)

// mails sends mails in the background, so that the answer to who causes one is the same, and as quick, whether there is one or not.
type mails struct {
	server *server
	queue  chan func(ctx context.Context)
	ctx    context.Context
	stop   context.CancelFunc
	done   sync.WaitGroup
}

func newMails(s *server) *mails {
	m := &mails{server: s, queue: make(chan func(context.Context), maxMails)}
	m.ctx, m.stop = context.WithCancel(context.Background())
	m.done.Go(func() {
		for {
			select {
			case send := <-m.queue:
				ctx, cancel := context.WithTimeout(m.ctx, mailTimeout)
				send(ctx)
				cancel()
			case <-m.ctx.Done():
				return
			}
		}
	})
	return m
}

// close gives up what waits, and waits for the mail under way to end.
func (m *mails) close() {
	m.stop()
	m.done.Wait()
}

// later has something sent. It does not wait, and reports whether there was room.
func (m *mails) later(send func(ctx context.Context)) bool {
	select {
	case m.queue <- send:
		return true
	default:
		return false
	}
}

// mail sends somebody a mail of an organization that can send mail, with the text that write returns; else it does nothing.
func (m *mails) mail(ctx context.Context, account *bugle.Account, subject string, write func(organization *bugle.Organization) (html string, err error)) error {
	s := m.server
	channel := bugle.ChannelByName("mail")
	lane, err := s.store.Lane(ctx, account.OrganizationID, channel)
	if err != nil {
		return err
	}
	if s.o.Mailer == nil || channel.Missing(lane.Settings) != nil {
		return nil
	}
	organization, err := s.store.Organization(ctx, account.OrganizationID)
	if err != nil {
		return err
	}
	text, err := write(organization)
	if err != nil {
		return err
	}
	to := bugle.Recipient{ID: account.UserID, Name: account.Name, Address: account.Email}
	return s.o.Mailer.Mail(ctx, lane, organization.Name, subject, to, text)
}

// resets sends links to new passwords.
type resets struct{ *mails }

// ask has links sent for all accounts with an e-mail address. It does not wait.
func (r resets) ask(email, baseURL string) {
	if !r.later(func(ctx context.Context) { r.send(ctx, email, baseURL) }) {
		r.server.o.Log.Warn("too many people ask for a new password at once; one was not sent a link")
	}
}

func (r resets) send(ctx context.Context, email, baseURL string) {
	accounts, err := r.server.store.AccountsByEmail(ctx, email)
	if err != nil {
		r.server.o.Log.Error("accounts cannot be read for a new password", "error", err)
		return
	}
	for _, account := range accounts {
		if account.Disabled {
			continue
		}
		err := r.mail(ctx, account, resetSubject, func(*bugle.Organization) (string, error) {
			var token string
			err := r.server.store.Update(ctx, func(tx *store.Tx) (err error) {
				token, err = tx.AddInvitation(&bugle.Invitation{OrganizationID: account.OrganizationID, Purpose: bugle.ResetInvitation, UserID: account.UserID})
				return err
			})
			return "Somebody, probably you, wants to reset your password of Bugle. Choose a new one here within an hour: " + baseURL + "/welcome/" + token +
				" If it was not you, do nothing.", err
		})
		if err != nil {
			r.server.o.Log.Error("the link to a new password cannot be sent", "organization", account.OrganizationID, "user", account.UserID, "error", err)
		}
	}
}
