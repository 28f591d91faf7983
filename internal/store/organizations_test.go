package store_test

import (
	"errors"
	"testing"

	"github.com/jonboulle/clockwork"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/internal/store"
	"github.com/buglehq/bugle/internal/storetest"
	"github.com/buglehq/bugle/personnel"
	"github.com/buglehq/bugle/value"
)

// addOrganization makes another organization and returns who acts in it.
func addOrganization(t testing.TB, s *store.Store) store.Actor {
	t.Helper()
	a := storetest.Actor()
	storetest.Change(t, s, func(tx *store.Tx) error {
		o, err := tx.AddOrganization("2nd Test Battalion")
		a.OrganizationID = o.ID
		return err
	})
	return a
}

func TestOrganizations_doNotSeeEachOthersResources(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *clockwork.FakeClock) {
		other := addOrganization(t, s)
		for _, k := range personnel.Kinds() {
			t.Run(k.Name, func(t *testing.T) {
				id := anyOf(t, s, k)
				before := jsonText(t, render(t, s, get(t, s, k, id)))
				attempts := map[string]func(tx *store.Tx) error{
					"get":    func(tx *store.Tx) error { _, err := tx.Get(other.OrganizationID, k, id); return err },
					"update": func(tx *store.Tx) error { _, err := tx.Update(other, k, id, value.Map("name", "Mallory")); return err },
					"delete": func(tx *store.Tx) error { _, err := tx.Delete(other, k, id); return err },
					"save":   func(tx *store.Tx) error { return tx.Save(other, k, id, map[string]any{"updated_at": nil}) },
				}
				for what, attempt := range attempts {
					if err := s.Update(t.Context(), attempt); !errors.Is(err, bugle.ErrNotFound) {
						t.Errorf("%s from another organization: %v, want ErrNotFound", what, err)
					}
				}
				if _, err := s.Get(t.Context(), other.OrganizationID, k, id); !errors.Is(err, bugle.ErrNotFound) {
					t.Errorf("reading from another organization: %v, want ErrNotFound", err)
				}
				page, err := s.List(t.Context(), other.OrganizationID, k, store.PageRequest{Number: 1, Limit: 10})
				if err != nil || page.Total != 0 || len(page.Items) != 0 {
					t.Errorf("another organization lists %+v, %v", page, err)
				}
				wantText(t, jsonText(t, render(t, s, get(t, s, k, id))), before)
			})
		}
	})
}

func TestOrganizations_doNotReferToEachOther(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *clockwork.FakeClock) {
		other := addOrganization(t, s)
		for _, k := range made() {
			fields := validFields(t, s, k)
			var references []string
			for i := range k.Fields {
				if f := &k.Fields[i]; (f.Type == personnel.Reference || f.Name == "model_id") && writable(f) {
					references = append(references, f.Name)
				}
			}
			if len(references) == 0 {
				continue
			}
			t.Run(k.Name, func(t *testing.T) {
				_, err := create(s, other, k, fields)
				wantProblems(t, err, references...)
			})
		}
	})
}

func TestOrganizations_linkOnlyTheirOwn(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *clockwork.FakeClock) {
		addReferences(t, s)
		other := addOrganization(t, s)
		form := createIn(t, s, other, &personnel.Form, "name", "Theirs", "slug", "leave-request", "is_public", false).ID()
		attempt := func(a store.Actor, form, field int64) error {
			return s.Update(t.Context(), func(tx *store.Tx) error {
				_, err := tx.Link(a, fieldsOf(&personnel.Form, form), links(field), false)
				return err
			})
		}
		wantProblems(t, attempt(other, form, 1), "resources.0")
		if err := attempt(other, 3, 1); !errors.Is(err, bugle.ErrNotFound) {
			t.Errorf("linking to another organization's form: %v, want ErrNotFound", err)
		}
		err := s.Update(t.Context(), func(tx *store.Tx) error {
			_, err := tx.Unlink(other, fieldsOf(&personnel.Form, 3), []int64{1})
			return err
		})
		if !errors.Is(err, bugle.ErrNotFound) {
			t.Errorf("unlinking from another organization's form: %v, want ErrNotFound", err)
		}
		if n := count(t, s, "form_fields"); n != 2 {
			t.Errorf("the form has %d fields left, want 2", n)
		}
	})
}

