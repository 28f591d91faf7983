package api

import (
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/personnel"
	"github.com/buglehq/bugle/value"
)

// components are what operations refer to: most of them come from the catalogue.
func components() *value.Array {
	c := &componentSet{schemas: value.NewArray(256), bodies: value.NewArray(128), answers: value.NewArray(128)}
	for _, k := range personnel.Kinds() {
		c.kind(k)
	}
	for _, k := range personnel.Kinds() {
		for _, n := range k.Nested {
			c.nested(k, n)
		}
	}
	c.shared()
	c.webhooks()
	c.deliveries()
	c.feed()
	c.replays()
	c.erasures()
	c.hold()
	c.quotas()
	c.automations()
	c.eventLog()
	c.auditLog()
	c.channels()
	c.errors()
	return value.Map(
		"securitySchemes", value.Map(
			"key", value.Map("type", "http", "scheme", "bearer", "description", "An API key, as `bugle key create` prints it."),
			"apikey", value.Map("type", "apiKey", "in", "query", "name", "apikey", "description", "The same, for what cannot send headers.")),
		"parameters", parameters(),
		"requestBodies", c.bodies,
		"responses", c.answers,
		"schemas", c.schemas,
	)
}

type componentSet struct {
	schemas, bodies, answers *value.Array
}

func schemaRef(name string) *value.Array { return component("schemas", name) }

// schema adds a schema with an example.
func (c *componentSet) schema(name string, schema *value.Array, example any) {
	if example != nil {
		schema.Set("examples", value.List(example))
	}
	c.schemas.Set(name, schema)
}

// body adds a request body of JSON.
func (c *componentSet) body(name string, required bool, schema *value.Array, example any) {
	c.bodies.Set(name, value.Map("required", required, "content",
		value.Map("application/json", value.Map("schema", schema, "example", example))))
}

// form lets a request body be a form too.
func (c *componentSet) form(name string, schema *value.Array) {
	there, _ := c.bodies.Get(name)
	body, ok := there.(*value.Array)
	if !ok {
		body = value.Map("required", true, "content", value.NewArray(1))
		c.bodies.Set(name, body)
	}
	content, _ := body.Get("content")
	content.(*value.Array).Set("multipart/form-data", value.Map("schema", schema))
}

// answer adds a response of JSON.
func (c *componentSet) answer(name, description string, schema *value.Array, example any) {
	c.answers.Set(name, value.Map("description", description, "content",
		value.Map("application/json", value.Map("schema", schema, "example", example))))
}

// answerAll adds the responses with one thing, with several, and with a page of them.
func (c *componentSet) answerAll(name, resource string, example any) {
	c.answer(name+"Data", "The "+plain(name)+".", closed(value.Map("data", schemaRef(resource))), value.Map("data", example))
	c.answer(name+"List", "What came of each "+plain(name)+".", closed(value.Map("data", listOf(schemaRef(resource)))), value.Map("data", value.List(example)))
	c.page(name, resource, example)
}

func (c *componentSet) page(name, resource string, example any) {
	schema := closed(value.Map("data", listOf(schemaRef(resource)), "links", schemaRef("PageLinks"), "meta", schemaRef("PageMeta")))
	c.answer(name+"Page", "A page of the list.", schema, value.Map("data", value.List(example), "links", linksExample, "meta", metaExample))
}

// closed is an object with these properties, all of them always, and no others.
func closed(properties *value.Array) *value.Array {
	return value.Map("type", "object", "required", keysOf(properties), "properties", properties, "additionalProperties", false)
}

func keysOf(properties *value.Array) *value.Array {
	keys := value.NewArray(properties.Len())
	for key := range properties.All() {
		keys.Append(key.String())
	}
	return keys
}

func listOf(items *value.Array) *value.Array { return value.Map("type", "array", "items", items) }

func typed(name string) *value.Array { return value.Map("type", name) }

func annotated(schema *value.Array, text string) *value.Array {
	schema.Set("description", text)
	return schema
}

// nullable is the schema for null too.
func nullable(schema *value.Array) *value.Array {
	name, isTyped := schema.Get("type")
	if !isTyped {
		if _, isRef := schema.Get("$ref"); isRef {
			return value.Map("anyOf", value.List(schema, value.Map("type", "null")))
		}
		return schema // anything
	}
	schema = schema.Clone()
	schema.Set("type", value.List(name, "null"))
	if options, ok := schema.Get("enum"); ok {
		with := options.(*value.Array).Clone()
		with.Append(nil)
		schema.Set("enum", with)
	}
	return schema
}

// orEmpty is the schema of a map: PHP writes an empty one as a list.
func orEmpty(schema *value.Array) *value.Array {
	return value.Map("anyOf", value.List(schema, value.Map("type", "array", "maxItems", 0)))
}

func moment() *value.Array { return value.Map("type", "string", "format", "date-time") }

