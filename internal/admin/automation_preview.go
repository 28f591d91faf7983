package admin

import (
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/expression"
	"github.com/buglehq/bugle/internal/chat"
	"github.com/buglehq/bugle/internal/dispatch"
	"github.com/buglehq/bugle/personnel"
	"github.com/buglehq/bugle/twig"
	"github.com/buglehq/bugle/value"
)

// exampleSample is the choice of the catalogue's example rather than an event.
const exampleSample = "example"

// A previewPart is what an automation would do for one event, as the panel beside its form shows it.
type previewPart struct {
	Missing     string // why there is none
	Samples     input
	EventID     int64 // 0: it is an example
	Condition   previewResult
	Parts       []partRow
	Action      bugle.ActionType
	Payload     previewResult
	Warnings    []chat.Warning
	Service     string // the chat service that gets the payload, as people call it
	Card        *chatCard
	Message     previewResult
	Recipients  previewResult
	Fields      previewResult
	FieldRows   []fieldRow
	Target      *link
	Others      []string // what else is wrong
	Context     string
	Diagnostics []diagnostics
}

// A previewResult is what became of one part. It is empty if there is nothing to tell.
type previewResult struct {
	State   string // "", "true", "false", "ok", "skipped", "error"
	Text    string
	Problem *dispatch.RunError
}

type fieldRow struct{ Name, Value string }

// diagnostics are what is wrong in one editor, as JSON.
type diagnostics struct{ For, JSON string }

type diagnostic struct {
	Line    int    `json:"line"`
	Column  int    `json:"column"`
	Message string `json:"message"`
}

// editors are the fields that have one.
var editors = []string{"condition", "webhook_payload_template", "message_content", "message_recipients_expression",
	"model_update_lookup_expression", "model_update_lookup_conditions", "model_update_fields"}

// canWriteAutomations reports whether the visitor may see what helps with writing automations.
func (v *visit) canWriteAutomations() error {
	if v.Can("create_automation") || v.Can("update_automation") {
		return nil
	}
	return bugle.ErrForbidden
}

// previewAutomation answers with the preview, or without JavaScript with the form and the preview beside it.
func (s *server) previewAutomation(v *visit) error {
	if err := v.canWriteAutomations(); err != nil {
		return err
	}
	f, err := v.form()
	if err != nil {
		return err
	}
	if v.isFragment() {
		p, err := s.previewOf(v, f, newAutomationInputs("", nil, nil))
		if err != nil {
			return err
		}
		return v.fragment(http.StatusOK, "automation_form.html", "preview", p)
	}
	var a *bugle.Automation
	if id, err := strconv.ParseInt(f.Get("id"), 10, 64); err == nil && id > 0 {
		if !v.Can("update_automation") {
			return bugle.ErrForbidden
		}
		if a, err = s.store.Automation(v.Context(), v.actor.OrganizationID, id); err != nil {
			return err
		}
	}
	return s.showAutomationForm(v, http.StatusOK, a, f)
}

