package dispatch

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/expression"
	"github.com/buglehq/bugle/internal/store"
	"github.com/buglehq/bugle/internal/storetest"
	"github.com/buglehq/bugle/personnel"
	"github.com/buglehq/bugle/twig"
	"github.com/buglehq/bugle/value"
)

// Every field of every trigger can be written as the reference says, in both languages, which agree on it.
func TestNewReference_spellings(t *testing.T) {
	for _, trigger := range personnel.EventNames() {
		e := ExampleEvent(trigger, storetest.Start)
		c, err := NewContext(e, personnel.User.Example(), storetest.Start)
		if err != nil {
			t.Fatal(err)
		}
		seen := map[string]bool{}
		for _, f := range NewReference(trigger, nil).Fields {
			if seen[f.Template] || f.Path[0] == "changes" && !strings.HasSuffix(trigger, ".updated") || !slices.Contains(FieldTypes, f.Type) {
				t.Errorf("%s: %+v", trigger, f)
			}
			seen[f.Template] = true
			condition := f.Condition
			if f.Null && !strings.HasPrefix(f.Condition, "old_") && !strings.HasPrefix(f.Condition, "new_") {
				condition += " ?? null"
			}
			p, err := expression.Compile(condition, Variables, functions)
			if err != nil {
				t.Errorf("%s: %s: %v", trigger, f.Condition, err)
				continue
			}
			inCondition, err := p.Eval(c.values...)
			if err != nil {
				t.Errorf("%s: %s: %v", trigger, condition, err)
			}
			template, err := twig.Compile("{{ "+f.Template+" }}", twig.Options{})
			if err != nil {
				t.Errorf("%s: %s: %v", trigger, f.Template, err)
				continue
			}
			inTemplate, err := template.Value(c.named)
			if err != nil || Brief(inCondition) != Brief(inTemplate) { // dates are identical only to themselves
				t.Errorf("%s: %s is %v, and %s is %v, %v", trigger, f.Condition, inCondition, f.Template, inTemplate, err)
			}
			if inCondition != nil && !f.Type.fits(inCondition) {
				t.Errorf("%s: %s is said to be of type %s, and is %s", trigger, f.Condition, f.Type, value.Describe(inCondition))
			}
		}
	}
}

// fits reports whether a value is of the type.
func (t FieldType) fits(v any) bool {
	switch v := v.(type) {
	case bool:
		return t == BooleanField
	case int64:
		return t == IntegerField || t == NumberField
	case float64:
		return t == NumberField
	case string:
		if t == TimeField {
			_, isTime := personnel.ParseTime(v)
			return isTime
		}
		return t == TextField
	case value.Date:
		return t == DateField
	case *value.Array:
		return t == AnyField || t == MapField && (v.Len() == 0 || !v.IsList()) || t == ListField && v.IsList()
	}
	return false
}

// pathsOf are the names of what is in a value.
func pathsOf(v any, path string, known map[string]Field) []string {
	paths := []string{path}
	if array, ok := v.(*value.Array); ok && (array.Len() == 0 || !array.IsList()) && known[path].Type == MapField {
		for key, item := range array.All() {
			paths = append(paths, pathsOf(item, path+"."+key.String(), known)...)
		}
	}
	return paths
}

