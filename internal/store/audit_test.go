package store_test

import (
	"bytes"
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jonboulle/clockwork"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/internal/secrets"
	"github.com/buglehq/bugle/internal/store"
	"github.com/buglehq/bugle/internal/storetest"
	"github.com/buglehq/bugle/personnel"
	"github.com/buglehq/bugle/value"
)

var auditor = bugle.Author{Kind: bugle.ByKey, ID: 7, Name: "ci", Address: "192.0.2.7", RequestID: "9b1f6f0e-6f0a-4c8e-9d55-0c0f6a3f3b11"}

// changeAs runs fn as auditor.
func changeAs(t *testing.T, s *store.Store, fn func(tx *store.Tx) error) {
	t.Helper()
	if err := s.Update(store.WithAuthor(t.Context(), auditor), fn); err != nil {
		t.Fatal(err)
	}
}

// audited returns the audit log of an organization, oldest first.
func audited(t *testing.T, s *store.Store, organizationID int64, f store.AuditFilter) []*bugle.AuditEntry {
	t.Helper()
	page, err := s.AuditEntries(t.Context(), organizationID, f, store.PageRequest{Number: 1, Limit: store.MaxLimit})
	if err != nil {
		t.Fatal(err)
	}
	var list []*bugle.AuditEntry
	for i := len(page.Items) - 1; i >= 0; i-- {
		list = append(list, page.Items[i])
	}
	return list
}

// lastAudited returns the newest entry.
func lastAudited(t *testing.T, s *store.Store) *bugle.AuditEntry {
	t.Helper()
	list := audited(t, s, 1, store.AuditFilter{})
	return list[len(list)-1]
}

func newHook(name string) *bugle.Webhook {
	w := bugle.NewWebhook()
	w.OrganizationID, w.Name, w.URL, w.Events = 1, name, "https://example.com/hook", []string{"user.created"}
	return &w
}

func TestAudit_tellsWhatHasChangedOfAWebhook(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *clockwork.FakeClock) {
		w := newHook("Relay")
		changeAs(t, s, func(tx *store.Tx) error { return tx.AddWebhook(w) })
		e := lastAudited(t, s)
		if e.Action != "webhook.created" || e.Author != auditor || e.Subject != (bugle.Subject{Kind: "webhook", ID: w.ID, Name: "Relay"}) || !e.CreatedAt.Equal(clock.Now().UTC()) ||
			e.Before != "{}" || !strings.Contains(e.After, `"name":"Relay"`) || !strings.Contains(e.After, `"secret":"********"`) {
			t.Errorf("the entry is %+v", e)
		}
		w.Name, w.MaxConcurrency = "Discord", 3
		changeAs(t, s, func(tx *store.Tx) error { return tx.SaveWebhook(w) })
		if e = lastAudited(t, s); e.Action != "webhook.updated" || e.Before != `{"name":"Relay","max_concurrency":10}` || e.After != `{"name":"Discord","max_concurrency":3}` {
			t.Errorf("the entry is %+v", e)
		}
		changeAs(t, s, func(tx *store.Tx) error { return tx.SaveWebhook(w) })
		if again := lastAudited(t, s); again.Number != e.Number {
			t.Errorf("to save what is the same made %+v", again)
		}
		changeAs(t, s, func(tx *store.Tx) error { return tx.DeleteWebhook(1, w.ID) })
		if e = lastAudited(t, s); e.Action != "webhook.deleted" || e.After != "{}" || !strings.Contains(e.Before, `"name":"Discord"`) {
			t.Errorf("the entry is %+v", e)
		}
	})
}

