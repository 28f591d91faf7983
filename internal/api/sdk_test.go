package api_test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/buglehq/bugle/value"
)

// An sdk makes requests in exactly the form of PERSCOM's PHP SDK.
type sdk struct{ *world }

func newSDK(t testing.TB, shared *server) *sdk { return &sdk{newWorld(t, shared)} }

// call makes a request with the headers of every one.
func (c *sdk) call(status int, method, path string, body any) *answer {
	c.Helper()
	a := c.send(method, path, body, "Accept", "application/json", "Authorization", "Bearer "+c.key,
		"X-Perscom-Sdk", "1", "X-Perscom-Sdk-Version", "4.0.0", "X-Perscom-Id", strconv.FormatInt(c.org, 10))
	if a.status != status {
		c.Fatalf("%s %s: status %d, want %d\n%.2000s", method, path, a.status, status, a.text)
	}
	return a
}

// An sdkResource is what an accessor such as $perscom->users()->rankRecords(5) returns.
type sdkResource struct {
	*sdk
	path       string // "/v2/users/5/rank-records"
	collection string // of what is there
	without    string // a field that the path decides
}

// query is the part of an address that says what belongs to the answer.
func query(include, more string) string {
	if include != "" {
		include = "include=" + include
	}
	if more != "" && include != "" {
		more += "&"
	}
	if more+include == "" {
		return ""
	}
	return "?" + more + include
}

const firstPage = "limit=20&page=1" // which is what the SDK asks for unless told otherwise

func (r *sdkResource) one(id int64) string { return fmt.Sprintf("%s/%d", r.path, id) }

func (r *sdkResource) fields() *value.Array { return without(r.world.fields(r.collection), r.without) }

func (r *sdkResource) all(include string) *answer {
	r.Helper()
	a := r.call(200, "GET", r.path+query(include, firstPage), nil)
	wantEqual(r, "per_page", a.at("meta", "per_page"), 20)
	wantEqual(r, "current_page", a.at("meta", "current_page"), 1)
	return a
}

func (r *sdkResource) get(id int64, include string) *answer {
	r.Helper()
	return r.call(200, "GET", r.one(id)+query(include, ""), nil)
}

func (r *sdkResource) create(fields *value.Array) *answer {
	r.Helper()
	return r.call(201, "POST", r.path, fields)
}

func (r *sdkResource) update(id int64, fields *value.Array) *answer {
	r.Helper()
	return r.call(200, "PUT", r.one(id), fields)
}

func (r *sdkResource) delete(id int64) *answer {
	r.Helper()
	return r.call(200, "DELETE", r.one(id), nil)
}

func (r *sdkResource) search(body any, include string) *answer {
	r.Helper()
	return r.call(200, "POST", r.path+"/search"+query(include, firstPage), body)
}

func (r *sdkResource) batch(method string, resources any) *answer {
	r.Helper()
	return r.call(200, method, r.path+"/batch", value.Map("resources", resources))
}

// byID is a map of objects as PHP writes it.
func byID(pairs ...any) *value.Array {
	m := value.NewArray(len(pairs) / 2)
	for i := 0; i < len(pairs); i += 2 {
		m.SetInt(pairs[i].(int64), pairs[i+1])
	}
	return m
}

// sdkIncludes are relations to ask for, by collection.
var sdkIncludes = map[string]string{
	"assignment-records": "user,document", "attachments": "model", "award-records": "award,author", "awards": "image", "calendars": "events,tags",
	"categories": "awards,ranks", "combat-records": "user,comments", "comments": "author,commentable", "credentials": "issuer", "documents": "author",
	"events": "calendar,image", "forms": "fields,submissions", "groups": "image,units", "images": "model", "messages": "schedule",
	"positions": "users,assignment_records", "qualification-records": "qualification,user", "qualifications": "image", "rank-records": "rank,user",
	"ranks": "image", "service-records": "user,attachments", "specialties": "users", "statuses": "users", "submissions": "form,user",
	"tasks": "form,users", "training-records": "instructor,credentials", "units": "image,groups", "users": "rank_records,attachments",
}

// crud goes through all, get, create, update and delete.
func (r *sdkResource) crud() {
	r.Helper()
	include := sdkIncludes[r.collection]
	if strings.HasPrefix(r.path, "/v2/users/") {
		include = strings.NewReplacer("user,", "", ",user", "").Replace(include) // which is offered there no more
	}
	sent := r.fields()
	created := r.create(sent)
	wantSent(r, sent, created)
	id := id(created.data(r))

	if !slices.Contains(idsOf(r.all(include).items(r)), id) {
		r.Errorf("all has not what was created")
	}
	r.all("")
	wantEqual(r, "what get answers", id, at(r.get(id, "").data(r), "id"))
	data := r.get(id, include).data(r)
	for relation := range strings.SplitSeq(include, ",") {
		if relation != "" && !data.Has(relation) {
			r.Errorf("get brings no %s: %.500s", relation, text(data))
		}
	}
	wantEqual(r, "what get answers with the comma encoded", r.get(id, strings.ReplaceAll(include, ",", "%2C")).data(r), data)

	sent = r.fields()
	wantSent(r, sent, r.update(id, sent))
	wantSent(r, sent, r.get(id, ""))

	wantEqual(r, "what was deleted", at(r.delete(id).data(r), "id"), id)
	r.call(404, "GET", r.one(id), nil)
}

