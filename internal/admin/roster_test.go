package admin

import (
	"database/sql"
	"fmt"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jonboulle/clockwork"
	"golang.org/x/net/html"

	"github.com/buglehq/bugle/internal/store"
	"github.com/buglehq/bugle/internal/storetest"
	"github.com/buglehq/bugle/personnel"
	"github.com/buglehq/bugle/value"
)

// outline is what the roster says, a line for each group, unit and person.
func outline(root *html.Node) string {
	var lines []string
	for _, n := range elements(mainPart(root), "h2", "h3", "tr", "summary") {
		switch text := readText(n); {
		case n.Data == "h2":
			lines = append(lines, "# "+text)
		case n.Data == "summary":
			lines = append(lines, text)
		case n.Data == "tr" && len(elements(n, "td")) > 0:
			lines = append(lines, "- "+text)
		}
	}
	return strings.Join(lines, "\n")
}

// The roster is the groups and units in their order, and in each the people by rank and name.
func TestRoster(t *testing.T) {
	p := newPeoplePanel(t)
	has(t, p.get("/roster", http.StatusOK), "Nobody to show")
	if rows := p.csv("/roster?format=csv"); len(rows) != 1 {
		t.Errorf("the file of nobody is %v", rows)
	}
	id := func(k *personnel.Kind, fields ...any) int64 { return storetest.Create(t, p.store, k, fields...).ID() }
	sergeant, private := id(&personnel.Rank, "name", "Sergeant", "order", 1), id(&personnel.Rank, "name", "Private", "order", 2)
	leader := id(&personnel.Position, "name", "Leader")
	medic := id(&personnel.Specialty, "name", "Medic")
	active := id(&personnel.Status, "name", "Active", "color", "#fff")
	bravo, alpha, loose, hidden := id(&personnel.Unit, "name", "Bravo", "order", 2), id(&personnel.Unit, "name", "Alpha", "order", 1), id(&personnel.Unit, "name", "Loose", "order", 3), id(&personnel.Unit, "name", "Shadow", "hidden", true)
	first, second := id(&personnel.Group, "name", "1st Platoon", "order", 1), id(&personnel.Group, "name", "2nd Platoon", "order", 2)
	id(&personnel.Group, "name", "Empty Platoon")
	secret := id(&personnel.Group, "name", "Secret Platoon", "hidden", true)
	for _, l := range []struct{ group, unit int64 }{{first, bravo}, {first, alpha}, {second, alpha}, {second, hidden}, {secret, loose}} {
		p.post(fmt.Sprintf("/groups/%d/link", l.group), url.Values{"relation": {"units"}, "id": {fmt.Sprint(l.unit)}}, http.StatusSeeOther)
	}
	for i, u := range []struct {
		name       string
		unit, rank any
	}{{"Zoe", alpha, sergeant}, {"Nobody", alpha, nil}, {"Carl", alpha, private}, {"Adam", alpha, private}, {"Ghost", hidden, private}, {"Free", nil, private}, {"Lee", loose, nil}} {
		id(&personnel.User, "name", u.name, "email", fmt.Sprintf("u%d@example.com", i), "unit_id", u.unit, "rank_id", u.rank,
			"position_id", map[bool]any{true: leader}[u.name == "Zoe"], "specialty_id", map[bool]any{true: medic}[u.name == "Zoe"], "status_id", map[bool]any{true: active}[u.name == "Zoe"])
	}
	of := "Alpha 4 people\n- Sergeant Zoe Leader Medic Active\n- Private Adam – – –\n- Private Carl – – –\n- – Nobody – – –"
	want := "# 1st Platoon\nBravo 0 people\n" + of + "\n# 2nd Platoon\n" + of + "\n# Units in no group\nLoose 1 person\n- – Lee – – –"
	page := p.get("/roster", http.StatusOK)
	if got := outline(parsePage(t, page)); got != want {
		t.Errorf("the roster is\n%s\nwant\n%s", got, want)
	}
	hasNot(t, page, "Not everybody is shown", "Not all units are shown", "Ghost", "Shadow")
	rows := p.csv("/roster?format=csv")
	if len(rows) != 10 || strings.Join(rows[1], "|") != "1st Platoon|Alpha|Zoe|Sergeant|Leader|Medic|Active" || strings.Join(rows[9], "|") != "|Loose|Lee||||" {
		t.Errorf("the file is %v", rows)
	}
}

