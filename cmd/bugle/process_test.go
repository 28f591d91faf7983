package main

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/buglehq/bugle/value"
)

// asBugle makes this test program behave as bugle itself, so that tests can start and kill it.
const asBugle = "BUGLE_TEST_AS_BUGLE"

func TestMain(m *testing.M) {
	if os.Getenv(asBugle) != "" {
		os.Unsetenv(asBugle)
		if file := os.Getenv(byClock); file != "" {
			start(clockOf(file))
		}
		main()
	}
	keys := ""
	if os.Getenv("BUGLE_TEST_POSTGRES") != "" { // whose databases have no folder for a key of their own
		var err error
		if keys, err = os.MkdirTemp("", "bugle-test-keys-"); err != nil {
			panic(err)
		}
		os.Setenv("BUGLE_SECRETS_KEY", "file:"+filepath.Join(keys, "secrets.key"))
	}
	status := m.Run()
	if keys != "" {
		os.RemoveAll(keys)
	}
	endBrowser()
	os.Exit(status)
}

// program is a process of bugle.
func program(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, os.Args[0], args...)
	cmd.Env = append(os.Environ(), asBugle+"=1")
	return cmd
}

// runBugle runs a command to its end within this process and returns what it printed.
func runBugle(t *testing.T, stdin string, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	var out, errs lockedBuffer
	status = run(t.Context(), args, &output{Stdin: strings.NewReader(stdin), Stdout: &out, Stderr: &errs})
	return status, out.String(), errs.String()
}

// A lockedBuffer can be written and read at the same time.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// A process is a server that a test started.
type process struct {
	cmd    *exec.Cmd
	url    string
	log    *lockedBuffer
	out    *lockedBuffer // standard output
	exited chan error
}

// startServer starts `bugle serve` on a free port and waits until it answers.
func startServer(t *testing.T, database string, args ...string) *process {
	t.Helper()
	p := &process{log: &lockedBuffer{}, out: &lockedBuffer{}, exited: make(chan error, 1)}
	p.cmd = program(context.Background(), append([]string{"serve", "--database", database, "--listen", "127.0.0.1:0",
		"--allow-target", "127.0.0.1", "--rate-limit", "0", "--guest-rate-limit", "0"}, args...)...)
	p.cmd.Stdout = p.out
	pipe, err := p.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	listening := make(chan string, 1)
	read := make(chan struct{})
	go func() {
		defer close(read)
		lines := bufio.NewScanner(io.TeeReader(pipe, p.log))
		for lines.Scan() {
			if _, rest, found := strings.Cut(lines.Text(), " url="); found && strings.Contains(lines.Text(), "msg=listening ") {
				listening <- strings.Fields(rest)[0]
			}
		}
	}()
	go func() {
		<-read
		p.exited <- p.cmd.Wait()
	}()
	t.Cleanup(p.kill)
	select {
	case p.url = <-listening:
	case err := <-p.exited:
		p.exited <- err
		t.Fatalf("serve ended early: %v\n%s", err, p.log)
	case <-time.After(30 * time.Second):
		t.Fatalf("serve does not listen\n%s", p.log)
	}
	return p
}

// kill ends the process as a power cut would.
func (p *process) kill() {
	p.cmd.Process.Kill()
	p.exited <- <-p.exited
}

// stop asks the process to end and waits until it has.
func (p *process) stop(t *testing.T) {
	t.Helper()
	if err := p.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	err := <-p.exited
	p.exited <- err
	if err != nil {
		t.Fatalf("serve: %v\n%s", err, p.log)
	}
}

// newDatabase is a name for a database of the test's own, with a key for everything.
func newDatabase(t *testing.T) (database, key string) {
	t.Helper()
	database = "sqlite:" + filepath.Join(t.TempDir(), "data", "bugle.db")
	status, stdout, stderr := runBugle(t, "", "key", "create", "--database", database, "--name", "test", "--scope", "*")
	if status != 0 {
		t.Fatalf("key create: status %d: %s", status, stderr)
	}
	return database, strings.TrimSpace(stdout)
}

// call makes a request to the API. Without an answer it returns the error.
func (p *process) call(key, method, path, body string) (status int, data *value.Array, err error) {
	r, err := http.NewRequest(method, p.url+path, strings.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	r.Header.Set("Authorization", "Bearer "+key)
	r.Header.Set("Content-Type", "application/json")
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, nil, err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return 0, nil, err
	}
	decoded, err := value.Decode(text)
	if err != nil {
		return 0, nil, err
	}
	data, _ = decoded.(*value.Array)
	return answer.StatusCode, data, nil
}

// mustCall is call for an answer with the status.
func (p *process) mustCall(t *testing.T, key, method, path, body string, want int) *value.Array {
	t.Helper()
	status, data, err := p.call(key, method, path, body)
	if err != nil || status != want {
		text, _ := value.JSON(data)
		t.Fatalf("%s %s: status %d, error %v, want %d\n%s\n%s", method, path, status, err, want, text, p.log)
	}
	return data
}

// at follows keys into nested arrays.
func at(v any, keys ...string) any {
	for _, key := range keys {
		a, _ := v.(*value.Array)
		v, _ = a.Get(key)
	}
	return v
}

// createUser makes a user by the API and returns its id, if the status is 201. It is 0 if there was no answer.
func createUser(client *http.Client, url, key, email string) (id int64, status int) {
	r, err := http.NewRequest("POST", url+"/v2/users", strings.NewReader(`{"name":"Jane Roe","email":"`+email+`"}`))
	if err != nil {
		return 0, 0
	}
	r.Header.Set("Authorization", "Bearer "+key)
	r.Header.Set("Content-Type", "application/json")
	answer, err := client.Do(r)
	if err != nil {
		return 0, 0
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return 0, 0
	}
	data, err := value.Decode(text)
	if err != nil {
		return 0, 0
	}
	id, _ = at(data, "data", "id").(int64)
	return id, answer.StatusCode
}
