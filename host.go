package bugle

import (
	"net/netip"
	"strings"

	"golang.org/x/net/idna"
)

// PlainHost returns a host as it is compared: lower case, without the dot that ends a full name.
func PlainHost(host string) string { return strings.ToLower(strings.TrimSuffix(host, ".")) }

// IsHostName reports whether a plain host is a name. Names in other scripts are as they are on the
// wire: xn--….
func IsHostName(host string) bool {
	const letters = "abcdefghijklmnopqrstuvwxyz0123456789-_"
	for label := range strings.SplitSeq(host, ".") {
		if label == "" || len(label) > 63 || strings.Trim(label, letters) != "" {
			return false
		}
	}
	return len(host) <= 253 && !EndsInNumber(host)
}

// EndsInNumber reports whether the last label of a plain host is a number, decimal or hexadecimal. No
// name ends so: such a host is an IPv4 address, or meant to be taken for one.
func EndsInNumber(host string) bool {
	last := host[strings.LastIndexByte(host, '.')+1:]
	return last != "" && strings.Trim(last, "0123456789") == "" || strings.HasPrefix(last, "0x")
}

// WireHost returns the host of a URL, without brackets and port, as requests to it have it: names in
// other scripts in ASCII, and digits and dots of other scripts as the plain ones that they stand for. It is a plain
// host, or ok is false, and it is neither a name nor an IP address.
func WireHost(host string) (plain string, ok bool) {
	if addr, err := netip.ParseAddr(host); err == nil {
		return addr.String(), true
	}
	if strings.ContainsFunc(host, func(r rune) bool { return r >= 0x80 }) {
		wire, err := idna.Lookup.ToASCII(host)
		if err != nil {
			return "", false
		}
		host = wire
	}
	plain = PlainHost(host)
	if addr, err := netip.ParseAddr(plain); err == nil {
		return addr.String(), true
	}
	return plain, IsHostName(plain)
}
