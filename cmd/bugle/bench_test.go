package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestBench_json(t *testing.T) {
	t.Setenv(asBugle, "1") // for the sink
	status, stdout, stderr := runBugle(t, "", "bench", "--deliveries", "2000", "--webhooks", "20", "--calm", "1s", "--hang", "1", "--waiting", "50", "--json")
	if status != 0 {
		t.Fatalf("status %d, stderr %q", status, stderr)
	}
	var f map[string]float64
	if err := json.Unmarshal([]byte(stdout), &f); err != nil {
		t.Fatalf("%v: %s", err, stdout)
	}
	for _, name := range []string{"limit_per_second", "deliveries_per_second", "ratio", "p50_ms", "p99_ms", "hang_p50_ms", "hang_p99_ms", "changes_per_second", "body_bytes"} {
		if f[name] <= 0 {
			t.Errorf("%s is %v", name, f[name])
		}
	}
	if f["deliveries"] != 2000 || f["webhooks"] != 20 || f["hang"] != 1 {
		t.Errorf("counts: %v", f)
	}
}

func TestBench_refusesOptions(t *testing.T) {
	for _, args := range [][]string{{"--deliveries", "5"}, {"--webhooks", "0"}, {"--hang=-1"}, {"--waiting", "0"}, {"--calm", "1ms"}, {"--nodes", "9"}, {"--finished=-1"}, {"--backlog", "5"}, {"--fanout", "10001"}, {"--disk=-1"}, {"--idle", "1ms"}} {
		if status, _, stderr := runBugle(t, "", append([]string{"bench"}, args...)...); status == 0 || !strings.Contains(stderr, strings.TrimSuffix(args[0], "=-1")+" is ") {
			t.Errorf("%v: status %d, stderr %q", args, status, stderr)
		}
	}
}

func TestBenchAPI_json(t *testing.T) {
	status, stdout, stderr := runBugle(t, "", "bench", "api", "--users", "200", "--records", "1000", "--requests", "10", "--json")
	if status != 0 {
		t.Fatalf("status %d, stderr %q", status, stderr)
	}
	var f apiFigures
	if err := json.Unmarshal([]byte(stdout), &f); err != nil {
		t.Fatalf("%v: %s", err, stdout)
	}
	if f.Users != 200 || f.Records != 1000 || len(f.Requests) != len(benchRequests) || f.HeapDone <= 0 {
		t.Errorf("figures: %+v", f)
	}
	for _, r := range f.Requests {
		if r.P50 <= 0 || r.P99 < r.P50 || r.SQL50 <= 0 || r.SQL99 < r.SQL50 || r.Ratio <= 0 {
			t.Errorf("%s: %+v", r.Name, r)
		}
	}
}

func TestBenchAPI_refusesOptions(t *testing.T) {
	for _, args := range [][]string{{"--users", "5"}, {"--records", "0"}, {"--requests", "1"}} {
		if status, _, stderr := runBugle(t, "", append([]string{"bench", "api"}, args...)...); status == 0 || !strings.Contains(stderr, args[0]+" is ") {
			t.Errorf("%v: status %d, stderr %q", args, status, stderr)
		}
	}
}

func TestBenchPanel(t *testing.T) {
	status, stdout, stderr := runBugle(t, "", "bench", "panel", "--deliveries", "500", "--requests", "10", "--json")
	if status != 0 {
		t.Fatalf("status %d, stderr %q", status, stderr)
	}
	var f panelFigures
	if err := json.Unmarshal([]byte(stdout), &f); err != nil {
		t.Fatalf("%v\n%s", err, stdout)
	}
	if f.Deliveries != 500 || len(f.Pages) != len(panelPages) {
		t.Errorf("the figures are of %d deliveries and %d pages", f.Deliveries, len(f.Pages))
	}
	for _, p := range f.Pages {
		if p.P50 <= 0 || p.P95 < p.P50 || p.P99 < p.P95 || p.Bytes == 0 {
			t.Errorf("figures of %s are %+v", p.Path, p)
		}
	}
	for _, args := range [][]string{{"--deliveries", "1"}, {"--requests", "1"}} {
		if status, _, stderr := runBugle(t, "", append([]string{"bench", "panel"}, args...)...); status == 0 || !strings.Contains(stderr, args[0]+" is ") {
			t.Errorf("%v: status %d, stderr %q", args, status, stderr)
		}
	}
}

