package store

import (
	"cmp"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math"
	"os"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
)

// CopyOptions are how Copy works.
type CopyOptions struct {
	Log *slog.Logger // of migrations; nil: none

	// ReplaceNUL writes U+FFFD for what texts of PostgreSQL cannot hold: the character NUL, and bytes that are no
	// UTF-8. Without it, Copy fails at the first.
	ReplaceNUL bool

	// Progress is told now and then how far Copy is. Nil: nobody is.
	Progress func(CopyProgress)
}

// CopyProgress is how far a copy is.
type CopyProgress struct {
	Verifying   bool   // all rows were written, and are being read again
	Table       string // under way
	Done, Total int64  // rows, of all tables
}

// A CopiedTable is what became of a table.
type CopiedTable struct {
	Name     string `json:"name"`
	Rows     int64  `json:"rows"`
	Checksum string `json:"checksum"` // of all rows, in whichever order and database: 32 hexadecimal digits
	LastID   int64  `json:"last_id"`  // the id last given out; 0: none was, or rows have no ids of their own
}

// Copy copies a whole installation from one database to another of the same or another kind: every table, ids, and which
// are given out next. No server may work on either. The target must be empty, and is made if it is not there; its tables
// are brought up to date. All of it is one transaction, in which the target is read again and compared: after an error it
// is as empty as before. Uploaded files are not in the database.
func Copy(ctx context.Context, from, to string, o CopyOptions) ([]CopiedTable, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Progress == nil {
		o.Progress = func(CopyProgress) {}
	}
	same, err := sameDatabase(from, to)
	if err != nil {
		return nil, err
	}
	if same {
		return nil, errors.New("source and target are the same database")
	}
	source, err := openEnd(ctx, from, false)
	if err != nil {
		return nil, fmt.Errorf("source: %w", openError(from, err))
	}
	defer source.close()
	if err := source.current(ctx); err != nil {
		return nil, fmt.Errorf("source: %w", openError(from, err))
	}
	target, err := openEnd(ctx, to, true)
	if err == nil {
		defer target.close()
		err = target.prepare(ctx, o.Log)
	}
	if err != nil {
		return nil, fmt.Errorf("target: %w", openError(to, err))
	}
	work := copying{source: source, target: target, options: o}
	copied, err := work.run(ctx)
	if err != nil && ctx.Err() != nil && !errors.Is(err, ctx.Err()) { // a connection that was closed because of it says just that
		err = fmt.Errorf("%w: %w", ctx.Err(), err)
	}
	if err != nil {
		return nil, fmt.Errorf("copy: %w", err)
	}
	if err := target.analyze(ctx); err != nil {
		return copied, fmt.Errorf("everything is copied, but not analyzed, which PostgreSQL will do by itself later: %w", err)
	}
	return copied, nil
}

// sameDatabase reports whether two names mean one database, as far as names say.
func sameDatabase(a, b string) (bool, error) {
	pathA, serverA, err := parseName(a)
	if err != nil {
		return false, fmt.Errorf("source: %w", err)
	}
	pathB, serverB, err := parseName(b)
	if err != nil {
		return false, fmt.Errorf("target: %w", err)
	}
	if serverA != nil && serverB != nil {
		return serverA.Host == serverB.Host && serverA.Port == serverB.Port && serverA.Database == serverB.Database, nil
	}
	if serverA != nil || serverB != nil {
		return false, nil
	}
	fileA, errA := os.Stat(pathA)
	fileB, errB := os.Stat(pathB)
	return errA == nil && errB == nil && os.SameFile(fileA, fileB), nil
}

// An end is a database that Copy reads or writes, kept from servers.
type end struct {
	db      *sql.DB
	conn    *sql.Conn // in a transaction, once there is one
	tables  tables
	dialect dialect
	catalog catalog
	path    string // of the file; empty: it is a server's
	unlock  func() error
}

