package store_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/internal/store"
	"github.com/buglehq/bugle/internal/storetest"
	"github.com/buglehq/bugle/personnel"
	"github.com/buglehq/bugle/value"
)

// special are values for columns that hold only some, where fillTables cannot see it.
var special = map[string]any{
	"secret_keys.main": false}

// fillTables writes three rows into every table of a file that has none of its own, of values that are easily lost on the way:
// characters of all kinds, bytes, the smallest and largest numbers, nulls. Rows get the ids 1001 to 1003 and refer to one another.
func fillTables(t *testing.T, path string) {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+path+"?_pragma=foreign_keys(1)&_pragma=busy_timeout(10000)")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	list := func(query string, args ...any) [][3]string {
		rows, err := db.Query(query, args...)
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		var all [][3]string
		for rows.Next() {
			var one [3]string
			if err := rows.Scan(&one[0], &one[1], &one[2]); err != nil {
				t.Fatal(err)
			}
			all = append(all, one)
		}
		return all
	}
	choice := regexp.MustCompile(`CHECK \("?(\w+)"? IN \('(\w*)'`)
	if _, err := db.Exec("BEGIN; PRAGMA defer_foreign_keys = 1"); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec("INSERT INTO sending_hold (id, reason, held_us) VALUES (1, 'a drill', 5)"); err != nil {
		t.Fatal(err)
	}
	for _, table := range list(`SELECT name, sql, '' FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'`) {
		name := table[0]
		if slices.Contains(store.UncopiedTables, name) || name == "row_counts" || strings.Contains(table[1], "CHECK (id = 1)") {
			continue // it is not copied, written by triggers, or has its row
		}
		chosen := map[string]string{}
		for _, m := range choice.FindAllStringSubmatch(table[1], -1) {
			chosen[m[1]] = m[2]
		}
		refers := map[string]bool{}
		for _, key := range list(`SELECT "from", '', '' FROM pragma_foreign_key_list(?)`, name) {
			refers[key[0]] = true
		}
		for i := range 3 {
			var names, marks []string
			var args []any
			for _, column := range list(`SELECT name, type, "notnull" OR pk FROM pragma_table_info(?)`, name) {
				var v any
				one, isChosen := chosen[column[0]]
				switch {
				case special[name+"."+column[0]] != nil:
					v = special[name+"."+column[0]]
				case isChosen:
					v = one
				case refers[column[0]] || column[0] == "id":
					v = 1001 + i
				case column[2] == "0" && i == 1:
				case column[1] == "INTEGER":
					v = []int64{1<<62 - 1, -5, 1003}[i]
				case column[1] == "REAL":
					v = []float64{0.1, -1e300, 0}[i]
				case column[1] == "BOOLEAN":
					v = i != 1
				case column[1] == "BLOB":
					v = [][]byte{{0, 255, 39, 92, 0}, {}, []byte("c")}[i]
				default:
					v = []string{"ä'\"\\\t\r\n\u0001 😀 \u202e\ufeff", "", "\\N, {}" + strings.Repeat("x", 5000)}[i]
				}
				names, marks, args = append(names, `"`+column[0]+`"`), append(marks, "?"), append(args, v)
			}
			if _, err := db.Exec("INSERT INTO "+name+" ("+strings.Join(names, ", ")+") VALUES ("+strings.Join(marks, ", ")+")", args...); err != nil {
				t.Errorf("a row for %s: %v; has it a value that special should know?", name, err)
			}
		}
	}
	if _, err := db.Exec("COMMIT"); err != nil {
		t.Fatal(err)
	}
}