// kind adds what there is to a kind: its fields as they are sent, and the resource as it is answered.
func (c *componentSet) kind(k *personnel.Kind) {
	name := typeName(k)
	c.schema(name+"Resource", resourceSchema(k), k.Example())
	switch {
	case k.Path == "":
		return
	case k.Listed:
		c.page(name, name+"Resource", k.Example())
		return
	}
	c.answerAll(name, name+"Resource", k.Example())
	required := value.NewArray(4)
	needsFile, takesFile := false, false
	for i := range k.Fields {
		f := &k.Fields[i]
		if isWritable(f) && f.Required {
			required.Append(f.SentAs())
			needsFile = needsFile || f.IsFile()
		}
		takesFile = takesFile || isWritable(f) && f.IsFile()
	}
	fields, example := sentSchema(k, false), sentExample(k, false)
	c.schema(name+"Update", fields, example)
	c.body(name+"Update", true, schemaRef(name+"Update"), example)
	c.body(name+"BatchUpdate", true, resourcesOf(byID(schemaRef(name+"Update"))), value.Map("resources", value.Map("7", example)))
	form, formExample := sentSchema(k, true), sentExample(k, true)
	if needsFile { // so that only a form can create one
		c.schema(name, requiring(required, form), formExample)
		c.form(name+"Create", schemaRef(name))
		c.form(name+"BatchCreate", annotated(resourcesOf(listOf(schemaRef(name))), "Fields are named as in `resources[0][name]`."))
	} else {
		c.schema(name, requiring(required, fields), example)
		c.body(name+"Create", true, schemaRef(name), example)
		c.body(name+"BatchCreate", true, resourcesOf(listOf(schemaRef(name))), value.Map("resources", value.List(example)))
	}
	if takesFile {
		c.schema(name+"Form", form, formExample)
		c.form(name+"Update", schemaRef(name+"Form"))
		if !needsFile {
			c.form(name+"Create", schemaRef(name+"Form"))
		}
	}
}

// requiring is an object some of whose properties must be there.
func requiring(required, schema *value.Array) *value.Array {
	if required.Len() == 0 {
		return schema.Clone()
	}
	with := value.Map("type", "object", "required", required)
	for key, v := range schema.All() {
		with.Set(key.String(), v)
	}
	with.Delete("examples")
	return with
}

// resourcesOf is the body of what is done with several resources.
func resourcesOf(schema *value.Array) *value.Array {
	return value.Map("type", "object", "required", value.List("resources"), "properties", value.Map("resources", schema))
}

// byID is an object whose keys are ids.
func byID(schema *value.Array) *value.Array {
	return value.Map("type", "object", "propertyNames", value.Map("pattern", "^[0-9]+$"), "additionalProperties", schema)
}

func isWritable(f *personnel.Field) bool { return !f.ReadOnly && !f.Hidden }

// sentSchema is what may be sent of a kind, as JSON or as a form.
func sentSchema(k *personnel.Kind, form bool) *value.Array {
	properties := value.NewArray(len(k.Fields))
	for i := range k.Fields {
		if f := &k.Fields[i]; isWritable(f) && (form || f.Null || !f.IsFile()) {
			properties.Set(f.SentAs(), sentField(f, form))
		}
	}
	schema := value.Map("type", "object", "properties", properties)
	for i := range k.Extras {
		properties.Set(k.Extras[i].Name, sentField(&k.Extras[i], form))
	}
	if k.Custom {
		schema.Set("description", "Beside these, custom fields by their keys.")
	}
	return schema
}

// sentField is what may be sent for a field.
func sentField(f *personnel.Field, form bool) *value.Array {
	s := fieldType(f)
	switch f.Type {
	case personnel.Integer:
		s.Set("minimum", int64(math.MinInt32))
		s.Set("maximum", int64(math.MaxInt32))
	case personnel.String, personnel.Email:
		limit := f.Max
		if limit == 0 {
			limit = 255
		}
		if f.Required {
			s.Set("minLength", 1)
		}
		s.Set("maxLength", limit)
		if f.Pattern != nil {
			s.Set("pattern", f.Pattern.String())
		}
		if f.Type == personnel.Email {
			s.Set("format", "email")
		}
	case personnel.Text:
		if f.Required {
			s.Set("minLength", 1)
		}
		s.Set("maxLength", 65535)
	case personnel.Boolean:
		if form {
			s = value.Map("type", "string", "enum", value.List("0", "1"))
		}
	case personnel.RawTime:
		s = moment()
	case personnel.Strings:
		if f.Required {
			s.Set("minItems", 1)
		}
	case personnel.Photo, personnel.File:
		if !form {
			return value.Map("type", value.List("string", "null"), "description", "Null removes the file, and its path as it was answered leaves it as it is. Another one comes as a form.")
		}
		s = value.Map("type", "string", "format", "binary", "contentMediaType", "application/octet-stream")
		if f.Type == personnel.Photo {
			s.Set("description", "PNG, JPEG, GIF, WebP, BMP or AVIF of at most "+strconv.Itoa(personnel.MaxUpload>>10)+" KiB.")
		} else {
			s.Set("description", "At most "+strconv.Itoa(personnel.MaxUpload>>10)+" KiB.")
		}
	}
	switch {
	case f.Name == "order":
		s.Set("description", "The last place unless given.")
	case f.Name == "rrule":
		s.Set("description", "A rule of RFC 5545, such as `FREQ=WEEKLY;BYDAY=WE`, by which it is sent from `send_at` on; null ends that.")
	case f.Unique:
		s.Set("description", "Nothing else of this kind has the same.")
	}
	if !form && !f.Required && (f.Null || f.Default != nil) {
		s = nullable(s)
	}
	if f.Default != nil && f.Name != "order" && !form {
		if v, ok := f.Default.(int64); ok && f.Type == personnel.Boolean {
			s.Set("default", v != 0)
		} else {
			s.Set("default", f.Default)
		}
	}
	return s
}

