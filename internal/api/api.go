// Package api answers the REST API: PERSCOM's conventions for the personnel catalogue, and the same
// conventions for webhooks and deliveries. One set of handlers serves every collection.
package api

import (
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"regexp"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/jonboulle/clockwork"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/internal/delivery"
	"github.com/buglehq/bugle/internal/files"
	"github.com/buglehq/bugle/internal/store"
	"github.com/buglehq/bugle/internal/tracing"
	"github.com/buglehq/bugle/personnel"
)

// Options are how the API behaves.
type Options struct {
	Clock      clockwork.Clock // the real one unless set
	Log        *slog.Logger    // none unless set
	PublicURL  string          // of this server, without a slash at the end; empty: as the request says
	UserAgent  string          // of deliveries, to show them as they are sent
	KeyLimit   int             // requests a minute with one key; 0: no limit
	GuestLimit int             // requests a minute from one address without a key; 0: no limit
	Files      *files.Folder   // of uploads; nil: there are none
	Guard      *delivery.Guard // of outgoing calls, so that targets it refuses are not saved; nil: all are
	Metrics    http.Handler    // answers /metrics; nil: there are none
	KeyUses    *KeyUses        // is told which keys are used; nil: nobody is
	Ready      http.Handler    // answers /readyz; nil: the server always is
	BodyIdle   time.Duration   // how long a body may pause before the client is given up; 20 s unless set
}

const maxBody = 1 << 20

// A server holds what handlers share.
type server struct {
	store  *store.Store
	o      Options
	limits *limits
	mux    *http.ServeMux              // by the path below the version
	open   map[string]http.HandlerFunc // what GET answers to anybody, by path
	routes []described                 // of the mux, in the order in which they were added
}

// New returns the handler of the API.
func New(s *store.Store, o Options) http.Handler {
	if o.Clock == nil {
		o.Clock = clockwork.NewRealClock()
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.BodyIdle == 0 {
		o.BodyIdle = defaultBodyIdle
	}
	srv := newServer(s, o)
	srv.open = map[string]http.HandlerFunc{
		"/health": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) },
		"/readyz": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.Write([]byte(`{"status":"ok"}`))
		},
	}
	if o.Ready != nil {
		srv.open["/readyz"] = o.Ready.ServeHTTP
	}
	if o.Metrics != nil {
		srv.open["/metrics"] = o.Metrics.ServeHTTP
	}
	srv.spec()
	return srv.frame(http.HandlerFunc(srv.root))
}

// newServer returns a server with the routes that need a key.
func newServer(s *store.Store, o Options) *server {
	srv := &server{store: s, o: o, limits: newLimits(o.Clock), mux: http.NewServeMux()}
	for _, k := range personnel.Kinds() {
		if k.Path == "" {
			continue
		}
		serve(srv, srv.resources(k))
		for _, n := range k.Nested {
			srv.nested(k, n)
		}
	}
	srv.own()
	serve(srv, srv.webhooks())
	srv.webhookActions()
	srv.deliveries()
	srv.replays()
	srv.erasures()
	srv.hold()
	srv.quotas()
	serve(srv, srv.automations())
	srv.automationActions()
	srv.automationLogs()
	srv.events()
	srv.audit()
	srv.channels()
	srv.notifications()
	return srv
}

// versionPath is what paths of the API begin with.
var versionPath = regexp.MustCompile(`^/v[0-9]+(/|$)`)

// Answers reports whether a path is one of the API, its document and its files.
func Answers(path string) bool {
	switch path {
	case "/health", "/readyz", "/metrics", "/spec.json", "/docs":
		return true
	}
	return versionPath.MatchString(path) || strings.HasPrefix(path, "/docs/") || strings.HasPrefix(path, files.Prefix)
}

