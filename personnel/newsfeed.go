package personnel

import (
	"errors"
	"strings"

	"github.com/buglehq/bugle"
)

// NewsfeedItem tells that a record was added.
var NewsfeedItem = func() Kind {
	hidden := func(f Field) Field {
		f.Hidden, f.ReadOnly = true, true
		return f
	}
	k := Kind{
		Name: "newsfeed", Path: "newsfeed", Table: "newsfeed", Class: "Newsfeed", Order: Newest, Listed: true, Grows: true, NoLabel: true,
		Fields: []Field{id(),
			hidden(Field{Name: "author_id", Type: Reference, Null: true, Refers: "user"}),
			hidden(Field{Name: "recipient_id", Type: Reference, Null: true, Refers: "user", Cascade: true}),
			hidden(Field{Name: "type", Type: String}), // the kind of the record
			hidden(Field{Name: "text", Type: Text, Null: true}),
			hidden(Field{Name: "item", Type: String, Null: true}), // what the record gave
			hidden(Field{Name: "created_at", Type: DateTime, Null: true}),
			hidden(Field{Name: "updated_at", Type: DateTime, Null: true}),
		},
		Needs:  []string{"author", "recipient"},
		Always: []string{"likes"},
		Nested: []Nested{{Relation: "likes", Path: "likes", Links: true}},
		Appended: []Appended{
			{"author", nameOf("author")}, {"author_profile_photo", photoOf("author")},
			{"recipient", nameOf("recipient")}, {"recipient_profile_photo", photoOf("recipient")},
			{"description", func(r *Resource, _ *View) any { return "A " + recordWords(r) + " has been added" }},
			{"event", func(*Resource, *View) any { return "created" }},
			{"type", func(r *Resource, _ *View) any { return r.Text("type") }},
			{"headline", func(r *Resource, v *View) any {
				return "A " + recordWords(r) + " has been added for " + orNobody(nameOf("recipient")(r, v))
			}},
			{"text", func(r *Resource, _ *View) any { return r.Get("text") }},
			{"item", func(r *Resource, _ *View) any { return r.Get("item") }},
			{"color", func(r *Resource, v *View) any { return newsfeedColor(r.Text("type")) }},
			{"created_at", func(r *Resource, _ *View) any { return isoTime(r.Text("created_at")) }},
		},
	}
	k.Relations = append(belongsTo(k.Fields), Relation{Name: "likes", Kind: "user", Pivot: plainPivot("newsfeed_likes", "newsfeed_id", "user_id")})
	return k
}()

// recordWords are the words for the kind of record: "rank record".
func recordWords(r *Resource) string {
	if k := ByName(r.Text("type")); k != nil {
		return strings.ToLower(k.Class)
	}
	return "record"
}

func orNobody(name any) string {
	if text, ok := name.(string); ok {
		return text
	}
	return "nobody"
}

func nameOf(relation string) func(*Resource, *View) any {
	return func(r *Resource, v *View) any {
		if user := r.Related[relation]; user != nil {
			return displayName(user, v.DisplayName)
		}
		return nil
	}
}

func photoOf(relation string) func(*Resource, *View) any {
	return func(r *Resource, v *View) any {
		if user := r.Related[relation]; user != nil {
			return profilePhotoURL(user, v)
		}
		return nil
	}
}

// newsfeedColor is the color of a kind of record.
func newsfeedColor(kind string) string {
	switch kind {
	case "awardrecord", "qualificationrecord", "trainingrecord":
		return "#16a34a"
	case "combatrecord":
		return "#dc2626"
	case "rankrecord":
		return "#ca8a04"
	}
	return "#2563eb"
}

// report writes the newsfeed item for a new record.
func report(c Changes, r *Resource) error {
	var item any
	for _, field := range []string{"rank_id", "award_id", "qualification_id", "position_id", "unit_id"} {
		f := r.Kind.Field(field)
		if f == nil || item != nil {
			continue
		}
		subject, err := findVia(c, r, field, ByName(f.Refers))
		if errors.Is(err, bugle.ErrNotFound) || subject == nil {
			continue
		} else if err != nil {
			return err
		}
		item = subject.Text("name")
	}
	return c.Attach("newsfeed", map[string]any{
		"author_id": r.Get("author_id"), "recipient_id": r.Get("user_id"), "type": r.Kind.Name, "text": r.Get("text"), "item": item,
	})
}
