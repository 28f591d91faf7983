package delivery

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/buglehq/bugle"
)

// A Proxy is the operator's way out: what a Guard permits is then connected to through it. Every connection is a tunnel,
// those of http:// URLs too, so what receivers get is the same, and TLS is between Bugle and the receiver.
type Proxy struct {
	scheme   string // http, https or socks5
	address  string // host and port
	user     *url.Userinfo
	resolves bool           // it gets names, and looks them up itself
	direct   targetList     // is connected to without it
	roots    *x509.CertPool // trusted to sign its own certificate; nil: those of the system
}

// ProxyOptions are how a Proxy is used.
type ProxyOptions struct {
	Direct   []string       // networks, addresses and hosts, as NewGuard takes them, that are connected to without the proxy
	Resolves bool           // hand names on instead of looking them up: see Guard.UseProxy
	RootCAs  *x509.CertPool // trusted to sign the proxy's own certificate, if it is https://; nil: those of the system
}

// proxyPorts are those of proxies whose address has none.
var proxyPorts = map[string]string{"http": "80", "https": "443", "socks5": "1080"}

// NewProxy returns the proxy at an address such as http://user:password@proxy.example.com:3128. The scheme is that of the
// connection to the proxy: http and https take CONNECT, socks5 is SOCKS 5. Errors show no user and no password.
func NewProxy(address string, o ProxyOptions) (*Proxy, error) {
	u, err := url.Parse(address)
	if err != nil || proxyPorts[u.Scheme] == "" || u.Hostname() == "" || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
		return nil, errors.New("the egress proxy's address is not one: want http://, https:// or socks5://, a host and a port, such as http://proxy.example.com:3128")
	}
	p := &Proxy{scheme: u.Scheme, user: u.User, resolves: o.Resolves, roots: o.RootCAs}
	port := u.Port()
	if port == "" {
		port = proxyPorts[u.Scheme]
	}
	host, ok := bugle.WireHost(u.Hostname())
	if n, err := strconv.Atoi(port); !ok || err != nil || n < 1 || n > 65535 {
		return nil, fmt.Errorf("the egress proxy's host and port are %q, want such as proxy.example.com:3128", u.Host)
	}
	p.address = net.JoinHostPort(host, port)
	if password, _ := p.user.Password(); p.scheme == "socks5" && (len(p.user.Username()) > 255 || len(password) > 255) {
		return nil, errors.New("the egress proxy's user and password may have 255 bytes each")
	}
	var problems []error
	for _, entry := range o.Direct {
		if err := p.direct.add(entry); err != nil {
			problems = append(problems, fmt.Errorf("direct target %w", err))
		}
	}
	return p, errors.Join(problems...)
}

// HasCredentials reports whether the address has a user or a password.
func (p *Proxy) HasCredentials() bool { return p.user != nil }

// String is the proxy's address without user and password.
func (p *Proxy) String() string { return p.scheme + "://" + p.address }

// UseProxy lets the guard connect through a proxy; nil is none. The guard decides as without: it looks names up, and has
// the proxy connect to an address that it has checked. With ProxyOptions.Resolves it cannot: then names are judged by how
// they are written alone, and the proxy decides about addresses. It is called before the guard is used.
func (g *Guard) UseProxy(p *Proxy) { g.proxy = p }

// Proxy is what the guard connects through; nil if there is none.
func (g *Guard) Proxy() *Proxy { return g.proxy }

// maxProxied is how many addresses of a host are tried through a proxy.
const maxProxied = 4

// dialThrough is dial with a proxy.
func (g *Guard) dialThrough(ctx context.Context, dialer net.Dialer, network, address string) (net.Conn, error) {
	full, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	host := bugle.PlainHost(full)
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return nil, refuse(bugle.ErrorConnect, "the port %s is none", printable(port, 20))
	}
	addr, err := netip.ParseAddr(full) // with a dot at its end it is none
	isName := err != nil
	switch {
	case isName && g.proxy.direct.hasHost(host):
		return g.dialDirectly(ctx, dialer, network, address, host)
	case isName && !bugle.IsHostName(host):
		return nil, refuse(bugle.ErrorDNS, "the host %s is neither a name nor an IP address", printable(host, 253))
	case isName && g.proxy.resolves:
		if err := g.checkLiteral(host); err != nil {
			return nil, err
		}
		return g.proxy.dial(ctx, host, port)
	}
	addrs := []netip.Addr{addr}
	if isName {
		resolver := dialer.Resolver
		if resolver == nil {
			resolver = net.DefaultResolver
		}
		if addrs, err = resolver.LookupNetIP(ctx, "ip", full); err != nil {
			return nil, err
		}
	}
	return g.tryEach(ctx, dialer, network, host, port, addrs)
}

