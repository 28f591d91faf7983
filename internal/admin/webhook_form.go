package admin

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/internal/dispatch"
	"github.com/buglehq/bugle/internal/store"
	"github.com/buglehq/bugle/personnel"
	"github.com/buglehq/bugle/value"
)

type webhookFormPage struct {
	frame
	Form     *form
	Webhook  *bugle.Webhook // nil: it is a new one
	Action   string
	Basics   []input // name, URL, method, secret
	Telegram []input // of its preset only
	Delivery []input
	Open     bool     // something in Delivery is wrong
	Personal []input  // what it must not get to see
	Private  bool     // there is something, or something in Personal is wrong
	Others   []string // what is wrong beside the inputs
	Events   []eventGroup
	Presets  []webhookPreset
	Preset   *webhookPreset // nil: none was chosen
	Choices  []templateChoice
}

// Cancel is where the form leads if it is left.
func (p *webhookFormPage) Cancel() string {
	if p.Webhook != nil {
		return fmt.Sprintf("/webhooks/%d", p.Webhook.ID)
	}
	return "/webhooks"
}

// An eventGroup is a part of the events that a webhook can subscribe to.
type eventGroup struct {
	Key, Label string
	Rows       []eventRow
}

// An eventRow are the events of a kind.
type eventRow struct {
	Label  string // "Award Record"
	Events []eventChoice
}

type eventChoice struct {
	Name, Verb string
	Selected   bool
}

// eventGroupOf are the groups in their order, with the kinds in each. What is nowhere here comes last.
var eventGroupOf = []struct {
	key, label string
	kinds      []string
}{
	{"users", "Users", []string{"user"}},
	{"records", "Records", []string{"assignmentrecord", "awardrecord", "combatrecord", "qualificationrecord", "rankrecord", "servicerecord"}},
	{"calendars", "Calendars & Events", []string{"calendar", "event"}},
	{"messages", "Messages", []string{"message"}},
	{"submissions", "Submissions", []string{"submission"}},
	{"other", "Other", nil},
}

// eventGroups are all events that a webhook can subscribe to.
func eventGroups(selected ...string) []eventGroup {
	groups := make([]eventGroup, len(eventGroupOf))
	for i, g := range eventGroupOf {
		groups[i] = eventGroup{Key: g.key, Label: g.label}
	}
	for _, name := range subscribable {
		stem, verb, _ := strings.Cut(name, ".")
		at := slices.IndexFunc(eventGroupOf, func(g struct {
			key, label string
			kinds      []string
		}) bool {
			return slices.Contains(g.kinds, stem)
		})
		if at < 0 {
			at = len(groups) - 1
		}
		label := "Test"
		if k := personnel.ByName(stem); k != nil {
			label = k.Class
		}
		if verb == "test" {
			verb = "sent"
		}
		g := &groups[at]
		if n := len(g.Rows); n == 0 || g.Rows[n-1].Label != label {
			g.Rows = append(g.Rows, eventRow{Label: label})
		}
		row := &g.Rows[len(g.Rows)-1]
		row.Events = append(row.Events, eventChoice{name, verb, slices.Contains(selected, name)})
		slices.SortStableFunc(row.Events, func(a, b eventChoice) int {
			return slices.Index(personnel.Verbs, a.Verb) - slices.Index(personnel.Verbs, b.Verb)
		})
	}
	return slices.DeleteFunc(groups, func(g eventGroup) bool { return len(g.Rows) == 0 })
}

// webhookBasics are the first steps of PERSCOM's documentation, in their order.
func webhookBasics(p *webhookPreset) []input {
	address := input{Name: "url", Label: "URL", Kind: inputURL, Required: true, Max: 2048, Placeholder: "https://example.com/hooks/bugle",
		Help: "Where to send the data. It has to be reachable from this server."}
	if p != nil && p.Placeholder != "" {
		address.Placeholder, address.Help = p.Placeholder, "The address from the steps above. Whoever has it can post there: keep it to yourself."
	}
	if p != nil && p.Key == "telegram" {
		address.Required = false
		address.Help = "Leave it empty: it is made of the bot token. Or paste the whole address of sendMessage."
	}
	return []input{
		{Name: "name", Label: "Name", Kind: inputText, Required: true, Max: 255, Help: "So that you recognize it in lists and logs."},
		address,
		{Name: "method", Label: "Method", Kind: inputSelect, Required: true, Options: []option{{Value: "post", Label: "POST"}, {Value: "get", Label: "GET"}},
			Help: "POST sends the data in the body, which is what nearly every service wants. GET puts it into the address, where it may end up in the logs of servers on the way."},
		{Name: "secret", Label: "Secret", Kind: inputPassword, Required: true, Max: 255, Reveal: true, Generate: true, AutoFill: "off",
			Help: "Requests are signed with it, so that the receiver can tell that they come from you. Give it to the receiver, and to nobody else."},
	}
}

