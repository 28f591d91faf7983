package main

import (
	"bytes"
	"io/fs"
	"log"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// Every test that docs/security.md names is there.
func TestSecurity_namesTests(t *testing.T) {
	text, err := os.ReadFile("../../docs/security.md")
	if err != nil {
		t.Fatal(err)
	}
	there := map[string]bool{}
	declared := regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w+)\(`)
	err = filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() && d.Name() == "node_modules" {
			return fs.SkipDir
		}
		if !strings.HasSuffix(path, "_test.go") {
			return nil
		}
		source, err := os.ReadFile(path)
		for _, found := range declared.FindAllSubmatch(source, -1) {
			there[string(found[1])] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile("`((?:Test|Fuzz)\\w+)`").FindAllSubmatch(text, -1)
	if len(named) < 50 {
		t.Errorf("docs/security.md names %d tests", len(named))
	}
	for _, name := range named {
		if !there[string(name[1])] {
			t.Errorf("docs/security.md names %s, which there is not", name[1])
		}
	}
}

// Packages of others write to the standard logger what receivers have sent: net/http does so with answers that nobody has
// asked for.
func TestRun_silencesTheStandardLogger(t *testing.T) {
	var written bytes.Buffer
	log.SetOutput(&written)
	t.Cleanup(func() { log.SetOutput(os.Stderr) })
	if status, _, _ := runBugle(t, "", "--version"); status != 0 {
		t.Fatalf("status %d", status)
	}
	log.Print("Unsolicited response received")
	if written.Len() > 0 {
		t.Errorf("written: %s", written.Bytes())
	}
}

// asvs are the items of levels 1 and 2 of OWASP ASVS 4.0.3, by section.
const asvs = `1.1:1-7 1.2:1-4 1.4:1,4,5 1.5:1-4 1.6:1-4 1.7:1-2 1.8:1-2 1.9:1-2 1.10:1 1.11:1-2 1.12:2 1.14:1-6
	2.1:1-12 2.2:1-3 2.3:1-3 2.4:1-6 2.5:1-7 2.6:1-3 2.7:1-6 2.8:1-7 2.9:1-3 2.10:1-4
	3.1:1 3.2:1-4 3.3:1-4 3.4:1-5 3.5:1-3 3.7:1 4.1:1-3,5 4.2:1-2 4.3:1-3
	5.1:1-5 5.2:1-8 5.3:1-10 5.4:1-3 5.5:1-4 6.1:1-3 6.2:1-6 6.3:1-2 6.4:1-2 7.1:1-4 7.2:1-2 7.3:1,3,4 7.4:1-3
	8.1:1-4 8.2:1-3 8.3:1-8 9.1:1-3 9.2:1-4 10.2:1-2 10.3:1-3 11.1:1-8
	12.1:1-3 12.2:1 12.3:1-6 12.4:1-2 12.5:1-2 12.6:1 13.1:1,3-5 13.2:1-3,5,6 13.3:1-2 13.4:1-2
	14.1:1-4 14.2:1-6 14.3:2-3 14.4:1-7 14.5:1-4`

// Each item of the standard has a status once, and none is open without a reason.
func TestSecurity_asvs(t *testing.T) {
	missing := map[string]bool{}
	for _, section := range strings.Fields(asvs) {
		name, items, _ := strings.Cut(section, ":")
		for _, part := range strings.Split(items, ",") {
			for _, item := range numbersOf(t, part) {
				missing[name+"."+item] = true
			}
		}
	}
	text, err := os.ReadFile("../../docs/security.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, found := strings.Cut(string(text), "\n|---|---|---|---|\n")
	if !found {
		t.Fatal("there is no table")
	}
	for _, row := range strings.Split(table, "\n") {
		cells := strings.Split(strings.Trim(row, "| "), " | ")
		if !strings.HasPrefix(row, "| ") || len(cells) < 3 {
			continue
		}
		status, reason := cells[2], strings.TrimSpace(strings.Join(cells[3:], ""))
		if !slices.Contains([]string{"held", "operator", "none", "open"}, status) || status == "open" && reason == "" || cells[1] == "" {
			t.Errorf("row %q has not a status, or is open without a reason", row)
		}
		for _, part := range strings.Split(cells[0], ", ") {
			first, last, isRange := strings.Cut(part, "–")
			section := first[:strings.LastIndex(first, ".")]
			items := strings.TrimPrefix(first, section+".")
			if isRange {
				items += "-" + strings.TrimPrefix(last, section+".")
			}
			for _, item := range numbersOf(t, items) {
				if !missing[section+"."+item] {
					t.Errorf("%s.%s is no item, or is there twice", section, item)
				}
				delete(missing, section+"."+item)
			}
		}
	}
	for item := range missing {
		t.Errorf("%s is missing", item)
	}
}

// numbersOf are the numbers of "3" or "3-5".
func numbersOf(t *testing.T, text string) (numbers []string) {
	t.Helper()
	first, last, isRange := strings.Cut(text, "-")
	if !isRange {
		last = first
	}
	from, err := strconv.Atoi(first)
	to, lastErr := strconv.Atoi(last)
	if err != nil || lastErr != nil || to < from {
		t.Fatalf("%q are no numbers", text)
	}
	for n := from; n <= to; n++ {
		numbers = append(numbers, strconv.Itoa(n))
	}
	return numbers
}
