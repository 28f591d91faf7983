package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/google/uuid"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/internal/signin"
	"github.com/buglehq/bugle/internal/store"
	"github.com/buglehq/bugle/personnel"
	"github.com/buglehq/bugle/value"
)

// userCommand is `bugle user`.
type userCommand struct {
	Create       userCreateCommand       `cmd:"" help:"Let somebody sign in to the panel, and print his password."`
	Passwd       userPasswdCommand       `cmd:"" help:"Give an account another password, and print it."`
	SecondFactor userSecondFactorCommand `cmd:"" help:"Take the second factor from an account, for somebody who has lost it."`
	List         userListCommand         `cmd:"" help:"List those who may sign in."`
}

// newPassword is how a password comes about, or how somebody chooses it himself.
type newPassword struct {
	PasswordStdin bool   `help:"Read the password from standard input and print nothing." xor:"password"`
	Link          bool   `help:"Print a link that can be used once, to choose a password by, instead of a password." xor:"password"`
	PublicURL     string `help:"Address of the server, as of serve, for the link." name:"public-url" default:"http://127.0.0.1:8080" placeholder:"URL" env:"BUGLE_PUBLIC_URL"`
}

// Validate reports what is wrong with the options.
func (p *newPassword) Validate() error { return checkPublicURL(p.PublicURL) }

// read returns the password of standard input, or one that nobody could guess.
func (p *newPassword) read(in io.Reader) (string, error) {
	if !p.PasswordStdin {
		return bugle.RandomText(20), nil
	}
	text, err := io.ReadAll(io.LimitReader(in, 64<<10))
	if err != nil {
		return "", fmt.Errorf("read the password: %w", err)
	}
	return strings.TrimSuffix(strings.TrimSuffix(string(text), "\n"), "\r"), nil
}

// hash checks a password of somebody and returns what is stored of it.
func (p *newPassword) hash(password, name, email string) (string, error) {
	if err := bugle.CheckPassword(password, name, email); err != nil {
		return "", err
	}
	return signin.Hash(password)
}

func (p *newPassword) link(token string) string { return p.PublicURL + "/welcome/" + token }

// tell prints what was made, alone on standard output, for scripts.
func (p *newPassword) tell(out *output, password string) {
	if !p.PasswordStdin {
		fmt.Fprintln(out.Stdout, password)
	}
}

// errOwed says that a running server would not learn of deliveries that another process made.
var errOwed = errors.New("webhooks or automations wait for new users, and the running server would not learn of this one: " +
	"use --link, and the server makes the user when the link is opened, or stop the server meanwhile")

type userCreateCommand struct {
	database
	newPassword
	Email        string `help:"E-mail address to sign in by. A user who has it gets an account; else one is made." required:""`
	Name         string `help:"Name of the user, if there is none with the e-mail address yet."`
	Role         string `help:"What he may do: Admin (everything), User (nothing yet), or a role of the organization." default:"Admin"`
	Organization int64  `help:"Id of the organization; the first one unless set."`
}

// Help follows the one line that describes the command.
func (*userCreateCommand) Help() string {
	return `Works beside a running server.

  bugle user create --email jane@example.com --name "Jane Roe"             prints a password
  bugle user create --email jane@example.com --name "Jane Roe" --link      prints a link, to choose one by`
}

// Run prints the password or the link alone on standard output.
func (c *userCreateCommand) Run(ctx context.Context, out *output) error {
	c.Email, c.Name = strings.TrimSpace(c.Email), strings.TrimSpace(c.Name)
	var password string
	if !c.Link {
		var err error
		if password, err = c.read(out.Stdin); err != nil {
			return err
		}
	}
	err := c.run(ctx, out, password, false)
	if errors.Is(err, errOwed) {
		err = c.run(ctx, out, password, true)
	}
	if errors.Is(err, store.ErrInUse) {
		return errOwed
	}
	return err
}

