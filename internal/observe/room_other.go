//go:build !linux && !darwin && !freebsd && !windows

package observe

import "math"

// freeBytes says that there is room, since nobody has told how to ask this system.
func freeBytes(string) (uint64, error) { return math.MaxUint64, nil }
