package api_test

import (
	"fmt"
	"testing"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/internal/storetest"
	"github.com/buglehq/bugle/value"
)

func TestEventTypes(t *testing.T) {
	s := newServer(t)
	list, _ := s.want(200, "GET", "event-types", nil).at("data").(*value.Array)
	wantEqual(t, "number", list.Len(), 34)
	for _, kind := range list.All() {
		if at(kind, "example", "event") != at(kind, "name") || at(kind, "description") == "" {
			t.Errorf("%v", at(kind, "name"))
		}
	}
}

// For each event the log says what every webhook and automation made of it.
func TestEventLog(t *testing.T) {
	s := newServer(t)
	matching := s.create("webhooks", "name", "All", "url", receiver, "events", value.List("user.created", "user.updated"))
	s.create("webhooks", "name", "Other", "url", receiver, "events", value.List("awardrecord.created"))
	s.create("webhooks", "name", "Off", "url", receiver, "status", "disabled", "events", value.List("user.created"))
	s.create("webhooks", "name", "Paused", "url", receiver, "status", "paused", "events", value.List("user.created"))
	s.automate("name", "Runs", "condition", `model.name == "Jane"`)
	s.automate("name", "Does not", "condition", "false")
	s.automate("name", "Off", "enabled", false)
	s.automate("name", "Another", "trigger", "awardrecord.created")
	user := s.create("users", "name", "Jane", "email", "jane@example.com")
	s.automate("name", "Later")
	s.settle()
	list := s.want(200, "GET", "event-log?name=user.created", nil)
	wantEqual(t, "total", list.at("meta", "total"), 1)
	wantEqual(t, "counts", value.List(list.at("data", "0", "deliveries_count"), list.at("data", "0", "runs_count"), list.at("data", "0", "resource_id")), value.List(2, 2, at(user, "id")))
	shown := s.want(200, "GET", fmt.Sprint("event-log/", list.at("data", "0", "id")), nil)
	outcomes := value.NewArray(9)
	why, _ := shown.at("data", "why").(*value.Array)
	for _, row := range why.All() {
		if name := fmt.Sprint(at(row, "type"), " ", at(row, "name")); name != "webhook Discord" {
			outcomes.Set(name, at(row, "outcome"))
		}
	}
	wantEqual(t, "why", outcomes, value.Map("webhook All", "matched", "webhook Other", "not_subscribed", "webhook Off", "disabled", "webhook Paused", "paused",
		"automation Runs", "matched", "automation Does not", "condition_failed", "automation Off", "disabled", "automation Another", "not_subscribed", "automation Later", "not_then"))
	for _, row := range why.All() {
		if at(row, "name") == "Does not" || at(row, "name") == "Other" {
			wantEqual(t, "parts of false", at(row, "parts"), value.NewArray(0))
		}
		if at(row, "name") == "Runs" {
			wantEqual(t, "parts", at(row, "parts"), value.List(
				value.Map("source", `model.name == "Jane"`, "line", 1, "column", 1, "value", "true", "evaluated", true, "failed", false),
				value.Map("source", "model.name", "line", 1, "column", 1, "value", `"Jane"`, "evaluated", true, "failed", false)))
			wantEqual(t, "text", at(row, "text"), fmt.Sprintf("ran, as its condition was true: delivery %v was made", at(row, "delivery_id")))
		}
	}
	wantEqual(t, "envelope", shown.at("data", "envelope", "data", "name"), "Jane")
	if why.Len() > 0 && at(why, "0", "delivery_id") == nil || at(why, "0", "id") != at(matching, "id") {
		t.Errorf("the first reason is %v", at(why, "0"))
	}
	s.want(200, "PATCH", fmt.Sprint("users/", id(user)), value.Map("notes", "x"))
	changed := s.want(200, "GET", "event-log?name=user.updated&resource_kind=user&resource_id=1", nil)
	detail := s.want(200, "GET", fmt.Sprint("event-log/", changed.at("data", "0", "id")), nil)
	wantEqual(t, "changes", detail.at("data", "changes", "notes"), value.Map("old", nil, "new", "x"))

	// What automations send is no event of its own.
	wantEqual(t, "all", s.want(200, "GET", "event-log", nil).at("meta", "total"), 2)
	now := bugle.FormatTime(storetest.Start)
	for query, want := range map[string]int64{"since=" + now: 2, "until=" + now: 0, "request_id=x": 0, "resource_kind=award": 0} {
		wantEqual(t, query, s.want(200, "GET", "event-log?"+query, nil).at("meta", "total"), want)
	}
	for _, bad := range []string{"since=x", "until=x", "resource_id=x", "resource_id=0"} {
		s.want(422, "GET", "event-log?"+bad, nil)
	}
	outsider := s.another()
	outsider.want(404, "GET", fmt.Sprint("event-log/", list.at("data", "0", "id")), nil)
	wantEqual(t, "of another", outsider.want(200, "GET", "event-log", nil).at("meta", "total"), 0)
	delivered := s.want(200, "GET", "automation-logs?status=executed", nil)
	addressed := s.want(200, "GET", fmt.Sprint("deliveries/", delivered.at("data", "0", "delivery_id")), nil)
	s.want(404, "GET", fmt.Sprint("event-log/", addressed.at("data", "event_id")), nil)
}
