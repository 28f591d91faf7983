package store

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

// Servers that share a PostgreSQL database are its nodes. Lanes and organizations are dealt out among them in slices:
// a node works on those of its slices until its lease ends, and takes over those of a node whose lease has ended.

// Slices is how many shares of the work there are.
const Slices = 64

// SliceOf is the slice of a webhook or an organization.
func SliceOf(id int64) int { return int(id % Slices) }

const (
	// LeaseTime is how long a node has its slices without renewing that, by the clock of the database. It is also
	// how long others wait before they take those of a node that has died.
	LeaseTime = 6 * time.Second

	// leaseMargin is how much earlier a node stops by its own clock.
	leaseMargin = 1500 * time.Millisecond

	forgetNodes = time.Hour // nodes that were not seen for this long are deleted
)

// A Lease says which slices are a node's.
type Lease struct {
	Slices []int // those it has
	Taken  []int // those of them that it has just got
	Share  int   // how many it is to have at most, so that all nodes have as many
	Nodes  int   // how many nodes there are that work on slices, this one with them
	Others bool  // there are other nodes, or were lately, which may work on nothing
}

// renewLease notes that node $1 was seen, renews the slices that it has and, with $5, takes as many of those that are
// nobody's as are missing to its share. $2 is its name, $3 how long a lease is and $4 how long a node is remembered, in
// microseconds; $5 says whether it works on slices.
const renewLease = `
WITH clock AS MATERIALIZED (SELECT CAST(EXTRACT(EPOCH FROM CLOCK_TIMESTAMP()) * 1000000 AS BIGINT) AS now),
seen AS (
    INSERT INTO nodes (id, name, works, seen_us) SELECT $1::bigint, $2::text, $5::boolean, now FROM clock
    ON CONFLICT (id) DO UPDATE SET seen_us = EXCLUDED.seen_us
),
gone AS (
    DELETE FROM nodes USING clock WHERE seen_us < now - $4::bigint AND id <> $1
),
alive AS (
    SELECT COUNT(*) FILTER (WHERE works) AS working, COUNT(*) AS others
    FROM   nodes, clock
    WHERE  seen_us > now - $3::bigint AND id <> $1
),
share AS (
    SELECT CASE WHEN $5 THEN CEIL(64.0 / (working + 1)) ELSE 0 END AS size FROM alive
),
kept AS (
    UPDATE slices SET until_us = now + $3 FROM clock WHERE node_id = $1 AND until_us >= now
    RETURNING slice
),
taken AS (
    UPDATE slices SET node_id = $1, until_us = clock.now + $3
    FROM   clock
    WHERE  slice IN (
        SELECT s.slice FROM slices s, clock c
        WHERE  s.until_us < c.now
        ORDER  BY s.slice
        LIMIT  (SELECT GREATEST(size - (SELECT COUNT(*) FROM kept), 0)::bigint FROM share)
        FOR UPDATE OF s SKIP LOCKED)
    AND    until_us < clock.now
    RETURNING slice
)
SELECT -1 AS slice, FALSE AS is_taken, size::bigint, working + CASE WHEN $5 THEN 1 ELSE 0 END, others FROM share, alive
UNION ALL SELECT slice, FALSE, 0, 0, 0 FROM kept
UNION ALL SELECT slice, TRUE, 0, 0, 0 FROM taken`

// A node is what a store knows of its own server.
type node struct {
	id     int64
	name   string
	alone  atomic.Bool // nobody else was seen with the database lately
	mu     sync.Mutex
	slices [Slices]bool
	until  time.Time // on the clock of this machine, and monotonic
	wall   time.Time // the same without, since monotonic clocks stand still while a machine sleeps
}

func newNode(name string) *node { return &node{id: rand.Int64N(1<<62) + 1, name: name} }

// Shared reports whether the store is that of a node: the work is dealt out then.
func (s *Store) Shared() bool { return s.node != nil }

// IsAlone reports whether nobody else was seen that changes something.
func (s *Store) IsAlone() bool { return s.node == nil || s.node.alone.Load() }

// Owns reports whether the work on a webhook's lane, or for an organization, is this node's now. Without nodes all is.
func (s *Store) Owns(id int64) bool {
	if s.node == nil {
		return true
	}
	s.node.mu.Lock()
	defer s.node.mu.Unlock()
	return s.node.slices[SliceOf(id)] && s.node.holds(s.clock.Now())
}

// Holds reports whether the node's lease has not ended.
func (s *Store) Holds() bool {
	if s.node == nil {
		return true
	}
	s.node.mu.Lock()
	defer s.node.mu.Unlock()
	return s.node.holds(s.clock.Now())
}

