package api

import (
	"errors"
	"net/http"
	"slices"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/personnel"
	"github.com/buglehq/bugle/value"
)

// own adds the routes that have a shape of their own: me, cache, settings and roster.
func (s *server) own() {
	s.handle("me", methods{"GET": {"", (*request).me, doc{id: "me", summary: "Get the user whose key it is", tag: "Me", status: http.StatusOK,
		answer: "UserPage", query: append(slices.Clip(paging), "UserInclude")}}})
	s.handle("cache", methods{"POST": {"clear:cache", func(q *request) error {
		return q.write(http.StatusOK, value.Map("status", "okay")) // nothing is cached
	}, doc{id: "clearCache", summary: "Clear the cache", tag: "Cache", status: http.StatusOK, answer: "CacheCleared"}}})
	s.handle("settings", methods{"GET": {"view:settings", (*request).settings, doc{id: "listSettings", summary: "List settings", tag: "Settings",
		status: http.StatusOK, answer: "SettingPage", query: paging}}})
	s.handle("roster", methods{"GET": {"view:group", (*request).roster, doc{id: "listRoster", summary: "List the groups of the roster", tag: "Roster",
		status: http.StatusOK, answer: "GroupPage", query: append(slices.Clip(paging), "RosterType")}}})
	s.handle("roster/{id}", methods{"GET": {"view:group", (*request).rosterGroup, doc{id: "getRosterGroup", summary: "Get a group of the roster", tag: "Roster",
		status: http.StatusOK, answer: "GroupData", query: []string{"RosterType"}, fails: []int{http.StatusUnprocessableEntity}}}})
}

// me answers with a page of the user whose key it is, or none if the key is nobody's.
func (q *request) me() error {
	var list []*personnel.Resource
	if q.actor.UserID != 0 {
		user, err := q.server.store.Get(q.Context(), q.actor.OrganizationID, &personnel.User, q.actor.UserID)
		if err != nil && !errors.Is(err, bugle.ErrNotFound) {
			return err
		}
		if err == nil {
			list = append(list, user)
		}
	}
	items, err := q.answer(&personnel.User, list)
	if err != nil {
		return err
	}
	return q.list(items, 1, defaultLimit, items.Len())
}

// settings answers with what is set for the organization, as PERSCOM calls it.
func (q *request) settings() error {
	o, err := q.server.store.Organization(q.Context(), q.actor.OrganizationID)
	if err != nil {
		return err
	}
	at := bugle.FormatTime(o.CreatedAt)
	all := value.NewArray(2)
	for i, setting := range [][3]string{
		{"organization", "name", o.Name},
		{"user", "display_name_format", o.DisplayNameFormat},
	} {
		all.Append(value.Map("id", int64(i+1), "group", setting[0], "name", setting[1], "payload", setting[2], "locked", false,
			"created_at", at, "updated_at", at))
	}
	p := q.page()
	items := value.NewArray(all.Len())
	n := 0
	for _, item := range all.All() {
		if n >= (p.Number-1)*p.Limit && n < p.Number*p.Limit {
			items.Append(item)
		}
		n++
	}
	return q.list(items, p.Number, p.Limit, all.Len())
}

// rosterIncludes are what a group of the roster shows: its units with their people, or with their
// slots and the people in them.
func (q *request) rosterIncludes() ([]personnel.Include, error) {
	people := personnel.Include{Name: "users", Below: []personnel.Include{{Name: "rank", Below: personnel.Shown("image")}}}
	units := personnel.Include{Name: "units", Below: append(personnel.Shown("image"), people)}
	switch kind := q.URL.Query().Get("type"); kind {
	case "", "automatic":
	case "manual":
		units.Below = append(personnel.Shown("image"), personnel.Include{Name: "slots", Below: []personnel.Include{people}})
	default:
		return nil, bugle.Invalid("type", "The type must be automatic or manual, not %q.", kind)
	}
	return append(personnel.Shown("image"), units), nil
}

func (q *request) roster() error {
	included, err := q.rosterIncludes()
	if err != nil {
		return err
	}
	page, err := q.server.store.List(q.Context(), q.actor.OrganizationID, &personnel.Group, q.page())
	if err != nil {
		return err
	}
	items, err := q.rosterGroups(page.Items, included)
	if err != nil {
		return err
	}
	return q.list(items, page.Number, page.Limit, page.Total)
}

func (q *request) rosterGroup() error {
	included, err := q.rosterIncludes()
	if err != nil {
		return err
	}
	id, err := q.id()
	if err != nil {
		return err
	}
	group, err := q.server.store.Get(q.Context(), q.actor.OrganizationID, &personnel.Group, id)
	if err != nil {
		return err
	}
	items, err := q.rosterGroups([]*personnel.Resource{group}, included)
	if err != nil {
		return err
	}
	data, _ := items.Get("0")
	return q.data(http.StatusOK, data)
}

func (q *request) rosterGroups(groups []*personnel.Resource, included []personnel.Include) (*value.Array, error) {
	if err := q.server.store.Include(q.Context(), q.actor.OrganizationID, groups, included); err != nil {
		return nil, err
	}
	for _, group := range groups {
		for _, unit := range group.Lists["units"] {
			ownPeople(unit)
		}
	}
	view, err := q.view()
	if err != nil {
		return nil, err
	}
	items := value.NewArray(len(groups))
	for _, group := range groups {
		items.Append(group.Data(view))
	}
	q.cacheHeaders(&personnel.Group, groups)
	return items, nil
}

// ownPeople leaves in a unit's slots those people whose slot is of this unit: a slot can be in several.
func ownPeople(unit *personnel.Resource) {
	for i, slot := range unit.Lists["slots"] {
		copied := *slot
		copied.Lists = map[string][]*personnel.Resource{"users": nil}
		for _, user := range slot.Lists["users"] {
			if of, _ := user.Row.Get("unit_id"); of == unit.ID() {
				copied.Lists["users"] = append(copied.Lists["users"], user)
			}
		}
		unit.Lists["slots"][i] = &copied
	}
}
