package twig

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/buglehq/bugle/value"
)

const defaultDateFormat = "F j, Y H:i"

func filterDate(c *call) (any, error) {
	t, err := c.moment(0, 2)
	if err != nil {
		return nil, err
	}
	layout := defaultDateFormat
	if c.arg(1, nil) != nil {
		if layout, err = c.text(1, ""); err != nil {
			return nil, err
		}
	}
	const longest = 40 // of what a letter becomes: the name of a time zone
	if err := c.Make(longest * len(layout)); err != nil {
		return nil, err
	}
	return value.FormatDate(t, layout), nil
}

func filterDateModify(c *call) (any, error) {
	t, err := c.momentIn(c.args[0], nil)
	if err != nil {
		return nil, err
	}
	text, err := c.text(1, "")
	if err != nil {
		return nil, err
	}
	if t, err = modifyDate(t, text); err != nil {
		return nil, err
	}
	return value.Date{Time: t}, c.Step(dateSteps)
}

func functionDate(c *call) (any, error) {
	t, err := c.moment(0, 1)
	return value.Date{Time: t}, err
}

// moment returns the date that an argument is, in the time zone that another one names: in UTC if that
// is not given, and as it is for false.
func (c *call) moment(date, zone int) (time.Time, error) {
	where := time.UTC
	switch z := plain(c.arg(zone, nil)).(type) {
	case nil:
	case bool:
		if z {
			return time.Time{}, fmt.Errorf("true is no time zone")
		}
		where = nil
	default:
		name, err := toText(z)
		if err != nil {
			return time.Time{}, err
		}
		if where, err = loadZone(name); err != nil {
			return time.Time{}, err
		}
	}
	return c.momentIn(c.arg(date, nil), where)
}

// dateSteps is what reading a date costs: it tries some dozens of patterns.
const dateSteps = 100

// maxSeconds is the largest timestamp, a little after the year 9999.
const maxSeconds = 300_000_000_000

func (c *call) momentIn(v any, where *time.Location) (time.Time, error) {
	if err := c.Step(dateSteps); err != nil {
		return time.Time{}, err
	}
	v = plain(v)
	if s, ok := v.(string); ok {
		if err := c.ReadNumber(s); err != nil {
			return time.Time{}, err
		}
	}
	t, err := dateOf(v, c.now())
	if err == nil && where != nil {
		t = t.In(where)
	}
	return t, err
}

// dateOf returns the moment that a value stands for: a date, seconds since 1970, a text, or now for null.
func dateOf(v any, now time.Time) (time.Time, error) {
	switch v := v.(type) {
	case nil:
		return now.UTC(), nil
	case value.Date:
		return v.Time, nil
	case int64:
		return timestamp(float64(v), v, 0)
	case float64:
		whole, fraction := math.Modf(v)
		return timestamp(v, value.ToInt(whole), int64(fraction*1e6)*1000)
	case bool:
		if v {
			return time.Unix(1, 0).UTC(), nil
		}
		return now.UTC(), nil
	case string:
		if n, ok := value.Numeric(v); ok && strings.Trim(v, numericDate) == "" {
			return dateOf(n, now)
		}
		return parseDate(v, now.UTC())
	}
	return time.Time{}, fmt.Errorf("%s is no date", value.Describe(v))
}

// numericDate are the characters of texts that are timestamps rather than dates: 1e3 is none.
const numericDate = "-.0123456789"

func timestamp(f float64, seconds, nanoseconds int64) (time.Time, error) {
	if !(math.Abs(f) <= maxSeconds) {
		return time.Time{}, fmt.Errorf("the timestamp %v is out of range", f)
	}
	return time.Unix(seconds, nanoseconds).In(offsetZone(0)), nil
}

// offsetZone is a time zone without a name.
func offsetZone(seconds int) *time.Location { return time.FixedZone("", seconds) }

// abbreviations are the time zones that have short names, by their hours from UTC.
var abbreviations = map[string]float64{
	"z": 0, "gmt": 0, "wet": 0, "bst": 1, "west": 1, "cet": 1, "met": 1, "cest": 2, "eet": 2, "sast": 2, "eest": 3, "msk": 3, "ist": 5.5, "pkt": 5,
	"jst": 9, "kst": 9, "awst": 8, "acst": 9.5, "aest": 10, "acdt": 10.5, "aedt": 11, "nzst": 12, "nzdt": 13, "nst": -3.5, "ndt": -2.5,
	"ast": -4, "adt": -3, "est": -5, "edt": -4, "cst": -6, "cdt": -5, "mst": -7, "mdt": -6, "pst": -8, "pdt": -7, "akst": -9, "akdt": -8, "hst": -10,
}

