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
	"strings"
	"sync"
	"time"

	"github.com/jonboulle/clockwork"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/internal/secrets"
	"github.com/buglehq/bugle/internal/tracing"
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
	file    string // of SQLite; empty: it is PostgreSQL

	seals *seals

	node      *node      // nil: not one of those that share the database
	announcer *announcer // nil: nobody shares it
	listener  *listener  // nil: not a node

	telling   sync.Mutex
	committed []func(Committed)
	dropped   func(paths []string)
	onCommit  func(Commit)
	quotas    quotas
}

// Options are how a Store is opened.
type Options struct {
	Clock     clockwork.Clock // the real one unless set
	Log       *slog.Logger    // of migrations and of trouble in the background
	BaseURL   string          // of this server, for addresses in payloads; without a slash at the end
	Exclusive bool            // no server may have the database open, nor open it meanwhile
	Keep      bool            // the tables as they are: Open returns ErrOutdated if they lack something
	ReadOnly  bool            // changes nothing, not even tables of another version, which are an error

	// Node is the name of this server, for one that sends deliveries or lets others do so. A file of SQLite has only
	// one such server at a time, a PostgreSQL database any number. Empty: not a server.
	Node string

	// Secrets is where the keys are that secrets are encrypted with; nil: at SecretsSource. A server reads them when it opens
	// the database, and makes them for a new one; others read them once they need them.
	Secrets secrets.Source

	// Dropped is told of the uploaded files that a change has left unused, once it is committed, by
	// whoever made it. Nil: nobody is told.
	Dropped func(paths []string)

	Quotas bugle.Quotas // of organizations for which nothing else is decided

	// OnCommit is told of every commit, also of those that failed, and must be quick. Nil: nobody is told.
	OnCommit func(Commit)
}

// A Commit is a transaction of the writer that has ended.
type Commit struct {
	Results bool // it had outcomes of attempts, which need not be on the disk; else it had changes
	Jobs    int  // changes, or batches of outcomes, that shared it
	Events  int  // written by them
	Took    time.Duration
	Err     error // nil if it was committed
}

// ErrInUse is returned by Open when a server has the database and another cannot have it too.
var ErrInUse = errors.New("the database is in use by another server")

// ErrNoRoom and ErrAway arrive wrapped, and say why the database takes no changes now: there is no room for them where it is
// kept, or it cannot be reached. Nothing was changed. With ErrUnsure the connection was lost while the database made the
// change, and only a look at it shows whether it did.
var (
	ErrNoRoom = errors.New("there is no room for it")
	ErrAway   = errors.New("the database cannot be reached")
	ErrUnsure = errors.New("the database cannot be reached to see whether the change was made")
)

