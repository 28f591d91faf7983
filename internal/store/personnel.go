package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/personnel"
	"github.com/buglehq/bugle/value"
)

// An Actor is who makes a change, in which request.
type Actor struct {
	OrganizationID int64
	UserID         int64 // 0: nobody is known
	RequestID      string
	TraceID        string
	Chain          bugle.Chain // zero: nothing that is known here caused it
	Limited        bool        // asks from outside, and so within the organization's quotas
}

// Get returns a resource of the organization, complete for rendering, or bugle.ErrNotFound.
func (s *Store) Get(ctx context.Context, organizationID int64, k *personnel.Kind, id int64) (*personnel.Resource, error) {
	return getResource(ctx, s.view(), organizationID, k, id)
}

func getResource(ctx context.Context, c conn, organizationID int64, k *personnel.Kind, id int64) (*personnel.Resource, error) {
	r, err := findResource(ctx, c, organizationID, k, id)
	if err != nil {
		return nil, err
	}
	return r, complete(ctx, c, organizationID, []*personnel.Resource{r})
}

// List returns a page of a kind's resources in its order.
func (s *Store) List(ctx context.Context, organizationID int64, k *personnel.Kind, p PageRequest) (Page[*personnel.Resource], error) {
	return s.Search(ctx, organizationID, &personnel.Search{Kind: k}, p)
}

// listOrder is how lists of a kind are sorted.
func listOrder(k *personnel.Kind) string {
	switch k.Order {
	case personnel.Newest:
		return "created_at DESC, id DESC"
	case personnel.BySorted:
		return `"order", id`
	}
	return "id"
}

// View is how resources of an organization are rendered at this time.
func (s *Store) View(ctx context.Context, organizationID int64) (*personnel.View, error) {
	return s.viewOf(ctx, s.view(), organizationID)
}

func (s *Store) viewOf(ctx context.Context, c conn, organizationID int64) (*personnel.View, error) {
	v := &personnel.View{Now: s.now(), BaseURL: s.baseURL}
	err := c.one(ctx, []any{&v.DisplayName}, "SELECT display_name_format FROM organizations WHERE id = $1", organizationID)
	if err != nil {
		return nil, fmt.Errorf("organization %d: %w", organizationID, err)
	}
	return v, nil
}

// Get returns a resource as it stands within the transaction.
func (tx *Tx) Get(organizationID int64, k *personnel.Kind, id int64) (*personnel.Resource, error) {
	return getResource(context.Background(), tx.view(), organizationID, k, id)
}

// Create adds a resource from the fields of a request, with its side effects and events. Wrong fields
// are an InvalidError. The resource returned is complete for rendering.
func (tx *Tx) Create(a Actor, k *personnel.Kind, sent *value.Array) (*personnel.Resource, error) {
	return tx.create(a, k, sent, nil)
}

// create is Create with values that the request does not decide, as stored.
func (tx *Tx) create(a Actor, k *personnel.Kind, sent *value.Array, decided map[string]any) (*personnel.Resource, error) {
	r := personnel.New(k)
	invalid := &bugle.InvalidError{}
	if len(decided) > 0 {
		sent = sent.Clone()
	}
	for name, v := range decided {
		sent.Set(name, v)
	}
	read := r.Read(sent, true, invalid)
	for name, v := range decided {
		r.Set(name, v)
	}
	c := change{tx, a}
	now := c.Now()
	if k.Field("author_id") != nil && !sent.Has("author_id") && a.UserID != 0 {
		r.Set("author_id", a.UserID)
	}
	for _, name := range []string{"created_at", "updated_at"} {
		if r.Get(name) == nil {
			r.Set(name, now)
		}
	}
	if k.Order == personnel.BySorted && !sent.Has("order") {
		var last int64
		if err := tx.one([]any{&last}, `SELECT COALESCE(MAX("order"), 0) FROM `+k.Table+` WHERE organization_id = $1`, a.OrganizationID); err != nil {
			return nil, err
		}
		r.Set("order", last+1)
	}
	if err := c.check(r, read, sent, true, invalid); err != nil {
		return nil, err
	}
	if err := c.insert(r); err != nil {
		return nil, fmt.Errorf("create %s: %w", k.Name, err)
	}
	return tx.Get(a.OrganizationID, k, r.ID())
}