func (r *sdkResource) searches() {
	r.Helper()
	fields := r.fields()
	first, second := id(r.create(fields).data(r)), id(r.create(r.fields()).data(r))
	for _, name := range []string{"name", "title", "text", "comment", "message"} {
		wanted, isText := fields.Get(name)
		if !isText {
			continue
		}
		found := idsOf(r.search(value.Map("search", value.Map("value", wanted)), "").items(r))
		if !slices.Contains(found, first) || slices.Contains(found, second) {
			r.Errorf("search for %q finds %d, want %d and not %d", wanted, found, first, second)
		}
	}
	equal := func(id int64) *value.Array {
		return value.Map("field", "id", "operator", "=", "value", id, "type", "or")
	}
	a := r.search(value.Map(
		"sort", value.List(value.Map("field", "id", "direction", "asc")),
		"filters", value.List(equal(first), equal(second)),
	), sdkIncludes[r.collection])
	wantEqual(r, "what the filters find", idsJSON(idsOf(a.items(r))), idsJSON([]int64{first, second}))
	wantEqual(r, "per_page", a.at("meta", "per_page"), 20)
	if scope := map[string]string{"announcements": "enabled", "groups": "visible", "units": "visible"}[r.collection]; scope != "" {
		scopes := value.List(value.Map("name", scope))
		wantEqual(r, "number with the scope", r.search(value.Map("scopes", scopes), "").at("meta", "total"), r.all("").at("meta", "total"))
	}
	wantEqual(r, "number with an empty body", r.search("[]", "").at("meta", "total"), r.all("").at("meta", "total"))
}

func idsJSON(ids []int64) *value.Array {
	list := value.NewArray(len(ids))
	for _, id := range ids {
		list.Append(id)
	}
	return list
}

func (r *sdkResource) batches() {
	r.Helper()
	var ids []int64
	if r.collection == "attachments" || r.collection == "images" { // whose files JSON cannot hold
		ids = []int64{id(r.create(r.fields()).data(r)), id(r.create(r.fields()).data(r))}
	} else {
		ids = idsOf(r.batch("POST", value.List(r.fields(), r.fields())).items(r))
	}
	if len(ids) != 2 {
		r.Fatalf("batchCreate makes %d", ids)
	}
	one, two := r.fields(), r.fields()
	if holdsFile(one) {
		one, two = value.Map("name", "Renamed"), value.Map("name", "Renamed too")
	}
	wantEqual(r, "ids of batchUpdate", idsJSON(idsOf(r.batch("PATCH", byID(ids[0], one, ids[1], two)).items(r))), idsJSON(ids))
	wantSent(r, one, r.get(ids[0], ""))
	wantSent(r, two, r.get(ids[1], ""))
	wantEqual(r, "ids of batchDelete", idsJSON(idsOf(r.batch("DELETE", idsJSON(ids)).items(r))), idsJSON(ids))
	r.call(404, "GET", r.one(ids[0]), nil)
	r.call(404, "GET", r.one(ids[1]), nil)
}

// attaches goes through attach, sync and detach of what is outside. Pivot is what attach can say of
// it, if anything.
func (r *sdkResource) attaches(pivot *value.Array) {
	r.Helper()
	before := idsOf(r.all("").items(r))
	one, two, three := r.make(r.collection), r.make(r.collection), r.make(r.collection)
	nothing := value.List()
	if pivot == nil {
		pivot = nothing
	}
	a := r.call(200, "POST", r.path+"/attach", value.Map("resources", byID(one, pivot, two, nothing), "duplicates", false))
	wantEqual(r, "answer of attach", a.body, value.Map("attached", idsJSON([]int64{one, two})))
	a = r.call(200, "POST", r.path+"/attach", value.Map("resources", value.List(two), "duplicates", false))
	wantEqual(r, "answer of another attach", a.body, value.Map("attached", nothing))
	for _, item := range r.all("").items(r) {
		for key, v := range pivot.All() {
			row, _ := at(item, "pivot").(*value.Array)
			if row == nil {
				row, _ = at(item, "record").(*value.Array)
			}
			if got, _ := row.Get(key.String()); id(item) == one {
				wantEqual(r, key.String()+" of the pivot", got, v)
			}
		}
	}

	a = r.call(200, "PATCH", r.path+"/sync", value.Map("resources", byID(two, nothing, three, nothing), "detaching", true))
	wantEqual(r, "attached by sync", a.at("attached"), idsJSON([]int64{three}))
	if gone, _ := a.at("detached").(*value.Array); gone.Len() != len(before)+1 {
		r.Errorf("sync detached %s, want %d and what was there", text(gone), one)
	}

	a = r.call(200, "DELETE", r.path+"/detach", value.Map("resources", byID(two, nothing)))
	wantEqual(r, "answer of detach", a.body, value.Map("detached", idsJSON([]int64{two})))
	wantEqual(r, "what is left", idsJSON(idsOf(r.all("").items(r))), idsJSON([]int64{three}))
}