// What real events have is what the reference says, and of that type.
func TestPreviewer_Reference_asEvents(t *testing.T) {
	s, clock := storetest.New(t)
	v := &Previewer{Store: s, Clock: clock}
	storetest.Create(t, s, &personnel.CustomField, "name", "Promotion points", "key", "promotion_points", "type", "number", "applies_to", value.List("users", "rank-records"))
	rank := storetest.Create(t, s, &personnel.Rank, "name", "Sergeant")
	unit := storetest.Create(t, s, &personnel.Unit, "name", "Alpha")
	user := storetest.Create(t, s, &personnel.User, "name", "Jane", "email", "jane@example.com", "unit_id", unit.ID(), "promotion_points", 5)
	calendar := storetest.Create(t, s, &personnel.Calendar, "name", "Operations", "color", "#2563eb")
	storetest.Create(t, s, &personnel.CalendarEvent, "name", "Night exercise", "all_day", false, "repeats", false, "calendar_id", calendar.ID(), "starts", "2026-02-01 12:00:00", "ends", "2026-02-01 14:00:00", "author_id", user.ID())
	record := storetest.Create(t, s, &personnel.RankRecord, "type", 0, "user_id", user.ID(), "rank_id", rank.ID(), "author_id", user.ID(), "promotion_points", 7)
	storetest.Update(t, s, &personnel.User, user.ID(), "notes", "x", "promotion_points", 6)
	storetest.Create(t, s, &personnel.Message, "message", "<p>Hello</p>", "channels", value.List("database"))
	storetest.Delete(t, s, &personnel.RankRecord, record.ID())
	for _, trigger := range []string{"user.created", "user.updated", "rankrecord.created", "rankrecord.deleted", "event.created", "message.created"} {
		ref, err := v.Reference(t.Context(), 1, trigger)
		if err != nil {
			t.Fatal(err)
		}
		known := map[string]Field{}
		for _, f := range ref.Fields {
			known[strings.Join(f.Path, ".")] = f
		}
		e, err := s.NewestEvent(t.Context(), 1, trigger)
		if err != nil {
			t.Fatal(trigger, err)
		}
		c, err := v.ContextOf(t.Context(), 1, e.ID, time.Time{})
		if err != nil {
			t.Fatal(err)
		}
		var there []string
		for name, item := range c.named.All() {
			there = append(there, pathsOf(item, name.String(), known)...)
		}
		for _, path := range there {
			keys := strings.Split(path, ".")
			var is any = c.named
			for _, key := range keys {
				array, _ := is.(*value.Array)
				is, _ = array.Get(key)
			}
			f, ok := known[path]
			switch {
			case keys[0] == "changes" && (len(keys) < 3 || keys[1] == "data"), path == "changes" && is == nil:
				continue
			case !ok:
				t.Errorf("%s: the reference does not have %s", trigger, path)
			case is == nil && !f.Null, is != nil && !f.Type.fits(is):
				t.Errorf("%s: %s is %s, and of type %s, null %v", trigger, path, value.Describe(is), f.Type, f.Null)
			}
		}
		for path, f := range known {
			if !f.Null && !slices.Contains(there, path) {
				t.Errorf("%s: there is no %s", trigger, path)
			}
		}
	}
	ref, err := v.Reference(t.Context(), 1, "user.updated")
	if err != nil {
		t.Fatal(err)
	}
	at := slices.IndexFunc(ref.Fields, func(f Field) bool { return f.Template == "changes.promotion_points.old" })
	if at < 0 || ref.Fields[at].Condition != `old_value("promotion_points")` || ref.Fields[at].Type != NumberField || !ref.Fields[at].Custom {
		t.Errorf("custom field at %d", at)
	}
	for _, target := range ref.Updatable {
		custom := slices.IndexFunc(target.Fields, func(f TargetField) bool { return f.Custom && f.Name == "promotion_points" })
		if wanted := target.Kind == "user" || target.Kind == "rankrecord"; wanted != (custom >= 0) || len(target.Fields) == 0 {
			t.Errorf("%s: custom field at %d", target.Kind, custom)
		}
	}
}

// Every function has a description, and nothing else has.
func TestNewReference_functions(t *testing.T) {
	var described []string
	for _, e := range ownFunctions {
		described = append(described, e.Name)
		if e.Description == "" || !strings.HasPrefix(e.Signature, e.Name+"(") {
			t.Errorf("%+v", e)
		}
	}
	if want := slices.Sorted(maps.Keys(functions)); !slices.Equal(described, want) {
		t.Errorf("described are %v, want %v", described, want)
	}
}

func TestPreviewer_Reference(t *testing.T) {
	s, clock := storetest.New(t)
	v := &Previewer{Store: s, Clock: clock}
	channel := bugle.ChannelByName("slack")
	storetest.Change(t, s, func(tx *store.Tx) error {
		lane, err := tx.Lane(1, channel)
		if err != nil {
			return err
		}
		lane.Settings = value.Map("url", "https://hooks.slack.com/services/x")
		return tx.SaveLane(lane)
	})
	ref, err := v.Reference(t.Context(), 1, "rankrecord.created")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range ref.Channels {
		if wanted := !c.Outside || c.Name == "slack"; c.Configured != wanted || c.Description == "" || c.Label == "" {
			t.Errorf("%+v", c)
		}
	}
	if len(ref.Channels) != len(bugle.Channels) || len(ref.Functions) != len(functions)+len(expression.Functions()) || len(ref.Operators) == 0 || len(ref.Twig) == 0 {
		t.Errorf("%d channels, %d functions, %d operators", len(ref.Channels), len(ref.Functions), len(ref.Operators))
	}
	for trigger, want := range map[string]string{"": "required", "rankrecord.create": "Did you mean rankrecord.created?", bugle.TestEvent: "must be the name"} {
		var invalid *bugle.InvalidError
		if _, err := v.Reference(t.Context(), 1, trigger); !errors.As(err, &invalid) || !strings.Contains(invalid.Problems[0].Reason, want) {
			t.Errorf("%q: %v, want %s", trigger, err, want)
		}
	}
}
