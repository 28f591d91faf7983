package personnel

import (
	"strings"

	"github.com/buglehq/bugle/value"
)

// ExampleTime is the time in examples.
const ExampleTime = "2026-01-14T12:00:00.000000Z"

// exampleNames are how resources of a kind may be called.
var exampleNames = map[string]string{
	"announcement": "Server maintenance", "attachment": "Orders", "award": "Medal of Valor", "calendar": "Operations", "category": "Enlisted",
	"competency": "Land navigation", "credential": "Combat Lifesaver", "document": "Promotion orders", "event": "Night exercise", "field": "Promotion points",
	"form": "Enlistment", "group": "1st Platoon", "image": "Insignia", "issuer": "Training Command", "position": "Squad Leader",
	"qualification": "Marksman", "rank": "Sergeant", "slot": "Alpha 1", "specialty": "Rifleman", "status": "Active duty",
	"tag": "training", "task": "Fill in the roster", "unit": "Alpha Squad", "user": "Jane Roe",
}

// exampleTexts are values for fields whose name says what they hold.
var exampleTexts = map[string]string{
	"abbreviation": "SGT", "color": "#2563eb", "comment": "Well done.", "content": "Be there in time.", "description": "For those who lead.",
	"filename": "insignia.png", "icon": "heroicon-o-star", "key": "promotion_points", "location": "Training area 4", "message": "Formation at 18:00.",
	"paygrade": "E-5", "resource": `App\Models\Rank`, "rrule": "FREQ=WEEKLY;BYDAY=WE", "rules": "integer|min:0", "slug": "enlistment",
	"text": "For leadership under fire.", "url": "https://example.com/night-exercise", "phone_number": "+1 555 0100", "cast": "string",
}

// Example is a value for the field of a kind, as it is sent or as it is answered. The kind may be nil.
func (f *Field) Example(k *Kind, sent bool) any {
	switch f.Type {
	case Integer, Reference:
		return int64(1)
	case Boolean:
		return f.Default == true
	case DateTime:
		return ExampleTime
	case RawTime:
		if sent {
			return ExampleTime
		}
		return "2026-01-14 12:00:00"
	case Email:
		return "jane.roe@example.com"
	case Choice, Code:
		return f.Options[0]
	case Strings:
		return value.List(f.Options[0])
	case Integers:
		return value.List(1, 2)
	case JSON:
		return value.Map("1", "One", "2", "Two")
	case Photo, File:
		if sent && f.Null {
			return nil
		}
		return "1/Zk3vQ0x7Rb1mYt5uWc9e.png"
	}
	if text, ok := exampleTexts[f.Name]; ok {
		return text
	}
	if k != nil && (f.Name == "name" || f.Name == "title") && exampleNames[k.Name] != "" {
		return exampleNames[k.Name]
	}
	if f.Null {
		return nil
	}
	return strings.ToUpper(f.Name[:1]) + strings.ReplaceAll(f.Name[1:], "_", " ")
}

// Example is a resource of the kind as it is answered.
func (k *Kind) Example() *value.Array {
	example := value.NewArray(len(k.Fields) + 8)
	for i := range k.Fields {
		if f := &k.Fields[i]; !f.Hidden {
			example.Set(f.Name, f.Example(k, false))
		}
	}
	for _, attribute := range k.Appended {
		example.Set(attribute.Name, computedExample(attribute.Name))
	}
	if !k.NoLabel {
		example.Set("label", k.Class+": 1")
	}
	for _, name := range k.Always {
		if rel := k.Relation(name); rel.IsMany() {
			example.Set(name, value.NewArray(0))
		} else {
			example.Set(name, ByName(rel.Kind).Example())
		}
	}
	return example
}

func computedExample(name string) any {
	switch name {
	case "online", "expired", "past_due":
		return false
	case "display_name", "author", "recipient":
		return "Jane Roe"
	case "document_parsed":
		return "Be there in time."
	case "headline":
		return "A rank record has been added for Jane Roe"
	case "item":
		return "Sergeant"
	case "type":
		return "rankrecord"
	case "event":
		return "created"
	}
	switch {
	case strings.HasSuffix(name, "_at"), strings.HasSuffix(name, "_date"):
		return ExampleTime
	case strings.HasSuffix(name, "_url"), strings.HasSuffix(name, "_photo"):
		return "https://bugle.example.com/storage/1/Zk3vQ0x7Rb1mYt5uWc9e.png"
	}
	return exampleTexts[name]
}

// ExampleData is the data of an event of the kind: created, updated or deleted.
func (k *Kind) ExampleData(verb string) *value.Array {
	data := k.Example()
	shown := k.Created
	if verb == "updated" {
		shown = k.Updated
	} else if verb != "created" {
		return data
	}
	for _, name := range shown {
		rel := k.Relation(name)
		switch {
		case data.Has(name):
		case rel.IsMany():
			data.Set(name, value.NewArray(0))
		case rel.Model || rel.Kind == "schedule":
			data.Set(name, nil)
		default:
			data.Set(name, ByName(rel.Kind).Example())
		}
	}
	return data
}
