package bugle

import (
	"regexp"
	"slices"
	"strings"

	"github.com/buglehq/bugle/internal/spelling"
	"github.com/buglehq/bugle/value"
)

// A FieldAction is what a field policy does to an attribute.
type FieldAction string

const (
	DropField FieldAction = "drop" // it is absent
	HashField FieldAction = "hash" // its value is replaced by a keyed hash of it; null stays null
)

// FieldActions are all of them.
var FieldActions = []FieldAction{DropField, HashField}

// HashPrefix begins what a hashed value becomes: 64 hexadecimal digits follow.
const HashPrefix = "hmac-sha256:"

// A FieldRule says what becomes of the attributes that it names, before a webhook gets to see anything of them. Exactly one
// of Attribute and Preset is set.
type FieldRule struct {
	Attribute string // a name, at any depth: "email"; or the end of a path: "user.email". Case does not count
	Preset    string // one of FieldPresets
	Action    FieldAction
}

// Value is the rule as the API has it.
func (r FieldRule) Value() *value.Array {
	if r.Preset != "" {
		return value.Map("preset", r.Preset, "action", string(r.Action))
	}
	return value.Map("attribute", r.Attribute, "action", string(r.Action))
}

// A FieldPreset is a name for attributes that mostly go together.
type FieldPreset struct {
	Name       string
	Label      string
	About      string
	Attributes []string
	Custom     bool // all custom fields too
}

// FieldPresets are all of them, in the order in which they are shown.
var FieldPresets = []FieldPreset{
	{Name: "contact", Label: "Contact data", About: "E-mail addresses and telephone numbers.",
		Attributes: []string{"email", "phone_number", "phone", "mobile", "address"}},
	{Name: "name", Label: "Names of people", About: "The name of every user, and what is made of it.", Attributes: []string{"user.name"}},
	{Name: "photos", Label: "Photos", About: "Profile and cover photos, and their addresses.", Attributes: []string{"profile_photo", "cover_photo"}},
	{Name: "accounts", Label: "Accounts elsewhere", About: "Ids at Discord, Facebook, GitHub and Google.",
		Attributes: []string{"discord_user_id", "facebook_user_id", "github_user_id", "google_user_id"}},
	{Name: "free_text", Label: "Free text", About: "Notes, texts of records, comments and messages.", Attributes: []string{"notes", "text", "comment", "message"}},
	{Name: "custom_fields", Label: "Custom fields", About: "All custom fields, the answers of forms among them.", Custom: true},
}

// FieldPresetByName returns a preset, or nil.
func FieldPresetByName(name string) *FieldPreset {
	i := slices.IndexFunc(FieldPresets, func(p FieldPreset) bool { return p.Name == name })
	if i < 0 {
		return nil
	}
	return &FieldPresets[i]
}

// A Payload is what is stored of an event to be sent. What a webhook gets of it is for package policy to say.
type Payload struct {
	Text []byte

	// Rendered is the version of the webhook's field policy under which a template wrote the text; 0: no template did.
	Rendered int
}

// MaxFieldRules is how many rules a field policy may have.
const MaxFieldRules = 100

const maxAttribute = 200 // bytes

// attributePath is names with dots between them. Keys of custom fields may hold more than letters.
var attributePath = regexp.MustCompile(`^[^\s.\x00-\x1f]+( +[^\s.\x00-\x1f]+)*(\.[^\s.\x00-\x1f]+( +[^\s.\x00-\x1f]+)*){0,7}$`)

// fieldPolicy reads the field field_policy: a list of objects with an action, and an attribute or a preset.
func (f *fieldReader) fieldPolicy(to *[]FieldRule) {
	const name = "field_policy"
	v, present := f.fields.Get(name)
	if !present {
		return
	}
	if v == nil {
		*to = nil
		return
	}
	items, ok := f.list(name)
	if !ok {
		return
	}
	if len(items) > MaxFieldRules {
		f.problems.Add(name, "The field_policy field must not hold more than %d rules; it holds %d.", MaxFieldRules, len(items))
		return
	}
	rules := make([]FieldRule, 0, len(items))
	seen := map[string]bool{}
	for i, item := range items {
		path := name + "." + value.Describe(int64(i))
		rule, ok := f.fieldRule(path, item)
		if !ok {
			continue
		}
		field, what := "attribute", rule.Attribute
		if rule.Preset != "" {
			field, what = "preset", rule.Preset
		}
		if key := field + " " + strings.ToLower(what); seen[key] {
			f.problems.Add(path+"."+field, "The %s %q is in the policy twice.", field, what)
		} else {
			seen[key] = true
		}
		rules = append(rules, rule)
	}
	*to = rules
}

// fieldRule reads a rule, and reports whether it could.
func (f *fieldReader) fieldRule(path string, item any) (rule FieldRule, ok bool) {
	fields, isObject := item.(*value.Array)
	if !isObject || fields.IsList() {
		f.problems.Add(path, "Each rule must be an object with an action, and an attribute or a preset, not %s.", value.Describe(item))
		return rule, false
	}
	before := len(f.problems.Problems)
	for key := range fields.All() {
		if name := key.String(); name != "attribute" && name != "preset" && name != "action" {
			f.problems.Add(path+"."+name, "A rule has an action, and an attribute or a preset, but no %q.", name)
		}
	}
	word := func(name string) (text string, given bool) {
		v, _ := fields.Get(name)
		text, isText := v.(string)
		if v != nil && !isText {
			f.problems.Add(path+"."+name, "The %s of a rule must be a string, not %s.", name, value.Describe(v))
		}
		return strings.TrimSpace(text), v != nil
	}
	attribute, byAttribute := word("attribute")
	preset, byPreset := word("preset")
	action, _ := word("action")
	rule = FieldRule{Attribute: attribute, Preset: preset, Action: FieldAction(action)}
	if len(f.problems.Problems) > before {
		return rule, false
	}
	switch {
	case byAttribute == byPreset:
		f.problems.Add(path, "Each rule must name an attribute or a preset, and not both.")
	case byAttribute && attribute == "":
		f.problems.Add(path+".attribute", "The attribute of a rule must not be empty.")
	case byAttribute && (len(attribute) > maxAttribute || !attributePath.MatchString(attribute)):
		f.problems.Add(path+".attribute", "The attribute of a rule must be a name such as email, or up to 8 of them with dots between, such as user.email, and at most %d bytes, not %s.", maxAttribute, value.Describe(attribute))
	case byPreset && FieldPresetByName(preset) == nil:
		names := make([]string, len(FieldPresets))
		for i, p := range FieldPresets {
			names[i] = p.Name
		}
		reason := "The preset of a rule must be one of " + strings.Join(names, ", ") + ", not " + value.Describe(preset) + "."
		if like := spelling.Closest(preset, names); like != "" {
			reason += " Did you mean " + like + "?"
		}
		f.problems.Add(path+".preset", "%s", reason)
	}
	if !slices.Contains(FieldActions, rule.Action) {
		f.problems.Add(path+".action", "The action of a rule must be drop or hash, not %q.", action)
	}
	return rule, len(f.problems.Problems) == before
}