// Every way to change the configuration is walked, with secrets that must not be found.
func TestAudit_tellsEveryChangeAndNoSecret(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *clockwork.FakeClock) {
		secrets := []string{"tell-nobody", "hash-of-tell-nobody"}
		user := storetest.Create(t, s, &personnel.User, "name", "Jane Roe", "email", "jane@example.com").ID()
		other := storetest.Create(t, s, &personnel.User, "name", "John Doe", "email", "john@example.com").ID()
		admin, err := s.RoleByName(t.Context(), 1, bugle.AdminRole)
		if err != nil {
			t.Fatal(err)
		}
		w := newHook("Relay")
		w.URL = "https://jane:tell-nobody@example.com/hooks/1234/tell-nobody-tell-nobody-1?token=tell-nobody#tell-nobody"
		w.Secret, w.Headers = "tell-nobody", []bugle.Header{{Name: "X-Plain", Value: "tell-nobody"}}
		a := &bugle.Automation{OrganizationID: 1, PayloadFormat: bugle.PayloadEnvelope, UpdateLookup: bugle.LookupExpression, Name: "Tell", Trigger: "user.created", ActionType: bugle.SendMessage, MessageContent: "<p>Hello</p>", Enabled: true}
		role := &bugle.Role{OrganizationID: 1, Name: "Clerk", Permissions: []string{"view_any_webhook"}}
		key := &bugle.APIKey{OrganizationID: 1, Name: "ci", Scopes: []string{"*"}}
		join := &bugle.Invitation{OrganizationID: 1, Purpose: bugle.JoinInvitation, Email: "new@example.com", Name: "New", RoleID: admin.ID}
		days := 7
		hidden := func(text string, err error) error { secrets = append(secrets, text); return err }
		for _, step := range []struct {
			action string
			do     func(tx *store.Tx) error
		}{
			{"webhook.created", func(tx *store.Tx) error { return tx.AddWebhook(w) }},
			{"webhook.updated", func(tx *store.Tx) error {
				if err := w.RotateSecret("tell-nobody-2", time.Hour, tx.Now()); err != nil {
					return err
				}
				w.Headers[0].Value = "tell-nobody-2"
				return tx.SaveWebhook(w)
			}},
			{"webhook.deleted", func(tx *store.Tx) error { return tx.DeleteWebhook(1, w.ID) }},
			{"automation.created", func(tx *store.Tx) error { return tx.AddAutomation(a) }},
			{"automation.updated", func(tx *store.Tx) error { a.Enabled = false; return tx.SaveAutomation(a) }},
			{"automation.deleted", func(tx *store.Tx) error { return tx.DeleteAutomation(1, a.ID) }},
			{"channel.updated", func(tx *store.Tx) error {
				lane, err := tx.Lane(1, bugle.ChannelByName("discord_public"))
				if err == nil {
					err = lane.SetChannel(value.Map("settings", value.Map("url", "https://discord.com/api/webhooks/1/tell-nobody")))
				}
				if err != nil {
					return err
				}
				return tx.SaveLane(lane)
			}},
			{"api_key.created", func(tx *store.Tx) error { return hidden(tx.AddKey(key)) }},
			{"api_key.revoked", func(tx *store.Tx) error { return tx.RevokeKey(key.ID, tx.Now()) }},
			{"role.created", func(tx *store.Tx) error { return tx.AddRole(role) }},
			{"role.updated", func(tx *store.Tx) error { role.Permissions = nil; return tx.SaveRole(role) }},
			{"account.created", func(tx *store.Tx) error {
				return tx.AddAccount(&bugle.Account{OrganizationID: 1, UserID: user, Role: admin, PasswordHash: "hash-of-tell-nobody"})
			}},
			{"account.created", func(tx *store.Tx) error {
				return tx.AddAccount(&bugle.Account{OrganizationID: 1, UserID: other, Role: admin})
			}},
			{"account.password_changed", func(tx *store.Tx) error { return tx.SetPassword(1, other, "hash-of-tell-nobody") }},
			{"account.updated", func(tx *store.Tx) error { return tx.SetTimeZone(1, other, "Europe/Berlin") }},
			{"account.updated", func(tx *store.Tx) error { return tx.SetAccountRole(1, other, role) }},
			{"account.updated", func(tx *store.Tx) error { return tx.SetAccountDisabled(1, other, true) }},
			{"account.deleted", func(tx *store.Tx) error { return tx.DeleteAccount(1, other) }},
			{"user.erased", func(tx *store.Tx) error { _, err := tx.EraseUser(store.Actor{OrganizationID: 1}, other); return err }},
			{"account.signed_in", func(tx *store.Tx) error { return tx.NoteSignIn(1, user) }},
			{"account.identity_linked", func(tx *store.Tx) error {
				return tx.LinkIdentity(&bugle.Account{OrganizationID: 1, UserID: user, Name: "Linked"}, bugle.Identity{Issuer: "https://id.example.com", Subject: "4711", Email: "jane@example.com"})
			}},
			{"account.signed_in", func(tx *store.Tx) error { return tx.NoteSignInBy(1, user, "https://id.example.com") }},
			{"account.identity_unlinked", func(tx *store.Tx) error { return tx.UnlinkIdentity(1, user, "https://id.example.com") }},
			{"account.sign_in_failed", func(tx *store.Tx) error {
				return tx.NoteFailedSignIns(store.FailedSignIns{OrganizationID: 1, UserID: user, Count: 2, Since: tx.Now()})
			}},
			{"account.sign_in_refused", func(tx *store.Tx) error {
				return tx.NoteFailedSignIns(store.FailedSignIns{OrganizationID: 1, UserID: user, Count: 2, Since: tx.Now(), Refused: true})
			}},
			{"account.second_factor_on", func(tx *store.Tx) error {
				if err := tx.BeginSecondFactor(1, user, []byte("tell-nobody")); err != nil {
					return err
				}
				return tx.TurnOnSecondFactor(1, user, 7, []string{"tell-nobody"})
			}},
			{"account.recovery_code_used", func(tx *store.Tx) error { _, err := tx.UseRecoveryCode(1, user, "tell-nobody"); return err }},
			{"account.recovery_codes_made", func(tx *store.Tx) error { return tx.SetRecoveryCodes(1, user, []string{"tell-nobody"}) }},
			{"account.second_factor_off", func(tx *store.Tx) error { return tx.RemoveSecondFactor(1, user) }},
			{"account.sessions_ended", func(tx *store.Tx) error { return tx.EndSessions(1, user) }},
			{"role.deleted", func(tx *store.Tx) error { return tx.DeleteRole(1, role.ID) }},
			{"invitation.created", func(tx *store.Tx) error { return hidden(tx.AddInvitation(join)) }},
			{"invitation.deleted", func(tx *store.Tx) error { return tx.DeleteInvitation(1, join.ID) }},
			{"organization.updated", func(tx *store.Tx) error { return tx.SetOrganization(1, "2nd Battalion", "", "") }},
			{"organization.updated", func(tx *store.Tx) error { return tx.SetAlerts(1, false, "", 3) }},
			{"organization.updated", func(tx *store.Tx) error { return tx.SetSecondFactorRequired(1, true) }},
			{"retention.updated", func(tx *store.Tx) error {
				return tx.SetRetention(1, bugle.RetentionChoice{"events": {Days: &days}})
			}},
			{"quotas.updated", func(tx *store.Tx) error { return tx.SetQuotas(1, bugle.QuotaChoice{"webhooks": 20}) }},
			{"hold.began", func(tx *store.Tx) error { _, err := tx.Hold(1); return err }},
			{"hold.released", func(tx *store.Tx) error { _, err := tx.Release(1, bugle.ReleaseDeliver); return err }},
		} {
			before := lastAudited(t, s).Number
			clock.Advance(time.Second)
			changeAs(t, s, step.do)
			if e := lastAudited(t, s); e.Action != step.action || e.Number != before+1 || e.Author.Address != auditor.Address {
				t.Errorf("%s has made the entry %+v, after %d", step.action, e, before)
			}
		}
		changeAs(t, s, func(tx *store.Tx) error { return tx.HoldSending("a copy") })
		changeAs(t, s, func(tx *store.Tx) error { _, err := tx.ReleaseSending(); return err })
		server := audited(t, s, 0, store.AuditFilter{})
		if len(server) != 2 || server[0].Action != "sending.held" || server[0].After != `{"reason":"a copy"}` || server[1].Action != "sending.released" {
			t.Errorf("of the server there are %+v", server)
		}
		told := map[string]bool{"secret_key.used": true, "secret_keys.removed": true, "secret_keys.reset": true} // by TestSecrets_rotation and TestResetSecrets
		for _, e := range append(server, audited(t, s, 1, store.AuditFilter{})...) {
			told[e.Action] = true
			for _, secret := range secrets {
				if text := fmt.Sprintf("%+v", e); strings.Contains(text, secret) {
					t.Errorf("the secret %q is in %s", secret, text)
				}
			}
		}
		for _, action := range bugle.AuditActions {
			if !told[action] {
				t.Errorf("nothing has told of %s", action)
			}
		}
		wantChains(t, s, "")
	})
}

