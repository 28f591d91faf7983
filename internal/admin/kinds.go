package admin

import (
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/internal/store"
	"github.com/buglehq/bugle/personnel"
	"github.com/buglehq/bugle/value"
)

// kinds adds the pages of each kind of the catalogue: list, form, page.
func (s *server) kinds() {
	for _, k := range personnel.Kinds() {
		if k.Path == "" {
			continue
		}
		a := &kindArea{server: s, kind: k, permission: permissionName(k)}
		s.page("GET /"+k.Path, "view_any_"+a.permission, a.list)
		if k.Listed {
			continue
		}
		s.page("GET /"+k.Path+"/create", "create_"+a.permission, a.showCreate)
		s.page("POST /"+k.Path, "create_"+a.permission, a.create)
		s.page("GET /"+k.Path+"/{id}", "view_"+a.permission, a.show)
		s.page("GET /"+k.Path+"/{id}/edit", "update_"+a.permission, a.showEdit)
		s.page("POST /"+k.Path+"/{id}", "update_"+a.permission, a.update)
		s.page("POST /"+k.Path+"/{id}/delete", "delete_"+a.permission, a.delete)
		s.page("POST /"+k.Path+"/delete", "delete_"+a.permission, a.deleteSelected)
		if k.Name == personnel.User.Name {
			s.page("POST /"+k.Path+"/{id}/erase", "delete_"+a.permission, a.erase)
		}
		s.page("POST /"+k.Path+"/{id}/link", "update_"+a.permission, a.link)
		s.page("POST /"+k.Path+"/{id}/unlink", "update_"+a.permission, a.unlink)
	}
}

// A kindArea is the pages of one kind.
type kindArea struct {
	server     *server
	kind       *personnel.Kind
	permission string // "rank_record"
}

// Path is that of the kind's collection.
func (a *kindArea) Path() string { return a.kind.Path }

// Name is the kind's.
func (a *kindArea) Name() string { return a.kind.Name }

// kindIcons are the pictures of kinds, as the sidebar has them.
var kindIcons = func() map[string]string {
	icons := map[string]string{}
	for _, g := range sidebar {
		for _, e := range g.Entries {
			icons[e.Section] = e.Icon
		}
	}
	return icons
}()

// listed are the fields that lists of a kind show; for others they are the first that say something.
var listed = map[string][]string{
	"user":                {"name", "rank_id", "position_id", "unit_id", "status_id", "last_seen_at", "created_at"},
	"assignmentrecord":    {"user_id", "unit_id", "position_id", "type", "author_id", "created_at"},
	"awardrecord":         {"user_id", "award_id", "text", "author_id", "created_at"},
	"combatrecord":        {"user_id", "text", "author_id", "created_at"},
	"qualificationrecord": {"user_id", "qualification_id", "text", "author_id", "created_at"},
	"rankrecord":          {"user_id", "rank_id", "type", "text", "author_id", "created_at"},
	"servicerecord":       {"user_id", "text", "author_id", "created_at"},
	"trainingrecord":      {"user_id", "instructor_id", "text", "created_at"},
	"event":               {"name", "calendar_id", "starts", "ends", "location", "author_id"},
	"message":             {"message", "channels", "send_at", "sent_at", "created_at"},
	"submission":          {"id", "form_id", "user_id", "created_at"},
	"form":                {"name", "slug", "is_public", "submission_status_id", "created_at"},
	"field":               {"name", "key", "type", "required", "applies_to"},
	"announcement":        {"title", "color", "enabled", "global", "expires_at"},
	"comment":             {"comment", "author_id", "created_at"},
	"newsfeed":            {"id"},
}

// columns returns the fields that lists of the kind show.
func (a *kindArea) columns() []*personnel.Field {
	var fields []*personnel.Field
	for _, name := range listed[a.kind.Name] {
		if f := a.kind.Field(name); f != nil {
			fields = append(fields, f)
		}
	}
	if len(fields) > 0 {
		return fields
	}
	for i := range a.kind.Fields {
		f := &a.kind.Fields[i]
		switch {
		case f.Hidden || f.Name == "id" || f.Name == "created_at" || f.Name == "updated_at" || f.Type == personnel.JSON || f.IsFile():
		case len(fields) < 5:
			fields = append(fields, f)
		}
	}
	if f := a.kind.Field("created_at"); f != nil {
		fields = append(fields, f)
	}
	return fields
}

