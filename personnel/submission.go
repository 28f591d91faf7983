package personnel

var submissionFields = fields(
	Field{Name: "form_id", Type: Reference, Required: true, Refers: "form", Cascade: true},
	Field{Name: "user_id", Type: Reference, Null: true, Required: true, Refers: "user"},
	Field{Name: "read_at", Type: RawTime, Null: true, ReadOnly: true},
)

// Submission is a filled-in form; the answers are custom fields.
var Submission = Kind{
	Name: "submission", Path: "submissions", Table: "submissions", Class: "Submission", Emits: true, Custom: true, Grows: true,
	Fields: submissionFields,
	Relations: append(belongsTo(submissionFields),
		Relation{Name: "statuses", Kind: "status", Pivot: statusPivot("submission_statuses", "submission_id")},
		ofModel("Submission", "comments", "comment", true)),
	Nested:   nest("statuses"),
	Includes: append(open("comments", "form", "user"), "statuses", "statuses.record"),
	Created:  []string{"form"},
	Updated:  []string{"form"},
	AfterEvent: func(c Changes, r *Resource) error {
		form, err := findVia(c, r, "form_id", &Form)
		if err != nil || form == nil || form.Get("submission_status_id") == nil {
			return err
		}
		return c.Attach("submission_statuses", map[string]any{"submission_id": r.ID(), "status_id": form.Get("submission_status_id")})
	},
}