// wantChains checks what is wrong with the audit log; empty: nothing.
func wantChains(t *testing.T, s *store.Store, problem string) []store.AuditChain {
	t.Helper()
	chains, err := s.CheckAudit(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	found := ""
	for _, c := range chains {
		found += c.Problem
	}
	if found != problem {
		t.Errorf("wrong with the audit log is %q, want %q", found, problem)
	}
	return chains
}

// An account goes with its user, whose deletion is a change of personnel data.
func TestAudit_tellsOfAnAccountThatGoesWithItsUser(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *clockwork.FakeClock) {
		id := storetest.Create(t, s, &personnel.User, "name", "Jane Roe", "email", "jane@example.com").ID()
		changeAs(t, s, func(tx *store.Tx) error {
			role, err := tx.Role(1, 2)
			if err != nil {
				return err
			}
			return tx.AddAccount(&bugle.Account{OrganizationID: 1, UserID: id, Role: role})
		})
		changeAs(t, s, func(tx *store.Tx) error {
			_, err := tx.Delete(storetest.Actor(), &personnel.User, id)
			return err
		})
		if e := lastAudited(t, s); e.Action != "account.deleted" || e.Subject != (bugle.Subject{Kind: "account", ID: id, Name: "Jane Roe"}) || e.Author != auditor {
			t.Errorf("the newest entry is %+v", e)
		}
	})
}

