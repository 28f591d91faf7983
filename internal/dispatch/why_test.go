package dispatch_test

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/internal/dispatch"
	"github.com/buglehq/bugle/internal/storetest"
	"github.com/buglehq/bugle/personnel"
	"github.com/buglehq/bugle/value"
)

// Of each webhook and automation there is a sentence, and of conditions that were evaluated what their parts were.
func TestPreviewer_Why(t *testing.T) {
	s, clock := storetest.New(t)
	hook := func(name string, status bugle.WebhookStatus, events ...string) *bugle.Webhook {
		return storetest.AddWebhook(t, s, "https://example.com", func(w *bugle.Webhook) { w.Name, w.Status, w.Events = name, status, events })
	}
	target := hook("subscribed", bugle.Active, "user.created")
	hook("other", bugle.Active, "user.deleted")
	hook("paused", bugle.Paused, "user.created")
	hook("disabled", bugle.Disabled, "user.created")
	hook("disabled other", bugle.Disabled)
	rule := func(name string, fields ...any) {
		add(t, s, append([]any{"name", name, "trigger", "user.created", "webhook_id", target.ID}, fields...)...)
	}
	rule("always")
	rule("true", "condition", `model["name"] == "Jane" or model.nope`)
	rule("false", "condition", `model["name"] != "Jane" and model.nope`)
	rule("fails", "condition", `filled(model["name"]) and model.nope`)
	rule("skips", "webhook_payload_format", "text", "webhook_payload_template", "{% stop %}")
	rule("off", "enabled", false)
	rule("another", "trigger", "user.deleted")
	user := storetest.Create(t, s, &personnel.User, "name", "Jane", "email", "jane@example.com")
	e, err := s.NewestEvent(t.Context(), 1, "user.created")
	if err != nil || e.ResourceID != user.ID() {
		t.Fatal(e, err)
	}
	why := func() map[string]dispatch.Reason {
		logged, err := s.EventWithCounts(t.Context(), 1, e.ID)
		if err != nil {
			t.Fatal(err)
		}
		reasons, err := (&dispatch.Previewer{Store: s, Clock: clock}).Why(t.Context(), logged)
		if err != nil {
			t.Fatal(err)
		}
		byName := map[string]dispatch.Reason{}
		for _, r := range reasons {
			byName[r.Name] = r
		}
		return byName
	}
	if r := why()["true"]; r.Outcome != dispatch.StillPending || r.Text != "is still to be evaluated" || len(r.Parts) > 0 {
		t.Errorf("before the run: %+v", r)
	}
	settle(t, s, clock)
	clock.Advance(time.Hour)
	hook("late", bugle.Active, "user.created")
	rule("late rule")

	reasons := why()
	for name, want := range map[string]struct {
		outcome dispatch.Outcome
		text    string
	}{
		"subscribed":     {dispatch.Matched, "was to get the event: delivery 1 was made"},
		"other":          {dispatch.NotSubscribed, "does not subscribe to user.created"},
		"paused":         {dispatch.WasPaused, "is paused: delivery 2 was made, and waits if it was not sent before"},
		"disabled":       {dispatch.WasDisabled, "is disabled: no deliveries are made for it"},
		"disabled other": {dispatch.WasDisabled, "is disabled, and does not subscribe to user.created"},
		"late":           {dispatch.NotThen, "did not exist yet when the event happened: it was created on 2026-01-14 13:00 UTC"},
		"always":         {dispatch.Matched, "ran, as it has no condition: delivery 3 was made"},
		"true":           {dispatch.Matched, "ran, as its condition was true: delivery 4 was made"},
		"false":          {dispatch.ConditionFailed, "did nothing: its condition was false"},
		"fails":          {dispatch.Failed, `failed: condition: there is no key "nope" at line 1, column 33, in: filled(model["name"]) and model.nope`},
		"skips":          {dispatch.Matched, "ran, as it has no condition: but nothing was to be done: the template stopped by {% stop %}"},
		"off":            {dispatch.WasDisabled, "is disabled"},
		"another":        {dispatch.NotSubscribed, "has the trigger user.deleted, not user.created"},
		"late rule":      {dispatch.NotThen, "did not exist yet when the event happened: it was created on 2026-01-14 13:00 UTC"},
	} {
		if r := reasons[name]; r.Outcome != want.outcome || r.Text != want.text {
			t.Errorf("%s: %s %q, want %s %q", name, r.Outcome, r.Text, want.outcome, want.text)
		}
	}
	if len(reasons) != 14 {
		t.Errorf("there are %d reasons", len(reasons))
	}
	for name, want := range map[string]string{
		"always": "", "off": "", "another": "", "late rule": "", "other": "",
		"true":  `model["name"] == "Jane" = true; model["name"] = "Jane"; model.nope = ?`,
		"false": `model["name"] != "Jane" = false; model["name"] = "Jane"; model.nope = ?`,
		"fails": `filled(model["name"]) = true; model["name"] = "Jane"; model.nope = !`,
	} {
		var parts []string
		for _, part := range reasons[name].Parts {
			shown := "?"
			if part.Evaluated {
				shown = dispatch.Brief(part.Value)
			} else if part.Failed {
				shown = "!"
			}
			parts = append(parts, part.Source+" = "+shown)
		}
		if got := strings.Join(parts, "; "); got != want {
			t.Errorf("%s has the parts\n     %s\nwant %s", name, got, want)
		}
	}
	if r := reasons["fails"]; r.Error == nil || r.Error.Field != "condition" || r.Error.Line != 1 || r.Error.Column != 33 || r.Result != nil {
		t.Errorf("fails: %+v", r)
	}
	if r := reasons["false"]; r.Result == nil || *r.Result || r.Error != nil || r.RunID == 0 {
		t.Errorf("false: %+v", r)
	}
}

// Values are shown as JSON that people can read, and never more of it than fits.
func TestBrief(t *testing.T) {
	deep := any(value.List(1))
	for range 100_000 {
		deep = value.List(deep)
	}
	wide := any("ä")
	for range 60 { // 2^60 items in all
		wide = value.List(wide, wide)
	}
	for _, tt := range []struct {
		v    any
		want string // with … at the end, only the beginning counts
	}{
		{nil, "null"}, {true, "true"}, {int64(5), "5"}, {1.5, "1.5"}, {`Jürgen "/" <b>`, `"Jürgen \"/\" <b>"`}, {value.NewArray(0), "[]"},
		{value.Map("a", value.List(1, nil), "b", value.Date{Time: storetest.Start}), `{"a": [1, null], "b": "2026-01-14T12:00:00.123456Z"}`},
		{strings.Repeat("ä", 5000), `"ääää…`}, {deep, "[[[[[[…"}, {wide, "[[[[[[…"},
	} {
		got := dispatch.Brief(tt.v)
		begin, isCut := strings.CutSuffix(tt.want, "…")
		if !isCut && got != tt.want || !strings.HasPrefix(got, begin) || isCut && (utf8.RuneCountInString(got) != 200 || !strings.HasSuffix(got, "…")) {
			t.Errorf("%q (%d characters), want %q", got, utf8.RuneCountInString(got), tt.want)
		}
	}
}
