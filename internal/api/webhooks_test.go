package api_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/internal/storetest"
	"github.com/buglehq/bugle/personnel"
	"github.com/buglehq/bugle/value"
)

const receiver = "https://receiver.example.com/hook"

func hookPath(data any, action ...string) string {
	return strings.Join(append([]string{"webhooks", strconv.FormatInt(id(data), 10)}, action...), "/")
}

// secret returns a webhook's secret in full.
func (s *server) secret(hook any) any {
	s.Helper()
	return s.want(200, "GET", hookPath(hook, "secret"), nil).at("data", "secret")
}

const hookKeys = "id name description url method events secret status timeout_seconds max_attempts retry_schedule max_concurrency" +
	" rate_per_second ordered headers field_policy created_at updated_at health"

func TestWebhooks_defaults(t *testing.T) {
	s := newServer(t)
	hook := s.create("webhooks", "name", "Discord", "url", receiver)
	wantEqual(t, "keys", strings.Join(hook.Keys(), " "), hookKeys)
	secret, _ := at(hook, "secret").(string)
	if len(secret) != 32 || strings.Trim(secret, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789") != "" {
		t.Errorf("secret is %q, want 32 alphanumerics", secret)
	}
	now := bugle.FormatTime(storetest.Start)
	wantEqual(t, "webhook", hook, value.Map("id", at(hook, "id"), "name", "Discord", "description", nil, "url", receiver, "method", "post",
		"events", value.List(), "secret", secret, "status", "active", "timeout_seconds", 10, "max_attempts", 9,
		"retry_schedule", value.List(5, 30, 120, 600, 3600, 14400, 36000, 86400), "max_concurrency", 10, "rate_per_second", nil,
		"ordered", false, "headers", nil, "field_policy", value.List(), "created_at", now, "updated_at", now, "health", value.Map("state", "healthy",
			"consecutive_failures", 0, "last_success_at", nil, "last_failure_at", nil, "disable_at", nil)))
	wantEqual(t, "full secret", s.secret(hook), secret)
	other := s.create("webhooks", "name", "Another", "url", receiver)
	if at(other, "secret") == secret {
		t.Error("two webhooks have the same secret")
	}
}

func TestWebhooks_everyFieldRoundTrips(t *testing.T) {
	s := newServer(t)
	events := value.NewArray(34)
	for _, name := range append(personnel.EventNames(), bugle.TestEvent) {
		events.Append(name)
	}
	sent := value.Map("name", "Ünit", "description", "Line 1\nLine 2", "url", "http://10.0.0.1:8080/a?b=c&d=%20", "method", "get", "events", events,
		"secret", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "status", "paused", "timeout_seconds", 30, "max_attempts", 100,
		"retry_schedule", value.List(1, 604800), "max_concurrency", 100, "rate_per_second", 0.5, "ordered", true,
		"headers", value.Map("X-Team", "Alpha", "X-Empty", ""),
		"field_policy", value.List(value.Map("attribute", "user.email", "action", "hash"), value.Map("preset", "free_text", "action", "drop")))
	hook := s.create("webhooks", "name", "First", "url", receiver)
	for _, a := range []*answer{s.want(201, "POST", "webhooks", sent), s.want(200, "PUT", hookPath(hook), sent), s.want(200, "PATCH", hookPath(hook), sent)} {
		shown := s.want(200, "GET", hookPath(a.at("data")), nil)
		for name, want := range sent.All() {
			if name.String() == "secret" {
				wantEqual(t, "secret", s.secret(a.at("data")), want)
				continue
			}
			wantEqual(t, name.String(), a.at("data", name.String()), want)
			wantEqual(t, name.String()+" as shown", shown.at("data", name.String()), want)
		}
	}
	// Each field alone leaves the others as they are.
	other := s.create("webhooks", "name", "Second", "url", receiver)
	want := s.want(200, "GET", hookPath(other), nil).data(t)
	for name, v := range sent.All() {
		a := s.want(200, "PATCH", hookPath(other), value.Map(name.String(), v))
		if name.String() == "secret" {
			v = bugle.Mask(v.(string))
		}
		want.Set(name.String(), v)
		wantEqual(t, "webhook after "+name.String(), a.data(t), want)
	}
	// And back to nothing where nothing is a value.
	a := s.want(200, "PUT", hookPath(other), `{"description":null,"events":[],"rate_per_second":null,"headers":null,"field_policy":null,"ordered":false}`)
	for name, v := range map[string]any{"description": nil, "events": value.List(), "rate_per_second": nil, "headers": nil, "field_policy": value.List(), "ordered": false} {
		wantEqual(t, name, a.at("data", name), v)
	}
	wantEqual(t, "method in capitals", at(s.create("webhooks", "name", "x", "url", receiver, "method", "GET"), "method"), "get")
}

