package api

import (
	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/value"
)

// auditLog adds the entries of the audit log.
func (c *componentSet) auditLog() {
	whole, text := nullable(typed("integer")), nullable(typed("string"))
	changed := func(about string) *value.Array {
		return annotated(orEmpty(value.Map("type", "object", "additionalProperties", true)), about)
	}
	schema := closed(value.Map("id", annotated(typed("integer"), "Counted from 1 without gaps."), "action", enumOf(bugle.AuditActions),
		"actor", closed(value.Map("type", annotated(enumOf(wordsOfType(bugle.AuthorKinds)), "visitor: somebody who has not signed in."), "id", whole, "name", text)),
		"subject", closed(value.Map("type", enumOf(bugle.AuditSubjects), "id", whole, "name", text)),
		"before", changed("What the attributes that changed were, secrets masked; empty if there was nothing before."),
		"after", changed("What they are now; empty if there is nothing any more."),
		"address", annotated(text, "IP address that the request came from."), "request_id", text,
		"hash", annotated(typed("string"), "SHA-256 over the entry and the hash of the one before, in hexadecimal."), "created_at", moment()))
	e := &bugle.AuditEntry{OrganizationID: 1, Number: 2, CreatedAt: exampleMoment, Author: bugle.Author{Kind: bugle.ByKey, ID: 1, Name: "ci", Address: "192.0.2.1", RequestID: exampleRequest},
		Action: "webhook.updated", Subject: bugle.Subject{Kind: "webhook", ID: 1, Name: "Discord relay"}, Before: `{"status":"active"}`, After: `{"status":"paused"}`}
	e.Hash = e.ChainHash(nil)
	example, err := auditData(e)
	if err != nil {
		panic(err) // it is constant
	}
	c.schema("AuditLogResource", schema, example)
	c.page("AuditLog", "AuditLogResource", example)
}

func enumOf(words []string) *value.Array {
	list := value.NewArray(len(words))
	for _, word := range words {
		list.Append(word)
	}
	return value.Map("type", "string", "enum", list)
}

func auditParameters() *value.Array {
	return value.Map(
		"audit_action", queried("action", "Those of the action.", enumOf(bugle.AuditActions)),
		"audit_actor", queried("actor", "Those of such actors.", enumOf(wordsOfType(bugle.AuthorKinds))),
		"audit_actor_id", queried("actor_id", "Those of the account of a user, or of an API key, by its id.", idSchema()),
		"audit_subject", queried("subject", "Those about such things.", enumOf(bugle.AuditSubjects)),
		"audit_subject_id", queried("subject_id", "Those about the thing with the id.", idSchema()))
}
