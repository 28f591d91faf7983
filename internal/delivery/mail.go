package delivery

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/textproto"
	"strconv"
	"strings"
	"time"

	"github.com/wneessen/go-mail"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/internal/chat"
)

const (
	mailMethod = "SMTP"
	mailOK     = 250      // the reply to a mail that was taken. Source: RFC 5321, 4.2.3
	maxPlain   = 64 << 10 // characters of a mail's part of plain text
)

func (m *mission) mailURL() string {
	scheme := "smtp"
	if m.lane.Setting("encryption") == "tls" {
		scheme = "smtps"
	}
	return scheme + "://" + net.JoinHostPort(m.lane.Setting("host"), m.lane.Setting("port"))
}

// mail sends a mail to the recipient.
func (m *mission) mail(ctx context.Context, deadline time.Time) *bugle.AttemptError {
	a := m.attempt
	message, failed := m.message()
	if failed != nil {
		return failed
	}
	a.Method, a.URL = mailMethod, m.mailURL()
	sending, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	sending, passage := m.client.guard.withPassage(sending)
	err := m.client.mail(sending, m.lane, message, a)
	switch {
	case message.IsDelivered(): // what went wrong since is of no account
		a.Status, a.Reason = mailOK, printable(message.ServerResponse(), 100)
		a.ResponseBody = []byte(printable(message.ServerResponse(), MaxResponseBody))
		return nil
	case ctx.Err() != nil:
		return &bugle.AttemptError{Kind: bugle.ErrorCancelled, Message: "the attempt was cancelled while under way"}
	case sending.Err() != nil || !time.Now().Before(deadline):
		if failed := lateAtProxy(passage, m.lane.Timeout()); failed != nil && a.RemoteAddress == "" {
			return failed
		}
		return &bugle.AttemptError{Kind: bugle.ErrorTimeout, Message: "the mail server did not take the mail within " + inSeconds(m.lane.Timeout())}
	}
	return explainMail(err, a)
}

// message is the mail.
func (m *mission) message() (*mail.Msg, *bugle.AttemptError) {
	to := m.sent.Recipient
	if to.Address == "" {
		return nil, impossible("the user %d has no e-mail address", to.ID)
	}
	plain, html := chat.PlainText(m.sent.Text, maxPlain), chat.MailHTML(m.sent.Text)
	if plain == "" && !strings.Contains(html, "<img") {
		return nil, noText
	}
	from, name := m.lane.Setting("from"), m.lane.Setting("from_name")
	if name == "" {
		name = m.organization
	}
	_, domain, _ := strings.Cut(from, "@")
	message := mail.NewMsg(mail.WithNoDefaultUserAgent())
	if err := message.FromFormat(name, from); err != nil {
		return nil, &bugle.AttemptError{Kind: bugle.ErrorConfig, Message: "the channel's setting from is no address that mails can come from"}
	}
	if err := message.AddToFormat(to.Name, to.Address); err != nil {
		return nil, impossible("the user %d has no valid e-mail address", to.ID)
	}
	message.Subject("New message from " + m.organization)
	message.SetMessageIDWithValue(bugle.MessageID(m.deliveryID) + "@" + domain)
	message.SetDateWithValue(m.attempt.StartedAt)
	message.SetGenHeader("Auto-Submitted", "auto-generated") // so that nobody's absence notice answers. Source: RFC 3834, 5
	message.SetBodyString(mail.TypeTextPlain, plain)
	message.AddAlternativeString(mail.TypeTextHTML, "<!DOCTYPE html><html><body>"+html+"</body></html>")
	return message, nil
}

// Mail sends a mail that no delivery is made for and no log keeps, by the settings of a lane of the channel mail. The
// error says what went wrong without what was sent.
func (c *Client) Mail(ctx context.Context, lane *bugle.Webhook, organization, subject string, to bugle.Recipient, html string) error {
	a := &bugle.Attempt{StartedAt: time.Now().UTC()}
	m := &mission{client: c, lane: lane, attempt: a, organization: organization, sent: bugle.Sent{Text: html, Recipient: &to}}
	message, failed := m.message()
	if failed == nil {
		message.Subject(subject)
		_, domain, _ := strings.Cut(lane.Setting("from"), "@")
		message.SetMessageIDWithValue(bugle.RandomText(24) + "@" + domain)
		sending, cancel := context.WithTimeout(ctx, lane.Timeout())
		defer cancel()
		err := c.mail(sending, lane, message, a)
		if message.IsDelivered() {
			return nil
		}
		failed = explainMail(err, a)
	}
	return fmt.Errorf("mail: %s: %s", failed.Kind, failed.Message)
}

