package dispatch

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/internal/store"
	"github.com/buglehq/bugle/personnel"
	"github.com/buglehq/bugle/value"
)

// A reader is what evaluating needs of the database, outside of the transaction that acts.
type reader interface {
	Webhook(ctx context.Context, organizationID, id int64) (*bugle.Webhook, error)
	Get(ctx context.Context, organizationID int64, k *personnel.Kind, id int64) (*personnel.Resource, error)
	View(ctx context.Context, organizationID int64) (*personnel.View, error)
	CustomKeys(ctx context.Context, organizationID int64) (map[string]bool, error)
	Search(ctx context.Context, organizationID int64, search *personnel.Search, p store.PageRequest) (store.Page[*personnel.Resource], error)
}

// find returns the resource that is to be updated.
func (p *program) find(ctx context.Context, from reader, c *Context) (*personnel.Resource, error) {
	class := strings.ToLower(p.kind.Class)
	if p.UpdateLookup == bugle.LookupExpression {
		const field = "model_update_lookup_expression"
		v, err := evaluateExpression(field, p.lookup, c)
		if err != nil {
			return nil, err
		}
		id := int64(0)
		switch n := v.(type) {
		case int64:
			id = n
		case float64:
			id = value.ToInt(n)
		case string:
			if number, ok := value.Numeric(n); ok {
				id = value.ToInt(number)
			}
		}
		if id <= 0 {
			return nil, &fieldError{field, fail("it must give the id of a %s, not %s", class, value.Describe(v))}
		}
		r, err := from.Get(ctx, p.OrganizationID, p.kind, id)
		if errors.Is(err, bugle.ErrNotFound) {
			return nil, &fieldError{field, fail("there is no %s with the id %d", class, id)}
		}
		return r, err
	}
	const field = "model_update_lookup_conditions"
	wanted, err := p.conditions.render(newEvaluation(), c.named)
	if err != nil {
		return nil, err
	}
	filters := value.NewArray(2)
	for name, v := range wanted.(*value.Array).All() {
		filters.Append(value.Map("field", name.String(), "operator", "=", "value", v))
	}
	keys, err := from.CustomKeys(ctx, p.OrganizationID)
	if err != nil {
		return nil, err
	}
	search, err := personnel.ReadSearch(p.kind, nil, value.Map("filters", filters), func(key string) bool { return keys[key] })
	if err != nil {
		return nil, &fieldError{field, err}
	}
	search.Sorts = []personnel.Sort{{Column: personnel.Column{Field: p.kind.Field("id")}}}
	page, err := from.Search(ctx, p.OrganizationID, search, store.PageRequest{Number: 1, Limit: 1})
	if err != nil {
		return nil, err
	}
	if len(page.Items) == 0 {
		text, _ := value.JSON(wanted)
		return nil, &fieldError{field, fail("no %s was found with %s", class, text)}
	}
	return from.Get(ctx, p.OrganizationID, p.kind, page.Items[0].ID())
}

// values evaluates the new values of a target's fields.
func (p *program) values(c *Context, target *personnel.Resource, v *personnel.View) (*value.Array, error) {
	rendered, err := p.fields.render(newEvaluation(), c.withTarget(target.Data(v)))
	if err != nil {
		return nil, err
	}
	values := rendered.(*value.Array)
	for _, name := range values.Keys() {
		isUpdatable := slices.ContainsFunc(p.kind.Updatable(), func(f *personnel.Field) bool { return f.Name == name })
		switch {
		case isUpdatable || p.kind.Custom && p.kind.Field(name) == nil:
		case p.PerscomCompatible:
			values.Delete(name)
		default:
			return nil, &fieldError{"model_update_fields." + name, fail("the field %s of a %s cannot be changed by an automation", name, strings.ToLower(p.kind.Class))}
		}
	}
	if values.Len() == 0 {
		return nil, &fieldError{"model_update_fields", fail("no field is left that an automation may change")}
	}
	if p.PerscomCompatible {
		for key, v := range values.All() {
			values.Put(key, coerced(v))
		}
	}
	return values, nil
}

// coerced is what PERSCOM makes of a text: a number or boolean, if it looks like one.
func coerced(v any) any {
	text, isText := v.(string)
	if !isText {
		return v
	}
	if n, ok := value.Numeric(text); ok {
		return n
	}
	switch text {
	case "true":
		return true
	case "false":
		return false
	}
	return text
}

// updateEffect is an update of a resource that was read before. If it has changed since, the values are
// evaluated once more.
type updateEffect struct {
	program *program
	context *Context
	view    *personnel.View
	target  *personnel.Resource
	values  *value.Array
}

func (p *program) update(ctx context.Context, from reader, c *Context, r *bugle.Run) (effect, error) {
	if p.kind == nil {
		return nil, &fieldError{"model_update_target", fail("there is no kind %q that could be updated", p.UpdateTarget)}
	}
	target, err := p.find(ctx, from, c)
	if err != nil {
		return nil, err
	}
	view, err := from.View(ctx, p.OrganizationID)
	if err != nil {
		return nil, err
	}
	u := &updateEffect{program: p, context: c, view: view, target: target}
	if u.values, err = p.values(c, target, view); err != nil {
		return nil, err
	}
	u.note(r)
	return u, nil
}

// note fills in of the run what is to be written.
func (u *updateEffect) note(r *bugle.Run) {
	before := u.target.Data(u.view)
	fields, old := value.NewArray(u.values.Len()), value.NewArray(u.values.Len())
	for _, name := range u.values.Keys() {
		fields.Append(name)
		was, _ := before.Get(name)
		old.Set(name, was)
	}
	r.ActionPayload = value.Map("type", string(bugle.UpdateModel), "target_model", u.program.UpdateTarget, "target_id", u.target.ID(),
		"updated_fields", fields, "original_values", old, "new_values", u.values)
	r.ResourceKind, r.ResourceID = u.program.kind.Name, u.target.ID()
}

func (u *updateEffect) apply(tx *store.Tx, a store.Actor, r *bugle.Run) error {
	k := u.program.kind
	current, err := tx.Get(a.OrganizationID, k, u.target.ID())
	if err != nil {
		return err
	}
	if _, changed := personnel.Difference(u.target, current); changed {
		u.target = current
		if u.values, err = u.program.values(u.context, current, u.view); err != nil {
			return err
		}
		u.note(r)
	}
	keys, err := tx.CustomKeys(a.OrganizationID)
	if err != nil {
		return err
	}
	for _, name := range u.values.Keys() {
		if k.Field(name) == nil && !keys[name] {
			return &fieldError{"model_update_fields." + name, fail("a %s has no field %s, and there is no custom field with that key", strings.ToLower(k.Class), name)}
		}
	}
	updated, err := tx.Update(a, k, u.target.ID(), u.values)
	if err != nil {
		return fmt.Errorf("update %s %d: %w", strings.ToLower(k.Class), u.target.ID(), err)
	}
	for name, v := range u.values.All() {
		if k.Field(name.String()) == nil && v != nil && v != "" && !updated.Custom.HasKey(name) {
			return &fieldError{"model_update_fields." + name.String(), fail("the custom field %s is none of this %s's", name, strings.ToLower(k.Class))}
		}
	}
	return nil
}

func (*updateEffect) whole() bool { return false }
