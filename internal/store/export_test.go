package store

import (
	"context"
	"database/sql"
	"io/fs"
	"testing"
	"testing/fstest"

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

// UncopiedTables is uncopiedTables.
var UncopiedTables = uncopiedTables

// Positional is positional.
var Positional = positional

// Watch calls heard with the text of every query for reading from now on, and until the test ends.
func (s *Store) Watch(t testing.TB, heard func(query string)) {
	unwatched := s.reading
	s.reading = watched{unwatched, heard}
	t.Cleanup(func() { s.reading = unwatched })
}

// CountingPending is told of each count of pending deliveries, until the test ends.
func CountingPending(t testing.TB, told func()) {
	onCount = told
	t.Cleanup(func() { onCount = func() {} })
}

// watched passes queries on and lets them be heard.
type watched struct {
	querier
	heard func(query string)
}

func (w watched) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	w.heard(query)
	return w.querier.QueryContext(ctx, query, args...)
}

func (w watched) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
	w.heard(query)
	return w.querier.QueryRowContext(ctx, query, args...)
}

// MaxScanned sets maxScanned, and returns what it was.
func MaxScanned(n int) (before int) {
	before, maxScanned = maxScanned, n
	return before
}

// AddMigrations lets programs know more migrations, until the test ends or forget is called: texts by name of their file, for
// both databases.
func AddMigrations(t testing.TB, texts map[string]string) (forget func()) {
	t.Helper()
	all := fstest.MapFS{}
	err := fs.WalkDir(embedded, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := embedded.ReadFile(path)
		all[path] = &fstest.MapFile{Data: data}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range texts {
		for _, folder := range []string{sqliteTables.folder, postgresTables.folder} {
			all[folder+"/"+name] = &fstest.MapFile{Data: []byte("-- +goose Up\n" + text)}
		}
	}
	migrations = all
	forget = func() { migrations = embedded }
	t.Cleanup(forget)
	return forget
}

// CopyDisturbed is Copy whose target gets a statement before it is read again.
func CopyDisturbed(ctx context.Context, from, to, statement string, done *bool) ([]CopiedTable, error) {
	beforeVerifying = func(e *end) error {
		*done = true
		return e.exec(ctx, statement)
	}
	defer func() { beforeVerifying = func(*end) error { return nil } }()
	return Copy(ctx, from, to, CopyOptions{})
}

// MaxFeedBytes sets maxFeedBytes, and returns what it was.
func MaxFeedBytes(n int) (before int) {
	before, maxFeedBytes = maxFeedBytes, n
	return before
}

// ReplaySteps sets replayStep and replayScan, and returns what they were.
func ReplaySteps(step, scan int) (stepBefore, scanBefore int) {
	stepBefore, scanBefore, replayStep, replayScan = replayStep, replayScan, step, scan
	return stepBefore, scanBefore
}

// ReleaseSteps sets releaseStep and digestStep, and returns what they were.
func ReleaseSteps(step, digests int) (stepBefore, digestsBefore int) {
	stepBefore, digestsBefore, releaseStep, digestStep = releaseStep, digestStep, step, digests
	return stepBefore, digestsBefore
}

// SetErasureStep sets how many rows an erasure looks at in one step, and returns how many it was.
func SetErasureStep(n int) int {
	before := erasureStep
	erasureStep = n
	return before
}

// SetSpaceTries sets how often an erasure tries to end the log of writes, and returns how often it was.
func SetSpaceTries(n int64) int64 {
	before := spaceTries
	spaceTries = n
	return before
}

// Exec changes something that nothing else does.
func Exec(tx *Tx, query string, args ...any) error { return tx.exec(query, args...) }
