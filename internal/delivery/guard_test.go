package delivery

import (
	"context"
	"errors"
	"net"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"github.com/buglehq/bugle"
)

func newGuard(t testing.TB, allow, deny []string) *Guard {
	t.Helper()
	guard, err := NewGuard(allow, deny)
	if err != nil {
		t.Fatal(err)
	}
	return guard
}

// noNameServer is a resolver that knows what /etc/hosts does, and sends nothing to anyone.
var noNameServer = &net.Resolver{
	PreferGo: true,
	Dial: func(context.Context, string, string) (net.Conn, error) {
		return nil, errors.New("no name server")
	},
}

// nameServer is a resolver that knows a name by an address, and no others; without an address it knows none at all.
func nameServer(name, address string) *net.Resolver {
	z := &zone{names: map[string][]string{}}
	if address != "" {
		z.names[name] = []string{address}
	}
	return z.resolver()
}

func TestNewGuard_namesWhatIsWrong(t *testing.T) {
	for entry, want := range map[string]string{
		"":                      "want a network such as",
		"*":                     "want a network such as",
		"10.1.2.3/8":            "want 10.0.0.0/8 for the network, or 10.1.2.3 for the one address",
		"10.0.0.0/33":           "without scheme, port or path",
		"127.1":                 "want a network such as",
		"2130706433":            "want a network such as",
		"0x7f000001":            "want a network such as",
		"fe80::1%lo":            "want a network such as",
		"::ffff:10.0.0.0/104":   "want a network such as",
		"http://hooks.lan":      "without scheme, port or path",
		"hooks.lan:8080":        "without scheme, port or path",
		"hooks..lan":            "want a network such as",
		"hooks.*.lan":           "want a network such as",
		"bücher.lan":            "want a network such as",
		"two names":             "want a network such as",
		strings.Repeat("a", 64): "want a network such as",
	} {
		for option, err := range map[string]error{
			"allowed": second(NewGuard([]string{"10.0.0.0/8", entry}, nil)),
			"denied":  second(NewGuard(nil, []string{entry, "hooks.lan"})),
		} {
			if err == nil {
				t.Errorf("%s target %q was taken", option, entry)
				continue
			}
			if text := err.Error(); !strings.Contains(text, want) || !strings.HasPrefix(text, option+` target "`+entry+`"`) {
				t.Errorf("%s target %q: %q, want it to contain %q", option, entry, text, want)
			}
		}
	}
	err := second(NewGuard([]string{"a b", "c d"}, []string{"e f"}))
	for _, entry := range []string{"a b", "c d", "e f"} {
		if err == nil || !strings.Contains(err.Error(), entry) {
			t.Errorf("the error does not name %q: %v", entry, err)
		}
	}
}

func second[T any](_ T, err error) error { return err }

