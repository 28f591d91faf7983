package files

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/personnel"
)

// measureAgain is after which time a folder's size is read from the disk again: other servers may share it.
const measureAgain = time.Minute

// sizes are those of organizations' folders, so that an upload need not look at every file.
type sizes struct {
	mu       sync.Mutex
	measured map[string]measured // by folder
}

type measured struct {
	bytes int64
	at    time.Time // by the real clock
}

// change notes that a folder has grown, or shrunk, if its size is known.
func (s *sizes) change(folder string, bytes int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if m, known := s.measured[folder]; known {
		m.bytes = max(m.bytes+bytes, 0)
		s.measured[folder] = m
	}
}

// Used returns how many bytes the files of an organization have. Files that another server has stored or removed within
// the last minute may be missing from it.
func (f *Folder) Used(organizationID int64) (int64, error) {
	folder := strconv.FormatInt(organizationID, 10)
	f.sizes.mu.Lock()
	defer f.sizes.mu.Unlock() // also while it is read, or what is stored meanwhile would count twice or not at all
	if m, known := f.sizes.measured[folder]; known && time.Since(m.at) < measureAgain {
		return m.bytes, nil
	}
	bytes, err := f.measure(folder)
	if err != nil {
		return 0, fmt.Errorf("measure the files of organization %d: %w", organizationID, err)
	}
	if f.sizes.measured == nil {
		f.sizes.measured = map[string]measured{}
	}
	f.sizes.measured[folder] = measured{bytes, time.Now()}
	return bytes, nil
}

func (f *Folder) measure(name string) (bytes int64, err error) {
	folder, err := f.root.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	defer folder.Close()
	for {
		entries, err := folder.ReadDir(1000)
		for _, entry := range entries {
			info, err := entry.Info()
			if errors.Is(err, fs.ErrNotExist) || err == nil && strings.HasSuffix(entry.Name(), "-") { // removed, or not stored yet
				continue
			}
			if err != nil {
				return 0, err
			}
			bytes += info.Size()
		}
		if err == io.EOF {
			return bytes, nil
		}
		if err != nil {
			return 0, err
		}
	}
}

// PutWithin is Put for who may have so many bytes in files; 0 is any number. It returns a *bugle.QuotaError for a file
// with which there would be more, and then leaves nothing behind.
func (f *Folder) PutWithin(quota, organizationID int64, name string, r io.Reader, limit int64) (*personnel.Upload, error) {
	if quota == 0 {
		return f.Put(organizationID, name, r, limit)
	}
	tooMuch := &bugle.QuotaError{Quota: "storage", Limit: quota}
	used, err := f.Used(organizationID)
	if err != nil {
		return nil, err
	}
	if used >= quota {
		return nil, tooMuch
	}
	room := quota - used
	u, err := f.Put(organizationID, name, r, min(limit, room))
	if errors.Is(err, ErrTooLarge) && room < limit {
		return nil, tooMuch
	}
	if err != nil {
		return nil, err
	}
	if used, err = f.Used(organizationID); err == nil && used > quota { // others were stored meanwhile
		err = tooMuch
	}
	if err != nil {
		return nil, errors.Join(err, f.Remove(u.Path))
	}
	return u, nil
}

// remove removes a file, and notes that its folder has shrunk.
func (f *Folder) remove(name string) error {
	info, err := f.root.Stat(name)
	if err == nil {
		err = f.root.Remove(name)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		f.sizes.change(path.Dir(name), -info.Size())
	}
	return err
}
