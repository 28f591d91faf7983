package signin

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/internal/store"
)

// SetupLasts is how long a key can be confirmed after it was made.
const SetupLasts = time.Hour

// A UsedCode is what came of a code that was right.
type UsedCode struct {
	Recovery bool // it was a recovery code
	Left     int  // so many are left then
}

// UseCode checks a code of an account's second factor, or a recovery code, and uses it up. The change, if there is one, is made in the same
// transaction. It returns bugle.ErrUnauthorized if the code is wrong or was used before, and a *TooManyError without looking if too many
// were wrong. Those are told to the audit log.
func (a *Authenticator) UseCode(ctx context.Context, account *bugle.Account, text, address string, change func(tx *store.Tx) error) (used UsedCode, err error) {
	text = typedCode(text)
	err = a.withCode(ctx, account, address, func(tx *store.Tx) error {
		used = UsedCode{}
		var err error
		if len(text) == recoveryLength {
			used.Recovery = true
			if used.Left, err = tx.UseRecoveryCode(account.OrganizationID, account.UserID, text); errors.Is(err, bugle.ErrNotFound) {
				err = bugle.ErrUnauthorized
			}
		} else {
			err = a.useStep(tx, account, text)
		}
		if err == nil && change != nil {
			err = change(tx)
		}
		return err
	})
	return used, err
}

// useStep checks a code of an authenticator.
func (a *Authenticator) useStep(tx *store.Tx, account *bugle.Account, code string) error {
	f, err := tx.SecondFactor(account.OrganizationID, account.UserID)
	if errors.Is(err, bugle.ErrNotFound) || err == nil && f.Since.IsZero() {
		return bugle.ErrUnauthorized
	}
	if err != nil {
		return err
	}
	step, found := stepOf(f.Key, code, a.clock.Now(), f.LastStep)
	if !found {
		return bugle.ErrUnauthorized
	}
	return tx.UseStep(account.OrganizationID, account.UserID, step)
}

// TurnOn has a second factor asked for that was begun, once a code of it shows that the account's owner has the key. It returns
// recovery codes, which are known only now; bugle.ErrNotFound if none was begun within SetupLasts, and else errors as UseCode does.
func (a *Authenticator) TurnOn(ctx context.Context, account *bugle.Account, code, address string) (recovery []string, err error) {
	err = a.withCode(ctx, account, address, func(tx *store.Tx) error {
		f, err := tx.SecondFactor(account.OrganizationID, account.UserID)
		if err != nil {
			return err
		}
		if !f.Since.IsZero() || a.clock.Since(f.BegunAt) >= SetupLasts {
			return fmt.Errorf("second factor that was begun: %w", bugle.ErrNotFound)
		}
		step, found := stepOf(f.Key, typedCode(code), a.clock.Now(), f.LastStep)
		if !found {
			return bugle.ErrUnauthorized
		}
		recovery = newRecoveryCodes()
		return tx.TurnOnSecondFactor(account.OrganizationID, account.UserID, step, recovery)
	})
	if err != nil {
		return nil, err
	}
	return recovery, nil
}

// NewRecoveryCodes gives an account other recovery codes in place of those it had, if a code is right. They are known only now.
func (a *Authenticator) NewRecoveryCodes(ctx context.Context, account *bugle.Account, code, address string) (recovery []string, err error) {
	_, err = a.UseCode(ctx, account, code, address, func(tx *store.Tx) error {
		recovery = newRecoveryCodes()
		return tx.SetRecoveryCodes(account.OrganizationID, account.UserID, recovery)
	})
	if err != nil {
		return nil, err
	}
	return recovery, nil
}

// withCode counts an attempt with a code, which check looks at. Codes are short, and whoever tries some has the password already.
func (a *Authenticator) withCode(ctx context.Context, account *bugle.Account, address string, check func(tx *store.Tx) error) error {
	of := fmt.Sprint(account.OrganizationID, " ", account.UserID)
	try, err := a.begin(ctx, []*bugle.Account{account}, account.Email, address,
		limit{who: whoIs("code pair", bugle.Network(address), of), max: maxPair, longest: longest, own: true},
		limit{who: whoIs("address", bugle.Network(address)), max: maxAddress, longest: longest},
		limit{who: whoIs("code", of), max: maxCodes, longest: longestForAll, strangers: true})
	if err != nil {
		return err
	}
	err = a.store.Update(ctx, check)
	switch {
	case err == nil:
		return a.succeeded(ctx, try)
	case errors.Is(err, bugle.ErrUnauthorized):
		if err := a.failed(ctx, try); err != nil {
			return err
		}
		return bugle.ErrUnauthorized
	}
	a.uncount(try)
	return err
}
