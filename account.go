package bugle

import (
	"slices"
	"strings"
	"time"
	"unicode"
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
	minPassword = 12   // characters; passwords from before that was so are shorter
	maxPassword = 1024 // bytes
)

// commonPasswords are those that are tried first, of the length that passwords have. There are few: of the ten thousand most common
// passwords nearly all are shorter, and the others are mostly made of commonWords.
var commonPasswords = []string{"1q2w3e4r5t6y", "q1w2e3r4t5y6", "1qaz2wsx3edc", "1qaz2wsx3edc4rfv", "zaq12wsxcde3", "qazwsxedcrfv", "abcd12345678", "abc123abc123",
	"abcdef123456", "a1b2c3d4e5f6", "mypassword123", "iloveyouforever", "iloveyousomuch", "correcthorsebatterystaple", "correct horse battery staple", "lastcalloftheday",
	"masturbation", "masterbating", "businessbabe", "contortionist", "pornographic", "scandinavian", "unbelievable", "manchesterunited", "blink182blink182"}

// commonWords are what guessable passwords are made of, with digits and marks around them.
var commonWords = []string{"password", "passwort", "motdepasse", "contrasena", "changeme", "changeit", "letmein", "welcome", "iloveyou", "qwerty", "qwertz", "azerty", "qwertyuiop",
	"qwertzuiop", "asdfghjkl", "zxcvbnm", "administrator", "admin", "root", "secret", "geheim", "superman", "batman", "football", "baseball", "basketball", "dragon", "monkey", "master",
	"sunshine", "princess", "shadow", "trustno", "starwars", "whatever", "michael", "jennifer", "jordan", "liverpool", "chelsea", "computer", "internet", "samsung", "google", "facebook", "discord",
	"spring", "summer", "autumn", "winter", "sommer", "herbst", "fruehling", "monday", "friday", "january", "december", "bugle", "perscom", "mypassword", "test", "testing", "login", "user", "guest", "hello", "hallo"}

// sequences are what fingers do without a thought.
var sequences = []string{"01234567890123456789", "09876543210987654321", "abcdefghijklmnopqrstuvwxyz", "zyxwvutsrqponmlkjihgfedcba",
	"qwertyuiop[]asdfghjkl;'zxcvbnm,./", "qwertyuiopasdfghjklzxcvbnm", "qwertzuiopasdfghjklyxcvbnm", "azertyuiopqsdfghjklmwxcvbn"}

// disguises are characters that stand for letters.
var disguises = strings.NewReplacer("0", "o", "1", "i", "3", "e", "4", "a", "5", "s", "7", "t", "@", "a", "$", "s", "!", "i")

// isGuessable reports whether a password in small letters is one of those that are tried first: a known one, a common word with
// digits and marks around it or again and again, a sequence, or of fewer than four characters that differ.
func isGuessable(lower string) bool {
	different := map[rune]bool{}
	for _, r := range lower {
		different[r] = true
	}
	if len(different) < 4 || slices.Contains(commonPasswords, lower) {
		return true
	}
	noLetter := func(r rune) bool { return !unicode.IsLetter(r) }
	for _, word := range []string{strings.TrimFunc(lower, noLetter), strings.TrimFunc(disguises.Replace(lower), noLetter), disguises.Replace(strings.TrimFunc(lower, noLetter))} {
		for _, common := range commonWords {
			if word != "" && strings.ReplaceAll(word, common, "") == "" {
				return true
			}
		}
	}
	for _, sequence := range sequences {
		if strings.Contains(sequence, lower) {
			return true
		}
		// or one with some digits behind it
		if start := strings.TrimRightFunc(lower, unicode.IsDigit); len(start) >= 6 && strings.Contains(sequence, start) {
			return true
		}
	}
	return false
}

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
	case isGuessable(lower):
		return Invalid("password", "This password is one of those that are tried first. Choose another.")
	}
	return nil
}
