package admin

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/internal/signin"
	"github.com/buglehq/bugle/internal/sso"
	"github.com/buglehq/bugle/internal/store"
)

const (
	ssoPath   = "/login/sso"
	ssoCookie = "bugle_sign_in" // of who is at the provider
)

// SSOCallback is the path to which the provider sends people back.
const SSOCallback = ssoPath + "/callback"

// singleSignOn adds the pages by which people sign in by a provider.
func (s *server) singleSignOn() {
	s.open("GET "+ssoPath, s.beginSSO)
	s.open("GET "+SSOCallback, s.finishSSO)
	s.page("POST /account/unlink", "", s.unlink)
}

// beginSSO sends the visitor to the provider.
func (s *server) beginSSO(v *visit) error {
	if s.o.SSO == nil {
		return bugle.ErrNotFound
	}
	to, kept, err := s.o.SSO.Begin(v.Context(), local(v.URL.Query().Get("next")))
	if err != nil {
		return s.noSSO(v, err)
	}
	s.setSSOCookie(v, kept, sso.Lasts)
	http.Redirect(v.w, v.Request, to, http.StatusSeeOther)
	return nil
}

// setSSOCookie keeps a sign-in under way in the browser; empty: no more.
func (s *server) setSSOCookie(v *visit, kept string, lasts time.Duration) {
	c := &http.Cookie{Name: ssoCookie, Value: kept, Path: ssoPath, MaxAge: int(lasts.Seconds()), HttpOnly: true, SameSite: http.SameSiteLaxMode, Secure: s.sessions.Cookie.Secure}
	if kept == "" {
		c.MaxAge = -1
	}
	http.SetCookie(v.w, c)
}

// finishSSO signs in who comes back from the provider.
func (s *server) finishSSO(v *visit) error {
	if s.o.SSO == nil {
		return bugle.ErrNotFound
	}
	kept := ""
	if c, err := v.Cookie(ssoCookie); err == nil {
		kept = c.Value
		s.setSSOCookie(v, "", 0)
	}
	back, err := s.o.SSO.Back(kept, v.URL.Query())
	if err != nil {
		return s.noSSO(v, err)
	}
	attempt, err := s.signIn.Outside(v.Context(), address(v.Request))
	if err != nil {
		return s.noSSO(v, err)
	}
	first := false
	err = s.store.Update(v.Context(), func(tx *store.Tx) (err error) {
		first, err = tx.UseSignIn(back.State, back.Until)
		return err
	})
	if err != nil {
		attempt.Uncount()
		return err
	}
	if !first {
		return s.noSSO(v, errUsedSSO)
	}
	person, err := s.o.SSO.Finish(v.Context(), back)
	if err != nil {
		if failed := (*sso.Error)(nil); errors.As(err, &failed) && failed.Problem != sso.Invalid {
			attempt.Uncount() // which is nobody's guess
		}
		return s.noSSO(v, err)
	}
	account, refused, err := s.accountOf(v, person)
	if err != nil {
		attempt.Uncount()
		return err
	}
	if refused != nil {
		if err := attempt.Failed(v.Context(), account); err != nil {
			return err
		}
		return s.noSSO(v, refused)
	}
	attempt.Uncount()
	return s.letIn(v, account, person.Issuer, onward{Next: local(person.Next)})
}

var errUsedSSO = errors.New("the sign-in has come back before")

// A strangerError says why somebody whom the provider knows has no way in here, in words for him.
type strangerError struct{ title, text string }

func (e *strangerError) Error() string { return e.title }

// accountOf returns the account of a person, and links it to his identity the first time: if the provider has seen that the e-mail address is his, and one account has
// it. The refused error is a *strangerError; then the account is that which he may not enter, if there is one.
func (s *server) accountOf(v *visit, p *sso.Person) (account *bugle.Account, refused, err error) {
	ask := "Ask an admin of your unit"
	err = s.store.Update(v.Context(), func(tx *store.Tx) (err error) {
		account, refused = nil, nil
		account, err = tx.AccountByIdentity(p.Issuer, p.Subject)
		if err == nil || !errors.Is(err, bugle.ErrNotFound) {
			return err
		}
		if !p.Verified {
			refused = &strangerError{"We do not know you yet", "The provider does not say that your e-mail address is yours, so it cannot be matched with an account here. " + ask + ", or whoever runs the provider, to have the address confirmed there."}
			return nil
		}
		accounts, err := tx.AccountsByEmail(p.Email)
		if err != nil {
			return err
		}
		switch {
		case len(accounts) == 0:
			refused = &strangerError{"You have no account here", "Nobody has invited " + p.Email + " yet. " + ask + " for an invitation to this e-mail address. Nothing was made."}
			return nil
		case len(accounts) > 1:
			refused = &strangerError{"There are several accounts", "More than one account has the address " + p.Email + ", and it cannot be told which is meant. " + ask + " to give one of them another address."}
			return nil
		}
		account = accounts[0]
		if account.Disabled {
			return nil
		}
		err = tx.LinkIdentity(account, p.Identity)
		if errors.Is(err, bugle.ErrConflict) {
			refused, err = &strangerError{"Your account is linked to somebody else", "The account with the address " + p.Email + " is linked to another person at the provider. If that is you, sign in as that person and remove the link under Your account, or " +
				"ask whoever runs this server."}, nil
		}
		return err
	})
	if err == nil && refused == nil && account.Disabled {
		refused = &strangerError{"Your account is disabled", ask + " to enable it."}
	}
	return account, refused, err
}

