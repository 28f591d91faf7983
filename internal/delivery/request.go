package delivery

import (
	"bytes"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/internal/policy"
	"github.com/buglehq/bugle/value"
)

// NewRequest returns what is sent to a webhook for an event, whose text its field policy has let through, at the given time: the method, URL,
// headers and body of PERSCOM, and the headers of Standard Webhooks beside them. For GET the
// envelope replaces the query of the webhook's URL; Signature then covers the JSON text that POST
// would have sent, and webhook-signature the query. It fails if the URL or the envelope cannot be
// read, which validation has ruled out.
func NewRequest(w *bugle.Webhook, deliveryID int64, body policy.Body, at time.Time, userAgent string) (*Request, error) {
	envelope := body.Bytes()
	r := &Request{Method: http.MethodPost, URL: w.URL, Body: envelope, Timeout: w.Timeout()}
	content := envelope
	if w.Method == "get" {
		query, err := envelopeQuery(envelope)
		if err != nil {
			return nil, err
		}
		target, err := url.Parse(w.URL)
		if err != nil {
			return nil, err
		}
		target.RawQuery = query
		r.Method, r.URL, r.Body = http.MethodGet, target.String(), nil
		content = []byte(query)
	}
	id, seconds := bugle.MessageID(deliveryID), at.Unix()
	signature := StandardSignature(w.Secret, id, seconds, content)
	if w.OldSecret != "" && at.Before(w.OldSecretUntil) {
		signature += " " + StandardSignature(w.OldSecret, id, seconds, content)
	}
	// One array holds the values of the seven headers. The names of Standard Webhooks are sent in
	// lower case, as they are written there.
	values := [...]string{userAgent, "application/json", Signature(w.Secret, envelope), id, strconv.FormatInt(seconds, 10), signature}
	r.Header = make(http.Header, len(values)+len(w.Headers))
	for i, name := range [...]string{"User-Agent", "Content-Type", "Signature", "webhook-id", "webhook-timestamp", "webhook-signature"} {
		r.Header[name] = values[i : i+1 : i+1]
	}
	for _, h := range w.Headers {
		r.Header[http.CanonicalHeaderKey(h.Name)] = []string{h.Value}
	}
	return r, nil
}

// masked are the headers that nobody should be able to copy out of the log.
var masked = []string{"Signature", "webhook-signature"}

// ShownRequest returns the request of a delivery's last attempt, or of the first if there was none and it were
// made now, as people may see it: signatures and other credentials in the headers are masked. It is built of the
// webhook as it is today, but for what the attempt knows.
func ShownRequest(w *bugle.Webhook, deliveryID int64, body policy.Body, last *bugle.Attempt, now time.Time, userAgent string) (*Request, error) {
	as := *w
	if last != nil {
		as.URL, as.Method, now = last.URL, strings.ToLower(last.Method), last.StartedAt
	}
	r, err := NewRequest(&as, deliveryID, body, now, userAgent)
	if err != nil {
		return nil, err
	}
	for name, values := range r.Header {
		h := bugle.MaskHeader(bugle.Header{Name: name, Value: values[0]})
		if slices.Contains(masked, name) {
			h.Value = bugle.Mask("")
		}
		r.Header[name] = []string{h.Value}
	}
	return r, nil
}

// credentials are what of a request's headers nobody should find in the log: signatures, and what custom headers hold whose
// names say so.
func (r *Request) credentials() []string {
	var list []string
	for name, values := range r.Header {
		if len(values) == 0 {
			continue
		}
		signs := slices.Contains(masked, name)
		if h := (bugle.Header{Name: name, Value: values[0]}); !signs && bugle.MaskHeader(h) == h {
			continue
		}
		for word := range strings.FieldsSeq(values[0]) { // a scheme such as Bearer and the rest, or several signatures
			if signature, found := strings.CutPrefix(word, "v1,"); found && signs {
				word = signature
			}
			if len(word) >= 8 { // shorter ones would be found in any text
				list = append(list, word)
				if strings.Contains(word, "/") { // as PHP writes it in JSON
					list = append(list, strings.ReplaceAll(word, "/", `\/`))
				}
			}
		}
	}
	return list
}

// scrub takes secrets, in each of the forms that are listed, out of everything that is kept of an attempt.
func scrub(a *bugle.Attempt, secrets []string) {
	if !slices.ContainsFunc(secrets, func(secret string) bool { return tells(a, secret) }) {
		return
	}
	slices.SortStableFunc(secrets, func(a, b string) int { return len(b) - len(a) }) // those that hold others first
	pairs := make([]string, 0, 2*len(secrets))
	for _, secret := range secrets {
		pairs = append(pairs, secret, bugle.Mask(""))
	}
	masking := strings.NewReplacer(pairs...)
	if a.Error != nil {
		e := *a.Error
		e.Message = masking.Replace(e.Message)
		a.Error = &e
	}
	a.Reason = masking.Replace(a.Reason)
	for _, values := range a.ResponseHeaders {
		for i := range values {
			values[i] = masking.Replace(values[i])
		}
	}
	if body := masking.Replace(string(a.ResponseBody)); body != string(a.ResponseBody) {
		a.ResponseBody = bytes.Clone([]byte(body))
	}
}

// tells reports whether a secret is in what is kept of an attempt.
func tells(a *bugle.Attempt, secret string) bool {
	if strings.Contains(a.Reason, secret) || a.Error != nil && strings.Contains(a.Error.Message, secret) || bytes.Contains(a.ResponseBody, []byte(secret)) {
		return true
	}
	for _, values := range a.ResponseHeaders {
		if slices.ContainsFunc(values, func(v string) bool { return strings.Contains(v, secret) }) {
			return true
		}
	}
	return false
}

// envelopeQuery is an envelope as PERSCOM puts it into a query: without created.
func envelopeQuery(envelope []byte) (string, error) {
	decoded, err := value.Decode(envelope)
	if err != nil {
		return "", err
	}
	fields, _ := decoded.(*value.Array)
	fields.Delete("created")
	return value.Query(fields), nil
}