func TestBench_measuresByOptions(t *testing.T) {
	t.Setenv(asBugle, "1")
	plot := filepath.Join(t.TempDir(), "bench.svg")
	args := []string{"bench", "--deliveries", "2000", "--webhooks", "20", "--calm", "1s", "--finished", "1000", "--backlog", "1000", "--fanout", "500", "--disk", "500", "--idle", "1s", "--json",
		"--hang", "1", "--waiting", "100", "--plot", plot}
	if server := os.Getenv("BUGLE_TEST_POSTGRES"); server != "" {
		args = append(args, "--database", server, "--nodes", "2")
	}
	status, stdout, stderr := runBugle(t, "", args...)
	if status != 0 {
		t.Fatalf("status %d, stderr %q", status, stderr)
	}
	var f figures
	if err := json.Unmarshal([]byte(stdout), &f); err != nil {
		t.Fatalf("%v: %s", err, stdout)
	}
	if f.Finished.Finished != 1000 || f.Finished.Ratio <= 0 || f.Backlog.Waiting != 1000 || f.Backlog.FirstArrival <= 0 || f.Backlog.DeliveriesPerSecond <= 0 ||
		f.Fanout.P50 <= 0 || f.Fanout.P99 < f.Fanout.P50 || f.Fanout.LimitRatio <= 0 || f.Disk.BytesPerEvent <= 0 || f.Idle == nil {
		t.Errorf("figures: %s", stdout)
	}
	bars := 4
	if f.Nodes != nil {
		bars = 5
	}
	picture, err := os.ReadFile(plot)
	if text := string(picture); err != nil || strings.Count(text, "<polyline ") != 2 || strings.Count(text, "<rect x=") != bars || strings.Contains(text, "NaN") {
		t.Errorf("the picture has not %d bars and 2 lines: %v\n%s", bars, err, text)
	}
	if n := f.Nodes; n != nil && (n.Repeats != 0 || len(n.Nodes) != 2 || n.LimitRatio <= 0 || n.Nodes[0].Share+n.Nodes[1].Share < 0.999) {
		t.Errorf("nodes: %s", stdout)
	}
}

func TestBench_nodesNeedPostgres(t *testing.T) {
	if status, _, stderr := runBugle(t, "", "bench", "--nodes", "2"); status == 0 || !strings.Contains(stderr, "name a PostgreSQL server with --database") {
		t.Errorf("status %d, stderr %q", status, stderr)
	}
}

// Strangers who send nothing but rubbish get nothing, and who has a key is served all the same.
func TestBenchFlood(t *testing.T) {
	t.Setenv(asBugle, "1")
	status, stdout, stderr := runBugle(t, "", "bench", "flood", "--for", "1s", "--rate", "500", "--clients", "4", "--json")
	if status != 0 {
		t.Fatalf("status %d, stderr %q", status, stderr)
	}
	var f floodFigures
	if err := json.Unmarshal([]byte(stdout), &f); err != nil {
		t.Fatalf("%v: %s", err, stdout)
	}
	if f.Calm.Calls != 10 || f.Flood.Calls != 10 || f.Flood.CallP50 <= 0 || f.Flood.ArriveP99 < f.Flood.ArriveP50 || f.Rate <= 0 || len(f.Problems) != 0 {
		t.Errorf("figures: %s", stdout)
	}
	for answer := range f.Answers {
		if strings.HasPrefix(answer, "2") || strings.HasPrefix(answer, "5") || answer == "refused" {
			t.Errorf("a bad request was answered %s: %s", answer, stdout)
		}
	}
	for _, want := range []string{"401", "404"} {
		if f.Answers[want] == 0 {
			t.Errorf("no bad request was answered %s: %s", want, stdout)
		}
	}
}

func TestBenchFlood_refusesOptions(t *testing.T) {
	status, _, stderr := runBugle(t, "", "bench", "flood", "--rate", "0", "--clients", "0", "--for", "1ms")
	for _, want := range []string{"--rate is 0, want 1 to 1000000", "--clients is 0, want 1 to 1000", "--for is 1ms, want 1s to 1h"} {
		if status == 0 || !strings.Contains(stderr, want) {
			t.Errorf("status %d, stderr %q, want %q", status, stderr, want)
		}
	}
}
