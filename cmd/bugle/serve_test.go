package main

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"mime/multipart"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// What README promises: a change that is made through the API reaches the webhook, signed.
func TestServe_changeReachesTheWebhook(t *testing.T) {
	type request struct {
		header http.Header
		path   string
	}
	got := make(chan request, 10)
	verified := make(chan received, 10)
	rc := &receiver{secrets: []string{"0123456789abcdef0123456789abcdef"}, report: func(r received) { verified <- r }}
	target := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got <- request{r.Header.Clone(), r.URL.Path}
		rc.ServeHTTP(w, r)
	}))
	defer target.Close()
	database, key := newDatabase(t)
	server := startServer(t, database)
	server.mustCall(t, key, "POST", "/v2/webhooks", `{"name":"hook","url":"`+target.URL+`/hook","events":["user.created"],"secret":"0123456789abcdef0123456789abcdef"}`, 201)
	user := server.mustCall(t, key, "POST", "/v2/users", `{"name":"Jane Roe","email":"jane@example.com"}`, 201)

	r := <-got
	if r.path != "/hook" || !strings.HasPrefix(r.header.Get("User-Agent"), "Bugle/") {
		t.Errorf("the request went to %s from %q", r.path, r.header.Get("User-Agent"))
	}
	v := <-verified
	if !v.Verified || v.Invalid != nil || v.Event != "user.created" {
		t.Errorf("event %q, verified %v, invalid: %v", v.Event, v.Verified, v.Invalid)
	}
	waitFor(t, "the delivery is logged", func() bool {
		return at(server.mustCall(t, key, "GET", "/v2/deliveries/1", "", 200), "data", "state") == "delivered"
	})
	if id := at(user, "data", "id"); id != int64(1) {
		t.Errorf("user has id %v", id)
	}
	server.stop(t)
	if strings.Contains(server.log.String(), "0123456789abcdef0123456789abcdef") || strings.Contains(server.log.String(), key) {
		t.Errorf("the log shows a secret:\n%s", server.log)
	}
}

// A request under way when the server is stopped is finished, and its result is kept.
func TestServe_stopsGracefully(t *testing.T) {
	began, release := make(chan struct{}), make(chan struct{})
	target := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(began)
		<-release
	}))
	defer target.Close()
	database, key := newDatabase(t)
	server := startServer(t, database)
	server.mustCall(t, key, "POST", "/v2/webhooks", `{"name":"hook","url":"`+target.URL+`","events":["user.created"]}`, 201)
	server.mustCall(t, key, "POST", "/v2/users", `{"name":"Jane Roe","email":"jane@example.com"}`, 201)
	<-began
	server.cmd.Process.Signal(os.Interrupt)
	waitFor(t, "the server says that it stops", func() bool { return strings.Contains(server.log.String(), "stopping") })
	close(release)
	if err := <-server.exited; err != nil {
		t.Fatalf("serve: %v\n%s", err, server.log)
	}
	server.exited <- nil
	if n := count(t, database, "SELECT COUNT(*) FROM deliveries WHERE state = 2 AND attempts = 1"); n != 1 {
		t.Errorf("%d deliveries are delivered, want 1", n)
	}
}

