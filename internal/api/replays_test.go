package api_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/internal/dispatch"
	"github.com/buglehq/bugle/value"
)

// replayAll works on replays until there is none left.
func (s *server) replayAll() {
	s.Helper()
	replayer := dispatch.NewReplayer(s.store, dispatch.StepperOptions{Clock: s.clock})
	for found, err := true, error(nil); found; {
		if found, err = replayer.Round(context.Background()); err != nil {
			s.Fatal(err)
		}
	}
}

func TestReplays(t *testing.T) {
	s := newServer(t)
	hook := s.watch()
	path := fmt.Sprintf("webhooks/%d/replay", hook.ID)
	for _, name := range []string{"Operations", "Training", "Leave"} {
		s.create("calendars", "name", name, "color", "#2563eb")
	}
	s.record(1, refused, bugle.Outcome{State: bugle.Failed})
	s.record(2, succeeded, bugle.Outcome{State: bugle.Delivered})
	s.record(3, refused, bugle.Outcome{State: bugle.Failed})
	started := s.want(202, "POST", path, `{"since":"2026-01-14T12:00:00Z","events":["calendar.created"]}`)
	for key, want := range map[string]any{"state": "running", "webhook_id": hook.ID, "since": "2026-01-14T12:00:00.000000Z", "until": nil, "missing": false,
		"states": value.List("failed"), "events": value.List("calendar.created"), "total": 2, "done": 0, "finished_at": nil} {
		wantEqual(t, key, started.at("data", key), want)
	}
	s.replayAll()
	one := s.want(200, "GET", "replays/1", nil)
	for key, want := range map[string]any{"state": "done", "redelivered": 2, "skipped": 0, "done": 2, "error": nil} {
		wantEqual(t, key, one.at("data", key), want)
	}
	wantEqual(t, "delivery 1", s.want(200, "GET", "deliveries/1", nil).at("data", "state"), "pending")
	wantEqual(t, "delivery 2", s.want(200, "GET", "deliveries/2", nil).at("data", "state"), "delivered")

	other := s.watch()
	s.want(202, "POST", fmt.Sprintf("webhooks/%d/replay", other.ID), `{"missing":true,"since":"2026-01-14T12:00:00Z","states":[]}`)
	wantEqual(t, "cancelled", s.want(200, "POST", "replays/2/cancel", nil).at("data", "state"), "cancelled")
	s.do("POST", "replays/2/cancel", nil).wantError(t, 409, "ConflictHttpException", "The request conflicts with the current state: cancel replay 2, which is cancelled already.")
	s.want(202, "POST", fmt.Sprintf("webhooks/%d/replay", other.ID), `{"missing":true,"since":"2026-01-14T12:00:00Z","states":[]}`)
	s.replayAll()
	wantEqual(t, "added", s.want(200, "GET", "replays/3", nil).at("data", "added"), 3)
	wantEqual(t, "replays", s.want(200, "GET", "replays", nil).at("meta", "total"), 3)
	wantEqual(t, "replays of the other webhook", s.want(200, "GET", fmt.Sprintf("webhooks/%d/replays", other.ID), nil).at("meta", "total"), 2)

	for range 3 {
		s.want(202, "POST", path, nil)
	}
	s.do("POST", path, nil).wantError(t, 409, "ConflictHttpException", "The request conflicts with the current state: start a replay while 3 others are under way.")
}

func TestReplays_refuse(t *testing.T) {
	s := newServer(t)
	path := fmt.Sprintf("webhooks/%d/replay", s.watch().ID)
	for body, field := range map[string]string{
		`{"since":"yesterday"}`: "since",
		`{"until":7}`:           "until",
		`{"since":"2026-01-14T12:00:00Z","until":"2026-01-14T12:00:00Z"}`: "until",
		`{"states":"failed"}`:             "states",
		`{"states":["failed","pending"]}`: "states.1",
		`{"states":[]}`:                   "states",
		`{"events":["calendar.crated"]}`:  "events.0",
		`{"events":{"a":"user.created"}}`: "events",
		`{"missing":"yes"}`:               "missing",
		`{"missing":true}`:                "since",
	} {
		s.do("POST", path, body).wantInvalid(t, field)
	}
	wantEqual(t, "replays", s.want(200, "GET", "replays", nil).at("meta", "total"), 0)
	for _, request := range [][2]string{{"POST", "webhooks/99/replay"}, {"GET", "webhooks/99/replays"}, {"GET", "replays/99"}, {"POST", "replays/99/cancel"}} {
		s.do(request[0], request[1], nil).wantNotFound(t)
	}
	s.want(202, "POST", path, nil)
	for _, request := range [][2]string{{"POST", path}, {"GET", path + "s"}, {"GET", "replays/1"}, {"POST", "replays/1/cancel"}} {
		s.another().do(request[0], request[1], nil).wantNotFound(t)
	}
	for scope, request := range map[string][2]string{"view:delivery": {"POST", path}, "update:delivery": {"GET", "replays"}, "view:webhook": {"GET", path + "s"}} {
		s.scoped(scope).do(request[0], request[1], nil).wantForbidden(t)
	}
}

// Run works on what it is told of, and what another run left half done.
func TestReplays_runInTheBackground(t *testing.T) {
	s := newServer(t)
	hook := s.watch()
	const n = 150
	for range n {
		s.create("calendars", "name", "?", "color", "#2563eb")
	}
	for id := range int64(n) {
		s.record(id+1, refused, bugle.Outcome{State: bugle.Failed})
	}
	s.want(202, "POST", fmt.Sprintf("webhooks/%d/replay", hook.ID), nil)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	done := make(chan struct{})
	go func() {
		defer close(done)
		dispatch.NewReplayer(s.store, dispatch.StepperOptions{Clock: s.clock}).Run(ctx)
	}()
	for ctx.Err() == nil && s.want(200, "GET", "replays/1", nil).at("data", "state") != "done" {
	}
	cancel()
	<-done
	wantEqual(t, "redelivered", s.want(200, "GET", "replays/1", nil).at("data", "redelivered"), n)
}
