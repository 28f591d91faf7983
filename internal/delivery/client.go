package delivery

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
	"unicode"

	"github.com/buglehq/bugle"
)

// MaxResponseBody is how much of an answer's body is kept.
const MaxResponseBody = 64 << 10

const (
	maxDrain           = 256 << 10 // read beyond MaxResponseBody, so that the connection can be used again
	maxResponseHeaders = 64 << 10  // of all headers of an answer, those of its 1xx answers included
	maxIdle            = 1024      // idle connections to all hosts

	// idleTimeout is shorter than what most servers grant, so that they rarely close a connection
	// just when it is wanted.
	idleTimeout = 30 * time.Second
)

// A Client makes the outgoing HTTP calls: to addresses that its guard permits, by HTTP/1.1,
// without a proxy, and without following redirects.
type Client struct {
	guard     *Guard
	dialer    net.Dialer
	tls       *tls.Config
	transport *http.Transport
}

// ClientOptions are what can be chosen about a Client; the zero value works.
type ClientOptions struct {
	MaxIdlePerHost int            // connections kept open to a host between requests; 64 if zero
	RootCAs        *x509.CertPool // trusted to sign receivers' certificates; nil: those of the system
	Resolver       *net.Resolver  // nil: the default one
}

// NewClient returns a client that calls what guard permits.
func NewClient(guard *Guard, options ClientOptions) *Client {
	c := &Client{
		guard:  guard,
		dialer: net.Dialer{Resolver: options.Resolver},
		tls: &tls.Config{
			RootCAs:            options.RootCAs,
			ClientSessionCache: tls.NewLRUClientSessionCache(0),
		},
	}
	perHost := options.MaxIdlePerHost
	if perHost <= 0 {
		perHost = 64
	}
	var http1 http.Protocols
	http1.SetHTTP1(true)
	c.transport = &http.Transport{
		DialContext:            c.dial,
		DialTLSContext:         c.dialTLS,
		Protocols:              &http1,
		DisableCompression:     true, // neither asked for nor undone
		MaxIdleConns:           max(maxIdle, perHost),
		MaxIdleConnsPerHost:    perHost,
		IdleConnTimeout:        idleTimeout,
		MaxResponseHeaderBytes: maxResponseHeaders,
	}
	return c
}

// Close closes the connections that are idle.
func (c *Client) Close() { c.transport.CloseIdleConnections() }

// RoundTrip makes a Client an http.RoundTripper, for those who read more of an answer than Send keeps.
// The request's context must have a deadline.
func (c *Client) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx := r.Context()
	if _, ok := ctx.Deadline(); !ok {
		return nil, errors.New("a request without a deadline")
	}
	return c.transport.RoundTrip(r.WithContext(context.WithValue(ctx, sendingKey{}, ctx)))
}

// sendingKey is where dial finds the context of the Send that began it.
type sendingKey struct{}

func (c *Client) dial(ctx context.Context, network, address string) (net.Conn, error) {
	ctx, cancel := connecting(ctx)
	defer cancel()
	return c.guard.dial(ctx, c.dialer, network, address)
}

// dialTLS connects and shakes hands, which net/http would do as well, but then an end of file
// during the handshake could not be told from one before the answer.
func (c *Client) dialTLS(ctx context.Context, network, address string) (net.Conn, error) {
	ctx, cancel := connecting(ctx)
	defer cancel()
	raw, err := c.guard.dial(ctx, c.dialer, network, address)
	if err != nil {
		return nil, err
	}
	config := c.tls.Clone()
	config.ServerName, _, _ = net.SplitHostPort(address) // the guard has split it already
	conn := tls.Client(raw, config)
	if err := conn.HandshakeContext(ctx); err != nil {
		raw.Close()
		failed := refuse(bugle.ErrorTLS, "%s", tlsMessage(err))
		failed.remote = raw.RemoteAddr().String()
		return nil, failed
	}
	return conn, nil
}

// connecting returns ctx with the deadline of the Send that began it, and a second on top, so that
// it is Send that runs out of time first. By itself ctx has none: net/http goes on connecting when
// a request is given up, for the benefit of the next.
func connecting(ctx context.Context) (context.Context, context.CancelFunc) {
	sending := ctx.Value(sendingKey{}).(context.Context)
	deadline, _ := sending.Deadline()
	return context.WithDeadline(ctx, deadline.Add(time.Second))
}

// A Request is what to send. Its header and body stay as they are until Send returns, and the body
// even afterwards, since a receiver may answer before it has read it.
type Request struct {
	Method string // GET or POST
	URL    string // complete, for GET with its query

	// Header is sent as is, keys in the case they have. It holds a User-Agent, as there is none by
	// default. Send adds an entry without values, which is not sent.
	Header http.Header

	Body    []byte        // nil for none
	Timeout time.Duration // above 0, from dialling to the last byte of the answer
}

