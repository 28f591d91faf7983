package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/internal/api"
	"github.com/buglehq/bugle/internal/store"
)

// benchAPICommand is `bugle bench api`.
type benchAPICommand struct {
	Users    int  `help:"Users in the database." default:"100000"`
	Records  int  `help:"Rank records in the database." default:"1000000"`
	Requests int  `help:"Requests of each sort." default:"500"`
	JSON     bool `help:"Print the figures as one JSON object." name:"json"`
}

// Help follows the one line that describes the command.
func (*benchAPICommand) Help() string {
	return `Fills a database in a temporary folder and asks the API, over HTTP on this machine, for first pages and for
searches by indexed columns, one request after the other. Beside each answer it times the same rows and count read
from the database by SQL alone, on a connection of its own; machines are noisy, so read the ratio of the two. It is
below 1 where the server keeps count of rows that SQL counts.

  bugle bench api
  bugle bench api --users 1000 --records 10000`
}

// Validate reports options out of range.
func (c *benchAPICommand) Validate() error {
	return errors.Join(between("users", c.Users, 100, 10000000), between("records", c.Records, 100, 100000000), between("requests", c.Requests, 10, 1000000))
}

// apiFigures are what a run measured; with --json their names are a promise.
type apiFigures struct {
	Users    int             `json:"users"`
	Records  int             `json:"records"`
	Requests []requestFigure `json:"requests"`
	HeapIdle float64         `json:"heap_before_mb"` // of the server before the first request, and after the last
	HeapDone float64         `json:"heap_after_mb"`
	RSS      float64         `json:"rss_mb"` // the most that this process ever had resident
}

type requestFigure struct {
	Name  string  `json:"name"`
	P50   float64 `json:"p50_ms"`
	P99   float64 `json:"p99_ms"`
	SQL50 float64 `json:"sql_p50_ms"`
	SQL99 float64 `json:"sql_p99_ms"`
	Ratio float64 `json:"ratio"` // of the medians: how many times as long as the SQL alone
}

// A benchRequest is one sort of request, and the rows that it is about as SQL. %d is a user's id that
// differs from request to request.
type benchRequest struct {
	name   string
	method string
	path   string
	body   string
	table  string
	where  string // beside the organization
	order  string
	limit  int
	single bool // one row, and no count
}

var benchRequests = []benchRequest{
	{name: "users, first page", method: "GET", path: "users", table: "users", order: "id", limit: 15},
	{name: "users, 100 a page", method: "GET", path: "users?limit=100", table: "users", order: "id", limit: 100},
	{name: "one user", method: "GET", path: "users/%d", table: "users", where: "id = %d", order: "id", limit: 1, single: true},
	{name: "users of a unit", method: "POST", path: "users/search", body: `{"filters":[{"field":"unit_id","value":7}]}`,
		table: "users", where: "unit_id = 7", order: "id", limit: 15},
	{name: "user by e-mail", method: "POST", path: "users/search", body: `{"filters":[{"field":"email","value":"user%d@example.com"}]}`,
		table: "users", where: "LOWER(email) = 'user%d@example.com'", order: "id", limit: 15},
	{name: "records, first page", method: "GET", path: "rank-records", table: "rank_records", order: "created_at DESC, id DESC", limit: 15},
	{name: "records, with their user", method: "GET", path: "rank-records?include=user,rank", table: "rank_records", order: "created_at DESC, id DESC", limit: 15},
	{name: "records of a user", method: "POST", path: "rank-records/search", body: `{"filters":[{"field":"user_id","value":%d}]}`,
		table: "rank_records", where: "user_id = %d", order: "created_at DESC, id DESC", limit: 15},
	{name: "records below a user", method: "GET", path: "users/%d/rank-records", table: "rank_records", where: "user_id = %d", order: "created_at DESC, id DESC", limit: 15},
	{name: "records of a rank", method: "POST", path: "rank-records/search", body: `{"filters":[{"field":"rank_id","value":3}]}`,
		table: "rank_records", where: "rank_id = 3", order: "created_at DESC, id DESC", limit: 15},
	{name: "records of a day", method: "POST", path: "rank-records/search", body: `{"filters":[{"field":"created_at","value":"2020-01-05"}]}`,
		table: "rank_records", where: "created_at >= '2020-01-05' AND created_at < '2020-01-06'", order: "created_at DESC, id DESC", limit: 15},
}

