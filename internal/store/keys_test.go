package store_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"github.com/jonboulle/clockwork"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/internal/store"
	"github.com/buglehq/bugle/internal/storetest"
	"github.com/buglehq/bugle/personnel"
)

func addKey(t *testing.T, s *store.Store, k *bugle.APIKey) (text string) {
	t.Helper()
	storetest.Change(t, s, func(tx *store.Tx) (err error) {
		text, err = tx.AddKey(k)
		return err
	})
	return text
}

func TestKeys_areFoundByTheirText(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *clockwork.FakeClock) {
		jane := user(t, s, "Jane Roe").ID()
		all := &bugle.APIKey{OrganizationID: 1, Name: "all", Scopes: []string{"*"}}
		some := &bugle.APIKey{OrganizationID: 1, UserID: jane, Name: "some", Scopes: []string{"view:user", "create:rankrecord"},
			ExpiresAt: storetest.Start.Add(time.Hour)}
		allText, someText := addKey(t, s, all), addKey(t, s, some)
		for text, want := range map[string]*bugle.APIKey{allText: all, someText: some} {
			got, err := s.Key(t.Context(), text)
			if err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("key is %+v, %v, want %+v", got, err, want)
			}
		}
		for _, wrong := range []string{"", "bugle_", allText + "x", allText[:len(allText)-1], "x" + allText, string(bugle.KeyHash(allText)), "*"} {
			if got, err := s.Key(t.Context(), wrong); !errors.Is(err, bugle.ErrNotFound) {
				t.Errorf("the text %q finds %+v, %v, want ErrNotFound", wrong, got, err)
			}
		}
		if list, err := s.Keys(t.Context(), 10); err != nil || !reflect.DeepEqual(list, []*bugle.APIKey{all, some}) {
			t.Errorf("keys are %+v, %v", list, err)
		}

		clock.Advance(time.Hour)
		got, err := s.Key(t.Context(), someText)
		if err != nil || got.Valid(clock.Now()) || !all.Valid(clock.Now()) {
			t.Errorf("an hour later the key is %+v, %v, want it expired and the other not", got, err)
		}
		storetest.Delete(t, s, &personnel.User, jane)
		if got, err := s.Key(t.Context(), someText); err != nil || got.UserID != 0 {
			t.Errorf("the key of a deleted user is %+v, %v", got, err)
		}
	})
}

func TestKeys_revoked(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *clockwork.FakeClock) {
		key := &bugle.APIKey{OrganizationID: 1, Name: "lost", Scopes: []string{"*"}}
		text := addKey(t, s, key)
		revoke := func() error {
			return s.Update(t.Context(), func(tx *store.Tx) error { return tx.RevokeKey(key.ID, tx.Now()) })
		}
		clock.Advance(time.Minute)
		if err := revoke(); err != nil {
			t.Fatal(err)
		}
		got, err := s.Key(t.Context(), text)
		if err != nil || got.Valid(clock.Now()) || !got.RevokedAt.Equal(storetest.Start.Add(time.Minute)) {
			t.Errorf("the revoked key is %+v, %v", got, err)
		}
		if err := revoke(); !errors.Is(err, bugle.ErrNotFound) {
			t.Errorf("revoking it again: %v, want ErrNotFound", err)
		}
	})
}

func TestKeys_textIsNotInTheDatabase(t *testing.T) {
	path := databasePath(t)
	s := openAt(t, path)
	if _, err := s.EnsureOrganization(t.Context(), "Test"); err != nil {
		t.Fatal(err)
	}
	text := addKey(t, s, &bugle.APIKey{OrganizationID: 1, Name: "recognisable name", Scopes: []string{"*"}})
	look := func() {
		t.Helper()
		found := false
		for _, file := range must(filepath.Glob(path + "*")) {
			content := must(os.ReadFile(file))
			found = found || bytes.Contains(content, []byte("recognisable name"))
			if bytes.Contains(content, []byte(text[len("bugle_"):])) {
				t.Errorf("the key's text is in %s", filepath.Base(file))
			}
		}
		if !found {
			t.Error("the key is in no file: the search is wrong")
		}
	}
	look() // in the log of writes
	closeStore(t, s)
	look()
}

// must is for what can only fail if the test itself is wrong.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// The last use of a key is noted, and an earlier one that arrives later changes nothing.
func TestKeys_lastUse(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *clockwork.FakeClock) {
		key, other := &bugle.APIKey{OrganizationID: 1, Name: "used", Scopes: []string{"*"}}, &bugle.APIKey{OrganizationID: 1, Name: "other", Scopes: []string{"*"}}
		text := addKey(t, s, key)
		otherText := addKey(t, s, other)
		late, early := storetest.Start.Add(time.Hour), storetest.Start.Add(time.Minute)
		for _, use := range []store.KeyUse{{At: late, Address: "203.0.113.7"}, {At: early, Address: "2001:db8::1"}} {
			if err := s.UsedKeys(t.Context(), map[int64]store.KeyUse{key.ID: use, 4711: use}); err != nil {
				t.Fatal(err)
			}
		}
		got, err := s.Key(t.Context(), text)
		if err != nil || !got.UsedAt.Equal(late) || got.UsedFrom != "203.0.113.7" {
			t.Errorf("the key is %+v, %v", got, err)
		}
		if got, err := s.Key(t.Context(), otherText); err != nil || !got.UsedAt.IsZero() || got.UsedFrom != "" {
			t.Errorf("a key that is not used is %+v, %v", got, err)
		}
	})
}