// telegramInputs are what Telegram's URL and messages are made of.
func telegramInputs() []input {
	return []input{
		{Name: "telegram_token", Label: "Bot token", Kind: inputText, AutoFill: "off", Max: 255, Placeholder: "123456789:AA…", Help: "What @BotFather gave you for your bot. It becomes a part of the URL."},
		{Name: "telegram_chat", Label: "Chat", Kind: inputText, Max: 64, Placeholder: "@our_channel or -1001234567890", Help: "Where the bot writes: the @name of a public channel, or the chat's number."},
	}
}

// webhookDelivery are the inputs that few people need.
func webhookDelivery() []input {
	statuses := []option{
		{Value: string(bugle.Active), Label: "Active"},
		{Value: string(bugle.Paused), Label: "Paused: what happens is kept and waits"},
		{Value: string(bugle.Disabled), Label: "Disabled: nothing is sent"},
	}
	return []input{
		{Name: "description", Label: "Description", Kind: inputArea, Rows: 3, Max: 65535, Help: "What it is for. HTML is allowed."},
		{Name: "status", Label: "Status", Kind: inputSelect, Options: statuses},
		{Name: "timeout_seconds", Label: "Timeout, in seconds", Kind: inputNumber, Help: "How long to wait for the receiver's answer: 1 to 30."},
		{Name: "max_attempts", Label: "Attempts", Kind: inputNumber, Help: "How often to try before giving up: 1 to 100."},
		{Name: "retry_schedule", Label: "Wait between attempts", Kind: inputText, Max: 2000, Placeholder: "5s, 30s, 2m, 10m, 1h",
			Help: "The time after each failed attempt: seconds, or with s, m, h or d for seconds, minutes, hours, days. The last one repeats."},
		{Name: "max_concurrency", Label: "Requests at the same time", Kind: inputNumber, Help: "1 to 100. Fewer are gentler to a small receiver."},
		{Name: "rate_per_second", Label: "Requests per second", Kind: inputNumber, Step: "any", Help: "At most so many; empty for no limit. 0.5 is one every two seconds."},
		{Name: "ordered", Label: "Strictly in order", Kind: inputSwitch, Help: "One after the other, as things happened. One that fails holds up those behind it until it succeeds or is given up."},
		{Name: "headers", Label: "Headers of your own", Kind: inputArea, Rows: 3, Placeholder: "Authorization: Bearer …", Help: "Sent with every request, a line each: “Name: value”."},
	}
}

// webhookPersonal are the inputs of the field policy: a preset each, and a line for each attribute.
func webhookPersonal() []input {
	inputs := make([]input, 0, len(bugle.FieldPresets)+1)
	for _, p := range bugle.FieldPresets {
		help := p.About
		if len(p.Attributes) > 0 {
			help += " " + strings.Join(p.Attributes, ", ") + "."
		}
		inputs = append(inputs, input{Name: presetPrefix + p.Name, Label: p.Label, Kind: inputSelect, Blank: "Send as it is", Help: help,
			Options: []option{{Value: string(bugle.DropField), Label: "Leave out"}, {Value: string(bugle.HashField), Label: "Replace by a hash"}}})
	}
	return append(inputs, input{Name: "field_policy", Label: "Other attributes", Kind: inputArea, Rows: 3, Placeholder: "user.last_seen_at: drop\nservice_number: hash",
		Help: "A line each: “name: drop” or “name: hash”. A name counts at any depth; one with dots, such as user.email, where the path ends so."})
}

// presetPrefix begins the names of inputs that are presets of a field policy.
const presetPrefix = "policy_"

