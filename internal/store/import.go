package store

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/personnel"
	"github.com/buglehq/bugle/value"
)

// An Import copies the rows of another installation into an organization, as they are: without side
// effects and, unless Notify is set, without events. The database remembers which rows it has copied
// and under which ids, so that the next Import of the same source goes on where this one ends.
type Import struct {
	Notify  bool // write created events, and what webhooks are owed for them
	Empty   bool // the organization had no rows before the first Import of the source
	actor   Actor
	id      int64
	keepIDs bool
}

// An ImportRow is one row to be copied. Its id, and those that it refers to, are the source's.
type ImportRow struct {
	*personnel.Resource
	CustomRefers map[string]*personnel.Kind // custom fields that hold ids, by key

	SourceID int64 // this and the rest are set by ImportRows
	Result   ImportResult
	Existing bool // the row was there before, found by a value that is unique
	Problems []bugle.Problem
}

// An ImportResult is what has become of a row.
type ImportResult int

const (
	NotCopied ImportResult = iota // the Problems say why
	Copied
	Skipped // was there already
)

// BeginImport returns the Import of a source into an organization, a new one or that which began
// before. The source is any text that stays the same, such as an address.
func (s *Store) BeginImport(ctx context.Context, organizationID int64, source string) (*Import, error) {
	i := &Import{actor: Actor{OrganizationID: organizationID, RequestID: uuid.NewString(), TraceID: uuid.NewString()}}
	err := s.Update(ctx, func(tx *Tx) error {
		err := tx.one([]any{&i.id, &i.keepIDs}, "SELECT id, keeps_ids FROM imports WHERE organization_id = $1 AND source = $2", organizationID, source)
		if !errors.Is(err, bugle.ErrNotFound) {
			return err
		}
		i.keepIDs = true
		for _, k := range personnel.Kinds() {
			var n int64
			if err := tx.one([]any{&n}, "SELECT COUNT(*) FROM (SELECT 1 FROM "+k.Table+" WHERE organization_id = $1 LIMIT 1) AS any_row", organizationID); err != nil {
				return err
			}
			i.keepIDs = i.keepIDs && n == 0
		}
		return tx.one([]any{&i.id}, "INSERT INTO imports (organization_id, source, keeps_ids, created_us) VALUES ($1, $2, $3, $4) RETURNING id",
			organizationID, source, i.keepIDs, tx.now.UnixMicro())
	})
	if err != nil {
		return nil, fmt.Errorf("begin the import: %w", err)
	}
	i.Empty = i.keepIDs
	return i, nil
}

// Imported returns the source's ids of the rows that are copied already. The name is a kind's, or
// that of one of its relations, such as "group.units", for the rows whose links are.
func (s *Store) Imported(ctx context.Context, i *Import, name string) (map[int64]bool, error) {
	ids := map[int64]bool{}
	err := s.view().each(ctx, func(scan func(to ...any) error) error {
		var id int64
		err := scan(&id)
		ids[id] = true
		return err
	}, "SELECT source_id FROM import_ids WHERE import_id = $1 AND kind = $2 AND copied", i.id, name)
	if err != nil {
		return nil, fmt.Errorf("read what is imported of %s: %w", name, err)
	}
	return ids, nil
}

// SetOrganization gives an organization a name, a format of display names and a time zone; empty ones stay
// as they are.
func (tx *Tx) SetOrganization(id int64, name, displayNameFormat, timeZone string) error {
	before, err := findOrganization(context.Background(), tx.view(), id)
	if err != nil {
		return err
	}
	err = tx.exec(`
		UPDATE organizations SET
		    name = COALESCE(NULLIF($1, ''), name),
		    display_name_format = COALESCE(NULLIF($2, ''), display_name_format),
		    time_zone = COALESCE(NULLIF($3, ''), time_zone)
		WHERE  id = $4`, name, displayNameFormat, timeZone, id)
	if err != nil {
		return fmt.Errorf("update organization %d: %w", id, err)
	}
	return tx.auditOrganization(before)
}

// ImportRows copies rows, of any kinds, and notes for each what has become of it. Those that they
// refer to have to be there already, or come earlier in the list. Rows that were copied before are left
// alone. The error is one of the database: then nothing is copied.
func (tx *Tx) ImportRows(i *Import, rows []*ImportRow) error {
	for _, row := range rows {
		row.SourceID, row.Result, row.Existing = row.ID(), NotCopied, false
		if err := tx.importRow(i, row); err != nil {
			return fmt.Errorf("import %s %d: %w", row.Kind.Name, row.ID(), err)
		}
	}
	if !i.Notify {
		return nil
	}
	for _, row := range rows {
		if row.Result != Copied {
			continue
		}
		if err := (change{tx, i.actor}).emit(row.Resource, "created", nil); err != nil {
			return err
		}
	}
	return nil
}