// zones are the time zones that have been loaded, by their names.
var zones sync.Map

var zoneOffset = regexp.MustCompile(`^(?:gmt|utc)?([+-])(\d{1,2})(?::?(\d{2}))?$`)

// loadZone returns a time zone by its name, such as Europe/Berlin, EST, UTC, Z, or +02:00.
func loadZone(name string) (*time.Location, error) {
	lower := strings.ToLower(name)
	if lower == "utc" {
		return time.UTC, nil
	}
	if hours, ok := abbreviations[lower]; ok {
		return time.FixedZone(strings.ToUpper(name), int(hours*3600)), nil
	}
	if m := zoneOffset.FindStringSubmatch(lower); m != nil {
		hours, _ := strconv.Atoi(m[2])
		minutes, _ := strconv.Atoi("0" + m[3])
		seconds := hours*3600 + minutes*60
		if m[1] == "-" {
			seconds = -seconds
		}
		if hours <= 24 && minutes < 60 {
			return offsetZone(seconds), nil
		}
	}
	if zone, ok := zones.Load(name); ok {
		return zone.(*time.Location), nil
	}
	for _, spelling := range []string{name, titleZone(lower)} {
		if !strings.Contains(spelling, "/") || strings.ContainsAny(spelling, ".\\\x00") {
			continue
		}
		if zone, err := time.LoadLocation(spelling); err == nil {
			zones.Store(spelling, zone)
			return zone, nil
		}
	}
	return nil, fmt.Errorf("there is no time zone %s; there are such as UTC, Europe/Berlin and +02:00", value.Describe(name))
}

// titleZone writes europe/berlin as Europe/Berlin.
func titleZone(lower string) string {
	b := []byte(lower)
	for i := range b {
		if (i == 0 || b[i-1] == '/' || b[i-1] == '_' || b[i-1] == '-') && b[i] >= 'a' && b[i] <= 'z' {
			b[i] -= 'a' - 'A'
		}
	}
	return string(b)
}

// maxDateText is how long a text of a date may be.
const maxDateText = 200

// parseDate reads a date as PHP's strtotime does: what a text leaves open is as in now, and a date
// without a time is at midnight. Refused are those forms that are not among dateForms.
func parseDate(text string, now time.Time) (time.Time, error) {
	d, err := readDate(text, now)
	if err != nil {
		return time.Time{}, err
	}
	if d.hasDate && !d.hasTime {
		d.setTime(0, 0, 0, 0)
	}
	return d.moment()
}

// modifyDate is DateTime::modify: as parseDate, but a date without a time keeps the time.
func modifyDate(t time.Time, text string) (time.Time, error) {
	d, err := readDate(text, t)
	if err != nil {
		return time.Time{}, err
	}
	moment, err := d.moment()
	if err == nil && d.zone == nil {
		moment = moment.In(t.Location())
	}
	return moment, err
}

// A dateText is what is known of a date while its text is read. Source of what the fields mean: timelib, in
// timelib_time and timelib_rel_time.
type dateText struct {
	year, month, day     int
	hour, minute, second int
	nanosecond           int
	zone                 *time.Location // nil: that of base
	base                 time.Time

	hasDate, hasTime bool

	years, months, days int // to go on from there
	seconds             int64
	nanoseconds         int64

	hasWeekday bool
	weekday    int // 0 is Sunday
	behavior   int // 0: not today; 1: today, too; 2: of this week
	hasWorking bool
	working    int // days of the week's five to go on
	ofMonth    int // first day of: 1; last day of: -1
	nthOfMonth int // first monday of: 1; last monday of: -1
}

func (d *dateText) setTime(hour, minute, second, nanosecond int) {
	d.hour, d.minute, d.second, d.nanosecond = hour, minute, second, nanosecond
}

// midnight forgets the time, which may be given afterwards.
func (d *dateText) midnight() {
	d.setTime(0, 0, 0, 0)
	d.hasTime = false
}

// A dateForm is a form that a part of a date can have.
type dateForm struct {
	pattern *regexp.Regexp
	read    func(d *dateText, m []string) bool // false: it is no date after all
}

