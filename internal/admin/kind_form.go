package admin

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/internal/files"
	"github.com/buglehq/bugle/internal/store"
	"github.com/buglehq/bugle/personnel"
	"github.com/buglehq/bugle/value"
)

type kindFormPage struct {
	frame
	Area   *kindArea
	Form   *form
	Inputs []input
	Custom []input
	Action string
	Cancel string
	Upload bool // the form has files
	Tip    bool // messages: automations can send them too
}

// localTime is how browsers write a time in a form.
const localTime = "2006-01-02T15:04:05"

// A kindForm is the form for a resource: its inputs, and what they mean.
type kindForm struct {
	area   *kindArea
	inputs []input
	fields []*personnel.Field // one for each of inputs
	custom []input
	asked  []*personnel.Resource // definitions, one for each of custom
	typed  map[string]bool       // references to be typed, by the name of the field
	edits  bool                  // a resource that is there
}

// newKindForm returns the form for a resource: a new one, or one to be changed.
func (a *kindArea) newKindForm(v *visit, r *personnel.Resource) (*kindForm, error) {
	kf := &kindForm{area: a, typed: map[string]bool{}, edits: r.ID() != 0}
	fields := make([]*personnel.Field, 0, len(a.kind.Fields)+len(a.kind.Extras))
	for i := range a.kind.Fields {
		fields = append(fields, &a.kind.Fields[i])
	}
	for i := range a.kind.Extras {
		fields = append(fields, &a.kind.Extras[i])
	}
	for _, f := range fields {
		if f.ReadOnly && isModel(f) && !kf.edits && r.Get(f.Name) != nil {
			kf.inputs, kf.fields = append(kf.inputs, input{Name: f.Name, Kind: inputHidden, Value: fmt.Sprint(r.Get(f.Name))}), append(kf.fields, f)
			continue
		}
		if f.ReadOnly || f.Hidden || f.Name == "id" || f.Name == "created_at" || f.Name == "updated_at" {
			continue
		}
		in, err := kf.input(v, r, f)
		if err != nil {
			return nil, err
		}
		kf.inputs, kf.fields = append(kf.inputs, in), append(kf.fields, f)
	}
	definitions, err := a.server.store.CustomFields(v.Context(), v.actor.OrganizationID, r)
	if err != nil {
		return nil, err
	}
	for _, d := range definitions {
		if d.Get("readonly") == true || d.Text("type") == "component_text" {
			continue
		}
		kf.custom, kf.asked = append(kf.custom, customInput(d, r)), append(kf.asked, d)
	}
	return kf, nil
}