func openEnd(ctx context.Context, name string, made bool) (*end, error) {
	path, server, err := parseName(name)
	if err != nil {
		return nil, err
	}
	e := &end{path: path, tables: sqliteTables, dialect: sqlite{}, catalog: sqliteCatalog}
	switch {
	case server != nil:
		e.tables, e.dialect, e.catalog = postgresTables, postgres{}, postgresCatalog
		e.db = stdlib.OpenDB(*server)
		if err = checkPostgres(ctx, e.db); err == nil {
			e.unlock, err = lockPostgres(ctx, e.db)
		}
	case made:
		if e.db, err = makeSQLite(path); err == nil {
			e.unlock, err = lockFile(path)
		}
	default:
		if _, err = os.Stat(path); err != nil {
			return nil, err
		}
		if e.unlock, err = lockFile(path); err == nil {
			e.db, err = sql.Open("sqlite", dsn(path, []string{"query_only(1)"}))
		}
	}
	if err == nil {
		e.conn, err = e.db.Conn(ctx)
	}
	if err == nil && server != nil {
		err = e.exec(ctx, "SET idle_in_transaction_session_timeout = 0") // one end waits while the other works
	}
	if err != nil {
		e.close()
		return nil, err
	}
	return e, nil
}

// close ends what is under way, without effect unless it was committed.
func (e *end) close() {
	if e.conn != nil {
		e.conn.Close()
	}
	if e.db != nil {
		e.db.Close()
	}
	if e.unlock != nil {
		e.unlock()
	}
}

func (e *end) exec(ctx context.Context, query string, args ...any) error {
	_, err := e.conn.ExecContext(ctx, query, args...)
	return err
}

// current checks that the tables are those that this program knows.
func (e *end) current(ctx context.Context) error {
	schema, err := e.tables.schema(ctx, e.db)
	switch {
	case err != nil:
		return err
	case schema.Version == 0:
		return errors.New("there is nothing in it to copy")
	case schema.Newer():
		return fmt.Errorf("the tables have version %d, made by a newer Bugle; this one knows %d: copy with the newer one", schema.Version, schema.Known)
	case len(schema.Missing) > 0:
		return fmt.Errorf("%w: they lack %s; run bugle migrate with it", ErrOutdated, strings.Join(schema.Missing, ", "))
	}
	return nil
}

// prepare brings the tables of a target up to date. A database that is not empty is refused before.
func (e *end) prepare(ctx context.Context, log *slog.Logger) error {
	schema, err := e.tables.schema(ctx, e.db)
	if err != nil {
		return err
	}
	if schema.Version > 0 {
		if err := e.empty(ctx); err != nil {
			return err
		}
	}
	if e.path != "" {
		_, err = migrateSQLite(ctx, e.path, e.db, false, log)
	} else {
		_, err = migratePostgres(ctx, e.db, false, log)
	}
	if err == nil {
		err = e.current(ctx)
	}
	return err
}

// empty checks that the tables hold no more than those of a new database do.
func (e *end) empty(ctx context.Context) error {
	made, err := newRows(ctx)
	if err != nil {
		return err
	}
	tables, err := e.read(ctx)
	if err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(tables)) {
		var n int64
		if err := e.conn.QueryRowContext(ctx, "SELECT COUNT(*) FROM "+quoted(name)).Scan(&n); err != nil {
			return err
		}
		if n > made[name] {
			return fmt.Errorf("it is not empty: the table %s has %d rows; give one that does not exist yet, or is empty", name, n)
		}
	}
	return nil
}

// newRows counts what the migrations themselves write, by table.
func newRows(ctx context.Context) (map[string]int64, error) {
	db, err := sql.Open("sqlite", ":memory:")
	if err != nil {
		return nil, err
	}
	defer db.Close()
	db.SetMaxOpenConns(1) // each connection would have a memory of its own
	if _, err := sqliteTables.migrate(ctx, db, false, slog.New(slog.DiscardHandler)); err != nil {
		return nil, err
	}
	c, err := db.Conn(ctx)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	e := &end{conn: c, catalog: sqliteCatalog}
	tables, err := e.read(ctx)
	rows := map[string]int64{}
	for _, t := range tables {
		var n int64
		if err := c.QueryRowContext(ctx, "SELECT COUNT(*) FROM "+quoted(t.name)).Scan(&n); err != nil {
			return nil, err
		}
		rows[t.name] = n
	}
	return rows, err
}