// Update gives a resource the fields of a request, with side effects and its event. If nothing
// changes, nothing is written. It returns the resource complete for rendering.
func (tx *Tx) Update(a Actor, k *personnel.Kind, id int64, sent *value.Array) (*personnel.Resource, error) {
	old, err := findResource(context.Background(), tx.view(), a.OrganizationID, k, id)
	if err != nil {
		return nil, err
	}
	c := change{tx, a}
	r := old.Clone()
	invalid := &bugle.InvalidError{}
	read := r.Read(sent, false, invalid)
	if err := c.check(r, read, sent, false, invalid); err != nil {
		return nil, err
	}
	if err := c.update(old, r); err != nil {
		return nil, fmt.Errorf("update %s %d: %w", k.Name, id, err)
	}
	return tx.Get(a.OrganizationID, k, id)
}

// Delete removes a resource and those that belong to it, with an event for each, and returns it as
// it was.
func (tx *Tx) Delete(a Actor, k *personnel.Kind, id int64) (*personnel.Resource, error) {
	r, err := tx.Get(a.OrganizationID, k, id)
	if err != nil {
		return nil, err
	}
	if err := (change{tx, a}).delete(r); err != nil {
		return nil, fmt.Errorf("delete %s %d: %w", k.Name, id, err)
	}
	return r, nil
}

// A change is a transaction on behalf of an actor. It is what side effects see: personnel.Changes.
type change struct {
	tx *Tx
	a  Actor
}

func (c change) Now() string { return c.tx.now.Format(personnel.StoredTime) }

func (c change) Find(k *personnel.Kind, id int64) (*personnel.Resource, error) {
	return findResource(context.Background(), c.tx.view(), c.a.OrganizationID, k, id)
}

func (c change) Save(k *personnel.Kind, id int64, values map[string]any) error {
	old, err := c.Find(k, id)
	if err != nil {
		return err
	}
	r := old.Clone()
	for name, v := range values {
		r.Set(name, v)
	}
	return c.update(old, r)
}

func (c change) Attach(table string, values map[string]any) error {
	names, args := []string{"organization_id", "created_at", "updated_at"}, []any{c.a.OrganizationID, c.Now(), c.Now()}
	for _, name := range sortedKeys(values) {
		names, args = append(names, quoted(name)), append(args, values[name])
	}
	return c.tx.exec("INSERT INTO "+table+" ("+strings.Join(names, ", ")+") VALUES ("+parameters(1, len(args))+")", args...)
}

// check completes what Read could not know: whether references exist, unique values are free, and
// custom fields are as they are defined. It returns everything that is wrong.
func (c change) check(r *personnel.Resource, read []int, sent *value.Array, creating bool, invalid *bugle.InvalidError) error {
	for _, i := range read {
		f := &r.Kind.Fields[i]
		v := r.Values[i]
		switch {
		case v == nil:
		case f.Type == personnel.Reference:
			referred := personnel.ByName(f.Refers)
			_, err := c.Find(referred, v.(int64))
			if errors.Is(err, bugle.ErrNotFound) {
				invalid.Add(f.Name, "The %s field must be the id of an existing %s; there is none with the id %d.", f.Name, strings.ToLower(referred.Class), v)
			} else if err != nil {
				return err
			}
		case f.Unique:
			var other int64
			same := quoted(f.Name) + " = $2"
			if f.Type == personnel.Email { // people write them in either case
				same = "LOWER(" + quoted(f.Name) + ") = LOWER($2)"
			}
			err := c.tx.one([]any{&other}, "SELECT id FROM "+r.Kind.Table+" WHERE organization_id = $1 AND "+same+" AND id <> $3",
				c.a.OrganizationID, v, r.ID())
			if err == nil {
				invalid.Add(f.Name, "The %s has already been taken.", f.Name)
			} else if !errors.Is(err, bugle.ErrNotFound) {
				return err
			}
		}
	}
	if err := c.checkModel(r, read, invalid); err != nil {
		return err
	}
	sortProblems(invalid, r.Kind)
	definitions, err := c.customFields(r)
	if err != nil {
		return err
	}
	if len(definitions) > 0 {
		r.Custom = personnel.ReadCustom(definitions, r.Custom, sent, creating, invalid)
	}
	c.tx.takeFiles(sent)
	return invalid.Err()
}

// sortProblems puts problems into the order of the kind's fields.
func sortProblems(invalid *bugle.InvalidError, k *personnel.Kind) {
	position := func(p bugle.Problem) int {
		return slices.IndexFunc(k.Fields, func(f personnel.Field) bool { return f.SentAs() == p.Field })
	}
	slices.SortStableFunc(invalid.Problems, func(a, b bugle.Problem) int { return cmp.Compare(position(a), position(b)) })
}

