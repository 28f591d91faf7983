package admin

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/internal/store"
	"github.com/buglehq/bugle/value"
)

// accounts adds the pages of those who may sign in.
func (s *server) accounts() {
	s.page("GET /accounts", "view_any_account", s.listAccounts)
	s.page("GET /accounts/invite", "create_account", s.showInvite)
	s.page("POST /accounts/invite", "create_account", s.invite)
	s.page("POST /accounts/invitations/{id}/delete", "create_account", s.deleteInvitation)
	s.page("POST /accounts/{id}/role", "update_account", s.setAccountRole)
	s.page("POST /accounts/{id}/disable", "update_account", s.disableAccount(true))
	s.page("POST /accounts/{id}/enable", "update_account", s.disableAccount(false))
	s.page("POST /accounts/{id}/reset", "update_account", s.resetAccount)
	s.page("POST /accounts/{id}/sign-out", "update_account", s.signOutAccount)
	s.page("POST /accounts/{id}/second-factor/remove", "update_account", s.removeSecondFactor)
	s.page("POST /accounts/{id}/delete", "delete_account", s.deleteAccount)
}

// covers reports whether a role has everything that another has: nobody gives, or takes from, more than he
// has.
func covers(own, other *bugle.Role) bool {
	for _, permission := range other.Permissions {
		if !own.Can(permission) {
			return false
		}
	}
	return true
}

type accountsPage struct {
	frame
	Accounts    []accountRow
	Roles       []*bugle.Role // that the visitor may give
	Invitations []*bugle.Invitation
	RoleNames   map[int64]string
	Passwords   bool // people sign in by them
	Filters     []filter
	Pager       pager
}

type accountRow struct {
	*bugle.Account
	Change bool // the visitor may change it
	Own    bool
}

// allRoles are the roles of the organization: there are few.
func (v *visit) allRoles() ([]*bugle.Role, error) {
	page, err := v.server.store.Roles(v.Context(), v.actor.OrganizationID, store.PageRequest{Number: 1, Limit: store.MaxLimit})
	return page.Items, err
}

func (s *server) listAccounts(v *visit) error {
	text := strings.TrimSpace(v.URL.Query().Get("q"))
	if v.wantsCSV() {
		return v.csv("accounts", []string{"Name", "Email", "Role", "State", "Last sign-in"}, func(write func([]string) error) error {
			for number := 1; ; number++ {
				page, err := s.store.Accounts(v.Context(), v.actor.OrganizationID, text, store.PageRequest{Number: number, Limit: exportPage})
				if err != nil {
					return err
				}
				for _, a := range page.Items {
					if err := write([]string{a.Name, a.Email, a.Role.Name, accountRow{Account: a}.State(), v.cellText(cell{At: a.LastSignInAt})}); err != nil {
						return err
					}
				}
				if len(page.Items) < exportPage {
					return nil
				}
			}
		})
	}
	page, err := s.store.Accounts(v.Context(), v.actor.OrganizationID, text, v.paging())
	if err != nil {
		return err
	}
	roles, err := v.allRoles()
	if err != nil {
		return err
	}
	invitations, err := s.store.Invitations(v.Context(), v.actor.OrganizationID, store.PageRequest{Number: 1, Limit: 100})
	if err != nil {
		return err
	}
	p := &accountsPage{frame: v.newFrame("Accounts", "accounts"), Passwords: !s.o.SSO.Only(), Invitations: invitations.Items, RoleNames: map[int64]string{}, Pager: pagerOf(v, page),
		Filters: []filter{v.filterText("q", "Search", "Name or email")}}
	p.Lead = "Who may sign in, and what they may do."
	for _, r := range roles {
		p.RoleNames[r.ID] = r.Name
		if covers(v.account.Role, r) {
			p.Roles = append(p.Roles, r)
		}
	}
	for _, a := range page.Items {
		p.Accounts = append(p.Accounts, accountRow{a, v.Can("update_account") && covers(v.account.Role, a.Role), a.UserID == v.actor.UserID})
	}
	return v.render(http.StatusOK, "accounts.html", p)
}

// State is the account's in a word.
func (a accountRow) State() string {
	switch {
	case a.Disabled:
		return "Disabled"
	case a.PasswordHash == "" && a.LastSignInAt.IsZero(): // else he signs in by a provider
		return "No password yet"
	}
	return "Active"
}

