package main

import "io"

// output is where a command reads and writes: the process's own streams, or a test's.
type output struct {
	Stdin          io.Reader
	Stdout, Stderr io.Writer // results, and all else
}