var monthNames = []string{"jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"}

var weekdayNames = []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}

var ordinals = map[string]int{
	"last": -1, "previous": -1, "this": 0, "next": 1, "first": 1, "second": 2, "third": 3, "fourth": 4, "fifth": 5, "sixth": 6,
	"seventh": 7, "eighth": 8, "ninth": 9, "tenth": 10, "eleventh": 11, "twelfth": 12,
}

const (
	monthPattern   = `(january|february|march|april|may|june|july|august|september|october|november|december|sept|jan|feb|mar|apr|jun|jul|aug|sep|oct|nov|dec)`
	dayPattern     = `(sundays?|mondays?|tuesdays?|wednesdays?|thursdays?|fridays?|saturdays?|tues|wednes|thurs|thur|sun|mon|tue|wed|thu|fri|sat)`
	ordinalPattern = `(last|previous|this|next|first|second|third|fourth|fifth|sixth|seventh|eighth|ninth|tenth|eleventh|twelfth)`
	unitPattern    = `(msecs?|milliseconds?|ms|usecs?|microseconds?|seconds?|secs?|minutes?|mins?|hours?|weekdays?|days?|fortnights?|weeks?|months?|years?)`
	gap            = `[ \t.-]*`
	suffix         = `(?:st|nd|rd|th)?`
)

// dateForms are the forms that are known. Where several match, the longest one does, and among those the
// first, so that the year is not taken for a time.
var dateForms = func() []dateForm {
	var list []dateForm
	add := func(pattern string, read func(d *dateText, m []string) bool) {
		list = append(list, dateForm{regexp.MustCompile(`^(?:` + pattern + `)`), read})
	}
	dated := func(year, month, day int) func(d *dateText, m []string) bool {
		return func(d *dateText, m []string) bool { return d.setDate(m[year], m[month], m[day]) }
	}
	add(`@(-?\d{1,15})(?:\.(\d{1,6}))?`, (*dateText).readTimestamp)
	add(`(\d{4})-(\d{1,2})-(\d{1,2})`, dated(1, 2, 3))
	add(`(\d{4})/(\d{1,2})/(\d{1,2})`, dated(1, 2, 3))
	add(`(\d{1,2})/(\d{1,2})/(\d{4}|\d{2})\b`, dated(3, 1, 2))
	add(`(\d{1,2})[.\t-](\d{1,2})[.-](\d{4})`, dated(3, 2, 1))
	add(`(\d{4})(\d{2})(\d{2})`, dated(1, 2, 3))
	add(`(\d{4})-(\d{2})\b`, func(d *dateText, m []string) bool { return d.setDate(m[1], m[2], "1") })
	add(`(\d{4})-?w(\d{2})(?:-?([0-7]))?\b`, (*dateText).readWeek)
	add(`(\d{1,2})`+suffix+gap+monthPattern+gap+`(\d{4}|\d{2})\b`, dated(3, 2, 1))
	add(`(\d{1,2})`+suffix+gap+monthPattern+`\b`, func(d *dateText, m []string) bool { return d.setDate("", m[2], m[1]) })
	add(monthPattern+gap+`(\d{1,2})`+suffix+`[ \t,.]+(\d{4})\b`, dated(3, 1, 2))
	add(monthPattern+gap+`(\d{1,2})`+suffix+`\b`, func(d *dateText, m []string) bool { return d.setDate("", m[1], m[2]) })
	add(monthPattern+gap+`(\d{4})\b`, func(d *dateText, m []string) bool { return d.setDate(m[2], m[1], "1") })
	add(`(\d{4})`+gap+monthPattern+gap+`(\d{1,2})\b`, dated(1, 2, 3))
	add(monthPattern+`\b`, func(d *dateText, m []string) bool { return d.setDate("", m[1], "") })
	add(`t?(\d{1,2}):(\d{2})(?::(\d{2})(?:[.,](\d{1,9})\d*)?)?`, func(d *dateText, m []string) bool { return d.readTime(m[1], m[2], m[3], m[4], "") })
	add(`t(\d{2})(\d{2})(\d{2})?\b`, func(d *dateText, m []string) bool { return d.readTime(m[1], m[2], m[3], "", "") })
	add(`(\d{1,2})(?:[:.](\d{2}))?(?:[:.](\d{2}))?[ \t]*([ap])\.?m\b\.?`, func(d *dateText, m []string) bool { return d.readTime(m[1], m[2], m[3], "", m[4]) })
	add(`now\b`, func(*dateText, []string) bool { return true })
	add(`today\b|midnight\b`, func(d *dateText, _ []string) bool { d.midnight(); return true })
	add(`noon\b`, func(d *dateText, _ []string) bool {
		d.setTime(12, 0, 0, 0)
		d.hasTime = true
		return true
	})
	add(`tomorrow\b`, func(d *dateText, _ []string) bool { d.midnight(); d.days++; return true })
	add(`yesterday\b`, func(d *dateText, _ []string) bool { d.midnight(); d.days--; return true })
	add(`([+-]*)[ \t]*(\d{1,9})[ \t]*(?:`+unitPattern+`|`+dayPattern+`)\b`, (*dateText).readAmount)
	add(ordinalPattern+`[ \t]+(?:`+unitPattern+`|`+dayPattern+`)\b`, (*dateText).readOrdinal)
	add(`(first|last)[ \t]+day[ \t]+of\b`, func(d *dateText, m []string) bool {
		d.ofMonth = ordinals[m[1]]
		return true
	})
	add(ordinalPattern+`[ \t]+`+dayPattern+`[ \t]+of\b`, (*dateText).readNth)
	add(dayPattern+`\b`, func(d *dateText, m []string) bool {
		d.midnight()
		d.hasWeekday, d.weekday = true, index(weekdayNames, m[1])
		if d.behavior != 2 {
			d.behavior = 1
		}
		return true
	})
	add(`ago\b`, (*dateText).ago)
	add(`(?:gmt|utc)?[+-]\d{1,2}(?::?\d{2})?`, (*dateText).readZone)
	add(`[a-z]+(?:/[a-z_+-]+[0-9]*)+`, (*dateText).readZone)
	add(`[a-z]{1,5}`, (*dateText).readZone)
	return list
}()

