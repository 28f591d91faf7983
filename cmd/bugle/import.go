package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/schollz/progressbar/v3"

	"github.com/buglehq/bugle/internal/files"
	"github.com/buglehq/bugle/internal/perscom"
	"github.com/buglehq/bugle/internal/store"
)

// importCommand is `bugle import`.
type importCommand struct {
	database
	egress
	From         string   `help:"Address of the API to copy from: https://api.perscom.io/v2, or another Bugle's." required:"" placeholder:"URL"`
	Key          string   `help:"API key there, for everything (*). Better given by the environment, where others do not see it." env:"BUGLE_IMPORT_KEY"`
	PerscomID    string   `help:"Id of the organization there; needed if the key does not say it." name:"perscom-id" placeholder:"ID"`
	Organization int64    `help:"Id of the organization to copy into; the first one unless set."`
	Notify       bool     `help:"Write created events for what is copied, and call webhooks for them. The server must be stopped; it calls once it is started."`
	Storage      string   `help:"Folder of uploaded files; the folder storage beside the database unless set." placeholder:"FOLDER" env:"BUGLE_STORAGE"`
	PublicURL    string   `help:"With --notify: address of this server for links in payloads, as of serve." name:"public-url" placeholder:"URL" env:"BUGLE_PUBLIC_URL"`
	AllowTarget  []string `help:"Network, address or host from which files may be fetched although it is private. The host of --from may be in any case. Repeatable." placeholder:"TARGET" env:"BUGLE_ALLOW_TARGET"`
}

// Help follows the one line that describes the command.
func (*importCommand) Help() string {
	return `Copies people, records, everything that they refer to, custom fields, and files. Rows keep their ids and times if the
organization is empty; otherwise they get new ids, and what refers to them follows. Nothing at the source is changed.

  BUGLE_IMPORT_KEY=… bugle import --from https://api.perscom.io/v2 --perscom-id 42

It may run beside a running server. Run it again to go on after an interruption, or to copy what is new since: rows that
were copied before are left as they are. The exit status is 3 if something could not be copied, which is listed at the end.

Webhooks are not called for what is copied, unless --notify is given. Their deliveries are then sent by the server, which
finds them when it is started.`
}

// Validate reports what is wrong with the options.
func (c *importCommand) Validate() error {
	if strings.TrimSpace(c.Key) == "" {
		return errors.New("--key is missing: give it, or set BUGLE_IMPORT_KEY")
	}
	_, wrong := c.egress.proxy()
	source, err := perscom.New(c.From, perscom.Options{Key: c.Key, Allow: c.AllowTarget})
	if err == nil {
		source.Close()
	}
	return errors.Join(err, wrong, checkPublicURL(c.PublicURL))
}

// An incompleteError says that a command did what it could, but not all.
type incompleteError string

func (e incompleteError) Error() string { return string(e) }

// Run copies, and prints what has become of the rows.
func (c *importCommand) Run(ctx context.Context, out *output) error {
	bars := &importProgress{w: out.Stderr}
	if strings.TrimSpace(c.Key) == "" {
		return errors.New("--key is missing: give it, or set BUGLE_IMPORT_KEY")
	}
	proxy, err := c.egress.proxy()
	if err != nil {
		return err
	}
	source, err := perscom.New(c.From, perscom.Options{
		Key: c.Key, PerscomID: c.PerscomID, UserAgent: userAgent(), Allow: c.AllowTarget, Proxy: proxy, Waiting: bars.waiting,
	})
	if err != nil {
		return err
	}
	defer source.Close()
	work := &perscom.Copy{Source: source, Notify: c.Notify, Progress: bars.show}
	if err := work.Check(ctx); err != nil {
		return err
	}
	db, err := store.Open(ctx, c.Database, store.Options{Exclusive: c.Notify, BaseURL: c.PublicURL, Secrets: c.SecretsKey.Source})
	if errors.Is(err, store.ErrInUse) {
		return fmt.Errorf("%w: stop it first, because with --notify it would not learn of the deliveries", err)
	}
	if err != nil {
		return err
	}
	defer db.Close()
	if work.OrganizationID, err = organizationOf(ctx, db, c.Organization); err != nil {
		return err
	}
	if _, err := db.View(ctx, work.OrganizationID); err != nil {
		return fmt.Errorf("--organization is %d: %w", c.Organization, err)
	}
	if work.Files, err = files.Open(serverConfig{database: c.Database, storage: c.Storage}.storageFolder()); err != nil {
		return err
	}
	defer work.Files.Close()
	work.Store = db

	result, err := work.Run(ctx)
	bars.finish()
	if printed := printImport(out.Stdout, result); err == nil {
		err = printed
	}
	if ctx.Err() != nil && err != nil {
		return errors.New("interrupted: what is listed above is copied; run the same command again to go on")
	}
	if err != nil {
		return fmt.Errorf("%w\nWhat is listed above is copied; run the same command again to go on", err)
	}
	if !result.Complete() {
		return incompleteError("not everything could be copied: see above")
	}
	return nil
}

