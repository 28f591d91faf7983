package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/internal/admin"
	"github.com/buglehq/bugle/internal/dispatch"
	"github.com/buglehq/bugle/internal/signin"
	"github.com/buglehq/bugle/internal/store"
	"github.com/buglehq/bugle/personnel"
	"github.com/buglehq/bugle/value"
)

// benchPanelCommand is `bugle bench panel`.
type benchPanelCommand struct {
	Deliveries int  `help:"Deliveries in the log, each with its event, an attempt and a run." default:"1000000"`
	Requests   int  `help:"Requests for each page." default:"100"`
	JSON       bool `help:"Print the figures as one JSON object." name:"json"`
}

// Help follows the one line that describes the command.
func (*benchPanelCommand) Help() string {
	return `Fills a log in a temporary folder and asks for the panel's pages, over HTTP on this machine, one after the other,
signed in as an admin. It prints how long each took to the last byte, the slowest first.

  bugle bench panel
  bugle bench panel --deliveries 10000`
}

// Validate reports options out of range.
func (c *benchPanelCommand) Validate() error {
	return errors.Join(between("deliveries", c.Deliveries, 100, 100000000), between("requests", c.Requests, 10, 100000))
}

// panelFigures are what a run measured; with --json their names are a promise.
type panelFigures struct {
	Deliveries int          `json:"deliveries"`
	Pages      []pageFigure `json:"pages"` // the slowest first
}

type pageFigure struct {
	Path  string  `json:"path"`
	Bytes int     `json:"bytes"` // of HTML
	P50   float64 `json:"p50_ms"`
	P95   float64 `json:"p95_ms"`
	P99   float64 `json:"p99_ms"`
}

// panelPages are what is asked for: every list, with the filters that find much and those that find nothing,
// deep pages of the logs, and a page of each sort.
var panelPages = []string{
	"/", "/dashboard/tiles", "/account", "/notifications", "/roster",
	"/webhooks", "/webhooks/create", "/webhooks/1", "/webhooks/1?range=30d", "/webhooks/1?state=failed", "/webhooks/1/edit",
	"/webhook-logs", "/webhook-logs?state=failed", "/webhook-logs?webhook=1", "/webhook-logs?webhook=1&state=failed", "/webhook-logs?status=5xx",
	"/webhook-logs?event=rankrecord.deleted", "/webhook-logs?error=dns", "/webhook-logs?request_id=00", "/webhook-logs?since=2020-01-01T00:00",
	"/webhook-logs?before=1000", "/webhook-logs/1",
	"/event-log", "/event-log?event=user.created", "/event-log?kind=user&resource=1", "/event-log?since=2020-01-01T00:00", "/event-log?before=1000", "/event-log/1",
	"/automations", "/automations/create", "/automations/1", "/automations/1/edit", "/automation-logs", "/automation-logs?status=failed",
	"/automation-logs?automation=1&status=executed", "/automation-logs?before=1000", "/automation-logs/1",
	"/users", "/users?q=user", "/users/1", "/users/1/edit", "/rank-records", "/ranks", "/messages/create",
	"/api-keys", "/api-keys/create", "/settings", "/accounts", "/roles", "/roles/create", "/channels", "/targets",
}

