package observe

import (
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/internal/delivery"
	"github.com/buglehq/bugle/internal/storetest"
	"github.com/buglehq/bugle/internal/tracing"
)

// Dashboard, alerts and the document name metrics that there are, and the document names all.
func TestMetrics_areNamedElsewhere(t *testing.T) {
	m, _, examiner := newMetrics(t)
	if err := examiner.Examine(t.Context()); err != nil {
		t.Fatal(err)
	}
	m.Attempt(delivery.AttemptReport{Attempt: &bugle.Attempt{Number: 1}, Outcome: bugle.Outcome{State: bugle.Delivered}}, storetest.Start)
	m.Request(tracing.Answer{Route: "/v2/users", Method: "GET", Status: 200})
	there := map[string]bool{}
	families, err := m.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		there[f.GetName()] = true
	}
	name := regexp.MustCompile(`\b(bugle|go|process)_[a-z0-9_]+`)
	part := regexp.MustCompile(`_(bucket|sum|count)$`)
	for path, least := range map[string]int{"../../deploy/grafana/bugle.json": 15, "../../deploy/prometheus/alerts.yml": 8, "../../docs/observability.md": 20} {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		named := map[string]bool{}
		for _, found := range name.FindAllString(string(text), -1) {
			if !there[found] {
				found = part.ReplaceAllString(found, "")
			}
			if named[found] = true; !there[found] && !strings.HasPrefix(found, "go_version") {
				t.Errorf("%s names %s, which does not exist", path, found)
			}
		}
		if len(named) < least {
			t.Errorf("%s names %d metrics, want %d and more", path, len(named), least)
		}
		if strings.HasSuffix(path, ".md") {
			for metric := range there {
				if strings.HasPrefix(metric, "bugle_") && !named[metric] {
					t.Errorf("%s does not name %s", path, metric)
				}
			}
		}
		if strings.HasSuffix(path, ".json") && !json.Valid(text) {
			t.Errorf("%s is no JSON", path)
		}
	}
}
