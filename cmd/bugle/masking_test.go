package main

import (
	"bytes"
	"encoding/base32"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/buglehq/bugle/internal/admin"
	"github.com/buglehq/bugle/internal/signin"
	"github.com/buglehq/bugle/internal/ssotest"
)

// A masking keeps the secrets of a test, and everything that the program has given away.
type masking struct {
	t       *testing.T
	mu      sync.Mutex
	secrets map[string]string // by what they are
	emitted map[string][]byte // by where it was found
}

func (m *masking) secret(what, text string) string {
	m.t.Helper()
	if len(text) < 12 {
		m.t.Fatalf("%s is %q, which might be in any text", what, text)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.secrets[what] = text
	return text
}

func (m *masking) emit(where string, text []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.emitted[where] = append(m.emitted[where], text...)
}

// sent keeps the signatures and credentials that a receiver gets.
func (m *masking) sent(r *http.Request) {
	m.secret("the signature "+r.Header.Get("Signature"), r.Header.Get("Signature"))
	for signature := range strings.FieldsSeq(r.Header.Get("Webhook-Signature")) {
		m.secret("the signature "+signature, strings.TrimPrefix(signature, "v1,"))
	}
}

// forms are how a secret might be written.
func forms(secret string) []string {
	list := []string{secret, url.QueryEscape(secret), url.PathEscape(secret), html.EscapeString(secret), strings.ReplaceAll(secret, "/", `\/`), hex.EncodeToString([]byte(secret)),
		strings.TrimRight(base64.StdEncoding.EncodeToString([]byte(secret)), "="), strings.TrimRight(base64.URLEncoding.EncodeToString([]byte(secret)), "=")}
	slices.Sort(list)
	return slices.Compact(list)
}

// wantMasked searches everything for every secret, each in all its forms.
func (m *masking) wantMasked() {
	m.t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	for what, secret := range m.secrets {
		for _, form := range forms(secret) {
			for where, text := range m.emitted {
				if i := bytes.Index(text, []byte(form)); i >= 0 {
					m.t.Errorf("%s is in %s: …%q…", what, where, text[max(0, i-120):min(len(text), i+len(form)+20)])
				}
			}
		}
	}
}

// do makes a request and keeps the answer, but for cookies that it sets.
func (m *masking) do(client *http.Client, r *http.Request) (int, []byte) {
	m.t.Helper()
	answer, err := client.Do(r)
	if err != nil {
		m.t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		m.t.Fatal(err)
	}
	header := answer.Header.Clone()
	header.Del("Set-Cookie")
	var all bytes.Buffer
	header.Write(&all)
	path, _, _ := strings.Cut(r.URL.Path, "?")
	m.emit(fmt.Sprintf("the answer %d of %s %s", answer.StatusCode, r.Method, path), append(all.Bytes(), text...))
	return answer.StatusCode, text
}

// singleSignOn signs somebody in by a provider, and tries what fails.
func (m *masking) singleSignOn(p *process, provider *ssotest.Provider) {
	m.t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		m.t.Fatal(err)
	}
	browser := &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	goOn := func(to string) string {
		m.t.Helper()
		answer, err := browser.Get(to)
		if err != nil {
			m.t.Fatal(err)
		}
		answer.Body.Close()
		return answer.Header.Get("Location")
	}
	callback, err := url.Parse(p.url + admin.SSOCallback)
	if err != nil {
		m.t.Fatal(err)
	}
	arrive := func(change func(url.Values)) {
		m.t.Helper()
		back, err := url.Parse(goOn(goOn(p.url + "/login/sso")))
		if err != nil {
			m.t.Fatal(err)
		}
		query := back.Query()
		change(query)
		for _, c := range jar.Cookies(callback) {
			m.secret("the cookie of single sign-on "+c.Value, c.Value)
		}
		for range 2 { // the second time it is used
			r, err := http.NewRequest("GET", callback.String()+"?"+query.Encode(), nil)
			if err != nil {
				m.t.Fatal(err)
			}
			m.do(browser, r)
		}
		for _, c := range jar.Cookies(callback) {
			m.secret("the session of single sign-on "+c.Value, c.Value)
		}
	}
	arrive(func(url.Values) {})
	if len(m.emitted["the answer 303 of GET "+admin.SSOCallback]) == 0 {
		m.t.Error("nobody is signed in by the provider")
	}
	arrive(func(q url.Values) { q.Set("code", m.secret("a code that is none", "code-that-is-none-4711")) })
	provider.Spoil(func(_, claims map[string]any) { claims["nonce"] = m.secret("another nonce", "nonce-that-is-another") }, nil)
	arrive(func(url.Values) {})
	provider.Spoil(nil, func(token string) string { return "x" + token })
	arrive(func(url.Values) {})
	provider.Spoil(nil, nil)
	for i, given := range provider.Given() {
		m.secret(fmt.Sprintf("code, token, state, nonce or verifier %d", i), given)
	}
	if len(provider.Given()) < 15 {
		m.t.Errorf("the provider has given %d codes and tokens", len(provider.Given()))
	}
}

