package delivery

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/internal/smtptest"
	"github.com/buglehq/bugle/internal/store"
	"github.com/buglehq/bugle/internal/storetest"
	"github.com/buglehq/bugle/personnel"
	"github.com/buglehq/bugle/value"
)

// A service stands for Discord, Slack, Telegram or Twilio: it keeps what it is asked, and answers.
type service struct {
	*httptest.Server
	mu  sync.Mutex
	got []asked
}

type asked struct {
	path, auth, media, body string
}

// newService answers as the handler does, or 200 without one.
func newService(t testing.TB, answer http.HandlerFunc) *service {
	s := &service{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		s.mu.Lock()
		s.got = append(s.got, asked{r.RequestURI, r.Header.Get("Authorization"), r.Header.Get("Content-Type"), string(body)})
		s.mu.Unlock()
		if answer != nil {
			r.Body = io.NopCloser(bytes.NewReader(body))
			answer(w, r)
		}
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *service) all() []asked {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]asked(nil), s.got...)
}

// only returns the one call that there was.
func (s *service) only(t testing.TB) asked {
	t.Helper()
	if got := s.all(); len(got) != 1 {
		t.Fatalf("the service was called %d times, want once: %+v", len(got), got)
		return asked{}
	} else {
		return got[0]
	}
}

// configure gives a channel settings, which are pairs as of value.Map, and is quick to give up.
func (r *rig) configure(channel string, settings ...any) {
	r.Helper()
	storetest.Change(r, r.store, func(tx *store.Tx) error {
		lane, err := tx.Lane(1, bugle.ChannelByName(channel))
		if err != nil {
			return err
		}
		if err := lane.SetChannel(value.Map("settings", value.Map(settings...), "rate_per_second", nil, "max_attempts", 2)); err != nil {
			return err
		}
		return tx.SaveLane(lane)
	})
}

// person adds a user with what the API does not let anybody write.
func (r *rig) person(name, phone, discord, discordChannel string) *personnel.Resource {
	r.Helper()
	user := storetest.Create(r, r.store, &personnel.User, "name", name, "email", strings.ToLower(name)+"@example.com", "discord_user_id", discord)
	r.sql("UPDATE users SET phone_number = NULLIF(?, ''), discord_private_channel_id = NULLIF(?, '') WHERE id = ?", phone, discordChannel, user.ID())
	return user
}

// owe makes a delivery by a channel.
func (r *rig) owe(channel, text string, user *personnel.Resource) (id int64) {
	r.Helper()
	storetest.Change(r, r.store, func(tx *store.Tx) (err error) {
		if user != nil {
			if user, err = tx.Get(1, &personnel.User, user.ID()); err != nil {
				return err
			}
		}
		id, err = tx.TestLane(storetest.Actor(), bugle.ChannelByName(channel), text, user)
		return err
	})
	return id
}

// last waits until a delivery has the state after one attempt, and returns that.
func (r *rig) last(id int64, state bugle.DeliveryState) *bugle.Attempt {
	r.Helper()
	r.await(id, state, 1)
	return r.attempts(id)[0]
}

func wantJSON(t testing.TB, got, want string) {
	t.Helper()
	var g, w bytes.Buffer
	if json.Compact(&g, []byte(got)) != nil || json.Compact(&w, []byte(want)) != nil || g.String() != w.String() {
		t.Errorf("sent was\n     %s\nwant %s", got, want)
	}
}

func wantAttempt(t testing.TB, a *bugle.Attempt, method, url string, status int) {
	t.Helper()
	if a.Method != method || a.URL != url || a.Status != status || a.Error != nil {
		t.Errorf("the attempt is %s %s: %d, %+v; want %s %s: %d", a.Method, a.URL, a.Status, a.Error, method, url, status)
	}
}

func TestChannel_discordPublic(t *testing.T) {
	r := startRig(t)
	discord := newService(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) })
	r.configure("discord_public", "url", discord.URL+"/api/webhooks/4711/s3cret-token?thread_id=5")
	wantAttempt(t, r.last(r.owe("discord_public", "<p>Hello <b>all</b> @everyone</p>", nil), bugle.Delivered), "POST", discord.URL+"/********", 204)
	got := discord.only(t)
	if got.path != "/api/webhooks/4711/s3cret-token?thread_id=5" || got.auth != "" || got.media != "application/json" {
		t.Errorf("Discord was called as %+v", got)
	}
	if !strings.Contains(got.body, `**all**`) || !strings.HasSuffix(got.body, `"allowed_mentions":{"parse":[]}}`) {
		t.Errorf("Discord got %s", got.body)
	}
}

