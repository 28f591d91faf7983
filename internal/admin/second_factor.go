package admin

import (
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/boombuler/barcode/qr"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/internal/signin"
	"github.com/buglehq/bugle/internal/store"
)

const secondFactorPath = "/account/second-factor"

// beforeSetUp are the pages that somebody may see before he has the second factor that his organization asks for.
var beforeSetUp = map[string]bool{
	"GET " + secondFactorPath: true, "POST " + secondFactorPath + "/begin": true, "POST " + secondFactorPath + "/confirm": true, "POST /logout": true,
}

// secondFactor adds the pages by which somebody sets up his own.
func (s *server) secondFactor() {
	s.page("GET "+secondFactorPath, "", s.showSecondFactor)
	s.page("POST "+secondFactorPath+"/begin", "", s.beginSecondFactor)
	s.page("POST "+secondFactorPath+"/confirm", "", s.confirmSecondFactor)
	s.page("POST "+secondFactorPath+"/codes", "", s.newRecoveryCodes)
	s.page("POST "+secondFactorPath+"/off", "", s.turnOffSecondFactor)
}

// waitingLasts is how long a code can be given after the password.
const waitingLasts = 10 * time.Minute

type codePage struct {
	frame
	Form   *form
	Inputs []input
	Onward onward
}

func (s *server) renderCode(v *visit, status int, f *form, to onward) error {
	p := &codePage{frame: v.newFrame("Second factor", ""), Form: f, Onward: to}
	p.Bare = true
	p.Inputs = f.fill([]input{{Name: "code", Label: "Code", Kind: inputText, Required: true, Max: 40, AutoFill: "one-time-code",
		Help: "Six digits of your authenticator app, or one of your recovery codes."}})
	p.Inputs[0].Value = ""
	return v.render(status, "code.html", p)
}

