package personnel

import (
	"slices"
	"strings"
)

// recordKind is what the six kinds of record have in common. The subject's own fields come between
// the user and the document.
func recordKind(k Kind, textRequired bool, subject []Field, after ...Field) Kind {
	k.Fields = slices.Concat(
		[]Field{id(), {Name: "user_id", Type: Reference, Null: true, Required: true, Refers: "user", Cascade: true}},
		subject,
		[]Field{
			{Name: "document_id", Type: Reference, Null: true, Refers: "document"},
			{Name: "author_id", Type: Reference, Null: true, Refers: "user"},
		},
		after,
		timestamps(),
	)
	for i := range k.Fields {
		if k.Fields[i].Name == "text" && textRequired {
			k.Fields[i].Null, k.Fields[i].Required = false, true
		}
	}
	k.Custom, k.Order, k.Grows = true, Newest, true
	k.Relations = append(belongsTo(k.Fields), append(k.Relations, ofModel(k.Class, "attachments", "attachment", true), ofModel(k.Class, "comments", "comment", true))...)
	k.Always = []string{"document"}
	k.Includes = append(k.Includes, append(open("author", "comments", "user"), "attachments", "document")...)
	k.Appended = []Appended{{"document_parsed", documentParsed}}
	k.Created = []string{"author", "user"}
	for _, f := range subject {
		if f.Type == Reference {
			name := strings.TrimSuffix(f.Name, "_id")
			k.Created = append(k.Created, name)
			if name != "unit_slot" {
				k.Includes = append(k.Includes, open(name)...)
			}
		}
	}
	return reported(k)
}

// reported lets a new record appear in the newsfeed, once its own side effects are done.
func reported(k Kind) Kind {
	own := k.AfterCreate
	k.AfterCreate = func(c Changes, r *Resource) error {
		if own != nil {
			if err := own(c, r); err != nil {
				return err
			}
		}
		return report(c, r)
	}
	return k
}

func text() Field { return Field{Name: "text", Type: Text, Null: true} }

// AssignmentRecord puts a user into a unit and position; a primary one moves him.
var AssignmentRecord = func() Kind {
	k := recordKind(Kind{
		Name: "assignmentrecord", Path: "assignment-records", Table: "assignment_records", Class: "Assignment Record", Emits: true,
		BeforeCreate: fillFromSlot,
		AfterCreate:  moveUser,
	}, false, []Field{
		{Name: "status_id", Type: Reference, Null: true, Refers: "status"},
		{Name: "unit_id", Type: Reference, Null: true, Refers: "unit"},
		{Name: "position_id", Type: Reference, Null: true, Refers: "position"},
		{Name: "specialty_id", Type: Reference, Null: true, Refers: "specialty"},
		{Name: "unit_slot_id", Type: Reference, Null: true, Refers: "unitslot", ReadOnly: true},
	}, Field{Name: "type", Type: Choice, Null: true, Required: true, Default: "primary", Options: []any{"primary", "secondary"}}, text())
	return k
}()

// fillFromSlot lets a slot decide the unit, position and specialty, whatever was sent.
func fillFromSlot(c Changes, r *Resource) error {
	unitSlot, err := findVia(c, r, "unit_slot_id", &UnitSlot)
	if err != nil || unitSlot == nil {
		return err
	}
	slot, err := findVia(c, unitSlot, "slot_id", &Slot)
	if err != nil || slot == nil {
		return err
	}
	r.Set("unit_id", unitSlot.Get("unit_id"))
	r.Set("position_id", slot.Get("position_id"))
	r.Set("specialty_id", slot.Get("specialty_id"))
	return nil
}

// moveUser copies a primary assignment to its user, a save for each field that the record fills,
// because PERSCOM's receivers see one user.updated for each.
func moveUser(c Changes, r *Resource) error {
	userID, _ := r.Get("user_id").(int64)
	if userID == 0 || r.Get("type") != "primary" {
		return nil
	}
	for _, name := range []string{"position_id", "specialty_id", "unit_id", "status_id"} {
		if v := r.Get(name); v != nil {
			if err := c.Save(&User, userID, map[string]any{name: v}); err != nil {
				return err
			}
		}
	}
	unitSlot, err := findVia(c, r, "unit_slot_id", &UnitSlot)
	if err != nil || unitSlot == nil {
		return err
	}
	return c.Save(&User, userID, map[string]any{
		"unit_id": r.Get("unit_id"), "position_id": r.Get("position_id"),
		"specialty_id": r.Get("specialty_id"), "unit_slot_id": unitSlot.ID(),
	})
}

// findVia returns what a Reference field points at, or nil if it is null.
func findVia(c Changes, r *Resource, field string, kind *Kind) (*Resource, error) {
	id, _ := r.Get(field).(int64)
	if id == 0 {
		return nil, nil
	}
	return c.Find(kind, id)
}

// AwardRecord gives a user an award.
var AwardRecord = recordKind(Kind{
	Name: "awardrecord", Path: "award-records", Table: "award_records", Class: "Award Record", Emits: true,
}, false, []Field{{Name: "award_id", Type: Reference, Null: true, Required: true, Refers: "award"}}, text())

// CombatRecord notes an action that a user took part in.
var CombatRecord = recordKind(Kind{
	Name: "combatrecord", Path: "combat-records", Table: "combat_records", Class: "Combat Record", Emits: true,
}, true, nil, text())

// QualificationRecord gives a user a qualification.
var QualificationRecord = recordKind(Kind{
	Name: "qualificationrecord", Path: "qualification-records", Table: "qualification_records", Class: "Qualification Record", Emits: true,
}, false, []Field{{Name: "qualification_id", Type: Reference, Null: true, Required: true, Refers: "qualification"}}, text())

// Types of rank record.
const (
	Promotion int64 = iota
	Demotion
	Lateral
	Transfer
)

// RankRecord gives a user a rank, whichever its type.
var RankRecord = recordKind(Kind{
	Name: "rankrecord", Path: "rank-records", Table: "rank_records", Class: "Rank Record", Emits: true,
	AfterCreate: func(c Changes, r *Resource) error {
		userID, _ := r.Get("user_id").(int64)
		if userID == 0 {
			return nil
		}
		return c.Save(&User, userID, map[string]any{"rank_id": r.Get("rank_id")})
	},
}, false, []Field{{Name: "rank_id", Type: Reference, Null: true, Required: true, Refers: "rank"}},
	text(),
	Field{Name: "type", Type: Code, Required: true, Default: Promotion, Options: []any{Promotion, Demotion, Lateral, Transfer}})

// ServiceRecord notes anything else of a user's service.
var ServiceRecord = recordKind(Kind{
	Name: "servicerecord", Path: "service-records", Table: "service_records", Class: "Service Record", Emits: true,
}, true, nil, text())

// TrainingRecord gives a user what an instructor taught him. It emits no events.
var TrainingRecord = recordKind(Kind{
	Name: "trainingrecord", Path: "training-records", Table: "training_records", Class: "Training Record",
	Relations: []Relation{
		{Name: "competencies", Kind: "competency", Pivot: plainPivot("training_record_competencies", "training_record_id", "competency_id")},
		{Name: "credentials", Kind: "credential", Pivot: plainPivot("training_record_credentials", "training_record_id", "credential_id")},
	},
	Nested:   nest("competencies", "credentials"),
	Includes: append(open("credentials"), "competencies"),
}, false, []Field{
	{Name: "instructor_id", Type: Reference, Null: true, Required: true, Refers: "user"},
	{Name: "event_id", Type: Reference, Null: true, Refers: "event", ReadOnly: true},
}, text())
