package delivery

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
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
	public      *ssrf.Guardian
}

// NewGuard returns a Guard with exceptions both ways. Each entry is a network (10.0.0.0/8), an IP
// address, or a host name, where *.lan stands for every name below lan. An allowed name allows
// whatever that name resolves to, for URLs that have it as their host; deny wins over allow. The
// error names every entry that is none of these.
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

// dial connects to an address in host:port form, if the guard permits host and the IP address
// that it turns out to have.
func (g *Guard) dial(ctx context.Context, dialer net.Dialer, network, address string) (net.Conn, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	host = plainHost(host)
	if err := g.checkHost(host); err != nil {
		return nil, err
	}
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
	host = plainHost(strings.TrimSuffix(strings.TrimPrefix(host, "["), "]"))
	if err := g.checkHost(host); err != nil {
		return err
	}
	addrs, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
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

// Entries are what the operator allows and denies, as texts.
func (g *Guard) Entries() (allow, deny []string) { return g.allow.entries(), g.deny.entries() }

// checkHost says what can be said before the host is looked up.
func (g *Guard) checkHost(host string) error {
	if g.deny.hasHost(host) {
		return refuse(bugle.ErrorBlocked, "the host %s is denied by --deny-target", host)
	}
	// Some resolvers read 2130706433, 0x7f000001 or 127.1 as an address, others ask the name
	// servers of the world for it.
	if _, err := netip.ParseAddr(host); err != nil && endsInNumber(host) {
		return refuse(bugle.ErrorDNS, "the host %s is neither a name nor an IP address", host)
	}
	return nil
}

// checkAddr decides about an address of a host.
func (g *Guard) checkAddr(host string, addr netip.Addr) error {
	addr = addr.Unmap().WithZone("") // a prefix contains no address that has a zone
	carried, carries := carriedIPv4(addr)
	switch {
	case g.deny.hasAddr(addr), carries && g.deny.hasAddr(carried):
		return refuse(bugle.ErrorBlocked, "the address %s is denied by --deny-target", addr)
	case g.allow.hasHost(host):
		return nil
	case !g.permits(addr), carries && !g.permits(carried):
		return refuse(bugle.ErrorBlocked, "the address %s is not public; the operator may allow it with --allow-target", addr)
	}
	return nil
}

func (g *Guard) permits(addr netip.Addr) bool {
	return g.allow.hasAddr(addr) || g.public.SafeAddr(addr) == nil
}

var (
	sixToFour = netip.MustParsePrefix("2002::/16")
	nat64     = netip.MustParsePrefix("64:ff9b::/96")
)

// carriedIPv4 returns the IPv4 address where packets for addr end up, if a gateway takes it out of
// addr. Source: RFC 3056, 2 and RFC 6052, 2.
func carriedIPv4(addr netip.Addr) (netip.Addr, bool) {
	b := addr.As16()
	switch {
	case sixToFour.Contains(addr):
		return netip.AddrFrom4([4]byte(b[2:6])), true
	case nat64.Contains(addr):
		return netip.AddrFrom4([4]byte(b[12:16])), true
	}
	return netip.Addr{}, false
}

// A targetList holds what an operator allows or denies.
type targetList struct {
	prefixes []netip.Prefix
	hosts    []string // as plainHost has them; "*.lan" stands for every name below lan
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
	host := plainHost(entry)
	if !validHost(strings.TrimPrefix(host, "*.")) {
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

// plainHost returns a host as it is compared: lower case, without the dot that ends a full name.
func plainHost(host string) string { return strings.ToLower(strings.TrimSuffix(host, ".")) }

// validHost reports whether a plain host is a name. Names in other scripts are to be given as they
// are on the wire: xn--….
func validHost(host string) bool {
	const letters = "abcdefghijklmnopqrstuvwxyz0123456789-_"
	for label := range strings.SplitSeq(host, ".") {
		if label == "" || len(label) > 63 || strings.Trim(label, letters) != "" {
			return false
		}
	}
	return len(host) <= 253 && !endsInNumber(host)
}

// endsInNumber reports whether the last label of a host is a number, decimal or hexadecimal. No
// name ends so: such a host is an IPv4 address, or meant to be taken for one.
func endsInNumber(host string) bool {
	last := host[strings.LastIndexByte(host, '.')+1:]
	return last != "" && strings.Trim(last, "0123456789") == "" || strings.HasPrefix(last, "0x")
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