// input is the input for a field.
func (kf *kindForm) input(v *visit, r *personnel.Resource, f *personnel.Field) (input, error) {
	in := input{Name: f.SentAs(), Label: fieldLabel(f), Kind: inputText, Required: f.Required && f.Default == nil, Max: 255}
	if f.Max > 0 {
		in.Max = f.Max
	}
	var stored any
	if i := slices.IndexFunc(r.Kind.Fields, func(g personnel.Field) bool { return g.Name == f.Name }); i >= 0 {
		stored = r.Values[i]
	}
	if f.Name == "rrule" && kf.edits {
		if err := v.server.store.Include(v.Context(), v.actor.OrganizationID, []*personnel.Resource{r}, personnel.Shown("schedule")); err != nil {
			return in, err
		}
		if schedule := r.Related["schedule"]; schedule != nil {
			stored = schedule.Get("rrule")
		}
	}
	if stored != nil {
		in.Value = fmt.Sprint(stored)
	}
	switch f.Type {
	case personnel.Integer:
		in.Kind, in.Max = inputNumber, 0
		if f.Name == "order" && r.Kind.Order == personnel.BySorted && !kf.edits && stored == f.Default {
			in.Value, in.Help = "", "Left empty, it comes last."
		}
	case personnel.Reference:
		options, all, err := v.options(f.Refers)
		if err != nil {
			return in, err
		}
		in.Max = 0
		if all {
			in.Kind, in.Options, in.Blank = inputSelect, options, "None"
			if in.Required {
				in.Blank = "Choose one"
			}
		} else {
			kf.typed[in.Name] = true
			in.Help = "There are many: type the name, or the id."
		}
		id, ok := stored.(int64)
		if !ok || in.offers(in.Value) {
			break
		}
		other, err := v.server.store.Get(v.Context(), v.actor.OrganizationID, personnel.ByName(f.Refers), id)
		switch {
		case errors.Is(err, bugle.ErrNotFound):
		case err != nil:
			return in, err
		case all: // lists leave it out
			in.Options = append(in.Options, option{Value: in.Value, Label: labelOf(other)})
		default:
			in.Help += " Now: " + labelOf(other) + "."
		}
	case personnel.Text:
		in.Kind, in.Rows, in.Max = inputArea, 4, 0
		if richFields[f.Name] {
			in.Help = "Simple HTML may be used."
		}
	case personnel.Boolean:
		in.Kind, in.Max, in.Required = inputSwitch, 0, false
		in.Value = ""
		if stored == true {
			in.Value = "1"
		}
	case personnel.DateTime, personnel.RawTime:
		in.Kind, in.Max, in.Step, in.Value = inputDateTime, 0, "1", ""
		in.Help = "In the time zone " + v.location.String() + "."
		if text, ok := stored.(string); ok {
			if at, ok := personnel.ParseTime(text); ok {
				in.Value = at.In(v.location).Format(localTime)
			}
		}
	case personnel.Email:
		in.Kind = inputEmail
		if !kf.edits || r.Kind != &personnel.User || r.ID() == v.actor.UserID || v.Can("update_account") {
			break
		}
		// Whoever gives an account another address can have a new password sent there.
		switch _, err := v.server.store.Account(v.Context(), v.actor.OrganizationID, r.ID()); {
		case err == nil:
			in.ReadOnly, in.Help = true, "They sign in with it, so it takes the right to edit accounts to change it."
		case !errors.Is(err, bugle.ErrNotFound):
			return in, err
		}
	case personnel.Choice, personnel.Code:
		in.Kind, in.Max, in.Options = inputSelect, 0, choiceOptions(r.Kind, f)
		if f.Null && (!in.Required && f.Default == nil || stored == nil && kf.edits) {
			in.Blank = "None"
		}
		if stored != nil && !in.offers(in.Value) { // of an import
			in.Options = append(in.Options, option{Value: in.Value, Label: in.Value})
		}
	case personnel.Strings:
		if len(f.Options) > 0 {
			in.Kind, in.Max, in.Values, in.Options = inputChecks, 0, storedTexts(stored), choiceOptions(r.Kind, f)
			if f.Name == "channels" || f.Name == "notifications_channels" {
				for i := range in.Options {
					if c := bugle.ChannelByName(in.Options[i].Value); c != nil {
						in.Options[i].Label, in.Options[i].Help = c.Label, c.About
					}
				}
			}
			break
		}
		in.Value, in.Max, in.Help = strings.Join(storedTexts(stored), ", "), 0, "Several are separated by commas."
	case personnel.Integers:
		in.Value, in.Max, in.Help = strings.Join(storedTexts(stored), ", "), 0, "Ids, separated by commas."
		if f.Name == "recipients" {
			in.Help = "The ids of users, separated by commas. Left empty, everyone gets it."
		}
	case personnel.JSON:
		in.Kind, in.Language, in.Max, in.Rows = inputEditor, "json", 0, 5
		if stored != nil {
			in.Value = prettyJSON(storedJSON(stored))
		}
	case personnel.Photo:
		in.Kind, in.Max, in.Value, in.Accept = inputFile, 0, "", "image/*"
	case personnel.File:
		in.Kind, in.Max, in.Value = inputFile, 0, ""
	}
	if (in.Kind == inputText) && anyHexColor.MatchString(in.Value) || f.Name == "color" {
		in.Placeholder = "#2563eb"
	}
	if f.IsFile() && r.ID() != 0 {
		in.Required = false // it has one
	}
	if f.Name == "rrule" {
		in.Label, in.Help = "Repeat", "A recurrence rule such as FREQ=WEEKLY;COUNT=4, if it is to be sent again and again."
	}
	return in, nil
}

// storedJSON is what the text of a JSON field says.
func storedJSON(stored any) any {
	text, _ := stored.(string)
	decoded, err := value.Decode([]byte(text))
	if err != nil {
		return stored
	}
	return decoded
}

func storedTexts(stored any) []string {
	if stored == nil {
		return nil
	}
	return listTexts(stored)
}