// fieldType is what a field holds.
func fieldType(f *personnel.Field) *value.Array {
	switch f.Type {
	case personnel.Integer:
		return typed("integer")
	case personnel.Reference:
		return value.Map("type", "integer", "minimum", 1, "description", "Id of "+withArticle(typeName(personnel.ByName(f.Refers)))+".")
	case personnel.Boolean:
		return typed("boolean")
	case personnel.DateTime:
		return moment()
	case personnel.RawTime:
		return value.Map("type", "string", "pattern", `^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$`)
	case personnel.Choice:
		return value.Map("type", "string", "enum", value.List(f.Options...))
	case personnel.Code:
		return value.Map("type", "integer", "enum", value.List(f.Options...))
	case personnel.Strings:
		return listOf(value.Map("type", "string", "enum", value.List(f.Options...)))
	case personnel.Integers:
		return listOf(value.Map("type", "integer", "minimum", 1))
	case personnel.JSON:
		return value.Map("description", "Any JSON.")
	}
	return typed("string")
}

// resourceSchema is a resource as it is answered. Relations are there when they are asked for.
func resourceSchema(k *personnel.Kind) *value.Array {
	properties := value.NewArray(len(k.Fields) + len(k.Relations))
	for i := range k.Fields {
		f := &k.Fields[i]
		if f.Hidden {
			continue
		}
		s := fieldType(f)
		if f.Null && f.Fallback == nil {
			s = nullable(s)
		}
		properties.Set(f.Name, s)
	}
	for _, attribute := range k.Appended {
		properties.Set(attribute.Name, computed(attribute.Name))
	}
	if !k.NoLabel {
		properties.Set("label", typed("string"))
	}
	required := keysOf(properties)
	for i := range k.Relations {
		rel := &k.Relations[i]
		if properties.Has(rel.Name) {
			continue // never shown
		}
		properties.Set(rel.Name, relationSchema(k, rel))
		if slices.Contains(k.Always, rel.Name) {
			required.Append(rel.Name)
		}
	}
	for key, schema := range pivotSchemas(k).All() {
		properties.Set(key.String(), schema)
	}
	if k == &personnel.Status {
		for _, name := range []string{"text_color", "bg_color"} {
			properties.Set(name, value.Map("type", "string", "description", "In `/v1` only: the color."))
		}
	}
	schema := value.Map("type", "object", "required", required, "properties", properties)
	if k.Custom {
		schema.Set("description", "Beside these, custom fields by their keys.")
	} else {
		schema.Set("additionalProperties", false)
	}
	return schema
}

// computed is what an attribute with the name holds that is computed when it is shown.
func computed(name string) *value.Array {
	switch name {
	case "online", "expired", "past_due":
		return typed("boolean")
	case "display_name", "headline", "description", "event", "type", "color", "status":
		return typed("string")
	}
	switch {
	case strings.HasSuffix(name, "_at"), strings.HasSuffix(name, "_date"):
		return nullable(moment())
	case strings.HasSuffix(name, "_url"), strings.HasSuffix(name, "_photo"):
		return nullable(value.Map("type", "string", "format", "uri-reference"))
	}
	return nullable(typed("string"))
}

func relationSchema(k *personnel.Kind, rel *personnel.Relation) *value.Array {
	var schema *value.Array
	if rel.Model {
		models := value.NewArray(8)
		for _, model := range k.Field("model_type").Options {
			models.Append(schemaRef(typeName(personnel.ByModel(model.(string))) + "Resource"))
		}
		models.Append(value.Map("type", "null"))
		return value.Map("anyOf", models)
	}
	schema = schemaRef(typeName(personnel.ByName(rel.Kind)) + "Resource")
	if rel.IsMany() {
		return listOf(schema)
	}
	return nullable(schema)
}

// pivotSchemas are what resources of a kind show of the rows of pivots through which they were
// reached, by key.
func pivotSchemas(k *personnel.Kind) *value.Array {
	byKey := value.NewArray(2)
	for _, other := range personnel.Kinds() {
		for i := range other.Relations {
			rel := &other.Relations[i]
			if rel.Pivot == nil || rel.Kind != k.Name {
				continue
			}
			schema := pivotSchema(rel.Pivot)
			before, _ := byKey.Get(rel.Pivot.Key)
			list, ok := before.(*value.Array)
			if !ok {
				list = value.NewArray(1)
			}
			list.Append(schema)
			byKey.Set(rel.Pivot.Key, list)
		}
	}
	schemas := value.NewArray(byKey.Len())
	for key, list := range byKey.All() {
		alternatives := list.(*value.Array)
		schema, _ := alternatives.Get("0")
		if alternatives.Len() > 1 {
			schema = value.Map("anyOf", alternatives)
		}
		schemas.Set(key.String(), schema)
	}
	return schemas
}

