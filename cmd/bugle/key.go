package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/internal/api"
	"github.com/buglehq/bugle/internal/spelling"
	"github.com/buglehq/bugle/internal/store"
	"github.com/buglehq/bugle/personnel"
)

// keyCommand is `bugle key`.
type keyCommand struct {
	Create keyCreateCommand `cmd:"" help:"Make an API key and print it."`
	List   keyListCommand   `cmd:"" help:"List API keys."`
	Revoke keyRevokeCommand `cmd:"" help:"Make an API key invalid."`
}

type keyCreateCommand struct {
	database
	Name         string        `help:"What the key is for." required:""`
	Scope        []string      `help:"What the key may do: * for everything, or view:user, create:rankrecord and so on. Repeatable." required:""`
	Organization int64         `help:"Id of the organization; the first one unless set."`
	User         int64         `help:"Id of the user whose key it is: the author of what it writes."`
	Expires      time.Duration `help:"How long the key is valid, such as 720h; for ever unless set."`
}

// Validate reports scopes that do not exist, with what was likely meant.
func (c *keyCreateCommand) Validate() error {
	var errs []error
	known := api.Scopes()
	for _, scope := range c.Scope {
		if slices.Contains(known, scope) {
			continue
		}
		err := fmt.Errorf("--scope is %q, want *, or one of view, create, update and delete, a colon, and a kind", scope)
		if like := spelling.Closest(scope, known); like != "" {
			err = fmt.Errorf("%w; did you mean %s?", err, like)
		}
		errs = append(errs, err)
	}
	if strings.TrimSpace(c.Name) == "" {
		errs = append(errs, errors.New("--name is empty"))
	}
	if c.Expires < 0 {
		errs = append(errs, errors.New("--expires must not be negative"))
	}
	return errors.Join(errs...)
}

// Run prints the key alone on standard output, for scripts.
func (c *keyCreateCommand) Run(ctx context.Context, out *output) error {
	db, err := c.open(ctx)
	if err != nil {
		return err
	}
	defer db.Close()
	organization, err := organizationOf(ctx, db, c.Organization)
	if err != nil {
		return err
	}
	key := &bugle.APIKey{OrganizationID: organization, UserID: c.User, Name: c.Name, Scopes: c.Scope}
	if _, err := db.View(ctx, key.OrganizationID); err != nil {
		return fmt.Errorf("--organization is %d: %w", key.OrganizationID, err)
	}
	if c.Expires > 0 {
		key.ExpiresAt = time.Now().Add(c.Expires)
	}
	if key.UserID != 0 {
		if _, err := db.Get(ctx, key.OrganizationID, &personnel.User, key.UserID); err != nil {
			return fmt.Errorf("--user is %d: %w", key.UserID, err)
		}
	}
	var text string
	err = db.Update(ctx, func(tx *store.Tx) error {
		text, err = tx.AddKey(key)
		return err
	})
	if err != nil {
		return err
	}
	fmt.Fprintln(out.Stdout, text)
	return nil
}

type keyListCommand struct {
	database
}

// maxKeys bounds the list.
const maxKeys = 10000

// Run prints a table without the keys themselves, which nobody knows any more.
func (c *keyListCommand) Run(ctx context.Context, out *output) error {
	db, err := c.open(ctx)
	if err != nil {
		return err
	}
	defer db.Close()
	keys, err := db.Keys(ctx, maxKeys)
	if err != nil {
		return err
	}
	table := tabwriter.NewWriter(out.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "ID\tNAME\tORGANIZATION\tSCOPES\tCREATED\tLAST USED\tSTATE")
	for _, k := range keys {
		state := "valid"
		switch {
		case !k.RevokedAt.IsZero():
			state = "revoked " + k.RevokedAt.Format(time.DateOnly)
		case !k.Valid(time.Now()):
			state = "expired " + k.ExpiresAt.Format(time.DateOnly)
		case !k.ExpiresAt.IsZero():
			state = "valid until " + k.ExpiresAt.Format(time.DateOnly)
		}
		used := "never"
		if !k.UsedAt.IsZero() {
			used = k.UsedAt.Format("2006-01-02 15:04") + " from " + k.UsedFrom
		}
		fmt.Fprintf(table, "%d\t%s\t%d\t%s\t%s\t%s\t%s\n", k.ID, k.Name, k.OrganizationID, strings.Join(k.Scopes, ","), k.CreatedAt.Format(time.DateOnly), used, state)
	}
	return table.Flush()
}

type keyRevokeCommand struct {
	database
	ID int64 `arg:"" help:"Id of the key, from bugle key list."`
}

// Run makes the key invalid from now on.
func (c *keyRevokeCommand) Run(ctx context.Context, out *output) error {
	db, err := c.open(ctx)
	if err != nil {
		return err
	}
	defer db.Close()
	if err := db.Update(ctx, func(tx *store.Tx) error { return tx.RevokeKey(c.ID, tx.Now()) }); err != nil {
		return err
	}
	fmt.Fprintf(out.Stdout, "key %d is revoked\n", c.ID)
	return nil
}
