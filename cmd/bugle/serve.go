package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/buglehq/bugle"
	"github.com/jonboulle/clockwork"

	"github.com/buglehq/bugle/internal/admin"
	"github.com/buglehq/bugle/internal/api"
	"github.com/buglehq/bugle/internal/delivery"
	"github.com/buglehq/bugle/internal/dispatch"
	"github.com/buglehq/bugle/internal/doctor"
	"github.com/buglehq/bugle/internal/files"
	"github.com/buglehq/bugle/internal/observe"
	"github.com/buglehq/bugle/internal/retention"
	"github.com/buglehq/bugle/internal/secrets"
	"github.com/buglehq/bugle/internal/sso"
	"github.com/buglehq/bugle/internal/store"
	"github.com/buglehq/bugle/internal/tracing"
)

// serveCommand is `bugle serve`.
type serveCommand struct {
	database
	logging
	profiling
	egress
	singleSignOn
	Storage        string        `help:"Folder of uploaded files; the folder storage beside the database file unless set, or bugle-data/storage with PostgreSQL. Nodes have to share it." placeholder:"FOLDER" env:"BUGLE_STORAGE"`
	Listen         string        `help:"Address to listen on." default:"127.0.0.1:8080" env:"BUGLE_LISTEN"`
	PublicURL      string        `help:"Address under which others reach this server, for links in answers and payloads; http:// and --listen unless set." name:"public-url" placeholder:"URL" env:"BUGLE_PUBLIC_URL"`
	TrustedProxy   []string      `help:"Network or address of a proxy before this server, whose X-Forwarded-For says from where requests come. Repeatable." placeholder:"NETWORK" env:"BUGLE_TRUSTED_PROXY"`
	AllowTarget    []string      `help:"Network (10.0.0.0/8), address or host that webhooks may call although it is private. Repeatable." placeholder:"TARGET" env:"BUGLE_ALLOW_TARGET"`
	DenyTarget     []string      `help:"Network, address or host that webhooks may not call. Repeatable; wins over --allow-target." placeholder:"TARGET" env:"BUGLE_DENY_TARGET"`
	AllowMetadata  bool          `help:"Let --allow-target hold for the metadata services of clouds too, which give credentials to whoever asks." env:"BUGLE_ALLOW_METADATA"`
	Role           string        `help:"What this server does, of those that share a PostgreSQL database: api answers requests, worker sends deliveries and runs automations, all does both." enum:"all,api,worker" default:"all" env:"BUGLE_ROLE"`
	Node           string        `help:"Name of this server among those that share a PostgreSQL database, in logs; the host's name and the process's number unless set." placeholder:"NAME" env:"BUGLE_NODE"`
	RateLimit      int           `help:"Requests a minute with one API key; 0 for no limit." default:"1000" env:"BUGLE_RATE_LIMIT"`
	GuestRateLimit int           `help:"Requests a minute from one address without an API key; 0 for no limit." default:"100" env:"BUGLE_GUEST_RATE_LIMIT"`
	Retention      string        `help:"For how many days organizations keep their log unless they decide otherwise, or forever; behind a colon how many rows at most, such as events=90:1000000." default:"attempts=30,deliveries=90,events=90,runs=90" placeholder:"PARTS" env:"BUGLE_RETENTION"`
	RetentionEvery time.Duration `help:"How often the log is cleaned, and how long what has ended stays however many rows are kept." default:"1h" hidden:"" env:"BUGLE_RETENTION_EVERY"`
	Quota          string        `help:"How much of the server each organization may use unless bugle quota decides otherwise: webhooks=100, automations=50, events=600 (a minute), backlog=100000 (pending deliveries), storage=2GiB (of files), with commas between. What is not named has no limit." placeholder:"QUOTAS" env:"BUGLE_QUOTA"`
	ProveEvery     time.Duration `help:"How often the server proves beside its work that nothing is lost, as bugle doctor --prove does; 0 for never." default:"1h" env:"BUGLE_PROVE_EVERY"`
	Migrate        bool          `help:"Bring the tables up to date when the server starts. With --no-migrate it does not start before bugle migrate has." default:"true" negatable:"" env:"BUGLE_MIGRATE"`
}

// Help follows the one line that describes the command.
func (*serveCommand) Help() string {
	return `The first start makes the database and an organization, and prints a link by which the first account is made.

  bugle serve
  bugle serve --listen 0.0.0.0:8080 --public-url https://bugle.example.com
  bugle serve --allow-target 127.0.0.0/8      call receivers on this machine, such as "bugle listen"
  bugle serve --database postgres://…         any number of servers on one database`
}

