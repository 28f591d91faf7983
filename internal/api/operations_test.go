package api_test

import (
	"bytes"
	"fmt"
	"image"
	"image/png"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/personnel"
	"github.com/buglehq/bugle/value"
)

// collections are the paths that have every verb.
var collections = strings.Fields(`
	announcements assignment-records attachments award-records awards calendars categories combat-records comments
	competencies credentials documents events forms groups images issuers messages positions qualification-records
	qualifications rank-records ranks service-records slots specialties statuses submissions tasks training-records
	units users`)

// How a relation's paths are used.
const (
	hasMany    = "has many"     // every verb, associate and dissociate
	hasOne     = "has one"      // the id is optional, and there is no batch
	belongsTo  = "belongs to"   // the id is optional; nothing is created
	manyToMany = "many to many" // every verb, attach, detach, sync, toggle and pivot
	onlyLinks  = "links"        // only list, attach, detach and sync
)

// A relation is a path below a resource.
type relation struct {
	parent string
	paths  string // below it
	holds  string // the collection of what is there, unless it is called like the path
	kind   string
	via    string // the field of what is there that refers to the parent, which the path decides
	pivot  []any  // a value for each column that may be written, as pairs
}

var relations = []relation{
	{"users", "assignment-records award-records combat-records qualification-records rank-records service-records training-records", "", hasMany, "user_id", nil},
	{"users", "position", "positions", belongsTo, "", nil},
	{"users", "rank", "ranks", belongsTo, "", nil},
	{"users", "specialty", "specialties", belongsTo, "", nil},
	{"users", "status", "statuses", belongsTo, "", nil},
	{"users", "unit", "units", belongsTo, "", nil},
	{"users", "attachments", "", manyToMany, "", nil},
	{"users", "fields", "", manyToMany, "", []any{"order", 3}},
	{"users", "status-records", "statuses", manyToMany, "", []any{"text", "On leave until spring"}},
	{"users", "tasks", "", manyToMany, "", []any{"due_at", "2026-03-01 12:00:00", "assigned_at", "2026-02-01 12:00:00",
		"completed_at", "2026-02-20 12:00:00", "expires_at", "2026-04-01 12:00:00"}},
	{"forms", "submissions", "", hasMany, "form_id", nil},
	{"forms", "fields", "", manyToMany, "", []any{"order", 3}},
	{"submissions", "statuses", "", manyToMany, "", []any{"text", "Waits for the commander"}},
	{"categories", "awards documents forms qualifications ranks", "", manyToMany, "", []any{"order", 3}},
	{"groups", "units", "", manyToMany, "", []any{"order", 3}},
	{"training-records", "competencies credentials", "", manyToMany, "", nil},
	{"awards", "image", "images", hasOne, "", nil},
	{"groups", "image", "images", hasOne, "", nil},
	{"qualifications", "image", "images", hasOne, "", nil},
	{"ranks", "image", "images", hasOne, "", nil},
	{"units", "image", "images", hasOne, "", nil},
	{"events", "image", "images", hasMany, "", nil},
	{"newsfeed", "likes", "users", onlyLinks, "", nil},
}

// Bugle has these beside what PERSCOM has.
var ownPaths = []string{"fields", "tags", "calendars/tags", "events/tags", "forms/tags", "slots/units"}

// picture returns an image with a width that tells it from others.
func picture(width int) *sentFile {
	var b bytes.Buffer
	if err := png.Encode(&b, image.NewGray(image.Rect(0, 0, width, 1))); err != nil {
		panic(err)
	}
	return &sentFile{"picture.png", b.String()}
}

// A world is an organization in which a test makes what its requests need.
type world struct {
	*server
	user int64 // whose the key is
	n    int
	made map[string]int64 // id by collection
}

// newWorld adds an organization with a user who has a key for everything.
func newWorld(t testing.TB, shared *server) *world {
	t.Helper()
	w := &world{server: shared.in(t).another(), made: map[string]int64{}}
	w.user = id(w.create("users", "name", "Key Holder", "email", "keys@example.com"))
	w.key = w.addKey(bugle.APIKey{UserID: w.user, Scopes: []string{"*"}})
	return w
}

