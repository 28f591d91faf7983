package api_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/internal/delivery"
	"github.com/buglehq/bugle/internal/dispatch"
	"github.com/buglehq/bugle/internal/smtptest"
	"github.com/buglehq/bugle/internal/storetest"
	"github.com/buglehq/bugle/personnel"
	"github.com/buglehq/bugle/value"
)

const channelKeys = "name label configured settings status timeout_seconds max_attempts retry_schedule max_concurrency rate_per_second health"

func TestChannels_list(t *testing.T) {
	s := newServer(t)
	items := s.want(200, "GET", "channels", nil).items(t)
	var names []any
	for _, item := range items {
		names = append(names, at(item, "name"))
		wantEqual(t, "keys", strings.Join(item.(*value.Array).Keys(), " "), channelKeys)
		c := bugle.ChannelByName(at(item, "name").(string))
		wantEqual(t, c.Name+" configured", at(item, "configured"), !c.Outside())
		wantEqual(t, c.Name+" status", at(item, "status"), "active")
	}
	if !slices.Equal(names, personnel.Channels) {
		t.Errorf("the channels are %v, those of messages %v", names, personnel.Channels)
	}
	for i, item := range items {
		wantEqual(t, "the channel alone", s.want(200, "GET", "channels/"+names[i].(string), nil).data(t), item)
	}
	s.do("GET", "channels/fax", nil).wantNotFound(t)
	s.do("PATCH", "channels/fax", `{}`).wantNotFound(t)
	s.do("POST", "channels/fax/test", nil).wantNotFound(t)
	// A list makes no lanes, and lanes are no webhooks.
	wantEqual(t, "webhooks", s.want(200, "GET", "webhooks", nil).at("meta", "total"), 0)
}

func TestChannels_configure(t *testing.T) {
	s := newServer(t)
	const hook = "https://hooks.slack.com/services/T000/B000/XXXXsecretXXXX"
	data := s.want(200, "PUT", "channels/slack", value.Map("settings", value.Map("url", hook), "max_attempts", 3, "status", "paused")).data(t)
	wantEqual(t, "settings", at(data, "settings"), value.Map("url", "********XXXX"))
	wantEqual(t, "configured", at(data, "configured"), true)
	wantEqual(t, "status", at(data, "status"), "paused")
	wantEqual(t, "max_attempts", at(data, "max_attempts"), 3)
	wantEqual(t, "what is read", s.want(200, "GET", "channels/slack", nil).data(t), data)

	// A mask that comes back changes nothing.
	s.want(200, "PATCH", "channels/slack", value.Map("settings", at(data, "settings"), "status", "active"))
	lane, err := s.store.Lane(t.Context(), 1, bugle.ChannelByName("slack"))
	if err != nil || lane.Setting("url") != hook || lane.Status != bugle.Active || lane.MaxAttempts != 3 {
		t.Errorf("the lane is %+v, %v", lane, err)
	}
	s.do("PATCH", "channels/slack", `{"settings":{"url":null}}`).wantInvalid(t, "settings.url")
	s.do("PATCH", "channels/slack", `{"settings":{"webhook":"x"},"status":"disabled","timeout_seconds":0}`).wantInvalid(t, "settings.webhook", "status", "timeout_seconds")
	s.do("PATCH", "channels/telegram", `{"settings":{"token":"110201543:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw"}}`).wantInvalid(t, "settings.chat_id")
	wantEqual(t, "telegram", s.want(200, "GET", "channels/telegram", nil).at("data", "configured"), false)

	data = s.want(200, "DELETE", "channels/slack", nil).data(t)
	wantEqual(t, "settings", at(data, "settings"), value.Map("url", nil))
	wantEqual(t, "configured", at(data, "configured"), false)
	for _, method := range []string{"PUT", "PATCH", "DELETE"} {
		s.do(method, "channels/database", `{}`).wantStatus(t, 409)
	}
	s.do("POST", "channels/broadcast/test", nil).wantStatus(t, 409)
}

