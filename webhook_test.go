package bugle

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/buglehq/bugle/value"
)

var knownEvents = []string{"calendar.created", "calendar.updated", "user.created", "webhook.test"}

// existing is a webhook that a request is to change.
func existing() Webhook {
	w := NewWebhook()
	w.Name, w.URL, w.Secret = "Old", "https://example.com/old", "abcdefghijklmnopqrstuvwxyz012345"
	w.Headers = []Header{{Name: "Authorization", Value: "Bearer abcdefghijklmnop"}, {Name: "X-Unit", Value: "1st Squad"}}
	return w
}

// set gives a webhook the fields of a JSON object.
func set(t *testing.T, w *Webhook, creating bool, text string) error {
	t.Helper()
	fields, err := value.Decode([]byte(text))
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return w.Set(fields.(*value.Array), creating, knownEvents)
}

func wantProblems(t *testing.T, err error, fields ...string) {
	t.Helper()
	var got []string
	if invalid, ok := err.(*InvalidError); ok {
		for _, p := range invalid.Problems {
			got = append(got, p.Field)
			if !strings.HasSuffix(p.Reason, ".") && !strings.HasSuffix(p.Reason, "?") {
				t.Errorf("the reason for %s is no sentence: %q", p.Field, p.Reason)
			}
		}
	} else if err != nil {
		t.Fatalf("error is %v, want an InvalidError", err)
	}
	if !slices.Equal(got, fields) {
		t.Errorf("problems are with %q, want %q: %v", got, fields, err)
	}
}

func quoted(n int) string { return `"` + strings.Repeat("x", n) + `"` }

func TestWebhook_Set_takesFieldsOver(t *testing.T) {
	tests := []struct {
		sent string
		want func(w *Webhook)
	}{
		{`{}`, func(w *Webhook) {}},
		{`{"unknown": 5, "id": 9, "organization_id": 9, "health": {}}`, func(w *Webhook) {}},
		{`{"name": "New"}`, func(w *Webhook) { w.Name = "New" }},
		{`{"name": ` + quoted(255) + `}`, func(w *Webhook) { w.Name = strings.Repeat("x", 255) }},
		{`{"description": "<p>"}`, func(w *Webhook) { w.Description = "<p>" }},
		{`{"description": null}`, func(w *Webhook) {}},
		{`{"url": "http://example.com:8080/a?b=c"}`, func(w *Webhook) { w.URL = "http://example.com:8080/a?b=c" }},
		{`{"url": "https://[2001:db8::1]/ü"}`, func(w *Webhook) { w.URL = "https://[2001:db8::1]/ü" }},
		{`{"method": "GET"}`, func(w *Webhook) { w.Method = "get" }},
		{`{"method": "post"}`, func(w *Webhook) {}},
		{`{"events": []}`, func(w *Webhook) {}},
		{`{"events": ["user.created", "webhook.test", "user.created"]}`, func(w *Webhook) { w.Events = []string{"user.created", "webhook.test"} }},
		{`{"secret": "whsec_MTIz"}`, func(w *Webhook) { w.Secret = "whsec_MTIz" }},
		{`{"secret": "` + Mask(existing().Secret) + `"}`, func(w *Webhook) {}},
		{`{"status": "paused"}`, func(w *Webhook) { w.Status = Paused }},
		{`{"status": "disabled"}`, func(w *Webhook) { w.Status = Disabled }},
		{`{"timeout_seconds": 1}`, func(w *Webhook) { w.TimeoutSeconds = 1 }},
		{`{"timeout_seconds": 30}`, func(w *Webhook) { w.TimeoutSeconds = 30 }},
		{`{"max_attempts": 100}`, func(w *Webhook) { w.MaxAttempts = 100 }},
		{`{"retry_schedule": [1, 604800]}`, func(w *Webhook) { w.RetrySchedule = []int{1, 604800} }},
		{`{"max_concurrency": 100}`, func(w *Webhook) { w.MaxConcurrency = 100 }},
		{`{"rate_per_second": 0.01}`, func(w *Webhook) { w.RatePerSecond = 0.01 }},
		{`{"rate_per_second": 10000}`, func(w *Webhook) { w.RatePerSecond = 10000 }},
		{`{"rate_per_second": null}`, func(w *Webhook) {}},
		{`{"ordered": true}`, func(w *Webhook) { w.Ordered = true }},
		{`{"headers": {"X-A": "ü", "7": ""}}`, func(w *Webhook) { w.Headers = []Header{{"X-A", "ü"}, {"7", ""}} }},
		{`{"headers": {}}`, func(w *Webhook) { w.Headers = []Header{} }},
		{`{"headers": null}`, func(w *Webhook) { w.Headers = []Header{} }},
		{`{"headers": {"authorization": "********mnop", "X-Unit": "2nd"}}`, func(w *Webhook) {
			w.Headers = []Header{{"authorization", "Bearer abcdefghijklmnop"}, {"X-Unit", "2nd"}}
		}},
		{`{"headers": {"Authorization": "*********mnoq"}}`, func(w *Webhook) { w.Headers = []Header{{"Authorization", "*********mnoq"}} }},
	}
	for _, test := range tests {
		t.Run(test.sent[:min(len(test.sent), 40)], func(t *testing.T) {
			got, want := existing(), existing()
			test.want(&want)
			wantProblems(t, set(t, &got, false, test.sent))
			if !reflect.DeepEqual(got, want) {
				t.Errorf("%s gives\n     %+v\nwant %+v", test.sent, got, want)
			}
		})
	}
}

