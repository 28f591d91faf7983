package main

import (
	"io"
	"net"
	"net/url"
	"sync"
	"testing"
)

// A proxy passes the bytes of TCP connections on to a server, as long as the test lets it. While it is silent nothing
// passes, and no end of a connection either; what was written meanwhile passes afterwards.
type proxy struct {
	listener net.Listener
	target   string
	work     sync.WaitGroup

	mu     sync.Mutex
	pairs  map[*net.TCPConn]*net.TCPConn // from, to
	closed bool
	silent chan struct{} // closed when bytes pass again; nil: they pass
}

// newProxy is one for the PostgreSQL server of an address, until the test ends.
func newProxy(t *testing.T, address string) *proxy {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{listener: l, target: u.Host, pairs: map[*net.TCPConn]*net.TCPConn{}}
	p.work.Go(p.accept)
	t.Cleanup(func() {
		l.Close()
		p.mu.Lock()
		p.closed = true
		p.mu.Unlock()
		p.speak()
		p.reset()
		p.work.Wait()
	})
	return p
}

// address is an address of the server, through the proxy.
func (p *proxy) address(t *testing.T, of string) string {
	t.Helper()
	u, err := url.Parse(of)
	if err != nil {
		t.Fatal(err)
	}
	u.Host = p.listener.Addr().String()
	return u.String()
}

func (p *proxy) accept() {
	for {
		from, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.work.Go(func() { p.serve(from.(*net.TCPConn)) })
	}
}

func (p *proxy) serve(from *net.TCPConn) {
	defer from.Close()
	p.wait()
	conn, err := net.Dial("tcp", p.target)
	if err != nil {
		return
	}
	to := conn.(*net.TCPConn)
	defer to.Close()
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return
	}
	p.pairs[from] = to
	p.mu.Unlock()
	var both sync.WaitGroup
	both.Go(func() { p.pass(to, from) })
	both.Go(func() { p.pass(from, to) })
	both.Wait()
	p.mu.Lock()
	delete(p.pairs, from)
	p.mu.Unlock()
}

// pass passes on what is read, and then its end.
func (p *proxy) pass(to, from *net.TCPConn) {
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		p.wait()
		if _, writeErr := to.Write(buffer[:n]); writeErr != nil {
			from.Close()
			return
		}
		if err != nil {
			if err == io.EOF {
				to.CloseWrite()
			} else {
				to.Close()
			}
			return
		}
	}
}

// wait returns once bytes may pass.
func (p *proxy) wait() {
	p.mu.Lock()
	silent := p.silent
	p.mu.Unlock()
	if silent != nil {
		<-silent
	}
}

// reset cuts all connections, which both ends are told of.
func (p *proxy) reset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for from, to := range p.pairs {
		for _, end := range []*net.TCPConn{from, to} {
			end.SetLinger(0)
			end.Close()
		}
	}
}

// hush lets nothing pass any more, and speak lets everything pass again.
func (p *proxy) hush() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.silent = make(chan struct{})
}

func (p *proxy) speak() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.silent != nil {
		close(p.silent)
		p.silent = nil
	}
}
