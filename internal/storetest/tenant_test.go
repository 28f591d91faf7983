package storetest_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/jonboulle/clockwork"

	"github.com/buglehq/bugle/internal/store"
	"github.com/buglehq/bugle/internal/storetest"
)

// What tests of tenants look for must be there to be found: a tenant has rows in each table, and its mark wherever
// there is a text to choose.
func TestAddTenant_hasEverything(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *clockwork.FakeClock) {
		one := storetest.AddTenant(t, s, "quartz", "")
		before := one.Rows(t, s)
		for table, rows := range before {
			if len(rows) == 0 {
				t.Errorf("there is nothing in %s", table)
			}
			if !marked(rows, "quartz") && free.MatchString(strings.Join(rows, "\n")) {
				t.Errorf("the mark is not in %s: %.300q", table, rows)
			}
		}
		storetest.WantApart(t, s)
		two := storetest.AddTenant(t, s, "zircon", "")
		for table, rows := range two.Rows(t, s) {
			if marked(rows, "quartz") {
				t.Errorf("a second tenant has something of the first in %s", table)
			}
		}
		for table, rows := range one.Rows(t, s) {
			if strings.Join(rows, "\n") != strings.Join(before[table], "\n") {
				t.Errorf("a second tenant changes %s of the first", table)
			}
		}
	})
}

func marked(rows []string, mark string) bool {
	return strings.Contains(strings.Join(rows, "\n"), mark)
}

// free finds columns whose text is free to choose.
var free = regexp.MustCompile(`\b(name|title|text|description|comment|content|message|label|url|email|source|settings|headers|envelope|response_body|error)="[^"]`)
