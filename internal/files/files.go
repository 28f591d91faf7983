// Package files keeps uploaded files in a folder and serves them. Their names are random: who knows
// a file's address may read it, as in PERSCOM.
package files

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"mime"
	"net/http"
	"os"
	"path"
	"regexp"
	"strconv"
	"strings"
	"unicode"

	"github.com/gabriel-vasile/mimetype"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/personnel"
)

// ErrTooLarge is returned by Put for a file that is longer than it may be.
var ErrTooLarge = errors.New("the file is too large")

// A Folder holds the files of all organizations, a folder each. Its methods may be called
// concurrently.
type Folder struct {
	root  *os.Root // no path leads out of it
	sizes sizes
}

// Open opens the folder, and makes it, for its owner alone, if there is none.
func Open(dir string) (*Folder, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("open the folder of uploaded files: %w", err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("open the folder of uploaded files: %w", err)
	}
	return &Folder{root: root}, nil
}

// Close releases the folder.
func (f *Folder) Close() error { return f.root.Close() }

// Put stores what r reads as a file of the organization, on the disk once it returns. The name is the
// sender's, for the Upload. More than limit bytes are ErrTooLarge, and an error of r is returned as it
// is; either leaves nothing behind.
func (f *Folder) Put(organizationID int64, name string, r io.Reader, limit int64) (u *personnel.Upload, err error) {
	folder := strconv.FormatInt(organizationID, 10)
	if err := f.makeFolder(folder); err != nil {
		return nil, fmt.Errorf("make the folder of an organization: %w", err)
	}
	unnamed := folder + "/" + bugle.RandomText(32)
	temporary := unnamed + "-" // no path that is served ends so
	file, err := f.root.OpenFile(temporary, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, fmt.Errorf("store a file: %w", err)
	}
	defer func() {
		if err != nil {
			file.Close()
			f.root.Remove(temporary)
		}
	}()
	size, err := io.Copy(file, io.LimitReader(r, limit+1))
	if err != nil {
		return nil, err
	}
	if size > limit {
		return nil, ErrTooLarge
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return nil, fmt.Errorf("store a file: %w", err)
	}
	found, err := mimetype.DetectReader(file)
	if err != nil {
		return nil, fmt.Errorf("find the type of a file: %w", err)
	}
	for m := found; m != nil; m = m.Parent() { // an animated PNG is a PNG
		if isImage(mediaTypes[m.Extension()]) {
			found = m
			break
		}
	}
	u = &personnel.Upload{Name: cleanName(name), Type: found.String(), Size: size}
	if media, _, err := mime.ParseMediaType(u.Type); err == nil {
		u.Type = media
	}
	u.Path = unnamed + extension(found, u)
	if err := errors.Join(file.Sync(), file.Close()); err != nil {
		return nil, fmt.Errorf("store a file: %w", err)
	}
	if err := f.root.Rename(temporary, u.Path); err != nil {
		return nil, fmt.Errorf("store a file: %w", err)
	}
	if err := f.syncFolder(folder); err != nil {
		f.root.Remove(u.Path)
		return nil, fmt.Errorf("store a file: %w", err)
	}
	f.sizes.change(folder, size)
	return u, nil
}

// Rename gives a file that was just stored the last part of another path for its name, if it would be
// served the same under that and no file has it. Otherwise the file keeps its own.
func (f *Folder) Rename(u *personnel.Upload, like string) error {
	folder, _, _ := strings.Cut(u.Path, "/")
	wanted := folder + "/" + path.Base(like)
	if wanted == u.Path || !servedPath.MatchString(wanted) || path.Ext(wanted) != path.Ext(u.Path) {
		return nil
	}
	if err := f.root.Link(u.Path, wanted); err != nil { // unlike a rename, it takes no other file's place
		if errors.Is(err, fs.ErrExist) {
			return nil
		}
		return fmt.Errorf("rename a file: %w", err)
	}
	old := u.Path
	u.Path = wanted
	if err := errors.Join(f.root.Remove(old), f.syncFolder(folder)); err != nil {
		return fmt.Errorf("rename a file: %w", err)
	}
	return nil
}

func (f *Folder) makeFolder(name string) error {
	err := f.root.Mkdir(name, 0o700)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return f.syncFolder(".")
}

