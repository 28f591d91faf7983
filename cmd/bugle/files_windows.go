package main

// openFiles is how many files this process may have open: Windows has no limit that matters here.
func openFiles() uint64 { return 2 * mostConnections }
