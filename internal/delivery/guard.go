package delivery

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"syscall"

	"code.dny.dev/ssrf"

	"github.com/buglehq/bugle"
)

// A Guard decides which addresses may be called: those of the public internet, what the operator
// allows besides, and nothing that the operator denies. It looks at the address that a connection
// is about to be made to, so a name that changes its address between two lookups gains nothing.
type Guard struct {
	allow, deny targetList
	metadata    bool // addresses of metadata services may be allowed as any other
	public      *ssrf.Guardian
	proxy       *Proxy // nil: none
}

// NewGuard returns a Guard with exceptions both ways. Each entry is a network (10.0.0.0/8), an IP
// address, or a host name, where *.lan stands for every name below lan. An allowed name allows
// whatever that name resolves to, for URLs that have it as their host; deny wins over allow. No entry
// allows a cloud's metadata service: see PermitMetadata. The error names every entry that is none of these.
func NewGuard(allow, deny []string) (*Guard, error) {
	g := &Guard{public: ssrf.New(ssrf.WithAnyPort())}
	var problems []error
	for _, entry := range allow {
		if err := g.allow.add(entry); err != nil {
			problems = append(problems, fmt.Errorf("allowed target %w", err))
		}
	}
	for _, entry := range deny {
		if err := g.deny.add(entry); err != nil {
			problems = append(problems, fmt.Errorf("denied target %w", err))
		}
	}
	if len(problems) > 0 {
		return nil, errors.Join(problems...)
	}
	return g, nil
}

// PermitMetadata lets the entries that are allowed hold for the metadata services of clouds too, which give
// credentials to whoever asks. It is called before the guard is used.
func (g *Guard) PermitMetadata() { g.metadata = true }

// PermitsMetadata reports whether the entries that are allowed hold for metadata services too.
func (g *Guard) PermitsMetadata() bool { return g.metadata }

// dial connects to an address in host:port form, if the guard permits host and the IP address
// that it turns out to have.
func (g *Guard) dial(ctx context.Context, dialer net.Dialer, network, address string) (net.Conn, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	host = bugle.PlainHost(host)
	if err := g.checkHost(host); err != nil {
		return nil, err
	}
	if g.proxy != nil {
		return g.dialThrough(ctx, dialer, network, address)
	}
	return g.dialDirectly(ctx, dialer, network, address, host)
}

// dialDirectly connects to an address in host:port form without a proxy, once its host, as it is named, is checked.
func (g *Guard) dialDirectly(ctx context.Context, dialer net.Dialer, network, address, host string) (net.Conn, error) {
	dialer.Control = func(_, address string, _ syscall.RawConn) error {
		to, err := netip.ParseAddrPort(address)
		if err != nil {
			return refuse(bugle.ErrorBlocked, "the address of the receiver cannot be checked")
		}
		return g.checkAddr(host, to.Addr())
	}
	return dialer.DialContext(ctx, network, address)
}

// Check looks a host up and says why it may not be called; nil if it may. Nothing is sent to it.
func (g *Guard) Check(ctx context.Context, host string) error {
	return g.check(ctx, net.DefaultResolver, host)
}

// check looks a host up by a resolver. All of its addresses have to be permitted.
func (g *Guard) check(ctx context.Context, resolver *net.Resolver, host string) error {
	host = bugle.PlainHost(strings.TrimSuffix(strings.TrimPrefix(host, "["), "]"))
	if err := g.checkHost(host); err != nil {
		return err
	}
	if g.proxy != nil && g.proxy.resolves && !g.proxy.direct.hasHost(host) {
		return g.checkLiteral(host)
	}
	addrs, err := resolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return refuse(bugle.ErrorDNS, "the host %s cannot be found", host)
	}
	for _, addr := range addrs {
		if err := g.checkAddr(host, addr); err != nil {
			return err
		}
	}
	return nil
}

// CheckTargets says what can be said of the targets of a webhook, or of the lane of a channel, when it is saved: that a
// host is denied, or is an address that may not be called. Names are not looked up, but for those of this machine. The
// error is a bugle.InvalidError. A nil Guard finds nothing.
func (g *Guard) CheckTargets(w *bugle.Webhook) error {
	if g == nil {
		return nil
	}
	var problems bugle.InvalidError
	add := func(field, host string) {
		if err := g.checkLiteral(host); err != nil {
			problems.Add(field, "The %s field must not lead there: %s.", field, err)
		}
	}
	channel := bugle.ChannelByName(w.Channel)
	if channel == nil {
		if u, err := url.Parse(w.URL); err == nil {
			add("url", u.Hostname())
		}
		return problems.Err()
	}
	for _, setting := range channel.Settings {
		switch text := w.Setting(setting.Name); {
		case text == "":
		case setting.Type == bugle.URLSetting:
			if u, err := url.Parse(text); err == nil {
				add("settings."+setting.Name, u.Hostname())
			}
		case setting.Name == "host":
			add("settings.host", text)
		}
	}
	return problems.Err()
}