func TestGuard_checkAddr(t *testing.T) {
	const refused, denied, metadata = "is not public; the operator may allow it with --allow-target", "is denied by --deny-target", "metadata service; the operator may allow it with --allow-metadata"
	for _, test := range []struct {
		allow, deny, host, addr, want string // lists are separated by spaces; want is empty if permitted
	}{
		{addr: "93.184.216.34"},
		{addr: "2606:2800:220:1::1"},
		{addr: "::ffff:93.184.216.34"},

		{addr: "127.0.0.1", want: refused},
		{addr: "127.255.255.254", want: refused},
		{addr: "0.0.0.0", want: refused},
		{addr: "0.1.2.3", want: refused},
		{addr: "10.0.0.1", want: refused},
		{addr: "172.16.0.1", want: refused},
		{addr: "172.31.255.255", want: refused},
		{addr: "192.168.1.1", want: refused},
		{addr: "100.64.0.1", want: refused},
		{addr: "169.254.169.254", want: metadata},
		{addr: "224.0.0.1", want: refused},
		{addr: "255.255.255.255", want: refused},
		{addr: "192.0.2.1", want: refused},
		{addr: "::", want: refused},
		{addr: "::1", want: refused},
		{addr: "fe80::1", want: refused},
		{addr: "fe80::1%lo", want: refused},
		{addr: "fc00::1", want: refused},
		{addr: "fd00:ec2::254", want: metadata},
		{addr: "ff02::1", want: refused},
		{addr: "::127.0.0.1", want: refused},
		{addr: "::ffff:127.0.0.1", want: refused},
		{addr: "64:ff9b::7f00:1", want: refused},
		{addr: "64:ff9b::5db8:d822", want: refused},
		{addr: "64:ff9b:1::7f00:1", want: refused},
		{addr: "2002:7f00:1::", want: refused},
		{addr: "2001::1", want: refused},
		{addr: "2001:db8::1", want: refused},

		{allow: "127.0.0.0/8", addr: "127.0.0.1"},
		{allow: "127.0.0.0/8", addr: "::ffff:127.0.0.1"},
		{allow: "::ffff:127.0.0.1", addr: "127.0.0.1"},
		{allow: "127.0.0.0/8", addr: "::1", want: refused},
		{allow: "127.0.0.1", addr: "127.0.0.2", want: refused},
		{allow: "[::1]", addr: "::1"},
		{allow: "fe80::/10", addr: "fe80::1%lo"},
		{allow: "0.0.0.0/0 ::/0", addr: "127.0.0.1"},
		{allow: "0.0.0.0/0 ::/0", addr: "::1"},
		{allow: "10.0.0.0/8 192.168.0.0/16", addr: "192.168.1.1"},

		// A gateway may be allowed without what is private behind it.
		{allow: "64:ff9b::/96", addr: "64:ff9b::5db8:d822"},
		{allow: "64:ff9b::/96", addr: "64:ff9b::7f00:1", want: refused},
		{allow: "2002::/16", addr: "2002:7f00:1::", want: refused},
		{allow: "64:ff9b::/96 127.0.0.0/8", addr: "64:ff9b::7f00:1"},

		{allow: "hooks.lan", host: "hooks.lan", addr: "10.0.0.1"},
		{allow: "HOOKS.lan.", host: "hooks.lan", addr: "10.0.0.1"},
		{allow: "hooks.lan", host: "other.lan", addr: "10.0.0.1", want: refused},
		{allow: "hooks.lan", host: "a.hooks.lan", addr: "10.0.0.1", want: refused},
		{allow: "*.lan", host: "hooks.lan", addr: "10.0.0.1"},
		{allow: "*.lan", host: "a.hooks.lan", addr: "10.0.0.1"},
		{allow: "*.lan", host: "lan", addr: "10.0.0.1", want: refused},
		{allow: "*.lan", host: "vlan", addr: "10.0.0.1", want: refused},

		// Metadata services are allowed by no entry.
		{addr: "168.63.129.16", want: metadata},
		{addr: "100.100.100.200", want: metadata},
		{allow: "169.254.0.0/16", addr: "169.254.169.254", want: metadata},
		{allow: "169.254.169.254", addr: "169.254.169.254", want: metadata},
		{allow: "0.0.0.0/0 ::/0", addr: "64:ff9b::a9fe:a9fe", want: metadata},
		{allow: "*.lan", host: "hooks.lan", addr: "fd00:ec2::254", want: metadata},
		{allow: "169.254.0.0/16", deny: "169.254.169.254", addr: "169.254.169.254", want: denied},
		{allow: "169.254.0.0/16", addr: "169.254.1.1"},

		{deny: "93.184.0.0/16", addr: "93.184.216.34", want: denied},
		{deny: "93.184.0.0/16", addr: "93.185.0.1"},
		{allow: "10.0.0.0/8", deny: "10.1.0.0/16", addr: "10.1.0.1", want: denied},
		{allow: "10.0.0.0/8", deny: "10.1.0.0/16", addr: "10.2.0.1"},
		{allow: "10.1.0.1", deny: "10.0.0.0/8", addr: "10.1.0.1", want: denied},
		{allow: "hooks.lan", deny: "10.0.0.0/8", host: "hooks.lan", addr: "10.0.0.1", want: denied},
		{allow: "64:ff9b::/96", deny: "93.184.0.0/16", addr: "64:ff9b::5db8:d822", want: denied},
		{allow: "2002::/16", deny: "93.184.0.0/16", addr: "2002:5db8:d822::", want: denied},
		{allow: "fe80::/10", deny: "fe80::1", addr: "fe80::1%lo", want: denied},
	} {
		guard := newGuard(t, strings.Fields(test.allow), strings.Fields(test.deny))
		err := guard.checkAddr(test.host, netip.MustParseAddr(test.addr))
		if test.want == "" {
			if err != nil {
				t.Errorf("%+v: %v", test, err)
			}
			continue
		}
		var refused *refusal
		switch {
		case !errors.As(err, &refused):
			t.Errorf("%+v: permitted", test)
		case refused.Kind != bugle.ErrorBlocked || !strings.Contains(refused.Message, test.want):
			t.Errorf("%+v: %+v", test, refused.AttemptError)
		}
	}
}