// Validate reports what is wrong with the options.
func (c *serveCommand) Validate() error {
	var errs []error
	if _, err := delivery.NewGuard(c.AllowTarget, c.DenyTarget); err != nil {
		errs = append(errs, err)
	}
	if _, err := parseTrustedProxies(c.TrustedProxy); err != nil {
		errs = append(errs, err)
	}
	if _, _, err := net.SplitHostPort(c.Listen); err != nil {
		errs = append(errs, fmt.Errorf("--listen is %q, want an address and port, such as 127.0.0.1:8080", c.Listen))
	}
	if c.Role != roleAll && strings.HasPrefix(c.Database, "sqlite:") {
		errs = append(errs, fmt.Errorf("--role is %q, want all: a file of SQLite has one server, which does everything", c.Role))
	}
	if c.RateLimit < 0 || c.GuestRateLimit < 0 {
		errs = append(errs, errors.New("--rate-limit and --guest-rate-limit must not be negative; 0 is no limit"))
	}
	if c.ProveEvery != 0 && c.ProveEvery < time.Minute {
		errs = append(errs, fmt.Errorf("--prove-every is %s, want at least 1m, or 0 for never", c.ProveEvery))
	}
	if c.RetentionEvery < time.Second || c.RetentionEvery > 24*time.Hour {
		errs = append(errs, fmt.Errorf("--retention-every is %s, want 1s to 24h", c.RetentionEvery))
	}
	if _, err := bugle.ParseRetention(c.Retention); err != nil {
		errs = append(errs, fmt.Errorf("--%w", err))
	}
	if _, err := bugle.ParseQuotas(c.Quota); err != nil {
		errs = append(errs, fmt.Errorf("--%w", err))
	}
	if _, err := c.egress.proxy(); err != nil {
		errs = append(errs, err)
	}
	if err := c.singleSignOn.check(c.PublicURL); err != nil {
		errs = append(errs, err)
	}
	_, err := tracing.Configured()
	return errors.Join(append(errs, err, c.profiling.check(), checkNode(c.Node), checkPublicURL(c.PublicURL))...)
}

// Run runs the server until ctx is done.
func (c *serveCommand) Run(ctx context.Context, out *output) error {
	log := logNode(c.logger(out.Stderr), c.Node)
	listener, err := net.Listen("tcp", c.Listen)
	if err != nil {
		return fmt.Errorf("listen on %s: %w", c.Listen, err)
	}
	defer listener.Close()
	guard, err := delivery.NewGuard(c.AllowTarget, c.DenyTarget)
	if err != nil {
		return err
	}
	proxy, err := c.egress.proxy()
	if err != nil {
		return err
	}
	if proxy != nil {
		guard.UseProxy(proxy)
		log.Info("calls go through a proxy", "proxy", proxy.String())
	}
	if c.AllowMetadata {
		guard.PermitMetadata()
	}
	proxies, err := parseTrustedProxies(c.TrustedProxy)
	if err != nil {
		return err
	}
	keep, err := bugle.ParseRetention(c.Retention)
	if err != nil {
		return err
	}
	quotas, err := bugle.ParseQuotas(c.Quota)
	if err != nil {
		return err
	}
	stopProfiles, err := c.profiling.serve(log)
	if err != nil {
		return err
	}
	defer stopProfiles()
	provider, closeProvider, err := c.singleSignOn.provider(c.PublicURL, c.AllowTarget, c.DenyTarget, proxy, out.Clock)
	if err != nil {
		return err
	}
	defer closeProvider()
	tracer, stopTracing, err := newTracer(ctx, c.Node, c.DenyTarget, proxy, log)
	if err != nil {
		return err
	}
	defer stopTracing()
	return serve(ctx, serverConfig{
		tracer: tracer, sso: provider, database: c.Database, secrets: c.SecretsKey.Source, storage: c.Storage, listener: listener, publicURL: c.PublicURL, proxies: proxies, guard: guard, role: c.Role, node: c.Node, keepTables: !c.Migrate,
		clock: out.Clock, keyLimit: c.RateLimit, guestLimit: c.GuestRateLimit, retention: keep, quotas: quotas, retentionEvery: c.RetentionEvery, proveEvery: c.ProveEvery, log: log,
		started: func(s *store.Store) error {
			log.Info("listening", "url", "http://"+listener.Addr().String(), "version", version(), "database", store.ShownName(c.Database))
			first, err := s.EnsureOrganization(ctx, firstOrganization)
			if err != nil {
				return err
			}
			token, err := s.Setup(ctx, first.ID)
			if err == nil && token != "" {
				base := c.PublicURL
				if base == "" {
					base = "http://" + listener.Addr().String()
				}
				fmt.Fprintf(out.Stdout, "Nobody can sign in yet. Make the first account here, within a day:\n\n  %s/welcome/%s\n\n", base, token)
			}
			return err
		},
	})
}