func TestWebhooks_refuseWrongValues(t *testing.T) {
	s := newServer(t)
	hook := s.create("webhooks", "name", "First", "url", receiver)
	before := s.want(200, "GET", hookPath(hook), nil).data(t)
	long := func(n int) string { return strings.Repeat("x", n) }
	many := func(v any, n int) *value.Array {
		list := value.NewArray(n)
		for range n {
			list.Append(v)
		}
		return list
	}
	headers := value.NewArray(33)
	for i := range 33 {
		headers.Set("X-"+strconv.Itoa(i), "a")
	}
	for _, test := range []struct {
		field  string
		values []any
		key    string // of the error, if it is not the field
	}{
		{"name", []any{nil, "", "  ", long(256), 5, true, value.List()}, ""},
		{"description", []any{long(65536), 5, true, value.List()}, ""},
		{"url", []any{nil, "", 5, "receiver.example.com", "/hook", "ftp://receiver.example.com", "https://", "https:///hook", "https://:443",
			"https://user:pass@receiver.example.com", "https://receiver.example.com/#part", "https://receiver.example.com/a b", "https://receiver.example.com/\x7f",
			"http://[::1", "https://receiver.example.com/" + long(2048), "javascript:alert(1)"}, ""},
		{"method", []any{nil, "", "put", "delete", 5, value.List("post")}, ""},
		{"events", []any{nil, 5, "user.created", value.Map("a", "user.created"), many("user.created", 1001)}, ""},
		{"events", []any{value.List("user.exploded"), value.List(""), value.List(5), value.List(nil), value.List("*"), value.List("training_record.created")}, "events.0"},
		{"events", []any{value.List("user.created", "user.create"), value.List("user.created", value.List())}, "events.1"},
		{"secret", []any{nil, "", "  ", long(256), 5, value.List()}, ""},
		{"status", []any{nil, "", "off", "Active", 1}, ""},
		{"timeout_seconds", []any{nil, 0, 31, -1, 1.5, "10", true}, ""},
		{"max_attempts", []any{nil, 0, 101, -1, 1.5, "10"}, ""},
		{"retry_schedule", []any{nil, value.List(), many(1, 101), 5, "5", value.Map("a", 5)}, ""},
		{"retry_schedule", []any{value.List(0), value.List(604801), value.List(1.5), value.List("5"), value.List(nil), value.List(-1)}, "retry_schedule.0"},
		{"retry_schedule", []any{value.List(5, 10, 0)}, "retry_schedule.2"},
		{"max_concurrency", []any{nil, 0, 101, "10"}, ""},
		{"rate_per_second", []any{0, 0.009, -1, 10001, "5", true, value.List()}, ""},
		{"ordered", []any{nil, 1, "true", value.List()}, ""},
		{"headers", []any{5, "X-Team: Alpha", value.List("X-Team: Alpha"), headers}, ""},
		{"headers", []any{value.Map("X-Team", 5), value.Map("X-Team", nil), value.Map("X-Team", "a\nb"), value.Map("X-Team", "a\x00"), value.Map("X-Team", long(4097)),
			value.Map("X-Team", value.List("a"))}, "headers.X-Team"},
		{"headers", []any{value.Map("X Team", "a")}, "headers.X Team"},
		{"headers", []any{value.Map("", "a")}, "headers."},
		{"headers", []any{value.Map("host", "a")}, "headers.host"},
		{"headers", []any{value.Map("Content-Length", "5")}, "headers.Content-Length"},
		{"headers", []any{value.Map("SIGNATURE", "a")}, "headers.SIGNATURE"},
		{"headers", []any{value.Map("webhook-id", "a")}, "headers.webhook-id"},
	} {
		if test.key == "" {
			test.key = test.field
		}
		for _, v := range test.values {
			if n, ok := v.(int); ok {
				v = int64(n)
			}
			fields := value.Map("name", "Second", "url", receiver)
			fields.Set(test.field, v)
			s.do("POST", "webhooks", fields).wantInvalid(t, test.key)
			s.do("PUT", hookPath(hook), value.Map(test.field, v)).wantInvalid(t, test.key)
			s.do("PATCH", "webhooks/batch", value.Map("resources", value.Map(at(hook, "id"), value.Map(test.field, v)))).
				wantInvalid(t, "resources."+strconv.FormatInt(id(hook), 10)+"."+test.key)
			if t.Failed() {
				t.Fatalf("%s = %.80s", test.field, text(v))
			}
		}
	}
	s.do("POST", "webhooks", nil).wantInvalid(t, "name", "url")
	s.do("POST", "webhooks", `{"ordered":1,"headers":5,"name":5,"events":["a","b"],"url":"x"}`).wantInvalid(t, "name", "url", "events.0", "events.1", "ordered", "headers")
	wantEqual(t, "webhook", s.want(200, "GET", hookPath(hook), nil).data(t), before)
	wantEqual(t, "number of webhooks", s.want(200, "GET", "webhooks", nil).at("meta", "total"), 1)

	// What is just within the limits is taken.
	s.want(200, "PUT", hookPath(hook), value.Map("name", long(255), "description", long(65535), "secret", long(255), "timeout_seconds", 1, "rate_per_second", 10000,
		"url", "https://receiver.example.com/"+long(2048-29), "headers", value.Map("X-Team", long(4096))))
}