// The operator has to say both: that a metadata service may be called, and which.
func TestGuard_PermitMetadata(t *testing.T) {
	guard := newGuard(t, []string{"169.254.169.254", "metadata.goog"}, []string{"169.254.170.0/24"})
	guard.PermitMetadata()
	for _, test := range []struct{ host, addr, want string }{
		{host: "169.254.169.254", addr: "169.254.169.254"},
		{host: "metadata.goog", addr: "169.254.169.253"},
		{host: "169.254.42.42", addr: "169.254.42.42", want: "is not public"},
		{host: "168.63.129.16", addr: "168.63.129.16", want: "is not public"},
		{host: "169.254.170.2", addr: "169.254.170.2", want: "is denied"},
	} {
		err := guard.checkHost(test.host)
		if err == nil {
			err = guard.checkAddr(test.host, netip.MustParseAddr(test.addr))
		}
		if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%+v: %v", test, err)
		}
	}
}

// What leads nowhere is said when it is saved, of webhooks and of channels.
func TestGuard_CheckTargets(t *testing.T) {
	lane := func(channel, setting, text string) *bugle.Webhook {
		w := bugle.ChannelByName(channel).Lane(1)
		w.Settings.Set(setting, text)
		return &w
	}
	for _, test := range []struct {
		allow, deny string
		w           *bugle.Webhook
		field       string // empty: nothing is wrong
	}{
		{w: &bugle.Webhook{URL: "https://hooks.example/"}},
		{w: &bugle.Webhook{URL: "http://10.0.0.1/"}, field: "url"},
		{w: &bugle.Webhook{URL: "http://10.0.0.1/"}, allow: "10.0.0.0/8"},
		{w: &bugle.Webhook{URL: "http://localhost/"}, field: "url"},
		{w: &bugle.Webhook{URL: "http://localhost/"}, allow: "127.0.0.1"},
		{w: &bugle.Webhook{URL: "http://localhost/"}, allow: "localhost"},
		{w: &bugle.Webhook{URL: "http://localhost/"}, allow: "127.0.0.1", deny: "localhost", field: "url"},
		{w: &bugle.Webhook{URL: "https://hooks.example/"}, deny: "*.example", field: "url"},
		{w: lane("mail", "host", "smtp.example.com")},
		{w: lane("mail", "host", "::1"), field: "settings.host"},
		{w: lane("mail", "host", "0177.0.0.1"), field: "settings.host"},
		{w: lane("telegram", "api_url", "http://169.254.169.254"), field: "settings.api_url"},
		{w: lane("slack", "url", "https://hooks.slack.com/services/x")},
	} {
		err := newGuard(t, strings.Fields(test.allow), strings.Fields(test.deny)).CheckTargets(test.w)
		var invalid *bugle.InvalidError
		switch {
		case test.field == "" && err != nil, test.field != "" && !errors.As(err, &invalid), invalid != nil && invalid.Problems[0].Field != test.field:
			t.Errorf("%+v: %v", test, err)
		}
	}
	var none *Guard
	if err := none.CheckTargets(&bugle.Webhook{URL: "http://127.0.0.1/"}); err != nil {
		t.Error(err)
	}
}

func TestGuard_checkHost(t *testing.T) {
	guard := newGuard(t, []string{"*.lan"}, []string{"secret.lan", "*.internal"})
	for host, want := range map[string]bugle.ErrorKind{
		"hooks.lan":    "",
		"example.com":  "",
		"internal":     "",
		"127.0.0.1":    "", // checkAddr's to refuse
		"fe80::1%lo":   "",
		"secret.lan":   bugle.ErrorBlocked,
		"a.internal":   bugle.ErrorBlocked,
		"a.b.internal": bugle.ErrorBlocked,
		"2130706433":   bugle.ErrorDNS,
		"127.1":        bugle.ErrorDNS,
		"0177.0.0.1":   bugle.ErrorDNS,
		"0x7f000001":   bugle.ErrorDNS,
		"127.0.0.0x1":  bugle.ErrorDNS,
	} {
		var refused *refusal
		got := bugle.ErrorKind("")
		if errors.As(guard.checkHost(host), &refused) {
			got = refused.Kind
		}
		if got != want {
			t.Errorf("%s: %q, want %q", host, got, want)
		}
	}
}

