package api_test

import (
	"fmt"
	"testing"

	"github.com/buglehq/bugle/value"
)

// What a key changes is told as its own, with the request, and without secrets.
func TestAuditLog(t *testing.T) {
	s := newServer(t)
	hook := s.create("webhooks", "name", "Relay", "url", receiver, "events", value.List("user.created"), "secret", "tell-nobody-of-this")
	s.want(200, "PATCH", fmt.Sprint("webhooks/", id(hook)), value.Map("name", "Discord", "secret", "nor-of-that-other-one"))
	list := s.want(200, "GET", "audit-log?subject=webhook&subject_id="+fmt.Sprint(id(hook)), nil)
	wantEqual(t, "total", list.at("meta", "total"), 2)
	updated := list.at("data", "0")
	wantEqual(t, "action", at(updated, "action"), "webhook.updated")
	wantEqual(t, "subject", at(updated, "subject"), value.Map("type", "webhook", "id", id(hook), "name", "Discord"))
	wantEqual(t, "before", at(updated, "before"), value.Map("name", "Relay", "secret", "********"))
	wantEqual(t, "after", at(updated, "after"), value.Map("name", "Discord", "secret", "********"))
	wantEqual(t, "actor", at(updated, "actor", "type"), "api_key")
	if at(updated, "address") == nil || at(updated, "request_id") == nil || at(updated, "actor", "id") == nil {
		t.Errorf("the entry is %v", updated)
	}
	for query, want := range map[string]int{"action=webhook.created": 1, "action=webhook.deleted": 0, "actor=api_key": 2, "actor=visitor": 0, "actor_id=999": 0,
		"since=2000-01-01T00:00:00Z&actor=api_key": 2, "until=2000-01-01T00:00:00Z": 0} {
		wantEqual(t, query, s.want(200, "GET", "audit-log?"+query, nil).at("meta", "total"), want)
	}
	s.do("GET", "audit-log?action=x&actor=x&actor_id=x&subject=x&subject_id=x&since=x&until=x", nil).wantInvalid(t, "action", "actor", "actor_id", "subject", "subject_id", "since", "until")
}
