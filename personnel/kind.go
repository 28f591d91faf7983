// Package personnel is the catalogue of what an organization keeps: every kind of resource with its
// fields, rules, relations, events and side effects, declared as data, a kind a file. The API, the
// tables' contents and the events are derived from it. It does no I/O: what needs other rows asks
// for them through [Changes].
package personnel

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/value"
)

// A Kind is an entry of the catalogue.
type Kind struct {
	Name  string // in events and scopes: "rankrecord"
	Path  string // of its collection: "rank-records"; empty if it has none of its own
	Table string // "rank_records"
	Class string // words of its label: "Rank Record"

	Fields []Field // in the order of the JSON
	Extras []Field // that may be sent as well and are no columns: Beside keeps them
	Custom bool    // has custom fields, kept as JSON in the column data
	Emits  bool    // creates, updates and deletes are events
	Order  Order   // of lists
	Hiding *Hiding // which rows are left out of lists; nil: none
	Listed bool    // can be listed, and nothing else
	Grows  bool    // without end: the store keeps count of the rows

	Relations []Relation
	Nested    []Nested // relations that have routes of their own
	Includes  []string // relations that requests may ask for: "rank", "user.*" for any below user
	Always    []string // relations in every rendering
	Needs     []string // relations that Appended attributes look at, not shown for that
	Created   []string // relations in the created event beside those
	Updated   []string // relations in the updated event beside those
	Latest    []Latest
	Appended  []Appended // computed attributes, before the label
	NoLabel   bool       // has no attribute label

	// MadeOf names, for computed attributes that repeat what other attributes say, those others.
	MadeOf map[string][]string

	// BeforeCreate may complete a new resource before it is written, AfterCreate changes others
	// once it is, and AfterEvent follows when its event is written. BeforeUpdate may add to an
	// update what is not a change of its own (no event names it). Each may be nil.
	BeforeCreate func(c Changes, r *Resource) error
	AfterCreate  func(c Changes, r *Resource) error
	AfterEvent   func(c Changes, r *Resource) error
	BeforeUpdate func(c Changes, old, r *Resource) error

	// Beside writes what belongs to a resource and is in other tables, from its fields and Extras, and
	// reports whether that is a change of the resource. It runs once a new one is written, whose old is nil,
	// and before an update is, to which it may add. It may be nil.
	Beside func(c Changes, old, r *Resource) (changed bool, err error)

	index map[string]int
}

// Changes is what side effects may see and do, within the transaction of the change that has them.
type Changes interface {
	// Now is the time of the change as it is stored.
	Now() string
	// Find returns a resource of the organization, or bugle.ErrNotFound.
	Find(kind *Kind, id int64) (*Resource, error)
	// Save gives a resource new values, by field name, as one change with its own event.
	Save(kind *Kind, id int64, values map[string]any) error
	// Attach adds a row to a pivot table of the organization, without an event.
	Attach(table string, values map[string]any) error
	// ScheduleOf returns the schedule of a message, or nil.
	ScheduleOf(messageID int64) (*Resource, error)
	// SetSchedule gives the schedule of a message new values; nil removes it.
	SetSchedule(messageID int64, values map[string]any) error
	// Plan writes when a message is to be sent, in place of what was planned and has not begun.
	Plan(messageID int64, sendings ...Sending) error
	// Postpone moves what is planned and has not begun to another time.
	Postpone(messageID int64, due time.Time) error
}

// Hiding says which rows lists leave out: those where a Boolean field is When. The names are those
// of the scopes that ask for such rows, and for the others.
type Hiding struct {
	Field   string
	When    bool
	Hidden  string
	Visible string
	Plain   []string // scopes that change nothing
}

// Nested is a relation with routes below a resource: /users/1/rank-records.
type Nested struct {
	Relation string
	Path     string // "rank-records"
	Attach   bool   // of a relation by a field: attach, detach, sync and toggle too
	Links    bool   // only list, attach, detach and sync
}

// An Order is how a list of a kind is sorted.
type Order int

const (
	ByID     Order = iota // oldest first
	Newest                // by created_at, newest first
	BySorted              // by the field order
)

