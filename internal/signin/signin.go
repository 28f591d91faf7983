// Package signin checks the passwords of those who sign in to the panel, and how often they try.
package signin

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
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
// address, and for one e-mail address. Then there is a wait, as long as the window, which the next time is twice as long.
const (
	window      = 15 * time.Minute
	maxPair     = 5
	maxAddress  = 20
	maxEmail    = 30
	maxCodes    = 10      // of an account, from all addresses
	maxRemember = 100_000 // failures in memory; then the oldest are forgotten early

	longest       = 24 * time.Hour // that a wait gets
	longestForAll = 4 * time.Hour  // where it is strangers who let somebody wait
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
// *TooManyError without looking if too many attempts have failed. Both are told to the audit log. Somebody in several organizations gets
// in where the password fits, the oldest account first.
func (a *Authenticator) SignIn(ctx context.Context, email, password, address string) (*bugle.Account, error) {
	email = strings.ToLower(strings.TrimSpace(email))
	accounts, err := a.store.AccountsByEmail(ctx, email)
	if err != nil {
		return nil, err
	}
	try, err := a.begin(ctx, accounts, email, address,
		limit{who: whoIs("pair", bugle.Network(address), email), max: maxPair, longest: longest, own: true},
		limit{who: whoIs("address", bugle.Network(address)), max: maxAddress, longest: longest},
		limit{who: whoIs("email", email), max: maxEmail, longest: longestForAll, strangers: true})
	if err != nil {
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
				a.uncount(try)
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
			return now, a.succeeded(ctx, try)
		}
	}
	if !compared { // as long as with an account, so that nobody learns who has one
		if _, err := matches(ctx, password, a.unknown()); err != nil {
			a.uncount(try)
			return nil, err
		}
	}
	if err := a.failed(ctx, try); err != nil {
		return nil, err
	}
	return nil, bugle.ErrUnauthorized
}

// Verify reports whether the password is that of the account, for changes that ask for it again. Failures
// count as those of SignIn.
func (a *Authenticator) Verify(ctx context.Context, account *bugle.Account, password, address string) (bool, error) {
	email := strings.ToLower(account.Email)
	try, err := a.begin(ctx, []*bugle.Account{account}, email, address,
		limit{who: whoIs("pair", bugle.Network(address), email), max: maxPair, longest: longest, own: true})
	if err != nil {
		return false, err
	}
	if account.PasswordHash == "" {
		a.uncount(try)
		return false, nil
	}
	ok, err := matches(ctx, password, account.PasswordHash)
	switch {
	case err != nil:
		a.uncount(try)
		return false, err
	case ok:
		return true, a.succeeded(ctx, try)
	}
	return false, a.failed(ctx, try)
}

// Ask counts a request for a new password, and returns how long to wait if there were too many.
func (a *Authenticator) Ask(email, address string) (wait time.Duration) {
	email = strings.ToLower(strings.TrimSpace(email))
	wait, _ = a.count([]limit{{who: whoIs("asks", email), max: maxPair}, {who: whoIs("address", bugle.Network(address)), max: maxAddress}}, nil, a.clock.Now())
	return wait
}

// A who is a hash of what is limited, which has a size that those who fail cannot choose.
type who [sha256.Size]byte

func whoIs(parts ...string) who { return sha256.Sum256([]byte(strings.Join(parts, "\x00"))) }

// A limit is how many attempts of somebody may fail.
type limit struct {
	who       who
	max       int           // within the window
	longest   time.Duration // that he waits then, the first time as long as the window; 0: until the first of them is out of it
	own       bool          // of one person from one address: success lets him begin anew
	strangers bool          // it does not hold for those who have signed in from the address before
}

// A try is an attempt that is under way, and counted as failed.
type try struct {
	accounts []*bugle.Account // that it is about; none: there is no such account
	address  string           // a Network
	limits   []limit
	waited   map[who]bool // had to wait before
}

// begin counts an attempt as failed, before it is made: many at once would not be limited otherwise. If there were too many already, it
// does not count this one, tells the audit log and returns a *TooManyError. Failures are counted in memory, by each server; the waits that
// follow are in the database, and hold for all servers, and when they start again.
func (a *Authenticator) begin(ctx context.Context, accounts []*bugle.Account, email, address string, limits ...limit) (*try, error) {
	t := &try{accounts: accounts, address: bugle.Network(address), limits: limits, waited: map[who]bool{}}
	now := a.clock.Now()
	waits := map[who]time.Duration{}
	for _, l := range limits {
		w, err := a.store.SignInWait(ctx, l.who[:])
		if err != nil {
			return nil, err
		}
		t.waited[l.who], waits[l.who] = w.Rounds > 0, w.Until.Sub(now)
	}
	wait, byStrangers := a.count(t.limits, waits, now)
	if wait > 0 && byStrangers {
		known, err := a.store.KnowsAddress(ctx, email, t.address)
		if err != nil {
			return nil, err
		}
		if known {
			t.limits = slices.DeleteFunc(slices.Clone(limits), func(l limit) bool { return l.strangers })
			wait, _ = a.count(t.limits, waits, now)
		}
	}
	if wait > 0 {
		if err := a.tell(ctx, t, true); err != nil {
			return nil, err
		}
		return nil, &TooManyError{wait}
	}
	return t, nil
}

// count counts an attempt as failed if nobody has to wait, and returns how long to wait if somebody has, and whether failures of
// strangers are a reason.
func (a *Authenticator) count(limits []limit, waits map[who]time.Duration, now time.Time) (wait time.Duration, byStrangers bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
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
		own := waits[l.who]
		if len(times) >= l.max {
			own = max(own, window-now.Sub(times[len(times)-l.max]))
		}
		if own > 0 {
			wait, byStrangers = max(wait, own), byStrangers || l.strangers
		}
	}
	if wait > 0 {
		return wait, byStrangers
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
	return 0, false
}

// failed tells the audit log, and lets those wait of whom there were too many failures.
func (a *Authenticator) failed(ctx context.Context, t *try) error {
	var full []limit
	a.mu.Lock()
	for _, l := range t.limits {
		if len(a.failures[l.who]) >= l.max {
			full = append(full, l) // those in memory stay: they keep out who has asked before this is written, and are over before the wait is
		}
	}
	a.mu.Unlock()
	if len(full) > 0 {
		err := a.store.Update(context.WithoutCancel(ctx), func(tx *store.Tx) error {
			for _, l := range full {
				if err := tx.AddSignInWait(l.who[:], window, l.longest); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return a.tell(ctx, t, false)
}

// succeeded forgets what begin counted last, and the failures and waits of that person from that address.
func (a *Authenticator) succeeded(ctx context.Context, t *try) error {
	a.uncount(t)
	for _, l := range t.limits {
		if !l.own {
			continue
		}
		a.mu.Lock()
		delete(a.failures, l.who)
		a.mu.Unlock()
		if t.waited[l.who] {
			if err := a.store.Update(context.WithoutCancel(ctx), func(tx *store.Tx) error { return tx.ForgetSignInWait(l.who[:]) }); err != nil {
				return err
			}
		}
	}
	return nil
}

// uncount forgets what begin counted last.
func (a *Authenticator) uncount(t *try) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, l := range t.limits {
		if times := a.failures[l.who]; len(times) > 1 {
			a.failures[l.who] = times[:len(times)-1]
		} else {
			delete(a.failures, l.who)
		}
	}
}
