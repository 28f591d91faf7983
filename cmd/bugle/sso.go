package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/jonboulle/clockwork"

	"github.com/buglehq/bugle/internal/admin"
	"github.com/buglehq/bugle/internal/delivery"
	"github.com/buglehq/bugle/internal/sso"
)

// singleSignOn are the options about single sign-on.
type singleSignOn struct {
	OIDCIssuer           string `help:"Address of a provider of OpenID Connect by which people sign in to the panel, as it calls itself. It may be called whatever its address is." name:"oidc-issuer" placeholder:"URL" env:"BUGLE_OIDC_ISSUER"`
	OIDCClientID         string `help:"This server's client id at the provider." name:"oidc-client-id" placeholder:"ID" env:"BUGLE_OIDC_CLIENT_ID"`
	OIDCClientSecretFile string `help:"File with the client's secret, which may be in the environment as BUGLE_OIDC_CLIENT_SECRET instead." name:"oidc-client-secret-file" placeholder:"FILE" env:"BUGLE_OIDC_CLIENT_SECRET_FILE"`
	OIDCName             string `help:"What the button on the sign-in page says." name:"oidc-name" default:"Sign in with single sign-on" placeholder:"TEXT" env:"BUGLE_OIDC_NAME"`
	OIDCOnly             bool   `help:"Let nobody sign in to the panel by a password." name:"oidc-only" env:"BUGLE_OIDC_ONLY"`
}

const clientSecret = "BUGLE_OIDC_CLIENT_SECRET"

// maxName is how long the button's text may be, in bytes.
const maxName = 100

// check returns what is wrong with the options.
func (c singleSignOn) check(publicURL string) error {
	if c.OIDCIssuer == "" {
		if c.OIDCClientID != "" || c.OIDCClientSecretFile != "" || c.OIDCOnly {
			return errors.New("--oidc-client-id, --oidc-client-secret-file and --oidc-only need --oidc-issuer")
		}
		return nil
	}
	var errs []error
	if _, err := sso.IssuerHost(c.OIDCIssuer); err != nil {
		errs = append(errs, fmt.Errorf("--oidc-issuer: %w", err))
	}
	if c.OIDCClientID == "" {
		errs = append(errs, errors.New("--oidc-client-id is missing: the provider gives one when this server is registered there"))
	}
	if publicURL == "" {
		errs = append(errs, errors.New("--oidc-issuer needs --public-url: the provider sends people back there, to the path "+admin.SSOCallback))
	}
	if name := strings.TrimSpace(c.OIDCName); name == "" || len(name) > maxName {
		errs = append(errs, fmt.Errorf("--oidc-name has %d bytes, want 1 to %d", len(name), maxName))
	}
	_, err := c.secret()
	return errors.Join(append(errs, err)...)
}

// secret is the client's at the provider.
func (c singleSignOn) secret() (string, error) {
	text := os.Getenv(clientSecret)
	switch {
	case c.OIDCClientSecretFile != "" && text != "":
		return "", fmt.Errorf("both --oidc-client-secret-file and %s are set: want one", clientSecret)
	case c.OIDCClientSecretFile != "":
		file, err := os.ReadFile(c.OIDCClientSecretFile)
		if err != nil {
			return "", fmt.Errorf("--oidc-client-secret-file: %w", err)
		}
		text = string(file)
	}
	if text = strings.TrimSpace(text); text == "" {
		return "", fmt.Errorf("the client's secret is missing: name a file with it by --oidc-client-secret-file, or set %s", clientSecret)
	}
	return text, nil
}

// provider is what the options ask for, and what to call at the end; nil: no single sign-on. Its client may call the provider's host
// whatever its address is, and otherwise what webhooks may.
func (c singleSignOn) provider(publicURL string, allowed, denied []string, proxy *delivery.Proxy, clock clockwork.Clock) (*sso.Provider, func(), error) {
	if c.OIDCIssuer == "" {
		return nil, func() {}, nil
	}
	secret, err := c.secret()
	if err != nil {
		return nil, nil, err
	}
	if clock == nil {
		clock = clockwork.NewRealClock()
	}
	host, err := sso.IssuerHost(c.OIDCIssuer)
	if err != nil {
		return nil, nil, err
	}
	guard, err := delivery.NewGuard(append([]string{host}, allowed...), denied)
	if err != nil {
		return nil, nil, err
	}
	guard.UseProxy(proxy)
	client := delivery.NewClient(guard, delivery.ClientOptions{MaxIdlePerHost: 2})
	p, err := sso.New(sso.Options{Issuer: c.OIDCIssuer, ClientID: c.OIDCClientID, Secret: secret, Name: strings.TrimSpace(c.OIDCName), Only: c.OIDCOnly,
		Redirect: strings.TrimRight(publicURL, "/") + admin.SSOCallback, Clock: clock, Client: client})
	if err != nil {
		client.Close()
		return nil, nil, err
	}
	return p, client.Close, nil
}
