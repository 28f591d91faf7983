package store_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/buglehq/bugle/internal/store"
	"github.com/buglehq/bugle/internal/storetest"
	"github.com/buglehq/bugle/personnel"
)

// readPage reads a page of a kind with relations, as a request does.
func readPage(t *testing.T, s *store.Store, k *personnel.Kind, limit int, paths ...string) []*personnel.Resource {
	t.Helper()
	page, err := s.List(t.Context(), 1, k, store.PageRequest{Number: 1, Limit: limit})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Include(t.Context(), 1, page.Items, personnel.ReadIncludes(k, paths)); err != nil {
		t.Fatal(err)
	}
	return page.Items
}

// A relation is loaded with a query for the whole page, or two if a table lies between, and one for
// each relation that is always shown within it; never with one for each resource.
func TestInclude_queriesDoNotCountResources(t *testing.T) {
	s, _ := storetest.New(t)
	for i := range 3 {
		for _, k := range []*personnel.Kind{&personnel.Rank, &personnel.Unit, &personnel.Award, &personnel.Group} {
			storetest.Create(t, s, k, "name", "N")
		}
		storetest.Create(t, s, &personnel.Document, "name", "Citation", "content", "To {user_name}")
		user := storetest.Create(t, s, &personnel.User, "name", "Jane", "email", fmt.Sprintf("jane%d@example.com", i), "rank_id", i+1, "unit_id", i+1).ID()
		for range 2 {
			record := storetest.Create(t, s, &personnel.RankRecord, "user_id", user, "rank_id", i+1, "type", 0, "author_id", 1).ID()
			storetest.Create(t, s, &personnel.AwardRecord, "user_id", user, "award_id", i+1, "document_id", i+1)
			storetest.Create(t, s, &personnel.Comment, "comment", "?", "author_id", user, "model_type", `App\Models\RankRecord`, "model_id", record)
			storetest.Create(t, s, &personnel.Comment, "comment", "?", "model_type", `App\Models\AwardRecord`, "model_id", record)
		}
	}
	for i := range 3 {
		storetest.Change(t, s, func(tx *store.Tx) error {
			w := &personnel.Within{Kind: &personnel.Group, ID: int64(i + 1), Relation: personnel.Group.Relation("units")}
			_, err := tx.Link(storetest.Actor(), w, links(1, 2, 3), false)
			return err
		})
	}
	var queries []string
	s.Watch(t, func(query string) { queries = append(queries, query) })
	count := func(k *personnel.Kind, limit int, paths ...string) int {
		t.Helper()
		queries = nil
		if got := len(readPage(t, s, k, limit, paths...)); got != limit {
			t.Fatalf("%d %s on the page, want %d", got, k.Table, limit)
		}
		return len(queries)
	}
	const users = 4 // the ranks and units that they always show, and the latest of two kinds of record; nobody has anything else
	for _, test := range []struct {
		kind *personnel.Kind
		path string
		want int // more than without it
	}{
		{&personnel.Rank, "image", 1},
		{&personnel.Unit, "users", 1 + users},
		{&personnel.Unit, "groups", 2},
		{&personnel.Group, "units", 2},
		{&personnel.Group, "units.image", 2 + 1},
		{&personnel.Group, "units.users", 2 + 1 + users},
		{&personnel.User, "rank", 1},
		{&personnel.User, "rank.image", 1 + 1},
		{&personnel.User, "rank_records", 1},
		{&personnel.User, "awards", 2},
		{&personnel.User, "credentials", 1}, // there are none
		{&personnel.RankRecord, "user", 1 + users},
		{&personnel.RankRecord, "comments", 1},
		{&personnel.RankRecord, "comments.author", 1 + 1 + users},
		{&personnel.Comment, "author", 1 + users},
	} {
		t.Run(test.kind.Name+" "+test.path, func(t *testing.T) {
			for _, limit := range []int{1, 3} {
				if test.kind == &personnel.Comment {
					limit++ // the first one has an author, and the second none
				}
				plain := count(test.kind, limit)
				if got := count(test.kind, limit, test.path) - plain; got != test.want {
					t.Errorf("%d queries more for %d resources, want %d:\n%s", got, limit, test.want, strings.Join(queries[plain:], "\n"))
				}
			}
		})
	}
	// What comments belong to takes a query for each kind that they name.
	plain := count(&personnel.Comment, 2)
	if few, many := count(&personnel.Comment, 2, "commentable")-plain, count(&personnel.Comment, 12, "commentable")-plain; few != many {
		t.Errorf("the commentables of 2 comments take %d queries and those of 12 %d", few, many)
	}
	for _, include := range []string{"user,author,comments,rank", "attachments"} {
		paths := strings.Split(include, ",")
		if one, all := count(&personnel.RankRecord, 1, paths...), count(&personnel.RankRecord, 6, paths...); one != all {
			t.Errorf("%s of 1 record takes %d queries, of 6 %d", include, one, all)
		}
	}
	queries = nil
	storetest.Create(t, s, &personnel.Rank, "name", "N") // the writer is not watched
	if len(queries) != 0 {
		t.Errorf("a change is counted as %q", queries)
	}
}
