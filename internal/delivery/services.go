package delivery

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/internal/chat"
	"github.com/buglehq/bugle/value"
)

func (m *mission) slack() (*apiCall, *bugle.AttemptError) {
	text := chat.SlackText(m.sent.Text)
	if text == "" {
		return nil, noText
	}
	hook := m.lane.Setting("url")
	return (&apiCall{url: hook, shown: hiddenPath(hook)}).jsonBody(value.Map("text", text))
}

func (m *mission) telegram() (*apiCall, *bugle.AttemptError) {
	text := chat.TelegramText(m.sent.Text)
	if text == "" {
		return nil, noText
	}
	p := &apiCall{url: m.api() + "/bot" + m.lane.Setting("token") + "/sendMessage", shown: m.api() + "/bot" + bugle.Mask("") + "/sendMessage"}
	return p.jsonBody(value.Map("chat_id", m.lane.Setting("chat_id"), "text", text, "parse_mode", "HTML"))
}

// maxSMS is how many characters of a message are sent as SMS, as in PERSCOM.
const maxSMS = 255

// sms is sent by Twilio. Source: twilio.com/docs/messaging/api/message-resource, "Create a Message".
func (m *mission) sms() (*apiCall, *bugle.AttemptError) {
	to := m.sent.Recipient
	number := phoneNumber(to.Address)
	if number == "" {
		return nil, impossible("the user %d has no phone number", to.ID)
	}
	text := chat.PlainText(m.sent.Text, maxSMS)
	if text == "" {
		return nil, noText
	}
	account := m.lane.Setting("account_sid")
	form := url.Values{"To": {number}, "From": {m.lane.Setting("from")}, "Body": {text}}
	target := m.api() + "/2010-04-01/Accounts/" + account + "/Messages.json"
	return &apiCall{url: target, shown: target, body: []byte(form.Encode()), header: [][2]string{
		{"Content-Type", "application/x-www-form-urlencoded"},
		{"Authorization", "Basic " + base64.StdEncoding.EncodeToString([]byte(account+":"+m.lane.Setting("token")))},
	}}, nil
}

// phoneNumber is a number as services take it: without what people write between the digits.
func phoneNumber(text string) string {
	digits := strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' {
			return r
		}
		return -1
	}, text)
	if digits != "" && strings.HasPrefix(strings.TrimSpace(text), "+") {
		return "+" + digits
	}
	return digits
}

// badNumbers are Twilio's codes for a number that cannot get an SMS, or does not want any.
// Source: twilio.com/docs/api/errors.
var badNumbers = []int64{21211, 21214, 21217, 21610, 21614}

// judge completes what the status says of an answer by what the service writes.
func (m *mission) judge(failed *bugle.AttemptError) *bugle.AttemptError {
	a := m.attempt
	if failed == nil || failed.Kind != bugle.ErrorStatus {
		return failed
	}
	decoded, err := value.Decode(a.ResponseBody)
	if err != nil {
		return failed
	}
	answer, _ := decoded.(*value.Array)
	switch m.lane.Channel {
	case "sms":
		code, _ := answer.Get("code")
		if n, ok := code.(int64); ok && a.Status == http.StatusBadRequest && slices.Contains(badNumbers, n) {
			failed.Permanent = true
		}
	case "telegram":
		// Telegram says it in the body alone.
		v, _ := answer.Get("parameters")
		parameters, _ := v.(*value.Array)
		wait, _ := parameters.Get("retry_after")
		if seconds, ok := wait.(int64); ok && a.ResponseHeaders.Get("Retry-After") == "" {
			a.ResponseHeaders.Set("Retry-After", strconv.FormatInt(seconds, 10))
		}
	}
	return failed
}
