package bugle

import (
	"crypto/rand"
	"crypto/sha256"
	"slices"
	"strings"
	"time"
)

// An Organization is the tenant: everything belongs to one.
type Organization struct {
	ID                int64
	Name              string
	DisplayNameFormat string    // of users' display_name: "{rank.abbreviation} {name}"
	TimeZone          string    // of times in the panel, such as Europe/Berlin, for those who have chosen none
	CreatedAt         time.Time // UTC

	AlertMail        bool   // people who may see webhooks are told by mail too of those that fail
	AlertChannel     string // that is told of them; empty: none is
	DisableAfterDays int    // of nothing but failures, after which a webhook is disabled; 0: never

	SecondFactorRequired bool // of those who may change the configuration: see Role.Configures

	HeldAt    time.Time // since when what it sends is made, and waits; zero: it does not
	Releasing Release   // what is being done with what was held, ReleaseDigest or ReleaseDrop; empty: nothing yet
}

// MaxDisableAfterDays is how long a webhook may be let fail before it is disabled.
const MaxDisableAfterDays = 365

// DisableAfter is DisableAfterDays as a duration.
func (o *Organization) DisableAfter() time.Duration {
	return time.Duration(o.DisableAfterDays) * 24 * time.Hour
}

// An APIKey lets its holder use the API of one organization within its scopes. The key's text is
// known only when it is made; the database keeps its hash.
type APIKey struct {
	ID             int64
	OrganizationID int64
	UserID         int64 // whose key it is: the author of what it writes; 0 for nobody's
	Name           string
	Scopes         []string // "view:user", "create:rankrecord", … or "*" for all
	CreatedAt      time.Time
	ExpiresAt      time.Time // zero: never
	RevokedAt      time.Time // zero: valid
	UsedAt         time.Time // the last time, to within a minute or two; zero: never
	UsedFrom       string    // the IP address of then
}

// keyPrefix marks a text as an API key of Bugle, for people and for scanners of leaked secrets.
const keyPrefix = "bugle_"

// NewKeyText returns a new key's text: bugle_ and 40 random alphanumerics (238 bits).
func NewKeyText() string { return keyPrefix + RandomText(40) }

// KeyHash is what is stored of a key's text: SHA-256, which suffices for a text with more entropy
// than the hash could lose.
func KeyHash(text string) []byte {
	sum := sha256.Sum256([]byte(text))
	return sum[:]
}

// Allows reports whether the key has the scope, by name or by "*".
func (k APIKey) Allows(scope string) bool {
	return slices.Contains(k.Scopes, "*") || slices.Contains(k.Scopes, scope)
}

// Valid reports whether the key may be used at the time.
func (k APIKey) Valid(now time.Time) bool {
	return k.RevokedAt.IsZero() && (k.ExpiresAt.IsZero() || now.Before(k.ExpiresAt))
}

const alphanumerics = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

// RandomText returns n alphanumerics from the system's source of randomness.
func RandomText(n int) string {
	var text strings.Builder
	text.Grow(n)
	random := make([]byte, 2*n)
	for text.Len() < n {
		rand.Read(random) // never fails: see its documentation
		for _, b := range random {
			// 248 is the largest multiple of 62 that fits a byte: beyond it some would be likelier.
			if b < 248 && text.Len() < n {
				text.WriteByte(alphanumerics[b%62])
			}
		}
	}
	return text.String()
}
