package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// sinkCommand is the receiver of a bench, in a process of its own so that it does not count as the
// server's memory and work.
type sinkCommand struct{}

// counted is what the sink counted of the paths that are drained; times are in ns, 0 for none.
type counted struct {
	Arrived int64 `json:"arrived"`
	First   int64 `json:"first"`
	Last    int64 `json:"last"`
}

// Run answers until standard input ends, as it does when the bench does.
func (*sinkCommand) Run(ctx context.Context, out *output) error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	var arrived, first, last atomic.Int64 // of what is drained
	server := &http.Server{
		ReadHeaderTimeout: 10 * time.Second,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			now := time.Now().UnixNano()
			io.Copy(io.Discard, r.Body)
			if r.URL.Path == "/counted" {
				json.NewEncoder(w).Encode(counted{arrived.Load(), first.Load(), last.Load()})
				return
			}
			if strings.HasPrefix(r.URL.Path, "/drain/") {
				first.CompareAndSwap(0, now)
				last.Store(now)
				arrived.Add(1)
			}
			if strings.HasPrefix(r.URL.Path, "/hang/") {
				<-r.Context().Done()
				return
			}
			if strings.HasPrefix(r.URL.Path, "/calm/") {
				w.Header().Set("X-Received", strconv.FormatInt(now, 10))
			}
			w.WriteHeader(http.StatusOK)
		}),
	}
	go func() {
		io.Copy(io.Discard, out.Stdin)
		server.Close()
	}()
	defer context.AfterFunc(ctx, func() { server.Close() })()
	fmt.Fprintln(out.Stdout, listener.Addr())
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// startSink starts this program once more, as the sink, and returns its address.
func startSink(ctx context.Context) (address string, stop func(), err error) {
	program, err := os.Executable()
	if err != nil {
		return "", nil, err
	}
	sink := exec.CommandContext(ctx, program, "bench-sink")
	stdin, err := sink.StdinPipe()
	if err != nil {
		return "", nil, err
	}
	stdout, err := sink.StdoutPipe()
	if err != nil {
		return "", nil, err
	}
	if err := sink.Start(); err != nil {
		return "", nil, fmt.Errorf("start the sink: %w", err)
	}
	stop = func() {
		stdin.Close()
		sink.Wait()
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		stop()
		return "", nil, fmt.Errorf("start the sink: %w", err)
	}
	return strings.TrimSpace(line), stop, nil
}
