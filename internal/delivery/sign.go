package delivery

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// secretPrefix marks a secret of Standard Webhooks, which is base64 after it.
const secretPrefix = "whsec_"

// standardVersion is what a value of the webhook-signature header starts with if it is an
// HMAC-SHA-256. There are other versions, with public keys.
const standardVersion = "v1,"

// Signature returns the Signature header that PERSCOM sends: the HMAC-SHA-256 of the content, in
// lower-case hex. The key is the bytes of the secret, whatever its prefix, and the content is the
// JSON text of the envelope, also for GET, which does not send it in this form.
func Signature(secret string, content []byte) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(content)
	var sum [sha256.Size]byte
	var text [2 * sha256.Size]byte
	hex.Encode(text[:], mac.Sum(sum[:0]))
	return string(text[:])
}

// StandardSignature returns one value of the webhook-signature header of Standard Webhooks: "v1,"
// and the base64 of the HMAC-SHA-256 of id, timestamp in seconds since 1970, and content, with dots
// between them. The content is the body, or for GET the raw query.
//
// The key is the decoded rest of a secret that starts with "whsec_", and the bytes of any other. A
// rest that is empty or no base64 makes the secret one of the others: it was chosen by hand then, and
// deliveries must go on.
func StandardSignature(secret, id string, timestamp int64, content []byte) string {
	mac := hmac.New(sha256.New, standardKey(secret))
	// The content is by far the longest: it is hashed where it is, not copied behind the others.
	var start [64]byte
	head := append(start[:0], id...)
	head = append(head, '.')
	head = strconv.AppendInt(head, timestamp, 10)
	head = append(head, '.')
	mac.Write(head)
	mac.Write(content)
	var sum [sha256.Size]byte
	var text [64]byte
	return string(base64.StdEncoding.AppendEncode(append(text[:0], standardVersion...), mac.Sum(sum[:0])))
}

func standardKey(secret string) []byte {
	if rest, ok := strings.CutPrefix(secret, secretPrefix); ok {
		if key, err := base64.StdEncoding.DecodeString(rest); err == nil && len(key) > 0 {
			return key
		}
	}
	return []byte(secret)
}

// A Verifier checks requests the way receivers do.
type Verifier struct {
	// Secrets are those that may have signed: one, or while it is being replaced two. Empty ones are
	// left out, since anybody can sign with nothing.
	Secrets []string

	// Tolerance is how far webhook-timestamp may be from now in either direction, so that a request
	// that somebody recorded is of no use later. 0 means 5 minutes, and a negative one any distance.
	Tolerance time.Duration

	Now func() time.Time // nil means time.Now
}

const defaultTolerance = 5 * time.Minute

// A Check is what came of checking one signature.
type Check string

const (
	CheckMissing    Check = "missing"       // the header is not there
	CheckOK         Check = "ok"            // made with one of the secrets, in time
	CheckWrong      Check = "wrong"         // not made with any of the secrets, or not for this content
	CheckStale      Check = "stale"         // right, but its timestamp is too old or too new
	CheckImpossible Check = "not checkable" // Signature of a GET, whose content is not sent
)

// A Verdict says how the two signatures of a request fared.
type Verdict struct {
	Signature Check // the Signature header
	Standard  Check // the webhook-signature header, with webhook-id and webhook-timestamp
}

