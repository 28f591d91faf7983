package main

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// theBrowser is the one that all tests use. It starts with the first test that wants it, and endBrowser ends it.
var theBrowser struct {
	sync.Mutex
	ctx context.Context
	end func()
	err error
}

// browserPrograms are what Chromium is called, on one system or the other.
var browserPrograms = []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"}

// browser returns a context of the browser. Without one on this machine the test is skipped; with
// BUGLE_TEST_BROWSER=1 it fails, so that nobody takes pages for tested that are not.
func browser(t *testing.T) context.Context {
	t.Helper()
	b := &theBrowser
	b.Lock()
	defer b.Unlock()
	if b.ctx == nil && b.err == nil {
		b.err = startBrowser()
	}
	switch {
	case errors.Is(b.err, exec.ErrNotFound) && os.Getenv("BUGLE_TEST_BROWSER") == "":
		t.Skip("there is no Chromium on this machine: install it, such as by apt-get install chromium")
	case b.err != nil:
		t.Fatal("browser: ", b.err)
	}
	return b.ctx
}

func startBrowser() error {
	var path string
	for _, name := range browserPrograms {
		if found, err := exec.LookPath(name); err == nil {
			path = found
			break
		}
	}
	if path == "" {
		return exec.ErrNotFound
	}
	options := append(slices.Clone(chromedp.DefaultExecAllocatorOptions[:]), chromedp.ExecPath(path))
	for name, value := range map[string]any{
		"headless": "new", "no-sandbox": true, "disable-gpu": true, "disable-quic": true, "no-first-run": true,
		"disable-background-networking": true, "disable-component-update": true, "disable-sync": true,
		"window-size": "1280,800", "lang": "en-US",
	} {
		options = append(options, chromedp.Flag(name, value))
	}
	allocator, endAllocator := chromedp.NewExecAllocator(context.Background(), options...) // in a folder of its own
	ctx, end := chromedp.NewContext(allocator)
	theBrowser.end = func() {
		chromedp.Cancel(ctx) // waits until it has ended
		end()
		endAllocator()
	}
	if err := chromedp.Do(ctx); err != nil {
		theBrowser.end()
		theBrowser.end = nil
		return err
	}
	theBrowser.ctx = ctx
	return nil
}

// endBrowser ends the browser if there is one.
func endBrowser() {
	if theBrowser.end != nil {
		theBrowser.end()
	}
}

// A tab is what one person sees: it has its own cookies. Its methods fail the test if something cannot be
// done with patience, and when the test ends there must have been no errors in the console.
type tab struct {
	t    *testing.T
	ctx  context.Context
	base string // of addresses without a host

	mu       sync.Mutex
	problems []string // what the console said, what the policy refused
	expected []string // parts of problems that are none
	requests map[network.RequestID]string
	loaded   map[string]bool    // addresses asked for since the last call of weights
	sizes    map[string]float64 // what came over the network for an address, when it did
}

func newTab(t *testing.T, base string) *tab {
	t.Helper()
	parent := browser(t)
	ctx, cancel := chromedp.NewContext(parent, chromedp.WithNewBrowserContext())
	b := &tab{t: t, ctx: ctx, base: base, requests: map[network.RequestID]string{}, loaded: map[string]bool{}, sizes: map[string]float64{}}
	t.Cleanup(func() {
		b.noProblems()
		cancel()
	})
	b.do(func(context.Context, *chromedp.Target) (chromedp.Void, error) { return chromedp.Void{}, nil })
	if err := chromedp.Listen(ctx, b.heard); err != nil {
		t.Fatal(err)
	}
	// Several tabs are used at once, and each is to behave as the one in front.
	call(b, emulation.SetFocusEmulationEnabled, emulation.SetFocusEmulationEnabledParams{Enabled: true})
	b.size(1280, 800)
	return b
}

