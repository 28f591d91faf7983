package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/buglehq/bugle"
)

// The keys of the locks that processes share on one database.
const (
	changesLock = 0x6275676c65_01 // held by the transaction that changes something
	serversLock = 0x6275676c65_02 // shared by the nodes, or held by a command that wants none
	aloneLock   = 0x62756703      // with the hash of a name: held by the server that does what one is to do at a time
)

const (
	// idleInTransaction ends the session of a process that has stopped in the middle of a change, for all others wait
	// for it.
	idleInTransaction = 5 * time.Second

	deadConnection = 10 * time.Second // how long the network may be silent
)

// postgresConfig is how to connect to the database with the address.
func postgresConfig(name string) (*pgx.ConnConfig, error) {
	config, err := pgx.ParseConfig(name)
	if err != nil {
		return nil, errors.New("the address cannot be read: it is like postgres://user:password@host:5432/database?sslmode=verify-full") // without the error: it may hold the password
	}
	if _, ok := config.RuntimeParams["application_name"]; !ok {
		config.RuntimeParams["application_name"] = "bugle"
	}
	config.RuntimeParams["timezone"] = "UTC"
	config.RuntimeParams["idle_in_transaction_session_timeout"] = strconv.FormatInt(idleInTransaction.Milliseconds(), 10)
	config.DialFunc = dialPostgres
	return config, nil
}

// openPostgres connects to a server, for one writer and several readers, and brings the tables up to date.
func (s *Store) openPostgres(ctx context.Context, name string, o Options) error {
	config, err := postgresConfig(name)
	if err != nil {
		return err
	}
	if o.ReadOnly {
		config.RuntimeParams["default_transaction_read_only"] = "on"
		s.dialect, s.readers = postgres{}, stdlib.OpenDB(*config)
		s.reading = translated{s.readers, postgres{}}
		return s.checkTables(ctx)
	}
	db := stdlib.OpenDB(*config)
	if err := s.startPostgres(ctx, db, config, o); err != nil {
		return errors.Join(err, db.Close())
	}
	s.announcer = newAnnouncer(s, config, o.Log)
	if o.Node != "" {
		s.node = newNode(o.Node)
		if s.listener, err = listen(ctx, s, config, o.Log); err != nil {
			return errors.Join(err, s.writer.start(ctx))
		}
	}
	return s.writer.start(ctx)
}

// NewDatabase makes a database on a PostgreSQL server, for tests and measurements, and returns its address and what
// drops it.
func NewDatabase(ctx context.Context, server, name string) (address string, drop func() error, err error) {
	u, err := url.Parse(server)
	if err != nil || u.Scheme != "postgres" && u.Scheme != "postgresql" {
		return "", nil, errors.New("the address is not like postgres://user:password@host:5432/database")
	}
	conn, err := pgx.Connect(ctx, server)
	if err != nil {
		return "", nil, err
	}
	quoted := pgx.Identifier{name}.Sanitize()
	if _, err := conn.Exec(ctx, "CREATE DATABASE "+quoted); err != nil {
		return "", nil, errors.Join(err, conn.Close(ctx))
	}
	u.Path = "/" + name
	return u.String(), func() error {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
		defer cancel()
		_, err := conn.Exec(ctx, "DROP DATABASE "+quoted+" WITH (FORCE)")
		return errors.Join(err, conn.Close(ctx))
	}, nil
}

// dialPostgres notices within seconds that a connection is dead.
func dialPostgres(ctx context.Context, network, address string) (net.Conn, error) {
	dialer := net.Dialer{
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: deadConnection / 3, Interval: deadConnection / 3, Count: 2},
		Control:         endSilence,
	}
	return dialer.DialContext(ctx, network, address)
}