// Verify checks the signatures that a request carries: Signature over the body, and
// webhook-signature over the body, or the raw query for GET. One of the two suffices, as PERSCOM
// sends only the first and others only the second, but what is there must be right. The error says
// everything that is wrong, missing or too old, a line each, and the verdict is valid along with it.
//
// What Signature covers for GET is the JSON text that would have been the body. A receiver cannot
// rebuild it from the query, which has lost types and nulls, so only webhook-signature counts there.
func (v Verifier) Verify(h http.Header, method string, body []byte, rawQuery string) (Verdict, error) {
	secrets := make([]string, 0, len(v.Secrets))
	for _, secret := range v.Secrets {
		if secret != "" {
			secrets = append(secrets, secret)
		}
	}
	if len(secrets) == 0 {
		return Verdict{}, errors.New("no secret to verify with")
	}
	isGet := strings.EqualFold(method, http.MethodGet)
	content := body
	if isGet {
		content = []byte(rawQuery)
	}

	var verdict Verdict
	var signatureErr, standardErr error
	if isGet && h.Get("Signature") != "" {
		verdict.Signature = CheckImpossible
	} else {
		verdict.Signature, signatureErr = checkSignature(secrets, h, content)
	}
	verdict.Standard, standardErr = v.checkStandard(secrets, h, content)
	if err := errors.Join(signatureErr, standardErr); err != nil {
		return verdict, err
	}
	if verdict.Signature != CheckOK && verdict.Standard != CheckOK {
		if verdict.Signature == CheckImpossible {
			return verdict, errors.New("webhook-signature is missing, and Signature cannot be checked for GET: " +
				"it covers a JSON text that is not sent")
		}
		return verdict, errors.New("not signed: both Signature and webhook-signature are missing")
	}
	return verdict, nil
}

func checkSignature(secrets []string, h http.Header, content []byte) (Check, error) {
	given := []byte(h.Get("Signature"))
	if len(given) == 0 {
		return CheckMissing, nil
	}
	for _, secret := range secrets {
		if hmac.Equal(given, []byte(Signature(secret, content))) {
			return CheckOK, nil
		}
	}
	return CheckWrong, errors.New("the Signature header is wrong: another secret, or the body was altered")
}

func (v Verifier) checkStandard(secrets []string, h http.Header, content []byte) (Check, error) {
	id, stamp := h.Get("Webhook-Id"), h.Get("Webhook-Timestamp")
	// Several values may share a line or have one each: RFC 9110 makes no difference.
	given := strings.Fields(strings.Join(h.Values("Webhook-Signature"), " "))
	if id == "" && stamp == "" && len(given) == 0 {
		return CheckMissing, nil
	}
	var missing []error
	if len(given) == 0 {
		missing = append(missing, errors.New("webhook-signature is missing"))
	}
	if id == "" {
		missing = append(missing, errors.New("webhook-id is missing, which webhook-signature covers"))
	}
	if stamp == "" {
		missing = append(missing, errors.New("webhook-timestamp is missing, which webhook-signature covers"))
	}
	if len(missing) > 0 {
		if len(given) == 0 {
			return CheckMissing, errors.Join(missing...)
		}
		return CheckWrong, errors.Join(missing...)
	}
	seconds, err := strconv.ParseInt(stamp, 10, 64)
	if err != nil {
		return CheckWrong, fmt.Errorf("webhook-timestamp is %q, want seconds since 1970", stamp)
	}
	if !anyStandard(secrets, given, id, seconds, content) {
		return CheckWrong, errors.New("webhook-signature is wrong: another secret, " +
			"or the content, webhook-id or webhook-timestamp was altered")
	}
	if err := v.checkTime(time.Unix(seconds, 0)); err != nil {
		return CheckStale, err
	}
	return CheckOK, nil
}

// anyStandard reports whether one of the given values was made with one of the secrets. Values of
// other versions match none.
func anyStandard(secrets, given []string, id string, timestamp int64, content []byte) bool {
	for _, secret := range secrets {
		want := []byte(StandardSignature(secret, id, timestamp, content))
		for _, value := range given {
			if hmac.Equal([]byte(value), want) {
				return true
			}
		}
	}
	return false
}

func (v Verifier) checkTime(sent time.Time) error {
	tolerance := v.Tolerance
	switch {
	case tolerance < 0:
		return nil
	case tolerance == 0:
		tolerance = defaultTolerance
	}
	now := time.Now
	if v.Now != nil {
		now = v.Now
	}
	at := now()
	if age := at.Sub(sent).Round(time.Second); age > tolerance {
		return fmt.Errorf("webhook-timestamp is %v old, more than %v: sent again by somebody, or a clock is wrong", age, tolerance)
	}
	if ahead := sent.Sub(at).Round(time.Second); ahead > tolerance {
		return fmt.Errorf("webhook-timestamp is %v ahead, more than %v: a clock is wrong", ahead, tolerance)
	}
	return nil
}
