package store_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/jonboulle/clockwork"

	"github.com/buglehq/bugle/internal/store"
	"github.com/buglehq/bugle/internal/storetest"
	"github.com/buglehq/bugle/personnel"
)

// A column is what SQLite says of one.
type column struct {
	Type string
	Null bool
}

// tableColumns returns a table's columns by name.
func tableColumns(t *testing.T, s *store.Store, table string) map[string]column {
	t.Helper()
	columns := map[string]column{}
	err := s.Query(context.Background(), func(scan func(to ...any) error) error {
		var name string
		var c column
		var notNull, key bool
		err := scan(&name, &c.Type, &notNull, &key)
		c.Null = !notNull && !key
		columns[name] = c
		return err
	}, `SELECT name, type, "notnull", pk <> 0 FROM pragma_table_info($1)`, table)
	if err != nil {
		t.Fatal(err)
	}
	return columns
}

// columnType is the type of the column for a type of field.
func columnType(t personnel.Type) string {
	switch t {
	case personnel.Integer, personnel.Reference, personnel.Code:
		return "INTEGER"
	case personnel.Boolean:
		return "BOOLEAN"
	}
	return "TEXT"
}

func TestSchema_hasTheFieldsOfTheCatalogue(t *testing.T) {
	s, _ := storetest.NewFile(t)
	for _, k := range personnel.Kinds() {
		t.Run(k.Name, func(t *testing.T) {
			want := map[string]column{"organization_id": {"INTEGER", false}}
			for _, f := range k.Fields {
				want[f.Name] = column{columnType(f.Type), f.Null}
			}
			if k.Custom {
				want["data"] = column{"TEXT", true}
			}
			got := tableColumns(t, s, k.Table)
			for name, c := range want {
				if got[name] != c {
					t.Errorf("column %s.%s is %+v, want %+v", k.Table, name, got[name], c)
				}
			}
			for name := range got {
				if _, known := want[name]; !known {
					t.Errorf("column %s.%s has no field", k.Table, name)
				}
			}
		})
	}
}

// foreignKeys returns "column → table on delete action" for each foreign key of a table, sorted.
func foreignKeys(t *testing.T, s *store.Store, table string) []string {
	t.Helper()
	return query[string](t, s, `SELECT "from" || ' → ' || "table" || ' ' || on_delete FROM pragma_foreign_key_list($1) ORDER BY 1`, table)
}

func TestSchema_hasAForeignKeyForEveryReference(t *testing.T) {
	s, _ := storetest.NewFile(t)
	for _, k := range personnel.Kinds() {
		want := []string{"organization_id → organizations NO ACTION"}
		for _, f := range k.Fields {
			if f.Type != personnel.Reference {
				continue
			}
			action := " SET NULL"
			if f.Cascade {
				action = " CASCADE"
			}
			want = append(want, f.Name+" → "+personnel.ByName(f.Refers).Table+action)
		}
		slices.Sort(want)
		if got := foreignKeys(t, s, k.Table); !slices.Equal(got, want) {
			t.Errorf("foreign keys of %s are\n     %q\nwant %q", k.Table, got, want)
		}
	}
}

func TestSchema_pivotsGoWithBothSides(t *testing.T) {
	s, _ := storetest.NewFile(t)
	for _, k := range personnel.Kinds() {
		for _, rel := range k.Relations {
			if rel.Pivot == nil || rel.Pivot.ReadOnly {
				continue
			}
			want := []string{
				"organization_id → organizations NO ACTION",
				rel.Pivot.Local + " → " + k.Table + " CASCADE",
				rel.Pivot.Foreign + " → " + personnel.ByName(rel.Kind).Table + " CASCADE",
			}
			for _, f := range rel.Pivot.Fields {
				if f.Type == personnel.Reference {
					want = append(want, f.Name+" → "+personnel.ByName(f.Refers).Table+" SET NULL")
				}
			}
			slices.Sort(want)
			if got := foreignKeys(t, s, rel.Pivot.Table); !slices.Equal(got, want) {
				t.Errorf("foreign keys of %s are\n     %q\nwant %q", rel.Pivot.Table, got, want)
			}
		}
	}
}

// A pivot has the columns that the catalogue says, also where it is a view. One that cannot hold a
// pair twice says so in the database too.
func TestSchema_pivotsHaveTheirColumns(t *testing.T) {
	s, _ := storetest.NewFile(t)
	for _, k := range personnel.Kinds() {
		for _, rel := range k.Relations {
			p := rel.Pivot
			if p == nil {
				continue
			}
			got := tableColumns(t, s, p.Table)
			for _, name := range append([]string{"id", "organization_id", p.Local, p.Foreign, "created_at", "updated_at"}, p.Shown...) {
				if _, found := got[name]; !found {
					t.Errorf("%s, to which %s.%s leads, has no column %s", p.Table, k.Name, rel.Name, name)
				}
			}
			for _, f := range p.Fields {
				if want := (column{columnType(f.Type), f.Null}); got[f.Name] != want {
					t.Errorf("column %s.%s is %+v, want %+v", p.Table, f.Name, got[f.Name], want)
				}
			}
			unique := query[string](t, s, `SELECT l.name FROM pragma_index_list($1) AS l, pragma_index_info(l.name) AS i
				WHERE l."unique" AND i.name IN ($2, $3) GROUP BY l.name HAVING COUNT(*) = 2`, p.Table, p.Local, p.Foreign)
			if once := !p.Repeats && !p.ReadOnly; p.Table != personnel.UnitSlot.Table && once != (len(unique) > 0) {
				t.Errorf("%s holds a pair only once: %v, want %v", p.Table, len(unique) > 0, once)
			}
		}
	}
}

