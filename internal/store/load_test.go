package store_test

import (
	"errors"
	"testing"

	"github.com/jonboulle/clockwork"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/internal/store"
	"github.com/buglehq/bugle/internal/storetest"
	"github.com/buglehq/bugle/personnel"
)

// An include that leads to more than a page can hold is refused, rather than cut short unseen.
func TestInclude_isBounded(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *clockwork.FakeClock) {
		unit := storetest.Create(t, s, &personnel.Unit, "name", "1st Squad")
		fill := func(from, to int) {
			exec(t, s, `
				WITH RECURSIVE n (i) AS (SELECT CAST($1 AS INTEGER) UNION ALL SELECT i + 1 FROM n WHERE i < $2)
				INSERT INTO users (organization_id, name, email, unit_id) SELECT 1, 'User', i || '@example.com', CAST($3 AS INTEGER) FROM n`, from, to, unit.ID())
		}
		include := func() error {
			return s.Include(t.Context(), 1, []*personnel.Resource{unit}, personnel.Shown("users"))
		}
		fill(1, 10000)
		if err := include(); err != nil || len(unit.Lists["users"]) != 10000 {
			t.Errorf("of 10,000 users %d are included: %v", len(unit.Lists["users"]), err)
		}
		fill(10001, 10001)
		var invalid *bugle.InvalidError
		if err := include(); !errors.As(err, &invalid) || invalid.Problems[0].Field != "include" {
			t.Errorf("10,001 users: %v, want a problem with include", err)
		}
	})
}

func TestInclude_unknownRelation(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *clockwork.FakeClock) {
		rank := storetest.Create(t, s, &personnel.Rank, "name", "Private")
		if err := s.Include(t.Context(), 1, []*personnel.Resource{rank}, personnel.Shown("nothing")); err == nil {
			t.Error("a relation that the kind does not have was included")
		}
	})
}