// Scopes returns what keys may be allowed, sorted: the scope of each route, and "*" for all.
func Scopes() []string {
	all := map[string]bool{"*": true}
	for _, d := range newServer(nil, Options{Clock: clockwork.NewRealClock()}).routes {
		for _, route := range d.methods {
			if route.scope != "" {
				all[route.scope] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(all))
}

// root answers what is open, and else what has a version. It is no ServeMux: that would redirect
// paths that it would clean up.
func (s *server) root(w http.ResponseWriter, r *http.Request) {
	open, ok := s.open[r.URL.Path]
	if ok && (r.Method == http.MethodGet || r.Method == http.MethodHead) {
		tracing.SetRoute(r.Context(), r.URL.Path)
		open(w, r)
		return
	}
	if s.o.Files != nil && strings.HasPrefix(r.URL.Path, files.Prefix) {
		tracing.SetRoute(r.Context(), files.Prefix+"{path...}")
		s.o.Files.ServeHTTP(w, r)
		return
	}
	s.version(w, r)
}

// exposed are the headers that pages of other origins may read. It is a list because * would mean a
// header of that name, now that credentials are allowed.
const exposed = "Allow, Retry-After, X-Perscom-Request-Id, X-Perscom-Trace-Id, X-RateLimit-Limit, X-RateLimit-Remaining, X-RateLimit-Reset"

// frame is around every answer: ids, and what browsers of other origins may do.
func (s *server) frame(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ContentLength != 0 {
			r.Body = newPatientBody(w, r, s.o.BodyIdle)
		}
		h := w.Header()
		requestID, traceID := tracing.IDs(r.Context())
		h["X-Perscom-Request-Id"] = []string{requestID}
		h["X-Perscom-Trace-Id"] = []string{traceID}
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Cache-Control", "no-store")
		if origin := r.Header.Get("Origin"); origin != "" {
			h.Set("Access-Control-Allow-Origin", origin)
			h.Set("Access-Control-Allow-Credentials", "true")
			h.Set("Access-Control-Expose-Headers", exposed)
			h.Add("Vary", "Origin")
			if r.Method == http.MethodOptions && r.Header.Get("Access-Control-Request-Method") != "" {
				h.Set("Access-Control-Allow-Methods", r.Header.Get("Access-Control-Request-Method"))
				h.Set("Access-Control-Allow-Headers", r.Header.Get("Access-Control-Request-Headers"))
				w.WriteHeader(http.StatusNoContent)
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}

// version takes the version off the path and answers with what is below it.
func (s *server) version(w http.ResponseWriter, r *http.Request) {
	q := &request{Request: r, w: w, server: s, actor: store.Actor{
		RequestID: w.Header()["X-Perscom-Request-Id"][0], TraceID: w.Header()["X-Perscom-Trace-Id"][0],
	}}
	defer func() {
		if p := recover(); p != nil {
			if p == http.ErrAbortHandler {
				panic(p)
			}
			q.fail(fmt.Errorf("panic: %v\n%s", p, debug.Stack()))
		}
	}()
	if err := q.identify(); err != nil {
		q.fail(err)
		return
	}
	if err := q.cause(); err != nil {
		q.fail(err)
		return
	}
	version, rest, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	switch {
	case version == "v1" || version == "v2":
		q.v1 = version == "v1"
	case len(version) > 1 && version[0] == 'v' && strings.Trim(version[1:], "0123456789") == "":
		q.fail(&statusError{http.StatusBadRequest, "HttpException", "The API version " + version + " is not valid. Valid versions are v1 and v2."})
		return
	default:
		q.fail(bugle.ErrNotFound)
		return
	}
	// Only the path differs: a copy of the headers would cost more than the rest.
	below, u := *r, *r.URL
	u.Path, u.RawPath = "/"+rest, ""
	below.URL = &u
	if handler, _ := s.mux.Handler(&below); !isMethods(handler) { // no route, or a path that net/http would clean up
		q.fail(bugle.ErrNotFound)
		return
	}
	s.mux.ServeHTTP(q, &below) // finds methods again, and the values in the path
}

func isMethods(h http.Handler) bool {
	_, ok := h.(methods)
	return ok
}

// A route is what one method of a path does.
type route struct {
	scope  string // that the key needs; empty: any key
	handle func(q *request) error
	doc    doc
}

// methods are the routes of a path.
type methods map[string]route

// ServeHTTP answers one request: key, scope, and then the route.
func (m methods) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	q := w.(*request)
	q.Request = r
	version := "/v2"
	if q.v1 {
		version = "/v1"
	}
	tracing.SetRoute(r.Context(), version+r.Pattern)
	defer q.removeUploads() // for a panic
	err := q.serve(m)
	q.removeUploads()
	if err != nil {
		q.fail(err)
	}
}

func (q *request) serve(m methods) error {
	if q.Method == http.MethodOptions {
		q.w.Header().Set("Allow", m.allow())
		q.w.WriteHeader(http.StatusNoContent)
		return nil
	}
	if q.key == nil {
		return bugle.ErrUnauthorized
	}
	method := q.Method
	switch method {
	case http.MethodHead:
		method = http.MethodGet
	case http.MethodPost:
		asked, err := q.spoofed(m)
		if err != nil {
			return err
		}
		q.Method, method = asked, asked
	}
	route, ok := m[method]
	if !ok {
		q.w.Header().Set("Allow", m.allow())
		return &statusError{http.StatusMethodNotAllowed, "MethodNotAllowedHttpException",
			"The " + q.Method + " method is not supported for this route. Supported methods: " + m.allow() + "."}
	}
	if route.scope != "" && !q.key.Allows(route.scope) {
		return bugle.ErrForbidden
	}
	if method != http.MethodGet {
		q.asAuthor()
	}
	return route.handle(q)
}

func (m methods) allow() string {
	var allowed []string
	for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"} {
		if _, ok := m[method]; ok || method == "HEAD" && m["GET"].handle != nil {
			allowed = append(allowed, method)
		}
	}
	return strings.Join(allowed, ", ")
}

// handle adds a path with its methods, if it has any.
func (s *server) handle(path string, m methods) {
	if len(m) > 0 {
		s.mux.Handle("/"+path, m)
		s.routes = append(s.routes, described{"/v2/" + path, m})
	}
}

// address is who asks, for limits without a key.
func address(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}
