package admin

import (
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/internal/signin"
	"github.com/buglehq/bugle/internal/store"
	"github.com/buglehq/bugle/internal/storetest"
	"github.com/buglehq/bugle/personnel"
)

// elsewhere is the panel in another browser, in which nobody has signed in.
func (p *peoplePanel) elsewhere() *peoplePanel {
	p.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		p.Fatal(err)
	}
	other := *p
	other.client = &http.Client{Jar: jar, CheckRedirect: p.client.CheckRedirect}
	return &other
}

// addAccount gives somebody else an account.
func (p *peoplePanel) addAccount(name string, role *bugle.Role) (userID int64) {
	p.Helper()
	hash, err := webhooksHash()
	if err != nil {
		p.Fatal(err)
	}
	user := storetest.Create(p, p.store, &personnel.User, "name", name, "email", name+"@example.com")
	storetest.Change(p, p.store, func(tx *store.Tx) error {
		return tx.AddAccount(&bugle.Account{UserID: user.ID(), OrganizationID: 1, Role: role, PasswordHash: hash})
	})
	return user.ID()
}

// signIn posts the password, which leads to the page that it returns.
func (p *peoplePanel) signIn(want int) string {
	p.Helper()
	return p.post("/login", url.Values{"email": {"jane@example.com"}, "password": {webhooksPassword}, "next": {"/webhooks"}}, want)
}

var (
	shownKey  = regexp.MustCompile(`<code id="key">([A-Z2-7 ]+)</code>`)
	shownCode = regexp.MustCompile(`<li>([a-z2-9]{4}(?:-[a-z2-9]{4}){3})</li>`)
)

// recoveryCodes are those that a page shows.
func recoveryCodes(page string) (codes []string) {
	for _, found := range shownCode.FindAllStringSubmatch(page, -1) {
		codes = append(codes, found[1])
	}
	return codes
}

// setUp turns a second factor on, and returns the visitor's recovery codes.
func (p *peoplePanel) setUp() (recovery []string) {
	p.Helper()
	page := p.post("/account/second-factor/begin", nil, http.StatusCreated)
	if found := shownKey.FindStringSubmatch(page); found == nil || strings.ReplaceAll(found[1], " ", "") != signin.KeyText(p.factor().Key) {
		p.Fatalf("the page does not show the key:\n%s", page)
	}
	page = p.post("/account/second-factor/confirm", url.Values{"password": {webhooksPassword}, "code": {p.code()}}, http.StatusCreated)
	if recovery = recoveryCodes(page); len(recovery) != 10 {
		p.Fatalf("there are %d recovery codes:\n%s", len(recovery), page)
	}
	p.clock.Advance(time.Minute) // the next code is another one
	return recovery
}

func (p *peoplePanel) factor() *store.SecondFactor {
	p.Helper()
	f, err := p.store.SecondFactor(p.Context(), 1, p.user)
	if err != nil {
		p.Fatal(err)
	}
	return f
}

// code is what the authenticator shows.
func (p *peoplePanel) code() string { return signin.Code(p.factor().Key, p.clock.Now()) }

func TestSecondFactor_setUp(t *testing.T) {
	p := newPeoplePanel(t)
	confirm := func(password, code string, want int) string {
		t.Helper()
		return p.post("/account/second-factor/confirm", url.Values{"password": {password}, "code": {code}}, want)
	}
	if to := confirm(webhooksPassword, "000000", http.StatusSeeOther); to != secondFactorPath {
		t.Errorf("without a key it leads to %s", to)
	}
	has(t, p.get(secondFactorPath, http.StatusOK), "second-factor/begin")
	first := p.post("/account/second-factor/begin", nil, http.StatusCreated)
	second := p.post("/account/second-factor/begin", nil, http.StatusCreated)
	key := shownKey.FindStringSubmatch(second)
	if key == nil || shownKey.FindStringSubmatch(first)[1] == key[1] {
		t.Fatalf("the keys are the same, or there is none: %v", key)
	}
	has(t, second, `<svg class="qr" role="img"`)
	has(t, confirm("not the password", p.code(), http.StatusUnprocessableEntity), "This is not your password", key[1])
	has(t, confirm(webhooksPassword, "000000", http.StatusUnprocessableEntity), "This code is wrong", key[1])
	has(t, confirm(webhooksPassword, p.code(), http.StatusCreated), "not shown again")
	hasNot(t, p.get(secondFactorPath, http.StatusOK), key[1], "second-factor/begin")
	has(t, p.get(secondFactorPath, http.StatusOK), "10 recovery codes are left")
	p.post("/account/second-factor/begin", nil, http.StatusConflict)
	if to := confirm(webhooksPassword, p.code(), http.StatusSeeOther); to != secondFactorPath {
		t.Errorf("confirming again leads to %s", to)
	}
}

