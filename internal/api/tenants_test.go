package api_test

import (
	"cmp"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/internal/storetest"
	"github.com/buglehq/bugle/personnel"
	"github.com/buglehq/bugle/value"
)

// Marks of the organizations: no word of the program, its documents or examples.
const (
	ours   = "quartz"
	theirs = "zircon"
)

// An asked operation is a method of a path, as the router has it.
type asked struct {
	method, path string
	inPath       []string // placeholders of the path, in its order
	body         string   // name of the request body; empty: it has none
	query        []string // names of parameters
}

func (o asked) String() string { return o.method + " " + o.path }

// operations are all of the API that need a key. Those that delete come last, because others need what there is.
func (s *server) asked() []asked {
	s.Helper()
	d := s.description()
	var list []asked
	for path, item := range d.object("paths") {
		if !strings.HasPrefix(path, "/v2/") {
			continue
		}
		for method, v := range item.(map[string]any) {
			described, ok := v.(map[string]any)
			if !ok {
				continue // parameters of the path
			}
			o := asked{method: strings.ToUpper(method), path: path}
			for part := range strings.SplitSeq(path, "/") {
				if strings.HasPrefix(part, "{") {
					o.inPath = append(o.inPath, strings.Trim(part, "{}"))
				}
			}
			if body, ok := described["requestBody"].(map[string]any); ok {
				o.body = last(body["$ref"])
			}
			parameters, _ := described["parameters"].([]any)
			for _, p := range parameters {
				o.query = append(o.query, last(p.(map[string]any)["$ref"]))
			}
			list = append(list, o)
		}
	}
	slices.SortFunc(list, func(a, b asked) int { return cmp.Or(a.order()-b.order(), strings.Compare(a.path, b.path)) })
	return list
}

// order is lower for what leaves more as it is.
func (o asked) order() int {
	if o.removes() {
		return 9
	}
	return slices.Index([]string{"GET", "PATCH", "PUT", "POST"}, o.method)
}

// removes reports whether what the operation names is not there any more afterwards, or not where it was.
func (o asked) removes() bool {
	return o.method == "DELETE" || strings.HasSuffix(o.path, "/toggle") || strings.HasSuffix(o.path, "/dissociate")
}

func last(ref any) string {
	text, _ := ref.(string)
	return text[strings.LastIndexByte(text, '/')+1:]
}

// A filling says with whose things an asked is filled in.
type filling struct {
	*server
	path, within *storetest.Tenant // whose resource a path names, and whose the one before it; within may be nil: the same
	body         *storetest.Tenant // whose resources bodies and queries name

	uniques *atomic.Int64 // values given so far
}

// kindAt is the kind whose resources a path names first, or nil.
func kindAt(path string) *personnel.Kind {
	for _, k := range personnel.Kinds() {
		if k.Path != "" && strings.HasPrefix(path+"/", "/v2/"+k.Path+"/") {
			return k
		}
	}
	return nil
}

// nestedAt is the kind of what a path names below a resource, or nil.
func nestedAt(path string) *personnel.Kind {
	k, parts := kindAt(path), strings.Split(path, "/")
	if k == nil || len(parts) < 5 {
		return nil
	}
	for _, n := range k.Nested {
		if n.Path == parts[4] {
			return personnel.ByName(k.Relation(n.Relation).Kind)
		}
	}
	return nil
}

// ownIDs are those of what is no resource of the catalogue, by the collection.
func ownIDs(o *storetest.Tenant) map[string]int64 {
	return map[string]int64{
		"webhooks": o.Webhook, "deliveries": o.Owed, "event-log": o.Event, "automations": o.Automation, "automation-logs": o.Run,
		"replays": o.Replay, "notifications": o.Notice, "roster": o.Resources[personnel.Group.Name],
	}
}

// named returns the id of what a path names at its end: within a resource, if the path has one before it.
func named(path string, o *storetest.Tenant) int64 {
	if k := nestedAt(path); k != nil {
		if id, ok := o.About[k.Name+" "+kindAt(path).Name]; ok {
			return id
		}
		return o.Resources[k.Name]
	}
	if k := kindAt(path); k != nil {
		return o.Resources[k.Name]
	}
	return ownIDs(o)[strings.Split(path, "/")[2]]
}

