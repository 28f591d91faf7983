package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/buglehq/bugle/internal/store"
)

// holdCommand is `bugle hold`.
type holdCommand struct {
	database
	Reason string `help:"Why, for those who see it in the panel." default:"this is a copy that was restored"`
}

// Help follows the one line that describes the command.
func (*holdCommand) Help() string {
	return `Run it on a database that was restored, before a server is started on it: what it owes may have been sent since by the original.

  bugle hold --database postgres://bugle@db2/bugle`
}

// Validate reports a reason that says nothing.
func (c *holdCommand) Validate() error {
	if strings.TrimSpace(c.Reason) == "" || len(c.Reason) > 500 {
		return errors.New("--reason must have 1 to 500 characters")
	}
	return nil
}

// Run holds sending.
func (c *holdCommand) Run(ctx context.Context, out *output) error {
	db, err := store.Open(ctx, c.Database, store.Options{Exclusive: true})
	if errors.Is(err, store.ErrInUse) {
		return fmt.Errorf("%w, which would go on sending: stop it first", err)
	}
	if err != nil {
		return err
	}
	defer db.Close()
	if err := db.Update(ctx, func(tx *store.Tx) error { return tx.HoldSending(c.Reason) }); err != nil {
		return err
	}
	fmt.Fprintln(out.Stdout, "Servers that are started on this database send nothing until \"bugle release\".")
	return nil
}

// releaseCommand is `bugle release`.
type releaseCommand struct{ database }

// Help follows the one line that describes the command.
func (*releaseCommand) Help() string {
	return `Deliveries that are pending are sent then. Those that the original has sent meanwhile arrive twice; they have the same webhook-id.

  bugle release --database sqlite:/backups/bugle-2026-11-29/bugle.db`
}

// Run lets servers send.
func (c *releaseCommand) Run(ctx context.Context, out *output) error {
	db, err := c.open(ctx)
	if err != nil {
		return err
	}
	defer db.Close()
	var held bool
	err = db.Update(ctx, func(tx *store.Tx) (err error) {
		held, err = tx.ReleaseSending()
		return err
	})
	if err != nil {
		return err
	}
	if !held {
		fmt.Fprintln(out.Stdout, "Sending was not held.")
		return nil
	}
	fmt.Fprintln(out.Stdout, "Sending is released.")
	return nil
}

// lookForRelease is how often a server that may not send looks whether it may.
const lookForRelease = time.Second

// awaitRelease returns once nothing holds sending; false if ctx is done before.
func awaitRelease(ctx context.Context, db *store.Store, log *slog.Logger) bool {
	ticker := time.NewTicker(lookForRelease)
	defer ticker.Stop()
	said := ""
	for ctx.Err() == nil {
		hold, err := db.SendingHold(ctx)
		switch {
		case err != nil && ctx.Err() == nil:
			log.ErrorContext(ctx, "it cannot be read whether sending is held", "error", err)
		case err == nil && hold == nil:
			if said != "" {
				log.InfoContext(ctx, "sending is released")
			}
			return true
		case err == nil && said != hold.Reason:
			said = hold.Reason
			log.WarnContext(ctx, "nothing is sent until bugle release, or an admin releases it in the panel", "reason", hold.Reason, "since", hold.Since)
		}
		select {
		case <-ctx.Done():
		case <-ticker.C:
		}
	}
	return false
}
