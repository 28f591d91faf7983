// Package assets holds the style sheet, scripts and icons of the admin panel, built from src by
// npm and embedded. README.md tells how to rebuild them and what a page can use.
package assets

import (
	"bytes"
	"compress/gzip"
	"embed"
	"encoding/json"
	"fmt"
	"net/http"
	"path"
	"strconv"
	"strings"
	"sync"
)

// Prefix is the path under which Handler serves.
const Prefix = "/assets/"

//go:embed dist
var dist embed.FS

var (
	files  = mustLoad()
	served = byPath(files)
)

// ThemeScript is a short script that sets the colours of the page. It belongs inline in <head>,
// with the page's nonce, so that it runs before anything is drawn.
var ThemeScript = string(files["theme.js"].content)

// A file is one that the manifest lists.
type file struct {
	name    string // with its hash, such as "admin.3f2a91bc.js"
	kind    string // for Content-Type
	content []byte
	gzipped func() []byte // made when first asked for
}

// URL returns the path of a file by its plain name: "/assets/admin.3f2a91bc.js" for "admin.js".
// It panics if there is no such file, because names are written in our own code.
func URL(name string) string {
	f, ok := files[name]
	if !ok {
		panic(fmt.Sprintf("assets: no file %q", name))
	}
	return Prefix + f.name
}

// Handler serves the files under Prefix. Browsers may keep them for good: a file that changes
// gets another name.
func Handler() http.Handler {
	return http.HandlerFunc(serve)
}

func serve(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		return
	}
	f, ok := served[r.URL.Path]
	if !ok {
		http.NotFound(w, r)
		return
	}
	header := w.Header()
	header.Set("Cache-Control", "public, max-age=31536000, immutable")
	header.Set("Content-Type", f.kind)
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Vary", "Accept-Encoding")
	body := f.content
	if acceptsGzip(r.Header.Get("Accept-Encoding")) {
		header.Set("Content-Encoding", "gzip")
		body = f.gzipped()
	}
	header.Set("Content-Length", strconv.Itoa(len(body)))
	if r.Method == http.MethodGet {
		w.Write(body)
	}
}

// acceptsGzip reads an Accept-Encoding header, in which q=0 refuses what it names.
func acceptsGzip(header string) bool {
	for _, part := range strings.Split(header, ",") {
		name, params, _ := strings.Cut(part, ";")
		if !strings.EqualFold(strings.TrimSpace(name), "gzip") {
			continue
		}
		value, found := strings.CutPrefix(strings.TrimSpace(params), "q=")
		quality, err := strconv.ParseFloat(value, 64)
		return !found || err == nil && quality > 0
	}
	return false
}

// mustLoad returns the files of the manifest by their plain names.
func mustLoad() map[string]*file {
	manifest, err := dist.ReadFile("dist/manifest.json")
	if err != nil {
		panic(err)
	}
	var names map[string]string
	if err := json.Unmarshal(manifest, &names); err != nil {
		panic(err)
	}
	// Not from the system's list of types, which differs from one machine to the next.
	kinds := map[string]string{
		".css": "text/css; charset=utf-8",
		".js":  "text/javascript; charset=utf-8",
		".svg": "image/svg+xml",
	}
	files := make(map[string]*file, len(names))
	for plain, name := range names {
		content, err := dist.ReadFile("dist/" + name)
		if err != nil {
			panic(err)
		}
		kind := kinds[path.Ext(name)]
		if kind == "" {
			panic("assets: no content type for " + name)
		}
		files[plain] = &file{name, kind, content, sync.OnceValue(func() []byte { return zip(content) })}
	}
	return files
}

func byPath(files map[string]*file) map[string]*file {
	served := make(map[string]*file, len(files))
	for _, f := range files {
		served[Prefix+f.name] = f
	}
	return served
}

func zip(content []byte) []byte {
	var b bytes.Buffer
	w, _ := gzip.NewWriterLevel(&b, gzip.BestCompression) // the level is a known one
	w.Write(content)                                      // a Buffer does not refuse
	w.Close()
	return b.Bytes()
}
