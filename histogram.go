package bugle

import (
	"encoding/binary"
	"errors"
	"math"
	"slices"
	"time"
)

// buckets is how many a Histogram has: four an octave, from half a millisecond to 30 s, which is as
// long as an attempt may take.
const buckets = 64

// bounds are where buckets end, in microseconds; the last one has no end.
var bounds = func() (ends [buckets]int64) {
	for i := range ends {
		ends[i] = int64(math.Round(500 * math.Pow(2, float64(i+1)/4)))
	}
	return ends
}()

// A Histogram counts durations by their size, so that percentiles can be told of any number of them, and of
// the sum of several histograms. A bucket ends 19 % above where it begins. The zero Histogram is empty.
type Histogram struct {
	counts [buckets]int64
}

// Add counts a duration.
func (h *Histogram) Add(d time.Duration) {
	i, found := slices.BinarySearch(bounds[:buckets-1], d.Microseconds())
	if found {
		i++
	}
	h.counts[i]++
}

// Merge adds what another counted.
func (h *Histogram) Merge(other *Histogram) {
	for i, n := range other.counts {
		h.counts[i] += n
	}
}

// Count returns how many durations were counted.
func (h *Histogram) Count() int64 {
	total := int64(0)
	for _, n := range h.counts {
		total += n
	}
	return total
}

// Percentile returns the duration that a share p, from 0 to 1, of those counted do not exceed: between
// 0.5 ms and 30 s it is at most 19 % off. Below that it is at most 0.6 ms, and above it is 32.8 s. Of none it is 0.
func (h *Histogram) Percentile(p float64) time.Duration {
	rank := p * float64(h.Count())
	before := 0.0
	for i, n := range h.counts {
		if n == 0 || before+float64(n) < rank {
			before += float64(n)
			continue
		}
		begin := 0.0
		if i > 0 {
			begin = float64(bounds[i-1])
		}
		share := max(rank-before, 0) / float64(n)
		return time.Duration((begin + share*(float64(bounds[i])-begin)) * float64(time.Microsecond))
	}
	return 0
}

// AppendBinary appends the counts in a short form, which UnmarshalBinary reads: the place of the first that
// is not 0, and the counts from there to the last such one.
func (h *Histogram) AppendBinary(b []byte) ([]byte, error) {
	first, end := 0, buckets
	for first < end && h.counts[first] == 0 {
		first++
	}
	for end > first && h.counts[end-1] == 0 {
		end--
	}
	if first == end {
		return b, nil
	}
	b = append(b, byte(first))
	for _, n := range h.counts[first:end] {
		b = binary.AppendUvarint(b, uint64(n))
	}
	return b, nil
}

// UnmarshalBinary reads what AppendBinary wrote.
func (h *Histogram) UnmarshalBinary(b []byte) error {
	*h = Histogram{}
	if len(b) == 0 {
		return nil
	}
	i, b := int(b[0]), b[1:]
	for ; len(b) > 0; i++ {
		n, size := binary.Uvarint(b)
		if size <= 0 || i >= buckets || n > math.MaxInt64 {
			return errors.New("not a histogram")
		}
		h.counts[i], b = int64(n), b[size:]
	}
	return nil
}
