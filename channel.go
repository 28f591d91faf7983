package bugle

import (
	"fmt"
	"net/mail"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/buglehq/bugle/internal/spelling"
	"github.com/buglehq/bugle/value"
)

// A Channel is a way that messages take to the people they are for.
type Channel struct {
	Name     string // "discord_public"
	Label    string // "Discord (Public)"
	About    string // a sentence for those who choose channels
	Reach    Reach
	Settings []Setting
	Either   [][]string // where more than one set of settings would do: one of these is to be complete
	timeout  int        // seconds
	rate     float64    // calls a second that the service bears; 0: no limit of ours
}

// A Reach says whom a channel gets to.
type Reach int

const (
	Within Reach = iota // each recipient, as a notification within the server
	ToEach              // each recipient, outside
	Posted              // one place outside, once, whoever the recipients are
)

// A Setting is one thing to be said about where a channel goes.
type Setting struct {
	Name     string
	About    string // a sentence for the API's document
	Type     SettingType
	Required bool
	Secret   bool // shown masked, and never in the log
	Default  any
	Pattern  *regexp.Regexp // of a TextSetting
	Wanted   string         // what Pattern asks for: "must be …"
	Options  []string       // of a TextSetting; nil: any
}

// A SettingType is what a setting holds.
type SettingType int

const (
	TextSetting SettingType = iota
	URLSetting
	PortSetting
	AddressSetting // of e-mail
)

var (
	hostName  = regexp.MustCompile(`^[A-Za-z0-9_.:-]{1,253}$`)
	token     = regexp.MustCompile(`^[!-~]{1,512}$`)
	botToken  = regexp.MustCompile(`^[A-Za-z0-9:_-]{1,255}$`)
	snowflake = regexp.MustCompile(`^[0-9]{1,32}$`)
	chatID    = regexp.MustCompile(`^(-?[0-9]{1,32}|@[A-Za-z0-9_]{1,64})$`)
	account   = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)
	sender    = regexp.MustCompile(`^\+?[A-Za-z0-9 ]{1,40}$`)
)

func apiURL(fallback string) Setting {
	return Setting{Name: "api_url", Type: URLSetting, Default: fallback, About: "Where the service's API is, for a gateway of your own."}
}

// Channels are all of them, in the order of their names in personnel.
var Channels = []Channel{
	{Name: "broadcast", Label: "Live", About: "A notification of each recipient, shown at once to who is logged in.", Reach: Within},
	{Name: "database", Label: "Dashboard", About: "A notification of each recipient, kept until it is read.", Reach: Within},
	{Name: "mail", Label: "Email", About: "An e-mail to each recipient.", Reach: ToEach, timeout: 30, Settings: []Setting{
		{Name: "host", Required: true, Pattern: hostName, Wanted: "must be a host name, such as smtp.example.com"},
		{Name: "port", Type: PortSetting, Default: int64(587)},
		{Name: "username"},
		{Name: "password", Secret: true},
		{Name: "from", Type: AddressSetting, Required: true, About: "The address that mails come from."},
		{Name: "from_name", About: "The organization's name unless set."},
		{Name: "encryption", Default: "starttls", Options: []string{"starttls", "tls", "none"}, About: "`tls` speaks TLS from the start, as on port 465."},
	}},
	{Name: "sms", Label: "SMS", About: "A text message to each recipient's phone number, by Twilio.", Reach: ToEach, timeout: 10, rate: 1, Settings: []Setting{
		{Name: "account_sid", Required: true, Pattern: account, Wanted: "must be letters and digits, such as AC…"},
		{Name: "token", Required: true, Secret: true, Pattern: token, Wanted: "must be the account's auth token"},
		{Name: "from", Required: true, Pattern: sender, Wanted: "must be a phone number such as +15550100, or a sender's name"},
		apiURL("https://api.twilio.com"),
	}},
	{Name: "discord_private", Label: "Discord (Private)", About: "A direct message of a Discord bot to each recipient who has linked a Discord account.", Reach: ToEach, timeout: 10, rate: 5, Settings: []Setting{
		{Name: "token", Required: true, Secret: true, Pattern: token, Wanted: "must be a bot's token", About: "Of a bot that shares a server with the people."},
		apiURL("https://discord.com/api/v10"),
	}},
	{Name: "discord_public", Label: "Discord (Public)", About: "One post to a Discord channel, whoever the recipients are.", Reach: Posted, timeout: 10, rate: 2, Either: [][]string{{"url"}, {"token", "channel_id"}}, Settings: []Setting{
		{Name: "url", Type: URLSetting, Secret: true, About: "Of a Discord webhook; else a bot's `token` and `channel_id` are needed."},
		{Name: "token", Secret: true, Pattern: token, Wanted: "must be a bot's token"},
		{Name: "channel_id", Pattern: snowflake, Wanted: "must be the id of a Discord channel"},
		apiURL("https://discord.com/api/v10"),
	}},
	{Name: "slack", Label: "Slack", About: "One post to a Slack channel, whoever the recipients are.", Reach: Posted, timeout: 10, rate: 1, Settings: []Setting{
		{Name: "url", Type: URLSetting, Required: true, Secret: true, About: "Of a Slack incoming webhook."},
	}},
	{Name: "telegram", Label: "Telegram", About: "One post to a Telegram chat, whoever the recipients are.", Reach: Posted, timeout: 10, rate: 1, Settings: []Setting{
		{Name: "token", Required: true, Secret: true, Pattern: botToken, Wanted: "must be a bot's token, such as 110201543:AAH…"},
		{Name: "chat_id", Required: true, Pattern: chatID, Wanted: "must be the id of a chat, such as -1001234567890, or a channel's @name"},
		apiURL("https://api.telegram.org"),
	}},
}

