package store_test

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/internal/store"
	"github.com/buglehq/bugle/internal/storetest"
	"github.com/buglehq/bugle/value"
)

// filled returns a store with a log of n events, deliveries, attempts and runs.
func filled(t testing.TB, n, webhooks int) *store.Store {
	t.Helper()
	s, _ := storetest.New(t)
	for i := range webhooks {
		storetest.AddWebhook(t, s, fmt.Sprintf("https://example.com/%d", i), nil)
	}
	for range 3 {
		storetest.Change(t, s, func(tx *store.Tx) error {
			return tx.AddAutomation(&bugle.Automation{OrganizationID: 1, Name: "Rule", Trigger: "user.updated", ActionType: "webhook",
				PayloadTemplate: value.NewArray(0), PayloadFormat: "envelope", UpdateLookupConditions: value.NewArray(0), UpdateFields: value.NewArray(0), Enabled: true})
		})
	}
	if err := s.FillLog(t.Context(), 1, n); err != nil {
		t.Fatal(err)
	}
	return s
}

// A question is a list that the panel shows.
type question struct {
	name string
	ask  func(p store.PageRequest) (ids []int64, total int, more, incomplete bool, reached int64, err error)
}

func asked[T any](page store.Page[T], err error, id func(T) int64) ([]int64, int, bool, bool, int64, error) {
	var ids []int64
	for _, item := range page.Items {
		ids = append(ids, id(item))
	}
	return ids, page.Total, page.More, page.Incomplete, page.Reached, err
}

// questions are those of the panel, for a store that is filled.
func questions(s *store.Store, since, until time.Time) []question {
	ctx := context.Background()
	request := func(id int64) string {
		var text string
		s.Query(ctx, func(scan func(to ...any) error) error { return scan(&text) }, "SELECT request_id FROM events WHERE id = $1", id)
		return text
	}(77)
	var list []question
	for name, f := range map[string]store.DeliveryFilter{
		"all":                    {},
		"webhook":                {WebhookID: 2},
		"webhook, none":          {WebhookID: 999},
		"pending":                {State: bugle.Pending},
		"delivered":              {State: bugle.Delivered},
		"failed":                 {State: bugle.Failed},
		"failed or cancelled":    {States: []bugle.DeliveryState{bugle.Failed, bugle.Cancelled}},
		"webhook and failed":     {WebhookID: 2, State: bugle.Failed},
		"webhook and pending":    {WebhookID: 2, State: bugle.Pending},
		"webhook and delivered":  {WebhookID: 2, State: bugle.Delivered},
		"event":                  {Event: "user.updated"},
		"event, none":            {Event: "event.deleted"},
		"event and webhook":      {Event: "calendar.updated", WebhookID: 2},
		"event and failed":       {Event: "user.updated", State: bugle.Failed},
		"event, none, webhook":   {Event: "event.deleted", WebhookID: 2},
		"since":                  {Since: since},
		"until":                  {Until: until},
		"since and until":        {Since: since, Until: until},
		"webhook, since, until":  {WebhookID: 2, Since: since, Until: until},
		"event, since, until":    {Event: "user.updated", Since: since, Until: until},
		"failed, since, until":   {State: bugle.Failed, Since: since, Until: until},
		"2xx":                    {StatusClass: "2xx"},
		"4xx, none":              {StatusClass: "4xx"},
		"5xx":                    {StatusClass: "5xx"},
		"not answered":           {StatusClass: "none"},
		"5xx of a webhook":       {StatusClass: "5xx", WebhookID: 2},
		"4xx of a webhook, none": {StatusClass: "4xx", WebhookID: 2},
		"204, none":              {StatusCode: 204},
		"timeout":                {ErrorKind: bugle.ErrorTimeout},
		"dns, none":              {ErrorKind: bugle.ErrorDNS},
		"request":                {RequestID: request},
		"request, none":          {RequestID: "?"},
		"request prefix":         {RequestPrefix: request[:8]},
		"request and webhook":    {RequestID: request, WebhookID: 2},
	} {
		list = append(list, question{"deliveries: " + name, func(p store.PageRequest) ([]int64, int, bool, bool, int64, error) {
			page, err := s.Deliveries(ctx, 1, f, p)
			return asked(page, err, func(d *bugle.Delivery) int64 { return d.ID })
		}})
	}
	for name, f := range map[string]store.EventFilter{
		"all":                  {},
		"name":                 {Name: "user.updated"},
		"name, none":           {Name: "event.deleted"},
		"resource":             {ResourceKind: "user", ResourceID: 5},
		"resource, none":       {ResourceKind: "unit", ResourceID: 5},
		"kind":                 {ResourceKind: "calendar"},
		"kind, none":           {ResourceKind: "unit"},
		"causer":               {CauserID: 7},
		"causer, none":         {CauserID: 7000},
		"causer and name":      {CauserID: 8, Name: "user.updated"},
		"request":              {RequestID: request},
		"request prefix":       {RequestPrefix: request[:10]},
		"request prefix, none": {RequestPrefix: "zzzz"},
		"since and until":      {Since: since, Until: until},
		"name, since, until":   {Name: "user.updated", Since: since, Until: until},
	} {
		list = append(list, question{"events: " + name, func(p store.PageRequest) ([]int64, int, bool, bool, int64, error) {
			page, err := s.Events(ctx, 1, f, p)
			return asked(page, err, func(e *store.LoggedEvent) int64 { return e.ID })
		}})
	}
	for name, f := range map[string]store.RunFilter{
		"all":                    {},
		"automation":             {AutomationID: 2},
		"automation, none":       {AutomationID: 999},
		"executed":               {Status: bugle.RunExecuted},
		"failed":                 {Status: bugle.RunFailed},
		"loop stopped, none":     {Status: bugle.RunLoopStopped},
		"pending, none":          {Status: bugle.RunPending},
		"automation and failed":  {AutomationID: 2, Status: bugle.RunFailed},
		"automation, executed":   {AutomationID: 2, Status: bugle.RunExecuted},
		"trigger":                {Trigger: "user.updated"},
		"trigger, none":          {Trigger: "event.deleted"},
		"since":                  {Since: since},
		"since and until":        {Since: since, Until: until},
		"automation, until":      {AutomationID: 2, Until: until},
		"event":                  {EventID: 5},
		"failed, since and more": {Status: bugle.RunFailed, Since: since, Trigger: "user.updated"},
	} {
		list = append(list, question{"runs: " + name, func(p store.PageRequest) ([]int64, int, bool, bool, int64, error) {
			page, err := s.Runs(ctx, 1, f, p)
			return asked(page, err, func(r *store.LoggedRun) int64 { return r.ID })
		}})
	}
	slices.SortFunc(list, func(a, b question) int { return slices.Compare([]byte(a.name), []byte(b.name)) })
	return list
}

