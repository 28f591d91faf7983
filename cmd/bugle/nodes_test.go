package main

import (
	"database/sql"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/buglehq/bugle/internal/storetest"
	"github.com/buglehq/bugle/value"
)

// A drill is several servers on one PostgreSQL database, people who change something through all of them, and a receiver
// that keeps a ledger. What goes wrong meanwhile is the test's.
type drill struct {
	t        *testing.T
	rand     *rand.Rand
	database string
	key      string
	receiver *httptest.Server
	db       *sql.DB // to look at the tables

	mu           sync.Mutex
	nodes        []*process // nil: is down
	faults       []time.Time
	arrivals     map[string][]time.Time    // of what was answered 200, by webhook-id
	under        map[string]int            // being answered, by webhook-id
	overlaps     []string                  // webhook-ids that arrived twice at the same time
	users        map[int64]map[string]bool // by id: the webhooks that they arrived at
	acknowledged map[int64]bool
}

const drillHooks = 8

// window is how long before and after a fault deliveries may be repeated: the lease and the time of an answer.
const window = 12 * time.Second

// newDrill starts the servers. BUGLE_TEST_SEED repeats a run as far as its choices go.
func newDrill(t *testing.T, nodes int, args ...string) *drill {
	t.Helper()
	if !storetest.OnPostgres() {
		t.Skip("BUGLE_TEST_POSTGRES names no server")
	}
	seed := uint64(numberFrom(t, "BUGLE_TEST_SEED", int(time.Now().UnixNano()%1_000_000)))
	t.Logf("BUGLE_TEST_SEED=%d", seed)
	d := &drill{t: t, rand: rand.New(rand.NewPCG(seed, 0)), database: storetest.Database(t), nodes: make([]*process, nodes),
		arrivals: map[string][]time.Time{}, under: map[string]int{}, users: map[int64]map[string]bool{}, acknowledged: map[int64]bool{}}
	d.receiver = httptest.NewServer(http.HandlerFunc(d.receive))
	t.Cleanup(d.receiver.Close)
	status, stdout, stderr := runBugle(t, "", "key", "create", "--database", d.database, "--name", "test", "--scope", "*")
	if status != 0 {
		t.Fatalf("key create: status %d: %s", status, stderr)
	}
	d.key = stdout[:len(stdout)-1]
	var err error
	if d.db, err = sql.Open("pgx", d.database); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.db.Close() })
	for i := range d.nodes {
		d.start(i, args...)
	}
	for i := range drillHooks {
		d.nodes[0].mustCall(t, d.key, "POST", "/v2/webhooks", fmt.Sprintf(
			`{"name":"hook %d","url":"%s/hook/%d","events":["user.created"],"retry_schedule":[1],"max_attempts":50}`, i, d.receiver.URL, i), 201)
	}
	return d
}

func numberFrom(t *testing.T, name string, otherwise int) int {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("%s is %q, want a number", name, text)
	}
	return n
}

func (d *drill) start(i int, args ...string) {
	d.t.Helper()
	p := startServer(d.t, d.database, append([]string{"--node", fmt.Sprintf("node-%d", i), "--storage", d.t.TempDir()}, args...)...)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.nodes[i] = p
}

// receive is quick, mostly, and now and then refuses.
func (d *drill) receive(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the sender died in the middle
	}
	envelope, err := value.Decode(body)
	if err != nil {
		d.t.Errorf("the receiver got what is no JSON: %q", body)
		return
	}
	id, _ := at(envelope, "data", "id").(int64)
	message := r.Header.Get("webhook-id")
	d.mu.Lock()
	d.under[message]++
	if d.under[message] > 1 {
		d.overlaps = append(d.overlaps, message)
	}
	refuse, pause := d.rand.IntN(50) == 0, time.Duration(d.rand.IntN(20))*time.Millisecond
	d.mu.Unlock()
	timer := time.NewTimer(pause)
	<-timer.C
	d.mu.Lock()
	defer d.mu.Unlock()
	d.under[message]--
	if refuse {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	d.arrivals[message] = append(d.arrivals[message], time.Now())
	if d.users[id] == nil {
		d.users[id] = map[string]bool{}
	}
	d.users[id][r.URL.Path] = true
}

// someNode is one that is up, or nil.
func (d *drill) someNode() *process {
	d.mu.Lock()
	defer d.mu.Unlock()
	for range 10 {
		if p := d.nodes[d.rand.IntN(len(d.nodes))]; p != nil {
			return p
		}
	}
	return nil
}

// fault notes that something goes wrong now.
func (d *drill) fault() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.faults = append(d.faults, time.Now())
}

