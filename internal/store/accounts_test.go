package store_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/jonboulle/clockwork"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/internal/store"
	"github.com/buglehq/bugle/internal/storetest"
	"github.com/buglehq/bugle/personnel"
)

var firstPage = store.PageRequest{Number: 1, Limit: 10}

// attempt runs fn in a transaction and returns its error.
func attempt(t *testing.T, s *store.Store, fn func(tx *store.Tx) error) error {
	t.Helper()
	return s.Update(t.Context(), fn)
}

func wantError(t *testing.T, err, want error, part string) {
	t.Helper()
	if !errors.Is(err, want) || !strings.Contains(fmt.Sprint(err), part) {
		t.Errorf("the error is %v, want %v that says %q", err, want, part)
	}
}

func roleNamed(t *testing.T, s *store.Store, organizationID int64, name string) *bugle.Role {
	t.Helper()
	r, err := s.RoleByName(t.Context(), organizationID, name)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func addRole(t *testing.T, s *store.Store, name string, permissions ...string) *bugle.Role {
	t.Helper()
	r := &bugle.Role{OrganizationID: 1, Name: name, Permissions: permissions}
	storetest.Change(t, s, func(tx *store.Tx) error { return tx.AddRole(r) })
	return r
}

// addAccount makes a user of organization 1 with an account.
func addAccount(t *testing.T, s *store.Store, name string, role *bugle.Role) *bugle.Account {
	t.Helper()
	a := &bugle.Account{UserID: user(t, s, name).ID(), OrganizationID: 1, Role: role, PasswordHash: "hash of " + name}
	storetest.Change(t, s, func(tx *store.Tx) error { return tx.AddAccount(a) })
	return a
}

func account(t *testing.T, s *store.Store, userID int64) *bugle.Account {
	t.Helper()
	a, err := s.Account(t.Context(), 1, userID)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func roleNames(roles []*bugle.Role) (names []string) {
	for _, r := range roles {
		names = append(names, r.Name)
	}
	return names
}

func TestRoles_everyOrganizationHasTwo(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *clockwork.FakeClock) {
		other := addOrganization(t, s)
		for _, organization := range []int64{1, other.OrganizationID} {
			page, err := s.Roles(t.Context(), organization, firstPage)
			if err != nil || page.Total != 2 || !slices.Equal(roleNames(page.Items), []string{"Admin", "User"}) {
				t.Fatalf("organization %d has the roles %v, %v", organization, roleNames(page.Items), err)
			}
			for i, can := range []bool{true, false} {
				if r := page.Items[i]; !r.BuiltIn || r.OrganizationID != organization || r.Can("delete_webhook") != can || !r.CreatedAt.Equal(storetest.Start) {
					t.Errorf("a role is %+v", r)
				}
			}
		}
	})
}

func TestRoles_customOnes(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *clockwork.FakeClock) {
		clerk := addRole(t, s, "Ärztin", "view_any_webhook", "view_webhook")
		got, err := s.Role(t.Context(), 1, clerk.ID)
		if err != nil || !reflect.DeepEqual(got, clerk) || !got.CreatedAt.Equal(storetest.Start) {
			t.Errorf("the role reads back as %+v, %v, want %+v", got, err, clerk)
		}
		clock.Advance(time.Minute)
		clerk.Name, clerk.Permissions = "ärztin", nil // its own name is not taken
		storetest.Change(t, s, func(tx *store.Tx) error { return tx.SaveRole(clerk) })
		if got, err = s.Role(t.Context(), 1, clerk.ID); err != nil || !reflect.DeepEqual(got, clerk) || !got.UpdatedAt.Equal(storetest.Start.Add(time.Minute)) {
			t.Errorf("the saved role reads back as %+v, %v, want %+v", got, err, clerk)
		}
		page, err := s.Roles(t.Context(), 1, store.PageRequest{Number: 2, Limit: 2})
		if err != nil || page.Total != 3 || !slices.Equal(roleNames(page.Items), []string{"ärztin"}) {
			t.Errorf("the second page is %v of %d, %v", roleNames(page.Items), page.Total, err)
		}
		storetest.Change(t, s, func(tx *store.Tx) error { return tx.DeleteRole(1, clerk.ID) })
		_, err = s.Role(t.Context(), 1, clerk.ID)
		wantError(t, err, bugle.ErrNotFound, "role")
	})
}

