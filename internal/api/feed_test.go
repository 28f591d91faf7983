package api_test

import (
	"fmt"
	"testing"
)

func TestFeed(t *testing.T) {
	s := newServer(t)
	hook := s.watch()
	path := fmt.Sprintf("webhooks/%d/feed", hook.ID)
	for _, name := range []string{"Operations", "Training", "Leave"} {
		s.create("calendars", "name", name, "color", "#2563eb")
	}
	first := s.want(200, "GET", path+"?limit=2", nil)
	items := first.items(t)
	if len(items) != 2 {
		t.Fatalf("the first part has %d items", len(items))
	}
	d := s.want(200, "GET", "deliveries/1", nil)
	wantEqual(t, "message id", at(items[0], "message_id"), d.at("data", "request", "headers", "webhook-id"))
	wantEqual(t, "sequence", at(items[0], "sequence"), 1)
	wantEqual(t, "event", at(items[0], "event"), "calendar.created")
	wantEqual(t, "state", at(items[0], "state"), "pending")
	payload, err := s.store.Payload(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	envelope := payload.Text
	wantEqual(t, "body", at(items[0], "body"), string(envelope))
	wantEqual(t, "next", first.at("meta", "next"), 2)
	wantEqual(t, "more", first.at("meta", "more"), true)
	wantEqual(t, "first_available", first.at("meta", "first_available"), 1)
	wantEqual(t, "last", first.at("meta", "last"), 3)

	s.want(200, "POST", fmt.Sprintf("webhooks/%d/disable", hook.ID), nil)
	rest := s.want(200, "GET", path+"?after=2", nil)
	wantEqual(t, "items of a disabled webhook", len(rest.items(t)), 1)
	wantEqual(t, "more", rest.at("meta", "more"), false)
	wantEqual(t, "first_available of nothing", s.want(200, "GET", fmt.Sprintf("webhooks/%d/feed", s.watch().ID), nil).at("meta", "first_available"), nil)
}

func TestFeed_refuses(t *testing.T) {
	s := newServer(t)
	path := fmt.Sprintf("webhooks/%d/feed", s.watch().ID)
	for _, query := range []string{"after=-1", "after=x", "after=9223372036854775808"} {
		s.do("GET", path+"?"+query, nil).wantInvalid(t, "after")
	}
	for _, query := range []string{"limit=0", "limit=1001", "limit=many"} {
		s.do("GET", path+"?"+query, nil).wantInvalid(t, "limit")
	}
	s.do("GET", "webhooks/99/feed", nil).wantNotFound(t)
	s.another().do("GET", path, nil).wantNotFound(t)
	s.scoped("view:delivery").do("GET", path, nil).wantForbidden(t)
	s.scoped("view:webhook").do("GET", path, nil).wantForbidden(t)
	s.scoped("view:webhook", "view:delivery").want(200, "GET", path, nil)
}
