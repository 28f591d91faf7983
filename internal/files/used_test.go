package files_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/internal/files"
)

func openFolder(t *testing.T) (*files.Folder, string) {
	t.Helper()
	root := t.TempDir()
	f, err := files.Open(root)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f, root
}

func wantUsed(t *testing.T, f *files.Folder, organizationID, want int64) {
	t.Helper()
	if got, err := f.Used(organizationID); err != nil || got != want {
		t.Errorf("organization %d has %d bytes, %v, want %d", organizationID, got, err, want)
	}
}

func TestUsed(t *testing.T) {
	f, root := openFolder(t)
	wantUsed(t, f, 1, 0)
	first, err := f.Put(1, "a.txt", strings.NewReader("four"), 100)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Put(1, "b.txt", strings.NewReader("seventy"), 100); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Put(2, "c.txt", strings.NewReader("x"), 100); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Put(1, "d.txt", strings.NewReader("too long"), 3); !errors.Is(err, files.ErrTooLarge) {
		t.Errorf("a file that is too large: %v", err)
	}
	wantUsed(t, f, 1, 11)
	wantUsed(t, f, 2, 1)
	if err := errors.Join(f.Remove(first.Path), f.Remove(first.Path)); err != nil {
		t.Fatal(err)
	}
	wantUsed(t, f, 1, 7)

	// One that is opened later reads it from the disk, without what is half stored.
	if err := os.WriteFile(filepath.Join(root, "1", "abc-"), []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	again, err := files.Open(root)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	wantUsed(t, again, 1, 7)
}

func TestPutWithin(t *testing.T) {
	f, root := openFolder(t)
	put := func(quota int64, size int) error {
		_, err := f.PutWithin(quota, 1, "a.bin", bytes.NewReader(make([]byte, size)), 100)
		return err
	}
	wantRefused := func(err error) {
		t.Helper()
		var refused *bugle.QuotaError
		if !errors.As(err, &refused) || refused.Quota != "storage" || refused.Limit != 10 {
			t.Errorf("%v, want a refusal for 10 bytes of storage", err)
		}
	}
	wantRefused(put(10, 11))
	if err := put(10, 6); err != nil {
		t.Fatal(err)
	}
	wantRefused(put(10, 5))
	if err := put(10, 4); err != nil {
		t.Errorf("exactly as much as may be: %v", err)
	}
	wantRefused(put(10, 0))
	if err := put(1000, 101); !errors.Is(err, files.ErrTooLarge) {
		t.Errorf("one file that is too large: %v", err)
	}
	if err := put(0, 50); err != nil {
		t.Errorf("without a quota: %v", err)
	}
	wantUsed(t, f, 1, 60)
	if entries, err := os.ReadDir(filepath.Join(root, "1")); err != nil || len(entries) != 3 {
		t.Errorf("%d files are left, %v, want 3", len(entries), err)
	}
}

// Those who store at the same time do not get beyond the quota together.
func TestPutWithin_atOnce(t *testing.T) {
	f, _ := openFolder(t)
	wantUsed(t, f, 1, 0)
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			_, err := f.PutWithin(30, 1, "a.bin", bytes.NewReader(make([]byte, 10)), 100)
			var refused *bugle.QuotaError
			if err != nil && !errors.As(err, &refused) {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if used, err := f.Used(1); err != nil || used > 30 || used%10 != 0 {
		t.Errorf("%d bytes are stored, %v, want at most 30", used, err)
	}
}
