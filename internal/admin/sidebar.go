package admin

import (
	"strings"

	"github.com/buglehq/bugle/personnel"
)

// A menuGroup is a part of the sidebar.
type menuGroup struct {
	Label   string
	Entries []menuEntry
	Open    bool // the page is one of these
}

// A menuEntry leads to a list or page; Below are those within it.
type menuEntry struct {
	Section    string // that of pages which mark the entry
	Label      string
	URL        string
	Icon       string
	permission string // empty: whoever has signed in
	Below      []menuEntry
	Current    bool
}

// permissionName is how permissions name a kind: "rank_record".
func permissionName(k *personnel.Kind) string {
	return strings.ReplaceAll(strings.ToLower(k.Class), " ", "_")
}

// kindEntry is the entry of a kind's list.
func kindEntry(name, icon string) menuEntry {
	k := personnel.ByName(name)
	return menuEntry{Section: k.Path, Label: kindTitle(k), URL: "/" + k.Path, Icon: icon, permission: "view_any_" + permissionName(k)}
}

// kindTitle is what a list of the kind is called: "Rank Records".
func kindTitle(k *personnel.Kind) string {
	switch k.Name {
	case "newsfeed":
		return "Newsfeed"
	case "field":
		return "Custom Fields"
	}
	words := strings.Fields(strings.ReplaceAll(k.Path, "-", " "))
	for i, word := range words {
		words[i] = title(word)
	}
	return strings.Join(words, " ")
}

// sidebar is the whole menu.
var sidebar = []menuGroup{
	{Entries: []menuEntry{{Section: "dashboard", Label: "Dashboard", URL: "/", Icon: "home"}}},
	{Label: "Personnel", Entries: []menuEntry{
		kindEntry("user", "users"),
		{Section: "roster", Label: "Roster", URL: "/roster", Icon: "hierarchy", permission: "view_any_user"},
		kindEntry("submission", "clipboard-check"), kindEntry("message", "message"), kindEntry("announcement", "speakerphone"),
		kindEntry("calendar", "calendar"), kindEntry("event", "calendar-event"), kindEntry("task", "checklist"),
	}},
	{Label: "Records", Entries: []menuEntry{
		kindEntry("assignmentrecord", "briefcase"), kindEntry("awardrecord", "medal"), kindEntry("combatrecord", "swords"),
		kindEntry("qualificationrecord", "certificate"), kindEntry("rankrecord", "chevrons-up"), kindEntry("servicerecord", "file-text"),
		kindEntry("trainingrecord", "school"),
	}},
	{Label: "Organization", Entries: []menuEntry{
		kindEntry("rank", "chevrons-up"), kindEntry("award", "award"), kindEntry("qualification", "certificate"), kindEntry("position", "id-badge"),
		kindEntry("specialty", "target"), kindEntry("unit", "sitemap"), kindEntry("group", "hierarchy"), kindEntry("slot", "list"),
		kindEntry("status", "activity"), kindEntry("competency", "star"), kindEntry("credential", "id-badge"), kindEntry("issuer", "building"),
		kindEntry("category", "category"), kindEntry("tag", "tag"), kindEntry("document", "file-text"), kindEntry("form", "forms"), kindEntry("field", "list-check"),
	}},
	{Label: "Integrations", Entries: []menuEntry{
		{Section: "webhooks", Label: "Webhooks", URL: "/webhooks", Icon: "world", permission: "view_any_webhook", Below: []menuEntry{
			{Section: "webhook-logs", Label: "Logs", URL: "/webhook-logs", permission: "view_any_webhook_log"}}},
		{Section: "automations", Label: "Automations", URL: "/automations", Icon: "bolt", permission: "view_any_automation", Below: []menuEntry{
			{Section: "automation-logs", Label: "Logs", URL: "/automation-logs", permission: "view_any_automation_log"}}},
		{Section: "event-log", Label: "Event Log", URL: "/event-log", Icon: "history", permission: "view_any_event_log"},
		{Section: "api-keys", Label: "API Keys", URL: "/api-keys", Icon: "key", permission: "view_any_api_key"},
	}},
	{Label: "Settings", Entries: []menuEntry{
		{Section: "settings", Label: "Organization", URL: "/settings", Icon: "building", permission: "update_organization"},
		{Section: "accounts", Label: "Accounts", URL: "/accounts", Icon: "user", permission: "view_any_account"},
		{Section: "roles", Label: "Roles", URL: "/roles", Icon: "shield", permission: "view_any_role"},
		{Section: "channels", Label: "Channels", URL: "/channels", Icon: "mail", permission: "view_any_channel"},
		{Section: "targets", Label: "Targets", URL: "/targets", Icon: "network", permission: "view_any_webhook"},
		{Section: "audit-log", Label: "Audit Log", URL: "/audit-log", Icon: "history", permission: "view_any_audit_log"},
	}},
}

// Sidebar is what of the menu the visitor may see.
func (f *frame) Sidebar() []menuGroup {
	var groups []menuGroup
	for _, g := range sidebar {
		shown := menuGroup{Label: g.Label}
		shown.Entries, shown.Open = f.entries(g.Entries)
		if len(shown.Entries) > 0 {
			groups = append(groups, shown)
		}
	}
	return groups
}

func (f *frame) entries(all []menuEntry) (shown []menuEntry, current bool) {
	for _, e := range all {
		if e.permission != "" && !f.Can(e.permission) {
			continue
		}
		var below bool
		e.Below, below = f.entries(e.Below)
		e.Current = e.Section == f.Section
		current = current || e.Current || below
		shown = append(shown, e)
	}
	return shown, current
}
