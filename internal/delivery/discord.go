package delivery

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/internal/chat"
	"github.com/buglehq/bugle/value"
)

// discordPublic posts to a channel of a server, by a webhook of the channel or as a bot.
func (m *mission) discordPublic() (*apiCall, *bugle.AttemptError) {
	if hook := m.lane.Setting("url"); hook != "" {
		return m.discordText(&apiCall{url: hook, shown: hiddenPath(hook)})
	}
	return m.discordText(m.asBot(m.discordMessages(m.lane.Setting("channel_id"))))
}

func (m *mission) discordMessages(channelID string) string {
	return m.api() + "/channels/" + url.PathEscape(channelID) + "/messages"
}

func (m *mission) asBot(url string) *apiCall {
	return &apiCall{url: url, shown: url, header: [][2]string{{"Authorization", "Bot " + m.lane.Setting("token")}}}
}

func (m *mission) discordText(p *apiCall) (*apiCall, *bugle.AttemptError) {
	text := chat.DiscordText(m.sent.Text)
	if text == "" {
		return nil, noText
	}
	return p.jsonBody(value.Map("content", text, "allowed_mentions", value.Map("parse", value.NewArray(0))))
}

// discordPrivate posts to the channel between bot and user, which it has Discord open first unless it is
// known. Of the two calls the last one is the attempt.
func (m *mission) discordPrivate(ctx context.Context, deadline time.Time) *bugle.AttemptError {
	to := m.sent.Recipient
	if to.Address == "" && to.ChannelID == "" {
		return impossible("the user %d has no Discord account", to.ID)
	}
	channelID := to.ChannelID
	if channelID == "" {
		open, failed := m.asBot(m.api() + "/users/@me/channels").jsonBody(value.Map("recipient_id", to.Address))
		if failed == nil {
			failed = m.discordUser(ctx, open, deadline)
		}
		if failed != nil {
			return failed
		}
		decoded, err := value.Decode(m.attempt.ResponseBody)
		fields, _ := decoded.(*value.Array)
		id, _ := fields.Get("id")
		if channelID, _ = id.(string); err != nil || channelID == "" {
			return &bugle.AttemptError{Kind: bugle.ErrorBody, Message: "Discord opened a channel and did not say which"}
		}
		m.attempt.Status, m.attempt.Reason, m.attempt.ResponseHeaders = 0, "", nil
		m.attempt.ResponseBody, m.attempt.ResponseTruncated, m.attempt.RemoteAddress = nil, false, ""
	}
	p, failed := m.discordText(m.asBot(m.discordMessages(channelID)))
	if failed != nil {
		return failed
	}
	return m.discordUser(ctx, p, deadline)
}

// discordUser makes a call about a user. If Discord knows no such user, or the user takes no messages of the
// bot, that is not the bot's trouble, and no other attempt would fare better.
func (m *mission) discordUser(ctx context.Context, p *apiCall, deadline time.Time) *bugle.AttemptError {
	failed := m.make(ctx, p, deadline)
	refused := []int{http.StatusBadRequest, http.StatusForbidden, http.StatusNotFound}
	if failed != nil && failed.Kind == bugle.ErrorStatus && slices.Contains(refused, m.attempt.Status) {
		failed.Permanent = true
	}
	return failed
}
