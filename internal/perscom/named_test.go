package perscom_test

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/buglehq/bugle/personnel"
	"github.com/buglehq/bugle/value"
)

// idsOfAll returns the ids of all rows, by kind and sorted, but for those given. Rows of kinds without a
// collection are sorted by what they belong to: nobody sees the order of their ids.
func (i *installation) idsOfAll(but map[string][]int64) map[string][]int64 {
	all := map[string][]int64{}
	for _, k := range personnel.Kinds() {
		order := "id"
		switch k {
		case &personnel.UnitSlot:
			order = "unit_id, slot_id"
		case &personnel.Schedule:
			order = "event_id, message_id"
		}
		all[k.Name] = slices.DeleteFunc(i.ids("SELECT id FROM "+k.Table+" WHERE organization_id = 1 ORDER BY "+order), func(id int64) bool {
			return slices.Contains(but[k.Name], id)
		})
	}
	return all
}

var eventPage = regexp.MustCompile(`HOST\\/events\\/[0-9]+`)

// A namer gives rows names that are the same in two installations where the one has copies of the
// other's: the kind, and the place in the order of the ids.
type namer struct {
	ids map[string][]int64
}

func (n *namer) name(kind string, v any) (string, bool) {
	id, ok := v.(int64)
	if !ok {
		return fmt.Sprint(v), true
	}
	at := slices.Index(n.ids[kind], id)
	return fmt.Sprintf("%s #%d", kind, at), at >= 0
}

// resource renders a resource with names in place of ids. It reports false for one that has no name.
func (n *namer) resource(k *personnel.Kind, data *value.Array) (*value.Array, bool) {
	named := value.NewArray(data.Len())
	id, _ := data.Get("id")
	own, known := n.name(k.Name, id)
	if !known {
		return nil, false
	}
	set := func(key, kind string, v any) {
		text, _ := n.name(kind, v)
		named.Set(key, text)
	}
	for key, v := range data.All() {
		name := key.String()
		f, rel := k.Field(name), k.Relation(name)
		switch {
		case name == "id":
			named.Set(name, own)
		case name == "label":
		case f != nil && f.Type == personnel.Reference:
			set(name, f.Refers, v)
		case name == "model_id" && v != nil:
			model, _ := data.Get("model_type")
			set(name, personnel.ByModel(model.(string)).Name, v)
		case name == "recipients" && v != nil:
			list := value.NewArray(0)
			for _, user := range v.(*value.Array).All() {
				text, _ := n.name("user", user)
				list.Append(text)
			}
			named.Set(name, list)
		case strings.HasPrefix(name, "leader_"):
			if list, ok := v.(*value.Array); ok {
				var names []string
				for _, user := range list.All() {
					id := int64(0)
					fmt.Sscan(user.(string), &id)
					text, _ := n.name("user", id)
					names = append(names, text)
				}
				named.Set(name, strings.Join(names, " "))
			} else {
				set(name, "user", v)
			}
		case rel != nil && rel.Model:
		case rel != nil && isArray(v):
			other := personnel.ByName(rel.Kind)
			if rel.IsMany() {
				named.Set(name, n.list(other, v.(*value.Array)))
			} else if one, ok := n.resource(other, v.(*value.Array)); ok {
				named.Set(name, one)
			}
		case (name == "pivot" || name == "record" || name == "assignment") && k.Field(name) == nil:
			row := value.NewArray(0)
			for column, v := range v.(*value.Array).All() {
				kind := strings.ReplaceAll(strings.TrimSuffix(column.String(), "_id"), "_", "")
				switch kind {
				case "assignedby":
					kind = "user"
				}
				if strings.HasSuffix(column.String(), "_id") {
					text, _ := n.name(kind, v)
					row.Set(column.String(), text)
				} else {
					row.Set(column.String(), v)
				}
			}
			named.Set(name, row)
		default:
			named.Set(name, v)
		}
	}
	return named, true
}

func (n *namer) list(k *personnel.Kind, list *value.Array) *value.Array {
	named := value.NewArray(list.Len())
	for _, item := range list.All() {
		if one, ok := n.resource(k, item.(*value.Array)); ok {
			named.Append(one)
		}
	}
	return named
}

// namedLists are the lists of every kind, and those within, of the rows with the ids, with names in
// place of these.
func (i *installation) namedLists(ids map[string][]int64) map[string]string {
	i.Helper()
	n := &namer{ids: ids}
	all := map[string]string{}
	ask := func(what string, k *personnel.Kind, method, path, body string) {
		_, list := i.get(method, path, body)
		text, err := value.JSON(n.list(k, list))
		if err != nil {
			i.Fatal(err)
		}
		plain := strings.ReplaceAll(string(text), strings.ReplaceAll(i.url, "/", `\/`), "HOST")
		all[what] = eventPage.ReplaceAllString(filePath.ReplaceAllString(plain, "FILE"), "EVENT")
	}
	for _, k := range personnel.Kinds() {
		if k.Path == "" {
			continue
		}
		path := "/v2/" + k.Path
		query := "?limit=1000&include=" + strings.Join(k.Includes, ",")
		ask(k.Path, k, "GET", path+query, "")
		if k.Hiding != nil {
			ask(k.Path+" that are hidden", k, "POST", path+"/search"+query, `{"scopes":[{"name":"`+k.Hiding.Hidden+`"}]}`)
		}
		for _, nested := range k.Nested {
			rel := k.Relation(nested.Relation)
			for at, id := range ids[k.Name] {
				if rel.IsMany() {
					ask(fmt.Sprintf("%s #%d/%s", k.Path, at, nested.Path), personnel.ByName(rel.Kind), "GET", fmt.Sprintf("%s/%d/%s?limit=1000", path, id, nested.Path), "")
				}
			}
		}
	}
	return all
}

// ownLists are the lists of those rows alone, as they are.
func (i *installation) ownLists(ids map[string][]int64) map[string]string {
	i.Helper()
	all := map[string]string{}
	for _, k := range personnel.Kinds() {
		if k.Path == "" {
			continue
		}
		_, list := i.get("GET", "/v2/"+k.Path+"?limit=1000", "")
		own := value.NewArray(0)
		for _, item := range list.All() {
			id, _ := item.(*value.Array).Get("id")
			if slices.Contains(ids[k.Name], id.(int64)) {
				own.Append(item)
			}
		}
		text, err := value.JSON(own)
		if err != nil {
			i.Fatal(err)
		}
		all[k.Path] = string(text)
	}
	return all
}

func isArray(v any) bool {
	_, ok := v.(*value.Array)
	return ok
}
