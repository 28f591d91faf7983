package api

import (
	"strings"
	"time"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/personnel"
	"github.com/buglehq/bugle/value"
)

const (
	exampleTime    = "2026-01-14T12:00:00.000000Z"
	exampleRequest = "550e8400-e29b-41d4-a716-446655440000"
	exampleTrace   = "6ba7b810-9dad-41d1-80b4-00c04fd430c8"
)

var (
	exampleMoment = time.Date(2026, 1, 14, 12, 0, 0, 0, time.UTC)
	linksExample  = value.Map("first", examplePage, "last", examplePage, "prev", nil, "next", nil)
	metaExample   = value.Map("current_page", 1, "from", 1, "last_page", 1,
		"links", value.List(value.Map("url", examplePage, "label", "1", "page", 1, "active", true)),
		"path", "https://bugle.example.com/v2/list", "per_page", 15, "to", 1, "total", 1)
)

const examplePage = "https://bugle.example.com/v2/list?page=1"

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

// fieldExample is a value for a field of a kind, as it is sent or as it is answered.
func fieldExample(k *personnel.Kind, f *personnel.Field, sent bool) any {
	switch f.Type {
	case personnel.Integer, personnel.Reference:
		return int64(1)
	case personnel.Boolean:
		return f.Default == true
	case personnel.DateTime:
		return exampleTime
	case personnel.RawTime:
		if sent {
			return exampleTime
		}
		return "2026-01-14 12:00:00"
	case personnel.Email:
		return "jane.roe@example.com"
	case personnel.Choice, personnel.Code:
		return f.Options[0]
	case personnel.Strings:
		return value.List(f.Options[0])
	case personnel.Integers:
		return value.List(1, 2)
	case personnel.JSON:
		return value.Map("1", "One", "2", "Two")
	case personnel.Photo, personnel.File:
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
	return title(strings.ReplaceAll(f.Name, "_", "-"))
}

// sentExample is a resource of a kind as it may be sent: in a form with everything that a form can
// say, and else with what is worth saying.
func sentExample(k *personnel.Kind, form bool) *value.Array {
	example := value.NewArray(len(k.Fields))
	for i := range k.Fields {
		f := &k.Fields[i]
		wanted := f.Required || f.Type != personnel.Reference && !strings.HasSuffix(f.Name, "_at") && f.Name != "order"
		if !isWritable(f) || !wanted || f.IsFile() && !form {
			continue
		}
		v := fieldExample(k, f, true)
		switch {
		case form && f.IsFile():
			v = "(the file)"
		case form && f.Type == personnel.Boolean:
			v = map[bool]string{true: "1", false: "0"}[v.(bool)]
		}
		if v != nil {
			example.Set(f.SentAs(), v)
		}
	}
	return example
}

// resourceExample is a resource of a kind as it is answered.
func resourceExample(k *personnel.Kind) *value.Array {
	example := value.NewArray(len(k.Fields) + 8)
	for i := range k.Fields {
		if f := &k.Fields[i]; !f.Hidden {
			example.Set(f.Name, fieldExample(k, f, false))
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
			example.Set(name, resourceExample(personnel.ByName(rel.Kind)))
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
		return exampleTime
	case strings.HasSuffix(name, "_url"), strings.HasSuffix(name, "_photo"):
		return "https://bugle.example.com/storage/1/Zk3vQ0x7Rb1mYt5uWc9e.png"
	}
	return exampleTexts[name]
}

// envelopeExample is an event of a kind as it is sent.
func envelopeExample(k *personnel.Kind, verb string) *value.Array {
	data, changes := resourceExample(k), value.NewArray(1)
	if verb == "updated" {
		changes.Set("updated_at", "2026-01-14 12:00:00")
	}
	return value.Map("event", k.Name+"."+verb, "created", exampleTime, "request_id", exampleRequest, "trace_id", exampleTrace, "data", data, "changes", changes)
}

func testExample() *value.Array {
	return value.Map("event", bugle.TestEvent, "created", exampleTime, "request_id", exampleRequest, "trace_id", exampleTrace,
		"data", value.Map("status", "ok"), "changes", nil)
}