// Run measures and prints the figures.
func (c *benchPanelCommand) Run(ctx context.Context, out *output) error {
	dir, err := os.MkdirTemp("", "bugle-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	f, err := c.measure(ctx, filepath.Join(dir, "bench.db"), out.Stderr)
	if err != nil {
		return err
	}
	if c.JSON {
		return json.NewEncoder(out.Stdout).Encode(f)
	}
	fmt.Fprintf(out.Stdout, "%d deliveries in the log\n%-52s %9s %9s %9s %9s\n", f.Deliveries, "page", "p50 ms", "p95 ms", "p99 ms", "KB")
	for _, p := range f.Pages {
		fmt.Fprintf(out.Stdout, "%-52s %9.1f %9.1f %9.1f %9.1f\n", p.Path, p.P50, p.P95, p.P99, float64(p.Bytes)/1024)
	}
	return nil
}

const benchPassword = "a password for the bench"

func (c *benchPanelCommand) measure(ctx context.Context, path string, progress io.Writer) (*panelFigures, error) {
	db, err := store.Open(ctx, "sqlite:"+path, store.Options{Exclusive: true, BaseURL: "http://127.0.0.1"})
	if err != nil {
		return nil, err
	}
	defer db.Close()
	panel := admin.New(db, admin.Options{UserAgent: userAgent(), Scopes: []string{"*"}})
	defer panel.Close()
	if err := c.prepare(ctx, db); err != nil {
		return nil, fmt.Errorf("fill the database: %w", err)
	}
	fmt.Fprintf(progress, "writing a log of %d deliveries\n", c.Deliveries)
	if err := db.FillLog(ctx, 1, c.Deliveries); err != nil {
		return nil, fmt.Errorf("fill the log: %w", err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	server := &http.Server{Handler: panel, ReadHeaderTimeout: 10 * time.Second}
	go server.Serve(listener)
	defer server.Close()
	base := "http://" + listener.Addr().String()
	jar, err := cookiejar.New(nil)
	if err != nil {
		return nil, err
	}
	client := &http.Client{Jar: jar, Transport: &http.Transport{DisableCompression: true}} // to the server of this run only
	defer client.CloseIdleConnections()
	answer, err := client.PostForm(base+"/login", url.Values{"email": {demoEmail}, "password": {benchPassword}})
	if err != nil {
		return nil, err
	}
	answer.Body.Close()
	f := &panelFigures{Deliveries: c.Deliveries}
	for _, page := range panelPages {
		one, err := c.ask(ctx, client, base, page)
		if err != nil {
			return nil, err
		}
		f.Pages = append(f.Pages, one)
	}
	slices.SortStableFunc(f.Pages, func(a, b pageFigure) int { return int(1000 * (b.P95 - a.P95)) })
	return f, nil
}

// prepare makes who looks, and what the log is about.
func (c *benchPanelCommand) prepare(ctx context.Context, db *store.Store) error {
	if _, err := db.EnsureOrganization(ctx, "Bench"); err != nil {
		return err
	}
	hash, err := signin.Hash(benchPassword)
	if err != nil {
		return err
	}
	role, err := db.RoleByName(ctx, 1, bugle.AdminRole)
	if err != nil {
		return err
	}
	return db.Update(ctx, func(tx *store.Tx) error {
		actor := demoActor(0)
		user, err := tx.Create(actor, &personnel.User, value.Map("name", "Alex Carter", "email", demoEmail))
		if err != nil {
			return err
		}
		if err := tx.AddAccount(&bugle.Account{OrganizationID: 1, UserID: user.ID(), Role: role, PasswordHash: hash}); err != nil {
			return err
		}
		for i := range 20 {
			w := bugle.NewWebhook()
			w.OrganizationID = 1
			err := w.Set(value.Map("name", fmt.Sprintf("Webhook %d", i+1), "url", fmt.Sprintf("https://hooks.example.com/%d", i+1),
				"events", value.List("user.created", "user.updated", "rankrecord.created")), true, personnel.EventNames())
			if err == nil {
				err = tx.AddWebhook(&w)
			}
			if err != nil {
				return err
			}
		}
		for i := range 3 {
			a := bugle.NewAutomation()
			a.OrganizationID = 1
			err := dispatch.SetAutomation(tx, &a, value.Map("name", fmt.Sprintf("Automation %d", i+1), "trigger", "rankrecord.created", "condition", "model.type == 0",
				"action_type", "webhook", "webhook_id", int64(1)), true)
			if err == nil {
				err = tx.AddAutomation(&a)
			}
			if err != nil {
				return err
			}
		}
		for i := range 200 {
			if _, err := tx.Create(actor, &personnel.User, value.Map("name", fmt.Sprintf("User %d", i), "email", fmt.Sprintf("user%d@example.com", i))); err != nil {
				return err
			}
		}
		_, err = tx.Create(actor, &personnel.Rank, value.Map("name", "Private"))
		return err
	})
}

// ask asks for a page again and again.
func (c *benchPanelCommand) ask(ctx context.Context, client *http.Client, base, page string) (pageFigure, error) {
	f := pageFigure{Path: page}
	took := make([]float64, 0, c.Requests)
	for i := range c.Requests + 3 {
		request, err := http.NewRequestWithContext(ctx, "GET", base+page, nil)
		if err != nil {
			return f, err
		}
		began := time.Now()
		answer, err := client.Do(request)
		if err != nil {
			return f, err
		}
		body, err := io.ReadAll(answer.Body)
		answer.Body.Close()
		if err != nil {
			return f, err
		}
		if answer.StatusCode != http.StatusOK || answer.Request.URL.Path == "/login" {
			return f, fmt.Errorf("%s answers %s: %.300s", page, answer.Status, body)
		}
		if i >= 3 { // the first warm up
			took = append(took, milliseconds(time.Since(began)))
		}
		f.Bytes = len(body)
	}
	slices.Sort(took)
	n := len(took)
	f.P50, f.P95, f.P99 = took[n/2], took[n*95/100], took[n*99/100]
	return f, nil
}