// ChannelByName returns the channel with the name, or nil.
func ChannelByName(name string) *Channel {
	for i := range Channels {
		if Channels[i].Name == name {
			return &Channels[i]
		}
	}
	return nil
}

// Outside reports whether messages leave the server, as deliveries of the channel's lane.
func (c *Channel) Outside() bool { return c.Reach != Within }

// Lane returns the lane of an organization's channel as it is before anybody has set anything.
func (c *Channel) Lane(organizationID int64) Webhook {
	w := NewWebhook()
	w.OrganizationID, w.Name, w.Channel, w.Settings = organizationID, c.Label, c.Name, value.NewArray(0)
	w.TimeoutSeconds, w.RatePerSecond, w.MaxConcurrency = c.timeout, c.rate, 4
	return w
}

// setting returns the setting with the name, or nil.
func (c *Channel) setting(name string) *Setting {
	for i := range c.Settings {
		if c.Settings[i].Name == name {
			return &c.Settings[i]
		}
	}
	return nil
}

func (c *Channel) settingNames() []string {
	list := make([]string, len(c.Settings))
	for i := range c.Settings {
		list[i] = c.Settings[i].Name
	}
	return list
}

// Missing returns the names of settings that are still needed; none: the channel is configured.
func (c *Channel) Missing(settings *value.Array) []string {
	var missing []string
	for _, s := range c.Settings {
		if s.Required && !settings.Has(s.Name) {
			missing = append(missing, s.Name)
		}
	}
	isSet := func(names []string) bool {
		return !slices.ContainsFunc(names, func(name string) bool { return !settings.Has(name) })
	}
	if len(c.Either) > 0 && !slices.ContainsFunc(c.Either, isSet) {
		missing = append(missing, c.Either[0]...)
	}
	return missing
}

// Setting returns what a setting of the lane is as text: what is set, else the default.
func (w *Webhook) Setting(name string) string {
	v, ok := w.Settings.Get(name)
	if !ok {
		if c := ChannelByName(w.Channel); c != nil && c.setting(name) != nil {
			v = c.setting(name).Default
		}
	}
	switch v := v.(type) {
	case string:
		return v
	case int64:
		return strconv.FormatInt(v, 10)
	}
	return ""
}