// Open opens the database and brings its tables up to date. The name is "sqlite:" and a path, where the file and its
// folder are made if there are none, or the address of a PostgreSQL database, "postgres://user:password@host/database".
func Open(ctx context.Context, name string, o Options) (*Store, error) {
	if o.Clock == nil {
		o.Clock = clockwork.NewRealClock()
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	s := &Store{clock: o.Clock, baseURL: strings.TrimRight(o.BaseURL, "/"), dropped: o.Dropped, onCommit: o.OnCommit, quotas: quotas{defaults: o.Quotas}}
	if o.Secrets == nil {
		o.Secrets = SecretsSource(name)
	}
	s.seals = &seals{store: s, source: o.Secrets, clock: o.Clock}
	path, isFile := strings.CutPrefix(name, "sqlite:")
	var err error
	shown := path
	switch {
	case isFile && path != "":
		s.file, err = path, s.openFile(ctx, path, o)
	case strings.HasPrefix(name, "postgres://"), strings.HasPrefix(name, "postgresql://"):
		shown, err = ShownName(name), s.openPostgres(ctx, name, o)
	default:
		return nil, nameError(name)
	}
	if err == nil && o.Node != "" {
		err = s.beginSecrets(ctx, o)
	}
	if err != nil {
		s.Close()
		return nil, fmt.Errorf("open database %s: %w", shown, err)
	}
	return s, nil
}

// nameError says what the name of a database is to be.
func nameError(name string) error {
	return fmt.Errorf("database is %q, want sqlite: and a path, such as sqlite:bugle-data/bugle.db, or an address such as postgres://user:password@host/database", ShownName(name))
}

// openFile is openSQLite with the folder and the lock around it.
func (s *Store) openFile(ctx context.Context, path string, o Options) error {
	if o.ReadOnly {
		return s.readSQLite(ctx, path)
	}
	if err := makeFolder(path); err != nil {
		return err
	}
	if o.Exclusive || o.Node != "" {
		var err error
		if s.unlock, err = lockFile(path); err != nil {
			return err
		}
	}
	return s.openSQLite(ctx, path, o)
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
	if s.listener != nil {
		s.listener.close()
	}
	if s.writer != nil {
		errs = append(errs, s.writer.close())
	}
	if s.announcer != nil {
		s.announcer.close()
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
	Erasures   bool          // somebody is to be erased
	Erased     bool          // what is to be sent for some events is not what it was

	// What other processes have committed is told with these, and without Deliveries.
	Lanes  []int64 // webhooks that have new due deliveries, to be read from the table
	Slices bool    // slices were released, or a node has come or gone
	Missed bool    // anything may have happened: the connection to the database was cut
}

// isEmpty reports whether there is nothing to tell.
func (c *Committed) isEmpty() bool {
	return len(c.Deliveries)+len(c.Webhooks)+len(c.Recorded)+len(c.Finished)+len(c.Lanes) == 0 && !c.Runs && !c.Sendings && !c.Retries && !c.Replays && !c.Holds && !c.Erasures && !c.Erased && !c.Slices && !c.Missed
}

// Notify adds who is told after a commit, before those who wait for it. It is called one commit at
// a time and in their order, must not block nor call the store, and is to be added before the first
// change.
func (s *Store) Notify(committed func(Committed)) {
	s.telling.Lock()
	defer s.telling.Unlock()
	s.committed = append(s.committed, committed)
}

func (s *Store) tell(c Committed) {
	s.telling.Lock()
	defer s.telling.Unlock()
	for _, committed := range s.committed {
		committed(c)
	}
}

// Update runs fn in a transaction and returns once it is committed; by then others have been told.
// Changes that arrive together share a commit. If fn fails its changes are undone, those of others
// are not, and its error is returned as it is. The fn must not call Update and should be quick: it
// runs while other changes wait. Changes of the configuration are written to the audit log with them, as those of the
// context's author: see WithAuthor.
func (s *Store) Update(ctx context.Context, fn func(tx *Tx) error) error {
	var dropped []string
	var taken []*personnel.Upload
	var events []eventMark
	ctx, end := tracing.Part(ctx, "change")
	author := authorOf(ctx)
	err := s.writer.do(ctx, func(tx *Tx) error {
		tx.author = author
		err := fn(tx)
		dropped, taken, events = tx.dropped, tx.taken, tx.events
		return err
	}, changes)
	if err == nil {
		for _, e := range events[:min(len(events), maxMarked)] {
			tracing.Event(ctx, e.id, e.name)
		}
	}
	end(err)
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

// maxMarked is how many events a trace shows of a change.
const maxMarked = 32

// View returns what reads run on: a pool of connections that do not wait for the writer.
func (s *Store) view() conn { return conn{s.reading, s.dialect, s.seals} }

// now is the time as the database keeps it, in microseconds.
func (s *Store) now() time.Time { return s.clock.Now().UTC().Truncate(time.Microsecond) }

// conn runs SQL for reading, on a transaction or on a pool.
type conn struct {
	db      querier
	dialect dialect
	seals   *seals
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
