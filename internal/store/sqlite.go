package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"github.com/gofrs/flock"
	driver "modernc.org/sqlite" // registers itself as "sqlite"
	codes "modernc.org/sqlite/lib"

	"github.com/buglehq/bugle"
)

// openSQLite opens the file for one writer and several readers, and brings its tables up to date.
func (s *Store) openSQLite(ctx context.Context, path string, o Options) error {
	writing, err := makeSQLite(path)
	if err != nil {
		return err
	}
	writing.SetMaxOpenConns(1)
	if _, err := migrateSQLite(ctx, path, writing, o.Keep, o.Log); err != nil {
		return errors.Join(err, writing.Close())
	}
	s.dialect = sqlite{}
	if s.readers, err = sql.Open("sqlite", dsn(path, []string{"query_only(1)"})); err != nil {
		return errors.Join(err, writing.Close())
	}
	s.reading = s.readers
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

// readSQLite opens a file that is there, to read it beside its server.
func (s *Store) readSQLite(ctx context.Context, path string) error {
	if _, err := os.Stat(path); err != nil {
		return err
	}
	s.dialect = sqlite{}
	var err error
	if s.readers, err = sql.Open("sqlite", dsn(path, []string{"query_only(1)"})); err != nil {
		return err
	}
	s.reading = s.readers
	return s.checkTables(ctx)
}

// makeSQLite opens the file, which is made, with its folder, if there is none.
func makeSQLite(path string) (*sql.DB, error) {
	if err := errors.Join(makeFolder(path), makeFile(path)); err != nil {
		return nil, err
	}
	return sql.Open("sqlite", dsn(path, nil))
}

func makeFolder(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("make its folder: %w", err)
	}
	return nil
}

// lockFile keeps other processes from sending deliveries from the file, until the function that it returns is called.
func lockFile(path string) (unlock func() error, err error) {
	lock := flock.New(path + ".lock")
	if locked, err := lock.TryLock(); err != nil {
		return nil, fmt.Errorf("lock database: %w", err)
	} else if !locked {
		return nil, ErrInUse
	}
	return lock.Unlock, nil
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
// back every 4,000 pages: each copy waits for the disk, so more seldom is faster. A new file can give
// space back in steps (auto_vacuum 2, first because it must be set before anything is written); one that is
// there stays as it is. What is deleted or overwritten becomes zeros in the pages that are written anyway
// (secure_delete).
func dsn(path string, pragmas []string) string {
	q := url.Values{"_pragma": append([]string{
		"busy_timeout(10000)", "auto_vacuum(2)", "journal_mode(WAL)", "synchronous(FULL)", "foreign_keys(1)",
		"wal_autocheckpoint(4000)", "cache_size(-16000)", "temp_store(MEMORY)", "secure_delete(FAST)",
	}, pragmas...)}
	return "file:" + (&url.URL{Path: path}).EscapedPath() + "?" + q.Encode()
}

// sqlite is the dialect of SQLite.
type sqlite struct{}

// statement is positional.
func (sqlite) statement(query string) string { return positional(query) }

func (d sqlite) start(ctx context.Context, w *writer) error {
	return w.conn.QueryRowContext(ctx, d.statement(lastOrder)).Scan(&w.last)
}

func (sqlite) end(*writer) error { return nil }

func (sqlite) place(now int64) int64 { return now }

func (sqlite) isShared() bool { return false }

func (sqlite) clock() string { return "" }

func (sqlite) tables() tables { return sqliteTables }

// begin chooses too whether the commit waits for the disk.
func (sqlite) begin(w *writer, u urgency) error {
	if err := w.sync(u != results); err != nil {
		return err
	}
	return w.exec("BEGIN IMMEDIATE")
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

func (sqlite) uncommitted(err error) error { return err }

// refused knows the errors of a disk that is full: of the file and its log, and of the index of the log.
func (sqlite) refused(err error) error {
	var e *driver.Error
	if errors.As(err, &e) && (e.Code() == codes.SQLITE_FULL || e.Code() == codes.SQLITE_IOERR_SHMSIZE) {
		return fmt.Errorf("%w: %w", ErrNoRoom, err)
	}
	return err
}

func (sqlite) inserting(query string) string { return query }

// insert does not use RETURNING, which would cost this driver as much again.
func (sqlite) insert(stmt *sql.Stmt, args []any) (int64, error) {
	result, err := stmt.ExecContext(context.Background(), args...)
	if err != nil {
		return 0, err
	}
	return result.LastInsertId()
}

func (sqlite) jsonPart(column, path string) string {
	return "json_extract(" + column + ", " + path + ")"
}

func (d sqlite) jsonText(column, path string) string { return d.jsonPart(column, path) }

func (sqlite) jsonValue(v any) any { return v }

// jsonHolds knows an object's values by their keys, which are text.
func (sqlite) jsonHolds(column, path, condition string) string {
	return "EXISTS (SELECT 1 FROM json_each(" + column + ", " + path + ") AS item WHERE typeof(item.key) <> 'text' AND " + condition + ")"
}

// erasing lets pages that are freed be zeros too, which are written for that alone.
func (sqlite) erasing(ctx context.Context, s *Store, fn func() error) error {
	pragma := func(text string) error {
		return s.Update(ctx, func(tx *Tx) error { return tx.w.exec(text) })
	}
	if err := pragma("PRAGMA secure_delete = ON"); err != nil {
		return err
	}
	return errors.Join(fn(), pragma("PRAGMA secure_delete = FAST"))
}

// endLog copies the log of writes back, and empties it. Changes wait for that, and it waits for readers, so not for long.
func (sqlite) endLog(ctx context.Context, s *Store) error {
	db, err := sql.Open("sqlite", dsn(s.file, nil))
	if err != nil {
		return err
	}
	db.SetMaxOpenConns(1)
	if _, err = db.ExecContext(ctx, "PRAGMA busy_timeout = 200"); err != nil {
		return errors.Join(err, db.Close())
	}
	var busy, pages, copied int
	if err = db.QueryRowContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)").Scan(&busy, &pages, &copied); err == nil && busy != 0 {
		err = errBusy
	}
	return errors.Join(err, db.Close())
}

