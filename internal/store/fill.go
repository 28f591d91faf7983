package store

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// FillLog writes a log of n events, each with a delivery, an attempt and, if there is an automation, a run,
// spread over the 30 days before now, with its statistics. It is for measurements, which would have to wait
// for hours otherwise: it takes the organization's webhooks and automations by turns, and nothing is left to send but
// a few deliveries of each webhook. Others wait meanwhile: a million takes half a minute.
func (s *Store) FillLog(ctx context.Context, organizationID int64, n int) error {
	const numbers = "WITH RECURSIVE n (i) AS (SELECT CAST(1 AS BIGINT) UNION ALL SELECT i + 1 FROM n WHERE i < $1), "
	now := s.now()
	begun := now.AddDate(0, 0, -30).UnixMicro()
	step := (now.UnixMicro() - begun) / int64(n+1)
	err := s.Update(ctx, func(tx *Tx) error {
		textBytes := tx.w.dialect.textBytes
		var event, delivery int64
		for table, last := range map[string]*int64{"events": &event, "deliveries": &delivery} {
			if err := tx.one([]any{last}, tx.w.dialect.lastID(), table); err != nil {
				return err
			}
		}
		// A webhook's deliveries are numbered from those that it has; of each hundred, three failed, and one was cancelled. The last ones are owed.
		const hooks = `w (place, id, last) AS (
			SELECT ROW_NUMBER() OVER (ORDER BY webhooks.id) - 1, webhooks.id, lanes.last_sequence
			FROM webhooks JOIN lanes ON lanes.webhook_id = webhooks.id WHERE webhooks.organization_id = $2 AND channel = '') `
		for _, query := range []struct {
			text string
			args []any
		}{
			{numbers + `names (place, name, kind) AS (VALUES (0, 'user.updated', 'user'), (1, 'rankrecord.created', 'rankrecord'), (2, 'calendar.updated', 'calendar'), (3, 'message.created', 'message'))
				INSERT INTO events (id, organization_id, name, resource_kind, resource_id, request_id, trace_id, causer_id, created_us, envelope)
				SELECT $2 + i, CAST($3 AS BIGINT), name, kind, 1 + i % 5000, SUBSTR(CAST(100000000 + i * 2654435761 % 99999989 AS TEXT), 2) || '-6f0a-4c8e-9d55-' || SUBSTR(CAST(1000000000000 + i AS TEXT), 2), '2c1d7a52-53a6-4f5c-8f43-7f6f7b0d9e21',
				       1 + i % 200, $4 + i * $5, ` + textBytes(`'{"event":"' || name || '","created":"2026-01-14T12:00:00.123456Z","data":{"id":' || i || ',"name":"Jane Roe","notes":"`+strings.Repeat("00", 100)+`"},"changes":{}}'`) + `
				FROM n JOIN names ON names.place = i % 4 ORDER BY i`,
				[]any{n, event, organizationID, begun, step}},
			{numbers + hooks + `
				INSERT INTO deliveries (id, organization_id, webhook_id, event_id, sequence, state, order_us, next_attempt_us, attempts, created_us, finished_us)
				SELECT $3 + i, CAST($2 AS BIGINT), w.id, $4 + i, w.last + 1 + (i - 1) / hooks.n,
				       CASE WHEN i > $1 - 5 * hooks.n THEN i % 2 WHEN i % 100 < 3 THEN 3 WHEN i % 100 = 3 THEN 4 ELSE 2 END, $5 + i * $6,
				       CASE WHEN i > $1 - 5 * hooks.n THEN CAST($7 AS BIGINT) ELSE 0 END, 1, $5 + i * $6, CASE WHEN i > $1 - 5 * hooks.n THEN 0 ELSE $5 + i * $6 + 40000 END
				FROM n CROSS JOIN (SELECT COUNT(*) AS n FROM w) AS hooks JOIN w ON w.place = (i - 1) % hooks.n ORDER BY i`,
				[]any{n, organizationID, delivery, event, begun, step, now.UnixMicro()}},
			{`INSERT INTO attempts (delivery_id, number, started_us, duration_us, method, url, status_code, reason, error_kind, error_message, response_headers, response_body, response_truncated, remote_address)
				SELECT id, 1, created_us, 1000 + (id * 7919) % 200000, 'POST', 'https://example.com/hook', CASE WHEN state = 2 THEN 200 WHEN id % 3 = 0 THEN 0 ELSE 500 END, '',
				       CASE WHEN state = 2 THEN '' WHEN id % 3 = 0 THEN 'timeout' ELSE 'status' END, '', '{"Content-Type":["text/plain"],"Date":["Wed, 14 Jan 2026 12:00:00 GMT"]}', ` + textBytes(`'ok'`) + `, FALSE, '192.0.2.1:443'
				FROM deliveries WHERE id > $1 ORDER BY id`,
				[]any{delivery}},
			{numbers + `a (place, id) AS (SELECT ROW_NUMBER() OVER (ORDER BY id) - 1, id FROM automations WHERE organization_id = $2)
				INSERT INTO automation_runs (organization_id, automation_id, event_id, status, condition_result, created_us, evaluated_us)
				SELECT CAST($2 AS BIGINT), a.id, $3 + i, CASE WHEN i % 1000 = 0 THEN 'failed' WHEN i % 2 = 0 THEN 'condition_failed' ELSE 'executed' END, i % 2 = 1, $4 + i * $5, $4 + i * $5
				FROM n CROSS JOIN (SELECT COUNT(*) AS n FROM a) AS rules JOIN a ON a.place = i % rules.n ORDER BY i`,
				[]any{n, organizationID, event, begun, step}},
			{"UPDATE lanes SET last_sequence = COALESCE((SELECT MAX(sequence) FROM deliveries d WHERE d.webhook_id = lanes.webhook_id), 0)", nil},
		} {
			if err := tx.exec(query.text, query.args...); err != nil {
				return err
			}
		}
		for table, last := range map[string]int64{"events": event, "deliveries": delivery} {
			if err := tx.w.dialect.keepID(tx, table, last+int64(n)); err != nil {
				return err
			}
		}
		return tx.fillStats(organizationID, now.Unix(), n)
	})
	if err != nil {
		return fmt.Errorf("fill the log: %w", err)
	}
	return nil
}