type invitePage struct {
	frame
	Form   *form
	Inputs []input
	Link   string // that was made, shown once
	For    string
	Lasts  string
}

func (s *server) showInvite(v *visit) error { return s.renderInvite(v, http.StatusOK, newForm(nil)) }

func (s *server) renderInvite(v *visit, status int, f *form) error {
	roles, err := v.allRoles()
	if err != nil {
		return err
	}
	var options []option
	for _, r := range roles {
		if covers(v.account.Role, r) {
			options = append(options, option{Value: strconv.FormatInt(r.ID, 10), Label: r.Name})
		}
	}
	p := &invitePage{frame: v.newFrame("Invite somebody", "accounts"), Form: f, Inputs: f.fill([]input{
		{Name: "email", Label: "Email", Kind: inputEmail, Required: true, Max: 255, Help: "If a user has this address, the account will be theirs. Else a user is made."},
		{Name: "name", Label: "Name", Kind: inputText, Max: 255},
		{Name: "role", Label: "Role", Kind: inputSelect, Required: true, Options: options, Blank: "Choose one"},
	})}
	p.Back, p.Narrow = &link{"/accounts", "Accounts"}, true
	return v.render(status, "invite.html", p)
}

func (s *server) invite(v *visit) error {
	f, err := v.form()
	if err != nil {
		return err
	}
	i := &bugle.Invitation{OrganizationID: v.actor.OrganizationID, Purpose: bugle.JoinInvitation, Email: strings.TrimSpace(f.Get("email")),
		Name: strings.TrimSpace(f.Get("name")), CreatedBy: v.actor.UserID}
	if !strings.Contains(i.Email, "@") || len(i.Email) > 255 {
		f.add("email", "This must be an e-mail address.")
	}
	if len(i.Name) > 255 {
		f.add("name", "The name may have 255 characters.")
	}
	i.RoleID, _ = strconv.ParseInt(f.Get("role"), 10, 64)
	role, err := s.store.Role(v.Context(), v.actor.OrganizationID, i.RoleID)
	switch {
	case errors.Is(err, bugle.ErrNotFound):
		f.add("role", "Choose a role.")
	case err != nil:
		return err
	case !covers(v.account.Role, role):
		f.add("role", "This role may do more than yours.")
	}
	var token string
	if !f.Failed() {
		err = s.store.Update(v.Context(), func(tx *store.Tx) (err error) {
			token, err = tx.AddInvitation(i)
			return err
		})
		if errors.Is(err, bugle.ErrConflict) {
			f.add("email", "Somebody with this address can sign in already.")
		} else if !f.take(err) && err != nil {
			return err
		}
	}
	if f.Failed() {
		return s.renderInvite(v, http.StatusUnprocessableEntity, f)
	}
	return s.showLink(v, token, i.Email, "a week")
}

// showLink shows a link that can be used once. It is on this page and nowhere else: so there is no
// redirection.
func (s *server) showLink(v *visit, token, who, lasts string) error {
	p := &invitePage{frame: v.newFrame("A link for "+who, "accounts"), Link: v.baseURL() + "/welcome/" + token, For: who, Lasts: lasts}
	p.Back, p.Narrow = &link{"/accounts", "Accounts"}, true
	return v.render(http.StatusCreated, "invite.html", p)
}

func (s *server) deleteInvitation(v *visit) error {
	id, err := v.id()
	if err != nil {
		return err
	}
	if err := s.store.Update(v.Context(), func(tx *store.Tx) error { return tx.DeleteInvitation(v.actor.OrganizationID, id) }); err != nil {
		return err
	}
	v.flash("success", "The invitation is taken back: its link does nothing any more.")
	return v.redirect("/accounts")
}

// changeAccount does something to the account of the path, if the visitor may do as much as its holder.
func (s *server) changeAccount(v *visit, done string, change func(tx *store.Tx, a *bugle.Account) error) error {
	id, err := v.id()
	if err != nil {
		return err
	}
	var account *bugle.Account
	err = s.store.Update(v.Context(), func(tx *store.Tx) (err error) {
		if account, err = tx.Account(v.actor.OrganizationID, id); err != nil {
			return err
		}
		if !covers(v.account.Role, account.Role) {
			return fmt.Errorf("%s may do more than you: %w", account.Name, bugle.ErrForbidden)
		}
		return change(tx, account)
	})
	if err != nil {
		return err
	}
	if done == "" {
		return nil
	}
	v.flash("success", fmt.Sprintf(done, account.Name))
	return v.redirect("/accounts")
}

