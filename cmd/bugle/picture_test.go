package main

import (
	"path/filepath"
	"strings"
	"testing"
)

// A picture that cannot be written is told before anything is measured.
func TestPicture_cannotBeWritten(t *testing.T) {
	path := filepath.Join(t.TempDir(), "no", "such.svg")
	for _, args := range [][]string{{"bench", "--plot", path}, {"bench", "soak", "--plot", path}} {
		if status, stdout, stderr := runBugle(t, "", args...); status == 0 || stdout != "" || !strings.Contains(stderr, "write the picture (--plot)") {
			t.Errorf("%s: status %d, %q, %q", args, status, stdout, stderr)
		}
	}
}