// finishedStep is how many finished deliveries a transaction of FillFinished has.
const finishedStep = 100000

// FillFinished writes n events, each with a delivery that arrived and its attempt, spread over the 30 days before now:
// a log as it is after a long time, for measurements. Its webhooks are the organization's, by turns,
// whatever they subscribe to. Indexes are made anew afterwards, and PostgreSQL vacuums and counts what is in the
// tables, as it would by and by. From time to time written is called with how many there are. It is for a database that
// nobody else uses, and if it fails, indexes may be missing.
func (s *Store) FillFinished(ctx context.Context, organizationID int64, n int, written func(n int)) error {
	now := s.now()
	step := (30 * 24 * time.Hour).Microseconds() / int64(n+1)
	var indexes []string
	if err := s.Update(ctx, func(tx *Tx) (err error) {
		indexes, err = tx.dropLogIndexes()
		return err
	}); err != nil {
		return fmt.Errorf("drop indexes: %w", err)
	}
	for done := 0; done < n; done += finishedStep {
		count := min(finishedStep, n-done)
		begun := now.AddDate(0, 0, -30).UnixMicro() + int64(done)*step
		if err := s.Update(ctx, func(tx *Tx) error { return tx.fillFinished(organizationID, count, begun, step) }); err != nil {
			return fmt.Errorf("fill the log: %w", err)
		}
		written(done + count)
	}
	for _, index := range indexes {
		if err := s.Update(ctx, func(tx *Tx) error { return tx.exec(index) }); err != nil {
			return fmt.Errorf("make indexes anew: %w", err)
		}
	}
	if s.file != "" {
		return nil
	}
	if _, err := s.readers.ExecContext(ctx, "VACUUM (ANALYZE) events, deliveries, attempts"); err != nil {
		return fmt.Errorf("vacuum the tables: %w", err)
	}
	return nil
}

// dropLogIndexes drops the indexes of the log that rows are only found by, and returns the statements that make them:
// with them, rows take ten times as long once there are millions.
func (tx *Tx) dropLogIndexes() (made []string, err error) {
	query := "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND tbl_name IN ('events', 'deliveries', 'attempts') AND sql NOT LIKE 'CREATE UNIQUE %'"
	if tx.w.store.file == "" {
		query = "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = CURRENT_SCHEMA() AND tablename IN ('events', 'deliveries', 'attempts') AND indexdef NOT LIKE 'CREATE UNIQUE %'"
	}
	var names []string
	if err := tx.each(func(scan func(...any) error) error {
		var name, text string
		err := scan(&name, &text)
		names, made = append(names, name), append(made, text)
		return err
	}, query); err != nil {
		return nil, err
	}
	for _, name := range names {
		if err := tx.exec("DROP INDEX " + name); err != nil {
			return nil, err
		}
	}
	return made, nil
}