// pivotSchema is a row of a pivot as it is answered.
func pivotSchema(p *personnel.Pivot) *value.Array {
	properties := value.NewArray(len(p.Shown) + len(p.Appended))
	for _, name := range p.Shown {
		properties.Set(name, pivotColumn(p, name))
	}
	for _, attribute := range p.Appended {
		properties.Set(attribute.Name, computed(attribute.Name))
	}
	return closed(properties)
}

func pivotColumn(p *personnel.Pivot, name string) *value.Array {
	if name == p.Local || name == p.Foreign {
		return typed("integer")
	}
	if f := p.Field(name); f != nil {
		s := fieldType(f)
		if f.Null {
			return nullable(s)
		}
		return s
	}
	if strings.HasSuffix(name, "_id") {
		return nullable(typed("integer"))
	}
	return computed(name)
}

// nested adds what links resources to one another.
func (c *componentSet) nested(k *personnel.Kind, n personnel.Nested) {
	rel := k.Relation(n.Relation)
	if rel.Pivot == nil && !n.Attach {
		return
	}
	w := nestedWords(k, n)
	columns, example := value.NewArray(4), value.NewArray(4)
	if rel.Pivot != nil {
		for i := range rel.Pivot.Fields {
			f := &rel.Pivot.Fields[i]
			columns.Set(f.Name, sentField(f, false))
			example.Set(f.Name, f.Example(nil, true))
		}
	}
	row := value.Map("type", "object")
	if columns.Len() > 0 {
		row.Set("properties", columns)
		c.schema(w.many+"Pivot", row, example)
		row = schemaRef(w.many + "Pivot")
	}
	resources := value.Map("anyOf", value.List(
		value.Map("type", "array", "items", idSchema(), "description", "Their ids."),
		annotated(byID(orEmpty(row)), "By id, what the pivot is to hold.")))
	named := value.Map("resources", value.Map("7", example))
	if columns.Len() == 0 {
		named = value.Map("resources", value.List(7, 8))
	}
	with := func(name, text string, fallback bool) *value.Array {
		body := resourcesOf(resources)
		properties, _ := body.Get("properties")
		properties.(*value.Array).Set(name, value.Map("type", "boolean", "description", text, "default", fallback))
		return body
	}
	c.body(w.many+"Attach", true, with("duplicates", "Attach again what is attached.", false), named)
	c.body(w.many+"Sync", true, with("detaching", "Detach what is not named.", true), named)
	if n.Links {
		return
	}
	c.body(w.many+"Toggle", true, resourcesOf(resources), named)
	c.body(w.many+"Pivot", true, value.Map("type", "object", "properties", value.Map("pivot", orEmpty(row))), value.Map("pivot", example))
}

func idSchema() *value.Array { return value.Map("type", "integer", "minimum", 1) }