// heard notes what the browser tells.
func (b *tab) heard(event any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		text := e.ExceptionDetails.Text
		if e.ExceptionDetails.Exception != nil {
			text += " " + e.ExceptionDetails.Exception.Description
		}
		b.problems = append(b.problems, "exception: "+text)
	case *log.EventEntryAdded: // failed requests, and what the content security policy refused
		if e.Entry.Level == log.EntryLevelError || e.Entry.Level == log.EntryLevelWarning {
			b.problems = append(b.problems, fmt.Sprintf("%s: %s (%s)", e.Entry.Source, e.Entry.Text, e.Entry.URL))
		}
	case *runtime.EventConsoleAPICalled:
		if e.Type == runtime.ConsoleAPICalledTypeError || e.Type == runtime.ConsoleAPICalledTypeWarning {
			var text []string
			for _, a := range e.Args {
				text = append(text, string(a.Value)+a.Description)
			}
			b.problems = append(b.problems, "console: "+strings.Join(text, " "))
		}
	case *network.EventRequestWillBeSent:
		b.requests[e.RequestID] = e.Request.URL
		b.loaded[e.Request.URL] = true
	case *network.EventLoadingFinished:
		if e.EncodedDataLength > 0 { // else it was in the cache
			b.sizes[b.requests[e.RequestID]] = e.EncodedDataLength
		}
	}
}

// expect says that problems with this text are none, such as a refusal that the test is about.
func (b *tab) expect(text string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.expected = append(b.expected, text)
}

// found returns the problems so far.
func (b *tab) found() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(b.problems), func(p string) bool {
		return slices.ContainsFunc(b.expected, func(e string) bool { return strings.Contains(p, e) })
	})
}

func (b *tab) noProblems() {
	b.t.Helper()
	for _, p := range b.found() {
		b.t.Errorf("the browser says: %s", p)
	}
}

func (b *tab) do(a chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	if err := chromedp.Do(b.ctx, a); err != nil {
		b.t.Fatalf("%v\n%s", err, b.state())
	}
}

// call sends a command of the browser's protocol.
func call[P, R any](b *tab, command cdp.Command[P, R], params P) R {
	b.t.Helper()
	r, err := chromedp.Call(b.ctx, command, params)
	if err != nil {
		b.t.Fatalf("%v\n%s", err, b.state())
	}
	return r
}

// try evaluates a script in the page, with the functions of finders; it fails while pages change.
func try[T any](b *tab, script string, args ...any) (T, error) {
	for i, a := range args {
		text, err := json.Marshal(a)
		if err != nil {
			return *new(T), err
		}
		args[i] = string(text)
	}
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	return chromedp.Run(ctx, chromedp.Evaluate[T]("(() => {"+finders+"\nreturn ("+fmt.Sprintf(script, args...)+") })()"))
}

// eval is try for a page that stays.
func eval[T any](b *tab, script string, args ...any) T {
	b.t.Helper()
	v, err := try[T](b, script, args...)
	if err != nil {
		b.t.Fatalf("%s: %v\n%s", script, err, b.state())
	}
	return v
}

// finders find what people see: fields by their labels, and buttons and links by their texts.
const finders = `
const visible = (e) => e.checkVisibility({ visibilityProperty: true }) && e.getClientRects().length > 0;
const words = (text) => (text || "").replace(/\s+/g, " ").trim();
const named = (e) => e.getAttribute("aria-label") || words(e.innerText) || e.title;
const pick = (list, name, of) => list.find((e) => of(e) === name) || list.find((e) => of(e).startsWith(name));
const control = (name) => {
  const main = document.querySelector("dialog[open]") || document;
  const label = pick([...main.querySelectorAll("label")].filter((l) => l.control && visible(l)), name, (l) => words(l.innerText));
  return label ? label.control : pick([...main.querySelectorAll("input, select, textarea, [contenteditable=true]")].filter(visible), name, (e) => e.getAttribute("aria-label") || "");
};
const action = (name, within) => {
  const dialog = document.querySelector("dialog[open]");
  const scopes = within ? [...document.querySelectorAll(within)] : [dialog || document.querySelector("main") || document, dialog || document];
  for (const scope of scopes) {
    const found = pick([...scope.querySelectorAll("button, a[href], summary, input[type=submit], [role=tab]")].filter((e) => visible(e) && !e.disabled), name, named);
    if (found) return found;
  }
};`

// wait waits until the script returns true.
func (b *tab) wait(what, script string, args ...any) {
	b.t.Helper()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	give := time.After(patience)
	for {
		yes, err := try[bool](b, script, slices.Clone(args)...)
		if yes {
			return
		}
		select {
		case <-ticker.C:
		case <-give:
			b.t.Fatalf("waited for %s (%v)\n%s", what, err, b.state())
		}
	}
}

