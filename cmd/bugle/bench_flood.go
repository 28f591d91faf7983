package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// benchFloodCommand is `bugle bench flood`.
type benchFloodCommand struct {
	Database string        `help:"A PostgreSQL server to measure with, where a database is made and dropped in the end; a file of SQLite in a temporary folder unless set." placeholder:"URL"`
	Rate     int           `help:"Bad requests a second." default:"10000"`
	Clients  int           `help:"Connections that they come by." default:"64"`
	For      time.Duration `help:"How long the server is watched without them, and then with them." default:"10s"`
	JSON     bool          `help:"Print the figures as one JSON object." name:"json"`
}

// Help follows the one line that describes the command.
func (*benchFloodCommand) Help() string {
	return `Starts a server in a process of its own, makes ten changes a second through the API and receives their deliveries, first
in peace, then while strangers send bad requests: wrong keys, none, bodies that are no JSON, paths that climb, passwords that
are guessed, headers that are too long, and what is no HTTP at all. Everything runs on this machine, and so do the strangers: what they take of
the processor the server does not have.

The status is 1 if a call failed or a delivery did not arrive.

  bugle bench flood
  bugle bench flood --rate 2000 --for 1m`
}

// Validate reports options out of range.
func (c *benchFloodCommand) Validate() error {
	errs := []error{between("rate", c.Rate, 1, 1_000_000), between("clients", c.Clients, 1, 1000)}
	if c.For < time.Second || c.For > time.Hour {
		errs = append(errs, fmt.Errorf("--for is %s, want 1s to 1h", c.For))
	}
	return errors.Join(errs...)
}

// floodFigures are what a run measured; with --json their names are a promise.
type floodFigures struct {
	Calm     floodPhase     `json:"calm"`
	Flood    floodPhase     `json:"flood"`
	Asked    int            `json:"asked_per_second"`
	Rate     float64        `json:"bad_per_second"` // what the strangers managed
	Answers  map[string]int `json:"answers"`        // to them, by status; cut: the server hung up
	Memory   float64        `json:"rss_mb"`         // before the flood; 0 where it is not measured
	Peak     float64        `json:"peak_rss_mb"`
	Problems []string       `json:"problems"`
}

// floodPhase is how calls and deliveries went; times in milliseconds.
type floodPhase struct {
	Calls     int     `json:"calls"`
	Failed    int     `json:"failed"`
	Missing   int     `json:"missing"` // deliveries that did not arrive
	CallP50   float64 `json:"call_p50_ms"`
	CallP99   float64 `json:"call_p99_ms"`
	ArriveP50 float64 `json:"arrive_p50_ms"` // from the beginning of the call to the arrival
	ArriveP99 float64 `json:"arrive_p99_ms"`
	first     string  // what the first that failed said
}