// index returns which of some names of three letters a text begins with.
func index(names []string, text string) int {
	for i, name := range names {
		if strings.HasPrefix(text, name) {
			return i
		}
	}
	return -1
}

// readDate reads a text, part by part.
func readDate(text string, base time.Time) (*dateText, error) {
	refused := func() (*dateText, error) {
		return nil, fmt.Errorf("date text %s is not understood", value.Describe(text))
	}
	if len(text) > maxDateText {
		return refused()
	}
	year, month, day := base.Date()
	d := &dateText{year: year, month: int(month), day: day, base: base}
	d.setTime(base.Hour(), base.Minute(), base.Second(), base.Nanosecond())
	rest := strings.Trim(strings.ToLower(text), " \t\n")
	for {
		rest = strings.TrimLeft(rest, " \t\n,.")
		if rest == "" {
			return d, nil
		}
		var best []string
		var read func(d *dateText, m []string) bool
		for _, p := range dateForms {
			if m := p.pattern.FindStringSubmatch(rest); m != nil && (best == nil || len(m[0]) > len(best[0])) {
				best, read = m, p.read
			}
		}
		if best == nil || !read(d, best) {
			return refused()
		}
		rest = rest[len(best[0]):]
	}
}

// setDate sets a date. A year of two digits is one from 1970 to 2069, and what is empty stays open.
func (d *dateText) setDate(year, month, day string) bool {
	if d.hasDate {
		return false
	}
	d.hasDate = true
	if year != "" {
		d.year, _ = strconv.Atoi(year)
		if len(year) == 2 {
			d.year += 1900
			if d.year < 1970 {
				d.year += 100
			}
		}
	}
	if i := index(monthNames, month); i >= 0 {
		d.month = i + 1
	} else {
		d.month, _ = strconv.Atoi(month)
	}
	if day != "" {
		d.day, _ = strconv.Atoi(day)
	}
	return d.month >= 1 && d.month <= 12 && d.day >= 0 && d.day <= 31
}

func (d *dateText) readTimestamp(m []string) bool {
	seconds, _ := strconv.ParseInt(m[1], 10, 64)
	fraction, _ := strconv.ParseInt((m[2] + "000000000")[:9], 10, 64)
	if m[1][0] == '-' {
		fraction = -fraction
	}
	if d.hasDate || d.hasTime || d.zone != nil || seconds > maxSeconds || seconds < -maxSeconds {
		return false
	}
	d.year, d.month, d.day = 1970, 1, 1
	d.setTime(0, 0, 0, 0)
	d.hasDate, d.hasTime, d.zone = true, true, offsetZone(0)
	d.seconds += seconds
	d.nanoseconds += fraction
	return true
}

