package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

// optionTable is the table of a command's options as docs/operations.md has it.
func optionTable(t *testing.T, name string) string {
	t.Helper()
	parser, err := kong.New(&commands{}, kong.Vars{"version": "x"})
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	b.WriteString("| flag | environment | default | |\n|---|---|---|---|\n")
	for _, command := range parser.Model.Children {
		if command.Name != name {
			continue
		}
		for _, flag := range command.Flags {
			if flag.Hidden {
				continue
			}
			code := func(text string) string {
				if text == "" {
					return ""
				}
				return "`" + text + "`"
			}
			shown := "--" + flag.Name
			if flag.Tag.Negatable != "" {
				shown = "--[no-]" + flag.Name
			}
			b.WriteString("| " + code(shown) + " | " + code(strings.Join(flag.Envs, ", ")) + " | " + code(flag.Default) + " | " + strings.ReplaceAll(flag.Help, "|", `\|`) + " |\n")
		}
	}
	return b.String()
}

// The table of options is what the program says of itself. BUGLE_UPDATE_DOCS=1 writes it.
func TestOperations_optionsAreThoseOfServe(t *testing.T) {
	path := filepath.Join("..", "..", "docs", "operations.md")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := strings.Cut(string(text), "<!-- options: ")
	head, rest, found2 := strings.Cut(rest, "-->\n")
	got, after, found3 := strings.Cut(rest, "<!-- end of options -->")
	if !found || !found2 || !found3 {
		t.Fatal("docs/operations.md lacks the marks around the table of options")
	}
	want := optionTable(t, "serve")
	if strings.Count(want, "\n") < 10 {
		t.Fatalf("serve has few options:\n%s", want)
	}
	if os.Getenv("BUGLE_UPDATE_DOCS") != "" {
		if err := os.WriteFile(path, []byte(before+"<!-- options: "+head+"-->\n"+want+"<!-- end of options -->"+after), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if got != want {
		t.Errorf("docs/operations.md has\n%s\nwant\n%s\nBUGLE_UPDATE_DOCS=1 go test ./cmd/bugle -run TestOperations writes it", got, want)
	}
}

// Whatever an option of serve is, it is an environment variable too.
func TestOperations_everyOptionIsAVariable(t *testing.T) {
	for line := range strings.Lines(optionTable(t, "serve")) {
		if strings.HasPrefix(line, "| `--") && !strings.Contains(line, "`BUGLE_") {
			t.Errorf("no variable: %s", line)
		}
	}
}

// The settings of the service, the container and the compose file are options that there are.
func TestOperations_deployNamesOptionsThatAre(t *testing.T) {
	known := map[string]bool{"BUGLE_VERSION": true} // of the image
	parser, err := kong.New(&commands{}, kong.Vars{"version": "x"})
	if err != nil {
		t.Fatal(err)
	}
	for _, command := range parser.Model.Leaves(true) {
		for _, flag := range command.Flags {
			for _, name := range flag.Envs {
				known[name] = true
			}
		}
	}
	for _, name := range []string{"bugle.service", "bugle.env", "Dockerfile", "compose.yaml"} {
		text, err := os.ReadFile(filepath.Join("..", "..", "deploy", name))
		if err != nil {
			t.Fatal(err)
		}
		found := 0
		for _, word := range strings.FieldsFunc(string(text), func(r rune) bool { return r != '_' && (r < 'A' || r > 'Z') }) {
			if strings.HasPrefix(word, "BUGLE_") {
				found++
				if !known[word] {
					t.Errorf("deploy/%s sets %s, which is no option", name, word)
				}
			}
		}
		if found == 0 {
			t.Errorf("deploy/%s sets nothing", name)
		}
	}
}
