package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/personnel"
)

// A writer makes all changes to the database, one transaction at a time on one connection. It
// takes all changes that wait and commits them together, because a commit has to wait for the disk;
// each of several has a savepoint, so that one that fails does not spoil the others.
type writer struct {
	store   *Store
	dialect dialect
	db      *sql.DB
	conn    *sql.Conn
	stmts   map[string]*sql.Stmt // by text; those of long lists excepted they are few and live as long as conn
	last    int64                // the latest place given out in a lane, in microseconds
	reserve int64                // with other writers: places up to this one are this transaction's
	relax   bool                 // whether commits currently return before they reach the disk
	stats   statsMinute          // as they stand in the transaction; cleared if one fails

	mu      sync.Mutex
	waiting [2][]*job // by urgency
	wake    chan struct{}
	closed  bool
	done    chan struct{}
}

// An urgency says what a job waits behind, and when its commit counts.
type urgency int

const (
	changes urgency = iota // on the disk before the commit returns
	results                // the outcomes of attempts: losing one repeats a delivery, no more
)

// maxGroup bounds how long a change can wait for those that share its commit.
const maxGroup = 256

// A job is a change that waits for its commit.
type job struct {
	fn    func(*Tx) error
	taken atomic.Bool // by the writer, or by its caller who gave up
	done  chan struct{}
	err   error
}

// A Tx is the transaction of one change. It is of use only within the function that gets it.
type Tx struct {
	w         *writer
	now       time.Time
	committed Committed           // what there will be to tell
	dropped   []string            // paths of files that nothing refers to any more
	taken     []*personnel.Upload // that resources took
	events    []eventMark         // written
	author    bugle.Author        // of changes of the configuration
}

// An eventMark is an event that a change wrote.
type eventMark struct {
	id   int64
	name string
}

// ErrClosed is returned for changes that come after Close, and ErrReadOnly for those to a database that was opened
// with Options.ReadOnly.
var (
	ErrClosed   = errors.New("the database is closed")
	ErrReadOnly = errors.New("the database is open for reading only")
)

func newWriter(ctx context.Context, s *Store, db *sql.DB) (*writer, error) {
	conn, err := db.Conn(ctx)
	if err != nil {
		return nil, err
	}
	return &writer{store: s, dialect: s.dialect, db: db, conn: conn, stmts: map[string]*sql.Stmt{}, wake: make(chan struct{}, 1), done: make(chan struct{})}, nil
}

// start reads where lanes left off and begins to take changes.
func (w *writer) start(ctx context.Context) error {
	if err := w.dialect.start(ctx, w); err != nil {
		close(w.done)
		return fmt.Errorf("read the last place in a lane: %w", err)
	}
	go w.run()
	return nil
}

func (w *writer) close() error {
	w.mu.Lock()
	again := w.closed
	w.closed = true
	w.mu.Unlock()
	if again {
		return nil
	}
	w.signal()
	<-w.done
	for _, stmt := range w.stmts {
		stmt.Close() // one left open keeps the file open, and the log beside it
	}
	return errors.Join(w.conn.Close(), w.db.Close())
}

func (w *writer) signal() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// do hands fn to the writer and waits until its change is committed or undone. A ctx that ends
// withdraws a change that has not begun.
func (w *writer) do(ctx context.Context, fn func(*Tx) error, u urgency) error {
	if w == nil {
		return ErrReadOnly
	}
	j := &job{fn: fn, done: make(chan struct{})}
	w.mu.Lock()
	if w.closed {
		w.mu.Unlock()
		return ErrClosed
	}
	w.waiting[u] = append(w.waiting[u], j)
	w.mu.Unlock()
	w.signal()
	select {
	case <-j.done:
		return j.err
	case <-ctx.Done():
		if j.taken.CompareAndSwap(false, true) {
			return context.Cause(ctx)
		}
		<-j.done
		return j.err
	}
}

// run commits what waits until close. Changes and results take turns, in transactions of their own:
// a change should not wait for the thousands of results of a lane that drains.
func (w *writer) run() {
	defer close(w.done)
	for turn := changes; ; turn = 1 - turn {
		w.mu.Lock()
		if len(w.waiting[turn]) == 0 {
			turn = 1 - turn
		}
		group := w.waiting[turn]
		if len(group) > maxGroup {
			group, w.waiting[turn] = group[:maxGroup:maxGroup], group[maxGroup:]
		} else {
			w.waiting[turn] = nil
		}
		closed := w.closed
		w.mu.Unlock()
		switch {
		case len(group) > 0 && closed:
			for _, j := range group {
				if j.taken.CompareAndSwap(false, true) {
					j.err = ErrClosed
					close(j.done)
				}
			}
		case len(group) > 0:
			w.commit(group, turn)
		case closed:
			return
		default:
			<-w.wake
		}
	}
}