// id returns the id of something in a collection, which is made at the first call.
func (w *world) id(collection string) int64 {
	w.Helper()
	if w.made[collection] == 0 {
		w.made[collection] = w.make(collection)
	}
	return w.made[collection]
}

// make adds something to a collection and returns its id.
func (w *world) make(collection string) int64 {
	w.Helper()
	switch collection {
	case "fields": // which PERSCOM has only below others: here, one that nothing else is below
		return w.add(fmt.Sprintf("forms/%d/fields", w.make("forms")), "fields")
	case "newsfeed": // which is written when records are
		w.make("service-records")
		return id(w.want(200, "GET", "newsfeed", nil).items(w)[0])
	}
	return w.add(collection, collection)
}

// add posts something of a collection to a path and returns its id.
func (w *world) add(path, collection string) int64 {
	w.Helper()
	return id(w.want(201, "POST", path, w.fields(collection)).data(w))
}

// below returns the path of a relation of something.
func (w *world) below(collection, relation string) string {
	w.Helper()
	return fmt.Sprintf("%s/%d/%s", collection, w.id(collection), relation)
}

// several is a body with resources by key.
func several(keys []any, each ...*value.Array) *value.Array {
	resources := value.NewArray(len(each))
	for i, fields := range each {
		resources.Set(fmt.Sprint(keys[i]), fields)
	}
	return value.Map("resources", resources)
}

// fields returns valid fields for something in a collection: all that PERSCOM lets clients write,
// other ones each time. It makes what they refer to.
func (w *world) fields(collection string) *value.Array {
	w.Helper()
	w.n++
	n := fmt.Sprintf("%05d", w.n) // none is part of another
	record := func(more ...any) *value.Array {
		return value.Map(append(more, "user_id", w.id("users"), "document_id", w.id("documents"), "author_id", w.id("users"), "text", "<p>Entry "+n+"</p>")...)
	}
	named := func(more ...any) *value.Array {
		return value.Map(append([]any{"name", collection + " " + n, "description", "<p>Made as number " + n + "</p>"}, more...)...)
	}
	switch collection {
	case "announcements":
		return value.Map("title", "Notice "+n, "content", "<p>Muster at noon</p>", "color", "warning", "global", true, "enabled", true, "expires_at", "2027-01-01 00:00:00")
	case "assignment-records":
		return record("type", "secondary", "status_id", w.id("statuses"), "unit_id", w.id("units"), "position_id", w.id("positions"), "specialty_id", w.id("specialties"))
	case "attachments":
		return value.Map("name", "Orders "+n, "file", &sentFile{"orders.txt", "Order number " + n})
	case "award-records":
		return record("award_id", w.id("awards"))
	case "calendars":
		return named("color", "#dc2626")
	case "categories":
		return named("resource", `App\Models\Award`)
	case "combat-records", "service-records":
		return record()
	case "comments":
		return value.Map("comment", "Well done, "+n, "author_id", w.id("users"), "model_type", `App\Models\Event`, "model_id", w.id("events"))
	case "competencies":
		return named()
	case "documents":
		return named("content", "<p>To {user_name}</p>", "author_id", w.id("users"))
	case "credentials":
		return named("type", "license", "issuer_id", w.id("issuers"), "order", w.n)
	case "events":
		return named("calendar_id", w.id("calendars"), "content", "<p>Bring maps</p>", "location", "Hall 2", "url", "https://unit.example.com/"+n,
			"author_id", w.id("users"), "all_day", false, "starts", "2026-02-01 19:00:00", "ends", "2026-02-01T21:00:00Z", "repeats", false,
			"registration_enabled", true, "registration_deadline", "2026-01-31 12:00:00", "notifications_enabled", true,
			"notifications_interval", value.List("pt1h", "p1d"), "notifications_channels", value.List("mail", "database"))
	case "fields":
		return named("key", "answer_"+n, "type", "text", "cast", "string", "placeholder", "Type here", "default", "none", "help", "One line",
			"required", false, "rules", "string|max:200", "readonly", false, "hidden", false,
			"options", value.List(value.Map("key", "y", "value", "Yes")), "options_type", "array", "options_model", "ranks")
	case "forms": // without the status that submissions begin with, which none asked for
		return named("slug", "form-"+n, "success_message", "<p>Thanks</p>", "is_public", true, "instructions", "<p>Answer all</p>")
	case "images":
		return named("image", picture(w.n))
	case "issuers":
		return value.Map("name", "Academy "+n)
	case "messages":
		return value.Map("message", "<p>Alarm "+n+"</p>", "channels", value.List("mail", "database"), "recipients", value.List(w.id("users")), "send_at", "2027-01-01 00:00:00")
	case "groups", "units":
		return named("order", w.n, "hidden", false, "icon", "heroicon-o-star")
	case "qualification-records":
		return record("qualification_id", w.id("qualifications"))
	case "rank-records":
		return record("rank_id", w.id("ranks"), "type", 2)
	case "ranks":
		return named("abbreviation", "R"+n, "paygrade", "E-"+n, "order", w.n)
	case "awards", "positions", "qualifications":
		return named("order", w.n)
	case "slots":
		return named("position_id", w.id("positions"), "specialty_id", w.id("specialties"), "empty", "Free", "order", w.n, "hidden", false)
	case "specialties":
		return named("abbreviation", "S"+n, "order", w.n)
	case "statuses":
		return value.Map("name", "Status "+n, "color", "#16a34a", "order", w.n)
	case "submissions":
		return value.Map("form_id", w.id("forms"), "user_id", w.id("users"))
	case "tasks":
		return value.Map("title", "Task "+n, "description", "<p>Paint the gate</p>", "instructions", "<p>In green</p>", "form_id", w.id("forms"))
	case "training-records":
		return record("instructor_id", w.id("users"))
	case "users":
		return value.Map("name", "Jane Roe "+n, "email", "jane"+n+"@example.com", "email_verified_at", "2026-01-01 00:00:00",
			"position_id", w.id("positions"), "rank_id", w.id("ranks"), "specialty_id", w.id("specialties"), "status_id", w.id("statuses"),
			"unit_id", w.id("units"), "approved", true, "notes", "<p>Note "+n+"</p>", "notes_updated_at", "2026-01-01 00:00:00",
			"last_seen_at", "2026-01-01 00:00:00", "discord_user_id", "81"+n)
	}
	w.Fatalf("nothing is known of %s", collection)
	return nil
}

