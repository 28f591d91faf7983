package store_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/jonboulle/clockwork"

	"github.com/buglehq/bugle/internal/store"
	"github.com/buglehq/bugle/internal/storetest"
	"github.com/buglehq/bugle/personnel"
	"github.com/buglehq/bugle/value"
)

func begin(t *testing.T, s *store.Store, source string) *store.Import {
	t.Helper()
	i, err := s.BeginImport(t.Context(), 1, source)
	if err != nil {
		t.Fatal(err)
	}
	return i
}

// row is a row of the source, from pairs of a field and its stored value.
func row(k *personnel.Kind, id int64, fields ...any) *store.ImportRow {
	r := &store.ImportRow{Resource: personnel.New(k)}
	r.Set("id", id)
	for n := 0; n < len(fields); n += 2 {
		r.Set(fields[n].(string), fields[n+1])
	}
	return r
}

func importRows(t *testing.T, s *store.Store, i *store.Import, rows ...*store.ImportRow) {
	t.Helper()
	storetest.Change(t, s, func(tx *store.Tx) error { return tx.ImportRows(i, rows) })
}

// wantResult checks what became of a row: under which id, or that it was not copied, and why.
func wantResult(t *testing.T, r *store.ImportRow, want store.ImportResult, problems ...string) {
	t.Helper()
	var got []string
	for _, p := range r.Problems {
		got = append(got, p.Field+": "+p.Reason)
	}
	if r.Result != want || !slices.Equal(got, problems) {
		t.Errorf("%s %d: result %d with the problems %q, want %d with %q", r.Kind.Name, r.SourceID, r.Result, got, want, problems)
	}
}

// Nothing happens but the row: no side effects, no times of our own, no event.
func TestImport_rowsAsTheyAre(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *clockwork.FakeClock) {
		storetest.AddWebhook(t, s, "https://hooks.example.com", nil)
		i := begin(t, s, "there")
		jane := row(&personnel.User, 7, "name", "Jane Roe", "email", "jane@example.com", "created_at", "2020-01-01 00:00:00")
		record := row(&personnel.RankRecord, 4, "user_id", int64(7), "rank_id", int64(3), "created_at", nil)
		importRows(t, s, i, row(&personnel.Rank, 3, "name", "Sergeant", "order", int64(12)), jane, record)
		wantResult(t, record, store.Copied)
		if user := get(t, s, &personnel.User, 7); user.Get("rank_id") != nil || user.Get("created_at") != "2020-01-01 00:00:00" || user.Get("updated_at") != nil {
			t.Errorf("the user is %v", user.Values)
		}
		if order := get(t, s, &personnel.Rank, 3).Get("order"); order != int64(12) {
			t.Errorf("the order is %v", order)
		}
		for _, table := range []string{"newsfeed", "events", "deliveries"} {
			if n := count(t, s, table); n != 0 {
				t.Errorf("there are %d rows in %s", n, table)
			}
		}
		// Rows that come afterwards get other ids.
		if id := storetest.Create(t, s, &personnel.Rank, "name", "Corporal").ID(); id != 4 {
			t.Errorf("the next rank has the id %d, want 4", id)
		}
	})
}

func TestImport_whatIsMissing(t *testing.T) {
	s, _ := storetest.New(t)
	i := begin(t, s, "there")
	submission := row(&personnel.Submission, 1, "form_id", int64(9))
	document := row(&personnel.Document, 2, "name", "Citation", "content", "x", "author_id", int64(8))
	comment := row(&personnel.Comment, 3, "comment", "Well done.", "model_type", `App\Models\Spaceship`, "model_id", int64(1))
	other := row(&personnel.Comment, 4, "comment", "Well done.", "model_type", `App\Models\RankRecord`, "model_id", int64(5))
	message := row(&personnel.Message, 5, "message", "Hello", "channels", `["mail"]`, "recipients", "[1,2]")
	importRows(t, s, i, submission, document, comment, other, message)
	wantResult(t, submission, store.NotCopied, "form_id: there is no form 9")
	wantResult(t, document, store.Copied, "author_id: there is no user 8")
	wantResult(t, comment, store.Copied, `model_type: App\Models\Spaceship is unknown`)
	wantResult(t, other, store.Copied, "model_id: there is no rank record 5")
	wantResult(t, message, store.Copied, "recipients: there is no user 1", "recipients: there is no user 2")
	if r := get(t, s, &personnel.Comment, 4); r.Get("model_type") != nil || r.Get("model_id") != nil {
		t.Errorf("the comment is of %v %v", r.Get("model_type"), r.Get("model_id"))
	}
}

