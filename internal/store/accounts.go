package store

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/personnel"
)

const roleColumns = "id, organization_id, name, permissions, built_in, created_us, updated_us"

func scanRole(scan func(to ...any) error) (*bugle.Role, error) {
	var r bugle.Role
	var permissions string
	var created, updated int64
	if err := scan(&r.ID, &r.OrganizationID, &r.Name, &permissions, &r.BuiltIn, &created, &updated); err != nil {
		return nil, err
	}
	r.CreatedAt, r.UpdatedAt = fromMicroseconds(created), fromMicroseconds(updated)
	return &r, decodeList(permissions, func(v any) {
		name, _ := v.(string)
		r.Permissions = append(r.Permissions, name)
	})
}

// addRoles makes the roles that every organization has.
func (tx *Tx) addRoles(organizationID int64) error {
	for _, r := range []*bugle.Role{
		{Name: bugle.AdminRole, Permissions: []string{bugle.AllPermissions}},
		{Name: bugle.UserRole},
	} {
		r.OrganizationID, r.BuiltIn = organizationID, true
		if err := tx.AddRole(r); err != nil {
			return err
		}
	}
	return nil
}

// AddRole makes a role. A name that is taken is an *bugle.InvalidError.
func (tx *Tx) AddRole(r *bugle.Role) error {
	if err := tx.checkRoleName(r); err != nil {
		return err
	}
	permissions, err := encodeList(anyList(r.Permissions)...)
	if err != nil {
		return fmt.Errorf("add role: %w", err)
	}
	r.CreatedAt, r.UpdatedAt = tx.now, tx.now
	r.ID, err = tx.insert(`
		INSERT INTO roles (organization_id, name, permissions, built_in, created_us, updated_us)
		VALUES ($1, $2, $3, $4, $5, $6)`, r.OrganizationID, r.Name, permissions, r.BuiltIn, tx.now.UnixMicro(), tx.now.UnixMicro())
	if err != nil {
		return fmt.Errorf("add role: %w", err)
	}
	if r.BuiltIn { // it comes with its organization
		return nil
	}
	return tx.auditChange(r.OrganizationID, "role.created", roleSubject(r), nil, roleAttributes(r))
}

func anyList(texts []string) []any {
	list := make([]any, len(texts))
	for i, text := range texts {
		list[i] = text
	}
	return list
}

func (tx *Tx) checkRoleName(r *bugle.Role) error {
	n, taken := 0, ""
	err := tx.each(func(scan func(to ...any) error) error {
		var name string
		err := scan(&name)
		n++
		if strings.EqualFold(name, r.Name) {
			taken = name
		}
		return err
	}, "SELECT name FROM roles WHERE organization_id = $1 AND id <> $2", r.OrganizationID, r.ID)
	switch {
	case err != nil:
		return fmt.Errorf("look for role %q: %w", r.Name, err)
	case taken != "":
		return bugle.Invalid("name", "The name is taken: there is a role %s already.", taken)
	case n >= maxRoles:
		return bugle.Invalid("name", "The name is one too many: an organization has at most %d roles.", maxRoles)
	}
	return nil
}

// maxRoles is how many roles an organization may have.
const maxRoles = 500

// SaveRole writes a role's name and permissions. One that is built in is a bugle.ErrConflict.
func (tx *Tx) SaveRole(r *bugle.Role) error {
	if r.BuiltIn {
		return fmt.Errorf("change the role %s, which every organization has: %w", r.Name, bugle.ErrConflict)
	}
	if err := tx.checkRoleName(r); err != nil {
		return err
	}
	before, err := tx.Role(r.OrganizationID, r.ID)
	if err != nil {
		return fmt.Errorf("save %w", err)
	}
	var n int64
	permissions, err := encodeList(anyList(r.Permissions)...)
	if err == nil {
		n, err = tx.count("UPDATE roles SET name = $1, permissions = $2, updated_us = $3 WHERE organization_id = $4 AND id = $5 AND NOT built_in",
			r.Name, permissions, tx.now.UnixMicro(), r.OrganizationID, r.ID)
	}
	if err == nil && n == 0 {
		err = bugle.ErrNotFound
	}
	if err != nil {
		return fmt.Errorf("save role %d: %w", r.ID, err)
	}
	r.UpdatedAt = tx.now
	return tx.auditChange(r.OrganizationID, "role.updated", roleSubject(r), roleAttributes(before), roleAttributes(r))
}