func TestWebhooks_unknownEventsAreExplained(t *testing.T) {
	s := newServer(t)
	for name, want := range map[string]string{
		"user.create":         `The events field holds an unknown event: "user.create". Did you mean user.created?`,
		"rank_record.created": `The events field holds an unknown event: "rank_record.created". Did you mean rankrecord.created?`,
		"webhook.tset":        `The events field holds an unknown event: "webhook.tset". Did you mean webhook.test?`,
		"something else":      `The events field holds an unknown event: "something else".`,
		// Long names are compared with nothing, which would take long.
		strings.Repeat("user.created", 50000): `The events field holds an unknown event: "user.createduser.createduser.createduser.createduser.created"….`,
	} {
		a := s.do("POST", "webhooks", value.Map("name", "x", "url", receiver, "events", value.List(name)))
		a.wantInvalid(t, "events.0")
		wantEqual(t, "reason", a.at("error", "errors", "events.0", "0"), want)
	}
	wantEqual(t, "events named twice", at(s.create("webhooks", "name", "x", "url", receiver, "events", value.List("user.created", "user.created")), "events"), value.List("user.created"))
}

func TestWebhooks_secretIsMasked(t *testing.T) {
	s := newServer(t)
	for _, test := range []struct{ secret, mask string }{
		{"0123456789abcdef0123456789abWXYZ", "********WXYZ"},
		{"0123456789abcdef", "********cdef"},
		{"0123456789abcde", "********"},
		{"x", "********"},
	} {
		hook := s.create("webhooks", "name", "Masked", "url", receiver, "secret", test.secret)
		wantEqual(t, "secret on create", at(hook, "secret"), test.secret)
		for _, request := range []string{"GET " + hookPath(hook), "PUT " + hookPath(hook), "PATCH " + hookPath(hook), "POST " + hookPath(hook, "pause")} {
			method, path, _ := strings.Cut(request, " ")
			wantEqual(t, "secret by "+request, s.want(200, method, path, nil).at("data", "secret"), test.mask)
		}
		for _, item := range s.want(200, "GET", "webhooks", nil).items(t) {
			if id(item) == id(hook) {
				wantEqual(t, "secret in the list", at(item, "secret"), test.mask)
			}
		}
		// What was read and is sent back changes nothing.
		a := s.want(200, "PUT", hookPath(hook), value.Map("name", "Renamed", "secret", test.mask))
		wantEqual(t, "secret by PUT", a.at("data", "secret"), test.mask)
		wantEqual(t, "secret", s.secret(hook), test.secret)
		batch := s.want(200, "PATCH", "webhooks/batch", value.Map("resources", value.Map(at(hook, "id"), value.Map("secret", test.mask))))
		wantEqual(t, "secret by batch", batch.at("data", "0", "secret"), test.mask)
		wantEqual(t, "secret", s.secret(hook), test.secret)
		wantEqual(t, "secret on delete", s.want(200, "DELETE", hookPath(hook), nil).at("data", "secret"), test.mask)
	}
	a := s.want(200, "POST", "webhooks/batch", value.Map("resources", value.List(value.Map("name", "x", "url", receiver, "secret", "0123456789abcdef"))))
	wantEqual(t, "secret by batch", a.at("data", "0", "secret"), "********cdef")
	a = s.want(200, "DELETE", "webhooks/batch", value.Map("resources", value.List(a.at("data", "0", "id"))))
	wantEqual(t, "secret by batch delete", a.at("data", "0", "secret"), "********cdef")
}