type ssoPage struct {
	frame
	Text  string
	Again bool // it may go better
	Name  string
}

// noSSO explains why somebody is not signed in.
func (s *server) noSSO(v *visit, err error) error {
	var many *signin.TooManyError
	var failed *sso.Error
	var stranger *strangerError
	p := &ssoPage{Again: true, Name: s.o.SSO.Name()}
	title, status := "You are not signed in", http.StatusBadRequest
	stale := "The sign-in took longer than 10 minutes, was begun in another browser or window, or was finished before. Begin anew."
	switch {
	case errors.As(err, &many):
		status, p.Again = http.StatusTooManyRequests, false
		v.w.Header().Set("Retry-After", fmt.Sprint(int(many.Wait.Seconds())+1))
		p.Text = "There were too many attempts. Try again in " + many.Wait.Round(time.Second).String() + "."
	case errors.As(err, &stranger):
		status, title, p.Text = http.StatusForbidden, stranger.title, stranger.text
	case errors.Is(err, errUsedSSO):
		p.Text = stale
	case errors.As(err, &failed):
		switch failed.Problem {
		case sso.Stale:
			p.Text = stale
		case sso.Denied:
			status, p.Text = http.StatusForbidden, "You, or the provider, said no. Nothing has changed here."
		case sso.Away:
			status, p.Text = http.StatusBadGateway, "The provider cannot be reached, or does not answer as it should. Try again in a moment; if it lasts, tell whoever runs this server."
		case sso.Refused:
			status, p.Text = http.StatusBadGateway, "The provider could not sign you in. Try again; if it lasts, tell whoever runs this server."
		default:
			status, p.Text = http.StatusForbidden, "What the provider said of you could not be verified, so you are not let in. Try again; if it lasts, tell whoever runs this server."
		}
		if failed.Problem != sso.Stale && failed.Problem != sso.Denied {
			s.o.Log.WarnContext(v.Context(), "single sign-on failed", "error", err)
		}
	default:
		return err
	}
	p.frame = v.newFrame(title, "")
	p.Bare = true
	return v.render(status, "sso.html", p)
}

// unlink ends the link of the visitor's account to a provider.
func (s *server) unlink(v *visit) error {
	f, err := v.form()
	if err != nil {
		return err
	}
	err = s.store.Update(v.Context(), func(tx *store.Tx) error {
		return tx.UnlinkIdentity(v.actor.OrganizationID, v.actor.UserID, f.Get("issuer"))
	})
	switch {
	case errors.Is(err, bugle.ErrNotFound):
		v.flash("info", "There is no such link any more.")
		return v.redirect("/account")
	case err != nil:
		return err
	}
	v.flash("success", "The link is removed.")
	return v.redirect("/account")
}

// ssoButton is what the page to sign in shows of single sign-on; nil: nothing.
type ssoButton struct {
	Name string
	URL  string
	Only bool
}

func (s *server) ssoButton(next string) *ssoButton {
	if s.o.SSO == nil {
		return nil
	}
	return &ssoButton{s.o.SSO.Name(), pathWith(ssoPath, map[string][]string{"next": {next}}), s.o.SSO.Only()}
}

// errNoPasswords is for passwords where nobody signs in by one.
var errNoPasswords = fmt.Errorf("passwords are not used here, only single sign-on: %w", bugle.ErrForbidden)

// noPasswords leaves out the inputs for passwords where nobody signs in by one.
func (s *server) noPasswords(inputs []input) []input {
	if !s.o.SSO.Only() {
		return inputs
	}
	var rest []input
	for _, in := range inputs {
		if !strings.Contains(in.AutoFill, "password") {
			rest = append(rest, in)
		}
	}
	return rest
}
