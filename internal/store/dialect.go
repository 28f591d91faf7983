package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"

	"github.com/buglehq/bugle"
)

// A dialect is what one database does differently from the others. The texts of SQL in this package are those of SQLite
// with numbered parameters; statement makes of them what the database understands.
type dialect interface {
	// statement returns the text that the database is to have for one of this package.
	statement(query string) string

	// start prepares the writer for its first transaction.
	start(ctx context.Context, w *writer) error

	// begin begins a transaction of the writer, end does what has to be done before its commit.
	begin(w *writer, u urgency) error
	end(w *writer) error

	// place is the lowest place in a lane that may be given out at a time.
	place(now int64) int64

	// clock is the time of the database in microseconds, by which leases run; empty: nobody shares it.
	clock() string

	// tables are what is migrated.
	tables() tables

	// isShared reports whether other processes may send deliveries from the same tables.
	isShared() bool

	// refused returns the error of a statement, as a *bugle.InvalidError if what it was given cannot be kept, and as ErrNoRoom
	// or ErrAway if that is what it says.
	refused(err error) error
	// uncommitted returns the error of a commit, as ErrUnsure if it may have been made all the same.
	uncommitted(err error) error

	// insert runs an INSERT of one row into a table whose rows get ids, and returns the row's.
	insert(stmt *sql.Stmt, args []any) (int64, error)
	inserting(query string) string // the text that insert gets

	// jsonPart is a part of a column that holds JSON, by the path in a parameter, to be compared with what jsonValue
	// makes of a value; jsonText is the same as text.
	jsonPart(column, path string) string
	jsonText(column, path string) string
	jsonValue(v any) any

	// jsonHolds is a condition that the list in a column, at the path in a parameter, holds an item that meets the
	// condition on item.value. What is no list is like a list of it; values of an object are not looked at.
	jsonHolds(column, path, condition string) string

	// lastID is a query for the id last given out in the table of its parameter; 0: none was.
	lastID() string

	// keepID keeps an id that a row is about to get from being given out again.
	keepID(tx *Tx, table string, id int64) error

	// insertAttempts writes rows of attempts, each as its columns; writeTallies those of delivery_stats;
	// insertDeliveries deliveries of an event, in the order of the list, of which it sets the ids.
	insertAttempts(tx *Tx, rows [][]any) error
	writeTallies(tx *Tx, step int64, keys []statKey, tallies map[statKey]*tally) error
	insertDeliveries(tx *Tx, e *bugle.Event, list []NewDelivery, sequences []int64) error

	// saveHealth writes the health of webhooks.
	saveHealth(tx *Tx, health map[int64]bugle.Health) error

	// erasing runs fn, which writes over what is secret, so that no page of the file keeps what it was.
	erasing(ctx context.Context, s *Store, fn func() error) error

	// endLog takes out of the log of writes what rows were before they were overwritten; errBusy: a reader is still at it.
	endLog(ctx context.Context, s *Store) error

	// textBytes are the bytes of an expression that is text.
	textBytes(expression string) string

	// takeID takes an id of a table out of those that rows get by themselves: the next one if it is 0.
	takeID(tx *Tx, table string, id int64) (int64, error)

	// giveBack and alone are Store.GiveBack and Store.Alone. With all, nothing stays for new rows.
	giveBack(ctx context.Context, s *Store, all bool) (more bool, err error)
	alone(ctx context.Context, s *Store, name string, fn func(ctx context.Context) error) (bool, error)
}

// errBusy is what endLog returns when it has to wait for others.
var errBusy = errors.New("the log of writes is being read")

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

// likeText is a condition that a column, as text, matches the pattern in a parameter in either case.
func likeText(column, pattern string) string {
	return "CAST(" + column + " AS TEXT) LIKE " + pattern + ` ESCAPE '\'`
}

// insert runs an INSERT of one row and returns the id that it got.
func (tx *Tx) insert(query string, args ...any) (int64, error) {
	stmt, err := tx.w.prepare(tx.w.dialect.inserting(query))
	if err != nil {
		return 0, err
	}
	return tx.w.dialect.insert(stmt, args)
}

// takeID takes an id of a table out of those that rows get by themselves: the next one if it is 0.
func (tx *Tx) takeID(table string, id int64) (int64, error) {
	id, err := tx.w.dialect.takeID(tx, table, id)
	if err != nil {
		return 0, fmt.Errorf("reserve an id in %s: %w", table, err)
	}
	return id, nil
}

// translated runs queries on a pool of connections in the database's own words.
type translated struct {
	*sql.DB
	dialect dialect
}

func (t translated) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	return t.DB.QueryContext(ctx, t.dialect.statement(query), args...)
}

func (t translated) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
	return t.DB.QueryRowContext(ctx, t.dialect.statement(query), args...)
}
