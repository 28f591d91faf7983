package bugle

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/buglehq/bugle/value"
)

func lane(t *testing.T, channel string, settings ...any) *Webhook {
	t.Helper()
	w := ChannelByName(channel).Lane(1)
	if err := w.SetChannel(value.Map("settings", value.Map(settings...))); err != nil {
		t.Fatal(err)
	}
	return &w
}

func TestWebhook_SetChannel_problems(t *testing.T) {
	tests := []struct {
		channel  string
		settings []any
		want     string // fields
	}{
		{"slack", nil, "settings.url"},
		{"slack", []any{"url", "ftp://example.com"}, "settings.url"},
		{"slack", []any{"url", "https://example.com", "urll", 1}, "settings.urll"},
		{"telegram", []any{"token", "1:A/../"}, "settings.token settings.chat_id"},
		{"telegram", []any{"token", "1:A", "chat_id", "somewhere"}, "settings.chat_id"},
		{"discord_public", nil, "settings.url"},
		{"discord_public", []any{"token", "abc"}, "settings.url"},
		{"mail", []any{"host", "a b", "from", "nobody", "port", 0, "encryption", "rot13", "username", "a\r\nb"},
			"settings.host settings.from settings.port settings.encryption settings.username"},
		{"sms", []any{"account_sid", "../x", "token", "t", "from", "+1\n"}, "settings.account_sid settings.from"},
	}
	for _, test := range tests {
		w := ChannelByName(test.channel).Lane(1)
		var invalid *InvalidError
		if err := w.SetChannel(value.Map("settings", value.Map(test.settings...))); !errors.As(err, &invalid) {
			t.Errorf("%s %v: %v, want problems with %s", test.channel, test.settings, err, test.want)
			continue
		}
		var fields []string
		for _, p := range invalid.Problems {
			fields = append(fields, p.Field)
		}
		if got := strings.Join(fields, " "); got != test.want {
			t.Errorf("%s %v: problems with %s, want %s: %+v", test.channel, test.settings, got, test.want, invalid.Problems)
		}
	}
}

// A secret that is wrong is not repeated in the answer.
func TestWebhook_SetChannel_secretsAreNotShown(t *testing.T) {
	w := ChannelByName("telegram").Lane(1)
	err := w.SetChannel(value.Map("settings", value.Map("token", "110201543 AAHdqTcv", "chat_id", 1)))
	if err == nil || strings.Contains(err.Error(), "AAHdqTcv") {
		t.Errorf("the error is %v", err)
	}
}

func TestWebhook_SetChannel_changes(t *testing.T) {
	w := lane(t, "discord_public", "token", "a-token-of-a-bot", "channel_id", 123)
	if got := w.Setting("channel_id") + " " + w.Setting("api_url"); got != "123 https://discord.com/api/v10" {
		t.Errorf("the settings are %s", got)
	}
	shown, _ := w.MaskedSettings().Get("token")
	if shown != "********-bot" {
		t.Errorf("the token is shown as %v", shown)
	}
	if err := w.SetChannel(value.Map("settings", value.Map("token", shown, "channel_id", "124"), "status", "paused", "max_attempts", 3)); err != nil {
		t.Fatal(err)
	}
	if w.Setting("token") != "a-token-of-a-bot" || w.Setting("channel_id") != "124" || w.Status != Paused || w.MaxAttempts != 3 {
		t.Errorf("the channel is %+v", w)
	}
	if err := w.SetChannel(value.Map("settings", value.Map("token", nil))); err == nil {
		t.Error("a setting that is needed was taken away")
	}
	w = lane(t, "discord_public", "token", "a-token-of-a-bot", "channel_id", 123)
	if err := w.SetChannel(value.Map("settings", value.Map("token", nil, "channel_id", nil, "url", "https://example.com/hook"))); err != nil || w.Settings.Len() != 1 {
		t.Errorf("%v, %+v", err, w.Settings)
	}
	if err := w.SetChannel(value.Map("status", "disabled")); err == nil {
		t.Error("a channel can be disabled")
	}
}

func TestWebhook_Secrets(t *testing.T) {
	w := lane(t, "slack", "url", "https://hooks.slack.com/services/T024BE7LD/B0/XXXXXXXX?x=1")
	for _, want := range []string{"https://hooks.slack.com/services/T024BE7LD/B0/XXXXXXXX?x=1", "/services/T024BE7LD/B0/XXXXXXXX", "T024BE7LD", "XXXXXXXX"} {
		if !slices.Contains(w.Secrets(), want) {
			t.Errorf("%s is no secret: %q", want, w.Secrets())
		}
	}
	if got := lane(t, "sms", "account_sid", "AC1", "token", "auth-token", "from", "+1").Secrets(); !slices.Equal(got, []string{"auth-token"}) {
		t.Errorf("the secrets are %q", got)
	}
}

func TestSent_readsBack(t *testing.T) {
	for _, sent := range []Sent{
		{Text: "<p>a \"quote\"</p>"},
		{MessageID: 7, Text: "x", Recipient: &Recipient{ID: 3, Name: "Roe", Address: "roe@example.com"}},
		{MessageID: 7, Text: "x", Recipient: &Recipient{ID: 3, Name: "Roe", ChannelID: "900"}},
	} {
		text, err := sent.JSON()
		if err != nil {
			t.Fatal(err)
		}
		got, err := ParseSent(text)
		same := got.MessageID == sent.MessageID && got.Text == sent.Text && (got.Recipient == nil) == (sent.Recipient == nil) &&
			(got.Recipient == nil || *got.Recipient == *sent.Recipient)
		if err != nil || !same {
			t.Errorf("%s reads back as %+v, %v", text, got, err)
		}
	}
}

// A channel gives up at once what no retry can mend, and is not disabled by a 410.
func TestWebhook_After_ofAChannel(t *testing.T) {
	w := ChannelByName("slack").Lane(1)
	if o := w.After(&Attempt{Status: 410, Error: &AttemptError{Kind: ErrorStatus}}, 1, ended, 0); o.State != Pending || o.Gone {
		t.Errorf("410: %+v", o)
	}
	if o := w.After(&Attempt{Error: &AttemptError{Kind: ErrorConfig, Permanent: true}}, 1, ended, 0); o.State != Failed {
		t.Errorf("for good: %+v", o)
	}
	if o := w.After(&Attempt{Error: ChannelByName("slack").NotConfigured([]string{"url"})}, 1, ended, 0); o.State != Pending {
		t.Errorf("not configured: %+v", o)
	}
}
