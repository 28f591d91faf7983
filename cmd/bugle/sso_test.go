package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/buglehq/bugle/internal/ssotest"
)

func TestSingleSignOn_refuses(t *testing.T) {
	database, _ := newDatabase(t)
	folder := t.TempDir()
	empty, full := filepath.Join(folder, "empty"), filepath.Join(folder, "full")
	for path, text := range map[string]string{empty: " \n", full: "tell-nobody\n"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	all := func(args ...string) []string {
		return append([]string{"--oidc-issuer", "https://id.example.com", "--oidc-client-id", "bugle", "--public-url", "https://bugle.example.com"}, args...)
	}
	for _, test := range []struct {
		args   []string
		secret string
		want   string
	}{
		{[]string{"--oidc-client-id", "bugle"}, "", "need --oidc-issuer"},
		{[]string{"--oidc-only"}, "", "need --oidc-issuer"},
		{[]string{"--oidc-issuer", "http://id.example.com"}, "x", "such as https://accounts.example.com"},
		{[]string{"--oidc-issuer", "https://me:tell-nobody@id.example.com"}, "x", "such as https://accounts.example.com"},
		{[]string{"--oidc-issuer", "id.example.com"}, "x", "such as https://accounts.example.com"},
		{[]string{"--oidc-issuer", "https://id.example.com"}, "x", "--oidc-client-id is missing"},
		{[]string{"--oidc-issuer", "https://id.example.com"}, "x", "needs --public-url"},
		{all(), "", "the client's secret is missing"},
		{all("--oidc-client-secret-file", empty), "", "the client's secret is missing"},
		{all("--oidc-client-secret-file", filepath.Join(folder, "none")), "", "no such file"},
		{all("--oidc-client-secret-file", full), "tell-nobody", "both --oidc-client-secret-file and BUGLE_OIDC_CLIENT_SECRET"},
		{all("--oidc-name", strings.Repeat("x", 101)), "x", "--oidc-name has 101 bytes"},
	} {
		t.Setenv(clientSecret, test.secret)
		status, _, stderr := runBugle(t, "", append([]string{"serve", "--database", database}, test.args...)...)
		if status != 2 || !strings.Contains(stderr, test.want) || strings.Contains(stderr, "tell-nobody") {
			t.Errorf("%q: status %d, %s", test.args, status, stderr)
		}
	}
}

// The provider's host may be called because the operator has named it, unless he has also denied it; a file may hold the secret.
func TestSingleSignOn_provider(t *testing.T) {
	at := ssotest.Start(t, time.Now)
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte(ssotest.Secret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	options := singleSignOn{OIDCIssuer: at.URL, OIDCClientID: ssotest.ClientID, OIDCClientSecretFile: secret, OIDCName: "Sign in"}
	if err := options.check("https://bugle.example.com"); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		denied []string
		want   string
	}{{nil, ""}, {[]string{"127.0.0.1"}, "is denied by --deny-target"}} {
		p, end, err := options.provider("https://bugle.example.com", nil, test.denied, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer end()
		to, _, err := p.Begin(t.Context(), "/")
		switch {
		case test.want == "" && (err != nil || !strings.HasPrefix(to, at.URL+"/authorize?") || !strings.Contains(to, "redirect_uri=https%3A%2F%2Fbugle.example.com%2Flogin%2Fsso%2Fcallback")):
			t.Errorf("sent to %s, %v", to, err)
		case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)):
			t.Errorf("sent to %s, %v, want %q", to, err, test.want)
		}
	}
}