// policyValues adds what the inputs of a field policy begin with.
func policyValues(values url.Values, rules []bugle.FieldRule) {
	var lines []string
	for _, r := range rules {
		if r.Preset != "" {
			values.Set(presetPrefix+r.Preset, string(r.Action))
		} else {
			lines = append(lines, r.Attribute+": "+string(r.Action))
		}
	}
	values.Set("field_policy", strings.Join(lines, "\n"))
}

// parsePolicy reads what the inputs of a field policy hold.
func parsePolicy(f *form) (rules *value.Array, reason string) {
	rules = value.NewArray(0)
	for _, p := range bugle.FieldPresets {
		if action := f.Get(presetPrefix + p.Name); action != "" {
			rules.Append(value.Map("preset", p.Name, "action", action))
		}
	}
	for i, line := range strings.Split(strings.ReplaceAll(f.Get("field_policy"), "\r\n", "\n"), "\n") {
		if strings.TrimSpace(line) == "" {
			continue
		}
		colon := strings.LastIndexByte(line, ':')
		if colon < 0 {
			return nil, fmt.Sprintf("Line %d has no “name: drop” or “name: hash”.", i+1)
		}
		rules.Append(value.Map("attribute", strings.TrimSpace(line[:colon]), "action", strings.ToLower(strings.TrimSpace(line[colon+1:]))))
	}
	return rules, ""
}

// webhookValues are what the form of a webhook begins with.
func webhookValues(w *bugle.Webhook) url.Values {
	headers := make([]string, len(w.Headers))
	for i, h := range w.Headers {
		headers[i] = h.Name + ": " + h.Value
	}
	values := url.Values{
		"name": {w.Name}, "url": {w.URL}, "method": {w.Method}, "secret": {w.Secret}, "events": w.Events, "description": {w.Description},
		"status": {string(w.Status)}, "timeout_seconds": {strconv.Itoa(w.TimeoutSeconds)}, "max_attempts": {strconv.Itoa(w.MaxAttempts)},
		"retry_schedule": {scheduleText(w.RetrySchedule)}, "max_concurrency": {strconv.Itoa(w.MaxConcurrency)}, "headers": {strings.Join(headers, "\n")},
	}
	policyValues(values, w.FieldPolicy)
	if w.RatePerSecond > 0 {
		values.Set("rate_per_second", strconv.FormatFloat(w.RatePerSecond, 'f', -1, 64))
	}
	if w.Ordered {
		values.Set("ordered", "1")
	}
	return values
}

// webhookFields are what the form holds, as bugle.Webhook takes it. What cannot be read is added to the
// form's problems.
func webhookFields(f *form) *value.Array {
	fields := value.NewArray(14)
	for _, name := range []string{"name", "url", "method", "secret", "description", "status"} {
		if f.Has(name) {
			text := strings.ReplaceAll(f.Get(name), "\r\n", "\n")
			if name == "name" || name == "url" {
				text = strings.TrimSpace(text)
			}
			fields.Set(name, text)
		}
	}
	if f.Get("description") == "" {
		fields.Set("description", nil)
	}
	for _, name := range []string{"timeout_seconds", "max_attempts", "max_concurrency", "rate_per_second"} {
		if f.Has(name) {
			fields.Set(name, numberOrText(f.Get(name)))
		}
	}
	events := value.NewArray(len(f.All("events")))
	for _, name := range f.All("events") {
		events.Append(name)
	}
	fields.Set("events", events)
	fields.Set("ordered", f.Get("ordered") == "1")
	if f.Has("retry_schedule") {
		if schedule, reason := parseSchedule(f.Get("retry_schedule")); reason != "" {
			f.add("retry_schedule", reason)
		} else {
			fields.Set("retry_schedule", schedule)
		}
	}
	if f.Has("field_policy") {
		if rules, reason := parsePolicy(f); reason != "" {
			f.add("field_policy", reason)
		} else {
			fields.Set("field_policy", rules)
		}
	}
	if f.Has("headers") {
		if headers, reason := parseHeaders(f.Get("headers")); reason != "" {
			f.add("headers", reason)
		} else {
			fields.Set("headers", headers)
		}
	}
	return fields
}

// scheduleUnits are those that times are written in, the longest first.
var scheduleUnits = []struct {
	seconds int
	sign    string
}{{86400, "d"}, {3600, "h"}, {60, "m"}, {1, "s"}}