// run is Run; alone, while no server can run: then it finds what is owed when it starts.
func (c *userCreateCommand) run(ctx context.Context, out *output, password string, alone bool) error {
	db, err := store.Open(ctx, c.Database, store.Options{BaseURL: c.PublicURL, Exclusive: alone, Secrets: c.SecretsKey.Source})
	if err != nil {
		return err
	}
	defer db.Close()
	organization, err := organizationOf(ctx, db, c.Organization)
	if err != nil {
		return err
	}
	if _, err := db.Organization(ctx, organization); err != nil {
		return fmt.Errorf("--organization is %d: %w", organization, err)
	}
	role, err := db.RoleByName(ctx, organization, c.Role)
	if err != nil {
		return fmt.Errorf("--role is %q: %w", c.Role, err)
	}
	if c.Link {
		return c.invite(ctx, out, db, role)
	}
	hash, err := c.hash(password, c.Name, c.Email)
	if err != nil {
		return err
	}
	err = db.Update(ctx, func(tx *store.Tx) error {
		userID, err := c.user(tx, role)
		if err != nil {
			return err
		}
		if tx.Owes() && !alone {
			return errOwed
		}
		return tx.AddAccount(&bugle.Account{UserID: userID, OrganizationID: organization, Role: role, PasswordHash: hash})
	})
	if err != nil {
		return err
	}
	c.tell(out, password)
	return nil
}

// invite prints a link by which the server makes the account, and the user if there is none.
func (c *userCreateCommand) invite(ctx context.Context, out *output, db *store.Store, role *bugle.Role) error {
	var token string
	err := db.Update(ctx, func(tx *store.Tx) error {
		if _, err := c.withoutAccount(tx, role); errors.Is(err, bugle.ErrNotFound) {
			invalid := &bugle.InvalidError{}
			personnel.New(&personnel.User).Read(c.fields(), true, invalid)
			if err := invalid.Err(); err != nil {
				return err
			}
		} else if err != nil {
			return err
		}
		var err error
		token, err = tx.AddInvitation(&bugle.Invitation{OrganizationID: role.OrganizationID, Purpose: bugle.JoinInvitation,
			Email: c.Email, Name: c.Name, RoleID: role.ID})
		return err
	})
	if err != nil {
		return err
	}
	fmt.Fprintln(out.Stdout, c.link(token))
	return nil
}

func (c *userCreateCommand) fields() *value.Array { return value.Map("name", c.Name, "email", c.Email) }

// user returns the user with the e-mail address, making him if there is none.
func (c *userCreateCommand) user(tx *store.Tx, role *bugle.Role) (int64, error) {
	id, err := c.withoutAccount(tx, role)
	if !errors.Is(err, bugle.ErrNotFound) {
		return id, err
	}
	if c.Name == "" {
		return 0, fmt.Errorf("there is no user with the e-mail address %s yet: give a --name to make one", c.Email)
	}
	actor := store.Actor{OrganizationID: role.OrganizationID, RequestID: uuid.NewString(), TraceID: uuid.NewString()}
	user, err := tx.Create(actor, &personnel.User, c.fields())
	if err != nil {
		return 0, err
	}
	return user.ID(), nil
}

// withoutAccount returns the user with the e-mail address, who must not have an account yet.
func (c *userCreateCommand) withoutAccount(tx *store.Tx, role *bugle.Role) (int64, error) {
	id, err := tx.UserByEmail(role.OrganizationID, c.Email)
	if err != nil {
		return 0, err
	}
	switch _, err := tx.Account(role.OrganizationID, id); {
	case err == nil:
		return 0, fmt.Errorf("%s has an account already: bugle user passwd gives it another password", c.Email)
	case !errors.Is(err, bugle.ErrNotFound):
		return 0, err
	}
	return id, nil
}

// ofAccount says which account is meant.
type ofAccount struct {
	Email        string `help:"E-mail address of the account." required:""`
	Organization int64  `help:"Id of the organization, if the e-mail address has accounts in several."`
}

type userPasswdCommand struct {
	database
	newPassword
	ofAccount
}

// Help follows the one line that describes the command.
func (*userPasswdCommand) Help() string {
	return `Ends the sessions of the account. Works beside a running server.`
}

// Run prints the password or the link alone on standard output.
func (c *userPasswdCommand) Run(ctx context.Context, out *output) error {
	db, err := c.open(ctx)
	if err != nil {
		return err
	}
	defer db.Close()
	account, err := c.find(ctx, db)
	if err != nil {
		return err
	}
	if account.Disabled {
		fmt.Fprintln(out.Stderr, "bugle: the account is disabled: nobody can sign in by it until an admin enables it")
	}
	if c.Link {
		var token string
		err := db.Update(ctx, func(tx *store.Tx) (err error) {
			token, err = tx.AddInvitation(&bugle.Invitation{OrganizationID: account.OrganizationID, Purpose: bugle.ResetInvitation, UserID: account.UserID})
			return err
		})
		if err != nil {
			return err
		}
		fmt.Fprintln(out.Stdout, c.link(token))
		return nil
	}
	password, err := c.read(out.Stdin)
	if err != nil {
		return err
	}
	hash, err := c.hash(password, account.Name, account.Email)
	if err != nil {
		return err
	}
	if err := db.Update(ctx, func(tx *store.Tx) error {
		return tx.SetPassword(account.OrganizationID, account.UserID, hash)
	}); err != nil {
		return err
	}
	c.tell(out, password)
	return nil
}