func TestAudit_aChangeThatFailsIsNotTold(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *clockwork.FakeClock) {
		before := lastAudited(t, s).Number
		w := newHook("Relay")
		err := s.Update(t.Context(), func(tx *store.Tx) error {
			if err := tx.AddWebhook(w); err != nil {
				return err
			}
			return context.Canceled
		})
		if err == nil {
			t.Fatal("it did not fail")
		}
		if after := lastAudited(t, s).Number; after != before {
			t.Errorf("there are %d entries, before there were %d", after, before)
		}
		changeAs(t, s, func(tx *store.Tx) error { return tx.AddWebhook(w) })
		if chains := wantChains(t, s, ""); chains[0].Entries != before+1 {
			t.Errorf("the chain is %+v", chains[0])
		}
	})
}

func TestAudit_isNeverChanged(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *clockwork.FakeClock) {
		statements := []string{"UPDATE audit_entries SET author_name = 'nobody'", "DELETE FROM audit_entries",
			"INSERT INTO audit_entries SELECT * FROM audit_entries WHERE number = 1"}
		if storetest.OnPostgres() {
			statements = append(statements, "TRUNCATE audit_entries")
		} else {
			statements = append(statements, "INSERT OR REPLACE INTO audit_entries SELECT * FROM audit_entries WHERE number = 1")
		}
		for _, statement := range statements {
			if err := s.Update(t.Context(), func(tx *store.Tx) error { return tx.Exec(statement) }); err == nil {
				t.Errorf("%s did not fail", statement)
			}
		}
		wantChains(t, s, "")
	})
}