// ReserveRows decides about the ids of rows that are still to come, in their order: those that are
// there already, by a value that is unique, count as copied, and are marked as Existing. Of the rows only
// the ids and such values are needed.
func (tx *Tx) ReserveRows(i *Import, rows []*ImportRow) error {
	for _, row := range rows {
		k, sourceID := row.Kind, row.ID()
		id, _, err := tx.importedID(i, k.Name, sourceID)
		if err == nil && id == 0 {
			if id, err = tx.sameRow(i, row); id != 0 && err == nil {
				row.Existing = true
				err = tx.noteImported(i, k.Name, sourceID, id, true)
			} else if err == nil {
				_, err = tx.reserve(i, k, sourceID)
			}
		}
		if err != nil {
			return fmt.Errorf("reserve an id for %s %d: %w", k.Name, sourceID, err)
		}
	}
	return nil
}

func (tx *Tx) importRow(i *Import, row *ImportRow) error {
	k, sourceID := row.Kind, row.ID()
	if _, copied, err := tx.importedID(i, k.Name, sourceID); err != nil {
		return err
	} else if copied {
		row.Result = Skipped
		return nil
	}
	if existing, err := tx.sameRow(i, row); err != nil {
		return err
	} else if existing != 0 {
		row.Result, row.Existing = Skipped, true
		return tx.noteImported(i, k.Name, sourceID, existing, true)
	}
	r := row.Clone()
	if keep, err := tx.importReferences(i, row, r); err != nil || !keep {
		return err
	}
	if err := tx.importCustom(i, row, r); err != nil {
		return err
	}
	id, _, err := tx.importedID(i, k.Name, sourceID) // reserved, perhaps by its own custom fields
	if err == nil && id == 0 {
		id, err = tx.freeID(i, k, sourceID)
	}
	if err != nil {
		return err
	}
	names, args := []string{"organization_id"}, []any{i.actor.OrganizationID}
	for n := range k.Fields {
		if k.Fields[n].Name != "id" {
			names, args = append(names, quoted(k.Fields[n].Name)), append(args, r.Values[n])
		}
	}
	if k.Custom {
		names, args = append(names, "data"), append(args, r.CustomJSON())
	}
	if id, err = tx.insertAt(k.Table, id, names, args); err != nil {
		return err
	}
	r.Set("id", id)
	row.Resource, row.Result = r, Copied
	return tx.noteImported(i, k.Name, sourceID, id, true)
}

// insertAt inserts a row under an id, or under the next one if it is 0.
func (tx *Tx) insertAt(table string, id int64, names []string, args []any) (int64, error) {
	if id != 0 {
		names, args = append(names, "id"), append(args, id)
		if err := tx.w.dialect.keepID(tx, table, id); err != nil {
			return 0, fmt.Errorf("keep the id %d of %s: %w", id, table, err)
		}
	}
	err := tx.one([]any{&id}, "INSERT INTO "+table+" ("+strings.Join(names, ", ")+") VALUES ("+parameters(1, len(args))+") RETURNING id", args...)
	return id, err
}

// importedID returns the id here of a row of the source: 0 if none is known. It may be one that is
// only kept free for it.
func (tx *Tx) importedID(i *Import, kind string, sourceID int64) (id int64, copied bool, err error) {
	err = tx.one([]any{&id, &copied}, "SELECT id, copied FROM import_ids WHERE import_id = $1 AND kind = $2 AND source_id = $3", i.id, kind, sourceID)
	if errors.Is(err, bugle.ErrNotFound) {
		return 0, false, nil
	}
	return id, copied, err
}

func (tx *Tx) noteImported(i *Import, kind string, sourceID, id int64, copied bool) error {
	return tx.exec(`
		INSERT INTO import_ids (import_id, kind, source_id, id, copied) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (import_id, kind, source_id) DO UPDATE SET id = excluded.id, copied = excluded.copied`, i.id, kind, sourceID, id, copied)
}

// freeID returns the id that a row of the source keeps, or 0 if it gets the next one.
func (tx *Tx) freeID(i *Import, k *personnel.Kind, sourceID int64) (int64, error) {
	if !i.keepIDs || sourceID <= 0 || sourceID > math.MaxInt32 { // model_id holds no more
		return 0, nil
	}
	var taken int64
	err := tx.one([]any{&taken}, `
		SELECT (SELECT COUNT(*) FROM `+k.Table+` WHERE id = $1)
		     + (SELECT COUNT(*) FROM import_ids WHERE kind = $2 AND id = $3 AND NOT copied)`, sourceID, k.Name, sourceID)
	if err != nil || taken != 0 {
		return 0, err
	}
	return sourceID, nil
}