// find returns the only account that is meant.
func (c ofAccount) find(ctx context.Context, db *store.Store) (*bugle.Account, error) {
	list, err := db.AccountsByEmail(ctx, c.Email)
	if err != nil {
		return nil, err
	}
	var found []*bugle.Account
	var organizations []string
	for _, a := range list {
		if c.Organization == 0 || c.Organization == a.OrganizationID {
			found = append(found, a)
			organizations = append(organizations, fmt.Sprint(a.OrganizationID))
		}
	}
	switch {
	case len(found) == 0:
		return nil, fmt.Errorf("there is no account with the e-mail address %s: bugle user create makes one", c.Email)
	case len(found) > 1:
		return nil, fmt.Errorf("%s has accounts in the organizations %s: say which with --organization", c.Email, strings.Join(organizations, ", "))
	}
	return found[0], nil
}

type userSecondFactorCommand struct {
	database
	ofAccount
	Remove bool `help:"Let the account sign in with its password alone."`
}

// Help follows the one line that describes the command.
func (*userSecondFactorCommand) Help() string {
	return `Without --remove it says whether the account has one. Works beside a running server. Make sure that it is really the account's owner who asks.

  bugle user second-factor --email jane@example.com --remove`
}

// Run says what there is, or removes it.
func (c *userSecondFactorCommand) Run(ctx context.Context, out *output) error {
	db, err := c.open(ctx)
	if err != nil {
		return err
	}
	defer db.Close()
	account, err := c.find(ctx, db)
	if err != nil {
		return err
	}
	switch {
	case account.SecondFactorSince.IsZero() && c.Remove:
		return fmt.Errorf("%s has no second factor", c.Email)
	case account.SecondFactorSince.IsZero():
		fmt.Fprintf(out.Stdout, "%s has no second factor.\n", c.Email)
		return nil
	case !c.Remove:
		fmt.Fprintf(out.Stdout, "%s has a second factor since %s.\n", c.Email, account.SecondFactorSince.Format(time.DateOnly))
		return nil
	}
	err = db.Update(ctx, func(tx *store.Tx) error { return tx.RemoveSecondFactor(account.OrganizationID, account.UserID) })
	if err != nil {
		return err
	}
	fmt.Fprintf(out.Stdout, "%s signs in with the password alone now.\n", c.Email)
	return nil
}

type userListCommand struct {
	database
}

// maxAccounts bounds the list of each organization, and the list of these.
const maxAccounts = store.MaxLimit

// Run prints a table.
func (c *userListCommand) Run(ctx context.Context, out *output) error {
	db, err := c.open(ctx)
	if err != nil {
		return err
	}
	defer db.Close()
	organizations, err := db.Organizations(ctx, maxAccounts)
	if err != nil {
		return err
	}
	table := tabwriter.NewWriter(out.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "USER\tNAME\tEMAIL\tORGANIZATION\tROLE\tLAST SIGN-IN\tSTATE")
	for _, o := range organizations {
		page, err := db.Accounts(ctx, o.ID, "", store.PageRequest{Number: 1, Limit: maxAccounts})
		if err != nil {
			return err
		}
		for _, a := range page.Items {
			last, state := "never", "enabled"
			if !a.LastSignInAt.IsZero() {
				last = a.LastSignInAt.Format(time.DateOnly)
			}
			switch {
			case a.Disabled:
				state = "disabled"
			case a.PasswordHash == "":
				state = "without a password"
			case !a.SecondFactorSince.IsZero():
				state = "enabled, with a second factor"
			}
			fmt.Fprintf(table, "%d\t%s\t%s\t%d\t%s\t%s\t%s\n", a.UserID, a.Name, a.Email, a.OrganizationID, a.Role.Name, last, state)
		}
		if more := page.Total - len(page.Items); more > 0 {
			fmt.Fprintf(table, "\t… and %d more\t\t%d\t\t\t\n", more, o.ID)
		}
	}
	return table.Flush()
}