// tryEach connects to the first of a host's addresses that is permitted and answers. The error is that of the first address,
// as without a proxy.
func (g *Guard) tryEach(ctx context.Context, dialer net.Dialer, network, host, port string, addrs []netip.Addr) (net.Conn, error) {
	var first error
	var permitted []netip.Addr
	for _, addr := range addrs {
		addr = addr.Unmap().WithZone("")
		if err := g.checkAddr(host, addr); err == nil && len(permitted) < maxProxied {
			permitted = append(permitted, addr)
		} else if first == nil {
			first = err
		}
	}
	for i, addr := range permitted {
		trying, cancel := shareOf(ctx, len(permitted)-i)
		conn, err := g.reach(trying, dialer, network, host, addr, port)
		cancel()
		if err == nil {
			return conn, nil
		}
		if first == nil {
			first = err
		}
		if refused := (*refusal)(nil); errors.As(err, &refused) && refused.Kind == bugle.ErrorProxy {
			return nil, err // which holds for the others too
		}
	}
	if first == nil {
		first = refuse(bugle.ErrorDNS, "the host name %s has no address", host)
	}
	return nil, first
}

// shareOf returns ctx with what one of several tries may take of the time that is left.
func shareOf(ctx context.Context, tries int) (context.Context, context.CancelFunc) {
	deadline, ok := ctx.Deadline()
	if !ok || tries == 1 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, max(time.Until(deadline)/time.Duration(tries), 2*time.Second))
}

// reach connects to an address that is permitted.
func (g *Guard) reach(ctx context.Context, dialer net.Dialer, network, host string, addr netip.Addr, port string) (net.Conn, error) {
	if g.proxy.direct.hasAddr(addr) {
		return g.dialDirectly(ctx, dialer, network, net.JoinHostPort(addr.String(), port), host)
	}
	return g.proxy.dial(ctx, addr.String(), port)
}

// How far a connection through a proxy has got.
const (
	notBegun      int32 = iota
	callingProxy        // nothing has come of it yet
	awaitingProxy       // it was asked for the receiver
	throughProxy        // it is connected to the receiver
)

// passageKey is where dial finds the *atomic.Int32 that says how far the connection of a call has got, if somebody wants to know.
type passageKey struct{}

// withPassage returns a context in which dial notes how far it gets; nil without a proxy.
func (g *Guard) withPassage(ctx context.Context) (context.Context, *atomic.Int32) {
	if g.proxy == nil {
		return ctx, nil
	}
	passage := new(atomic.Int32)
	return context.WithValue(ctx, passageKey{}, passage), passage
}

// lateAtProxy says what a call that has run out of time was waiting for, if that was the proxy; else it returns nil.
func lateAtProxy(passage *atomic.Int32, timeout time.Duration) *bugle.AttemptError {
	if passage == nil {
		return nil
	}
	switch passage.Load() {
	case callingProxy:
		return &bugle.AttemptError{Kind: bugle.ErrorProxy, Message: "the egress proxy did not answer within " + inSeconds(timeout)}
	case awaitingProxy: // of whom it waits for the receiver, or else hangs itself
		return &bugle.AttemptError{Kind: bugle.ErrorTimeout, Message: "the egress proxy was not connected to the receiver within " + inSeconds(timeout)}
	}
	return nil
}