// A row that was copied and deleted since does not come back, and is not referred to.
func TestImport_onlyOnce(t *testing.T) {
	s, _ := storetest.New(t)
	i := begin(t, s, "there")
	importRows(t, s, i, row(&personnel.Rank, 3, "name", "Sergeant"), row(&personnel.Rank, 4, "name", "Corporal"))
	storetest.Delete(t, s, &personnel.Rank, 3)
	storetest.Update(t, s, &personnel.Rank, 4, "name", "Lance Corporal")
	i = begin(t, s, "there")
	if !i.Empty {
		t.Error("the import forgot that the organization was empty")
	}
	again, changed := row(&personnel.Rank, 3, "name", "Sergeant"), row(&personnel.Rank, 4, "name", "Corporal")
	jane := row(&personnel.User, 1, "name", "Jane Roe", "email", "jane@example.com", "rank_id", int64(3))
	importRows(t, s, i, again, changed, jane)
	wantResult(t, again, store.Skipped)
	wantResult(t, changed, store.Skipped)
	wantResult(t, jane, store.Copied, "rank_id: there is no rank 3")
	if name := get(t, s, &personnel.Rank, 4).Get("name"); name != "Lance Corporal" || count(t, s, "ranks") != 1 {
		t.Errorf("the rank is called %v, and there are %d", name, count(t, s, "ranks"))
	}
	ids, err := s.Imported(t.Context(), i, "rank")
	if err != nil || len(ids) != 2 || !ids[3] || !ids[4] {
		t.Errorf("imported are %v, %v", ids, err)
	}
	if other := begin(t, s, "elsewhere"); other.Empty {
		t.Error("the organization counts as empty for another source")
	}
}

// Custom fields may hold the ids of rows that come later, of the row itself, and lists of them.
func TestImport_customFieldsThatRefer(t *testing.T) {
	s, _ := storetest.New(t)
	user(t, s, "Alex Carter")
	user(t, s, "Kim Doe")
	i := begin(t, s, "there")
	jane := row(&personnel.User, 1, "name", "Jane Roe", "email", "jane@example.com")
	jane.Custom = value.Map("buddy", int64(2), "team", value.List("1", "2", "none"), "self", "1", "other", int64(2))
	jane.CustomRefers = map[string]*personnel.Kind{"buddy": &personnel.User, "team": &personnel.User, "self": &personnel.User}
	importRows(t, s, i, jane, row(&personnel.User, 2, "name", "Sam Poe", "email", "sam@example.com"))
	sam := query[int64](t, s, "SELECT id FROM users WHERE name = 'Sam Poe'")[0]
	stored, _ := get(t, s, &personnel.User, query[int64](t, s, "SELECT id FROM users WHERE name = 'Jane Roe'")[0]).Custom.Get("buddy")
	if sam == 2 || stored != sam {
		t.Errorf("Sam has the id %d, and the custom field %v", sam, stored)
	}
	own := query[int64](t, s, "SELECT id FROM users WHERE name = 'Jane Roe'")[0]
	r := get(t, s, &personnel.User, own)
	wantText(t, jsonText(t, r.Custom), jsonText(t, value.Map("buddy", sam, "team", value.List(jsonText(t, own), jsonText(t, sam), "none"),
		"self", jsonText(t, own), "other", int64(2))))
}

// A change that fails undoes the whole batch, with what is noted of it.
func TestImport_failsAsAWhole(t *testing.T) {
	s, _ := storetest.New(t)
	i := begin(t, s, "there")
	fail := errors.New("fail")
	err := s.Update(t.Context(), func(tx *store.Tx) error {
		if err := tx.ImportRows(i, []*store.ImportRow{row(&personnel.Rank, 3, "name", "Sergeant")}); err != nil {
			return err
		}
		return fail
	})
	if !errors.Is(err, fail) || count(t, s, "ranks") != 0 || count(t, s, "import_ids") != 0 {
		t.Errorf("%v; there are %d ranks, and %d are noted", err, count(t, s, "ranks"), count(t, s, "import_ids"))
	}
}

// The links of a resource are copied once; those that failed come with a later import.
func TestImport_links(t *testing.T) {
	s, _ := storetest.New(t)
	i := begin(t, s, "there")
	units := personnel.Group.Relation("units")
	links := []store.ImportLink{{Foreign: 1, Columns: map[string]any{"order": int64(5)}}, {Foreign: 2}}
	importLinks := func(want int, problems int) {
		t.Helper()
		storetest.Change(t, s, func(tx *store.Tx) error {
			n, found, err := tx.ImportLinks(i, &personnel.Group, units, 1, links)
			if err == nil && (n != want || len(found) != problems) {
				t.Errorf("%d links were copied with the problems %v, want %d with %d", n, found, want, problems)
			}
			return err
		})
	}
	importRows(t, s, i, row(&personnel.Group, 1, "name", "Battalion"), row(&personnel.Unit, 1, "name", "1st"))
	importLinks(1, 1)
	importRows(t, s, i, row(&personnel.Unit, 2, "name", "2nd"))
	importLinks(2, 0) // the first is there already, which does no harm
	importLinks(0, 0)
	if got := query[int64](t, s, `SELECT unit_id FROM unit_groups ORDER BY id`); !slices.Equal(got, []int64{1, 2}) {
		t.Errorf("the group has the units %v", got)
	}
	if got := query[int64](t, s, `SELECT "order" FROM unit_groups WHERE unit_id = 1`); !slices.Equal(got, []int64{5}) {
		t.Errorf("the order is %v", got)
	}
}
