package main

import (
	"fmt"
	"net/http"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/buglehq/bugle/internal/storetest"
)

// PostgreSQL is stopped at once or killed, and started again, under load. It waits for the disk, so nothing that was
// acknowledged is lost.
func TestNodes_databaseKilled(t *testing.T) {
	server := newPostgres(t, "")
	d := prepareDrill(t, server.database("bugle", ""))
	d.begin(2)
	stop := d.load(4)
	signals := []syscall.Signal{syscall.SIGQUIT, syscall.SIGKILL} // in turns
	first := d.rand.IntN(2)
	for round := range rounds(t, 2) {
		d.goesOn(100 + d.rand.IntN(400))
		signal := signals[(first+round)%2]
		t.Logf("PostgreSQL gets %s", signal)
		d.fault()
		server.signal(signal)
		server.start()
		d.fault()
	}
	d.goesOn(100)
	stop()
	d.settled()
	d.onlyRefused(0, http.StatusInternalServerError, http.StatusServiceUnavailable) // not known what became of it, and nothing changed
	if d.answered(http.StatusServiceUnavailable) == 0 {
		t.Error("no change was refused because the database is away")
	}
}

// PostgreSQL's disk is slow: each commit takes long. Nothing is lost or repeated, and the servers stay ready.
func TestNodes_diskSlow(t *testing.T) {
	server := newPostgres(t, "", "commit_siblings=0")
	d := prepareDrill(t, server.database("bugle", ""))
	d.begin(2)
	stop := d.load(8)
	for range rounds(t, 1) {
		delay := 20 + d.rand.IntN(80)
		t.Logf("a commit takes %d ms", delay)
		server.exec(fmt.Sprintf("ALTER SYSTEM SET commit_delay = %d", delay*1000))
		server.exec("SELECT PG_RELOAD_CONF()")
		d.goesOn(300 + d.rand.IntN(300))
		for _, p := range d.nodes {
			p.mustCall(t, d.key, "GET", "/readyz", "", 200)
		}
	}
	stop()
	d.settled()
	d.onlyRefused()
}

// cutDrill is a drill of two servers, each of which reaches the database through a proxy of its own.
func cutDrill(t *testing.T) (*drill, []*proxy) {
	t.Helper()
	if !storetest.OnPostgres() {
		t.Skip("BUGLE_TEST_POSTGRES names no server")
	}
	d := prepareDrill(t, storetest.Database(t))
	proxies := []*proxy{newProxy(t, d.database), newProxy(t, d.database)}
	d.through = func(i int) string { return proxies[i].address(t, d.database) }
	d.begin(len(proxies))
	return d, proxies
}

// chosen are one of the proxies, or all.
func (d *drill) chosen(proxies []*proxy) []*proxy {
	if i := d.rand.IntN(len(proxies) + 1); i < len(proxies) {
		return proxies[i : i+1]
	}
	return proxies
}

// The connections of one server to the database, or of both, break off.
func TestNodes_connectionsReset(t *testing.T) {
	d, proxies := cutDrill(t)
	stop := d.load(4)
	for range rounds(t, 5) {
		d.goesOn(50 + d.rand.IntN(200))
		d.fault()
		for _, p := range d.chosen(proxies) {
			p.reset()
		}
		d.fault()
	}
	d.goesOn(100)
	stop()
	d.settled()
}

// Between one server and the database, or both, nothing passes for longer than the lease, and then everything does. The
// other takes over meanwhile, and no delivery is sent by both at the same time.
func TestNodes_connectionsSilent(t *testing.T) {
	d, proxies := cutDrill(t)
	stop := d.load(4)
	for round := range rounds(t, 1) {
		d.goesOn(50 + d.rand.IntN(200))
		silent := d.chosen(proxies)
		if round == 0 {
			silent = proxies[d.rand.IntN(len(proxies)):][:1] // so that there is another to take over
		}
		more := time.Duration(d.rand.IntN(4000)) * time.Millisecond
		t.Logf("nothing passes between the database and server %d, of %d", slices.Index(proxies, silent[0]), len(silent))
		d.fault()
		for _, p := range silent {
			p.hush()
		}
		if len(silent) < len(proxies) {
			waitFor(t, "the other has its slices", func() bool { return d.count("SELECT COUNT(DISTINCT node_id) FROM slices") == 1 && d.held() == 64 })
		} else {
			waitFor(t, "all leases have ended", func() bool { return d.held() == 0 })
		}
		<-time.After(more)
		d.fault()
		for _, p := range silent {
			p.speak()
		}
		waitFor(t, "the servers share the work", func() bool { return d.count("SELECT COUNT(DISTINCT node_id) FROM slices") == 2 })
		d.fault()
	}
	d.goesOn(100)
	stop()
	d.settled()
}
