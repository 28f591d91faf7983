package personnel

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/teambition/rrule-go"

	"github.com/buglehq/bugle/value"
)

// A Recurrence says when something comes again: by a rule of RFC 5545, from a start, in UTC. The start is
// the first time only if the rule says so too.
type Recurrence struct {
	Rule  string // without "RRULE:", in capitals
	Start time.Time
	o     *rrule.ROption
}

const (
	maxRule        = 255     // bytes
	maxTimesADay   = 24      // as BYHOUR, BYMINUTE and BYSECOND give them
	maxInterval    = 1000    // days, weeks, months or years
	maxCount       = 10000   // of COUNT, and of times that are looked at to find the last
	maxOccurrences = 100_000 // that are passed over to find the next
)

// NewRecurrence reads a rule. The error is in words for the person who wrote it.
func NewRecurrence(rule string, start time.Time) (*Recurrence, error) {
	rule = strings.ToUpper(strings.TrimSpace(rule))
	rule = strings.TrimPrefix(rule, "RRULE:")
	if len(rule) > maxRule || strings.ContainsAny(rule, "\r\n") {
		return nil, fmt.Errorf("it must be one line of at most %d bytes", maxRule)
	}
	parts := map[string]string{}
	for part := range strings.SplitSeq(rule, ";") {
		name, text, _ := strings.Cut(part, "=")
		if _, twice := parts[name]; twice {
			return nil, fmt.Errorf("it has %s twice", name)
		}
		parts[name] = text
	}
	if _, ok := parts["FREQ"]; !ok {
		return nil, errors.New("it has no FREQ")
	}
	o, err := rrule.StrToROption(rule)
	if err != nil {
		return nil, err
	}
	if err := checkRule(o, parts); err != nil {
		return nil, err
	}
	if len(parts["UNTIL"]) == len("20060102") { // a day, and all of it
		o.Until = o.Until.Add(24*time.Hour - time.Second)
	}
	r := &Recurrence{Rule: rule, Start: start.UTC().Truncate(time.Second), o: o}
	if _, err := r.times(); err != nil {
		return nil, err
	}
	return r, nil
}

// checkRule refuses what RFC 5545 does not allow, what schedules have no place for, and what would come
// too often or cost too much to work out.
func checkRule(o *rrule.ROption, parts map[string]string) error {
	product := 1
	for _, list := range [][]int{o.Byhour, o.Byminute, o.Bysecond} {
		product *= max(len(list), 1)
	}
	switch {
	case o.Freq > rrule.DAILY:
		return errors.New("FREQ must be DAILY, WEEKLY, MONTHLY or YEARLY")
	case !o.Dtstart.IsZero():
		return errors.New("it starts at send_at, not at a DTSTART")
	case len(o.Byeaster) > 0:
		return errors.New("BYEASTER is not in RFC 5545")
	case parts["INTERVAL"] != "" && (o.Interval < 1 || o.Interval > maxInterval):
		return fmt.Errorf("INTERVAL must be from 1 to %d", maxInterval)
	case parts["COUNT"] != "" && (o.Count < 1 || o.Count > maxCount):
		return fmt.Errorf("COUNT must be from 1 to %d", maxCount)
	case parts["COUNT"] != "" && parts["UNTIL"] != "":
		return errors.New("it must not have both COUNT and UNTIL")
	case product > maxTimesADay:
		return fmt.Errorf("BYHOUR, BYMINUTE and BYSECOND give %d times a day, and %d are allowed", product, maxTimesADay)
	}
	for _, day := range o.Byweekday {
		limit := 53
		switch {
		case day.N() == 0:
			continue
		case o.Freq > rrule.MONTHLY:
			return errors.New("BYDAY can have numbers only with MONTHLY and YEARLY")
		case len(o.Byweekno) > 0:
			return errors.New("BYDAY must not have numbers beside BYWEEKNO")
		case o.Freq == rrule.MONTHLY || len(o.Bymonth) > 0:
			limit = 5
		}
		if day.N() > limit || day.N() < -limit {
			return fmt.Errorf("the numbers of BYDAY must be from -%d to %d here", limit, limit)
		}
	}
	return nil
}

