package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/internal/delivery"
	"github.com/buglehq/bugle/internal/dispatch"
	"github.com/buglehq/bugle/internal/observe"
	"github.com/buglehq/bugle/internal/secrets"
	"github.com/buglehq/bugle/internal/store"
	"github.com/buglehq/bugle/personnel"
	"github.com/buglehq/bugle/value"
)

// benchCommands are what can be measured; without a word it is deliveries.
type benchCommands struct {
	Deliveries benchCommand      `cmd:"" default:"withargs" help:"Measure deliveries against the limit of a bare client (the default)."`
	API        benchAPICommand   `cmd:"" name:"api" help:"Measure lists and searches against the same queries by SQL alone."`
	Panel      benchPanelCommand `cmd:"" name:"panel" help:"Measure the pages of the panel with a long log."`
	Flood      benchFloodCommand `cmd:"" name:"flood" help:"Measure calls and deliveries while strangers flood the server with bad requests."`
	Soak       soakCommand       `cmd:"" name:"soak" help:"Run a server under load for long, with receivers that fail, and look whether anything is lost or grows."`
}

// benchCommand is `bugle bench`.
type benchCommand struct {
	Database   string        `help:"A PostgreSQL server to measure with, where a database is made and dropped in the end; a file of SQLite in a temporary folder unless set." placeholder:"URL"`
	Deliveries int           `help:"Deliveries that wait when the drain begins." default:"100000"`
	Webhooks   int           `help:"Webhooks that they are for." default:"100"`
	Hang       int           `help:"Webhooks whose receiver never answers, for the second measure of latency." default:"0" placeholder:"N"`
	Waiting    int           `help:"Deliveries that wait for each webhook that hangs." default:"20000"`
	Nodes      int           `help:"Servers, each a process of its own, that share a PostgreSQL database and drain it together." default:"0" placeholder:"N"`
	Finished   int           `help:"Finished deliveries, with their attempts, that are put in the tables before a second drain." default:"0" placeholder:"N"`
	Backlog    int           `help:"Deliveries that wait when a server starts, a process of its own." default:"0" placeholder:"N"`
	Fanout     int           `help:"Webhooks that get one change." default:"0" placeholder:"N"`
	Disk       int           `help:"Events, each with a delivery and an attempt, whose bytes in the database are counted." default:"0" placeholder:"N"`
	Idle       time.Duration `help:"How long a server that has nothing to do is watched." default:"0s"`
	Automate   bool          `help:"Measure deliveries that automations make as well, beside plain ones." name:"automations"`
	Calm       time.Duration `help:"How long latency is measured, at 50 changes a second." default:"5s"`
	Plot       pictureFile   `help:"File to write a picture (SVG) of the ratios and latencies to." placeholder:"FILE"`
	JSON       bool          `help:"Print the figures as one JSON object." name:"json"`
}

// Help follows the one line that describes the command.
func (*benchCommand) Help() string {
	return `Everything runs on this machine: a sink in a process of its own that answers 200, a database in a temporary folder,
and the delivery engine in this process. The limit is what a bare, tuned client with 64 goroutines can post to the
same sink, measured before and after; machines are noisy, so read the ratio. Latency is from the beginning of a
change to its arrival at the sink, with the change's commit to the disk in it.

  bugle bench
  bugle bench --deliveries 1000000
  bugle bench --hang 1
  bugle bench --hang 10 --waiting 20000
  bugle bench --finished 10000000
  bugle bench --backlog 1000000 --fanout 1000 --disk 20000 --idle 10s
  bugle bench --automations
  bugle bench --database postgres://postgres@127.0.0.1/postgres --nodes 3`
}