// readWeek reads a day of a week of ISO 8601: 2026-W03-2.
func (d *dateText) readWeek(m []string) bool {
	week, _ := strconv.Atoi(m[2])
	day := 1
	if m[3] != "" {
		day, _ = strconv.Atoi(m[3])
	}
	year, _ := strconv.Atoi(m[1])
	if d.hasDate || week > 53 {
		return false
	}
	d.hasDate = true
	fourth := time.Date(year, 1, 4, 0, 0, 0, 0, time.UTC) // is in the first week
	first := fourth.AddDate(0, 0, -((int(fourth.Weekday()) + 6) % 7))
	at := first.AddDate(0, 0, (week-1)*7+day-1)
	d.year, d.month, d.day = at.Year(), int(at.Month()), at.Day()
	return true
}

func (d *dateText) readTime(hour, minute, second, fraction, half string) bool {
	h, _ := strconv.Atoi(hour)
	i, _ := strconv.Atoi("0" + minute)
	s, _ := strconv.Atoi("0" + second)
	ns, _ := strconv.Atoi((fraction + "000000000")[:9])
	if d.hasTime || i > 59 || s > 60 || h > 24 {
		return false
	}
	if half != "" {
		if h < 1 || h > 12 {
			return false
		}
		h %= 12
		if half == "p" {
			h += 12
		}
	}
	d.setTime(h, i, s, ns/1000*1000) // PHP counts microseconds
	d.hasTime = true
	return true
}

func (d *dateText) readZone(m []string) bool {
	if d.zone != nil {
		return false
	}
	var err error
	d.zone, err = loadZone(m[0])
	return err == nil
}

// readAmount reads +2 weeks.
func (d *dateText) readAmount(m []string) bool {
	n, _ := strconv.Atoi(m[2])
	if strings.Count(m[1], "-")%2 == 1 {
		n = -n
	}
	if m[4] != "" {
		return d.goToWeekday(n, 1, m[4])
	}
	return d.goOn(n, m[3])
}

// readOrdinal reads next week. Unlike an amount, one of a day of the week sets the time to midnight.
func (d *dateText) readOrdinal(m []string) bool {
	n := ordinals[m[1]]
	if m[3] != "" {
		d.midnight()
		behavior := 0
		if m[1] == "this" {
			behavior = 1
		}
		return d.goToWeekday(n, behavior, m[3])
	}
	if strings.HasPrefix(m[2], "weekday") {
		d.midnight()
	}
	if m[2] == "week" || m[2] == "weeks" {
		d.behavior = 2
		if !d.hasWeekday {
			d.hasWeekday, d.weekday = true, 1
		}
	}
	return d.goOn(n, m[2])
}

// goOn adds units of time.
func (d *dateText) goOn(n int, unit string) bool {
	switch {
	case strings.HasPrefix(unit, "ms"), strings.HasPrefix(unit, "milli"):
		d.nanoseconds += int64(n) * 1e6
	case strings.HasPrefix(unit, "usec"), strings.HasPrefix(unit, "micro"):
		d.nanoseconds += int64(n) * 1e3
	case strings.HasPrefix(unit, "sec"):
		d.seconds += int64(n)
	case strings.HasPrefix(unit, "min"):
		d.seconds += int64(n) * 60
	case strings.HasPrefix(unit, "hour"):
		d.seconds += int64(n) * 3600
	case strings.HasPrefix(unit, "weekday"):
		d.hasWorking = true
		d.working = n
	case strings.HasPrefix(unit, "day"):
		d.days += n
	case strings.HasPrefix(unit, "week"):
		d.days += 7 * n
	case strings.HasPrefix(unit, "fortnight"):
		d.days += 14 * n
	case strings.HasPrefix(unit, "month"):
		d.months += n
	case strings.HasPrefix(unit, "year"):
		d.years += n
	default:
		return false
	}
	return true
}

func (d *dateText) goToWeekday(n, behavior int, name string) bool {
	if n > 0 {
		n--
	}
	d.days += 7 * n
	d.hasWeekday, d.weekday, d.behavior = true, index(weekdayNames, name), behavior
	return true
}

