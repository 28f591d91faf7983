package api_test

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/internal/store"
	"github.com/buglehq/bugle/internal/storetest"
	"github.com/buglehq/bugle/value"
)

func (s *server) setQuotas(choice bugle.QuotaChoice) {
	s.Helper()
	storetest.Change(s, s.store, func(tx *store.Tx) error { return tx.SetQuotas(s.org, choice) })
}

// wantQuota checks that the answer refuses something for a quota, which the message names with these words.
func (a *answer) wantQuota(t testing.TB, status int, kind, words string) {
	t.Helper()
	a.wantError(t, status, kind, "")
	if message, _ := a.at("error", "message").(string); !strings.Contains(message, words) {
		t.Errorf("the message is %q, want %q in it", message, words)
	}
	if wait, err := strconv.Atoi(a.header.Get("Retry-After")); (status == 429) != (err == nil && wait > 0) {
		t.Errorf("status %d has Retry-After %q", status, a.header.Get("Retry-After"))
	}
}

func TestQuotas_ofWebhooksAndAutomations(t *testing.T) {
	s := newServer(t)
	s.setQuotas(bugle.QuotaChoice{"webhooks": 2, "automations": 1})
	hook := value.Map("name", "Hook", "url", receiver)
	id := id(s.create("webhooks", "name", "Hook", "url", receiver))
	s.do("POST", "webhooks/batch", value.Map("resources", value.List(hook, hook))).wantQuota(t, 403, "HttpException", "may have 2 webhooks, and has as many")
	if n := len(s.want(200, "GET", "webhooks", nil).items(t)); n != 1 {
		t.Errorf("a part of the batch was made: there are %d webhooks", n)
	}
	s.create("webhooks", "name", "Hook", "url", receiver)
	s.do("POST", "webhooks", hook).wantQuota(t, 403, "HttpException", "may have 2 webhooks")
	rule := value.Map("name", "Rule", "trigger", "rankrecord.created", "action_type", "webhook", "webhook_id", id,
		"webhook_payload_template", value.Map("text", "x"))
	s.want(201, "POST", "automations", rule)
	s.do("POST", "automations", rule).wantQuota(t, 403, "HttpException", "may have 1 automations")
	s.want(200, "PATCH", "webhooks/"+strconv.FormatInt(id, 10), value.Map("name", "Another"))
}

func TestQuotas_ofEvents(t *testing.T) {
	s := newServer(t)
	s.setQuotas(bugle.QuotaChoice{"events": 2})
	s.create("calendars", "name", "Ops", "color", "#16a34a")
	one := value.Map("name", "Ops", "color", "#16a34a")
	s.do("POST", "calendars/batch", value.Map("resources", value.List(one, one))).wantQuota(t, 429, "ThrottleRequestsException", "may cause 2 events a minute")
	s.create("calendars", "name", "Ops", "color", "#16a34a")
	s.do("POST", "calendars", one).wantQuota(t, 429, "ThrottleRequestsException", "may cause 2 events a minute")
	s.do("DELETE", "calendars/1", nil).wantQuota(t, 429, "ThrottleRequestsException", "Nothing was changed")
	if n := len(s.want(200, "GET", "calendars", nil).items(t)); n != 2 {
		t.Errorf("there are %d calendars, want 2", n)
	}
	s.want(201, "POST", "ranks", value.Map("name", "Sergeant")) // which causes none
	s.clock.Advance(time.Minute)
	s.want(200, "DELETE", "calendars/1", nil)
}

func TestQuotas_ofTheBacklog(t *testing.T) {
	s := newServer(t)
	s.setQuotas(bugle.QuotaChoice{"backlog": 1})
	w := s.watch()
	s.create("calendars", "name", "Ops", "color", "#16a34a")
	s.do("POST", "calendars", value.Map("name", "Ops", "color", "#16a34a")).wantQuota(t, 429, "ThrottleRequestsException", "1 deliveries of your organization may be pending")
	s.do("POST", "webhooks/"+strconv.FormatInt(w.ID, 10)+"/test", nil).wantQuota(t, 429, "ThrottleRequestsException", "may be pending")
	if _, n := s.deliveries(); n != 1 {
		t.Errorf("there are %d deliveries, want 1", n)
	}
	s.want(200, "POST", "deliveries/1/cancel", nil)
	s.clock.Advance(2 * time.Second)
	s.create("calendars", "name", "Ops", "color", "#16a34a")
}

func TestQuotas_ofStorage(t *testing.T) {
	s := newServer(t)
	size := int64(len(pixel.content))
	s.setQuotas(bugle.QuotaChoice{"storage": 2*size + 3})
	image := value.Map("name", "Pixel", "image", pixel)
	first := id(s.want(201, "POST", "images", image).data(t))
	s.want(201, "POST", "images", image)
	s.do("POST", "images", image).wantQuota(t, 507, "HttpException", "The files of your organization may take ")
	wantEqual(t, "storage used", s.want(200, "GET", "quotas", nil).at("data", "storage", "used"), 2*size)
	s.want(200, "DELETE", "images/"+strconv.FormatInt(first, 10), nil)
}

func TestQuotas_areShown(t *testing.T) {
	s := newServer(t)
	for _, name := range bugle.QuotaNames {
		quota := s.want(200, "GET", "quotas", nil).at("data", name)
		var used any = 0
		if name == "events" {
			used = nil
		}
		wantEqual(t, name, quota, value.Map("limit", nil, "used", used))
	}
	s.setQuotas(bugle.QuotaChoice{"webhooks": 3, "events": 10})
	s.watch()
	s.create("calendars", "name", "Ops", "color", "#16a34a")
	got := s.want(200, "GET", "quotas", nil).data(t)
	wantEqual(t, "quotas", got, value.Map("webhooks", value.Map("limit", 3, "used", 1), "automations", value.Map("limit", nil, "used", 0),
		"events", value.Map("limit", 10, "used", 1), "backlog", value.Map("limit", nil, "used", 1), "storage", value.Map("limit", nil, "used", 0)))
	s.scoped("view:user").do("GET", "quotas", nil).wantForbidden(t)
}
