package admin

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/buglehq/bugle/internal/store"
)

// A webhookRange is a time that charts of webhooks can show.
type webhookRange struct {
	key, label, each string
	step             time.Duration
	steps            int
}

// webhookRanges, the first being shown unless another is asked for.
var webhookRanges = []webhookRange{
	{"24h", "24 hours", "an hour", time.Hour, 24},
	{"7d", "7 days", "six hours", 6 * time.Hour, 28},
	{"30d", "30 days", "a day", 24 * time.Hour, 30},
}

// bounds returns the time of the range that ends with the step under way.
func (r webhookRange) bounds(now time.Time) (since, until time.Time) {
	until = now.Truncate(r.step).Add(r.step)
	return until.Add(-time.Duration(r.steps) * r.step), until
}

// An outcomeChart shows what came of requests, step by step.
type outcomeChart struct {
	Stats *store.Stats
	Label string
	Of    string
}

// Retried is how many attempts of some time failed and were to be made again.
func retried(o store.Outcomes) int { return max(o.Failed-o.GivenUp, 0) }

// Rows are those of the table beside the chart.
func (c outcomeChart) Rows() []outcomeRow {
	rows := make([]outcomeRow, len(c.Stats.Points))
	for i, p := range c.Stats.Points {
		rows[i] = outcomeRow{p.At, p.Delivered, retried(p.Outcomes), p.GivenUp}
	}
	return rows
}

type outcomeRow struct {
	At                         time.Time
	Delivered, Retried, GaveUp int
}

// Data is what the chart is drawn of.
func (c outcomeChart) Data() (string, error) {
	type series struct {
		Label  string `json:"label"`
		Color  string `json:"color"`
		Values []int  `json:"values"`
	}
	labels := []int64{}
	delivered, again, gaveUp := []int{}, []int{}, []int{}
	for _, row := range c.Rows() {
		labels = append(labels, row.At.Unix())
		delivered, again, gaveUp = append(delivered, row.Delivered), append(again, row.Retried), append(gaveUp, row.GaveUp)
	}
	text, err := json.Marshal(map[string]any{"kind": "stacked", "labels": labels, "series": []series{
		{"Delivered", "green", delivered}, {"Failed, tried again", "orange", again}, {"Gave up", "red", gaveUp}}})
	return string(text), err
}

// rateText is the share of attempts that delivered, a dash if there were none. Only what is all reads 100 %.
func rateText(o store.Outcomes) string {
	switch rate := 100 * o.SuccessRate(); {
	case o.Attempts == 0:
		return "–"
	case o.Delivered == o.Attempts:
		return "100 %"
	case rate > 99.9:
		return "99.9 %"
	case rate >= 10:
		return fmt.Sprintf("%.1f %%", rate)
	default:
		return fmt.Sprintf("%.2f %%", rate)
	}
}

// A sparkline is a small drawing of response times.
type sparkline struct {
	Lines []string // points of polylines; where nothing was sent there is a gap
	Text  string   // says the same; empty: nothing was sent
}

const (
	sparkWidth  = 96
	sparkHeight = 24
)

// sparkOf draws the median of each step.
func sparkOf(stats *store.Stats) sparkline {
	highest := time.Duration(0)
	for _, p := range stats.Points {
		highest = max(highest, p.P50)
	}
	if highest == 0 {
		return sparkline{}
	}
	s := sparkline{Text: fmt.Sprintf("Half of the answers came within %s; the slowest hour's median was %s", tookText(stats.P50), tookText(highest))}
	var line []string
	end := func() {
		if len(line) == 1 { // a point would not be seen
			x, y, _ := strings.Cut(line[0], ",")
			line = append(line, x+".9,"+y)
		}
		if len(line) > 0 {
			s.Lines = append(s.Lines, strings.Join(line, " "))
		}
		line = nil
	}
	for i, p := range stats.Points {
		if p.P50 == 0 {
			end()
			continue
		}
		x := 2 + i*(sparkWidth-4)/max(len(stats.Points)-1, 1)
		y := sparkHeight - 2 - int((sparkHeight-4)*p.P50/highest)
		line = append(line, fmt.Sprintf("%d,%d", x, y))
	}
	end()
	return s
}