// DeleteRole deletes a role. One that is built in, or that somebody has, is a bugle.ErrConflict.
func (tx *Tx) DeleteRole(organizationID, id int64) error {
	r, err := tx.Role(organizationID, id)
	if err != nil {
		return err
	}
	if r.BuiltIn {
		return fmt.Errorf("delete the role %s, which every organization has: %w", r.Name, bugle.ErrConflict)
	}
	var n int
	if err := tx.one([]any{&n}, "SELECT COUNT(*) FROM accounts WHERE role_id = $1", id); err != nil {
		return fmt.Errorf("delete role %d: %w", id, err)
	}
	if n > 0 {
		return fmt.Errorf("delete the role %s while accounts have it (%d): %w", r.Name, n, bugle.ErrConflict)
	}
	err = tx.exec("DELETE FROM invitations WHERE role_id = $1", id)
	if err == nil {
		err = tx.exec("DELETE FROM roles WHERE id = $1", id)
	}
	if err != nil {
		return fmt.Errorf("delete role %d: %w", id, err)
	}
	return tx.auditChange(organizationID, "role.deleted", roleSubject(r), roleAttributes(r), nil)
}

// Role returns a role of the organization, or bugle.ErrNotFound.
func (tx *Tx) Role(organizationID, id int64) (*bugle.Role, error) {
	return findRole(context.Background(), tx.view(), "organization_id = $1 AND id = $2", organizationID, id)
}

// Role returns a role of the organization, or bugle.ErrNotFound.
func (s *Store) Role(ctx context.Context, organizationID, id int64) (*bugle.Role, error) {
	return findRole(ctx, s.view(), "organization_id = $1 AND id = $2", organizationID, id)
}

// RoleByName returns a role of the organization by its name, in either case, or bugle.ErrNotFound.
func (s *Store) RoleByName(ctx context.Context, organizationID int64, name string) (*bugle.Role, error) {
	return findRole(ctx, s.view(), "organization_id = $1 AND LOWER(name) = LOWER($2)", organizationID, name)
}

func findRole(ctx context.Context, c conn, condition string, args ...any) (*bugle.Role, error) {
	var found *bugle.Role
	err := c.each(ctx, func(scan func(to ...any) error) (err error) {
		found, err = scanRole(scan)
		return err
	}, "SELECT "+roleColumns+" FROM roles WHERE "+condition, args...)
	if err == nil && found == nil {
		err = bugle.ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("role %v: %w", args[1], err)
	}
	return found, nil
}

// Roles returns a page of the organization's roles, those that every organization has first.
func (s *Store) Roles(ctx context.Context, organizationID int64, p PageRequest) (Page[*bugle.Role], error) {
	page := Page[*bugle.Role]{Number: p.Number, Limit: p.Limit}
	w := newWhere("organization_id", organizationID)
	c := s.view()
	err := c.one(ctx, []any{&page.Total}, "SELECT COUNT(*) FROM roles"+w.String(), w.args...)
	if err == nil {
		condition := w.String() + " ORDER BY built_in DESC, name, id" + w.limit(p)
		err = c.each(ctx, func(scan func(to ...any) error) error {
			r, err := scanRole(scan)
			page.Items = append(page.Items, r)
			return err
		}, "SELECT "+roleColumns+" FROM roles"+condition, w.args...)
	}
	if err != nil {
		return page, fmt.Errorf("list roles: %w", err)
	}
	return page, nil
}

const accountColumns = `a.user_id, a.organization_id, u.name, u.email, a.time_zone, a.password_hash, a.disabled, a.sessions_us, a.last_sign_in_us, a.created_us, COALESCE(f.since_us, 0),
	r.id, r.organization_id, r.name, r.permissions, r.built_in, r.created_us, r.updated_us`

const fromAccounts = " FROM accounts a JOIN users u ON u.id = a.user_id JOIN roles r ON r.id = a.role_id LEFT JOIN second_factors f ON f.user_id = a.user_id "

