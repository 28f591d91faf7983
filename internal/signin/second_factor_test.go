package signin_test

import (
	"encoding/base32"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jonboulle/clockwork"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/internal/signin"
	"github.com/buglehq/bugle/internal/store"
	"github.com/buglehq/bugle/internal/storetest"
)

// The vectors of RFC 6238, appendix B, of which six digits are shown.
func TestCode_isThatOfTheRFC(t *testing.T) {
	for unix, want := range map[int64]string{
		59: "287082", 1111111109: "081804", 1111111111: "050471", 1234567890: "005924", 2000000000: "279037", 20000000000: "353130",
	} {
		if got := signin.Code([]byte("12345678901234567890"), time.Unix(unix, 0)); got != want {
			t.Errorf("at %d the code is %s, want %s", unix, got, want)
		}
	}
}

func TestKeyURL(t *testing.T) {
	key := signin.NewKey()
	if len(key) != 20 || string(key) == string(signin.NewKey()) {
		t.Fatalf("the key is %x", key)
	}
	text := signin.KeyURL(key, "Bugle: 2nd Battalion", "jane+roe@example.com")
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "otpauth" || u.Host != "totp" || u.Path != "/Bugle  2nd Battalion:jane+roe@example.com" || strings.Contains(u.RawQuery, "+") {
		t.Errorf("the URL is %s, %v", text, err)
	}
	query := u.Query()
	secret, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(query.Get("secret"))
	if err != nil || string(secret) != string(key) || query.Get("secret") != signin.KeyText(key) || query.Get("issuer") != "Bugle  2nd Battalion" || query.Get("digits") != "6" || query.Get("period") != "30" {
		t.Errorf("its query is %v, %v", query, err)
	}
}

// turnOn gives jane a second factor, and returns its key and the recovery codes.
func turnOn(t *testing.T, a *signin.Authenticator, s *store.Store, clock *clockwork.FakeClock) (*bugle.Account, []byte, []string) {
	t.Helper()
	key := signin.NewKey()
	storetest.Change(t, s, func(tx *store.Tx) error { return tx.BeginSecondFactor(1, 1, key) })
	account, err := s.Account(t.Context(), 1, 1)
	if err != nil || !account.SecondFactorSince.IsZero() {
		t.Fatalf("before it is confirmed the account is %+v, %v", account, err)
	}
	codes, err := a.TurnOn(t.Context(), account, signin.Code(key, clock.Now()), home)
	if err != nil {
		t.Fatal(err)
	}
	if account, err = s.Account(t.Context(), 1, 1); err != nil || !account.SecondFactorSince.Equal(clock.Now()) {
		t.Fatalf("once it is confirmed the account is %+v, %v", account, err)
	}
	return account, key, codes
}

func wantCode(t *testing.T, a *signin.Authenticator, account *bugle.Account, what, code string, want error) signin.UsedCode {
	t.Helper()
	used, err := a.UseCode(t.Context(), account, code, home, nil)
	if !errors.Is(err, want) {
		t.Errorf("%s: %v, want %v", what, err, want)
	}
	return used
}

func TestUseCode(t *testing.T) {
	a, s, clock := newAuthenticator(t)
	account, key, _ := turnOn(t, a, s, clock)
	at := func(d time.Duration) string { return signin.Code(key, clock.Now().Add(d)) }
	wantCode(t, a, account, "the code that has confirmed the key", at(0), bugle.ErrUnauthorized)
	wantCode(t, a, account, "the one before", at(-30*time.Second), bugle.ErrUnauthorized)
	next := at(30 * time.Second)
	wantCode(t, a, account, "that of a clock which is ahead", next[:3]+" "+next[3:], nil)
	clock.Advance(30 * time.Second)
	wantCode(t, a, account, "the same again", next, bugle.ErrUnauthorized)
	clock.Advance(time.Minute)
	wantCode(t, a, account, "too late", at(-time.Minute), bugle.ErrUnauthorized)
	wantCode(t, a, account, "too early", at(time.Minute), bugle.ErrUnauthorized)
	wantCode(t, a, account, "of a clock which is behind", at(-30*time.Second), nil)
	wantCode(t, a, account, "now", at(0), nil)
	for _, wrong := range []string{"", "12345", "1234567", at(0)} {
		wantCode(t, a, account, wrong, wrong, bugle.ErrUnauthorized)
	}
}