// A Type is what a field holds. The stored form of each is what package value would call its raw
// value: int64 for numbers and booleans' 0 and 1 excepted, which are bool; strings for the rest.
type Type int

const (
	Integer   Type = iota
	Reference      // the id of a row of the kind Refers
	String         // at most 255 characters, or Max
	Text           // at most 65535 bytes
	Boolean
	DateTime // stored as "2026-01-14 12:00:00" in UTC, rendered as ISO 8601
	RawTime  // as DateTime, but rendered as it is stored
	Email    // a String that is an address
	Choice   // a String that is one of Options
	Code     // an Integer that is one of Options
	Strings  // a JSON list of strings, each one of Options
	Integers // a JSON list of integers
	JSON     // any JSON
	Photo    // the storage path of an uploaded image
	File     // the storage path of any uploaded file
	Moment   // microseconds since 1970; of no kind of the catalogue, but of what is searched like one
)

// A Field is a column of a kind's table, and the rule for what may be written to it.
type Field struct {
	Name     string
	Type     Type
	Sent     string // the name under which it is sent; empty: Name
	Null     bool
	Required bool                           // on create
	ReadOnly bool                           // not to be written through the API
	Hidden   bool                           // never rendered, neither in data nor in changes
	Guarded  bool                           // not to be written by automations, because it decides who somebody is
	Default  any                            // as stored
	Fallback func(r *Resource, v *View) any // rendered in place of null
	Max      int                            // characters of a String; 0 means 255
	Pattern  *regexp.Regexp                 // of a String
	Wanted   string                         // what Pattern asks for, in words: "must be …"
	Options  []any
	Unique   bool                              // within the organization
	As       func(stored any) any              // how it is rendered; nil: as it is stored
	Refers   string                            // kind of a Reference
	Cascade  bool                              // of a Reference: deleted with the row it refers to, rather than set to null
	Check    func(text string) (wanted string) // of one of the Extras: what else it must be, and why it is not
}

// A Relation leads from a kind to another. Exactly one of Via, Inverse and Pivot is set.
type Relation struct {
	Name    string
	Kind    string
	Via     string // the Reference field of this kind: belongs to
	Model   bool   // with Via: the kind is the one whose model the field model_type names, and Kind is empty
	Inverse string // the field of the other kind that points here: has one, or with Many has many
	Many    bool
	Where   string // with Inverse: a field of the other kind that must hold Is; empty for none
	Is      string
	Pivot   *Pivot // many to many
}

// IsMany reports whether the relation leads to a list.
func (r *Relation) IsMany() bool { return r.Many || r.Pivot != nil }

// A Pivot is the table between two kinds.
type Pivot struct {
	Table    string
	Local    string  // column that refers to this kind
	Foreign  string  // column that refers to the other
	Fields   []Field // its other columns that may be written; one called order counts up unless it is given
	Repeats  bool    // may hold the same pair more than once
	ReadOnly bool    // is a view of other tables
	Key      string  // under which the row appears in the other kind's resources
	Shown    []string
	Appended []PivotAttribute
}

// A PivotAttribute is computed when a row of a pivot is rendered. The row has its columns as stored.
type PivotAttribute struct {
	Name  string
	Value func(row *value.Array, v *View) any
}

// Sorted reports whether the rows have an order.
func (p *Pivot) Sorted() bool { return p.Field("order") != nil }

// Field returns the column with the name that may be written, or nil.
func (p *Pivot) Field(name string) *Field {
	for i := range p.Fields {
		if p.Fields[i].Name == name {
			return &p.Fields[i]
		}
	}
	return nil
}

// Latest is an attribute computed from other rows: the newest created_at of those rows of a kind
// that refer to this one, such as a user's last rank record.
type Latest struct {
	Name  string
	Kind  string
	Via   string // the Reference field of Kind
	Where string // a Choice field of Kind that must hold Is; empty for none
	Is    string
}

// An Appended attribute is computed when a resource is rendered.
type Appended struct {
	Name  string
	Value func(r *Resource, v *View) any
}

// Field returns the field with the name, or nil.
func (k *Kind) Field(name string) *Field {
	if i, ok := k.index[name]; ok {
		return &k.Fields[i]
	}
	return nil
}

