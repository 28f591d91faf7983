package admin

import (
	"encoding/csv"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"github.com/buglehq/bugle/internal/store"
	"github.com/buglehq/bugle/internal/storetest"
	"github.com/buglehq/bugle/personnel"
	"github.com/buglehq/bugle/value"
)

// csv returns the rows of a file, its head first.
func (p *peoplePanel) csv(path string) [][]string {
	p.Helper()
	status, text, header := p.request(http.MethodGet, path, "", nil)
	if status != http.StatusOK || header.Get("Content-Type") != "text/csv; charset=utf-8" || !strings.HasPrefix(header.Get("Content-Disposition"), "attachment; filename=") {
		p.Fatalf("GET %s: %d %v", path, status, header)
	}
	rows, err := csv.NewReader(strings.NewReader(text)).ReadAll()
	if err != nil {
		p.Fatalf("GET %s: %v\n%s", path, err, text)
	}
	return rows
}

// rows are the cells of a page's table, its head first. Times are as in files, and what is empty is empty.
func (p *peoplePanel) rows(path string) [][]string {
	p.Helper()
	tables := elements(mainPart(p.page(path)), "table")
	if len(tables) != 1 {
		return nil
	}
	var rows [][]string
	for _, tr := range elements(tables[0], "tr") {
		var row []string
		for _, td := range elements(tr, "th", "td") {
			if len(elements(td, "input")) > 0 || attr(td, "class") == "text-end" || readText(td) == "Actions" {
				continue
			}
			text := readText(td)
			if at := elements(td, "time"); len(at) > 0 {
				when, err := time.Parse(time.RFC3339Nano, attr(at[0], "datetime"))
				if err != nil {
					p.Fatal(err)
				}
				text = when.Format(time.RFC3339)
			}
			if text == "–" {
				text = ""
			}
			row = append(row, text)
		}
		rows = append(rows, row)
	}
	return rows
}

// A file of a list has the rows of the list in their order, and in them what the list shows.
func TestKindList_csv(t *testing.T) {
	p := newPeoplePanel(t)
	for _, k := range pagedKinds() { // two of each; the second can refer to more
		for round := range 2 {
			f := p.form("/" + k.Path + "/create")
			f.fill(k, round)
			f.saved()
			p.clock.Advance(time.Minute)
		}
	}
	words := func(text string) string {
		return strings.Join(strings.FieldsFunc(text, func(c rune) bool { return strings.ContainsRune(" ,\n", c) }), " ")
	}
	for _, k := range personnel.Kinds() {
		for _, query := range []string{"?", "?hidden=1&sort=-id&q=1&"} {
			if k.Path == "" || len(query) > 1 && k.Hiding == nil && k != &personnel.User {
				continue
			}
			list, file := p.rows("/"+k.Path+query), p.csv("/"+k.Path+query+"format=csv")
			if len(list) > 0 && len(list) != len(file) || len(list) == 0 && len(file) != 1 {
				t.Errorf("the list of /%s%s has %d rows, and its file %d", k.Path, query, len(list), len(file))
				continue
			}
			for i, row := range list {
				for j, cell := range row {
					column := slices.Index(file[0], list[0][j])
					if column < 0 {
						t.Errorf("the file of /%s has no column %s", k.Path, list[0][j])
					} else if got := words(file[i][column]); got != words(cell) {
						t.Errorf("the file of /%s%s has %q where the list shows %q", k.Path, query, got, cell)
					}
				}
			}
		}
	}
}

