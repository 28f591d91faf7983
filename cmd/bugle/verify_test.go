package main

import (
	"bytes"
	"errors"
	"io"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/buglehq/bugle/internal/delivery"
)

// verify runs `bugle verify` with the body on standard input.
func verify(t *testing.T, stdin io.Reader, args ...string) (string, error) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	err := runCommand(t.Context(), &output{Stdin: stdin, Stdout: &stdout, Stderr: &stderr}, append([]string{"verify"}, args...)...)
	if stderr.Len() > 0 {
		t.Errorf("on stderr: %s", &stderr)
	}
	return stdout.String(), err
}

// standardFlags are those of a webhook-signature over the content, made so long ago.
func standardFlags(content string, ago time.Duration) []string {
	at := time.Now().Add(-ago).Unix()
	return []string{"--webhook-id", "msg_17", "--webhook-timestamp", strconv.FormatInt(at, 10),
		"--webhook-signature", delivery.StandardSignature(secret, "msg_17", at, []byte(content))}
}

func TestVerify(t *testing.T) {
	t.Setenv("BUGLE_SECRET", "")
	const query = "event=calendar.updated&data%5Bid%5D=2"
	signature := []string{"--signature", delivery.Signature(secret, []byte(envelope))}
	given := []string{"--secret", secret}
	flags := func(groups ...[]string) []string {
		var all []string
		for _, group := range groups {
			all = append(all, group...)
		}
		return all
	}
	const signatureOK, standardOK = "Signature: ok\n", "webhook-signature: ok\n"
	const wrongSignature = "the Signature header is wrong: another secret, or the body was altered"
	const hour = time.Hour
	for _, test := range []struct {
		name string
		env  string // BUGLE_SECRET
		args []string
		body string
		want string // on stdout
		err  string // its start
	}{
		{name: "Signature", args: flags(given, signature), body: envelope, want: signatureOK},
		{name: "secret of the environment", env: secret, args: signature, body: envelope, want: signatureOK},
		{name: "two secrets", args: flags(given, []string{"--secret", "another"}, signature), body: envelope, want: signatureOK},
		{name: "webhook-signature", args: flags(given, standardFlags(envelope, 0)), body: envelope, want: standardOK},
		{name: "both", args: flags(given, signature, standardFlags(envelope, 0)), body: envelope, want: signatureOK + standardOK},
		{name: "spaces around", args: flags(given, []string{"--signature", " " + signature[1] + "\n"}), body: envelope, want: signatureOK},
		{name: "GET", args: flags(given, standardFlags(query, 0), []string{"--query", query}), want: standardOK},
		{name: "GET with the question mark", args: flags(given, standardFlags(query, 0), []string{"--query", "?" + query}), want: standardOK},
		{name: "GET with Signature", args: flags(given, signature, standardFlags(query, 0), []string{"--query", query}),
			want: "Signature: not checkable\n" + standardOK},
		{name: "old, any age", args: flags(given, standardFlags(envelope, 1000*hour), []string{"--tolerance", "0"}), body: envelope, want: standardOK},
		{name: "old, but tolerated", args: flags(given, standardFlags(envelope, hour), []string{"--tolerance", "2h"}), body: envelope, want: standardOK},

		{name: "old", args: flags(given, signature, standardFlags(envelope, hour)), body: envelope, err: "webhook-timestamp is 1h0m"},
		{name: "tampered", args: flags(given, signature), body: envelope + " ", err: wrongSignature},
		{name: "another secret", args: flags([]string{"--secret", "another"}, signature), body: envelope, err: wrongSignature},
		{name: "everything wrong", args: flags([]string{"--secret", "another"}, signature, standardFlags(envelope, 0)), body: envelope,
			err: wrongSignature + "\nwebhook-signature is wrong"},
		{name: "no id", args: flags(given, standardFlags(envelope, 0)[2:]), body: envelope, err: "webhook-id is missing"},
		{name: "line break of echo", args: flags(given, signature), body: envelope + "\r\n",
			err: wrongSignature + "\nit is right without the line break at the end of standard input"},
		{name: "line break that is not all", args: flags(given, signature), body: "x\n", err: wrongSignature},
		{name: "old and with a line break", args: flags(given, standardFlags(envelope, hour)), body: envelope + "\n",
			err: "webhook-signature is wrong: another secret, or the content, webhook-id or webhook-timestamp was altered\nit is right without"},
		{name: "empty body", args: flags(given, signature), err: wrongSignature + "\nthe body on standard input is empty"},
		{name: "GET with Signature alone", args: flags(given, signature, []string{"--query", query}),
			err: "webhook-signature is missing, and Signature cannot be checked for GET"},
		{name: "GET with an empty query", args: flags(given, standardFlags(query, 0), []string{"--query", ""}), err: "webhook-signature is wrong"},
		{name: "nothing to check", args: flags(given, []string{"--webhook-id", "msg_17"}), body: envelope, err: "nothing to check: give --signature"},
		{name: "no secret", args: signature, body: envelope, err: "no secret: give --secret or set BUGLE_SECRET"},
		{name: "negative tolerance", args: flags(given, signature, []string{"--tolerance=-1s"}), err: "verify: --tolerance is -1s"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if test.env != "" {
				t.Setenv("BUGLE_SECRET", test.env)
			}
			got, err := verify(t, strings.NewReader(test.body), test.args...)
			if got != test.want {
				t.Errorf("printed %q, want %q", got, test.want)
			}
			switch {
			case test.err == "" && err != nil:
				t.Errorf("got error %v", err)
			case test.err != "" && (err == nil || !strings.HasPrefix(err.Error(), test.err)):
				t.Errorf("got error %v, want %s", err, test.err)
			case test.name == "line break that is not all" && err.Error() != wrongSignature:
				t.Errorf("got error %v, want no more than %s", err, wrongSignature)
			}
		})
	}
}

func TestVerify_body(t *testing.T) {
	args := []string{"--secret", secret, "--signature", "00"}
	if _, err := verify(t, iotest.ErrReader(errors.New("pipe broke")), args...); err == nil ||
		err.Error() != "read the body from standard input: pipe broke" {
		t.Errorf("got error %v", err)
	}
	if _, err := verify(t, zeros{}, args...); err == nil || !strings.Contains(err.Error(), "longer than") {
		t.Errorf("got error %v", err)
	}
}

// zeros reads as zero bytes without end.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// A GET has no body, so nothing may be awaited on standard input, nor when there is nothing to check.
func TestVerify_readsNoBodyInVain(t *testing.T) {
	unread := iotest.ErrReader(errors.New("was read"))
	args := append([]string{"--secret", secret, "--query", "a=1"}, standardFlags("a=1", 0)...)
	if _, err := verify(t, unread, args...); err != nil {
		t.Errorf("GET: %v", err)
	}
	if _, err := verify(t, unread, "--secret", secret); err == nil || !strings.Contains(err.Error(), "nothing to check") {
		t.Errorf("nothing to check: %v", err)
	}
}