func scanAccount(scan func(to ...any) error) (*bugle.Account, error) {
	var a bugle.Account
	var sessions, last, created, factor int64
	var err error
	a.Role, err = scanRole(func(role ...any) error {
		return scan(append([]any{&a.UserID, &a.OrganizationID, &a.Name, &a.Email, &a.TimeZone, &a.PasswordHash, &a.Disabled, &sessions, &last, &created, &factor}, role...)...)
	})
	a.SecondFactorSince = fromMicroseconds(factor)
	a.SessionsSince, a.LastSignInAt, a.CreatedAt = fromMicroseconds(sessions), fromMicroseconds(last), fromMicroseconds(created)
	return &a, err
}

// AddAccount gives a user of the organization an account, with the role, time zone and password that a has.
// It is a bugle.ErrNotFound without such a user or role, and a bugle.ErrConflict if he has one.
func (tx *Tx) AddAccount(a *bugle.Account) error {
	if _, err := tx.Find(a.OrganizationID, &personnel.User, a.UserID); err != nil {
		return fmt.Errorf("add account: %w", err)
	}
	if _, err := tx.Role(a.OrganizationID, a.Role.ID); err != nil {
		return fmt.Errorf("add account of user %d: %w", a.UserID, err)
	}
	n, err := tx.count(`
		INSERT INTO accounts (user_id, organization_id, role_id, time_zone, password_hash, sessions_us, created_us)
		VALUES ($1, $2, $3, $4, $5, $6, $7)
		ON CONFLICT (user_id) DO NOTHING`,
		a.UserID, a.OrganizationID, a.Role.ID, a.TimeZone, a.PasswordHash, tx.now.UnixMicro(), tx.now.UnixMicro())
	if err != nil {
		return fmt.Errorf("add account of user %d: %w", a.UserID, err)
	}
	if n == 0 {
		return fmt.Errorf("user %d has an account already: %w", a.UserID, bugle.ErrConflict)
	}
	a.CreatedAt, a.SessionsSince = tx.now, tx.now
	added, err := tx.Account(a.OrganizationID, a.UserID)
	if err != nil {
		return err
	}
	return tx.auditChange(a.OrganizationID, "account.created", accountSubject(added), nil, accountAttributes(added))
}

// Account returns the account of a user, or bugle.ErrNotFound.
func (s *Store) Account(ctx context.Context, organizationID, userID int64) (*bugle.Account, error) {
	return findAccount(ctx, s.view(), organizationID, userID)
}

// Account is that of Store, within the transaction.
func (tx *Tx) Account(organizationID, userID int64) (*bugle.Account, error) {
	return findAccount(context.Background(), tx.view(), organizationID, userID)
}

func findAccount(ctx context.Context, c conn, organizationID, userID int64) (*bugle.Account, error) {
	list, err := selectAccounts(ctx, c, "WHERE a.organization_id = $1 AND a.user_id = $2", organizationID, userID)
	if err == nil && len(list) == 0 {
		err = bugle.ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("account of user %d: %w", userID, err)
	}
	return list[0], nil
}

func selectAccounts(ctx context.Context, c conn, where string, args ...any) ([]*bugle.Account, error) {
	var list []*bugle.Account
	err := c.each(ctx, func(scan func(to ...any) error) error {
		a, err := scanAccount(scan)
		list = append(list, a)
		return err
	}, "SELECT "+accountColumns+fromAccounts+where, args...)
	return list, err
}

// UserByEmail returns the id of the organization's user with an e-mail address, in either case, or
// bugle.ErrNotFound.
func (tx *Tx) UserByEmail(organizationID int64, email string) (int64, error) {
	ids, err := tx.view().ids(context.Background(), "SELECT id FROM users WHERE organization_id = $1 AND LOWER(email) = LOWER($2)", organizationID, strings.TrimSpace(email))
	if err == nil && len(ids) == 0 {
		err = bugle.ErrNotFound
	}
	if err != nil {
		return 0, fmt.Errorf("user by e-mail: %w", err)
	}
	return ids[0], nil
}

// maxSameEmail is how many organizations are looked through for an e-mail address.
const maxSameEmail = 20

// AccountsByEmail returns the accounts with an e-mail address, in either case: one of each organization.
func (s *Store) AccountsByEmail(ctx context.Context, email string) ([]*bugle.Account, error) {
	list, err := selectAccounts(ctx, s.view(), "WHERE LOWER(u.email) = LOWER($1) ORDER BY a.user_id LIMIT $2", strings.TrimSpace(email), maxSameEmail)
	if err != nil {
		return nil, fmt.Errorf("accounts by e-mail: %w", err)
	}
	return list, nil
}

