package twig

import (
	"testing"
	"time"

	"github.com/buglehq/bugle/internal/engine"
	"github.com/buglehq/bugle/value"
)

// The answers are those of strtotime() at 2026-01-14 12:30:15 UTC, a Wednesday.
func TestParseDate(t *testing.T) {
	for text, want := range map[string]string{
		"2026-01-14":                        "2026-01-14 00:00:00 +00:00",
		"2026-1-4":                          "2026-01-04 00:00:00 +00:00",
		"2026/01/14":                        "2026-01-14 00:00:00 +00:00",
		"14.01.2026":                        "2026-01-14 00:00:00 +00:00",
		"01/14/2026":                        "2026-01-14 00:00:00 +00:00",
		"1/4/26":                            "2026-01-04 00:00:00 +00:00",
		"1/4/70":                            "1970-01-04 00:00:00 +00:00",
		"14-01-2026":                        "2026-01-14 00:00:00 +00:00",
		"20260114":                          "2026-01-14 00:00:00 +00:00",
		"20260114T101112":                   "2026-01-14 10:11:12 +00:00",
		"20260114T10:11:12":                 "2026-01-14 10:11:12 +00:00",
		"2026-03":                           "2026-03-01 00:00:00 +00:00",
		"2026-W03":                          "2026-01-12 00:00:00 +00:00",
		"2026-W03-3":                        "2026-01-14 00:00:00 +00:00",
		"2026W033":                          "2026-01-14 00:00:00 +00:00",
		"Jan 14 2026":                       "2026-01-14 00:00:00 +00:00",
		"Jan 14, 2026":                      "2026-01-14 00:00:00 +00:00",
		"January 14th, 2026":                "2026-01-14 00:00:00 +00:00",
		"14 January 2026":                   "2026-01-14 00:00:00 +00:00",
		"14 Jan 2026":                       "2026-01-14 00:00:00 +00:00",
		"14-Jan-2026":                       "2026-01-14 00:00:00 +00:00",
		"1st may 2026":                      "2026-05-01 00:00:00 +00:00",
		"14 Feb":                            "2026-02-14 00:00:00 +00:00",
		"Feb 14":                            "2026-02-14 00:00:00 +00:00",
		"February 2026":                     "2026-02-01 00:00:00 +00:00",
		"march":                             "2026-03-14 00:00:00 +00:00",
		"sept 2 2026":                       "2026-09-02 00:00:00 +00:00",
		"2026-02-31":                        "2026-03-03 00:00:00 +00:00",
		"January 14, 2026 12:00":            "2026-01-14 12:00:00 +00:00",
		"Jan 14 12:00":                      "2026-01-14 12:00:00 +00:00",
		"2026-01-14 12:00":                  "2026-01-14 12:00:00 +00:00",
		"2026-01-14 12:00:09":               "2026-01-14 12:00:09 +00:00",
		"2026-01-14T12:00:09.123":           "2026-01-14 12:00:09 +00:00",
		"2026-01-14T12:00:09Z":              "2026-01-14 12:00:09 +00:00",
		"2026-01-14T12:00:09.123456Z":       "2026-01-14 12:00:09 +00:00",
		"2026-01-14T12:00:09+02:00":         "2026-01-14 12:00:09 +02:00",
		"2026-01-14T12:00:09-0330":          "2026-01-14 12:00:09 -03:30",
		"2026-01-14 12:00 UTC":              "2026-01-14 12:00:00 +00:00",
		"2026-01-14 12:00 EST":              "2026-01-14 12:00:00 -05:00",
		"2026-01-14 12:00 GMT+2":            "2026-01-14 12:00:00 +02:00",
		"2026-01-14 12:00 Europe/Berlin":    "2026-01-14 12:00:00 +01:00",
		"2026-07-14 12:00 europe/berlin":    "2026-07-14 12:00:00 +02:00",
		"2026-07-14 12:00 America/New_York": "2026-07-14 12:00:00 -04:00",
		"Wed, 14 Jan 2026 12:00:00 +0000":   "2026-01-14 12:00:00 +00:00",
		"Wed, 14 Jan 2026 12:00:00 GMT":     "2026-01-14 12:00:00 +00:00",
		"2026-01-14 1pm":                    "2026-01-14 13:00:00 +00:00",
		"2026-01-14 12:15 am":               "2026-01-14 00:15:00 +00:00",
		"2026-01-14 12:15:30 P.M.":          "2026-01-14 12:15:30 +00:00",
		"3:45pm":                            "2026-01-14 15:45:00 +00:00",
		"10:11":                             "2026-01-14 10:11:00 +00:00",
		"24:00":                             "2026-01-15 00:00:00 +00:00",
		"@1700000000":                       "2023-11-14 22:13:20 +00:00",
		"@-1":                               "1969-12-31 23:59:59 +00:00",
		"@1700000000.5":                     "2023-11-14 22:13:20 +00:00",
		"":                                  "2026-01-14 12:30:15 +00:00",
		"now":                               "2026-01-14 12:30:15 +00:00",
		"NOW":                               "2026-01-14 12:30:15 +00:00",
		"today":                             "2026-01-14 00:00:00 +00:00",
		"midnight":                          "2026-01-14 00:00:00 +00:00",
		"noon":                              "2026-01-14 12:00:00 +00:00",
		"tomorrow":                          "2026-01-15 00:00:00 +00:00",
		"yesterday":                         "2026-01-13 00:00:00 +00:00",
		"tomorrow noon":                     "2026-01-15 12:00:00 +00:00",
		"tomorrow 11:00":                    "2026-01-15 11:00:00 +00:00",
		"11:00 tomorrow":                    "2026-01-15 00:00:00 +00:00",
		"yesterday 14:00":                   "2026-01-13 14:00:00 +00:00",
		"+1 day":                            "2026-01-15 12:30:15 +00:00",
		"+1day":                             "2026-01-15 12:30:15 +00:00",
		"-2 weeks":                          "2025-12-31 12:30:15 +00:00",
		"--2 weeks":                         "2026-01-28 12:30:15 +00:00",
		"3 days ago":                        "2026-01-11 12:30:15 +00:00",
		"2 weeks 1 day ago":                 "2025-12-30 12:30:15 +00:00",
		"1 fortnight":                       "2026-01-28 12:30:15 +00:00",
		"+1 week 2 days 4 hours":            "2026-01-23 16:30:15 +00:00",
		"+90 minutes":                       "2026-01-14 14:00:15 +00:00",
		"+10 sec":                           "2026-01-14 12:30:25 +00:00",
		"next month":                        "2026-02-14 12:30:15 +00:00",
		"last year":                         "2025-01-14 12:30:15 +00:00",
		"next year":                         "2027-01-14 12:30:15 +00:00",
		"this week":                         "2026-01-12 12:30:15 +00:00",
		"next week":                         "2026-01-19 12:30:15 +00:00",
		"monday":                            "2026-01-19 00:00:00 +00:00",
		"wednesday":                         "2026-01-14 00:00:00 +00:00",
		"this wednesday":                    "2026-01-14 00:00:00 +00:00",
		"next wednesday":                    "2026-01-21 00:00:00 +00:00",
		"last wednesday":                    "2026-01-07 00:00:00 +00:00",
		"next monday":                       "2026-01-19 00:00:00 +00:00",
		"next monday 09:00":                 "2026-01-19 09:00:00 +00:00",
		"last friday":                       "2026-01-09 00:00:00 +00:00",
		"monday next week":                  "2026-01-19 00:00:00 +00:00",
		"friday last week":                  "2026-01-09 00:00:00 +00:00",
		"sunday this week":                  "2026-01-18 00:00:00 +00:00",
		"+2 mondays":                        "2026-01-26 12:30:15 +00:00",
		"first day of next month":           "2026-02-01 12:30:15 +00:00",
		"last day of february":              "2026-02-28 00:00:00 +00:00",
		"last day of previous month":        "2025-12-31 12:30:15 +00:00",
		"first day of this month midnight":  "2026-01-01 00:00:00 +00:00",
		"last day of next month noon":       "2026-02-28 12:00:00 +00:00",
		"first day of january 2027":         "2027-01-01 00:00:00 +00:00",
		"first monday of january 2026":      "2026-01-05 00:00:00 +00:00",
		"second tuesday of february 2026":   "2026-02-10 00:00:00 +00:00",
		"last monday of next month":         "2026-02-23 00:00:00 +00:00",
		"last sunday of march 2026":         "2026-03-29 00:00:00 +00:00",
		"third thursday of this month":      "2026-01-15 00:00:00 +00:00",
		"+1 weekday":                        "2026-01-15 12:30:15 +00:00",
		"+3 weekdays":                       "2026-01-19 12:30:15 +00:00",
		"-3 weekdays":                       "2026-01-09 12:30:15 +00:00",
		"5 weekdays ago":                    "2026-01-07 12:30:15 +00:00",
		"2026-01-31 +1 month":               "2026-03-03 00:00:00 +00:00",
		"2024-02-29 +1 year":                "2025-03-01 00:00:00 +00:00",
		"first day":                         "2026-01-15 12:30:15 +00:00",
		"+1":                                "2026-01-14 12:30:15 +01:00",
		"2026-03-31 -1 month":               "2026-03-03 00:00:00 +00:00",
	} {
		got, err := parseDate(text, wednesday)
		if err != nil {
			t.Errorf("%q: %v", text, err)
		} else if s := value.FormatDate(got, "Y-m-d H:i:s P"); s != want {
			t.Errorf("%q is %s, want %s", text, s, want)
		}
	}
}