// readNth reads first monday of, the month being what else the text says.
func (d *dateText) readNth(m []string) bool {
	n := ordinals[m[1]]
	if n == 0 {
		return false
	}
	d.midnight()
	d.nthOfMonth = 1
	behavior := 1
	if n < 0 {
		d.nthOfMonth, behavior = -1, 0
	}
	return d.goToWeekday(n, behavior, m[2])
}

// ago turns around what the text has said before.
func (d *dateText) ago([]string) bool {
	d.years, d.months, d.days, d.seconds, d.nanoseconds = -d.years, -d.months, -d.days, -d.seconds, -d.nanoseconds
	d.working = -d.working
	if d.hasWeekday {
		if d.weekday = -d.weekday; d.weekday == 0 {
			d.weekday = -7
		}
	}
	return true
}

// normalize brings month and day into their ranges: the 31st of April is the first of May.
func (d *dateText) normalize() {
	t := time.Date(d.year, time.Month(d.month), d.day, 0, 0, 0, 0, time.UTC)
	d.year, d.month, d.day = t.Year(), int(t.Month()), t.Day()
}

func (d *dateText) dayOfWeek() int {
	return int(time.Date(d.year, time.Month(d.month), d.day, 0, 0, 0, 0, time.UTC).Weekday())
}

func (d *dateText) toEndOfMonth() {
	switch d.ofMonth {
	case 1:
		d.day = 1
	case -1:
		d.day = 0
		d.month++
	}
}

// maxYear and minYear bound the results, so that no arithmetic overflows.
const (
	minYear = -9999
	maxYear = 99999
)

// moment works out the date, in the order of timelib_update_ts.
func (d *dateText) moment() (time.Time, error) {
	outside := fmt.Errorf("the date is not between the years %d and %d", minYear, maxYear)
	const limit = 1e8 // of days: no sum of them overflows
	for _, n := range []int{d.years, d.months, d.days, d.working} {
		if n > limit || n < -limit {
			return time.Time{}, outside
		}
	}
	switch d.nthOfMonth {
	case 1:
		d.day = 1
		d.month += d.months
		d.months = 0
	case -1:
		d.day = 1
		d.month += d.months + 1
		d.months = 0
	}
	d.toEndOfMonth()
	d.normalize()
	if d.hasWeekday {
		d.toWeekday()
	}
	d.normalize()
	d.day += d.days
	d.month += d.months
	d.year += d.years
	d.toEndOfMonth()
	d.normalize()
	if d.hasWorking {
		d.toWorkingDay()
	}
	d.normalize()
	if d.year < minYear || d.year > maxYear {
		return time.Time{}, outside
	}
	where := d.zone
	if where == nil {
		where = d.base.Location()
	}
	t := time.Date(d.year, time.Month(d.month), d.day, d.hour, d.minute, d.second, d.nanosecond, where)
	t = time.Unix(t.Unix()+d.seconds, int64(t.Nanosecond())+d.nanoseconds).In(where)
	if t.Year() < minYear || t.Year() > maxYear {
		return time.Time{}, outside
	}
	return t, nil
}

// toWeekday is timelib's do_adjust_for_weekday.
func (d *dateText) toWeekday() {
	current := d.dayOfWeek()
	if d.behavior == 2 {
		if current == 0 && d.weekday != 0 { // weeks begin on Monday
			d.weekday -= 7
		}
		if d.weekday == 0 && current != 0 {
			d.weekday = 7
		}
		d.day += d.weekday - current
		return
	}
	if d.weekday < 0 {
		d.day -= 7 - (-d.weekday - current)
		return
	}
	difference := d.weekday - current
	if d.days < 0 && difference < 0 || d.days >= 0 && difference <= -d.behavior {
		difference += 7
	}
	d.day += difference
}

// toWorkingDay is timelib's do_adjust_special_weekday.
func (d *dateText) toWorkingDay() {
	day := d.dayOfWeek()
	d.day += d.working / 5 * 7
	rest := d.working % 5
	switch {
	case d.working > 0 && rest == 0:
		switch day {
		case 0:
			d.day -= 2
		case 6:
			d.day--
		}
	case d.working > 0 && day == 6:
		d.day++
	case d.working > 0 && day+rest > 5:
		d.day += 2
	case d.working > 0:
	case rest == 0:
		switch day {
		case 6:
			d.day += 2
		case 0:
			d.day++
		}
	case day == 0:
		d.day--
	case day+rest < 1:
		d.day -= 2
	}
	d.day += rest
}

