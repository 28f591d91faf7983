package main

import (
	"net/http"
	"syscall"
	"testing"

	"github.com/buglehq/bugle/internal/storetest"
)

// Nodes are killed at any moment: what was acknowledged arrives, and others go on within seconds.
func TestNodes_killed(t *testing.T) {
	d := newDrill(t, 3)
	stop := d.load(6)
	for range rounds(t, 3) {
		before := d.sent()
		more := 200 + d.rand.IntN(1500)
		waitFor(t, "the nodes deliver", func() bool { return d.sent() > before+more })
		i := d.rand.IntN(len(d.nodes))
		victim := d.take(i)
		d.fault()
		victim.kill()
		d.fault()
		d.start(i)
	}
	stop()
	d.settled()
}

// A node that stops hands its lanes over at once, and nothing is sent twice.
func TestNodes_stopAndStart(t *testing.T) {
	d := newDrill(t, 3)
	stop := d.load(4)
	for range rounds(t, 3) {
		before := d.sent()
		waitFor(t, "the nodes deliver", func() bool { return d.sent() > before+300 })
		i := d.rand.IntN(len(d.nodes))
		leaver := d.take(i)
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
		sleeper := d.take(i)
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