// Nothing that is done with webhooks reaches the lane of a channel.
func TestChannels_areNoWebhooks(t *testing.T) {
	s := newServer(t)
	s.want(200, "PUT", "channels/slack", value.Map("settings", value.Map("url", receiver)))
	lane, err := s.store.Lane(t.Context(), 1, bugle.ChannelByName("slack"))
	if err != nil || lane.ID == 0 {
		t.Fatal(err, lane)
	}
	wantEqual(t, "webhooks", s.want(200, "GET", "webhooks", nil).at("meta", "total"), 0)
	path := fmt.Sprintf("webhooks/%d", lane.ID)
	for _, request := range []string{"GET ", "PUT ", "PATCH ", "DELETE ", "POST /test", "GET /secret", "POST /rotate-secret", "POST /pause", "POST /disable"} {
		method, below, _ := strings.Cut(request, " ")
		s.do(method, path+below, nil).wantNotFound(t)
	}
	s.want(200, "DELETE", "webhooks/batch", value.Map("resources", value.List(lane.ID)))
	wantEqual(t, "configured", s.want(200, "GET", "channels/slack", nil).at("data", "configured"), true)
}

func TestChannels_scopes(t *testing.T) {
	s := newServer(t)
	reader := s.scoped("view:channel", "view:notification")
	reader.want(200, "GET", "channels", nil)
	reader.want(200, "GET", "notifications?user_id=1", nil)
	for _, request := range []string{"PUT channels/slack", "PATCH channels/slack", "DELETE channels/slack", "POST channels/slack/test", "PATCH notifications/1", "POST notifications/read-all"} {
		method, path, _ := strings.Cut(request, " ")
		reader.do(method, path, nil).wantForbidden(t)
	}
	none := s.scoped("view:webhook")
	none.do("GET", "channels", nil).wantForbidden(t)
	none.do("GET", "notifications", nil).wantForbidden(t)
}

// Each organization has its own settings and notifications.
func TestChannels_tenantsApart(t *testing.T) {
	s := newServer(t)
	s.want(200, "PUT", "channels/slack", value.Map("settings", value.Map("url", receiver)))
	user := s.create("users", "name", "A", "email", "a@example.com")
	s.create("messages", "message", "<p>x</p>", "channels", value.List("database"))
	s.expand()
	other := s.another()
	wantEqual(t, "configured", other.want(200, "GET", "channels/slack", nil).at("data", "configured"), false)
	wantEqual(t, "notifications", other.want(200, "GET", fmt.Sprintf("notifications?user_id=%d", id(user)), nil).at("meta", "total"), 0)
	other.do("PATCH", "notifications/1", `{"read":true}`).wantNotFound(t)
	wantEqual(t, "read", other.want(200, "POST", "notifications/read-all", value.Map("user_id", id(user))).at("data", "read"), 0)
	other.do("POST", "channels/mail/test", value.Map("recipient", id(user))).wantInvalid(t, "recipient")
}

// expand makes deliveries and notifications of the messages that are due.
func (s *server) expand() {
	s.Helper()
	sender := dispatch.NewSender(s.store, dispatch.SenderOptions{Clock: s.clock})
	for {
		sent, err := sender.Round(context.Background())
		if err != nil {
			s.Fatal(err)
		}
		if !sent {
			return
		}
	}
}

