package main

import (
	"fmt"
	"io"
	"slices"
	"time"
)

// soakFigures are what came of a soak; with --json their names are a promise.
type soakFigures struct {
	Database       string           `json:"database"` // sqlite or postgres
	Seed           uint64           `json:"seed"`
	Webhooks       int              `json:"webhooks"`
	Most           float64          `json:"most_changes_per_second"` // 0: not measured
	Rate           float64          `json:"changes_per_second"`      // what was aimed at
	Minutes        []soakMinute     `json:"minutes"`
	Counts         soakCounts       `json:"ledger"`
	Faults         map[string]int64 `json:"faults"`
	DrainSeconds   float64          `json:"drain_seconds"`
	Cleaned        int64            `json:"removed_rows"` // deliveries and events that retention has removed
	Refused        int              `json:"failed_requests"`
	Refusals       []string         `json:"failures,omitempty"` // the first few
	ServerErrors   int              `json:"server_errors"`      // lines of its log
	ErrorLines     []string         `json:"server_log,omitempty"`
	Proof          string           `json:"proof"`
	MemoryMeasured bool             `json:"memory_measured"`
	Memory         *soakTrend       `json:"memory_mb"`  // null: the load was too short, had too few changes, or memory was not measured
	Latency        *soakTrend       `json:"latency_ms"` // of p99; null: the load was too short
	Problems       []string         `json:"problems"`
}

// A soakMinute is one row of figures, mostly of a minute.
type soakMinute struct {
	Second     float64 `json:"second"` // its end, since the load began
	Changes    float64 `json:"changes_per_second"`
	Deliveries float64 `json:"deliveries_per_second"`
	P50        float64 `json:"p50_ms"` // from change to arrival at receivers without faults
	P99        float64 `json:"p99_ms"`
	RSS        float64 `json:"rss_mb"` // mean
	Heap       float64 `json:"heap_mb"`
	Goroutines int     `json:"goroutines"`
	Backlog    int     `json:"backlog"` // deliveries that are pending
	Database   float64 `json:"database_mb"`
}

// A soakTrend compares the first third of a load, after the warm-up, with the last.
type soakTrend struct {
	First float64 `json:"first"`
	Last  float64 `json:"last"`
	Bound float64 `json:"bound"` // what the last may be
	Flat  bool    `json:"flat"`
}

// soakJudged is the shortest load that is judged.
const soakJudged = 5 * time.Minute

// soakWarm is how many changes it takes until the server's memory of recent events is full, which is bounded.
const soakWarm = 50000

// warm returns the rows after the first sixth, and after those in which a number of changes was made.
func (f *soakFigures) warm(changes float64) []soakMinute {
	skip, made, before := (len(f.Minutes)+5)/6, 0.0, 0.0
	for i, m := range f.Minutes {
		if made < changes {
			skip = max(skip, i)
		}
		made += m.Changes * (m.Second - before)
		before = m.Second
	}
	if made < changes {
		return nil
	}
	return f.Minutes[skip:]
}

// trend compares medians, so that one bad minute of a busy machine does not decide. It needs three rows.
func trend(warm []soakMinute, figure func(soakMinute) float64, factor, margin float64) *soakTrend {
	if len(warm) < 3 {
		return nil
	}
	third := len(warm) / 3
	median := func(minutes []soakMinute) float64 {
		var values []float64
		for _, m := range minutes {
			values = append(values, figure(m))
		}
		slices.Sort(values)
		return (values[(len(values)-1)/2] + values[len(values)/2]) / 2
	}
	t := &soakTrend{First: median(warm[:third]), Last: median(warm[len(warm)-third:])}
	t.Bound = max(t.First*factor, t.First+margin)
	t.Flat = t.Last <= t.Bound
	return t
}

func (f *soakFigures) problem(text string, args ...any) {
	f.Problems = append(f.Problems, fmt.Sprintf(text, args...))
}

// judge finds the problems in the figures.
func (f *soakFigures) judge(length time.Duration) {
	if length >= soakJudged {
		f.Latency = trend(f.warm(0), func(m soakMinute) float64 { return m.P99 }, 1.5, 5)
		if f.MemoryMeasured {
			f.Memory = trend(f.warm(soakWarm), func(m soakMinute) float64 { return m.RSS }, 1.1, 10)
		}
	}
	if f.Latency != nil && !f.Latency.Flat {
		f.problem("latency grows: p99 is %.1f ms in the last third, %.1f ms in the first", f.Latency.Last, f.Latency.First)
	}
	if f.Memory != nil && !f.Memory.Flat {
		f.problem("memory grows: %.0f MB in the last third, %.0f MB in the first", f.Memory.Last, f.Memory.First)
	}
	for _, bad := range []struct {
		n    int
		text string
	}{
		{f.Counts.Lost, "%d deliveries are lost"},
		{f.Counts.Unsettled, "%d deliveries were not made again after a fault"},
		{f.Counts.Repeated, "%d deliveries were repeated without a fault"},
		{f.Counts.Misplaced, "%d requests went where they should not"},
		{f.Refused, "%d requests to the API failed"},
		{f.ServerErrors, "%d errors are in the server's log"},
	} {
		if bad.n > 0 {
			f.problem(bad.text, bad.n)
		}
	}
	if f.Counts.Acknowledged == 0 {
		f.problem("no change was acknowledged")
	}
	if f.Proof == "" {
		f.problem("bugle doctor --prove proved nothing")
	}
}