// A delete looks up every foreign key that points at the row: without an index it would read the
// whole table.
func TestSchema_foreignKeysHaveAnIndex(t *testing.T) {
	s, _ := storetest.NewFile(t)
	for _, table := range query[string](t, s, "SELECT name FROM sqlite_master WHERE type = 'table'") {
		first := query[string](t, s, "SELECT i.name FROM pragma_index_list($1) AS l, pragma_index_info(l.name) AS i WHERE i.seqno = 0 AND i.name IS NOT NULL", table)
		for _, key := range query[string](t, s, `SELECT "from" FROM pragma_foreign_key_list($1)`, table) {
			isKey := len(query[string](t, s, "SELECT name FROM pragma_table_info($1) WHERE name = $2 AND pk = 1", table, key)) > 0
			if !isKey && !slices.Contains(first, key) && key != "organization_id" {
				t.Errorf("%s.%s has no index", table, key)
			}
		}
	}
}

// A default of the catalogue is what a row gets that is written without the field.
func TestSchema_defaultsAreThoseOfTheCatalogue(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *clockwork.FakeClock) {
		for _, k := range personnel.Kinds() {
			names, marks := []string{"organization_id"}, []string{"1"}
			for _, f := range k.Fields {
				if !f.Null && f.Default == nil && f.Name != "id" && f.Type != personnel.Reference {
					names, marks = append(names, `"`+f.Name+`"`), append(marks, "''")
				}
			}
			if k == &personnel.Submission {
				continue // it cannot be written without a form
			}
			exec(t, s, "INSERT INTO "+k.Table+" ("+strings.Join(names, ", ")+") VALUES ("+strings.Join(marks, ", ")+")")
			id := query[int64](t, s, "SELECT MAX(id) FROM "+k.Table)[0]
			r := get(t, s, k, id)
			for _, f := range k.Fields {
				if !f.Null && f.Default != nil && r.Get(f.Name) != f.Default {
					t.Errorf("%s.%s is %v by default, want %v", k.Table, f.Name, r.Get(f.Name), f.Default)
				}
			}
		}
	})
}

// The tables of the two databases are the same: their columns, keys and indexes.
func TestSchema_isTheSameOnPostgres(t *testing.T) {
	if !storetest.OnPostgres() {
		t.Skip("BUGLE_TEST_POSTGRES names no server")
	}
	s, _ := storetest.New(t)
	got := map[string][]string{
		"columns": query[string](t, s, `SELECT table_name || '.' || column_name || ' ' || CASE data_type WHEN 'bigint' THEN 'INTEGER' WHEN 'bytea' THEN 'BLOB' WHEN 'double precision' THEN 'REAL' ELSE UPPER(data_type) END ||
			CASE WHEN is_nullable = 'NO' THEN ' NOT NULL' ELSE '' END || CASE WHEN collation_name IS NULL OR collation_name = 'C' THEN '' ELSE ' ' || collation_name END
			FROM information_schema.columns WHERE table_schema = 'public' AND table_name NOT LIKE 'goose%' ORDER BY 1`),
		"foreign keys": query[string](t, s, `SELECT conrelid::regclass || '.' || a.attname || ' → ' || confrelid::regclass || CASE confdeltype WHEN 'c' THEN ' CASCADE' WHEN 'n' THEN ' SET NULL' ELSE ' NO ACTION' END
			FROM pg_constraint c JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = c.conkey[1] WHERE contype = 'f' ORDER BY 1`),
		"indexes": query[string](t, s, `SELECT c.relname || ' of ' || i.indrelid::regclass || CASE WHEN i.indisunique THEN ' unique' ELSE '' END || CASE WHEN i.indpred IS NULL THEN '' ELSE ' partial' END
			FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace LEFT JOIN pg_constraint k ON k.conindid = c.oid
			WHERE n.nspname = 'public' AND k.oid IS NULL ORDER BY 1`),
	}
	file, _ := storetest.NewFile(t)
	want := map[string][]string{
		"columns": query[string](t, file, `SELECT m.name || '.' || c.name || ' ' || c.type || CASE WHEN c."notnull" OR c.pk <> 0 THEN ' NOT NULL' ELSE '' END
			FROM sqlite_master m, pragma_table_info(m.name) c WHERE m.type = 'table' AND m.name NOT LIKE 'goose%' AND m.name NOT LIKE 'sqlite%'
			UNION ALL SELECT m.name || '.' || c.name || ' ' || c.type FROM sqlite_master m, pragma_table_info(m.name) c WHERE m.type = 'view' ORDER BY 1`),
		"foreign keys": query[string](t, file, `SELECT m.name || '.' || f."from" || ' → ' || f."table" || ' ' || f.on_delete FROM sqlite_master m, pragma_foreign_key_list(m.name) f WHERE m.type = 'table' ORDER BY 1`),
		"indexes": query[string](t, file, `SELECT l.name || ' of ' || m.name || CASE WHEN l."unique" THEN ' unique' ELSE '' END || CASE WHEN l.partial THEN ' partial' ELSE '' END
			FROM sqlite_master m, pragma_index_list(m.name) l WHERE m.type = 'table' AND l.origin = 'c' ORDER BY 1`),
	}
	for what := range want {
		slices.Sort(got[what])
		slices.Sort(want[what])
		for _, one := range want[what] {
			if !slices.Contains(got[what], one) {
				t.Errorf("%s: PostgreSQL lacks %s", what, one)
			}
		}
		for _, one := range got[what] {
			if !slices.Contains(want[what], one) {
				t.Errorf("%s: only PostgreSQL has %s", what, one)
			}
		}
	}
}
