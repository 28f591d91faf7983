package personnel

import "regexp"

// The kinds that others point at: they emit no events of their own.

func name() Field        { return Field{Name: "name", Type: String, Required: true} }
func description() Field { return Field{Name: "description", Type: Text, Null: true} }

// Rank is what a rank record gives.
var Rank = Kind{
	Name: "rank", Path: "ranks", Table: "ranks", Class: "Rank", Order: BySorted,
	Relations: []Relation{ofModel("Rank", "image", "image", false)}, Nested: nest("image"), Includes: []string{"image"},
	Fields: fields(name(), description(),
		Field{Name: "abbreviation", Type: String, Null: true}, Field{Name: "paygrade", Type: String, Null: true}, order()),
}

// Award is what an award record gives.
var Award = Kind{
	Name: "award", Path: "awards", Table: "awards", Class: "Award", Order: BySorted,
	Relations: []Relation{ofModel("Award", "image", "image", false)}, Nested: nest("image"), Includes: []string{"image"},
	Fields: fields(name(), description(), order()),
}

// Qualification is what a qualification record gives.
var Qualification = Kind{
	Name: "qualification", Path: "qualifications", Table: "qualifications", Class: "Qualification", Order: BySorted,
	Relations: []Relation{ofModel("Qualification", "image", "image", false)}, Nested: nest("image"), Includes: []string{"image"},
	Fields: fields(name(), description(), order()),
}

// Position is a post that a user holds.
var Position = Kind{
	Name: "position", Path: "positions", Table: "positions", Class: "Position", Order: BySorted,
	Fields:    fields(name(), description(), order()),
	Relations: []Relation{hasMany("assignment_records", "assignmentrecord", "position_id"), hasMany("users", "user", "position_id")},
	Includes:  open("assignment_records", "users"),
}

// Specialty is a trade that a user is trained in.
var Specialty = Kind{
	Name: "specialty", Path: "specialties", Table: "specialties", Class: "Specialty", Order: BySorted,
	Fields:    fields(name(), Field{Name: "abbreviation", Type: String, Null: true}, description(), order()),
	Relations: []Relation{hasMany("assignment_records", "assignmentrecord", "specialty_id"), hasMany("users", "user", "specialty_id")},
	Includes:  open("assignment_records", "users"),
}

// Unit is a part of the organization.
var Unit = Kind{
	Name: "unit", Path: "units", Table: "units", Class: "Unit", Order: BySorted, Hiding: hiding(),
	Fields: fields(name(), description(), order(), Field{Name: "hidden", Type: Boolean, Default: false},
		Field{Name: "icon", Type: String, Null: true}, Field{Name: "empty", Type: Text, Null: true, ReadOnly: true}),
	Relations: []Relation{hasMany("assignment_records", "assignmentrecord", "unit_id"), hasMany("users", "user", "unit_id"),
		ofModel("Unit", "image", "image", false),
		{Name: "groups", Kind: "group", Pivot: sortedPivot("unit_groups", "unit_id", "group_id")},
		{Name: "slots", Kind: "slot", Pivot: plainPivot("unit_slots", "unit_id", "slot_id")}},
	Nested:   nest("image"),
	Includes: append(open("assignment_records", "groups", "users"), "image"),
}

// hiding leaves out rows that are hidden.
func hiding() *Hiding {
	return &Hiding{Field: "hidden", When: true, Hidden: "hidden", Visible: "visible"}
}

// Group gathers units for the roster.
var Group = Kind{
	Name: "group", Path: "groups", Table: "groups", Class: "Group", Order: BySorted,
	Hiding: &Hiding{Field: "hidden", When: true, Hidden: "hidden", Visible: "visible", Plain: []string{"forAutomaticRoster", "forManualRoster"}},
	Fields: fields(name(), description(), order(), Field{Name: "hidden", Type: Boolean, Default: false},
		Field{Name: "icon", Type: String, Null: true}, Field{Name: "empty", Type: Text, Null: true, ReadOnly: true}),
	Relations: []Relation{ofModel("Group", "image", "image", false),
		{Name: "units", Kind: "unit", Pivot: sortedPivot("unit_groups", "group_id", "unit_id")}},
	Nested:   nest("image", "units"),
	Includes: append(open("units"), "image"),
}

// hexColor is #rgb or #rrggbb.
var hexColor = regexp.MustCompile(`^#([0-9a-fA-F]{3}|[0-9a-fA-F]{6})$`)

// usualColor is shown where none is set.
func usualColor(*Resource, *View) any { return "#2563eb" }

// plainPivot is a pivot with nothing but the pair.
func plainPivot(table, local, foreign string) *Pivot {
	return &Pivot{Table: table, Local: local, Foreign: foreign, Key: "pivot", Shown: []string{local, foreign}}
}