func (sqlite) lastID() string {
	return "SELECT COALESCE((SELECT seq FROM sqlite_sequence WHERE name = $1), 0)"
}

// keepID has nothing to do: rows get ids above all that there were.
func (sqlite) keepID(*Tx, string, int64) error { return nil }

func (sqlite) textBytes(expression string) string { return "CAST(" + expression + " AS BLOB)" }

func (sqlite) takeID(tx *Tx, table string, id int64) (int64, error) {
	n, err := tx.count("UPDATE sqlite_sequence SET seq = seq WHERE name = $1", table)
	if err == nil && n == 0 {
		err = tx.exec("INSERT INTO sqlite_sequence (name, seq) VALUES ($1, 0)", table)
	}
	if err != nil {
		return 0, err
	}
	if id == 0 {
		err = tx.one([]any{&id}, "UPDATE sqlite_sequence SET seq = seq + 1 WHERE name = $1 RETURNING seq", table)
	} else {
		err = tx.exec("UPDATE sqlite_sequence SET seq = MAX(seq, $1) WHERE name = $2", id, table)
	}
	return id, err
}

// attemptColumns and attemptChunk: rows are inserted many at a time, which costs this driver much
// less than one at a time.
const (
	attemptColumns = 14
	attemptChunk   = 64
)

var (
	insertAttempts = attemptInsert(attemptChunk)
	insertAttempt  = attemptInsert(1)
)

func attemptInsert(rows int) string {
	var b strings.Builder
	b.WriteString(`INSERT INTO attempts (delivery_id, number, started_us, duration_us, method, url, status_code, reason,
		error_kind, error_message, response_headers, response_body, response_truncated, remote_address) VALUES `)
	for i := range rows {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString("(" + parameters(i*attemptColumns+1, attemptColumns) + ")")
	}
	b.WriteString(" ON CONFLICT (delivery_id, number) DO NOTHING")
	return b.String()
}

