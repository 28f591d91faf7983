package admin

import (
	"fmt"
	"net/http"
	"slices"

	"github.com/buglehq/bugle/internal/store"
	"github.com/buglehq/bugle/personnel"
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
}

type rosterMember struct {
	Name, URL                       string
	Rank, Position, Status, Special string
	order                           int64
}

// maxUnits is how many units, and how many groups, the roster shows.
const maxUnits = 500

func (s *server) showRoster(v *visit) error {
	groups, cut, err := s.readRoster(v)
	if err != nil {
		return err
	}
	if v.wantsCSV() {
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
	p := &rosterPage{frame: v.newFrame("Roster", "roster"), Groups: groups, Cut: cut}
	p.Lead = "Everybody, by unit and rank."
	return v.render(http.StatusOK, "roster.html", p)
}

// readRoster returns the groups in their order with their units and the people in them, and the units
// that are in no group.
func (s *server) readRoster(v *visit) (list []rosterGroup, cut bool, err error) {
	all := store.PageRequest{Number: 1, Limit: maxUnits, CountTo: -1}
	groups, err := s.store.List(v.Context(), v.actor.OrganizationID, &personnel.Group, all)
	if err != nil {
		return nil, false, err
	}
	units, err := s.store.List(v.Context(), v.actor.OrganizationID, &personnel.Unit, all)
	if err != nil {
		return nil, false, err
	}
	people := personnel.Include{Name: "users", Below: personnel.Shown("rank", "position", "specialty", "status")}
	if err := s.store.Include(v.Context(), v.actor.OrganizationID, units.Items, []personnel.Include{people}); err != nil {
		return nil, false, err
	}
	if err := s.store.Include(v.Context(), v.actor.OrganizationID, groups.Items, personnel.Shown("units")); err != nil {
		return nil, false, err
	}
	byID := map[int64]rosterUnit{}
	for _, u := range units.Items {
		byID[u.ID()] = v.rosterUnit(u)
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
	return list, len(units.Items) == maxUnits || len(groups.Items) == maxUnits, nil
}

func (v *visit) rosterUnit(u *personnel.Resource) rosterUnit {
	unit := rosterUnit{Name: u.Text("name"), URL: v.linkTo(u).URL}
	for _, user := range u.Lists["users"] {
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
		switch {
		case a.order != b.order && a.order < b.order:
			return -1
		case a.order != b.order:
			return 1
		case a.Name < b.Name:
			return -1
		}
		return 1
	})
	return unit
}

// Count is how many people a unit has, in words.
func (u rosterUnit) Count() string {
	if len(u.Members) == 1 {
		return "1 person"
	}
	return fmt.Sprintf("%d people", len(u.Members))
}
