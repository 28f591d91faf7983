package delivery

import (
	"encoding/base64"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

const signSecret = "0123456789abcdef0123456789abcdef"

const (
	signedHead = `{"event":"calendar.updated","created":"2026-01-14T12:00:00.123456Z",` +
		`"request_id":"9b1f6f0e-6f0a-4c8e-9d55-0c0f6a3f3b11","trace_id":"2c1d7a52-53a6-4f5c-8f43-7f6f7b0d9e21",` +
		`"data":{"id":2,"name":"\u00dcbungen \/ \"Ops\"","description":null,"color":"#2563eb",` +
		`"created_at":"2026-01-01T00:00:00.000000Z","updated_at":"2026-01-14T12:00:00.000000Z","label":"Calendar: 2"},"changes":`
	signedEnvelope  = signedHead + `{"name":"\u00dcbungen \/ \"Ops\"","updated_at":"2026-01-14 12:00:00"}}`
	signedUnchanged = signedHead + `[]}`
	signedTest      = `{"event":"webhook.test","created":"2026-01-14T12:00:00.123456Z","request_id":"9b1f6f0e-6f0a-4c8e-9d55-0c0f6a3f3b11","trace_id":"2c1d7a52-53a6-4f5c-8f43-7f6f7b0d9e21","data":{"status":"ok"},"changes":null}`
	signedQuery     = `event=calendar.updated&request_id=9b1f6f0e-6f0a-4c8e-9d55-0c0f6a3f3b11&data%5Bname%5D=%C3%9Cbungen%20%2F%20%22Ops%22`
)

func TestSignature_isWhatPERSCOMSends(t *testing.T) {
	for _, test := range []struct{ content, want string }{
		{signedEnvelope, "916122b9ba899fbbc4f3da0e1ce574598cb7c3267e2668ab95707442987270fa"},
		{signedUnchanged, "dfad924445b84ad53ec5821d55f841233e754808e4b2b3c419e2e3420281027e"},
		{signedTest, "2d1757d9e8cc20a62524dd8a808e732938914611af1e21dbdf028df6feaa4c9a"},
	} {
		if got := Signature(signSecret, []byte(test.content)); got != test.want {
			t.Errorf("Signature of %s\n got %s\nwant %s", test.content, got, test.want)
		}
	}
}

// oracle returns the official library with the key that our secret stands for.
func oracle(t *testing.T, secret string) *standardwebhooks.Webhook {
	t.Helper()
	webhook, err := standardwebhooks.NewWebhookRaw([]byte(secret))
	if strings.HasPrefix(secret, "whsec_") {
		webhook, err = standardwebhooks.NewWebhook(secret)
	}
	if err != nil {
		t.Fatal(err)
	}
	return webhook
}

func standardHeader(id string, at time.Time, signature string) http.Header {
	h := http.Header{}
	h.Set("webhook-id", id)
	h.Set("webhook-timestamp", strconv.FormatInt(at.Unix(), 10))
	h.Set("webhook-signature", signature)
	return h
}

// What we sign the official library accepts, and what it signs we accept: the same text in the end.
func TestStandardSignature_agreesWithTheOfficialLibrary(t *testing.T) {
	secrets := map[string]string{
		"any text":                       signSecret,
		"no ASCII":                       "Überraschung 🙂",
		"longer than a block of SHA-256": strings.Repeat("x", 255),
		"base64":                         "whsec_" + base64.StdEncoding.EncodeToString([]byte("\x00\xff 24 bytes, random-ish")),
	}
	contents := map[string]string{"body": signedEnvelope, "query": signedQuery, "empty": ""}
	ids := []string{"msg_1", strings.Repeat("a long id ", 20)}
	for secretName, secret := range secrets {
		for contentName, content := range contents {
			t.Run(secretName+", "+contentName, func(t *testing.T) {
				official := oracle(t, secret)
				for _, id := range ids {
					now := time.Now() // the library has no other clock
					ours := StandardSignature(secret, id, now.Unix(), []byte(content))
					theirs, err := official.Sign(id, now, []byte(content))
					if err != nil || ours != theirs {
						t.Errorf("ours is %s, theirs %s, %v", ours, theirs, err)
					}
					if err := official.Verify([]byte(content), standardHeader(id, now, ours)); err != nil {
						t.Errorf("the library refuses our signature: %v", err)
					}
					verifier := Verifier{Secrets: []string{secret}}
					if _, err := verifier.Verify(standardHeader(id, now, theirs), "POST", []byte(content), ""); err != nil {
						t.Errorf("we refuse the library's signature: %v", err)
					}
				}
			})
		}
	}
}

// Somebody may choose a secret with the prefix by hand: it signs as any other text does.
func TestStandardSignature_ofASecretThatOnlyLooksLikeBase64(t *testing.T) {
	for _, secret := range []string{"whsec_", "whsec_no base64!", "whsec_abc"} {
		raw, err := standardwebhooks.NewWebhookRaw([]byte(secret))
		if err != nil {
			t.Fatal(err)
		}
		want, err := raw.Sign("msg_1", signedAt, []byte(signedEnvelope))
		if err != nil {
			t.Fatal(err)
		}
		if got := StandardSignature(secret, "msg_1", signedAt.Unix(), []byte(signedEnvelope)); got != want {
			t.Errorf("%s: got %s, want %s", secret, got, want)
		}
	}
}

var signedAt = time.Date(2026, 1, 14, 12, 0, 0, 0, time.UTC)

// signedHeader is the header of a request with both signatures, as it is sent at signedAt.
func signedHeader(secret, content string) http.Header {
	h := standardHeader("msg_17", signedAt, StandardSignature(secret, "msg_17", signedAt.Unix(), []byte(content)))
	h.Set("Signature", Signature(secret, []byte(content)))
	return h
}

func TestVerifier_Verify(t *testing.T) {
	old := strings.Repeat("o", 32)
	set := func(name, value string) func(http.Header) { return func(h http.Header) { h.Set(name, value) } }
	drop := func(names ...string) func(http.Header) {
		return func(h http.Header) {
			for _, name := range names {
				h.Del(name)
			}
		}
	}
	standard := []string{"webhook-id", "webhook-timestamp", "webhook-signature"}
	const wrongSignature, wrongStandard = "the Signature header is wrong", "webhook-signature is wrong"
	for _, test := range []struct {
		name      string
		change    func(http.Header)
		body      string // envelope unless set
		secrets   []string
		tolerance time.Duration
		now       time.Duration // after signedAt
		want      Verdict
		err       []string // parts of its lines, in order
	}{
		{name: "as sent", want: Verdict{CheckOK, CheckOK}},
		{name: "as PERSCOM sends", change: drop(standard...), want: Verdict{CheckOK, CheckMissing}},
		{name: "as others send", change: drop("Signature"), want: Verdict{CheckMissing, CheckOK}},
		{name: "not signed", change: drop(append(standard, "Signature")...), want: Verdict{CheckMissing, CheckMissing},
			err: []string{"not signed"}},
		{name: "tampered body", body: signedUnchanged, want: Verdict{CheckWrong, CheckWrong},
			err: []string{wrongSignature, wrongStandard}},
		{name: "another secret", secrets: []string{old}, want: Verdict{CheckWrong, CheckWrong},
			err: []string{wrongSignature, wrongStandard}},
		{name: "one of several secrets", secrets: []string{old, "", signSecret}, want: Verdict{CheckOK, CheckOK}},
		{name: "no secret", secrets: []string{""}, err: []string{"no secret"}},

		{name: "tampered Signature", change: set("Signature", strings.Repeat("0", 64)), want: Verdict{CheckWrong, CheckOK},
			err: []string{wrongSignature}},
		{name: "cut Signature", change: func(h http.Header) { h.Set("Signature", h.Get("Signature")[:32]) },
			want: Verdict{CheckWrong, CheckOK}, err: []string{wrongSignature}},
		{name: "upper-case Signature", change: func(h http.Header) { h.Set("Signature", strings.ToUpper(h.Get("Signature"))) },
			want: Verdict{CheckWrong, CheckOK}, err: []string{wrongSignature}},

		{name: "tampered id", change: set("webhook-id", "msg_18"), want: Verdict{CheckOK, CheckWrong}, err: []string{wrongStandard}},
		{name: "tampered timestamp", change: set("webhook-timestamp", strconv.FormatInt(signedAt.Unix()+1, 10)),
			want: Verdict{CheckOK, CheckWrong}, err: []string{wrongStandard}},
		{name: "no number as timestamp", change: set("webhook-timestamp", "today"), want: Verdict{CheckOK, CheckWrong},
			err: []string{`webhook-timestamp is "today"`}},
		{name: "no id", change: drop("webhook-id"), want: Verdict{CheckOK, CheckWrong}, err: []string{"webhook-id is missing"}},
		{name: "no timestamp", change: drop("webhook-timestamp"), want: Verdict{CheckOK, CheckWrong},
			err: []string{"webhook-timestamp is missing"}},
		{name: "neither id nor timestamp", change: drop("webhook-timestamp", "webhook-id"), want: Verdict{CheckOK, CheckWrong},
			err: []string{"webhook-id is missing", "webhook-timestamp is missing"}},
		{name: "no webhook-signature", change: drop("webhook-signature"), want: Verdict{CheckOK, CheckMissing},
			err: []string{"webhook-signature is missing"}},

		{name: "rotated: old and new value, receiver has the old secret", secrets: []string{old},
			change: func(h http.Header) {
				h.Set("webhook-signature", h.Get("webhook-signature")+" "+StandardSignature(old, "msg_17", signedAt.Unix(), []byte(signedEnvelope)))
				h.Set("Signature", Signature(old, []byte(signedEnvelope)))
			},
			want: Verdict{CheckOK, CheckOK}},
		{name: "values on two lines", change: func(h http.Header) {
			h["Webhook-Signature"] = []string{"v1,AAAA", h.Get("webhook-signature")}
		}, want: Verdict{CheckOK, CheckOK}},
		{name: "other versions are skipped", change: func(h http.Header) {
			h.Set("webhook-signature", "v1a,AAAA v2 "+h.Get("webhook-signature"))
		}, want: Verdict{CheckOK, CheckOK}},
		{name: "only another version", change: func(h http.Header) {
			h.Set("webhook-signature", strings.Replace(h.Get("webhook-signature"), "v1,", "v2,", 1))
		}, want: Verdict{CheckOK, CheckWrong}, err: []string{wrongStandard}},

		{name: "5 minutes old", now: 5 * time.Minute, want: Verdict{CheckOK, CheckOK}},
		{name: "older", now: 5*time.Minute + time.Second, want: Verdict{CheckOK, CheckStale}, err: []string{"5m1s old"}},
		{name: "5 minutes ahead", now: -5 * time.Minute, want: Verdict{CheckOK, CheckOK}},
		{name: "further ahead", now: -5*time.Minute - time.Second, want: Verdict{CheckOK, CheckStale}, err: []string{"5m1s ahead"}},
		{name: "older than a tolerance of its own", tolerance: time.Second, now: 2 * time.Second,
			want: Verdict{CheckOK, CheckStale}, err: []string{"2s old, more than 1s"}},
		{name: "any age", tolerance: -1, now: 24 * 365 * time.Hour, want: Verdict{CheckOK, CheckOK}},
		{name: "old and tampered", body: signedUnchanged, now: time.Hour, want: Verdict{CheckWrong, CheckWrong},
			err: []string{wrongSignature, wrongStandard}},
	} {
		t.Run(test.name, func(t *testing.T) {
			h := signedHeader(signSecret, signedEnvelope)
			if test.change != nil {
				test.change(h)
			}
			verifier := Verifier{Secrets: test.secrets, Tolerance: test.tolerance, Now: func() time.Time { return signedAt.Add(test.now) }}
			if verifier.Secrets == nil {
				verifier.Secrets = []string{signSecret}
			}
			body := signedEnvelope
			if test.body != "" {
				body = test.body
			}
			got, err := verifier.Verify(h, "POST", []byte(body), "")
			if got != test.want {
				t.Errorf("verdict %+v, want %+v", got, test.want)
			}
			wantErrorLines(t, err, test.err)
		})
	}
}

// For GET the raw query is what webhook-signature covers, and Signature cannot be checked.
func TestVerifier_Verify_get(t *testing.T) {
	request := func() http.Header {
		h := signedHeader(signSecret, signedQuery)
		h.Set("Signature", Signature(signSecret, []byte(signedEnvelope)))
		return h
	}
	verifier := Verifier{Secrets: []string{signSecret}, Now: func() time.Time { return signedAt }}
	verify := func(h http.Header, query string, want Verdict, wantErr ...string) {
		t.Helper()
		got, err := verifier.Verify(h, "GET", []byte("no part of it"), query)
		if got != want {
			t.Errorf("verdict %+v, want %+v", got, want)
		}
		wantErrorLines(t, err, wantErr)
	}

	verify(request(), signedQuery, Verdict{CheckImpossible, CheckOK})
	verify(request(), signedQuery+"&data%5Brank%5D=1", Verdict{CheckImpossible, CheckWrong}, "webhook-signature is wrong")
	// The same pairs in another spelling are another text.
	verify(request(), strings.ReplaceAll(signedQuery, "%20", "+"), Verdict{CheckImpossible, CheckWrong}, "webhook-signature is wrong")

	h := request()
	h.Del("Signature")
	verify(h, signedQuery, Verdict{CheckMissing, CheckOK})

	h = http.Header{}
	h.Set("Signature", Signature(signSecret, []byte(signedEnvelope)))
	verify(h, signedQuery, Verdict{CheckImpossible, CheckMissing}, "Signature cannot be checked for GET")
	verify(http.Header{}, signedQuery, Verdict{CheckMissing, CheckMissing}, "not signed")
}

// wantErrorLines checks that err has a line for each part, in that order, or is nil without parts.
func wantErrorLines(t *testing.T, err error, parts []string) {
	t.Helper()
	var lines []string
	if err != nil {
		lines = strings.Split(err.Error(), "\n")
	}
	if len(lines) != len(parts) {
		t.Errorf("error %q, want %d lines with %q", lines, len(parts), parts)
		return
	}
	for i, part := range parts {
		if !strings.Contains(lines[i], part) {
			t.Errorf("line %d of the error is %q, want %q in it", i+1, lines[i], part)
		}
	}
}

// Whatever the headers say, only what was made with the secret is right, and what was is found among anything else.
func FuzzVerifier(f *testing.F) {
	const id, timestamp = "msg_123456", 1768392000
	right := StandardSignature(signSecret, id, timestamp, []byte(signedEnvelope))
	plain := Signature(signSecret, []byte(signedEnvelope))
	for _, text := range []string{"", right, right + " v1,AAAA", "v1a,AAAA " + right, "v1," + plain, strings.ToUpper(plain), "sha256=" + plain, "v1,", ",", "v2," + right[3:], " " + right + " ", right + right, "\x00", strings.Repeat("v1,A ", 500)} {
		f.Add(text, id, strconv.Itoa(timestamp), plain)
		f.Add(right, text, text, text)
	}
	f.Fuzz(func(t *testing.T, standard, messageID, at, signature string) {
		h := http.Header{"Webhook-Signature": {standard}, "Webhook-Id": {messageID}, "Webhook-Timestamp": {at}, "Signature": {signature}}
		v := Verifier{Secrets: []string{signSecret}, Now: func() time.Time { return time.Unix(timestamp, 0) }}
		got, err := v.Verify(h, http.MethodPost, []byte(signedEnvelope), "")
		if got.Signature == CheckOK && !strings.EqualFold(strings.TrimSpace(signature), plain) {
			t.Errorf("Signature %q is taken for right", signature)
		}
		seconds, numberErr := strconv.ParseInt(at, 10, 64)
		if got.Standard == CheckOK && (numberErr != nil || !strings.Contains(standard, StandardSignature(signSecret, messageID, seconds, []byte(signedEnvelope)))) {
			t.Errorf("webhook-signature %q of %q at %q is taken for right", standard, messageID, at)
		}
		if (got.Signature == CheckWrong || got.Standard == CheckWrong) && err == nil {
			t.Errorf("%+v without an error", got)
		}
		h.Set("Webhook-Signature", strings.Join(strings.Fields(standard), " ")+" "+right)
		h.Set("Webhook-Id", id)
		h.Set("Webhook-Timestamp", strconv.Itoa(timestamp))
		if got, _ := v.Verify(h, http.MethodPost, []byte(signedEnvelope), ""); got.Standard != CheckOK {
			t.Errorf("a right one behind %q is %s", standard, got.Standard)
		}
		other := Verifier{Secrets: []string{"another"}, Now: v.Now}
		if got, err := other.Verify(h, http.MethodPost, []byte(signedEnvelope), ""); err == nil || got.Standard == CheckOK || got.Signature == CheckOK {
			t.Errorf("right with another secret: %+v, %v", got, err)
		}
	})
}

func BenchmarkSignature(b *testing.B) {
	content := []byte(signedEnvelope)
	b.ReportAllocs()
	for b.Loop() {
		Signature(signSecret, content)
	}
}

func BenchmarkStandardSignature(b *testing.B) {
	content := []byte(signedEnvelope)
	b.ReportAllocs()
	for b.Loop() {
		StandardSignature(signSecret, "msg_123456", 1768392000, content)
	}
}