// times returns what yields one time after the other. The library stops looking in the year 9999 only, which
// takes a fifth of a second for a rule that never applies. The calendar repeats every 400 years, so the
// search is moved to the last ones before that.
func (r *Recurrence) times() (next func() (time.Time, bool), err error) {
	years := max((9999-100-r.Start.Year())/400, 0) * 400
	o := *r.o
	o.Dtstart = r.Start.AddDate(years, 0, 0)
	if !o.Until.IsZero() {
		if o.Until = o.Until.AddDate(years, 0, 0); o.Until.Year() > 9999 {
			o.Until = time.Time{}
		}
	}
	rule, err := rrule.NewRRule(o)
	if err != nil {
		return nil, err
	}
	iterator := rule.Iterator()
	return func() (time.Time, bool) {
		at, ok := iterator()
		return at.AddDate(-years, 0, 0), ok
	}, nil
}

// From returns the first time that is not before at; zero if there is none.
func (r *Recurrence) From(at time.Time) time.Time {
	next, err := r.times()
	if err != nil {
		return time.Time{}
	}
	for range maxOccurrences {
		t, ok := next()
		if !ok {
			break
		}
		if !t.Before(at) {
			return t
		}
	}
	return time.Time{}
}

// After returns the first time after at; zero if there is none.
func (r *Recurrence) After(at time.Time) time.Time {
	return r.From(at.Truncate(time.Second).Add(time.Second))
}

// last returns the last time; zero if there is none, or it is far away.
func (r *Recurrence) last() time.Time {
	var last time.Time
	if r.o.Count == 0 && r.o.Until.IsZero() {
		return last
	}
	next, err := r.times()
	if err != nil {
		return last
	}
	for range maxCount {
		t, ok := next()
		if !ok {
			return last
		}
		last = t
	}
	if _, more := next(); more {
		return time.Time{}
	}
	return last
}

// schedule is the Recurrence as the fields of a Schedule have it, with the next time as it is known.
func (r *Recurrence) schedule(next time.Time) map[string]any {
	o := r.o
	stored := func(at time.Time) any {
		if at.IsZero() {
			return nil
		}
		return at.Format(StoredTime)
	}
	numbers := func(list []int) any {
		if len(list) == 0 {
			return nil
		}
		array := value.NewArray(len(list))
		for _, n := range list {
			array.Append(n)
		}
		return mustJSON(array)
	}
	values := map[string]any{
		"start": stored(r.Start), "frequency": o.Freq.String(), "interval": int64(max(o.Interval, 1)), "end_type": "never", "count": nil, "until": stored(o.Until),
		"by_day": nil, "by_month": numbers(o.Bymonth), "by_set_position": nil, "by_month_day": numbers(o.Bymonthday), "by_year_day": numbers(o.Byyearday),
		"rrule": r.Rule, "next_occurrence": stored(next), "last_occurrence": stored(r.last()),
	}
	if len(o.Byweekday) > 0 {
		days := value.NewArray(len(o.Byweekday))
		for _, day := range o.Byweekday {
			days.Append(day.String())
		}
		values["by_day"] = mustJSON(days)
	}
	if len(o.Bysetpos) == 1 {
		values["by_set_position"] = int64(o.Bysetpos[0])
	}
	switch {
	case o.Count > 0:
		values["end_type"], values["count"] = "after", int64(o.Count)
	case !o.Until.IsZero():
		values["end_type"] = "on"
	}
	return values
}

// RecurrenceOf returns what a Schedule says in its rule, or nil if it has none.
func RecurrenceOf(schedule *Resource) *Recurrence {
	start, err := time.Parse(StoredTime, schedule.Text("start"))
	if err != nil || schedule.Text("rrule") == "" {
		return nil
	}
	r, err := NewRecurrence(schedule.Text("rrule"), start)
	if err != nil { // one that was imported
		return nil
	}
	return r
}