func (s *server) setAccountRole(v *visit) error {
	f, err := v.form()
	if err != nil {
		return err
	}
	id, _ := strconv.ParseInt(f.Get("role"), 10, 64)
	return s.changeAccount(v, "%s has another role now.", func(tx *store.Tx, a *bugle.Account) error {
		role, err := tx.Role(v.actor.OrganizationID, id)
		if err != nil {
			return err
		}
		if !covers(v.account.Role, role) {
			return fmt.Errorf("the role %s may do more than yours: %w", role.Name, bugle.ErrForbidden)
		}
		return tx.SetAccountRole(v.actor.OrganizationID, a.UserID, role)
	})
}

func (s *server) disableAccount(disabled bool) handler {
	done := "%s can sign in again."
	if disabled {
		done = "%s is signed out and cannot sign in any more."
	}
	return func(v *visit) error {
		return s.changeAccount(v, done, func(tx *store.Tx, a *bugle.Account) error {
			return tx.SetAccountDisabled(v.actor.OrganizationID, a.UserID, disabled)
		})
	}
}

func (s *server) resetAccount(v *visit) error {
	if s.o.SSO.Only() {
		return errNoPasswords
	}
	var token, name string
	err := s.changeAccount(v, "", func(tx *store.Tx, a *bugle.Account) (err error) {
		name = a.Name
		token, err = tx.AddInvitation(&bugle.Invitation{OrganizationID: v.actor.OrganizationID, Purpose: bugle.ResetInvitation, UserID: a.UserID, CreatedBy: v.actor.UserID})
		return err
	})
	if err != nil {
		return err
	}
	return s.showLink(v, token, name, "an hour")
}

// signOutAccount ends all sessions of another account. One's own are on the page of one's own account.
func (s *server) signOutAccount(v *visit) error {
	return s.changeAccount(v, "%s is signed out everywhere.", func(tx *store.Tx, a *bugle.Account) error {
		if a.UserID == v.actor.UserID {
			return fmt.Errorf("your own sessions end on the page of your account: %w", bugle.ErrConflict)
		}
		return tx.EndSessions(v.actor.OrganizationID, a.UserID)
	})
}

// removeSecondFactor lets another account sign in with its password alone, for who has lost his authenticator and his recovery codes.
func (s *server) removeSecondFactor(v *visit) error {
	var account *bugle.Account
	err := s.changeAccount(v, "%s signs in without a second factor now.", func(tx *store.Tx, a *bugle.Account) error {
		account = a
		switch {
		case a.UserID == v.actor.UserID:
			return fmt.Errorf("your own second factor is turned off on the page of your account, with a code: %w", bugle.ErrConflict)
		case a.SecondFactorSince.IsZero():
			return fmt.Errorf("%s has no second factor: %w", a.Name, bugle.ErrConflict)
		}
		return tx.RemoveSecondFactor(v.actor.OrganizationID, a.UserID)
	})
	if err == nil {
		v.tell(account, "The second factor of your account was removed by "+v.account.Name+".")
	}
	return err
}

func (s *server) deleteAccount(v *visit) error {
	return s.changeAccount(v, "%s cannot sign in any more. The user is still there.", func(tx *store.Tx, a *bugle.Account) error {
		return tx.DeleteAccount(v.actor.OrganizationID, a.UserID)
	})
}

// roles adds the pages of roles.
func (s *server) roles() {
	s.page("GET /roles", "view_any_role", s.listRoles)
	s.page("GET /roles/create", "create_role", s.showNewRole)
	s.page("POST /roles", "create_role", s.createRole)
	s.page("GET /roles/{id}/edit", "update_role", s.showRole)
	s.page("POST /roles/{id}", "update_role", s.saveRole)
	s.page("POST /roles/{id}/delete", "delete_role", s.deleteRole)
}

type rolesPage struct {
	frame
	Roles []*bugle.Role
}

func (s *server) listRoles(v *visit) error {
	roles, err := v.allRoles()
	if err != nil {
		return err
	}
	p := &rolesPage{frame: v.newFrame("Roles", "roles"), Roles: roles}
	p.Lead = "What accounts may see and do."
	return v.render(http.StatusOK, "roles.html", p)
}