// analyze lets PostgreSQL know what is in the tables, so that the first queries are planned well.
func (e *end) analyze(ctx context.Context) error {
	if e.path != "" {
		return nil
	}
	return e.exec(ctx, "ANALYZE")
}

// A catalog is how to ask a database for its tables.
type catalog struct {
	columns    string // table, column and type of each
	references string // table and the one it refers to, for each foreign key
	numbered   string // tables whose rows get ids by themselves
	triggers   string // table and name of each, and the text that makes it
}

var sqliteCatalog = catalog{
	columns:    `SELECT m.name, c.name, c.type FROM sqlite_master AS m, pragma_table_info(m.name) AS c WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite\_%' ESCAPE '\' ORDER BY m.name, c.name`,
	references: `SELECT DISTINCT m.name, f."table" FROM sqlite_master AS m, pragma_foreign_key_list(m.name) AS f WHERE m.type = 'table'`,
	numbered:   `SELECT name FROM sqlite_master WHERE type = 'table' AND sql LIKE '%AUTOINCREMENT%'`,
	triggers:   `SELECT tbl_name, name, sql FROM sqlite_master WHERE type = 'trigger' ORDER BY rowid`,
}

var postgresCatalog = catalog{
	columns: `SELECT c.relname, a.attname, FORMAT_TYPE(a.atttypid, NULL) FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid
		WHERE c.relnamespace = CAST(CURRENT_SCHEMA() AS TEXT)::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
		ORDER BY c.relname COLLATE "C", a.attname COLLATE "C"`,
	references: `SELECT DISTINCT c.relname, f.relname FROM pg_constraint AS k JOIN pg_class AS c ON c.oid = k.conrelid JOIN pg_class AS f ON f.oid = k.confrelid
		WHERE k.contype = 'f' AND c.relnamespace = CAST(CURRENT_SCHEMA() AS TEXT)::regnamespace`,
	numbered: `SELECT table_name FROM information_schema.columns WHERE table_schema = CURRENT_SCHEMA() AND column_name = 'id' AND is_identity = 'YES'`,
	triggers: `SELECT c.relname, t.tgname, '' FROM pg_trigger AS t JOIN pg_class AS c ON c.oid = t.tgrelid WHERE NOT t.tgisinternal AND c.relnamespace = CAST(CURRENT_SCHEMA() AS TEXT)::regnamespace`,
}

// uncopiedTables are the tables that say what the migrations of a database have done to it, and those that are about servers
// which run: there are none.
var uncopiedTables = []string{"goose_db_version", "schema_compatibility", "nodes", "slices", "used_sign_ins"}

// A copiedTable is a table as both databases have it.
type copiedTable struct {
	name     string
	columns  []copiedColumn // by name
	refersTo []string
	numbered bool // rows get ids by themselves
}

type copiedColumn struct {
	name string
	kind columnKind
}

// A columnKind is what a column holds, whatever the database calls it.
type columnKind int

const (
	integers columnKind = iota + 1
	reals
	booleans
	texts
	blobs
)

var columnKinds = map[string]columnKind{
	"integer": integers, "bigint": integers, "real": reals, "double precision": reals, "boolean": booleans, "text": texts, "blob": blobs, "bytea": blobs,
}

// list is the columns' names, as in SELECT.
func (t *copiedTable) list() string {
	var names []string
	for _, c := range t.columns {
		names = append(names, quoted(c.name))
	}
	return strings.Join(names, ", ")
}

