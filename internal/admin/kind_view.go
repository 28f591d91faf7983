package admin

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/internal/store"
	"github.com/buglehq/bugle/personnel"
	"github.com/buglehq/bugle/value"
)

type kindPage struct {
	frame
	Area    *kindArea
	ID      int64
	URL     string
	One     string
	Values  []namedCell
	Custom  []namedCell
	Parts   []kindPart // what belongs to it
	Empty   []link     // what could belong to it, and does not yet: where it is made
	Links   []kindLinks
	Edit    bool
	Delete  bool
	Events  string // where the events about it are; empty: not to be seen
	User    *userHead
	Erasure *store.Erasure // of the user; nil: he was not erased
	Latest  []loggedRow    // of a user: the newest events about him and the records that are shown
}

type namedCell struct {
	Name string
	Cell cell
}

// A kindPart is a short list of resources that belong to another.
type kindPart struct {
	kind    *personnel.Kind
	Title   string
	Columns []string
	Rows    []kindRow
	More    string // where all are; empty: these are all
	Create  string // where one is made; empty: nobody may
	One     string
}

// kindLinks are the resources that a relation links to.
type kindLinks struct {
	Relation string
	Title    string
	Items    []linkedItem
	Cut      bool     // there are more than are shown
	Add      []option // to choose from; none: somebody types
	Typed    bool
	Change   bool
}

type linkedItem struct {
	ID   int64
	Link link
}

// userHead is what is at the top of a user's page.
type userHead struct {
	Initials string
	Photo    string
	Lines    []namedCell // rank, position, unit, status
	Online   bool
	Actions  []link
	Caused   string // where the events are that the user caused
}

// maxPart is how many resources a part shows.
const maxPart = 10

func (a *kindArea) show(v *visit) error {
	r, err := a.find(v)
	if err != nil {
		return err
	}
	var fields []*personnel.Field
	for i := range a.kind.Fields {
		if f := &a.kind.Fields[i]; !f.Hidden {
			fields = append(fields, f)
		}
	}
	if err := a.server.store.Include(v.Context(), v.actor.OrganizationID, []*personnel.Resource{r}, references(a.kind, fields)); err != nil {
		return err
	}
	p := &kindPage{frame: v.newFrame(labelOf(r), a.kind.Path), Area: a, ID: r.ID(), URL: fmt.Sprintf("/%s/%d", a.kind.Path, r.ID()),
		One: strings.ToLower(a.kind.Class), Edit: v.Can("update_" + a.permission), Delete: v.Can("delete_" + a.permission)}
	p.Back = a.back(v, nil)
	for _, f := range fields {
		if c := v.cellOf(r, f, true); !c.Empty() {
			p.Values = append(p.Values, namedCell{fieldLabel(f), c})
		}
	}
	if p.Custom, err = a.customCells(v, r); err != nil {
		return err
	}
	if err := a.parts(v, r, p); err != nil {
		return err
	}
	if err := a.linked(v, r, p); err != nil {
		return err
	}
	if a.kind.Emits && v.Can("view_any_event_log") {
		p.Events = "/event-log?" + url.Values{"kind": {a.kind.Name}, "resource": {strconv.FormatInt(r.ID(), 10)}}.Encode()
	}
	if a.kind.Name == "user" {
		if err := a.head(v, r, p); err != nil {
			return err
		}
		if p.Events != "" {
			if p.Latest, err = a.latest(v, r, p); err != nil {
				return err
			}
		}
	}
	return v.render(http.StatusOK, "kind_view.html", p)
}

// customCells are the custom fields that have values, in the words of their definitions.
func (a *kindArea) customCells(v *visit, r *personnel.Resource) ([]namedCell, error) {
	if r.Custom.Len() == 0 {
		return nil, nil
	}
	definitions, err := a.server.store.CustomFields(v.Context(), v.actor.OrganizationID, r)
	if err != nil {
		return nil, err
	}
	names := map[string]*personnel.Resource{}
	for _, d := range definitions {
		names[d.Text("key")] = d
	}
	var cells []namedCell
	for key, item := range r.Custom.All() {
		name, c := key.String(), cell{}
		d := names[name]
		if d != nil {
			name = d.Text("name")
		}
		switch item := item.(type) {
		case nil:
			continue
		case bool:
			c.Text = "No"
			if item {
				c.Text = "Yes"
			}
		case *value.Array:
			c.Code = prettyJSON(item)
		default:
			c.Text = fmt.Sprint(item)
			switch {
			case d != nil && d.Text("type") == "password":
				c.Text = "••••••••"
			case d != nil && d.Text("type") == "file":
				c = cell{Link: &link{storageURL(c.Text), "Open the file"}}
			}
		}
		cells = append(cells, namedCell{name, c})
	}
	return cells, nil
}