// dial has the proxy connect to a host, which is an IP address or a name. Errors that are the proxy's are refusals with the
// kind proxy.
func (p *Proxy) dial(ctx context.Context, host, port string) (net.Conn, error) {
	passage, _ := ctx.Value(passageKey{}).(*atomic.Int32)
	if passage == nil {
		passage = new(atomic.Int32)
	}
	passage.Store(callingProxy)
	var dialer net.Dialer
	raw, err := dialer.DialContext(ctx, "tcp", p.address)
	if err != nil {
		return nil, refuse(bugle.ErrorProxy, "the egress proxy cannot be reached%s", whyNot(err))
	}
	stop := context.AfterFunc(ctx, func() { raw.SetDeadline(time.Unix(1, 0)) })
	conn, err := p.tunnel(ctx, raw, host, port, passage)
	if !stop() && err == nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		raw.Close()
		return nil, err
	}
	passage.Store(throughProxy)
	return conn, nil
}

// whyNot says why a connection was not made, in the words of the system.
func whyNot(err error) string {
	var why syscall.Errno
	var lookup *net.DNSError
	switch {
	case errors.As(err, &why):
		return ": " + why.Error()
	case errors.As(err, &lookup):
		return ": its name cannot be looked up"
	}
	return ""
}

// tunnel asks the proxy for a connection, on one to itself.
func (p *Proxy) tunnel(ctx context.Context, raw net.Conn, host, port string, passage *atomic.Int32) (net.Conn, error) {
	conn := raw
	if p.scheme == "https" {
		name, _, _ := net.SplitHostPort(p.address)
		secured := tls.Client(raw, &tls.Config{ServerName: name, RootCAs: p.roots, NextProtos: []string{"http/1.1"}})
		if err := secured.HandshakeContext(ctx); err != nil {
			return nil, refuse(bugle.ErrorProxy, "the TLS handshake with the egress proxy failed: %s", strings.ReplaceAll(tlsMessage(err), "the receiver", "the proxy"))
		}
		conn = secured
	}
	remote := target(net.JoinHostPort(host, port))
	if p.scheme == "socks5" {
		return &tunnelled{Conn: conn, remote: remote}, p.socks(conn, host, port, passage)
	}
	return p.connect(conn, remote, passage)
}

// maxProxyAnswer is how much a proxy may answer to CONNECT before its tunnel begins.
const maxProxyAnswer = 64 << 10

// connect asks for a tunnel by CONNECT. Source: RFC 9110, 9.3.6.
func (p *Proxy) connect(conn net.Conn, remote target, passage *atomic.Int32) (net.Conn, error) {
	request := "CONNECT " + string(remote) + " HTTP/1.1\r\nHost: " + string(remote) + "\r\n"
	if p.user != nil {
		password, _ := p.user.Password()
		request += "Proxy-Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(p.user.Username()+":"+password)) + "\r\n"
	}
	passage.Store(awaitingProxy)
	if _, err := io.WriteString(conn, request+"\r\n"); err != nil {
		return nil, closedByProxy
	}
	bounded := &io.LimitedReader{R: conn, N: maxProxyAnswer}
	reader := bufio.NewReader(bounded)
	response, err := http.ReadResponse(reader, &http.Request{Method: http.MethodConnect})
	switch {
	case err != nil && (brokeOff(err) && bounded.N > 0):
		return nil, closedByProxy
	case err != nil || response.StatusCode < 200:
		return nil, refuse(bugle.ErrorProxy, "the egress proxy did not answer with HTTP")
	case response.StatusCode > 299:
		return nil, refusedBy(response)
	}
	early, _ := reader.Peek(reader.Buffered()) // a mail server speaks first
	return &tunnelled{Conn: conn, remote: remote, early: slices.Clone(early)}, nil
}

var closedByProxy = refuse(bugle.ErrorProxy, "the egress proxy closed the connection before it answered")

// refusedBy is what a proxy means by an answer that is no success.
func refusedBy(response *http.Response) error {
	_, reason, _ := strings.Cut(response.Status, " ")
	if reason = printable(reason, 100); reason == "" {
		reason = http.StatusText(response.StatusCode)
	}
	answer := strings.TrimSpace(fmt.Sprintf("%d %s", response.StatusCode, reason))
	switch response.StatusCode {
	case http.StatusProxyAuthRequired:
		return refuse(bugle.ErrorProxy, "the egress proxy wants another user and password: it answered %s", answer)
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout: // what proxies say of a receiver that is down
		return refuse(bugle.ErrorConnect, "the egress proxy cannot reach the receiver: it answered %s", answer)
	}
	return refuse(bugle.ErrorProxy, "the egress proxy refuses to connect to the receiver: it answered %s", answer)
}