// previewOf tries what a form holds.
func (s *server) previewOf(v *visit, f *form, in *automationInputs) (*previewPart, error) {
	p := &previewPart{}
	found := map[string][]diagnostic{}
	defer func() { p.Diagnostics = diagnosticsOf(found) }()
	trigger := f.Get("trigger")
	if !slices.Contains(personnel.EventNames(), trigger) {
		p.Missing = "Choose a trigger, and you see here what the automation would do."
		return p, nil
	}
	samples, err := s.preview.Samples(v.Context(), v.actor.OrganizationID, trigger)
	if err != nil {
		return nil, err
	}
	p.Samples = sampleInput(samples, f.Get("sample"))
	scratch := newForm(f.values)
	scratch.sent = true
	if f.Get("action_type") == "" {
		scratch.values = maps.Clone(f.values)
		if scratch.values == nil {
			scratch.values = url.Values{}
		}
		scratch.values.Set("action_type", string(bugle.SendWebhook))
	}
	fields := sentAutomation(scratch, in)
	fields.Delete("name")
	fields.Delete("description")
	switch p.Samples.Value {
	case exampleSample:
		given, err := exampleContext(trigger, s)
		if err != nil {
			return nil, err
		}
		fields.Set("context", given)
	case "":
	default:
		fields.Set("event_id", p.Samples.Value)
	}
	draft, unread := readDraft(v.actor.OrganizationID, fields)
	for name, reasons := range scratch.Problems {
		unread[name] = append(unread[name], reasons...)
	}
	if draft == nil {
		p.Missing = "There is no preview yet."
		return p, nil
	}
	made, err := s.preview.PreviewDraft(v.Context(), draft)
	var invalid *bugle.InvalidError
	if errors.As(err, &invalid) {
		p.Missing = invalid.Error()
		return p, nil
	}
	if err != nil {
		return nil, err
	}
	p.EventID, p.Action = made.EventID, draft.Automation.ActionType
	p.Context = prettyJSON(made.Context.Data())
	p.Parts = partRows(made.Parts)
	text := func(v any) string { return prettyJSON(v) }
	show := func(part *dispatch.Part, field string, shown func(v any) string) previewResult {
		result := resultOf(part, field, unread, shown)
		if result.Problem != nil {
			note(found, f, result.Problem)
		}
		return result
	}
	p.Condition = show(made.Condition, "condition", func(v any) string { return "" })
	if made.Condition != nil && made.Condition.Valid() && p.Condition.State == "ok" {
		p.Condition.State = strconv.FormatBool(made.Condition.Result == true)
	}
	switch p.Action {
	case bugle.SendWebhook:
		p.Payload = show(made.Payload, "webhook_payload_template", text)
		if made.Payload != nil && p.Payload.State == "ok" {
			p.Warnings = made.Payload.Warnings
			if err := s.showChat(v, p, &draft.Automation, made.Payload.Result); err != nil {
				return nil, err
			}
		}
	case bugle.SendMessage:
		p.Message = show(made.Message, "message_content", func(v any) string { text, _ := v.(string); return text })
		if made.Recipient == nil {
			p.Recipients = previewResult{State: "ok", Text: "Nobody personally, as no recipients are given."}
			if draft.Automation.PerscomCompatible {
				p.Recipients.Text = "Everyone, as PERSCOM does without recipients."
			}
		} else {
			p.Recipients = show(made.Recipient, "message_recipients_expression", recipientsText)
		}
	case bugle.UpdateModel:
		p.Fields = show(made.Fields, "model_update_fields", func(any) string { return "" })
		for _, other := range []string{"model_update_target", "model_update_lookup_expression", "model_update_lookup_conditions"} {
			p.Others = append(p.Others, unread[other]...)
		}
		if made.Fields != nil && p.Fields.State == "ok" {
			values, _ := made.Fields.Result.(*value.Array)
			for key, v := range values.All() {
				p.FieldRows = append(p.FieldRows, fieldRow{key.String(), dispatch.Brief(v)})
			}
			p.Target = automationsSubject(draft.Automation.UpdateTarget, made.Target)
		}
	}
	return p, nil
}

// sampleInput is the choice of what the preview is made of.
func sampleInput(samples []dispatch.SampleEvent, chosen string) input {
	in := input{Name: "sample", Label: "Try it on", Kind: inputSelect}
	if len(samples) > 0 {
		in.Options = append(in.Options, option{Value: "", Label: "The newest event"})
	}
	for _, e := range samples {
		in.Options = append(in.Options, option{Value: strconv.FormatInt(e.EventID, 10), Label: e.Label, Group: "What has happened"})
	}
	in.Options = append(in.Options, option{Value: exampleSample, Label: "An example with made-up values", Group: "Nothing real"})
	for i := range in.Options {
		if in.Options[i].Value == chosen || len(samples) == 0 {
			in.Options[i].Selected, in.Value = true, in.Options[i].Value
		}
	}
	return in
}

// exampleContext is what an automation sees of the catalogue's example of an event.
func exampleContext(trigger string, s *server) (*value.Array, error) {
	c, err := dispatch.NewContext(dispatch.ExampleEvent(trigger, s.now()), personnel.User.Example(), s.now())
	if err != nil {
		return nil, err
	}
	given, _ := c.Data().(*value.Array)
	given = given.Clone()
	given.Delete("now") // it is a date, and not the text that Data makes of it
	return given, nil
}

