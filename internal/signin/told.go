package signin

import (
	"context"
	"math/bits"
	"time"

	"github.com/buglehq/bugle/internal/store"
)

// Strangers must not fill the audit log, of which nothing is deleted. Of the failures of a day, from one address and for one
// account, the first is told, the second, the fourth, the eighth and so on, each with how many there were. So many addresses are
// told for an account; what comes from others is counted together. E-mail addresses that nobody has count as one account. Attempts that were
// refused without looking are counted apart from those.
const (
	toldWithin    = 24 * time.Hour
	toldAddresses = 20
)

// told is what was told of the day.
type told struct {
	day      time.Time
	failures map[toldKey]int64
	accounts map[toldKey]int // how many addresses are told, by key without address
}

type toldKey struct {
	organizationID, userID int64
	address                string // empty: many
	refused                bool   // it was not looked at
}

// count counts a failure, and returns what is to be told; a Count of 0: nothing.
func (t *told) count(key toldKey, now time.Time) store.FailedSignIns {
	if day := now.UTC().Truncate(toldWithin); !day.Equal(t.day) {
		t.day, t.failures, t.accounts = day, map[toldKey]int64{}, map[toldKey]int{}
	}
	account := toldKey{key.organizationID, key.userID, "", key.refused}
	if t.failures[key] == 0 {
		if t.accounts[account] >= toldAddresses {
			key = account
		} else {
			t.accounts[account]++
		}
	}
	t.failures[key]++
	f := store.FailedSignIns{OrganizationID: key.organizationID, UserID: key.userID, Since: t.day, FromMany: key == account, Refused: key.refused}
	if n := t.failures[key]; bits.OnesCount64(uint64(n)) == 1 {
		f.Count = n
	}
	return f
}

// tell writes to the audit log that an attempt has failed, or was refused, for each of the accounts.
func (a *Authenticator) tell(ctx context.Context, t *try, refused bool) error {
	var keys []toldKey
	for _, account := range t.accounts {
		keys = append(keys, toldKey{account.OrganizationID, account.UserID, t.address, refused})
	}
	if len(keys) == 0 {
		keys = []toldKey{{0, 0, t.address, refused}}
	}
	var list []store.FailedSignIns
	a.mu.Lock()
	for _, key := range keys {
		if f := a.told.count(key, a.clock.Now()); f.Count > 0 {
			list = append(list, f)
		}
	}
	a.mu.Unlock()
	if len(list) == 0 {
		return nil
	}
	return a.store.Update(context.WithoutCancel(ctx), func(tx *store.Tx) error {
		for _, f := range list {
			if err := tx.NoteFailedSignIns(f); err != nil {
				return err
			}
		}
		return nil
	})
}
