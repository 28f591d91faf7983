package personnel

import (
	"strings"
	"testing"
	"time"
)

// A Wednesday, at noon and some.
var wednesday = time.Date(2026, 1, 14, 12, 0, 0, 500, time.UTC)

func day(text string) time.Time {
	at, err := time.Parse(StoredTime, text)
	if err != nil {
		panic(err)
	}
	return at
}

func TestRecurrence_times(t *testing.T) {
	tests := []struct {
		rule string
		want string // the next ones, from the start on
		last string
	}{
		{"FREQ=DAILY", "2026-01-14 12:00:00, 2026-01-15 12:00:00, 2026-01-16 12:00:00", ""},
		{"RRULE:FREQ=WEEKLY;BYDAY=MO,WE", "2026-01-14 12:00:00, 2026-01-19 12:00:00, 2026-01-21 12:00:00", ""},
		{"freq=weekly;byday=th;byhour=18;byminute=30", "2026-01-15 18:30:00, 2026-01-22 18:30:00, 2026-01-29 18:30:00", ""},
		{"FREQ=MONTHLY;BYMONTHDAY=31", "2026-01-31 12:00:00, 2026-03-31 12:00:00, 2026-05-31 12:00:00", ""},
		{"FREQ=MONTHLY;BYDAY=-1FR", "2026-01-30 12:00:00, 2026-02-27 12:00:00, 2026-03-27 12:00:00", ""},
		{"FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1", "2026-01-30 12:00:00, 2026-02-27 12:00:00, 2026-03-31 12:00:00", ""},
		{"FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29", "2028-02-29 12:00:00, 2032-02-29 12:00:00, 2036-02-29 12:00:00", ""},
		{"FREQ=YEARLY;BYYEARDAY=-1", "2026-12-31 12:00:00, 2027-12-31 12:00:00, 2028-12-31 12:00:00", ""},
		{"FREQ=DAILY;INTERVAL=10;COUNT=2", "2026-01-14 12:00:00, 2026-01-24 12:00:00", "2026-01-24 12:00:00"},
		{"FREQ=DAILY;UNTIL=20260115T120000Z", "2026-01-14 12:00:00, 2026-01-15 12:00:00", "2026-01-15 12:00:00"},
		{"FREQ=DAILY;UNTIL=20260116", "2026-01-14 12:00:00, 2026-01-15 12:00:00, 2026-01-16 12:00:00", "2026-01-16 12:00:00"},
		{"FREQ=DAILY;UNTIL=20250101", "", ""},
		{"FREQ=DAILY;COUNT=10000;BYHOUR=0,12", "2026-01-14 12:00:00, 2026-01-15 00:00:00, 2026-01-15 12:00:00", "2039-09-23 00:00:00"},
	}
	for _, test := range tests {
		r, err := NewRecurrence(test.rule, wednesday)
		if err != nil {
			t.Errorf("%s: %v", test.rule, err)
			continue
		}
		var got []string
		for at := r.From(r.Start); !at.IsZero() && len(got) < 3; at = r.After(at) {
			got = append(got, at.Format(StoredTime))
		}
		last := ""
		if at := r.last(); !at.IsZero() {
			last = at.Format(StoredTime)
		}
		if strings.Join(got, ", ") != test.want || last != test.last {
			t.Errorf("%s leads to %s, the last %s; want %s, the last %s", test.rule, got, last, test.want, test.last)
		}
	}
}

func TestNewRecurrence_refuses(t *testing.T) {
	for rule, reason := range map[string]string{
		"":                                     "no FREQ",
		"WEEKLY":                               "no FREQ",
		"FREQ=HOURLY":                          "must be DAILY",
		"FREQ=SOMETIMES":                       "SOMETIMES",
		"FREQ=DAILY;FREQ=DAILY":                "FREQ twice",
		"FREQ=DAILY;INTERVAL=0":                "INTERVAL",
		"FREQ=DAILY;INTERVAL=1001":             "INTERVAL",
		"FREQ=DAILY;COUNT=0":                   "COUNT",
		"FREQ=DAILY;COUNT=3;UNTIL=20270101":    "both",
		"FREQ=DAILY;DTSTART=20260101T000000Z":  "send_at",
		"DTSTART:20260101T000000Z\nFREQ=DAILY": "one line",
		"FREQ=YEARLY;BYEASTER=1":               "BYEASTER",
		"FREQ=DAILY;BYMINUTE=" + "0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24": "25 times a day",
		"FREQ=WEEKLY;BYDAY=1MO":                                "only with MONTHLY",
		"FREQ=MONTHLY;BYDAY=6MO":                               "from -5 to 5",
		"FREQ=YEARLY;BYMONTH=12;BYDAY=53MO":                    "from -5 to 5",
		"FREQ=YEARLY;BYWEEKNO=3;BYDAY=1MO":                     "BYWEEKNO",
		"FREQ=YEARLY;BYMONTH=13":                               "bymonth",
		"FREQ=DAILY;NEVER=1":                                   "NEVER",
		"FREQ=DAILY;":                                          "",
		"FREQ=DAILY;BYDAY=" + strings.Repeat("MO,", 99) + "MO": "255 bytes",
	} {
		if _, err := NewRecurrence(rule, wednesday); err == nil || !strings.Contains(err.Error(), reason) {
			t.Errorf("%q: %v, want an error about %q", rule, err, reason)
		}
	}
}

