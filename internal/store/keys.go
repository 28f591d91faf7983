package store

import (
	"context"
	"fmt"
	"time"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/personnel"
)

// EnsureOrganization makes the first organization if there is none, and returns the first.
func (s *Store) EnsureOrganization(ctx context.Context, name string) (*bugle.Organization, error) {
	var first *bugle.Organization
	err := s.Update(ctx, func(tx *Tx) error {
		list, err := selectOrganizations(ctx, tx.view(), 1)
		if err != nil {
			return err
		}
		if len(list) == 0 {
			o, err := tx.AddOrganization(name)
			list = append(list, o)
			if err != nil {
				return err
			}
		}
		first = list[0]
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("first organization: %w", err)
	}
	return first, nil
}

// AddOrganization makes an organization, with the roles that each has.
func (tx *Tx) AddOrganization(name string) (*bugle.Organization, error) {
	o := &bugle.Organization{Name: name, DisplayNameFormat: personnel.DefaultDisplayName, TimeZone: "UTC", CreatedAt: tx.now}
	err := tx.one([]any{&o.ID}, "INSERT INTO organizations (name, created_us) VALUES ($1, $2) RETURNING id", name, tx.now.UnixMicro())
	if err != nil {
		return nil, fmt.Errorf("add organization: %w", err)
	}
	if err := tx.audit(o.ID, "organization.created", organizationSubject(o), attribute{name: "name", value: o.Name}); err != nil {
		return nil, err
	}
	return o, tx.addRoles(o.ID)
}

// Organizations returns the organizations, oldest first, at most limit.
func (s *Store) Organizations(ctx context.Context, limit int) ([]*bugle.Organization, error) {
	return selectOrganizations(ctx, s.view(), limit)
}

// Organization returns one organization, or bugle.ErrNotFound.
func (s *Store) Organization(ctx context.Context, id int64) (*bugle.Organization, error) {
	return findOrganization(ctx, s.view(), id)
}

func findOrganization(ctx context.Context, c conn, id int64) (*bugle.Organization, error) {
	var found *bugle.Organization
	err := c.each(ctx, func(scan func(to ...any) error) (err error) {
		found, err = scanOrganization(scan)
		return err
	}, "SELECT "+organizationColumns+" FROM organizations WHERE id = $1", id)
	if err == nil && found == nil {
		err = bugle.ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("organization %d: %w", id, err)
	}
	return found, nil
}

const organizationColumns = "id, name, display_name_format, time_zone, created_us, alert_mail, alert_channel, disable_after_days, held_us, release, second_factor_required"

func scanOrganization(scan func(to ...any) error) (*bugle.Organization, error) {
	var o bugle.Organization
	var created, held int64
	err := scan(&o.ID, &o.Name, &o.DisplayNameFormat, &o.TimeZone, &created, &o.AlertMail, &o.AlertChannel, &o.DisableAfterDays, &held, &o.Releasing, &o.SecondFactorRequired)
	o.CreatedAt, o.HeldAt = fromMicroseconds(created), fromMicroseconds(held)
	return &o, err
}

func selectOrganizations(ctx context.Context, c conn, limit int) ([]*bugle.Organization, error) {
	var list []*bugle.Organization
	err := c.each(ctx, func(scan func(to ...any) error) error {
		o, err := scanOrganization(scan)
		list = append(list, o)
		return err
	}, "SELECT "+organizationColumns+" FROM organizations ORDER BY id LIMIT $1", limit)
	if err != nil {
		return nil, fmt.Errorf("list organizations: %w", err)
	}
	return list, nil
}

const keyColumns = "id, organization_id, COALESCE(user_id, 0), name, scopes, created_us, COALESCE(expires_us, 0), COALESCE(revoked_us, 0), used_us, used_address"

func scanKey(scan func(to ...any) error) (*bugle.APIKey, error) {
	var k bugle.APIKey
	var scopes string
	var created, expires, revoked, used int64
	if err := scan(&k.ID, &k.OrganizationID, &k.UserID, &k.Name, &scopes, &created, &expires, &revoked, &used, &k.UsedFrom); err != nil {
		return nil, err
	}
	k.CreatedAt, k.ExpiresAt, k.RevokedAt = fromMicroseconds(created), fromMicroseconds(expires), fromMicroseconds(revoked)
	k.UsedAt = fromMicroseconds(used)
	return &k, decodeList(scopes, func(v any) {
		scope, _ := v.(string)
		k.Scopes = append(k.Scopes, scope)
	})
}

// AddKey makes an API key and returns its text, which is known only now.
func (tx *Tx) AddKey(k *bugle.APIKey) (text string, err error) {
	k.CreatedAt = tx.now
	list := make([]any, len(k.Scopes))
	for i, scope := range k.Scopes {
		list[i] = scope
	}
	scopes, err := encodeList(list...)
	if err != nil {
		return "", fmt.Errorf("add key: %w", err)
	}
	text = bugle.NewKeyText()
	err = tx.one([]any{&k.ID}, `
		INSERT INTO api_keys (organization_id, user_id, name, hash, scopes, created_us, expires_us)
		VALUES ($1, $2, $3, $4, $5, $6, $7)
		RETURNING id`,
		k.OrganizationID, nullIfZero(k.UserID), k.Name, bugle.KeyHash(text), scopes, tx.now.UnixMicro(), nullIfZero(microseconds(k.ExpiresAt)))
	if err != nil {
		return "", fmt.Errorf("add key: %w", err)
	}
	return text, tx.auditChange(k.OrganizationID, "api_key.created", keySubject(k), nil, keyAttributes(k))
}

func nullIfZero(n int64) any {
	if n == 0 {
		return nil
	}
	return n
}

// Key returns the key with the text, or bugle.ErrNotFound. It may have expired or been revoked.
func (s *Store) Key(ctx context.Context, text string) (*bugle.APIKey, error) {
	var key *bugle.APIKey
	err := s.view().each(ctx, func(scan func(to ...any) error) (err error) {
		key, err = scanKey(scan)
		return err
	}, "SELECT "+keyColumns+" FROM api_keys WHERE hash = $1", bugle.KeyHash(text))
	if err != nil {
		return nil, fmt.Errorf("read key: %w", err)
	}
	if key == nil {
		return nil, fmt.Errorf("key: %w", bugle.ErrNotFound)
	}
	return key, nil
}

// Keys returns all keys, oldest first, at most limit.
func (s *Store) Keys(ctx context.Context, limit int) ([]*bugle.APIKey, error) {
	var list []*bugle.APIKey
	err := s.view().each(ctx, func(scan func(to ...any) error) error {
		k, err := scanKey(scan)
		list = append(list, k)
		return err
	}, "SELECT "+keyColumns+" FROM api_keys ORDER BY id LIMIT $1", limit)
	if err != nil {
		return nil, fmt.Errorf("list keys: %w", err)
	}
	return list, nil
}

// RevokeKey makes a key invalid from the time on.
func (tx *Tx) RevokeKey(id int64, at time.Time) error {
	n, err := tx.count("UPDATE api_keys SET revoked_us = $1 WHERE id = $2 AND revoked_us IS NULL", at.UnixMicro(), id)
	if err != nil {
		return fmt.Errorf("revoke key %d: %w", id, err)
	}
	if n == 0 {
		return fmt.Errorf("key %d that is not revoked: %w", id, bugle.ErrNotFound)
	}
	key, err := tx.findKey("id = $1", id)
	if err != nil {
		return fmt.Errorf("revoke key %d: %w", id, err)
	}
	before := *key
	before.RevokedAt = time.Time{}
	return tx.auditChange(key.OrganizationID, "api_key.revoked", keySubject(key), keyAttributes(&before), keyAttributes(key))
}

// KeysOf returns a page of an organization's keys, newest first.
func (s *Store) KeysOf(ctx context.Context, organizationID int64, p PageRequest) (Page[*bugle.APIKey], error) {
	page := Page[*bugle.APIKey]{Number: p.Number, Limit: p.Limit}
	w := newWhere("organization_id", organizationID)
	c := s.view()
	err := c.one(ctx, []any{&page.Total}, "SELECT COUNT(*) FROM api_keys"+w.String(), w.args...)
	if err == nil {
		condition := w.String() + " ORDER BY id DESC" + w.limit(p)
		err = c.each(ctx, func(scan func(to ...any) error) error {
			k, err := scanKey(scan)
			page.Items = append(page.Items, k)
			return err
		}, "SELECT "+keyColumns+" FROM api_keys"+condition, w.args...)
	}
	if err != nil {
		return page, fmt.Errorf("list keys of organization %d: %w", organizationID, err)
	}
	return page, nil
}

// KeyOf returns a key of an organization, or bugle.ErrNotFound.
func (tx *Tx) KeyOf(organizationID, id int64) (*bugle.APIKey, error) {
	key, err := tx.findKey("organization_id = $1 AND id = $2", organizationID, id)
	if err != nil {
		return nil, fmt.Errorf("key %d: %w", id, err)
	}
	return key, nil
}

func (tx *Tx) findKey(where string, args ...any) (*bugle.APIKey, error) {
	var key *bugle.APIKey
	err := tx.each(func(scan func(to ...any) error) (err error) {
		key, err = scanKey(scan)
		return err
	}, "SELECT "+keyColumns+" FROM api_keys WHERE "+where, args...)
	if err == nil && key == nil {
		err = bugle.ErrNotFound
	}
	return key, err
}
