// Package spelling finds the word that may have been meant.
package spelling

import (
	"slices"
	"strings"
)

// Closest returns the candidate most like name, for "did you mean": at most a third of its letters
// away, else the empty string.
func Closest(name string, candidates []string) string {
	name = strings.ToLower(name)
	best, bestDistance := "", len(name)/3+1
	for _, c := range candidates {
		if max(len(name)-len(c), len(c)-len(name)) >= bestDistance {
			continue // its distance is no less: a name as long as a request may be is not compared at all
		}
		if d := distance(name, c); d < bestDistance {
			best, bestDistance = c, d
		}
	}
	return best
}

// distance is the Levenshtein distance in bytes.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = slices.Min([]int{change, row[j] + 1, row[j+1] + 1})
		}
	}
	return row[len(b)]
}