func TestWebhooks_credentialsInHeadersAreMasked(t *testing.T) {
	s := newServer(t)
	full := value.Map("Authorization", "Bearer 0123456789abcdef", "X-Api-Key", "short", "X-Team", "Alpha")
	masked := value.Map("Authorization", "********cdef", "X-Api-Key", "********", "X-Team", "Alpha")
	hook := s.create("webhooks", "name", "Masked", "url", receiver, "headers", full)
	wantEqual(t, "headers on create", at(hook, "headers"), full)
	wantEqual(t, "headers on show", s.want(200, "GET", hookPath(hook), nil).at("data", "headers"), masked)
	sent := masked.Clone()
	sent.Set("X-Team", "Bravo")
	wantEqual(t, "headers on update", s.want(200, "PUT", hookPath(hook), value.Map("headers", sent)).at("data", "headers"), sent)

	stored, err := s.store.Webhook(t.Context(), 1, id(hook))
	if err != nil {
		t.Fatal(err)
	}
	want := []bugle.Header{{Name: "Authorization", Value: "Bearer 0123456789abcdef"}, {Name: "X-Api-Key", Value: "short"}, {Name: "X-Team", Value: "Bravo"}}
	if fmt.Sprint(stored.Headers) != fmt.Sprint(want) {
		t.Errorf("stored headers are %v, want %v", stored.Headers, want)
	}
	s.want(200, "PUT", hookPath(hook), value.Map("headers", value.Map("authorization", "Bearer fedcba9876543210")))
	wantEqual(t, "headers once replaced", s.want(200, "GET", hookPath(hook), nil).at("data", "headers"), value.Map("authorization", "********3210"))
}