// Accounts returns a page of the organization's accounts, by name. The text is a part of the name or the
// e-mail address, in either case; empty: all.
func (s *Store) Accounts(ctx context.Context, organizationID int64, text string, p PageRequest) (Page[*bugle.Account], error) {
	page := Page[*bugle.Account]{Number: p.Number, Limit: p.Limit}
	w := newWhere("a.organization_id", organizationID)
	if text != "" {
		w.addText(text, "u.name", "u.email")
	}
	c := s.view()
	err := c.one(ctx, []any{&page.Total}, "SELECT COUNT(*)"+fromAccounts+w.String(), w.args...)
	if err == nil {
		condition := w.String() + " ORDER BY u.name, a.user_id" + w.limit(p)
		page.Items, err = selectAccounts(ctx, c, condition, w.args...)
	}
	if err != nil {
		return page, fmt.Errorf("list accounts: %w", err)
	}
	return page, nil
}

// SetPassword gives an account another password, and ends its sessions and links to new passwords.
func (tx *Tx) SetPassword(organizationID, userID int64, hash string) error {
	if err := tx.endResets(organizationID, userID); err != nil {
		return err
	}
	return tx.setAccount("account.password_changed", organizationID, userID, "password_hash = $1, sessions_us = $2", hash, tx.now.UnixMicro())
}

// endResets ends the links by which a new password could be chosen for an account.
func (tx *Tx) endResets(organizationID, userID int64) error {
	err := tx.exec("DELETE FROM invitations WHERE organization_id = $1 AND user_id = $2 AND purpose = $3 AND used_us = 0",
		organizationID, userID, string(bugle.ResetInvitation))
	if err != nil {
		return fmt.Errorf("links of user %d: %w", userID, err)
	}
	return nil
}

// SetTimeZone gives an account a time zone; empty: the organization's.
func (tx *Tx) SetTimeZone(organizationID, userID int64, name string) error {
	return tx.setAccount("account.updated", organizationID, userID, "time_zone = $1, updated_us = $2", name, tx.now.UnixMicro())
}

// NoteSignIn notes that somebody has signed in now.
func (tx *Tx) NoteSignIn(organizationID, userID int64) error {
	return tx.noteSignIn(organizationID, userID, nil)
}

// noteSignIn notes a sign-in, with what there is to say of how it was done.
func (tx *Tx) noteSignIn(organizationID, userID int64, how []attribute) error {
	if err := tx.setAccount("", organizationID, userID, "last_sign_in_us = $1, updated_us = $2", tx.now.UnixMicro(), tx.now.UnixMicro()); err != nil {
		return err
	}
	account, err := tx.Account(organizationID, userID)
	if err != nil {
		return err
	}
	_, after, err := changedOnly(nil, how)
	if err != nil {
		return err
	}
	by := tx.author
	by.Kind, by.ID, by.Name = bugle.ByAccount, account.UserID, account.Name
	return tx.addAuditEntry(&bugle.AuditEntry{OrganizationID: organizationID, Author: by, Action: "account.signed_in", Subject: accountSubject(account), Before: "{}", After: after})
}

// FailedSignIns are attempts to sign in that failed, from one address and for one account.
type FailedSignIns struct {
	OrganizationID, UserID int64 // 0: there is no such account
	Count                  int64
	Since                  time.Time // the first of them, or earlier
	FromMany               bool      // from more addresses than are told one by one
	Refused                bool      // they were not looked at, because there had been too many
}

// NoteFailedSignIns tells the audit log of attempts to sign in that failed. Who calls it sees to it that they are few.
func (tx *Tx) NoteFailedSignIns(f FailedSignIns) error {
	subject := bugle.Subject{Kind: "account"}
	if f.UserID != 0 {
		account, err := tx.Account(f.OrganizationID, f.UserID)
		if errors.Is(err, bugle.ErrNotFound) { // it was deleted meanwhile
			return nil
		}
		if err != nil {
			return err
		}
		subject = accountSubject(account)
	}
	action := "account.sign_in_failed"
	if f.Refused {
		action = "account.sign_in_refused"
	}
	return tx.audit(f.OrganizationID, action, subject, attribute{name: "attempts", value: f.Count},
		attribute{name: "since", value: timeOrNull(f.Since)}, attribute{name: "from_many_addresses", value: f.FromMany})
}