func TestChannel_discordPublic_asBot(t *testing.T) {
	r := startRig(t)
	discord := newService(t, nil)
	r.configure("discord_public", "token", "bot-token-of-mine", "channel_id", "123", "api_url", discord.URL+"/api/")
	wantAttempt(t, r.last(r.owe("discord_public", "<p>Hello</p>", nil), bugle.Delivered), "POST", discord.URL+"/api/channels/123/messages", 200)
	if got := discord.only(t); got.path != "/api/channels/123/messages" || got.auth != "Bot bot-token-of-mine" {
		t.Errorf("Discord was called as %+v", got)
	}
}

func TestChannel_discordPrivate(t *testing.T) {
	r := startRig(t)
	discord := newService(t, func(w http.ResponseWriter, q *http.Request) {
		if q.URL.Path == "/users/@me/channels" {
			w.Write([]byte(`{"id":"900"}`))
		}
	})
	r.configure("discord_private", "token", "bot-token-of-mine", "api_url", discord.URL)
	wantAttempt(t, r.last(r.owe("discord_private", "<p>Hello</p>", r.person("Roe", "", "77", "")), bugle.Delivered), "POST", discord.URL+"/channels/900/messages", 200)
	calls := discord.all()
	if len(calls) != 2 || calls[0].path != "/users/@me/channels" || calls[0].auth != "Bot bot-token-of-mine" || calls[1].path != "/channels/900/messages" {
		t.Fatalf("Discord was called as %+v", calls)
	}
	wantJSON(t, calls[0].body, `{"recipient_id":"77"}`)
	wantJSON(t, calls[1].body, `{"content":"Hello","allowed_mentions":{"parse":[]}}`)

	// One whose channel is known needs no other call.
	r.last(r.owe("discord_private", "<p>Hello</p>", r.person("Doe", "", "78", "901")), bugle.Delivered)
	if calls := discord.all(); len(calls) != 3 || calls[2].path != "/channels/901/messages" {
		t.Errorf("Discord was called as %+v", calls[2:])
	}
}

func TestChannel_slack(t *testing.T) {
	r := startRig(t)
	slack := newService(t, nil)
	r.configure("slack", "url", slack.URL+"/services/T0/B0/s3cret")
	wantAttempt(t, r.last(r.owe("slack", "<p>Hello <b>all</b></p>", nil), bugle.Delivered), "POST", slack.URL+"/********", 200)
	wantJSON(t, slack.only(t).body, `{"text":"Hello *all*"}`)
}

func TestChannel_telegram(t *testing.T) {
	r := startRig(t)
	telegram := newService(t, nil)
	r.configure("telegram", "token", "110201543:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw", "chat_id", -100123, "api_url", telegram.URL)
	wantAttempt(t, r.last(r.owe("telegram", "<p>Hello <b>all</b></p>", nil), bugle.Delivered), "POST", telegram.URL+"/bot********/sendMessage", 200)
	got := telegram.only(t)
	if got.path != "/bot110201543:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw/sendMessage" {
		t.Errorf("Telegram was called at %s", got.path)
	}
	wantJSON(t, got.body, `{"chat_id":"-100123","text":"Hello <b>all<\/b>","parse_mode":"HTML"}`)
}

// Telegram says in the body alone how long it wants to be left alone.
func TestChannel_telegram_tooMany(t *testing.T) {
	r := startRig(t)
	telegram := newService(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(429)
		w.Write([]byte(`{"ok":false,"error_code":429,"parameters":{"retry_after":35}}`))
	})
	r.configure("telegram", "token", "1:A", "chat_id", "@unit", "api_url", telegram.URL)
	id := r.owe("telegram", "<p>Hello</p>", nil)
	r.last(id, bugle.Pending)
	if next := r.delivery(id).NextAttemptAt; !next.Equal(storetest.Start.Add(35 * time.Second)) {
		t.Errorf("the next attempt is at %s, want 35 s later", next)
	}
}

