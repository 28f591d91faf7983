package bugle

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

func TestHistogram_Percentile_isNearTheTrueOne(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for name, draw := range map[string]func() float64{ // in milliseconds
		"all the same": func() float64 { return 20 },
		"even":         func() float64 { return 1 + 999*random.Float64() },
		"long tail":    func() float64 { return min(2/(1-random.Float64()), 30000) },
		"two humps": func() float64 {
			if random.Float64() < 0.9 {
				return 5 + random.Float64()
			}
			return 9000 + 2000*random.Float64()
		},
	} {
		t.Run(name, func(t *testing.T) {
			var h, half Histogram
			var all []time.Duration
			for i := range 10000 {
				d := time.Duration(draw() * float64(time.Millisecond))
				all = append(all, d)
				if i%2 == 0 {
					h.Add(d)
				} else {
					half.Add(d)
				}
			}
			h.Merge(&half)
			slices.Sort(all)
			if h.Count() != 10000 {
				t.Errorf("counted %d, want 10000", h.Count())
			}
			for _, p := range []float64{0.01, 0.5, 0.85, 0.95, 0.99, 1} {
				want := all[max(int(p*10000)-1, 0)]
				if got := h.Percentile(p); float64(got) < float64(want)/1.2 || float64(got) > float64(want)*1.2 {
					t.Errorf("percentile %v is %s, want %s within 20 %%", p, got, want)
				}
			}
		})
	}
}

func TestHistogram_Percentile_atTheEnds(t *testing.T) {
	var h Histogram
	if got := h.Percentile(0.5); got != 0 {
		t.Errorf("median of none is %s, want 0", got)
	}
	h.Add(0)
	if got := h.Percentile(1); got > 600*time.Microsecond {
		t.Errorf("the longest of one that took no time is %s", got)
	}
	h.Add(time.Hour)
	if got := h.Percentile(1); got < 30*time.Second || got > 33*time.Second {
		t.Errorf("the longest is %s, want what the last bucket ends with", got)
	}
}

func TestHistogram_binaryForm(t *testing.T) {
	var empty, full Histogram
	for i := range 1000 {
		full.Add(time.Duration(i*i) * 40 * time.Microsecond)
	}
	full.Add(time.Hour)
	for _, h := range []Histogram{empty, full} {
		b, err := h.AppendBinary(nil)
		if err != nil {
			t.Fatal(err)
		}
		var back Histogram
		if err := back.UnmarshalBinary(b); err != nil || back != h {
			t.Errorf("%x is read as %v, %v, want %v", b, back, err, h)
		}
	}
	var h Histogram
	for _, b := range []string{"\x40\x01", "\x3f\x01\x01", "\x00\xff", "\x00\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"} {
		if err := h.UnmarshalBinary([]byte(b)); err == nil {
			t.Errorf("%x is taken for a histogram", b)
		}
	}
}