// scheduleText writes the times of a schedule: 5s, 30s, 2m, 10m, 1h.
func scheduleText(schedule []int) string {
	texts := make([]string, len(schedule))
	for i, seconds := range schedule {
		for _, unit := range scheduleUnits {
			if seconds%unit.seconds == 0 {
				texts[i] = strconv.Itoa(seconds/unit.seconds) + unit.sign
				break
			}
		}
	}
	return strings.Join(texts, ", ")
}

var scheduleTime = regexp.MustCompile(`^(\d{1,7})\s*(s|m|h|d|sec|min|seconds?|minutes?|hours?|days?)?(?:[\s,;]+|$)`)

// parseSchedule reads what scheduleText writes, and what people write instead.
func parseSchedule(text string) (schedule *value.Array, reason string) {
	schedule = value.NewArray(0)
	for rest := strings.Trim(strings.ToLower(text), " \t\r\n,;"); rest != ""; {
		m := scheduleTime.FindStringSubmatch(rest)
		if m == nil {
			word, _, _ := strings.Cut(rest, ",")
			return nil, fmt.Sprintf("“%s” is no time. Write seconds, or for example 2m, 1h or 1d.", cut(40, word))
		}
		n, _ := strconv.Atoi(m[1])
		if n == 0 {
			return nil, "Each time must be at least a second."
		}
		for _, unit := range scheduleUnits {
			if strings.HasPrefix(m[2], unit.sign) {
				n *= unit.seconds
				break
			}
		}
		if n > 7*86400 {
			return nil, fmt.Sprintf("“%s” is too long: a week at most.", strings.Trim(m[0], " ,;\t\r\n"))
		}
		schedule.Append(n)
		rest = rest[len(m[0]):]
	}
	if schedule.Len() == 0 {
		return nil, "Write at least one time, such as 30s."
	}
	return schedule, ""
}

// parseHeaders reads lines of “Name: value”.
func parseHeaders(text string) (headers *value.Array, reason string) {
	headers = value.NewArray(0)
	for i, line := range strings.Split(strings.ReplaceAll(text, "\r\n", "\n"), "\n") {
		if strings.TrimSpace(line) == "" {
			continue
		}
		name, content, found := strings.Cut(line, ":")
		name = strings.TrimSpace(name)
		switch {
		case !found || name == "":
			return nil, fmt.Sprintf("Line %d has no “Name: value”.", i+1)
		case headers.Has(name):
			return nil, fmt.Sprintf("Line %d has %s again.", i+1, name)
		}
		headers.Set(name, strings.TrimSpace(content))
	}
	if headers.Len() == 0 {
		return nil, ""
	}
	return headers, ""
}

func (s *server) newWebhook(v *visit) error {
	w := bugle.NewWebhook()
	preset := presetByKey(v.URL.Query().Get("preset"))
	values := webhookValues(&w)
	if preset != nil {
		values.Set("name", preset.WebhookName)
		for i, c := range preset.choices() {
			if i == 0 {
				values.Set("templates", c.Key)
			}
		}
	}
	return s.renderWebhookForm(v, http.StatusOK, newForm(values), nil, preset)
}

func (s *server) renderWebhookForm(v *visit, status int, f *form, w *bugle.Webhook, preset *webhookPreset) error {
	p := &webhookFormPage{Form: f, Webhook: w, Preset: preset, Basics: f.fill(webhookBasics(preset)), Delivery: f.fill(webhookDelivery()),
		Personal: f.fill(webhookPersonal()), Events: eventGroups(f.All("events")...)}
	for _, in := range p.Delivery {
		p.Open = p.Open || len(in.Errors) > 0
	}
	for _, in := range p.Personal {
		p.Private = p.Private || len(in.Errors) > 0 || in.Value != ""
	}
	if w == nil {
		p.frame, p.Action = v.newFrame("New webhook", "webhooks"), "/webhooks"
		p.Back = &link{"/webhooks", "Webhooks"}
		p.Presets = webhookPresets
		if preset != nil {
			p.Action += "?preset=" + preset.Key
			if preset.Key == "telegram" {
				p.Telegram = f.fill(telegramInputs())
			}
			if v.Can("create_automation") {
				p.Choices = preset.choices()
				for i := range p.Choices {
					p.Choices[i].Selected = slices.Contains(f.All("templates"), p.Choices[i].Key)
				}
			}
		}
	} else {
		p.frame, p.Action = v.newFrame("Edit "+w.Name, "webhooks"), fmt.Sprintf("/webhooks/%d/edit", w.ID)
		p.Back = &link{fmt.Sprintf("/webhooks/%d", w.ID), w.Name}
		for _, inputs := range [][]input{p.Basics, p.Delivery} {
			for i := range inputs {
				if name := inputs[i].Name; name == "secret" || name == "headers" && len(w.Headers) > 0 {
					inputs[i].Help += " " + bugle.Mask("") + " stands for what it is now, and stays if you leave it."
				}
			}
		}
	}
	p.Others = f.Elsewhere(p.Basics, p.Telegram, p.Delivery, p.Personal, []input{{Name: "events"}})
	p.Narrow = true
	return v.render(status, "webhook_form.html", p)
}

