package personnel

import (
	"slices"
	"strings"
	"testing"
)

func TestEventNames(t *testing.T) {
	want := strings.Fields(`
		assignmentrecord.created assignmentrecord.deleted assignmentrecord.updated
		awardrecord.created awardrecord.deleted awardrecord.updated
		calendar.created calendar.deleted calendar.updated
		combatrecord.created combatrecord.deleted combatrecord.updated
		event.created event.deleted event.updated
		message.created message.deleted message.updated
		qualificationrecord.created qualificationrecord.deleted qualificationrecord.updated
		rankrecord.created rankrecord.deleted rankrecord.updated
		servicerecord.created servicerecord.deleted servicerecord.updated
		submission.created submission.deleted submission.updated
		user.created user.deleted user.updated`)
	if got := EventNames(); !slices.Equal(got, want) {
		t.Errorf("event names are\n     %q\nwant %q", got, want)
	}
}

func TestCatalogue_relationsLeadSomewhere(t *testing.T) {
	for _, k := range Kinds() {
		for _, rel := range k.Relations {
			other := ByName(rel.Kind)
			switch {
			case rel.Model:
				if f := k.Field("model_type"); rel.Via != "model_id" || f == nil || len(f.Options) == 0 || rel.Kind != "" {
					t.Errorf("%s.%s has no model to lead to", k.Name, rel.Name)
				}
			case other == nil:
				t.Errorf("%s.%s leads to the unknown kind %q", k.Name, rel.Name, rel.Kind)
			case rel.Where == "model_type":
				if f := other.Field(rel.Where); rel.Inverse != "model_id" || rel.Is != k.Model() || ByModel(rel.Is) != k || !slices.Contains(f.Options, any(rel.Is)) {
					t.Errorf("%s.%s is the inverse of %s for %s, want the model %s", k.Name, rel.Name, rel.Inverse, rel.Is, k.Model())
				}
			case rel.Via != "":
				if f := k.Field(rel.Via); f == nil || f.Refers != rel.Kind {
					t.Errorf("%s.%s goes via %s, which does not refer to %s", k.Name, rel.Name, rel.Via, rel.Kind)
				}
			case rel.Inverse != "":
				if f := other.Field(rel.Inverse); f == nil || f.Refers != k.Name {
					t.Errorf("%s.%s is the inverse of %s, which does not refer to %s", k.Name, rel.Name, rel.Inverse, k.Name)
				}
			case rel.Pivot == nil:
				t.Errorf("%s.%s has no way", k.Name, rel.Name)
			}
			if p := rel.Pivot; p != nil {
				for i := range p.Fields {
					if name := p.Fields[i].Name; !slices.Contains(p.Shown, name) {
						t.Errorf("%s.%s takes %s and does not show it, so that it cannot be searched by", k.Name, rel.Name, name)
					}
				}
				if p.Key == "" || p.Local == p.Foreign || p.Field("nothing") != nil {
					t.Errorf("the pivot of %s.%s is %+v", k.Name, rel.Name, p)
				}
			}
		}
		paths := map[string]bool{}
		for _, n := range k.Nested {
			rel := k.Relation(n.Relation)
			if paths[n.Path] || k.Path == "" || ByName(rel.Kind).Listed {
				t.Errorf("%s has routes at %s that cannot be", k.Name, n.Path)
			}
			if p := rel.Pivot; p != nil && (p.ReadOnly || n.Attach) || n.Links && p == nil {
				t.Errorf("%s has routes at %s that its relation has no use for", k.Name, n.Path)
			}
			paths[n.Path] = true
		}
		for _, l := range k.Latest {
			other := ByName(l.Kind)
			if other == nil || other.Field(l.Via) == nil || other.Field(l.Via).Refers != k.Name {
				t.Errorf("%s.%s is via %s.%s, which does not refer to it", k.Name, l.Name, l.Kind, l.Via)
			}
		}
		if h := k.Hiding; h != nil && (k.Field(h.Field) == nil || k.Field(h.Field).Type != Boolean) {
			t.Errorf("%s hides by %s, which is no boolean field", k.Name, h.Field)
		}
		if k.Order == BySorted && k.Field("order") == nil {
			t.Errorf("%s is sorted and has no order", k.Name)
		}
	}
}

// Of two kinds that share a name, a path or a table, one would take the place of the other.
func TestCatalogue_namesAreUnique(t *testing.T) {
	seen := map[string]string{}
	for _, k := range Kinds() {
		for _, name := range []string{"name " + k.Name, "path " + k.Path, "table " + k.Table, "class " + k.Class} {
			if other, taken := seen[name]; taken && name != "path " {
				t.Errorf("%s and %s have the same %s", other, k.Name, name)
			}
			seen[name] = k.Name
		}
		if ByName(k.Name) != k {
			t.Errorf("%s is not found by its name", k.Name)
		}
		for i := range k.Fields {
			if k.Field(k.Fields[i].Name) != &k.Fields[i] {
				t.Errorf("%s has two fields %s", k.Name, k.Fields[i].Name)
			}
		}
	}
	if ByName("nobody") != nil || User.Field("nobody") != nil || User.Relation("nobody") != nil {
		t.Error("what is unknown is found")
	}
}

func TestKind_Cascades(t *testing.T) {
	tests := map[*Kind][]string{
		&User: {"assignmentrecord.user_id", "awardrecord.user_id", "combatrecord.user_id", "qualificationrecord.user_id", "rankrecord.user_id",
			"servicerecord.user_id", "trainingrecord.user_id", "newsfeed.recipient_id"},
		&Calendar:      {"event.calendar_id"},
		&CalendarEvent: {"schedule.event_id"},
		&Message:       {"schedule.message_id"},
		&Form:          {"submission.form_id"},
		&Unit:          {"unitslot.unit_id"},
		&Slot:          {"unitslot.slot_id"},
		&Rank:          nil,
	}
	for k, want := range tests {
		var got []string
		for _, child := range k.Cascades() {
			got = append(got, child.Kind.Name+"."+child.Field.Name)
		}
		if !slices.Equal(got, want) {
			t.Errorf("with a %s go %q, want %q", k.Name, got, want)
		}
	}
}