// fieldLabel is how pages call a field: "Discord user ID".
func fieldLabel(f *personnel.Field) string {
	if f.Name == "id" {
		return "ID"
	}
	name := f.Name
	if f.Type == personnel.Reference {
		name = strings.TrimSuffix(name, "_id")
	}
	words := strings.Split(name, "_")
	for i, word := range words {
		switch word {
		case "id", "url":
			words[i] = strings.ToUpper(word)
		case "at":
			words[i] = ""
		}
	}
	label := strings.Join(strings.Fields(strings.Join(words, " ")), " ")
	return title(label)
}

// codeLabels are the words for the numbers of Code fields.
var codeLabels = map[string][]string{"rankrecord.type": {"Promotion", "Demotion", "Lateral", "Transfer"}}

func codeLabel(k *personnel.Kind, f *personnel.Field, v any) string {
	n, _ := v.(int64)
	if labels := codeLabels[k.Name+"."+f.Name]; n >= 0 && int(n) < len(labels) {
		return labels[n]
	}
	return fmt.Sprint(v)
}

// A cell is a value as tables and pages show it. At most one of the fields is set.
type cell struct {
	Text   string
	Link   *link
	Badges []string
	Color  string // a hexadecimal color
	At     time.Time
	HTML   string // that somebody has written
	Image  string // the address of a picture
	Code   string // JSON
}

// Empty reports whether there is nothing to show.
func (c cell) Empty() bool {
	return c.Text == "" && c.Link == nil && len(c.Badges) == 0 && c.Color == "" && c.At.IsZero() && c.HTML == "" && c.Image == "" && c.Code == ""
}

var anyHexColor = regexp.MustCompile(`^#[0-9a-fA-F]{3}([0-9a-fA-F]{3})?$`)

// written are the fields that hold HTML.
var richFields = map[string]bool{"description": true, "content": true, "message": true, "notes": true, "text": true, "comment": true,
	"instructions": true, "success_message": true}

// cellOf shows a field of a resource, in full on its own page.
func (v *visit) cellOf(r *personnel.Resource, f *personnel.Field, inFull bool) cell {
	stored := r.Get(f.Name)
	if stored == nil {
		return cell{}
	}
	switch f.Type {
	case personnel.Reference:
		name := strings.TrimSuffix(f.Name, "_id")
		if other := r.Related[name]; other != nil {
			return cell{Link: v.linkTo(other)}
		}
		id, _ := stored.(int64)
		if k := personnel.ByName(f.Refers); k != nil && k.Path != "" {
			return cell{Link: &link{fmt.Sprintf("/%s/%d", k.Path, id), fmt.Sprintf("%s %d", k.Class, id)}}
		}
		return cell{Text: fmt.Sprint(id)}
	case personnel.Boolean:
		if stored == true {
			return cell{Text: "Yes"}
		}
		return cell{Text: "No"}
	case personnel.DateTime, personnel.RawTime:
		text, _ := stored.(string)
		if at, ok := personnel.ParseTime(text); ok {
			return cell{At: at}
		}
		return cell{Text: text}
	case personnel.Choice:
		return cell{Badges: []string{fmt.Sprint(stored)}}
	case personnel.Code:
		return cell{Badges: []string{codeLabel(r.Kind, f, stored)}}
	case personnel.Strings, personnel.Integers:
		return cell{Badges: listTexts(stored)}
	case personnel.JSON:
		return cell{Code: prettyJSON(storedJSON(stored))}
	case personnel.Photo:
		return cell{Image: storageURL(fmt.Sprint(stored))}
	case personnel.File:
		return cell{Link: &link{storageURL(fmt.Sprint(stored)), "Open the file"}}
	}
	text := fmt.Sprint(stored)
	switch {
	case text == "":
		return cell{}
	case anyHexColor.MatchString(text):
		return cell{Color: text}
	case f.Type == personnel.Text && richFields[f.Name] && inFull:
		return cell{HTML: text}
	case f.Type == personnel.Text && !inFull:
		return cell{Text: cut(100, withoutTags(text))}
	}
	return cell{Text: text}
}

// listTexts are the items of a stored list.
func listTexts(stored any) []string {
	list, ok := stored.(*value.Array)
	if !ok {
		if text, isText := stored.(string); isText {
			decoded, err := value.Decode([]byte(text))
			if list, ok = decoded.(*value.Array); err != nil || !ok {
				return []string{text}
			}
		}
	}
	var texts []string
	for _, item := range list.All() {
		texts = append(texts, fmt.Sprint(item))
	}
	return texts
}