// Knows reports whether a kind's resources have an attribute of the name, other than a custom field.
func (k *Kind) Knows(name string) bool {
	if k.Field(name) != nil || k.Relation(name) != nil || name == "label" || name == "data" {
		return true
	}
	if slices.ContainsFunc(k.Appended, func(a Appended) bool { return a.Name == name }) {
		return true
	}
	if k.Name == "status" && (name == "text_color" || name == "bg_color") { // of version 1
		return true
	}
	return slices.Contains(pivotKeys, name)
}

// MadeOf returns the attributes whose values a computed attribute of the kind repeats. Without a kind, it may be that of any.
func MadeOf(k *Kind, name string) []string {
	if k != nil {
		return k.MadeOf[name]
	}
	var all []string
	for _, k := range kinds {
		all = append(all, k.MadeOf[name]...)
	}
	return all
}

// Relation returns the relation with the name, or nil.
func (k *Kind) Relation(name string) *Relation {
	for i := range k.Relations {
		if k.Relations[i].Name == name {
			return &k.Relations[i]
		}
	}
	return nil
}

// Verbs are what happens to a resource, as event names say it.
var Verbs = []string{"created", "updated", "deleted"}

// kinds is the catalogue, in the order in which rows can be copied: what is referred to comes first,
// circles through users and forms excepted.
var kinds []*Kind

// It is made here because the kinds' side effects look other kinds up.
func init() {
	kinds = link(
		&Rank, &Award, &Qualification, &Position, &Specialty, &Unit, &Group, &Status, &Slot, &UnitSlot,
		&Issuer, &Credential, &Competency,
		&User, &Document, &Form, &CustomField, &Task, &Category, &Tag, &Announcement,
		&Calendar, &CalendarEvent, &Message, &Submission, &Schedule,
		&AssignmentRecord, &AwardRecord, &CombatRecord, &QualificationRecord, &RankRecord, &ServiceRecord, &TrainingRecord,
		&Comment, &Attachment, &Image, &NewsfeedItem,
	)
	for _, k := range kinds {
		for _, r := range k.Relations {
			if r.Pivot != nil {
				pivotKeys = append(pivotKeys, r.Pivot.Key)
			}
		}
	}
}

// pivotKeys are the keys under which rows between two kinds appear.
var pivotKeys []string

// Kinds returns the whole catalogue.
func Kinds() []*Kind { return kinds }

// people are keys that lead to users where the kind does not say so.
var people = []string{"user", "users", "author", "causer", "recipient", "recipients", "instructor", "owner", "assigned_by"}

// LeadsToUsers reports whether what a key of a payload leads to is taken to be a user, or a list of them, if no relation says so.
func LeadsToUsers(key string) bool { return slices.Contains(people, key) }

// ByName returns the kind with the name, or nil.
func ByName(name string) *Kind {
	for _, k := range kinds {
		if k.Name == name {
			return k
		}
	}
	return nil
}

// ByModel returns the kind with the model, or nil.
func ByModel(model string) *Kind {
	for _, k := range kinds {
		if k.Model() == model {
			return k
		}
	}
	return nil
}

// Model is how PERSCOM calls the kind in fields that name one: "App\Models\RankRecord".
func (k *Kind) Model() string { return modelOf(k.Class) }

