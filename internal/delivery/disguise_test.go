package delivery

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/value"
)

// A disguise is a way to name an address that may not be called.
type disguise struct {
	Name     string              `json:"name"`
	URL      string              `json:"url"`     // with {port} of the listeners, or {front} of the server that redirects
	Resolve  map[string][]string `json:"resolve"` // by name, what one lookup after the other finds: addresses, or = and another name
	Allow    []string            `json:"allow"`
	Deny     []string            `json:"deny"`
	Header   map[string]string   `json:"header"`
	Checked  bool                `json:"checked"`  // the guard finds nothing when it looks the name up for the first time
	Redirect bool                `json:"redirect"` // by a receiver that may be called
	Opens    bool                `json:"opens"`    // leads to a listener if everything is allowed
	Saved    bool                `json:"saved"`    // a webhook with it can be saved: what is wrong is seen only when it is called
	Want     bugle.ErrorKind     `json:"want"`
}

// A zone is what a name server knows.
type zone struct {
	mu    sync.Mutex
	names map[string][]string // as in a disguise
}

func (z *zone) resolver() *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		client, server := net.Pipe() // as by TCP: two bytes of length come before a message
		go func() {
			defer server.Close()
			message := make([]byte, 2+512)
			for {
				if _, err := io.ReadFull(server, message[:2]); err != nil {
					return
				}
				query := message[2 : 2+binary.BigEndian.Uint16(message)]
				if _, err := io.ReadFull(server, query); err != nil {
					return
				}
				answer := z.answer(query)
				server.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(answer))), answer...))
			}
		}()
		return client, nil
	}}
}

// answer answers for a name and the names that it stands for. The first of several answers is given once.
func (z *zone) answer(query []byte) []byte {
	z.mu.Lock()
	defer z.mu.Unlock()
	var message dnsmessage.Message
	if err := message.Unpack(query); err != nil || len(message.Questions) != 1 {
		return nil
	}
	question := message.Questions[0]
	message.Header.Response, message.Additionals = true, nil
	name := strings.ToLower(strings.TrimSuffix(question.Name.String(), "."))
	for range 8 {
		found := z.names[name]
		if len(found) == 0 {
			if len(message.Answers) == 0 {
				message.Header.RCode = dnsmessage.RCodeNameError
			}
			break
		}
		header := dnsmessage.ResourceHeader{Name: dnsmessage.MustNewName(name + "."), Class: dnsmessage.ClassINET}
		if alias, ok := strings.CutPrefix(found[0], "="); ok {
			header.Type = dnsmessage.TypeCNAME
			message.Answers = append(message.Answers, dnsmessage.Resource{Header: header, Body: &dnsmessage.CNAMEResource{CNAME: dnsmessage.MustNewName(alias + ".")}})
			name = alias
			continue
		}
		header.Type = question.Type
		for text := range strings.FieldsSeq(found[0]) {
			switch addr := netip.MustParseAddr(text); {
			case addr.Is4() && question.Type == dnsmessage.TypeA:
				message.Answers = append(message.Answers, dnsmessage.Resource{Header: header, Body: &dnsmessage.AResource{A: addr.As4()}})
			case addr.Is6() && question.Type == dnsmessage.TypeAAAA:
				message.Answers = append(message.Answers, dnsmessage.Resource{Header: header, Body: &dnsmessage.AAAAResource{AAAA: addr.As16()}})
			}
		}
		break
	}
	answer, _ := message.Pack()
	return answer
}

// next lets all names have their next answer, if there is one.
func (z *zone) next() {
	z.mu.Lock()
	defer z.mu.Unlock()
	for name, answers := range z.names {
		if len(answers) > 1 {
			z.names[name] = answers[1:]
		}
	}
}

