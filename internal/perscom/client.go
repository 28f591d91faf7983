// Package perscom reads an organization from PERSCOM's REST API, or one that is like it, such as another
// Bugle, and copies it into the database.
package perscom

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"path"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/jonboulle/clockwork"

	"github.com/buglehq/bugle/internal/delivery"
	"github.com/buglehq/bugle/value"
)

// Options are how a Client asks.
type Options struct {
	Key       string
	PerscomID string // X-Perscom-Id; empty: as the key says
	UserAgent string
	Allow     []string        // private networks and hosts from which files may be fetched
	Proxy     *delivery.Proxy // through which everything is asked; nil: directly
	Clock     clockwork.Clock // of waits between requests; the real one unless set

	// Waiting is told why the client waits before it asks again. It may be nil.
	Waiting func(d time.Duration, why string)
}

const (
	requestTimeout = time.Minute
	fileTimeout    = 5 * time.Minute
	maxAnswer      = 64 << 20
	maxTries       = 5                // of a request that fails
	maxRefusals    = 60               // of a request that comes too early
	maxWait        = 10 * time.Minute // before asking again
	usualWait      = 15 * time.Second // where the source says how long not
	maxRedirects   = 3                // of files
)

// A Client asks one installation, with one key. All that it asks goes out through the guard of
// deliveries: to the installation itself, and else only to public addresses.
type Client struct {
	base  *url.URL // with the version, without a slash at the end
	o     Options
	api   *delivery.Client // for the installation itself
	files *delivery.Client // for any other host
}

var versionPath = regexp.MustCompile(`^v[0-9]+$`)

// New returns a client for the address of an installation: https://api.perscom.io, with or without the
// version at its end.
func New(from string, o Options) (*Client, error) {
	u, err := url.Parse(from)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, fmt.Errorf("the address %q is none of an API: want one such as https://api.perscom.io/v2", redacted(from))
	}
	if p := strings.TrimRight(u.Path, "/"); versionPath.MatchString(path.Base(p)) {
		u.Path = path.Dir(p)
	}
	u.Path, u.RawPath = strings.TrimRight(u.Path, "/")+"/v2", ""
	if strings.TrimSpace(o.Key) == "" || strings.ContainsAny(o.Key, "\r\n") {
		return nil, errors.New("the key is empty, or not one")
	}
	if o.Clock == nil {
		o.Clock = clockwork.NewRealClock()
	}
	if o.Waiting == nil {
		o.Waiting = func(time.Duration, string) {}
	}
	allowed, err := delivery.NewGuard([]string{u.Hostname()}, nil)
	if err != nil {
		return nil, fmt.Errorf("the address %s: %w", u, err)
	}
	others, err := delivery.NewGuard(o.Allow, nil)
	if err != nil {
		return nil, err
	}
	allowed.UseProxy(o.Proxy)
	others.UseProxy(o.Proxy)
	return &Client{base: u, o: o, api: delivery.NewClient(allowed, delivery.ClientOptions{}), files: delivery.NewClient(others, delivery.ClientOptions{})}, nil
}

// redacted is an address that cannot be used, without what may be a password.
func redacted(address string) string {
	if at := strings.LastIndexByte(address, '@'); at >= 0 {
		return "…" + address[at:]
	}
	return address
}

// Close closes the connections.
func (c *Client) Close() {
	c.api.Close()
	c.files.Close()
}

// Source names what is asked: the address without the version, and the id of the organization there if
// there is one.
func (c *Client) Source() string {
	name := c.base.Scheme + "://" + strings.ToLower(c.base.Host) + strings.TrimSuffix(c.base.Path, "/v2")
	if c.o.PerscomID != "" {
		name += "#" + c.o.PerscomID
	}
	return name
}

// A StatusError is an answer that is no success.
type StatusError struct {
	Status  int
	Request string // method and path
	Message string // the API's
}

// Error says what was asked and what was answered.
func (e *StatusError) Error() string {
	text := fmt.Sprintf("%s: answered %d %s", e.Request, e.Status, http.StatusText(e.Status))
	if e.Message != "" {
		text += ": " + e.Message
	}
	return text
}

// status returns the status of a StatusError, or 0.
func status(err error) int {
	var e *StatusError
	if errors.As(err, &e) {
		return e.Status
	}
	return 0
}

// A question is what is asked for a page of a list.
type question struct {
	path    string   // below the version: "users/7/status-records"
	include []string // relations
	scope   string   // rows that lists leave out; empty: the list itself
	sorted  bool     // by id; asked as a search too
	repeats bool     // the list may hold a resource more than once
}