// address fills in the path of an asked.
func (f filling) address(o asked) string {
	f.Helper()
	path := o.path
	for _, place := range o.inPath {
		id := ""
		switch place {
		case "parent":
			owner := f.path
			if f.within != nil {
				owner = f.within
			}
			id = strconv.FormatInt(owner.Resources[kindAt(path).Name], 10)
		case "id":
			id = strconv.FormatInt(named(o.path, f.path), 10)
		case "name": // of a channel, of which each organization has its own
			id = "slack"
		}
		if id == "" || id == "0" {
			f.Errorf("%s: nothing is known to fill in {%s} with: storetest.Tenant and this test have to learn about it", o, place)
		}
		path = strings.Replace(path, "{"+place+"}", id, 1)
	}
	return path + f.question(o)
}

// question fills in the query: filters name resources of the body's organization, and everything is to be included.
func (f filling) question(o asked) string {
	f.Helper()
	query := url.Values{}
	for _, name := range o.query {
		schema := f.description().object("components", "parameters", name)
		parameter, _ := schema["name"].(string)
		switch {
		case strings.HasSuffix(name, "Include"):
			var all []string
			for _, path := range f.description().object("components", "parameters", name, "schema", "items")["enum"].([]any) {
				all = append(all, path.(string))
			}
			query.Set(parameter, strings.Join(all, ","))
		case parameter == "trigger":
			query.Set(parameter, "user.created")
		case parameter == "limit":
			query.Set(parameter, "100")
		case parameter == "request_id", !strings.HasSuffix(parameter, "_id"):
		default:
			query.Set(parameter, fmt.Sprint(f.reference(o, parameter)))
		}
	}
	if len(query) == 0 {
		return ""
	}
	return "?" + query.Encode()
}

// reference is the id that a field of a body or a filter gets by its name.
func (f filling) reference(o asked, name string) int64 {
	f.Helper()
	of := f.body
	id := map[string]int64{
		"webhook_id": of.Webhook, "event_id": of.Event, "automation_id": of.Automation, "recipient": of.User(), "user_id": of.User(), "actor_id": of.User(), "subject_id": of.Webhook,
		"resource_id": of.User(), "related_key": named(o.path, of),
	}[name]
	for _, k := range []*personnel.Kind{nestedAt(o.path), kindAt(o.path)} {
		if k == nil {
			continue
		}
		for i := range k.Fields {
			if field := &k.Fields[i]; field.SentAs() == name && field.Type == personnel.Reference {
				id = of.Resources[field.Refers]
			}
		}
		for _, rel := range k.Relations {
			if rel.Pivot == nil {
				continue
			}
			for i := range rel.Pivot.Fields {
				if field := &rel.Pivot.Fields[i]; field.SentAs() == name && field.Type == personnel.Reference {
					id = of.Resources[field.Refers]
				}
			}
		}
	}
	if id == 0 {
		f.Errorf("%s: nothing is known to fill in %s with", o, name)
	}
	return id
}

// content fills in the body: the document's example, in which each field that can name something else does.
func (f filling) content(o asked) any {
	f.Helper()
	if o.body == "" {
		return nil
	}
	content := f.description().object("components", "requestBodies", o.body, "content")
	for _, media := range []string{"application/json", "multipart/form-data"} {
		body, ok := content[media].(map[string]any)
		if !ok {
			continue
		}
		schema, _ := body["schema"].(map[string]any)
		return f.fill(o, "", f.resolve(schema), plainValue(body["example"]))
	}
	f.Errorf("%s: its body is neither JSON nor a form", o)
	return nil
}

func (f filling) resolve(schema map[string]any) map[string]any {
	if ref, ok := schema["$ref"].(string); ok {
		return f.description().object("components", "schemas", last(ref))
	}
	return schema
}

// plainValue is decoded JSON as package value has it.
func plainValue(v any) any {
	switch v := v.(type) {
	case map[string]any:
		m := value.NewArray(len(v))
		for _, key := range slices.Sorted(maps.Keys(v)) {
			m.Set(key, plainValue(v[key]))
		}
		return m
	case []any:
		list := value.NewArray(len(v))
		for _, item := range v {
			list.Append(plainValue(item))
		}
		return list
	case nil, bool, string, int64:
		return v
	}
	if n, err := strconv.ParseInt(fmt.Sprint(v), 10, 64); err == nil {
		return n
	}
	return nil
}