// Rules that never apply, and those that began long ago, are worked out in no time all the same: it is the
// time for which all changes wait.
func TestRecurrence_isQuick(t *testing.T) {
	for _, test := range []struct {
		rule  string
		start time.Time
	}{
		{"FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30", wednesday},
		{"FREQ=DAILY;BYSETPOS=7;BYDAY=MO", wednesday},
		{"FREQ=WEEKLY;BYMONTH=2;BYMONTHDAY=30", wednesday},
		{"FREQ=YEARLY;BYSETPOS=300;BYDAY=1MO", wednesday},
		{"FREQ=DAILY;BYHOUR=0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23", day("0001-01-01 00:00:00")},
		{"FREQ=DAILY;INTERVAL=1000;BYDAY=1", wednesday},
	} {
		r, err := NewRecurrence(test.rule, test.start)
		if err != nil {
			continue
		}
		began := time.Now()
		if at := r.From(wednesday); !at.IsZero() {
			t.Errorf("%s leads to %s", test.rule, at)
		}
		if took := time.Since(began); took > time.Second {
			t.Errorf("%s took %s", test.rule, took)
		}
	}
}

// Any rule is refused, or leads to times that come one after the other.
func FuzzNewRecurrence(f *testing.F) {
	for _, rule := range []string{"FREQ=DAILY", "FREQ=WEEKLY;BYDAY=MO,WE;WKST=SU", "FREQ=MONTHLY;BYDAY=-1FR;BYSETPOS=-1", "FREQ=YEARLY;BYWEEKNO=53,-1;BYDAY=SU",
		"FREQ=YEARLY;BYYEARDAY=366;BYHOUR=0,12", "FREQ=YEARLY;BYDAY=53MO,-53TU", "FREQ=DAILY;UNTIL=99991231T235959Z", "FREQ=WEEKLY;INTERVAL=52;BYMONTHDAY=31"} {
		f.Add(rule, int64(1768392000))
	}
	f.Fuzz(func(t *testing.T, rule string, seconds int64) {
		start := time.Unix(seconds%(1<<38), 0).UTC()
		if start.Year() < 1 || start.Year() > 9999 {
			return
		}
		began := time.Now()
		r, err := NewRecurrence(rule, start)
		if err != nil {
			return
		}
		at := r.Start.Add(-time.Second)
		for range 5 {
			next := r.After(at)
			if next.IsZero() {
				break
			}
			if !next.After(at) {
				t.Fatalf("%s after %s leads to %s", rule, at, next)
			}
			at = next
		}
		if values := r.schedule(at); values["rrule"] != r.Rule {
			t.Fatalf("%q is kept as %v", r.Rule, values["rrule"])
		}
		if took := time.Since(began); took > 5*time.Second {
			t.Fatalf("%q took %s", rule, took)
		}
	})
}

func TestRecurrence_schedule(t *testing.T) {
	r, err := NewRecurrence("FREQ=MONTHLY;INTERVAL=2;COUNT=3;BYDAY=MO,-1FR;BYSETPOS=1;BYMONTH=1,3;BYMONTHDAY=1,-1", wednesday)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]any{"start": "2026-01-14 12:00:00", "frequency": "MONTHLY", "interval": int64(2), "end_type": "after", "count": int64(3), "until": nil,
		"by_day": `["MO","-1FR"]`, "by_month": "[1,3]", "by_set_position": int64(1), "by_month_day": "[1,-1]", "by_year_day": nil,
		"next_occurrence": "2026-01-31 12:00:00"}
	got := r.schedule(day("2026-01-31 12:00:00"))
	for name, v := range want {
		if got[name] != v {
			t.Errorf("%s is %v, want %v", name, got[name], v)
		}
		if Schedule.Field(name) == nil {
			t.Errorf("a schedule has no field %s", name)
		}
	}
}
