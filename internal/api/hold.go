package api

import (
	"net/http"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/internal/store"
	"github.com/buglehq/bugle/value"
)

// hold adds what lets everything that an organization sends wait.
func (s *server) hold() {
	about := func(id, summary string, more ...int) doc {
		return doc{id: id, summary: summary, tag: "Hold", status: http.StatusOK, answer: "HoldData", fails: more}
	}
	begin := about("hold", "Hold everything that is sent", http.StatusConflict)
	begin.about = "Deliveries are made, and wait until they are released."
	s.handle("hold", methods{
		"GET": {"view:webhook", func(q *request) error {
			o, err := s.store.Organization(q.Context(), q.actor.OrganizationID)
			if err != nil {
				return err
			}
			return q.data(http.StatusOK, holdData(o))
		}, about("getHold", "Get whether what is sent is held")},
		"POST": {"update:webhook", func(q *request) error {
			return s.changeHold(q, func(tx *store.Tx) (*bugle.Organization, error) { return tx.Hold(q.actor.OrganizationID) })
		}, begin},
	})
	end := about("release", "End the hold", http.StatusConflict)
	end.body = "Release"
	s.handle("hold/release", methods{"POST": {"update:webhook", s.release, end}})
}

func (s *server) changeHold(q *request, change func(tx *store.Tx) (*bugle.Organization, error)) error {
	var o *bugle.Organization
	err := s.store.Update(q.Context(), func(tx *store.Tx) (err error) {
		o, err = change(tx)
		return err
	})
	if err != nil {
		return err
	}
	return q.data(http.StatusOK, holdData(o))
}

// release ends the hold. There is no default for what becomes of what was held.
func (s *server) release(q *request) error {
	fields, err := q.body()
	if err != nil {
		return err
	}
	v, given := fields.Get("do")
	how, ok := v.(string)
	switch {
	case !given:
		return bugle.Invalid("do", "The do field is required: deliver, digest or drop.")
	case !ok:
		return bugle.Invalid("do", "The do field must be deliver, digest or drop, not %s.", value.Describe(v))
	}
	return s.changeHold(q, func(tx *store.Tx) (*bugle.Organization, error) {
		return tx.Release(q.actor.OrganizationID, bugle.Release(how))
	})
}

// holdData renders whether an organization is held.
func holdData(o *bugle.Organization) *value.Array {
	var releasing any
	if o.Releasing != "" {
		releasing = string(o.Releasing)
	}
	return value.Map("held", !o.HeldAt.IsZero(), "since", timeOrNull(o.HeldAt), "releasing", releasing)
}

// hold adds what is asked for and answered about holds.
func (c *componentSet) hold() {
	ways := value.NewArray(len(bugle.Releases))
	for _, how := range bugle.Releases {
		ways.Append(string(how))
	}
	c.answer("HoldData", "Whether it is held.", closed(value.Map("data", closed(value.Map("held", typed("boolean"), "since", nullable(moment()),
		"releasing", annotated(nullable(value.Map("type", "string", "enum", value.List("digest", "drop"))), "What is being done with what was held, until the hold is over."))))),
		value.Map("data", holdData(&bugle.Organization{HeldAt: exampleMoment})))
	c.body("Release", true, value.Map("type", "object", "required", value.List("do"), "properties", value.Map("do", value.Map("type", "string", "enum", ways,
		"description", "What becomes of what was held: `deliver` sends it, `digest` cancels it and sends each webhook one `webhook.digest`, `drop` cancels it."))),
		value.Map("do", "deliver"))
}