// readDraft reads the fields of a draft without those that cannot be read, and says why they cannot.
func readDraft(organizationID int64, fields *value.Array) (*dispatch.Draft, map[string][]string) {
	unread := map[string][]string{}
	for range 8 {
		draft, err := dispatch.ReadDraft(organizationID, fields)
		if err == nil {
			return draft, unread
		}
		var invalid *bugle.InvalidError
		if !errors.As(err, &invalid) {
			break
		}
		gone := false
		for _, problem := range invalid.Problems {
			field, _, _ := strings.Cut(problem.Field, ".")
			unread[field] = append(unread[field], problem.Reason)
			gone = gone || fields.Has(field)
			fields.Delete(field)
		}
		if !gone || !fields.Has("trigger") {
			break
		}
	}
	return nil, unread
}

// resultOf is what became of a part, or of the field of it that could not even be read.
func resultOf(part *dispatch.Part, field string, unread map[string][]string, text func(v any) string) previewResult {
	if reasons := unread[field]; len(reasons) > 0 {
		scratch := newForm(nil)
		scratch.Problems[field] = reasons
		scratch.friendly()
		return previewResult{State: "error", Problem: &dispatch.RunError{Message: withoutPlace(scratch.Problems[field][0]), Field: field}}
	}
	switch {
	case part == nil:
		return previewResult{}
	case part.Err != nil:
		problem := &dispatch.RunError{}
		problem.Message, problem.Field, problem.Line, problem.Column = part.Problem()
		scratch := newForm(nil)
		scratch.Problems[field] = []string{problem.Message}
		scratch.friendly()
		problem.Message = withoutPlace(scratch.Problems[field][0])
		if problem.Field == "" {
			problem.Field = field
		}
		return previewResult{State: "error", Problem: problem}
	case part.Skipped:
		return previewResult{State: "skipped"}
	}
	return previewResult{State: "ok", Text: text(part.Result)}
}

// place is how errors say where they are, which is said beside them as well.
var place = regexp.MustCompile(`:? at line \d+, column \d+`)

// withoutPlace is an error's message as a sentence that does not say where it is.
func withoutPlace(message string) string {
	text := strings.TrimSpace(place.ReplaceAllString(message, ""))
	if text != "" && !strings.HasSuffix(text, ".") && !strings.HasSuffix(text, "?") {
		text += "."
	}
	return title(text)
}

// note adds a problem to the diagnostics of its editor, at its place there.
func note(found map[string][]diagnostic, f *form, problem *dispatch.RunError) {
	field, path, within := strings.Cut(problem.Field, ".")
	text := strings.ReplaceAll(f.Get(field), "\r\n", "\n")
	line, column := problem.Line, problem.Column
	var syntax *value.SyntaxError
	switch {
	case !slices.Contains(editors, field) || text == "":
		return
	case field == "webhook_payload_template" && within:
		line, column = jsonPlace(text, path, max(line, 1), max(column, 1))
	case field == "webhook_payload_template" && line == 0:
		if _, err := value.Decode([]byte(text)); errors.As(err, &syntax) {
			line, column = syntax.Line, syntax.Column
		}
	case field == "model_update_fields" || field == "model_update_lookup_conditions":
		name, _, _ := strings.Cut(path, ".")
		at, before := lineOfField(text, name)
		line, column = at, before+max(column, 1)
	}
	problem.Line, problem.Column, problem.Field = line, column, fieldLabels[field]
	if within {
		problem.Field += " · " + path
	}
	found[field] = append(found[field], diagnostic{max(line, 1), max(column, 1), problem.Message})
}

// diagnosticsOf are those of all editors: of most there are none, which clears what was there.
func diagnosticsOf(found map[string][]diagnostic) []diagnostics {
	var all []diagnostics
	for _, name := range editors {
		list := found[name]
		if list == nil {
			list = []diagnostic{}
		}
		text, err := json.Marshal(list)
		if err != nil { // numbers and texts have JSON
			panic("admin: diagnostics: " + err.Error())
		}
		all = append(all, diagnostics{"#" + input{Name: name}.ID(), string(text)})
	}
	return all
}

