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
)

// A Kind is an entry of the catalogue.
type Kind struct {
	Name  string // in events and scopes: "rankrecord"
	Path  string // of its collection: "rank-records"; empty if it has none of its own
	Table string // "rank_records"
	Class string // words of its label: "Rank Record"

	Fields []Field // in the order of the JSON
	Custom bool    // has custom fields, kept as JSON in the column data
	Emits  bool    // creates, updates and deletes are events
	Order  Order   // of lists
	Hides  string  // a boolean field: rows where it is true are left out of lists

	Relations []Relation
	Includes  []string // relations that requests may ask for: "rank", "user.*" for any below user
	Always    []string // relations in every rendering
	Created   []string // relations in the created event beside those
	Updated   []string // relations in the updated event beside those
	Latest    []Latest
	Appended  []Appended // computed attributes, before the label

	// BeforeCreate may complete a new resource before it is written, AfterCreate changes others
	// once it is, and AfterEvent follows when its event is written. BeforeUpdate may add to an
	// update what is not a change of its own (no event names it). Each may be nil.
	BeforeCreate func(c Changes, r *Resource) error
	AfterCreate  func(c Changes, r *Resource) error
	AfterEvent   func(c Changes, r *Resource) error
	BeforeUpdate func(c Changes, old, r *Resource) error

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
)

// A Field is a column of a kind's table, and the rule for what may be written to it.
type Field struct {
	Name     string
	Type     Type
	Null     bool
	Required bool                           // on create
	ReadOnly bool                           // not to be written through the API
	Hidden   bool                           // never rendered, neither in data nor in changes
	Default  any                            // as stored
	Fallback func(r *Resource, v *View) any // rendered in place of null
	Max      int                            // characters of a String; 0 means 255
	Pattern  *regexp.Regexp                 // of a String
	Wanted   string                         // what Pattern asks for, in words: "must be …"
	Options  []any
	Unique   bool   // within the organization
	Refers   string // kind of a Reference
	Cascade  bool   // of a Reference: deleted with the row it refers to, rather than set to null
}

// A Relation leads from a kind to another. Exactly one of Via, Inverse and Pivot is set.
type Relation struct {
	Name    string
	Kind    string
	Via     string // the Reference field of this kind: belongs to
	Inverse string // the Reference field of the other kind that points here: has one, or with Many has many
	Many    bool
	Where   string // with Many: a Choice field of the other kind that must hold Is; empty for none
	Is      string
	Pivot   *Pivot // many to many
}

// IsMany reports whether the relation leads to a list.
func (r *Relation) IsMany() bool { return r.Many || r.Pivot != nil }

// A Pivot is the table between two kinds.
type Pivot struct {
	Table       string
	Local       string   // column that refers to this kind
	Foreign     string   // column that refers to the other
	PivotSorted bool     // has a column order, which counts up unless it is given
	Key         string   // under which the row appears in the other kind's resources
	Shown       []string // its columns that appear there
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
var kinds = link(
	&Rank, &Award, &Qualification, &Position, &Specialty, &Unit, &Status, &Slot, &UnitSlot,
	&User, &Document, &Form, &CustomField,
	&AssignmentRecord, &AwardRecord, &CombatRecord, &QualificationRecord, &RankRecord, &ServiceRecord,
	&Calendar, &CalendarEvent, &Message, &Submission, &Schedule,
)

// Kinds returns the whole catalogue.
func Kinds() []*Kind { return kinds }

// ByName returns the kind with the name, or nil.
func ByName(name string) *Kind {
	for _, k := range kinds {
		if k.Name == name {
			return k
		}
	}
	return nil
}

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
		k.index = make(map[string]int, len(k.Fields))
		for i, f := range k.Fields {
			k.index[f.Name] = i
		}
	}
	for _, k := range all {
		for _, f := range k.Fields {
			if (f.Type == Reference) != (named[f.Refers] != nil) {
				panic(fmt.Sprintf("personnel: %s.%s refers to %q", k.Name, f.Name, f.Refers))
			}
		}
		for _, name := range slices.Concat(k.Always, k.Created, k.Updated) {
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

// open is the names of relations, each with everything below it too.
func open(names ...string) []string {
	var paths []string
	for _, name := range names {
		paths = append(paths, name, name+".*")
	}
	return paths
}
