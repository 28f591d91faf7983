package signin_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/internal/signin"
	"github.com/buglehq/bugle/internal/store"
	"github.com/buglehq/bugle/internal/storetest"
	"github.com/buglehq/bugle/personnel"
)

// failed returns the attempts that the audit log of an organization tells of, oldest first: which account, how many, and from where.
func failed(t *testing.T, s *store.Store, organizationID int64) (list []string) {
	t.Helper()
	page, err := s.AuditEntries(t.Context(), organizationID, store.AuditFilter{Action: "account.sign_in_failed"}, store.PageRequest{Number: 1, Limit: store.MaxLimit})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range page.Items {
		_, attempts, _ := strings.Cut(e.After, `"attempts":`)
		attempts, rest, _ := strings.Cut(attempts, ",")
		list = append([]string{fmt.Sprint(e.Subject.ID, e.Subject.Name, " ", attempts, " ", strings.Contains(rest, "addresses\":true"))}, list...)
	}
	return list
}

// Strangers who try for days leave few entries, and nothing of what they typed.
func TestSignIn_failuresAreToldButDoNotFillTheDisk(t *testing.T) {
	s, clock := storetest.New(t)
	id := storetest.Create(t, s, &personnel.User, "name", "Jane Roe", "email", "jane@example.com").ID()
	hash, err := signin.Hash("a few words in a row")
	if err != nil {
		t.Fatal(err)
	}
	storetest.Change(t, s, func(tx *store.Tx) error {
		admin, err := tx.Role(1, 1)
		if err != nil {
			return err
		}
		return tx.AddAccount(&bugle.Account{OrganizationID: 1, UserID: id, Role: admin, PasswordHash: hash})
	})
	a := signin.New(s, clock)
	try := func(email, address string) {
		t.Helper()
		if _, err := a.SignIn(t.Context(), email, "guessed-password", address); !errors.Is(err, bugle.ErrUnauthorized) {
			t.Fatalf("%s from %s: %v", email, address, err)
		}
	}
	for range 9 {
		try("jane@example.com", "192.0.2.1")
		clock.Advance(16 * time.Minute)
	}
	if got, want := fmt.Sprint(failed(t, s, 1)), fmt.Sprintf("[%[1]dJane Roe 1 false %[1]dJane Roe 2 false %[1]dJane Roe 4 false %[1]dJane Roe 8 false]", id); got != want {
		t.Errorf("of 9 attempts are told %s, want %s", got, want)
	}
	for i := range 200 {
		try("jane@example.com", fmt.Sprintf("198.51.100.%d", i))
		try(fmt.Sprintf("nobody-%d@example.com", i), fmt.Sprintf("203.0.113.%d", i))
		clock.Advance(time.Minute)
	}
	if n := len(failed(t, s, 1)); n > 4+19+8 {
		t.Errorf("of 209 attempts for one account are told %d", n)
	}
	strangers := failed(t, s, 0)
	if n := len(strangers); n > 20+8 || n < 20 || strangers[0] != "0 1 false" || strangers[n-1] != "0 128 true" {
		t.Errorf("of 200 attempts for nobody are told %s", strangers)
	}
	clock.Advance(24 * time.Hour)
	before := len(failed(t, s, 1))
	try("jane@example.com", "192.0.2.1")
	if n := len(failed(t, s, 1)); n != before+1 {
		t.Errorf("on another day there are %d entries, before %d", n, before)
	}
	for _, organization := range []int64{0, 1} {
		page, err := s.AuditEntries(t.Context(), organization, store.AuditFilter{}, store.PageRequest{Number: 1, Limit: store.MaxLimit})
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range page.Items {
			if text := fmt.Sprintf("%+v", e); strings.Contains(text, "guessed-password") || strings.Contains(text, "nobody-") {
				t.Errorf("what was typed is in %s", text)
			}
		}
	}
}
