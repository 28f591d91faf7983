// Package signin checks the passwords of those who sign in to the panel, and how often they try.
package signin

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/alexedwards/argon2id"
	"github.com/jonboulle/clockwork"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/internal/store"
)

// parameters of new hashes: 64 MiB and some 100 ms on a small machine. Those of old ones are in the hash.
var parameters = &argon2id.Params{Memory: 64 << 10, Iterations: 2, Parallelism: 2, SaltLength: 16, KeyLength: 32}

// hashing bounds the memory: each hash takes 64 MiB while it is made.
var hashing = make(chan struct{}, 2)

// Hash returns the hash of a password, as it is stored.
func Hash(password string) (string, error) {
	hashing <- struct{}{}
	defer func() { <-hashing }()
	hash, err := argon2id.CreateHash(password, parameters)
	if err != nil {
		return "", fmt.Errorf("hash password: %w", err)
	}
	return hash, nil
}

// matches reports whether a password has the hash.
func matches(password, hash string) (bool, error) {
	hashing <- struct{}{}
	defer func() { <-hashing }()
	ok, err := argon2id.ComparePasswordAndHash(password, hash)
	if err != nil {
		return false, fmt.Errorf("compare password: %w", err)
	}
	return ok, nil
}

// How many attempts may fail within the window: from one address for one e-mail address, from one
// address, and for one e-mail address.
const (
	window      = 15 * time.Minute
	maxPair     = 5
	maxAddress  = 20
	maxEmail    = 30
	maxRemember = 20_000 // failures in memory; then the oldest are forgotten early
)

// A TooManyError says that there were too many attempts.
type TooManyError struct {
	Wait time.Duration // before the next one is looked at
}

func (e *TooManyError) Error() string {
	return fmt.Sprintf("too many attempts to sign in: wait %s", e.Wait.Round(time.Second))
}

// An Authenticator lets people in.
type Authenticator struct {
	store *store.Store
	clock clockwork.Clock

	mu       sync.Mutex
	failures map[string][]time.Time // by who failed, oldest first
	order    []string               // of what is in failures, by when it was added; may name what is gone

	unknown func() string // a hash for e-mail addresses without an account
}

// New returns an Authenticator.
func New(s *store.Store, clock clockwork.Clock) *Authenticator {
	return &Authenticator{store: s, clock: clock, failures: map[string][]time.Time{}, unknown: sync.OnceValue(func() string {
		hash, err := Hash(bugle.RandomText(32))
		if err != nil {
			panic(err) // there is no randomness, or a parameter is wrong
		}
		return hash
	})}
}

// SignIn returns the account that has the e-mail address and the password. The address is where the
// attempt comes from. It returns bugle.ErrUnauthorized if there is none, or it is disabled, and a
// *TooManyError without looking if too many attempts have failed. Somebody in several organizations gets
// in where the password fits, the oldest account first.
func (a *Authenticator) SignIn(ctx context.Context, email, password, address string) (*bugle.Account, error) {
	email = strings.ToLower(strings.TrimSpace(email))
	limits := []limit{{"pair " + address + " " + email, maxPair}, {"address " + address, maxAddress}, {"email " + email, maxEmail}}
	if wait := a.begin(limits); wait > 0 {
		return nil, &TooManyError{wait}
	}
	accounts, err := a.store.AccountsByEmail(ctx, email)
	if err != nil {
		return nil, err
	}
	compared := false
	for _, account := range accounts {
		if account.PasswordHash == "" {
			continue
		}
		compared = true
		ok, err := matches(password, account.PasswordHash)
		if err != nil {
			return nil, err
		}
		if ok && !account.Disabled {
			a.succeeded(limits)
			return account, nil
		}
	}
	if !compared { // as long as with an account, so that nobody learns who has one
		if _, err := matches(password, a.unknown()); err != nil {
			return nil, err
		}
	}
	return nil, bugle.ErrUnauthorized
}

// Verify reports whether the password is that of the account, for changes that ask for it again. Failures
// count as those of SignIn.
func (a *Authenticator) Verify(account *bugle.Account, password, address string) (bool, error) {
	limits := []limit{{"pair " + address + " " + strings.ToLower(account.Email), maxPair}}
	if wait := a.begin(limits); wait > 0 {
		return false, &TooManyError{wait}
	}
	if account.PasswordHash == "" {
		return false, nil
	}
	ok, err := matches(password, account.PasswordHash)
	if ok {
		a.succeeded(limits)
	}
	return ok, err
}

// Ask counts a request for a new password, and returns how long to wait if there were too many.
func (a *Authenticator) Ask(email, address string) (wait time.Duration) {
	return a.begin([]limit{{"asks " + strings.ToLower(email), maxPair}, {"address " + address, maxAddress}})
}

type limit struct {
	who string
	max int
}

// begin counts an attempt as failed, before it is made: many at once would not be limited otherwise. It
// returns how long to wait if there were too many already, and does not count this one.
func (a *Authenticator) begin(limits []limit) (wait time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.clock.Now()
	for _, l := range limits {
		times := a.failures[l.who]
		for len(times) > 0 && now.Sub(times[0]) >= window {
			times = times[1:]
		}
		if len(times) == 0 {
			delete(a.failures, l.who)
		} else {
			a.failures[l.who] = times
		}
		if len(times) >= l.max {
			wait = max(wait, window-now.Sub(times[len(times)-l.max]))
		}
	}
	if wait > 0 {
		return wait
	}
	for _, l := range limits {
		a.failures[l.who] = append(a.failures[l.who], now)
		a.order = append(a.order, l.who)
	}
	for len(a.order) > maxRemember {
		if times := a.failures[a.order[0]]; len(times) > 1 {
			a.failures[a.order[0]] = times[1:]
		} else {
			delete(a.failures, a.order[0])
		}
		a.order = a.order[1:]
	}
	return 0
}

// succeeded forgets what begin counted last, and the failures of that person from that address.
func (a *Authenticator) succeeded(limits []limit) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, l := range limits {
		if times := a.failures[l.who]; l.max == maxPair || len(times) <= 1 {
			delete(a.failures, l.who)
		} else {
			a.failures[l.who] = times[:len(times)-1]
		}
	}
}
