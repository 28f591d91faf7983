package signin_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jonboulle/clockwork"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/internal/signin"
	"github.com/buglehq/bugle/internal/store"
	"github.com/buglehq/bugle/internal/storetest"
	"github.com/buglehq/bugle/personnel"
	"github.com/buglehq/bugle/value"
)

const (
	jane     = "jane@example.com"
	password = "several plain words"
	other    = "quite other words"
	home     = "192.0.2.1"
)

func hash(t *testing.T, password string) string {
	t.Helper()
	if password == "" {
		return ""
	}
	made, err := signin.Hash(password)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

// addAccount makes a user with an account. Without a password he cannot sign in.
func addAccount(t *testing.T, s *store.Store, organizationID int64, email, password string) *bugle.Account {
	t.Helper()
	h := hash(t, password)
	role, err := s.RoleByName(t.Context(), organizationID, bugle.AdminRole)
	if err != nil {
		t.Fatal(err)
	}
	var account *bugle.Account
	storetest.Change(t, s, func(tx *store.Tx) error {
		actor := storetest.Actor()
		actor.OrganizationID = organizationID
		user, err := tx.Create(actor, &personnel.User, value.Map("name", "Jane Roe", "email", email))
		if err != nil {
			return err
		}
		account = &bugle.Account{UserID: user.ID(), OrganizationID: organizationID, Role: role, PasswordHash: h}
		return tx.AddAccount(account)
	})
	return account
}

// newAuthenticator has one account, of jane.
func newAuthenticator(t *testing.T) (*signin.Authenticator, *store.Store, *clockwork.FakeClock) {
	t.Helper()
	s, clock := storetest.New(t)
	addAccount(t, s, 1, "Jane@Example.com", password)
	return signin.New(s, clock), s, clock
}

func wantRefused(t *testing.T, a *signin.Authenticator, email, password, address string) {
	t.Helper()
	if account, err := a.SignIn(t.Context(), email, password, address); !errors.Is(err, bugle.ErrUnauthorized) || account != nil {
		t.Errorf("%s with %q from %s: %+v, %v, want ErrUnauthorized", email, password, address, account, err)
	}
}

func wantWait(t *testing.T, err error, want time.Duration) {
	t.Helper()
	var many *signin.TooManyError
	if !errors.As(err, &many) || many.Wait != want {
		t.Errorf("the error is %v, want one that says to wait %s", err, want)
	}
}

func TestSignIn(t *testing.T) {
	a, s, _ := newAuthenticator(t)
	for _, email := range []string{jane, " JANE@example.COM\n"} {
		account, err := a.SignIn(t.Context(), email, password, home)
		if err != nil || account.UserID != 1 || account.OrganizationID != 1 || account.Role.Name != bugle.AdminRole || account.Email != "Jane@Example.com" {
			t.Errorf("%q: %+v, %v", email, account, err)
		}
	}
	wantRefused(t, a, jane, other, home)
	wantRefused(t, a, jane, "", home)
	wantRefused(t, a, "nobody@example.com", password, home)
	wantRefused(t, a, "", "", home)

	addAccount(t, s, 1, "new@example.com", "") // who has chosen no password yet
	wantRefused(t, a, "new@example.com", "", home)

	gone := addAccount(t, s, 1, "gone@example.com", password)
	storetest.Change(t, s, func(tx *store.Tx) error { return tx.SetAccountDisabled(1, gone.UserID, true) })
	wantRefused(t, a, "gone@example.com", password, home)
}

func TestSignIn_inTheOrganizationWhosePasswordItIs(t *testing.T) {
	a, s, _ := newAuthenticator(t)
	for range 2 {
		storetest.Change(t, s, func(tx *store.Tx) error { _, err := tx.AddOrganization("Another"); return err })
	}
	addAccount(t, s, 2, jane, other)
	addAccount(t, s, 3, jane, other)
	for text, want := range map[string]int64{password: 1, other: 2} {
		if account, err := a.SignIn(t.Context(), jane, text, home); err != nil || account.OrganizationID != want {
			t.Errorf("%q leads to %+v, %v, want organization %d", text, account, err, want)
		}
	}
	storetest.Change(t, s, func(tx *store.Tx) error { return tx.SetPassword(2, 2, hash(t, password)) })
	if account, err := a.SignIn(t.Context(), jane, other, home); err != nil || account.OrganizationID != 3 {
		t.Errorf("the password of the third leads to %+v, %v", account, err)
	}
}

func TestSignIn_fiveFailuresOfOnePersonFromOneAddress(t *testing.T) {
	a, _, clock := newAuthenticator(t)
	for range 5 {
		wantRefused(t, a, jane, other, home)
		clock.Advance(time.Minute)
	}
	_, err := a.SignIn(t.Context(), jane, password, home)
	wantWait(t, err, 14*time.Minute) // a quarter of an hour after the last one
	if _, err := a.SignIn(t.Context(), jane, password, "192.0.2.2"); err != nil {
		t.Errorf("from another address: %v", err)
	}
	clock.Advance(14*time.Minute - 1)
	_, err = a.SignIn(t.Context(), jane, password, home)
	wantWait(t, err, 1)
	clock.Advance(1)
	if _, err := a.SignIn(t.Context(), jane, password, home); err != nil {
		t.Errorf("after a quarter of an hour: %v", err)
	}
	for range 5 { // success has forgotten the others
		wantRefused(t, a, jane, other, home)
	}
}

func TestSignIn_twentyFailuresFromOneAddress(t *testing.T) {
	a, _, _ := newAuthenticator(t)
	for i := range 20 { // of one network, in which whoever has one address can have each
		wantRefused(t, a, fmt.Sprintf("nobody%d@example.com", i), password, fmt.Sprintf("2001:db8:1:2::%x", i+1))
	}
	for _, address := range []string{"2001:db8:1:2:ffff::1", "2001:db8:1:2::1%eth0"} {
		_, err := a.SignIn(t.Context(), jane, password, address)
		wantWait(t, err, 15*time.Minute)
	}
	if _, err := a.SignIn(t.Context(), jane, password, "2001:db8:1:3::1"); err != nil {
		t.Errorf("from another network: %v", err)
	}
	for i := range 20 {
		address := home
		if i%2 == 0 {
			address = "::ffff:" + home
		}
		wantRefused(t, a, fmt.Sprintf("nobody%d@example.com", i), password, address)
	}
	_, err := a.SignIn(t.Context(), jane, password, home)
	wantWait(t, err, 15*time.Minute)
	if _, err := a.SignIn(t.Context(), jane, password, "192.0.2.2"); err != nil {
		t.Errorf("from the next address: %v", err)
	}
}

func TestSignIn_thirtyFailuresOfOnePerson(t *testing.T) {
	a, _, _ := newAuthenticator(t)
	for i := range 30 {
		wantRefused(t, a, strings.ToUpper(jane), other, fmt.Sprintf("192.0.2.%d", i+1))
	}
	_, err := a.SignIn(t.Context(), jane, password, "192.0.2.200")
	wantWait(t, err, 15*time.Minute)
}

// Those that come at once are counted before they are looked at.
func TestSignIn_manyAtOnce(t *testing.T) {
	a, _, _ := newAuthenticator(t)
	var refused, limited int
	var mu sync.Mutex
	var all sync.WaitGroup
	for range 12 {
		all.Go(func() {
			_, err := a.SignIn(context.Background(), jane, other, home)
			var many *signin.TooManyError
			mu.Lock()
			defer mu.Unlock()
			switch {
			case errors.As(err, &many):
				limited++
			case errors.Is(err, bugle.ErrUnauthorized):
				refused++
			}
		})
	}
	all.Wait()
	if refused != 5 || limited != 7 {
		t.Errorf("%d were refused and %d told to wait, want 5 and 7", refused, limited)
	}
}

// An attempt that was not looked at is not held against anybody.
func TestSignIn_withoutRoom(t *testing.T) {
	a, s, _ := newAuthenticator(t)
	empty := signin.Fill()
	for _, email := range []string{jane, jane, jane, jane, jane, jane, "nobody@example.com"} {
		_, err := a.SignIn(t.Context(), email, password, home)
		wantWait(t, err, 5*time.Second)
	}
	account, err := s.Account(t.Context(), 1, 1)
	if err != nil {
		t.Fatal(err)
	}
	_, err = a.Verify(t.Context(), account, password, home)
	wantWait(t, err, 5*time.Second)
	empty()

	leave := signin.Occupy()
	for range 6 {
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		if _, err := a.SignIn(ctx, jane, password, home); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("who waits no longer gets %v", err)
		}
		cancel()
	}
	leave()
	if _, err := a.SignIn(t.Context(), jane, password, home); err != nil {
		t.Errorf("with room again: %v", err)
	}
	if names, _ := a.Remembered(); names != 0 {
		t.Errorf("%d are remembered", names)
	}
}