func TestWebhook_Set_refuses(t *testing.T) {
	tests := []struct{ sent, field string }{
		{`{"name": ""}`, "name"},
		{`{"name": " "}`, "name"},
		{`{"name": null}`, "name"},
		{`{"name": 5}`, "name"},
		{`{"name": "a\u0000b"}`, "name"},
		{`{"headers": {"X-Unit": "1", "x-unit": "2"}}`, "headers.x-unit"},
		{`{"name": ` + quoted(256) + `}`, "name"},
		{`{"description": 5}`, "description"},
		{`{"description": ` + quoted(65536) + `}`, "description"},
		{`{"url": null}`, "url"},
		{`{"url": ""}`, "url"},
		{`{"url": ["https://example.com"]}`, "url"},
		{`{"url": "example.com"}`, "url"},
		{`{"url": "ftp://example.com"}`, "url"},
		{`{"url": "javascript:alert(1)"}`, "url"},
		{`{"url": "https://"}`, "url"},
		{`{"url": "https:///path"}`, "url"},
		{`{"url": "https://:443/"}`, "url"},
		{`{"url": "https://user:password@example.com"}`, "url"},
		{`{"url": "https://user@example.com"}`, "url"},
		{`{"url": "https://example.com/a b"}`, "url"},
		{`{"url": "https://example.com/\n"}`, "url"},
		{`{"url": "https://example.com/#part"}`, "url"},
		{`{"url": "https://example.com:port/"}`, "url"},
		{`{"url": "https://example.com/` + strings.Repeat("x", 2048) + `"}`, "url"},
		{`{"method": "put"}`, "method"},
		{`{"method": null}`, "method"},
		{`{"events": "user.created"}`, "events"},
		{`{"events": {"a": "user.created"}}`, "events"},
		{`{"events": null}`, "events"},
		{`{"events": ["user.created", "user.creatd"]}`, "events.1"},
		{`{"events": [5]}`, "events.0"},
		{`{"events": ["*"]}`, "events.0"},
		{`{"field_policy": "email"}`, "field_policy"},
		{`{"field_policy": {"email": "drop"}}`, "field_policy"},
		{`{"field_policy": [` + strings.TrimSuffix(strings.Repeat(`{"preset":"contact","action":"drop"},`, 101), ",") + `]}`, "field_policy"},
		{`{"field_policy": ["email"]}`, "field_policy.0"},
		{`{"field_policy": [{"action": "drop"}]}`, "field_policy.0"},
		{`{"field_policy": [{"attribute": "a", "preset": "contact", "action": "drop"}]}`, "field_policy.0"},
		{`{"field_policy": [{"attribute": "a", "action": "drop"}, {"attribute": "b"}]}`, "field_policy.1.action"},
		{`{"field_policy": [{"attribute": "a", "action": "remove"}]}`, "field_policy.0.action"},
		{`{"field_policy": [{"attribute": "a", "action": 5}]}`, "field_policy.0.action"},
		{`{"field_policy": [{"attribute": " ", "action": "drop"}]}`, "field_policy.0.attribute"},
		{`{"field_policy": [{"attribute": 5, "action": "drop"}]}`, "field_policy.0.attribute"},
		{`{"field_policy": [{"attribute": ".email", "action": "drop"}]}`, "field_policy.0.attribute"},
		{`{"field_policy": [{"attribute": "user..email", "action": "drop"}]}`, "field_policy.0.attribute"},
		{`{"field_policy": [{"attribute": "a.b.c.d.e.f.g.h.i", "action": "drop"}]}`, "field_policy.0.attribute"},
		{`{"field_policy": [{"attribute": "a\nb", "action": "drop"}]}`, "field_policy.0.attribute"},
		{`{"field_policy": [{"attribute": ` + quoted(201) + `, "action": "drop"}]}`, "field_policy.0.attribute"},
		{`{"field_policy": [{"attribute": "Email", "action": "drop"}, {"attribute": "email", "action": "hash"}]}`, "field_policy.1.attribute"},
		{`{"field_policy": [{"preset": "contact", "action": "drop"}, {"preset": "contact", "action": "drop"}]}`, "field_policy.1.preset"},
		{`{"field_policy": [{"preset": "contacts", "action": "drop"}]}`, "field_policy.0.preset"},
		{`{"field_policy": [{"attribute": "a", "action": "drop", "keys": 1}]}`, "field_policy.0.keys"},
		{`{"secret": ""}`, "secret"},
		{`{"secret": null}`, "secret"},
		{`{"secret": ` + quoted(256) + `}`, "secret"},
		{`{"status": "off"}`, "status"},
		{`{"status": true}`, "status"},
		{`{"timeout_seconds": 0}`, "timeout_seconds"},
		{`{"timeout_seconds": 31}`, "timeout_seconds"},
		{`{"timeout_seconds": 1.5}`, "timeout_seconds"},
		{`{"timeout_seconds": "10"}`, "timeout_seconds"},
		{`{"max_attempts": 0}`, "max_attempts"},
		{`{"max_attempts": 101}`, "max_attempts"},
		{`{"max_attempts": null}`, "max_attempts"},
		{`{"retry_schedule": []}`, "retry_schedule"},
		{`{"retry_schedule": 5}`, "retry_schedule"},
		{`{"retry_schedule": [1` + strings.Repeat(",1", 100) + `]}`, "retry_schedule"},
		{`{"retry_schedule": [5, 0]}`, "retry_schedule.1"},
		{`{"retry_schedule": [604801]}`, "retry_schedule.0"},
		{`{"retry_schedule": ["5"]}`, "retry_schedule.0"},
		{`{"max_concurrency": 0}`, "max_concurrency"},
		{`{"max_concurrency": 101}`, "max_concurrency"},
		{`{"rate_per_second": 0}`, "rate_per_second"},
		{`{"rate_per_second": 0.009}`, "rate_per_second"},
		{`{"rate_per_second": 10001}`, "rate_per_second"},
		{`{"rate_per_second": "5"}`, "rate_per_second"},
		{`{"ordered": 1}`, "ordered"},
		{`{"ordered": null}`, "ordered"},
		{`{"headers": ["X-A: b"]}`, "headers"},
		{`{"headers": "X-A: b"}`, "headers"},
		{`{"headers": {"X A": "b"}}`, "headers.X A"},
		{`{"headers": {"X-A": 5}}`, "headers.X-A"},
		{`{"headers": {"X-A": "a\r\nX-B: c"}}`, "headers.X-A"},
		{`{"headers": {"X-A": ` + quoted(4097) + `}}`, "headers.X-A"},
		{`{"headers": {"Signature": "forged"}}`, "headers.Signature"},
		{`{"headers": {"webhook-ID": "forged"}}`, "headers.webhook-ID"},
		{`{"headers": {"host": "internal"}}`, "headers.host"},
		{`{"headers": {"content-length": "5"}}`, "headers.content-length"},
		{`{"headers": {"Authorization": "********mnoq"}}`, "headers.Authorization"},
		{`{"headers": {"X-Key": "********mnop"}}`, "headers.X-Key"},
		{`{"secret": "********2344"}`, "secret"},
		{`{"secret": "********"}`, "secret"},
	}
	for _, test := range tests {
		t.Run(test.sent[:min(len(test.sent), 40)], func(t *testing.T) {
			w := existing()
			wantProblems(t, set(t, &w, false, test.sent), test.field)
		})
	}
	tooMany := value.NewArray(0)
	for i := range maxHeaders + 1 {
		tooMany.Set("X-"+strings.Repeat("a", i+1), "?")
	}
	w := existing()
	wantProblems(t, w.Set(value.Map("headers", tooMany), false, nil), "headers")
}

