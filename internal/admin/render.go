package admin

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	stdhtml "html"
	"html/template"
	"net/http"
	"net/url"
	"path"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/microcosm-cc/bluemonday"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/internal/admin/assets"
	"github.com/buglehq/bugle/internal/files"
	"github.com/buglehq/bugle/internal/store"
)

//go:embed *.html
var templateFiles embed.FS

// templates are the pages by the name of their file, each with layout.html and the components: what several
// pages of an area share is in a file of its own, automation_components.html. Each is parsed when it is first needed: all
// together take 15 MB.
var templates = pageTemplates()

func pageTemplates() map[string]func() *template.Template {
	shared := sync.OnceValue(func() *template.Template {
		return template.Must(template.New("").Funcs(functions).ParseFS(templateFiles, "layout.html", "*components.html"))
	})
	names, err := templateFiles.ReadDir(".")
	if err != nil {
		panic(err)
	}
	all := map[string]func() *template.Template{}
	for _, entry := range names {
		name := entry.Name()
		if name == "layout.html" || strings.HasSuffix(name, "components.html") {
			continue
		}
		all[name] = sync.OnceValue(func() *template.Template {
			return template.Must(template.Must(shared().Clone()).ParseFS(templateFiles, name))
		})
	}
	return all
}

// functions are those of templates that are the same for everyone. What depends on who looks is a method
// of the frame.
var functions = template.FuncMap{
	"asset":     assets.URL,
	"icon":      icon,
	"themeIcon": themeIcon,
	"html":      cleanHTML,
	"plain":     plainText,
	"cut":       cut,
	"join":      strings.Join,
	"lower":     strings.ToLower,
	"title":     title,
	"dict":      dict,
	"count":     thousands,
	"took":      tookText,
	"countdown": countdown,
	"errorWord": errorWord,
}

// icon is one of the sprite's pictures. It says nothing to those who listen: what it means is in the text.
func icon(name string) template.HTML {
	return template.HTML(`<svg class="icon" aria-hidden="true" focusable="false"><use href="` + assets.URL("icons.svg") + `#` + template.HTMLEscapeString(name) + `"></use></svg>`)
}

// themeIcon is the picture of a theme, of which the one that is set is shown.
func themeIcon(theme, name string) template.HTML {
	return template.HTML(strings.Replace(string(icon(name)), "<svg ", `<svg data-theme-icon="`+template.HTMLEscapeString(theme)+`" `, 1))
}

// The policies for HTML that people have written: descriptions, messages, notes.
var (
	written = writtenPolicy()
	no      = bluemonday.StrictPolicy()
)

// writtenPolicy lets through what the usual policy does, but of pictures only those that were uploaded: others
// would ask for pages of this server, or of one that the browser refuses to ask.
func writtenPolicy() *bluemonday.Policy {
	p := bluemonday.UGCPolicy().RequireNoReferrerOnLinks(true)
	p.RewriteSrc(func(u *url.URL) {
		if u.Host != "" || !strings.HasPrefix(u.Path, files.Prefix) {
			*u = url.URL{}
		}
	})
	return p
}

// cleanHTML renders HTML that somebody has written, without what could do harm.
func cleanHTML(text string) template.HTML { return template.HTML(written.Sanitize(text)) }

// plainText is the text of HTML that somebody has written.
func plainText(text string) template.HTML {
	return template.HTML(strings.TrimSpace(no.Sanitize(strings.NewReplacer("<br", " <br", "</p>", " </p>", "</li>", " </li>").Replace(text))))
}

// withoutTags is plainText as text.
func withoutTags(text string) string { return stdhtml.UnescapeString(string(plainText(text))) }

// cut shortens a text to so many characters.
func cut(n int, text string) string {
	if runes := []rune(text); len(runes) > n {
		return string(runes[:n-1]) + "…"
	}
	return text
}

func title(text string) string {
	if text == "" {
		return ""
	}
	return strings.ToUpper(text[:1]) + text[1:]
}

// dict makes a map of names and values, for templates that need several.
func dict(pairs ...any) (map[string]any, error) {
	if len(pairs)%2 != 0 {
		return nil, fmt.Errorf("dict has %d arguments, want pairs of names and values", len(pairs))
	}
	m := make(map[string]any, len(pairs)/2)
	for i := 0; i < len(pairs); i += 2 {
		m[fmt.Sprint(pairs[i])] = pairs[i+1]
	}
	return m, nil
}

// thousands writes a number with commas: 1,234.
func thousands(n any) string {
	text := fmt.Sprint(n)
	digits := strings.TrimPrefix(text, "-")
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	if strings.HasPrefix(text, "-") {
		return "-" + digits
	}
	return digits
}

