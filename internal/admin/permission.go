package admin

import (
	"slices"

	"github.com/buglehq/bugle/personnel"
)

// A permissionGroup is what can be allowed about one kind of thing.
type permissionGroup struct {
	Label string // "Rank Records"
	Verbs []permissionVerb
}

type permissionVerb struct {
	Name  string // "create_rank_record"
	Label string // "Create"
}

// verbs in the order in which PERSCOM names them.
var verbs = []struct{ prefix, label string }{
	{"view_any_", "List"}, {"view_", "View"}, {"create_", "Create"}, {"update_", "Edit"}, {"delete_", "Delete"},
}

// permissionGroups are all permissions that a role can have.
func permissionGroups() []permissionGroup {
	group := func(label, name string, prefixes ...string) permissionGroup {
		g := permissionGroup{Label: label}
		for _, v := range verbs {
			if len(prefixes) == 0 || slices.Contains(prefixes, v.prefix) {
				g.Verbs = append(g.Verbs, permissionVerb{v.prefix + name, v.label})
			}
		}
		return g
	}
	groups := []permissionGroup{
		group("Webhooks", "webhook"),
		group("Webhook Logs", "webhook_log", "view_any_", "view_", "update_"),
		group("Automations", "automation"),
		group("Automation Logs", "automation_log", "view_any_", "view_"),
		group("Event Log", "event_log", "view_any_", "view_"),
		group("API Keys", "api_key", "view_any_", "create_", "delete_"),
		group("Organization", "organization", "update_"),
		group("Channels", "channel", "view_any_", "update_"),
		group("Accounts", "account", "view_any_", "create_", "update_", "delete_"),
		group("Roles", "role"),
		group("Audit Log", "audit_log", "view_any_"),
	}
	for _, k := range personnel.Kinds() {
		if k.Path != "" {
			groups = append(groups, group(kindTitle(k), permissionName(k)))
		}
	}
	return groups
}

// permissions are the names of all permissions.
func permissions() []string {
	var names []string
	for _, g := range permissionGroups() {
		for _, v := range g.Verbs {
			names = append(names, v.Name)
		}
	}
	return names
}
