package main

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"net/netip"
	"os"
	"strings"
	"time"

	"github.com/buglehq/bugle/internal/delivery"
	"github.com/buglehq/bugle/internal/tracing"
)

// profiling are the options about profiles.
type profiling struct {
	Pprof       string `help:"Address to serve profiles of the running program on, at /debug/pprof/, such as 127.0.0.1:6060; none unless set. Profiles show what is in memory: only addresses of this machine are taken." placeholder:"ADDRESS" env:"BUGLE_PPROF"`
	PprofRemote bool   `help:"Let --pprof be an address that others can reach." env:"BUGLE_PPROF_REMOTE"`
}

// check returns what is wrong with the options.
func (p profiling) check() error {
	if p.Pprof == "" {
		return nil
	}
	host, _, err := net.SplitHostPort(p.Pprof)
	if err != nil {
		return fmt.Errorf("--pprof is %q, want an address and port, such as 127.0.0.1:6060", p.Pprof)
	}
	addr, err := netip.ParseAddr(host)
	if !p.PprofRemote && host != "localhost" && (err != nil || !addr.IsLoopback()) {
		return fmt.Errorf("--pprof is %q, which others can reach: want an address such as 127.0.0.1:6060, or --pprof-remote as well", p.Pprof)
	}
	return nil
}

// serve serves profiles until stop is called.
func (p profiling) serve(log *slog.Logger) (stop func(), err error) {
	if p.Pprof == "" {
		return func() {}, nil
	}
	listener, err := net.Listen("tcp", p.Pprof)
	if err != nil {
		return nil, fmt.Errorf("listen for profiles on %s: %w", p.Pprof, err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/cmdline", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintln(w, "bugle") // the arguments may hold a password
	})
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("POST /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 10 * time.Second, MaxHeaderBytes: 64 << 10,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug)}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		server.Serve(listener)
	}()
	log.Info("profiles are served", "url", "http://"+listener.Addr().String()+"/debug/pprof/")
	return func() {
		server.Close()
		<-ended
	}, nil
}

// newTracer returns what the environment asks for of traces; nil for nothing. The collector is where the operator says, so
// its host is allowed, to the client that sends traces alone; hosts that are denied stay denied.
func newTracer(ctx context.Context, node string, denied []string, proxy *delivery.Proxy, log *slog.Logger) (*tracing.Tracer, func(), error) {
	c, err := tracing.Configured()
	if err != nil || c == nil {
		return nil, func() {}, err
	}
	guard, err := delivery.NewGuard([]string{c.Host}, denied)
	if err != nil {
		return nil, nil, err
	}
	guard.UseProxy(proxy)
	o := delivery.ClientOptions{MaxIdlePerHost: 1}
	if c.Certificate != "" {
		text, err := os.ReadFile(c.Certificate)
		if err != nil {
			return nil, nil, fmt.Errorf("OTEL_EXPORTER_OTLP_CERTIFICATE: %w", err)
		}
		if o.RootCAs = x509.NewCertPool(); !o.RootCAs.AppendCertsFromPEM(text) {
			return nil, nil, fmt.Errorf("OTEL_EXPORTER_OTLP_CERTIFICATE is %s, which has no certificate in PEM", c.Certificate)
		}
	}
	client := delivery.NewClient(guard, o)
	tracer, err := tracing.New(ctx, c, client, version(), node, log)
	if err != nil {
		client.Close()
		return nil, nil, err
	}
	log.Info("traces are sent", "host", c.Host)
	return tracer, func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		tracer.Close(ctx)
		client.Close()
	}, nil
}

// logNode returns a logger whose lines name the node, if it has a name.
func logNode(log *slog.Logger, node string) *slog.Logger {
	if node == "" {
		return log
	}
	return log.With("node", node)
}

// checkNode returns what is wrong with the name of a node.
func checkNode(node string) error {
	if strings.ContainsFunc(node, func(r rune) bool { return r <= ' ' || r == 0x7f }) || len(node) > 100 {
		return errors.New("--node must be a name without spaces, of at most 100 bytes, such as bugle-1")
	}
	return nil
}