// socks asks for a tunnel by SOCKS 5. Source: RFC 1928, 3 to 6; RFC 1929.
func (p *Proxy) socks(conn net.Conn, host, port string, passage *atomic.Int32) error {
	const noPassword, byPassword = 0, 2
	methods := []byte{5, 1, noPassword}
	if p.user != nil {
		methods = []byte{5, 2, noPassword, byPassword}
	}
	chosen, err := exchange(conn, methods, 2)
	if err != nil {
		return err
	}
	switch {
	case chosen[0] != 5:
		return refuse(bugle.ErrorProxy, "the egress proxy did not answer with SOCKS 5")
	case chosen[1] == byPassword && p.user != nil:
		password, _ := p.user.Password()
		login := append([]byte{1, byte(len(p.user.Username()))}, p.user.Username()...)
		login = append(append(login, byte(len(password))), password...)
		if done, err := exchange(conn, login, 2); err != nil {
			return err
		} else if done[1] != 0 {
			return refuse(bugle.ErrorProxy, "the egress proxy wants another user and password")
		}
	case chosen[1] != noPassword:
		return refuse(bugle.ErrorProxy, "the egress proxy wants a user and a password")
	}
	request := []byte{5, 1, 0}
	if addr, err := netip.ParseAddr(host); err != nil {
		request = append(append(request, 3, byte(len(host))), host...)
	} else if addr.Is4() {
		request = append(append(request, 1), addr.AsSlice()...)
	} else {
		request = append(append(request, 4), addr.AsSlice()...)
	}
	n, _ := strconv.ParseUint(port, 10, 16) // dialThrough has checked it
	passage.Store(awaitingProxy)
	reply, err := exchange(conn, append(request, byte(n>>8), byte(n)), 5)
	if err != nil {
		return err
	}
	rest := map[byte]int{1: 4 + 2 - 1, 3: int(reply[4]) + 2, 4: 16 + 2 - 1}[reply[3]] // of the address that it has bound
	switch why := reply[1]; {
	case reply[0] != 5 || rest == 0:
		return refuse(bugle.ErrorProxy, "the egress proxy did not answer with SOCKS 5")
	case why >= 3 && why <= 6:
		return refuse(bugle.ErrorConnect, "the egress proxy cannot reach the receiver: %s", []string{"network unreachable", "host unreachable", "connection refused", "no reply"}[why-3])
	case why == 1:
		return refuse(bugle.ErrorConnect, "the egress proxy cannot reach the receiver")
	case why != 0:
		return refuse(bugle.ErrorProxy, "the egress proxy refuses to connect to the receiver: it answered %d", why)
	}
	_, err = exchange(conn, nil, rest)
	return err
}

// exchange writes a message and reads an answer of n bytes.
func exchange(conn net.Conn, message []byte, n int) ([]byte, error) {
	if _, err := conn.Write(message); err != nil {
		return nil, closedByProxy
	}
	answer := make([]byte, n)
	if _, err := io.ReadFull(conn, answer); err != nil {
		return nil, closedByProxy
	}
	return answer, nil
}

// A target is where a tunnel leads: an IP address, or a name, and a port.
type target string

// Network makes a target a net.Addr.
func (target) Network() string { return "tcp" }

func (t target) String() string { return string(t) }

// A tunnelled connection is one to the receiver, through a proxy.
type tunnelled struct {
	net.Conn
	remote target
	early  []byte // came with the proxy's answer
}

// RemoteAddr is where the tunnel leads.
func (c *tunnelled) RemoteAddr() net.Addr { return c.remote }

// Read reads what came early first.
func (c *tunnelled) Read(b []byte) (int, error) {
	if len(c.early) > 0 {
		n := copy(b, c.early)
		c.early = c.early[n:]
		return n, nil
	}
	return c.Conn.Read(b)
}