func TestWebhooks_rotateSecret(t *testing.T) {
	s := newServer(t)
	const old, given = "0123456789abcdef0123456789abcdef", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	after := func(d time.Duration) string { return bugle.FormatTime(storetest.Start.Add(d)) }
	for _, test := range []struct {
		body, secret, until string // no secret: a random one; no until: the old one ends at once
	}{
		{"", "", after(24 * time.Hour)},
		{"{}", "", after(24 * time.Hour)},
		{`{"secret":null}`, "", after(24 * time.Hour)},
		{`{"secret":"` + given + `"}`, given, after(24 * time.Hour)},
		{`{"keep_old_seconds":0}`, "", ""},
		{`{"keep_old_seconds":1}`, "", after(time.Second)},
		{`{"keep_old_seconds":2592000,"secret":"` + given + `"}`, given, after(30 * 24 * time.Hour)},
		{`{"secret":"` + old + `"}`, old, ""},
	} {
		hook := s.create("webhooks", "name", "Rotated", "url", receiver, "secret", old)
		a := s.want(200, "POST", hookPath(hook, "rotate-secret"), test.body)
		secret, _ := a.at("data", "secret").(string)
		if test.secret == "" && (len(secret) != 32 || secret == old) || test.secret != "" && secret != test.secret {
			t.Errorf("%s: secret is %q, want %q", test.body, secret, test.secret)
		}
		var oldSecret, until any
		if test.until != "" {
			oldSecret, until = old, test.until
		}
		wantEqual(t, test.body, s.want(200, "GET", hookPath(hook, "secret"), nil).data(t), value.Map("secret", secret, "old_secret", oldSecret, "old_secret_until", until))
	}
	hook := s.create("webhooks", "name", "Rotated", "url", receiver, "secret", old)
	for field, values := range map[string][]string{
		"keep_old_seconds": {"-1", "2592001", "1.5", `"60"`, "null", "true", "[]"},
		"secret":           {`""`, `"  "`, "5", "[]", `"` + strings.Repeat("x", 256) + `"`},
	} {
		for _, v := range values {
			s.do("POST", hookPath(hook, "rotate-secret"), `{"`+field+`":`+v+`}`).wantInvalid(t, field)
		}
	}
	wantEqual(t, "secret", s.secret(hook), old)

	// The old secret ends on time, and a second rotation forgets the first.
	s.want(200, "POST", hookPath(hook, "rotate-secret"), `{"secret":"second","keep_old_seconds":60}`)
	s.want(200, "POST", hookPath(hook, "rotate-secret"), `{"secret":"third","keep_old_seconds":60}`)
	wantEqual(t, "old secret", s.want(200, "GET", hookPath(hook, "secret"), nil).at("data", "old_secret"), "second")
	s.clock.Advance(time.Minute)
	wantEqual(t, "secrets after a minute", s.want(200, "GET", hookPath(hook, "secret"), nil).data(t), value.Map("secret", "third", "old_secret", nil, "old_secret_until", nil))
}

func TestWebhooks_transitions(t *testing.T) {
	s := newServer(t)
	hook := s.create("webhooks", "name", "x", "url", receiver)
	for _, test := range []struct{ from, action, to string }{
		{"active", "pause", "paused"}, {"active", "resume", "active"}, {"active", "enable", "active"}, {"active", "disable", "disabled"},
		{"paused", "pause", "paused"}, {"paused", "resume", "active"}, {"paused", "enable", "active"}, {"paused", "disable", "disabled"},
		{"disabled", "pause", ""}, {"disabled", "resume", ""}, {"disabled", "enable", "active"}, {"disabled", "disable", "disabled"},
	} {
		s.want(200, "PUT", hookPath(hook), value.Map("status", test.from))
		a := s.do("POST", hookPath(hook, test.action), nil)
		want := test.to
		if want == "" {
			a.wantError(t, 409, "ConflictHttpException", "The request conflicts with the current state: "+test.action+" webhook 1, which is disabled.")
			want = test.from
		} else {
			a.wantStatus(t, 200)
			wantEqual(t, "status", a.at("data", "status"), want)
		}
		wantEqual(t, test.action+" from "+test.from, s.want(200, "GET", hookPath(hook), nil).at("data", "status"), want)
	}
}