func (s *Store) startPostgres(ctx context.Context, db *sql.DB, config *pgx.ConnConfig, o Options) error {
	if err := checkPostgres(ctx, db); err != nil {
		return err
	}
	if o.Exclusive {
		var err error
		if s.unlock, err = lockPostgres(ctx, db); err != nil {
			return err
		}
	}
	if _, err := migratePostgres(ctx, db, o.Keep, o.Log); err != nil {
		return err
	}
	var err error
	d := postgres{}
	s.dialect = d
	s.readers = stdlib.OpenDB(*config)
	s.readers.SetMaxOpenConns(4 + runtime.NumCPU())
	s.readers.SetMaxIdleConns(4 + runtime.NumCPU()) // a new one costs tens of milliseconds, so those of a busy minute are kept
	s.readers.SetConnMaxIdleTime(time.Minute)
	s.reading = translated{s.readers, d}
	s.writer, err = newWriter(ctx, s, db)
	return err
}

// checkPostgres returns what is wrong with the server.
func checkPostgres(ctx context.Context, db *sql.DB) error {
	var version int
	if err := db.QueryRowContext(ctx, "SELECT current_setting('server_version_num')::int").Scan(&version); err != nil {
		return err
	}
	if version < 14_00_00 {
		return fmt.Errorf("the server is PostgreSQL %d, want 14 or newer", version/10000)
	}
	return nil
}

// lockPostgres keeps other processes from sending deliveries from the database, until the function that it returns is
// called. It holds a connection.
func lockPostgres(ctx context.Context, db *sql.DB) (unlock func() error, err error) {
	held, err := db.Conn(ctx)
	if err != nil {
		return nil, err
	}
	var got bool
	err = held.QueryRowContext(ctx, "SELECT pg_try_advisory_lock($1)", int64(serversLock)).Scan(&got)
	if err == nil && !got {
		err = ErrInUse
	}
	if err != nil {
		return nil, errors.Join(err, held.Close())
	}
	return func() error {
		_ = held.Raw(func(any) error { return driver.ErrBadConn }) // closes the connection, which else would go on in the pool with its lock
		return nil
	}, nil
}

// postgres is the dialect of PostgreSQL.
type postgres struct{}

var (
	idsIn      = regexp.MustCompile(`IN \(SELECT value FROM json_each\(\$(\d+)\)\)`)
	noIndex    = regexp.MustCompile(`([ (])\+(\w+\.)`) // a plus keeps SQLite from using an index
	greatest   = regexp.MustCompile(`\bM(AX|IN)\(([^(),]+|[^(),]*\([^()]*\)[^(),]*),`)
	greatestOf = map[string]string{"AX": "GREATEST(", "IN": "LEAST("}
)

// statement finds the few spots that PostgreSQL writes otherwise.
func (postgres) statement(query string) string {
	// The subquery keeps the planner from counting the ids: it would read all of a table of which it knows nothing yet,
	// such as after a large import.
	query = idsIn.ReplaceAllString(query, `= ANY (ARRAY(SELECT UNNEST(CAST(TRANSLATE($$$1, '[]', '{}') AS BIGINT[]))))`)
	query = greatest.ReplaceAllStringFunc(query, func(m string) string { return greatestOf[m[1:3]] + m[4:] })
	query = noIndex.ReplaceAllString(query, "$1$2")
	return strings.ReplaceAll(query, " LIKE ", " ILIKE ")
}

// start sees to it that places go on behind those of the table, which may have been copied from another database.
func (d postgres) start(ctx context.Context, w *writer) error {
	var last int64
	if err := w.conn.QueryRowContext(ctx, d.statement(lastOrder)).Scan(&last); err != nil {
		return err
	}
	_, err := w.conn.ExecContext(ctx, fmt.Sprintf(lockChanges, last))
	return err
}

func (postgres) isShared() bool { return true }

func (postgres) clock() string {
	return "CAST(EXTRACT(EPOCH FROM CLOCK_TIMESTAMP()) * 1000000 AS BIGINT)"
}

func (postgres) tables() tables { return postgresTables }