// A page is one part of a list.
type page struct {
	items []*value.Array
	total int // of all pages; -1 if the source does not say
}

// page asks for one page.
func (c *Client) page(ctx context.Context, q question, number, limit int) (*page, error) {
	u := c.base.JoinPath(q.path)
	query := url.Values{"page": {strconv.Itoa(number)}, "limit": {strconv.Itoa(limit)}}
	if len(q.include) > 0 {
		query.Set("include", strings.Join(q.include, ","))
	}
	method, body := http.MethodGet, []byte(nil)
	if q.scope != "" || q.sorted {
		method, u = http.MethodPost, u.JoinPath("search")
		search := value.NewArray(2)
		if q.scope != "" {
			search.Set("scopes", value.List(value.Map("name", q.scope)))
		}
		if q.sorted {
			search.Set("sort", value.List(value.Map("field", "id", "direction", "asc")))
		}
		text, err := value.JSON(search)
		if err != nil {
			return nil, err
		}
		body = text
	}
	u.RawQuery = query.Encode()
	answer, err := c.ask(ctx, method, u, body)
	if err != nil {
		return nil, err
	}
	data, _ := answer.Get("data")
	list, ok := data.(*value.Array)
	if !ok || !list.IsList() {
		return nil, fmt.Errorf("%s %s: the answer holds no list: is this the address of the API?", method, u.Path)
	}
	p := &page{total: -1}
	meta, _ := answer.Get("meta")
	if m, ok := meta.(*value.Array); ok {
		if total, ok := m.Get("total"); ok {
			if n, ok := total.(int64); ok && n >= 0 {
				p.total = int(n)
			}
		}
	}
	for _, item := range list.All() {
		if object, ok := item.(*value.Array); ok {
			p.items = append(p.items, object)
		}
	}
	return p, nil
}

// ask makes a request and decodes the answer.
func (c *Client) ask(ctx context.Context, method string, u *url.URL, body []byte) (*value.Array, error) {
	var text []byte
	err := c.retry(ctx, func(ctx context.Context) (*http.Response, error) {
		ctx, cancel := context.WithTimeout(ctx, requestTimeout)
		defer cancel()
		r, err := http.NewRequestWithContext(ctx, method, u.String(), bytes.NewReader(body))
		if err != nil {
			return nil, err
		}
		r.Header.Set("Accept", "application/json")
		r.Header.Set("Authorization", "Bearer "+c.o.Key)
		r.Header.Set("User-Agent", c.o.UserAgent)
		if c.o.PerscomID != "" {
			r.Header.Set("X-Perscom-Id", c.o.PerscomID)
		}
		if body != nil {
			r.Header.Set("Content-Type", "application/json")
		}
		answer, err := c.api.RoundTrip(r)
		if err != nil {
			return nil, err
		}
		defer answer.Body.Close()
		text, err = io.ReadAll(io.LimitReader(answer.Body, maxAnswer+1))
		if err == nil && len(text) > maxAnswer {
			err = fmt.Errorf("the answer is longer than %d MiB", maxAnswer>>20)
		}
		return answer, err
	}, func(answer *http.Response) error {
		if answer.StatusCode/100 == 2 {
			return nil
		}
		e := &StatusError{Status: answer.StatusCode, Request: method + " " + u.Path, Message: message(text)}
		if location := answer.Header.Get("Location"); answer.StatusCode/100 == 3 && location != "" {
			e.Message = "it points to " + printable(location) + ", which may be the address to use"
		}
		return e
	})
	if err != nil {
		return nil, err
	}
	decoded, err := value.Decode(text)
	object, ok := decoded.(*value.Array)
	if err != nil || !ok {
		return nil, fmt.Errorf("%s %s: the answer is no JSON object: is this the address of the API?", method, u.Path)
	}
	return object, nil
}

// message is what the body of a failure says.
func message(body []byte) string {
	decoded, err := value.Decode(body)
	if err != nil {
		return ""
	}
	object, _ := decoded.(*value.Array)
	if e, ok := object.Get("error"); ok {
		if inner, ok := e.(*value.Array); ok {
			object = inner
		}
	}
	v, _ := object.Get("message")
	text, _ := v.(string)
	return printable(text)
}

// printable is a text of the source, fit to be shown in a line.
func printable(text string) string {
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, ""))
	if runes := []rune(text); len(runes) > 300 {
		text = string(runes[:300]) + "…"
	}
	return text
}