// api asks the API.
func (m *masking) api(p *process, key, method, path, body string) (int, []byte) {
	m.t.Helper()
	r, err := http.NewRequest(method, p.url+path, strings.NewReader(body))
	if err != nil {
		m.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+key)
	r.Header.Set("Content-Type", "application/json")
	return m.do(http.DefaultClient, r)
}

// command runs a command and keeps what it prints.
func (m *masking) command(want int, args ...string) {
	m.t.Helper()
	status, stdout, stderr := runBugle(m.t, "", args...)
	if status != want {
		m.t.Errorf("bugle %s: status %d, want %d: %s%s", args[0], status, want, stdout, stderr)
	}
	m.emit("what bugle "+strings.Join(args[:min(2, len(args))], " ")+" prints", []byte(stdout+stderr))
}

// files keeps the names and the contents of all files in a folder.
func (m *masking) files(what, folder string, but ...string) {
	m.t.Helper()
	n := 0
	err := filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || slices.Contains(but, path) {
			return err
		}
		n++
		text, err := os.ReadFile(path)
		m.emit(what+": "+filepath.Base(path), append([]byte(path+"\n"), text...))
		return err
	})
	if err != nil || n == 0 {
		m.t.Errorf("%s has %d files, %v", what, n, err)
	}
}