// read returns the tables by name.
func (e *end) read(ctx context.Context) (map[string]*copiedTable, error) {
	tables := map[string]*copiedTable{}
	c := conn{db: e.conn, dialect: sqlite{}}
	err := c.each(ctx, func(scan func(to ...any) error) error {
		var table, column, kind string
		if err := scan(&table, &column, &kind); err != nil || slices.Contains(uncopiedTables, table) {
			return err
		}
		known, found := columnKinds[strings.ToLower(kind)]
		if !found {
			return fmt.Errorf("the column %s.%s has the type %s, which cannot be copied", table, column, kind)
		}
		t := tables[table]
		if t == nil {
			t = &copiedTable{name: table}
			tables[table] = t
		}
		t.columns = append(t.columns, copiedColumn{column, known})
		return nil
	}, e.catalog.columns)
	if err != nil {
		return nil, err
	}
	err = c.each(ctx, func(scan func(to ...any) error) error {
		var table, other string
		err := scan(&table, &other)
		if t := tables[table]; t != nil && table != other { // rows of one table may refer to one another
			t.refersTo = append(t.refersTo, other)
		}
		return err
	}, e.catalog.references)
	if err != nil {
		return nil, err
	}
	return tables, c.each(ctx, func(scan func(to ...any) error) error {
		var table string
		err := scan(&table)
		if t := tables[table]; t != nil {
			t.numbered = true
		}
		return err
	}, e.catalog.numbered)
}

// inOrder returns the tables, each after those that it refers to.
func inOrder(tables map[string]*copiedTable) ([]*copiedTable, error) {
	var order []*copiedTable
	placed := map[string]bool{}
	for len(order) < len(tables) {
		before := len(order)
		for _, name := range slices.Sorted(maps.Keys(tables)) {
			t := tables[name]
			waits := slices.ContainsFunc(t.refersTo, func(other string) bool { return !placed[other] && tables[other] != nil })
			if !placed[name] && !waits {
				order, placed[name] = append(order, t), true
			}
		}
		if len(order) == before {
			var left []string
			for name := range tables {
				if !placed[name] {
					left = append(left, name)
				}
			}
			slices.Sort(left)
			return nil, fmt.Errorf("the tables %s refer to one another, so that none can be copied first", strings.Join(left, ", "))
		}
	}
	return order, nil
}

// sameTables checks that the databases have the same tables with the same columns.
func sameTables(source, target map[string]*copiedTable) error {
	for _, one := range []struct {
		has, lacks         map[string]*copiedTable
		owner, other, make string
	}{{source, target, "source", "target", "; no migration made it: move it elsewhere first"}, {target, source, "target", "source", ""}} {
		for _, name := range slices.Sorted(maps.Keys(one.has)) {
			other := one.lacks[name]
			if other == nil {
				return fmt.Errorf("only the %s has a table %s%s", one.owner, name, one.make)
			}
			for _, c := range one.has[name].columns {
				if !slices.Contains(other.columns, c) {
					return fmt.Errorf("the column %s.%s of the %s is not so in the %s", name, c.name, one.owner, one.other)
				}
			}
		}
	}
	return nil
}

// beforeVerifying lets tests spoil what was written.
var beforeVerifying = func(*end) error { return nil }

// copying is a copy under way.
type copying struct {
	source, target *end
	options        CopyOptions
	progress       CopyProgress
}