func TestServe_firstStartPrintsALinkToTheFirstAccount(t *testing.T) {
	database := "sqlite:" + t.TempDir() + "/new/bugle.db"
	server := startServer(t, database)
	link := regexp.MustCompile(regexp.QuoteMeta(server.url) + `/welcome/\w{43}`)
	waitFor(t, "the link", func() bool { return link.MatchString(server.out.String()) })
	if strings.Contains(server.log.String(), "/welcome/") {
		t.Errorf("the link is in the log:\n%s", server.log)
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	browser := &http.Client{Jar: jar}
	answer, err := browser.PostForm(link.FindString(server.out.String()), url.Values{
		"organization": {"2nd Battalion"}, "name": {"Jane Roe"}, "email": {"jane@example.com"}, "password": {"correct horse battery"}})
	if err != nil {
		t.Fatal(err)
	}
	page, err := io.ReadAll(answer.Body)
	answer.Body.Close()
	if err != nil || answer.StatusCode != 200 || !strings.Contains(string(page), "2nd Battalion") {
		t.Fatalf("the link leads to status %d, %v\n%.2000s", answer.StatusCode, err, page)
	}
	server.stop(t)

	server = startServer(t, database)
	waitFor(t, "the server is ready", func() bool { // which it is a moment after it listens
		answer, err := http.Get(server.url + "/readyz")
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		return answer.StatusCode == 200
	})
	server.stop(t)
	if server.out.String() != "" {
		t.Errorf("the second start prints %q, want nothing", server.out)
	}
}

func TestServe_refusesADatabaseInUse(t *testing.T) {
	database, _ := newDatabase(t)
	startServer(t, database)
	status, _, stderr := runBugle(t, "", "serve", "--database", database, "--listen", "127.0.0.1:0")
	if status != 1 || !strings.Contains(stderr, "in use by another server") {
		t.Errorf("status %d, stderr %q", status, stderr)
	}
}

func TestServe_refusesOptions(t *testing.T) {
	for _, test := range []struct{ name, want string }{
		{"--listen=nowhere", `--listen is "nowhere", want an address and port`},
		{"--allow-target=http://x/", "allowed target"},
		{"--public-url=bugle.example.com", `--public-url is "bugle.example.com", want`},
		{"--public-url=https://bugle.example.com/", "without a slash"},
		{"--retention=events=0", `--retention has "events=0", want 1 to 36500 days, or forever`},
		{"--prove-every=1s", "--prove-every is 1s, want at least 1m, or 0 for never"},
		{"--retention-every=1ms", "--retention-every is 1ms, want 1s to 24h"},
		{"--rate-limit=-1", "must not be negative"},
		{"--log-format=xml", "must be one of"},
		{"--database=mysql:x", "want sqlite:"},
		{"--no-such-flag", "unknown flag"},
	} {
		t.Run(test.name, func(t *testing.T) {
			args := []string{"serve", test.name}
			if !strings.HasPrefix(test.name, "--listen") {
				args = append(args, "--listen", "127.0.0.1:0")
			}
			status, _, stderr := runBugle(t, "", args...)
			if status == 0 || !strings.Contains(stderr, test.want) {
				t.Errorf("status %d, stderr %q, want %q", status, stderr, test.want)
			}
		})
	}
}

// Uploaded files are beside the database unless they are to be elsewhere, and go with what they belong to.
func TestServe_storage(t *testing.T) {
	elsewhere := filepath.Join(t.TempDir(), "files")
	for _, args := range [][]string{nil, {"--storage", elsewhere}} {
		database, key := newDatabase(t)
		folder := elsewhere
		if args == nil {
			folder = filepath.Join(filepath.Dir(strings.TrimPrefix(database, "sqlite:")), "storage")
		}
		server := startServer(t, database, args...)
		var form bytes.Buffer
		w := multipart.NewWriter(&form)
		part, err := w.CreateFormFile("profile_photo", "me.gif")
		if err == nil {
			part.Write([]byte("GIF89a\x01\x00\x01\x00\x00\x00\x00;"))
			err = errors.Join(w.WriteField("name", "Jane"), w.WriteField("email", "jane@example.com"), w.Close())
		}
		if err != nil {
			t.Fatal(err)
		}
		r, err := http.NewRequest("POST", server.url+"/v2/users?apikey="+key, &form)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", w.FormDataContentType())
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		if answer.StatusCode != 201 {
			t.Fatalf("status %d", answer.StatusCode)
		}
		path, _ := at(server.mustCall(t, key, "GET", "/v2/users/1", "", 200), "data", "profile_photo").(string)
		if _, err := os.Stat(filepath.Join(folder, path)); path == "" || err != nil {
			t.Errorf("the file %q is not in %s: %v", path, folder, err)
		}
		server.mustCall(t, key, "DELETE", "/v2/users/1", "", 200)
		if _, err := os.Stat(filepath.Join(folder, path)); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("the file of a user who is gone: %v", err)
		}
		server.stop(t)
	}
}

func TestServe_addressInUse(t *testing.T) {
	database, _ := newDatabase(t)
	server := startServer(t, database)
	status, _, stderr := runBugle(t, "", "serve", "--database", "sqlite:"+t.TempDir()+"/b.db", "--listen", strings.TrimPrefix(server.url, "http://"))
	if status != 1 || !strings.Contains(stderr, "address already in use") {
		t.Errorf("status %d, stderr %q", status, stderr)
	}
}

func TestVersionAndHelp(t *testing.T) {
	if status, stdout, _ := runBugle(t, "", "--version"); status != 0 || strings.TrimSpace(stdout) != version() {
		t.Errorf("--version: status %d, %q", status, stdout)
	}
	status, stdout, _ := runBugle(t, "", "--help")
	for _, command := range []string{"serve", "demo", "key create", "listen", "verify", "bench"} {
		if status != 0 || !strings.Contains(stdout, command) {
			t.Errorf("--help: status %d, does not name %s:\n%s", status, command, stdout)
		}
	}
	if strings.Contains(stdout, "bench-sink") {
		t.Error("--help shows the sink of the bench")
	}
}
