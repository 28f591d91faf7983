package personnel

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/buglehq/bugle"
)

// changes are those of a test: they find what is in it, and note what is saved and attached.
type changes struct {
	found    map[*Kind]*Resource
	saved    []string
	attached []string
	planned  []Sending
}

func (c *changes) Now() string { return "2026-01-14 12:00:00" }

func (c *changes) ScheduleOf(int64) (*Resource, error) { return c.found[&Schedule], nil }

func (c *changes) SetSchedule(messageID int64, values map[string]any) error {
	c.found[&Schedule] = nil
	if values != nil {
		c.found[&Schedule] = resource(&Schedule, values)
	}
	return nil
}

func (c *changes) Plan(messageID int64, sendings ...Sending) error {
	c.planned = sendings
	return nil
}

func (c *changes) Postpone(messageID int64, due time.Time) error {
	for i := range c.planned {
		c.planned[i].Due = due
	}
	return nil
}

func (c *changes) Find(kind *Kind, id int64) (*Resource, error) {
	if r := c.found[kind]; r != nil && r.ID() == id {
		return r, nil
	}
	return nil, bugle.ErrNotFound
}

func (c *changes) Save(kind *Kind, id int64, values map[string]any) error {
	var set []string
	for name, v := range values {
		set = append(set, fmt.Sprintf("%s=%v", name, v))
	}
	slices.Sort(set)
	c.saved = append(c.saved, fmt.Sprintf("%s %d: %s", kind.Name, id, strings.Join(set, " ")))
	return nil
}

func (c *changes) Attach(table string, values map[string]any) error {
	c.attached = append(c.attached, fmt.Sprintf("%s: %v", table, values))
	return nil
}

func resource(k *Kind, values map[string]any) *Resource {
	r := New(k)
	for name, v := range values {
		r.Set(name, v)
	}
	return r
}

func TestAssignmentRecord_sideEffects(t *testing.T) {
	c := changes{found: map[*Kind]*Resource{
		&UnitSlot: resource(&UnitSlot, map[string]any{"id": int64(7), "unit_id": int64(70), "slot_id": int64(8)}),
		&Slot:     resource(&Slot, map[string]any{"id": int64(8), "position_id": int64(80), "specialty_id": nil}),
	}}
	tests := []struct {
		name   string
		values map[string]any
		filled map[string]any // what the record holds afterwards
		want   []string
	}{
		{"all", map[string]any{"user_id": int64(1), "status_id": int64(2), "unit_id": int64(3), "position_id": int64(4), "specialty_id": int64(5)}, nil,
			[]string{"user 1: position_id=4", "user 1: specialty_id=5", "user 1: unit_id=3", "user 1: status_id=2"}},
		{"some", map[string]any{"user_id": int64(1), "unit_id": int64(3)}, nil, []string{"user 1: unit_id=3"}},
		{"none", map[string]any{"user_id": int64(1)}, nil, nil},
		{"secondary", map[string]any{"user_id": int64(1), "unit_id": int64(3), "type": "secondary"}, nil, nil},
		{"nobody's", map[string]any{"unit_id": int64(3)}, nil, nil},
		{"slot", map[string]any{"user_id": int64(1), "unit_id": int64(3), "position_id": int64(4), "specialty_id": int64(5), "unit_slot_id": int64(7)},
			map[string]any{"unit_id": int64(70), "position_id": int64(80), "specialty_id": nil},
			[]string{"user 1: position_id=80", "user 1: unit_id=70", "user 1: position_id=80 specialty_id=<nil> unit_id=70 unit_slot_id=7"}},
		{"slot of a secondary", map[string]any{"user_id": int64(1), "type": "secondary", "unit_slot_id": int64(7)},
			map[string]any{"unit_id": int64(70), "position_id": int64(80)}, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c.saved = nil
			r := resource(&AssignmentRecord, test.values)
			if err := AssignmentRecord.BeforeCreate(&c, r); err != nil {
				t.Fatal(err)
			}
			if err := AssignmentRecord.AfterCreate(&c, r); err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(c.saved, test.want) {
				t.Errorf("saved are\n     %q\nwant %q", c.saved, test.want)
			}
			for name, want := range test.filled {
				if got := r.Get(name); got != want {
					t.Errorf("the record's %s is %v, want %v", name, got, want)
				}
			}
		})
	}
}

func TestRankRecord_sideEffects(t *testing.T) {
	var c changes
	for _, values := range []map[string]any{
		{"user_id": int64(1), "rank_id": int64(5), "type": Demotion},
		{"rank_id": int64(5)},
	} {
		if err := RankRecord.AfterCreate(&c, resource(&RankRecord, values)); err != nil {
			t.Fatal(err)
		}
	}
	if want := []string{"user 1: rank_id=5"}; !slices.Equal(c.saved, want) {
		t.Errorf("saved are %q, want %q", c.saved, want)
	}
}

// Every new record is news, with the name of the first thing that it gives.
func TestRecords_areReported(t *testing.T) {
	c := changes{found: map[*Kind]*Resource{
		&Rank:          resource(&Rank, map[string]any{"id": int64(2), "name": "Sergeant"}),
		&Award:         resource(&Award, map[string]any{"id": int64(3), "name": "Medal"}),
		&Qualification: resource(&Qualification, map[string]any{"id": int64(4), "name": "Marksman"}),
		&Position:      resource(&Position, map[string]any{"id": int64(5), "name": "Team Leader"}),
		&Unit:          resource(&Unit, map[string]any{"id": int64(6), "name": "1st Squad"}),
	}}
	for _, test := range []struct {
		kind   *Kind
		values map[string]any
		item   string
	}{
		{&RankRecord, map[string]any{"rank_id": int64(2)}, "Sergeant"},
		{&AwardRecord, map[string]any{"award_id": int64(3)}, "Medal"},
		{&QualificationRecord, map[string]any{"qualification_id": int64(4)}, "Marksman"},
		{&AssignmentRecord, map[string]any{"position_id": int64(5), "unit_id": int64(6)}, "Team Leader"},
		{&AssignmentRecord, map[string]any{"position_id": int64(99), "unit_id": int64(6)}, "1st Squad"},
		{&AssignmentRecord, nil, "<nil>"},
		{&CombatRecord, nil, "<nil>"},
		{&ServiceRecord, nil, "<nil>"},
		{&TrainingRecord, nil, "<nil>"},
	} {
		c.attached = nil
		r := resource(test.kind, test.values)
		r.Set("user_id", int64(1))
		r.Set("author_id", int64(9))
		r.Set("text", "Well done.")
		if err := test.kind.AfterCreate(&c, r); err != nil {
			t.Fatal(err)
		}
		want := []string{"newsfeed: map[author_id:9 item:" + test.item + " recipient_id:1 text:Well done. type:" + test.kind.Name + "]"}
		if !slices.Equal(c.attached, want) {
			t.Errorf("a new %s attaches\n     %q\nwant %q", test.kind.Name, c.attached, want)
		}
	}
}
