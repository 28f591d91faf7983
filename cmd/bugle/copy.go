package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"text/tabwriter"
	"time"

	"github.com/schollz/progressbar/v3"

	"github.com/buglehq/bugle/internal/files"
	"github.com/buglehq/bugle/internal/store"
)

// copyCommand is `bugle copy`.
type copyCommand struct {
	From        string `help:"The database to copy, as of --database of serve. Rather in the environment if it has a password." required:"" placeholder:"DATABASE" env:"BUGLE_COPY_FROM"`
	To          string `help:"The database to copy it to: one that does not exist yet, or is empty." required:"" placeholder:"DATABASE" env:"BUGLE_COPY_TO"`
	FromStorage string `help:"Folder of the uploaded files to copy. Unset: they stay where they are." placeholder:"FOLDER"`
	ToStorage   string `help:"Folder to copy them to." placeholder:"FOLDER"`
	ReplaceNUL  bool   `help:"Write U+FFFD for the character NUL and for bytes that are no UTF-8, which texts of PostgreSQL cannot hold." name:"replace-nul"`
	JSON        bool   `help:"Print JSON." name:"json"`
}

// Help follows the one line that describes the command.
func (*copyCommand) Help() string {
	return `Copies everything: all organizations, the log, what is still to be sent, ids, and the id that comes next. Stop the servers first.
What is written is read again and compared before it counts; after an error the target is empty, and the command can be run again.
The source stays as it is, with deliveries that are due: start a server on one of the two only, or they are sent twice.

  bugle copy --from sqlite:bugle-data/bugle.db --to postgres://bugle@db.example.com/bugle
  bugle copy --from postgres://bugle@db.example.com/bugle --to sqlite:/var/lib/bugle/bugle.db --from-storage /srv/bugle --to-storage /var/lib/bugle/storage`
}

// Validate reports what is wrong with the options.
func (c *copyCommand) Validate() error {
	if (c.FromStorage == "") != (c.ToStorage == "") {
		return errors.New("--from-storage and --to-storage go together: give both, or none to leave uploaded files where they are")
	}
	return nil
}

// copyReport is what the command prints as JSON.
type copyReport struct {
	Tables []store.CopiedTable `json:"tables"` // by name
	Files  *files.Copied       `json:"files"`  // null: they were not copied
}

// Run copies, and prints what.
func (c *copyCommand) Run(ctx context.Context, out *output) error {
	var report copyReport
	bar := &copyProgress{w: out.Stderr}
	defer bar.finish()
	if c.FromStorage != "" { // first, so that no row is without its file
		copied, err := c.files(bar)
		if err != nil {
			return err
		}
		report.Files = &copied
	}
	var err error
	report.Tables, err = store.Copy(ctx, c.From, c.To, store.CopyOptions{
		Log: slog.New(slog.NewTextHandler(out.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})), ReplaceNUL: c.ReplaceNUL, Progress: bar.rows,
	})
	bar.finish()
	if report.Tables == nil { // nothing is copied
		if ctx.Err() != nil {
			return errors.New("interrupted: the target is empty; run the same command again")
		}
		return err
	}
	if c.JSON {
		lines := json.NewEncoder(out.Stdout)
		lines.SetIndent("", "  ")
		return errors.Join(err, lines.Encode(report))
	}
	return errors.Join(err, printCopy(out.Stdout, report))
}

func (c *copyCommand) files(bar *copyProgress) (copied files.Copied, err error) {
	if _, err := os.Stat(c.FromStorage); err != nil { // to open it would make it
		return copied, fmt.Errorf("--from-storage: %w", err)
	}
	from, err := files.Open(c.FromStorage)
	if err != nil {
		return copied, err
	}
	defer from.Close()
	to, err := files.Open(c.ToStorage)
	if err != nil {
		return copied, err
	}
	defer to.Close()
	return from.CopyTo(to, bar.files)
}

func printCopy(w io.Writer, r copyReport) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "TABLE\tROWS\tLAST ID\tCHECKSUM OF BOTH")
	var rows int64
	for _, t := range r.Tables {
		if rows += t.Rows; t.Rows > 0 || t.LastID > 0 {
			fmt.Fprintf(table, "%s\t%d\t%d\t%s\n", t.Name, t.Rows, t.LastID, t.Checksum)
		}
	}
	if err := table.Flush(); err != nil {
		return err
	}
	last := fmt.Sprintf("\n%d rows of %d tables are copied, and were compared.", rows, len(r.Tables))
	if r.Files != nil {
		last += fmt.Sprintf(" So are %d files of %d bytes.", r.Files.Files, r.Files.Bytes)
	}
	_, err := fmt.Fprintln(w, last+"\nThe source still has what is to be sent: start a server on one of the two only. It needs the keys to its secrets, those of the source (--secrets-key).")
	return err
}

// copyProgress shows bars on a terminal, and elsewhere a line when a step begins.
type copyProgress struct {
	w    io.Writer
	bar  *progressbar.ProgressBar
	step string // that bar is for
}

func (p *copyProgress) files(now files.Copied) { p.show("files", "", now.Files, -1) }

func (p *copyProgress) rows(now store.CopyProgress) {
	step := "copy"
	if now.Verifying {
		step = "verify"
	}
	p.show(step, now.Table, now.Done, now.Total)
}

func (p *copyProgress) show(step, what string, done, total int64) {
	file, ok := p.w.(*os.File)
	terminal := ok && isTerminal(file)
	if step != p.step {
		p.finish()
		p.step = step
		switch {
		case terminal:
			p.bar = progressbar.NewOptions64(total, progressbar.OptionSetWriter(p.w), progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionClearOnFinish(),
				progressbar.OptionShowCount(), progressbar.OptionShowIts(), progressbar.OptionSetPredictTime(true))
		case total >= 0:
			fmt.Fprintf(p.w, "%s: %d rows\n", step, total)
		default:
			fmt.Fprintln(p.w, step)
		}
	}
	if p.bar != nil {
		p.bar.Describe(fmt.Sprintf("%-6s %-24s", step, what))
		p.bar.Set64(done)
	}
}

func (p *copyProgress) finish() {
	if p.bar != nil {
		p.bar.Finish()
		p.bar = nil
	}
}