func modelOf(class string) string { return `App\Models\` + strings.ReplaceAll(class, " ", "") }

// EventNames returns the names of all resource events, sorted: stem and verb.
func EventNames() []string {
	var names []string
	for _, k := range kinds {
		if k.Emits {
			for _, verb := range Verbs {
				names = append(names, k.Name+"."+verb)
			}
		}
	}
	slices.Sort(names)
	return names
}

// Subscribable returns the names of the events that a webhook may subscribe to: those of resources, and
// the test.
func Subscribable() []string { return append(EventNames(), bugle.TestEvent) }

// A Child is a field of another kind that refers to a kind.
type Child struct {
	Kind  *Kind
	Field *Field
}

// Cascades returns the fields of kinds whose rows are deleted with a row of k.
func (k *Kind) Cascades() []Child {
	var children []Child
	for _, other := range kinds {
		for i := range other.Fields {
			if f := &other.Fields[i]; f.Refers == k.Name && f.Cascade {
				children = append(children, Child{other, f})
			}
		}
	}
	return children
}

// link completes the kinds and panics if one contradicts itself, which any test would show.
func link(all ...*Kind) []*Kind {
	named := map[string]*Kind{}
	for _, k := range all {
		named[k.Name] = k
		k.number()
	}
	for _, k := range all {
		for _, f := range k.Fields {
			if (f.Type == Reference) != (named[f.Refers] != nil) {
				panic(fmt.Sprintf("personnel: %s.%s refers to %q", k.Name, f.Name, f.Refers))
			}
		}
		if f := k.Field("model_type"); f != nil {
			k.Fields[k.index[f.Name]].Options = modelsWith(all, k)
		}
		for _, rel := range k.Relations {
			if !rel.Model && named[rel.Kind] == nil {
				panic(fmt.Sprintf("personnel: %s.%s leads to %q", k.Name, rel.Name, rel.Kind))
			}
		}
		nested := make([]string, len(k.Nested))
		for i := range k.Nested {
			nested[i] = k.Nested[i].Relation
		}
		for _, name := range slices.Concat(k.Always, k.Created, k.Updated, k.Needs, nested) {
			if k.Relation(name) == nil {
				panic(fmt.Sprintf("personnel: %s has no relation %s", k.Name, name))
			}
		}
		for _, path := range k.Includes {
			if name, _, _ := strings.Cut(path, "."); k.Relation(name) == nil {
				panic(fmt.Sprintf("personnel: %s has no relation %s", k.Name, path))
			}
		}
	}
	return all
}

// number makes the index of the fields.
func (k *Kind) number() {
	k.index = make(map[string]int, len(k.Fields))
	for i, f := range k.Fields {
		k.index[f.Name] = i
	}
}

// modelsWith are the models of the kinds that have resources of a kind.
func modelsWith(all []*Kind, of *Kind) []any {
	var models []any
	for _, k := range all {
		if slices.ContainsFunc(k.Relations, func(rel Relation) bool { return rel.Kind == of.Name && rel.Where == "model_type" }) {
			models = append(models, k.Model())
		}
	}
	return models
}

// id, order and timestamps are fields that many kinds have.
func id() Field { return Field{Name: "id", Type: Integer, ReadOnly: true} }

func order() Field { return Field{Name: "order", Type: Integer, Default: int64(0)} }

func timestamps() []Field {
	return []Field{{Name: "created_at", Type: DateTime, Null: true}, {Name: "updated_at", Type: DateTime, Null: true}}
}

// fields is the list of a kind's fields: the id, what is given, and the timestamps.
func fields(between ...Field) []Field {
	return slices.Concat([]Field{id()}, between, timestamps())
}

// belongsTo are relations named after their Reference fields: "rank" via "rank_id".
func belongsTo(k []Field) []Relation {
	var relations []Relation
	for _, f := range k {
		if f.Type == Reference {
			relations = append(relations, Relation{Name: strings.TrimSuffix(f.Name, "_id"), Kind: f.Refers, Via: f.Name})
		}
	}
	return relations
}

// hasMany is the relation to those of a kind whose Reference field points here.
func hasMany(name, kind, inverse string) Relation {
	return Relation{Name: name, Kind: kind, Inverse: inverse, Many: true}
}

// ofModel is a relation to those of a kind whose model_type and model_id name a resource of the class.
func ofModel(class, name, kind string, many bool) Relation {
	return Relation{Name: name, Kind: kind, Inverse: "model_id", Many: many, Where: "model_type", Is: modelOf(class)}
}

// nest names relations that have routes, under their own names.
func nest(relations ...string) []Nested {
	list := make([]Nested, len(relations))
	for i, name := range relations {
		list[i] = Nested{Relation: name, Path: strings.ReplaceAll(name, "_", "-")}
	}
	return list
}

// open is the names of relations, each with everything below it too.
func open(names ...string) []string {
	var paths []string
	for _, name := range names {
		paths = append(paths, name, name+".*")
	}
	return paths
}
