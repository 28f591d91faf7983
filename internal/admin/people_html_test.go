package admin

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"github.com/buglehq/bugle/internal/storetest"
	"github.com/buglehq/bugle/personnel"
	"github.com/buglehq/bugle/value"
)

// nasty are texts that want to be more than text. A name has room for each.
var nasty = []string{
	`"><script>pwned()</script><img src=x onerror=pwned()><svg onload=pwned()><a href="javascript:pwned()">x</a>`,
	`'onmouseover='pwned()' --></title></textarea></style></select><iframe srcdoc="<script>pwned()</script>"></iframe><base href="//pwned.example/">`,
	`<form action=//pwned.example><input autofocus onfocus=pwned()><button formaction=javascript:pwned()>x</button></form><style>*{}</style><meta http-equiv=refresh content=0>`,
	`javascript:pwned()<a href=" java&#10;script:pwned()">x</a><a href="data:text/html,<script>pwned()</script>">x</a><img src="https://pwned.example/x.png"><img src="/logout">`,
	`#fff"><math><mtext></form><mglyph><style></math><img src onerror=pwned()>{{pwned}}<svg><use href="data:image/svg+xml,pwned"/></svg><object data=x><embed src=x>`,
}

// harmlessPage checks that nothing on a page but what the panel put there does anything.
func harmlessPage(t *testing.T, where, page string) {
	t.Helper()
	root := parsePage(t, page)
	for _, n := range elements(root) {
		var wrong string
		switch n.Data {
		case "script":
			if attr(n, "nonce") == "" || strings.Contains(readText(n), "pwned") {
				wrong = "is there"
			}
		case "iframe", "object", "embed", "base", "style", "math", "frame", "template", "video", "audio":
			wrong = "is there"
		case "svg":
			if class := attr(n, "class"); class != "icon" && class != "swatch" {
				wrong = "is there"
			}
		case "meta":
			if hasAttr(n, "http-equiv") {
				wrong = "is there"
			}
		case "img":
			if !strings.HasPrefix(attr(n, "src"), "/storage/") && attr(n, "src") != "" {
				wrong = "leads to " + attr(n, "src")
			}
		case "form":
			if !strings.HasPrefix(attr(n, "action"), "/") || strings.HasPrefix(attr(n, "action"), "//") {
				wrong = "leads to " + attr(n, "action")
			}
		}
		for _, a := range n.Attr {
			switch value := strings.ToLower(strings.Map(visible, a.Val)); {
			case strings.HasPrefix(a.Key, "on"), a.Key == "srcdoc", a.Key == "formaction", a.Key == "style", a.Key == "autofocus":
				wrong = "has " + a.Key
			case !slices.Contains([]string{"href", "src", "action", "hx-get", "hx-post"}, a.Key):
			case strings.HasPrefix(value, "javascript:"), strings.HasPrefix(value, "data:"), strings.HasPrefix(value, "//"), strings.HasPrefix(value, "vbscript:"):
				wrong = "leads to " + a.Val
			case n.Data == "use" && !strings.HasPrefix(value, "/assets/"):
				wrong = "draws " + a.Val
			}
		}
		if wrong != "" {
			t.Errorf("%s: an element %s %s\n%s", where, n.Data, wrong, markup(n))
		}
	}
}

func visible(c rune) rune {
	if c <= ' ' {
		return -1
	}
	return c
}

func markup(n *html.Node) string {
	var b strings.Builder
	html.Render(&b, n)
	return cut(300, b.String())
}

