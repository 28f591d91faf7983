package admin

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/alexedwards/scs/v2"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/internal/signin"
	"github.com/buglehq/bugle/internal/store"
	"github.com/buglehq/bugle/personnel"
	"github.com/buglehq/bugle/value"
)

// sessionLifetime is how long somebody stays signed in.
const sessionLifetime = 14 * 24 * time.Hour

func newSessions(s *store.Store, o Options) *scs.SessionManager {
	m := scs.New()
	m.Store = heldSessions{s.Sessions()}
	m.Lifetime = sessionLifetime
	m.Cookie.Name = "bugle_session"
	m.Cookie.HttpOnly = true
	m.Cookie.SameSite = http.SameSiteLaxMode
	if strings.HasPrefix(o.PublicURL, "https://") {
		m.Cookie.Secure = true
		m.Cookie.Name = "__Host-" + m.Cookie.Name // which no other host of the domain can set
	}
	m.ErrorFunc = func(w http.ResponseWriter, r *http.Request, err error) {
		if !errors.Is(r.Context().Err(), context.Canceled) {
			o.Log.ErrorContext(r.Context(), "session failed", "error", err)
		}
		http.Error(w, "Your session cannot be read or kept. Try again in a moment.", http.StatusServiceUnavailable)
	}
	return m
}

// entrance adds the pages by which people come in and go out.
func (s *server) entrance() {
	s.open("GET /login", s.showSignIn)
	s.open("POST /login", s.doSignIn)
	s.open("GET /login/code", s.showCode)
	s.open("POST /login/code", s.checkCode)
	s.singleSignOn()
	s.page("POST /logout", "", s.signOut)
	s.open("GET /welcome/{token}", s.showWelcome)
	s.open("POST /welcome/{token}", s.welcome)
	s.open("GET /forgot-password", s.showForgot)
	s.open("POST /forgot-password", s.forgot)
	s.page("GET /account", "", s.showAccount)
	s.page("POST /account", "", s.saveAccount)
	s.page("POST /account/password", "", s.changePassword)
}

type signInPage struct {
	frame
	Form    *form
	Inputs  []input
	Next    string
	Ended   bool       // a session has ended
	Kept    url.Values // what was posted when it had
	KeptFor string     // and where to
	Mail    bool       // passwords can be reset by mail
	SSO     *ssoButton // nil: there is no single sign-on
}

func signInInputs() []input {
	return []input{
		{Name: "email", Label: "Email", Kind: inputEmail, Required: true, AutoFill: "username"},
		{Name: "password", Label: "Password", Kind: inputPassword, Required: true, AutoFill: "current-password", Reveal: true},
	}
}

// signInFirst answers to somebody who has not signed in: with the way there, and with what he has posted,
// so that it is not lost.
func (v *visit) signInFirst() {
	at := v.URL.RequestURI()
	if v.isFragment() || v.Header.Get("Accept") == "text/event-stream" {
		v.w.Header().Set("X-Bugle-Sign-In", "/login")
		http.Error(v.w, "Your session has ended.", http.StatusUnauthorized)
		return
	}
	if v.Method == http.MethodGet || v.Method == http.MethodHead {
		http.Redirect(v.w, v.Request, "/login?"+url.Values{"next": {at}}.Encode(), http.StatusSeeOther)
		return
	}
	p := &signInPage{frame: v.newFrame("Sign in", ""), Form: newForm(nil), Ended: true, KeptFor: at, SSO: v.server.ssoButton("/")}
	if !strings.HasPrefix(v.Header.Get("Content-Type"), "multipart/") && v.ParseForm() == nil {
		p.Kept = v.PostForm
	}
	p.Inputs = v.server.noPasswords(p.Form.fill(signInInputs()))
	if err := v.render(http.StatusUnauthorized, "signin.html", p); err != nil {
		v.fail(err)
	}
}

