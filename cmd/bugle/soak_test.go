package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/buglehq/bugle/internal/storetest"
)

// A soak in small: everything that it does, for three seconds.
func TestSoak_json(t *testing.T) {
	soakFor(t, "sqlite")
	if storetest.OnPostgres() {
		t.Run("postgres", func(t *testing.T) { soakFor(t, "postgres", "--database", os.Getenv("BUGLE_TEST_POSTGRES")) })
	}
}

func soakFor(t *testing.T, kind string, args ...string) {
	t.Helper()
	t.Setenv(asBugle, "1") // for the server
	plot := filepath.Join(t.TempDir(), "soak.svg")
	args = append([]string{"bench", "soak", "--for", "3s", "--measure", "1s", "--webhooks", "6", "--seed", "5", "--plot", plot, "--progress", "--json"}, args...)
	status, stdout, stderr := runBugle(t, "", args...)
	if status != 0 {
		t.Fatalf("status %d, stderr %q\n%s", status, stderr, stdout)
	}
	var f soakFigures
	if err := json.Unmarshal([]byte(stdout), &f); err != nil {
		t.Fatalf("%v: %s", err, stdout)
	}
	if f.Database != kind || f.Seed != 5 || f.Webhooks != 6 || f.Most <= 0 || f.Rate != f.Most/2 || len(f.Minutes) < 4 || f.Memory != nil || f.Latency != nil {
		t.Errorf("figures: %s", stdout)
	}
	if c := f.Counts; c.Acknowledged == 0 || c.Owed != 4*c.Acknowledged || c.Arrivals < c.Owed || c.open() != 0 || c.Explained == 0 {
		t.Errorf("ledger: %+v", c)
	}
	if f.Faults["down"] == 0 || f.Faults["500"] == 0 {
		t.Errorf("faults: %v", f.Faults)
	}
	if m := f.Minutes[0]; m.Changes <= 0 || m.Deliveries <= 0 || m.Goroutines <= 0 || m.Heap <= 0 || f.MemoryMeasured && m.RSS <= 0 {
		t.Errorf("first row: %+v", m)
	}
	if !strings.Contains(stderr, soakHead) || !strings.Contains(stderr, "the most is ") {
		t.Errorf("progress is %q", stderr)
	}
	if picture, err := os.ReadFile(plot); err != nil || strings.Count(string(picture), "<polyline ") != 3 {
		t.Errorf("the picture is %q, %v", picture, err)
	}
}

func TestSoak_refusesOptions(t *testing.T) {
	for _, args := range [][]string{{"--for", "1ms"}, {"--rate=-1"}, {"--measure", "1ms"}, {"--webhooks", "1"}, {"--keep", "1"}, {"--drain", "0s"},
		{"--pprof", "8.8.8.8:1"}, {"--database", "sqlite:x"}} {
		name, _, _ := strings.Cut(args[0], "=")
		if status, _, stderr := runBugle(t, "", append([]string{"bench", "soak"}, args...)...); status == 0 || !strings.Contains(stderr, name+" is ") {
			t.Errorf("%v: status %d, stderr %q", args, status, stderr)
		}
	}
	if status, _, stderr := runBugle(t, "", "bench", "soak", "--database", "postgres://127.0.0.1:1/x?connect_timeout=1"); status != 1 || stderr == "" {
		t.Errorf("without a server: status %d, stderr %q", status, stderr)
	}
}

// A server that does not start is no soak, and its log says why.
func TestSoak_aServerThatDoesNotStart(t *testing.T) {
	t.Setenv(asBugle, "1")
	if _, err := startSoakServer(t.Context(), "sqlite:"+t.TempDir(), t.TempDir(), 100, ""); err == nil || !strings.Contains(err.Error(), "the server ended") {
		t.Errorf("the error is %v", err)
	}
}

// newTestReceiver has eight webhooks, of which the first two are healthy; change n of the ledger is made.
func newTestReceiver(t *testing.T) *soakReceiver {
	t.Helper()
	r := &soakReceiver{seed: 1, hooks: 8, ledger: newSoakLedger(8, func(hook, change int) bool { return hook != 7 })}
	stop, err := r.start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	return r
}

// post sends a change to a webhook, as the server would.
func (r *soakReceiver) post(hook, change int) (*http.Response, error) {
	client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	return client.Post(fmt.Sprintf("http://%s/%d", r.served, hook), "application/json",
		strings.NewReader(fmt.Sprintf(`{"data":{"description":"soak change %d, %s%d"}}`, change, stamp, time.Now().UnixNano())))
}

func (r *soakReceiver) mustPost(t *testing.T, hook, change, want int) {
	t.Helper()
	answer, err := r.post(hook, change)
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if answer.StatusCode != want {
		t.Errorf("change %d at webhook %d is answered %d, want %d", change, hook, answer.StatusCode, want)
	}
}

