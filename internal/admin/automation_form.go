package admin

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/internal/dispatch"
	"github.com/buglehq/bugle/internal/store"
	"github.com/buglehq/bugle/personnel"
	"github.com/buglehq/bugle/value"
)

// automationInputs are the fields of an automation's form, by the tabs and by the action they belong to.
type automationInputs struct {
	About, Trigger, Condition []input
	Action                    []input // whatever the action is
	Webhook, Message          []input
	Update                    []input
	LookupExpression          []input
	LookupQuery               []input
	UpdateFields              []input
	Behaviour                 []input
}

// all are the lists of inputs.
func (in *automationInputs) all() [][]input {
	return [][]input{in.About, in.Trigger, in.Condition, in.Action, in.Webhook, in.Message, in.Update, in.LookupExpression, in.LookupQuery, in.UpdateFields, in.Behaviour}
}

// of are the inputs that count for an action and a way to find resources.
func (in *automationInputs) of(action bugle.ActionType, lookup bugle.LookupType) []input {
	inputs := slices.Concat(in.About, in.Trigger, in.Condition, in.Action, in.Behaviour)
	switch action {
	case bugle.SendWebhook:
		inputs = append(inputs, in.Webhook...)
	case bugle.SendMessage:
		inputs = append(inputs, in.Message...)
	case bugle.UpdateModel:
		inputs = slices.Concat(inputs, in.Update, in.UpdateFields)
		if lookup != bugle.LookupQuery {
			inputs = append(inputs, in.LookupExpression...)
		}
		if lookup != bugle.LookupExpression {
			inputs = append(inputs, in.LookupQuery...)
		}
	}
	return inputs
}

// fill gives the inputs what the form holds.
func (in *automationInputs) fill(f *form) {
	for _, list := range in.all() {
		f.fill(list)
	}
}

// fieldLabels are what the fields of automations are called in the panel.
var fieldLabels = func() map[string]string {
	labels := map[string]string{}
	for _, list := range newAutomationInputs("", nil, nil).all() {
		for _, in := range list {
			labels[in.Name] = in.Label
		}
	}
	return labels
}()

