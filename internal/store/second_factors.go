package store

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/internal/secrets"
)

// A SecondFactor is what an account shows besides its password.
type SecondFactor struct {
	OrganizationID, UserID int64
	Key                    []byte    // that codes are made with; a secret
	BegunAt                time.Time // when the key was made
	Since                  time.Time // since when codes are asked for; zero: the key is not confirmed yet
	LastStep               int64     // of the newest code that was used; 0: none was
	CodesLeft              int       // recovery codes that were not used yet
}

// aboutSecondFactor is what the key of a second factor is bound to, as aboutWebhook.
func aboutSecondFactor(organizationID, userID int64) []byte {
	return fmt.Appendf(nil, "bugle second_factors.sealed organization=%d user=%d", organizationID, userID)
}

// SecondFactor returns that of an account, also one that is not confirmed yet, or bugle.ErrNotFound. If its key cannot be read, the error is
// ErrUnreadable and what is returned lacks it.
func (s *Store) SecondFactor(ctx context.Context, organizationID, userID int64) (*SecondFactor, error) {
	return findSecondFactor(ctx, s.view(), organizationID, userID)
}

// SecondFactor is that of Store, within the transaction.
func (tx *Tx) SecondFactor(organizationID, userID int64) (*SecondFactor, error) {
	return findSecondFactor(context.Background(), tx.view(), organizationID, userID)
}

func findSecondFactor(ctx context.Context, c conn, organizationID, userID int64) (*SecondFactor, error) {
	f := &SecondFactor{OrganizationID: organizationID, UserID: userID}
	var sealed []byte
	var begun, since int64
	err := c.one(ctx, []any{&sealed, &begun, &since, &f.LastStep, &f.CodesLeft}, `
		SELECT sealed, begun_us, since_us, last_step, (SELECT COUNT(*) FROM recovery_codes r WHERE r.user_id = f.user_id AND r.used_us = 0)
		FROM   second_factors f
		WHERE  f.organization_id = $1 AND f.user_id = $2`, organizationID, userID)
	if err != nil {
		return nil, fmt.Errorf("second factor of user %d: %w", userID, err)
	}
	f.BegunAt, f.Since = fromMicroseconds(begun), fromMicroseconds(since)
	if f.Key, err = c.seals.open(ctx, sealed, aboutSecondFactor(organizationID, userID)); err != nil {
		return f, fmt.Errorf("the key of the second factor of user %d: %w: %w", userID, ErrUnreadable, err)
	}
	return f, nil
}

// BeginSecondFactor gives an account a key. Codes are not asked for before TurnOnSecondFactor. It takes the place of a key that was not
// confirmed; if there is one that was, the error is bugle.ErrConflict.
func (tx *Tx) BeginSecondFactor(organizationID, userID int64, key []byte) error {
	account, err := tx.Account(organizationID, userID)
	if err != nil {
		return err
	}
	if !account.SecondFactorSince.IsZero() {
		return fmt.Errorf("begin another second factor before the one that there is was turned off: %w", bugle.ErrConflict)
	}
	sealed, id, err := tx.seal(key, aboutSecondFactor(organizationID, userID))
	if err != nil {
		return fmt.Errorf("encrypt the key of the second factor of user %d: %w", userID, err)
	}
	err = tx.exec(`
		INSERT INTO second_factors (user_id, organization_id, sealed, sealed_key, begun_us, salt) VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (user_id) DO UPDATE SET sealed = excluded.sealed, sealed_key = excluded.sealed_key, begun_us = excluded.begun_us`,
		userID, organizationID, sealed, int64(id), tx.now.UnixMicro(), []byte{})
	if err != nil {
		return fmt.Errorf("begin the second factor of user %d: %w", userID, err)
	}
	return nil
}

// TurnOnSecondFactor has codes asked for from now on, and gives the account recovery codes. The step is that of the code which has
// confirmed the key. If that has happened already, the error is bugle.ErrConflict.
func (tx *Tx) TurnOnSecondFactor(organizationID, userID, step int64, codes []string) error {
	n, err := tx.count("UPDATE second_factors SET since_us = $1, last_step = $2 WHERE organization_id = $3 AND user_id = $4 AND since_us = 0",
		tx.now.UnixMicro(), step, organizationID, userID)
	if err == nil && n == 0 {
		err = bugle.ErrConflict
	}
	if err == nil {
		err = tx.writeRecoveryCodes(organizationID, userID, codes)
	}
	if err != nil {
		return fmt.Errorf("turn on the second factor of user %d: %w", userID, err)
	}
	return tx.auditSecondFactor("account.second_factor_on", organizationID, userID)
}

// UseStep notes that the code of a step was used, so that it is not used again. It returns bugle.ErrConflict if it, or a later one, was.
func (tx *Tx) UseStep(organizationID, userID, step int64) error {
	n, err := tx.count("UPDATE second_factors SET last_step = $1 WHERE organization_id = $2 AND user_id = $3 AND last_step < $4", step, organizationID, userID, step)
	if err == nil && n == 0 {
		err = bugle.ErrConflict
	}
	if err != nil {
		return fmt.Errorf("use a code of user %d: %w", userID, err)
	}
	return nil
}

// saltLength is how many bytes the hashes of recovery codes are salted with: the codes are short enough to be typed.
const saltLength = 16

func recoveryHash(salt []byte, code string) []byte { return bugle.KeyHash(string(salt) + code) }