// local returns where to go on, if it is within the panel, and else the first page.
func local(next string) string {
	u, err := url.Parse(next)
	if err != nil || u.IsAbs() || u.Host != "" || !strings.HasPrefix(next, "/") || strings.HasPrefix(next, "//") || strings.Contains(next, `\`) {
		return "/"
	}
	return next
}

func (s *server) showSignIn(v *visit) error {
	next := local(v.URL.Query().Get("next"))
	if v.account != nil {
		return v.redirect(next)
	}
	return s.renderSignIn(v, http.StatusOK, newForm(nil), next)
}

func (s *server) renderSignIn(v *visit, status int, f *form, next string) error {
	p := &signInPage{frame: v.newFrame("Sign in", ""), Form: f, Next: next, KeptFor: f.Get("_to"), SSO: s.ssoButton(next)}
	p.Inputs = f.fill(signInInputs())
	p.Kept = kept(f)
	p.Ended = p.KeptFor != ""
	return v.render(status, "signin.html", p)
}

// keptPrefix is before the names of fields that wait for somebody to sign in.
const keptPrefix = "_kept."

func kept(f *form) url.Values {
	values := url.Values{}
	for name, list := range f.values {
		if name, ok := strings.CutPrefix(name, keptPrefix); ok {
			values[name] = list
		}
	}
	return values
}

type resumePage struct {
	frame
	To   string
	Kept url.Values
}

func (s *server) doSignIn(v *visit) error {
	if s.o.SSO.Only() {
		return errNoPasswords
	}
	f, err := v.form()
	if err != nil {
		return err
	}
	account, err := s.signIn.SignIn(v.Context(), f.Get("email"), f.Get("password"), address(v.Request))
	var many *signin.TooManyError
	switch {
	case errors.As(err, &many):
		v.tooMany(f, "password", many.Wait)
		return s.renderSignIn(v, f.status(), f, local(f.Get("next")))
	case errors.Is(err, bugle.ErrUnauthorized):
		f.add("password", "Email and password do not match.")
		return s.renderSignIn(v, http.StatusUnprocessableEntity, f, local(f.Get("next")))
	case err != nil:
		return err
	}
	return s.letIn(v, account, "", onwardOf(f))
}

// An onward is where somebody goes once he is in.
type onward struct {
	Next string     // a page of the panel; empty: the first
	To   string     // where Kept is to be posted, in place of it; empty: nowhere
	Kept url.Values // what was posted when a session had ended
}

func onwardOf(f *form) onward {
	return onward{Next: local(f.Get("next")), To: f.Get("_to"), Kept: kept(f)}
}

// letIn goes on once it is known who somebody is, by a password, a link or another server: it asks for his second factor if he has one, and else begins
// a session. Every way in ends here. The issuer is the provider that has said it; empty: none has. It answers the request.
func (s *server) letIn(v *visit, account *bugle.Account, issuer string, to onward) error {
	if account.SecondFactorSince.IsZero() {
		return s.admit(v, account, issuer, to)
	}
	if err := s.sessions.RenewToken(v.Context()); err != nil {
		return err
	}
	s.sessions.Put(v.Context(), sessionWaiting, account.UserID)
	s.sessions.Put(v.Context(), sessionWaitingOf, account.OrganizationID)
	s.sessions.Put(v.Context(), sessionWaitingSince, s.now().UnixMicro())
	s.sessions.Put(v.Context(), sessionWaitingBy, issuer)
	return s.renderCode(v, http.StatusOK, newForm(nil), to)
}

// admit begins the session of somebody who has shown all that is asked for.
func (s *server) admit(v *visit, account *bugle.Account, issuer string, to onward) error {
	if err := v.enter(account, issuer); err != nil {
		return err
	}
	if to.To != "" {
		p := &resumePage{frame: v.newFrame("Welcome back", ""), To: local(to.To), Kept: to.Kept}
		p.Bare = true
		return v.render(http.StatusOK, "resume.html", p)
	}
	return v.redirect(local(to.Next))
}

// enter begins a session and notes that somebody has signed in, if a provider has said who he is by which.
func (v *visit) enter(account *bugle.Account, issuer string) error {
	if err := v.begin(account); err != nil {
		return err
	}
	var place store.NewPlace
	err := v.server.store.Update(v.Context(), func(tx *store.Tx) (err error) {
		if place, err = tx.NotePlace(account.OrganizationID, account.UserID, bugle.Network(address(v.Request)), browserName(v.UserAgent())); err != nil {
			return err
		}
		if issuer != "" {
			return tx.NoteSignInBy(account.OrganizationID, account.UserID, issuer)
		}
		return tx.NoteSignIn(account.OrganizationID, account.UserID)
	})
	if err == nil && !place.First && (place.Address || place.Browser) {
		v.tell(account, "Somebody has signed in to your account from an address or with a browser that it has not been used with lately.")
	}
	return err
}

// begin begins a session in place of the one that there is.
func (v *visit) begin(account *bugle.Account) error {
	sessions := v.server.sessions
	if err := sessions.RenewToken(v.Context()); err != nil {
		return err
	}
	for _, name := range []string{sessionWaiting, sessionWaitingOf, sessionWaitingSince, sessionWaitingBy} {
		sessions.Remove(v.Context(), name)
	}
	sessions.Put(v.Context(), sessionUser, account.UserID)
	sessions.Put(v.Context(), sessionOrganization, account.OrganizationID)
	sessions.Put(v.Context(), sessionSince, v.server.now().UnixMicro())
	v.signedIn = store.SessionHolder{OrganizationID: account.OrganizationID, UserID: account.UserID, Since: v.server.now()}
	return nil
}

func (s *server) signOut(v *visit) error {
	if err := s.sessions.Destroy(v.Context()); err != nil {
		return err
	}
	return v.redirect("/login")
}

// address is who asks, for limits.
func address(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}

type welcomePage struct {
	frame
	Form       *form
	Inputs     []input
	Invitation *bugle.Invitation
	Token      string
	SSO        *ssoButton // nil: there is no single sign-on
}

// welcomeInputs are what somebody is asked who comes by an invitation.
func welcomeInputs(i *bugle.Invitation) []input {
	password := input{Name: "password", Label: "Password", Kind: inputPassword, Required: true, AutoFill: "new-password", Reveal: true, Help: "At least 12 characters. A few words in a row make a good one."}
	if i.UserID != 0 {
		return []input{password}
	}
	inputs := []input{
		{Name: "name", Label: "Your name", Kind: inputText, Required: true, Max: 255, Value: i.Name, AutoFill: "name"},
		{Name: "email", Label: "Email", Kind: inputEmail, Required: true, Max: 255, Value: i.Email, AutoFill: "username", ReadOnly: i.Email != ""},
		password,
	}
	if i.Purpose == bugle.SetupInvitation {
		organization := input{Name: "organization", Label: "Name of your organization", Kind: inputText, Required: true, Max: 255, AutoFill: "organization"}
		inputs = append([]input{organization}, inputs...)
	}
	return inputs
}

func (s *server) showWelcome(v *visit) error {
	i, err := s.store.InvitationByToken(v.Context(), v.PathValue("token"))
	if err != nil {
		return s.noWelcome(v, err)
	}
	if i.Purpose == bugle.ResetInvitation && s.o.SSO.Only() {
		return errNoPasswords
	}
	return s.renderWelcome(v, http.StatusOK, newForm(nil), i)
}

// noWelcome explains that a link cannot be used.
func (s *server) noWelcome(v *visit, err error) error {
	if !errors.Is(err, bugle.ErrNotFound) {
		return err
	}
	return v.render(http.StatusNotFound, "welcome.html", &welcomePage{frame: v.newFrame("This link is over", "")})
}

func (s *server) renderWelcome(v *visit, status int, f *form, i *bugle.Invitation) error {
	title := "Welcome to Bugle"
	if i.Purpose == bugle.ResetInvitation {
		title = "Choose a new password"
	}
	p := &welcomePage{frame: v.newFrame(title, ""), Form: f, Inputs: s.noPasswords(f.fill(welcomeInputs(i))), Invitation: i, Token: v.PathValue("token"), SSO: s.ssoButton("/")}
	p.Bare = true
	return v.render(status, "welcome.html", p)
}

func (s *server) welcome(v *visit) error {
	token := v.PathValue("token")
	i, err := s.store.InvitationByToken(v.Context(), token)
	if err != nil {
		return s.noWelcome(v, err)
	}
	withPassword := !s.o.SSO.Only()
	if i.Purpose == bugle.ResetInvitation && !withPassword {
		return errNoPasswords
	}
	f, err := v.form()
	if err != nil {
		return err
	}
	name, email := strings.TrimSpace(f.Get("name")), strings.TrimSpace(f.Get("email"))
	if i.Email != "" {
		email = i.Email
	}
	if i.UserID != 0 {
		account, err := s.store.Account(v.Context(), i.OrganizationID, i.UserID)
		if err != nil {
			return s.noWelcome(v, err)
		}
		name, email = account.Name, account.Email
	}
	if withPassword {
		if err := bugle.CheckPassword(f.Get("password"), name, email); !f.take(err) && err != nil {
			return err
		}
	}
	organization := strings.TrimSpace(f.Get("organization"))
	if i.Purpose == bugle.SetupInvitation && organization == "" {
		f.add("organization", "The organization's name is required.")
	}
	if f.Failed() {
		return s.renderWelcome(v, http.StatusUnprocessableEntity, f, i)
	}
	hash := ""
	if withPassword {
		if hash, err = signin.Hash(f.Get("password")); err != nil { // slow, and so outside of the transaction
			return err
		}
	}
	var account *bugle.Account
	err = s.store.Update(v.Context(), func(tx *store.Tx) (err error) {
		if i, err = tx.UseInvitation(token); err != nil {
			return err
		}
		actor := store.Actor{OrganizationID: i.OrganizationID, UserID: i.CreatedBy, RequestID: v.actor.RequestID, TraceID: v.actor.TraceID}
		account, err = accept(tx, actor, i, name, email, organization, hash)
		return err
	})
	if errors.Is(err, bugle.ErrNotFound) {
		return s.noWelcome(v, err) // somebody was quicker
	}
	if f.take(err) {
		return s.renderWelcome(v, http.StatusUnprocessableEntity, f, i)
	}
	if err != nil {
		return err
	}
	if i.Purpose == bugle.ResetInvitation {
		v.tell(account, "Your password was changed, by a link.")
	}
	if !withPassword {
		v.flash("success", "Your account is made. Sign in to it.")
		return v.redirect("/login")
	}
	return s.letIn(v, account, "", onward{})
}

// accept does what an invitation is for, and returns the account.
func accept(tx *store.Tx, actor store.Actor, i *bugle.Invitation, name, email, organization, hash string) (*bugle.Account, error) {
	if i.Purpose == bugle.ResetInvitation {
		if err := tx.SetPassword(i.OrganizationID, i.UserID, hash); err != nil {
			return nil, err
		}
		return tx.Account(i.OrganizationID, i.UserID)
	}
	if i.Purpose == bugle.SetupInvitation {
		if err := tx.SetOrganization(i.OrganizationID, organization, "", ""); err != nil {
			return nil, err
		}
	}
	userID := i.UserID
	if userID == 0 {
		var err error
		if userID, err = tx.UserByEmail(i.OrganizationID, email); errors.Is(err, bugle.ErrNotFound) {
			var user *personnel.Resource
			if user, err = tx.Create(actor, &personnel.User, value.Map("name", name, "email", email)); err == nil {
				userID = user.ID()
			}
		}
		if err != nil {
			return nil, err
		}
	}
	role, err := tx.Role(i.OrganizationID, i.RoleID)
	if err != nil {
		return nil, err
	}
	if err := tx.AddAccount(&bugle.Account{OrganizationID: i.OrganizationID, UserID: userID, Role: role, PasswordHash: hash}); err != nil {
		return nil, err
	}
	return tx.Account(i.OrganizationID, userID)
}

type forgotPage struct {
	frame
	Form   *form
	Inputs []input
	Mail   bool // this server can send mail
	Sent   bool
}

func (s *server) showForgot(v *visit) error {
	if s.o.SSO.Only() {
		return errNoPasswords
	}
	return s.renderForgot(v, http.StatusOK, newForm(nil), false)
}

func (s *server) renderForgot(v *visit, status int, f *form, sent bool) error {
	p := &forgotPage{frame: v.newFrame("Reset your password", ""), Form: f, Sent: sent}
	p.Inputs = f.fill([]input{{Name: "email", Label: "Email", Kind: inputEmail, Required: true, AutoFill: "username"}})
	p.Bare = true
	return v.render(status, "forgot.html", p)
}

// forgot sends a link to whoever has an account with the e-mail address, and says the same if nobody has.
func (s *server) forgot(v *visit) error {
	if s.o.SSO.Only() {
		return errNoPasswords
	}
	f, err := v.form()
	if err != nil {
		return err
	}
	email := strings.TrimSpace(f.Get("email"))
	if email == "" {
		f.add("email", "The e-mail address is required.")
		return s.renderForgot(v, http.StatusUnprocessableEntity, f, false)
	}
	if wait := s.signIn.Ask(email, address(v.Request)); wait > 0 {
		v.tooMany(f, "email", wait)
		return s.renderForgot(v, f.status(), f, false)
	}
	s.resets.ask(email, v.baseURL())
	return s.renderForgot(v, http.StatusOK, f, true)
}

type accountPage struct {
	frame
	Form       *form
	Inputs     []input
	Password   []input // none: nobody signs in by one
	Sessions   []store.Session
	Identities []bugle.Identity
}

func accountInputs(a *bugle.Account) []input {
	return []input{{Name: "time_zone", Label: "Time zone", Kind: inputText, Value: a.TimeZone, Placeholder: "Europe/Berlin", Max: 64,
		Help: "In which times are shown to you. Empty: the organization's."}}
}

func passwordInputs() []input {
	return []input{
		{Name: "current", Label: "Current password", Kind: inputPassword, Required: true, AutoFill: "current-password", Reveal: true},
		{Name: "password", Label: "New password", Kind: inputPassword, Required: true, AutoFill: "new-password", Reveal: true, Help: "At least 12 characters. You are signed out everywhere else."},
	}
}

func (s *server) showAccount(v *visit) error { return s.renderAccount(v, http.StatusOK, newForm(nil)) }

func (s *server) renderAccount(v *visit, status int, f *form) error {
	identities, err := s.store.Identities(v.Context(), v.actor.OrganizationID, v.actor.UserID)
	if err != nil {
		return err
	}
	p := &accountPage{frame: v.newFrame("Your account", ""), Form: f, Inputs: f.fill(accountInputs(v.account)), Password: s.noPasswords(f.fill(passwordInputs())), Identities: identities}
	p.Narrow = true
	if p.Sessions, err = s.store.SessionsOf(v.Context(), v.actor.OrganizationID, v.actor.UserID, s.sessions.Token(v.Context())); err != nil {
		return err
	}
	for i := range p.Password {
		p.Password[i].Value = ""
	}
	return v.render(status, "account.html", p)
}

func (s *server) saveAccount(v *visit) error {
	f, err := v.form()
	if err != nil {
		return err
	}
	zone := strings.TrimSpace(f.Get("time_zone"))
	if problem := checkTimeZone(zone); problem != "" {
		f.add("time_zone", problem)
		return s.renderAccount(v, http.StatusUnprocessableEntity, f)
	}
	err = s.store.Update(v.Context(), func(tx *store.Tx) error { return tx.SetTimeZone(v.actor.OrganizationID, v.actor.UserID, zone) })
	if err != nil {
		return err
	}
	v.flash("success", "Saved.")
	return v.redirect("/account")
}

// checkTimeZone returns what is wrong with the name of a time zone; empty is none.
func checkTimeZone(name string) string {
	if _, err := time.LoadLocation(name); err != nil || name == "Local" {
		return fmt.Sprintf("There is no time zone %q. They are called like Europe/Berlin or America/New_York.", name)
	}
	return ""
}

func (s *server) changePassword(v *visit) error {
	if s.o.SSO.Only() {
		return errNoPasswords
	}
	f, err := v.form()
	if err != nil {
		return err
	}
	ok, err := s.signIn.Verify(v.Context(), v.account, f.Get("current"), address(v.Request))
	var many *signin.TooManyError
	switch {
	case errors.As(err, &many):
		v.tooMany(f, "current", many.Wait)
	case err != nil:
		return err
	case !ok:
		f.add("current", "This is not your password.")
	}
	if err := bugle.CheckPassword(f.Get("password"), v.account.Name, v.account.Email); !f.take(err) && err != nil {
		return err
	}
	if f.Failed() {
		return s.renderAccount(v, f.status(), f)
	}
	hash, err := signin.Hash(f.Get("password"))
	if err != nil {
		return err
	}
	err = s.store.Update(v.Context(), func(tx *store.Tx) error {
		return tx.SetPassword(v.actor.OrganizationID, v.actor.UserID, hash)
	})
	if err != nil {
		return err
	}
	if err := v.begin(v.account); err != nil { // this session goes on
		return err
	}
	v.tell(v.account, "Your password was changed.")
	v.flash("success", "Your password is changed.")
	return v.redirect("/account")
}
