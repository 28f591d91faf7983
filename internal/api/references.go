package api

import (
	"net/http"

	"github.com/buglehq/bugle/expression"
	"github.com/buglehq/bugle/internal/dispatch"
	"github.com/buglehq/bugle/twig"
	"github.com/buglehq/bugle/value"
)

// showReference answers with what there is to write automations of the trigger with.
func (s *server) showReference(q *request) error {
	ref, err := s.previewer().Reference(q.Context(), q.actor.OrganizationID, q.filters().query.Get("trigger"))
	if err != nil {
		return err
	}
	return q.data(http.StatusOK, referenceData(ref))
}

func referenceData(ref *dispatch.Reference) *value.Array {
	data := value.Map("trigger", ref.Trigger, "fields", listData(ref.Fields, referenceFieldData), "functions", listData(ref.Functions, expressionEntryData),
		"operators", listData(ref.Operators, expressionEntryData))
	kinds := []struct{ kind, name string }{{twig.Filter, "filters"}, {twig.Function, "twig_functions"}, {twig.Test, "tests"}, {twig.Tag, "tags"}}
	for _, k := range kinds {
		list := value.NewArray(0)
		for _, e := range ref.Twig {
			if e.Kind == k.kind {
				list.Append(entryData(e.Name, e.Signature, e.Description))
			}
		}
		data.Set(k.name, list)
	}
	data.Set("updatable", listData(ref.Updatable, func(t dispatch.Target) *value.Array {
		return value.Map("kind", t.Kind, "label", t.Label, "fields", listData(t.Fields, func(f dispatch.TargetField) *value.Array {
			return value.Map("name", f.Name, "type", string(f.Type), "null", f.Null, "options", optionsData(f.Options), "custom", f.Custom, "description", f.About)
		}))
	}))
	data.Set("channels", listData(ref.Channels, func(c dispatch.ChannelEntry) *value.Array {
		return value.Map("name", c.Name, "label", c.Label, "description", c.Description, "outside", c.Outside, "configured", c.Configured)
	}))
	return data
}

func listData[T any](list []T, data func(T) *value.Array) *value.Array {
	items := value.NewArray(len(list))
	for _, item := range list {
		items.Append(data(item))
	}
	return items
}

func referenceFieldData(f dispatch.Field) *value.Array {
	path := value.NewArray(len(f.Path))
	for _, key := range f.Path {
		path.Append(key)
	}
	return value.Map("path", path, "condition", f.Condition, "template", f.Template, "type", string(f.Type), "null", f.Null,
		"options", optionsData(f.Options), "example", f.Example, "custom", f.Custom, "description", f.About)
}

// optionsData renders what a field can be, null if that is anything.
func optionsData(options []any) any {
	if options == nil {
		return nil
	}
	return value.List(options...)
}

func expressionEntryData(e expression.Entry) *value.Array {
	return entryData(e.Name, e.Signature, e.Description)
}

func entryData(name, signature, description string) *value.Array {
	return value.Map("name", name, "signature", signature, "description", description)
}

// reference adds the answer of showReference.
func (c *componentSet) reference() {
	types := value.NewArray(len(dispatch.FieldTypes))
	for _, t := range dispatch.FieldTypes {
		types.Append(string(t))
	}
	kind := annotated(value.Map("type", "string", "enum", types), "time is a text, date is what functions of dates take.")
	options := value.Map("type", value.List("array", "null"), "description", "What it can be; null: anything of the type.")
	null := annotated(typed("boolean"), "Can be null or missing: conditions need ?? then.")
	text := typed("string")
	field := closed(value.Map("path", listOf(text), "condition", annotated(text, "How a condition names it."), "template", annotated(text, "How a template names it."),
		"type", kind, "null", null, "options", options, "example", value.Map("description", "Null for lists and maps."), "custom", typed("boolean"), "description", text))
	ref := dispatch.NewReference("rankrecord.created", nil)
	c.schema("ReferenceField", field, referenceFieldData(ref.Fields[1]))
	c.schema("ReferenceEntry", closed(value.Map("name", text, "signature", annotated(text, "How it is written."), "description", text)),
		entryData("starts_with", "starts_with(text, part)", "Whether a text begins with another."))
	target := closed(value.Map("kind", text, "label", text, "fields", listOf(closed(value.Map("name", text, "type", kind, "null", typed("boolean"),
		"options", options, "custom", typed("boolean"), "description", text)))))
	channel := closed(value.Map("name", text, "label", text, "description", text, "outside", annotated(typed("boolean"), "Messages leave the server."),
		"configured", annotated(typed("boolean"), "Has the settings that it needs.")))
	entries := func(description string) *value.Array {
		return annotated(listOf(schemaRef("ReferenceEntry")), description)
	}
	brief := *ref
	brief.Fields, brief.Functions, brief.Operators, brief.Twig, brief.Updatable = brief.Fields[:2], brief.Functions[:1], brief.Operators[:1], brief.Twig[:1], brief.Updatable[:1]
	brief.Updatable[0].Fields = brief.Updatable[0].Fields[:1]
	c.schema("AutomationReference", closed(value.Map("trigger", text, "fields", listOf(schemaRef("ReferenceField")),
		"functions", entries("Of conditions."), "operators", entries("Of conditions."), "filters", entries("Of templates."),
		"twig_functions", entries("Of templates."), "tests", entries("Of templates, behind is."), "tags", entries("Of templates."),
		"updatable", annotated(listOf(target), "Kinds that a model update can change, with the fields that it can write."), "channels", annotated(listOf(channel), "Of messages."))), referenceData(&brief))
	c.answer("AutomationReferenceData", "What there is to write automations with.", closed(value.Map("data", schemaRef("AutomationReference"))), value.Map("data", referenceData(&brief)))
}
