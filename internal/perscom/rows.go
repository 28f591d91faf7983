package perscom

import (
	"context"
	"errors"
	"io"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/buglehq/bugle/internal/files"
	"github.com/buglehq/bugle/internal/store"
	"github.com/buglehq/bugle/personnel"
	"github.com/buglehq/bugle/value"
)

// A definition is what is to be known of a custom field to copy its values.
type definition struct {
	isFile bool
	refers *personnel.Kind // the values are ids; nil: they are not
}

// remember notes what others need to know of a resource.
func (c *Copy) remember(k *personnel.Kind, data *value.Array) {
	id := idOf(data, "id")
	switch k {
	case &personnel.CustomField:
		d := definition{isFile: str(data, "type") == "file"}
		if str(data, "options_type") == "model" {
			d.refers = personnel.ByPath(str(data, "options_model"))
		}
		c.fields[str(data, "key")] = d
	case &personnel.Slot:
		c.slots = append(c.slots, slotOf(data))
	case &personnel.User:
		c.people.add(str(data, "display_name"), str(data, "profile_photo_url"), id)
	}
	c.people.addRecord(k, data)
	if len(c.relations[k]) > 0 {
		c.ids[k] = append(c.ids[k], id)
	}
	for _, rel := range c.relations[k] {
		if list := linksOf(rel.Pivot, objects(get(data, rel.Name))); len(list) > 0 && k != &personnel.Slot {
			name := k.Name + "." + rel.Name
			c.links[name] = append(c.links[name], links{id, list})
		}
	}
}

// computed are keys of rendered resources that are no fields.
var computed = []string{"label", "data", "text_color", "bg_color", "pivot", "record", "assignment", "laravel_through_key"}

// isCustom reports whether a key of a rendered resource is that of a custom field.
func isCustom(k *personnel.Kind, key string, data *value.Array) bool {
	if k.Field(key) != nil || slices.Contains(computed, key) ||
		slices.ContainsFunc(k.Appended, func(a personnel.Appended) bool { return a.Name == key }) {
		return false
	}
	v := get(data, key)
	if k.Relation(key) != nil {
		_, isArray := v.(*value.Array)
		return !isArray && !slices.Contains(k.Always, key) && !slices.Contains(includes(k), key)
	}
	if list, ok := v.(*value.Array); ok && isResource(list) {
		return false
	}
	of, isURL := strings.CutSuffix(key, "_url")
	return !isURL || !personnel.LooksLikeFile(get(data, of)) || !isCustom(k, of, data)
}

// isResource reports whether a value is a rendered resource, or a list of them.
func isResource(v *value.Array) bool {
	if v.IsList() {
		first, _ := v.GetInt(0)
		inner, ok := first.(*value.Array)
		return ok && !inner.IsList() && isResource(inner)
	}
	return v.Has("id") && v.Has("created_at")
}

// row turns a rendered resource into the row that it is of, and fetches the files that it names. It
// returns nil for what cannot be a row, after saying why, and the files in any case.
func (c *Copy) row(ctx context.Context, k *personnel.Kind, data *value.Array) (*store.ImportRow, []*personnel.Upload, error) {
	id := idOf(data, "id")
	row := &store.ImportRow{Resource: personnel.New(k), CustomRefers: map[string]*personnel.Kind{}}
	row.Set("id", id)
	if k == &personnel.NewsfeedItem {
		c.newsfeed(row, data)
		return row, nil, nil
	}
	var uploads []*personnel.Upload
	for i := range k.Fields {
		f := &k.Fields[i]
		v, present := data.Get(f.Name)
		if f.Name == "id" || f.Hidden || !present && f.Default != nil {
			continue
		}
		if f.IsFile() && v != nil && v != "" {
			u, reason, err := c.file(ctx, v, fileURL(k, f, data), str(data, "filename"))
			if err != nil {
				return nil, uploads, err
			}
			if u != nil {
				uploads, v = append(uploads, u), u
			}
			if reason != "" {
				c.problem(Problem{Kind: title(k), ID: id, Field: f.Name, Reason: reason})
				if !f.Null {
					return nil, uploads, nil
				}
				v = nil
			}
		} else if f.IsFile() {
			v = nil
		}
		stored, wanted := f.Keep(v)
		if wanted != "" {
			c.problem(Problem{Kind: title(k), ID: id, Field: f.Name, Reason: wanted + ", not " + value.Describe(v)})
			if stored, wanted = f.Keep(nil); wanted != "" {
				return nil, uploads, nil
			}
		}
		row.Values[i] = stored
	}
	if k == &personnel.CalendarEvent && c.isEventPage(str(data, "url"), id) {
		row.Set("url", nil)
	}
	taken, err := c.custom(ctx, k, row, data)
	return row, append(uploads, taken...), err
}