// checkModel completes check for the resource that model_type and model_id name together.
func (c change) checkModel(r *personnel.Resource, read []int, invalid *bugle.InvalidError) error {
	isModel := func(name string) bool { return name == "model_type" || name == "model_id" }
	if !slices.ContainsFunc(read, func(i int) bool { return isModel(r.Kind.Fields[i].Name) }) ||
		slices.ContainsFunc(invalid.Problems, func(p bugle.Problem) bool { return isModel(p.Field) }) {
		return nil
	}
	model, id := r.Text("model_type"), r.Get("model_id")
	switch {
	case model == "" && id == nil:
		return nil
	case model == "":
		invalid.Add("model_type", "The model_type field is required with model_id.")
		return nil
	case id == nil:
		invalid.Add("model_id", "The model_id field is required with model_type.")
		return nil
	}
	k := personnel.ByModel(model)
	if k == nil { // one that was imported
		invalid.Add("model_type", "The model_type field must be a known model, not %s.", value.Describe(model))
		return nil
	}
	_, err := c.Find(k, id.(int64))
	if errors.Is(err, bugle.ErrNotFound) {
		invalid.Add("model_id", "The model_id field must be the id of an existing %s; there is none with the id %d.", strings.ToLower(k.Class), id)
		return nil
	}
	return err
}

// customFields returns the definitions of the custom fields that a resource may have.
func (c change) customFields(r *personnel.Resource) ([]*personnel.Resource, error) {
	return customFields(context.Background(), c.tx.view(), c.a.OrganizationID, r)
}

// CustomFields returns the definitions of the custom fields that a resource of the organization may have. It
// need not be stored yet.
func (s *Store) CustomFields(ctx context.Context, organizationID int64, r *personnel.Resource) ([]*personnel.Resource, error) {
	list, err := customFields(ctx, s.view(), organizationID, r)
	if err != nil {
		return nil, fmt.Errorf("custom fields of %s: %w", r.Kind.Path, err)
	}
	return list, nil
}

func customFields(ctx context.Context, c conn, organizationID int64, r *personnel.Resource) ([]*personnel.Resource, error) {
	if !r.Kind.Custom {
		return nil, nil
	}
	args := []any{organizationID, "$", c.dialect.jsonValue(r.Kind.Path)}
	where := c.dialect.jsonHolds("applies_to", "$2", "item.value = $3")
	if pivot, local := r.Kind.CustomFieldsFrom(); pivot != nil && r.Get(local) != nil {
		where += " OR id IN (SELECT " + pivot.Foreign + " FROM " + pivot.Table + " WHERE " + pivot.Local + " = $4)"
		args = append(args, r.Get(local))
	}
	return selectResources(ctx, c, &personnel.CustomField, "organization_id = $1 AND ("+where+") ORDER BY id", args...)
}

// insert writes a new resource, lets its kind's side effects run, and adds its event.
func (c change) insert(r *personnel.Resource) error {
	k := r.Kind
	if k.BeforeCreate != nil {
		if err := k.BeforeCreate(c, r); err != nil {
			return err
		}
	}
	names, args := make([]string, 0, len(k.Fields)+1), make([]any, 0, len(k.Fields)+1)
	names, args = append(names, "organization_id"), append(args, c.a.OrganizationID)
	for i := range k.Fields {
		if k.Fields[i].Name != "id" {
			names, args = append(names, quoted(k.Fields[i].Name)), append(args, r.Values[i])
		}
	}
	if k.Custom {
		names, args = append(names, "data"), append(args, r.CustomJSON())
	}
	var id int64
	err := c.tx.one([]any{&id}, "INSERT INTO "+k.Table+" ("+strings.Join(names, ", ")+") VALUES ("+parameters(1, len(args))+") RETURNING id", args...)
	if err != nil {
		return err
	}
	r.Set("id", id)
	if k.AfterCreate != nil {
		if err := k.AfterCreate(c, r); err != nil {
			return err
		}
	}
	if k.Beside != nil {
		if _, err := k.Beside(c, nil, r); err != nil {
			return err
		}
	}
	if err := c.emit(r, "created", nil); err != nil {
		return err
	}
	if k.AfterEvent != nil {
		return k.AfterEvent(c, r)
	}
	return nil
}

