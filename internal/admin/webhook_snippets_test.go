package admin

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/internal/delivery"
	"github.com/buglehq/bugle/internal/storetest"
	"github.com/buglehq/bugle/value"
)

func jsonOf(v any) (string, error) {
	text, err := value.JSON(v)
	return string(text), err
}

// A snippetRunner runs a program that checks a request, given as JSON on standard input, and prints what
// came of it, such as "true true" for both signatures; for GET it is one.
type snippetRunner struct {
	command  string
	file     string
	main     string // follows the snippet
	mainGet  string
	args     []string
	arranged func(t *testing.T, folder string)
}

var snippetRunners = map[string]snippetRunner{
	"python": {command: "python3", file: "verify.py", args: []string{"verify.py"},
		main: `
import json, sys
r = json.load(sys.stdin)
print(*(str(f(r["content"].encode(), r["headers"])).lower() for f in (verify, verify_signature)))
`, mainGet: `
import json, sys
r = json.load(sys.stdin)
print(str(verify(r["content"].encode(), r["headers"])).lower())
`},
	"node": {command: "node", file: "verify.cjs", args: []string{"verify.cjs"},
		main: `
const r = JSON.parse(require("node:fs").readFileSync(0));
const headers = Object.fromEntries(Object.entries(r.headers).map(([name, value]) => [name.toLowerCase(), value]));
console.log(verify(Buffer.from(r.content), headers), verifySignature(Buffer.from(r.content), headers));
`, mainGet: `
const r = JSON.parse(require("node:fs").readFileSync(0));
console.log(verify(r.content, r.headers));
`},
	"php": {command: "php", file: "verify.php", args: []string{"verify.php"},
		main: `
$r = json_decode(file_get_contents('php://stdin'), true);
$headers = array_change_key_case($r['headers']);
echo var_export(verify($r['content'], $headers), true), ' ', var_export(verifySignature($r['content'], $headers), true), "\n";
`, mainGet: `
$r = json_decode(file_get_contents('php://stdin'), true);
echo var_export(verify($r['content'], array_change_key_case($r['headers'])), true), "\n";
`},
	"go": {command: "go", file: "webhook/verify.go", args: []string{"run", "."}, arranged: func(t *testing.T, folder string) {
		write(t, filepath.Join(folder, "go.mod"), "module try\n\ngo 1.22\n")
	}, main: `package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"

	"try/webhook"
)

func main() {
	content, h := read()
	fmt.Println(webhook.Verify(content, h), webhook.VerifySignature(content, h))
}
` + goReader, mainGet: `package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"

	"try/webhook"
)

func main() {
	content, h := read()
	fmt.Println(webhook.Verify(content, h))
}
` + goReader},
}

const goReader = `
func read() ([]byte, http.Header) {
	var r struct {
		Content string
		Headers map[string]string
	}
	if err := json.NewDecoder(os.Stdin).Decode(&r); err != nil {
		panic(err)
	}
	h := http.Header{}
	for name, value := range r.Headers {
		h.Set(name, value)
	}
	return []byte(r.Content), h
}
`

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

const snippetEnvelope = `{"event":"calendar.updated","created":"2026-01-14T12:00:00.123456Z","request_id":"9b1f","trace_id":"2c1d","data":{"id":2,"name":"\u00dcbungen \/ \"Ops\""},"changes":[]}`

// The programs on the pages accept what is sent, and nothing else.
func TestSnippets(t *testing.T) {
	for language, runner := range snippetRunners {
		for _, method := range []string{"post", "get"} {
			for _, secret := range []string{"0123456789abcdef0123456789abcdef", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"} {
				t.Run(language+"/"+method+"/"+secret[:5], func(t *testing.T) {
					program, err := exec.LookPath(runner.command)
					if err != nil {
						t.Skipf("%s is not installed", runner.command)
					}
					if language == "go" && testing.Short() {
						t.Skip("building takes seconds")
					}
					w := bugle.NewWebhook()
					w.URL, w.Method, w.Secret = "https://example.com/hook", method, secret
					folder := t.TempDir()
					snippet, err := snippetOf(language, &w)
					if err != nil {
						t.Fatal(err)
					}
					main := runner.main
					if method == "get" {
						main = runner.mainGet
					}
					if runner.arranged != nil {
						runner.arranged(t, folder)
						write(t, filepath.Join(folder, "main.go"), main)
						main = ""
					}
					write(t, filepath.Join(folder, runner.file), snippet+main)
					run := func(content string, header http.Header) string {
						t.Helper()
						headers := map[string]string{}
						for name, values := range header {
							headers[name] = values[0]
						}
						in, err := json.Marshal(map[string]any{"content": content, "headers": headers})
						if err != nil {
							t.Fatal(err)
						}
						c := exec.CommandContext(t.Context(), program, runner.args...)
						c.Dir, c.Stdin = folder, bytes.NewReader(in)
						c.Env = append(os.Environ(), "WEBHOOK_SECRET="+secret)
						var stderr strings.Builder
						c.Stderr = &stderr
						out, err := c.Output()
						if err != nil {
							t.Fatalf("%v\n%s\n%s", err, stderr.String(), snippet)
						}
						return strings.TrimSpace(string(out))
					}
					want := func(what, yes, got string) {
						t.Helper()
						if method == "get" {
							yes, _, _ = strings.Cut(yes, " ")
						}
						if got != yes {
							t.Errorf("%s: %s, want %s", what, got, yes)
						}
					}
					sign := func(w *bugle.Webhook, at time.Time) (string, http.Header) {
						t.Helper()
						r, err := delivery.NewRequest(w, 17, storetest.Body(t, w, []byte(snippetEnvelope)), at, "Bugle/test")
						if err != nil {
							t.Fatal(err)
						}
						if method == "get" {
							_, query, _ := strings.Cut(r.URL, "?")
							return query, r.Header
						}
						return string(r.Body), r.Header
					}
					now := time.Now()
					content, header := sign(&w, now)
					want("as sent", "true true", run(content, header))
					want("altered", "false false", run(content+"x", header))

					// The rest is about headers, and the same code for GET.
					if method == "get" || language == "go" && secret[:5] != "whsec" {
						return
					}
					_, old := sign(&w, now.Add(-10*time.Minute))
					want("old", "false true", run(content, old))
					rotated := w
					rotated.Secret, rotated.OldSecret, rotated.OldSecretUntil = "new secret", secret, now.Add(time.Hour)
					_, both := sign(&rotated, now)
					want("while the secret is replaced", "true false", run(content, both))
					want("unsigned", "false false", run(content, http.Header{}))
					odd := header.Clone()
					odd["webhook-signature"], odd["Signature"] = []string{"v1,ä"}, []string{"ä"}
					want("nonsense", "false false", run(content, odd))
				})
			}
		}
	}
}

// Those that cannot be run here at least name the headers and hold no trace of their template.
func TestSnippets_text(t *testing.T) {
	for _, l := range snippetLanguages {
		for _, method := range []string{"post", "get"} {
			w := bugle.NewWebhook()
			w.Method = method
			text, err := snippetOf(l.key, &w)
			if err != nil {
				t.Fatal(err)
			}
			has(t, text, "webhook-id", "webhook-timestamp", "webhook-signature", "WEBHOOK_SECRET")
			hasNot(t, text, "{{", "<no value>", w.Secret)
			if got := strings.Contains(strings.ToLower(text), "verify_signature") || strings.Contains(strings.ToLower(text), "verifysignature"); got != (method == "post") {
				t.Errorf("%s for %s checks Signature: %v", l.key, method, got)
			}
		}
	}
}
