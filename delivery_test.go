package bugle

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

var ended = time.Date(2026, 1, 14, 12, 0, 0, 0, time.UTC)

// answer is an attempt that was answered with the status, and perhaps with a Retry-After.
func answer(status int, retryAfter string) *Attempt {
	a := &Attempt{Number: 1, Status: status, ResponseHeaders: http.Header{}}
	if retryAfter != "" {
		a.ResponseHeaders.Set("Retry-After", retryAfter)
	}
	if !a.OK() {
		a.Error = &AttemptError{Kind: ErrorStatus}
	}
	return a
}

func TestAttempt_RetryAfter(t *testing.T) {
	tests := []struct {
		header string
		want   time.Duration
	}{
		{"", 0},
		{"0", 0},
		{"120", 2 * time.Minute},
		{" 120 ", 2 * time.Minute},
		{"007", 7 * time.Second},
		{"86400", MaxRetryAfter},
		{"86401", MaxRetryAfter},
		{"99999999999", MaxRetryAfter},
		{"9223372036854775807", MaxRetryAfter},
		{strings.Repeat("9", 400), MaxRetryAfter},

		{"Wed, 14 Jan 2026 12:00:30 GMT", 30 * time.Second},
		{"Wednesday, 14-Jan-26 12:01:00 GMT", time.Minute},
		{"Wed Jan 14 13:00:00 2026", time.Hour},
		{"Wed, 14 Jan 2026 12:00:00 GMT", 0},
		{"Wed, 14 Jan 2026 11:00:00 GMT", 0},
		{"Thu, 01 Jan 1970 00:00:00 GMT", 0},
		{"Thu, 15 Jan 2026 12:00:01 GMT", MaxRetryAfter},
		{"Fri, 31 Dec 9999 23:59:59 GMT", MaxRetryAfter},

		{"-5", 0},
		{"+5", 0},
		{"1.5", 0},
		{"5s", 0},
		{"soon", 0},
		{"2026-01-14T12:01:00Z", 0},
		{"٣", 0},
	}
	for _, test := range tests {
		if got := answer(503, test.header).RetryAfter(ended); got != test.want {
			t.Errorf("Retry-After %q is %s, want %s", test.header, got, test.want)
		}
	}
	if got := (&Attempt{}).RetryAfter(ended); got != 0 {
		t.Errorf("without an answer: %s", got)
	}
}

func FuzzAttempt_RetryAfter(f *testing.F) {
	for _, seed := range []string{"120", "Wed, 14 Jan 2026 12:00:30 GMT", "-1", "99999999999999999999", "Mon, 01 Jan 0001 00:00:00 GMT"} {
		f.Add(seed, int64(0))
	}
	f.Fuzz(func(t *testing.T, header string, seconds int64) {
		if got := answer(429, header).RetryAfter(ended.Add(time.Duration(seconds))); got < 0 || got > MaxRetryAfter {
			t.Errorf("Retry-After %q is %s", header, got)
		}
	})
}

func TestWebhook_After(t *testing.T) {
	w := &Webhook{MaxAttempts: 3, RetrySchedule: []int{10, 100}}
	in := func(d time.Duration) time.Time { return ended.Add(d) }
	failed := func(kind ErrorKind) *Attempt { return &Attempt{Error: &AttemptError{Kind: kind}} }
	brokenOff := answer(200, "")
	brokenOff.Error = &AttemptError{Kind: ErrorBody}
	tests := []struct {
		name    string
		attempt *Attempt
		n       int
		want    Outcome
	}{
		{"200", answer(200, ""), 1, Outcome{State: Delivered}},
		{"299", answer(299, ""), 1, Outcome{State: Delivered}},
		{"204 that asks for silence", answer(204, "60"), 3, Outcome{State: Delivered}},
		{"199", answer(199, ""), 1, Outcome{State: Pending, NextAt: in(10 * time.Second)}},
		{"302", answer(302, ""), 1, Outcome{State: Pending, NextAt: in(10 * time.Second)}},
		{"404", answer(404, ""), 2, Outcome{State: Pending, NextAt: in(100 * time.Second)}},
		{"500 the last time", answer(500, ""), 3, Outcome{State: Failed}},
		{"500 beyond the last time", answer(500, ""), 4, Outcome{State: Failed}},
		{"timeout", failed(ErrorTimeout), 1, Outcome{State: Pending, NextAt: in(10 * time.Second)}},
		{"timeout the last time", failed(ErrorTimeout), 3, Outcome{State: Failed}},
		{"200 that breaks off", brokenOff, 1, Outcome{State: Pending, NextAt: in(10 * time.Second)}},
		{"cancelled", failed(ErrorCancelled), 1, Outcome{State: Cancelled}},
		{"410", answer(410, ""), 1, Outcome{State: Failed, Gone: true}},
		{"410 that asks for silence", answer(410, "60"), 1, Outcome{State: Failed, Gone: true}},
		{"429 for long", answer(429, "60"), 1, Outcome{State: Pending, NextAt: in(time.Minute), HoldUntil: in(time.Minute)}},
		{"503 for less than the schedule", answer(503, "5"), 1, Outcome{State: Pending, NextAt: in(10 * time.Second), HoldUntil: in(5 * time.Second)}},
		{"503 the last time", answer(503, "60"), 3, Outcome{State: Failed, HoldUntil: in(time.Minute)}},
		{"500 for long", answer(500, "60"), 1, Outcome{State: Pending, NextAt: in(time.Minute)}},
		{"429 without a time", answer(429, ""), 1, Outcome{State: Pending, NextAt: in(10 * time.Second)}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := w.After(test.attempt, test.n, ended, 0); got != test.want {
				t.Errorf("got %+v, want %+v", got, test.want)
			}
		})
	}
	if got := w.After(answer(500, ""), 1, ended, -1).NextAt; !got.Equal(in(9 * time.Second)) {
		t.Errorf("with jitter the next attempt is at %s", got)
	}
}

func TestMessageID(t *testing.T) {
	if got := MessageID(7); got != "msg_7" {
		t.Errorf("got %s", got)
	}
}
