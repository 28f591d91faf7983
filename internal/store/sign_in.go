package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/buglehq/bugle"
)

// A SignInWait is how long an attempt to sign in has to wait.
type SignInWait struct {
	Rounds int64     // how often in a row there were too many failures
	Until  time.Time // it may have passed
}

const (
	// waitsStay is how long it is remembered, after a wait, that there was one: the next one is twice as long.
	waitsStay = 24 * time.Hour
	// maxWaits is how many are remembered. Beyond it those go first that would go first anyway.
	maxWaits = 50_000
	// waitsAtOnce is how many are deleted when one is added.
	waitsAtOnce = 20
)

// SignInWait returns what is remembered of those who are limited, by a hash of who they are; zero: nothing.
func (s *Store) SignInWait(ctx context.Context, who []byte) (SignInWait, error) {
	return findSignInWait(ctx, s.view(), who, s.clock.Now())
}

func findSignInWait(ctx context.Context, c conn, who []byte, now time.Time) (w SignInWait, err error) {
	var until int64
	err = c.one(ctx, []any{&w.Rounds, &until}, "SELECT rounds, until_us FROM sign_in_waits WHERE who = $1 AND forget_us > $2", who, now.UnixMicro())
	if errors.Is(err, bugle.ErrNotFound) {
		return SignInWait{}, nil
	}
	if err != nil {
		return SignInWait{}, fmt.Errorf("read how long to wait: %w", err)
	}
	w.Until = fromMicroseconds(until)
	return w, nil
}

// AddSignInWait lets somebody wait: the first time as long as that, then twice as long as the last time, and never longer than the longest. If
// he waits already, because another server was quicker, that is enough.
func (tx *Tx) AddSignInWait(who []byte, first, longest time.Duration) error {
	w, err := findSignInWait(context.Background(), tx.view(), who, tx.now)
	if err != nil || w.Until.After(tx.now) {
		return err
	}
	wait := first
	for range w.Rounds {
		if wait *= 2; wait >= longest {
			break
		}
	}
	until := tx.now.Add(min(wait, longest))
	err = tx.exec(`
		INSERT INTO sign_in_waits (who, rounds, until_us, forget_us) VALUES ($1, $2, $3, $4)
		ON CONFLICT (who) DO UPDATE SET rounds = excluded.rounds, until_us = excluded.until_us, forget_us = excluded.forget_us`,
		who, w.Rounds+1, until.UnixMicro(), until.Add(waitsStay).UnixMicro())
	if err == nil {
		err = tx.exec("DELETE FROM sign_in_waits WHERE who IN (SELECT who FROM sign_in_waits WHERE forget_us <= $1 ORDER BY forget_us LIMIT $2)", tx.now.UnixMicro(), waitsAtOnce)
	}
	if err == nil {
		err = tx.exec("DELETE FROM sign_in_waits WHERE who IN (SELECT who FROM sign_in_waits ORDER BY forget_us DESC LIMIT $1 OFFSET $2)", waitsAtOnce, maxWaits)
	}
	if err != nil {
		return fmt.Errorf("let somebody wait: %w", err)
	}
	return nil
}

// ForgetSignInWait lets somebody begin anew.
func (tx *Tx) ForgetSignInWait(who []byte) error {
	if err := tx.exec("DELETE FROM sign_in_waits WHERE who = $1", who); err != nil {
		return fmt.Errorf("forget how long to wait: %w", err)
	}
	return nil
}

// Places are remembered for a while, the newest of each kind for an account.
const (
	placesStay = 90 * 24 * time.Hour
	maxPlaces  = 20
)

// A NewPlace says what of a sign-in the account has not had lately.
type NewPlace struct {
	Address, Browser bool
	First            bool // nothing at all is known yet
}

// NotePlace notes from where somebody has signed in, and with what.
func (tx *Tx) NotePlace(organizationID, userID int64, address, browser string) (NewPlace, error) {
	var known, addresses, browsers int
	since := tx.now.Add(-placesStay).UnixMicro()
	address, browser = auditText(address, maxAuditName), auditText(browser, maxAuditName)
	err := tx.one([]any{&known, &addresses, &browsers}, `
		SELECT COUNT(*), COUNT(*) FILTER (WHERE kind = 'address' AND place = $1), COUNT(*) FILTER (WHERE kind = 'browser' AND place = $2)
		FROM   sign_in_places WHERE organization_id = $3 AND user_id = $4 AND seen_us > $5`, address, browser, organizationID, userID, since)
	for kind, place := range map[string]string{"address": address, "browser": browser} {
		if err == nil {
			err = tx.exec(`
				INSERT INTO sign_in_places (user_id, organization_id, kind, place, seen_us) VALUES ($1, $2, $3, $4, $5)
				ON CONFLICT (user_id, kind, place) DO UPDATE SET seen_us = excluded.seen_us`, userID, organizationID, kind, place, tx.now.UnixMicro())
		}
		if err == nil {
			err = tx.exec(`
				DELETE FROM sign_in_places WHERE user_id = $1 AND kind = $2 AND place NOT IN (
				    SELECT place FROM sign_in_places WHERE user_id = $3 AND kind = $4 ORDER BY seen_us DESC, place LIMIT $5)`, userID, kind, userID, kind, maxPlaces)
		}
	}
	if err != nil {
		return NewPlace{}, fmt.Errorf("note where user %d has signed in: %w", userID, err)
	}
	return NewPlace{Address: addresses == 0, Browser: browsers == 0, First: known == 0}, nil
}

// KnowsAddress reports whether somebody with the e-mail address has signed in from there lately. It takes as long if nobody has it.
func (s *Store) KnowsAddress(ctx context.Context, email, address string) (bool, error) {
	var n int
	err := s.view().one(ctx, []any{&n}, `
		SELECT COUNT(*) FROM users u JOIN sign_in_places p ON p.user_id = u.id
		WHERE  LOWER(u.email) = LOWER($1) AND p.kind = 'address' AND p.place = $2 AND p.seen_us > $3`, email, address, s.clock.Now().Add(-placesStay).UnixMicro())
	if err != nil {
		return false, fmt.Errorf("look where somebody has signed in: %w", err)
	}
	return n > 0, nil
}
