// Package storetest makes stores and clocks for tests, and what tests put into them.
package storetest

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/jonboulle/clockwork"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/internal/policy"
	"github.com/buglehq/bugle/internal/secrets"
	"github.com/buglehq/bugle/internal/store"
	"github.com/buglehq/bugle/personnel"
	"github.com/buglehq/bugle/value"
)

// Start is what a new store's clock shows.
var Start = time.Date(2026, 1, 14, 12, 0, 0, 123456000, time.UTC)

// BaseURL is the server's address in payloads.
const BaseURL = "https://bugle.example.com"

// New returns an empty store in a folder of its own, with the organization 1 and a clock that stands
// at Start. It is closed when the test ends.
func New(t testing.TB) (*store.Store, *clockwork.FakeClock) {
	t.Helper()
	return NewWith(t, store.Options{})
}

// NewWith is New for a store with these options; the clock is set.
func NewWith(t testing.TB, o store.Options) (*store.Store, *clockwork.FakeClock) {
	t.Helper()
	clock := clockwork.NewFakeClockAt(Start)
	o.Clock = clock
	return Open(t, Database(t), o), clock
}

// Database makes a database with the organization 1 and returns its name, as store.Open wants it. It is one of
// PostgreSQL if BUGLE_TEST_POSTGRES has the address of a server, and else a file of SQLite.
func Database(t testing.TB) string {
	t.Helper()
	if server := os.Getenv("BUGLE_TEST_POSTGRES"); server != "" {
		return postgresDatabase(t, server)
	}
	empty, err := template()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "bugle.db")
	if err := os.WriteFile(path, empty, 0o600); err != nil {
		t.Fatal(err)
	}
	return "sqlite:" + path
}

// NewFile is New for what is only so on SQLite.
func NewFile(t testing.TB) (*store.Store, *clockwork.FakeClock) {
	t.Helper()
	t.Setenv("BUGLE_TEST_POSTGRES", "")
	return New(t)
}

// template returns the file of an empty database with the organization 1. It is made once, because
// with the race detector the migrations take longer than most tests.
var template = sync.OnceValues(func() ([]byte, error) {
	folder, err := os.MkdirTemp("", "storetest-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(folder)
	path := filepath.Join(folder, "bugle.db")
	s, err := store.Open(context.Background(), "sqlite:"+path, store.Options{Clock: clockwork.NewFakeClockAt(Start)})
	if err != nil {
		return nil, err
	}
	_, err = s.EnsureOrganization(context.Background(), "1st Test Battalion")
	if err := errors.Join(err, s.Close()); err != nil {
		return nil, err
	}
	return os.ReadFile(path)
})

// Open opens the database and closes it when the test ends. The BaseURL is that of this package unless
// o has one.
func Open(t testing.TB, database string, o store.Options) *store.Store {
	t.Helper()
	if o.BaseURL == "" {
		o.BaseURL = BaseURL
	}
	if o.Secrets == nil && OnPostgres() {
		o.Secrets = keys()
	}
	s, err := store.Open(t.Context(), database, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close the store: %v", err)
		}
	})
	return s
}

// keys are those of databases that have no folder for a file of their own.
var keys = sync.OnceValue(func() secrets.Source {
	source, err := secrets.NewMemory()
	if err != nil {
		panic(err) // there is no randomness
	}
	return source
})

// Each runs the test with a new store, with the name of what its database is.
func Each(t *testing.T, test func(t *testing.T, s *store.Store, clock *clockwork.FakeClock)) {
	t.Helper()
	kind := "sqlite"
	if OnPostgres() {
		kind = "postgres"
	}
	t.Run(kind, func(t *testing.T) {
		s, clock := New(t)
		test(t, s, clock)
	})
}

// OnPostgres reports whether the tests run on PostgreSQL.
func OnPostgres() bool { return os.Getenv("BUGLE_TEST_POSTGRES") != "" }

// Actor makes changes in organization 1, in one request, as nobody who is known.
func Actor() store.Actor {
	return store.Actor{
		OrganizationID: 1,
		RequestID:      "9b1f6f0e-6f0a-4c8e-9d55-0c0f6a3f3b11",
		TraceID:        "2c1d7a52-53a6-4f5c-8f43-7f6f7b0d9e21",
	}
}

// Change runs fn in a transaction that has to succeed.
func Change(t testing.TB, s *store.Store, fn func(tx *store.Tx) error) {
	t.Helper()
	if err := s.Update(context.Background(), fn); err != nil {
		t.Fatal(err)
	}
}

// Create adds a resource as Actor. The fields are pairs as of value.Map: name, value, name, value.
func Create(t testing.TB, s *store.Store, kind *personnel.Kind, fields ...any) *personnel.Resource {
	t.Helper()
	var r *personnel.Resource
	Change(t, s, func(tx *store.Tx) (err error) {
		r, err = tx.Create(Actor(), kind, value.Map(fields...))
		return err
	})
	return r
}

// Update gives a resource the fields, which are pairs as of value.Map, as Actor.
func Update(t testing.TB, s *store.Store, kind *personnel.Kind, id int64, fields ...any) *personnel.Resource {
	t.Helper()
	var r *personnel.Resource
	Change(t, s, func(tx *store.Tx) (err error) {
		r, err = tx.Update(Actor(), kind, id, value.Map(fields...))
		return err
	})
	return r
}

// Delete removes a resource as Actor.
func Delete(t testing.TB, s *store.Store, kind *personnel.Kind, id int64) {
	t.Helper()
	Change(t, s, func(tx *store.Tx) error {
		_, err := tx.Delete(Actor(), kind, id)
		return err
	})
}

// AddWebhook adds a webhook of organization 1 that subscribes to every event, with the defaults
// otherwise. The set may change it before it is written, and may be nil.
func AddWebhook(t testing.TB, s *store.Store, url string, set func(*bugle.Webhook)) *bugle.Webhook {
	t.Helper()
	w := bugle.NewWebhook()
	w.OrganizationID, w.Name, w.URL, w.Events = 1, "Test", url, personnel.EventNames()
	if set != nil {
		set(&w)
	}
	Change(t, s, func(tx *store.Tx) error { return tx.AddWebhook(&w) })
	return &w
}

// Body is what a webhook gets of a text that no template wrote.
func Body(t testing.TB, w *bugle.Webhook, text []byte) policy.Body {
	t.Helper()
	body, err := policy.Apply(w, bugle.Payload{Text: text})
	if err != nil {
		t.Fatal(err)
	}
	return body
}