// Secrets are what must not be seen of the lane's settings. Of a URL it is the path, and its longer parts, as
// well.
func (w *Webhook) Secrets() []string {
	c := ChannelByName(w.Channel)
	if c == nil {
		return nil
	}
	var secrets []string
	for _, s := range c.Settings {
		text := w.Setting(s.Name)
		if !s.Secret || text == "" {
			continue
		}
		secrets = append(secrets, text)
		if u, err := url.Parse(text); s.Type == URLSetting && err == nil && len(u.Path) > 1 {
			secrets = append(secrets, u.RequestURI(), u.Path)
			for part := range strings.SplitSeq(u.Path, "/") {
				if len(part) >= 8 {
					secrets = append(secrets, part)
				}
			}
		}
	}
	return secrets
}

// MaskedSettings are the lane's settings with their defaults, fit to be shown.
func (w *Webhook) MaskedSettings() *value.Array {
	shown := value.NewArray(8)
	c := ChannelByName(w.Channel)
	if c == nil {
		return shown
	}
	for _, s := range c.Settings {
		v, isSet := w.Settings.Get(s.Name)
		if !isSet {
			v = s.Default
		}
		if text, ok := v.(string); ok && isSet && s.Secret {
			v = Mask(text)
		}
		shown.Set(s.Name, v)
	}
	return shown
}

// SetChannel takes over what is present of a channel's fields: its settings, and what there is to say about a
// lane. Everything that is wrong is reported as an InvalidError; w is then half changed and of no use.
// Settings that are not sent stay, null takes one away, and a secret that equals its mask stays as it is.
func (w *Webhook) SetChannel(fields *value.Array) error {
	f := fieldReader{fields: fields}
	f.settings(ChannelByName(w.Channel), w)
	f.oneOf("status", (*string)(&w.Status), true, []string{string(Active), string(Paused)})
	f.integer("timeout_seconds", &w.TimeoutSeconds, 1, 30)
	f.integer("max_attempts", &w.MaxAttempts, 1, 100)
	f.schedule(&w.RetrySchedule)
	f.integer("max_concurrency", &w.MaxConcurrency, 1, 100)
	f.rate(&w.RatePerSecond)
	return f.problems.Err()
}

func (f *fieldReader) settings(c *Channel, w *Webhook) {
	v, present := f.fields.Get("settings")
	if !present {
		return
	}
	sent, ok := v.(*value.Array)
	if !ok || sent.Len() > 0 && sent.IsList() {
		f.problems.Add("settings", "The settings field must be an object of names and values, not %s.", value.Describe(v))
		return
	}
	settings := w.Settings.Clone()
	if settings == nil {
		settings = value.NewArray(sent.Len())
	}
	for key, v := range sent.All() {
		field := "settings." + key.String()
		s := c.setting(key.String())
		if s == nil {
			reason := fmt.Sprintf("The channel %s has no setting %s.", c.Name, value.Describe(key.String()))
			if like := spelling.Closest(key.String(), c.settingNames()); like != "" {
				reason += " Did you mean " + like + "?"
			}
			f.problems.Add(field, "%s", reason)
			continue
		}
		if v == nil || v == "" {
			settings.Delete(s.Name)
			continue
		}
		if old := w.Setting(s.Name); s.Secret && old != "" && v == Mask(old) {
			continue
		}
		stored, wanted := s.read(v)
		if wanted != "" {
			shown := ", not " + value.Describe(v)
			if s.Secret {
				shown = ""
			}
			f.problems.Add(field, "The %s setting %s%s.", s.Name, wanted, shown)
			continue
		}
		settings.Set(s.Name, stored)
	}
	for _, name := range c.Missing(settings) {
		if field := "settings." + name; !slices.ContainsFunc(f.problems.Problems, func(p Problem) bool { return p.Field == field }) {
			f.problems.Add(field, "The %s setting is required%s.", name, c.orElse())
		}
	}
	w.Settings = settings
}

// orElse says which settings would do as well as the first ones.
func (c *Channel) orElse() string {
	if len(c.Either) < 2 {
		return ""
	}
	return ", or " + strings.Join(c.Either[1], " and ")
}

const maxSetting = 2048 // bytes