func TestWebhook_Set_fieldPolicy(t *testing.T) {
	w := NewWebhook()
	take := func(text string) {
		t.Helper()
		if err := set(t, &w, false, text); err != nil {
			t.Fatal(err)
		}
	}
	take(`{"field_policy": []}`)
	if w.PolicyKey != "" {
		t.Error("it has a key without a policy")
	}
	take(`{"field_policy": [{"attribute": "user.email", "action": "hash"}, {"preset": "free_text", "action": "drop"}, {"attribute": "Größe in cm", "action": "drop"}]}`)
	want := []FieldRule{{Attribute: "user.email", Action: HashField}, {Preset: "free_text", Action: DropField}, {Attribute: "Größe in cm", Action: DropField}}
	if !slices.Equal(w.FieldPolicy, want) || len(w.PolicyKey) != 43 {
		t.Errorf("the policy is %+v with a key of %d characters", w.FieldPolicy, len(w.PolicyKey))
	}
	key := w.PolicyKey
	take(`{"name": "other"}`)
	if !slices.Equal(w.FieldPolicy, want) {
		t.Errorf("another field changed the policy to %+v", w.FieldPolicy)
	}
	take(`{"field_policy": null}`)
	take(`{"field_policy": [{"attribute": "a", "action": "hash"}]}`)
	if len(w.FieldPolicy) != 1 || w.PolicyKey != key {
		t.Errorf("after it was removed and set again it is %+v, and the key another: %t", w.FieldPolicy, w.PolicyKey != key)
	}
}

