package admin

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"mime/multipart"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jonboulle/clockwork"
	"golang.org/x/net/html"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/internal/files"
	"github.com/buglehq/bugle/internal/store"
	"github.com/buglehq/bugle/internal/storetest"
	"github.com/buglehq/bugle/personnel"
)

// A peoplePanel is a panel with uploads, whose visitor has signed in and has a role of his own.
type peoplePanel struct {
	*testing.T
	store  *store.Store
	clock  *clockwork.FakeClock
	root   string // where uploads are
	url    string
	client *http.Client
	user   int64 // the visitor's
	role   *bugle.Role
}

// newPeoplePanel signs somebody in who may do everything.
func newPeoplePanel(t *testing.T) *peoplePanel {
	t.Helper()
	root := t.TempDir()
	folder, err := files.Open(root)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { folder.Close() })
	s, clock := storetest.NewWith(t, store.Options{Dropped: func(paths []string) { folder.Remove(paths...) }})
	return peoplePanelOn(t, s, clock, root, folder)
}

// peoplePanelOn is newPeoplePanel on a store, with a folder for uploads or nil.
func peoplePanelOn(t *testing.T, s *store.Store, clock *clockwork.FakeClock, root string, folder *files.Folder) *peoplePanel {
	t.Helper()
	return peoplePanelWith(t, s, root, Options{Clock: clock, Files: folder})
}

func peoplePanelWith(t *testing.T, s *store.Store, root string, o Options) *peoplePanel {
	t.Helper()
	clock := o.Clock.(*clockwork.FakeClock)
	o.UserAgent = "Bugle/test"
	panel := New(s, o)
	server := httptest.NewServer(panel)
	t.Cleanup(func() { panel.Close(); server.Close() })
	hash, err := webhooksHash()
	if err != nil {
		t.Fatal(err)
	}
	user := storetest.Create(t, s, &personnel.User, "name", "Jane Roe", "email", "jane@example.com")
	role := &bugle.Role{OrganizationID: 1, Name: "Some", Permissions: permissions()}
	storetest.Change(t, s, func(tx *store.Tx) error {
		if err := tx.AddRole(role); err != nil {
			return err
		}
		return tx.AddAccount(&bugle.Account{UserID: user.ID(), OrganizationID: 1, Role: role, PasswordHash: hash})
	})
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	p := &peoplePanel{t, s, clock, root, server.URL, &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}, user.ID(), role}
	p.post("/login", url.Values{"email": {"jane@example.com"}, "password": {webhooksPassword}}, http.StatusSeeOther)
	return p
}

// may gives the visitor these permissions and no others.
func (p *peoplePanel) may(permissions ...string) {
	p.Helper()
	p.role.Permissions = permissions
	storetest.Change(p, p.store, func(tx *store.Tx) error { return tx.SaveRole(p.role) })
}

func (p *peoplePanel) request(method, path, contentType string, body io.Reader) (status int, text string, header http.Header) {
	p.Helper()
	r, err := http.NewRequestWithContext(p.Context(), method, p.url+path, body)
	if err != nil {
		p.Fatal(err)
	}
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	answer, err := p.client.Do(r)
	if err != nil {
		p.Fatal(err)
	}
	defer answer.Body.Close()
	all, err := io.ReadAll(answer.Body)
	if err != nil {
		p.Fatal(err)
	}
	return answer.StatusCode, string(all), answer.Header
}

// get returns a page that is to be answered with the status.
func (p *peoplePanel) get(path string, want int) string {
	p.Helper()
	status, text, _ := p.request(http.MethodGet, path, "", nil)
	if status != want {
		p.Fatalf("GET %s: %d, want %d\n%s", path, status, want, mainText(text))
	}
	return text
}

// page is get of what is there, read as a browser reads it.
func (p *peoplePanel) page(path string) *html.Node {
	p.Helper()
	return parsePage(p.T, p.get(path, http.StatusOK))
}

// post sends a form, and returns where the answer leads, or its page.
func (p *peoplePanel) post(path string, fields url.Values, want int) string {
	p.Helper()
	status, text, header := p.request(http.MethodPost, path, "application/x-www-form-urlencoded", strings.NewReader(fields.Encode()))
	if status != want {
		p.Fatalf("POST %s %v: %d, want %d\n%s", path, fields, status, want, mainText(text))
	}
	if status == http.StatusSeeOther {
		return header.Get("Location")
	}
	return text
}