// Validate reports options out of range.
func (c *benchCommand) Validate() error {
	errs := []error{
		between("deliveries", c.Deliveries, 1000, 10000000), between("webhooks", c.Webhooks, 1, 1000),
		between("hang", c.Hang, 0, 100), between("waiting", c.Waiting, 1, 1000000),
		between("nodes", c.Nodes, 0, 8), between("finished", c.Finished, 0, 100000000), between("backlog", c.Backlog, 0, 10000000),
		between("fanout", c.Fanout, 0, 10000), between("disk", c.Disk, 0, 1000000),
	}
	if c.Nodes > 0 && c.Database == "" {
		errs = append(errs, errors.New("--nodes is for servers that share a database, which SQLite cannot do: name a PostgreSQL server with --database"))
	}
	if c.Backlog > 0 && c.Backlog < c.Webhooks {
		errs = append(errs, fmt.Errorf("--backlog is %d, want at least a delivery for each of the %d --webhooks", c.Backlog, c.Webhooks))
	}
	if c.Idle != 0 && (c.Idle < time.Second || c.Idle > time.Hour) {
		errs = append(errs, fmt.Errorf("--idle is %s, want 1s to 1h, or 0 for not at all", c.Idle))
	}
	if c.Calm < time.Second || c.Calm > time.Hour {
		errs = append(errs, fmt.Errorf("--calm is %s, want 1s to 1h", c.Calm))
	}
	return errors.Join(errs...)
}

// between returns what is wrong with a number that should be within a range.
func between(name string, n, low, high int) error {
	if n < low || n > high {
		return fmt.Errorf("--%s is %d, want %d to %d", name, n, low, high)
	}
	return nil
}

// figures are what a run measured; with --json their names are a promise.
type figures struct {
	LimitPerSecond      float64  `json:"limit_per_second"` // mean of before and after
	LimitBefore         float64  `json:"limit_before_per_second"`
	LimitAfter          float64  `json:"limit_after_per_second"`
	DeliveriesPerSecond float64  `json:"deliveries_per_second"`
	Ratio               float64  `json:"ratio"`
	P50                 float64  `json:"p50_ms"`
	P99                 float64  `json:"p99_ms"`
	HangP50             *float64 `json:"hang_p50_ms"` // with webhooks that hang; null without
	HangP99             *float64 `json:"hang_p99_ms"`
	HangRatio           *float64 `json:"hang_p99_ratio"`       // of hang_p99_ms to p99_ms
	ChangesPerSecond    float64  `json:"changes_per_second"`   // while the deliveries were made, each change with one per webhook
	RSS                 float64  `json:"rss_mb"`               // the most that this process ever had resident
	Automated           *float64 `json:"automated_per_second"` // deliveries that automations make, from the first change to the last arrival
	Plain               *float64 `json:"plain_per_second"`     // as many that webhooks get by subscription
	AutomatedRatio      *float64 `json:"automated_ratio"`
	Deliveries          int      `json:"deliveries"`
	Webhooks            int      `json:"webhooks"`
	Hang                int      `json:"hang"`
	BodyBytes           int      `json:"body_bytes"`
	Waiting             int      `json:"waiting"` // for each that hangs

	Finished *finishedFigures `json:"finished"` // null without the option, as those below
	Fanout   *fanoutFigures   `json:"fanout"`
	Disk     *diskFigures     `json:"disk"`
	Nodes    *nodesFigures    `json:"nodes"`
	Backlog  *backlogFigures  `json:"backlog"`
	Idle     *idleFigures     `json:"idle"`

	calm, hung []float64 // latencies in milliseconds, the shortest first
}

// Run measures and prints the figures.
func (c *benchCommand) Run(ctx context.Context, out *output) error {
	if err := c.Plot.begin(); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "bugle-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	sink, stopSink, err := startSink(ctx)
	if err != nil {
		return err
	}
	defer stopSink()
	b := &bench{benchCommand: c, sink: sink, stderr: out.Stderr, dir: dir}
	f, err := b.measure(ctx)
	if err != nil {
		return err
	}
	if err := c.Plot.write(f.plot()); err != nil {
		return err
	}
	if c.JSON {
		return json.NewEncoder(out.Stdout).Encode(f)
	}
	f.print(out.Stdout)
	return nil
}