// The roles of a server.
const (
	roleAll    = "all"
	roleAPI    = "api"
	roleWorker = "worker"
)

// serverConfig is what a server is made of, for serve and demo.
type serverConfig struct {
	role           string // empty: all
	node           string // empty: named after host and process
	database       string
	secrets        secrets.Source // where keys are; nil: at store.SecretsSource
	storage        string         // folder of uploaded files; empty: beside the database
	listener       net.Listener
	publicURL      string // empty: the listener's
	proxies        trustedProxies
	guard          *delivery.Guard
	keepTables     bool // as they are: they have to be up to date
	keyLimit       int
	guestLimit     int
	retention      bugle.Retention // of what organizations have not decided
	retentionEvery time.Duration   // 0: an hour
	quotas         bugle.Quotas    // of organizations about which nothing is decided
	proveEvery     time.Duration   // 0: never
	clock          clockwork.Clock // nil: the real one
	log            *slog.Logger
	onAttempt      func(delivery.AttemptReport)
	tracer         *tracing.Tracer          // nil: none
	sso            *sso.Provider            // nil: none
	started        func(*store.Store) error // once the server answers; not to block
}

// storageFolder is where uploaded files are.
func (c serverConfig) storageFolder() string {
	if c.storage != "" {
		return c.storage
	}
	path, isFile := strings.CutPrefix(c.database, "sqlite:")
	if !isFile {
		return filepath.Join("bugle-data", "storage")
	}
	return filepath.Join(filepath.Dir(path), "storage")
}

// nodeName is how the server is called among others.
func (c serverConfig) nodeName() string {
	if c.node != "" {
		return c.node
	}
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return fmt.Sprintf("%s:%d", host, os.Getpid())
}