func recipientsText(v any) string {
	if v == dispatch.Everyone {
		return "Everyone."
	}
	ids, _ := v.(*value.Array)
	if ids.Len() == 0 {
		return "Nobody personally."
	}
	var names []string
	for _, id := range ids.All() {
		text, _ := value.Text(id)
		names = append(names, "user "+text)
	}
	if len(names) > 20 {
		names = append(names[:20], "and "+strconv.Itoa(len(names)-20)+" more")
	}
	return title(strings.Join(names, ", ")) + "."
}

// chatNames are what chat services are called.
var chatNames = map[chat.Service]string{chat.Discord: "Discord", chat.Slack: "Slack", chat.Telegram: "Telegram", chat.Teams: "Teams"}

// showChat shows a payload as the chat service that gets it would.
func (s *server) showChat(v *visit, p *previewPart, a *bugle.Automation, body any) error {
	address := ""
	if a.WebhookID != 0 {
		w, err := s.store.Webhook(v.Context(), v.actor.OrganizationID, a.WebhookID)
		if err == nil {
			address = w.URL
		} else if !errors.Is(err, bugle.ErrNotFound) {
			return err
		}
	}
	service := chat.ServiceOf(address, body)
	p.Service = chatNames[service]
	if fields, ok := body.(*value.Array); ok {
		p.Card = newChatCard(service, fields, v.location)
	}
	return nil
}

// A completion is something to write, as editors offer it.
type completion struct {
	Label  string `json:"label"`
	Detail string `json:"detail,omitempty"`
	Info   string `json:"info,omitempty"`
}

// completions are what there is to write in a condition or template.
type completions struct {
	Fields    []completion `json:"fields"`
	Functions []completion `json:"functions"`
	Filters   []completion `json:"filters"`
	Tags      []completion `json:"tags"`
}

// completeAutomation answers with what editors offer to complete, which is nothing without a trigger.
func (s *server) completeAutomation(v *visit) error {
	if err := v.canWriteAutomations(); err != nil {
		return err
	}
	made := completions{Fields: []completion{}, Functions: []completion{}, Filters: []completion{}, Tags: []completion{}}
	trigger, template := v.URL.Query().Get("trigger"), v.URL.Query().Get("in") == "template"
	if trigger != "" {
		ref, err := s.preview.Reference(v.Context(), v.actor.OrganizationID, trigger)
		if err != nil {
			return err
		}
		for _, f := range ref.Fields {
			label := f.Condition
			if template {
				label = f.Template
			}
			made.Fields = append(made.Fields, completion{label, string(f.Type), aboutField(f)})
		}
		if template {
			for _, e := range ref.Twig {
				c := completion{e.Name, e.Signature, e.Description}
				switch e.Kind {
				case twig.Filter:
					made.Filters = append(made.Filters, c)
				case twig.Function:
					made.Functions = append(made.Functions, c)
				case twig.Tag:
					made.Tags = append(made.Tags, c)
				}
			}
		} else {
			for _, e := range ref.Functions {
				made.Functions = append(made.Functions, completion{e.Name, e.Signature, e.Description})
			}
		}
	}
	text, err := json.Marshal(made)
	if err != nil {
		return err
	}
	v.w.Header().Set("Content-Type", "application/json")
	v.w.Write(text) // an error here is a browser that went away
	return nil
}

// aboutField says what a field is, can be, and is like.
func aboutField(f dispatch.Field) string {
	var said []string
	if f.About != "" {
		said = append(said, f.About)
	}
	if f.Null {
		said = append(said, "Can be missing.")
	}
	if len(f.Options) > 0 {
		var options []string
		for _, o := range f.Options {
			options = append(options, dispatch.Brief(o))
		}
		said = append(said, "One of "+strings.Join(options, ", ")+".")
	} else if f.Example != nil {
		said = append(said, "Such as "+dispatch.Brief(f.Example)+".")
	}
	return strings.Join(said, " ")
}

// A referenceEntry is something to write, with what it is.
type referenceEntry struct{ Text, Type, About, Insert string }

type referenceGroup struct {
	Label   string
	Entries []referenceEntry
}

