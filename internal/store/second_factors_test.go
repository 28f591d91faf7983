package store_test

import (
	"encoding/hex"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jonboulle/clockwork"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/internal/secrets"
	"github.com/buglehq/bugle/internal/store"
	"github.com/buglehq/bugle/internal/storetest"
)

const factorKey = "sentinel-of-factor-0"

// addFactor gives an account a second factor with two recovery codes.
func addFactor(t *testing.T, s *store.Store, userID int64) {
	t.Helper()
	storetest.Change(t, s, func(tx *store.Tx) error {
		if err := tx.BeginSecondFactor(1, userID, []byte(factorKey)); err != nil {
			return err
		}
		return tx.TurnOnSecondFactor(1, userID, 7, []string{"first-code", "second-code"})
	})
}

func TestSecondFactors(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *clockwork.FakeClock) {
		a := addAccount(t, s, "jane", roleNamed(t, s, 1, bugle.UserRole))
		if _, err := s.SecondFactor(t.Context(), 1, a.UserID); !errors.Is(err, bugle.ErrNotFound) {
			t.Errorf("without one: %v", err)
		}
		for _, key := range []string{"an earlier key", factorKey} {
			storetest.Change(t, s, func(tx *store.Tx) error { return tx.BeginSecondFactor(1, a.UserID, []byte(key)) })
		}
		f, err := s.SecondFactor(t.Context(), 1, a.UserID)
		if err != nil || string(f.Key) != factorKey || !f.Since.IsZero() || !f.BegunAt.Equal(clock.Now()) || f.CodesLeft != 0 {
			t.Errorf("once it has begun: %+v, %v", f, err)
		}
		update := func(change func(tx *store.Tx) error) error { return s.Update(t.Context(), change) }
		if err := update(func(tx *store.Tx) error { return tx.RemoveSecondFactor(1, a.UserID) }); !errors.Is(err, bugle.ErrNotFound) {
			t.Errorf("removing what is not confirmed: %v", err)
		}
		if err := update(func(tx *store.Tx) error { return tx.SetRecoveryCodes(1, a.UserID, []string{"x"}) }); !errors.Is(err, bugle.ErrNotFound) {
			t.Errorf("recovery codes for what is not confirmed: %v", err)
		}
		addFactor(t, s, addAccount(t, s, "other", roleNamed(t, s, 1, bugle.UserRole)).UserID)
		storetest.Change(t, s, func(tx *store.Tx) error {
			return tx.TurnOnSecondFactor(1, a.UserID, 7, []string{"first-code", "second-code"})
		})
		for what, change := range map[string]func(tx *store.Tx) error{
			"turning it on again":  func(tx *store.Tx) error { return tx.TurnOnSecondFactor(1, a.UserID, 8, nil) },
			"beginning another":    func(tx *store.Tx) error { return tx.BeginSecondFactor(1, a.UserID, []byte("x")) },
			"the same step":        func(tx *store.Tx) error { return tx.UseStep(1, a.UserID, 7) },
			"the step before":      func(tx *store.Tx) error { return tx.UseStep(1, a.UserID, 6) },
			"another organization": func(tx *store.Tx) error { return tx.UseStep(2, a.UserID, 9) },
		} {
			if err := update(change); !errors.Is(err, bugle.ErrConflict) {
				t.Errorf("%s: %v, want a conflict", what, err)
			}
		}
		storetest.Change(t, s, func(tx *store.Tx) error { return tx.UseStep(1, a.UserID, 8) })
		var left int
		use := func(organizationID int64, code string) error {
			return update(func(tx *store.Tx) (err error) {
				left, err = tx.UseRecoveryCode(organizationID, a.UserID, code)
				return err
			})
		}
		if err := use(1, "first-code"); err != nil || left != 1 {
			t.Errorf("a recovery code: %d left, %v", left, err)
		}
		for _, code := range []string{"first-code", "third-code", ""} {
			if err := use(1, code); !errors.Is(err, bugle.ErrNotFound) {
				t.Errorf("the code %q: %v", code, err)
			}
		}
		if err := use(2, "second-code"); !errors.Is(err, bugle.ErrNotFound) {
			t.Errorf("a code in another organization: %v", err)
		}
		if f, err = s.SecondFactor(t.Context(), 1, a.UserID); err != nil || f.LastStep != 8 || f.CodesLeft != 1 || !f.Since.Equal(clock.Now()) {
			t.Errorf("it is %+v, %v", f, err)
		}
		account, err := s.Account(t.Context(), 1, a.UserID)
		if err != nil || !account.SecondFactorSince.Equal(clock.Now()) {
			t.Errorf("the account is %+v, %v", account, err)
		}
		storetest.Change(t, s, func(tx *store.Tx) error { return tx.RemoveSecondFactor(1, a.UserID) })
		if n := query[int](t, s, fmt.Sprintf("SELECT COUNT(*) FROM recovery_codes WHERE user_id = %d", a.UserID))[0]; n != 0 {
			t.Errorf("%d recovery codes are left", n)
		}
		if n := count(t, s, "second_factors"); n != 1 {
			t.Errorf("%d second factors are left, want that of the other", n)
		}
	})
}

