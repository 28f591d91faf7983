package store_test

import (
	"os"
	"slices"
	"testing"

	"github.com/jonboulle/clockwork"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/internal/store"
	"github.com/buglehq/bugle/internal/storetest"
)

// logIndexes are the indexes of the log, as statements that make them.
func logIndexes(t *testing.T, s *store.Store) []string {
	const of = " IN ('events', 'deliveries', 'attempts') ORDER BY 1"
	if os.Getenv("BUGLE_TEST_POSTGRES") != "" {
		return query[string](t, s, "SELECT indexdef FROM pg_indexes WHERE schemaname = CURRENT_SCHEMA() AND tablename"+of)
	}
	return query[string](t, s, "SELECT sql FROM sqlite_master WHERE type = 'index' AND sql <> '' AND tbl_name"+of)
}

// A log that was filled is as one that came about: nothing is missing, nothing is due, and what comes after goes on behind it.
func TestFillFinished(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *clockwork.FakeClock) {
		storetest.AddWebhook(t, s, "https://example.com", nil)
		owe(t, s, 1)
		before, err := s.Stored(t.Context())
		if err != nil || before <= 0 {
			t.Fatalf("%d bytes stored, %v", before, err)
		}
		const n = 1000
		written := 0
		indexes := logIndexes(t, s)
		if err := s.FillFinished(t.Context(), 1, n, func(n int) { written = n }); err != nil {
			t.Fatal(err)
		}
		if after, err := s.Stored(t.Context()); err != nil || written != n || after < before+n*300 { // an envelope alone has more
			t.Errorf("%d of %d written, %d bytes stored and %d before, %v", written, n, after, before, err)
		}
		if now := logIndexes(t, s); !slices.Equal(now, indexes) || len(now) < 10 {
			t.Errorf("the indexes are\n%q, were\n%q", now, indexes)
		}
		owe(t, s, 1)
		if owed, err := s.Owed(t.Context()); err != nil || owed.Due != 2 {
			t.Errorf("owed are %+v, %v", owed, err)
		}
		wantFaults(t, prove(t, s))
		page, err := s.Deliveries(t.Context(), 1, store.DeliveryFilter{State: bugle.Delivered}, store.PageRequest{Number: 1, Limit: 1, CountTo: 10 * n})
		if err != nil || page.Total != n {
			t.Errorf("%d deliveries arrived, %v", page.Total, err)
		}
	})
}
