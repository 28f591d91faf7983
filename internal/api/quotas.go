package api

import (
	"net/http"
	"strconv"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/value"
)

// quotas adds what an organization may use of the server, and uses.
func (s *server) quotas() {
	s.handle("quotas", methods{"GET": {"view:settings", (*request).quotas, doc{id: "getQuotas", summary: "Get quotas and what is used of them", tag: "Quotas",
		about:  "Of `events` in a minute of the clock, of `storage` bytes. Who runs the server sets quotas.",
		status: http.StatusOK, answer: "QuotasData"}}})
}

func (q *request) quotas() error {
	limits, err := q.server.store.Quotas(q.Context(), q.actor.OrganizationID)
	if err != nil {
		return err
	}
	used, err := q.server.store.Usage(q.Context(), q.actor.OrganizationID)
	if err == nil && q.server.o.Files != nil {
		used.Storage, err = q.server.o.Files.Used(q.actor.OrganizationID)
	}
	if err != nil {
		return err
	}
	return q.data(http.StatusOK, quotasData(limits, used))
}

func quotasData(limits, used bugle.Quotas) *value.Array {
	all := value.NewArray(len(bugle.QuotaNames))
	for _, name := range bugle.QuotaNames {
		var limit, n any = nil, *used.Of(name)
		if most := *limits.Of(name); most > 0 {
			limit = most
		} else if name == "events" {
			n = nil // they are counted for the quota alone
		}
		all.Set(name, value.Map("limit", limit, "used", n))
	}
	return all
}

// quotaError is the answer to what would go beyond a quota.
func (q *request) quotaError(e *bugle.QuotaError) *statusError {
	if seconds := e.Seconds(); seconds > 0 {
		q.w.Header().Set("Retry-After", strconv.Itoa(seconds))
	}
	switch e.Quota {
	case "events", "backlog":
		return &statusError{http.StatusTooManyRequests, "ThrottleRequestsException", e.Error()}
	case "storage":
		return &statusError{http.StatusInsufficientStorage, "HttpException", e.Error()}
	}
	return &statusError{http.StatusForbidden, "HttpException", e.Error()}
}

// quotas adds the answer with quotas.
func (c *componentSet) quotas() {
	count := func() *value.Array { return value.Map("type", "integer", "minimum", 0) }
	properties := value.NewArray(len(bugle.QuotaNames))
	for _, name := range bugle.QuotaNames {
		used := count()
		if name == "events" {
			used = annotated(nullable(used), "Null without a limit: they are not counted then.")
		}
		properties.Set(name, closed(value.Map("limit", annotated(nullable(count()), "Null if there is none."), "used", used)))
	}
	example := quotasData(bugle.Quotas{Webhooks: 100, Events: 600, Storage: 1 << 30}, bugle.Quotas{Webhooks: 3, Events: 12, Backlog: 40, Storage: 123456})
	c.schema("Quotas", closed(properties), example)
	c.answer("QuotasData", "What the organization may use, and uses.", closed(value.Map("data", schemaRef("Quotas"))), value.Map("data", example))
}
