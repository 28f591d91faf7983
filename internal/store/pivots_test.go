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
		fields := fieldsOf(&personnel.Form, form)
		want := func(name string, call func(ids []int64) ([]int64, error), ids []int64, want []int64) {
			t.Helper()
			got, err := call(ids)
			if err != nil || !slices.Equal(got, want) {
				t.Errorf("%s of %d returns %d, %v, want %d", name, ids, got, err, want)
			}
		}
		storetest.Change(t, s, func(tx *store.Tx) error {
			link := func(ids []int64) ([]int64, error) { return tx.Link(storetest.Actor(), fields, links(ids...), false) }
			unlink := func(ids []int64) ([]int64, error) { return tx.Unlink(storetest.Actor(), fields, ids) }
			want("Link", link, []int64{3, 1}, []int64{3, 1})
			want("Link", link, []int64{1, 2, 2}, []int64{2})
			want("Unlink", unlink, []int64{3, 4, 99}, []int64{3})
			want("Link", link, []int64{4}, []int64{4})
			return nil
		})
		got := query[string](t, s, `SELECT field_id || ' at ' || "order" FROM form_fields ORDER BY "order"`)
		if want := []string{"1 at 2", "2 at 3", "4 at 4"}; !slices.Equal(got, want) {
			t.Errorf("the form's fields are %q, want %q", got, want)
		}
		err := s.Update(t.Context(), func(tx *store.Tx) error {
			_, err := tx.Link(storetest.Actor(), fields, links(3, 99), false)
			return err
		})
		wantProblems(t, err, "resources.1")
		err = s.Update(t.Context(), func(tx *store.Tx) error {
			_, err := tx.Link(storetest.Actor(), fieldsOf(&personnel.Form, 99), links(3), false)
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
