package api

import (
	"encoding/hex"
	"net/http"
	"slices"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/internal/store"
	"github.com/buglehq/bugle/value"
)

// audit adds the log of what was changed of the configuration, and of who signed in.
func (s *server) audit() {
	s.handle("audit-log", methods{"GET": {"view:audit-log", s.listAuditLog, doc{id: "listAuditLog", summary: "List changes of the configuration and sign-ins", tag: "Audit Log",
		status: http.StatusOK, answer: "AuditLogPage", query: slices.Concat(paging, auditFilters), fails: []int{http.StatusUnprocessableEntity}}}})
}

// auditFilters are the parameters that listAuditLog reads.
var auditFilters = []string{"audit_action", "audit_actor", "audit_actor_id", "audit_subject", "audit_subject_id", "since", "until"}

func (s *server) listAuditLog(q *request) error {
	in := q.filters()
	f := store.AuditFilter{Action: in.word("action", bugle.AuditActions...), AuthorKind: bugle.AuthorKind(in.word("actor", wordsOfType(bugle.AuthorKinds)...)),
		AuthorID: in.number("actor_id"), SubjectKind: in.word("subject", bugle.AuditSubjects...), SubjectID: in.number("subject_id"),
		Since: in.time("since"), Until: in.time("until")}
	if err := in.invalid.Err(); err != nil {
		return err
	}
	page, err := s.store.AuditEntries(q.Context(), q.actor.OrganizationID, f, q.page())
	if err != nil {
		return err
	}
	items := value.NewArray(len(page.Items))
	for _, e := range page.Items {
		data, err := auditData(e)
		if err != nil {
			return err
		}
		items.Append(data)
	}
	return q.list(items, page.Number, page.Limit, page.Total)
}

// auditData renders an entry of the audit log.
func auditData(e *bugle.AuditEntry) (*value.Array, error) {
	before, err := value.Decode([]byte(e.Before))
	if err != nil {
		return nil, err
	}
	after, err := value.Decode([]byte(e.After))
	if err != nil {
		return nil, err
	}
	number := func(n int64) any {
		if n == 0 {
			return nil
		}
		return n
	}
	text := func(s string) any {
		if s == "" {
			return nil
		}
		return s
	}
	return value.Map("id", e.Number, "action", e.Action,
		"actor", value.Map("type", string(e.Author.Kind), "id", number(e.Author.ID), "name", text(e.Author.Name)),
		"subject", value.Map("type", e.Subject.Kind, "id", number(e.Subject.ID), "name", text(e.Subject.Name)),
		"before", before, "after", after, "address", text(e.Author.Address), "request_id", text(e.Author.RequestID),
		"hash", hex.EncodeToString(e.Hash), "created_at", bugle.FormatTime(e.CreatedAt)), nil
}
