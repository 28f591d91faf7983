package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// healthCommand is `bugle health`.
type healthCommand struct {
	URL     string        `help:"Address of the server; /readyz unless it has a path." default:"http://127.0.0.1:8080" name:"url" env:"BUGLE_HEALTH_URL"`
	Timeout time.Duration `help:"How long to wait for the answer." default:"4s"`
}

// Help follows the one line that describes the command.
func (*healthCommand) Help() string {
	return `For health checks where there is no curl, such as in a container. The exit status is 0 if the server answers that it is ready.

  bugle health
  bugle health --url http://127.0.0.1:9080/health     whether it runs at all`
}

// Validate reports what is wrong with the options.
func (c *healthCommand) Validate() error {
	u, err := url.Parse(c.URL)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return fmt.Errorf("--url is %q, want an address such as http://127.0.0.1:8080", c.URL)
	}
	if c.Timeout <= 0 {
		return fmt.Errorf("--timeout is %s, want more than 0", c.Timeout)
	}
	return nil
}

// Run asks the server, and fails unless it is ready.
func (c *healthCommand) Run(ctx context.Context, out *output) error {
	u, err := url.Parse(c.URL)
	if err != nil {
		return err
	}
	if u.Path == "" || u.Path == "/" {
		u.Path = "/readyz"
	}
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return err
	}
	r.Header.Set("User-Agent", userAgent())
	client := &http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true}, // and no proxy: the server is near
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	answer, err := client.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, 1000))
	if err != nil {
		return err
	}
	if answer.StatusCode < 200 || answer.StatusCode > 299 {
		return fmt.Errorf("%s answers %s: %s", u.Redacted(), answer.Status, strings.TrimSpace(string(text)))
	}
	fmt.Fprintln(out.Stdout, "healthy")
	return nil
}
