package assets

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
)

func get(method, path, encoding string) *http.Response {
	r := httptest.NewRequest(method, path, nil)
	if encoding != "" {
		r.Header.Set("Accept-Encoding", encoding)
	}
	w := httptest.NewRecorder()
	Handler().ServeHTTP(w, r)
	return w.Result()
}

func TestHandler_servesEveryFile(t *testing.T) {
	for _, name := range []string{"admin.css", "admin.js", "chart.js", "editor.js", "theme.js", "icons.svg", "favicon.svg"} {
		if files[name] == nil {
			t.Errorf("the manifest has no %s", name)
		}
	}
	for name, f := range files {
		res := get("GET", URL(name), "")
		body, _ := io.ReadAll(res.Body)
		if res.StatusCode != 200 || !bytes.Equal(body, f.content) || res.Header.Get("Content-Encoding") != "" {
			t.Errorf("%s: status %d, %d of %d bytes", name, res.StatusCode, len(body), len(f.content))
		}
		want := map[string]string{"css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8", "svg": "image/svg+xml"}
		if got := res.Header.Get("Content-Type"); got != want[name[strings.LastIndex(name, ".")+1:]] {
			t.Errorf("%s: content type %q", name, got)
		}
		if got := res.Header.Get("Cache-Control"); got != "public, max-age=31536000, immutable" {
			t.Errorf("%s: cache control %q", name, got)
		}
	}
}

func TestHandler_gzip(t *testing.T) {
	path := URL("admin.js")
	for _, encoding := range []string{"gzip", "br, gzip;q=0.5", "deflate,GZIP"} {
		res := get("GET", path, encoding)
		if res.Header.Get("Content-Encoding") != "gzip" || res.Header.Get("Vary") != "Accept-Encoding" {
			t.Fatalf("%q: headers %v", encoding, res.Header)
		}
		r, err := gzip.NewReader(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		if body, err := io.ReadAll(r); err != nil || !bytes.Equal(body, files["admin.js"].content) {
			t.Errorf("%q: another content, %v", encoding, err)
		}
	}
	for _, encoding := range []string{"", "br", "gzip;q=0", "gzip; q=0.0", "x-gzip-like"} {
		if got := get("GET", path, encoding).Header.Get("Content-Encoding"); got != "" {
			t.Errorf("%q: content encoding %q", encoding, got)
		}
	}
}

func TestHandler_refuses(t *testing.T) {
	for _, path := range []string{"/assets/", "/assets/admin.js", "/assets/manifest.json", "/assets/LICENSES.txt", "/assets/../assets.go", "/"} {
		if got := get("GET", path, "").StatusCode; got != http.StatusNotFound {
			t.Errorf("%s: status %d", path, got)
		}
	}
	if res := get("POST", URL("admin.js"), ""); res.StatusCode != http.StatusMethodNotAllowed || res.Header.Get("Allow") != "GET, HEAD" {
		t.Errorf("POST: status %d, %v", res.StatusCode, res.Header)
	}
	res := get("HEAD", URL("admin.js"), "")
	if body, _ := io.ReadAll(res.Body); res.StatusCode != 200 || len(body) != 0 || res.Header.Get("Content-Length") == "0" {
		t.Errorf("HEAD: status %d, %d bytes, %v", res.StatusCode, len(body), res.Header)
	}
}

func TestURL_unknownPanics(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	URL("amdin.js")
}

// The panel works on a network of its own: nothing is loaded from elsewhere.
func TestFiles_loadNothingFromElsewhere(t *testing.T) {
	elsewhere := regexp.MustCompile(`(?i)url\(\s*["']?(https?:)?//|@import|(href|src)\s*=\s*["']?(https?:)?//`)
	for name, f := range files {
		if !strings.HasSuffix(name, ".js") {
			if found := elsewhere.Find(f.content); found != nil {
				t.Errorf("%s has %s", name, found)
			}
		}
	}
}

func TestThemeScript_canBeInlined(t *testing.T) {
	if len(ThemeScript) == 0 || len(ThemeScript) > 1000 || strings.Contains(ThemeScript, "</") {
		t.Errorf("not fit for a script element: %q", ThemeScript)
	}
}

// What every page needs stays small enough for a slow line.
func TestFiles_sizeBudget(t *testing.T) {
	total := 0
	for _, name := range []string{"admin.css", "admin.js", "icons.svg"} {
		total += len(files[name].gzipped())
		t.Logf("%s: %d bytes gzipped", name, len(files[name].gzipped()))
	}
	if total > 150<<10 {
		t.Errorf("%d bytes gzipped, want at most 150 KiB", total)
	}
}