// load changes something until the returned function is called.
func (d *drill) load(writers int) (stop func()) {
	var stopped atomic.Bool
	var group sync.WaitGroup
	var n atomic.Int64
	client := &http.Client{Timeout: 20 * time.Second}
	for range writers {
		group.Go(func() {
			for !stopped.Load() {
				p := d.someNode()
				if p == nil {
					<-time.After(10 * time.Millisecond)
					continue
				}
				id, ok := createUser(client, p.url, d.key, fmt.Sprintf("user-%d@example.com", n.Add(1)))
				if !ok { // it was killed, or is cut off: nothing was promised
					<-time.After(5 * time.Millisecond)
					continue
				}
				d.mu.Lock()
				d.acknowledged[id] = true
				d.mu.Unlock()
			}
		})
	}
	return func() {
		stopped.Store(true)
		group.Wait()
	}
}

// count is a number in the tables.
func (d *drill) count(query string) int {
	d.t.Helper()
	var n int
	if err := d.db.QueryRow(query).Scan(&n); err != nil {
		d.t.Fatalf("%s: %v", query, err)
	}
	return n
}

// settled waits until nothing is owed any more, and checks the ledger.
func (d *drill) settled() {
	d.t.Helper()
	waitFor(d.t, "nothing is pending", func() bool { return d.count("SELECT COUNT(*) FROM deliveries WHERE state < 2") == 0 })
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.acknowledged) == 0 {
		d.t.Error("no change was acknowledged")
	}
	lost := 0
	for id := range d.acknowledged {
		if len(d.users[id]) != drillHooks {
			lost++
			d.t.Errorf("user %d arrived at %d webhooks, want %d", id, len(d.users[id]), drillHooks)
		}
	}
	repeats, unexplained := 0, 0
	for id, times := range d.arrivals {
		for _, later := range times[1:] {
			repeats++
			if !d.explained(times[0]) && !d.explained(later) {
				unexplained++
				d.t.Errorf("%s arrived again at %s, %s after the first time, while nothing went wrong", id, later, later.Sub(times[0]))
			}
		}
	}
	for _, id := range d.overlaps {
		d.t.Errorf("%s was sent twice at the same time", id)
	}
	d.t.Logf("%d changes acknowledged, %d deliveries, %d faults: %d lost, %d repeated, %d at the same time", len(d.acknowledged), len(d.arrivals),
		len(d.faults), lost, repeats, len(d.overlaps))
	for what, query := range map[string]string{
		"events without their user":       "SELECT COUNT(*) FROM events e WHERE name = 'user.created' AND NOT EXISTS (SELECT 1 FROM users u WHERE u.id = e.resource_id)",
		"users without an event":          "SELECT COUNT(*) FROM users u WHERE NOT EXISTS (SELECT 1 FROM events e WHERE u.id = e.resource_id)",
		"events without their deliveries": fmt.Sprintf("SELECT COUNT(*) FROM events e WHERE (SELECT COUNT(*) FROM deliveries d WHERE d.event_id = e.id) <> %d", drillHooks),
		"deliveries that were not made":   "SELECT COUNT(*) FROM deliveries WHERE state <> 2",
		"deliveries with attempts amiss":  "SELECT COUNT(*) FROM deliveries d WHERE d.attempts <> (SELECT COUNT(*) FROM attempts a WHERE a.delivery_id = d.id) OR d.attempts <> (SELECT MAX(number) FROM attempts a WHERE a.delivery_id = d.id)",
		"gaps in sequences":               "SELECT COUNT(*) FROM lanes l WHERE last_sequence <> (SELECT COUNT(*) FROM deliveries d WHERE d.webhook_id = l.webhook_id)",
	} {
		if n := d.count(query); n != 0 {
			d.t.Errorf("%d %s", n, what)
		}
	}
}

func (d *drill) explained(at time.Time) bool {
	for _, fault := range d.faults {
		if at.After(fault.Add(-window)) && at.Before(fault.Add(window)) {
			return true
		}
	}
	return false
}

// held is how many slices nodes have that are alive.
func (d *drill) held() int {
	d.t.Helper()
	return d.count("SELECT COUNT(*) FROM slices s JOIN nodes n ON n.id = s.node_id WHERE s.until_us > EXTRACT(EPOCH FROM CLOCK_TIMESTAMP()) * 1000000")
}

// rounds is how often something goes wrong: a few times, or BUGLE_TEST_ROUNDS.
func rounds(t *testing.T, few int) int {
	t.Helper()
	return numberFrom(t, "BUGLE_TEST_ROUNDS", few)
}

// Nodes are killed at any moment: what was acknowledged arrives, and others go on within seconds.
func TestNodes_killed(t *testing.T) {
	d := newDrill(t, 3)
	stop := d.load(6)
	for range rounds(t, 3) {
		before := d.sent()
		more := 200 + d.rand.IntN(1500)
		waitFor(t, "the nodes deliver", func() bool { return d.sent() > before+more })
		i := d.rand.IntN(len(d.nodes))
		d.mu.Lock()
		victim := d.nodes[i]
		d.nodes[i] = nil
		d.mu.Unlock()
		d.fault()
		victim.kill()
		d.fault()
		d.start(i)
	}
	stop()
	d.settled()
}

