package api_test

import (
	"compress/gzip"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/buglehq/bugle/value"
)

// contractVariable names PERSCOM's public OpenAPI document, which is not ours to pass on.
const contractVariable = "BUGLE_TEST_PERSCOM_OPENAPI"

// deviations are operations that do not answer as the document says, on purpose. Each is named in
// docs/compatibility.md by its path.
var deviations = map[string]string{
	"DELETE /{version}/forms/{form}/submissions/{submission}/dissociate": "a submission cannot be without a form: 422, where PERSCOM's database refuses with 500",
}

// misdescribed are where the document contradicts what PERSCOM itself answers and asks for. Where
// there is nothing wrong with the document any more, the test says so.
var misdescribed = struct {
	null     map[string]string // properties that can be null, by "Schema.property"
	absent   map[string]string // properties that are in no answer
	required map[string]string // fields that are required though the document does not say so
	answers  map[string]string // operations whose answer is that of another, by "METHOD path"
	includes map[string]string // relations that are offered where there are none, by "METHOD path relation"
}{
	null: map[string]string{
		"ResourceLinks.prev":          "there is no page before the first",
		"ResourceLinks.next":          "there is no page after the last",
		"AssignmentRecord.user_id":    "dissociated",
		"AwardRecord.user_id":         "dissociated",
		"CombatRecord.user_id":        "dissociated",
		"QualificationRecord.user_id": "dissociated",
		"RankRecord.user_id":          "dissociated",
		"ServiceRecord.user_id":       "dissociated",
		"Message.recipients":          "everybody",
		"Field.options":               "none",
		"Field.options_model":         "the options are a list",
	},
	absent: map[string]string{
		"User.timezone":                 "not a column",
		"Attachment.file":               "only sent; path and attachment_url are what became of it",
		"NewsfeedResource.log_name":     "the columns of the table, of which PERSCOM answers others",
		"NewsfeedResource.subject_type": "as log_name",
		"NewsfeedResource.subject_id":   "as log_name",
		"NewsfeedResource.causer_type":  "as log_name",
		"NewsfeedResource.causer_id":    "as log_name",
		"NewsfeedResource.properties":   "as log_name",
		"NewsfeedResource.batch_uuid":   "as log_name",
		"NewsfeedResource.updated_at":   "as log_name",
	},
	required: map[string]string{
		"TrainingRecord.instructor_id": "PERSCOM's rules ask for it",
		"Field.name":                   "PERSCOM's rules ask for it",
		"Field.key":                    "PERSCOM's rules ask for it",
		"Field.type":                   "PERSCOM's rules ask for it",
	},
	answers: map[string]string{
		"POST /{version}/groups/{group}/units/attach":        "POST /{version}/categories/{category}/ranks/attach",
		"DELETE /{version}/groups/{group}/units/detach":      "DELETE /{version}/categories/{category}/ranks/detach",
		"PATCH /{version}/groups/{group}/units/sync":         "PATCH /{version}/categories/{category}/ranks/sync",
		"PATCH /{version}/groups/{group}/units/toggle":       "PATCH /{version}/categories/{category}/ranks/toggle",
		"PATCH /{version}/groups/{group}/units/{unit}/pivot": "PATCH /{version}/categories/{category}/ranks/{rank}/pivot",
	},
	includes: map[string]string{
		"GET /{version}/categories/{category}/documents/{document} image": "documents have none",
	},
}

// A contract is the document.
type contract struct{ *openapi3.T }

