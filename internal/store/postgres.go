package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"runtime"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/buglehq/bugle"
)

// The keys of the locks that processes share on one database.
const (
	changesLock   = 0x6275676c65_01 // held by the transaction that changes something
	exclusiveLock = 0x6275676c65_02 // held by the server that sends deliveries
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
	return config, nil
}

// openPostgres connects to a server, for one writer and several readers, and brings the tables up to date.
func (s *Store) openPostgres(ctx context.Context, name string, o Options) error {
	config, err := postgresConfig(name)
	if err != nil {
		return err
	}
	db := stdlib.OpenDB(*config)
	if err := s.startPostgres(ctx, db, config, o); err != nil {
		return errors.Join(err, db.Close())
	}
	return s.writer.start(ctx)
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
	s.readers.SetMaxIdleConns(2)
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
	err = held.QueryRowContext(ctx, "SELECT pg_try_advisory_lock($1)", int64(exclusiveLock)).Scan(&got)
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
	query = idsIn.ReplaceAllString(query, `= ANY (CAST(TRANSLATE($$$1, '[]', '{}') AS BIGINT[]))`)
	query = greatest.ReplaceAllStringFunc(query, func(m string) string { return greatestOf[m[1:3]] + m[4:] })
	query = noIndex.ReplaceAllString(query, "$1$2")
	return strings.ReplaceAll(query, " LIKE ", " ILIKE ")
}

// begin lets one transaction at a time change something, as SQLite does: what is unique is looked up before it is
// written, and places in lanes are given out in the order of commits. The results of attempts need not be on the disk
// before the commit returns.
func (d postgres) begin(w *writer, u urgency) error {
	err := w.exec("BEGIN")
	if err != nil { // the server was started again, or the connection cut
		if err := w.reconnect(); err != nil {
			return err
		}
		err = w.exec("BEGIN")
	}
	if err == nil && u == results {
		err = w.exec("SET LOCAL synchronous_commit = off")
	}
	if err == nil {
		err = w.exec(fmt.Sprintf("SELECT pg_advisory_xact_lock(%d)", int64(changesLock)))
	}
	return err
}

// refused knows the one character that texts cannot hold, in a text or as an escape in JSON.
func (postgres) refused(err error) error {
	var e *pgconn.PgError
	if errors.As(err, &e) && (e.Code == "22021" || e.Code == "22P05") { // character_not_in_repertoire, untranslatable_character
		return bugle.Invalid("", "A text has the character NUL (U+0000), which cannot be kept or searched for. Send it without.")
	}
	return err
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