// fill returns an example of the schema with its references filled in. The name is that of the field that has it.
func (f filling) fill(o asked, name string, schema map[string]any, example any) any {
	f.Helper()
	properties, _ := schema["properties"].(map[string]any)
	items, isList := schema["items"].(map[string]any)
	inner, isMap := schema["additionalProperties"].(map[string]any)
	if examples, ok := schema["examples"].([]any); ok && example == nil && len(examples) > 0 {
		example = plainValue(examples[0])
	}
	switch {
	case o.body == "Search" && kindAt(o.path) == nil:
		return value.NewArray(0) // the example is of the catalogue
	case schema["format"] == "binary":
		return pixel
	case name == "resources" && isMap:
		given, _ := example.(*value.Array)
		if nested := schema["propertyNames"]; nested == nil {
			f.Errorf("%s: %s is a map, but not of ids", o, name)
		}
		filled := value.NewArray(1)
		filled.Set(strconv.FormatInt(named(o.path, f.body), 10), f.fill(o, "", f.resolve(inner), first(given)))
		return filled
	case name == "resources" && isList:
		given, _ := example.(*value.Array)
		if item := f.resolve(items); item["type"] != "object" && item["properties"] == nil {
			return value.List(named(o.path, f.body))
		}
		return value.List(f.fill(o, "", f.resolve(items), first(given)))
	case name == "resources":
		return value.List(named(o.path, f.body))
	case name == "recipients":
		return value.List(f.body.User())
	case name == "model_id":
		return nil // with model_type, below
	case name == "channel_id", name == "chat_id":
		return example // of services elsewhere
	case strings.HasSuffix(name, "_id") && isWhole(schema), name == "related_key", name == "recipient":
		return f.reference(o, name)
	case len(properties) > 0:
		filled := value.NewArray(len(properties))
		if given, ok := example.(*value.Array); ok {
			for key, v := range given.All() {
				filled.Set(key.String(), v)
			}
		}
		for _, key := range slices.Sorted(maps.Keys(properties)) {
			property, _ := properties[key].(map[string]any)
			given, isGiven := filled.Get(key)
			v := f.fill(o, key, f.resolve(property), given)
			if v != nil || isGiven {
				filled.Set(key, v)
			}
		}
		if model, ok := filled.Get("model_type"); ok {
			filled.Set("model_id", f.body.Resources[personnel.ByModel(fmt.Sprint(model)).Name])
		}
		return filled
	}
	return f.unique(o, name, example)
}

// unique returns another value each time for a field of which no two may have the same.
func (f filling) unique(o asked, name string, example any) any {
	for _, k := range []*personnel.Kind{kindAt(o.path), nestedAt(o.path)} {
		if k == nil || k.Field(name) == nil || !k.Field(name).Unique {
			continue
		}
		n := f.uniques.Add(1)
		if k.Field(name).Type == personnel.Email {
			return fmt.Sprintf("user%d@example.com", n)
		}
		return fmt.Sprintf("other_%d", n)
	}
	return example
}

// isWhole reports whether a schema is that of a whole number, or of one that may be null.
func isWhole(schema map[string]any) bool {
	list, _ := schema["type"].([]any)
	return schema["type"] == "integer" || slices.Contains(list, any("integer"))
}

func first(list *value.Array) any {
	if list != nil {
		for _, item := range list.All() {
			return item
		}
	}
	return nil
}

// do asks for an asked with somebody's key.
func (f filling) ask(o asked, key *storetest.Tenant, headers ...string) *answer {
	f.Helper()
	headers = append([]string{"Authorization", "Bearer " + key.KeyText}, headers...)
	return f.send(o.method, f.address(o), f.content(o), headers...)
}

// unscoped are the operations that any key may ask for.
var unscoped = []string{"GET /v2/me"}