func TestChannel_sms(t *testing.T) {
	r := startRig(t)
	twilio := newService(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(201) })
	r.configure("sms", "account_sid", "AC1", "token", "auth-token", "from", "+15550100", "api_url", twilio.URL)
	long := "<p>Formation &amp; " + strings.Repeat("x", 300) + "</p>"
	a := r.last(r.owe("sms", long, r.person("Roe", "+1 (555) 010-123", "", "")), bugle.Delivered)
	wantAttempt(t, a, "POST", twilio.URL+"/2010-04-01/Accounts/AC1/Messages.json", 201)
	got := twilio.only(t)
	form, err := url.ParseQuery(got.body)
	if err != nil || got.auth != "Basic QUMxOmF1dGgtdG9rZW4=" || got.media != "application/x-www-form-urlencoded" {
		t.Errorf("Twilio was called as %+v", got)
	}
	if form.Get("To") != "+1555010123" || form.Get("From") != "+15550100" || !strings.HasPrefix(form.Get("Body"), "Formation & xxx") || len([]rune(form.Get("Body"))) != 255 {
		t.Errorf("Twilio got %v, with a text of %d characters", form, len([]rune(form.Get("Body"))))
	}
}

// Failures that no retry can mend end at once, and say nothing against the service.
func TestChannel_permanentFailures(t *testing.T) {
	answer := func(status int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			w.Write([]byte(body))
		}
	}
	const hello = "<p>Hello</p>"
	tests := []struct {
		name, channel, text string
		answer              http.HandlerFunc
		phone, discord      string
		kind                bugle.ErrorKind
		state               bugle.DeliveryState
	}{
		{"no phone number", "sms", hello, nil, "", "", bugle.ErrorConfig, bugle.Failed},
		{"a phone number without digits", "sms", hello, nil, "none", "", bugle.ErrorConfig, bugle.Failed},
		{"no Discord account", "discord_private", hello, nil, "", "", bugle.ErrorConfig, bugle.Failed},
		{"no text", "slack", "<p> </p>", nil, "", "", bugle.ErrorConfig, bugle.Failed},
		{"a number that Twilio does not take", "sms", hello, answer(400, `{"code":21211}`), "+1", "", bugle.ErrorStatus, bugle.Failed},
		{"a sender that Twilio does not take", "sms", hello, answer(400, `{"code":21606}`), "+1", "", bugle.ErrorStatus, bugle.Pending},
		{"a user who takes no messages", "discord_private", hello, answer(403, `{"code":50007}`), "", "77", bugle.ErrorStatus, bugle.Failed},
		{"a wrong bot token", "discord_private", hello, answer(401, ``), "", "77", bugle.ErrorStatus, bugle.Pending},
		{"a webhook that is gone", "slack", hello, answer(410, ``), "", "", bugle.ErrorStatus, bugle.Pending},
		{"a channel that is no answer", "discord_private", hello, answer(200, `[]`), "", "77", bugle.ErrorBody, bugle.Pending},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r := startRig(t)
			s := newService(t, test.answer)
			r.configure("sms", "account_sid", "AC1", "token", "auth-token", "from", "+15550100", "api_url", s.URL)
			r.configure("discord_private", "token", "bot-token", "api_url", s.URL)
			r.configure("slack", "url", s.URL+"/hook")
			id := r.owe(test.channel, test.text, r.person("Roe", test.phone, test.discord, ""))
			a := r.last(id, test.state)
			if a.Error == nil || a.Error.Kind != test.kind {
				t.Errorf("the error is %+v, want %s", a.Error, test.kind)
			}
			lane, err := r.store.Lane(t.Context(), 1, bugle.ChannelByName(test.channel))
			if err != nil || lane.Status != bugle.Active || (lane.Health.State() == bugle.Healthy) != (test.state == bugle.Failed) {
				t.Errorf("the channel is %s and %s", lane.Status, lane.Health.State())
			}
		})
	}
}

// What goes by a channel that nobody has configured yet says so, and goes out once somebody has.
func TestChannel_notConfiguredYet(t *testing.T) {
	r := startRig(t)
	slack := newService(t, nil)
	id := r.owe("slack", "<p>Hello</p>", nil)
	a := r.last(id, bugle.Pending)
	if a.Error == nil || a.Error.Kind != bugle.ErrorConfig || a.Error.Message != "the channel slack is not configured: set its url under /v2/channels/slack" {
		t.Errorf("the error is %+v", a.Error)
	}
	r.configure("slack", "url", slack.URL+"/services/T0/B0/s3cret")
	r.advance(time.Second)          // the rate that the channel had when it was called
	r.await(id, bugle.Delivered, 2) // and not only with the retry, after 5 s
	slack.only(t)
}

