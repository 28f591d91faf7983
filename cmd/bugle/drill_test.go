package main

import (
	"database/sql"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/buglehq/bugle/internal/storetest"
	"github.com/buglehq/bugle/value"
)

// A drill is one or several servers on one database, people who change something through all of them, and a receiver
// that keeps a ledger. What goes wrong meanwhile is the test's.
type drill struct {
	t        *testing.T
	rand     *rand.Rand // what the test chooses
	database string
	through  func(i int) string // the database as server i reaches it
	args     []string           // of all servers
	key      string
	receiver *httptest.Server
	db       *sql.DB // to look at the tables

	mu           sync.Mutex
	chance       *rand.Rand // what writers and the receiver do
	refusals     int        // one of so many requests is refused
	nodes        []*process // nil: is down
	faults       []time.Time
	arrivals     map[string][]time.Time    // of what was answered 200, by webhook-id
	under        map[string]int            // being answered, by webhook-id
	overlaps     []string                  // webhook-ids that arrived twice at the same time
	users        map[int64]map[string]bool // by id: the webhooks that they arrived at
	acknowledged map[int64]bool
	refused      map[int]int // changes that were answered with another status than 201
}

const drillHooks = 8

// window is how long before and after a fault deliveries may be repeated: the lease and the time of an answer.
const window = 12 * time.Second

// prepareDrill makes what a drill on the database needs, and starts no servers. BUGLE_TEST_SEED repeats a run as far as its
// choices go.
func prepareDrill(t *testing.T, database string, args ...string) *drill {
	t.Helper()
	seed := uint64(numberFrom(t, "BUGLE_TEST_SEED", int(time.Now().UnixNano()%1_000_000)))
	t.Logf("BUGLE_TEST_SEED=%d", seed)
	d := &drill{t: t, rand: rand.New(rand.NewPCG(seed, 0)), chance: rand.New(rand.NewPCG(seed, 1)), database: database, args: args, refusals: 50,
		through:  func(int) string { return database },
		arrivals: map[string][]time.Time{}, under: map[string]int{}, users: map[int64]map[string]bool{}, acknowledged: map[int64]bool{}, refused: map[int]int{}}
	d.receiver = httptest.NewServer(http.HandlerFunc(d.receive))
	t.Cleanup(d.receiver.Close)
	status, stdout, stderr := runBugle(t, "", "key", "create", "--database", d.database, "--name", "test", "--scope", "*")
	if status != 0 {
		t.Fatalf("key create: status %d: %s", status, stderr)
	}
	d.key = strings.TrimSpace(stdout)
	var err error
	if path, isFile := strings.CutPrefix(database, "sqlite:"); isFile {
		d.db, err = sql.Open("sqlite", "file:"+path+"?_pragma=busy_timeout(10000)&_pragma=query_only(1)")
	} else {
		d.db, err = sql.Open("pgx", d.database)
	}
	if err != nil {
		t.Fatal(err)
	}
	d.db.SetMaxIdleConns(0) // none that was cut meanwhile
	t.Cleanup(func() { d.db.Close() })
	return d
}

// newDrill is a drill on the PostgreSQL server of the tests.
func newDrill(t *testing.T, nodes int, args ...string) *drill {
	t.Helper()
	if !storetest.OnPostgres() {
		t.Skip("BUGLE_TEST_POSTGRES names no server")
	}
	d := prepareDrill(t, storetest.Database(t), args...)
	d.begin(nodes)
	return d
}

// newFileDrill is a drill on a file of SQLite in the folder.
func newFileDrill(t *testing.T, folder string, args ...string) *drill {
	t.Helper()
	d := prepareDrill(t, "sqlite:"+folder+"/bugle.db", args...)
	d.begin(1)
	return d
}

// begin starts the servers, and makes the webhooks.
func (d *drill) begin(nodes int) {
	d.t.Helper()
	d.nodes = make([]*process, nodes)
	for i := range d.nodes {
		d.start(i)
	}
	d.hook()
}