// with returns fields of which one has another value.
func with(fields *value.Array, name string, v any) *value.Array {
	changed := fields.Clone()
	changed.Set(name, v)
	return changed
}

func without(fields *value.Array, name string) *value.Array {
	left := fields.Clone()
	left.Delete(name)
	return left
}

// A call is one request and what must come of it.
type call struct {
	path string
	body any
	ids  []int64   // of what is answered, where they are known
	rows [][]int64 // under the names of a change of links
}

// An operation is a method of a path, the status that tells of success, and the shape of the answer.
type operation struct {
	method, pattern string
	status          int
	shape           string
	prepare         func(w *world) call
}

// The shapes of answers.
const (
	asPage     = "page"     // data, links and meta
	asOne      = "one"      // {"data":{…}}
	asList     = "list"     // {"data":[…]}
	asAttached = "attached" // {"attached":[…]}, and so on
	asDetached = "detached"
	asSynced   = "attached detached updated"
	asToggled  = "attached detached"
	asUpdated  = "updated"
	asOkay     = "okay"    // {"status":"okay"}
	asInvalid  = "invalid" // 422
)

// A place is where something is asked for: the path, and how to make something there, or fields for
// it.
type place struct {
	path   string
	make   func() int64
	fields func() *value.Array
}

// verbs are what a collection answers, flat or below a resource. At prepares it.
func verbs(pattern string, at func(w *world) place) []operation {
	p := func(prepare func(p place) call) func(w *world) call {
		return func(w *world) call { return prepare(at(w)) }
	}
	list := []operation{
		{"GET", pattern, 200, asPage, p(func(p place) call { return call{path: p.path, ids: []int64{p.make()}} })},
		{"POST", pattern, 201, asOne, p(func(p place) call { return call{path: p.path, body: p.fields()} })},
		{"POST", pattern + "/search", 200, asPage, p(func(p place) call {
			body := value.Map("sort", value.List(value.Map("field", "id", "direction", "desc")))
			return call{path: p.path + "/search", body: body, ids: []int64{p.make()}}
		})},
		{"POST", pattern + "/batch", 200, asList, p(func(p place) call {
			return call{path: p.path + "/batch", body: several([]any{0, 1}, p.fields(), p.fields())}
		})},
	}
	return append(append(list, single(pattern+"/{id}", p)...), batches(pattern, p)...)
}