func TestOrganizations_haveTheirOwnUniqueValuesAndOrder(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *clockwork.FakeClock) {
		other := addOrganization(t, s)
		user(t, s, "Jane Roe")
		createIn(t, s, other, &personnel.User, "name", "Jane Roe", "email", "jane.roe@example.com")
		storetest.Create(t, s, &personnel.Rank, "name", "Sergeant", "order", 40)
		if r := createIn(t, s, other, &personnel.Rank, "name", "Sergeant"); r.Get("order") != int64(1) {
			t.Errorf("the first rank of an organization has order %v, want 1", r.Get("order"))
		}
	})
}

func TestOrganizations_haveTheirOwnWebhooks(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *clockwork.FakeClock) {
		other := addOrganization(t, s)
		ours := storetest.AddWebhook(t, s, "https://example.com/ours", nil)
		theirs := storetest.AddWebhook(t, s, "https://example.com/theirs", func(w *bugle.Webhook) { w.OrganizationID = other.OrganizationID })
		user(t, s, "Jane Roe")
		delivery := query[int64](t, s, "SELECT id FROM deliveries WHERE webhook_id = $1", ours.ID)[0]
		if n := len(query[int64](t, s, "SELECT id FROM deliveries WHERE webhook_id = $1", theirs.ID)); n != 0 {
			t.Errorf("the other organization's webhook got %d deliveries", n)
		}
		attempts := map[string]func(tx *store.Tx) error{
			"webhook":   func(tx *store.Tx) error { _, err := tx.Webhook(other.OrganizationID, ours.ID); return err },
			"delete":    func(tx *store.Tx) error { return tx.DeleteWebhook(other.OrganizationID, ours.ID) },
			"test":      func(tx *store.Tx) error { _, err := tx.SendTest(other, ours.ID, nil); return err },
			"delivery":  func(tx *store.Tx) error { _, err := tx.Delivery(other.OrganizationID, delivery); return err },
			"redeliver": func(tx *store.Tx) error { _, err := tx.Redeliver(other.OrganizationID, delivery); return err },
			"cancel":    func(tx *store.Tx) error { _, err := tx.Cancel(other.OrganizationID, delivery); return err },
		}
		for what, attempt := range attempts {
			if err := s.Update(t.Context(), attempt); !errors.Is(err, bugle.ErrNotFound) {
				t.Errorf("%s from another organization: %v, want ErrNotFound", what, err)
			}
		}
		page, err := s.Webhooks(t.Context(), other.OrganizationID, store.WebhookFilter{}, store.PageRequest{Number: 1, Limit: 10})
		if err != nil || page.Total != 1 || len(page.Items) != 1 || page.Items[0].ID != theirs.ID {
			t.Errorf("another organization lists the webhooks %+v, %v", page, err)
		}
		deliveries, err := s.Deliveries(t.Context(), other.OrganizationID, store.DeliveryFilter{}, store.PageRequest{Number: 1, Limit: 10})
		if err != nil || deliveries.Total != 0 {
			t.Errorf("another organization lists the deliveries %+v, %v", deliveries, err)
		}
	})
}

func TestOrganizations_areListedOldestFirst(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *clockwork.FakeClock) {
		addOrganization(t, s)
		list, err := s.Organizations(t.Context(), 10)
		if err != nil || len(list) != 2 || list[0].ID != 1 || list[0].Name != "1st Test Battalion" || !list[0].CreatedAt.Equal(storetest.Start) || list[1].ID != 2 {
			t.Errorf("organizations are %+v, %v", list, err)
		}
	})
}