func TestSoakLedger_noticesALoss(t *testing.T) {
	r := newTestReceiver(t)
	for range 2 {
		r.ledger.acknowledge(r.ledger.next())
	}
	r.ledger.next() // nobody said that it is made, so it may or may not arrive
	for hook := range 7 {
		r.mustPost(t, hook, 0, 200)
	}
	for hook := range 6 {
		r.mustPost(t, hook, 1, 200)
	}
	r.mustPost(t, 0, 2, 200)
	want := soakCounts{Acknowledged: 2, Owed: 14, Lost: 1, Arrivals: 14}
	if got := r.ledger.count(); got != want {
		t.Errorf("counts are %+v, want %+v", got, want)
	}
	f := &soakFigures{Counts: r.ledger.count(), Proof: "nothing is lost"}
	f.judge(time.Second)
	if len(f.Problems) != 1 || f.Problems[0] != "1 deliveries are lost" {
		t.Errorf("problems: %q", f.Problems)
	}
}

func TestSoakLedger_noticesRepeats(t *testing.T) {
	r := newTestReceiver(t)
	r.ledger.acknowledge(r.ledger.next())
	r.mustPost(t, 0, 0, 200)
	r.mustPost(t, 0, 0, 200)
	if got := r.ledger.count(); got.Repeated != 1 || got.Explained != 0 || got.Misplaced != 0 {
		t.Errorf("after a repeat without a fault: %+v", got)
	}
	r.ledger.broken(0, 0) // the answer did not reach the server
	r.mustPost(t, 0, 0, 200)
	if got := r.ledger.count(); got.Repeated != 1 || got.Explained != 1 {
		t.Errorf("after one with a fault: %+v", got)
	}
}

func TestSoakLedger_noticesWhatIsMisplaced(t *testing.T) {
	r := newTestReceiver(t)
	r.ledger.acknowledge(r.ledger.next())
	r.mustPost(t, 7, 0, 200) // which is not to get it
	r.mustPost(t, 0, 1, 200) // which nobody has made
	r.mustPost(t, 9, 0, 200) // no such webhook
	answer, err := http.Post("http://"+r.served+"/0", "application/json", strings.NewReader(`{}`))
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if got := r.ledger.count(); got.Misplaced != 4 || got.Arrivals != 4 || got.Lost != 7 {
		t.Errorf("counts are %+v", got)
	}
}

// Each fault is what its name says, happens to the same changes whenever the seed is the same, and only once to each.
func TestSoakReceiver_faults(t *testing.T) {
	r := newTestReceiver(t)
	r.misbehave()
	const hook = 5
	found := map[soakFault]int{}
	for change := range 20000 {
		r.ledger.next()
		if fault, _ := r.draw(0, change); fault != faultNone {
			t.Fatalf("a healthy receiver has fault %d", fault)
		}
		if fault, _ := r.draw(hook, change); fault != faultNone && found[fault] == 0 {
			found[fault] = change
		}
	}
	again := &soakReceiver{seed: 1, hooks: 8}
	again.misbehave()
	for fault, change := range found {
		if same, _ := again.draw(hook, change); same != fault {
			t.Errorf("change %d has fault %d and then %d", change, fault, same)
		}
	}
	for _, f := range soakFaultShares {
		change, ok := found[f.fault]
		if !ok {
			t.Fatalf("no change has the fault %s", soakFaultNames[f.fault])
		}
		switch f.fault {
		case faultSlow:
			r.mustPost(t, hook, change, 200)
			continue
		case faultStatus:
			r.mustPost(t, hook, change, 500)
		case faultBusy:
			answer, err := r.post(hook, change)
			if err != nil {
				t.Fatal(err)
			}
			answer.Body.Close()
			if answer.StatusCode != 429 || answer.Header.Get("Retry-After") != "1" {
				t.Errorf("answer %d, Retry-After %q", answer.StatusCode, answer.Header.Get("Retry-After"))
			}
		case faultTruncated:
			answer, err := r.post(hook, change)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := new(bytes.Buffer).ReadFrom(answer.Body); err == nil {
				t.Error("the body is whole")
			}
			answer.Body.Close()
		case faultHang:
			client := &http.Client{Timeout: 100 * time.Millisecond}
			body := strings.NewReader(fmt.Sprintf(`"soak change %d, %s1"`, change, stamp))
			if answer, err := client.Post(fmt.Sprintf("http://%s/%d", r.served, hook), "application/json", body); err == nil {
				answer.Body.Close()
				t.Error("it answers")
			}
		case faultReset:
			if answer, err := r.post(hook, change); err == nil {
				answer.Body.Close()
				t.Error("it answers")
			}
		}
		waitFor(t, "the fault is in the ledger", func() bool { return r.met()[soakFaultNames[f.fault]] == 1 })
		r.mustPost(t, hook, change, 200)
	}
	if got := r.ledger.count(); got.Explained != len(soakFaultShares)-1 || got.Repeated != 0 {
		t.Errorf("counts are %+v", got)
	}
}