// A key that was not confirmed for an hour is over.
func TestSecondFactor_setUpTooLate(t *testing.T) {
	p := newPeoplePanel(t)
	p.post("/account/second-factor/begin", nil, http.StatusCreated)
	p.clock.Advance(time.Hour)
	p.post("/account/second-factor/confirm", url.Values{"password": {webhooksPassword}, "code": {p.code()}}, http.StatusSeeOther)
	if !p.factor().Since.IsZero() {
		t.Error("it is on")
	}
}

func TestSecondFactor_signIn(t *testing.T) {
	p := newPeoplePanel(t)
	recovery := p.setUp()
	other := p.elsewhere()
	if to := other.post("/login/code", url.Values{"code": {p.code()}}, http.StatusSeeOther); !strings.HasPrefix(to, "/login") {
		t.Errorf("a code before the password leads to %s", to)
	}
	page := other.signIn(http.StatusOK)
	has(t, page, `action="/login/code"`, `autocomplete="one-time-code"`, `name="next" value="/webhooks"`)
	if _, _, header := other.request(http.MethodGet, "/webhooks", "", nil); !strings.HasPrefix(header.Get("Location"), "/login") {
		t.Errorf("without the code a page leads to %q", header.Get("Location"))
	}
	has(t, other.get("/login/code", http.StatusOK), `action="/login/code"`)
	has(t, other.post("/login/code", url.Values{"code": {"000000"}}, http.StatusUnprocessableEntity), "This code is wrong")
	code := p.code()
	if to := other.post("/login/code", url.Values{"code": {code}, "next": {"/webhooks"}}, http.StatusSeeOther); to != "/webhooks" {
		t.Errorf("the code leads to %s", to)
	}
	other.get("/webhooks", http.StatusOK)
	third := p.elsewhere()
	third.signIn(http.StatusOK)
	has(t, third.post("/login/code", url.Values{"code": {code}}, http.StatusUnprocessableEntity), "was used already")
	third.post("/login/code", url.Values{"code": {recovery[3]}}, http.StatusSeeOther)
	has(t, third.get("/account", http.StatusOK), "9 are left")
	fourth := p.elsewhere()
	fourth.signIn(http.StatusOK)
	fourth.post("/login/code", url.Values{"code": {recovery[3]}}, http.StatusUnprocessableEntity)
	p.clock.Advance(waitingLasts)
	if to := fourth.post("/login/code", url.Values{"code": {p.code()}}, http.StatusSeeOther); !strings.HasPrefix(to, "/login") {
		t.Errorf("ten minutes later the code leads to %s", to)
	}
}

// What ends sessions ends the wait for a code too.
func TestSecondFactor_changedWhileWaiting(t *testing.T) {
	for what, change := range map[string]func(tx *store.Tx, user int64) error{
		"a new password": func(tx *store.Tx, user int64) error { return tx.SetPassword(1, user, "another") },
		"turned off":     func(tx *store.Tx, user int64) error { return tx.RemoveSecondFactor(1, user) },
	} {
		t.Run(what, func(t *testing.T) {
			p := newPeoplePanel(t)
			recovery := p.setUp()
			other := p.elsewhere()
			other.signIn(http.StatusOK)
			p.clock.Advance(time.Second)
			storetest.Change(t, p.store, func(tx *store.Tx) error { return change(tx, p.user) })
			if to := other.post("/login/code", url.Values{"code": {recovery[0]}}, http.StatusSeeOther); !strings.HasPrefix(to, "/login") {
				t.Errorf("the code leads to %s", to)
			}
			if to := other.post("/account", nil, http.StatusUnauthorized); to == "" {
				t.Error("it lets in")
			}
		})
	}
}

// A link to a new password is no way around it.
func TestSecondFactor_newPassword(t *testing.T) {
	p := newPeoplePanel(t)
	p.setUp()
	link := regexp.MustCompile(`/welcome/\w{43}`).FindString(p.post("/accounts/"+fmt.Sprint(p.user)+"/reset", nil, http.StatusCreated))
	other := p.elsewhere()
	has(t, other.post(link, url.Values{"password": {"another long password"}}, http.StatusOK), `action="/login/code"`)
	other.post("/login/code", url.Values{"code": {p.code()}}, http.StatusSeeOther)
	other.get("/account", http.StatusOK)
}

