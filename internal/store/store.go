// Package store keeps everything in a database: the personnel data, the events of its changes, and
// the deliveries owed for them, which are the queue. A change, its events and their deliveries are
// one transaction.
//
// The database is SQLite or PostgreSQL. What differs is in sqlite.go and postgres.go.
package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/gofrs/flock"
	"github.com/jonboulle/clockwork"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/personnel"
)

// A Store is an open database. Its methods may be called concurrently.
type Store struct {
	writer  *writer
	readers *sql.DB
	reading querier // readers, in the words of the dialect
	dialect dialect
	unlock  func() error // nil unless Options.Exclusive
	clock   clockwork.Clock
	baseURL string

	committed []func(Committed)
	dropped   func(paths []string)
}

// Options are how a Store is opened.
type Options struct {
	Clock     clockwork.Clock // the real one unless set
	Log       *slog.Logger    // of migrations and of trouble in the background
	BaseURL   string          // of this server, for addresses in payloads; without a slash at the end
	Exclusive bool            // sends deliveries: only one process at a time may open the database so

	// Dropped is told of the uploaded files that a change has left unused, once it is committed, by
	// whoever made it. Nil: nobody is told.
	Dropped func(paths []string)
}

// ErrInUse is returned by Open when another process sends deliveries from the same database.
var ErrInUse = errors.New("the database is in use by another server")

// Open opens the database and brings its tables up to date. The name is "sqlite:" and a path, where the file and its
// folder are made if there are none, or the address of a PostgreSQL database, "postgres://user:password@host/database".
func Open(ctx context.Context, name string, o Options) (*Store, error) {
	if o.Clock == nil {
		o.Clock = clockwork.NewRealClock()
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	s := &Store{clock: o.Clock, baseURL: strings.TrimRight(o.BaseURL, "/"), dropped: o.Dropped}
	path, isFile := strings.CutPrefix(name, "sqlite:")
	var err error
	shown := path
	switch {
	case isFile && path != "":
		err = s.openFile(ctx, path, o)
	case strings.HasPrefix(name, "postgres://"), strings.HasPrefix(name, "postgresql://"):
		shown, err = ShownName(name), s.openPostgres(ctx, name, o.Exclusive, o.Log)
	default:
		return nil, fmt.Errorf("database is %q, want sqlite: and a path, such as sqlite:bugle-data/bugle.db, or an address such as postgres://user:password@host/database", ShownName(name))
	}
	if err != nil {
		s.Close()
		return nil, fmt.Errorf("open database %s: %w", shown, err)
	}
	return s, nil
}

// openFile is openSQLite with the folder and the lock around it.
func (s *Store) openFile(ctx context.Context, path string, o Options) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("make its folder: %w", err)
	}
	if o.Exclusive {
		lock := flock.New(path + ".lock")
		if locked, err := lock.TryLock(); err != nil {
			return fmt.Errorf("lock database: %w", err)
		} else if !locked {
			return ErrInUse
		}
		s.unlock = lock.Unlock
	}
	return s.openSQLite(ctx, path, o.Log)
}

// ShownName is the name of a database as it may be shown: the address of a server without user and password.
func ShownName(name string) string {
	scheme, _, found := strings.Cut(name, ":")
	if !found || scheme == "sqlite" {
		return name
	}
	if u, err := url.Parse(name); err == nil && u.Host != "" {
		return scheme + "://" + u.Host + u.Path
	}
	return scheme + ":…"
}

// Close waits for the commit under way and closes the database. Changes that wait are refused. Once
// it is closed, Close does nothing.
func (s *Store) Close() error {
	var errs []error
	if s.writer != nil {
		errs = append(errs, s.writer.close())
	}
	if s.readers != nil {
		errs = append(errs, s.readers.Close())
	}
	if s.unlock != nil {
		errs = append(errs, s.unlock())
		s.unlock = nil
	}
	return errors.Join(errs...)
}

// Closed reports whether Close was called: changes fail with ErrClosed then, and reads with an error
// of database/sql.
func (s *Store) Closed() bool {
	s.writer.mu.Lock()
	defer s.writer.mu.Unlock()
	return s.writer.closed
}

// Committed is what a commit means for those who work on what is owed.
type Committed struct {
	Deliveries []NewDelivery // that are due, in the order of their lanes
	Webhooks   []int64       // whose settings changed, or whose deliveries did otherwise: to be read anew
	Recorded   []int64       // deliveries with a new result or another state
	Finished   []int64       // runs of automations that have ended
	Runs       bool          // there are new pending runs of automations
	Sendings   bool          // there are new sendings of messages, or their times changed
	Retries    bool          // deliveries that waited for another attempt need not wait any more
	Replays    bool          // there are new replays
	Holds      bool          // a hold is to be ended
}

