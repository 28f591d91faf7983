package personnel

// What training records give.

// Issuer gives out credentials.
var Issuer = Kind{
	Name: "issuer", Path: "issuers", Table: "issuers", Class: "Issuer",
	Fields: fields(name()),
}

var credentialFields = fields(name(), description(),
	Field{Name: "type", Type: Choice, Required: true, Options: []any{"certification", "license", "other"}},
	Field{Name: "issuer_id", Type: Reference, Null: true, Required: true, Refers: "issuer"},
	order())

// Credential is a certificate or license.
var Credential = Kind{
	Name: "credential", Path: "credentials", Table: "credentials", Class: "Credential", Order: BySorted,
	Fields: credentialFields, Relations: belongsTo(credentialFields), Includes: []string{"issuer"},
}

// Competency is something that a user can do.
var Competency = Kind{
	Name: "competency", Path: "competencies", Table: "competencies", Class: "Competency",
	Fields: fields(name(), description()),
}
