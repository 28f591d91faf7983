package storetest

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/internal/store"
	"github.com/buglehq/bugle/personnel"
	"github.com/buglehq/bugle/value"
)

// A Tenant is an organization that has at least one of everything. Each text in it that is free to choose has its mark,
// so that whatever shows anything of it can be told by that.
type Tenant struct {
	ID    int64
	Mark  string // of small letters
	Actor store.Actor

	Resources  map[string]int64 // by kind
	About      map[string]int64 // those that are about another resource, by kind and the kind of that, as in "image award"
	Webhook    int64            // subscribes to everything
	Lane       int64            // of the channel slack
	Event      int64            // rankrecord.created
	Delivery   int64            // of it, delivered by the webhook
	Owed       int64            // a delivery that is pending
	Automation int64            // writes payloads to the webhook
	Run        int64            // executed
	Replay     int64            // running
	Notice     int64            // a notification of the user
	Role       int64            // that can do everything, and may be changed
	Plain      int64            // another role, which nobody has
	Invitation int64
	Session    int64 // of the user
	Key        int64
	KeyText    string // may do everything
	Welcome    string // the token of the invitation
}

// User is the id of the user who has an account.
func (o *Tenant) User() int64 { return o.Resources[personnel.User.Name] }

// AddTenant makes an organization that has at least one of everything. The user has an account with the password's hash.
func AddTenant(t testing.TB, s *store.Store, mark, passwordHash string) *Tenant {
	t.Helper()
	o := &Tenant{Mark: mark, Actor: Actor(), Resources: map[string]int64{}, About: map[string]int64{}}
	Change(t, s, func(tx *store.Tx) error {
		organization, err := tx.AddOrganization(mark)
		if err != nil {
			return err
		}
		o.ID, o.Actor.OrganizationID = organization.ID, organization.ID
		for _, step := range []func(tx *store.Tx) error{o.addWebhooks, o.addResources, o.addLinks, o.addDeliveries} {
			if err := step(tx); err != nil {
				return err
			}
		}
		return o.addPeople(tx, passwordHash)
	})
	if _, err := s.BeginImport(t.Context(), o.ID, mark); err != nil {
		t.Fatal(err)
	}
	Change(t, s, o.addOutcomes) // when there are runs
	Change(t, s, o.addRest)
	r := &store.Replay{OrganizationID: o.ID, Filter: store.DeliveryFilter{WebhookID: o.Webhook}, Query: "q=" + mark}
	if err := s.StartReplay(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	o.Replay = r.ID
	return o
}

func (o *Tenant) addWebhooks(tx *store.Tx) error {
	w := bugle.NewWebhook()
	w.OrganizationID, w.Name, w.Description, w.URL = o.ID, o.Mark, o.Mark, "https://example.com/"+o.Mark
	w.Secret, w.Events, w.Headers = o.Mark+"-secret", personnel.EventNames(), []bugle.Header{{Name: "X-Of", Value: o.Mark}}
	w.FieldPolicy = []bugle.FieldRule{{Attribute: o.Mark + "_field", Action: bugle.HashField}}
	w.NeedPolicyKey()
	w.OldSecret, w.OldSecretUntil = o.Mark+"-old", tx.Now().Add(time.Hour)
	if err := tx.AddWebhook(&w); err != nil {
		return err
	}
	o.Webhook = w.ID
	lane, err := tx.Lane(o.ID, bugle.ChannelByName("slack"))
	if err != nil {
		return err
	}
	lane.Settings = value.Map("url", "https://hooks.example.com/"+o.Mark)
	if err := tx.SaveLane(lane); err != nil {
		return err
	}
	o.Lane = lane.ID
	a := bugle.NewAutomation()
	a.OrganizationID, a.Name, a.Description, a.Trigger, a.WebhookID = o.ID, o.Mark, o.Mark, "user.created", w.ID
	a.PayloadTemplate = value.Map("text", o.Mark)
	if err := tx.AddAutomation(&a); err != nil {
		return err
	}
	o.Automation = a.ID
	return nil
}

// addResources makes a resource of each kind, which refer to one another.
func (o *Tenant) addResources(tx *store.Tx) error {
	for _, k := range personnel.Kinds() {
		if k.Listed {
			continue // its rows are made by what it is a list of
		}
		r, err := tx.Create(o.Actor, k, o.fields(k))
		if err != nil {
			return fmt.Errorf("create %s: %w", k.Name, err)
		}
		o.Resources[k.Name] = r.ID()
	}
	var item int64
	err := tx.QueryRowContext(context.Background(), "SELECT MIN(id) FROM newsfeed WHERE organization_id = $1", o.ID).Scan(&item)
	o.Resources[personnel.NewsfeedItem.Name] = item
	return err
}

// fields are those of a resource that can be filled in.
func (o *Tenant) fields(k *personnel.Kind) *value.Array {
	fields := value.NewArray(8)
	for i := range k.Fields {
		f := &k.Fields[i]
		if v := o.value(f); v != nil && !f.ReadOnly && !f.Hidden {
			fields.Set(f.SentAs(), v)
		}
	}
	return fields
}

// value is what a field of a resource gets; nil: nothing.
func (o *Tenant) value(f *personnel.Field) any {
	switch f.Type {
	case personnel.Reference:
		if id := o.Resources[f.Refers]; id != 0 {
			return id
		}
		return nil
	case personnel.Photo, personnel.File:
		return &personnel.Upload{Name: o.Mark + ".png", Path: fmt.Sprintf("%d/%s-%s.png", o.ID, o.Mark, f.Name), Type: "image/png", Size: 1}
	case personnel.Email:
		return o.Mark + "@example.com"
	case personnel.Strings:
		return value.List(f.Options[0])
	case personnel.Integers:
		return value.List(o.User())
	case personnel.JSON:
		return value.Map("one", o.Mark)
	case personnel.Choice, personnel.Code:
		if !f.Required {
			return nil
		}
		return f.Options[0]
	case personnel.String, personnel.Text:
		switch {
		case f.Name == "rules", f.Name == "rrule", f.Name == "cast":
			return nil
		case f.Name == "color":
			return "#16a34a"
		}
		return o.Mark
	}
	if !f.Required {
		return nil
	}
	return f.Example(nil, true)
}

// addLinks leads each resource to another by each relation that has a table of its own, and adds what is about it.
func (o *Tenant) addLinks(tx *store.Tx) error {
	for _, k := range personnel.Kinds() {
		for _, n := range k.Nested {
			rel := k.Relation(n.Relation)
			if rel.Where == "model_type" {
				other := personnel.ByName(rel.Kind)
				r, err := tx.CreateWithin(o.Actor, &personnel.Within{Kind: k, ID: o.Resources[k.Name], Relation: rel}, o.fields(other))
				if err != nil {
					return fmt.Errorf("create the %s of %s: %w", rel.Name, k.Name, err)
				}
				o.About[other.Name+" "+k.Name] = r.ID()
			}
			if rel.Pivot == nil || rel.Pivot.ReadOnly {
				continue
			}
			link := store.Link{ID: o.Resources[rel.Kind], At: "resources.0"}
			for i := range rel.Pivot.Fields {
				if f := &rel.Pivot.Fields[i]; f.Name == "text" {
					link.Columns = value.Map("text", o.Mark)
				}
			}
			w := &personnel.Within{Kind: k, ID: o.Resources[k.Name], Relation: rel}
			if _, err := tx.Link(o.Actor, w, []store.Link{link}, false); err != nil {
				return fmt.Errorf("link %s to its %s: %w", k.Name, rel.Name, err)
			}
		}
	}
	return nil
}

func (o *Tenant) addDeliveries(tx *store.Tx) (err error) {
	err = tx.QueryRowContext(context.Background(), `
		SELECT e.id, d.id FROM events e JOIN deliveries d ON d.event_id = e.id
		WHERE  e.organization_id = $1 AND e.name = 'rankrecord.created' AND d.webhook_id = $2`, o.ID, o.Webhook).Scan(&o.Event, &o.Delivery)
	if err != nil {
		return err
	}
	if o.Owed, err = tx.SendTest(o.Actor, o.Webhook, value.Map("text", o.Mark)); err != nil {
		return err
	}
	var erased int64 // who has been, as if the account that he has was made afterwards
	err = tx.QueryRowContext(context.Background(), `
		INSERT INTO erasures (organization_id, user_id, state, phase, known, error, created_us, updated_us, finished_us)
		VALUES ($1, $2, 'done', 'attempts', $3, $4, $5, $5, $5)
		RETURNING id`, o.ID, o.User(), []byte{}, o.Mark, tx.Now().UnixMicro()).Scan(&erased)
	if err != nil {
		return err
	}
	_, err = tx.TestLane(o.Actor, bugle.ChannelByName("slack"), o.Mark, nil)
	return err
}

func (o *Tenant) addPeople(tx *store.Tx, passwordHash string) (err error) {
	role := &bugle.Role{OrganizationID: o.ID, Name: o.Mark, Permissions: []string{bugle.AllPermissions}}
	if err := tx.AddRole(role); err != nil {
		return err
	}
	plain := &bugle.Role{OrganizationID: o.ID, Name: o.Mark + " plain", Permissions: []string{"view_any_user"}}
	if err := tx.AddRole(plain); err != nil {
		return err
	}
	o.Role, o.Plain = role.ID, plain.ID
	if err := tx.AddAccount(&bugle.Account{OrganizationID: o.ID, UserID: o.User(), Role: role, PasswordHash: passwordHash}); err != nil {
		return err
	}
	identity := bugle.Identity{Issuer: "https://" + o.Mark + ".example.com", Subject: o.Mark, Email: o.Mark + "@example.com"}
	if err := tx.LinkIdentity(&bugle.Account{OrganizationID: o.ID, UserID: o.User(), Name: o.Mark}, identity); err != nil {
		return err
	}
	i := &bugle.Invitation{OrganizationID: o.ID, Purpose: bugle.JoinInvitation, Email: "new-" + o.Mark + "@example.com", Name: o.Mark, RoleID: plain.ID}
	if o.Welcome, err = tx.AddInvitation(i); err != nil {
		return err
	}
	// It is not asked for: it was not confirmed.
	if err := tx.BeginSecondFactor(o.ID, o.User(), []byte(o.Mark)); err != nil {
		return err
	}
	key := &bugle.APIKey{OrganizationID: o.ID, UserID: o.User(), Name: o.Mark, Scopes: []string{"*"}}
	o.KeyText, err = tx.AddKey(key)
	o.Invitation, o.Key = i.ID, key.ID
	return err
}

// addOutcomes ends a run.
func (o *Tenant) addOutcomes(tx *store.Tx) error {
	err := tx.QueryRowContext(context.Background(), "SELECT MAX(id) FROM automation_runs WHERE organization_id = $1", o.ID).Scan(&o.Run)
	if err != nil {
		return err
	}
	return tx.FinishRun(&bugle.Run{ID: o.Run, Status: bugle.RunExecuted, Condition: o.Mark, ActionPayload: value.Map("text", o.Mark), Error: o.Mark,
		EvaluatedAt: tx.Now(), DeliveryID: o.Delivery})
}

// addRest writes the rows that only work in the background makes.
func (o *Tenant) addRest(tx *store.Tx) error {
	now := tx.Now()
	for _, row := range []struct {
		insert string
		id     *int64
		args   []any
	}{
		{"INSERT INTO notifications (organization_id, user_id, message_id, channel, text, created_us) VALUES ($1, $2, $3, 'database', $4, $5) RETURNING id",
			&o.Notice, []any{o.User(), o.Resources[personnel.Message.Name], o.Mark, now.UnixMicro()}},
		{"INSERT INTO recovery_codes (organization_id, user_id, hash) VALUES ($1, $2, $3) RETURNING user_id", nil, []any{o.User(), []byte(o.Mark)}},
		{"INSERT INTO sign_in_places (organization_id, user_id, kind, place, seen_us) VALUES ($1, $2, 'browser', $3, $4) RETURNING user_id",
			nil, []any{o.User(), o.Mark, now.UnixMicro()}},
		{"INSERT INTO sessions (organization_id, user_id, token_hash, data, expires_us, begun_us, seen_us, address, browser) VALUES ($1, $2, $3, $4, $5, $6, $7, '192.0.2.1', $8) RETURNING id",
			&o.Session, []any{o.User(), []byte(o.Mark), []byte{}, now.Add(24 * time.Hour).UnixMicro(), now.UnixMicro(), now.UnixMicro(), o.Mark}},
		{"INSERT INTO hold_digests (organization_id, webhook_id, event, deliveries, first_sequence, last_sequence) VALUES ($1, $2, $3, 1, 1, 1) RETURNING webhook_id",
			nil, []any{o.Webhook, o.Mark}},
		{"INSERT INTO removed_deliveries (webhook_id, removed, last_sequence, last_event_id) SELECT id, 0, 0, 0 FROM webhooks WHERE organization_id = $1 AND id = $2 RETURNING webhook_id",
			nil, []any{o.Webhook}},
		{"INSERT INTO import_ids (import_id, kind, source_id, id, copied) SELECT id, 'user', 1, $2, TRUE FROM imports WHERE organization_id = $1 RETURNING id",
			nil, []any{o.User()}},
		{"INSERT INTO removed_attempts (organization_id, attempts_us) VALUES ($1, $2) RETURNING organization_id", nil, []any{now.Add(-time.Hour).UnixMicro()}},
		{"INSERT INTO delivery_stats (organization_id, webhook_id, step_s, start_s, attempts, delivered, failed, given_up, took_us, latency) " +
			"VALUES ($1, $2, 60, $3, 1, 1, 0, 0, 1, $4) RETURNING webhook_id", nil, []any{o.Webhook, now.Truncate(time.Minute).Unix(), []byte{}}},
		{"INSERT INTO attempts (delivery_id, number, started_us, duration_us, method, url, status_code, reason, error_kind, error_message, response_headers, " +
			"response_body, response_truncated, remote_address) SELECT id, 1, $2, 1000, 'post', $3, 200, $4, '', '', $5, $6, FALSE, '192.0.2.1:443' " +
			"FROM deliveries WHERE organization_id = $1 AND id = $7 RETURNING number",
			nil, []any{now.UnixMicro(), "https://example.com/" + o.Mark, o.Mark, `{"X-Of":["` + o.Mark + `"]}`, []byte(o.Mark), o.Delivery}},
		{"UPDATE deliveries SET state = 2, attempts = 1, finished_us = $2 WHERE organization_id = $1 AND id = $3 RETURNING id", nil, []any{now.UnixMicro(), o.Delivery}},
	} {
		id := row.id
		if id == nil {
			id = new(int64)
		}
		if err := tx.QueryRowContext(context.Background(), row.insert, append([]any{o.ID}, row.args...)...).Scan(id); err != nil {
			return fmt.Errorf("%s: %w", row.insert, err)
		}
	}
	err := tx.SetQuotas(o.ID, bugle.QuotaChoice{"webhooks": 1000, "automations": 1000, "events": 100_000, "backlog": 100_000, "storage": 1 << 40})
	if err != nil {
		return err
	}
	var events int64
	err = tx.QueryRowContext(context.Background(), `
		INSERT INTO quota_usage (organization_id, minute, events, pending, counted_us) VALUES ($1, $2, 7, 20, $3) RETURNING events`,
		o.ID, now.Unix()/60, now.UnixMicro()).Scan(&events)
	if err != nil {
		return err
	}
	days := 3650
	return tx.SetRetention(o.ID, bugle.RetentionChoice{"attempts": {Days: &days}})
}

// shared are the tables whose rows are of no organization: those about the server. rowsOf are those that belong to one by another table.
var (
	shared = []string{"goose_db_version", "schema_compatibility", "nodes", "slices", "secret_keys", "sign_in_waits", "used_sign_ins", "stats_summed", "sending_hold", "sqlite_sequence", "sqlite_stat1", "row_counts"}
	rowsOf = map[string]string{
		"organizations":      "id = $1",
		"webhook_events":     "webhook_id IN (SELECT id FROM webhooks WHERE organization_id = $1)",
		"lanes":              "webhook_id IN (SELECT id FROM webhooks WHERE organization_id = $1)",
		"removed_deliveries": "webhook_id IN (SELECT id FROM webhooks WHERE organization_id = $1)",
		"attempts":           "delivery_id IN (SELECT id FROM deliveries WHERE organization_id = $1)",
		"import_ids":         "import_id IN (SELECT id FROM imports WHERE organization_id = $1)",
	}
)

// Rows returns all that the database has of the organization: the rows of each table as texts, sorted. A table of which
// it cannot tell whose rows are whose fails the test.
func (o *Tenant) Rows(t testing.TB, s *store.Store) map[string][]string {
	t.Helper()
	rows := map[string][]string{}
	Change(t, s, func(tx *store.Tx) error {
		owned, err := tables(tx)
		for table, isOwned := range owned {
			where, known := rowsOf[table]
			switch {
			case isOwned:
				where = "organization_id = $1"
			case slices.Contains(shared, table):
				continue
			case !known:
				return fmt.Errorf("whose are the rows of the table %s? It needs an organization_id, or a line in this package", table)
			}
			if rows[table], err = texts(tx, "SELECT * FROM "+table+" WHERE "+where, o.ID); err != nil {
				return err
			}
		}
		return err
	})
	return rows
}

// tables returns all tables, and which have a column organization_id.
func tables(tx *store.Tx) (map[string]bool, error) {
	query := "SELECT m.name, EXISTS (SELECT 1 FROM pragma_table_info(m.name) WHERE name = 'organization_id') FROM sqlite_master m WHERE m.type = 'table'"
	if OnPostgres() {
		query = `SELECT t.table_name, EXISTS (SELECT 1 FROM information_schema.columns c
			WHERE c.table_schema = t.table_schema AND c.table_name = t.table_name AND c.column_name = 'organization_id')
			FROM information_schema.tables t WHERE t.table_schema = current_schema() AND t.table_type = 'BASE TABLE'`
	}
	owned := map[string]bool{}
	rows, err := tx.QueryContext(context.Background(), query)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var name string
		var isOwned bool
		if err := rows.Scan(&name, &isOwned); err != nil {
			return nil, err
		}
		owned[name] = isOwned
	}
	return owned, rows.Err()
}