// waiting returns whose second factor is asked for, or nil if nobody waits any more.
func (s *server) waiting(v *visit) (*bugle.Account, error) {
	ctx := v.Context()
	userID, organizationID, since := s.sessions.GetInt64(ctx, sessionWaiting), s.sessions.GetInt64(ctx, sessionWaitingOf), s.sessions.GetInt64(ctx, sessionWaitingSince)
	if userID == 0 || s.now().Sub(time.UnixMicro(since)) >= waitingLasts {
		return nil, nil
	}
	account, err := s.store.Account(ctx, organizationID, userID)
	if errors.Is(err, bugle.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	// The password may have become another meanwhile, and the second factor may be off.
	if account.Disabled || account.SecondFactorSince.IsZero() || since < account.SessionsSince.UnixMicro() {
		return nil, nil
	}
	return account, nil
}

func (s *server) showCode(v *visit) error {
	account, err := s.waiting(v)
	if err != nil {
		return err
	}
	if account == nil {
		return v.redirect("/login")
	}
	return s.renderCode(v, http.StatusOK, newForm(nil), onward{Next: local(v.URL.Query().Get("next"))})
}

func (s *server) checkCode(v *visit) error {
	f, err := v.form()
	if err != nil {
		return err
	}
	to := onwardOf(f)
	account, err := s.waiting(v)
	if err != nil {
		return err
	}
	if account == nil {
		v.flash("info", "Signing in took too long. Begin again.")
		return v.redirect("/login?" + url.Values{"next": {to.Next}}.Encode())
	}
	used, err := s.signIn.UseCode(v.Context(), account, f.Get("code"), address(v.Request), nil)
	if ok, err := v.codeProblem(f, err); err != nil {
		return err
	} else if !ok {
		return s.renderCode(v, f.status(), f, to)
	}
	if used.Recovery {
		v.tell(account, fmt.Sprintf("A recovery code was used to sign in to your account. %d are left.", used.Left))
		v.flash("warning", fmt.Sprintf("You have used a recovery code: %d are left. Make others on the page of your account before they run out.", used.Left))
	}
	return s.admit(v, account, s.sessions.GetString(v.Context(), sessionWaitingBy), to)
}

// codeProblem adds what is wrong with a code to the form, and reports whether it was right. Errors that are none of the visitor's are returned.
func (v *visit) codeProblem(f *form, err error) (ok bool, _ error) {
	var many *signin.TooManyError
	switch {
	case err == nil:
		return true, nil
	case errors.As(err, &many):
		v.tooMany(f, "code", many.Wait)
		return false, nil
	case errors.Is(err, bugle.ErrUnauthorized):
		f.add("code", "This code is wrong, or was used already. Wait for the next one.")
		return false, nil
	}
	return false, err
}

// tooMany says how long to wait.
func (v *visit) tooMany(f *form, field string, wait time.Duration) {
	v.w.Header().Set("Retry-After", fmt.Sprint(int(wait.Seconds())+1))
	f.add(field, "Too many attempts. Try again in "+waitText(wait)+".")
	f.limited = true
}

// waitText is a time to wait in words, rounded up.
func waitText(d time.Duration) string {
	words := func(n time.Duration, unit string) string {
		if n == 1 {
			return "1 " + unit
		}
		return fmt.Sprintf("%d %ss", n, unit)
	}
	switch {
	case d <= 90*time.Second:
		return words(max(1, (d+time.Second-1)/time.Second), "second")
	case d <= 90*time.Minute:
		return words((d+time.Minute-1)/time.Minute, "minute")
	}
	return words((d+time.Hour-1)/time.Hour, "hour")
}

type secondFactorPage struct {
	frame
	Form      *form
	Factor    *store.SecondFactor // nil: there is none
	QR        template.HTML       // of the key that is to be confirmed; empty: none is
	Key       string
	Inputs    []input  // to confirm it
	NewCodes  []input  // to make other recovery codes
	Off       []input  // to turn it off
	Codes     []string // recovery codes that were just made
	Requested bool     // by the organization
}

// proofInputs are what is asked for again before a second factor changes. Somebody without a password signs in by other means.
func (v *visit) proofInputs(f *form, help string) []input {
	inputs := []input{{Name: "code", Label: "Code", Kind: inputText, Required: true, Max: 40, AutoFill: "one-time-code", Help: help}}
	if v.account.PasswordHash != "" {
		inputs = append(inputs, input{Name: "password", Label: "Your password", Kind: inputPassword, Required: true, AutoFill: "current-password", Reveal: true})
	}
	inputs = f.fill(inputs)
	for i := range inputs {
		inputs[i].Value = ""
	}
	return inputs
}

func (s *server) showSecondFactor(v *visit) error {
	return s.renderSecondFactor(v, http.StatusOK, newForm(nil), "")
}

// The forms of the page, which have the same fields.
const (
	codesForm = "codes"
	offForm   = "off"
)

// renderSecondFactor shows the page; the form is one of the two, or empty.
func (s *server) renderSecondFactor(v *visit, status int, f *form, which string) error {
	p := &secondFactorPage{frame: v.newFrame("Second factor", ""), Form: f, Requested: v.mustSetUp}
	p.Narrow, p.Bare = true, v.mustSetUp
	if !v.mustSetUp {
		p.Back = &link{"/account", "Your account"}
	}
	if !v.account.SecondFactorSince.IsZero() {
		var err error
		if p.Factor, err = s.store.SecondFactor(v.Context(), v.actor.OrganizationID, v.actor.UserID); err != nil && !errors.Is(err, store.ErrUnreadable) {
			return err
		}
		of := map[string]*form{codesForm: newForm(nil), offForm: newForm(nil)}
		if which != "" {
			of[which] = f
		}
		p.NewCodes = v.proofInputs(of[codesForm], "Of your authenticator app, or one of the recovery codes that you have.")
		p.Off = v.proofInputs(of[offForm], "Of your authenticator app, or a recovery code.")
		for i := range p.Off { // two fields of one name have two ids
			p.Off[i].IDSuffix = "-off"
		}
	}
	return v.render(status, "second_factor.html", p)
}

// beginSecondFactor makes a key and shows it: so there is no redirection.
func (s *server) beginSecondFactor(v *visit) error {
	key := signin.NewKey()
	err := s.store.Update(v.Context(), func(tx *store.Tx) error { return tx.BeginSecondFactor(v.actor.OrganizationID, v.actor.UserID, key) })
	if err != nil {
		return err
	}
	return s.renderSetUp(v, http.StatusCreated, newForm(nil), key)
}

func (s *server) renderSetUp(v *visit, status int, f *form, key []byte) error {
	p := &secondFactorPage{frame: v.newFrame("Set up a second factor", ""), Form: f, Requested: v.mustSetUp}
	p.Narrow, p.Bare = true, v.mustSetUp
	if !v.mustSetUp {
		p.Back = &link{"/account", "Your account"}
	}
	p.Key = groups(signin.KeyText(key), 4)
	var err error
	if p.QR, err = qrPicture(signin.KeyURL(key, "Bugle "+cut(maxIssuer, v.organization.Name), v.account.Email)); err != nil {
		return err
	}
	p.Inputs = v.proofInputs(f, "The six digits that the app shows now.")
	return v.render(status, "second_factor.html", p)
}

// groups puts a space after every n letters.
func groups(text string, n int) string {
	var b strings.Builder
	for i, r := range text {
		if i > 0 && i%n == 0 {
			b.WriteByte(' ')
		}
		b.WriteRune(r)
	}
	return b.String()
}

const (
	maxIssuer   = 40  // characters of the organization's name that an authenticator shows
	maxPictured = 500 // bytes of a text, of which a picture is still easy to read for a phone
)

// qrPicture draws a text as a QR code, with the margin of four modules that readers need.
func qrPicture(text string) (template.HTML, error) {
	if len(text) > maxPictured {
		return "", nil // a very long e-mail address: the key can be typed
	}
	code, err := qr.Encode(text, qr.L, qr.Auto) // a screen is clean: the fewer modules, the easier to read
	if err != nil {
		return "", fmt.Errorf("draw the key: %w", err)
	}
	const margin = 4
	bounds := code.Bounds()
	size := bounds.Dx() + 2*margin
	var path strings.Builder
	for y := range bounds.Dy() {
		for x := range bounds.Dx() {
			if r, _, _, _ := code.At(bounds.Min.X+x, bounds.Min.Y+y).RGBA(); r == 0 {
				fmt.Fprintf(&path, "M%d %dh1v1h-1z", x+margin, y+margin)
			}
		}
	}
	return template.HTML(fmt.Sprintf(`<svg class="qr" role="img" aria-label="QR code of the key" viewBox="0 0 %d %d" width="240" height="240" shape-rendering="crispEdges"><path fill="#fff" d="M0 0h%dv%dH0z"/><path fill="#000" d="%s"/></svg>`,
		size, size, size, size, path.String())), nil
}

// provesPassword checks the password of a form, if the visitor has one, and adds what is wrong.
func (v *visit) provesPassword(f *form) error {
	if v.account.PasswordHash == "" {
		return nil
	}
	ok, err := v.server.signIn.Verify(v.Context(), v.account, f.Get("password"), address(v.Request))
	var many *signin.TooManyError
	switch {
	case errors.As(err, &many):
		v.tooMany(f, "password", many.Wait)
	case err != nil:
		return err
	case !ok:
		f.add("password", "This is not your password.")
	}
	return nil
}

// confirmSecondFactor turns it on, and shows the recovery codes: so there is no redirection.
func (s *server) confirmSecondFactor(v *visit) error {
	f, err := v.form()
	if err != nil {
		return err
	}
	factor, err := s.store.SecondFactor(v.Context(), v.actor.OrganizationID, v.actor.UserID)
	if errors.Is(err, bugle.ErrNotFound) || err == nil && (!factor.Since.IsZero() || s.now().Sub(factor.BegunAt) >= signin.SetupLasts) {
		v.flash("info", "There is no key to confirm any more. Begin again.")
		return v.redirect(secondFactorPath)
	}
	if err != nil {
		return err
	}
	if err := v.provesPassword(f); err != nil {
		return err
	}
	var codes []string
	if !f.Failed() {
		codes, err = s.signIn.TurnOn(v.Context(), v.account, f.Get("code"), address(v.Request))
		if _, err := v.codeProblem(f, err); err != nil {
			return err
		}
	}
	if f.Failed() {
		return s.renderSetUp(v, f.status(), f, factor.Key)
	}
	v.tell(v.account, "A second factor was turned on for your account.")
	return s.showRecoveryCodes(v, codes)
}

func (s *server) showRecoveryCodes(v *visit, codes []string) error {
	p := &secondFactorPage{frame: v.newFrame("Recovery codes", ""), Requested: v.mustSetUp}
	p.Narrow, p.Bare = true, v.mustSetUp
	for _, code := range codes {
		p.Codes = append(p.Codes, signin.GroupCode(code))
	}
	return v.render(http.StatusCreated, "second_factor.html", p)
}

// newRecoveryCodes makes other recovery codes and shows them: so there is no redirection.
func (s *server) newRecoveryCodes(v *visit) error {
	f, err := v.provenForm()
	if err != nil {
		return err
	}
	var codes []string
	if !f.Failed() {
		codes, err = s.signIn.NewRecoveryCodes(v.Context(), v.account, f.Get("code"), address(v.Request))
		if _, err := v.codeProblem(f, err); err != nil {
			return err
		}
	}
	if f.Failed() {
		return s.renderSecondFactor(v, f.status(), f, codesForm)
	}
	v.tell(v.account, "New recovery codes were made for your account.")
	return s.showRecoveryCodes(v, codes)
}

// provenForm reads a form of somebody who has a second factor, with his password.
func (v *visit) provenForm() (*form, error) {
	f, err := v.form()
	if err != nil {
		return nil, err
	}
	if v.account.SecondFactorSince.IsZero() {
		return nil, fmt.Errorf("you have no second factor: %w", bugle.ErrConflict)
	}
	return f, v.provesPassword(f)
}

func (s *server) turnOffSecondFactor(v *visit) error {
	f, err := v.provenForm()
	if err != nil {
		return err
	}
	if !f.Failed() {
		_, err := s.signIn.UseCode(v.Context(), v.account, f.Get("code"), address(v.Request), func(tx *store.Tx) error {
			return tx.RemoveSecondFactor(v.actor.OrganizationID, v.actor.UserID)
		})
		if _, err := v.codeProblem(f, err); err != nil {
			return err
		}
	}
	if f.Failed() {
		return s.renderSecondFactor(v, f.status(), f, offForm)
	}
	v.tell(v.account, "The second factor of your account was turned off.")
	v.flash("success", "Your password alone lets you in again.")
	return v.redirect("/account")
}
