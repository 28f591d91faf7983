package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/buglehq/bugle"
)

// Sessions returns where sessions of the panel are kept. It fits scs's SessionManager.
func (s *Store) Sessions() *Sessions { return &Sessions{s} }

// Sessions keeps sessions by the hash of their token.
type Sessions struct{ store *Store }

// errNoContext is for calls that scs makes of stores that know no contexts only.
var errNoContext = errors.New("sessions need a context")

// Find is not used: see FindCtx.
func (*Sessions) Find(string) ([]byte, bool, error) { return nil, false, errNoContext }

// Commit is not used: see CommitCtx.
func (*Sessions) Commit(string, []byte, time.Time) error { return errNoContext }

// Delete is not used: see DeleteCtx.
func (*Sessions) Delete(string) error { return errNoContext }

// FindCtx returns what a session holds, unless it is over.
func (s *Sessions) FindCtx(ctx context.Context, token string) (data []byte, found bool, err error) {
	data, _, found, err = s.Read(ctx, token)
	return data, found, err
}

// Read is FindCtx, and says when the session was last seen; zero: it is of an older version.
func (s *Sessions) Read(ctx context.Context, token string) (data []byte, seen time.Time, found bool, err error) {
	var at int64
	err = s.store.view().each(ctx, func(scan func(to ...any) error) error {
		found = true
		return scan(&data, &at)
	}, "SELECT data, seen_us FROM sessions WHERE token_hash = $1 AND expires_us > $2 AND NOT ended", bugle.KeyHash(token), s.store.clock.Now().UnixMicro())
	if err != nil {
		return nil, time.Time{}, false, fmt.Errorf("find session: %w", err)
	}
	return data, fromMicroseconds(at), found, nil
}

// expiredAtOnce is how many expired sessions are deleted when one is written.
const expiredAtOnce = 20

// CommitCtx writes a session of nobody who has signed in.
func (s *Sessions) CommitCtx(ctx context.Context, token string, data []byte, expiry time.Time) error {
	return s.Write(ctx, token, data, expiry, SessionHolder{})
}

// A SessionHolder is whose session it is, and from where and with what it is used now.
type SessionHolder struct {
	OrganizationID, UserID int64     // 0: nobody has signed in
	Since                  time.Time // when he has
	Address                string
	Browser                string // in words
}

// Touch notes that a session is used now.
func (s *Sessions) Touch(ctx context.Context, token string, h SessionHolder) error {
	err := s.store.Update(ctx, func(tx *Tx) error {
		return tx.exec(`
			UPDATE sessions SET seen_us = $1, address = $2, browser = $3, organization_id = $4, user_id = (SELECT id FROM users WHERE id = $5), begun_us = $6
			WHERE  token_hash = $7 AND NOT ended`,
			tx.now.UnixMicro(), auditText(h.Address, maxAuditName), auditText(h.Browser, maxAuditName),
			nullIfZero(h.OrganizationID), nullIfZero(h.UserID), microseconds(h.Since), bugle.KeyHash(token))
	})
	if err != nil {
		return fmt.Errorf("touch session: %w", err)
	}
	return nil
}

// maxSessions is how many sessions an account may have; a new one ends the oldest.
const maxSessions = 50

// Write writes a session as it is used now, by a user who may have been deleted, and deletes some that have expired. One that was ended meanwhile, by another request, stays so.
func (s *Sessions) Write(ctx context.Context, token string, data []byte, expiry time.Time, h SessionHolder) error {
	err := s.store.Update(ctx, func(tx *Tx) error {
		err := tx.exec("DELETE FROM sessions WHERE token_hash IN (SELECT token_hash FROM sessions WHERE expires_us <= $1 ORDER BY expires_us LIMIT $2)", tx.now.UnixMicro(), expiredAtOnce)
		if err != nil {
			return err
		}
		err = tx.exec(`
			INSERT INTO sessions (token_hash, data, expires_us, organization_id, user_id, begun_us, seen_us, address, browser)
			VALUES ($1, $2, $3, $4, (SELECT id FROM users WHERE id = $5), $6, $7, $8, $9)
			ON CONFLICT (token_hash) DO UPDATE SET data = excluded.data, expires_us = excluded.expires_us, seen_us = excluded.seen_us,
			    organization_id = COALESCE(excluded.organization_id, sessions.organization_id), user_id = COALESCE(excluded.user_id, sessions.user_id),
			    begun_us = excluded.begun_us, address = excluded.address, browser = excluded.browser
			WHERE NOT sessions.ended`,
			bugle.KeyHash(token), data, expiry.UnixMicro(), nullIfZero(h.OrganizationID), nullIfZero(h.UserID), microseconds(h.Since), tx.now.UnixMicro(),
			auditText(h.Address, maxAuditName), auditText(h.Browser, maxAuditName))
		if err != nil || h.UserID == 0 {
			return err
		}
		return tx.exec(`
			UPDATE sessions SET data = $1, ended = TRUE
			WHERE  user_id = $2 AND NOT ended AND id NOT IN (SELECT id FROM sessions WHERE user_id = $3 AND NOT ended ORDER BY id DESC LIMIT $4)`,
			[]byte{}, h.UserID, h.UserID, maxSessions)
	})
	if err != nil {
		return fmt.Errorf("write session: %w", err)
	}
	return nil
}

