package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/buglehq/bugle/internal/store"
)

// soakCommand is `bugle bench soak`.
type soakCommand struct {
	For      time.Duration `help:"How long the load lasts." default:"30m"`
	Database string        `help:"A PostgreSQL server to run on, where a database is made and dropped in the end; a file of SQLite in a temporary folder unless set." placeholder:"URL"`
	Seed     uint64        `help:"What the faults of receivers are drawn from." default:"1"`
	Rate     float64       `help:"Changes a second; 0 for half of the most that the server can, which is measured first." default:"0"`
	Measure  time.Duration `help:"How long the most is measured." default:"20s"`
	Webhooks int           `help:"Webhooks; the first quarter of their receivers has no faults." default:"12"`
	Keep     int           `help:"Deliveries and events that retention keeps, beside those of the last minute." default:"100000"`
	Drain    time.Duration `help:"How long after the load what is owed may take to arrive." default:"5m"`
	Plot     pictureFile   `help:"File to write a picture (SVG) of the run to." placeholder:"FILE"`
	Pprof    string        `help:"Address of the server's profiles, as that of bugle serve." placeholder:"ADDRESS"`
	Progress bool          `help:"Print each minute as it ends, to standard error."`
	JSON     bool          `help:"Print the result as one JSON object." name:"json"`
}

// Help follows the one line that describes the command.
func (*soakCommand) Help() string {
	return `A server runs in a process of its own, with its usual settings but for a log that is cleaned every minute. Changes are made
over HTTP at an even rate. Receivers on this machine answer late, with 500, with 429 and Retry-After, with half a body, not
at all, reset connections, or are down for half a minute, as the seed says; a quarter of them has no faults. In the end
all are well, and what is owed has to arrive: a ledger says of each change that was acknowledged and each webhook that is
to get it whether it arrived, and whether it came again without a reason. Then bugle doctor --prove walks through the database.

The most that the server can is changes a second, made over HTTP by 32 clients, from the first change to the last arrival,
with receivers that are all well.

The status is 1 if something is lost, came again without a fault, or went where it should not, if a request failed, if the
doctor finds something, or if memory or latency grows. Both are judged by their medians over the first and the last third of the time,
after a sixth of warm-up, for memory also after 50,000 changes, because the server keeps recent events in memory up to a bound: memory is flat if it grew by at most 10 % or 10 MB, latency (the p99 from change to arrival at receivers without
faults) if by at most 50 % or 5 ms. Loads shorter than five minutes are not judged, nor is memory with too few changes.

  bugle bench soak --seed 7 --plot soak.svg
  bugle bench soak --for 10m --database postgres://postgres@127.0.0.1/postgres`
}

// Validate reports options out of range.
func (c *soakCommand) Validate() error {
	errs := []error{between("webhooks", c.Webhooks, 2, 100), between("keep", c.Keep, 100, 1_000_000_000), profiling{Pprof: c.Pprof}.check()}
	if c.For < time.Second || c.For > 12*time.Hour {
		errs = append(errs, fmt.Errorf("--for is %s, want 1s to 12h", c.For))
	}
	if c.Rate < 0 || c.Rate > 20000 || math.IsNaN(c.Rate) {
		errs = append(errs, fmt.Errorf("--rate is %v, want 0 to 20000", c.Rate))
	}
	if c.Measure < time.Second || c.Measure > time.Hour {
		errs = append(errs, fmt.Errorf("--measure is %s, want 1s to 1h", c.Measure))
	}
	if c.Drain < time.Second || c.Drain > time.Hour {
		errs = append(errs, fmt.Errorf("--drain is %s, want 1s to 1h", c.Drain))
	}
	if c.Database != "" && !strings.HasPrefix(c.Database, "postgres://") && !strings.HasPrefix(c.Database, "postgresql://") {
		errs = append(errs, fmt.Errorf("--database is %q, want the address of a PostgreSQL server, postgres://…", store.ShownName(c.Database)))
	}
	return errors.Join(errs...)
}

