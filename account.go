package bugle

import (
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/buglehq/bugle/internal/spelling"
	"github.com/buglehq/bugle/value"
)

// AllPermissions stands for every permission in a role's list.
const AllPermissions = "*"

// AdminRole and UserRole are the names of the roles that every organization has. Admins may do
// everything; users have no permissions of their own.
const (
	AdminRole = "Admin"
	UserRole  = "User"
)

// A Role says what an account may do in the panel.
type Role struct {
	ID             int64
	OrganizationID int64
	Name           string
	Permissions    []string // "view_any_webhook", "create_rank_record", … sorted; or AllPermissions
	BuiltIn        bool     // cannot be changed or deleted
	CreatedAt      time.Time
	UpdatedAt      time.Time
}

// Can reports whether the role has a permission. Nobody's role, nil, has none.
func (r *Role) Can(permission string) bool {
	return r != nil && (slices.Contains(r.Permissions, AllPermissions) || slices.Contains(r.Permissions, permission))
}

// configuration are what permissions to change the configuration end with. Those that begin with view_ change nothing.
var configuration = []string{"_webhook", "_automation", "_api_key", "_organization", "_channel", "_account", "_role"}

// Configures reports whether the role may change anything of the configuration: webhooks, automations, API keys, channels, accounts, roles,
// the organization.
func (r *Role) Configures() bool {
	return r.Can(AllPermissions) || r != nil && slices.ContainsFunc(r.Permissions, func(permission string) bool {
		return !strings.HasPrefix(permission, "view_") && slices.ContainsFunc(configuration, func(end string) bool { return strings.HasSuffix(permission, end) })
	})
}

// Set takes over the fields name and permissions, of which known are all there are. A name is required
// unless r has one. It returns an *InvalidError if anything is wrong; r is then of no use.
func (r *Role) Set(fields *value.Array, known []string) error {
	f := fieldReader{fields: fields, creating: r.Name == ""}
	if f.text("name", &r.Name, true, 4*maxRoleName) {
		r.Name = strings.TrimSpace(r.Name)
		if n := utf8.RuneCountInString(r.Name); n > maxRoleName {
			f.problems.Add("name", "The name field must not be longer than %d characters; it has %d.", maxRoleName, n)
		}
	}
	if items, sent := f.list("permissions"); sent {
		r.Permissions = nil
		for _, item := range items {
			name, _ := item.(string)
			if !slices.Contains(known, name) {
				reason := ""
				if like := spelling.Closest(name, known); like != "" {
					reason = " Did you mean " + like + "?"
				}
				f.problems.Add("permissions", "There is no permission %s.%s", value.Describe(item), reason)
				break
			}
			r.Permissions = append(r.Permissions, name)
		}
		slices.Sort(r.Permissions)
		r.Permissions = slices.Compact(r.Permissions)
	}
	return f.problems.Err()
}

const maxRoleName = 255 // characters

// An Account lets a user of the organization sign in to the panel. It is no part of the user's record:
// signing in changes no resource and makes no event.
type Account struct {
	UserID            int64
	OrganizationID    int64
	Name              string // the user's
	Email             string // the user's, by which he signs in
	Role              *Role
	TimeZone          string // such as Europe/Berlin; empty: the organization's
	PasswordHash      string // argon2id; empty: cannot sign in before there is one
	Disabled          bool
	SecondFactorSince time.Time // since when a code is asked for besides the password; zero: none is
	SessionsSince     time.Time // sessions that began before this are over
	LastSignInAt      time.Time // zero: never
	CreatedAt         time.Time
}

// An InvitationPurpose says what an invitation's link is for.
type InvitationPurpose string

// The purposes of invitations.
const (
	SetupInvitation InvitationPurpose = "setup"      // makes the first account of an organization
	JoinInvitation  InvitationPurpose = "invitation" // makes an account
	ResetInvitation InvitationPurpose = "reset"      // gives an account a new password
)

// Lasts is how long an invitation can be used.
func (p InvitationPurpose) Lasts() time.Duration {
	switch p {
	case SetupInvitation:
		return 24 * time.Hour
	case ResetInvitation:
		return time.Hour
	}
	return 7 * 24 * time.Hour
}

// An Invitation is a link that can be used once. Its token is known only when it is made.
type Invitation struct {
	ID             int64
	OrganizationID int64
	Purpose        InvitationPurpose
	UserID         int64  // whose account it is about; 0: a user is made
	Email          string // of the user to be made; may be empty for the first
	Name           string
	RoleID         int64 // of the account to be made
	CreatedBy      int64 // a user; 0: the server
	CreatedAt      time.Time
	ExpiresAt      time.Time
	UsedAt         time.Time // zero: not yet
}

// Open reports whether the invitation can be used at the time.
func (i *Invitation) Open(now time.Time) bool { return i.UsedAt.IsZero() && now.Before(i.ExpiresAt) }

const (
	minPassword = 10   // characters
	maxPassword = 1024 // bytes
)

// commonPasswords are those that are tried first, of the length that passwords have.
var commonPasswords = []string{"1234567890", "password12", "password123", "qwertyuiop", "1q2w3e4r5t", "0987654321", "iloveyou12", "administrator",
	"letmein123", "welcome123", "changeme123", "passw0rd123", "qwerty12345", "aaaaaaaaaa", "1111111111", "0000000000",
	"1234567891", "12345678910", "123456789a", "password01", "password1234", "passwordpassword", "qwerty1234", "qwerty123456", "1qaz2wsx3edc",
	"q1w2e3r4t5", "abcdefghij", "abc1234567", "iloveyou123", "superman123", "football123", "baseball123", "trustno1trustno1"}

// CheckPassword returns what is wrong with a new password of somebody, as an *InvalidError about the
// field password.
func CheckPassword(password, name, email string) error {
	lower := strings.ToLower(password)
	mailbox, _, _ := strings.Cut(strings.ToLower(email), "@")
	switch {
	case utf8.RuneCountInString(password) < minPassword:
		return Invalid("password", "The password must have at least %d characters.", minPassword)
	case len(password) > maxPassword:
		return Invalid("password", "The password must not be longer than %d bytes.", maxPassword)
	case lower == strings.ToLower(name) || lower == strings.ToLower(email) || lower == mailbox:
		return Invalid("password", "The password must not be the name or the e-mail address.")
	case slices.Contains(commonPasswords, lower):
		return Invalid("password", "This password is one of those that are tried first. Choose another.")
	}
	return nil
}