func (d *drill) sent() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.arrivals)
}

// A node that stops hands its lanes over at once, and nothing is sent twice.
func TestNodes_stopAndStart(t *testing.T) {
	d := newDrill(t, 3)
	stop := d.load(4)
	for range rounds(t, 3) {
		before := d.sent()
		waitFor(t, "the nodes deliver", func() bool { return d.sent() > before+300 })
		i := d.rand.IntN(len(d.nodes))
		d.mu.Lock()
		leaver := d.nodes[i]
		d.nodes[i] = nil
		d.mu.Unlock()
		leaver.stop(t)
		waitFor(t, "the others have its slices", func() bool { return d.held() == 64 })
		d.start(i)
		waitFor(t, "the nodes share the work", func() bool {
			return d.count("SELECT COUNT(*) FROM (SELECT node_id FROM slices GROUP BY node_id HAVING COUNT(*) BETWEEN 20 AND 22) AS even") == 3
		})
	}
	stop()
	d.settled()
	if d.mu.Lock(); len(d.faults) != 0 {
		t.Error("nothing went wrong here")
	}
	d.mu.Unlock()
}

// A node is stopped for longer than its lease, and goes on: it has lost its lanes, and sends nothing of them.
func TestNodes_paused(t *testing.T) {
	d := newDrill(t, 3)
	stop := d.load(4)
	for range rounds(t, 1) {
		before := d.sent()
		waitFor(t, "the nodes deliver", func() bool { return d.sent() > before+300 })
		i := d.rand.IntN(len(d.nodes))
		d.mu.Lock()
		sleeper := d.nodes[i]
		d.nodes[i] = nil
		d.mu.Unlock()
		d.fault()
		if err := sleeper.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
		waitFor(t, "the others have its slices", func() bool {
			return d.count("SELECT COUNT(DISTINCT node_id) FROM slices") == 2 && d.held() == 64
		})
		d.fault()
		if err := sleeper.cmd.Process.Signal(syscall.SIGCONT); err != nil {
			t.Fatal(err)
		}
		d.mu.Lock()
		d.nodes[i] = sleeper
		d.mu.Unlock()
		waitFor(t, "the nodes share the work", func() bool { return d.count("SELECT COUNT(DISTINCT node_id) FROM slices") == 3 })
	}
	stop()
	d.settled()
}

// The connections to PostgreSQL are cut again and again.
func TestNodes_cutOff(t *testing.T) {
	d := newDrill(t, 2)
	stop := d.load(4)
	for range rounds(t, 5) {
		before := d.sent()
		waitFor(t, "the nodes deliver", func() bool { return d.sent() > before+200 })
		d.fault()
		if _, err := d.db.Exec("SELECT PG_TERMINATE_BACKEND(pid) FROM pg_stat_activity WHERE datname = CURRENT_DATABASE() AND pid <> PG_BACKEND_PID()"); err != nil {
			t.Fatal(err)
		}
		d.fault()
	}
	stop()
	d.settled()
}

// A server that answers requests but sends nothing leaves that to a worker, which hears of it.
func TestNodes_roles(t *testing.T) {
	if !storetest.OnPostgres() {
		t.Skip("BUGLE_TEST_POSTGRES names no server")
	}
	d := newDrill(t, 1, "--role", "api")
	d.nodes[0].mustCall(t, d.key, "POST", "/v2/users", `{"name":"Jane Roe","email":"jane@example.com"}`, 201)
	if n := d.count("SELECT COUNT(*) FROM slices WHERE node_id <> 0"); n != 0 {
		t.Errorf("a server that sends nothing has %d slices", n)
	}
	worker := startServer(t, d.database, "--role", "worker", "--storage", t.TempDir())
	waitFor(t, "the worker delivers what waited", func() bool { return d.sent() == drillHooks })
	d.nodes[0].mustCall(t, d.key, "POST", "/v2/users", `{"name":"Sam Poe","email":"sam@example.com"}`, 201)
	waitFor(t, "the worker delivers what is new", func() bool { return d.sent() == 2*drillHooks })
	for path, want := range map[string]int{"/v2/users": 404, "/": 404, "/health": 204, "/readyz": 200} {
		answer, err := http.Get(worker.url + path)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		if answer.StatusCode != want {
			t.Errorf("a worker answers %d to %s, want %d", answer.StatusCode, path, want)
		}
	}
	worker.stop(t)
	if n := d.count("SELECT COUNT(*) FROM slices WHERE node_id <> 0"); n != 0 {
		t.Errorf("after its end the worker has %d slices", n)
	}
}
