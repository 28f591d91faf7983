package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/buglehq/bugle/internal/secrets"
	"github.com/buglehq/bugle/internal/store"
)

// secretsCommand is `bugle secrets`.
type secretsCommand struct {
	Status secretsStatusCommand `cmd:"" help:"Show the keys and how many secrets each encrypts."`
	Rotate secretsRotateCommand `cmd:"" help:"Add a key and encrypt everything anew with it, where one server has the keys in a file."`
	Add    secretsAddCommand    `cmd:"" help:"Add a key that nothing is encrypted with yet, to be given to all servers first."`
	Use    secretsUseCommand    `cmd:"" help:"Encrypt everything anew with a key that was added."`
	Prune  secretsPruneCommand  `cmd:"" help:"Remove the keys that nothing is encrypted with any more."`
	New    secretsNewCommand    `cmd:"" help:"Print keys for a new database, to be kept elsewhere than in a file."`
	Reset  secretsResetCommand  `cmd:"" help:"Give up the secrets whose key is lost."`
}

// Help follows the one line that describes the command.
func (*secretsCommand) Help() string {
	return `Secrets of webhooks, their headers and the settings of channels are encrypted in the database, with keys that are elsewhere:
--secrets-key says where. Servers may run while keys are replaced; docs/security.md says how, with one server and with several.

  bugle secrets status
  bugle secrets rotate && bugle secrets prune`
}

type secretsStatusCommand struct {
	database
	JSON bool `help:"Print JSON." name:"json"`
}

// secretsReport is what is printed as JSON.
type secretsReport struct {
	Source     string          `json:"source"`
	Keys       []keyReport     `json:"keys"`
	Unused     []secrets.KeyID `json:"unused"` // added, and not used yet
	Plain      int             `json:"plain"`
	Unreadable int             `json:"unreadable"`
	Warning    string          `json:"warning"`
	Error      string          `json:"error"`
}

type keyReport struct {
	ID        secrets.KeyID `json:"id"`
	Main      bool          `json:"main"`
	CreatedAt time.Time     `json:"created_at"`
	Secrets   int           `json:"secrets"`
}

// Run prints the keys, but for what is secret of them. The error is that of secrets that do not open.
func (c *secretsStatusCommand) Run(ctx context.Context, out *output) error {
	db, err := store.Open(ctx, c.Database, store.Options{ReadOnly: true, Secrets: c.SecretsKey.Source})
	if err != nil {
		return err
	}
	defer db.Close()
	status, err := db.SecretsStatus(ctx)
	if err != nil {
		return err
	}
	if c.JSON {
		report := secretsReport{Source: status.Source, Keys: []keyReport{}, Unused: append([]secrets.KeyID{}, status.Unused...), Plain: status.Plain,
			Unreadable: status.Unreadable, Warning: status.Warning}
		for _, k := range status.Keys {
			report.Keys = append(report.Keys, keyReport{k.ID, k.Main, k.CreatedAt, k.Secrets})
		}
		if status.KeysError != nil {
			report.Error = status.KeysError.Error()
		}
		lines := json.NewEncoder(out.Stdout)
		lines.SetIndent("", "  ")
		if err := lines.Encode(report); err != nil {
			return err
		}
	} else if err := printSecrets(out.Stdout, status); err != nil {
		return err
	}
	if status.KeysError == nil && status.Unreadable > 0 {
		return fmt.Errorf("the secrets of %d webhooks, channels and second factors do not open: %s", status.Unreadable, unreadable(status))
	}
	return status.KeysError
}

func printSecrets(w io.Writer, status store.SecretsStatus) error {
	fmt.Fprintf(w, "keys are read from %s\n", status.Source)
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "KEY\tSINCE\tSECRETS OF\tSTATE")
	for _, k := range status.Keys {
		state := "old"
		if k.Main {
			state = "encrypts what is new"
		} else if k.Secrets == 0 {
			state = "not needed any more: bugle secrets prune"
		}
		fmt.Fprintf(table, "%d\t%s\t%d\t%s\n", k.ID, k.CreatedAt.Format(time.DateOnly), k.Secrets, state)
	}
	for _, id := range status.Unused {
		fmt.Fprintf(table, "%d\t\t0\tadded: bugle secrets use\n", id)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	if status.Plain > 0 {
		fmt.Fprintf(w, "%d have secrets that are not encrypted yet: bugle serve does it when it starts\n", status.Plain)
	}
	if status.Warning != "" {
		fmt.Fprintln(w, status.Warning)
	}
	return nil
}

type secretsRotateCommand struct{ database }

// Run is add and use, for keys in a file.
func (c *secretsRotateCommand) Run(ctx context.Context, out *output) error {
	db, err := c.open(ctx)
	if err != nil {
		return err
	}
	defer db.Close()
	if !c.isWritable() {
		return fmt.Errorf("the keys are in %s, where they are changed by you: \"bugle secrets add\" prints them with another one, and once every server has it, \"bugle secrets use\" encrypts with it", c.SecretsKey)
	}
	id, _, err := db.AddSecretKey(ctx)
	if err != nil {
		return err
	}
	return c.use(ctx, db, id, out)
}