// syncFolder sees to it that the names in a folder reach the disk.
func (f *Folder) syncFolder(name string) error {
	folder, err := f.root.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}

var harmless = regexp.MustCompile(`^\.[a-z0-9]{1,10}$`)

// extension is what a stored file's name ends in, by its content. Where that says nothing, it is what
// the sender's name ends in, unless it is an image's.
func extension(found *mimetype.MIME, u *personnel.Upload) string {
	own := found.Extension()
	if u.Type == "application/octet-stream" || u.Type == "text/plain" {
		if sent := strings.ToLower(path.Ext(u.Name)); harmless.MatchString(sent) && !isImage(mediaTypes[sent]) {
			own = sent
		}
	}
	if !harmless.MatchString(own) {
		return ""
	}
	return own
}

// maxName is how many characters the name of an upload may have.
const maxName = 255

// cleanName is the last part of a name that a sender gave, without what does not belong into a name.
func cleanName(name string) string {
	name = strings.ToValidUTF8(name, "")
	name = name[strings.LastIndexAny(name, `/\`)+1:]
	name = strings.TrimSpace(strings.Map(func(c rune) rune {
		if unicode.IsControl(c) {
			return -1
		}
		return c
	}, name))
	if characters := []rune(name); len(characters) > maxName {
		name = strings.TrimSpace(string(characters[:maxName]))
	}
	if strings.Trim(name, ".") == "" {
		return "file"
	}
	return name
}

var servedPath = regexp.MustCompile(`^[0-9]+/[A-Za-z0-9]+(\.[a-z0-9]{1,10})?$`)

// mediaTypes are the types, by extension, as which files are served. All else is bytes to save.
var mediaTypes = map[string]string{
	".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".gif": "image/gif", ".webp": "image/webp", ".bmp": "image/bmp",
	".avif": "image/avif",
	".pdf":  "application/pdf", ".txt": "text/plain; charset=utf-8",
	".mp3": "audio/mpeg", ".m4a": "audio/mp4", ".ogg": "audio/ogg", ".oga": "audio/ogg", ".wav": "audio/wav", ".flac": "audio/flac",
	".mp4": "video/mp4", ".webm": "video/webm", ".ogv": "video/ogg", ".mov": "video/quicktime",
}

func isImage(media string) bool { return strings.HasPrefix(media, "image/") }

// Prefix is what paths of files begin with on the wire.
const Prefix = "/storage/"

// ServeHTTP answers GET and HEAD of Prefix and a file's path. A browser shows images and saves all
// else, and in no case lets the content act on its own.
func (f *Folder) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		h.Set("Allow", "GET, HEAD, OPTIONS")
		if r.Method == http.MethodOptions {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		return
	}
	name := strings.TrimPrefix(r.URL.Path, Prefix)
	if !servedPath.MatchString(name) {
		http.NotFound(w, r)
		return
	}
	file, err := f.root.Open(name)
	if err != nil {
		http.NotFound(w, r)
		return
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil || !info.Mode().IsRegular() {
		http.NotFound(w, r)
		return
	}
	media := mediaTypes[path.Ext(name)]
	if media == "" {
		media = "application/octet-stream"
	}
	disposition := "attachment"
	if isImage(media) {
		disposition = "inline"
	}
	h.Set("Content-Type", media)
	h.Set("Content-Disposition", disposition)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "default-src 'none'; sandbox")
	h.Set("Cross-Origin-Resource-Policy", "cross-origin")
	h.Set("Cache-Control", "public, max-age=31536000, immutable") // another content would have another name
	h.Set("ETag", `"`+path.Base(name)+`"`)
	http.ServeContent(w, r, "", info.ModTime(), file)
}

// Remove removes files by their paths. One that is not there is fine.
func (f *Folder) Remove(paths ...string) error {
	var errs []error
	for _, name := range paths {
		if !servedPath.MatchString(name) {
			errs = append(errs, fmt.Errorf("remove the file %q: not a path of an uploaded file", name))
			continue
		}
		if err := f.remove(name); err != nil {
			errs = append(errs, fmt.Errorf("remove a file: %w", err))
		}
	}
	return errors.Join(errs...)
}
