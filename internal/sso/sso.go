// Package sso signs people in by a provider of OpenID Connect: it sends them there, and learns from it who came back. Which
// account they have is for others to say.
package sso

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/jonboulle/clockwork"
	"golang.org/x/oauth2"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/internal/delivery"
)

// Options are what the operator has said of the provider.
type Options struct {
	Issuer   string // the provider's address, as it calls itself
	ClientID string
	Secret   string // the client's, at the provider
	Name     string // what the button says
	Only     bool   // nobody signs in by a password
	Redirect string // where the provider sends people back to
	Clock    clockwork.Clock
	Client   *delivery.Client // makes the calls to the provider; its guard permits the provider's host
}

const (
	// Lasts is how long somebody may take at the provider.
	Lasts = 10 * time.Minute

	callTimeout   = 10 * time.Second
	discoverEvery = time.Hour
	discoverPause = 10 * time.Second // after it has failed
)

// A Provider signs people in. Its methods may be called concurrently.
type Provider struct {
	o     Options
	http  *http.Client
	seals sealer

	mu     sync.Mutex
	known  *endpoints // nil: not yet
	at     time.Time  // when it was last asked for
	failed error      // of the last time
}

// endpoints are what the provider says of itself.
type endpoints struct {
	provider *oidc.Provider
	oauth    oauth2.Config
}

