package chat

import (
	"testing"

	"github.com/buglehq/bugle/value"
)

// decode returns the value of a JSON text.
func decode(t *testing.T, text string) any {
	t.Helper()
	v, err := value.Decode([]byte(text))
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return v
}

func TestServiceOf(t *testing.T) {
	for _, test := range []struct {
		url, body string
		want      Service
	}{
		{"https://discord.com/api/webhooks/1/abc", `{}`, Discord},
		{"https://discord.com/api/webhooks/1/abc?wait=true", `{"text": 1}`, Discord},
		{"https://discordapp.com/api/v10/webhooks/1/abc", `{}`, Discord},
		{"https://canary.discord.com/api/webhooks/1/abc", `{}`, Discord},
		{"https://PTB.Discord.com:443/api/webhooks/1/abc/", `{}`, Discord},
		{" https://discord.com/api/webhooks/{{ id }}/{{ token }}%", `{}`, Discord},
		{"https://discord.com/api/webhooks/1/abc/slack", `{"blocks": []}`, ""},
		{"https://discord.com/api/webhooks/1/abc/github", `{"embeds": []}`, ""},
		{"https://discord.com/channels/1", `{}`, ""},
		{"https://discord.com/webhooks/1", `{}`, ""},
		{"https://evil.example/discord.com/api/webhooks/1", `{}`, ""},
		{"https://discord.com@evil.example/api/webhooks/1/a", `{}`, ""},
		{"https://notdiscord.com/api/webhooks/1/a", `{}`, ""},
		{"ftp://discord.com/api/webhooks/1/a", `{}`, ""},
		{"discord.com/api/webhooks/1/a", `{}`, ""},

		{"https://hooks.slack.com/services/T/B/x", `{}`, Slack},
		{"https://hooks.slack.com/triggers/T/1/x", `{"blocks": [{}]}`, ""},
		{"https://hooks.slack.com/workflows/T/1/x", `{}`, ""},
		{"https://slack.com/api/chat.postMessage", `{}`, Slack},
		{"https://slack.com/", `{}`, ""},
		{"https://api.telegram.org/bot1:x/sendMessage", `{}`, Telegram},
		{"https://contoso.webhook.office.com/webhookb2/x", `{}`, Teams},
		{"https://prod-1.westus.logic.azure.com:443/workflows/x", `{}`, Teams},
		{"https://x.environment.api.powerplatform.com:443/powerautomate/x", `{}`, Teams},

		{"", `{"embeds": []}`, Discord},
		{"https://example.com/hook", `{"embeds": [{"title": "x"}]}`, Discord},
		{"", `{"content": "x", "allowed_mentions": {"parse": []}}`, Discord},
		{"", `{"content": "x", "embeds": [], "attachments": [{}]}`, Discord},
		{"", `{"blocks": [{"type": "divider"}]}`, Slack},
		{"", `{"attachments": [{"text": "x"}]}`, Slack},
		{"", `{"chat_id": 1, "text": "x"}`, Telegram},
		{"", `{"@type": "MessageCard", "text": "x"}`, Teams},
		{"", `{"type": "message", "attachments": [{"contentType": "application/vnd.microsoft.card.adaptive"}]}`, Teams},
		{"", `{"type": "message", "attachments": [1, {"contentType": "text/html"}]}`, Slack},
		{"", `{"content": "x"}`, ""},
		{"", `{"text": "x"}`, ""},
		{"", `{"attachments": []}`, ""},
		{"", `{"embeds": 1, "blocks": "x", "attachments": "x"}`, ""},
		{"", `{}`, ""},
		{"", `[1]`, ""},
		{"", `"embeds"`, ""},
		{"", `null`, ""},
	} {
		if got := ServiceOf(test.url, decode(t, test.body)); got != test.want {
			t.Errorf("%q with %s is for %q, want %q", test.url, test.body, got, test.want)
		}
	}
}