// A password that was changed while it was compared lets nobody in any more.
func TestSignIn_changedMeanwhile(t *testing.T) {
	for what, change := range map[string]func(*store.Tx) error{
		"password": func(tx *store.Tx) error { return tx.SetPassword(1, 1, "another") },
		"disabled": func(tx *store.Tx) error { return tx.SetAccountDisabled(1, 1, true) },
		"deleted":  func(tx *store.Tx) error { _, err := tx.Delete(storetest.Actor(), &personnel.User, 1); return err },
	} {
		t.Run(what, func(t *testing.T) {
			a, s, _ := newAuthenticator(t)
			addAccount(t, s, 1, "second.admin@example.com", password)
			leave := signin.Occupy()
			result := make(chan error)
			go func() {
				_, err := a.SignIn(context.Background(), jane, password, home)
				result <- err
			}()
			for comparing := 0; comparing == 0; comparing = signin.Comparing() {
				runtime.Gosched()
			}
			storetest.Change(t, s, change)
			leave()
			if err := <-result; !errors.Is(err, bugle.ErrUnauthorized) {
				t.Errorf("the old password leads to %v", err)
			}
		})
	}
}

func TestSignIn_brokenHashAndClosedStore(t *testing.T) {
	a, s, _ := newAuthenticator(t)
	storetest.Change(t, s, func(tx *store.Tx) error { return tx.SetPassword(1, 1, "plain text") })
	var many *signin.TooManyError
	if _, err := a.SignIn(t.Context(), jane, "plain text", home); err == nil || errors.Is(err, bugle.ErrUnauthorized) || errors.As(err, &many) {
		t.Errorf("a hash that is none leads to %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for range 6 {
		if _, err := a.SignIn(t.Context(), jane, password, home); err == nil || errors.Is(err, bugle.ErrUnauthorized) || errors.As(err, &many) {
			t.Errorf("a closed store leads to %v", err)
		}
	}
}

func TestVerify(t *testing.T) {
	a, s, _ := newAuthenticator(t)
	account, err := s.Account(t.Context(), 1, 1)
	if err != nil {
		t.Fatal(err)
	}
	if ok, err := a.Verify(t.Context(), account, password, home); !ok || err != nil {
		t.Errorf("the password: %v, %v", ok, err)
	}
	for range 5 {
		if ok, err := a.Verify(t.Context(), account, other, home); ok || err != nil {
			t.Errorf("another: %v, %v", ok, err)
		}
	}
	_, err = a.Verify(t.Context(), account, password, home)
	wantWait(t, err, 15*time.Minute)
	_, err = a.SignIn(t.Context(), jane, password, home) // the same limit
	wantWait(t, err, 15*time.Minute)
	if ok, err := a.Verify(t.Context(), &bugle.Account{Email: "new@example.com"}, "", home); ok || err != nil {
		t.Errorf("without a password: %v, %v", ok, err)
	}
}

func TestAsk_fiveTimes(t *testing.T) {
	a, _, clock := newAuthenticator(t)
	for i := range 5 {
		if wait := a.Ask(jane, fmt.Sprintf("192.0.2.%d", i)); wait != 0 {
			t.Errorf("request %d has to wait %s", i+1, wait)
		}
	}
	if wait := a.Ask(" Jane@Example.com", "192.0.2.9"); wait != 15*time.Minute {
		t.Errorf("the sixth has to wait %s", wait)
	}
	clock.Advance(15 * time.Minute)
	if wait := a.Ask(jane, home); wait != 0 {
		t.Errorf("later one has to wait %s", wait)
	}
}

func TestFailures_takeBoundedMemory(t *testing.T) {
	a, _, _ := newAuthenticator(t)
	for i := range signin.MaxRemember {
		a.Ask(fmt.Sprint(i), fmt.Sprint("address ", i))
	}
	if names, order := a.Remembered(); names > signin.MaxRemember || order > signin.MaxRemember {
		t.Errorf("%d names and %d failures are remembered", names, order)
	}
}

func TestHash(t *testing.T) {
	first, second := hash(t, password), hash(t, password)
	if first == second || !strings.HasPrefix(first, "$argon2id$v=19$") {
		t.Errorf("hashes are %q and %q", first, second)
	}
	if p := signin.Parameters; p.Memory != 19<<10 || p.Iterations != 2 || p.Parallelism != 1 || p.SaltLength != 16 || p.KeyLength != 32 {
		t.Errorf("they are made with %+v", p)
	}
}