// notSent is a header key that allows net/http to send a POST once more, on another connection,
// when the receiver closed an idle one just then. Without values it is not sent.
const notSent = "X-Idempotency-Key"

// Send makes one exchange, and fills in of a what the exchange tells: Took, Status, Reason, Error,
// ResponseHeaders, ResponseBody, ResponseTruncated and RemoteAddress. An attempt delivered if the
// status is 2xx and the body came to its end, or was longer than anyone would read. Signatures and
// credentials of the request are masked in all of it. The one
// request may be written twice, if the receiver closed a connection that had been idle.
func (c *Client) Send(ctx context.Context, r *Request, a *bugle.Attempt) {
	start := time.Now()
	sending, cancel := context.WithTimeout(ctx, r.Timeout)
	defer cancel()
	sending, passage := c.guard.withPassage(sending)
	err := c.exchange(sending, r, a)
	switch {
	case ctx.Err() != nil && err != nil:
		a.Error = &bugle.AttemptError{Kind: bugle.ErrorCancelled, Message: "the attempt was cancelled while under way"}
	case a.Status == 0 || err != nil && a.Status/100 == 2:
		late := sending.Err() != nil
		if late && a.RemoteAddress == "" {
			a.Error = lateAtProxy(passage, r.Timeout)
		}
		if a.Error == nil {
			a.Error = explain(err, r, a, late)
		}
	default:
		a.Error = statusError(a)
	}
	a.Took = time.Since(start)
	scrub(a, r.credentials()) // some receivers answer with what they were sent
}

// exchange sends the request and reads the answer.
func (c *Client) exchange(ctx context.Context, r *Request, a *bugle.Attempt) error {
	u, err := url.Parse(r.URL)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
		return refuse(bugle.ErrorConnect, "the URL must start with http:// or https:// and name a host")
	}
	if r.Header == nil {
		r.Header = http.Header{}
	}
	if _, ok := r.Header[notSent]; !ok {
		r.Header[notSent] = nil
	}
	request := &http.Request{
		Method: r.Method,
		URL:    u,
		Header: r.Header,
		Host:   u.Host,
	}
	if len(r.Body) > 0 {
		request.ContentLength = int64(len(r.Body))
		request.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(r.Body)), nil }
		request.Body, _ = request.GetBody()
	}
	trace := &httptrace.ClientTrace{GotConn: func(got httptrace.GotConnInfo) {
		a.RemoteAddress = got.Conn.RemoteAddr().String()
	}}
	ctx = httptrace.WithClientTrace(context.WithValue(ctx, sendingKey{}, ctx), trace)
	response, err := c.transport.RoundTrip(request.WithContext(ctx))
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode < 100 {
		return errNoHTTP
	}
	a.Status = response.StatusCode
	_, reason, _ := strings.Cut(response.Status, " ")
	a.Reason = printable(reason, 100)
	a.ResponseHeaders = cleanHeader(response.Header)
	if a.Status == http.StatusSwitchingProtocols {
		return nil // what follows is no body
	}
	return readBody(response.Body, a)
}

// errNoHTTP is an answer that net/http takes for one, although it has no status.
var errNoHTTP = errors.New("no HTTP status")

// cleanHeader makes the values of an answer's header printable.
func cleanHeader(h http.Header) http.Header {
	for _, values := range h {
		for i, v := range values {
			values[i] = printable(v, maxResponseHeaders)
		}
	}
	return h
}

// bodyBuffers hold bodies while they are read: most of them are small, and are kept in a copy of
// the right size.
var bodyBuffers = sync.Pool{New: func() any { return new([MaxResponseBody]byte) }}

// readBody keeps the first MaxResponseBody bytes, and reads on as far as that may save the
// connection. It returns nil if the body ended or went beyond that.
func readBody(body io.Reader, a *bugle.Attempt) error {
	buffer := bodyBuffers.Get().(*[MaxResponseBody]byte)
	defer bodyBuffers.Put(buffer)
	n, err := 0, error(nil)
	for n < len(buffer) && err == nil {
		var more int
		more, err = body.Read(buffer[n:])
		n += more
	}
	if n > 0 {
		a.ResponseBody = bytes.Clone(buffer[:n])
	}
	for drained := 0; err == nil && drained < maxDrain; {
		var more int
		more, err = body.Read(buffer[:min(len(buffer), maxDrain-drained)])
		drained += more
		a.ResponseTruncated = a.ResponseTruncated || more > 0
	}
	if err == io.EOF {
		return nil
	}
	return err
}

// statusError returns what an answer means that was read to its end; nil if it was a success.
func statusError(a *bugle.Attempt) *bugle.AttemptError {
	if a.Status/100 == 2 {
		return nil
	}
	reason := a.Reason
	if reason == "" {
		reason = http.StatusText(a.Status)
	}
	answer := strings.TrimRight(fmt.Sprintf("the receiver answered %d %s", a.Status, reason), " ")
	if a.Status/100 != 3 {
		return &bugle.AttemptError{Kind: bugle.ErrorStatus, Message: answer}
	}
	if to := redirectTarget(a.ResponseHeaders.Get("Location")); to != "" {
		answer += ", which points to " + to
	}
	return &bugle.AttemptError{Kind: bugle.ErrorRedirect, Message: answer + "; redirects are not followed"}
}