// Run runs the soak and prints what came of it.
func (c *soakCommand) Run(ctx context.Context, out *output) (err error) {
	if err := c.Plot.begin(); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "bugle-soak-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	name, drop, err := (&benchCommand{Database: c.Database}).newDatabase(ctx, dir)
	if err != nil {
		return err
	}
	defer func() {
		if dropErr := drop(); err == nil {
			err = dropErr
		}
	}()
	s := &soak{soakCommand: c, database: name, dir: dir, stderr: out.Stderr}
	f, err := s.run(ctx)
	if err != nil {
		return err
	}
	if err := c.Plot.write(f.plot()); err != nil {
		return err
	}
	if c.JSON {
		err = json.NewEncoder(out.Stdout).Encode(f)
	} else {
		f.print(out.Stdout)
	}
	if err == nil && len(f.Problems) > 0 {
		err = errSoak
	}
	return err
}

// errSoak is the error of a soak that found something; what it is was printed.
var errSoak = errors.New("the soak has found problems")

const (
	soakClients = 32 // who make changes
	soakRows    = 32 // calendars and users that are changed
	soakOwed    = 5000
)

// A soak is one run.
type soak struct {
	*soakCommand
	*apiCaller
	database string
	dir      string
	stderr   io.Writer
	server   *soakServer
	ledger   *soakLedger
	receiver *soakReceiver

	made     atomic.Int64 // changes that were acknowledged
	refused  atomic.Int64
	mu       sync.Mutex
	refusals []string // the first few
}

// soakEvents are what changes are about, by turns, and soakPaths how they are made.
var (
	soakEvents = []string{"calendar.updated", "user.updated"}
	soakPaths  = []string{"/v2/calendars/", "/v2/users/"}
	soakFields = []string{"description", "notes"}
)

// soakSubscribed says which webhooks get which changes: a third both kinds, a third the one, a third the other.
func soakSubscribed(hook, change int) bool { return hook%3 == 0 || hook%3 == change%2+1 }

func (s *soak) run(ctx context.Context) (f *soakFigures, err error) {
	s.ledger = newSoakLedger(s.Webhooks, soakSubscribed)
	s.receiver = &soakReceiver{seed: s.Seed, ledger: s.ledger, hooks: s.Webhooks}
	s.receiver.plan(s.For)
	stopReceiver, err := s.receiver.start()
	if err != nil {
		return nil, err
	}
	defer stopReceiver()
	key, err := newKey(ctx, s.database)
	if err != nil {
		return nil, err
	}
	if s.server, err = startSoakServer(ctx, s.database, s.dir, s.Keep, s.Pprof); err != nil {
		return nil, err
	}
	defer s.server.stop()
	caller, end := newCaller(s.server.url, key, soakClients)
	defer end()
	s.apiCaller = caller
	if err := s.prepare(ctx); err != nil {
		return nil, fmt.Errorf("make what is to be changed: %w", err)
	}

	kind, _, _ := strings.Cut(s.database, ":")
	f = &soakFigures{Database: kind, Seed: s.Seed, Webhooks: s.Webhooks, Rate: s.Rate, Problems: []string{}}
	if s.Rate == 0 {
		if f.Most, err = s.most(ctx); err != nil {
			return nil, fmt.Errorf("measure the most that the server can: %w", err)
		}
		f.Rate = f.Most / 2
		s.say("the most is %.0f changes a second; half of that for %s\n", f.Most, s.For)
	}
	before, _ := s.ledger.waiting()
	s.say("%d deliveries wait when the load begins\n", before)
	s.receiver.takeTimes()
	s.receiver.misbehave()
	if err := s.load(ctx, f); err != nil {
		return nil, err
	}
	s.receiver.faulty.Store(false)
	began := time.Now()
	for give := began.Add(s.Drain); time.Now().Before(give); {
		if waiting, _ := s.ledger.waiting(); waiting <= 0 && s.ledger.count().open() == 0 {
			break
		}
		if err := pause(ctx, 200*time.Millisecond); err != nil {
			return nil, err
		}
	}
	f.DrainSeconds = time.Since(began).Seconds()
	if err := pause(ctx, time.Second); err != nil { // for what would come once more
		return nil, err
	}
	for _, state := range []string{"pending", "failed", "cancelled"} {
		n, err := s.deliveries(ctx, state)
		if err != nil {
			return nil, err
		}
		if n > 0 {
			f.problem("%d deliveries are %s", n, state)
		}
	}
	if err := s.server.stop(); err != nil {
		f.problem("the server: %v", err)
	}
	f.Counts, f.Faults, f.Refused = s.ledger.count(), s.receiver.met(), int(s.refused.Load())
	s.mu.Lock()
	f.Refusals = s.refusals
	s.mu.Unlock()
	f.ServerErrors, f.ErrorLines = s.server.errors()
	f.Cleaned = s.server.cleaned.Load()
	var proof bytes.Buffer
	cmd := exec.CommandContext(ctx, s.server.program, "doctor", "--prove", "--database", s.database, "--storage", filepath.Join(s.dir, "storage"), "--secrets-key", keysIn(s.dir).String())
	cmd.Env, cmd.Stdout, cmd.Stderr = soakEnvironment(), &proof, &proof
	if err := cmd.Run(); err != nil {
		f.problem("bugle doctor --prove: %v: %s", err, strings.TrimSpace(proof.String()))
	}
	for line := range strings.Lines(proof.String()) {
		if strings.Contains(line, "nothing is lost") {
			f.Proof = strings.Join(strings.Fields(line), " ")
		}
	}
	f.judge(s.For)
	return f, nil
}