// customInput is the input for a custom field.
func customInput(d, r *personnel.Resource) input {
	key := d.Text("key")
	in := input{Name: key, Label: d.Text("name"), Kind: inputText, Help: d.Text("help"), Placeholder: d.Text("placeholder"), Required: d.Get("required") == true}
	if r.ID() == 0 {
		in.Value = d.Text("default")
	}
	stored, _ := r.Custom.Get(key)
	if stored != nil {
		in.Value = fmt.Sprint(stored)
	}
	at, isTime := personnel.ParseTime(in.Value)
	switch d.Text("type") {
	case "boolean":
		in.Kind, in.Required = inputSwitch, false
	case "code", "textarea":
		in.Kind = inputArea
	case "date":
		if in.Kind = inputDate; isTime {
			in.Value = at.Format(time.DateOnly)
		}
	case "datetime-local":
		if in.Kind, in.Step = inputDateTime, "1"; isTime {
			in.Value = at.Format(localTime)
		}
	case "email":
		in.Kind = inputEmail
	case "file":
		in.Kind, in.Required = inputFile, in.Required && in.Value == ""
	case "number":
		in.Kind, in.Step = inputNumber, "any"
	case "password":
		in.Kind, in.Reveal = inputPassword, true
	case "select":
		in.Kind, in.Blank = inputSelect, "None"
		options, _ := d.Get("options").(*value.Array)
		if text, ok := d.Get("options").(string); ok {
			decoded, _ := value.Decode([]byte(text))
			options, _ = decoded.(*value.Array)
		}
		for key, item := range options.All() {
			o := option{Value: fmt.Sprint(item), Label: fmt.Sprint(item)}
			if !options.IsList() {
				o.Value = key.String()
			}
			in.Options = append(in.Options, o)
		}
		if list, isList := stored.(*value.Array); isList { // which this cannot choose
			in.Value, in.Help = "", strings.TrimSpace(in.Help+" Now: "+strings.Join(listTexts(list), ", ")+".")
		} else if in.Value != "" && !in.offers(in.Value) {
			in.Options = append(in.Options, option{Value: in.Value, Label: in.Value})
		}
	}
	return in
}

// read returns what the form says, as the rules of the kind take it. What cannot be read is a problem of
// the form.
func (kf *kindForm) read(v *visit, f *form) (*value.Array, []*personnel.Upload, error) {
	fields := f.array(slices.Concat(kf.inputs, kf.custom))
	var uploads []*personnel.Upload
	for i, in := range kf.inputs {
		field := kf.fields[i]
		text := strings.TrimSpace(f.Get(in.Name))
		if in.Kind != inputFile && !f.Has(in.Name) && in.Kind != inputSwitch && in.Kind != inputChecks {
			fields.Delete(in.Name) // the form did not have it
			continue
		}
		switch field.Type {
		case personnel.Integer, personnel.Code:
			fields.Set(in.Name, numberOrText(text))
			if text == "" && !field.Null {
				fields.Delete(in.Name)
			}
		case personnel.Reference:
			if text == "" {
				break
			}
			id, err := v.resolve(field.Refers, text)
			var invalid *bugle.InvalidError
			if errors.As(err, &invalid) {
				f.add(in.Name, invalid.Problems[0].Reason)
			} else if err != nil {
				return nil, uploads, err
			}
			fields.Set(in.Name, id)
		case personnel.DateTime, personnel.RawTime:
			if text == "" {
				break
			}
			at, err := parseLocal(text, v.location)
			if err != nil {
				f.add(in.Name, fmt.Sprintf("%q is no time.", text))
				break
			}
			fields.Set(in.Name, at.UTC().Format(time.RFC3339))
		case personnel.Strings, personnel.Integers:
			if in.Kind == inputChecks {
				if len(f.All(in.Name)) == 0 && field.Null {
					fields.Set(in.Name, nil)
				}
				break
			}
			list := value.NewArray(4)
			for item := range strings.SplitSeq(text, ",") {
				if item = strings.TrimSpace(item); item == "" {
					continue
				}
				if field.Type == personnel.Integers {
					list.Append(numberOrText(item))
				} else {
					list.Append(item)
				}
			}
			if fields.Set(in.Name, list); list.Len() == 0 && field.Null {
				fields.Set(in.Name, nil)
			}
		case personnel.JSON:
			if text == "" {
				break
			}
			decoded, err := value.Decode([]byte(text))
			if err != nil {
				f.add(in.Name, fmt.Sprintf("The %s field is %s.", in.Label, err))
				break
			}
			fields.Set(in.Name, decoded)
		}
	}
	for i, in := range slices.Concat(kf.inputs, kf.custom) {
		if in.Kind != inputFile {
			isCustom := i >= len(kf.inputs)
			if kf.edits && f.untouched(in) || isCustom && in.Kind != inputSwitch && !f.Has(in.Name) {
				fields.Delete(in.Name)
			}
			continue
		}
		upload, err := v.upload(in.Name)
		if errors.Is(err, files.ErrTooLarge) {
			f.add(in.Name, fmt.Sprintf("The file may have %d KiB.", personnel.MaxUpload>>10))
		} else if err != nil {
			return nil, uploads, err
		}
		if upload != nil {
			uploads = append(uploads, upload)
			fields.Set(in.Name, upload)
		}
	}
	return fields, uploads, nil
}

