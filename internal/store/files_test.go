package store_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/buglehq/bugle/internal/store"
	"github.com/buglehq/bugle/internal/storetest"
	"github.com/buglehq/bugle/personnel"
	"github.com/buglehq/bugle/value"
)

func photo(path string) *personnel.Upload {
	return &personnel.Upload{Name: "photo.png", Path: path, Type: "image/png", Size: 1}
}

// Files that nothing refers to any more are told of once that is committed, and not otherwise.
func TestUpdate_tellsOfDroppedFiles(t *testing.T) {
	var dropped []string
	s, _ := storetest.NewWith(t, store.Options{Dropped: func(paths []string) { dropped = append(dropped, paths...) }})
	want := func(what string, paths ...string) {
		t.Helper()
		slices.Sort(dropped)
		if !slices.Equal(dropped, paths) {
			t.Errorf("%s: dropped are %q, want %q", what, dropped, paths)
		}
		dropped = nil
	}
	user := storetest.Create(t, s, &personnel.User, "name", "Jane", "email", "jane@example.com", "profile_photo", photo("1/a.png"))
	want("a new photo")
	storetest.Update(t, s, &personnel.User, user.ID(), "name", "Jane Roe", "profile_photo", "1/a.png")
	want("the same photo")
	storetest.Update(t, s, &personnel.User, user.ID(), "profile_photo", photo("1/b.png"), "cover_photo", photo("1/c.png"))
	want("another photo", "1/a.png")

	change := func(do func(tx *store.Tx) error) error {
		return s.Update(context.Background(), do)
	}
	later := errors.New("later")
	u := photo("1/d.png")
	err := change(func(tx *store.Tx) error {
		if _, err := tx.Update(storetest.Actor(), &personnel.User, user.ID(), value.Map("profile_photo", u, "cover_photo", nil)); err != nil {
			return err
		}
		if _, err := tx.Delete(storetest.Actor(), &personnel.User, user.ID()); err != nil {
			return err
		}
		return later
	})
	if err != later || u.Kept {
		t.Errorf("error %v, kept %v", err, u.Kept)
	}
	want("a change that fails later")

	err = change(func(tx *store.Tx) error {
		_, err := tx.Update(storetest.Actor(), &personnel.User, user.ID(), value.Map("profile_photo", u))
		return err
	})
	if err != nil || !u.Kept {
		t.Errorf("error %v, kept %v", err, u.Kept)
	}
	want("the same again", "1/b.png")
	storetest.Delete(t, s, &personnel.User, user.ID())
	want("the user", "1/c.png", "1/d.png")
}

// Of custom fields only those for files have files, and only the organization's own.
func TestUpdate_droppedFilesOfCustomFields(t *testing.T) {
	var dropped []string
	s, _ := storetest.NewWith(t, store.Options{Dropped: func(paths []string) { dropped = append(dropped, paths...) }})
	storetest.Create(t, s, &personnel.CustomField, "name", "Proof", "key", "proof", "type", "file", "applies_to", value.List("users"))
	storetest.Create(t, s, &personnel.CustomField, "name", "Note", "key", "note", "type", "text", "applies_to", value.List("users"))
	add := func(email string, fields ...any) int64 {
		t.Helper()
		return storetest.Create(t, s, &personnel.User, append([]any{"name", "Jane", "email", email}, fields...)...).ID()
	}
	own := add("a@example.com", "proof", photo("1/own.pdf"), "note", "1/other.pdf")
	foreign := add("b@example.com", "proof", photo("2/foreign.pdf"))
	storetest.Update(t, s, &personnel.User, own, "note", "nothing")
	storetest.Update(t, s, &personnel.User, own, "proof", photo("1/new.pdf"))
	storetest.Delete(t, s, &personnel.User, foreign)
	storetest.Delete(t, s, &personnel.User, own)
	if want := []string{"1/own.pdf", "1/new.pdf"}; !slices.Equal(dropped, want) {
		t.Errorf("dropped are %q, want %q", dropped, want)
	}
}