func (f *figures) print(w io.Writer) {
	fmt.Fprintf(w, "limit of a bare client   %8.0f/s  (%.0f before, %.0f after, %d bytes a request)\n", f.LimitPerSecond, f.LimitBefore, f.LimitAfter, f.BodyBytes)
	fmt.Fprintf(w, "deliveries               %8.0f/s  = %.2f of the limit  (%d to %d webhooks)\n", f.DeliveriesPerSecond, f.Ratio, f.Deliveries, f.Webhooks)
	fmt.Fprintf(w, "change to arrival, 50/s  %8.1f ms p50, %.1f ms p99\n", f.P50, f.P99)
	if f.HangP50 != nil {
		fmt.Fprintf(w, "  beside %2d that hang     %7.1f ms p50, %.1f ms p99  = %.1f times the calm one  (%d waiting for each)\n", f.Hang, *f.HangP50, *f.HangP99, *f.HangRatio, f.Waiting)
	}
	fmt.Fprintf(w, "changes                  %8.0f/s  (each with %d deliveries)\n", f.ChangesPerSecond, f.Webhooks)
	if f.Automated != nil {
		fmt.Fprintf(w, "by automations           %8.0f/s  = %.2f of plain ones  (%.0f/s, from the change to the arrival)\n", *f.Automated, *f.AutomatedRatio, *f.Plain)
	}
	fmt.Fprintf(w, "memory, at most          %8.0f MB\n", f.RSS)
	f.printMore(w)
}

// A bench is one run.
type bench struct {
	*benchCommand
	sink   string // address
	dir    string
	stderr io.Writer

	db        *store.Store
	drains    []int64      // webhooks that are drained
	delivered atomic.Int64 // attempts at webhooks that answer
	arrived   atomic.Int64 // those of the measures of fan-out, automations and bytes
	notes     atomic.Int64 // that changes have written
	drained   int          // how many the drain has
	enough    chan struct{}
	envelope  []byte // of one of the drained
	record    int64  // that is changed for fan-outs; 0: none yet
	lastAt    int64  // when the newest of a fan-out arrived, in ns
	mu        sync.Mutex
	latencies []float64 // in milliseconds
}

// databases counts those that this process has made, so that each has a name of its own.
var databases atomic.Int64

// newDatabase makes a database for this run, and returns what removes it.
func (c *benchCommand) newDatabase(ctx context.Context, dir string) (name string, drop func() error, err error) {
	if c.Database == "" {
		return "sqlite:" + filepath.Join(dir, "bench.db"), func() error { return nil }, nil
	}
	return store.NewDatabase(ctx, c.Database, fmt.Sprintf("bugle_bench_%d_%d", os.Getpid(), databases.Add(1)))
}

// keysIn is the file of keys that a run keeps in its folder, whatever its database is.
func keysIn(dir string) secrets.Source { return secrets.File(filepath.Join(dir, "secrets.key")) }

func (b *bench) measure(ctx context.Context) (f *figures, err error) {
	f = &figures{Deliveries: b.Deliveries / b.Webhooks * b.Webhooks, Webhooks: b.Webhooks, Hang: b.Hang, Waiting: b.Waiting}
	name, drop, err := b.newDatabase(ctx, b.dir)
	if err != nil {
		return nil, err
	}
	defer func() {
		if dropErr := drop(); err == nil {
			err = dropErr
		}
	}()
	kind, _, _ := strings.Cut(name, ":")
	metrics := observe.NewMetrics(version(), kind, slog.New(slog.DiscardHandler)) // which a server keeps too
	attempted := func(r delivery.AttemptReport) {
		metrics.Attempt(r, time.Now())
		b.attempted(r)
	}
	if b.db, err = store.Open(ctx, name, store.Options{Node: "bench", Secrets: keysIn(b.dir), BaseURL: "http://127.0.0.1", OnCommit: metrics.Commit}); err != nil {
		return nil, err
	}
	defer b.db.Close()
	if err := b.db.Join(ctx, true); err != nil {
		return nil, err
	}
	guard, err := delivery.NewGuard([]string{"127.0.0.0/8"}, nil)
	if err != nil {
		return nil, err
	}
	var dispatcher *dispatch.Dispatcher
	if b.Automate {
		dispatcher = dispatch.NewDispatcher(b.db, dispatch.Options{})
	}
	newEngine := func() *delivery.Engine {
		return delivery.NewEngine(b.db, delivery.NewClient(guard, delivery.ClientOptions{}),
			delivery.Options{UserAgent: userAgent(), OnAttempt: attempted, Grace: time.Second})
	}
	if err := b.prepare(ctx, b.db, bugle.Active); err != nil {
		return nil, fmt.Errorf("make webhooks: %w", err)
	}
	if f.ChangesPerSecond, err = b.fill(ctx, b.db, f.Deliveries); err != nil {
		return nil, fmt.Errorf("make deliveries: %w", err)
	}
	payload, err := b.db.Payload(ctx, 3) // after the calendar's and the user's creation
	if err != nil {
		return nil, err
	}
	b.envelope = payload.Text
	f.BodyBytes = len(b.envelope)
	if f.LimitBefore, f.DeliveriesPerSecond, f.LimitAfter, err = b.drain(ctx, newEngine, f.Deliveries); err != nil {
		return nil, err
	}
	f.LimitPerSecond = (f.LimitBefore + f.LimitAfter) / 2
	f.Ratio = f.DeliveriesPerSecond / f.LimitPerSecond
	if b.Finished > 0 {
		if f.Finished, err = b.finished(ctx, newEngine, f); err != nil {
			return nil, fmt.Errorf("measure with finished deliveries: %w", err)
		}
	}

	stop := running(ctx, newEngine().Run)
	defer func() { stop() }()
	if f.calm, err = b.latency(ctx); err != nil {
		return nil, err
	}
	f.P50, f.P99 = middleAndWorst(f.calm)
	if b.Disk > 0 {
		if f.Disk, err = b.disk(ctx); err != nil {
			return nil, fmt.Errorf("measure bytes on disk: %w", err)
		}
	}
	if b.Fanout > 0 {
		if f.Fanout, err = b.fanout(ctx); err != nil {
			return nil, fmt.Errorf("measure a fan-out: %w", err)
		}
	}
	if b.Hang > 0 {
		if err := b.hang(ctx); err != nil {
			return nil, fmt.Errorf("make lanes that hang: %w", err)
		}
		if f.hung, err = b.latency(ctx); err != nil {
			return nil, err
		}
		p50, p99 := middleAndWorst(f.hung)
		ratio := p99 / f.P99
		f.HangP50, f.HangP99, f.HangRatio = &p50, &p99, &ratio
	}
	if b.Automate {
		if err := b.automations(ctx, dispatcher, f); err != nil {
			return nil, fmt.Errorf("measure automations: %w", err)
		}
	}
	f.RSS = memory(os.Getpid(), "VmHWM")
	stop() // servers of their own follow, which are not to share the machine with this one
	stop = func() {}
	return f, b.measureServers(ctx, f)
}