// place is that of the transaction: the clocks of several servers differ.
func (postgres) place(int64) int64 { return 0 }

// placesAhead is how many places a transaction has from the beginning.
const placesAhead = 1 << 10

// lockChanges waits until no other transaction changes something, and takes places in the lanes: the time, and
// behind all that were given out before. The subquery is there to be run first. It is a format of the time in microseconds.
var lockChanges = fmt.Sprintf("SELECT SETVAL('lane_places', GREATEST(NEXTVAL('lane_places'), %%d) + %d) FROM (SELECT pg_advisory_xact_lock(%d) OFFSET 0) AS locked",
	placesAhead, int64(changesLock))

// begin lets one transaction at a time change something, as SQLite does: what is unique is looked up before it is
// written, and places in lanes are given out in the order of commits, so that whoever reads a lane behind a place misses
// nothing. The results of attempts need not be on the disk before the commit returns.
func (d postgres) begin(w *writer, u urgency) error {
	if err := d.lock(w, u); err != nil {
		return fmt.Errorf("%w: %w", ErrAway, err)
	}
	return nil
}

// lock begins the transaction and waits for its turn, in one message to the server.
func (postgres) lock(w *writer, u urgency) error {
	text := "BEGIN; "
	if u == results {
		text += "SET LOCAL synchronous_commit = off; "
	}
	text += fmt.Sprintf(lockChanges, w.store.now().UnixMicro())
	err := w.reserved(text)
	if err != nil { // the server was started again, or the connection cut
		if err := w.reconnect(); err != nil {
			return err
		}
		err = w.reserved(text)
	}
	if err != nil {
		return err
	}
	w.last = w.reserve - placesAhead
	return nil
}

// reserved runs statements of which the last one returns the last place that is reserved.
func (w *writer) reserved(text string) error {
	return w.conn.Raw(func(c any) error {
		results, err := c.(*stdlib.Conn).Conn().PgConn().Exec(context.Background(), text).ReadAll()
		if err != nil {
			return err
		}
		w.reserve, err = strconv.ParseInt(string(results[len(results)-1].Rows[0][0]), 10, 64)
		return err
	})
}

// end takes the places that a large transaction has given out beyond those it had.
func (postgres) end(w *writer) error {
	if w.last <= w.reserve {
		return nil
	}
	return w.exec("SELECT SETVAL('lane_places', $1)", w.last)
}

// refused knows the one character that texts cannot hold, in a text or as an escape in JSON, a disk that is full, and a
// server to which there is no connection.
func (postgres) refused(err error) error {
	var e *pgconn.PgError
	if errors.As(err, &e) {
		switch e.Code {
		case "22021", "22P05": // character_not_in_repertoire, untranslatable_character
			return bugle.Invalid("", "A text has the character NUL (U+0000), which cannot be kept or searched for. Send it without.")
		case "53100": // disk_full
			return fmt.Errorf("%w: %w", ErrNoRoom, err)
		}
	}
	if isLost(err) && !errors.Is(err, ErrUnsure) {
		return fmt.Errorf("%w: %w", ErrAway, err)
	}
	return err
}

func (postgres) uncommitted(err error) error {
	if isLost(err) {
		return fmt.Errorf("%w: %w", ErrUnsure, err)
	}
	return err
}

// isLost reports whether an error says that there is no connection, or none any more.
func isLost(err error) bool {
	var e *pgconn.PgError
	var unconnected *pgconn.ConnectError
	var broken *net.OpError
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded): // the caller's own end
		return false
	case errors.As(err, &unconnected):
		return true
	case errors.As(err, &e):
		return strings.HasPrefix(e.Code, "08") || strings.HasPrefix(e.Code, "57P0") // connection_exception; a server that stops, or does not serve yet
	}
	return errors.As(err, &broken) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, driver.ErrBadConn) || errors.Is(err, sql.ErrConnDone) || pgconn.SafeToRetry(err)
}

func (postgres) inserting(query string) string { return query + " RETURNING id" }