// Neither the key nor the codes are in the tables, nor in the audit log.
func TestSecondFactors_areNotInTheTables(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *clockwork.FakeClock) {
		a := addAccount(t, s, "jane", roleNamed(t, s, 1, bugle.UserRole))
		addFactor(t, s, a.UserID)
		storetest.Change(t, s, func(tx *store.Tx) error { _, err := tx.UseRecoveryCode(1, a.UserID, "first-code"); return err })
		storetest.Change(t, s, func(tx *store.Tx) error { return tx.SetRecoveryCodes(1, a.UserID, []string{"second-code"}) })
		err := s.Query(t.Context(), func(scan func(to ...any) error) error {
			var sealed, salt, hash []byte
			if err := scan(&sealed, &salt, &hash); err != nil {
				return err
			}
			text := string(sealed) + string(salt) + string(hash)
			if strings.Contains(text, factorKey) || strings.Contains(text, "second-code") || len(salt) != 16 || len(hash) != 32 {
				t.Errorf("a row holds %q, %x, %x", sealed, salt, hash)
			}
			return nil
		}, "SELECT f.sealed, f.salt, r.hash FROM second_factors f JOIN recovery_codes r ON r.user_id = f.user_id")
		if err != nil {
			t.Fatal(err)
		}
		storetest.Change(t, s, func(tx *store.Tx) error { return tx.RemoveSecondFactor(1, a.UserID) })
		page, err := s.AuditEntries(t.Context(), 1, store.AuditFilter{SubjectKind: "account"}, firstPage)
		if err != nil {
			t.Fatal(err)
		}
		var told []string
		for _, e := range page.Items {
			told = append(told, e.Action)
			if text := fmt.Sprintf("%+v", e); strings.Contains(text, "-code\"") || strings.Contains(text, factorKey) || strings.Contains(text, hex.EncodeToString([]byte(factorKey))) {
				t.Errorf("a secret is in %s", text)
			}
		}
		if got, want := fmt.Sprint(told), "[account.second_factor_off account.recovery_codes_made account.recovery_code_used account.second_factor_on account.created]"; got != want {
			t.Errorf("the audit log tells %s, want %s", got, want)
		}
	})
}

// A key of a second factor is encrypted, counted, encrypted anew and given up as secrets of webhooks are.
func TestSecrets_ofSecondFactors(t *testing.T) {
	s := storetest.Open(t, storetest.Database(t), store.Options{Node: "one", Secrets: secrets.File(filepath.Join(t.TempDir(), "secrets.key"))})
	a, b := addAccount(t, s, "jane", roleNamed(t, s, 1, bugle.UserRole)), addAccount(t, s, "joe", roleNamed(t, s, 1, bugle.UserRole))
	addFactor(t, s, a.UserID)
	addFactor(t, s, b.UserID)
	if _, _, err := s.AddSecretKey(t.Context()); err != nil {
		t.Fatal(err)
	}
	id, _, err := s.UseSecretKey(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	if removed, _, err := s.PruneSecretKeys(t.Context()); err != nil || len(removed) != 0 {
		t.Errorf("keys were removed that second factors need: %v, %v", removed, err)
	}
	if done, failed, err := s.Reseal(t.Context(), nil); done != 2 || failed != 0 || err != nil {
		t.Errorf("encrypted anew: %d, %d, %v", done, failed, err)
	}
	if removed, _, err := s.PruneSecretKeys(t.Context()); err != nil || len(removed) != 1 {
		t.Errorf("keys were removed: %v, %v", removed, err)
	}
	status, err := s.SecretsStatus(t.Context())
	if err != nil || len(status.Keys) != 1 || status.Keys[0].ID != id || status.Keys[0].Secrets != 2 || status.Unreadable != 0 {
		t.Errorf("the status is %+v, %v", status, err)
	}
	wantFaults(t, prove(t, s))
	exec(t, s, fmt.Sprintf("UPDATE second_factors SET sealed = (SELECT sealed FROM second_factors WHERE user_id = %d) WHERE user_id = %d", a.UserID, b.UserID))
	f, err := s.SecondFactor(t.Context(), 1, b.UserID)
	if !errors.Is(err, store.ErrUnreadable) || f == nil || f.CodesLeft != 2 {
		t.Errorf("that of another opens: %+v, %v", f, err)
	}
	wantFaults(t, prove(t, s), fmt.Sprintf("secrets %d: the key of this user's second factor cannot be read: it does not open with key %d: it was changed, or belongs to something else", b.UserID, id))
	status, err = s.SecretsStatus(t.Context())
	if err != nil || status.Unreadable != 1 || status.First[0].String() != fmt.Sprintf("the second factor of user %d %q of organization 1", b.UserID, account(t, s, b.UserID).Name) {
		t.Errorf("the status is %+v, %v", status, err)
	}
	if done, failed, err := s.Reseal(t.Context(), nil); done != 0 || failed != 0 || err != nil {
		t.Errorf("encrypted anew: %d, %d, %v", done, failed, err)
	}
	if n, err := s.ResetSecrets(t.Context()); n != 1 || err != nil {
		t.Errorf("given up: %d, %v", n, err)
	}
	if _, err := s.SecondFactor(t.Context(), 1, b.UserID); !errors.Is(err, bugle.ErrNotFound) {
		t.Errorf("what was given up: %v", err)
	}
	if _, err := s.SecondFactor(t.Context(), 1, a.UserID); err != nil {
		t.Errorf("the other: %v", err)
	}
}
