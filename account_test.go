package bugle

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/buglehq/bugle/value"
)

func TestRole_Can(t *testing.T) {
	admin, user := &Role{Permissions: []string{AllPermissions}}, &Role{}
	clerk := &Role{Permissions: []string{"view_any_webhook", "view_webhook"}}
	for _, test := range []struct {
		role       *Role
		permission string
		want       bool
	}{
		{admin, "delete_webhook", true},
		{admin, AllPermissions, true},
		{user, "view_webhook", false},
		{clerk, "view_webhook", true},
		{clerk, "view", false},
		{clerk, "update_webhook", false},
		{clerk, AllPermissions, false},
		{clerk, "", false},
		{nil, "view_webhook", false},
	} {
		if got := test.role.Can(test.permission); got != test.want {
			t.Errorf("%+v can %q: %v", test.role, test.permission, got)
		}
	}
}

func TestRole_Set(t *testing.T) {
	known := []string{"create_webhook", "update_webhook", "view_webhook"}
	for _, test := range []struct {
		name   string
		before Role
		fields *value.Array
		want   Role
		field  string // of the only problem
		reason string
	}{
		{name: "new", fields: value.Map("name", " Clerk ", "permissions", value.List("view_webhook", "create_webhook", "view_webhook")),
			want: Role{Name: "Clerk", Permissions: []string{"create_webhook", "view_webhook"}}},
		{name: "new without permissions", fields: value.Map("name", "Clerk"), want: Role{Name: "Clerk"}},
		{name: "only the name", before: Role{Name: "Old", Permissions: known}, fields: value.Map("name", "New"), want: Role{Name: "New", Permissions: known}},
		{name: "only the permissions", before: Role{Name: "Old", Permissions: known}, fields: value.Map("permissions", value.List()), want: Role{Name: "Old"}},
		{name: "nothing", before: Role{Name: "Old", Permissions: known}, fields: value.Map(), want: Role{Name: "Old", Permissions: known}},
		{name: "a long name", fields: value.Map("name", strings.Repeat("ü", 255)), want: Role{Name: strings.Repeat("ü", 255)}},

		{name: "new without a name", fields: value.Map("permissions", value.List()), field: "name", reason: "required"},
		{name: "no name", before: Role{Name: "Old"}, fields: value.Map("name", nil), field: "name", reason: "required"},
		{name: "blank", before: Role{Name: "Old"}, fields: value.Map("name", " \t"), field: "name", reason: "required"},
		{name: "a number for a name", fields: value.Map("name", int64(7)), field: "name", reason: "must be a string"},
		{name: "too long", fields: value.Map("name", strings.Repeat("ü", 256)), field: "name", reason: "it has 256"},
		{name: "NUL", fields: value.Map("name", "a\x00"), field: "name", reason: "NUL"},
		{name: "a text for a list", fields: value.Map("name", "Clerk", "permissions", "view_webhook"), field: "permissions", reason: "must be a list"},
		{name: "a misspelt permission", fields: value.Map("name", "Clerk", "permissions", value.List("view_webhooks", "x")), field: "permissions", reason: "Did you mean view_webhook?"},
		{name: "all permissions", fields: value.Map("name", "Clerk", "permissions", value.List("*")), field: "permissions", reason: "There is no permission"},
		{name: "no text", fields: value.Map("name", "Clerk", "permissions", value.List(value.List())), field: "permissions", reason: "There is no permission"},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := test.before
			err := r.Set(test.fields, known)
			if test.field == "" {
				if err != nil || r.Name != test.want.Name || !slices.Equal(r.Permissions, test.want.Permissions) {
					t.Errorf("the role is %+v, %v, want %+v", r, err, test.want)
				}
				return
			}
			wantProblem(t, err, test.field, test.reason)
		})
	}
}

// wantProblem fails unless err is one problem of the field whose reason has the part.
func wantProblem(t *testing.T, err error, field, part string) {
	t.Helper()
	var invalid *InvalidError
	if !errors.As(err, &invalid) || len(invalid.Problems) != 1 || invalid.Problems[0].Field != field || !strings.Contains(invalid.Problems[0].Reason, part) {
		t.Errorf("the error is %v, want one of %s: %q", err, field, part)
	}
}

func TestCheckPassword(t *testing.T) {
	for _, test := range []struct{ password, part string }{
		{"several plain words", ""},
		{"twelve chars", ""},
		{"zwölf Züge!!", ""},
		{strings.Repeat("several ", 128), ""},
		{"jane.roe@example.org", ""},
		{"", "at least 12"},
		{"eleven char", "at least 12"},
		{"üüüüüüüüüüü", "at least 12"}, // 11 characters in 22 bytes
		{strings.Repeat("x", 1025), "1024 bytes"},
		{"JANE.ROE@example.com", "name or the e-mail"},
		{"Jane.of.Example", "name or the e-mail"},
		{"jane.ROE.123", "name or the e-mail"},
		{"Password1234", "tried first"},
		{"123456789012", "tried first"},
	} {
		email := "jane.roe@Example.com"
		if test.password == "jane.ROE.123" {
			email = "Jane.Roe.123@example.com"
		}
		err := CheckPassword(test.password, "Jane.Of.Example", email)
		if test.part != "" {
			wantProblem(t, err, "password", test.part)
		} else if err != nil {
			t.Errorf("%q: %v", test.password, err)
		}
	}
	if err := CheckPassword("several plain words", "", ""); err != nil {
		t.Errorf("of nobody who is known: %v", err)
	}
	for _, common := range commonPasswords {
		if len(common) < minPassword || common != strings.ToLower(common) {
			t.Errorf("%q is never looked up", common)
		}
	}
}

func TestInvitation_Open(t *testing.T) {
	now := time.Date(2026, 1, 14, 12, 0, 0, 0, time.UTC)
	for _, test := range []struct {
		name string
		i    Invitation
		want bool
	}{
		{"before its end", Invitation{ExpiresAt: now.Add(1)}, true},
		{"at its end", Invitation{ExpiresAt: now}, false},
		{"used", Invitation{ExpiresAt: now.Add(time.Hour), UsedAt: now}, false},
		{"zero", Invitation{}, false},
	} {
		if got := test.i.Open(now); got != test.want {
			t.Errorf("%s: open is %v", test.name, got)
		}
	}
	for purpose, want := range map[InvitationPurpose]time.Duration{SetupInvitation: 24 * time.Hour, JoinInvitation: 7 * 24 * time.Hour, ResetInvitation: time.Hour} {
		if got := purpose.Lasts(); got != want {
			t.Errorf("a link for %s lasts %s, want %s", purpose, got, want)
		}
	}
}

// Who may change something of the configuration needs a second factor where an organization asks for one.
func TestRole_Configures(t *testing.T) {
	for permission, want := range map[string]bool{
		AllPermissions: true, "update_webhook": true, "create_automation": true, "delete_api_key": true, "update_organization": true, "update_channel": true,
		"create_account": true, "update_role": true, "": false, "view_webhook": false, "view_any_account": false, "update_webhook_log": false,
		"create_rank_record": false, "update_user": false, "view_any_audit_log": false,
	} {
		if got := (&Role{Permissions: []string{permission}}).Configures(); got != want {
			t.Errorf("%q: %t, want %t", permission, got, want)
		}
	}
	if (*Role)(nil).Configures() {
		t.Error("nobody's role configures")
	}
}
