package store

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// endSilence makes the system give up a connection whose other side has not confirmed what was sent, which it
// otherwise tries for a quarter of an hour.
func endSilence(_, _ string, conn syscall.RawConn) error {
	var err error
	if controlErr := conn.Control(func(fd uintptr) {
		err = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(deadConnection.Milliseconds()))
	}); controlErr != nil {
		return controlErr
	}
	if err == unix.ENOPROTOOPT || err == unix.EOPNOTSUPP { // a Unix socket
		return nil
	}
	return err
}