// sortedPivot is a pivot whose rows have an order.
func sortedPivot(table, local, foreign string) *Pivot {
	return &Pivot{Table: table, Local: local, Foreign: foreign, Fields: []Field{order()}, Key: "pivot", Shown: []string{local, foreign, "order"}}
}

// statusPivot is the history of what something stood at, seen from either side.
func statusPivot(table, of string) *Pivot {
	return &Pivot{Table: table, Local: of, Foreign: "status_id", Fields: []Field{text()}, Repeats: true,
		Key: "record", Shown: []string{of, "status_id", "text", "created_at", "updated_at"}}
}

// turned is a pivot seen from its other side.
func turned(p *Pivot) *Pivot {
	t := *p
	t.Local, t.Foreign = p.Foreign, p.Local
	return &t
}

// Status is what a user or a submission stands at.
var Status = Kind{
	Name: "status", Path: "statuses", Table: "statuses", Class: "Status", Order: BySorted,
	Fields: fields(name(),
		Field{Name: "color", Type: String, Null: true, Required: true, Fallback: usualColor, Pattern: hexColor, Wanted: "must be a color such as #2563eb"},
		Field{Name: "icon", Type: String, Null: true, ReadOnly: true}, order()),
	Relations: []Relation{hasMany("users", "user", "status_id"),
		{Name: "submissions", Kind: "submission", Pivot: turned(statusPivot("submission_statuses", "submission_id"))}},
	Includes: []string{"submissions", "users"},
}

var slotFields = fields(name(),
	Field{Name: "position_id", Type: Reference, Null: true, Refers: "position"},
	Field{Name: "specialty_id", Type: Reference, Null: true, Refers: "specialty"},
	description(), Field{Name: "empty", Type: Text, Null: true}, order(), Field{Name: "hidden", Type: Boolean, Default: false})

// Slot is a place that units have to fill, with the position and specialty that it takes.
var Slot = Kind{
	Name: "slot", Path: "slots", Table: "slots", Class: "Slot", Order: BySorted, Hiding: hiding(),
	Fields: slotFields,
	Relations: append(belongsTo(slotFields),
		Relation{Name: "units", Kind: "unit", Pivot: plainPivot("unit_slots", "slot_id", "unit_id")},
		Relation{Name: "assignment_records", Kind: "assignmentrecord", Pivot: slotPivot("slot_assignment_records", "assignment_record_id")},
		Relation{Name: "users", Kind: "user", Pivot: slotPivot("slot_users", "user_id")}),
	Nested:   nest("units"),
	Includes: append(open("assignment_records", "users"), "position", "specialty", "units"),
}

// slotPivot leads from a slot to what names a unit's slot.
func slotPivot(view, foreign string) *Pivot {
	return &Pivot{Table: view, Local: "slot_id", Foreign: foreign, ReadOnly: true, Key: "pivot", Shown: []string{"slot_id", foreign, "unit_slot_id", "unit_id"}}
}

var unitSlotFields = fields(
	Field{Name: "unit_id", Type: Reference, Null: true, Refers: "unit", Cascade: true},
	Field{Name: "slot_id", Type: Reference, Null: true, Refers: "slot", Cascade: true})

// UnitSlot is a slot of one unit; it has no collection of its own.
var UnitSlot = Kind{
	Name: "unitslot", Table: "unit_slots", Class: "Unit Slot",
	Fields: unitSlotFields, Relations: belongsTo(unitSlotFields),
}

var documentFields = fields(
	Field{Name: "author_id", Type: Reference, Null: true, Refers: "user"},
	name(), description(), Field{Name: "content", Type: Text, Required: true})

// Document is a text with tags that records fill in.
var Document = Kind{
	Name: "document", Path: "documents", Table: "documents", Class: "Document",
	Fields: documentFields, Relations: belongsTo(documentFields), Includes: []string{"author"},
}

var formFields = fields(name(),
	Field{Name: "slug", Type: String, Required: true, Unique: true},
	Field{Name: "success_message", Type: Text, Null: true},
	Field{Name: "submission_status_id", Type: Reference, Null: true, Refers: "status"},
	Field{Name: "is_public", Type: Boolean, Required: true, Default: false},
	description(), Field{Name: "instructions", Type: Text, Null: true})

// Form is what submissions answer; its fields are custom fields.
var Form = Kind{
	Name: "form", Path: "forms", Table: "forms", Class: "Form",
	Fields: formFields,
	Relations: append(belongsTo(formFields), hasMany("submissions", "submission", "form_id"),
		Relation{Name: "fields", Kind: "field", Pivot: sortedPivot("form_fields", "form_id", "field_id")},
		tags("form")),
	Nested:   nest("submissions", "fields", "tags"),
	Includes: append(open("submissions"), "fields", "submission_status", "tags"),
}