// Of two requests with the same code at once, one gets in.
func TestUseCode_atOnce(t *testing.T) {
	a, s, clock := newAuthenticator(t)
	account, key, recovery := turnOn(t, a, s, clock)
	clock.Advance(time.Minute)
	for _, code := range []string{signin.Code(key, clock.Now()), recovery[0]} {
		var all sync.WaitGroup
		var mu sync.Mutex
		in := 0
		for range 4 {
			all.Go(func() {
				_, err := a.UseCode(t.Context(), account, code, home, nil)
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					in++
				}
			})
		}
		all.Wait()
		if in != 1 {
			t.Errorf("with one code %d got in", in)
		}
	}
}

func TestUseCode_recovery(t *testing.T) {
	a, s, clock := newAuthenticator(t)
	account, key, codes := turnOn(t, a, s, clock)
	if len(codes) != 10 {
		t.Fatalf("there are %d recovery codes", len(codes))
	}
	shown := signin.GroupCode(codes[0])
	if len(shown) != 19 || strings.Count(shown, "-") != 3 {
		t.Errorf("a recovery code is shown as %s", shown)
	}
	if used := wantCode(t, a, account, "a recovery code", " "+strings.ToUpper(shown), nil); !used.Recovery || used.Left != 9 {
		t.Errorf("it was used as %+v", used)
	}
	wantCode(t, a, account, "the same again", shown, bugle.ErrUnauthorized)
	clock.Advance(time.Minute)
	others, err := a.NewRecoveryCodes(t.Context(), account, signin.Code(key, clock.Now()), home)
	if err != nil || len(others) != 10 {
		t.Fatalf("new recovery codes: %d, %v", len(others), err)
	}
	wantCode(t, a, account, "one of the old ones", codes[1], bugle.ErrUnauthorized)
	if used := wantCode(t, a, account, "one of the new ones", others[1], nil); used.Left != 9 {
		t.Errorf("%d are left", used.Left)
	}
	if _, err := a.NewRecoveryCodes(t.Context(), account, "000000", home); !errors.Is(err, bugle.ErrUnauthorized) {
		t.Errorf("without a code: %v", err)
	}
}

// Wrong codes count from one address, and for the account from all.
func TestUseCode_limits(t *testing.T) {
	a, s, clock := newAuthenticator(t)
	account, key, _ := turnOn(t, a, s, clock)
	clock.Advance(time.Minute)
	try := func(address, code string) error {
		_, err := a.UseCode(t.Context(), account, code, address, nil)
		return err
	}
	for range 5 {
		if err := try(home, "000000"); !errors.Is(err, bugle.ErrUnauthorized) {
			t.Fatal(err)
		}
		// The right password between the guesses gives no new ones.
		if _, err := a.SignIn(t.Context(), jane, password, home); err != nil {
			t.Fatal(err)
		}
	}
	wantWait(t, try(home, signin.Code(key, clock.Now())), 15*time.Minute)
	for i := range 5 {
		if err := try(fmt.Sprintf("198.51.100.%d", i), "000000"); !errors.Is(err, bugle.ErrUnauthorized) {
			t.Fatal(err)
		}
	}
	wantWait(t, try("198.51.100.77", signin.Code(key, clock.Now())), 15*time.Minute)
	if got := failed(t, s, 1); len(got) != 8 { // the first, second and fourth of one address, and the first of five others
		t.Errorf("the audit log tells %q", got)
	}
}

func TestTurnOn_refuses(t *testing.T) {
	a, s, clock := newAuthenticator(t)
	account, err := s.Account(t.Context(), 1, 1)
	if err != nil {
		t.Fatal(err)
	}
	on := func(code string) error {
		_, err := a.TurnOn(t.Context(), account, code, home)
		return err
	}
	if err := on("000000"); !errors.Is(err, bugle.ErrNotFound) {
		t.Errorf("without a key: %v", err)
	}
	wantCode(t, a, account, "without a second factor", "000000", bugle.ErrUnauthorized)
	key := signin.NewKey()
	storetest.Change(t, s, func(tx *store.Tx) error { return tx.BeginSecondFactor(1, 1, key) })
	wantCode(t, a, account, "before it is turned on", signin.Code(key, clock.Now()), bugle.ErrUnauthorized)
	wantCode(t, a, account, "a recovery code before", "abcdabcdabcdabcd", bugle.ErrUnauthorized)
	if err := on(signin.Code(key, clock.Now().Add(-time.Hour))); !errors.Is(err, bugle.ErrUnauthorized) {
		t.Errorf("with a wrong code: %v", err)
	}
	clock.Advance(signin.SetupLasts)
	if err := on(signin.Code(key, clock.Now())); !errors.Is(err, bugle.ErrNotFound) {
		t.Errorf("after an hour: %v", err)
	}
}
