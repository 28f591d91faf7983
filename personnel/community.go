package personnel

// What people say about other resources, and attach to them.

// modelFields name a resource of any kind that can have such things.
func modelFields(readOnly bool) []Field {
	return []Field{
		{Name: "model_type", Type: Choice, Null: true, ReadOnly: readOnly}, // of the models that have a relation here
		{Name: "model_id", Type: Integer, Null: true, ReadOnly: readOnly},
	}
}

// Comment is what somebody says about a resource.
var Comment = func() Kind {
	k := Kind{
		Name: "comment", Path: "comments", Table: "comments", Class: "Comment", Grows: true,
		Fields: fields(append([]Field{{Name: "author_id", Type: Reference, Null: true, Refers: "user"}},
			append(modelFields(false), Field{Name: "comment", Type: Text, Required: true})...)...),
		Includes: []string{"author", "commentable"},
	}
	k.Relations = append(belongsTo(k.Fields), Relation{Name: "commentable", Via: "model_id", Model: true})
	return k
}()

// Attachment is a file that belongs to a resource.
var Attachment = Kind{
	Name: "attachment", Path: "attachments", Table: "attachments", Class: "Attachment", Grows: true,
	Fields: fields(append([]Field{name(),
		{Name: "filename", Type: String, ReadOnly: true, Default: ""},
		{Name: "path", Type: File, Sent: "file", Required: true}},
		modelFields(true)...)...),
	Relations: []Relation{{Name: "model", Via: "model_id", Model: true}},
	Includes:  []string{"model"},
	Appended:  []Appended{{"attachment_url", storedURL}},
	MadeOf:    map[string][]string{"attachment_url": {"path"}},
}

// Image is a picture that belongs to a resource.
var Image = Kind{
	Name: "image", Path: "images", Table: "images", Class: "Image", Grows: true,
	Fields: fields(append([]Field{name(), description(),
		{Name: "filename", Type: String, ReadOnly: true, Default: ""},
		{Name: "path", Type: Photo, Sent: "image", Required: true}},
		modelFields(true)...)...),
	Relations: []Relation{{Name: "model", Via: "model_id", Model: true}},
	Includes:  []string{"model"},
	Appended:  []Appended{{"image_url", storedURL}},
	MadeOf:    map[string][]string{"image_url": {"path"}},
}

func storedURL(r *Resource, v *View) any { return v.fileURL(r.Text("path")) }

// announcementColors are the words that stand for a color.
var announcementColors = map[string]string{"success": "#16a34a", "danger": "#dc2626", "warning": "#ca8a04"}

// Announcement is shown to everyone who signs in.
var Announcement = Kind{
	Name: "announcement", Path: "announcements", Table: "announcements", Class: "Announcement",
	Hiding: &Hiding{Field: "enabled", When: false, Hidden: "disabled", Visible: "enabled"},
	Fields: fields(
		Field{Name: "title", Type: String, Required: true},
		Field{Name: "content", Type: Text, Required: true},
		Field{Name: "color", Type: String, Required: true, As: func(stored any) any {
			text, _ := stored.(string)
			if len(text) > 0 && text[0] == '#' {
				return text
			}
			if color := announcementColors[text]; color != "" {
				return color
			}
			return usualColor(nil, nil)
		}},
		Field{Name: "global", Type: Boolean, Default: false},
		Field{Name: "enabled", Type: Boolean, Default: true},
		Field{Name: "expires_at", Type: DateTime, Null: true},
	),
}

// Tag is a word by which calendars, calendar events and forms are found.
var Tag = Kind{
	Name: "tag", Path: "tags", Table: "tags", Class: "Tag",
	Fields: fields(name()),
}

func tags(kind string) Relation {
	return Relation{Name: "tags", Kind: "tag", Pivot: plainPivot(kind+"_tags", kind+"_id", "tag_id")}
}

var categoryRelations = []Relation{
	{Name: "awards", Kind: "award", Pivot: sortedPivot("category_awards", "category_id", "award_id")},
	{Name: "documents", Kind: "document", Pivot: sortedPivot("category_documents", "category_id", "document_id")},
	{Name: "forms", Kind: "form", Pivot: sortedPivot("category_forms", "category_id", "form_id")},
	{Name: "qualifications", Kind: "qualification", Pivot: sortedPivot("category_qualifications", "category_id", "qualification_id")},
	{Name: "ranks", Kind: "rank", Pivot: sortedPivot("category_ranks", "category_id", "rank_id")},
}

// Category gathers resources of one kind, which resource names by its model.
var Category = Kind{
	Name: "category", Path: "categories", Table: "categories", Class: "Category",
	Fields:    fields(name(), description(), Field{Name: "resource", Type: String, Required: true}),
	Relations: categoryRelations,
	Nested:    nest("awards", "documents", "forms", "qualifications", "ranks"),
	Includes:  []string{"awards", "documents", "forms", "qualifications", "ranks"},
}
