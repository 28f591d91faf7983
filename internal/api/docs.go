package api

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io"
	"net/http"
	"net/url"
	"path"
	"strings"
	"sync"
	"time"

	"github.com/buglehq/bugle/value"
)

// swaggerUI is where the page that shows the document has its program: the name changes with the
// version, so that browsers may keep it.
const swaggerUI = "swagger-ui-5.35.0"

//go:embed docs/index.html docs/init.js docs/favicon.svg docs/swagger-ui-5.35.0/*.gz
var docsFiles embed.FS

const (
	keepShort = "public, max-age=300"
	keepLong  = "public, max-age=31536000, immutable"
)

// A page is content that stays the same while the server runs.
type page struct {
	media  string
	cache  string
	etag   string
	zipped []byte
}

func newPage(media, cache string, text []byte) *page {
	var zipped bytes.Buffer
	z, _ := gzip.NewWriterLevel(&zipped, gzip.BestCompression) // the level is valid, and memory takes everything
	z.Write(text)
	z.Close()
	return zippedPage(media, cache, zipped.Bytes())
}

func zippedPage(media, cache string, zipped []byte) *page {
	sum := sha256.Sum256(zipped)
	return &page{media: media, cache: cache, etag: hex.EncodeToString(sum[:8]), zipped: zipped}
}

// serve answers with the page, or with 304 if the client has it.
func (p *page) serve(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	content, etag := p.zipped, p.etag+"-gzip"
	if takesGzip(r.Header.Get("Accept-Encoding")) {
		h.Set("Content-Encoding", "gzip")
	} else {
		z, err := gzip.NewReader(bytes.NewReader(p.zipped))
		if err == nil {
			content, err = io.ReadAll(z)
		}
		if err != nil { // it was made by this program, or with it
			panic("api: page: " + err.Error())
		}
		etag = p.etag
	}
	h.Set("Content-Type", p.media)
	h.Set("Cache-Control", p.cache)
	h.Set("ETag", `"`+etag+`"`)
	h.Add("Vary", "Accept-Encoding")
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(content))
}

// takesGzip reports whether an Accept-Encoding header allows gzip.
func takesGzip(header string) bool {
	for coding := range strings.SplitSeq(header, ",") {
		name, quality, _ := strings.Cut(strings.TrimSpace(coding), ";")
		if strings.EqualFold(strings.TrimSpace(name), "gzip") {
			return strings.Trim(strings.ReplaceAll(quality, " ", ""), "q=0.") != "" || quality == ""
		}
	}
	return false
}

// spec adds the OpenAPI document, and the page to read it and to try the API.
func (s *server) spec() {
	document := sync.OnceValue(func() *page {
		text, err := value.JSON(s.document())
		if err != nil { // it is made of what has a JSON form
			panic("api: document: " + err.Error())
		}
		return newPage("application/json", keepShort, text)
	})
	s.open["/spec.json"] = func(w http.ResponseWriter, r *http.Request) { document().serve(w, r) }

	policy := "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'" + s.publicOrigin() +
		"; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
	serve := func(path, file, media, cache string) {
		content, err := docsFiles.ReadFile("docs/" + file)
		if err != nil { // it is embedded
			panic("api: " + err.Error())
		}
		var p *page
		if strings.HasSuffix(file, ".gz") {
			p = zippedPage(media, cache, content)
		} else {
			p = newPage(media, cache, content)
		}
		s.open[path] = func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Security-Policy", policy)
			p.serve(w, r)
		}
	}
	serve("/docs", "index.html", "text/html; charset=utf-8", keepShort)
	serve("/docs/init.js", "init.js", "text/javascript; charset=utf-8", keepShort)
	serve("/docs/favicon.svg", "favicon.svg", "image/svg+xml", keepShort)
	for file, media := range map[string]string{"swagger-ui-bundle.js": "text/javascript; charset=utf-8", "swagger-ui.css": "text/css; charset=utf-8"} {
		serve("/docs/"+path.Join(swaggerUI, file), path.Join(swaggerUI, file+".gz"), media, keepLong)
	}
}

// publicOrigin is where requests of the page go if it is read under another address than the public
// one; with a space before it.
func (s *server) publicOrigin() string {
	u, err := url.Parse(s.o.PublicURL)
	if err != nil || u.Host == "" {
		return ""
	}
	return " " + u.Scheme + "://" + u.Host
}