func storageURL(path string) string { return "/storage/" + strings.TrimPrefix(path, "/") }

// labelOf is what pages call a resource: its name, or what it is and its number.
func labelOf(r *personnel.Resource) string {
	for _, name := range []string{"name", "title", "filename"} {
		if text := r.Text(name); text != "" {
			return text
		}
	}
	return fmt.Sprintf("%s %d", r.Kind.Class, r.ID())
}

// linkTo is the link to a resource's page.
func (v *visit) linkTo(r *personnel.Resource) *link {
	l := &link{Text: labelOf(r)}
	if r.Kind.Path != "" && v.Can("view_"+permissionName(r.Kind)) {
		l.URL = fmt.Sprintf("/%s/%d", r.Kind.Path, r.ID())
	}
	return l
}

// references are the relations that the fields lead to.
func references(k *personnel.Kind, fields []*personnel.Field) []personnel.Include {
	var names []string
	for _, f := range fields {
		name := strings.TrimSuffix(f.Name, "_id")
		if rel := k.Relation(name); f.Type == personnel.Reference && rel != nil && rel.Via == f.Name {
			names = append(names, name)
		}
	}
	return personnel.Shown(names...)
}

// maxChoices is how many resources a select offers. Beyond it somebody types the name or the id.
const maxChoices = 200

// options are the resources of a kind to choose from, and whether they are all.
func (v *visit) options(kindName string) (options []option, all bool, err error) {
	k := personnel.ByName(kindName)
	if k == nil {
		return nil, false, nil
	}
	page, err := v.server.store.List(v.Context(), v.actor.OrganizationID, k, store.PageRequest{Number: 1, Limit: maxChoices + 1, CountTo: -1})
	if err != nil || len(page.Items) > maxChoices {
		return nil, false, err
	}
	for _, r := range page.Items {
		options = append(options, option{Value: strconv.FormatInt(r.ID(), 10), Label: labelOf(r)})
	}
	if k.Order != personnel.BySorted {
		slices.SortFunc(options, func(a, b option) int { return strings.Compare(strings.ToLower(a.Label), strings.ToLower(b.Label)) })
	}
	return options, true, nil
}

// find returns the resource of the path.
func (a *kindArea) find(v *visit) (*personnel.Resource, error) {
	id, err := v.id()
	if err != nil {
		return nil, err
	}
	return a.server.store.Get(v.Context(), v.actor.OrganizationID, a.kind, id)
}

// back is where a page leads back to, and a change leads on to: the resource's page, without one the list, or what
// of that the visitor may see.
func (a *kindArea) back(v *visit, r *personnel.Resource) *link {
	switch {
	case r != nil && r.ID() != 0 && v.Can("view_"+a.permission):
		return &link{fmt.Sprintf("/%s/%d", a.kind.Path, r.ID()), labelOf(r)}
	case v.Can("view_any_" + a.permission):
		return &link{"/" + a.kind.Path, kindTitle(a.kind)}
	}
	return &link{"/", "Dashboard"}
}

func (a *kindArea) delete(v *visit) error {
	r, err := a.find(v)
	if err != nil {
		return err
	}
	err = a.server.store.Update(v.Context(), func(tx *store.Tx) error {
		_, err := tx.Delete(v.actor, a.kind, r.ID())
		return err
	})
	if err != nil {
		return err
	}
	v.flash("success", fmt.Sprintf("%s is deleted.", labelOf(r)))
	return v.redirect(a.back(v, nil).URL)
}

// erase takes a user's personal data out of everything that is stored. The user may be deleted already.
func (a *kindArea) erase(v *visit) error {
	id, err := v.id()
	if err != nil {
		return err
	}
	f, err := v.form()
	if err != nil {
		return err
	}
	err = a.server.store.Update(v.Context(), func(tx *store.Tx) error {
		_, err := tx.EraseUser(v.actor, id)
		return err
	})
	switch {
	case errors.Is(err, bugle.ErrConflict):
		v.flash("warning", "This user has an account, which is to be deleted first, or is being erased already.")
	case err != nil:
		return err
	default:
		v.flash("success", "The user is erased. What else is stored follows in the background.")
	}
	if f.Has("back") {
		return v.redirect(local(f.Get("back")))
	}
	return v.redirect(fmt.Sprintf("/users/%d", id))
}