func TestSecondFactor_codesAndOff(t *testing.T) {
	p := newPeoplePanel(t)
	p.post("/account/second-factor/codes", url.Values{"password": {webhooksPassword}, "code": {"000000"}}, http.StatusConflict)
	p.post("/account/second-factor/off", url.Values{"password": {webhooksPassword}, "code": {"000000"}}, http.StatusConflict)
	old := p.setUp()
	for _, path := range []string{"/account/second-factor/codes", "/account/second-factor/off"} {
		has(t, p.post(path, url.Values{"password": {"no"}, "code": {p.code()}}, http.StatusUnprocessableEntity), "This is not your password")
		has(t, p.post(path, url.Values{"password": {webhooksPassword}, "code": {"111111"}}, http.StatusUnprocessableEntity), "This code is wrong")
	}
	page := p.post("/account/second-factor/codes", url.Values{"password": {webhooksPassword}, "code": {p.code()}}, http.StatusCreated)
	fresh := recoveryCodes(page)
	p.post("/account/second-factor/off", url.Values{"password": {webhooksPassword}, "code": {old[0]}}, http.StatusUnprocessableEntity)
	p.post("/account/second-factor/off", url.Values{"password": {webhooksPassword}, "code": {fresh[0]}}, http.StatusSeeOther)
	if to := p.elsewhere().signIn(http.StatusSeeOther); to != "/webhooks" {
		t.Errorf("without it the password leads to %s", to)
	}
}

// Whoever may change the configuration can do nothing before he has what his organization asks for.
func TestSecondFactor_required(t *testing.T) {
	p := newPeoplePanel(t)
	p.post("/settings/second-factor", url.Values{"required": {"1"}}, http.StatusSeeOther)
	for _, path := range []string{"/", "/webhooks", "/account", "/settings"} {
		if _, _, header := p.request(http.MethodGet, path, "", nil); header.Get("Location") != secondFactorPath {
			t.Errorf("%s leads to %q", path, header.Get("Location"))
		}
	}
	if to := p.post("/settings/second-factor", url.Values{"required": {"0"}}, http.StatusSeeOther); to != secondFactorPath {
		t.Errorf("to ask no more leads to %s", to)
	}
	has(t, p.get(secondFactorPath, http.StatusOK), "asks everybody", `action="/logout"`)
	p.setUp()
	has(t, p.get("/settings", http.StatusOK), "Ask no more")
	p.may("view_any_webhook", "view_webhook")
	p.clock.Advance(time.Minute)
	p.post("/account/second-factor/off", url.Values{"password": {webhooksPassword}, "code": {p.code()}}, http.StatusSeeOther)
	p.get("/webhooks", http.StatusOK) // who changes nothing needs none
}

// An admin can let somebody in again who has lost everything, but not himself, and nobody who may do more.
func TestSecondFactor_removedByAnAdmin(t *testing.T) {
	p := newPeoplePanel(t)
	own := "/accounts/" + fmt.Sprint(p.user) + "/second-factor/remove"
	p.setUp()
	has(t, p.post(own, nil, http.StatusConflict), "page of your account")
	same := &bugle.Role{OrganizationID: 1, Name: "The same", Permissions: permissions()}
	storetest.Change(t, p.store, func(tx *store.Tx) error { return tx.AddRole(same) })
	alex := p.addAccount("alex", same)
	path := "/accounts/" + fmt.Sprint(alex) + "/second-factor/remove"
	has(t, p.post(path, nil, http.StatusConflict), "has no second factor")
	turnOn := func() {
		storetest.Change(t, p.store, func(tx *store.Tx) error {
			if err := tx.BeginSecondFactor(1, alex, signin.NewKey()); err != nil {
				return err
			}
			return tx.TurnOnSecondFactor(1, alex, 1, nil)
		})
	}
	turnOn()
	has(t, p.get("/accounts", http.StatusOK), path, "Second factor</span>")
	p.post(path, nil, http.StatusSeeOther)
	turnOn()
	p.may("view_any_account", "update_account")
	p.post(path, nil, http.StatusForbidden)
}

// A picture of modules has a margin, and a text that is too long for one has none: the key can be typed.
func TestQRPicture(t *testing.T) {
	picture, err := qrPicture("otpauth://totp/x")
	if err != nil || !strings.Contains(string(picture), `viewBox="0 0 29 29"`) || !strings.Contains(string(picture), "M4 4h1v1h-1z") || strings.Contains(string(picture), "M3 ") {
		t.Errorf("the picture is %.300s, %v", picture, err)
	}
	if picture, err = qrPicture(strings.Repeat("x", maxPictured+1)); picture != "" || err != nil {
		t.Errorf("of a long text it is %.50s, %v", picture, err)
	}
}

func TestWaitText(t *testing.T) {
	for d, want := range map[time.Duration]string{0: "1 second", time.Second: "1 second", 5 * time.Second: "5 seconds", 91 * time.Second: "2 minutes", 15 * time.Minute: "15 minutes",
		14*time.Minute + 1: "15 minutes", 90 * time.Minute: "90 minutes", 2 * time.Hour: "2 hours", 24*time.Hour - 1: "24 hours"} {
		if got := waitText(d); got != want {
			t.Errorf("%s is %s, want %s", d, got, want)
		}
	}
}