func TestRoles_refusals(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *clockwork.FakeClock) {
		other := addOrganization(t, s).OrganizationID
		admin, clerk := roleNamed(t, s, 1, "admin"), addRole(t, s, "ÄRZTE")
		for _, name := range []string{"ärzte", "ADMIN"} {
			err := attempt(t, s, func(tx *store.Tx) error { return tx.AddRole(&bugle.Role{OrganizationID: 1, Name: name}) })
			wantProblems(t, err, "name")
			storetest.Change(t, s, func(tx *store.Tx) error {
				r := &bugle.Role{OrganizationID: other, Name: "Ärzte"}
				if err := tx.AddRole(r); err != nil {
					return err
				}
				return tx.DeleteRole(other, r.ID)
			})
		}
		renamed := *clerk
		renamed.Name = "user"
		wantProblems(t, attempt(t, s, func(tx *store.Tx) error { return tx.SaveRole(&renamed) }), "name")

		wantError(t, attempt(t, s, func(tx *store.Tx) error { return tx.SaveRole(admin) }), bugle.ErrConflict, "every organization has")
		pretended := *admin
		pretended.BuiltIn, pretended.Permissions = false, nil
		wantError(t, attempt(t, s, func(tx *store.Tx) error { return tx.SaveRole(&pretended) }), bugle.ErrNotFound, "save role")
		foreign := *clerk
		foreign.OrganizationID, foreign.Name = other, "Theirs"
		wantError(t, attempt(t, s, func(tx *store.Tx) error { return tx.SaveRole(&foreign) }), bugle.ErrNotFound, "save role")

		wantError(t, attempt(t, s, func(tx *store.Tx) error { return tx.DeleteRole(1, admin.ID) }), bugle.ErrConflict, "every organization has")
		wantError(t, attempt(t, s, func(tx *store.Tx) error { return tx.DeleteRole(other, clerk.ID) }), bugle.ErrNotFound, "role")
		holder := addAccount(t, s, "Jane Roe", clerk)
		wantError(t, attempt(t, s, func(tx *store.Tx) error { return tx.DeleteRole(1, clerk.ID) }), bugle.ErrConflict, "while accounts have it (1)")
		storetest.Change(t, s, func(tx *store.Tx) error { return tx.DeleteAccount(1, holder.UserID) })
		storetest.Change(t, s, func(tx *store.Tx) error {
			_, err := tx.AddInvitation(&bugle.Invitation{OrganizationID: 1, Purpose: bugle.JoinInvitation, Email: "new@example.com", RoleID: clerk.ID})
			return err
		})
		storetest.Change(t, s, func(tx *store.Tx) error { return tx.DeleteRole(1, clerk.ID) }) // its invitations go too
		if n := count(t, s, "invitations"); n != 0 {
			t.Errorf("%d invitations to a deleted role are left", n)
		}
		_, err := s.RoleByName(t.Context(), other, "Boss")
		wantError(t, err, bugle.ErrNotFound, "role Boss")
	})
}

func TestRoles_areBounded(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *clockwork.FakeClock) {
		err := attempt(t, s, func(tx *store.Tx) error {
			for i := range 499 {
				if err := tx.AddRole(&bugle.Role{OrganizationID: 1, Name: fmt.Sprint("Role ", i)}); err != nil {
					return fmt.Errorf("%d: %w", i, err)
				}
			}
			return nil
		})
		if err == nil || !strings.HasPrefix(err.Error(), "498: The name is one too many") {
			t.Errorf("the 501st role: %v", err)
		}
	})
}

