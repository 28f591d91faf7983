package files

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
)

// Copied is what came of a copy.
type Copied struct {
	Files int64 `json:"files"`
	Bytes int64 `json:"bytes"`
}

// CopyTo copies all files to another folder, on the disk once it returns. One that is there already has to be the same: so a
// copy that broke off can be made again. The progress is told after each file, and may be nil.
func (f *Folder) CopyTo(to *Folder, progress func(Copied)) (Copied, error) {
	var done Copied
	err := fs.WalkDir(f.root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil || name == ".":
			return err
		case d.IsDir():
			return to.makeFolder(name)
		case !d.Type().IsRegular():
			return fmt.Errorf("%s is no file", name)
		case strings.HasSuffix(name, "-"): // what an upload that broke off has left
			return nil
		}
		n, err := f.copyFile(to, name)
		if err != nil {
			return fmt.Errorf("copy %s: %w", name, err)
		}
		done.Files, done.Bytes = done.Files+1, done.Bytes+n
		if progress != nil {
			progress(done)
		}
		return nil
	})
	if err != nil {
		return done, fmt.Errorf("copy uploaded files: %w", err)
	}
	return done, nil
}

// copyFile copies a file unless it is there, and returns how long it is.
func (f *Folder) copyFile(to *Folder, name string) (n int64, err error) {
	source, err := f.root.Open(name)
	if err != nil {
		return 0, err
	}
	defer source.Close()
	if there, err := to.hash(name); err == nil {
		want := sha256.New()
		if n, err = io.Copy(want, source); err != nil {
			return 0, err
		}
		if !bytes.Equal(there, want.Sum(nil)) {
			return 0, errors.New("another file has that name: give a folder that is empty")
		}
		return n, nil
	} else if !errors.Is(err, fs.ErrNotExist) {
		return 0, err
	}
	temporary := name + "-"
	file, err := to.root.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return 0, err
	}
	defer func() {
		if err != nil {
			file.Close()
			to.root.Remove(temporary)
		}
	}()
	want := sha256.New()
	if n, err = io.Copy(io.MultiWriter(file, want), source); err != nil {
		return 0, err
	}
	if err = errors.Join(file.Sync(), file.Close()); err != nil {
		return 0, err
	}
	if got, hashErr := to.hash(temporary); hashErr != nil || !bytes.Equal(got, want.Sum(nil)) {
		err = errors.Join(errors.New("what was written reads differently"), hashErr)
		return 0, err
	}
	if err = to.root.Rename(temporary, name); err != nil {
		return 0, err
	}
	return n, to.syncFolder(path.Dir(name))
}

// hash is the SHA-256 of a file's content.
func (f *Folder) hash(name string) ([]byte, error) {
	file, err := f.root.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	h := sha256.New()
	if _, err := io.Copy(h, file); err != nil {
		return nil, err
	}
	return h.Sum(nil), nil
}