// shared adds what is not of one kind.
func (c *componentSet) shared() {
	c.schema("PageLinks", closed(value.Map("first", uri(), "last", uri(), "prev", nullable(uri()), "next", nullable(uri()))), linksExample)
	link := closed(value.Map("url", nullable(uri()), "label", typed("string"), "page", nullable(typed("integer")), "active", typed("boolean")))
	c.schema("PageMeta", closed(value.Map("current_page", typed("integer"), "from", nullable(typed("integer")), "last_page", typed("integer"),
		"links", listOf(link), "path", uri(), "per_page", typed("integer"), "to", nullable(typed("integer")), "total", typed("integer"))), metaExample)

	filter := func() *value.Array {
		return value.Map(
			"type", value.Map("type", "string", "enum", value.List("and", "or"), "default", "and", "description", "How it joins the one before; `and` binds tighter."),
			"field", value.Map("type", "string", "description", "A field, `relation.field` of what the kind belongs to, `pivot.column`, or `field->part` of JSON."),
			"operator", value.Map("type", "string", "enum", operatorNames(), "default", "="),
			"value", value.Map("description", "A list for `in`, `not in`, `all in` and `any in`."))
	}
	filters := filter()
	filters.Set("nested", annotated(listOf(value.Map("type", "object", "properties", filter())), "Filters in brackets, one level deep."))
	named := func(name string) *value.Array {
		return value.Map("type", "object", "required", value.List(name), "properties", value.Map(name, typed("string")))
	}
	scope := named("name")
	scope.Set("description", "For announcements `enabled` and `disabled`; for units, groups and slots `visible` and `hidden`.")
	search := value.Map("type", "object", "properties", value.Map(
		"scopes", listOf(scope),
		"filters", value.Map("type", "array", "maxItems", 100, "items", value.Map("type", "object", "properties", filters)),
		"search", value.Map("type", "object", "properties", value.Map("value", value.Map("type", value.List("string", "number", "null"), "maxLength", 255,
			"description", "To be found in any field."), "case_sensitive", typed("boolean"))),
		"sort", value.Map("type", "array", "maxItems", 10, "items", value.Map("type", "object", "required", value.List("field"), "properties",
			value.Map("field", typed("string"), "direction", value.Map("type", "string", "enum", value.List("asc", "desc"), "default", "asc")))),
		"includes", listOf(named("relation"))))
	searched := value.Map(
		"filters", value.List(value.Map("field", "created_at", "operator", ">=", "value", "2026-01-01")),
		"search", value.Map("value", "roe"),
		"sort", value.List(value.Map("field", "created_at", "direction", "desc")))
	c.schema("Search", search, searched)
	c.body("Search", false, schemaRef("Search"), searched)

	ids := resourcesOf(value.Map("anyOf", value.List(listOf(idSchema()), byID(value.Map("description", "Not looked at.")))))
	c.schema("IDs", ids, value.Map("resources", value.List(7, 8)))
	c.body("IDs", true, schemaRef("IDs"), value.Map("resources", value.List(7, 8)))
	c.body("RelatedKey", true, value.Map("type", "object", "required", value.List("related_key"), "properties", value.Map("related_key", idSchema())),
		value.Map("related_key", 5))
	for _, linked := range [][]string{{"Attached", "attached"}, {"Detached", "detached"}, {"Synced", "attached", "detached", "updated"},
		{"Toggled", "attached", "detached"}, {"PivotUpdated", "updated"}} {
		properties, example := value.NewArray(3), value.NewArray(3)
		for i, key := range linked[1:] {
			properties.Set(key, listOf(idSchema()))
			example.Set(key, value.List(7+i))
		}
		c.answer(linked[0], "The ids of what changed.", closed(properties), example)
	}

	setting := value.Map("id", 1, "group", "organization", "name", "name", "payload", "1st Test Battalion", "locked", false,
		"created_at", personnel.ExampleTime, "updated_at", personnel.ExampleTime)
	c.schema("SettingResource", closed(value.Map("id", typed("integer"), "group", typed("string"), "name", typed("string"),
		"payload", value.Map("description", "What it is set to."), "locked", typed("boolean"), "created_at", moment(), "updated_at", moment())), setting)
	c.page("Setting", "SettingResource", setting)
	c.answer("CacheCleared", "Nothing is kept.", closed(value.Map("status", value.Map("const", "okay"))), value.Map("status", "okay"))
	c.answer("Ready", "It can.", closed(value.Map("status", value.Map("enum", value.List("ok", "ok, but sending is held")))), value.Map("status", "ok"))
	reason := closed(value.Map("check", typed("string"), "reason", typed("string")))
	c.answer("NotReady", "It cannot, and why.", closed(value.Map("status", value.Map("const", "not ready"), "reasons", listOf(reason))),
		value.Map("status", "not ready", "reasons", value.List(value.Map("check", "database", "reason", "the database cannot be read"))))
	c.answer("Document", "An OpenAPI document.", value.Map("type", "object", "required", value.List("openapi", "info", "paths")),
		value.Map("openapi", "3.1.0", "info", value.Map("title", "Bugle", "version", "v2"), "paths", value.Map("/health", value.Map("summary", "…"))))
}

func operatorNames() *value.Array {
	names := value.NewArray(14)
	for _, o := range []personnel.Operator{personnel.Less, personnel.LessEqual, personnel.Greater, personnel.GreaterEqual, personnel.Equal,
		personnel.NotEqual, personnel.Like, personnel.NotLike, personnel.ILike, personnel.NotILike, personnel.In, personnel.NotIn,
		personnel.AllIn, personnel.AnyIn} {
		names.Append(string(o))
	}
	return names
}

func uri() *value.Array { return value.Map("type", "string", "format", "uri-reference") }

// errors adds the answers to requests that fail.
func (c *componentSet) errors() {
	errorSchema := func(more ...any) *value.Array {
		properties := value.Map("message", typed("string"), "type", typed("string"), "request_id", uuidSchema(), "trace_id", uuidSchema())
		for i := 0; i < len(more); i += 2 {
			properties.Set(more[i].(string), more[i+1])
		}
		return closed(value.Map("error", closed(properties)))
	}
	example := func(kind, message string) *value.Array {
		return value.Map("message", message, "type", kind, "request_id", exampleRequest, "trace_id", exampleTrace)
	}
	reasons := value.Map("type", "object", "additionalProperties", value.Map("type", "array", "items", typed("string"), "minItems", 1))
	invalid := example("ValidationException", "The name field is required.")
	invalid.Set("errors", value.Map("name", value.List("The name field is required.")))
	c.schema("Error", errorSchema(), value.Map("error", example("HttpException", "The request could not be carried out.")))
	c.schema("ValidationError", errorSchema("errors", reasons), value.Map("error", invalid))

	c.answer("Error", "Anything else that keeps a request from being carried out.", schemaRef("Error"), value.Map("error", example("Exception", serverError)))
	for _, e := range []struct {
		status                     int
		description, kind, message string
	}{
		{400, "The body is no JSON object, or the version is unknown.", "HttpException", "The request body must be a JSON object, not 7."},
		{401, "No valid key.", "AuthenticationException", unauthenticated},
		{402, "Sent by PERSCOM without a subscription, never by this server.", "HttpException", "A valid subscription is required to complete this request."},
		{403, "The key lacks the scope, or the organization has as many webhooks or automations as it may.", "HttpException", forbidden},
		{404, "There is no such resource.", "NotFoundHttpException", notFound},
		{405, "The path has other methods.", "MethodNotAllowedHttpException", "The PUT method is not supported for this route. Supported methods: GET, HEAD, POST."},
		{409, "It cannot be done as things stand.", "ConflictHttpException", "The request conflicts with the current state: cancel delivery 7, which is delivered already."},
		{413, "The body is too long.", "PostTooLargeException", "The request body is longer than 1048576 bytes."},
		{429, "Too many requests within a minute, or the organization has caused too many events in it, or has too many deliveries pending.", "ThrottleRequestsException", rateExceeded},
		{503, "The server is stopping, or cannot reach its database.", "HttpException", maintenance},
		{507, "The disk of the data is full, or the organization has as many bytes of files as it may.", "HttpException", noRoom},
	} {
		c.answer("Error"+strconv.Itoa(e.status), e.description, schemaRef("Error"), value.Map("error", example(e.kind, e.message)))
	}
	c.answer("Error422", "What is wrong with the request, by field.", schemaRef("ValidationError"), value.Map("error", invalid))
}