func (c *copying) run(ctx context.Context) (copied []CopiedTable, err error) {
	snapshot := "BEGIN"
	if c.source.path == "" {
		snapshot += " ISOLATION LEVEL REPEATABLE READ READ ONLY"
	}
	if err := c.source.exec(ctx, snapshot); err != nil {
		return nil, err
	}
	if c.target.path != "" {
		if err = c.target.exec(ctx, "PRAGMA cache_size = -65536"); err == nil { // KiB: indexes are filled in no order
			err = c.target.exec(ctx, "BEGIN IMMEDIATE")
		}
	} else if err = c.target.exec(ctx, "BEGIN"); err == nil {
		err = c.target.exec(ctx, fmt.Sprintf("SELECT PG_ADVISORY_XACT_LOCK(%d)", int64(changesLock)))
	}
	if err == nil {
		err = c.target.empty(ctx) // others can write no more
	}
	if err != nil {
		return nil, err
	}
	tables, err := c.source.read(ctx)
	if err != nil {
		return nil, fmt.Errorf("source: %w", err)
	}
	theirs, err := c.target.read(ctx)
	if err != nil {
		return nil, fmt.Errorf("target: %w", err)
	}
	if err := sameTables(tables, theirs); err != nil {
		return nil, err
	}
	order, err := inOrder(theirs)
	if err != nil {
		return nil, err
	}
	for _, t := range order {
		var n int64
		if err := c.source.conn.QueryRowContext(ctx, "SELECT COUNT(*) FROM "+quoted(t.name)).Scan(&n); err != nil {
			return nil, err
		}
		c.progress.Total += n
	}
	restore, err := c.target.withoutTriggers(ctx)
	if err != nil {
		return nil, err
	}
	for _, t := range slices.Backward(order) { // what the migrations wrote
		if err := c.target.exec(ctx, "DELETE FROM "+quoted(t.name)); err != nil {
			return nil, err
		}
	}
	written := make([]CopiedTable, 0, len(order))
	for _, t := range order {
		result, err := c.table(ctx, t)
		if err != nil {
			return nil, fmt.Errorf("table %s: %w", t.name, err)
		}
		written = append(written, result)
	}
	if c.target.path == "" { // nodes take places in lanes out of a sequence, behind those that were given out
		if err := c.target.exec(ctx, "SELECT SETVAL(TO_REGCLASS('lane_places'), GREATEST(1, (SELECT MAX(order_us) FROM deliveries)))"); err != nil {
			return nil, err
		}
	}
	if err := errors.Join(restore(), beforeVerifying(c.target)); err != nil {
		return nil, err
	}
	if err := c.verify(ctx, order, written); err != nil {
		return nil, err
	}
	if err := c.target.exec(ctx, "COMMIT"); err != nil {
		return nil, err
	}
	slices.SortFunc(written, func(a, b CopiedTable) int { return cmp.Compare(a.Name, b.Name) })
	return written, nil
}

// withoutTriggers keeps triggers from acting on what is written, which comes with what they did. The function that it
// returns puts them back.
func (e *end) withoutTriggers(ctx context.Context) (restore func() error, err error) {
	var off, on []string
	err = conn{db: e.conn, dialect: sqlite{}}.each(ctx, func(scan func(to ...any) error) error {
		var table, name, text string
		err := scan(&table, &name, &text)
		if e.path != "" {
			off, on = append(off, "DROP TRIGGER "+quoted(name)), append(on, text)
		} else {
			alter := "ALTER TABLE " + quoted(table)
			off, on = append(off, alter+" DISABLE TRIGGER "+quoted(name)), append(on, alter+" ENABLE TRIGGER "+quoted(name))
		}
		return err
	}, e.catalog.triggers)
	each := func(statements []string) error {
		for _, statement := range statements {
			if err := e.exec(ctx, statement); err != nil {
				return fmt.Errorf("%s: %w", statement, err)
			}
		}
		return nil
	}
	if err == nil {
		err = each(off)
	}
	return func() error { return each(on) }, err
}

// table copies a table and its ids, and returns what was read.
func (c *copying) table(ctx context.Context, t *copiedTable) (CopiedTable, error) {
	c.progress.Table = t.name
	result := CopiedTable{Name: t.name}
	rows, err := c.rows(ctx, c.source, t)
	if err != nil {
		return result, err
	}
	defer rows.close()
	if c.target.path != "" {
		err = c.target.insertRows(ctx, t, rows)
	} else {
		err = c.target.copyRows(ctx, t, rows)
	}
	if err = cmp.Or(rows.err, err); err != nil { // what went wrong in reading is why writing ended
		return result, err
	}
	result.Rows, result.Checksum = rows.n, rows.checksum()
	if result.LastID, err = c.source.lastID(ctx, t); err != nil || result.LastID == 0 {
		return result, err
	}
	return result, c.target.setLastID(ctx, t, result.LastID)
}

