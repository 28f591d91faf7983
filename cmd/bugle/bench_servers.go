package main

import (
	"bufio"
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/internal/store"
)

// The measures of this file are of servers in processes of their own, as an operator runs them, each with a new
// database.

// A benchServer is one such process.
type benchServer struct {
	name  string
	url   string
	began time.Time // when the process was started
	cmd   *exec.Cmd
	read  chan struct{} // closed once its log has ended
}

// startServer starts this program once more, as a server, and returns when it answers.
func (b *bench) startServer(ctx context.Context, database, name, role string) (*benchServer, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	s := &benchServer{name: name, read: make(chan struct{})}
	s.cmd = exec.CommandContext(ctx, program, "serve", "--database", database, "--listen", "127.0.0.1:0", "--allow-target", "127.0.0.0/8",
		"--node", name, "--role", role, "--storage", filepath.Join(b.dir, name), "--secrets-key", keysIn(b.dir).String(), "--prove-every", "0", "--log-level", "info", "--log-format", "text")
	for _, variable := range os.Environ() {
		if !strings.HasPrefix(variable, "BUGLE_") || strings.HasPrefix(variable, "BUGLE_TEST_") { // options of some other server
			s.cmd.Env = append(s.cmd.Env, variable)
		}
	}
	s.cmd.Cancel = func() error { return s.cmd.Process.Signal(syscall.SIGTERM) }
	s.cmd.WaitDelay = 20 * time.Second
	stderr, err := s.cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	s.began = time.Now()
	if err := s.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start a server: %w", err)
	}
	lines := bufio.NewScanner(stderr)
	last := "" // which says why, if it ends
	for s.url == "" && lines.Scan() {
		last = lines.Text()
		if _, rest, found := strings.Cut(lines.Text(), " url="); found && strings.Contains(lines.Text(), "msg=listening ") {
			s.url = strings.Fields(rest)[0]
		}
	}
	go func() {
		defer close(s.read)
		io.Copy(io.Discard, stderr)
	}()
	if s.url == "" {
		return nil, errors.Join(fmt.Errorf("start a server: it ended before it listened: %s", last), s.stop())
	}
	return s, nil
}

// stop ends the server as an operator would.
func (s *benchServer) stop() error {
	s.cmd.Process.Signal(syscall.SIGTERM) // one that has ended says so below
	<-s.read
	if err := s.cmd.Wait(); err != nil {
		return fmt.Errorf("server %s: %w", s.name, err)
	}
	return nil
}

// delivered is how many deliveries the server says it has made.
func (s *benchServer) delivered(ctx context.Context) (int, error) {
	text, err := fetch(ctx, s.url+"/metrics")
	if err != nil {
		return 0, err
	}
	for line := range bytes.Lines(text) {
		if rest, found := bytes.CutPrefix(line, []byte(`bugle_deliveries_finished_total{state="delivered"} `)); found {
			n, err := strconv.ParseFloat(strings.TrimSpace(string(rest)), 64)
			return int(n), err
		}
	}
	return 0, nil
}

// fetch gets what a process of this run answers.
func fetch(ctx context.Context, url string) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	answer, err := (&http.Client{Transport: transport, Timeout: 10 * time.Second}).Do(r)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("GET %s: %s", url, answer.Status)
	}
	return io.ReadAll(io.LimitReader(answer.Body, 1<<20))
}

// An apiCaller calls the API of a server of this run.
type apiCaller struct {
	url, key string
	client   *http.Client
}

// newCaller returns a caller that keeps so many connections, and how to end it.
func newCaller(url, key string, connections int) (c *apiCaller, end func()) {
	c = &apiCaller{url, key, &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: connections, DisableCompression: true}, Timeout: 30 * time.Second}}
	return c, c.client.CloseIdleConnections
}