// newAutomationInputs are the inputs for a trigger.
func newAutomationInputs(trigger string, webhooks, channels []option) *automationInputs {
	complete := func(in string) string {
		return "/automations/complete?in=" + in + "&trigger=" + url.QueryEscape(trigger)
	}
	condition, template := complete("condition"), complete("template")
	var targets []option
	for _, k := range personnel.UpdatableKinds() {
		targets = append(targets, option{Value: k.Name, Label: k.Class})
	}
	slices.SortFunc(targets, func(a, b option) int { return strings.Compare(a.Label, b.Label) })
	return &automationInputs{
		About: []input{
			{Name: "name", Label: "Name", Kind: inputText, Required: true, Max: 255, Help: "What you will recognize it by in the list and in the log."},
			{Name: "description", Label: "Description", Kind: inputArea, Rows: 3, Help: "What it is for. Simple HTML may be used."},
			{Name: "priority", Label: "Priority", Kind: inputNumber, Required: true, Value: "0", Help: "If several automations have the same trigger, the one with the higher number runs first."},
			{Name: "enabled", Label: "Enabled", Kind: inputSwitch, Value: "1", Help: "While it is off, nothing that happens starts it, and nothing is made up for later."},
		},
		Trigger: []input{
			{Name: "trigger", Label: "Trigger", Kind: inputSelect, Required: true, Options: triggerOptions(), Blank: "Choose what starts it", Help: "What has to happen for the automation to run."},
		},
		Condition: []input{
			{Name: "condition", Label: "Condition Expression", Kind: inputEditor, Language: "condition", Rows: 4, Complete: condition, Placeholder: `model["status"] !== "active"`,
				Help: "The action is taken only if this is true. Leave it empty to act every time."},
		},
		Action: []input{
			{Name: "action_type", Label: "Action", Kind: inputSelect, Required: true, Options: optionsOf(bugle.ActionTypes, actionLabels), Value: string(bugle.SendWebhook), Help: "What is to be done."},
		},
		Webhook: []input{
			{Name: "webhook_id", Label: "Webhook", Kind: inputSelect, Required: true, Options: webhooks, Blank: "Choose a webhook", Help: "Where it is sent. The webhook need not subscribe to the event."},
			{Name: "webhook_payload_format", Label: "Format", Kind: inputSelect, Options: optionsOf(bugle.PayloadFormats, formatLabels), Value: string(bugle.PayloadEnvelope),
				Help: "What the receiver gets: the usual envelope with your data in it, or exactly what you write below."},
			{Name: "webhook_payload_template", Label: "Payload Template", Kind: inputEditor, Language: "twig-json", Rows: 14, Complete: template,
				Help: "JSON whose texts may have {{ placeholders }}. Leave it empty in the envelope format to send the whole resource."},
		},
		Message: []input{
			{Name: "message_channels", Label: "Channels", Kind: inputChecks, Required: true, Options: channels, Help: "The ways the message takes."},
			{Name: "message_content", Label: "Message Content", Kind: inputEditor, Language: "twig", Rows: 6, Required: true, Complete: template, Help: "HTML, with {{ placeholders }}."},
			{Name: "message_recipients_expression", Label: "Recipients Expression", Kind: inputEditor, Language: "condition", Rows: 2, Complete: condition, Placeholder: `model["user_id"]`,
				Help: `Who gets it: the id of a user, such as model["user_id"], a list such as [1, 2], or "everyone" with the quotation marks. Left empty, nobody gets it personally; posts to Discord (Public), Slack and Telegram are made in any case.`},
			{Name: "message_rrule", Label: "Repeat", Kind: inputText, Max: 255, Placeholder: "FREQ=WEEKLY;COUNT=4", Help: "A recurrence rule (RFC 5545), if the message is to be sent again and again. Usually empty: it is sent once."},
		},
		Update: []input{
			{Name: "model_update_target", Label: "Target Resource", Kind: inputSelect, Required: true, Options: targets, Blank: "Choose what is changed", Help: "The kind of resource that is changed."},
			{Name: "model_update_lookup_type", Label: "Find Record By", Kind: inputSelect, Required: true, Options: optionsOf(bugle.LookupTypes, lookupLabels), Value: string(bugle.LookupExpression),
				Help: "How the one to change is found: by its id, or as the first with certain values."},
		},
		LookupExpression: []input{
			{Name: "model_update_lookup_expression", Label: "Lookup Expression", Kind: inputEditor, Language: "condition", Rows: 2, Required: true, Complete: condition, Placeholder: `model["user_id"]`,
				Help: "Gives the id of the resource to change."},
		},
		LookupQuery: []input{
			{Name: "model_update_lookup_conditions", Label: "Query Conditions", Kind: inputEditor, Language: "twig", Rows: 3, Required: true, Complete: template, Placeholder: "email: {{ model.email }}",
				Help: "A line for each field: its name, a colon, and the value it must have."},
		},
		UpdateFields: []input{
			{Name: "model_update_fields", Label: "Field Updates", Kind: inputEditor, Language: "twig", Rows: 5, Required: true, Complete: template, Placeholder: "status_id: {{ model.status_id }}",
				Help: `A line for each field: its name, a colon, and the new value. "target" is the resource that is changed: points: {{ target.points + 1 }}. null empties a field.`},
		},
		Behaviour: []input{
			{Name: "typed_values", Label: "Keep the type of values", Kind: inputSwitch, Help: `A text that is only one placeholder gives the value itself: {{ model.id }} becomes 5 and not "5". Discord needs this for colours.`},
			{Name: "perscom_compatible", Label: "Behave exactly as PERSCOM", Kind: inputSwitch, Help: "For automations that come from there and rely on its oddities: values are HTML-escaped, and no recipients means everyone."},
		},
	}
}

