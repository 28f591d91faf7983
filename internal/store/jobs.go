package store

import (
	"context"
	"errors"
	"time"

	"github.com/buglehq/bugle"
)

// A jobTable has long jobs, which workers take by leases and do in steps.
type jobTable struct {
	name  string
	ready string // a condition on rows that may be taken, with the time in parameter 2
}

var (
	replayJobs  = jobTable{"replays", "state = 'running'"}
	erasureJobs = jobTable{"erasures", "state = 'running' AND waits_us <= $2"}
)

// errMoved is for a step of a job that somebody else has moved on or ended since it was claimed.
var errMoved = errors.New("the job has moved on")

// claimJob gives the job that has waited longest to a worker, for the length of the lease, and returns its id; 0 if there is
// none for him. Nobody else takes it meanwhile.
func (s *Store) claimJob(ctx context.Context, t jobTable, worker string, lease time.Duration) (id int64, err error) {
	free := t.ready + " AND (worker = $1 OR lease_us <= $2)"
	now := s.now()
	// Looked for without the writer, because mostly there is none.
	err = s.view().one(ctx, []any{&id}, "SELECT id FROM "+t.name+" WHERE "+free+" ORDER BY updated_us, id LIMIT 1", worker, now.UnixMicro())
	if errors.Is(err, bugle.ErrNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	var n int64
	err = s.Update(ctx, func(tx *Tx) (err error) {
		n, err = tx.count("UPDATE "+t.name+" SET worker = $1, lease_us = $3 WHERE id = $4 AND "+free, worker, now.UnixMicro(), now.Add(lease).UnixMicro(), id)
		return err
	})
	if err != nil || n == 0 { // somebody else was faster
		return 0, err
	}
	return id, nil
}

// releaseJobs lets others take over what a worker has claimed.
func (s *Store) releaseJobs(ctx context.Context, t jobTable, worker string) error {
	return s.Update(ctx, func(tx *Tx) error {
		return tx.exec("UPDATE "+t.name+" SET lease_us = 0 WHERE state = 'running' AND worker = $1", worker)
	})
}