// redirectTarget returns a Location fit to be shown: without what may be secret in it.
func redirectTarget(location string) string {
	u, err := url.Parse(location)
	if err != nil {
		return ""
	}
	u.User, u.RawQuery, u.ForceQuery, u.Fragment = nil, "", false, ""
	return printable(u.String(), 300)
}

// explain returns what went wrong before the end of the answer, in words for an admin.
func explain(err error, r *Request, a *bugle.Attempt, late bool) *bugle.AttemptError {
	fail := func(kind bugle.ErrorKind, format string, args ...any) *bugle.AttemptError {
		return &bugle.AttemptError{Kind: kind, Message: fmt.Sprintf(format, args...)}
	}
	var (
		refused *refusal
		lookup  *net.DNSError
		network *net.OpError
	)
	switch {
	case late && a.Status == 0:
		return fail(bugle.ErrorTimeout, "the receiver did not answer within %s", inSeconds(r.Timeout))
	case late:
		return fail(bugle.ErrorTimeout, "the receiver did not answer completely within %s", inSeconds(r.Timeout))
	case a.Status != 0:
		return fail(bugle.ErrorBody, "the receiver's answer broke off after %d bytes of its body", len(a.ResponseBody))
	case errors.As(err, &refused):
		if refused.remote != "" {
			a.RemoteAddress = refused.remote
		}
		return &refused.AttemptError
	case errors.As(err, &lookup) && lookup.IsNotFound:
		return fail(bugle.ErrorDNS, "the host name %s has no address", printable(lookup.Name, 253))
	case errors.As(err, &lookup):
		return fail(bugle.ErrorDNS, "the host name %s cannot be looked up at the moment", printable(lookup.Name, 253))
	case errors.As(err, &network) && network.Op == "dial":
		return fail(bugle.ErrorConnect, "%s", dialMessage(network))
	case a.RemoteAddress == "":
		return fail(bugle.ErrorConnect, "the request cannot be made as it is: its URL or one of its headers is not valid")
	case brokeOff(err):
		return fail(bugle.ErrorConnect, "the receiver closed the connection before it answered")
	case strings.Contains(err.Error(), "headers exceeded"): // net/http has no name for it
		return fail(bugle.ErrorConnect, "the receiver answered with more than %d KiB of headers", maxResponseHeaders>>10)
	}
	return fail(bugle.ErrorConnect, "the receiver did not answer with HTTP")
}

// brokeOff reports whether err means that the connection ended, rather than that what came over
// it made no sense.
func brokeOff(err error) bool {
	var network *net.OpError
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.As(err, &network) ||
		strings.Contains(err.Error(), "server closed idle connection") // net/http does not export it
}

func dialMessage(err *net.OpError) string {
	message := "the receiver cannot be reached"
	if err.Addr != nil {
		message = "the receiver at " + err.Addr.String() + " cannot be reached"
	}
	var why syscall.Errno
	switch {
	case errors.As(err, &why):
		message += ": " + why.Error()
	case err.Timeout():
		message += ": no reply"
	}
	return message
}

func tlsMessage(err error) string {
	var (
		record    tls.RecordHeaderError
		authority x509.UnknownAuthorityError
		host      x509.HostnameError
		invalid   x509.CertificateInvalidError
		verifying *tls.CertificateVerificationError
		network   *net.OpError
	)
	switch {
	case errors.As(err, &record):
		return "the receiver does not speak TLS on this port: is the URL meant to start with http://?"
	case errors.As(err, &authority):
		return "the receiver's certificate is signed by an unknown authority"
	case errors.As(err, &host):
		return "the receiver's certificate is not for the host name " + printable(host.Host, 253)
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "the receiver's certificate has expired or is not valid yet"
	case errors.As(err, &verifying):
		return "the receiver's certificate cannot be verified"
	case errors.As(err, &network) && network.Op == "remote error":
		return "the receiver refused the TLS handshake: " + strings.TrimPrefix(network.Err.Error(), "tls: ")
	case brokeOff(err):
		return "the receiver closed the connection during the TLS handshake"
	}
	return "the TLS handshake with the receiver failed"
}

func inSeconds(d time.Duration) string { return strconv.FormatFloat(d.Seconds(), 'f', -1, 64) + " s" }

// printable returns a receiver's text without control characters, those that turn the direction of writing, and
// bytes that are not UTF-8, cut off at a number of bytes.
func printable(text string, limit int) string {
	if len(text) > limit {
		text = strings.ToValidUTF8(text[:limit], "") + "…"
	}
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) {
			return -1
		}
		return r
	}, text)
}