// setAccount changes an account and tells the audit log of it by the action; empty: not.
func (tx *Tx) setAccount(action string, organizationID, userID int64, set string, a, b any) error {
	before, err := tx.Account(organizationID, userID)
	if err != nil {
		return err
	}
	n, err := tx.count("UPDATE accounts SET "+set+" WHERE organization_id = $3 AND user_id = $4", a, b, organizationID, userID)
	if err == nil && n == 0 {
		err = bugle.ErrNotFound
	}
	if err != nil {
		return fmt.Errorf("account of user %d: %w", userID, err)
	}
	if action == "" {
		return nil
	}
	after, err := tx.Account(organizationID, userID)
	if err != nil {
		return err
	}
	return tx.auditChange(organizationID, action, accountSubject(after), accountAttributes(before), accountAttributes(after))
}

// SetAccountRole gives an account another role of the organization. The last admin keeps his:
// bugle.ErrConflict.
func (tx *Tx) SetAccountRole(organizationID, userID int64, role *bugle.Role) error {
	role, err := tx.Role(organizationID, role.ID)
	if err != nil {
		return fmt.Errorf("account of user %d: %w", userID, err)
	}
	if !role.Can(bugle.AllPermissions) {
		if err := tx.keepAdmin(organizationID, userID, "take the role from"); err != nil {
			return err
		}
	}
	return tx.setAccount("account.updated", organizationID, userID, "role_id = $1, updated_us = $2", role.ID, tx.now.UnixMicro())
}

// SetAccountDisabled ends an account's sessions and lets nobody in by it, or lets him in again. The last
// admin cannot be disabled: bugle.ErrConflict.
func (tx *Tx) SetAccountDisabled(organizationID, userID int64, disabled bool) error {
	if disabled {
		if err := tx.keepAdmin(organizationID, userID, "disable"); err != nil {
			return err
		}
		if err := tx.endResets(organizationID, userID); err != nil {
			return err
		}
	}
	return tx.setAccount("account.updated", organizationID, userID, "disabled = $1, sessions_us = $2", disabled, tx.now.UnixMicro())
}

// DeleteAccount deletes an account; the user stays. The last admin's cannot be: bugle.ErrConflict.
func (tx *Tx) DeleteAccount(organizationID, userID int64) error {
	account, err := tx.Account(organizationID, userID)
	if err != nil {
		return err
	}
	if err := tx.keepAdmin(organizationID, userID, "delete"); err != nil {
		return err
	}
	if err := tx.endResets(organizationID, userID); err != nil {
		return err
	}
	if err := tx.exec("DELETE FROM accounts WHERE organization_id = $1 AND user_id = $2", organizationID, userID); err != nil {
		return fmt.Errorf("delete account of user %d: %w", userID, err)
	}
	return tx.auditChange(organizationID, "account.deleted", accountSubject(account), accountAttributes(account), nil)
}