// texts returns the rows of a query as texts, sorted.
func texts(tx *store.Tx, query string, args ...any) ([]string, error) {
	rows, err := tx.QueryContext(context.Background(), query, args...)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", query, err)
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		return nil, err
	}
	var list []string
	for rows.Next() {
		values, to := make([]sql.RawBytes, len(columns)), make([]any, len(columns))
		for i := range values {
			to[i] = &values[i]
		}
		if err := rows.Scan(to...); err != nil {
			return nil, err
		}
		var row strings.Builder
		for i, column := range columns {
			fmt.Fprintf(&row, "%s=%q ", column, values[i])
		}
		list = append(list, row.String())
	}
	slices.Sort(list)
	return list, rows.Err()
}

// WantApart fails the test for each row that refers to one of another organization. It looks at the foreign keys of
// SQLite; on PostgreSQL, which has the same, it looks at nothing.
func WantApart(t testing.TB, s *store.Store) {
	t.Helper()
	if OnPostgres() {
		return
	}
	Change(t, s, func(tx *store.Tx) error {
		keys, err := texts(tx, `SELECT m.name AS child, k."from" AS field, k."table" AS parent, k."to" AS id
			FROM sqlite_master m, pragma_foreign_key_list(m.name) k WHERE m.type = 'table'`)
		if err != nil {
			return err
		}
		owned, err := tables(tx)
		if err != nil {
			return err
		}
		checked := 0
		for _, key := range keys {
			var child, field, parent, id string
			if _, err := fmt.Sscanf(key, "child=%q field=%q parent=%q id=%q", &child, &field, &parent, &id); err != nil {
				return fmt.Errorf("%s: %w", key, err)
			}
			if !owned[child] || !owned[parent] {
				continue
			}
			checked++
			rows, err := texts(tx, fmt.Sprintf(`SELECT c.organization_id, p.organization_id AS of FROM %s c JOIN %s p ON p.%s = c."%s" WHERE p.organization_id <> c.organization_id`,
				child, parent, id, field))
			if err != nil {
				return err
			}
			if len(rows) > 0 {
				t.Errorf("%d rows of %s refer by %s to another organization's %s: %s", len(rows), child, field, parent, rows[0])
			}
		}
		if checked < 80 {
			t.Errorf("only %d foreign keys were looked at", checked)
		}
		return nil
	})
}
