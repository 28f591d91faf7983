package signin_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/internal/signin"
	"github.com/buglehq/bugle/internal/store"
	"github.com/buglehq/bugle/internal/storetest"
)

// exhaust fails as often as jane may from an address.
func exhaust(t *testing.T, a *signin.Authenticator, address string) {
	t.Helper()
	for range 5 {
		wantRefused(t, a, jane, other, address)
	}
}

func try(a *signin.Authenticator, address string) error {
	_, err := a.SignIn(context.Background(), jane, password, address)
	return err
}

// Each round of failures makes the wait twice as long, up to a day. A day without one, or the right password, lets begin anew.
func TestSignIn_waitsGrow(t *testing.T) {
	a, _, clock := newAuthenticator(t)
	wait := 15 * time.Minute
	for range 9 {
		exhaust(t, a, home)
		wantWait(t, try(a, home), wait)
		clock.Advance(wait - 1)
		wantWait(t, try(a, home), 1)
		clock.Advance(1)
		wait = min(2*wait, 24*time.Hour)
	}
	if wait != 24*time.Hour {
		t.Fatalf("the wait has grown to %s", wait)
	}
	clock.Advance(24*time.Hour - time.Second)
	exhaust(t, a, home)
	wantWait(t, try(a, home), wait)
	clock.Advance(wait + 24*time.Hour)
	exhaust(t, a, home)
	wantWait(t, try(a, home), 15*time.Minute)
	clock.Advance(15 * time.Minute)
	if err := try(a, home); err != nil {
		t.Errorf("after the wait: %v", err)
	}
	exhaust(t, a, home)
	wantWait(t, try(a, home), 15*time.Minute)
}

// A wait holds for other servers, and for one that starts again.
func TestSignIn_waitsHoldElsewhere(t *testing.T) {
	a, s, clock := newAuthenticator(t)
	exhaust(t, a, home)
	again := signin.New(s, clock)
	wantWait(t, try(again, home), 15*time.Minute)
	clock.Advance(15 * time.Minute)
	exhaust(t, again, home)
	wantWait(t, try(a, home), 30*time.Minute)
}

// Two servers that count the same failures make one round of them.
func TestSignIn_waitsAreCountedOnce(t *testing.T) {
	a, s, clock := newAuthenticator(t)
	again := signin.New(s, clock)
	for range 4 {
		wantRefused(t, a, jane, other, home)
		wantRefused(t, again, jane, other, home)
	}
	wantRefused(t, a, jane, other, home)
	wantWait(t, try(again, home), 15*time.Minute)
	clock.Advance(15 * time.Minute)
	exhaust(t, again, home)
	wantWait(t, try(again, home), 30*time.Minute)
}

// Strangers who try from everywhere keep others out, but not those who come from where the account's owner has signed in before.
func TestSignIn_strangersDoNotLockOutTheOwner(t *testing.T) {
	a, s, clock := newAuthenticator(t)
	storetest.Change(t, s, func(tx *store.Tx) error {
		_, err := tx.NotePlace(1, 1, bugle.Network("2001:db8::1"), "Firefox on Linux")
		return err
	})
	attack := func(n int) {
		for i := range 30 {
			wantRefused(t, a, jane, other, fmt.Sprintf("198.51.%d.%d", n, i))
		}
	}
	const known, unknown = "2001:db8::2", "203.0.113.9"
	for n, wait := range []time.Duration{15 * time.Minute, 30 * time.Minute, time.Hour, 2 * time.Hour, 4 * time.Hour, 4 * time.Hour} {
		attack(n)
		wantWait(t, try(a, unknown), wait)
		if err := try(a, known); err != nil {
			t.Errorf("from where he was before: %v", err)
		}
		clock.Advance(wait)
	}
	attack(9)
	for range 5 {
		wantRefused(t, a, jane, other, known)
	}
	wantWait(t, try(a, known), 15*time.Minute) // the limits of an address hold there too
	clock.Advance(91 * 24 * time.Hour)
	attack(10)
	wantWait(t, try(a, known), 15*time.Minute) // it is too long ago
}

// The answer is the same whether there is an account or not.
func TestSignIn_waitsSayNothingOfAccounts(t *testing.T) {
	a, _, _ := newAuthenticator(t)
	for _, email := range []string{jane, "nobody@example.com"} {
		for range 5 {
			wantRefused(t, a, email, other, home)
		}
		_, err := a.SignIn(t.Context(), email, other, home)
		wantWait(t, err, 15*time.Minute)
	}
}

// Attempts that are refused are told as failures are, apart from them.
func TestSignIn_refusalsAreTold(t *testing.T) {
	a, s, _ := newAuthenticator(t)
	exhaust(t, a, home)
	for range 100 {
		var many *signin.TooManyError
		if err := try(a, home); !errors.As(err, &many) {
			t.Fatal(err)
		}
	}
	page, err := s.AuditEntries(t.Context(), 1, store.AuditFilter{Action: "account.sign_in_refused"}, store.PageRequest{Number: 1, Limit: store.MaxLimit})
	if err != nil || len(page.Items) != 7 { // 1, 2, 4, … 64
		t.Errorf("%d refusals are told, %v", len(page.Items), err)
	}
	if got := failed(t, s, 1); len(got) != 3 {
		t.Errorf("failures are told as %q", got)
	}
}

// With a closed database nobody gets in, and nothing is held against anybody.
func TestUseCode_closedStore(t *testing.T) {
	a, s, clock := newAuthenticator(t)
	account, _, codes := turnOn(t, a, s, clock)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := a.UseCode(t.Context(), account, codes[0], home, nil); err == nil || errors.Is(err, bugle.ErrUnauthorized) {
		t.Errorf("a code leads to %v", err)
	}
}