// A file has all rows, however many a page has.
func TestKindList_csvBeyondPages(t *testing.T) {
	p := newPeoplePanel(t)
	const many = 2*exportPage + 3
	storetest.Change(t, p.store, func(tx *store.Tx) error {
		for i := range many {
			if _, err := tx.Create(storetest.Actor(), &personnel.Tag, value.Map("name", fmt.Sprintf("tag %04d", i))); err != nil {
				return err
			}
		}
		return nil
	})
	file := p.csv("/tags?format=csv&sort=name&page=7&per=3")
	if len(file) != many+1 {
		t.Fatalf("there are %d rows", len(file))
	}
	for i, row := range file[1:] {
		if want := fmt.Sprintf("tag %04d", i); row[1] != want {
			t.Fatalf("row %d is %s, want %s", i, row[1], want)
		}
	}
	list := p.rows("/tags?sort=-name&page=2")
	if len(list) != perPage+1 || list[1][0] != fmt.Sprintf("tag %04d", many-1-perPage) {
		t.Errorf("the second page is %v", list)
	}
	if got := len(p.csv("/tags?format=csv&q=tag+000")); got != 11 {
		t.Errorf("a search's file has %d rows", got)
	}
	if list := p.rows("/tags?page=999999999999"); list != nil {
		t.Errorf("a page beyond the last has %v", list)
	}
	if list := p.rows("/tags?per=999999999"); len(list) > store.MaxLimit+1 {
		t.Errorf("a page has %d rows", len(list))
	}
}

// No cell of a file is a formula to a spreadsheet.
func TestKindList_csvWithoutFormulas(t *testing.T) {
	p := newPeoplePanel(t)
	formulas := []string{`=HYPERLINK("https://evil.example.com")`, "+1+cmd|' /C calc'!A0", "-2+3", "@SUM(1)", "\t=1+1", "\r=1+1", "=1,1", "+49 30 1234", "-", "\n=1+1"}
	for n, formula := range formulas {
		p.makeText(func(*personnel.Kind, *personnel.Field) string { return formula }, fmt.Sprint(n))
	}
	seen := 0
	for _, k := range personnel.Kinds() {
		if k.Path == "" {
			continue
		}
		for _, path := range []string{"?format=csv", "?format=csv&hidden=1"} {
			for _, row := range p.csv("/" + k.Path + path)[1:] {
				for _, cell := range row {
					if isFormula(cell) {
						t.Errorf("a cell of /%s is %q", k.Path, cell)
					}
					if strings.HasPrefix(cell, "'") {
						seen++
					}
				}
			}
		}
	}
	if seen < len(pagedKinds())*len(formulas) {
		t.Errorf("only %d cells are made harmless", seen)
	}
	for _, row := range p.csv("/roster?format=csv")[1:] {
		for _, cell := range row {
			if isFormula(cell) {
				t.Errorf("a cell of the roster is %q", cell)
			}
		}
	}
	for cell, want := range map[string]string{"-5": "-5", "+1.5": "+1.5", "": "", "a=b": "a=b", "=": "'=", "-Inf": "-Inf"} {
		if got := harmless(cell); got != want {
			t.Errorf("%q becomes %q, want %q", cell, got, want)
		}
	}
}

// isFormula reports whether a spreadsheet may take a cell for a formula.
func isFormula(cell string) bool {
	_, err := strconv.ParseFloat(cell, 64)
	return cell != "" && strings.Contains("=+-@\t\r\n", cell[:1]) && err != nil
}