// automationForm returns the inputs with what there is to choose from in the organization.
func (s *server) automationForm(v *visit, f *form) (*automationInputs, error) {
	page, err := s.store.Webhooks(v.Context(), v.actor.OrganizationID, store.WebhookFilter{}, store.PageRequest{Number: 1, Limit: maxOptions, CountTo: -1})
	if err != nil {
		return nil, err
	}
	hooks := page.Items
	if id, _ := strconv.ParseInt(f.Get("webhook_id"), 10, 64); id > 0 && !slices.ContainsFunc(hooks, func(w *bugle.Webhook) bool { return w.ID == id }) {
		w, err := s.store.Webhook(v.Context(), v.actor.OrganizationID, id)
		if err == nil {
			hooks = append(hooks, w)
		} else if !errors.Is(err, bugle.ErrNotFound) {
			return nil, err
		}
	}
	var webhooks []option
	for _, w := range hooks {
		label := w.Name
		if u, err := url.Parse(w.URL); err == nil && u.Host != "" {
			label += " · " + u.Host
		}
		webhooks = append(webhooks, option{Value: strconv.FormatInt(w.ID, 10), Label: label})
	}
	var channels []option
	for i := range bugle.Channels {
		c := &bugle.Channels[i]
		o := option{Value: c.Name, Label: c.Label, Help: c.About}
		if c.Outside() {
			lane, err := s.store.Lane(v.Context(), v.actor.OrganizationID, c)
			if err != nil {
				return nil, err
			}
			if c.Missing(lane.Settings) != nil {
				o.Help += " Not set up yet: see Settings, Channels."
			}
		}
		channels = append(channels, o)
	}
	in := newAutomationInputs(f.Get("trigger"), webhooks, channels)
	in.fill(f)
	return in, nil
}

// formOf returns the form of an automation's fields as the API has them.
func formOf(fields *value.Array) *form {
	values := url.Values{}
	for key, v := range fields.All() {
		name := key.String()
		array, _ := v.(*value.Array)
		switch {
		case v == nil:
		case v == true:
			values.Set(name, "1")
		case v == false:
			values.Set(name, "")
		case name == "webhook_payload_template":
			values.Set(name, templateText(v))
		case name == "message_channels":
			for _, item := range array.All() {
				text, _ := value.Text(item)
				values.Add(name, text)
			}
		case array != nil:
			values.Set(name, linesOf(array))
		default:
			text, _ := value.Text(v)
			values.Set(name, text)
		}
	}
	return newForm(values)
}

// automationFields are the fields of an automation as its form holds them.
func automationFields(a *bugle.Automation) *value.Array {
	var webhook any
	if a.WebhookID != 0 {
		webhook = a.WebhookID
	}
	channels := value.NewArray(len(a.MessageChannels))
	for _, name := range a.MessageChannels {
		channels.Append(name)
	}
	return value.Map("name", a.Name, "description", a.Description, "priority", int64(a.Priority), "enabled", a.Enabled, "trigger", a.Trigger, "condition", a.Condition,
		"action_type", string(a.ActionType), "webhook_id", webhook, "webhook_payload_format", string(a.PayloadFormat), "webhook_payload_template", a.PayloadTemplate,
		"message_channels", channels, "message_content", a.MessageContent, "message_recipients_expression", a.MessageRecipients, "message_rrule", a.MessageRRule,
		"model_update_target", a.UpdateTarget, "model_update_lookup_type", orElse(string(a.UpdateLookup), string(bugle.LookupExpression)),
		"model_update_lookup_expression", a.UpdateLookupExpression, "model_update_lookup_conditions", a.UpdateLookupConditions, "model_update_fields", a.UpdateFields,
		"typed_values", a.TypedValues, "perscom_compatible", a.PerscomCompatible)
}

func orElse(text, fallback string) string {
	if text == "" {
		return fallback
	}
	return text
}

// sentAutomation returns what the form holds as the API takes it: the fields of the action that was chosen,
// so that nothing is wrong that is not even shown. Lines that cannot be read are problems of the form.
func sentAutomation(f *form, in *automationInputs) *value.Array {
	inputs := in.of(bugle.ActionType(f.Get("action_type")), bugle.LookupType(f.Get("model_update_lookup_type")))
	fields := f.array(inputs)
	for _, i := range inputs {
		switch i.Name {
		case "webhook_id":
			fields.Set(i.Name, numberOrText(f.Get(i.Name)))
		case "priority", "webhook_payload_format", "action_type":
			if f.Get(i.Name) == "" {
				fields.Delete(i.Name) // it is as it was
			}
		case "model_update_lookup_conditions", "model_update_fields":
			read, err := readLines(f.Get(i.Name))
			if err != "" {
				f.add(i.Name, err)
			}
			fields.Set(i.Name, read)
		}
	}
	return fields
}

type automationFormPage struct {
	frame
	Form      *form
	In        *automationInputs
	Tabs      []automationTab
	Action    string // where the form is sent
	ID        int64  // of the automation; 0: it is new
	Cancel    string
	Templates []dispatch.Template // to choose one; empty: not offered
	Preview   *previewPart
	Chosen    struct{ Action, Lookup string } // whose fields are shown
}

