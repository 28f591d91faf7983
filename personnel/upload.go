package personnel

import (
	"fmt"
	"slices"
	"strings"

	"github.com/buglehq/bugle/value"
)

// An Upload is a file that came with a request, in place of a field's value. It is stored already;
// a field that accepts it says so with Taken, the commit that makes this last with Kept, and what was
// not kept is removed.
type Upload struct {
	Name  string // as the sender calls the file, without folders
	Path  string // where it is stored: "1/Zk3vQ0x7.png"
	Type  string // media type of its content, found by looking: "image/png"
	Size  int64  // bytes
	Taken bool
	Kept  bool
}

// MaxUpload is how many bytes an uploaded file may have: 10000 KiB, as PERSCOM's.
const MaxUpload = 10000 << 10

// String describes the file for a message to a person.
func (u *Upload) String() string {
	if u.Size == 0 {
		return "an empty file"
	}
	return fmt.Sprintf("a file (%s, %.1f KiB)", u.Type, float64(u.Size)/1024)
}

// imageTypes are the media types of images. SVG is none of them, because it may hold scripts.
var imageTypes = []string{"image/png", "image/jpeg", "image/gif", "image/webp", "image/bmp", "image/avif"}

// isImage reports whether the file is one that browsers show and that does nothing else.
func (u *Upload) isImage() bool { return slices.Contains(imageTypes, u.Type) }

// hasExtension reports whether the file is of a type with one of the extensions.
func (u *Upload) hasExtension(names []string) bool {
	_, own, _ := strings.Cut(u.Path, ".")
	return slices.ContainsFunc(names, func(name string) bool {
		name = strings.ToLower(strings.TrimPrefix(strings.TrimSpace(name), "."))
		return own != "" && (name == own || isJPEG(name) && isJPEG(own))
	})
}

func isJPEG(extension string) bool { return extension == "jpg" || extension == "jpeg" }

// holdsUpload reports whether v is an upload, or an array that holds one at any depth.
func holdsUpload(v any) bool {
	switch v := v.(type) {
	case *Upload:
		return true
	case *value.Array:
		for _, item := range v.All() {
			if holdsUpload(item) {
				return true
			}
		}
	}
	return false
}

// IsFile reports whether the field holds the path of an uploaded file.
func (f *Field) IsFile() bool { return f.Type == Photo || f.Type == File }

// SentAs is the name under which the field is sent.
func (f *Field) SentAs() string {
	if f.Sent != "" {
		return f.Sent
	}
	return f.Name
}