const soakHead = "   time  changes/s  deliveries/s    p50 ms    p99 ms   RSS MB  heap MB  goroutines  backlog  database MB"

func (m soakMinute) String() string {
	return fmt.Sprintf("%7s %10.0f %13.0f %9.1f %9.1f %8.0f %8.0f %11d %8d %12.0f", time.Duration(m.Second*float64(time.Second)).Round(time.Second),
		m.Changes, m.Deliveries, m.P50, m.P99, m.RSS, m.Heap, m.Goroutines, m.Backlog, m.Database)
}

func (f *soakFigures) print(w io.Writer) {
	fmt.Fprintf(w, "%s, seed %d, %d webhooks, %.0f changes a second", f.Database, f.Seed, f.Webhooks, f.Rate)
	if f.Most > 0 {
		fmt.Fprintf(w, " = half of the most, %.0f", f.Most)
	}
	fmt.Fprintf(w, "\n\n%s\n", soakHead)
	for _, m := range f.Minutes {
		fmt.Fprintln(w, m)
	}
	c := f.Counts
	fmt.Fprintf(w, "\nledger    %d changes acknowledged, %d deliveries owed: %d lost, %d not settled, %d repeated after a fault, %d without, %d misplaced\n",
		c.Acknowledged, c.Owed, c.Lost, c.Unsettled, c.Explained, c.Repeated, c.Misplaced)
	fmt.Fprint(w, "faults   ")
	for fault := faultSlow; fault <= faultDown; fault++ {
		fmt.Fprintf(w, " %s %d", soakFaultNames[fault], f.Faults[soakFaultNames[fault]])
	}
	fmt.Fprintf(w, "\nafter     the load everything had arrived within %.1f s; retention removed %d deliveries and events meanwhile\n", f.DrainSeconds, f.Cleaned)
	fmt.Fprintf(w, "doctor    %s\n", f.Proof)
	f.Memory.print(w, "memory", "MB")
	f.Latency.print(w, "latency", "ms p99")
	switch {
	case !f.MemoryMeasured:
		fmt.Fprintln(w, "memory    is not measured on this system")
	case f.Memory == nil:
		fmt.Fprintln(w, "memory    is not judged: the load was too short, or had too few changes")
	}
	for _, line := range append(slices.Clone(f.Refusals), f.ErrorLines...) {
		fmt.Fprintf(w, "          %s\n", line)
	}
	for _, p := range f.Problems {
		fmt.Fprintf(w, "problem   %s\n", p)
	}
	if len(f.Problems) == 0 {
		fmt.Fprintln(w, "no problems")
	}
}

func (t *soakTrend) print(w io.Writer, name, unit string) {
	if t == nil {
		return
	}
	verdict := "flat"
	if !t.Flat {
		verdict = "not flat"
	}
	fmt.Fprintf(w, "%-9s %s: %.1f %s in the first third, %.1f in the last, which may be up to %.1f\n", name, verdict, t.First, unit, t.Last, t.Bound)
}

// plot draws rate, latency and memory as an SVG, one above the other.
func (f *soakFigures) plot() string {
	last := 1.0
	for _, m := range f.Minutes {
		last = max(last, m.Second)
	}
	var drawn picture
	for _, p := range []struct {
		title  string
		colour string
		figure func(soakMinute) float64
	}{
		{"changes a second", pictureBlue, func(m soakMinute) float64 { return m.Changes }},
		{"change to arrival, p99 in ms", pictureRed, func(m soakMinute) float64 { return m.P99 }},
		{"resident memory of the server, MB", pictureGreen, func(m soakMinute) float64 { return m.RSS }},
	} {
		most := 0.0
		for _, m := range f.Minutes {
			most = max(most, p.figure(m))
		}
		most = max(most*1.15, 1)
		var points [][2]float64
		for _, m := range f.Minutes {
			points = append(points, [2]float64{m.Second / last, p.figure(m) / most})
		}
		drawn.panel(p.title, fmt.Sprintf("%.0f", most))
		drawn.below(1, time.Duration(last*float64(time.Second)).Round(time.Second).String())
		drawn.line(points, p.colour)
	}
	return drawn.String()
}
