package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"

	"github.com/buglehq/bugle/internal/store"
)

// migrateCommand is `bugle migrate`.
type migrateCommand struct {
	database
	Check bool `help:"Change nothing: print what is missing. The exit status is 0 if nothing is, 1 if something is, and 2 if that cannot be found out, or a newer Bugle is needed."`
	JSON  bool `help:"Print JSON." name:"json"`
}

// Help follows the one line that describes the command.
func (*migrateCommand) Help() string {
	return `The server does the same when it starts, unless it runs with --no-migrate. Servers of the version before may go on meanwhile:
migrations add to the tables. One that older programs cannot work with says so in its notes in CHANGELOG.md; those that run are
to be stopped before it, and do not start again after it.

  bugle migrate --check && echo up to date`
}

// migrationReport is what the command prints as JSON.
type migrationReport struct {
	store.Schema
	Applied []string `json:"applied"` // by this command
}

// Run brings the tables up to date, or says what is missing.
func (c *migrateCommand) Run(ctx context.Context, out *output) error {
	report := migrationReport{Applied: []string{}}
	var err error
	if !c.Check {
		var before store.Schema
		log := slog.New(slog.NewTextHandler(out.Stderr, nil))
		if before, err = store.Migrate(ctx, c.Database, log); err != nil {
			return err
		}
		report.Applied = before.Missing
	}
	if report.Schema, err = store.ReadSchema(ctx, c.Database); err != nil {
		if c.Check {
			err = statusError{2, err}
		}
		return err
	}
	if c.JSON {
		lines := json.NewEncoder(out.Stdout)
		lines.SetIndent("", "  ")
		err = lines.Encode(report)
	} else {
		err = printMigrations(out, report)
	}
	switch {
	case err != nil:
	case report.Lowest > report.Known:
		err = statusError{2, errors.New("the tables need a newer Bugle: install it")}
	case len(report.Missing) > 0:
		err = statusError{1, fmt.Errorf("%d migrations are missing: run bugle migrate", len(report.Missing))}
	}
	return err
}

func printMigrations(out *output, r migrationReport) error {
	for _, name := range r.Missing {
		fmt.Fprintln(out.Stdout, "missing:", name)
	}
	state := fmt.Sprintf("the tables have version %d of %d", r.Version, r.Known)
	if r.Newer() {
		state = fmt.Sprintf("the tables have version %d, of a newer Bugle; this one knows %d", r.Version, r.Known)
	}
	if r.Lowest > r.Known {
		state += fmt.Sprintf(", and they need one that knows %d", r.Lowest)
	}
	_, err := fmt.Fprintln(out.Stdout, state)
	return err
}
