package admin

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jonboulle/clockwork"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/internal/delivery"
	"github.com/buglehq/bugle/internal/sso"
	"github.com/buglehq/bugle/internal/ssotest"
	"github.com/buglehq/bugle/internal/store"
	"github.com/buglehq/bugle/internal/storetest"
	"github.com/buglehq/bugle/personnel"
	"github.com/buglehq/bugle/value"
)

// An ssoPanel is a panel to which people sign in by a provider.
type ssoPanel struct {
	*testing.T
	store    *store.Store
	clock    *clockwork.FakeClock
	provider *ssotest.Provider
	url      string
	log      *syncBuffer
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func newSSOPanel(t *testing.T, only bool) *ssoPanel {
	t.Helper()
	s, clock := storetest.New(t)
	p := &ssoPanel{T: t, store: s, clock: clock, provider: ssotest.Start(t, clock.Now), log: &syncBuffer{}}
	server := httptest.NewUnstartedServer(nil)
	p.url = "http://" + server.Listener.Addr().String()
	guard, err := delivery.NewGuard([]string{"127.0.0.1"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	client := delivery.NewClient(guard, delivery.ClientOptions{})
	t.Cleanup(client.Close)
	provider, err := sso.New(sso.Options{Issuer: p.provider.URL, ClientID: ssotest.ClientID, Secret: ssotest.Secret, Name: "Sign in with Example", Only: only,
		Redirect: p.url + SSOCallback, Clock: clock, Client: client})
	if err != nil {
		t.Fatal(err)
	}
	panel := New(s, Options{Clock: clock, Log: slog.New(slog.NewTextHandler(p.log, nil)), UserAgent: "Bugle/test", SSO: provider})
	server.Config.Handler = panel
	server.Start()
	t.Cleanup(func() { panel.Close(); server.Close() })
	return p
}

// invite gives somebody an account without a password.
func (p *ssoPanel) invite(email string) *bugle.Account {
	p.Helper()
	role, err := p.store.RoleByName(p.Context(), 1, bugle.AdminRole)
	if err != nil {
		p.Fatal(err)
	}
	a := &bugle.Account{OrganizationID: 1, UserID: storetest.Create(p, p.store, &personnel.User, "name", "Jane Roe", "email", email).ID(), Role: role}
	storetest.Change(p, p.store, func(tx *store.Tx) error { return tx.AddAccount(a) })
	return a
}

// browser returns one that has kept nothing yet; it follows redirections.
func (p *ssoPanel) browser() *http.Client {
	p.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		p.Fatal(err)
	}
	return &http.Client{Jar: jar}
}

// get returns where a browser ends up, and what it sees there.
func (p *ssoPanel) get(browser *http.Client, path string) (status int, at, text string) {
	p.Helper()
	to := path
	if strings.HasPrefix(path, "/") {
		to = p.url + path
	}
	answer, err := browser.Get(to)
	if err != nil {
		p.Fatal(err)
	}
	defer answer.Body.Close()
	all, err := io.ReadAll(answer.Body)
	if err != nil {
		p.Fatal(err)
	}
	return answer.StatusCode, answer.Request.URL.RequestURI(), string(all)
}

func (p *ssoPanel) post(browser *http.Client, path string, values url.Values) (status int, at, text string) {
	p.Helper()
	answer, err := browser.PostForm(p.url+path, values)
	if err != nil {
		p.Fatal(err)
	}
	defer answer.Body.Close()
	all, err := io.ReadAll(answer.Body)
	if err != nil {
		p.Fatal(err)
	}
	return answer.StatusCode, answer.Request.URL.RequestURI(), string(all)
}

// signedIn reports whether a browser is.
func (p *ssoPanel) signedIn(browser *http.Client) bool {
	_, at, _ := p.get(browser, "/account")
	return at == "/account"
}

// wantRefused tries to sign in, and wants a page with a text and nobody signed in.
func (p *ssoPanel) wantRefused(status int, text string) {
	p.Helper()
	browser := p.browser()
	got, at, page := p.get(browser, "/login/sso")
	if got != status || !strings.Contains(page, text) || !strings.HasPrefix(at, "/login/sso") {
		p.Errorf("answered %d at %s, want %d with %q: %s", got, at, status, text, page[max(0, strings.Index(page, "<main")):])
	}
	if p.signedIn(browser) {
		p.Error("somebody is signed in")
	}
}

// told are the actions of the audit log of an organization, newest first.
func (p *ssoPanel) told(organizationID int64, action string) []*bugle.AuditEntry {
	p.Helper()
	page, err := p.store.AuditEntries(p.Context(), organizationID, store.AuditFilter{Action: action}, store.PageRequest{Number: 1, Limit: 100})
	if err != nil {
		p.Fatal(err)
	}
	return page.Items
}

// wantSecretsKept checks that nothing that may sign somebody in was logged.
func (p *ssoPanel) wantSecretsKept() {
	p.Helper()
	for _, secret := range append(p.provider.Given(), ssotest.Secret) {
		if secret != "" && strings.Contains(p.log.String(), secret) {
			p.Errorf("%q is in the log: %s", secret, p.log)
		}
	}
}

// Somebody signs in to the account with his e-mail address, and from then on to that account, whatever his address is.
func TestSSO(t *testing.T) {
	p := newSSOPanel(t, false)
	jane := p.invite("Jane@example.com")
	p.provider.Is("4711", map[string]any{"email": "jane@Example.com", "email_verified": true})
	_, _, page := p.get(p.browser(), "/login?next=%2Fwebhooks%3Fpage%3D2")
	if !strings.Contains(page, `href="/login/sso?next=%2Fwebhooks%3Fpage%3D2"`) || !strings.Contains(page, "Sign in with Example") || !strings.Contains(page, `name="password"`) {
		t.Errorf("the page to sign in is %s", page)
	}
	browser := p.browser()
	if status, at, _ := p.get(browser, "/login/sso?next=%2Fwebhooks%3Fpage%3D2"); status != 200 || at != "/webhooks?page=2" || !p.signedIn(browser) {
		t.Errorf("signed in with %d at %s", status, at)
	}
	linked, in := p.told(1, "account.identity_linked"), p.told(1, "account.signed_in")
	if len(linked) != 1 || linked[0].Subject.ID != jane.UserID || !strings.Contains(linked[0].After, `"subject":"4711"`) || linked[0].Author.Address != "127.0.0.1" {
		t.Errorf("the link is told as %+v", linked)
	}
	if len(in) != 1 || !strings.Contains(in[0].After, `"by":"single sign-on"`) || in[0].Author.ID != jane.UserID {
		t.Errorf("the sign-in is told as %+v", in)
	}

	p.provider.Is("4711", map[string]any{"email": "jane.doe@example.com", "email_verified": false})
	browser = p.browser()
	if _, at, _ := p.get(browser, "/login/sso"); at != "/" || len(p.told(1, "account.identity_linked")) != 1 {
		t.Errorf("signed in again at %s", at)
	}
	_, _, page = p.get(browser, "/account")
	if !strings.Contains(page, p.provider.URL) || !strings.Contains(page, "jane@Example.com") || !strings.Contains(page, "/account/unlink") {
		t.Errorf("the account's page does not show the link: %s", page)
	}
	_, at, page := p.post(browser, "/account/unlink", url.Values{"issuer": {p.provider.URL}})
	if at != "/account" || strings.Contains(page, "/account/unlink") || len(p.told(1, "account.identity_unlinked")) != 1 {
		t.Errorf("the link is not removed: %s", page)
	}
	if _, _, page := p.post(browser, "/account/unlink", url.Values{"issuer": {p.provider.URL}}); !strings.Contains(page, "There is no such link any more.") {
		t.Errorf("removed again: %s", page)
	}
	p.wantRefused(http.StatusForbidden, "does not say that your e-mail address is yours")

	// The address may come from elsewhere than the token.
	p.provider.Is("4711", map[string]any{"email": "jane@example.com", "email_verified": "true"})
	p.provider.Spoil(func(_, claims map[string]any) { delete(claims, "email"); delete(claims, "email_verified") }, nil)
	browser = p.browser()
	if p.get(browser, "/login/sso"); !p.signedIn(browser) {
		t.Error("an e-mail address that is not in the token links nobody")
	}
	p.wantSecretsKept()
}

// Who has no account gets none, and is told whom to ask.
func TestSSO_strangers(t *testing.T) {
	p := newSSOPanel(t, false)
	p.invite("jane@example.com")
	disabled := p.invite("disabled@example.com")
	twice := p.invite("twice@example.com")
	storetest.Change(t, p.store, func(tx *store.Tx) error { // an admin has to be left
		return tx.SetAccountDisabled(1, disabled.UserID, true)
	})
	var other *bugle.Organization
	storetest.Change(t, p.store, func(tx *store.Tx) (err error) {
		other, err = tx.AddOrganization("2nd Battalion")
		return err
	})
	role, err := p.store.RoleByName(t.Context(), other.ID, bugle.AdminRole)
	if err != nil {
		t.Fatal(err)
	}
	storetest.Change(t, p.store, func(tx *store.Tx) error {
		actor := store.Actor{OrganizationID: other.ID, RequestID: "00000000-0000-0000-0000-000000000001", TraceID: "00000000-0000-0000-0000-000000000001"}
		user, err := tx.Create(actor, &personnel.User, value.Map("name", "Jane Twice", "email", "twice@example.com"))
		if err != nil {
			return err
		}
		return tx.AddAccount(&bugle.Account{OrganizationID: other.ID, UserID: user.ID(), Role: role})
	})
	for _, test := range []struct {
		subject, email string
		verified       any
		text           string
	}{
		{"1", "nobody@example.com", true, "Nobody has invited nobody@example.com yet. Ask an admin"},
		{"2", "jane@example.com", false, "does not say that your e-mail address is yours"},
		{"3", "jane@example.com", nil, "does not say that your e-mail address is yours"},
		{"4", "jane@example.com", "yes", "does not say that your e-mail address is yours"},
		{"5", "", true, "does not say that your e-mail address is yours"},
		{"6", "disabled@example.com", true, "Your account is disabled"},
		{"7", "twice@example.com", true, "More than one account has the address"},
		{"8", "<b>@example.com", true, "&lt;b&gt;@example.com"},
	} {
		p.provider.Is(test.subject, map[string]any{"email": test.email, "email_verified": test.verified})
		p.wantRefused(http.StatusForbidden, test.text)
	}
	if n := len(p.told(1, "account.identity_linked")); n != 0 {
		t.Errorf("%d identities are linked", n)
	}
	if len(p.told(1, "account.sign_in_failed")) == 0 || len(p.told(0, "account.sign_in_failed")) == 0 {
		t.Error("the attempts are not told")
	}
	page, err := p.store.Accounts(t.Context(), 1, "", store.PageRequest{Number: 1, Limit: 100})
	if err != nil || page.Total != 3 || twice.UserID == 0 {
		t.Errorf("there are %d accounts, %v", page.Total, err)
	}

	p.provider.Is("jane", map[string]any{"email": "jane@example.com", "email_verified": true})
	if browser := p.browser(); true {
		p.get(browser, "/login/sso")
	}
	p.provider.Is("somebody with her old address", map[string]any{"email": "jane@example.com", "email_verified": true})
	p.wantRefused(http.StatusForbidden, "is linked to another person")
	storetest.Change(t, p.store, func(tx *store.Tx) error { // whose identity stays linked
		_, err := tx.AccountByIdentity(p.provider.URL, "jane")
		return err
	})
}

// An ID token that is not this provider's, for this client and this sign-in, lets nobody in.
func TestSSO_tokensThatAreNotToBeTrusted(t *testing.T) {
	another, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	claim := func(name string, v any) func(header, claims map[string]any) {
		return func(_, claims map[string]any) { claims[name] = v }
	}
	encoded := func(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }
	parts := func(token string) []string { return strings.Split(token, ".") }
	for name, test := range map[string]struct {
		spoil func(header, claims map[string]any)
		forge func(token string) string
		log   string
	}{
		"nonce":          {spoil: claim("nonce", "another"), log: "another nonce"},
		"no nonce":       {spoil: func(_, claims map[string]any) { delete(claims, "nonce") }, log: "another nonce"},
		"expired":        {spoil: claim("exp", storetest.Start.Add(-time.Second).Unix()), log: "has expired"},
		"not yet":        {spoil: claim("nbf", storetest.Start.Add(time.Hour).Unix()), log: "not before"},
		"audience":       {spoil: claim("aud", "another client"), log: "expected audience"},
		"another party":  {spoil: claim("azp", "another client"), log: "another party"},
		"many audiences": {spoil: claim("aud", []string{ssotest.ClientID, "another client"}), log: "another party"},
		"issuer":         {spoil: claim("iss", "https://id.example.com"), log: "different provider"},
		"no subject":     {spoil: claim("sub", ""), log: "no subject"},
		"alg none":       {forge: func(token string) string { return encoded(`{"alg":"none"}`) + "." + parts(token)[1] + "." }, log: "malformed"},
		"alg none, signed": {forge: func(token string) string {
			return encoded(`{"alg":"none"}`) + "." + parts(token)[1] + "." + parts(token)[2]
		}, log: "malformed"},
		"no signature": {forge: func(token string) string { return parts(token)[0] + "." + parts(token)[1] + "." }, log: "signature"},
		"changed": {forge: func(token string) string {
			return parts(token)[0] + "." + encoded(`{"sub":"4711"}`) + "." + parts(token)[2]
		}, log: "signature"},
		"an unknown key":     {spoil: func(header, _ map[string]any) { header["kid"] = "two" }, log: "signature"},
		"nothing like a JWT": {forge: func(string) string { return "token" }, log: "malformed"},
		"no token":           {forge: func(string) string { return "" }, log: "no ID token"},
		"by the client's secret": {forge: func(token string) string {
			text := encoded(`{"alg":"HS256","kid":"one"}`) + "." + parts(token)[1]
			sum := hmac.New(sha256.New, []byte(ssotest.Secret))
			sum.Write([]byte(text))
			return text + "." + base64.RawURLEncoding.EncodeToString(sum.Sum(nil))
		}, log: "malformed"},
		"another key": {forge: nil, log: "signature"},
	} {
		t.Run(name, func(t *testing.T) {
			p := newSSOPanel(t, false)
			p.invite("jane@example.com")
			p.provider.Is("4711", map[string]any{"email": "jane@example.com", "email_verified": true})
			if name == "another key" {
				test.spoil = func(_, claims map[string]any) {
					claims = maps.Clone(claims)
					test.forge = func(string) string {
						return p.provider.Sign(another, map[string]any{"alg": "RS256", "kid": "one"}, claims)
					}
				}
				p.provider.Spoil(test.spoil, func(token string) string { return test.forge(token) })
			} else {
				p.provider.Spoil(test.spoil, test.forge)
			}
			p.wantRefused(http.StatusForbidden, "could not be verified")
			if !strings.Contains(p.log.String(), test.log) {
				t.Errorf("the log does not say %q: %s", test.log, p.log)
			}
			p.wantSecretsKept()
			p.provider.Spoil(nil, nil)
			browser := p.browser()
			if p.get(browser, "/login/sso"); !p.signedIn(browser) {
				t.Error("a token that is well lets nobody in: the test proves nothing")
			}
		})
	}
}

// comeBack sends a browser to the provider and returns the address to which it is sent back, and its cookie.
func (p *ssoPanel) comeBack(query string) (to string, kept *http.Cookie) {
	p.Helper()
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	answer, err := client.Get(p.url + "/login/sso" + query)
	if err != nil {
		p.Fatal(err)
	}
	answer.Body.Close()
	for _, c := range answer.Cookies() {
		if c.Name == ssoCookie {
			kept = c
		}
	}
	if answer, err = client.Get(answer.Header.Get("Location")); err != nil {
		p.Fatal(err)
	}
	answer.Body.Close()
	return answer.Header.Get("Location"), kept
}

// arrive comes back to an address with a cookie.
func (p *ssoPanel) arrive(to string, kept ...*http.Cookie) (status int, location, text string) {
	p.Helper()
	r, err := http.NewRequest("GET", to, nil)
	if err != nil {
		p.Fatal(err)
	}
	for _, c := range kept {
		r.AddCookie(&http.Cookie{Name: c.Name, Value: c.Value})
	}
	answer, err := (&http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}).Do(r)
	if err != nil {
		p.Fatal(err)
	}
	defer answer.Body.Close()
	all, err := io.ReadAll(answer.Body)
	if err != nil {
		p.Fatal(err)
	}
	return answer.StatusCode, answer.Header.Get("Location"), string(all)
}

// A sign-in ends in the browser that it began in, within ten minutes, once.
func TestSSO_state(t *testing.T) {
	p := newSSOPanel(t, false)
	p.invite("jane@example.com")
	p.provider.Is("4711", map[string]any{"email": "jane@example.com", "email_verified": true})
	to, kept := p.comeBack("?next=%2Fwebhooks")
	if kept == nil || !kept.HttpOnly || kept.SameSite != http.SameSiteLaxMode || kept.Path != "/login/sso" || kept.MaxAge != 600 || len(kept.Value) > 1000 || kept.Secure {
		t.Fatalf("the cookie is %+v", kept)
	}
	for _, given := range p.provider.Given() {
		if decoded, _ := base64.RawURLEncoding.DecodeString(kept.Value); strings.Contains(kept.Value+string(decoded), given) {
			t.Errorf("the cookie shows %q", given)
		}
	}
	_, others := p.comeBack("")
	spoilt := &http.Cookie{Name: kept.Name, Value: kept.Value[:len(kept.Value)-2] + "AA"}
	long := &http.Cookie{Name: kept.Name, Value: strings.Repeat("A", 5000)}
	tokens := p.provider.Calls("/token")
	for name, cookies := range map[string][]*http.Cookie{"none": nil, "another": {others}, "spoilt": {spoilt}, "long": {long}, "empty": {{Name: kept.Name}}} {
		if status, _, text := p.arrive(to, cookies...); status != http.StatusBadRequest || !strings.Contains(text, "Begin anew") {
			t.Errorf("with the cookie %s: %d %s", name, status, text)
		}
	}
	if p.provider.Calls("/token") != tokens {
		t.Error("the provider was asked about somebody else's code")
	}
	if status, location, text := p.arrive(to, kept); status != http.StatusSeeOther || location != "/webhooks" {
		t.Errorf("with its own cookie: %d %s %s", status, location, text)
	}
	if status, _, text := p.arrive(to, kept); status != http.StatusBadRequest || !strings.Contains(text, "was finished before") || p.provider.Calls("/token") != tokens+1 {
		t.Errorf("once more: %d %s", status, text)
	}
	for _, test := range []struct {
		after time.Duration
		want  int
	}{{10*time.Minute - time.Second, http.StatusSeeOther}, {10 * time.Minute, http.StatusBadRequest}} {
		to, kept := p.comeBack("")
		p.clock.Advance(test.after)
		if status, _, text := p.arrive(to, kept); status != test.want {
			t.Errorf("after %s: %d %s", test.after, status, text)
		}
	}
}

// Nobody is sent to another site, wherever he wanted to go on.
func TestSSO_next(t *testing.T) {
	p := newSSOPanel(t, false)
	p.invite("jane@example.com")
	p.provider.Is("4711", map[string]any{"email": "jane@example.com", "email_verified": true})
	for next, want := range map[string]string{"/webhooks?page=2": "/webhooks?page=2", "https://evil.example": "/", "//evil.example": "/", `/\evil.example`: "/", `\\evil.example`: "/", "javascript:alert(1)": "/",
		"": "/", "/" + strings.Repeat("x", 3000): "/", "http:evil.example": "/"} {
		to, kept := p.comeBack("?" + url.Values{"next": {next}}.Encode())
		if status, location, _ := p.arrive(to, kept); status != http.StatusSeeOther || location != want {
			t.Errorf("%.50q leads to %d %q", next, status, location)
		}
	}
}

// What the provider answers in place of somebody is told, and nothing else of it is shown.
func TestSSO_providerRefuses(t *testing.T) {
	p := newSSOPanel(t, false)
	p.invite("jane@example.com")
	p.provider.Is("4711", map[string]any{"email": "jane@example.com", "email_verified": true})
	answered := func(change func(url.Values)) (int, string) {
		to, kept := p.comeBack("")
		u, err := url.Parse(to)
		if err != nil {
			t.Fatal(err)
		}
		q := u.Query()
		change(q)
		u.RawQuery = q.Encode()
		status, _, text := p.arrive(u.String(), kept)
		return status, text
	}
	for _, test := range []struct {
		set    url.Values
		status int
		text   string
	}{
		{url.Values{"error": {"access_denied"}, "error_description": {"Call 555 now"}, "code": {""}}, http.StatusForbidden, "said no"},
		{url.Values{"error": {"server_error"}, "error_description": {"Call 555 now"}}, http.StatusBadGateway, "could not sign you in"},
		{url.Values{"code": {""}}, http.StatusForbidden, "could not be verified"},
		{url.Values{"code": {"another"}}, http.StatusBadGateway, "could not sign you in"},
		{url.Values{"iss": {"https://evil.example"}}, http.StatusForbidden, "could not be verified"},
	} {
		status, text := answered(func(q url.Values) { maps.Copy(q, test.set) })
		if status != test.status || !strings.Contains(text, test.text) || strings.Contains(text, "555") {
			t.Errorf("%v: %d %s", test.set, status, text)
		}
	}
	p.provider.Answer(func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path == "/token" {
			w.WriteHeader(http.StatusInternalServerError)
			io.WriteString(w, r.PostFormValue("code"))
		}
		return r.URL.Path == "/token"
	})
	p.wantRefused(http.StatusBadGateway, "cannot be reached")
	p.wantSecretsKept()
}