func (tx *Tx) fillFinished(organizationID int64, n int, begun, step int64) error {
	const numbers = "WITH RECURSIVE n (i) AS (SELECT CAST(1 AS BIGINT) UNION ALL SELECT i + 1 FROM n WHERE i < $1), "
	textBytes := tx.w.dialect.textBytes
	var event, delivery int64
	for table, last := range map[string]*int64{"events": &event, "deliveries": &delivery} {
		if err := tx.one([]any{last}, tx.w.dialect.lastID(), table); err != nil {
			return err
		}
	}
	for _, query := range []struct {
		text string
		args []any
	}{
		{numbers + `one (x) AS (SELECT 1)
			INSERT INTO events (id, organization_id, name, resource_kind, resource_id, request_id, trace_id, causer_id, created_us, envelope)
			SELECT $2 + i, CAST($3 AS BIGINT), 'user.updated', 'user', 1 + i % 5000, SUBSTR(CAST(100000000 + ($2 + i) * 2654435 % 99999989 AS TEXT), 2) || '-6f0a-4c8e-9d55-' || SUBSTR(CAST(1000000000000 + $2 + i AS TEXT), 2),
			       '2c1d7a52-53a6-4f5c-8f43-7f6f7b0d9e21', 1 + i % 200, $4 + i * $5, ` + textBytes(`'{"event":"user.updated","created":"2026-01-14T12:00:00.123456Z","data":{"id":' || i || ',"name":"Jane Roe","notes":"`+strings.Repeat("00", 100)+`"},"changes":{}}'`) + `
			FROM n ORDER BY i`,
			[]any{n, event, organizationID, begun, step}},
		{numbers + `w (place, id, last) AS (
				SELECT ROW_NUMBER() OVER (ORDER BY webhooks.id) - 1, webhooks.id, lanes.last_sequence
				FROM webhooks JOIN lanes ON lanes.webhook_id = webhooks.id WHERE webhooks.organization_id = $2 AND channel = '')
			INSERT INTO deliveries (id, organization_id, webhook_id, event_id, sequence, state, order_us, next_attempt_us, attempts, created_us, finished_us)
			SELECT $3 + i, CAST($2 AS BIGINT), w.id, $4 + i, w.last + 1 + (i - 1) / hooks.n, 2, $5 + i * $6, 0, 1, $5 + i * $6, $5 + i * $6 + 40000
			FROM n CROSS JOIN (SELECT COUNT(*) AS n FROM w) AS hooks JOIN w ON w.place = (i - 1) % hooks.n ORDER BY i`,
			[]any{n, organizationID, delivery, event, begun, step}},
		{`INSERT INTO attempts (delivery_id, number, started_us, duration_us, method, url, status_code, reason, error_kind, error_message, response_headers, response_body, response_truncated, remote_address)
			SELECT id, 1, created_us, 1000 + (id * 7919) % 200000, 'POST', 'https://example.com/hook', 200, '', '', '', '{"Content-Type":["text/plain"],"Date":["Wed, 14 Jan 2026 12:00:00 GMT"]}', ` + textBytes(`'ok'`) + `, FALSE, '192.0.2.1:443'
			FROM deliveries WHERE id > $1 ORDER BY id`,
			[]any{delivery}},
		{"UPDATE lanes SET last_sequence = COALESCE((SELECT MAX(sequence) FROM deliveries d WHERE d.webhook_id = lanes.webhook_id), last_sequence)", nil},
	} {
		if err := tx.exec(query.text, query.args...); err != nil {
			return err
		}
	}
	for table, last := range map[string]int64{"events": event, "deliveries": delivery} {
		if err := tx.w.dialect.keepID(tx, table, last+int64(n)); err != nil {
			return err
		}
	}
	return nil
}

// fillStats writes as much as 400 days of hours and two of minutes come to.
func (tx *Tx) fillStats(organizationID, now int64, n int) error {
	each := max(n/720, 1)
	t := &tally{attempts: int64(each), took: int64(each) * 20000}
	for i := range each {
		t.latency.Add(time.Duration(1+i%200) * time.Millisecond)
	}
	t.delivered, t.failed = t.attempts-t.attempts/20, t.attempts/20
	latency, err := t.latency.AppendBinary(nil)
	if err != nil {
		return err
	}
	for _, step := range []struct{ seconds, keep int64 }{{statMinute, int64(keepMinutes.Seconds())}, {statHour, int64(keepHours.Seconds())}} {
		err := tx.exec(`
			WITH RECURSIVE n (at) AS (SELECT CAST($1 AS BIGINT) / CAST($2 AS BIGINT) * $2 UNION ALL SELECT at - $2 FROM n WHERE at > $1 - CAST($3 AS BIGINT))
			INSERT INTO delivery_stats (step_s, organization_id, webhook_id, start_s, attempts, delivered, failed, given_up, took_us, latency)
			SELECT CAST($2 AS BIGINT), CAST($4 AS BIGINT), id, at, CAST($5 AS BIGINT), CAST($6 AS BIGINT), CAST($7 AS BIGINT), 0, CAST($8 AS BIGINT), $9 FROM (SELECT id FROM webhooks WHERE organization_id = $4 AND channel = '' UNION ALL SELECT 0) AS w CROSS JOIN n
			WHERE  TRUE ON CONFLICT DO NOTHING`,
			now, step.seconds, step.keep, organizationID, t.attempts, t.delivered, t.failed, t.took, latency)
		if err != nil {
			return err
		}
	}
	return tx.exec("UPDATE stats_summed SET until_s = $1 WHERE id = 1", now/statMinute*statMinute)
}