// Run measures and prints the figures.
func (c *benchFloodCommand) Run(ctx context.Context, out *output) error {
	dir, err := os.MkdirTemp("", "bugle-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	name, drop, err := (&benchCommand{Database: c.Database}).newDatabase(ctx, dir)
	if err != nil {
		return err
	}
	f, err := c.measure(ctx, name, dir)
	if err = errors.Join(err, drop()); err != nil {
		return err
	}
	if c.JSON {
		err = json.NewEncoder(out.Stdout).Encode(f)
	} else {
		f.print(out.Stdout)
	}
	if err == nil && len(f.Problems) > 0 {
		err = errors.New("the flood had effects that it must not have")
	}
	return err
}

func (f *floodFigures) print(w io.Writer) {
	fmt.Fprintf(w, "%-8s %7s %8s %9s %15s %20s\n", "", "calls", "failed", "missing", "call ms p50/p99", "arrival ms p50/p99")
	for _, phase := range []struct {
		name string
		floodPhase
	}{{"calm", f.Calm}, {"flood", f.Flood}} {
		fmt.Fprintf(w, "%-8s %7d %8d %9d %8.1f/%6.1f %13.1f/%6.1f\n", phase.name, phase.Calls, phase.Failed, phase.Missing, phase.CallP50, phase.CallP99, phase.ArriveP50, phase.ArriveP99)
	}
	fmt.Fprintf(w, "bad      %.0f/s of the %d/s that were to be; answers:", f.Rate, f.Asked)
	for _, status := range slices.Sorted(maps.Keys(f.Answers)) {
		fmt.Fprintf(w, " %s × %d", status, f.Answers[status])
	}
	fmt.Fprintln(w)
	if f.Memory > 0 {
		fmt.Fprintf(w, "memory   %.0f MB before, %.0f MB at most\n", f.Memory, f.Peak)
	}
	for _, p := range f.Problems {
		fmt.Fprintln(w, "problem  "+p)
	}
}

// A flood is one run.
type flood struct {
	*benchFloodCommand
	*apiCaller
	calendar string

	mu       sync.Mutex
	arrivals map[int]time.Time // by the number of the call
}

const (
	floodPause = 100 * time.Millisecond // between calls
	floodWait  = 10 * time.Second       // for the last deliveries
)

func (c *benchFloodCommand) measure(ctx context.Context, name, dir string) (*floodFigures, error) {
	fl := &flood{benchFloodCommand: c, arrivals: map[int]time.Time{}}
	receiver := &http.Server{Handler: http.HandlerFunc(fl.receive), ReadHeaderTimeout: 10 * time.Second}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	served := make(chan struct{})
	go func() { defer close(served); receiver.Serve(listener) }()
	defer func() { receiver.Close(); <-served }()
	key, err := newKey(ctx, name)
	if err != nil {
		return nil, err
	}
	server, err := (&bench{dir: dir}).startServer(ctx, name, "flood", roleAll)
	if err != nil {
		return nil, err
	}
	defer server.stop()
	caller, end := newCaller(server.url, key, 1)
	defer end()
	fl.apiCaller = caller
	var made struct{ Data struct{ ID int } }
	text, err := fl.call(ctx, "POST", "/v2/calendars", `{"name":"Training","color":"#2563eb"}`, http.StatusCreated)
	if err == nil {
		err = json.Unmarshal(text, &made)
	}
	if err == nil {
		_, err = fl.call(ctx, "POST", "/v2/webhooks", fmt.Sprintf(`{"name":"Receiver","url":"http://%s/","events":["calendar.updated"]}`, listener.Addr()), http.StatusCreated)
	}
	if err != nil {
		return nil, err
	}
	fl.calendar = "/v2/calendars/" + strconv.Itoa(made.Data.ID)

	f := &floodFigures{Asked: c.Rate, Problems: []string{}}
	if f.Calm, err = fl.phase(ctx, 0); err != nil {
		return nil, err
	}
	pid := server.cmd.Process.Pid
	f.Memory = memory(pid, "VmRSS")
	flooding, stop := context.WithCancel(ctx)
	strangers := startStrangers(flooding, server.url, c.Rate, c.Clients)
	f.Flood, err = fl.phase(ctx, f.Calm.Calls)
	stop()
	f.Rate, f.Answers = strangers.end()
	if err != nil {
		return nil, err
	}
	f.Peak = memory(pid, "VmHWM")
	for _, phase := range []floodPhase{f.Calm, f.Flood} {
		if phase.Failed > 0 {
			f.Problems = append(f.Problems, fmt.Sprintf("%d calls failed; the first: %s", phase.Failed, phase.first))
		}
		if phase.Missing > 0 {
			f.Problems = append(f.Problems, fmt.Sprintf("%d deliveries did not arrive", phase.Missing))
		}
	}
	return f, server.stop()
}

// receive notes when the number of a call arrives.
func (fl *flood) receive(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	now := time.Now()
	if _, rest, found := strings.Cut(string(body), floodMark); found {
		digits, _, _ := strings.Cut(rest, ".")
		if n, err := strconv.Atoi(digits); err == nil {
			fl.mu.Lock()
			if fl.arrivals[n].IsZero() {
				fl.arrivals[n] = now
			}
			fl.mu.Unlock()
		}
	}
	w.WriteHeader(http.StatusOK)
}

// floodMark is before the number of a call, which ends with a dot.
const floodMark = "call number "

// phase makes calls for as long as the command says, from a number on, and waits for what they cause.
func (fl *flood) phase(ctx context.Context, from int) (floodPhase, error) {
	var p floodPhase
	var calls, arrivals []float64
	began := map[int]time.Time{}
	ticker := time.NewTicker(floodPause)
	defer ticker.Stop()
	for n := from; n < from+int(fl.For/floodPause); n++ {
		at := time.Now()
		_, err := fl.call(ctx, "PATCH", fl.calendar, fmt.Sprintf(`{"description":"%s%d."}`, floodMark, n), http.StatusOK)
		p.Calls++
		if err != nil {
			if p.Failed++; p.first == "" {
				p.first = err.Error()
			}
		} else {
			calls = append(calls, milliseconds(time.Since(at)))
			began[n] = at
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return p, context.Cause(ctx)
		}
	}
	for give := time.Now().Add(floodWait); ; {
		fl.mu.Lock()
		p.Missing = 0
		arrivals = arrivals[:0]
		for n, at := range began {
			if to := fl.arrivals[n]; to.IsZero() {
				p.Missing++
			} else {
				arrivals = append(arrivals, milliseconds(to.Sub(at)))
			}
		}
		fl.mu.Unlock()
		if p.Missing == 0 || time.Now().After(give) {
			break
		}
		if err := pause(ctx, floodPause); err != nil {
			return p, err
		}
	}
	p.CallP50, p.CallP99 = middleAndWorst(calls)
	p.ArriveP50, p.ArriveP99 = middleAndWorst(arrivals)
	return p, nil
}

// middleAndWorst are the quantiles at 50 and 99 %, 0 of nothing.
func middleAndWorst(list []float64) (p50, p99 float64) {
	if len(list) == 0 {
		return 0, 0
	}
	slices.Sort(list)
	return list[len(list)/2], list[len(list)*99/100]
}

// strangers send bad requests.
type strangers struct {
	began   time.Time
	done    sync.WaitGroup
	sent    atomic.Int64
	mu      sync.Mutex
	answers map[string]int
}

// floodRequests are what strangers send, as it goes over the wire. Nothing of it is any good.
func floodRequests(host string) [][]byte {
	request := func(line string, headers ...string) []byte {
		return []byte(line + " HTTP/1.1\r\nHost: " + host + "\r\n" + strings.Join(headers, "\r\n") + "\r\n")
	}
	withBody := func(line, kind, body string, headers ...string) []byte {
		headers = append(headers, "Content-Type: "+kind, "Content-Length: "+strconv.Itoa(len(body)), "")
		return append(request(line, headers...), body...)
	}
	guess := url.Values{"email": {"admin@example.com"}, "password": {"123456"}}.Encode()
	return [][]byte{
		request("GET /v2/users", "Authorization: Bearer 0123456789abcdef0123456789abcdef", ""),
		request("GET /v2/users", ""),
		withBody("POST /v2/users", "application/json", `{"name":`, "Authorization: Bearer nonsense"),
		request("GET /../../../../etc/passwd", ""),
		request("GET /v2/users/%2e%2e%2f%2e%2e%2fwebhooks", ""),
		request("GET /wp-login.php?"+strings.Repeat("a", 500), ""),
		withBody("POST /login", "application/x-www-form-urlencoded", guess),
		request("GET /webhooks", "Cookie: session="+strings.Repeat("A", 43), ""),
		request("GET /v2/users", "X-Long: "+strings.Repeat("x", 64<<10), ""),
		withBody("POST /v2/users", "multipart/form-data; boundary=x", "--x\r\nContent-Disposition: form-data; name=\"a\r\n\r\n"),
		request("BREW /v2/users", ""),
		[]byte("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\r\n\r\n"), // somebody speaks TLS
	}
}

// startStrangers sends bad requests at a rate, by as many connections, until ctx ends.
func startStrangers(ctx context.Context, base string, rate, clients int) *strangers {
	host := strings.TrimPrefix(base, "http://")
	s := &strangers{began: time.Now(), answers: map[string]int{}}
	requests := floodRequests(host)
	for i := range clients {
		s.done.Go(func() { s.send(ctx, host, requests, i, float64(rate)/float64(clients)) })
	}
	return s
}

// end waits for them, once their context has ended, and returns how many requests a second they have made.
func (s *strangers) end() (rate float64, answers map[string]int) {
	took := time.Since(s.began)
	s.done.Wait()
	return float64(s.sent.Load()) / took.Seconds(), s.answers
}

// send is one of them.
func (s *strangers) send(ctx context.Context, host string, requests [][]byte, from int, rate float64) {
	answers := map[string]int{}
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		for status, n := range answers {
			s.answers[status] += n
		}
	}()
	var conn net.Conn
	var in *bufio.Reader
	hangUp := func() {
		if conn != nil {
			conn.Close()
			conn = nil
		}
	}
	defer hangUp()
	began := time.Now()
	for n := 0; ctx.Err() == nil; n++ {
		if ahead := time.Until(began.Add(time.Duration(float64(n) / rate * float64(time.Second)))); ahead > 0 && pause(ctx, ahead) != nil {
			return
		}
		if conn == nil {
			var err error
			if conn, err = net.DialTimeout("tcp", host, 10*time.Second); err != nil {
				answers["refused"]++
				conn = nil
				continue
			}
			in = bufio.NewReader(conn)
		}
		conn.SetDeadline(time.Now().Add(20 * time.Second))
		s.sent.Add(1)
		_, err := conn.Write(requests[(from+n)%len(requests)]) // what the server does not want to hear it may have answered all the same
		answer, readErr := http.ReadResponse(in, nil)
		if readErr == nil {
			_, readErr = io.Copy(io.Discard, answer.Body)
			answers[strconv.Itoa(answer.StatusCode)]++
			answer.Body.Close()
		} else {
			answers["cut"]++
		}
		if err != nil || readErr != nil || answer.Close {
			hangUp()
		}
	}
}
