package api_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"
	"github.com/jonboulle/clockwork"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/internal/api"
	"github.com/buglehq/bugle/internal/files"
	"github.com/buglehq/bugle/internal/observe"
	"github.com/buglehq/bugle/internal/store"
	"github.com/buglehq/bugle/internal/storetest"
	"github.com/buglehq/bugle/personnel"
	"github.com/buglehq/bugle/value"
)

// A server is the API over HTTP, with what a test needs to reach behind it.
type server struct {
	testing.TB
	store   *store.Store
	clock   *clockwork.FakeClock
	url     string
	version string // of the paths that do starts with
	org     int64  // the organization of the key, and of what is looked at
	key     string // for everything
	log     *buffer
	heard   func(method, path string, a *answer) // if set, gets every answer
}

// A buffer is written by the server while the test goes on.
type buffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// newServer serves an empty store on the loopback interface, with the options changed by set.
func newServer(t testing.TB, set ...func(*api.Options)) *server {
	t.Helper()
	db, clock := storetest.New(t)
	return serve(t, db, clock, set...)
}

// serve is newServer for a store that has an organization 1 already.
func serve(t testing.TB, db *store.Store, clock *clockwork.FakeClock, set ...func(*api.Options)) *server {
	t.Helper()
	s := &server{TB: t, store: db, clock: clock, version: "v2", org: 1, log: &buffer{}}
	folder, err := files.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { folder.Close() }) // after the server
	o := api.Options{Clock: clock, Log: slog.New(slog.NewTextHandler(s.log, nil)), UserAgent: "Bugle/test", Files: folder}
	ready := observe.NewReadiness(clock, o.Log, observe.DatabaseChecks(db)...)
	ready.SayWhenHeld(db)
	o.Ready = ready
	for _, f := range set {
		f(&o)
	}
	listening := httptest.NewServer(api.New(db, o))
	t.Cleanup(listening.Close)
	s.url = listening.URL
	s.key = s.addKey(bugle.APIKey{Scopes: []string{"*"}})
	return s
}

// in returns the same server for a subtest.
func (s *server) in(t testing.TB) *server {
	c := *s
	c.TB = t
	return &c
}

// addKey makes a key of the organization, unless k has another one, and returns its text.
func (s *server) addKey(k bugle.APIKey) (text string) {
	s.Helper()
	if k.OrganizationID == 0 {
		k.OrganizationID = s.org
	}
	storetest.Change(s, s.store, func(tx *store.Tx) (err error) {
		text, err = tx.AddKey(&k)
		return err
	})
	return text
}

// another returns the same server for a new organization, asked with a key of it for everything.
func (s *server) another() *server {
	s.Helper()
	c := *s
	storetest.Change(s, s.store, func(tx *store.Tx) error {
		o, err := tx.AddOrganization("2nd Test Battalion")
		c.org = o.ID
		return err
	})
	c.key = c.addKey(bugle.APIKey{Scopes: []string{"*"}})
	return &c
}

// An answer is what the server answered.
type answer struct {
	status int
	header http.Header
	text   string
	body   any // decoded, nil unless it is JSON
}

// A sentFile is sent as an upload, in place of a value.
type sentFile struct{ name, content string }

// pixel is a file that is a picture.
var pixel = &sentFile{"pixel.gif", "GIF89a\x01\x00\x01\x00\x00\x00\x00;"}

// holdsFile reports whether there is a file anywhere in v.
func holdsFile(v any) bool {
	if array, ok := v.(*value.Array); ok {
		for _, item := range array.All() {
			if holdsFile(item) {
				return true
			}
		}
	}
	_, isFile := v.(*sentFile)
	return isFile
}

// writeForm adds v to a form under the name, as PHP reads it. Null is an empty text there, and what is
// empty is left out.
func writeForm(form *multipart.Writer, name string, v any) error {
	text := ""
	switch v := v.(type) {
	case *value.Array:
		for key, item := range v.All() {
			inner := key.String()
			if name != "" {
				inner = name + "[" + inner + "]"
			}
			if err := writeForm(form, inner, item); err != nil {
				return err
			}
		}
		return nil
	case *sentFile:
		part, err := form.CreateFormFile(name, v.name)
		if err != nil {
			return err
		}
		_, err = io.WriteString(part, v.content)
		return err
	case bool:
		text = map[bool]string{false: "0", true: "1"}[v]
	case nil:
	default:
		text = fmt.Sprint(v)
	}
	return form.WriteField(name, text)
}

