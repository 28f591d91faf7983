package personnel

import (
	"testing"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/value"
)

func TestField_takesUploads(t *testing.T) {
	file := func(media string, size int64) *Upload {
		return &Upload{Name: "a", Path: "1/a", Type: media, Size: size}
	}
	for _, media := range []string{"image/png", "image/jpeg", "image/gif", "image/webp", "image/bmp", "image/avif"} {
		if got := stored(t, Field{Type: Photo}, file(media, 1)); got != "1/a" {
			t.Errorf("%s is stored as %v", media, got)
		}
	}
	for _, media := range []string{"image/svg+xml", "text/html", "application/octet-stream", "image/tiff", ""} {
		if got, wanted := (&Field{Type: Photo}).store(file(media, 1)); wanted == "" {
			t.Errorf("an image of the type %q is stored as %v", media, got)
		}
		stored(t, Field{Type: File}, file(media, 1))
	}
	for _, fieldType := range []Type{Photo, File} {
		for _, wrong := range []any{file("image/png", 0), "1/a", int64(5), true, value.List(file("image/png", 1))} {
			if got, wanted := (&Field{Type: fieldType}).store(wrong); wanted == "" {
				t.Errorf("%s is stored as %v", value.Describe(wrong), got)
			}
		}
	}
	for fieldType := Integer; fieldType < Photo; fieldType++ {
		f := Field{Type: fieldType, Refers: "user", Options: []any{"a"}}
		for _, wrong := range []any{file("image/png", 1), value.List(file("image/png", 1)), value.Map("a", file("image/png", 1))} {
			if got, wanted := f.store(wrong); wanted == "" {
				t.Errorf("a field of type %d stores %s as %v", fieldType, value.Describe(wrong), got)
			}
		}
	}
}

func TestRead_uploads(t *testing.T) {
	r := New(&Image)
	invalid := &bugle.InvalidError{}
	u := &Upload{Name: "map.png", Path: "1/a.png", Type: "image/png", Size: 1}
	r.Read(value.Map("name", "Map", "image", u, "path", "1/other.png", "filename", "other"), true, invalid)
	wantProblems(t, invalid)
	if r.Text("path") != "1/a.png" || r.Text("filename") != "map.png" || !u.Taken {
		t.Errorf("path %q, filename %q, taken %v", r.Text("path"), r.Text("filename"), u.Taken)
	}
	if read := r.Read(value.Map("image", "1/a.png"), false, invalid); len(read) != 0 {
		t.Errorf("the path that it has changes %v", read)
	}
	wantProblems(t, invalid)
	svg := &Upload{Name: "map.svg", Path: "1/b.svg", Type: "image/svg+xml", Size: 1536}
	r.Read(value.Map("image", svg), false, invalid)
	wantProblems(t, invalid, "image")
	if got, want := invalid.Error(), "The image field must be an uploaded image (PNG, JPEG, GIF, WebP, BMP or AVIF), not a file (image/svg+xml, 1.5 KiB)."; got != want {
		t.Errorf("the reason is %q, want %q", got, want)
	}
	if svg.Taken || r.Text("filename") != "map.png" {
		t.Errorf("taken %v, filename %q", svg.Taken, r.Text("filename"))
	}
}