func (postgres) insert(stmt *sql.Stmt, args []any) (id int64, err error) {
	err = stmt.QueryRowContext(context.Background(), args...).Scan(&id)
	return id, err
}

// jsonOf is the part of a document that a path leads to, as JSON. A path of SQLite is one of PostgreSQL in strict mode.
func jsonOf(column, path string) string {
	return "JSONB_PATH_QUERY_FIRST(CAST(NULLIF(" + column + ", '') AS JSONB), CAST('strict ' || CAST(" + path + " AS TEXT) AS JSONPATH), '{}', TRUE)"
}

func (postgres) jsonPart(column, path string) string {
	return "NULLIF(" + jsonOf(column, path) + ", 'null')"
}

func (postgres) jsonText(column, path string) string {
	return "(" + jsonOf(column, path) + " #>> '{}')"
}

func (postgres) jsonValue(v any) any {
	text, err := json.Marshal(v)
	if err != nil {
		return v // which then is refused with what it is
	}
	return string(text)
}

func (postgres) jsonHolds(column, path, condition string) string {
	list := jsonOf(column, path)
	return "EXISTS (SELECT 1 FROM (SELECT NULLIF(element, 'null') AS value FROM JSONB_ARRAY_ELEMENTS(CASE JSONB_TYPEOF(" + list + ") WHEN 'array' THEN " + list +
		" WHEN 'object' THEN '[]' ELSE JSONB_BUILD_ARRAY(" + list + ") END) AS element WHERE " + list + " IS NOT NULL) AS item WHERE " + condition + ")"
}

// erasing leaves old rows to the vacuum.
func (postgres) erasing(_ context.Context, _ *Store, fn func() error) error { return fn() }

// endLog has nothing to do: the log is the database server's, and old rows are the vacuum's.
func (postgres) endLog(context.Context, *Store) error { return nil }

func (postgres) lastID() string {
	return "SELECT COALESCE(PG_SEQUENCE_LAST_VALUE(PG_GET_SERIAL_SEQUENCE($1, 'id')::regclass), 0)"
}

func (postgres) textBytes(expression string) string { return "CONVERT_TO(" + expression + ", 'UTF8')" }

func (postgres) keepID(tx *Tx, table string, id int64) error {
	return tx.exec("SELECT SETVAL(PG_GET_SERIAL_SEQUENCE($1, 'id'), GREATEST($2::bigint, PG_SEQUENCE_LAST_VALUE(PG_GET_SERIAL_SEQUENCE($1, 'id')::regclass)))", table, id)
}

func (d postgres) takeID(tx *Tx, table string, id int64) (int64, error) {
	if id == 0 {
		err := tx.one([]any{&id}, "SELECT NEXTVAL(PG_GET_SERIAL_SEQUENCE($1, 'id'))", table)
		return id, err
	}
	return id, d.keepID(tx, table, id)
}

// giveBack has nothing to do: autovacuum keeps the space for new rows.
func (postgres) giveBack(context.Context, *Store, bool) (bool, error) { return false, nil }

// alone holds a lock while fn runs, on a connection of its own: the lock ends with it, should the process die.
func (postgres) alone(ctx context.Context, s *Store, name string, fn func(ctx context.Context) error) (bool, error) {
	held, err := s.readers.Conn(ctx)
	if err != nil {
		return false, err
	}
	defer held.Close()
	var got bool
	if err := held.QueryRowContext(ctx, "SELECT pg_try_advisory_lock($1, hashtext($2))", aloneLock, name).Scan(&got); err != nil || !got {
		return false, err
	}
	defer func() {
		if _, err := held.ExecContext(context.WithoutCancel(ctx), "SELECT pg_advisory_unlock($1, hashtext($2))", aloneLock, name); err != nil {
			held.Raw(func(any) error { return driver.ErrBadConn }) // the lock has to end with the connection, then
		}
	}()
	return true, fn(ctx)
}