// custom takes over the custom fields of a rendered resource.
func (c *Copy) custom(ctx context.Context, k *personnel.Kind, row *store.ImportRow, data *value.Array) ([]*personnel.Upload, error) {
	var uploads []*personnel.Upload
	custom := value.NewArray(0)
	for key, v := range data.All() {
		name := key.String()
		if !isCustom(k, name, data) {
			continue
		}
		if !k.Custom {
			c.note("The source's %s have a field %s, which Bugle does not know: it is left out.", title(k), name)
			continue
		}
		defined := c.fields[name]
		if address := get(data, name+"_url"); defined.isFile && address != nil && personnel.LooksLikeFile(v) {
			u, reason, err := c.file(ctx, v, address, "")
			if err != nil {
				return uploads, err
			}
			v = nil
			if u != nil {
				uploads, v = append(uploads, u), u.Path
			}
			if reason != "" {
				c.problem(Problem{Kind: title(k), ID: row.ID(), Field: name, Reason: reason})
			}
		}
		if defined.refers != nil {
			row.CustomRefers[name] = defined.refers
		}
		custom.Set(name, v)
	}
	if custom.Len() > 0 {
		row.Custom = custom
	}
	return uploads, nil
}

// fileURL is the address that is rendered for a field that holds a file.
func fileURL(k *personnel.Kind, f *personnel.Field, data *value.Array) any {
	for _, name := range []string{f.Name + "_url", k.Name + "_url"} {
		if v, ok := data.Get(name); ok {
			return v
		}
	}
	return nil
}

// file fetches a file into the folder. The error is one that ends the import, the reason one that
// costs the file.
func (c *Copy) file(ctx context.Context, stored, address any, name string) (u *personnel.Upload, reason string, err error) {
	text, ok := address.(string)
	if !ok || text == "" {
		return nil, "the source does not say where the file is", nil
	}
	if name == "" {
		name, _ = stored.(string)
	}
	err = c.Source.File(ctx, text, func(r io.Reader) (err error) {
		if u, err = c.Files.Put(c.OrganizationID, name, r, personnel.MaxUpload); err != nil {
			return err
		}
		if like, ok := stored.(string); ok {
			return c.Files.Rename(u, like)
		}
		return nil
	})
	var own *ownError
	switch {
	case err == nil:
		return u, "", nil
	case ctx.Err() != nil:
		return nil, "", context.Cause(ctx)
	case errors.As(err, &own) && !errors.Is(err, files.ErrTooLarge):
		return nil, "", err
	case !isRefused(err):
		if down := c.Check(ctx); down != nil { // then it is not about this file
			return nil, "", down
		}
	}
	return nil, "the file cannot be fetched: " + printable(err.Error()), nil
}

// isEventPage reports whether a calendar event's url is only the address of its page at the source,
// which is rendered where it has none.
func (c *Copy) isEventPage(text string, id int64) bool {
	u, err := url.Parse(text)
	if err != nil || !strings.HasSuffix(u.Path, "/events/"+strconv.FormatInt(id, 10)) || u.RawQuery != "" {
		return false
	}
	own := c.Source.base.Hostname()
	return strings.EqualFold(u.Hostname(), own) || site(u.Hostname()) == site(own)
}

// site is the last two labels of a host: app.perscom.io and api.perscom.io are of the same.
func site(host string) string {
	labels := strings.Split(strings.ToLower(host), ".")
	if net.ParseIP(host) != nil || len(labels) < 2 {
		return host
	}
	return strings.Join(labels[len(labels)-2:], ".")
}

