package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/gofrs/flock"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

//go:embed migrations
var embedded embed.FS

// migrations are the folders of a set for each database. Tests put newer ones over them.
var migrations fs.FS = embedded

// ErrOutdated is returned when the tables lack migrations and are not to be changed.
var ErrOutdated = errors.New("the tables are not up to date")

// A Schema says how the tables of a database stand to this program. Versions are the numbers of migrations.
type Schema struct {
	Version int64    `json:"version"` // that of the newest migration that was applied; 0: there are no tables yet
	Known   int64    `json:"known"`   // that of the newest that this program knows
	Lowest  int64    `json:"lowest"`  // that which a program has to know to work on these tables
	Missing []string `json:"missing"` // the files of migrations that are still to be applied, in their order
}

// Newer reports whether a newer program has changed the tables.
func (s Schema) Newer() bool { return s.Version > s.Known }

// check returns why this program must not work on the tables.
func (s Schema) check() error {
	switch {
	case s.Known < s.Lowest:
		return fmt.Errorf("the tables have version %d, made by a newer Bugle, and need one that knows version %d; this one knows %d: install a newer one", s.Version, s.Lowest, s.Known)
	case s.Newer() && len(s.Missing) > 0:
		return fmt.Errorf("the tables have version %d, made by a newer Bugle, but lack %s: migrate them with that one", s.Version, strings.Join(s.Missing, ", "))
	}
	return nil
}

// ReadSchema says how the tables of a database stand to this program. It changes nothing, and makes no file.
func ReadSchema(ctx context.Context, name string) (Schema, error) {
	path, postgres, err := parseName(name)
	if err != nil {
		return Schema{}, err
	}
	if postgres != nil {
		db := stdlib.OpenDB(*postgres)
		schema, err := postgresTables.schema(ctx, db)
		return schema, openError(name, errors.Join(err, db.Close()))
	}
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return sqliteTables.schemaOf(nil)
	}
	db, err := sql.Open("sqlite", dsn(path, []string{"query_only(1)"}))
	if err != nil {
		return Schema{}, openError(name, err)
	}
	schema, err := sqliteTables.schema(ctx, db)
	return schema, openError(name, errors.Join(err, db.Close()))
}

// Migrate brings the tables of a database up to date, and makes the database as Open does. It returns how they stood
// before. The log is of the migrations; nil: none.
func Migrate(ctx context.Context, name string, log *slog.Logger) (Schema, error) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	path, postgres, err := parseName(name)
	if err != nil {
		return Schema{}, err
	}
	if postgres != nil {
		db := stdlib.OpenDB(*postgres)
		before, err := migratePostgres(ctx, db, false, log)
		return before, openError(name, errors.Join(err, db.Close()))
	}
	db, err := makeSQLite(path)
	if err != nil {
		return Schema{}, openError(name, err)
	}
	before, err := migrateSQLite(ctx, path, db, false, log)
	return before, openError(name, errors.Join(err, db.Close()))
}

// parseName returns what is behind the name of a database: the path of a file, or how to connect to a server.
func parseName(name string) (path string, server *pgx.ConnConfig, err error) {
	path, isFile := strings.CutPrefix(name, "sqlite:")
	switch {
	case isFile && path != "":
		return path, nil, nil
	case strings.HasPrefix(name, "postgres://"), strings.HasPrefix(name, "postgresql://"):
		server, err = postgresConfig(name)
		return "", server, openError(name, err)
	}
	return "", nil, nameError(name)
}

// openError is err with the name of the database that it is about, without what is secret in it; nil if there is none.
func openError(name string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("open database %s: %w", strings.TrimPrefix(ShownName(name), "sqlite:"), err)
}

// tables are what the migrations of a kind of database are applied with.
type tables struct {
	kind   goose.Dialect
	folder string
	has    string // a query for how many tables have the name in its parameter
}

var (
	sqliteTables   = tables{goose.DialectSQLite3, "migrations/sqlite", "SELECT COUNT(*) FROM sqlite_master WHERE type = 'table' AND name = $1"}
	postgresTables = tables{goose.DialectPostgres, "migrations/postgres", "SELECT COUNT(*) FROM pg_class WHERE oid = TO_REGCLASS($1)"}
)