// makeText makes a resource of each kind, as the API can, with a text of somebody's in every attribute that takes
// any, and custom fields with it, and returns them by the names of their kinds. The mark makes what has to be unique so.
func (p *peoplePanel) makeText(text func(k *personnel.Kind, f *personnel.Field) string, mark string) map[string]*personnel.Resource {
	p.Helper()
	made := map[string]*personnel.Resource{}
	storetest.Change(p, p.store, func(tx *store.Tx) (err error) {
		for _, k := range pagedKinds() {
			fields := value.NewArray(8)
			for i := range k.Fields {
				f := &k.Fields[i]
				switch {
				case f.ReadOnly || f.Hidden || strings.HasSuffix(f.Name, "_at") || f.Name == "hidden":
				case f.Type == personnel.Reference && made[f.Refers] != nil:
					fields.Set(f.SentAs(), made[f.Refers].ID())
				case f.IsFile():
					if f.Required {
						fields.Set(f.SentAs(), &personnel.Upload{Name: text(k, f), Path: "1/x" + mark + k.Name + ".png", Type: "image/png", Size: 1})
					}
				case f.Name == "applies_to":
					fields.Set(f.Name, value.List("users", "rank-records", "submissions"))
				case f.Name == "rules", f.Name == "required" || f.Name == "readonly":
				case f.Type == personnel.Email:
					fields.Set(f.Name, "text"+mark+"@example.com")
				case f.Name == "key" || f.Pattern != nil && f.Name != "color":
					fields.Set(f.Name, "text"+mark)
				case f.Pattern != nil:
					fields.Set(f.Name, "#2563eb")
				case f.Name == "slug":
					fields.Set(f.Name, text(k, f)+mark)
				case f.Name == "type" && k == &personnel.CustomField:
					fields.Set(f.Name, "text")
				case f.Type == personnel.JSON:
					fields.Set(f.Name, value.Map(text(k, f), text(k, f)))
				case f.Name == "model_type":
					fields.Set(f.Name, personnel.CalendarEvent.Model())
				case f.Name == "model_id":
					fields.Set(f.Name, made["event"].ID())
				case f.Type == personnel.String || f.Type == personnel.Text:
					fields.Set(f.Name, text(k, f))
				case f.Required:
					fields.Set(f.Name, f.Example(k, true))
				}
			}
			if k.Custom {
				fields.Set("text"+mark, text(k, &personnel.Field{Name: "custom"}))
			}
			if made[k.Name], err = tx.Create(storetest.Actor(), k, fields); err != nil {
				return fmt.Errorf("create %s: %w", k.Name, err)
			}
		}
		// What links kinds, and the people in units.
		_, err = tx.Link(storetest.Actor(), &personnel.Within{Kind: &personnel.Group, ID: made["group"].ID(), Relation: personnel.Group.Relation("units")},
			[]store.Link{{ID: made["unit"].ID(), At: "id"}}, false)
		return err
	})
	return made
}

// Each column that a list offers to sort by sorts, and each of its filters lets through what it says.
func TestKindList_sortsAndFilters(t *testing.T) {
	p := newPeoplePanel(t)
	for _, k := range pagedKinds() {
		for round := range 2 {
			f := p.form("/" + k.Path + "/create")
			f.fill(k, round)
			f.saved()
			p.clock.Advance(time.Minute)
		}
	}
	for _, k := range personnel.Kinds() {
		if k.Path == "" {
			continue
		}
		root := p.page("/" + k.Path)
		all := len(elements(mainPart(root), "tr"))
		for _, th := range elements(mainPart(root), "th") {
			for _, a := range elements(th, "a") {
				up := p.page(attr(a, "href"))
				if !slices.ContainsFunc(elements(up, "th"), func(n *html.Node) bool { return attr(n, "aria-sort") == "ascending" }) {
					t.Errorf("%s is not sorted", attr(a, "href"))
				}
				if rows := len(elements(mainPart(up), "tr")); rows != all {
					t.Errorf("%s has %d rows of %d", attr(a, "href"), rows, all)
				}
			}
		}
		for _, n := range elements(mainPart(root), "select") {
			field := k.Field(attr(n, "name"))
			if field == nil || field.Name == "hidden" {
				continue // those that are hidden
			}
			options := elements(n, "option")
			chosen := options[len(options)-1]
			rows := p.csv("/" + k.Path + "?" + url.Values{field.Name: {attr(chosen, "value")}, "format": {"csv"}}.Encode())
			column := slices.Index(rows[0], fieldLabel(field))
			for _, row := range rows[1:] {
				if !strings.EqualFold(strings.ReplaceAll(row[column], "_", " "), readText(chosen)) {
					t.Errorf("the filter %s of /%s by %q lets through %q", field.Name, k.Path, readText(chosen), row[column])
				}
			}
			if len(rows) > all {
				t.Errorf("the filter %s of /%s lets through %d rows of %d", field.Name, k.Path, len(rows), all)
			}
		}
	}
	for _, wrong := range []string{"/rank-records?type=x", "/users?rank_id=nobody", "/users?q=" + strings.Repeat("x", 5000), "/fields?type=nothing"} {
		if status, text, _ := p.request(http.MethodGet, wrong, "", nil); status != http.StatusUnprocessableEntity && status != http.StatusOK {
			t.Errorf("GET %.60s: %d\n%s", wrong, status, mainText(text))
		}
	}
	has(t, p.get("/users?rank_id=nobody", http.StatusUnprocessableEntity), `There is no rank called "nobody". Give the name or the id.`)
}