// send makes a request. The body is JSON text, a value to encode, or nil for none; one that holds
// files is sent as a form. Headers are pairs of name and value.
func (s *server) send(method, path string, body any, headers ...string) *answer {
	s.Helper()
	var content io.Reader
	media := "application/json"
	switch body := body.(type) {
	case nil:
	case string:
		content = strings.NewReader(body)
	default:
		if holdsFile(body) {
			encoded := &bytes.Buffer{}
			form := multipart.NewWriter(encoded)
			if err := errors.Join(writeForm(form, "", body), form.Close()); err != nil {
				s.Fatal(err)
			}
			content, media = encoded, form.FormDataContentType()
			break
		}
		text, err := value.JSON(body)
		if err != nil {
			s.Fatal(err)
		}
		content = bytes.NewReader(text)
	}
	r, err := http.NewRequestWithContext(context.Background(), method, s.url+path, content)
	if err != nil {
		s.Fatal(err)
	}
	if content != nil {
		r.Header.Set("Content-Type", media)
	}
	for i := 0; i < len(headers); i += 2 {
		if strings.EqualFold(headers[i], "Host") {
			r.Host = headers[i+1]
		}
		r.Header.Set(headers[i], headers[i+1])
	}
	response, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		s.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		s.Fatal(err)
	}
	a := &answer{status: response.StatusCode, header: response.Header, text: string(text)}
	if response.Header.Get("Content-Type") == "application/json" && len(text) > 0 {
		if a.body, err = value.Decode(text); err != nil {
			s.Fatalf("%s %s answers what is no JSON: %v\n%s", method, path, err, text)
		}
	}
	s.checkDocumented(method, path, a)
	if s.heard != nil {
		s.heard(method, path, a)
	}
	return a
}

// do makes a request to the API with the server's key.
func (s *server) do(method, path string, body any) *answer {
	s.Helper()
	return s.send(method, "/"+s.version+"/"+path, body, "Authorization", "Bearer "+s.key)
}

// with returns the same server asked with another key.
func (s *server) with(key string) *server {
	c := *s
	c.key = key
	return &c
}

// scoped returns the same server asked with a key that has only these scopes.
func (s *server) scoped(scopes ...string) *server {
	s.Helper()
	return s.with(s.addKey(bugle.APIKey{Scopes: scopes}))
}

// want is do for a request that must be answered with the status.
func (s *server) want(status int, method, path string, body any) *answer {
	s.Helper()
	a := s.do(method, path, body)
	a.wantStatus(s, status)
	return a
}

// create adds something to a collection, fields as pairs, and returns its data.
func (s *server) create(path string, fields ...any) *value.Array {
	s.Helper()
	return s.want(201, "POST", path, value.Map(fields...)).data(s)
}

// id returns the id of something as an answer has it.
func id(data any) int64 {
	n, _ := at(data, "id").(int64)
	return n
}

func (a *answer) wantStatus(t testing.TB, status int) {
	t.Helper()
	if a.status != status {
		t.Fatalf("status %d, want %d\n%.2000s", a.status, status, a.text)
	}
}

// data returns the object under data, which must be all there is.
func (a *answer) data(t testing.TB) *value.Array {
	t.Helper()
	data, ok := a.at("data").(*value.Array)
	if body, _ := a.body.(*value.Array); !ok || body.Len() != 1 {
		t.Fatalf("answer is not {\"data\": {…}} alone: %.500s", a.text)
	}
	return data
}

// items returns the list under data.
func (a *answer) items(t testing.TB) []any {
	t.Helper()
	list, ok := a.at("data").(*value.Array)
	if !ok || !list.IsList() {
		t.Fatalf("data is no list: %.500s", a.text)
	}
	items := []any{}
	for _, item := range list.All() {
		items = append(items, item)
	}
	return items
}

func (a *answer) at(keys ...string) any { return at(a.body, keys...) }

// at returns what is below the keys, or nil.
func at(v any, keys ...string) any {
	for _, key := range keys {
		array, _ := v.(*value.Array)
		v, _ = array.Get(key)
	}
	return v
}

func text(v any) string {
	encoded, err := value.JSON(v)
	if err != nil {
		return err.Error()
	}
	return string(encoded)
}

func wantEqual(t testing.TB, what string, got, want any) {
	t.Helper()
	if n, ok := want.(int); ok {
		want = int64(n)
	}
	if n, ok := got.(int); ok {
		got = int64(n)
	}
	if got, want := text(got), text(want); got != want {
		t.Errorf("%s is %.1000s, want %.1000s", what, got, want)
	}
}