func (s *soak) say(text string, args ...any) {
	if s.Progress {
		fmt.Fprintf(s.stderr, text, args...)
	}
}

// prepare makes the webhooks and what is changed. Retries come soon and do not run out, so that the ledger can settle.
func (s *soak) prepare(ctx context.Context) error {
	for i := range soakRows {
		if _, err := s.call(ctx, "POST", "/v2/calendars", fmt.Sprintf(`{"name":"Calendar %d","color":"#2563eb"}`, i), http.StatusCreated); err != nil {
			return err
		}
		if _, err := s.call(ctx, "POST", "/v2/users", fmt.Sprintf(`{"name":"Jane Roe","email":"jane%d@example.com"}`, i), http.StatusCreated); err != nil {
			return err
		}
	}
	for i := range s.Webhooks {
		var events []string
		for kind, name := range soakEvents {
			if soakSubscribed(i, kind) {
				events = append(events, name)
			}
		}
		body, err := json.Marshal(map[string]any{"name": fmt.Sprintf("Receiver %d", i), "url": fmt.Sprintf("http://%s/%d", s.receiver.served, i), "method": "post",
			"events": events, "timeout_seconds": soakTimeout, "retry_schedule": []int{1, 2, 5, 10}, "max_attempts": 100})
		if err != nil {
			return err
		}
		if _, err := s.call(ctx, "POST", "/v2/webhooks", string(body), http.StatusCreated); err != nil {
			return err
		}
	}
	return nil
}

// deliveries counts those in a state.
func (s *soak) deliveries(ctx context.Context, state string) (int, error) {
	text, err := s.call(ctx, "GET", "/v2/deliveries?limit=1&state="+state, "", http.StatusOK)
	if err != nil {
		return 0, err
	}
	var page struct{ Meta struct{ Total int } }
	err = json.Unmarshal(text, &page)
	return page.Meta.Total, err
}

// change makes one change over HTTP, and notes what came of it.
func (s *soak) change(ctx context.Context) error {
	n := s.ledger.next()
	kind, row := n%2, n/2%soakRows+1
	body := fmt.Sprintf(`{"%s":"soak change %d, %s%d"}`, soakFields[kind], n, stamp, time.Now().UnixNano())
	_, err := s.call(ctx, "PATCH", soakPaths[kind]+strconv.Itoa(row), body, http.StatusOK)
	switch {
	case err == nil:
		s.ledger.acknowledge(n)
		s.made.Add(1)
	case ctx.Err() != nil:
		return context.Cause(ctx)
	default:
		s.mu.Lock()
		if len(s.refusals) < 10 {
			s.refusals = append(s.refusals, err.Error())
		}
		s.mu.Unlock()
		if s.refused.Add(1) >= 1000 {
			return fmt.Errorf("a thousand requests failed; the last: %w", err)
		}
	}
	return nil
}

// clients runs do again and again, as several clients at once, until it says that it is done, or fails.
func (s *soak) clients(ctx context.Context, do func(ctx context.Context) (done bool, err error)) error {
	return each(ctx, soakClients, soakClients, func(ctx context.Context, _ int) error {
		for {
			if done, err := do(ctx); done || err != nil {
				return err
			}
		}
	})
}