func uuidSchema() *value.Array { return value.Map("type", "string", "format", "uuid") }

// webhooks adds webhooks and what is done with them.
func (c *componentSet) webhooks() {
	names := value.NewArray(len(subscribable))
	for _, name := range subscribable {
		names.Append(name)
	}
	c.schema("EventName", value.Map("type", "string", "enum", names), "rankrecord.created")
	fields := webhookFields
	sent := value.Map("name", "Discord relay", "url", "https://relay.example.com/hook", "events", value.List("rankrecord.created", "user.updated"),
		"field_policy", value.List(value.Map("preset", "contact", "action", "drop")))
	c.schema("WebhookUpdate", value.Map("type", "object", "properties", fields()), sent)
	c.schema("Webhook", value.Map("type", "object", "required", value.List("name", "url"), "properties", fields()), sent)
	c.body("WebhookCreate", true, schemaRef("Webhook"), sent)
	c.body("WebhookUpdate", true, schemaRef("WebhookUpdate"), sent)
	c.body("WebhookBatchCreate", true, resourcesOf(listOf(schemaRef("Webhook"))), value.Map("resources", value.List(sent)))
	c.body("WebhookBatchUpdate", true, resourcesOf(byID(schemaRef("WebhookUpdate"))), value.Map("resources", value.Map("7", sent)))

	answered := value.Map("id", typed("integer"))
	for key, schema := range fields().All() {
		answered.Set(key.String(), schema)
	}
	answered.Set("created_at", moment())
	answered.Set("updated_at", moment())
	answered.Set("health", healthSchema())
	w := bugle.NewWebhook()
	w.ID, w.Name, w.URL, w.Events = 1, "Discord relay", "https://relay.example.com/hook", []string{"rankrecord.created", "user.updated"}
	w.Secret, w.CreatedAt, w.UpdatedAt = "an example of a secret", exampleMoment, exampleMoment
	w.FieldPolicy = []bugle.FieldRule{{Attribute: "user.email", Action: bugle.HashField}, {Preset: "free_text", Action: bugle.DropField}}
	c.schema("WebhookResource", closed(answered), webhookData(&w, false))
	c.answerAll("Webhook", "WebhookResource", webhookData(&w, false))

	c.body("WebhookTest", false, value.Map("type", "object", "properties", value.Map("payload",
		value.Map("description", "Any JSON, at most 256 KiB; sent as `data`.", "default", value.Map("status", "ok")))), value.Map("payload", value.Map("status", "ok")))
	c.body("SecretRotation", false, value.Map("type", "object", "properties", value.Map(
		"secret", value.Map("type", value.List("string", "null"), "minLength", 1, "maxLength", 255, "description", "The new one; random unless given."),
		"keep_old_seconds", value.Map("type", "integer", "minimum", 0, "maximum", int(bugle.MaxKeepSecret.Seconds()), "default", int(bugle.DefaultKeepSecret.Seconds()), "description", "How long the old one signs beside it."))),
		value.Map("keep_old_seconds", 3600))
	c.answer("SecretData", "The secrets that sign.", closed(value.Map("data", closed(value.Map("secret", typed("string"),
		"old_secret", nullable(typed("string")), "old_secret_until", nullable(moment()))))),
		value.Map("data", value.Map("secret", "an example of a secret", "old_secret", nil, "old_secret_until", nil)))
}