// printImport prints a table of what has become of the rows, and what is to be known besides.
func printImport(w io.Writer, r *perscom.Result) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "KIND\tREAD\tIMPORTED\tSKIPPED\tNOT COPIED")
	var all perscom.Count
	for _, n := range r.Counts {
		fmt.Fprintf(table, "%s\t%d\t%d\t%d\t%d\n", n.Name, n.Read, n.Imported, n.Skipped, n.NotCopied)
		all.Read, all.Imported, all.Skipped, all.NotCopied = all.Read+n.Read, all.Imported+n.Imported, all.Skipped+n.Skipped, all.NotCopied+n.NotCopied
	}
	fmt.Fprintf(table, "all\t%d\t%d\t%d\t%d\n", all.Read, all.Imported, all.Skipped, all.NotCopied)
	if err := table.Flush(); err != nil {
		return err
	}
	var b strings.Builder
	if r.KeptIDs {
		b.WriteString("\nRows have the ids that they had, where those were free.\n")
	} else {
		b.WriteString("\nRows have new ids.\n")
	}
	for _, note := range r.Notes {
		b.WriteString(note + "\n")
	}
	if len(r.Problems) > 0 {
		b.WriteString("\nNot copied:\n")
	}
	for _, p := range r.Problems {
		b.WriteString("  " + p.String() + "\n")
	}
	if r.More > 0 {
		fmt.Fprintf(&b, "  and %d more\n", r.More)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// importProgress shows a bar for each kind on a terminal, and elsewhere a line.
type importProgress struct {
	w   io.Writer
	bar *progressbar.ProgressBar
	of  string // what bar is for
}

func (p *importProgress) show(now perscom.Progress) {
	file, ok := p.w.(*os.File)
	switch {
	case ok && isTerminal(file):
		if p.bar == nil || p.of != now.Name {
			p.finish()
			p.of = now.Name
			p.bar = progressbar.NewOptions(max(now.Total, 1), progressbar.OptionSetWriter(p.w), progressbar.OptionSetDescription(fmt.Sprintf("%-22s", now.Name)),
				progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionClearOnFinish())
		}
		p.bar.ChangeMax(max(now.Total, 1))
		p.bar.Set(now.Done)
		if now.Over {
			p.finish()
		}
	case now.Over && now.Count.Read > 0:
		fmt.Fprintf(p.w, "%s: %d read, %d imported, %d skipped, %d not copied\n", now.Name, now.Count.Read, now.Count.Imported, now.Count.Skipped, now.Count.NotCopied)
	}
}

func (p *importProgress) finish() {
	if p.bar != nil {
		p.bar.Finish()
		p.bar = nil
	}
}

func (p *importProgress) waiting(d time.Duration, why string) {
	p.finish()
	fmt.Fprintf(p.w, "waiting %s: %s\n", d.Round(time.Second), why)
}