// parseLocal reads what a browser writes of a time, with or without seconds.
func parseLocal(text string, location *time.Location) (time.Time, error) {
	at, err := time.ParseInLocation(localTime, text, location)
	if err != nil {
		at, err = time.ParseInLocation("2006-01-02T15:04", text, location)
	}
	return at, err
}

// upload stores a file that came with the form; nil if none did.
func (v *visit) upload(name string) (*personnel.Upload, error) {
	header := v.file(name)
	if header == nil || v.server.o.Files == nil {
		return nil, nil
	}
	content, err := header.Open()
	if err != nil {
		return nil, err
	}
	defer content.Close()
	quotas, err := v.server.store.Quotas(v.Context(), v.actor.OrganizationID)
	if err != nil {
		return nil, err
	}
	return v.server.o.Files.PutWithin(quotas.Storage, v.actor.OrganizationID, header.Filename, content, personnel.MaxUpload)
}

// drop removes those uploads that no change has kept.
func (v *visit) drop(uploads []*personnel.Upload) {
	for _, u := range uploads {
		if u.Kept {
			continue
		}
		if err := v.server.o.Files.Remove(u.Path); err != nil {
			v.server.o.Log.ErrorContext(v.Context(), "removing uploads failed", "request_id", v.actor.RequestID, "error", err)
		}
	}
}

// blank returns a new resource with what the address says: /rank-records/create?user_id=7.
func (a *kindArea) blank(values url.Values) *personnel.Resource {
	r := personnel.New(a.kind)
	for name := range values {
		f := a.kind.Field(name)
		if f == nil || f.ReadOnly && !isModel(f) || f.Hidden {
			continue
		}
		switch f.Type {
		case personnel.Reference, personnel.Integer, personnel.Code:
			if n, err := strconv.ParseInt(values.Get(name), 10, 64); err == nil {
				r.Set(name, n)
			}
		case personnel.String, personnel.Text, personnel.Choice:
			r.Set(name, values.Get(name))
		}
	}
	return r
}

// isModel reports whether a field names, with another, the resource that one belongs to.
func isModel(f *personnel.Field) bool { return f.Name == "model_type" || f.Name == "model_id" }

// owner is what a new resource is to belong to that cannot be written into it: an attachment of an event. It is nil
// if the resource is to belong to nothing.
func (a *kindArea) owner(r *personnel.Resource) (*personnel.Within, error) {
	if f := a.kind.Field("model_type"); f == nil || !f.ReadOnly || r.Get("model_type") == nil {
		return nil, nil
	}
	id, _ := r.Get("model_id").(int64)
	k := personnel.ByModel(r.Text("model_type"))
	if k == nil {
		return nil, bugle.ErrNotFound
	}
	var w *personnel.Within
	for i := range k.Relations {
		rel := &k.Relations[i]
		if rel.Kind == a.kind.Name && rel.Where == "model_type" && (w == nil || rel.Many) {
			w = &personnel.Within{Kind: k, ID: id, Relation: rel}
		}
	}
	if w == nil {
		return nil, bugle.ErrNotFound
	}
	return w, nil
}