// schedule returns the row of the schedule that belongs to a resource, if there is one.
func (c *Copy) schedule(ctx context.Context, k *personnel.Kind, data *value.Array) ([]*store.ImportRow, error) {
	rel := k.Relation("schedule")
	if rel == nil {
		return nil, nil
	}
	object, ok := get(data, "schedule").(*value.Array)
	if !ok || object.Len() == 0 {
		return nil, nil
	}
	row, _, err := c.row(ctx, personnel.ByName(rel.Kind), object)
	if row == nil || err != nil {
		return nil, err
	}
	id := idOf(data, "id")
	if row.ID() <= 0 { // a number that no other row has, and that tells the two kinds apart
		row.Set("id", -2*id)
		if k == &personnel.Message {
			row.Set("id", -2*id-1)
		}
	}
	row.Set(rel.Inverse, id)
	return []*store.ImportRow{row}, nil
}

// people are the source's users as the newsfeed calls them, for it does not say their ids.
type people struct {
	ids       map[string][]int64  // by name and photo
	namesakes bool                // some have both in common
	records   map[string][]record // with namesakes: by kind and text
}

type record struct {
	user, author int64
	created      string
}

func (p *people) add(name, photo string, id int64) {
	key := name + "\x00" + photo
	p.namesakes = p.namesakes || len(p.ids[key]) > 0
	p.ids[key] = append(p.ids[key], id)
}

func (p *people) addRecord(k *personnel.Kind, data *value.Array) {
	if k.Field("user_id") == nil || k.Field("document_id") == nil || !p.namesakes {
		return
	}
	key := k.Name + "\x00" + str(data, "text")
	p.records[key] = append(p.records[key], record{idOf(data, "user_id"), idOf(data, "author_id"), str(data, "created_at")})
}

// find returns the id of the only person of that name and photo who could be meant, or 0.
func (p *people) find(name, photo string, could func(id int64) bool) int64 {
	list := p.ids[name+"\x00"+photo]
	if len(list) > 1 {
		list = slices.DeleteFunc(slices.Clone(list), func(id int64) bool { return !could(id) })
	}
	if len(list) != 1 {
		return 0
	}
	return list[0]
}

// newsfeed fills the row of a newsfeed item.
func (c *Copy) newsfeed(row *store.ImportRow, data *value.Array) {
	kind := str(data, "type")
	plain := strings.ToLower(strings.NewReplacer(" ", "", "_", "", "-", "").Replace(kind))
	for _, name := range []string{plain + "record", plain} {
		if personnel.ByName(name) != nil {
			kind = name
			break
		}
	}
	row.Set("type", kind)
	for _, name := range []string{"text", "item", "created_at"} {
		stored, wanted := row.Kind.Field(name).Keep(get(data, name))
		if wanted != "" {
			c.problem(Problem{Kind: "newsfeed", ID: row.ID(), Field: name, Reason: wanted})
		}
		row.Set(name, stored)
	}
	row.Set("updated_at", row.Get("created_at"))
	records := c.people.records[kind+"\x00"+str(data, "text")]
	created := str(data, "created_at")
	if slices.ContainsFunc(records, func(r record) bool { return r.created == created }) {
		records = slices.DeleteFunc(slices.Clone(records), func(r record) bool { return r.created != created })
	}
	for _, who := range []struct {
		name, field string
		is          func(r record, id int64) bool
	}{
		{"author", "author_id", func(r record, id int64) bool { return r.author == id }},
		{"recipient", "recipient_id", func(r record, id int64) bool { return r.user == id }},
	} {
		name := str(data, who.name)
		if name == "" {
			continue
		}
		id := c.people.find(name, str(data, who.name+"_profile_photo"), func(id int64) bool {
			return slices.ContainsFunc(records, func(r record) bool { return who.is(r, id) })
		})
		if id == 0 {
			c.problem(Problem{Kind: "newsfeed", ID: row.ID(), Field: who.name, Reason: "it is not clear which user is meant by " + strconv.Quote(printable(name))})
			continue
		}
		row.Set(who.field, id)
	}
}