// most measures how many changes a second the server can make and deliver. Clients wait while thousands of deliveries are
// owed, so that the end is not far when they stop.
func (s *soak) most(ctx context.Context) (float64, error) {
	began := time.Now()
	err := s.clients(ctx, func(ctx context.Context) (bool, error) {
		if time.Since(began) >= s.Measure {
			return true, nil
		}
		if waiting, _ := s.ledger.waiting(); waiting > soakOwed {
			return false, pause(ctx, 5*time.Millisecond)
		}
		return false, s.change(ctx)
	})
	if err != nil {
		return 0, err
	}
	for {
		waiting, _ := s.ledger.waiting()
		took := time.Since(began)
		if waiting <= 0 {
			return float64(s.made.Load()) / took.Seconds(), nil
		}
		if took > s.Measure+time.Minute {
			return 0, fmt.Errorf("%d deliveries have not arrived within a minute", waiting)
		}
		if err := pause(ctx, 5*time.Millisecond); err != nil {
			return 0, err
		}
	}
}

// load makes changes at the rate, and has a row of figures for each minute, or for a sixth of less than six of them.
func (s *soak) load(ctx context.Context, f *soakFigures) error {
	interval := min(time.Minute, s.For/6)
	began := time.Now()
	end := began.Add(s.For)
	watching, stop := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- s.watch(watching, f, began, interval) }()
	var next atomic.Int64
	err := s.clients(ctx, func(ctx context.Context) (bool, error) {
		at := began.Add(time.Duration(float64(next.Add(1)-1) / f.Rate * float64(time.Second)))
		if !at.Before(end) || time.Now().After(end) {
			return true, nil
		}
		if wait := time.Until(at); wait > 0 {
			if err := pause(ctx, wait); err != nil {
				return false, err
			}
		}
		return false, s.change(ctx)
	})
	if err == nil {
		err = pause(ctx, time.Until(end.Add(100*time.Millisecond)))
	}
	stop()
	return errors.Join(err, <-done)
}

// watch adds a row for each interval until ctx is done. Memory is the mean of twelve looks.
func (s *soak) watch(ctx context.Context, f *soakFigures, began time.Time, interval time.Duration) error {
	const looks = 12
	ticker := time.NewTicker(interval / looks)
	defer ticker.Stop()
	made := s.made.Load()
	_, settled := s.ledger.waiting()
	at, n, rss := began, 0, 0.0
	for {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return nil
		}
		memory, measured := residentMemory(s.server.cmd.Process.Pid)
		f.MemoryMeasured = measured
		rss += memory
		if n++; n < looks {
			continue
		}
		figures, err := s.metrics(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read the server's metrics: %w", err)
		}
		now, times := time.Now(), s.receiver.takeTimes()
		nowMade := s.made.Load()
		_, nowSettled := s.ledger.waiting()
		seconds := now.Sub(at).Seconds()
		m := soakMinute{Second: now.Sub(began).Seconds(), Changes: float64(nowMade-made) / seconds, Deliveries: float64(nowSettled-settled) / seconds,
			P50: times.quantile(0.5), P99: times.quantile(0.99), RSS: rss / looks, Heap: figures["go_memstats_heap_alloc_bytes"] / (1 << 20),
			Goroutines: int(figures["go_goroutines"]), Backlog: int(figures["bugle_deliveries_pending"]), Database: figures["bugle_database_bytes"] / (1 << 20)}
		if len(f.Minutes) == 0 {
			s.say("%s\n", soakHead)
		}
		f.Minutes = append(f.Minutes, m)
		s.say("%s\n", m)
		made, settled, at, n, rss = nowMade, nowSettled, now, 0, 0
	}
}

// metrics are the sums of the server's figures, by their names.
func (s *soak) metrics(ctx context.Context) (map[string]float64, error) {
	text, err := s.call(ctx, "GET", "/metrics", "", http.StatusOK)
	sums := map[string]float64{}
	for line := range strings.Lines(string(text)) {
		space := strings.LastIndexByte(line, ' ')
		if strings.HasPrefix(line, "#") || space < 0 {
			continue
		}
		if n, err := strconv.ParseFloat(strings.TrimSpace(line[space:]), 64); err == nil {
			name, _, _ := strings.Cut(line[:space], "{")
			sums[name] += n
		}
	}
	return sums, err
}

