package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"
)

// Backup copies a database of SQLite, named as for Open, to a new file, beside its server: as it is at one moment. The copy
// is checked, and holds sending until somebody releases it. The progress is told now and then how many bytes are written
// and of about how many. If Backup fails, the file is of no use.
func Backup(ctx context.Context, name, to string, now time.Time, progress func(written, of int64)) error {
	path, isFile := strings.CutPrefix(name, "sqlite:")
	if !isFile {
		return fmt.Errorf("back up %s: only files of SQLite are copied", ShownName(name))
	}
	s, err := Open(ctx, name, Options{ReadOnly: true}) // checks its version
	if err != nil {
		return err
	}
	err = s.copyTo(ctx, path, to, progress)
	if err = errors.Join(err, s.Close()); err != nil {
		return fmt.Errorf("back up %s: %w", path, err)
	}
	if err := finishBackup(ctx, to, now); err != nil {
		return fmt.Errorf("check %s: %w", to, err)
	}
	return nil
}

// copyTo writes the database to a file that is made for it. A reader sees one state however long it takes; meanwhile
// the log of writes grows.
func (s *Store) copyTo(ctx context.Context, path, to string, progress func(written, of int64)) error {
	var pages, size, free int64
	for pragma, value := range map[string]*int64{"page_count": &pages, "page_size": &size, "freelist_count": &free} {
		if err := s.view().one(ctx, []any{value}, "PRAGMA "+pragma); err != nil {
			return err
		}
	}
	file, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	if err := file.Close(); err != nil {
		return err
	}
	db, err := sql.Open("sqlite", dsn(path, nil)) // not query_only, which keeps from writing other files too
	if err != nil {
		return err
	}
	defer db.Close()
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		ticker := time.NewTicker(200 * time.Millisecond)
		defer ticker.Stop()
		for {
			select {
			case <-stop:
				return
			case <-ticker.C:
				if info, err := os.Stat(to); err == nil {
					progress(info.Size(), (pages-free)*size)
				}
			}
		}
	}()
	_, err = db.ExecContext(ctx, "VACUUM INTO ?", to)
	close(stop)
	<-stopped
	return err
}

// finishBackup marks a copy and checks it.
func finishBackup(ctx context.Context, path string, now time.Time) error {
	db, err := sql.Open("sqlite", dsn(path, nil))
	if err != nil {
		return err
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	reason := "this is a copy of " + now.UTC().Format("2006-01-02 15:04:05") + " UTC"
	if _, err := db.ExecContext(ctx, positional(insertSendingHold), reason, now.UnixMicro()); err != nil {
		return err
	}
	for _, pragma := range []string{"integrity_check(10)", "foreign_key_check"} {
		wrong, err := problems(ctx, db, pragma)
		if err != nil {
			return err
		}
		if len(wrong) > 0 {
			return fmt.Errorf("the copy is damaged, and so may be the original: %s", strings.Join(wrong, "; "))
		}
	}
	// All in one file, on the disk.
	if _, err := db.ExecContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)"); err != nil {
		return err
	}
	if _, err := db.ExecContext(ctx, "PRAGMA journal_mode = DELETE"); err != nil {
		return err
	}
	if err := db.Close(); err != nil {
		return err
	}
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return errors.Join(file.Sync(), file.Close())
}

// problems are what a check of SQLite says is wrong, at most 10 things.
func problems(ctx context.Context, db *sql.DB, pragma string) (wrong []string, err error) {
	rows, err := db.QueryContext(ctx, "PRAGMA "+pragma)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() && len(wrong) < 10 {
		var text string
		columns, err := rows.Columns()
		if err != nil {
			return nil, err
		}
		to := []any{&text}
		for range columns[1:] {
			to = append(to, new(any))
		}
		if err := rows.Scan(to...); err != nil {
			return nil, err
		}
		if text != "ok" {
			wrong = append(wrong, text)
		}
	}
	return wrong, rows.Err()
}
