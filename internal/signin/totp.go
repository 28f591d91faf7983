package signin

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha1"
	"crypto/subtle"
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"net/url"
	"strings"
	"time"
)

// Codes of authenticators are those of RFC 6238 that every authenticator makes: HMAC-SHA-1, six digits, another one every 30
// seconds. Clocks may differ by one step.
const (
	codeDigits = 6
	codeModulo = 1_000_000
	codeStep   = 30 * time.Second
	codeDrift  = 1
	keyLength  = 20 // bytes, as many as SHA-1 has (RFC 4226, section 4)
)

// NewKey returns a new key of a second factor.
func NewKey() []byte {
	key := make([]byte, keyLength)
	rand.Read(key) // never fails: see its documentation
	return key
}

// KeyText is a key as somebody types it into an authenticator.
func KeyText(key []byte) string {
	return base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(key)
}

// KeyURL is a key as an authenticator reads it from a picture. The issuer and the account are what it shows.
func KeyURL(key []byte, issuer, account string) string {
	issuer, account = strings.ReplaceAll(issuer, ":", " "), strings.ReplaceAll(account, ":", " ") // which separates the two
	u := url.URL{Scheme: "otpauth", Host: "totp", Path: "/" + issuer + ":" + account}
	// Authenticators show a plus sign as it is, so spaces are not written as one.
	u.RawQuery = "secret=" + KeyText(key) + "&issuer=" + url.PathEscape(issuer) + fmt.Sprintf("&algorithm=SHA1&digits=%d&period=%d", codeDigits, int(codeStep.Seconds()))
	return u.String()
}

// stepAt is the step at a time.
func stepAt(at time.Time) int64 { return at.Unix() / int64(codeStep.Seconds()) }

// Code is the code of a key at a time.
func Code(key []byte, at time.Time) string { return codeOf(key, stepAt(at)) }

// codeOf is the code of a step (RFC 4226, section 5.3).
func codeOf(key []byte, step int64) string {
	mac := hmac.New(sha1.New, key)
	mac.Write(binary.BigEndian.AppendUint64(nil, uint64(step)))
	sum := mac.Sum(nil)
	at := sum[len(sum)-1] & 0xf
	return fmt.Sprintf("%0*d", codeDigits, binary.BigEndian.Uint32(sum[at:])&0x7fff_ffff%codeModulo)
}

// stepOf returns the step of a code, among those of the time and beside it that are later than the last one that was used.
func stepOf(key []byte, code string, at time.Time, last int64) (step int64, found bool) {
	for s := stepAt(at) - codeDrift; s <= stepAt(at)+codeDrift; s++ {
		if subtle.ConstantTimeCompare([]byte(codeOf(key, s)), []byte(code)) == 1 && s > last {
			return s, true
		}
	}
	return 0, false
}

// Recovery codes are made of letters and digits that are not mistaken for each other: 80 random bits.
const (
	recoveryCodes   = 10
	recoveryLetters = "abcdefghijkmnpqrstuvwxyz23456789" // 32: without l, o, 0 and 1
	recoveryLength  = 16
	recoveryGroup   = 4
)

// newRecoveryCodes returns recovery codes as they are stored; GroupCode is how they are shown.
func newRecoveryCodes() []string {
	codes := make([]string, recoveryCodes)
	for i := range codes {
		random := make([]byte, recoveryLength)
		rand.Read(random)
		for j, b := range random {
			random[j] = recoveryLetters[b%32]
		}
		codes[i] = string(random)
	}
	return codes
}

// GroupCode returns a recovery code as it is easy to read: xxxx-xxxx-xxxx-xxxx.
func GroupCode(code string) string {
	var groups []string
	for ; len(code) > recoveryGroup; code = code[recoveryGroup:] {
		groups = append(groups, code[:recoveryGroup])
	}
	return strings.Join(append(groups, code), "-")
}

// typedCode is a code as somebody has typed it, without what it may be grouped with, in lower case.
func typedCode(text string) string {
	return strings.ToLower(strings.Map(func(r rune) rune {
		if r == '-' || r == ' ' || r == '\u00a0' || r == '\t' {
			return -1
		}
		return r
	}, strings.TrimSpace(text)))
}