// Current reports whether a tab is the one that is shown.
func (p *automationFormPage) Current(key string) bool {
	return slices.ContainsFunc(p.Tabs, func(t automationTab) bool { return t.Key == key && t.Current })
}

func (s *server) newAutomation(v *visit) error {
	query := v.URL.Query()
	f := newForm(url.Values{})
	if key := query.Get("template"); key != "" {
		all := dispatch.Templates()
		at := slices.IndexFunc(all, func(t dispatch.Template) bool { return t.Key == key })
		if at < 0 {
			return bugle.ErrNotFound
		}
		f = formOf(all[at].Values)
		f.values.Set("description", all[at].Description)
	} else if id, err := strconv.ParseInt(query.Get("copy"), 10, 64); err == nil && v.Can("view_automation") {
		a, err := s.store.Automation(v.Context(), v.actor.OrganizationID, id)
		if err != nil {
			return err
		}
		a.Name, a.Enabled = cut(255, "Copy of "+a.Name), false
		f = formOf(automationFields(a))
	}
	for _, name := range []string{"trigger", "webhook_id"} {
		if text := query.Get(strings.TrimSuffix(name, "_id")); text != "" {
			f.values.Set(name, text)
		}
	}
	return s.showAutomationForm(v, http.StatusOK, nil, f)
}

func (s *server) editAutomation(v *visit) error {
	id, err := v.id()
	if err != nil {
		return err
	}
	a, err := s.store.Automation(v.Context(), v.actor.OrganizationID, id)
	if err != nil {
		return err
	}
	return s.showAutomationForm(v, http.StatusOK, a, formOf(automationFields(a)))
}

// showAutomationForm answers with the form, of an automation if there is one yet.
func (s *server) showAutomationForm(v *visit, status int, a *bugle.Automation, f *form) error {
	p := &automationFormPage{frame: v.newFrame("New automation", "automations"), Form: f, Action: "/automations", Cancel: "/automations"}
	p.Back = &link{"/automations", "Automations"}
	path := "/automations/create"
	if a != nil {
		p.ID = a.ID
		p.Title, p.Cancel = "Edit "+a.Name, "/automations/"+strconv.FormatInt(a.ID, 10)
		p.Action = p.Cancel + "/edit"
		p.Back = &link{p.Cancel, a.Name}
		path = p.Action
	} else {
		p.Templates = dispatch.Templates()
	}
	var err error
	if p.In, err = s.automationForm(v, f); err != nil {
		return err
	}
	p.Tabs = automationTabs(v, path)
	p.countProblems()
	p.Chosen.Action = orElse(f.Get("action_type"), string(bugle.SendWebhook))
	p.Chosen.Lookup = orElse(f.Get("model_update_lookup_type"), string(bugle.LookupExpression))
	if p.Preview, err = s.previewOf(v, f, p.In); err != nil {
		return err
	}
	return v.render(status, "automation_form.html", p)
}

// countProblems says on the tabs how much is wrong there, and shows the first where something is.
func (p *automationFormPage) countProblems() {
	if !p.Form.Failed() {
		return
	}
	in := p.In
	lists := [][]input{in.About, in.Trigger, in.Condition, slices.Concat(in.Action, in.Webhook, in.Message, in.Update, in.LookupExpression, in.LookupQuery, in.UpdateFields, in.Behaviour)}
	first := -1
	for i, list := range lists {
		for _, field := range list {
			p.Tabs[i].Problems += len(p.Form.Problems[field.Name])
		}
		if first < 0 && p.Tabs[i].Problems > 0 {
			first = i
		}
	}
	if first >= 0 {
		for i := range p.Tabs {
			p.Tabs[i].Current = i == first
		}
	}
}

func (s *server) createAutomation(v *visit) error { return s.saveAutomation(v, 0) }

func (s *server) updateAutomation(v *visit) error {
	id, err := v.id()
	if err != nil {
		return err
	}
	return s.saveAutomation(v, id)
}