func (a *kindArea) showCreate(v *visit) error {
	r := a.blank(v.URL.Query())
	if f := a.kind.Field("author_id"); f != nil && !f.ReadOnly && r.Get("author_id") == nil {
		r.Set("author_id", v.actor.UserID)
	}
	kf, err := a.newKindForm(v, r)
	if err != nil {
		return err
	}
	return a.renderForm(v, http.StatusOK, newForm(nil), kf, r)
}

func (a *kindArea) renderForm(v *visit, status int, f *form, kf *kindForm, r *personnel.Resource) error {
	title, action, back := "New "+strings.ToLower(a.kind.Class), "/"+a.kind.Path, a.back(v, r)
	if r.ID() != 0 {
		title, action = "Edit "+labelOf(r), fmt.Sprintf("/%s/%d", a.kind.Path, r.ID())
	}
	p := &kindFormPage{frame: v.newFrame(title, a.kind.Path), Area: a, Form: f, Inputs: f.fill(kf.inputs), Custom: f.fill(kf.custom),
		Action: action, Cancel: back.URL, Tip: a.kind.Name == "message" && v.Can("create_automation")}
	p.Back, p.Narrow = back, true
	p.Upload = slices.ContainsFunc(slices.Concat(kf.inputs, kf.custom), func(in input) bool { return in.Kind == inputFile })
	return v.render(status, "kind_form.html", p)
}

func (a *kindArea) create(v *visit) error {
	f, err := v.form()
	if err != nil {
		return err
	}
	r := a.blank(f.values)
	owner, err := a.owner(r)
	if err != nil {
		return err
	}
	return a.save(v, f, r, func(tx *store.Tx, fields *value.Array) (*personnel.Resource, error) {
		if owner != nil {
			return tx.CreateWithin(v.actor, owner, fields)
		}
		return tx.Create(v.actor, a.kind, fields)
	})
}

func (a *kindArea) showEdit(v *visit) error {
	r, err := a.find(v)
	if err != nil {
		return err
	}
	kf, err := a.newKindForm(v, r)
	if err != nil {
		return err
	}
	return a.renderForm(v, http.StatusOK, newForm(nil), kf, r)
}

func (a *kindArea) update(v *visit) error {
	r, err := a.find(v)
	if err != nil {
		return err
	}
	f, err := v.form()
	if err != nil {
		return err
	}
	return a.save(v, f, r, func(tx *store.Tx, fields *value.Array) (*personnel.Resource, error) {
		return tx.Update(v.actor, a.kind, r.ID(), fields)
	})
}

// errUnread undoes a change that was tried only to see what else is wrong with a form that cannot be read.
var errUnread = errors.New("the form cannot be read")

// save reads the form and writes the resource, or shows the form again with what is wrong.
func (a *kindArea) save(v *visit, f *form, r *personnel.Resource, write func(tx *store.Tx, fields *value.Array) (*personnel.Resource, error)) error {
	kf, err := a.newKindForm(v, r)
	if err != nil {
		return err
	}
	fields, uploads, err := kf.read(v, f)
	defer func() { v.drop(uploads) }()
	if err != nil {
		return err
	}
	var saved *personnel.Resource
	unread := slices.Collect(maps.Keys(f.Problems))
	err = a.server.store.Update(v.Context(), func(tx *store.Tx) (err error) {
		if saved, err = write(tx, fields); err == nil && len(unread) > 0 {
			return errUnread
		}
		return err
	})
	if !f.take(err, unread...) && err != nil && err != errUnread {
		return err
	}
	if f.Failed() {
		return a.renderForm(v, http.StatusUnprocessableEntity, f, kf, r)
	}
	v.flash("success", "Saved."+a.consequences(v))
	return v.redirect(a.back(v, saved).URL)
}

// consequences says what a change has set off.
func (a *kindArea) consequences(v *visit) string {
	if !a.kind.Emits || !v.Can("view_any_webhook_log") {
		return ""
	}
	page, err := a.server.store.Deliveries(v.Context(), v.actor.OrganizationID, store.DeliveryFilter{RequestID: v.actor.RequestID}, store.PageRequest{Number: 1, Limit: 1, CountTo: 1000})
	switch {
	case err != nil || page.Total == 0:
		return ""
	case page.Total == 1:
		return " A webhook is called about it."
	}
	return fmt.Sprintf(" %d webhook calls are made about it.", page.Total)
}