// The styles of dates and times in English, as layouts of PHP's date().
var (
	dateStyles = map[string]string{"none": "", "short": "n/j/y", "medium": "M j, Y", "long": "F j, Y", "full": "l, F j, Y"}
	timeStyles = map[string]string{"none": "", "short": "g:i\u202fA", "medium": "g:i:s\u202fA", "long": "g:i:s\u202fA T", "full": "g:i:s\u202fA T"}
)

// filterFormatDatetime writes a date and a time in English by styles: none, short, medium, long and full.
// A pattern, which ICU would read, may have the letters y M d E H h m s a z and texts in quotes.
func filterFormatDatetime(c *call) (any, error) { return c.formatDatetime(1, 2, 3) }

func filterFormatDate(c *call) (any, error) { return c.formatDatetime(1, -1, 2) }

func filterFormatTime(c *call) (any, error) { return c.formatDatetime(-1, 1, 2) }

// formatDatetime formats the first argument. The other numbers are the places of arguments, -1 that of
// a style that is none; behind the pattern there are time zone, calendar and locale.
func (c *call) formatDatetime(dateStyle, timeStyle, pattern int) (any, error) {
	if err := c.english(pattern + 3); err != nil {
		return nil, err
	}
	t, err := c.moment(0, pattern+1)
	if err != nil {
		return nil, err
	}
	own, err := c.text(pattern, "")
	if err != nil {
		return nil, err
	}
	if own != "" {
		const longest = 10 // of what a letter becomes: September
		if err := c.Make(longest * len(own)); err != nil {
			return nil, err
		}
		return formatICU(t, own)
	}
	var layouts [2]string
	var named [2]string
	for i, styles := range []map[string]string{dateStyles, timeStyles} {
		at := []int{dateStyle, timeStyle}[i]
		if at < 0 {
			continue
		}
		if named[i], err = c.text(at, "medium"); err != nil {
			return nil, err
		}
		layout, ok := styles[named[i]]
		if !ok {
			return nil, fmt.Errorf("there is no style %q of dates and times; there are none, short, medium, long and full", named[i])
		}
		layouts[i] = layout
	}
	between := ""
	if layouts[0] != "" && layouts[1] != "" {
		between = ", "
		if named[0] == "long" || named[0] == "full" {
			between = ` \a\t `
		}
	}
	return value.FormatDate(t, layouts[0]+between+layouts[1]), nil
}

// icuLetters are the letters of ICU's patterns, as often as they stand there, by layouts of PHP's date().
var icuLetters = map[string]string{
	"y": "Y", "yy": "y", "yyyy": "Y", "M": "n", "MM": "m", "MMM": "M", "MMMM": "F", "d": "j", "dd": "d", "E": "D", "EE": "D", "EEE": "D", "EEEE": "l",
	"H": "G", "HH": "H", "h": "g", "hh": "h", "m": "i", "mm": "i", "s": "s", "ss": "s", "a": "A", "z": "T", "zzz": "T", "zzzz": "T", "VV": "e", "XXX": "p",
	"Z": "O", "ZZZZZ": "P", "SSS": "v",
}

func formatICU(t time.Time, pattern string) (any, error) {
	var b strings.Builder
	for i := 0; i < len(pattern); {
		ch := pattern[i]
		n := 1
		switch {
		case ch == '\'':
			end := strings.IndexByte(pattern[i+1:], '\'')
			if end < 0 {
				return nil, fmt.Errorf("a quote is not closed in the pattern %s", value.Describe(pattern))
			}
			if b.WriteString(pattern[i+1 : i+1+end]); end == 0 {
				b.WriteByte('\'')
			}
			n = end + 2
		case ch >= 'a' && ch <= 'z' || ch >= 'A' && ch <= 'Z':
			for i+n < len(pattern) && pattern[i+n] == ch {
				n++
			}
			layout, ok := icuLetters[pattern[i:i+n]]
			if !ok {
				return nil, fmt.Errorf("the pattern of a date has %q, which is not supported", pattern[i:i+n])
			}
			text := value.FormatDate(t, layout)
			if pattern[i:i+n] == "m" || pattern[i:i+n] == "s" {
				text = strings.TrimPrefix(text[:1], "0") + text[1:]
			}
			b.WriteString(text)
		default:
			b.WriteByte(ch)
		}
		i += n
	}
	return b.String(), nil
}