// The walk: each asked that the router has, filled in with another organization's ids, is answered as if there were
// nothing, shows nothing of the other, and changes nothing there. An asked that cannot be filled in fails the test.
func TestTenants(t *testing.T) {
	s := newServer(t)
	var uniques atomic.Int64
	a, b := storetest.AddTenant(t, s.store, ours, ""), storetest.AddTenant(t, s.store, theirs, "")
	before := b.Rows(t, s.store)
	all := s.asked()
	if len(all) < 800 {
		t.Fatalf("the router has only %d operations", len(all))
	}
	shows := func(o asked, with string, got *answer) {
		t.Helper()
		if text := strings.ToLower(got.text + fmt.Sprint(got.header)); strings.Contains(text, theirs) {
			at := strings.Index(text, theirs)
			t.Errorf("%s %s shows something of the other organization: … %s", o, with, text[max(0, at-200):min(len(text), at+200)])
		}
		if got.status >= 500 {
			t.Errorf("%s %s: %d", o, with, got.status)
		}
	}
	for _, o := range all {
		hasID := slices.Contains(o.inPath, "id") || slices.Contains(o.inPath, "parent")
		// Theirs, with a key of ours.
		got := filling{server: s, uniques: &uniques, path: b, body: b}.ask(o, a)
		shows(o, "of theirs", got)
		if hasID && got.status != 404 && got.status != 403 {
			t.Errorf("%s of theirs: %d, want 404 or 403\n%.500s", o, got.status, got.text)
		}
		// Ours within theirs, and theirs within ours.
		if slices.Contains(o.inPath, "id") && slices.Contains(o.inPath, "parent") {
			for what, f := range map[string]filling{"theirs within ours": {s, b, a, a, &uniques}, "ours within theirs": {s, a, b, a, &uniques}} {
				got := f.ask(o, a)
				shows(o, what, got)
				if got.status != 404 && got.status != 403 {
					t.Errorf("%s %s: %d, want 404 or 403\n%.500s", o, what, got.status, got.text)
				}
			}
		}
		// Ours, with theirs in the body.
		if o.method != "DELETE" || o.body != "" {
			shows(o, "of ours with theirs in it", filling{server: s, uniques: &uniques, path: a, body: b}.ask(o, a))
		}
		// A key of ours that says it is for theirs, and none.
		got = filling{server: s, uniques: &uniques, path: b, body: b}.ask(o, a, "X-Perscom-Id", strconv.FormatInt(b.ID, 10))
		shows(o, "for theirs", got)
		if got.status != 401 {
			t.Errorf("%s with a key of ours for theirs: %d, want 401", o, got.status)
		}
		f := filling{server: s, uniques: &uniques, path: b, body: b}
		got = s.send(o.method, f.address(o), f.content(o))
		shows(o, "without a key", got)
		if got.status != 401 {
			t.Errorf("%s without a key: %d, want 401", o, got.status)
		}
	}
	storetest.WantApart(t, s.store)
	after := b.Rows(t, s.store)
	for _, table := range slices.Sorted(maps.Keys(before)) {
		if was, is := strings.Join(before[table], "\n"), strings.Join(after[table], "\n"); was != is {
			t.Errorf("%s of the other organization has changed:\n%.2000s\n%.2000s", table, was, is)
		}
	}
}

// What the walk fills in is right: with a key of one's own the same requests find what they name. A key without scopes
// gets nowhere.
func TestTenants_findTheirOwn(t *testing.T) {
	s := newServer(t)
	var uniques atomic.Int64
	n := 0
	add := func() (o *storetest.Tenant, scopeless string) {
		n++
		o = storetest.AddTenant(t, s.store, ours+strconv.Itoa(n), "")
		return o, s.addKey(bugle.APIKey{OrganizationID: o.ID, Name: "none"})
	}
	a, scopeless := add()
	for _, o := range s.asked() {
		f := filling{server: s, uniques: &uniques, path: a, body: a}
		got := s.send(o.method, f.address(o), f.content(o), "Authorization", "Bearer "+scopeless)
		if mayAny := slices.Contains(unscoped, o.String()); got.status != 403 && !mayAny {
			t.Errorf("%s with a key without scopes: %d, want 403", o, got.status)
		}
		got = f.ask(o, a)
		found := func() bool {
			return got.status >= 200 && got.status < 300 && !(o.removes() && strings.HasSuffix(got.text, ":[]}")) ||
				(got.status == 422 || got.status == 409) && slices.Contains(unchangeable, o.String())
		}
		if o.removes() && !found() { // what it names has been removed before
			a, scopeless = add()
			f.path, f.body = a, a
			got = f.ask(o, a)
		}
		if !found() {
			t.Errorf("%s of one's own: %d\n%s\n%s\n%.500s", o, got.status, f.address(o), text(f.content(o)), got.text)
		}
	}
}

// unchangeable are the operations that find what they are to change, and must not.
var unchangeable = []string{
	"DELETE /v2/forms/{parent}/submissions/{id}/dissociate", // which are of one form
	"POST /v2/users/{id}/erase",                             // who has an account
}
