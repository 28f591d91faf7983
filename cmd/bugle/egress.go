package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/buglehq/bugle/internal/delivery"
)

// egress are the options about the way out.
type egress struct {
	EgressProxy         string   `help:"Proxy through which everything is called: http:// or https:// (by CONNECT) or socks5://, host and port. Who may be called is decided as without it, by addresses looked up here. With a user and a password it is taken from the environment only." placeholder:"URL" env:"BUGLE_EGRESS_PROXY"`
	EgressProxyResolves bool     `help:"Hand host names to the proxy instead of looking them up. Private addresses behind names are then for the proxy to refuse." env:"BUGLE_EGRESS_PROXY_RESOLVES"`
	EgressDirect        []string `help:"Network, address or host that is called without the proxy. Repeatable." placeholder:"TARGET" env:"BUGLE_EGRESS_DIRECT"`
}

// proxy is the proxy that the options name; nil if they name none.
func (e egress) proxy() (*delivery.Proxy, error) {
	if e.EgressProxy == "" {
		if e.EgressProxyResolves || len(e.EgressDirect) > 0 {
			return nil, errors.New("--egress-proxy-resolves and --egress-direct need --egress-proxy")
		}
		return nil, nil
	}
	p, err := delivery.NewProxy(e.EgressProxy, delivery.ProxyOptions{Direct: e.EgressDirect, Resolves: e.EgressProxyResolves})
	if err != nil {
		return nil, fmt.Errorf("--egress-proxy and --egress-direct: %w", err)
	}
	if p.HasCredentials() && os.Getenv("BUGLE_EGRESS_PROXY") != e.EgressProxy {
		return nil, fmt.Errorf("--egress-proxy %s has a user or a password, which others on this machine can see: give it by BUGLE_EGRESS_PROXY instead", p)
	}
	return p, nil
}