// call makes a request and returns the body of an answer with the status.
func (c *apiCaller) call(ctx context.Context, method, path, body string, want int) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, method, c.url+path, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Authorization", "Bearer "+c.key)
	request.Header.Set("Content-Type", "application/json")
	answer, err := c.client.Do(request)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, 1<<20))
	if err == nil && answer.StatusCode != want {
		err = fmt.Errorf("%s %s: status %d: %.500s", method, path, answer.StatusCode, text)
	}
	return text, err
}

// newKey makes an API key for everything, in a database that no server has yet.
func newKey(ctx context.Context, name string) (string, error) {
	var key bytes.Buffer
	create := keyCreateCommand{database: database{Database: name}, Name: "bench", Scope: []string{"*"}}
	err := create.Run(ctx, &output{Stdout: &key})
	return strings.TrimSpace(key.String()), err
}

// counted is what the sink says it has got.
func (b *bench) counted(ctx context.Context) (counted, error) {
	var c counted
	text, err := fetch(ctx, "http://"+b.sink+"/counted")
	if err == nil {
		err = json.Unmarshal(text, &c)
	}
	return c, err
}

// pause waits, unless ctx ends.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// awaitDrained waits until the sink and the servers agree that n deliveries were made, as long as some are. It
// returns what arrived.
func (b *bench) awaitDrained(ctx context.Context, servers []*benchServer, n int) (c counted, made []int, err error) {
	bar := newBar(b.stderr, n, "deliver")
	defer bar.Finish()
	began := time.Now()
	give, seen := began.Add(30*time.Second), int64(0)
	for {
		if c, err = b.counted(ctx); err != nil {
			return c, nil, err
		}
		bar.Set64(min(c.Arrived, int64(n)))
		if c.Arrived >= int64(n) {
			sum := 0
			made = made[:0]
			for _, s := range servers {
				one, err := s.delivered(ctx)
				if err != nil {
					return c, nil, err
				}
				sum += one
				made = append(made, one)
			}
			if sum >= n {
				c, err = b.counted(ctx)
				return c, made, err
			}
		}
		if c.Arrived > seen {
			seen, give = c.Arrived, time.Now().Add(30*time.Second)
		}
		if time.Now().After(give) {
			return c, nil, fmt.Errorf("%d of %d deliveries arrived, and none within 30 s", c.Arrived, n)
		}
		if err := pause(ctx, 100*time.Millisecond); err != nil {
			return c, nil, err
		}
	}
}

// measureServers makes the measures of this file that are asked for.
func (b *bench) measureServers(ctx context.Context, f *figures) (err error) {
	if b.Nodes > 0 {
		if f.Nodes, err = withDatabase(ctx, b, b.nodes); err != nil {
			return fmt.Errorf("measure nodes: %w", err)
		}
	}
	if b.Backlog > 0 {
		if f.Backlog, err = withDatabase(ctx, b, b.backlog); err != nil {
			return fmt.Errorf("measure a start with deliveries that wait: %w", err)
		}
	}
	if b.Idle > 0 {
		if f.Idle, err = withDatabase(ctx, b, b.idle); err != nil {
			return fmt.Errorf("measure an idle server: %w", err)
		}
	}
	return nil
}

// withDatabase measures with a new database and a new sink, which has counted nothing.
func withDatabase[T any](ctx context.Context, b *bench, measure func(ctx context.Context, database string) (T, error)) (figures T, err error) {
	dir, err := os.MkdirTemp(b.dir, "")
	if err != nil {
		return figures, err
	}
	database, drop, err := b.newDatabase(ctx, dir)
	if err != nil {
		return figures, err
	}
	defer func() { err = errors.Join(err, drop()) }()
	sink, stopSink, err := startSink(ctx)
	if err != nil {
		return figures, err
	}
	defer stopSink()
	b.sink = sink
	return measure(ctx, database)
}

