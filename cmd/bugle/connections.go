package main

import (
	"context"
	"log/slog"
	"net"
	"sync/atomic"
	"time"

	"golang.org/x/net/netutil"
)

// mostConnections is how many clients are connected at most, where the system lets a process have many files.
const mostConnections = 16384

// connections is how many clients may be connected to a process that may have so many files open. A quarter of the files is
// left for the database and for deliveries, which nobody outside can then take away.
func connections(files uint64) int {
	return int(min(max(files/4*3, 16), mostConnections))
}

// limitConnections accepts so many connections; who comes then waits until another has gone. Those that say nothing are closed
// after some seconds, so they go soon.
func limitConnections(ctx context.Context, l net.Listener, most int, log *slog.Logger) net.Listener {
	return &countedListener{Listener: netutil.LimitListener(l, most), ctx: ctx, most: int64(most), log: log}
}

// A countedListener says when its connections are all taken, at most once a minute.
type countedListener struct {
	net.Listener
	ctx  context.Context
	most int64
	log  *slog.Logger
	open atomic.Int64
	said atomic.Int64 // unix seconds
}

func (l *countedListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	if l.open.Add(1) == l.most {
		now := time.Now().Unix()
		if before := l.said.Load(); now-before >= 60 && l.said.CompareAndSwap(before, now) {
			l.log.WarnContext(l.ctx, "as many clients are connected as may be; others wait", "connections", l.most)
		}
	}
	return &countedConn{Conn: conn, listener: l}, nil
}

type countedConn struct {
	net.Conn
	listener *countedListener
	closed   atomic.Bool
}

func (c *countedConn) Close() error {
	if c.closed.CompareAndSwap(false, true) {
		c.listener.open.Add(-1)
	}
	return c.Conn.Close()
}