// verify reads the target and compares it with what was read of the source.
func (c *copying) verify(ctx context.Context, order []*copiedTable, want []CopiedTable) error {
	c.progress.Verifying, c.progress.Done = true, 0
	for i, t := range order {
		c.progress.Table = t.name
		rows, err := c.rows(ctx, c.target, t)
		if err != nil {
			return fmt.Errorf("verify table %s: %w", t.name, err)
		}
		for rows.Next() {
		}
		rows.close()
		got := CopiedTable{Name: t.name, Rows: rows.n, Checksum: rows.checksum()}
		if err = rows.err; err == nil {
			got.LastID, err = c.target.lastID(ctx, t)
		}
		if err != nil {
			return fmt.Errorf("verify table %s: %w", t.name, err)
		}
		if got != want[i] {
			return fmt.Errorf("verify table %s: the target has %d rows with the checksum %s, and gave out the id %d last; the source %d rows, %s, %d; nothing was copied",
				t.name, got.Rows, got.Checksum, got.LastID, want[i].Rows, want[i].Checksum, want[i].LastID)
		}
	}
	return nil
}

// lastID is the id last given out in a table; 0: none was, or they have none.
func (e *end) lastID(ctx context.Context, t *copiedTable) (id int64, err error) {
	if !t.numbered {
		return 0, nil
	}
	var highest int64
	if err = e.conn.QueryRowContext(ctx, e.dialect.statement(e.dialect.lastID()), t.name).Scan(&id); err == nil {
		err = e.conn.QueryRowContext(ctx, "SELECT COALESCE(MAX(id), 0) FROM "+quoted(t.name)).Scan(&highest)
	}
	return max(id, highest), err
}

func (e *end) setLastID(ctx context.Context, t *copiedTable, id int64) error {
	if e.path == "" {
		return e.exec(ctx, "SELECT SETVAL(PG_GET_SERIAL_SEQUENCE($1, 'id'), $2)", t.name, id)
	}
	if err := e.exec(ctx, "DELETE FROM sqlite_sequence WHERE name = ?", t.name); err != nil {
		return err
	}
	return e.exec(ctx, "INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)", t.name, id)
}

// copyRows writes rows into PostgreSQL by COPY.
func (e *end) copyRows(ctx context.Context, t *copiedTable, rows *copyRows) error {
	var names []string
	for _, c := range t.columns {
		names = append(names, c.name)
	}
	return e.conn.Raw(func(driver any) error {
		_, err := driver.(*stdlib.Conn).Conn().CopyFrom(ctx, pgx.Identifier{t.name}, names, rows)
		return err
	})
}

// insertRows writes rows into SQLite, many with a statement.
func (e *end) insertRows(ctx context.Context, t *copiedTable, rows *copyRows) error {
	const parameters = 2000
	together := max(parameters/len(t.columns), 1)
	one := "(?" + strings.Repeat(", ?", len(t.columns)-1) + ")"
	into := "INSERT INTO " + quoted(t.name) + " (" + t.list() + ") VALUES " + one
	many, err := e.conn.PrepareContext(ctx, into+strings.Repeat(", "+one, together-1))
	if err != nil {
		return err
	}
	defer many.Close()
	var args []any
	for rows.Next() {
		values, err := rows.Values()
		if err != nil {
			return err
		}
		if args = append(args, values...); len(args) == together*len(t.columns) {
			if _, err := many.ExecContext(ctx, args...); err != nil {
				return err
			}
			args = args[:0]
		}
	}
	if len(args) == 0 || rows.err != nil {
		return rows.err
	}
	return e.exec(ctx, into+strings.Repeat(", "+one, len(args)/len(t.columns)-1), args...)
}

// copyRows are the rows of a table as they are copied. It is a pgx.CopyFromSource.
type copyRows struct {
	copying *copying
	table   *copiedTable
	rows    *sql.Rows
	to      []any // what a row is scanned into
	values  []any // of the current row: int64, float64, bool, string, []byte or nil
	buffer  []byte
	n       int64
	sum     [2]uint64
	err     error
}

func (c *copying) rows(ctx context.Context, e *end, t *copiedTable) (*copyRows, error) {
	r := &copyRows{copying: c, table: t, values: make([]any, len(t.columns))}
	order := ""
	for _, column := range t.columns {
		if column.name == "id" {
			order = " ORDER BY id" // rows that are written in their order lie so, and are found faster
		}
		switch column.kind {
		case integers:
			r.to = append(r.to, &sql.NullInt64{})
		case reals:
			r.to = append(r.to, &sql.NullFloat64{})
		case booleans:
			r.to = append(r.to, &sql.NullBool{})
		case texts:
			r.to = append(r.to, &sql.NullString{})
		case blobs:
			r.to = append(r.to, new(any)) // []byte would not tell no bytes from NULL
		}
	}
	var err error
	r.rows, err = e.conn.QueryContext(ctx, "SELECT "+t.list()+" FROM "+quoted(t.name)+order)
	return r, err
}