// wantError checks that the answer is an error in PERSCOM's shape.
func (a *answer) wantError(t testing.TB, status int, kind, message string) {
	t.Helper()
	if a.status != status {
		t.Errorf("status %d, want %d\n%.2000s", a.status, status, a.text)
		return
	}
	body, _ := a.body.(*value.Array)
	e, _ := a.at("error").(*value.Array)
	keys := []string{"message", "type", "request_id", "trace_id"}
	if status == 422 {
		keys = append(keys, "errors")
	}
	if body.Len() != 1 || !slices.Equal(e.Keys(), keys) {
		t.Errorf("keys of the error are %q, want %q, and nothing beside it: %.500s", e.Keys(), keys, a.text)
	}
	wantEqual(t, "error.type", a.at("error", "type"), kind)
	if message != "" {
		wantEqual(t, "error.message", a.at("error", "message"), message)
	}
	a.wantIDs(t)
	wantEqual(t, "request id in the body", a.at("error", "request_id"), a.header.Get("X-Perscom-Request-Id"))
	wantEqual(t, "trace id in the body", a.at("error", "trace_id"), a.header.Get("X-Perscom-Trace-Id"))
	if got := a.header.Get("Cache-Control"); got != "no-store" {
		t.Errorf("an error has Cache-Control %q, want no-store", got)
	}
}

// wantIDs checks that the ids in the headers are two different random UUIDs.
func (a *answer) wantIDs(t testing.TB) {
	t.Helper()
	ids := []string{a.header.Get("X-Perscom-Request-Id"), a.header.Get("X-Perscom-Trace-Id")}
	for _, id := range ids {
		if parsed, err := uuid.Parse(id); err != nil || parsed.Version() != 4 || parsed.String() != id {
			t.Errorf("id %q is no UUID of version 4", id)
		}
	}
	if ids[0] == ids[1] {
		t.Errorf("request id and trace id are both %s", ids[0])
	}
}

const (
	unauthenticated = "You are not authenticated. Please provide a valid API key that contains your PERSCOM ID to continue."
	forbidden       = "The API key provided does not have the correct permissions and/or scopes to perform the requested action."
	notFound        = "The requested resource or endpoint could not be found."
	rateExceeded    = "You have exceeded the API rate limit. Please wait a minute before trying again."
	maintenance     = "The API is currently down for maintenance. Please check back later."
	noRoom          = "The server has no room left for its data. Nothing was changed. Please try again later."
)

func (a *answer) wantUnauthenticated(t testing.TB) {
	t.Helper()
	a.wantError(t, 401, "AuthenticationException", unauthenticated)
}

func (a *answer) wantForbidden(t testing.TB) {
	t.Helper()
	a.wantError(t, 403, "HttpException", forbidden)
}

func (a *answer) wantNotFound(t testing.TB) {
	t.Helper()
	a.wantError(t, 404, "NotFoundHttpException", notFound)
}

// wantInvalid checks that exactly these fields are wrong, and that the message is the first reason
// with the number of the others.
func (a *answer) wantInvalid(t testing.TB, fields ...string) {
	t.Helper()
	a.wantError(t, 422, "ValidationException", "")
	if a.status != 422 {
		return
	}
	wrong, _ := a.at("error", "errors").(*value.Array)
	if !slices.Equal(wrong.Keys(), fields) {
		t.Errorf("wrong fields are %q, want %q", wrong.Keys(), fields)
		return
	}
	reasons := 0
	for field, list := range wrong.All() {
		reasons += list.(*value.Array).Len()
		for _, reason := range list.(*value.Array).All() {
			if text, ok := reason.(string); !ok || text == "" {
				t.Errorf("reason for %s is %v, want a text", field, reason)
			}
		}
	}
	message, _ := at(wrong, fields[0], "0").(string)
	switch {
	case reasons == 2:
		message += " (and 1 more error)"
	case reasons > 2:
		message += " (and " + strconv.Itoa(reasons-1) + " more errors)"
	}
	wantEqual(t, "error.message", a.at("error", "message"), message)
}

// deliveries returns the newest deliveries of the organization and how many there are.
func (s *server) deliveries() ([]*bugle.Delivery, int) {
	s.Helper()
	page, err := s.store.Deliveries(context.Background(), s.org, store.DeliveryFilter{}, store.PageRequest{Number: 1, Limit: 50})
	if err != nil {
		s.Fatal(err)
	}
	return page.Items, page.Total
}

// watch adds a webhook that gets every event, so that deliveries count events.
func (s *server) watch() *bugle.Webhook {
	s.Helper()
	return storetest.AddWebhook(s, s.store, receiver, func(w *bugle.Webhook) { w.OrganizationID = s.org })
}