// saveAutomation writes what the form holds, as a new automation if the id is 0.
func (s *server) saveAutomation(v *visit, id int64) error {
	f, err := v.form()
	if err != nil {
		return err
	}
	in, err := s.automationForm(v, f)
	if err != nil {
		return err
	}
	fields := sentAutomation(f, in)
	fresh := bugle.NewAutomation()
	saved := &fresh
	err = s.store.Update(v.Context(), func(tx *store.Tx) (err error) {
		if id == 0 {
			fresh = bugle.NewAutomation()
			fresh.OrganizationID = v.actor.OrganizationID
		} else if saved, err = tx.Automation(v.actor.OrganizationID, id); err != nil {
			return err
		}
		if err := dispatch.SetAutomation(tx, saved, fields, id == 0); err != nil {
			return err
		}
		if f.Failed() {
			return errEnough // a line of fields cannot be read
		}
		if id == 0 {
			return tx.AddAutomation(saved)
		}
		return tx.SaveAutomation(saved)
	})
	if errors.Is(err, errEnough) || f.take(err) {
		f.friendly()
		var old *bugle.Automation
		if id != 0 {
			if old, err = s.store.Automation(v.Context(), v.actor.OrganizationID, id); err != nil {
				return err
			}
		}
		return s.showAutomationForm(v, http.StatusUnprocessableEntity, old, f)
	}
	if err != nil {
		return err
	}
	v.flash("success", "The automation "+saved.Name+" is saved.")
	return v.redirect("/automations/" + strconv.FormatInt(saved.ID, 10))
}

// friendly says in the problems of an automation what its fields are called in the panel.
func (f *form) friendly() {
	for _, reasons := range f.Problems {
		for i, reason := range reasons {
			for name, label := range fieldLabels {
				reason = strings.Replace(reason, "The "+name+" field", "The "+label+" field", 1)
			}
			for _, name := range []string{"action_type", "webhook_payload_format", "model_update_lookup_type"} {
				if at := strings.Index(reason, " when "+name+" is "); at >= 0 {
					reason = reason[:at] + "."
				}
			}
			reasons[i] = reason
		}
	}
}

// templateText is the template of a payload as its editor shows it.
func templateText(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	}
	return prettyJSON(v)
}

// prettyJSON is a value as JSON over several lines, with texts as they read.
func prettyJSON(v any) string {
	var b strings.Builder
	writePretty(&b, v, "\n")
	return b.String()
}

func writePretty(b *strings.Builder, v any, newLine string) {
	array, ok := v.(*value.Array)
	switch {
	case ok && array.Len() == 0:
		b.WriteString("[]")
	case ok:
		signs, first := "{}", true
		if array.IsList() {
			signs = "[]"
		}
		b.WriteByte(signs[0])
		for key, item := range array.All() {
			if !first {
				b.WriteByte(',')
			}
			first = false
			b.WriteString(newLine + "  ")
			if signs == "{}" {
				b.WriteString(quoteJSON(key.String()) + ": ")
			}
			writePretty(b, item, newLine+"  ")
		}
		b.WriteString(newLine + signs[1:])
	default:
		b.WriteString(scalarJSON(v))
	}
}

// scalarJSON is the JSON of what is no array.
func scalarJSON(v any) string {
	switch v := v.(type) {
	case string:
		return quoteJSON(v)
	case value.Date:
		return quoteJSON(bugle.FormatTime(v.Time))
	}
	text, err := value.JSON(v)
	if err != nil { // infinite numbers have no JSON
		return value.Describe(v)
	}
	return string(text)
}

