package personnel

import (
	"time"

	"github.com/buglehq/bugle/value"
)

var taskFields = fields(
	Field{Name: "title", Type: String, Required: true}, description(), Field{Name: "instructions", Type: Text, Null: true},
	Field{Name: "form_id", Type: Reference, Null: true, Refers: "form"})

// Task is something that users are told to do.
var Task = Kind{
	Name: "task", Path: "tasks", Table: "tasks", Class: "Task",
	Fields: taskFields,
	Relations: append(belongsTo(taskFields), ofModel("Task", "attachments", "attachment", true),
		Relation{Name: "users", Kind: "user", Pivot: turned(assignmentPivot("user_id", "task_id"))}),
	Includes: []string{"attachments", "form", "users"},
}

// assignmentPivot is who has to do which task.
func assignmentPivot(local, foreign string) *Pivot {
	return &Pivot{
		Table: "user_tasks", Local: local, Foreign: foreign, Repeats: true, Key: "assignment",
		Fields: []Field{
			{Name: "assigned_by_id", Type: Reference, Null: true, Refers: "user"},
			{Name: "assigned_at", Type: DateTime, Null: true},
			{Name: "due_at", Type: DateTime, Null: true},
			{Name: "completed_at", Type: DateTime, Null: true},
			{Name: "expires_at", Type: DateTime, Null: true},
		},
		Shown: []string{local, foreign, "assigned_by_id", "assigned_at", "due_at", "completed_at", "expires_at", "created_at", "updated_at"},
		Appended: []PivotAttribute{
			{"expired", func(row *value.Array, v *View) any { return isPast(row, "expires_at", v) }},
			{"past_due", func(row *value.Array, v *View) any { return isPast(row, "due_at", v) }},
			{"status", assignmentStatus},
		},
	}
}

func isPast(row *value.Array, column string, v *View) bool {
	stored, _ := row.Get(column)
	text, _ := stored.(string)
	at, err := time.Parse(StoredTime, text)
	return err == nil && at.Before(v.Now)
}

// assignmentStatus sums up an assignment in a word.
func assignmentStatus(row *value.Array, v *View) any {
	completed, _ := row.Get("completed_at")
	status := ""
	switch {
	case isPast(row, "expires_at", v):
		status = "expired"
	case isPast(row, "due_at", v):
		status = "past_due"
	}
	switch {
	case completed == nil && status == "":
		return "assigned"
	case completed == nil:
		return status
	case status == "":
		return "complete"
	}
	return "complete_" + status
}
