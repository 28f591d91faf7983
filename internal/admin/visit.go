package admin

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/internal/store"
)

// A visit is one request for a page, with what is known of who asks.
type visit struct {
	*http.Request
	w            http.ResponseWriter
	server       *server
	actor        store.Actor
	account      *bugle.Account // nil: has not signed in
	organization *bugle.Organization
	location     *time.Location      // for times
	nonce        string              // of scripts on this page
	signedIn     store.SessionHolder // whose the session is
	seen         time.Time           // when the session was last seen, before this request
	mustSetUp    bool                // a second factor, before anything else
}

type visitKey struct{}

func withVisit(ctx context.Context, v *visit) context.Context {
	return context.WithValue(ctx, visitKey{}, v)
}

func visitOf(ctx context.Context) *visit { return ctx.Value(visitKey{}).(*visit) }

// Names of what sessions hold.
const (
	sessionUser         = "user"
	sessionOrganization = "organization"
	sessionSince        = "since" // microseconds
	sessionFlash        = "flash"
	sessionWaiting      = "waiting"       // the user whose second factor is asked for
	sessionWaitingOf    = "waiting_of"    // his organization
	sessionWaitingSince = "waiting_since" // microseconds
	sessionWaitingBy    = "waiting_by"    // the provider that has said who it is; empty: none has
)

// identify finds who has signed in.
func (v *visit) identify() error {
	v.location = time.UTC
	userID := v.server.sessions.GetInt64(v.Context(), sessionUser)
	organizationID := v.server.sessions.GetInt64(v.Context(), sessionOrganization)
	if userID == 0 {
		return nil
	}
	account, err := v.server.store.Account(v.Context(), organizationID, userID)
	since := v.server.sessions.GetInt64(v.Context(), sessionSince)
	if errors.Is(err, bugle.ErrNotFound) || err == nil && (account.Disabled || since < account.SessionsSince.UnixMicro()) {
		return v.server.sessions.Destroy(v.Context())
	}
	if err != nil {
		return err
	}
	if v.organization, err = v.server.store.Organization(v.Context(), organizationID); err != nil {
		return err
	}
	v.account = account
	v.mustSetUp = v.organization.SecondFactorRequired && account.SecondFactorSince.IsZero() && account.Role.Configures()
	v.signedIn = store.SessionHolder{OrganizationID: organizationID, UserID: userID, Since: time.UnixMicro(since).UTC()}
	v.touch()
	v.actor.OrganizationID, v.actor.UserID, v.actor.Limited = organizationID, userID, true
	for _, name := range []string{account.TimeZone, v.organization.TimeZone} {
		if location, err := time.LoadLocation(name); name != "" && err == nil {
			v.location = location
			break
		}
	}
	return nil
}

// asAuthor makes what the visit changes of the configuration that of who has signed in.
func (v *visit) asAuthor() {
	author := bugle.Author{Kind: bugle.ByVisitor, Address: address(v.Request), RequestID: v.actor.RequestID}
	if v.account != nil {
		author.Kind, author.ID, author.Name = bugle.ByAccount, v.account.UserID, v.account.Name
	}
	v.Request = v.WithContext(store.WithAuthor(v.Context(), author))
}

// Can reports whether the visitor has a permission.
func (v *visit) Can(permission string) bool {
	return v.account != nil && v.account.Role.Can(permission)
}

// id returns the id in the path. What is no id names nothing.
func (v *visit) id() (int64, error) {
	id, err := strconv.ParseInt(v.PathValue("id"), 10, 64)
	if err != nil || id <= 0 {
		return 0, bugle.ErrNotFound
	}
	return id, nil
}

// redirect sends the browser on to a page of the panel, after a post.
func (v *visit) redirect(to string) error {
	if v.isFragment() {
		v.w.Header().Set("HX-Redirect", to)
		v.w.WriteHeader(http.StatusNoContent)
		return nil
	}
	http.Redirect(v.w, v.Request, to, http.StatusSeeOther)
	return nil
}

// isFragment reports whether htmx asks, for a part of a page.
func (v *visit) isFragment() bool { return v.Header.Get("HX-Request") == "true" }

// flash is a sentence for the next page. The kind is success, info, warning or danger.
func (v *visit) flash(kind, text string) {
	v.server.sessions.Put(v.Context(), sessionFlash, kind+":"+text)
}

// baseURL is the address under which this server is asked.
func (v *visit) baseURL() string {
	if v.server.o.PublicURL != "" {
		return v.server.o.PublicURL
	}
	scheme := "http"
	if v.TLS != nil {
		scheme = "https"
	}
	return scheme + "://" + v.Host
}

// with returns the address of this page with some parameters of its query changed; empty values go.
func (v *visit) with(pairs ...string) string {
	query := v.URL.Query()
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] == "" {
			query.Del(pairs[i])
		} else {
			query.Set(pairs[i], pairs[i+1])
		}
	}
	return pathWith(v.URL.Path, query)
}

func pathWith(path string, query url.Values) string {
	if len(query) == 0 {
		return path
	}
	return path + "?" + query.Encode()
}
