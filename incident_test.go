package bugle

import (
	"strings"
	"testing"
	"time"
)

// An incident from its first failure to its end: each notice comes once, and at its time.
func TestWebhook_Notice(t *testing.T) {
	start := time.Date(2026, 1, 14, 12, 0, 0, 0, time.UTC)
	w := &Webhook{Name: "Relay", Status: Active}
	now := start
	tell := func(what string, after time.Duration, want Notice) {
		t.Helper()
		got := w.Notice(after, now)
		if got != want {
			t.Fatalf("%s the notice is %q, want %q", what, got, want)
		}
		w.Incident = w.Incident.After(got, now)
		if again := w.Notice(after, now); again != NoNotice {
			t.Fatalf("%s there is another notice: %q", what, again)
		}
	}
	fail := func(n int) {
		for range n {
			w.Health = w.Health.After(false, now)
		}
	}
	tell("at first", 0, NoNotice)
	fail(2)
	now = now.Add(time.Hour)
	tell("after two failures", 0, NoNotice)
	fail(1)
	tell("after three failures within an hour", 0, NoticeFailing)
	fail(20)
	now = now.Add(100 * 24 * time.Hour)
	tell("without a limit", 0, NoNotice)
	fail(1)
	w.Health = w.Health.After(true, now)
	tell("at the first success", 0, NoNotice)
	now = now.Add(RecoveredAfter)
	tell("a minute after it", 0, NoticeRecovered)
	fail(TripAfter)
	tell("after failures once more", 0, NoticeFailing)
}

func TestWebhook_Notice_disabling(t *testing.T) {
	start := time.Date(2026, 1, 14, 12, 0, 0, 0, time.UTC)
	const after = 5 * 24 * time.Hour
	tripped := Health{ConsecutiveFailures: TripAfter, FailingSince: start, LastFailureAt: start.Add(time.Minute)}
	for name, test := range map[string]struct {
		status   WebhookStatus
		health   Health
		incident Incident
		after    time.Duration
		at       time.Duration // since start
		want     Notice
	}{
		"ten failures in a row":             {Active, tripped, Incident{}, after, 0, NoticeFailing},
		"a few failures in a short time":    {Active, Health{ConsecutiveFailures: 9, FailingSince: start}, Incident{}, 0, IncidentAfter - 1, NoNotice},
		"a few failures for long":           {Active, Health{ConsecutiveFailures: 3, FailingSince: start}, Incident{}, 0, IncidentAfter, NoticeFailing},
		"failures of which none knows when": {Active, Health{ConsecutiveFailures: 3}, Incident{}, 0, IncidentAfter, NoNotice},
		"told already":                      {Active, tripped, Incident{ToldAt: start}, after, time.Hour, NoNotice},
		"paused":                            {Paused, tripped, Incident{}, after, time.Hour, NoNotice},
		"before the warning":                {Active, tripped, Incident{ToldAt: start}, after, after - WarnBefore - 1, NoNotice},
		"at the warning":                    {Active, tripped, Incident{ToldAt: start}, after, after - WarnBefore, NoticeDisabling},
		"no limit":                          {Active, tripped, Incident{ToldAt: start}, 0, 10 * after, NoNotice},
		"too few attempts":                  {Active, Health{ConsecutiveFailures: 9, FailingSince: start}, Incident{ToldAt: start}, after, 10 * after, NoNotice},
		"warned":                            {Active, tripped, Incident{ToldAt: start, WarnedAt: start.Add(after - WarnBefore)}, after, after - 1, NoNotice},
		"at the end":                        {Active, tripped, Incident{ToldAt: start, WarnedAt: start.Add(after - WarnBefore)}, after, after, NoticeDisabled},
		"warned late":                       {Active, tripped, Incident{ToldAt: start, WarnedAt: start.Add(2 * after)}, after, 2*after + WarnBefore - 1, NoNotice},
		"a day after a late warning":        {Active, tripped, Incident{ToldAt: start, WarnedAt: start.Add(2 * after)}, after, 2*after + WarnBefore, NoticeDisabled},
		"disabled by a person":              {Disabled, tripped, Incident{ToldAt: start, WarnedAt: start}, after, 10 * after, NoNotice},
		"gone":                              {Disabled, Health{ConsecutiveFailures: 1, FailingSince: start}, Incident{GoneAt: start}, 0, 0, NoticeGone},
		"just well again":                   {Active, Health{LastFailureAt: start}, Incident{ToldAt: start}, 0, RecoveredAfter - 1, NoNotice},
		"well again":                        {Active, Health{LastFailureAt: start}, Incident{ToldAt: start}, 0, RecoveredAfter, NoticeRecovered},
		"well, and nobody was told":         {Active, Health{LastFailureAt: start}, Incident{}, 0, time.Hour, NoNotice},
	} {
		w := &Webhook{Name: "Relay", Status: test.status, Health: test.health, Incident: test.incident}
		if got := w.Notice(test.after, start.Add(test.at)); got != test.want {
			t.Errorf("%s: the notice is %q, want %q", name, got, test.want)
		}
	}
}

func TestNotice_Text(t *testing.T) {
	start := time.Date(2026, 1, 14, 12, 0, 0, 0, time.UTC)
	w := &Webhook{Name: "Relay", Status: Active, Health: Health{ConsecutiveFailures: 12, FailingSince: start}, Incident: Incident{WarnedAt: start.Add(6 * 24 * time.Hour)}}
	for notice, want := range map[Notice]string{
		NoticeFailing: "all of its last 12 attempts did since 2026-01-14 12:00 UTC", NoticeDisabling: "will be disabled on 2026-01-21 12:00 UTC",
		NoticeDisabled: "is disabled now", NoticeGone: "410", NoticeRecovered: "delivers again",
	} {
		if text := notice.Text(w, 5*24*time.Hour); !strings.Contains(text, want) || !strings.Contains(text, `"Relay"`) {
			t.Errorf("the notice %s is %q, want %q in it", notice, text, want)
		}
	}
	if NoNotice.Text(w, 0) != "" {
		t.Error("no notice has a text")
	}
}