// commit runs the jobs in one transaction, tells those who are to be told, and then the callers.
func (w *writer) commit(group []*job, u urgency) {
	var begun []*job
	var txs []*Tx
	started := time.Now()
	err := w.dialect.begin(w, u)
	alone, undo := len(group) == 1, false
	for _, j := range group {
		if !j.taken.CompareAndSwap(false, true) {
			continue
		}
		begun = append(begun, j)
		if err != nil {
			continue // every job gets the error of the whole transaction
		}
		var tx *Tx
		if alone {
			tx = w.try(j)
			undo = tx == nil
		} else {
			tx, err = w.attempt(j)
		}
		if tx != nil {
			txs = append(txs, tx)
		}
	}
	if err == nil && !undo {
		err = w.dialect.end(w)
	}
	if err == nil && !undo {
		if err = w.exec("COMMIT"); err != nil {
			err = w.dialect.uncommitted(err)
		}
	}
	if err != nil || undo {
		w.conn.ExecContext(context.Background(), "ROLLBACK") // no transaction may be left; if there is none this fails
	}
	if err != nil {
		w.stats = statsMinute{}
		err = fmt.Errorf("commit: %w", err)
	} else {
		w.tell(txs)
	}
	if w.store.onCommit != nil && len(begun) > 0 {
		c := Commit{Results: u == results, Jobs: len(begun), Took: time.Since(started), Err: err}
		for _, tx := range txs {
			c.Events += len(tx.events)
		}
		w.store.onCommit(c)
	}
	for _, j := range begun {
		if j.err == nil {
			j.err = err
		}
		close(j.done)
	}
}

// attempt runs one job within its savepoint. Its own failure is the job's; the error returned is one
// that the whole transaction has to end with.
func (w *writer) attempt(j *job) (*Tx, error) {
	if err := w.exec("SAVEPOINT change"); err != nil {
		return nil, err
	}
	tx := w.try(j)
	if tx == nil {
		// A disk that is full, say, ends the transaction and the savepoint with it: then this fails.
		if err := w.exec("ROLLBACK TO change"); err != nil {
			return nil, errors.Join(j.err, err)
		}
	}
	return tx, w.exec("RELEASE change")
}

// try runs one job. It returns nil if that failed, and what it did is to be undone.
func (w *writer) try(j *job) *Tx {
	tx := &Tx{w: w, now: w.store.now()}
	if j.err = call(j.fn, tx); j.err != nil {
		w.stats = statsMinute{}
		return nil
	}
	return tx
}

// Try runs fn in a savepoint: if it fails, what it did is undone, the rest of the transaction stays, and
// its error is returned. An error of the database itself, such as a disk that is full, ends everything.
func (tx *Tx) Try(fn func() error) error {
	if err := tx.exec("SAVEPOINT attempt"); err != nil {
		return err
	}
	before := *tx
	failed := call(func(*Tx) error { return fn() }, tx)
	if failed != nil {
		if err := tx.exec("ROLLBACK TO attempt"); err != nil {
			return errors.Join(failed, err)
		}
		*tx = before
	}
	if err := tx.exec("RELEASE attempt"); err != nil {
		return errors.Join(failed, err)
	}
	return failed
}

// call turns a panic of fn into an error, so that it ends one change and not the server.
func call(fn func(*Tx) error, tx *Tx) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic in a change: %v\n%s", p, debug.Stack())
		}
	}()
	return fn(tx)
}

// tell passes on what was committed.
func (w *writer) tell(txs []*Tx) {
	var all Committed
	for _, tx := range txs {
		all.Deliveries = append(all.Deliveries, tx.committed.Deliveries...)
		all.Webhooks = append(all.Webhooks, tx.committed.Webhooks...)
		all.Recorded = append(all.Recorded, tx.committed.Recorded...)
		all.Finished = append(all.Finished, tx.committed.Finished...)
		all.Runs = all.Runs || tx.committed.Runs
		all.Sendings = all.Sendings || tx.committed.Sendings
		all.Retries = all.Retries || tx.committed.Retries
		all.Replays = all.Replays || tx.committed.Replays
		all.Erasures = all.Erasures || tx.committed.Erasures
		all.Erased = all.Erased || tx.committed.Erased
		all.Holds = all.Holds || tx.committed.Holds
	}
	if !all.isEmpty() {
		w.store.tell(all)
		if w.store.announcer != nil {
			w.store.announcer.add(all)
		}
	}
}

