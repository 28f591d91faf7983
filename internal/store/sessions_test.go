package store_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/jonboulle/clockwork"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/internal/store"
	"github.com/buglehq/bugle/internal/storetest"
)

// beginSession writes a session of somebody.
func beginSession(t *testing.T, s *store.Store, token string, userID int64, since time.Time) {
	t.Helper()
	h := store.SessionHolder{OrganizationID: 1, UserID: userID, Since: since, Address: "192.0.2.1", Browser: "Firefox on Linux"}
	if err := s.Sessions().Write(t.Context(), token, []byte("data of "+token), since.Add(14*24*time.Hour), h); err != nil {
		t.Fatal(err)
	}
}

// openSessions returns the tokens of sessions that are there.
func openSessions(t *testing.T, s *store.Store, tokens ...string) (list []string) {
	t.Helper()
	for _, token := range tokens {
		if _, found, err := s.Sessions().FindCtx(t.Context(), token); err != nil {
			t.Fatal(err)
		} else if found {
			list = append(list, token)
		}
	}
	return list
}

func TestSessionsOf(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *clockwork.FakeClock) {
		role := roleNamed(t, s, 1, bugle.UserRole)
		jane, joe := addAccount(t, s, "Jane Roe", role), addAccount(t, s, "Joe Doe", role)
		start := clock.Now().UTC()
		beginSession(t, s, "one", jane.UserID, start)
		clock.Advance(time.Minute)
		beginSession(t, s, "two", jane.UserID, clock.Now().UTC())
		beginSession(t, s, "of joe", joe.UserID, clock.Now().UTC())
		if err := s.Sessions().CommitCtx(t.Context(), "of nobody", []byte("data"), start.Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
		clock.Advance(time.Minute)
		h := store.SessionHolder{OrganizationID: 1, UserID: jane.UserID, Since: start, Address: "2001:db8::1", Browser: "Safari on iPhone"}
		if err := s.Sessions().Touch(t.Context(), "one", h); err != nil {
			t.Fatal(err)
		}
		list, err := s.SessionsOf(t.Context(), 1, jane.UserID, "two")
		if err != nil || len(list) != 2 {
			t.Fatalf("the sessions are %+v, %v", list, err)
		}
		want := store.Session{ID: list[0].ID, BegunAt: start, SeenAt: clock.Now().UTC(), ExpiresAt: start.Add(14 * 24 * time.Hour), Address: "2001:db8::1", Browser: "Safari on iPhone"}
		if list[0] != want || list[1].Current != true || list[1].Browser != "Firefox on Linux" || !list[1].SeenAt.Equal(start.Add(time.Minute)) {
			t.Errorf("the sessions are %+v", list)
		}
		if other, err := s.SessionsOf(t.Context(), 2, jane.UserID, ""); err != nil || len(other) != 0 {
			t.Errorf("in another organization: %+v, %v", other, err)
		}
		end := func(organizationID, userID, id int64) error {
			return s.Update(t.Context(), func(tx *store.Tx) error { return tx.EndSession(organizationID, userID, id) })
		}
		for what, err := range map[string]error{"of another": end(1, joe.UserID, list[0].ID), "in another organization": end(2, jane.UserID, list[0].ID), "none": end(1, jane.UserID, 4711)} {
			if !errors.Is(err, bugle.ErrNotFound) {
				t.Errorf("ending one %s: %v", what, err)
			}
		}
		if err := end(1, jane.UserID, list[0].ID); err != nil {
			t.Error(err)
		}
		if err := s.Sessions().Touch(t.Context(), "one", h); err != nil {
			t.Error(err)
		}
		if got := fmt.Sprint(openSessions(t, s, "one", "two", "of joe", "of nobody")); got != "[two of joe of nobody]" {
			t.Errorf("left are %s", got)
		}
		beginSession(t, s, "three", jane.UserID, clock.Now().UTC())
		clock.Advance(time.Second)
		storetest.Change(t, s, func(tx *store.Tx) error { return tx.EndSessions(1, jane.UserID) })
		if got := fmt.Sprint(openSessions(t, s, "two", "three", "of joe")); got != "[of joe]" {
			t.Errorf("left are %s", got)
		}
		if a := account(t, s, jane.UserID); !a.SessionsSince.Equal(clock.Now()) {
			t.Errorf("sessions are over that began before %s", a.SessionsSince)
		}
		beginSession(t, s, "four", jane.UserID, clock.Now().UTC())
		clock.Advance(15 * 24 * time.Hour)
		if list, err := s.SessionsOf(t.Context(), 1, jane.UserID, ""); err != nil || len(list) != 0 {
			t.Errorf("once it has expired: %+v, %v", list, err)
		}
	})
}

// What a new password has ended is not listed, though its row is there until the session is used.
func TestSessionsOf_newPassword(t *testing.T) {
	s, clock := storetest.New(t)
	jane := addAccount(t, s, "Jane Roe", roleNamed(t, s, 1, bugle.UserRole))
	beginSession(t, s, "one", jane.UserID, clock.Now().UTC())
	clock.Advance(time.Second)
	storetest.Change(t, s, func(tx *store.Tx) error { return tx.SetPassword(1, jane.UserID, "another") })
	if list, err := s.SessionsOf(t.Context(), 1, jane.UserID, ""); err != nil || len(list) != 0 {
		t.Errorf("listed are %+v, %v", list, err)
	}
}

// An account has a bounded number of sessions: a new one ends the oldest.
func TestSessions_areBounded(t *testing.T) {
	s, clock := storetest.New(t)
	role := roleNamed(t, s, 1, bugle.UserRole)
	jane, joe := addAccount(t, s, "Jane Roe", role), addAccount(t, s, "Joe Doe", role)
	beginSession(t, s, "of joe", joe.UserID, clock.Now().UTC())
	for i := range 52 {
		beginSession(t, s, fmt.Sprint("session ", i), jane.UserID, clock.Now().UTC())
	}
	if got := fmt.Sprint(openSessions(t, s, "of joe", "session 0", "session 1", "session 2", "session 51")); got != "[of joe session 2 session 51]" {
		t.Errorf("left are %s", got)
	}
	if list, err := s.SessionsOf(t.Context(), 1, jane.UserID, ""); err != nil || len(list) != 50 {
		t.Errorf("listed are %d, %v", len(list), err)
	}
}

// A request of somebody who deletes himself writes his session at its end.
func TestSessions_ofADeletedUser(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *clockwork.FakeClock) {
		beginSession(t, s, "one", 4711, clock.Now().UTC())
		if err := s.Sessions().Touch(t.Context(), "one", store.SessionHolder{OrganizationID: 1, UserID: 4711, Since: clock.Now()}); err != nil {
			t.Error(err)
		}
		if got := openSessions(t, s, "one"); len(got) != 1 {
			t.Errorf("found are %q", got)
		}
	})
}