// residentMemory is what a process has in memory, in megabytes, where the system says that.
func residentMemory(process int) (megabytes float64, measured bool) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", process))
	if err != nil {
		return 0, false
	}
	_, rest, _ := bytes.Cut(status, []byte("VmRSS:"))
	if fields := bytes.Fields(rest); len(fields) > 0 {
		kilobytes, err := strconv.ParseFloat(string(fields[0]), 64)
		return kilobytes / 1024, err == nil
	}
	return 0, false
}

// soakEnvironment is this process's, without options of bugle.
func soakEnvironment() []string {
	var kept []string
	for _, setting := range os.Environ() {
		if !strings.HasPrefix(setting, "BUGLE_") || strings.HasPrefix(setting, "BUGLE_TEST_") {
			kept = append(kept, setting)
		}
	}
	return kept
}

// A soakServer is the server in its process.
type soakServer struct {
	program string
	cmd     *exec.Cmd
	url     string
	exited  chan struct{}
	err     error // of its end, once exited is closed
	cleaned atomic.Int64
	once    sync.Once

	mu    sync.Mutex
	lines []string // the first few errors of its log
	wrong int
}

// startSoakServer starts this program once more, as bugle serve, and waits until it listens.
func startSoakServer(ctx context.Context, database, dir string, keep int, pprof string) (*soakServer, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	args := []string{"serve", "--listen", "127.0.0.1:0", "--storage", filepath.Join(dir, "storage"), "--secrets-key", keysIn(dir).String(), "--allow-target", "127.0.0.1",
		"--rate-limit", "0", "--guest-rate-limit", "0", "--retention-every", "1m",
		"--retention", fmt.Sprintf("attempts=forever,deliveries=90:%d,events=90:%d", keep, keep)}
	if pprof != "" {
		args = append(args, "--pprof", pprof)
	}
	s := &soakServer{program: program, cmd: exec.Command(program, args...), exited: make(chan struct{})}
	s.cmd.Env = append(soakEnvironment(), "BUGLE_DATABASE="+database)
	pipe, err := s.cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := s.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the server: %w", err)
	}
	listening := make(chan string, 1)
	go func() {
		lines := bufio.NewScanner(pipe)
		for lines.Scan() {
			s.logged(lines.Text(), listening)
		}
		io.Copy(io.Discard, pipe) // if a line was too long
		s.err = s.cmd.Wait()
		close(s.exited)
	}()
	select {
	case s.url = <-listening:
		return s, nil
	case <-s.exited:
		err = fmt.Errorf("the server ended: %v: %s", s.err, strings.Join(s.lines, "; "))
	case <-time.After(time.Minute):
		err = errors.New("the server does not listen after a minute")
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	s.stop()
	return nil, err
}

// logged takes one line of the server's log.
func (s *soakServer) logged(line string, listening chan<- string) {
	switch {
	case strings.Contains(line, "msg=listening "):
		if _, rest, found := strings.Cut(line, " url="); found {
			select {
			case listening <- strings.Fields(rest)[0]:
			default:
			}
		}
	case strings.Contains(line, `msg="old rows deleted"`):
		for _, name := range []string{" deliveries=", " events="} {
			n, _ := numberAfter([]byte(line), name)
			s.cleaned.Add(n)
		}
	case strings.Contains(line, "level=ERROR") || !strings.HasPrefix(line, "time="):
		s.mu.Lock()
		defer s.mu.Unlock()
		s.wrong++
		if len(s.lines) < 10 {
			s.lines = append(s.lines, line)
		}
	}
}

// errors are how many lines of the log speak of errors, and the first of them.
func (s *soakServer) errors() (int, []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.wrong, s.lines
}

// stop ends the server, and returns how it ended. It has to end within a minute.
func (s *soakServer) stop() error {
	s.once.Do(func() {
		if err := s.cmd.Process.Signal(os.Interrupt); err != nil {
			s.cmd.Process.Kill() // there is no such signal everywhere
		}
		select {
		case <-s.exited:
		case <-time.After(time.Minute):
			s.cmd.Process.Kill()
			<-s.exited
		}
	})
	return s.err
}
