package storetest

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	_ "github.com/jackc/pgx/v5/stdlib" // registers the driver "pgx"
	"github.com/jonboulle/clockwork"

	"github.com/buglehq/bugle/internal/store"
)

var databases atomic.Int64

// postgresDatabase makes a database of the server a copy of an empty one with the organization 1, and drops it when the
// test ends. Tests of other packages do the same at the same time, so names have the process's number.
func postgresDatabase(t testing.TB, server string) string {
	t.Helper()
	return makeDatabase(t, server, "TEMPLATE "+templateName())
}

// EmptyDatabase makes a database of the PostgreSQL server without any tables, drops it when the test ends, and returns its
// address.
func EmptyDatabase(t testing.TB) string {
	t.Helper()
	return makeDatabase(t, os.Getenv("BUGLE_TEST_POSTGRES"), "TEMPLATE template0")
}

func makeDatabase(t testing.TB, server, template string) string {
	t.Helper()
	admin, err := postgresTemplate()
	if err != nil {
		t.Fatal(err)
	}
	name := fmt.Sprintf("bugle_test_%d_%d", os.Getpid(), databases.Add(1))
	if _, err := admin.Exec("CREATE DATABASE " + name + " " + template + strategy); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := admin.Exec("DROP DATABASE " + name + " WITH (FORCE)"); err != nil {
			t.Error(err)
		}
	})
	return withDatabase(server, name)
}

// strategy is how PostgreSQL copies databases, known once there is a template.
var strategy string

func templateName() string { return fmt.Sprintf("bugle_test_%d", os.Getpid()) }

// withDatabase is the address of another database of the same server.
func withDatabase(server, name string) string {
	u, err := url.Parse(server)
	if err != nil {
		return server // which cannot be opened, and says why
	}
	u.Path = "/" + name
	return u.String()
}

// postgresTemplate makes the database that others are copies of, once for all tests of a package, and returns what makes
// copies. Nothing drops it: no test is the last. Those of processes that have ended are dropped by the next one.
var postgresTemplate = sync.OnceValues(func() (*sql.DB, error) {
	server := os.Getenv("BUGLE_TEST_POSTGRES")
	admin, err := sql.Open("pgx", server)
	if err != nil {
		return nil, err
	}
	admin.SetMaxOpenConns(2)
	if err := dropLeftovers(admin); err != nil {
		return nil, fmt.Errorf("drop what earlier tests left: %w", err)
	}
	var version int
	if err := admin.QueryRow("SELECT CURRENT_SETTING('server_version_num')::int").Scan(&version); err != nil {
		return nil, err
	}
	if version >= 15_00_00 {
		strategy = " STRATEGY FILE_COPY" // by files rather than page by page through the log, which takes twice as long; 14 knows nothing else
	}
	if _, err := admin.Exec("CREATE DATABASE " + templateName()); err != nil {
		return nil, err
	}
	s, err := store.Open(context.Background(), withDatabase(server, templateName()), store.Options{Clock: clockwork.NewFakeClockAt(Start)})
	if err != nil {
		return nil, err
	}
	_, err = s.EnsureOrganization(context.Background(), "1st Test Battalion")
	return admin, errors.Join(err, s.Close())
})

// dropLeftovers drops the databases of processes that are gone.
func dropLeftovers(admin *sql.DB) error {
	rows, err := admin.Query(`SELECT datname FROM pg_database WHERE datname LIKE 'bugle\_test\_%' LIMIT 10000`)
	if err != nil {
		return err
	}
	defer rows.Close()
	var names []string
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return err
		}
		names = append(names, name)
	}
	if err := rows.Err(); err != nil {
		return err
	}
	for _, name := range names {
		pid, _, _ := strings.Cut(strings.TrimPrefix(name, "bugle_test_"), "_")
		if _, err := os.Stat("/proc/" + pid); err == nil {
			continue
		}
		if _, err := admin.Exec("DROP DATABASE IF EXISTS " + name + " WITH (FORCE)"); err != nil && !strings.Contains(err.Error(), "does not exist") {
			return err
		}
	}
	return nil
}
