package main

import (
	"regexp"
	"strings"
	"testing"
)

func TestDemo(t *testing.T) {
	status, stdout, stderr := runBugle(t, "", "demo", "--listen", "127.0.0.1:0", "--interval", "10ms", "--count", "8")
	if status != 0 || stderr != "" {
		t.Fatalf("status %d, stderr %q\n%s", status, stderr, stdout)
	}
	for _, pattern := range []string{
		`panel    http://127\.0\.0\.1:\d+   sign in as carter@example\.com with the password \w{12}\n`,
		`key      bugle_\w{40}`,
		`\d\d:\d\d:\d\d +rankrecord\.created +Chat relay \(POST\) +200 +[\d.]+ ms  attempt 1\n`,
		`\d\d:\d\d:\d\d +rankrecord\.created +Spreadsheet \(GET\) +200 +[\d.]+ ms  attempt 1\n`,
		`Flaky archive \(POST\) +503 +[\d.]+ ms  attempt 1, again in 1 s\n`,
		`Flaky archive \(POST\) +200 +[\d.]+ ms  attempt 3\n`,
	} {
		if !regexp.MustCompile(pattern).MatchString(stdout) {
			t.Errorf("the output does not match %s:\n%s", pattern, stdout)
		}
	}
	if n := strings.Count(stdout, " attempt 1\n"); n < 16 {
		t.Errorf("%d deliveries at the first attempt, want at least two for each of 8 changes", n)
	}
}

func TestDemo_refusesOptions(t *testing.T) {
	for _, args := range [][]string{{"--interval", "0s"}, {"--count=-1"}} {
		if status, _, stderr := runBugle(t, "", append([]string{"demo"}, args...)...); status == 0 || !strings.Contains(stderr, strings.TrimSuffix(args[0], "=-1")+" is ") {
			t.Errorf("%v: status %d, stderr %q", args, status, stderr)
		}
	}
}