// state describes the page for somebody who reads why a test failed, and keeps a picture where
// BUGLE_TEST_PICTURES says.
func (b *tab) state() string {
	text, _ := try[string](b, `location.href + "\n" + document.body.innerText.slice(0, 3000)`)
	if folder := os.Getenv("BUGLE_TEST_PICTURES"); folder != "" {
		if shot, err := chromedp.Call(b.ctx, page.CaptureScreenshot, page.CaptureScreenshotParams{}); err == nil {
			name := folder + "/" + strings.ReplaceAll(b.t.Name(), "/", "-") + ".png"
			if os.WriteFile(name, shot.Data, 0o600) == nil {
				text += "\npicture: " + name
			}
		}
	}
	return strings.Join(append(b.found(), text), "\n")
}

// url is the address of a path.
func (b *tab) url(path string) string {
	if strings.HasPrefix(path, "/") {
		return b.base + path
	}
	return path
}

// open opens an address.
func (b *tab) open(path string) {
	b.t.Helper()
	b.do(chromedp.Navigate(b.url(path)))
	b.wait("the page "+path, `document.readyState === "complete"`)
}

// path is where the tab is.
func (b *tab) path() string { return eval[string](b, `location.pathname + location.search`) }

// fill types into a field, after emptying it.
func (b *tab) fill(label, text string) {
	b.t.Helper()
	b.wait("the field "+label, `!!control(%s)`, label)
	kind := eval[string](b, `(() => { const c = control(%s); c.scrollIntoView({ block: "center", behavior: "instant" }); c.focus(); c.select?.(); return c.type || "editor" })()`, label)
	switch kind {
	case "date", "datetime-local", "time", "color", "range", "number":
		eval[bool](b, `(() => { const c = control(%s); c.value = %s; c.dispatchEvent(new Event("input", { bubbles: true })); return c.dispatchEvent(new Event("change", { bubbles: true })) })()`, label, text)
	default:
		b.insert(text)
	}
}

// choose chooses an option of a list by its text.
func (b *tab) choose(label, text string) {
	b.t.Helper()
	b.wait("the option "+text+" of "+label, `!!pick([...(control(%s)?.options || [])], %s, (o) => words(o.label || o.text))`, label, text)
	eval[bool](b, `(() => { const c = control(%s); c.focus(); c.value = pick([...c.options], %s, (o) => words(o.label || o.text)).value;
		c.dispatchEvent(new Event("input", { bubbles: true })); return c.dispatchEvent(new Event("change", { bubbles: true })) })()`, label, text)
}

// tick ticks a box, or clears it.
func (b *tab) tick(label string, on bool) {
	b.t.Helper()
	b.wait("the box "+label, `!!control(%s)`, label)
	if eval[bool](b, `control(%s).checked`, label) != on {
		b.clickOn(fmt.Sprintf("the box %q", label), `control(%s)`, label)
	}
}

// click clicks a button, link or tab by its name, in the page's content before what is around it.
func (b *tab) click(name string) {
	b.t.Helper()
	b.clickOn(fmt.Sprintf("%q", name), `action(%s)`, name)
}

// clickIn clicks within the element of a selector.
func (b *tab) clickIn(selector, name string) {
	b.t.Helper()
	b.clickOn(fmt.Sprintf("%q in %s", name, selector), `action(%s, %s)`, name, selector)
}

// clickOn clicks an element as soon as its middle can be seen and nothing lies over it. Looking and clicking are one
// step of the page, so that nothing moves or is replaced between them.
func (b *tab) clickOn(what, script string, args ...any) {
	b.t.Helper()
	b.wait(what+", to be clicked", `(() => { const e = `+script+`; if (!e) return false; e.scrollIntoView({ block: "center", behavior: "instant" });
		const r = e.getClientRects()[0], at = document.elementFromPoint(r.x + r.width / 2, r.y + r.height / 2);
		if (!at || !(e.contains(at) || at.contains(e) || at.closest("label")?.control === e)) return false;
		e.focus({ preventScroll: true });
		e.click();
		return true })()`, args...)
}

// follow clicks what leads to another page, and waits until that is there.
func (b *tab) follow(name string) {
	b.t.Helper()
	b.next(func() { b.click(name) })
}

// followIn is follow within the element of a selector.
func (b *tab) followIn(selector, name string) {
	b.t.Helper()
	b.next(func() { b.clickIn(selector, name) })
}