func TestNotifications(t *testing.T) {
	s := newServer(t)
	jane := id(s.create("users", "name", "Jane", "email", "jane@example.com"))
	john := id(s.create("users", "name", "John", "email", "john@example.com"))
	first := id(s.create("messages", "message", "<p>1</p>", "channels", value.List("database"), "recipients", value.List(jane, john)))
	s.expand()
	s.clock.Advance(time.Minute)
	s.create("messages", "message", "<p>2</p>", "channels", value.List("broadcast"))
	s.expand()
	own := s.with(s.addKey(bugle.APIKey{UserID: jane, Scopes: []string{"*"}}))
	items := own.want(200, "GET", "notifications", nil).items(t)
	if len(items) != 2 {
		t.Fatalf("there are %s", text(items))
	}
	wantEqual(t, "the newest", items[0], value.Map("id", 3, "user_id", jane, "message_id", 2, "channel", "broadcast", "text", "<p>2</p>", "read", false,
		"read_at", nil, "created_at", "2026-01-14T12:01:00.123456Z"))
	wantEqual(t, "the older", at(items[1], "channel"), "database")
	wantEqual(t, "a page", own.want(200, "GET", "notifications?limit=1&page=2", nil).at("data", "0", "id"), at(items[1], "id"))
	wantEqual(t, "John's", s.want(200, "GET", fmt.Sprintf("notifications?user_id=%d", john), nil).at("meta", "total"), 2)
	s.do("GET", "notifications", nil).wantInvalid(t, "user_id")
	s.do("GET", "notifications?user_id=me", nil).wantInvalid(t, "user_id")

	path := fmt.Sprintf("notifications/%d", at(items[1], "id"))
	s.clock.Advance(time.Minute)
	wantEqual(t, "read", own.want(200, "PATCH", path, `{"read":true}`).at("data", "read_at"), "2026-01-14T12:02:00.123456Z")
	s.clock.Advance(time.Minute)
	wantEqual(t, "read again", own.want(200, "PATCH", path, `{"read":true}`).at("data", "read_at"), "2026-01-14T12:02:00.123456Z")
	wantEqual(t, "the others", own.want(200, "POST", "notifications/read-all", nil).at("data", "read"), 1)
	wantEqual(t, "not read", own.want(200, "PATCH", path, `{"read":false}`).at("data", "read"), false)
	own.do("PATCH", path, `{"read":"yes"}`).wantInvalid(t, "read")
	own.do("PATCH", "notifications/99", `{"read":true}`).wantNotFound(t)
	wantEqual(t, "John's, read", s.want(200, "POST", "notifications/read-all", value.Map("user_id", john)).at("data", "read"), 2)

	s.want(200, "DELETE", fmt.Sprintf("messages/%d", first), nil)
	wantEqual(t, "of a deleted message", own.want(200, "GET", "notifications", nil).at("data", "1", "message_id"), nil)
}

func TestMessages_rrule(t *testing.T) {
	s := newServer(t)
	m := s.create("messages", "message", "<p>x</p>", "channels", value.List("slack"), "rrule", "FREQ=WEEKLY;BYDAY=WE,FR", "send_at", "2026-01-15T18:00:00Z")
	if m.Has("rrule") {
		t.Error("the message has a key that PERSCOM's have not")
	}
	wantEqual(t, "repeats", at(m, "repeats"), true)
	schedule := s.want(200, "GET", fmt.Sprintf("messages/%d?include=schedule", id(m)), nil).at("data", "schedule")
	for name, want := range map[string]any{"start": "2026-01-15T18:00:00.000000Z", "frequency": "WEEKLY", "interval": 1, "end_type": "never", "by_day": value.List("WE", "FR"),
		"rrule": "FREQ=WEEKLY;BYDAY=WE,FR", "next_occurrence": "2026-01-16T18:00:00.000000Z", "last_occurrence": nil} {
		wantEqual(t, name, at(schedule, name), want)
	}
	path := fmt.Sprintf("messages/%d", id(m))
	for _, rule := range []string{`"weekly"`, `"FREQ=HOURLY"`, `7`, `"FREQ=DAILY;UNTIL=20200101"`} {
		s.do("PATCH", path, `{"rrule":`+rule+`}`).wantInvalid(t, "rrule")
	}
	data := s.want(200, "PATCH", path+"?include=schedule", `{"rrule":null}`).data(t)
	wantEqual(t, "repeats", at(data, "repeats"), false)
	wantEqual(t, "schedule", at(data, "schedule"), nil)
	s.do("POST", "messages", `{"message":"x","channels":["slack"],"rrule":"x"}`).wantInvalid(t, "rrule")
	s.do("POST", "messages", `{"rrule":"x"}`).wantInvalid(t, "rrule", "message", "channels")
}