// SetRecoveryCodes gives an account other recovery codes. Those that it had do nothing any more.
func (tx *Tx) SetRecoveryCodes(organizationID, userID int64, codes []string) error {
	if err := tx.writeRecoveryCodes(organizationID, userID, codes); err != nil {
		return fmt.Errorf("recovery codes of user %d: %w", userID, err)
	}
	return tx.auditSecondFactor("account.recovery_codes_made", organizationID, userID)
}

func (tx *Tx) writeRecoveryCodes(organizationID, userID int64, codes []string) error {
	salt := make([]byte, saltLength)
	rand.Read(salt) // never fails: see its documentation
	n, err := tx.count("UPDATE second_factors SET salt = $1 WHERE organization_id = $2 AND user_id = $3 AND since_us <> 0", salt, organizationID, userID)
	if err == nil && n == 0 {
		err = bugle.ErrNotFound
	}
	if err == nil {
		err = tx.exec("DELETE FROM recovery_codes WHERE organization_id = $1 AND user_id = $2", organizationID, userID)
	}
	for _, code := range codes {
		if err == nil {
			err = tx.exec("INSERT INTO recovery_codes (user_id, organization_id, hash) VALUES ($1, $2, $3)", userID, organizationID, recoveryHash(salt, code))
		}
	}
	return err
}

// UseRecoveryCode uses one up, and returns how many are left. It returns bugle.ErrNotFound if the account has no such code, or it was
// used before.
func (tx *Tx) UseRecoveryCode(organizationID, userID int64, code string) (left int, err error) {
	var salt []byte
	err = tx.one([]any{&salt}, "SELECT salt FROM second_factors WHERE organization_id = $1 AND user_id = $2 AND since_us <> 0", organizationID, userID)
	if err == nil {
		var n int64
		n, err = tx.count("UPDATE recovery_codes SET used_us = $1 WHERE organization_id = $2 AND user_id = $3 AND hash = $4 AND used_us = 0",
			tx.now.UnixMicro(), organizationID, userID, recoveryHash(salt, code))
		if err == nil && n == 0 {
			err = bugle.ErrNotFound
		}
	}
	if err == nil {
		err = tx.one([]any{&left}, "SELECT COUNT(*) FROM recovery_codes WHERE organization_id = $1 AND user_id = $2 AND used_us = 0", organizationID, userID)
	}
	if err != nil {
		return 0, fmt.Errorf("use a recovery code of user %d: %w", userID, err)
	}
	return left, tx.auditSecondFactor("account.recovery_code_used", organizationID, userID, attribute{name: "codes_left", value: int64(left)})
}

// RemoveSecondFactor lets an account sign in with its password alone. It returns bugle.ErrNotFound if it does so already.
func (tx *Tx) RemoveSecondFactor(organizationID, userID int64) error {
	n, err := tx.count("DELETE FROM second_factors WHERE organization_id = $1 AND user_id = $2 AND since_us <> 0", organizationID, userID)
	if err == nil && n == 0 {
		err = bugle.ErrNotFound
	}
	if err != nil {
		return fmt.Errorf("second factor of user %d: %w", userID, err)
	}
	return tx.auditSecondFactor("account.second_factor_off", organizationID, userID)
}

// auditSecondFactor tells the audit log what was done to the second factor of an account.
func (tx *Tx) auditSecondFactor(action string, organizationID, userID int64, facts ...attribute) error {
	account, err := tx.Account(organizationID, userID)
	if err != nil {
		return err
	}
	return tx.audit(organizationID, action, accountSubject(account), facts...)
}

// SetSecondFactorRequired decides whether those accounts need a second factor that may change the configuration.
func (tx *Tx) SetSecondFactorRequired(organizationID int64, required bool) error {
	before, err := findOrganization(context.Background(), tx.view(), organizationID)
	if err != nil {
		return err
	}
	if err := tx.exec("UPDATE organizations SET second_factor_required = $1 WHERE id = $2", required, organizationID); err != nil {
		return fmt.Errorf("second factor of organization %d: %w", organizationID, err)
	}
	return tx.auditOrganization(before)
}

// resealSecondFactors encrypts the keys of a page of second factors anew, those of users above an id.
func (tx *Tx) resealSecondFactors(ctx context.Context, above int64) (last int64, n, bad int, err error) {
	last = above
	var rows []SecondFactor
	err = tx.each(func(scan func(to ...any) error) error {
		var f SecondFactor
		err := scan(&f.UserID, &f.OrganizationID)
		rows = append(rows, f)
		return err
	}, `SELECT user_id, organization_id FROM second_factors
		WHERE user_id > $1 AND sealed_key <> (SELECT key_id FROM secret_keys WHERE main) ORDER BY user_id LIMIT $2`, above, resealPage)
	for _, row := range rows {
		if err != nil {
			break
		}
		n, last = n+1, row.UserID
		f, wrong := findSecondFactor(ctx, tx.view(), row.OrganizationID, row.UserID)
		if errors.Is(wrong, ErrUnreadable) {
			bad++
			continue
		}
		if err = wrong; err != nil {
			break
		}
		var sealed []byte
		var id secrets.KeyID
		if sealed, id, err = tx.seal(f.Key, aboutSecondFactor(f.OrganizationID, f.UserID)); err == nil {
			err = tx.exec("UPDATE second_factors SET sealed = $1, sealed_key = $2 WHERE user_id = $3", sealed, int64(id), f.UserID)
		}
	}
	return last, n, bad, err
}