func quoteJSON(text string) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(text); err != nil { // texts always have JSON
		panic("admin: text: " + err.Error())
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// linesOf writes fields and their values a line each: "rank_id: {{ model.rank_id }}". What is no text is
// written as JSON, and so are texts that would be read as such.
func linesOf(fields *value.Array) string {
	var b strings.Builder
	for key, v := range fields.All() {
		text, isText := v.(string)
		if array, ok := v.(*value.Array); ok {
			encoded, err := value.JSON(array)
			if err != nil {
				continue // what is stored can be encoded
			}
			text = string(encoded)
		} else if !isText {
			text = scalarJSON(v)
		} else if again := readValue(text); again != v || strings.ContainsAny(text, "\r\n") || strings.TrimSpace(text) != text || text == "" {
			text = quoteJSON(text)
		}
		b.WriteString(key.String() + ": " + text + "\n")
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// readLines reads what linesOf writes. A problem is a sentence, empty if there is none.
func readLines(text string) (fields *value.Array, problem string) {
	fields = value.NewArray(4)
	for i, line := range strings.Split(strings.ReplaceAll(text, "\r\n", "\n"), "\n") {
		if strings.TrimSpace(line) == "" {
			continue
		}
		name, v, found := strings.Cut(line, ":")
		name = strings.TrimSpace(name)
		switch {
		case !found || name == "":
			problem = "Line " + strconv.Itoa(i+1) + " must be a field, a colon and a value, such as rank_id: {{ model.rank_id }}."
		case fields.Has(name):
			problem = "Line " + strconv.Itoa(i+1) + " names " + name + " a second time."
		default:
			fields.Set(name, readValue(v))
		}
	}
	return fields, problem
}

// readValue reads a value: JSON if it is, else a text.
func readValue(text string) any {
	text = strings.TrimSpace(text)
	if text == "" {
		return ""
	}
	if strings.HasPrefix(text, "{{") || strings.HasPrefix(text, "{%") || strings.HasPrefix(text, "{#") {
		return text
	}
	if decoded, err := value.Decode([]byte(text)); err == nil {
		return decoded
	}
	return text
}

// lineOfField is where the value of a field stands in what linesOf writes: the line, and how many
// characters are before it.
func lineOfField(text, field string) (line, before int) {
	for i, l := range strings.Split(strings.ReplaceAll(text, "\r\n", "\n"), "\n") {
		name, v, found := strings.Cut(l, ":")
		if found && strings.TrimSpace(name) == field {
			return i + 1, utf8.RuneCountInString(l) - utf8.RuneCountInString(strings.TrimLeft(v, " "))
		}
	}
	return 0, 0
}

// jsonPlace is where a character of a text within JSON stands in the JSON: the text at the path, and the
// line and column in that text. It is 0 if there is no such text.
func jsonPlace(source, path string, line, column int) (int, int) {
	at := jsonText(source, strings.Split(path, "."))
	if at < 0 {
		return 0, 0
	}
	at++ // the quotation mark
	for l, c := 1, 1; at < len(source) && source[at] != '"' && (l < line || l == line && c < column); c++ {
		if source[at] != '\\' {
			_, size := utf8.DecodeRuneInString(source[at:])
			at += size
			continue
		}
		if at+1 < len(source) && source[at+1] == 'n' {
			l, c = l+1, 0
		}
		if at+1 < len(source) && source[at+1] == 'u' {
			at += 4
		}
		at += 2
	}
	at = min(at, len(source))
	before := source[:at]
	start := strings.LastIndexByte(before, '\n') + 1
	return strings.Count(before, "\n") + 1, utf8.RuneCountInString(before[start:]) + 1
}

// jsonText is where the text at a path begins in JSON, in bytes; below 0 if there is none.
func jsonText(source string, path []string) int {
	d := json.NewDecoder(strings.NewReader(source))
	var find func(path []string) (int, bool)
	// skip reads a value of which nothing is wanted.
	skip := func() bool { var v json.RawMessage; return d.Decode(&v) == nil }
	find = func(path []string) (int, bool) {
		if len(path) == 0 {
			var v json.RawMessage
			if d.Decode(&v) != nil {
				return 0, false
			}
			return int(d.InputOffset()) - len(v), true
		}
		token, err := d.Token()
		if err != nil {
			return 0, false
		}
		switch token {
		case json.Delim('{'):
			for d.More() {
				key, err := d.Token()
				if err != nil {
					return 0, false
				}
				if key == path[0] {
					return find(path[1:])
				}
				if !skip() {
					return 0, false
				}
			}
		case json.Delim('['):
			for i := 0; d.More(); i++ {
				if strconv.Itoa(i) == path[0] {
					return find(path[1:])
				}
				if !skip() {
					return 0, false
				}
			}
		}
		return 0, false
	}
	at, ok := find(path)
	if !ok || at >= len(source) || source[at] != '"' {
		return -1
	}
	return at
}

// automationText is the text of an automation's field that an error is in; the path leads into the field.
func automationText(a *bugle.Automation, field, path string) string {
	fields := automationFields(a)
	v, _ := fields.Get(field)
	for _, key := range strings.Split(path, ".") {
		array, ok := v.(*value.Array)
		if !ok {
			break
		}
		k, _ := value.AsKey(key)
		v, _ = array.At(k)
	}
	text, _ := v.(string)
	return text
}
