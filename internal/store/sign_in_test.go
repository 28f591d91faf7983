package store_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/jonboulle/clockwork"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/internal/store"
	"github.com/buglehq/bugle/internal/storetest"
)

func TestSignInWaits(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *clockwork.FakeClock) {
		add := func(who string) store.SignInWait {
			t.Helper()
			storetest.Change(t, s, func(tx *store.Tx) error { return tx.AddSignInWait([]byte(who), time.Minute, 3*time.Minute) })
			w, err := s.SignInWait(t.Context(), []byte(who))
			if err != nil {
				t.Fatal(err)
			}
			return w
		}
		for i, want := range []time.Duration{time.Minute, 2 * time.Minute, 3 * time.Minute, 3 * time.Minute} {
			w := add("one")
			if w.Rounds != int64(i+1) || !w.Until.Equal(clock.Now().Add(want)) {
				t.Errorf("the wait %d is %+v, want %s", i+1, w, want)
			}
			clock.Advance(want - 1000)
			if again := add("one"); again != w {
				t.Errorf("who waits already waits for %+v", again)
			}
			clock.Advance(1000)
		}
		add("two")
		clock.Advance(24*time.Hour + time.Minute)
		if w, err := s.SignInWait(t.Context(), []byte("one")); err != nil || w.Rounds != 0 {
			t.Errorf("a day later there is %+v, %v", w, err)
		}
		add("three")
		if n := count(t, s, "sign_in_waits"); n != 1 {
			t.Errorf("%d are kept", n)
		}
		storetest.Change(t, s, func(tx *store.Tx) error { return tx.ForgetSignInWait([]byte("three")) })
		if n := count(t, s, "sign_in_waits"); n != 0 {
			t.Errorf("%d are kept", n)
		}
	})
}

func TestSignInWaits_areBounded(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *clockwork.FakeClock) {
		number := "SELECT n FROM (WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 50000) SELECT n FROM c) AS numbers"
		to := "CAST(n AS TEXT)"
		if storetest.OnPostgres() {
			to = "convert_to(CAST(n AS TEXT), 'UTF8')"
		} else {
			to = "CAST(" + to + " AS BLOB)"
		}
		until := clock.Now().UnixMicro()
		exec(t, s, fmt.Sprintf("INSERT INTO sign_in_waits (who, rounds, until_us, forget_us) SELECT %s, 1, %d, %d + n FROM (%s) AS c", to, until, until, number))
		storetest.Change(t, s, func(tx *store.Tx) error { return tx.AddSignInWait([]byte("new"), time.Minute, time.Minute) })
		if n := count(t, s, "sign_in_waits"); n != 50_000 {
			t.Errorf("%d are kept", n)
		}
		for who, want := range map[string]int64{"1": 0, "2": 1, "new": 1} {
			if w, err := s.SignInWait(t.Context(), []byte(who)); err != nil || w.Rounds != want {
				t.Errorf("%s waits for %+v, %v", who, w, err)
			}
		}
	})
}

func TestNotePlace(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *clockwork.FakeClock) {
		a := addAccount(t, s, "Jane Roe", roleNamed(t, s, 1, bugle.UserRole))
		note := func(address, browser string) (place store.NewPlace) {
			t.Helper()
			clock.Advance(time.Second)
			storetest.Change(t, s, func(tx *store.Tx) (err error) { place, err = tx.NotePlace(1, a.UserID, address, browser); return err })
			return place
		}
		for _, step := range []struct {
			address, browser string
			want             store.NewPlace
		}{
			{"192.0.2.1", "Firefox", store.NewPlace{Address: true, Browser: true, First: true}},
			{"192.0.2.1", "Firefox", store.NewPlace{}},
			{"192.0.2.2", "Firefox", store.NewPlace{Address: true}},
			{"192.0.2.2", "Safari", store.NewPlace{Browser: true}},
			{"192.0.2.1", "Safari", store.NewPlace{}},
		} {
			if got := note(step.address, step.browser); got != step.want {
				t.Errorf("from %s with %s it is %+v, want %+v", step.address, step.browser, got, step.want)
			}
		}
		email := account(t, s, a.UserID).Email
		knows := func(email, address string) bool {
			t.Helper()
			known, err := s.KnowsAddress(t.Context(), email, address)
			if err != nil {
				t.Fatal(err)
			}
			return known
		}
		if !knows(email, "192.0.2.1") || knows(email, "192.0.2.3") || knows("nobody@example.com", "192.0.2.1") || knows(email, "Safari") {
			t.Error("the wrong addresses are known")
		}
		for i := range 20 {
			note(fmt.Sprint("198.51.100.", i), "Safari")
		}
		if n := count(t, s, "sign_in_places"); n != 22 {
			t.Errorf("%d places are kept", n)
		}
		if knows(email, "192.0.2.1") || !knows(email, "198.51.100.0") {
			t.Error("not the newest addresses are known")
		}
		clock.Advance(91 * 24 * time.Hour)
		if knows(email, "198.51.100.19") {
			t.Error("an address is known after three months")
		}
		if got := note("198.51.100.19", "Safari"); got != (store.NewPlace{Address: true, Browser: true, First: true}) {
			t.Errorf("after three months it is %+v", got)
		}
	})
}