// update writes what differs between two states of a resource, and adds its event. Without a
// difference it does nothing. An updated_at that differs is the caller's wish, else it becomes now.
func (c change) update(old, r *personnel.Resource) error {
	k := r.Kind
	beside := false
	if k.Beside != nil {
		var err error
		if beside, err = k.Beside(c, old, r); err != nil {
			return err
		}
	}
	dated := old.Get("updated_at") != r.Get("updated_at")
	if !dated {
		r.Set("updated_at", c.Now())
	}
	causes, changed := personnel.Difference(old, r)
	if !changed && !dated && !beside {
		return nil
	}
	if !changed {
		causes = []bugle.Cause{{Attribute: "updated_at", Old: old.Get("updated_at"), New: r.Get("updated_at")}}
	}
	if k.BeforeUpdate != nil {
		if err := k.BeforeUpdate(c, old, r); err != nil {
			return err
		}
	}
	var set []string
	var args []any
	assign := func(column string, v any) {
		args = append(args, v)
		set = append(set, fmt.Sprintf("%s = $%d", column, len(args)))
	}
	for i := range k.Fields {
		if old.Values[i] != r.Values[i] {
			assign(quoted(k.Fields[i].Name), r.Values[i])
		}
	}
	if k.Custom {
		assign("data", r.CustomJSON())
	}
	if len(set) > 0 { // else only what is beside it changed, and within the same second
		args = append(args, r.ID(), c.a.OrganizationID)
		query := fmt.Sprintf("UPDATE %s SET %s WHERE id = $%d AND organization_id = $%d", k.Table, strings.Join(set, ", "), len(args)-1, len(args))
		if err := c.tx.exec(query, args...); err != nil {
			return err
		}
	}
	if err := c.dropFiles(old, r); err != nil {
		return err
	}
	return c.emit(r, "updated", causes)
}

// maxCascade is how many rows that belong to a deleted one are read at a time.
const maxCascade = 200

// delete removes first those resources that the database would remove with this one, so that each
// has its event.
func (c change) delete(r *personnel.Resource) error {
	for _, child := range r.Kind.Cascades() {
		for child.Kind.Emits || ownsModels(child.Kind) {
			list, err := selectResources(context.Background(), c.tx.view(), child.Kind,
				fmt.Sprintf("organization_id = $1 AND %s = $2 ORDER BY id LIMIT %d", quoted(child.Field.Name), maxCascade), c.a.OrganizationID, r.ID())
			if err != nil {
				return err
			}
			for _, one := range list {
				if err := c.delete(one); err != nil {
					return err
				}
			}
			if len(list) < maxCascade {
				break
			}
		}
	}
	event, err := c.prepare(r, "deleted", nil) // its relations are still there
	if err != nil {
		return err
	}
	if err := c.deleteModels(r); err != nil {
		return err
	}
	if err := c.dropFiles(r, nil); err != nil {
		return err
	}
	if r.Kind.Name == personnel.User.Name {
		if err := c.tx.auditAccountOf(c.a.OrganizationID, r.ID()); err != nil {
			return err
		}
	}
	if err := c.tx.exec("DELETE FROM "+r.Kind.Table+" WHERE id = $1 AND organization_id = $2", r.ID(), c.a.OrganizationID); err != nil {
		return err
	}
	return c.addEvent(event)
}

// ownsModels reports whether resources of other kinds belong to those of the kind by model_type and
// model_id, which the database does not look after.
func ownsModels(k *personnel.Kind) bool {
	return slices.ContainsFunc(k.Relations, func(rel personnel.Relation) bool { return rel.Where == "model_type" })
}

// deleteModels deletes what belongs to a resource by model_type and model_id.
func (c change) deleteModels(r *personnel.Resource) error {
	for _, rel := range r.Kind.Relations {
		if rel.Where != "model_type" {
			continue
		}
		other := personnel.ByName(rel.Kind)
		for {
			list, err := selectResources(context.Background(), c.tx.view(), other,
				fmt.Sprintf("organization_id = $1 AND model_type = $2 AND model_id = $3 ORDER BY id LIMIT %d", maxCascade), c.a.OrganizationID, rel.Is, r.ID())
			if err != nil {
				return err
			}
			for _, one := range list {
				if err := c.delete(one); err != nil {
					return err
				}
			}
			if len(list) < maxCascade {
				break
			}
		}
	}
	return nil
}