// Who can drop the triggers can change entries: the chain shows it.
func TestAudit_theChainShowsWhatWasDoneToIt(t *testing.T) {
	drop := []string{"DROP TRIGGER audit_entries_unchanged", "DROP TRIGGER audit_entries_kept"}
	if storetest.OnPostgres() {
		drop = []string{"ALTER TABLE audit_entries DISABLE TRIGGER USER"}
	}
	for name, test := range map[string]struct{ do, problem string }{
		"an entry is changed": {"UPDATE audit_entries SET author_name = 'nobody' WHERE number = 2",
			"entry 2, webhook.created of 2026-01-14T12:00:00.123456Z, is not as it was written, or the one before it is not"},
		"an entry is deleted":       {"DELETE FROM audit_entries WHERE number = 3", "entry 3 is missing"},
		"the first is deleted":      {"DELETE FROM audit_entries WHERE number = 1", "entry 1 is missing"},
		"the newest are deleted":    {"DELETE FROM audit_entries WHERE number > 2", "entries 3 to 4, the newest, are missing"},
		"all are deleted":           {"DELETE FROM audit_entries", "entries 1 to 4, the newest, are missing"},
		"the head is deleted":       {"DELETE FROM audit_heads", "which entry is the newest is not known any more: its row in audit_heads is gone"},
		"the head is another's":     {"UPDATE audit_heads SET hash = (SELECT hash FROM audit_entries WHERE number = 2)", "entry 4 is not the one that was written last"},
		"entries change places":     {"UPDATE audit_entries SET number = CASE number WHEN 2 THEN 30 ELSE 2 END WHERE number IN (2, 3)", "entry 2, webhook.created of 2026-01-14T12:00:00.123456Z, is not as it was written, or the one before it is not"},
		"an entry is put elsewhere": {"UPDATE audit_entries SET organization_id = 5 WHERE number = 4", "entries 4 to 4, the newest, are missing" + "which entry is the newest is not known any more: its row in audit_heads is gone"},
	} {
		t.Run(name, func(t *testing.T) {
			storetest.Each(t, func(t *testing.T, s *store.Store, _ *clockwork.FakeClock) {
				for i := range 3 {
					changeAs(t, s, func(tx *store.Tx) error { return tx.AddWebhook(newHook(fmt.Sprint("Relay ", i))) })
				}
				before := wantChains(t, s, "")
				if len(before) != 1 || before[0].Entries != 4 || !bytes.Equal(before[0].Hash, lastAudited(t, s).Hash) {
					t.Fatalf("the chains are %+v", before)
				}
				storetest.Change(t, s, func(tx *store.Tx) error {
					for _, statement := range append(drop, test.do) {
						if err := tx.Exec(statement); err != nil {
							return err
						}
					}
					return nil
				})
				wantChains(t, s, test.problem)
			})
		})
	}
}

func TestAudit_hashIsAsDocumented(t *testing.T) {
	e := bugle.AuditEntry{OrganizationID: 1, Number: 2, CreatedAt: time.UnixMicro(1_700_000_000_000_000), Author: bugle.Author{Kind: bugle.ByKey, ID: 3, Name: "ci", Address: "192.0.2.1"},
		Action: "webhook.created", Subject: bugle.Subject{Kind: "webhook", ID: 4, Name: "Ünit"}, Before: "{}", After: `{"name":"Ünit"}`}
	// printf '0:,1:1,1:2,16:1700000000000000,7:api_key,1:3,2:ci,9:192.0.2.1,0:,15:webhook.created,7:webhook,1:4,5:Ünit,2:{},16:{"name":"Ünit"},' | sha256sum
	const want = "9d0a5e8aa89d02286d43d0dc57014464c3924730b893a1b693870d53a13d5964"
	if got := fmt.Sprintf("%x", e.ChainHash(nil)); got != want {
		t.Errorf("the hash is %s, want %s", got, want)
	}
}