// reserve returns the id that a row of the source has or will have here.
func (tx *Tx) reserve(i *Import, k *personnel.Kind, sourceID int64) (int64, error) {
	id, _, err := tx.importedID(i, k.Name, sourceID)
	if err != nil || id != 0 {
		return id, err
	}
	if id, err = tx.freeID(i, k, sourceID); err != nil {
		return 0, err
	}
	if id, err = tx.takeID(k.Table, id); err != nil {
		return 0, err
	}
	return id, tx.noteImported(i, k.Name, sourceID, id, false)
}

// sameRow finds the organization's row that has a value of the row that only one may have; 0 is none.
func (tx *Tx) sameRow(i *Import, row *ImportRow) (int64, error) {
	for n := range row.Kind.Fields {
		f := &row.Kind.Fields[n]
		if !f.Unique {
			continue
		}
		same := quoted(f.Name) + " = $2"
		if f.Type == personnel.Email {
			same = "LOWER(" + quoted(f.Name) + ") = LOWER($2)"
		}
		var id int64
		err := tx.one([]any{&id}, "SELECT id FROM "+row.Kind.Table+" WHERE organization_id = $1 AND "+same, i.actor.OrganizationID, row.Values[n])
		if !errors.Is(err, bugle.ErrNotFound) {
			return id, err
		}
	}
	return 0, nil
}

// find returns the id of a copied row that is still there, or 0.
func (tx *Tx) findImported(i *Import, k *personnel.Kind, sourceID int64) (int64, error) {
	id, copied, err := tx.importedID(i, k.Name, sourceID)
	if err != nil || !copied {
		return 0, err
	}
	err = tx.one([]any{&id}, "SELECT id FROM "+k.Table+" WHERE id = $1 AND organization_id = $2", id, i.actor.OrganizationID)
	if errors.Is(err, bugle.ErrNotFound) {
		return 0, nil
	}
	return id, err
}

func (row *ImportRow) problem(field, reason string, args ...any) {
	row.Problems = append(row.Problems, bugle.Problem{Field: field, Reason: fmt.Sprintf(reason, args...)})
}

// importReferences turns the ids that a row refers to into those of here. One that is missing becomes
// null; it reports false if the row cannot be without.
func (tx *Tx) importReferences(i *Import, row *ImportRow, r *personnel.Resource) (bool, error) {
	k := r.Kind
	refer := func(field string, to *personnel.Kind, null bool) (bool, error) {
		sourceID, _ := r.Get(field).(int64)
		if sourceID == 0 {
			if !null {
				row.problem(field, "names no %s", strings.ToLower(to.Class))
			}
			return null, nil
		}
		id, err := tx.findImported(i, to, sourceID)
		if err != nil {
			return false, err
		}
		if id == 0 {
			row.problem(field, "there is no %s %d", strings.ToLower(to.Class), sourceID)
			r.Set(field, nil)
			return null, nil
		}
		r.Set(field, id)
		return true, nil
	}
	for n := range k.Fields {
		if f := &k.Fields[n]; f.Type == personnel.Reference {
			if kept, err := refer(f.Name, personnel.ByName(f.Refers), f.Null); err != nil || !kept {
				return false, err
			}
		}
	}
	if model := r.Text("model_type"); model != "" {
		if to := personnel.ByModel(model); to == nil {
			row.problem("model_type", "%s is unknown", model)
			r.Set("model_id", nil)
		} else if _, err := refer("model_id", to, true); err != nil {
			return false, err
		}
		if r.Get("model_id") == nil {
			r.Set("model_type", nil)
		}
	}
	if k == &personnel.Message {
		return true, tx.importRecipients(i, row, r)
	}
	return true, nil
}

// importRecipients turns the list of users of a message into those of here.
func (tx *Tx) importRecipients(i *Import, row *ImportRow, r *personnel.Resource) error {
	if r.Get("recipients") == nil {
		return nil
	}
	var ids []any
	var failed error
	err := decodeList(r.Text("recipients"), func(v any) {
		sourceID, _ := v.(int64)
		id, err := tx.findImported(i, &personnel.User, sourceID)
		switch {
		case err != nil:
			failed = err
		case id == 0:
			row.problem("recipients", "there is no user %d", sourceID)
		default:
			ids = append(ids, id)
		}
	})
	if err := errors.Join(err, failed); err != nil {
		return err
	}
	text, err := encodeList(ids...)
	r.Set("recipients", text)
	return err
}

// importCustom turns the ids in custom fields into those of here, also of rows that are still to come.
func (tx *Tx) importCustom(i *Import, row *ImportRow, r *personnel.Resource) error {
	for _, key := range sortedKeys(row.CustomRefers) {
		v, present := r.Custom.Get(key)
		if !present {
			continue
		}
		mapped, err := tx.importValue(i, row.CustomRefers[key], v)
		if err != nil {
			return err
		}
		r.Custom.Set(key, mapped)
	}
	return nil
}