func TestWebhook_Set_creating(t *testing.T) {
	w := NewWebhook()
	wantProblems(t, set(t, &w, true, `{}`), "name", "url")
	w = NewWebhook()
	secret := w.Secret
	wantProblems(t, set(t, &w, true, `{"name": "New", "url": "https://example.com"}`))
	if w.Secret != secret || len(secret) != 32 || w.Method != "post" || w.Status != Active || w.MaxAttempts != 9 || w.TimeoutSeconds != 10 {
		t.Errorf("the new webhook is %+v", w)
	}
}

func TestWebhook_Set_reportsEverything(t *testing.T) {
	w := existing()
	err := set(t, &w, false, `{"ordered": 1, "name": "", "url": "nowhere", "events": ["a", "user.created", "b"], "max_attempts": 0, "headers": {"A B": "", "Host": ""}}`)
	wantProblems(t, err, "name", "url", "events.0", "events.2", "max_attempts", "ordered", "headers.A B", "headers.Host")
	err = set(t, &w, false, `{"events": ["user.creatd"]}`)
	if want := `The events field holds an unknown event: "user.creatd". Did you mean user.created?`; err.Error() != want {
		t.Errorf("error is %q, want %q", err, want)
	}
}

// What is set must not be shared with what other webhooks have.
func TestNewWebhook_sharesNothing(t *testing.T) {
	first, second := NewWebhook(), NewWebhook()
	if first.Secret == second.Secret {
		t.Error("two webhooks have the same secret")
	}
	first.RetrySchedule[0] = 77
	if second.RetrySchedule[0] == 77 || DefaultRetrySchedule[0] == 77 {
		t.Error("two webhooks share a retry schedule")
	}
}

