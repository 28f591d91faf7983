package api_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/buglehq/bugle/internal/api"
	"github.com/buglehq/bugle/personnel"
)

// A description is the OpenAPI document of the API, ready to check answers against.
type description struct {
	text  []byte
	root  map[string]any
	paths *http.ServeMux // the same patterns as the document's

	mu       sync.Mutex // of what follows
	compiler *jsonschema.Compiler
	schemas  map[string]*jsonschema.Schema // by their place in the document
}

// described is read once: it is the same for every server, the address of the server aside.
var described struct {
	once sync.Once
	*description
}

func (s *server) description() *description {
	s.Helper()
	described.once.Do(func() {
		response, err := http.Get(s.url + "/spec.json")
		if err != nil {
			s.Fatal(err)
		}
		defer response.Body.Close()
		text, err := io.ReadAll(response.Body)
		if err != nil {
			s.Fatal(err)
		}
		d := &description{text: text, paths: http.NewServeMux(), compiler: jsonschema.NewCompiler(), schemas: map[string]*jsonschema.Schema{}}
		root, err := jsonschema.UnmarshalJSON(strings.NewReader(string(text)))
		if err != nil {
			s.Fatal(err)
		}
		d.root = root.(map[string]any)
		d.compiler.AssertFormat()
		if err := d.compiler.AddResource("spec.json", root); err != nil {
			s.Fatal(err)
		}
		for path := range d.object("paths") {
			d.paths.Handle(path, documented{})
		}
		described.description = d
	})
	if described.description == nil {
		s.Fatal("there is no document")
	}
	return described.description
}

// documented answers for a path of the document.
type documented struct{ http.Handler }

// object returns what is under the keys, or nil.
func (d *description) object(keys ...string) map[string]any {
	at := d.root
	for _, key := range keys {
		at, _ = at[key].(map[string]any)
	}
	return at
}

// check returns what is wrong with JSON by the schema at a place of the document.
func (d *description) check(place string, v any) error {
	d.mu.Lock()
	schema := d.schemas[place]
	var err error
	if schema == nil {
		if schema, err = d.compiler.Compile("spec.json#/" + place); err == nil {
			d.schemas[place] = schema
		}
	}
	d.mu.Unlock()
	if err != nil {
		return err
	}
	return schema.Validate(v)
}

// pointer is a pointer into the document.
func pointer(keys ...string) string {
	for i, key := range keys {
		keys[i] = url.PathEscape(strings.NewReplacer("~", "~0", "/", "~1").Replace(key))
	}
	return strings.Join(keys, "/")
}

// undocumented are statuses that operations leave to their default: nothing that is asked rightly is
// answered so.
var undocumented = []int{405, 408, 415, 500}

// checkDocumented fails the test if the answer is none that the document has for the request.
func (s *server) checkDocumented(method, path string, a *answer) {
	s.Helper()
	path, _, _ = strings.Cut(path, "?")
	if below, ok := strings.CutPrefix(path, "/v1/"); ok {
		path = "/v2/" + below
	}
	d := s.description()
	r := &http.Request{Method: "GET", URL: &url.URL{Path: path}}
	handler, pattern := d.paths.Handler(r)
	if _, ok := handler.(documented); !ok || method == http.MethodOptions { // not ok: no path, or one to be cleaned up
		return
	}
	item := d.object("paths", pattern)
	operations := []string{method}
	switch method {
	case http.MethodHead:
		operations = []string{"GET"}
	case http.MethodPost:
		operations = []string{"POST", "PUT", "PATCH", "DELETE"} // a form may ask for another method
	}
	var problem error
	for _, operation := range operations {
		o, ok := item[strings.ToLower(operation)].(map[string]any)
		if !ok {
			continue
		}
		if err := d.checkAnswer(o, a); err == nil {
			return
		} else if problem == nil {
			problem = err
		}
	}
	if problem == nil && (a.status == 405 || a.status == 401 || a.status == 429 || a.status == 503) {
		problem = d.checkAs("Error405", a)
	} else if problem == nil && a.status < 400 {
		problem = fmt.Errorf("there is no such operation")
	}
	if problem != nil {
		s.Errorf("%s %s is answered with %d, which is not as its document says: %v\n%.1000s", method, pattern, a.status, problem, a.text)
	}
}

func (d *description) checkAnswer(operation map[string]any, a *answer) error {
	answers, _ := operation["responses"].(map[string]any)
	answered := answers[strconv.Itoa(a.status)]
	if answered == nil {
		if !slices.Contains(undocumented, a.status) {
			return fmt.Errorf("the status is not in it")
		}
		answered = answers["default"]
	}
	object, _ := answered.(map[string]any)
	name, _ := object["$ref"].(string)
	if name == "" {
		if a.text != "" {
			return fmt.Errorf("it has no body")
		}
		return nil
	}
	return d.checkAs(strings.TrimPrefix(name, "#/components/responses/"), a)
}

