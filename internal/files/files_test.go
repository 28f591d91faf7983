package files_test

import (
	"bytes"
	"errors"
	"image"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/buglehq/bugle/internal/files"
	"github.com/buglehq/bugle/personnel"
)

func open(t *testing.T) (*files.Folder, string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "data", "storage")
	f, err := files.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f, dir
}

// stored are the paths of all files below a folder.
func stored(t *testing.T, dir string) []string {
	t.Helper()
	var paths []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			path, err = filepath.Rel(dir, path)
			paths = append(paths, filepath.ToSlash(path))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return paths
}

func encoded(encode func(w io.Writer, m image.Image) error) string {
	var b bytes.Buffer
	if err := encode(&b, image.NewGray(image.Rect(0, 0, 2, 2))); err != nil {
		panic(err)
	}
	return b.String()
}

var (
	pngFile  = encoded(png.Encode)
	jpegFile = encoded(func(w io.Writer, m image.Image) error { return jpeg.Encode(w, m, nil) })
	gifFile  = encoded(func(w io.Writer, m image.Image) error { return gif.Encode(w, m, nil) })
)

// The content decides about the type, and the sender's name only where the content says nothing.
func TestPut_typeAndExtension(t *testing.T) {
	f, dir := open(t)
	animated := pngFile[:33] + "\x00\x00\x00\x08acTL" + strings.Repeat("\x00", 12) + pngFile[33:]
	for _, test := range []struct{ name, content, media, extension string }{
		{"photo.png", pngFile, "image/png", ".png"},
		{"moving.png", animated, "image/png", ".png"},
		{"photo.exe", jpegFile, "image/jpeg", ".jpg"},
		{"photo", gifFile, "image/gif", ".gif"},
		{"photo.webp", "RIFF\x1a\x00\x00\x00WEBPVP8L\x0d\x00\x00\x00", "image/webp", ".webp"},
		{"photo.bmp", "BM\x46\x00\x00\x00\x00\x00\x00\x00\x36\x00\x00\x00\x28\x00\x00\x00", "image/bmp", ".bmp"},
		{"photo.avif", "\x00\x00\x00\x1cftypavif\x00\x00\x00\x00avifmif1", "image/avif", ".avif"},
		{"photo.png", `<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>`, "image/svg+xml", ".svg"},
		{"photo.png", "<!DOCTYPE html><html><script>alert(1)</script></html>", "text/html", ".html"},
		{"orders.pdf", "%PDF-1.7\n", "application/pdf", ".pdf"},
		{"photo.png", "only text", "text/plain", ".txt"},
		{"photo.JPG", "\x00\x01\x02\x03", "application/octet-stream", ""},
		{"notes.MD", "only text", "text/plain", ".md"},
		{"model.abc", "\x00\x01\x02\x03", "application/octet-stream", ".abc"},
		{"model.longer_than_that", "\x00\x01\x02\x03", "application/octet-stream", ""},
		{"model.äöü", "\x00\x01\x02\x03", "application/octet-stream", ""},
		{"empty.txt", "", "text/plain", ".txt"},
	} {
		u, err := f.Put(7, test.name, strings.NewReader(test.content), 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		if u.Type != test.media || filepath.Ext(u.Path) != test.extension || u.Size != int64(len(test.content)) {
			t.Errorf("%s is %s at %s with %d bytes, want %s and %q", test.name, u.Type, u.Path, u.Size, test.media, test.extension)
		}
		if !regexp.MustCompile(`^7/[A-Za-z0-9]{32}(\.[a-z0-9]{1,10})?$`).MatchString(u.Path) {
			t.Errorf("%s is at %s", test.name, u.Path)
		}
		content, err := os.ReadFile(filepath.Join(dir, u.Path))
		if err != nil || string(content) != test.content {
			t.Errorf("%s holds %q, %v", test.name, content, err)
		}
	}
}

func TestPut_name(t *testing.T) {
	f, _ := open(t)
	for sent, want := range map[string]string{
		"photo.png":                   "photo.png",
		"/etc/passwd":                 "passwd",
		`C:\Users\jane\photo.png`:     "photo.png",
		"../../photo.png":             "photo.png",
		"a\x00b\r\nc\x7f\u0085.png":   "abc.png",
		" Übung 1.pdf ":               "Übung 1.pdf",
		"\xff\xfephoto":               "photo",
		"":                            "file",
		"..":                          "file",
		"folder/":                     "file",
		"\n":                          "file",
		strings.Repeat("ü", 300):      strings.Repeat("ü", 255),
		"<script>alert(1)</script>.x": "script>.x",
	} {
		u, err := f.Put(1, sent, strings.NewReader("x"), 1)
		if err != nil {
			t.Fatal(err)
		}
		if u.Name != want {
			t.Errorf("%q becomes %q, want %q", sent, u.Name, want)
		}
	}
}

// Who does not know the address of a file cannot guess it: it is chance, and has nothing of the name or the content.
func TestPut_address(t *testing.T) {
	f, _ := open(t)
	shape := regexp.MustCompile(`^1/[0-9A-Za-z]{32}\.txt$`)
	seen := map[string]bool{}
	for range 20 {
		u, err := f.Put(1, "plan.txt", strings.NewReader("x"), 1)
		if err != nil {
			t.Fatal(err)
		}
		if !shape.MatchString(u.Path) || seen[u.Path] {
			t.Errorf("path %q, seen before %v", u.Path, seen[u.Path])
		}
		seen[u.Path] = true
	}
}

// What cannot be kept whole leaves nothing behind.
func TestPut_leavesNothing(t *testing.T) {
	f, dir := open(t)
	if _, err := f.Put(1, "a", strings.NewReader("12345"), 4); !errors.Is(err, files.ErrTooLarge) {
		t.Errorf("five bytes of four: %v", err)
	}
	broken := errors.New("broken")
	if _, err := f.Put(1, "a", io.MultiReader(strings.NewReader("123"), iotest.ErrReader(broken)), 4); err != broken {
		t.Errorf("a reader that breaks: %v", err)
	}
	if left := stored(t, dir); len(left) > 0 {
		t.Errorf("left are %q", left)
	}
	if _, err := f.Put(1, "a", strings.NewReader("1234"), 4); err != nil {
		t.Error(err)
	}
}

// The folder is its owner's alone.
func TestOpen_modes(t *testing.T) {
	f, dir := open(t)
	u, err := f.Put(1, "a.png", strings.NewReader(pngFile), 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]fs.FileMode{dir: 0o700, filepath.Join(dir, "1"): 0o700, filepath.Join(dir, u.Path): 0o600} {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != want {
			t.Errorf("%s has mode %o, want %o", path, info.Mode().Perm(), want)
		}
	}
	if _, err := files.Open(filepath.Join(dir, u.Path)); err == nil {
		t.Error("a file was opened as a folder")
	}
}

func get(f *files.Folder, method, path string, headers ...string) *httptest.ResponseRecorder {
	w, r := httptest.NewRecorder(), httptest.NewRequest(method, "/", nil)
	r.URL.Path = path
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	f.ServeHTTP(w, r)
	return w
}

func TestServe(t *testing.T) {
	f, _ := open(t)
	for _, test := range []struct{ name, content, media, disposition string }{
		{"a.png", pngFile, "image/png", "inline"},
		{"a.jpg", jpegFile, "image/jpeg", "inline"},
		{"a.pdf", "%PDF-1.7\n", "application/pdf", "attachment"},
		{"a.txt", "text that is <b>no HTML", "text/plain; charset=utf-8", "attachment"},
		{"a.html", "<html><script>alert(1)</script></html>", "application/octet-stream", "attachment"},
		{"a.svg", `<svg xmlns="http://www.w3.org/2000/svg"></svg>`, "application/octet-stream", "attachment"},
		{"a.js", "only text", "application/octet-stream", "attachment"},
		{"a", "\x00\x01\x02", "application/octet-stream", "attachment"},
	} {
		u, err := f.Put(12, test.name, strings.NewReader(test.content), 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		w := get(f, "GET", "/storage/"+u.Path)
		if w.Code != 200 || w.Body.String() != test.content {
			t.Errorf("%s: status %d, %q", test.name, w.Code, w.Body)
		}
		for name, want := range map[string]string{
			"Content-Type":                 test.media,
			"Content-Disposition":          test.disposition,
			"X-Content-Type-Options":       "nosniff",
			"Content-Security-Policy":      "default-src 'none'; sandbox",
			"Cache-Control":                "public, max-age=31536000, immutable",
			"Cross-Origin-Resource-Policy": "cross-origin",
		} {
			if got := w.Header().Get(name); got != want {
				t.Errorf("%s: %s is %q, want %q", test.name, name, got, want)
			}
		}
		tag := w.Header().Get("ETag")
		if w.Header().Get("Last-Modified") == "" || tag == "" {
			t.Errorf("%s: headers %v", test.name, w.Header())
		}
		if w := get(f, "HEAD", "/storage/"+u.Path); w.Code != 200 || w.Body.Len() != 0 {
			t.Errorf("HEAD %s: status %d, %d bytes", test.name, w.Code, w.Body.Len())
		}
		if w := get(f, "GET", "/storage/"+u.Path, "If-None-Match", tag); w.Code != 304 {
			t.Errorf("%s with its tag: status %d", test.name, w.Code)
		}
		if w := get(f, "GET", "/storage/"+u.Path, "Range", "bytes=1-2"); w.Code != 206 || w.Body.String() != test.content[1:3] {
			t.Errorf("a range of %s: status %d, %q", test.name, w.Code, w.Body)
		}
	}
}

func TestServe_nothingElse(t *testing.T) {
	f, dir := open(t)
	u, err := f.Put(1, "a.png", strings.NewReader(pngFile), 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"secret", "1/.hidden", "1/half-", "1/With.PNG"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("secret"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(filepath.Dir(dir), "outside"), []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "1", "folder"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("../../outside", filepath.Join(dir, "1", "link")); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/storage/", "/storage", "/storage/1", "/storage/1/", "/storage/secret", "/storage/1/.hidden", "/storage/1/half-",
		"/storage/1/With.PNG", "/storage/1/../secret", "/storage/../outside", "/storage/1/folder", "/storage/1/link", "/storage/1/missing.png",
		"/storage//" + u.Path, "/storage/./" + u.Path, "/storage/" + u.Path + "/", "/storage/" + u.Path + "\n", "/storage/" + u.Path + "\x00",
		`/storage/1\..\secret`, "/storage/x/" + filepath.Base(u.Path), "/storage/2/" + filepath.Base(u.Path)} {
		if w := get(f, "GET", path); w.Code != 404 || strings.Contains(w.Body.String(), "secret") || w.Header().Get("Cache-Control") != "" {
			t.Errorf("%q: status %d, %q, %v", path, w.Code, w.Body, w.Header())
		}
	}
	for method, status := range map[string]int{"POST": 405, "PUT": 405, "DELETE": 405, "OPTIONS": 204} {
		if w := get(f, method, "/storage/"+u.Path); w.Code != status || w.Header().Get("Allow") != "GET, HEAD, OPTIONS" {
			t.Errorf("%s: status %d, want %d; allowed are %s", method, w.Code, status, w.Header().Get("Allow"))
		}
	}
}

func TestRemove(t *testing.T) {
	f, dir := open(t)
	var paths []string
	for range 3 {
		u, err := f.Put(1, "a", strings.NewReader("x"), 1)
		if err != nil {
			t.Fatal(err)
		}
		paths = append(paths, u.Path)
	}
	outside := filepath.Join(filepath.Dir(dir), "outside")
	if err := os.WriteFile(outside, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := f.Remove(); err != nil {
		t.Error(err)
	}
	if err := f.Remove(paths[0], "1/missing", "9/missing", paths[0], paths[1]); err != nil {
		t.Error(err)
	}
	if left := stored(t, dir); len(left) != 1 || left[0] != paths[2] {
		t.Errorf("left are %q, want %s", left, paths[2])
	}
	if err := f.Remove("1", "../outside", "1/../../outside", "", paths[2]); err == nil {
		t.Error("paths of no file are removed")
	}
	if left := stored(t, dir); len(left) != 0 {
		t.Errorf("left are %q", left)
	}
	if _, err := os.Stat(outside); err != nil {
		t.Error(err)
	}
}

var _ http.Handler = (*files.Folder)(nil)

func TestRename(t *testing.T) {
	f, _ := open(t)
	put := func(name, content string) *personnel.Upload {
		u, err := f.Put(7, name, strings.NewReader(content), 100)
		if err != nil {
			t.Fatal(err)
		}
		return u
	}
	u := put("a.txt", "a text")
	for _, test := range []struct{ like, want string }{
		{"3/Kept.txt", "7/Kept.txt"}, {"Kept2.txt", "7/Kept2.txt"}, {"https://example.com/x/Kept3.txt", "7/Kept3.txt"},
		{"3/other.png", "7/Kept3.txt"}, {"../../etc/pass wd.txt", "7/Kept3.txt"}, {"", "7/Kept3.txt"}, {"..", "7/Kept3.txt"},
	} {
		if err := f.Rename(u, test.like); err != nil || u.Path != test.want {
			t.Errorf("like %q it is %q, %v, want %q", test.like, u.Path, err, test.want)
		}
	}
	other := put("b.txt", "another")
	own := other.Path
	if err := f.Rename(other, "9/Kept3.txt"); err != nil || other.Path != own {
		t.Errorf("a name that is taken makes it %q, %v, want %q", other.Path, err, own)
	}
	for path, want := range map[string]string{u.Path: "a text", own: "another"} {
		w := httptest.NewRecorder()
		f.ServeHTTP(w, httptest.NewRequest("GET", files.Prefix+path, nil))
		if w.Body.String() != want {
			t.Errorf("%s holds %q, want %q", path, w.Body, want)
		}
	}
}
