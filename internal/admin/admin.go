// Package admin is the panel: pages that an organization's people use in a browser. Each area has its
// handlers, page structs and templates side by side; forms, lists and the frame around them are shared.
//
// Pages are whole without JavaScript, which adds editors, charts and lists that follow what happens.
// Nothing is asked of another server, and a content security policy sees to it.
package admin

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/jonboulle/clockwork"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/internal/admin/assets"
	"github.com/buglehq/bugle/internal/delivery"
	"github.com/buglehq/bugle/internal/dispatch"
	"github.com/buglehq/bugle/internal/files"
	"github.com/buglehq/bugle/internal/signin"
	"github.com/buglehq/bugle/internal/sso"
	"github.com/buglehq/bugle/internal/store"
	"github.com/buglehq/bugle/internal/tracing"
)

// Options are how the panel behaves.
type Options struct {
	Clock     clockwork.Clock // the real one unless set
	Log       *slog.Logger    // none unless set
	PublicURL string          // of this server, without a slash at the end; empty: as the request says
	UserAgent string          // of deliveries, to show them as they are sent
	Files     *files.Folder   // of uploads; nil: there are none
	Scopes    []string        // that API keys may have
	Mailer    Mailer          // of links to new passwords; nil: none are sent
	Guard     *delivery.Guard // of outgoing calls, to show what it allows; nil: not shown
	SSO       *sso.Provider   // by which people sign in; nil: by passwords alone
	Retention bugle.Retention // of the log, where an organization has not decided
}

// A server holds what handlers share.
type server struct {
	store    *store.Store
	o        Options
	mux      *http.ServeMux
	routes   []route  // of pages for those who have signed in
	forAll   []string // patterns of pages for anybody
	sessions *scs.SessionManager
	signIn   *signin.Authenticator
	preview  *dispatch.Previewer
	live     *live
	resets   resets
	notices  *notices
}

// A Panel answers requests for pages.
type Panel struct {
	http.Handler
	server *server
}

// Close ends the streams of pages that are open, which would keep the server from stopping, and stops what the
// panel does in the background, for which it waits.
func (p *Panel) Close() {
	p.server.live.close()
	p.server.resets.close()
	p.server.notices.close()
}

// New returns the panel. The store must not have been changed yet: lists that follow what happens are told
// of commits.
func New(s *store.Store, o Options) *Panel {
	if o.Clock == nil {
		o.Clock = clockwork.NewRealClock()
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	srv := &server{
		store: s, o: o, mux: http.NewServeMux(), sessions: newSessions(s, o), signIn: signin.New(s, o.Clock),
		preview: &dispatch.Previewer{Store: s, Clock: o.Clock}, live: newLive(o.Clock),
	}
	srv.resets, srv.notices = resets{newMails(srv)}, newNotices(srv)
	s.Notify(srv.live.committed)
	srv.areas()
	srv.mux.Handle("GET "+assets.Prefix, assets.Handler())
	return &Panel{srv.frame(srv.sameOrigin(srv.sessions.LoadAndSave(http.HandlerFunc(srv.dispatch)))), srv}
}

// areas adds the pages of all areas.
func (s *server) areas() {
	s.entrance()
	s.secondFactor()
	s.ownSessions()
	s.dashboard()
	s.webhooks()
	s.deliveries()
	s.events()
	s.automations()
	s.automationLogs()
	s.kinds()
	s.roster()
	s.keys()
	s.settings()
}

// dispatch answers with the page of the path, or says that there is none.
func (s *server) dispatch(w http.ResponseWriter, r *http.Request) {
	handler, pattern := s.mux.Handler(r)
	if pattern != "" {
		tracing.SetRoute(r.Context(), pattern[strings.IndexByte(pattern, '/'):]) // without the method
		s.mux.ServeHTTP(w, r)
		return
	}
	// No such path, or not with that method: only the mux's own answer tells.
	probe := &statusProbe{header: http.Header{}}
	handler.ServeHTTP(probe, r)
	if allow := probe.header.Get("Allow"); allow != "" {
		w.Header().Set("Allow", allow)
	}
	s.guest(func(*visit) error { return statusError(probe.status) })(w, r)
}

// A statusProbe notes the status that a handler answers with.
type statusProbe struct {
	header http.Header
	status int
}

func (p *statusProbe) Header() http.Header         { return p.header }
func (p *statusProbe) Write(b []byte) (int, error) { return len(b), nil }
func (p *statusProbe) WriteHeader(status int)      { p.status = status }

// sameOrigin refuses posts that come from other sites.
func (s *server) sameOrigin(next http.Handler) http.Handler {
	protection := http.NewCrossOriginProtection()
	protection.SetDenyHandler(s.sessions.LoadAndSave(s.guest(func(v *visit) error {
		return fmt.Errorf("this came from another site: %w", bugle.ErrForbidden)
	})))
	return protection.Handler(next)
}

// frame is around every answer: ids, and what the browser may do with it.
func (s *server) frame(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v := &visit{Request: r, w: w, server: s, nonce: bugle.RandomText(24)}
		v.actor.RequestID, v.actor.TraceID = tracing.IDs(r.Context())
		h := w.Header()
		h["X-Perscom-Request-Id"] = []string{v.actor.RequestID}
		h["X-Perscom-Trace-Id"] = []string{v.actor.TraceID}
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		h.Set("Content-Security-Policy", strings.ReplaceAll(contentPolicy, "NONCE", v.nonce))
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		if r.ContentLength != 0 {
			r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		}
		next.ServeHTTP(w, r.WithContext(withVisit(r.Context(), v)))
	})
}