// images goes through imageCreate, imageGet, imageUpdate and imageDelete, none of which names an
// image.
func (r *sdkResource) images() {
	r.Helper()
	path := r.one(r.make(r.collection)) + "/image"
	created := r.call(201, "POST", path, value.Map("name", "Emblem", "image", picture(1)))
	wantEqual(r, "name of the image", created.at("data", "name"), "Emblem")
	if r.collection == "events" { // PERSCOM lets an event have several: what needs the one fails there too
		wantEqual(r, "ids of the images", idsJSON(idsOf(r.call(200, "GET", path, nil).items(r))), value.List(id(created.data(r))))
		r.call(405, "PATCH", path, value.Map("name", "Crest", "image", picture(2)))
		r.call(405, "DELETE", path, nil)
		return
	}
	wantEqual(r, "what imageGet answers", r.call(200, "GET", path, nil).data(r), created.data(r))
	if data := r.call(200, "GET", path+"?include=model", nil).data(r); !data.Has("model") {
		r.Errorf("imageGet brings no model: %s", text(data))
	}
	changed := r.call(200, "PATCH", path, value.Map("name", "Crest", "image", picture(2)))
	wantEqual(r, "name of the image", changed.at("data", "name"), "Crest")
	wantEqual(r, "id of the image", changed.at("data", "id"), created.at("data", "id"))
	if changed.at("data", "path") == created.at("data", "path") {
		r.Errorf("imageUpdate keeps the file")
	}
	r.call(200, "DELETE", path, nil)
	r.call(404, "GET", path, nil)
}

// Each of the accessors does what it can do in PERSCOM.
func TestSDK_resources(t *testing.T) {
	shared := newServer(t)
	for _, path := range collections {
		if path == "slots" { // which the SDK does not know
			continue
		}
		sdkMethods(t, shared, path, func(c *sdk) *sdkResource { return &sdkResource{c, "/v2/" + path, path, ""} })
	}
	for _, path := range []string{"awards", "events", "groups", "qualifications", "ranks", "units"} {
		t.Run(path+"/image", func(t *testing.T) {
			t.Parallel()
			c := newSDK(t, shared)
			(&sdkResource{c, "/v2/" + path, path, ""}).images()
		})
	}
}

// sdkMethods are those that most accessors have.
func sdkMethods(t *testing.T, shared *server, name string, at func(c *sdk) *sdkResource) {
	t.Helper()
	for method, try := range map[string]func(*sdkResource){
		"crud": (*sdkResource).crud, "search": (*sdkResource).searches, "batch": (*sdkResource).batches,
	} {
		t.Run(name+" "+method, func(t *testing.T) {
			t.Parallel()
			try(at(newSDK(t, shared)))
		})
	}
}

// Accessors of a resource, such as $perscom->users()->rankRecords(5).
func TestSDK_nestedResources(t *testing.T) {
	shared := newServer(t)
	none, order := (*value.Array)(nil), value.Map("order", 7)
	for _, nested := range []struct {
		parent, path, collection, without string
		attach, links                     bool
		pivot                             *value.Array
	}{
		{"events", "image", "images", "", false, false, none},
		{"forms", "fields", "fields", "", true, true, order},
		{"forms", "submissions", "submissions", "form_id", false, false, none},
		{"groups", "units", "units", "", true, true, order},
		{"submissions", "statuses", "statuses", "", true, true, value.Map("text", "Seen")},
		{"users", "assignment-records", "assignment-records", "user_id", true, false, none},
		{"users", "award-records", "award-records", "user_id", true, false, none},
		{"users", "combat-records", "combat-records", "user_id", true, false, none},
		{"users", "qualification-records", "qualification-records", "user_id", true, false, none},
		{"users", "rank-records", "rank-records", "user_id", true, false, none},
		{"users", "service-records", "service-records", "user_id", true, false, none},
		{"users", "training-records", "training-records", "user_id", true, false, none},
		{"users", "attachments", "attachments", "", true, true, none},
		{"users", "status-records", "statuses", "", true, true, value.Map("text", "On leave")},
	} {
		name := nested.parent + "/" + nested.path
		at := func(c *sdk) *sdkResource {
			return &sdkResource{c, "/v2/" + c.below(nested.parent, nested.path), nested.collection, nested.without}
		}
		sdkMethods(t, shared, name, at)
		if nested.attach {
			t.Run(name+" attach", func(t *testing.T) {
				t.Parallel()
				r := at(newSDK(t, shared))
				if nested.links {
					r.attaches(nested.pivot)
					return
				}
				// The SDK has these for records too, though PERSCOM has no such routes.
				links := value.Map("resources", byID(r.make(r.collection), value.List()))
				r.call(405, "POST", r.path+"/attach", links)
				r.call(404, "DELETE", r.path+"/detach", links)
				r.call(404, "PATCH", r.path+"/sync", links)
			})
		}
	}
}