// Run measures and prints the figures.
func (c *benchAPICommand) Run(ctx context.Context, out *output) error {
	dir, err := os.MkdirTemp("", "bugle-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	b := &apiBench{benchAPICommand: c, path: filepath.Join(dir, "bench.db")}
	f, err := b.measure(ctx)
	if err != nil {
		return err
	}
	if c.JSON {
		return json.NewEncoder(out.Stdout).Encode(f)
	}
	f.print(out.Stdout)
	return nil
}

func (f *apiFigures) print(w io.Writer) {
	fmt.Fprintf(w, "%d users, %d rank records\n%-26s %9s %9s   %9s %9s   %s\n", f.Users, f.Records, "", "p50 ms", "p99 ms", "SQL p50", "SQL p99", "ratio")
	for _, r := range f.Requests {
		fmt.Fprintf(w, "%-26s %9.2f %9.2f   %9.2f %9.2f   %5.1f\n", r.Name, r.P50, r.P99, r.SQL50, r.SQL99, r.Ratio)
	}
	fmt.Fprintf(w, "heap before %.1f MB, after %.1f MB; memory, at most %.0f MB\n", f.HeapIdle, f.HeapDone, f.RSS)
}

// An apiBench is one run.
type apiBench struct {
	*benchAPICommand
	path string
	base string // of the API
	key  string
}

func (b *apiBench) measure(ctx context.Context) (*apiFigures, error) {
	db, err := store.Open(ctx, "sqlite:"+b.path, store.Options{Exclusive: true, BaseURL: "http://127.0.0.1"})
	if err != nil {
		return nil, err
	}
	defer db.Close()
	if _, err := db.EnsureOrganization(ctx, "Bench"); err != nil {
		return nil, err
	}
	err = db.Update(ctx, func(tx *store.Tx) (err error) {
		b.key, err = tx.AddKey(&bugle.APIKey{OrganizationID: 1, Name: "bench", Scopes: []string{"*"}})
		return err
	})
	if err != nil {
		return nil, err
	}
	alone, err := sql.Open("sqlite", "file:"+b.path+"?_pragma=busy_timeout(10000)")
	if err != nil {
		return nil, err
	}
	defer alone.Close()
	if err := b.fill(ctx, alone); err != nil {
		return nil, fmt.Errorf("fill the database: %w", err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	server := &http.Server{Handler: api.New(db, api.Options{UserAgent: userAgent()}), ReadHeaderTimeout: 10 * time.Second}
	go server.Serve(listener)
	defer server.Close()
	b.base = "http://" + listener.Addr().String() + "/v2/"

	f := &apiFigures{Users: b.Users, Records: b.Records, HeapIdle: heap()}
	for _, r := range benchRequests {
		one, err := b.request(ctx, alone, r)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", r.name, err)
		}
		f.Requests = append(f.Requests, one)
	}
	f.HeapDone, f.RSS = heap(), memory(os.Getpid(), "VmHWM")
	return f, nil
}

// heap is what this process holds after garbage is collected, in megabytes.
func heap() float64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc) / (1 << 20)
}

