package observe

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/jonboulle/clockwork"

	"github.com/buglehq/bugle/internal/delivery"
	"github.com/buglehq/bugle/internal/store"
)

// A Check is something that a server needs to do its work.
type Check struct {
	Name string
	Says string // what everybody may read if it fails; unless the error is a Reason

	// Run returns why the server cannot do its work. The error is logged.
	Run func(ctx context.Context) error
}

// A Reason says why a server is not ready, in words for everybody. As an error of a Check it stands for itself.
type Reason struct {
	Check  string `json:"check"`
	Reason string `json:"reason"`
}

func (r *Reason) Error() string { return r.Reason }

// A Readiness answers whether the server is ready, from its checks.
type Readiness struct {
	log    *slog.Logger
	clock  clockwork.Clock
	within time.Duration
	checks []Check

	held func(ctx context.Context) bool // sending is held, and the server ready all the same; nil: it never is

	asking sync.Mutex // one at a time asks the checks
	busy   []chan struct{}
	asked  time.Time
	last   []Reason
}

const (
	answerFor   = time.Second     // an answer stands
	checkWithin = 3 * time.Second // a check passes, or has failed
)

// NewReadiness returns a Readiness of these checks.
func NewReadiness(clock clockwork.Clock, log *slog.Logger, checks ...Check) *Readiness {
	return &Readiness{clock: clock, log: log, within: checkWithin, checks: checks, busy: make([]chan struct{}, len(checks))}
}

// SayWhenHeld makes the answer say whether sending from the store is held.
func (r *Readiness) SayWhenHeld(s *store.Store) {
	r.held = func(ctx context.Context) bool {
		hold, err := s.SendingHold(ctx)
		return err == nil && hold != nil
	}
}

// Reasons returns why the server is not ready; none if it is. The answer of the second before is good enough.
func (r *Readiness) Reasons(ctx context.Context) []Reason {
	r.asking.Lock()
	defer r.asking.Unlock()
	if !r.asked.IsZero() && r.clock.Since(r.asked) < answerFor {
		return r.last
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.within) // others use the answer too
	defer cancel()
	failed, hanging := make([]chan error, len(r.checks)), make([]bool, len(r.checks))
	for i, c := range r.checks {
		failed[i] = make(chan error, 1)
		if r.busy[i] != nil {
			select {
			case <-r.busy[i]:
			default: // it has not come back from the last time
				hanging[i] = true
				failed[i] <- context.DeadlineExceeded
				continue
			}
		}
		done := make(chan struct{})
		r.busy[i] = done
		go func() {
			defer close(done)
			failed[i] <- c.Run(ctx)
		}()
	}
	var reasons []Reason
	for i, c := range r.checks {
		var err error
		select {
		case err = <-failed[i]:
			if !hanging[i] {
				r.busy[i] = nil // it is back, even if its goroutine has yet to say so
			}
		case <-ctx.Done():
			err = ctx.Err()
		}
		if err == nil {
			continue
		}
		said := Reason{c.Name, c.Says}
		if own := (*Reason)(nil); errors.As(err, &own) {
			said.Reason = own.Reason
		}
		reasons = append(reasons, said)
		if !slices.ContainsFunc(r.last, func(before Reason) bool { return before.Check == c.Name }) {
			r.log.WarnContext(ctx, "not ready", "check", c.Name, "error", err)
		}
	}
	if len(reasons) == 0 && len(r.last) > 0 {
		r.log.InfoContext(ctx, "ready again")
	}
	r.last, r.asked = reasons, r.clock.Now()
	return reasons
}

// ServeHTTP answers GET /readyz: 200, or 503 with the reasons.
func (r *Readiness) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	answer := struct {
		Status  string   `json:"status"`
		Reasons []Reason `json:"reasons,omitempty"`
	}{"ok", r.Reasons(q.Context())}
	status := http.StatusOK
	if len(answer.Reasons) > 0 {
		answer.Status, status = "not ready", http.StatusServiceUnavailable
	} else if r.held != nil && r.held(q.Context()) {
		answer.Status = "ok, but sending is held" // one whose sending is held does all else, and is to get requests: by them it is released
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(answer)
}

// DatabaseChecks are those of a database: it answers, takes changes, and has the tables that this program needs.
func DatabaseChecks(s *store.Store) []Check {
	return []Check{
		{"database", "the database cannot be read", func(ctx context.Context) error {
			schema, err := s.Schema(ctx)
			if err == nil && len(schema.Missing) > 0 {
				return &Reason{"", fmt.Sprintf("the tables have version %d, want %d: start the server again, which migrates them", schema.Version, schema.Known)}
			}
			if err == nil && schema.Known < schema.Lowest {
				return &Reason{"", fmt.Sprintf("the tables have version %d, made by a newer Bugle, and need one that knows version %d", schema.Version, schema.Lowest)}
			}
			return err
		}},
		{"writes", "the database does not take changes", s.Probe},
	}
}

// SecretsCheck is whether the server has the key by which secrets are encrypted: other servers may use a newer one.
func SecretsCheck(s *store.Store) Check {
	return Check{"secrets", "the key that secrets are encrypted with is not there", s.CheckSecrets}
}

// EngineCheck is whether deliveries are sent and their results recorded. While sending is held, none are to be.
func EngineCheck(e *delivery.Engine, s *store.Store) Check {
	return Check{"engine", "deliveries are not sent", func(ctx context.Context) error {
		if hold, err := s.SendingHold(ctx); err != nil || hold != nil {
			return err
		}
		if err := e.Check(ctx); err != nil {
			return &Reason{"", err.Error()}
		}
		return nil
	}}
}

// MinFree is how much room a disk must have for a server to be ready.
const MinFree = 64 << 20

// RoomCheck is whether the disks of folders have room.
func RoomCheck(folders map[string]string) Check {
	return roomCheck(folders, freeBytes)
}

func roomCheck(folders map[string]string, free func(folder string) (uint64, error)) Check {
	return Check{"disk", "the room on the disk cannot be read", func(context.Context) error {
		for name, folder := range folders {
			n, err := free(folder)
			if err != nil {
				return fmt.Errorf("room of %s: %w", folder, err)
			}
			if n < MinFree {
				return &Reason{"", fmt.Sprintf("the disk of the %s has %d MiB left, want %d", name, n>>20, MinFree>>20)}
			}
		}
		return nil
	}}
}