// single are the verbs of one resource.
func single(pattern string, p func(prepare func(p place) call) func(w *world) call) []operation {
	to := func(fields bool) func(w *world) call {
		return p(func(p place) call {
			id := p.make()
			c := call{path: p.path, ids: []int64{id}}
			if strings.HasSuffix(pattern, "/{id}") {
				c.path += fmt.Sprintf("/%d", id)
			}
			if fields {
				c.body = p.fields()
			}
			return c
		})
	}
	return []operation{
		{"GET", pattern, 200, asOne, to(false)}, {"PUT", pattern, 200, asOne, to(true)},
		{"PATCH", pattern, 200, asOne, to(true)}, {"DELETE", pattern, 200, asOne, to(false)},
	}
}

// batches are updates and deletes of several, the last of which names nothing and is passed over.
func batches(pattern string, p func(prepare func(p place) call) func(w *world) call) []operation {
	return []operation{
		{"PATCH", pattern + "/batch", 200, asList, p(func(p place) call {
			id := p.make()
			return call{path: p.path + "/batch", body: several([]any{id, 987654}, p.fields(), p.fields()), ids: []int64{id}}
		})},
		{"DELETE", pattern + "/batch", 200, asList, p(func(p place) call {
			id := p.make()
			return call{path: p.path + "/batch", body: value.Map("resources", value.List(id, 987654)), ids: []int64{id}}
		})},
	}
}

// operations returns all that Bugle serves as PERSCOM does.
func operations() []operation {
	var all []operation
	for _, path := range collections {
		all = append(all, verbs(path, func(w *world) place {
			return place{path, func() int64 { return w.make(path) }, func() *value.Array { return w.fields(path) }}
		})...)
	}
	for _, rel := range relations {
		for path := range strings.FieldsSeq(rel.paths) {
			all = append(all, rel.operations(path)...)
		}
	}
	return append(all,
		operation{"GET", "me", 200, asPage, func(w *world) call { return call{path: "me", ids: []int64{w.user}} }},
		operation{"GET", "newsfeed", 200, asPage, func(w *world) call { return call{path: "newsfeed", ids: []int64{w.make("newsfeed")}} }},
		operation{"GET", "settings", 200, asPage, func(*world) call { return call{path: "settings"} }},
		operation{"GET", "roster", 200, asPage, func(w *world) call { return call{path: "roster", ids: []int64{w.roster()}} }},
		operation{"GET", "roster/{id}", 200, asOne, func(w *world) call {
			id := w.roster()
			return call{path: fmt.Sprintf("roster/%d", id), ids: []int64{id}}
		}},
		operation{"POST", "cache", 200, asOkay, func(*world) call { return call{path: "cache"} }},
	)
}

// roster makes a group that has everything a roster shows, and returns its id.
func (w *world) roster() int64 {
	w.add(w.below("groups", "image"), "images")
	w.add(w.below("units", "image"), "images")
	w.add(w.below("ranks", "image"), "images")
	w.want(200, "POST", w.below("groups", "units")+"/attach", value.Map("resources", value.List(w.id("units"))))
	w.id("users")
	return w.id("groups")
}

