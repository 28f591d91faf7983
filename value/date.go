package value

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// A Date is a moment, as PHP's DateTime is. It prints as "2026-01-14 12:00:00".
type Date struct{ time.Time }

func (d Date) String() string { return d.Time.Format(time.DateTime) }

// FormatDate writes a moment as PHP's date() does, by the letters of the layout: "F j, Y H:i" is
// "January 14, 2026 12:00". A backslash before a letter lets it stand for itself.
func FormatDate(t time.Time, layout string) string {
	var b strings.Builder
	for i := 0; i < len(layout); i++ {
		c := layout[i]
		if c == '\\' {
			if i++; i < len(layout) {
				b.WriteByte(layout[i])
			}
			continue
		}
		if part, ok := datePart(t, c); ok {
			b.WriteString(part)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

// goLayouts are those letters for which package time has a layout.
var goLayouts = map[byte]string{
	'd': "02", 'D': "Mon", 'j': "2", 'l': "Monday", 'F': "January", 'm': "01", 'M': "Jan", 'n': "1", 'Y': "2006", 'y': "06",
	'a': "pm", 'A': "PM", 'g': "3", 'h': "03", 'H': "15", 'i': "04", 's': "05", 'O': "-0700", 'P': "-07:00",
	'c': "2006-01-02T15:04:05-07:00", 'r': "Mon, 02 Jan 2006 15:04:05 -0700",
}

func datePart(t time.Time, letter byte) (string, bool) {
	if layout, ok := goLayouts[letter]; ok {
		return t.Format(layout), true
	}
	_, offset := t.Zone()
	switch letter {
	case 'N':
		return strconv.Itoa((int(t.Weekday())+6)%7 + 1), true
	case 'w':
		return strconv.Itoa(int(t.Weekday())), true
	case 'z':
		return strconv.Itoa(t.YearDay() - 1), true
	case 'S':
		return ordinal(t.Day()), true
	case 'W':
		_, week := t.ISOWeek()
		return fmt.Sprintf("%02d", week), true
	case 'o':
		year, _ := t.ISOWeek()
		return strconv.Itoa(year), true
	case 't':
		return strconv.Itoa(time.Date(t.Year(), t.Month()+1, 0, 0, 0, 0, 0, time.UTC).Day()), true
	case 'L':
		return oneOrZero(time.Date(t.Year(), 12, 31, 0, 0, 0, 0, time.UTC).YearDay() == 366), true
	case 'B':
		u := t.UTC().Add(time.Hour) // Swatch beats count from midnight in Biel
		return fmt.Sprintf("%03d", (u.Hour()*3600+u.Minute()*60+u.Second())*10/864), true
	case 'G':
		return strconv.Itoa(t.Hour()), true
	case 'u':
		return fmt.Sprintf("%06d", t.Nanosecond()/1000), true
	case 'v':
		return fmt.Sprintf("%03d", t.Nanosecond()/1000000), true
	case 'e':
		return zoneName(t), true
	case 'T':
		if name, _ := t.Zone(); name != "" && name[0] != '+' && name[0] != '-' {
			return name, true
		}
		return t.Format("-07:00"), true
	case 'I':
		return oneOrZero(t.IsDST()), true
	case 'p':
		if offset == 0 {
			return "Z", true
		}
		return t.Format("-07:00"), true
	case 'Z':
		return strconv.Itoa(offset), true
	case 'U':
		return strconv.FormatInt(t.Unix(), 10), true
	}
	return "", false
}

func zoneName(t time.Time) string {
	if name := t.Location().String(); name != "" && name != "Local" {
		return name
	}
	return t.Format("-07:00")
}

func oneOrZero(b bool) string {
	if b {
		return "1"
	}
	return "0"
}

// ordinal is what follows a day of the month: 1st, 2nd, 3rd, 4th.
func ordinal(day int) string {
	switch {
	case day%10 == 1 && day != 11:
		return "st"
	case day%10 == 2 && day != 12:
		return "nd"
	case day%10 == 3 && day != 13:
		return "rd"
	}
	return "th"
}
