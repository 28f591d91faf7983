package store_test

import (
	"errors"
	"testing"
	"time"

	"github.com/jonboulle/clockwork"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/internal/store"
	"github.com/buglehq/bugle/internal/storetest"
	"github.com/buglehq/bugle/personnel"
)

func TestIdentities(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *clockwork.FakeClock) {
		const issuer = "https://id.example.com"
		role := roleNamed(t, s, 1, bugle.AdminRole)
		jane, john := addAccount(t, s, "Jane Roe", role), addAccount(t, s, "John Doe", role)
		found := func(subject string) (id int64) {
			storetest.Change(t, s, func(tx *store.Tx) error {
				a, err := tx.AccountByIdentity(issuer, subject)
				if errors.Is(err, bugle.ErrNotFound) {
					return nil
				}
				if err == nil {
					id = a.UserID
				}
				return err
			})
			return id
		}
		link := func(a *bugle.Account, issuer, subject string) error {
			return s.Update(t.Context(), func(tx *store.Tx) error {
				return tx.LinkIdentity(a, bugle.Identity{Issuer: issuer, Subject: subject, Email: a.Email})
			})
		}
		if id := found("1"); id != 0 {
			t.Errorf("nobody is linked, but %d is found", id)
		}
		if err := errors.Join(link(jane, issuer, "1"), link(jane, "https://other.example.com", "1"), link(john, issuer, "2")); err != nil {
			t.Fatal(err)
		}
		for _, err := range []error{link(john, issuer, "1"), link(jane, issuer, "3"), link(jane, issuer, "1")} {
			if !errors.Is(err, bugle.ErrConflict) {
				t.Errorf("error %v, want ErrConflict", err)
			}
		}
		if one, two, three := found("1"), found("2"), found("3"); one != jane.UserID || two != john.UserID || three != 0 {
			t.Errorf("found %d, %d, %d", one, two, three)
		}
		list, err := s.Identities(t.Context(), 1, jane.UserID)
		if err != nil || len(list) != 2 || list[0].Subject != "1" || list[0].Issuer != issuer || !list[0].LinkedAt.Equal(storetest.Start) {
			t.Errorf("identities %+v, %v", list, err)
		}
		unlink := func() error {
			return s.Update(t.Context(), func(tx *store.Tx) error { return tx.UnlinkIdentity(1, jane.UserID, issuer) })
		}
		if err := unlink(); err != nil || found("1") != 0 {
			t.Errorf("after it is unlinked, %d is found, %v", found("1"), err)
		}
		if err := unlink(); !errors.Is(err, bugle.ErrNotFound) {
			t.Errorf("unlinked again: %v", err)
		}
		other := s.Update(t.Context(), func(tx *store.Tx) error { return tx.UnlinkIdentity(2, john.UserID, issuer) })
		if !errors.Is(other, bugle.ErrNotFound) || found("2") == 0 {
			t.Errorf("unlinked from another organization: %v", other)
		}
		storetest.Delete(t, s, &personnel.User, john.UserID)
		if id := found("2"); id != 0 {
			t.Errorf("the identity of a deleted user finds %d", id)
		}
	})
}

// A sign-in comes back once, and what is remembered of it is deleted in time.
func TestUseSignIn(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *clockwork.FakeClock) {
		use := func(state string) (first bool) {
			storetest.Change(t, s, func(tx *store.Tx) (err error) {
				first, err = tx.UseSignIn(state, tx.Now().Add(10*time.Minute))
				return err
			})
			return first
		}
		if !use("a") || use("a") || !use("b") {
			t.Error("it is not once that each may come back")
		}
		clock.Advance(10 * time.Minute)
		use("c")
		n := 0
		if err := s.Query(t.Context(), func(scan func(to ...any) error) error { return scan(&n) }, "SELECT COUNT(*) FROM used_sign_ins"); err != nil || n != 1 {
			t.Errorf("%d are remembered, %v", n, err)
		}
	})
}

// An admin who signs in by a provider is one who can sign in: the last one stays.
func TestIdentities_theLastAdmin(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *clockwork.FakeClock) {
		admin := roleNamed(t, s, 1, bugle.AdminRole)
		jane := &bugle.Account{UserID: user(t, s, "Jane Roe").ID(), OrganizationID: 1, Role: admin}
		storetest.Change(t, s, func(tx *store.Tx) error {
			if err := tx.AddAccount(jane); err != nil {
				return err
			}
			return tx.LinkIdentity(jane, bugle.Identity{Issuer: "https://id.example.com", Subject: "1"})
		})
		disable := func() error {
			return s.Update(t.Context(), func(tx *store.Tx) error { return tx.SetAccountDisabled(1, jane.UserID, true) })
		}
		if err := disable(); !errors.Is(err, bugle.ErrConflict) {
			t.Errorf("the last admin: %v", err)
		}
		addAccount(t, s, "John Doe", admin)
		if err := disable(); err != nil {
			t.Errorf("one of two admins: %v", err)
		}
	})
}