// tookText writes how long something took: 340 µs, 12 ms, 1.5 s.
func tookText(d time.Duration) string {
	switch {
	case d <= 0:
		return "–"
	case d < time.Millisecond:
		return fmt.Sprintf("%d µs", d.Microseconds())
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < time.Minute:
		return fmt.Sprintf("%.1f s", d.Seconds())
	}
	return d.Round(time.Second).String()
}

// countdown shows how long it is until a moment, where the page is not at hand: without JavaScript in UTC.
func countdown(at time.Time) template.HTML {
	shown := at.UTC().Format("2006-01-02 15:04:05 UTC")
	return template.HTML(`<time datetime="` + at.UTC().Format(time.RFC3339Nano) + `" data-countdown title="` + shown + `">` + shown + `</time>`)
}

// A frame is what every page has around its content. Page structs embed it.
type frame struct {
	*visit
	Title    string
	Lead     string // one line below the title
	Section  string // the entry of the sidebar that is marked
	Back     *link  // to the list or page above
	Flash    *flash
	Narrow   bool // a form or text rather than a table
	Bare     bool // without the sidebar: before signing in
	DataLive string
}

// A link is text with an address.
type link struct{ URL, Text string }

// A flash is a sentence about what has just been done.
type flash struct{ Kind, Text string }

// newFrame returns the frame of a page.
func (v *visit) newFrame(title, section string) frame {
	return frame{visit: v, Title: title, Section: section, Bare: v.account == nil}
}

func (f *frame) base() *frame { return f }

// A page is a struct that embeds frame.
type page interface{ base() *frame }

// Nonce is that of the page's scripts.
func (f *frame) Nonce() string { return f.nonce }

// Account is who has signed in, nil for nobody.
func (f *frame) Account() *bugle.Account { return f.account }

// SendingHeld is that nothing is sent, nil if it is.
func (f *frame) SendingHeld() *store.SendingHold {
	hold, err := f.server.store.SendingHold(f.Context())
	if err != nil {
		f.server.o.Log.ErrorContext(f.Context(), "reading whether sending is held failed", "error", err)
	}
	return hold
}

// CanRelease reports whether the visitor may let the server send what it holds.
func (f *frame) CanRelease() bool {
	alone, err := f.isAlone()
	if err != nil {
		f.server.o.Log.ErrorContext(f.Context(), "reading organizations failed", "error", err)
	}
	return alone && f.Can(bugle.AllPermissions)
}

// Organization is that of who has signed in.
func (f *frame) Organization() *bugle.Organization { return f.organization }

// ThemeScript sets the theme before anything is drawn.
func (f *frame) ThemeScript() template.JS { return template.JS(assets.ThemeScript) }

// Theme is what the visitor has chosen: auto, light or dark.
func (f *frame) Theme() string {
	if c, err := f.Cookie("theme"); err == nil && (c.Value == "light" || c.Value == "dark") {
		return c.Value
	}
	return "auto"
}

// TimeZone is the name of the visitor's.
func (f *frame) TimeZone() string { return f.location.String() }

// RequestID and TraceID are in the head of every page, as in PERSCOM's.
func (f *frame) RequestID() string { return f.actor.RequestID }

// TraceID is beside RequestID.
func (f *frame) TraceID() string { return f.actor.TraceID }

// Path is that of the page.
func (f *frame) Path() string { return f.URL.Path }

// With is the page's address with some parameters changed: name, value, name, value …
func (f *frame) With(pairs ...string) string { return f.with(pairs...) }

// Query is a parameter of the page's address.
func (f *frame) Query(name string) string { return f.URL.Query().Get(name) }

// Time shows a moment: relative in the browser, in the visitor's time zone without JavaScript.
func (f *frame) Time(at time.Time) template.HTML { return f.time(at, "data-relative") }

// Countdown shows how long it is until a moment.
func (f *frame) Countdown(at time.Time) template.HTML { return f.time(at, "data-countdown") }

// Moment shows a moment as it is.
func (f *frame) Moment(at time.Time) template.HTML { return f.time(at, "data-absolute") }

func (f *frame) time(at time.Time, kind string) template.HTML {
	if at.IsZero() {
		return "–"
	}
	local := at.In(f.location)
	shown := local.Format("2006-01-02 15:04:05")
	return template.HTML(`<time datetime="` + at.UTC().Format(time.RFC3339Nano) + `" ` + kind + ` title="` + shown + " " + template.HTMLEscapeString(f.location.String()) + `">` + shown + `</time>`)
}

// render answers with a page. The template is its file's name.
func (v *visit) render(status int, name string, p page) error {
	f := p.base()
	if text := v.server.sessions.PopString(v.Context(), sessionFlash); text != "" {
		kind, sentence, _ := strings.Cut(text, ":")
		f.Flash = &flash{kind, sentence}
	}
	return v.execute(status, name, "layout", p)
}

