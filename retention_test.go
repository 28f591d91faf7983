package bugle_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/buglehq/bugle"
)

func TestParseRetention(t *testing.T) {
	changed := func(change func(r *bugle.Retention)) bugle.Retention {
		r := bugle.DefaultRetention
		change(&r)
		return r
	}
	tests := []struct {
		text string
		want bugle.Retention
	}{
		{"", bugle.DefaultRetention},
		{"attempts=14", changed(func(r *bugle.Retention) { r.Attempts.Days = 14 })},
		{"events=forever, runs = 7", changed(func(r *bugle.Retention) { r.Events.Days, r.Runs.Days = 0, 7 })},
		{"deliveries=90:1000000,events=forever:500", changed(func(r *bugle.Retention) {
			r.Deliveries.Rows, r.Events = 1000000, bugle.Keep{Rows: 500}
		})},
	}
	for _, test := range tests {
		if got, err := bugle.ParseRetention(test.text); err != nil || got != test.want {
			t.Errorf("%q is %+v, %v, want %+v", test.text, got, err, test.want)
		}
	}
}

func TestParseRetention_namesEveryProblem(t *testing.T) {
	for text, want := range map[string][]string{
		"logs=3":                    {`"logs=3", want attempts, deliveries, events, runs, = and days`},
		"90":                        {`"90", want attempts`},
		"attempts=0,events=x":       {`"attempts=0", want 1 to 36500 days, or forever`, `"events=x", want 1 to 36500 days`},
		"runs=36501":                {`"runs=36501"`},
		"runs=":                     {`"runs="`},
		"runs=9:99":                 {`"runs=9:99", want 100 to 1000000000 rows behind the colon`},
		"runs=9:":                   {`"runs=9:"`},
		"deliveries=9:10000000000 ": {`"deliveries=9:10000000000"`},
	} {
		_, err := bugle.ParseRetention(text)
		if err == nil {
			t.Errorf("%q is taken", text)
			continue
		}
		for _, part := range want {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%q: %v, want %s in it", text, err, part)
			}
		}
	}
}

func TestRetentionChoice(t *testing.T) {
	n := func(i int) *int { return &i }
	c := bugle.RetentionChoice{"events": {Days: n(0), Rows: n(5000)}, "runs": {Days: n(7)}}
	want := bugle.DefaultRetention
	want.Events, want.Runs = bugle.Keep{Rows: 5000}, bugle.Keep{Days: 7}
	if got := c.Over(bugle.DefaultRetention); got != want || c.Check() != nil {
		t.Errorf("the choice makes %+v, %v, want %+v", got, c.Check(), want)
	}
	c = bugle.RetentionChoice{"attempts": {Days: n(-1)}, "events": {Days: n(36501), Rows: n(99)}, "runs": {Rows: n(1_000_000_001)}}
	var invalid *bugle.InvalidError
	if err := c.Check(); !errors.As(err, &invalid) {
		t.Fatalf("a wrong choice is %v", err)
	}
	var fields []string
	for _, p := range invalid.Problems {
		fields = append(fields, p.Field)
	}
	if got := strings.Join(fields, " "); got != "attempts_days events_days events_rows runs_rows" {
		t.Errorf("wrong are %s", got)
	}
}