// Whatever a service answers, no secret is kept: not even one that it was sent and gives back.
func TestChannel_secretsAreNotKept(t *testing.T) {
	const token, path = "110201543:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw", "/services/T024BE7LD/B024BE7LH/XXXXsecretXXXX"
	for _, status := range []int{200, 302, 500} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			r := newRig(t)
			var log bytes.Buffer
			r.options.Log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
			r.start()
			echo := newService(t, func(w http.ResponseWriter, q *http.Request) {
				w.Header().Set("Location", q.URL.Path)
				w.Header().Set("X-Auth", q.Header.Get("Authorization"))
				w.WriteHeader(status)
				fmt.Fprintf(w, "%s %s http://%s%s %q", q.RequestURI, q.Header.Get("Authorization"), q.Host, q.RequestURI, strings.ReplaceAll(q.RequestURI, "/", `\/`))
			})
			user := r.person("Roe", "+1555010123", "77", "901")
			r.configure("slack", "url", echo.URL+path)
			r.configure("discord_public", "url", echo.URL+"/api/webhooks/4711471147114711/s3cret-token-of-discord")
			r.configure("discord_private", "token", token, "api_url", echo.URL)
			r.configure("telegram", "token", token, "chat_id", 1, "api_url", echo.URL)
			r.configure("sms", "account_sid", "AC1", "token", token, "from", "+15550100", "api_url", echo.URL)
			var ids []int64
			for _, channel := range []string{"slack", "discord_public", "discord_private", "telegram", "sms"} {
				ids = append(ids, r.owe(channel, "<p>Hello</p>", user))
			}
			kept := ""
			for _, id := range ids {
				r.until("an attempt", func() bool { return len(r.attempts(id)) == 1 })
				a := r.attempts(id)[0]
				kept += fmt.Sprintf("%+v %+v %s\n", a, a.Error, a.ResponseBody)
			}
			r.stop()
			for _, secret := range []string{token, "AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw", path, "XXXXsecretXXXX", "B024BE7LH", "s3cret-token", "4711471147114711", "QUMxOjExMDIw"} {
				if strings.Contains(kept, secret) || strings.Contains(log.String(), secret) {
					t.Errorf("%s is in\n%s%s", secret, kept, log.String())
				}
			}
		})
	}
}

// certified returns what makes a server of TLS, and who trusts it.
func certified(t testing.TB) (server *tls.Config, trusts *x509.CertPool) {
	t.Helper()
	s := httptest.NewTLSServer(nil)
	defer s.Close()
	trusts = x509.NewCertPool()
	trusts.AddCert(s.Certificate())
	return &tls.Config{Certificates: s.TLS.Certificates}, trusts
}