// insertAttempts writes rows of attempts, each as its columns.
func (sqlite) insertAttempts(tx *Tx, rows [][]any) error {
	args := make([]any, 0, attemptChunk*attemptColumns)
	for len(rows) > 0 {
		n, query := attemptChunk, insertAttempts
		if len(rows) < attemptChunk {
			n, query = 1, insertAttempt
		}
		args = args[:0]
		for _, row := range rows[:n] {
			args = append(args, row...)
		}
		if err := tx.exec(query, args...); err != nil {
			return err
		}
		rows = rows[n:]
	}
	return nil
}

func (sqlite) saveHealth(tx *Tx, health map[int64]bugle.Health) error {
	for id, h := range health {
		err := tx.exec("UPDATE lanes SET consecutive_failures = $1, last_success_us = $2, last_failure_us = $3, failing_since_us = $4 WHERE webhook_id = $5",
			h.ConsecutiveFailures, microseconds(h.LastSuccessAt), microseconds(h.LastFailureAt), microseconds(h.FailingSince), id)
		if err != nil {
			return err
		}
	}
	return nil
}

// tallyInserts write one row or many: see attemptChunk.
var tallyInserts = []struct {
	rows  int
	query string
}{{32, tallyInsert(32)}, {8, tallyInsert(8)}, {1, tallyInsert(1)}}

func tallyInsert(rows int) string {
	const columns = 10
	places := make([]string, rows)
	for i := range places {
		places[i] = "(" + parameters(i*columns+1, columns) + ")"
	}
	return "INSERT INTO delivery_stats (step_s, " + tallyColumns + ") VALUES " + strings.Join(places, ", ") + replaceTally
}

func (sqlite) writeTallies(tx *Tx, step int64, keys []statKey, tallies map[statKey]*tally) error {
	for _, insert := range tallyInserts {
		for len(keys) >= insert.rows {
			var args []any
			for _, k := range keys[:insert.rows] {
				t := tallies[k]
				latency, err := t.latency.AppendBinary([]byte{})
				if err != nil {
					return err
				}
				args = append(args, step, k.organizationID, k.webhookID, k.start, t.attempts, t.delivered, t.failed, t.givenUp, t.took, latency)
			}
			if err := tx.exec(insert.query, args...); err != nil {
				return err
			}
			keys = keys[insert.rows:]
		}
	}
	return nil
}

func (sqlite) insertDeliveries(tx *Tx, e *bugle.Event, list []NewDelivery, sequences []int64) error {
	for i := range list {
		d := &list[i]
		var err error
		if d.ID, err = tx.insert(insertDelivery, e.OrganizationID, d.WebhookID, e.ID, sequences[i], d.Order, d.Due, e.CreatedAt.UnixMicro()); err != nil {
			return err
		}
	}
	return nil
}

const (
	vacuumPages = 256     // at a time: 1 MB
	spareShare  = 16      // a 16th of the file stays for new rows
	sparePages  = 4 * 256 // and at least 4 MB
)

// giveBack moves pages from the end of the file to where free ones are, and cuts the file off.
func (sqlite) giveBack(ctx context.Context, s *Store, all bool) (more bool, err error) {
	var mode, free, pages int64
	for pragma, to := range map[string]*int64{"auto_vacuum": &mode, "freelist_count": &free, "page_count": &pages} {
		if err := s.view().one(ctx, []any{to}, "PRAGMA "+pragma); err != nil {
			return false, err
		}
	}
	excess := free
	if !all {
		excess -= max(pages/spareShare, sparePages)
	}
	if mode != 2 || excess <= 0 {
		return false, nil
	}
	err = s.writer.do(ctx, func(tx *Tx) error {
		return tx.each(func(func(to ...any) error) error { return nil }, "PRAGMA incremental_vacuum("+strconv.Itoa(vacuumPages)+")")
	}, results)
	return excess > vacuumPages, err
}

// alone needs no lock: one server at a time opens the file.
func (sqlite) alone(ctx context.Context, _ *Store, _ string, fn func(ctx context.Context) error) (bool, error) {
	return true, fn(ctx)
}
