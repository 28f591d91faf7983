// Command bugle keeps an organization's personnel data and calls webhooks when it changes.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"os/user"
	"runtime/debug"
	"strings"
	"syscall"
	_ "time/tzdata" // templates name time zones, and not every machine has the files

	"github.com/alecthomas/kong"
	"github.com/jonboulle/clockwork"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/internal/store"
)

// commands is the command line.
type commands struct {
	Serve   serveCommand   `cmd:"" help:"Run the server: API, panel and deliveries."`
	Demo    demoCommand    `cmd:"" help:"Serve a throw-away database with a demo unit, a receiver, and changes that keep coming."`
	Key     keyCommand     `cmd:"" help:"Make, list and revoke API keys."`
	User    userCommand    `cmd:"" help:"Let people sign in to the panel, give them new passwords, and list them."`
	Quota   quotaCommand   `cmd:"" help:"Decide how much of the server each organization may use, and list what they use."`
	Migrate migrateCommand `cmd:"" help:"Bring the tables up to date, or check whether they are."`
	Copy    copyCommand    `cmd:"" help:"Move an installation to another database: from SQLite to PostgreSQL, or back."`
	Doctor  doctorCommand  `cmd:"" help:"Check the configuration and the database, and prove that nothing is lost."`
	Audit   auditCommand   `cmd:"" help:"Print who changed the configuration, and who signed in."`
	Health  healthCommand  `cmd:"" help:"Ask a server whether it is ready, for health checks."`
	Import  importCommand  `cmd:"" help:"Copy an organization from PERSCOM, or from another Bugle."`
	Listen  listenCommand  `cmd:"" help:"Run a receiver for development: print each request and verify it."`
	Verify  verifyCommand  `cmd:"" help:"Check a signature: body on standard input, headers as flags."`
	Backup  backupCommand  `cmd:"" help:"Copy the database and the uploaded files while the server runs."`
	Secrets secretsCommand `cmd:"" help:"Show, replace and remove the keys that secrets are encrypted with."`
	Hold    holdCommand    `cmd:"" help:"Let nothing be sent from a database that was restored."`
	Release releaseCommand `cmd:"" help:"Send what a restored database owes."`
	Bench   benchCommands  `cmd:"" help:"Measure deliveries, or the API, against what the machine can do, side by side."`

	BenchSink sinkCommand `cmd:"" hidden:""`

	Version kong.VersionFlag `help:"Print the version and exit." short:"V"`
}

func main() { start(nil) }

// start carries out the process's command line, by the clock or the real one, and ends the process.
func start(clock clockwork.Clock) {
	out := &output{Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Clock: clock}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	os.Exit(run(ctx, os.Args[1:], out))
}

// A statusError is the error of a command with an exit status of its own.
type statusError struct {
	status int
	error
}

func (e statusError) Unwrap() error { return e.error }

// run carries out one command line and returns the exit status: 0, 1 if the command failed, 2 if the
// command line is wrong, 3 if the command did what it could but not all, or what a command's help says.
func run(ctx context.Context, args []string, out *output) int {
	log.SetOutput(io.Discard) // net/http writes to it what receivers send unasked
	status := -1
	parser, err := newParser(ctx, out, func(code int) { status = code })
	if err != nil {
		fmt.Fprintln(out.Stderr, "bugle:", err)
		return 1
	}
	command, err := parser.Parse(args)
	switch {
	case status >= 0: // help or version was printed
		return status
	case err != nil:
		fmt.Fprintf(out.Stderr, "bugle: %v\nTry bugle --help.\n", err)
		return 2
	}
	command.BindTo(store.WithAuthor(ctx, commandAuthor(command.Command())), (*context.Context)(nil))
	if err := command.Run(); err != nil {
		fmt.Fprintf(out.Stderr, "bugle: %v\n", err)
		if incomplete := incompleteError(""); errors.As(err, &incomplete) {
			return 3
		}
		if own := (statusError{}); errors.As(err, &own) {
			return own.status
		}
		return 1
	}
	return 0
}

// commandAuthor is what changes that a command makes are told as: "bugle key create (jane)". Those of a server are its own.
func commandAuthor(command string) bugle.Author {
	if command == "serve" || command == "demo" {
		return bugle.Author{Kind: bugle.ByServer}
	}
	command, _, _ = strings.Cut(command, " <") // its arguments
	name := "bugle " + command
	if u, err := user.Current(); err == nil {
		name += " (" + u.Username + ")"
	}
	return bugle.Author{Kind: bugle.ByCommand, Name: name}
}

// newParser returns what reads command lines. The exit is called in place of ending the process.
func newParser(ctx context.Context, out *output, exit func(code int)) (*kong.Kong, error) {
	return kong.New(&commands{},
		kong.Name("bugle"),
		kong.Description("Keeps an organization's personnel data and calls webhooks when it changes."),
		kong.UsageOnError(),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
		kong.Writers(out.Stdout, out.Stderr),
		kong.Exit(exit),
		kong.Vars{"version": version()},
		kong.BindTo(ctx, (*context.Context)(nil)),
		kong.Bind(out),
	)
}

// release is set when a release is built.
var release string

// version is the release, or what the build knows.
func version() string {
	if release != "" {
		return release
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
		return info.Main.Version
	}
	return "dev"
}

// userAgent names the server to receivers.
func userAgent() string { return "Bugle/" + version() }
