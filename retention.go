package bugle

import (
	"fmt"
	"strconv"
	"strings"
)

// A Retention says how long the log is kept. What is still owed is kept in any case: deliveries and runs that
// are pending, and the events that they are about.
type Retention struct {
	Attempts   Keep // what was sent and answered, from the end of its delivery
	Deliveries Keep // from their end
	Events     Keep // from when they were created, and as long as there is a delivery or a run of them
	Runs       Keep // of automations, from their end
}

// A Keep bounds how long rows are kept, and how many of them.
type Keep struct {
	Days int // 0: for ever
	Rows int // the newest; of attempts, those of the newest deliveries; 0: any number
}

// DefaultRetention is what holds where nobody has decided otherwise.
var DefaultRetention = Retention{Attempts: Keep{Days: 30}, Deliveries: Keep{Days: 90}, Events: Keep{Days: 90}, Runs: Keep{Days: 90}}

const (
	// MaxKeepDays is the longest time that can be chosen, apart from for ever.
	MaxKeepDays = 36500
	// MinKeepRows and MaxKeepRows are the bounds of how many rows are to be kept.
	MinKeepRows = 100
	MaxKeepRows = 1_000_000_000
)

// RetentionNames are what can be kept, by the names that options and settings have for it.
var RetentionNames = []string{"attempts", "deliveries", "events", "runs"}

// Of returns what holds for one of RetentionNames.
func (r *Retention) Of(name string) *Keep {
	switch name {
	case "attempts":
		return &r.Attempts
	case "deliveries":
		return &r.Deliveries
	case "events":
		return &r.Events
	case "runs":
		return &r.Runs
	}
	return nil
}

// ParseRetention reads the option: what is kept and how long, with commas between, as days or forever, and
// behind a colon at most how many rows: "attempts=14,events=forever,deliveries=90:1000000". What it does not name is
// as in DefaultRetention. The error names every part that is wrong.
func ParseRetention(text string) (Retention, error) {
	r := DefaultRetention
	var problems []string
	for _, part := range strings.Split(text, ",") {
		part = strings.TrimSpace(part)
		if part == "" {
			continue
		}
		name, length, _ := strings.Cut(part, "=")
		keep := r.Of(strings.TrimSpace(name))
		if keep == nil {
			problems = append(problems, fmt.Sprintf("%q, want %s, = and days, such as events=90", part, strings.Join(RetentionNames, ", ")))
			continue
		}
		days, rows, limited := strings.Cut(length, ":")
		parsed, err := parseKeep(strings.TrimSpace(days), strings.TrimSpace(rows), limited)
		if err != nil {
			problems = append(problems, fmt.Sprintf("%q, want %v", part, err))
			continue
		}
		*keep = parsed
	}
	if len(problems) > 0 {
		return r, fmt.Errorf("retention has %s", strings.Join(problems, "; "))
	}
	return r, nil
}

func parseKeep(days, rows string, limited bool) (k Keep, err error) {
	if days != "forever" {
		if k.Days, err = strconv.Atoi(days); err != nil || k.Days < 1 || k.Days > MaxKeepDays {
			return k, fmt.Errorf("1 to %d days, or forever", MaxKeepDays)
		}
	}
	if limited {
		if k.Rows, err = strconv.Atoi(rows); err != nil || k.Rows < MinKeepRows || k.Rows > MaxKeepRows {
			return k, fmt.Errorf("%d to %d rows behind the colon", MinKeepRows, MaxKeepRows)
		}
	}
	return k, nil
}

// A KeepChoice is what an organization has decided about a Keep; nil: nothing.
type KeepChoice struct{ Days, Rows *int }

// A RetentionChoice is what an organization has decided, by RetentionNames.
type RetentionChoice map[string]KeepChoice

// Over returns the choice where there is one, and what it stands over elsewhere.
func (c RetentionChoice) Over(r Retention) Retention {
	for _, name := range RetentionNames {
		keep := r.Of(name)
		if days := c[name].Days; days != nil {
			keep.Days = *days
		}
		if rows := c[name].Rows; rows != nil {
			keep.Rows = *rows
		}
	}
	return r
}

// Check returns an *InvalidError with a problem for each number that is out of bounds, by fields such as
// "events_days" and "events_rows", or nil.
func (c RetentionChoice) Check() error {
	invalid := &InvalidError{}
	for _, name := range RetentionNames {
		if days := c[name].Days; days != nil && (*days < 0 || *days > MaxKeepDays) {
			invalid.Add(name+"_days", "This must be 1 to %d days, or 0 for ever.", MaxKeepDays)
		}
		if rows := c[name].Rows; rows != nil && *rows != 0 && (*rows < MinKeepRows || *rows > MaxKeepRows) {
			invalid.Add(name+"_rows", "This must be %d to %d, or 0 for any number.", MinKeepRows, MaxKeepRows)
		}
	}
	return invalid.Err()
}
