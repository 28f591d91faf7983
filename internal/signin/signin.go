// Package signin checks the passwords of those who sign in to the panel, and how often they try.
package signin

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/alexedwards/argon2id"
	"github.com/jonboulle/clockwork"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/internal/store"
)

// parameters of new hashes: 19 MiB and some 40 ms on a small machine, the least that OWASP recommends, so that sign-ins do not need more memory than all
// else together. Those of old ones are in the hash.
var parameters = &argon2id.Params{Memory: 19 << 10, Iterations: 2, Parallelism: 1, SaltLength: 16, KeyLength: 32}

// hashing bounds the memory: each hash takes its 19 MiB while it is made.
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

// maxWaiting bounds how many passwords wait to be compared: more than that would take longer than anybody
// waits for a page.
const maxWaiting = 50

var comparing = make(chan struct{}, maxWaiting)

// busy is how long those are told to wait for whom there is no room.
const busy = 5 * time.Second

// matches reports whether a password has the hash. It returns a *TooManyError if too many wait already.
func matches(ctx context.Context, password, hash string) (bool, error) {
	select {
	case comparing <- struct{}{}:
		defer func() { <-comparing }()
	default:
		return false, &TooManyError{busy}
	}
	select {
	case hashing <- struct{}{}:
		defer func() { <-hashing }()
	case <-ctx.Done():
		return false, context.Cause(ctx)
	}
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
	maxCodes    = 10      // of an account, from all addresses
	maxRemember = 100_000 // failures in memory; then the oldest are forgotten early
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
	failures map[who][]time.Time // oldest first
	order    []who               // of what is in failures, by when it was added; may name what is gone
	told     told

	unknown func() string // a hash for e-mail addresses without an account
}

// New returns an Authenticator.
func New(s *store.Store, clock clockwork.Clock) *Authenticator {
	return &Authenticator{store: s, clock: clock, failures: map[who][]time.Time{}, unknown: sync.OnceValue(func() string {
		hash, err := Hash(bugle.RandomText(32))
		if err != nil {
			panic(err) // there is no randomness, or a parameter is wrong
		}
		return hash
	})}
}

// SignIn returns the account that has the e-mail address and the password. The address is where the
// attempt comes from. It returns bugle.ErrUnauthorized if there is none, or it is disabled, and a
// *TooManyError without looking if too many attempts have failed. Those that fail are told to the audit log. Somebody in several organizations gets
// in where the password fits, the oldest account first.
func (a *Authenticator) SignIn(ctx context.Context, email, password, address string) (*bugle.Account, error) {
	email = strings.ToLower(strings.TrimSpace(email))
	limits := []limit{{whoIs("pair", network(address), email), maxPair}, {whoIs("address", network(address)), maxAddress}, {whoIs("email", email), maxEmail}}
	if wait := a.begin(limits); wait > 0 {
		return nil, &TooManyError{wait}
	}
	accounts, err := a.store.AccountsByEmail(ctx, email)
	if err != nil {
		a.uncount(limits)
		return nil, err
	}
	compared := false
	for _, account := range accounts {
		if account.PasswordHash == "" {
			continue
		}
		ok, err := matches(ctx, password, account.PasswordHash)
		if err != nil {
			if !compared { // else one that is given up would be a guess that does not count
				a.uncount(limits)
			}
			return nil, err
		}
		compared = true
		if !ok || account.Disabled {
			continue
		}
		// Comparing takes a while, in which the password may have become another.
		now, err := a.store.Account(ctx, account.OrganizationID, account.UserID)
		if err != nil && !errors.Is(err, bugle.ErrNotFound) {
			return nil, err
		}
		if err == nil && now.PasswordHash == account.PasswordHash && !now.Disabled {
			a.succeeded(limits)
			return now, nil
		}
	}
	if !compared { // as long as with an account, so that nobody learns who has one
		if _, err := matches(ctx, password, a.unknown()); err != nil {
			a.uncount(limits)
			return nil, err
		}
	}
	if err := a.tell(ctx, accounts, network(address)); err != nil {
		return nil, err
	}
	return nil, bugle.ErrUnauthorized
}

// Verify reports whether the password is that of the account, for changes that ask for it again. Failures
// count as those of SignIn.
func (a *Authenticator) Verify(account *bugle.Account, password, address string) (bool, error) {
	limits := []limit{{whoIs("pair", network(address), strings.ToLower(account.Email)), maxPair}}
	if wait := a.begin(limits); wait > 0 {
		return false, &TooManyError{wait}
	}
	if account.PasswordHash == "" {
		return false, nil
	}
	ok, err := matches(context.Background(), password, account.PasswordHash)
	switch {
	case err != nil:
		a.uncount(limits)
	case ok:
		a.succeeded(limits)
	}
	return ok, err
}

// Ask counts a request for a new password, and returns how long to wait if there were too many.
func (a *Authenticator) Ask(email, address string) (wait time.Duration) {
	email = strings.ToLower(strings.TrimSpace(email))
	return a.begin([]limit{{whoIs("asks", email), maxPair}, {whoIs("address", network(address)), maxAddress}})
}

// A who is a hash of what is limited, which has a size that those who fail cannot choose.
type who [sha256.Size]byte

func whoIs(parts ...string) who { return sha256.Sum256([]byte(strings.Join(parts, "\x00"))) }

// network is the address, or of one of IPv6 the network that its owner can take any address of.
func network(address string) string {
	ip, err := netip.ParseAddr(address)
	if err != nil {
		return address
	}
	ip = ip.Unmap().WithZone("")
	if ip.Is4() {
		return ip.String()
	}
	return netip.PrefixFrom(ip, 64).Masked().String()
}

type limit struct {
	who who
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
	a.uncount(limits)
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, l := range limits {
		if l.max == maxPair {
			delete(a.failures, l.who)
		}
	}
}

// uncount forgets what begin counted last.
func (a *Authenticator) uncount(limits []limit) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, l := range limits {
		if times := a.failures[l.who]; len(times) > 1 {
			a.failures[l.who] = times[:len(times)-1]
		} else {
			delete(a.failures, l.who)
		}
	}
}
