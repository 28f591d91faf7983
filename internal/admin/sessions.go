package admin

import (
	"context"
	"strings"
	"time"

	"github.com/buglehq/bugle/internal/store"
)

// heldSessions keep with each session whose it is and where it is used.
type heldSessions struct{ *store.Sessions }

// FindCtx notes when the session was last seen.
func (h heldSessions) FindCtx(ctx context.Context, token string) (data []byte, found bool, err error) {
	data, seen, found, err := h.Read(ctx, token)
	visitOf(ctx).seen = seen
	return data, found, err
}

// CommitCtx writes a session with its holder.
func (h heldSessions) CommitCtx(ctx context.Context, token string, data []byte, expiry time.Time) error {
	return h.Write(ctx, token, data, expiry, visitOf(ctx).holder())
}

// holder is whose the session is now. It does not ask the session, which is locked while it is written.
func (v *visit) holder() store.SessionHolder {
	h := v.signedIn
	h.Address, h.Browser = address(v.Request), browserName(v.UserAgent())
	return h
}

// seenEvery is how exactly it is known when a session was last seen.
const seenEvery = 5 * time.Minute

// touch notes now and then that the session is in use. That it cannot is no reason not to show a page.
func (v *visit) touch() {
	if v.server.now().Sub(v.seen) < seenEvery {
		return
	}
	if err := v.server.store.Sessions().Touch(v.Context(), v.server.sessions.Token(v.Context()), v.holder()); err != nil && v.Context().Err() == nil {
		v.server.o.Log.WarnContext(v.Context(), "a session cannot be noted as seen", "error", err)
	}
}

// ownSessions adds what somebody does with his own sessions.
func (s *server) ownSessions() {
	s.page("POST /account/sessions/{id}/end", "", s.endSession)
	s.page("POST /account/sessions/end-others", "", s.endOtherSessions)
}

func (s *server) endSession(v *visit) error {
	id, err := v.id()
	if err != nil {
		return err
	}
	if err := s.store.Update(v.Context(), func(tx *store.Tx) error { return tx.EndSession(v.actor.OrganizationID, v.actor.UserID, id) }); err != nil {
		return err
	}
	v.flash("success", "That session is over.")
	return v.redirect("/account#sessions")
}

func (s *server) endOtherSessions(v *visit) error {
	if err := s.store.Update(v.Context(), func(tx *store.Tx) error { return tx.EndSessions(v.actor.OrganizationID, v.actor.UserID) }); err != nil {
		return err
	}
	if err := v.begin(v.account); err != nil { // this session goes on
		return err
	}
	v.flash("success", "You are signed out everywhere but here.")
	return v.redirect("/account#sessions")
}

// What browsers and systems call themselves, the more special first.
var (
	browserMarks = [][2]string{{"Edg", "Edge"}, {"OPR/", "Opera"}, {"SamsungBrowser/", "Samsung Internet"}, {"Vivaldi/", "Vivaldi"}, {"Firefox/", "Firefox"}, {"FxiOS/", "Firefox"},
		{"CriOS/", "Chrome"}, {"Chrome/", "Chrome"}, {"Safari/", "Safari"}}
	systemMarks = [][2]string{{"Android", "Android"}, {"iPhone", "iPhone"}, {"iPad", "iPad"}, {"Windows", "Windows"}, {"CrOS", "ChromeOS"}, {"Mac OS", "macOS"}, {"Linux", "Linux"}, {"BSD", "BSD"}}
)

// browserName is a browser in words, by what it says of itself: "Firefox on Linux". It has no versions, which become others all the time.
func browserName(agent string) string {
	find := func(marks [][2]string, unknown string) string {
		for _, m := range marks {
			if strings.Contains(agent, m[0]) {
				return m[1]
			}
		}
		return unknown
	}
	browser, system := find(browserMarks, ""), find(systemMarks, "")
	switch {
	case browser == "":
		return "Another program"
	case system == "":
		return browser
	}
	return browser + " on " + system
}
