package personnel

import (
	"net/url"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"
)

var userFields = fields(
	Field{Name: "name", Type: String, Required: true},
	Field{Name: "email", Type: Email, Required: true, Unique: true, Guarded: true},
	Field{Name: "email_verified_at", Type: DateTime, Null: true, Guarded: true},
	Field{Name: "phone_number", Type: String, Null: true, ReadOnly: true},
	Field{Name: "position_id", Type: Reference, Null: true, Refers: "position"},
	Field{Name: "rank_id", Type: Reference, Null: true, Refers: "rank"},
	Field{Name: "specialty_id", Type: Reference, Null: true, Refers: "specialty"},
	Field{Name: "status_id", Type: Reference, Null: true, Refers: "status"},
	Field{Name: "unit_id", Type: Reference, Null: true, Refers: "unit"},
	Field{Name: "unit_slot_id", Type: Reference, Null: true, Refers: "unitslot", ReadOnly: true},
	Field{Name: "approved", Type: Boolean, Default: true, Guarded: true},
	Field{Name: "password", Type: String, Null: true, ReadOnly: true, Hidden: true},
	Field{Name: "remember_token", Type: String, Null: true, ReadOnly: true, Hidden: true},
	Field{Name: "notes", Type: Text, Null: true},
	Field{Name: "notes_updated_at", Type: DateTime, Null: true},
	Field{Name: "profile_photo", Type: Photo, Null: true},
	Field{Name: "cover_photo", Type: Photo, Null: true},
	Field{Name: "last_seen_at", Type: DateTime, Null: true},
	Field{Name: "facebook_user_id", Type: String, Null: true, Guarded: true},
	Field{Name: "github_user_id", Type: String, Null: true, Guarded: true},
	Field{Name: "google_user_id", Type: String, Null: true, Guarded: true},
	Field{Name: "discord_user_id", Type: String, Null: true, Guarded: true},
	Field{Name: "discord_private_channel_id", Type: String, Null: true, ReadOnly: true, Hidden: true},
)

// User is a member of the organization.
var User = Kind{
	Name: "user", Path: "users", Table: "users", Class: "User",
	Fields: userFields,
	Custom: true,
	Emits:  true,
	Grows:  true,
	Relations: append(belongsTo(userFields),
		hasMany("assignment_records", "assignmentrecord", "user_id"),
		Relation{Name: "primary_assignment_records", Kind: "assignmentrecord", Inverse: "user_id", Many: true, Where: "type", Is: "primary"},
		Relation{Name: "secondary_assignment_records", Kind: "assignmentrecord", Inverse: "user_id", Many: true, Where: "type", Is: "secondary"},
		hasMany("award_records", "awardrecord", "user_id"),
		hasMany("combat_records", "combatrecord", "user_id"),
		hasMany("qualification_records", "qualificationrecord", "user_id"),
		hasMany("rank_records", "rankrecord", "user_id"),
		hasMany("service_records", "servicerecord", "user_id"),
		hasMany("training_records", "trainingrecord", "user_id"),
		Relation{Name: "fields", Kind: "field", Pivot: sortedPivot("user_fields", "user_id", "field_id")},
		Relation{Name: "awards", Kind: "award", Pivot: &Pivot{Table: "award_records", Local: "user_id", Foreign: "award_id", ReadOnly: true, Repeats: true,
			Key: "record", Shown: []string{"user_id", "award_id", "text", "created_at", "updated_at"}}},
		Relation{Name: "qualifications", Kind: "qualification", Pivot: &Pivot{Table: "qualification_records", Local: "user_id", Foreign: "qualification_id", ReadOnly: true, Repeats: true,
			Key: "record", Shown: []string{"user_id", "qualification_id", "text", "created_at", "updated_at"}}},
		Relation{Name: "credentials", Kind: "credential", Pivot: &Pivot{Table: "user_credentials", Local: "user_id", Foreign: "credential_id", ReadOnly: true, Repeats: true,
			Key: "record", Shown: []string{"user_id", "credential_id", "training_record_id", "created_at", "updated_at"}}},
		Relation{Name: "status_records", Kind: "status", Pivot: statusPivot("user_statuses", "user_id")},
		Relation{Name: "tasks", Kind: "task", Pivot: assignmentPivot("user_id", "task_id")},
		ofModel("User", "attachments", "attachment", true)),
	Nested: append(nest("assignment_records", "award_records", "combat_records", "qualification_records", "rank_records", "service_records", "training_records",
		"position", "rank", "specialty", "unit", "status", "fields", "status_records", "tasks"),
		Nested{Relation: "attachments", Path: "attachments", Attach: true}),
	Includes: append(open("assignment_records", "primary_assignment_records", "secondary_assignment_records", "award_records", "combat_records",
		"qualification_records", "rank_records", "service_records", "rank", "unit"), "attachments", "awards", "credentials", "fields", "position",
		"qualifications", "specialty", "status"),
	Always: []string{"rank", "position", "specialty", "unit", "status"},
	Latest: []Latest{
		{Name: "last_assignment_change_date", Kind: "assignmentrecord", Via: "user_id", Where: "type", Is: "primary"},
		{Name: "last_rank_change_date", Kind: "rankrecord", Via: "user_id"},
	},
	Appended: []Appended{
		{"display_name", func(r *Resource, v *View) any { return displayName(r, v.DisplayName) }},
		{"last_assignment_change_date", latest("last_assignment_change_date")},
		{"last_rank_change_date", latest("last_rank_change_date")},
		{"online", func(r *Resource, v *View) any { return seenLately(r.Text("last_seen_at"), v.Now) }},
		{"profile_photo_url", profilePhotoURL},
		{"cover_photo_url", func(r *Resource, v *View) any { return v.fileURL(r.Text("cover_photo")) }},
	},
	MadeOf: map[string][]string{
		"display_name": {"name"}, "profile_photo_url": {"profile_photo", "name"}, "cover_photo_url": {"cover_photo"},
		"online": {"last_seen_at"},
	},
	BeforeUpdate: noteTime,
}