func TestAccount_everyFieldReadsBack(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *clockwork.FakeClock) {
		clerk := addRole(t, s, "Clerk", "view_webhook")
		added := &bugle.Account{UserID: user(t, s, "Jane Roe").ID(), OrganizationID: 1, Role: clerk, TimeZone: "Europe/Berlin", PasswordHash: "hash"}
		events := eventsOf(t, s, func() { storetest.Change(t, s, func(tx *store.Tx) error { return tx.AddAccount(added) }) })
		want := &bugle.Account{UserID: 1, OrganizationID: 1, Name: "Jane Roe", Email: "jane.roe@example.com", Role: clerk, TimeZone: "Europe/Berlin",
			PasswordHash: "hash", SessionsSince: storetest.Start, CreatedAt: storetest.Start}
		check := func() {
			t.Helper()
			if got := account(t, s, 1); !reflect.DeepEqual(got, want) {
				t.Errorf("the account reads back as\n     %+v\nwant %+v", got, want)
			}
		}
		check()

		clock.Advance(time.Minute)
		now := storetest.Start.Add(time.Minute)
		events = append(events, eventsOf(t, s, func() {
			storetest.Change(t, s, func(tx *store.Tx) error {
				return errors.Join(tx.NoteSignIn(1, 1), tx.SetTimeZone(1, 1, ""))
			})
		})...)
		want.LastSignInAt, want.TimeZone = now, ""
		check()
		storetest.Change(t, s, func(tx *store.Tx) error { return tx.SetPassword(1, 1, "another") })
		want.PasswordHash, want.SessionsSince = "another", now
		check()
		clock.Advance(time.Minute)
		storetest.Change(t, s, func(tx *store.Tx) error { return tx.SetAccountDisabled(1, 1, true) })
		want.Disabled, want.SessionsSince = true, now.Add(time.Minute)
		check()
		storetest.Change(t, s, func(tx *store.Tx) error {
			return errors.Join(tx.SetAccountDisabled(1, 1, false), tx.SetAccountRole(1, 1, roleNamed(t, s, 1, "User")))
		})
		want.Disabled, want.Role = false, roleNamed(t, s, 1, "User")
		check()
		wantNames(t, events) // signing in is no event
	})
}

func TestAccount_refusals(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *clockwork.FakeClock) {
		other := addOrganization(t, s).OrganizationID
		role, theirs := roleNamed(t, s, 1, "User"), roleNamed(t, s, other, "Admin")
		jane, alex := addAccount(t, s, "Jane Roe", role), user(t, s, "Alex Carter").ID()
		add := func(a bugle.Account) error {
			return attempt(t, s, func(tx *store.Tx) error { return tx.AddAccount(&a) })
		}
		wantError(t, add(bugle.Account{UserID: jane.UserID, OrganizationID: 1, Role: role}), bugle.ErrConflict, "has an account already")
		wantError(t, add(bugle.Account{UserID: 99, OrganizationID: 1, Role: role}), bugle.ErrNotFound, "user 99")
		wantError(t, add(bugle.Account{UserID: alex, OrganizationID: other, Role: theirs}), bugle.ErrNotFound, "user 2")
		wantError(t, add(bugle.Account{UserID: alex, OrganizationID: 1, Role: theirs}), bugle.ErrNotFound, "role")
		for what, try := range map[string]func(tx *store.Tx) error{
			"read":     func(tx *store.Tx) error { _, err := tx.Account(other, jane.UserID); return err },
			"password": func(tx *store.Tx) error { return tx.SetPassword(other, jane.UserID, "hash") },
			"zone":     func(tx *store.Tx) error { return tx.SetTimeZone(other, jane.UserID, "UTC") },
			"sign-in":  func(tx *store.Tx) error { return tx.NoteSignIn(other, jane.UserID) },
			"role":     func(tx *store.Tx) error { return tx.SetAccountRole(other, jane.UserID, theirs) },
			"to role":  func(tx *store.Tx) error { return tx.SetAccountRole(1, jane.UserID, theirs) },
			"disable":  func(tx *store.Tx) error { return tx.SetAccountDisabled(other, jane.UserID, true) },
			"delete":   func(tx *store.Tx) error { return tx.DeleteAccount(other, jane.UserID) },
			"reset": func(tx *store.Tx) error {
				_, err := tx.AddInvitation(&bugle.Invitation{OrganizationID: other, Purpose: bugle.ResetInvitation, UserID: jane.UserID})
				return err
			},
			"invite": func(tx *store.Tx) error {
				_, err := tx.AddInvitation(&bugle.Invitation{OrganizationID: 1, Purpose: bugle.JoinInvitation, Email: "x@example.com", RoleID: theirs.ID})
				return err
			},
		} {
			if err := attempt(t, s, try); !errors.Is(err, bugle.ErrNotFound) {
				t.Errorf("%s across organizations: %v, want ErrNotFound", what, err)
			}
		}
		if got := account(t, s, jane.UserID); got.PasswordHash != "hash of Jane Roe" || got.Role.ID != role.ID || got.Disabled {
			t.Errorf("the account is %+v", got)
		}
	})
}

