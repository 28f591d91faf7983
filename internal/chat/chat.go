// Package chat knows what chat services accept: it says for which service a body is meant, what of
// the body the service would refuse, and it writes what people wrote as HTML in each service's own
// markup.
//
// The rules come from the services' documentation, and where that is silent from what their servers
// are known to do; such a source stands beside the rule. Nothing here talks to a service.
package chat

import (
	"strings"

	"github.com/buglehq/bugle/value"
)

// A Service is a chat service whose messages are known here.
type Service string

const (
	Discord  Service = "discord"  // Execute Webhook
	Slack    Service = "slack"    // incoming webhooks and chat.postMessage
	Telegram Service = "telegram" // sendMessage, and the methods that send a file with a caption
	Teams    Service = "teams"    // incoming webhooks and workflows
)

// ServiceOf says for which service a body is meant: by the URL it goes to, else by the shape of the
// body, which is a value of package value. It is empty if neither tells, and for those addresses of
// a service that take other bodies than its messages, such as Discord's endpoint for GitHub.
func ServiceOf(url string, body any) Service {
	service, known := byURL(url)
	if known {
		return service
	}
	return byShape(body)
}

// byURL returns the service of a URL. It is known, but empty, if the URL belongs to a service and
// takes bodies of some other kind.
func byURL(url string) (service Service, known bool) {
	// Not net/url: a URL with a template's {{ }} or a stray % in its path is no reason not to know
	// its host.
	scheme, rest, ok := strings.Cut(strings.TrimSpace(url), "://")
	if !ok || !strings.EqualFold(scheme, "http") && !strings.EqualFold(scheme, "https") {
		return "", false
	}
	end := strings.IndexAny(rest, `/?#\`)
	if end < 0 {
		end = len(rest)
	}
	host, path := rest[:end], rest[end:]
	if i := strings.IndexAny(path, "?#"); i >= 0 {
		path = path[:i]
	}
	path = strings.TrimRight(path, "/")
	host = host[strings.LastIndexByte(host, '@')+1:]
	host, _, _ = strings.Cut(host, ":")
	host = strings.ToLower(strings.TrimSuffix(host, "."))

	switch host {
	case "discord.com", "canary.discord.com", "ptb.discord.com",
		"discordapp.com", "canary.discordapp.com", "ptb.discordapp.com":
		switch {
		case !isDiscordWebhook(path):
			return "", false
		case strings.HasSuffix(path, "/slack"), strings.HasSuffix(path, "/github"):
			return "", true // they take other services' bodies, and not all of those
		}
		return Discord, true
	case "hooks.slack.com", "hooks.slack-gov.com":
		if strings.HasPrefix(path, "/triggers/") || strings.HasPrefix(path, "/workflows/") {
			return "", true // a workflow's variables, under names that its author chose
		}
		return Slack, true
	case "slack.com":
		if strings.HasPrefix(path, "/api/chat.") {
			return Slack, true
		}
	case "api.telegram.org":
		return Telegram, true
	}
	for _, suffix := range []string{".webhook.office.com", ".logic.azure.com", ".api.powerplatform.com"} {
		if strings.HasSuffix(host, suffix) {
			return Teams, true
		}
	}
	return "", false
}

// isDiscordWebhook reports whether a path is /api/webhooks/…, with or without a version.
func isDiscordWebhook(path string) bool {
	rest, ok := strings.CutPrefix(path, "/api/")
	if version, after, found := strings.Cut(rest, "/"); found && strings.HasPrefix(version, "v") {
		rest = after
	}
	return ok && strings.HasPrefix(rest, "webhooks/")
}

// byShape returns the service whose messages look like a body. Names that any API might use, such as
// content and text, do not tell.
func byShape(body any) Service {
	o, ok := object(body)
	if !ok {
		return ""
	}
	attachments, _ := get(o, "attachments").(*value.Array)
	switch {
	case o.Has("chat_id"):
		return Telegram
	case get(o, "@type") == "MessageCard":
		return Teams
	case get(o, "type") == "message" && hasCard(attachments):
		return Teams
	case isArray(get(o, "embeds")), isArray(get(o, "allowed_mentions")):
		return Discord
	case isArray(get(o, "blocks")), attachments.Len() > 0 && attachments.IsList():
		return Slack
	}
	return ""
}

// hasCard reports whether one of a message's attachments is a card of Teams.
func hasCard(attachments *value.Array) bool {
	for _, item := range attachments.All() {
		if a, ok := object(item); ok {
			kind, _ := get(a, "contentType").(string)
			if strings.HasPrefix(kind, cardTypePrefix) {
				return true
			}
		}
	}
	return false
}

// object returns a value that is sent as a JSON object. An empty array passes as one: in PHP's
// values an empty object and an empty list are the same.
func object(v any) (o *value.Array, ok bool) {
	a, ok := v.(*value.Array)
	if !ok || a.IsList() && a.Len() > 0 {
		return nil, false
	}
	return a, true
}

// list returns a value that is sent as a JSON list.
func list(v any) (l *value.Array, ok bool) {
	a, ok := v.(*value.Array)
	if !ok || !a.IsList() {
		return nil, false
	}
	return a, true
}

func isArray(v any) bool {
	_, ok := v.(*value.Array)
	return ok
}

// get returns the value of a key, nil if there is none.
func get(o *value.Array, key string) any {
	v, _ := o.Get(key)
	return v
}
