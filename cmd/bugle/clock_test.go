package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jonboulle/clockwork"

	"github.com/buglehq/bugle/internal/storetest"
)

// byClock names a file for a process that a test starts: by how many seconds its clock is set. Leases, which run by the clock of
// the database, are not the process's.
const byClock = "BUGLE_TEST_CLOCK"

// clockOf is a clock that follows the file while the process lives.
func clockOf(file string) clockwork.Clock {
	clock := &storetest.SetClock{Clock: clockwork.NewRealClock()}
	go func() {
		for range time.Tick(5 * time.Millisecond) {
			text, err := os.ReadFile(file)
			if err != nil {
				continue // the test is over
			}
			if seconds, err := strconv.Atoi(string(text)); err == nil {
				clock.Set(time.Duration(seconds) * time.Second)
			}
		}
	}()
	return clock
}

// setClock sets a clock. It is seen a moment later.
func setClock(t *testing.T, file string, by time.Duration) {
	t.Helper()
	next := file + ".next"
	if err := os.WriteFile(next, fmt.Append(nil, int(by.Seconds())), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(next, file); err != nil {
		t.Fatal(err)
	}
}

// The clock of a server is set forward by an hour and back by two, while deliveries fail and wait to be sent again.
func TestServe_clockSet(t *testing.T) {
	file := filepath.Join(t.TempDir(), "clock")
	setClock(t, file, 0)
	t.Setenv(byClock, file)
	d := newFileDrill(t, t.TempDir())
	d.setClocks([]string{file})
	d.onlyRefused()
}

// The clock of one of three servers is set, which does not change its share of the work.
func TestNodes_clockSet(t *testing.T) {
	if !storetest.OnPostgres() {
		t.Skip("BUGLE_TEST_POSTGRES names no server")
	}
	d := prepareDrill(t, storetest.Database(t))
	var files []string
	d.nodes = make([]*process, 3)
	for i := range d.nodes {
		files = append(files, filepath.Join(t.TempDir(), "clock"))
		setClock(t, files[i], 0)
		t.Setenv(byClock, files[i])
		d.start(i)
	}
	d.hook()
	waitFor(t, "the nodes share the work", func() bool { return d.count("SELECT COUNT(DISTINCT node_id) FROM slices") == 3 && d.held() == 64 })
	d.setClocks(files)
	d.onlyRefused()
}

// setClocks sets the clock of a file forward and back, again and again, under load of which much is refused. Nothing is
// lost, nothing is repeated, and no retry waits for the time that was taken back.
func (d *drill) setClocks(files []string) {
	d.t.Helper()
	d.refuse(3)
	stop := d.load(4)
	for range rounds(d.t, 2) {
		i := d.rand.IntN(len(files))
		hour := time.Duration(3000+d.rand.IntN(1200)) * time.Second
		for _, by := range []time.Duration{hour, -hour, 0} {
			setClock(d.t, files[i], by)
			d.goesOn(100 + d.rand.IntN(200))
			for _, p := range d.nodes {
				p.mustCall(d.t, d.key, "GET", "/readyz", "", 200)
			}
		}
		if log := d.nodes[i].log.String(); !strings.Contains(log, "the clock was set back") {
			d.t.Errorf("server %d did not notice that its clock was set back:\n%s", i, log)
		}
	}
	stop()
	d.settled()
}

// What a process's clock shows is what the file says, and a server has it everywhere.
func TestServe_clock(t *testing.T) {
	file := filepath.Join(t.TempDir(), "clock")
	setClock(t, file, -400*24*time.Hour)
	t.Setenv(byClock, file)
	database, key := newDatabase(t)
	server := startServer(t, database)
	waitFor(t, "the clock is set", func() bool {
		made := server.mustCall(t, key, "POST", "/v2/ranks", `{"name":"Private"}`, 201)
		text, _ := at(made, "data", "created_at").(string)
		at, err := time.Parse(time.RFC3339, text)
		if err != nil {
			t.Fatal(err)
		}
		return time.Since(at) > 399*24*time.Hour
	})
}