func TestAccounts_areFoundByEmailAndText(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *clockwork.FakeClock) {
		role := roleNamed(t, s, 1, "User")
		for _, name := range []string{"Jane Roe", "Alex Carter", "Jane 100%"} {
			addAccount(t, s, name, role)
		}
		user(t, s, "Without Account")
		for text, want := range map[string]string{"": "Alex Carter,Jane 100%,Jane Roe", "JANE": "Jane 100%,Jane Roe", "carter@": "Alex Carter", "0%": "Jane 100%", "_": "", "without": ""} {
			page, err := s.Accounts(t.Context(), 1, text, firstPage)
			var names []string
			for _, a := range page.Items {
				names = append(names, a.Name)
			}
			if got := strings.Join(names, ","); err != nil || got != want || page.Total != len(names) {
				t.Errorf("%q finds %q of %d, %v, want %q", text, got, page.Total, err, want)
			}
		}
		page, err := s.Accounts(t.Context(), 1, "", store.PageRequest{Number: 2, Limit: 2})
		if err != nil || page.Total != 3 || len(page.Items) != 1 || page.Items[0].Name != "Jane Roe" {
			t.Errorf("the second page is %+v, %v", page, err)
		}

		other := addOrganization(t, s)
		theirs := createIn(t, s, other, &personnel.User, "name", "Jane Roe", "email", "Jane.Roe@Example.com")
		storetest.Change(t, s, func(tx *store.Tx) error {
			return tx.AddAccount(&bugle.Account{UserID: theirs.ID(), OrganizationID: other.OrganizationID, Role: roleNamed(t, s, other.OrganizationID, "Admin")})
		})
		list, err := s.AccountsByEmail(t.Context(), " JANE.roe@example.com ")
		if err != nil || len(list) != 2 || list[0].OrganizationID != 1 || list[1].OrganizationID != other.OrganizationID || list[1].Role.Name != "Admin" {
			t.Errorf("the accounts of the e-mail address are %+v, %v", list, err)
		}
		for _, email := range []string{"without.account@example.com", "", "%"} {
			if list, err := s.AccountsByEmail(t.Context(), email); err != nil || len(list) != 0 {
				t.Errorf("%q has the accounts %+v, %v", email, list, err)
			}
		}
	})
}

// Somebody has to be able to let others in.
func TestAccount_theLastAdminStays(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *clockwork.FakeClock) {
		admin, plain := roleNamed(t, s, 1, "Admin"), roleNamed(t, s, 1, "User")
		jane := addAccount(t, s, "Jane Roe", admin).UserID
		alex := addAccount(t, s, "Alex Carter", admin).UserID
		without := &bugle.Account{UserID: user(t, s, "Without Password").ID(), OrganizationID: 1, Role: admin}
		storetest.Change(t, s, func(tx *store.Tx) error { return tx.AddAccount(without) })
		attempts := map[string]func(tx *store.Tx) error{
			"disable":            func(tx *store.Tx) error { return tx.SetAccountDisabled(1, jane, true) },
			"take the role from": func(tx *store.Tx) error { return tx.SetAccountRole(1, jane, plain) },
			"delete":             func(tx *store.Tx) error { return tx.DeleteAccount(1, jane) },
		}
		undone := errors.New("undone")
		for what, try := range attempts {
			err := attempt(t, s, func(tx *store.Tx) error { return errors.Join(try(tx), undone) })
			if errors.Is(err, bugle.ErrConflict) {
				t.Errorf("%s one of two admins: %v", what, err)
			}
		}
		storetest.Change(t, s, func(tx *store.Tx) error { return tx.SetAccountDisabled(1, alex, true) })
		for what, try := range attempts {
			wantError(t, attempt(t, s, try), bugle.ErrConflict, what+" the last admin")
		}
		// What does not lock anybody out is still possible.
		storetest.Change(t, s, func(tx *store.Tx) error {
			return errors.Join(tx.SetAccountRole(1, jane, admin), tx.SetAccountDisabled(1, jane, false), tx.DeleteAccount(1, without.UserID),
				tx.SetAccountRole(1, alex, plain), tx.DeleteAccount(1, alex))
		})
		if got := account(t, s, jane); got.Disabled || got.Role.ID != admin.ID {
			t.Errorf("the last admin is %+v", got)
		}
	})
}

