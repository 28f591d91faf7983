package api

import (
	"net/http"

	"github.com/buglehq/bugle/internal/store"
	"github.com/buglehq/bugle/value"
)

// erasures adds what takes a person out of everything that is stored.
func (s *server) erasures() {
	s.handle("users/{id}/erase", methods{"POST": {"delete:user", s.eraseUser, doc{id: "eraseUser", summary: "Erase a person", tag: "Users", status: http.StatusAccepted,
		answer: "ErasureData", fails: []int{http.StatusConflict},
		about: "Takes the personal data of a user, who may be deleted already, out of his resource and out of everything that is stored, in the background."}}})
	s.handle("users/{id}/erasure", methods{"GET": {"view:user", s.showErasure, doc{id: "getErasure", summary: "Get how far the erasure of a person is", tag: "Users",
		status: http.StatusOK, answer: "ErasureData"}}})
}

func (s *server) eraseUser(q *request) error {
	id, err := q.id()
	if err != nil {
		return err
	}
	var e *store.Erasure
	err = s.store.Update(q.Context(), func(tx *store.Tx) (err error) {
		e, err = tx.EraseUser(q.actor, id)
		return err
	})
	if err != nil {
		return err
	}
	return q.data(http.StatusAccepted, erasureData(e))
}

func (s *server) showErasure(q *request) error {
	id, err := q.id()
	if err != nil {
		return err
	}
	e, err := s.store.Erasure(q.Context(), q.actor.OrganizationID, id)
	if err != nil {
		return err
	}
	return q.data(http.StatusOK, erasureData(e))
}

func erasureData(e *store.Erasure) *value.Array {
	var failure any
	if e.Error != "" {
		failure = e.Error
	}
	return value.Map("id", e.ID, "user_id", e.UserID, "state", string(e.State), "phase", e.Phase, "looked", e.Looked, "changed", e.Changed, "error", failure,
		"created_at", timeOrNull(e.CreatedAt), "updated_at", timeOrNull(e.UpdatedAt), "finished_at", timeOrNull(e.FinishedAt))
}

// erasures adds what answers about them.
func (c *componentSet) erasures() {
	states, phases := value.NewArray(len(store.ErasureStates)), value.NewArray(len(store.ErasurePhases))
	for _, state := range store.ErasureStates {
		states.Append(string(state))
	}
	for _, phase := range store.ErasurePhases {
		phases.Append(phase)
	}
	e := &store.Erasure{ID: 1, UserID: 7, State: store.ErasureRunning, Phase: "events", Looked: 1200, Changed: 31, CreatedAt: exampleMoment, UpdatedAt: exampleMoment}
	properties := value.Map("id", typed("integer"), "user_id", typed("integer"), "state", value.Map("type", "string", "enum", states),
		"phase", value.Map("type", "string", "enum", phases, "description", "What is searched, in this order."), "looked", annotated(typed("integer"), "Rows that were looked at."),
		"changed", annotated(typed("integer"), "Of them, those that held something of the person."), "error", annotated(nullable(typed("string")), "Why it was given up, or that not everything could be looked for."),
		"created_at", moment(), "updated_at", moment(), "finished_at", nullable(moment()))
	c.schema("Erasure", closed(properties), erasureData(e))
	c.answer("ErasureData", "The erasure.", closed(value.Map("data", schemaRef("Erasure"))), value.Map("data", erasureData(e)))
}