// running starts something that runs until its context ends, and returns what stops it.
func running(ctx context.Context, run func(context.Context)) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		run(ctx)
	}()
	return func() {
		cancel()
		<-done
	}
}

// stamp begins the text that tells when a change was begun.
const stamp = "begun at "

func (b *bench) attempted(r delivery.AttemptReport) {
	switch r.Webhook.Name {
	case "drain":
		if b.delivered.Add(1) == int64(b.drained) {
			close(b.enough)
		}
	case "fan":
		if arrived, err := strconv.ParseInt(r.Attempt.ResponseHeaders.Get("X-Received"), 10, 64); err == nil {
			b.mu.Lock()
			b.lastAt = max(b.lastAt, arrived)
			b.mu.Unlock()
		}
		b.arrived.Add(1)
	case "calm":
		begun, okBegun := numberAfter(r.Envelope, stamp)
		arrived, err := strconv.ParseInt(r.Attempt.ResponseHeaders.Get("X-Received"), 10, 64)
		if okBegun && err == nil {
			b.mu.Lock()
			b.latencies = append(b.latencies, float64(arrived-begun)/1e6)
			b.mu.Unlock()
		}
	}
}

func numberAfter(text []byte, mark string) (int64, bool) {
	_, rest, found := bytes.Cut(text, []byte(mark))
	digits := len(rest) - len(bytes.TrimLeft(rest, "0123456789"))
	n, err := strconv.ParseInt(string(rest[:digits]), 10, 64)
	return n, found && err == nil
}

func (b *bench) actor() store.Actor {
	return store.Actor{OrganizationID: 1, RequestID: uuid.NewString(), TraceID: uuid.NewString()}
}

func (b *bench) addWebhook(tx *store.Tx, name, path, event string, status bugle.WebhookStatus) (int64, error) {
	w := bugle.NewWebhook()
	w.OrganizationID, w.Name, w.URL, w.Events, w.Status = 1, name, "http://"+b.sink+path, []string{event}, status
	err := tx.AddWebhook(&w)
	return w.ID, err
}

