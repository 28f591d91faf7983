package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/buglehq/bugle/internal/storetest"
)

// An ownPostgres is a PostgreSQL server of the test's own, which can be killed. It waits for the disk, as it does by default.
type ownPostgres struct {
	t        *testing.T
	bin      string // folder of its programs
	folder   string
	port     int
	settings []string
	as       *syscall.Credential // nil: as this process
	cmd      *exec.Cmd
	log      *lockedBuffer
	exited   chan struct{}
}

// newPostgres makes a server of the test's own, and starts it. Its log of writes is in the folder wal, if that is not empty.
// It is skipped where there are no programs of PostgreSQL.
func newPostgres(t *testing.T, wal string, settings ...string) *ownPostgres {
	t.Helper()
	if !storetest.OnPostgres() {
		t.Skip("BUGLE_TEST_POSTGRES names no server: the tests with one of their own are skipped too")
	}
	folders, err := filepath.Glob("/usr/lib/postgresql/*/bin")
	if err != nil || len(folders) == 0 {
		t.Skip("there is no PostgreSQL in /usr/lib/postgresql/*/bin to start a server of the test's own")
	}
	folder, err := os.MkdirTemp("", "bugle-postgres-") // not t.TempDir, which others may not enter
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(folder) })
	newest := slices.MaxFunc(folders, func(a, b string) int { return major(a) - major(b) })
	s := &ownPostgres{t: t, bin: newest, folder: folder, port: freePort(t), settings: settings}
	if os.Getuid() == 0 { // as which it refuses to run
		s.as = credentialOf(t, "postgres")
		s.give(folder)
	}
	args := []string{"-D", s.data(), "-U", "postgres", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync", "--wal-segsize=1"}
	if wal != "" {
		s.give(wal)
		args = append(args, "--waldir="+filepath.Join(wal, "wal"))
	}
	if out, err := s.command("initdb", args...).CombinedOutput(); err != nil {
		t.Fatalf("initdb: %v\n%s", err, out)
	}
	t.Cleanup(s.kill)
	s.start()
	return s
}

func major(bin string) int {
	n, _ := strconv.Atoi(filepath.Base(filepath.Dir(bin))) // 0: no version that could be read
	return n
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// credentialOf is that of a user of the machine.
func credentialOf(t *testing.T, name string) *syscall.Credential {
	t.Helper()
	account, err := user.Lookup(name)
	if err != nil {
		t.Skipf("root cannot run PostgreSQL, and there is no other user for it: %v", err)
	}
	uid, uidErr := strconv.ParseUint(account.Uid, 10, 32)
	gid, gidErr := strconv.ParseUint(account.Gid, 10, 32)
	if uidErr != nil || gidErr != nil {
		t.Fatalf("user %s has the number %s:%s", name, account.Uid, account.Gid)
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
}

// give makes a folder the server's.
func (s *ownPostgres) give(folder string) {
	s.t.Helper()
	if s.as == nil {
		return
	}
	if err := os.Chown(folder, int(s.as.Uid), int(s.as.Gid)); err != nil {
		s.t.Fatal(err)
	}
}

func (s *ownPostgres) data() string { return filepath.Join(s.folder, "data") }

func (s *ownPostgres) command(program string, args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(s.bin, program), args...)
	cmd.Dir = s.folder
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: s.as, Setpgid: true}
	return cmd
}

// address is that of a database.
func (s *ownPostgres) address(database string) string {
	return fmt.Sprintf("postgres://postgres@127.0.0.1:%d/%s?sslmode=disable", s.port, database)
}

// start starts the server and waits until it answers. What one that was killed has left may keep it from starting for a
// moment.
func (s *ownPostgres) start() {
	s.t.Helper()
	waitFor(s.t, "PostgreSQL starts", func() bool {
		if s.exited != nil {
			select {
			case <-s.exited:
				s.exited = nil
			default:
			}
		}
		if s.exited == nil {
			s.launch()
		}
		return s.answers()
	})
}

func (s *ownPostgres) launch() {
	s.t.Helper()
	args := []string{"-D", s.data(), "-p", strconv.Itoa(s.port)}
	for _, setting := range append([]string{"listen_addresses=127.0.0.1", "unix_socket_directories=" + s.folder, "max_connections=100", "shared_buffers=16MB",
		"fsync=on", "synchronous_commit=on", "full_page_writes=on"}, s.settings...) {
		args = append(args, "-c", setting)
	}
	s.cmd, s.log, s.exited = s.command("postgres", args...), &lockedBuffer{}, make(chan struct{})
	s.cmd.Stdout, s.cmd.Stderr = s.log, s.log
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	go func(cmd *exec.Cmd, exited chan struct{}) {
		cmd.Wait()
		close(exited)
	}(s.cmd, s.exited)
}

func (s *ownPostgres) answers() bool {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, s.address("postgres"))
	if err != nil {
		return false
	}
	conn.Close(ctx)
	return true
}

// exec runs a statement.
func (s *ownPostgres) exec(statement string) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	conn, err := pgx.Connect(ctx, s.address("postgres"))
	if err != nil {
		s.t.Fatal(err)
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, statement); err != nil {
		s.t.Fatalf("%s: %v", statement, err)
	}
}

// signal ends the server as the signal says: SIGQUIT at once, its sessions too, SIGKILL without a chance to do anything.
// It returns once the process is gone; with SIGKILL its sessions may take another moment.
func (s *ownPostgres) signal(signal syscall.Signal) {
	s.t.Helper()
	if err := s.cmd.Process.Signal(signal); err != nil {
		s.t.Fatal(err)
	}
	<-s.exited
}

// ended reports whether the server has ended by itself.
func (s *ownPostgres) ended() bool {
	select {
	case <-s.exited:
		return true
	default:
		return false
	}
}

// kill ends it and its sessions, if there are any.
func (s *ownPostgres) kill() {
	if s.exited == nil {
		return
	}
	s.cmd.Process.Signal(syscall.SIGQUIT)
	<-s.exited
	if s.t.Failed() {
		log := []byte(s.log.String())
		s.t.Logf("PostgreSQL said in the end\n%s", bytes.TrimSpace(log[max(0, len(log)-4000):]))
	}
}

// database makes one and returns its address.
func (s *ownPostgres) database(name, options string) string {
	s.t.Helper()
	s.exec(strings.TrimSpace("CREATE DATABASE " + name + " " + options))
	return s.address(name)
}
