package main

import "testing"

func TestConnections(t *testing.T) {
	for files, want := range map[uint64]int{8: 16, 1024: 768, 20000: 15000, 1 << 20: mostConnections, 1 << 63: mostConnections} {
		if got := connections(files); got != want {
			t.Errorf("with %d files %d clients may be connected, want %d", files, got, want)
		}
	}
}