// hook makes the webhooks.
func (d *drill) hook() {
	d.t.Helper()
	for i := range drillHooks {
		d.nodes[0].mustCall(d.t, d.key, "POST", "/v2/webhooks", fmt.Sprintf(
			`{"name":"hook %d","url":"%s/hook/%d","events":["user.created"],"retry_schedule":[1],"max_attempts":50}`, i, d.receiver.URL, i), 201)
	}
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

// rounds is how often something goes wrong: a few times, or BUGLE_TEST_ROUNDS.
func rounds(t *testing.T, few int) int {
	t.Helper()
	return numberFrom(t, "BUGLE_TEST_ROUNDS", few)
}

func (d *drill) start(i int) {
	d.t.Helper()
	args := append([]string{"--node", fmt.Sprintf("node-%d", i), "--storage", d.t.TempDir()}, d.args...)
	p := startServer(d.t, d.through(i), args...)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.nodes[i] = p
}

// take takes a server out of those that are asked, and returns it.
func (d *drill) take(i int) *process {
	d.mu.Lock()
	defer d.mu.Unlock()
	p := d.nodes[i]
	d.nodes[i] = nil
	return p
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
	refuse, pause := d.chance.IntN(d.refusals) == 0, time.Duration(d.chance.IntN(20))*time.Millisecond
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

// refuse makes the receiver refuse one of n requests.
func (d *drill) refuse(n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.refusals = n
}

// someNode is one that is up, or nil.
func (d *drill) someNode() *process {
	d.mu.Lock()
	defer d.mu.Unlock()
	for range 10 {
		if p := d.nodes[d.chance.IntN(len(d.nodes))]; p != nil {
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
				id, status := createUser(client, p.url, d.key, fmt.Sprintf("user-%d@example.com", n.Add(1)))
				d.mu.Lock()
				if status == http.StatusCreated {
					d.acknowledged[id] = true
				} else { // it was killed, or is cut off: nothing was promised
					d.refused[status]++
				}
				d.mu.Unlock()
				if status != http.StatusCreated {
					<-time.After(5 * time.Millisecond)
				}
			}
		})
	}
	return func() {
		stopped.Store(true)
		group.Wait()
	}
}

// sent is how many deliveries have arrived.
func (d *drill) sent() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.arrivals)
}

// changed is how many changes were acknowledged.
func (d *drill) changed() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.acknowledged)
}

// answered is how many changes were answered with the status.
func (d *drill) answered(status int) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.refused[status]
}

// onlyRefused checks that changes were answered with these statuses, or not at all.
func (d *drill) onlyRefused(with ...int) {
	d.t.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	for status, n := range d.refused {
		if !slices.Contains(with, status) {
			d.t.Errorf("%d changes were answered with status %d, want one of %v", n, status, with)
		}
	}
}

// goesOn waits until n more deliveries have arrived, and some more changes were acknowledged.
func (d *drill) goesOn(n int) {
	d.t.Helper()
	before, changes := d.sent(), d.changed()
	waitFor(d.t, "changes are taken and delivered", func() bool { return d.sent() >= before+n && d.changed() >= changes+n/100 })
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

// settled waits until nothing is owed any more, checks the ledger, and asks the doctor.
func (d *drill) settled() {
	d.t.Helper()
	waitFor(d.t, "nothing is pending", func() bool { return d.count("SELECT COUNT(*) FROM deliveries WHERE state < 2") == 0 })
	for _, p := range d.nodes {
		if status, _, err := p.call(d.key, "GET", "/readyz", ""); err != nil || status != 200 && status != 503 {
			d.t.Errorf("a server does not answer any more: status %d, error %v", status, err)
		}
	}
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
	d.t.Logf("%d changes acknowledged, refused by status %v, %d deliveries, %d faults: %d lost, %d repeated, %d at the same time", len(d.acknowledged),
		d.refused, len(d.arrivals), len(d.faults), lost, repeats, len(d.overlaps))
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
	there := d.allUsers()
	for id := range d.users {
		if !there[id] {
			d.t.Errorf("user %d was delivered, but is not there", id)
		}
	}
	if status, out, errs := runBugle(d.t, "", "doctor", "--prove", "--database", d.database, "--storage", d.t.TempDir()); status != 0 {
		d.t.Errorf("the doctor says\n%s%s", out, errs)
	}
}

// allUsers are the ids of those that are in the table.
func (d *drill) allUsers() map[int64]bool {
	d.t.Helper()
	rows, err := d.db.Query("SELECT id FROM users")
	if err != nil {
		d.t.Fatal(err)
	}
	defer rows.Close()
	all := map[int64]bool{}
	for rows.Next() {
		var id int64
		if err := rows.Scan(&id); err != nil {
			d.t.Fatal(err)
		}
		all[id] = true
	}
	if err := rows.Err(); err != nil {
		d.t.Fatal(err)
	}
	return all
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