func (r *copyRows) close() { r.rows.Close() }

// Next reads the next row.
func (r *copyRows) Next() bool {
	if r.err != nil {
		return false
	}
	if !r.rows.Next() {
		r.err = r.rows.Err()
		r.tell()
		return false
	}
	if r.err = r.rows.Scan(r.to...); r.err != nil {
		return false
	}
	for i, to := range r.to {
		r.values[i] = nil
		switch v := to.(type) {
		case *sql.NullInt64:
			if v.Valid {
				r.values[i] = v.Int64
			}
		case *sql.NullFloat64:
			if v.Valid {
				r.values[i] = v.Float64
			}
		case *sql.NullBool:
			if v.Valid {
				r.values[i] = v.Bool
			}
		case *sql.NullString:
			if v.Valid {
				if r.values[i], r.err = r.text(v.String, i); r.err != nil {
					return false
				}
			}
		case *any:
			switch b := (*v).(type) {
			case []byte:
				r.values[i] = append([]byte{}, b...)
			case string: // SQLite's columns take what they get
				r.values[i] = []byte(b)
			case nil:
			default:
				r.err = fmt.Errorf("column %s has a %T, want bytes", r.table.columns[i].name, b)
				return false
			}
		}
	}
	r.n++
	r.count()
	if r.copying.progress.Done++; r.copying.progress.Done%1000 == 0 {
		r.tell()
	}
	return true
}

func (r *copyRows) tell() { r.copying.options.Progress(r.copying.progress) }

// text returns a text as the target can hold it.
func (r *copyRows) text(s string, column int) (string, error) {
	if r.copying.target.path != "" || utf8.ValidString(s) && !strings.ContainsRune(s, 0) {
		return s, nil
	}
	if r.copying.options.ReplaceNUL {
		return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD"), nil
	}
	what := "the character NUL (U+0000)"
	if !utf8.ValidString(s) {
		what = "bytes that are no UTF-8"
	}
	where := ""
	for i, c := range r.table.columns {
		if v, ok := r.to[i].(*sql.NullInt64); ok && strings.HasSuffix(c.name, "id") {
			where += fmt.Sprintf(", %s %d", c.name, v.Int64)
		}
	}
	return "", fmt.Errorf("column %s has %s in the row with %s, which PostgreSQL cannot keep: change it, or let U+FFFD stand for it with --replace-nul",
		r.table.columns[column].name, what, strings.TrimPrefix(where, ", "))
}

// Values returns the current row.
func (r *copyRows) Values() ([]any, error) { return r.values, nil }

// Err returns why there are no more rows.
func (r *copyRows) Err() error { return r.err }

// count adds the current row to the checksum: the sum of a hash of each row, because databases return rows in orders of their own.
func (r *copyRows) count() {
	b := r.buffer[:0]
	for _, value := range r.values {
		switch v := value.(type) {
		case nil:
			b = append(b, 0)
		case int64:
			b = binary.BigEndian.AppendUint64(append(b, 1), uint64(v))
		case float64:
			b = binary.BigEndian.AppendUint64(append(b, 2), math.Float64bits(v))
		case bool:
			b = append(b, 3, map[bool]byte{true: 1}[v])
		case string:
			b = append(binary.BigEndian.AppendUint64(append(b, 4), uint64(len(v))), v...)
		case []byte:
			b = append(binary.BigEndian.AppendUint64(append(b, 5), uint64(len(v))), v...)
		}
	}
	r.buffer = b
	hash := sha256.Sum256(b)
	r.sum[0] += binary.BigEndian.Uint64(hash[:])
	r.sum[1] += binary.BigEndian.Uint64(hash[8:])
}

func (r *copyRows) checksum() string { return fmt.Sprintf("%016x%016x", r.sum[0], r.sum[1]) }