// stored returns a resource as it is in the database.
func (p *peoplePanel) stored(k *personnel.Kind, id int64) *personnel.Resource {
	p.Helper()
	r, err := p.store.Get(p.Context(), 1, k, id)
	if err != nil {
		p.Fatal(err)
	}
	return r
}

// events is how many events there are.
func (p *peoplePanel) events() int {
	p.Helper()
	page, err := p.store.Events(context.Background(), 1, store.EventFilter{}, store.PageRequest{Number: 1, Limit: 1, CountTo: 100_000})
	if err != nil {
		p.Fatal(err)
	}
	return page.Total
}

func parsePage(t *testing.T, text string) *html.Node {
	t.Helper()
	root, err := html.Parse(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return root
}

func mainText(page string) string {
	_, rest, found := strings.Cut(page, "<main")
	if !found {
		return page
	}
	return rest
}

// elements are those of a page, or a part of it, with one of the tags; of any without tags.
func elements(root *html.Node, tags ...string) []*html.Node {
	var list []*html.Node
	for n := range root.Descendants() {
		if n.Type == html.ElementNode && (len(tags) == 0 || slices.Contains(tags, n.Data)) {
			list = append(list, n)
		}
	}
	return list
}

// attr is an attribute of an element, empty if it has none.
func attr(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

func hasAttr(n *html.Node, name string) bool {
	return slices.ContainsFunc(n.Attr, func(a html.Attribute) bool { return a.Key == name })
}

// readText is what somebody reads of an element.
func readText(root *html.Node) string {
	var b strings.Builder
	for n := range root.Descendants() {
		if n.Type == html.TextNode {
			b.WriteString(n.Data)
			b.WriteByte(' ')
		}
	}
	return strings.Join(strings.Fields(b.String()), " ")
}

// mainPart is a page without the menu and the bar at the top.
func mainPart(root *html.Node) *html.Node { return elements(root, "main")[0] }

// A browserForm is a form as a browser has it: what it would send if somebody pressed the button.
type browserForm struct {
	*peoplePanel
	action string
	files  bool // it is sent as multipart/form-data
	values url.Values
	inputs map[string]*html.Node // by name; the first of several
	upload map[string]upload
}

type upload struct {
	name    string
	content []byte
}

// form returns the form of a page, that which is neither for searching nor for deleting.
func (p *peoplePanel) form(path string) *browserForm {
	p.Helper()
	return p.formOf(p.page(path))
}

func (p *peoplePanel) formOf(root *html.Node) *browserForm {
	p.Helper()
	for _, n := range elements(mainPart(root), "form") {
		if attr(n, "method") == "post" && hasAttr(n, "data-dirty") {
			return p.readForm(n)
		}
	}
	p.Fatal("the page has no form")
	return nil
}

// readForm does to values what browsers do before they send them.
func (p *peoplePanel) readForm(n *html.Node) *browserForm {
	f := &browserForm{p, attr(n, "action"), attr(n, "enctype") == "multipart/form-data", url.Values{}, map[string]*html.Node{}, map[string]upload{}}
	for _, in := range elements(n, "input", "select", "textarea") {
		name := attr(in, "name")
		if name == "" || hasAttr(in, "disabled") {
			continue
		}
		if f.inputs[name] == nil {
			f.inputs[name] = in
		}
		value := attr(in, "value")
		switch kind := attr(in, "type"); {
		case in.Data == "textarea":
			value = ""
			for c := range in.Descendants() {
				value += c.Data
			}
			value = crlf(value)
		case in.Data == "select":
			options := elements(in, "option")
			if len(options) == 0 {
				continue
			}
			chosen := options[0]
			for _, o := range options {
				if hasAttr(o, "selected") {
					chosen = o
				}
			}
			value = attr(chosen, "value")
		case kind == "checkbox":
			if !hasAttr(in, "checked") {
				continue
			}
		case kind == "file":
			f.upload[name] = upload{}
			continue
		case kind == "datetime-local":
			value = shortTime(value)
		case kind == "date":
			if _, err := time.Parse(time.DateOnly, value); err != nil {
				value = ""
			}
		case kind == "number":
			if _, err := strconv.ParseFloat(value, 64); err != nil {
				value = ""
			}
		case kind == "email":
			value = strings.TrimSpace(withoutNewlines(value))
		default:
			value = withoutNewlines(value)
		}
		f.values.Add(name, value)
	}
	return f
}

func crlf(text string) string {
	return strings.ReplaceAll(strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(text), "\n", "\r\n")
}

func withoutNewlines(text string) string {
	return strings.NewReplacer("\r", "", "\n", "").Replace(text)
}

// shortTime is the value of a datetime-local input: as short as it can be, or empty if it is none.
func shortTime(text string) string {
	for _, form := range []string{"2006-01-02T15:04:05", "2006-01-02T15:04"} {
		if at, err := time.Parse(form, text); err == nil {
			if at.Second() == 0 {
				return at.Format("2006-01-02T15:04")
			}
			return at.Format("2006-01-02T15:04:05")
		}
	}
	return ""
}

// set gives a field values, none for a box that is not ticked.
func (f *browserForm) set(name string, values ...string) *browserForm {
	f.Helper()
	if f.inputs[name] == nil {
		f.Fatalf("the form %s has no field %s, but %v", f.action, name, slices.Sorted(maps.Keys(f.inputs)))
	}
	f.values[name] = values
	return f
}

// attach chooses a file.
func (f *browserForm) attach(name, filename string, content []byte) *browserForm {
	f.Helper()
	if _, ok := f.upload[name]; !ok {
		f.Fatalf("the form %s has no file %s", f.action, name)
	}
	f.upload[name] = upload{filename, content}
	return f
}

// send presses the button, and returns where the answer leads, or its page.
func (f *browserForm) send(want int) string {
	f.Helper()
	status, text, location := f.answer()
	if status != want {
		f.Fatalf("POST %s %v: %d, want %d\n%s", f.action, f.values, status, want, mainText(text))
	}
	if status == http.StatusSeeOther {
		return location
	}
	return text
}

// answer presses the button, whatever comes of it.
func (f *browserForm) answer() (status int, page, location string) {
	f.Helper()
	var b bytes.Buffer
	contentType := "application/x-www-form-urlencoded"
	if !f.files {
		b.WriteString(f.values.Encode())
	} else {
		w := multipart.NewWriter(&b)
		for name, values := range f.values {
			for _, v := range values {
				if err := w.WriteField(name, v); err != nil {
					f.Fatal(err)
				}
			}
		}
		for name, u := range f.upload {
			part, err := w.CreateFormFile(name, u.name)
			if err == nil {
				_, err = part.Write(u.content)
			}
			if err != nil {
				f.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			f.Fatal(err)
		}
		contentType = w.FormDataContentType()
	}
	status, page, header := f.request(http.MethodPost, f.action, contentType, &b)
	return status, page, header.Get("Location")
}

// saved is send of a form that is right, and returns the id of what was saved.
func (f *browserForm) saved() int64 {
	f.Helper()
	to := f.send(http.StatusSeeOther)
	id, err := strconv.ParseInt(to[strings.LastIndexByte(to, '/')+1:], 10, 64)
	if err != nil {
		f.Fatalf("the form leads to %s, want the page of what was saved", to)
	}
	return id
}

// problem is what the page says beside a field, empty if it is nothing.
func (f *browserForm) problem(name string) string {
	in := f.inputs[name]
	if in == nil {
		return ""
	}
	for n := in.Parent; n != nil; n = n.Parent {
		for _, e := range elements(n, "div") {
			if attr(e, "id") == "field-"+name+"-error" {
				return readText(e)
			}
		}
		if n.Data == "form" {
			break
		}
	}
	return ""
}

// onePixel is a PNG.
var onePixel = []byte("\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x06\x00\x00\x00\x1f\x15\xc4\x89\x00\x00\x00\rIDATx\x9cc\xf8\xcf\xc0\xf0\x1f\x00\x05\x00\x01\xff\xa3\xdd\x8b\x16\x00\x00\x00\x00IEND\xaeB`\x82")

// pagedKinds are the kinds that the panel has pages of, in an order in which what is referred to comes first.
func pagedKinds() []*personnel.Kind {
	var list []*personnel.Kind
	for _, k := range personnel.Kinds() {
		if k.Path != "" && !k.Listed {
			list = append(list, k)
		}
	}
	return list
}

// fill types something into every field of the form of a kind, something else in each round, and returns what
// the resource has to hold then, by the name of the field, as it is stored.
func (f *browserForm) fill(k *personnel.Kind, round int) map[string]any {
	f.Helper()
	want := map[string]any{}
	for i := range k.Fields {
		field := &k.Fields[i]
		name := field.SentAs()
		if f.inputs[name] == nil {
			continue
		}
		switch field.Type {
		case personnel.Integer:
			n := int64(round + 1)
			if field.Name == "model_id" {
				n = 1
			}
			f.set(name, strconv.FormatInt(n, 10))
			want[field.Name] = n
		case personnel.Reference, personnel.Choice, personnel.Code:
			var values []string
			for _, o := range elements(f.inputs[name], "option") {
				if v := attr(o, "value"); v != "" {
					values = append(values, v)
				}
			}
			if len(values) == 0 {
				continue // nothing to refer to yet
			}
			chosen := values[(len(values)-1+round)%len(values)]
			if field.Name == "model_type" {
				chosen = personnel.CalendarEvent.Model()
			}
			f.set(name, chosen)
			want[field.Name] = chosen
			if n, err := strconv.ParseInt(chosen, 10, 64); err == nil && field.Type != personnel.Choice {
				want[field.Name] = n
			}
		case personnel.Boolean:
			on := round%2 == 0 && field.Name != "required" && field.Name != "readonly" // else nobody could make what it applies to
			if want[field.Name] = on; on {
				f.set(name, "1")
			} else {
				f.set(name)
			}
		case personnel.DateTime, personnel.RawTime:
			f.set(name, fmt.Sprintf("2027-03-0%dT18:30:15", round+1))
			want[field.Name] = fmt.Sprintf("2027-03-0%d 18:30:15", round+1)
		case personnel.Email:
			f.set(name, fmt.Sprintf("round%d@example.com", round))
			want[field.Name] = fmt.Sprintf("round%d@example.com", round)
		case personnel.Strings:
			f.set(name, fmt.Sprint(field.Options[round]), fmt.Sprint(field.Options[round+2]))
			want[field.Name] = fmt.Sprintf(`["%s","%s"]`, field.Options[round], field.Options[round+2])
		case personnel.Integers:
			f.set(name, fmt.Sprintf("%d, %d", round+1, round+7))
			want[field.Name] = fmt.Sprintf(`[%d,%d]`, round+1, round+7)
		case personnel.JSON:
			f.set(name, fmt.Sprintf(`{"a": "A", "b": ["B/%d"]}`, round))
			want[field.Name] = fmt.Sprintf(`{"a":"A","b":["B\/%d"]}`, round)
		case personnel.Photo, personnel.File:
			f.attach(name, fmt.Sprintf("picture %d.png", round), onePixel)
		default:
			text, _ := field.Example(k, true).(string)
			switch {
			case field.Name == "slug" || field.Name == "key":
				text = fmt.Sprintf("round%d", round)
			case field.Name == "color":
				text = fmt.Sprintf("#2563e%d", round)
			case field.Name == "rules":
				text = fmt.Sprintf("string|max:%d", 20+round)
			default:
				text = fmt.Sprintf("%s & %d", text, round)
			}
			if field.Type == personnel.Text && field.Name != "rules" {
				text += "\r\nand a line"
			}
			f.set(name, text)
			want[field.Name] = strings.ReplaceAll(text, "\r\n", "\n")
		}
	}
	return want
}

// holds checks what a resource holds.
func (p *peoplePanel) holds(r *personnel.Resource, want map[string]any) {
	p.Helper()
	for name, v := range want {
		if got := r.Get(name); got != v {
			p.Errorf("%s %d has the %s %#v, want %#v", r.Kind.Name, r.ID(), name, got, v)
		}
	}
}

// makeAll makes a resource of each kind with the panel's forms, everything filled in.
func (p *peoplePanel) makeAll() map[string]*personnel.Resource {
	p.Helper()
	made := map[string]*personnel.Resource{}
	for _, k := range pagedKinds() {
		f := p.form("/" + k.Path + "/create")
		want := f.fill(k, 0)
		r := p.stored(k, f.saved())
		p.holds(r, want)
		made[k.Name] = r
	}
	return made
}