// read returns a value as it is stored, or what it should have been.
func (s *Setting) read(v any) (stored any, wanted string) {
	if n, ok := v.(int64); ok && s.Type == TextSetting { // ids are numbers to some
		v = strconv.FormatInt(n, 10)
	}
	if s.Type == PortSetting {
		if n, ok := v.(int64); ok && n >= 1 && n <= 65535 {
			return n, ""
		}
		return nil, "must be a port from 1 to 65535"
	}
	text, ok := v.(string)
	switch {
	case !ok:
		return nil, "must be a string"
	case len(text) > maxSetting:
		return nil, fmt.Sprintf("must not be longer than %d bytes", maxSetting)
	case strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return nil, "must be a single line"
	case s.Options != nil && !slices.Contains(s.Options, text):
		return nil, "must be one of " + strings.Join(s.Options, ", ")
	case s.Pattern != nil && !s.Pattern.MatchString(text):
		return nil, s.Wanted
	case s.Type == AddressSetting && !isAddress(text):
		return nil, "must be an e-mail address"
	case s.Type == URLSetting:
		if reason := checkURL(text); reason != "" {
			return nil, strings.TrimSuffix(strings.TrimPrefix(reason, "The url field "), ".")
		}
	}
	return text, ""
}

func isAddress(text string) bool {
	a, err := mail.ParseAddress(text)
	return err == nil && a.Address == text
}

// ClearChannel makes the lane of a channel as it is before anybody has set anything.
func (w *Webhook) ClearChannel() {
	fresh := ChannelByName(w.Channel).Lane(w.OrganizationID)
	fresh.ID, fresh.CreatedAt, fresh.Health = w.ID, w.CreatedAt, w.Health
	*w = fresh
}

// NotConfigured is the error of a delivery by a channel that lacks settings.
func (c *Channel) NotConfigured(missing []string) *AttemptError {
	return &AttemptError{Kind: ErrorConfig, Message: fmt.Sprintf("the channel %s is not configured: set its %s under /v2/channels/%s",
		c.Name, strings.Join(missing, ", "), c.Name)}
}

// SendEvent is the name of events that are made for one delivery by a channel.
const SendEvent = "message.send"

// A Sent is what a channel is to deliver. Its JSON stands in the place of an envelope.
type Sent struct {
	MessageID int64      // 0: a test
	Text      string     // HTML
	Recipient *Recipient // nil: it is posted to one place
}

// A Recipient is one person whom a message is for.
type Recipient struct {
	ID        int64
	Name      string
	Address   string // of e-mail, a phone number, or the id of a Discord user; empty: unknown
	ChannelID string // of the Discord channel between bot and user; empty: unknown
}

// JSON returns the text that ParseSent reads.
func (s Sent) JSON() ([]byte, error) {
	var message, recipient any
	if s.MessageID != 0 {
		message = s.MessageID
	}
	if r := s.Recipient; r != nil {
		fields := value.Map("id", r.ID, "name", r.Name, "address", r.Address)
		if r.ChannelID != "" {
			fields.Set("channel_id", r.ChannelID)
		}
		recipient = fields
	}
	return value.JSON(value.Map("message_id", message, "text", s.Text, "recipient", recipient))
}

// ParseSent reads what JSON returns.
func ParseSent(text []byte) (s Sent, err error) {
	decoded, err := value.Decode(text)
	if err != nil {
		return s, err
	}
	fields, _ := decoded.(*value.Array)
	id, _ := fields.Get("message_id")
	s.MessageID, _ = id.(int64)
	html, _ := fields.Get("text")
	s.Text, _ = html.(string)
	to, _ := fields.Get("recipient")
	if recipient, ok := to.(*value.Array); ok {
		s.Recipient = &Recipient{}
		id, _ := recipient.Get("id")
		s.Recipient.ID, _ = id.(int64)
		for name, field := range map[string]*string{"name": &s.Recipient.Name, "address": &s.Recipient.Address, "channel_id": &s.Recipient.ChannelID} {
			v, _ := recipient.Get(name)
			*field, _ = v.(string)
		}
	}
	return s, nil
}

// A Notification is a message that has come to a user within the server.
type Notification struct {
	ID        int64
	UserID    int64
	MessageID int64 // 0: it was deleted
	Channel   string
	Text      string // HTML
	CreatedAt time.Time
	ReadAt    time.Time // zero: not read
}