// served are the kinds that have a collection.
func served() []*personnel.Kind {
	return slices.DeleteFunc(slices.Clone(personnel.Kinds()), func(k *personnel.Kind) bool { return k.Path == "" })
}

// eachKind runs a test for every kind that has a collection with all the verbs, each in an
// organization of its own.
func eachKind(t *testing.T, test func(t *testing.T, s *server, k *personnel.Kind, m *maker)) {
	shared := newServer(t)
	for _, k := range served() {
		if k.Listed {
			continue
		}
		t.Run(k.Name, func(t *testing.T) {
			t.Parallel()
			s := shared.in(t).another()
			test(t, s, k, &maker{server: s, made: map[string]int64{}})
		})
	}
}

// A maker makes valid fields for any kind, and first the resources that they refer to.
type maker struct {
	*server
	made map[string]int64 // id by kind
	n    int
}

func writable(k *personnel.Kind) []*personnel.Field {
	var fields []*personnel.Field
	for i := range k.Fields {
		if f := &k.Fields[i]; !f.ReadOnly && !f.Hidden {
			fields = append(fields, f)
		}
	}
	return fields
}

// required returns what a resource of the kind must have.
func (m *maker) required(k *personnel.Kind) *value.Array {
	m.Helper()
	return m.fields(k, func(f *personnel.Field) bool { return f.Required })
}

// all returns every field that a client may write.
func (m *maker) all(k *personnel.Kind) *value.Array {
	m.Helper()
	return m.fields(k, func(*personnel.Field) bool { return true })
}

func (m *maker) fields(k *personnel.Kind, with func(*personnel.Field) bool) *value.Array {
	m.Helper()
	fields := value.NewArray(8)
	for _, f := range writable(k) {
		if with(f) {
			fields.Set(f.SentAs(), m.value(k, f))
		}
	}
	return fields
}

// value returns a value for the field, another one each time if it can.
func (m *maker) value(k *personnel.Kind, f *personnel.Field) any {
	m.Helper()
	m.n++
	n := strconv.Itoa(m.n)
	switch f.Type {
	case personnel.Integer:
		if f.Name == "model_id" {
			return m.id(personnel.ByModel(m.value(k, k.Field("model_type")).(string)))
		}
		return int64(m.n)
	case personnel.Reference:
		return m.id(personnel.ByName(f.Refers))
	case personnel.Boolean:
		if k.Hiding != nil && f.Name == k.Hiding.Field {
			return !k.Hiding.When
		}
		return f.Name != "all_day" && f.Default != true && (k != &personnel.CustomField || f.Name != "required") // of all that it applies to
	case personnel.DateTime, personnel.RawTime:
		return "2026-02-" + strconv.Itoa(10+m.n%18) + " 18:30:00"
	case personnel.Email:
		return "user" + n + "@example.com"
	case personnel.Choice, personnel.Code:
		if f.Name == "model_type" {
			return f.Options[0] // that model_id is of
		}
		return f.Options[m.n%len(f.Options)]
	case personnel.Strings:
		return value.List(f.Options[m.n%len(f.Options)])
	case personnel.Integers:
		return value.List(m.n, m.n+1)
	case personnel.JSON:
		return value.Map("one", "Eins", "two", value.List(m.n, nil, true))
	case personnel.Photo, personnel.File:
		if !f.Required {
			return nil
		}
		return pixel
	}
	switch {
	case f.Name == "color":
		return "#16a34a"
	case f.Name == "rules":
		return "string|max:" + n
	case f.Pattern != nil:
		return "key_" + n
	}
	return f.Name + " " + n + " Ü/€"
}

// id returns the id of a resource of the kind, which is made at the first call.
func (m *maker) id(k *personnel.Kind) int64 {
	m.Helper()
	if m.made[k.Name] == 0 {
		m.made[k.Name] = m.make(k)
	}
	return m.made[k.Name]
}

// make adds a resource of the kind with the fields that it must have.
func (m *maker) make(k *personnel.Kind) int64 {
	m.Helper()
	return id(m.want(201, "POST", k.Path, m.required(k)).data(m))
}

// rendered is a value that was sent as it is answered.
func rendered(f *personnel.Field, sent any) any {
	if stored, ok := sent.(string); ok && f.Type == personnel.DateTime {
		return strings.Replace(stored, " ", "T", 1) + ".000000Z"
	}
	return sent
}

// editable returns one field of the kind that can be given any number of values.
func editable(k *personnel.Kind) *personnel.Field {
	for _, f := range writable(k) {
		if (f.Type == personnel.String || f.Type == personnel.Text) && f.Pattern == nil && !f.Unique {
			return f
		}
	}
	return k.Field("created_at")
}