// waitingFor fills a database with n deliveries.
func (b *bench) waitingFor(ctx context.Context, database string, n int, status bugle.WebhookStatus) error {
	db, err := store.Open(ctx, database, store.Options{Node: "filler", Secrets: keysIn(b.dir), BaseURL: "http://127.0.0.1"})
	if err != nil {
		return err
	}
	defer db.Close()
	if err := b.prepare(ctx, db, status); err != nil {
		return err
	}
	_, err = b.fill(ctx, db, n)
	return err
}

// nodesFigures are of servers that share a database.
type nodesFigures struct {
	Deliveries          int           `json:"deliveries"`
	DeliveriesPerSecond float64       `json:"deliveries_per_second"` // all nodes together, from the moment that their webhooks may be called to the last arrival
	LimitBefore         float64       `json:"limit_before_per_second"`
	LimitAfter          float64       `json:"limit_after_per_second"`
	LimitRatio          float64       `json:"limit_ratio"`
	Repeats             int           `json:"repeats"`
	Nodes               []nodeFigures `json:"nodes"`
}

type nodeFigures struct {
	Name  string  `json:"name"`
	Share float64 `json:"share"` // of the deliveries
	Idle  float64 `json:"idle_mb"`
	Peak  float64 `json:"peak_mb"`
}

// nodes fills a database while its webhooks are paused, lets servers deal the lanes out, and activates the webhooks.
func (b *bench) nodes(ctx context.Context, database string) (f *nodesFigures, err error) {
	n := b.Deliveries / b.Webhooks * b.Webhooks
	f = &nodesFigures{Deliveries: n}
	if err := b.waitingFor(ctx, database, n, bugle.Paused); err != nil {
		return nil, err
	}
	if f.LimitBefore, err = b.limit(ctx, b.envelope); err != nil {
		return nil, err
	}
	var servers []*benchServer
	defer func() {
		for _, s := range servers {
			err = errors.Join(err, s.stop())
		}
	}()
	for i := range b.Nodes {
		s, err := b.startServer(ctx, database, fmt.Sprintf("node-%d", i+1), roleWorker)
		if err != nil {
			return nil, err
		}
		servers = append(servers, s)
		f.Nodes = append(f.Nodes, nodeFigures{Name: s.name})
	}
	if err := awaitDealt(ctx, database, b.Nodes); err != nil {
		return nil, err
	}
	for i, s := range servers {
		f.Nodes[i].Idle = memory(s.cmd.Process.Pid, "VmRSS")
	}
	db, err := store.Open(ctx, database, store.Options{Node: "starter", Secrets: keysIn(b.dir), BaseURL: "http://127.0.0.1"})
	if err != nil {
		return nil, err
	}
	defer db.Close()
	if err := db.Join(ctx, false); err != nil {
		return nil, err
	}
	began := time.Now()
	if err := activate(ctx, db, b.drains); err != nil {
		return nil, err
	}
	c, made, err := b.awaitDrained(ctx, servers, n)
	if err != nil {
		return nil, err
	}
	f.DeliveriesPerSecond = float64(n) / time.Unix(0, c.Last).Sub(began).Seconds()
	f.Repeats = int(c.Arrived) - n
	for i, s := range servers {
		f.Nodes[i].Share, f.Nodes[i].Peak = float64(made[i])/float64(n), memory(s.cmd.Process.Pid, "VmHWM")
	}
	if f.LimitAfter, err = b.limit(ctx, b.envelope); err != nil {
		return nil, err
	}
	f.LimitRatio = f.DeliveriesPerSecond / ((f.LimitBefore + f.LimitAfter) / 2)
	return f, nil
}