// Receivers with faults are down at times that the seed gives; nothing arrives then.
func TestSoakReceiver_down(t *testing.T) {
	r := newTestReceiver(t)
	r.ledger.acknowledge(r.ledger.next())
	r.plan(30 * time.Minute)
	for hook, downs := range r.downs {
		if r.healthy(hook) != (len(downs) == 0) {
			t.Errorf("webhook %d is down %d times", hook, len(downs))
		}
		for i := 1; i < len(downs); i++ {
			if gap := downs[i] - downs[i-1]; gap < 5*r.outage || gap > 11*r.outage {
				t.Errorf("webhook %d is down at %s and %s", hook, downs[i-1], downs[i])
			}
		}
	}
	r.misbehave()
	r.downs[5] = []time.Duration{0}
	if answer, err := r.post(5, 0); err == nil {
		answer.Body.Close()
		t.Error("a receiver that is down answers")
	}
	if got := r.ledger.count(); got.Arrivals != 0 || r.met()["down"] == 0 {
		t.Errorf("counts are %+v, faults %v", got, r.met())
	}
	r.faulty.Store(false)
	r.mustPost(t, 5, 0, 200)
}

func TestSoakFigures_judge(t *testing.T) {
	rows := func(rate float64, figure func(i int) (ms, mb float64)) *soakFigures {
		f := &soakFigures{MemoryMeasured: true, Counts: soakCounts{Acknowledged: 1}, Proof: "nothing is lost"}
		for i := range 30 {
			ms, mb := figure(i)
			f.Minutes = append(f.Minutes, soakMinute{Second: float64(60 * (i + 1)), Changes: rate, P99: ms, RSS: mb})
		}
		f.judge(30 * time.Minute)
		return f
	}
	for _, test := range []struct {
		name   string
		figure func(i int) (ms, mb float64)
		want   []string
	}{
		{"flat", func(i int) (float64, float64) { return 30, 200 }, nil},
		{"warms up", func(i int) (float64, float64) { return 30 + 1000*float64(max(5-i, 0)), 200 - 30*float64(max(5-i, 0)) }, nil},
		{"a bad minute", func(i int) (float64, float64) {
			if i == 28 {
				return 3000, 1000
			}
			return 30, 200
		}, nil},
		{"memory grows", func(i int) (float64, float64) { return 30, 200 + 2*float64(i) }, []string{"memory grows: 251 MB in the last third, 217 MB in the first"}},
		{"latency grows", func(i int) (float64, float64) { return 30 + 2*float64(i), 200 }, []string{"latency grows: p99 is 81.0 ms in the last third, 47.0 ms in the first"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := rows(500, test.figure)
			if fmt.Sprint(f.Problems) != fmt.Sprint(test.want) {
				t.Errorf("problems are %q, want %q", f.Problems, test.want)
			}
			var text strings.Builder
			f.print(&text)
			if strings.Contains(text.String(), "not flat") != (test.want != nil) || strings.Contains(text.String(), "no problems") != (test.want == nil) {
				t.Errorf("it prints\n%s", text.String())
			}
		})
	}
	fills := func(i int) (float64, float64) { return 30, 80 + 8*float64(min(i, 10)) } // as the server's memory of recent events does
	if f := rows(75, fills); f.Memory == nil || !f.Memory.Flat {
		t.Errorf("memory that has filled up is judged %+v", f.Memory)
	}
	grows := func(i int) (float64, float64) { return 30, 80 + 8*float64(min(i, 20)) }
	if f := rows(200, grows); f.Memory == nil || f.Memory.Flat {
		t.Errorf("memory that grows later is judged %+v", f.Memory)
	}
	if f := rows(20, fills); f.Memory != nil || f.Latency == nil {
		t.Errorf("with few changes memory is judged %+v, latency %+v", f.Memory, f.Latency)
	}
	f := &soakFigures{Counts: soakCounts{Unsettled: 1, Repeated: 2, Misplaced: 3}, Refused: 4, ServerErrors: 5}
	f.judge(time.Minute)
	if len(f.Problems) != 7 { // and no change, and no proof
		t.Errorf("problems are %q", f.Problems)
	}
}

func TestSoakTimes(t *testing.T) {
	var times soakTimes
	if got := times.quantile(0.5); got != 0 {
		t.Errorf("the median of nothing is %v", got)
	}
	for i := range 1000 {
		times.add(float64(i+1) / 10)
	}
	times.add(1e12)
	for share, want := range map[float64]float64{0.5: 50, 0.99: 99} {
		if got := times.quantile(share); got < want || got > want*1.06 {
			t.Errorf("quantile %v is %v, want about %v", share, got, want)
		}
	}
}