// mail hands a message to the lane's mail server. The ctx must have a deadline.
func (c *Client) mail(ctx context.Context, lane *bugle.Webhook, message *mail.Msg, a *bugle.Attempt) error {
	host := lane.Setting("host")
	port, err := strconv.Atoi(lane.Setting("port"))
	if err != nil {
		return err
	}
	deadline, _ := ctx.Deadline()
	config := &tls.Config{RootCAs: c.tls.RootCAs, ServerName: host, MinVersion: tls.VersionTLS12}
	encryption := lane.Setting("encryption")
	dial := func(dialing context.Context, network, address string) (net.Conn, error) {
		conn, err := c.guard.dial(dialing, c.dialer, network, address)
		if err != nil {
			return nil, err
		}
		a.RemoteAddress = conn.RemoteAddr().String()
		context.AfterFunc(ctx, func() { conn.Close() })
		conn = &boundConn{conn, deadline}
		if encryption != "tls" {
			return conn, nil
		}
		secured := tls.Client(conn, config)
		if err := secured.HandshakeContext(ctx); err != nil {
			return nil, refuse(bugle.ErrorTLS, "%s", tlsMessage(err))
		}
		return secured, nil
	}
	policy := mail.TLSMandatory
	switch encryption {
	case "tls":
		policy = mail.TLSOpportunistic // which finds that it is encrypted already
	case "none":
		policy = mail.NoTLS
	}
	options := []mail.Option{mail.WithPort(port), mail.WithTimeout(time.Until(deadline)), mail.WithDialContextFunc(dial), mail.WithTLSPolicy(policy),
		mail.WithTLSConfig(config), mail.WithoutNoop()}
	if user := lane.Setting("username"); user != "" {
		// It takes the best way that the server offers, and none that shows the password to others on the line.
		options = append(options, mail.WithSMTPAuth(mail.SMTPAuthAutoDiscover), mail.WithUsername(user), mail.WithPassword(lane.Setting("password")))
	}
	client, err := mail.NewClient(host, options...)
	if err != nil {
		return err
	}
	connection, err := client.DialToSMTPClientWithContext(ctx)
	if err != nil {
		return err
	}
	err = client.SendWithSMTPClient(connection, message)
	return errors.Join(err, client.CloseWithSMTPClient(connection))
}

// A boundConn is a connection whose deadlines are never later than one.
type boundConn struct {
	net.Conn
	last time.Time
}

func (c *boundConn) bound(t time.Time) time.Time {
	if t.IsZero() || t.After(c.last) {
		return c.last
	}
	return t
}

func (c *boundConn) SetDeadline(t time.Time) error      { return c.Conn.SetDeadline(c.bound(t)) }
func (c *boundConn) SetReadDeadline(t time.Time) error  { return c.Conn.SetReadDeadline(c.bound(t)) }
func (c *boundConn) SetWriteDeadline(t time.Time) error { return c.Conn.SetWriteDeadline(c.bound(t)) }

// explainMail returns why a mail was not sent, in words for an admin.
func explainMail(err error, a *bugle.Attempt) *bugle.AttemptError {
	fail := func(kind bugle.ErrorKind, format string, args ...any) *bugle.AttemptError {
		return &bugle.AttemptError{Kind: kind, Message: fmt.Sprintf(format, args...)}
	}
	var (
		refused   *refusal
		lookup    *net.DNSError
		network   *net.OpError
		reply     *textproto.Error
		sending   *mail.SendError
		record    tls.RecordHeaderError
		authority x509.UnknownAuthorityError
		host      x509.HostnameError
		invalid   x509.CertificateInvalidError
		verifying *tls.CertificateVerificationError
		alert     tls.AlertError
	)
	switch {
	case errors.As(err, &refused):
		return &refused.AttemptError
	case errors.As(err, &lookup) && lookup.IsNotFound:
		return fail(bugle.ErrorDNS, "the host name %s has no address", printable(lookup.Name, 253))
	case errors.As(err, &lookup):
		return fail(bugle.ErrorDNS, "the host name %s cannot be looked up at the moment", printable(lookup.Name, 253))
	case errors.As(err, &network) && network.Op == "dial":
		return fail(bugle.ErrorConnect, "%s", dialMessage(network))
	case errors.As(err, &reply):
		a.Status, a.Reason = reply.Code, printable(reply.Msg, 100)
		return fail(bugle.ErrorStatus, "the mail server answered %d %s", reply.Code, printable(reply.Msg, 300))
	case errors.As(err, &sending) && sending.ErrorCode() != 0:
		a.Status = sending.ErrorCode()
		text, _, _ := strings.Cut(sending.Error(), ", affected") // the recipient, and the id
		failed := fail(bugle.ErrorStatus, "the mail server answered %d: %s", a.Status, printable(text, 300))
		// A reply of 5xx is for good. About the sender or the login it is the admin's to mend.
		failed.Permanent = a.Status >= 500 && (sending.Reason == mail.ErrSMTPRcptTo || sending.Reason == mail.ErrSMTPDataClose)
		return failed
	case errors.As(err, &record), errors.As(err, &authority), errors.As(err, &host), errors.As(err, &invalid), errors.As(err, &verifying), errors.As(err, &alert):
		return fail(bugle.ErrorTLS, "%s", strings.ReplaceAll(tlsMessage(err), "is the URL meant to start with http://?", "is the encryption meant to be starttls or none?"))
	case strings.Contains(err.Error(), "STARTTLS"): // the library has no name for it
		return fail(bugle.ErrorTLS, "the mail server offers no STARTTLS; the encryption may have to be tls or none")
	case errors.Is(err, mail.ErrNoSupportedAuthDiscovered), strings.Contains(err.Error(), "support SMTP AUTH"):
		return fail(bugle.ErrorConfig, "the mail server offers no login that keeps the password safe")
	case brokeOff(err):
		return fail(bugle.ErrorConnect, "the mail server closed the connection before it took the mail")
	}
	return fail(bugle.ErrorConnect, "the mail server did not answer as one")
}