// However many people there are, the page has an end, and says where the others are.
func TestRoster_bounded(t *testing.T) {
	p := newPeoplePanel(t)
	crowd := storetest.Create(t, p.store, &personnel.Unit, "name", "Crowd").ID()
	small := storetest.Create(t, p.store, &personnel.Unit, "name", "Small").ID()
	n := 0
	add := func(unit int64, many int) {
		storetest.Change(t, p.store, func(tx *store.Tx) error {
			for range many {
				n++
				if _, err := tx.Create(storetest.Actor(), &personnel.User, value.Map("name", fmt.Sprintf("User %05d", n), "email", fmt.Sprintf("n%d@example.com", n), "unit_id", unit)); err != nil {
					return err
				}
			}
			return nil
		})
	}
	add(crowd, maxMembers+3)
	add(small, 2)
	root := p.page("/roster")
	if got := len(elements(mainPart(root), "td")) / 5; got != maxMembers+2 {
		t.Errorf("%d people are shown", got)
	}
	text := outline(root)
	if !strings.Contains(text, "Crowd 503 people\n- – User 00001") || !strings.Contains(text, "Small 2 people") || strings.Contains(text, "User 00501") {
		t.Errorf("the roster is\n%s", text)
	}
	more := ""
	for _, a := range elements(root, "a") {
		if strings.HasPrefix(readText(a), "all people of") {
			more += attr(a, "href")
		}
	}
	if more != fmt.Sprintf("/users?unit_id=%d", crowd) {
		t.Fatalf("the rest is at %q", more)
	}
	if got := len(p.csv(more+"&format=csv")) - 1; got != maxMembers+3 {
		t.Errorf("there are %d of them", got)
	}
	if got := len(p.csv("/roster?format=csv")) - 1; got != maxMembers+5 {
		t.Errorf("the file has %d people", got)
	}

	// In many groups, they are shown only so often.
	storetest.Change(t, p.store, func(tx *store.Tx) error {
		for i := range maxRostered/maxMembers + 1 {
			g, err := tx.Create(storetest.Actor(), &personnel.Group, value.Map("name", fmt.Sprint("Group ", i)))
			if err != nil {
				return err
			}
			w := &personnel.Within{Kind: &personnel.Group, ID: g.ID(), Relation: personnel.Group.Relation("units")}
			if _, err := tx.Link(storetest.Actor(), w, []store.Link{{ID: crowd, At: "id"}}, false); err != nil {
				return err
			}
		}
		return nil
	})
	root = p.page("/roster")
	if got := len(elements(mainPart(root), "td")) / 5; got != maxRostered {
		t.Errorf("in many groups %d people are shown", got)
	}
	if text := outline(root); !strings.HasSuffix(text, "Small 2 people") {
		t.Errorf("the end is %s", text[len(text)-100:])
	}
	has(t, p.get("/roster", http.StatusOK), fmt.Sprintf(`href="/users?unit_id=%d"`, small))
}

const numbers = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $1) "

// An organization that is larger than what the roster reads has one all the same.
func TestRoster_ofMany(t *testing.T) {
	path, clock := filepath.Join(t.TempDir(), "bugle.db"), clockwork.NewFakeClockAt(storetest.Start)
	s := storetest.Open(t, "sqlite:"+path, store.Options{Clock: clock})
	if _, err := s.EnsureOrganization(t.Context(), "1st Test Battalion"); err != nil {
		t.Fatal(err)
	}
	p := peoplePanelOn(t, s, clock, "", nil)
	db, err := sql.Open("sqlite", path+"?_pragma=busy_timeout(10000)") // one by one they would take a minute
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, insert := range []struct {
		query string
		n     int
	}{
		{`INSERT INTO units (id, organization_id, name, "order", created_at, updated_at) ` + numbers + `SELECT i, 1, 'Unit ' || i, i, '2026-01-01 00:00:00', '2026-01-01 00:00:00' FROM n`, maxUnits},
		{`INSERT INTO users (organization_id, name, email, unit_id, created_at, updated_at) ` + numbers + `SELECT 1, 'User ' || i, i || '@example.com', i % 500 + 1, '2026-01-01 00:00:00', '2026-01-01 00:00:00' FROM n`, maxRostered + 1},
	} {
		if _, err := db.ExecContext(t.Context(), insert.query, insert.n); err != nil {
			t.Fatal(err)
		}
	}
	page := p.get("/roster", http.StatusOK)
	hasNot(t, page, "Not all units are shown")
	storetest.Create(t, p.store, &personnel.Unit, "name", "One more")
	page = p.get("/roster", http.StatusOK)
	hasNot(t, page, "One more")
	has(t, page, "Not all units are shown", "at least 20 people", `href="/users?unit_id=500"`)
	if got := strings.Count(page, "<tr><td>"); got != maxRostered {
		t.Errorf("%d people are shown", got)
	}
	has(t, p.get("/roster?format=csv", http.StatusUnprocessableEntity), "more than 10000 people", "Export the users")
}