// isWritable reports whether commands change the keys themselves.
func (d database) isWritable() bool {
	if d.SecretsKey.Source == nil {
		return true
	}
	_, is := d.SecretsKey.Source.(secrets.Writable)
	return is
}

// use encrypts everything with a key.
func (d database) use(ctx context.Context, db *store.Store, id secrets.KeyID, out *output) error {
	id, _, err := db.UseSecretKey(ctx, id)
	if err != nil {
		return err
	}
	done, failed, err := db.Reseal(ctx, nil)
	if err != nil {
		return fmt.Errorf("%w: what is new is encrypted with key %d; run \"bugle secrets use --key %d\" again for the rest", err, id, id)
	}
	fmt.Fprintf(out.Stdout, "The secrets of %d webhooks, channels and second factors were encrypted anew, with key %d. \"bugle secrets prune\" removes the keys that nothing needs.\n", done, id)
	if failed > 0 {
		return incompleteError(fmt.Sprintf("the secrets of %d webhooks, channels and second factors do not open: \"bugle doctor\" says which", failed))
	}
	return nil
}

// keep tells where keys go that a command cannot write itself: they are on standard output.
func (d database) keep(keys *secrets.Keys, out *output) error {
	if d.isWritable() {
		return nil
	}
	text, err := keys.Text()
	if err != nil {
		return err
	}
	fmt.Fprintf(out.Stderr, "Put what is printed where %s gets it from, for every server.\n", d.SecretsKey)
	_, err = out.Stdout.Write(text)
	return err
}

type secretsAddCommand struct{ database }

// Run adds a key.
func (c *secretsAddCommand) Run(ctx context.Context, out *output) error {
	db, err := c.open(ctx)
	if err != nil {
		return err
	}
	defer db.Close()
	id, keys, err := db.AddSecretKey(ctx)
	if err != nil {
		return err
	}
	if !c.isWritable() {
		return c.keep(keys, out)
	}
	fmt.Fprintf(out.Stdout, "Key %d was added to %s. Give every server that file, and then run \"bugle secrets use\".\n", id, c.source())
	return nil
}

// source is where keys are.
func (d database) source() secrets.Source {
	if d.SecretsKey.Source != nil {
		return d.SecretsKey.Source
	}
	return store.SecretsSource(d.Database)
}

type secretsUseCommand struct {
	database
	Key secrets.KeyID `help:"Id of the key; the only one that was added and not used yet, unless set."`
}

// Run makes a key the main one.
func (c *secretsUseCommand) Run(ctx context.Context, out *output) error {
	db, err := c.open(ctx)
	if err != nil {
		return err
	}
	defer db.Close()
	return c.use(ctx, db, c.Key, out)
}

type secretsPruneCommand struct{ database }

// Run removes keys.
func (c *secretsPruneCommand) Run(ctx context.Context, out *output) error {
	db, err := c.open(ctx)
	if err != nil {
		return err
	}
	defer db.Close()
	removed, left, err := db.PruneSecretKeys(ctx)
	if err != nil {
		return err
	}
	names := make([]string, len(removed))
	for i, id := range removed {
		names[i] = fmt.Sprint(id)
	}
	said := "Every key is needed."
	if len(removed) > 0 {
		said = "Nothing is encrypted any more with " + strings.Join(names, ", ") + "."
	}
	if !c.isWritable() {
		fmt.Fprintln(out.Stderr, said)
		if len(removed) == 0 {
			return nil
		}
		return c.keep(left, out)
	}
	fmt.Fprintln(out.Stdout, said)
	return nil
}

type secretsNewCommand struct{}

// Run prints keys.
func (*secretsNewCommand) Run(_ context.Context, out *output) error {
	keys, err := secrets.New()
	if err != nil {
		return err
	}
	text, err := keys.Text()
	if err != nil {
		return err
	}
	_, err = out.Stdout.Write(text)
	return err
}

type secretsResetCommand struct {
	database
	Yes bool `help:"Do it: webhooks whose secrets do not open get new ones, lose their headers and are paused, channels lose their settings, and accounts whose second factor does not open sign in without."`
}

// Run gives up what does not open, while no server runs.
func (c *secretsResetCommand) Run(ctx context.Context, out *output) error {
	if !c.Yes {
		return errors.New("webhooks whose secrets do not open get new ones, lose their headers and are paused, such channels lose their settings, and accounts whose second factor does not open sign in without: say --yes if the key is lost for good")
	}
	db, err := store.Open(ctx, c.Database, store.Options{Exclusive: true, Secrets: c.SecretsKey.Source})
	if errors.Is(err, store.ErrInUse) {
		return fmt.Errorf("%w: stop it first", err)
	}
	if err != nil {
		return err
	}
	defer db.Close()
	n, err := db.ResetSecrets(ctx)
	if err != nil {
		return err
	}
	fmt.Fprintf(out.Stdout, "%d webhooks, channels and second factors were reset. The keys are in %s.\n", n, c.source())
	return nil
}
