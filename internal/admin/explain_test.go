package admin

import (
	"net/http"
	"strings"
	"testing"

	"github.com/buglehq/bugle"
)

func TestExplain(t *testing.T) {
	failed := func(kind bugle.ErrorKind, message string) bugle.Attempt {
		return bugle.Attempt{Error: &bugle.AttemptError{Kind: kind, Message: message}}
	}
	answered := func(status int) bugle.Attempt {
		kind := bugle.ErrorStatus
		if status/100 == 3 {
			kind = bugle.ErrorRedirect
		}
		return bugle.Attempt{Status: status, Reason: http.StatusText(status), Error: &bugle.AttemptError{Kind: kind, Message: "the receiver answered " + http.StatusText(status)}}
	}
	hook := &bugle.Webhook{TimeoutSeconds: 10}
	lane := &bugle.Webhook{TimeoutSeconds: 10, Channel: "mail"}
	for _, c := range []struct {
		attempt      bugle.Attempt
		webhook      *bugle.Webhook
		text, advice string
	}{
		{bugle.Attempt{Status: 204, Reason: "No Content"}, hook, "The receiver took it: it answered 204 No Content.", ""},
		{bugle.Attempt{Status: 299}, hook, "The receiver took it: it answered 299.", ""},
		{failed(bugle.ErrorDNS, "the host name x.example has no address"), hook, "The host name x.example has no address.", "spelled correctly"},
		{failed(bugle.ErrorConnect, "the receiver at 192.0.2.1:1 cannot be reached: connection refused"), hook, "The receiver at 192.0.2.1:1 cannot be reached: connection refused.", "Is the receiver running"},
		{failed(bugle.ErrorTLS, "the receiver's certificate has expired or is not valid yet"), hook, "The receiver's certificate has expired", "certificate right"},
		{failed(bugle.ErrorTimeout, "the receiver did not answer within 10 s"), hook, "The receiver did not answer within 10 s.", "it has 10 s, and may have 30"},
		{failed(bugle.ErrorTimeout, "the receiver did not answer within 30 s"), &bugle.Webhook{TimeoutSeconds: 30}, "The receiver did not answer within 30 s.", "do their work afterwards."},
		{failed(bugle.ErrorTimeout, "the receiver did not answer within 10 s"), nil, "The receiver did not answer within 10 s.", "do their work afterwards."},
		{failed(bugle.ErrorBlocked, "the address 10.0.0.1 is not public"), hook, "This address is not allowed: the address 10.0.0.1 is not public.", "public addresses only"},
		{answered(302), hook, "The receiver answered Found.", "points to"},
		{answered(400), hook, "400 Bad Request", "answer below"},
		{answered(401), hook, "401 Unauthorized: it does not let us in.", "secret"},
		{answered(403), hook, "403 Forbidden", "secret"},
		{answered(404), hook, "The receiver answered 404 Not Found: is the address right?", "Compare"},
		{answered(405), hook, "405 Method Not Allowed", "method"},
		{answered(408), hook, "408 Request Timeout", "passes"},
		{answered(410), hook, "410 Gone: it does not want this any more.", "disabled"},
		{answered(413), hook, "413 Request Entity Too Large", "limit"},
		{answered(418), hook, "418 I'm a teapot: it refused", "answer below"},
		{answered(422), hook, "422 Unprocessable Entity", "answer below"},
		{answered(429), hook, "429 Too Many Requests: it gets too much at once.", "rate"},
		{answered(500), hook, "500 Internal Server Error", "log"},
		{answered(502), hook, "502 Bad Gateway", "restarting"},
		{answered(503), hook, "503 Service Unavailable", "restarting"},
		{answered(504), hook, "504 Gateway Timeout", "restarting"},
		{answered(507), hook, "507 Insufficient Storage", "log"},
		{answered(101), hook, "101 Switching Protocols, which is neither yes nor no.", "200 to 299"},
		{failed(bugle.ErrorBody, "the receiver's answer broke off after 5 bytes of its body"), hook, "The receiver's answer broke off after 5 bytes", "webhook-id"},
		{failed(bugle.ErrorCancelled, "the attempt was cancelled while under way"), hook, "The attempt was cancelled", "Redeliver"},
		{failed(bugle.ErrorConfig, "the channel lacks a host"), lane, "The channel lacks a host.", "channel's settings"},
		{failed(bugle.ErrorConfig, "something is missing"), hook, "Something is missing.", "Complete the settings"},
		{failed("novel", "something new happened"), hook, "Something new happened.", ""},
		{bugle.Attempt{}, hook, "There was no answer.", ""},
	} {
		got := explain(&c.attempt, c.webhook)
		if got.OK != c.attempt.OK() || !strings.Contains(got.Text, c.text) || !strings.Contains(got.Advice, c.advice) || c.advice == "" && got.Advice != "" {
			t.Errorf("%d %+v is explained by %+v, want %q with %q", c.attempt.Status, c.attempt.Error, got, c.text, c.advice)
		}
	}
	for _, w := range errorWords {
		if w.text == "" || errorWord(w.kind) != w.text {
			t.Errorf("%s has no word", w.kind)
		}
	}
}

func TestIndentJSON(t *testing.T) {
	for text, want := range map[string]string{
		`{"a":"\/\u00e9"}`:                   "{\n  \"a\": \"/é\"\n}",
		`["\ud83d\ude00","\ud83d","\u0000"]`: "[\n  \"😀\",\n  \"\\ud83d\",\n  \"\\u0000\"\n]",
		`"\u0022\\u00e9\n"`:                  `"\u0022\\u00e9\n"`,
		`not json`:                           "",
		` `:                                  "",
	} {
		if got, ok := indentJSON([]byte(text)); got != want || ok != (want != "") {
			t.Errorf("%s is %q, %v; want %q", text, got, ok, want)
		}
	}
}

func TestResourceLink(t *testing.T) {
	for _, c := range []struct {
		kind string
		want link
	}{
		{"rankrecord", link{"/rank-records/12", "Rank Record 12"}}, {"user", link{"/users/12", "User 12"}}, {"event", link{"/events/12", "Event 12"}}, {"", link{}}, {"unheard", link{"", "Unheard 12"}},
	} {
		if got := resourceLink(c.kind, 12); got != c.want {
			t.Errorf("%s is %+v, want %+v", c.kind, got, c.want)
		}
	}
}