// contents are all rows of all tables of a file as SQLite writes them, and the ids last given out.
func contents(t *testing.T, path string) map[string][]string {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	rows := func(query string, args ...any) (list []string) {
		found, err := db.Query(query, args...)
		if err != nil {
			t.Fatal(err)
		}
		defer found.Close()
		for found.Next() {
			var one string
			if err := found.Scan(&one); err != nil {
				t.Fatal(err)
			}
			list = append(list, one)
		}
		slices.Sort(list)
		return list
	}
	all := map[string][]string{"sqlite_sequence": rows("SELECT name || ' ' || seq FROM sqlite_sequence"), "sqlite_master": rows("SELECT type || name || COALESCE(sql, '') FROM sqlite_master")}
	for _, table := range rows("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'") {
		if slices.Contains(store.UncopiedTables, table) {
			continue
		}
		var columns []string
		for _, c := range rows("SELECT name FROM pragma_table_info(?)", table) {
			columns = append(columns, `'`+c+`=' || quote("`+c+`")`)
		}
		all[table] = rows("SELECT " + strings.Join(columns, " || ', ' || ") + " FROM " + table)
	}
	return all
}

func sameContents(t *testing.T, got, want map[string][]string) {
	t.Helper()
	for table := range want {
		if !slices.Equal(got[table], want[table]) {
			t.Errorf("%s holds\n%.2000q\nwant\n%.2000q", table, got[table], want[table])
		}
	}
	if len(got) != len(want) {
		t.Errorf("there are %d tables, want %d", len(got), len(want))
	}
}

var rich []byte // what richFile has made once