// operations returns what is served at one path of a relation.
func (rel relation) operations(path string) []operation {
	pattern, holds := rel.parent+"/{parent}/"+path, rel.holds
	if holds == "" {
		holds = path
	}
	at := func(w *world) place {
		p := place{path: w.below(rel.parent, path), fields: func() *value.Array { return w.fields(holds) }}
		p.make = func() int64 { return w.add(p.path, holds) }
		if rel.via != "" { // decided by the path: not needed in the body, though PERSCOM's clients send it
			p.fields = func() *value.Array { return with(w.fields(holds), rel.via, w.id(rel.parent)) }
			p.make = func() int64 {
				return id(w.want(201, "POST", p.path, without(w.fields(holds), rel.via)).data(w))
			}
		}
		if rel.kind == belongsTo {
			p.make = func() int64 { return w.id(holds) } // which all users of the test have
		}
		return p
	}
	p := func(prepare func(p place) call) func(w *world) call {
		return func(w *world) call { return prepare(at(w)) }
	}
	switch rel.kind {
	case hasOne:
		create := operation{"POST", pattern, 201, asOne, p(func(p place) call { return call{path: p.path, body: p.fields()} })}
		return append(append([]operation{create}, single(pattern, p)...), single(pattern+"/{id}", p)...)
	case belongsTo:
		return append(append(single(pattern, p), single(pattern+"/{id}", p)...), batches(pattern, p)...)
	case hasMany:
		dissociate := operation{"DELETE", pattern + "/{id}/dissociate", 200, asOne, p(func(p place) call {
			id := p.make()
			return call{path: fmt.Sprintf("%s/%d/dissociate", p.path, id), ids: []int64{id}}
		})}
		if path == "submissions" { // which are nothing without a form; PERSCOM's database refuses too
			dissociate.status, dissociate.shape = 422, asInvalid
		}
		return append(verbs(pattern, at),
			operation{"POST", pattern + "/associate", 200, asOne, func(w *world) call {
				p, free := at(w), w.make(holds)
				return call{path: p.path + "/associate", body: value.Map("related_key", free), ids: []int64{free}}
			}},
			dissociate)
	}

	// The other kinds have links: something inside, and something outside that may come in.
	links := func(shape string, method, name string, prepare func(inside, outside int64) call) operation {
		return operation{method, pattern + "/" + name, 200, shape, func(w *world) call {
			p := at(w)
			var inside int64
			if rel.kind == onlyLinks {
				inside = w.make(holds)
				w.want(200, "POST", p.path+"/attach", value.Map("resources", value.List(inside)))
			} else {
				inside = p.make()
			}
			c := prepare(inside, w.make(holds))
			c.path = p.path + "/" + strings.Replace(name, "{id}", strconv.FormatInt(inside, 10), 1)
			return c
		}}
	}
	none := []int64{}
	changes := []operation{
		links(asAttached, "POST", "attach", func(inside, outside int64) call {
			return call{body: value.Map("resources", value.List(inside, outside)), rows: [][]int64{{outside}}}
		}),
		links(asDetached, "DELETE", "detach", func(inside, outside int64) call {
			return call{body: value.Map("resources", value.List(inside, outside)), rows: [][]int64{{inside}}}
		}),
		links(asSynced, "PATCH", "sync", func(inside, outside int64) call {
			return call{body: value.Map("resources", value.List(outside)), rows: [][]int64{{outside}, {inside}, none}}
		}),
	}
	if rel.kind == onlyLinks {
		return append(changes, operation{"GET", pattern, 200, asPage, func(w *world) call {
			p := at(w)
			w.want(200, "POST", p.path+"/attach", value.Map("resources", value.List(w.id(holds))))
			return call{path: p.path, ids: []int64{w.id(holds)}}
		}})
	}
	return append(append(verbs(pattern, at), changes...),
		links(asToggled, "PATCH", "toggle", func(inside, outside int64) call {
			return call{body: value.Map("resources", value.List(inside, outside)), rows: [][]int64{{outside}, {inside}}}
		}),
		links(asUpdated, "PATCH", "{id}/pivot", func(inside, outside int64) call {
			changed := []int64{inside}
			if rel.pivot == nil {
				changed = none // there is nothing that could change
			}
			return call{body: value.Map("pivot", value.Map(rel.pivot...)), rows: [][]int64{changed}}
		}))
}

