package api_test

import (
	"testing"

	"github.com/buglehq/bugle/internal/dispatch"
)

func TestHold(t *testing.T) {
	s := newServer(t)
	s.watch()
	wantEqual(t, "held", s.want(200, "GET", "hold", nil).at("data", "held"), false)
	held := s.want(200, "POST", "hold", nil)
	wantEqual(t, "held", held.at("data", "held"), true)
	wantEqual(t, "since", held.at("data", "since"), "2026-01-14T12:00:00.123456Z")
	s.do("POST", "hold", nil).wantError(t, 409, "ConflictHttpException", "The request conflicts with the current state: hold organization 1, which is held already.")
	s.create("calendars", "name", "Operations", "color", "#2563eb")
	for _, body := range []string{`{}`, `{"do":7}`, `{"do":"burn"}`} {
		s.do("POST", "hold/release", body).wantInvalid(t, "do")
	}
	wantEqual(t, "releasing", s.want(200, "POST", "hold/release", `{"do":"drop"}`).at("data", "releasing"), "drop")
	s.do("POST", "hold/release", `{"do":"deliver"}`).wantError(t, 409, "ConflictHttpException", "The request conflicts with the current state: release organization 1, which is being released already.")
	if err := dispatch.NewKeeper(s.store, dispatch.KeeperOptions{Clock: s.clock}).Round(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantEqual(t, "held", s.want(200, "GET", "hold", nil).at("data", "held"), false)
	d := s.want(200, "GET", "deliveries/1", nil)
	wantEqual(t, "state", d.at("data", "state"), "cancelled")
	wantEqual(t, "error", d.at("data", "error", "kind"), "cancelled")
	wantEqual(t, "message", d.at("data", "error", "message"), "It was held, and dropped when the hold ended.")
	s.do("POST", "hold/release", `{"do":"deliver"}`).wantError(t, 409, "ConflictHttpException", "The request conflicts with the current state: release organization 1, which is not held.")

	s.want(200, "POST", "hold", nil)
	wantEqual(t, "held", s.want(200, "POST", "hold/release", `{"do":"deliver"}`).at("data", "held"), false)
	s.scoped("view:webhook").do("POST", "hold", nil).wantForbidden(t)
	s.scoped("view:webhook").do("POST", "hold/release", `{"do":"drop"}`).wantForbidden(t)
	s.scoped("update:webhook").do("GET", "hold", nil).wantForbidden(t)
	s.scoped("view:webhook").want(200, "GET", "hold", nil)
}