// Whatever is stored in any text of any kind comes out as that text, in whichever page.
func TestPeople_nothingStoredIsMarkup(t *testing.T) {
	p := newPeoplePanel(t)
	for i, text := range nasty {
		storetest.Create(t, p.store, &personnel.CustomField, "name", text, "key", fmt.Sprint("select", i), "type", "select", "help", text,
			"applies_to", value.List("users"), "options", value.Map(text, text), "default", text)
		made := p.makeText(func(*personnel.Kind, *personnel.Field) string { return text }, fmt.Sprint(i))
		for _, k := range pagedKinds() {
			r := made[k.Name]
			path := fmt.Sprintf("/%s/%d", k.Path, r.ID())
			for _, page := range []string{path, path + "/edit"} {
				harmlessPage(t, page, p.get(page, http.StatusOK))
			}
			if i == len(nasty)-1 {
				p.unchanged(r)
			}
		}
		harmlessPage(t, "a page that is not there", p.get("/"+url.PathEscape(text), http.StatusNotFound))
	}
	for _, k := range personnel.Kinds() {
		if k.Path != "" {
			harmlessPage(t, "/"+k.Path, p.get("/"+k.Path+"?per=1000", http.StatusOK))
			harmlessPage(t, "/"+k.Path, p.get("/"+k.Path+"?hidden=1", http.StatusOK))
		}
	}
	for _, path := range []string{"/", "/roster", "/event-log"} {
		harmlessPage(t, path, p.get(path, http.StatusOK))
	}
	// What is deleted says its name once more.
	for i := range nasty {
		p.post(fmt.Sprintf("/ranks/%d/delete", i+1), nil, http.StatusSeeOther)
		page := p.get("/ranks", http.StatusOK)
		harmlessPage(t, "the list of ranks after a delete", page)
		has(t, page, "is deleted.")
	}
}

// What is typed wrong, searched or part of an address comes back as it was sent.
func TestPeople_nothingSentIsMarkup(t *testing.T) {
	p := newPeoplePanel(t)
	text := strings.Join(nasty, "")
	for _, k := range pagedKinds() {
		f := p.form("/" + k.Path + "/create")
		for name, in := range f.inputs {
			if kind := attr(in, "type"); kind != "checkbox" && kind != "file" {
				f.set(name, text)
			}
		}
		if k == &personnel.Comment {
			f.set("comment", "")
		}
		harmlessPage(t, "the refused form of "+k.Path, f.send(http.StatusUnprocessableEntity))
	}
	for _, path := range []string{"/users", "/rank-records", "/comments", "/events"} {
		query := url.Values{"q": {text[:200]}, "sort": {text}, "hidden": {text}, "page": {text}, "per": {text}}
		harmlessPage(t, "a search in "+path, p.get(path+"?"+query.Encode(), http.StatusOK))
		for _, name := range []string{"user_id", "author_id", "unit_id", "model_type", "format"} {
			_, page, _ := p.request(http.MethodGet, path+"?"+url.Values{name: {text}}.Encode(), "", nil)
			harmlessPage(t, "a filter in "+path, page)
		}
		query = url.Values{"name": {text}, "user_id": {text}, "text": {text}, "model_type": {text}, "comment": {text}, "location": {text}}
		harmlessPage(t, "the prepared form of "+path, p.get(path+"/create?"+query.Encode(), http.StatusOK))
	}
	harmlessPage(t, "the prepared form of an attachment", p.get("/attachments/create?"+url.Values{"model_type": {text}, "model_id": {"1"}}.Encode(), http.StatusOK))
	_, page, _ := p.request(http.MethodPost, "/users/1/link", "application/x-www-form-urlencoded", strings.NewReader(url.Values{"relation": {"fields"}, "id": {text}}.Encode()))
	harmlessPage(t, "a link that is refused", page+p.get("/users/1", http.StatusOK))
}

// HTML that may be used is used.
func TestPeople_writtenHTML(t *testing.T) {
	p := newPeoplePanel(t)
	id := p.form("/ranks/create").set("name", "Sergeant").set("description", `<p>For <strong>those</strong> who <a href="https://example.com">lead</a></p>`).saved()
	page := p.get(fmt.Sprintf("/ranks/%d", id), http.StatusOK)
	has(t, page, "<strong>those</strong>", `href="https://example.com"`, "nofollow")
	if list := p.rows("/ranks"); list[1][1] != "For those who lead" {
		t.Errorf("the list says %q", list[1][1])
	}
}