// secondFactor sets a second factor up, and returns its recovery codes.
func (m *masking) secondFactor(t *testing.T, browser *http.Client, p *process, password string) (codes []string) {
	t.Helper()
	post := func(path string, values url.Values) string {
		answer, err := browser.PostForm(p.url+path, values)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		text, err := io.ReadAll(answer.Body)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	shown := regexp.MustCompile(`<code id="key">([A-Z2-7 ]+)</code>`).FindStringSubmatch(post("/account/second-factor/begin", nil))
	if shown == nil {
		t.Fatal("no key is shown")
	}
	m.secret("the key of a second factor as it is shown", shown[1])
	text := m.secret("the key of a second factor", strings.ReplaceAll(shown[1], " ", ""))
	key, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	m.secret("the bytes of the key of a second factor", string(key))
	page := post("/account/second-factor/confirm", url.Values{"password": {password}, "code": {signin.Code(key, time.Now())}})
	// Read from their list: an id of a request can look like a code.
	list := regexp.MustCompile(`<ul[^>]* id="recovery-codes">.*</ul>`).FindString(page)
	codes = regexp.MustCompile(`[a-z2-9]{4}(?:-[a-z2-9]{4}){3}`).FindAllString(list, -1)
	if len(codes) != 10 {
		t.Fatalf("no recovery codes are shown: %.2000s", page)
	}
	for i, code := range codes {
		m.secret(fmt.Sprintf("recovery code %d", i+1), code)
		m.secret(fmt.Sprintf("recovery code %d without dashes", i+1), strings.ReplaceAll(code, "-", ""))
	}
	return codes
}

// crawl opens the page and all that it leads to.
func (m *masking) crawl(browser *http.Client, site string) (pages int) {
	m.t.Helper()
	const most = 600
	href := regexp.MustCompile(`(?:href|hx-get|src)="(/[^"#]*)`)
	queue, seen, ofPath := []string{"/"}, map[string]bool{"/": true, "/logout": true}, map[string]int{}
	for ; len(queue) > 0 && pages < most; pages++ {
		path := queue[0]
		queue = queue[1:]
		r, err := http.NewRequest("GET", site+path, nil)
		if err != nil {
			m.t.Fatal(err)
		}
		status, text := m.do(browser, r)
		if status >= 500 {
			m.t.Errorf("GET %s: status %d", path, status)
		}
		for _, found := range href.FindAllSubmatch(text, -1) {
			next := html.UnescapeString(string(found[1]))
			short, _, _ := strings.Cut(next, "?")
			if seen[next] || ofPath[short] >= 4 || strings.HasPrefix(short, "/assets/") || strings.HasPrefix(short, "/logout") {
				continue
			}
			seen[next] = true
			ofPath[short]++
			queue = append(queue, next)
		}
	}
	return pages
}

// Everything that a server and the commands beside it give away in a whole run – answers, pages, exports, logs, metrics,
// traces, backups, copies, errors – is searched for the secrets of that run.
func TestProgram_masksSecrets(t *testing.T) {
	t.Setenv("BUGLE_SECRETS_KEY", "")
	m := &masking{t: t, secrets: map[string]string{}, emitted: map[string][]byte{}}
	collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		text, _ := io.ReadAll(r.Body)
		m.emit("traces", text)
	}))
	defer collector.Close()
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.URL)
	t.Setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/hook") {
			m.sent(r)
		}
		if strings.HasSuffix(r.URL.Path, "/broken") {
			w.WriteHeader(http.StatusInternalServerError)
		}
		w.Header().Set("X-Echo", r.Header.Get("Signature"))
		fmt.Fprintf(w, "%s %v", r.URL.Path, r.Header)
	}))
	defer receiver.Close()

	folder := t.TempDir()
	data := filepath.Join(folder, "data")
	database := "sqlite:" + filepath.Join(data, "bugle.db")
	_, stdout, _ := runBugle(t, "", "key", "create", "--database", database, "--name", "test", "--scope", "*")
	key := m.secret("the API key", strings.TrimSpace(stdout))
	provider := ssotest.Start(t, time.Now)
	provider.Is("4711", map[string]any{"email": "jane@example.com", "email_verified": true})
	t.Setenv("BUGLE_PUBLIC_URL", "http://bugle.test")
	t.Setenv("BUGLE_OIDC_ISSUER", provider.URL)
	t.Setenv("BUGLE_OIDC_CLIENT_ID", ssotest.ClientID)
	t.Setenv("BUGLE_OIDC_CLIENT_SECRET", m.secret("the client's secret at the provider", ssotest.Secret))
	p := startServer(t, database, "--log-level", "debug", "--log-format", "text")
	keyFile := filepath.Join(data, "secrets.key")
	keyset, err := os.ReadFile(keyFile)
	if err != nil {
		t.Fatal(err)
	}
	material := regexp.MustCompile(`"value":\s*"([^"]+)"`).FindSubmatch(keyset)
	if material == nil {
		t.Fatal("the key file has no key")
	}
	m.secret("the key to secrets", string(material[1]))

	// People sign in.
	password, wrong := m.secret("a password", "correct-horse-battery-staple"), m.secret("a wrong password", "another-horse-that-is-wrong")
	link := regexp.MustCompile(`/welcome/(\w{43})`)
	waitFor(t, "the link", func() bool { return link.MatchString(p.out.String()) })
	welcome := link.FindStringSubmatch(p.out.String())
	m.secret("the token of the first account", welcome[1])
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	browser := &http.Client{Jar: jar}
	post := func(client *http.Client, path string, values url.Values) (int, string) {
		t.Helper()
		answer, err := client.PostForm(p.url+path, values)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		text, err := io.ReadAll(answer.Body)
		if err != nil {
			t.Fatal(err)
		}
		return answer.StatusCode, string(text)
	}
	session := func(what string) {
		t.Helper()
		site, err := url.Parse(p.url)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range jar.Cookies(site) {
			m.secret(what+" "+c.Name, c.Value)
		}
	}
	post(browser, welcome[0], url.Values{"organization": {"2nd Battalion"}, "name": {"Jane Roe"}, "email": {"jane@example.com"}, "password": {password}})
	session("the first session")
	status, text := post(http.DefaultClient, "/login", url.Values{"email": {"jane@example.com"}, "password": {wrong}})
	m.emit("a failed sign-in", []byte(text))
	if status < 400 {
		t.Errorf("a wrong password: status %d", status)
	}
	post(browser, "/login", url.Values{"email": {"jane@example.com"}, "password": {password}})
	session("the session")
	m.singleSignOn(p, provider)
	// A second factor, whose key and codes are shown once, and one of which is then used.
	factor := m.secondFactor(t, browser, p, password)
	session("the session before the code")
	if status, text := post(browser, "/login", url.Values{"email": {"jane@example.com"}, "password": {password}}); status != 200 || !strings.Contains(text, "/login/code") {
		t.Fatalf("signing in with a second factor: %d %.2000s", status, text)
	}
	session("the session that waits for a code")
	_, text = post(browser, "/login/code", url.Values{"code": {"abcd-abcd-abcd-abcd"}})
	m.emit("a wrong code", []byte(text))
	_, text = post(browser, "/login/code", url.Values{"code": {factor[0]}})
	m.emit("the page after a recovery code", []byte(text))
	session("the session after a code")
	role := count(t, database, "SELECT MIN(id) FROM roles")
	_, text = post(browser, "/accounts/invite", url.Values{"email": {"sam@example.com"}, "name": {"Sam Poe"}, "role": {fmt.Sprint(role)}})
	invited := link.FindStringSubmatch(text)
	if invited == nil {
		t.Fatalf("no invitation: %.3000s", text)
	}
	m.secret("the token of an invitation", invited[1])
	_, text = post(browser, "/api-keys", url.Values{"name": {"of the panel"}, "scopes": {"*"}})
	made := regexp.MustCompile(`bugle_\w{40}`).FindString(text)
	m.secret("the panel's API key", made)

	// Webhooks, channels and what they send.
	given := m.secret("a secret that was given", "given-secret/of+the test & more")
	m.secret("a credential", "dXNlcjpwYXNzd29yZC1vZi10aGUtdGVzdA==")
	m.secret("a key of the receiver", "key-of-the-receiver-4711")
	headers := `"headers":{"Authorization":"Basic dXNlcjpwYXNzd29yZC1vZi10aGUtdGVzdA==","X-Api-Key":"key-of-the-receiver-4711"}`
	for i, extra := range []string{`"secret":"given-secret/of+the test & more"`, `"method":"get"`, `"timeout_seconds":5`} {
		path := []string{"/hook/well", "/hook/get", "/hook/broken"}[i]
		hook := p.mustCall(t, key, "POST", "/v2/webhooks", fmt.Sprintf(`{"name":"hook","url":"%s%s","events":["user.created"],%s,%s}`, receiver.URL, path, headers, extra), 201)
		made, _ := at(hook, "data", "secret").(string)
		m.secret(fmt.Sprintf("the secret of webhook %d", i+1), made)
	}
	rotated, _ := at(p.mustCall(t, key, "POST", "/v2/webhooks/1/rotate-secret", `{"keep_old_seconds":3600}`, 200), "data", "secret").(string)
	m.secret("the secret after a rotation", rotated)
	for name, settings := range map[string]string{
		"slack":          `{"url":"` + receiver.URL + `/services/T024/B024/` + m.secret("the path of Slack", "slack-path-XyZ123456") + `"}`,
		"telegram":       `{"chat_id":"1","api_url":"http://127.0.0.1:1","token":"` + m.secret("the token of Telegram", "110201543:AAHdqTcvCH1vGWJxfSeofSAs0K5") + `"}`,
		"discord_public": `{"channel_id":"1","api_url":"` + receiver.URL + `","token":"` + m.secret("the token of Discord", "MTA0.discord.token-of-the-test") + `"}`,
		"mail":           `{"host":"127.0.0.1","port":1,"from":"unit@example.com","username":"unit","password":"` + m.secret("the password of mail", "password-of-the-mail-server") + `"}`,
		"sms":            `{"account_sid":"AC1","from":"+15550100","api_url":"` + receiver.URL + `","token":"` + m.secret("the token of SMS", "token-of-the-sms-service") + `"}`,
	} {
		if status, text := m.api(p, key, "PUT", "/v2/channels/"+name, `{"settings":`+settings+`}`); status != 200 {
			t.Fatalf("channel %s: status %d %s", name, status, text)
		}
		m.api(p, key, "PUT", "/v2/channels/"+name, `{"settings":{"token":"`+strings.Repeat(m.secrets["the token of Telegram"], 20)+`","url":"`+given+`","nosuch":1}}`)
	}
	m.api(p, key, "POST", "/v2/users", `{"name":"John Doe","email":"john@example.com","phone_number":"+15550123"}`)
	m.api(p, key, "POST", "/v2/users", `{"name":"Joan Moe","email":"joan@example.com"}`)
	m.api(p, key, "POST", "/v2/messages", `{"message":"Formation at 18:00","channels":["slack","telegram","discord_public","mail","sms","database"],"recipients":[1,2]}`)
	m.api(p, key, "POST", "/v2/webhooks/1/test", `{"payload":{"a":1}}`)
	m.api(p, key, "POST", "/v2/automations", `{"name":"welcome","trigger":"user.created","action":"webhook","webhook_id":1,"enabled":true}`)
	waitFor(t, "all deliveries to be tried", func() bool {
		return count(t, database, "SELECT COUNT(*) FROM deliveries") >= 8 && count(t, database, "SELECT COUNT(*) FROM deliveries WHERE attempts = 0") == 0
	})

	// Mistakes.
	for _, wrong := range [][3]string{
		{"PUT", "/v2/webhooks/1", `{"secret":"` + strings.Repeat(rotated, 20) + `"}`},
		{"PUT", "/v2/webhooks/1", `{"url":"x","secret":"` + rotated + `","headers":{"Authorization":"Basic dXNlcjpwYXNzd29yZC1vZi10aGUtdGVzdA==","Host":"x"}}`},
		{"POST", "/v2/webhooks", `{"secret":"` + given + `",`},
		{"POST", "/v2/webhooks/1/rotate-secret", `{"secret":"` + rotated + `","keep_old_seconds":-1}`},
		{"GET", "/v2/nowhere?apikey=" + key, ""},
		{"GET", "/v2/users?apikey=" + made + "&token=" + key, ""},
		{"POST", "/v2/webhooks/search", `{"filters":[{"field":"secret","operator":"=","value":"` + rotated + `"}]}`},
	} {
		m.api(p, key, wrong[0], wrong[1], wrong[2])
		m.api(p, key+"x", wrong[0], wrong[1], wrong[2])
	}
	forged, err := http.NewRequest("GET", p.url+welcome[0]+"?token="+key, nil)
	if err != nil {
		t.Fatal(err)
	}
	m.do(http.DefaultClient, forged)

	// Everything that can be read.
	_, document := m.api(p, key, "GET", "/spec.json", "")
	var spec struct {
		Paths map[string]map[string]json.RawMessage `json:"paths"`
	}
	if err := json.Unmarshal(document, &spec); err != nil {
		t.Fatal(err)
	}
	read := 0
	for _, path := range slices.Sorted(maps.Keys(spec.Paths)) {
		if spec.Paths[path]["get"] == nil || strings.HasSuffix(path, "/secret") {
			continue
		}
		path = strings.ReplaceAll(path, "{name}", "slack")
		path = regexp.MustCompile(`\{\w+\}`).ReplaceAllString(path, "1")
		if !strings.HasPrefix(path, "/v") {
			path = "/v2" + path
		}
		if status, _ := m.api(p, key, "GET", path, ""); status < 300 {
			read++
		}
	}
	for id := range 12 {
		m.api(p, key, "GET", fmt.Sprintf("/v2/deliveries/%d", id+1), "")
	}
	for _, path := range []string{"/metrics", "/readyz", "/health", "/docs"} {
		m.api(p, key, "GET", path, "")
	}
	pages := m.crawl(browser, p.url)
	if read < 60 || pages < 100 {
		t.Errorf("only %d answers and %d pages were read", read, pages)
	}

	// Commands beside the server, and without it.
	copied := filepath.Join(folder, "copied")
	m.command(0, "backup", "--database", database, copied)
	m.files("the backup", copied)
	m.command(0, "doctor", "--database", database, "--prove")
	m.command(0, "doctor", "--database", database, "--prove", "--json")
	m.command(0, "secrets", "status", "--database", database)
	m.command(0, "secrets", "status", "--database", database, "--json")
	m.command(0, "secrets", "rotate", "--database", database)
	m.command(0, "secrets", "prune", "--database", database)
	m.command(0, "key", "list", "--database", database)
	m.command(0, "user", "list", "--database", database)
	m.command(0, "migrate", "--check", "--database", database)
	m.command(1, "verify", "--secret", given, "--signature", strings.Repeat("0", 64))
	m.command(2, "secrets", "status", "--secrets-key", string(keyset))
	t.Setenv("BUGLE_IMPORT_KEY", key)
	m.command(0, "import", "--from", p.url+"/v2", "--database", "sqlite:"+filepath.Join(folder, "imported", "bugle.db"), "--allow-target", "127.0.0.1")
	t.Setenv("BUGLE_IMPORT_KEY", made+"x")
	m.command(1, "import", "--from", p.url+"/v2", "--database", "sqlite:"+filepath.Join(folder, "imported", "bugle.db"))
	p.stop(t)
	m.emit("the log", []byte(p.log.String()))
	m.emit("standard output", []byte(link.ReplaceAllString(p.out.String(), ""))) // which is where the link has to be
	m.command(0, "copy", "--from", database, "--to", "sqlite:"+filepath.Join(folder, "target", "bugle.db"))
	m.files("the copy", filepath.Join(folder, "target"))
	m.files("the import", filepath.Join(folder, "imported"))
	m.files("the database", data, keyFile)
	t.Setenv("WRONG_KEYS", strings.ReplaceAll(string(keyset), `"keyId"`, `"keyID!"`))
	m.command(1, "serve", "--database", database, "--listen", "127.0.0.1:0", "--secrets-key", "env:WRONG_KEYS")
	t.Setenv("WRONG_KEYS", string(keyset))
	m.command(1, "serve", "--database", database, "--listen", "127.0.0.1:0", "--secrets-key", "env:WRONG_KEYS") // it was replaced
	m.command(1, "secrets", "reset", "--database", database)

	m.wantMasked()
	for _, where := range []string{"the log", "traces", "the answer 200 of GET /metrics", "the backup: bugle.db", "the answer 200 of GET /webhooks/1", "the answer 200 of GET /v2/deliveries/1"} {
		if len(m.emitted[where]) == 0 {
			t.Errorf("nothing is known of %s", where)
		}
	}
	if !bytes.Contains(m.emitted["the log"], []byte("level=DEBUG")) || len(m.secrets) < 20 {
		t.Errorf("the log is not that of debugging, or there are only %d secrets", len(m.secrets))
	}
}
