package main

import (
	"fmt"
	"math"
)

// plot draws what was measured beside the limit, and how long changes took to arrive.
func (f *figures) plot() string {
	type bar struct {
		name  string
		ratio float64
	}
	bars := []bar{{"drain", f.Ratio}}
	if f.Finished != nil {
		bars = append(bars, bar{fmt.Sprintf("beside %d finished", f.Finished.Finished), f.Finished.LimitRatio})
	}
	if f.Fanout != nil {
		bars = append(bars, bar{"fan-out", f.Fanout.LimitRatio})
	}
	if f.Backlog != nil {
		bars = append(bars, bar{"backlog", f.Backlog.LimitRatio})
	}
	if f.Nodes != nil {
		bars = append(bars, bar{fmt.Sprintf("%d nodes", len(f.Nodes.Nodes)), f.Nodes.LimitRatio})
	}
	most := 1.0
	for _, b := range bars {
		most = max(most, b.ratio)
	}
	var p picture
	p.panel("deliveries a second, as a share of the limit of a bare client", fmt.Sprintf("%.1f", most))
	for i, b := range bars {
		p.bar(i, len(bars), b.ratio/most, pictureBlue, b.name, fmt.Sprintf("%.2f", b.ratio))
	}

	longest := 1.0 // millisecond
	for _, took := range [][]float64{f.calm, f.hung} {
		if len(took) > 0 {
			longest = max(longest, took[len(took)-1])
		}
	}
	// A logarithm shows the rare long ones: half a millisecond is at the left.
	const shortest = 0.5
	at := func(ms float64) float64 { return math.Log(max(ms, shortest)/shortest) / math.Log(longest/shortest) }
	p.panel("share of deliveries that arrived within so many milliseconds of the change", "1")
	for ms := shortest; ms < longest*0.9; ms *= 2 {
		p.below(at(ms), fmt.Sprintf("%g", ms))
	}
	for i, curve := range []struct {
		name   string
		took   []float64
		colour string
	}{{"calm", f.calm, pictureGreen}, {fmt.Sprintf("beside %d webhooks that hang", f.Hang), f.hung, pictureRed}} {
		if len(curve.took) == 0 {
			continue
		}
		const steps = 200
		points := make([][2]float64, 0, steps+1)
		for i := range steps + 1 {
			share := float64(i) / steps
			points = append(points, [2]float64{at(curve.took[int(share*float64(len(curve.took)-1))]), share})
		}
		p.line(points, curve.colour)
		p.label(pictureWidth-20, p.top+panelHeight-12-16*i, "end", curve.colour, curve.name)
	}
	return p.String()
}
