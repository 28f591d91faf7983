package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/buglehq/bugle/internal/delivery"
)

// verifyCommand is `bugle verify`: it checks the signatures of one request.
type verifyCommand struct {
	Secret           []string      `help:"Secret of the webhook. Repeat it while a secret is being replaced." sep:"none" env:"BUGLE_SECRET"`
	Signature        string        `help:"The Signature header." placeholder:"HEX"`
	WebhookID        string        `help:"The webhook-id header." name:"webhook-id" placeholder:"ID"`
	WebhookTimestamp string        `help:"The webhook-timestamp header." placeholder:"SECONDS"`
	WebhookSignature string        `help:"The webhook-signature header." placeholder:"'v1,…'"`
	Query            *string       `help:"The raw query of a GET request, which has no body." placeholder:"QUERY"`
	Tolerance        time.Duration `help:"How old or new webhook-timestamp may be; 0 is any age." default:"5m" env:"BUGLE_TOLERANCE"`
}

// Help follows the one line that describes the command.
func (*verifyCommand) Help() string {
	return `The body is read from standard input and must be the bytes that came, to the last one. The command succeeds, and
prints what it checked, if every signature that is given is right. It fails with the reasons otherwise.

  bugle verify --secret "$SECRET" --signature "$SIGNATURE" < body.json
  bugle verify --secret "$SECRET" --webhook-id msg_17 --webhook-timestamp 1768392000 \
    --webhook-signature 'v1,…' --query 'event=calendar.updated&…'`
}

// Validate reports flags that make no sense. Kong calls it before Run.
func (c *verifyCommand) Validate() error {
	if c.Tolerance < 0 {
		return fmt.Errorf("--tolerance is %v, want a time such as 5m, or 0 for any age", c.Tolerance)
	}
	return nil
}

// maxVerifyBody is far beyond what is sent as a webhook.
const maxVerifyBody = 16 << 20

// Run prints a line per signature on standard output, or returns what is wrong, a line each.
func (c *verifyCommand) Run(_ context.Context, out *output) error {
	verifier := delivery.Verifier{Secrets: c.Secret, Tolerance: c.Tolerance}
	if c.Tolerance == 0 {
		verifier.Tolerance = -1
	}
	if strings.Join(c.Secret, "") == "" {
		return errors.New("no secret: give --secret or set BUGLE_SECRET")
	}
	// Before reading: whoever forgot the flags would otherwise wait for a terminal.
	if c.Signature == "" && c.WebhookSignature == "" {
		return errors.New("nothing to check: give --signature, or --webhook-signature with --webhook-id and --webhook-timestamp")
	}
	header := http.Header{}
	for name, value := range map[string]string{
		"Signature":         c.Signature,
		"Webhook-Id":        c.WebhookID,
		"Webhook-Timestamp": c.WebhookTimestamp,
		"Webhook-Signature": c.WebhookSignature,
	} {
		if value = strings.TrimSpace(value); value != "" { // as a server does with a header
			header.Set(name, value)
		}
	}
	method, query, body := http.MethodPost, "", []byte(nil)
	if c.Query != nil {
		method, query = http.MethodGet, strings.TrimPrefix(*c.Query, "?")
	} else {
		var err error
		if body, err = io.ReadAll(io.LimitReader(out.Stdin, maxVerifyBody+1)); err != nil {
			return fmt.Errorf("read the body from standard input: %w", err)
		}
		if len(body) > maxVerifyBody {
			return fmt.Errorf("the body on standard input is longer than %d bytes", maxVerifyBody)
		}
	}

	verdict, err := verifier.Verify(header, method, body, query)
	if err != nil {
		return errors.Join(err, explain(verifier, header, method, body))
	}
	for _, check := range []struct {
		name   string
		result delivery.Check
	}{{"Signature", verdict.Signature}, {"webhook-signature", verdict.Standard}} {
		if check.result != delivery.CheckMissing {
			fmt.Fprintf(out.Stdout, "%s: %s\n", check.name, check.result)
		}
	}
	return nil
}

// explain returns a likelier reason than those of the verifier for a wrong signature, or nil.
func explain(verifier delivery.Verifier, header http.Header, method string, body []byte) error {
	if method == http.MethodGet {
		return nil
	}
	if len(body) == 0 {
		return errors.New("the body on standard input is empty: for a GET request give --query")
	}
	text := strings.TrimRight(string(body), "\r\n")
	if len(text) == len(body) {
		return nil
	}
	verifier.Tolerance = -1
	if _, err := verifier.Verify(header, method, []byte(text), ""); err != nil {
		return nil
	}
	return errors.New("it is right without the line break at the end of standard input: leave that away, such as by printf '%s'")
}
