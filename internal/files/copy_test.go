package files_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/buglehq/bugle/internal/files"
)

func TestCopyTo(t *testing.T) {
	from, dir := open(t)
	var paths []string
	for i, content := range []string{pngFile, "", strings.Repeat("long ", 100_000)} {
		u, err := from.Put(int64(1+i%2), "a file.txt", strings.NewReader(content), 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		paths = append(paths, u.Path)
	}
	if err := os.WriteFile(filepath.Join(dir, "1", "broken-off-"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	to, there := open(t)
	told := 0
	for range 2 { // the second time everything is there
		done, err := from.CopyTo(to, func(files.Copied) { told++ })
		if err != nil || done.Files != 3 || done.Bytes != int64(len(pngFile)+500_000) {
			t.Fatalf("%+v, %v", done, err)
		}
	}
	if told != 6 {
		t.Errorf("progress was told %d times, want 6", told)
	}
	slices.Sort(paths)
	if got := stored(t, there); !slices.Equal(got, paths) {
		t.Errorf("there are %q, want %q", got, paths)
	}
	for _, path := range paths {
		got, err := os.ReadFile(filepath.Join(there, path))
		want, err2 := os.ReadFile(filepath.Join(dir, path))
		if err != nil || err2 != nil || string(got) != string(want) {
			t.Errorf("%s differs: %v, %v", path, err, err2)
		}
	}
}

func TestCopyTo_takesNoFilesPlace(t *testing.T) {
	from, _ := open(t)
	to, there := open(t)
	u, err := from.Put(1, "a.txt", strings.NewReader("one"), 100)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(there, "1"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(there, u.Path), []byte("two"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := from.CopyTo(to, nil); err == nil || !strings.Contains(err.Error(), u.Path+": another file has that name") {
		t.Errorf("error %v, want one that names the file", err)
	}
	if got, _ := os.ReadFile(filepath.Join(there, u.Path)); string(got) != "two" {
		t.Errorf("the file there became %q", got)
	}
}
