package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"testing"

	"github.com/buglehq/bugle/personnel"
)

// Exec runs SQL within the transaction.
func (tx *Tx) Exec(query string, args ...any) error { return tx.exec(query, args...) }

// Query calls row for each row of a query's result, as it was last committed.
func (s *Store) Query(ctx context.Context, row func(scan func(to ...any) error) error, query string, args ...any) error {
	return s.view().each(ctx, row, query, args...)
}

// Waiting returns how many changes wait for the one under way.
func (s *Store) Waiting() int {
	s.writer.mu.Lock()
	defer s.writer.mu.Unlock()
	return len(s.writer.waiting[changes]) + len(s.writer.waiting[results])
}

// Save gives a resource values, by field name and as stored, as a side effect does.
func (tx *Tx) Save(a Actor, k *personnel.Kind, id int64, values map[string]any) error {
	return change{tx, a}.Save(k, id, values)
}

// Insert writes a resource as it is, with its side effects and event, for fields that no request can
// write.
func (tx *Tx) Insert(a Actor, r *personnel.Resource) error { return change{tx, a}.insert(r) }

// Positional is positional.
var Positional = positional

// Watch calls heard with the text of every query for reading from now on, and until the test ends.
func (s *Store) Watch(t testing.TB, heard func(query string)) {
	t.Helper()
	var path string
	if err := s.readers.QueryRow("SELECT file FROM pragma_database_list WHERE name = 'main'").Scan(&path); err != nil {
		t.Fatal(err)
	}
	unwatched := s.readers
	s.readers = sql.OpenDB(watched{unwatched.Driver(), dsn(path, []string{"query_only(1)"}), heard})
	t.Cleanup(func() {
		if err := s.readers.Close(); err != nil {
			t.Error(err)
		}
		s.readers = unwatched
	})
}

// watched connects to a database whose queries are heard.
type watched struct {
	driver driver.Driver
	name   string
	heard  func(query string)
}

func (w watched) Driver() driver.Driver { return w.driver }

func (w watched) Connect(context.Context) (driver.Conn, error) {
	c, err := w.driver.Open(w.name)
	return watchedConn{c, w.heard}, err
}

type watchedConn struct {
	driver.Conn
	heard func(query string)
}

func (c watchedConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	c.heard(query)
	return c.Conn.(driver.QueryerContext).QueryContext(ctx, query, args)
}

// MaxScanned sets maxScanned, and returns what it was.
func MaxScanned(n int) (before int) {
	before, maxScanned = maxScanned, n
	return before
}