// New returns a provider, which is not called before somebody signs in.
func New(o Options) (*Provider, error) {
	if _, err := IssuerHost(o.Issuer); err != nil {
		return nil, err
	}
	if o.ClientID == "" || o.Secret == "" {
		return nil, errors.New("single sign-on lacks the client's id or its secret")
	}
	seals, err := newSealer(o.Secret)
	if err != nil {
		return nil, err
	}
	return &Provider{o: o, seals: seals, http: &http.Client{
		Transport:     &transport{o.Client},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// IssuerHost returns the host of a provider's address. An address that is none, or not safe, is an error.
func IssuerHost(issuer string) (string, error) {
	u, err := url.Parse(issuer)
	if err != nil || u.Hostname() == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || !isSafe(u) {
		return "", errors.New("the issuer is not one: want the provider's address, such as https://accounts.example.com")
	}
	return u.Hostname(), nil
}

// isSafe reports whether nobody on the way can read or change what is sent to a URL.
func isSafe(u *url.URL) bool {
	addr, err := netip.ParseAddr(u.Hostname())
	return u.Scheme == "https" || u.Scheme == "http" && (u.Hostname() == "localhost" || err == nil && addr.IsLoopback())
}

// Issuer is the provider's address.
func (p *Provider) Issuer() string { return p.o.Issuer }

// Name is what the button says.
func (p *Provider) Name() string { return p.o.Name }

// Only reports whether nobody signs in by a password.
func (p *Provider) Only() bool { return p != nil && p.o.Only }

// A Problem says why somebody could not be signed in.
type Problem string

// The problems of signing in.
const (
	Away    Problem = "away"    // the provider cannot be asked
	Stale   Problem = "stale"   // it took too long, was begun elsewhere, or has come back before
	Denied  Problem = "denied"  // somebody said no at the provider
	Refused Problem = "refused" // the provider says that it cannot
	Invalid Problem = "invalid" // what the provider says is not to be trusted
)

// An Error is a problem of signing in, with its reason for the log of the server.
type Error struct {
	Problem Problem
	reason  string
}

func (e *Error) Error() string { return "single sign-on: " + string(e.Problem) + ": " + e.reason }

func problem(p Problem, format string, args ...any) *Error {
	return &Error{p, printable(fmt.Sprintf(format, args...), 300)}
}

// A Person is who the provider says has come back.
type Person struct {
	bugle.Identity
	Verified bool   // the provider has seen that the e-mail address is the person's
	Next     string // where to go on, as it was given to Begin
}

// Begin returns where to send somebody who wants to sign in, and what his browser has to keep until he is back. Next is where to go
// on afterwards. The error is an *Error.
func (p *Provider) Begin(ctx context.Context, next string) (to, kept string, err error) {
	e, err := p.discover(ctx)
	if err != nil {
		return "", "", err
	}
	if len(next) > maxNext {
		next = "/"
	}
	f := flow{State: bugle.RandomText(43), Nonce: bugle.RandomText(43), Verifier: oauth2.GenerateVerifier(), Next: next, Until: p.o.Clock.Now().Add(Lasts).Unix()}
	kept, err = p.seals.seal(f)
	if err != nil {
		return "", "", err
	}
	return e.oauth.AuthCodeURL(f.State, oidc.Nonce(f.Nonce), oauth2.S256ChallengeOption(f.Verifier)), kept, nil
}

// maxNext bounds the cookie.
const maxNext = 1024

// A Return is somebody who has come back from the provider to the browser that he began in.
type Return struct {
	State string    // which must not have come back before
	Until time.Time // when it could not come back any more

	flow  flow
	query url.Values
}

// Back returns the return of who comes with what his browser has kept, and with the query that the provider has given him. The error is an *Error.
func (p *Provider) Back(kept string, query url.Values) (*Return, error) {
	f, err := p.seals.open(kept)
	if err != nil {
		return nil, problem(Stale, "the browser has not kept what it was given")
	}
	if until := time.Unix(f.Until, 0); !p.o.Clock.Now().Before(until) {
		return nil, problem(Stale, "it took longer than %s", Lasts)
	}
	if subtle.ConstantTimeCompare([]byte(f.State), []byte(query.Get("state"))) != 1 {
		return nil, problem(Stale, "it was begun in another browser or window")
	}
	return &Return{State: f.State, Until: time.Unix(f.Until, 0), flow: f, query: query}, nil
}

// Finish asks the provider who has come back. The error is an *Error.
func (p *Provider) Finish(ctx context.Context, r *Return) (*Person, error) {
	if issuer := r.query.Get("iss"); issuer != "" && issuer != p.o.Issuer { // Source: RFC 9207
		return nil, problem(Invalid, "the answer is of the issuer %q", issuer)
	}
	switch code := r.query.Get("error"); {
	case code == "access_denied":
		return nil, problem(Denied, "the provider answered access_denied")
	case code != "":
		return nil, problem(Refused, "the provider answered %q", printable(code, 60))
	case r.query.Get("code") == "":
		return nil, problem(Invalid, "the answer has no code")
	}
	e, err := p.discover(ctx)
	if err != nil {
		return nil, err
	}
	ctx = oidc.ClientContext(ctx, p.http)
	tokens, err := e.oauth.Exchange(ctx, r.query.Get("code"), oauth2.VerifierOption(r.flow.Verifier))
	if err != nil {
		return nil, exchangeProblem(err)
	}
	text, _ := tokens.Extra("id_token").(string)
	if text == "" {
		return nil, problem(Invalid, "the provider gave no ID token")
	}
	token, err := e.provider.Verifier(&oidc.Config{ClientID: p.o.ClientID, Now: p.o.Clock.Now}).Verify(ctx, text)
	if err != nil {
		return nil, tokenProblem(err)
	}
	var c claims
	if err := token.Claims(&c); err != nil {
		return nil, problem(Invalid, "the claims of the ID token cannot be read")
	}
	switch {
	case subtle.ConstantTimeCompare([]byte(token.Nonce), []byte(r.flow.Nonce)) != 1:
		return nil, problem(Invalid, "the ID token has another nonce")
	case c.Party != "" && c.Party != p.o.ClientID, c.Party == "" && len(token.Audience) > 1:
		return nil, problem(Invalid, "the ID token was made for another party")
	case token.Subject == "" || len(token.Subject) > 255:
		return nil, problem(Invalid, "the ID token has no subject")
	}
	if c.Email == "" && e.provider.UserInfoEndpoint() != "" { // some keep the e-mail address out of the token
		info, err := e.provider.UserInfo(ctx, oauth2.StaticTokenSource(tokens))
		if err != nil {
			return nil, problem(Away, "the provider does not say who it is")
		}
		if info.Subject != token.Subject {
			return nil, problem(Invalid, "the provider speaks of somebody else")
		}
		c.Email, c.Verified = info.Email, flag(info.EmailVerified)
	}
	email := printable(strings.TrimSpace(c.Email), 255)
	return &Person{Identity: bugle.Identity{Issuer: p.o.Issuer, Subject: token.Subject, Email: email}, Verified: bool(c.Verified) && email != "", Next: r.flow.Next}, nil
}

// claims are those of an ID token that the library has no fields for.
type claims struct {
	Party    string `json:"azp"`
	Email    string `json:"email"`
	Verified flag   `json:"email_verified"`
}

// A flag is a truth value, which some providers write as a text.
type flag bool

// UnmarshalJSON takes true and "true" for true, and all else for false.
func (f *flag) UnmarshalJSON(text []byte) error {
	*f = string(text) == "true" || string(text) == `"true"`
	return nil
}

// exchangeProblem is why a code was not taken. What the provider answers is not shown: it may hold anything.
func exchangeProblem(err error) *Error {
	var refused *oauth2.RetrieveError
	switch {
	case errors.As(err, &refused) && refused.Response != nil && refused.Response.StatusCode >= 500:
		return problem(Away, "the provider answered %d to the code", refused.Response.StatusCode)
	case errors.As(err, &refused):
		return problem(Refused, "the provider does not take the code: %q", printable(refused.ErrorCode, 60))
	}
	return problem(Away, "the provider cannot be asked for tokens: %v", cause(err))
}

// tokenProblem is why an ID token is not taken.
func tokenProblem(err error) *Error {
	var expired *oidc.TokenExpiredError
	if errors.As(err, &expired) {
		return problem(Invalid, "the ID token has expired")
	}
	if strings.Contains(err.Error(), "fetching keys") { // the library has no name for it
		return problem(Away, "the provider's keys cannot be read")
	}
	return problem(Invalid, "%v", err)
}

// cause is an error without the URL that was called.
func cause(err error) error {
	var failed *url.Error
	if errors.As(err, &failed) {
		return failed.Err
	}
	return err
}

// discover returns what the provider says of itself, from memory for an hour. What is known holds while it is away; if nothing is,
// it is asked again after some seconds.
func (p *Provider) discover(ctx context.Context) (*endpoints, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.o.Clock.Now()
	pause := discoverEvery
	if p.failed != nil {
		pause = discoverPause
	}
	if !p.at.IsZero() && now.Sub(p.at) < pause {
		if p.known == nil {
			return nil, p.failed
		}
		return p.known, nil
	}
	// The next ones wait for it too, so it does not end with this request.
	asking, cancel := context.WithTimeout(context.WithoutCancel(ctx), callTimeout)
	defer cancel()
	found, err := p.ask(asking)
	p.at, p.failed = now, err
	if err == nil {
		p.known = found
	}
	if p.known == nil {
		return nil, err
	}
	return p.known, nil
}

// ask reads what the provider says of itself.
func (p *Provider) ask(ctx context.Context) (*endpoints, error) {
	ctx = oidc.ClientContext(ctx, p.http)
	provider, err := oidc.NewProvider(ctx, p.o.Issuer)
	if err != nil {
		return nil, problem(Away, "the provider cannot be asked about itself: %v", cause(err))
	}
	var more struct {
		Methods []string `json:"token_endpoint_auth_methods_supported"`
		Keys    string   `json:"jwks_uri"`
		Info    string   `json:"userinfo_endpoint"`
	}
	if err := provider.Claims(&more); err != nil {
		return nil, problem(Away, "what the provider says about itself cannot be read")
	}
	at := provider.Endpoint()
	at.AuthStyle = oauth2.AuthStyleInHeader
	if !slices.Contains(more.Methods, "client_secret_basic") && slices.Contains(more.Methods, "client_secret_post") {
		at.AuthStyle = oauth2.AuthStyleInParams
	}
	for _, text := range []string{at.AuthURL, at.TokenURL, more.Keys, more.Info} {
		if u, err := url.Parse(text); text != more.Info && text == "" || text != "" && (err != nil || u.Hostname() == "" || !isSafe(u)) {
			return nil, problem(Away, "the provider names an address that is none with https://: %q", text)
		}
	}
	return &endpoints{provider, oauth2.Config{ClientID: p.o.ClientID, ClientSecret: p.o.Secret, Endpoint: at, RedirectURL: p.o.Redirect, Scopes: []string{oidc.ScopeOpenID, "email", "profile"}}}, nil
}

// printable is a text of the provider without what does not belong into a line of a log, cut off at a number of bytes.
func printable(text string, limit int) string {
	if len(text) > limit {
		text = strings.ToValidUTF8(text[:limit], "")
	}
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) {
			return -1
		}
		return r
	}, text)
}