func TestWebhooks_test(t *testing.T) {
	s := newServer(t)
	hook := s.create("webhooks", "name", "x", "url", receiver) // which subscribes to nothing
	for i, test := range []struct {
		body string
		want any // data of the payload
		bare bool
	}{
		{body: "", want: value.Map("status", "ok")},
		{body: "{}", want: value.Map("status", "ok")},
		{body: `{"payload":{"a":{"b":[1,2.5,null,"Ü/"]}}}`, want: value.Map("a", value.Map("b", value.List(1, 2.5, nil, "Ü/")))},
		{body: `{"payload":[1,2]}`, want: value.List(1, 2)},
		{body: `{"payload":{}}`, want: value.List()},
		{body: `{"payload":"text"}`, bare: true},
		{body: `{"payload":5}`, bare: true},
		{body: `{"payload":false}`, bare: true},
		{body: `{"payload":null}`, bare: true},
	} {
		a := s.want(202, "POST", hookPath(hook, "test"), test.body)
		d := a.data(t)
		request, trace := a.header.Get("X-Perscom-Request-Id"), a.header.Get("X-Perscom-Trace-Id")
		now := bugle.FormatTime(storetest.Start)
		wantEqual(t, "delivery", d, value.Map("id", i+1, "webhook_id", at(hook, "id"), "channel", nil, "event", "webhook.test", "event_id", i+1, "automation_log_id", nil,
			"request_id", request, "trace_id", trace, "state", "pending", "attempts_count", 0, "next_attempt_at", now,
			"status_code", nil, "duration_ms", nil, "error", nil, "created_at", now, "finished_at", nil, "sequence", i+1))
		want := value.Map("event", "webhook.test", "created", now, "request_id", request, "trace_id", trace)
		if !test.bare {
			want.Set("data", test.want)
			want.Set("changes", nil)
		}
		wantEqual(t, "payload of "+test.body, s.want(200, "GET", fmt.Sprint("deliveries/", i+1), nil).at("data", "payload"), want)
	}
	long := `{"payload":"` + strings.Repeat("x", 256<<10-1) + `"}`
	s.do("POST", hookPath(hook, "test"), long).wantInvalid(t, "payload")
	s.want(202, "POST", hookPath(hook, "test"), strings.Replace(long, "x", "", 1))

	s.want(200, "POST", hookPath(hook, "pause"), nil)
	wantEqual(t, "state on a paused webhook", s.want(202, "POST", hookPath(hook, "test"), nil).at("data", "state"), "pending")
	s.want(200, "POST", hookPath(hook, "disable"), nil)
	_, before := s.deliveries()
	s.do("POST", hookPath(hook, "test"), nil).wantError(t, 409, "ConflictHttpException", "The request conflicts with the current state: test webhook 1, which is disabled.")
	if _, after := s.deliveries(); after != before {
		t.Errorf("a disabled webhook has %d more deliveries", after-before)
	}
}

func TestWebhooks_deleteKeepsTheLog(t *testing.T) {
	s := newServer(t)
	hook := s.create("webhooks", "name", "x", "url", receiver, "events", value.List("calendar.created"))
	s.create("calendars", "name", "Operations", "color", "#2563eb")
	before := s.want(200, "GET", hookPath(hook), nil).data(t)
	wantEqual(t, "the deleted webhook", s.want(200, "DELETE", hookPath(hook), nil).data(t), before)
	for _, request := range []string{"GET", "PUT", "DELETE", "POST test", "GET secret", "POST rotate-secret", "POST pause", "POST enable"} {
		method, action, _ := strings.Cut(request, " ")
		s.do(method, strings.TrimSuffix(hookPath(hook, action), "/"), nil).wantNotFound(t)
	}
	wantEqual(t, "webhooks", s.want(200, "GET", "webhooks", nil).at("meta", "total"), 0)
	wantEqual(t, "deliveries", s.want(200, "GET", "deliveries?webhook_id=1", nil).at("meta", "total"), 1)
	s.create("calendars", "name", "Training", "color", "#2563eb")
	wantEqual(t, "deliveries after it is gone", s.want(200, "GET", "deliveries", nil).at("meta", "total"), 1)
}

func TestWebhooks_batch(t *testing.T) {
	s := newServer(t)
	batch := func(status int, method, resources string) *answer {
		t.Helper()
		return s.want(status, method, "webhooks/batch", `{"resources":`+resources+`}`)
	}
	hook := `{"name":"x","url":"` + receiver + `"}`
	wantEqual(t, "created", len(batch(200, "POST", "["+hook+","+hook+"]").items(t)), 2)
	a := batch(422, "POST", `{"a":`+hook+`,"b":{"name":"x","url":"x","events":["y"]}}`)
	a.wantInvalid(t, "resources.b.url", "resources.b.events.0")
	wantEqual(t, "webhooks", s.want(200, "GET", "webhooks", nil).at("meta", "total"), 2)
	a = batch(200, "PATCH", `{"2":{"name":"two"},"99":{"name":"none"},"1":{"name":"one"}}`)
	wantEqual(t, "first", a.at("data", "0", "name"), "two")
	wantEqual(t, "second", a.at("data", "1", "name"), "one")
	batch(422, "PATCH", `{"1":{"name":"changed"},"2":{"name":""}}`).wantInvalid(t, "resources.2.name")
	wantEqual(t, "name", s.want(200, "GET", "webhooks/1", nil).at("data", "name"), "one")
	wantEqual(t, "deleted", len(batch(200, "DELETE", `[1,99,"2"]`).items(t)), 2)
	wantEqual(t, "webhooks", s.want(200, "GET", "webhooks", nil).at("meta", "total"), 0)
}