// selfSigned is a certificate of one's own.
func selfSigned(t testing.TB) *tls.Config {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	about := &x509.Certificate{SerialNumber: big.NewInt(1), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, about, about, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
}

// mailRig is a rig that trusts the certificate of its mail servers.
func mailRig(t *testing.T) (*rig, *tls.Config) {
	r := newRig(t)
	server, trusts := certified(t)
	r.client = NewClient(newGuard(t, []string{"127.0.0.0/8"}, nil), ClientOptions{Resolver: noNameServer, RootCAs: trusts})
	t.Cleanup(r.client.Close)
	r.start()
	return r, server
}

func TestChannel_mail(t *testing.T) {
	for _, encryption := range []string{"starttls", "tls", "none"} {
		t.Run(encryption, func(t *testing.T) {
			r, config := mailRig(t)
			s := &smtptest.Server{}
			settings := []any{"from", "unit@example.org", "encryption", encryption}
			if encryption != "none" {
				s.TLS, s.Implicit, s.User, s.Password = config, encryption == "tls", "bugle", "mail-password"
				settings = append(settings, "username", "bugle", "password", "mail-password")
			}
			host, port := s.Start(t)
			r.configure("mail", append(settings, "host", host, "port", port)...)
			id := r.owe("mail", `<p>Hello <b>Jane</b> – 18:00</p><script>alert(1)</script>`, r.person("Roe", "", "", ""))
			a := r.last(id, bugle.Delivered)
			scheme := map[string]string{"starttls": "smtp", "none": "smtp", "tls": "smtps"}[encryption]
			wantAttempt(t, a, "SMTP", fmt.Sprintf("%s://127.0.0.1:%d", scheme, port), 250)
			if a.RemoteAddress != fmt.Sprintf("127.0.0.1:%d", port) || !strings.Contains(a.Reason, "taken") {
				t.Errorf("the attempt is %+v", a)
			}
			mails := s.Mails()
			if len(mails) != 1 {
				t.Fatalf("the server took %d mails", len(mails))
			}
			m := mails[0]
			if m.From != "unit@example.org" || m.To != "roe@example.com" || m.Encrypted != (encryption != "none") || m.User != s.User {
				t.Errorf("the mail is %+v", m)
			}
			for _, want := range []string{
				"Subject: New message from 1st Test Battalion\n", "From: \"1st Test Battalion\" <unit@example.org>\n", "To: \"Roe\" <roe@example.com>\n",
				fmt.Sprintf("<%s@example.org>\n", bugle.MessageID(id)), "Date: Wed, 14 Jan 2026 12:00:00 +0000\n",
				"Content-Type: text/plain", "Content-Type: text/html", "<b>Jane</b>", "Hello Jane",
			} {
				if !strings.Contains(m.Data, want) {
					t.Errorf("the mail is without %q:\n%s", want, m.Data)
				}
			}
			if strings.Contains(m.Data, "alert(1)") {
				t.Errorf("the mail has a script:\n%s", m.Data)
			}
		})
	}
}

func TestChannel_mail_failures(t *testing.T) {
	tests := []struct {
		name    string
		server  func(s *smtptest.Server, config *tls.Config)
		set     []any
		kind    bugle.ErrorKind
		status  int
		state   bugle.DeliveryState
		message string // part of it
	}{
		{"no such mailbox", func(s *smtptest.Server, _ *tls.Config) {
			s.Reply = func(c string) string {
				return map[bool]string{true: "550 5.1.1 no such user"}[strings.HasPrefix(c, "RCPT")]
			}
		}, nil, bugle.ErrorStatus, 550, bugle.Failed, "no such user"},
		{"busy", func(s *smtptest.Server, _ *tls.Config) {
			s.Reply = func(c string) string { return map[bool]string{true: "451 later"}[strings.HasPrefix(c, "RCPT")] }
		}, nil, bugle.ErrorStatus, 451, bugle.Pending, "451"},
		{"the sender is refused", func(s *smtptest.Server, _ *tls.Config) {
			s.Reply = func(c string) string { return map[bool]string{true: "550 not you"}[strings.HasPrefix(c, "MAIL")] }
		}, nil, bugle.ErrorStatus, 550, bugle.Pending, "not you"},
		{"wrong password", func(s *smtptest.Server, c *tls.Config) { s.TLS, s.User, s.Password = c, "bugle", "right-password" },
			[]any{"encryption", "starttls", "username", "bugle", "password", "wrong-password"}, bugle.ErrorStatus, 535, bugle.Pending, "535"},
		{"no STARTTLS", func(*smtptest.Server, *tls.Config) {}, []any{"encryption", "starttls"}, bugle.ErrorTLS, 0, bugle.Pending, "STARTTLS"},
		{"no TLS", func(*smtptest.Server, *tls.Config) {}, []any{"encryption", "tls"}, bugle.ErrorTLS, 0, bugle.Pending, "TLS"},
		{"a certificate for another host", func(s *smtptest.Server, c *tls.Config) { s.TLS = c }, []any{"host", "localhost", "encryption", "starttls"},
			bugle.ErrorTLS, 0, bugle.Pending, "not for the host name"},
		{"a certificate that nobody trusts", func(s *smtptest.Server, _ *tls.Config) { s.TLS = selfSigned(t) }, []any{"encryption", "starttls"}, bugle.ErrorTLS, 0, bugle.Pending, "certificate"},
		{"a password in the clear", func(s *smtptest.Server, _ *tls.Config) { s.User, s.Password = "bugle", "mail-password" },
			[]any{"username", "bugle", "password", "mail-password"}, bugle.ErrorConfig, 0, bugle.Pending, "login"},
		{"it hangs up", func(s *smtptest.Server, _ *tls.Config) {
			s.Reply = func(c string) string { return map[bool]string{true: "421 bye\r\n"}[strings.HasPrefix(c, "EHLO")] }
		}, nil, bugle.ErrorStatus, 421, bugle.Pending, "421"},
		{"an address that may not be called", nil, []any{"host", "10.0.0.1"}, bugle.ErrorBlocked, 0, bugle.Pending, "not public"},
		{"a port that nobody listens on", nil, []any{"host", "127.0.0.1", "port", 1}, bugle.ErrorConnect, 0, bugle.Pending, "refused"},
		{"a host that is none", nil, []any{"host", "mail.invalid"}, bugle.ErrorDNS, 0, bugle.Pending, "mail.invalid"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r, config := mailRig(t)
			settings := []any{"from", "unit@example.org", "encryption", "none"}
			s := &smtptest.Server{}
			if test.server != nil {
				test.server(s, config)
				host, port := s.Start(t)
				settings = append(settings, "host", host, "port", port)
			}
			r.configure("mail", append(settings, test.set...)...)
			a := r.last(r.owe("mail", "<p>Hello</p>", r.person("Roe", "", "", "")), test.state)
			if a.Error == nil || a.Error.Kind != test.kind || a.Status != test.status || !strings.Contains(a.Error.Message, test.message) {
				t.Errorf("the attempt is %d, %+v; want %d, %s with %q", a.Status, a.Error, test.status, test.kind, test.message)
			}
			if a.Error != nil && strings.Contains(fmt.Sprintf("%+v %+v", a, a.Error), "password") && strings.Contains(a.Error.Message, "wrong-password") {
				t.Errorf("the password is in %+v", a.Error)
			}
			if len(s.Mails()) != 0 {
				t.Errorf("the server took %+v", s.Mails())
			}
		})
	}
}

