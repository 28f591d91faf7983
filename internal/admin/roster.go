package admin

import (
	"cmp"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/internal/store"
	"github.com/buglehq/bugle/personnel"
	"github.com/buglehq/bugle/value"
)

// roster adds the page of everybody by group and unit.
func (s *server) roster() { s.page("GET /roster", "view_any_user", s.showRoster) }

type rosterPage struct {
	frame
	Groups []rosterGroup
	Cut    bool // there are more units than are shown
}

type rosterGroup struct {
	Name  string // empty: units in no group
	Units []rosterUnit
}

type rosterUnit struct {
	Name    string
	URL     string
	Members []rosterMember
	Total   int
	AtLeast bool   // Total is not all
	More    string // where all are; empty: these are all
	id      int64
}

type rosterMember struct {
	Name, URL                       string
	Rank, Position, Status, Special string
	order                           int64
}

const (
	maxUnits    = 500    // how many units, and how many groups, the roster shows
	maxMembers  = 500    // how many people of a unit
	maxRostered = 10_000 // how many people in all
)

func (s *server) showRoster(v *visit) error {
	groups, moreUnits, morePeople, err := s.readRoster(v)
	if err != nil {
		return err
	}
	if v.wantsCSV() {
		if morePeople {
			return bugle.Invalid("", "The roster has more than %d people, which is too many for this file. Export the users, who have their units too.", maxRostered)
		}
		return v.csv("roster", []string{"Group", "Unit", "Name", "Rank", "Position", "Specialty", "Status"}, func(write func([]string) error) error {
			for _, g := range groups {
				for _, u := range g.Units {
					for _, m := range u.Members {
						if err := write([]string{g.Name, u.Name, m.Name, m.Rank, m.Position, m.Special, m.Status}); err != nil {
							return err
						}
					}
				}
			}
			return nil
		})
	}
	left := maxRostered // somebody is shown as often as his unit is in groups
	for _, g := range groups {
		for i := range g.Units {
			u := &g.Units[i]
			shown := min(len(u.Members), maxMembers, left)
			if shown < len(u.Members) || morePeople {
				u.More = "/users?" + url.Values{"unit_id": {strconv.FormatInt(u.id, 10)}}.Encode()
			}
			u.Members, u.AtLeast = u.Members[:shown], morePeople
			left -= shown
		}
	}
	p := &rosterPage{frame: v.newFrame("Roster", "roster"), Groups: groups, Cut: moreUnits}
	p.Lead = "Everybody, by unit and rank."
	return v.render(http.StatusOK, "roster.html", p)
}

// readRoster returns the groups in their order with their units and the people in them, and the units
// that are in no group. It reports whether there are more units, and whether there are more people.
func (s *server) readRoster(v *visit) (list []rosterGroup, moreUnits, morePeople bool, err error) {
	all := store.PageRequest{Number: 1, Limit: maxUnits + 1, CountTo: -1}
	groups, err := s.store.List(v.Context(), v.actor.OrganizationID, &personnel.Group, all)
	if err != nil {
		return nil, false, false, err
	}
	units, err := s.store.List(v.Context(), v.actor.OrganizationID, &personnel.Unit, all)
	if err != nil {
		return nil, false, false, err
	}
	moreUnits = len(units.Items) > maxUnits || len(groups.Items) > maxUnits
	units.Items, groups.Items = units.Items[:min(len(units.Items), maxUnits)], groups.Items[:min(len(groups.Items), maxUnits)]
	ids := value.NewArray(len(units.Items))
	for _, u := range units.Items {
		ids.Append(u.ID())
	}
	members := map[any][]*personnel.Resource{}
	if ids.Len() > 0 {
		people, err := v.usersBy(v.Context(), "unit_id", "in", ids, maxRostered+1)
		if err != nil {
			return nil, false, false, err
		}
		if morePeople = len(people) > maxRostered; morePeople {
			people = people[:maxRostered]
		}
		for _, user := range people {
			members[user.Get("unit_id")] = append(members[user.Get("unit_id")], user)
		}
	}
	if err := s.store.Include(v.Context(), v.actor.OrganizationID, groups.Items, personnel.Shown("units")); err != nil {
		return nil, false, false, err
	}
	byID := map[int64]rosterUnit{}
	for _, u := range units.Items {
		byID[u.ID()] = v.rosterUnit(u, members[u.ID()])
	}
	grouped := map[int64]bool{}
	for _, g := range groups.Items {
		group := rosterGroup{Name: g.Text("name")}
		for _, u := range g.Lists["units"] {
			if unit, ok := byID[u.ID()]; ok {
				group.Units = append(group.Units, unit)
				grouped[u.ID()] = true
			}
		}
		if len(group.Units) > 0 {
			list = append(list, group)
		}
	}
	rest := rosterGroup{}
	for _, u := range units.Items {
		if !grouped[u.ID()] {
			rest.Units = append(rest.Units, byID[u.ID()])
		}
	}
	if len(rest.Units) > 0 {
		list = append(list, rest)
	}
	return list, moreUnits, morePeople, nil
}

func (v *visit) rosterUnit(u *personnel.Resource, members []*personnel.Resource) rosterUnit {
	unit := rosterUnit{Name: u.Text("name"), URL: v.linkTo(u).URL, Total: len(members), id: u.ID()}
	for _, user := range members {
		m := rosterMember{Name: user.Text("name"), URL: v.linkTo(user).URL, order: 1 << 62}
		if rank := user.Related["rank"]; rank != nil {
			m.Rank = rank.Text("name")
			m.order, _ = rank.Get("order").(int64)
		}
		for name, to := range map[string]*string{"position": &m.Position, "status": &m.Status, "specialty": &m.Special} {
			if other := user.Related[name]; other != nil {
				*to = other.Text("name")
			}
		}
		unit.Members = append(unit.Members, m)
	}
	slices.SortStableFunc(unit.Members, func(a, b rosterMember) int {
		return cmp.Or(cmp.Compare(a.order, b.order), cmp.Compare(a.Name, b.Name))
	})
	return unit
}

// Count is how many people a unit has, in words.
func (u rosterUnit) Count() string {
	switch {
	case u.AtLeast:
		return fmt.Sprintf("at least %d people", u.Total)
	case u.Total == 1:
		return "1 person"
	}
	return fmt.Sprintf("%d people", u.Total)
}