// schema reads how the tables stand.
func (t tables) schema(ctx context.Context, db querier) (Schema, error) {
	found := map[string]bool{}
	for _, name := range []string{"goose_db_version", "schema_compatibility"} {
		var n int
		if err := db.QueryRowContext(ctx, t.has, name).Scan(&n); err != nil {
			return Schema{}, fmt.Errorf("look for the tables: %w", err)
		}
		found[name] = n > 0
	}
	applied := map[int64]bool{}
	if found["goose_db_version"] {
		err := conn{db: db, dialect: sqlite{}}.each(ctx, func(scan func(to ...any) error) error {
			var version int64
			var up bool
			err := scan(&version, &up)
			applied[version] = up
			return err
		}, "SELECT version_id, is_applied FROM goose_db_version ORDER BY id")
		if err != nil {
			return Schema{}, fmt.Errorf("read the version of the tables: %w", err)
		}
	}
	schema, err := t.schemaOf(applied)
	if err == nil && found["schema_compatibility"] {
		if err = db.QueryRowContext(ctx, "SELECT lowest_version FROM schema_compatibility").Scan(&schema.Lowest); err != nil {
			err = fmt.Errorf("read which programs the tables are for: %w", err)
		}
	}
	return schema, err
}

// schemaOf compares what was applied with the migrations that there are.
func (t tables) schemaOf(applied map[int64]bool) (Schema, error) {
	s := Schema{Missing: []string{}}
	for version, up := range applied {
		if up {
			s.Version = max(s.Version, version)
		}
	}
	files, err := fs.ReadDir(migrations, t.folder) // sorted by name
	for _, file := range files {
		number, _, _ := strings.Cut(file.Name(), "_")
		version, err := strconv.ParseInt(number, 10, 64)
		if err != nil {
			return s, fmt.Errorf("migration %s has no number", path.Join(t.folder, file.Name()))
		}
		s.Known = max(s.Known, version)
		if !applied[version] {
			s.Missing = append(s.Missing, file.Name())
		}
	}
	return s, err
}

// migrate applies what is missing, unless the tables are to be kept as they are, and returns how they stood before. Tables
// that a newer program has changed stay as they are, if it has left them so that this one can work on them.
func (t tables) migrate(ctx context.Context, db *sql.DB, keep bool, log *slog.Logger, options ...goose.ProviderOption) (Schema, error) {
	before, err := t.schema(ctx, db)
	if err == nil {
		err = before.check()
	}
	if err != nil {
		return before, err
	}
	if before.Newer() {
		log.WarnContext(ctx, "the tables are of a newer version than this program, which can work on them", "tables", before.Version, "program", before.Known)
	}
	if len(before.Missing) == 0 {
		return before, nil
	}
	if keep {
		return before, fmt.Errorf("%w: they lack %s; run bugle migrate", ErrOutdated, strings.Join(before.Missing, ", "))
	}
	files, err := fs.Sub(migrations, t.folder)
	if err != nil {
		return before, err
	}
	provider, err := goose.NewProvider(t.kind, db, files, options...)
	if err != nil {
		return before, err
	}
	results, err := provider.Up(ctx)
	for _, r := range results {
		log.InfoContext(ctx, "tables migrated", "migration", r.Source.Path, "took", r.Duration)
	}
	if err != nil {
		return before, fmt.Errorf("migrate: %w", err)
	}
	return before, nil
}

// migrateSQLite is tables.migrate by one process at a time: the server and a command may both be started on a new database.
func migrateSQLite(ctx context.Context, path string, db *sql.DB, keep bool, log *slog.Logger) (Schema, error) {
	lock := flock.New(path + ".migrating")
	if _, err := lock.TryLockContext(ctx, 10*time.Millisecond); err != nil {
		return Schema{}, fmt.Errorf("wait for another process to migrate the tables: %w", err)
	}
	before, err := sqliteTables.migrate(ctx, db, keep, log)
	return before, errors.Join(err, lock.Unlock())
}

// migratePostgres is the same for several nodes that start at once.
func migratePostgres(ctx context.Context, db *sql.DB, keep bool, log *slog.Logger) (Schema, error) {
	locker, err := lock.NewPostgresSessionLocker()
	if err != nil {
		return Schema{}, err
	}
	return postgresTables.migrate(ctx, db, keep, log, goose.WithSessionLocker(locker))
}

// Schema says how the tables stand to this program.
func (s *Store) Schema(ctx context.Context) (Schema, error) {
	return s.dialect.tables().schema(ctx, s.reading)
}

// checkTables returns an error unless the tables have what this program reads.
func (s *Store) checkTables(ctx context.Context) error {
	schema, err := s.Schema(ctx)
	if err == nil {
		err = schema.check()
	}
	if err == nil && len(schema.Missing) > 0 {
		err = fmt.Errorf("%w: they lack %s; run bugle migrate, or start bugle serve", ErrOutdated, strings.Join(schema.Missing, ", "))
	}
	return err
}
