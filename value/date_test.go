package value

import (
	"testing"
	"time"
	_ "time/tzdata" // not every machine has the files
)

func TestFormatDate(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	utc := time.Date(2026, 1, 4, 9, 5, 7, 123456789, time.UTC)
	summer := time.Date(2024, 7, 22, 23, 59, 0, 0, berlin)
	for _, test := range []struct {
		at           time.Time
		layout, want string
	}{
		{utc, "F j, Y H:i", "January 4, 2026 09:05"}, {utc, "d D j l N S w z", "04 Sun 4 Sunday 7 th 0 3"}, {utc, "W o t L", "01 2026 31 0"}, {utc, "m M n Y y", "01 Jan 1 2026 26"},
		{utc, "a A g G h H i s u v", "am AM 9 9 09 09 05 07 123456 123"}, {utc, "e T P p O Z I", "UTC UTC +00:00 Z +0000 0 0"}, {utc, "c", "2026-01-04T09:05:07+00:00"}, {utc, "r", "Sun, 04 Jan 2026 09:05:07 +0000"}, {utc, "U", "1767517507"},
		{utc, `\Y\\Y é`, `Y\2026 é`}, {utc, "", ""}, {utc, `Y\`, "2026"}, {utc, "B", "420"},
		{summer, "e T P p O Z I", "Europe/Berlin CEST +02:00 +02:00 +0200 7200 1"}, {summer, "jS L t g A", "22nd 1 31 11 PM"},
		{time.Date(2021, 1, 3, 0, 0, 0, 0, time.UTC), "o-W jS", "2020-53 3rd"}, {time.Date(2024, 2, 11, 0, 0, 0, 0, time.UTC), "jS t g", "11th 29 12"},
	} {
		if got := FormatDate(test.at, test.layout); got != test.want {
			t.Errorf("%q of %v is %q, want %q", test.layout, test.at, got, test.want)
		}
	}
	if got := (Date{utc}).String(); got != "2026-01-04 09:05:07" {
		t.Errorf("a date prints %q", got)
	}
}

func TestCompare_dates(t *testing.T) {
	early := Date{time.Date(2026, 1, 14, 12, 0, 0, 0, time.UTC)}
	late := Date{time.Date(2026, 1, 14, 12, 30, 0, 0, time.FixedZone("", -3600))}
	same := Date{early.In(time.FixedZone("", 7200))}
	if Compare(early, late) != -1 || Compare(late, early) != 1 || Compare(early, same) != 0 || !Equal(early, same) || Equal(early, late) {
		t.Error("dates do not compare by their moments")
	}
}
