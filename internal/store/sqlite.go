package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/gofrs/flock"
	"github.com/pressly/goose/v3"
	_ "modernc.org/sqlite" // registers the driver "sqlite"
)

//go:embed migrations
var migrations embed.FS

// open opens the file for one writer and several readers, and brings its tables up to date.
func (s *Store) open(ctx context.Context, path string, log *slog.Logger) error {
	if err := makeFile(path); err != nil {
		return err
	}
	writing, err := sql.Open("sqlite", dsn(path, nil))
	if err != nil {
		return err
	}
	writing.SetMaxOpenConns(1)
	if err := migrateAlone(ctx, path, writing, log); err != nil {
		return errors.Join(err, writing.Close())
	}
	if s.readers, err = sql.Open("sqlite", dsn(path, []string{"query_only(1)"})); err != nil {
		return errors.Join(err, writing.Close())
	}
	s.readers.SetMaxOpenConns(4 + runtime.NumCPU())
	s.readers.SetMaxIdleConns(4 + runtime.NumCPU())
	if err := s.readers.PingContext(ctx); err != nil {
		return errors.Join(err, writing.Close())
	}
	if s.writer, err = newWriter(ctx, s, writing); err != nil { // last: once there is one, Close waits for it
		return errors.Join(err, writing.Close())
	}
	return s.writer.start(ctx)
}

// makeFile makes the file if there is none, for its owner alone: the driver would let everybody read
// it. Its companions get the same mode. One that is there is not opened, because closing it would
// end the locks that this process may have on it.
func makeFile(path string) error {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return file.Close()
}

// dsn is the driver's name for the file. A commit reaches the disk before it returns (FULL); the
// busy timeout is for other processes, such as the key command. The log of writes (WAL) is copied
// back every 4,000 pages: each copy waits for the disk, so more seldom is faster.
func dsn(path string, pragmas []string) string {
	q := url.Values{"_pragma": append([]string{
		"busy_timeout(10000)", "journal_mode(WAL)", "synchronous(FULL)", "foreign_keys(1)",
		"wal_autocheckpoint(4000)", "cache_size(-16000)", "temp_store(MEMORY)",
	}, pragmas...)}
	return "file:" + (&url.URL{Path: path}).EscapedPath() + "?" + q.Encode()
}

// migrateAlone is migrate by one process at a time: the server and a command may both be started on a
// new database.
func migrateAlone(ctx context.Context, path string, db *sql.DB, log *slog.Logger) error {
	lock := flock.New(path + ".migrating")
	if _, err := lock.TryLockContext(ctx, 10*time.Millisecond); err != nil {
		return fmt.Errorf("wait for another process to migrate the tables: %w", err)
	}
	return errors.Join(migrate(ctx, db, log), lock.Unlock())
}

// migrate applies what is missing of the migrations.
func migrate(ctx context.Context, db *sql.DB, log *slog.Logger) error {
	files, err := fs.Sub(migrations, "migrations/sqlite")
	if err != nil {
		return err
	}
	provider, err := goose.NewProvider(goose.DialectSQLite3, db, files)
	if err != nil {
		return err
	}
	current, target, err := provider.GetVersions(ctx)
	if err != nil {
		return fmt.Errorf("read the version of the tables: %w", err)
	}
	if current > target {
		return fmt.Errorf("the tables have version %d, made by a newer Bugle; this one knows %d", current, target)
	}
	if current == target {
		return nil
	}
	results, err := provider.Up(ctx)
	for _, r := range results {
		log.InfoContext(ctx, "tables migrated", "migration", r.Source.Path, "took", r.Duration)
	}
	if err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	return nil
}

// The parts of SQL that PostgreSQL writes differently.

// inIDs is a condition that a column is one of the ids in parameter $n, which is what idList makes.
func inIDs(column string, n int) string {
	return fmt.Sprintf("%s IN (SELECT value FROM json_each($%d))", column, n)
}

// idList is the parameter for inIDs.
func idList(ids []int64) any {
	text := []byte{'['}
	for i, id := range ids {
		if i > 0 {
			text = append(text, ',')
		}
		text = strconv.AppendInt(text, id, 10)
	}
	return string(append(text, ']'))
}

// positional returns a text with ? for its parameters if each is used once and in order, because
// the driver looks for the name of every numbered parameter in a list of all, for every execution:
// with the hundreds of a long INSERT that took a quarter of the processor.
func positional(query string) string {
	var b strings.Builder
	rest, next := query, 1
	for {
		at := strings.IndexByte(rest, '$')
		if at < 0 {
			b.WriteString(rest)
			return b.String()
		}
		digits := len(rest[at+1:]) - len(strings.TrimLeft(rest[at+1:], "0123456789"))
		if rest[at+1:at+1+digits] != strconv.Itoa(next) {
			return query
		}
		b.WriteString(rest[:at])
		b.WriteByte('?')
		rest, next = rest[at+1+digits:], next+1
	}
}

// insert runs an INSERT of one row and returns the id that it got. RETURNING would cost this driver as
// much again.
func (tx *Tx) insert(query string, args ...any) (id int64, err error) {
	stmt, err := tx.w.prepare(query)
	if err != nil {
		return 0, err
	}
	result, err := stmt.ExecContext(context.Background(), args...)
	if err != nil {
		return 0, err
	}
	return result.LastInsertId()
}

// jsonPart is a part of a column that holds JSON, by the path in a parameter.
func jsonPart(column, path string) string { return "json_extract(" + column + ", " + path + ")" }

// jsonHolds is a condition that the list in a column, at the path in a parameter, holds an item that
// meets the condition on item.value. What is no list is like a list of it; only an object's values
// have keys that are text, and they are not looked at.
func jsonHolds(column, path, condition string) string {
	return "EXISTS (SELECT 1 FROM json_each(" + column + ", " + path + ") AS item WHERE typeof(item.key) <> 'text' AND " + condition + ")"
}

// likeText is a condition that a column, as text, matches the pattern in a parameter in either case.
func likeText(column, pattern string) string {
	return "CAST(" + column + " AS TEXT) LIKE " + pattern + ` ESCAPE '\'`
}

// takeID takes an id of a table out of those that rows get by themselves: the next one if it is 0.
func (tx *Tx) takeID(table string, id int64) (int64, error) {
	n, err := tx.count("UPDATE sqlite_sequence SET seq = seq WHERE name = $1", table)
	if err == nil && n == 0 {
		err = tx.exec("INSERT INTO sqlite_sequence (name, seq) VALUES ($1, 0)", table)
	}
	if err != nil {
		return 0, fmt.Errorf("reserve an id in %s: %w", table, err)
	}
	if id == 0 {
		err = tx.one([]any{&id}, "UPDATE sqlite_sequence SET seq = seq + 1 WHERE name = $1 RETURNING seq", table)
	} else {
		err = tx.exec("UPDATE sqlite_sequence SET seq = MAX(seq, $1) WHERE name = $2", id, table)
	}
	if err != nil {
		return 0, fmt.Errorf("reserve an id in %s: %w", table, err)
	}
	return id, nil
}