// fragment answers with a part of a page, for htmx. The part is a template of the file.
func (v *visit) fragment(status int, name, part string, data any) error {
	return v.execute(status, name, part, data)
}

// htmlOf renders a part of a page.
func htmlOf(name, part string, data any) (string, error) {
	var b bytes.Buffer
	err := templates[name]().ExecuteTemplate(&b, part, data)
	return b.String(), err
}

func (v *visit) execute(status int, name, part string, data any) error {
	t := templates[name]
	if t == nil {
		return fmt.Errorf("there is no template %s", path.Join("internal/admin", name))
	}
	var b bytes.Buffer
	if err := t().ExecuteTemplate(&b, part, data); err != nil {
		return err
	}
	h := v.w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	v.w.WriteHeader(status)
	if v.Method != http.MethodHead {
		v.w.Write(b.Bytes()) // an error here is a browser that went away
	}
	return nil
}

type errorPage struct {
	frame
	Status  int
	Text    string
	SignIn  string // where to sign in again
	Request string
}

// shownPath is the path as it may be logged: a token in it, of an invitation or a new password, is masked.
func (v *visit) shownPath() string {
	if token := v.PathValue("token"); token != "" {
		return strings.ReplaceAll(v.URL.Path, token, bugle.Mask(""))
	}
	return v.URL.Path
}

// fail answers with an error, and logs it if it is none of the visitor's.
func (v *visit) fail(err error) {
	p := errorPage{frame: v.newFrame("", ""), Request: v.actor.RequestID}
	var status statusError
	var invalid *bugle.InvalidError
	var large *http.MaxBytesError
	var quota *bugle.QuotaError
	switch {
	case errors.Is(err, errSignIn):
		v.signInFirst()
		return
	case errors.As(err, &status):
		p.Status = int(status)
		p.Text = "There is nothing under this address."
		if status == http.StatusMethodNotAllowed {
			p.Text = "This address does not take " + v.Method + " requests."
		}
	case errors.As(err, &invalid):
		p.Status, p.Text = http.StatusUnprocessableEntity, invalid.Error()
	case errors.As(err, &quota):
		p.Status, p.Text = quotaStatus(quota), quota.Error()
		if seconds := quota.Seconds(); seconds > 0 {
			v.w.Header().Set("Retry-After", strconv.Itoa(seconds))
		}
	case errors.As(err, &large):
		p.Status, p.Text = http.StatusRequestEntityTooLarge, "What was sent is too large."
	case errors.Is(err, bugle.ErrForbidden):
		p.Status, p.Text = http.StatusForbidden, "Your role does not allow this."
		if text := strings.TrimSuffix(err.Error(), ": "+bugle.ErrForbidden.Error()); text != err.Error() {
			p.Text = title(text) + "."
		}
	case errors.Is(err, bugle.ErrNotFound):
		p.Status, p.Text = http.StatusNotFound, "There is nothing under this address. It may have been deleted."
	case errors.Is(err, bugle.ErrConflict):
		p.Status = http.StatusConflict
		p.Text = "This cannot be done now: " + strings.TrimSuffix(err.Error(), ": "+bugle.ErrConflict.Error()) + "."
	case errors.Is(err, store.ErrClosed) || v.server.store.Closed():
		p.Status, p.Text = http.StatusServiceUnavailable, "The server is stopping. Try again in a moment."
	default:
		p.Status, p.Text = http.StatusInternalServerError, "Something went wrong on the server. Nothing was changed."
		switch {
		case errors.Is(err, store.ErrNoRoom):
			p.Status, p.Text = http.StatusInsufficientStorage, "The server has no room left for its data. Nothing was changed."
		case errors.Is(err, store.ErrUnsure):
			p.Status, p.Text = http.StatusServiceUnavailable, "The server lost its database while it made the change, and cannot say whether it was made. Look in a moment."
		case errors.Is(err, store.ErrAway):
			p.Status, p.Text = http.StatusServiceUnavailable, "The server cannot reach its database. Nothing was changed. Try again in a moment."
		}
		if v.Context().Err() == nil {
			v.server.o.Log.ErrorContext(v.Context(), "page failed", "method", v.Method, "path", v.shownPath(),
				"request_id", v.actor.RequestID, "trace_id", v.actor.TraceID, "error", err)
		}
	}
	p.Title = http.StatusText(p.Status)
	if v.isFragment() {
		err = v.fragment(p.Status, "error.html", "error-text", &p)
	} else {
		err = v.render(p.Status, "error.html", &p)
	}
	if err != nil {
		v.server.o.Log.ErrorContext(v.Context(), "error page failed", "error", err)
		http.Error(v.w, p.Text, p.Status)
	}
}