// DeleteCtx ends a session. Its row stays until it expires, or a request that had begun before would bring
// it back.
func (s *Sessions) DeleteCtx(ctx context.Context, token string) error {
	err := s.store.Update(ctx, func(tx *Tx) error {
		return tx.exec("UPDATE sessions SET data = '', ended = TRUE WHERE token_hash = $1", bugle.KeyHash(token))
	})
	if err != nil {
		return fmt.Errorf("end session: %w", err)
	}
	return nil
}

// A Session is that of somebody who has signed in.
type Session struct {
	ID        int64
	BegunAt   time.Time
	SeenAt    time.Time // to some minutes
	ExpiresAt time.Time
	Address   string // when it was seen
	Browser   string // in words
	Current   bool   // it is that of the token
}

// SessionsOf returns the sessions of an account, those seen last first. The one with the token is marked. Sessions of older versions that were
// not used since are not among them.
func (s *Store) SessionsOf(ctx context.Context, organizationID, userID int64, token string) ([]Session, error) {
	var list []Session
	err := s.view().each(ctx, func(scan func(to ...any) error) error {
		var one Session
		var hash []byte
		var begun, seen, expires int64
		err := scan(&one.ID, &hash, &begun, &seen, &expires, &one.Address, &one.Browser)
		one.BegunAt, one.SeenAt, one.ExpiresAt = fromMicroseconds(begun), fromMicroseconds(seen), fromMicroseconds(expires)
		one.Current = bytes.Equal(hash, bugle.KeyHash(token))
		list = append(list, one)
		return err
	}, `
		SELECT s.id, s.token_hash, s.begun_us, s.seen_us, s.expires_us, s.address, s.browser
		FROM   sessions s JOIN accounts a ON a.user_id = s.user_id
		WHERE  s.organization_id = $1 AND s.user_id = $2 AND NOT s.ended AND s.expires_us > $3 AND s.begun_us >= a.sessions_us
		ORDER  BY s.seen_us DESC, s.id DESC
		LIMIT  $4`, organizationID, userID, s.clock.Now().UnixMicro(), maxSessions)
	if err != nil {
		return nil, fmt.Errorf("list sessions of user %d: %w", userID, err)
	}
	return list, nil
}

// EndSession ends a session of an account, or returns bugle.ErrNotFound.
func (tx *Tx) EndSession(organizationID, userID, id int64) error {
	n, err := tx.count("UPDATE sessions SET data = $1, ended = TRUE WHERE organization_id = $2 AND user_id = $3 AND id = $4 AND NOT ended",
		[]byte{}, organizationID, userID, id)
	if err == nil && n == 0 {
		err = bugle.ErrNotFound
	}
	if err != nil {
		return fmt.Errorf("end session %d: %w", id, err)
	}
	return tx.auditSessions(organizationID, userID, attribute{name: "sessions", value: n})
}

// EndSessions ends all sessions of an account.
func (tx *Tx) EndSessions(organizationID, userID int64) error {
	if err := tx.setAccount("", organizationID, userID, "sessions_us = $1, updated_us = $2", tx.now.UnixMicro(), tx.now.UnixMicro()); err != nil {
		return err
	}
	err := tx.exec("UPDATE sessions SET data = $1, ended = TRUE WHERE organization_id = $2 AND user_id = $3 AND NOT ended", []byte{}, organizationID, userID)
	if err != nil {
		return fmt.Errorf("end sessions of user %d: %w", userID, err)
	}
	return tx.auditSessions(organizationID, userID, attribute{name: "sessions", value: "all"})
}

func (tx *Tx) auditSessions(organizationID, userID int64, fact attribute) error {
	account, err := tx.Account(organizationID, userID)
	if err != nil {
		return err
	}
	return tx.audit(organizationID, "account.sessions_ended", accountSubject(account), fact)
}
