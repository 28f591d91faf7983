package store

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// Folder is where the file of the database is; empty for PostgreSQL.
func (s *Store) Folder() string {
	if s.file == "" {
		return ""
	}
	return filepath.Dir(s.file)
}

// Size returns how many bytes the database takes, and how many of SQLite's log of writes (WAL) are beside it.
func (s *Store) Size(ctx context.Context) (database, wal int64, err error) {
	if s.file == "" {
		if err := s.view().one(ctx, []any{&database}, "SELECT pg_database_size(current_database())"); err != nil {
			return 0, 0, fmt.Errorf("read the size of the database: %w", err)
		}
		return database, 0, nil
	}
	file, err := os.Stat(s.file)
	if err != nil {
		return 0, 0, fmt.Errorf("read the size of the database: %w", err)
	}
	if log, err := os.Stat(s.file + "-wal"); err == nil { // there is none until something was written
		wal = log.Size()
	}
	return file.Size(), wal, nil
}

// Stored returns how many bytes the tables and indexes take, with what is still in SQLite's log of writes only.
func (s *Store) Stored(ctx context.Context) (int64, error) {
	if s.file == "" {
		size, _, err := s.Size(ctx)
		return size, err
	}
	var pages, size int64
	for pragma, to := range map[string]*int64{"page_count": &pages, "page_size": &size} {
		if err := s.view().one(ctx, []any{to}, "PRAGMA "+pragma); err != nil {
			return 0, fmt.Errorf("read the size of the database: %w", err)
		}
	}
	return pages * size, nil
}

// Probe reports whether the database takes changes: it makes one that changes nothing, behind those that wait.
func (s *Store) Probe(ctx context.Context) error {
	err := s.writer.do(ctx, func(tx *Tx) error {
		return tx.exec("UPDATE stats_summed SET until_s = until_s WHERE id = 1")
	}, results)
	if err != nil {
		return fmt.Errorf("write to the database: %w", err)
	}
	return nil
}

// Owed is what all webhooks and channels are owed together.
type Owed struct {
	Due      int // to be sent at once; those that a paused webhook holds are among them
	Retrying int // that wait for another attempt

	// Since when the first delivery waits in one of the lanes, by how their receivers do; zero if none waits. Lanes
	// that are paused are left out.
	OldestHealthy, OldestFailing time.Time
}

const (
	// MaxOwed is how far what is owed is counted.
	MaxOwed = 100000

	maxOwedLanes = 10000 // that are looked at for the oldest
)

// selectOwed counts by the partial indexes of what is owed, and finds the first delivery of each lane by one look-up. A
// lane in order keeps the delivery that waits for a retry at its head.
var selectOwed = fmt.Sprintf(`
WITH RECURSIVE lane (id) AS (
    SELECT MIN(webhook_id) FROM deliveries WHERE state = 0
    UNION ALL
    SELECT (SELECT MIN(webhook_id) FROM deliveries WHERE state = 0 AND webhook_id > lane.id) FROM lane WHERE lane.id IS NOT NULL
), heads AS (
    SELECT l.consecutive_failures > 0 AS failing,
           (SELECT next_attempt_us FROM deliveries WHERE state = 0 AND webhook_id = w.id ORDER BY order_us, id LIMIT 1) AS due_us
    FROM   (SELECT id FROM lane WHERE id IS NOT NULL LIMIT %[2]d) AS owed
    JOIN   webhooks w ON w.id = owed.id AND w.status = 'active'
    JOIN   lanes l ON l.webhook_id = w.id
)
SELECT (SELECT COUNT(*) FROM (SELECT 1 FROM deliveries WHERE state = 0 LIMIT %[1]d) AS due),
       (SELECT COUNT(*) FROM (SELECT 1 FROM deliveries WHERE state = 1 LIMIT %[1]d) AS retrying),
       COALESCE(MIN(CASE WHEN failing THEN NULL ELSE due_us END), 0),
       COALESCE(MIN(CASE WHEN failing THEN due_us END), 0)
FROM   heads`, MaxOwed, maxOwedLanes)

// Owed counts what is owed, up to MaxOwed of each, for those who watch the server.
func (s *Store) Owed(ctx context.Context) (Owed, error) {
	var o Owed
	var healthy, failing int64
	if err := s.view().one(ctx, []any{&o.Due, &o.Retrying, &healthy, &failing}, selectOwed); err != nil {
		return Owed{}, fmt.Errorf("count what is owed: %w", err)
	}
	o.OldestHealthy, o.OldestFailing = fromMicroseconds(healthy), fromMicroseconds(failing)
	return o, nil
}
