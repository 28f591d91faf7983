package store_test

import (
	"fmt"
	"testing"

	"github.com/jonboulle/clockwork"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/internal/store"
	"github.com/buglehq/bugle/internal/storetest"
	"github.com/buglehq/bugle/personnel"
)

// addAutomation adds an automation of new ranks.
func addAutomation(t *testing.T, s *store.Store, name string, priority int) *bugle.Automation {
	t.Helper()
	a := bugle.NewAutomation()
	a.OrganizationID, a.Name, a.Trigger, a.Priority = 1, name, "user.created", priority
	storetest.Change(t, s, func(tx *store.Tx) error { return tx.AddAutomation(&a) })
	return &a
}

func TestAutomations_sorted(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *clockwork.FakeClock) {
		addAutomation(t, s, "beta", 1)
		addAutomation(t, s, "Alpha", 3)
		addAutomation(t, s, "gamma", 1)
		for _, test := range []struct {
			sort       string
			descending bool
			want       string
		}{
			{"", false, "[beta Alpha gamma]"},
			{"", true, "[gamma Alpha beta]"},
			{"name", false, "[Alpha beta gamma]"},
			{"name", true, "[gamma beta Alpha]"},
			{"priority", false, "[beta gamma Alpha]"},
			{"priority", true, "[Alpha gamma beta]"},
			{"nothing we know; DROP TABLE", false, "[beta Alpha gamma]"},
		} {
			page, err := s.Automations(t.Context(), 1, store.AutomationFilter{Sort: test.sort, Descending: test.descending}, store.PageRequest{Number: 1, Limit: 10})
			if err != nil {
				t.Fatal(err)
			}
			var names []string
			for _, a := range page.Items {
				names = append(names, a.Name)
			}
			if got := fmt.Sprint(names); got != test.want {
				t.Errorf("sorted by %q, descending %t: %s, want %s", test.sort, test.descending, got, test.want)
			}
		}
		for _, sort := range store.AutomationSorts {
			if _, err := s.Automations(t.Context(), 1, store.AutomationFilter{Sort: sort}, store.PageRequest{Number: 1, Limit: 10}); err != nil {
				t.Errorf("sorted by %s: %v", sort, err)
			}
		}
	})
}

func TestRuns_countedToABound(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *clockwork.FakeClock) {
		a := addAutomation(t, s, "A", 0)
		for i := range 5 {
			storetest.Create(t, s, &personnel.User, "name", "U", "email", fmt.Sprint(i, "@example.com"))
		}
		idle := bugle.NewAutomation()
		idle.OrganizationID, idle.Name, idle.Trigger = 1, "Idle", "user.deleted"
		storetest.Change(t, s, func(tx *store.Tx) error { return tx.AddAutomation(&idle) })
		for most, want := range map[int]int{3: 3, 5: 5, 100: 5} {
			counts, err := s.CountRunsTo(t.Context(), []int64{a.ID, idle.ID}, most)
			if err != nil {
				t.Fatal(err)
			}
			if counts[a.ID] != want || counts[idle.ID] != 0 {
				t.Errorf("counted to %d: %v, want %d and 0", most, counts, want)
			}
		}
	})
}

func TestRunsByID(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *clockwork.FakeClock) {
		addAutomation(t, s, "A", 0)
		for i := range 3 {
			storetest.Create(t, s, &personnel.User, "name", "U", "email", fmt.Sprint(i, "@example.com"))
		}
		page, err := s.Runs(t.Context(), 1, store.RunFilter{}, store.PageRequest{Number: 1, Limit: 10})
		if err != nil || len(page.Items) != 3 {
			t.Fatalf("%d runs, %v", len(page.Items), err)
		}
		newest, oldest := page.Items[0].ID, page.Items[2].ID
		runs, err := s.RunsByID(t.Context(), 1, []int64{newest, oldest, 9999})
		if err != nil {
			t.Fatal(err)
		}
		if len(runs) != 2 || runs[0].ID != oldest || runs[1].ID != newest || runs[0].Automation != "A" {
			t.Errorf("got %v", runs)
		}
		if runs, err := s.RunsByID(t.Context(), 2, []int64{newest}); err != nil || len(runs) != 0 {
			t.Errorf("another organization's: %v, %v", runs, err)
		}
	})
}