// Notify adds who is told after a commit, before those who wait for it. It is called one commit at
// a time and in their order, must not block nor call the store, and is to be added before the first
// change.
func (s *Store) Notify(committed func(Committed)) { s.committed = append(s.committed, committed) }

// Update runs fn in a transaction and returns once it is committed; by then others have been told.
// Changes that arrive together share a commit. If fn fails its changes are undone, those of others
// are not, and its error is returned as it is. The fn must not call Update and should be quick: it
// runs while other changes wait.
func (s *Store) Update(ctx context.Context, fn func(tx *Tx) error) error {
	var dropped []string
	var taken []*personnel.Upload
	err := s.writer.do(ctx, func(tx *Tx) error {
		err := fn(tx)
		dropped, taken = tx.dropped, tx.taken
		return err
	}, changes)
	if err != nil {
		return s.dialect.refused(err)
	}
	for _, u := range taken {
		u.Kept = true
	}
	if len(dropped) > 0 && s.dropped != nil {
		s.dropped(dropped)
	}
	return nil
}

// View returns what reads run on: a pool of connections that do not wait for the writer.
func (s *Store) view() conn { return conn{s.reading, s.dialect} }

// now is the time as the database keeps it, in microseconds.
func (s *Store) now() time.Time { return s.clock.Now().UTC().Truncate(time.Microsecond) }

// conn runs SQL for reading, on a transaction or on a pool.
type conn struct {
	db      querier
	dialect dialect
}

type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// each runs a query and calls row for each row of its result.
func (c conn) each(ctx context.Context, row func(scan func(to ...any) error) error, query string, args ...any) error {
	rows, err := c.db.QueryContext(ctx, query, args...)
	if err != nil {
		return c.dialect.refused(err)
	}
	defer rows.Close()
	for rows.Next() {
		if err := row(rows.Scan); err != nil {
			return err
		}
	}
	return c.dialect.refused(rows.Err())
}

// ids runs a query of one column of ids.
func (c conn) ids(ctx context.Context, query string, args ...any) ([]int64, error) {
	var list []int64
	err := c.each(ctx, func(scan func(to ...any) error) error {
		var id int64
		err := scan(&id)
		list = append(list, id)
		return err
	}, query, args...)
	return list, err
}

// one runs a query of at most one row; without one it returns bugle.ErrNotFound.
func (c conn) one(ctx context.Context, to []any, query string, args ...any) error {
	err := c.db.QueryRowContext(ctx, query, args...).Scan(to...)
	if errors.Is(err, sql.ErrNoRows) {
		return bugle.ErrNotFound
	}
	return c.dialect.refused(err)
}

// countTo counts rows as PageRequest.CountTo says, and reports whether there are more.
func (c conn) countTo(ctx context.Context, limit int, from string, args ...any) (n int, more bool, err error) {
	switch {
	case limit < 0:
		return 0, true, nil
	case limit == 0:
		err = c.one(ctx, []any{&n}, "SELECT COUNT(*)"+from, args...)
	default:
		err = c.one(ctx, []any{&n}, fmt.Sprintf("SELECT COUNT(*) FROM (SELECT 1%s LIMIT %d) AS counted", from, limit+1), args...)
		n, more = min(n, limit), n > limit
	}
	return n, more, err
}

// A Page is a part of a list: items Offset+1 to Offset+len(Items) of Total.
type Page[T any] struct {
	Items  []T
	Number int // from 1
	Limit  int
	Total  int
	More   bool // there are more than Total, which was as far as was counted

	// Incomplete: a search through a log ended before it had seen everything, because it found too little
	// in too much. It goes on with PageRequest.Before Reached (or After, if that was asked for).
	Incomplete bool
	Reached    int64
}

// A PageRequest says which part of a list is wanted.
type PageRequest struct {
	Number int // from 1
	Limit  int

	// CountTo is up to how many items are counted: 0 is all of them, and -1 none. With anything but 0, searches
	// through logs look at a bounded number of rows: see Page.Incomplete.
	CountTo int

	// Before and After take the place of Number in logs, which are newest first: only items with ids below
	// or above, those nearest to it, however deep in the log it is. The total is that of the whole list.
	Before, After int64
}

// MaxLimit is how many items a page may have.
const MaxLimit = 1000

func (p PageRequest) offset() int { return (p.Number - 1) * p.Limit }

// microseconds is how the engine's times are stored; the zero time is 0.
func microseconds(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

func fromMicroseconds(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}
