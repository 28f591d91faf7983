package secrets

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// A Source is where a keyset comes from.
type Source interface {
	// Read returns the keys, or ErrNoKeys if there are none yet.
	Read(ctx context.Context) (*Keys, error)

	// String names the source as an option does, without anything secret.
	String() string
}

// A Writable source can be changed: others are changed by whoever keeps the keys.
type Writable interface {
	Source

	// Create writes the keys where there are none. Should there be some by then, it returns those.
	Create(keys *Keys) (*Keys, error)

	// Replace writes other keys, all or nothing.
	Replace(keys *Keys) error

	// Warning says what is wrong with how the keys are kept; empty: nothing.
	Warning() string
}

// ErrNoKeys is returned by sources that have no keys yet.
var ErrNoKeys = errors.New("there are no keys")

// maxText is how many bytes a keyset may have.
const maxText = 64 << 10

// CommandTimeout is how long a command may take to print the keys.
const CommandTimeout = 10 * time.Second

// ParseSource reads the name of a source: "file:" and a path, "env:" and the name of an environment variable, or "command:"
// and a program with its arguments, which are separated by spaces.
func ParseSource(text string) (Source, error) {
	kind, rest, _ := strings.Cut(text, ":")
	rest = strings.TrimSpace(rest)
	switch {
	case rest == "":
	case kind == "file":
		return File(rest), nil
	case kind == "env" && !strings.ContainsAny(rest, "= \x00"):
		return Env(rest), nil
	case kind == "command":
		return Command(strings.Fields(rest)), nil
	}
	shown := text
	if strings.Contains(text, "{") {
		shown = "…" // somebody gave the keys themselves
	}
	return nil, fmt.Errorf("is %q, want file: and a path, env: and the name of an environment variable, or command: and a program that prints the keys", shown)
}

// A File is a keyset in a file that its owner alone may read.
type File string

func (f File) String() string { return "file:" + string(f) }

// Read returns the keys in the file.
func (f File) Read(context.Context) (*Keys, error) {
	file, err := os.Open(string(f))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ErrNoKeys
	}
	if err != nil {
		return nil, err
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxText+1))
	if err != nil {
		return nil, err
	}
	return parse(string(f), text)
}

func parse(name string, text []byte) (*Keys, error) {
	if len(text) > maxText {
		return nil, fmt.Errorf("%s: it has more than %d bytes, which no keyset has", name, maxText)
	}
	keys, err := Parse(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return keys, nil
}

// Create writes the file for its owner alone, unless another process was first. Nobody sees half a file.
func (f File) Create(keys *Keys) (*Keys, error) {
	if err := os.MkdirAll(filepath.Dir(string(f)), 0o700); err != nil {
		return nil, err
	}
	partial, err := f.write(keys)
	if err != nil {
		return nil, err
	}
	defer os.Remove(partial)
	err = os.Link(partial, string(f)) // unlike a new name for the file, it never replaces one
	switch {
	case err == nil:
		syncFolder(string(f))
		return keys, nil
	case errors.Is(err, fs.ErrExist):
		return f.Read(context.Background())
	}
	if _, there := os.Lstat(string(f)); there == nil { // a file system that has no links
		return f.Read(context.Background())
	}
	if err := os.Rename(partial, string(f)); err != nil {
		return nil, err
	}
	syncFolder(string(f))
	return keys, nil
}

// Replace gives the file other contents, at once: whoever reads it meanwhile has the old or the new ones.
func (f File) Replace(keys *Keys) error {
	partial, err := f.write(keys)
	if err != nil {
		return err
	}
	defer os.Remove(partial) // unless it was renamed
	if err := os.Rename(partial, string(f)); err != nil {
		return err
	}
	syncFolder(string(f))
	return nil
}

// write writes the keys to a file beside f, on the disk, and returns its name.
func (f File) write(keys *Keys) (name string, err error) {
	text, err := keys.Text()
	if err != nil {
		return "", err
	}
	file, err := os.CreateTemp(filepath.Dir(string(f)), "."+filepath.Base(string(f))+"-") // with mode 0600
	if err != nil {
		return "", err
	}
	_, err = file.Write(text)
	if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
		os.Remove(file.Name())
		return "", err
	}
	return file.Name(), nil
}

// syncFolder lets a name reach the disk, where the system knows how.
func syncFolder(path string) {
	if folder, err := os.Open(filepath.Dir(path)); err == nil {
		folder.Sync()
		folder.Close()
	}
}

// Warning says if others on the machine may read the file. Windows says that by other means.
func (f File) Warning() string {
	info, err := os.Stat(string(f))
	if err != nil || runtime.GOOS == "windows" || info.Mode().Perm()&0o077 == 0 {
		return ""
	}
	return fmt.Sprintf("others on this machine may read the keys in %s (mode %o): chmod 600 keeps them to its owner", string(f), info.Mode().Perm())
}

// An Env is a keyset in an environment variable, of which it is the name.
type Env string

func (e Env) String() string { return "env:" + string(e) }

// Read returns the keys in the variable.
func (e Env) Read(context.Context) (*Keys, error) {
	text, set := os.LookupEnv(string(e))
	if !set {
		return nil, fmt.Errorf("the environment variable %s is not set: %w", string(e), ErrNoKeys)
	}
	return parse("the environment variable "+string(e), []byte(text))
}

// A Command is a program that prints a keyset, such as one that asks a key management service. It is run without a shell.
type Command []string

// String names the program, without its arguments.
func (c Command) String() string {
	if len(c) > 1 {
		return "command:" + c[0] + " …"
	}
	return "command:" + c[0]
}

// Read runs the program and reads what it prints.
func (c Command) Read(ctx context.Context) (*Keys, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, CommandTimeout, fmt.Errorf("it took longer than %s", CommandTimeout))
	defer cancel()
	cmd := exec.CommandContext(ctx, c[0], c[1:]...)
	out, said := &bounded{left: maxText + 1}, &bounded{left: 200}
	cmd.Stdout, cmd.Stderr, cmd.WaitDelay = out, said, time.Second
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		line, _, _ := strings.Cut(strings.TrimSpace(said.String()), "\n")
		if line != "" {
			err = fmt.Errorf("%w: %q", err, line)
		}
		return nil, fmt.Errorf("the program %s that prints the keys failed: %w", c[0], err)
	}
	return parse("what the program "+c[0]+" prints", out.Bytes())
}

// bounded keeps the beginning of what is written to it.
type bounded struct {
	bytes.Buffer
	left int
}

func (b *bounded) Write(p []byte) (int, error) {
	n := min(len(p), b.left)
	b.Buffer.Write(p[:n])
	b.left -= n
	return len(p), nil
}

// ReadFrom is not that of the buffer, which has no bound.
func (b *bounded) ReadFrom(r io.Reader) (int64, error) {
	return io.Copy(struct{ io.Writer }{b}, r)
}

// Memory is keys of this process, for tests and measurements.
type Memory struct{ Keys *Keys }

// NewMemory returns new keys, which end with the process.
func NewMemory() (*Memory, error) {
	keys, err := New()
	return &Memory{keys}, err
}

func (*Memory) String() string { return "memory" }

// Read returns the keys.
func (m *Memory) Read(context.Context) (*Keys, error) { return m.Keys, nil }
