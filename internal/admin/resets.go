package admin

import (
	"context"
	"sync"
	"time"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/internal/store"
	"github.com/buglehq/bugle/personnel"
)

// A Mailer sends a mail by the settings of an organization's channel and keeps no copy of it: what it sends is a
// secret. The delivery client is one.
type Mailer interface {
	Mail(ctx context.Context, lane *bugle.Webhook, organization, subject string, to bugle.Recipient, html string) error
}

const (
	maxResets    = 100         // that wait; others are forgotten, and asked for again
	resetTimeout = time.Minute // for one
	resetSubject = "Your password of Bugle"
)

// resets sends links to new passwords in the background, so that the answer to who asks for one is the same, and as
// quick, whether there is such an account or not.
type resets struct {
	server *server
	asked  chan askedReset
	ctx    context.Context
	stop   context.CancelFunc
	done   sync.WaitGroup
}

// An askedReset is for all accounts with an e-mail address.
type askedReset struct {
	email, baseURL string
}

func newResets(s *server) *resets {
	r := &resets{server: s, asked: make(chan askedReset, maxResets)}
	r.ctx, r.stop = context.WithCancel(context.Background())
	r.done.Go(func() {
		for {
			select {
			case one := <-r.asked:
				r.send(one)
			case <-r.ctx.Done():
				return
			}
		}
	})
	return r
}

// close gives up what waits, and waits for the mail under way to end.
func (r *resets) close() {
	r.stop()
	r.done.Wait()
}

// ask has links sent. It does not wait.
func (r *resets) ask(email, baseURL string) {
	select {
	case r.asked <- askedReset{email, baseURL}:
	default:
		r.server.o.Log.Warn("too many people ask for a new password at once; one was not sent a link")
	}
}

func (r *resets) send(one askedReset) {
	ctx, cancel := context.WithTimeout(r.ctx, resetTimeout)
	defer cancel()
	accounts, err := r.server.store.AccountsByEmail(ctx, one.email)
	if err != nil {
		r.server.o.Log.Error("accounts cannot be read for a new password", "error", err)
		return
	}
	for _, account := range accounts {
		if account.Disabled {
			continue
		}
		if err := r.mail(ctx, account, one.baseURL); err != nil {
			r.server.o.Log.Error("the link to a new password cannot be sent", "organization", account.OrganizationID, "user", account.UserID, "error", err)
		}
	}
}

// mail sends somebody the link, if the organization can send mail.
func (r *resets) mail(ctx context.Context, account *bugle.Account, baseURL string) error {
	s := r.server
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
	var token string
	var user *personnel.Resource
	err = s.store.Update(ctx, func(tx *store.Tx) (err error) {
		if token, err = tx.AddInvitation(&bugle.Invitation{OrganizationID: account.OrganizationID, Purpose: bugle.ResetInvitation, UserID: account.UserID}); err != nil {
			return err
		}
		user, err = tx.Get(account.OrganizationID, &personnel.User, account.UserID)
		return err
	})
	if err != nil {
		return err
	}
	text := "Somebody, probably you, wants to reset your password of Bugle. Choose a new one here within an hour: " + baseURL + "/welcome/" + token +
		" If it was not you, do nothing."
	to := bugle.Recipient{ID: user.ID(), Name: user.Text("name"), Address: user.Text("email")}
	return s.o.Mailer.Mail(ctx, lane, organization.Name, resetSubject, to, text)
}