// Whoever deletes the user deletes the account: the next start offers to make the first one again.
func TestAccount_goesWithItsUser(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *clockwork.FakeClock) {
		jane := addAccount(t, s, "Jane Roe", roleNamed(t, s, 1, "Admin"))
		token := addInvitation(t, s, &bugle.Invitation{OrganizationID: 1, Purpose: bugle.ResetInvitation, UserID: jane.UserID})
		if token, err := s.Setup(t.Context(), 1); err != nil || token != "" {
			t.Errorf("with an account, setup returns %q, %v", token, err)
		}
		storetest.Delete(t, s, &personnel.User, jane.UserID)
		_, err := s.Account(t.Context(), 1, jane.UserID)
		wantError(t, err, bugle.ErrNotFound, "account of user 1")
		_, err = s.InvitationByToken(t.Context(), token)
		wantError(t, err, bugle.ErrNotFound, "invitation")
		if token, err := s.Setup(t.Context(), 1); err != nil || token == "" {
			t.Errorf("without an account, setup returns %q, %v", token, err)
		}
	})
}

func addInvitation(t *testing.T, s *store.Store, i *bugle.Invitation) (token string) {
	t.Helper()
	storetest.Change(t, s, func(tx *store.Tx) (err error) {
		token, err = tx.AddInvitation(i)
		return err
	})
	return token
}

// join is an invitation to organization 1.
func join(t *testing.T, s *store.Store, email string) *bugle.Invitation {
	t.Helper()
	return &bugle.Invitation{OrganizationID: 1, Purpose: bugle.JoinInvitation, Email: email, Name: "New Member", RoleID: roleNamed(t, s, 1, "User").ID}
}

func TestInvitation_everyFieldReadsBackAndTheTokenIsHashed(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *clockwork.FakeClock) {
		jane := addAccount(t, s, "Jane Roe", roleNamed(t, s, 1, "Admin"))
		added := join(t, s, "new@example.com ")
		added.CreatedBy = jane.UserID
		token := addInvitation(t, s, added)
		if len(token) < 43 || strings.Trim(token, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789") != "" {
			t.Errorf("the token is %q", token) // 43 alphanumerics are 256 bits
		}
		want := &bugle.Invitation{ID: 1, OrganizationID: 1, Purpose: bugle.JoinInvitation, Email: "new@example.com", Name: "New Member", RoleID: added.RoleID,
			CreatedBy: jane.UserID, CreatedAt: storetest.Start, ExpiresAt: storetest.Start.Add(7 * 24 * time.Hour)}
		if got, err := s.InvitationByToken(t.Context(), token); err != nil || !reflect.DeepEqual(got, want) || !reflect.DeepEqual(added, want) {
			t.Errorf("the invitation reads back as\n     %+v, %v\nwant %+v", got, err, want)
		}
		if n := query[int](t, s, "SELECT COUNT(*) FROM invitations WHERE CAST(token_hash AS TEXT) LIKE '%' || $1 || '%' OR length(token_hash) <> 32", token)[0]; n != 0 {
			t.Error("the token is in the table")
		}
		for _, wrong := range []string{"", token[1:], token + "x"} {
			_, err := s.InvitationByToken(t.Context(), wrong)
			wantError(t, err, bugle.ErrNotFound, "invitation")
		}
	})
}