// noteTime keeps when the notes last changed.
func noteTime(c Changes, old, r *Resource) error {
	if old.Get("notes") != r.Get("notes") {
		r.Set("notes_updated_at", c.Now())
	}
	return nil
}

func latest(name string) func(*Resource, *View) any {
	return func(r *Resource, _ *View) any {
		if at, _ := r.Latest[name].(string); at != "" {
			return isoTime(at)
		}
		return nil
	}
}

// onlineFor is how long after being seen a user counts as online.
const onlineFor = 2 * time.Minute

func seenLately(seen string, now time.Time) bool {
	at, err := time.Parse(StoredTime, seen)
	return err == nil && now.Sub(at) < onlineFor
}

// DefaultDisplayName is the format of display_name unless the organization has another.
const DefaultDisplayName = "{name}"

var (
	displayTag = regexp.MustCompile(`\{[a-z.]*\}`)
	// a separator that has nothing on one side, such as " - " at the end or twice in a row
	surplus    = regexp.MustCompile(`(\s*[-–—|/,.:;·]+\s*){2,}`)
	separators = " \t-–—|/,.:;·"
	firstMark  = '\U000F0000' // of those for private use
)

// displayName fills the format's tokens; a missing value is empty, and separators left over at the
// ends, or in a row, go. What values hold stays as it is.
func displayName(r *Resource, format string) string {
	if format == DefaultDisplayName || format == "" {
		return r.Text("name")
	}
	missing := false
	var values []string // of a mark, and what it stands for: meanwhile a value is one character, so that it is not trimmed
	name := displayTag.ReplaceAllStringFunc(format, func(tag string) string {
		relation, field, nested := strings.Cut(strings.Trim(tag, "{}"), ".")
		text := ""
		switch {
		case !nested && relation == "name":
			text = r.Text("name")
		case nested && r.Related[relation] != nil:
			text = r.Related[relation].Text(field)
		}
		if text == "" {
			missing = true
			return ""
		}
		mark := string(firstMark + rune(len(values)))
		values = append(values, mark, text)
		return mark
	})
	if missing {
		name = surplus.ReplaceAllStringFunc(name, func(run string) string {
			first, size := utf8.DecodeRuneInString(strings.TrimLeft(run, " \t"))
			if size == 0 {
				return " "
			}
			return run[:strings.IndexRune(run, first)] + string(first) + " "
		})
		name = strings.Join(strings.Fields(strings.Trim(name, separators)), " ")
	}
	return strings.NewReplacer(values...).Replace(name)
}

// profilePhotoURL is the photo's URL, or that of a picture with the initials, which the browser
// fetches where it is shown.
func profilePhotoURL(r *Resource, v *View) any {
	if u := v.fileURL(r.Text("profile_photo")); u != nil {
		return u
	}
	var initials []string
	for _, word := range strings.Fields(r.Text("name")) {
		first, _ := utf8.DecodeRuneInString(word)
		initials = append(initials, string(first))
	}
	return "https://ui-avatars.com/api/?name=" + url.QueryEscape(strings.Join(initials, " ")) + "&color=2563eb&background=eff6ff"
}
