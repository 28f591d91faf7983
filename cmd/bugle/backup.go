package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/buglehq/bugle/internal/store"
)

// backupCommand is `bugle backup`.
type backupCommand struct {
	database
	Storage     string `help:"Folder of uploaded files, as that of bugle serve." placeholder:"FOLDER" env:"BUGLE_STORAGE"`
	Destination string `arg:"" help:"Folder that is made for the copy."`
}

// Help follows the one line that describes the command.
func (*backupCommand) Help() string {
	return `The server may run meanwhile. A server that is started on the copy sends nothing until somebody says "bugle release".
The key that secrets are encrypted with is not copied: keep it apart from the copy, which is of no use for them without it.

  bugle backup /backups/bugle-2026-11-29
  bugle serve --database sqlite:/backups/bugle-2026-11-29/bugle.db --secrets-key file:bugle-data/secrets.key`
}

// Run copies the database and the uploaded files to a folder beside the destination, which becomes the destination
// once everything is there and checked.
func (c *backupCommand) Run(ctx context.Context, out *output) error {
	if !strings.HasPrefix(c.Database, "sqlite:") {
		return errors.New("PostgreSQL has its own ways to back up: pg_dump, or archiving its log for a recovery to any point in time; docs/backup.md shows both, and \"bugle hold\" for the copy")
	}
	if _, err := os.Lstat(c.Destination); err == nil {
		return fmt.Errorf("%s is there already: name a folder that is to be made", c.Destination)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	began := time.Now()
	partial, err := os.MkdirTemp(filepath.Dir(filepath.Clean(c.Destination)), filepath.Base(c.Destination)+".partial-")
	if err != nil {
		return fmt.Errorf("make the copy's folder: %w", err)
	}
	defer os.RemoveAll(partial) // unless it was renamed
	storage := serverConfig{database: c.Database, storage: c.Storage}.storageFolder()
	files := &copier{from: storage, to: filepath.Join(partial, "storage")}
	// The files first and again afterwards: those that the database in the copy refers to were there before it was
	// copied, and those that came during the first round are found in the second.
	if err := files.copy(ctx); err != nil {
		return err
	}
	bar := newBar(out.Stderr, 1, "database")
	err = store.Backup(ctx, c.Database, filepath.Join(partial, "bugle.db"), time.Now(), func(written, of int64) {
		bar.ChangeMax64(max(of, written))
		bar.Set64(written)
	})
	bar.Finish()
	if err != nil {
		return err
	}
	if err := files.copy(ctx); err != nil {
		return err
	}
	if err := os.Rename(partial, c.Destination); err != nil {
		return fmt.Errorf("name the copy: %w", err)
	}
	info, err := os.Stat(filepath.Join(c.Destination, "bugle.db"))
	if err != nil {
		return err
	}
	fmt.Fprintf(out.Stdout, "%s holds the database (%.1f MB) and %d uploaded files (%.1f MB), checked, after %s.\nA server that is started on it sends nothing until \"bugle release\", and needs the key to its secrets, which is not in it: %s.\n",
		c.Destination, float64(info.Size())/1e6, files.n, float64(files.bytes)/1e6, time.Since(began).Round(100*time.Millisecond), c.source())
	return nil
}

// A copier copies the files of a folder that are not copied yet.
type copier struct {
	from, to string
	n        int
	bytes    int64
}

func (c *copier) copy(ctx context.Context) error {
	if err := os.MkdirAll(c.to, 0o700); err != nil {
		return err
	}
	err := filepath.WalkDir(c.from, func(path string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) { // deleted meanwhile, or there are no files at all
			return nil
		}
		if err != nil {
			return err
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		name, err := filepath.Rel(c.from, path)
		if err != nil {
			return err
		}
		to := filepath.Join(c.to, name)
		switch {
		case entry.IsDir():
			return os.MkdirAll(to, 0o700)
		case !entry.Type().IsRegular(), strings.HasSuffix(name, "-"): // half a file ends so
			return nil
		}
		return c.file(path, to)
	})
	if err != nil {
		return fmt.Errorf("copy uploaded files: %w", err)
	}
	return nil
}

// file copies a file, on the disk, unless that was done: files never change once they have their name.
func (c *copier) file(from, to string) error {
	in, err := os.Open(from)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	n, err := io.Copy(out, in)
	if err = errors.Join(err, out.Sync(), out.Close()); err != nil {
		return err
	}
	c.n, c.bytes = c.n+1, c.bytes+n
	return nil
}
