package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/jonboulle/clockwork"
	"github.com/schollz/progressbar/v3"
)

// output is where a command reads and writes: the process's own streams, or a test's.
type output struct {
	Stdin          io.Reader
	Stdout, Stderr io.Writer       // results, and all else
	Clock          clockwork.Clock // of a server; nil: the real one
}

// newBar returns a bar for n steps, or -1 if nobody knows how many. It draws nothing where there is no terminal.
func newBar(w io.Writer, n int, what string) *progressbar.ProgressBar {
	if file, ok := w.(*os.File); !ok || !isTerminal(file) {
		w = io.Discard
	}
	return progressbar.NewOptions(n, progressbar.OptionSetWriter(w), progressbar.OptionSetDescription(fmt.Sprintf("%-8s", what)),
		progressbar.OptionShowCount(), progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionClearOnFinish(),
		progressbar.OptionSetSpinnerChangeInterval(0)) // a spinner that turns by itself races with whoever advances it
}

func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