// retry tries until try has an answer that is worth keeping, and returns what check says of it. It
// waits as long as the source asks for, and longer each time where nothing is said.
func (c *Client) retry(ctx context.Context, try func(ctx context.Context) (*http.Response, error), check func(*http.Response) error) error {
	failures, refusals := 0, 0
	for {
		answer, err := try(ctx)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err == nil {
			err = check(answer)
		}
		var own *ownError
		if delivery.Refused(err) || errors.As(err, &own) {
			return err
		}
		var wait time.Duration
		switch {
		case err == nil:
			return nil
		case answer != nil && answer.StatusCode == http.StatusTooManyRequests:
			if refusals++; refusals > maxRefusals {
				return err
			}
			wait = c.retryAfter(answer, usualWait)
		case answer == nil || answer.StatusCode >= 500 || answer.StatusCode/100 == 2: // the last broke off
			if failures++; failures >= maxTries {
				return err
			}
			wait = time.Second << (failures - 1)
			wait += rand.N(wait / 4)
			if answer != nil {
				wait = max(wait, c.retryAfter(answer, 0))
			}
		default:
			return err
		}
		wait = min(wait, maxWait)
		c.o.Waiting(wait, err.Error())
		select {
		case <-c.o.Clock.After(wait):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// retryAfter is how long an answer asks to wait, in seconds or until a date, else the usual time.
func (c *Client) retryAfter(answer *http.Response, usual time.Duration) time.Duration {
	text := answer.Header.Get("Retry-After")
	if seconds, err := strconv.Atoi(text); err == nil && seconds >= 0 && seconds < 1e6 {
		return time.Duration(seconds) * time.Second
	}
	if at, err := http.ParseTime(text); err == nil {
		return max(at.Sub(c.o.Clock.Now()), 0)
	}
	if reset, err := strconv.ParseInt(answer.Header.Get("X-RateLimit-Reset"), 10, 64); err == nil {
		return max(time.Unix(reset, 0).Sub(c.o.Clock.Now()), 0)
	}
	return usual
}

// isOwn reports whether an address is the installation's own.
func (c *Client) isOwn(u *url.URL) bool {
	return u.Scheme == c.base.Scheme && strings.EqualFold(u.Host, c.base.Host)
}

// RoundTrip sends a request for a file through the guard that its host needs.
func (c *Client) RoundTrip(r *http.Request) (*http.Response, error) {
	if c.isOwn(r.URL) {
		return c.api.RoundTrip(r)
	}
	return c.files.RoundTrip(r)
}

// File fetches a file and hands its content to read, which is called again if a try fails. The key is
// not sent along: addresses of files are open to who knows them.
func (c *Client) File(ctx context.Context, address string, read func(io.Reader) error) error {
	u, err := c.base.Parse(address)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.User != nil {
		return fmt.Errorf("%q is no address of a file", printable(address))
	}
	client := &http.Client{Transport: c, CheckRedirect: func(r *http.Request, via []*http.Request) error {
		if len(via) > maxRedirects {
			return errors.New("too many redirects")
		}
		return nil
	}}
	return c.retry(ctx, func(ctx context.Context) (*http.Response, error) {
		ctx, cancel := context.WithTimeout(ctx, fileTimeout)
		defer cancel()
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
		if err != nil {
			return nil, err
		}
		r.Header.Set("User-Agent", c.o.UserAgent)
		answer, err := client.Do(r)
		if err != nil {
			var wrapped *url.Error
			if errors.As(err, &wrapped) {
				err = wrapped.Err // its text has the whole address, which may hold a signature
			}
			return nil, err
		}
		defer answer.Body.Close()
		if answer.StatusCode/100 != 2 {
			return answer, nil
		}
		body := &reader{Reader: answer.Body}
		if err = read(body); err != nil && body.err == nil {
			err = &ownError{err}
		}
		return answer, err
	}, func(answer *http.Response) error {
		if answer.StatusCode/100 == 2 {
			return nil
		}
		return &StatusError{Status: answer.StatusCode, Request: "GET " + u.Path}
	})
}

// A reader keeps the error of what it reads.
type reader struct {
	io.Reader
	err error
}

func (r *reader) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	if err != nil && err != io.EOF {
		r.err = err
	}
	return n, err
}

// An ownError is one of who reads a file, rather than of the source.
type ownError struct{ error }

func (e *ownError) Unwrap() error { return e.error }