// fill writes users and records by SQL: through the API it would take minutes.
func (b *apiBench) fill(ctx context.Context, db *sql.DB) error {
	const numbers = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?) "
	for _, step := range []struct {
		sql string
		n   int
	}{
		{`INSERT INTO ranks (organization_id, name, "order", created_at, updated_at) ` + numbers + `SELECT 1, 'Rank ' || i, i, '2020-01-01 00:00:00', '2020-01-01 00:00:00' FROM n`, 10},
		{`INSERT INTO units (organization_id, name, "order", created_at, updated_at) ` + numbers + `SELECT 1, 'Unit ' || i, i, '2020-01-01 00:00:00', '2020-01-01 00:00:00' FROM n`, 100},
		{`INSERT INTO users (organization_id, name, email, rank_id, unit_id, notes, created_at, updated_at) ` + numbers + `
			SELECT 1, 'User ' || i, 'user' || i || '@example.com', 1 + i % 10, 1 + i % 100, '<p>Served with distinction.</p>', '2020-01-01 00:00:00', '2020-01-01 00:00:00' FROM n`, b.Users},
		{fmt.Sprintf(`INSERT INTO rank_records (organization_id, user_id, rank_id, author_id, text, type, created_at, updated_at) `+numbers+`
			SELECT 1, 1 + i %% %d, 1 + i %% 10, 1, '<p>Promoted.</p>', 0, datetime('2020-01-01', '+' || i || ' minutes'), datetime('2020-01-01', '+' || i || ' minutes') FROM n`, b.Users), b.Records},
		{"ANALYZE", 0},
	} {
		args := []any{step.n}
		if step.n == 0 {
			args = nil
		}
		if _, err := db.ExecContext(ctx, step.sql, args...); err != nil {
			return err
		}
	}
	return nil
}

// request asks the API and the database by turns, so that both see the same machine.
func (b *apiBench) request(ctx context.Context, db *sql.DB, r benchRequest) (requestFigure, error) {
	client := &http.Client{Transport: &http.Transport{DisableCompression: true}} // to the server of this run only
	defer client.CloseIdleConnections()
	var asked, read []float64
	for i := range b.Requests + 10 {
		id := strconv.Itoa(1 + i*7919%b.Users)
		began := time.Now()
		if err := b.ask(ctx, client, r, id); err != nil {
			return requestFigure{}, err
		}
		took := time.Since(began)
		began = time.Now()
		if err := readAlone(ctx, db, r, id); err != nil {
			return requestFigure{}, err
		}
		if i >= 10 { // the first warm up
			asked, read = append(asked, milliseconds(took)), append(read, milliseconds(time.Since(began)))
		}
	}
	slices.Sort(asked)
	slices.Sort(read)
	n := len(asked)
	f := requestFigure{Name: r.name, P50: asked[n/2], P99: asked[n*99/100], SQL50: read[n/2], SQL99: read[n*99/100]}
	f.Ratio = f.P50 / f.SQL50
	return f, nil
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

func (b *apiBench) ask(ctx context.Context, client *http.Client, r benchRequest, id string) error {
	request, err := http.NewRequestWithContext(ctx, r.method, b.base+strings.ReplaceAll(r.path, "%d", id), strings.NewReader(strings.ReplaceAll(r.body, "%d", id)))
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bearer "+b.key)
	request.Header.Set("Content-Type", "application/json")
	answer, err := client.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(answer.Body, 1000))
		return fmt.Errorf("status %d: %s", answer.StatusCode, text)
	}
	_, err = io.Copy(io.Discard, answer.Body)
	return err
}

// readAlone reads what the request is about with no server between.
func readAlone(ctx context.Context, db *sql.DB, r benchRequest, id string) error {
	where := " FROM " + r.table + " WHERE organization_id = 1"
	if r.where != "" {
		where += " AND " + strings.ReplaceAll(r.where, "%d", id)
	}
	if !r.single {
		var n int
		if err := db.QueryRowContext(ctx, "SELECT COUNT(*)"+where).Scan(&n); err != nil {
			return err
		}
	}
	rows, err := db.QueryContext(ctx, "SELECT *"+where+" ORDER BY "+r.order+" LIMIT "+strconv.Itoa(r.limit))
	if err != nil {
		return err
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		return err
	}
	values := make([]any, len(columns))
	to := make([]any, len(columns))
	for i := range values {
		to[i] = &values[i]
	}
	for rows.Next() {
		if err := rows.Scan(to...); err != nil {
			return err
		}
	}
	return rows.Err()
}