// serve runs the server until ctx is done: the API writes changes, their events and what is owed
// for them, the dispatcher does what automations say, the sender makes deliveries of messages, the replayer sends the past
// again, the eraser takes people out of what is stored, the keeper tells people of webhooks that fail, the engine sends what is
// owed, the cleaner deletes what is too old, and the examiner looks whether anything is lost.
func serve(ctx context.Context, c serverConfig) error {
	base := c.publicURL
	if base == "" {
		base = "http://" + c.listener.Addr().String()
	}
	kind, _, _ := strings.Cut(c.database, ":")
	metrics := observe.NewMetrics(version(), kind, c.log)
	clock := c.clock
	if clock == nil {
		clock = clockwork.NewRealClock()
	}
	var uploads *files.Folder
	db, err := store.Open(ctx, c.database, store.Options{Clock: clock, Log: c.log, BaseURL: base, Node: c.nodeName(), Secrets: c.secrets, Keep: c.keepTables, OnCommit: metrics.Commit, Quotas: c.quotas, Dropped: func(paths []string) {
		if err := uploads.Remove(paths...); err != nil {
			c.log.Error("removing files failed", "error", err)
		}
	}})
	if err != nil {
		return err
	}
	defer db.Close()
	if uploads, err = files.Open(c.storageFolder()); err != nil {
		return err
	}
	defer uploads.Close()
	client := delivery.NewClient(c.guard, delivery.ClientOptions{})
	defer client.Close()
	sends := c.role != roleAPI
	engine := delivery.NewEngine(db, client, delivery.Options{UserAgent: userAgent(), Clock: clock, Log: c.log, Tracer: c.tracer, OnAttempt: func(r delivery.AttemptReport) {
		metrics.Attempt(r, clock.Now())
		if c.onAttempt != nil {
			c.onAttempt(r)
		}
	}})
	dispatcher := dispatch.NewDispatcher(db, dispatch.Options{Clock: clock, Log: c.log, OnRun: metrics.Run, Tracer: c.tracer})
	sender := dispatch.NewSender(db, dispatch.SenderOptions{Clock: clock, Log: c.log})
	cleaner := retention.New(db, retention.Options{Clock: clock, Log: c.log, Defaults: &c.retention, Every: c.retentionEvery})
	examiner := doctor.New(db, doctor.Options{Clock: clock, Log: c.log, Every: c.proveEvery})
	replayer := dispatch.NewReplayer(db, dispatch.StepperOptions{Clock: clock, Log: c.log})
	eraser := dispatch.NewEraser(db, dispatch.StepperOptions{Clock: clock, Log: c.log})
	keeper := dispatch.NewKeeper(db, dispatch.KeeperOptions{Clock: clock, Log: c.log})
	if _, err := db.EnsureOrganization(ctx, firstOrganization); err != nil {
		return err
	}
	if err := db.Join(ctx, sends); err != nil {
		return err
	}
	folders := map[string]string{"storage": c.storageFolder()}
	if folder := db.Folder(); folder != "" {
		folders["database"] = folder
	}
	checks := append(observe.DatabaseChecks(db), observe.SecretsCheck(db), observe.RoomCheck(folders))
	if sends {
		checks = append(checks, observe.EngineCheck(engine, db))
	}
	ready := observe.NewReadiness(clock, c.log, checks...)
	ready.SayWhenHeld(db)
	watched := observe.Watched{Store: db, Engine: engine, Ready: ready, Folders: folders}
	if c.proveEvery > 0 {
		watched.Doctor = examiner
	}
	metrics.Watch(watched)
	keyUses := api.NewKeyUses(db, clock, c.log)
	rest := api.New(db, api.Options{Clock: clock, KeyUses: keyUses, Metrics: metrics, Ready: ready, Log: c.log, PublicURL: c.publicURL, UserAgent: userAgent(), KeyLimit: c.keyLimit,
		GuestLimit: c.guestLimit, Files: uploads, Guard: c.guard})
	panel := admin.New(db, admin.Options{Clock: clock, Log: c.log, PublicURL: c.publicURL, UserAgent: userAgent(), Files: uploads,
		Scopes: api.Scopes(), Guard: c.guard, Mailer: client, SSO: c.sso, Retention: c.retention})
	handler := pages(rest, panel)
	if c.role == roleWorker {
		handler = onlyHealth(rest)
	}
	server := &http.Server{
		Handler:           c.proxies.clients(strictTransport(c.publicURL, c.tracer.Requests(handler, metrics.Request))),
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       10 * time.Minute, // bodies that stop arriving are given up much earlier by the API
		WriteTimeout:      time.Minute,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slog.NewLogLogger(c.log.Handler(), slog.LevelDebug),
	}
	server.RegisterOnShutdown(panel.Close)
	sending, stopSending := context.WithCancel(context.WithoutCancel(ctx))
	acting, stopActing := context.WithCancel(context.WithoutCancel(ctx))
	var work, acts sync.WaitGroup
	acts.Go(func() { keyUses.Run(acting) })
	if sends {
		work.Go(func() {
			if awaitRelease(sending, db, c.log) {
				engine.Run(sending)
			}
		})
		acts.Go(func() { dispatcher.Run(acting) })
		acts.Go(func() { sender.Run(acting) })
		acts.Go(func() { replayer.Run(acting) })
		acts.Go(func() { eraser.Run(acting) })
		acts.Go(func() { keeper.Run(acting) })
		acts.Go(func() { cleaner.Run(acting) })
		if c.proveEvery > 0 {
			acts.Go(func() { examiner.Run(acting) })
		}
	} else {
		work.Go(func() { db.Attend(sending, c.log) })
	}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(limitConnections(ctx, c.listener, connections(openFiles()), c.log)) }()
	// What the start alone needed is given back: 12 MB are buffers in which migrations were read, in a pool that the second
	// collection empties.
	for range 2 {
		debug.FreeOSMemory()
	}
	if err = c.started(db); ctx.Err() != nil {
		err = nil // somebody stops the server while it starts
	}
	if err == nil {
		select {
		case <-ctx.Done():
			c.log.Info("stopping: requests and attempts under way are finished")
		case err = <-failed:
		}
	}
	// Requests first, because they make runs and messages; then those, because they make deliveries; then the
	// engine; the database closes after all.
	closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	if closeErr := server.Shutdown(closing); closeErr != nil {
		server.Close()
	}
	panel.Close() // and it waits for what it does in the background
	stopActing()
	acts.Wait()
	stopSending()
	work.Wait()
	if errors.Is(err, http.ErrServerClosed) {
		err = nil
	}
	return err
}

// firstOrganization is the name of the one that the first start makes, until somebody gives it another.
const firstOrganization = "My Organization"

// onlyHealth answers what a server is asked that does nothing but work.
func onlyHealth(rest http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/health", "/readyz", "/metrics":
			rest.ServeHTTP(w, r)
		default:
			http.Error(w, "This server sends deliveries and answers no requests (--role worker).", http.StatusNotFound)
		}
	})
}

// pages answers by the API what is the API's, and else by the panel.
func pages(rest, panel http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if api.Answers(r.URL.Path) {
			rest.ServeHTTP(w, r)
		} else {
			panel.ServeHTTP(w, r)
		}
	})
}
