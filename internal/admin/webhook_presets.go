package admin

import (
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/internal/dispatch"
	"github.com/buglehq/bugle/value"
)

// A webhookPreset helps to set up a webhook for a service that many have.
type webhookPreset struct {
	Key, Name, Icon string
	About           string
	Steps           []string // that lead to the URL, in the service
	WebhookName     string
	Placeholder     string // of the URL
	category        string // of the templates of automations that fit
	fits            func(u *url.URL) bool
}

// webhookPresets in the order in which they are offered.
var webhookPresets = []webhookPreset{
	{
		Key: "discord", Name: "Discord", Icon: "brand-discord", WebhookName: "Discord", category: "Discord",
		About: "Posts in a channel of your server.",
		Steps: []string{
			"In Discord point at the channel and click its gear, “Edit Channel”. You need the permission “Manage Webhooks”.",
			"Open “Integrations”, then “Webhooks”, and click “New Webhook”. Give it a name and, if you like, a picture.",
			"Click “Copy Webhook URL” and paste it below.",
		},
		Placeholder: "https://discord.com/api/webhooks/…",
		fits: func(u *url.URL) bool {
			return isHost(u, "discord.com", "discordapp.com") && strings.HasPrefix(u.Path, "/api/") && strings.Contains(u.Path, "/webhooks/")
		},
	},
	{
		Key: "slack", Name: "Slack", Icon: "brand-slack", WebhookName: "Slack", category: "Slack",
		About: "Posts in a channel of your workspace.",
		Steps: []string{
			"Open api.slack.com/apps, click “Create New App”, “From scratch”, and choose your workspace.",
			"Open “Incoming Webhooks”, switch them on, and click “Add New Webhook to Workspace”.",
			"Choose the channel, allow it, then copy the webhook URL and paste it below.",
		},
		Placeholder: "https://hooks.slack.com/services/…",
		fits:        func(u *url.URL) bool { return isHost(u, "hooks.slack.com") && strings.HasPrefix(u.Path, "/services/") },
	},
	{
		Key: "telegram", Name: "Telegram", Icon: "brand-telegram", WebhookName: "Telegram", category: "Telegram",
		About: "A bot writes in a group or channel.",
		Steps: []string{
			"In Telegram write /newbot to @BotFather and answer its questions. It gives you a token.",
			"Add the bot to your group, or to your channel as an administrator who may post.",
			"A public channel is named by its @name. For a group write something in it, then open api.telegram.org/bot<token>/getUpdates: the number after “chat” and “id” is the chat, such as -1001234567890.",
		},
		Placeholder: "https://api.telegram.org/bot…/sendMessage",
		fits: func(u *url.URL) bool {
			return isHost(u, "api.telegram.org") && strings.HasPrefix(u.Path, "/bot") && strings.HasSuffix(u.Path, "/sendMessage")
		},
	},
	{
		Key: "teams", Name: "Microsoft Teams", Icon: "brand-teams", WebhookName: "Teams", category: "Microsoft Teams",
		About: "Posts a card in a channel of your team.",
		Steps: []string{
			"In Teams click the three dots of the channel, then “Workflows”.",
			"Choose “Send webhook alerts to a channel” (once called “Post to a channel when a webhook request is received”), go on, and choose the team and the channel.",
			"Click “Add workflow”, copy the URL that is shown, and paste it below.",
		},
		Placeholder: "https://….environment.api.powerplatform.com/…",
		fits: func(u *url.URL) bool {
			return isHost(u, "logic.azure.com", "api.powerplatform.com", "webhook.office.com")
		},
	},
	{
		Key: "json", Name: "Plain JSON", Icon: "braces", WebhookName: "",
		About: "Your own program or another service gets the data as it is.",
		Steps: []string{
			"Ask the service, or whoever wrote the program, for the address that takes webhooks, and paste it below.",
			"Give them the secret, so that they can check the signature. How to do it is on the webhook's page.",
			"Choose the events to be told of.",
		},
	},
}

// isHost reports whether an address is on one of the hosts, or below.
func isHost(u *url.URL, hosts ...string) bool {
	name := strings.ToLower(u.Hostname())
	return slices.ContainsFunc(hosts, func(host string) bool { return name == host || strings.HasSuffix(name, "."+host) })
}

