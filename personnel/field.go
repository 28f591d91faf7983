package personnel

import (
	"regexp"
	"strings"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/value"
)

// fieldKey is what a custom field may be called: words of ASCII letters and digits joined by single
// underscores.
var fieldKey = regexp.MustCompile(`^[a-zA-Z0-9]+(_[a-zA-Z0-9]+)*$`)

var fieldTypes = []any{"component_text", "boolean", "code", "color", "country", "date", "datetime-local", "email", "file",
	"number", "password", "select", "text", "textarea", "timezone"}

var fieldModels = []any{"awards", "calendars", "events", "forms", "groups", "documents", "positions", "qualifications",
	"ranks", "specialties", "statuses", "tasks", "slots", "units", "users"}

// CustomField defines a field that an organization adds to forms or users. On the wire it is called
// field.
var CustomField = Kind{
	Name: "field", Path: "fields", Table: "fields", Class: "Field",
	Fields: fields(
		name(),
		Field{Name: "key", Type: String, Required: true, Unique: true, Pattern: fieldKey,
			Wanted: "must be letters and digits in words joined by single underscores, such as promotion_points"},
		Field{Name: "type", Type: Choice, Required: true, Options: fieldTypes},
		Field{Name: "cast", Type: String, Null: true},
		description(),
		Field{Name: "placeholder", Type: Text, Null: true},
		Field{Name: "default", Type: Text, Null: true},
		Field{Name: "help", Type: Text, Null: true},
		Field{Name: "required", Type: Boolean, Default: false},
		Field{Name: "rules", Type: Text, Null: true},
		Field{Name: "readonly", Type: Boolean, Default: false},
		Field{Name: "hidden", Type: Boolean, Default: false},
		Field{Name: "options", Type: JSON, Null: true},
		Field{Name: "options_type", Type: Choice, Null: true, Default: "array", Options: []any{"array", "model"}},
		Field{Name: "options_model", Type: Choice, Null: true, Options: fieldModels},
		Field{Name: "applies_to", Type: Strings, Null: true, Options: []any{"users", "assignment-records", "award-records", "combat-records",
			"qualification-records", "rank-records", "service-records", "training-records", "submissions"}}, // paths of kinds all of whose resources have it
		Field{Name: "true_value", Type: String, Null: true, Default: "True", ReadOnly: true},
		Field{Name: "false_value", Type: String, Null: true, Default: "False", ReadOnly: true},
	),
}

// CustomFieldsFrom names the pivot that lists the custom fields of a resource, and the field of the
// resource that holds the pivot's local id: a submission has its form's, a user his own. Both have
// beside those, and records have only, the fields that apply to their whole kind.
func (k *Kind) CustomFieldsFrom() (pivot *Pivot, local string) {
	switch k.Name {
	case "submission":
		return Form.Relation("fields").Pivot, "form_id"
	case "user":
		return User.Relation("fields").Pivot, "id"
	}
	return nil, ""
}

// ReadCustom returns the custom fields of a resource as they stand once those of the request are
// taken over: old values, and new ones for the keys that the definitions allow. Keys without a
// definition are left alone, as unknown fields are everywhere. Problems go to invalid.
func ReadCustom(definitions []*Resource, old, sent *value.Array, creating bool, invalid *bugle.InvalidError) *value.Array {
	custom := old.Clone()
	for _, d := range definitions {
		key := d.Text("key")
		v, present := sent.Get(key)
		if !present && !creating {
			continue
		}
		isFile := d.Text("type") == "file"
		if path, isText := v.(string); isText && isFile && path != "" {
			if was, _ := old.Get(key); path == was {
				continue // a client sends back what it got
			}
		}
		if problem := checkCustom(d, key, v); problem != "" {
			invalid.Add(key, "%s", problem)
			continue
		}
		if u, isUpload := v.(*Upload); isUpload {
			u.Taken = true
			v = u.Path
		}
		if present {
			custom.Set(key, v)
		}
	}
	return custom
}

// checkCustom returns what is wrong with a value for the defined field, or the empty string.
func checkCustom(d *Resource, key string, v any) string {
	var rules []rule
	if d.Get("required") == true {
		rules = append(rules, rule{name: "required"})
	}
	rules = append(rules, parseRules(d.Text("rules"))...)
	text, isText := v.(string)
	missing := v == nil || isText && strings.TrimSpace(text) == ""
	list, isList := v.(*value.Array)
	if missing || isList && list.Len() == 0 {
		for _, r := range rules {
			if r.name == "required" {
				return "The " + key + " field is required."
			}
		}
	}
	if missing {
		return ""
	}
	wanted := typeRule(d.Text("type"))
	if holdsUpload(v) && wanted != "file" {
		return "The " + key + " field must not be a file."
	}
	if wanted != "" {
		rules = append(rules, rule{name: wanted})
	}
	for _, r := range rules {
		if reason := r.check(v, isNumeric(rules)); reason != "" {
			return "The " + key + " field " + reason + ", not " + value.Describe(v) + "."
		}
	}
	return ""
}

// typeRule is the rule that a custom field's type brings along.
func typeRule(fieldType string) string {
	switch fieldType {
	case "boolean":
		return "boolean"
	case "date", "datetime-local":
		return "date"
	case "email":
		return "email"
	case "number":
		return "numeric"
	case "file":
		return "file"
	case "color", "code", "country", "password", "text", "textarea", "timezone":
		return "string"
	}
	return "" // select may be a list; component_text holds nothing
}

func isNumeric(rules []rule) bool {
	for _, r := range rules {
		if r.name == "integer" || r.name == "numeric" {
			return true
		}
	}
	return false
}

// Rules are the names that the rules of a custom field may use.
var Rules = []string{"required", "nullable", "string", "integer", "numeric", "boolean", "email", "url", "date", "array",
	"min", "max", "between", "size", "in", "not_in", "alpha", "alpha_num", "alpha_dash", "digits", "starts_with", "ends_with",
	"file", "image", "mimes"}

// parseRules reads rules joined by |, each a name and perhaps a colon and arguments joined by
// commas: "string|max:20|in:a,b".
func parseRules(text string) []rule {
	var rules []rule
	for part := range strings.SplitSeq(text, "|") {
		name, args, found := strings.Cut(strings.TrimSpace(part), ":")
		if name == "" {
			continue
		}
		r := rule{name: name}
		if found {
			r.args = strings.Split(args, ",")
		}
		rules = append(rules, r)
	}
	return rules
}