// checkLiteral decides about a host without looking it up.
func (g *Guard) checkLiteral(host string) error {
	plain, ok := bugle.WireHost(host)
	if !ok {
		plain = bugle.PlainHost(host)
	}
	if err := g.checkHost(plain); err != nil {
		return err
	}
	if addr, err := netip.ParseAddr(plain); err == nil {
		return g.checkAddr(plain, addr)
	}
	if plain == "localhost" || strings.HasSuffix(plain, ".localhost") { // Source: RFC 6761, 6.3
		if err := g.checkAddr(plain, netip.AddrFrom4([4]byte{127, 0, 0, 1})); err != nil && g.checkAddr(plain, netip.IPv6Loopback()) != nil {
			return err
		}
	}
	return nil
}

// Entries are what the operator allows and denies, as texts.
func (g *Guard) Entries() (allow, deny []string) { return g.allow.entries(), g.deny.entries() }

// checkHost says what can be said before the host is looked up.
func (g *Guard) checkHost(host string) error {
	if g.deny.hasHost(host) {
		return refuse(bugle.ErrorBlocked, "the host %s is denied by --deny-target", host)
	}
	if !g.metadata && slices.Contains(metadataHosts, host) {
		return refuse(bugle.ErrorBlocked, "the host %s is a cloud's metadata service; the operator may allow it with --allow-metadata and --allow-target", host)
	}
	// Some resolvers read 2130706433, 0x7f000001 or 127.1 as an address, others ask the name
	// servers of the world for it.
	if _, err := netip.ParseAddr(host); err != nil && bugle.EndsInNumber(host) {
		return refuse(bugle.ErrorDNS, "the host %s is neither a name nor an IP address", host)
	}
	return nil
}

// checkAddr decides about an address of a host, and about where packets for it end up.
func (g *Guard) checkAddr(host string, addr netip.Addr) error {
	addr = addr.Unmap().WithZone("") // a prefix contains no address that has a zone
	ends := append([]netip.Addr{addr}, carriedIPv4(addr)...)
	switch {
	case slices.ContainsFunc(ends, g.deny.hasAddr):
		return refuse(bugle.ErrorBlocked, "the address %s is denied by --deny-target", addr)
	case !g.metadata && slices.ContainsFunc(ends, metadata.hasAddr):
		return refuse(bugle.ErrorBlocked, "the address %s is a cloud's metadata service; the operator may allow it with --allow-metadata and --allow-target", addr)
	case g.allow.hasHost(host):
		return nil
	case !slices.ContainsFunc(ends, func(end netip.Addr) bool { return !g.permits(end) }):
		return nil
	}
	return refuse(bugle.ErrorBlocked, "the address %s is not public; the operator may allow it with --allow-target", addr)
}

func (g *Guard) permits(addr netip.Addr) bool {
	return g.allow.hasAddr(addr) || g.public.SafeAddr(addr) == nil && !metadata.hasAddr(addr) // one of which is public
}

// metadata are the addresses at which clouds tell a machine about itself, and give it credentials: AWS with its containers
// and the many that took its address over, Google, Azure (the public one), Alibaba, Tencent, Oracle and Scaleway.
var metadata = targetList{prefixes: []netip.Prefix{
	netip.MustParsePrefix("169.254.169.0/24"),
	netip.MustParsePrefix("169.254.170.0/24"),
	netip.MustParsePrefix("169.254.0.23/32"),
	netip.MustParsePrefix("169.254.42.42/32"),
	netip.MustParsePrefix("168.63.129.16/32"),
	netip.MustParsePrefix("100.100.100.200/32"),
	netip.MustParsePrefix("192.0.0.192/32"),
	netip.MustParsePrefix("fd00:ec2::/32"),
	netip.MustParsePrefix("fd20:ce::254/128"),
	netip.MustParsePrefix("fd00:42::42/128"),
}}

// metadataHosts are names of them, refused before they are looked up.
var metadataHosts = []string{"metadata", "metadata.google.internal", "metadata.goog", "instance-data", "instance-data.ec2.internal", "metadata.tencentyun.com"}

var (
	compatible = netip.MustParsePrefix("::/96")
	translated = netip.MustParsePrefix("::ffff:0:0:0/96")
	sixToFour  = netip.MustParsePrefix("2002::/16")
	teredo     = netip.MustParsePrefix("2001::/32")
	nat64      = netip.MustParsePrefix("64:ff9b::/96")
	localNAT64 = netip.MustParsePrefix("64:ff9b:1::/48")
)