// checkAs checks an answer by a response of the document. HEAD has no body.
func (d *description) checkAs(name string, a *answer) error {
	if a.text == "" {
		return nil
	}
	v, err := jsonschema.UnmarshalJSON(strings.NewReader(a.text))
	if err != nil {
		return err
	}
	return d.check(pointer("components", "responses", name, "content", "application/json", "schema"), v)
}

func TestSpec(t *testing.T) {
	s := newServer(t)
	a := s.send("GET", "/spec.json", nil)
	a.wantStatus(t, 200)
	for name, want := range map[string]string{"Content-Type": "application/json", "Cache-Control": "public, max-age=300", "Vary": "Accept-Encoding"} {
		if got := a.header.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	wantEqual(t, "version", a.at("openapi"), "3.1.0")
	wantEqual(t, "server without a public address", a.at("servers", "0", "url"), "/")

	etag := a.header.Get("ETag")
	s.send("GET", "/spec.json", nil, "If-None-Match", etag).wantStatus(t, 304)
	if again := newServer(t).send("GET", "/spec.json", nil); again.header.Get("ETag") != etag {
		t.Error("the document of the next server differs")
	}
	public := newServer(t, func(o *api.Options) { o.PublicURL = "https://bugle.example.com" })
	wantEqual(t, "server", public.send("GET", "/spec.json", nil).at("servers", "0", "url"), "https://bugle.example.com")
	s.send("POST", "/spec.json", nil).wantStatus(t, 404)
}

// The document must be one, by the schema of OpenAPI 3.1 and by a library that reads such documents.
func TestSpec_valid(t *testing.T) {
	d := newServer(t).description()
	file, err := os.Open("testdata/openapi-3.1.json")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	meta, err := jsonschema.UnmarshalJSON(file)
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource("openapi.json", meta); err != nil {
		t.Fatal(err)
	}
	schema, err := compiler.Compile("openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := schema.Validate(d.root); err != nil {
		t.Errorf("not by the schema of OpenAPI: %v", err)
	}

	document, err := openapi3.NewLoader().LoadFromData(d.text)
	if err != nil {
		t.Fatal(err)
	}
	if err := document.Validate(context.Background(), openapi3.DisableExamplesValidation(), openapi3.AllowExtraSiblingFields("summary", "description")); err != nil {
		t.Errorf("kin-openapi: %v", err)
	}
}

// What the router has and what the document has must be the same: OPTIONS tells the one.
func TestSpec_routes(t *testing.T) {
	s := newServer(t)
	d := s.description()
	ids := map[string]string{}
	for path, v := range d.object("paths") {
		var methods []string
		for _, method := range []string{"GET", "POST", "PUT", "PATCH", "DELETE"} {
			o, ok := v.(map[string]any)[strings.ToLower(method)].(map[string]any)
			if !ok {
				continue
			}
			methods = append(methods, method)
			if method == "GET" {
				methods = append(methods, "HEAD")
			}
			id, _ := o["operationId"].(string)
			if ids[id] != "" || id == "" || id[:1] != strings.ToLower(id[:1]) {
				t.Errorf("%s %s has the id %q, as has %s", method, path, id, ids[id])
			}
			ids[id] = method + " " + path
			if o["summary"] == "" {
				t.Errorf("%s %s has no summary", method, path)
			}
		}
		if !strings.HasPrefix(path, "/v2/") {
			continue
		}
		asked := strings.NewReplacer("{parent}", "1", "{id}", "1").Replace(path)
		if got, want := s.send("OPTIONS", asked, nil).header.Get("Allow"), strings.Join(methods, ", "); got != want {
			t.Errorf("%s allows %q, its document has %q", path, got, want)
		}
	}
	for _, k := range served() {
		paths := []string{"/v2/" + k.Path}
		if !k.Listed {
			paths = append(paths, "/v2/"+k.Path+"/{id}", "/v2/"+k.Path+"/batch", "/v2/"+k.Path+"/search")
		}
		for _, n := range k.Nested {
			paths = append(paths, "/v2/"+k.Path+"/{parent}/"+n.Path)
		}
		for _, path := range paths {
			if d.object("paths", path) == nil {
				t.Errorf("%s is not in the document", path)
			}
		}
	}
}

// Every example must be one of what it is an example of.
func TestSpec_examples(t *testing.T) {
	d := newServer(t).description()
	n := 0
	check := func(v any, keys ...string) {
		n++
		if err := d.check(pointer(slices.Clone(keys)...), v); err != nil {
			t.Errorf("example of %s: %v", strings.Join(keys, " "), err)
		}
	}
	for name := range d.object("components", "schemas") {
		examples, _ := d.object("components", "schemas", name)["examples"].([]any)
		if len(examples) != 1 {
			t.Errorf("schema %s has %d examples, want 1", name, len(examples))
		}
		for _, example := range examples {
			check(example, "components", "schemas", name)
		}
	}
	for _, group := range []string{"requestBodies", "responses"} {
		for name := range d.object("components", group) {
			for media := range d.object("components", group, name, "content") {
				content := d.object("components", group, name, "content", media)
				example, given := content["example"]
				if media == "multipart/form-data" {
					continue // that of the schema
				}
				if !given {
					t.Errorf("%s %s has no example", group, name)
				}
				check(example, "components", group, name, "content", media, "schema")
			}
		}
	}
	for name, parameter := range d.object("components", "parameters") {
		if example, given := parameter.(map[string]any)["example"]; given {
			check(example, "components", "parameters", name, "schema")
		}
	}
	for event := range d.object("webhooks") {
		content := d.object("webhooks", event, "post", "requestBody", "content", "application/json")
		check(content["example"], "webhooks", event, "post", "requestBody", "content", "application/json", "schema")
	}
	if n < 500 {
		t.Errorf("only %d examples were found", n)
	}
}

// What the document has beside paths: events, what is sent for them, and the components that no
// operation refers to.
func TestSpec_events(t *testing.T) {
	d := newServer(t).description()
	want := append(personnel.EventNames(), "webhook.test")
	if got := d.object("webhooks"); len(got) != len(want) {
		t.Errorf("%d events, want %d", len(got), len(want))
	}
	for _, name := range want {
		if d.object("webhooks", name, "post") == nil {
			t.Errorf("%s is missing", name)
		}
	}
	unused := map[string]bool{}
	for _, group := range []string{"schemas", "responses", "requestBodies", "parameters"} {
		for name := range d.object("components", group) {
			if !strings.Contains(string(d.text), `\/`+group+`\/`+name+`"`) {
				unused[name] = true
			}
		}
	}
	for _, name := range []string{"Error402", "Error405"} { // answers that no operation has
		if !unused[name] {
			t.Errorf("%s is referred to", name)
		}
		delete(unused, name)
	}
	for name := range unused {
		t.Errorf("component %s is referred to by nothing", name)
	}
}

// Envelopes, as they are written with each change, must be as the document says.
func TestSpec_envelopes(t *testing.T) {
	eachKind(t, func(t *testing.T, s *server, k *personnel.Kind, m *maker) {
		if !k.Emits {
			return
		}
		s.watch()
		made := m.make(k)
		path := k.Path + "/" + strconv.FormatInt(made, 10)
		s.want(200, "PATCH", path, "{}") // nothing changes
		s.do("PATCH", path, `{"`+editable(k).Name+`": "2026-03-03 03:03:03"}`).wantStatus(t, 200)
		s.want(200, "DELETE", path, nil)
		deliveries, _ := s.deliveries()
		if len(deliveries) < 3 {
			t.Fatalf("%d deliveries, want 3", len(deliveries))
		}
		for _, delivery := range deliveries {
			payload, err := s.store.Payload(context.Background(), delivery.EventID)
			if err != nil {
				t.Fatal(err)
			}
			envelope := payload.Text
			var v any
			if v, err = jsonschema.UnmarshalJSON(strings.NewReader(string(envelope))); err != nil {
				t.Fatal(err)
			}
			err = s.description().check(pointer("webhooks", delivery.Event, "post", "requestBody", "content", "application/json", "schema"), v)
			if err != nil {
				t.Errorf("envelope of %s: %v\n%s", delivery.Event, err, envelope)
			}
		}
	})
}

// A key of an answer that the document does not have must be noticed, or the rest says little.
func TestSpec_noticesWhatIsUndocumented(t *testing.T) {
	s := newServer(t)
	d := s.description()
	rank := s.create("ranks", "name", "Sergeant")
	good := `{"data":` + text(rank) + `}`
	for _, bad := range []string{
		strings.Replace(good, `"name"`, `"nmae"`, 1),
		strings.Replace(good, `"id":`, `"id":"x","was":`, 1),
		`{"data":` + text(rank) + `,"more":1}`,
	} {
		if d.checkAs("RankData", &answer{status: 200, text: bad}) == nil {
			t.Errorf("passes: %s", bad)
		}
	}
	if err := d.checkAs("RankData", &answer{status: 200, text: good}); err != nil {
		t.Error(err)
	}
	if err := d.checkAnswer(d.object("paths", "/v2/ranks", "get"), &answer{status: 418}); err == nil {
		t.Error("a status that is not in the document passes")
	}
	if !json.Valid(d.text) {
		t.Error("the document is no JSON")
	}
}