// contentPolicy is the content security policy. 'strict-dynamic' lets the page's script load the chart and the
// editor when there is one on the page.
const contentPolicy = "default-src 'none'; script-src 'nonce-NONCE' 'strict-dynamic'; style-src 'self' 'nonce-NONCE'; img-src 'self' data:; " +
	"font-src 'self' data:; connect-src 'self'; manifest-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// maxBody is that of forms; one with a file may be as large as the file.
const maxBody = 12 << 20

// A handler answers a visit; its error is shown as a page.
type handler func(v *visit) error

// A route is a pattern of the mux, and the permission that it asks for; empty: none.
type route struct{ pattern, permission string }

// page adds a page for those who have signed in and have the permission; empty: whoever has signed in.
func (s *server) page(pattern, permission string, h handler) {
	s.routes = append(s.routes, route{pattern, permission})
	s.mux.HandleFunc(pattern, s.guest(func(v *visit) error {
		if v.account == nil {
			return errSignIn
		}
		if permission != "" && !v.Can(permission) {
			return bugle.ErrForbidden
		}
		if v.mustSetUp && !beforeSetUp[pattern] {
			return v.redirect(secondFactorPath)
		}
		return h(v)
	}))
}

// open adds a page for anybody.
func (s *server) open(pattern string, h handler) {
	s.forAll = append(s.forAll, pattern)
	s.mux.HandleFunc(pattern, s.guest(h))
}

// guest makes a handler of net/http out of one of ours.
func (s *server) guest(h handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		v := visitOf(r.Context())
		v.Request, v.w = r, w
		defer func() {
			if p := recover(); p != nil {
				if p == http.ErrAbortHandler {
					panic(p)
				}
				v.fail(fmt.Errorf("panic: %v\n%s", p, debug.Stack()))
			}
		}()
		defer func() {
			if v.MultipartForm != nil {
				v.MultipartForm.RemoveAll() // net/http does that only for its own copy of the request, which has none
			}
		}()
		if err := v.identify(); err != nil {
			v.fail(err)
			return
		}
		v.asAuthor()
		if err := h(v); err != nil {
			v.fail(err)
		}
	}
}

// A statusError is an answer with that status and no more to say.
type statusError int

func (e statusError) Error() string { return http.StatusText(int(e)) }

// errSignIn is for who has not signed in, or whose session has ended.
var errSignIn = errors.New("not signed in")

// now is the time of pages.
func (s *server) now() time.Time { return s.o.Clock.Now().UTC() }