// carriedIPv4 returns the IPv4 addresses where packets for addr may end up, if a gateway takes one out of addr. Source:
// RFC 4291, 2.5.5.1; RFC 7915, 2.2; RFC 3056, 2; RFC 4380, 4; RFC 6052, 2.2; RFC 8215; RFC 5214, 6.1.
func carriedIPv4(addr netip.Addr) []netip.Addr {
	if !addr.Is6() {
		return nil
	}
	b := addr.As16()
	last := netip.AddrFrom4([4]byte(b[12:]))
	switch {
	case compatible.Contains(addr):
		if b[12] == 0 && b[13] == 0 { // :: and ::1, and others that are no addresses of anything
			return nil
		}
		return []netip.Addr{last}
	case translated.Contains(addr), nat64.Contains(addr):
		return []netip.Addr{last}
	case sixToFour.Contains(addr):
		return []netip.Addr{netip.AddrFrom4([4]byte(b[2:6]))}
	case teredo.Contains(addr): // the server, and the client
		return []netip.Addr{netip.AddrFrom4([4]byte(b[4:8])), netip.AddrFrom4([4]byte{^b[12], ^b[13], ^b[14], ^b[15]})}
	case localNAT64.Contains(addr): // whose gateway may have a prefix of 48, 56, 64 or 96 bits; byte 8 is left out
		return []netip.Addr{
			netip.AddrFrom4([4]byte{b[6], b[7], b[9], b[10]}), netip.AddrFrom4([4]byte{b[7], b[9], b[10], b[11]}),
			netip.AddrFrom4([4]byte{b[9], b[10], b[11], b[12]}), last,
		}
	case b[8]&^2 == 0 && b[9] == 0 && b[10] == 0x5e && b[11] == 0xfe:
		return []netip.Addr{last}
	}
	return nil
}

// A targetList holds what an operator allows or denies.
type targetList struct {
	prefixes []netip.Prefix
	hosts    []string // as bugle.PlainHost has them; "*.lan" stands for every name below lan
}

func (t *targetList) add(entry string) error {
	if prefix, err := netip.ParsePrefix(entry); err == nil && !prefix.Addr().Is4In6() {
		if whole := prefix.Masked(); prefix != whole {
			return fmt.Errorf("%q does not begin where its network does: want %s for the network, or %s for the one address", entry, whole, prefix.Addr())
		}
		t.prefixes = append(t.prefixes, prefix)
		return nil
	}
	unbracketed := strings.TrimSuffix(strings.TrimPrefix(entry, "["), "]")
	if addr, err := netip.ParseAddr(unbracketed); err == nil && addr.Zone() == "" {
		addr = addr.Unmap()
		t.prefixes = append(t.prefixes, netip.PrefixFrom(addr, addr.BitLen()))
		return nil
	}
	host := bugle.PlainHost(entry)
	if !bugle.IsHostName(strings.TrimPrefix(host, "*.")) {
		return fmt.Errorf("%q is not one: want a network such as 10.0.0.0/8, an IP address such as 10.1.2.3, or a host name such as hooks.internal or *.internal, without scheme, port or path", entry)
	}
	t.hosts = append(t.hosts, host)
	return nil
}

func (t *targetList) entries() []string {
	entries := slices.Clone(t.hosts)
	for _, p := range t.prefixes {
		entries = append(entries, p.String())
	}
	return entries
}

func (t *targetList) hasAddr(addr netip.Addr) bool {
	return slices.ContainsFunc(t.prefixes, func(p netip.Prefix) bool { return p.Contains(addr) })
}

func (t *targetList) hasHost(host string) bool {
	return slices.ContainsFunc(t.hosts, func(h string) bool {
		if below, ok := strings.CutPrefix(h, "*"); ok {
			return strings.HasSuffix(host, below)
		}
		return host == h
	})
}

// A refusal is an error of the dialler that already has its kind, and the words for an admin.
type refusal struct {
	bugle.AttemptError
	remote string // the IP address and port, if the connection was made
}

func refuse(kind bugle.ErrorKind, format string, args ...any) *refusal {
	return &refusal{AttemptError: bugle.AttemptError{Kind: kind, Message: fmt.Sprintf(format, args...)}}
}

func (r *refusal) Error() string { return r.Message }

// Refused reports whether an error of a Client is the guard's or of the TLS handshake, so that trying
// again is of no use.
func Refused(err error) bool {
	var r *refusal
	return errors.As(err, &r) && (r.Kind == bugle.ErrorBlocked || r.Kind == bugle.ErrorTLS)
}