// A mail server that says nothing is given up within the lane's timeout.
func TestChannel_mail_timeout(t *testing.T) {
	r, _ := mailRig(t)
	blocked, _ := r.gate()
	s := &smtptest.Server{Reply: func(c string) string {
		if strings.HasPrefix(c, "MAIL") {
			<-blocked
		}
		return ""
	}}
	host, port := s.Start(t)
	t.Cleanup(func() { // before the server's, which waits
		for _, open := range r.gates {
			open()
		}
	})
	r.configure("mail", "host", host, "port", port, "from", "unit@example.org", "encryption", "none")
	storetest.Change(t, r.store, func(tx *store.Tx) error {
		lane, err := tx.Lane(1, bugle.ChannelByName("mail"))
		if err == nil {
			lane.TimeoutSeconds = 1
			err = tx.SaveLane(lane)
		}
		return err
	})
	a := r.last(r.owe("mail", "<p>Hello</p>", r.person("Roe", "", "", "")), bugle.Pending)
	if a.Error == nil || a.Error.Kind != bugle.ErrorTimeout || a.Took < time.Second || a.Took > 3*time.Second {
		t.Errorf("the attempt took %s: %+v", a.Took, a.Error)
	}
}

// A receiver that hangs up between the calls of one attempt, and one that is slow in both.
func TestChannel_discordPrivate_timeoutIsOfBoth(t *testing.T) {
	r := startRig(t)
	blocked, _ := r.gate()
	discord := newService(t, func(w http.ResponseWriter, q *http.Request) {
		if q.URL.Path == "/users/@me/channels" {
			w.Write([]byte(`{"id":"900"}`))
			return
		}
		<-blocked
	})
	t.Cleanup(func() {
		for _, open := range r.gates {
			open()
		}
	})
	r.configure("discord_private", "token", "bot-token", "api_url", discord.URL)
	storetest.Change(t, r.store, func(tx *store.Tx) error {
		lane, err := tx.Lane(1, bugle.ChannelByName("discord_private"))
		if err == nil {
			lane.TimeoutSeconds = 1
			err = tx.SaveLane(lane)
		}
		return err
	})
	a := r.last(r.owe("discord_private", "<p>Hello</p>", r.person("Roe", "", "77", "")), bugle.Pending)
	if a.Error == nil || a.Error.Kind != bugle.ErrorTimeout || a.Error.Message != "the receiver did not answer within 1 s" || a.Status != 0 || len(a.ResponseBody) > 0 {
		t.Errorf("the attempt is %+v: %+v", a, a.Error)
	}
}

// A paused channel keeps what it owes.
func TestChannel_paused(t *testing.T) {
	r := startRig(t)
	slack := newService(t, nil)
	r.configure("slack", "url", slack.URL+"/hook")
	set := func(status string) {
		storetest.Change(t, r.store, func(tx *store.Tx) error {
			lane, err := tx.Lane(1, bugle.ChannelByName("slack"))
			if err == nil {
				err = lane.SetChannel(value.Map("status", status))
			}
			if err != nil {
				return err
			}
			return tx.SaveLane(lane)
		})
	}
	set("paused")
	id := r.owe("slack", "<p>Hello</p>", nil)
	r.want(id, bugle.Pending, 0)
	set("active")
	r.last(id, bugle.Delivered)
}