// listenEverywhere listens at many addresses of this machine, at one port, and counts who comes. Beside 127.0.0.1 it listens
// where the system lets it.
func listenEverywhere(t *testing.T) (port string, reached *atomic.Int32) {
	t.Helper()
	reached = new(atomic.Int32)
	port = "0"
	for _, host := range []string{"127.0.0.1", "127.0.0.2", "127.1.2.3", "127.127.127.127", "127.255.255.254", "::1"} {
		listener, err := net.Listen("tcp", net.JoinHostPort(host, port))
		if err != nil {
			if port == "0" {
				t.Fatal(err)
			}
			t.Logf("nothing listens at %s: %v", host, err)
			continue
		}
		_, port, _ = net.SplitHostPort(listener.Addr().String())
		server := &http.Server{
			Handler:   answer(200, "reached"),
			ConnState: func(_ net.Conn, state http.ConnState) { reached.Add(int32(btoi(state == http.StateNew))) },
		}
		go server.Serve(listener)
		t.Cleanup(func() { server.Close() })
	}
	return port, reached
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

func readDisguises(t *testing.T) []disguise {
	t.Helper()
	text, err := os.ReadFile("testdata/disguises.json")
	if err != nil {
		t.Fatal(err)
	}
	var list []disguise
	if err := json.Unmarshal(text, &list); err != nil {
		t.Fatal(err)
	}
	return list
}

// saved says why a webhook with a URL is refused when it is saved.
func saved(guard *Guard, url string) error {
	w := bugle.NewWebhook()
	if err := w.Set(value.Map("name", "Test", "url", url), true, nil); err != nil {
		return err
	}
	return guard.CheckTargets(&w)
}

// However an address is written that may not be called, nothing connects to it; and who wrote it is told as early as
// possible.
func TestDisguises(t *testing.T) {
	port, reached := listenEverywhere(t)
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		status, _ := strconv.Atoi(strings.TrimPrefix(r.URL.Path, "/"))
		w.Header().Set("Location", r.URL.Query().Get("to"))
		w.WriteHeader(status)
	}))
	defer front.Close()
	_, frontPort, _ := net.SplitHostPort(front.Listener.Addr().String())
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"} { // to be ignored
		t.Setenv(name, "http://127.0.0.1:"+port)
		t.Setenv(strings.ToLower(name), "http://127.0.0.1:"+port)
	}
	t.Setenv("NO_PROXY", "")
	place := strings.NewReplacer("{port}", port, "{front}", frontPort)
	list := readDisguises(t)
	if len(list) < 150 {
		t.Errorf("%d disguises", len(list))
	}
	proxy, err := NewProxy("http://"+newTestProxy(t, nil, byConnect).address, ProxyOptions{})
	if err != nil {
		t.Fatal(err)
	}
	ways := map[string]*Proxy{"directly": nil, "through a proxy": proxy}
	control := map[string]int{}
	for _, d := range list {
		to := place.Replace(d.URL)
		t.Run(d.Name, func(t *testing.T) {
			names := &zone{names: map[string][]string{}}
			for name, answers := range d.Resolve {
				names.names[name] = slices.Clone(answers)
			}
			guard := newGuard(t, d.Allow, d.Deny)
			if d.Checked {
				u, err := url.Parse(to)
				if err != nil {
					t.Fatal(err)
				}
				if err := guard.check(t.Context(), names.resolver(), u.Hostname()); err != nil {
					t.Errorf("the first lookup: %v", err)
				}
				names.next()
			}
			err := saved(guard, to)
			if (err == nil) != d.Saved {
				t.Errorf("saved: %v", err)
			}
			var invalid *bugle.InvalidError
			if err != nil && (!errors.As(err, &invalid) || invalid.Problems[0].Field != "url") {
				t.Errorf("saved: %v", err)
			}
			for way, through := range ways {
				guard := newGuard(t, d.Allow, d.Deny)
				guard.UseProxy(through)
				client := NewClient(guard, ClientOptions{Resolver: names.resolver()})
				defer client.Close()
				before := reached.Load()
				a := sendDisguised(t, client, d, to)
				wantKind(t, a, d.Want)
				if d.Want == "" || a.Error == nil || a.Error.Message == "" {
					t.Errorf("%s: error %+v", way, a.Error)
				}
				if !d.Redirect && (a.Status != 0 || a.RemoteAddress != "") || reached.Load() != before {
					t.Errorf("%s: reached: status %d from %q", way, a.Status, a.RemoteAddress)
				}
				if !d.Opens {
					continue
				}
				open := newGuard(t, []string{"0.0.0.0/0", "::/0"}, nil)
				open.UseProxy(through)
				client = NewClient(open, ClientOptions{Resolver: names.resolver()})
				defer client.Close()
				if a := sendDisguised(t, client, d, to); a.Status == 200 && string(a.ResponseBody) == "reached" {
					control[way]++
					reached.Add(-1)
				} else if !strings.Contains(to, "::") && !strings.Contains(strings.Join(d.Resolve["loopback6.example"], ""), "::") { // a machine may have no IPv6
					t.Errorf("%s, with everything allowed: %d, %+v", way, a.Status, a.Error)
				}
			}
		})
	}
	if n := reached.Load(); n != 0 {
		t.Errorf("%d connections arrived", n)
	}
	for way := range ways {
		if control[way] < 20 {
			t.Errorf("%s, only %d disguises lead to a listener if everything is allowed: the others prove nothing", way, control[way])
		}
	}
	t.Logf("%d disguises; those that lead to a listener if everything is allowed: %v", len(list), control)
}

func sendDisguised(t *testing.T, client *Client, d disguise, to string) *bugle.Attempt {
	r := post(to)
	for name, v := range d.Header {
		r.Header.Set(name, v)
	}
	return send(t, client, r)
}
