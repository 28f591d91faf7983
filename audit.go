package bugle

import (
	"crypto/sha256"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// An AuthorKind says as what somebody changes the configuration.
type AuthorKind string

const (
	ByServer  AuthorKind = "server"  // the server itself, such as when it disables a webhook
	ByAccount AuthorKind = "account" // who has signed in to the panel
	ByKey     AuthorKind = "api_key" // who uses the API
	ByCommand AuthorKind = "command" // who runs a command on the machine
	ByVisitor AuthorKind = "visitor" // who has not signed in
)

// AuthorKinds are all of them.
var AuthorKinds = []AuthorKind{ByServer, ByAccount, ByKey, ByCommand, ByVisitor}

// An Author is who changes the configuration, and from where.
type Author struct {
	Kind      AuthorKind // empty: ByServer
	ID        int64      // of the user or the key; 0: there is none
	Name      string     // of the user, the key, or the command and who runs it
	Address   string     // IP address that the request came from; empty: it was none
	RequestID string     // empty: it was no request
}

// AuditActions are what the audit log tells of.
var AuditActions = []string{
	"organization.created", "organization.updated", "retention.updated", "quotas.updated", "hold.began", "hold.released", "sending.held", "sending.released",
	"secret_key.used", "secret_keys.removed", "secret_keys.reset",
	"webhook.created", "webhook.updated", "webhook.deleted", "automation.created", "automation.updated", "automation.deleted", "channel.updated",
	"api_key.created", "api_key.revoked", "role.created", "role.updated", "role.deleted",
	"account.created", "account.updated", "account.deleted", "account.password_changed", "account.signed_in", "account.sign_in_failed", "account.sign_in_refused",
	"account.second_factor_on", "account.second_factor_off", "account.recovery_codes_made", "account.recovery_code_used", "account.sessions_ended",
	"account.identity_linked", "account.identity_unlinked", "user.erased",
	"invitation.created", "invitation.deleted",
}

// AuditSubjects are the kinds of what an entry may be about.
var AuditSubjects = []string{"organization", "webhook", "automation", "channel", "api_key", "role", "account", "user", "invitation", "server"}

// A Subject is what an entry of the audit log is about.
type Subject struct {
	Kind string // "webhook"
	ID   int64  // 0: it has none
	Name string // at that time
}

// An AuditEntry tells of one change of the configuration, or of one time that somebody signed in or tried to. It never
// changes.
type AuditEntry struct {
	OrganizationID int64 // 0: it is of none, or of all
	Number         int64 // from 1, without gaps, in its organization
	CreatedAt      time.Time
	Author         Author
	Action         string // "webhook.updated"
	Subject        Subject
	Before, After  string // JSON objects of the attributes that changed, with secrets masked; {}: there are none
	Hash           []byte // ChainHash
}

// ChainHash is SHA-256 over the hash of the entry before, nothing for the first, and what the entry says: each as its length
// in bytes, a colon, its bytes and a comma. Numbers are in decimal, the time is in microseconds since 1970.
func (e *AuditEntry) ChainHash(before []byte) []byte {
	var b strings.Builder
	for _, part := range []string{
		string(before), strconv.FormatInt(e.OrganizationID, 10), strconv.FormatInt(e.Number, 10), strconv.FormatInt(e.CreatedAt.UnixMicro(), 10),
		string(e.Author.Kind), strconv.FormatInt(e.Author.ID, 10), e.Author.Name, e.Author.Address, e.Author.RequestID,
		e.Action, e.Subject.Kind, strconv.FormatInt(e.Subject.ID, 10), e.Subject.Name, e.Before, e.After,
	} {
		b.WriteString(strconv.Itoa(len(part)))
		b.WriteByte(':')
		b.WriteString(part)
		b.WriteByte(',')
	}
	sum := sha256.Sum256([]byte(b.String()))
	return sum[:]
}

// longPart is how long a part of a path is that may be a token: the ids in addresses of chat services are shorter.
const longPart = 20

// MaskURL returns a URL with what may be a secret masked: the password, the values of the query, the fragment, and long
// parts of the path.
func MaskURL(text string) string {
	u, err := url.Parse(text)
	if err != nil {
		return Mask("")
	}
	var b strings.Builder
	b.WriteString(u.Scheme + "://")
	if u.User != nil {
		b.WriteString(Mask("") + "@")
	}
	b.WriteString(u.Host)
	for i, part := range strings.Split(u.EscapedPath(), "/") {
		if i > 0 {
			b.WriteByte('/')
		}
		if utf8.RuneCountInString(part) >= longPart {
			part = Mask("")
		}
		b.WriteString(part)
	}
	for i, pair := range strings.FieldsFunc(u.RawQuery, func(r rune) bool { return r == '&' }) {
		name, _, valued := strings.Cut(pair, "=")
		b.WriteByte("?&"[min(i, 1)])
		if !valued || len(name) >= longPart {
			b.WriteString(Mask(""))
			continue
		}
		b.WriteString(name + "=" + Mask(""))
	}
	if u.Fragment != "" {
		b.WriteString("#" + Mask(""))
	}
	return b.String()
}

// Network returns what limits by address count together: an IPv4 address by itself, and the /64 of one of IPv6, all of which
// one client can have. What is no IP address is returned as it is.
func Network(address string) string {
	addr, err := netip.ParseAddr(address)
	if err != nil {
		return address
	}
	if addr = addr.Unmap(); addr.Is4() {
		return addr.String()
	}
	return netip.PrefixFrom(addr.WithZone(""), 64).Masked().String()
}