type referencePage struct {
	frame
	Missing bool
	Trigger string
	Into    string // the selector of the editor that gets what is chosen; empty: none
	Groups  []referenceGroup
}

// showReference answers with the fields, functions and filters of a trigger: as a part of the form, or as a
// page for who has no JavaScript.
func (s *server) showReference(v *visit) error {
	if err := v.canWriteAutomations(); err != nil {
		return err
	}
	query := v.URL.Query()
	trigger, template := query.Get("trigger"), query.Get("in") == "template"
	p := &referencePage{frame: v.newFrame("What can be written", "automations"), Trigger: triggerLabel(trigger), Missing: trigger == ""}
	p.Back = &link{"/automations", "Automations"}
	if !p.Missing {
		ref, err := s.preview.Reference(v.Context(), v.actor.OrganizationID, trigger)
		if err != nil {
			return err
		}
		p.Title = "What can be written for " + p.Trigger
		p.Groups = referenceGroups(ref, template)
		field := "condition"
		if template {
			field = map[string]string{"message": "message_content", "model_update": "model_update_fields"}[query.Get("action_type")]
			field = orElse(field, "webhook_payload_template")
			if field == "model_update_fields" {
				p.Groups = append(updatableGroups(ref, query.Get("model_update_target")), p.Groups...)
			}
		}
		p.Into = "#" + input{Name: field}.ID()
	}
	if v.isFragment() {
		return v.fragment(http.StatusOK, "automation_reference.html", "reference", p)
	}
	return v.render(http.StatusOK, "automation_reference.html", p)
}

func referenceGroups(ref *dispatch.Reference, template bool) []referenceGroup {
	fields := referenceGroup{Label: "Fields"}
	for _, f := range ref.Fields {
		e := referenceEntry{Text: f.Condition, Type: string(f.Type), About: aboutField(f), Insert: f.Condition}
		if template {
			e.Text, e.Insert = f.Template, "{{ "+f.Template+" }}"
		}
		fields.Entries = append(fields.Entries, e)
	}
	groups := []referenceGroup{fields}
	add := func(label string, entries []referenceEntry) {
		if len(entries) > 0 {
			groups = append(groups, referenceGroup{label, entries})
		}
	}
	if template {
		for _, kind := range []struct{ kind, label string }{{twig.Filter, "Filters"}, {twig.Function, "Functions"}, {twig.Test, "Tests"}, {twig.Tag, "Tags"}} {
			var entries []referenceEntry
			for _, e := range ref.Twig {
				if e.Kind == kind.kind {
					entries = append(entries, referenceEntry{Text: e.Signature, About: e.Description, Insert: insertOf(e)})
				}
			}
			add(kind.label, entries)
		}
		return groups
	}
	of := func(list []expression.Entry) []referenceEntry {
		var entries []referenceEntry
		for _, e := range list {
			entries = append(entries, referenceEntry{Text: e.Signature, About: e.Description, Insert: e.Signature})
		}
		return entries
	}
	add("Functions", of(ref.Functions))
	add("Operators", of(ref.Operators))
	return groups
}

// insertOf is what a click on an entry writes.
func insertOf(e twig.Entry) string {
	switch e.Kind {
	case twig.Filter:
		return "|" + e.Name
	case twig.Function:
		return e.Name + "("
	}
	return e.Signature
}

// updatableGroups lists what an update can write.
func updatableGroups(ref *dispatch.Reference, target string) []referenceGroup {
	var groups []referenceGroup
	for _, t := range ref.Updatable {
		if t.Kind != target {
			continue
		}
		g := referenceGroup{Label: "Fields of a " + strings.ToLower(t.Label) + " that can be changed"}
		for _, f := range t.Fields {
			about := f.About
			if len(f.Options) > 0 {
				var options []string
				for _, o := range f.Options {
					options = append(options, dispatch.Brief(o))
				}
				about += " One of " + strings.Join(options, ", ") + "."
			}
			if f.Null {
				about += " Can be null."
			}
			g.Entries = append(g.Entries, referenceEntry{Text: f.Name, Type: string(f.Type), About: strings.TrimSpace(about), Insert: f.Name + ": "})
		}
		groups = append(groups, g)
	}
	return groups
}
