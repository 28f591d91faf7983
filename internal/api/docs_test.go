package api_test

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/buglehq/bugle/internal/api"
)

var linked = regexp.MustCompile(`(?:href|src)="([^"]+)"`)

// Everything that the page needs must come from the server, whose policy allows nothing else.
func TestDocs(t *testing.T) {
	s := newServer(t)
	a := s.send("GET", "/docs", nil)
	a.wantStatus(t, 200)
	policy := a.header.Get("Content-Security-Policy")
	for _, want := range []string{"default-src 'none'", "script-src 'self';", "style-src 'self';", "connect-src 'self';"} {
		if !strings.Contains(policy, want) {
			t.Errorf("policy %q lacks %q", policy, want)
		}
	}
	media := map[string]string{".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml", ".json": "application/json"}
	links := linked.FindAllStringSubmatch(a.text, -1)
	if len(links) != 5 {
		t.Errorf("%d links, want 5", len(links))
	}
	for _, link := range links {
		if strings.Contains(link[1], ":") || strings.HasPrefix(link[1], "//") {
			t.Errorf("%s leads elsewhere", link[1])
			continue
		}
		file := s.send("GET", "/"+link[1], nil)
		file.wantStatus(t, 200)
		if got, want := file.header.Get("Content-Type"), media[link[1][strings.LastIndexByte(link[1], '.'):]]; got != want {
			t.Errorf("%s is of the type %q, want %q", link[1], got, want)
		}
		if file.header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s may be sniffed", link[1])
		}
		if got, want := file.header.Get("Cache-Control"), "immutable"; strings.Contains(link[1], "swagger-ui") != strings.Contains(got, want) {
			t.Errorf("%s has Cache-Control %q", link[1], got)
		}
	}
	if strings.Contains(a.text, "<style") || strings.Contains(a.text, "<script>") {
		t.Error("the page has inline scripts or styles")
	}
	public := newServer(t, func(o *api.Options) { o.PublicURL = "https://bugle.example.com/below" })
	if policy := public.send("GET", "/docs", nil).header.Get("Content-Security-Policy"); !strings.Contains(policy, "connect-src 'self' https://bugle.example.com;") {
		t.Errorf("policy %q does not let the page ask the public address", policy)
	}
	s.send("GET", "/docs/index.html", nil).wantStatus(t, 404)
}

func TestDocs_gzip(t *testing.T) {
	s := newServer(t)
	plain := s.send("GET", "/spec.json", nil, "Accept-Encoding", "identity")
	for coding, zipped := range map[string]bool{"gzip": true, "br, gzip;q=0.5": true, "*": false, "gzip;q=0": false, "gzip; q=0.0": false, "": false} {
		r, err := http.NewRequest("GET", s.url+"/spec.json", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Accept-Encoding", coding)
		response, err := http.DefaultTransport.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(response.Body)
		response.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		if got := response.Header.Get("Content-Encoding") == "gzip"; got != zipped {
			t.Errorf("Accept-Encoding %q is answered with gzip: %t, want %t", coding, got, zipped)
		}
		if zipped {
			z, err := gzip.NewReader(bytes.NewReader(text))
			if err == nil {
				text, err = io.ReadAll(z)
			}
			if err != nil {
				t.Fatal(err)
			}
			if response.Header.Get("ETag") == plain.header.Get("ETag") {
				t.Error("both forms have the same ETag")
			}
		}
		if string(text) != plain.text {
			t.Errorf("Accept-Encoding %q gets another text", coding)
		}
	}
}