func TestInvitation_ends(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *clockwork.FakeClock) {
		wantOpen := func(token string, want bool) {
			t.Helper()
			_, err := s.InvitationByToken(t.Context(), token)
			if (err == nil) != want || !want && !errors.Is(err, bugle.ErrNotFound) {
				t.Errorf("the invitation is open: %v, want %v", err, want)
			}
			err = attempt(t, s, func(tx *store.Tx) error {
				if _, err := tx.UseInvitation(token); err != nil {
					return err
				}
				return context.Canceled // so that it is not used
			})
			if errors.Is(err, context.Canceled) != want {
				t.Errorf("the invitation can be used: %v, want %v", err, want)
			}
		}
		setup, err := s.Setup(t.Context(), 1)
		if err != nil {
			t.Fatal(err)
		}
		clock.Advance(24*time.Hour - 1000)
		wantOpen(setup, true)
		clock.Advance(1000)
		wantOpen(setup, false)

		setup = must(s.Setup(t.Context(), 1))
		again := must(s.Setup(t.Context(), 1)) // as at the next start
		wantOpen(setup, false)
		wantOpen(again, true)
		jane := addAccount(t, s, "Jane Roe", roleNamed(t, s, 1, "Admin"))
		wantOpen(again, false) // there is an account now
		addAccount(t, s, "Alex Carter", roleNamed(t, s, 1, "Admin"))

		member := addInvitation(t, s, join(t, s, "new@example.com"))
		another := addInvitation(t, s, join(t, s, "another@example.com"))
		later := addInvitation(t, s, join(t, s, "NEW@example.com"))
		wantOpen(member, false)
		wantOpen(another, true)
		wantOpen(later, true)

		reset := func() string {
			return addInvitation(t, s, &bugle.Invitation{OrganizationID: 1, Purpose: bugle.ResetInvitation, UserID: jane.UserID})
		}
		token := reset()
		clock.Advance(time.Hour - 1000)
		wantOpen(token, true)
		clock.Advance(1000)
		wantOpen(token, false)
		for what, change := range map[string]func(tx *store.Tx) error{
			"another link":     func(tx *store.Tx) error { return nil },
			"another password": func(tx *store.Tx) error { return tx.SetPassword(1, jane.UserID, "hash") },
			"disabled":         func(tx *store.Tx) error { return tx.SetAccountDisabled(1, jane.UserID, true) },
		} {
			token := reset()
			wantOpen(token, true)
			storetest.Change(t, s, change)
			if what == "another link" {
				wantOpen(reset(), true)
			}
			wantOpen(token, false)
		}
		token = reset()
		storetest.Change(t, s, func(tx *store.Tx) error { return tx.DeleteAccount(1, jane.UserID) })
		wantOpen(token, false)

		clock.Advance(7*24*time.Hour - time.Hour)
		wantOpen(later, false)
	})
}

// Two who come with the same link at once get one account.
func TestInvitation_isUsedOnce(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *clockwork.FakeClock) {
		token := addInvitation(t, s, join(t, s, "new@example.com"))
		errs := make([]error, 20)
		var all sync.WaitGroup
		for i := range errs {
			all.Go(func() {
				errs[i] = s.Update(context.Background(), func(tx *store.Tx) error {
					used, err := tx.UseInvitation(token)
					if err == nil && used.Email != "new@example.com" {
						err = fmt.Errorf("it is %+v", used)
					}
					return err
				})
			})
		}
		all.Wait()
		used := 0
		for _, err := range errs {
			if err == nil {
				used++
			} else if !errors.Is(err, bugle.ErrNotFound) {
				t.Error(err)
			}
		}
		if used != 1 {
			t.Errorf("the invitation was used %d times", used)
		}
	})
}

// A use whose transaction fails was none.
func TestInvitation_failedUse(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *clockwork.FakeClock) {
		token := addInvitation(t, s, join(t, s, "new@example.com"))
		failed := errors.New("the password is too short")
		err := attempt(t, s, func(tx *store.Tx) error {
			_, err := tx.UseInvitation(token)
			return errors.Join(err, failed)
		})
		wantError(t, err, failed, "")
		if _, err := s.InvitationByToken(t.Context(), token); err != nil {
			t.Error(err)
		}
	})
}

func TestInvitations_list(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *clockwork.FakeClock) {
		addInvitation(t, s, join(t, s, "expired@example.com"))
		clock.Advance(7 * 24 * time.Hour)
		used := addInvitation(t, s, join(t, s, "used@example.com"))
		storetest.Change(t, s, func(tx *store.Tx) error { _, err := tx.UseInvitation(used); return err })
		must(s.Setup(t.Context(), 1))
		for _, name := range []string{"a", "b", "c"} {
			addInvitation(t, s, join(t, s, name+"@example.com"))
		}
		page, err := s.Invitations(t.Context(), 1, store.PageRequest{Number: 1, Limit: 2})
		if err != nil || page.Total != 3 || len(page.Items) != 2 || page.Items[0].Email != "c@example.com" || page.Items[1].Email != "b@example.com" {
			t.Errorf("the page is %+v, %v", page, err)
		}
		other := addOrganization(t, s).OrganizationID
		if page, err := s.Invitations(t.Context(), other, firstPage); err != nil || page.Total != 0 {
			t.Errorf("another organization lists %+v, %v", page, err)
		}
		id := page.Items[0].ID
		remove := func(organization int64) error {
			return attempt(t, s, func(tx *store.Tx) error { return tx.DeleteInvitation(organization, id) })
		}
		wantError(t, remove(other), bugle.ErrNotFound, "invitation")
		if err := remove(1); err != nil {
			t.Error(err)
		}
		wantError(t, remove(1), bugle.ErrNotFound, "invitation")
	})
}

