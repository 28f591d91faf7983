package store

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/buglehq/bugle"
)

// AccountByIdentity returns the account that an identity is linked to, or bugle.ErrNotFound.
func (tx *Tx) AccountByIdentity(issuer, subject string) (*bugle.Account, error) {
	list, err := selectAccounts(context.Background(), tx.view(), "JOIN identities i ON i.user_id = a.user_id WHERE i.issuer = $1 AND i.subject = $2", issuer, subject)
	if err == nil && len(list) == 0 {
		err = bugle.ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("account of an identity: %w", err)
	}
	return list[0], nil
}

// AccountsByEmail is that of Store, within the transaction.
func (tx *Tx) AccountsByEmail(email string) ([]*bugle.Account, error) {
	list, err := selectAccounts(context.Background(), tx.view(), "WHERE LOWER(u.email) = LOWER($1) ORDER BY a.user_id LIMIT $2", strings.TrimSpace(email), maxSameEmail)
	if err != nil {
		return nil, fmt.Errorf("accounts by e-mail: %w", err)
	}
	return list, nil
}

// LinkIdentity links an identity to an account. It is a bugle.ErrConflict if the identity is linked already, or the account to another
// one of that provider.
func (tx *Tx) LinkIdentity(a *bugle.Account, i bugle.Identity) error {
	n, err := tx.count(`
		INSERT INTO identities (issuer, subject, user_id, organization_id, email, created_us)
		VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT DO NOTHING`, i.Issuer, i.Subject, a.UserID, a.OrganizationID, i.Email, tx.now.UnixMicro())
	if err == nil && n == 0 {
		err = bugle.ErrConflict
	}
	if err != nil {
		return fmt.Errorf("link an identity to the account of user %d: %w", a.UserID, err)
	}
	return tx.audit(a.OrganizationID, "account.identity_linked", accountSubject(a), identityFacts(i)...)
}

// UnlinkIdentity ends the link of an account to a provider. It returns bugle.ErrNotFound if there is none.
func (tx *Tx) UnlinkIdentity(organizationID, userID int64, issuer string) error {
	account, err := tx.Account(organizationID, userID)
	if err != nil {
		return err
	}
	var i bugle.Identity
	err = tx.one([]any{&i.Issuer, &i.Subject, &i.Email}, "SELECT issuer, subject, email FROM identities WHERE organization_id = $1 AND user_id = $2 AND issuer = $3", organizationID, userID, issuer)
	if err == nil {
		err = tx.exec("DELETE FROM identities WHERE issuer = $1 AND subject = $2", i.Issuer, i.Subject)
	}
	if err != nil {
		return fmt.Errorf("unlink an identity from the account of user %d: %w", userID, err)
	}
	return tx.audit(organizationID, "account.identity_unlinked", accountSubject(account), identityFacts(i)...)
}

func identityFacts(i bugle.Identity) []attribute {
	return []attribute{{name: "issuer", value: i.Issuer}, {name: "subject", value: i.Subject}, {name: "email", value: i.Email}}
}

// Identities returns what an account is linked to, by the provider; there are few.
func (s *Store) Identities(ctx context.Context, organizationID, userID int64) ([]bugle.Identity, error) {
	var list []bugle.Identity
	err := s.view().each(ctx, func(scan func(to ...any) error) error {
		var i bugle.Identity
		var linked int64
		err := scan(&i.Issuer, &i.Subject, &i.Email, &linked)
		i.LinkedAt = fromMicroseconds(linked)
		list = append(list, i)
		return err
	}, "SELECT issuer, subject, email, created_us FROM identities WHERE organization_id = $1 AND user_id = $2 ORDER BY issuer LIMIT 100", organizationID, userID)
	if err != nil {
		return nil, fmt.Errorf("identities of user %d: %w", userID, err)
	}
	return list, nil
}

// UseSignIn notes that a sign-in by a provider has come back from it, until the time when it could not any more. It reports whether this is the
// first time.
func (tx *Tx) UseSignIn(state string, until time.Time) (first bool, err error) {
	err = tx.exec("DELETE FROM used_sign_ins WHERE state_hash IN (SELECT state_hash FROM used_sign_ins WHERE expires_us <= $1 LIMIT $2)", tx.now.UnixMicro(), expiredAtOnce)
	var n int64
	if err == nil {
		n, err = tx.count("INSERT INTO used_sign_ins (state_hash, expires_us) VALUES ($1, $2) ON CONFLICT DO NOTHING", bugle.KeyHash(state), until.UnixMicro())
	}
	if err != nil {
		return false, fmt.Errorf("note a sign-in that came back: %w", err)
	}
	return n == 1, nil
}

// NoteSignInBy is NoteSignIn for somebody whom a provider has vouched for.
func (tx *Tx) NoteSignInBy(organizationID, userID int64, issuer string) error {
	return tx.noteSignIn(organizationID, userID, []attribute{{name: "by", value: "single sign-on"}, {name: "issuer", value: issuer}})
}
