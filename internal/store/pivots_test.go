package store_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/jonboulle/clockwork"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/internal/store"
	"github.com/buglehq/bugle/internal/storetest"
	"github.com/buglehq/bugle/personnel"
)

func TestLink(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *clockwork.FakeClock) {
		form := storetest.Create(t, s, &personnel.Form, "name", "Leave", "slug", "leave", "is_public", false).ID()
		for i := range 4 {
			storetest.Create(t, s, &personnel.CustomField, "name", "?", "key", fmt.Sprint("key", i), "type", "text")
		}
		fields := personnel.Form.Relation("fields")
		type call func(store.Actor, *personnel.Kind, int64, *personnel.Relation, []int64) ([]int64, error)
		want := func(name string, call call, ids []int64, want []int64) {
			t.Helper()
			got, err := call(storetest.Actor(), &personnel.Form, form, fields, ids)
			if err != nil || !slices.Equal(got, want) {
				t.Errorf("%s of %d returns %d, %v, want %d", name, ids, got, err, want)
			}
		}
		storetest.Change(t, s, func(tx *store.Tx) error {
			want("Link", tx.Link, []int64{3, 1}, []int64{3, 1})
			want("Link", tx.Link, []int64{1, 2, 2}, []int64{2})
			want("Unlink", tx.Unlink, []int64{3, 4, 99}, []int64{3})
			want("Link", tx.Link, []int64{4}, []int64{4})
			return nil
		})
		got := query[string](t, s, `SELECT field_id || ' at ' || "order" FROM form_fields ORDER BY "order"`)
		if want := []string{"1 at 2", "2 at 3", "4 at 4"}; !slices.Equal(got, want) {
			t.Errorf("the form's fields are %q, want %q", got, want)
		}
		err := s.Update(t.Context(), func(tx *store.Tx) error {
			_, err := tx.Link(storetest.Actor(), &personnel.Form, form, fields, []int64{3, 99})
			return err
		})
		wantProblems(t, err, "resources.1")
		err = s.Update(t.Context(), func(tx *store.Tx) error {
			_, err := tx.Link(storetest.Actor(), &personnel.Form, 99, fields, []int64{3})
			return err
		})
		if !errors.Is(err, bugle.ErrNotFound) {
			t.Errorf("linking to a form that is not there: %v, want ErrNotFound", err)
		}
		if n := count(t, s, "form_fields"); n != 3 {
			t.Errorf("failed links left %d rows, want 3", n)
		}
	})
}
