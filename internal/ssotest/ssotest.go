// Package ssotest is a provider of OpenID Connect for tests, on the loopback interface.
package ssotest

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
	"time"
)

// The client that a Provider knows.
const (
	ClientID = "bugle"
	Secret   = "secret-of-the-client-4711"
)

// A Provider signs in whoever asks, as the person that it is told.
type Provider struct {
	URL string

	mu     sync.Mutex
	key    *rsa.PrivateKey
	now    func() time.Time
	person map[string]any
	spoil  func(header, claims map[string]any) // of ID tokens, before they are signed; may be nil
	forge  func(token string) string           // ID tokens, once they are signed; may be nil
	answer func(w http.ResponseWriter, r *http.Request) bool
	codes  map[string]code
	given  []string // every code, token, state, nonce and verifier so far
	calls  map[string]int
}

// A code is what a person comes back with.
type code struct{ nonce, challenge, redirect string }

// key is made once: it takes long.
var key = sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) })

// Start serves a provider until the test ends. Its tokens are as old as now says.
func Start(t testing.TB, now func() time.Time) *Provider {
	t.Helper()
	key, err := key()
	if err != nil {
		t.Fatal(err)
	}
	p := &Provider{key: key, now: now, codes: map[string]code{}, calls: map[string]int{}}
	server := httptest.NewServer(p)
	t.Cleanup(server.Close)
	p.URL = server.URL
	return p
}

// Is makes a person of whoever signs in next: the claims of ID tokens besides those that each has.
func (p *Provider) Is(subject string, claims map[string]any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.person = map[string]any{"sub": subject}
	for name, v := range claims {
		p.person[name] = v
	}
}

// Spoil lets a function change what ID tokens say before they are signed, and another one what was signed. Nil: as they are.
func (p *Provider) Spoil(spoil func(header, claims map[string]any), forge func(token string) string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.spoil, p.forge = spoil, forge
}

// Answer lets a function answer in place of the provider, where it reports that it has. Nil: nowhere.
func (p *Provider) Answer(answer func(w http.ResponseWriter, r *http.Request) bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.answer = answer
}

// Given are the codes, tokens, states, nonces and verifiers that there have been.
func (p *Provider) Given() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.given...)
}

// Calls is how often a path was asked for.
func (p *Provider) Calls(path string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.calls[path]
}

func random() string {
	b := make([]byte, 24)
	rand.Read(b)
	return base64.RawURLEncoding.EncodeToString(b)
}

func encode(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err) // a test has made claims that are none
	}
	return base64.RawURLEncoding.EncodeToString(text)
}

// Sign returns a token with a header and claims, signed by RS256 with a key; nil: the provider's.
func (p *Provider) Sign(key *rsa.PrivateKey, header, claims map[string]any) string {
	if key == nil {
		key = p.key
	}
	text := encode(header) + "." + encode(claims)
	sum := sha256.Sum256([]byte(text))
	signature, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, sum[:])
	if err != nil {
		panic(err) // the key is none
	}
	return text + "." + base64.RawURLEncoding.EncodeToString(signature)
}

// ServeHTTP is the provider's side.
func (p *Provider) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.calls[r.URL.Path]++
	if p.answer != nil && p.answer(w, r) {
		return
	}
	write := func(v any) {
		w.Header().Set("Content-Type", "application/json")
		json.NewEncoder(w).Encode(v)
	}
	refuse := func(what string) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusBadRequest)
		json.NewEncoder(w).Encode(map[string]string{"error": what, "error_description": "what is wrong"})
	}
	switch r.URL.Path {
	case "/.well-known/openid-configuration":
		write(map[string]any{"issuer": p.URL, "authorization_endpoint": p.URL + "/authorize", "token_endpoint": p.URL + "/token", "jwks_uri": p.URL + "/keys",
			"userinfo_endpoint": p.URL + "/userinfo", "id_token_signing_alg_values_supported": []string{"RS256", "none", "HS256"}})
	case "/keys":
		public := p.key.PublicKey
		write(map[string]any{"keys": []any{map[string]string{"kty": "RSA", "alg": "RS256", "use": "sig", "kid": "one",
			"n": base64.RawURLEncoding.EncodeToString(public.N.Bytes()), "e": base64.RawURLEncoding.EncodeToString(big.NewInt(int64(public.E)).Bytes())}}})
	case "/authorize":
		q := r.URL.Query()
		if q.Get("client_id") != ClientID || q.Get("response_type") != "code" || q.Get("code_challenge_method") != "S256" || q.Get("state") == "" || q.Get("nonce") == "" {
			http.Error(w, "this is no request that a provider knows", http.StatusBadRequest)
			return
		}
		given := random()
		p.codes[given] = code{q.Get("nonce"), q.Get("code_challenge"), q.Get("redirect_uri")}
		p.given = append(p.given, given, q.Get("state"), q.Get("nonce"))
		http.Redirect(w, r, q.Get("redirect_uri")+"?"+url.Values{"code": {given}, "state": {q.Get("state")}, "iss": {p.URL}}.Encode(), http.StatusFound)
	case "/token":
		id, secret, _ := r.BasicAuth()
		c, known := p.codes[r.PostFormValue("code")]
		delete(p.codes, r.PostFormValue("code"))
		sum := sha256.Sum256([]byte(r.PostFormValue("code_verifier")))
		switch {
		case id != ClientID || secret != Secret:
			refuse("invalid_client")
			return
		case !known || c.redirect != r.PostFormValue("redirect_uri") || c.challenge != base64.RawURLEncoding.EncodeToString(sum[:]):
			refuse("invalid_grant")
			return
		}
		header := map[string]any{"alg": "RS256", "kid": "one"}
		claims := map[string]any{"iss": p.URL, "aud": ClientID, "exp": p.now().Add(time.Minute).Unix(), "iat": p.now().Unix(), "nonce": c.nonce}
		for name, v := range p.person {
			claims[name] = v
		}
		if p.spoil != nil {
			p.spoil(header, claims)
		}
		token := p.Sign(nil, header, claims)
		if p.forge != nil {
			token = p.forge(token)
		}
		access := random()
		p.given = append(p.given, token, access, r.PostFormValue("code_verifier"))
		write(map[string]any{"access_token": access, "token_type": "Bearer", "expires_in": 60, "id_token": token})
	case "/userinfo":
		write(p.person)
	default:
		http.NotFound(w, r)
	}
}