// What a page shows ten of has all of them behind its link, and nothing else, however many others there are.
func TestKindList_allOfAPart(t *testing.T) {
	p := newPeoplePanel(t)
	made := p.makeAll()
	user, calendarEvent, specialty := made["user"], made["event"], made["specialty"]
	storetest.Change(t, p.store, func(tx *store.Tx) error {
		for i := range maxChoices + 1 {
			if _, err := tx.Create(storetest.Actor(), &personnel.User, value.Map("name", fmt.Sprintf("Nobody %d", i), "email", fmt.Sprintf("n%d@example.com", i))); err != nil {
				return err
			}
		}
		for i := range maxPart + 1 {
			for _, id := range []int64{p.user, user.ID()} {
				if _, err := tx.Create(storetest.Actor(), &personnel.AssignmentRecord, value.Map("user_id", id, "specialty_id", specialty.ID(), "type", "secondary", "text", fmt.Sprint("Record ", i))); err != nil {
					return err
				}
			}
			w := &personnel.Within{Kind: &personnel.User, ID: p.user, Relation: personnel.User.Relation("attachments")}
			if _, err := tx.CreateWithin(storetest.Actor(), w, value.Map("name", fmt.Sprint("File ", i), "file", &personnel.Upload{Name: "x", Path: fmt.Sprintf("1/y%d.bin", i), Type: "application/pdf", Size: 1})); err != nil {
				return err
			}
			if _, err := tx.Create(storetest.Actor(), &personnel.Comment, value.Map("comment", fmt.Sprint("Comment ", i), "model_type", personnel.CalendarEvent.Model(), "model_id", calendarEvent.ID())); err != nil {
				return err
			}
		}
		_, err := tx.Create(storetest.Actor(), &personnel.Comment, value.Map("comment", "Another", "model_type", personnel.RankRecord.Model(), "model_id", made["rankrecord"].ID()))
		return err
	})
	for path, want := range map[string]map[string]int{
		fmt.Sprintf("/users/%d", p.user):               {"/assignment-records": maxPart + 1, "/attachments": maxPart + 1},
		fmt.Sprintf("/events/%d", calendarEvent.ID()):  {"/comments": maxPart + 2},
		fmt.Sprintf("/specialties/%d", specialty.ID()): {"/assignment-records": 2*maxPart + 3},
	} {
		found := map[string]int{}
		for _, a := range elements(mainPart(p.page(path)), "a") {
			if readText(a) == "All of them" {
				list, _, _ := strings.Cut(attr(a, "href"), "?")
				found[list] = len(p.csv(attr(a, "href")+"&format=csv")) - 1
			}
		}
		if fmt.Sprint(found) != fmt.Sprint(want) {
			t.Errorf("%s leads to %v, want %v", path, found, want)
		}
	}
	if got := len(p.rows("/assignment-records?user_id=Jane+Roe")); got != maxPart+2 {
		t.Errorf("by name there are %d rows", got)
	}
	has(t, p.get("/assignment-records", http.StatusOK), `id="filter-user_id" name="user_id" value="" placeholder="Name or id"`)
}
