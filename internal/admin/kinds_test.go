package admin

import (
	"fmt"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/buglehq/bugle/personnel"
)

// Each kind of the catalogue can be made, listed, seen, changed and deleted by its forms.
func TestKinds_everyKind(t *testing.T) {
	p := newPeoplePanel(t)
	made := p.makeAll()
	for _, k := range pagedKinds() {
		t.Run(k.Name, func(t *testing.T) {
			p := *p
			p.T = t
			r := made[k.Name]
			path := fmt.Sprintf("/%s/%d", k.Path, r.ID())
			if k.Hiding != nil && r.Get(k.Hiding.Field) == k.Hiding.When {
				hasNot(t, p.get("/"+k.Path, http.StatusOK), path+`"`)
				has(t, p.get("/"+k.Path+"?hidden=1", http.StatusOK), path+`"`, labelOf(r))
			} else {
				has(t, p.get("/"+k.Path, http.StatusOK), path+`"`, labelOf(r))
			}
			has(t, p.get(path, http.StatusOK), labelOf(r), path+"/edit", path+"/delete")

			p.clock.Advance(time.Minute)
			f := p.form(path + "/edit")
			want := f.fill(k, 1)
			if k == &personnel.User {
				delete(want, "notes_updated_at") // the notes have changed now
			}
			if id := f.saved(); id != r.ID() {
				t.Errorf("the edit of %s leads to %d", path, id)
			}
			p.holds(p.stored(k, r.ID()), want)
		})
	}
	for i := len(pagedKinds()) - 1; i >= 0; i-- {
		k := pagedKinds()[i]
		path := fmt.Sprintf("/%s/%d", k.Path, made[k.Name].ID())
		has(t, p.get(path, http.StatusOK), "Delete")
		if to := p.post(path+"/delete", nil, http.StatusSeeOther); to != "/"+k.Path {
			t.Errorf("the delete of %s leads to %s", path, to)
		}
		has(t, p.get("/"+k.Path, http.StatusOK), "is deleted.")
		p.get(path, http.StatusNotFound)
		p.get(path+"/edit", http.StatusNotFound)
		p.post(path, url.Values{}, http.StatusNotFound)
		p.post(path+"/delete", nil, http.StatusNotFound)
	}
}

// What is selected in a list is deleted together, and only that.
func TestKinds_deleteSelected(t *testing.T) {
	p := newPeoplePanel(t)
	for _, name := range []string{"Private", "Corporal", "Sergeant"} {
		p.form("/ranks/create").set("name", name).saved()
	}
	if to := p.post("/ranks/delete", url.Values{"ids": {"1", "3", "3", "99", "x"}}, http.StatusSeeOther); to != "/ranks" {
		t.Error(to)
	}
	page := p.get("/ranks", http.StatusOK)
	has(t, page, "Deleted: 2.", "Corporal")
	hasNot(t, page, "Private", "Sergeant")

	ids := url.Values{}
	for i := range maxSelected + 1 {
		ids.Add("ids", fmt.Sprint(i))
	}
	has(t, p.post("/ranks/delete", ids, http.StatusUnprocessableEntity), "No more than 1000 can be deleted at once")
	p.stored(&personnel.Rank, 2)
	p.post("/ranks/delete", url.Values{}, http.StatusSeeOther)
	p.stored(&personnel.Rank, 2)
	if got := p.events(); got != 1 {
		t.Errorf("there are %d events, want the visitor's own", got)
	}
}