func (tx *Tx) importValue(i *Import, k *personnel.Kind, v any) (any, error) {
	switch v := v.(type) {
	case int64:
		if v > 0 {
			return tx.reserve(i, k, v)
		}
	case string:
		if n, err := strconv.ParseInt(v, 10, 64); err == nil && n > 0 {
			id, err := tx.reserve(i, k, n)
			return strconv.FormatInt(id, 10), err
		}
	case *value.Array:
		if !v.IsList() {
			return v, nil
		}
		list := value.NewArray(v.Len())
		for _, item := range v.All() {
			mapped, err := tx.importValue(i, k, item)
			if err != nil {
				return nil, err
			}
			list.Append(mapped)
		}
		return list, nil
	}
	return v, nil
}

// An ImportLink is a row of a pivot to be copied. The ids in it are the source's.
type ImportLink struct {
	ID      int64          // of the row, if the table is one of a kind; 0: not known
	Guessed bool           // ID is only likely
	Foreign int64          // the resource that it leads to
	Columns map[string]any // as stored; timestamps too, if they are known
}

// ImportLinks copies what a relation of a row leads to, all of it at once and only if that was not
// done before. It returns how many links it copied and what was wrong with others.
func (tx *Tx) ImportLinks(i *Import, k *personnel.Kind, rel *personnel.Relation, sourceID int64, links []ImportLink) (n int, problems []bugle.Problem, err error) {
	name := k.Name + "." + rel.Name
	if _, done, err := tx.importedID(i, name, sourceID); err != nil || done {
		return 0, nil, err
	}
	local, err := tx.findImported(i, k, sourceID)
	if err != nil || local == 0 {
		return 0, nil, err // that it is missing is known
	}
	var since any // where the source does not say since when a link is there
	if err := tx.one([]any{&since}, "SELECT created_at FROM "+k.Table+" WHERE id = $1", local); err != nil {
		return 0, nil, err
	}
	p := rel.Pivot
	note := func(format string, args ...any) {
		problems = append(problems, bugle.Problem{Field: rel.Name, Reason: fmt.Sprintf(format, args...)})
	}
	other := personnel.ByName(rel.Kind)
	for _, l := range links {
		foreign, err := tx.findImported(i, other, l.Foreign)
		if err != nil {
			return 0, nil, err
		}
		if foreign == 0 {
			note("there is no %s %d", strings.ToLower(other.Class), l.Foreign)
			continue
		}
		row := map[string]any{"organization_id": i.actor.OrganizationID, p.Local: local, p.Foreign: foreign, "created_at": since, "updated_at": since}
		for column, v := range l.Columns {
			if f := p.Field(column); f != nil && f.Type == personnel.Reference && v != nil {
				to, err := tx.findImported(i, personnel.ByName(f.Refers), v.(int64))
				if err != nil {
					return 0, nil, err
				}
				if v = nil; to != 0 {
					v = to
				} else {
					note("the %s of %s %d is not there", column, strings.ToLower(other.Class), l.Foreign)
				}
			}
			row[column] = v
		}
		if err := tx.importLink(i, p, l, row); err != nil {
			return 0, nil, fmt.Errorf("import %s of %s %d: %w", rel.Name, k.Name, sourceID, err)
		}
		n++
	}
	if len(problems) > 0 && !p.Repeats && pivotKind(p) == nil {
		return n, problems, nil // those that are there cannot come twice: another time may add the rest
	}
	return n, problems, tx.noteImported(i, name, sourceID, local, true)
}

// pivotKind returns the kind whose table the pivot is, or nil.
func pivotKind(p *personnel.Pivot) *personnel.Kind {
	for _, k := range personnel.Kinds() {
		if k.Table == p.Table {
			return k
		}
	}
	return nil
}

// importLink inserts a row of a pivot, unless there is one that may be there only once.
func (tx *Tx) importLink(i *Import, p *personnel.Pivot, l ImportLink, row map[string]any) error {
	names, args := []string{}, []any{}
	for _, column := range sortedKeys(row) {
		names, args = append(names, quoted(column)), append(args, row[column])
	}
	k := pivotKind(p)
	if k == nil {
		return tx.exec("INSERT INTO "+p.Table+" ("+strings.Join(names, ", ")+") VALUES ("+parameters(1, len(args))+") ON CONFLICT DO NOTHING", args...)
	}
	id, err := tx.freeID(i, k, l.ID)
	if err != nil {
		return err
	}
	if id, err = tx.insertAt(p.Table, id, names, args); err != nil || l.ID == 0 || l.Guessed {
		return err
	}
	return tx.noteImported(i, k.Name, l.ID, id, true)
}