func (n *node) holds(now time.Time) bool { return now.Before(n.until) && now.Round(0).Before(n.wall) }

// RenewLease makes the node known to the others for another LeaseTime, with the slices that it has, and takes more
// if it is to work and has fewer than its share. It is to be called each second.
func (s *Store) RenewLease(ctx context.Context, works bool) (*Lease, error) {
	began := s.clock.Now()
	l := &Lease{}
	var others int
	// Not by the pool for reading, which slow pages can keep busy.
	rows, err := s.writer.db.QueryContext(ctx, renewLease, s.node.id, s.node.name, LeaseTime.Microseconds(), forgetNodes.Microseconds(), works)
	if err != nil {
		return nil, fmt.Errorf("renew the lease: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var slice, share, working, seen int
		var taken bool
		if err := rows.Scan(&slice, &taken, &share, &working, &seen); err != nil {
			return nil, fmt.Errorf("renew the lease: %w", err)
		}
		switch {
		case slice < 0:
			l.Share, l.Nodes, others = share, working, seen
			continue
		case taken:
			l.Taken = append(l.Taken, slice)
		}
		l.Slices = append(l.Slices, slice)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("renew the lease: %w", err)
	}
	l.Others = others > 0
	s.node.alone.Store(!l.Others)
	s.node.mu.Lock()
	s.node.slices = [Slices]bool{}
	for _, slice := range l.Slices {
		s.node.slices[slice] = true
	}
	s.node.until = began.Add(LeaseTime - leaseMargin)
	s.node.wall = s.node.until.Round(0)
	s.node.mu.Unlock()
	return l, nil
}

// ReleaseSlices gives slices to whoever takes them first, and tells the others.
func (s *Store) ReleaseSlices(ctx context.Context, slices []int) error {
	s.node.mu.Lock()
	for _, slice := range slices {
		s.node.slices[slice] = false
	}
	s.node.mu.Unlock()
	ids := make([]int64, len(slices))
	for i, slice := range slices {
		ids[i] = int64(slice)
	}
	query := s.dialect.statement("UPDATE slices SET node_id = 0, until_us = 0 WHERE node_id = $1 AND " + inIDs("slice", 2))
	if _, err := s.writer.db.ExecContext(ctx, query, s.node.id, idList(ids)); err != nil {
		return fmt.Errorf("release slices: %w", err)
	}
	s.announcer.add(Committed{Slices: true})
	return nil
}

// LeaveNodes makes the others forget the node at once, with the slices that it still has.
func (s *Store) LeaveNodes(ctx context.Context) error {
	_, err := s.writer.db.ExecContext(ctx, `WITH gone AS (DELETE FROM nodes WHERE id = $1)
		UPDATE slices SET node_id = 0, until_us = 0 WHERE node_id = $1`, s.node.id)
	if err != nil {
		return fmt.Errorf("leave the nodes: %w", err)
	}
	s.announcer.add(Committed{Slices: true})
	return nil
}

// Join makes this node known to the others before its first change, for they could believe that they are alone. Where
// nothing is shared it does nothing.
func (s *Store) Join(ctx context.Context, works bool) error {
	if s.node == nil {
		return nil
	}
	_, err := s.RenewLease(ctx, works)
	if err == nil {
		s.announcer.add(Committed{Slices: true})
	}
	return err
}

// Wake lets those who work on what is owed look for it.
func (s *Store) Wake() { s.tell(Committed{Runs: true, Sendings: true}) }

// Attend makes this node known to the others until ctx is done, for one that works on nothing: they must not
// believe that they are alone.
func (s *Store) Attend(ctx context.Context, log *slog.Logger) {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		renewing, cancel := context.WithTimeout(ctx, 2*time.Second)
		_, err := s.RenewLease(renewing, false)
		cancel()
		if err != nil && ctx.Err() == nil {
			log.WarnContext(ctx, "the node cannot make itself known", "error", err)
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			leaving, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
			defer cancel()
			if err := s.LeaveNodes(leaving); err != nil {
				log.Warn("leaving the other nodes failed", "error", err)
			}
			return
		}
	}
}

// ownSlices is what a condition goes on with for those webhooks, or organizations, that are this node's, and its
// parameter, which is $n; nothing if all are.
func (s *Store) ownSlices(column string, n int) (and string, args []any) {
	if s.node == nil {
		return "", nil
	}
	s.node.mu.Lock()
	defer s.node.mu.Unlock()
	var own []int64
	for slice, isOwn := range s.node.slices {
		if isOwn {
			own = append(own, int64(slice))
		}
	}
	if len(own) == Slices {
		return "", nil
	}
	return " AND " + inIDs(fmt.Sprintf("%s %% %d", column, Slices), n), []any{idList(own)}
}