// presetByKey returns nil if there is none.
func presetByKey(key string) *webhookPreset {
	for i := range webhookPresets {
		if webhookPresets[i].Key == key {
			return &webhookPresets[i]
		}
	}
	return nil
}

// serviceOf returns the preset of the service whose URL it is, nil if it is none of them. Such services
// take messages in a form of their own only.
func serviceOf(address string) *webhookPreset {
	u, err := url.Parse(address)
	if err != nil {
		return nil
	}
	for i := range webhookPresets {
		if p := &webhookPresets[i]; p.fits != nil && p.fits(u) {
			return p
		}
	}
	return nil
}

// IsChat reports whether the service takes messages in a form of its own, and no plain events.
func (p *webhookPreset) IsChat() bool { return p.category != "" }

// hint is what to say about a URL that does not look like the service's.
func (p *webhookPreset) hint(address string) string {
	if p == nil || p.fits == nil {
		return ""
	}
	if u, err := url.Parse(address); err == nil && p.fits(u) {
		return ""
	}
	return "Its URL does not look like one of " + p.Name + ", which would begin like " + p.Placeholder + " If messages do not arrive, look at it again."
}

// A templateChoice is an automation that can be made along with a webhook.
type templateChoice struct {
	Key, Name, About, Trigger string
	Selected                  bool
}

// choices are the templates that fit; that of a promotion, which most people want, is the first.
func (p *webhookPreset) choices() []templateChoice {
	var list []templateChoice
	for _, t := range p.templates() {
		trigger, _ := t.Values.Get("trigger")
		name, _ := trigger.(string)
		list = append(list, templateChoice{Key: t.Key, Name: t.Name, About: t.Description, Trigger: name})
	}
	slices.SortStableFunc(list, func(a, b templateChoice) int {
		first := func(c templateChoice) int {
			if strings.HasSuffix(c.Key, p.Key+"_promotion") {
				return 0
			}
			return 1
		}
		return first(a) - first(b)
	})
	return list
}

func (p *webhookPreset) templates() []dispatch.Template {
	var list []dispatch.Template
	for _, t := range dispatch.Templates() {
		if p.category != "" && t.Category == p.category {
			list = append(list, t)
		}
	}
	return list
}

// chosen are the templates with the keys, as far as they fit.
func (p *webhookPreset) chosen(keys []string) []dispatch.Template {
	return slices.DeleteFunc(p.templates(), func(t dispatch.Template) bool { return !slices.Contains(keys, t.Key) })
}

// templateFields are those of an automation that a template makes for a webhook.
func templateFields(t dispatch.Template, w *bugle.Webhook, chat string) *value.Array {
	fields := t.Values.Clone()
	fields.Set("webhook_id", w.ID)
	if !fields.Has("description") {
		fields.Set("description", t.Description)
	}
	if payload, _ := fields.Get("webhook_payload_template"); strings.TrimSpace(chat) != "" {
		if body, ok := payload.(*value.Array); ok && body.Has("chat_id") {
			body = body.Clone()
			body.Set("chat_id", strings.TrimSpace(chat))
			fields.Set("webhook_payload_template", body)
		}
	}
	return fields
}

var (
	telegramToken = regexp.MustCompile(`^[0-9]+:[A-Za-z0-9_-]+$`)
	telegramChat  = regexp.MustCompile(`^(@[A-Za-z0-9_]+|-?[0-9]+)$`)
)

// completeTelegram makes the URL of the bot's token.
func completeTelegram(f *form) {
	token, chat := strings.TrimSpace(f.Get("telegram_token")), strings.TrimSpace(f.Get("telegram_chat"))
	switch {
	case token != "" && !telegramToken.MatchString(token):
		f.add("telegram_token", "A bot token looks like 123456789:AAbb…: a number, a colon, then letters and digits.")
	case token == "" && strings.TrimSpace(f.Get("url")) == "":
		f.add("telegram_token", "Paste the bot's token, or the whole URL below.")
	case token != "":
		f.values.Set("url", "https://api.telegram.org/bot"+token+"/sendMessage")
	}
	if chat != "" && !telegramChat.MatchString(chat) {
		f.add("telegram_chat", "A chat is the @name of a public channel, or a number such as -1001234567890.")
	}
	if chat == "" && len(f.All("templates")) > 0 {
		f.add("telegram_chat", "Name the chat: the messages have to go somewhere.")
	}
}