// reconnect takes a new connection in place of one that is lost.
func (w *writer) reconnect() error {
	for text, stmt := range w.stmts {
		stmt.Close()
		delete(w.stmts, text)
	}
	w.conn.Close()
	conn, err := w.db.Conn(context.Background())
	if err != nil {
		return err
	}
	w.conn = conn
	return nil
}

// sync chooses whether the next commit waits for the disk. In WAL mode one that waits makes those
// before it durable too.
func (w *writer) sync(full bool) error {
	if full != w.relax {
		return nil
	}
	mode := "PRAGMA synchronous=NORMAL"
	if full {
		mode = "PRAGMA synchronous=FULL"
	}
	if _, err := w.conn.ExecContext(context.Background(), mode); err != nil {
		return err
	}
	w.relax = !full
	return nil
}

// prepare returns the statement of a text, compiled once.
func (w *writer) prepare(query string) (*sql.Stmt, error) {
	if stmt, ok := w.stmts[query]; ok {
		return stmt, nil
	}
	stmt, err := w.conn.PrepareContext(context.Background(), w.dialect.statement(query))
	if err != nil {
		return nil, fmt.Errorf("prepare %q: %w", firstWords(query), err)
	}
	w.stmts[query] = stmt
	return stmt, nil
}

func firstWords(query string) string {
	words := strings.Fields(query)
	return strings.Join(words[:min(len(words), 6)], " ")
}

// exec and the methods below run on the writer's connection without a context of the caller: a
// change that has begun is finished, and a context that can end costs the driver a goroutine each.
func (w *writer) exec(query string, args ...any) error {
	stmt, err := w.prepare(query)
	if err != nil {
		return err
	}
	_, err = stmt.ExecContext(context.Background(), args...)
	return err
}

// Owes reports whether the change so far has left work to a server: deliveries, or runs of automations. One
// that runs in another process does not learn of it before it starts again.
func (tx *Tx) Owes() bool {
	c := &tx.committed
	return len(c.Deliveries) > 0 || c.Runs || c.Sendings || c.Retries
}

func (tx *Tx) exec(query string, args ...any) error { return tx.w.exec(query, args...) }

// count is exec for the number of rows that were changed.
func (tx *Tx) count(query string, args ...any) (int64, error) {
	stmt, err := tx.w.prepare(query)
	if err != nil {
		return 0, err
	}
	result, err := stmt.ExecContext(context.Background(), args...)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

// view lets the reads of this package run within the transaction.
func (tx *Tx) view() conn { return conn{tx, tx.w.dialect, tx.w.store.seals} }

// QueryContext and QueryRowContext make a Tx what conn runs on; the context is not used.
func (tx *Tx) QueryContext(_ context.Context, query string, args ...any) (*sql.Rows, error) {
	stmt, err := tx.w.prepare(query)
	if err != nil {
		return nil, err
	}
	return stmt.QueryContext(context.Background(), args...)
}

// QueryRowContext is for a query of at most one row.
func (tx *Tx) QueryRowContext(_ context.Context, query string, args ...any) *sql.Row {
	stmt, err := tx.w.prepare(query)
	if err != nil {
		return tx.w.conn.QueryRowContext(context.Background(), tx.w.dialect.statement(query), args...) // which fails the same way, in the row
	}
	return stmt.QueryRowContext(context.Background(), args...)
}

// one and each are those of conn.
func (tx *Tx) one(to []any, query string, args ...any) error {
	return tx.view().one(context.Background(), to, query, args...)
}

func (tx *Tx) each(row func(scan func(to ...any) error) error, query string, args ...any) error {
	return tx.view().each(context.Background(), row, query, args...)
}

// place returns the next place in the lanes: the time, and never earlier than one given out before,
// should the clock go back.
func (tx *Tx) place() int64 {
	tx.w.last = max(tx.w.last, tx.w.dialect.place(tx.now.UnixMicro()))
	return tx.w.last
}

// placeAfter is place for rows whose ids may be lower than those that have the last place already:
// theirs has to be a later one, because lanes read in the order of place and id.
func (tx *Tx) placeAfter() int64 {
	tx.w.last = max(tx.w.last+1, tx.w.dialect.place(tx.now.UnixMicro()))
	return tx.w.last
}