// createWebhook makes a webhook and, of a preset, the automations that go with it: all or nothing.
func (s *server) createWebhook(v *visit) error {
	f, err := v.form()
	if err != nil {
		return err
	}
	preset := presetByKey(v.URL.Query().Get("preset"))
	if preset != nil && preset.Key == "telegram" {
		completeTelegram(f)
	}
	fields := webhookFields(f)
	w := bugle.NewWebhook()
	w.OrganizationID = v.actor.OrganizationID
	err = w.Set(fields, true, subscribable)
	if err == nil {
		err = s.o.Guard.CheckTargets(&w)
	}
	if err != nil && !f.take(err) {
		return err
	}
	var chosen []dispatch.Template
	if preset != nil && v.Can("create_automation") {
		chosen = preset.chosen(f.All("templates"))
	}
	if f.Failed() {
		return s.renderWebhookForm(v, http.StatusUnprocessableEntity, f, nil, preset)
	}
	err = s.store.Update(v.Context(), func(tx *store.Tx) error {
		if err := tx.AddWebhook(&w); err != nil {
			return err
		}
		for _, t := range chosen {
			a := bugle.NewAutomation()
			a.OrganizationID = v.actor.OrganizationID
			if err := dispatch.SetAutomation(tx, &a, templateFields(t, &w, f.Get("telegram_chat")), true); err != nil {
				return fmt.Errorf("automation of template %s: %w", t.Key, err)
			}
			if err := tx.AddAutomation(&a); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	kind, text := "success", "The webhook "+w.Name+" is there."
	if len(chosen) > 0 {
		text += " " + plural(len(chosen), "automation writes to it.", "automations write to it.")
	}
	if hint := preset.hint(w.URL); hint != "" {
		kind, text = "warning", text+" "+hint
	}
	v.flash(kind, text)
	return v.redirect(fmt.Sprintf("/webhooks/%d", w.ID))
}

func (s *server) editWebhook(v *visit) error {
	w, err := v.webhook()
	if err != nil {
		return err
	}
	shown := *w // what comes back as its mask stays as it is
	shown.Secret, shown.Headers = bugle.Mask(w.Secret), slices.Clone(w.Headers)
	for i, h := range shown.Headers {
		shown.Headers[i] = bugle.MaskHeader(h)
	}
	return s.renderWebhookForm(v, http.StatusOK, newForm(webhookValues(&shown)), w, nil)
}

func (s *server) saveWebhook(v *visit) error {
	w, err := v.webhook()
	if err != nil {
		return err
	}
	f, err := v.form()
	if err != nil {
		return err
	}
	fields := webhookFields(f)
	trial := *w // what is wrong beside what could not even be read
	err = trial.Set(fields, false, subscribable)
	if err == nil && trial.URL != w.URL {
		err = s.o.Guard.CheckTargets(&trial)
	}
	if err != nil && !f.take(err) {
		return err
	}
	if f.Failed() {
		return s.renderWebhookForm(v, http.StatusUnprocessableEntity, f, w, nil)
	}
	err = s.store.Update(v.Context(), func(tx *store.Tx) error {
		saved, err := tx.Webhook(v.actor.OrganizationID, w.ID)
		if err != nil {
			return err
		}
		if err := saved.Set(fields, false, subscribable); err != nil {
			return err
		}
		return tx.SaveWebhook(saved)
	})
	if err != nil {
		return err
	}
	v.flash("success", "The webhook is saved.")
	return v.redirect(fmt.Sprintf("/webhooks/%d", w.ID))
}