func TestAuditEntries_filters(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *clockwork.FakeClock) {
		var hooks [2]*bugle.Webhook
		for i := range hooks {
			clock.Advance(time.Hour)
			hooks[i] = newHook(fmt.Sprint("Relay ", i))
			changeAs(t, s, func(tx *store.Tx) error { return tx.AddWebhook(hooks[i]) })
		}
		clock.Advance(time.Hour)
		storetest.Change(t, s, func(tx *store.Tx) error { return tx.DeleteWebhook(1, hooks[0].ID) })
		for name, test := range map[string]struct {
			f    store.AuditFilter
			want string
		}{
			"all":     {store.AuditFilter{}, "[1 2 3 4]"},
			"action":  {store.AuditFilter{Action: "webhook.created"}, "[2 3]"},
			"actions": {store.AuditFilter{Action: "webhook"}, "[2 3 4]"},
			"author":  {store.AuditFilter{AuthorKind: bugle.ByKey, AuthorID: 7}, "[2 3]"},
			"nobody":  {store.AuditFilter{AuthorKind: bugle.ByAccount}, "[]"},
			"subject": {store.AuditFilter{SubjectKind: "webhook", SubjectID: hooks[0].ID}, "[2 4]"},
			"since":   {store.AuditFilter{Since: storetest.Start.Add(2 * time.Hour)}, "[3 4]"},
			"until":   {store.AuditFilter{Until: storetest.Start.Add(2 * time.Hour)}, "[1 2]"},
		} {
			var numbers []int64
			for _, e := range audited(t, s, 1, test.f) {
				numbers = append(numbers, e.Number)
			}
			if got := fmt.Sprint(numbers); got != test.want {
				t.Errorf("%s: %s, want %s", name, got, test.want)
			}
		}
		page, err := s.AuditEntries(t.Context(), 1, store.AuditFilter{}, store.PageRequest{Number: 1, Limit: 2, CountTo: 100, Before: 4})
		if err != nil || len(page.Items) != 2 || page.Items[0].Number != 3 || page.Total != 4 {
			t.Errorf("before entry 4 there are %+v, %v", page, err)
		}
		if page, err = s.AuditEntries(t.Context(), 2, store.AuditFilter{}, store.PageRequest{Number: 1, Limit: 2}); err != nil || page.Total != 0 {
			t.Errorf("another organization has %+v, %v", page, err)
		}
	})
}

func TestCopy_carriesTheAuditLogOver(t *testing.T) {
	database := storetest.Database(t)
	clock := clockwork.NewFakeClockAt(storetest.Start)
	keys := secrets.File(filepath.Join(t.TempDir(), "secrets.key")) // which both databases have
	s := storetest.Open(t, database, store.Options{Clock: clock, Secrets: keys})
	changeAs(t, s, func(tx *store.Tx) error { return tx.AddWebhook(newHook("Relay")) })
	before := wantChains(t, s, "")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	to := "sqlite:" + filepath.Join(t.TempDir(), "copy.db")
	if _, err := store.Copy(t.Context(), database, to, store.CopyOptions{}); err != nil {
		t.Fatal(err)
	}
	copied := storetest.Open(t, to, store.Options{Clock: clock, Secrets: keys})
	if after := wantChains(t, copied, ""); len(after) != 1 || after[0].Entries != 2 || !bytes.Equal(after[0].Hash, before[0].Hash) {
		t.Errorf("the copy has the chains %+v, want %+v", after, before)
	}
	changeAs(t, copied, func(tx *store.Tx) error { return tx.AddWebhook(newHook("Another")) })
	if after := wantChains(t, copied, ""); after[0].Entries != 3 {
		t.Errorf("the copy goes on with %+v", after)
	}
	if err := copied.Update(t.Context(), func(tx *store.Tx) error { return tx.Exec("DELETE FROM audit_entries") }); err == nil {
		t.Error("the copy's audit log could be deleted")
	}
}