// parts are the lists of what belongs to a resource: a user's records, a unit's people, attachments.
func (a *kindArea) parts(v *visit, r *personnel.Resource, p *kindPage) error {
	for _, rel := range a.kind.Relations {
		other := personnel.ByName(rel.Kind)
		if rel.Inverse == "" || !rel.Many || other == nil || other.Path == "" || !v.Can("view_any_"+permissionName(other)) {
			continue
		}
		if rel.Where != "" && rel.Where != "model_type" && a.kind.Name == "user" {
			continue // a part of a list that is there already
		}
		area := &kindArea{server: a.server, kind: other, permission: permissionName(other)}
		w := &personnel.Within{Kind: a.kind, ID: r.ID(), Relation: &rel}
		search := &personnel.Search{Kind: other, Within: w}
		page, err := a.server.store.Search(v.Context(), v.actor.OrganizationID, search, store.PageRequest{Number: 1, Limit: maxPart + 1, CountTo: -1})
		if err != nil {
			return err
		}
		part := kindPart{kind: other, Title: title(strings.ReplaceAll(rel.Name, "_", " ")), One: strings.ToLower(other.Class)}
		if len(page.Items) > maxPart {
			page.Items = page.Items[:maxPart]
			only := url.Values{rel.Inverse: {strconv.FormatInt(r.ID(), 10)}}
			if rel.Where != "" {
				only.Set(rel.Where, rel.Is)
			}
			part.More = "/" + other.Path + "?" + only.Encode()
		}
		var fields []*personnel.Field
		for _, f := range area.columns() {
			if f.Name != rel.Inverse {
				fields = append(fields, f)
				part.Columns = append(part.Columns, fieldLabel(f))
			}
		}
		if err := a.server.store.Include(v.Context(), v.actor.OrganizationID, page.Items, references(other, fields)); err != nil {
			return err
		}
		for _, item := range page.Items {
			row := kindRow{ID: item.ID(), Label: labelOf(item), URL: v.linkTo(item).URL}
			for _, f := range fields {
				row.Cells = append(row.Cells, v.cellOf(item, f, false))
			}
			part.Rows = append(part.Rows, row)
		}
		if v.Can("create_" + area.permission) {
			with := url.Values{rel.Inverse: {strconv.FormatInt(r.ID(), 10)}}
			if other.Field("model_type") != nil {
				with = url.Values{"model_type": {a.kind.Model()}, "model_id": {strconv.FormatInt(r.ID(), 10)}}
			}
			part.Create = "/" + other.Path + "/create?" + with.Encode()
		}
		if len(part.Rows) == 0 && part.Create != "" {
			p.Empty = append(p.Empty, link{part.Create, "New " + part.One})
		}
		p.Parts = append(p.Parts, part)
	}
	return nil
}

// linked are the relations through tables: a form's fields, a category's ranks.
func (a *kindArea) linked(v *visit, r *personnel.Resource, p *kindPage) error {
	for _, n := range a.kind.Nested {
		rel := a.nestedOf(n.Relation)
		if rel == nil {
			continue
		}
		w := &personnel.Within{Kind: a.kind, ID: r.ID(), Relation: rel}
		page, err := a.server.store.Search(v.Context(), v.actor.OrganizationID, &personnel.Search{Kind: personnel.ByName(rel.Kind), Within: w},
			store.PageRequest{Number: 1, Limit: maxChoices + 1, CountTo: -1})
		if err != nil {
			return err
		}
		isCut := len(page.Items) > maxChoices
		page.Items = page.Items[:min(len(page.Items), maxChoices)]
		l := kindLinks{Cut: isCut, Relation: rel.Name, Title: title(strings.ReplaceAll(rel.Name, "_", " ")), Change: v.Can("update_" + a.permission)}
		for _, item := range page.Items {
			l.Items = append(l.Items, linkedItem{item.ID(), *v.linkTo(item)})
		}
		if l.Change {
			var all bool
			if l.Add, all, err = v.options(rel.Kind); err != nil {
				return err
			}
			l.Typed = !all
		}
		p.Links = append(p.Links, l)
	}
	return nil
}

// latest are the newest events about a user and about those of his records that his page shows.
func (a *kindArea) latest(v *visit, r *personnel.Resource, p *kindPage) ([]loggedRow, error) {
	about := map[string][]int64{a.kind.Name: {r.ID()}}
	for _, part := range p.Parts {
		if !part.kind.Emits {
			continue
		}
		for _, row := range part.Rows {
			about[part.kind.Name] = append(about[part.kind.Name], row.ID)
		}
	}
	list, err := a.server.store.EventsAbout(v.Context(), v.actor.OrganizationID, about, maxPart)
	if err != nil {
		return nil, err
	}
	return v.loggedRows(&p.frame, list)
}

// head is the top of a user's page, with what admins do most.
func (a *kindArea) head(v *visit, r *personnel.Resource, p *kindPage) error {
	h := &userHead{}
	for word := range strings.FieldsSeq(r.Text("name")) {
		if first, _ := utf8.DecodeRuneInString(word); len(h.Initials) < 8 {
			h.Initials += string(first)
		}
	}
	if photo := r.Text("profile_photo"); photo != "" {
		h.Photo = storageURL(photo)
	}
	for _, name := range []string{"rank", "position", "unit", "status"} {
		if other := r.Related[name]; other != nil {
			h.Lines = append(h.Lines, namedCell{title(name), cell{Link: v.linkTo(other)}})
		}
	}
	id := strconv.FormatInt(r.ID(), 10)
	for _, action := range []struct{ kind, text string }{
		{"rankrecord", "Promote"}, {"awardrecord", "Give award"}, {"assignmentrecord", "Move"}, {"qualificationrecord", "Qualify"},
	} {
		k := personnel.ByName(action.kind)
		if v.Can("create_" + permissionName(k)) {
			h.Actions = append(h.Actions, link{"/" + k.Path + "/create?user_id=" + id, action.text})
		}
	}
	if v.Can("view_any_event_log") {
		h.Caused = "/event-log?causer=" + id
	}
	p.User = h
	e, err := a.server.store.Erasure(v.Context(), v.actor.OrganizationID, r.ID())
	if errors.Is(err, bugle.ErrNotFound) {
		return nil
	}
	p.Erasure = e
	return err
}