func TestInvitation_refusals(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *clockwork.FakeClock) {
		addAccount(t, s, "Jane Roe", roleNamed(t, s, 1, "Admin"))
		alex := user(t, s, "Alex Carter").ID()
		add := func(i *bugle.Invitation) error {
			return attempt(t, s, func(tx *store.Tx) error { _, err := tx.AddInvitation(i); return err })
		}
		wantProblems(t, add(join(t, s, " ")), "email")
		wantProblems(t, add(join(t, s, "JANE.ROE@example.com")), "email")
		wantError(t, add(&bugle.Invitation{OrganizationID: 1, Purpose: bugle.ResetInvitation, UserID: alex}), bugle.ErrNotFound, "account of user 2")
		if err := add(join(t, s, "alex.carter@example.com")); err != nil {
			t.Errorf("a user without an account is invited: %v", err)
		}
		_, err := s.Setup(t.Context(), 99)
		wantError(t, err, bugle.ErrNotFound, "set up organization 99")
	})
}

// What is over is deleted in the end, a bounded number at a time.
func TestInvitations_oldOnesGo(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *clockwork.FakeClock) {
		for i := range 105 {
			addInvitation(t, s, join(t, s, fmt.Sprintf("%d@example.com", i)))
		}
		for _, test := range []struct {
			after time.Duration
			want  int
		}{{37 * 24 * time.Hour, 106}, {1000, 7}, {0, 3}} {
			clock.Advance(test.after)
			addInvitation(t, s, join(t, s, fmt.Sprintf("new%d@example.com", test.want)))
			if n := count(t, s, "invitations"); n != test.want {
				t.Errorf("%d invitations are left, want %d", n, test.want)
			}
		}
	})
}

var _ scs.CtxStore = (*store.Sessions)(nil)

// wantSession fails unless the session holds the text; empty: it is over.
func wantSession(t *testing.T, s *store.Store, token, want string) {
	t.Helper()
	data, found, err := s.Sessions().FindCtx(t.Context(), token)
	if err != nil || string(data) != want || found != (want != "") {
		t.Errorf("session %q holds %q, %v, %v, want %q", token, data, found, err, want)
	}
}

func commitSession(t *testing.T, s *store.Store, token, text string, expires time.Time) {
	t.Helper()
	if err := s.Sessions().CommitCtx(t.Context(), token, []byte(text), expires); err != nil {
		t.Fatal(err)
	}
}

func TestSessions(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *clockwork.FakeClock) {
		end := storetest.Start.Add(time.Hour)
		wantSession(t, s, "token", "")
		commitSession(t, s, "token", "first", end)
		commitSession(t, s, "other", "theirs", end)
		wantSession(t, s, "token", "first")
		commitSession(t, s, "token", "second", end.Add(time.Hour))
		wantSession(t, s, "token", "second")
		wantSession(t, s, "tokeN", "")
		if n := query[int](t, s, "SELECT COUNT(*) FROM sessions WHERE length(token_hash) <> 32")[0]; n != 0 {
			t.Error("a token is in the table")
		}
		clock.Advance(time.Hour - 1000)
		wantSession(t, s, "other", "theirs")
		clock.Advance(1000)
		wantSession(t, s, "other", "")
		wantSession(t, s, "token", "second")

		for range 2 {
			if err := s.Sessions().DeleteCtx(t.Context(), "token"); err != nil {
				t.Fatal(err)
			}
			wantSession(t, s, "token", "")
		}
		commitSession(t, s, "token", "third", end.Add(time.Hour)) // by a request that began before
		wantSession(t, s, "token", "")
		if n := query[int](t, s, "SELECT COUNT(*) FROM sessions WHERE length(data) > 0")[0]; n != 0 {
			t.Error("a session that was ended keeps its data")
		}
		if err := s.Sessions().DeleteCtx(t.Context(), "never was"); err != nil {
			t.Error(err)
		}
	})
}

