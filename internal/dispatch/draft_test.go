package dispatch_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/internal/dispatch"
	"github.com/buglehq/bugle/internal/storetest"
	"github.com/buglehq/bugle/personnel"
	"github.com/buglehq/bugle/value"
)

// What is wrong with an automation is the same whether it is checked or saved.
func TestPreviewer_Check(t *testing.T) {
	s, clock := storetest.New(t)
	v := &dispatch.Previewer{Store: s, Clock: clock}
	storetest.Create(t, s, &personnel.CustomField, "name", "Points", "key", "points", "type", "number")
	update := []any{"action_type", "model_update", "model_update_target", "user", "model_update_lookup_type", "expression", "model_update_lookup_expression", "model_id"}
	message := []any{"action_type", "message", "message_channels", value.List("database"), "message_content", "x"}
	for _, tt := range []struct {
		fields []any
		wrong  string // the field; empty: nothing is wrong
	}{
		{nil, ""},
		{[]any{"condition", "model.name =="}, "condition"},
		{append(update, "model_update_fields", value.Map("points", 5, "notes", "x")), ""},
		{append(update, "model_update_fields", value.Map("pionts", 5)), "model_update_fields.pionts"},
		{append(message, "message_rrule", "FREQ=WEEKLY"), ""},
		{append(message, "message_rrule", "FREQ=SOMETIMES"), "message_rrule"},
	} {
		fields := value.Map(append([]any{"name", "Test", "trigger", "user.created", "webhook_id", int64(1)}, tt.fields...)...)
		d, err := dispatch.ReadDraft(1, fields)
		if err != nil {
			t.Fatal(err)
		}
		err = v.Check(t.Context(), &d.Automation)
		var invalid *bugle.InvalidError
		if tt.wrong == "" && err != nil || tt.wrong != "" && (!errors.As(err, &invalid) || invalid.Problems[0].Field != tt.wrong) {
			t.Errorf("%v: %v", tt.fields, err)
		}
	}
}

// A summary shows the first trials, and counts all.
func TestPreviewer_Summarize(t *testing.T) {
	s, clock := storetest.New(t)
	v := &dispatch.Previewer{Store: s, Clock: clock}
	user := storetest.Create(t, s, &personnel.User, "name", "Jane", "email", "jane@example.com")
	for range 120 {
		storetest.Update(t, s, &personnel.User, user.ID(), "notes", bugle.RandomText(8))
	}
	clock.Advance(6 * 24 * time.Hour)
	storetest.Update(t, s, &personnel.User, user.ID(), "notes", "last")
	d, err := dispatch.ReadDraft(1, value.Map("trigger", "user.updated", "condition", `model.notes == "last"`))
	if err != nil {
		t.Fatal(err)
	}
	for days, want := range map[int]int{0: 121, 2: 1} {
		since, until, err := dispatch.ReadPeriod(value.NewArray(0))
		if err != nil {
			t.Fatal(err)
		}
		if days > 0 {
			since = clock.Now().AddDate(0, 0, -days)
		}
		made, err := v.Summarize(t.Context(), &d.Automation, since, until)
		if err != nil {
			t.Fatal(err)
		}
		if !made.Complete || made.Events != want || made.Counts[bugle.RunConditionFailed] != want-1 || len(made.Trials) != min(want, 100) {
			t.Errorf("since %v: %+v of %d, %d shown", since, made.Counts, made.Events, len(made.Trials))
		}
	}
	if _, _, err := dispatch.ReadPeriod(value.Map("since", "soon", "until", int64(1))); err == nil || !strings.Contains(err.Error(), "since") {
		t.Errorf("times that are none: %v", err)
	}
}