// wantShape checks what is answered.
func (o operation) wantShape(t testing.TB, c call, a *answer) {
	t.Helper()
	body, ok := a.body.(*value.Array)
	if !ok {
		t.Fatalf("the answer is no JSON object: %.500s", a.text)
	}
	switch o.shape {
	case asPage:
		wantKeys(t, a.body, "data", "links", "meta")
		wantKeys(t, a.at("links"), "first", "last", "prev", "next")
		wantKeys(t, a.at("meta"), "current_page", "from", "last_page", "links", "path", "per_page", "to", "total")
		ids := idsOf(a.items(t))
		if len(ids) == 0 {
			t.Errorf("the page is empty")
		}
		for _, id := range c.ids {
			if !slices.Contains(ids, id) {
				t.Errorf("the page has %d, and not %d", ids, id)
			}
		}
	case asOne:
		data := a.data(t)
		if id(data) == 0 || c.ids != nil && id(data) != c.ids[0] {
			t.Errorf("the id is %v, want %d", at(data, "id"), c.ids)
		}
	case asList:
		wantKeys(t, a.body, "data")
		ids := idsOf(a.items(t))
		if c.ids != nil && !slices.Equal(ids, c.ids) || c.ids == nil && len(ids) != 2 {
			t.Errorf("data has the ids %d, want %d", ids, c.ids)
		}
	case asInvalid:
		a.wantInvalid(t, "form_id")
	case asOkay:
		wantEqual(t, "answer", body, value.Map("status", "okay"))
	default:
		want := value.NewArray(3)
		for i, name := range strings.Fields(o.shape) {
			ids := value.NewArray(1)
			for _, id := range c.rows[i] {
				ids.Append(id)
			}
			want.Set(name, ids)
		}
		wantEqual(t, "answer", body, want)
	}
}

// wantSent checks that what was sent is there now: numbers, switches and texts, of which times and the
// names of colors are rendered in another way.
func wantSent(t testing.TB, sent any, a *answer) {
	t.Helper()
	fields, _ := sent.(*value.Array)
	for key, v := range fields.All() {
		name := key.String()
		switch v := v.(type) {
		case string:
			if strings.HasPrefix(v, "202") || name == "color" {
				continue
			}
		case int64, bool:
		default:
			continue
		}
		wantEqual(t, name, a.at("data", name), v)
	}
}

func wantKeys(t testing.TB, v any, keys ...string) {
	t.Helper()
	object, _ := v.(*value.Array)
	if object == nil || !slices.Equal(object.Keys(), keys) {
		t.Errorf("keys are %q, want %q", object.Keys(), keys)
	}
}

func idsOf(items []any) []int64 {
	ids := []int64{}
	for _, item := range items {
		ids = append(ids, id(item))
	}
	return ids
}

// Every operation that clients of PERSCOM may use is there, and answers in its form.
func TestOperations(t *testing.T) {
	shared := newServer(t)
	for _, o := range operations() {
		t.Run(o.method+" "+o.pattern, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, shared)
			c := o.prepare(w)
			a := w.want(o.status, o.method, c.path, c.body)
			o.wantShape(t, c, a)
			if o.shape == asOne && !strings.HasSuffix(o.pattern, "/associate") {
				wantSent(t, c.body, a)
			}
			if o.method == "DELETE" && strings.HasSuffix(o.pattern, "/{id}") {
				w.do("GET", c.path, nil).wantNotFound(t)
			}
		})
	}
}

// A list that only repeats the catalogue would prove nothing, and one that lags behind it would hide
// what is not called.
func TestOperations_complete(t *testing.T) {
	served := map[string]bool{}
	for _, o := range operations() {
		key := o.method + " " + o.pattern
		if served[key] {
			t.Errorf("%s is listed twice", key)
		}
		served[key] = true
	}
	for _, k := range personnel.Kinds() {
		if k.Path == "" {
			continue
		}
		if served["GET "+k.Path] == slices.Contains(ownPaths, k.Path) {
			t.Errorf("%s is not listed, or twice", k.Path)
		}
		for _, n := range k.Nested {
			own := slices.Contains(ownPaths, k.Path+"/"+n.Path)
			if listed := served["PATCH "+k.Path+"/{parent}/"+n.Path+"/{id}"] || served["GET "+k.Path+"/{parent}/"+n.Path]; listed == own {
				t.Errorf("%s/%s is not listed, or twice", k.Path, n.Path)
			}
		}
	}
	t.Logf("%d operations", len(served))
}