// prepare makes the organization, the webhooks, and what changes.
func (b *bench) prepare(ctx context.Context, db *store.Store, status bugle.WebhookStatus) error {
	if _, err := db.EnsureOrganization(ctx, "Bench"); err != nil {
		return err
	}
	b.drains = nil
	return db.Update(ctx, func(tx *store.Tx) error {
		for i := range b.Webhooks {
			id, err := b.addWebhook(tx, "drain", "/drain/"+strconv.Itoa(i), "user.updated", status)
			if err != nil {
				return err
			}
			b.drains = append(b.drains, id)
		}
		for i := range 3 {
			if _, err := b.addWebhook(tx, "calm", "/calm/"+strconv.Itoa(i), "calendar.updated", bugle.Active); err != nil {
				return err
			}
		}
		if _, err := tx.Create(b.actor(), &personnel.Calendar, value.Map("name", "Operations", "color", "#2563eb")); err != nil {
			return err
		}
		_, err := tx.Create(b.actor(), &personnel.User, value.Map("name", "Jane Roe", "email", "jane@example.com"))
		return err
	})
}

// fill makes n deliveries by changes of a user, and returns how many changes it made a second.
func (b *bench) fill(ctx context.Context, db *store.Store, n int) (float64, error) {
	changes := n / b.Webhooks
	bar := newBar(b.stderr, changes, "change")
	defer bar.Finish()
	began := time.Now()
	err := each(ctx, changes, 16, func(ctx context.Context, i int) error {
		defer bar.Add(1)
		return db.Update(ctx, func(tx *store.Tx) error {
			_, err := tx.Update(b.actor(), &personnel.User, 1, value.Map("notes", fmt.Sprintf("<p>Note %d of the bench.</p>", b.notes.Add(1))))
			return err
		})
	})
	return float64(changes) / time.Since(began).Seconds(), err
}

// drain sends the n deliveries that wait, with the limit before and after. All are in numbers a second.
func (b *bench) drain(ctx context.Context, newEngine func() *delivery.Engine, n int) (before, rate, after float64, err error) {
	if before, err = b.limit(ctx, b.envelope); err != nil {
		return 0, 0, 0, fmt.Errorf("measure the limit: %w", err)
	}
	b.delivered.Store(0)
	b.drained, b.enough = n, make(chan struct{})
	bar := newBar(b.stderr, n, "deliver")
	defer bar.Finish()
	began := time.Now()
	stop := running(ctx, newEngine().Run)
	for done := false; !done; {
		select {
		case <-b.enough:
			done = true
		case <-time.After(200 * time.Millisecond):
			bar.Set64(b.delivered.Load())
		case <-ctx.Done():
			stop()
			return 0, 0, 0, context.Cause(ctx)
		}
	}
	stop() // with all results written
	rate = float64(n) / time.Since(began).Seconds()
	if after, err = b.limit(ctx, b.envelope); err != nil {
		return 0, 0, 0, fmt.Errorf("measure the limit: %w", err)
	}
	return before, rate, after, nil
}

// each calls do for 0 to n-1, some at a time, until one fails.
func each(ctx context.Context, n, workers int, do func(ctx context.Context, i int) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var next atomic.Int64
	var group sync.WaitGroup
	for range workers {
		group.Go(func() {
			for i := int(next.Add(1)) - 1; i < n && ctx.Err() == nil; i = int(next.Add(1)) - 1 {
				if err := do(ctx, i); err != nil {
					cancel(err)
				}
			}
		})
	}
	group.Wait()
	return context.Cause(ctx)
}

// limit returns how many requests a second a client can make that does nothing else.
func (b *bench) limit(ctx context.Context, body []byte) (float64, error) {
	const workers = 64
	n := min(max(b.Deliveries, 30000), 100000)
	transport := &http.Transport{MaxIdleConns: workers, MaxIdleConnsPerHost: workers, DisableCompression: true}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport} // to the sink of this run only, as a measure for the guarded one
	target := "http://" + b.sink + "/limit"
	began := time.Now()
	err := each(ctx, n, workers, func(ctx context.Context, _ int) error {
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, target, bytes.NewReader(body))
		if err != nil {
			return err
		}
		r.Header["Content-Type"] = []string{"application/json"}
		r.Header["User-Agent"] = []string{userAgent()}
		answer, err := client.Do(r)
		if err != nil {
			return err
		}
		_, err = io.Copy(io.Discard, answer.Body)
		return errors.Join(err, answer.Body.Close())
	})
	return float64(n) / time.Since(began).Seconds(), err
}