// webhookFields are what may be sent of a webhook.
func webhookFields() *value.Array {
	ranged := func(low, high any) *value.Array { return value.Map("type", "integer", "minimum", low, "maximum", high) }
	return value.Map(
		"name", value.Map("type", "string", "minLength", 1, "maxLength", 255),
		"description", value.Map("type", value.List("string", "null"), "maxLength", 65535),
		"url", value.Map("type", "string", "format", "uri", "maxLength", 2048),
		"method", value.Map("type", "string", "enum", value.List("post", "get"), "default", "post"),
		"events", value.Map("type", "array", "items", schemaRef("EventName"), "description", "What it is told of; `webhook.test` arrives in any case."),
		"secret", value.Map("type", "string", "minLength", 1, "maxLength", 255, "description", "Random unless given. Answered in full when it is new, else masked."),
		"status", value.Map("type", "string", "enum", value.List("active", "paused", "disabled"), "default", "active"),
		"timeout_seconds", ranged(1, 30), "max_attempts", ranged(1, 100),
		"retry_schedule", value.Map("type", "array", "minItems", 1, "maxItems", 100, "items", ranged(1, 604800), "description", "Seconds to wait after each failed attempt; the last one repeats."),
		"max_concurrency", ranged(1, 100),
		"rate_per_second", value.Map("type", value.List("number", "null"), "minimum", 0.01, "maximum", int64(10000)),
		"ordered", value.Map("type", "boolean", "description", "One after the other, in the order of the events."),
		"headers", value.Map("type", value.List("object", "null"), "additionalProperties", typed("string"), "description", "Sent with every request."),
		"field_policy", fieldPolicySchema())
}

// fieldPolicySchema is a list of rules, each with an attribute or a preset.
func fieldPolicySchema() *value.Array {
	presets := value.NewArray(len(bugle.FieldPresets))
	for _, p := range bugle.FieldPresets {
		presets.Append(p.Name)
	}
	action := value.Map("type", "string", "enum", value.List(string(bugle.DropField), string(bugle.HashField)),
		"description", "`drop`: it is absent; `hash`: `"+bugle.HashPrefix+"` and 64 hexadecimal digits stand for it, the same for the same value as long as the webhook is there.")
	rule := value.Map("type", "object", "required", value.List("action"), "additionalProperties", false, "properties", value.Map(
		"attribute", value.Map("type", "string", "minLength", 1, "maxLength", 200, "description", "A name, at any depth, or the end of a path: `email`, `user.email`."),
		"preset", value.Map("type", "string", "enum", presets, "description", "Attributes that mostly go together."), "action", action),
		"oneOf", value.List(value.Map("required", value.List("attribute")), value.Map("required", value.List("preset"))))
	return value.Map("type", value.List("array", "null"), "maxItems", int64(bugle.MaxFieldRules), "items", rule,
		"description", "What the webhook must not get to see, whichever way. `[]` unless given.")
}

func healthSchema() *value.Array {
	return closed(value.Map("state", value.Map("type", "string", "enum", value.List(string(bugle.Healthy), string(bugle.Failing), string(bugle.Tripped))),
		"consecutive_failures", typed("integer"), "last_success_at", nullable(moment()), "last_failure_at", nullable(moment()), "disable_at", nullable(moment())))
}

// deliveries adds the log.
func (c *componentSet) deliveries() {
	kinds := value.List("dns", "connect", "tls", "timeout", "blocked", "redirect", "status", "body", "cancelled", "config", "proxy")
	failure := value.Map("type", value.List("object", "null"), "required", value.List("kind", "message"), "additionalProperties", false,
		"properties", value.Map("kind", value.Map("type", "string", "enum", kinds), "message", typed("string")))
	whole, wholeOrNull := typed("integer"), nullable(typed("integer"))
	properties := func() *value.Array {
		return value.Map("id", whole, "webhook_id", annotated(nullable(typed("integer")), "Null for messages, which have a channel."), "channel", annotated(nullable(typed("string")), "Of messages; null for webhooks."), "event", typed("string"), "event_id", whole, "automation_log_id", wholeOrNull,
			"request_id", uuidSchema(), "trace_id", uuidSchema(), "state", value.Map("type", "string", "enum", deliveryStates()), "attempts_count", whole,
			"next_attempt_at", nullable(moment()), "status_code", wholeOrNull, "duration_ms", wholeOrNull, "error", failure,
			"created_at", moment(), "finished_at", nullable(moment()), "sequence", annotated(typed("integer"), "Counts the deliveries of the webhook."))
	}
	headers := orEmpty(value.Map("type", value.List("object", "null"), "additionalProperties", typed("string")))
	d := &bugle.Delivery{ID: 1, WebhookID: 1, Event: "rankrecord.created", EventID: 1, RequestID: exampleRequest, TraceID: exampleTrace, Sequence: 1,
		State: bugle.Delivered, AttemptsCount: 1, Status: 200, CreatedAt: exampleMoment, FinishedAt: exampleMoment}
	c.schema("DeliveryResource", closed(properties()), deliveryData(d))
	c.answer("DeliveryData", "The delivery.", closed(value.Map("data", schemaRef("DeliveryResource"))), value.Map("data", deliveryData(d)))
	c.page("Delivery", "DeliveryResource", deliveryData(d))

	attempt := closed(value.Map("number", whole, "started_at", moment(), "duration_ms", whole, "status_code", wholeOrNull, "reason", typed("string"),
		"error", failure, "response_headers", headers, "response_body", typed("string"), "response_truncated", typed("boolean"), "remote_address", nullable(typed("string"))))
	c.schema("Attempt", attempt, attemptData(&bugle.Attempt{Number: 1, StartedAt: exampleMoment, Status: 200, Reason: "OK", RemoteAddress: "203.0.113.7:443"}))
	detail := properties()
	detail.Set("payload", value.Map("description", "What is sent.", "anyOf", value.List(schemaRef("Envelope"), schemaRef("ChannelPayload"),
		value.Map("description", "What the template of an automation made: any JSON."))))
	detail.Set("request", value.Map("type", value.List("object", "null"), "required", value.List("method", "url", "headers"), "additionalProperties", false,
		"description", "The last request, or the next; signatures are masked.",
		"properties", value.Map("method", typed("string"), "url", typed("string"), "headers", headers)))
	detail.Set("attempts", listOf(schemaRef("Attempt")))
	example := deliveryData(d)
	example.Set("payload", envelopeExample(&personnel.RankRecord, "created"))
	example.Set("request", value.Map("method", "POST", "url", "https://relay.example.com/hook", "headers", value.Map("Content-Type", "application/json")))
	example.Set("attempts", value.List(attemptData(&bugle.Attempt{Number: 1, StartedAt: exampleMoment, Status: 200, Reason: "OK", RemoteAddress: "203.0.113.7:443"})))
	c.schema("DeliveryDetail", closed(detail), example)
	c.answer("DeliveryDetailData", "The delivery with what is sent and every attempt.", closed(value.Map("data", schemaRef("DeliveryDetail"))), value.Map("data", example))

	envelope := value.Map("type", "object", "required", value.List("event", "created", "request_id", "trace_id"), "additionalProperties", false,
		"properties", value.Map("event", typed("string"), "created", moment(), "request_id", uuidSchema(), "trace_id", uuidSchema(),
			"data", value.Map("description", "The resource; of a test its payload. Not there if that is a scalar."),
			"changes", orEmpty(value.Map("type", value.List("object", "null"), "description", "Of an update, the new stored value of each attribute that changed; of a test null."))))
	c.schema("Envelope", envelope, envelopeExample(&personnel.RankRecord, "created"))
}