func TestParseDate_refuses(t *testing.T) {
	for _, text := range []string{
		"not a date", "2026-13-01", "2026-01-32", "2026-01-14 2026-01-15", "10:00 11:00", "25:00", "10:61", "13pm", "0pm", "2026-01-14 UTC EST", "Mars/Olympus",
		"../etc/passwd", "Europe/../Europe/Berlin", "next", "@", "@99999999999999999999", "+999999999 years", "32 January 2026", "soon", "'; DROP",
		"this monday of may", string(make([]byte, 1000)), "+9999999999 days", "2026-W60",
	} {
		if got, err := parseDate(text, wednesday); err == nil {
			t.Errorf("%q is %v, want an error", text, got)
		}
	}
}

func TestDateFilters(t *testing.T) {
	date := func(text string) value.Date {
		d, err := parseDate(text, wednesday)
		if err != nil {
			t.Fatal(err)
		}
		return value.Date{Time: d}
	}
	runCases(t, filters, []useCase{
		{"date", with(nil), "January 14, 2026 12:30"},
		{"date", with("now", "Y"), "2026"},
		{"date", with(1286192700, "d/m/Y H:i:s P", "Asia/Hong_Kong"), "04/10/2010 19:45:00 +08:00"},
		{"date", with("1286192700", "d/m/Y"), "04/10/2010"},
		{"date", with(-189291360, "d/m/Y"), "02/01/1964"},
		{"date", with(1700000000.5, "s v"), "20 500"},
		{"date", with("2010-10-04T13:45:00-04:00", "H:i P", false), "13:45 -04:00"},
		{"date", with("2010-10-04T13:45:00-04:00", "H:i P e"), "17:45 +00:00 UTC"},
		{"date", with("2010-10-04T13:45:00-04:00", "e", false), "-04:00"},
		{"date", with(date("2026-01-14 10:00"), "H:i", "EST"), "05:00"},
		{"date", with(Markup("2026-01-14"), "j"), "14"},
		{"date", with("nonsense"), failure{}},
		{"date", with(nil, "Y", "Mars/Olympus"), failure{}},
		{"date", with(nil, "Y", true), failure{}},
		{"date", with(value.List()), failure{}},
		{"date", with(1e300), failure{}},
		{"format_date", with("2019-08-07 23:39:12"), "Aug 7, 2019"},
		{"format_date", with("2019-08-07 23:39:12", "full"), "Wednesday, August 7, 2019"},
		{"format_time", with("2019-08-07 23:39:12"), "11:39:12\u202fPM"},
		{"format_datetime", with("2019-08-07 23:39:12"), "Aug 7, 2019, 11:39:12\u202fPM"},
		{"format_datetime", with("2019-08-07 23:39:12", "long", "short"), "August 7, 2019 at 11:39\u202fPM"},
		{"format_datetime", with("2019-08-07 23:39:12", absent{}, absent{}, "hh 'o''clock' a, m"), "11 oclock PM, 39"},
		{"format_datetime", with("2019-08-07 23:39:12", "odd"), failure{}},
		{"format_datetime", with("2019-08-07 23:39:12", absent{}, absent{}, "yQ"), failure{}},
		{"format_datetime", with("2019-08-07 23:39:12", absent{}, absent{}, "'y"), failure{}},
		{"format_date", with("2019-08-07 23:39:12", absent{}, absent{}, absent{}, absent{}, "fr"), failure{}},
	})
	for _, tt := range []struct{ date, modifier, want string }{
		{"2024-01-31 15:04:05", "+1 month", "2024-03-02 15:04:05"},
		{"2024-01-31 15:04:05", "last day of this month", "2024-01-31 15:04:05"},
		{"2024-01-31 15:04:05", "saturday this week", "2024-02-03 00:00:00"},
		{"2024-01-31 15:04:05", "+1 weekday", "2024-02-01 15:04:05"},
		{"2024-01-31 15:04:05", "noon", "2024-01-31 12:00:00"},
		{"2024-01-31 15:04:05", "first monday of january 2025", "2025-01-06 00:00:00"},
		{"2024-01-31 15:04:05", "2025-06-01", "2025-06-01 15:04:05"},
		{"2024-03-30 02:30:00 Europe/Berlin", "+1 day", "2024-03-31 03:30:00"},
	} {
		got, err := filters["date_modify"].call(newCall(engine.Limits{}, date(tt.date), tt.modifier))
		if err != nil {
			t.Errorf("%s: %v", tt.modifier, err)
		} else if s := got.(value.Date).String(); s != tt.want {
			t.Errorf("%s %s is %s, want %s", tt.date, tt.modifier, s, tt.want)
		}
	}
	got, err := functions["date"].call(newCall(engine.Limits{}, 1286199900, "America/New_York"))
	if err != nil || value.FormatDate(got.(value.Date).Time, "H:i P") != "09:45 -04:00" {
		t.Errorf("date() = %v, %v", got, err)
	}
}

// Any text is a date within bounds, or refused.
func FuzzDate(f *testing.F) {
	for _, text := range []string{"2026-01-14T12:00:00+02:00", "last monday of next month", "+1 week 2 days 4 hours ago", "@1700000000.5", "14 Jan 2026 3pm EST", "2026-W03-2", "+999999999 days"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, err := parseDate(text, wednesday)
		if err == nil && (got.Year() < minYear || got.Year() > maxYear) {
			t.Errorf("%q is %v", text, got)
		}
		if _, err := modifyDate(time.Unix(0, 0), text); err != nil && len(text) == 0 {
			t.Error(err)
		}
	})
}