// A provider that is away keeps nobody else out, and is asked again once it may be back.
func TestSSO_providerAway(t *testing.T) {
	p := newSSOPanel(t, false)
	p.invite("jane@example.com")
	p.provider.Is("4711", map[string]any{"email": "jane@example.com", "email_verified": true})
	const discovery = "/.well-known/openid-configuration"
	for name, answer := range map[string]func(w http.ResponseWriter){
		"an error":       func(w http.ResponseWriter) { w.WriteHeader(http.StatusServiceUnavailable) },
		"no JSON":        func(w http.ResponseWriter) { io.WriteString(w, "<html>") },
		"another issuer": func(w http.ResponseWriter) { io.WriteString(w, `{"issuer":"https://evil.example"}`) },
		"without TLS": func(w http.ResponseWriter) {
			fmt.Fprintf(w, `{"issuer":%q,"authorization_endpoint":"http://id.example.com/"}`, p.provider.URL)
		},
		"a redirection":  func(w http.ResponseWriter) { w.Header().Set("Location", "/elsewhere"); w.WriteHeader(http.StatusFound) },
		"without an end": func(w http.ResponseWriter) { w.Write(bytes.Repeat([]byte(" "), 2<<20)) },
		"a script's address": func(w http.ResponseWriter) {
			fmt.Fprintf(w, `{"issuer":%q,"authorization_endpoint":"javascript:alert(1)","token_endpoint":%[1]q,"jwks_uri":%[1]q}`, p.provider.URL)
		},
	} {
		p.provider.Answer(func(w http.ResponseWriter, r *http.Request) bool {
			if r.URL.Path == discovery {
				answer(w)
			}
			return r.URL.Path == discovery
		})
		asked := p.provider.Calls(discovery)
		for range 3 {
			if status, _, text := p.get(p.browser(), "/login/sso"); status != http.StatusBadGateway || !strings.Contains(text, "cannot be reached") {
				t.Errorf("%s: %d %s", name, status, text)
			}
		}
		if n := p.provider.Calls(discovery) - asked; n != 1 {
			t.Errorf("%s: asked %d times within seconds", name, n)
		}
		if status, _, text := p.get(p.browser(), "/login"); status != 200 || !strings.Contains(text, `name="password"`) {
			t.Errorf("the page to sign in: %d", status)
		}
		p.clock.Advance(10 * time.Second)
	}
	p.provider.Answer(nil)
	browser := p.browser()
	if p.get(browser, "/login/sso"); !p.signedIn(browser) {
		t.Fatal("the provider is back, but lets nobody in")
	}
	asked := p.provider.Calls(discovery)
	p.provider.Answer(func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path == discovery {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		return r.URL.Path == discovery
	})
	for _, after := range []time.Duration{30 * time.Minute, 30 * time.Minute} { // what it said of itself holds
		p.clock.Advance(after)
		browser := p.browser()
		if p.get(browser, "/login/sso"); !p.signedIn(browser) {
			t.Error("what the provider has said of itself is forgotten")
		}
	}
	if n := p.provider.Calls(discovery) - asked; n != 1 {
		t.Errorf("asked %d times within an hour", n)
	}
}