// maxSelected is how many rows a page can have, and so how many can be selected.
const maxSelected = store.MaxLimit

func (a *kindArea) deleteSelected(v *visit) error {
	f, err := v.form()
	if err != nil {
		return err
	}
	ids := f.All("ids")
	if len(ids) > maxSelected {
		return bugle.Invalid("ids", "No more than %d can be deleted at once.", maxSelected)
	}
	deleted := 0
	err = a.server.store.Update(v.Context(), func(tx *store.Tx) error {
		deleted = 0
		for _, text := range ids {
			id, err := strconv.ParseInt(text, 10, 64)
			if err != nil {
				continue
			}
			switch _, err := tx.Delete(v.actor, a.kind, id); {
			case err == nil:
				deleted++
			case !errors.Is(err, bugle.ErrNotFound):
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	v.flash("success", fmt.Sprintf("Deleted: %d.", deleted))
	return v.redirect(a.back(v, nil).URL)
}

// nestedOf returns the relation of the kind that has routes of its own and links through a table.
func (a *kindArea) nestedOf(name string) *personnel.Relation {
	for _, n := range a.kind.Nested {
		if rel := a.kind.Relation(n.Relation); n.Relation == name && rel.Pivot != nil && !rel.Pivot.ReadOnly {
			return rel
		}
	}
	return nil
}

func (a *kindArea) link(v *visit) error {
	return a.relink(v, func(tx *store.Tx, w *personnel.Within, id int64) error {
		_, err := tx.Link(v.actor, w, []store.Link{{ID: id, At: "id"}}, false)
		return err
	})
}

func (a *kindArea) unlink(v *visit) error {
	return a.relink(v, func(tx *store.Tx, w *personnel.Within, id int64) error {
		_, err := tx.Unlink(v.actor, w, []int64{id})
		return err
	})
}

func (a *kindArea) relink(v *visit, change func(tx *store.Tx, w *personnel.Within, id int64) error) error {
	r, err := a.find(v)
	if err != nil {
		return err
	}
	f, err := v.form()
	if err != nil {
		return err
	}
	rel := a.nestedOf(f.Get("relation"))
	if rel == nil {
		return bugle.ErrNotFound
	}
	other, err := v.resolve(rel.Kind, f.Get("id"))
	if err == nil {
		err = a.server.store.Update(v.Context(), func(tx *store.Tx) error {
			return change(tx, &personnel.Within{Kind: a.kind, ID: r.ID(), Relation: rel}, other)
		})
	}
	switch f.take(err) {
	case true:
		v.flash("danger", strings.Join(firstProblems(f), " "))
	default:
		if err != nil {
			return err
		}
		v.flash("success", "Saved.")
	}
	return v.redirect(a.back(v, r).URL)
}

func firstProblems(f *form) []string {
	var reasons []string
	for _, list := range f.Problems {
		reasons = append(reasons, list...)
	}
	return reasons
}

// resolve returns the id of the resource that somebody has typed: its id, or its name if there is one of
// that name. What is wrong is an *bugle.InvalidError about the field id.
func (v *visit) resolve(kindName, text string) (int64, error) {
	text = strings.TrimSpace(text)
	if id, err := strconv.ParseInt(text, 10, 64); err == nil {
		return id, nil
	}
	k := personnel.ByName(kindName)
	if text == "" || k == nil || k.Field("name") == nil {
		return 0, bugle.Invalid("id", "Give the id.")
	}
	by := func(operator, wanted string) ([]*personnel.Resource, error) {
		search, err := personnel.ReadSearch(k, nil, value.Map("filters", value.List(value.Map("field", "name", "operator", operator, "value", wanted))), nil)
		if err != nil {
			return nil, err
		}
		page, err := v.server.store.Search(v.Context(), v.actor.OrganizationID, search, store.PageRequest{Number: 1, Limit: 2, CountTo: -1})
		return page.Items, err
	}
	found, err := by("=", text)
	if err == nil && len(found) == 0 {
		found, err = by("like", "%"+strings.NewReplacer(`\`, `\\`, "%", `\%`, "_", `\_`).Replace(text)+"%")
	}
	switch {
	case err != nil:
		return 0, err
	case len(found) == 0:
		return 0, bugle.Invalid("id", "There is no %s called %q. Give the name or the id.", strings.ToLower(k.Class), text)
	case len(found) > 1:
		return 0, bugle.Invalid("id", "More than one %s is called %q. Give the id.", strings.ToLower(k.Class), text)
	}
	return found[0].ID(), nil
}

type kindListPage struct {
	frame
	Area    *kindArea
	Columns []column
	Rows    []kindRow
	Filters []filter
	Pager   pager
	One     string // "rank record"
	Icon    string
	Create  bool
	Delete  bool
}

type kindRow struct {
	ID    int64
	URL   string
	Label string
	Cells []cell
}

// search returns what the page's address asks for.
func (a *kindArea) search(v *visit, filters []filter) (*personnel.Search, error) {
	query := v.URL.Query()
	body := value.NewArray(4)
	if text := strings.TrimSpace(query.Get("q")); text != "" {
		body.Set("search", value.Map("value", text))
	}
	wanted := value.NewArray(4)
	for _, f := range filters {
		if f.Value == "" || f.Name == "q" || f.Name == "hidden" {
			continue
		}
		field := a.kind.Field(f.Name)
		if field == nil {
			continue
		}
		var is any = f.Value
		switch field.Type {
		case personnel.Reference:
			id, err := v.resolve(field.Refers, f.Value)
			if err != nil {
				return nil, err
			}
			is = id
		case personnel.Code, personnel.Integer:
			if n, err := strconv.ParseInt(f.Value, 10, 64); err == nil {
				is = n
			}
		case personnel.Boolean:
			is = f.Value == "1"
		}
		wanted.Append(value.Map("field", f.Name, "operator", "=", "value", is))
	}
	if wanted.Len() > 0 {
		body.Set("filters", wanted)
	}
	key, descending := v.sorting()
	direction := "asc"
	switch {
	case key != "" && a.kind.Field(key) != nil && !a.kind.Field(key).Hidden:
		if descending {
			direction = "desc"
		}
	case a.kind.Order == personnel.ByID:
		key, direction = "id", "desc"
	default:
		key = ""
	}
	if key != "" {
		body.Set("sort", value.List(value.Map("field", key, "direction", direction)))
	}
	if a.kind.Hiding != nil && query.Get("hidden") == "1" {
		body.Set("scopes", value.List(value.Map("name", a.kind.Hiding.Hidden)))
	}
	return personnel.ReadSearch(a.kind, nil, body, nil)
}

// filters are those that the list offers: a text, references, yes or no, and choices. What other fields refer to is
// one if the page was asked for with it.
func (a *kindArea) filters(v *visit) ([]filter, error) {
	filters := []filter{v.filterText("q", "Search", "")}
	for _, f := range a.columns() {
		switch f.Type {
		case personnel.Reference:
			options, all, err := v.options(f.Refers)
			if err != nil {
				return nil, err
			}
			if !all {
				filters = append(filters, v.filterText(f.Name, fieldLabel(f), "Name or id"))
			} else if len(options) > 0 || v.URL.Query().Get(f.Name) != "" {
				filters = append(filters, v.filterBy(f.Name, fieldLabel(f), "Any", options))
			}
		case personnel.Boolean:
			filters = append(filters, v.filterBy(f.Name, fieldLabel(f), "Any", []option{{Value: "1", Label: "Yes"}, {Value: "0", Label: "No"}}))
		case personnel.Choice, personnel.Code:
			filters = append(filters, v.filterBy(f.Name, fieldLabel(f), "Any", choiceOptions(a.kind, f)))
		}
	}
	for i := range a.kind.Fields {
		f := &a.kind.Fields[i]
		isOffered := slices.ContainsFunc(filters, func(other filter) bool { return other.Name == f.Name })
		if (f.Type == personnel.Reference || isModel(f)) && !f.Hidden && !isOffered && v.URL.Query().Get(f.Name) != "" {
			filters = append(filters, v.filterText(f.Name, fieldLabel(f), ""))
		}
	}
	if h := a.kind.Hiding; h != nil {
		filters = append(filters, v.filterBy("hidden", "Show", "Those in use", []option{{Value: "1", Label: title(h.Hidden) + " ones"}}))
	}
	return filters, nil
}

func choiceOptions(k *personnel.Kind, f *personnel.Field) []option {
	options := make([]option, len(f.Options))
	for i, o := range f.Options {
		options[i] = option{Value: fmt.Sprint(o), Label: title(strings.ReplaceAll(fmt.Sprint(o), "_", " "))}
		if f.Type == personnel.Code {
			options[i].Label = codeLabel(k, f, o)
		}
	}
	return options
}

func (a *kindArea) list(v *visit) error {
	filters, err := a.filters(v)
	if err != nil {
		return err
	}
	search, err := a.search(v, filters)
	if err != nil {
		return err
	}
	if v.wantsCSV() {
		return a.export(v, search)
	}
	page, err := a.server.store.Search(v.Context(), v.actor.OrganizationID, search, v.paging())
	if err != nil {
		return err
	}
	fields := a.columns()
	if err := a.server.store.Include(v.Context(), v.actor.OrganizationID, page.Items, references(a.kind, fields)); err != nil {
		return err
	}
	p := &kindListPage{frame: v.newFrame(kindTitle(a.kind), a.kind.Path), Area: a, Filters: filters, Pager: pagerOf(v, page),
		One: strings.ToLower(a.kind.Class), Icon: kindIcons[a.kind.Path],
		Create: !a.kind.Listed && v.Can("create_"+a.permission), Delete: !a.kind.Listed && v.Can("delete_"+a.permission)}
	if p.Icon == "" {
		p.Icon = "list"
	}
	for i, f := range fields {
		c := column{Key: f.Name, Label: fieldLabel(f)}
		if f.Type == personnel.Reference || f.Type == personnel.Strings || f.Type == personnel.Text || i == 0 && f.Name == "id" && a.kind.Listed {
			c.Key = ""
		}
		p.Columns = append(p.Columns, c)
	}
	view, err := a.server.store.View(v.Context(), v.actor.OrganizationID)
	if err != nil {
		return err
	}
	for _, r := range page.Items {
		row := kindRow{ID: r.ID(), Label: labelOf(r)}
		if !a.kind.Listed && v.Can("view_"+a.permission) {
			row.URL = fmt.Sprintf("/%s/%d", a.kind.Path, r.ID())
		}
		for _, f := range fields {
			row.Cells = append(row.Cells, v.cellOf(r, f, false))
		}
		if a.kind.Listed {
			row.Cells = []cell{{Text: headline(r, view)}}
		}
		p.Rows = append(p.Rows, row)
	}
	if a.kind.Listed {
		p.Columns = []column{{Label: "What happened"}}
	}
	return v.render(http.StatusOK, "kind_list.html", p)
}

// headline says what a resource of the newsfeed tells.
func headline(r *personnel.Resource, view *personnel.View) string {
	text, _ := r.Data(view).Get("headline")
	return fmt.Sprint(text)
}

// exportPage is how many rows are read at once for a file.
const exportPage = 500

// export answers with a search as a file: every field that is not hidden, references by their names.
func (a *kindArea) export(v *visit, search *personnel.Search) error {
	var fields []*personnel.Field
	var head []string
	for i := range a.kind.Fields {
		if f := &a.kind.Fields[i]; !f.Hidden {
			fields, head = append(fields, f), append(head, fieldLabel(f))
		}
	}
	if a.kind.Listed {
		head = append(head, "What happened")
	}
	view, err := a.server.store.View(v.Context(), v.actor.OrganizationID)
	if err != nil {
		return err
	}
	included := references(a.kind, fields)
	return v.csv(a.kind.Path, head, func(write func([]string) error) error {
		for number := 1; ; number++ {
			page, err := a.server.store.Search(v.Context(), v.actor.OrganizationID, search, store.PageRequest{Number: number, Limit: exportPage, CountTo: -1})
			if err != nil {
				return err
			}
			if err := a.server.store.Include(v.Context(), v.actor.OrganizationID, page.Items, included); err != nil {
				return err
			}
			for _, r := range page.Items {
				row := make([]string, len(fields), len(head))
				for i, f := range fields {
					row[i] = v.cellText(v.cellOf(r, f, true))
				}
				if a.kind.Listed {
					row = append(row, headline(r, view))
				}
				if err := write(row); err != nil {
					return err
				}
			}
			if len(page.Items) < exportPage {
				return nil
			}
		}
	})
}

// cellText is a cell as text.
func (v *visit) cellText(c cell) string {
	switch {
	case c.Link != nil:
		return c.Link.Text
	case len(c.Badges) > 0:
		return strings.Join(c.Badges, ", ")
	case !c.At.IsZero():
		return c.At.In(v.location).Format(time.RFC3339)
	}
	return c.Text + c.Color + c.HTML + c.Image + c.Code
}
