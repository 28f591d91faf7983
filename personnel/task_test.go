package personnel

import (
	"testing"
	"time"

	"github.com/buglehq/bugle/value"
)

// An assignment is summed up by whether it is done, and which of its times are over; that it expired
// says more than that it was due.
func TestTask_assignmentStatus(t *testing.T) {
	const past, now, future = "2026-01-14 11:59:59", "2026-01-14 12:00:00", "2026-01-14 12:00:01"
	tests := []struct {
		completed, due, expires any
		want                    string
		expired, pastDue        bool
	}{
		{nil, nil, nil, "assigned", false, false},
		{nil, future, future, "assigned", false, false},
		{nil, now, now, "assigned", false, false},
		{nil, past, nil, "past_due", false, true},
		{nil, past, future, "past_due", false, true},
		{nil, nil, past, "expired", true, false},
		{nil, future, past, "expired", true, false},
		{nil, past, past, "expired", true, true},
		{past, nil, nil, "complete", false, false},
		{future, future, future, "complete", false, false},
		{past, past, nil, "complete_past_due", false, true},
		{past, past, future, "complete_past_due", false, true},
		{past, nil, past, "complete_expired", true, false},
		{past, past, past, "complete_expired", true, true},
		{nil, "", "soon", "assigned", false, false},
	}
	v := &View{Now: time.Date(2026, 1, 14, 12, 0, 0, 0, time.UTC)}
	seen := map[string]bool{}
	for _, test := range tests {
		seen[test.want] = true
		row := value.Map("user_id", int64(1), "completed_at", test.completed, "due_at", test.due, "expires_at", test.expires)
		for _, rel := range []*Relation{User.Relation("tasks"), Task.Relation("users")} { // from either side
			data := rel.Pivot.render(row, v)
			for name, want := range map[string]any{"status": test.want, "expired": test.expired, "past_due": test.pastDue} {
				if got, _ := data.Get(name); got != want {
					t.Errorf("completed %v, due %v, expires %v: %s is %v, want %v", test.completed, test.due, test.expires, name, got, want)
				}
			}
		}
	}
	if len(seen) != 6 {
		t.Errorf("the table has %d of the 6 statuses", len(seen))
	}
}

// A pivot's times are rendered as those of resources are, and the rest as it is stored.
func TestPivot_render(t *testing.T) {
	p := User.Relation("status_records").Pivot
	row := value.Map("user_id", int64(1), "status_id", int64(2), "text", "2026-01-14 12:00:00", "created_at", "2026-01-14 12:00:00", "updated_at", nil, "hidden", "x")
	want := `{"user_id":1,"status_id":2,"text":"2026-01-14 12:00:00","created_at":"2026-01-14T12:00:00.000000Z","updated_at":null}`
	if got := mustJSON(p.render(row, &View{})); got != want {
		t.Errorf("a row is rendered as\n     %s\nwant %s", got, want)
	}
}
