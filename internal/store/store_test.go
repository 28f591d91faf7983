package store_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/internal/store"
	"github.com/buglehq/bugle/internal/storetest"
	"github.com/buglehq/bugle/personnel"
	"github.com/buglehq/bugle/value"
)

// exec runs SQL, for what no request can write.
func exec(t testing.TB, s *store.Store, query string, args ...any) {
	t.Helper()
	storetest.Change(t, s, func(tx *store.Tx) error { return tx.Exec(query, args...) })
}

// query returns the rows of a query with a column, as it was last committed.
func query[T any](t testing.TB, s *store.Store, text string, args ...any) []T {
	t.Helper()
	var list []T
	err := s.Query(context.Background(), func(scan func(to ...any) error) error {
		var one T
		err := scan(&one)
		list = append(list, one)
		return err
	}, text, args...)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// count returns how many rows a table has.
func count(t testing.TB, s *store.Store, table string) int {
	t.Helper()
	return query[int](t, s, "SELECT COUNT(*) FROM "+table)[0]
}

// addTrigger makes the database do something when a table changes.
func addTrigger(t testing.TB, s *store.Store, name, when, does string) {
	t.Helper()
	if !storetest.OnPostgres() {
		exec(t, s, "CREATE TRIGGER "+name+" "+when+" BEGIN "+does+" END")
		return
	}
	exec(t, s, "CREATE FUNCTION "+name+"() RETURNS TRIGGER LANGUAGE plpgsql AS $$ BEGIN "+does+" RETURN NEW; END $$")
	exec(t, s, "CREATE TRIGGER "+name+" "+when+" FOR EACH ROW EXECUTE FUNCTION "+name+"()")
}

func dropTrigger(t testing.TB, s *store.Store, name, table string) {
	t.Helper()
	if storetest.OnPostgres() {
		exec(t, s, "DROP TRIGGER "+name+" ON "+table)
		return
	}
	exec(t, s, "DROP TRIGGER "+name)
}

// nextID makes id the one that the kind's next resource gets.
func nextID(t testing.TB, s *store.Store, k *personnel.Kind, id int64) {
	t.Helper()
	if storetest.OnPostgres() {
		exec(t, s, "SELECT SETVAL(PG_GET_SERIAL_SEQUENCE($1, 'id'), GREATEST($2, 1::bigint), $2 > 0)", k.Table, id-1)
		return
	}
	exec(t, s, "DELETE FROM sqlite_sequence WHERE name = $1", k.Table)
	exec(t, s, "INSERT INTO sqlite_sequence (name, seq) VALUES ($1, $2)", k.Table, id-1)
}

// createAt is storetest.Create for a resource with the id.
func createAt(t testing.TB, s *store.Store, k *personnel.Kind, id int64, fields ...any) *personnel.Resource {
	t.Helper()
	nextID(t, s, k, id)
	return storetest.Create(t, s, k, fields...)
}

// createIn is storetest.Create for another organization.
func createIn(t testing.TB, s *store.Store, a store.Actor, k *personnel.Kind, fields ...any) *personnel.Resource {
	t.Helper()
	var r *personnel.Resource
	storetest.Change(t, s, func(tx *store.Tx) (err error) {
		r, err = tx.Create(a, k, value.Map(fields...))
		return err
	})
	return r
}

// user adds a user whose e-mail address is made of his name.
func user(t testing.TB, s *store.Store, name string, fields ...any) *personnel.Resource {
	t.Helper()
	email := strings.ToLower(strings.ReplaceAll(name, " ", ".")) + "@example.com"
	return storetest.Create(t, s, &personnel.User, append([]any{"name", name, "email", email}, fields...)...)
}

// get returns a resource of organization 1 as it was last committed.
func get(t testing.TB, s *store.Store, k *personnel.Kind, id int64) *personnel.Resource {
	t.Helper()
	r, err := s.Get(context.Background(), 1, k, id)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// render returns a resource's data as the API answers with it.
func render(t testing.TB, s *store.Store, r *personnel.Resource) *value.Array {
	t.Helper()
	view, err := s.View(context.Background(), 1)
	if err != nil {
		t.Fatal(err)
	}
	return r.Data(view)
}

// An event is what a test looks at of a bugle.Event.
type event struct {
	ID       int64
	Name     string
	Envelope string
}

// decoded returns the envelope as a value.
func (e event) decoded(t testing.TB) *value.Array {
	t.Helper()
	v, err := value.Decode([]byte(e.Envelope))
	if err != nil {
		t.Fatalf("envelope of %s: %v", e.Name, err)
	}
	return v.(*value.Array)
}

// data returns the envelope's data.
func (e event) data(t testing.TB) *value.Array {
	t.Helper()
	data, _ := e.decoded(t).Get("data")
	return data.(*value.Array)
}

// changes returns the JSON text of the envelope's changes.
func (e event) changes(t testing.TB) string {
	t.Helper()
	changes, _ := e.decoded(t).Get("changes")
	return jsonText(t, changes)
}

func jsonText(t testing.TB, v any) string {
	t.Helper()
	text, err := value.JSON(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// events returns all events, oldest first.
func events(t testing.TB, s *store.Store) []event {
	t.Helper()
	var list []event
	err := s.Query(context.Background(), func(scan func(to ...any) error) error {
		var e event
		err := scan(&e.ID, &e.Name, &e.Envelope)
		list = append(list, e)
		return err
	}, "SELECT id, name, envelope FROM events ORDER BY id")
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// eventsOf returns the events that change causes, oldest first.
func eventsOf(t testing.TB, s *store.Store, change func()) []event {
	t.Helper()
	before := len(events(t, s))
	change()
	return events(t, s)[before:]
}

func names(list []event) []string {
	all := make([]string, len(list))
	for i, e := range list {
		all[i] = e.Name
	}
	return all
}

func wantNames(t testing.TB, got []event, want ...string) {
	t.Helper()
	if !slices.Equal(names(got), want) {
		t.Fatalf("events are\n     %q\nwant %q", names(got), want)
	}
}

func wantText(t testing.TB, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// wantProblems checks that err is a bugle.InvalidError of exactly these fields, in order.
func wantProblems(t testing.TB, err error, fields ...string) {
	t.Helper()
	invalid, ok := err.(*bugle.InvalidError)
	if !ok {
		t.Fatalf("error is %v, want problems with %q", err, fields)
	}
	var got []string
	for _, p := range invalid.Problems {
		got = append(got, p.Field)
		if name := p.Field; !strings.HasSuffix(p.Reason, ".") || !strings.Contains(p.Reason, name) && !strings.Contains(name, ".") {
			t.Errorf("the reason for %s is no sentence that names it: %q", name, p.Reason)
		}
	}
	if !slices.Equal(got, fields) {
		t.Errorf("problems are with %q, want %q: %v", got, fields, invalid.Problems)
	}
}

// label names a resource in the messages of a test.
func label(k *personnel.Kind, id int64) string { return fmt.Sprintf("%s %d", k.Name, id) }