// Whatever a loopback listener is called, nothing connects to it.
func TestClient_Send_disguises(t *testing.T) {
	reached := make(chan struct{}, 1)
	address := receiveRaw(t, func(net.Conn) {
		select {
		case reached <- struct{}{}:
		default:
		}
	})
	_, port, _ := net.SplitHostPort(address)
	client := NewClient(newGuard(t, nil, nil), ClientOptions{Resolver: noNameServer})
	for host, want := range map[string]bugle.ErrorKind{
		"127.0.0.1":                  bugle.ErrorBlocked,
		"localhost":                  bugle.ErrorBlocked,
		"[::1]":                      bugle.ErrorBlocked,
		"[::]":                       bugle.ErrorBlocked,
		"[::ffff:127.0.0.1]":         bugle.ErrorBlocked,
		"[::ffff:7f00:1]":            bugle.ErrorBlocked,
		"[0:0:0:0:0:ffff:127.0.0.1]": bugle.ErrorBlocked,
		"2130706433":                 bugle.ErrorDNS,
		"0x7f000001":                 bugle.ErrorDNS,
		"0X7F000001":                 bugle.ErrorDNS,
		"0177.0.0.1":                 bugle.ErrorDNS,
		"127.1":                      bugle.ErrorDNS,
		"127.1.":                     bugle.ErrorDNS,
		"127。0。0。1":                  bugle.ErrorBlocked, // other scripts' dots and digits become plain ones
		"①②⑦.0.0.1":                  bugle.ErrorBlocked,
		"0.0.0.0":                    bugle.ErrorBlocked,
		"169.254.169.254":            bugle.ErrorBlocked,
		"10.0.0.1":                   bugle.ErrorBlocked,
		"100.64.0.1":                 bugle.ErrorBlocked,
		"[fe80::1%25lo]":             bugle.ErrorBlocked,
		"[64:ff9b::7f00:1]":          bugle.ErrorBlocked,
		"[2002:7f00:1::]":            bugle.ErrorBlocked,
	} {
		for _, scheme := range []string{"http", "https"} {
			a := sendTo(t, client, scheme+"://"+host+":"+port+"/")
			wantKind(t, a, want)
			if a.Status != 0 || a.RemoteAddress != "" {
				t.Errorf("%s %s: status %d from %q", scheme, host, a.Status, a.RemoteAddress)
			}
		}
	}
	select {
	case <-reached:
		t.Error("the listener was reached")
	default:
	}
}

// A name of the public internet may have a private address: what counts is the address.
func TestClient_Send_nameWithPrivateAddress(t *testing.T) {
	server := httptest.NewServer(answer(204, ""))
	defer server.Close()
	_, port, _ := net.SplitHostPort(server.Listener.Addr().String())
	options := ClientOptions{Resolver: nameServer("hooks.example", "127.0.0.1")}

	client := NewClient(newGuard(t, nil, nil), options)
	for _, host := range []string{"hooks.example", "hooks.example."} {
		a := sendTo(t, client, "http://"+host+":"+port+"/?token=geheim")
		wantKind(t, a, bugle.ErrorBlocked)
		wantMessage(t, a, "the address 127.0.0.1 is not public; the operator may allow it with --allow-target")
	}

	client = NewClient(newGuard(t, []string{"hooks.example"}, nil), options)
	defer client.Close()
	for _, host := range []string{"hooks.example", "HOOKS.Example", "hooks.example."} {
		wantKind(t, sendTo(t, client, "http://"+host+":"+port), "")
	}
	wantKind(t, sendTo(t, client, "http://127.0.0.1:"+port), bugle.ErrorBlocked)
}

func TestClient_Send_deniedWins(t *testing.T) {
	server := httptest.NewServer(answer(204, ""))
	defer server.Close()
	_, port, _ := net.SplitHostPort(server.Listener.Addr().String())
	guard := newGuard(t, []string{"localhost", "127.0.0.0/8", "::1"}, []string{"localhost"})
	client := NewClient(guard, ClientOptions{Resolver: noNameServer})
	defer client.Close()

	a := sendTo(t, client, "http://localhost:"+port)
	wantKind(t, a, bugle.ErrorBlocked)
	wantMessage(t, a, "the host localhost is denied by --deny-target")
	wantKind(t, sendTo(t, client, "http://127.0.0.1:"+port), "")
}