func deliveryStates() *value.Array {
	states := value.NewArray(len(bugle.DeliveryStates))
	for _, state := range bugle.DeliveryStates {
		states.Append(string(state))
	}
	return states
}

// deliveryFilters are the parameters that deliveryFilter reads.
var deliveryFilters = []string{"webhook_id", "channel", "state", "event", "request_id", "since", "until", "status_code"}

func deliveryParameters() *value.Array {
	return value.Map(
		"webhook_id", queried("webhook_id", "Those of one webhook.", idSchema()),
		"state", queried("state", "Those that stand so.", value.Map("type", "string", "enum", deliveryStates())),
		"event", queried("event", "Those of events with the name.", typed("string")),
		"request_id", queried("request_id", "Those that one request caused.", typed("string")),
		"since", queried("since", "Those made then or later.", moment()),
		"until", queried("until", "Those made before.", moment()),
		"status_code", queried("status_code", "Those whose last attempt was answered so.", idSchema()))
}

// headerParameters are the headers of what receivers are sent.
func headerParameters() *value.Array {
	header := func(name, description, example string) *value.Array {
		return value.Map("name", name, "in", "header", "required", true, "description", description, "schema", typed("string"), "example", example)
	}
	return value.Map(
		"Signature", header("Signature", "Hex HMAC-SHA-256 of the body, keyed with the secret.", "7f1821cf837c94fceb7ccab84280156952f6386ec3633c12a8881644a18f5a56"),
		"WebhookID", header("webhook-id", "The same for every attempt.", "msg_1"),
		"WebhookTimestamp", header("webhook-timestamp", "Seconds since 1970.", "1768392000"),
		"WebhookSignature", header("webhook-signature", "Standard Webhooks: `v1,` and base64 HMAC-SHA-256 of `id.timestamp.body`.", "v1,kh1zJHNuN6Sd7YVfs3oybSXVvoAOTfqlZ8E5BmNSDa0="))
}

// eventDocs describe what receivers are sent, by event.
func eventDocs() *value.Array {
	all := value.NewArray(len(subscribable))
	for _, name := range subscribable {
		stem, verb, _ := strings.Cut(name, ".")
		schema := value.Map("$ref", "#/components/schemas/Envelope", "properties", value.Map("event", value.Map("const", name)))
		example, summary := testExample(), "A test was asked for"
		if k := personnel.ByName(stem); k != nil {
			schema.Set("required", value.List("data", "changes"))
			schema.Set("properties", value.Map("event", value.Map("const", name), "data", schemaRef(typeName(k)+"Resource")))
			what := withArticle(typeName(k))
			example, summary = envelopeExample(k, verb), strings.ToUpper(what[:1])+what[1:]+" was "+verb
		}
		headers := value.NewArray(4)
		for key := range headerParameters().All() {
			headers.Append(component("parameters", key.String()))
		}
		all.Set(name, value.Map("post", value.Map(
			"tags", value.List("Sent Events"), "operationId", "on"+camel(strings.ReplaceAll(name, ".", "-")), "summary", summary+".", "security", value.NewArray(0),
			"parameters", headers,
			"requestBody", value.Map("required", true, "content", value.Map("application/json", value.Map("schema", schema, "example", example))),
			"responses", value.Map("2XX", value.Map("description", "Delivered."), "410", value.Map("description", "Disables the webhook."),
				"default", value.Map("description", "Failed: it is sent again by the webhook's schedule.")))))
	}
	return all
}
