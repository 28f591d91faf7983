package admin

import (
	"net/http"

	"github.com/buglehq/bugle"
)

// A quotaRow is one quota of the organization, as the settings show it.
type quotaRow struct {
	Label, Used, Limit string
	Percent            int // of the limit that is used, at most 100
	Limited            bool
}

// quotaLabels are what the page says of bugle.QuotaNames.
var quotaLabels = map[string]string{
	"webhooks": "Webhooks", "automations": "Automations", "events": "Events this minute", "backlog": "Pending deliveries", "storage": "Files",
}

// quotaRows are what the organization may use of the server, and uses.
func (v *visit) quotaRows() ([]quotaRow, error) {
	limits, err := v.server.store.Quotas(v.Context(), v.actor.OrganizationID)
	if err != nil {
		return nil, err
	}
	used, err := v.server.store.Usage(v.Context(), v.actor.OrganizationID)
	if err == nil && v.server.o.Files != nil {
		used.Storage, err = v.server.o.Files.Used(v.actor.OrganizationID)
	}
	if err != nil {
		return nil, err
	}
	var rows []quotaRow
	for _, name := range bugle.QuotaNames {
		n, limit := *used.Of(name), *limits.Of(name)
		text := func(n int64) string { return thousands(int(n)) }
		if name == "storage" {
			text = bugle.SizeText
		}
		row := quotaRow{Label: quotaLabels[name], Used: text(n), Limit: "no limit", Limited: limit > 0}
		if name == "events" && !row.Limited {
			row.Used = "not counted" // but for the quota
		}
		if row.Limited {
			row.Limit, row.Percent = text(limit), int(min(100*float64(n)/float64(limit), 100))
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// quotaStatus is the status of the page that says that something would go beyond a quota, as in the API.
func quotaStatus(e *bugle.QuotaError) int {
	switch e.Quota {
	case "events", "backlog":
		return http.StatusTooManyRequests
	case "storage":
		return http.StatusInsufficientStorage
	}
	return http.StatusForbidden
}