// Every channel, from its settings by the API to what the receiver gets, and what the log says of it.
func TestMessages_byEveryChannel(t *testing.T) {
	db, clock := storetest.New(t)
	guard, err := delivery.NewGuard([]string{"127.0.0.0/8"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	client := delivery.NewClient(guard, delivery.ClientOptions{})
	t.Cleanup(client.Close)
	var log buffer
	engine := delivery.NewEngine(db, client, delivery.Options{Clock: clock, Log: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	sender := dispatch.NewSender(db, dispatch.SenderOptions{Clock: clock})
	ctx, cancel := context.WithCancel(context.Background())
	var work sync.WaitGroup
	work.Go(func() { engine.Run(ctx) })
	work.Go(func() { sender.Run(ctx) })
	t.Cleanup(func() {
		cancel()
		work.Wait()
	})
	var mu sync.Mutex
	var got []string
	services := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		mu.Lock()
		got = append(got, r.URL.Path+" "+string(bytes.TrimSpace(body)))
		mu.Unlock()
		fmt.Fprintf(w, `{"id":"900","echo":%q}`, r.URL.Path+r.Header.Get("Authorization"))
	}))
	t.Cleanup(services.Close)
	mails := &smtptest.Server{}
	host, port := mails.Start(t)

	s := serve(t, db, clock)
	const secret = "S3CRETS3CRETS3CRET"
	for channel, settings := range map[string]*value.Array{
		"mail":            value.Map("host", host, "port", port, "from", "unit@example.org", "encryption", "none"),
		"sms":             value.Map("account_sid", "AC1", "token", secret, "from", "+15550100", "api_url", services.URL+"/twilio"),
		"discord_private": value.Map("token", secret, "api_url", services.URL+"/discord"),
		"discord_public":  value.Map("url", services.URL+"/hooks/"+secret),
		"slack":           value.Map("url", services.URL+"/services/"+secret),
		"telegram":        value.Map("token", secret, "chat_id", "@unit", "api_url", services.URL+"/telegram"),
	} {
		s.want(200, "PUT", "channels/"+channel, value.Map("settings", settings))
	}
	user := s.create("users", "name", "Jane Roe", "email", "jane@example.com", "discord_user_id", "77")
	s.create("users", "name", "Nobody", "email", "nobody@example.com")
	channels := value.List(personnel.Channels...)
	s.create("messages", "message", "<p>Formation at <b>18:00</b>.</p>", "channels", channels, "recipients", value.List(id(user)))

	deadline := time.Now().Add(time.Minute)
	settled := func() bool {
		all := s.want(200, "GET", "deliveries?event=message.send&limit=100", nil).items(t)
		pending := slices.ContainsFunc(all, func(d any) bool { return at(d, "state") == "pending" })
		return len(all) == 6 && !pending
	}
	for !settled() {
		if time.Now().After(deadline) {
			t.Fatalf("they are not sent: %s", s.do("GET", "deliveries", nil).text)
		}
		clock.Advance(time.Second)
	}
	mu.Lock()
	slices.Sort(got)
	joined := strings.Join(got, "\n")
	mu.Unlock()
	wantEqual(t, "what the services got", joined, strings.Join([]string{
		`/discord/channels/900/messages {"content":"Formation at **18:00**.","allowed_mentions":{"parse":[]}}`,
		`/discord/users/@me/channels {"recipient_id":"77"}`,
		`/hooks/` + secret + ` {"content":"Formation at **18:00**.","allowed_mentions":{"parse":[]}}`,
		`/services/` + secret + ` {"text":"Formation at *18:00*."}`,
		`/telegram/bot` + secret + `/sendMessage {"chat_id":"@unit","text":"Formation at <b>18:00<\/b>.","parse_mode":"HTML"}`,
	}, "\n"))
	if taken := mails.Mails(); len(taken) != 1 || taken[0].To != "jane@example.com" {
		t.Errorf("the mail server took %+v", taken)
	}

	urls := map[string]any{"mail": fmt.Sprintf("smtp://%s:%d", host, port), "sms": nil, "discord_private": services.URL + "/discord/channels/900/messages",
		"discord_public": services.URL + "/********", "slack": services.URL + "/********", "telegram": services.URL + "/telegram/bot********/sendMessage"}
	shown := s.do("GET", "channels", nil).text
	for channel, want := range urls {
		list := s.want(200, "GET", "deliveries?channel="+channel, nil).items(t)
		if len(list) != 1 {
			t.Errorf("%s has the deliveries %s", channel, text(list))
			continue
		}
		wantEqual(t, "channel", at(list[0], "channel"), channel)
		wantEqual(t, "webhook_id", at(list[0], "webhook_id"), nil)
		a := s.want(200, "GET", fmt.Sprintf("deliveries/%d", id(list[0])), nil)
		shown += a.text
		if channel == "sms" { // she has no phone number
			wantEqual(t, "state", a.at("data", "state"), "failed")
			wantEqual(t, "error", a.at("data", "error", "kind"), "config")
			continue
		}
		wantEqual(t, channel+" state", a.at("data", "state"), "delivered")
		wantEqual(t, channel+" url", a.at("data", "request", "url"), want)
		wantEqual(t, channel+" payload", a.at("data", "payload", "text"), "<p>Formation at <b>18:00</b>.</p>")
	}
	if strings.Contains(shown, secret) || strings.Contains(log.String(), secret) || strings.Contains(s.log.String(), secret) {
		t.Errorf("a secret is in an answer or a log:\n%s\n%s", shown, log.String())
	}
	s.do("GET", "deliveries?channel=database", nil).wantInvalid(t, "channel")
	for _, n := range s.want(200, "GET", fmt.Sprintf("notifications?user_id=%d", id(user)), nil).items(t) {
		wantEqual(t, "text", at(n, "text"), "<p>Formation at <b>18:00</b>.</p>")
	}

	// The delivery that failed can be made up for.
	failed := s.want(200, "GET", "deliveries?channel=sms", nil).items(t)[0]
	s.want(202, "POST", fmt.Sprintf("deliveries/%d/redeliver", id(failed)), nil)
}

func TestChannels_test(t *testing.T) {
	s := newServer(t)
	user := s.create("users", "name", "Jane Roe", "email", "jane@example.com")
	d := s.want(202, "POST", "channels/slack/test", nil).data(t)
	wantEqual(t, "channel", at(d, "channel"), "slack")
	wantEqual(t, "event", at(d, "event"), "message.send")
	a := s.want(200, "GET", fmt.Sprintf("deliveries/%d", id(d)), nil)
	wantEqual(t, "request, before there are settings", a.at("data", "request"), nil)
	s.want(200, "PUT", "channels/slack", value.Map("settings", value.Map("url", "https://hooks.slack.com/services/XXXX")))
	a = s.want(200, "GET", fmt.Sprintf("deliveries/%d", id(d)), nil)
	wantEqual(t, "request", a.at("data", "request"), value.Map("method", "POST", "url", "https://hooks.slack.com/********", "headers", nil))
	wantEqual(t, "payload", a.at("data", "payload"), value.Map("message_id", nil, "text", "<p>This is a test of the channel Slack.</p>", "recipient", nil))

	s.do("POST", "channels/mail/test", nil).wantInvalid(t, "recipient")
	s.do("POST", "channels/mail/test", `{"recipient":"x"}`).wantInvalid(t, "recipient")
	s.do("POST", "channels/mail/test", `{"recipient":99}`).wantInvalid(t, "recipient")
	d = s.want(202, "POST", "channels/mail/test", value.Map("recipient", id(user))).data(t)
	a = s.want(200, "GET", fmt.Sprintf("deliveries/%d", id(d)), nil)
	wantEqual(t, "recipient", a.at("data", "payload", "recipient"), value.Map("id", id(user), "name", "Jane Roe", "address", "jane@example.com"))
	own := s.with(s.addKey(bugle.APIKey{UserID: id(user), Scopes: []string{"*"}}))
	own.want(202, "POST", "channels/mail/test", nil)
	s.want(200, "POST", fmt.Sprintf("deliveries/%d/cancel", id(d)), nil)
}
