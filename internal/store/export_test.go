package store

import (
	"context"

	"github.com/buglehq/bugle/personnel"
)

// Exec runs SQL within the transaction.
func (tx *Tx) Exec(query string, args ...any) error { return tx.exec(query, args...) }

// Query calls row for each row of a query's result, as it was last committed.
func (s *Store) Query(ctx context.Context, row func(scan func(to ...any) error) error, query string, args ...any) error {
	return s.view().each(ctx, row, query, args...)
}

// Waiting returns how many changes wait for the one under way.
func (s *Store) Waiting() int {
	s.writer.mu.Lock()
	defer s.writer.mu.Unlock()
	return len(s.writer.waiting[changes]) + len(s.writer.waiting[results])
}

// Save gives a resource values, by field name and as stored, as a side effect does.
func (tx *Tx) Save(a Actor, k *personnel.Kind, id int64, values map[string]any) error {
	return change{tx, a}.Save(k, id, values)
}

// Insert writes a resource as it is, with its side effects and event, for fields that no request can
// write.
func (tx *Tx) Insert(a Actor, r *personnel.Resource) error { return change{tx, a}.insert(r) }

// Positional is positional.
var Positional = positional
