package store

import (
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/buglehq/bugle"
)

// Each statement is a round trip to the server, so results, and the deliveries of an event, are written by one statement
// for many rows: the columns are arrays.

const insertAttemptArrays = `INSERT INTO attempts (delivery_id, number, started_us, duration_us, method, url, status_code, reason,
		error_kind, error_message, response_headers, response_body, response_truncated, remote_address)
	SELECT * FROM UNNEST($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::text[], $6::text[], $7::bigint[], $8::text[],
		$9::text[], $10::text[], $11::text[], $12::bytea[], $13::boolean[], $14::text[])
	ON CONFLICT (delivery_id, number) DO NOTHING`

func (postgres) insertAttempts(tx *Tx, rows [][]any) error {
	n := len(rows)
	ids, numbers, started, took, statuses := make([]int64, n), make([]int64, n), make([]int64, n), make([]int64, n), make([]int64, n)
	methods, urls, reasons, kinds, messages := make([]string, n), make([]string, n), make([]string, n), make([]string, n), make([]string, n)
	headers, addresses := make([]string, n), make([]string, n)
	bodies, truncated := make([][]byte, n), make([]bool, n)
	for i, row := range rows {
		ids[i], numbers[i], started[i], took[i] = row[0].(int64), int64(row[1].(int)), row[2].(int64), row[3].(int64)
		methods[i], urls[i], statuses[i], reasons[i] = row[4].(string), storable(row[5].(string)), int64(row[6].(int)), storable(row[7].(string))
		kinds[i], messages[i], headers[i], bodies[i] = row[8].(string), storable(row[9].(string)), row[10].(string), row[11].([]byte)
		truncated[i], addresses[i] = row[12].(bool), row[13].(string)
	}
	return tx.exec(insertAttemptArrays, ids, numbers, started, took, methods, urls, statuses, reasons, kinds, messages, headers, bodies, truncated, addresses)
}

// storable is a text of which nothing is refused: a result that cannot be written would be tried again for ever.
func storable(text string) string {
	if utf8.ValidString(text) && strings.IndexByte(text, 0) < 0 {
		return text
	}
	return strings.ReplaceAll(strings.ToValidUTF8(text, "\uFFFD"), "\x00", "\uFFFD")
}

func (postgres) saveHealth(tx *Tx, health map[int64]bugle.Health) error {
	ids := slices.Sorted(maps.Keys(health))
	failures, successAt, failureAt, since := make([]int64, len(ids)), make([]int64, len(ids)), make([]int64, len(ids)), make([]int64, len(ids))
	for i, id := range ids {
		h := health[id]
		failures[i], successAt[i], failureAt[i] = int64(h.ConsecutiveFailures), microseconds(h.LastSuccessAt), microseconds(h.LastFailureAt)
		since[i] = microseconds(h.FailingSince)
	}
	return tx.exec(`
		UPDATE lanes SET consecutive_failures = h.failures, last_success_us = h.success, last_failure_us = h.failure, failing_since_us = h.since
		FROM   UNNEST($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[]) AS h (webhook_id, failures, success, failure, since)
		WHERE  lanes.webhook_id = h.webhook_id`, ids, failures, successAt, failureAt, since)
}

const upsertTallyArrays = `INSERT INTO delivery_stats (step_s, ` + tallyColumns + `)
	SELECT $1::bigint, * FROM UNNEST($2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[], $9::bigint[], $10::bytea[])` + replaceTally

func (postgres) writeTallies(tx *Tx, step int64, keys []statKey, tallies map[statKey]*tally) error {
	n := len(keys)
	columns := make([][]int64, 8)
	for i := range columns {
		columns[i] = make([]int64, n)
	}
	latencies := make([][]byte, n)
	for i, k := range keys {
		t := tallies[k]
		for c, v := range []int64{k.organizationID, k.webhookID, k.start, t.attempts, t.delivered, t.failed, t.givenUp, t.took} {
			columns[c][i] = v
		}
		var err error
		if latencies[i], err = t.latency.AppendBinary([]byte{}); err != nil {
			return err
		}
	}
	args := []any{step}
	for _, c := range columns {
		args = append(args, c)
	}
	return tx.exec(upsertTallyArrays, append(args, latencies)...)
}

func (postgres) insertDeliveries(tx *Tx, e *bugle.Event, list []NewDelivery, sequences []int64) error {
	webhooks := make([]int64, len(list))
	for i := range list {
		webhooks[i] = list[i].WebhookID
	}
	i := 0
	return tx.each(func(scan func(to ...any) error) error {
		err := scan(&list[i].ID)
		i++
		return err
	}, `
		INSERT INTO deliveries (organization_id, webhook_id, event_id, sequence, order_us, next_attempt_us, created_us)
		SELECT $1::bigint, webhook_id, $2::bigint, sequence, $3::bigint, $4::bigint, $5::bigint
		FROM   UNNEST($6::bigint[], $7::bigint[]) WITH ORDINALITY AS d (webhook_id, sequence, place) ORDER BY place
		RETURNING id`, e.OrganizationID, e.ID, list[0].Order, list[0].Due, e.CreatedAt.UnixMicro(), webhooks, sequences)
}