// collect reads everything that a question finds, page by page from the newest, or from the oldest if it goes up.
func collect(t *testing.T, q question, limit int, up bool) []int64 {
	t.Helper()
	var all []int64
	p := store.PageRequest{Limit: limit, CountTo: -1}
	if p.Before = 1 << 60; up {
		p.Before, p.After = 0, -1
	}
	for range 10000 {
		ids, _, _, incomplete, reached, err := q.ask(p)
		if err != nil {
			t.Fatalf("%s: %v", q.name, err)
		}
		all = append(all, ids...)
		switch {
		case up && incomplete:
			p.After = reached
		case incomplete:
			p.Before = reached
		case len(ids) < limit:
			slices.SortFunc(all, func(a, b int64) int { return int(b - a) })
			return all
		case up:
			p.After = ids[0]
		default:
			p.Before = ids[len(ids)-1]
		}
	}
	t.Fatalf("%s: no end", q.name)
	return nil
}

// Whatever way a bounded search takes, it finds what an exact one does; and page by page, in either
// direction, everything.
func TestLogs_boundedSearchesFindTheSame(t *testing.T) {
	s := filled(t, 3000, 7)
	defer store.MaxScanned(store.MaxScanned(10000))
	for _, scanned := range []int{10000, 300} {
		store.MaxScanned(scanned)
		for _, q := range questions(s, storetest.Start.AddDate(0, 0, -20), storetest.Start.AddDate(0, 0, -15)) {
			want, total, more, incomplete, _, err := q.ask(store.PageRequest{Number: 1, Limit: 10000})
			if err != nil || more || incomplete || total != len(want) {
				t.Fatalf("%s, exactly: %d of %d, more %v, incomplete %v, %v", q.name, len(want), total, more, incomplete, err)
			}
			for _, up := range []bool{false, true} {
				if got := collect(t, q, 37, up); !slices.Equal(got, want) {
					t.Errorf("%s, at most %d rows at a time, upwards %v: %d, want %d", q.name, scanned, up, len(got), len(want))
				}
			}
			ids, total, more, incomplete, _, err := q.ask(store.PageRequest{Number: 2, Limit: 10, CountTo: 50})
			if err != nil || total > len(want) || total > 50 || more != (total < len(want)) && scanned > 3000 {
				t.Errorf("%s, counted: %d, more %v, %v, want %d", q.name, total, more, err, len(want))
			}
			if second := want[min(10, len(want)):min(20, len(want))]; !incomplete && !slices.Equal(ids, second) {
				t.Errorf("%s, second page: %d, want %d", q.name, ids, second)
			}
		}
	}
}

