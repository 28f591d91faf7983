package main

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// A smallDisk is a file system in memory that can be filled to its end.
type smallDisk struct {
	t      *testing.T
	folder string
}

// newSmallDisk mounts one of so many MiB. The test is skipped where it may not.
func newSmallDisk(t *testing.T, size string) *smallDisk {
	t.Helper()
	folder, err := os.MkdirTemp("", "bugle-disk-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Remove(folder) })
	if err := syscall.Mount("tmpfs", folder, "tmpfs", 0, "size="+size+"m,mode=0755"); err != nil {
		t.Skipf("a small disk cannot be mounted, which takes root: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(folder, syscall.MNT_DETACH); err != nil { // what uses it ends afterwards
			t.Error(err)
		}
	})
	return &smallDisk{t, folder}
}

func (d *smallDisk) ballast() string { return filepath.Join(d.folder, "ballast") }

// fill leaves no room.
func (d *smallDisk) fill() {
	d.t.Helper()
	file, err := os.OpenFile(d.ballast(), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		d.t.Fatal(err)
	}
	defer file.Close()
	block := make([]byte, 64<<10)
	for size := len(block); size > 0; {
		_, err := file.Write(block[:size])
		switch {
		case errors.Is(err, syscall.ENOSPC):
			size /= 2
		case err != nil:
			d.t.Fatal(err)
		}
	}
}

// free makes room again.
func (d *smallDisk) free() {
	d.t.Helper()
	if err := os.Remove(d.ballast()); err != nil {
		d.t.Fatal(err)
	}
}

// fillUp fills the disk and waits until changes are refused for it.
func (d *drill) fillUp(disk *smallDisk) {
	d.t.Helper()
	refused := d.answered(http.StatusInsufficientStorage)
	disk.fill()
	waitFor(d.t, "changes are refused", func() bool { return d.answered(http.StatusInsufficientStorage) > refused+20 })
}

// The disk of a file of SQLite is full: changes are refused and say why, and once there is room everything goes on without a
// restart.
func TestServe_diskFull(t *testing.T) {
	disk := newSmallDisk(t, "48")
	d := newFileDrill(t, disk.folder)
	stop := d.load(4)
	for range rounds(t, 2) {
		d.goesOn(50 + d.rand.IntN(200))
		d.fillUp(disk)
		if status, _, err := d.nodes[0].call(d.key, "GET", "/readyz", ""); err != nil || status != http.StatusServiceUnavailable {
			t.Errorf("a server without room on its disk says that it is ready: status %d, error %v", status, err)
		}
		disk.free()
		d.goesOn(100)
	}
	stop()
	d.settled()
	d.onlyRefused(http.StatusInsufficientStorage)
}

// The disk of PostgreSQL's tables is full, and that of its log is not.
func TestNodes_tablesFull(t *testing.T) {
	disk := newSmallDisk(t, "48")
	server := newPostgres(t, "")
	server.give(disk.folder)
	server.exec("CREATE TABLESPACE small LOCATION '" + disk.folder + "'")
	d := prepareDrill(t, server.database("bugle", "TABLESPACE small"))
	d.begin(2)
	stop := d.load(4)
	for range rounds(t, 1) {
		d.goesOn(50 + d.rand.IntN(200))
		d.fillUp(disk)
		disk.free()
		d.goesOn(100)
	}
	stop()
	d.settled()
	d.onlyRefused(http.StatusInsufficientStorage)
}

// The disk of PostgreSQL's log is full, at which it ends. Once there is room and it is started, everything goes on.
func TestNodes_logFull(t *testing.T) {
	disk := newSmallDisk(t, "24")
	server := newPostgres(t, disk.folder, "max_wal_size=4MB", "min_wal_size=2MB", "wal_recycle=off", "restart_after_crash=off")
	d := prepareDrill(t, server.database("bugle", ""))
	d.begin(2)
	stop := d.load(4)
	for range rounds(t, 1) {
		d.goesOn(50 + d.rand.IntN(200))
		d.fault()
		disk.fill()
		waitFor(t, "PostgreSQL ends", server.ended)
		disk.free()
		server.start()
		d.fault()
	}
	d.goesOn(100)
	stop()
	d.settled()
}

// The disk of a file of SQLite is slow: each wait for it takes long. Nothing is lost or repeated, and the server stays ready.
func TestServe_diskSlow(t *testing.T) {
	strace, err := exec.LookPath("strace")
	if err != nil {
		t.Skip("there is no strace, which makes the disk slow")
	}
	d := newFileDrill(t, t.TempDir())
	stop := d.load(8)
	for range rounds(t, 2) {
		delay := 20 + d.rand.IntN(200)
		slow := exec.Command(strace, "-f", "-o", "/dev/null", "-e", "trace=fsync,fdatasync", "-e", fmt.Sprintf("inject=fsync,fdatasync:delay_exit=%dms", delay),
			"-p", fmt.Sprint(d.nodes[0].cmd.Process.Pid))
		said := &lockedBuffer{}
		slow.Stderr = said
		if err := slow.Start(); err != nil {
			t.Fatal(err)
		}
		ended := make(chan struct{})
		go func() {
			slow.Wait()
			close(ended)
		}()
		end := func() {
			slow.Process.Signal(os.Interrupt)
			<-ended
		}
		t.Cleanup(end)
		isAttached := false
		waitFor(t, "strace attaches", func() bool {
			select {
			case <-ended:
				return true
			default:
				isAttached = strings.Contains(said.String(), "attached")
				return isAttached
			}
		})
		if !isAttached {
			t.Skipf("strace may not trace the server: %s", said)
		}
		t.Logf("the disk takes %d ms", delay)
		d.goesOn(300 + d.rand.IntN(300))
		d.nodes[0].mustCall(t, d.key, "GET", "/readyz", "", 200)
		end()
		d.goesOn(100)
	}
	stop()
	d.settled()
	d.onlyRefused()
}
