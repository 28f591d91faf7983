package store_test

import (
	"slices"
	"testing"

	"github.com/jonboulle/clockwork"

	"github.com/buglehq/bugle/internal/store"
	"github.com/buglehq/bugle/internal/storetest"
	"github.com/buglehq/bugle/personnel"
)

// The newest events about some resources come, newest first, and those about others do not.
func TestEventsAbout(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *clockwork.FakeClock) {
		jane := storetest.Create(t, s, &personnel.User, "name", "Jane Roe", "email", "jane@example.com").ID()
		calendar := storetest.Create(t, s, &personnel.Calendar, "name", "Drills", "color", "#2563eb").ID()
		storetest.Create(t, s, &personnel.User, "name", "John Doe", "email", "john@example.com")
		storetest.Update(t, s, &personnel.User, jane, "name", "Jane Poe")
		for _, c := range []struct {
			organization int64
			about        map[string][]int64
			limit        int
			want         []string
		}{
			{1, map[string][]int64{"user": {jane}, "calendar": {calendar}}, 10, []string{"user.updated", "calendar.created", "user.created"}},
			{1, map[string][]int64{"user": {jane}, "calendar": {calendar}}, 2, []string{"user.updated", "calendar.created"}},
			{1, map[string][]int64{"calendar": {calendar}}, 10, []string{"calendar.created"}},
			{1, map[string][]int64{"user": nil}, 10, nil},
			{2, map[string][]int64{"user": {jane}}, 10, nil},
		} {
			events, err := s.EventsAbout(t.Context(), c.organization, c.about, c.limit)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, e := range events {
				got = append(got, e.Name)
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("about %v, at most %d, there are %q, want %q", c.about, c.limit, got, c.want)
			}
		}
	})
}