func TestWebhooks_ofAnotherOrganization(t *testing.T) {
	s := newServer(t)
	hook := s.create("webhooks", "name", "x", "url", receiver, "events", value.List("calendar.created"))
	other := s.another()
	for _, request := range []string{"GET", "PUT", "PATCH", "DELETE", "POST test", "GET secret", "POST rotate-secret", "POST pause", "POST resume", "POST enable", "POST disable"} {
		method, action, _ := strings.Cut(request, " ")
		other.do(method, strings.TrimSuffix(hookPath(hook, action), "/"), nil).wantNotFound(t)
	}
	wantEqual(t, "another's list", other.want(200, "GET", "webhooks", nil).at("meta", "total"), 0)
	for _, method := range []string{"PATCH", "DELETE"} {
		wantEqual(t, "another's batch", other.want(200, method, "webhooks/batch", value.Map("resources",
			map[string]*value.Array{"PATCH": value.Map(at(hook, "id"), value.Map()), "DELETE": value.List(at(hook, "id"))}[method])).at("data"), value.List())
	}
	other.create("calendars", "name", "Theirs", "color", "#2563eb")
	wantEqual(t, "deliveries of another's change", s.want(200, "GET", "deliveries", nil).at("meta", "total"), 0)
	s.create("calendars", "name", "Ours", "color", "#2563eb")
	for _, request := range []string{"GET deliveries/1", "POST deliveries/1/redeliver", "POST deliveries/1/cancel"} {
		method, path, _ := strings.Cut(request, " ")
		other.do(method, path, nil).wantNotFound(t)
	}
	wantEqual(t, "another's deliveries", other.want(200, "GET", fmt.Sprint("deliveries?webhook_id=", id(hook)), nil).at("meta", "total"), 0)
}

func TestWebhooks_search(t *testing.T) {
	s := newServer(t)
	s.create("webhooks", "name", "Discord relay", "url", receiver, "events", value.List("user.created"))
	s.create("webhooks", "name", "Sheet", "url", "https://sheet.example.com", "method", "get", "status", "paused", "description", "100%_sure")
	for query, want := range map[string]int64{"": 2, "?status=paused": 1, "?status=disabled": 0, "?event=user.created": 1, "?event=user.deleted": 0} {
		wantEqual(t, query, s.want(200, "GET", "webhooks"+query, nil).at("meta", "total"), want)
	}
	filter := func(field, v any) *value.Array {
		return value.Map("filters", value.List(value.Map("field", field, "operator", "=", "value", v)))
	}
	for i, tc := range []struct {
		body *value.Array
		want int64
	}{
		{value.NewArray(0), 2},
		{value.Map("search", value.Map("value", "RELAY")), 1},
		{value.Map("search", value.Map("value", "sheet.example")), 1},
		{value.Map("search", value.Map("value", "0%_s")), 1},
		{value.Map("search", value.Map("value", "%")), 1},
		{filter("status", "active"), 1}, {filter("method", "get"), 1}, {filter("event", "user.created"), 1}, {filter("event", "x"), 0},
	} {
		wantEqual(t, fmt.Sprint("search ", i), s.want(200, "POST", "webhooks/search", tc.body).at("meta", "total"), tc.want)
	}
	s.want(422, "GET", "webhooks?status=asleep", nil)
	for _, bad := range []*value.Array{filter("url", "x"), filter("status", 5), value.Map("filters", 5), value.Map("search", value.Map("value", 1)),
		value.Map("filters", value.List(value.Map("field", "status", "operator", "!=", "value", "active")))} {
		s.want(422, "POST", "webhooks/search", bad)
	}
}