func TestMask(t *testing.T) {
	for secret, want := range map[string]string{
		"":                     "********",
		"short":                "********",
		"fifteen letters":      "********",
		"sixteen letters!":     "********ers!",
		"0123456789abcdefüüü":  "********üü",
		"0123456789abcdef🙂ü":   "********",
		"0123456789abcdefghij": "********ghij",
	} {
		if got := Mask(secret); got != want {
			t.Errorf("%q is masked as %q, want %q", secret, got, want)
		}
	}
}

func TestMaskHeader(t *testing.T) {
	const credential = "Bearer abcdefghijkl"
	for name, masked := range map[string]bool{
		"Authorization": true, "proxy-authorization": true, "X-API-Key": true, "X-Token": true, "Cookie": true, "X-Secret-Thing": true,
		"X-Unit": false, "Accept": false, "User-Agent": false,
	} {
		h := MaskHeader(Header{name, credential})
		if h.Name != name || (h.Value == credential) == masked {
			t.Errorf("%s shows as %q", name, h.Value)
		}
	}
}

func TestWebhook_RetryDelay(t *testing.T) {
	w := Webhook{RetrySchedule: []int{10, 100}}
	tests := []struct {
		n      int
		jitter float64
		want   time.Duration
	}{
		{1, 0, 10 * time.Second},
		{2, 0, 100 * time.Second},
		{3, 0, 100 * time.Second},
		{99, 0, 100 * time.Second},
		{1, 1, 11 * time.Second},
		{1, -1, 9 * time.Second},
		{2, 0.5, 105 * time.Second},
	}
	for _, test := range tests {
		if got := w.RetryDelay(test.n, test.jitter); got != test.want {
			t.Errorf("after attempt %d with jitter %v: %s, want %s", test.n, test.jitter, got, test.want)
		}
	}
	if got := (&Webhook{}).RetryDelay(1, 1); got != 0 {
		t.Errorf("without a schedule: %s", got)
	}
}

func TestHealth(t *testing.T) {
	at := time.Date(2026, 1, 14, 12, 0, 0, 0, time.UTC)
	var h Health
	wantState := func(want HealthState, slots int) {
		t.Helper()
		w := Webhook{Health: h, MaxConcurrency: 4}
		if h.State() != want || w.Slots(w.Health) != slots {
			t.Errorf("after %d failures: %s with %d slots, want %s with %d", h.ConsecutiveFailures, h.State(), w.Slots(w.Health), want, slots)
		}
	}
	wantState(Healthy, 4)
	for n := range TripAfter {
		if n > 0 {
			wantState(Failing, 4)
		}
		h = h.After(false, at)
	}
	wantState(Tripped, 1)
	h = h.After(false, at.Add(time.Second))
	wantState(Tripped, 1)
	h = h.After(true, at.Add(2*time.Second))
	wantState(Healthy, 4)
	if want := (Health{LastSuccessAt: at.Add(2 * time.Second), LastFailureAt: at.Add(time.Second)}); h != want {
		t.Errorf("health is %+v, want %+v", h, want)
	}
	if w := (Webhook{MaxConcurrency: 4, Ordered: true}); w.Slots(w.Health) != 1 {
		t.Errorf("an ordered webhook has %d slots", w.Slots(w.Health))
	}
}