// awaitDealt waits until all lanes belong to as many nodes, each with its share.
func awaitDealt(ctx context.Context, database string, nodes int) error {
	db, err := sql.Open("pgx", database)
	if err != nil {
		return err
	}
	defer db.Close()
	share := (store.Slices + nodes - 1) / nodes
	for give := time.Now().Add(time.Minute); time.Now().Before(give); {
		var owners, slices, fewest int
		err := db.QueryRowContext(ctx, `
			SELECT COUNT(*), COALESCE(SUM(n), 0), COALESCE(MIN(n), 0) FROM (
				SELECT COUNT(*) AS n FROM slices
				WHERE  until_us > EXTRACT(EPOCH FROM CLOCK_TIMESTAMP()) * 1000000
				GROUP  BY node_id) AS owned`).Scan(&owners, &slices, &fewest)
		if err != nil {
			return fmt.Errorf("read who owns the lanes: %w", err)
		}
		if owners == nodes && slices == store.Slices && fewest >= store.Slices-share*(nodes-1) {
			return nil
		}
		if err := pause(ctx, 100*time.Millisecond); err != nil {
			return err
		}
	}
	return errors.New("the lanes were not dealt out among the nodes within a minute")
}

// backlogFigures are of a server that starts with much to do.
type backlogFigures struct {
	Waiting             int     `json:"waiting"`
	FirstArrival        float64 `json:"first_arrival_ms"` // from the start of the process
	DeliveriesPerSecond float64 `json:"deliveries_per_second"`
	LimitRatio          float64 `json:"limit_ratio"` // of the limit before and after
	Peak                float64 `json:"peak_mb"`
}

func (b *bench) backlog(ctx context.Context, database string) (f *backlogFigures, err error) {
	n := b.Backlog / b.Webhooks * b.Webhooks
	f = &backlogFigures{Waiting: n}
	if err := b.waitingFor(ctx, database, n, bugle.Active); err != nil {
		return nil, err
	}
	before, err := b.limit(ctx, b.envelope)
	if err != nil {
		return nil, err
	}
	s, err := b.startServer(ctx, database, "backlog", roleAll)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	c, _, err := b.awaitDrained(ctx, []*benchServer{s}, n)
	if err != nil {
		return nil, err
	}
	f.FirstArrival = milliseconds(time.Unix(0, c.First).Sub(s.began))
	f.DeliveriesPerSecond = float64(n) / time.Duration(c.Last-c.First).Seconds()
	f.Peak = memory(s.cmd.Process.Pid, "VmHWM")
	after, err := b.limit(ctx, b.envelope)
	if err != nil {
		return nil, err
	}
	f.LimitRatio = f.DeliveriesPerSecond / ((before + after) / 2)
	return f, nil
}

// idleFigures are of a server with an empty database.
type idleFigures struct {
	Memory float64 `json:"rss_mb"`
	Cores  float64 `json:"cores"` // of processor time, 1 for a whole core
}

func (b *bench) idle(ctx context.Context, database string) (f *idleFigures, err error) {
	s, err := b.startServer(ctx, database, "idle", roleAll)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	if err := pause(ctx, 3*time.Second); err != nil { // what a start does is over
		return nil, err
	}
	before, began := processorTime(s.cmd.Process.Pid), time.Now()
	if err := pause(ctx, b.Idle); err != nil {
		return nil, err
	}
	return &idleFigures{
		Memory: memory(s.cmd.Process.Pid, "VmRSS"),
		Cores:  (processorTime(s.cmd.Process.Pid) - before).Seconds() / time.Since(began).Seconds(),
	}, nil
}

// memory is what a process has (VmRSS) or at most had (VmHWM) resident, in megabytes; 0 where the system does not say.
func memory(pid int, which string) float64 {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	_, rest, _ := bytes.Cut(status, []byte(which+":"))
	kilobytes := 0.0
	if fields := bytes.Fields(rest); len(fields) > 0 {
		kilobytes, _ = strconv.ParseFloat(string(fields[0]), 64)
	}
	return kilobytes / 1024
}

// processorTime is how long a process has computed; 0 where the system does not say.
func processorTime(pid int) time.Duration {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:]) // the name before it may have spaces
	if len(fields) < 13 {
		return 0
	}
	user, _ := strconv.Atoi(string(fields[11]))
	system, _ := strconv.Atoi(string(fields[12]))
	return time.Duration(user+system) * 10 * time.Millisecond // Linux counts hundredths of a second for programs
}
