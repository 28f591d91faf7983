package bugle

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Quotas are how much of the server one organization may use. Zero is no limit.
type Quotas struct {
	Webhooks    int64
	Automations int64
	Events      int64 // in a minute of the clock, that people and API keys cause
	Backlog     int64 // deliveries that are pending
	Storage     int64 // bytes of uploaded files
}

// QuotaNames are what quotas are of, by the names that options, commands and the API have for it.
var QuotaNames = []string{"webhooks", "automations", "events", "backlog", "storage"}

// Of returns the quota with one of QuotaNames, and nil for another name.
func (q *Quotas) Of(name string) *int64 {
	switch name {
	case "webhooks":
		return &q.Webhooks
	case "automations":
		return &q.Automations
	case "events":
		return &q.Events
	case "backlog":
		return &q.Backlog
	case "storage":
		return &q.Storage
	}
	return nil
}

// A QuotaChoice is what is decided for one organization, by QuotaNames; 0 is no limit. What it does not name is as the
// server has it.
type QuotaChoice map[string]int64

// Over returns the choice where there is one, and what it stands over elsewhere.
func (c QuotaChoice) Over(q Quotas) Quotas {
	for name, limit := range c {
		if of := q.Of(name); of != nil {
			*of = limit
		}
	}
	return q
}

// ParseQuotas reads the option: quotas with commas between, such as "webhooks=100,events=600,storage=1GiB". A quota is a
// whole number, for storage with KiB, MiB, GiB or TiB behind it or in bytes, or none for no limit. What it does not name
// has none. The error names every part that is wrong.
func ParseQuotas(text string) (Quotas, error) {
	var parts []string
	for part := range strings.SplitSeq(text, ",") {
		if part = strings.TrimSpace(part); part != "" {
			parts = append(parts, part)
		}
	}
	choice, _, err := ParseQuotaChoice(parts)
	return choice.Over(Quotas{}), err
}

// ParseQuotaChoice reads parts such as "webhooks=100". Those that say default, such as "webhooks=default", are returned
// by their names beside the choice.
func ParseQuotaChoice(parts []string) (choice QuotaChoice, defaults []string, err error) {
	choice = QuotaChoice{}
	var problems []string
	for _, part := range parts {
		name, text, _ := strings.Cut(part, "=")
		name, text = strings.TrimSpace(name), strings.TrimSpace(text)
		if !slices.Contains(QuotaNames, name) {
			problems = append(problems, fmt.Sprintf("%q, want %s, = and a number, such as webhooks=100", part, strings.Join(QuotaNames, ", ")))
			continue
		}
		if text == "default" {
			defaults = append(defaults, name)
			continue
		}
		limit, ok := parseLimit(text, name == "storage")
		if !ok {
			wanted := "a whole number from 1 on, or none"
			if name == "storage" {
				wanted = "bytes, such as 500MiB or 2GiB, or none"
			}
			problems = append(problems, fmt.Sprintf("%q, want %s", part, wanted))
			continue
		}
		choice[name] = limit
	}
	if len(problems) > 0 {
		return nil, nil, fmt.Errorf("quota has %s", strings.Join(problems, "; "))
	}
	return choice, defaults, nil
}

// sizes are the units of bytes.
var sizes = []string{"KiB", "MiB", "GiB", "TiB"}

func parseLimit(text string, isSize bool) (int64, bool) {
	if text == "none" {
		return 0, true
	}
	unit := int64(1)
	if isSize {
		for i, name := range sizes {
			if number, ok := strings.CutSuffix(text, name); ok {
				text, unit = strings.TrimSpace(number), 1<<(10*(i+1))
			}
		}
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 1 || n > math.MaxInt64/unit {
		return 0, false
	}
	return n * unit, true
}

// SizeText is a number of bytes for people: "1.5 MiB".
func SizeText(bytes int64) string {
	unit, size := "bytes", float64(bytes)
	for _, name := range sizes {
		if size < 1024 {
			break
		}
		unit, size = name, size/1024
	}
	return strings.TrimSuffix(strconv.FormatFloat(size, 'f', 1, 64), ".0") + " " + unit
}

// A QuotaError is returned for a change that would go beyond a quota. Nothing was changed.
type QuotaError struct {
	Quota string // one of QuotaNames
	Limit int64
	Wait  time.Duration // after which it may be tried again; zero: not before something else changes
}

// Error says it to whoever asked for the change, in a sentence.
func (e *QuotaError) Error() string {
	ask := " or ask who runs the server for more."
	switch e.Quota {
	case "events":
		return fmt.Sprintf("Your organization may cause %d events a minute, and would cause more. Nothing was changed. Try again in %d seconds,", e.Limit, e.Seconds()) + ask
	case "backlog":
		return fmt.Sprintf("%d deliveries of your organization may be pending, and more would be. Nothing was changed. Look which webhooks fail, try again later,", e.Limit) + ask
	case "storage":
		return fmt.Sprintf("The files of your organization may take %s, and would take more. Nothing was changed. Delete some,", SizeText(e.Limit)) + ask
	}
	return fmt.Sprintf("Your organization may have %d %s, and has as many. Nothing was changed. Delete one,", e.Limit, e.Quota) + ask
}

// Seconds is Wait in whole seconds, at least 1; 0 if there is none.
func (e *QuotaError) Seconds() int {
	if e.Wait <= 0 {
		return 0
	}
	return int(math.Ceil(e.Wait.Seconds()))
}