// Attempts that fail count with those by passwords.
func TestSSO_tooMany(t *testing.T) {
	p := newSSOPanel(t, false)
	p.invite("jane@example.com")
	p.provider.Is("1", map[string]any{"email": "nobody@example.com", "email_verified": true})
	for range 20 {
		p.wantRefused(http.StatusForbidden, "Nobody has invited")
	}
	p.provider.Is("4711", map[string]any{"email": "jane@example.com", "email_verified": true})
	p.wantRefused(http.StatusTooManyRequests, "too many attempts")
	if status, _, _ := p.post(p.browser(), "/login", url.Values{"email": {"jane@example.com"}, "password": {"wrong"}}); status != http.StatusTooManyRequests {
		t.Errorf("a password is answered %d", status)
	}
	p.clock.Advance(15 * time.Minute)
	browser := p.browser()
	if p.get(browser, "/login/sso"); !p.signedIn(browser) {
		t.Error("a quarter of an hour later nobody is let in")
	}
}

// With single sign-on alone no password is taken, and an invitation makes an account without one.
func TestSSO_only(t *testing.T) {
	p := newSSOPanel(t, true)
	jane := p.invite("jane@example.com")
	hash, err := webhooksHash()
	if err != nil {
		t.Fatal(err)
	}
	role, err := p.store.RoleByName(t.Context(), 1, bugle.UserRole)
	if err != nil {
		t.Fatal(err)
	}
	var join, reset string
	storetest.Change(t, p.store, func(tx *store.Tx) (err error) {
		if err := tx.SetPassword(1, jane.UserID, hash); err != nil {
			return err
		}
		if join, err = tx.AddInvitation(&bugle.Invitation{OrganizationID: 1, Purpose: bugle.JoinInvitation, Email: "sam@example.com", Name: "Sam Poe", RoleID: role.ID}); err != nil {
			return err
		}
		reset, err = tx.AddInvitation(&bugle.Invitation{OrganizationID: 1, Purpose: bugle.ResetInvitation, UserID: jane.UserID})
		return err
	})
	browser := p.browser()
	if _, _, page := p.get(browser, "/login"); strings.Contains(page, "password") || !strings.Contains(page, "Sign in with Example") {
		t.Errorf("the page to sign in is %s", page)
	}
	for path, values := range map[string]url.Values{"/login": {"email": {"jane@example.com"}, "password": {webhooksPassword}}, "/forgot-password": {"email": {"jane@example.com"}}, "/welcome/" + reset: {"password": {"another long password"}}} {
		if status, _, text := p.post(browser, path, values); status != http.StatusForbidden || !strings.Contains(text, "only single sign-on") {
			t.Errorf("%s: %d %s", path, status, text)
		}
	}
	for _, path := range []string{"/forgot-password", "/welcome/" + reset} {
		if status, _, _ := p.get(browser, path); status != http.StatusForbidden {
			t.Errorf("%s: %d", path, status)
		}
	}
	if p.signedIn(browser) {
		t.Fatal("a password lets somebody in")
	}

	if _, _, page := p.get(browser, "/welcome/"+join); strings.Contains(page, "password") || !strings.Contains(page, "Sam Poe") {
		t.Errorf("the invitation is %s", page)
	}
	status, at, page := p.post(browser, "/welcome/"+join, url.Values{"name": {"Sam Poe"}, "email": {"sam@example.com"}})
	if status != 200 || at != "/login" || !strings.Contains(page, "Your account is made") || p.signedIn(browser) {
		t.Errorf("after an invitation: %d %s", status, at)
	}
	p.provider.Is("sam", map[string]any{"email": "sam@example.com", "email_verified": true})
	if p.get(browser, "/login/sso"); !p.signedIn(browser) {
		t.Error("who was invited is not let in")
	}
	if _, _, page := p.get(browser, "/account"); strings.Contains(page, `type="password"`) {
		t.Errorf("the account's page is %s", page)
	}
	if status, _, _ := p.post(browser, "/account/password", url.Values{"current": {"x"}, "password": {"another long password"}}); status != http.StatusForbidden {
		t.Errorf("a new password is answered %d", status)
	}
	janes := p.browser()
	p.provider.Is("jane", map[string]any{"email": "jane@example.com", "email_verified": true})
	p.get(janes, "/login/sso")
	if _, _, page := p.get(janes, "/accounts"); strings.Contains(page, "/reset") {
		t.Error("the list of accounts offers new passwords")
	}
	if status, _, _ := p.post(janes, fmt.Sprintf("/accounts/%d/reset", jane.UserID), nil); status != http.StatusForbidden {
		t.Errorf("a link to a new password is answered %d", status)
	}
}

// Without a provider there is nothing of single sign-on.
func TestSSO_none(t *testing.T) {
	p := newPeoplePanel(t)
	for _, path := range []string{"/login/sso", SSOCallback} {
		p.get(path, http.StatusNotFound)
	}
	if !slices.Contains([]string{"/login/sso/callback"}, SSOCallback) { // it is registered with providers
		t.Errorf("the address is %s", SSOCallback)
	}
}