type rolePage struct {
	frame
	Form   *form
	Inputs []input
	Groups []permissionGroup
	Has    map[string]bool
	Action string
}

// Holds reports whether the visitor has a permission, and so may give it.
func (p *rolePage) Holds(permission string) bool { return p.visit.Can(permission) }

func (s *server) showNewRole(v *visit) error {
	return s.renderRole(v, http.StatusOK, newForm(nil), &bugle.Role{})
}

func (s *server) renderRole(v *visit, status int, f *form, r *bugle.Role) error {
	heading, action := "New role", "/roles"
	if r.ID != 0 {
		heading, action = "Role "+r.Name, fmt.Sprintf("/roles/%d", r.ID)
	}
	p := &rolePage{frame: v.newFrame(heading, "roles"), Form: f, Groups: permissionGroups(), Has: map[string]bool{}, Action: action,
		Inputs: f.fill([]input{{Name: "name", Label: "Name", Kind: inputText, Required: true, Max: 255, Value: r.Name}})}
	p.Back = &link{"/roles", "Roles"}
	given := r.Permissions
	if f.sent {
		given = f.All("permissions")
	}
	for _, name := range given {
		p.Has[name] = true
	}
	return v.render(status, "role.html", p)
}

// readRole takes the form over into r. Permissions that the visitor has not stay as they were.
func (v *visit) readRole(f *form, r *bugle.Role) error {
	before := &bugle.Role{Permissions: r.Permissions}
	list := value.NewArray(16)
	for _, name := range f.All("permissions") {
		if !v.Can(name) && !before.Can(name) {
			return bugle.Invalid("permissions", "You cannot give what you may not do yourself: %s.", name)
		}
		list.Append(name)
	}
	for _, name := range before.Permissions {
		if !v.Can(name) {
			list.Append(name)
		}
	}
	return r.Set(value.Map("name", f.Get("name"), "permissions", list), permissions())
}

func (s *server) createRole(v *visit) error {
	return s.writeRole(v, func(*store.Tx) (*bugle.Role, error) {
		return &bugle.Role{OrganizationID: v.actor.OrganizationID}, nil
	}, (*store.Tx).AddRole)
}

func (s *server) saveRole(v *visit) error {
	id, err := v.id()
	if err != nil {
		return err
	}
	return s.writeRole(v, func(tx *store.Tx) (*bugle.Role, error) { return tx.Role(v.actor.OrganizationID, id) }, (*store.Tx).SaveRole)
}

func (s *server) writeRole(v *visit, find func(tx *store.Tx) (*bugle.Role, error), write func(*store.Tx, *bugle.Role) error) error {
	f, err := v.form()
	if err != nil {
		return err
	}
	var r *bugle.Role
	err = s.store.Update(v.Context(), func(tx *store.Tx) (err error) {
		if r, err = find(tx); err != nil {
			return err
		}
		if err := v.readRole(f, r); err != nil {
			return err
		}
		return write(tx, r)
	})
	if f.take(err) {
		return s.renderRole(v, http.StatusUnprocessableEntity, f, r)
	}
	if err != nil {
		return err
	}
	v.flash("success", "The role "+r.Name+" is saved.")
	return v.redirect("/roles")
}

func (s *server) showRole(v *visit) error {
	id, err := v.id()
	if err != nil {
		return err
	}
	r, err := s.store.Role(v.Context(), v.actor.OrganizationID, id)
	if err != nil {
		return err
	}
	if r.BuiltIn {
		return fmt.Errorf("every organization has the role %s as it is: %w", r.Name, bugle.ErrConflict)
	}
	return s.renderRole(v, http.StatusOK, newForm(nil), r)
}

func (s *server) deleteRole(v *visit) error {
	id, err := v.id()
	if err != nil {
		return err
	}
	err = s.store.Update(v.Context(), func(tx *store.Tx) error {
		r, err := tx.Role(v.actor.OrganizationID, id)
		if err != nil {
			return err
		}
		if !covers(v.account.Role, r) {
			return fmt.Errorf("the role %s may do more than yours: %w", r.Name, bugle.ErrForbidden)
		}
		return tx.DeleteRole(v.actor.OrganizationID, id)
	})
	if err != nil {
		return err
	}
	v.flash("success", "The role is deleted.")
	return v.redirect("/roles")
}