// No bounded search reads a table from end to end, or sorts more than it shows, whether or not the database
// knows how large its tables are.
func TestLogs_boundedSearchesUseIndexes(t *testing.T) {
	t.Setenv("BUGLE_TEST_POSTGRES", "") // the plans of PostgreSQL depend on how much there is
	s := filled(t, 3000, 7)
	for _, analyzed := range []bool{false, true} {
		if analyzed {
			exec(t, s, "ANALYZE")
		}
		var queries []string
		t.Run(fmt.Sprintf("analyzed %v", analyzed), func(t *testing.T) {
			s.Watch(t, func(query string) { queries = append(queries, query) })
			for _, q := range questions(s, storetest.Start.AddDate(0, 0, -20), storetest.Start.AddDate(0, 0, -15)) {
				for _, p := range []store.PageRequest{{Number: 1, Limit: 10, CountTo: 100}, {Limit: 10, CountTo: -1, Before: 2000}, {Limit: 10, CountTo: -1, After: 1000}} {
					queries = nil
					if _, _, _, _, _, err := q.ask(p); err != nil {
						t.Fatalf("%s: %v", q.name, err)
					}
					asked := slices.Clone(queries)
					for _, text := range asked {
						for _, step := range explain(t, s, text) {
							table := ""
							if rest, ok := strings.CutPrefix(step, "SCAN "); ok {
								table, _, _ = strings.Cut(rest, " ")
							}
							few := strings.Contains(text, "json_each") || strings.Contains(text, "UNION ALL") || strings.Contains(text, "r.event_id = ") // a page, a short queue, the runs of an event
							if slices.Contains([]string{"d", "e", "r", "a", "deliveries", "events", "attempts", "automation_runs"}, table) || strings.HasPrefix(step, "USE TEMP B-TREE") && !few {
								t.Errorf("%s, %+v: %s\n%s", q.name, p, step, text)
							}
						}
					}
				}
			}
		})
	}
}

func explain(t *testing.T, s *store.Store, text string) []string {
	t.Helper()
	var steps []string
	err := s.Query(t.Context(), func(scan func(to ...any) error) error {
		var id, parent, unused int
		var step string
		err := scan(&id, &parent, &unused, &step)
		steps = append(steps, step)
		return err
	}, "EXPLAIN QUERY PLAN "+regexp.MustCompile(`\$\d+`).ReplaceAllString(text, "0"))
	if err != nil {
		t.Fatal(err)
	}
	return steps
}

// BenchmarkLogs measures what the panel asks of a log of a million: p95-ms is what counts, and incomplete
// says that a search ended at its bound.
func BenchmarkLogs(b *testing.B) {
	s := filled(b, 1000000, 50)
	measureStats(b, s)
	for _, q := range questions(s, storetest.Start.AddDate(0, 0, -20), storetest.Start.AddDate(0, 0, -15)) {
		for name, p := range map[string]store.PageRequest{"first": {Number: 1, Limit: 50, CountTo: 1000}, "deep": {Limit: 50, CountTo: -1, Before: 500000}} {
			b.Run(q.name+"/"+name, func(b *testing.B) {
				incomplete := false
				measure(b, func() (err error) {
					_, _, _, incomplete, _, err = q.ask(p)
					return err
				})
				if incomplete {
					b.ReportMetric(1, "incomplete")
				}
			})
		}
	}
}

func measureStats(b *testing.B, s *store.Store) {
	ctx, now := context.Background(), storetest.Start
	var all []int64
	for id := range 50 {
		all = append(all, int64(id+1))
	}
	hour, day := now.Truncate(time.Hour), now.Truncate(24*time.Hour)
	for name, ask := range map[string]func() error{
		"a day of 50 webhooks by the hour": func() error {
			_, err := s.WebhookStats(ctx, 1, all, hour.Add(-23*time.Hour), now, time.Hour)
			return err
		},
		"a day of a webhook by 15 minutes": func() error {
			_, err := s.WebhookStats(ctx, 1, all[:1], hour.Add(-23*time.Hour), now, 15*time.Minute)
			return err
		},
		"30 days of a webhook by the day": func() error {
			_, err := s.WebhookStats(ctx, 1, all[:1], day.AddDate(0, 0, -29), now, 24*time.Hour)
			return err
		},
		"an hour of all by the minute": func() error {
			_, err := s.OrganizationStats(ctx, 1, now.Add(-time.Hour), now, time.Minute)
			return err
		},
		"30 days of all by the day": func() error {
			_, err := s.OrganizationStats(ctx, 1, day.AddDate(0, 0, -29), now, 24*time.Hour)
			return err
		},
		"backlog of 50 webhooks": func() error {
			_, err := s.Backlog(ctx, 1, all)
			return err
		},
	} {
		b.Run("stats: "+name, func(b *testing.B) { measure(b, ask) })
	}
}

// measure reports the 95th percentile of what ask takes.
func measure(b *testing.B, ask func() error) {
	var took []time.Duration
	for b.Loop() {
		began := time.Now()
		if err := ask(); err != nil {
			b.Fatal(err)
		}
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)*95/100].Microseconds())/1000, "p95-ms")
}