func TestSessions_expiredOnesGo(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *clockwork.FakeClock) {
		for i := range 25 {
			commitSession(t, s, fmt.Sprint("old ", i), "x", storetest.Start.Add(time.Hour))
		}
		clock.Advance(time.Hour)
		for _, want := range []int{6, 2, 3} {
			commitSession(t, s, fmt.Sprint("new ", want), "x", storetest.Start.Add(2*time.Hour))
			if n := count(t, s, "sessions"); n != want {
				t.Errorf("%d sessions are left, want %d", n, want)
			}
		}
	})
}

// scs uses the methods that take a context, and no others.
func TestSessions_needAContext(t *testing.T) {
	s, _ := storetest.New(t)
	_, _, find := s.Sessions().Find("token")
	for what, err := range map[string]error{"find": find, "commit": s.Sessions().Commit("token", nil, storetest.Start), "delete": s.Sessions().Delete("token")} {
		if err == nil {
			t.Errorf("%s works without a context", what)
		}
	}
}

func TestSessions_carryASessionManager(t *testing.T) {
	s, _ := storetest.New(t)
	m := scs.New()
	m.Store, m.Lifetime = s.Sessions(), 100*365*24*time.Hour // scs reads the real clock
	ctx := must(m.Load(t.Context(), ""))
	m.Put(ctx, "user", int64(7))
	token, _, err := m.Commit(ctx)
	if err != nil {
		t.Fatal(err)
	}
	before := must(m.Load(t.Context(), token))
	if user := m.GetInt64(before, "user"); user != 7 {
		t.Errorf("the session is of user %d", user)
	}
	if err := m.Destroy(ctx); err != nil {
		t.Fatal(err)
	}
	m.Put(before, "flash", "late") // a request that is still under way
	if _, _, err := m.Commit(before); err != nil {
		t.Fatal(err)
	}
	if user := m.GetInt64(must(m.Load(t.Context(), token)), "user"); user != 0 {
		t.Errorf("the session that was ended is of user %d again", user)
	}
}

// Whatever the database cannot do is an error, and no answer.
func TestAccounts_closedStore(t *testing.T) {
	s, _ := storetest.New(t)
	role := roleNamed(t, s, 1, "Admin")
	closeStore(t, s)
	ctx := t.Context()
	attempts := map[string]func() error{
		"roles":        func() error { _, err := s.Roles(ctx, 1, firstPage); return err },
		"role":         func() error { _, err := s.Role(ctx, 1, role.ID); return err },
		"accounts":     func() error { _, err := s.Accounts(ctx, 1, "", firstPage); return err },
		"account":      func() error { _, err := s.Account(ctx, 1, 1); return err },
		"by e-mail":    func() error { _, err := s.AccountsByEmail(ctx, "x"); return err },
		"invitations":  func() error { _, err := s.Invitations(ctx, 1, firstPage); return err },
		"invitation":   func() error { _, err := s.InvitationByToken(ctx, "x"); return err },
		"setup":        func() error { _, err := s.Setup(ctx, 1); return err },
		"find session": func() error { _, _, err := s.Sessions().FindCtx(ctx, "x"); return err },
		"commit":       func() error { return s.Sessions().CommitCtx(ctx, "x", nil, storetest.Start) },
		"end":          func() error { return s.Sessions().DeleteCtx(ctx, "x") },
	}
	for what, try := range attempts {
		if err := try(); err == nil || errors.Is(err, bugle.ErrNotFound) {
			t.Errorf("%s of a closed store: %v", what, err)
		}
	}
}

func TestOrganization_settings(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *clockwork.FakeClock) {
		for _, test := range []struct{ name, format, zone, want string }{
			{"", "", "", "1st Test Battalion|{name}|UTC"},
			{"", "", "Europe/Berlin", "1st Test Battalion|{name}|Europe/Berlin"},
			{"2nd", "{rank.name} {name}", "", "2nd|{rank.name} {name}|Europe/Berlin"},
		} {
			storetest.Change(t, s, func(tx *store.Tx) error { return tx.SetOrganization(1, test.name, test.format, test.zone) })
			o, err := s.Organization(t.Context(), 1)
			if err != nil || o.Name+"|"+o.DisplayNameFormat+"|"+o.TimeZone != test.want {
				t.Errorf("the organization is %+v, %v, want %s", o, err, test.want)
			}
		}
	})
}