// Whatever JSON is sent, the webhook is refused, or within its limits.
func FuzzWebhook_Set(f *testing.F) {
	f.Add(`{"name": "?", "url": "https://example.com", "headers": {"A": "b"}, "retry_schedule": [5]}`, true)
	f.Add(`{"events": ["user.created", {}], "rate_per_second": 1e-300}`, false)
	f.Add(`{"headers": {"0": "a"}, "secret": "********2345"}`, false)
	f.Fuzz(func(t *testing.T, text string, creating bool) {
		decoded, err := value.Decode([]byte(text))
		fields, ok := decoded.(*value.Array)
		if err != nil || !ok {
			t.Skip("the fuzzer made what is no JSON object")
		}
		w := existing()
		if err := w.Set(fields, creating, knownEvents); err != nil {
			if invalid, ok := err.(*InvalidError); !ok || len(invalid.Problems) == 0 {
				t.Fatalf("error is %#v", err)
			}
			return
		}
		switch {
		case w.Name == "" || len(w.Name) > 255, checkURL(w.URL) != "", w.Method != "get" && w.Method != "post", w.Secret == "" || len(w.Secret) > 255,
			!slices.Contains(WebhookStatuses, w.Status), w.TimeoutSeconds < 1 || w.TimeoutSeconds > 30, w.MaxAttempts < 1 || w.MaxAttempts > 100,
			len(w.RetrySchedule) == 0 || slices.Min(w.RetrySchedule) < 1, w.MaxConcurrency < 1 || w.MaxConcurrency > 100,
			w.RatePerSecond != 0 && (w.RatePerSecond < 0.01 || w.RatePerSecond > 10000), len(w.Headers) > maxHeaders:
			t.Fatalf("%s gives %+v", text, w)
		}
		for _, e := range w.Events {
			if !slices.Contains(knownEvents, e) {
				t.Fatalf("%s subscribes to %q", text, e)
			}
		}
		// A second time it is what the webhook has already.
		again := w
		if err := again.Set(fields, false, knownEvents); err != nil || !reflect.DeepEqual(again, w) {
			t.Fatalf("%s gives %+v the second time, %v, and %+v the first", text, again, err, w)
		}
	})
}

// The old secret signs beside the new one for as long as it is kept.
func TestWebhook_RotateSecret(t *testing.T) {
	now := time.Date(2026, 1, 14, 12, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		secret    string
		keep      time.Duration
		want, old string // ? is a random one
		invalid   string // the field
	}{
		{"new", time.Hour, "new", "first", ""},
		{"new", 0, "new", "", ""},
		{"", MaxKeepSecret, "?", "first", ""},
		{"first", time.Hour, "first", "", ""},
		{"new", -time.Second, "", "", "keep_old_seconds"},
		{"new", MaxKeepSecret + time.Second, "", "", "keep_old_seconds"},
		{strings.Repeat("x", 256), 0, "", "", "secret"},
	} {
		w := NewWebhook()
		w.Secret, w.OldSecret, w.OldSecretUntil = "first", "older", now
		err := w.RotateSecret(tt.secret, tt.keep, now)
		var invalid *InvalidError
		if tt.invalid != "" {
			if !errors.As(err, &invalid) || invalid.Problems[0].Field != tt.invalid {
				t.Errorf("%q, %v: %v", tt.secret, tt.keep, err)
			}
			continue
		}
		isRandom := tt.want == "?" && len(w.Secret) == 32
		if err != nil || w.Secret != tt.want && !isRandom || w.OldSecret != tt.old || tt.old != "" && !w.OldSecretUntil.Equal(now.Add(tt.keep)) || tt.old == "" && !w.OldSecretUntil.IsZero() {
			t.Errorf("%q, %v: %q, before %q until %v, %v", tt.secret, tt.keep, w.Secret, w.OldSecret, w.OldSecretUntil, err)
		}
	}
	if secret, keep, err := ReadRotation(value.Map("secret", nil)); secret != "" || keep != DefaultKeepSecret || err != nil {
		t.Errorf("%q, %v, %v", secret, keep, err)
	}
	if secret, keep, err := ReadRotation(value.Map("secret", "new", "keep_old_seconds", int64(60))); secret != "new" || keep != time.Minute || err != nil {
		t.Errorf("%q, %v, %v", secret, keep, err)
	}
	for _, bad := range []*value.Array{value.Map("secret", ""), value.Map("secret", int64(1)), value.Map("keep_old_seconds", nil), value.Map("keep_old_seconds", int64(-1))} {
		if _, _, err := ReadRotation(bad); err == nil {
			t.Errorf("%v is read", bad)
		}
	}
}

