package main

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// trustedProxies are the networks of proxies before the server, which say from where a request came.
type trustedProxies []netip.Prefix

// parseTrustedProxies reads networks and addresses.
func parseTrustedProxies(texts []string) (trustedProxies, error) {
	var p trustedProxies
	for _, text := range texts {
		prefix, err := netip.ParsePrefix(text)
		if err != nil {
			var addr netip.Addr
			if addr, err = netip.ParseAddr(text); err == nil && addr.Zone() == "" {
				prefix = netip.PrefixFrom(addr.Unmap(), addr.Unmap().BitLen())
			}
		}
		if !prefix.IsValid() {
			return nil, fmt.Errorf("--trusted-proxy is %q, want a network or an address, such as 10.0.0.0/8 or 192.0.2.7", text)
		}
		if prefix.Bits() == 0 {
			return nil, fmt.Errorf("--trusted-proxy is %q, which is everybody: then anybody could say that he is somebody else", text)
		}
		p = append(p, prefix.Masked())
	}
	return p, nil
}

func (p trustedProxies) has(addr netip.Addr) bool {
	for _, prefix := range p {
		if prefix.Contains(addr) {
			return true
		}
	}
	return false
}

// clients gives requests the address of the client, as trusted proxies tell it in X-Forwarded-For: each adds at the end
// from where it has the request, so the last one that no trusted proxy has is the client's, and what is before it is what
// the client says.
func (p trustedProxies) clients(next http.Handler) http.Handler {
	if len(p) == 0 {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if client := p.client(r); client.IsValid() {
			copied := *r
			copied.RemoteAddr = net.JoinHostPort(client.String(), "0")
			r = &copied
		}
		next.ServeHTTP(w, r)
	})
}

// client returns the client's address if proxies tell another than the connection's.
func (p trustedProxies) client(r *http.Request) (client netip.Addr) {
	from, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil || !p.has(from.Addr().Unmap()) {
		return netip.Addr{}
	}
	told := strings.Join(r.Header.Values("X-Forwarded-For"), ",")
	for told != "" {
		at := strings.LastIndexByte(told, ',')
		addr, ok := forwardedAddr(strings.TrimSpace(told[at+1:]))
		if !ok {
			return client // the proxy that said so is the last one that is known
		}
		if client = addr; !p.has(addr) || at < 0 {
			return client
		}
		told = told[:at]
	}
	return client
}

// forwardedAddr reads an address with or without a port: some proxies add one.
func forwardedAddr(text string) (netip.Addr, bool) {
	if with, err := netip.ParseAddrPort(text); err == nil {
		return with.Addr().Unmap().WithZone(""), true
	}
	addr, err := netip.ParseAddr(strings.Trim(text, "[]"))
	return addr.Unmap().WithZone(""), err == nil
}

// strictTransport tells browsers to come by HTTPS from now on, if the server is reached by it.
func strictTransport(publicURL string, next http.Handler) http.Handler {
	if !strings.HasPrefix(publicURL, "https://") {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Strict-Transport-Security", "max-age=31536000")
		next.ServeHTTP(w, r)
	})
}