// auditAccountOf tells the audit log that the account of a user, if there is one, is deleted: it goes with the user.
func (tx *Tx) auditAccountOf(organizationID, userID int64) error {
	account, err := tx.Account(organizationID, userID)
	if errors.Is(err, bugle.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	return tx.auditChange(organizationID, "account.deleted", accountSubject(account), accountAttributes(account), nil)
}

// keepAdmin refuses to do something to the only account that may do everything and can sign in.
func (tx *Tx) keepAdmin(organizationID, userID int64, doing string) error {
	var is, others int
	err := tx.one([]any{&is, &others}, `
		SELECT COUNT(*) FILTER (WHERE a.user_id = $1), COUNT(*) FILTER (WHERE a.user_id <> $1)
		FROM   accounts a JOIN roles r ON r.id = a.role_id
		WHERE  a.organization_id = $2 AND NOT a.disabled AND r.permissions = '["*"]'
		AND    (a.password_hash <> '' OR EXISTS (SELECT 1 FROM identities i WHERE i.user_id = a.user_id))`, userID, organizationID)
	if err != nil {
		return fmt.Errorf("look for admins: %w", err)
	}
	if is > 0 && others == 0 {
		return fmt.Errorf("%s the last admin: %w", doing, bugle.ErrConflict)
	}
	return nil
}

const invitationColumns = `id, organization_id, purpose, COALESCE(user_id, 0), email, name, COALESCE(role_id, 0), created_by, created_us, expires_us, used_us`

func scanInvitation(scan func(to ...any) error) (*bugle.Invitation, error) {
	var i bugle.Invitation
	var created, expires, used int64
	err := scan(&i.ID, &i.OrganizationID, &i.Purpose, &i.UserID, &i.Email, &i.Name, &i.RoleID, &i.CreatedBy, &created, &expires, &used)
	i.CreatedAt, i.ExpiresAt, i.UsedAt = fromMicroseconds(created), fromMicroseconds(expires), fromMicroseconds(used)
	return &i, err
}

// Invitations stay for a while once they are over, and are then deleted, some with each new one.
const (
	invitationsStay   = 30 * 24 * time.Hour
	invitationsAtOnce = 100
)

// AddInvitation makes an invitation and returns its token, which is known only now. Earlier ones for the
// same purpose and person end. Whoever is to join needs an e-mail address that nobody signs in by yet, and
// whoever is to choose a new password an account.
func (tx *Tx) AddInvitation(i *bugle.Invitation) (token string, err error) {
	i.Email = strings.TrimSpace(i.Email)
	if err := tx.checkInvitation(i); err != nil {
		return "", err
	}
	err = tx.exec("DELETE FROM invitations WHERE id IN (SELECT id FROM invitations WHERE expires_us < $1 ORDER BY expires_us LIMIT $2)",
		tx.now.Add(-invitationsStay).UnixMicro(), invitationsAtOnce)
	if err != nil {
		return "", fmt.Errorf("delete old invitations: %w", err)
	}
	err = tx.exec(`
		DELETE FROM invitations
		WHERE  organization_id = $1 AND purpose = $2 AND used_us = 0 AND COALESCE(user_id, 0) = $3 AND LOWER(email) = LOWER($4)`,
		i.OrganizationID, string(i.Purpose), i.UserID, i.Email)
	if err != nil {
		return "", fmt.Errorf("add invitation: %w", err)
	}
	token = bugle.RandomText(43)
	i.CreatedAt, i.ExpiresAt = tx.now, tx.now.Add(i.Purpose.Lasts())
	i.ID, err = tx.insert(`
		INSERT INTO invitations (organization_id, purpose, token_hash, user_id, email, name, role_id, created_by, created_us, expires_us)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
		i.OrganizationID, string(i.Purpose), bugle.KeyHash(token), nullIfZero(i.UserID), i.Email, i.Name, nullIfZero(i.RoleID), i.CreatedBy,
		tx.now.UnixMicro(), i.ExpiresAt.UnixMicro())
	if err != nil {
		return "", fmt.Errorf("add invitation: %w", err)
	}
	if tx.author.Kind == bugle.ByServer { // anybody can have it send links, and it makes one for whoever comes first
		return token, nil
	}
	return token, tx.auditChange(i.OrganizationID, "invitation.created", invitationSubject(i), nil, invitationAttributes(i))
}

func (tx *Tx) checkInvitation(i *bugle.Invitation) error {
	if i.Purpose == bugle.ResetInvitation {
		_, err := tx.Account(i.OrganizationID, i.UserID)
		return err
	}
	if _, err := tx.Role(i.OrganizationID, i.RoleID); err != nil {
		return fmt.Errorf("add invitation: %w", err)
	}
	if i.Purpose != bugle.JoinInvitation {
		return nil
	}
	if i.Email == "" { // else who comes could say that he is anybody
		return bugle.Invalid("email", "The email field is required.")
	}
	id, err := tx.UserByEmail(i.OrganizationID, i.Email)
	if err == nil {
		_, err = tx.Account(i.OrganizationID, id)
	}
	switch {
	case err == nil:
		return bugle.Invalid("email", "The email address %s has an account already.", i.Email)
	case errors.Is(err, bugle.ErrNotFound):
		return nil
	}
	return err
}

// InvitationByToken returns the invitation with the token, or bugle.ErrNotFound if there is none, or none
// that can be used now.
func (s *Store) InvitationByToken(ctx context.Context, token string) (*bugle.Invitation, error) {
	return findInvitation(ctx, s.view(), s.clock.Now(), token)
}

// UseInvitation returns the invitation with the token, which cannot be used again then. The error is
// bugle.ErrNotFound if it cannot be used now.
func (tx *Tx) UseInvitation(token string) (*bugle.Invitation, error) {
	i, err := findInvitation(context.Background(), tx.view(), tx.now, token)
	if err != nil {
		return nil, err
	}
	if err := tx.exec("UPDATE invitations SET used_us = $1 WHERE id = $2", tx.now.UnixMicro(), i.ID); err != nil {
		return nil, fmt.Errorf("use invitation %d: %w", i.ID, err)
	}
	return i, nil
}

func findInvitation(ctx context.Context, c conn, now time.Time, token string) (*bugle.Invitation, error) {
	var found *bugle.Invitation
	err := c.each(ctx, func(scan func(to ...any) error) (err error) {
		found, err = scanInvitation(scan)
		return err
	}, "SELECT "+invitationColumns+" FROM invitations WHERE token_hash = $1", bugle.KeyHash(token))
	if err == nil && (found == nil || !found.Open(now)) {
		err = bugle.ErrNotFound
	}
	if err == nil && found.Purpose == bugle.SetupInvitation {
		// It is for the first account, and for no other, however it came to be.
		var n int
		if err = c.one(ctx, []any{&n}, "SELECT COUNT(*) FROM accounts WHERE organization_id = $1", found.OrganizationID); err == nil && n > 0 {
			err = bugle.ErrNotFound
		}
	}
	if err != nil {
		return nil, fmt.Errorf("invitation: %w", err)
	}
	return found, nil
}

// Invitations returns a page of the organization's invitations that can be used, newest first.
func (s *Store) Invitations(ctx context.Context, organizationID int64, p PageRequest) (Page[*bugle.Invitation], error) {
	page := Page[*bugle.Invitation]{Number: p.Number, Limit: p.Limit}
	w := newWhere("organization_id", organizationID)
	w.add("expires_us > $%d", s.clock.Now().UnixMicro())
	w.addPlain("used_us = 0")
	w.add("purpose = $%d", string(bugle.JoinInvitation))
	c := s.view()
	err := c.one(ctx, []any{&page.Total}, "SELECT COUNT(*) FROM invitations"+w.String(), w.args...)
	if err == nil {
		condition := w.String() + " ORDER BY id DESC" + w.limit(p)
		err = c.each(ctx, func(scan func(to ...any) error) error {
			i, err := scanInvitation(scan)
			page.Items = append(page.Items, i)
			return err
		}, "SELECT "+invitationColumns+" FROM invitations"+condition, w.args...)
	}
	if err != nil {
		return page, fmt.Errorf("list invitations: %w", err)
	}
	return page, nil
}

// DeleteInvitation takes an invitation back.
func (tx *Tx) DeleteInvitation(organizationID, id int64) error {
	var invitation *bugle.Invitation
	err := tx.each(func(scan func(to ...any) error) (err error) {
		invitation, err = scanInvitation(scan)
		return err
	}, "SELECT "+invitationColumns+" FROM invitations WHERE organization_id = $1 AND id = $2", organizationID, id)
	if err != nil {
		return fmt.Errorf("invitation %d: %w", id, err)
	}
	n, err := tx.count("DELETE FROM invitations WHERE organization_id = $1 AND id = $2 AND used_us = 0", organizationID, id)
	if err == nil && n == 0 {
		err = bugle.ErrNotFound
	}
	if err != nil {
		return fmt.Errorf("invitation %d: %w", id, err)
	}
	return tx.auditChange(organizationID, "invitation.deleted", invitationSubject(invitation), invitationAttributes(invitation), nil)
}

// Setup makes an invitation for the first account of an organization and returns its token, empty if it
// has accounts already. Earlier ones end.
func (s *Store) Setup(ctx context.Context, organizationID int64) (token string, err error) {
	err = s.Update(ctx, func(tx *Tx) error {
		token = ""
		var n int
		if err := tx.one([]any{&n}, "SELECT COUNT(*) FROM accounts WHERE organization_id = $1", organizationID); err != nil || n > 0 {
			return err
		}
		admin, err := findRole(ctx, tx.view(), "organization_id = $1 AND name = $2", organizationID, bugle.AdminRole)
		if err != nil {
			return err
		}
		token, err = tx.AddInvitation(&bugle.Invitation{OrganizationID: organizationID, Purpose: bugle.SetupInvitation, RoleID: admin.ID})
		return err
	})
	if err != nil {
		return "", fmt.Errorf("set up organization %d: %w", organizationID, err)
	}
	return token, nil
}