// richFile makes a file with something in every table, and with what makes an installation go on: deliveries that are due, wait,
// and ended, statistics, and ids of rows that are gone.
func richFile(t *testing.T) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "rich.db")
	if rich != nil {
		if err := os.WriteFile(path, rich, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	defer func() {
		var err error
		if rich, err = os.ReadFile(path); err != nil {
			t.Fatal(err)
		}
	}()
	s := openAt(t, path)
	if _, err := s.EnsureOrganization(t.Context(), "1st Test Battalion"); err != nil {
		t.Fatal(err)
	}
	storetest.AddWebhook(t, s, "https://example.com/hook", nil)
	for i := range 3 {
		user(t, s, fmt.Sprintf("Jane Roe %d", i))
	}
	gone := storetest.Create(t, s, &personnel.Rank, "name", "Gone")
	storetest.Delete(t, s, &personnel.Rank, gone.ID())
	storetest.Change(t, s, func(tx *store.Tx) error {
		_, err := tx.Create(storetest.Actor(), &personnel.Rank, value.Map("name", "Sergeant"))
		return err
	})
	if err := s.FillLog(t.Context(), 1, 500); err != nil {
		t.Fatal(err)
	}
	exec(t, s, "DELETE FROM delivery_stats WHERE start_s / step_s % 50 <> 0")
	last := storetest.Create(t, s, &personnel.Unit, "name", "Gone")
	storetest.Delete(t, s, &personnel.Unit, last.ID())
	closeStore(t, s)
	fillTables(t, path)
	return path
}

// An installation comes back as it was, from a file to a server and to a file again, or from a file to a file.
func TestCopy(t *testing.T) {
	path := richFile(t)
	want := contents(t, path)
	via := "sqlite:" + filepath.Join(t.TempDir(), "via.db")
	if storetest.OnPostgres() {
		via = storetest.EmptyDatabase(t)
	}
	var told []store.CopyProgress
	there, err := store.Copy(t.Context(), "sqlite:"+path, via, store.CopyOptions{Progress: func(p store.CopyProgress) { told = append(told, p) }})
	if err != nil {
		t.Fatal(err)
	}
	for _, table := range there {
		if int(table.Rows) != len(want[table.Name]) || table.Rows == 0 || len(table.Checksum) != 32 {
			t.Errorf("copied is %+v, of %d rows", table, len(want[table.Name]))
		}
	}
	if first, last := told[0], told[len(told)-1]; first.Verifying || !last.Verifying || last.Done != last.Total || last.Total < 500 {
		t.Errorf("progress from %+v to %+v", first, last)
	}
	back := filepath.Join(t.TempDir(), "data", "back.db")
	again, err := store.Copy(t.Context(), via, "sqlite:"+back, store.CopyOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(there, again) {
		t.Errorf("there it says\n%+v\nand back\n%+v", there, again)
	}
	sameContents(t, contents(t, back), want)
	sameContents(t, contents(t, path), want)

	// A server goes on where the source's would have.
	s, original := storetest.Open(t, via, store.Options{Exclusive: true}), openAt(t, path)
	defer closeStore(t, original)
	for _, s := range []*store.Store{s, original} {
		user(t, s, "John Doe")
		storetest.Create(t, s, &personnel.Unit, "name", "1st Squad")
	}
	for _, what := range []string{
		"SELECT MAX(id) FROM users", "SELECT MAX(id) FROM units", "SELECT MAX(id) FROM events", "SELECT MAX(id) FROM deliveries",
		"SELECT last_sequence FROM lanes ORDER BY webhook_id", "SELECT sequence FROM deliveries WHERE webhook_id = 1 ORDER BY id",
		"SELECT n FROM row_counts ORDER BY organization_id, table_name", "SELECT until_s FROM stats_summed", "SELECT COUNT(*) FROM delivery_stats",
	} {
		if got, want := query[int64](t, s, what), query[int64](t, original, what); !slices.Equal(got, want) {
			t.Errorf("%s: %d, want %d", what, got, want)
		}
	}
	due, err := s.Due(t.Context(), 1, 0, 0, 100)
	wantDue, err2 := original.Due(t.Context(), 1, 0, 0, 100)
	if err != nil || err2 != nil || len(due) != len(wantDue) || len(due) == 0 {
		t.Errorf("%d deliveries are due (%v), want %d (%v)", len(due), err, len(wantDue), err2)
	}
}

func TestCopy_refuses(t *testing.T) {
	source := "sqlite:" + richFile(t)
	empty := func() string { return "sqlite:" + filepath.Join(t.TempDir(), "target.db") }
	if storetest.OnPostgres() {
		empty = func() string { return storetest.EmptyDatabase(t) }
	}
	inUse := storetest.Database(t)
	storetest.Open(t, inUse, store.Options{Exclusive: true})
	missing := "sqlite:" + filepath.Join(t.TempDir(), "missing.db")
	nothing := filepath.Join(t.TempDir(), "nothing.db")
	if err := os.WriteFile(nothing, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct{ name, from, to, want string }{
		{"itself", source, source, "source and target are the same database"},
		{"no source", missing, empty(), "missing.db: no such file"},
		{"nothing in it", "sqlite:" + nothing, empty(), "nothing in it to copy"},
		{"a source that a server works on", inUse, empty(), "source: open database"},
		{"a target that a server works on", source, inUse, "in use by another server"},
		{"a target that is not empty", source, storetest.Database(t), "it is not empty: the table audit_entries has 1 rows"},
		{"a name that is none", source, "bugle.db", `target: database is "bugle.db"`},
		{"a name that is none", "bugle.db", source, `source: database is "bugle.db"`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if _, err := store.Copy(t.Context(), test.from, test.to, store.CopyOptions{}); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want %q", err, test.want)
			}
		})
	}
	if _, err := os.Stat(strings.TrimPrefix(missing, "sqlite:")); err == nil {
		t.Error("it made the source")
	}
}

// Tables of another version are not copied, and a target that is refused is not migrated.
func TestCopy_versions(t *testing.T) {
	old, target, used := "sqlite:"+richFile(t), storetest.Database(t), storetest.Database(t)
	forget := store.AddMigrations(t, map[string]string{"9990_later.sql": addsTable})
	if _, err := store.Copy(t.Context(), old, target, store.CopyOptions{}); !errors.Is(err, store.ErrOutdated) || !strings.Contains(err.Error(), "source: ") {
		t.Errorf("an older source: %v", err)
	}
	current := "sqlite:" + richFile(t)
	if _, err := store.Migrate(t.Context(), current, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Copy(t.Context(), current, used, store.CopyOptions{}); err == nil || !strings.Contains(err.Error(), "not empty") {
		t.Errorf("a target in use: %v", err)
	}
	if got := schema(t, used); len(got.Missing) != 1 {
		t.Errorf("the target that was refused is migrated: %+v", got)
	}
	forget()
	if _, err := store.Copy(t.Context(), current, target, store.CopyOptions{}); err == nil || !strings.Contains(err.Error(), "copy with the newer one") {
		t.Errorf("a newer source: %v", err)
	}
}

// What fails on the way leaves the target empty, so that it can be copied into again.
func TestCopy_failureLeavesNothing(t *testing.T) {
	path := richFile(t)
	target := "sqlite:" + filepath.Join(t.TempDir(), "target.db")
	if storetest.OnPostgres() {
		target = storetest.EmptyDatabase(t)
	}
	if _, err := store.Migrate(t.Context(), target, nil); err != nil {
		t.Fatal(err)
	}
	check := func(ctx context.Context, o store.CopyOptions, want string) {
		t.Helper()
		if _, err := store.Copy(ctx, "sqlite:"+path, target, o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
		s := storetest.Open(t, target, store.Options{})
		if n := count(t, s, "organizations") + count(t, s, "users") + count(t, s, "row_counts"); n != 0 {
			t.Errorf("after it there are %d rows", n)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	for _, verifying := range []bool{false, true} {
		ctx, cancel := context.WithCancel(t.Context())
		check(ctx, store.CopyOptions{Progress: func(p store.CopyProgress) {
			if p.Verifying == verifying && p.Table == "users" {
				cancel()
			}
		}}, "cancel")
	}
	s := openAt(t, path)
	exec(t, s, "CREATE TABLE another (id INTEGER PRIMARY KEY)")
	check(t.Context(), store.CopyOptions{}, "only the source has a table another")
	exec(t, s, "DROP TABLE another")
	exec(t, s, "ALTER TABLE ranks ADD COLUMN another TEXT")
	check(t.Context(), store.CopyOptions{}, "the column ranks.another of the source is not so in the target")
	exec(t, s, "ALTER TABLE ranks DROP COLUMN another")
	closeStore(t, s)
	if _, err := store.Copy(t.Context(), "sqlite:"+path, target, store.CopyOptions{}); err != nil {
		t.Errorf("after all of that: %v", err)
	}
}

// A row that is changed on the way is found.
func TestCopy_verifies(t *testing.T) {
	onFile := "sqlite:" + filepath.Join(t.TempDir(), "target.db")
	if _, err := store.Migrate(t.Context(), onFile, nil); err != nil {
		t.Fatal(err)
	}
	path := richFile(t)
	done := false
	_, err := store.CopyDisturbed(t.Context(), "sqlite:"+path, onFile, "UPDATE users SET notes = 'x' WHERE id = 1002", &done)
	if err == nil || !done || !strings.Contains(err.Error(), "verify table users: the target has ") {
		t.Errorf("error %v, want one that says which table", err)
	}
}

func TestCopy_textsThatPostgresCannotHold(t *testing.T) {
	onPostgres(t)
	for what, text := range map[string]string{"the character NUL": "a\x00b", "bytes that are no UTF-8": "a\xffb"} {
		path := richFile(t)
		s := openAt(t, path)
		exec(t, s, "DELETE FROM secret_keys") // which are no keys
		var id int64
		storetest.Change(t, s, func(tx *store.Tx) error {
			w := bugle.NewWebhook()
			w.OrganizationID, w.Name, w.URL = 1, "Test", "https://example.com"
			err := tx.AddWebhook(&w)
			id = w.ID
			return err
		})
		exec(t, s, "UPDATE webhooks SET description = CAST($1 AS TEXT) WHERE id = $2", []byte(text), id)
		closeStore(t, s)
		target := storetest.EmptyDatabase(t)
		want := fmt.Sprintf("table webhooks: column description has %s", what)
		if _, err := store.Copy(t.Context(), "sqlite:"+path, target, store.CopyOptions{}); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), fmt.Sprintf("id %d", id)) {
			t.Errorf("error %v, want %q", err, want)
		}
		if _, err := store.Copy(t.Context(), "sqlite:"+path, target, store.CopyOptions{ReplaceNUL: true}); err != nil {
			t.Fatal(err)
		}
		copied := storetest.Open(t, target, store.Options{})
		if got := query[string](t, copied, "SELECT description FROM webhooks WHERE id = $1", id); got[0] != "a\uFFFDb" {
			t.Errorf("it became %q", got)
		}
	}
}