func TestWebhook_status(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(w *Webhook) error
		want   map[WebhookStatus]WebhookStatus // by the one before; the others are conflicts
	}{
		{"pause", (*Webhook).Pause, map[WebhookStatus]WebhookStatus{Active: Paused, Paused: Paused}},
		{"resume", (*Webhook).Resume, map[WebhookStatus]WebhookStatus{Active: Active, Paused: Active}},
		{"disable", (*Webhook).Disable, map[WebhookStatus]WebhookStatus{Active: Disabled, Paused: Disabled, Disabled: Disabled}},
		{"enable", (*Webhook).Enable, map[WebhookStatus]WebhookStatus{Active: Active, Paused: Active, Disabled: Active}},
	} {
		for _, status := range WebhookStatuses {
			w := Webhook{Status: status}
			err := tt.change(&w)
			want, can := tt.want[status]
			if can && (err != nil || w.Status != want) || !can && (!errors.Is(err, ErrConflict) || w.Status != status) {
				t.Errorf("%s one that is %s: %s, %v", tt.name, status, w.Status, err)
			}
		}
	}
}

// A lane that has tripped probes at growing pauses, and grows from one slot when its receiver is back.
func TestPace(t *testing.T) {
	at := time.Date(2026, 1, 14, 12, 0, 0, 0, time.UTC)
	w := &Webhook{MaxConcurrency: 5}
	var p Pace
	var h Health
	end := func(ok bool) {
		h = h.After(ok, at)
		p = p.After(ok, h, w, at)
	}
	want := func(what string, slots int, pause time.Duration) {
		t.Helper()
		wait := time.Duration(0)
		if !p.NextAt.IsZero() {
			wait = p.NextAt.Sub(at)
		}
		if got := p.Slots(w.Slots(h)); got != slots || wait != pause {
			t.Errorf("%s there are %d slots, after %s; want %d after %s", what, got, wait, slots, pause)
		}
	}
	want("at first", 5, 0)
	for range TripAfter - 1 {
		end(false)
	}
	want("before it trips", 5, 0)
	for _, pause := range []int{1, 2, 4, 8, 16, 32, 60, 60} {
		at = at.Add(time.Duration(pause) * time.Second)
		end(false)
		want("while it is down", 1, time.Duration(pause)*time.Second)
		end(false) // that was under way at the same time
		want("while it is down", 1, time.Duration(pause)*time.Second)
	}
	for range 100 { // no pause overflows
		at = at.Add(time.Hour)
		end(false)
	}
	want("after long", 1, time.Minute)
	for _, slots := range []int{2, 3, 4, 5, 5} {
		end(true)
		want("while it is back", slots, 0)
	}
	if p != (Pace{}) {
		t.Errorf("in the end the pace is %+v", p)
	}
	p = Pace{Limit: 4}
	end(false)
	want("when one fails while it grows", 2, 0)
	end(false)
	end(false)
	want("when more fail", 1, 0)
	w.Ordered = true
	for range 2 * TripAfter {
		end(false)
	}
	want("in an ordered lane, which its schedule paces,", 1, 0)
	w = &Webhook{MaxConcurrency: 1}
	end(false)
	end(true)
	if p != (Pace{}) {
		t.Errorf("of a lane with one slot the pace is %+v", p)
	}
}