// Objects with the keys 0, 1, 2 are a list once PHP has encoded them.
func TestSDK_batchUpdate_asList(t *testing.T) {
	s := newServer(t)
	c := &sdk{&world{server: s, made: map[string]int64{}}}
	r := &sdkResource{c, "/v2/ranks", "ranks", ""}
	if one, two := r.make("ranks"), r.make("ranks"); one != 1 || two != 2 {
		t.Fatalf("the first ranks have the ids %d and %d", one, two)
	}
	a := r.call(200, "PATCH", "/v2/ranks/batch", `{"resources":[{"name":"Nobody"},{"name":"Private"},{"name":"Corporal"}]}`)
	wantEqual(t, "ids", idsJSON(idsOf(a.items(t))), value.List(1, 2))
	wantEqual(t, "name of the first", r.get(1, "").at("data", "name"), "Private")
	wantEqual(t, "name of the second", r.get(2, "").at("data", "name"), "Corporal")
}

func TestSDK_userPhotos(t *testing.T) {
	c := newSDK(t, newServer(t))
	path := fmt.Sprintf("/v2/users/%d", c.user)
	for _, photo := range []string{"profile_photo", "cover_photo"} {
		before := c.call(200, "GET", path, nil).at("data", photo+"_url")
		a := c.call(200, "POST", path, value.Map("_method", "put", photo, picture(3)))
		if a.at("data", photo) == nil || a.at("data", photo+"_url") == before {
			t.Errorf("%s is not set: %.500s", photo, a.text)
		}
		c.call(200, "PUT", path, value.Map(photo, nil))
		a = c.call(200, "GET", path, nil)
		wantEqual(t, photo, a.at("data", photo), nil)
		wantEqual(t, photo+"_url", a.at("data", photo+"_url"), before)
	}
}

func TestSDK_others(t *testing.T) {
	c := newSDK(t, newServer(t))
	if a := c.call(204, "GET", "/health", nil); a.text != "" {
		t.Errorf("health answers %q", a.text)
	}
	wantEqual(t, "answer of cache clear", c.call(200, "POST", "/v2/cache", "").body, value.Map("status", "okay"))

	item := c.make("newsfeed")
	a := c.call(200, "GET", "/v2/newsfeed?"+firstPage, nil)
	wantEqual(t, "newsfeed", idsJSON(idsOf(a.items(t))), value.List(item))
	a = c.call(200, "GET", "/v2/settings?"+firstPage, nil)
	wantKeys(t, a.at("data", "0"), "id", "group", "name", "payload", "locked", "created_at", "updated_at")
	a = c.call(200, "GET", "/v2/me?"+firstPage, nil)
	wantEqual(t, "me", idsJSON(idsOf(a.items(t))), value.List(c.user))

	group := c.roster()
	for _, kind := range []string{"automatic", "manual"} {
		a := c.call(200, "GET", "/v2/roster?"+firstPage+"&type="+kind, nil)
		wantEqual(t, "groups of the roster", idsJSON(idsOf(a.items(t))), value.List(group))
		one := c.call(200, "GET", fmt.Sprintf("/v2/roster/%d?type=%s", group, kind), nil)
		wantEqual(t, "group", one.data(t), a.at("data", "0"))
		people := "users"
		if kind == "manual" {
			people = "slots"
		}
		if unit, _ := one.at("data", "units", "0").(*value.Array); !unit.Has(people) {
			t.Errorf("units of the %s roster have no %s: %.500s", kind, people, one.text)
		}
	}
	wantEqual(t, "user of the roster", c.call(200, "GET", fmt.Sprintf("/v2/roster/%d?type=automatic", group), nil).at("data", "units", "0", "users", "0", "id"), c.id("users"))
}