// readContract reads the document, with what is misdescribed put right.
func readContract(t *testing.T) *contract {
	t.Helper()
	path := os.Getenv(contractVariable)
	if path == "" {
		t.Skipf("PERSCOM's OpenAPI document is not part of this project: set %s to the path of one, gzipped, to compare every operation with it.", contractVariable)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	unzipped, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(unzipped)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := openapi3.NewLoader().LoadFromData(text)
	if err != nil {
		t.Fatal(err)
	}
	c := &contract{doc}
	for name := range misdescribed.null {
		if p := c.property(t, name); p.Nullable {
			t.Errorf("%s can be null in the document already", name)
		} else {
			p.Nullable = true
		}
	}
	for name := range misdescribed.absent {
		c.property(t, name).WriteOnly = true
	}
	return c
}

// property returns the schema of "Schema.property".
func (c *contract) property(t *testing.T, name string) *openapi3.Schema {
	t.Helper()
	owner, property, _ := strings.Cut(name, ".")
	if s := c.Components.Schemas[owner]; s != nil {
		for _, s := range append([]*openapi3.SchemaRef{s}, s.Value.AllOf...) {
			if p := s.Value.Properties[property]; p != nil {
				return p.Value
			}
		}
	}
	t.Fatalf("the document has no %s", name)
	return nil
}

// operation returns the operation that a key such as "GET /{version}/me" means.
func (c *contract) operation(key string) *openapi3.Operation {
	method, path, _ := strings.Cut(key, " ")
	if item := c.Paths.Value(path); item != nil {
		return item.GetOperation(method)
	}
	return nil
}

// answer returns the schema of an operation's answer with the status, or nil.
func (c *contract) answer(key string, status int) *openapi3.Schema {
	if other := misdescribed.answers[key]; other != "" {
		key = other
	}
	response := c.operation(key).Responses.Status(status)
	if response == nil || response.Value.Content.Get("application/json") == nil {
		return nil
	}
	return response.Value.Content.Get("application/json").Schema.Value
}

// success is the status of the operation's documented success.
func success(o *openapi3.Operation) int {
	for status := 200; status < 300; status++ {
		if o.Responses.Status(status) != nil {
			return status
		}
	}
	return 0
}

// pattern is the path as operations has it: below the version, parameters called parent and id.
func pattern(path string) string {
	segments := strings.Split(strings.TrimPrefix(path, "/{version}/"), "/")
	for i, s := range segments {
		switch {
		case !strings.HasPrefix(s, "{"):
		case i == 1 && len(segments) > 2:
			segments[i] = "{parent}"
		default:
			segments[i] = "{id}"
		}
	}
	return strings.Join(segments, "/")
}

// Every operation of PERSCOM's own document answers what the document says.
func TestContract(t *testing.T) {
	c := readContract(t)
	ours := map[string]operation{}
	for _, o := range operations() {
		ours[o.method+" "+o.pattern] = o
	}
	compatibility, err := os.ReadFile(filepath.Join("..", "..", "docs", "compatibility.md"))
	if err != nil {
		t.Fatal(err)
	}
	for key := range deviations {
		_, path, _ := strings.Cut(key, "/{version}/")
		if c.operation(key) == nil || !strings.Contains(string(compatibility), path) {
			t.Errorf("%s deviates on purpose: it must be in the document, and docs/compatibility.md must name it", key)
		}
	}

	shared := newServer(t)
	var documented, walked, failed atomic.Int32
	t.Cleanup(func() { // once all of them are done
		t.Logf("%d operations walked of %d; %d deviate on purpose, %d otherwise", walked.Load(), documented.Load(), len(deviations), failed.Load())
		chosen := strings.Contains(flag.Lookup("test.run").Value.String(), "/") || flag.Lookup("test.skip").Value.String() != ""
		if !chosen && walked.Load() < documented.Load() {
			t.Errorf("only %d of %d operations were walked", walked.Load(), documented.Load())
		}
	})
	for path, item := range c.Paths.Map() {
		for method := range item.Operations() {
			key := method + " " + path
			documented.Add(1)
			t.Run(key, func(t *testing.T) {
				t.Parallel()
				defer func() {
					walked.Add(1)
					if t.Failed() {
						failed.Add(1)
					}
				}()
				o, ok := ours[method+" "+pattern(path)]
				if !ok {
					t.Fatal("Bugle has no such operation")
				}
				c.walk(t, shared, ours, key, o)
			})
		}
	}
}

// walk calls one operation and compares request and answer with the document.
func (c *contract) walk(t *testing.T, shared *server, ours map[string]operation, key string, o operation) {
	w := newWorld(t, shared)
	if create, ok := ours["POST "+o.pattern]; ok && o.method == "GET" && o.shape == asPage {
		c.addLeast(w, "POST"+strings.TrimPrefix(key, "GET"), create) // so that the page has nulls too
	}
	prepared := o.prepare(w)
	required, _ := c.required(key)
	missing := slices.DeleteFunc(required, func(name string) bool { return holds(prepared.body, name) })
	if o.method == "POST" && len(missing) > 0 {
		t.Errorf("the request has no %s, which the document requires", strings.Join(missing, ", "))
	}
	if deviations[key] != "" {
		a := w.want(o.status, o.method, prepared.path, prepared.body)
		if o.status == success(c.operation(key)) {
			t.Errorf("answers %d as documented: it is no deviation", a.status)
		}
		return
	}
	c.wantDocumented(t, key, w.do(o.method, prepared.path, prepared.body))
	if o.method == "GET" {
		w.version = "v1"
		c.wantDocumented(t, key, w.do(o.method, prepared.path, nil))
		w.version = "v2"
		c.wantIncludes(w, key, prepared.path)
	}
	if o.method == "POST" && o.status == 201 {
		c.wantDocumented(t, key, c.addLeast(w, key, o))
	}
}

// addLeast creates something with nothing but what is required.
func (c *contract) addLeast(w *world, key string, create operation) *answer {
	w.Helper()
	required, schema := c.required(key)
	prepared, least := create.prepare(w), value.NewArray(len(required))
	for name, v := range prepared.body.(*value.Array).All() {
		if slices.Contains(required, name.String()) || misdescribed.required[schema+"."+name.String()] != "" {
			least.Set(name.String(), v)
		}
	}
	return w.want(201, "POST", prepared.path, least)
}

// required returns the fields that the document requires of the operation's body, or of each of its
// resources, and the name of the schema that says so.
func (c *contract) required(key string) ([]string, string) {
	body := c.operation(key).RequestBody
	if body == nil || body.Value.Content.Get("application/json") == nil {
		return nil, ""
	}
	schema := body.Value.Content.Get("application/json").Schema
	if resources := schema.Value.Properties["resources"]; resources != nil && resources.Value.Items != nil {
		schema = resources.Value.Items
	}
	return slices.Clone(schema.Value.Required), strings.TrimPrefix(schema.Ref, "#/components/schemas/")
}

// holds reports whether a body, or each of the resources in it, has the field.
func holds(body any, name string) bool {
	fields, _ := body.(*value.Array)
	if fields == nil {
		return false
	}
	resources, several := fields.Get("resources")
	if !several {
		return fields.Has(name)
	}
	for _, item := range resources.(*value.Array).All() {
		if item, ok := item.(*value.Array); !ok || !item.Has(name) {
			return false
		}
	}
	return true
}

// wantDocumented compares an answer with the document.
func (c *contract) wantDocumented(t *testing.T, key string, a *answer) {
	t.Helper()
	a.wantStatus(t, success(c.operation(key)))
	schema := c.answer(key, a.status)
	if schema == nil {
		t.Fatalf("the document has no answer with the status %d", a.status)
	}
	var body any
	if err := json.Unmarshal([]byte(a.text), &body); err != nil {
		t.Fatal(err)
	}
	if err := schema.VisitJSON(body, openapi3.VisitAsResponse(), openapi3.MultiErrors(), openapi3.EnableFormatValidation()); err != nil {
		t.Errorf("the answer is not as documented: %v\n%.2000s", err, a.text)
	}
	c.wantProperties(t, "", schema, body)
}

// wantProperties checks that the answer has every property that the document names: it requires few
// of them.
func (c *contract) wantProperties(t *testing.T, at string, s *openapi3.Schema, v any) {
	t.Helper()
	switch v := v.(type) {
	case []any:
		for i, item := range v {
			if s.Items != nil {
				c.wantProperties(t, fmt.Sprintf("%s.%d", at, i), s.Items.Value, item)
			}
		}
	case map[string]any:
		for _, part := range s.AllOf {
			c.wantProperties(t, at, part.Value, v)
		}
		for name, p := range s.Properties {
			inner, there := v[name]
			if !there && !p.Value.WriteOnly {
				t.Errorf("the answer has no %s", strings.TrimPrefix(at+"."+name, "."))
			}
			c.wantProperties(t, at+"."+name, p.Value, inner)
		}
	}
}

// wantIncludes asks for each relation that the document offers.
func (c *contract) wantIncludes(w *world, key, path string) {
	w.Helper()
	p := c.operation(key).Parameters.GetByInAndName("query", "include")
	if p == nil || c.answer(key, 200).Properties["links"] != nil { // a page shows no more than one resource does
		return
	}
	for _, include := range p.Schema.Value.Enum {
		relation, _, _ := strings.Cut(fmt.Sprint(include), ".")
		data := w.want(200, "GET", path+"?include="+fmt.Sprint(include), nil).data(w)
		if !data.Has(relation) && misdescribed.includes[key+" "+relation] == "" {
			w.Errorf("include=%v brings no %s", include, relation)
		}
	}
}