// next waits for the page that comes of what it does.
func (b *tab) next(act func()) {
	b.t.Helper()
	eval[bool](b, `(document.documentElement.dataset.before = "") === ""`)
	act()
	b.wait("the next page", `document.readyState === "complete" && !("before" in document.documentElement.dataset)`)
}

// see waits until a text can be read on the page.
func (b *tab) see(text string) {
	b.t.Helper()
	b.wait(fmt.Sprintf("the text %q", text), `words(document.body.innerText).toLowerCase().includes(%s)`, strings.ToLower(text))
}

// sees reports whether a text can be read on the page now.
func (b *tab) sees(text string) bool {
	b.t.Helper()
	return eval[bool](b, `words(document.body.innerText).toLowerCase().includes(%s)`, strings.ToLower(text))
}

// has reports whether there is an element now.
func (b *tab) has(selector string) bool {
	b.t.Helper()
	return eval[bool](b, `!!document.querySelector(%s)`, selector)
}

// press presses keys: those of chromedp's kb, or text.
func (b *tab) press(keys string, options ...chromedp.KeyOption) {
	b.t.Helper()
	b.do(chromedp.KeyEvent(keys, options...))
}

// insert types where the cursor is.
func (b *tab) insert(text string) {
	b.t.Helper()
	call(b, input.InsertText, input.InsertTextParams{Text: text})
}

// size sets how large the tab is; below 600 pixels it is a phone's.
func (b *tab) size(width, height int64) {
	b.t.Helper()
	call(b, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: width, Height: height, DeviceScaleFactor: 1, Mobile: width < 600})
}

// still lets nothing move by itself. The frames of smooth scrolling may be long in coming, and go on when the test has scrolled
// elsewhere.
func (b *tab) still() {
	b.t.Helper()
	call(b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-reduced-motion", Value: "reduce"}}})
}

// theme is what the person has chosen: light or dark. The page that is open turns at once, without transitions, whose
// frames may be long in coming.
func (b *tab) theme(name string) {
	b.t.Helper()
	call(b, network.SetCookie, network.SetCookieParams{Name: "theme", Value: name, URL: b.base})
	eval[bool](b, `(() => { const root = document.documentElement; root.dataset.theme = root.dataset.bsTheme = %s; 
		document.dispatchEvent(new CustomEvent("bugle:theme"));
		for (const a of document.getAnimations()) try { a.finish() } catch { a.cancel() } // what never ends cannot be finished
		return true })()`, name)
}

// scripts allows scripts, or not.
func (b *tab) scripts(allowed bool) {
	b.t.Helper()
	call(b, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: !allowed})
}

// weights returns the addresses that were asked for since the last call, and how many bytes each is when it comes
// over the network, also if it was in the cache this time.
func (b *tab) weights() map[string]float64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	weights := map[string]float64{}
	for url := range b.loaded {
		weights[url] = b.sizes[url]
	}
	b.loaded = map[string]bool{}
	return weights
}

//go:embed testdata/axe/axe.min.js
var axe string

// accessible fails the test for what is wrong with the page.
func (b *tab) accessible(what string) {
	b.t.Helper()
	for _, f := range b.faults() {
		b.t.Errorf("%s: %s", what, f)
	}
}

// faults returns what axe finds wrong with the page.
func (b *tab) faults() []string {
	b.t.Helper()
	if !eval[bool](b, `"axe" in window`) {
		if _, err := chromedp.Run(b.ctx, chromedp.Evaluate[any](axe+"; 1")); err != nil {
			b.t.Fatal("axe: ", err)
		}
	}
	found, err := chromedp.Run(b.ctx, chromedp.Evaluate[[]string](`axe.run(document, { resultTypes: ["violations"] }).then(({ violations }) => violations.map((v) =>
		v.id + " (" + v.impact + "): " + v.help + v.nodes.slice(0, 5).map((n) => "\n\t" + n.html.slice(0, 300) + "\n\t\t" + [...n.any, ...n.all, ...n.none].map((c) => c.message).join("; ")).join("")
		+ (v.nodes.length > 5 ? "\n\tand " + (v.nodes.length - 5) + " more" : "")))`, chromedp.EvalAwaitPromise))
	if err != nil {
		b.t.Fatal("axe: ", err)
	}
	return found
}
